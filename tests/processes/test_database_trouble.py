"""The database is locked, stopped or full: the web says so in words and goes on by itself; a start waits or refuses."""

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InternalError

from socialconsole import config as settings
from socialconsole import create_app, database, keys, migrating, processes
from socialconsole.config import Config
from socialconsole.database import is_full, is_trouble, writing
from socialconsole.extensions import db
from socialconsole.models import Workspace
from tests import postgres
from tests.conftest import build, close, environ

pytestmark = pytest.mark.processes

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WORDS = "cannot reach its database"
MACHINE = {"Accept": "application/json"}
SIGN_IN = {"email": "mara@example.com", "password": "wrong horse battery"}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A server that these tests may stop."""
    if os.environ.get(postgres.GIVEN):
        pytest.skip("the server that is named may not be stopped")
    if postgres.why_not():
        pytest.skip(postgres.why_not())
    with postgres.Server(fsync=False) as made:
        yield made


def config_at(folder: Path, url: str) -> Config:
    return settings.read(environ(folder, DATABASE_URL=url), folder)


def locked(path: str, held: Event, free: Event) -> None:
    """Hold the file as no other writer may, until told to let go."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    held.set()
    free.wait(60)
    connection.rollback()


class TestLockedFile:
    @pytest.fixture
    def holder(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Flask, Event]]:
        monkeypatch.setattr(database, "BUSY_MILLISECONDS", 100)
        app, fork = build(config), multiprocessing.get_context("fork")
        held, free = fork.Event(), fork.Event()
        process = fork.Process(target=locked, args=(str(database.sqlite_path(config)), held, free))
        process.start()
        assert held.wait(30)
        yield app, free
        free.set()
        process.join(30)
        close(app)

    def test_the_page_says_so_and_the_next_try_works(self, holder: tuple[Flask, Event]) -> None:
        app, free = holder
        app.config["WTF_CSRF_ENABLED"] = False
        origin = {"Sec-Fetch-Site": "same-origin"}
        answer = app.test_client().post("/sign-in", data=SIGN_IN, headers=origin)
        assert answer.status_code == 503 and WORDS in answer.text and "go back" in answer.text
        assert int(answer.headers["Retry-After"]) > 0 and "Traceback" not in answer.text
        free.set()

        def works() -> None:
            with app.app_context(), writing() as session:
                session.add(Workspace(id="wsp_1", name="-", created_at=NOW))

        with app.app_context():
            database.insist(works, 30)
        assert app.test_client().post("/sign-in", data=SIGN_IN, headers=origin).status_code == 422


class TestStoppedServer:
    @pytest.fixture
    def app(self, server: postgres.Server, tmp_path: Path) -> Iterator[Flask]:
        server.start()
        made = build(config_at(tmp_path, server.emptied("trouble")))
        yield made
        server.start()
        close(made)

    def test_the_web_says_so_and_goes_on_when_it_is_back(self, server: postgres.Server, app: Flask) -> None:
        client = app.test_client()
        before = client.get("/sign-in").status_code
        assert before < 400
        server.stop("immediate")
        page, machine = client.get("/sign-in"), client.get("/sign-in", headers=MACHINE)
        ready = client.get("/readyz")
        assert page.status_code == machine.status_code == 503 and WORDS in page.text
        assert machine.json and machine.json["error"] == "database_unavailable" and machine.headers["Retry-After"]
        assert ready.status_code == 503 and ready.json and "database" in ready.json["missing"]
        server.start()
        assert client.get("/sign-in").status_code == before  # the dead connections are not given out again

    def test_a_write_insists_until_the_server_is_back(self, server: postgres.Server, app: Flask,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
        tries = []

        def write() -> None:
            tries.append(1)
            if len(tries) == 2:
                server.start()
            with writing() as session:
                session.merge(Workspace(id="wsp_1", name="kept", created_at=NOW))

        with app.app_context():
            db.session.execute(text("SELECT 1"))
            server.stop("kill")
            database.insist(write, 30)
            assert db.session.get_one(Workspace, "wsp_1").name == "kept" and len(tries) >= 2

    def test_a_start_is_refused_in_words(self, server: postgres.Server, app: Flask, tmp_path: Path) -> None:
        server.stop()
        config = config_at(tmp_path, server.address("trouble"))
        with pytest.raises(DBAPIError) as found:
            migrating.problems(config)
        assert is_trouble(found.value)

    def test_a_child_shares_no_connection_with_its_parent(self, app: Flask) -> None:
        with app.app_context():
            mine = db.session.scalar(text("SELECT pg_backend_pid()"))
            db.session.commit()

            def other() -> int:
                with app.app_context():
                    return int(db.session.scalar(text("SELECT pg_backend_pid()")))

            assert processes.in_child(other) != mine
            assert db.session.scalar(text("SELECT pg_backend_pid()")) == mine


class TestFullDisk:
    def test_a_file_that_may_not_grow_gets_its_own_sentence(self, config: Config) -> None:
        def fill() -> list[object]:
            app = build(config)
            app.config["WTF_CSRF_ENABLED"] = False
            path = database.sqlite_path(config)
            assert path is not None
            with app.app_context():
                pages = db.session.scalar(text("PRAGMA page_count"))
                db.session.commit()
                db.engine.dispose()

            @database.event.listens_for(db_engine(app), "connect")
            def _limit(connection: sqlite3.Connection, _record: object) -> None:
                connection.execute(f"PRAGMA max_page_count={pages}")

            client = app.test_client()
            for number in range(3000):
                answer = client.post("/sign-in", data={**SIGN_IN, "email": f"{'m' * 40}{number}@example.com"},
                                     headers={"Sec-Fetch-Site": "same-origin"},
                                     environ_base={"REMOTE_ADDR": f"127.0.{number // 250}.{number % 250 + 1}"})
                if answer.status_code == 503:
                    return [answer.status_code, "disk of the database is full" in answer.text]
            return ["never full"]

        assert processes.in_child(fill) == [503, True]

    def test_both_databases_words_for_it_are_known(self) -> None:
        for cause in (psycopg.errors.DiskFull("could not extend file"),
                      sqlite3.OperationalError("database or disk is full")):
            error = database.OperationalError("INSERT", {}, cause)
            assert is_full(error) and is_trouble(error)
        assert not is_full(database.OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked")))
        ended = InternalError("SELECT", {}, psycopg.errors.IdleInTransactionSessionTimeout("x"))
        broken = InternalError("SELECT", {}, psycopg.errors.InFailedSqlTransaction("x"))
        assert is_trouble(ended) and not is_trouble(broken)


def db_engine(app: Flask) -> database.Engine:
    with app.app_context():
        return db.engine


def upgrade(url: str, folder: str, start: Event, results: "multiprocessing.Queue[str]") -> None:
    config = config_at(Path(folder), url)
    start.wait(60)
    try:
        migrating.upgrade(config, NOW)
        keys.plant(config)
        results.put("; ".join(migrating.problems(config)))
    except Exception as error:
        results.put(repr(error))


def test_of_four_that_start_at_once_one_makes_the_tables(server: postgres.Server, tmp_path: Path) -> None:
    url, fork = server.start().url("four"), multiprocessing.get_context("fork")
    start, results = fork.Event(), fork.Queue()
    started = [fork.Process(target=upgrade, args=(url, str(tmp_path), start, results)) for _ in range(4)]
    for process in started:
        process.start()
    start.set()
    said = [results.get(timeout=60) for _ in started]
    for process in started:
        process.join(30)
    assert said == ["", "", "", ""]
    assert server.execute("SELECT count(*) FROM installation", "four") == [(1,)]


def test_no_text_is_refused_for_a_length_or_a_nul(server: postgres.Server, tmp_path: Path) -> None:
    app = create_app(config_at(tmp_path, server.start().emptied("trouble")))
    with app.app_context():
        with writing() as session:
            session.add(Workspace(id="wsp_1", name="long\0" * 200, created_at=NOW))
        db.session.expire_all()
        assert db.session.get_one(Workspace, "wsp_1").name == "long" * 200
    close(app)
