"""Wall time, zones and words for spans: what people type and read, against the instants we store."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones


class Nonexistent(ValueError):
    """A wall time that the clocks skip, or that cannot be read."""


def zones() -> list[str]:
    """The names people may choose from."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


def to_utc(wall_time: str, zone: str) -> datetime:
    """The instant of a wall time such as `2026-11-23T06:00` in a zone; of a doubled hour, the first.

    Raises Nonexistent if it cannot be read, or if the clocks skip it (the message names the next time that exists).
    """
    try:
        wall = datetime.fromisoformat(wall_time.strip())
    except ValueError:
        raise Nonexistent("Give a date and a time, such as 2026-11-23 06:00.") from None
    place = ZoneInfo(zone)
    wall = wall.replace(tzinfo=None, second=0, microsecond=0)
    instant = wall.replace(tzinfo=place, fold=0).astimezone(UTC)
    back = instant.astimezone(place).replace(tzinfo=None)
    if back != wall:
        # PEP 495: fold=0 inside a gap lands after it, shifted by the width of the gap.
        raise Nonexistent(
            f"This time does not exist in {zone}: the clocks are put forward then. The next one is {back:%H:%M}.")
    return instant


def local(instant: datetime, zone: str) -> datetime:
    """The instant as the clock on the wall shows it."""
    return instant.astimezone(ZoneInfo(zone))


def exact(instant: datetime, zone: str) -> str:
    """`20 Nov 2026, 11:38 CET`."""
    there = local(instant, zone)
    return f"{there.day} {there:%b %Y, %H:%M %Z}"


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
