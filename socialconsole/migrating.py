"""Bringing the database to the code's tables: under a lock, in one transaction, after a dated copy of a SQLite file.

Only `run` and `upgrade` do it; the parts refuse to start on another revision. Kept apart from `database.py`, since
Alembic is needed for a moment at the start and by none of the processes that go on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from .config import Config
from .database import engine_of, revision, server_problem, sqlite_path, start_alone

MIGRATIONS = Path(__file__).parent / "migrations"


def _alembic(connection: Connection | None = None) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this code wants."""
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def problems(config: Config, *, wants_current: bool = True) -> list[str]:
    """What is wrong with the database, in words: its server is too old, it is newer than the code, or (for the single
    parts) not migrated yet."""
    unfit = server_problem(config)
    if unfit:
        return [unfit]
    found = revision(config)
    known = {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    if found is not None and found not in known:
        return ["The database was written by a newer version of Social Console. Start that version, "
                "or restore a backup made before the upgrade."]
    if wants_current and found != newest_revision():
        return ["The database does not have the tables of this version yet. Run `socialconsole upgrade` first."]
    return []


def upgrade(config: Config, now: datetime) -> Path | None:
    """Bring the database to this code's revision. Of several that try at once, one does it and the others wait.

    Returns the dated copy that was made of a SQLite file before it was changed, None if there was nothing to copy.
    """
    if revision(config) == newest_revision():
        return None
    copy = _copy_before(config, now)
    engine = engine_of(config)
    try:
        with engine.connect().execution_options(writing=True) as connection, _loose_keys(connection), \
                connection.begin():
            start_alone(connection)
            command.upgrade(_alembic(connection), "head")
            _check_keys(connection)
    finally:
        engine.dispose()
    path = sqlite_path(config)
    if path is not None:
        os.chmod(path, 0o600)
    return copy


@contextmanager
def _loose_keys(connection: Connection) -> Iterator[None]:
    """SQLite rebuilds a table to change it; dropping the old one would else take along what refers to it.

    https://www.sqlite.org/lang_altertable.html, section 7: the setting does nothing inside a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.cursor()
    raw.execute("PRAGMA foreign_keys=OFF")
    yield
    raw.execute("PRAGMA foreign_keys=ON")


def _check_keys(connection: Connection) -> None:
    """Nothing may refer to a row that is not there; raises RuntimeError, which undoes the upgrade."""
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise RuntimeError("the upgrade would leave rows that refer to nothing")


def _copy_before(config: Config, now: datetime) -> Path | None:
    path = sqlite_path(config)
    if path is None or not path.exists() or revision(config) is None:
        return None
    copy = path.with_name(f"{path.stem}-before-{now:%Y%m%d-%H%M%S}{path.suffix}")
    engine = engine_of(config)
    try:
        connection = engine.raw_connection()  # a copy cannot be made inside a transaction
        connection.cursor().execute("VACUUM INTO ?", (str(copy),))
        connection.close()
    finally:
        engine.dispose()
    os.chmod(copy, 0o600)
    return copy
