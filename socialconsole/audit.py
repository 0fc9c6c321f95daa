"""Who did what to which, when and from where: one row per change, written in the same commit as the change.

The rows are also the history of a platform, an account and a token. They never hold the value of a secret.
"""

from collections.abc import Sequence
from typing import Any

from flask import g, has_app_context
from sqlalchemy import ColumnElement, or_, select, tuple_

from .database import add_row
from .extensions import db
from .models import AuditEvent, User, new_id
from .outside import now as present

LONGEST_NAME, LONGEST_ACTOR = 200, 254


class Anywhere:
    """Stands for "whatever workspace", which is something else than no workspace."""


ANYWHERE = Anywhere()


def record(action: str, subject_type: str, subject_id: str, summary: str, *, workspace_id: str | None = None,
           name: str = "", **detail: Any) -> None:
    """Write one event; inside `writing()`. Who and from where come from the request, if there is one."""
    user = g.get("user") if has_app_context() else None
    add_row(AuditEvent, id=new_id("evt"), at=present(), workspace_id=workspace_id, user_id=user.id if user else None,
            user_name=_name_of(user) if user else "", action=action, subject_type=subject_type, subject_id=subject_id,
            subject_name=name[:LONGEST_NAME], summary=summary, detail=detail,
            address=(g.get("address") or "") if has_app_context() else "")


def _name_of(user: User) -> str:
    """Who it was: a person, or a program by the key that this person made."""
    key = g.get("key")
    return f"{user.shown} by key {key.name}"[:LONGEST_ACTOR] if key is not None else user.shown


def events(*, workspace_id: str | None | Anywhere = ANYWHERE, subjects: Sequence[tuple[str, str]] = (),
           limit: int = 50, before: str | None = None) -> list[AuditEvent]:
    """Events, newest first. `workspace_id=None` means those of the installation itself; `before` is an event's id."""
    wanted: list[ColumnElement[bool]] = []
    if not isinstance(workspace_id, Anywhere):
        wanted.append(AuditEvent.workspace_id == workspace_id)
    if subjects:
        wanted.append(or_(*((AuditEvent.subject_type == kind) & (AuditEvent.subject_id == one)
                            for kind, one in subjects)))
    query = select(AuditEvent).where(*wanted).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)
    if before:
        # An id that is not among these events compares with nothing, so it gives an empty page.
        last = select(AuditEvent.at, AuditEvent.id).where(AuditEvent.id == before, *wanted)
        query = query.where(tuple_(AuditEvent.at, AuditEvent.id) < last.scalar_subquery())
    return list(db.session.scalars(query))
