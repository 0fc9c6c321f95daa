"""Many processes want one token: it is renewed once, whoever dies or stands still in the middle of it."""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from flask import Flask

from socialconsole import config as settings
from socialconsole import create_app, heartbeat, outside, platform_apps, processes, tokens
from socialconsole.database import writing
from socialconsole.errors import PlatformError
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, LIVE, RENEWING, UNSURE, Account, Grant, PlatformApp, Workspace
from socialconsole.providers.base import TokenSet
from tests.conftest import environ
from tests.running import until

pytestmark = pytest.mark.processes
SCOPES = "tweet.read tweet.write users.read offline.access media.write"


class Counter(ThreadingHTTPServer):
    """A token endpoint with single-use refresh tokens. It counts, and can hold its answers back."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.spent: list[str] = []  # each refresh token that came in, in order
        self.replayed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    """Rotates the pair, and refuses what was spent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Counter = self.server  # type: ignore[assignment]
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        with server.lock:
            token = form["refresh_token"][0]
            is_new = token not in server.spent
            server.spent.append(token)
            server.replayed += not is_new
        server.gate.wait(60)
        time.sleep(0.05)
        body = {"token_type": "bearer", "expires_in": 7200, "access_token": f"after-{token}",
                "refresh_token": f"{token}+", "scope": SCOPES} if is_new else {
            "error": "invalid_request", "error_description": "Value passed for the token was invalid."}
        data = json.dumps(body).encode()
        try:
            self.send_response(200 if is_new else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:  # the caller is dead
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


PATIENCE = 60.0  # seconds that a caller goes on trying


def ask(app: Flask, got: list[str]) -> None:
    """Ask for the token until it is there, and renew it as a worker would when it has to be renewed."""
    end = time.monotonic() + PATIENCE
    with app.app_context():
        while time.monotonic() < end:
            try:
                with writing():
                    found = tokens.access(db.session.get_one(Account, "acc_1"), outside.now())
                got.append(marked(found.token))
                break
            except tokens.Renewed:
                tokens.refresh("grt_1")
                time.sleep(0.05)
            except PlatformError as error:
                got.append(error.message)
                break
        db.session.remove()


def ask_with(app: Flask, count: int) -> list[str]:
    """What so many callers side by side got."""
    got: list[str] = []
    threads = [threading.Thread(target=ask, args=(app, got)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


class Process:
    """A process of its own with an app of its own, which waits for `go` and then does one thing."""

    def __init__(self, env: dict[str, str], folder: Path, what: Callable[[Flask], Any]) -> None:
        self._read, write = os.pipe()
        wait, self._go = os.pipe()

        def body() -> None:
            os.close(self._read)
            os.close(self._go)
            app = create_app(settings.read(env, folder))
            os.read(wait, 1)
            with os.fdopen(write, "w") as pipe:
                json.dump(what(app), pipe)

        self.pid = processes.fork(body)
        os.close(write)
        os.close(wait)

    def go(self) -> "Process":
        """Let it begin."""
        os.write(self._go, b"g")
        return self

    def answer(self) -> Any:
        """What it came to, once it is over."""
        with os.fdopen(self._read) as pipe:
            text = pipe.read()
        self._read = -1
        os.waitpid(self.pid, 0)
        self.pid = 0
        return json.loads(text)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.pid = 0
        for pipe in (self._read, self._go):
            if pipe >= 0:
                os.close(pipe)
        self._read = self._go = -1


class House:
    """The database, the platform and the processes of one test."""

    def __init__(self, app: Flask, env: dict[str, str], folder: Path, platform: Counter) -> None:
        self.app, self.platform = app, platform
        self._env, self._folder = env, folder
        self.started: list[Process] = []

    def process(self, what: Callable[[Flask], Any]) -> Process:
        self.started.append(Process(self._env, self._folder, what))
        return self.started[-1]

    def callers(self, *counts: int) -> list[str]:
        """So many callers in so many processes, all at once; what they got."""
        made = [self.process(partial(ask_with, count=count)) for count in counts]
        for one in made:
            one.go()
        return [word for one in made for word in one.answer()]

    def holder(self) -> Process:
        """A process that renews, its call having arrived at the platform, which holds its answer back."""
        self.platform.gate.clear()

        def renew(app: Flask) -> None:
            with app.app_context():
                tokens.refresh("grt_1")

        made = self.process(renew).go()
        until(lambda: self.platform.spent, 20, "the call arrives")
        return made

    def settle(self) -> None:
        """What the ticker does after the lease is over."""
        self.change(lease_until=outside.now() - timedelta(seconds=1))
        with self.app.app_context():
            heartbeat.settle(outside.now(), lambda kind, ids: None)
            db.session.remove()

    def grant(self) -> Grant:
        with self.app.app_context():
            found = db.session.get_one(Grant, "grt_1")
            db.session.expunge(found)
            db.session.remove()
            return found

    def change(self, **values: object) -> None:
        with self.app.app_context():
            with writing() as session:
                for name, value in values.items():
                    setattr(session.get_one(Grant, "grt_1"), name, value)
            db.session.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request, tmp_path, migrated) -> Iterator[House]:
    """@acme, whose token has run out a minute ago; its platform is a counter."""
    platform = Counter()
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").emptied("contention")
    else:
        (tmp_path / "console.db").write_bytes(migrated.read_bytes())
        url = f"sqlite:///{tmp_path / 'console.db'}"
    env = environ(tmp_path, DATABASE_URL=url, SANDBOX_BIND=f"127.0.0.1:{platform.server_address[1]}")
    app = create_app(settings.read(env, tmp_path))
    with app.app_context():
        connect(expires_in=3600)
        db.session.remove()
    made = House(app, env, tmp_path, platform)
    yield made
    platform.gate.set()
    for one in made.started:
        one.close()
    platform.shutdown()
    platform.server_close()
    with app.app_context():
        db.engine.dispose()


def connect(expires_in: int) -> None:
    """@acme, connected an hour and a minute ago."""
    then = outside.now() - timedelta(minutes=61)
    with writing() as session:
        app = PlatformApp(id="app_x", platform="twitter", segment="twitter", client_id="client", is_on=True,
                          is_sandbox=True, secret_version=1, created_at=then, updated_at=then)
        app.secret_sealed = platform_apps.vault().seal("s3cret", *platform_apps.secret_record(app))
        grant = Grant(id="grt_1", workspace_id="wsp_1", platform="twitter", app_id="app_x", app_generation=1, fence=0,
                      version=0, person_id="42", is_sandbox=True, granted_at=then)
        tokens.store(grant, TokenSet("old", "token", expires_in), then)
        session.add_all([Workspace(id="wsp_1", name="Harbour Bakery", created_at=then), app])
        session.flush()
        session.add(grant)
        session.flush()
        session.add(Account(id="acc_1", workspace_id="wsp_1", platform="twitter", platform_user_id="42",
                            grant_id="grt_1", state=ACTIVE, state_since=then, connected_at=then))


def marked(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def test_fifty_callers_in_four_processes_and_an_expired_token_make_one_call(house):
    got = house.callers(13, 13, 12, 12)
    assert got == [marked("after-token")] * 50
    assert house.platform.spent == ["token"]


def test_a_killed_holder_leaves_the_token_usable_to_its_end_and_nobody_sends_the_spent_one(house):
    house.change(access_expires_at=outside.now() + timedelta(minutes=20))
    holder = house.holder()
    holder.close()
    house.platform.gate.set()
    assert house.grant().state == RENEWING
    house.settle()
    assert house.grant().state == UNSURE
    assert house.callers(25, 25) == [marked("old")] * 50
    assert house.platform.spent == ["token"] and house.platform.replayed == 0


def test_a_holder_that_stands_still_beyond_its_lease_stores_its_answer_after_all(house):
    house.change(access_expires_at=outside.now() + timedelta(minutes=20))
    holder = house.holder()
    os.kill(holder.pid, signal.SIGSTOP)
    house.platform.gate.set()
    house.settle()
    assert house.grant().state == UNSURE
    assert house.callers(10, 10) == [marked("old")] * 20
    os.kill(holder.pid, signal.SIGCONT)
    holder.answer()
    assert house.grant().state == LIVE
    assert house.callers(10, 10) == [marked("after-token")] * 20
    assert house.platform.spent == ["token"]
