"""When connections end or renew by themselves: by month, as a calendar for other programs, and counted for admins."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from . import accounts, feeds
from .accounts import Outline
from .models import ACTIVE, DISCONNECTED, PAUSED, TOKEN_EXPIRED, Account, Workspace
from .providers import provider as provider_of
from .times import exact, local

OVER, ENDS, RENEWS, NEVER = "over", "ends", "renews", "never"
SOON = timedelta(days=14)


@dataclass(frozen=True)
class Line:
    """One profile: what becomes of its connection, and when. `at`: its end; None where nothing ends."""

    account: Outline
    what: str  # over, ends, renews, never
    at: datetime | None
    words: str
    is_soon: bool = False

    @property
    def name(self) -> str:
        """What people call the profile."""
        return self.account.display_name or self.account.username


@dataclass(frozen=True)
class Group:
    """The lines under one heading."""

    title: str
    lines: tuple[Line, ...]
    needs_person: bool


@dataclass(frozen=True)
class Sum:
    """How many connections of one workspace at one platform end within a month, and the first of them."""

    workspace: Workspace
    platform: str
    month: str
    number: int
    first: datetime

    @property
    def title(self) -> str:
        """The month in words: `December 2026`."""
        return f"{date.fromisoformat(f'{self.month}-01'):%B %Y}"


def lines(workspace: Workspace, now: datetime) -> list[Line]:
    """All connected profiles of a workspace: over first, then by their end, then those without one."""
    return sorted((_line(one, workspace.time_zone, now) for one in accounts.outlines(workspace)
                   if one.state != DISCONNECTED),
                  key=lambda line: (ORDER[line.what], line.at or now, line.name.casefold(), line.account.id))


ORDER = {OVER: 0, ENDS: 1, RENEWS: 2, NEVER: 3}


def _line(one: Outline, zone: str, now: datetime) -> Line:
    name = provider_of(one.platform).name
    if one.state == TOKEN_EXPIRED or not one.has_grant:
        return Line(one, OVER, None, "Has ended: reconnect it.", True)
    ends = one.ends
    if ends is not None and ends <= now:
        return Line(one, OVER, ends, f"Ended {exact(ends, zone)}: reconnect it.", True)
    if ends is not None:
        itself = " Until then it renews itself." if one.renews_itself else ""
        return Line(one, ENDS, ends, f"Ends {exact(ends, zone)}: reconnect by then.{itself}", ends <= now + SOON)
    if one.has_own_token or one.access_ends is None:
        return Line(one, NEVER, None, f"Has no end date at {name}.")
    return Line(one, RENEWS, None, "Renews itself.")


def groups(found: Sequence[Line], zone: str) -> list[Group]:
    """The lines by month, in the zone of the workspace."""
    titles: dict[str, list[Line]] = {}
    for line in found:
        title = {OVER: "Has ended", RENEWS: "Renews itself", NEVER: "No end date"}.get(line.what, "")
        if line.what == ENDS and line.at is not None:
            title = f"{local(line.at, zone):%B %Y}"
        titles.setdefault(title, []).append(line)
    return [Group(title, tuple(some), some[0].what in (OVER, ENDS)) for title, some in titles.items()]


def sums(now: datetime, within: timedelta) -> list[Sum]:
    """Over all workspaces: how many connections end, by workspace, platform and month; no profile is named."""
    numbers: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], tuple[Workspace, datetime]] = {}
    for one, workspace in accounts.outlined(Account.state.in_((ACTIVE, PAUSED)),
                                            accounts.may_end_before(now + within)):
        ends = one.ends
        if ends is None or ends > now + within:
            continue
        key = (workspace.id, one.platform, f"{local(ends, workspace.time_zone):%Y-%m}")
        numbers[key] += 1
        if key not in first or ends < first[key][1]:
            first[key] = (workspace, ends)
    return sorted((Sum(first[key][0], key[1], key[2], number, first[key][1]) for key, number in numbers.items()),
                  key=lambda one: (one.month, one.first, one.workspace.name))


# ---------------------------------------------------------------- as iCalendar


def render(workspace: Workspace, now: datetime, public_url: str) -> str:
    """The ends ahead as iCalendar; the same connections give the same text, whenever it is asked for."""
    host = public_url.split("://")[-1].split("/")[0]
    events: list[str] = []
    for line in lines(workspace, now):
        if line.at is None:
            continue
        address = f"{public_url}/w/{workspace.id}/profiles/{line.account.id}"
        who = f"{line.name} ({provider_of(line.account.platform).name})"
        about, title = f"{line.words}\n{address}", feeds.value(f"Reconnect {who}")
        # It has no time at which it was made: that of the end changes only when the event does.
        events += ["BEGIN:VEVENT", f"UID:{line.account.id}-end@{host}", f"DTSTAMP:{feeds.utc(line.at)}",
                   f"DTSTART:{feeds.utc(line.at)}", f"DURATION:{feeds.LENGTH}", f"SUMMARY:{title}",
                   f"DESCRIPTION:{feeds.value(about)}", f"URL:{address}", "TRANSP:TRANSPARENT",
                   "BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{title}",
                   "TRIGGER:-P7D", "END:VALARM", "END:VEVENT"]
    return feeds.calendar(f"{workspace.name}: connections", events)
