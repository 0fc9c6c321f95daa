"""A workspace with rows in every state, for the tests of its pages: a builder, and who looks at them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from socialconsole import connections, platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    GRANTED,
    Account,
    ConnectionAttempt,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Post,
    new_id,
)
from socialconsole.providers.base import Consent, Profile, TokenSet
from tests.cast import Cast, Clock

SCOPES = {
    "twitter": ("tweet.read", "tweet.write", "users.read", "offline.access"),
    "facebook": ("public_profile", "pages_show_list", "pages_read_engagement", "pages_manage_posts"),
    "linkedin": ("openid", "profile", "w_member_social"),
}
HTMX = {"HX-Request": "true"}
ACME = Profile("42", "acme", "Acme Bakery", kind="X account")


@dataclass
class House:
    """A console with Alice signed in, and ways to put rows into it."""

    app: Flask
    client: FlaskClient
    cast: Cast
    clock: Clock

    @property
    def base(self) -> str:
        """The address of the bakery's workspace."""
        return f"/w/{self.cast.bakery.id}"

    def get(self, path: str, **options: Any) -> Any:
        """A page of the workspace."""
        return self.client.get(self.base + path, **options)

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send a form of the workspace, with the token that its pages carry."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/posts").text)
        assert found is not None
        return self.client.post(self.base + path, data={**(data or {}), "csrf_token": found[1]}, **options)

    def platform(self, slug: str, **columns: Any) -> str:
        """Turn a platform on."""
        with self.app.app_context(), writing() as session:
            made = PlatformApp(id=f"app_{slug}", platform=slug, segment=slug, client_id=f"client-of-{slug}", is_on=True,
                               created_at=self.clock(), updated_at=self.clock(), secret_version=1)
            made.secret_sealed = platform_apps.vault().seal("s3cret", *platform_apps.secret_record(made))
            for name, value in columns.items():
                setattr(made, name, value)
            session.add(made)
            return made.id

    def _need(self, slug: str) -> None:
        with self.app.app_context():
            there = db.session.get(PlatformApp, f"app_{slug}") is not None
        if not there:
            self.platform(slug)

    def account(self, slug: str = "twitter", name: str = "Acme Bakery", user: str = "acme", *,
                workspace: str | None = None, scopes: tuple[str, ...] | None = None, ends: timedelta | None = None,
                refresh: bool = True, **columns: Any) -> str:
        """A connected profile; columns of the account come on top."""
        now, where = self.clock(), workspace or self.cast.bakery.id
        self._need(slug)
        with self.app.app_context(), writing() as session:
            grant = Grant(workspace_id=where, platform=slug, app_id=f"app_{slug}", app_generation=1,
                          person_id=new_id("p"), person_name="Mara Lindqvist", scopes_asked=" ".join(SCOPES[slug]),
                          scopes_granted=list(SCOPES[slug] if scopes is None else scopes), granted_at=now,
                          access_expires_at=now + (ends or timedelta(hours=2)), due_at=now + timedelta(minutes=80),
                          access_sealed=b"x", refresh_sealed=b"x" if refresh else None)
            made = Account(**{"workspace_id": where, "platform": slug, "platform_user_id": new_id("u"), "grant": grant,
                              "username": user, "display_name": name, "kind": "Profile", "state": ACTIVE,
                              "state_since": now, "connected_at": now, "connected_by": "Alice",
                              "last_synced_at": now, **columns})
            session.add(made)
            session.flush()
            return made.id

    def delivery(self, state: str, account_id: str | None = None, *, text: str = "Saffron buns are back",
                 workspace: str | None = None, ahead: timedelta = timedelta(0), post_id: str | None = None,
                 **columns: Any) -> tuple[str, str]:
        """A post with one delivery in this state; returns the ids of both."""
        account_id = account_id or self.account()
        due, where = self.clock() + ahead, workspace or self.cast.bakery.id
        with self.app.app_context(), writing() as session:
            post = session.get(Post, post_id) if post_id else Post(
                workspace_id=where, author_id=self.cast.alice.id, author_name="Alice", text=text, due_at=due,
                form_nonce=new_id("n"), created_at=self.clock())
            assert post is not None
            made = Delivery(**{"workspace_id": where, "post": post, "account_id": account_id, "state": state,
                               "scheduled_for": due, **columns})
            session.add_all((post, made))
            session.flush()
            session.add(DeliveryEvent(workspace_id=where, delivery_id=made.id, at=self.clock(), state=state,
                                      text=columns.get("note", ""), by="Alice"))
            return post.id, made.id

    def attempt(self, state: str, *, profiles: tuple[Profile, ...] = (ACME,), slug: str = "twitter",
                scopes: tuple[str, ...] | None = None, user_id: str | None = None, **columns: Any) -> str:
        """A walk through consent; a granted one has its consent waiting."""
        self._need(slug)
        with self.app.app_context(), writing() as session:
            made = ConnectionAttempt(
                id=new_id("att"), state_hash=new_id("s"), browser_hash="-", platform=slug, app_id=f"app_{slug}",
                app_generation=1, workspace_id=self.cast.bakery.id, user_id=user_id or self.cast.alice.id, login_id="-",
                redirect_uri="-", scopes_asked=" ".join(SCOPES[slug]), state=state, created_at=self.clock(),
                expires_at=self.clock() + timedelta(minutes=30))
            for name, value in columns.items():
                setattr(made, name, value)
            if state == GRANTED:
                given = frozenset(SCOPES[slug] if scopes is None else scopes)
                consent = Consent(TokenSet("access-1", "refresh-1", 7200), "9", "Mara Lindqvist", given, profiles)
                made.consent_sealed = connections._vault().seal(
                    connections._dump(consent), *connections._where(made, "consent"))
            session.add(made)
            return made.id

    def row(self, kind: type[Any], row_id: str) -> Any:
        """A row as the database has it now."""
        with self.app.app_context():
            return db.session.get_one(kind, row_id)

    def newest(self) -> tuple[str, str]:
        """The ids of the newest post and its delivery."""
        with self.app.app_context():
            found = db.session.query(Delivery).order_by(Delivery.id.desc()).limit(1).one()
            return found.post_id, found.id

    def count(self, kind: type[Any]) -> int:
        """How many rows of a table there are."""
        with self.app.app_context():
            return db.session.query(kind).count()


Signer = Callable[[FlaskClient, Any], FlaskClient]


def as_person(house: House, sign_in: Signer, person: Any) -> House:
    """The same console with somebody else in front of it."""
    return House(house.app, sign_in(house.app.test_client(), person), house.cast, house.clock)


def words(page: Any) -> str:
    """The words of a page, without its tags and the spaces around them."""
    text = re.sub(r"<[^>]+>", " ", page.text if hasattr(page, "text") else page)
    for entity, letter in (("&#39;", "'"), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, letter)
    return re.sub(r" +([.,:])", r"\1", " ".join(text.split()))


