"""Posts: what an author may write, when, and to whom; and reading them back. Sends nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import abort
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from . import accounts, audit
from .accounts import actor
from .database import writing
from .extensions import db
from .models import (
    ACTIVE,
    CANCELLED,
    DISCONNECTED,
    FAILED,
    FINAL,
    HELD,
    MISSED,
    PAUSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Account,
    Delivery,
    Post,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .providers import provider as provider_of
from .providers.oauth2 import connectable
from .times import Nonexistent, ago, local, to_utc

LINK = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
LONGEST_TEXT = 70_000
SAME_WITHIN = timedelta(minutes=15)
FARTHEST = timedelta(days=5 * 366)
NEEDS_PERSON = (HELD, UNCONFIRMED, FAILED, MISSED)
ON_ITS_WAY = (PREPARING, PROCESSING, PUBLISHING, SENT)


class Invalid(Exception):
    """What was typed cannot be taken: field -> sentence."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


class NotPossible(Exception):
    """The state moved on, so this cannot be done any more; the message says what it is now."""


@dataclass(frozen=True)
class Target:
    """An account as a place to publish to: whether it can be chosen, why not, and how much it takes."""

    account: Account
    selectable: bool
    why: str
    most: int
    counted_as: str


@dataclass(frozen=True)
class Check:
    """What one account makes of a text."""

    account: Account
    count: int
    most: int
    counted_as: str
    problem: str


def first_link(text: str) -> str:
    """The first link in a text, without the punctuation that ends the sentence."""
    found = LINK.search(text)
    return found.group().rstrip(".,;:!?)]}'’”") if found else ""


def targets(workspace: Workspace) -> list[Target]:
    """The connected accounts of a workspace as places to publish to."""
    return [_target(account) for account in accounts.accounts(workspace, connected=True)]


def _target(account: Account) -> Target:
    provider = connectable(account.platform)
    why = _why_not(account)
    return Target(account, not why, why, provider.text_limit.most, provider.text_limit.counted_as)


def _why_not(account: Account) -> str:
    grant = account.grant
    if account.state == PAUSED:
        return "paused"
    if account.state != ACTIVE or grant is None:
        return "to be reconnected"
    if not grant.app.is_on:
        return "the platform is switched off"
    missing = accounts.missing_to_publish(provider_of(account.platform), grant.app.mode, grant.scopes_granted)
    return f"can’t publish: {', '.join(missing)} was not granted" if missing else ""


def check(text: str, chosen: Sequence[Account]) -> list[Check]:
    """What each account makes of a text: its length as that platform counts it, and what is wrong."""
    return [_check(text, account) for account in chosen]


def _check(text: str, account: Account) -> Check:
    provider = connectable(account.platform)
    count, limit = provider.count(text), provider.text_limit
    problem = _why_not(account)
    if not problem and count > limit.most:
        over = count - limit.most
        problem = f"{over} character{'' if over == 1 else 's'} too many for {provider.name}. Shorten the text."
    return Check(account, count, limit.most, limit.counted_as, problem)


def wall_and_instant(wall_time: str, workspace: Workspace, now: datetime) -> tuple[str, datetime]:
    """The wall time as kept, and its instant. Raises Invalid (field `wall_time`)."""
    try:
        instant = to_utc(wall_time, workspace.time_zone)
    except Nonexistent as error:
        raise Invalid({"wall_time": str(error)}) from None
    if instant < now.replace(second=0, microsecond=0):
        raise Invalid({"wall_time": f"This time has passed already in {workspace.time_zone}. Choose a later one, or "
                                    "publish now."})
    if instant > now + FARTHEST:
        raise Invalid({"wall_time": "Choose a time within the next five years."})
    return wall_time.strip()[:16], instant


def schedule(workspace: Workspace, user: User, text: str, account_ids: Sequence[str], *, when: str, wall_time: str,
             nonce: str, again: bool = False) -> Post:
    """Write a post and one delivery for each account. The same nonce twice gives the first post.

    Raises Invalid with a sentence for each field (`text`, `accounts`, `wall_time`), or for `again` where the very same
    text was written a moment ago, as after the browser's Back, and nobody said to send it once more.
    """
    now, text = present(), text.replace("\r\n", "\n").strip()
    first = by_nonce(workspace, nonce)
    if first is not None:
        return first
    chosen = _chosen(workspace, account_ids)
    errors = _text_errors(text, chosen)
    wall, due_at = f"{local(now, workspace.time_zone):%Y-%m-%dT%H:%M}", now
    if when == "later":
        try:
            wall, due_at = wall_and_instant(wall_time, workspace, now)
        except Invalid as error:
            errors |= error.errors
    if not errors and not again:
        errors |= _repeated(text, chosen, now)
    if errors:
        raise Invalid(errors)
    return _write(workspace, user, text, chosen, wall, due_at, nonce, now)


def _chosen(workspace: Workspace, account_ids: Sequence[str]) -> list[Account]:
    return list(db.session.scalars(select(Account).where(
        Account.workspace_id == workspace.id, Account.id.in_(set(account_ids)), Account.state != DISCONNECTED)))


def _text_errors(text: str, chosen: Sequence[Account]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not text:
        errors["text"] = "Write something first."
    elif len(text) > LONGEST_TEXT:
        errors["text"] = "This text is too long for any platform."
    if not chosen:
        errors["accounts"] = "Choose at least one profile."
    for one in check(text, chosen):
        blocked = _why_not(one.account)
        if blocked:
            errors.setdefault("accounts", f"{one.account.display_name}: {blocked}.")
        elif one.problem and text:
            errors.setdefault("text", one.problem)
    return errors


def _repeated(text: str, chosen: Sequence[Account], now: datetime) -> dict[str, str]:
    """What to ask when the same text was just written to one of the same accounts."""
    earlier = db.session.scalar(
        select(Delivery).join(Post).where(
            Delivery.account_id.in_([account.id for account in chosen]), Delivery.state != CANCELLED, Post.text == text,
            Post.created_at > now - SAME_WITHIN).order_by(Post.created_at.desc()).limit(1))
    if earlier is None:
        return {}
    return {"again": f"You wrote this very text to {earlier.account.display_name} {ago(earlier.post.created_at, now)}. "
                     "Tick the box to send it once more."}


def _write(workspace: Workspace, user: User, text: str, chosen: Sequence[Account], wall: str, due_at: datetime,
           nonce: str, now: datetime) -> Post:
    with writing() as session:
        first = by_nonce(workspace, nonce)
        if first is not None:
            return first
        post = Post(id=new_id("pst"), workspace_id=workspace.id, author_id=user.id, author_name=actor(user), text=text,
                    state=SCHEDULED, due_at=due_at, wall_time=wall, time_zone=workspace.time_zone,
                    form_nonce=_nonce(workspace, nonce), created_at=now)
        session.add(post)
        for account in chosen:
            session.add(Delivery(workspace_id=workspace.id, post=post, account_id=account.id, state=SCHEDULED,
                                 scheduled_for=due_at, due_at=due_at))
        audit.record("post.scheduled", "post", post.id, "Scheduled" if due_at > now else "Sent off",
                     workspace_id=workspace.id, name=text[:60], accounts=[account.id for account in chosen])
    return post


def _nonce(workspace: Workspace, nonce: str) -> str:
    """A nonce of one workspace never meets another's."""
    return f"{workspace.id}:{nonce}"[:64]


def by_nonce(workspace: Workspace, nonce: str) -> Post | None:
    """The post that a form already made."""
    return db.session.scalar(select(Post).where(Post.form_nonce == _nonce(workspace, nonce))) if nonce else None


# ---------------------------------------------------------------- reading


def posts(workspace: Workspace, *, filter: str = "all", before: str | None = None, limit: int = 30) -> list[Post]:
    """The posts of a workspace, newest first. `filter`: all, needs, scheduled, published. `before`: a post's id."""
    states = {"needs": NEEDS_PERSON, "scheduled": (SCHEDULED, HELD), "published": (PUBLISHED,)}.get(filter)
    query = select(Post).where(Post.workspace_id == workspace.id).options(
        selectinload(Post.deliveries).selectinload(Delivery.account))
    if states:
        query = query.where(Post.deliveries.any(Delivery.state.in_(states)))
    if before:
        query = query.where(Post.id < before)
    return list(db.session.scalars(query.order_by(Post.id.desc()).limit(limit)))


def post(workspace: Workspace, post_id: str) -> Post:
    """One post of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Post).where(Post.workspace_id == workspace.id, Post.id == post_id))
    if found is None:
        abort(404)
    return found


def delivery(workspace: Workspace, delivery_id: str) -> Delivery:
    """One delivery of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Delivery).where(Delivery.workspace_id == workspace.id, Delivery.id == delivery_id))
    if found is None:
        abort(404)
    return found


def is_final(found: Post) -> bool:
    """Whether nothing of a post will change by itself any more."""
    return all(one.state in FINAL or (one.due_at is None and one.state not in ON_ITS_WAY) for one in found.deliveries)


def needs_count(workspace: Workspace) -> int:
    """How many posts of a workspace wait for a person."""
    return len(posts(workspace, filter="needs", limit=100))

