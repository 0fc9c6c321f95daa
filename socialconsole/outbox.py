"""The outbox: mails are rows, written in the commit of what they tell of, and sent by a worker until they are taken.

Whoever sends one takes its row first. A mail is handed over once; only where a worker dies between the server's yes and
our commit it goes again, under the same Message-ID, which mail programs show once. Nothing in it may be secret.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import ColumnElement, and_, func, or_, select, update

from . import mail, outside
from .config import Config
from .database import alone, refuse_open_transaction, took, writing
from .extensions import db
from .models import Incident, Message, User, new_id

log = logging.getLogger("socialconsole.outbox")

OPENED, NEARER, CURED, DIGEST, TEST = "opened", "nearer", "cured", "digest", "test"
LEASE = timedelta(minutes=3)  # above what a server may take that answers each step at the last moment
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
TRIED_FOR = timedelta(hours=24)
FURTHEST = timedelta(hours=2)  # what is due later than that was written before the clock was put back
BATCH = 20  # mails of one job
SHOWN_BACK = timedelta(days=7)
LONGEST_SUBJECT = 200

Ring = Callable[[str, list[str]], None]  # kind of job, ids


@dataclass(frozen=True)
class Status:
    """How the outbox stands: what waits, since when, what was given up lately, and why the last one was not taken."""

    waiting: int
    oldest: datetime | None
    given_up: int
    given_up_at: datetime | None  # when the newest of those was written
    last_sent: datetime | None
    trouble: str
    is_set: bool


def config() -> Config:
    """The settings of this process."""
    found: Config = current_app.extensions["config"]
    return found


# ---------------------------------------------------------------- writing one


def put(user: User | None, kind: str, subject: str, body: str, incident: Incident | None = None, to: str = "", *,
        due_at: datetime | None = None, once: str | None = None, about: Sequence[str] = ()) -> Message | None:
    """Write a mail that a worker sends; inside `writing()`. None where no mail server is set, or `once` is there.

    It goes to `to`, else to the address of `user`. `once`: what there may be only one mail of. `about`: the ids of the
    incidents that it tells of.
    """
    address = to or (user.email if user is not None else "")
    if not address or not mail.is_set(config()):
        return None
    if once is not None and db.session.scalar(select(Message.id).where(Message.once == once)) is not None:
        return None
    now = outside.now()
    made = Message(id=new_id("msg"), user_id=user.id if user is not None else None, kind=kind, to=address,
                   incident_id=incident.id if incident is not None else None, body=body, created_at=now,
                   subject=" ".join(subject.split())[:LONGEST_SUBJECT], due_at=due_at or now, once=once,
                   about=list(about) or ([incident.id] if incident is not None else []), attempts=0, note="")
    db.session.add(made)
    return made


def note(user: User, kind: str, once: str, words: str) -> None:
    """Write down that there was nothing to mail, so that nobody looks again; inside `writing()`."""
    now = outside.now()
    db.session.add(Message(id=new_id("msg"), user_id=user.id, kind=kind, to=user.email, subject="", body="",
                           created_at=now, due_at=None, once=once, about=[], attempts=0, note=words))


def withdraw(user_id: str, workspace_id: str) -> None:
    """What waits for somebody and tells of this workspace is not sent any more; inside `writing()`.

    A digest that waits goes with it: the next one is written from what the person may see then.
    """
    waiting = list(db.session.scalars(select(Message).where(Message.user_id == user_id, Message.due_at.is_not(None))))
    about = {one for message in waiting for one in message.about}
    here = set(db.session.scalars(select(Incident.id).where(Incident.workspace_id == workspace_id,
                                                            Incident.id.in_(about))))
    for message in waiting:
        if message.kind == DIGEST or here.intersection(message.about):
            message.due_at, message.note = None, "Not sent: the person left a workspace that it tells of."


# ---------------------------------------------------------------- sending


def ring_due(now: datetime, ring: Ring, is_awake: Callable[[str], bool] = lambda kind: False) -> int:
    """Ring for the mails that are due and free, unless enough jobs wait already. Returns how many."""
    if is_awake("mail"):
        return 0
    found = due(now)
    if found:
        ring("mail", found)
    return len(found)


def due(now: datetime) -> list[str]:
    """The ids of the mails that are due and free, the oldest first, as many as one job sends."""
    found = list(db.session.scalars(select(Message.id).where(_is_due(now)).order_by(Message.due_at).limit(BATCH)))
    db.session.commit()
    return found


def _is_due(now: datetime) -> ColumnElement[bool]:
    is_free = or_(Message.lease_until.is_(None), Message.lease_until <= now, Message.lease_until > now + 2 * LEASE)
    return and_(Message.due_at.is_not(None), or_(Message.due_at <= now, Message.due_at > now + FURTHEST), is_free)


def send(message_id: str) -> bool:
    """Send one mail if that is due and nobody else is at it. True if the server took it; never raises NotSent."""
    now = outside.now()
    lease = now + LEASE
    with writing():
        if not took(update(Message).where(Message.id == message_id, _is_due(now))
                    .values(lease_until=lease, attempts=Message.attempts + 1)):
            return False
    found = db.session.get_one(Message, message_id, populate_existing=True)
    to, subject, body, attempts, created_at = found.to, found.subject, found.body, found.attempts, found.created_at
    settings = config()
    refuse_open_transaction()
    try:
        if not mail.is_set(settings):
            raise mail.NotSent("No mail server is set any more.", is_of_server=True)
        mail.send(settings, to, subject, body, number=message_id)
    except mail.NotSent as problem:
        _not_taken(message_id, lease, problem, attempts, created_at, now)
        return False
    with writing():
        took(update(Message).where(Message.id == message_id)
             .values(sent_at=outside.now(), due_at=None, lease_until=None, note=""))
    return True


def _not_taken(message_id: str, lease: datetime, problem: mail.NotSent, attempts: int, created_at: datetime,
               now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
    is_over = problem.is_final or now + pause > created_at + TRIED_FOR
    reason = f"{problem} It said: {problem.said}" if problem.said else str(problem)
    with writing() as session:
        alone("outbox")  # two that put the others off at once would wait for each other's rows
        mine = (Message.id == message_id, Message.lease_until == lease)  # whoever came after us knows better
        took(update(Message).where(*mine).values(due_at=None if is_over else now + pause, lease_until=None,
                                                 note=f"Given up. {reason}" if is_over else reason))
        if problem.is_of_server:  # the others would wait for the same, each as long as a silent server takes
            session.execute(update(Message).where(Message.due_at <= now, Message.lease_until.is_(None))
                            .values(due_at=now + FIRST_PAUSE).execution_options(synchronize_session=False))
    if is_over:
        log.warning("a mail was given up", extra={"mail": message_id, "attempts": attempts})


def send_test(user: User) -> str:
    """Send a mail to this very person now; returns why the server did not take it, empty if it did.

    No transaction may be open. It is kept in the outbox, as sent or as given up.
    """
    settings, number = config(), new_id("msg")
    subject = "A test mail from Social Console"
    body = (f"This mail was sent from {settings.public_url}/admin/alerts to see whether mails arrive. They do.\n")
    if not mail.is_set(settings):
        return "No mail server is set: give MAIL_URL and MAIL_FROM in the settings and start the console again."
    to, user_id, reason = user.email, user.id, ""
    refuse_open_transaction()
    try:
        mail.send(settings, to, subject, body, number=number)
    except mail.NotSent as problem:
        reason = f"{problem} It said: {problem.said}" if problem.said else str(problem)
    now = outside.now()
    with writing() as session:
        session.add(Message(id=number, user_id=user_id, kind=TEST, to=to, subject=subject, body=body, created_at=now,
                            due_at=None, sent_at=None if reason else now, attempts=1, note=reason, about=[]))
    return reason


# ---------------------------------------------------------------- how it stands


def status(now: datetime) -> Status:
    """How the outbox stands."""
    waiting, oldest = db.session.execute(select(func.count(), func.min(Message.created_at)).where(
        Message.due_at.is_not(None))).one()
    given_up, given_up_at = db.session.execute(select(func.count(), func.max(Message.created_at)).where(
        _given_up(), _is_no_test(), Message.created_at > now - SHOWN_BACK)).one()
    last = db.session.scalar(select(func.max(Message.sent_at)).where(Message.sent_at.is_not(None)))
    trouble = db.session.scalar(
        select(Message.note).where(Message.note != "", Message.attempts > 0, Message.created_at > now - SHOWN_BACK,
                                   Message.sent_at.is_(None))
        .order_by(Message.created_at.desc(), Message.id.desc()).limit(1))
    return Status(waiting, oldest, given_up, given_up_at, last, trouble or "", mail.is_set(config()))


def _given_up() -> ColumnElement[bool]:
    return and_(Message.due_at.is_(None), Message.sent_at.is_(None), Message.attempts > 0)


def _is_no_test() -> ColumnElement[bool]:
    return Message.kind != TEST


def recent(limit: int = 20) -> list[Message]:
    """The newest mails with what became of them, without notes that nothing was to be said."""
    return list(db.session.scalars(select(Message).where(Message.subject != "").order_by(Message.id.desc())
                                   .limit(limit)))
