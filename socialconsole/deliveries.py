"""Moves of Deliveries that need no platform: held, released, cancelled, settled after a crash.

Accounts, tokens and platform apps call this when something that a delivery depends on breaks or is repaired.
Everything here runs inside `writing()`, but for `settle`, which opens one for each batch.
"""

import math
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from . import platform_apps, tallies
from .database import add_row, change, writing
from .extensions import db
from .models import (
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Workspace,
    new_id,
)
from .providers import provider as provider_of

# What a held delivery waits for.
FOR_ACCOUNT, FOR_PLATFORM, FOR_APP = "account", "platform", "app"
LEASE = timedelta(seconds=120)  # above what one step of preparing can take; long uploads renew it
SENDING_LEASE = timedelta(seconds=90)  # above what the call that cannot be taken back can take
BATCH = 200  # rows that one transaction moves, so that nobody waits long for it
MOST_STOPS = 6  # in a row without getting further: a post that takes its worker down must not do so for ever
MOST_STOPS_EVER = 60
LONGEST_PAUSE = timedelta(minutes=35)  # between two tries, unless the platform itself asked for a longer one
BACKWARDS = timedelta(seconds=30)  # by which a clock has to go back to be noticed
LOOKS_AT_HELD = timedelta(minutes=1)  # how often what a platform that is off holds is looked through
MISSES_FOR = 2.0  # seconds of one such look: whoever settles has other things to do as well
CUT_OFF = "The console stopped"  # how the note of a delivery begins whose worker died
STOPPED = f"{CUT_OFF} before sending. It goes on."

# What the platform itself says counts from wherever a delivery was put meanwhile: else it would go out once more.
_PROVEN = (PUBLISHED, PROCESSING, SENT)
# Which state may follow which; steps that a platform lacks are skipped. What is not here is a fault of ours.
MOVES: Mapping[str, frozenset[str]] = {
    SCHEDULED: frozenset({SCHEDULED, PREPARING, PUBLISHING, HELD, MISSED, FAILED, CANCELLED, *_PROVEN}),
    PREPARING: frozenset({SCHEDULED, PUBLISHING, UNCONFIRMED, HELD, FAILED, *_PROVEN}),
    PROCESSING: frozenset({SCHEDULED, PREPARING, PUBLISHING, HELD, MISSED, FAILED, *_PROVEN}),
    PUBLISHING: frozenset({SCHEDULED, UNCONFIRMED, HELD, FAILED, *_PROVEN}),
    UNCONFIRMED: frozenset({UNCONFIRMED, SCHEDULED, HELD, FAILED, *_PROVEN}),
    SENT: frozenset({SCHEDULED, FAILED, *_PROVEN}),
    HELD: frozenset({SCHEDULED, HELD, MISSED, CANCELLED, *_PROVEN}),
    FAILED: frozenset({SCHEDULED, CANCELLED, *_PROVEN}),
    MISSED: frozenset({SCHEDULED, CANCELLED, *_PROVEN}),
    CANCELLED: frozenset({SCHEDULED, PUBLISHED, SENT}),  # nothing more of it goes out, but what is out is told
    PUBLISHED: frozenset({PUBLISHED}),
}
# States that tell how publishing goes.
COUNTED = frozenset({PUBLISHED, SENT, FAILED, HELD, MISSED, UNCONFIRMED, CANCELLED})


class Impossible(RuntimeError):
    """A delivery was about to be moved along a way that does not exist: a fault of ours."""


def may_move(before: str, after: str) -> bool:
    """Whether a delivery can come from one state into another."""
    return after in MOVES[before]


def move(delivery: Delivery, state: str, note: str, now: datetime, *, due_at: datetime | None = None, hold: str = "",
         by: str = "", code: str = "", quiet: bool = False, lease_until: datetime | None = None, **also: Any) -> None:
    """Put a delivery into a state, with one sentence for people, and write it into its log unless it is `quiet`.

    `also`: further columns that change with it. Raises Impossible for a move that MOVES does not know.
    """
    before = delivery.state
    if not may_move(before, state):
        raise Impossible(f"{delivery.id}: {before} to {state}")
    is_news = not quiet and (bool(by) or (before, delivery.note) != (state, note))
    change(delivery, state=state, note=note, due_at=due_at, hold=hold, error_code=code, lease_until=lease_until,
           rung_until=None, **also)
    if is_news:  # waiting for the same thing once more is not
        tell(delivery, note, now, by=by)
    if state != before and state in COUNTED:
        tallies.moved(delivery.account.platform, state)


def tell(delivery: Delivery, text: str, now: datetime, *, by: str = "") -> None:
    """Write one sentence for people into the log of a delivery, as it stands now."""
    add_row(DeliveryEvent, id=new_id("dle"), workspace_id=delivery.workspace_id, delivery_id=delivery.id, at=now,
            state=delivery.state, text=text, by=by)


# ---------------------------------------------------------------- held and released


def hold_account(account: Account, why: str, now: datetime) -> int:
    """Hold what is scheduled for an account that cannot publish. Returns how many."""
    return _hold(Delivery.account_id == account.id, FOR_ACCOUNT, why, now)


def hold_platform(app: PlatformApp, now: datetime) -> int:
    """Hold what is scheduled for all accounts of an app that was turned off. Returns how many.

    What is held for it already gets the present words, so that a changed note reaches every post.
    """
    mine, held = Delivery.account_id.in_(_accounts_of(app)), 0
    told = and_(mine, Delivery.state == HELD, Delivery.hold == FOR_PLATFORM)
    for some in _in_batches(told):
        for zone, rows in _by_zone(some):
            _move_all(rows, HELD, held_for_platform(app, zone), now, hold=FOR_PLATFORM)
    for some in _in_batches(and_(mine, Delivery.state == SCHEDULED), skip_locked=True):
        for zone, rows in _by_zone(some):
            held += _move_all(rows, HELD, held_for_platform(app, zone), now, hold=FOR_PLATFORM)
    return held


def held_for_platform(app: PlatformApp, zone: str) -> str:
    """What a post says that waits for an app that is off, or whose sandbox is."""
    if app.is_on:
        return "This profile belongs to the sandbox, which is switched off. It goes out when the sandbox is back."
    return (f"{platform_apps.why_off(app, zone)} It goes out when it is turned on again, unless its time has passed by "
            "then.")


def _by_zone(rows: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    for zone in sorted({row.time_zone for row in rows}):
        yield zone, [row for row in rows if row.time_zone == zone]


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
    note = f"Cancelled by {by} when the profile was disconnected."
    which = and_(Delivery.account_id == account.id, Delivery.state.in_((SCHEDULED, HELD)))
    return sum(_move_all(some, CANCELLED, note, now, by=by) for some in _in_batches(which))


def waiting(account: Account) -> int:
    """How many deliveries of an account are still to come or held."""
    return db.session.scalar(select(func.count()).select_from(Delivery).where(
        Delivery.account_id == account.id, Delivery.state.in_((SCHEDULED, HELD)))) or 0


def _accounts_of(app: PlatformApp) -> Select[Any]:
    return select(Account.id).join(Grant, Account.grant_id == Grant.id).where(Grant.app_id == app.id)


def _hold(which: ColumnElement[bool], hold: str, why: str, now: datetime) -> int:
    """A delivery that somebody else has in hand at this moment is passed over: whoever takes it next holds it."""
    scheduled = and_(which, Delivery.state == SCHEDULED)
    return sum(_move_all(some, HELD, why, now, hold=hold) for some in _in_batches(scheduled, skip_locked=True))


def _release(which: ColumnElement[bool], holds: tuple[str, ...], now: datetime) -> int:
    released = 0
    for some in _in_batches(and_(which, Delivery.state == HELD, Delivery.hold.in_(holds))):
        late = [row for row in some if _window_ends(row) < now]
        _move_all([row for row in late if not row.parts], MISSED, _missed(0), now)
        for row in late:
            if row.parts:
                _move_all([row], MISSED, _missed(len(row.parts)), now)
        known = {row.id for row in late}
        in_time = [row for row in some if row.id not in known]
        released += _move_all([row for row in in_time if row.scheduled_for <= now], SCHEDULED, "", now, due_at=now)
        released += _move_all([row for row in in_time if row.scheduled_for > now], SCHEDULED, "", now,
                              due_at=Delivery.scheduled_for)
    return released


def _in_batches(which: ColumnElement[bool], *, skip_locked: bool = False) -> Iterator[Sequence[Any]]:
    """The rows that meet a condition, locked in the order of their ids, a few at a time."""
    last = ""
    while True:
        rows = db.session.execute(
            select(Delivery.id, Delivery.workspace_id, Delivery.state, Delivery.scheduled_for, Delivery.parts,
                   Account.platform, Workspace.window_minutes, Workspace.time_zone)
            .join(Account, Delivery.account_id == Account.id).join(Workspace, Delivery.workspace_id == Workspace.id)
            .where(which, Delivery.id > last).order_by(Delivery.id).limit(BATCH)
            .with_for_update(of=Delivery, skip_locked=skip_locked)).all()
        if rows:
            yield rows
            last = rows[-1].id
        if len(rows) < BATCH:
            return


def _move_all(rows: Sequence[Any], state: str, note: str, now: datetime, *, hold: str = "", by: str = "",
              due_at: datetime | InstrumentedAttribute[datetime] | None = None) -> int:
    """`move` for many rows that this transaction has locked. Returns how many."""
    if not rows:
        return 0
    for row in rows:
        if not may_move(row.state, state):
            raise Impossible(f"{row.id}: {row.state} to {state}")
    db.session.execute(
        update(Delivery).where(Delivery.id.in_([row.id for row in rows]))
        .values(state=state, note=note, hold=hold, due_at=due_at, error_code="", lease_until=None, rung_until=None)
        .execution_options(synchronize_session="evaluate"))
    db.session.execute(insert(DeliveryEvent), [
        {"id": new_id("dle"), "workspace_id": row.workspace_id, "delivery_id": row.id, "at": now, "state": state,
         "text": note, "by": by} for row in rows])
    if state in COUNTED:
        for row in rows:
            tallies.moved(row.platform, state)
    return len(rows)


# ---------------------------------------------------------------- the window


def window_ends(delivery: Delivery) -> datetime:
    """Until when a delivery may still go out by itself."""
    return delivery.scheduled_for + _window(delivery)


def is_too_late(delivery: Delivery, now: datetime) -> bool:
    """Whether the window is over for a delivery that is due.

    What was begun in time goes on: the further parts of a post that is out, an upload that takes its time. But not
    after days in which nothing ran: its next step has a window too.
    """
    if now <= window_ends(delivery):
        return False
    return not _was_begun(delivery) or now - (delivery.due_at or delivery.scheduled_for) > _window(delivery)


def _was_begun(delivery: Delivery) -> bool:
    if delivery.parts:
        return True
    return (delivery.is_heavy and bool(delivery.handle) and delivery.claimed_at is not None
            and delivery.claimed_at <= window_ends(delivery))


def miss(delivery: Delivery, now: datetime) -> None:
    """The window passed: nothing goes out late without a person."""
    move(delivery, MISSED, _missed(len(delivery.parts)), now)


def _missed(parts: int) -> str:
    if parts:
        which = "Part 1 is" if parts == 1 else f"Parts 1 to {parts} are"
        return f"{which} out. The time of the rest passed while it could not go out. Reschedule it if it still fits."
    return "Its time passed while it could not go out. Reschedule it if it still fits."


def _window(delivery: Delivery) -> timedelta:
    return timedelta(minutes=delivery.account.workspace.window_minutes)


def _window_ends(row: Any) -> datetime:
    ends: datetime = row.scheduled_for + timedelta(minutes=row.window_minutes)
    return ends


# ---------------------------------------------------------------- after a crash, after a jump of the clock


def is_free(now: datetime) -> ColumnElement[bool]:
    """Whether nobody works on a delivery. A lease longer than any is one from before the clock was put back."""
    return or_(Delivery.lease_until.is_(None), Delivery.lease_until < now, Delivery.lease_until > now + LEASE)


def is_busy(now: datetime, of: Any = Delivery) -> ColumnElement[bool]:
    """Whether somebody works on a delivery: the opposite of `is_free`, in the words that an index understands."""
    return and_(of.lease_until.is_not(None), of.lease_until >= now, of.lease_until <= now + LEASE)


def settle(now: datetime) -> int:
    """Settle deliveries whose worker died: prepared ones start again, sent ones are looked for. Returns how many.

    The fence stays: should the old worker live after all, its answer is still worth having. Each batch is a
    transaction of its own, unless one is open.
    """
    settled, some = 0, BATCH
    while some == BATCH:
        with writing():
            some = _settle_some(now)
        settled += some
    if _went_back(now):
        with writing():
            _shorten_waits(now)
    return settled + _miss_held(now)


def _miss_held(now: datetime) -> int:
    """Once a minute: see what waits for a platform that is off and whose window passed. Returns how many."""
    looked: datetime | None = current_app.extensions.get("held_looked")
    if looked is not None and timedelta() <= now - looked < LOOKS_AT_HELD:
        return 0
    current_app.extensions["held_looked"] = now
    return miss_held(now, MISSES_FOR)


def miss_held(now: datetime, seconds: float = math.inf) -> int:
    """What waits for a platform that is off and whose window passed is missed: a person gives it a new time.

    Each batch is a transaction of its own, unless one is open. What is left after so many seconds waits for the next
    look.
    """
    held = and_(Delivery.state == HELD, Delivery.hold == FOR_PLATFORM)
    late = is_over(now) if db.session.scalar(select(Delivery.id).where(held).limit(1)) else None
    if late is None:
        return 0
    which, missed, some = and_(held, late), 0, 1
    until = time.monotonic() + seconds
    while some and time.monotonic() < until:
        with writing():
            some = _miss_some(which, now)
        missed += some
    return missed


def _miss_some(which: ColumnElement[bool], now: datetime) -> int:
    rows = next(_in_batches(which, skip_locked=True), ())
    _move_all([row for row in rows if not row.parts], MISSED, _missed(0), now)
    for row in rows:
        if row.parts:
            _move_all([row], MISSED, _missed(len(row.parts)), now)
    return len(rows)


def is_over(at: datetime) -> ColumnElement[bool] | None:
    """Whether the window of a delivery is over at an instant, in words that both databases know; Workspace is joined.

    None: there is no workspace, so there is nothing.
    """
    lengths = db.session.scalars(select(Workspace.window_minutes).distinct()).all()
    if not lengths:
        return None
    return or_(*(and_(Workspace.window_minutes == minutes, Delivery.scheduled_for < at - timedelta(minutes=minutes))
                 for minutes in lengths))


def _settle_some(now: datetime) -> int:
    lost = db.session.scalars(
        select(Delivery).where(Delivery.state.in_((PREPARING, PROCESSING, PUBLISHING)),
                               Delivery.lease_until.is_not(None), is_free(now))
        .order_by(Delivery.id).limit(BATCH).with_for_update(skip_locked=True, of=Delivery)
        .execution_options(populate_existing=True)).all()
    for delivery in lost:
        if delivery.state == PUBLISHING:
            delivery.looks = 0
            move(delivery, UNCONFIRMED, f"{CUT_OFF} in the middle of sending. We look whether it is there.", now,
                 due_at=now + provider_of(delivery.account.platform).looks[0])
        else:
            _begin_again(delivery, now)
    return len(lost)


def _begin_again(delivery: Delivery, now: datetime) -> None:
    """What was stopped while it was prepared goes on where it stood, but not for ever."""
    code = f"stopped/{zlib.crc32(delivery.handle.encode()):08x}"
    got_further = bool(delivery.handle) and delivery.error_code.startswith("stopped/") and delivery.error_code != code
    delivery.attempts = 1 if got_further else delivery.attempts + 1
    if delivery.attempts >= MOST_STOPS or _stops(delivery) + 1 >= MOST_STOPS_EVER:
        times = MOST_STOPS if delivery.attempts >= MOST_STOPS else MOST_STOPS_EVER
        move(delivery, FAILED, f"The console stopped {times} times while preparing this post, so it does not try any "
                               "more. Try again with another file.", now, code="stopped")
        return
    stopped_at = min(now, delivery.lease_until or now)  # whether that was long ago decides if it may still go on
    move(delivery, SCHEDULED, STOPPED, now, due_at=stopped_at, code=code)


def _stops(delivery: Delivery) -> int:
    return db.session.scalar(select(func.count()).select_from(DeliveryEvent).where(
        DeliveryEvent.delivery_id == delivery.id, DeliveryEvent.text == STOPPED)) or 0


def _went_back(now: datetime) -> bool:
    """Whether the clock of this process went back since the last time; True the first time, since nobody knows."""
    seen: datetime | None = current_app.extensions.get("clock_seen")
    current_app.extensions["clock_seen"] = now
    return seen is None or seen - now > BACKWARDS


def _shorten_waits(now: datetime) -> None:
    """Pauses that were counted by a clock that was put back since: nothing waits longer than we ever say."""
    asked_to_wait = select(Account.id).outerjoin(Grant, Account.grant_id == Grant.id).outerjoin(
        PlatformApp, Grant.app_id == PlatformApp.id).where(
        or_(Account.quiet_until > now + LONGEST_PAUSE, PlatformApp.quiet_until > now + LONGEST_PAUSE))
    db.session.execute(
        update(Delivery).where(Delivery.state.in_((SCHEDULED, PROCESSING, UNCONFIRMED)), Delivery.scheduled_for <= now,
                               Delivery.due_at > now + LONGEST_PAUSE, Delivery.account_id.not_in(asked_to_wait))
        .values(due_at=now, rung_until=None).execution_options(synchronize_session=False))
