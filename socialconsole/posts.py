"""Posts: what an author may write, when, and to whom; and reading them back. Sends nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import abort
from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from . import access, audit, drafts, media, slots
from .accounts import actor
from .checks import FILE_FIELDS, Check, Choice, check, why_not
from .database import took, writing
from .drafts import Content
from .extensions import db
from .models import (
    CANCELLED,
    DISCONNECTED,
    FINAL,
    PREPARING,
    PROCESSING,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNSENT,
    Account,
    Delivery,
    Grant,
    MediaUse,
    Post,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .outside import secret
from .times import Nonexistent, ago, local, moment, read_wall, to_utc

LONGEST_TEXT = 70_000
SAME_WITHIN = timedelta(minutes=15)
FARTHEST = timedelta(days=5 * 366)
ASK_FIRST = "An owner approves posts here before they go out. Submit it for approval."
TOO_FAR = "Choose a time within the next five years."
ON_ITS_WAY = (PREPARING, PROCESSING, PUBLISHING, SENT)


class Invalid(Exception):
    """What was typed cannot be taken: field -> sentence."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


class NotPossible(Exception):
    """The state moved on, so this cannot be done any more; the message says what it is now."""


class Conflict(Exception):
    """The post is not any more what the form was filled from. `post`: as it is now."""

    def __init__(self, post: Post) -> None:
        super().__init__("This post was changed meanwhile.")
        self.post = post


@dataclass(frozen=True)
class Opened:
    """The post that a form was filled from, and which version of it."""

    post_id: str
    version: int


@dataclass(frozen=True)
class Sending:
    """One account of a post as it is written: in which format, with which of the platform's own choices."""

    account_id: str
    format: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What was typed, found good: the tidied content, where it goes, its wall time and its instant.

    With `when` queue, wall time and instant are those of the moment: the slot is taken when the post is written.
    """

    content: Content
    sendings: tuple[Sending, ...]
    wall: str
    due_at: datetime
    when: str = "later"  # now, later, queue


def wall_and_instant(wall_time: str, workspace: Workspace, now: datetime) -> tuple[str, datetime]:
    """The wall time as kept, and its instant. Raises Invalid (field `wall_time`)."""
    try:
        instant = to_utc(wall_time, workspace.time_zone)
    except Nonexistent as error:
        raise Invalid({"wall_time": str(error)}) from None
    except OverflowError:  # the last day there is, in a zone where it ends later
        raise Invalid({"wall_time": TOO_FAR}) from None
    if instant < now.replace(second=0, microsecond=0):
        raise Invalid({"wall_time": f"This time has passed already in {workspace.time_zone}. Choose a later one, or "
                                    "publish now."})
    if instant > now + FARTHEST:
        raise Invalid({"wall_time": TOO_FAR})
    return f"{read_wall(wall_time):%Y-%m-%dT%H:%M}", instant  # however it was written: forms show it in this way only


def schedule(workspace: Workspace, user: User, content: Content, account_ids: Sequence[str], *, when: str,
             wall_time: str, nonce: str, again: bool = False, choices: Mapping[str, Choice] | None = None,
             opened: Opened | None = None) -> Post:
    """Write a post and one delivery for each account. The same nonce twice gives the first post.

    `opened`: the draft that the form was filled from becomes that post. Raises Invalid with a sentence for each field
    (`text`, `files`, `poll`, `accounts`, `when`, `wall_time`, `option:<account>:<name>`, `approval`), or for `again`
    where the very same text was written a moment ago, as after the browser's Back, and nobody said to send it once
    more. Raises Conflict if the draft was changed meanwhile. 404 for a file, or a draft, of another workspace.
    """
    first = post(workspace, opened.post_id) if opened else made_by_form(workspace, nonce)[0]
    if first is not None and not is_unsent(first):
        return same_or_conflict(first, content) if opened else first
    if access.must_ask(workspace, user):
        raise Invalid({"approval": ASK_FIRST})
    planned = plan(workspace, content, account_ids, when=when, wall_time=wall_time, again=again, choices=choices)
    try:
        try:
            return _write_once(workspace, user, planned, nonce, opened)
        except IntegrityError:  # the same form, sent or saved twice at the same moment: now the first can be seen
            return _write_once(workspace, user, planned, nonce, opened)
    except Conflict as moved_on:
        if is_unsent(moved_on.post):
            raise
        return same_or_conflict(moved_on.post, content)


def _write_once(workspace: Workspace, user: User, planned: Plan, nonce: str, opened: Opened | None) -> Post:
    """Write what was planned, unless the same form has sent its post already; its draft becomes the post."""
    with writing():
        sent, draft = (None, opened) if opened else made_by_form(workspace, nonce)
        return sent or write_plan(workspace, user, planned, nonce=nonce, opened=draft)


def write_plan(workspace: Workspace, user: User, planned: Plan, *, nonce: str = "",
               opened: Opened | None = None, slot: slots.Occurrence | None = None) -> Post:
    """Write what was planned, into a slot of the queue where it waits for one; inside `writing()`.

    `slot`: the one that the caller has taken already, for whoever writes many.
    Raises Conflict for a draft that was changed meanwhile, Invalid (`when`) if no slot is free any more.
    """
    now = present()
    wall, due_at = (slot.wall, slot.instant) if slot is not None else moment_of(workspace, planned, now)
    return write(workspace, planned.content, planned.sendings, wall=wall, due_at=due_at, nonce=nonce,
                 author_id=user.id, author_name=actor(user), now=now, is_queued=planned.when == "queue", opened=opened)


def moment_of(workspace: Workspace, planned: Plan, now: datetime) -> tuple[str, datetime]:
    """Wall time and instant at which a plan goes out; takes the slot of one that goes into the queue.

    Inside `writing()`. Raises Invalid (`when`) if no slot is free.
    """
    return _slot(workspace, now) if planned.when == "queue" else (planned.wall, planned.due_at)


def _slot(workspace: Workspace, now: datetime) -> tuple[str, datetime]:
    """The next free slot of the queue, taken; inside `writing()`. Raises Invalid (`when`)."""
    found = slots.take(workspace, now)
    if found is None:
        raise Invalid({"when": slots.why_none(workspace)})
    return found.wall, found.instant


def plan(workspace: Workspace, content: Content, account_ids: Sequence[str], *, when: str, wall_time: str,
         again: bool = False, choices: Mapping[str, Choice] | None = None, others: bool = False) -> Plan:
    """What was typed as it may be written. `when`: now, later, queue. Raises Invalid as `schedule` does; 404 likewise.

    `others`: the post has further accounts that are not looked at, so none need be chosen.
    """
    now = present()
    chosen = _chosen(workspace, account_ids)
    content = drafts.tidied(content)
    content = replace(content, own={one.id: content.own[one.id] for one in chosen if one.id in content.own})
    checks = check(workspace, content, chosen, choices or {})
    errors = _errors(content, checks)
    if others and not checks:
        del errors["accounts"]
    wall, due_at = f"{local(now, workspace.time_zone):%Y-%m-%dT%H:%M}", now
    if when == "later":
        try:
            wall, due_at = wall_and_instant(wall_time, workspace, now)
        except Invalid as error:
            errors |= error.errors
    if when == "queue" and slots.next_free(workspace, now) is None:
        errors["when"] = slots.why_none(workspace)
    if not errors and not again:
        errors |= _repeated(content.text, chosen, now)
    if errors:
        raise Invalid(errors)
    return Plan(content, tuple(_sending(one) for one in checks), wall, due_at, when)


def _sending(checked: Check) -> Sending:
    return Sending(checked.account.id, checked.format or "text",
                   {name: value for name, value in checked.options.items() if value})


def _chosen(workspace: Workspace, account_ids: Sequence[str]) -> list[Account]:
    return list(db.session.scalars(select(Account).where(
        Account.workspace_id == workspace.id, Account.id.in_(set(account_ids)), Account.state != DISCONNECTED)
        .options(joinedload(Account.grant).joinedload(Grant.app))))


def _errors(content: Content, checks: Sequence[Check]) -> dict[str, str]:
    errors: dict[str, str] = {}
    is_common = not checks or any(one.account.id not in content.own for one in checks)
    if is_common and not content.text and not content.media:
        errors["text"] = "Write something first."
    for name, text in {"text": content.text, **{f"own:{one}": own.text for one, own in content.own.items()}}.items():
        if len(text) > LONGEST_TEXT:
            errors[name] = "This text is too long for any platform."
    if not checks:
        errors["accounts"] = "Choose at least one profile."
    for one in checks:
        blocked = why_not(one.account)
        if blocked:
            errors.setdefault("accounts", f"{one.account.display_name}: {blocked}.")
            continue
        names = {known.name for known in one.fields} | {"format"}
        for problem in one.problems:
            name = f"option:{one.account.id}:{problem.field}" if problem.field in names else problem.field
            errors.setdefault(_own_field(content, one.account.id, name), problem.sentence)
    return errors


def _own_field(content: Content, account_id: str, name: str) -> str:
    """Where the form shows what is wrong with a text: at the common one, or at the account's own version."""
    own = content.own.get(account_id)
    if own is not None and name == "text":
        return f"own:{account_id}"
    return f"own_comment:{account_id}" if own and own.first_comment is not None and name == "first_comment" else name


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


def write(workspace: Workspace, content: Content, sendings: Sequence[Sending], *, wall: str, due_at: datetime,
          nonce: str, author_id: str | None, author_name: str, now: datetime, series_id: str | None = None,
          zone: str = "", is_queued: bool = False, opened: Opened | None = None) -> Post:
    """A post and its deliveries, written as given; inside `writing()`. `zone`: of the wall time, else the workspace's.

    `opened`: that draft becomes the post; raises Conflict if it was changed meanwhile. 404 for a file that is not
    there.
    """
    values = {"text": content.text, "content": content.dump(), "state": SCHEDULED, "due_at": due_at, "wall_time": wall,
              "time_zone": zone or workspace.time_zone, "series_id": series_id, "is_queued": is_queued}
    if opened is not None:
        written = _turned(workspace, opened, values, author_name, now)
    else:
        written = Post(id=new_id("pst"), workspace_id=workspace.id, author_id=author_id, author_name=author_name,
                       form_nonce=kept_nonce(workspace, nonce), created_at=now, **values)
        db.session.add(written)
        db.session.flush()
    add_deliveries(workspace, written, sendings, due_at)
    use_files(workspace, written, files_named(content, sendings), now)
    audit.record("post.scheduled", "post", written.id, "Scheduled" if due_at > now else "Sent off",
                 workspace_id=workspace.id, name=content.text[:60], accounts=[one.account_id for one in sendings])
    return written


def _turned(workspace: Workspace, opened: Opened, values: Mapping[str, Any], by: str, now: datetime) -> Post:
    """A draft turned into a scheduled post, by whoever comes first. Raises Conflict."""
    taken = took(update(Post).where(
        Post.id == opened.post_id, Post.workspace_id == workspace.id, Post.version == opened.version, unsent()).values(
        **values, targets=[], review_note="", version=Post.version + 1, updated_at=now, updated_by=by))
    found = db.session.get_one(Post, opened.post_id, populate_existing=True)
    if not taken:
        raise Conflict(found)
    return found


def add_deliveries(workspace: Workspace, written: Post, sendings: Sequence[Sending], due_at: datetime) -> None:
    """One delivery for each account; inside `writing()`. 404 for a file that is not there."""
    files = drafts.files_of(workspace, drafts.load(written.text, written.content))
    heavy = drafts.is_heavy(files)
    if not sendings:
        return
    db.session.flush()
    # In one statement: a table may bring five hundred posts for a hundred profiles each.
    db.session.execute(insert(Delivery), [
        {"workspace_id": workspace.id, "post_id": written.id, "account_id": one.account_id, "state": SCHEDULED,
         "scheduled_for": due_at, "due_at": due_at, "format": one.format, "options": dict(one.options),
         "is_heavy": heavy} for one in sendings])
    db.session.expire(written, ["deliveries"])


def use_files(workspace: Workspace, written: Post, ids: Sequence[str], now: datetime) -> None:
    """Note which files a post needs now, and no others; inside `writing()`. 404 for a file that is not there."""
    db.session.execute(delete(MediaUse).where(MediaUse.post_id == written.id, MediaUse.media_id.not_in(ids)),
                       execution_options={"synchronize_session": "fetch"})
    media.use(workspace, written.id, ids, now)


def files_named(content: Content, sendings: Sequence[Sending]) -> list[str]:
    """The ids of every file that a post needs: those of its parts, and those that serve as a platform's own choice."""
    chosen = [value for one in sendings for name, value in one.options.items() if name in FILE_FIELDS and value]
    return list(dict.fromkeys((*content.all_media, *chosen)))


def kept_nonce(workspace: Workspace, nonce: str) -> str:
    """A nonce of one workspace never meets another's, nor a longer one that begins alike; none is a fresh one."""
    return hashlib.sha256(f"{workspace.id}:{nonce or secret()}".encode()).hexdigest()


def by_nonce(workspace: Workspace, nonce: str) -> Post | None:
    """The post that a form already made."""
    if not nonce:
        return None
    return db.session.scalar(select(Post).where(Post.form_nonce == kept_nonce(workspace, nonce)))


# ---------------------------------------------------------------- drafts


def unsent() -> ColumnElement[bool]:
    """Posts without deliveries: drafts, those that wait for approval, and drafts that were discarded."""
    return or_(Post.state.in_(UNSENT), and_(Post.state == CANCELLED, Post.due_at.is_(None)))


def is_unsent(found: Post) -> bool:
    """The same of one post."""
    return found.state in UNSENT or (found.state == CANCELLED and found.due_at is None)


def made_by_form(workspace: Workspace, nonce: str) -> tuple[Post | None, Opened | None]:
    """What this very form made: the post that was sent, or its draft while that has no version but the first.

    Both by one look: between two, another request of the same form may write.
    """
    found = by_nonce(workspace, nonce)
    if found is None:
        return None, None
    return (None, Opened(found.id, 1)) if is_unsent(found) else (found, None)


def same_or_conflict(found: Post, content: Content) -> Post:
    """The post, if it says what was typed: a form sent twice. Raises Conflict if it does not."""
    content = drafts.tidied(content)
    kept = found.content.get("own") or {}  # an own version of an account that was not chosen is not kept
    content = replace(content, own={name: own for name, own in content.own.items() if name in kept})
    if not says(found, content.text, content.dump()):
        raise Conflict(found)
    return found


def says(found: Post, text: str, plain: Mapping[str, Any]) -> bool:
    """Whether a post's text, and all that goes with it, are these."""
    return found.text == text and json.dumps(found.content, sort_keys=True) == json.dumps(plain, sort_keys=True)


# ---------------------------------------------------------------- reading


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


def time_note(found: Post) -> str:
    """A sentence where the wall time of a post does not exist or comes twice on its day; empty for all others."""
    try:
        meant = moment(read_wall(found.wall_time), found.time_zone)
    except (Nonexistent, OverflowError):
        return ""
    # A post that was sent off at once in the doubled hour carries its own instant, whichever of the two it is.
    return meant.note if meant.instant == found.due_at else ""


def is_final(found: Post) -> bool:
    """Whether nothing of a post will change by itself any more."""
    return all(is_at_rest(one) for one in found.deliveries)


def is_at_rest(one: Delivery) -> bool:
    """Whether a delivery will not change by itself any more."""
    return one.state in FINAL or (one.due_at is None and one.state not in ON_ITS_WAY)
