"""Moving a whole post in time: to a date and time, or to a slot of the queue, where two posts may change places.

Only what still waits everywhere can be moved. A worker that takes one of its deliveries at the same moment wins: then
nothing is changed. Whoever approved a post approved its content, so moving it keeps the approval.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select, update

from . import audit, posts, slots
from .accounts import actor
from .calendars import why_not
from .database import change, lock, took, writing
from .deliveries import is_free, tell
from .deliveries import move as put
from .extensions import db
from .models import CANCELLED, HELD, SCHEDULED, UNSENT, Delivery, Post, User, Workspace
from .outside import now as present
from .posts import NotPossible, wall_and_instant
from .times import exact, local

CHANGED = "This post was changed meanwhile. Below is how it stands now; move it again if it still fits."
NO_SLOT = "There is no slot at this time any more."


class Moved(NamedTuple):
    """A post that was moved, and the wall time it had before, in the workspace's zone: "" where it had none."""

    post: Post
    before: str


def move(workspace: Workspace, user: User, post_id: str, wall_time: str, version: int | None = None) -> Moved:
    """Give a post another time, by the clock of the workspace; everything it waits for stays as it is.

    A post that comes to lie on a free slot of the queue holds it. `version`: of the post that was looked at. Raises
    Invalid for the time, NotPossible where it began or changed meanwhile; 404 for a stranger's id.
    """
    now = present()
    posts.post(workspace, post_id)
    wall, at = wall_and_instant(wall_time, workspace, now)
    with writing() as session:
        lock(workspace)
        post = posts.post(workspace, post_id)
        other = slots.holder(workspace, at)
        holds = (post.state not in UNSENT and slots.at(workspace, at) is not None
                 and (other is None or other.id == post.id))
        moved = Moved(post, _before(post, workspace))
        _put(workspace, user, post, wall, at, holds, version, now)
        session.refresh(post)
    return moved


def place(workspace: Workspace, user: User, post_id: str, slot: str, version: int | None = None) -> Moved:
    """Put a queued post into the slot at this wall time; a post that holds it gets the earlier place in exchange.

    Raises Invalid, NotPossible and 404 as `move` does.
    """
    now = present()
    posts.post(workspace, post_id)
    _, at = wall_and_instant(slot, workspace, now)
    with writing() as session:
        lock(workspace)
        post, other = posts.post(workspace, post_id), slots.holder(workspace, at)
        if not post.is_queued or post.due_at is None or post.due_at <= now:
            raise NotPossible("This post is not in the queue any more.")
        if other is None and slots.at(workspace, at) is None:
            raise NotPossible(NO_SLOT)
        moved, came_from = Moved(post, _before(post, workspace)), post.due_at
        if other is not None and other.id == post.id:
            return moved
        for one, when in sorted([(post, at)] + ([(other, came_from)] if other else []), key=lambda pair: pair[0].id):
            _put(workspace, user, one, f"{local(when, workspace.time_zone):%Y-%m-%dT%H:%M}", when, True,
                 version if one.id == post.id else None, now)
        session.refresh(post)
    return moved


def _before(post: Post, workspace: Workspace) -> str:
    return f"{local(post.due_at, workspace.time_zone):%Y-%m-%dT%H:%M}" if post.due_at else ""


def _put(workspace: Workspace, user: User, post: Post, wall: str, at: datetime, holds: bool, version: int | None,
         now: datetime) -> None:
    """Move one post and all that waits of it. Inside `writing()`; raises NotPossible, and then nothing may stay."""
    waiting = list(db.session.scalars(
        select(Delivery).where(Delivery.post_id == post.id, Delivery.state != CANCELLED).order_by(Delivery.id)
        .with_for_update(of=Delivery).execution_options(populate_existing=True)))
    if why := why_not(post, [one.state for one in waiting]) or _begun(waiting, now):
        raise NotPossible(why)
    seen = post.version if version is None else version
    if seen != post.version or not took(update(Post).where(
            Post.id == post.id, Post.version == seen, Post.state == post.state).values(
            due_at=at, wall_time=wall, time_zone=workspace.time_zone, version=seen + 1, is_queued=holds,
            timing="queue" if holds else "later", updated_at=now, updated_by=actor(user))):
        raise NotPossible(CHANGED)
    said = f"{actor(user)} moved it to {exact(at, workspace.time_zone)}."
    for one in waiting:
        _put_delivery(one, at, said, actor(user), now)
    audit.record("post.moved", "post", post.id, f"Moved to {exact(at, workspace.time_zone)}",
                 workspace_id=workspace.id, name=post.text[:60])


def _begun(waiting: Sequence[Delivery], now: datetime) -> str:
    """What has begun although its state still says that it waits; in words, or nothing."""
    if any(one.parts for one in waiting):
        return "A part of this post is out already, so it cannot be moved as a whole."
    ids = [one.id for one in waiting]
    free = len(db.session.scalars(select(Delivery.id).where(
        Delivery.id.in_(ids), or_(is_free(now), Delivery.state != SCHEDULED))).all()) if ids else 0
    return "" if free == len(ids) else "This post is being worked on at this moment, so it cannot be moved."


def _put_delivery(one: Delivery, at: datetime, said: str, by: str, now: datetime) -> None:
    """A held delivery stays held, with what it waits for; a missed one is scheduled again."""
    if one.state == HELD:
        change(one, scheduled_for=at)
        tell(one, said, now, by=by)
        return
    put(one, SCHEDULED, said, now, due_at=at, by=by, scheduled_for=at, attempts=0, handle="", polls=0)
