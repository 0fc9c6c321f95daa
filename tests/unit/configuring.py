"""What the tests of Configure share: an admin, a saved app, and an account that hangs on it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from socialconsole import configure, outside, platform_apps
from socialconsole.configure import Invalid
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    LIVE,
    SCHEDULED,
    Account,
    AuditEvent,
    Delivery,
    Grant,
    PlatformApp,
    Post,
    User,
    Workspace,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LINKEDIN_ID, LINKEDIN_SECRET = "78k2h0qv9xw1me", "WPL_AP1.AbCdEfGh12347f3a"
OTHER_ID, OTHER_SECRET = "86zz1mmqpl04ab", "WPL_AP1.ZyXwVuTs98765e21"


@pytest.fixture(autouse=True)
def in_the_app(app):
    """Every test speaks to the services from inside the app, at a fixed time."""
    outside.use_clock(lambda: NOW)
    with app.app_context():
        yield
    outside.use_clock(None)


@pytest.fixture
def admin() -> User:
    """Mara, who configures."""
    with writing() as session:
        user = User(email="mara@example.com", name="Mara", password_hash="-", is_platform_admin=True, created_at=NOW)
        session.add(user)
    return user


def save(admin: User, platform: str = "linkedin", *, confirm: bool = False, complete: bool = False,
         **values: Any) -> configure.Saved:
    """Save as the dialog does: everything that is stored, and on top of it what is typed here."""
    app = platform_apps.app_of(platform)
    base: dict[str, Any] = {"mode": "member", "version": 0} if platform == "linkedin" else {"version": 0}
    if app is not None:
        base = {"mode": app.mode, "client_id": app.client_id, "features": app.features, "version": app.version,
                "callback_override": app.callback_override, "scope_override": app.scope_override,
                "api_version": app.api_version, **{f"option_{name}": value for name, value in app.options.items()}}
    return configure.save(platform, {**base, **values}, admin, NOW, confirm=confirm, complete=complete)


def saved(admin: User, **values: Any) -> PlatformApp:
    """LinkedIn, saved with a good pair."""
    return save(admin, **{"client_id": LINKEDIN_ID, "client_secret": LINKEDIN_SECRET, **values}).app


def refusal(admin: User, platform: str = "linkedin", **values: Any) -> dict[str, str]:
    """What is said at which field when saving is refused."""
    with pytest.raises(Invalid) as caught:
        save(admin, platform, **values)
    return caught.value.errors


def events() -> list[AuditEvent]:
    """The whole history, oldest first."""
    return list(db.session.scalars(select(AuditEvent).order_by(text("rowid"))))


def connected(app: PlatformApp, *, state: str = ACTIVE, number: int = 1) -> Account:
    """An account that works through this app, with a post to come."""
    with writing() as session:
        workspace = session.scalar(select(Workspace)) or Workspace(name="Harbour Bakery", created_at=NOW)
        session.add(workspace)
        session.flush()
        grant = Grant(workspace_id=workspace.id, platform=app.platform, app_id=app.id, app_generation=app.generation,
                      person_id=f"p{number}", access_sealed=b"access", refresh_sealed=b"refresh", due_at=NOW,
                      granted_at=NOW, state=LIVE)
        session.add(grant)
        session.flush()
        account = Account(workspace_id=workspace.id, platform=app.platform, platform_user_id=f"u{number}",
                          grant_id=grant.id, own_token_sealed=b"own", state=state, state_since=NOW, connected_at=NOW,
                          display_name=f"Profile {number}")
        post = Post(workspace_id=workspace.id, text="Bread", due_at=NOW, created_at=NOW, form_nonce=f"n{number}")
        session.add_all([account, post])
        session.flush()
        session.add(Delivery(workspace_id=workspace.id, post_id=post.id, account_id=account.id, state=SCHEDULED,
                             scheduled_for=NOW + timedelta(hours=1), due_at=NOW + timedelta(hours=1)))
    return account


def deliveries_of(account: Account) -> list[str]:
    """The states of what is scheduled for an account."""
    return list(db.session.scalars(select(Delivery.state).where(Delivery.account_id == account.id)))
