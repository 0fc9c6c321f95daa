"""The short form of `make chaos`: every run once, in small, on both databases; and a naive variant that must fail.

The runs wait most of their time, so a few groups of them go on side by side, each as a `make chaos` of its own.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgres
from tests.chaos import report
from tests.chaos.runs import RUNS
from tests.chaos.truth import Result
from tests.running import ROOT, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

SHORT, NAIVE_SHORT, SEED = 0.01, 0.03, 7
FIRST = ("refresh_storm", "publish_storm", "contention", "store_lost", "downtime")
GROUPS = (FIRST, tuple(name for name in RUNS if name not in FIRST))
WITHIN = 380.0  # seconds in which the slowest machine has its figures
NAIVE = "naive"


class Group:
    """Some runs under way in a process of their own."""

    def __init__(self, file: Path, *arguments: str) -> None:
        self._file, self._said = file, file.with_suffix(".txt")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "scripts/chaos.py", "--seed", str(SEED), "--file", str(file), *arguments], cwd=ROOT,
                stdout=said, stderr=said, start_new_session=True)

    def figures(self, where: str, name: str) -> dict[str, Any]:
        """The figures of one run, as soon as they are there."""
        found: dict[str, Any] = until(lambda: self._found(where, name) or self._process.poll() is not None, WITHIN,
                                      f"the figures of {name}") and self._found(where, name)
        assert found, self._said.read_text()
        return found

    def _found(self, where: str, name: str) -> Any:
        return json.loads(self._file.read_text()).get(where, {}).get(name) if self._file.exists() else None

    def end(self) -> None:
        """End it; its children die with it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Group]]:
    """The group of each run, by database and name; all of them have begun."""
    folder = tmp_path_factory.mktemp("chaos")
    databases = [one for one in report.DATABASES if one != report.POSTGRESQL or not postgres.why_not()]
    found: dict[tuple[str, str], Group] = {}
    started: list[Group] = []
    for number, names in enumerate(GROUPS):
        for database in databases:
            started.append(Group(folder / f"{database}{number}.json", "--naive", "not", "--scale", str(SHORT),
                                 "--database", database, *(part for name in names for part in ("--only", name))))
            found |= {(database, name): started[-1] for name in names}
    started.append(Group(folder / "naive.json", "--naive", "alone", "--scale", str(NAIVE_SHORT)))
    found |= {(NAIVE, name): started[-1] for name in report.NAIVE}
    yield found
    for group in started:
        group.end()


@pytest.mark.parametrize("database", report.DATABASES)
@pytest.mark.parametrize("name", RUNS)
def test_every_promise_is_kept(groups, database, name):
    if (database, name) not in groups:
        pytest.skip(postgres.why_not())
    figures = groups[database, name].figures(database, name)
    assert {column: figures[column] for column in report.MISSES if figures[column]} == {}, figures


@pytest.mark.parametrize(("name", "columns"), report.NAIVE.items())
def test_a_naive_variant_is_caught(groups, name, columns):
    figures = groups[NAIVE, name].figures(NAIVE, name)
    assert all(figures[column] for column in columns), figures


def test_the_verdict_names_what_was_broken_and_a_harness_that_sees_nothing():
    fine, bad = Result().plain(), Result(duplicates=2).plain()
    assert report.verdict({"sqlite": {"store_lost": fine}, "naive": {"publish_storm": bad}}) == []
    assert report.verdict({"sqlite": {"store_lost": bad}, "naive": {"publish_storm": fine}}) == [
        "sqlite store_lost: duplicates 2", "the naive variant passed publish_storm: the harness saw no duplicates"]
