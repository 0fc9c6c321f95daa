"""The digest: one mail a day or a week with what ends, what is at risk, what failed and what is scheduled.

It comes at the person's own hour, by the clock on their wall, and once for each day it falls on: the mail's own row is
the ledger. Where there is nothing to say there is a row and no mail.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from . import accounts, alerts, expiry, mail, outbox, risks
from .alerts import DAILY, OFF, Wishes
from .database import alone, writing
from .extensions import db
from .models import (
    FAILED,
    HELD,
    MISSED,
    SCHEDULED,
    UNCONFIRMED,
    Delivery,
    Membership,
    Message,
    Post,
    User,
    Workspace,
)
from .providers import provider as provider_of
from .times import exact, local, moment

LATE_BY = timedelta(hours=12)  # a digest that could not be written for longer is left out
ENDS_WITHIN = timedelta(days=30)
NOTHING = "There was nothing to say."
NEEDS = (FAILED, MISSED, UNCONFIRMED)
MOST_LINES = 10
MOST_POSTS = 2000


@dataclass(frozen=True)
class Due:
    """A digest that is to be written: whose, of which workspaces, how often, in which zone, and for which day."""

    user: User
    workspaces: tuple[Workspace, ...]
    often: str
    zone: str
    day: str
    at: datetime

    @property
    def once(self) -> str:
        """What there may be only one of."""
        return f"digest:{self.user.id}:{self.day}"


def write_due(now: datetime) -> int:
    """Write the digests whose hour has come, and return how many mails that makes. Each is written once."""
    if not mail.is_set(outbox.config()):
        return 0
    number = 0
    for one in due(now):
        subject, body = letter(one, now)
        with writing() as session:
            alone("digest", one.user.id)
            if session.scalar(select(Message.id).where(Message.once == one.once)) is not None:
                continue
            if body:
                number += outbox.put(one.user, outbox.DIGEST, subject, body, once=one.once) is not None
            else:
                outbox.note(one.user, outbox.DIGEST, one.once, NOTHING)
    return number


def due(now: datetime) -> list[Due]:
    """The digests whose hour has come and that nobody has written."""
    found = [one for user, members in _everybody() if (one := _due(user, members, now)) is not None]
    written = set[str]()
    for start in range(0, len(found), 500):
        written |= {once for once in db.session.scalars(
            select(Message.once).where(Message.once.in_([one.once for one in found[start : start + 500]])))
            if once is not None}
    db.session.commit()
    return [one for one in found if one.once not in written]


def _everybody() -> Iterable[tuple[User, list[tuple[str, Workspace]]]]:
    """Everybody who belongs to a workspace, with role and workspace."""
    people: dict[str, tuple[User, list[tuple[str, Workspace]]]] = {}
    for user, role, workspace in db.session.execute(
            select(User, Membership.role, Workspace).join(Membership, Membership.user_id == User.id)
            .join(Workspace, Membership.workspace_id == Workspace.id).order_by(Workspace.name, Workspace.id)):
        people.setdefault(user.id, (user, []))[1].append((role, workspace))
    return people.values()


def _due(user: User, members: Sequence[tuple[str, Workspace]], now: datetime) -> Due | None:
    wanted = alerts.wishes(user)
    often = wanted.digest_for([role for role, _ in members])
    places = tuple(workspace for _, workspace in members if workspace.id not in wanted.quiet)
    if often == OFF or not places:
        return None
    zone = user.time_zone or places[0].time_zone
    at = last_hour(wanted, often, zone, now)
    since = max(user.created_at, datetime.fromisoformat(wanted.since) if wanted.since else user.created_at)
    if not at <= now < at + LATE_BY or at < since:
        return None
    return Due(user, places, often, zone, f"{local(at, zone):%Y-%m-%d}", at)


def last_hour(wanted: Wishes, often: str, zone: str, now: datetime) -> datetime:
    """The last instant at which a digest was to come: of a doubled hour the first, of a skipped one the next minute."""
    today = local(now, zone).replace(tzinfo=None, hour=wanted.hour, minute=0, second=0, microsecond=0)
    for back in range(9):
        wall = today - timedelta(days=back)
        at = moment(wall, zone).instant
        if at <= now and (often == DAILY or wall.weekday() == wanted.weekday):
            return at
    raise AssertionError("a week has seven days")


# ---------------------------------------------------------------- what it says


def letter(one: Due, now: datetime) -> tuple[str, str]:
    """Subject and text; both are empty where there is nothing to say."""
    parts = [part for workspace in one.workspaces if (part := _workspace(workspace, one, now))]
    if not parts:
        return "", ""
    public_url = outbox.config().public_url
    every = "today" if one.often == DAILY else "this week"
    names = ", ".join(workspace.name for workspace in one.workspaces)
    foot = (f"-- \nYou get this {'every day' if one.often == DAILY else 'every week'}, as you or the console chose. "
            f"Change that: {public_url}/me/alerts\n")
    return f"Social Console {every}: {names}", "\n\n\n".join(parts) + "\n\n\n" + foot


def _workspace(workspace: Workspace, one: Due, now: datetime) -> str:
    back = timedelta(days=1 if one.often == DAILY else 7)
    public_url = f"{outbox.config().public_url}/w/{workspace.id}"
    parts = [_ending(workspace, public_url, now), _at_risk(workspace, public_url, now),
             _failed(workspace, public_url, now - back, now), _scheduled(workspace, public_url, now, now + back)]
    said = [part for part in parts if part]
    return "\n\n".join([f"{workspace.name}\n{'=' * min(len(workspace.name), 60)}", *said]) if said else ""


def _listed(title: str, lines: Sequence[str], link: str) -> str:
    if not lines:
        return ""
    more = [f"- and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "\n".join([title, *(f"- {line}" for line in lines[:MOST_LINES]), *more, link])


def _ending(workspace: Workspace, public_url: str, now: datetime) -> str:
    lines = [f"{line.name} ({provider_of(line.account.platform).name}): {line.words}"
             for line in expiry.lines(workspace, now)
             if line.what == expiry.OVER or (line.at is not None and line.at <= now + ENDS_WITHIN)]
    return _listed("Connections that need you within 30 days", lines, f"{public_url}/expiry")


def _at_risk(workspace: Workspace, public_url: str, now: datetime) -> str:
    found = risks.at_risk(workspace, accounts.outlines(workspace), now)
    return _listed("Posts at risk", [f"{risks.title(one, workspace.time_zone, now)}." for one in found],
                   f"{public_url}/calendar?view=list")


def _failed(workspace: Workspace, public_url: str, since: datetime, now: datetime) -> str:
    rows = db.session.execute(
        select(Post.id, func.min(Post.text).label("text"), func.count().label("number"))
        .join(Delivery, Delivery.post_id == Post.id)
        .where(Post.workspace_id == workspace.id, Post.due_at >= since, Post.due_at < now,
               Delivery.state.in_((*NEEDS, HELD)))
        .group_by(Post.id).order_by(Post.id.desc()).limit(MOST_POSTS)).all()
    lines = [f"{_short(row.text)} ({'1 profile' if row.number == 1 else f'{row.number} profiles'})" for row in rows]
    return _listed("Posts that did not go out", lines, f"{public_url}/posts?filter=needs")


def _scheduled(workspace: Workspace, public_url: str, since: datetime, until: datetime) -> str:
    rows = db.session.execute(
        select(Post.text, Post.due_at).where(
            Post.workspace_id == workspace.id, Post.due_at >= since, Post.due_at < until,
            select(Delivery.id).where(Delivery.post_id == Post.id, Delivery.state == SCHEDULED).exists())
        .order_by(Post.due_at, Post.id).limit(MOST_POSTS)).all()
    lines = [f"{exact(row.due_at, workspace.time_zone)}: {_short(row.text)}" for row in rows]
    return _listed("Scheduled", lines, f"{public_url}/calendar")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return f"{words[:60].rstrip()}…" if len(words) > 60 else words or "Post without text"
