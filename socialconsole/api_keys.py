"""API keys: what a program signs in with. It acts for the person who made it, and may less, never more.

A key is shown once. Kept are its hash and its first characters, by which it can be found again. It stops with its
person: it does nothing for somebody who left the workspace, also not after they came back, and never more than their
present role allows.
"""

import hashlib
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import abort
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import joinedload

from . import access, audit
from .database import alone, took, writing
from .extensions import db
from .models import Membership, User, Workspace
from .models_api import ApiKey

START, RANDOM, SHOWN = "sck_", 40, 12  # how a key begins, letters after that, letters that stay visible
LETTERS = string.ascii_letters + string.digits
USED_NOTED_EVERY = timedelta(minutes=1)
MOST_KEYS, LONGEST_NAME = 50, 100
MOST_DAYS = 3650
MOST_LISTED = 500  # the newest of them; only those that ended or were revoked can be that many
ENDING = timedelta(days=14)  # so long before its end a key says so

# how a key stands
ACTIVE, ENDS_SOON, LIMITED, STOPPED, ENDED, REVOKED = "active", "ends_soon", "limited", "stopped", "ended", "revoked"

READ, WRITE_POSTS, APPROVE, MANAGE_ACCOUNTS, MANAGE_WORKSPACE, UNATTENDED, INSTANCE = (
    "read", "write_posts", "approve", "manage_accounts", "manage_workspace", "unattended", "instance")


@dataclass(frozen=True)
class Permission:
    """What a key may be allowed: its name, in words, and the permissions of people that it stands for.

    `needs`: what a person must be allowed to give it, beside what it covers.
    """

    name: str
    label: str
    help: str
    covers: frozenset[str]
    needs: frozenset[str] = frozenset()


PERMISSIONS: Mapping[str, Permission] = {one.name: one for one in (
    Permission(READ, "Read", "Look at profiles, posts, files and what happened.", frozenset({"see"})),
    Permission(WRITE_POSTS, "Write posts", "Write, schedule, change, retry and cancel posts, and add files.",
               frozenset({"compose"})),
    Permission(APPROVE, "Approve posts", "Let submitted posts go out, or send them back.", frozenset({"approve"})),
    Permission(MANAGE_ACCOUNTS, "Manage profiles", "Make links to connect and reconnect with, pause, resume and "
               "disconnect profiles.", frozenset({"reconnect", "connect", "manage"})),
    Permission(MANAGE_WORKSPACE, "Manage the workspace", "Change its settings and webhooks, and invite people.",
               frozenset({"settings", "people"})),
    Permission(UNATTENDED, "Without asking a person", "What a language model does over MCP is done at once, also "
               "publishing, disconnecting and deleting. Without this a person confirms it here first.", frozenset(),
               frozenset({"settings"})),
)}
OF_ADMINS = Permission(INSTANCE, "The whole installation", "Workspaces, platforms, health and all admin calls.",
                       frozenset({"admin"}))


@dataclass(frozen=True)
class Line:
    """A key as a list shows it: how it stands, and why where that is not as it was made."""

    key: ApiKey
    state: str
    why: str = ""

    @property
    def can_be_revoked(self) -> bool:
        """Whether revoking it still changes anything."""
        return self.state not in (ENDED, REVOKED)


class Invalid(ValueError):
    """What was asked for cannot be; `errors` has a sentence per field (name, permissions, days)."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


# ---------------------------------------------------------------- making and ending


def create(workspace: Workspace | None, user: User, name: str, permissions: Sequence[str], days: int | None,
           now: datetime) -> tuple[ApiKey, str]:
    """A new key and, this once, its text. Without a workspace it is an admin's. `days`: until it ends; None: never.

    Raises Invalid. Nobody gives a key more than they may do themselves: what exceeds the role is refused.
    """
    wanted = [INSTANCE] if workspace is None else [one for one in PERMISSIONS if one in permissions]
    name = _tidy(name)
    errors = _check(workspace, user, name, permissions, wanted, days)
    if errors:
        raise Invalid(errors)
    token = START + "".join(secrets.choice(LETTERS) for _ in range(RANDOM))
    made = ApiKey(workspace_id=workspace.id if workspace is not None else None, user_id=user.id, name=name,
                  prefix=token[:SHOWN], token_hash=_hash(token), permissions=wanted, created_at=now,
                  expires_at=now + timedelta(days=days) if days is not None else None)
    with writing() as session:
        alone("api_keys", made.workspace_id or "")
        _leave_room(workspace, now)
        session.add(made)
        session.flush()
        audit.record("key.created", "api_key", made.id, f"Made the API key {made.name} ({made.prefix}…)",
                     workspace_id=made.workspace_id, name=made.name, permissions=", ".join(wanted))
    return made, token


def _tidy(name: str) -> str:
    """A name in one line and without what cannot be seen; lists and logs show it."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())


def _check(workspace: Workspace | None, user: User, name: str, permissions: Sequence[str], wanted: Sequence[str],
           days: int | None) -> dict[str, str]:
    errors = {}
    if not 1 <= len(name) <= LONGEST_NAME:
        errors["name"] = f"Give the key a name of up to {LONGEST_NAME} characters, such as where it is used."
    if days is not None and not 1 <= days <= MOST_DAYS:
        errors["days"] = f"Give a number of days from 1 to {MOST_DAYS}."
    if problem := _permission_problem(workspace, user, permissions, wanted):
        errors["permissions"] = problem
    return errors


def _permission_problem(workspace: Workspace | None, user: User, permissions: Sequence[str],
                        wanted: Sequence[str]) -> str:
    """Why a person cannot give a key these permissions; empty if they can."""
    if workspace is None:
        return "" if user.is_platform_admin else access.WHY_NOT["admin"]
    unknown = [one for one in permissions if one not in PERMISSIONS]
    if unknown:
        return f"There is no permission called {_tidy(unknown[0])[:40]}."
    if not wanted:
        return "Choose at least one thing that the key may do."
    beyond = _beyond(wanted, role_in(user, workspace.id))
    return f"Your role does not allow this, so a key of yours cannot either: {beyond[0]}." if beyond else ""


def _beyond(names: Sequence[str], role: str | None) -> list[str]:
    """The labels of those permissions that somebody in this role does not have; all of them for a stranger."""
    return [PERMISSIONS[name].label for name in names if name in PERMISSIONS and (role is None or not all(
        role in access.PERMISSIONS[one] for one in PERMISSIONS[name].covers | PERMISSIONS[name].needs))]


def _leave_room(workspace: Workspace | None, now: datetime) -> None:
    """Raise Invalid if there are as many keys as there may be; inside `writing()` and `alone`."""
    held = db.session.scalars(select(ApiKey.id).where(_of(workspace), holding(now)).limit(MOST_KEYS)).all()
    if len(held) >= MOST_KEYS:
        where = "This workspace" if workspace is not None else "The installation"
        raise Invalid({"name": f"{where} has {MOST_KEYS} keys already. Revoke one first."})


def _of(workspace: Workspace | None) -> ColumnElement[bool]:
    return ApiKey.workspace_id == workspace.id if workspace is not None else ApiKey.workspace_id.is_(None)


def revoke(key_id: str, workspace: Workspace | None, now: datetime) -> ApiKey:
    """End a key at once. Again changes nothing. 404 for one that is not of this workspace."""
    key = one(key_id, workspace)
    with writing():
        if took(update(ApiKey).where(ApiKey.id == key.id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)):
            audit.record("key.revoked", "api_key", key.id, f"Revoked the API key {key.name} ({key.prefix}…)",
                         workspace_id=key.workspace_id, name=key.name)
    db.session.refresh(key)
    return key


def one(key_id: str, workspace: Workspace | None) -> ApiKey:
    """A key of this workspace, or of the installation where none is named; 404 for any other."""
    found = db.session.get(ApiKey, key_id)
    if found is None or found.workspace_id != (workspace.id if workspace is not None else None):
        abort(404)
    return found


def listed(workspace: Workspace | None, search: str = "") -> list[ApiKey]:
    """The keys of a workspace, or of the installation, the newest first; `search`: part of a name or first letters."""
    keys = db.session.scalars(select(ApiKey).where(_of(workspace)).options(joinedload(ApiKey.user))
                              .order_by(ApiKey.id.desc()).limit(MOST_LISTED)).all()
    words = search.strip().casefold()
    return [key for key in keys if words in key.name.casefold() or (words and key.prefix.casefold().startswith(
        words[:SHOWN]))]


def lines(keys: Sequence[ApiKey], now: datetime) -> list[Line]:
    """How these keys stand, all of one workspace or all of the installation; one further query for all of them."""
    if not keys:
        return []
    members = {one.user_id: one for one in db.session.scalars(
        select(Membership).where(Membership.workspace_id == keys[0].workspace_id))}
    return [Line(key, *_standing(key, members.get(key.user_id), now)) for key in keys]


def _standing(key: ApiKey, member: Membership | None, now: datetime) -> tuple[str, str]:
    """How a key stands, and why where that needs a sentence."""
    if key.revoked_at is not None:
        return REVOKED, ""
    if not holds(key, now):
        return ENDED, ""
    name = key.user.shown
    if not _is_backed(key, member):
        return STOPPED, (f"{name} is no platform admin any more, so this key does nothing." if key.workspace_id is None
                         else f"{name} left the workspace after making it, so this key does nothing.")
    beyond = _beyond(key.permissions, member.role) if member is not None else []
    if beyond:
        return LIMITED, (f"The role of {name} does not allow this any more, so the key cannot either: "
                         f"{', '.join(beyond)}.")
    return (ENDS_SOON, "") if key.expires_at is not None and key.expires_at - now <= ENDING else (ACTIVE, "")


# ---------------------------------------------------------------- signing in with one


def find(token: str, now: datetime, address: str = "") -> ApiKey | None:
    """The key that a program showed, if it still holds and its person is still there.

    Notes once a minute that it was used, and from where.
    """
    if not token.startswith(START) or len(token) != len(START) + RANDOM or not token.isascii():
        return None
    key = db.session.scalar(select(ApiKey).where(ApiKey.token_hash == _hash(token)))
    if key is None or not holds(key, now) or not is_backed(key):
        return None
    if key.last_used_at is None or not timedelta(0) <= now - key.last_used_at < USED_NOTED_EVERY:
        with writing():  # of many at once, one notes it
            took(update(ApiKey).where(ApiKey.id == key.id, or_(
                ApiKey.last_used_at.is_(None), ApiKey.last_used_at > now,
                ApiKey.last_used_at <= now - USED_NOTED_EVERY)).values(last_used_at=now, last_used_from=address[:45]))
        db.session.refresh(key)
    return key


def holds(key: ApiKey, now: datetime) -> bool:
    """Whether a key is neither revoked nor over."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def holding(now: datetime) -> ColumnElement[bool]:
    """The same as `holds`, as a condition of a query."""
    return ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)


def is_backed(key: ApiKey) -> bool:
    """Whether its person still is what the key came from: a member ever since it was made, or a platform admin."""
    member = db.session.get(Membership, (key.workspace_id, key.user_id)) if key.workspace_id is not None else None
    return _is_backed(key, member)


def _is_backed(key: ApiKey, member: Membership | None) -> bool:
    if key.workspace_id is None:
        return key.user.is_platform_admin
    return member is not None and (member.joined_at is None or member.joined_at <= key.created_at)


def may(key: ApiKey, permission: str) -> bool:
    """Whether a key may do what people need this permission for, with the role that its person has now."""
    if not allows(key, permission) or not is_backed(key):
        return False
    if permission not in access.PERMISSIONS:
        return True
    return key.workspace_id is not None and role_in(key.user, key.workspace_id) in access.PERMISSIONS[permission]


def is_unattended(key: ApiKey) -> bool:
    """Whether it may publish, disconnect and delete over MCP without a person; only while its person could allow it."""
    if UNATTENDED not in key.permissions or key.workspace_id is None or not is_backed(key):
        return False
    return not _beyond([UNATTENDED], role_in(key.user, key.workspace_id))


def allows(key: ApiKey, permission: str) -> bool:
    """Whether a key may do what people need this permission for. The role of its person counts beside it."""
    if permission == "admin":
        return INSTANCE in key.permissions
    return permission in ("public", "signed_in") or any(
        permission in PERMISSIONS[name].covers for name in key.permissions if name in PERMISSIONS)


def role_in(user: User, workspace_id: str) -> str | None:
    """The role of a person in a workspace; None for a stranger."""
    member = db.session.get(Membership, (workspace_id, user.id))
    return member.role if member is not None else None


def _hash(token: str) -> str:
    """A key is long and random, so a plain hash hides it well."""
    return hashlib.sha256(token.encode()).hexdigest()
