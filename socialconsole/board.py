"""The health board: platforms by the states of their profiles and posts, and the lists behind each number.

Counted by the database in sets, however many accounts and posts there are. The lists name workspaces, profiles and the
owners to ask, for an admin who has to reach them; what anybody wrote is not read here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, func, or_, select
from sqlalchemy.orm import joinedload

from . import explanations, lately, platform_apps
from .accounts import EXPIRING_WITHIN, Outline, status
from .extensions import db
from .models import (
    ACTIVE,
    DISCONNECTED,
    FAILED,
    HELD,
    MISSED,
    OWNER,
    PAUSED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Account,
    Delivery,
    Grant,
    Membership,
    PlatformApp,
    User,
    Workspace,
)
from .providers import PROVIDERS
from .providers import provider as provider_of

NAME = "board"
PAGE = 50
MOST_GROUPS = 100  # kinds of accounts that one list is put together from; more is no installation of ours
LIMITED, EXPIRING = "limited", "expiring"
FOLLOWING = (ACTIVE, LIMITED, EXPIRING)  # status words that follow from permissions and lifetimes and are not stored


@dataclass(frozen=True)
class Column:
    """One column of the board. `action`: what its numbers lead to; `ask`: the one sentence that helps."""

    word: str
    title: str
    action: str = ""
    ask: str = ""


# status words of accounts
PROFILES = (
    Column(ACTIVE, "Works"),
    Column(EXPIRING, "Ends soon", "Whom to ask", "please reconnect it before then, and nothing stops"),
    Column(TOKEN_EXPIRED, "To reconnect", "Whom to ask", "please reconnect it; its posts wait until then"),
    Column(LIMITED, "Limited", "Whom to ask", "please reconnect it and allow what is missing"),
    Column(PAUSED, "Paused", "By whom", "resume it if it should publish again"),
)
# states of deliveries; each stands for those that mean the same to an admin
POSTS = (
    Column(HELD, "Held", "What for", "they go out when what they wait for is repaired"),
    Column(UNCONFIRMED, "Unconfirmed", "Who decides", "please look there and decide whether they are out"),
    Column(FAILED, "Failed", "Whose", "please try them again or cancel them"),
)
MEANS = {HELD: (HELD,), UNCONFIRMED: (UNCONFIRMED,), FAILED: (FAILED, MISSED)}
COLUMNS = {column.word: column for column in (*PROFILES, *POSTS)}
# The tone of a cell that holds a number.
TONES = {ACTIVE: "ok", EXPIRING: "warn", TOKEN_EXPIRED: "bad", LIMITED: "warn", PAUSED: "paused", HELD: "warn",
         UNCONFIRMED: "warn", FAILED: "bad"}


@dataclass(frozen=True)
class Line:
    """One platform: how many profiles and posts are in each state."""

    platform: str
    numbers: Mapping[str, int]

    def number(self, word: str) -> int:
        """How many there are in a column."""
        return self.numbers.get(word, 0)

    @property
    def needs(self) -> bool:
        """Whether a number on it needs somebody."""
        return any(number for word, number in self.numbers.items() if word not in (ACTIVE, PAUSED))


class _Kind(NamedTuple):
    """What decides the status word of an active account, and how many there are of that kind."""

    platform: str
    kind: str
    mode: str
    scopes: str
    has_own: bool
    can_refresh: bool
    has_grant: bool
    access: str  # never, soon, later
    refresh: str
    number: int = 0

    def word(self, now: datetime) -> str:
        """The status word, by the same rules as on the account's own page."""
        ends = {"never": None, "soon": now, "later": now + EXPIRING_WITHIN + timedelta(days=1)}
        return Outline("", self.platform, self.kind, "", "", ACTIVE, None, self.has_own, self.has_grant, self.mode,
                       self.scopes, self.can_refresh, ends[self.access], ends[self.refresh]).word(now)


# ---------------------------------------------------------------- counting


def board(now: datetime) -> list[Line]:
    """All platforms that have an app or an account, in the order people know them; counted some seconds ago at most."""
    return lately.of(NAME, lambda: read(now))


def read(now: datetime) -> list[Line]:
    """The board, counted afresh. Four statements."""
    numbers: dict[str, dict[str, int]] = {}

    def add(platform: str, word: str, number: int) -> None:
        line = numbers.setdefault(platform, {})
        line[word] = line.get(word, 0) + number

    for platform, state, number in db.session.execute(
            select(Account.platform, Account.state, func.count()).where(Account.state.in_((PAUSED, TOKEN_EXPIRED)))
            .group_by(Account.platform, Account.state)):
        add(platform, state, number)
    for kind in _kinds(now):
        add(kind.platform, kind.word(now), kind.number)
    of_state = {state: word for word, states in MEANS.items() for state in states}
    for platform, state, number in db.session.execute(
            select(Account.platform, Delivery.state, func.count()).join(Account, Account.id == Delivery.account_id)
            .where(Delivery.state.in_(of_state)).group_by(Account.platform, Delivery.state)):
        add(platform, of_state[state], number)
    known = set(db.session.scalars(select(PlatformApp.platform).distinct())) | set(numbers)
    return [Line(slug, numbers.get(slug, {})) for slug in PROVIDERS if slug in known]


def _kinds(now: datetime, platform: str = "") -> list[_Kind]:
    """The active accounts by what decides their status, the most frequent kinds first. One statement."""
    columns = _columns(now)
    query = _with_app(select(*columns, func.count().label("number"))).where(Account.state == ACTIVE)
    if platform:
        query = query.where(Account.platform == platform)
    return [_Kind(*row) for row in db.session.execute(query.group_by(*columns).order_by(func.count().desc()))]


def _with_app(query: Select[Any]) -> Select[Any]:
    return query.select_from(Account).outerjoin(Grant, Account.grant_id == Grant.id).outerjoin(
        PlatformApp, Grant.app_id == PlatformApp.id)


def _columns(now: datetime) -> tuple[Any, ...]:
    """What decides the status of an active account, in the order of _Kind.

    A token of its own counts only where the platform gives such: reading it leads past the picture.
    """
    with_own = [slug for slug, one in PROVIDERS.items() if one.account_outlives_grant]
    return (
        Account.platform, Account.kind, func.coalesce(PlatformApp.mode, ""),
        func.coalesce(cast(Grant.scopes_granted, Text), "null"),
        case((and_(Account.platform.in_(with_own), Account.own_token_sealed.is_not(None)), 1), else_=0),
        case((Grant.refresh_sealed.is_not(None), 1), else_=0), case((Grant.id.is_not(None), 1), else_=0),
        _ends(Grant.access_expires_at, now), _ends(Grant.refresh_expires_at, now))


def _ends(column: Any, now: datetime) -> ColumnElement[str]:
    return case((column.is_(None), "never"), (column <= now + EXPIRING_WITHIN, "soon"), else_="later")


# ---------------------------------------------------------------- the lists behind the numbers


@dataclass(frozen=True)
class ProfileLine:
    """One profile that needs somebody: where it is, why, and the owners to ask."""

    account_id: str
    platform: str
    name: str
    username: str
    workspace_id: str
    workspace: str
    word: str
    label: str
    reason: str
    since: datetime
    owners: tuple[str, ...]
    told: explanations.Explanation | None


@dataclass(frozen=True)
class ProfilePage:
    """One page of a list, the profile that was connected last first. `next`: where the next one begins, if any."""

    lines: tuple[ProfileLine, ...]
    next: str


@dataclass(frozen=True)
class PostLine:
    """How many posts of one profile wait for the same: no word of what is in them."""

    workspace_id: str
    workspace: str
    account_id: str
    name: str
    platform: str
    hold: str  # account, platform, app; empty where they are not held
    number: int
    oldest: datetime
    owners: tuple[str, ...] = field(default=())


def profiles(platform: str, word: str, now: datetime, before: str = "") -> ProfilePage:
    """The accounts of a platform that are in a state, over all workspaces. At most four statements."""
    query = select(Account.id).where(Account.platform == platform)
    if word in FOLLOWING:
        kinds = [kind for kind in _kinds(now, platform) if kind.word(now) == word][:MOST_GROUPS]
        if not kinds:
            return ProfilePage((), "")
        query = _with_app(query).where(Account.state == ACTIVE, or_(*(_is_of(kind, now) for kind in kinds)))
    else:
        query = query.where(Account.state == word)
    if before:
        query = query.where(Account.id < before)
    ids = list(db.session.scalars(query.order_by(Account.id.desc()).limit(PAGE + 1)))
    found = db.session.scalars(
        select(Account).where(Account.id.in_(ids[:PAGE])).order_by(Account.id.desc())
        .options(joinedload(Account.workspace), joinedload(Account.grant).joinedload(Grant.app))).all()
    owners = _owners({one.workspace_id for one in found})
    lines = tuple(_profile(one, owners, now) for one in found)
    return ProfilePage(lines, ids[PAGE - 1] if len(ids) > PAGE else "")


def _is_of(kind: _Kind, now: datetime) -> ColumnElement[bool]:
    return and_(*(column == value for column, value in zip(_columns(now), kind[:-1], strict=True)))


def _profile(one: Account, owners: Mapping[str, tuple[str, ...]], now: datetime) -> ProfileLine:
    seen = status(one, now)
    since = one.state_since if seen.word in (TOKEN_EXPIRED, PAUSED, DISCONNECTED) or one.grant is None \
        else one.grant.granted_at
    told = explanations.of_account(one) if seen.word == TOKEN_EXPIRED else None
    return ProfileLine(one.id, one.platform, one.display_name or one.username, one.username, one.workspace_id,
                       one.workspace.name, seen.word, seen.label, seen.reason, since,
                       owners.get(one.workspace_id, ()), told)


def posts(platform: str, word: str) -> list[PostLine]:
    """Which profiles have posts in a state, the most first, up to a page of them. Two statements."""
    number, oldest = func.count().label("number"), func.min(Delivery.scheduled_for)
    rows = db.session.execute(
        select(Account.workspace_id, Workspace.name, Account.id, Account.display_name, Account.username, Delivery.hold,
               number, oldest)
        .select_from(Delivery).join(Account, Account.id == Delivery.account_id)
        .join(Workspace, Workspace.id == Account.workspace_id)
        .where(Delivery.state.in_(MEANS[word]), Account.platform == platform)
        .group_by(Account.workspace_id, Workspace.name, Account.id, Account.display_name, Account.username,
                  Delivery.hold)
        .order_by(number.desc(), Account.id).limit(PAGE)).all()
    owners = _owners({row[0] for row in rows})
    return [PostLine(row[0], row[1], row[2], row[3] or row[4], platform, row[5], row[6], row[7],
                     owners.get(row[0], ())) for row in rows]


def _owners(workspace_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The names of the owners of these workspaces, those who came first first. One statement."""
    rows = db.session.execute(
        select(Membership.workspace_id, User.name, User.email).join(User, User.id == Membership.user_id)
        .where(Membership.workspace_id.in_(list(workspace_ids)), Membership.role == OWNER).order_by(User.created_at))
    found: dict[str, tuple[str, ...]] = {}
    for workspace_id, name, email in rows:
        found[workspace_id] = (*found.get(workspace_id, ()), name or email)
    return found


# ---------------------------------------------------------------- a message to the owners


def message(line: ProfileLine, public_url: str) -> str:
    """What an admin may send to the owners of a profile's workspace: what is wrong, what to do, and where."""
    name, column = provider_of(line.platform).name, COLUMNS[line.word]
    cause = line.told.cause if line.told is not None else line.reason
    return " ".join((
        _greeting(line.owners), f"{name} profile “{line.name}” in “{line.workspace}”: {line.label.lower()}.", cause,
        f"{column.ask[:1].upper()}{column.ask[1:]}: {public_url}/w/{line.workspace_id}/profiles/{line.account_id}")
    ).replace("  ", " ").strip()


def post_message(line: PostLine, word: str, public_url: str) -> str:
    """What an admin may send to the owners of a workspace about posts that wait."""
    name, column = provider_of(line.platform).name, COLUMNS[word]
    what = "1 post" if line.number == 1 else f"{line.number:,} posts"
    is_are = "is" if line.number == 1 else "are"
    place = f"{public_url}/w/{line.workspace_id}/posts?filter=needs&account={line.account_id}"
    return (f"{_greeting(line.owners)} {what} to the {name} profile “{line.name}” in “{line.workspace}” {is_are} "
            f"{column.title.lower()}: {column.ask}. {place}")


def _greeting(owners: Sequence[str]) -> str:
    return f"Hello {' and '.join(owners[:3])}." if owners else "Hello."


# ---------------------------------------------------------------- the next step of a platform


@dataclass(frozen=True)
class Repair:
    """What an admin has to do first, before anybody else's step can work: in words, and for which app."""

    text: str
    segment: str


def repair(row: platform_apps.Row) -> Repair | None:
    """What keeps all profiles of a platform from working, if an admin can end it."""
    for one in row.apps:
        if one.app is not None and one.state == platform_apps.ATTENTION:
            return Repair("Repair the app", one.segment)
    if not any(one.is_on for one in row.apps):
        saved = next((one for one in row.apps if one.app is not None and one.app.is_saved), None)
        return Repair("Turn it on", saved.segment) if saved is not None else None
    return None
