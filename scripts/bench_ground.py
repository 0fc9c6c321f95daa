"""The ground of the engine's measurements: a database full of due work, the console's processes, and the light double.

Nothing of the console is replaced: its own command starts the ticker and the workers, its own store carries the jobs.
Only the platform is played, at the address where the sandbox would answer.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select, text, update

from socialconsole import config as settings
from socialconsole import create_app, keys, migrating, store
from socialconsole.config import Config
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    LIVE,
    PUBLISHED,
    SCHEDULED,
    Account,
    Delivery,
    Grant,
    PlatformApp,
    Post,
    Workspace,
)
from socialconsole.vault import Vault
from tests.running import COMMAND, ROOT, family, free_port, until

DOUBLE = Path(__file__).with_name("bench_double.py")
WORKSPACES, ACCOUNTS = 24, 600
ROWS_AT_ONCE = 5000
FAR = timedelta(days=400)
LIFE = timedelta(days=300)  # of the access tokens that are not to be renewed
SCOPES = ["media.write", "offline.access", "tweet.read", "tweet.write", "users.read"]
REFRESH, PUBLISH = "refresh", "publish"
ROWS = {REFRESH: "grt_{:06}", PUBLISH: "dlv_{:08}"}


# ---------------------------------------------------------------- the double


class Double:
    """The played platform, in a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, str(DOUBLE), str(self.port), "50"])
        until(lambda: self.stats() is not None, 10, "the double answers")

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def stats(self) -> dict[str, Any] | None:
        """What came since the last reset; None where it does not answer yet."""
        try:
            found: dict[str, Any] = self._ask("GET", "/stats")
        except OSError:
            return None
        return found

    def reset(self, milliseconds: float) -> None:
        """Begin anew with this pause."""
        self._ask("POST", f"/reset?ms={milliseconds:g}")

    def busy(self) -> float:
        """Seconds of processor time that it has taken."""
        return cpu(self.process.pid)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def cpu(pid: int) -> float:
    """Processor seconds of a process and of its children that have ended; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(one) for one in fields[11:15]) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- a console in a folder


@dataclass
class Place:
    """One installation: settings, database, and the processes that were started in it."""

    folder: Path
    double: Double
    more: dict[str, str] = field(default_factory=dict)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY")}
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "INSTANCE_PATH": str(self.folder / "instance"), "API_PUBLIC_URL": "http://127.0.0.1:8000", "SANDBOX": "on",
            "SANDBOX_BIND": f"127.0.0.1:{self.double.port}", "PYTHONPATH": str(ROOT), **made, **self.more}
        settings.make_instance(self.config)

    @property
    def config(self) -> Config:
        """The settings as the processes read them."""
        return settings.read(self.environ, self.folder)

    @property
    def database(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.config.database_url.partition(":")[0].partition("+")[0]

    def app(self) -> Flask:
        """An app on this database, for this process."""
        return create_app(self.config)

    def lay_out(self) -> None:
        """Make the tables."""
        migrating.upgrade(self.config, datetime.now(UTC))
        keys.plant(self.config)

    def spawn(self, *command: str, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a process; what it says goes to a file in the folder."""
        with (self.folder / "said.log").open("ab") as said:
            child = subprocess.Popen(command, cwd=ROOT, env=environ or self.environ, stdout=said, stderr=said,
                                     start_new_session=True)
        self.children.append(child)
        return child

    def start_store(self) -> None:
        """The console's own store, as the console sets it up."""
        self.spawn(str(store.binary()), str(store.write_settings(self.config)))
        assert store.wait(self.config, 10), "the store does not answer"

    def stop(self) -> None:
        """End all processes, the youngest first."""
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self.children.clear()

    def cpu(self) -> dict[int, float]:
        """Processor seconds of each of its processes and of all that they started."""
        return {child.pid: sum(cpu(pid) for pid in family(child.pid)) for child in self.children}

    def said(self) -> str:
        """The last words of its processes."""
        return "\n".join((self.folder / "said.log").read_text(errors="replace").splitlines()[-20:])


@contextmanager
def engine(place: Place, extra: dict[str, str] | None = None) -> Iterator[None]:
    """The store, and the workers and the ticker of one host by their command; `extra`: settings for these alone."""
    try:
        place.start_store()
        start_host(place, extra)
        yield
    finally:
        place.stop()


def start_host(place: Place, extra: dict[str, str] | None = None) -> None:
    """Start a host's workers and its ticker, and wait until the store knows them."""
    client = store.connect(place.config)
    wanted = client.scard("rq:workers") + place.config.workers
    place.spawn(*COMMAND, "worker", environ={**place.environ, **(extra or {})})
    until(lambda: client.scard("rq:workers") >= wanted, 30, "the workers are there")


# ---------------------------------------------------------------- rows


def _batches(model: Any, rows: Iterator[dict[str, Any]]) -> None:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            db.session.execute(insert(model), batch)
            batch = []
    if batch:
        db.session.execute(insert(model), batch)


def sealed(vault: Vault, grant_id: str, workspace_id: str, number: int) -> dict[str, bytes]:
    """The two sealed tokens of a grant."""
    where = ("grant", workspace_id, grant_id, "1")
    return {"access_sealed": vault.seal(f"access-0-{number}", "access", *where),
            "refresh_sealed": vault.seal(f"refresh-0-{number}", "refresh", *where)}


def seed(app: Flask, accounts: int, due: datetime) -> None:
    """Workspaces, one app, and so many grants with an account each, all to be renewed at `due`."""
    now, vault = datetime.now(UTC), app.extensions["vault"]
    where = [f"wsp_{number % WORKSPACES:04}" for number in range(accounts)]
    with writing() as session:
        session.add_all(Workspace(id=f"wsp_{number:04}", name=f"Workspace {number}", created_at=now)
                        for number in range(WORKSPACES))
        session.add(PlatformApp(
            id="app_bench", platform="twitter", segment="twitter", client_id="client", secret_version=1,
            secret_sealed=vault.seal("secret", "secret", "platform_app", "app_bench", "1"), is_on=True,
            is_sandbox=True, created_at=now, updated_at=now))
        session.flush()
        _batches(Grant, ({
            "id": ROWS[REFRESH].format(number), "workspace_id": where[number], "platform": "twitter",
            "app_id": "app_bench", "app_generation": 1, "is_sandbox": True, "person_id": str(number),
            "scopes_granted": SCOPES, "state": LIVE, "access_expires_at": now + LIFE, "due_at": due, "granted_at": now,
            "version": 1, **sealed(vault, ROWS[REFRESH].format(number), where[number], number)}
            for number in range(accounts)))
        _batches(Account, ({
            "id": f"acc_{number:06}", "workspace_id": where[number], "platform": "twitter",
            "platform_user_id": str(number), "grant_id": ROWS[REFRESH].format(number), "is_sandbox": True,
            "username": f"user{number}", "display_name": f"User {number}", "state": ACTIVE, "state_since": now,
            "connected_at": now} for number in range(accounts)))


def seed_posts(count: int, due: Callable[[int], datetime], accounts: int = ACCOUNTS, *, first: int = 0,
               state: Callable[[int], str] = lambda number: SCHEDULED) -> None:
    """So many posts with one delivery each, spread over the accounts; a delivery that is over has no due time."""
    now = datetime.now(UTC)

    def place(number: int) -> str:
        return f"wsp_{number % accounts % WORKSPACES:04}"

    with writing():
        numbers = range(first, first + count)
        _batches(Post, ({
            "id": f"pst_{number:08}", "workspace_id": place(number), "text": f"Post {number} of the measurement",
            "due_at": due(number), "form_nonce": f"bench-{number}", "created_at": now} for number in numbers))
        _batches(Delivery, ({
            "id": ROWS[PUBLISH].format(number), "workspace_id": place(number), "post_id": f"pst_{number:08}",
            "account_id": f"acc_{number % accounts:06}", "state": state(number), "scheduled_for": due(number),
            "due_at": due(number) if state(number) == SCHEDULED else None} for number in numbers))


def make_due(kind: str, at: datetime) -> None:
    """All that waits becomes due at once."""
    with writing() as session:
        if kind == REFRESH:
            session.execute(update(Grant).values(due_at=at).execution_options(synchronize_session=False))
        else:
            session.execute(update(Delivery).where(Delivery.state == SCHEDULED).values(scheduled_for=at, due_at=at)
                            .execution_options(synchronize_session=False))


def analyse() -> None:
    """Let the database learn how its rows are spread, as it does by itself in the course of days."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def left(kind: str) -> int:
    """How many of the seeded rows are not done."""
    query = select(func.count()).select_from(Grant).where(Grant.renewed_at.is_(None)) if kind == REFRESH else \
        select(func.count()).select_from(Delivery).where(Delivery.state != PUBLISHED)
    count = db.session.scalar(query) or 0
    db.session.commit()
    return int(count)


def wait_done(kind: str, seconds: float) -> tuple[float, int]:
    """When the last row was seen done (seconds since 1970), and how many were not within so many seconds."""
    end, missing = time.monotonic() + seconds, left(kind)
    while missing and time.monotonic() < end:
        time.sleep(0.02 if missing < 100 else 0.2)
        missing = left(kind)
    return time.time(), missing


def last_stamp(kind: str) -> float:
    """When the last commit was written down, as the row tells it."""
    column = Grant.renewed_at if kind == REFRESH else Delivery.published_at
    found = db.session.scalar(select(func.max(column)))
    db.session.commit()
    return found.timestamp() if found else 0.0

