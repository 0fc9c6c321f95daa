"""Posts from a table, and posts as a table: every row is checked like a post of the form, then all go in, or none.

Rows that are good are written in one transaction. The name of the import is the hash of its file: the same file twice
is noticed, and a form that is sent twice imports once.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from . import access, accounts, audit, csv_text, draft_posts, media, outside, posts, slots, times
from .database import lock, release, writing
from .draft_posts import Typed
from .drafts import Content
from .extensions import db
from .models import Account, Delivery, Media, Post, User, Workspace
from .posts import Invalid, Plan
from .providers import provider as provider_of

COLUMNS = ("text", "accounts", "when", "media", "alt_texts", "first_comment")
NEEDED = ("text", "accounts", "when")
MOST_ROWS, MOST_ADDRESSES, MOST_FILES = 500, 20, 20
MOST_SENDINGS = 5_000  # rows times profiles: each is judged by its platform's rules while somebody waits
FETCHING_SECONDS = 60.0  # after that no further address is begun
QUEUE = "queue"
# The column in which people look for what is wrong with a field of the form.
COLUMN_OF = {"text": "text", "files": "media", "accounts": "accounts", "wall_time": "when", "when": "when",
             "first_comment": "first_comment", "poll": "text"}
_WHEN = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{1,2}:\d{2})(?::\d{2}(?:\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?",
                   re.IGNORECASE | re.ASCII)
_ADDRESS = ("http://", "https://")


@dataclass(frozen=True)
class Fault:
    """What is wrong in one cell. `column` is empty where the whole row is meant."""

    row: int
    column: str
    sentence: str


@dataclass(frozen=True)
class Line:
    """One row as it was understood; `plan` is there once nothing is wrong."""

    row: int
    text: str
    accounts: tuple[Account, ...] = ()
    goes_out: str = ""  # in words
    files: int = 0
    plan: Plan | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """A whole file as it was understood."""

    digest: str
    lines: tuple[Line, ...]
    fetched: Mapping[str, str] = field(default_factory=dict)  # address -> id of the file that came from it
    earlier: Post | None = None  # the first post that this very file made before

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong, by row."""
        return [fault for line in self.lines for fault in line.faults]

    @property
    def accounts(self) -> int:
        """How many profiles it goes to."""
        return len({account.id for line in self.lines for account in line.accounts})


# ---------------------------------------------------------------- reading


def read(workspace: Workspace, user: User, plain: bytes, encoding: str = "",
         fetched: Mapping[str, str] | None = None) -> Sheet:
    """What a file asks for, every row checked; writes no post. Fetches files from addresses that are not in `fetched`.

    Raises csv_text.Unreadable and csv_text.Unsure.
    """
    table = csv_text.table(csv_text.decode(plain, encoding), COLUMNS, MOST_ROWS)
    missing = [name for name in NEEDED if name not in table.headings]
    if missing:
        raise csv_text.Unreadable(f"The column “{missing[0]}” is missing. Start from the template.")
    rows = [(number, {name: csv_text.unsafe(cell.strip()) for name, cell in cells.items()})
            for number, cells in table.rows]
    digest = hashlib.sha256(plain).hexdigest()
    people = _People(accounts.accounts(workspace, connected=True))
    sendings = sum(len(people.of(cells.get("accounts", ""))[0]) for _, cells in rows)
    if sendings > MOST_SENDINGS:
        raise csv_text.Unreadable(f"The rows name {sendings:,} times a profile, and one file may do so "
                                  f"{MOST_SENDINGS:,} times. Split it into several files.")
    files = _Files(workspace, user, rows, fetched or {})
    no_slot = slots.why_none(workspace) if slots.next_free(workspace, outside.now()) is None else ""
    lines: list[Line] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, cells in rows:
        line = _line(workspace, number, cells, people, files, no_slot)
        same = seen.setdefault(tuple(cells.get(name, "") for name in NEEDED + ("media",)), number)
        if same != number:
            line = _with(line, "", f"The same as row {same}. Take one of them out.")
        lines.append(line)
    return Sheet(digest, tuple(lines), files.fetched, posts.by_nonce(workspace, _nonce(digest, lines[0].row)))


def _line(workspace: Workspace, number: int, cells: Mapping[str, str], people: "_People", files: "_Files",
          no_slot: str) -> Line:
    faults = [Fault(number, name, f"There is {odd} in this cell. Take it out.")
              for name, cell in cells.items() if (odd := csv_text.odd_sign(cell))]
    chosen, wrong = people.of(cells.get("accounts", ""))
    faults += [Fault(number, "accounts", one) for one in wrong]
    ids, wrong = files.of(cells.get("media", ""))
    faults += [Fault(number, "media", one) for one in wrong]
    alts = [one.strip() for one in cells.get("alt_texts", "").split("|")] if cells.get("alt_texts") else []
    if len(alts) > len(ids) and not wrong:
        faults.append(Fault(number, "alt_texts", f"{len(alts)} descriptions for {len(ids)} files. Write one for each "
                                                 "file, with | between."))
    wall, problem = _wall(cells.get("when", ""), workspace)
    problem = problem or (no_slot if wall == QUEUE else "")
    if problem:
        faults.append(Fault(number, "when", problem))
    line = Line(number, cells.get("text", ""), tuple(chosen), files=len(ids), faults=tuple(faults))
    if faults:
        return line
    content = Content(cells.get("text", ""), tuple(ids), {one: alt for one, alt in zip(ids, alts, strict=False) if alt},
                      first_comment=cells.get("first_comment", ""))
    return _planned(workspace, line, content, wall)


def _planned(workspace: Workspace, line: Line, content: Content, wall: str) -> Line:
    """A row whose cells were understood, judged as a post of the form is."""
    queued = wall == QUEUE
    try:
        plan = posts.plan(workspace, content, [one.id for one in line.accounts], when="now" if queued else "later",
                          wall_time="" if queued else wall, again=True)
    except Invalid as refused:
        for name, sentence in refused.errors.items():
            column = COLUMN_OF.get(name, "text" if name.startswith("own") else "accounts")
            line = _with(line, column, sentence)
        return line
    if queued:
        return replace(line, plan=replace(plan, when=QUEUE), goes_out="The next free slot of the queue")
    return replace(line, plan=plan, goes_out=times.exact_with_utc(plan.due_at, workspace.time_zone))


def _with(line: Line, column: str, sentence: str) -> Line:
    return replace(line, plan=None, faults=(*line.faults, Fault(line.row, column, sentence)))


# ---------------------------------------------------------------- cells


def _wall(cell: str, workspace: Workspace) -> tuple[str, str]:
    """The wall time of a cell, or QUEUE; and what is wrong with it."""
    if cell.lower() == QUEUE:
        return QUEUE, ""
    found = _WHEN.fullmatch(cell)
    if found is None:
        given = f"“{cell[:40]}” cannot be read as a time. " if cell else ""
        return "", f"{given}Write it as 2026-11-23 06:00, or write queue for the next free slot."
    day, clock, offset = found.groups()
    wall = f"{day}T{clock.zfill(5)}"
    if not offset:
        return wall, ""
    try:
        zoned = offset.upper().replace("Z", "+00:00")
        instant = datetime.fromisoformat(f"{wall}{zoned}")
        there = times.local(instant, workspace.time_zone)
        meant = times.moment(there.replace(tzinfo=None), workspace.time_zone).instant
    except (ValueError, OverflowError):
        return "", "There is no such time. Write it as 2026-11-23 06:00."
    if meant != instant.astimezone(UTC).replace(second=0, microsecond=0):
        return "", f"This hour happens twice in {workspace.time_zone}. Choose a time outside of it."
    return f"{there:%Y-%m-%dT%H:%M}", ""


class _People:
    """The connected profiles by everything that a cell may call them."""

    def __init__(self, every: Sequence[Account]) -> None:
        self._by_id = {one.id: one for one in every}
        self._by_name: dict[str, list[Account]] = {}
        for one in every:
            provider = provider_of(one.platform)
            handles = {_folded(one.username), _folded(one.display_name)} - {""}
            kinds = {_folded(provider.name), _folded(one.platform)}
            for name in handles | kinds | {f"{kind}:{handle}" for kind in kinds for handle in handles}:
                self._by_name.setdefault(name, []).append(one)

    def of(self, cell: str) -> tuple[list[Account], list[str]]:
        """The profiles that a cell names, and a sentence for each name that is not clear."""
        names = [one.strip() for one in cell.split(";") if one.strip()]
        if not names:
            return [], ["Name at least one profile: its handle, its id, or the platform where you have one there."]
        found, wrong = dict[str, Account](), list[str]()
        for name in names:
            known = [self._by_id[name]] if name in self._by_id else self._by_name.get(_folded(name), [])
            if len(known) == 1:
                found[known[0].id] = known[0]
            elif known:
                wrong.append(f"“{name[:60]}” means {len(known)} profiles: {_choices(known)}. Write which one.")
            else:
                wrong.append(f"There is no connected profile “{name[:60]}” here.")
        return list(found.values()), wrong


def _folded(name: str) -> str:
    """A name without the @ in front, the blanks around a colon, and the difference of large and small letters."""
    kind, colon, rest = name.partition(":")
    if colon:
        return f"{kind.strip().casefold()}:{rest.strip().removeprefix('@').casefold()}"
    return name.strip().removeprefix("@").casefold()


def _choices(known: Sequence[Account]) -> str:
    """Up to four ways to say which of several profiles is meant."""
    said = [f"{provider_of(one.platform).name}:{one.username or one.display_name}" for one in known]
    shown = [name if said.count(name) == 1 else one.id for name, one in zip(said, known, strict=True)]
    return ", ".join(shown[:4]) + (" …" if len(shown) > 4 else "")


class _Files:
    """The files that the rows name: by id, by their name in the library, or by an address they are fetched from."""

    def __init__(self, workspace: Workspace, user: User, rows: Sequence[tuple[int, Mapping[str, str]]],
                 fetched: Mapping[str, str]) -> None:
        named = dict.fromkeys(name for _, cells in rows for name in _split(cells.get("media", "")))
        addresses = [name for name in named if name.lower().startswith(_ADDRESS)]
        there = {one.id for one in media.still_there(workspace, [
            *(name for name in named if name.startswith("med_")), *fetched.values()])}
        self._known, self._names = there, _by_name(workspace, [name for name in named if name not in there])
        self.fetched = {address: one for address, one in fetched.items() if one in there and address in named}
        self._refused = self._fetch(workspace, user, [one for one in addresses if one not in self.fetched])

    def _fetch(self, workspace: Workspace, user: User, addresses: Sequence[str]) -> dict[str, str]:
        """Fetch what is not there yet; address -> why it did not come."""
        refused, until = dict[str, str](), time.monotonic() + FETCHING_SECONDS
        for number, address in enumerate(addresses):
            if number >= MOST_ADDRESSES:
                refused[address] = (f"One file may name {MOST_ADDRESSES} addresses. Put further files into the library "
                                    "first and write their names.")
            elif time.monotonic() > until:
                refused[address] = "The other addresses took too long. Check the file once more."
            else:
                try:
                    self.fetched[address] = media.from_address(workspace, user, address).id
                except media.Refused as problem:
                    refused[address] = str(problem)
        return refused

    def of(self, cell: str) -> tuple[list[str], list[str]]:
        """The ids of the files that a cell names, and a sentence for each that cannot be used."""
        ids, wrong = list[str](), list[str]()
        for name in _split(cell):
            mine = [name] if name in self._known else self._names.get(name, [])
            if name in self.fetched:
                ids.append(self.fetched[name])
            elif name in self._refused:
                wrong.append(f"{name[:80]}: {self._refused[name]}")
            elif len(mine) == 1:
                ids.append(mine[0])
            elif mine:
                wrong.append(f"{len(mine)} files here are called “{name[:60]}”. Write the id of one: "
                             f"{', '.join(mine[:3])}.")
            else:
                wrong.append(f"There is no file “{name[:60]}” in this workspace.")
        if len(ids) > MOST_FILES:
            wrong.append(f"A post takes {MOST_FILES} files; these are {len(ids)}.")
        return list(dict.fromkeys(ids)), wrong


def _split(cell: str) -> list[str]:
    return [one.strip() for one in cell.split(";") if one.strip()]


def _by_name(workspace: Workspace, names: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the files of these names."""
    found: dict[str, list[str]] = {}
    for first in range(0, len(names), media.AT_ONCE):
        for media_id, name in db.session.execute(select(Media.id, Media.name).where(
                Media.workspace_id == workspace.id, Media.name.in_(names[first : first + media.AT_ONCE]))):
            found.setdefault(name, []).append(media_id)
    return found


# ---------------------------------------------------------------- writing


def write(workspace: Workspace, user: User, sheet: Sheet, *, again: str = "") -> int:
    """Write every row, or none; how many posts were made, 0 if this very import was done already.

    `again`: a secret of the form that imports a known file once more. Where somebody has to approve, the posts are
    submitted. Raises Invalid (`row <number>`) for a row that cannot be written any more, such as where the queue has
    too few free slots.
    """
    asks, name = access.must_ask(workspace, user), sheet.digest + again
    made = 0
    with writing():
        lock(workspace)
        if posts.by_nonce(workspace, _nonce(name, sheet.lines[0].row)) is not None:
            return 0
        free = slots.free(workspace, outside.now())  # one walk for all rows: for each anew it would take long
        for line in sheet.lines:
            if line.plan is None:
                raise ValueError(f"row {line.row} was not found good")
            try:
                _write(workspace, user, line.plan, _nonce(name, line.row), asks=asks, free=free)
            except Invalid as refused:
                raise Invalid({f"row {line.row}": " ".join(refused.errors.values())}) from None
            made += 1
        audit.record("posts.imported", "workspace", workspace.id,
                     f"{'Submitted' if asks else 'Scheduled'} {made} posts from a CSV file", workspace_id=workspace.id,
                     name=workspace.name, posts=made, sha256=sheet.digest)
    return made


def _write(workspace: Workspace, user: User, plan: Plan, nonce: str, *, asks: bool,
           free: Iterator[slots.Occurrence]) -> None:
    if not asks:
        slot = next(free, None) if plan.when == QUEUE else None
        posts.write_plan(workspace, user, plan, nonce=nonce, slot=slot)
        return
    typed = Typed(plan.content, tuple(one.account_id for one in plan.sendings), when=plan.when, wall_time=plan.wall,
                  again=True)
    draft_posts.submit(workspace, user, typed, nonce=nonce)


def _nonce(name: str, row: int) -> str:
    return f"csv:{name}:{row}"


# ---------------------------------------------------------------- the template and the export


def template(example: str) -> str:
    """A table to start from, with one row as an example. `example`: a wall time ahead, such as 2026-11-23 06:00."""
    rows = (COLUMNS, ("Saffron buns are back. Come early.", "X; @acme", example, "bun.jpg", "Three buns on a tray",
                      "The recipe is in our newsletter."))
    return "".join(csv_text.line(row) for row in rows)


EXPORTED = ("post_id", "delivery_id", "text", "account_id", "account", "platform", "state", "time", "time_zone",
            "time_utc", "published_utc", "permalink", "note", "author")
AT_ONCE = 200
Pages = Callable[[str], tuple[Sequence[str], str]]


def export(workspace: Workspace, pages: Pages) -> Iterator[str]:
    """The posts of a workspace as a table, a row for each delivery, piece by piece.

    `pages`: from a cursor ("" for the first) to the ids of the posts of a page, in order, and the next cursor. Between
    two pieces no transaction stays open, however slowly somebody reads.
    """
    workspace_id, zone = workspace.id, workspace.time_zone
    yield "\ufeff" + csv_text.line(EXPORTED)
    cursor = ""
    while True:
        ids, cursor = pages(cursor)
        piece = "".join(csv_text.line(cells) for cells in _exported(workspace_id, zone, ids))
        release()
        yield piece
        if not cursor:
            return


def _exported(workspace_id: str, zone: str, ids: Sequence[str]) -> Iterable[tuple[str, ...]]:
    place = {post_id: number for number, post_id in enumerate(ids)}
    rows = db.session.execute(
        select(Post, Delivery).outerjoin(Delivery, Delivery.post_id == Post.id)
        .options(joinedload(Delivery.account))
        .where(Post.workspace_id == workspace_id, Post.id.in_(ids))).all() if ids else []
    for post, delivery in sorted(rows, key=lambda pair: (place[pair[0].id], pair[1].id if pair[1] else "")):
        due = delivery.scheduled_for if delivery else post.due_at
        account = delivery.account if delivery else None
        yield (post.id, delivery.id if delivery else "", post.text, account.id if account else "",
               (account.display_name or account.username) if account else "",
               provider_of(account.platform).name if account else "",
               ("deleted" if delivery.deleted_at else delivery.state) if delivery else post.state,
               f"{times.local(due, zone):%Y-%m-%d %H:%M}" if due else "", zone, _utc(due),
               _utc(delivery.published_at) if delivery else "", delivery.permalink if delivery else "",
               (delivery.note or delivery.warning) if delivery else post.review_note, post.author_name)


def _utc(instant: datetime | None) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if instant else ""
