"""Canaries: an admin's own profile of each platform, read and renewed more often than any other.

What breaks at a platform, or in our app there, shows at the canary before it meets the profiles of workspaces. Which
profile it is, and how the last readings went, stands in one row of Installation for each platform. Nothing is
published with it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import joinedload

from . import audit, tokens
from .accounts import actor
from .database import took, writing
from .errors import PlatformError
from .extensions import db
from .models import (
    ACTIVE,
    LIVE,
    PAUSED,
    TOKEN_EXPIRED,
    Account,
    Grant,
    Installation,
    Membership,
    User,
    Workspace,
)
from .providers import PROVIDERS
from .providers import provider as provider_of
from .times import exact

READ_EVERY = timedelta(minutes=15)
RENEW_EVERY = timedelta(hours=25)  # some platforms exchange no token that is younger than a day
FAILURES = 2  # in a row, from which on somebody is told: one alone may be a hiccup
UTC = "UTC"
SILENT_AFTER = timedelta(hours=1)  # then it is not the platform, but nobody who asks
MOST_OFFERED = 100


@dataclass(frozen=True)
class Canary:
    """Which profile is read for a platform, since when, and what the failed readings since the last good one said."""

    platform: str
    account_id: str
    by: str = ""
    since: str = ""  # ISO 8601, as all instants here
    rung_at: str = ""  # when it was last made due
    failing_since: str = ""
    failures: int = 0
    why: str = ""
    code: str = ""

    def dump(self) -> str:
        """As it is kept."""
        kept = asdict(self)
        del kept["platform"]
        return json.dumps(kept, sort_keys=True)


@dataclass(frozen=True)
class Choice:
    """A profile that an admin may make the canary of its platform."""

    account_id: str
    label: str


@dataclass(frozen=True)
class Line:
    """How a canary does. `tone`: ok, warn, bad, info (none is chosen, or it is off).

    `text` and `step`, what is wrong and what helps, are empty where it does well.
    """

    platform: str
    name: str  # of the platform
    tone: str
    text: str
    step: str = ""
    note: str = ""  # what a reading costs
    account_id: str = ""
    profile: str = ""
    workspace_id: str = ""
    read_at: datetime | None = None
    renewed_at: datetime | None = None
    choices: tuple[Choice, ...] = field(default=())


class NotOffered(ValueError):
    """The profile is none that this admin may choose."""


# ---------------------------------------------------------------- what is kept


def _key(platform: str) -> str:
    return f"canary.{platform}"


def _read(row: Installation | None, platform: str) -> Canary | None:
    return Canary(platform, **json.loads(row.text)) if row is not None and row.text else None


def of(platform: str) -> Canary | None:
    """The canary of a platform, if one was chosen."""
    return _read(db.session.get(Installation, _key(platform), populate_existing=True), platform)


def everywhere() -> dict[str, Canary]:
    """All canaries, by platform. One statement."""
    rows = {row.name: row for row in db.session.scalars(
        select(Installation).where(Installation.name.in_([_key(slug) for slug in PROVIDERS]))
        .execution_options(populate_existing=True))}
    found = {slug: _read(rows.get(_key(slug)), slug) for slug in PROVIDERS}
    return {slug: one for slug, one in found.items() if one is not None}


def _keep(canary: Canary) -> None:
    db.session.merge(Installation(name=_key(canary.platform), text=canary.dump()))


# ---------------------------------------------------------------- choosing


def offered(user: User) -> dict[str, tuple[Choice, ...]]:
    """The profiles of an admin's own workspaces that still work, by platform. One statement."""
    rows = db.session.execute(
        select(Account.id, Account.platform, Account.display_name, Account.username, Workspace.name)
        .join(Workspace, Workspace.id == Account.workspace_id)
        .join(Membership, Membership.workspace_id == Account.workspace_id)
        .where(Membership.user_id == user.id, Account.state.in_((ACTIVE, PAUSED, TOKEN_EXPIRED)))
        .order_by(Account.platform, Account.display_name, Account.id))
    found: dict[str, tuple[Choice, ...]] = {}
    for account_id, platform, display_name, username, workspace in rows:
        known = found.get(platform, ())
        if len(known) < MOST_OFFERED:
            found[platform] = (*known, Choice(account_id, f"{display_name or username} ({workspace})"))
    return found


def choose(user: User, platform: str, account_id: str, now: datetime) -> Canary | None:
    """Make a profile the canary of its platform, read at once; an empty id ends it. What is so already stays as it is.

    Raises NotOffered for a profile that is not one of the admin's own, or of another platform.
    """
    with writing() as session:
        known = of(platform)
        if (known.account_id if known is not None else "") == account_id:
            return known
        name = provider_of(platform).name
        if not account_id:
            row = session.get(Installation, _key(platform))
            if row is not None:
                session.delete(row)
            audit.record("canary.ended", "installation", _key(platform), f"{name} has no canary any more")
            return None
        if account_id not in [one.account_id for one in offered(user).get(platform, ())]:
            raise NotOffered("Choose one of your own profiles.")
        chosen = Canary(platform, account_id, actor(user), now.isoformat())
        _keep(chosen)
        audit.record("canary.chosen", "installation", _key(platform), f"{name} has a canary")
    return chosen


# ---------------------------------------------------------------- the timer


def ring_due(now: datetime) -> int:
    """Make the reading, and once a day the renewal, of each canary due whose turn it is; returns how many were.

    Each at most once in a quarter of an hour, whatever else put a reading off: a platform that asks to wait is not
    pressed.
    """
    turns = [one for one in everywhere().values() if _is_due(one, now)]
    if not turns:
        db.session.commit()
        return 0
    with writing() as session:
        rung = 0
        for one in turns:
            again = of(one.platform)
            if again is None or again.account_id != one.account_id or not _is_due(again, now):
                continue  # another ticker was here
            _keep(replace(again, rung_at=now.isoformat()))
            account = session.get(Account, one.account_id)
            if account is None or account.state not in (ACTIVE, PAUSED):
                continue
            rung += took(update(Account).where(
                Account.id == one.account_id, or_(Account.sync_due_at.is_(None), Account.sync_due_at > now))
                .values(sync_due_at=now, rung_until=None))
            if account.grant is not None and _is_renewed_now(account.grant, now):
                tokens.ask_renewal(account.grant, now)
    return rung


def _is_due(canary: Canary, now: datetime) -> bool:
    if not canary.rung_at:
        return True
    waited = now - datetime.fromisoformat(canary.rung_at)
    return not timedelta(0) <= waited < READ_EVERY  # a clock that went back counts as due


def _is_renewed_now(grant: Grant, now: datetime) -> bool:
    return (grant.state == LIVE and grant.refresh_sealed is not None
            and now - (grant.renewed_at or grant.granted_at) >= RENEW_EVERY)


def was_read(account: Account) -> None:
    """Note that a reading went well, if the profile is a canary. Inside `writing()`."""
    known = of(account.platform)
    if known is not None and known.account_id == account.id and known.failures:
        _keep(replace(known, failing_since="", failures=0, why="", code=""))


def failed(account: Account, error: PlatformError, now: datetime) -> None:
    """Note that a reading failed, if the profile is a canary. Inside `writing()`."""
    known = of(account.platform)
    if known is not None and known.account_id == account.id:
        _keep(replace(known, failing_since=known.failing_since or now.isoformat(), failures=known.failures + 1,
                      why=error.message, code=error.code))


# ---------------------------------------------------------------- how they do


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a canary: how bad, in words, and what helps."""

    tone: str
    text: str
    step: str


def lines(platforms: Iterable[str], user: User, now: datetime) -> list[Line]:
    """How the canaries of these platforms do, with the profiles that this admin may choose. Three statements."""
    known, choices = everywhere(), offered(user)
    accounts = _accounts(known.values())
    return [_line(slug, known.get(slug), accounts, choices.get(slug, ()), now) for slug in platforms]


def troubled(now: datetime) -> list[tuple[str, Trouble]]:
    """The platforms of whose canaries somebody has to be told, and why. One statement, two where there are canaries."""
    known = everywhere()
    accounts = _accounts(known.values()) if known else {}
    told = [(slug, _trouble(one, accounts.get(one.account_id), now)) for slug, one in known.items()]
    return [(slug, trouble) for slug, trouble in told if trouble is not None and trouble.tone == "bad"]


def _accounts(canaries: Iterable[Canary]) -> Mapping[str, Account]:
    ids: Sequence[str] = [one.account_id for one in canaries]
    return {one.id: one for one in db.session.scalars(
        select(Account).where(Account.id.in_(ids)).options(joinedload(Account.grant).joinedload(Grant.app)))}


def _line(platform: str, canary: Canary | None, accounts: Mapping[str, Account], choices: tuple[Choice, ...],
          now: datetime) -> Line:
    provider = provider_of(platform)
    made: dict[str, Any] = {"note": provider.reading_costs, "choices": choices}
    if canary is None:
        step = "" if choices else f"Connect a profile of your own to {provider.name} first."
        return Line(platform, provider.name, "info", "None is chosen.", step, **made)
    account = accounts.get(canary.account_id)
    trouble = _trouble(canary, account, now)
    if account is not None:
        made |= {"account_id": account.id, "profile": account.display_name or account.username,
                 "workspace_id": account.workspace_id, "read_at": account.last_synced_at,
                 "renewed_at": account.grant.renewed_at if account.grant is not None else None}
    if trouble is not None:
        return Line(platform, provider.name, trouble.tone, trouble.text, trouble.step, **made)
    return Line(platform, provider.name, "ok", "", **made)


def _trouble(canary: Canary, account: Account | None, now: datetime) -> Trouble | None:
    """What is wrong with a canary; None where nothing is, or where its platform is off on purpose."""
    if account is None or account.state not in (ACTIVE, PAUSED, TOKEN_EXPIRED):
        return Trouble("bad", "Its profile is connected no longer.", "Choose another.")
    if account.grant is not None and not account.grant.app.is_on:
        return Trouble("info", "The platform is off.", "It is read again when the platform is on.")
    if account.state == TOKEN_EXPIRED:
        return Trouble("bad", account.reason_text or "The platform does not accept its permission any more.",
                       "Reconnect it. Look under Weather whether other profiles are refused as well.")
    if canary.failures:
        return _failing(canary)
    if account.grant is not None and account.grant.attempts:
        return Trouble("bad" if account.grant.attempts >= FAILURES else "warn",
                       f"It could not be renewed: {account.grant.last_error}",
                       "It is tried again by itself. Other profiles may meet the same.")
    since = max(account.last_synced_at or account.connected_at, datetime.fromisoformat(canary.since))
    if now - since > SILENT_AFTER:
        return Trouble("bad", f"Nobody has read it since {exact(since, UTC)}.",
                       "Look under At work whether a ticker and enough workers are there.")
    return None


def _failing(canary: Canary) -> Trouble:
    since = exact(datetime.fromisoformat(canary.failing_since), UTC)
    return Trouble("bad" if canary.failures >= FAILURES else "warn",
                   f"It could not be read since {since}: {canary.why}",
                   "It is tried again by itself. Other profiles may meet the same: look under Weather.")
