"""What the platforms' answers mean for a delivery: taken, kept, moved on.

A delivery is taken by one conditional UPDATE that raises its fence; what unfinished steps leave behind is kept sealed;
each answer moves it by one table. The steps themselves are in `publishing.py` (prepare, check, publish) and
`following.py` (ask what became of it, look whether it is there).
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from flask import current_app
from sqlalchemy import bindparam, exists, or_, select, update
from sqlalchemy.orm import aliased
from werkzeug.exceptions import NotFound

from . import breaker, drafts, platform_apps, recordings, tallies, tokens
from .database import UtcDateTime, change, insist, took, writing
from .deliveries import CUT_OFF, FOR_ACCOUNT, FOR_APP, LEASE, is_free, move, release_app
from .errors import (
    AlreadyPublished,
    ConfigurationWrong,
    ContentRejected,
    Fault,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from .extensions import db
from .models import (
    CANCELLED,
    FAILED,
    HELD,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Account,
    Delivery,
    Grant,
    Post,
)
from .outside import now as present
from .providers.content import COMMENT, Draft, Progress, Published, Sent, Superseded
from .times import exact
from .vault import Unreadable, Vault

MOST_ATTEMPTS = 6
MOST_IN_OUTAGE = 40  # some twenty hours with the longest pause: it is the window that ends the trying
PROBE_AFTER = timedelta(minutes=15)
WAIT_UNSTATED = timedelta(minutes=15)
FOLLOW_FOR = timedelta(days=3)  # after that only a look at the platform helps
FOR_PERSON = timedelta(days=7)  # how long we ask whether the person finished it inside the platform
SAID_IN_WORDS = ("no_answer", "unreachable")  # codes that tell no more than the sentence does
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
    account_id: str = ""
    mode: str = ""  # of the app
    kind: str = ""  # of the profile
    is_troubled: bool = False  # the app has a sign of trouble or an open breaker, which a success takes off
    is_whole: bool = False  # this part is all there is of the post
    workspace_id: str = ""
    begun_at: datetime | None = None  # the intent to send is committed already, since there is nothing to prepare
    was_cut: bool = False  # the try before this one ended with its worker

    @property
    def name(self) -> str:
        """The platform's name."""
        return self.used.provider.name


# ---------------------------------------------------------------- taking


# Account first: see `lock_account`.
_WHOLE = (select(Delivery, Account, Grant, Post).select_from(Account)
          .join(Delivery, Delivery.account_id == Account.id).join(Post, Delivery.post_id == Post.id)
          .outerjoin(Grant, Account.grant_id == Grant.id).where(Delivery.id == bindparam("delivery_id"))
          .with_for_update(of=(Account, Delivery), key_share=True).execution_options(populate_existing=True))


@cache
def _claim(states: tuple[str, ...], to_send: bool) -> Any:
    """The UPDATE that takes a delivery, made once; its values are `the_id`, `now`, `lease` and `latest`."""
    now, latest = bindparam("now", type_=UtcDateTime), bindparam("latest", type_=UtcDateTime)
    claim = update(Delivery).where(
        Delivery.id == bindparam("the_id"), Delivery.state.in_(states), Delivery.due_at <= now,
        or_(Delivery.lease_until.is_(None), Delivery.lease_until < now, Delivery.lease_until > latest))
    if to_send:
        other = aliased(Delivery)
        claim = claim.where(~exists().where(
            other.account_id == Delivery.account_id, other.is_heavy == Delivery.is_heavy,
            other.state.in_((PREPARING, PUBLISHING)), other.lease_until >= now, other.lease_until <= latest))
    return claim.values(fence=Delivery.fence + 1, lease_until=bindparam("lease", type_=UtcDateTime))


def take(delivery_id: str, states: tuple[str, ...], now: datetime, *, to_send: bool = False) -> Delivery | None:
    """Take a due delivery in one of these states for this worker alone; None if it is not ours. Inside `writing()`.

    `to_send`: something will be sent, so it is not ours either while another delivery of the same account is on its
    way; it stays due. Long uploads and quick posts do not wait for each other. A lease longer than any is one from
    before the clock was put back.
    """
    lock_account(delivery_id)
    if not took(_claim(states, to_send), the_id=delivery_id, now=now, lease=now + LEASE, latest=now + LEASE):
        if to_send:  # it was handed out too early: its turn comes as soon as the account is free
            took(update(Delivery).where(Delivery.id == delivery_id, Delivery.rung_until.is_not(None), is_free(now))
                 .values(rung_until=None))
        return None
    return locked(delivery_id)


def lock_account(delivery_id: str) -> None:
    """Keep the account of a delivery from others until the end of `writing()`; SQLite has one writer anyway.

    Everybody takes the account first and its deliveries after it, so that nobody waits for one another.
    """
    if db.session.get_bind().dialect.name != "sqlite":
        db.session.execute(select(Account.id).join(Delivery, Delivery.account_id == Account.id)
                           .where(Delivery.id == delivery_id).with_for_update(of=Account, key_share=True))


def mine(work: Work, states: tuple[str, ...]) -> Delivery:
    """The delivery, if it is still this worker's; raises Superseded. Inside `writing()`."""
    delivery = locked(work.delivery_id)
    if delivery is None or delivery.fence != work.fence or delivery.state not in states:
        raise Superseded
    return delivery


def locked(delivery_id: str) -> Delivery | None:
    """The delivery as it is now, its account and its row kept from others until the end of `writing()`.

    Its post, account and grant come along in the same statement: every step asks them whether it may go on. They are
    held, so that writes that share a transaction read an app or a workspace once.
    """
    found = db.session.execute(_WHOLE, {"delivery_id": delivery_id}).first()
    db.session.info.setdefault("held", []).append(found)
    return found[0] if found is not None else None


class Unworkable(Exception):
    """What is left of a delivery cannot be worked on; the message says why. `is_comment`: the post itself is out."""

    def __init__(self, message: str, *, is_comment: bool = False) -> None:
        super().__init__(message)
        self.is_comment = is_comment


def make_work(delivery: Delivery, used: tokens.Access, fence: int | None = None) -> Work:
    """The work on a claimed delivery. Inside `writing()`; raises Unworkable.

    `fence`: what its claim will raise it to, where that is still to come.
    """
    post = delivery.post
    content = drafts.load(post.text, post.content).for_account(delivery.account_id)
    workspace = delivery.account.workspace
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
    delivery_id, fence = delivery.id, delivery.fence if fence is None else fence
    kept = _opened(delivery)
    progress = Progress(kept, _Keeper(delivery_id, fence, kept))
    account = delivery.account
    app = account.grant.app if account.grant is not None else None
    is_troubled = app is not None and (app.breaker_opened_at is not None or bool(app.trouble))
    is_whole = not delivery.parts and len(drafts.parts_of(content, account, delivery.format)) == 1
    return Work(delivery_id, fence, used, draft, progress, delivery.sent_at, account.id, drafts.mode_of(account),
                account.kind, is_troubled, is_whole, delivery.workspace_id,
                was_cut=delivery.note.startswith(CUT_OFF))


def taken_of(work: Work, answer: object) -> recordings.Taken | None:
    """What the recorder has of this try, to be kept with its outcome."""
    return recordings.take(work.delivery_id, work.workspace_id, answer, was_cut=work.was_cut)


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
    return exact(at, delivery.account.workspace.time_zone)


# ---------------------------------------------------------------- is it the platform, for everybody?


def waits_for_app(delivery: Delivery, now: datetime) -> datetime | None:
    """When to come back while nothing is asked in the name of an app; None if the caller may ask now, and then does.

    Inside `writing()`.
    """
    grant = delivery.account.grant
    until = breaker.blocked(grant.app, now) if grant is not None else None
    if grant is None or until is None or breaker.take_probe(grant.app_id, now):
        return None
    return breaker.again_at(until, zlib.crc32(delivery.id.encode()) / 2**32)


def heard(work: Work, answer: object) -> None:
    """Tell the breaker what a call came to. Outside of `writing()`, after the outcome was committed."""
    app_id, now = work.used.app.id, present()
    tallies.answered(work.used.provider.slug, answer, work.used.grant_id)
    if isinstance(answer, OutcomeUnknown | TryLater) or (isinstance(answer, RateLimited) and answer.whole_app):
        breaker.failed(app_id, answer.code, now, whom=work.account_id)
    elif work.is_troubled:  # whatever it says, the platform answers
        breaker.worked(app_id, now)
    else:
        breaker.answered(app_id)


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


class _Keeper:
    """Commits what a step left behind, and that we live. Raises Superseded if the delivery is no longer ours."""

    def __init__(self, delivery_id: str, fence: int, kept: Mapping[str, Any]) -> None:
        self._delivery_id, self._fence, self._kept = delivery_id, fence, dict(kept)

    def __call__(self, state: Mapping[str, Any]) -> None:
        insist(lambda: self._save(state))
        self._kept = dict(state)

    def _save(self, state: Mapping[str, Any]) -> None:
        now = present()
        with writing() as session:
            delivery = session.get(Delivery, self._delivery_id, populate_existing=True)
            if delivery is None:
                raise Superseded
            values: dict[str, Any] = {"lease_until": now + LEASE}
            if state != self._kept:  # sealed anew it would look as if the work had got further
                values["handle"] = sealed(delivery, state)
            if not took(update(Delivery).where(Delivery.id == self._delivery_id, Delivery.fence == self._fence,
                                               Delivery.lease_until.is_not(None)).values(**values)):
                raise Superseded


# ---------------------------------------------------------------- taken by the platform


def published(delivery: Delivery, done: Published, now: datetime, *, how: str = "") -> bool:
    """A part is out. True if another part is to follow, which is then due at once."""
    is_first = not delivery.parts
    out: dict[str, Any] = {"parts": [*delivery.parts, {"id": done.id, "permalink": done.permalink}], "handle": "",
                           "polls": 0, "attempts": 0}
    if is_first:
        out |= {**named(done), "published_at": now}
    if done.note:
        out["warning"] = done.note
    _works_again(delivery, now)
    left = _parts_left(delivery) - 1
    if left > 0 and delivery.state == CANCELLED:
        out["warning"] = f"{left} further part{'' if left == 1 else 's'} of this post did not go out."
    elif left > 0:
        number = len(out["parts"])
        move(delivery, PROCESSING, f"{_part_is_out(number)} of {number + left} is out. The next one follows.", now,
             due_at=now, **out)
        return True
    move(delivery, PUBLISHED, how or done.note, now, **out)
    return False


def _part_is_out(number: int) -> str:
    """How the sentence begins that tells of a part that is out."""
    return f"Part {number}"


def named(done: Published | Sent) -> dict[str, Any]:
    """What the platform calls the post, as far as the row has room: half a link leads nowhere."""
    return {"platform_post_id": done.id[:LONGEST_ID],
            "permalink": done.permalink if len(done.permalink) <= LONGEST_LINK else ""}


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
        change(delivery, **named(sent))
    note = sent.note or f"{work.name} has accepted it and still works on it."
    if now - (delivery.sent_at or now) > (FOR_PERSON if sent.waits_for_person else FOLLOW_FOR):
        move(delivery, SENT, f"{note} We stopped asking. Please look there.", now)
        return
    delivery.polls += 1
    move(delivery, SENT, note, now, due_at=now + sent.again_in)


# ---------------------------------------------------------------- what a refusal means


def in_words(work: Work, error: PlatformError) -> PlatformError:
    """A refusal as it is kept and shown: a code that fits its row, and which part of a post it is about."""
    error.code = error.code[:LONGEST_CODE]
    if isinstance(error, ContentRejected | AlreadyPublished) and work.draft.part and work.draft.format != COMMENT:
        error.message = f"Part {work.draft.part + 1} was not published: {error.message} What is out stays."
    return error


def refused(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    """Move a delivery to where its platform's refusal leads. Inside `writing()`."""
    if work.draft.format == COMMENT:
        _comment_refused(delivery, work, error, now)
        return
    if isinstance(error, ContentRejected) and error.quiet is not None:
        delivery.account.quiet_until = now + error.quiet
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
        move(delivery, PROCESSING, f"The post is out. {tried(delivery, error)} Its first comment follows "
                                   f"{clock(delivery, at)}.", now, due_at=at, code=error.code)
        return
    delivery.warning = f"The post is out, its first comment is not: {error.message}"
    if isinstance(error, OutcomeUnknown):
        delivery.warning = "The post is out. Its first comment was not confirmed: please look whether it is there."
    move(delivery, PUBLISHED, delivery.warning, now, code=error.code)


def _unconfirmed(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    delivery.looks = 0
    delivery.handle = sealed(delivery, work.progress.state)
    move(delivery, UNCONFIRMED, error.message, now, due_at=now + work.used.provider.looks[0], code=error.code)


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
    """Whether an earlier try of the part at hand had an open outcome."""
    for event in reversed(delivery.log):
        if event.state == PROCESSING and delivery.parts and event.text.startswith(
                f"{_part_is_out(len(delivery.parts))} of "):
            return False
        if event.state == UNCONFIRMED:
            return True
    return False


def _wait(delivery: Delivery, work: Work, error: RateLimited, now: datetime) -> None:
    until = max(error.until or now + WAIT_UNSTATED, now + timedelta(seconds=1))
    grant = delivery.account.grant
    if error.whole_app and grant is not None:
        grant.app.quiet_until = until
    else:
        delivery.account.quiet_until = until
    delivery.claimed_at = None  # it waits for its turn anew: what is begun then has to begin inside the window
    move(delivery, SCHEDULED, f"{work.name} asked us to wait, next try {clock(delivery, until)}.", now, due_at=until,
         code=error.code)


def try_later(delivery: Delivery, work: Work, error: PlatformError, now: datetime, *,
              most: int = MOST_ATTEMPTS) -> None:
    """Try again after a pause that grows, and not for ever."""
    delivery.attempts += 1
    at = now + tokens.back_off(delivery.attempts, delivery.id, timedelta(seconds=10))
    if delivery.attempts >= most:
        move(delivery, FAILED, f"{error.message} After {delivery.attempts} tries we stopped.", now, code=error.code)
        return
    move(delivery, SCHEDULED, f"{tried(delivery, error)} Next try {clock(delivery, at)}.", now, due_at=at,
         code=error.code)


def _outage(delivery: Delivery, work: Work, error: TryLater, now: datetime) -> None:
    """The platform cannot take it now. That is no reason to give a post up while it may still go out."""
    if isinstance(error, Fault):
        try_later(delivery, work, error, now)
    else:
        try_later(delivery, work, error, now, most=MOST_IN_OUTAGE)


def tried(delivery: Delivery, error: PlatformError) -> str:
    """What came of a try, in words: which one it was, what was said, and the platform's own code."""
    code = f" ({error.code})" if error.code and error.code not in SAID_IN_WORDS else ""
    return f"Try {delivery.attempts}: {error.message}{code}"


def _configuration(delivery: Delivery, work: Work, error: ConfigurationWrong, now: datetime) -> None:
    hold_for_app(delivery, error, now)


_BY_KIND: tuple[tuple[type[PlatformError], Callable[[Delivery, Work, Any, datetime], None]], ...] = (
    (AlreadyPublished, _already), (OutcomeUnknown, _unconfirmed), (RateLimited, _wait), (TryLater, _outage),
    (NeedsReconnect, _reconnect), (PermissionMissing, _permission), (ConfigurationWrong, _configuration),
)
