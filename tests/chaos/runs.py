"""The runs of `make chaos`: what is injected in each, and the promise that is looked at afterwards.

Each takes a `Scale`: 1 is the full measure, less is the same in short. `ground` makes the ground of a run.
"""

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

import redis
from sqlalchemy import func, select

from socialconsole import outside
from socialconsole.database import writing
from socialconsole.models import (
    DEAD,
    MISSED,
    PUBLISHED,
    PUBLISHING,
    UNCONFIRMED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    Post,
    Series,
)
from socialconsole.outcomes import LEASE
from tests import postgres
from tests.chaos import seeds, truth
from tests.chaos.fleet import WORKER, Ground, Host
from tests.chaos.host import CLOCK
from tests.chaos.truth import Result
from tests.running import fetch, free_port, until

SINGLE_USE, REUSABLE = ("twitter", "tiktok"), ("threads", "youtube")
PUBLISHERS = ("twitter", "threads", "linkedin")
SHORT = 0.1  # a smaller scale than this is the short form: less patience with platforms, and sweeps every second
KILL_EVERY = 0.6  # seconds
DAY = 86_400.0
HOURS = 6 * 3600.0  # how far a run's clock may jump: beyond every look-up and back-off, before any renewal
SWEEP = 5.5  # seconds between two sweeps of the ticker, and a little
SEEN_SOON = 3.0  # seconds from the sweep to the call
SEEN_SOON_BESIDE = 20.0  # the same where several runs share the machine, as in the short form


@dataclass(frozen=True)
class Scale:
    """How much of the full measure."""

    factor: float = 1.0

    def of(self, number: float, least: int = 1) -> int:
        """So many of `number`, at least `least`."""
        return max(least, round(number * self.factor))

    def seconds(self, number: float, least: float) -> float:
        """So many of `number` seconds, at least `least`."""
        return max(least, number * self.factor)


@dataclass
class Case:
    """What a run gets: where, how much, and by which chance."""

    database: str
    server: postgres.Server | None
    scale: Scale
    seed: int
    publishers: tuple[str, ...] = PUBLISHERS

    def ground(self, folder: Path | None = None) -> Ground:
        """A fresh ground."""
        is_short = self.scale.factor < SHORT
        return Ground(self.database, self.server, patience=4.0 if is_short else 10.0, sweep=1.0 if is_short else None,
                      seed=self.seed, folder=folder)


Start = Callable[[Ground], Host]  # starts what works on the rows: the console, or the naive variant


def the_console(ground: Ground) -> Host:
    """Four workers and a ticker."""
    return ground.start_workers(4)


# ---------------------------------------------------------------- refresh storm


def refresh_storm(case: Case, start: Start = the_console) -> Result:
    """10,000 grants due, 5 % faults, 200 kills."""
    with case.ground() as ground:
        spaces = seeds.workspaces(ground, 10)
        count = case.scale.of(10_000, 120)
        for number, platform in enumerate((*SINGLE_USE, *REUSABLE)):
            _, client_id = seeds.app(ground, platform)
            share = count // 3 if platform in SINGLE_USE else count // 6
            # Whoever does not know whether a rotating token was spent waits for the end of the access token.
            seeds.grants(ground, platform, share, spaces, client_id=client_id, first=number * 100_000,
                         life=60 if platform in SINGLE_USE else DAY, due_in=0.0, over=count / 150)
        ground.mix(0.05, "refresh")
        start(ground)
        kills = case.scale.of(200, 5)
        ground.killing(kills, kills * KILL_EVERY).join()
        truth.calm(ground, HOURS, within=1800)
        ground.mix(0)
        truth.calm(ground, HOURS)
        result = truth.judge_grants(ground)
        result.injected = ground.injected()
        return result


# ---------------------------------------------------------------- contention


def contention(case: Case, start: Start = the_console) -> Result:
    """50 callers in 4 processes want one token that has run out."""
    result = Result()
    rounds = case.scale.of(20, 2)
    with case.ground() as ground:
        spaces = seeds.workspaces(ground, 1)
        _, client_id = seeds.app(ground, "twitter")
        made = seeds.grants(ground, "twitter", rounds, spaces, client_id=client_id, life=1, due_in=0)
        ground.clock.move(5)
        used = 0
        for one in made:
            used += _crowd(ground, one["account"], result)
        calls = ground.control("GET", "/counts")["renewals"]
        result.facts |= {"rounds": rounds, "usable_tokens": used, "calls_to_the_platform": calls}
        if calls != rounds:
            result.miss("replays", f"{calls} renewals for {rounds} tokens")
        return result.add(truth.judge_grants(ground))


def _crowd(ground: Ground, account: str, result: Result) -> int:
    """Let the callers run; how many got the token that the platform accepts."""
    begin, crowd = str(time.time() + 1), ground.host(f"callers-{account}")
    output = crowd.folder / "output.txt"
    for count in ("13", "13", "12", "12"):
        crowd.start(account, count, begin, program="callers")
    for process in crowd.processes:
        process.wait(90)
    got = output.read_text().split()
    known = {one["grant"]: one["tokens"] for one in ground.control("GET", "/grants")}
    right = known[account.removeprefix("acc_")]
    usable = sum(one in right for one in got)
    for _ in range(50 - usable):
        result.miss("lost", f"a caller of {account} got no usable token")
    return usable


# ---------------------------------------------------------------- publish storm


def _authors(ground: Ground, count: int, spaces: int, platforms: Sequence[str] = PUBLISHERS) -> list[str]:
    """Accounts that can publish, the platforms in turn."""
    ids = seeds.workspaces(ground, spaces)
    by_platform = []
    for number, platform in enumerate(platforms):
        _, client_id = seeds.app(ground, platform)
        made = seeds.grants(ground, platform, -(-count // len(platforms)), ids, client_id=client_id,
                            first=number * 100_000)
        by_platform.append([one["account"] for one in made])
    return [account for row in zip(*by_platform, strict=True) for account in row][:count]


def publish_storm(case: Case, start: Start = the_console) -> Result:
    """5,000 deliveries due over 60 s, 5 % faults, 200 kills."""
    with case.ground() as ground:
        accounts = _authors(ground, case.scale.of(200, 12), 8, case.publishers)
        over = case.scale.seconds(60, 2)
        start(ground)
        ground.mix(0.05)
        seeds.deliveries(ground, accounts, case.scale.of(5_000, 60), over=over)
        kills = case.scale.of(200, 5)
        ground.killing(kills, max(over, kills * KILL_EVERY)).join()
        truth.calm(ground, HOURS, within=1800)
        ground.mix(0)
        truth.calm(ground, HOURS)
        result = truth.judge_deliveries(ground)
        result.injected = ground.injected()
        return result


# ---------------------------------------------------------------- step kills

# Where a call can stand: platform, operation at the sandbox, and whether it has taken effect already.
CALLS = (("threads", "upload", False), ("threads", "upload", True), ("threads", "status", False),
         ("threads", "status", True), ("threads", "publish", False), ("threads", "publish", True),
         ("twitter", "publish", False), ("twitter", "publish", True))
AT_ONCE = 25  # calls that stand at the gate together; one kill meets all of them
COMMIT_WITHIN = 0.03  # seconds after an answer in which the commit falls


def step_kills(case: Case, start: Start = the_console) -> Result:
    """kill -9 at each call of prepare, check and publish, and around each commit, 200 times each."""
    times = case.scale.of(200, 3)
    at_once = min(AT_ONCE, times)
    with case.ground() as ground:
        rounds = -(-times // at_once) * sum(2 if after else 1 for *_, after in CALLS)
        accounts = _authors(ground, rounds * at_once * 2, 4, ("threads", "twitter"))
        fresh = {"threads": iter(accounts[0::2]), "twitter": iter(accounts[1::2])}
        start(ground)
        done = 0
        for platform, operation, after in CALLS:
            for in_commit in (False, True) if after else (False,):
                for _ in range(-(-times // at_once)):
                    mine = list(islice(fresh[platform], at_once))
                    done += _kill_at(ground, platform, operation, after, in_commit, mine, done)
        truth.calm(ground, HOURS, within=1800)
        result = truth.judge_deliveries(ground)
        result.facts["steps"] = len(CALLS)
        result.injected = ground.injected()
        return result


def _kill_at(ground: Ground, platform: str, operation: str, after: bool, in_commit: bool, accounts: list[str],
             first: int) -> int:
    """Hold the calls of one delivery for each account at the gate, and kill all workers there; how many were due."""
    gate = ground.control("POST", "/faults", {"platform": platform, "operation": operation, "kind": "gate",
                                              "after": after, "times": len(accounts)})["id"]
    seeds.deliveries(ground, accounts, len(accounts), first=first)
    with suppress(AssertionError):  # what was killed before is taken up again and may stand at the gate in its place
        until(lambda: _waits_at(ground, gate, len(accounts)), 6)
    if in_commit:
        ground.control("POST", f"/faults/{gate}/release")
        time.sleep(ground.random.random() * COMMIT_WITHIN)
    ground.kill_all(WORKER)
    ground.control("DELETE", f"/faults/{gate}")
    return len(accounts)


def _waits_at(ground: Ground, gate: str, count: int) -> bool:
    """Whether so many calls stand at the gate. The clock runs faster meanwhile, over the pauses between steps."""
    ground.clock.move(0.2)
    return bool(ground.control("GET", f"/faults/{gate}")["waiting"] >= count)


# ---------------------------------------------------------------- store lost


def store_lost(case: Case, start: Start = the_console) -> Result:
    """The store emptied ten times, away for 60 s, out of memory."""
    with case.ground() as ground:
        accounts = _authors(ground, 24, 3)
        start(ground)
        count, away = case.scale.of(1000, 48), case.scale.seconds(60, 4)
        seeds.deliveries(ground, accounts, count, over=away * 2)
        for _ in range(10):
            time.sleep(away / 20)
            ground.store.flushall()
        ground.stop_store()
        seeds.deliveries(ground, accounts, 12, first=count)
        time.sleep(away)
        ground.start_store()
        back = outside.now()
        result = _all_within_a_sweep(ground, [f"dlv_{count + number:026d}" for number in range(12)], back)
        _out_of_memory(ground, accounts, count + 12, away / 2)
        truth.calm(ground, HOURS)
        result.add(truth.judge_deliveries(ground))
        _all_published(ground, result)
        result.injected = {"flushall": 10, "seconds_away": round(away), "seconds_out_of_memory": round(away / 2)}
        return result


def _out_of_memory(ground: Ground, accounts: list[str], first: int, seconds: float) -> None:
    ground.store.config_set("maxmemory", 1024)
    seeds.deliveries(ground, accounts, 12, first=first)
    time.sleep(seconds)
    with suppress(redis.RedisError):
        ground.store.config_set("maxmemory", 0)


def _all_within_a_sweep(ground: Ground, ids: list[str], back: object) -> Result:
    """What was due while something was away goes out within one sweep after it is back."""
    result, within = Result(), SWEEP + (SEEN_SOON_BESIDE if ground.sweep else SEEN_SOON)
    with suppress(AssertionError):
        until(lambda: _published(ground, ids) == len(ids), within)
    missing = len(ids) - _published(ground, ids)
    result.facts["late_after_it_was_back"] = missing
    for _ in range(missing):
        result.miss("stuck", f"not published {within:g} s after {back}")
    return result


def _published(ground: Ground, ids: list[str]) -> int:
    with ground.looking() as session:
        return session.scalar(select(func.count()).where(Delivery.id.in_(ids), Delivery.state == PUBLISHED)) or 0


def _all_published(ground: Ground, result: Result) -> None:
    """Nothing failed at the platforms, so every post has to be out."""
    with ground.looking() as session:
        for delivery in session.scalars(select(Delivery).where(Delivery.state != PUBLISHED)):
            result.miss("lost", f"{delivery.id}: {delivery.state} {delivery.note}")


# ---------------------------------------------------------------- database trouble


def database_trouble(case: Case, start: Start = the_console) -> Result:
    """The database locked or away for 20 s, restarted, its disk full, while tokens are renewed and posts go out."""
    with _small_disk() as disk, case.ground(disk if case.server is None else None) as ground:
        accounts = _authors(ground, 24, 3)
        count, seconds = case.scale.of(600, 36), case.scale.seconds(20, 2)
        for number, platform in enumerate(("tiktok", "youtube")):
            _, client_id = seeds.app(ground, platform)
            seeds.grants(ground, platform, count // 2, ["wsp_" + "0" * 26], client_id=client_id, due_in=0.0,
                         over=seconds * 3, first=(number + 5) * 100_000)
        start(ground)
        seeds.deliveries(ground, accounts, count, over=seconds * 3)
        injected = _trouble_server(ground, seconds) if ground.server else _trouble_file(ground, seconds, disk)
        truth.calm(ground, HOURS)
        result = truth.judge_deliveries(ground).add(_renewed_if_due(ground))
        result.injected = injected
        result.facts["half_written"] = _half_written(ground, result)
        return result


def _renewed_if_due(ground: Ground) -> Result:
    return truth.judge_grants(ground, renewed=False)


def _trouble_server(ground: Ground, seconds: float) -> dict[str, int]:
    assert ground.server is not None
    for how in ("fast", "immediate", "kill"):
        time.sleep(seconds / 4)
        ground.server.restart(how)
    time.sleep(seconds / 4)
    ground.server.stop("fast")
    time.sleep(seconds)
    ground.server.start()
    time.sleep(seconds)
    return {"restarts": 3, "seconds_stopped": round(seconds)}


def _trouble_file(ground: Ground, seconds: float, disk: Path | None) -> dict[str, int]:
    time.sleep(seconds / 2)
    file = ground.folder / "data" / "console.db"
    locker = subprocess.Popen([sys.executable, "-c", _LOCK, str(file), str(seconds)])
    locker.wait()
    if disk is None:
        return {"seconds_locked": round(seconds)}
    filler = disk / "filler"
    with filler.open("wb") as full, suppress(OSError):
        while True:
            full.write(b"\0" * 65536)
            full.flush()
    time.sleep(seconds)
    filler.unlink()
    time.sleep(seconds)
    return {"seconds_locked": round(seconds), "seconds_disk_full": round(seconds)}


_LOCK = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
database.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
database.execute("ROLLBACK")
"""


@contextmanager
def _small_disk(megabytes: int = 64) -> Iterator[Path | None]:
    """A file system of its own that can be filled up; None where we may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="console-chaos-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
                             capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def _half_written(ground: Ground, result: Result) -> int:
    """Rows that contradict themselves, and a file that SQLite finds broken."""
    with ground.looking() as session:
        wrong = session.scalar(select(func.count()).where(
            Delivery.state == PUBLISHED, Delivery.platform_post_id == "")) or 0
        wrong += session.scalar(select(func.count()).where(Grant.state != DEAD, Grant.access_sealed.is_(None))) or 0
    if ground.server is None:
        with sqlite3.connect(ground.folder / "data" / "console.db") as database:
            wrong += database.execute("PRAGMA integrity_check").fetchone() != ("ok",)
    for _ in range(wrong):
        result.miss("lost", "a row is half written")
    return wrong


# ---------------------------------------------------------------- downtime


def downtime(case: Case, start: Start = the_console) -> Result:
    """Everything off, the clock three days on; then ten missed intervals of a series."""
    with case.ground() as ground:
        accounts = _authors(ground, 12, 2)
        count = case.scale.of(500, 24)
        seeds.deliveries(ground, accounts, count, over=3600, due_in=600)
        _series(ground, accounts[0])
        ground.clock.move(3 * DAY)
        start(ground)
        until(lambda: _states(ground).get(MISSED, 0) >= count, 60, "the missed ones are shown")
        result = truth.judge_deliveries(ground)
        out = sum(truth.creates(ground).values())
        result.facts["published_beyond_the_window"] = out
        for _ in range(out):
            result.miss("lost", "published beyond its window")
        result.injected = {"days_off": 3 + 10}
        return _after_ten_intervals(ground, result)


def _states(ground: Ground) -> dict[str, int]:
    with ground.looking() as session:
        rows = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
        return {state: number for state, number in rows}


def _series(ground: Ground, account: str) -> None:
    """A daily post whose first time comes after the three days, with that first post ahead."""
    first = (outside.now() + timedelta(days=4)).replace(second=0, microsecond=0)
    with ground.looking() as session, writing():
        workspace_id = session.get_one(Account, account).workspace_id
        series = Series(id="ser_" + "0" * 26, workspace_id=workspace_id, text="Bread of the day", content={},
                        targets=[{"account_id": account, "format": "text", "options": {}}], every="day",
                        first_wall=f"{first:%Y-%m-%dT%H:%M}", time_zone="UTC", number=0, next_at=first,
                        created_at=outside.now())
        session.add(series)


def _after_ten_intervals(ground: Ground, result: Result) -> Result:
    for host in ground.hosts:
        host.stop()
    with ground.looking() as session:
        due = session.get_one(Series, "ser_" + "0" * 26).next_at
    assert due is not None
    ground.clock.move((due - outside.now()).total_seconds() + 9 * DAY + 60)
    the_console(ground)
    until(lambda: _next_is_ahead(ground), 30, "the series went on")
    time.sleep(2)
    with ground.looking() as session:
        now = outside.now()
        of_series = session.scalars(select(Post).where(Post.series_id.is_not(None))).all()
        came = [post for post in of_series if post.due_at <= now]
        sent = truth.creates(ground)["Bread of the day"]
    result.facts |= {"posts_of_the_series": len(came), "sent_of_the_series": sent, "ahead": len(of_series) - len(came)}
    if sent > 1 or len(of_series) - len(came) > 1:
        result.miss("duplicates", f"a series went out {sent} times after ten missed intervals")
    if sent == 0 and not came:
        result.miss("missed_silently", "a series left nothing behind of ten missed intervals")
    return result


def _next_is_ahead(ground: Ground) -> bool:
    with ground.looking() as session:
        next_at = session.get_one(Series, "ser_" + "0" * 26).next_at
    return next_at is None or next_at > outside.now()


# ---------------------------------------------------------------- many hosts


def many_hosts(case: Case, start: Start = the_console) -> Result:
    """Three hosts with two tickers, ten workers and four webs; one is cut off in the middle of publishing.

    SQLite knows one host only: there the three are one machine's processes in three groups, with one folder.
    """
    with case.ground() as ground:
        accounts = _authors(ground, 36, 4)
        hosts = _three_hosts(ground, case.scale.factor < 1)
        count = case.scale.of(2000, 72)
        seeds.deliveries(ground, accounts, count // 2, over=case.scale.seconds(20, 2))
        cut = hosts[1]
        gate = _gate(ground)
        seeds.deliveries(ground, accounts, count - count // 2, first=count // 2)
        with suppress(AssertionError):
            until(lambda: _at_work(ground) > 0, 10)
        cut.signal(SIGSTOP)
        ground.control("DELETE", f"/faults/{gate}")
        time.sleep(ground.patience + 1)
        ground.clock.move(LEASE.total_seconds() + 10)
        time.sleep(2 * (ground.sweep or SWEEP))
        cut.signal(SIGCONT)
        truth.calm(ground, HOURS)
        result = truth.judge_deliveries(ground)
        result.facts["webs_ready"] = _ready_webs(ground, result)
        result.injected = {"hosts": len({host.folder for host in hosts}), "cut_off": 1}
        return result


def _three_hosts(ground: Ground, short: bool) -> list[Host]:
    counts = ((2, True), (2, True), (1, False)) if short else ((4, True), (3, True), (3, False))
    hosts = []
    for number, (count, ticker) in enumerate(counts, 1):
        host = ground.host(f"host{number}", "" if ground.server else "one")
        host.start("worker", "--count", str(count), *([] if ticker else ["--no-ticker"]))
        hosts.append(host)
    for host in [hosts[number % 3] for number in range(2 if short else 4)]:
        port = free_port()
        # RQ's signs of life go by the real clock, so whoever looks at them must not jump ahead of it.
        host.start("web", BIND=f"127.0.0.1:{port}", **{CLOCK: str(ground.folder / "real clock")})
        ground.web_ports.append(port)
    until(lambda: sum(len(host.pids(WORKER)) for host in hosts) >= sum(count for count, _ in counts), 40,
          "the workers of all hosts are there")
    return hosts


def _gate(ground: Ground) -> str:
    """Hold some posts at the platform, so that the cut falls into the middle of publishing."""
    return str(ground.control("POST", "/faults", {"platform": "threads", "operation": "publish", "kind": "gate",
                                                  "after": True, "times": 6})["id"])


def _at_work(ground: Ground) -> int:
    with ground.looking() as session:
        return session.scalar(select(func.count()).where(Delivery.state == PUBLISHING)) or 0


def _ready_webs(ground: Ground, result: Result) -> int:
    ready = 0
    for port in ground.web_ports:
        address = f"http://127.0.0.1:{port}/readyz"
        with suppress(AssertionError):
            ready += bool(until(partial(_is_ready, address), 15))
            continue
        result.miss("lost", f"a web of one of the hosts is not ready: {fetch(address)}")
    return ready


def _is_ready(address: str) -> bool:
    return fetch(address)[0] == 200


# ---------------------------------------------------------------- rolling restarts

STOPS_WITHIN = 20.0  # seconds


def rolling(case: Case, start: Start = the_console) -> Result:
    """Ten restarts by SIGTERM, of two groups of workers and tickers in turn, while posts go out that take a second."""
    with case.ground() as ground:
        accounts = _authors(ground, 36, 4)
        restarts = case.scale.of(10, 2)
        for platform in PUBLISHERS:
            ground.control("POST", "/faults", {"platform": platform, "operation": "publish", "kind": "slow",
                                               "seconds": 1.0, "times": 10**6, "after": True})
        hosts = [ground.start_workers(2, name) for name in ("one", "two")]
        count = restarts * 40
        seeds.deliveries(ground, accounts, count, over=restarts * 3.0)
        stops = [_restart(ground, hosts, number) for number in range(restarts)]
        truth.calm(ground, HOURS)
        result = truth.judge_deliveries(ground)
        _all_published(ground, result)
        result.facts |= {"slowest_stop_seconds": round(max(stops), 1), "ever_unconfirmed": _ever_unconfirmed(ground)}
        for _ in range(result.facts["ever_unconfirmed"]):
            result.miss("unresolved", "an orderly stop left a post without an answer")
        for _ in (one for one in stops if one > STOPS_WITHIN):
            result.miss("stuck", f"a stop took more than {STOPS_WITHIN:g} s")
        result.injected = {"sigterm": restarts}
        return result


def _restart(ground: Ground, hosts: list[Host], number: int) -> float:
    """Stop a group in order while it works and start it anew; how many seconds the stop took."""
    time.sleep(1.0 + ground.random.random())
    which = number % len(hosts)
    began = time.monotonic()
    for process in hosts[which].processes:
        process.signal(SIGTERM)
    for process in hosts[which].processes:
        process.wait()
    stopped = time.monotonic() - began
    ground.hosts.remove(hosts[which])
    hosts[which] = ground.start_workers(2, hosts[which].name)
    return stopped


def _ever_unconfirmed(ground: Ground) -> int:
    with ground.looking() as session:
        return session.scalar(select(func.count()).select_from(DeliveryEvent).where(
            DeliveryEvent.state == UNCONFIRMED)) or 0


RUNS: dict[str, Callable[..., Result]] = {run.__name__: run for run in (
    refresh_storm, contention, publish_storm, step_kills, store_lost, database_trouble, downtime, many_hosts, rolling)}
