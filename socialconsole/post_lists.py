"""Reading lists of posts: filtered, searched, page by page, and how many of them need a person. Changes nothing.

A page is found in two steps: first the ids of its posts, newest first and with nothing read that an index does not
lead to, then all that the page shows of them, in a fixed number of statements. A list of one state is put together from
the ranges that the index of deliveries holds, one for each state: the rows of a workspace are never walked for a few.
Where a period is asked for, posts come in the order of their time instead of that of their writing.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flask import abort
from sqlalchemy import Boolean, ColumnElement, Select, and_, exists, func, not_, or_, select, tuple_, union
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import contains_eager, defer, joinedload, selectinload
from sqlalchemy.sql.functions import FunctionElement

from .extensions import db
from .models import (
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
    Account,
    Delivery,
    Grant,
    Media,
    Membership,
    Post,
    User,
    Workspace,
)
from .posts import unsent

PAGE = 50
NEEDS_PERSON = (HELD, UNCONFIRMED, FAILED, MISSED)
# filter of a list -> the states of which a post has at least one delivery
STATES: Mapping[str, tuple[str, ...]] = {
    "needs": NEEDS_PERSON,
    "scheduled": (SCHEDULED, HELD, PREPARING, PROCESSING, PUBLISHING, SENT),
    "published": (PUBLISHED,),
    "failed": (FAILED, MISSED),
}
DENSE = (PUBLISHED,)  # most deliveries end there: an account's own index leads to them faster than that of the state
MOST_COUNTED = 100  # what needs a person is counted up to here, and told as "99+"
MOST_ACCOUNTS = 8  # a post to more is shown by the numbers of its states
MOST_BRANCHES = 12  # profiles of one platform whose ranges are merged; with more, hardly any post is without one
LONGEST_SEARCH = 200
NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True)
class Wanted:
    """What a list shall show. Empty values ask for nothing; `begin` and `end` enclose the time a post goes out."""

    state: str = "all"  # all, or a key of STATES
    account_id: str = ""
    platform: str = ""
    author_id: str = ""
    text: str = ""
    begin: datetime | None = None
    end: datetime | None = None

    @property
    def by_time(self) -> bool:
        """Whether the list is in the order of the posts' times."""
        return self.begin is not None or self.end is not None

    @property
    def is_narrow(self) -> bool:
        """Whether anything is asked for but a state."""
        return self != replace(Wanted(), state=self.state)


@dataclass(frozen=True)
class Row:
    """One post of a list: its deliveries, or where there are many only the numbers of their states; its first file."""

    post: Post
    deliveries: Sequence[Delivery] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    file: Media | None = None


@dataclass(frozen=True)
class Page:
    """A page of a list. `next` leads to the one after it; `mark` changes with anything that the page shows."""

    rows: Sequence[Row]
    next: str = ""
    mark: str = ""


# ---------------------------------------------------------------- searching a text


class said(FunctionElement[bool]):
    """Whether a text contains what was typed, whichever letters are capitals, beyond ASCII too."""

    type = Boolean()
    inherit_cache = True
    name = "said"


@compiles(said, "sqlite")
def _said_sqlite(element: said, compiler: Any, **options: Any) -> str:
    text, typed = (compiler.process(one, **options) for one in element.clauses)
    return f"instr(casefold({text}), casefold({typed})) > 0"


@compiles(said, "postgresql")
def _said_postgresql(element: said, compiler: Any, **options: Any) -> str:
    # The collation is named, since in a database made with locale C only ASCII letters have a small form.
    text, typed = (f'lower(normalize(CAST({compiler.process(one, **options)} AS text)) COLLATE "und-x-icu")'
                   for one in element.clauses)
    return f"strpos({text}, {typed}) > 0"


# ---------------------------------------------------------------- which posts


def page(workspace: Workspace, wanted: Wanted, before: str = "", limit: int = PAGE) -> Page:
    """A page of the posts of a workspace that were sent off, newest first; `before`: `next` of the page before it."""
    ids = _ids(workspace, wanted, before, limit + 1)
    rows = _rows(workspace, ids[:limit])
    if len(ids) <= limit or not rows:
        return Page(rows, mark=_mark(rows))
    return Page(rows, _cursor(rows[-1].post, wanted), _mark(rows))


def _ids(workspace: Workspace, wanted: Wanted, before: str, limit: int) -> list[str]:
    states = STATES.get(wanted.state)
    if wanted.by_time:
        return _by_time(workspace, wanted, states, before, limit)
    accounts = _accounts(workspace, wanted)
    if accounts is not None and not accounts:
        return []
    branches = _branches(workspace, wanted, states, accounts)
    if not branches:
        query = select(Post.id).where(*_plain(workspace, wanted, states, accounts))
        if before:
            query = query.where(Post.id < before)
        return list(db.session.scalars(query.order_by(Post.id.desc()).limit(limit)))
    parts = [_newest(one, before, limit) for one in branches]
    merged = union(*(select(part.c.post_id) for part in parts)).subquery()
    return list(db.session.scalars(select(merged.c.post_id).order_by(merged.c.post_id.desc()).limit(limit)))


def _newest(branch: Select[Any], before: str, limit: int) -> Any:
    """The newest posts of one range of the index."""
    if before:
        branch = branch.where(Delivery.post_id < before)
    return branch.distinct().order_by(Delivery.post_id.desc()).limit(limit).subquery()


def _branches(workspace: Workspace, wanted: Wanted, states: tuple[str, ...] | None,
              accounts: Sequence[str] | None) -> list[Select[Any]]:
    """The ranges of deliveries that hold the posts; none where the posts themselves are walked."""
    post = _about_post(workspace, wanted)
    further = [exists().where(Post.id == Delivery.post_id, *post)] if len(post) > 1 else []
    column = select(Delivery.post_id)
    by_account = [column.where(Delivery.account_id == one, *further) for one in accounts or ()]
    if states is None or states == DENSE:
        if accounts is not None:
            if len(accounts) > MOST_BRANCHES:
                return []
            return [one.where(Delivery.state.in_(states)) if states else one for one in by_account]
        if states is None or further:
            return []
    theirs = [Delivery.account_id.in_(accounts)] if accounts is not None else []
    return [column.where(Delivery.workspace_id == workspace.id, Delivery.state == state, *theirs, *further)
            for state in states]


def _plain(workspace: Workspace, wanted: Wanted, states: tuple[str, ...] | None,
           accounts: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """The conditions on a post where posts are walked."""
    found = _about_post(workspace, wanted)
    if states is None and accounts is None:
        return [*found, not_(unsent())]
    theirs = [Delivery.account_id.in_(accounts)] if accounts is not None else []
    if states is None:
        return [*found, exists().where(Delivery.post_id == Post.id, *theirs)]
    # All three columns of the index of states are named, so that no database walks the deliveries of a state instead.
    return [*found, exists().where(Delivery.workspace_id == workspace.id, Delivery.state.in_(states),
                                   Delivery.post_id == Post.id, *theirs)]


def _about_post(workspace: Workspace, wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [Post.workspace_id == workspace.id]
    if wanted.author_id:
        found.append(Post.author_id == wanted.author_id)
    if wanted.begin is not None:
        found.append(Post.due_at >= wanted.begin)
    if wanted.end is not None:
        found.append(Post.due_at < wanted.end)
    if wanted.text:
        found += [Post.text.icontains(_plainest(wanted.text), autoescape=True), said(Post.text, wanted.text)]
    return found


def _plainest(typed: str) -> str:
    """The longest piece of ASCII in what was typed: databases compare it quickest, and so pass over most texts."""
    return max(NOT_ASCII.split(typed), key=len)


def _accounts(workspace: Workspace, wanted: Wanted) -> list[str] | None:
    """The accounts that are asked for; None where all are."""
    if not wanted.account_id and not wanted.platform:
        return None
    query = select(Account.id).where(Account.workspace_id == workspace.id)
    if wanted.account_id:
        query = query.where(Account.id == wanted.account_id)
    if wanted.platform:
        query = query.where(Account.platform == wanted.platform)
    return list(db.session.scalars(query.order_by(Account.id)))


def _by_time(workspace: Workspace, wanted: Wanted, states: tuple[str, ...] | None, before: str,
             limit: int) -> list[str]:
    """Within a period posts are walked in the order of their time, which has an index of its own."""
    accounts = _accounts(workspace, wanted)
    query = select(Post.id).where(*_plain(workspace, wanted, states, accounts))
    due_at, _, post_id = before.partition("~")
    try:
        at = datetime.fromisoformat(due_at) if due_at else None
    except ValueError:
        at = None
    if at is not None:
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        query = query.where(tuple_(Post.due_at, Post.id) < (at, post_id), Post.due_at <= at)
    return list(db.session.scalars(query.order_by(Post.due_at.desc(), Post.id.desc()).limit(limit)))


def _cursor(last: Post, wanted: Wanted) -> str:
    return f"{last.due_at.isoformat()}~{last.id}" if wanted.by_time and last.due_at is not None else last.id


# ---------------------------------------------------------------- what is shown of them


def _rows(workspace: Workspace, ids: Sequence[str]) -> list[Row]:
    found = {one.id: one for one in db.session.scalars(select(Post).where(Post.id.in_(ids)))} if ids else {}
    counts: dict[str, dict[str, int]] = {one: {} for one in ids}
    for post_id, state, number in db.session.execute(
            select(Delivery.post_id, Delivery.state, func.count()).where(Delivery.post_id.in_(ids))
            .group_by(Delivery.post_id, Delivery.state)) if ids else ():
        counts[post_id][state] = number
    few = [one for one in ids if sum(counts[one].values()) <= MOST_ACCOUNTS]
    deliveries = _deliveries(few)
    files = _first_files(workspace, list(found.values()))
    return [Row(found[one], deliveries.get(one, ()), counts[one], files.get(one)) for one in ids if one in found]


def _deliveries(ids: Sequence[str]) -> dict[str, list[Delivery]]:
    """The deliveries of these posts with their accounts, in one statement."""
    made: dict[str, list[Delivery]] = {}
    if ids:
        for one in db.session.scalars(
                select(Delivery).join(Delivery.account).where(Delivery.post_id.in_(ids)).order_by(Delivery.id)
                .options(contains_eager(Delivery.account).options(defer(Account.meta)),
                         defer(Delivery.handle), defer(Delivery.options))):
            made.setdefault(one.post_id, []).append(one)
    return made


def _first_files(workspace: Workspace, found: Sequence[Post]) -> dict[str, Media]:
    """The first file of each post, where it is still kept, by the post's id."""
    first = {one.id: one.content["media"][0] for one in found if one.content and one.content.get("media")}
    there = {one.id: one for one in db.session.scalars(
        select(Media).where(Media.workspace_id == workspace.id, Media.id.in_(set(first.values()))))} if first else {}
    return {post_id: there[media_id] for post_id, media_id in first.items() if media_id in there}


def _mark(rows: Sequence[Row]) -> str:
    return digest([(row.post.id, row.post.version, row.post.state, row.post.due_at, sorted(row.counts.items()),
                    [shown(one) for one in row.deliveries]) for row in rows])


def shown(one: Delivery) -> tuple[Any, ...]:
    """What a page shows of a delivery, to tell whether it changed."""
    return (one.id, one.state, one.note, one.hold, one.due_at, one.scheduled_for, one.permalink, one.warning,
            one.deleted_at, one.error_code, one.confirmed_by, one.published_at, len(one.parts),
            one.lease_until is None, one.account.state, one.account.display_name)


def digest(value: Any) -> str:
    """A short text that is the same for the same plain values."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def deliveries(post: Post) -> list[Delivery]:
    """The deliveries of a post with their accounts, and nothing else, in one statement."""
    return _deliveries([post.id]).get(post.id, [])


def mark_of(post: Post, found: Sequence[Delivery], *more: Any) -> str:
    """A text that changes with anything that the page of one post shows. `found`: its deliveries."""
    return digest((post.version, post.state, post.due_at, [shown(one) for one in found], more))


def some(workspace: Workspace, ids: Sequence[str]) -> list[Post]:
    """Those of these posts that are in the workspace, with their deliveries, newest first."""
    return list(db.session.scalars(
        select(Post).where(Post.workspace_id == workspace.id, Post.id.in_(set(ids)))
        .options(selectinload(Post.deliveries).joinedload(Delivery.account)).order_by(Post.id.desc())))


def whole(workspace: Workspace, post_id: str) -> Post:
    """A post with its deliveries, their accounts and what happened to them, in a fixed number of statements.

    404 for any other id.
    """
    found = db.session.scalar(
        select(Post).where(Post.workspace_id == workspace.id, Post.id == post_id)
        .options(selectinload(Post.deliveries).options(
            joinedload(Delivery.account).joinedload(Account.grant).joinedload(Grant.app),
            selectinload(Delivery.log)))
        .execution_options(populate_existing=True))
    if found is None:
        abort(404)
    return found


# ---------------------------------------------------------------- numbers and choices


def needs_count(workspace: Workspace) -> int:
    """How many posts of a workspace wait for a person, counted up to MOST_COUNTED."""
    parts = [select(Delivery.post_id).where(Delivery.workspace_id == workspace.id, Delivery.state == state)
             .distinct().limit(MOST_COUNTED).subquery() for state in NEEDS_PERSON]
    merged = union(*(select(part.c.post_id) for part in parts)).subquery()
    return min(db.session.scalar(select(func.count()).select_from(merged)) or 0, MOST_COUNTED)


def profiles(workspace: Workspace, also: str = "") -> list[tuple[str, str, str]]:
    """Id, name and platform of the accounts that a list can be narrowed to: the connected ones, and `also`."""
    found = db.session.execute(
        select(Account.id, Account.display_name, Account.username, Account.platform)
        .where(Account.workspace_id == workspace.id, or_(Account.state != DISCONNECTED, Account.id == also))
        .order_by(Account.platform, Account.display_name, Account.id))
    return [(one.id, one.display_name or one.username, one.platform) for one in found]


def authors(workspace: Workspace) -> list[tuple[str, str]]:
    """Id and name of the members of a workspace."""
    found = db.session.execute(select(User.id, User.name, User.email).join(
        Membership, and_(Membership.user_id == User.id, Membership.workspace_id == workspace.id)))
    return sorted(((one.id, one.name or one.email) for one in found), key=lambda pair: pair[1].casefold())


def tidy(text: str) -> str:
    """What was typed into the search field, as it is looked for."""
    return unicodedata.normalize("NFC", " ".join(text.replace("\0", " ").split()))[:LONGEST_SEARCH]
