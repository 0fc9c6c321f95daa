"""How we speak to the database: explicit write transactions and the journal. Its tables change in `migrating.py`.

SQLite's default driver loses updates silently when two processes read, then write. So: readers begin plainly, writers
begin with BEGIN IMMEDIATE, and only inside `writing()`; a change outside of it is refused. No transaction may be open
while a platform is called.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flask import has_app_context
from sqlalchemy import CursorResult, DateTime, Engine, Update, create_engine, event, inspect, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.types import TypeDecorator

from .extensions import db

if TYPE_CHECKING:
    from .config import Config

# The WAL-reset bug needs several processes writing and checkpointing one file, which is just our shape.
# https://www.sqlite.org/wal.html#walresetbug
WAL_IS_SAFE = (3, 51, 3)
BUSY_MILLISECONDS = 20_000


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
        return url, {"pool_pre_ping": True}
    try:
        import pysqlite3.dbapi2 as module
    except ImportError:  # no wheel for this machine: the library of Python itself, with a rollback journal if it is old
        module = sqlite3
    return url, {"module": module, "connect_args": {"timeout": BUSY_MILLISECONDS / 1000}}


def prepare_engine(engine: Engine) -> None:
    """Take over transactions from SQLite's driver and set what must hold on each connection."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        module = engine.dialect.dbapi
        version = getattr(module, "sqlite_version_info", (0,))
        journal = "WAL" if version >= WAL_IS_SAFE else "TRUNCATE"
        for pragma in (f"busy_timeout={BUSY_MILLISECONDS}", f"journal_mode={journal}", "synchronous=FULL",
                       "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        wants = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if wants else "BEGIN")


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
        session.connection(execution_options={"writing": True})
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop("writing", None)


def took(claim: Update) -> bool:
    """Run an UPDATE whose conditions only one caller can meet; True for that one. Inside `writing()`.

    This is the lock of the console, on every database: who changed the row owns it. Read the row afresh afterwards.
    """
    result = db.session.execute(claim.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount == 1


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


def sqlite_path(config: "Config") -> Path | None:
    """The file of a SQLite database, else None."""
    url = make_url(config.database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
