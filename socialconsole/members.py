"""Who belongs to a workspace: members and their roles, and invitations by link.

A change holds at once in every browser, since each request asks for the Membership. A workspace always keeps an owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import abort, current_app
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import joinedload

from . import access, audit, logins, mail, outbox, outside, passwords
from .access import ROLE_WORDS, Invalid
from .config import Config
from .database import alone, refuse_open_transaction, took, writing
from .extensions import db
from .models import OWNER, CalendarFeed, Invitation, Login, Membership, User, Workspace, new_id

INVITATION_LIFE = timedelta(days=7)
MOST_OPEN = 50  # invitations of one workspace at a time
EXPIRED_SHOWN = timedelta(days=14)
LONGEST_NAME = 100


class LastOwner(Exception):
    """The workspace would be left without an owner; the message is for people."""

    def __init__(self, who: str = "This person is") -> None:
        super().__init__(f"{who} the only owner of this workspace, and a workspace needs one. Make somebody else an "
                         "owner first.")


class MovedOn(Exception):
    """Things are no longer as the form showed them; the message says how they stand."""


class NoInvitation(LookupError):
    """The link was used, taken back, too old, or never was."""


class ForSomebodyElse(Exception):
    """The invitation names another e-mail address than that of the person who came."""


class IsMember(Exception):
    """This person belongs to the workspace already."""


class AccountExists(Exception):
    """The e-mail address has an account: its owner signs in instead of making another."""


@dataclass(frozen=True)
class Member:
    """One person in a workspace, as the list shows it."""

    user: User
    role: str
    since: datetime
    seen_at: datetime | None


@dataclass(frozen=True)
class Invited:
    """A fresh invitation with its link, which is known now and never again."""

    invitation: Invitation
    token: str


# ---------------------------------------------------------------- who is in


def members(workspace: Workspace) -> list[Member]:
    """Everybody in a workspace, owners first, then by name."""
    rows = db.session.scalars(select(Membership).where(Membership.workspace_id == workspace.id)
                              .options(joinedload(Membership.user))).all()
    seen: dict[str, datetime] = {user_id: at for user_id, at in db.session.execute(
        select(Login.user_id, func.max(Login.seen_at)).where(Login.user_id.in_([row.user_id for row in rows]))
        .group_by(Login.user_id))}
    found = [Member(row.user, row.role, row.joined_at or max(workspace.created_at, row.user.created_at),
                    seen.get(row.user_id)) for row in rows]
    rank = {role: place for place, role in enumerate(reversed(ROLE_WORDS))}
    return sorted(found, key=lambda one: (rank[one.role], one.user.shown.lower()))


def member(workspace: Workspace, user_id: str) -> Membership:
    """One person's membership in this workspace; 404 for anybody else."""
    found = db.session.get(Membership, (workspace.id, user_id))
    if found is None:
        abort(404)
    return found


def owners(workspace_id: str) -> int:
    """How many owners a workspace has."""
    return db.session.scalar(select(func.count()).select_from(Membership).where(
        Membership.workspace_id == workspace_id, Membership.role == OWNER)) or 0


def add(workspace_id: str, user: User, role: str, now: datetime) -> None:
    """Make a person a member; inside `writing()` and `alone("members", …)`."""
    db.session.add(Membership(workspace_id=workspace_id, user_id=user.id, role=role, joined_at=now))


# ---------------------------------------------------------------- roles, removal


def change_role(workspace: Workspace, user_id: str, was: str, role: str) -> bool:
    """Give a member another role; False if it is the role already. Aborts with 404 where nobody such is a member.

    `was` is the role that the form showed. Raises MovedOn if it is another one now, LastOwner, Invalid.
    """
    if role not in ROLE_WORDS:
        raise Invalid({"role": "Choose viewer, editor or owner."})
    with writing():
        alone("members", workspace.id)
        found = member(workspace, user_id)
        if found.role == role:
            return False
        if found.role != was:
            raise MovedOn(f"{found.user.shown} is {_a(found.role)} meanwhile. Nothing was changed.")
        _keep_an_owner(found)
        found.role = role
        if was == OWNER:
            _end_invitations_of(found)
        audit.record("member.role", "member", user_id, f"{ROLE_WORDS[was]} before, {role} now",
                     workspace_id=workspace.id, name=found.user.shown, before=was, after=role)
    return True


def remove(workspace: Workspace, user_id: str) -> str:
    """Take a member out; returns the name. Aborts with 404 where nobody such is a member. Raises LastOwner."""
    with writing():
        alone("members", workspace.id)
        found = member(workspace, user_id)
        name = found.user.shown
        _take_out(found)
        audit.record("member.removed", "member", user_id, "Removed from the workspace", workspace_id=workspace.id,
                     name=name)
    return name


def leave(workspace: Workspace, user: User) -> None:
    """A member goes. Raises LastOwner."""
    with writing():
        alone("members", workspace.id)
        found = member(workspace, user.id)
        if found.role == OWNER and owners(workspace.id) == 1:
            raise LastOwner("You are")
        _take_out(found)
        audit.record("member.left", "member", user.id, "Left the workspace", workspace_id=workspace.id,
                     name=user.shown)


def _keep_an_owner(found: Membership) -> None:
    if found.role == OWNER and owners(found.workspace_id) == 1:
        raise LastOwner(f"{found.user.shown} is")


def _take_out(found: Membership) -> None:
    _keep_an_owner(found)
    _end_invitations_of(found)
    # Its address would go on telling what is planned here.
    db.session.execute(delete(CalendarFeed).where(CalendarFeed.workspace_id == found.workspace_id,
                                                  CalendarFeed.user_id == found.user_id))
    outbox.withdraw(found.user_id, found.workspace_id)
    db.session.delete(found)


def _end_invitations_of(found: Membership) -> None:
    """Whoever is no owner any more must not come back as one by a link made before."""
    db.session.execute(update(Invitation).where(
        Invitation.workspace_id == found.workspace_id, Invitation.invited_by == found.user.email,
        Invitation.ended_at.is_(None)).values(ended_at=outside.now()))


def _a(role: str) -> str:
    return f"{'a' if role == 'viewer' else 'an'} {role}"


# ---------------------------------------------------------------- inviting


def invitations(workspace: Workspace) -> list[Invitation]:
    """What may still be used, and what ran out lately, newest first."""
    return list(db.session.scalars(
        select(Invitation).where(Invitation.workspace_id == workspace.id, Invitation.ended_at.is_(None),
                                 Invitation.expires_at > outside.now() - EXPIRED_SHOWN)
        .order_by(Invitation.created_at.desc(), Invitation.id.desc()).limit(2 * MOST_OPEN)))


def invitation(workspace: Workspace, invitation_id: str) -> Invitation:
    """One invitation of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Invitation).where(Invitation.workspace_id == workspace.id,
                                                       Invitation.id == invitation_id))
    if found is None:
        abort(404)
    return found


def invite(workspace: Workspace, role: str, email: str, by: User) -> Invited:
    """Make an invitation, for one e-mail address or for whoever has the link. Raises Invalid."""
    email, now = email.strip().lower(), outside.now()
    errors = {} if role in ROLE_WORDS else {"role": "Choose viewer, editor or owner."}
    if email and not access.EMAIL.fullmatch(email):
        errors["email"] = "Give an e-mail address, such as mara@example.com, or leave the field empty."
    if errors:
        raise Invalid(errors)
    with writing():
        alone("members", workspace.id)
        if problem := _why_not_invite(workspace, email, now):
            raise Invalid({"email": problem})
        return new_invitation(workspace, role, email, by, now)


def _why_not_invite(workspace: Workspace, email: str, now: datetime) -> str:
    known = logins.by_email(email) if email else None
    if known is not None and db.session.get(Membership, (workspace.id, known.id)) is not None:
        return f"{known.shown} is a member already. Change the role in the list of members."
    waiting = db.session.scalars(select(Invitation.email).where(
        Invitation.workspace_id == workspace.id, Invitation.ended_at.is_(None), Invitation.expires_at > now)).all()
    if email and email in waiting:
        return f"{email} is invited already. Make a new link in the list of invitations, or take that one back."
    if len(waiting) >= MOST_OPEN:
        return f"{MOST_OPEN} invitations are open, and that is the most. Take some back first."
    return ""


def new_invitation(workspace: Workspace, role: str, email: str, by: User, now: datetime) -> Invited:
    """Write an invitation; inside `writing()`."""
    token = outside.secret(32)
    made = Invitation(id=new_id("inv"), workspace_id=workspace.id, email=email, role=role,
                      token_hash=logins.digest(token), invited_by=by.email, created_at=now,
                      expires_at=now + INVITATION_LIFE)
    db.session.add(made)
    audit.record("member.invited", "invitation", made.id, f"Invited as {role}", workspace_id=workspace.id,
                 name=email or "whoever has the link", role=role)
    return Invited(made, token)


def renew(workspace: Workspace, invitation_id: str, by: User) -> Invited:
    """Another link for an open or run-out invitation; the earlier one stops working. Raises MovedOn."""
    now, token = outside.now(), outside.secret(32)
    with writing() as session:
        alone("members", workspace.id)
        found = invitation(workspace, invitation_id)
        _still_open(found)
        found.token_hash, found.created_at, found.expires_at = logins.digest(token), now, now + INVITATION_LIFE
        found.invited_by, found.mailed_at = by.email, None
        session.flush()
        audit.record("member.invited", "invitation", found.id, f"Made a new link to join as {found.role}",
                     workspace_id=workspace.id, name=found.email or "whoever has the link", role=found.role)
    return Invited(found, token)


def revoke(workspace: Workspace, invitation_id: str) -> None:
    """Take an invitation back. Raises MovedOn if it was used or taken back already."""
    with writing():
        alone("members", workspace.id)
        found = invitation(workspace, invitation_id)
        _still_open(found)
        found.ended_at = outside.now()
        audit.record("member.uninvited", "invitation", found.id, "Took the invitation back",
                     workspace_id=workspace.id, name=found.email or "whoever has the link")


def _still_open(found: Invitation) -> None:
    if found.ended_at is None:
        return
    joined = db.session.get(User, found.user_id) if found.user_id else None
    raise MovedOn(f"{joined.shown} has joined by this invitation meanwhile." if joined else
                  "This invitation was taken back meanwhile.")


def link_of(token: str) -> str:
    """The address that an invitation leads to."""
    return f"{_config().public_url}/join/{token}"


def send(invited: Invited) -> str:
    """Mail an invitation to the address it names; returns why that failed, empty if it went out or none is to go.

    No transaction may be open. The link works in either case.
    """
    found, config = invited.invitation, _config()
    if not found.email or not mail.is_set(config):
        return ""
    workspace = db.session.get_one(Workspace, found.workspace_id)
    subject, text = _letter(found, workspace.name, inviter(found), link_of(invited.token))
    refuse_open_transaction()
    try:
        mail.send(config, found.email, subject, text)
    except mail.NotSent as problem:
        return str(problem)
    with writing():
        db.session.execute(update(Invitation).where(Invitation.id == found.id).values(mailed_at=outside.now()))
    return ""


def _letter(found: Invitation, workspace: str, by: str, link: str) -> tuple[str, str]:
    text = (f"{by} invites you to the workspace {workspace} in Social Console, as {found.role}.\n\n"
            f"Open this link to join:\n\n{link}\n\n"
            f"It works once, for seven days, and only for {found.email}. If you did not expect it, ignore this mail: "
            "nothing happens.\n")
    return f"Join {workspace} in Social Console", text


def inviter(found: Invitation) -> str:
    """The name of who invited."""
    who = logins.by_email(found.invited_by)
    return who.shown if who else found.invited_by


def inviters(found: Sequence[Invitation]) -> dict[str, str]:
    """The names of those who invited, by e-mail address."""
    people = db.session.scalars(select(User).where(User.email.in_({one.invited_by for one in found})))
    return {one.email: one.shown for one in people}


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# ---------------------------------------------------------------- joining


def open_invitation(token: str, now: datetime) -> Invitation:
    """The invitation of a link. Raises NoInvitation."""
    found = db.session.scalar(select(Invitation).where(
        Invitation.token_hash == logins.digest(token), Invitation.ended_at.is_(None), Invitation.expires_at > now))
    if found is None:
        raise NoInvitation
    return found


def join(token: str, user: User, now: datetime) -> Workspace:
    """Take a person with an account in, once; returns the workspace.

    Raises NoInvitation, ForSomebodyElse and IsMember (the last two leave the invitation open).
    """
    workspace_id = open_invitation(token, now).workspace_id
    with writing():
        alone("members", workspace_id)
        found = open_invitation(token, now)
        if found.email and found.email != user.email:
            raise ForSomebodyElse
        if db.session.get(Membership, (workspace_id, user.id)) is not None:
            raise IsMember
        return _take_in(found, user, now)


def join_new(token: str, email: str, name: str, password: str, now: datetime) -> User:
    """Make an account and take its person in, once; an e-mail address that the invitation names counts, not the typed.

    Raises NoInvitation, Invalid, and AccountExists where the address has an account already.
    """
    found = open_invitation(token, now)
    workspace_id, email, name = found.workspace_id, found.email or email.strip().lower(), tidy_name(name)
    if errors := _check_person(email, name, password):
        raise Invalid(errors)
    db.session.commit()
    hashed = passwords.hashed(password)  # takes its time: no transaction may wait for it
    with writing() as session:
        alone("person", email)
        alone("members", workspace_id)
        found = open_invitation(token, now)
        if logins.by_email(email) is not None:
            raise AccountExists
        user = User(id=new_id("usr"), email=email, name=name, password_hash=hashed, created_at=now)
        session.add(user)
        session.flush()
        _take_in(found, user, now)
    return user


def _take_in(found: Invitation, user: User, now: datetime) -> Workspace:
    """Spend the invitation and add the member; of many that come at once, one gets in. Raises NoInvitation."""
    mine = took(update(Invitation).where(Invitation.id == found.id, Invitation.ended_at.is_(None))
                .values(ended_at=now, user_id=user.id))
    if not mine:
        raise NoInvitation
    add(found.workspace_id, user, found.role, now)
    audit.record("member.joined", "member", user.id, f"Joined as {found.role}, invited by {inviter(found)}",
                 workspace_id=found.workspace_id, name=user.shown, role=found.role)
    return db.session.get_one(Workspace, found.workspace_id)


def tidy_name(name: str) -> str:
    """A name in one line, without spaces around it."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())


def name_problem(name: str) -> str:
    """Why this cannot be a person's name; empty if it can."""
    return "" if 1 <= len(name) <= LONGEST_NAME else f"Give a name of 1 to {LONGEST_NAME} characters."


def _check_person(email: str, name: str, password: str) -> dict[str, str]:
    errors = {}
    if not access.EMAIL.fullmatch(email):
        errors["email"] = "Give your e-mail address, such as mara@example.com. You sign in with it."
    if problem := name_problem(name):
        errors["name"] = problem
    if problem := passwords.problem(password, email):
        errors["password"] = problem
    return errors
