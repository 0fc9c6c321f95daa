"""Workers: processes that are woken by the store and do what the database says is due.

A job carries ids only, and may name nothing but the few functions listed here: whoever can write to the store can make
us look at rows that are not due, and no more.
"""

import contextlib
import logging
import os
import signal
import time
from typing import Any

import redis
from flask import Flask
from rq import Queue, worker_registration
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import Worker
from rq.worker.base import DequeueStrategy

from . import jobs, processes, store
from .config import Config

log = logging.getLogger("socialconsole.workers")

TICKER_KEY = "socialconsole:ticker"  # when any ticker was last at work
EACH_TICKER = "socialconsole:ticker:"  # and, for half a minute, who each one is
TICKER_SEEN_SECONDS = 30
QUEUES = {"deliver": "publish", "upload": "uploads",
          **dict.fromkeys(("refresh", "sync", "tidy", "clean", "prepare", "check", "watch", "mail", "address"),
                          "refresh")}
JOBS = {kind: f"socialconsole.jobs.{kind}" for kind in QUEUES}
# Far above what a job's calls can take: no alarm may fall between an answer and its commit.
JOB_SECONDS = 600
UPLOAD_SECONDS = 12 * 3600  # a gigabyte over a slow line
KEEP_FAILED_SECONDS = 86_400
END_PUMP = signal.SIGUSR1
ENOUGH_JOBS = 8  # waiting in one queue: more would only find that others were quicker


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
    """RQ's worker, whose work horses die with it, end their pump when it is told to stop, and outlive a lost store."""

    max_connection_wait_time = 2.0

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell that we live; and who we are, if the store was emptied since: RQ says that only at birth."""
        if not self.connection.sismember(self.redis_workers_keys, self.key):
            self.connection.hset(self.key, mapping=self.serialize())
            worker_registration.register(self)
        super().heartbeat(timeout, pipeline)

    def maintain_heartbeats(self, job: Job) -> None:
        """Tell the store that the job is under way."""
        if self._stop_requested:  # the first wish came while the horse was being born
            self._end_pump()
        super().maintain_heartbeats(job)

    def monitor_work_horse(self, job: Job, queue: Queue) -> None:
        """Watch the horse until it ends. A store that is away must not cost the work that goes on."""
        while True:
            try:
                super().monitor_work_horse(job, queue)
                return
            except redis.RedisError as error:
                log.warning("the store does not answer; the job at hand goes on", extra={"error": type(error).__name__})
                time.sleep(1)

    def handle_warm_shutdown_request(self) -> None:
        """Pass the wish on: the horse begins nothing new and hands back what it cannot finish soon."""
        super().handle_warm_shutdown_request()
        self._end_pump()

    def _end_pump(self) -> None:
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, END_PUMP)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Begin the horse's life by tying it to ours; a fork clears what the worker had asked for itself."""
        signal.signal(END_PUMP, lambda *_: jobs.stop())
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


def is_awake(client: redis.Redis, kind: str) -> bool:
    """Whether so many jobs of this kind wait already that no further wake-up call is needed."""
    return int(queue(client, QUEUES[kind]).count) >= ENOUGH_JOBS


def queue_order(number: int, of: int = 2) -> tuple[str, ...]:
    """What a worker listens to first: the odd ones to publishing, the even ones to renewing.

    Long uploads come last and only to the even ones (or to a worker that is alone), so that one that takes an hour
    never keeps a short post or a renewal waiting.
    """
    if of == 1:
        return "publish", "refresh", "uploads"
    return ("publish", "refresh") if number % 2 else ("refresh", "publish", "uploads")


def run_worker(app: Flask, number: int, of: int = 2) -> int:
    """Serve jobs until told to stop; what is under way is finished or handed back first. Returns an exit code.

    `number` and `of` say which worker of how many on this machine it is. This process opens no database: only its
    forked horses do.
    """
    config: Config = app.extensions["config"]
    jobs.use_app(app)
    signal.signal(END_PUMP, signal.SIG_IGN)  # until a horse has its own handler
    client = store.connect(config, blocking=True)
    try:
        worker = ConsoleWorker(
            [queue(client, each) for each in queue_order(number, of)],
            name=f"{number}-{os.getpid()}-{time.time_ns()}", connection=client, job_class=SafeJob,
            serializer=JSONSerializer, worker_ttl=20, job_monitoring_interval=5, maintenance_interval=60,
            log_job_description=False)
        worker.log_result_lifespan = False
        # After each job the other queues come first, so that none of them starves behind one that is never empty.
        worker.work(logging_level="WARNING", dequeue_strategy=DequeueStrategy.ROUND_ROBIN)
    except redis.RedisError as error:
        log.error("the store does not answer, so this worker ends", extra={"number": number, "error": str(error)})
        return 1
    return 0
