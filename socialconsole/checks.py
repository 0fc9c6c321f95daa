"""What each account makes of a content: places to publish to, checks while somebody types. Writes and sends nothing."""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from . import accounts, drafts, tokens
from .database import release, writing
from .drafts import Content
from .errors import PlatformError
from .extensions import db
from .models import ACTIVE, DISCONNECTED, PAUSED, Account, Grant, Workspace
from .outside import now as present
from .providers.content import COMMENT, Creator, Draft, Field, File, Format, Poll, Problem, Tally
from .providers.oauth2 import CONNECTABLE, OAuth2Provider, connectable
from .providers.rules import problems, why_none_fits
from .times import Nonexistent, local, to_utc

# What platforms said about posting to an account, until when it may be shown again: each tick of the form asks, and
# platforms count such questions. The worker asks afresh before it sends.
ASK_AGAIN_AFTER = timedelta(minutes=1)
_asked: dict[str, tuple[datetime, Creator]] = {}
# The platforms' own choices that name a file, or a time of their own.
FILE_FIELDS, TIME_FIELDS = (frozenset(
    one.name for provider in CONNECTABLE.values() for one in provider.fields if one.kind == kind)
    for kind in ("file", "time"))


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
    tallies: tuple[Tally, ...] = ()  # what the platform counts besides: hashtags, links

    @property
    def asks(self) -> bool:
        """Whether there is anything to choose."""
        return len(self.formats) > 1 or bool(self.fields)

    @property
    def needs_choice(self) -> bool:
        """Whether the platform demands a choice that was not made yet."""
        return any(one.required and not self.typed.get(one.name) for one in self.fields)

    @property
    def problem(self) -> str:
        """The first thing that is wrong."""
        return self.problems[0].sentence if self.problems else ""


def targets(workspace: Workspace, only: Collection[str] | None = None) -> list[Target]:
    """The connected accounts of a workspace as places to publish to, by platform and name; `only`: of these ids."""
    query = select(Account).where(Account.workspace_id == workspace.id, Account.state != DISCONNECTED).options(
        joinedload(Account.grant).joinedload(Grant.app))
    if only is not None:
        query = query.where(Account.id.in_(only))
    known: dict[Hashable, str] = {}
    return [_target(account, known)
            for account in db.session.scalars(query.order_by(Account.platform, Account.display_name, Account.id))]


def _target(account: Account, known: dict[Hashable, str]) -> Target:
    key, limit = _kin(account), connectable(account.platform).text_limit
    if key not in known:
        known[key] = why_not(account)
    return Target(account, not known[key], known[key], limit.most, limit.counted_as)


def unfit(workspace: Workspace, content: Content, places: Sequence[Target]) -> dict[str, str]:
    """Why accounts could not take the files or the poll of a content, for people: account id -> a sentence.

    Only what is there counts: a post that has no picture yet may still get one. 404 for a stranger's file.
    """
    files, link = drafts.files_of(workspace, content), content.link
    given = [files[one] for one in content.media if one in files]
    known: dict[Hashable, str] = {}
    found: dict[str, str] = {}
    for one in places:
        if not (given or content.poll) or not one.selectable:
            continue
        key = _kin(one.account)
        if key not in known:
            known[key] = _why_unfit(one.account, given, content.poll, link)
        if known[key]:
            found[one.account.id] = known[key]
    return found


def _why_unfit(account: Account, files: Sequence[File], poll: Poll | None, link: str) -> str:
    provider, mode = connectable(account.platform), drafts.mode_of(account)
    formats = drafts.choices(account, drafts.own_files(account, files, {}, poll, link), poll, link)
    if not formats:
        return why_none_fits(provider, mode, files, poll, kind=account.kind)
    lacking = accounts.missing_of(formats[0].needs, drafts.granted(account.grant))
    return f"{formats[0].label} needs {', '.join(lacking)}, which was not granted." if lacking else ""


def _kin(account: Account) -> Hashable:
    """Accounts that are alike in this take the same files and texts in the same way."""
    provider, scopes = connectable(account.platform), drafts.granted(account.grant)
    return (account.platform, drafts.mode_of(account), account.kind, None if scopes is None else tuple(sorted(scopes)),
            account.state, account.grant.app.is_on if account.grant is not None else None,
            tuple(repr(account.meta.get(name)) for name in provider.judged_by))


def why_not(account: Account) -> str:
    """Why nothing can be published to an account now, for people; empty where it can."""
    grant = account.grant
    if account.state == PAUSED:
        return "paused"
    if account.state != ACTIVE or grant is None:
        return "to be reconnected"
    if not grant.app.is_on:
        note = grant.app.off_note.rstrip(".")  # the sentence that this becomes has a full stop of its own
        return f"the platform is switched off: “{note}”" if note else "the platform is switched off"
    missing = accounts.missing_to_publish(account)
    return f"can’t publish: {accounts.not_granted(missing)}" if missing else ""


# ---------------------------------------------------------------- what each account makes of it


def check(workspace: Workspace, content: Content, chosen: Sequence[Account], choices: Mapping[str, Choice],
          creators: Mapping[str, Creator] | None = None) -> list[Check]:
    """What each account makes of a content. `choices` and `creators` by account id. 404 for a stranger's file."""
    files = drafts.files_of(workspace, content, *(one.options for one in choices.values()))
    known: dict[Hashable, Check] = {}
    found: list[Check] = []
    for account in chosen:
        choice, creator = choices.get(account.id, Choice()), (creators or {}).get(account.id)
        # A hundred profiles of one platform with the same text and choices are one question.
        key = (_kin(account), choice.format, tuple(sorted(choice.options.items())), content.own.get(account.id),
               None if creator is None else id(creator))
        if key not in known:
            known[key] = _check(content.for_account(account.id), account, choice, files, creator, workspace.time_zone)
        found.append(replace(known[key], account=account))
    return found


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
    plain = [_judged(provider, drafts.draft(content, account, number, format=slug, options=options, files=files))
             for number in range(len(parts))]
    found = [Problem("accounts", f"{why_not(account)}.".capitalize())] if why_not(account) else []
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
                 bool(format and format.alt_text), provider.tallies(plain[0]))


def _judged(provider: OAuth2Provider, draft: Draft) -> Draft:
    """A draft without what tells profiles apart that are checked as one."""
    return replace(draft, platform_user_id="", username="", meta={
        name: draft.meta[name] for name in provider.judged_by if name in draft.meta})


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
        yield f"Takes {going} of {1 + len(content.parts)} parts; the others are left out here.{_chain_needs(account)}"
    if content.first_comment.strip() and plain[-1].format != COMMENT:
        yield "No first comment from here; it is left out."
    yield from provider.notes(plain[0])
    costs = [cost for one in plain if one.format != COMMENT and (cost := provider.cost(one))]
    if len(costs) > 1 and len(set(costs)) == 1:
        yield f"Each of {len(costs)} parts: {costs[0]}"
    else:
        yield from costs if len(costs) < 2 else [f"Part {number}: {cost}" for number, cost in enumerate(costs, 1)]


def _chain_needs(account: Account) -> str:
    """The permission that a reply chain lacks, as a sentence to add; "" where a chain lacks none."""
    lacking = accounts.missing_of(connectable(account.platform).chain_needs, drafts.granted(account.grant))
    return f" A reply chain needs {', '.join(lacking)}, which was not granted." if lacking else ""


def creators(workspace: Workspace, chosen: Sequence[Account]) -> dict[str, Creator]:
    """What the platforms say now about posting to those accounts whose choices depend on it. Calls platforms."""
    found: dict[str, Creator] = {}
    for account in chosen:
        provider = connectable(account.platform)
        if not provider.asks_creator or why_not(account):
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
