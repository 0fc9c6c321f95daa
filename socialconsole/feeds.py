"""The calendar for other programs: posts as iCalendar (RFC 5545), and the private address under which one reads them.

The address is the only proof that its reader may see the posts, so only a hash of its token is kept, and it ends with
the membership of the person who made it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select, update

from . import audit, calendars
from .calendars import Entry, Filter
from .database import alone, took, writing
from .extensions import db
from .models import (
    CANCELLED,
    HELD,
    MISSED,
    UNSENT,
    CalendarFeed,
    Membership,
    Post,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .outside import secret
from .providers import provider as provider_of

MEDIA_TYPE = "text/calendar"
BACK = timedelta(days=30)
MOST = 2000  # posts of one calendar
READ_EVERY = timedelta(hours=1)  # how precisely it is kept when an address was last read
LONGEST_TOKEN = 100
FOLD = 75  # octets of a line, RFC 5545 section 3.1
LENGTH = "PT15M"  # a post has no length; calendars draw something of no length badly
SUMMARY = 80


class Event(NamedTuple):
    """One post for a calendar program: the entry, its whole text, and when it was last changed."""

    entry: Entry
    text: str
    changed_at: datetime


# ---------------------------------------------------------------- the private address


def feed(workspace: Workspace, user: User) -> CalendarFeed | None:
    """A person's private address of this workspace's calendar, as far as it is kept."""
    return db.session.scalar(select(CalendarFeed).where(
        CalendarFeed.workspace_id == workspace.id, CalendarFeed.user_id == user.id))


def make(workspace: Workspace, user: User) -> str:
    """The token of a fresh private address; one that there was before ends. It cannot be read again."""
    token, now = secret(), present()
    with writing() as session:
        alone("feed", workspace.id, user.id)  # a button that is pressed twice
        ended = session.execute(delete(CalendarFeed).where(
            CalendarFeed.workspace_id == workspace.id, CalendarFeed.user_id == user.id)).rowcount  # type: ignore[attr-defined]
        session.add(CalendarFeed(id=new_id("fed"), workspace_id=workspace.id, user_id=user.id, token_hash=_hash(token),
                                 created_at=now))
        _record(workspace, user, "renewed" if ended else "made")
    return token


def end(workspace: Workspace, user: User) -> bool:
    """End a person's private address. False if there was none."""
    with writing() as session:
        found = session.execute(delete(CalendarFeed).where(
            CalendarFeed.workspace_id == workspace.id, CalendarFeed.user_id == user.id)).rowcount  # type: ignore[attr-defined]
        if found:
            _record(workspace, user, "ended")
    return bool(found)


def _record(workspace: Workspace, user: User, action: str) -> None:
    audit.record(f"feed.{action}", "user", user.id, f"Private address of the calendar {action}",
                 workspace_id=workspace.id, name=user.shown)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def workspace_of(token: str) -> Workspace | None:
    """The workspace whose calendar may be read with this token: as long as its person is a member there."""
    if not token or len(token) > LONGEST_TOKEN:
        return None
    row = db.session.execute(
        select(CalendarFeed.id, CalendarFeed.read_at, Workspace)
        .join(Workspace, Workspace.id == CalendarFeed.workspace_id)
        .join(Membership, (Membership.workspace_id == CalendarFeed.workspace_id)
              & (Membership.user_id == CalendarFeed.user_id))
        .where(CalendarFeed.token_hash == _hash(token))).one_or_none()
    if row is None:
        return None
    workspace: Workspace = row.Workspace
    _was_read(row.id, row.read_at)
    return workspace


def _was_read(feed_id: str, read_at: datetime | None) -> None:
    now = present()
    if read_at is None or now - read_at > READ_EVERY:
        with writing():
            took(update(CalendarFeed).where(CalendarFeed.id == feed_id).values(read_at=now))


# ---------------------------------------------------------------- which posts


def current(workspace: Workspace, now: datetime) -> list[Event]:
    """The posts of the last thirty days and those ahead, at most 2,000, the earliest first."""
    return _events(workspace, now - BACK, None, Filter(), now)


def between(workspace: Workspace, starts: datetime, ends: datetime, wanted: Filter, now: datetime) -> list[Event]:
    """The posts from one instant until before another, at most 2,000."""
    return _events(workspace, starts, ends, wanted, now)


def _events(workspace: Workspace, starts: datetime, ends: datetime | None, wanted: Filter, now: datetime,
            ) -> list[Event]:
    until = [Post.due_at < ends] if ends is not None else []
    query = select(Post.id, Post.text, Post.created_at, Post.updated_at).where(Post.due_at >= starts, *until)
    rows = db.session.execute(calendars.narrowed(query, workspace, wanted)
                              .order_by(Post.due_at, Post.id).limit(MOST)).all()
    entries = {one.id: one for one in calendars.entries(workspace, [row.id for row in rows])}
    return [Event(entries[row.id], row.text, row.updated_at or row.created_at) for row in rows if row.id in entries]


# ---------------------------------------------------------------- as iCalendar


def render(name: str, events: Sequence[Event], public_url: str, workspace_id: str) -> str:
    """A calendar of posts. The same posts give the same text, whenever it is asked for."""
    return calendar(name, [line for one in events for line in _event(one, public_url, workspace_id)])


def calendar(name: str, lines: Sequence[str]) -> str:
    """A calendar as RFC 5545 wants it, around the lines of its events: CRLF, folded at 75 octets."""
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Social Console//Calendar//EN", "CALSCALE:GREGORIAN",
             "METHOD:PUBLISH", f"X-WR-CALNAME:{value(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
             "X-PUBLISHED-TTL:PT1H", *lines, "END:VCALENDAR"]
    return "".join(f"{part}\r\n" for line in whole for part in _folded(line))


def _event(one: Event, public_url: str, workspace_id: str) -> list[str]:
    entry = one.entry
    host = public_url.split("://")[-1].split("/")[0]
    address = f"{public_url}/w/{workspace_id}/posts/{entry.id}"
    what = f"{_stands(entry)}. {', '.join(f'{provider_of(slug).name}: {who}' for slug, who in entry.targets)}"
    names = ", ".join(provider_of(slug).name for slug in entry.platforms)
    summary = " ".join(one.text.split())[:SUMMARY] or "Post without text"
    about = "\n".join((one.text[:1000], "", what, address))
    return ["BEGIN:VEVENT", f"UID:{entry.id}@{host}", f"DTSTAMP:{utc(one.changed_at)}", f"DTSTART:{utc(entry.at)}",
            f"DURATION:{LENGTH}", f"SEQUENCE:{max(0, entry.version - 1)}", f"STATUS:{_status(entry)}",
            f"SUMMARY:{value(f'{summary} ({names})' if names else summary)}",
            f"DESCRIPTION:{value(about)}", f"URL:{address}", "TRANSP:TRANSPARENT", "END:VEVENT"]


def _status(entry: Entry) -> str:
    if entry.state == CANCELLED:
        return "CANCELLED"
    return "TENTATIVE" if entry.state in (HELD, MISSED, *UNSENT) else "CONFIRMED"


def _stands(entry: Entry) -> str:
    """How a post stands, in words: `2 published, 1 held`."""
    if not entry.states:
        return entry.state.capitalize()
    return ", ".join(f"{number} {state}" for state, number in entry.states.items())


def utc(instant: datetime) -> str:
    """An instant as a value."""
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def value(text: str) -> str:
    """A text as a value: RFC 5545, section 3.3.11. Signs that no line of a calendar may hold are left out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(sign for sign in text if sign in "\n\t" or (ord(sign) >= 32 and ord(sign) != 127))
    for sign, instead in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        text = text.replace(sign, instead)
    return text


def _folded(line: str) -> Iterator[str]:
    """A line in pieces of at most 75 octets, never cut within a character; all but the first begin with a blank."""
    piece, room = "", FOLD
    for sign in line:
        size = len(sign.encode("utf-8", "replace"))
        if size > room:
            yield piece
            piece, room = " ", FOLD - 1
        piece, room = piece + sign, room - size
    yield piece
