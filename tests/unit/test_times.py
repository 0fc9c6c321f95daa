"""Wall times over the changes of the clocks, and words for spans."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from socialconsole.times import Nonexistent, ago, exact, exact_with_utc, moment, read_wall, span, to_utc, zones

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
    ("2026-03-29T02:30", "Europe/Berlin", "03:00"),
    ("2026-03-08T02:10", "America/New_York", "03:00"),
    ("2026-10-04T02:10", "Australia/Lord_Howe", "02:30"),
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


def test_utc_stands_beside_a_time_where_it_differs():
    assert exact_with_utc(NOW, "Europe/Stockholm") == "Sat 21 Nov 2026, 10:00 CET (09:00 UTC)"
    assert exact_with_utc(NOW, "UTC") == "Sat 21 Nov 2026, 09:00 UTC"
    assert exact_with_utc(NOW.replace(hour=15), "Australia/Sydney") == "Sun 22 Nov 2026, 02:00 AEDT (Sat 15:00 UTC)"


# ---------------------------------------------------------------- skipped and doubled times


@pytest.mark.parametrize(("wall", "zone", "utc", "words"), [
    ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00",
     ("02:30 does not exist on 29 Mar 2026 in Europe/Berlin", "03:00 CEST (01:00 UTC)")),
    ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30",
     ("02:30 happens twice on 25 Oct 2026", "the first time (02:30 CEST, 00:30 UTC)")),
    ("2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-03T15:30", ("02:10 does not exist", "02:30 +11 (15:30 UTC)")),
    ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45", ("happens twice", "01:45 +11, 14:45 UTC")),
    ("2026-03-08T02:00", "America/New_York", "2026-03-08T07:00", ("does not exist", "03:00 EDT")),
    ("2026-11-01T01:59", "America/New_York", "2026-11-01T05:59", ("happens twice", "01:59 EDT")),
    ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00", ()),
    ("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00", ()),
])
def test_a_skipped_or_doubled_time_is_settled_and_said(wall, zone, utc, words):
    found = moment(read_wall(wall), zone)
    assert found.instant == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert all(one in found.note for one in words) and bool(found.note) == bool(words)
    assert found.is_skipped == ("does not exist" in found.note)


def by_the_clock(wall: datetime, zone: ZoneInfo) -> datetime:
    """The oracle: watch the clock on the wall, minute by minute of UTC, until it shows that time or a later one."""
    around = [wall.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in range(-30, 31)]
    ahead = max(one.astimezone(zone).utcoffset() or timedelta() for one in around)
    minute = wall.replace(tzinfo=UTC) - ahead
    while minute.astimezone(zone).replace(tzinfo=None) < wall:
        minute += timedelta(minutes=1)
    return minute


def changes(zone: ZoneInfo) -> list[datetime]:
    """The days of 2026 to 2036 within which the clocks of a zone change."""
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(11 * 365)]
    offsets = [one.astimezone(zone).utcoffset() for one in days]
    return [day for day, here, there in zip(days, offsets, offsets[1:], strict=False) if here != there]


def test_ten_thousand_wall_times_agree_with_an_oracle_that_watches_the_clock():
    dice, odd = random.Random(20261121), 0
    names = dice.sample(zones(), 46) + ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    for name in names:
        zone = ZoneInfo(name)
        near = changes(zone)
        for number in range(200):
            if near and number % 2:
                start = dice.choice(near).replace(tzinfo=None) - timedelta(hours=14)
                wall = start + timedelta(minutes=dice.randrange(52 * 60))
            else:
                wall = datetime(2026, 1, 1) + timedelta(minutes=dice.randrange(11 * 365 * 1440))
            found = moment(wall, name)
            assert found.instant == by_the_clock(wall, zone), (wall, name)
            shown = found.instant.astimezone(zone).replace(tzinfo=None)
            assert found.is_skipped == (shown != wall), (wall, name)
            odd += bool(found.note)
    assert odd > 50, "the dice met too few changes of the clocks to prove anything"
