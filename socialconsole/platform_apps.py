"""The app of a platform as the rest of the console sees it: its facts, its callback, what is wrong with it.

Nothing is cached beyond one request, so that a change by an admin holds at once in every process. Changing an
app is in `configure.py`; connections, tokens and publishing read from here, and none of them is imported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from flask import current_app, g, has_request_context
from sqlalchemy import func, select

from . import audit
from .config import Config
from .database import writing
from .extensions import db
from .models import ACTIVE, BY_CHECK, DISCONNECTED, PAUSED, Account, AuditEvent, Grant, PlatformApp
from .providers import PROVIDERS
from .providers import provider as provider_of
from .providers.app_check import NOT_WHICH
from .providers.base import App, Provider, Scope
from .providers.verdicts import WRONG, WRONG_ID
from .times import exact
from .vault import Vault

NONE, READY, ON, ATTENTION = "none", "ready", "on", "attention"
SUBJECT = "platform_app"  # of audit events
OUR_CALLBACK = re.compile(r"/api/connect/([a-z0-9][a-z0-9_-]{0,39})/callback/?")


@dataclass(frozen=True)
class Row:
    """One platform in the admin's list: how it stands, why, and whether it may be turned on."""

    provider: Provider
    app: PlatformApp | None
    state: str  # none, ready, on, attention
    label: str
    why: str
    accounts: int
    can_turn_on: bool
    why_not: str
    further: tuple["Row", ...] = ()  # the other apps of this platform; only beside its first one

    @property
    def segment(self) -> str:
        """What stands for this app in addresses."""
        return self.app.segment if self.app is not None else self.provider.slug

    @property
    def title(self) -> str:
        """The platform, and the app where there are several."""
        return title(self.app) if self.app is not None else self.provider.name

    @property
    def label_of_app(self) -> str:
        """What tells this app from the platform's others."""
        return label_of(self.app) if self.app is not None else ""

    @property
    def is_further(self) -> bool:
        """Whether it stands beside the platform's first app."""
        return self.segment != self.provider.slug

    @property
    def apps(self) -> tuple["Row", ...]:
        """All apps of the platform, this one first."""
        return (self, *self.further)

    @property
    def wrong_part(self) -> str:
        """What the platform refused when it was last asked: the id, the secret, or either where it does not say."""
        if self.app is None or self.app.check_verdict not in WRONG:
            return ""
        client_id, secret = self.provider.client_id_label, self.provider.client_secret_label
        if NOT_WHICH in self.app.check_message:
            return f"{client_id} or {secret}"
        return client_id if self.app.check_verdict == WRONG_ID else secret

    @property
    def can_be_removed(self) -> bool:
        """Whether the app may go: a further one that is off and that nothing hangs on."""
        return self.is_further and not self.is_on and not self.accounts

    @property
    def is_on(self) -> bool:
        """Whether tenants see the platform."""
        return self.app is not None and self.app.is_on


@dataclass(frozen=True)
class CallbackChange:
    """The callback is no longer the one that was shown when the app was last saved."""

    before: str
    now: str
    profiles: int

    def __str__(self) -> str:
        return (f"The callback changed since it was saved, from {self.before} to {self.now}. Register the "
                "new one at the platform, then save here again. "
                f"{_profiles(self.profiles)} until it is registered.")


def _profiles(count: int) -> str:
    if count == 0:
        return "Nobody can connect"
    what = "1 connected profile keeps working but cannot reconnect" if count == 1 else \
        f"{count} connected profiles keep working but cannot reconnect"
    return f"Nobody new can connect and {what}"


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


def vault() -> Vault:
    """The vault of this process."""
    found: Vault = current_app.extensions["vault"]
    return found


# ---------------------------------------------------------------- finding an app


def app_of(platform: str) -> PlatformApp | None:
    """The first app of a platform, None until it is saved for the first time."""
    return db.session.scalar(
        select(PlatformApp).where(PlatformApp.platform == platform)
        .order_by(PlatformApp.segment != platform, PlatformApp.created_at, PlatformApp.id).limit(1))


def apps_of(platform: str) -> list[PlatformApp]:
    """All apps of a platform, the first one first."""
    return list(db.session.scalars(
        select(PlatformApp).where(PlatformApp.platform == platform)
        .order_by(PlatformApp.segment != platform, PlatformApp.created_at, PlatformApp.id)))


def at(segment: str) -> PlatformApp | None:
    """The app with this very segment; None for one that is not there, or not saved yet."""
    return db.session.scalar(select(PlatformApp).where(PlatformApp.segment == segment))


def provider_at(segment: str) -> Provider:
    """The platform that a segment belongs to. Raises KeyError for one that belongs to none."""
    app = at(segment)
    return provider_of(app.platform if app is not None else segment)


def label_of(app: PlatformApp) -> str:
    """What tells an app from others of its platform: its name, else its kind of use, numbered where that is shared."""
    if app.name:
        return app.name
    kind = {mode.slug: mode.label for mode in provider_of(app.platform).modes}.get(app.mode, "")
    alike = any(other.id != app.id and other.is_saved and not other.name and other.mode == app.mode
                for other in apps_of(app.platform))
    if kind and not alike:
        return kind
    number = app.segment.removeprefix(app.platform).removeprefix("-") or "1"
    return f"{kind}, app {number}" if kind else f"App {number}"


def title(app: PlatformApp) -> str:
    """The platform's name, and the app's where the platform has several."""
    name = provider_of(app.platform).name
    return f"{name} · {label_of(app)}" if len(apps_of(app.platform)) > 1 else name


def is_open_to(app: PlatformApp, workspace_id: str) -> bool:
    """Whether a workspace may connect through this app now."""
    return app.is_on and app.is_saved and (not app.workspace_ids or workspace_id in app.workspace_ids)


def by_segment(segment: str) -> PlatformApp | None:
    """The app whose callback carries this segment: its own, or the alias in its callback override."""
    app = db.session.scalar(select(PlatformApp).where(PlatformApp.segment == segment))
    if app is not None:
        return app
    overridden = db.session.scalars(select(PlatformApp).where(PlatformApp.callback_override != ""))
    return next((found for found in overridden if alias_of(found.callback_override) == segment), None)


def alias_of(callback: str) -> str:
    """The segment that a callback override carries; empty if its path is not one of ours."""
    try:
        path = urlsplit(callback).path
    except ValueError:
        return ""  # no address at all: whoever checks what was typed says so
    match = OUR_CALLBACK.search(path)
    return match.group(1) if match and path.endswith(match.group(0)) else ""


# ---------------------------------------------------------------- facts of an app


def callback_url(app: PlatformApp | str) -> str:
    """The callback of an app, or of a platform without one yet: shown, and sent to authorize and token."""
    if isinstance(app, str):
        return _config().callback_url(app)
    return app.callback_override or _config().callback_url(app.segment)


def called_addresses(provider: Provider, segment: str) -> dict[str, str]:
    """Where the platform calls or fetches from us, by what it is for: deauthorize, deletion, webhook, media."""
    home = _config().callback_url(segment).removesuffix("callback")
    found = {purpose: home + purpose for purpose in provider.calls_back}
    return {**found, "media": f"{_config().public_url}/media/"} if provider.serves_files else found


def default_scopes(provider: Provider, mode: str, features: list[str] | tuple[str, ...]) -> tuple[Scope, ...]:
    """What the console asks for by itself in this mode with these features."""
    return provider.default_scopes(mode, tuple(features))


def default_scope_string(provider: Provider, mode: str, features: list[str] | tuple[str, ...]) -> str:
    """The default scopes, joined the way the platform wants them."""
    return provider.scope_separator.join(scope.name for scope in default_scopes(provider, mode, features))


def scope_string(app: PlatformApp) -> str:
    """The scopes exactly as they are sent: the override as it was typed, else the default ones joined."""
    if app.scope_override.strip():
        return app.scope_override
    return default_scope_string(provider_of(app.platform), app.mode, app.features)


def facts(app: PlatformApp) -> App:
    """What the provider may know of this app, the secret opened. Raises vault.Unreadable."""
    provider = provider_of(app.platform)
    version = provider.api_version
    return App(
        client_id=app.client_id,
        client_secret=open_secret(app),
        redirect_uri=callback_url(app),
        scopes=scope_string(app),
        mode=app.mode,
        api_version=app.api_version or (version.default if version else ""),
        options=dict(app.options),
        hosts=hosts(app),
        id=app.id,
    )


def hosts(app: PlatformApp) -> dict[str, str]:
    """The named hosts of the platform: the real ones, or the sandbox's for an app that was made there."""
    return provider_of(app.platform).base_addresses(_config().sandbox_url if app.is_sandbox else None)


def is_reachable(app: PlatformApp) -> bool:
    """Whether the platform behind an app can be called at all: a sandbox app needs the sandbox."""
    return not app.is_sandbox or bool(_config().sandbox)


def open_secret(app: PlatformApp) -> str:
    """The client secret, empty where none is saved. Raises vault.Unreadable."""
    return vault().open(app.secret_sealed, *secret_record(app)) if app.secret_sealed else ""


def secret_record(app: PlatformApp) -> tuple[str, ...]:
    """The identity that the sealed secret of an app is bound to."""
    return ("secret", "platform_app", app.id, str(app.secret_version))


def authorize_origins() -> list[str]:
    """Where the platforms that are on take a person for consent, and where they send that person back to.

    The content policy has to list them: a browser stops a form that is redirected to any other place.
    """
    if has_request_context() and "authorize_origins" in g:
        return list(g.authorize_origins)
    found: set[str] = set()
    for app in db.session.scalars(select(PlatformApp).where(PlatformApp.is_on.is_(True))):
        found.add(_origin(hosts(app)[provider_of(app.platform).authorize_of(app.mode)[0]]))
        if app.callback_override:
            found.add(_origin(app.callback_override))
    if has_request_context():
        g.authorize_origins = sorted(found)
    return sorted(found)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


# ---------------------------------------------------------------- turned off

LONGEST_NOTE = 500


def why_off(app: PlatformApp, zone: str) -> str:
    """Why nothing goes out through an app that is off, for tenants: who did it, since when, and what they say."""
    return off_words(provider_of(app.platform).name, app.off_note, app.off_at, zone)


def off_words(name: str, note: str, at: datetime | None, zone: str) -> str:
    """The sentence of a platform that is off; `note` is the admin's own word, `at` may not be known."""
    since = f" on {exact(at, zone)}" if at is not None else ""
    said = f" The administrator says: “{note}”" if note else ""
    return f"{name} was turned off in this console{since}.{said}"


# ---------------------------------------------------------------- how the platforms stand


def overview(now: datetime) -> list[Row]:
    """All platforms in the order people know them, configured or not."""
    apps: dict[str, list[PlatformApp]] = {slug: [] for slug in PROVIDERS}
    for app in db.session.scalars(select(PlatformApp).order_by(
            PlatformApp.segment != PlatformApp.platform, PlatformApp.created_at, PlatformApp.id)):
        apps[app.platform].append(app)
    counts = accounts_by_app()
    return [_platform_row(provider, apps[slug], counts, now) for slug, provider in PROVIDERS.items()]


def platform_row(platform: str, now: datetime) -> Row:
    """How one platform stands, with all its apps."""
    return _platform_row(provider_of(platform), apps_of(platform), accounts_by_app(), now)


def _platform_row(provider: Provider, apps: list[PlatformApp], counts: Mapping[str, int], now: datetime) -> Row:
    first, *others = [row_of(provider, app, counts, now) for app in apps] or [row_of(provider, None, counts, now)]
    return replace(first, further=tuple(others))


def row(segment: str, now: datetime) -> Row:
    """How one app stands. Raises KeyError for a segment that belongs to no platform."""
    return row_of(provider_at(segment), at(segment), accounts_by_app(), now)


def row_of(provider: Provider, app: PlatformApp | None, counts: Mapping[str, int], now: datetime) -> Row:
    """How a platform stands with the app it has."""
    why_not = why_not_on(provider, app)
    state, label, why = _standing(provider, app, why_not)
    accounts = counts.get(app.id, 0) if app else 0
    return Row(provider, app, state, label, why, accounts, not why_not, why_not)


def _standing(provider: Provider, app: PlatformApp | None, why_not: str) -> tuple[str, str, str]:
    if app is None or not app.is_saved:
        return NONE, "Not configured", why_not
    if app.trouble:
        return ATTENTION, "Needs attention", app.trouble
    change = callback_change(app)
    if change is not None:
        return ATTENTION, "Needs attention", str(change)
    if app.is_on:
        return ON, "On", "Tenants can connect it." + _with_sandbox(app)
    if why_not:
        return READY, "Saved", why_not
    if working_profiles(app):
        waits = "Its profiles stay connected, and their posts wait until it is on again."
        return READY, "Off", waits + _with_sandbox(app)
    return READY, "Ready", "Saved. Turn it on when tenants may connect." + _with_sandbox(app)


def _with_sandbox(app: PlatformApp) -> str:
    return " It speaks to the sandbox, nothing is posted in public." if app.is_sandbox else ""


def why_not_on(provider: Provider, app: PlatformApp | None) -> str:
    """Why a platform cannot be turned on; empty if it can."""
    if not provider.connectable:
        return f"This version cannot connect {provider.name} yet."
    if app is None or not app.is_saved:
        return f"Save {provider.client_id_label} and {provider.client_secret_label} first."
    return mode_problem(provider, app.mode)


def mode_problem(provider: Provider, mode: str) -> str:
    """Why this mode cannot be used yet; empty if it can."""
    if not provider.connectable or provider.can_connect(mode):
        return ""
    label = next((known.label for known in provider.modes if known.slug == mode), mode)
    return f"This version cannot connect {provider.name} as “{label}” yet."


def callback_change(app: PlatformApp) -> CallbackChange | None:
    """Set when the callback is not the one that the app was saved with, as after a changed public address."""
    present = callback_url(app)
    if not app.is_saved or not app.callback_saved or app.callback_saved == present:
        return None
    return CallbackChange(app.callback_saved, present, working_profiles(app))


def accounts_by_app() -> dict[str, int]:
    """How many connected accounts, of all workspaces, hang on each app."""
    rows = db.session.execute(
        select(Grant.app_id, func.count(Account.id)).join(Account, Account.grant_id == Grant.id)
        .where(Account.state != DISCONNECTED).group_by(Grant.app_id))
    return {app_id: count for app_id, count in rows}


def working_profiles(app: PlatformApp) -> int:
    """How many accounts of all workspaces would need a reconnect if this app were replaced."""
    return db.session.scalar(
        select(func.count(Account.id)).join(Grant, Account.grant_id == Grant.id)
        .where(Grant.app_id == app.id, Account.state.in_((ACTIVE, PAUSED)))) or 0


def history(app: PlatformApp, limit: int = 20) -> list[AuditEvent]:
    """What was changed on this app and what troubled it, newest first."""
    return audit.events(subjects=[(SUBJECT, app.id)], limit=limit)


# ---------------------------------------------------------------- trouble that workers meet


def flag(app_id: str, message: str, code: str, now: datetime) -> None:
    """Tell the admin that the platform refuses this app. The same trouble again changes nothing."""
    with writing():
        app = db.session.get(PlatformApp, app_id)
        if app is None or _says(app, message, code):
            return
        db.session.flush()  # reading the row afresh must not lose what the caller changed in it
        app = _if_free(app_id)
        if app is None or _says(app, message, code):  # another process was quicker
            return
        app.trouble, app.trouble_code, app.trouble_at = message, code, now
        if not code.startswith(BY_CHECK):
            app.check_due_at = now  # whether id and secret are the reason, a check tells
        name = provider_of(app.platform).name
        audit.record("platform.trouble", SUBJECT, app.id, message, name=name, code=code)


def _says(app: PlatformApp, message: str, code: str) -> bool:
    return app.trouble == message and app.trouble_code == code


def version_ended(app: App, instead: str, sentence: str) -> None:
    """A platform ended the API version of an app: from now on it calls by the one that works; the admin reads so."""
    with writing():
        row = db.session.get(PlatformApp, app.id, populate_existing=True, with_for_update={"key_share": True})
        if row is None or facts(row).api_version != app.api_version:
            return  # somebody chose another one meanwhile
        row.api_version = instead
        audit.record("platform.version_ended", SUBJECT, row.id, f"{sentence} It is used from now on.",
                     name=provider_of(row.platform).name, before=app.api_version, after=instead)


def clear_flag(app_id: str) -> None:
    """The platform accepts this app again. A breaker that is open closes by its own probe only."""
    app = db.session.get(PlatformApp, app_id)
    if app is None or not app.trouble or app.breaker_opened_at is not None:
        return
    with writing():
        db.session.flush()
        app = _if_free(app_id)
        if app is not None and app.trouble and app.breaker_opened_at is None:
            forget_trouble(app)
            name = provider_of(app.platform).name
            audit.record("platform.works_again", SUBJECT, app.id, f"{name} accepts the app again", name=name)


def _if_free(app_id: str) -> PlatformApp | None:
    """The app, kept from others; None if it is gone, or if somebody has it in hand: then they say how it stands.

    Many workers may meet the same trouble, in the middle of their own rows: nobody shall wait for the others here.
    """
    return db.session.get(PlatformApp, app_id, populate_existing=True,
                          with_for_update={"skip_locked": True, "key_share": True})


def forget_trouble(app: PlatformApp) -> None:
    """Take the sign of trouble off, and close the breaker. Inside `writing()`."""
    app.trouble, app.trouble_code, app.trouble_at = "", "", None
    app.breaker_opened_at = app.breaker_until = app.breaker_probe_until = None
    app.breaker_trips, app.breaker_scope = 0, ""
