"""RQ's entry points: a short list of ids in, one service call for each, side by side. Jobs carry no truth of their own.

A job may run twice, late or never: the rows stay right, because each service takes its row by one conditional UPDATE.
A job that finds work is a pump: when its ids are served it goes on with whatever else is due, and keeps all its threads
busy, until nothing is due or its time is over.
"""

import itertools
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from . import (
    address_check,
    connections,
    credentials,
    digests,
    heartbeat,
    incidents,
    logs,
    outbox,
    outside,
    profile_sync,
    publishing,
    retention,
    spool,
    tallies,
    thumbnails,
    tokens,
    uploads,
)
from .extensions import db
from .together import Committer

log = logging.getLogger("socialconsole.jobs")

MOST_THREADS = 16
MOST_UPLOADS = 3  # at one time in one worker: they are bound by the line, and each may hold megabytes
AHEAD = 24  # rows reserved beyond the threads, so that none waits for the next look into the database
LOOK_EVERY = 0.1  # seconds until the next look after one that found nothing
LOOK_AROUND = 0.01  # seconds between two counts of what is done
LINGER = 1.0  # seconds a pump goes on looking after it found nothing
LONGEST_PUMP = 60.0  # seconds; then the worker looks at its other queues
LONGEST_UPLOADS = 600.0  # seconds in which further uploads join those under way
# Seconds after a worker was told to stop: what is only being prepared goes on elsewhere; posts under way are given up;
# renewals are waited for longer than any call takes, since an answer that nobody hears may be the only living token.
HAND_BACK_AFTER = {"upload": 0.0, "deliver": 6.0}
LONGER_FOR = {"refresh": 42.0}
STOP_WITHIN = 16.0
FLUSH_EVERY = 2.0  # seconds between two writings of the tallies

_app: list[Flask] = []
_stop = threading.Event()


def use_app(app: Flask) -> None:
    """The app whose database and keys the jobs of this process work with."""
    _app[:] = [app]


def stop() -> None:
    """Let the pump of this process end: nothing new is begun, and what cannot be finished soon is handed back."""
    _stop.set()


def is_stopped() -> bool:
    """Whether the pumps of this process were told to end."""
    return _stop.is_set()


# ---------------------------------------------------------------- what jobs name


def deliver(ids: list[str]) -> None:
    """Do the next step of these deliveries, and of all others that are due."""
    Pump("deliver", publishing.deliver).run(ids)


def upload(ids: list[str]) -> None:
    """Do the next steps of deliveries that carry much; they have a queue of their own."""
    Pump("upload", publishing.deliver, MOST_UPLOADS).run(ids)


def refresh(ids: list[str]) -> None:
    """Renew these grants, and all others that are due."""
    Pump("refresh", tokens.refresh).run(ids)


def sync(ids: list[str]) -> None:
    """Read these accounts' profiles, and all others that are due."""
    Pump("sync", profile_sync.sync).run(ids)


def tidy(ids: list[str]) -> None:
    """Clear away these attempts that nobody finished."""
    for one in ids:
        _serve(connections.tidy, one)


def prepare(ids: list[str]) -> None:
    """Measure these uploads that are whole, and make the thumbnails of these files."""
    for one in ids:
        _serve(uploads.finish if one.startswith("upl_") else thumbnails.make, one)


def address(ids: list[str]) -> None:
    """Look whether the console gets what its public address is asked, if that is due."""
    for one in ids:
        _serve(address_check.recheck, one)


def check(ids: list[str]) -> None:
    """Ask the platforms whether the ids and secrets of these apps are still right."""
    for one in ids:
        _serve(credentials.recheck, one)


def clean(what: list[str]) -> None:
    """Clear away what the rules of retention do not keep, and files that no post needs."""
    _serve(lambda _: retention.clean(outside.now()), "retention")


def watch(what: list[str]) -> None:
    """Look for what needs a person, and write the mails about that and the digests whose hour has come."""
    _serve(lambda _: incidents.sweep(outside.now(), incidents.of_console(outside.now())), "incidents")
    _serve(lambda _: digests.write_due(outside.now()), "digests")


def mail(ids: list[str]) -> None:
    """Hand these mails to the mail server for the time of a pump; what is left is rung for again."""
    until = time.monotonic() + LONGEST_PUMP
    for one in ids:
        if _stop.is_set() or time.monotonic() >= until:
            return
        _serve(outbox.send, one)


# ---------------------------------------------------------------- the pump


class Pump:
    """Serves due rows of one kind with threads that are never left waiting for the database.

    One workspace gets three quarters of the threads at most: however slow its platform is, there is always one for the
    others.
    """

    def __init__(self, kind: str, serve: Callable[[str], object], threads: int = MOST_THREADS) -> None:
        self.kind = kind
        self._service = serve
        self._threads = threads
        self._ahead, self._longest = (0, LONGEST_UPLOADS) if kind == "upload" else (AHEAD, LONGEST_PUMP)
        self._most_of_one = max(1, threads * 3 // 4)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=kind)
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()
        # By a number, not by row: a row may be named twice, and the call that finds it taken ends before the other.
        self._running: dict[int, tuple[str, str]] = {}  # row, workspace
        self._numbers = itertools.count()
        self._hand = heartbeat.Hand(kind)
        self._committer = Committer(_app[0])

    def run(self, ids: list[str]) -> None:
        """Serve these ids, then whatever is due, until nothing is or the time is over."""
        if self.kind == "refresh":  # what a worker that died on this machine had been given
            _serve(lambda _: spool.bring_in(outside.now()), "spool")
        self._committer.start()
        try:
            self._begin(ids)
            self._pump()
        finally:
            self._leave()
            self._pool.shutdown(wait=False)
            self._committer.stop()
            _serve(lambda _: tallies.flush(outside.now()), "tallies")

    def _pump(self) -> None:
        began = idle_since = flushed = time.monotonic()
        look_at = began
        while not _stop.is_set() and time.monotonic() - began < self._longest:
            room = self._threads + self._ahead - len(self._running) - len(self._waiting)
            if room >= max(1, self._ahead // 2) and time.monotonic() >= look_at:
                found = self._pick(room)
                self._begin(found)
                if not found:
                    look_at = time.monotonic() + LOOK_EVERY
            if self._running or self._waiting:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= LINGER:
                return
            if time.monotonic() - flushed >= FLUSH_EVERY:
                flushed = time.monotonic()
                _serve(lambda _: tallies.flush(outside.now()), "tallies")
            _stop.wait(LOOK_AROUND)

    def _pick(self, room: int) -> list[str]:
        try:
            with _app[0].app_context():
                try:
                    return self._hand.pick(room, outside.now())
                finally:
                    db.session.remove()
        except SQLAlchemyError as error:  # what runs already may still be finished; the ticker rings again
            log.warning("the database does not hand out work", extra={"error": type(error).__name__})
            return []

    def _begin(self, ids: Sequence[str]) -> None:
        """Give waiting rows to free threads. Called whenever there are more of either."""
        with self._lock:
            self._waiting.extend(ids)
            taken = Counter(workspace for _, workspace in self._running.values())
            for _ in range(len(self._waiting)):
                if len(self._running) >= self._threads or _stop.is_set():
                    return
                row_id = self._waiting.popleft()
                workspace = self._hand.workspace_of(row_id)
                if workspace and taken[workspace] >= self._most_of_one:
                    self._waiting.append(row_id)
                    continue
                taken[workspace] += 1
                number = next(self._numbers)
                self._running[number] = (row_id, workspace)
                self._pool.submit(self._one, number, row_id)

    def _one(self, number: int, row_id: str) -> None:
        try:
            _serve(self._service, row_id)
        finally:
            with self._lock:
                del self._running[number]
            self._begin([])

    def _leave(self) -> None:
        """Give back what no thread has begun, wait for the rest; if told to stop, not for ever."""
        with self._lock:
            unbegun, self._waiting = list(self._waiting), deque()
        _serve(lambda _: heartbeat.let_go(self.kind, unbegun), "reserved rows")
        told_at, is_given_back = 0.0, False
        while self._running:
            time.sleep(LOOK_AROUND)
            if not _stop.is_set():
                continue
            told_at = told_at or time.monotonic()
            passed = time.monotonic() - told_at
            if not is_given_back and passed >= HAND_BACK_AFTER.get(self.kind, 0.0):
                is_given_back = True
                self._hand_back(heartbeat.hand_back)
            if passed >= LONGER_FOR.get(self.kind, STOP_WITHIN):
                log.warning("given up while stopping", extra={"rows": len(self._running)})
                self._hand_back(heartbeat.give_up)
                return

    def _hand_back(self, how: Callable[[str, Sequence[str], datetime], None]) -> None:
        """Let others go on with what this process will not finish. Its threads end with it."""
        with self._lock:
            ids = list({row_id for row_id, _ in self._running.values()})
        _serve(lambda _: how(self.kind, ids, outside.now()), "rows under way")


def _serve(serve: Callable[[str], object], row_id: str) -> None:
    """One service call in a context of its own; whatever it raises, the rest goes on and the ticker rings again."""
    with _app[0].app_context(), logs.about(row_id):
        try:
            serve(row_id)
        except Exception:
            log.exception("job broke off", extra={"row": row_id})
        finally:
            db.session.remove()
