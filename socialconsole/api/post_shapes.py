"""Posts and deliveries as programs write and read them, and what a post of the console looks like in these shapes."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from .. import draft_posts, drafts, post_lists, posts, public_ids
from ..draft_posts import LATER, NOW, QUEUE, Typed
from ..models import Delivery, Post, Workspace
from ..posts import LONGEST_TEXT
from ..providers.content import YES
from .shapes import Id, Instant, Paging, Shape, Text

MOST_FILES, MOST_PARTS, MOST_ACCOUNTS, MOST_ANSWERS = 20, 25, 1000, 10
LONGEST_VALUE, LONGEST_ALT = 20_000, 5000
RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
FIRST_YEAR, LAST_YEAR = 1970, 9998  # beyond it some clock on the wall shows no year that there is


def _told(value: Any) -> Any:
    """A text as the instant that it tells; digits alone would else be taken for seconds since 1970."""
    if not isinstance(value, str):
        return value
    try:
        if RFC3339.fullmatch(value):
            return datetime.fromisoformat(value.upper())
    except ValueError:  # the 30th of February
        pass
    raise ValueError("is no instant of RFC 3339, such as 2026-11-23T06:00:00Z")


def _near(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"lies outside of the years {FIRST_YEAR} to {LAST_YEAR}")
    return at


Moment = Annotated[Instant, BeforeValidator(_told), AfterValidator(_near)]
WallTime = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$",
                                examples=["2026-11-23T06:00"])]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2026-12-31"])]
Words = Annotated[Text, Field(max_length=LONGEST_TEXT)]
Name = Annotated[Text, Field(max_length=60)]
Value = Annotated[Text, Field(max_length=LONGEST_VALUE)]
Files = Annotated[list[Id], Field(max_length=MOST_FILES)]
Accounts = Annotated[list[Id], Field(max_length=MOST_ACCOUNTS)]
When = Literal["now", "later", "queue"]
Repeat = Literal["never", "day", "week", "month"]
State = Literal["all", "needs", "scheduled", "published", "failed", "draft", "submitted"]


# ---------------------------------------------------------------- what is sent


class PartShape(Shape):
    """A further part of a thread."""

    text: Words = ""
    media: Files = Field(default_factory=list)


class PollShape(Shape):
    """A question with answers to choose from."""

    question: Words = ""
    options: list[Words] = Field(max_length=MOST_ANSWERS)
    minutes: int = Field(1440, ge=1, le=1_000_000, description="How long it is open.")


class VariationShape(Shape):
    """What one profile publishes instead of the common text."""

    text: Words
    first_comment: Words | None = Field(None, description="null: the common one.")
    chain: bool = Field(True, description="Whether the further parts follow here too.")


class PostContent(Shape):
    """What a post says, where it goes and when. In a change, what is left out stays as it is."""

    account_ids: Accounts | None = Field(None, description="The profiles it goes to.")
    text: Words | None = Field(None, description="The text for all profiles without a variation.")
    media: Files | None = Field(None, description="Files of the workspace, in their order.")
    alt_texts: dict[Id, Annotated[Text, Field(max_length=LONGEST_ALT)]] | None = Field(
        None, description="What pictures show, by the file's id; else what the file itself says.")
    variations: dict[Id, VariationShape] | None = Field(None, description="By the id of the profile.")
    parts: Annotated[list[PartShape], Field(max_length=MOST_PARTS)] | None = Field(
        None, description="The further parts of a thread.")
    poll: PollShape | None = None
    first_comment: Words | None = None
    formats: dict[Id, Name] | None = Field(
        None, description="What kind of post it is, by the id of the profile, such as story; else the usual one.")
    options: dict[Id, dict[Name, Value | bool]] | None = Field(
        None, description="The platform's own choices, by the id of the profile; see listPlatforms.")
    when: When | None = Field(
        None, description="later is meant where scheduledAt or wallTime is given; a new post goes out now.")
    scheduled_at: Moment | None = Field(None, description="When it goes out, to the minute.")
    wall_time: WallTime | None = Field(None, description="The same by the clock of the workspace.")
    repeat: Repeat | None = Field(None, description="How often it goes out again, from its time on.")
    last_day: Day | None = Field(None, description="The last day of a post that repeats.")
    again: bool = Field(False, description="Send it even if the same text was just sent there.")
    dry_run: bool = Field(False, description="Check everything and write nothing.")


class PostBody(PostContent):
    """A new post."""

    draft: bool = Field(False, description="Keep it as a draft: nothing is checked and nothing goes out.")


class PostChange(PostContent):
    """A change of a post. What is left out stays as it is."""

    draft: bool | None = Field(
        None, description="true: it becomes, or stays, a draft. false: a draft is sent off. Left out: it stays what it "
                                "is.")


class PostQuery(Paging):
    """Which posts. Of drafts and of what waits for approval there is one list each, without further filters."""

    state: State = Field("all", description="needs: a person has to act. all: all that were sent off.")
    account_id: Id | None = None
    platform: Name | None = None
    begin: Moment | None = Field(None, alias="from", description="Only those that go out at this instant or later.")
    end: Moment | None = Field(None, alias="to", description="Only those that go out before.")
    words: Text | None = Field(None, max_length=post_lists.LONGEST_SEARCH, description="Only those with this in them.")


class DeleteQuery(Shape):
    """What becomes of what is published."""

    delete_published: bool = Field(False, description="Delete it at the platforms too, where they let us.")


class ApproveBody(Shape):
    """When an approved post goes out, if not at its own time."""

    scheduled_at: Moment | None = None
    wall_time: WallTime | None = Field(None, description="By the clock of the workspace.")


class SendBackBody(Shape):
    """What should change."""

    note: Words = Field(description="The author reads it.")


class RescheduleBody(Shape):
    """The new time of a delivery: one of both."""

    scheduled_at: Moment | None = None
    wall_time: WallTime | None = Field(None, description="By the clock of the workspace.")


# ---------------------------------------------------------------- what is told


class DeliveryShape(Shape):
    """One post to one profile: what became of it."""

    id: str
    post_id: str
    account_id: str
    account_name: str
    platform: str
    state: str = Field(description="scheduled, held, preparing, processing, publishing, sent, unconfirmed, published, "
                                   "failed, missed, cancelled")
    reason: str = Field(description="What happened and what comes next, in a sentence.")
    error_code: str
    held_by: str = Field(description="What it waits for while it is held: account, platform, app, grant.")
    format: str
    options: dict[str, str]
    scheduled_for: Instant
    next_at: Instant | None = Field(description="When the console acts next by itself; null: it does not.")
    attempts: int
    sent_at: Instant | None
    published_at: Instant | None
    permalink: str
    platform_post_id: str
    parts_out: int = Field(description="How many parts are out.")
    warning: str
    confirmed_by: str
    deleted_at: Instant | None = Field(description="When it was deleted at the platform from here.")


class PostShape(Shape):
    """A post. Its outcome is that of its deliveries."""

    id: str
    workspace_id: str
    state: str = Field(description="draft, submitted, scheduled, cancelled")
    version: int
    text: str
    media: list[str]
    alt_texts: dict[str, str]
    variations: dict[str, VariationShape]
    parts: list[PartShape]
    poll: PollShape | None
    first_comment: str
    account_ids: list[str]
    when: str = Field(description="now, later, queue: of a draft what was chosen")
    scheduled_at: Instant | None
    wall_time: str
    time_zone: str
    repeats: bool
    author: str
    review_note: str = Field(description="Why it was sent back.")
    submitted_by: str
    reviewed_by: str
    created_at: Instant
    updated_at: Instant | None
    counts: dict[str, int] = Field(description="How many deliveries stand how.")
    deliveries: list[DeliveryShape]


class PostList(Shape):
    """A page of posts, the newest first; within a period by their time, the latest first."""

    data: list[PostShape]
    next_cursor: str | None


class FaultShape(Shape):
    """What is wrong with a field."""

    field: str
    message: str


class AccountCheck(Shape):
    """What one profile makes of a post."""

    account_id: str
    platform: str
    ok: bool
    format: str
    count: int
    limit: int
    counted_as: str
    problems: list[FaultShape]
    notes: list[str]


class DryRun(Shape):
    """What would happen. Nothing was written."""

    dry_run: bool = True
    ok: bool
    would_be: str = Field(description="scheduled, submitted, draft")
    scheduled_at: Instant | None = Field(description="When it would go out; null: not before somebody says so.")
    errors: list[FaultShape]
    accounts: list[AccountCheck]


class DeletedPost(Shape):
    """What deleting achieved."""

    id: str
    state: str
    cancelled: int = Field(description="Deliveries that do not go out any more.")
    deleted_at_platform: int = Field(description="Deliveries that were deleted at their platform.")


# ---------------------------------------------------------------- from rows to shapes


def delivery(one: Delivery) -> DeliveryShape:
    """A delivery as it is told."""
    return DeliveryShape(
        id=one.id, post_id=public_ids.public(one.post_id), account_id=one.account_id,
        account_name=one.account.display_name or one.account.username, platform=one.account.platform, state=one.state,
        reason=one.note, error_code=one.error_code, held_by=one.hold, format=one.format, options=dict(one.options),
        scheduled_for=one.scheduled_for, next_at=one.due_at, attempts=one.attempts, sent_at=one.sent_at,
        published_at=one.published_at, permalink=one.permalink, platform_post_id=one.platform_post_id,
        parts_out=len(one.parts), warning=one.warning, confirmed_by=one.confirmed_by, deleted_at=one.deleted_at)


def post(workspace: Workspace, found: Post) -> PostShape:
    """A post as it is told, with its deliveries."""
    typed, counts = draft_posts.typed_of(workspace, found), dict[str, int]()
    for one in found.deliveries:
        counts[one.state] = counts.get(one.state, 0) + 1
    content, is_unsent = typed.content, posts.is_unsent(found)
    return PostShape(
        id=public_ids.public(found.id), workspace_id=public_ids.public(found.workspace_id), state=found.state,
        version=found.version, text=content.text, media=list(content.media), alt_texts=dict(content.alts),
        variations={name: VariationShape(text=one.text, first_comment=one.first_comment, chain=one.chain)
                    for name, one in content.own.items()},
        parts=[PartShape(text=one.text, media=list(one.media)) for one in content.parts],
        poll=PollShape(question=content.poll.question, options=list(content.poll.options),
                       minutes=content.poll.minutes) if content.poll else None,
        first_comment=content.first_comment,
        account_ids=list(typed.account_ids) if is_unsent else [one.account_id for one in found.deliveries],
        when=_when(found, typed, is_unsent), scheduled_at=found.due_at, wall_time=found.wall_time,
        time_zone=found.time_zone, repeats=found.series_id is not None or typed.repeat != draft_posts.NEVER,
        author=found.author_name, review_note=found.review_note, submitted_by=found.submitted_by,
        reviewed_by=found.reviewed_by, created_at=found.created_at, updated_at=found.updated_at, counts=counts,
        deliveries=[delivery(one) for one in found.deliveries])


def _when(found: Post, typed: Typed, is_unsent: bool) -> str:
    if is_unsent:
        return typed.when if typed.when in (NOW, QUEUE) else LATER
    return QUEUE if found.is_queued else LATER


def content(body: PostContent, before: drafts.Content) -> drafts.Content:
    """What a body makes of a content: what it leaves out stays."""
    given = body.model_fields_set
    files = before.media if body.media is None else tuple(dict.fromkeys(body.media))
    poll = before.poll
    if "poll" in given:
        poll = None if body.poll is None else drafts.Poll(
            body.poll.question.strip(), tuple(one.strip() for one in body.poll.options), body.poll.minutes)
    return drafts.Content(
        before.text if body.text is None else body.text, files,
        dict(before.alts) if body.alt_texts is None else {one: text.strip() for one, text in body.alt_texts.items()},
        poll,
        before.parts if body.parts is None else tuple(drafts.PartText(one.text, tuple(dict.fromkeys(one.media)))
                                                      for one in body.parts),
        before.first_comment if body.first_comment is None else body.first_comment,
        dict(before.own) if body.variations is None else {
            name: drafts.OwnText(one.text, one.first_comment, one.chain) for name, one in body.variations.items()})


def options(given: Mapping[str, str | bool]) -> dict[str, str]:
    """The platform's own choices as the form has them: a tick is a word."""
    return {name: value if isinstance(value, str) else YES if value else "" for name, value in given.items()}
