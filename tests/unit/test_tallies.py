"""Counting that costs nothing, loses nothing while the database is away, and adds up whoever writes it."""

import os
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from socialconsole import tallies
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Tally
from socialconsole.tallies import EVER, Key, Sum
from tests.cast import START

AT = START + timedelta(minutes=7)
BUCKET = START + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def nothing_counted():
    tallies._forget()
    yield
    tallies._forget()


@pytest.fixture
def inside(app):
    with app.app_context():
        yield app
        db.session.remove()


def rows():
    found = {(row.at, row.what, row.platform, row.label): (row.count, row.total)
             for row in db.session.scalars(select(Tally))}
    db.session.commit()
    return found


def test_what_was_counted_lies_in_its_five_minutes_and_adds_up(inside):
    tallies.moved("twitter", "published")
    tallies.moved("twitter", "published")
    tallies.refreshed("linkedin", "ok")
    assert tallies.flush(AT) == 2
    tallies.moved("twitter", "published")
    assert tallies.flush(AT + timedelta(minutes=2)) == 1
    tallies.moved("twitter", "published")
    tallies.flush(AT + timedelta(minutes=3))
    assert rows() == {(BUCKET, "publish", "twitter", "published"): (3, 0.0),
                      (BUCKET, "refresh", "linkedin", "ok"): (1, 0.0),
                      (BUCKET + timedelta(minutes=5), "publish", "twitter", "published"): (1, 0.0)}


def test_nothing_counted_asks_for_no_write_lock(inside, monkeypatch):
    monkeypatch.setattr(tallies, "writing", lambda: pytest.fail("a transaction for nothing"))
    assert tallies.flush(AT) == 0


@pytest.mark.parametrize(("seconds", "bound"), [
    (-3, "0.5"), (0.5, "0.5"), (0.51, "1"), (1.9, "2"), (5, "5"), (14, "15"), (60, "60"), (299, "300"), (301, "inf"),
    (1e9, "inf")])
def test_lateness_falls_under_its_upper_bound_and_never_below_nothing(inside, seconds, bound):
    tallies.late("twitter", seconds)
    tallies.flush(AT)
    assert rows() == {(BUCKET, "lateness", "twitter", bound): (1, max(seconds, 0))}


def test_many_threads_and_a_flush_between_lose_nothing(inside):
    go = threading.Barrier(9)

    def work():
        go.wait()
        for _ in range(500):
            tallies.called("twitter", "ok")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.wait()
    while any(thread.is_alive() for thread in threads):
        tallies.flush(AT)
    tallies.flush(AT)
    assert rows()[(BUCKET, "call", "twitter", "ok")][0] == 4000


def test_a_database_that_is_away_costs_no_count(inside, monkeypatch):
    tallies.moved("twitter", "published")
    with monkeypatch.context() as patch:
        patch.setattr(tallies, "_put", lambda *_: (_ for _ in ()).throw(OperationalError("-", {}, Exception("away"))))
        assert tallies.flush(AT) == 0
    tallies.moved("twitter", "published")
    assert tallies.flush(AT) == 1
    assert rows() == {(BUCKET, "publish", "twitter", "published"): (2, 0.0)}


def test_a_fault_of_ours_is_raised_and_keeps_the_counts_as_well(inside, monkeypatch):
    tallies.moved("twitter", "published")
    with monkeypatch.context() as patch:
        patch.setattr(tallies, "_put", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tallies.flush(AT)
    assert tallies.flush(AT) == 1


def test_a_forked_process_does_not_write_what_its_parent_counted():
    tallies.moved("twitter", "published")
    child = os.fork()
    if not child:
        os._exit(len(tallies._counted))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(tallies._counted) == 1


def test_codes_of_platforms_are_made_fit_and_their_number_is_bounded(inside):
    tallies.called("twitter", "a\x00b\n" + "x" * 200)
    for number in range(300):
        tallies.called("twitter", f"code-{number}")
    tallies.flush(AT)
    labels = {label for _, _, _, label in rows()}
    assert "a_b_" + "x" * 76 in labels
    assert len(labels) == tallies.MOST_LABELS + 1
    assert rows()[(BUCKET, "call", "twitter", tallies.OTHER)][0] == 301 - tallies.MOST_LABELS


def test_folding_keeps_every_sum_and_drops_the_rows(inside):
    for day in range(4):
        tallies.moved("twitter", "published")
        tallies.late("twitter", 3.0)
        tallies.flush(AT + timedelta(days=day))
    before = tallies.everything()
    assert tallies.fold(AT + timedelta(days=2), most=3) == 3
    assert tallies.fold(AT + timedelta(days=2), most=3) == 1
    assert tallies.fold(AT + timedelta(days=2), most=3) == 0
    assert tallies.everything() == before
    assert before[Key("lateness", "twitter", "5")] == Sum(4, 12.0)
    assert sorted({at for at, *_ in rows()}) == [EVER, BUCKET + timedelta(days=2), BUCKET + timedelta(days=3)]


def test_sums_since_an_instant_leave_out_what_is_older_and_what_was_folded(inside):
    tallies.moved("twitter", "published")
    tallies.flush(AT - timedelta(days=9))
    tallies.fold(AT)
    tallies.moved("twitter", "published")
    tallies.flush(AT)
    assert tallies.everything(AT - timedelta(days=1)) == {Key("publish", "twitter", "published"): Sum(1, 0.0)}
    assert tallies.courses("publish", AT - timedelta(days=30)) == {BUCKET: {"published": 1}}


@pytest.mark.parametrize(("counts", "bound"), [({}, None), ({"1": 99, "60": 1}, "1"), ({"1": 98, "60": 2}, "60"),
                                               ({"inf": 1}, "inf"), ({"0.5": 1000, "300": 9}, "0.5")])
def test_the_bound_that_a_share_keeps(counts, bound):
    assert tallies.share_within(counts, 0.99) == bound


def test_counts_by_label_at_one_platform_or_over_all(inside):
    counted = {Key("call", "twitter", "ok"): Sum(2, 0), Key("call", "tiktok", "ok"): Sum(3, 0),
               Key("refresh", "tiktok", "ok"): Sum(9, 0)}
    assert tallies.by_label(counted, "call") == {"ok": 5}
    assert tallies.by_label(counted, "call", "tiktok") == {"ok": 3}


def test_a_rollback_around_a_flush_takes_nothing_else_with_it(inside):
    with pytest.raises(ZeroDivisionError), writing():
        1 / 0  # noqa: B018
    tallies.moved("twitter", "published")
    assert tallies.flush(AT) == 1 and len(rows()) == 1
