"""How often things happened, in five-minute rows: for the metrics and the charts of *Health*, and for nothing else.

Counting costs a dictionary entry; `flush` writes what came together, once a second or so. What a killed process had
not yet written is lost: no decision rests on a tally.
"""

import logging
import os
import re
import threading
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError

from . import outside
from .database import writing
from .errors import (
    AlreadyPublished,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from .extensions import db
from .models import Tally

log = logging.getLogger("socialconsole.tallies")

EVER = datetime(1970, 1, 1, tzinfo=UTC)  # the row that older ones are folded into
BUCKET = timedelta(minutes=5)
REFRESH, PUBLISH, LATENESS, CALL, WHOM, CLOCK = (
    "refresh", "publish", "lateness", "call", "whom", "clock")
# Upper bounds of lateness in seconds, as they are stored: the last one has no bound.
LATE_BOUNDS = ("0.5", "1", "2", "5", "15", "60", "300", "inf")
# How far this machine's clock is from those of platforms that answered: upper bounds in seconds, with a sign.
DRIFTS = (2, 5, 30, 120, 600)
MOST_LABELS = 100  # of one kind and platform between two writes; what comes on top is called OTHER
OTHER = "other"
ROWS_AT_ONCE = 500  # each takes six of the 32,766 values that a statement of SQLite may carry
# The words for what a platform answers, the first kind that fits: few, since its own codes are without number.
KINDS: tuple[tuple[type[PlatformError], str], ...] = (
    (RateLimited, "rate_limited"), (OutcomeUnknown, "no_answer"), (TryLater, "try_later"),
    (NeedsReconnect, "reconnect"), (PermissionMissing, "permission"), (AlreadyPublished, "already_published"),
    (ContentRejected, "content"), (ConfigurationWrong, "app"))
# What a kind of answer says about whom: the platform, the app, one profile, or how much was asked. What the platform
# said about a post was an answer like any other.
FINE, OUTAGE, APP, PERSON, LIMIT = "fine", "outage", "app", "person", "limit"
FAMILIES = {"no_answer": OUTAGE, "try_later": OUTAGE, "app": APP, "reconnect": PERSON, "permission": PERSON,
            "rate_limited": LIMIT, OTHER: OTHER}
DRAWERS = 16  # those who were answered are counted by the drawers that their ids fall into: at least so many there were
# A code may come from a platform's answer: it is cut to what a label may hold.
UNFIT = re.compile(r"[^\w.:/ -]")


class Key(NamedTuple):
    """What is counted: the kind, the platform, and an outcome, a code or an upper bound."""

    what: str
    platform: str
    label: str


class Sum(NamedTuple):
    """How often, and the sum of what was measured."""

    number: int
    total: float


_lock = threading.Lock()
_counted: dict[Key, Sum] = {}


def count(what: str, platform: str, label: str, amount: int = 1, total: float = 0.0) -> None:
    """Count in this process, from any thread; nothing is written before `flush`."""
    key = Key(what[:20], platform[:20], UNFIT.sub("_", label)[:80])
    with _lock:
        if key not in _counted and sum(one[:2] == key[:2] for one in _counted) >= MOST_LABELS:
            key = key._replace(label=OTHER)
        _add(_counted, key, Sum(amount, total))


def refreshed(platform: str, outcome: str) -> None:
    """A renewal ended: ok, try_later, rate_limited, no_answer, refused, app_refused or ours."""
    count(REFRESH, platform, outcome)


def moved(platform: str, state: str) -> None:
    """A delivery came to a state that tells how publishing goes: published, sent, failed, held, …"""
    count(PUBLISH, platform, state)


def late(platform: str, seconds: float) -> None:
    """A worker took up a delivery for the first time, so many seconds after the instant its author asked for."""
    bound = next((each for each in LATE_BOUNDS if seconds <= float(each)), LATE_BOUNDS[-1])
    count(LATENESS, platform, bound, total=max(seconds, 0.0))


def called(platform: str, outcome: str) -> None:
    """A platform was called: ok, or a kind of error."""
    count(CALL, platform, outcome)


def answered(platform: str, answer: object, whom: str = "") -> None:
    """A call to a platform ended with a value or a PlatformError, which is counted by its kind.

    `whom`: the grant it was made with, so that one that fails often is told from many that fail.
    """
    kind = "ok" if not isinstance(answer, PlatformError) else next(
        (word for error, word in KINDS if isinstance(answer, error)), OTHER)
    called(platform, kind)
    if whom:
        count(WHOM, platform, f"{FAMILIES.get(kind, FINE)}:{drawer(whom)}")


def drawer(whom: str) -> int:
    """The drawer that a grant is counted in; others may share it."""
    return zlib.crc32(whom.encode()) % DRAWERS


def drawers(counted: Mapping[Key, Sum], platform: str, family: str) -> frozenset[int]:
    """The drawers of those whom a platform gave answers of a family."""
    return frozenset(int(key.label.partition(":")[2]) for key in counted
                     if key.what == WHOM and key.platform == platform and key.label.startswith(f"{family}:"))


def _add(sums: dict[Key, Sum], key: Key, more: Sum) -> None:
    had = sums.get(key, Sum(0, 0.0))
    sums[key] = Sum(had.number + more.number, had.total + more.total)


def _forget() -> None:
    """A forked process starts from nothing: its parent writes what the parent counted."""
    global _lock
    _lock = threading.Lock()
    _counted.clear()


os.register_at_fork(after_in_child=_forget)


# ---------------------------------------------------------------- writing


def flush(now: datetime) -> int:
    """Write what this process counted into the five minutes of `now`; returns how many rows changed.

    While the database is away it returns 0 and keeps everything for the next time. Needs an app context.
    """
    _count_drift()
    with _lock:
        taken = dict(_counted)
        _counted.clear()
    if not taken:
        return 0
    try:
        with writing():
            _put(bucket(now), taken)
    except BaseException as error:
        with _lock:
            for key, had in taken.items():
                _add(_counted, key, had)
        if not isinstance(error, OperationalError | InterfaceError):
            raise
        db.session.rollback()
        log.warning("tallies wait, since the database does not answer", extra={"rows": len(taken)})
        return 0
    return len(taken)


def _count_drift() -> None:
    drift = outside.seen_drift()
    if drift is not None:
        seconds = drift.total_seconds()
        bound = next((str(each) for each in DRIFTS if abs(seconds) <= each), "more")
        count(CLOCK, "", f"{'behind' if seconds > 0 else 'ahead'}:{bound}", total=seconds)


def bucket(instant: datetime) -> datetime:
    """The beginning of the five minutes that an instant lies in."""
    seconds = int(BUCKET.total_seconds())
    return datetime.fromtimestamp(instant.timestamp() // seconds * seconds, UTC)


def _put(at: datetime, sums: Mapping[Key, Sum]) -> None:
    """Add to rows that may be there or not. All in one order, so that two processes never wait for each other."""
    dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
    table: Table = Tally.__table__  # type: ignore[assignment]
    rows = [{"at": at, **key._asdict(), "count": sums[key].number, "total": sums[key].total} for key in sorted(sums)]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        insert = dialect.insert(table).values(rows[start : start + ROWS_AT_ONCE])
        db.session.execute(insert.on_conflict_do_update(
            index_elements=["at", "what", "platform", "label"],
            set_={"count": table.c.count + insert.excluded.count, "total": table.c.total + insert.excluded.total}))


def fold(before: datetime, most: int = 1000) -> int:
    """Add up to `most` rows older than `before` to the EVER ones and drop them; returns how many were dropped.

    Sums over all rows stay what they were. To be called until it returns less than `most`.
    """
    with writing() as session:
        old = session.execute(select(Tally.at, Tally.what, Tally.platform, Tally.label, Tally.count.label("number"),
                                     Tally.total)
                              .where(Tally.at > EVER, Tally.at < bucket(before))
                              .order_by(Tally.at, Tally.what, Tally.platform, Tally.label)
                              .limit(most).with_for_update()).all()
        sums: dict[Key, Sum] = {}
        for row in old:
            _add(sums, Key(row.what, row.platform, row.label), Sum(row.number, row.total))
        if sums:
            _put(EVER, sums)
        for row in old:
            session.execute(delete(Tally).where(*_is(row)).execution_options(synchronize_session=False))
    return len(old)


def _is(row: Any) -> Iterable[ColumnElement[bool]]:
    return Tally.at == row.at, Tally.what == row.what, Tally.platform == row.platform, Tally.label == row.label


# ---------------------------------------------------------------- reading


def everything(since: datetime = EVER) -> dict[Key, Sum]:
    """What was counted since then (default: ever), of every kind."""
    rows = db.session.execute(
        select(Tally.what, Tally.platform, Tally.label, func.sum(Tally.count), func.sum(Tally.total))
        .where(Tally.at >= since).group_by(Tally.what, Tally.platform, Tally.label))
    return {Key(what, platform, label): Sum(int(number), float(total))
            for what, platform, label, number, total in rows}


def courses(what: str, since: datetime) -> dict[datetime, dict[str, int]]:
    """How often each label was counted in each five minutes since then, over all platforms; empty ones are left out."""
    rows = db.session.execute(
        select(Tally.at, Tally.label, func.sum(Tally.count))
        .where(Tally.what == what, Tally.at >= max(since, EVER + BUCKET)).group_by(Tally.at, Tally.label))
    found: dict[datetime, dict[str, int]] = {}
    for at, label, number in rows:
        found.setdefault(at, {})[label] = int(number)
    return found


def share_within(counts: Mapping[str, int], share: float) -> str | None:
    """The upper bound of lateness that this share of all kept, such as 0.99; None if there was none at all."""
    everything, so_far = sum(counts.values()), 0
    for bound in LATE_BOUNDS:
        so_far += counts.get(bound, 0)
        if everything and so_far >= share * everything:
            return bound
    return None


def by_label(counted: Mapping[Key, Sum], what: str, platform: str | None = None) -> dict[str, int]:
    """How often each label of a kind was counted, at one platform or over all."""
    found: dict[str, int] = {}
    for key, one in counted.items():
        if key.what == what and platform in (None, key.platform):
            found[key.label] = found.get(key.label, 0) + one.number
    return found
