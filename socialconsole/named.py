"""What somebody named on the command line: a workspace by id or name, everything else by id, people by e-mail address.

Ids are taken in both forms, that of the pages and that of programs. An operator of the host sees every workspace.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from . import access, api_keys, logins
from .extensions import db
from .models import OWNER, Account, Membership, Post, User, Workspace
from .models_api import ApiKey
from .public_ids import inner, public
from .terminal import Refused


def workspace(name: str) -> Workspace:
    """The workspace with this id or name. Raises Refused, with the ids where several have the name."""
    found = db.session.get(Workspace, inner(name))
    if found is not None:
        return found
    same = db.session.scalars(select(Workspace).where(Workspace.name == name.strip()).order_by(Workspace.id)).all()
    if len(same) > 1:
        raise Refused(f"{len(same)} workspaces are called “{name}”. Name one by its id: "
                      f"{', '.join(public(one.id) for one in same)}.")
    if not same:
        raise Refused(f"There is no workspace “{name}”. `socialconsole workspaces list` shows them all.")
    return same[0]


def workspaces(name: str | None) -> Sequence[Workspace]:
    """The one that was named, or all by name where none was. Raises Refused."""
    if name is not None:
        return [workspace(name)]
    return db.session.scalars(select(Workspace).order_by(Workspace.name, Workspace.id)).all()


def account(account_id: str) -> Account:
    """The profile with this id. Raises Refused."""
    found = db.session.get(Account, inner(account_id))
    if found is None:
        raise Refused(f"There is no profile “{account_id}”. `socialconsole accounts list` shows them all.")
    return found


def post(post_id: str) -> tuple[Workspace, Post]:
    """The post with this id, and its workspace. Raises Refused."""
    found = db.session.get(Post, inner(post_id))
    if found is None:
        raise Refused(f"There is no post “{post_id}”. `socialconsole posts list --workspace NAME` shows the newest.")
    return db.session.get_one(Workspace, found.workspace_id), found


def key(name: str) -> ApiKey:
    """The API key with this id or these first characters. Raises Refused."""
    name = name.rstrip("…")  # as the list shows it
    found = db.session.get(ApiKey, name)
    same = [found] if found is not None else db.session.scalars(select(ApiKey).where(ApiKey.prefix == name)).all()
    if len(same) != 1:  # what was typed may be a whole key, so no more of it is repeated than lists show
        raise Refused(f"There is no API key “{name[:api_keys.SHOWN]}”, or more than one. `socialconsole keys list` "
                      "shows them all with their ids.")
    return same[0]


def person(email: str) -> User:
    """Whoever has this e-mail address. Raises Refused."""
    found = logins.by_email(email)
    if found is None:
        raise Refused(f"Nobody with the e-mail address {email.strip()} has an account here. "
                      "`socialconsole people list` shows them all.")
    return found


def member(place: Workspace, email: str, permission: str = "see") -> Membership:
    """The membership of a person who may do this in the workspace. Raises Refused."""
    who = person(email)
    found = db.session.get(Membership, (place.id, who.id))
    if found is None:
        raise Refused(f"{who.email} is no member of {place.name}. `socialconsole members list` shows who is.")
    if found.role not in access.PERMISSIONS[permission]:
        raise Refused(f"{who.email} is {access.ROLE_WORDS[found.role].lower()} of {place.name}, and that role does not "
                      "allow it. Name somebody with another role.")
    return found


def first_owner(place: Workspace) -> User:
    """Who has been an owner of the workspace for longest. Raises Refused."""
    found = db.session.scalars(select(Membership).options(joinedload(Membership.user)).where(
        Membership.workspace_id == place.id, Membership.role == OWNER)).all()
    if not found:
        raise Refused(f"{place.name} has no owner yet. Make one with `socialconsole workspaces owner`.")
    return min(found, key=lambda one: (one.joined_at or place.created_at, one.user.created_at, one.user_id)).user


def first_admin() -> User:
    """Who has been a platform admin for longest. Raises Refused."""
    found = db.session.scalar(select(User).where(User.is_platform_admin.is_(True)).order_by(
        User.created_at, User.id).limit(1))
    if found is None:
        raise Refused("The console is not set up yet. Do that with `socialconsole setup`.")
    return found
