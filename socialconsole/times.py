"""Wall time, zones and words for spans: what people type and read, against the instants we store."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

MINUTE = timedelta(minutes=1)


class Nonexistent(ValueError):
    """A wall time that the clocks skip, or that cannot be read."""


def zones() -> list[str]:
    """The names people may choose from."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


@dataclass(frozen=True)
class Moment:
    """What a wall time means: its instant, and a sentence where the clocks skip it or show it twice."""

    instant: datetime
    is_skipped: bool = False  # the wall time does not exist; the instant is the first minute after the gap
    note: str = ""


def read_wall(wall_time: str) -> datetime:
    """A typed wall time such as `2026-11-23T06:00`, to the minute and without a zone. Raises Nonexistent."""
    try:
        wall = datetime.fromisoformat(wall_time.strip())
    except ValueError:
        raise Nonexistent("Give a date and a time, such as 2026-11-23 06:00.") from None
    if wall.tzinfo is not None:  # taken for the clock on the wall, it would go out hours off
        raise Nonexistent("Give the time without a zone, such as 2026-11-23 06:00. It is meant by the clock of the "
                          "workspace.")
    return wall.replace(second=0, microsecond=0)


def moment(wall: datetime, zone: str) -> Moment:
    """The instant of a wall time in a zone: of a doubled hour the first, of a skipped one the first minute after it.

    Raises OverflowError at the ends of the calendar.
    """
    place = ZoneInfo(zone)
    first = wall.replace(tzinfo=place, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=place, fold=1).astimezone(UTC)
    if first == second:
        return Moment(first)
    if first < second:
        return Moment(first, note=f"{wall:%H:%M} happens twice on {day(wall)} in {zone}; it goes out the first time "
                                  f"({first.astimezone(place):%H:%M %Z}, {first:%H:%M} UTC).")
    # PEP 495: in a gap fold=0 lands after it and fold=1 before it, so the clocks change between the two.
    opened = _change(second, first, place)
    there = opened.astimezone(place)
    return Moment(opened, True, f"{wall:%H:%M} does not exist on {day(wall)} in {zone}: the clocks are put forward "
                                f"then. It goes out at {there:%H:%M %Z} ({opened:%H:%M} UTC).")


def _change(before: datetime, after: datetime, place: ZoneInfo) -> datetime:
    """The first full minute of UTC at which the clocks of a place have changed; `before` and `after` enclose it."""
    offset = before.astimezone(place).utcoffset()
    low, high = 0, -(-(after - before) // MINUTE)  # whole minutes after `before`: not changed yet, changed already
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * MINUTE).astimezone(place).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + high * MINUTE


def to_utc(wall_time: str, zone: str) -> datetime:
    """The instant of a wall time such as `2026-11-23T06:00` in a zone; of a doubled hour, the first.

    Raises Nonexistent if it cannot be read, or if the clocks skip it (the message names the next time that exists).
    """
    found = moment(read_wall(wall_time), zone)
    if found.is_skipped:
        raise Nonexistent(f"This time does not exist in {zone}: the clocks are put forward then. The next one is "
                          f"{local(found.instant, zone):%H:%M}.")
    return found.instant


def day(date: datetime) -> str:
    """`29 Mar 2026`."""
    return f"{date.day} {date:%b %Y}"


def local(instant: datetime, zone: str) -> datetime:
    """The instant as the clock on the wall shows it."""
    return instant.astimezone(ZoneInfo(zone))


def exact(instant: datetime, zone: str) -> str:
    """`20 Nov 2026, 11:38 CET`."""
    there = local(instant, zone)
    return f"{there.day} {there:%b %Y, %H:%M %Z}"


def exact_with_utc(instant: datetime, zone: str) -> str:
    """`Mon 23 Nov 2026, 06:00 CET (05:00 UTC)`; UTC only where it differs, with its day where that differs too."""
    there, utc = local(instant, zone), instant.astimezone(UTC)
    shown = f"{there:%a} {exact(instant, zone)}"
    if not there.utcoffset():
        return shown
    return f"{shown} ({utc:%H:%M} UTC)" if there.date() == utc.date() else f"{shown} ({utc:%a %H:%M} UTC)"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def span(length: timedelta) -> str:
    """A length of time in the one unit that fits: `45 s`, `4 min`, `3 hours`, `12 days`."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return _count(seconds // 3600, "hour")
    return _count(seconds // 86400, "day")


def ago(instant: datetime, now: datetime) -> str:
    """`4 min ago`, `in 3 days`, `just now`."""
    passed = now - instant
    if abs(passed) < timedelta(seconds=5):
        return "just now"
    return f"{span(passed)} ago" if passed > timedelta(0) else f"in {span(-passed)}"
