"""What the engine is measured against: a bare thread pool, one RQ job for each call, and Dramatiq's threads.

The pool makes the same calls through the same code, with no database and no queue. RQ and Dramatiq do the same work
as the engine (claim, call, commit by the console's own services), one message for each item. Each runs as processes:

    python -c "import bench_rivals; bench_rivals.main()" DESIGN KIND FIRST COUNT THREADS FOLDER

A process makes itself ready, writes the file `ready-FIRST` into the folder and begins when the file `go` is there.
"""

import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dramatiq
import redis
from bench_ground import PUBLISH, REFRESH, ROWS, SCOPES
from dramatiq.brokers.redis import RedisBroker
from flask import Flask
from rq import Queue
from rq.worker import Worker

from socialconsole import config as settings
from socialconsole import create_app, logs, publishing, store, tokens
from socialconsole.extensions import db
from socialconsole.providers.base import App, Draft, TokenSet
from socialconsole.providers.content import Progress
from socialconsole.providers.oauth2 import connectable

QUEUE = "rival"
SERVICES = {REFRESH: tokens.refresh, PUBLISH: publishing.deliver}
_app: list[Flask] = []


def serve(kind: str, row_id: str) -> None:
    """Claim, call and commit for one item, as the engine does."""
    with _app[0].app_context():
        try:
            SERVICES[kind](row_id)
        finally:
            db.session.remove()


# ---------------------------------------------------------------- the bare pool


def pool(kind: str, first: int, count: int, threads: int, folder: Path) -> None:
    """The calls alone, in a pool of threads; writes when the last one was answered."""
    provider = connectable("twitter")
    config = settings.read()
    app = App("client", "secret", scopes=" ".join(SCOPES), hosts=provider.base_addresses(config.sandbox_url))

    def renew(number: int) -> None:
        provider.renew(app, TokenSet(f"access-0-{number}", f"refresh-0-{number}"))

    def publish(number: int) -> None:
        draft = Draft(f"Post {number} of the measurement", str(number), f"user{number}", format="text")
        provider.publish(app, f"access-0-{number}", draft, Progress())

    wait_for_go(first, folder)
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(renew if kind == REFRESH else publish, range(first, first + count)))
    (folder / f"done-{first}").write_text(json.dumps(time.time()))


def threads_alone(kind: str, first: int, count: int, threads: int, folder: Path) -> None:
    """The engine's services in a pool of threads, each told its item: what claim, call and commit allow at best."""
    _app[:] = [create_app(settings.read())]
    wait_for_go(first, folder)
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(lambda number: serve(kind, ROWS[kind].format(number)), range(first, first + count)))
    (folder / f"done-{first}").write_text(json.dumps(time.time()))


# ---------------------------------------------------------------- RQ, one job for each call


def rq_enqueue(client: redis.Redis, kind: str, ids: list[str]) -> None:
    """One job for each item."""
    queue = Queue(QUEUE, connection=client)
    queue.enqueue_many([Queue.prepare_data(serve, (kind, one)) for one in ids])


def rq_worker(kind: str, first: int, count: int, threads: int, folder: Path) -> None:
    """RQ's worker as it comes: a fork for each job."""
    config = settings.read()
    _app[:] = [create_app(config)]
    client = store.connect(config, blocking=True)
    wait_for_go(first, folder)
    Worker([Queue(QUEUE, connection=client)], connection=client).work(logging_level="WARNING")


# ---------------------------------------------------------------- Dramatiq


def dramatiq_broker(address: str) -> RedisBroker:
    """A broker with the one actor."""
    broker = RedisBroker(url=address)
    dramatiq.set_broker(broker)
    dramatiq.actor(actor_name="serve", queue_name=QUEUE, broker=broker, max_retries=0)(serve)
    return broker


def dramatiq_enqueue(address: str, kind: str, ids: list[str]) -> None:
    """One message for each item."""
    broker = dramatiq_broker(address)
    for one in ids:
        broker.enqueue(dramatiq.Message(queue_name=QUEUE, actor_name="serve", args=(kind, one), kwargs={}, options={}))


def dramatiq_worker(kind: str, first: int, count: int, threads: int, folder: Path) -> None:
    """Dramatiq's worker, with as many threads as one process of the engine has."""
    config = settings.read()
    _app[:] = [create_app(config)]
    worker = dramatiq.Worker(dramatiq_broker(store.address(config)), worker_threads=threads)
    wait_for_go(first, folder)
    worker.start()
    worker.join()
    while True:
        time.sleep(60)


# ---------------------------------------------------------------- the process


def wait_for_go(first: int, folder: Path) -> None:
    """Say that we are ready, and wait for the others."""
    (folder / f"ready-{first}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)


DESIGNS: dict[str, Any] = {"pool": pool, "threads": threads_alone, "rq": rq_worker, "dramatiq": dramatiq_worker}


def main() -> None:
    """Run one process of a design."""
    design, kind, first, count, threads, folder = sys.argv[1:]
    logs.configure(settings.read())
    logging.getLogger("dramatiq").setLevel(logging.WARNING)
    DESIGNS[design](kind, int(first), int(count), int(threads), Path(folder))
