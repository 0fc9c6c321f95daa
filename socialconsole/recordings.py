"""The flight recorder's book: a row for each connection, each renewal and each try to publish, and how it is read.

A row is written inside the very transaction that commits the outcome it tells of. What went well is told in short: the
calls without what they held. A connection has one row, to which each of its requests adds its steps.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, select

from . import recorder, takedown, tallies
from .database import add_later, change
from .errors import AttemptFailed, Declined, Fault, PlatformError
from .extensions import db
from .models import (
    DEAD,
    DECLINED,
    EXPIRED,
    FAILED,
    FINISHED,
    HELD,
    PUBLISHED,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    UNSURE,
    Account,
    ConnectionAttempt,
    Delivery,
    Grant,
    Post,
    Recording,
    Workspace,
    new_id,
)
from .outside import now as present
from .providers.base import Consent
from .providers.content import Located, Wait
from .providers.oauth2 import split_scopes
from .takedown import Step

log = logging.getLogger("socialconsole.recordings")

OK, STARTED, WAITS, NOT_FOUND = "ok", "started", "waits", "not_found"
CALM = (OK, STARTED, WAITS, "declined", "expired")  # nothing failed
KINDS: tuple[tuple[type[PlatformError], str], ...] = (
    *tallies.KINDS, (Declined, "declined"), (AttemptFailed, "failed"))
KEPT_IF_WELL = timedelta(days=7)  # renewals and tries to publish that went well: every profile has one each day
FEW = 8  # steps in short, which are never too long to be kept
LATEST_ATTEMPTS = 200  # of a platform in a workspace, among which those of one account are looked for
UNREADABLE = "What was asked and answered could not be taken down."
CUT = "An earlier try was cut off by a stop of the console. It left no timeline."

# What became of a delivery, for whom the note on its page is not written: no name of a profile stands in it.
DECISIONS: Mapping[str, str] = {
    SCHEDULED: "It is tried again later.", HELD: "It is held until a person repairs what is named above.",
    UNCONFIRMED: "Nobody knows whether it is out: the console looks for it and does not send it again.",
    FAILED: "It is given up.", SENT: "The platform has accepted it and still works on it.",
    PUBLISHED: "It counts as published."}


@dataclass(frozen=True)
class Taken:
    """What a flight came to, ready to be written."""

    workspace_id: str
    kind: str
    platform: str
    subject_id: str
    at: datetime
    spent: int
    outcome: str
    code: str
    steps: list[Step]


# ---------------------------------------------------------------- renewals and tries to publish


def take(subject_id: str, workspace_id: str, answer: object, *, was_cut: bool = False) -> Taken | None:
    """What the open flight of this thread came to, for `keep`; None without one.

    `answer`: what was asked for, or the PlatformError that came instead. `was_cut`: the try before this one left
    nothing.
    """
    flight = recorder.current()
    if flight is None:
        return None
    outcome, spent = outcome_of(answer), flight.spent
    steps = _flown(flight, in_full=outcome != OK)
    if was_cut:
        steps = [{"at": 0, "note": CUT}, *steps]
    if isinstance(answer, PlatformError):
        steps.append(_read_as(answer, flight.kind, spent))
    return Taken(workspace_id, flight.kind, flight.platform, subject_id, present() - timedelta(milliseconds=spent),
                 spent, outcome, code_of(answer), steps)


def _flown(flight: recorder.Flight, in_full: bool) -> list[Step]:
    """The steps of a flight. Whatever a platform answered, telling of it must not cost the outcome itself."""
    try:
        return takedown.steps(flight, in_full)
    except Exception:
        log.exception("a timeline could not be taken down")
        return [{"at": 0, "note": UNREADABLE}]


def keep(taken: Taken | None, decision: str = "") -> None:
    """Write what was taken, with what was decided. Inside the `writing()` that commits the outcome."""
    if taken is None:
        return
    steps = [*taken.steps, {"at": taken.spent, "decided": decision}] if decision else taken.steps
    add_later(Recording, id=new_id("rec"), workspace_id=taken.workspace_id, kind=taken.kind, platform=taken.platform,
              subject_id=taken.subject_id, at=taken.at, spent=taken.spent, outcome=taken.outcome, code=taken.code,
              steps=steps if len(steps) <= FEW and taken.outcome == OK else takedown.bounded(steps))


def decided(delivery: Delivery) -> str:
    """What became of a delivery, in words that name no profile."""
    sentence = DECISIONS.get(delivery.state, "")
    if delivery.state == SCHEDULED and delivery.due_at is not None:
        return f"It is tried again, not before {delivery.due_at:%Y-%m-%d %H:%M:%S} UTC."
    return sentence


def renewal_decided(grant: Grant) -> str:
    """What became of a Grant after a renewal that failed."""
    if grant.state == DEAD:
        return "The connection is over: only the person who gave the permission can give it again."
    when = f", not before {grant.due_at:%Y-%m-%d %H:%M:%S} UTC" if grant.due_at else ""
    spared = " The access token that is still good is used until then." if grant.state == UNSURE else ""
    return f"The connection stays. It is tried again{when}.{spared}"


def outcome_of(answer: object) -> str:
    """One word for how something ended: `ok`, or the kind of the refusal."""
    if isinstance(answer, Fault):
        return "ours"
    if isinstance(answer, PlatformError):
        return next((word for kind, word in KINDS if isinstance(answer, kind)), "failed")
    if isinstance(answer, Wait):
        return WAITS
    return NOT_FOUND if isinstance(answer, Located) else OK


def code_of(answer: object) -> str:
    """The platform's short code in an error; empty where there is none."""
    return takedown.code(answer.code[:60]) if isinstance(answer, PlatformError) and answer.code else ""


def _read_as(error: PlatformError, kind: str, at: int) -> Step:
    """How an answer was read. A sentence about a post may repeat it, so there the kind alone is told."""
    step: Step = {"at": at, "read": outcome_of(error), "who": error.who}
    return step if kind == recorder.PUBLISH else step | {"said": error.message[:300]}


# ---------------------------------------------------------------- connections


def begun(attempt: ConnectionAttempt, address: str) -> None:
    """A walk through consent begins at this address of the platform. Inside `writing()`."""
    asked = takedown.asked(address)
    with_pkce = any(one.startswith("code_challenge") for one in asked.get("query", ()))
    steps: list[Step] = [
        {"at": 0, **asked},
        {"at": 0, "note": "Scopes asked for", "values": _scopes(attempt.scopes_asked)},
        {"at": 0, "note": "With PKCE: a code of this walk is of no use to anybody else" if with_pkce
         else "Without PKCE, which this platform does not use"}]
    add_later(Recording, id=new_id("rec"), workspace_id=attempt.workspace_id, kind=recorder.CONNECT,
              platform=attempt.platform, subject_id=attempt.id, at=attempt.created_at, spent=0, outcome=STARTED,
              code="", steps=takedown.bounded(steps))


def came_back(query: Mapping[str, str]) -> None:
    """Tell the open flight with which parameters the platform sent the person back."""
    flight = recorder.current()
    if flight is not None:
        flight.say("The platform sent the person back with", *takedown.came_with(query))


def granted(attempt: ConnectionAttempt, consent: Consent) -> None:
    """The platform gave its tokens, which wait for the person's word. Inside `writing()`."""
    asked, given = _scopes(attempt.scopes_asked), consent.scopes
    notes: list[Step] = [{"note": "Scopes given", "values": sorted(map(takedown.open_value, given))}] if given \
        else [{"note": "The platform does not tell which scopes were given"}]
    if missing := [one for one in asked if given is not None and one not in given]:
        notes.append({"note": "Asked for and not given", "values": missing})
    usable = sum(not one.problem for one in consent.profiles)
    notes += [{"note": f"Profiles: {len(consent.profiles)}, of which {usable} can be connected"},
              {"decided": "It waits for the person's word on our own page; nothing is connected yet."}]
    _add(attempt, WAITS, "", notes)


def refused(attempt: ConnectionAttempt, error: PlatformError) -> None:
    """The walk ended with this error. Inside `writing()`."""
    read = _read_as(error, recorder.CONNECT, 0)
    _add(attempt, outcome_of(error), code_of(error), [read, {"decided": "Nothing was connected."}])


def closed(attempt: ConnectionAttempt, sentence: str) -> None:
    """The walk came to the end that the attempt's state names. Inside `writing()`; `sentence` names nobody."""
    words = {FINISHED: OK, DECLINED: "declined", EXPIRED: "expired"}
    _add(attempt, words.get(attempt.state, "failed"), takedown.code(attempt.error_code) if attempt.error_code else "",
         [{"decided": sentence}])


def remark(attempt: ConnectionAttempt, sentence: str) -> None:
    """Something was noticed that changes nothing. Inside `writing()`."""
    _add(attempt, None, None, [{"note": sentence}])


def _add(attempt: ConnectionAttempt, outcome: str | None, code: str | None, notes: Sequence[Step]) -> None:
    """Add the open flight's steps and these notes to the row of a walk; None leaves what stands."""
    now, flight = present(), recorder.current()
    row = db.session.scalar(select(Recording).where(Recording.subject_id == attempt.id).with_for_update())
    since = row.at if row is not None else attempt.created_at
    spent = max(round((now - since).total_seconds() * 1000), 0)
    flown = _flown(flight, in_full=True) if flight is not None else []
    start = max(spent - flight.spent, 0) if flight is not None else spent
    more = [*({**one, "at": start + one["at"]} for one in flown), *({**one, "at": spent} for one in notes)]
    if row is not None:
        change(row, steps=takedown.bounded([*row.steps, *more]), spent=spent,
               outcome=row.outcome if outcome is None else outcome, code=row.code if code is None else code)
        return
    add_later(Recording, id=new_id("rec"), workspace_id=attempt.workspace_id, kind=recorder.CONNECT,
              platform=attempt.platform, subject_id=attempt.id, at=since, spent=spent, outcome=outcome or STARTED,
              code=code or "", steps=takedown.bounded([{"at": 0, "note": "How it began was not kept"}, *more]))


def _scopes(text: str) -> list[str]:
    return [takedown.open_value(one) for one in sorted(split_scopes(text) or ())]


# ---------------------------------------------------------------- reading


def of_subjects(workspace: Workspace, subjects: Sequence[str], *, limit: int, before: str = "") -> list[Recording]:
    """The recordings of these in a workspace, newest first; `before`: older than the one with this id."""
    wanted: list[ColumnElement[bool]] = [Recording.workspace_id == workspace.id, Recording.subject_id.in_(subjects)]
    if before:
        wanted.append(Recording.id < before)
    return list(db.session.scalars(select(Recording).where(*wanted).order_by(Recording.id.desc()).limit(limit)))


def of_attempt(attempt: ConnectionAttempt) -> Recording | None:
    """The timeline of a connection; None once it was cleared away."""
    return db.session.scalar(select(Recording).where(
        Recording.workspace_id == attempt.workspace_id, Recording.subject_id == attempt.id).limit(1))


def one(workspace: Workspace, recording_id: str) -> Recording | None:
    """A recording of this workspace."""
    return db.session.scalar(select(Recording).where(
        Recording.workspace_id == workspace.id, Recording.id == recording_id))


def subjects_of(account: Account) -> list[str]:
    """What the recordings of an account are about: its Grant, and the walks that led to it or were to mend it."""
    walks = db.session.execute(
        select(ConnectionAttempt.id, ConnectionAttempt.account_id, ConnectionAttempt.result_ids)
        .where(ConnectionAttempt.workspace_id == account.workspace_id, ConnectionAttempt.platform == account.platform)
        .order_by(ConnectionAttempt.id.desc()).limit(LATEST_ATTEMPTS))
    found = [walk.id for walk in walks if walk.account_id == account.id or account.id in walk.result_ids]
    return [*([account.grant_id] if account.grant_id else []), *found]


@dataclass(frozen=True)
class Wanted:
    """What an admin looks for; empty means whatever. `search`: an id of ours."""

    platform: str = ""
    kind: str = ""
    outcome: str = ""  # trouble, ok, or one word
    search: str = ""


def everywhere(wanted: Wanted, *, limit: int, before: str = "") -> list[tuple[Recording, str]]:
    """Recordings of all workspaces, newest first, each with its workspace's name."""
    query = select(Recording, Workspace.name).join(Workspace, Workspace.id == Recording.workspace_id)
    for column, value in ((Recording.platform, wanted.platform), (Recording.kind, wanted.kind)):
        query = query.where(column == value) if value else query
    if wanted.outcome == "trouble":
        query = query.where(Recording.outcome != OK, Recording.outcome.not_in(CALM))
    elif wanted.outcome:
        query = query.where(Recording.outcome == wanted.outcome)
    if wanted.search:
        query = query.where(Recording.id.in_([wanted.search]) | Recording.subject_id.in_(_about(wanted.search)))
    if before:
        query = query.where(Recording.id < before)
    found = db.session.execute(query.order_by(Recording.id.desc()).limit(limit))
    return [(row, name) for row, name in found]


def anywhere(recording_id: str) -> Recording | None:
    """A recording, of whatever workspace; for an admin."""
    return db.session.get(Recording, recording_id)


def _about(search: str) -> list[str]:
    """The subjects that an id leads to: itself, an account's, a post's deliveries."""
    account = db.session.get(Account, search) if search.startswith("acc_") else None
    if account is not None:
        return subjects_of(account)
    post = db.session.get(Post, search) if search.startswith("pst_") else None
    if post is not None:
        return list(db.session.scalars(select(Delivery.id).where(Delivery.post_id == post.id)))
    return [search]


def went_well() -> ColumnElement[bool]:
    """Whether a recording tells of nothing but what happens every day; such ones are kept for a few days only."""
    return and_(Recording.kind != recorder.CONNECT, Recording.outcome == OK)


def workspace_name(row: Recording) -> str:
    """The name of the workspace that a recording belongs to."""
    return db.session.get_one(Workspace, row.workspace_id).name
