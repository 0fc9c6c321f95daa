"""The heartbeat: finds due rows and rings for them. It never calls a platform and never takes a row itself.

Ringing sets `rung_until` for a few seconds, so that a row is not rung at every beat, and a store that lost its
queue costs one ring and no more.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select, update

from . import deliveries, tokens
from .database import writing
from .extensions import db
from .models import (
    ACTIVE,
    GRANTED,
    LIVE,
    PAUSED,
    PROCESSING,
    SCHEDULED,
    SENT,
    STARTED,
    UNCONFIRMED,
    UNSURE,
    Account,
    ConnectionAttempt,
    Delivery,
    Grant,
)

log = logging.getLogger("socialconsole.heartbeat")

RING_FOR = timedelta(seconds=5)
RING_UPLOADS_FOR = timedelta(minutes=1)  # they wait for one another, and each ring is a job in the queue
MOST_AT_ONCE = 500
BATCH = 20  # about ten seconds of calls side by side

Ring = Callable[[str, list[str]], None]  # kind of job, ids


def beat(now: datetime, ring: Ring) -> int:
    """Ring for all that is due. Returns how many rows were rung for."""
    to_do = Delivery.state.in_((SCHEDULED, PROCESSING, SENT, UNCONFIRMED))
    due = {
        "deliver": _due(Delivery, Delivery.due_at, and_(to_do, Delivery.is_heavy.is_(False)), now, leased=True),
        "upload": _due(Delivery, Delivery.due_at, and_(to_do, Delivery.is_heavy.is_(True)), now, leased=True),
        "refresh": _due(Grant, Grant.due_at, Grant.state.in_((LIVE, UNSURE)), now, leased=True),
        "sync": _due(Account, Account.sync_due_at, Account.state.in_((ACTIVE, PAUSED)), now),
    }
    with_ids = {kind: ids for kind, (_, ids) in due.items() if ids}
    if with_ids:
        with writing() as session:
            for kind, (model, ids) in due.items():
                if ids:
                    until = now + (RING_UPLOADS_FOR if kind == "upload" else RING_FOR)
                    session.execute(update(model).where(model.id.in_(ids)).values(rung_until=until)
                                    .execution_options(synchronize_session=False))
    for kind, ids in with_ids.items():
        size = 1 if kind == "upload" else BATCH
        for start in range(0, len(ids), size):
            ring(kind, ids[start : start + size])
    return sum(len(ids) for ids in with_ids.values())


def _due(model: Any, due_at: Any, condition: Any, now: datetime, *, leased: bool = False) -> tuple[Any, list[str]]:
    query = select(model.id).where(condition, due_at <= now, or_(model.rung_until.is_(None), model.rung_until <= now))
    if leased:
        query = query.where(or_(model.lease_until.is_(None), model.lease_until <= now))
    ids: Sequence[str] = db.session.scalars(query.order_by(due_at).limit(MOST_AT_ONCE)).all()
    db.session.commit()
    return model, list(ids)


def settle(now: datetime, ring: Ring) -> int:
    """Settle what dead workers left behind, and clear attempts that nobody finished. Returns how many."""
    with writing():
        settled = deliveries.settle(now) + tokens.settle(now)
    late = db.session.scalars(select(ConnectionAttempt.id).where(
        ConnectionAttempt.state.in_((STARTED, GRANTED)), ConnectionAttempt.expires_at < now).limit(MOST_AT_ONCE)).all()
    db.session.commit()
    if late:
        ring("tidy", list(late))
    return settled + len(late)
