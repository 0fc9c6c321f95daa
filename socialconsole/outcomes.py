"""What the platforms' answers mean for a delivery: taken, kept, moved on.

A delivery is taken by one conditional UPDATE that raises its fence; what unfinished steps leave behind is kept sealed;
each answer moves it by one table. The steps themselves are in `publishing.py` (prepare, check, publish) and
`following.py` (ask what became of it, look whether it is there).
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import or_, update
from werkzeug.exceptions import NotFound

from . import drafts, platform_apps, tokens
from .database import took, writing
from .deliveries import FOR_ACCOUNT, FOR_APP, LOOK_AFTER, move, release_app
from .errors import (
    AlreadyPublished,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from .extensions import db
from .models import FAILED, HELD, PROCESSING, PUBLISHED, SCHEDULED, SENT, UNCONFIRMED, Delivery, Workspace
from .outside import now as present
from .providers.content import COMMENT, Draft, Progress, Published, Sent, Superseded
from .times import exact
from .vault import Unreadable, Vault

LEASE = timedelta(seconds=120)  # above what one call can take; long uploads renew it
MOST_ATTEMPTS = 6
PROBE_AFTER = timedelta(minutes=15)
WAIT_UNSTATED = timedelta(minutes=15)
FOLLOW_FOR = timedelta(days=3)  # after that only a look at the platform helps
FOR_PERSON = timedelta(days=7)  # how long we ask whether the person finished it inside the platform
SENT_KEY = "_sent"  # in the kept progress: what the platform accepted
LONGEST_CODE, LONGEST_ID, LONGEST_LINK = 80, 200, 500  # what a row keeps of a platform's words

Outcome = Published | Sent | PlatformError


@dataclass(frozen=True)
class Work:
    """A claimed delivery: all that the calls need, read while the claim was committed."""

    delivery_id: str
    fence: int
    used: tokens.Access
    draft: Draft
    progress: Progress
    sent_at: datetime | None = None

    @property
    def name(self) -> str:
        """The platform's name."""
        return self.used.provider.name


# ---------------------------------------------------------------- taking


def take(delivery_id: str, states: tuple[str, ...], now: datetime) -> Delivery | None:
    """Take a due delivery in one of these states for this worker alone; None if it is not ours. Inside `writing()`."""
    if not took(
            update(Delivery)
            .where(Delivery.id == delivery_id, Delivery.state.in_(states), Delivery.due_at <= now,
                   or_(Delivery.lease_until.is_(None), Delivery.lease_until < now))
            .values(fence=Delivery.fence + 1, lease_until=now + LEASE)):
        return None
    return db.session.get_one(Delivery, delivery_id, populate_existing=True)


def mine(work: Work, states: tuple[str, ...]) -> Delivery:
    """The delivery, if it is still this worker's; raises Superseded. Inside `writing()`."""
    delivery = locked(work.delivery_id)
    if delivery is None or delivery.fence != work.fence or delivery.state not in states:
        raise Superseded
    return delivery


def locked(delivery_id: str) -> Delivery | None:
    """The delivery as it is now, with its row kept from others until the end of `writing()`."""
    return db.session.get(Delivery, delivery_id, populate_existing=True, with_for_update=True)


class Unworkable(Exception):
    """What is left of a delivery cannot be worked on; the message says why. `is_comment`: the post itself is out."""

    def __init__(self, message: str, *, is_comment: bool = False) -> None:
        super().__init__(message)
        self.is_comment = is_comment


def make_work(delivery: Delivery, used: tokens.Access) -> Work:
    """The work on a claimed delivery. Inside `writing()`; raises Unworkable."""
    post = delivery.post
    content = drafts.load(post.text, post.content)
    workspace = db.session.get_one(Workspace, delivery.workspace_id)
    if len(delivery.parts) >= len(drafts.parts_of(content, delivery.account, delivery.format)):
        chain = len(content.parts[: used.provider.most_parts - 1])
        raise Unworkable("The profile has no permission any more for what is left of this post. Reconnect it to grant "
                         "it.", is_comment=len(delivery.parts) > chain)
    try:
        files = drafts.files_of(workspace, content, delivery.options)
    except NotFound:
        raise Unworkable("A file of this post is no longer here. Write the post again with another one.") from None
    draft = drafts.draft(content, delivery.account, len(delivery.parts), format=delivery.format,
                         options=delivery.options, files=files, done=delivery.parts)
    delivery_id, fence = delivery.id, delivery.fence
    progress = Progress(_opened(delivery), lambda state: _keep(delivery_id, fence, state))
    return Work(delivery_id, fence, used, draft, progress, delivery.sent_at)


def hold_for_account(delivery: Delivery, why: str, now: datetime, code: str = "") -> None:
    """Hold a delivery until its profile is mended."""
    move(delivery, HELD, why, now, hold=FOR_ACCOUNT, code=code)


def hold_for_app(delivery: Delivery, error: ConfigurationWrong, now: datetime) -> None:
    """The platform refuses the app. A reading of the profile now and then finds out when that is over."""
    move(delivery, HELD, error.message, now, hold=FOR_APP, code=error.code)
    if delivery.account.grant is not None:
        platform_apps.flag(delivery.account.grant.app_id, error.message, error.code, now)
        delivery.account.sync_due_at = now + PROBE_AFTER


def clock(delivery: Delivery, at: datetime) -> str:
    """An instant in the time zone of the delivery's workspace."""
    return exact(at, db.session.get_one(Workspace, delivery.workspace_id).time_zone)


# ---------------------------------------------------------------- what an unfinished part left behind


def _vault() -> Vault:
    vault: Vault = current_app.extensions["vault"]
    return vault


def _where(delivery: Delivery) -> tuple[str, ...]:
    return ("handle", "delivery", delivery.workspace_id, delivery.id)


def _opened(delivery: Delivery) -> dict[str, Any]:
    """What earlier steps kept; empty if the keys of this server do not open it, since every step can begin anew."""
    if not delivery.handle:
        return {}
    try:
        state: dict[str, Any] = json.loads(_vault().open(base64.b64decode(delivery.handle), *_where(delivery)))
    except (Unreadable, ValueError):
        return {}
    return state


def sealed(delivery: Delivery, state: Mapping[str, Any]) -> str:
    """What a step left behind, as the row keeps it."""
    if not state:
        return ""
    return base64.b64encode(_vault().seal(json.dumps(state), *_where(delivery))).decode()


def _keep(delivery_id: str, fence: int, state: Mapping[str, Any]) -> None:
    """Commit what a step left behind, and that we live. Raises Superseded if the delivery is no longer ours."""
    now = present()
    with writing() as session:
        delivery = session.get(Delivery, delivery_id, populate_existing=True)
        if delivery is None or not took(
                update(Delivery).where(Delivery.id == delivery_id, Delivery.fence == fence,
                                       Delivery.lease_until.is_not(None))
                .values(handle=sealed(delivery, state), lease_until=now + LEASE)):
            raise Superseded


# ---------------------------------------------------------------- taken by the platform


def published(delivery: Delivery, done: Published, now: datetime, *, how: str = "") -> bool:
    """A part is out. True if another part is to follow, which is then due at once."""
    if not delivery.parts:
        _name(delivery, done)
        delivery.published_at = now
    delivery.parts = [*delivery.parts, {"id": done.id, "permalink": done.permalink}]
    delivery.handle, delivery.polls, delivery.attempts = "", 0, 0
    if done.note:
        delivery.warning = done.note
    _works_again(delivery, now)
    if _parts_left(delivery) > 0:
        total = len(delivery.parts) + _parts_left(delivery)
        move(delivery, PROCESSING, f"Part {len(delivery.parts)} of {total} is out. The next one follows.", now,
             due_at=now)
        return True
    move(delivery, PUBLISHED, how or done.note, now)
    return False


def _name(delivery: Delivery, done: Published | Sent) -> None:
    """What the platform calls the post, as far as the row has room: half a link leads nowhere."""
    delivery.platform_post_id = done.id[:LONGEST_ID]
    delivery.permalink = done.permalink if len(done.permalink) <= LONGEST_LINK else ""


def _works_again(delivery: Delivery, now: datetime) -> None:
    grant = delivery.account.grant
    if grant is not None and grant.app.trouble:  # the platform takes this app's posts again
        platform_apps.clear_flag(grant.app_id)
        release_app(grant.app, now)


def _parts_left(delivery: Delivery) -> int:
    content = drafts.load(delivery.post.text, delivery.post.content)
    return len(drafts.parts_of(content, delivery.account, delivery.format)) - len(delivery.parts)


def sent_off(delivery: Delivery, work: Work, sent: Sent, now: datetime) -> None:
    """The platform has accepted it for good and still works on it."""
    state = {**work.progress.state, SENT_KEY: {"id": sent.id, "permalink": sent.permalink}}
    delivery.handle = sealed(delivery, state)
    if sent.id and not delivery.parts:
        _name(delivery, sent)
    note = sent.note or f"{work.name} has accepted it and still works on it."
    if now - (delivery.sent_at or now) > (FOR_PERSON if sent.waits_for_person else FOLLOW_FOR):
        move(delivery, SENT, f"{note} We stopped asking. Please look there.", now)
        return
    delivery.polls += 1
    move(delivery, SENT, note, now, due_at=now + sent.again_in)


# ---------------------------------------------------------------- what a refusal means


def refused(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    """Move a delivery to where its platform's refusal leads. Inside `writing()`."""
    error.code = error.code[:LONGEST_CODE]
    if work.draft.format == COMMENT:
        _comment_refused(delivery, work, error, now)
        return
    if isinstance(error, ContentRejected) and error.quiet is not None:
        delivery.account.quiet_until = now + error.quiet
    if isinstance(error, ContentRejected | AlreadyPublished) and delivery.parts:
        error.message = f"Part {len(delivery.parts) + 1} was not published: {error.message} What is out stays."
    for kind, settle in _BY_KIND:
        if isinstance(error, kind):
            settle(delivery, work, error, now)
            return
    move(delivery, FAILED, error.message, now, code=error.code)


def _comment_refused(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    """The post is out; a comment that fails never makes it look failed, and is never sent twice."""
    if isinstance(error, NeedsReconnect) and (again := tokens.refused(work.used, error, now)) is not None:
        move(delivery, PROCESSING, "The post is out. Its first comment waits for a fresh token.", now, due_at=again)
        return
    if isinstance(error, RateLimited | TryLater) and delivery.attempts + 1 < MOST_ATTEMPTS:
        delivery.attempts += 1
        until = error.until if isinstance(error, RateLimited) else None
        at = until or now + tokens.back_off(delivery.attempts, delivery.id, timedelta(seconds=10))
        move(delivery, PROCESSING, f"The post is out. Its first comment follows {clock(delivery, at)}.", now,
             due_at=at)
        return
    delivery.warning = f"The post is out, its first comment is not: {error.message}"
    if isinstance(error, OutcomeUnknown):
        delivery.warning = "The post is out. Its first comment was not confirmed: please look whether it is there."
    move(delivery, PUBLISHED, delivery.warning, now, code=error.code)


def _unconfirmed(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    delivery.looks = 0
    delivery.handle = sealed(delivery, work.progress.state)
    move(delivery, UNCONFIRMED, error.message, now, due_at=now + LOOK_AFTER, code=error.code)


def _reconnect(delivery: Delivery, work: Work, error: NeedsReconnect, now: datetime) -> None:
    again = tokens.refused(work.used, error, now)
    if again is not None:
        move(delivery, SCHEDULED, "Waits for a fresh token.", now, due_at=again)
        return
    tokens.expire_account(delivery.account, error.reason, error.message, now)
    hold_for_account(delivery, error.message, now, error.code)


def _permission(delivery: Delivery, work: Work, error: PermissionMissing, now: datetime) -> None:
    grant = delivery.account.grant
    if error.scopes and grant is not None and grant.scopes_granted is not None:
        grant.scopes_granted = [one for one in grant.scopes_granted if one not in error.scopes]
    hold_for_account(delivery, error.message, now, error.code)


def _already(delivery: Delivery, work: Work, error: AlreadyPublished, now: datetime) -> None:
    """The platform has this text already. Only after an open outcome of ours does that mean: it is this very post."""
    if not _was_unconfirmed(delivery):
        move(delivery, FAILED, error.message, now, code=error.code)
    elif error.post_id:
        published(delivery, Published(error.post_id, error.permalink), now, how="It was already published.")
    else:
        move(delivery, UNCONFIRMED, f"{error.message} Please look whether it is there, then mark it as published.", now,
             code=error.code)


def _was_unconfirmed(delivery: Delivery) -> bool:
    return any(event.state == UNCONFIRMED for event in delivery.log)


def _wait(delivery: Delivery, work: Work, error: RateLimited, now: datetime) -> None:
    until = max(error.until or now + WAIT_UNSTATED, now + timedelta(seconds=1))
    grant = delivery.account.grant
    if error.whole_app and grant is not None:
        grant.app.quiet_until = until
    else:
        delivery.account.quiet_until = until
    move(delivery, SCHEDULED, f"{work.name} asked us to wait, next try {clock(delivery, until)}.", now, due_at=until,
         code=error.code)


def try_later(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    """Try again after a pause that grows, and not for ever."""
    delivery.attempts += 1
    if delivery.attempts >= MOST_ATTEMPTS:
        move(delivery, FAILED, f"{error.message} After {MOST_ATTEMPTS} tries we stopped.", now, code=error.code)
        return
    at = now + tokens.back_off(delivery.attempts, delivery.id, timedelta(seconds=10))
    move(delivery, SCHEDULED, f"{error.message} Next try {clock(delivery, at)}.", now, due_at=at, code=error.code)


def _configuration(delivery: Delivery, work: Work, error: ConfigurationWrong, now: datetime) -> None:
    hold_for_app(delivery, error, now)


_BY_KIND: tuple[tuple[type[PlatformError], Callable[[Delivery, Work, Any, datetime], None]], ...] = (
    (AlreadyPublished, _already), (OutcomeUnknown, _unconfirmed), (RateLimited, _wait), (TryLater, try_later),
    (NeedsReconnect, _reconnect), (PermissionMissing, _permission), (ConfigurationWrong, _configuration),
)
