"""The services on a real database, with a scripted platform behind them: what they decide."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from socialconsole import config as settings
from socialconsole import create_app, database, migrating, outside, platform_apps, tokens
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    EDITOR,
    OWNER,
    SCHEDULED,
    Account,
    Delivery,
    Grant,
    Login,
    Membership,
    PlatformApp,
    Post,
    User,
    Workspace,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Consent, Profile, Published, TokenSet
from tests import postgres

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def ahead(self, **length: float) -> datetime:
        """Move it on, and return the new time."""
        self.at += timedelta(**length)
        return self.at


@dataclass
class Script:
    """What the platform answers next, and what it was asked. An exception in the script is raised."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def says(self, step: str, *answers: Any) -> None:
        """Put answers in store for a step; the last one is given again and again."""
        self.answers[step] = list(answers)

    def times(self, step: str) -> int:
        """How often a step was asked."""
        return sum(1 for name, _ in self.asked if name == step)

    def work(self, step: str, draft: Any, progress: Any) -> Any:
        """A step that is only noted where the script speaks of it; a function in it gets draft and progress."""
        left = self.answers.get(step)
        if not left:
            return None
        self.asked.append((step, draft.text))
        answer = left.pop(0) if len(left) > 1 else left[0]
        if callable(answer):
            answer = answer(draft, progress)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def take(self, step: str, what: Any, fallback: Any) -> Any:
        self.asked.append((step, what))
        left = self.answers.get(step)
        answer = fallback if not left else left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows, made once."""
    folder = tmp_path_factory.mktemp("database")
    config = settings.read(environ(folder), folder)
    migrating.upgrade(config, START)
    path = database.sqlite_path(config)
    assert path is not None
    return path


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Settings of a console in a folder of its own; `more` comes on top."""
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY")}
    return {"INSTANCE_PATH": str(folder), "API_PUBLIC_URL": "http://127.0.0.1:8000", **keys, **more}


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The clock of the console."""
    still = Clock()
    outside.use_clock(still)
    yield still
    outside.use_clock(None)


@pytest.fixture(params=["sqlite", "postgresql"])
def own_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The DATABASE_URL of a migrated database without rows: each test runs once on each kind."""
    if request.param == "postgresql":
        server: postgres.Server = request.getfixturevalue("postgresql")
        return server.emptied("services")
    copy = tmp_path / "console.db"
    copy.write_bytes(request.getfixturevalue("empty_database").read_bytes())
    return f"sqlite:///{copy}"


@pytest.fixture
def ground(own_database: str, tmp_path: Path, clock: Clock) -> Iterator[Flask]:
    """A console on a database of its own, its context pushed."""
    config = settings.read(environ(tmp_path, DATABASE_URL=own_database), tmp_path)
    assert not config.problems, config.problems
    made = create_app(config)
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()


@dataclass
class World:
    """Rows that most tests need."""

    workspace: Workspace
    other: Workspace
    alice: User
    bob: User
    login: Login
    app: PlatformApp


@pytest.fixture
def world(ground: Flask, clock: Clock) -> World:
    """A workspace of Alice and Bob, another one, and X turned on."""
    with writing() as session:
        one = Workspace(id="wsp_1", name="Harbour Bakery", time_zone="Europe/Stockholm", created_at=clock())
        two = Workspace(id="wsp_2", name="Linden Cycles", time_zone="UTC", created_at=clock())
        alice = User(id="usr_a", email="alice@example.com", password_hash="-", created_at=clock())
        bob = User(id="usr_b", email="bob@example.com", password_hash="-", created_at=clock())
        session.add_all([one, two, alice, bob])
        session.flush()
        session.add_all([Membership(workspace_id="wsp_1", user_id="usr_a", role=OWNER),
                         Membership(workspace_id="wsp_1", user_id="usr_b", role=EDITOR)])
        login = Login(id="log_a", user_id="usr_a", token_hash="-", created_at=clock(), seen_at=clock(),
                      expires_at=clock() + timedelta(days=60))
        app = PlatformApp(id="app_x", platform="twitter", segment="twitter", client_id="client", is_on=True,
                          created_at=clock(), updated_at=clock())
        session.add_all([login, app])
        app.secret_version = 1
        app.secret_sealed = platform_apps.vault().seal("s3cret-of-the-app", *platform_apps.secret_record(app))
    return World(one, two, alice, bob, login, app)


PROFILE = Profile("42", "acme", "Acme Bakery", kind="X account")
SCOPES = frozenset({"tweet.read", "tweet.write", "users.read", "offline.access", "media.write"})


def pair(number: int, expires_in: int | None = 7200) -> TokenSet:
    """The n-th pair of rotating tokens."""
    return TokenSet(f"access-{number}", f"refresh-{number}", expires_in, None, SCOPES)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Script:
    """X, scripted."""
    script, x = Script(), PROVIDERS["twitter"]
    consent = Consent(pair(1), "42", "Acme Bakery", SCOPES, (PROFILE,))
    numbers = iter(range(2, 1000))
    monkeypatch.setattr(x, "consent", lambda app, code, verifier: script.take(
        "consent", (app, code, verifier), consent))
    monkeypatch.setattr(x, "renew", lambda app, held: script.take("renew", held.refresh_token, pair(next(numbers))))
    monkeypatch.setattr(x, "revoke", lambda app, held, person: script.take("revoke", held.access_token, None))
    monkeypatch.setattr(x, "profile", lambda app, token, who: script.take("profile", token, PROFILE))
    monkeypatch.setattr(x, "prepares", lambda draft: bool(script.answers.get("prepare") or script.answers.get("check")))
    monkeypatch.setattr(x, "prepare", lambda app, token, draft, progress: script.work("prepare", draft, progress))
    monkeypatch.setattr(x, "check", lambda app, token, draft, progress: script.work("check", draft, progress))
    monkeypatch.setattr(x, "publish", lambda app, token, draft, progress: script.take(
        "publish", (token, draft.text), Published("900", "https://x.com/acme/status/900")))
    monkeypatch.setattr(x, "follow", lambda app, token, draft, progress, sent: script.take("follow", sent.id, sent))
    monkeypatch.setattr(x, "locate", lambda app, token, draft, progress, at: script.take("locate", draft.text, None))
    monkeypatch.setattr(x, "delete", lambda app, token, post_id, draft: script.take("delete", post_id, None))
    return script


@pytest.fixture
def account(world: World, platform: Script, clock: Clock) -> Account:
    """@acme, connected."""
    with writing() as session:
        grant = Grant(id="grt_1", workspace_id="wsp_1", platform="twitter", app_id="app_x", app_generation=1, fence=0,
                      version=0, person_id="42", scopes_asked=" ".join(sorted(SCOPES)), scopes_granted=sorted(SCOPES),
                      granted_at=clock())
        tokens.store(grant, pair(1), clock())
        session.add(grant)
        made = Account(id="acc_1", workspace_id="wsp_1", platform="twitter", platform_user_id="42", grant=grant,
                       username="acme", display_name="Acme Bakery", state=ACTIVE, state_since=clock(),
                       connected_at=clock())
        session.add(made)
    return made


@pytest.fixture
def post(account: Account, clock: Clock) -> Callable[..., Delivery]:
    """Makes posts to @acme: `post("Hello", minutes=5)` is due in five minutes."""

    def make(text: str = "Hello", **ahead: float) -> Delivery:
        due = clock() + timedelta(**ahead)
        with writing() as session:
            made = Post(workspace_id="wsp_1", text=text, due_at=due, form_nonce=f"n{clock()}{text}", created_at=clock())
            delivery = Delivery(workspace_id="wsp_1", post=made, account_id="acc_1", state=SCHEDULED, scheduled_for=due,
                                due_at=due)
            session.add_all([made, delivery])
        return delivery

    return make
