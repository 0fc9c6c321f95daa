"""Publishing: what a worker does with a delivery, step by step.

Prepare (repeatable), check (reads only), publish (once). The one call that cannot be taken back is made only after
`publishing` is committed, by the worker that holds the lease and the fence. No answer means `unconfirmed`: looked for,
then decided by a person, never sent again blindly. A post of several parts (a reply chain, a first comment) walks these
steps part by part; what is out already is kept, so that a broken chain goes on where it broke.
"""

import logging
import time
from datetime import datetime

from . import drafts, following, media, platform_apps, previews, tokens
from .accounts import missing_to_publish
from .database import release, writing
from .deliveries import FOR_ACCOUNT, FOR_PLATFORM, miss, move, window_ends
from .errors import ConfigurationWrong, ContentRejected, NeedsReconnect, OutcomeUnknown, PlatformError, TryLater
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
    LEASE,
    Outcome,
    Unworkable,
    Work,
    clock,
    hold_for_account,
    hold_for_app,
    locked,
    make_work,
    mine,
    published,
    refused,
    sent_off,
    take,
)
from .outside import now as present
from .providers.content import Draft, Published, Sent, Superseded, Wait
from .providers.rules import format_of, problems

log = logging.getLogger("socialconsole.publishing")

MOST_CHECKS = 240  # how often we ask whether something prepared is ready
LONGEST_RUN = 240.0  # seconds: a long chain goes on in another job, far before the alarm of this one


def deliver(delivery_id: str) -> None:
    """Do the next steps of one delivery, if it is due and nobody else is at it. Never raises for a platform's doing."""
    until = time.monotonic() + LONGEST_RUN
    try:
        while (work := _claim(delivery_id, present())) is not None:
            if not _go(work) or time.monotonic() > until:
                return
        if not following.follow(delivery_id):
            following.look(delivery_id)
    except Superseded:
        log.warning("taken by another worker", extra={"delivery": delivery_id})


def _claim(delivery_id: str, now: datetime) -> Work | None:
    """Take a due delivery, check all that may stand in its way, and commit `preparing`."""
    with writing():
        delivery = take(delivery_id, (SCHEDULED, PROCESSING), now)
        if delivery is None:
            return None
        delivery.claimed_at = delivery.claimed_at or now
        if _stopped(delivery, now):
            return None
        used = _access(delivery, now)
        if used is None:
            return None
        lease = delivery.lease_until
        try:
            work = make_work(delivery, used)
        except Unworkable as why:
            _end(delivery, why, now)
            return None
        move(delivery, PREPARING, "", now, quiet=True)
        delivery.lease_until = lease
        return work


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
    if window_ends(delivery) < now and not delivery.parts:
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
        move(delivery, HELD, "The platform is switched off in this console. It goes out when an admin turns it on.",
             now, hold=FOR_PLATFORM)
    elif lacking := missing_to_publish(account):
        hold_for_account(delivery, f"{name} may not publish: {', '.join(lacking)} was not granted. Reconnect it.", now)
    else:
        return False
    return True


# ---------------------------------------------------------------- prepare, check, publish


def _go(work: Work) -> bool:
    """Walk one part as far as it goes now. True if the next part may follow at once."""
    release()
    try:
        draft = _ready(work)
        provider, app, token = work.used.provider, work.used.app, work.used.token
        provider.prepare(app, token, draft, work.progress)
        wait = provider.check(app, token, draft, work.progress)
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
        _finish(work, TryLater("The console broke off while preparing the post.", type(error).__name__), (PREPARING,))
        return False
    if wait is not None:
        _not_ready(work, wait)
        return False
    return _send(work, draft)


def _ready(work: Work) -> Draft:
    """The draft with converted files, addresses and what stands behind its link. Raises ContentRejected."""
    with writing() as session:
        delivery = session.get_one(Delivery, work.delivery_id)
    account = delivery.account
    shown = format_of(work.used.provider, drafts.mode_of(account), work.draft.format, kind=account.kind)
    found = problems(work.used.provider, work.draft, drafts.mode_of(account), count=lambda text: 0, kind=account.kind)
    if found:
        raise ContentRejected(found[0].sentence, "rules", field=found[0].field)
    preview = previews.read(work.draft.link) if shown is not None and shown.preview and work.draft.link else None
    return drafts.ready(delivery, work.draft, preview)


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


def _send(work: Work, draft: Draft) -> bool:
    """The call that cannot be taken back, after the intent is committed. True if the next part may follow at once."""
    now = present()
    with writing():
        delivery = mine(work, (PREPARING,))
        if _blocked(delivery, now):  # paused, disconnected or switched off while a long upload went on
            return False
        move(delivery, PUBLISHING, "", now)
        delivery.lease_until, delivery.sent_at = now + LEASE, now
    release()
    outcome: Outcome
    try:
        outcome = work.used.provider.publish(work.used.app, work.used.token, draft, work.progress)
    except PlatformError as error:
        outcome = error
    except Exception as error:  # a fault of ours after the intent was committed: the post may be out, so look
        log.exception("publishing broke off", extra={"delivery": work.delivery_id})
        outcome = OutcomeUnknown("The console broke off while sending.", type(error).__name__)
    return _finish(work, outcome, (PUBLISHING, UNCONFIRMED), sent_at=now)


def _finish(work: Work, outcome: Outcome, states: tuple[str, ...], *, sent_at: datetime | None = None) -> bool:
    """Write down how a step ended, if the delivery is still this worker's. True if the next part may follow at once."""
    now = present()
    with writing():
        delivery = locked(work.delivery_id)
        if delivery is None or not _still_fits(delivery, work, outcome, states, sent_at):
            log.warning("late outcome dropped", extra={"delivery": work.delivery_id})
            return False
        if isinstance(outcome, Published):
            return published(delivery, outcome, now)
        if isinstance(outcome, Sent):
            sent_off(delivery, work, outcome, now)
        else:
            refused(delivery, work, outcome, now)
    return False


def _still_fits(delivery: Delivery, work: Work, outcome: Outcome, states: tuple[str, ...],
                sent_at: datetime | None) -> bool:
    """Whether an outcome still belongs to the delivery: nobody took it since, or it proves that the post is out.

    Such a proof counts wherever the delivery was put meanwhile, as long as nothing was sent since and this part was not
    found otherwise: else it would go out once more.
    """
    if isinstance(outcome, Published | Sent) and sent_at is not None and delivery.sent_at == sent_at:
        return delivery.state not in (PUBLISHED, SENT) and len(delivery.parts) == work.draft.part
    return delivery.state in states and delivery.fence == work.fence
