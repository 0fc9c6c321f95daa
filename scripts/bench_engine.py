"""The engine's figures as ratios, all from one run on one machine: `make bench`, or this file alone.

Throughput goes from the first call that the double sees to the last commit that is seen in the database. The same
calls are then made by a bare thread pool with the same processes and threads, and the same work is done by Dramatiq's
threads and by one RQ job for each call. Nothing is asserted here. Usage:

    .venv/bin/python scripts/bench_engine.py [--database sqlite|postgresql] [--only PART ...] [--items 3000]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_ground as ground  # noqa: E402
import bench_profile as profiles  # noqa: E402
import bench_rivals as rivals  # noqa: E402
from bench_ground import PUBLISH, REFRESH, ROWS, Double, Place  # noqa: E402
from sqlalchemy import select  # noqa: E402

from socialconsole import heartbeat, jobs, outcomes, publishing, store, tokens  # noqa: E402
from socialconsole.database import writing  # noqa: E402
from socialconsole.extensions import db  # noqa: E402
from socialconsole.models import PROCESSING, PUBLISHED, SCHEDULED, Delivery  # noqa: E402
from tests import postgres  # noqa: E402
from tests.running import until  # noqa: E402

ITEMS, KINDS, PAUSES = 3000, (REFRESH, PUBLISH), (300, 50)
WORKERS = 2
RQ_SHARE = 0.04  # of the items: a fork for each call takes that much longer
PARTS = ("ratios", "rivals", "hosts", "lateness", "claims", "items")
CLAIM_SIZES = (10_000, 100_000, 1_000_000)
PICK_ROOM, CLAIM_ROUNDS = 16, 30
LATE_PER_SECOND, LATE_SECONDS = 100, 30
LEAST = {"ratio_300ms": 0.85, "ratio_50ms": 0.4, "against_rq": 1.0, "against_dramatiq": 1.0, "two_hosts": 1.7}
MOST = {"claim_growth": 2.0, "lateness_p99_s": 1.5}


# ---------------------------------------------------------------- one run of a design


@contextmanager
def installation(double: Double, server: postgres.Server | None, **more: str) -> Iterator[Place]:
    """A fresh console on SQLite, or on a fresh database of that server."""
    with tempfile.TemporaryDirectory(prefix="console-bench-") as folder:
        if server is not None:
            more["DATABASE_URL"] = server.url("bench")
        place = Place(Path(folder), double, {"WORKERS": str(WORKERS), **more})
        assert not place.config.problems, place.config.problems
        try:
            place.lay_out()
            yield place
        finally:
            place.stop()


def fill(place: Place, kind: str, items: int) -> Any:
    """Rows for one run, due in a year; returns the app."""
    app, far = place.app(), datetime.now(UTC) + ground.FAR
    with app.app_context():
        ground.seed(app, items if kind == REFRESH else ground.ACCOUNTS, far)
        if kind == PUBLISH:
            ground.seed_posts(items, lambda _: far)
        ground.analyse()
    return app


def finished(place: Place, kind: str, items: int, most_seconds: float) -> dict[str, Any]:
    """Wait for the last commit; what the double saw and how fast it went. Inside an app context."""
    seen, missing = ground.wait_done(kind, most_seconds)
    stats = place.double.stats() or {}
    seconds = seen - stats["first"]
    found = {"per_second": round((items - missing) / seconds, 1), "seconds": round(seconds, 2), "missing": missing,
             "calls": stats["calls"], "distinct": stats["distinct"], "most_at_once": stats["most_at_once"],
             "seconds_by_stamp": round(ground.last_stamp(kind) - stats["first"], 2)}
    db.session.remove()
    db.engine.dispose()
    return found


def run_engine(place: Place, kind: str, items: int, pause: int, samples: Path | None = None,
               beside: Callable[[], Any] | None = None) -> dict[str, Any]:
    """The console itself; `samples`: look where its time goes; `beside`: a context with further workers."""
    app = fill(place, kind, items)
    extra = None
    if samples is not None:
        found = profiles.sampled(samples)
        extra = {**found, "PYTHONPATH": f"{samples}:{place.environ['PYTHONPATH']}"}
    with app.app_context(), ground.engine(place, extra), (beside() if beside else nullcontext()):
        time.sleep(1.0)  # the processes settle, so that none is still starting when the work becomes due
        place.double.reset(pause)
        before = place.cpu()
        played = place.double.busy()
        ground.make_due(kind, datetime.now(UTC))
        done = finished(place, kind, items, 60 + items * (pause / 1000) / 8)
        done["double_cpu_s"] = round(place.double.busy() - played, 2)
        if samples is not None:
            time.sleep(1.0)  # the sampler writes twice a second
        done["cpu_s"] = [round(spent - before[pid], 2) for pid, spent in place.cpu().items()]
        if done["missing"]:
            done["said"] = place.said()
    if samples is not None:
        done["parts"], done["steps"] = profiles.shares(samples)
    return done


def run_rival(place: Place, design: str, kind: str, items: int, pause: int) -> dict[str, Any]:
    """One of the other designs, with the engine's processes and threads."""
    if design == "pool":
        return run_pool(place, kind, items, pause)
    app = fill(place, kind, items)
    ids = [ROWS[kind].format(number) for number in range(items)]
    with app.app_context():
        ground.make_due(kind, datetime.now(UTC))
        place.start_store()
        if design == "threads":
            pass
        elif design == "rq":
            rivals.rq_enqueue(store.connect(place.config), kind, ids)
        else:
            rivals.dramatiq_enqueue(store.address(place.config), kind, ids)
        place.double.reset(pause)
        _begin(place, design, kind, items)
        done = finished(place, kind, items, 60 + items * (pause / 1000))
        if done["missing"]:
            done["said"] = place.said()
    return done


def run_pool(place: Place, kind: str, items: int, pause: int) -> dict[str, Any]:
    """The bare calls."""
    place.double.reset(pause)
    _begin(place, "pool", kind, items)
    shares = _shares(items)
    until(lambda: all((place.folder / f"done-{first}").exists() for first, _ in shares), 600, "the pool is done")
    stats = place.double.stats() or {}
    ended = max(float((place.folder / f"done-{first}").read_text()) for first, _ in shares)
    seconds = ended - stats["first"]
    return {"per_second": round(items / seconds, 1), "seconds": round(seconds, 2), "calls": stats["calls"],
            "most_at_once": stats["most_at_once"]}


def _shares(items: int) -> list[tuple[int, int]]:
    """First number and count of each process."""
    each = -(-items // WORKERS)
    return [(first, min(each, items - first)) for first in range(0, items, each)]


def _begin(place: Place, design: str, kind: str, items: int) -> None:
    """Start the processes of a rival, and let them go when all are ready."""
    environ = {**place.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    for first, count in _shares(items):
        place.spawn(sys.executable, "-c", "import bench_rivals; bench_rivals.main()", design, kind, str(first),
                    str(count), str(jobs.MOST_THREADS), str(place.folder), environ=environ)
    until(lambda: all((place.folder / f"ready-{first}").exists() for first, _ in _shares(items)), 60,
          f"{design} is ready: {place.said()}")
    (place.folder / "go").touch()


# ---------------------------------------------------------------- the parts


def ratios(double: Double, server: postgres.Server | None, items: int, base: dict[str, Any]) -> dict[str, Any]:
    """The engine against the bare pool; at 50 ms with a profile of a second run."""
    found: dict[str, Any] = {}
    for pause in PAUSES:
        for kind in KINDS:
            name = f"{kind}_{pause}ms"
            if name not in base:
                with installation(double, None) as place:
                    base[name] = run_rival(place, "pool", kind, items, pause)
            with installation(double, server) as place:
                done = run_engine(place, kind, items, pause)
            found[name] = {"engine": done, "pool": base[name]}
            found[f"{kind}_ratio_{pause}ms"] = round(done["per_second"] / base[name]["per_second"], 3)
            tell(f"{kind}_ratio_{pause}ms", found[f"{kind}_ratio_{pause}ms"], done)
    for kind in KINDS:
        with installation(double, server) as place:
            done = run_engine(place, kind, items, 50, samples=place.folder / "samples")
        found[f"{kind}_profile"] = done
        tell(f"{kind}_profile", done["per_second"], done["parts"])
    return found


def against_rivals(double: Double, server: postgres.Server | None, items: int, base: dict[str, Any],
                   known: dict[str, Any]) -> dict[str, Any]:
    """Dramatiq and RQ doing the same work."""
    found: dict[str, Any] = {}
    for pause in PAUSES:
        for kind in KINDS:
            mine = known.get(f"{kind}_{pause}ms", {}).get("engine")
            if mine is None:
                with installation(double, server) as place:
                    mine = run_engine(place, kind, items, pause)
            for design, count in (("dramatiq", items), ("rq", max(60, int(items * RQ_SHARE)))):
                with installation(double, server) as place:
                    done = run_rival(place, design, kind, count, pause)
                name = f"{kind}_against_{design}_{pause}ms"
                found[name], found[f"{name}_raw"] = round(mine["per_second"] / done["per_second"], 3), done
                tell(name, found[name], done)
    return found


def hosts(double: Double, server: postgres.Server, items: int) -> dict[str, Any]:
    """Two hosts with a folder of their own each, sharing PostgreSQL and the store, against one."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        speeds = []
        for count in (1, 2):
            with installation(double, server) as place, installation_beside(place) as other:
                def beside(other: Place = other, count: int = count) -> Any:
                    return _second_host(other) if count == 2 else nullcontext()
                done = run_engine(place, kind, items, 300, beside=beside)
            speeds.append(done["per_second"])
            found[f"{kind}_{count}_hosts"] = done
        found[f"{kind}_two_hosts"] = round(speeds[1] / speeds[0], 3)
        tell(f"{kind}_two_hosts", found[f"{kind}_two_hosts"], speeds)
    return found


@contextmanager
def installation_beside(place: Place) -> Iterator[Place]:
    """Another host of the same installation: a folder of its own, the same database, keys and store."""
    with tempfile.TemporaryDirectory(prefix="console-bench-") as folder:
        other = Place(Path(folder), place.double, {**place.more, "REDIS_URL": store.address(place.config)})
        try:
            yield other
        finally:
            other.stop()


@contextmanager
def _second_host(other: Place) -> Iterator[None]:
    ground.start_host(other)
    yield


def lateness(double: Double, server: postgres.Server | None) -> dict[str, Any]:
    """How late posts go out, 100 in each second."""
    count = LATE_PER_SECOND * LATE_SECONDS
    with installation(double, server) as place:
        app = place.app()
        with app.app_context():
            ground.seed(app, ground.ACCOUNTS, datetime.now(UTC) + ground.FAR)
        with app.app_context(), ground.engine(place):
            double.reset(50)
            first = datetime.now(UTC) + timedelta(seconds=6)
            ground.seed_posts(count, lambda number: first + timedelta(seconds=number / LATE_PER_SECOND))
            ground.analyse()
            time.sleep(max(0.0, (first - datetime.now(UTC)).total_seconds() + LATE_SECONDS))
            _, missing = ground.wait_done(PUBLISH, 60)
            late = sorted((sent - due).total_seconds() for due, sent in db.session.execute(
                select(Delivery.scheduled_for, Delivery.sent_at).where(Delivery.sent_at.is_not(None))).tuples() if sent)
            db.session.remove()
            db.engine.dispose()
    found = {"lateness_p50_s": round(statistics.median(late), 3),
             "lateness_p99_s": round(late[int(len(late) * 0.99) - 1], 3), "lateness_max_s": round(late[-1], 3),
             "lateness_min_s": round(late[0], 3), "lateness_posts": len(late), "lateness_missing": missing}
    tell("lateness_p99_s", found["lateness_p99_s"], found)
    return found


def claims(double: Double, server: postgres.Server | None) -> dict[str, Any]:
    """What finding and taking due rows costs, with ever more rows: a tenth of them due, the rest over."""
    found: dict[str, Any] = {}
    with installation(double, server) as place:
        app = place.app()
        with app.app_context():
            now = datetime.now(UTC)
            ground.seed(app, ground.ACCOUNTS, now + ground.FAR)
            have = 0
            for size in CLAIM_SIZES:
                ground.seed_posts(size - have, lambda number: now - timedelta(seconds=number % 3600), first=have,
                                  state=lambda number: SCHEDULED if number % 10 == 0 else PUBLISHED)
                have = size
                ground.analyse()
                found[str(size)] = _claim_times()
                tell(f"claims {size}", 0, found[str(size)])
            db.session.remove()
            db.engine.dispose()
    for what in ("pick", "take", "beat"):
        times = [found[str(size)][f"{what}_ms"] for size in CLAIM_SIZES if f"{what}_ms" in found[str(size)]]
        if times:
            found[f"{what}_growth"] = round(max(times) / times[0], 2)
    found["claim_growth"] = max(found.get("pick_growth", 0), found.get("take_growth", 0))
    return found


def _claim_times() -> dict[str, float]:
    """Medians in milliseconds. What is taken is given back, so that the next size finds it due."""
    now = datetime.now(UTC)
    spent: dict[str, list[float]] = {"pick": [], "take": [], "beat": []}
    for round_number in range(CLAIM_ROUNDS):
        ids = _timed(spent["pick"], partial(heartbeat.pick, "deliver", PICK_ROOM, now))
        with writing():
            _timed(spent["take"], partial(outcomes.take, ids[0], (SCHEDULED, PROCESSING), now))
            db.session.rollback()
        if round_number < 5:
            _timed(spent["beat"], partial(heartbeat.beat, now, lambda *_: None))
        _unring()
    return {f"{what}_ms": round(statistics.median(times) * 1000, 2) for what, times in spent.items()}


def _timed(into: list[float], what: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    found = what()
    into.append(time.perf_counter() - began)
    return found


def _unring() -> None:
    with writing() as session:
        session.query(Delivery).filter(Delivery.rung_until.is_not(None)).update(
            {"rung_until": None}, synchronize_session=False)


def items_cost(double: Double, server: postgres.Server | None) -> dict[str, Any]:
    """Statements and processor time of one renewal and one post, in this process."""
    found: dict[str, Any] = {}
    for kind, serve in ((REFRESH, tokens.refresh), (PUBLISH, publishing.deliver)):
        with installation(double, server) as place:
            app = fill(place, kind, 600)
            double.reset(0)
            with app.app_context():
                ground.make_due(kind, datetime.now(UTC))
                db.session.remove()
            ids = [ROWS[kind].format(number) for number in range(600)]
            found[kind] = profiles.per_item(app, serve, ids[:400], ids[400:])
            with app.app_context():
                db.engine.dispose()
        tell(f"{kind} per item", found[kind]["cpu_ms"],
             {name: value for name, value in found[kind].items() if name != "top"})
        found[kind]["top"] = found[kind]["top"][:60]
    return found


# ---------------------------------------------------------------- the whole


def measure(databases: tuple[str, ...] = ("sqlite", "postgresql"), parts: tuple[str, ...] = PARTS,
            items: int = ITEMS) -> dict[str, Any]:
    """Every figure, by database. Where there is no PostgreSQL, its place says why."""
    double, base = Double(), {}  # type: Double, dict[str, Any]
    found: dict[str, Any] = {}
    try:
        for database in databases:
            if database == "postgresql" and postgres.why_not():
                found[database] = {"left_out": postgres.why_not()}
                continue
            with (postgres.Server() if database == "postgresql" else nullcontext()) as server:
                found[database] = _of_database(double, server, parts, items, base)
    finally:
        double.stop()
    return found


def _of_database(double: Double, server: postgres.Server | None, parts: tuple[str, ...], items: int,
                 base: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "items" in parts:
        found["items"] = items_cost(double, server)
    if "ratios" in parts:
        found |= ratios(double, server, items, base)
    if "rivals" in parts:
        found |= against_rivals(double, server, items, base, found)
    if "hosts" in parts and server is not None:
        found |= hosts(double, server, items)
    if "lateness" in parts:
        found |= lateness(double, server)
    if "claims" in parts:
        found["claims"] = claims(double, server)
        found["claim_growth"] = found["claims"]["claim_growth"]
    return found


def tell(name: str, value: float, more: Any = "") -> None:
    """Progress, on standard error."""
    print(f"  {name}: {value} {json.dumps(more)[:600]}", file=sys.stderr, flush=True)


def table(found: dict[str, Any]) -> str:
    """Each figure beside its limit."""
    lines = [f"{'engine':<12}{'figure':<34}{'measured':>10}{'limit':>9}"]
    for database, figures in found.items():
        for name, value in figures.items():
            limit = next((f">= {least:g}" for end, least in LEAST.items() if end in name and _plain(value)), "") or \
                next((f"<= {most:g}" for end, most in MOST.items() if end in name and _plain(value)), "")
            if limit:
                lines.append(f"{database:<12}{name:<34}{value:>10g}{limit:>9}")
        for kind in KINDS:
            shares = figures.get(f"{kind}_profile", {}).get("parts", {})
            if shares:
                lines.append(f"{database:<12}{kind} at 50 ms, where the workers' processor time goes: " + ", ".join(
                    f"{part} {share:.0%}" for part, share in shares.items() if share >= 0.01))
        if "left_out" in figures:
            lines.append(f"{database:<12}{figures['left_out']}")
    return "\n".join(lines)


def _plain(value: Any) -> bool:
    return isinstance(value, int | float)


def main() -> None:
    """Measure what was asked for, print the table, write build/bench-engine.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--items", type=int, default=ITEMS)
    options = parser.parse_args()
    found = measure(tuple(options.database or ("sqlite", "postgresql")), tuple(options.only), options.items)
    print(table(found))
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    (folder / "bench-engine.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
