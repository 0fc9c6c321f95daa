"""The tables, their states, and the rules that need nothing but the row itself.

A state is stored only if someone acts on it; `expiring` and `limited` follow from expiry, renewal and granted scopes.
Instants are UTC. Ids are a prefix and a ULID: sortable, and never guessable from one another.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from ulid import ULID

from .database import UtcDateTime
from .extensions import Base

# ConnectionAttempt
STARTED, GRANTED, FINISHED, DECLINED, FAILED, EXPIRED = (
    "started", "granted", "finished", "declined", "failed", "expired")
# Grant
LIVE, RENEWING, UNSURE, DEAD = "live", "renewing", "unsure", "dead"
# Account
ACTIVE, PAUSED, TOKEN_EXPIRED, DISCONNECTED = "active", "paused", "token_expired", "disconnected"
# Post
DRAFT, SUBMITTED, SCHEDULED, CANCELLED = "draft", "submitted", "scheduled", "cancelled"
UNSENT = (DRAFT, SUBMITTED)  # no Delivery yet
# Delivery (with SCHEDULED, CANCELLED and FAILED above)
PREPARING, PROCESSING, PUBLISHING, SENT, PUBLISHED = "preparing", "processing", "publishing", "sent", "published"
HELD, UNCONFIRMED, MISSED = "held", "unconfirmed", "missed"
FINAL = (PUBLISHED, FAILED, MISSED, CANCELLED)
# Roles
VIEWER, EDITOR, OWNER = "viewer", "editor", "owner"

BY_CHECK = "check:"  # starts the trouble_code of a trouble that a check of id and secret found


def new_id(prefix: str) -> str:
    """A fresh id such as `acc_01J…`."""
    return f"{prefix}_{ULID()}"


def key(prefix: str) -> Mapped[str]:
    """A primary key column whose values start with `prefix`."""
    return mapped_column(String(32), primary_key=True, default=lambda: new_id(prefix))


Instant = Mapped[datetime]
MaybeInstant = Mapped[datetime | None]


def instant(**options: Any) -> Any:
    """A column for an instant."""
    return mapped_column(UtcDateTime, **options)


def _where(condition: str) -> dict[str, Any]:
    """Options of an index that holds only the rows that meet a condition: what waits, not what is over."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Installation(Base):
    """One value of this installation: its id, the key canary, the public address last seen."""

    __tablename__ = "installation"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    text: Mapped[str | None] = mapped_column(Text)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


# ---------------------------------------------------------------- people


class User(Base):
    """A person who signs in to the console."""

    __tablename__ = "user"
    id: Mapped[str] = key("usr")
    email: Mapped[str] = mapped_column(String(254), unique=True)  # lower case
    name: Mapped[str] = mapped_column(String(100), default="")
    password_hash: Mapped[str] = mapped_column(String(200))
    is_platform_admin: Mapped[bool] = mapped_column(default=False)
    theme: Mapped[str] = mapped_column(String(5), default="auto")  # auto, light, dark
    time_zone: Mapped[str] = mapped_column(String(64), default="")  # the person's own; "": as the workspace's
    has_shortcuts: Mapped[bool] = mapped_column(default=True)  # single letters are keys
    alerts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # what is mailed; {}: as the console proposes
    created_at: Instant = instant()

    @property
    def shown(self) -> str:
        """The name people see."""
        return self.name or self.email


class Login(Base):
    """One signed-in browser. The cookie holds a random value; here is only its hash."""

    __tablename__ = "login"
    id: Mapped[str] = key("log")
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Instant = instant()
    seen_at: Instant = instant()
    expires_at: Instant = instant()  # the absolute end
    ended_at: MaybeInstant = instant()
    browser: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(64), default="")
    user: Mapped[User] = relationship()


class SignInFailure(Base):
    """A refused sign-in, kept for the rate limit. `about` is a hash of the e-mail, or the address."""

    __tablename__ = "sign_in_failure"
    id: Mapped[str] = key("sif")
    about: Mapped[str] = mapped_column(String(80))
    at: Instant = instant()
    __table_args__ = (Index("ix_sign_in_failure_about_at", "about", "at"),)


class OneTimeLink(Base):
    """A link that works once: first set-up, or a new password. Only the hash of its token is kept."""

    __tablename__ = "one_time_link"
    id: Mapped[str] = key("lnk")
    purpose: Mapped[str] = mapped_column(String(20))  # setup, reset
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    expires_at: Instant = instant()
    used_at: MaybeInstant = instant()


class Workspace(Base):
    """The tenant: owns accounts, posts and members."""

    __tablename__ = "workspace"
    id: Mapped[str] = key("wsp")
    name: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    window_minutes: Mapped[int] = mapped_column(default=120)  # how late a post may still go out
    account_limit: Mapped[int | None]
    storage_limit: Mapped[int | None] = mapped_column(BigInteger)  # bytes of files; None: as the setting says
    needs_approval: Mapped[bool] = mapped_column(default=False)  # editors submit, an owner approves
    queue_paused_at: MaybeInstant = instant()  # no post takes a slot until somebody resumes the queue
    created_at: Instant = instant()


class Membership(Base):
    """A person in a workspace, with a role."""

    __tablename__ = "membership"
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(10))
    joined_at: MaybeInstant = instant()  # None: since the workspace was made, or before this was kept
    workspace: Mapped[Workspace] = relationship()
    user: Mapped[User] = relationship()


class Invitation(Base):
    """A link that lets one person join a workspace, once. Only the hash of its token is kept."""

    __tablename__ = "invitation"
    id: Mapped[str] = key("inv")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(254), default="")  # lower case; "": whoever has the link
    role: Mapped[str] = mapped_column(String(10))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[str] = mapped_column(String(254), default="")  # the e-mail address of who did
    mailed_at: MaybeInstant = instant()
    created_at: Instant = instant()
    expires_at: Instant = instant()
    ended_at: MaybeInstant = instant()  # used, or taken back
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))  # who joined by it


class CalendarFeed(Base):
    """One person's private address of a workspace's calendar. Only the hash of its token is kept."""

    __tablename__ = "calendar_feed"
    id: Mapped[str] = key("fed")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Instant = instant()
    read_at: MaybeInstant = instant()
    __table_args__ = (UniqueConstraint("workspace_id", "user_id"),)


class AuditEvent(Base):
    """Who did what to which, when, from where. Also the history of a platform, an account, a grant."""

    __tablename__ = "audit_event"
    id: Mapped[str] = key("evt")
    at: Instant = instant()
    workspace_id: Mapped[str | None] = mapped_column(String(32))  # None: of the installation
    user_id: Mapped[str | None] = mapped_column(String(32))  # None: the console itself
    user_name: Mapped[str] = mapped_column(String(254), default="")
    action: Mapped[str] = mapped_column(String(40))  # platform.saved, account.connected, …
    subject_type: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(40))
    subject_name: Mapped[str] = mapped_column(String(200), default="")
    summary: Mapped[str] = mapped_column(Text, default="")  # one sentence for people
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    address: Mapped[str] = mapped_column(String(64), default="")
    __table_args__ = (
        Index("ix_audit_event_subject", "subject_type", "subject_id", "at"),
        Index("ix_audit_event_workspace_id_at", "workspace_id", "at"),
    )


# ---------------------------------------------------------------- what goes wrong, and who is told


class Incident(Base):
    """Something that needs a person, from when it was found until it is over. One that is open is told once.

    `stage` grows worse as an end comes nearer; each stage is told once too.
    """

    __tablename__ = "incident"
    id: Mapped[str] = key("inc")
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))  # None: admins'
    kind: Mapped[str] = mapped_column(String(30))  # account_broken, account_ending, posts_at_risk, …
    subject_type: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(40))
    subject_name: Mapped[str] = mapped_column(String(200), default="")
    platform: Mapped[str] = mapped_column(String(20), default="")
    stage: Mapped[int] = mapped_column(default=0)  # days that are left, where there is an end ahead
    summary: Mapped[str] = mapped_column(Text, default="")  # what happened, in one sentence
    step: Mapped[str] = mapped_column(Text, default="")  # what to do
    opened_at: Instant = instant()
    seen_at: Instant = instant()  # last found to be so
    closed_at: MaybeInstant = instant()
    __table_args__ = (
        Index("ix_incident_open", "kind", "subject_id", unique=True, **_where("closed_at IS NULL")),
        Index("ix_incident_workspace_id", "workspace_id", "opened_at"),
        Index("ix_incident_closed_at", "closed_at"),
    )


class Message(Base):
    """A mail that waits to be sent, or was. It names no secret; a worker sends it, and tries again if need be."""

    __tablename__ = "message"
    id: Mapped[str] = key("msg")
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    incident_id: Mapped[str | None] = mapped_column(ForeignKey("incident.id", ondelete="SET NULL"), index=True)
    kind: Mapped[str] = mapped_column(String(20))  # opened, nearer, cured, digest, receipt, test
    to: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    created_at: Instant = instant()
    due_at: MaybeInstant = instant()  # None: sent, or given up
    lease_until: MaybeInstant = instant()
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: MaybeInstant = instant()
    note: Mapped[str] = mapped_column(Text, default="")  # why it was not taken yet
    about: Mapped[list[str]] = mapped_column(JSON, default=list)  # the incidents that it tells of
    once: Mapped[str | None] = mapped_column(String(120), unique=True)  # what there may be only one mail of
    __table_args__ = (
        Index("ix_message_due_at", "due_at", **_where("due_at IS NOT NULL")),
        Index("ix_message_created_at", "created_at"),  # how the outbox stands is asked each minute
        Index("ix_message_sent_at", "sent_at", **_where("sent_at IS NOT NULL")),
    )


# ---------------------------------------------------------------- platforms


class PlatformApp(Base):
    """Client id and secret that an admin registered at a platform."""

    __tablename__ = "platform_app"
    id: Mapped[str] = key("app")
    platform: Mapped[str] = mapped_column(String(20), index=True)
    segment: Mapped[str] = mapped_column(String(40), unique=True)  # of the callback
    name: Mapped[str] = mapped_column(String(60), default="")  # to tell several apps of one platform apart
    # The workspaces that may connect through this app; an empty list means all.
    workspace_ids: Mapped[list[str]] = mapped_column(JSON, default=list)
    mode: Mapped[str] = mapped_column(String(20), default="")
    client_id: Mapped[str] = mapped_column(String(300), default="")
    secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    secret_version: Mapped[int] = mapped_column(default=0)
    secret_last4: Mapped[str] = mapped_column(String(4), default="")
    secret_changed_at: MaybeInstant = instant()
    secret_changed_by: Mapped[str] = mapped_column(String(254), default="")
    callback_override: Mapped[str] = mapped_column(String(500), default="")
    scope_override: Mapped[str] = mapped_column(Text, default="")  # sent exactly as typed
    api_version: Mapped[str] = mapped_column(String(20), default="")
    features: Mapped[list[str]] = mapped_column(JSON, default=list)
    options: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    is_on: Mapped[bool] = mapped_column(default=False)
    off_note: Mapped[str] = mapped_column(Text, default="")  # an admin's word to tenants while it is off
    off_at: MaybeInstant = instant()
    off_by: Mapped[str] = mapped_column(String(254), default="")
    is_sandbox: Mapped[bool] = mapped_column(default=False)
    generation: Mapped[int] = mapped_column(default=1)  # raised when another client id makes old grants useless
    callback_saved: Mapped[str] = mapped_column(String(500), default="")  # the callback when it was last saved
    trouble: Mapped[str] = mapped_column(Text, default="")  # a sentence: why it needs attention
    trouble_code: Mapped[str] = mapped_column(String(80), default="")
    trouble_at: MaybeInstant = instant()
    quiet_until: MaybeInstant = instant()
    # The breaker: while it is open nothing is asked in this app's name, but for one probe each time its pause ends.
    breaker_opened_at: MaybeInstant = instant()
    breaker_until: MaybeInstant = instant()
    breaker_trips: Mapped[int] = mapped_column(default=0)  # pauses in a row, each longer than the one before
    breaker_probe_until: MaybeInstant = instant()  # one probe is under way, until then at most
    breaker_scope: Mapped[str] = mapped_column(String(10), default="")  # what failed: renew, or all
    # What the platform last said about id and secret when it was asked, and about which ones.
    check_verdict: Mapped[str] = mapped_column(String(12), default="")  # valid, wrong_id, wrong_secret, unknown
    check_message: Mapped[str] = mapped_column(Text, default="")
    check_code: Mapped[str] = mapped_column(String(80), default="")
    checked_at: MaybeInstant = instant()
    checked_client_id: Mapped[str] = mapped_column(String(300), default="")
    checked_secret_version: Mapped[int] = mapped_column(default=0)
    checked_mode: Mapped[str] = mapped_column(String(20), default="")
    check_due_at: MaybeInstant = instant()  # when it is asked again by itself
    version: Mapped[int] = mapped_column(default=1)
    created_at: Instant = instant()
    updated_at: Instant = instant()

    @property
    def is_saved(self) -> bool:
        """Whether both the client id and the client secret are there."""
        return bool(self.client_id and self.secret_sealed)

    @property
    def is_check_current(self) -> bool:
        """Whether the last check was about the id, the secret and the kind of use that are stored now."""
        return self.checked_at is not None and (
            (self.checked_client_id, self.checked_secret_version, self.checked_mode)
            == (self.client_id, self.secret_version, self.mode))


class ConnectLink(Base):
    """A link that lets whoever holds the platform login connect or reconnect one profile, once, without signing in.

    Only the hash of its token is kept.
    """

    __tablename__ = "connect_link"
    id: Mapped[str] = key("cnl")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    # The account to reconnect; None: an invitation to connect a new profile through this app.
    account_id: Mapped[str | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    app_id: Mapped[str | None] = mapped_column(ForeignKey("platform_app.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    asked_by_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    asked_by: Mapped[str] = mapped_column(String(254), default="")  # the name that is shown to whoever opens it
    note: Mapped[str] = mapped_column(Text, default="")  # a word to whoever opens it
    email: Mapped[str] = mapped_column(String(254), default="")  # whom it was mailed to, if anybody
    mailed_at: MaybeInstant = instant()
    created_at: Instant = instant()
    expires_at: Instant = instant()
    opened_at: MaybeInstant = instant()  # first looked at
    used_at: MaybeInstant = instant()  # it did what it was made for
    ended_at: MaybeInstant = instant()  # taken back, or (not before `expires_at`) noted as run out
    result_ids: Mapped[list[str]] = mapped_column(JSON, default=list)  # accounts it led to
    account: Mapped["Account | None"] = relationship()
    app: Mapped["PlatformApp | None"] = relationship()
    workspace: Mapped[Workspace] = relationship()


class ConnectionAttempt(Base):
    """One walk through consent: hashed state, sealed PKCE verifier, single use, ten minutes, tied to one browser.

    Somebody signed in walks it, or somebody with a ConnectLink; then there is no user and no login.
    """

    __tablename__ = "connection_attempt"
    id: Mapped[str] = key("att")
    state_hash: Mapped[str] = mapped_column(String(64), unique=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    platform: Mapped[str] = mapped_column(String(20))
    app_id: Mapped[str] = mapped_column(ForeignKey("platform_app.id"))
    app_generation: Mapped[int]
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    login_id: Mapped[str] = mapped_column(String(32), default="")
    link_id: Mapped[str | None] = mapped_column(ForeignKey("connect_link.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[str | None] = mapped_column(String(32))  # reconnect of this one
    redirect_uri: Mapped[str] = mapped_column(String(500))
    scopes_asked: Mapped[str] = mapped_column(Text)
    scopes_wanted: Mapped[list[str]] = mapped_column(JSON, default=list)  # of "Grant just this"; []: all there are
    verifier_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    person_id: Mapped[str] = mapped_column(String(100), default="")  # who consented, once that is known
    consent_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)  # tokens and profiles until the person confirms
    state: Mapped[str] = mapped_column(String(10), default=STARTED)
    spent_at: MaybeInstant = instant()  # the callback was taken: never again
    error_code: Mapped[str] = mapped_column(String(80), default="")
    error: Mapped[str] = mapped_column(Text, default="")
    result_ids: Mapped[list[str]] = mapped_column(JSON, default=list)  # accounts it led to
    receipt: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # what was agreed when it was confirmed
    created_at: Instant = instant()
    expires_at: Instant = instant()
    app: Mapped[PlatformApp] = relationship()
    workspace: Mapped[Workspace] = relationship()


class Grant(Base):
    """What one person allowed one PlatformApp in one workspace: the tokens, sealed. Feeds one or many Accounts."""

    __tablename__ = "grant"
    id: Mapped[str] = key("grt")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    platform: Mapped[str] = mapped_column(String(20))
    app_id: Mapped[str] = mapped_column(ForeignKey("platform_app.id"))
    app_generation: Mapped[int]
    is_sandbox: Mapped[bool] = mapped_column(default=False)
    secret_version: Mapped[int] = mapped_column(default=0)  # of the app's secret that minted these tokens
    person_id: Mapped[str] = mapped_column(String(100))  # the platform's id of the consenting person
    # Where a permission covers one profile only (a channel): that profile's id; several of one person stay apart.
    profile_id: Mapped[str] = mapped_column(String(100), default="")
    person_name: Mapped[str] = mapped_column(String(200), default="")
    scopes_asked: Mapped[str] = mapped_column(Text, default="")
    scopes_granted: Mapped[list[str] | None] = mapped_column(JSON)  # None: the platform did not tell
    scopes_since: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # scope -> when it was given, ISO 8601
    access_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    refresh_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    access_expires_at: MaybeInstant = instant()  # None: does not expire
    refresh_expires_at: MaybeInstant = instant()
    version: Mapped[int] = mapped_column(default=1)  # of the token content
    fence: Mapped[int] = mapped_column(default=0)  # of the claims
    state: Mapped[str] = mapped_column(String(10), default=LIVE)
    reason: Mapped[str] = mapped_column(String(30), default="")
    due_at: MaybeInstant = instant()  # next renewal, or the end where there is none
    rung_until: MaybeInstant = instant()
    lease_until: MaybeInstant = instant()
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(Text, default="")
    error_code: Mapped[str] = mapped_column(String(80), default="")  # of the last failed renewal
    failed_at: MaybeInstant = instant()  # when that was
    granted_at: Instant = instant()
    renewed_at: MaybeInstant = instant()
    app: Mapped[PlatformApp] = relationship()
    __table_args__ = (
        UniqueConstraint("workspace_id", "app_id", "person_id", "profile_id"),
        Index("ix_grant_due_at", "due_at"),
        Index("ix_grant_app_id", "app_id", "error_code", "failed_at"),
        Index("ix_grant_lease_until", "lease_until", **_where("lease_until IS NOT NULL")),
    )


class Account(Base):
    """A profile that a workspace can publish to (page, member, handle). Hangs on a Grant."""

    __tablename__ = "account"
    id: Mapped[str] = key("acc")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    platform: Mapped[str] = mapped_column(String(20))
    platform_user_id: Mapped[str] = mapped_column(String(100))
    grant_id: Mapped[str | None] = mapped_column(ForeignKey("grant.id"), index=True)
    is_sandbox: Mapped[bool] = mapped_column(default=False)
    kind: Mapped[str] = mapped_column(String(40), default="")  # "Facebook Page", "X account", in the platform's words
    username: Mapped[str] = mapped_column(String(200), default="")
    display_name: Mapped[str] = mapped_column(String(200), default="")
    profile_url: Mapped[str] = mapped_column(String(500), default="")
    avatar: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    avatar_type: Mapped[str] = mapped_column(String(30), default="")
    meta: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    own_token_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)  # a Page's own
    own_token_version: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(15), default=ACTIVE)
    reason: Mapped[str] = mapped_column(String(30), default="")
    reason_text: Mapped[str] = mapped_column(Text, default="")
    state_since: Instant = instant()
    state_by: Mapped[str] = mapped_column(String(254), default="")
    connected_by: Mapped[str] = mapped_column(String(254), default="")
    connected_at: Instant = instant()
    last_synced_at: MaybeInstant = instant()
    sync_due_at: MaybeInstant = instant()
    rung_until: MaybeInstant = instant()
    quiet_until: MaybeInstant = instant()
    revoked_note: Mapped[str] = mapped_column(Text, default="")  # what disconnecting achieved at the platform
    # The same as facts: outcome, at (ISO 8601), proof, confirmed_by, confirmed_at.
    revocation: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    grant: Mapped[Grant | None] = relationship()
    workspace: Mapped[Workspace] = relationship()
    __table_args__ = (
        UniqueConstraint("workspace_id", "platform", "platform_user_id"),
        Index("ix_account_sync_due_at", "sync_due_at"),
        Index("ix_account_platform_state", "platform", "state"),  # counted without reading rows and their pictures
    )


# ---------------------------------------------------------------- files


class Media(Base):
    """A stored file of a workspace with its measured facts. The bytes lie in the media folder, under its id."""

    __tablename__ = "media"
    id: Mapped[str] = key("med")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(10))  # image, gif, video, document
    type: Mapped[str] = mapped_column(String(100))  # by its content, not by its name
    name: Mapped[str] = mapped_column(String(200), default="")
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float | None]
    frame_rate: Mapped[float | None]
    frames: Mapped[int] = mapped_column(default=0)
    pages: Mapped[int] = mapped_column(default=0)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # codec; `unknown`: what could not be read
    alt_text: Mapped[str] = mapped_column(Text, default="")
    created_at: Instant = instant()
    used_at: MaybeInstant = instant()  # last put into a post; files that no post needs are cleaned up
    is_kept: Mapped[bool] = mapped_column(default=False)  # in the library until somebody deletes it
    thumbnail_at: MaybeInstant = instant()  # a worker made its thumbnail, or found that there is none to make
    looks: Mapped[int] = mapped_column(default=0)  # how often a worker began to make it
    __table_args__ = (
        Index("ix_media_workspace_id_created_at", "workspace_id", "created_at"),
        Index("ix_media_workspace_id_id", "workspace_id", "id"),
        Index("ix_media_unprepared", "id", **_where("thumbnail_at IS NULL")),
    )


class Upload(Base):
    """A file that arrives in pieces and may be resumed. The bytes lie beside the others until it is whole."""

    __tablename__ = "upload"
    id: Mapped[str] = key("upl")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    size: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    is_kept: Mapped[bool] = mapped_column(default=False)  # what comes of it stays in the library
    media_id: Mapped[str | None] = mapped_column(ForeignKey("media.id", ondelete="SET NULL"))  # what came of it
    refused: Mapped[str] = mapped_column(Text, default="")  # a sentence: why nothing came of it
    looks: Mapped[int] = mapped_column(default=0)  # how often somebody began to measure it, once it was whole
    created_at: Instant = instant()
    touched_at: Instant = instant()


class MediaUse(Base):
    """A file in a post."""

    __tablename__ = "media_use"
    post_id: Mapped[str] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), primary_key=True)
    media_id: Mapped[str] = mapped_column(ForeignKey("media.id"), primary_key=True, index=True)


class MediaLink(Base):
    """An unguessable address of a file for the platform that fetches it; it dies when the delivery is settled.

    Only the hash of its token is kept. `variant` names the converted copy that is served.
    """

    __tablename__ = "media_link"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_id: Mapped[str] = mapped_column(ForeignKey("media.id", ondelete="CASCADE"))
    delivery_id: Mapped[str] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    variant: Mapped[str] = mapped_column(String(80), default="")
    type: Mapped[str] = mapped_column(String(100))
    created_at: Instant = instant()


class DeletionRequest(Base):
    """A person asked a platform to have their data here deleted; the platform passed it on. `code` is public."""

    __tablename__ = "deletion_request"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    person_hash: Mapped[str] = mapped_column(String(64))
    grants: Mapped[int] = mapped_column(default=0)
    accounts: Mapped[int] = mapped_column(default=0)
    created_at: Instant = instant()
    done_at: MaybeInstant = instant()


# ---------------------------------------------------------------- posts


class Slot(Base):
    """A weekly time at which the queue of a workspace sends one post, on the workspace's wall clock."""

    __tablename__ = "slot"
    id: Mapped[str] = key("slt")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    weekday: Mapped[int]  # 0 is Monday
    wall: Mapped[str] = mapped_column(String(5))  # 08:30
    __table_args__ = (UniqueConstraint("workspace_id", "weekday", "wall"),)


class Series(Base):
    """A post that repeats: what to write, to whom, and when again. Each time it comes up it makes one Post.

    The wall time is what counts: an occurrence is computed from it, never from the one before, so it keeps its hour
    when the clocks change. There is at most one occurrence ahead.
    """

    __tablename__ = "series"
    id: Mapped[str] = key("ser")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    author_name: Mapped[str] = mapped_column(String(254), default="")
    text: Mapped[str] = mapped_column(Text)
    content: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    # One for each account: account_id, format, options.
    targets: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    every: Mapped[str] = mapped_column(String(10))  # day, week, month
    first_wall: Mapped[str] = mapped_column(String(16))  # 2026-11-23T06:00 in `time_zone`: the first occurrence
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    last_day: Mapped[str] = mapped_column(String(10), default="")  # 2026-12-31, the last day it may come up; "": no end
    number: Mapped[int] = mapped_column(default=0)  # of the occurrence ahead: 0 is the first
    next_at: MaybeInstant = instant()  # when the occurrence ahead goes out; None: it has come to its end
    state: Mapped[str] = mapped_column(String(10), default="running")  # running, stopped, ended
    skipped: Mapped[int] = mapped_column(default=0)  # occurrences that were left out while the console was off
    note: Mapped[str] = mapped_column(Text, default="")
    created_at: Instant = instant()
    __table_args__ = (Index("ix_series_next_at", "next_at", **_where("next_at IS NOT NULL")),)


class Post(Base):
    """What the author wrote and when it should go. Its outcome is counted from its Deliveries.

    A draft, or one that waits for approval, has none yet: `targets` and `timing` say what they shall be.
    """

    __tablename__ = "post"
    id: Mapped[str] = key("pst")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    author_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    author_name: Mapped[str] = mapped_column(String(254), default="")
    text: Mapped[str] = mapped_column(Text)
    # What goes with the text: files (id, alt), poll, further parts (text, files), first_comment, link.
    content: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    state: Mapped[str] = mapped_column(String(10), default=SCHEDULED)
    due_at: MaybeInstant = instant()  # None: a draft without a time, or one that goes out when it is approved
    wall_time: Mapped[str] = mapped_column(String(16), default="")  # 2026-11-23T06:00 in `time_zone`
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    form_nonce: Mapped[str] = mapped_column(String(64), unique=True)  # a form sent twice makes one post
    series_id: Mapped[str | None] = mapped_column(ForeignKey("series.id", ondelete="SET NULL"), index=True)
    # Of a draft: one for each account (account_id, format, options), and the choice of when: now, later, queue.
    targets: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    timing: Mapped[str] = mapped_column(String(10), default="later")
    is_queued: Mapped[bool] = mapped_column(default=False)  # it holds a slot of the queue
    review_note: Mapped[str] = mapped_column(Text, default="")  # why it was sent back
    submitted_by: Mapped[str] = mapped_column(String(254), default="")
    submitted_at: MaybeInstant = instant()
    reviewed_by: Mapped[str] = mapped_column(String(254), default="")
    version: Mapped[int] = mapped_column(default=1)  # raised by every change of what is written
    updated_at: MaybeInstant = instant()
    updated_by: Mapped[str] = mapped_column(String(254), default="")
    created_at: Instant = instant()
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="post", order_by="Delivery.id")
    __table_args__ = (
        Index("ix_post_workspace_id_due_at", "workspace_id", "due_at"),
        Index("ix_post_workspace_id_id", "workspace_id", "id"),
        Index("ix_post_workspace_id_state", "workspace_id", "state", "id", **_where("state IN ('draft', 'submitted')")),
        Index("ix_post_queued", "workspace_id", "due_at", **_where("is_queued")),
    )


class Delivery(Base):
    """One Post to one Account: the unit of work, of retry and of truth."""

    __tablename__ = "delivery"
    id: Mapped[str] = key("dlv")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    post_id: Mapped[str] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"))
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    state: Mapped[str] = mapped_column(String(12), default=SCHEDULED)
    scheduled_for: Instant = instant()  # what the author asked for; the window counts from here
    due_at: MaybeInstant = instant()  # when to act next; None: nobody acts by itself
    rung_until: MaybeInstant = instant()
    lease_until: MaybeInstant = instant()
    fence: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    looks: Mapped[int] = mapped_column(default=0)  # how often we looked for it after an unknown outcome
    claimed_at: MaybeInstant = instant()  # first taken by a worker
    sent_at: MaybeInstant = instant()  # the call that cannot be taken back was about to be made
    published_at: MaybeInstant = instant()
    format: Mapped[str] = mapped_column(String(20), default="text")
    options: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # the platform's own choices
    is_heavy: Mapped[bool] = mapped_column(default=False)  # carries a video: its uploads have a queue of their own
    handle: Mapped[str] = mapped_column(Text, default="")  # what an unfinished part left behind, sealed (base64)
    parts: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)  # what is out already: id, permalink
    polls: Mapped[int] = mapped_column(default=0)  # how often we asked whether it is ready, or what became of it
    warning: Mapped[str] = mapped_column(Text, default="")  # published, but something beside the post went wrong
    deleted_at: MaybeInstant = instant()  # deleted at the platform, from here
    platform_post_id: Mapped[str] = mapped_column(String(200), default="")
    permalink: Mapped[str] = mapped_column(String(500), default="")
    confirmed_by: Mapped[str] = mapped_column(String(254), default="")  # a person said it is there
    hold: Mapped[str] = mapped_column(String(20), default="")  # account, platform, app, grant: what releases it
    error_code: Mapped[str] = mapped_column(String(80), default="")
    note: Mapped[str] = mapped_column(Text, default="")  # one sentence: what happened, what comes next
    post: Mapped[Post] = relationship(back_populates="deliveries")
    account: Mapped[Account] = relationship()
    log: Mapped[list["DeliveryEvent"]] = relationship(order_by="DeliveryEvent.id")
    __table_args__ = (
        UniqueConstraint("post_id", "account_id"),
        Index("ix_delivery_state_due_at", "state", "due_at"),
        Index("ix_delivery_workspace_id_state", "workspace_id", "state", "post_id"),  # lists, newest first, by state
        Index("ix_delivery_account_id_post_id", "account_id", "post_id"),
        # Down to the id, since many posts of one profile may be due at the same minute, and the first is asked for.
        Index("ix_delivery_is_heavy", "is_heavy", "account_id", "due_at", "id", **_where("due_at IS NOT NULL")),
        Index("ix_delivery_lease_until", "lease_until", **_where("lease_until IS NOT NULL")),
    )


class DeliveryEvent(Base):
    """One step of a Delivery: an attempt, an answer's gist, a change by a person."""

    __tablename__ = "delivery_event"
    id: Mapped[str] = key("dle")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    delivery_id: Mapped[str] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    at: Instant = instant()
    state: Mapped[str] = mapped_column(String(12))
    text: Mapped[str] = mapped_column(Text, default="")
    by: Mapped[str] = mapped_column(String(254), default="")


# ---------------------------------------------------------------- the flight recorder


class Recording(Base):
    """What one connection, renewal or try to publish did, step by step: what was built, what came back, what followed.

    Redacted by what is taken down, not afterwards: names of parameters, codes and times, no value that could be secret.
    """

    __tablename__ = "recording"
    id: Mapped[str] = key("rec")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))  # connect, renew, publish
    platform: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(32))  # of the attempt, the grant or the delivery
    at: Instant = instant()
    spent: Mapped[int] = mapped_column(default=0)  # milliseconds, from the first step to the last
    outcome: Mapped[str] = mapped_column(String(20))  # ok, or the kind of refusal
    code: Mapped[str] = mapped_column(String(80), default="")
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    __table_args__ = (
        Index("ix_recording_subject_id", "subject_id", "id"),
        # What admins look for is rare among what went well.
        Index("ix_recording_not_ok", "id", **_where("outcome <> 'ok'")),
        Index("ix_recording_connect", "id", **_where("kind = 'connect'")),
    )


# ---------------------------------------------------------------- counting


class Tally(Base):
    """How often something happened within five minutes: for the metrics, the charts of *Health*, and nothing else.

    Older rows are folded into the one whose `at` is EVER, so that sums never fall.
    """

    __tablename__ = "tally"
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)  # where the five minutes begin
    what: Mapped[str] = mapped_column(String(20), primary_key=True)  # refresh, publish, lateness, call
    platform: Mapped[str] = mapped_column(String(20), primary_key=True, default="")
    label: Mapped[str] = mapped_column(String(80), primary_key=True, default="")  # an outcome, a code, an upper bound
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[float] = mapped_column(default=0.0)  # the sum of what was measured, where something was
