"""Publishing: what a worker does with a delivery, step by step.

Prepare (repeatable), check (reads only), publish (once). The one call that cannot be taken back is made only after
`publishing` is committed, by the worker that holds the lease and the fence. No answer means `unconfirmed`: looked for,
then decided by a person, never sent again blindly. A post of several parts (a reply chain, a first comment) walks these
steps part by part; what is out already is kept, so that a broken chain goes on where it broke.
"""

import logging
import secrets
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from . import drafts, following, media, platform_apps, previews, recorder, recordings, tallies, tokens
from .accounts import missing_to_publish, not_granted
from .database import insist, release, writing
from .deliveries import FOR_ACCOUNT, FOR_PLATFORM, SENDING_LEASE, held_for_platform, is_too_late, miss, move
from .errors import ConfigurationWrong, ContentRejected, Fault, NeedsReconnect, OutcomeUnknown, PlatformError, TryLater
from .extensions import db
from .models import (
    ACTIVE,
    FAILED,
    HELD,
    PAUSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Delivery,
)
from .outcomes import (
    FOLLOW_FOR,
    MOST_ATTEMPTS,
    Outcome,
    Unworkable,
    Work,
    clock,
    heard,
    hold_for_account,
    hold_for_app,
    in_words,
    locked,
    make_work,
    mine,
    published,
    refused,
    sent_off,
    take,
    taken_of,
    waits_for_app,
)
from .outside import now as present
from .plain_posts import Ask, Done, against, claim, is_plain, is_usual, settle
from .providers.content import Draft, Published, Sent, Superseded, Wait
from .providers.rules import format_of
from .together import at_once, together

log = logging.getLogger("socialconsole.publishing")

MOST_CHECKS = 240  # how often we ask whether something prepared is ready
TO_SEND = (SCHEDULED, PROCESSING)
SET_ASIDE = timedelta(minutes=5)
STOOD_STILL = timedelta(seconds=10)  # between the intent and the call
LONGEST_RUN = 240.0  # seconds: a long chain goes on in another job, far before the alarm of this one


def deliver(delivery_id: str) -> None:
    """Do the next steps of one delivery, if it is due and nobody else is at it.

    Never raises for a platform's doing. Raises OperationalError or InterfaceError while the database is away.
    """
    try:
        _serve(delivery_id)
    except Superseded:
        log.warning("taken by another worker", extra={"delivery": delivery_id})
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # a fault of ours; it must not keep the other posts of the profile waiting for ever
        log.exception("delivering broke off", extra={"delivery": delivery_id})
        db.session.rollback()
        fault = type(error).__name__
        insist(lambda: _set_aside(delivery_id, fault))


def _serve(delivery_id: str) -> None:
    until = time.monotonic() + LONGEST_RUN
    is_ours = False
    while (work := _take(delivery_id)) is not None:
        is_ours = True
        with recorder.recording(recorder.PUBLISH, work.used.provider.slug, work.draft):
            goes_on = _go(work)
        if not goes_on or time.monotonic() > until:
            return
    if is_ours:
        return
    state = db.session.scalar(select(Delivery.state).where(Delivery.id == delivery_id))
    if state == SENT:
        following.follow(delivery_id)
    elif state == UNCONFIRMED:
        following.look(delivery_id)


def _set_aside(delivery_id: str, fault: str) -> None:
    """Come back later to a delivery that a fault of ours cannot deal with, and not for ever."""
    now = present()
    with writing():
        delivery = locked(delivery_id)
        if delivery is None or delivery.due_at is None or delivery.lease_until is not None:
            return  # its lease says what becomes of it
        if delivery.state not in TO_SEND:
            is_over = now - (delivery.sent_at or now) > FOLLOW_FOR
            delivery.due_at = None if is_over else now + SET_ASIDE
            return
        delivery.attempts += 1
        if delivery.attempts < MOST_ATTEMPTS:
            move(delivery, SCHEDULED, f"The console broke off before it could begin ({fault}). Next try "
                                      f"{clock(delivery, now + SET_ASIDE)}.", now, due_at=now + SET_ASIDE, code=fault)
        else:
            move(delivery, FAILED, f"The console broke off {MOST_ATTEMPTS} times before it could begin ({fault}). "
                                   "Ask your admin to look into the log.", now, code=fault)


def _take(delivery_id: str) -> Work | None:
    now, lease_until = present(), _own_lease(present())
    try:
        work = at_once(claim, Ask(delivery_id, lease_until), delivery_id)
        return work or together(lambda: _claim(delivery_id, now, lease_until), delivery_id)
    except (DBAPIError, NoConnectionFree):
        insist(lambda: _unsaid(delivery_id, lease_until))
        raise


def _own_lease(now: datetime) -> datetime:
    """Until when sending may take; odd microseconds tell our own commit from others', should its answer be lost."""
    return now + SENDING_LEASE + timedelta(microseconds=secrets.randbelow(1_000_000))


def _unsaid(delivery_id: str, lease_until: datetime) -> None:
    """Undo an intent whose commit was answered with an error, and may have gone through: nothing was sent."""
    with writing():
        delivery = locked(delivery_id)
        if delivery is not None and delivery.state == PUBLISHING and delivery.lease_until == lease_until:
            move(delivery, SCHEDULED, "The database was away for a moment. Nothing was sent.", present(),
                 due_at=present())


def _claim(delivery_id: str, now: datetime, lease_until: datetime) -> Work | None:
    """Take a due delivery, check all that may stand in its way, and leave it `preparing`; or `publishing` at once,
    where there is nothing to prepare. Inside `writing()`."""
    delivery = take(delivery_id, TO_SEND, now, to_send=True)
    if delivery is None:
        return _own(delivery_id, now, lease_until)
    if _stopped(delivery, now):
        return None
    used = _access(delivery, now)
    if used is None or _waits(delivery, used, now):
        return None
    try:
        work = make_work(delivery, used)
    except Unworkable as why:
        _end(delivery, why, now)
        return None
    if is_plain(work):
        _leave_for(delivery, now, lease_until, claimed_at=delivery.claimed_at or now)
        return replace(work, begun_at=now)
    # The code stays: after a crash it tells whether the work had got further since the one before.
    move(delivery, PREPARING, "", now, quiet=True, code=delivery.error_code, lease_until=delivery.lease_until,
         claimed_at=delivery.claimed_at or now)
    return work


def _own(delivery_id: str, now: datetime, lease_until: datetime) -> Work | None:
    """The work on a delivery that we took already, by a commit of which only the answer was lost; else None."""
    if db.session.scalar(select(Delivery.lease_until).where(Delivery.id == delivery_id,
                                                            Delivery.state == PUBLISHING)) != lease_until:
        return None
    delivery = locked(delivery_id)
    assert delivery is not None
    return replace(make_work(delivery, tokens.access(delivery.account, now)), begun_at=now)


def _leave_for(delivery: Delivery, now: datetime, lease_until: datetime, **also: Any) -> None:
    """The intent: from here on it may be out."""
    if not delivery.parts:
        tallies.late(delivery.account.platform, (now - delivery.scheduled_for).total_seconds())
    move(delivery, PUBLISHING, "", now, lease_until=lease_until, sent_at=now, **also)


def _access(delivery: Delivery, now: datetime) -> tokens.Access | None:
    """The token for a delivery; None if it has to wait for one, and it is moved to where it waits."""
    try:
        return tokens.access(delivery.account, now)
    except tokens.Renewed as wait:
        move(delivery, SCHEDULED, "Waits for a fresh token.", now, due_at=wait.next_try(now))
    except NeedsReconnect as error:
        tokens.expire_account(delivery.account, error.reason, error.message, now)
        hold_for_account(delivery, error.message, now)
    except ConfigurationWrong as error:
        hold_for_app(delivery, error, now)
    return None


def _waits(delivery: Delivery, used: tokens.Access, now: datetime) -> bool:
    """Whether nothing is asked of the platform for now, since it fails for everybody; then it is tried later."""
    at = waits_for_app(delivery, now)
    if at is not None:
        move(delivery, SCHEDULED, f"{used.provider.name} does not answer at the moment. Next try "
                                  f"{clock(delivery, at)}.", now, due_at=at)
    return at is not None


def _end(delivery: Delivery, why: Unworkable, now: datetime) -> None:
    """What is left of a delivery cannot go out. The post itself never looks failed for want of its comment."""
    if why.is_comment:
        delivery.warning = f"The post is out, its first comment is not: {why}"
        move(delivery, PUBLISHED, delivery.warning, now)
        return
    what = f"Part {len(delivery.parts) + 1} was not published: {why} What is out stays." if delivery.parts else str(why)
    move(delivery, FAILED, what, now)


def _stopped(delivery: Delivery, now: datetime) -> bool:
    """Whether something stands in the way; if so, the delivery is moved to where it waits."""
    account, grant = delivery.account, delivery.account.grant
    if is_too_late(delivery, now):
        miss(delivery, now)
    elif _blocked(delivery, now):
        pass
    elif grant is not None and (quiet := max(
            (at for at in (account.quiet_until, grant.app.quiet_until) if at), default=now)) > now:
        move(delivery, SCHEDULED, f"The platform asked us to wait, next try {clock(delivery, quiet)}.", now,
             due_at=quiet)
    else:
        return False
    return True


def _blocked(delivery: Delivery, now: datetime) -> bool:
    """Whether the profile or its platform may not publish now; if so, the delivery is held."""
    account, grant = delivery.account, delivery.account.grant
    name = account.display_name or account.username
    if account.state == PAUSED:
        move(delivery, HELD, f"{name} is paused. Resume it to release this post.", now, hold=FOR_ACCOUNT)
    elif account.state != ACTIVE or grant is None:
        hold_for_account(delivery, account.reason_text or f"{name} has to be reconnected.", now)
    elif not grant.app.is_on or not platform_apps.is_reachable(grant.app):
        move(delivery, HELD, held_for_platform(grant.app, account.workspace.time_zone), now, hold=FOR_PLATFORM)
    elif lacking := missing_to_publish(account):
        hold_for_account(delivery, f"{name} may not publish: {not_granted(lacking)}. Reconnect it.", now)
    else:
        return False
    return True


# ---------------------------------------------------------------- prepare, check, publish


def _go(work: Work) -> bool:
    """Walk one part as far as it goes now. True if the next part may follow at once."""
    release()
    if work.begun_at is not None:
        return _finish_sending(work, work.draft, work.begun_at)
    try:
        draft = _ready(work)
        wait = _prepared(work, draft)
    except media.Refused as refused:
        _finish(work, ContentRejected(str(refused), "media", field="files"), (PREPARING,))
        return False
    except OutcomeUnknown as error:  # nothing was published, so nothing is unknown
        _finish(work, TryLater(error.message, error.code), (PREPARING,))
        return False
    except PlatformError as error:
        _finish(work, error, (PREPARING,))
        return False
    except Superseded:
        raise
    except Exception as error:  # a fault of ours; nothing is out, so it may be tried again, but not for ever
        log.exception("preparing broke off", extra={"delivery": work.delivery_id})
        _finish(work, Fault("The console broke off while preparing the post.", type(error).__name__), (PREPARING,))
        return False
    if wait is not None:
        _not_ready(work, wait)
        return False
    return _send(work, draft)


def _prepared(work: Work, draft: Draft) -> Wait | None:
    """None once all that may be repeated is done and ready. Raises PlatformError."""
    provider, app, token = work.used.provider, work.used.app, work.used.token
    try:
        provider.prepare(app, token, draft, work.progress)
        wait = provider.check(app, token, draft, work.progress)
    except PlatformError as error:
        heard(work, error)
        raise
    if wait is not None:
        heard(work, wait)
    return wait


def _ready(work: Work) -> Draft:
    """The draft with converted files, addresses and what stands behind its link. Raises ContentRejected."""
    draft = work.draft
    shown = format_of(work.used.provider, work.mode, draft.format, kind=work.kind)
    refusal = against(work)
    if refusal is not None:
        raise refusal
    if shown is None:
        return draft
    preview = previews.read(draft.link) if shown.preview and draft.link else None
    return drafts.ready(work.delivery_id, shown, draft, preview, work.progress.alive)


def _not_ready(work: Work, wait: Wait) -> None:
    now = present()
    with writing():
        delivery = mine(work, (PREPARING,))
        delivery.polls += 1
        if delivery.polls > MOST_CHECKS:
            move(delivery, FAILED, f"{work.name} did not finish preparing the media. Try again, or use another file.",
                 now, code="never_ready")
            return
        note = wait.note or f"{work.name} is getting it ready."
        known = delivery.log and (delivery.log[-1].state, delivery.log[-1].text) == (PROCESSING, note)
        move(delivery, PROCESSING, note, now, due_at=now + wait.again_in, quiet=bool(known))
        if not known:
            recordings.keep(taken_of(work, wait))


def _send(work: Work, draft: Draft) -> bool:
    """The call that cannot be taken back, after the intent is committed. True if the next part may follow at once."""
    now, lease_until = present(), _own_lease(present())
    try:
        may_go = together(lambda: _intend(work, now, lease_until), work.delivery_id)
    except (DBAPIError, NoConnectionFree):
        insist(lambda: _unsaid(work.delivery_id, lease_until))
        raise
    if not may_go:
        return False
    release()
    return _finish_sending(work, draft, now)


def _intend(work: Work, now: datetime, lease_until: datetime) -> bool:
    """Leave the delivery `publishing`; False if it may not go out any more. Inside `writing()`."""
    delivery = mine(work, (PREPARING, PUBLISHING))
    if delivery.state == PUBLISHING:
        if delivery.lease_until == lease_until:  # it was committed already, and only the answer was lost
            return True
        raise Superseded
    if _blocked(delivery, now):  # paused, disconnected or switched off while a long upload went on
        return False
    _leave_for(delivery, now, lease_until)
    return True


def _finish_sending(work: Work, draft: Draft, sent_at: datetime) -> bool:
    """Make the call whose intent is committed, and write down what came of it."""
    outcome, is_theirs = _call(work, draft, sent_at)
    goes_on = _finish(work, outcome, (PUBLISHING, UNCONFIRMED), sent_at=sent_at)
    if is_theirs:
        heard(work, outcome)
    return goes_on


def _call(work: Work, draft: Draft, sent_at: datetime) -> tuple[Outcome, bool]:
    """Make the call that cannot be taken back. Returns what came of it, and whether that is the platform's doing."""
    if present() - sent_at > STOOD_STILL:  # with less of the lease left others might look for the post meanwhile
        return TryLater("The console stood still before it could send. Nothing was sent.", "stood_still"), False
    try:
        return work.used.provider.publish(work.used.app, work.used.token, draft, work.progress), True
    except PlatformError as error:
        return error, True
    except Exception as error:  # a fault of ours after the intent was committed: the post may be out, so look
        log.exception("publishing broke off", extra={"delivery": work.delivery_id})
        return OutcomeUnknown("The console broke off while sending.", type(error).__name__), False


def _finish(work: Work, outcome: Outcome, states: tuple[str, ...], *, sent_at: datetime | None = None) -> bool:
    """Write down how a step ended, if the delivery is still this worker's. True if the next part may follow at once.

    What a call came to must not be lost because the database is away for a moment.
    """
    if isinstance(outcome, PlatformError):
        outcome = in_words(work, outcome)
    taken = taken_of(work, outcome)
    if isinstance(outcome, Published) and is_usual(work, outcome):
        done = Done(work, outcome, taken)
        if insist(lambda: at_once(settle, done, work.delivery_id)):
            return False
    return insist(lambda: together(lambda: _write(work, outcome, states, sent_at, taken), work.delivery_id))


def _write(work: Work, outcome: Outcome, states: tuple[str, ...], sent_at: datetime | None,
           taken: recordings.Taken | None) -> bool:
    now, goes_on = present(), False
    delivery = locked(work.delivery_id)
    if delivery is None or not _still_fits(delivery, work, outcome, states, sent_at):
        log.warning("late outcome dropped", extra={"delivery": work.delivery_id})
        return False
    if isinstance(outcome, Published):
        goes_on = published(delivery, outcome, now)
    elif isinstance(outcome, Sent):
        sent_off(delivery, work, outcome, now)
    else:
        refused(delivery, work, outcome, now)
    recordings.keep(taken, recordings.decided(delivery))
    return goes_on


def _still_fits(delivery: Delivery, work: Work, outcome: Outcome, states: tuple[str, ...],
                sent_at: datetime | None) -> bool:
    """Whether an outcome still belongs to the delivery: nobody took it since, or it proves that the post is out.

    Such a proof counts wherever the delivery was put meanwhile, as long as nothing was sent since and this part was not
    found otherwise: else it would go out once more. A clear no to the very call whose outcome is asked for answers it,
    too, whoever looks for it meanwhile.
    """
    if sent_at is not None and delivery.sent_at == sent_at and len(delivery.parts) == work.draft.part:
        if isinstance(outcome, Published | Sent):
            return delivery.state not in (PUBLISHED, SENT)
        if delivery.state == UNCONFIRMED and not isinstance(outcome, OutcomeUnknown):
            return True
    return delivery.state in states and delivery.fence == work.fence
