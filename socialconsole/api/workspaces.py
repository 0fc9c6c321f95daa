"""Workspaces and what happened in them, as programs read them."""

from typing import Any

from sqlalchemy import select

from .. import access, audit, public_ids, workspaces
from ..extensions import db
from ..models import AuditEvent, User, Workspace
from .operations import Asked, operation
from .shapes import Instant, Paging, Shape


class WorkspaceShape(Shape):
    """A workspace: the tenant that owns profiles and posts."""

    id: str
    name: str
    time_zone: str
    window_minutes: int
    needs_approval: bool
    queue_paused: bool
    accounts: int
    account_limit: int | None
    created_at: Instant


class WorkspaceList(Shape):
    """The workspaces of a key: its own, or for an admin's key all."""

    data: list[WorkspaceShape]
    next_cursor: str | None = None


class EventShape(Shape):
    """Something that happened: who did what to which."""

    id: str
    at: Instant
    action: str
    summary: str
    by: str
    subject_type: str
    subject_id: str
    subject_name: str


class EventList(Shape):
    """A page of what happened, the newest first."""

    data: list[EventShape]
    next_cursor: str | None


def workspace(found: Workspace) -> WorkspaceShape:
    """A workspace as it is told."""
    room = workspaces.room(found)
    return WorkspaceShape(
        id=public_ids.public(found.id), name=found.name, time_zone=found.time_zone,
        window_minutes=found.window_minutes, needs_approval=found.needs_approval,
        queue_paused=found.queue_paused_at is not None, accounts=room.connected, account_limit=room.limit,
        created_at=found.created_at)


@operation("GET", "/workspaces", "signed_in", "workspaces", "The workspaces of the key", answer=WorkspaceList,
           is_tagged=True)
def list_workspaces(asked: Asked) -> WorkspaceList:
    """The workspace that the key belongs to; for an admin's key all of them."""
    if asked.key.workspace is not None:
        may_see = db.session.get(User, asked.user.id) is not None and any(
            one.workspace_id == asked.key.workspace_id for one in access.memberships(asked.user))
        return WorkspaceList(data=[workspace(asked.key.workspace)] if may_see else [])
    found = db.session.scalars(select(Workspace).order_by(Workspace.name, Workspace.id)).all()
    return WorkspaceList(data=[workspace(one) for one in found] if asked.user.is_platform_admin else [])


@operation("GET", "/workspaces/{workspaceId}", "see", "workspaces", "One workspace", answer=WorkspaceShape,
           is_tagged=True)
def get_workspace(asked: Asked) -> WorkspaceShape:
    """Its name, its clock and its rules."""
    return workspace(asked.place)


@operation("GET", "/events", "see", "events", "What happened in the workspace", query=Paging, answer=EventList)
def list_events(asked: Asked) -> EventList:
    """The activity of the key's workspace, the newest first."""
    return _events(asked.place.id, asked.query)


@operation("GET", "/installation/events", "admin", "installation", "What happened in the installation", query=Paging,
           answer=EventList)
def list_installation_events(asked: Asked) -> EventList:
    """The activity of the installation itself, the newest first; nothing of any workspace."""
    return _events(None, asked.query)


def _events(workspace_id: str | None, paging: Any) -> EventList:
    before = public_ids.inner(paging.cursor) if paging.cursor else None
    found = audit.events(workspace_id=workspace_id, limit=paging.limit + 1, before=before)
    more = len(found) > paging.limit
    return EventList(data=[_event(one) for one in found[:paging.limit]],
                     next_cursor=found[paging.limit - 1].id if more else None)


def _event(one: AuditEvent) -> EventShape:
    return EventShape(id=one.id, at=one.at, action=one.action, summary=one.summary, by=one.user_name,
                      subject_type=one.subject_type, subject_id=public_ids.public(one.subject_id),
                      subject_name=one.subject_name)
