"""How the console is doing, in figures: read from the rows, the store and the tallies, for Prometheus and for *Health*.

Every figure is a count that an index answers. They are kept for a few seconds, so that asking often costs nothing, and
no figure or label carries what a workspace wrote, named or connected.
"""

import platform as machine
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Any, NamedTuple, TypeVar

import redis
from flask import current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString
from rq.worker_registration import REDIS_WORKER_KEYS
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from . import spool, tallies
from .config import Config
from .extensions import db
from .models import (
    HELD,
    LIVE,
    PROCESSING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    UNSURE,
    Account,
    Delivery,
    Grant,
    PlatformApp,
)
from .workers import EACH_TICKER, TICKER_KEY

KEPT_SECONDS = 5.0
KEPT_TIMES_COST = 10.0  # so counting never takes more than a tenth of the time
SEEN_WITHIN = timedelta(seconds=30)
MOST_SEEN = 1000  # workers or tickers
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PREFIX = "socialconsole"
TO_DO = (SCHEDULED, PROCESSING, SENT, UNCONFIRMED)
BY_PLATFORM = (HELD, UNCONFIRMED, SENT)  # states that somebody or something has to end

Value = TypeVar("Value")


class Due(NamedTuple):
    """How many rows are due, and since when the first of them."""

    number: int
    oldest: datetime | None


@dataclass(frozen=True)
class Breaker:
    """An app that is asked nothing for a while, since its platform refused it for many accounts at once."""

    platform: str
    segment: str
    reason: str
    opened_at: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Rows:
    """What the database says."""

    deliveries_due: Due
    refreshes_due: Due
    deliveries: dict[str, int]  # by state
    waiting: dict[tuple[str, str], int]  # by state and platform
    accounts: dict[tuple[str, str], int]  # by platform and state
    breakers: tuple[Breaker, ...]
    ever: dict[tallies.Key, tallies.Sum]
    day: dict[tallies.Key, tallies.Sum]
    hour: dict[tallies.Key, tallies.Sum]


class Seen(NamedTuple):
    """A process that left word in the store."""

    host: str
    pid: str
    seen_at: datetime
    since: datetime | None = None
    queues: str = ""


@dataclass(frozen=True)
class Processes:
    """What the store says about who is at work."""

    workers: tuple[Seen, ...]
    tickers: tuple[Seen, ...]
    ticker_seen_at: datetime | None


@dataclass(frozen=True)
class Figures:
    """Everything at one instant. `rows` is None while the database is away, `processes` while the store is."""

    at: datetime
    rows: Rows | None
    processes: Processes | None
    disk_free: int | None  # bytes, where the instance folder lies
    spool_waiting: int  # renewed tokens of this host that the database has not taken yet
    spool_trouble: str  # why the spool of this host cannot be written; empty if it can
    database: str  # sqlite, postgresql


@dataclass
class _Kept:
    """The figures of this process's last count."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    figures: Figures | None = None
    until: float = 0.0


def figures(now: datetime) -> Figures:
    """The figures of now or of a few seconds ago. Whoever asks while they are counted waits for the same ones."""
    kept: _Kept = current_app.extensions.setdefault("figures", _Kept())
    with kept.lock:
        began = time.monotonic()
        if kept.figures is None or began >= kept.until:
            kept.figures = read(now)
            ended = time.monotonic()
            kept.until = ended + max(KEPT_SECONDS, KEPT_TIMES_COST * (ended - began))
        return kept.figures


def read(now: datetime) -> Figures:
    """The figures, counted afresh. What cannot be reached is None; nothing is raised for it."""
    config: Config = current_app.extensions["config"]
    try:
        free: int | None = shutil.disk_usage(config.instance_path).free
    except OSError:
        free = None
    return Figures(now, _or_none(lambda: _rows(now)), _processes(), free, spool.waiting(),
                   spool.trouble(), db.engine.dialect.name)


# ---------------------------------------------------------------- the database


def _or_none(ask: Callable[[], Value]) -> Value | None:
    try:
        found = ask()
        db.session.commit()
        return found
    except SQLAlchemyError:
        db.session.rollback()
        return None


def _rows(now: datetime) -> Rows:
    by_state = db.session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
    waiting = db.session.execute(
        select(Delivery.state, Account.platform, func.count()).join(Account, Account.id == Delivery.account_id)
        .where(Delivery.state.in_(BY_PLATFORM)).group_by(Delivery.state, Account.platform))
    accounts = db.session.execute(
        select(Account.platform, Account.state, func.count()).group_by(Account.platform, Account.state))
    return Rows(
        _due(Delivery, Delivery.state.in_(TO_DO), now), _due(Grant, Grant.state.in_((LIVE, UNSURE)), now),
        {state: number for state, number in by_state}, {(state, slug): number for state, slug, number in waiting},
        {(slug, state): number for slug, state, number in accounts}, _breakers(),
        tallies.everything(), tallies.everything(now - DAY), tallies.everything(now - HOUR))


def _due(model: Any, to_do: Any, now: datetime) -> Due:
    number, oldest = db.session.execute(
        select(func.count(), func.min(model.due_at)).where(to_do, model.due_at <= now)).one()
    return Due(number, oldest)


def _breakers() -> tuple[Breaker, ...]:
    found = db.session.execute(select(
        PlatformApp.platform, PlatformApp.segment, PlatformApp.trouble, PlatformApp.breaker_opened_at,
        PlatformApp.breaker_until).where(PlatformApp.breaker_opened_at.is_not(None)).order_by(PlatformApp.segment))
    return tuple(Breaker(*row) for row in found)


# ---------------------------------------------------------------- the store


def _processes() -> Processes | None:
    client: redis.Redis = current_app.extensions["store"]
    try:
        seen: Any = client.get(TICKER_KEY)
        return Processes(_workers(client), _tickers(client), _instant(seen))
    except redis.RedisError:
        return None


def _workers(client: redis.Redis) -> tuple[Seen, ...]:
    """The workers whose last word is recent: as RQ writes them, without loading their jobs."""
    keys = sorted(client.smembers(REDIS_WORKER_KEYS))[:MOST_SEEN]
    with client.pipeline(transaction=False) as pipe:
        for each in keys:
            pipe.hmget(each, "hostname", "pid", "last_heartbeat", "birth", "queues")
        told = pipe.execute()
    found = []
    for host, pid, beat, birth, queues in told:
        seen_at = _instant(beat)
        if seen_at is not None and _is_recent(seen_at):
            found.append(Seen(_text(host), _text(pid), seen_at, _instant(birth), _text(queues)))
    return tuple(sorted(found))


def _tickers(client: redis.Redis) -> tuple[Seen, ...]:
    keys = []
    for each in client.scan_iter(f"{EACH_TICKER}*", count=2000):
        keys.append(each)
        if len(keys) == MOST_SEEN:
            break
    values: Sequence[Any] = client.mget(keys) if keys else ()
    found = []
    for each, value in zip(keys, values, strict=True):
        host, _, pid = _text(each).removeprefix(EACH_TICKER).rpartition("-")
        seen_at = _instant(value)
        if seen_at is not None and _is_recent(seen_at):
            found.append(Seen(host, pid, seen_at))
    return tuple(sorted(found))


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value else ""


def _instant(value: bytes | None) -> datetime | None:
    """What a process wrote as its time: seconds since 1970, or RQ's own form; None if it is neither."""
    text = _text(value)
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_recent(seen_at: datetime) -> bool:
    """Whether a stamp is recent by the clock of the processes themselves, which is not the one tests set."""
    return datetime.now(UTC) - seen_at <= SEEN_WITHIN


# ---------------------------------------------------------------- for Prometheus


def exposition(found: Figures, now: datetime) -> bytes:
    """The figures as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Once(found, now))
    return generate_latest(registry)


class _Once:
    """Hands one reading to Prometheus' own writer."""

    def __init__(self, found: Figures, now: datetime) -> None:
        self._found, self._now = found, now

    def describe(self) -> Sequence[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from _whole(self._found)
        if self._found.rows is not None:
            yield from _of_rows(self._found.rows, self._now)
            yield from _of_tallies(self._found.rows.ever)
        if self._found.processes is not None:
            yield from _of_processes(self._found.processes)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", words, value)


def _gauges(name: str, words: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", words, labels=labels)
    for key in sorted(values):
        family.add_metric(key, values[key])
    return family


def _whole(found: Figures) -> Iterator[Metric]:
    yield InfoMetricFamily(f"{PREFIX}_build", "The version that answers.", {
        "version": version(), "python": machine.python_version(), "database": found.database})
    yield _gauge("database_up", "Whether the database answers.", found.rows is not None)
    yield _gauge("store_up", "Whether the store answers.", found.processes is not None)
    if found.disk_free is not None:
        yield _gauge("disk_free_bytes", "Free space where the instance folder lies.", found.disk_free)
    yield _gauge("spool_waiting", "Renewed tokens of this host that the database has not taken yet.",
                 found.spool_waiting)
    yield _gauge("spool_writable", "Whether renewed tokens of this host can be kept beside the database.",
                 not found.spool_trouble)


def version() -> str:
    """The version of the console, as it is installed."""
    try:
        return metadata.version("socialconsole")
    except metadata.PackageNotFoundError:
        return "unknown"


def _of_rows(rows: Rows, now: datetime) -> Iterator[Metric]:
    for name, what, due in (("deliveries", "deliveries", rows.deliveries_due), ("refreshes", "renewals of tokens",
                                                                              rows.refreshes_due)):
        yield _gauge(f"{name}_due", f"How many {what} are due now.", due.number)
        yield _gauge(f"{name}_oldest_due_seconds", f"For how long the oldest of the due {what} has been due.",
                     age(due.oldest, now))
    yield _gauges("deliveries", "Deliveries by state.", ("state",),
                  {(state,): number for state, number in rows.deliveries.items()})
    yield _gauges("deliveries_waiting", "Deliveries that wait for a cure, a lookup or their platform.",
                  ("state", "platform"), rows.waiting)
    yield _gauges("accounts", "Connected profiles.", ("platform", "state"), rows.accounts)
    yield _gauges("breaker_open", "Apps that are asked nothing for a while.", ("platform", "app"),
                  {(one.platform, one.segment): 1 for one in rows.breakers})


COUNTERS = (
    (tallies.REFRESH, "refreshes", "Renewals of tokens that ended so.", "outcome"),
    (tallies.PUBLISH, "publish_moves", "Deliveries that came to this state.", "state"),
    (tallies.CALL, "platform_calls", "Calls to platforms that ended so.", "outcome"),
)


def _of_tallies(ever: Mapping[tallies.Key, tallies.Sum]) -> Iterator[Metric]:
    for what, name, words, label in COUNTERS:
        family = CounterMetricFamily(f"{PREFIX}_{name}", words, labels=("platform", label))
        for key in sorted(ever):
            if key.what == what:
                family.add_metric((key.platform, key.label), ever[key].number)
        yield family
    yield _lateness(ever)


def _lateness(ever: Mapping[tallies.Key, tallies.Sum]) -> Metric:
    family = HistogramMetricFamily(
        f"{PREFIX}_lateness_seconds", "From the instant an author asked for to a worker's first touch.",
        labels=("platform",))
    for slug in sorted({key.platform for key in ever if key.what == tallies.LATENESS}):
        so_far, total, buckets = 0, 0.0, []
        for bound in tallies.LATE_BOUNDS:
            one = ever.get(tallies.Key(tallies.LATENESS, slug, bound), tallies.Sum(0, 0.0))
            so_far, total = so_far + one.number, total + one.total
            buckets.append((floatToGoString(bound), so_far))
        family.add_metric((slug,), buckets, total)
    return family


def _of_processes(found: Processes) -> Iterator[Metric]:
    for name, words, seen in (("workers", "Workers that gave a sign within 30 seconds.", found.workers),
                              ("tickers", "Tickers that gave a sign within 30 seconds.", found.tickers)):
        hosts = {one.host for one in seen}
        yield _gauges(name, words, ("host",),
                      {(host,): sum(one.host == host for one in seen) for host in hosts})
    if found.ticker_seen_at is not None:
        yield _gauge("ticker_seen_seconds", "How long ago any ticker gave a sign.",
                     age(found.ticker_seen_at, datetime.now(UTC)))


def age(instant: datetime | None, now: datetime) -> float:
    """Seconds since an instant, 0 for none or one ahead."""
    return max(0.0, (now - instant).total_seconds()) if instant is not None else 0.0
