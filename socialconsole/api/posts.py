"""Posts, as programs write, change, approve and cancel them: by the rules of the composer and of the pages."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from .. import access, checks, decisions, draft_posts, media, post_lists, posts, public_ids, slots, times
from ..checks import Choice
from ..draft_posts import LATER, NEVER, NOW, QUEUE, Typed
from ..drafts import Content, tidied
from ..extensions import db
from ..models import (
    CANCELLED,
    DISCONNECTED,
    DRAFT,
    FAILED,
    HELD,
    MISSED,
    PUBLISHED,
    SCHEDULED,
    SUBMITTED,
    Account,
    Delivery,
    Post,
)
from ..posts import Conflict, Invalid, NotPossible, Opened
from . import once, post_shapes
from .operations import Answer, Asked, heed, operation
from .post_shapes import (
    FIRST_YEAR,
    LAST_YEAR,
    AccountCheck,
    ApproveBody,
    DeletedPost,
    DeleteQuery,
    DeliveryShape,
    DryRun,
    FaultShape,
    PostBody,
    PostChange,
    PostContent,
    PostList,
    PostQuery,
    PostShape,
    RescheduleBody,
    SendBackBody,
)
from .problems import Fault, Problem, invalid

CURSOR = re.compile(r"(?:[0-9T:.+-]{16,40}~)?pst_[0-9A-Za-z]{1,40}")
RETRIABLE, STOPPABLE = (FAILED, MISSED, HELD), (SCHEDULED, HELD, FAILED, MISSED)
DRY, WAITS = 200, 202
WRITTEN = {WAITS: "It waits for an owner, who approves posts here.", DRY: "A dry run: nothing was written."}
# What the services call a field, and the API another thing.
NAMES = {"files": "media", "accounts": "accountIds", "wall_time": "wallTime", "first_comment": "firstComment",
         "last_day": "lastDay"}


# ---------------------------------------------------------------- what a service refuses


@contextmanager
def refusals(asked: Asked) -> Iterator[None]:
    """Tell what a service refuses as problems of the API."""
    try:
        yield
    except Invalid as wrong:
        raise _invalid(asked, wrong) from None
    except Conflict as moved_on:
        now = moved_on.post
        raise Problem("version_conflict" if asked.if_match else "conflict",
                      f"The post was changed meanwhile: it is {now.state} now, version {now.version}.",
                      state=now.state) from None
    except NotPossible as moved_on:
        raise Problem("conflict", str(moved_on)) from None


def _invalid(asked: Asked, wrong: Invalid) -> Problem:
    errors = dict(wrong.errors)
    if "again" in errors:
        errors["again"] = errors["again"].partition(" Tick ")[0] + " Set `again` to send it once more."
    timed = getattr(asked.body, "scheduled_at", None) is not None
    return invalid(errors, {name: _name(name, timed) for name in errors})


def _name(field: str, timed: bool) -> str:
    """What the API calls a field of a service."""
    kind, _, rest = field.partition(":")
    if field == "wall_time" and timed:
        return "scheduledAt"
    if kind == "own":
        return f"variations.{rest}.text"
    if kind == "own_comment":
        return f"variations.{rest}.firstComment"
    if kind == "option":
        account_id, _, name = rest.partition(":")
        return f"formats.{account_id}" if name == "format" else f"options.{account_id}.{name}"
    return NAMES.get(field, field)


# ---------------------------------------------------------------- from a body to what the form would say


def _typed(asked: Asked, before: Typed) -> Typed:
    """What was asked for, as the form of the page would have it. Raises Problem for ids that are not there."""
    body: PostContent = asked.body
    _check_ids(asked, body)
    ids = before.account_ids if body.account_ids is None else list(dict.fromkeys(body.account_ids))
    when, wall = _time(asked, body, before)
    every = before.repeat if body.repeat is None else body.repeat
    return Typed(post_shapes.content(body, before.content), ids, _choices(body, before, ids), when, wall, every,
                 "" if every == NEVER else body.last_day or before.last_day, body.again)


def _choices(body: PostContent, before: Typed, ids: Sequence[str]) -> dict[str, Choice]:
    found: dict[str, Choice] = {}
    for one in ids:
        was = before.choices.get(one, Choice())
        chosen = was.options if body.options is None else post_shapes.options(body.options.get(one, {}))
        found[one] = Choice(was.format if body.formats is None else body.formats.get(one, ""), chosen)
    return found


def _time(asked: Asked, body: PostContent, before: Typed) -> tuple[str, str]:
    """When it shall go out, and the time by the clock of the workspace. Raises Problem for what contradicts itself."""
    wall = wall_of(asked, body.scheduled_at, body.wall_time)
    if wall and body.when in (NOW, QUEUE):
        raise Problem("invalid", "A time is given, but another choice of when.",
                      [Fault("when", f"A time is given, so this cannot be {body.when}.")])
    if wall:
        return LATER, wall
    return body.when or before.when, before.wall_time


def wall_of(asked: Asked, instant: datetime | None, wall_time: str | None) -> str:
    """A time by the clock of the workspace; empty where none is given. Raises Problem."""
    if instant is None:
        return wall_time or ""
    if wall_time is not None:
        raise Problem("invalid", "", [Fault("wallTime", "Give scheduledAt or wallTime, not both.")])
    instant, zone = instant.replace(second=0, microsecond=0), asked.place.time_zone
    wall = times.local(instant, zone).replace(tzinfo=None)
    if times.moment(wall, zone).instant != instant:  # the second of a doubled hour
        raise Problem("invalid", "", [Fault("scheduledAt", f"The clocks in {zone} show this time twice, and only the "
                                                           "first can be chosen. Choose another time.")])
    return f"{wall:%Y-%m-%dT%H:%M}"


def _check_ids(asked: Asked, body: PostContent) -> None:
    """Raise Problem for profiles and files that are not in this workspace, each by its place in the body."""
    accounts = _account_fields(body)
    files = _file_fields(body)
    known = set(db.session.scalars(select(Account.id).where(
        Account.workspace_id == asked.place.id, Account.state != DISCONNECTED,
        Account.id.in_(set(accounts.values()))))) if accounts else set()
    there = {one.id for one in media.still_there(asked.place, list(set(files.values())))}
    faults = [Fault(field, "There is no such connected profile here.") for field, one in accounts.items()
              if one not in known]
    faults += [Fault(field, "There is no such file here.") for field, one in files.items() if one not in there]
    if faults:
        raise Problem("invalid", " ".join(dict.fromkeys(one.message for one in faults)), faults[:50])


def _account_fields(body: PostContent) -> dict[str, str]:
    """Where the body names a profile, and which."""
    listed = {f"accountIds.{number}": one for number, one in enumerate(body.account_ids or ())}
    named: Mapping[str, Mapping[str, Any] | None] = {
        "variations": body.variations, "formats": body.formats, "options": body.options}
    return listed | {f"{name}.{one}": one for name, given in named.items() for one in given or ()}


def _file_fields(body: PostContent) -> dict[str, str]:
    """Where the body names a file, and which."""
    listed = {f"media.{number}": one for number, one in enumerate(body.media or ())}
    listed |= {f"altTexts.{one}": one for one in body.alt_texts or ()}
    listed |= {f"parts.{number}.media.{place}": one for number, part in enumerate(body.parts or ())
               for place, one in enumerate(part.media)}
    return listed | {
        f"options.{account_id}.{name}": value for account_id, given in (body.options or {}).items()
        for name, value in given.items() if name in checks.FILE_FIELDS and isinstance(value, str) and value}


# ---------------------------------------------------------------- answers


def _tag(asked: Asked, found: Post) -> str:
    return f'"{post_lists.mark_of(found, found.deliveries)}"'


def _told(asked: Asked, post_id: str, status: int = 0) -> Answer:
    """A post as it is now, with its ETag."""
    found = post_lists.whole(asked.place, post_id)
    return Answer(post_shapes.post(asked.place, found), status, etag=_tag(asked, found))


def _one(asked: Asked) -> Post:
    """The post that is asked for, in the version that the request names."""
    found = post_lists.whole(asked.place, asked.ids["postId"])
    heed(asked, _tag(asked, found))
    return found


# ---------------------------------------------------------------- reading


@operation("GET", "/posts", "see", "posts", "The posts of the workspace", query=PostQuery, answer=PostList)
def list_posts(asked: Asked) -> PostList:
    """The newest first. With `from` or `to` in the order of their time, the latest first."""
    query: PostQuery = asked.query
    before = _cursor(query.cursor)
    if query.state in (DRAFT, SUBMITTED):
        return _unsent(asked, query, before)
    wanted = post_lists.Wanted(query.state, public_ids.inner(query.account_id or ""), query.platform or "",
                               text=post_lists.tidy(query.words or ""), begin=query.begin, end=query.end)
    page = post_lists.page(asked.place, wanted, before, query.limit)
    order = [row.post.id for row in page.rows]
    found = {one.id: one for one in post_lists.some(asked.place, order)}
    return PostList(data=[post_shapes.post(asked.place, found[one]) for one in order if one in found],
                    next_cursor=_shown(page.next))


def _unsent(asked: Asked, query: PostQuery, before: str) -> PostList:
    further = [name for name, value in (("accountId", query.account_id), ("platform", query.platform),
                                        ("from", query.begin), ("to", query.end), ("words", query.words)) if value]
    if further:
        raise Problem("invalid", f"Posts that are {query.state} are listed as a whole.",
                      [Fault(name, "Leave it out for this state.") for name in further])
    read = draft_posts.all_drafts if query.state == DRAFT else draft_posts.waiting
    found = read(asked.place, before=before or None, limit=query.limit + 1)
    shown = found[:query.limit]
    whole = {one.id: one for one in post_lists.some(asked.place, [one.id for one in shown])}
    return PostList(data=[post_shapes.post(asked.place, whole[one.id]) for one in shown if one.id in whole],
                    next_cursor=_shown(shown[-1].id) if len(found) > query.limit else None)


def _shown(cursor: str) -> str | None:
    """A cursor as programs get it: letters that an address may hold as they are."""
    return urlsafe_b64encode(cursor.encode()).decode().rstrip("=") if cursor else None


def _cursor(given: str | None) -> str:
    """The cursor inside. Raises Problem for one that was not given out."""
    if not given:
        return ""
    try:
        inside = urlsafe_b64decode(given.encode() + b"=" * (-len(given) % 4)).decode()
        at, mark, _ = inside.partition("~")
        is_ours = CURSOR.fullmatch(inside) is not None and (
            not mark or FIRST_YEAR <= datetime.fromisoformat(at).astimezone(UTC).year <= LAST_YEAR)
    except (ValueError, OverflowError):
        is_ours = False
    if not is_ours:
        raise Problem("invalid", "", [Fault("cursor", "Give the nextCursor of the page before.")])
    return inside


@operation("GET", "/posts/{postId}", "see", "posts", "One post", answer=PostShape, is_tagged=True)
def get_post(asked: Asked) -> Answer:
    """What it says, and what became of it at each profile."""
    return _told(asked, asked.ids["postId"])


@operation("GET", "/deliveries/{deliveryId}", "see", "posts", "One post at one profile", answer=DeliveryShape,
           is_tagged=True)
def get_delivery(asked: Asked) -> DeliveryShape:
    """How it stands, why, and what the console does next."""
    return post_shapes.delivery(posts.delivery(asked.place, asked.ids["deliveryId"]))


# ---------------------------------------------------------------- writing


@operation("POST", "/posts", "compose", "posts", "Write a post", body=PostBody, answer=PostShape, status=201,
           is_tagged=True, also=WRITTEN, others={DRY: DryRun}, problems=("conflict",))
def create_post(asked: Asked) -> Answer:
    """Sent off at once unless another time is given, scheduled, put into the queue, or kept as a draft.

    Where an owner approves posts and the person of the key is none, it is submitted (202). With `dryRun` the answer is
    what each profile makes of it (200).
    """
    body: PostBody = asked.body
    is_timed = body.when is not None or body.scheduled_at is not None or body.wall_time is not None
    typed = _typed(asked, Typed(Content(""), when=LATER if body.draft and not is_timed else NOW))
    if body.dry_run:
        return _tried(asked, typed, is_draft=body.draft)
    nonce = _nonce(asked)
    with refusals(asked):
        write = draft_posts.save if body.draft else draft_posts.send
        made = write(asked.place, asked.user, typed, nonce=nonce)
    return _told(asked, made.id, WAITS if made.state == SUBMITTED else 0)


def _nonce(asked: Asked) -> str:
    """What makes one post of a repeated request. An Idempotency-Key that is free again makes a new one."""
    nonce, number = asked.nonce, 0
    while nonce and (found := posts.by_nonce(asked.place, nonce)) is not None \
            and asked.now - found.created_at >= once.LIFE:
        number += 1
        nonce = f"{asked.nonce}:{number}"
    return nonce


def _tried(asked: Asked, typed: Typed, *, is_draft: bool, is_sent: bool = False) -> Answer:
    """What would come of it, by the checks of the composer. Asks no platform and writes nothing."""
    chosen = list(db.session.scalars(select(Account).where(
        Account.workspace_id == asked.place.id, Account.id.in_(set(typed.account_ids)), Account.state != DISCONNECTED)))
    content = tidied(typed.content)
    found = {one.account.id: one for one in checks.check(asked.place, content, chosen, typed.choices)}
    errors, at = _plan(asked, typed, is_draft, is_sent)
    would_be = DRAFT if is_draft else SUBMITTED if access.must_ask(asked.place, asked.user) else SCHEDULED
    timed = asked.body.scheduled_at is not None
    return Answer(DryRun(
        ok=not errors, would_be=would_be, scheduled_at=at, errors=errors,
        accounts=[AccountCheck(
            account_id=one.account.id, platform=one.account.platform, ok=not one.problems, format=one.format,
            count=one.count, limit=one.most, counted_as=one.counted_as, notes=list(one.notes),
            problems=[FaultShape(field=_name(wrong.field, timed), message=wrong.sentence) for wrong in one.problems])
            for one in (found[account_id] for account_id in typed.account_ids if account_id in found)]), DRY)


def _plan(asked: Asked, typed: Typed, is_draft: bool, is_sent: bool) -> tuple[list[FaultShape], datetime | None]:
    """What would be refused, and when it would go out."""
    if is_draft and not typed.is_empty:
        return [], None
    try:
        if is_draft:
            raise Invalid({"text": "There is nothing to keep yet. Write something first."})
        if typed.repeat != NEVER and typed.when != LATER:
            raise Invalid({"repeat": "A post that repeats needs a time."})
        planned = posts.plan(asked.place, typed.content, typed.account_ids, when=typed.when, wall_time=typed.wall_time,
                             again=typed.again or is_sent, choices=typed.choices)
    except Invalid as wrong:
        return [FaultShape(field=one.field, message=one.message) for one in _invalid(asked, wrong).errors], None
    slot = slots.next_free(asked.place, asked.now) if planned.when == QUEUE else None
    return [], slot.instant if slot is not None else planned.due_at


# ---------------------------------------------------------------- changing


@operation("PATCH", "/posts/{postId}", "compose", "posts", "Change a post", body=PostChange, answer=PostShape,
           is_tagged=True, also=WRITTEN, others={DRY: DryRun}, status=200, problems=("conflict",))
def change_post(asked: Asked) -> Answer:
    """A draft, a post that waits for approval, or one of which nothing has begun: all or nothing.

    With If-Match only the version that was read is changed; else the present one. `draft: false` sends a draft off.
    """
    found, body = _one(asked), asked.body
    opened, before = Opened(found.id, found.version), draft_posts.typed_of(asked.place, found)
    is_unsent = posts.is_unsent(found)
    if found.state == CANCELLED and is_unsent:
        raise Problem("conflict", "The draft was discarded.", state=found.state)
    is_timed = body.when is not None or body.scheduled_at is not None or body.wall_time is not None
    if not is_unsent and (why := draft_posts.why_not_editable(found)):
        raise Problem("conflict", why, state=found.state)
    if not is_unsent and draft_posts.has_failed(found) and not is_timed:
        raise Problem("invalid", "Its time has passed.", [Fault("when", "Say when it goes out: its time has passed.")])
    if not is_unsent and body.draft:
        raise Problem("conflict", "It is scheduled already, so it cannot become a draft. Cancel it first.",
                      state=found.state)
    write = _way(found, body)
    typed = _typed(asked, before)
    if body.dry_run:
        return _tried(asked, typed, is_draft=write is draft_posts.save, is_sent=not is_unsent)
    with refusals(asked):
        made = write(asked.place, asked.user, typed, opened=opened)
    return _told(asked, made.id, WAITS if made.state == SUBMITTED else 0)


def _way(found: Post, body: PostChange) -> Callable[..., Post]:
    """How a change is written: kept as a draft, submitted again, or sent as the form is."""
    if body.draft or (body.draft is None and found.state == DRAFT):
        return draft_posts.save
    return draft_posts.submit if body.draft is None and found.state == SUBMITTED else draft_posts.send


# ---------------------------------------------------------------- deleting


@operation("DELETE", "/posts/{postId}", "compose", "posts", "Delete a post", query=DeleteQuery, answer=DeletedPost,
           is_tagged=True, problems=("conflict", "platform_failed"))
def delete_post(asked: Asked) -> DeletedPost:
    """A draft is discarded, a scheduled post cancelled. What is published stays, and then nothing is done (409),
    unless `deletePublished` asks to delete it at the platforms too. Again changes nothing.
    """
    found = _one(asked)
    if posts.is_unsent(found):
        return _discarded(asked, found)
    out = _deletable(asked, found)
    stopped = 0
    with refusals(asked):
        if any(one.state in STOPPABLE for one in found.deliveries):
            stopped = decisions.cancel(found, asked.user)
    for one in out:
        try:
            decisions.delete_published(one, asked.user)
        except NotPossible as refused:
            raise Problem("platform_failed", str(refused), deliveryId=one.id) from None
    return DeletedPost(id=public_ids.public(found.id), state=found.state, cancelled=stopped,
                       deleted_at_platform=len(out))


def _discarded(asked: Asked, found: Post) -> DeletedPost:
    if found.state != CANCELLED:
        with refusals(asked):
            draft_posts.discard(asked.place, asked.user, found.id, found.version)
    return DeletedPost(id=public_ids.public(found.id), state=CANCELLED, cancelled=0, deleted_at_platform=0)


def _deletable(asked: Asked, found: Post) -> list[Delivery]:
    """What is out and can be deleted at its platform. Raises Problem, before anything is done."""
    out = [one for one in found.deliveries if one.state == PUBLISHED and one.deleted_at is None]
    moving = [one for one in found.deliveries if one.state not in (PUBLISHED, CANCELLED, *STOPPABLE)]
    if moving:
        raise Problem("conflict", "It is on its way, or it is not known whether it is out. Wait until that is settled.",
                      deliveryIds=[one.id for one in moving])
    if out and not asked.query.delete_published:
        raise Problem("conflict", "It is published, so it stays. Nothing was done. `deletePublished=true` deletes it "
                      "at the platforms too; the call that cancels stops what has not gone out.",
                      deliveryIds=[one.id for one in out])
    stays = [one for one in out if not one.parts or not decisions.can_delete(one.account)]
    if stays:
        raise Problem("conflict", "What is published at some of its profiles cannot be deleted from here. Nothing was "
                      "done.", deliveryIds=[one.id for one in stays])
    return out


# ---------------------------------------------------------------- deciding about a post


@operation("POST", "/posts/{postId}/cancel", "compose", "posts", "Cancel a post", answer=PostShape, is_tagged=True,
           problems=("conflict",))
def cancel_post(asked: Asked) -> Answer:
    """Whatever of it has not gone out; what is published stays. A draft is discarded."""
    found = _one(asked)
    with refusals(asked):
        if posts.is_unsent(found):
            draft_posts.discard(asked.place, asked.user, found.id, found.version)
        else:
            decisions.cancel(found, asked.user)
    return _told(asked, found.id)


@operation("POST", "/posts/{postId}/retry", "compose", "posts", "Try a post again", answer=PostShape, is_tagged=True,
           problems=("conflict",))
def retry_post(asked: Asked) -> Answer:
    """What failed or was missed is sent now, and what is held as soon as it can."""
    found = _one(asked)
    waiting = [one for one in found.deliveries if one.state in RETRIABLE]
    refused = [why for one in waiting if (why := _retried(asked, one))]
    if len(refused) == len(waiting):
        raise Problem("conflict", refused[0] if refused else "Nothing of this post can be tried again.")
    return _told(asked, found.id)


def _retried(asked: Asked, one: Delivery) -> str:
    """Why a delivery is not tried again; empty if it is."""
    try:
        decisions.retry(one, asked.user)
    except NotPossible as moved_on:
        return str(moved_on)
    return ""


@operation("POST", "/posts/{postId}/approve", "approve", "posts", "Approve a post", body=ApproveBody, answer=PostShape,
           is_tagged=True, problems=("conflict",))
def approve_post(asked: Asked) -> Answer:
    """It is scheduled as it was submitted, or for another time."""
    found = _one(asked)
    wall = wall_of(asked, asked.body.scheduled_at, asked.body.wall_time)
    with refusals(asked):
        draft_posts.approve(asked.place, asked.user, found.id, found.version, wall)
    return _told(asked, found.id)


@operation("POST", "/posts/{postId}/send-back", "approve", "posts", "Send a post back", body=SendBackBody,
           answer=PostShape, is_tagged=True, problems=("conflict",))
def send_post_back(asked: Asked) -> Answer:
    """Its author reads the note and has it as a draft again."""
    found = _one(asked)
    with refusals(asked):
        draft_posts.send_back(asked.place, asked.user, found.id, found.version, asked.body.note)
    return _told(asked, found.id)


# ---------------------------------------------------------------- deciding about one delivery


def _decided(asked: Asked, deed: Callable[[Delivery], object]) -> DeliveryShape:
    found = posts.delivery(asked.place, asked.ids["deliveryId"])
    with refusals(asked):
        deed(found)
    return post_shapes.delivery(posts.delivery(asked.place, asked.ids["deliveryId"]))


@operation("POST", "/deliveries/{deliveryId}/retry", "compose", "posts", "Try one profile again", answer=DeliveryShape,
           problems=("conflict",))
def retry_delivery(asked: Asked) -> DeliveryShape:
    """What failed or was missed is sent now, and what is held as soon as it can."""
    return _decided(asked, lambda one: decisions.retry(one, asked.user))


@operation("POST", "/deliveries/{deliveryId}/cancel", "compose", "posts", "Cancel at one profile",
           answer=DeliveryShape, problems=("conflict",))
def cancel_delivery(asked: Asked) -> DeliveryShape:
    """It does not go out at this profile."""
    return _decided(asked, lambda one: decisions.cancel_delivery(one, asked.user))


@operation("POST", "/deliveries/{deliveryId}/reschedule", "compose", "posts", "Move at one profile",
           body=RescheduleBody, answer=DeliveryShape, problems=("conflict",))
def reschedule_delivery(asked: Asked) -> DeliveryShape:
    """It goes out at another time at this profile."""
    wall = wall_of(asked, asked.body.scheduled_at, asked.body.wall_time)
    return _decided(asked, lambda one: decisions.reschedule(one, asked.user, wall))


@operation("POST", "/deliveries/{deliveryId}/check", "compose", "posts", "Look again whether it is published",
           answer=DeliveryShape, problems=("conflict",))
def check_delivery(asked: Asked) -> DeliveryShape:
    """The console asks the platform soon; the answer is in the state of the delivery."""
    return _decided(asked, lambda one: decisions.check_again(one, asked.user))


@operation("POST", "/deliveries/{deliveryId}/mark-published", "compose", "posts", "Say that it is published",
           answer=DeliveryShape, problems=("conflict",))
def mark_delivery_published(asked: Asked) -> DeliveryShape:
    """For a delivery of which the console does not know it: somebody saw it at the platform."""
    return _decided(asked, lambda one: decisions.mark_published(one, asked.user))


@operation("POST", "/deliveries/{deliveryId}/publish-again", "compose", "posts", "Send it once more",
           answer=DeliveryShape, problems=("conflict",))
def publish_delivery_again(asked: Asked) -> DeliveryShape:
    """For a delivery of which the console does not know whether it is out: somebody looked, and it is not there."""
    return _decided(asked, lambda one: decisions.publish_again(one, asked.user))
