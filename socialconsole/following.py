"""After the call: ask what became of a post that the platform accepted, look for one whose outcome is unknown.

Both only read. Not found is never proof of absence: then a person decides.
"""

import logging
from datetime import datetime

from . import recorder, recordings, tokens
from .database import release, writing
from .deliveries import move, tell
from .errors import ConfigurationWrong, ContentRejected, NeedsReconnect, PlatformError, RateLimited, TryLater
from .models import FAILED, SENT, UNCONFIRMED, Delivery
from .outcomes import (
    FOLLOW_FOR,
    LONGEST_CODE,
    SENT_KEY,
    Outcome,
    Unworkable,
    Work,
    clock,
    heard,
    in_words,
    locked,
    make_work,
    mine,
    published,
    sealed,
    sent_off,
    take,
    taken_of,
    try_later,
    waits_for_app,
)
from .outside import now as present
from .providers.content import Located, Published, Sent, Superseded

log = logging.getLogger("socialconsole.following")

MOST_TOLD = 20  # questions without an answer that are written into the log; after that one more tells nothing new


def follow(delivery_id: str) -> bool:
    """Ask what became of a delivery that the platform accepted, if that is due. False if there was nothing to ask."""
    work = _claim(delivery_id, SENT, "We cannot ask what became of it", present())
    if work is not None:
        with recorder.recording(recorder.PUBLISH, work.used.provider.slug, work.draft):
            _follow(work)
    return work is not None


def look(delivery_id: str) -> None:
    """Look for a delivery whose outcome is unknown, if that is due."""
    work = _claim(delivery_id, UNCONFIRMED, "We cannot look whether it is there", present())
    if work is not None:
        with recorder.recording(recorder.PUBLISH, work.used.provider.slug, work.draft):
            _look(work)


def _claim(delivery_id: str, state: str, cannot: str, now: datetime) -> Work | None:
    with writing():
        delivery = take(delivery_id, (state,), now)
        if delivery is None:
            return None
        try:
            used = tokens.access(delivery.account, now)
        except tokens.Renewed as wait:
            _later(delivery, wait.next_try(now))
            return None
        except (NeedsReconnect, ConfigurationWrong) as error:
            move(delivery, state, f"{cannot}: {error.message}", now)
            return None
        at = waits_for_app(delivery, now)
        if at is not None:
            _later(delivery, at)
            return None
        try:
            return make_work(delivery, used)
        except Unworkable as why:
            move(delivery, state, f"{cannot}: {why}", now)
            return None


def _later(delivery: Delivery, at: datetime) -> None:
    """Come back then; nothing else changes."""
    delivery.due_at, delivery.lease_until, delivery.rung_until = at, None, None


def _expire(delivery: Delivery, error: NeedsReconnect, now: datetime) -> None:
    """Ask the person to connect again, unless that was done since: what is said of an old post is no news then."""
    grant = delivery.account.grant
    if grant is None or delivery.sent_at is None or grant.granted_at <= delivery.sent_at:
        tokens.expire_account(delivery.account, error.reason, error.message, now)


# ---------------------------------------------------------------- follow


def _follow(work: Work) -> None:
    release()
    kept = work.progress.get(SENT_KEY) or {}
    sent = Sent(str(kept.get("id") or ""), str(kept.get("permalink") or ""))
    outcome: Outcome | Located
    try:
        outcome = work.used.provider.follow(work.used.app, work.used.token, work.draft, work.progress, sent)
        heard(work, outcome)
    except PlatformError as error:
        outcome = error
        heard(work, error)
    except Superseded:
        raise
    except Exception as error:  # asking may be repeated, but not for ever
        log.exception("asking broke off", extra={"delivery": work.delivery_id})
        outcome = TryLater("The console broke off while asking.", type(error).__name__)
    now = present()
    with writing():
        delivery = mine(work, (SENT,))
        if isinstance(outcome, Published):
            published(delivery, outcome, now)
        elif isinstance(outcome, Sent):
            sent_off(delivery, work, outcome, now)
        elif isinstance(outcome, ContentRejected):
            move(delivery, FAILED, outcome.message, now, code=outcome.code[:LONGEST_CODE])
        elif outcome is Located.NOT_PUBLISHED:
            kept = {name: value for name, value in work.progress.state.items() if name != SENT_KEY}
            delivery.handle = sealed(delivery, kept)
            try_later(delivery, work, TryLater(f"{work.name} could not finish it, and nothing was published."), now)
        else:  # any other `Located` proves nothing, and what proves nothing is never sent again
            _ask_again(delivery, work, TryLater("") if isinstance(outcome, Located) else outcome, now)
        _keep(work, outcome, delivery)


def _keep(work: Work, found: object, delivery: Delivery) -> None:
    """Keep the timeline of a question, unless it is one more answer that tells nothing new."""
    if not isinstance(found, Sent) and (isinstance(found, Published) or delivery.polls <= MOST_TOLD):
        recordings.keep(taken_of(work, found), recordings.decided(delivery))


def _ask_again(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    """An answer that says nothing about the post: ask again, for as long as that makes sense."""
    if isinstance(error, NeedsReconnect):
        again = tokens.refused(work.used, error, now)
        if again is None:
            _expire(delivery, error, now)
            move(delivery, SENT, f"{work.name} had accepted it, and says now: {error.message}", now)
        else:
            _later(delivery, again)
        return
    delivery.polls += 1
    if error.message and delivery.polls <= MOST_TOLD:
        tell(delivery, f"We asked what became of it. {error.message}", now)
    until = error.until if isinstance(error, RateLimited) else None
    at = until or now + tokens.back_off(min(delivery.polls, 6), delivery.id)
    if at - (delivery.sent_at or now) > FOLLOW_FOR:
        move(delivery, SENT, f"{work.name} has accepted it, but does not tell what became of it. Please look there.",
             now)
        return
    _later(delivery, at)


# ---------------------------------------------------------------- look


def _look(work: Work) -> None:
    release()
    try:
        found: Published | Sent | Located | PlatformError = work.used.provider.locate(
            work.used.app, work.used.token, work.draft, work.progress, work.sent_at or present())
        heard(work, found)
    except PlatformError as error:
        found = in_words(work, error)
        heard(work, error)
    except Superseded:
        raise
    except Exception:  # a fault of ours; looking may be repeated, but not for ever
        log.exception("looking broke off", extra={"delivery": work.delivery_id})
        found = TryLater("The console broke off while looking.")
    now = present()
    with writing():
        delivery = locked(work.delivery_id)
        if delivery is None or delivery.fence != work.fence or delivery.state != UNCONFIRMED:
            return
        _looked(delivery, found, work, now)
        _keep(work, found, delivery)


def _looked(delivery: Delivery, found: Published | Sent | Located | PlatformError, work: Work, now: datetime) -> None:
    if isinstance(found, NeedsReconnect):
        again = tokens.refused(work.used, found, now)
        if again is not None and delivery.looks == 0:
            delivery.looks = 1
            _later(delivery, again)
            return
        if again is None:
            _expire(delivery, found, now)
    if isinstance(found, Published):
        published(delivery, found, now, how=f"{work.name} has it: we looked.")
    elif isinstance(found, Sent):
        sent_off(delivery, work, found, now)
    elif found is Located.NOT_PUBLISHED:
        try_later(delivery, work, TryLater(f"{work.name} says that it was not published, so it is sent again."), now)
    elif isinstance(found, ContentRejected):
        move(delivery, FAILED, found.message, now, code=found.code)
    elif found is Located.CANNOT_LOOK:
        move(delivery, UNCONFIRMED, f"{work.name} did not confirm the post and gives us no way to look. Please look "
                                    "there: only you can say whether it is out.", now)
    else:
        _not_found(delivery, found, work, now)


def _not_found(delivery: Delivery, found: object, work: Work, now: datetime) -> None:
    """Look again as often as the platform's own delays make that worthwhile; then a person has to."""
    pauses = work.used.provider.looks
    delivery.looks += 1
    if delivery.looks < len(pauses):
        at = now + pauses[delivery.looks]
        why = found.message if isinstance(found, PlatformError) else "It is not there yet."
        move(delivery, UNCONFIRMED, f"{work.name} did not confirm the post. Look {delivery.looks} of {len(pauses)}: "
                                    f"{why} We look again {clock(delivery, at)}.", now, due_at=at)
        return
    why = found.message if isinstance(found, PlatformError) else f"We looked {len(pauses)} times and did not find it."
    move(delivery, UNCONFIRMED, f"{why} That is no proof that {work.name} does not have it. Please look there.", now)
