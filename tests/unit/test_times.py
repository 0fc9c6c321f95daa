"""Wall times over the changes of the clocks, and words for spans."""

from datetime import UTC, datetime, timedelta

import pytest

from socialconsole.times import Nonexistent, ago, exact, span, to_utc

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(("wall", "zone", "utc"), [
    ("2026-07-01T09:00", "Europe/Berlin", "2026-07-01T07:00"),
    ("2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00"),
    ("2026-07-01T09:00", "America/New_York", "2026-07-01T13:00"),
    ("2026-11-21T09:00", "Asia/Kolkata", "2026-11-21T03:30"),
    ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"),  # twice on that night: the first
    ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45"),  # twice, half an hour apart: the first
])
def test_a_wall_time_becomes_its_instant(wall, zone, utc):
    assert to_utc(wall, zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(("wall", "zone", "next_one"), [
    ("2026-03-29T02:30", "Europe/Berlin", "03:30"),
    ("2026-03-08T02:10", "America/New_York", "03:10"),
    ("2026-10-04T02:10", "Australia/Lord_Howe", "02:40"),
])
def test_a_wall_time_that_the_clocks_skip_is_refused_and_the_next_one_named(wall, zone, next_one):
    with pytest.raises(Nonexistent, match=next_one):
        to_utc(wall, zone)


@pytest.mark.parametrize("typed", ["", "soon", "2026-13-01T00:00", "2026-11-21"[:7]])
def test_what_is_no_time_is_refused_in_words(typed):
    with pytest.raises(Nonexistent, match="Give a date and a time"):
        to_utc(typed, "UTC")


@pytest.mark.parametrize(("seconds", "words"), [
    (3, "3 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 hour"), (7200, "2 hours"),
    (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (-5, "0 s"),
])
def test_a_span_is_told_in_the_unit_that_fits(seconds, words):
    assert span(timedelta(seconds=seconds)) == words


def test_before_and_after_now():
    assert ago(NOW - timedelta(minutes=4), NOW) == "4 min ago"
    assert ago(NOW + timedelta(days=3), NOW) == "in 3 days"
    assert ago(NOW, NOW) == "just now"


def test_an_exact_time_names_its_zone():
    assert exact(NOW, "Europe/Stockholm") == "21 Nov 2026, 10:00 CET"
