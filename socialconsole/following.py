"""After the call: ask what became of a post that the platform accepted, look for one whose outcome is unknown.

Both only read. Not found is never proof of absence: then a person decides.
"""

import logging
from datetime import datetime, timedelta

from . import tokens
from .database import release, writing
from .deliveries import move
from .errors import ConfigurationWrong, ContentRejected, NeedsReconnect, PlatformError, RateLimited, TryLater
from .models import FAILED, SENT, UNCONFIRMED, Delivery
from .outcomes import (
    FOLLOW_FOR,
    LONGEST_CODE,
    SENT_KEY,
    Outcome,
    Unworkable,
    Work,
    locked,
    make_work,
    mine,
    published,
    sealed,
    sent_off,
    take,
    try_later,
)
from .outside import now as present
from .providers.content import Located, Published, Sent, Superseded

log = logging.getLogger("socialconsole.following")

LOOKS = (timedelta(seconds=20), timedelta(minutes=1), timedelta(minutes=5))  # pauses between looks


def follow(delivery_id: str) -> bool:
    """Ask what became of a delivery that the platform accepted, if that is due. False if there was nothing to ask."""
    work = _claim(delivery_id, SENT, "We cannot ask what became of it", present())
    if work is not None:
        _follow(work)
    return work is not None


def look(delivery_id: str) -> None:
    """Look for a delivery whose outcome is unknown, if that is due."""
    work = _claim(delivery_id, UNCONFIRMED, "We cannot look whether it is there", present())
    if work is not None:
        _look(work)


def _claim(delivery_id: str, state: str, cannot: str, now: datetime) -> Work | None:
    with writing():
        delivery = take(delivery_id, (state,), now)
        if delivery is None:
            return None
        try:
            used = tokens.access(delivery.account, now)
        except tokens.Renewed as wait:
            delivery.due_at, delivery.lease_until = wait.next_try(now), None
            return None
        except (NeedsReconnect, ConfigurationWrong) as error:
            move(delivery, state, f"{cannot}: {error.message}", now)
            return None
        try:
            return make_work(delivery, used)
        except Unworkable as why:
            move(delivery, state, f"{cannot}: {why}", now)
            return None


# ---------------------------------------------------------------- follow


def _follow(work: Work) -> None:
    release()
    kept = work.progress.get(SENT_KEY) or {}
    sent = Sent(str(kept.get("id") or ""), str(kept.get("permalink") or ""))
    outcome: Outcome | Located
    try:
        outcome = work.used.provider.follow(work.used.app, work.used.token, work.draft, work.progress, sent)
    except PlatformError as error:
        outcome = error
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


def _ask_again(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:
    """An answer that says nothing about the post: ask again, for as long as that makes sense."""
    if isinstance(error, NeedsReconnect):
        again = tokens.refused(work.used, error, now)
        if again is None:
            tokens.expire_account(delivery.account, error.reason, error.message, now)
            move(delivery, SENT, f"{work.name} has accepted it. We cannot ask what became of it: {error.message}", now)
        else:
            delivery.due_at, delivery.lease_until = again, None
        return
    delivery.polls += 1
    until = error.until if isinstance(error, RateLimited) else None
    at = until or now + tokens.back_off(min(delivery.polls, 6), delivery.id)
    if at - (delivery.sent_at or now) > FOLLOW_FOR:
        move(delivery, SENT, f"{work.name} has accepted it, but does not tell what became of it. Please look there.",
             now)
        return
    delivery.due_at, delivery.lease_until = at, None


# ---------------------------------------------------------------- look


def _look(work: Work) -> None:
    release()
    try:
        found: Published | Sent | Located | PlatformError = work.used.provider.locate(
            work.used.app, work.used.token, work.draft, work.progress, work.sent_at or present())
    except PlatformError as error:
        found = error
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


def _looked(delivery: Delivery, found: Published | Sent | Located | PlatformError, work: Work, now: datetime) -> None:
    if isinstance(found, NeedsReconnect):
        again = tokens.refused(work.used, found, now)
        if again is not None and delivery.looks == 0:
            delivery.looks, delivery.due_at, delivery.lease_until = 1, again, None
            return
        if again is None:
            tokens.expire_account(delivery.account, found.reason, found.message, now)
    if isinstance(found, Published):
        published(delivery, found, now, how=f"{work.name} has it: we looked.")
    elif isinstance(found, Sent):
        sent_off(delivery, work, found, now)
    elif found is Located.NOT_PUBLISHED:
        try_later(delivery, work, TryLater(f"{work.name} says that it was not published, so it is sent again."), now)
    elif isinstance(found, ContentRejected):
        move(delivery, FAILED, found.message, now, code=found.code[:LONGEST_CODE])
    elif found is Located.CANNOT_LOOK:
        move(delivery, UNCONFIRMED, f"{work.name} did not confirm the post and gives us no way to look. Please look "
                                    "there: only you can say whether it is out.", now)
    elif delivery.looks + 1 < len(LOOKS):
        delivery.looks += 1
        delivery.due_at, delivery.lease_until = now + LOOKS[delivery.looks], None
    else:
        looked = f"We looked {len(LOOKS)} times and did not find it."
        why = found.message if isinstance(found, PlatformError) else looked
        move(delivery, UNCONFIRMED, f"{why} That is no proof that {work.name} does not have it. Please look there.",
             now)
