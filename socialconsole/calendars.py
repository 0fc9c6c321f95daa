"""Reading a month, a week or a list of posts by their time, on the wall clock of the workspace.

However many posts there are, a reading takes a fixed number of queries and comes back with a bounded number of entries:
each day is a range of the index on when posts are due, and only its first posts are read; the others are counted.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVarTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)

from . import series
from .extensions import db
from .models import (
    CANCELLED,
    DISCONNECTED,
    FAILED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    UNSENT,
    Account,
    Delivery,
    Membership,
    Post,
    Series,
    User,
    Workspace,
)
from .times import local, moment

MONTH, WEEK, LIST = "month", "week", "list"
VIEWS = (MONTH, WEEK, LIST)
A_DAY = timedelta(days=1)
MOST_A_DAY = {MONTH: 3, WEEK: 20}
PAGE = 50
COUNTED = 100  # posts of one day; beyond that they are not counted
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
MOST_SERIES = 20
SERIES_AHEAD = timedelta(days=92)
MOST_OFFERED = 300  # accounts to choose from in the filter
TEXT = 140  # characters of a post that are shown

STATES = (("", "Any state"), ("draft", "Draft"), ("submitted", "Waiting for approval"), ("scheduled", "Scheduled"),
          ("needs", "Needs you"), ("published", "Published"), ("cancelled", "Cancelled"))
OF_STATE = {"scheduled": (SCHEDULED, PREPARING, PROCESSING, PUBLISHING), "published": (PUBLISHED, SENT),
            "needs": (HELD, UNCONFIRMED, FAILED, MISSED)}
# Of several deliveries the one that is told first.
TOLD_FIRST = (FAILED, UNCONFIRMED, MISSED, HELD, PUBLISHING, PROCESSING, PREPARING, SCHEDULED, SENT, PUBLISHED)
WAITS = (SCHEDULED, HELD, MISSED)
Columns = TypeVarTuple("Columns")
REPEATS = ("This post repeats, so its time follows its rule. Open it and reschedule it for a single profile, or stop "
           "the repeating post.")


@dataclass(frozen=True)
class Filter:
    """What shall be shown; "" means all."""

    account: str = ""
    platform: str = ""
    state: str = ""
    author: str = ""

    @property
    def is_set(self) -> bool:
        """Whether anything is left out."""
        return bool(self.account or self.platform or self.state or self.author)


@dataclass(frozen=True)
class Entry:
    """One post at its time. `state` is the word that is told first of its deliveries; `states` counts them all."""

    id: str
    at: datetime
    wall: str  # 2026-11-23T06:00 by the clock of the workspace
    text: str
    state: str
    states: Mapping[str, int]
    targets: tuple[tuple[str, str], ...]  # platform and name of each account
    author: str = ""
    version: int = 0
    is_queued: bool = False
    series_id: str = ""
    is_ahead: bool = False  # a repeating post that is not written yet
    elsewhere: tuple[datetime, ...] = ()  # other times at which some of its deliveries go out
    stays: str = ""  # why it cannot be moved, in words

    @property
    def clock(self) -> str:
        """The time of its day, as the clock of the workspace shows it."""
        return self.wall[11:16]

    @property
    def mixed(self) -> tuple[tuple[str, int], ...]:
        """How many deliveries are in each state, where they are in several."""
        return tuple(self.states.items()) if len(self.states) > 1 else ()

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms it goes to, each once."""
        return tuple(dict.fromkeys(platform for platform, _ in self.targets))


@dataclass
class Day:
    """One day by the clock of the workspace: where it begins and ends, its first posts, how many there are."""

    date: date
    starts: datetime
    ends: datetime
    entries: list[Entry] = field(default_factory=list)
    count: int = 0

    @property
    def more(self) -> int:
        """How many posts are not among the entries."""
        return max(0, self.count - len(self.entries))

    @property
    def is_counted_out(self) -> bool:
        """Whether there may be more posts than were counted."""
        return self.count >= COUNTED

    @property
    def clock_note(self) -> str:
        """A sentence where the clocks change on this day; empty on all others."""
        hours = (self.ends - self.starts) / timedelta(hours=1)
        if hours == 24:
            return ""
        way = "forward" if hours < 24 else "back"
        return f"The clocks are put {way} on this day: it has {hours:g} hours."


@dataclass
class Reading:
    """What a view shows: its days, and for the list the id after which the next page begins."""

    days: list[Day]
    after: str = ""


# ---------------------------------------------------------------- days


def days_of(view: str, at: date, zone: str) -> list[Day]:
    """The days of a view around a date: whole weeks from Monday for month and week, a week from the date for a list."""
    first, number = at, 7
    if view == WEEK:
        first = at - at.weekday() * A_DAY
    elif view == MONTH:
        begins = at.replace(day=1)
        first = begins - begins.weekday() * A_DAY
        last = _month_after(at) - A_DAY
        number = (last - first).days + 7 - last.weekday()
    starts = [_midnight(first + one * A_DAY, zone) for one in range(number + 1)]
    return [Day(first + one * A_DAY, starts[one], starts[one + 1]) for one in range(number)]


def _midnight(day: date, zone: str) -> datetime:
    """When a day begins: where the clocks skip midnight, at the first minute that exists."""
    return moment(datetime(day.year, day.month, day.day), zone).instant


def _month_after(day: date) -> date:
    return (day.replace(day=28) + 4 * A_DAY).replace(day=1)


def neighbours(view: str, at: date) -> tuple[date | None, date | None]:
    """The dates that lead to the view before and the one after; None at the ends of the calendar."""
    if view == MONTH:
        first = at.replace(day=1)
        pair = (first - A_DAY).replace(day=1), _month_after(at)
    else:
        pair = at - 7 * A_DAY, at + 7 * A_DAY
    return (pair[0] if pair[0] >= EARLIEST else None), (pair[1] if pair[1] < LATEST else None)


# ---------------------------------------------------------------- reading


def read(workspace: Workspace, view: str, at: date, wanted: Filter, now: datetime, after: str = "") -> Reading:
    """What a view shows around a date. `after`: the post with which the page before of a list ended."""
    days = days_of(view, at, workspace.time_zone)
    if view == LIST:
        ids, following = _page(workspace, days, wanted, after)
    else:
        ids, following = _first_of(workspace, days, wanted, MOST_A_DAY[view]), ""
    found = entries(workspace, ids)
    ahead = _ahead(workspace, days, wanted, now) if not after and not following else ()
    begins = [day.starts for day in days]
    for one in sorted((*found, *ahead), key=lambda entry: (entry.at, entry.id)):
        day = days[bisect_right(begins, one.at) - 1]
        day.entries.append(one)
        day.count += one.is_ahead
    for day in days if view != LIST else ():
        day.entries = day.entries[:MOST_A_DAY[view]]
    return Reading(days, following)


def narrowed(query: Select[*Columns], workspace: Workspace, wanted: Filter) -> Select[*Columns]:
    """A query of posts for those of a workspace that shall be shown; cancelled ones only where they are asked for."""
    return query.where(_which(_shape(wanted))).params(**_values(workspace, wanted))


def _shape(wanted: Filter) -> Filter:
    """What a filter asks about; the values themselves are given to the statement when it runs."""
    account, platform, author = ("given" if one else "" for one in (wanted.account, wanted.platform, wanted.author))
    return Filter(account, platform, wanted.state, author)


def _values(workspace: Workspace, wanted: Filter) -> dict[str, Any]:
    within = wanted.account.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return {"the_workspace": workspace.id, "the_account": wanted.account, "the_account_within": f"%{within}%",
            "the_platform": wanted.platform, "the_author": wanted.author}


@lru_cache(maxsize=128)
def _which(shape: Filter) -> ColumnElement[bool]:
    """The condition for filters of this shape, with parameters of the names that `_values` gives."""
    delivery: list[ColumnElement[bool]] = []
    target: list[ColumnElement[bool]] = []
    plain: list[ColumnElement[bool]] = [Post.workspace_id == bindparam("the_workspace")]
    if shape.account:
        delivery.append(Delivery.account_id == bindparam("the_account"))
        target.append(cast(Post.targets, Text).like(bindparam("the_account_within"), escape="/"))
    if shape.platform:
        of = select(Account.id).where(Account.workspace_id == bindparam("the_workspace"),
                                      Account.platform == bindparam("the_platform"))
        delivery.append(Delivery.account_id.in_(of))
        target.append(of.where(cast(Post.targets, Text).contains(Account.id)).exists())
    if shape.author:
        plain.append(Post.author_id == bindparam("the_author"))
    unsent = [Post.state.in_(UNSENT), *target]
    if shape.state in UNSENT:
        return and_(*plain, Post.state == shape.state, *target)
    if shape.state == CANCELLED:
        dead = or_(Post.state == CANCELLED, (Post.state == SCHEDULED) & ~Post.deliveries.any(
            Delivery.state != CANCELLED))
        return and_(*plain, dead, *([Post.deliveries.any(and_(*delivery))] if delivery else []))
    if shape.state:
        return and_(*plain, Post.state == SCHEDULED, Post.deliveries.any(and_(
            Delivery.state.in_(OF_STATE[shape.state]), *delivery)))
    lives = (Post.state == SCHEDULED) & Post.deliveries.any(and_(Delivery.state != CANCELLED, *delivery))
    return and_(*plain, or_(and_(*unsent), lives))


def _first_of(workspace: Workspace, days: Sequence[Day], wanted: Filter, most: int) -> list[str]:
    """The ids of the first posts of each day; sets how many there are of each."""
    values = _values(workspace, wanted) | {"most": most, "counted": COUNTED}
    for number, day in enumerate(days):
        values |= {f"starts_{number}": day.starts, f"ends_{number}": day.ends}
    ids: list[str] = []
    for number, first, count in db.session.execute(_each_day(_shape(wanted), len(days)), values):
        days[number].count = count
        ids += first.split() if first else ()
    return ids


@lru_cache(maxsize=64)
def _each_day(shape: Filter, number: int) -> Select[Any]:
    """The statement for filters of this shape and so many days, made once: to put it together takes longer than to run.

    It gives the number of each day, the ids of its first posts as one text, and how many it has.
    """
    kind = Post.due_at.type
    days = union_all(*(select(
        literal_column(str(one)).label("number"), bindparam(f"starts_{one}", type_=kind).label("starts"),
        bindparam(f"ends_{one}", type_=kind).label("ends")) for one in range(number))).cte("days")
    there = select(Post.id).where(_which(shape), Post.due_at >= days.c.starts, Post.due_at < days.c.ends)
    first = there.correlate(days).order_by(Post.due_at, Post.id).limit(bindparam("most")).subquery()
    counted = there.correlate(days).limit(bindparam("counted")).subquery()
    return select(days.c.number, select(func.aggregate_strings(first.c.id, " ")).scalar_subquery(),
                  select(func.count()).select_from(counted).scalar_subquery())


def _page(workspace: Workspace, days: Sequence[Day], wanted: Filter, after: str) -> tuple[list[str], str]:
    """The ids of one page of the list, and the id after which the next one begins."""
    query = select(Post.id).where(Post.due_at >= days[0].starts, Post.due_at < days[-1].ends)
    query = narrowed(query, workspace, wanted)
    if after:  # an id that is not in this workspace compares with nothing, so it gives an empty page
        last = select(Post.due_at, Post.id).where(Post.workspace_id == workspace.id, Post.id == after)
        query = query.where(tuple_(Post.due_at, Post.id) > last.scalar_subquery())
    ids = list(db.session.scalars(query.order_by(Post.due_at, Post.id).limit(PAGE + 1)))
    return ids[:PAGE], ids[PAGE - 1] if len(ids) > PAGE else ""


# ---------------------------------------------------------------- posts as entries


def entries(workspace: Workspace, ids: Sequence[str]) -> list[Entry]:
    """These posts as entries, in any order; three queries."""
    if not ids:
        return []
    posts = db.session.execute(select(
        Post.id, Post.due_at, func.substr(Post.text, 1, TEXT).label("text"), Post.state, Post.author_name, Post.version,
        Post.is_queued, Post.series_id, case((Post.state.in_(UNSENT), Post.targets)).label("targets"))
        .where(Post.id.in_(ids))).all()
    later = Delivery.state.in_((SCHEDULED, HELD)) & (Delivery.scheduled_for != Post.due_at)
    rows = db.session.execute(select(
        Delivery.post_id, Delivery.state, case((later, Delivery.scheduled_for)).label("elsewhere"), Delivery.account_id)
        .join(Post, Delivery.post_id == Post.id)
        .where(Delivery.post_id.in_(ids)).order_by(Delivery.post_id, Delivery.id)).all()
    by_post = {post_id: list(some) for post_id, some in groupby(rows, key=lambda row: row.post_id)}
    named = {row.account_id for row in rows} | {one["account_id"] for post in posts if post.state in UNSENT
                                                for one in post.targets}
    known = _accounts(workspace, named)
    return [_entry(post, by_post.get(post.id, []), known, workspace.time_zone) for post in posts]


def _entry(post: Any, rows: Sequence[Any], known: Mapping[str, tuple[str, str]], zone: str) -> Entry:
    states: dict[str, int] = {}
    ids: list[str] = []
    elsewhere: set[datetime] = set()
    for _, state, at, account_id in rows:
        states[state] = states.get(state, 0) + 1
        ids.append(account_id)
        if at is not None:
            elsewhere.add(at)
    if post.state in UNSENT:
        ids = [one["account_id"] for one in post.targets]
    state = post.state
    if state not in UNSENT:
        state = next((one for one in TOLD_FIRST if one in states), CANCELLED)
    return Entry(post.id, post.due_at, _wall(post.due_at, zone), " ".join(post.text.split()), state, states,
                 tuple(known[one] for one in ids if one in known), post.author_name, post.version, post.is_queued,
                 post.series_id or "", elsewhere=tuple(sorted(elsewhere)), stays=why_not(post, list(states)))


def _wall(instant: datetime, zone: str) -> str:
    return local(instant, zone).replace(tzinfo=None).isoformat(timespec="minutes")


def _accounts(workspace: Workspace, ids: set[str]) -> dict[str, tuple[str, str]]:
    """Platform and name of accounts, by id."""
    rows = db.session.execute(select(Account.id, Account.platform, Account.display_name, Account.username).where(
        Account.workspace_id == workspace.id, Account.id.in_(ids))) if ids else ()
    return {row.id: (row.platform, row.display_name or row.username) for row in rows}


def why_not(post: Any, states: Sequence[str]) -> str:
    """Why a post whose deliveries are in these states cannot be moved, in words; empty if it can."""
    if post.series_id is not None:
        return REPEATS
    if post.state in UNSENT:
        return ""
    live = [one for one in states if one != CANCELLED]
    if post.state == CANCELLED or not live:
        return "This post is cancelled, so it cannot be moved."
    begun = next((one for one in live if one not in WAITS), "")
    return f"This post is {begun} on at least one profile, so it cannot be moved as a whole." if begun else ""


# ---------------------------------------------------------------- repeating posts that are not written yet


def _ahead(workspace: Workspace, days: Sequence[Day], wanted: Filter, now: datetime) -> list[Entry]:
    """The times at which running series come up after the post that lies ahead of each, within three months."""
    starts, ends = max(days[0].starts, now), min(days[-1].ends, now + SERIES_AHEAD)
    if ends <= starts or wanted.state not in ("", SCHEDULED):
        return []
    running = db.session.scalars(select(Series).where(
        Series.workspace_id == workspace.id, Series.state == series.RUNNING, Series.next_at < ends)
        .order_by(Series.id).limit(MOST_SERIES)).all()
    known = _accounts(workspace, {one["account_id"] for found in running for one in found.targets})
    return [_ahead_entry(found, one, known, workspace.time_zone) for found in running if _fits(found, wanted, known)
            for one in _between(found, starts, ends)]


def _between(found: Series, starts: datetime, ends: datetime) -> Iterator[series.Occurrence]:
    for one in series.following(found):
        if one.instant >= ends:
            return
        if one.instant >= starts:
            yield one


def _fits(found: Series, wanted: Filter, known: Mapping[str, tuple[str, str]]) -> bool:
    ids = {one["account_id"] for one in found.targets}
    return ((not wanted.account or wanted.account in ids) and (not wanted.author or wanted.author == found.author_id)
            and (not wanted.platform or any(known[one][0] == wanted.platform for one in ids if one in known)))


def _ahead_entry(found: Series, one: series.Occurrence, known: Mapping[str, tuple[str, str]], zone: str) -> Entry:
    targets = tuple(known[each["account_id"]] for each in found.targets if each["account_id"] in known)
    return Entry(f"{found.id}-{one.wall}", one.instant, _wall(one.instant, zone), " ".join(found.text[:TEXT].split()),
                 SCHEDULED, {}, targets, found.author_name, series_id=found.id, is_ahead=True)


# ---------------------------------------------------------------- what can be filtered by


def accounts(workspace: Workspace) -> list[tuple[str, str, str]]:
    """Id, platform and name of the accounts to choose from."""
    return [(row.id, row.platform, row.display_name or row.username) for row in db.session.execute(
        select(Account.id, Account.platform, Account.display_name, Account.username)
        .where(Account.workspace_id == workspace.id, Account.state != DISCONNECTED)
        .order_by(Account.platform, Account.display_name, Account.id).limit(MOST_OFFERED))]


def authors(workspace: Workspace) -> list[tuple[str, str]]:
    """Id and name of the people who write in this workspace."""
    rows = db.session.scalars(select(User).join(Membership, Membership.user_id == User.id).where(
        Membership.workspace_id == workspace.id).order_by(User.name, User.email).limit(MOST_OFFERED))
    return [(one.id, one.shown) for one in rows]

