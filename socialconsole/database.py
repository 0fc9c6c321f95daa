"""How we speak to the database: explicit write transactions and the journal. Its tables change in `migrating.py`.

SQLite's default driver loses updates silently when two processes read, then write. So: readers begin plainly, writers
begin with BEGIN IMMEDIATE, and only inside `writing()`; a change outside of it is refused. No transaction may be open
while a platform is called.

PostgreSQL lets many write at once, each seeing what was committed before its statement (READ COMMITTED). So a write
that follows from what was read there needs one of three: a condition in the UPDATE itself (`took`), the row kept from
others since it was read (`lock`), or the door closed to all who come for the same thing (`alone`).
"""

import fcntl
import hashlib
import os
import sqlite3
import threading
import time
import unicodedata
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import has_app_context
from sqlalchemy import (
    CursorResult,
    DateTime,
    Engine,
    String,
    Update,
    bindparam,
    create_engine,
    event,
    insert,
    inspect,
    text,
    update,
)
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import TypeDecorator

from .extensions import db

if TYPE_CHECKING:
    from .config import Config

# The WAL-reset bug needs several processes writing and checkpointing one file, which is just our shape.
# https://www.sqlite.org/wal.html#walresetbug
WAL_IS_SAFE = (3, 51, 3)
BUSY_MILLISECONDS = 20_000
INSIST_SECONDS = 60.0

OLDEST_POSTGRESQL = 15
# A process keeps up to POOL connections and opens up to OVERFLOW more for a moment. Its threads (32 in a worker, 16 in
# the web) need one only between two calls, so that eight processes stay below PostgreSQL's usual hundred.
POOL, OVERFLOW, POOL_SECONDS = 8, 4, 20
# What a server that hangs, or a process of ours that was stopped in the middle, may cost the others.
SERVER_LIMITS = {"statement_timeout": "30s", "lock_timeout": "20s", "idle_in_transaction_session_timeout": "60s"}
# Seconds, but the last: a host that vanished without a word is given up within half a minute.
LINE_LIMITS = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
               "tcp_user_timeout": 20_000}
START_LOCK = 7305161  # any number of our own, for PostgreSQL's advisory locks

# Trouble that passes, though the driver does not count it among the operational errors: our transaction was ended for
# standing idle, or the server is a copy that may only be read, as in the middle of a failover.
PASSING = {"25P03", "25P04", "25006"}
DISK_FULL = "53100"


_turns: "weakref.WeakKeyDictionary[Any, Turns]" = weakref.WeakKeyDictionary()


class OpenTransaction(RuntimeError):
    """A platform was about to be called, or a row changed, in the wrong kind of transaction."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: written in UTC, read back with its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse an instant without zone, since nobody could say what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """SQLite keeps no zone: what it holds is UTC."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def driver_options(url: str) -> tuple[str, dict[str, Any]]:
    """The URL and engine options for a database address; SQLite comes from the newest library at hand."""
    if not url.startswith("sqlite"):
        return url, _postgresql_options(url)
    try:
        import pysqlite3.dbapi2 as module
    except ImportError:  # no wheel for this machine: the library of Python itself, with a rollback journal if it is old
        module = sqlite3
    return url, {"module": module, "connect_args": {"timeout": BUSY_MILLISECONDS / 1000}}


def _postgresql_options(url: str) -> dict[str, Any]:
    """Limits for all that could hang; what the address itself says comes first."""
    given = make_url(url).query
    limits = " ".join(f"-c {name}={value}" for name, value in SERVER_LIMITS.items())
    said = given.get("options", "")
    line = {name: value for name, value in LINE_LIMITS.items() if name not in given}
    return {
        "pool_pre_ping": True, "pool_size": POOL, "max_overflow": OVERFLOW, "pool_timeout": POOL_SECONDS,
        "pool_use_lifo": True, "pool_recycle": 1800,
        "connect_args": {**line, "options": f"{limits} {said if isinstance(said, str) else ' '.join(said)}".strip(),
                         "application_name": given.get("application_name", "socialconsole")},
    }


@compiles(String, "postgresql")
def _without_length(_type: String, _compiler: Any, **_: Any) -> str:
    """Lengths say what to expect and are checked where things come in. SQLite enforces none, and PostgreSQL shall not
    lose the outcome of a call because a platform's address was longer than anyone thought."""
    return "VARCHAR"


def prepare_engine(engine: Engine) -> None:
    """Take over transactions from SQLite's driver and set what must hold on each connection."""
    _forget_after_fork(engine)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_postgresql(engine)


def _forget_after_fork(engine: Engine) -> None:
    """A forked child opens connections of its own: two processes speaking on one would mix up their answers."""
    known = weakref.ref(engine)

    def forget() -> None:
        mine = known()
        if mine is not None:
            mine.dispose(close=False)

    os.register_at_fork(after_in_child=forget)


def _prepare_postgresql(engine: Engine) -> None:
    strings = cast(Any, engine.dialect.dbapi).types.string

    class WithoutNul(strings.StrDumperUnknown):  # type: ignore[name-defined]
        """PostgreSQL keeps no NUL in a text. What people and platforms send may hold one, and it says nothing."""

        def dump(self, value: str) -> Any:
            return super().dump(value.replace("\0", ""))

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.adapters.register_dumper(str, WithoutNul)


def _prepare_sqlite(engine: Engine) -> None:
    if engine.url.database not in (None, "", ":memory:"):
        _turns[engine] = Turns(f"{engine.url.database}-turn")

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        module = engine.dialect.dbapi
        version = getattr(module, "sqlite_version_info", (0,))
        journal = "WAL" if version >= WAL_IS_SAFE else "TRUNCATE"
        for pragma in (f"busy_timeout={BUSY_MILLISECONDS}", f"journal_mode={journal}", "synchronous=FULL",
                       "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("casefold", 1, _casefold, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        wants = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if wants else "BEGIN")


def _casefold(text: str | None) -> str | None:
    """A text as searches compare it. SQLite itself knows the small forms of ASCII letters only."""
    if text is None or text.isascii():
        return text and text.lower()
    return unicodedata.normalize("NFC", text).casefold()


def prepare_session() -> None:
    """Refuse changes outside `writing()`."""

    @event.listens_for(Session, "before_flush")
    def _flush(session: Session, *_: Any) -> None:
        if (session.new or session.dirty or session.deleted) and not session.info.get("writing"):
            raise OpenTransaction("rows may change only inside writing()")

    @event.listens_for(Session, "do_orm_execute")
    def _execute(state: ORMExecuteState) -> None:
        changes = state.is_update or state.is_delete or state.is_insert
        if changes and not state.session.info.get("writing"):
            raise OpenTransaction("rows may change only inside writing()")


@contextmanager
def writing() -> Iterator[Session]:
    """One write transaction: begun as a writer, committed at the end, rolled back on any error. May be nested.

    Everything read inside is read afresh. Yields the session.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    session.commit()  # ends a read transaction; there is nothing to write, `before_flush` sees to that
    session.expire_all()
    session.info["writing"] = True
    try:
        with _in_turn(session):
            session.connection(execution_options={"writing": True})
            yield session
            _add_late_rows(session)
            session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop("writing", None)
        session.info.pop("late", None)


class Turns:
    """Whose turn it is to write a SQLite file, on this machine.

    SQLite lets writers that wait sleep ever longer and try again, so a busy file stands idle most of the time. A lock
    on a file beside it hands the turn on at once. It is a courtesy and no more: who waited long enough goes ahead, and
    the database's own lock decides.
    """

    LONGEST = 2.0  # seconds
    PAUSE = 0.001  # seconds between two looks; only one thread of a process looks

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file: tuple[int, int] | None = None  # process, descriptor: a forked child needs one of its own

    def __del__(self) -> None:
        if self._file is not None and self._file[0] == os.getpid():
            os.close(self._file[1])

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Wait for the turn, and hand it on at the end."""
        until = time.monotonic() + self.LONGEST
        if not self._threads.acquire(timeout=self.LONGEST):
            yield
            return
        try:
            descriptor = self._descriptor()
            while descriptor is not None and not self._is_ours(descriptor) and time.monotonic() < until:
                time.sleep(self.PAUSE)
            try:
                yield
            finally:
                if descriptor is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _is_ours(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _descriptor(self) -> int | None:
        if self._file is None or self._file[0] != os.getpid():
            try:
                self._file = os.getpid(), os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:  # no room, or a folder that may only be read: then there are no turns
                return None
        return self._file[1]


def _in_turn(session: Session) -> AbstractContextManager[None]:
    turns = _turns.get(session.get_bind())
    return turns.mine() if turns is not None else nullcontext()


Value = TypeVar("Value")


def insist(write: Callable[[], Value], seconds: float = INSIST_SECONDS) -> Value:
    """What `write` returns; run again with growing pauses while the database cannot be reached, is busy or full.

    For what must not be lost because the database was away for a moment, such as the outcome of a call. `write` opens
    its own `writing()` and may run several times, even after a commit of which only the answer was lost. Raises the
    last error that was `is_trouble` after `seconds`, and any other at once.
    """
    until, pause = time.monotonic() + seconds, 0.1
    while True:
        try:
            return write()
        except (DBAPIError, NoConnectionFree) as error:
            db.session.rollback()
            if not is_trouble(error) or time.monotonic() + pause > until:
                raise
            time.sleep(pause)
            pause = min(pause * 2, 5.0)


def is_trouble(error: BaseException) -> bool:
    """Whether the database is away, busy or full, or had to undo one of two writes that wait for each other.

    Nothing is wrong with what was asked: the same may work in a moment.
    """
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in PASSING:
        return True
    return isinstance(error, OperationalError | InterfaceError | NoConnectionFree)


def is_full(error: BaseException) -> bool:
    """Whether the database has no room left on its disk."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) == DISK_FULL or "disk is full" in str(cause)


def lock(row: Any) -> None:
    """Read a row afresh and keep it from changing until the end of this `writing()`.

    Raises InvalidRequestError if the row is gone. Several rows are locked in the order of their ids, and an app before
    a grant before an account before a delivery, or two writers might wait for each other.
    """
    db.session.refresh(row, with_for_update={"key_share": True})


def alone(*what: str) -> None:
    """Wait until nobody else is in `alone` for the same thing; it ends with this `writing()`.

    To be called before anything is read. SQLite has one writer at a time anyway.
    """
    if db.session.get_bind().dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256("\n".join(what).encode()).digest()[:8], signed=True)
        db.session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def took(claim: Update, **values: Any) -> bool:
    """Run an UPDATE whose conditions only one caller can meet; True for that one. Inside `writing()`.

    `values` are those of the statement's own parameters. This is the lock of the console, on every database: who
    changed the row owns it. Read the row afresh afterwards.
    """
    result = db.session.execute(claim, values, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1


def change(row: Any, **values: Any) -> None:
    """Set columns of a row: with one UPDATE at once if the row is in the database, like plain attributes if it is new.

    For rows of which thousands change in a minute: the unit of work, which compares and sorts whole graphs of objects,
    costs more than all else that a worker does for them. Inside `writing()`.
    """
    if not inspect(row).persistent:
        for name, value in values.items():
            setattr(row, name, value)
        return
    _run(_update_of(cast(Any, type(row)), tuple(values)),
         {"the_id": row.id, **{f"new_{name}": value for name, value in values.items()}})
    for name, value in values.items():
        set_committed_value(row, name, value)


def add_row(model: Any, **values: Any) -> None:
    """Add one row at once, without an object of it. Columns without a value get no default. Inside `writing()`."""
    _run(_insert_of(model), values)


def add_later(model: Any, **values: Any) -> None:
    """Like `add_row`, at the end of this `writing()`: together with all others that came meanwhile, in one statement.

    For rows that nobody reads before it is committed. Each model's rows have the same columns.
    """
    if not db.session.info.get("writing"):
        raise OpenTransaction("rows may change only inside writing()")
    db.session.info.setdefault("late", {}).setdefault(model, []).append(values)


def _add_late_rows(session: Session) -> None:
    late = session.info.pop("late", None)
    if late:
        session.flush()  # what the rows refer to
        for model, rows in late.items():
            session.execute(_insert_of(model), rows)


def add_rows(model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `add_row`, for many rows with the same columns, in one statement."""
    if rows:
        _run(_insert_of(model), rows)


def took_all(claim: Update, rows: Sequence[Mapping[str, Any]]) -> bool:
    """As `took`, for many rows in one statement: True if the conditions were met for each of them. Inside `writing()`.

    Where it is False some may have been changed: undo the transaction. `claim` is an UPDATE of a table.
    """
    return _run(claim, rows) == len(rows)


def _run(statement: Any, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> int:
    """How many rows a statement changed."""
    if not db.session.info.get("writing"):
        raise OpenTransaction("rows may change only inside writing()")
    db.session.flush()
    return cast("CursorResult[Any]", db.session.execute(statement, values)).rowcount


@lru_cache(maxsize=256)
def _update_of(model: Any, names: tuple[str, ...]) -> Any:
    """The statement for these columns, made once."""
    table = model.__table__
    return (update(table).where(table.c.id == bindparam("the_id"))
            .values({table.c[name]: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}))


@lru_cache(maxsize=16)
def _insert_of(model: Any) -> Any:
    return insert(model.__table__)


def release() -> None:
    """End the read transaction of this thread; to be called before a platform is."""
    if not db.session.info.get("writing"):
        db.session.commit()


def refuse_open_transaction() -> None:
    """Raise OpenTransaction if this thread holds a write transaction; end a read transaction quietly."""
    if not has_app_context():
        return
    if db.session.info.get("writing"):
        raise OpenTransaction("a platform may not be called inside writing()")
    db.session.commit()


# ---------------------------------------------------------------- at start, before there is an app


def engine_of(config: "Config") -> Engine:
    """An engine of its own for start-up work, before the app exists; to be disposed of."""
    url, options = driver_options(config.database_url)
    engine = create_engine(url, **options)
    prepare_engine(engine)
    return engine


def revision(config: "Config") -> str | None:
    """The revision of the database, None for an empty one."""
    path = sqlite_path(config)
    if path is not None and not path.exists():
        return None
    engine = engine_of(config)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.scalar(text("SELECT version_num FROM alembic_version"))
    finally:
        engine.dispose()


def start_alone(connection: Connection) -> None:
    """Keep other starting processes waiting until the end of this transaction, however long it takes."""
    if connection.dialect.name == "postgresql":
        for name in SERVER_LIMITS:
            connection.execute(text(f"SET LOCAL {name} = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": START_LOCK})


def server_problem(config: "Config") -> str:
    """Why the database server cannot be used, in words; nothing if it can. Raises OperationalError if it is away."""
    if make_url(config.database_url).get_backend_name() != "postgresql":
        return ""
    engine = engine_of(config)
    try:
        with engine.connect() as connection:
            found = connection.dialect.server_version_info or (0,)
            encoding = connection.scalar(text("SHOW server_encoding"))
    finally:
        engine.dispose()
    return postgresql_problem(found, str(encoding))


def postgresql_problem(version: tuple[int | str, ...], encoding: str) -> str:
    """Why a PostgreSQL of this version and encoding cannot be used, in words; nothing if it can."""
    if int(version[0]) < OLDEST_POSTGRESQL:
        return (f"DATABASE_URL leads to PostgreSQL {'.'.join(map(str, version))}. Social Console needs "
                f"{OLDEST_POSTGRESQL} or newer: upgrade the server, or name another one.")
    if encoding != "UTF8":
        return (f"The database that DATABASE_URL names keeps its texts as {encoding}, which cannot hold all that "
                "people write. Make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.")
    return ""


def sqlite_path(config: "Config") -> Path | None:
    """The file of a SQLite database, else None."""
    url = make_url(config.database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
