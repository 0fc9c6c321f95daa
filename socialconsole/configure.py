"""Configure: save the app of a platform, turn it on and off, let the sandbox make one.

The secret goes in and never comes out. Another client id, or another world (sandbox or live), makes a new generation of
the app: what the old one minted is dead from the same commit on, and its tokens are erased, so that no token ever goes
to a host that did not mint it.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from . import audit, configure_checks, deliveries, managed_apps, platform_apps, tokens
from .configure_checks import Settings
from .configure_checks import stored_settings as stored_settings  # part of what this module offers
from .configure_losses import WhatIf, what_if
from .database import alone, lock, writing
from .errors import APP_CHANGED
from .extensions import db
from .models import (
    DEAD,
    FAILED,
    GRANTED,
    STARTED,
    Account,
    ConnectionAttempt,
    Grant,
    PlatformApp,
    User,
    Workspace,
    new_id,
)
from .platform_apps import SUBJECT, Row
from .providers import provider as provider_of
from .providers.base import Provider
from .providers.shapes import clean

ACCEPT = "accept_loss"  # the field of the tick that accepts what connected accounts lose
ADMIN = "platform apps"  # two admins who save at once do so one after the other
LABELS = {
    "mode": "kind of use", "client_id": "client ID", "api_version": "API version",
    "callback_override": "callback override", "scope_override": "scopes", "features": "features",
    "options": "further values", "name": "name", "workspace_ids": "workspaces",
}


class Invalid(Exception):
    """Some values cannot be saved: field -> sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


class NeedsConfirmation(Exception):
    """Saving would end connections: how many, and the sentence that says so."""

    def __init__(self, count: int, sentence: str) -> None:
        super().__init__(sentence)
        self.count, self.sentence = count, sentence


class Stale(Exception):
    """Somebody saved meanwhile: field -> what is stored now, for the fields that differ from those typed."""

    def __init__(self, stored: dict[str, str]) -> None:
        super().__init__("This platform was changed meanwhile.")
        self.stored = stored


class NotPossible(Exception):
    """This cannot be done now; the message says why and what comes first."""


class Managed(NotPossible):
    """A file says how this app is set; the message says which one."""


@dataclass(frozen=True)
class Saved:
    """What saving did: the app, the changed values in words (none: nothing was new), and how many profiles it ended."""

    app: PlatformApp
    changed: tuple[str, ...]
    ended: int = 0


# ---------------------------------------------------------------- save


def save(segment: str, values: Mapping[str, Any], user: User, now: datetime, *, confirm: bool = False,
         complete: bool = False, by_file: bool = False) -> Saved:
    """Check and store what the admin typed. `complete`: refuse unless id and secret are there, for turning on.

    Raises Invalid, Stale, NeedsConfirmation until `confirm` is given, and Managed unless it is the file that says so
    (`by_file`). Saving the same values again does nothing.
    """
    provider = platform_apps.provider_at(segment)
    if not by_file:
        refuse_managed(segment)
    with writing():
        alone(ADMIN)
        app = platform_apps.at(segment)
        typed, errors = read(provider, segment, values, now, complete=complete)
        if errors:
            raise Invalid(errors)
        _refuse_stale(app, typed, values.get("version"))
        loss = what_if(provider, app, typed)
        if loss.is_loss and not confirm and not loss.is_accepted(str(values.get(ACCEPT) or "")):
            raise Invalid({ACCEPT: lost(loss)})
        is_sandbox = bool(app and app.is_sandbox and typed.client_id == app.client_id)
        return store(provider, app, typed, is_sandbox, user, now, confirm)


def refuse_managed(segment: str) -> None:
    """Raise Managed for an app that a file of this console's start manages."""
    why = managed_apps.why_managed(segment)
    if why:
        raise Managed(why)


def read(provider: Provider, segment: str, values: Mapping[str, Any], now: datetime, *,
         complete: bool = False) -> tuple[Settings, dict[str, str]]:
    """The typed values as `save` would store them, and field -> sentence for those it would refuse. Stores nothing."""
    typed, errors = configure_checks.read(provider, values, platform_apps.callback_url(segment), now.date())
    found = _against_stored(provider, platform_apps.at(segment), typed, complete)
    return typed, {field: sentence for field, sentence in (found | errors).items() if sentence}


def lost(loss: WhatIf) -> str:
    """What has to be accepted before saving, as a sentence."""
    return (f"Saving takes something away from {count_of(loss.accounts, loss.workspaces)}. Confirm that to save all "
            "the same.")


def count_of(accounts: int, workspaces: int) -> str:
    """Accounts and workspaces in words: "1 account", "12 accounts in 3 workspaces"."""
    some = "1 account" if accounts == 1 else f"{accounts:,} accounts"
    return f"{some} in {workspaces:,} workspaces" if workspaces > 1 else some


def _against_stored(provider: Provider, app: PlatformApp | None, typed: Settings, complete: bool) -> dict[str, str]:
    """Slips that only show beside what is stored."""
    others = [other for other in platform_apps.apps_of(provider.slug) if app is None or other.id != app.id]
    id_label, secret_label = provider.client_id_label, provider.client_secret_label
    has_secret = bool(typed.client_secret or (app and app.secret_sealed))
    errors = {
        "mode": configure_checks.mode_error(provider, typed.mode, bool(app and app.is_on)),
        "callback_override": _alias_problem(app, typed.callback_override),
        "client_id": _same_app_problem(provider, others, typed),
        "name": _name_problem(provider, others, typed.name),
        "workspace_ids": _workspaces_problem(typed.workspace_ids),
    }
    if not typed.client_id and (complete or typed.client_secret or (app and app.client_id)):
        errors["client_id"] = f"Type the {id_label}. To stop using {provider.name}, turn it off."
    if complete and not has_secret:
        errors["client_secret"] = f"Type the {secret_label} too; without it {provider.name} cannot be turned on."
    if app is not None and app.is_sandbox:
        errors["client_secret"] = _sandbox_problem(provider, app, typed)
    elif app is not None and typed.client_id and not typed.client_secret and app.secret_sealed:
        # The pair may be swapped or equal only now that a new id meets the stored secret.
        found = provider.check_shape(typed.client_id, platform_apps.open_secret(app))
        if "client_secret" in found:
            errors["client_id"] = f"This does not go with the stored {secret_label}: {found['client_secret']}"
    return errors


def _sandbox_problem(provider: Provider, app: PlatformApp, typed: Settings) -> str:
    """A real secret never goes to the sandbox, and the sandbox's own never to the real platform."""
    secret_label = provider.client_secret_label
    if typed.client_id != app.client_id and not typed.client_secret:
        return f"The stored secret is the sandbox's. Type the {secret_label} of the new app too."
    if typed.client_id == app.client_id and typed.client_secret not in ("", platform_apps.open_secret(app)):
        return ("This client ID is the sandbox's, and a real secret never goes there. Type both values of the real "
                "app, or press “Use the sandbox” to take its present secret.")
    return ""


def _same_app_problem(provider: Provider, others: list[PlatformApp], typed: Settings) -> str:
    """One app at the platform is one app here; and what one is for shuts out what the other is for."""
    same = next((other for other in others if typed.client_id and other.client_id == typed.client_id), None)
    if same is None:
        return ""
    saved_as = f"This {provider.client_id_label} is saved for “{platform_apps.label_of(same)}” already."
    if same.mode != typed.mode:
        return f"{saved_as} {provider.name} wants an app of its own for each kind of use. Make another one there."
    return f"{saved_as} Change it there, or type that of another app."


def _name_problem(provider: Provider, others: list[PlatformApp], name: str) -> str:
    taken = {platform_apps.label_of(other).casefold() for other in others}
    if name and name.casefold() in taken:
        return f"Another app of {provider.name} goes by this name. Choose one that people can tell apart."
    return ""


def _workspaces_problem(chosen: tuple[str, ...]) -> str:
    known = set(db.session.scalars(select(Workspace.id).where(Workspace.id.in_(chosen)))) if chosen else set()
    return "" if set(chosen) <= known else "A ticked workspace is not there any more. Look at the list again."


def _alias_problem(app: PlatformApp | None, callback: str) -> str:
    alias = platform_apps.alias_of(callback)
    other = platform_apps.by_segment(alias) if alias else None
    if other is None or (app is not None and other.id == app.id):
        return ""
    return f"Another app answers at “{alias}” already. Each needs a callback of its own."


def _refuse_stale(app: PlatformApp | None, typed: Settings, version: Any) -> None:
    """Two admins at once: nobody overwrites what they never saw. The very same values are no conflict."""
    seen = int(version) if str(version or "").isdigit() else 0
    if app is None or seen == app.version:
        return
    stored = stored_settings(app)
    differing = {name: _shown(getattr(stored, name)) for name in changed_names(stored, typed)}
    if _new_secret(app, typed):
        differing["client_secret"] = f"•••• {app.secret_last4}"
    if differing:
        raise Stale(differing)


def store(provider: Provider, app: PlatformApp | None, typed: Settings, is_sandbox: bool, user: User, now: datetime,
           confirm: bool) -> Saved:
    """Write the checked values and what follows from them. Inside `writing()`."""
    if app is None:
        app = _new_app(provider, provider.slug, now)
    ended = _new_generation(provider, app, typed.client_id, is_sandbox, now, confirm)
    before = stored_settings(app)
    changed = changed_names(before, typed)
    replaced = _set_secret(app, typed, user, now)
    for name in changed:
        setattr(app, name, _column(getattr(typed, name)))
    words = [LABELS[name] for name in changed] + (["client secret"] if replaced else [])
    if app.is_sandbox != is_sandbox:
        app.is_sandbox = is_sandbox
        words.append("sandbox" if is_sandbox else "no longer the sandbox")
    if app.callback_saved != platform_apps.callback_url(app):
        app.callback_saved = platform_apps.callback_url(app)
        words += [] if app.version == 0 or "callback override" in words else ["callback"]
    if words:
        _record(app, words, {name: _shown(getattr(before, name)) for name in changed}, replaced, now)
    if replaced or "client_id" in changed or "mode" in changed or ended:
        _repaired(app, now)
    return Saved(app, tuple(words), ended)


def _new_app(provider: Provider, segment: str, now: datetime) -> PlatformApp:
    """The row of an app; the callback segment of a platform's first one is the platform's own name."""
    app = PlatformApp(id=new_id("app"), platform=provider.slug, segment=segment, version=0, secret_version=0,
                      created_at=now, updated_at=now)
    db.session.add(app)
    db.session.flush()  # fills in the defaults of the other columns
    return app


def changed_names(stored: Settings, typed: Settings) -> list[str]:
    """The fields that differ, the secret aside."""
    return [known.name for known in fields(Settings) if known.name != "client_secret"
            and (getattr(stored, known.name) or None) != (getattr(typed, known.name) or None)
            and not _same_options(getattr(stored, known.name), getattr(typed, known.name))]


def _same_options(one: Any, other: Any) -> bool:
    """Whether two mappings differ only by blank values."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return False
    return {key: value for key, value in one.items() if value} == {key: value for key, value in other.items() if value}


def _column(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: part for key, part in value.items() if part}
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part)
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _new_secret(app: PlatformApp, typed: Settings) -> bool:
    return bool(typed.client_secret) and typed.client_secret != platform_apps.open_secret(app)


def _set_secret(app: PlatformApp, typed: Settings, user: User, now: datetime) -> bool:
    """Seal a new secret; True if it differs from the stored one."""
    if not _new_secret(app, typed):
        return False
    app.secret_version += 1
    app.secret_sealed = platform_apps.vault().seal(typed.client_secret, *platform_apps.secret_record(app))
    app.secret_last4 = typed.client_secret[-4:] if len(typed.client_secret) >= 12 else ""
    app.secret_changed_at, app.secret_changed_by = now, user.shown
    return True


def _record(app: PlatformApp, words: list[str], before: dict[str, str], replaced: bool,
            now: datetime) -> None:
    """Raise the version and write into the history what changed; of a secret only that it did."""
    first, name = app.version == 0, platform_apps.title(app)
    app.version += 1
    app.updated_at = now
    after = {name: _shown(getattr(stored_settings(app), name)) for name in before}
    summary = "Saved for the first time: " if first else "Changed "
    rest = [word for word in words if word != "client secret"] if replaced and not first else words
    if rest:
        audit.record("platform.saved", SUBJECT, app.id, summary + ", ".join(rest), name=name, before=before,
                     after=after)
    if replaced and not first:
        audit.record("platform.secret_replaced", SUBJECT, app.id, "Replaced the client secret", name=name)


def _repaired(app: PlatformApp, now: datetime) -> None:
    """Other credentials deserve another try: the sign of trouble goes, and what waited for it is due."""
    platform_apps.forget_trouble(app)
    db.session.flush()
    deliveries.release_app(app, now)
    tokens.hurry(app, now)


# ---------------------------------------------------------------- a new generation


def _new_generation(provider: Provider, app: PlatformApp, client_id: str, is_sandbox: bool, now: datetime,
                    confirm: bool) -> int:
    """End what the old app minted, if this is another app. Returns how many profiles that ended."""
    if not app.is_saved or (client_id == app.client_id and is_sandbox == app.is_sandbox):
        return 0
    count = ask_before_new_generation(provider, app, is_sandbox=is_sandbox, confirm=confirm)
    lock(app)  # who comes back from the platform right now finds another generation
    app.generation += 1
    why = f"The app at {provider.name} was replaced by the admin of this console. Reconnect to go on."
    minted = select(Grant).where(Grant.app_id == app.id, Grant.app_generation < app.generation)
    for grant in db.session.scalars(minted.order_by(Grant.id).with_for_update(key_share=True)):
        _end(grant, why, now)
    waiting = select(ConnectionAttempt).where(ConnectionAttempt.app_id == app.id,
                                              ConnectionAttempt.state.in_((STARTED, GRANTED)))
    for attempt in db.session.scalars(waiting):
        attempt.state, attempt.error_code = FAILED, APP_CHANGED
        attempt.error = f"The app at {provider.name} was replaced meanwhile. Nothing was connected. Connect again."
        attempt.verifier_sealed = attempt.consent_sealed = None
    what = f"Another app: {_profiles(count)} to be reconnected" if count else "Another app; no profile hung on it"
    audit.record("platform.replaced", SUBJECT, app.id, what, name=platform_apps.title(app), generation=app.generation,
                 profiles=count)
    return count


def ask_before_new_generation(provider: Provider, app: PlatformApp | None, *, is_sandbox: bool, confirm: bool) -> int:
    """How many profiles another app would end. Raises NeedsConfirmation if there are any and nobody confirmed."""
    count = platform_apps.working_profiles(app) if app is not None else 0
    if app is not None and count and not confirm:
        raise NeedsConfirmation(count, _loss(provider, app, is_sandbox, count))
    return count


def question(provider: Provider, app: PlatformApp | None, client_id: str) -> str:
    """What typing another client ID would end, as a sentence; empty if it ends nothing."""
    if app is None or not app.is_saved or clean(client_id) in ("", app.client_id):
        return ""
    count = platform_apps.working_profiles(app)
    return _loss(provider, app, False, count) if count else ""


def _end(grant: Grant, why: str, now: datetime) -> None:
    """A grant of another app: dead, its tokens erased, its accounts waiting for their people."""
    for account in tokens.session_accounts(grant):
        tokens.expire_account(account, APP_CHANGED, why, now)
        account.own_token_sealed = None
    grant.state, grant.reason, grant.last_error = DEAD, APP_CHANGED, why
    grant.access_sealed = grant.refresh_sealed = None
    grant.due_at = grant.lease_until = grant.rung_until = None
    grant.fence += 1  # an answer that is still under way finds another number


def _loss(provider: Provider, app: PlatformApp, is_sandbox: bool, count: int) -> str:
    what = "another client ID"
    if is_sandbox != app.is_sandbox:
        what = "the sandbox instead of the real platform" if is_sandbox else "the real platform instead of the sandbox"
    return (f"This is {what}: {_profiles(count)} to be reconnected by the people who own them, and their scheduled "
            "posts wait until then. Posts already published stay.")


def _profiles(count: int) -> str:
    return "1 connected profile will have" if count == 1 else f"{count} connected profiles will have"


# ---------------------------------------------------------------- on and off


def turn_on(segment: str, now: datetime) -> PlatformApp:
    """Offer an app to tenants and let go what was held. Raises NotPossible with the reason."""
    provider = platform_apps.provider_at(segment)
    with writing():
        alone(ADMIN)
        app = platform_apps.at(segment)
        why_not = platform_apps.why_not_on(provider, app)
        if why_not or app is None:
            raise NotPossible(why_not)
        if not app.is_on:
            app.is_on, app.updated_at = True, now
            app.off_note, app.off_at, app.off_by = "", None, ""
            released = deliveries.release_platform(app, now)
            audit.record("platform.turned_on", SUBJECT, app.id, "Turned on", name=platform_apps.title(app),
                         released=released)
        return app


def turn_off(segment: str, now: datetime, *, by: str = "", note: str | None = None) -> PlatformApp | None:
    """Take an app away from tenants. Accounts stay and are kept alive, their posts are held.

    `note`: the admin's word to tenants; another one while it is off already takes the place of the first, None leaves
    it. Raises Invalid for one that is too long.
    """
    platform_apps.provider_at(segment)
    note = None if note is None else _clean_note(note)
    with writing():
        alone(ADMIN)
        app = platform_apps.at(segment)
        if app is not None and app.is_on:
            app.is_on, app.updated_at = False, now
            app.off_note, app.off_at, app.off_by = note or "", now, by
            held = deliveries.hold_platform(app, now)
            audit.record("platform.turned_off", SUBJECT, app.id, f"Turned off, saying: {note}" if note else
                         "Turned off", name=platform_apps.title(app), held=held)
        elif app is not None and (app.off_at is not None or note) and note is not None and note != app.off_note:
            app.off_note, app.updated_at = note, now
            if app.off_at is None:  # it was never on
                app.off_at, app.off_by = now, by
            deliveries.hold_platform(app, now)
            audit.record("platform.note_changed", SUBJECT, app.id, f"Off, now saying: {note}" if note else
                         "Off, saying nothing any more", name=platform_apps.title(app))
        return app


def _clean_note(note: str) -> str:
    """One line without characters that no eye sees. Raises Invalid."""
    plain = " ".join("".join(one if one.isprintable() else " " for one in note).split())
    if len(plain) > platform_apps.LONGEST_NOTE:
        raise Invalid({"note": f"The note has {len(plain)} characters; {platform_apps.LONGEST_NOTE} is the most. "
                               "Shorten it."})
    return plain


# ---------------------------------------------------------------- several apps of a platform


def add_app(platform: str, now: datetime, segment: str = "") -> PlatformApp:
    """Make room for one more app of a platform, with an address of its own. Raises NotPossible.

    One that was made and never filled in is given again. `segment`: the address that it shall have, else a free one.
    """
    provider = provider_of(platform)
    with writing():
        alone(ADMIN)
        apps = platform_apps.apps_of(platform)
        if not apps or not apps[0].is_saved:
            raise NotPossible(f"Save the first app of {provider.name} before you add another one.")
        unused = next((app for app in apps[1:] if app.version == 0 and segment in ("", app.segment)), None)
        if unused is not None:
            return unused
        if segment and platform_apps.by_segment(segment) is not None:
            raise NotPossible(f"Another app answers at “{segment}” already. Each needs a callback of its own.")
        app = _new_app(provider, segment or _free_segment(platform), now)
        start = configure_checks.first_settings(provider, {other.mode for other in apps})
        app.mode, app.features = start.mode, list(start.features)
        audit.record("platform.app_added", SUBJECT, app.id, "Added another app", name=provider.name)
        return app


def _free_segment(platform: str) -> str:
    """The next number that no app stands under, nor any alias."""
    return next(segment for segment in (f"{platform}-{number}" for number in itertools.count(2))
                if platform_apps.by_segment(segment) is None)


def remove_app(segment: str, now: datetime) -> str:
    """Forget a further app that is off and that nothing hangs on. Returns what it was called. Raises NotPossible."""
    refuse_managed(segment)
    with writing() as session:
        alone(ADMIN)
        app = platform_apps.at(segment)
        if app is None:
            raise NotPossible("This app is removed already.")
        lock(app)  # nobody begins or finishes to connect through it meanwhile
        row, name = platform_apps.row(segment, now), platform_apps.title(app)
        waits = session.scalar(select(ConnectionAttempt.id).where(
            ConnectionAttempt.app_id == app.id, ConnectionAttempt.state.in_((STARTED, GRANTED))).limit(1))
        if not row.can_be_removed or waits:
            raise NotPossible(_why_it_stays(row, name))
        grants = select(Grant.id).where(Grant.app_id == app.id)
        session.execute(update(Account).where(Account.grant_id.in_(grants)).values(grant_id=None))
        for table in (Grant, ConnectionAttempt):
            session.execute(delete(table).where(table.app_id == app.id))
        audit.record("platform.app_removed", SUBJECT, app.id, "Removed", name=name)
        session.delete(app)
        return name


def _why_it_stays(row: Row, name: str) -> str:
    if not row.is_further:
        return f"{row.provider.name} keeps its first app. Turn it off to stop using it."
    if row.is_on:
        return f"{name} is on. Turn it off first."
    if row.accounts:
        hang = "1 profile hangs on it" if row.accounts == 1 else f"{row.accounts} profiles hang on it"
        return f"{hang}. Disconnect first, or reconnect through another app."
    return f"Somebody is connecting through {name} right now. Try again in half an hour."
