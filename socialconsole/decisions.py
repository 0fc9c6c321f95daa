"""What a person may decide about a delivery: try again, reschedule, cancel, look again, confirm, send again, delete."""

from datetime import datetime

from . import access, audit, drafts, tokens
from .accounts import actor
from .database import release, writing
from .deliveries import LEASE, move
from .errors import ConfigurationWrong, NeedsReconnect, PlatformError
from .extensions import db
from .models import (
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PUBLISHED,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Account,
    Delivery,
    Post,
    User,
    Workspace,
)
from .outside import now as present
from .posts import NotPossible, wall_and_instant
from .providers.content import Draft
from .times import exact


def _by_person(delivery: Delivery, allowed: tuple[str, ...], doing: str) -> None:
    """Read a delivery afresh and refuse if its state moved on. Inside `writing()`."""
    db.session.refresh(delivery, with_for_update=True)
    now, until = present(), delivery.lease_until
    is_looked_for = until is not None and now < until <= now + LEASE
    if delivery.state not in allowed or (delivery.state in (UNCONFIRMED, SENT) and is_looked_for):
        raise NotPossible(f"This post is {delivery.state} now, so it cannot be {doing}.")


def _said(delivery: Delivery, action: str, summary: str) -> None:
    audit.record(f"delivery.{action}", "delivery", delivery.id, summary, workspace_id=delivery.workspace_id,
                 name=delivery.account.display_name)


def _begin_anew(delivery: Delivery) -> None:
    """What an earlier try prepared is not used again: a container of a try whose end nobody knows may be spent."""
    delivery.handle, delivery.polls = "", 0


def retry(delivery: Delivery, user: User) -> None:
    """Send a failed or missed delivery now; a held one as soon as its cause is gone. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (FAILED, MISSED, HELD), "retried")
        delivery.scheduled_for, delivery.attempts = now, 0
        _begin_anew(delivery)
        move(delivery, SCHEDULED, f"{actor(user)} asked to try again.", now, due_at=now, by=actor(user))
        _said(delivery, "retried", "Try again")


def reschedule(delivery: Delivery, user: User, wall_time: str) -> None:
    """Give a delivery another time. Raises NotPossible, or Invalid for the time."""
    now = present()
    with writing() as session:
        _by_person(delivery, (SCHEDULED, FAILED, MISSED, HELD, CANCELLED), "rescheduled")
        workspace = session.get_one(Workspace, delivery.workspace_id)
        if delivery.state == CANCELLED and access.must_ask(workspace, user):
            raise NotPossible("It was cancelled, and an owner approves posts here. Duplicate it and submit it anew.")
        _, at = wall_and_instant(wall_time, workspace, now)
        delivery.scheduled_for, delivery.attempts = at, 0
        _begin_anew(delivery)
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
        for delivery in post.deliveries:
            session.refresh(delivery, with_for_update=True)
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
        _by_person(delivery, (UNCONFIRMED, SENT), "looked for")
        delivery.looks = 0
        move(delivery, delivery.state, "We look whether it is there.", now, due_at=now, by=actor(user))


def mark_published(delivery: Delivery, user: User) -> None:
    """A person saw it on the platform. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (UNCONFIRMED, SENT), "marked as published")
        delivery.confirmed_by, delivery.published_at = actor(user), delivery.published_at or delivery.sent_at or now
        content = drafts.load(delivery.post.text, delivery.post.content)
        left = len(drafts.parts_of(content, delivery.account, delivery.format)) - len(delivery.parts) - 1
        if left > 0:  # without the id of this part nothing can answer to it
            delivery.warning = f"{left} further part{'' if left == 1 else 's'} of this post did not go out."
        move(delivery, PUBLISHED, f"Confirmed by {actor(user)}.", now, by=actor(user))
        _said(delivery, "confirmed", "Marked as published")


def publish_again(delivery: Delivery, user: User) -> None:
    """A person says that it is not there and wants it sent once more. Raises NotPossible."""
    now = present()
    with writing():
        _by_person(delivery, (UNCONFIRMED,), "sent again")
        delivery.scheduled_for = now
        _begin_anew(delivery)
        move(delivery, SCHEDULED, f"{actor(user)} looked, did not find it, and sends it again.", now, due_at=now,
             by=actor(user))
        _said(delivery, "sent_again", "Published again after an unconfirmed try")


# ---------------------------------------------------------------- delete at the platform


def can_delete(account: Account) -> bool:
    """Whether what was published to an account can be deleted from here."""
    grant = account.grant
    if grant is None:
        return False
    needs = tokens.connectable(account.platform).delete_needs.get(grant.app.mode)
    return needs is not None and (grant.scopes_granted is None or set(needs) <= set(grant.scopes_granted))


def delete_published(delivery: Delivery, user: User) -> None:
    """Delete a published post at the platform, all its parts, the last one first.

    Raises NotPossible with the reason where the platform refuses or cannot be reached; nothing changes here then.
    """
    now = present()
    with writing():
        _by_person(delivery, (PUBLISHED,), "deleted")
        if delivery.deleted_at is not None or not can_delete(delivery.account) or not delivery.parts:
            raise NotPossible("This post cannot be deleted from here.")
        used, plain = _access(delivery, now), _told(delivery)
        ids = [part["id"] for part in reversed(delivery.parts)]
    release()
    try:
        for post_id in ids:
            used.provider.delete(used.app, used.token, post_id, plain)
    except PlatformError as error:
        raise NotPossible(f"It was not deleted: {error.message}") from None
    with writing():
        delivery.deleted_at = now
        move(delivery, PUBLISHED, f"Deleted at {used.provider.name} by {actor(user)}.", now, by=actor(user))
        _said(delivery, "deleted", f"Deleted at {used.provider.name}")


def _access(delivery: Delivery, now: datetime) -> tokens.Access:
    try:
        return tokens.access(delivery.account, now)
    except tokens.Renewed:
        raise NotPossible("The connection is being renewed. Try again in a minute.") from None
    except (NeedsReconnect, ConfigurationWrong) as error:
        raise NotPossible(f"It was not deleted: {error.message}") from None


def _told(delivery: Delivery) -> Draft:
    """What a provider needs to know of a post that is out."""
    account = delivery.account
    content = drafts.load(delivery.post.text, delivery.post.content).for_account(account.id)
    return Draft(content.text, account.platform_user_id, account.username, account.meta, format=delivery.format,
                 person_id=account.grant.person_id if account.grant else "",
                 link=content.link)
