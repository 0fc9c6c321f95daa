"""The weekly queue of a workspace: its slots, which of them are free, and taking the next one.

A slot is a weekday and a time on the workspace's wall clock. A queued post holds the slot at whose instant it is due;
nothing else is kept about that, so removing a slot, or moving the zone of a workspace, moves no post.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select, update

from . import audit
from .access import Invalid
from .accounts import actor
from .database import lock, took, writing
from .extensions import db
from .models import CANCELLED, SCHEDULED, UNSENT, Delivery, Post, Slot, User, Workspace, new_id
from .outside import now as present
from .times import local, moment

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_SLOTS = 7 * 48
MOST_ADDED = 7  # weekdays that one form adds
LOOKS_AHEAD = timedelta(days=366)
SHOWN = timedelta(days=14)
MOST_SHOWN = 200
WALL = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
NO_SLOTS = "The queue has no slots yet. Add some under Calendar → Queue."
IS_PAUSED = "The queue is paused. Resume it under Queue, or choose a time."
IS_FULL = "Every slot of the next twelve months is taken. Add slots under Queue, or choose a time."


class Occurrence(NamedTuple):
    """One time at which a slot comes up. `note` is a sentence where the clocks skip or double that time."""

    wall: str  # 2026-11-23T06:00 by the clock of the workspace, where it exists
    instant: datetime
    note: str = ""


class Line(NamedTuple):
    """One line of the coming weeks: a time, whether a slot is there, and who holds it."""

    occurrence: Occurrence
    is_slot: bool
    post: Post | None


# ---------------------------------------------------------------- the slots themselves


def slots(workspace: Workspace) -> list[Slot]:
    """The slots of a workspace, Monday first."""
    return list(db.session.scalars(
        select(Slot).where(Slot.workspace_id == workspace.id).order_by(Slot.weekday, Slot.wall)))


def add(workspace: Workspace, user: User, weekdays: Sequence[str], wall: str) -> int:
    """Add one time on some weekdays (`0` is Monday). Returns how many are new.

    Raises Invalid with a sentence for each field (`weekday`, `wall`).
    """
    days, wall, errors = {day for day in weekdays if day in tuple("0123456")}, wall.strip()[:5], dict[str, str]()
    if not days:
        errors["weekday"] = "Choose at least one day of the week."
    if not WALL.fullmatch(wall):
        errors["wall"] = "Give a time of the day, such as 08:30."
    if errors:
        raise Invalid(errors)
    with writing() as session:
        lock(workspace)
        known = {(one.weekday, one.wall) for one in slots(workspace)}
        fresh = [int(day) for day in sorted(days) if (int(day), wall) not in known]
        if len(known) + len(fresh) > MOST_SLOTS:
            raise Invalid({"weekday": f"A queue takes at most {MOST_SLOTS} slots. Remove some first."})
        session.add_all(Slot(id=new_id("slt"), workspace_id=workspace.id, weekday=day, wall=wall) for day in fresh)
        if fresh:
            _record(workspace, "added", f"{', '.join(DAYS[day] for day in fresh)} at {wall}")
    return len(fresh)


def remove(workspace: Workspace, user: User, slot_id: str) -> Slot | None:
    """Remove a slot; posts that hold it keep their time. Returns what it was, None if it was gone."""
    with writing() as session:
        found = session.scalar(select(Slot).where(Slot.workspace_id == workspace.id, Slot.id == slot_id))
        if found is None:
            return None
        session.delete(found)
        _record(workspace, "removed", f"{DAYS[found.weekday]} at {found.wall}")
    return found


def pause(workspace: Workspace, user: User) -> bool:
    """From now on no post takes a slot; those that hold one go out. False if it was paused already."""
    with writing():
        if not took(update(Workspace).where(Workspace.id == workspace.id, Workspace.queue_paused_at.is_(None))
                    .values(queue_paused_at=present())):
            return False
        _record(workspace, "paused", f"Queue paused by {actor(user)}")
    return True


def resume(workspace: Workspace, user: User) -> bool:
    """Posts take slots again. False if it was not paused."""
    with writing():
        if not took(update(Workspace).where(Workspace.id == workspace.id, Workspace.queue_paused_at.is_not(None))
                    .values(queue_paused_at=None)):
            return False
        _record(workspace, "resumed", f"Queue resumed by {actor(user)}")
    return True


def _record(workspace: Workspace, action: str, summary: str) -> None:
    audit.record(f"queue.{action}", "workspace", workspace.id, summary, workspace_id=workspace.id, name=workspace.name)


# ---------------------------------------------------------------- when they come up


def occurrences(weekly: Sequence[Slot], zone: str, after: datetime, until: datetime) -> Iterator[Occurrence]:
    """The times at which slots come up after one instant and not later than another, in order, none twice.

    A time that the clocks skip comes up at the first minute that exists; of a doubled one, the first.
    """
    by_day: dict[int, list[str]] = {}
    for slot in weekly:
        by_day.setdefault(slot.weekday, []).append(slot.wall)
    day, last, came = local(after, zone).date(), local(until, zone).date(), after
    while by_day and day <= last:
        for found in sorted({_occurrence(day, wall, zone) for wall in by_day.get(day.weekday(), ())},
                            key=lambda one: one.instant):
            if came < found.instant <= until:
                came = found.instant
                yield found
        day += timedelta(days=1)


def _occurrence(day: date, wall: str, zone: str) -> Occurrence:
    found = moment(datetime.fromisoformat(f"{day.isoformat()}T{wall}"), zone)
    return Occurrence(f"{local(found.instant, zone):%Y-%m-%dT%H:%M}", found.instant, found.note)


def at(workspace: Workspace, instant: datetime) -> Occurrence | None:
    """The slot that comes up at exactly this instant, if there is one."""
    before = instant - timedelta(minutes=1)
    return next((one for one in occurrences(slots(workspace), workspace.time_zone, before, instant)
                 if one.instant == instant), None)


# ---------------------------------------------------------------- free and taken


def holds() -> ColumnElement[bool]:
    """Whether a post holds a slot: it is queued, and something of it may still go out or did."""
    return (Post.is_queued & or_(Post.state.in_(UNSENT), (Post.state == SCHEDULED) & Post.deliveries.any(
        Delivery.state != CANCELLED)))


def holder(workspace: Workspace, instant: datetime) -> Post | None:
    """The post that holds the slot at this instant."""
    return db.session.scalar(select(Post).where(
        Post.workspace_id == workspace.id, Post.due_at == instant, holds()).order_by(Post.id).limit(1))


def next_free(workspace: Workspace, now: datetime) -> Occurrence | None:
    """The next slot that no post holds: its wall time, its instant and what is odd about it; None if there is none.

    `why_none` says why. Reads only: the slot is not taken yet.
    """
    return next(free(workspace, now), None)


def free(workspace: Workspace, now: datetime) -> Iterator[Occurrence]:
    """All the slots of the next twelve months that no post holds, in order; none while the queue is paused.

    Who takes several of them does so under the `lock` of the workspace.
    """
    if workspace.queue_paused_at is not None:
        return
    until = now + LOOKS_AHEAD
    taken = set(db.session.scalars(select(Post.due_at).where(
        Post.workspace_id == workspace.id, Post.due_at > now, Post.due_at <= until, holds())))
    yield from (one for one in occurrences(slots(workspace), workspace.time_zone, now, until)
                if one.instant not in taken)


def why_none(workspace: Workspace) -> str:
    """Why no slot is free, in one sentence with the next step."""
    if workspace.queue_paused_at is not None:
        return IS_PAUSED
    there = db.session.scalar(select(func.count()).select_from(Slot).where(Slot.workspace_id == workspace.id))
    return IS_FULL if there else NO_SLOTS


def take(workspace: Workspace, now: datetime) -> Occurrence | None:
    """The next free slot, for the caller alone until the end of this `writing()`; None if there is none.

    Whoever takes it writes a post with `is_queued` and this instant as `due_at` in the same transaction.
    """
    lock(workspace)
    return next_free(workspace, now)


# ---------------------------------------------------------------- the coming weeks


def coming(workspace: Workspace, now: datetime, length: timedelta = SHOWN) -> list[Line]:
    """The slots of the coming weeks with who holds which, and queued posts whose slot was removed; by time."""
    posts = queued(workspace, now, MOST_SHOWN)
    until = now + length
    by_time = {post.due_at: post for post in reversed(posts)}
    lines = [Line(one, True, by_time.pop(one.instant, None))
             for one, _ in zip(occurrences(slots(workspace), workspace.time_zone, now, until), range(MOST_SHOWN),
                               strict=False)]
    shown = {line.post.id for line in lines if line.post}
    return sorted(lines + [Line(Occurrence(_wall(post, workspace), post.due_at), False, post)
                           for post in posts if post.id not in shown and post.due_at is not None
                           and post.due_at <= until], key=lambda line: line.occurrence.instant)


def later(workspace: Workspace, now: datetime, length: timedelta = SHOWN) -> int:
    """How many queued posts go out after the weeks that are shown."""
    return db.session.scalar(select(func.count()).select_from(Post).where(
        Post.workspace_id == workspace.id, Post.due_at > now + length, holds())) or 0


def queued(workspace: Workspace, now: datetime, limit: int) -> list[Post]:
    """The posts that hold a slot after this instant, by time."""
    return list(db.session.scalars(select(Post).where(
        Post.workspace_id == workspace.id, Post.due_at > now, holds()).order_by(Post.due_at, Post.id).limit(limit)))


def _wall(post: Post, workspace: Workspace) -> str:
    assert post.due_at is not None
    return f"{local(post.due_at, workspace.time_zone):%Y-%m-%dT%H:%M}"
