"""What every test may ask for: a console on a database of its own, browsers, people, a clock, and no real network."""

import hashlib
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from socialconsole import access, create_app, database, logins, migrating, outside
from socialconsole import config as settings
from socialconsole.config import Config
from socialconsole.extensions import db
from socialconsole.models import User
from tests import postgres
from tests.cast import START, Cast, Clock, Person, make_cast

PUBLIC = "http://127.0.0.1:8000"


# ---------------------------------------------------------------- no real network


@pytest.fixture(autouse=True, scope="session")
def no_real_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _only_here(getattr(socket.socket, name)))
    yield
    patch.undo()


def _only_here(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(str(address[0])):
            raise AssertionError(f"a test wanted to reach {address[0]}, outside of this machine")
        return connect(self, address)

    return guarded


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# ---------------------------------------------------------------- a console


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Settings of a console in a folder of its own; `more` comes on top."""
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY")}
    return {"INSTANCE_PATH": str(folder), "API_PUBLIC_URL": PUBLIC, **keys, **more}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    """A real PostgreSQL for the whole run. Without one the test is skipped and says how to get it; in CI it fails."""
    why_not = postgres.why_not()
    if why_not and os.environ.get("CI"):
        pytest.fail(why_not)
    if why_not:
        pytest.skip(why_not)
    with postgres.Server(fsync=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated database without rows, made once for the whole run."""
    folder = tmp_path_factory.mktemp("migrated")
    config = settings.read(environ(folder), folder)
    migrating.upgrade(config, START)
    path = database.sqlite_path(config)
    assert path is not None
    return path


@pytest.fixture
def configured(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Config]:
    """Makes settings with an empty database of their own: `configured(API_PUBLIC_URL="https://…")`.

    It is SQLite; with TEST_DATABASE=postgresql in the environment, PostgreSQL.
    """
    migrated = request.getfixturevalue("migrated")

    def make(**more: str) -> Config:
        folder = tmp_path / f"instance-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if os.environ.get("TEST_DATABASE") == "postgresql":
            server: postgres.Server = request.getfixturevalue("postgresql")
            config = settings.read(environ(folder, DATABASE_URL=server.emptied(folder.name), **more), folder)
            assert not config.problems, config.problems
            return config
        config = settings.read(environ(folder, **more), folder)
        assert not config.problems, config.problems
        path = database.sqlite_path(config)
        assert path is not None
        shutil.copyfile(migrated, path)
        return config

    return make


@pytest.fixture
def config(configured: Callable[..., Config]) -> Config:
    """The settings of the console under test: SQLite, fixed keys, sandbox on."""
    return configured()


class Browser(FlaskClient):
    """A browser that opens the console by its public address, unless told otherwise."""

    def open(self, *args: Any, **options: Any) -> Any:
        """One request."""
        if args and isinstance(args[0], str) and "://" not in args[0]:
            options.setdefault("base_url", self.application.extensions["config"].public_origin)
        return super().open(*args, **options)


@pytest.fixture
def console(configured: Callable[..., Config]) -> Iterator[Callable[..., Flask]]:
    """Makes consoles with settings of their own: `console(API_PUBLIC_URL="https://…")`."""
    made: list[Flask] = []

    def make(**more: str) -> Flask:
        made.append(build(configured(**more)))
        return made[-1]

    yield make
    for app in made:
        close(app)


def build(config: Config) -> Flask:
    """The app of these settings, whose test clients are browsers at the public address."""
    app = create_app(config)
    app.test_client_class = Browser
    return app


def close(app: Flask) -> None:
    """Let go of the database file."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The console under test. Its context is not pushed: a request must not share `g` with the test."""
    made = build(config)
    yield made
    close(made)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which nobody is signed in."""
    return app.test_client()


# ---------------------------------------------------------------- people and time


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The clock of the console, standing still until `advance(minutes=…)`."""
    still = Clock()
    outside.use_clock(still)
    yield still
    outside.use_clock(None)


@pytest.fixture
def cast(app: Flask) -> Cast:
    """Alice, Bob, Vera, Charlie and their workspaces, in the console under test."""
    with app.app_context():
        return make_cast()


@pytest.fixture
def sign_in() -> Callable[[FlaskClient, Person], FlaskClient]:
    """Signs a person in, in a browser, without the form."""

    def sign_in(client: FlaskClient, person: Person) -> FlaskClient:
        app = client.application
        with app.app_context():
            user = db.session.get_one(User, person.id)
            token = logins.begin(user, logins.Caller("127.0.0.1", "test"), outside.now())
            name, host = access.cookie_name(), app.extensions["config"].public_origin
        client.set_cookie(name, token, domain=host.split("://")[1].split(":")[0], secure=host.startswith("https"))
        return client

    return sign_in
