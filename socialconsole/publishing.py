"""Publishing: posts and their deliveries. Schedule, deliver, look, and what a person may decide.

The one call that cannot be taken back is made only after `publishing` is committed, by the worker that holds the lease
and the fence. No answer means `unconfirmed`: looked for, then decided by a person, never sent again blindly.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, update

from . import audit, platform_apps, tokens
from .accounts import actor, missing_to_publish
from .database import release, took, writing
from .deliveries import FOR_ACCOUNT, FOR_APP, FOR_PLATFORM, LOOK_AFTER, miss, move, release_app, window_ends
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
from .models import (
    ACTIVE,
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PAUSED,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    UNCONFIRMED,
    Delivery,
    Post,
    User,
    Workspace,
)
from .outside import now as present
from .posts import NotPossible, first_link, wall_and_instant
from .providers.base import Draft, Located, Published
from .times import exact

log = logging.getLogger("socialconsole.publishing")

LEASE = timedelta(seconds=120)  # far above what one delivery's calls can take
MOST_ATTEMPTS = 6
LOOKS = (timedelta(seconds=20), timedelta(minutes=1), timedelta(minutes=5))  # pauses between looks
PROBE_AFTER = timedelta(minutes=15)
WAIT_UNSTATED = timedelta(minutes=15)

@dataclass(frozen=True)
class Work:
    """A claimed delivery: all that the call needs, read while the claim was committed."""

    delivery_id: str
    fence: int
    used: tokens.Access
    draft: Draft
    sent_at: datetime


# ---------------------------------------------------------------- deliver


def deliver(delivery_id: str) -> None:
    """Do the next step of one delivery, if it is due and nobody else is at it. Never raises for a platform's doing."""
    work = _claim(delivery_id, present())
    if work is not None:
        _send(work)
        return
    look = _claim_look(delivery_id, present())
    if look is not None:
        _look(look)


def _take(delivery_id: str, state: str, now: datetime) -> Delivery | None:
    """Take a due delivery in a state for this worker alone; None if it is not ours to do. Inside `writing()`."""
    if not took(
            update(Delivery)
            .where(Delivery.id == delivery_id, Delivery.state == state, Delivery.due_at <= now,
                   or_(Delivery.lease_until.is_(None), Delivery.lease_until < now))
            .values(fence=Delivery.fence + 1, lease_until=now + LEASE)):
        return None
    return db.session.get_one(Delivery, delivery_id, populate_existing=True)


def _claim(delivery_id: str, now: datetime) -> Work | None:
    """Take a scheduled delivery, check all that may stand in its way, and commit `publishing`."""
    with writing():
        delivery = _take(delivery_id, SCHEDULED, now)
        if delivery is None:
            return None
        delivery.claimed_at = delivery.claimed_at or now
        if _stopped(delivery, now):
            return None
        try:
            used = tokens.access(delivery.account, now)
        except tokens.Renewed as wait:
            move(delivery, SCHEDULED, "Waits for a fresh token.", now, due_at=wait.next_try(now))
            return None
        except NeedsReconnect as error:
            tokens.expire_account(delivery.account, error.reason, error.message, now)
            _hold_for_account(delivery, error.message, now)
            return None
        except ConfigurationWrong as error:
            _hold_for_app(delivery, error, now)
            return None
        lease = delivery.lease_until
        move(delivery, PUBLISHING, "", now)
        delivery.lease_until, delivery.sent_at = lease, now
        return Work(delivery.id, delivery.fence, used, _draft(delivery), now)


def _stopped(delivery: Delivery, now: datetime) -> bool:
    """Whether something stands in the way; if so, the delivery is moved to where it waits."""
    account, grant = delivery.account, delivery.account.grant
    name = account.display_name or account.username
    if window_ends(delivery) < now:
        miss(delivery, now)
    elif account.state == PAUSED:
        move(delivery, HELD, f"{name} is paused. Resume it to release this post.", now, hold=FOR_ACCOUNT)
    elif account.state != ACTIVE or grant is None:
        _hold_for_account(delivery, account.reason_text or f"{name} has to be reconnected.", now)
    elif not grant.app.is_on or not platform_apps.is_reachable(grant.app):
        move(delivery, HELD, "The platform is switched off in this console. It goes out when an admin turns it on.",
             now, hold=FOR_PLATFORM)
    elif missing_to_publish(tokens.connectable(account.platform), grant.app.mode, grant.scopes_granted):
        lacking = missing_to_publish(tokens.connectable(account.platform), grant.app.mode, grant.scopes_granted)
        _hold_for_account(delivery, f"{name} may not publish: {', '.join(lacking)} was not granted. Reconnect it.", now)
    elif (quiet := max((at for at in (account.quiet_until, grant.app.quiet_until) if at), default=now)) > now:
        move(delivery, SCHEDULED, f"The platform asked us to wait, next try {_clock(delivery, quiet)}.", now,
             due_at=quiet)
    else:
        return False
    return True


def _hold_for_account(delivery: Delivery, why: str, now: datetime, code: str = "") -> None:
    move(delivery, HELD, why, now, hold=FOR_ACCOUNT, code=code)


def _hold_for_app(delivery: Delivery, error: ConfigurationWrong, now: datetime) -> None:
    """The platform refuses the app. A reading of the profile now and then finds out when that is over."""
    move(delivery, HELD, error.message, now, hold=FOR_APP, code=error.code)
    if delivery.account.grant is not None:
        platform_apps.flag(delivery.account.grant.app_id, error.message, error.code, now)
        delivery.account.sync_due_at = now + PROBE_AFTER


def _draft(delivery: Delivery) -> Draft:
    account = delivery.account
    return Draft(delivery.post.text, account.platform_user_id, account.username, account.meta,
                 first_link(delivery.post.text))


def _clock(delivery: Delivery, at: datetime) -> str:
    return exact(at, db.session.get_one(Workspace, delivery.workspace_id).time_zone)


def _send(work: Work) -> None:
    release()
    try:
        done = work.used.provider.publish(work.used.app, work.used.token, work.draft)
    except PlatformError as error:
        _finish(work, error)
    except Exception as error:  # a fault of ours after the intent was committed: the post may be out, so look
        log.exception("publishing broke off", extra={"delivery": work.delivery_id})
        _finish(work, OutcomeUnknown("The console broke off while sending.", type(error).__name__))
    else:
        _finish(work, done)


def _finish(work: Work, outcome: Published | PlatformError) -> None:
    """Write down how the call ended, if the delivery is still this worker's."""
    now = present()
    with writing() as session:
        delivery = session.get(Delivery, work.delivery_id, populate_existing=True)
        if delivery is None or not _still_fits(delivery, work, outcome):
            log.warning("late outcome dropped", extra={"delivery": work.delivery_id})
            return
        if isinstance(outcome, Published):
            _published(delivery, outcome, now)
        else:
            _refused(delivery, work, outcome, now)


def _still_fits(delivery: Delivery, work: Work, outcome: Published | PlatformError) -> bool:
    """Whether an outcome still belongs to the delivery: nobody took it since, or it proves that the post is out."""
    if delivery.state not in (PUBLISHING, UNCONFIRMED):
        return False
    return delivery.fence == work.fence or (isinstance(outcome, Published) and delivery.sent_at == work.sent_at)


def _published(delivery: Delivery, done: Published, now: datetime, *, how: str = "") -> None:
    delivery.platform_post_id, delivery.permalink, delivery.published_at = done.id, done.permalink, now
    move(delivery, PUBLISHED, how, now)
    grant = delivery.account.grant
    if grant is not None and grant.app.trouble:  # the platform takes this app's posts again
        platform_apps.clear_flag(grant.app_id)
        release_app(grant.app, now)


def _refused(delivery: Delivery, work: Work, error: PlatformError, now: datetime) -> None:  # one table, read downwards
    account = delivery.account
    if isinstance(error, AlreadyPublished):
        _already(delivery, error, now)
    elif isinstance(error, OutcomeUnknown):
        delivery.looks = 0
        move(delivery, UNCONFIRMED, error.message, now, due_at=now + LOOK_AFTER, code=error.code)
    elif isinstance(error, RateLimited):
        _wait(delivery, error, now)
    elif isinstance(error, TryLater):
        _try_later(delivery, error, now)
    elif isinstance(error, NeedsReconnect):
        again = tokens.refused(work.used, error, now)
        if again is not None:
            move(delivery, SCHEDULED, "Waits for a fresh token.", now, due_at=again)
            return
        tokens.expire_account(account, error.reason, error.message, now)
        _hold_for_account(delivery, error.message, now, error.code)
    elif isinstance(error, PermissionMissing):
        if error.scopes and account.grant is not None and account.grant.scopes_granted is not None:
            account.grant.scopes_granted = [one for one in account.grant.scopes_granted if one not in error.scopes]
        _hold_for_account(delivery, error.message, now, error.code)
    elif isinstance(error, ConfigurationWrong):
        _hold_for_app(delivery, error, now)
    elif isinstance(error, ContentRejected):
        move(delivery, FAILED, error.message, now, code=error.code)
    else:
        move(delivery, FAILED, error.message, now, code=error.code)


def _already(delivery: Delivery, error: AlreadyPublished, now: datetime) -> None:
    """The platform has this text already. Only after an open outcome of ours does that mean: it is this very post."""
    if not _was_unconfirmed(delivery):
        move(delivery, FAILED, error.message, now, code=error.code)
    elif error.post_id:
        _published(delivery, Published(error.post_id, error.permalink), now, how="It was already published.")
    else:
        move(delivery, UNCONFIRMED, f"{error.message} Please look whether it is there, then mark it as published.", now,
             code=error.code)


def _was_unconfirmed(delivery: Delivery) -> bool:
    return any(event.state == UNCONFIRMED for event in delivery.log)


def _wait(delivery: Delivery, error: RateLimited, now: datetime) -> None:
    until = max(error.until or now + WAIT_UNSTATED, now + timedelta(seconds=1))
    grant = delivery.account.grant
    if error.whole_app and grant is not None:
        grant.app.quiet_until = until
    else:
        delivery.account.quiet_until = until
    name = tokens.connectable(delivery.account.platform).name
    move(delivery, SCHEDULED, f"{name} asked us to wait, next try {_clock(delivery, until)}.", now, due_at=until,
         code=error.code)


def _try_later(delivery: Delivery, error: PlatformError, now: datetime) -> None:
    delivery.attempts += 1
    if delivery.attempts >= MOST_ATTEMPTS:
        move(delivery, FAILED, f"{error.message} After {MOST_ATTEMPTS} tries we stopped.", now, code=error.code)
        return
    at = now + tokens.back_off(delivery.attempts, delivery.id, timedelta(seconds=10))
    move(delivery, SCHEDULED, f"{error.message} Next try {_clock(delivery, at)}.", now, due_at=at, code=error.code)


# ---------------------------------------------------------------- look


def _claim_look(delivery_id: str, now: datetime) -> Work | None:
    """Take an unconfirmed delivery to look for it at the platform."""
    with writing():
        delivery = _take(delivery_id, UNCONFIRMED, now)
        if delivery is None:
            return None
        try:
            used = tokens.access(delivery.account, now)
        except tokens.Renewed as wait:
            delivery.due_at, delivery.lease_until = wait.next_try(now), None
            return None
        except (NeedsReconnect, ConfigurationWrong) as error:
            move(delivery, UNCONFIRMED, f"We cannot look whether it is there: {error.message}", now)
            return None
        return Work(delivery.id, delivery.fence, used, _draft(delivery), delivery.sent_at or delivery.scheduled_for)


def _look(work: Work) -> None:
    release()
    try:
        found: Published | Located | PlatformError = work.used.provider.locate(
            work.used.app, work.used.token, work.draft, work.sent_at)
    except PlatformError as error:
        found = error
    except Exception:  # a fault of ours; looking may be repeated, but not for ever
        log.exception("looking broke off", extra={"delivery": work.delivery_id})
        found = TryLater("The console broke off while looking.")
    now = present()
    with writing() as session:
        delivery = session.get(Delivery, work.delivery_id, populate_existing=True)
        if delivery is None or delivery.fence != work.fence or delivery.state != UNCONFIRMED:
            return
        _looked(delivery, found, work, now)


def _looked(delivery: Delivery, found: Published | Located | PlatformError, work: Work, now: datetime) -> None:
    name = work.used.provider.name
    if isinstance(found, NeedsReconnect):
        again = tokens.refused(work.used, found, now)
        if again is not None and delivery.looks == 0:
            delivery.looks, delivery.due_at, delivery.lease_until = 1, again, None
            return
        if again is None:
            tokens.expire_account(delivery.account, found.reason, found.message, now)
    if isinstance(found, Published):
        _published(delivery, found, now, how=f"{name} has it: we looked.")
    elif found is Located.CANNOT_LOOK:
        move(delivery, UNCONFIRMED, f"{name} did not confirm the post and gives us no way to look. Please look there: "
                                    "only you can say whether it is out.", now)
    elif delivery.looks + 1 < len(LOOKS):
        delivery.looks += 1
        delivery.due_at, delivery.lease_until = now + LOOKS[delivery.looks], None
    else:
        looked = f"We looked {len(LOOKS)} times and did not find it."
        why = found.message if isinstance(found, PlatformError) else looked
        move(delivery, UNCONFIRMED, f"{why} That is no proof that {name} does not have it. Please look there.", now)


# ---------------------------------------------------------------- what a person may decide


def _by_person(delivery: Delivery, allowed: tuple[str, ...], doing: str) -> None:
    """Read a delivery afresh and refuse if its state moved on. Inside `writing()`."""
    db.session.refresh(delivery)
    if delivery.state not in allowed or (delivery.state == UNCONFIRMED and delivery.lease_until is not None
                                         and delivery.lease_until > present()):
        raise NotPossible(f"This post is {delivery.state} now, so it cannot be {doing}.")


def _said(delivery: Delivery, action: str, summary: str) -> None:
    audit.record(f"delivery.{action}", "delivery", delivery.id, summary, workspace_id=delivery.workspace_id,
                 name=delivery.account.display_name)


def retry(delivery: Delivery, user: User) -> None:
    """Send a failed or missed delivery now; a held one as soon as its cause is gone. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (FAILED, MISSED, HELD), "retried")
        delivery.scheduled_for, delivery.attempts = now, 0
        move(delivery, SCHEDULED, f"{actor(user)} asked to try again.", now, due_at=now, by=actor(user))
        _said(delivery, "retried", "Try again")


def reschedule(delivery: Delivery, user: User, wall_time: str) -> None:
    """Give a delivery another time. Raises NotPossible, or Invalid for the time."""
    now = present()
    with writing() as session:
        _by_person(delivery, (SCHEDULED, FAILED, MISSED, HELD, CANCELLED), "rescheduled")
        workspace = session.get_one(Workspace, delivery.workspace_id)
        _, at = wall_and_instant(wall_time, workspace, now)
        delivery.scheduled_for, delivery.attempts = at, 0
        delivery.post.state = SCHEDULED  # a cancelled post comes back with its first delivery
        move(delivery, SCHEDULED, f"{actor(user)} moved it to {exact(at, workspace.time_zone)}.", now, due_at=at,
             by=actor(user))
        _said(delivery, "rescheduled", f"Moved to {exact(at, workspace.time_zone)}")


def cancel_delivery(delivery: Delivery, user: User) -> None:
    """Stop a delivery that is not on its way. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (SCHEDULED, HELD, FAILED, MISSED), "cancelled")
        move(delivery, CANCELLED, f"Cancelled by {actor(user)}.", now, by=actor(user))
        _said(delivery, "cancelled", "Cancelled")


def cancel(post: Post, user: User) -> int:
    """Stop whatever of a post is not on its way. Returns how many; raises NotPossible if none could be."""
    now = present()
    with writing() as session:
        session.refresh(post, ["deliveries"])
        stopped = [one for one in post.deliveries if one.state in (SCHEDULED, HELD, FAILED, MISSED)]
        if not stopped:
            raise NotPossible("Nothing of this post can be cancelled any more.")
        for delivery in stopped:
            move(delivery, CANCELLED, f"Cancelled by {actor(user)}.", now, by=actor(user))
        if all(one.state == CANCELLED for one in post.deliveries):
            post.state = CANCELLED
        audit.record("post.cancelled", "post", post.id, "Cancelled", workspace_id=post.workspace_id,
                     name=post.text[:60])
    return len(stopped)


def check_again(delivery: Delivery, user: User) -> None:
    """Look for an unconfirmed delivery once more. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (UNCONFIRMED,), "looked for")
        delivery.looks = 0
        move(delivery, UNCONFIRMED, "We look whether it is there.", now, due_at=now, by=actor(user))


def mark_published(delivery: Delivery, user: User) -> None:
    """A person saw it on the platform. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (UNCONFIRMED,), "marked as published")
        delivery.confirmed_by, delivery.published_at = actor(user), delivery.sent_at or now
        move(delivery, PUBLISHED, f"Confirmed by {actor(user)}.", now, by=actor(user))
        _said(delivery, "confirmed", "Marked as published")


def publish_again(delivery: Delivery, user: User) -> None:
    """A person says that it is not there and wants it sent once more. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (UNCONFIRMED,), "sent again")
        delivery.scheduled_for = now
        move(delivery, SCHEDULED, f"{actor(user)} looked, did not find it, and sends it again.", now, due_at=now,
             by=actor(user))
        _said(delivery, "sent_again", "Published again after an unconfirmed try")

