"""What is finished is cleared away after the days that RETENTION gives it: small pieces, so that nobody waits for it.

Nothing that still waits, is held or has to be decided by a person is ever touched, and no post with its outcome.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, delete, exists, or_, select
from ulid import ULID

from . import logins, media, outside, recordings, tallies, uploads
from .config import Config
from .database import writing
from .extensions import db
from .models import (
    DEAD,
    DECLINED,
    EXPIRED,
    FAILED,
    FINAL,
    FINISHED,
    Account,
    AuditEvent,
    ConnectionAttempt,
    ConnectLink,
    DeletionRequest,
    Delivery,
    DeliveryEvent,
    Grant,
    Incident,
    Installation,
    Invitation,
    Login,
    MediaLink,
    Message,
    OneTimeLink,
    Recording,
    SignInFailure,
)
from .models_api import ApiAnswer, ApiKey, Plan

log = logging.getLogger("socialconsole.retention")

BATCH = 1000  # rows of one transaction
MOST_BATCHES = 500  # of one rule in one run; what is left waits for the next
NOTE = "cleaned"  # the row of Installation that says what the last run did
FILES = "files"
FAILURES_KEPT = timedelta(days=1)  # far beyond the window in which they count
ANSWERS_KEPT = timedelta(days=1)  # for so long an Idempotency-Key counts

Pieces = Iterable[int]  # how many rows each transaction removed


@dataclass(frozen=True)
class Rule:
    """What one name in RETENTION clears, in words, and how: given the instant before which things are old."""

    name: str
    words: str
    clear: Callable[[datetime], Pieces]


@dataclass(frozen=True)
class Cleaned:
    """The last run: when, and how many rows or files each rule removed."""

    at: datetime
    removed: dict[str, int]


# ---------------------------------------------------------------- each rule


def _logins(before: datetime) -> Pieces:
    """Logins, API keys, links and invitations that ended, sign-ins that failed, and plans that are over.

    Answers of the API count for a day, whatever is set.
    """
    over = or_(Login.expires_at < before, Login.ended_at < before, Login.seen_at < before - logins.IDLE_END)
    yield from _rows(Login, Login.id, over)
    yield from _rows(SignInFailure, SignInFailure.id, SignInFailure.at < max(before, _now() - FAILURES_KEPT))
    yield from _rows(Invitation, Invitation.id, or_(Invitation.expires_at < before, Invitation.ended_at < before))
    yield from _rows(OneTimeLink, OneTimeLink.id, or_(OneTimeLink.expires_at < before, OneTimeLink.used_at < before))
    yield from _rows(ApiAnswer, ApiAnswer.name_hash, ApiAnswer.created_at < max(before, _now() - ANSWERS_KEPT))
    yield from _rows(Plan, Plan.id, Plan.expires_at < before)
    yield from _rows(ApiKey, ApiKey.id, or_(ApiKey.revoked_at < before, ApiKey.expires_at < before))


def _attempts(before: datetime) -> Pieces:
    """Connections that came to an end; those under way hold secrets, which `connections.tidy` takes care of."""
    yield from _rows(ConnectionAttempt, ConnectionAttempt.id, ConnectionAttempt.created_at < before,
                     ConnectionAttempt.state.in_((FINISHED, DECLINED, FAILED, EXPIRED)))


def _recordings(before: datetime) -> Pieces:
    """What connections, renewals and tries to publish did. Ids begin with their instant.

    Every profile has a renewal that went well each day: those are the many, and the least asked for.
    """
    early = max(before, _now() - recordings.KEPT_IF_WELL)
    yield from _rows(Recording, Recording.id, Recording.id < f"rec_{ULID.from_datetime(early)}", Recording.at < early,
                     recordings.went_well())
    yield from _rows(Recording, Recording.id, Recording.id < f"rec_{ULID.from_datetime(before)}", Recording.at < before)


def _incidents(before: datetime) -> Pieces:
    """What needed a person and is over; mails that were sent or given up; links to connect that are over."""
    yield from _rows(Incident, Incident.id, Incident.closed_at < before)
    yield from _rows(Message, Message.id, Message.created_at < before, Message.due_at.is_(None))
    yield from _rows(ConnectLink, ConnectLink.id, ConnectLink.expires_at < before)


def _delivery_log(before: datetime) -> Pieces:
    """The steps of deliveries that are over. Ids begin with their instant, so the oldest are found by the key."""
    end, last = f"dle_{ULID.from_datetime(before)}", ""
    while True:
        found = db.session.execute(
            select(DeliveryEvent.id, Delivery.state).join(Delivery, Delivery.id == DeliveryEvent.delivery_id)
            .where(DeliveryEvent.id > last, DeliveryEvent.id < end, DeliveryEvent.at < before)
            .order_by(DeliveryEvent.id).limit(BATCH)).all()
        db.session.commit()
        if not found:
            return
        last = found[-1].id
        yield _delete(DeliveryEvent, DeliveryEvent.id, [row.id for row in found if row.state in FINAL])


def _grants(before: datetime) -> Pieces:
    """Ended permissions that no profile hangs on any more."""
    yield from _rows(Grant, Grant.id, Grant.state == DEAD, Grant.granted_at < before,
                     or_(Grant.renewed_at.is_(None), Grant.renewed_at < before),
                     ~exists().where(Account.grant_id == Grant.id))


def _deletions(before: datetime) -> Pieces:
    """Requests to delete a person's data that were done; until then their address says how it stands."""
    yield from _rows(DeletionRequest, DeletionRequest.code, DeletionRequest.done_at < before)


def _tallies(before: datetime) -> Pieces:
    """Counts by five minutes; their sums stay."""
    while done := tallies.fold(before, BATCH):
        yield done


def _audit(before: datetime) -> Pieces:
    """Who did what, when."""
    yield from _rows(AuditEvent, AuditEvent.id, AuditEvent.id < f"evt_{ULID.from_datetime(before)}",
                     AuditEvent.at < before)


RULES = (
    Rule("logins", "Logins and API keys that ended, failed sign-ins and answers kept for programs (after a day at "
         "most), plans that are over, one-time links and invitations that were used or ran out", _logins),
    Rule("attempts", "Connections of profiles that were finished, declined, failed or ran out of time", _attempts),
    Rule("recordings", "Timelines of connections, renewals and tries to publish; those of renewals and posts that went "
         "well, after 7 days at most", _recordings),
    Rule("incidents", "What needed somebody and is over, mails that were sent, and links to connect that are over",
         _incidents),
    Rule("delivery_log", "The steps of posts that are over; the post and its outcome stay", _delivery_log),
    Rule("grants", "Ended permissions that no profile uses", _grants),
    Rule("deletions", "Requests to delete a person's data that were done", _deletions),
    Rule("tallies", "Counts by five minutes, from which the charts are drawn; their sums stay", _tallies),
    Rule("audit", "Activity: who did what, when and from where", _audit),
)
FILE_WORDS = ("Files that no post has used for a day and nobody keeps in the library, uploads that were given up, and "
              "the addresses under which platforms fetched files")


# ---------------------------------------------------------------- a run


def clean(now: datetime) -> dict[str, int]:
    """Clear away what is old; returns how many rows or files each rule removed. Needs an app context.

    Several may run at once. A rule that breaks is logged and does not stop the others.
    """
    removed = {rule.name: _run(rule.name, rule.clear(now - timedelta(days=days)))
               for rule in RULES if (days := kept_days(rule.name))}
    removed[FILES] = _run(FILES, _files(now))
    with writing() as session:
        note = session.get(Installation, NOTE) or Installation(name=NOTE)
        note.text = json.dumps({"at": now.astimezone(UTC).isoformat(), "removed": removed})
        session.add(note)
    if any(removed.values()):
        log.info("cleaned up", extra={name: number for name, number in removed.items() if number})
    return removed


def kept_days(name: str) -> int:
    """How many days the things of a rule are kept; 0: for ever."""
    config: Config = current_app.extensions["config"]
    return config.retention_days[name]


def last_run() -> Cleaned | None:
    """What the last run did; None before the first."""
    note = db.session.get(Installation, NOTE)
    if note is None or not note.text:
        return None
    found = json.loads(note.text)
    return Cleaned(datetime.fromisoformat(found["at"]), found["removed"])


def _run(name: str, pieces: Pieces) -> int:
    done = 0
    try:
        for number, removed in enumerate(pieces, 1):
            done += removed
            if number >= MOST_BATCHES:
                break
    except Exception:  # one table in trouble must not keep all others from being cleaned
        db.session.rollback()
        log.exception("cleaning broke off", extra={"rule": name})
    return done


def _files(now: datetime) -> Pieces:
    yield from _rows(MediaLink, MediaLink.token_hash, exists().where(
        Delivery.id == MediaLink.delivery_id, Delivery.state.in_(FINAL)))
    yield uploads.tidy(now)
    yield media.tidy(now)


def _rows(model: Any, key: Any, *conditions: ColumnElement[bool]) -> Pieces:
    """Delete rows that meet the conditions, still meet them when they are deleted, and a batch at a time."""
    while True:
        keys = list(db.session.scalars(select(key).where(*conditions).order_by(key).limit(BATCH)))
        db.session.commit()
        if not keys:
            return
        yield _delete(model, key, keys, *conditions)
        if len(keys) < BATCH:
            return


def _delete(model: Any, key: Any, keys: list[str], *conditions: ColumnElement[bool]) -> int:
    if not keys:
        return 0
    with writing() as session:
        result: Any = session.execute(delete(model).where(key.in_(keys), *conditions)
                                      .execution_options(synchronize_session=False))
    return int(result.rowcount)


def _now() -> datetime:
    return outside.now()
