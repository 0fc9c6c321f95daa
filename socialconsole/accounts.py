"""Reading accounts: what state they are in, what they can do, what happened to them. Decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import abort
from sqlalchemy import select

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
    Post,
    User,
    Workspace,
)
from .outside import now as present
from .providers import provider as provider_of
from .providers.base import Renewal, Scope, TokenSet
from .providers.oauth2 import connectable
from .times import span

EXPIRING_WITHIN = timedelta(days=14)
DATA_ACCESS = ("data_access_expires_at", "token_data_access_expires_at")  # in a profile's meta, seconds since 1970

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


def accounts(workspace: Workspace, *, connected: bool | None = None) -> list[Account]:
    """The accounts of a workspace, those that need a person first. `connected=False`: history only."""
    query = select(Account).where(Account.workspace_id == workspace.id)
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


def needs_person(workspace: Workspace, now: datetime | None = None) -> list[Account]:
    """The accounts that only a person can mend."""
    moment = now or present()
    return [found for found in accounts(workspace, connected=True)
            if status(found, moment).word in ("token_expired", "limited", "expiring")]


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


def missing_to_publish(found: Account) -> tuple[str, ...]:
    """The scopes without which an account cannot publish at all."""
    grant = found.grant
    if grant is None:
        return ()
    provider, mode = provider_of(found.platform), grant.app.mode
    lacking = missing_of(provider.needs_to_publish(mode, found.kind), grant.scopes_granted)
    formats = [missing_of(one.needs, grant.scopes_granted) for one in provider.formats_of(mode, found.kind)]
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
    grant = found.grant
    if grant is None:
        return False
    if found.own_token_sealed is not None or grant.access_expires_at is None:
        return True
    held = TokenSet("-", "-" if grant.refresh_sealed else None)
    return connectable(found.platform).renewal_of(held) is not Renewal.NONE


def token_ends(found: Account) -> datetime | None:
    """When access ends unless someone acts; None where it does not end."""
    if found.grant is None or found.own_token_sealed is not None:
        return None
    if renews_itself(found):
        return found.grant.refresh_expires_at
    return found.grant.access_expires_at


def next_renewal(found: Account) -> datetime | None:
    """When the console renews by itself next; None where it does not."""
    grant = found.grant
    return grant.due_at if grant is not None and found.own_token_sealed is None and renews_itself(found) else None


def status(found: Account, now: datetime) -> Status:
    """The one status of an account, as shown everywhere."""
    if found.state == DISCONNECTED:
        return Status("disconnected", "Disconnected", found.revoked_note)
    if found.state == TOKEN_EXPIRED:
        return Status("token_expired", "Reconnect needed", found.reason_text)
    if found.state == PAUSED:
        return Status("paused", "Paused", f"Paused by {found.state_by}. Nothing is published, the connection is kept "
                                          "alive.")
    lacking = next((ability for ability in abilities(found) if ability.slug == "publish" and not ability.on), None)
    if lacking:
        names = ", ".join(lacking.missing)
        return Status("limited", "Limited", f"Can’t publish: {names} was not granted. Reconnect asks for it again.")
    ends = token_ends(found)
    if ends is not None and ends - now <= EXPIRING_WITHIN:
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
        if isinstance(ends, int) and not isinstance(ends, bool) and 0 < ends < 2**40:
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
