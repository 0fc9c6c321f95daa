"""Posts at risk: what is scheduled to accounts that will not be able to publish it, unless somebody acts before.

Only what is known already counts: a token that ends and cannot be renewed, a profile to reconnect or paused, a missing
permission, a platform that is off, a platform that asked us to wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from .accounts import Outline
from .extensions import db
from .models import ACTIVE, HELD, PAUSED, SCHEDULED, TOKEN_EXPIRED, Delivery, Post, Workspace
from .platform_apps import off_words
from .providers import provider as provider_of
from .times import local

RECONNECT, RESUME, ADMIN, WAIT = "reconnect", "resume", "admin", "wait"  # what helps
LOOKS_AHEAD = timedelta(days=92)
MOST = 200  # posts that are counted; beyond that it is said that there may be more


@dataclass(frozen=True)
class Trouble:
    """Why an account cannot publish: what helps, since when it counts, until when, and what must be done in words."""

    account: Outline
    helps: str
    what: str  # must be reconnected
    starts: datetime
    ends: datetime | None = None


@dataclass(frozen=True)
class Risk:
    """The posts that one account will not publish, unless somebody acts before the first of them."""

    trouble: Trouble
    before: datetime  # when the first of these posts is due
    posts: tuple[str, ...]  # their ids, the earliest first

    @property
    def account(self) -> Outline:
        """The account that needs somebody."""
        return self.trouble.account


def at_risk(workspace: Workspace, lines: Sequence[Outline], now: datetime) -> list[Risk]:
    """What is at risk in a workspace within the next three months, the most urgent first. `lines`: its accounts."""
    found = [one for line in lines if (one := trouble(line, now)) is not None]
    rows = _waiting(workspace, [one.account.id for one in found], now)
    risks = list[Risk]()
    for one in found:
        mine = [row for row in rows if row.account_id == one.account.id and one.starts <= row.scheduled_for
                and (one.ends is None or row.scheduled_for < one.ends)]
        if mine:
            risks.append(Risk(one, mine[0].scheduled_for, tuple(row.post_id for row in mine)))
    return sorted(risks, key=lambda risk: (risk.before, risk.account.id))


def posts_of(risks: Sequence[Risk], zone: str) -> dict[str, str]:
    """The id of each post at risk with a sentence that says why."""
    found: dict[str, str] = {}
    for risk in risks:
        what = f"{name(risk.account)} {risk.trouble.what}"
        said = (f"Goes out late: {what} until {_clock(risk.trouble.ends, zone)}." if risk.trouble.ends
                else f"At risk: {what} before it can go out.")
        if risk.trouble.helps == ADMIN:
            off = off_words(provider_of(risk.account.platform).name, risk.account.app_off_note,
                            risk.account.app_off_at, zone)
            said = f"Waits: {off}"
        for post_id in risk.posts:
            found.setdefault(post_id, said)
    return found


def title(risk: Risk, zone: str, now: datetime) -> str:
    """What must happen until when, and how much depends on it: `… must be reconnected before Friday 09:00: 7 posts`."""
    number = len(risk.posts)
    posts = "1 post" if number == 1 else f"{number} posts" if number < MOST else f"{MOST} posts or more"
    what = f"{name(risk.account)} {risk.trouble.what}"
    if risk.trouble.ends:
        return f"{what} until {_clock(risk.trouble.ends, zone)}: {posts} {'goes' if number == 1 else 'go'} out late"
    there = local(risk.before, zone)
    near = risk.before - now < timedelta(days=6)
    return f"{what} before {there:%A %H:%M}: {posts}" if near else f"{what} before {_clock(risk.before, zone)}: {posts}"


def _clock(instant: datetime, zone: str) -> str:
    there = local(instant, zone)
    return f"{there.day} {there:%b %Y, %H:%M}"


def name(account: Outline) -> str:
    """The platform and the profile, in words."""
    return f"{provider_of(account.platform).name} ({account.display_name or account.username})"


def trouble(account: Outline, now: datetime) -> Trouble | None:
    """What keeps an account from publishing, now or from a known time on; None where nothing does."""
    if account.state == TOKEN_EXPIRED:
        return Trouble(account, RECONNECT, "must be reconnected", now)
    if account.state == PAUSED:
        return Trouble(account, RESUME, "is paused and must be resumed", now)
    if account.state != ACTIVE or not account.has_grant:
        return None
    if not account.is_app_on:
        return Trouble(account, ADMIN, "must be turned on by an administrator", now)
    if account.missing_to_publish:
        return Trouble(account, RECONNECT, "must be reconnected with the missing permission", now)
    if account.ends is not None:
        return Trouble(account, RECONNECT, "must be reconnected", max(account.ends, now))
    quiet = max((at for at in (account.quiet_until, account.app_quiet_until) if at is not None and at > now),
                default=None)
    return Trouble(account, WAIT, "asked us to wait", now, quiet) if quiet is not None else None


def _waiting(workspace: Workspace, account_ids: Sequence[str], now: datetime) -> Sequence[Delivery]:
    """What is still to come for these accounts, the earliest first: along the posts by time, within a horizon."""
    if not account_ids:
        return ()
    return db.session.execute(  # type: ignore[return-value]
        select(Delivery.account_id, Delivery.post_id, Delivery.scheduled_for).join(Post, Delivery.post_id == Post.id)
        .where(Post.workspace_id == workspace.id, Post.due_at > now, Post.due_at <= now + LOOKS_AHEAD,
               Delivery.account_id.in_(account_ids), Delivery.state.in_((SCHEDULED, HELD)))
        .order_by(Post.due_at, Post.id).limit(MOST)).all()
