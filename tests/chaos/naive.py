"""What one writes first, and what `make chaos` must find wanting: `python -m tests.chaos.naive 4`.

The same rows, the same platforms, the same kills. A lock in the store with a time limit instead of a lease and a fence;
any error is tried again at once; nothing is committed before a call is made.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import redis
from flask import Flask
from sqlalchemy import select

from socialconsole import config as settings
from socialconsole import create_app, outside, store, tokens
from socialconsole.database import release, writing
from socialconsole.errors import PlatformError
from socialconsole.extensions import db
from socialconsole.models import DEAD, FAILED, LIVE, PUBLISHED, SCHEDULED, Delivery, Grant
from socialconsole.outcomes import make_work
from socialconsole.providers.content import Progress
from socialconsole.providers.oauth2 import connectable
from socialconsole.supervisor import Role, Supervisor
from tests.chaos import host

LOCKED_FOR = 2  # seconds
TRIES = 4
THREADS = 8


def locked(client: redis.Redis, row_id: str) -> bool:
    """Whether nobody else has the row, as far as the store knows."""
    with suppress(redis.RedisError):
        return bool(client.set(f"naive:{row_id}", "1", nx=True, ex=LOCKED_FOR))
    return False


def renew(grant_id: str) -> None:
    """Ask for new tokens until there are some."""
    with writing() as session:
        grant = session.get_one(Grant, grant_id)
        held, facts, provider = tokens.read(grant), tokens.app_facts(grant.app), connectable(grant.platform)
    release()
    newer = None
    for _ in range(TRIES):
        with suppress(PlatformError):
            newer = provider.renew(facts, held)
            break
    now = outside.now()
    with writing() as session:
        grant = session.get_one(Grant, grant_id)
        if newer is None:
            grant.state, grant.due_at = DEAD, None
            return
        tokens.store(grant, newer, now)
        grant.renewed_at, grant.due_at, grant.state = now, now + timedelta(days=10), LIVE


def publish(delivery_id: str) -> None:
    """Send it until it is out."""
    with writing() as session:
        delivery = session.get_one(Delivery, delivery_id)
        used = tokens.access(delivery.account, outside.now())
        work = make_work(delivery, used)
    release()
    found = None
    for _ in range(TRIES):
        with suppress(PlatformError):
            progress = Progress({}, lambda state: None)  # from the beginning
            used.provider.prepare(used.app, used.token, work.draft, progress)
            while used.provider.check(used.app, used.token, work.draft, progress) is not None:
                time.sleep(0.2)
            found = used.provider.publish(used.app, used.token, work.draft, progress)
            break
    with writing() as session:
        delivery = session.get_one(Delivery, delivery_id)
        delivery.state, delivery.due_at = (PUBLISHED if found else FAILED), None
        if found is not None:
            delivery.platform_post_id = found.id


def due() -> list[tuple[Callable[[str], None], str]]:
    """What is due, in any order."""
    now = outside.now()
    found: list[tuple[Callable[[str], None], str]] = []
    found += [(renew, one) for one in db.session.scalars(select(Grant.id).where(
        Grant.state == LIVE, Grant.due_at <= now).limit(100))]
    found += [(publish, one) for one in db.session.scalars(select(Delivery.id).where(
        Delivery.state == SCHEDULED, Delivery.due_at <= now).limit(100))]
    release()
    random.shuffle(found)
    return found


def serve(app: Flask, client: redis.Redis, work: Callable[[str], None], row_id: str) -> None:
    """One row, if the lock can be had."""
    with app.app_context():
        try:
            if locked(client, row_id):
                work(row_id)
        except Exception as error:  # it is tried again anyway
            print(f"{row_id}: {type(error).__name__}", flush=True)
        finally:
            db.session.remove()


def run(app: Flask) -> None:
    """Look for what is due and do it, for ever."""
    client = store.connect(app.extensions["config"])
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            with app.app_context():
                rows = due()
                db.session.remove()
            list(pool.map(lambda row: serve(app, client, *row), rows))
            time.sleep(0.1)


def main(workers: int) -> None:
    """So many workers, each started again when it dies."""
    host.prepare()
    app = create_app(settings.read(os.environ, Path(os.environ["INSTANCE_PATH"])))
    Supervisor([Role(f"worker {number}", lambda: run(app), stop_step=0, stop_seconds=1)
                for number in range(1, workers + 1)]).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
