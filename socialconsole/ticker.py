"""The ticker: a process that rings for due rows every half second, and settles what dead workers left behind.

Several of them on several machines do no harm. It outlives the store and the database. While the store is away nobody
hears it ring: then it starts a stand-in, a process of its own that works through what is due without any store.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import redis
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from . import (
    address_check,
    canaries,
    clock,
    credentials,
    heartbeat,
    jobs,
    outbox,
    outside,
    processes,
    series,
    store,
    thumbnails,
    uploads,
)
from .config import Config
from .extensions import db
from .workers import EACH_TICKER, TICKER_KEY, TICKER_SEEN_SECONDS, enqueue, is_awake

log = logging.getLogger("socialconsole.ticker")

PERIOD = 0.5  # seconds between two beats
SETTLE_EVERY = 5.0  # seconds
PREPARE_EVERY = 1.0  # seconds
CHECK_EVERY = 60.0  # seconds between two looks for apps whose credentials are to be checked
RUNG_FOR = 60.0  # seconds until a file that was rung for and is not prepared yet is rung for again
WATCH_EVERY = 60.0  # seconds between two looks for what needs a person
MAIL_EVERY = 5.0  # seconds between two looks for mails that are due
CLEAN_EVERY = 3600.0  # seconds
COMPLAIN_EVERY = 60.0  # seconds between two log lines about the same trouble
PATIENCE = 3.0  # seconds without a store; an embedded one that was killed is back long before


def run_ticker(app: Flask, stop: threading.Event | None = None) -> int:
    """Ring for due rows every half second until told to stop; outlives the store and the database. Returns 0."""
    stop = stop or _stop_on_signal()
    client = store.connect(app.extensions["config"])
    ring, awake = partial(enqueue, client), partial(is_awake, client)
    complain, stand_in = Complaints(), StandIn(app)
    due, settle_due, clean_due = time.monotonic(), 0.0, time.monotonic() + SETTLE_EVERY
    prepare_due, files, check_due = 0.0, Files(ring), time.monotonic() + CHECK_EVERY
    mail_due, watch_due = time.monotonic() + MAIL_EVERY, time.monotonic() + SETTLE_EVERY
    while not stop.is_set():
        began = time.monotonic()
        stand_in.know(complain.about("the store", lambda: _sign(client)))
        complain.about("the heartbeat", lambda: _within(app, lambda now: heartbeat.beat(now, ring, awake)))
        if began >= settle_due:
            settle_due = began + SETTLE_EVERY
            complain.about("settling", lambda: _within(app, lambda now: heartbeat.settle(now, ring)))
            complain.about("repeating posts", lambda: _within(app, series.advance))
        if began >= prepare_due:
            prepare_due = began + PREPARE_EVERY
            complain.about("files", lambda: _within(app, files.beat))
        if began >= check_due:
            check_due = began + CHECK_EVERY
            complain.about("credentials", lambda: _within(app, lambda now: credentials.ring_due(now, ring)))
            complain.about("canaries", lambda: _within(app, canaries.ring_due))
            complain.about("the address", lambda: _within(app, lambda now: address_check.ring_due(now, ring)))
        if began >= watch_due:
            watch_due = began + WATCH_EVERY
            complain.about("watching", lambda: None if awake("watch") else ring("watch", ["all"]))
        if began >= mail_due:
            mail_due = began + MAIL_EVERY
            complain.about("mails", lambda: _within(app, lambda now: outbox.ring_due(now, ring, awake)))
        if began >= clean_due:
            clean_due = began + CLEAN_EVERY
            complain.about("cleaning", lambda: ring("clean", ["media"]))
        # The next beat counts from when this one was due, so that the period is kept; after a long halt it starts anew.
        due = max(due + PERIOD, time.monotonic())
        stop.wait(max(0.0, due - time.monotonic()))
    stand_in.end()
    return 0


def _sign(client: redis.Redis) -> None:
    """Leave word that this ticker is at work, and since when."""
    client.set(TICKER_KEY, time.time())
    client.set(f"{EACH_TICKER}{socket.gethostname()}-{os.getpid()}", time.time(), ex=TICKER_SEEN_SECONDS)


def _within(app: Flask, step: Callable[[datetime], object]) -> None:
    with app.app_context():
        try:
            clock.follow(db.engine)
            step(outside.now())
        finally:
            db.session.remove()


class Files:
    """Rings for uploads that are whole and for files without a thumbnail, and for each of them not too often."""

    def __init__(self, ring: Callable[[str, list[str]], None]) -> None:
        self._ring = ring
        self._rung: dict[str, float] = {}

    def beat(self, now: datetime) -> None:
        """Ring for what nobody was called for in the last minute: one job each, since each may take its time."""
        began = time.monotonic()
        self._rung = {one: at for one, at in self._rung.items() if began - at < RUNG_FOR}
        found = [one for one in (*uploads.waiting(now), *thumbnails.waiting(tuple(self._rung)))
                 if one not in self._rung]
        db.session.commit()
        for one in found:
            self._ring("prepare", [one])
            self._rung[one] = began


class Complaints:
    """Runs steps that may fail for a while, and says so once a minute instead of twice a second."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def about(self, what: str, step: Callable[[], Any]) -> bool:
        """Whether `step` went well. Whatever goes wrong is logged and outlived: a ticker that ends helps nobody."""
        try:
            step()
        except (redis.RedisError, SQLAlchemyError, OSError) as error:
            if time.monotonic() - self._said.get(what, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
                self._said[what] = time.monotonic()
                log.warning("%s failed and is tried again", what, extra={"error": f"{type(error).__name__}: {error}"})
            return False
        except Exception:  # a fault of ours in one step must not keep the others from being done
            if time.monotonic() - self._said.get(what, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
                self._said[what] = time.monotonic()
                log.exception("%s broke off and is tried again", what)
            return False
        if self._said.pop(what, None) is not None:
            log.info("%s works again", what)
        return True


class StandIn:
    """Does the workers' work while there is no store to wake them, in a child that ends when the store is back."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._away_since: float | None = None
        self._child = 0

    def know(self, store_answers: bool) -> None:
        """Start a stand-in when the store has been away for some seconds; look whether it ended."""
        if store_answers:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = time.monotonic()
        if self._child and os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = 0
        if not self._child and self._away_since is not None and time.monotonic() - self._away_since >= PATIENCE:
            log.warning("the store is away, so a stand-in does what is due")
            self._child = processes.fork(partial(_stand_in, self._app), name="console-stand-in")

    def end(self) -> None:
        """Let the stand-in finish or hand back what it has in hand."""
        if self._child:
            os.kill(self._child, signal.SIGTERM)
            os.waitpid(self._child, 0)


def _stand_in(app: Flask) -> int:
    """Work through what is due until the store answers again or we are told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: jobs.stop())
    with app.app_context():
        db.engine.dispose(close=False)  # those connections are the parent's
    jobs.use_app(app)
    config: Config = app.extensions["config"]

    def work(kind: str) -> None:
        while not jobs.is_stopped() and not store.answers(config):
            getattr(jobs, kind)([])

    pumps = [threading.Thread(target=work, args=(kind,)) for kind in heartbeat.KINDS]
    for pump in pumps:
        pump.start()
    for pump in pumps:
        pump.join()
    return 0


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    return stop
