"""Reading accounts: what state they are in, what they can do, what happened to them. Decides nothing."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from flask import abort
from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.orm import joinedload

from . import audit
from .extensions import db
from .models import (
    ACTIVE,
    DISCONNECTED,
    PAUSED,
    TOKEN_EXPIRED,
    Account,
    AuditEvent,
    Delivery,
    Grant,
    PlatformApp,
    Post,
    User,
    Workspace,
)
from .providers import provider as provider_of
from .providers.base import Renewal, Scope, TokenSet
from .providers.oauth2 import connectable
from .times import span

EXPIRING_WITHIN = timedelta(days=14)
DATA_ACCESS = ("data_access_expires_at", "token_data_access_expires_at")  # in a profile's meta, seconds since 1970

NEEDS_PERSON = ("token_expired", "limited", "expiring")  # the status words that call for one
GRANTED_WORD, MISSING_WORD, UNKNOWN_WORD = "granted", "missing", "unknown"


@dataclass(frozen=True)
class Status:
    """The status word of an account, its words for people and why."""

    word: str  # active, expiring, limited, token_expired, paused, disconnected
    label: str
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Ability:
    """Something an account can or cannot do, and the scopes that are missing for it."""

    slug: str
    label: str
    on: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScopeAnswer:
    """One permission we asked for: its purpose, and what the platform answered."""

    name: str
    purpose: str
    answer: str  # granted, missing, unknown


@dataclass(frozen=True)
class Outline:
    """What decides the status of an account, without its tokens and texts: a thousand of them are read in one go."""

    id: str
    platform: str
    kind: str
    display_name: str
    username: str
    state: str
    quiet_until: datetime | None
    has_own_token: bool
    has_grant: bool
    mode: str = ""
    scopes: str = "null"  # JSON: a list, or null where the platform did not tell
    can_refresh: bool = False
    access_ends: datetime | None = None
    refresh_ends: datetime | None = None
    is_app_on: bool = False
    app_quiet_until: datetime | None = None
    app_off_note: str = ""  # an admin's word while the app is off
    app_off_at: datetime | None = None

    @property
    def renews_itself(self) -> bool:
        """Whether the console can keep the account alive without its person."""
        return self.has_grant and (self.has_own_token or self.access_ends is None
                                   or _can_renew(self.platform, self.can_refresh))

    @cached_property
    def ends(self) -> datetime | None:
        """When access ends unless someone acts; None where it does not end."""
        if not self.has_grant or self.has_own_token:
            return None
        return self.refresh_ends if self.renews_itself else self.access_ends

    @cached_property
    def missing_to_publish(self) -> tuple[str, ...]:
        """The scopes without which it cannot publish at all."""
        return _missing_to_publish(self.platform, self.mode, self.kind, self.scopes) if self.has_grant else ()

    def word(self, now: datetime) -> str:
        """The status word."""
        if self.state != ACTIVE:
            return self.state
        if self.missing_to_publish:
            return "limited"
        return "expiring" if self.ends is not None and self.ends <= now + EXPIRING_WITHIN else "active"


@lru_cache(maxsize=64)
def _can_renew(platform: str, can_refresh: bool) -> bool:
    return connectable(platform).renewal_of(TokenSet("-", "-" if can_refresh else None)) is not Renewal.NONE


def outline(found: Account) -> Outline:
    """What decides the status of one account."""
    grant = found.grant
    own = found.own_token_sealed is not None
    plain = (found.id, found.platform, found.kind, found.display_name, found.username, found.state, found.quiet_until,
             own)
    if grant is None:
        return Outline(*plain, False)
    return Outline(*plain, True, grant.app.mode, json.dumps(grant.scopes_granted), grant.refresh_sealed is not None,
                   grant.access_expires_at, grant.refresh_expires_at, grant.app.is_on, grant.app.quiet_until,
                   grant.app.off_note, grant.app.off_at)


# What an Outline is made of, in its order.
_OUTLINE = (
    Account.id, Account.platform, Account.kind, Account.display_name, Account.username, Account.state,
    Account.quiet_until, Account.own_token_sealed.is_not(None), Grant.id.is_not(None),
    func.coalesce(PlatformApp.mode, ""), func.coalesce(cast(Grant.scopes_granted, Text), "null"),
    Grant.refresh_sealed.is_not(None), Grant.access_expires_at, Grant.refresh_expires_at,
    func.coalesce(PlatformApp.is_on, False), PlatformApp.quiet_until, func.coalesce(PlatformApp.off_note, ""),
    PlatformApp.off_at)


def outlines(workspace: Workspace) -> list[Outline]:
    """All accounts of a workspace by platform and name, each as far as its status needs it. One query."""
    rows = db.session.execute(
        select(*_OUTLINE)
        .outerjoin(Grant, Account.grant_id == Grant.id).outerjoin(PlatformApp, Grant.app_id == PlatformApp.id)
        .where(Account.workspace_id == workspace.id)
        .order_by(Account.platform, Account.display_name, Account.id))
    return [Outline(*row) for row in rows]


def outlined(*conditions: ColumnElement[bool]) -> list[tuple[Outline, Workspace]]:
    """The accounts of all workspaces that meet conditions on Account, Grant and PlatformApp, each with its own."""
    rows: Iterable[Any] = db.session.execute(
        select(*_OUTLINE, Workspace)
        .join(Grant, Account.grant_id == Grant.id).join(PlatformApp, Grant.app_id == PlatformApp.id)
        .join(Workspace, Account.workspace_id == Workspace.id).where(*conditions).order_by(Account.id))
    return [(Outline(*row[:-1]), row[-1]) for row in rows]


def may_end_before(instant: datetime) -> ColumnElement[bool]:
    """Of a Grant: whether it may end by then, as far as a statement can tell; `Outline.ends` says whether it does."""
    return or_(Grant.refresh_expires_at <= instant,
               and_(Grant.refresh_sealed.is_(None), Grant.access_expires_at <= instant))


def accounts(workspace: Workspace, *, connected: bool | None = None) -> list[Account]:
    """The accounts of a workspace, those that need a person first. `connected=False`: history only."""
    query = select(Account).where(Account.workspace_id == workspace.id).options(
        joinedload(Account.grant).joinedload(Grant.app))
    if connected is not None:
        query = query.where((Account.state != DISCONNECTED) if connected else (Account.state == DISCONNECTED))
    found = db.session.scalars(query.order_by(Account.platform, Account.display_name, Account.id)).all()
    order = {TOKEN_EXPIRED: 0, ACTIVE: 1, PAUSED: 2, DISCONNECTED: 3}
    return sorted(found, key=lambda account: order[account.state])


def account(workspace: Workspace, account_id: str) -> Account:
    """One account of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Account).where(Account.workspace_id == workspace.id, Account.id == account_id))
    if found is None:
        abort(404)
    return found


def some(workspace: Workspace, ids: Sequence[str]) -> list[Account]:
    """These accounts of a workspace, in the order of the ids; those that are not there are left out."""
    found = {one.id: one for one in db.session.scalars(
        select(Account).where(Account.workspace_id == workspace.id, Account.id.in_(ids)).options(
            joinedload(Account.grant).joinedload(Grant.app)))}
    return [found[one] for one in ids if one in found]


def needs_count(lines: Sequence[Outline], now: datetime) -> int:
    """How many of these accounts only a person can mend."""
    return sum(one.word(now) in NEEDS_PERSON for one in lines)


def wanted_scopes(found: Account) -> tuple[Scope, ...]:
    """The scopes that were asked for when the account was connected, with their purpose."""
    grant = found.grant
    if grant is None:
        return ()
    provider = provider_of(found.platform)
    mode = grant.app.mode
    known = {scope.name: scope for scope in provider.default_scopes(
        mode, tuple(feature.slug for feature in provider.features_of(mode)))}
    names = grant.scopes_asked.replace(",", " ").split()
    return tuple(known.get(name, Scope(name, "Added by the admin of this console", "")) for name in names)


def scopes(found: Account) -> list[ScopeAnswer]:
    """Each permission asked for and what the platform answered."""
    grant = found.grant
    if grant is None or found.state == DISCONNECTED:
        return []
    given = None if grant.scopes_granted is None else set(grant.scopes_granted)
    return [ScopeAnswer(scope.name, scope.purpose,
                        UNKNOWN_WORD if given is None else GRANTED_WORD if scope.name in given else MISSING_WORD)
            for scope in wanted_scopes(found)]


def missing_of(needed: Sequence[str], granted: Sequence[str] | None) -> tuple[str, ...]:
    """Those of the scopes that were not given; none where the platform did not tell."""
    return () if granted is None else tuple(name for name in needed if name not in granted)


def not_granted(lacking: Sequence[str]) -> str:
    """Those scopes in words: `a was not granted`, `a, b were not granted`."""
    return f"{', '.join(lacking)} {'was' if len(lacking) == 1 else 'were'} not granted"


def missing_to_publish(found: Account) -> tuple[str, ...]:
    """The scopes without which an account cannot publish at all."""
    return outline(found).missing_to_publish


@lru_cache(maxsize=1024)
def _missing_to_publish(platform: str, mode: str, kind: str, scopes: str) -> tuple[str, ...]:
    granted, provider = json.loads(scopes), provider_of(platform)
    lacking = missing_of(provider.needs_to_publish(mode, kind), granted)
    formats = [missing_of(one.needs, granted) for one in provider.formats_of(mode, kind)]
    return lacking or (formats[0] if formats and all(formats) else ())


def abilities(found: Account) -> list[Ability]:
    """What the account can do: publish, and the features that the admin turned on."""
    grant = found.grant
    if grant is None:
        return []
    provider, mode = provider_of(found.platform), grant.app.mode
    missing = missing_to_publish(found)
    result = [Ability("publish", "Publish", not missing, missing)]
    for feature in provider.features_of(mode):
        if feature.slug not in grant.app.features:
            continue
        lacking = tuple(scope.name for scope in feature.scopes
                        if grant.scopes_granted is not None and scope.name not in grant.scopes_granted)
        result.append(Ability(feature.slug, feature.label, not lacking, lacking))
    return result


def renews_itself(found: Account) -> bool:
    """Whether the console can keep the account alive without its person."""
    return outline(found).renews_itself


def token_ends(found: Account) -> datetime | None:
    """When access ends unless someone acts; None where it does not end."""
    return outline(found).ends


def next_renewal(found: Account) -> datetime | None:
    """When the console renews by itself next; None where it does not."""
    grant = found.grant
    return grant.due_at if grant is not None and found.own_token_sealed is None and renews_itself(found) else None


def status(found: Account, now: datetime) -> Status:
    """The one status of an account, as shown everywhere."""
    seen = outline(found)
    word = seen.word(now)
    if word == DISCONNECTED:
        return Status("disconnected", "Disconnected", found.revoked_note)
    if word == TOKEN_EXPIRED:
        return Status("token_expired", "Reconnect needed", found.reason_text)
    if word == PAUSED:
        return Status("paused", "Paused", f"Paused by {found.state_by}. Nothing is published, the connection is kept "
                                          "alive.")
    if word == "limited":
        lacking = seen.missing_to_publish
        return Status("limited", "Limited", f"Can’t publish: {not_granted(lacking)}. Reconnect asks for "
                                            f"{'it' if len(lacking) == 1 else 'them'} again.")
    ends = seen.ends
    if word == "expiring" and ends is not None:
        name = provider_of(found.platform).name
        return Status("expiring", f"Expires in {span(ends - now)}",
                      f"{name} lets the console renew only with you. Reconnect before then and nothing stops.", ends)
    return Status("active", "Active", until=ends)


def notice(found: Account, now: datetime) -> str:
    """What the platform said about this profile that its person should know; empty where there is nothing."""
    said = found.meta.get("notice")
    if isinstance(said, str) and said:
        return said
    at = data_access_ends(found, now)
    if at is not None:
        when = "ran out" if at <= now else f"ends on {at.day} {at:%b %Y}"
        return (f"{provider_of(found.platform).name} counts a permission as unused after 90 days: access to data "
                f"{when}. Reconnect renews it; publishing may go on meanwhile.")
    return ""


def data_access_ends(found: Account, now: datetime) -> datetime | None:
    """When the platform stops giving data about a profile, if that is over or near; else None."""
    for key in DATA_ACCESS:
        ends = found.meta.get(key)
        if isinstance(ends, int) and not isinstance(ends, bool) and 0 < ends < 2**37:  # years that a date can have
            at = datetime.fromtimestamp(ends, UTC)
            return at if at - now <= EXPIRING_WITHIN else None
    return None


def history(found: Account, limit: int = 20) -> list[AuditEvent]:
    """What happened to an account and its token, newest first."""
    subjects = [("account", found.id)] + ([("grant", found.grant_id)] if found.grant_id else [])
    return audit.events(workspace_id=found.workspace_id, subjects=subjects, limit=limit)


def recent(found: Account, limit: int = 5) -> list[Delivery]:
    """The newest deliveries of an account."""
    return list(db.session.scalars(
        select(Delivery).join(Post).where(Delivery.account_id == found.id)
        .order_by(Delivery.scheduled_for.desc()).limit(limit)))


def siblings(found: Account) -> list[Account]:
    """The other connected accounts that live by the same Grant."""
    return list(db.session.scalars(select(Account).where(
        Account.grant_id == found.grant_id, Account.id != found.id, Account.state != DISCONNECTED))) \
        if found.grant_id else []


def actor(user: User | None) -> str:
    """The name under which a change is kept."""
    return user.shown if user is not None else "the console"
