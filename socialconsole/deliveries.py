"""Moves of Deliveries that need no platform: held, released, cancelled, settled after a crash.

Accounts, tokens and platform apps call this when something that a delivery depends on breaks or is repaired.
Everything here runs inside `writing()`.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from .extensions import db
from .models import (
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHING,
    SCHEDULED,
    UNCONFIRMED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Workspace,
)

# What a held delivery waits for.
FOR_ACCOUNT, FOR_PLATFORM, FOR_APP = "account", "platform", "app"
LOOK_AFTER = timedelta(seconds=10)
MOST_STOPS = 6  # a post that takes its worker down each time must not do so for ever


def move(delivery: Delivery, state: str, note: str, now: datetime, *, due_at: datetime | None = None, hold: str = "",
         by: str = "", code: str = "", quiet: bool = False) -> None:
    """Put a delivery into a state, with one sentence for people, and write it into its log unless it is `quiet`."""
    is_news = not quiet and (bool(by) or (delivery.state, delivery.note) != (state, note))
    delivery.state, delivery.note, delivery.due_at, delivery.hold, delivery.error_code = state, note, due_at, hold, code
    delivery.lease_until = delivery.rung_until = None
    if is_news:  # waiting for the same thing once more is not
        db.session.add(DeliveryEvent(workspace_id=delivery.workspace_id, delivery_id=delivery.id, at=now, state=state,
                                     text=note, by=by))


def hold_account(account: Account, why: str, now: datetime) -> int:
    """Hold what is scheduled for an account that cannot publish. Returns how many."""
    return _hold(Delivery.account_id == account.id, FOR_ACCOUNT, why, now)


def hold_platform(app: PlatformApp, why: str, now: datetime) -> int:
    """Hold what is scheduled for all accounts of an app that was turned off. Returns how many."""
    return _hold(Delivery.account_id.in_(_accounts_of(app)), FOR_PLATFORM, why, now)


def hold_app(app: PlatformApp, why: str, now: datetime) -> int:
    """Hold what is scheduled for all accounts of an app that the platform refuses. Returns how many."""
    return _hold(Delivery.account_id.in_(_accounts_of(app)), FOR_APP, why, now)


def release_account(account: Account, now: datetime) -> int:
    """The account works again: what it held goes out, if still inside the window. Returns how many were released."""
    return _release(Delivery.account_id == account.id, (FOR_ACCOUNT,), now)


def release_platform(app: PlatformApp, now: datetime) -> int:
    """The platform is on again, or its app was repaired. Returns how many were released."""
    return _release(Delivery.account_id.in_(_accounts_of(app)), (FOR_PLATFORM, FOR_APP), now)


def release_app(app: PlatformApp, now: datetime) -> int:
    """The platform accepts the app again. Returns how many were released."""
    return _release(Delivery.account_id.in_(_accounts_of(app)), (FOR_APP,), now)


def cancel_account(account: Account, by: str, now: datetime) -> int:
    """Cancel what waits for an account. Returns how many."""
    waiting = _select(Delivery.account_id == account.id, Delivery.state.in_((SCHEDULED, HELD)))
    for delivery in waiting:
        move(delivery, CANCELLED, f"Cancelled by {by} when the profile was disconnected.", now, by=by)
    return len(waiting)


def window_ends(delivery: Delivery) -> datetime:
    """Until when a delivery may still go out by itself."""
    workspace = db.session.get_one(Workspace, delivery.workspace_id)
    return delivery.scheduled_for + timedelta(minutes=workspace.window_minutes)


def miss(delivery: Delivery, now: datetime) -> None:
    """The window passed: nothing goes out late without a person."""
    move(delivery, MISSED, "Its time passed while it could not go out. Reschedule it if it still fits.", now)


def settle(now: datetime) -> int:
    """Settle deliveries whose worker died: prepared ones start again, sent ones are looked for. Returns how many.

    The fence stays: should the old worker live after all, its answer is still worth having.
    """
    lost = _select(Delivery.state.in_((PREPARING, PROCESSING, PUBLISHING)), Delivery.lease_until < now)
    for delivery in lost:
        if delivery.state == PUBLISHING:
            delivery.looks = 0
            move(delivery, UNCONFIRMED, "The console stopped in the middle of sending. We look whether it is there.",
                 now, due_at=now + LOOK_AFTER)
        elif delivery.attempts + 1 >= MOST_STOPS:
            move(delivery, FAILED, f"The console stopped {MOST_STOPS} times while preparing this post, so it does not "
                                   "try any more. Try again with another file.", now, code="stopped")
        else:
            delivery.attempts += 1
            move(delivery, SCHEDULED, "The console stopped before sending. It goes on.", now, due_at=now)
    return len(lost)


def waiting(account: Account) -> int:
    """How many deliveries of an account are still to come or held."""
    return len(_select(Delivery.account_id == account.id, Delivery.state.in_((SCHEDULED, HELD))))


def _accounts_of(app: PlatformApp) -> Select[Any]:
    return select(Account.id).join(Grant, Account.grant_id == Grant.id).where(Grant.app_id == app.id)


def _select(*conditions: ColumnElement[bool]) -> list[Delivery]:
    return list(db.session.scalars(select(Delivery).where(*conditions).order_by(Delivery.id)))


def _hold(which: ColumnElement[bool], hold: str, why: str, now: datetime) -> int:
    held = _select(which, Delivery.state == SCHEDULED)
    for delivery in held:
        move(delivery, HELD, why, now, hold=hold)
    return len(held)


def _release(which: ColumnElement[bool], holds: tuple[str, ...], now: datetime) -> int:
    released = 0
    for delivery in _select(which, Delivery.state == HELD, Delivery.hold.in_(holds)):
        if window_ends(delivery) < now:
            miss(delivery, now)
        else:
            move(delivery, SCHEDULED, "", now, due_at=max(now, delivery.scheduled_for))
            released += 1
    return released
