"""The tables of the doors for programs: keys, repeated requests, plans that wait for a person, and webhooks."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, relationship
from sqlalchemy.orm import mapped_column as column

from .extensions import Base
from .models import Instant, MaybeInstant, User, Workspace, _where, instant, key

# WebhookDelivery
WAITING, DELIVERED, GIVEN_UP = "waiting", "delivered", "given_up"
# Plan
PROPOSED, CONFIRMED, DECLINED, DONE = "proposed", "confirmed", "declined", "done"


class ApiKey(Base):
    """What a program signs in with: it acts for the person who made it, and may less, never more.

    The key itself is shown once; its hash is kept. Without a workspace it is an admin's, for instance calls.
    """

    __tablename__ = "api_key"
    id: Mapped[str] = key("key")
    workspace_id: Mapped[str | None] = column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = column(String(100))
    prefix: Mapped[str] = column(String(16), index=True)  # the first characters, to find it by
    token_hash: Mapped[str] = column(String(64), unique=True)
    permissions: Mapped[list[str]] = column(JSON, default=list)
    created_at: Instant = instant()
    expires_at: MaybeInstant = instant()  # None: never
    last_used_at: MaybeInstant = instant()
    last_used_from: Mapped[str] = column(String(45), default="")
    revoked_at: MaybeInstant = instant()
    user: Mapped[User] = relationship()
    workspace: Mapped[Workspace | None] = relationship()


class ApiAnswer(Base):
    """What a request with an Idempotency-Key was answered: the same request gets the same answer for a day."""

    __tablename__ = "api_answer"
    key_id: Mapped[str] = column(ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True)
    name_hash: Mapped[str] = column(String(64), primary_key=True)  # of the Idempotency-Key
    request_hash: Mapped[str] = column(String(64))  # of method, path and body
    status: Mapped[int] = column(default=0)  # 0: still at work
    body: Mapped[str] = column(Text, default="")
    headers: Mapped[dict[str, str]] = column(JSON, default=dict)
    created_at: Instant = instant(index=True)


class Plan(Base):
    """Something that a program proposed and a person has to confirm in the console before it is done."""

    __tablename__ = "plan"
    id: Mapped[str] = key("pln")
    workspace_id: Mapped[str] = column(ForeignKey("workspace.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = column(ForeignKey("api_key.id", ondelete="SET NULL"))
    asked_by: Mapped[str] = column(String(254), default="")  # the key's name and whose it is
    action: Mapped[str] = column(String(40))  # publish, schedule, disconnect, …
    request: Mapped[dict[str, Any]] = column(JSON, default=dict)  # method, path and body of the call it stands for
    summary: Mapped[str] = column(Text, default="")
    state: Mapped[str] = column(String(12), default=PROPOSED)
    created_at: Instant = instant()
    expires_at: Instant = instant()
    decided_at: MaybeInstant = instant()
    decided_by: Mapped[str] = column(String(254), default="")
    result: Mapped[dict[str, Any]] = column(JSON, default=dict)  # status and body of the answer
    __table_args__ = (Index("ix_plan_workspace_id", "workspace_id", "state", "created_at"),)


class WebhookEndpoint(Base):
    """An address that a workspace is told at, and of what. The secret signs what is sent (Standard Webhooks)."""

    __tablename__ = "webhook_endpoint"
    id: Mapped[str] = key("whk")
    workspace_id: Mapped[str] = column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = column(String(2000))
    description: Mapped[str] = column(String(200), default="")
    events: Mapped[list[str]] = column(JSON, default=list)
    secret_sealed: Mapped[bytes | None] = column(LargeBinary)
    old_secret_sealed: Mapped[bytes | None] = column(LargeBinary)  # signs beside the new one while receivers change
    old_secret_until: MaybeInstant = instant()
    created_at: Instant = instant()
    created_by: Mapped[str] = column(String(254), default="")
    disabled_at: MaybeInstant = instant()
    disabled_why: Mapped[str] = column(Text, default="")
    failing_since: MaybeInstant = instant()


class WebhookEvent(Base):
    """Something that happened in a workspace, as its webhooks tell it. One row for all endpoints."""

    __tablename__ = "webhook_event"
    id: Mapped[str] = key("whe")
    workspace_id: Mapped[str] = column(ForeignKey("workspace.id", ondelete="CASCADE"))
    kind: Mapped[str] = column(String(40))
    # What it is about, so that a fact is told once however often it is found: `account.expiring:acc_…:7`.
    once: Mapped[str | None] = column(String(120))
    payload: Mapped[dict[str, Any]] = column(JSON, default=dict)
    at: Instant = instant()
    __table_args__ = (Index("ix_webhook_event_workspace_id", "workspace_id", "at"), Index("ix_webhook_event_at", "at"),
                      UniqueConstraint("workspace_id", "once"))


class WebhookDelivery(Base):
    """One event on its way to one endpoint, until it is taken or a day is over."""

    __tablename__ = "webhook_delivery"
    id: Mapped[str] = key("whd")
    endpoint_id: Mapped[str] = column(ForeignKey("webhook_endpoint.id", ondelete="CASCADE"))
    event_id: Mapped[str] = column(ForeignKey("webhook_event.id", ondelete="CASCADE"))
    state: Mapped[str] = column(String(12), default=WAITING)
    attempts: Mapped[int] = column(default=0)
    created_at: Instant = instant()
    due_at: MaybeInstant = instant()
    lease_until: MaybeInstant = instant()
    fence: Mapped[int] = column(default=0)
    status: Mapped[int] = column(default=0)  # of the last answer; 0: none came
    error: Mapped[str] = column(Text, default="")
    done_at: MaybeInstant = instant()
    endpoint: Mapped[WebhookEndpoint] = relationship()
    event: Mapped[WebhookEvent] = relationship()
    __table_args__ = (
        Index("ix_webhook_delivery_due_at", "due_at", **_where("due_at IS NOT NULL")),
        Index("ix_webhook_delivery_endpoint_id", "endpoint_id", "created_at"),
        Index("ix_webhook_delivery_event_id", "event_id"),
    )
