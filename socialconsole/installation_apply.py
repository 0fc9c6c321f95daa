"""Take over a configuration file: by the services that the pages use, each app or workspace whole or not at all.

The switch of an app comes after its settings, since the platform is asked first. Doing it again changes nothing.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from flask import current_app, g
from sqlalchemy import select

from . import (
    access,
    audit,
    configure,
    configure_sandbox,
    credentials,
    managed_apps,
    outside,
    platform_apps,
    slots,
    workspaces,
)
from . import installation_file as files
from . import installation_plan as plans
from .config import Config
from .configure import ACCEPT, Invalid, NeedsConfirmation, NotPossible, Stale
from .credentials import CannotTell, WrongCredentials
from .database import writing
from .extensions import db
from .installation_file import Document, Refused
from .installation_plan import APP, CHANGE, CREATE, FILE_NAMES, LEAVE, Plan, Step
from .managed_apps import Managed
from .models import Slot, User, Workspace

log = logging.getLogger("socialconsole.installation")

WHO = "Configuration file"  # in the history, where no person applies it


@dataclass(frozen=True)
class Done:
    """What became of one app or workspace: a sentence, and whether all of it was done."""

    title: str
    said: str
    is_whole: bool = True


class Moved(Exception):
    """The plan that was confirmed is no longer the plan; `plan` is the present one."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("The console was changed since this plan was made.")
        self.plan = plan


class LossesNotAccepted(Exception):
    """Applying takes something away from people, and nobody accepted that; `losses` are sentences."""

    def __init__(self, losses: list[str]) -> None:
        super().__init__(" ".join(losses))
        self.losses = losses


def apply(document: Document, user: User, now: datetime, *, accept: bool = False, insist: bool = False,
          seen: str | None = None, from_page: bool = False, by_file: bool = False) -> list[Done]:
    """Do what the plan of this file says, one app or workspace after the other; nothing at all if any is refused.

    `accept`: what it takes away from people; `insist`: turn apps on even if the platform cannot tell whether the
    credentials are right; `seen`: the fingerprint of the plan that was confirmed. Raises Refused, LossesNotAccepted and
    Moved before anything is changed.
    """
    plan = plans.make(document, now, from_page=from_page, by_file=by_file)
    if seen is not None and seen != plan.fingerprint:
        raise Moved(plan)
    if plan.problems:
        raise Refused(plan.problems)
    if plan.losses and not accept:
        raise LossesNotAccepted(plan.losses)
    return [_do(step, user, now, accept, insist, by_file) for step in plan.steps if step.action in (CREATE, CHANGE)]


def _do(step: Step, user: User, now: datetime, accept: bool, insist: bool, by_file: bool) -> Done:
    try:
        if step.kind == APP:
            return _app(step, user, now, accept, insist, by_file)
        return _workspace(step, user)
    except (Invalid, access.Invalid) as refusal:
        said = " ".join(f"{FILE_NAMES.get(name, name)}: {sentence}" for name, sentence in refusal.errors.items())
    except Stale:
        said = "Somebody else saved it meanwhile. Plan again."
    except workspaces.MovedOn:
        said = "Somebody else changed it meanwhile. Plan again."
    except (NotPossible, NeedsConfirmation) as refusal:
        said = str(refusal)
    return Done(step.title, f"Nothing of it was changed. {said}", False)


# ---------------------------------------------------------------- apps


def _app(step: Step, user: User, now: datetime, accept: bool, insist: bool, by_file: bool) -> Done:
    given, named = step.entry.values, {change.field for change in step.changes}
    if named - {"on", "offNote", "sandbox"} or step.is_new:
        _save(step, user, now, accept, by_file)
    said = "Created." if step.is_new else f"Changed: {', '.join(sorted(named))}."
    try:
        if "sandbox" in named:
            configure_sandbox.use_sandbox(step.key, user, outside.now(), confirm=accept, by_file=by_file)
        if "on" in named and given["on"]:
            credentials.turn_on(step.key, user.shown, outside.now(), insist=insist)
        elif named & {"on", "offNote"}:
            configure.turn_off(step.key, outside.now(), by=user.shown, note=given.get("offNote"))
    except (NotPossible, NeedsConfirmation) as refusal:
        return Done(step.title, f"Its settings are as the file says, but not all of it: {refusal}", False)
    except (WrongCredentials, CannotTell) as refusal:
        return Done(step.title, f"Its settings are as the file says, but it is not on. {refusal}", False)
    return Done(step.title, said)


def _save(step: Step, user: User, now: datetime, accept: bool, by_file: bool) -> None:
    """Room for a further app and all its settings in one commit."""
    values = dict(step.values)
    if isinstance(chosen := step.entry.values.get("workspaces"), list):
        values["workspace_ids"] = _ids(chosen, values["workspace_ids"])
        values["workspaces"] = "some"
    with writing():
        if platform_apps.at(step.key) is None and (platform := files.platform_of(step.entry)) != step.key:
            values["version"] = configure.add_app(platform or "", now, step.key).version
        configure.save(step.key, values | {ACCEPT: step.accepts if accept else ""}, user, now, confirm=accept,
                       by_file=by_file)


def _ids(names: list[str], known: list[str]) -> list[str]:
    """The workspaces that are known already, and those that this very file made."""
    made = db.session.scalars(select(Workspace.id).where(Workspace.name.in_(names)).order_by(Workspace.id))
    return list(dict.fromkeys([*known, *made]))


# ---------------------------------------------------------------- workspaces


def _workspace(step: Step, user: User) -> Done:
    """Make or change a workspace in one commit."""
    given, said = step.entry.values, "Changed: " + ", ".join(sorted(one.field for one in step.changes)) + "."
    with writing():
        workspace = step.workspace
        if workspace is None:
            made = workspaces.create(given["name"], given.get("timeZone", "UTC"), given.get("owner", ""), user)
            workspace, said = made.workspace, "Created."
            if made.invited is not None:
                said += (" Its owner has no account here yet: make the link of the invitation under Workspaces, by "
                         "naming the owner there again.")
        db.session.flush()
        workspaces.save_settings(workspace, plans.wanted_settings(step.entry, workspace),
                                 workspaces.settings(workspace))
        if step.entry.has("accountLimit") or step.entry.has("storageLimitMegabytes"):
            workspaces.save_limits(workspace, workspace.name, _typed(step, "accountLimit", workspace.account_limit),
                                   _typed(step, "storageLimitMegabytes", _megabytes(workspace)))
        if step.entry.has("slots"):
            _slots(workspace, given["slots"], user)
    return Done(step.title, said)


def _typed(step: Step, name: str, stored: int | None) -> str:
    value = step.entry.values.get(name, stored)
    return "" if value is None else str(value)


def _megabytes(workspace: Workspace) -> int | None:
    return None if workspace.storage_limit is None else workspace.storage_limit // workspaces.MEGABYTE


def _slots(workspace: Workspace, wanted: dict[str, list[str]], user: User) -> None:
    """The queue's slots as the file has them: no more, no fewer."""
    target = {(number, wall) for number, day in enumerate(slots.DAYS) for wall in wanted.get(day.lower(), ())}
    there: dict[tuple[int, str], Slot] = {(one.weekday, one.wall): one for one in slots.slots(workspace)}
    for key in sorted(set(there) - target):
        slots.remove(workspace, user, there[key].id)
    fresh = target - set(there)
    for wall in sorted({wall for _, wall in fresh}):
        slots.add(workspace, user, [str(day) for day, one in sorted(fresh) if one == wall], wall)


# ---------------------------------------------------------------- the file that manages this console


def console_file() -> Document | None:
    """The file that CONSOLE_FILE names, as it is now; None without one. Raises Refused."""
    config: Config = current_app.extensions["config"]
    return files.read_file(config.console_file) if config.console_file else None


def at_start(now: datetime) -> tuple[list[str], list[str]]:
    """Take over the file that CONSOLE_FILE names. Returns what stops the start, and what was done or could not be.

    Nothing that people would lose by it is done here, nor is a workspace changed that is there: that is shown as a
    difference, until somebody applies it.
    """
    config: Config = current_app.extensions["config"]
    if config.console_file is None:
        if managed_apps.current() is not None:
            managed_apps.keep("", (), now)
        return [], []
    g.user = user = User(name=WHO, email="")
    try:
        document = files.read_file(config.console_file)
        plan = plans.make(document, now, by_file=True)
    except Refused as refusal:
        return [f"CONSOLE_FILE: {problem}" for problem in refusal.problems], []
    waits, done = [], []
    for step in plan.steps:
        if why := _why_it_waits(step):
            waits.append(f"{step.title}: {why}")
        elif step.action in (CREATE, CHANGE):
            done.append(_do(step, user, now, False, True, True))
    waits += [f"{one.title}: {one.said}" for one in done if not one.is_whole]
    segments = [str(one.values["segment"]) for one in document.platforms]
    kept = Managed(str(config.console_file), tuple(segments), now, tuple(waits))
    if (before := managed_apps.current()) is None or before.segments != kept.segments or done:
        with writing():
            audit.record("console_file.taken", "installation", managed_apps.ROW,
                         f"Took over {config.console_file}: {_count(len(done))}")
    managed_apps.keep(kept.path, kept.segments, now, kept.problems)
    return [], [f"{one.title}: {one.said}" for one in done if one.is_whole] + waits


def _count(number: int) -> str:
    return "1 change" if number == 1 else f"{number} changes"


def _why_it_waits(step: Step) -> str:
    """Why a step is not made by itself at the start; empty if it is, or if there is nothing to do."""
    if step.problems:
        return " ".join(step.problems)
    if step.action == LEAVE:
        return ""
    how = "Apply the file under Social Platform → Configuration file, or by `socialconsole config apply`."
    if step.losses:
        return f"{' '.join(step.losses)} This is not done by itself. {how}"
    if step.kind != APP and not step.is_new:
        return f"It is not as the file says. {how}"
    if any(change.field == "sandbox" for change in step.changes):
        return f"The sandbox runs only once the console does. {how}"
    return ""
