"""Two addresses for machines: is the process alive, and is the whole console at work."""

import time
from datetime import datetime

import redis
from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from rq import Worker
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ..access import requires
from ..extensions import db
from ..outside import now as present
from ..workers import TICKER_KEY

bp = Blueprint("health", __name__)

SEEN_WITHIN = 30.0  # seconds


@bp.get("/healthz")
@requires("public")
def alive() -> ResponseReturnValue:
    """The process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
@requires("public")
def ready() -> ResponseReturnValue:
    """200 if the database, the store, a worker and the ticker are at work; 503 and which one is missing otherwise."""
    missing = [name for name, works in (("database", _database), ("store", _store), ("worker", _worker),
                                        ("ticker", _ticker)) if not works()]
    return {"status": "missing" if missing else "ok", "missing": missing}, 503 if missing else 200


def _database() -> bool:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _store() -> bool:
    try:
        return bool(current_app.extensions["store"].ping())
    except redis.RedisError:
        return False


def _worker() -> bool:
    try:
        beats = [worker.last_heartbeat for worker in Worker.all(connection=current_app.extensions["store"])]
    except redis.RedisError:
        return False
    return any(_age(beat) <= SEEN_WITHIN for beat in beats if beat is not None)


def _age(beat: datetime) -> float:
    there = beat if beat.tzinfo else beat.replace(tzinfo=present().tzinfo)
    return (present() - there).total_seconds()


def _ticker() -> bool:
    try:
        seen = current_app.extensions["store"].get(TICKER_KEY)
    except redis.RedisError:
        return False
    return seen is not None and time.time() - float(seen) <= SEEN_WITHIN
