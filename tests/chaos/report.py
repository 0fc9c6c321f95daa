"""Running the runs, and telling what came of them: a table for people, `build/chaos.json` for machines."""

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests import postgres
from tests.chaos import runs
from tests.chaos.fleet import Ground, Host
from tests.chaos.runs import Case, Scale
from tests.chaos.truth import MISSES, Result
from tests.running import ROOT

SQLITE, POSTGRESQL = "sqlite", "postgresql"
DATABASES = (SQLITE, POSTGRESQL)
# What the naive variant is put through, and what the harness has to see there.
NAIVE = {"refresh_storm": ("lost", "replays"), "publish_storm": ("duplicates",)}
NAIVE_AT_MOST = Scale(0.05)  # it fails long before the full measure
TAKES_REPEATS = ("threads",)  # platforms that take the same text twice: the others hide a second send by refusing it
FILE = ROOT / "build" / "chaos.json"
COLUMNS = (*MISSES, "seconds")


def the_naive(ground: Ground) -> Host:
    """Four workers of the naive variant."""
    return ground.start_naive(4)


@contextmanager
def server_for(database: str) -> Iterator[postgres.Server | None]:
    """The server that the runs on a database need: none for SQLite. Raises postgres.Missing."""
    with postgres.Server(fsync=False) if database == POSTGRESQL else nullcontext() as server:
        yield server


def run_one(name: str, case: Case, start: Callable[[Ground], Host] = runs.the_console) -> Result:
    """One run's figures; a run that breaks off is a miss, and says why."""
    began = time.monotonic()
    try:
        result = runs.RUNS[name](case, start)
    except Exception as error:
        traceback.print_exc()
        result = Result(stuck=1, examples=[f"the run broke off: {type(error).__name__}: {error}"])
    result.seconds = round(time.monotonic() - began, 1)
    return result


def run_all(databases: Iterable[str], names: Sequence[str], scale: Scale, seed: int, *,
            naive: bool = True, keep: Callable[[dict[str, Any]], None] = lambda found: None) -> dict[str, Any]:
    """All figures by database and run, told while they come; `naive` holds those of the naive variant, on SQLite.

    `keep` gets what there is after each run.
    """
    found: dict[str, Any] = {"seed": seed, "scale": scale.factor}
    for database in databases:
        with server_for(database) as server:
            found[database] = {}
            for name in names:
                begin(database, name)
                result = run_one(name, Case(database, server, scale, seed))
                tell(database, name, result)
                found[database][name] = result.plain()
                keep(found)
    if naive:
        found["naive"] = {}
        least = min(scale, NAIVE_AT_MOST, key=lambda one: one.factor)
        for name in [one for one in names if one in NAIVE]:
            begin("naive", name)
            result = run_one(name, naive_case(least, seed), the_naive)
            tell("naive", name, result)
            found["naive"][name] = result.plain()
            keep(found)
    return found


def naive_case(scale: Scale, seed: int) -> Case:
    """Where the naive variant is looked at."""
    return Case(SQLITE, None, scale, seed, TAKES_REPEATS)


def head() -> None:
    """The table's first line."""
    columns = "".join(f"{name.replace('_', ' '):>16}" for name in COLUMNS)
    print(f"{'':11} {'run':17}{columns}  injected", flush=True)


def begin(where: str, name: str) -> None:
    """Say what is under way, to whoever waits."""
    print(f"{time.strftime('%H:%M:%S')} {where} {name} …", file=sys.stderr, flush=True)


def tell(where: str, name: str, result: Result) -> None:
    """One line of the table, and below it what is worth knowing."""
    figures = "".join(f"{getattr(result, column):>16}" for column in COLUMNS)
    injected = ", ".join(f"{kind} {count}" for kind, count in sorted(result.injected.items()))
    print(f"{where:11} {name:17}{figures}  {injected}")
    print(f"{'':29}" + ", ".join(f"{kind} {count}" for kind, count in result.facts.items()))
    if where != "naive":
        for words in result.examples:
            print(f"{'':29}! {words}")
    sys.stdout.flush()


def write(found: dict[str, Any], file: Path = FILE) -> None:
    """Write the figures down, all of them or none."""
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")
    new.replace(file)


def verdict(found: dict[str, Any]) -> list[str]:
    """What is wrong, in words; nothing if every promise was kept and the naive variant was seen to break them."""
    wrong = [f"{database} {name}: {column} {figures[column]}"
             for database in DATABASES for name, figures in found.get(database, {}).items()
             for column in MISSES if figures[column]]
    wrong += [f"the naive variant passed {name}: the harness saw no {column}"
              for name, figures in found.get("naive", {}).items() for column in NAIVE[name] if not figures[column]]
    return wrong
