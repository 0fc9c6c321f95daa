"""The people of the installation: who they are, who of them is a platform admin, and taking one out for good.

The installation always keeps a platform admin, as a workspace keeps an owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import joinedload

from . import audit, members, outside
from .database import alone, writing
from .extensions import db
from .models import OWNER, Invitation, Login, Membership, User

ADMINS = "platform admins"


class Needed(Exception):
    """The installation, or a workspace, would be left without anybody who runs it; the message is for people."""


@dataclass(frozen=True)
class Person:
    """Somebody with an account here, and the workspaces they belong to by name."""

    user: User
    memberships: tuple[Membership, ...]
    seen_at: datetime | None


def everybody() -> list[Person]:
    """All people by e-mail address, in three queries."""
    seen: dict[str, datetime] = {user_id: at for user_id, at in db.session.execute(
        select(Login.user_id, func.max(Login.seen_at)).group_by(Login.user_id))}
    belongs: dict[str, list[Membership]] = {}
    for one in db.session.scalars(select(Membership).options(joinedload(Membership.workspace))):
        belongs.setdefault(one.user_id, []).append(one)
    return [Person(user, tuple(sorted(belongs.get(user.id, ()), key=lambda one: one.workspace.name)), seen.get(user.id))
            for user in db.session.scalars(select(User).order_by(User.email))]


def set_admin(user: User, is_admin: bool) -> bool:
    """Make a person a platform admin, or one no longer; False if nothing was to change. Raises Needed."""
    with writing() as session:
        alone(ADMINS)
        session.refresh(user, with_for_update=True)
        if user.is_platform_admin == is_admin:
            return False
        if not is_admin:
            _keep_an_admin(user)
        user.is_platform_admin = is_admin
        audit.record("person.admin", "user", user.id, "Made a platform admin" if is_admin else
                     "No platform admin any more", name=user.shown)
    return True


def remove(user: User) -> str:
    """Take a person out of every workspace and forget the account; returns the name. What they wrote stays.

    Their logins, links and API keys end at once. Raises Needed.
    """
    with writing() as session:
        alone(ADMINS)
        session.refresh(user, with_for_update=True)
        _keep_an_admin(user)
        name = user.shown
        places = session.scalars(select(Membership).options(joinedload(Membership.workspace)).where(
            Membership.user_id == user.id).order_by(Membership.workspace_id)).all()
        _keep_owners(user, places)
        for place in [one.workspace for one in places]:
            members.remove(place, user.id)
        session.execute(update(Invitation).where(Invitation.invited_by == user.email, Invitation.ended_at.is_(None))
                        .values(ended_at=outside.now()))
        audit.record("person.removed", "user", user.id, "Removed from the console", name=name)
        session.flush()
        session.delete(user)
    return name


def _keep_an_admin(user: User) -> None:
    others = select(func.count()).select_from(User).where(User.is_platform_admin.is_(True), User.id != user.id)
    if user.is_platform_admin and not db.session.scalar(others):
        raise Needed(f"{user.shown} is the only platform admin, and the console needs one. Make somebody else a "
                     "platform admin first.")


def _keep_owners(user: User, places: Sequence[Membership]) -> None:
    needed = [one.workspace.name for one in places if one.role == OWNER and members.owners(one.workspace_id) == 1]
    if needed:
        raise Needed(f"{user.shown} is the only owner of {', '.join(needed)}, and a workspace needs one. Make somebody "
                     "else an owner there first.")
