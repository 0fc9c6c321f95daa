"""Incidents: what needs a person, from when it was found until it is over. Told once, and once when it is cured.

A sweep compares what is so now (`findings`) with what is open. It opens, worsens and closes incidents, and writes the
mails about that in the same commit. One worker at a time is at it: whoever came second leaves, and what a slow one
found is thrown away once somebody else has begun. A cure is told when it held for some minutes; what comes back within
an hour is the same incident.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import abort
from sqlalchemy import ColumnElement, delete, func, or_, select, update

from . import alerts, findings, letters, outbox
from .alerts import ACCOUNT_BROKEN, ACCOUNT_ENDING, DATA_ENDING, POST_FAILED, POSTS_AT_RISK
from .database import alone, took, writing
from .extensions import db
from .findings import Found
from .models import (
    ACTIVE,
    HELD,
    PUBLISHED,
    SCHEDULED,
    Account,
    Delivery,
    Grant,
    Incident,
    Installation,
    Message,
    PlatformApp,
    User,
    Workspace,
    new_id,
)
from .times import exact

log = logging.getLogger("socialconsole.incidents")

STATE = "watch"  # the row of Installation that says who sweeps, and how far the last sweep came
LEASE = timedelta(minutes=5)  # above what a sweep can take
HOLD = timedelta(minutes=5)  # how long a cure has to hold before it is told
GAP = timedelta(minutes=4)  # between two sweeps: after a longer one nobody knows since when something is cured
SAME_WITHIN = timedelta(hours=1)
GATHER = timedelta(seconds=90)  # how long a mail waits for others that break by the same cause
DEEP_EVERY = timedelta(hours=1)  # how often what costs more is looked at
BACK, BACK_DEEP = timedelta(minutes=10), timedelta(days=1)
POSTS_OPEN_FOR = timedelta(days=14)  # then nobody means to decide about a post any more
PAST_SHOWN = timedelta(days=90)
MOST_SHOWN = 200
OF_ACCOUNT = (ACCOUNT_BROKEN, ACCOUNT_ENDING, DATA_ENDING, POSTS_AT_RISK)
CHUNK = 500

Key = tuple[str, str]
Around = tuple[Mapping[str, Workspace], Mapping[str, str]]  # workspaces by their ids, notes by those of incidents
Look = Callable[[datetime], Sequence[Found]]
OF_CONSOLE: list[Look] = []  # who looks at the console itself: its disk, its address; put here from above


@dataclass(frozen=True)
class Swept:
    """What one sweep changed."""

    opened: int = 0
    reopened: int = 0
    nearer: int = 0
    closed: int = 0


# ---------------------------------------------------------------- one worker at a time


@dataclass
class _State:
    """How far the sweeps came, as it is kept: the lease, the last sweep, the last deep one, the last step seen."""

    lease: str = ""
    at: str = ""
    deep: str = ""
    seen: str = ""

    def instant(self, name: str) -> datetime | None:
        kept = getattr(self, name)
        return datetime.fromisoformat(kept) if kept else None


def _take(now: datetime) -> tuple[str, _State] | None:
    """The text of our lease and what was kept; None while somebody else is at it."""
    with writing() as session:
        alone("watch")
        row = session.get(Installation, STATE, populate_existing=True)
        if row is None:
            row = Installation(name=STATE, text="")
            session.add(row)
            session.flush()
        state = _State(**json.loads(row.text)) if row.text else _State()
        lease = state.instant("lease")
        if lease is not None and now < lease <= now + 2 * LEASE:  # one further ahead is from before the clock went back
            return None
        state.lease = (now + LEASE).isoformat()
        row.text = mine = json.dumps(vars(state))
    return mine, state


def of_console(now: datetime) -> list[Found]:
    """What is wrong with the console itself. Not inside `writing()`."""
    found = [one for look in OF_CONSOLE for one in look(now)]
    db.session.commit()
    return found


def sweep(now: datetime, installation: Sequence[Found] = ()) -> Swept | None:
    """Look at everything once, and open, worsen and close incidents. None if another worker is at it.

    `installation`: from `of_console`, which takes its time and is asked beforehand.
    """
    taken = _take(now)
    if taken is None:
        return None
    mine, state = taken
    deep_at = state.instant("deep")
    is_deep = deep_at is None or not timedelta(0) <= now - deep_at < DEEP_EVERY
    found, seen = _look(now, state, is_deep, installation)
    db.session.commit()
    kinds = set(alerts.KIND_OF) - (set() if is_deep else {DATA_ENDING})
    kept = _State("", now.isoformat(), now.isoformat() if is_deep else state.deep, seen)
    last = state.instant("at")
    is_after_gap = last is None or not timedelta(0) <= now - last <= GAP
    with writing():
        alone("incidents")
        if not took(update(Installation).where(Installation.name == STATE, Installation.text == mine)
                    .values(text=json.dumps(vars(kept)))):
            log.warning("a sweep took so long that another began; it changes nothing")
            return None
        swept = _Change(now, found, kinds, is_after_gap).run()
    if swept != Swept():
        log.info("incidents", extra=vars(swept))
    return swept


def _look(now: datetime, state: _State, is_deep: bool, installation: Sequence[Found]) -> tuple[list[Found], str]:
    """All that needs somebody now, and the last step of a delivery that was looked at."""
    broken = findings.broken()
    is_broken = {one.subject_id for one in broken}
    rows = [row for row in findings.nearing_end(now) if row[0].id not in is_broken]
    ending = findings.ending(rows, now)
    told = is_broken | {one.subject_id for one in ending}
    newest = max(findings.newest_event(), state.seen)
    back = BACK_DEEP if is_deep else BACK
    found = [*broken, *ending, *findings.at_risk(rows, told, now),
             *findings.posts(findings.before(newest if is_deep else state.seen, back)), *findings.apps(now),
             *findings.canaries_failing(now), *findings.mails(now), *installation]
    if is_deep:
        found += [one for one in findings.data_ending(now) if one.subject_id not in told]
    return found, newest


# ---------------------------------------------------------------- what follows from it


@dataclass
class _Change:
    """One comparison of what was found with what is open; inside `writing()`, by one worker at a time."""

    now: datetime
    found: Sequence[Found]
    kinds: Collection[str]
    is_after_gap: bool
    authors: dict[str, str] = field(default_factory=dict)  # incident -> author of the post

    def run(self) -> Swept:
        """Open, worsen, close, and write the mails."""
        wanted = {one.key: one for one in self.found}
        open_now = {(one.kind, one.subject_id): one for one in db.session.scalars(
            select(Incident).where(Incident.closed_at.is_(None), Incident.kind.in_(self.kinds)))}
        fresh = [one for key, one in wanted.items() if key not in open_now]
        opened, reopened = self._open(fresh)
        nearer = self._go_on([(row, wanted[key]) for key, row in open_now.items() if key in wanted])
        closed, told = self._close([row for key, row in open_now.items() if key not in wanted], wanted)
        db.session.flush()
        _withdraw([row for row in closed if row not in told])
        self._tell(outbox.OPENED, opened)
        self._tell(outbox.NEARER, nearer)
        self._tell(outbox.CURED, told)
        self._tell_again(reopened)
        return Swept(len(opened), len(reopened), len(nearer), len(closed))

    def _open(self, fresh: Sequence[Found]) -> tuple[list[Incident], list[Incident]]:
        """New incidents, and those of the last hour that are open again."""
        lately = self._closed_lately([one.subject_id for one in fresh])
        opened, reopened = [], []
        for one in fresh:
            row = lately.get(one.key)
            if row is not None:
                reopened.append(row)
            else:
                row = Incident(id=new_id("inc"), workspace_id=one.workspace_id, kind=one.kind,
                               subject_type=one.subject_type, subject_id=one.subject_id, platform=one.platform,
                               stage=one.stage, opened_at=self.now)
                db.session.add(row)
                opened.append(row)
            _describe(row, one)
            row.seen_at = self.now
            self.authors[row.id] = one.author_id
        return opened, reopened

    def _closed_lately(self, subjects: Sequence[str]) -> dict[Key, Incident]:
        found: dict[Key, Incident] = {}
        for some in _chunks(subjects):
            for row in db.session.scalars(select(Incident).where(
                    Incident.closed_at > self.now - SAME_WITHIN, Incident.subject_id.in_(some))
                    .order_by(Incident.closed_at)):
                found[row.kind, row.subject_id] = row
        return found

    def _go_on(self, pairs: Sequence[tuple[Incident, Found]]) -> list[Incident]:
        """What is still so; returns those whose end came nearer."""
        nearer = []
        for row, one in pairs:
            if 0 < one.stage < row.stage:
                nearer.append(row)
            _describe(row, one)
            row.stage = one.stage
            self.authors[row.id] = one.author_id
        self._seen([row.id for row, _ in pairs])
        return nearer

    def _seen(self, ids: Sequence[str]) -> None:
        for some in _chunks(ids):
            db.session.execute(update(Incident).where(Incident.id.in_(some)).values(seen_at=self.now)
                               .execution_options(synchronize_session=False))

    def _close(self, gone: Sequence[Incident], wanted: Mapping[Key, Found]) -> tuple[list[Incident], list[Incident]]:
        """Close what is over for long enough; returns what was closed, and of that what people are told is cured."""
        if self.is_after_gap:  # since when it is cured nobody saw
            self._seen([row.id for row in gone])
            gone = []
        due = [row for row in gone if not self.now - HOLD < row.seen_at <= self.now]
        _put_off({row.id for row in gone} - {row.id for row in due}, self.now + GATHER)
        cured = _cured(due, {one.subject_id for one in wanted.values() if one.kind in OF_ACCOUNT})
        for row in due:
            row.closed_at = self.now
        stale = self._stale_posts()
        return [*due, *stale], [row for row in due if row.id in cured]

    def _stale_posts(self) -> list[Incident]:
        stale = list(db.session.scalars(select(Incident).where(
            Incident.kind == POST_FAILED, Incident.closed_at.is_(None),
            Incident.opened_at < self.now - POSTS_OPEN_FOR)))
        for row in stale:
            row.closed_at = self.now
        return stale

    # ------------------------------------------------------------ mails

    def _tell(self, kind: str, rows: Sequence[Incident]) -> None:
        """Write the mails about these incidents: one for each person and cause."""
        withdrawn = _withdraw(rows) if rows and kind == outbox.CURED else set()
        waiting, around = (_waiting(kind), _around(kind, rows)) if rows else ({}, ({}, {}))
        for user, mine in self._by_person(rows, withdrawn):
            pending = waiting.get((user.id, mine[0].kind, mine[0].platform))
            if pending is not None:
                _rewrite(pending, user, [*_some(pending.about), *mine])
            else:
                self._mail(kind, user, mine, around, self.now + GATHER, _once(kind, mine[0], user, self.now))

    def _by_person(self, rows: Sequence[Incident],
                   but: Collection[tuple[str, str]] = ()) -> list[tuple[User, list[Incident]]]:
        """Who is told of which incidents, those with one cause together; `but`: pairs of person and incident."""
        if not rows:
            return []
        places: dict[str | None, list[alerts.Person]] = defaultdict(list)
        for person in alerts.people({row.workspace_id for row in rows if row.workspace_id}):
            places[person.workspace_id].append(person)
        found: dict[tuple[str, str, str], tuple[User, list[Incident]]] = {}
        for row in rows:
            for user in alerts.told(places[row.workspace_id], row, self._author(row)):
                if (user.id, row.id) not in but:
                    found.setdefault((user.id, row.kind, row.platform), (user, []))[1].append(row)
        return list(found.values())

    def _author(self, row: Incident) -> str:
        if row.kind == POST_FAILED and row.id not in self.authors:
            found = db.session.get(findings.Post, row.subject_id)
            self.authors[row.id] = (found.author_id or "") if found is not None else ""
        return self.authors.get(row.id, "")

    def _mail(self, kind: str, user: User, rows: Sequence[Incident], around: Around, due_at: datetime,
              once: str) -> None:
        """One mail to a person about incidents with one cause."""
        letter = letters.write(kind, rows, user, *around)
        outbox.put(user, kind, letter.subject, letter.body, rows[0], due_at=due_at, once=once,
                   about=[row.id for row in rows])

    def _tell_again(self, rows: Sequence[Incident]) -> None:
        """They are open again though people were told that they are cured: say so, if they stay for an hour."""
        closed = {row.id: row.closed_at or self.now for row in rows}
        for row in rows:
            row.closed_at = None
        said, around = _told_of(rows, outbox.CURED), _around(outbox.OPENED, rows)
        for user, mine in self._by_person([row for row in rows if row.id in said]):
            last = max(closed[row.id] for row in mine)
            self._mail(outbox.OPENED, user, mine, around, last + SAME_WITHIN,
                       f"again:{mine[0].id}:{user.id}:{last.timestamp():.0f}")


def _once(kind: str, row: Incident, user: User, now: datetime) -> str:
    """What there is one mail of: an incident's opening, each of its stages, each time that it is cured."""
    part = f"{now.timestamp():.0f}" if kind == outbox.CURED else str(row.stage)
    return f"{kind}:{row.id}:{user.id}:{part}"


def _describe(row: Incident, one: Found) -> None:
    for name, value in (("summary", one.summary), ("step", one.step), ("subject_name", one.name[:200])):
        if getattr(row, name) != value:
            setattr(row, name, value)


def _cured(rows: Sequence[Incident], troubled: Collection[str]) -> set[str]:
    """The incidents that ended well. What a person ended, by disconnecting or cancelling, is over without a word."""
    of_account = [row for row in rows if row.kind in OF_ACCOUNT]
    working = {one for some in _chunks([row.subject_id for row in of_account]) for one in db.session.scalars(
        select(Account.id).where(Account.id.in_(some), Account.state == ACTIVE))}
    well = {row.id for row in of_account if row.subject_id in working and row.subject_id not in troubled}
    posts = [row for row in rows if row.kind == POST_FAILED]
    outcomes: dict[str, set[str]] = defaultdict(set)
    for some in _chunks([row.subject_id for row in posts]):
        for post_id, state in db.session.execute(
                select(Delivery.post_id, Delivery.state).where(Delivery.post_id.in_(some)).distinct()):
            outcomes[post_id].add(state)
    well |= {row.id for row in posts if outcomes[row.subject_id] == {PUBLISHED}}
    return well | {row.id for row in rows if row.workspace_id is None}


def _waiting(kind: str) -> dict[tuple[str, str, str], Message]:
    """The mails of this sort that nobody has begun to send, by person, kind of incident and platform. One statement."""
    rows = db.session.execute(
        select(Message, Incident.kind, Incident.platform).join(Incident, Message.incident_id == Incident.id)
        .where(Message.kind == kind, Message.due_at.is_not(None), Message.attempts == 0,
               Message.lease_until.is_(None), or_(Message.once.is_(None), Message.once.not_like("again:%")))
        .order_by(Message.id.desc()).with_for_update(of=Message, skip_locked=True))
    return {(str(message.user_id), cause, platform): message for message, cause, platform in rows}


def _withdraw(rows: Sequence[Incident]) -> set[tuple[str, str]]:
    """Take incidents that are over out of mails that nobody has begun to send; returns (person, incident) of those."""
    ids, taken = {row.id for row in rows}, set()
    waiting = db.session.scalars(
        select(Message).where(Message.due_at.is_not(None), Message.attempts == 0, Message.lease_until.is_(None),
                              Message.kind.in_((outbox.OPENED, outbox.NEARER)), Message.user_id.is_not(None))
        .with_for_update(skip_locked=True)).all()
    for message in waiting:
        over = [one for one in message.about if one in ids]
        if not over:
            continue
        taken |= {(str(message.user_id), one) for one in over}
        if left := _some([one for one in message.about if one not in ids]):
            _rewrite(message, db.session.get_one(User, message.user_id), left)
        else:
            db.session.execute(delete(Message).where(Message.id == message.id)
                               .execution_options(synchronize_session="fetch"))
    return taken


def _put_off(ids: set[str], until: datetime) -> None:
    """Let mails wait whose incidents are all gone: they go out if one comes back, and are withdrawn once it is over."""
    if not ids:
        return
    waiting = db.session.scalars(
        select(Message).where(Message.due_at < until, Message.attempts == 0, Message.lease_until.is_(None),
                              Message.kind.in_((outbox.OPENED, outbox.NEARER)))
        .with_for_update(skip_locked=True)).all()
    for message in waiting:
        if message.about and ids.issuperset(message.about):
            message.due_at = until


def _rewrite(message: Message, user: User, told: Sequence[Incident]) -> None:
    """Let a mail that nobody has begun to send tell of these incidents."""
    letter = letters.write(message.kind, told, user, *_around(message.kind, told))
    message.subject, message.body = letter.subject[:outbox.LONGEST_SUBJECT], letter.body
    message.about = [row.id for row in told]


def _around(kind: str, rows: Sequence[Incident]) -> Around:
    """What mails of this sort say beside the incidents themselves, read once for however many mails."""
    return _workspaces(rows), _notes(rows) if kind == outbox.OPENED else {}


def _told_of(rows: Sequence[Incident], kind: str) -> set[str]:
    """The incidents that some mail of this kind tells of. One statement, however many they are."""
    if not rows:
        return set()
    about = db.session.scalars(select(Message.about).where(
        Message.kind == kind, Message.created_at >= min(row.opened_at for row in rows)))
    return {row.id for row in rows} & {one for some in about for one in some}


def _some(ids: Sequence[str]) -> list[Incident]:
    found = {row.id: row for some in _chunks(ids) for row in db.session.scalars(
        select(Incident).where(Incident.id.in_(some)))}
    return [found[one] for one in ids if one in found]


def _workspaces(rows: Iterable[Incident]) -> dict[str, Workspace]:
    ids = {row.workspace_id for row in rows if row.workspace_id}
    return {one.id: one for one in db.session.scalars(select(Workspace).where(Workspace.id.in_(ids)))} if ids else {}


def _notes(rows: Sequence[Incident]) -> dict[str, str]:
    """How many posts wait for each broken profile, as a sentence, by incident id."""
    broken = {row.subject_id: row for row in rows if row.kind == ACCOUNT_BROKEN}
    zones = {one.id: one.time_zone for one in _workspaces(rows).values()}
    notes: dict[str, str] = {}
    for some in _chunks(list(broken)):
        for account_id, number, first in db.session.execute(
                select(Delivery.account_id, func.count(), func.min(Delivery.scheduled_for))
                .where(Delivery.account_id.in_(some), Delivery.state.in_((SCHEDULED, HELD)))
                .group_by(Delivery.account_id)):
            row = broken[account_id]
            what = "1 post waits" if number == 1 else f"{number} posts wait"
            notes[row.id] = f"{what} for it, the first planned for {exact(first, zones[row.workspace_id or ''])}."
    return notes


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


# ---------------------------------------------------------------- what pages read


def still_so(rows: Sequence[Incident]) -> list[Incident]:
    """Those that the last sweep found: of the others the cure is only waited for, so that it is told when it lasts."""
    kept = db.session.scalar(select(Installation.text).where(Installation.name == STATE))
    last = _State(**json.loads(kept)).instant("at") if kept else None
    return [row for row in rows if last is None or row.seen_at >= last or row.kind == DATA_ENDING]


def open_for(workspace: Workspace, user: User | None = None) -> list[Incident]:
    """What is open in a workspace, the newest first; without what this person muted. One query, 200 at most."""
    muted = alerts.wishes(user).muted if user is not None else ()
    query = select(Incident).where(Incident.workspace_id == workspace.id, Incident.closed_at.is_(None),
                                   Incident.id.not_in(muted))
    return list(db.session.scalars(query.order_by(Incident.opened_at.desc(), Incident.id.desc()).limit(MOST_SHOWN)))


def outages_for(workspace: Workspace) -> list[Incident]:
    """The platforms that are out of order and that profiles of this workspace hang on: nobody there has to act."""
    segments = (select(PlatformApp.segment).join(Grant, Grant.app_id == PlatformApp.id)
                .join(Account, Account.grant_id == Grant.id).where(Account.workspace_id == workspace.id))
    return list(db.session.scalars(
        select(Incident).where(Incident.kind == alerts.PLATFORM_OUT, Incident.closed_at.is_(None),
                               Incident.subject_id.in_(segments)).order_by(Incident.opened_at.desc())))


def past(workspace: Workspace | None, now: datetime) -> list[Incident]:
    """What was over within 90 days, in a workspace or, without one, of the installation; the newest first."""
    return list(db.session.scalars(
        select(Incident).where(_of(workspace), Incident.closed_at > now - PAST_SHOWN)
        .order_by(Incident.closed_at.desc(), Incident.id.desc()).limit(MOST_SHOWN)))


def open_for_admin() -> list[Incident]:
    """What administrators have to look after, the newest first."""
    return list(db.session.scalars(
        select(Incident).where(_of(None), Incident.closed_at.is_(None))
        .order_by(Incident.opened_at.desc(), Incident.id.desc()).limit(MOST_SHOWN)))


def one_of(workspace: Workspace, incident_id: str) -> Incident:
    """An incident of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Incident).where(Incident.workspace_id == workspace.id,
                                                     Incident.id == incident_id))
    if found is None:
        abort(404)
    return found


def _of(workspace: Workspace | None) -> ColumnElement[bool]:
    return Incident.workspace_id == workspace.id if workspace is not None else Incident.workspace_id.is_(None)
