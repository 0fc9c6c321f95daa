"""Posts: what an author may write, when, and to whom; and reading them back. Sends nothing."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from flask import abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from . import accounts, audit, drafts, media, tokens
from .accounts import actor
from .database import release, writing
from .drafts import Content, PartText
from .errors import PlatformError
from .extensions import db
from .models import (
    ACTIVE,
    CANCELLED,
    DISCONNECTED,
    FAILED,
    FINAL,
    HELD,
    MISSED,
    PAUSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Account,
    Delivery,
    Post,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .outside import secret
from .providers.content import COMMENT, Creator, Draft, Field, File, Format, Problem
from .providers.oauth2 import CONNECTABLE, OAuth2Provider, connectable
from .providers.rules import problems
from .times import Nonexistent, ago, local, moment, read_wall, to_utc

LONGEST_TEXT = 70_000
SAME_WITHIN = timedelta(minutes=15)
FARTHEST = timedelta(days=5 * 366)
TOO_FAR = "Choose a time within the next five years."
# What platforms said about posting to an account, until when it may be shown again: each tick of the form asks, and
# platforms count such questions. The worker asks afresh before it sends.
ASK_AGAIN_AFTER = timedelta(minutes=1)
_asked: dict[str, tuple[datetime, Creator]] = {}
# The platforms' own choices that name a file, or a time of their own.
FILE_FIELDS, TIME_FIELDS = (frozenset(
    one.name for provider in CONNECTABLE.values() for one in provider.fields if one.kind == kind)
    for kind in ("file", "time"))
NEEDS_PERSON = (HELD, UNCONFIRMED, FAILED, MISSED)
ON_ITS_WAY = (PREPARING, PROCESSING, PUBLISHING, SENT)


class Invalid(Exception):
    """What was typed cannot be taken: field -> sentence."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


class NotPossible(Exception):
    """The state moved on, so this cannot be done any more; the message says what it is now."""


@dataclass(frozen=True)
class Target:
    """An account as a place to publish to: whether it can be chosen, why not, and how much it takes."""

    account: Account
    selectable: bool
    why: str
    most: int
    counted_as: str


@dataclass(frozen=True)
class Choice:
    """How one account shall publish: in which format, and the platform's own choices. "" means the usual format."""

    format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sending:
    """One account of a post as it is written: in which format, with which of the platform's own choices."""

    account_id: str
    format: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What was typed, found good: the tidied content, where it goes, its wall time and its instant."""

    content: Content
    sendings: tuple[Sending, ...]
    wall: str
    due_at: datetime


@dataclass(frozen=True)
class Check:
    """What one account makes of a content: its format, the choices it has, what is wrong, what to know."""

    account: Account
    count: int
    most: int
    counted_as: str
    problems: tuple[Problem, ...]
    format: str = ""
    formats: tuple[Format, ...] = ()  # those that these files could take
    fields: tuple[Field, ...] = ()  # the platform's own choices for the format
    options: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)  # the same as the form shows them: times by the clock there
    creator: Creator | None = None
    notes: tuple[str, ...] = ()  # what goes along or is left out, and what it costs
    wants_alt: bool = False

    @property
    def problem(self) -> str:
        """The first thing that is wrong."""
        return self.problems[0].sentence if self.problems else ""


def targets(workspace: Workspace) -> list[Target]:
    """The connected accounts of a workspace as places to publish to."""
    return [_target(account) for account in accounts.accounts(workspace, connected=True)]


def _target(account: Account) -> Target:
    provider = connectable(account.platform)
    why = _why_not(account)
    return Target(account, not why, why, provider.text_limit.most, provider.text_limit.counted_as)


def _why_not(account: Account) -> str:
    grant = account.grant
    if account.state == PAUSED:
        return "paused"
    if account.state != ACTIVE or grant is None:
        return "to be reconnected"
    if not grant.app.is_on:
        return "the platform is switched off"
    missing = accounts.missing_to_publish(account)
    return f"can’t publish: {', '.join(missing)} was not granted" if missing else ""


# ---------------------------------------------------------------- what each account makes of it


def check(workspace: Workspace, content: Content, chosen: Sequence[Account], choices: Mapping[str, Choice],
          creators: Mapping[str, Creator] | None = None) -> list[Check]:
    """What each account makes of a content. `choices` and `creators` by account id. 404 for a stranger's file."""
    files = drafts.files_of(workspace, content, *(one.options for one in choices.values()))
    return [_check(content, account, choices.get(account.id, Choice()), files, (creators or {}).get(account.id),
                   workspace.time_zone) for account in chosen]


def _check(content: Content, account: Account, choice: Choice, files: Mapping[str, File],
           creator: Creator | None, zone: str) -> Check:
    provider, mode = connectable(account.platform), drafts.mode_of(account)
    given = [files[one] for one in content.media if one in files]
    mine = drafts.own_files(account, given, choice.options, content.poll, content.link)
    formats = drafts.choices(account, mine, content.poll, content.link)
    format = next((one for one in formats if one.slug == choice.format), formats[0] if formats else None)
    slug = format.slug if format else ""
    fields = tuple(one for one in provider.fields_of(mode, slug)
                   if not accounts.missing_of(one.needs, drafts.granted(account.grant)))
    typed = {one.name: choice.options.get(one.name, one.default) for one in fields}
    times = {one.name for one in fields if one.kind == "time"}
    options = {name: _instant(value, zone) if name in times else value for name, value in typed.items()}
    typed = {name: _wall(value, zone) if name in times else value for name, value in typed.items()}
    parts = drafts.parts_of(content, account, slug)
    plain = [drafts.draft(content, account, number, format=slug, options=options, files=files)
             for number in range(len(parts))]
    found = [Problem("accounts", f"{_why_not(account)}.".capitalize())] if _why_not(account) else []
    for number, one in enumerate(plain):
        where = f"Part {number + 1}: " if len(plain) > 1 and one.format != COMMENT else ""
        found += [replace(said, sentence=where + said.sentence) for said in problems(
            provider, one, mode, count=provider.count, kind=account.kind, creator=creator)]
    if format is not None and (lacking := accounts.missing_of(format.needs, drafts.granted(account.grant))):
        found.append(Problem("format", f"{format.label} needs {', '.join(lacking)}, which was not granted. Reconnect "
                                       "the profile to grant it."))
    limit = (format.text if format else None) or provider.text_limit
    return Check(account, provider.count(plain[0].text), limit.most, limit.counted_as, tuple(found), slug, formats,
                 fields, options, typed, creator, tuple(_notes(provider, content, account, format, plain, given)),
                 bool(format and format.alt_text))


def _instant(value: str, zone: str) -> str:
    """A time of the form as an instant with its offset; what is none stays as it is and is refused by its platform."""
    if not value or _told(value) is not None:
        return value
    try:
        return to_utc(value, zone).isoformat()
    except (Nonexistent, OverflowError):
        return value


def _wall(value: str, zone: str) -> str:
    """An instant as the form shows it, by the clock of the workspace."""
    instant = _told(value)
    try:
        return f"{local(instant, zone):%Y-%m-%dT%H:%M}" if instant is not None else value
    except OverflowError:
        return value


def _told(value: str) -> datetime | None:
    """The instant that a text with an offset tells; None for any other text."""
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def _notes(provider: OAuth2Provider, content: Content, account: Account, format: Format | None,
           plain: Sequence[Draft], given: Sequence[File]) -> Iterator[str]:
    if format is not None and format.note:
        yield format.note
    used = {file.id for file in plain[0].files} | {file.id for file in plain[0].extra_files.values()}
    for one in given:
        if one.id not in used:
            yield f"{one.name or 'A file'} is left out here."
    if format is not None and not format.has_text and content.text.strip():
        yield "The text is not shown here, so it is left out."
    going = sum(one.format != COMMENT for one in plain)
    if going < 1 + len(content.parts):
        yield f"Takes {going} of {1 + len(content.parts)} parts; the others are left out here."
    if content.first_comment.strip() and plain[-1].format != COMMENT:
        yield "No first comment from here; it is left out."
    yield from provider.notes(plain[0])
    costs = [cost for one in plain if one.format != COMMENT and (cost := provider.cost(one))]
    yield from costs if len(costs) < 2 else [f"Part {number}: {cost}" for number, cost in enumerate(costs, 1)]


def creators(workspace: Workspace, chosen: Sequence[Account]) -> dict[str, Creator]:
    """What the platforms say now about posting to those accounts whose choices depend on it. Calls platforms."""
    found: dict[str, Creator] = {}
    for account in chosen:
        provider = connectable(account.platform)
        if not provider.asks_creator or _why_not(account):
            continue
        known = _asked.get(account.id)
        if known is not None and known[0] > present():
            found[account.id] = known[1]
            continue
        with writing() as session:
            session.refresh(account)
            try:
                used = tokens.access(account, present())
            except (tokens.Renewed, PlatformError):
                continue
        release()
        try:
            found[account.id] = provider.creator(used.app, used.token, account.platform_user_id)
            _asked[account.id] = present() + ASK_AGAIN_AFTER, found[account.id]
        except PlatformError as error:
            found[account.id] = Creator(account.display_name, problem=error.message)
    return found


def wall_and_instant(wall_time: str, workspace: Workspace, now: datetime) -> tuple[str, datetime]:
    """The wall time as kept, and its instant. Raises Invalid (field `wall_time`)."""
    try:
        instant = to_utc(wall_time, workspace.time_zone)
    except Nonexistent as error:
        raise Invalid({"wall_time": str(error)}) from None
    except OverflowError:  # the last day there is, in a zone where it ends later
        raise Invalid({"wall_time": TOO_FAR}) from None
    if instant < now.replace(second=0, microsecond=0):
        raise Invalid({"wall_time": f"This time has passed already in {workspace.time_zone}. Choose a later one, or "
                                    "publish now."})
    if instant > now + FARTHEST:
        raise Invalid({"wall_time": TOO_FAR})
    return wall_time.strip()[:16], instant


def schedule(workspace: Workspace, user: User, content: Content, account_ids: Sequence[str], *, when: str,
             wall_time: str, nonce: str, again: bool = False, choices: Mapping[str, Choice] | None = None) -> Post:
    """Write a post and one delivery for each account. The same nonce twice gives the first post.

    Raises Invalid with a sentence for each field (`text`, `files`, `poll`, `accounts`, `wall_time`,
    `option:<account>:<name>`), or for `again` where the very same text was written a moment ago, as after the browser's
    Back, and nobody said to send it once more. 404 for a file of another workspace.
    """
    now = present()
    first = by_nonce(workspace, nonce)
    if first is not None:
        return first
    planned = plan(workspace, content, account_ids, when=when, wall_time=wall_time, again=again, choices=choices)
    try:
        with writing():
            return by_nonce(workspace, nonce) or write(
                workspace, planned.content, planned.sendings, wall=planned.wall, due_at=planned.due_at, nonce=nonce,
                author_id=user.id, author_name=actor(user), now=now)
    except IntegrityError:  # the same form, sent twice at the same moment
        first = by_nonce(workspace, nonce)
        if first is None:
            raise
        return first


def plan(workspace: Workspace, content: Content, account_ids: Sequence[str], *, when: str, wall_time: str,
         again: bool = False, choices: Mapping[str, Choice] | None = None) -> Plan:
    """What was typed as it may be written. `when`: now, later. Raises Invalid as `schedule` does; 404 likewise."""
    now = present()
    content = tidied(content)
    chosen = _chosen(workspace, account_ids)
    checks = check(workspace, content, chosen, choices or {})
    errors = _errors(content, checks)
    wall, due_at = f"{local(now, workspace.time_zone):%Y-%m-%dT%H:%M}", now
    if when == "later":
        try:
            wall, due_at = wall_and_instant(wall_time, workspace, now)
        except Invalid as error:
            errors |= error.errors
    if not errors and not again:
        errors |= _repeated(content.text, chosen, now)
    if errors:
        raise Invalid(errors)
    return Plan(content, tuple(_sending(one) for one in checks), wall, due_at)


def _sending(checked: Check) -> Sending:
    return Sending(checked.account.id, checked.format or "text",
                   {name: value for name, value in checked.options.items() if value})


def tidied(content: Content) -> Content:
    """A content without the blanks around texts and without empty parts."""
    parts = tuple(PartText(_clean(one.text), one.media) for one in content.parts if one.text.strip() or one.media)
    return replace(content, text=_clean(content.text), parts=parts, first_comment=_clean(content.first_comment))


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _chosen(workspace: Workspace, account_ids: Sequence[str]) -> list[Account]:
    return list(db.session.scalars(select(Account).where(
        Account.workspace_id == workspace.id, Account.id.in_(set(account_ids)), Account.state != DISCONNECTED)))


def _errors(content: Content, checks: Sequence[Check]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not content.text and not content.media:
        errors["text"] = "Write something first."
    elif len(content.text) > LONGEST_TEXT:
        errors["text"] = "This text is too long for any platform."
    if not checks:
        errors["accounts"] = "Choose at least one profile."
    for one in checks:
        blocked = _why_not(one.account)
        if blocked:
            errors.setdefault("accounts", f"{one.account.display_name}: {blocked}.")
            continue
        names = {known.name for known in one.fields} | {"format"}
        for problem in one.problems:
            name = f"option:{one.account.id}:{problem.field}" if problem.field in names else problem.field
            errors.setdefault(name, problem.sentence)
    return errors


def _repeated(text: str, chosen: Sequence[Account], now: datetime) -> dict[str, str]:
    """What to ask when the same text was just written to one of the same accounts."""
    earlier = db.session.scalar(
        select(Delivery).join(Post).where(
            Delivery.account_id.in_([account.id for account in chosen]), Delivery.state != CANCELLED, Post.text == text,
            Post.created_at > now - SAME_WITHIN).order_by(Post.created_at.desc()).limit(1))
    if earlier is None:
        return {}
    return {"again": f"You wrote this very text to {earlier.account.display_name} {ago(earlier.post.created_at, now)}. "
                     "Tick the box to send it once more."}


def write(workspace: Workspace, content: Content, sendings: Sequence[Sending], *, wall: str, due_at: datetime,
          nonce: str, author_id: str | None, author_name: str, now: datetime, series_id: str | None = None,
          zone: str = "") -> Post:
    """A post and its deliveries, written as given; inside `writing()`. `zone`: of the wall time, else the workspace's.

    404 for a file that is not there.
    """
    files = drafts.files_of(workspace, content)
    post = Post(id=new_id("pst"), workspace_id=workspace.id, author_id=author_id, author_name=author_name,
                text=content.text, content=content.dump(), state=SCHEDULED, due_at=due_at, wall_time=wall,
                time_zone=zone or workspace.time_zone, form_nonce=_nonce(workspace, nonce), created_at=now,
                series_id=series_id)
    db.session.add(post)
    db.session.flush()
    for one in sendings:
        db.session.add(Delivery(workspace_id=workspace.id, post=post, account_id=one.account_id, state=SCHEDULED,
                                scheduled_for=due_at, due_at=due_at, format=one.format, options=dict(one.options),
                                is_heavy=drafts.is_heavy(files)))
    media.use(workspace, post.id, files_named(content, sendings), now)
    audit.record("post.scheduled", "post", post.id, "Scheduled" if due_at > now else "Sent off",
                 workspace_id=workspace.id, name=content.text[:60], accounts=[one.account_id for one in sendings])
    return post


def files_named(content: Content, sendings: Sequence[Sending]) -> list[str]:
    """The ids of every file that a post needs: those of its parts, and those that serve as a platform's own choice."""
    chosen = [value for one in sendings for name, value in one.options.items() if name in FILE_FIELDS and value]
    return list(dict.fromkeys((*content.all_media, *chosen)))


def _nonce(workspace: Workspace, nonce: str) -> str:
    """A nonce of one workspace never meets another's, nor a longer one that begins alike; none is a fresh one."""
    return hashlib.sha256(f"{workspace.id}:{nonce or secret()}".encode()).hexdigest()


def by_nonce(workspace: Workspace, nonce: str) -> Post | None:
    """The post that a form already made."""
    return db.session.scalar(select(Post).where(Post.form_nonce == _nonce(workspace, nonce))) if nonce else None


# ---------------------------------------------------------------- reading


def posts(workspace: Workspace, *, filter: str = "all", before: str | None = None, limit: int = 30) -> list[Post]:
    """The posts of a workspace, newest first. `filter`: all, needs, scheduled, published. `before`: a post's id."""
    states = {"needs": NEEDS_PERSON, "scheduled": (SCHEDULED, HELD), "published": (PUBLISHED,)}.get(filter)
    query = select(Post).where(Post.workspace_id == workspace.id).options(
        selectinload(Post.deliveries).selectinload(Delivery.account))
    if states:
        query = query.where(Post.deliveries.any(Delivery.state.in_(states)))
    if before:
        query = query.where(Post.id < before)
    return list(db.session.scalars(query.order_by(Post.id.desc()).limit(limit)))


def post(workspace: Workspace, post_id: str) -> Post:
    """One post of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Post).where(Post.workspace_id == workspace.id, Post.id == post_id))
    if found is None:
        abort(404)
    return found


def delivery(workspace: Workspace, delivery_id: str) -> Delivery:
    """One delivery of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Delivery).where(Delivery.workspace_id == workspace.id, Delivery.id == delivery_id))
    if found is None:
        abort(404)
    return found


def time_note(found: Post) -> str:
    """A sentence where the wall time of a post does not exist or comes twice on its day; empty for all others."""
    try:
        meant = moment(read_wall(found.wall_time), found.time_zone)
    except (Nonexistent, OverflowError):
        return ""
    # A post that was sent off at once in the doubled hour carries its own instant, whichever of the two it is.
    return meant.note if meant.instant == found.due_at else ""


def is_final(found: Post) -> bool:
    """Whether nothing of a post will change by itself any more."""
    return all(one.state in FINAL or (one.due_at is None and one.state not in ON_ITS_WAY) for one in found.deliveries)


def needs_count(workspace: Workspace) -> int:
    """How many posts of a workspace wait for a person."""
    return len(posts(workspace, filter="needs", limit=100))

