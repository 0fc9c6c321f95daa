"""What a configuration file would change in this console, field by field, and the console written as such a file.

Reads only. What a file does not name is left as it is, and nothing is ever removed but slots of a queue that it lists.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from . import access, configure, configure_checks, holding, managed_apps, members, platform_apps, slots, workspaces
from . import installation_file as files
from .config import SETTINGS, Config
from .configure import NeedsConfirmation
from .configure_checks import OPTION, Settings, stored_settings
from .configure_losses import WhatIf, what_if
from .extensions import db
from .installation_file import Document, Entry
from .models import OWNER, Membership, PlatformApp, Slot, User, Workspace
from .providers import PROVIDERS
from .providers import provider as provider_of
from .providers.base import Provider
from .vault import Unreadable

CREATE, CHANGE, LEAVE, REFUSED = "create", "change", "leave", "refused"
APP, WORKSPACE = "platform app", "workspace"
# The fields of an app as the file and as the form call them.
FORM_NAMES = {"name": "name", "mode": "mode", "clientId": "client_id", "apiVersion": "api_version",
              "callbackOverride": "callback_override", "scopeOverride": "scope_override", "features": "features",
              "options": "options", "workspaces": "workspace_ids"}
FILE_NAMES = {form: name for name, form in FORM_NAMES.items()} | {"client_secret": "clientSecret", "note": "offNote"}
SETTING_NAMES = {"timeZone": "time_zone", "windowMinutes": "window_minutes", "needsApproval": "needs_approval"}
LIMIT_NAMES = ("accountLimit", "storageLimitMegabytes")


@dataclass(frozen=True)
class Change:
    """One field that differs: as it is and as the file has it, in words; of a secret only whether it is replaced."""

    field: str
    before: str
    after: str


@dataclass
class Step:
    """What would become of one app or workspace of the file.

    `losses`: what the change takes away from people, as sentences; `problems`: why it cannot be made.
    """

    kind: str
    entry: Entry
    title: str
    is_new: bool
    changes: list[Change] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict, repr=False)  # of the form, the secret among them
    version: int = 0
    accepts: str = ""  # the scopes whose loss is accepted with it
    workspace: Workspace | None = None

    @property
    def key(self) -> str:
        """What the file calls it by."""
        return str(self.entry.values.get("segment") or self.entry.values.get("name"))

    @property
    def action(self) -> str:
        """What applying would do: create, change, leave, refused."""
        if self.problems:
            return REFUSED
        return LEAVE if not self.changes else CREATE if self.is_new else CHANGE


@dataclass(frozen=True)
class Plan:
    """All steps, the settings that differ from the environment, and what the file does not name."""

    document: Document
    steps: tuple[Step, ...]
    settings: tuple[Change, ...]
    unnamed: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """Why this cannot be applied, each with its place."""
        return [problem for step in self.steps for problem in step.problems]

    @property
    def losses(self) -> list[str]:
        """What applying takes away."""
        return [f"{step.title}: {loss}" for step in self.steps for loss in step.losses]

    @property
    def has_changes(self) -> bool:
        """Whether applying would do anything."""
        return any(step.action in (CREATE, CHANGE) for step in self.steps)

    @property
    def differs(self) -> bool:
        """Whether console and file say different things, be it where a file can change nothing."""
        return self.has_changes or bool(self.settings)

    @property
    def fingerprint(self) -> str:
        """Stands for what this plan would do; another one once the console or the file has changed."""
        told = [(step.kind, step.key, step.action, step.version, [vars(one) for one in step.changes], step.losses,
                 step.problems) for step in self.steps]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def make(document: Document, now: datetime, *, from_page: bool = False, by_file: bool = False) -> Plan:
    """The plan of a file, from how the console stands now. `from_page`: sent by a browser.

    `by_file`: this is the file that manages apps of this console.
    """
    there = _Workspaces(document)
    steps = [_workspace_step(one, there) for one in document.workspaces]
    wanted = {str(one.values["segment"]) for one in document.platforms}
    steps += [_app_step(one, there, wanted, now, from_page, by_file) for one in document.platforms]
    config: Config = current_app.extensions["config"]
    settings = tuple(Change(name, config.shown[name], value) for name, value in document.settings.items()
                     if value != config.shown[name])
    named = {step.workspace.id for step in steps if step.workspace}
    unnamed = [f"{platform_apps.title(app)} ({app.segment})" for app in _apps() if app.segment not in wanted]
    unnamed += [f"workspace {one.name}" for one in there.all if one.id not in named]
    return Plan(document, tuple(steps), settings, tuple(unnamed))


# ---------------------------------------------------------------- workspaces


class _Workspaces:
    """The workspaces of the console, found by id or by name, and those that the file is about to make."""

    def __init__(self, document: Document) -> None:
        self.all = list(db.session.scalars(select(Workspace).order_by(Workspace.name, Workspace.id)))
        self.by_id = {one.id: one for one in self.all}
        self.times = Counter(one.name for one in self.all)
        self.by_name = {one.name: one for one in self.all}
        self.to_come = {members.tidy_name(one.values["name"]) for one in document.workspaces} - set(self.by_name)
        weekly: dict[str, dict[int, list[str]]] = {}
        for slot in db.session.scalars(select(Slot).order_by(Slot.weekday, Slot.wall)):
            weekly.setdefault(slot.workspace_id, {}).setdefault(slot.weekday, []).append(slot.wall)
        self.weekly = weekly

    def called(self, workspace: Workspace) -> str:
        """What a file calls a workspace by: its name, or its id where it shares the name."""
        return workspace.name if self.times[workspace.name] == 1 else workspace.id

    def find(self, name: str) -> Workspace | None:
        """The one with this id, or with this name where no other has it."""
        name = name if name in self.by_id else members.tidy_name(name)
        return self.by_id.get(name) or (self.by_name.get(name) if self.times[name] == 1 else None)

    def slots_of(self, workspace: Workspace | None) -> dict[str, list[str]]:
        """The slots as the file writes them: day -> times."""
        found = self.weekly.get(workspace.id, {}) if workspace else {}
        return {slots.DAYS[day].lower(): found[day] for day in sorted(found)}


def _workspace_step(entry: Entry, there: _Workspaces) -> Step:
    values, name = entry.values, members.tidy_name(entry.values["name"])
    found = there.by_id.get(values["id"]) if values.get("id") else there.find(name)
    step = Step(WORKSPACE, entry, f"Workspace {name}", found is None, workspace=found)
    if found is None and (values.get("id") or there.times[name] > 1):
        step.problems.append(f"{entry.place}: " + (
            f"{there.times[name]} workspaces have this name. Give them names of their own, then export again."
            if there.times[name] > 1 else "There is no workspace with this id here. Leave the id out to make one."))
        return step
    before = _workspace_values(found, there)
    for known, value in values.items():
        if known in before and _tidy(known, value) != before[known]:
            step.changes.append(Change(known, words(before[known]) if found else "", words(_tidy(known, value))))
    if found is None:
        step.changes.append(Change("owner", "", values.get("owner", "").strip().lower()))
    step.problems += [f"{entry.place}.{known}: {sentence}" for known, sentence in _wrong_workspace(entry, found)]
    if found is not None and step.changes and (gone := _gone_slots(entry, before["slots"])):
        step.losses.append(f"{gone} of its queue {'is' if gone == '1 slot' else 'are'} removed; posts that hold "
                           f"{'it' if gone == '1 slot' else 'them'} keep their time.")
    return step


def _tidy(known: str, value: Any) -> Any:
    if known == "slots":
        return {day.lower(): sorted(value[day.lower()]) for day in slots.DAYS if value.get(day.lower())}
    return members.tidy_name(value) if known == "name" else value


def _workspace_values(workspace: Workspace | None, there: _Workspaces) -> dict[str, Any]:
    """A workspace as the file writes it; for one that is to be made, what it begins with."""
    of = workspace or Workspace(name="", time_zone="UTC", window_minutes=120, needs_approval=False)
    limit = of.storage_limit
    return {"name": of.name, "timeZone": of.time_zone, "windowMinutes": of.window_minutes,
            "needsApproval": of.needs_approval, "accountLimit": of.account_limit,
            "storageLimitMegabytes": None if limit is None else limit // workspaces.MEGABYTE,
            "slots": there.slots_of(workspace)}


def wanted_settings(entry: Entry, workspace: Workspace) -> workspaces.Settings:
    """The settings that an owner may change, as the file has them on top of what is there."""
    given, now = entry.values, workspaces.settings(workspace)
    return workspaces.Settings(members.tidy_name(given["name"]), given.get("timeZone", now.time_zone),
                               given.get("windowMinutes", now.window_minutes),
                               given.get("needsApproval", now.needs_approval))


def _wrong_workspace(entry: Entry, found: Workspace | None) -> Iterator[tuple[str, str]]:
    wanted = wanted_settings(entry, found or Workspace(name="", time_zone="UTC", window_minutes=120,
                                                       needs_approval=False))
    named = {form: name for name, form in SETTING_NAMES.items()}
    for known, sentence in workspaces.wrong(wanted).items():
        yield named.get(known, known), sentence
    if found is None and not access.EMAIL.fullmatch(entry.values.get("owner", "").strip().lower()):
        yield "owner", "A workspace that is to be made needs its owner's e-mail address, such as mara@example.com."


def _gone_slots(entry: Entry, before: Mapping[str, Sequence[str]]) -> str:
    wanted = entry.values.get("slots", before)
    gone = sum(len(set(times) - set(wanted.get(day, ()))) for day, times in before.items())
    return "" if not gone else "1 slot" if gone == 1 else f"{gone} slots"


# ---------------------------------------------------------------- apps


def _apps() -> list[PlatformApp]:
    """The apps that somebody filled in, in the order of the platforms, the first one of each first."""
    order = list(PROVIDERS)
    found = [app for app in db.session.scalars(select(PlatformApp)) if _is_there(app)]
    return sorted(found, key=lambda app: (order.index(app.platform), app.segment != app.platform, len(app.segment),
                                          app.segment))


def _app_step(entry: Entry, there: _Workspaces, wanted: set[str], now: datetime, from_page: bool,
              by_file: bool) -> Step:
    segment, given = str(entry.values["segment"]), entry.values
    provider = provider_of(files.platform_of(entry) or "")
    app = platform_apps.at(segment)
    is_new = not _is_there(app)
    title = platform_apps.title(app) if app is not None else provider.name
    step = Step(APP, entry, title if segment == provider.slug else f"{title} ({segment})", is_new,
                version=app.version if app else 0)
    base = base_settings(provider, app)
    secret, why_not = files.open_secret(entry, from_page=from_page)
    errors = {"client_secret": why_not} if why_not else {}
    errors |= _unknown_choices(provider, base, given)
    step.values, pending = _form_values(provider, base, entry, there, errors)
    step.values |= {"client_secret": secret, "version": step.version}
    if not errors:
        _compare(step, provider, app, base, there, pending, errors, now)
    if app is None and segment != provider.slug and provider.slug not in wanted and not _is_saved(provider.slug):
        errors["segment"] = f"The first app of {provider.name} is not there, nor is it in this file. It comes first."
    if not by_file and (step.changes or errors) and (managed := managed_apps.why_managed(segment)):
        errors = {"segment": managed}
    for known, sentence in errors.items():
        name = f"options.{known.removeprefix(OPTION)}" if known.startswith(OPTION) else FILE_NAMES.get(known, known)
        step.problems.append(f"{entry.place}.{name}: {sentence}")
    order = list(files.APP_FIELDS)
    step.changes.sort(key=lambda change: order.index(change.field))
    if errors:  # what stands in the wrong field may be a secret
        step.changes = [change for change in step.changes if change.field != "clientId"]
    return step


def _is_there(app: PlatformApp | None) -> bool:
    """Whether somebody made this app: the first one of a platform by filling it in, a further one by adding it."""
    return app is not None and bool(app.client_id or app.version or app.segment != app.platform)


def _is_saved(segment: str) -> bool:
    app = platform_apps.at(segment)
    return app is not None and app.is_saved


def base_settings(provider: Provider, app: PlatformApp | None) -> Settings:
    """What a field that the file does not name means: what is stored, or what the form proposes for a new app."""
    if app is not None and _is_there(app):
        return stored_settings(app)
    others = {one.mode for one in platform_apps.apps_of(provider.slug) if app is None or one.id != app.id}
    return configure_checks.first_settings(provider, others)


def _unknown_choices(provider: Provider, base: Settings, given: Mapping[str, Any]) -> dict[str, str]:
    """What the form offers no way to choose: a mode, a feature or a further value that the platform has not."""
    errors = {}
    modes = [mode.slug for mode in provider.modes]
    if given.get("mode") and given["mode"] not in modes:
        errors["mode"] = f"There is no such kind of use. Known are {', '.join(modes)}." if modes else \
            f"{provider.name} has one kind of use only. Leave this out."
        return errors
    mode = configure_checks.known_mode(provider, given.get("mode") or base.mode)
    known = {"features": [one.slug for one in provider.features_of(mode)],
             "options": list(configure_checks.option_names(provider))}
    for name, names in known.items():
        wrong = next((one for one in given.get(name, ()) if one not in names), None)
        if wrong is not None:
            errors[name] = f"“{files.shown(wrong)}” is not known here. " + (
                f"Known are {', '.join(names)}." if names else "Leave it out.")
    return errors


def _form_values(provider: Provider, base: Settings, entry: Entry, there: _Workspaces,
                 errors: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The values as the form would send them, and the names of workspaces that are to be made first."""
    given = entry.values
    made: dict[str, Any] = {form: getattr(base, form) if form != "mode" or base.mode else None
                            for form in FORM_NAMES.values() if form != "options"}
    for name, form in FORM_NAMES.items():
        if name in given and name not in ("options", "workspaces") and (given[name] or name != "mode"):
            made[form] = given[name]
    options = given.get("options", base.options)
    made |= {OPTION + name: options.get(name, "") for name in configure_checks.option_names(provider)}
    pending: list[str] = []
    if isinstance(chosen := given.get("workspaces"), list):
        found = {name: there.find(name) for name in chosen}
        pending = [name for name, one in found.items() if one is None and members.tidy_name(name) in there.to_come]
        lost = [name for name, one in found.items() if one is None and name not in pending]
        if lost:
            errors["workspace_ids"] = f"There is no single workspace “{files.shown(lost[0])}”."
        ids = [one.id for one in found.values() if one is not None]
        made["workspace_ids"] = base.workspace_ids if set(ids) == set(base.workspace_ids) else ids
    elif chosen == files.ALL:
        made["workspace_ids"] = []
    made["workspace_ids"] = list(made["workspace_ids"])
    made["workspaces"] = configure_checks.SOME if made["workspace_ids"] else "all"
    made["features"] = list(made["features"])
    return made, pending


def _compare(step: Step, provider: Provider, app: PlatformApp | None, base: Settings, there: _Workspaces,
             pending: list[str], errors: dict[str, str], now: datetime) -> None:
    """Fill in what changes, what it takes away, and, if anything does, what is wrong with it."""
    given, segment = step.entry.values, step.key
    to_sandbox = bool(given.get("sandbox")) and not (app and app.is_sandbox)
    was_on, wants_on = bool(app and app.is_on), bool(given.get("on", app and app.is_on))
    try:
        typed, found = configure.read(provider, segment, step.values, now,
                                      complete=wants_on and not was_on and not given.get("sandbox"))
        replaced = _is_replaced(app, typed)
    except Unreadable:
        errors["client_secret"] = "The stored secret cannot be opened with the keys of this server. Replace it."
        return
    stored = Settings() if step.is_new else base
    names = [name for name in configure.changed_names(stored, typed) if step.is_new or _is_named(name, given)]
    step.changes = [Change(FILE_NAMES[name], _of(stored, name, there), _of(typed, name, there)) for name in names]
    if pending:
        step.changes = [one for one in step.changes if one.field != "workspaces"]
        step.changes.append(Change("workspaces", _of(stored, "workspace_ids", there), ", ".join(given["workspaces"])))
    if replaced:
        has_one = bool(app and app.secret_sealed)
        step.changes.append(Change("clientSecret", "stored" if has_one else "none", "replaced" if has_one else "set"))
    if given.get("sandbox") is False and app is not None and app.is_sandbox and typed.client_id == app.client_id:
        errors["sandbox"] = "This is the sandbox's app. To use the real platform, give its clientId and clientSecret."
    if to_sandbox:
        step.changes.append(Change("sandbox", "no", "yes"))
    _compare_switch(step, provider, app, wants_on, typed.mode, errors)
    if step.changes:
        errors |= {name: sentence for name, sentence in found.items() if name not in errors}
        step.losses, step.accepts = _losses(provider, app, typed, to_sandbox, was_on and not wants_on, now)
    if to_sandbox and not current_app.extensions["config"].sandbox:
        errors["sandbox"] = "The sandbox is switched off here. Start the console with SANDBOX=on to use it."


def _is_named(name: str, given: Mapping[str, Any]) -> bool:
    """Whether the file says how a field of the form shall be. A blank mode is none."""
    return FILE_NAMES[name] in given and (name != "mode" or bool(given["mode"]))


def _compare_switch(step: Step, provider: Provider, app: PlatformApp | None, wants_on: bool, mode: str,
                    errors: dict[str, str]) -> None:
    given, is_on = step.entry.values, bool(app and app.is_on)
    if wants_on != is_on:
        step.changes.append(Change("on", words(is_on), words(wants_on)))
    if wants_on and not is_on:
        why_not = platform_apps.mode_problem(provider, mode)
        if not provider.connectable:
            why_not = f"This version cannot connect {provider.name} yet."
        if why_not:
            errors["on"] = why_not
    note, kept = " ".join(given.get("offNote", "").split()), app.off_note if app else ""
    if "offNote" in given and not wants_on and note != kept:
        step.changes.append(Change("offNote", kept, note))


def _is_replaced(app: PlatformApp | None, typed: Settings) -> bool:
    """Whether the secret is another one than that stored."""
    return bool(typed.client_secret) and (app is None or platform_apps.open_secret(app) != typed.client_secret)


def _losses(provider: Provider, app: PlatformApp | None, typed: Settings, to_sandbox: bool, turns_off: bool,
            now: datetime) -> tuple[list[str], str]:
    """What people lose, as sentences, and the scopes among it."""
    if app is None or not app.is_saved:
        return [], ""
    said = []
    if to_sandbox or typed.client_id != app.client_id:
        try:
            configure.ask_before_new_generation(provider, app, is_sandbox=to_sandbox, confirm=False)
        except NeedsConfirmation as question:
            said.append(question.sentence)
    found = what_if(provider, app, typed)
    said += _lost_scopes(found)
    if turns_off and (held := holding.what_off_holds(app, now).sentence):
        said.append(held)
    return said, found.fingerprint


def _lost_scopes(found: WhatIf) -> Iterable[str]:
    return [f"{loss.what}: {configure.count_of(loss.accounts, loss.workspaces)} cannot do it any more without "
            f"{', '.join(loss.scopes)}." for loss in found.losses if loss.accounts]


def _of(settings: Settings, name: str, there: _Workspaces) -> str:
    value = getattr(settings, name)
    if name == "workspace_ids":
        return words([there.called(there.by_id[one]) for one in value if one in there.by_id] or files.ALL)
    return words({key: part for key, part in value.items() if part} if isinstance(value, Mapping) else value)


def words(value: Any) -> str:
    """A value of the file as a plan shows it."""
    if value is None or value == "":
        return "none" if value is None else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {words(part)}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# ---------------------------------------------------------------- the console as a file


def export(*, named_secrets: bool = False) -> str:
    """The text of a file with everything that an admin configures here. No secret is in it.

    `named_secrets`: each app's secret is to be found in a variable named after it, instead of being kept.
    """
    there = _Workspaces(Document())
    config: Config = current_app.extensions["config"]
    settings = {one.name: config.shown[one.name] for one in SETTINGS
                if not one.secret and config.source[one.name] != "default"}
    owners = _owners()
    return files.write(settings, [_app_values(app, there, named_secrets) for app in _apps()],
                       [_exported(one, there, owners.get(one.id, "")) for one in there.all])


def _app_values(app: PlatformApp, there: _Workspaces, named_secrets: bool) -> dict[str, Any]:
    provider = provider_of(app.platform)
    made: dict[str, Any] = {"segment": app.segment, "platform": app.platform, "name": app.name, "mode": app.mode}
    if app.is_sandbox:
        made["sandbox"] = True
    else:
        made["clientId"] = app.client_id
        if app.secret_sealed:
            made["clientSecret"] = files.reference(app.segment) if named_secrets else files.KEPT
    chosen = [there.called(there.by_id[one]) if one in there.by_id else one for one in app.workspace_ids]
    made |= {"apiVersion": app.api_version, "callbackOverride": app.callback_override,
             "scopeOverride": app.scope_override,
             "features": list(configure_checks.known_features(provider, app.mode, app.features)),
             "options": {name: app.options[name] for name in configure_checks.option_names(provider)
                         if app.options.get(name)},
             "workspaces": sorted(chosen) if chosen else files.ALL, "on": app.is_on}
    return made | ({"offNote": app.off_note} if app.off_note else {})


def _exported(workspace: Workspace, there: _Workspaces, owner: str) -> dict[str, Any]:
    made = _workspace_values(workspace, there)
    if there.times[workspace.name] > 1:
        made = {"name": made.pop("name"), "id": workspace.id, **made}
    return made | ({"owner": owner} if owner else {})


def _owners() -> dict[str, str]:
    """The e-mail address of each workspace's first owner."""
    rows = db.session.execute(select(Membership.workspace_id, User.email).join(User, User.id == Membership.user_id)
                              .where(Membership.role == OWNER).order_by(User.email.desc()))
    return {workspace_id: email for workspace_id, email in rows}
