"""Links to connect: whoever holds the login at a platform connects or reconnects a profile, once, without an account
of this console.

A link stands for the person who asked for it: it works only as long as that person may still do the same. It is used
up in the very commit that makes the connection; until then it may be tried again and again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import abort, current_app
from sqlalchemy import ColumnElement, func, select, update

from . import access, accounts, audit, connections, lights, logins, mail, outside, platform_apps, workspaces
from .access import Invalid
from .config import Config
from .connections import NotOffered, Offer, OverLimit
from .database import alone, refuse_open_transaction, took, writing
from .extensions import db
from .models import (
    DISCONNECTED,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    STARTED,
    Account,
    ConnectionAttempt,
    ConnectLink,
    Membership,
    PlatformApp,
    User,
    Workspace,
    new_id,
)
from .providers import provider as provider_of
from .providers.base import ANOTHER, Profile, Scope

# What a person may choose, and the words for it.
LIVES = {"hour": (timedelta(hours=1), "1 hour"), "day": (timedelta(days=1), "1 day"),
         "days": (timedelta(days=3), "3 days"), "week": (timedelta(days=7), "7 days")}
USUAL_LIFE = "days"
LONGEST_NOTE = 500
MOST_OPEN = 500  # links of one workspace at a time
MOST_MAILED = 100  # of one workspace in a day: nobody shall send words of their own to the whole world from here
SHOWN = 200

# How a link stands, for those who made it.
OPEN, OPENED, USED, TAKEN_BACK, RAN_OUT = "open", "opened", "used", "taken_back", "ran_out"
# Why it does not work though it is open: whoever asked may no longer, the platform is off, there is no room, or an
# owner ended the connection since.
NO_LONGER_MAY, OFF, FULL, ENDED = "no_longer_may", "off", "full", "ended"
GONE = (USED, TAKEN_BACK, RAN_OUT, NO_LONGER_MAY, ENDED)  # for good; the others may pass

ANOTHER_PROFILE, UNFIT_PROFILE = "another_profile", "unfit_profile"  # error codes of an attempt


class Unknown(LookupError):
    """No link has this token."""


class Unusable(Exception):
    """The link cannot be used now; `why` is one of the words above."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class MovedOn(Exception):
    """The link is no longer as the page showed it; the message says how it stands."""


@dataclass(frozen=True)
class Made:
    """A fresh link with its token, which is known now and never again."""

    link: ConnectLink
    token: str

    @property
    def address(self) -> str:
        """What is passed on."""
        return f"{_config().public_url}/link/{self.token}"


@dataclass(frozen=True)
class Line:
    """A link as the lists show it, with the newest try that somebody made by it."""

    link: ConnectLink
    state: str
    last: ConnectionAttempt | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may still be used, or taken back."""
        return self.state in (OPEN, OPENED)


# ---------------------------------------------------------------- asking for a link


def to_reconnect(account: Account, by: User, life: str = USUAL_LIFE, note: str = "", email: str = "") -> Made:
    """A link that reconnects this one profile. Raises Invalid, and NotOffered where its platform is off."""
    connections.offered_again(account)
    return _make(account.workspace, by, life, note, email, account=account)


def to_connect(workspace: Workspace, by: User, segment: str = "", life: str = USUAL_LIFE, note: str = "",
               email: str = "") -> Made:
    """A link that connects a new profile, through the app with this segment, or "" for any that is offered.

    Raises Invalid, and NotOffered where there is nothing to connect through.
    """
    offers = connections.offers(workspace)
    if not offers:
        raise NotOffered("No platform is turned on for this workspace, so nobody can connect a profile. A platform "
                         "admin turns one on under Admin → Social Platform.")
    app = next((offer.app for offer in offers if offer.app.segment == segment), None)
    if segment and app is None:
        raise Invalid({"segment": "Choose a platform from the list."})
    return _make(workspace, by, life, note, email, app=app)


def for_all_that_need_one(workspace: Workspace, by: User, life: str = USUAL_LIFE) -> list[Made]:
    """A link for each profile that only a person can mend and that can be reconnected now. Raises Invalid."""
    now = outside.now()
    wanted = [one.id for one in accounts.outlines(workspace) if one.word(now) in accounts.NEEDS_PERSON]
    found = [one for one in accounts.some(workspace, wanted) if connections.reconnectable(one)]
    with writing():
        return [to_reconnect(one, by, life) for one in found]


def _make(workspace: Workspace, by: User, life: str, note: str, email: str, *, account: Account | None = None,
          app: PlatformApp | None = None) -> Made:
    note, email, now, token = note.strip(), email.strip().lower(), outside.now(), outside.secret(32)
    if errors := _wrong(life, note, email):
        raise Invalid(errors)
    with writing() as session:
        alone("connect links", workspace.id)
        if _number_open(workspace, now) >= MOST_OPEN:
            raise Invalid({"life": f"{MOST_OPEN} links are open, and that is the most. Take some back first."})
        if email and _number_mailed(workspace, now) >= MOST_MAILED:
            raise Invalid({"email": f"{MOST_MAILED} links were mailed from here within a day, and that is the most. "
                                    "Leave the field empty, and pass the link on yourself."})
        made = ConnectLink(
            id=new_id("cnl"), workspace_id=workspace.id, account_id=account.id if account else None,
            app_id=app.id if app else None, token_hash=logins.digest(token), asked_by_id=by.id, asked_by=by.shown,
            note=note, email=email, created_at=now, expires_at=now + LIVES[life][0])
        session.add(made)
        session.flush()
        _record(made, "made", f"Asked for a link to {_what(made)}, good for {LIVES[life][1]}")
    return Made(made, token)


def _wrong(life: str, note: str, email: str) -> dict[str, str]:
    errors = {}
    if life not in LIVES:
        errors["life"] = "Choose how long the link works."
    if len(note) > LONGEST_NOTE:
        errors["note"] = f"Shorten it to {LONGEST_NOTE} characters; it has {len(note)}."
    if email and not access.EMAIL.fullmatch(email):
        errors["email"] = "Give an e-mail address, such as mara@example.com, or leave the field empty."
    return errors


def _number_open(workspace: Workspace, now: datetime) -> int:
    return db.session.scalar(select(func.count()).select_from(ConnectLink).where(
        ConnectLink.workspace_id == workspace.id, *_usable(now))) or 0


def _number_mailed(workspace: Workspace, now: datetime) -> int:
    return db.session.scalar(select(func.count()).select_from(ConnectLink).where(
        ConnectLink.workspace_id == workspace.id, ConnectLink.email != "",
        ConnectLink.created_at > now - timedelta(days=1))) or 0


def _usable(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a link was neither used nor taken back, and did not run out."""
    return ConnectLink.used_at.is_(None), ConnectLink.ended_at.is_(None), ConnectLink.expires_at > now


def _what(found: ConnectLink) -> str:
    if found.account is not None:
        return "reconnect it"
    name = provider_of(found.app.platform).name if found.app is not None else ""
    return f"connect a profile of {name}" if name else "connect a profile"


def _record(found: ConnectLink, step: str, summary: str) -> None:
    """Keep what happened to a link: in the history of the account it is for, or of its own."""
    account = found.account
    name = (account.display_name or account.username) if account is not None else "A new profile"
    audit.record(f"link.{step}", "account" if account is not None else "connect_link",
                 account.id if account is not None else found.id, summary, workspace_id=found.workspace_id,
                 name=name, link=found.id)


def send(made: Made) -> str:
    """Mail a link to the address it names; returns why that failed, empty if it went out or none is to go.

    No transaction may be open. The mail is handed over at once, since no row may hold the link. It works in either
    case.
    """
    found, config = made.link, _config()
    if not found.email or not mail.is_set(config):
        return ""
    subject, text = _letter(made)
    refuse_open_transaction()
    try:
        mail.send(config, found.email, subject, text)
    except mail.NotSent as problem:
        return str(problem)
    with writing() as session:
        session.execute(update(ConnectLink).where(ConnectLink.id == found.id).values(mailed_at=outside.now()))
        session.refresh(found)
    return ""


def _letter(made: Made) -> tuple[str, str]:
    found, workspace = made.link, made.link.workspace.name
    wish, subject = f"connect a profile to {workspace}", f"Connect a profile to {workspace}"
    if found.account is not None:
        name = found.account.display_name or found.account.username
        wish = f"connect {name} on {provider_of(found.account.platform).name} to {workspace} again"
        subject = f"Connect {name} to {workspace} again"
    note = f"{found.asked_by} writes:\n\n{found.note}\n\n" if found.note else ""
    text = (f"{found.asked_by} asks you to {wish}.\n\n{note}Open this link:\n\n{made.address}\n\n"
            "It shows what is asked before anything happens. You sign in at the platform itself; no account of Social "
            f"Console is needed. The link works once, until {found.expires_at:%d %b %Y, %H:%M} UTC. If you did not "
            "expect it, ignore this mail: nothing happens.\n")
    return subject, text


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# ---------------------------------------------------------------- the lists of those who ask


def link(workspace: Workspace, link_id: str) -> ConnectLink:
    """One link of this workspace; 404 for any other id."""
    found = db.session.scalar(select(ConnectLink).where(ConnectLink.workspace_id == workspace.id,
                                                        ConnectLink.id == link_id))
    if found is None:
        abort(404)
    return found


def of_account(account: Account) -> list[Line]:
    """The links that were made for an account, newest first."""
    return _lines(account.workspace_id, ConnectLink.account_id == account.id)


def of_workspace(workspace: Workspace) -> list[Line]:
    """All links of a workspace, newest first."""
    return _lines(workspace.id)


def _lines(workspace_id: str, *conditions: ColumnElement[bool]) -> list[Line]:
    now = outside.now()
    found = db.session.scalars(
        select(ConnectLink).where(ConnectLink.workspace_id == workspace_id, *conditions)
        .order_by(ConnectLink.created_at.desc(), ConnectLink.id.desc()).limit(SHOWN)).all()
    tries: dict[str | None, ConnectionAttempt] = {}
    if any(one.opened_at for one in found):
        for attempt in db.session.scalars(
                select(ConnectionAttempt).where(
                    ConnectionAttempt.workspace_id == workspace_id,
                    ConnectionAttempt.link_id.in_([one.id for one in found if one.opened_at]))
                .order_by(ConnectionAttempt.created_at, ConnectionAttempt.id)):
            tries[attempt.link_id] = attempt
    return [Line(one, state(one, now), tries.get(one.id)) for one in found]


def state(found: ConnectLink, now: datetime) -> str:
    """How a link stands: open, opened, used, taken_back, ran_out."""
    if found.used_at is not None:
        return USED
    if found.ended_at is not None and found.ended_at < found.expires_at:
        return TAKEN_BACK
    if found.expires_at <= now:
        return RAN_OUT
    return OPENED if found.opened_at is not None else OPEN


def take_back(workspace: Workspace, link_id: str) -> ConnectLink:
    """End a link before its time. Raises MovedOn if it was used, taken back or ran out already; 404."""
    now, found = outside.now(), link(workspace, link_id)
    with writing() as session:
        is_mine = took(update(ConnectLink).where(ConnectLink.id == found.id, *_usable(now))
                       .values(ended_at=now))
        session.refresh(found)
        if is_mine:
            _record(found, "taken_back", f"Took back the link to {_what(found)} that {found.asked_by} asked for")
            return found
    raise MovedOn({USED: "This link was used meanwhile. What it connected is under Social Profile.",
                   TAKEN_BACK: "This link was taken back already.",
                   RAN_OUT: "This link ran out meanwhile, so it no longer works."}[state(found, now)])


def note_expired(now: datetime) -> int:
    """Note in the history which links ran out unused, once for each; returns how many."""
    ids = db.session.scalars(select(ConnectLink.id).where(
        ConnectLink.used_at.is_(None), ConnectLink.ended_at.is_(None), ConnectLink.expires_at <= now)
        .limit(SHOWN)).all()
    db.session.commit()
    for one in ids:
        with writing() as session:
            if took(update(ConnectLink).where(
                    ConnectLink.id == one, ConnectLink.used_at.is_(None), ConnectLink.ended_at.is_(None),
                    ConnectLink.expires_at <= now).values(ended_at=ConnectLink.expires_at)):
                found = session.get_one(ConnectLink, one)
                _record(found, "ran_out", f"The link to {_what(found)} ran out unused")
    return len(ids)


# ---------------------------------------------------------------- whoever opens it


def by_token(token: str) -> ConnectLink:
    """The link of a token, whatever became of it. Raises Unknown."""
    found = db.session.scalar(select(ConnectLink).where(ConnectLink.token_hash == logins.digest(token)))
    if found is None:
        raise Unknown
    return found


def opened(found: ConnectLink) -> None:
    """Somebody looks at it; the first time is kept."""
    if found.opened_at is not None:
        return
    with writing() as session:
        if took(update(ConnectLink).where(ConnectLink.id == found.id, ConnectLink.opened_at.is_(None))
                .values(opened_at=outside.now())):
            session.refresh(found)
            _record(found, "opened", f"The link to {_what(found)} was opened for the first time")


def check(found: ConnectLink, now: datetime) -> None:
    """Raise Unusable if the link cannot be used at this moment."""
    word = state(found, now)
    if word in (USED, TAKEN_BACK, RAN_OUT):
        raise Unusable(word)
    _check_around(found)
    if (found.account is None or _is_ended(found)) and workspaces.room(found.workspace).is_full:
        raise Unusable(FULL)


def _check_around(found: ConnectLink) -> None:
    """Raise Unusable where not the link itself, but what it stands on has changed."""
    if not _may(found, "connect" if found.account is None else "reconnect"):
        raise Unusable(NO_LONGER_MAY)
    if _is_ended(found) and not _may(found, "connect"):
        raise Unusable(ENDED)  # an owner ended this connection, so an owner begins it anew
    if not ways(found):
        raise Unusable(OFF)


def _is_ended(found: ConnectLink) -> bool:
    return found.account is not None and found.account.state == DISCONNECTED


def _may(found: ConnectLink, permission: str) -> bool:
    """Whether the person who asked for the link still may do what it does."""
    member = db.session.get(Membership, (found.workspace_id, found.asked_by_id)) if found.asked_by_id else None
    return member is not None and member.role in access.PERMISSIONS[permission]


def ways(found: ConnectLink) -> list[Offer]:
    """What it may lead through: several only where any platform may be chosen, none while its platform is off."""
    offers = connections.offers(found.workspace)
    if found.account is None:
        return [one for one in offers if found.app_id in (None, one.app.id)]
    try:
        app = connections.offered_again(found.account)
    except NotOffered:
        return []
    return [replace(one, detail="") for one in offers if one.app.id == app.id]


def asks(app: PlatformApp) -> list[Scope]:
    """The permissions that are asked for through an app, with their purpose."""
    known = lights.purposes(provider_of(app.platform), app.mode)
    return [known.get(name, Scope(name, lights.UNNAMED)) for name in lights.names_of(platform_apps.scope_string(app))]


def begin(found: ConnectLink, segment: str, browser: str, *, other: bool = False) -> str:
    """Where the person gives consent; `other`: as somebody else than before. Raises Unusable, UnknownApp."""
    check(found, outside.now())
    offers = ways(found)
    offer = offers[0] if len(offers) == 1 else next((one for one in offers if one.app.segment == segment), None)
    if offer is None:
        raise connections.UnknownApp
    try:
        return connections.begin(offer.app, found.workspace, None, None, browser, account=found.account, link=found,
                                 again=ANOTHER if other else "")
    except OverLimit:
        raise Unusable(FULL) from None
    except NotOffered:
        raise Unusable(OFF) from None


def of_attempt(attempt: ConnectionAttempt) -> ConnectLink:
    """The link that an attempt was begun by."""
    return db.session.get_one(ConnectLink, attempt.link_id)


def refuse_other(attempt: ConnectionAttempt) -> list[str] | None:
    """After a consent: refuse it at once where it does not cover the profile that the link is for.

    Nothing is stored, and the permission is taken back where that harms nobody. Returns the names that came back, which
    are kept nowhere; None where nothing is to be refused.
    """
    if attempt.state != GRANTED or not attempt.account_id:
        return None
    try:
        wanted = connections.reconnects_another(attempt)
        choices = connections.choices(attempt) if wanted is not None else []
    except NotOffered:
        return None  # it was ended meanwhile
    if wanted is None:
        return None
    unfit = next((one.why for one in choices if one.profile.platform_user_id == wanted.platform_user_id), "")
    code, why = (UNFIT_PROFILE, unfit) if unfit else (
        ANOTHER_PROFILE, "Another profile came back than the one that the link is for. Nothing was stored.")
    if connections.drop(attempt, FAILED, why, code):
        with writing():
            _record(of_attempt(attempt), "refused", f"Somebody came by the link, but it cannot be connected: {unfit}"
                    if unfit else "Somebody came by the link with another profile. It was refused, and nothing of it "
                    "was stored")
    return [_name(one.profile) for one in choices]


def _name(profile: Profile) -> str:
    name = profile.display_name or profile.username or profile.platform_user_id
    return f"{name} (@{profile.username})" if profile.username and profile.username != name else name


def confirm(attempt: ConnectionAttempt, chosen: Iterable[str]) -> list[Account]:
    """Make the connection and use the link up, in one commit; confirming the same attempt twice connects once.

    Raises Unusable (then what was granted is dropped, unless it may yet work), and as `connections.confirm`.
    """
    if attempt.state == FINISHED:
        return connections.confirm(attempt, (), None)
    found = of_attempt(attempt)
    try:
        return _confirm(found, attempt, list(chosen))
    except Unusable as refusal:
        if refusal.why in GONE and attempt.state in (STARTED, GRANTED):
            connections.drop(attempt, EXPIRED, "The link was no longer good, so nothing was stored.", refusal.why)
        raise


def _confirm(found: ConnectLink, attempt: ConnectionAttempt, chosen: list[str]) -> list[Account]:
    now = outside.now()
    with writing() as session:
        alone("connect", attempt.workspace_id)
        is_mine = took(update(ConnectLink).where(ConnectLink.id == found.id, *_usable(now))
                       .values(used_at=now))
        session.refresh(attempt)
        session.refresh(found)
        if not is_mine and attempt.state == FINISHED:
            return connections.confirm(attempt, (), None)
        if not is_mine:
            raise Unusable(state(found, now))
        _check_around(found)
        made = connections.confirm(attempt, chosen, None, may_add=found.account is None)
        if not made:
            raise NotOffered("This consent is no longer waiting. Open the link again.")
        found.result_ids = [one.id for one in made]
        names = ", ".join(one.display_name or one.username for one in made)
        # Not in the history of the account: there stands already that it was connected, and how.
        audit.record("link.used", "connect_link", found.id, f"The link that {found.asked_by} asked for was used",
                     workspace_id=found.workspace_id, name=names, accounts=found.result_ids)
    return made
