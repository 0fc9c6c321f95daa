"""Workspaces themselves: making one, its settings, and the limits that a platform admin sets."""

from dataclasses import dataclass, fields
from typing import Any

from flask import abort, current_app
from sqlalchemy import func, select

from . import access, audit, logins, media, members, outside, times
from .access import Invalid
from .config import Config
from .database import alone, lock, writing
from .extensions import db
from .models import DISCONNECTED, OWNER, SCHEDULED, Account, Delivery, Media, Membership, User, Workspace, new_id

LONGEST_NAME = 100
WINDOW_MINUTES = (5, 7 * 24 * 60)  # the shortest and the longest
USUAL_WINDOWS = (15, 30, 60, 120, 240, 480, 1440, 2880)
MEGABYTE = 1024 * 1024
MOST_ACCOUNTS, MOST_MEGABYTES = 100_000, 100_000_000


class MovedOn(Exception):
    """The settings are no longer as the form showed them."""


# ---------------------------------------------------------------- room for accounts


@dataclass(frozen=True)
class Room:
    """How many accounts a workspace has connected, and how many it may have (None: as many as it likes)."""

    connected: int
    limit: int | None

    @property
    def left(self) -> int | None:
        """How many more may be connected; None: any number."""
        return None if self.limit is None else max(0, self.limit - self.connected)

    @property
    def is_full(self) -> bool:
        """Whether no further account may be connected."""
        return self.left == 0

    @property
    def words(self) -> str:
        """`3 of 10 accounts`, `1 account`."""
        if self.limit is None:
            return f"{self.connected} {'account' if self.connected == 1 else 'accounts'}"
        return f"{self.connected} of {self.limit} {'account' if self.limit == 1 else 'accounts'}"

    @property
    def sentence(self) -> str:
        """`3 of 10 accounts are connected`, without its full stop."""
        return f"{self.words} {'is' if self.connected == 1 else 'are'} connected"


def room(workspace: Workspace) -> Room:
    """How much room a workspace has. Disconnected accounts take none, paused ones do."""
    number = db.session.scalar(select(func.count()).select_from(Account).where(
        Account.workspace_id == workspace.id, Account.state != DISCONNECTED)) or 0
    return Room(number, workspace.account_limit)


# ---------------------------------------------------------------- settings


@dataclass(frozen=True)
class Settings:
    """What an owner may change. `window_minutes`: how late a post may still go out."""

    name: str
    time_zone: str
    window_minutes: int
    needs_approval: bool


@dataclass(frozen=True)
class Saved:
    """What came of saving: which fields changed, and how many posts are scheduled."""

    changed: tuple[str, ...]
    scheduled: int


def settings(workspace: Workspace) -> Settings:
    """The settings as they are."""
    return Settings(**{one.name: getattr(workspace, one.name) for one in fields(Settings)})


def save_settings(workspace: Workspace, wanted: Settings, seen: Settings) -> Saved:
    """Take over what differs from what the form had shown (`seen`).

    Raises Invalid, and MovedOn where somebody else changed one of the very same fields meanwhile.
    """
    if errors := wrong(wanted):
        raise Invalid(errors)
    with writing():
        lock(workspace)
        now, changed = settings(workspace), []
        for field in (one.name for one in fields(Settings)):
            new, old = getattr(wanted, field), getattr(now, field)
            if new == getattr(seen, field) or new == old:
                continue
            if old != getattr(seen, field):
                raise MovedOn
            setattr(workspace, field, new)
            changed.append(field)
            audit.record("workspace.settings", "workspace", workspace.id, _told(field, old, new),
                         workspace_id=workspace.id, name=workspace.name)
        scheduled = _scheduled(workspace) if "time_zone" in changed else 0
    return Saved(tuple(changed), scheduled)


def wrong(wanted: Settings) -> dict[str, str]:
    """Why these settings cannot be saved: field -> sentence; nothing if they can."""
    errors = {}
    if problem := name_problem(wanted.name):
        errors["name"] = problem
    if wanted.time_zone not in times.zones():
        errors["time_zone"] = "Choose a time zone from the list, such as Europe/Stockholm."
    if not WINDOW_MINUTES[0] <= wanted.window_minutes <= WINDOW_MINUTES[1]:
        errors["window_minutes"] = "Choose how late a post may still go out from the list."
    return errors


def name_problem(name: str) -> str:
    """Why this cannot be a workspace's name; empty if it can."""
    return "" if 1 <= len(name) <= LONGEST_NAME else f"Give the workspace a name of 1 to {LONGEST_NAME} characters."


def _told(field: str, old: Any, new: Any) -> str:
    if field == "name":
        return f"Renamed from {old}"
    if field == "time_zone":
        return f"Time zone changed from {old} to {new}"
    if field == "window_minutes":
        return f"A post may go out up to {window(new)} late, {window(old)} before"
    return "Posts of editors need an owner's approval from now on" if new else "Posts need no approval any more"


def window(minutes: int) -> str:
    """A window in words: `30 minutes`, `2 hours`, `90 minutes`."""
    for unit, length in (("day", 1440), ("hour", 60)):
        if minutes % length == 0:
            return f"{minutes // length} {unit}" + ("" if minutes == length else "s")
    return f"{minutes} minutes"


def _scheduled(workspace: Workspace) -> int:
    return db.session.scalar(select(func.count(func.distinct(Delivery.post_id))).where(
        Delivery.workspace_id == workspace.id, Delivery.state == SCHEDULED)) or 0


# ---------------------------------------------------------------- the admin's side


@dataclass(frozen=True)
class Line:
    """A workspace as the admin's list shows it: figures, nothing of what is in it."""

    workspace: Workspace
    room: Room
    members: int
    owners: int
    storage: media.Storage


@dataclass(frozen=True)
class Made:
    """A workspace with its first or a further owner: a member already, or somebody with an invitation."""

    workspace: Workspace
    owner: User | None
    invited: members.Invited | None


def overview(workspace_id: str | None = None) -> list[Line]:
    """All workspaces by name, or the one, with their figures."""
    query = select(Workspace).order_by(Workspace.name, Workspace.id)
    if workspace_id is not None:
        query = query.where(Workspace.id == workspace_id)
    accounts = _counts(Account.workspace_id, func.count(), Account.state != DISCONNECTED)
    people = _counts(Membership.workspace_id, func.count())
    leading = _counts(Membership.workspace_id, func.count(), Membership.role == OWNER)
    stored = _counts(Media.workspace_id, func.sum(Media.size))
    return [Line(one, Room(accounts.get(one.id, 0), one.account_limit), people.get(one.id, 0), leading.get(one.id, 0),
                 media.Storage(stored.get(one.id, 0), usual_storage() if one.storage_limit is None else
                               one.storage_limit)) for one in db.session.scalars(query)]


def usual_storage() -> int:
    """How many bytes of files a workspace without a limit of its own may keep."""
    config: Config = current_app.extensions["config"]
    return config.media_workspace_bytes


def _counts(by: Any, what: Any, *conditions: Any) -> dict[str, int]:
    return {key: int(number) for key, number in db.session.execute(select(by, what).where(*conditions).group_by(by))}


def one(workspace_id: str) -> Workspace:
    """A workspace, for a platform admin; 404 for any other id."""
    found = db.session.get(Workspace, workspace_id)
    if found is None:
        abort(404)
    return found


def create(name: str, time_zone: str, owner_email: str, by: User) -> Made:
    """Make a workspace with its first owner: who has an account is a member at once, anybody else is invited.

    Raises Invalid.
    """
    name, email, now = members.tidy_name(name), owner_email.strip().lower(), outside.now()
    errors = {field: problem for field, problem in (("name", name_problem(name)), ("owner", _no_email(email)))
              if problem}
    if time_zone not in times.zones():
        errors["time_zone"] = "Choose a time zone from the list, such as Europe/Stockholm."
    if errors:
        raise Invalid(errors)
    with writing() as session:
        workspace = Workspace(id=new_id("wsp"), name=name, time_zone=time_zone, created_at=now)
        session.add(workspace)
        session.flush()
        audit.record("workspace.created", "workspace", workspace.id, "Workspace made", workspace_id=workspace.id,
                     name=name)
        audit.record("workspace.created", "workspace", workspace.id, "Workspace made", name=name)
        return _with_owner(workspace, email, by)


def name_owner(workspace: Workspace, owner_email: str, by: User) -> Made:
    """Give a workspace a further owner, such as after the only one was lost. Raises Invalid."""
    email = owner_email.strip().lower()
    if problem := _no_email(email):
        raise Invalid({"owner": problem})
    with writing():
        alone("members", workspace.id)
        return _with_owner(workspace, email, by)


def _no_email(email: str) -> str:
    return "" if access.EMAIL.fullmatch(email) else "Give the owner's e-mail address, such as mara@example.com."


def _with_owner(workspace: Workspace, email: str, by: User) -> Made:
    now, user = outside.now(), logins.by_email(email)
    if user is None:
        for waiting in members.invitations(workspace):
            if waiting.email == email:
                waiting.ended_at = now  # one link at a time, the newest
        return Made(workspace, None, members.new_invitation(workspace, OWNER, email, by, now))
    there = db.session.get(Membership, (workspace.id, user.id))
    if there is not None and there.role == OWNER:
        raise Invalid({"owner": f"{user.shown} is an owner of this workspace already."})
    if there is not None:
        there.role = OWNER
    else:
        members.add(workspace.id, user, OWNER, now)
    audit.record("member.role", "member", user.id, "Named an owner by a platform admin", workspace_id=workspace.id,
                 name=user.shown, after=OWNER)
    return Made(workspace, user, None)


def save_limits(workspace: Workspace, name: str, accounts: str, megabytes: str) -> tuple[str, ...]:
    """Take over name, account limit and storage limit as typed (empty: none of its own); returns what changed.

    Raises Invalid.
    """
    name, errors = members.tidy_name(name), {}
    if problem := name_problem(name):
        errors["name"] = problem
    limit = _number(accounts, MOST_ACCOUNTS, "accounts", errors)
    size = _number(megabytes, MOST_MEGABYTES, "megabytes", errors)
    if errors:
        raise Invalid(errors)
    wanted = {"name": name, "account_limit": limit, "storage_limit": None if size is None else size * MEGABYTE}
    with writing():
        lock(workspace)
        changed = tuple(field for field, value in wanted.items() if getattr(workspace, field) != value)
        for field in changed:
            told = _told_limit(field, getattr(workspace, field), wanted[field])
            setattr(workspace, field, wanted[field])
            for where in (workspace.id, None):  # the workspace's own people see it, and the installation's
                audit.record("workspace.limits", "workspace", workspace.id, told, workspace_id=where,
                             name=workspace.name)
    return changed


def _number(typed: str, most: int, field: str, errors: dict[str, str]) -> int | None:
    typed = typed.strip()
    if not typed:
        return None
    if typed.isascii() and typed.isdigit() and len(typed) <= 12 and int(typed) <= most:
        return int(typed)
    errors[field] = f"Give a whole number from 0 to {most}, or leave the field empty."
    return None


def _told_limit(field: str, old: Any, new: Any) -> str:
    if field == "name":
        return f"Renamed from {old}"
    if field == "account_limit":
        return "Any number of accounts may be connected" if new is None else f"At most {new} accounts may be connected"
    return "Storage as the console's setting says" if new is None else f"Files may take {new // MEGABYTE} MB at most"


def window_choices(present: int) -> list[tuple[int, str]]:
    """The windows to choose from, the present one among them: minutes and words."""
    return [(minutes, window(minutes)) for minutes in sorted({*USUAL_WINDOWS, present})]
