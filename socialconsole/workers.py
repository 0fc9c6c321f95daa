"""Workers and the ticker: processes that are woken by the store and do what the database says is due.

A job carries ids only, and may name nothing but the few functions listed here: whoever can write to the store can make
us look at rows that are not due, and no more.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import redis
from flask import Flask
from rq import Queue, worker_registration
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import Worker
from sqlalchemy.exc import SQLAlchemyError

from . import heartbeat, jobs, outside, processes, store
from .config import Config
from .extensions import db

log = logging.getLogger("socialconsole.workers")

TICKER_KEY = "socialconsole:ticker"
QUEUES = {"deliver": "publish", "upload": "uploads",
          **dict.fromkeys(("refresh", "sync", "tidy", "clean"), "refresh")}
JOBS = {kind: f"socialconsole.jobs.{kind}" for kind in QUEUES}
PERIOD = 0.5  # seconds between two beats
SETTLE_EVERY = 5.0  # seconds
CLEAN_EVERY = 3600.0  # seconds
COMPLAIN_EVERY = 60.0  # seconds between two log lines about the same trouble
# Far above what a job's calls can take: no alarm may fall between an answer and its commit.
JOB_SECONDS = 600
UPLOAD_SECONDS = 12 * 3600  # a gigabyte over a slow line
KEEP_FAILED_SECONDS = 86_400


class NotAllowed(ValueError):
    """A job names a function that no job of ours names."""


class SafeJob(Job):
    """A job that can only call one of ours, with a list of ids.

    JSON alone does not close the door: a JSON job may name any importable function, as itself, as a callback, or as a
    webhook's address.
    """

    @property
    def func(self) -> Any:
        """The function to call; raises NotAllowed for any but ours."""
        if self.func_name not in JOBS.values() or self.instance:
            raise NotAllowed("this job is not one of ours")
        if self.kwargs or len(self.args) != 1 or not all(isinstance(row, str) for row in self.args[0]):
            raise NotAllowed("a job carries one list of ids")
        return super().func

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Nothing: a job calls no address."""


class ConsoleWorker(Worker):
    """RQ's worker, whose work horses die with it and who looks for a lost store again soon."""

    max_connection_wait_time = 2.0

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell that we live; and who we are, if the store was emptied since: RQ says that only at birth."""
        if not self.connection.sismember(self.redis_workers_keys, self.key):
            self.connection.hset(self.key, mapping=self.serialize())
            worker_registration.register(self)
        super().heartbeat(timeout, pipeline)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Begin the horse's life by tying it to ours; a fork clears what the worker had asked for itself."""
        processes.die_with_parent(self.pid or os.getppid())
        super().main_work_horse(job, queue)


def queue(client: redis.Redis, name: str) -> Queue:
    """The queue of that name, with our serializer and job class."""
    return Queue(name, connection=client, serializer=JSONSerializer, job_class=SafeJob)


def enqueue(client: redis.Redis, kind: str, ids: list[str]) -> None:
    """Wake a worker for these rows. Raises redis.RedisError if the store is away; the ticker rings again anyway."""
    queue(client, QUEUES[kind]).enqueue_call(
        JOBS[kind], args=(ids,), timeout=UPLOAD_SECONDS if kind == "upload" else JOB_SECONDS, result_ttl=0,
        failure_ttl=KEEP_FAILED_SECONDS, description=f"{kind} {len(ids)}", at_front=False)


def queue_order(number: int, of: int = 2) -> tuple[str, ...]:
    """What a worker listens to first: the odd ones to publishing, the even ones to renewing.

    Long uploads come last and only to the even ones (or to a worker that is alone), so that one that takes an hour
    never keeps a short post or a renewal waiting.
    """
    if of == 1:
        return "publish", "refresh", "uploads"
    return ("publish", "refresh") if number % 2 else ("refresh", "publish", "uploads")


def run_worker(app: Flask, number: int) -> int:
    """Serve jobs until told to stop; the job at hand is finished first. Returns an exit code.

    This process opens no database: only its forked horses do.
    """
    config: Config = app.extensions["config"]
    jobs.use_app(app)
    client = store.connect(config, blocking=True)
    try:
        worker = ConsoleWorker(
            [queue(client, each) for each in queue_order(number, config.workers)],
            name=f"{number}-{os.getpid()}-{time.time_ns()}", connection=client, job_class=SafeJob,
            serializer=JSONSerializer, worker_ttl=20, job_monitoring_interval=5, maintenance_interval=60,
            log_job_description=False)
        worker.log_result_lifespan = False
        worker.work(logging_level="WARNING")
    except redis.RedisError as error:
        log.error("the store does not answer, so this worker ends", extra={"number": number, "error": str(error)})
        return 1
    return 0


def run_ticker(app: Flask, stop: threading.Event | None = None) -> int:
    """Ring for due rows every half second until told to stop; outlives the store and the database. Returns 0."""
    stop = stop or _stop_on_signal()
    client = store.connect(app.extensions["config"])
    ring = partial(enqueue, client)
    complain = Complaints()
    due, settle_due, clean_due = time.monotonic(), 0.0, time.monotonic() + SETTLE_EVERY
    while not stop.is_set():
        began = time.monotonic()
        complain.about("the store", lambda: client.set(TICKER_KEY, time.time()))
        complain.about("the heartbeat", lambda: _beat(app, ring, heartbeat.beat))
        if began >= settle_due:
            settle_due = began + SETTLE_EVERY
            complain.about("settling", lambda: _beat(app, ring, heartbeat.settle))
        if began >= clean_due:
            clean_due = began + CLEAN_EVERY
            complain.about("cleaning", lambda: ring("clean", ["media"]))
        # The next beat counts from when this one was due, so that the period is kept; after a long halt it starts anew.
        due = max(due + PERIOD, time.monotonic())
        stop.wait(max(0.0, due - time.monotonic()))
    return 0


def _beat(app: Flask, ring: heartbeat.Ring, step: Callable[[datetime, heartbeat.Ring], int]) -> None:
    with app.app_context():
        try:
            step(outside.now(), ring)
        finally:
            db.session.remove()


class Complaints:
    """Runs steps that may fail for a while, and says so once a minute instead of twice a second."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def about(self, what: str, step: Callable[[], Any]) -> None:
        """Run `step`; trouble with store or database is logged and outlived, all else is raised."""
        try:
            step()
        except (redis.RedisError, SQLAlchemyError, OSError) as error:
            if time.monotonic() - self._said.get(what, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
                self._said[what] = time.monotonic()
                log.warning("%s failed and is tried again", what, extra={"error": f"{type(error).__name__}: {error}"})
        else:
            if self._said.pop(what, None) is not None:
                log.info("%s works again", what)


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    return stop
