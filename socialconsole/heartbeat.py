"""The heartbeat: finds due rows, rings for them, and hands them out. It calls no platform and moves no state itself.

The ticker's `beat` rings: it wakes workers with a few ids, and rings again as long as something is due, so that a store
that lost its queue costs half a second. A woken worker goes on by itself with `pick`, which reserves rows for a few
seconds (`rung_until`), so that several workers do not run for the same ones. Neither is a lock: a row is only taken by
the service's own conditional UPDATE.

Deliveries are handed out one for each account at a time and in turn for each workspace: ten thousand due posts of one
team never keep another's waiting, and the posts of one profile go out in their order.
"""

import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, func, or_, select, update

from . import breaker, connect_links, deliveries, spool, tokens
from .database import writing
from .extensions import db
from .models import (
    ACTIVE,
    GRANTED,
    LIVE,
    PAUSED,
    PREPARING,
    PROCESSING,
    PUBLISHING,
    SCHEDULED,
    SENT,
    STARTED,
    UNCONFIRMED,
    UNSURE,
    Account,
    ConnectionAttempt,
    Delivery,
    Grant,
    PlatformApp,
)
from .together import together

RING_FOR = timedelta(seconds=5)
BATCH = 20  # ids in one job
MOST_JOBS = 4  # wake-up calls of one kind in one beat: whoever is awake goes on by itself
MOST_AT_ONCE = 500
# Calls at one moment in the name of one app, over all processes: platforms answer floods with blocks.
MOST_PER_APP = 200

TO_DO = (SCHEDULED, PROCESSING, SENT, UNCONFIRMED)
HEAVY = {"deliver": False, "upload": True}
KINDS = ("deliver", "upload", "refresh", "sync")

Ring = Callable[[str, list[str]], None]  # kind of job, ids


# ---------------------------------------------------------------- the ticker's side


def beat(now: datetime, ring: Ring, is_awake: Callable[[str], bool] = lambda kind: False) -> int:
    """Ring for what is due, unless `is_awake` says that enough workers were called already. Returns how many rows."""
    rung = 0
    for kind in KINDS:
        if is_awake(kind):
            continue
        size = 1 if kind == "upload" else BATCH
        ids = due(kind, size * MOST_JOBS, now)
        db.session.commit()
        for start in range(0, len(ids), size):
            ring(kind, ids[start : start + size])
        rung += len(ids)
    return rung


def settle(now: datetime, ring: Ring) -> int:
    """Settle what dead workers left behind, and clear attempts that nobody finished. Returns how many."""
    spool.bring_in(now)  # first: a renewal whose answer lies there is not lost
    settled = deliveries.settle(now)
    with writing():
        settled += tokens.settle(now)
    settled += connect_links.note_expired(now)
    late = db.session.scalars(select(ConnectionAttempt.id).where(
        ConnectionAttempt.state.in_((STARTED, GRANTED)), ConnectionAttempt.expires_at < now).limit(MOST_AT_ONCE)).all()
    db.session.commit()
    if late:
        ring("tidy", list(late))
    return settled + len(late)


# ---------------------------------------------------------------- a worker's side


def pick(kind: str, room: int, now: datetime) -> list[str]:
    """Reserve up to `room` due rows of a kind for the caller, and return their ids, the most urgent first."""
    return Hand(kind).pick(room, now)


class Hand:
    """Picks again and again for one worker. It remembers for a moment for which accounts something is due, since
    finding that out costs more than taking the next row of each."""

    REMEMBERS = 0.3  # seconds

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._accounts: deque[tuple[str, str]] = deque()  # account, workspace
        self._looked = 0.0
        self._of: dict[str, str] = {}

    def pick(self, room: int, now: datetime) -> list[str]:
        """As the function `pick`."""
        if self.kind not in HEAVY:
            ids = due(self.kind, room, now)
            db.session.commit()
            return _reserve(_model(self.kind), ids, now) if ids else []
        if not self._accounts or time.monotonic() - self._looked > self.REMEMBERS:
            self._accounts = deque(_in_turn(HEAVY[self.kind], now))
            self._looked = time.monotonic()
        mine: list[str] = []
        while self._accounts and len(mine) < room:
            some = dict(self._accounts.popleft() for _ in range(min(len(self._accounts), room - len(mine))))
            heads = _heads(HEAVY[self.kind], list(some), now)
            db.session.commit()
            taken = _reserve(Delivery, list(heads), now) if heads else []
            self._of |= {one: some[heads[one]] for one in taken}
            mine += taken
        return mine

    def workspace_of(self, row_id: str) -> str:
        """The workspace of a delivery that was picked here; "" for any other row."""
        return self._of.get(row_id, "")


def let_go(kind: str, ids: Sequence[str]) -> None:
    """Give back what was reserved and not begun."""
    if ids:
        model = _model(kind)
        with writing() as session:
            session.execute(_quietly(update(model).where(model.id.in_(ids)).values(rung_until=None)))


def hand_back(kind: str, ids: Sequence[str], now: datetime) -> None:
    """Make deliveries due again that this process only prepares and will not finish.

    The thread that still prepares one finds another fence, and sends nothing.
    """
    if not ids or kind not in HEAVY:
        return
    with writing() as session:
        session.execute(_quietly(
            update(Delivery).where(Delivery.id.in_(ids), Delivery.state == PREPARING)
            .values(state=SCHEDULED, due_at=now, lease_until=None, rung_until=None, fence=Delivery.fence + 1)))


def give_up(kind: str, ids: Sequence[str], now: datetime) -> None:
    """End the leases of deliveries that are being sent at this moment: the next sweep has them looked for."""
    hand_back(kind, ids, now)
    if ids and kind in HEAVY:
        with writing() as session:
            session.execute(_quietly(
                update(Delivery).where(Delivery.id.in_(ids), Delivery.state == PUBLISHING).values(lease_until=now)))


def _reserve(model: Any, ids: Sequence[str], now: datetime) -> list[str]:
    """Mark these rows as handed out; those that another worker was quicker to mark are left out."""
    kept = set(together(lambda: _marked(model, ids, now), ids[0]))
    return [one for one in ids if one in kept]


def _marked(model: Any, ids: Sequence[str], now: datetime) -> list[str]:
    mine = list(db.session.scalars(select(model.id).where(model.id.in_(ids), _unrung(model, now))
                                   .with_for_update(skip_locked=True)))
    if mine:
        db.session.execute(_quietly(update(model).where(model.id.in_(mine)).values(rung_until=now + RING_FOR)))
    return mine


def _quietly(change: Update) -> Update:
    return change.execution_options(synchronize_session=False)


# ---------------------------------------------------------------- what is due


def due(kind: str, room: int, now: datetime) -> list[str]:
    """The ids of up to `room` rows of a kind that are due and free, the most urgent first."""
    if kind in HEAVY:
        return _deliveries(HEAVY[kind], room, now)
    if kind == "refresh":
        query = (select(Grant.id).join(PlatformApp, Grant.app_id == PlatformApp.id)
                 .where(Grant.state.in_((LIVE, UNSURE)), Grant.due_at <= now, _unrung(Grant, now),
                        _unleased(Grant, now), _breaker_lets(now), Grant.app_id.not_in(_full_apps(now))))
        return list(db.session.scalars(query.order_by(Grant.due_at).limit(room)))
    query = select(Account.id).where(Account.state.in_((ACTIVE, PAUSED)), Account.sync_due_at <= now,
                                     _unrung(Account, now))
    return list(db.session.scalars(query.order_by(Account.sync_due_at).limit(room)))


def _model(kind: str) -> Any:
    return {"refresh": Grant, "sync": Account}.get(kind, Delivery)


def _unrung(model: Any, now: datetime) -> ColumnElement[bool]:
    """Nobody reserved it; a mark far ahead is one from before the clock was put back."""
    return or_(model.rung_until.is_(None), model.rung_until <= now, model.rung_until > now + 2 * RING_FOR)


def _full_apps(now: datetime) -> Any:
    """The apps in whose name as many renewals are under way as may be."""
    return (select(Grant.app_id).where(Grant.lease_until.is_not(None), Grant.lease_until >= now)
            .group_by(Grant.app_id).having(func.count() >= MOST_PER_APP))


def _unleased(model: Any, now: datetime) -> ColumnElement[bool]:
    return or_(model.lease_until.is_(None), model.lease_until <= now)


def _breaker_lets(now: datetime) -> ColumnElement[bool]:
    """It is closed, or its pause is over; one longer than any is from before the clock was put back."""
    return or_(PlatformApp.breaker_opened_at.is_(None), PlatformApp.breaker_until <= now,
               PlatformApp.breaker_until > now + breaker.LONGEST_PAUSE + breaker.PROBE)


def _deliveries(heavy: bool, room: int, now: datetime) -> list[str]:
    """One delivery for each account that is free, in turn for each workspace, the oldest first within one."""
    accounts = [account_id for account_id, _ in _in_turn(heavy, now)]
    found: list[str] = []
    while accounts and len(found) < room:
        found += _heads(heavy, accounts[:room], now)
        accounts = accounts[room:]
    return found[:room]


def _heads(heavy: bool, accounts: Sequence[str], now: datetime) -> dict[str, str]:
    """The oldest due delivery of each of these accounts, where nobody has it in hand, and whose it is; in their order.

    Where another worker has it in hand, the next one of that profile waits for it.
    """
    # Not `state` itself: PostgreSQL would read all that is due anywhere along the index of states, for each account,
    # and sort it, instead of the first along the one that is in order already.
    state = func.coalesce(Delivery.state, "")
    first = (select(Delivery.id)
             .where(Delivery.account_id == Account.id, Delivery.is_heavy == heavy, Delivery.due_at.is_not(None),
                    Delivery.due_at <= now, state.in_(TO_DO), deliveries.is_free(now))
             .order_by(Delivery.due_at, Delivery.id).limit(1).correlate(Account).scalar_subquery())
    rows = db.session.execute(select(Account.id, first).where(Account.id.in_(accounts)))
    heads: dict[str, str] = {account_id: delivery_id for account_id, delivery_id in rows if delivery_id}
    free = set(db.session.scalars(select(Delivery.id).where(Delivery.id.in_(heads.values()), _unrung(Delivery, now))))
    return {heads[one]: one for one in accounts if one in heads and heads[one] in free}


def _accounts_with_due(heavy: bool, now: datetime) -> Any:
    """Account, workspace, app and oldest due instant of every free account for which something is due.

    It hops from account to account along the index of what waits, so that its cost grows with the number of accounts
    that have posts ahead, and not with the number of posts.
    """
    waits = and_(Delivery.is_heavy == heavy, Delivery.due_at.is_not(None))
    hop = select(func.min(Delivery.account_id).label("id")).where(waits).cte("hop", recursive=True)
    following = select(func.min(Delivery.account_id)).where(waits, Delivery.account_id > hop.c.id).scalar_subquery()
    hop = hop.union_all(select(following).where(hop.c.id.is_not(None)))
    oldest = (select(func.min(Delivery.due_at)).where(waits, Delivery.account_id == Account.id)
              .correlate(Account).scalar_subquery())
    busy = select(Delivery.account_id).where(deliveries.is_busy(now), Delivery.is_heavy == heavy,
                                             Delivery.state.in_((PREPARING, PUBLISHING)))
    return (select(Account.id, Account.workspace_id, Grant.app_id, oldest.label("oldest"))
            .join(hop, hop.c.id == Account.id).outerjoin(Grant, Account.grant_id == Grant.id)
            .where(oldest <= now, Account.id.not_in(busy)))


def _calls_under_way(now: datetime) -> dict[str | None, int]:
    """How many deliveries are being worked on, by app."""
    rows = db.session.execute(
        select(Grant.app_id, func.count()).select_from(Delivery)
        .join(Account, Delivery.account_id == Account.id).join(Grant, Account.grant_id == Grant.id)
        .where(deliveries.is_busy(now)).group_by(Grant.app_id))
    return {app_id: count for app_id, count in rows}


def _in_turn(heavy: bool, now: datetime) -> list[tuple[str, str]]:
    """The free accounts for which something is due, each with its workspace: one of each workspace, then another of
    each, the oldest first.

    An app at its cap has none of its accounts among them.
    """
    waiting, under_way = db.session.execute(_accounts_with_due(heavy, now)).all(), _calls_under_way(now)
    queues: dict[str, list[Any]] = defaultdict(list)
    for row in sorted(waiting, key=lambda row: row.oldest, reverse=True):
        queues[row.workspace_id].append(row)
    turn = list(queues)
    random.shuffle(turn)  # several workers ask at the same moment: each begins with another workspace
    chosen: list[tuple[str, str]] = []
    while turn:
        for workspace in list(turn):
            row = queues[workspace].pop()
            if not queues[workspace]:
                turn.remove(workspace)
            if under_way.get(row.app_id, 0) < MOST_PER_APP:
                under_way[row.app_id] = under_way.get(row.app_id, 0) + 1
                chosen.append((row.id, workspace))
    return chosen
