"""The clock of a database server counts, whatever this machine's own says."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine

from socialconsole import clock, outside


class Ahead(datetime):
    """A machine's clock that runs ten minutes ahead."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(minutes=10)


@pytest.fixture(autouse=True)
def put_back(monkeypatch):
    monkeypatch.setattr(clock, "_asked", [])
    yield
    outside.correct(timedelta(0))


def behind():
    return datetime.now(UTC) - outside.now()


def test_a_host_whose_clock_is_ahead_counts_by_the_databases(postgresql, monkeypatch):
    engine = create_engine(postgresql.url("clock"))
    clock.watch(engine)
    monkeypatch.setattr(clock, "datetime", Ahead)
    clock.follow(engine)
    assert timedelta(minutes=9, seconds=59) < behind() < timedelta(minutes=10, seconds=1)
    monkeypatch.setattr(clock, "datetime", datetime)
    clock.follow(engine)
    assert behind() > timedelta(minutes=9), "asked only now and then"
    monkeypatch.setattr(clock, "_asked", [])
    clock.follow(engine)
    assert abs(behind()) < timedelta(seconds=1), "the clock was set right"
    engine.dispose()


def test_a_file_needs_no_other_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "datetime", Ahead)
    engine = create_engine(f"sqlite:///{tmp_path}/one.db")
    clock.watch(engine)
    clock.follow(engine)
    assert abs(behind()) < timedelta(seconds=1)
