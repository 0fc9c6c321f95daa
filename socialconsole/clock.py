"""One clock for all hosts: the database's.

Leases and due times are compared by several machines; one whose clock runs ten minutes ahead would publish ten minutes
early and take over what others are working on. A SQLite file is used by one machine, whose own clock will do.
"""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event

from . import outside

log = logging.getLogger("socialconsole.clock")

ASK_EVERY = 5.0  # seconds
WORTH_CORRECTING = timedelta(milliseconds=250)  # less is the time that asking takes
_asked: list[float] = []


def watch(engine: Engine) -> None:
    """Whenever a connection to a database server is taken up, see now and then what time it is there."""
    if engine.dialect.name != "postgresql":
        return

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, _record: Any, _proxy: Any) -> None:
        if not _asked or time.monotonic() - _asked[0] >= ASK_EVERY:
            _asked[:] = [time.monotonic()]
            _compare(connection)


def follow(engine: Engine) -> None:
    """Make sure that the clock was compared lately, before anything is decided by it."""
    if engine.dialect.name == "postgresql":
        engine.connect().close()


def _compare(connection: Any) -> None:
    before = datetime.now(UTC)
    theirs: datetime = connection.execute("SELECT clock_timestamp()").fetchone()[0]
    connection.rollback()
    took = datetime.now(UTC) - before
    ahead = theirs - (before + took / 2)
    if abs(ahead) < WORTH_CORRECTING + took / 2:
        outside.correct(timedelta(0))
        return
    log.warning("this machine's clock differs from the database's, which counts",
                extra={"seconds": round(ahead.total_seconds(), 1)})
    outside.correct(ahead)
