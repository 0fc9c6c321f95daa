"""One sandbox and all it consists of: its address, clock, memory, faults and the log of calls.

Views reach it by `world()`; nothing here knows a platform.
"""

import secrets
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from flask import current_app, g, has_request_context

from .faults import FaultDesk
from .people import Person, person
from .plays import PLAYS
from .state import App, Code, Grant, Post, Settings, State, Token, fresh_id
from .truth import Truth

CALLS_KEPT = 1000


@dataclass(frozen=True)
class CallRecord:
    """One call that a platform was asked: never its query, body or token."""

    at: float
    platform: str
    operation: str
    method: str
    host: str
    path: str
    status: int


class World:
    """What the views of one sandbox share."""

    def __init__(self, base_url: str, state_file: Path | None, now: Callable[[], float]) -> None:
        self.base_url = base_url.rstrip("/")
        self.now = now
        self.state = State(state_file, now())
        self.faults = FaultDesk(self.state, now)
        self.truth = Truth()
        self.calls: deque[CallRecord] = deque(maxlen=CALLS_KEPT)
        self._uploads = state_file.with_name(f"{state_file.name}.uploads") if state_file else None
        self._uploads_end: Callable[[], object] = lambda: None
        self._know_new_settings()

    def _know_new_settings(self) -> None:
        """Apps that were made before a setting existed get its usual value."""
        for app in self.state.all(App):
            if app.platform in PLAYS:
                app.settings = PLAYS[app.platform].settings(app.mode) | app.settings

    @property
    def uploads(self) -> Path:
        """The folder of the received media."""
        if self._uploads is None:
            self._uploads = Path(tempfile.mkdtemp(prefix="sandbox-uploads-"))
            self._uploads_end = weakref.finalize(self, shutil.rmtree, self._uploads, ignore_errors=True)
        self._uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._uploads

    @property
    def settings(self) -> Settings:
        """What is set for the whole sandbox; change it inside `state.writing()` and keep it."""
        return self.state.find(Settings, "settings") or Settings()

    @property
    def processing_polls(self) -> int:
        """How often media answers that it is still being processed."""
        return self.settings.processing_polls

    @property
    def quotas(self) -> dict[str, int]:
        """The limit that was set for a platform; one that is not here has the platform's own."""
        return self.settings.quotas

    def address(self, host: str, path: str) -> str:
        """Where a page of a real host is found in this sandbox."""
        return f"{self.base_url}/{host}/{path.lstrip('/')}"

    def app(self, platform: str, client_id: str | None) -> App | None:
        """The platform's app of that client id, or None."""
        found = self.state.find(App, client_id)
        return found if found and found.platform == platform else None

    def grant_of(self, token: Token) -> Grant:
        """The grant that a stored token belongs to."""
        return cast(Grant, self.state.find(Grant, token.grant_id))

    def person_of(self, grant: Grant) -> Person:
        """The built-in person who gave a grant."""
        return cast(Person, person(grant.platform, grant.person_id))

    def new_code(self, app: App, who: Person, redirect_uri: str, scopes: list[str], challenge: str = "") -> Code:
        """A fresh authorization code, kept."""
        code = Code(
            value=_code_value(app.platform),
            client_id=app.client_id,
            person_id=who.id,
            redirect_uri=redirect_uri,
            scopes=scopes,
            issued_at=self.now(),
            challenge=challenge,
        )
        self.state.keep(code)
        return code

    def new_grant(self, app: App, person_id: str, scopes: list[str]) -> Grant:
        """A fresh grant, kept."""
        grant = Grant(fresh_id(), app.platform, app.client_id, person_id, sorted(scopes), self.now())
        self.state.keep(grant)
        return grant

    def new_token(
        self,
        grant: Grant,
        role: str,
        value: str,
        seconds: float | None,
        *,
        parent: str = "",
        page_id: str = "",
    ) -> Token:
        """A fresh token of a grant, kept; `seconds` None means that it never runs out."""
        now = self.now()
        until = None if seconds is None else now + seconds
        token = Token(value, role, grant.id, now, until, page_id=page_id, parent=parent)
        self.state.keep(token)
        if has_request_context():
            g.grant_served = grant
        return token

    def grants(self, platform: str, person_id: str, client_id: str | None = None) -> list[Grant]:
        """The standing grants of a person, of one app or of all."""
        return [
            grant
            for grant in self.state.of(Grant, person_id)
            if (grant.platform, grant.person_id, grant.dead) == (platform, person_id, "")
            and client_id in (None, grant.client_id)
        ]

    def tokens(self, grant: Grant, role: str | None = None) -> list[Token]:
        """The tokens of a grant, of one role or of all."""
        return [t for t in self.state.of(Token, grant.id) if role in (None, t.role)]

    def end_grant(self, grant: Grant, why: str) -> None:
        """The grant is over: none of its tokens opens anything any more."""
        grant.dead = why
        self.state.keep(grant)

    def ended(self, token: Token) -> str:
        """Why a token opens nothing: `revoked`, `password`, `suspended`, `expired`…; empty while it does."""
        grant = self.grant_of(token)
        if grant.dead or token.dead:
            return grant.dead or token.dead
        if self.state.standing(grant.platform, grant.person_id).suspended:
            return "suspended"
        if token.expires_at is not None and token.expires_at <= self.now():
            return "expired"
        parent = self.state.find(Token, token.parent)
        return self.ended(parent) if parent and not parent.long else ""

    def posts(self, platform: str | None = None) -> list[Post]:
        """The posts that can be seen, newest first."""
        return [
            post for post in reversed(self.state.all(Post)) if not post.deleted and platform in (None, post.platform)
        ]

    def posts_of(self, platform: str, author_id: str) -> list[Post]:
        """The posts of one author that can be seen, newest first."""
        mine = reversed(self.state.of(Post, author_id))
        return [post for post in mine if not post.deleted and post.platform == platform]

    def next_number(self, platform: str, start: int) -> int:
        """A post number that was not given out before; deleted posts keep theirs."""
        return start + 1 + sum(post.platform == platform for post in self.state.all(Post))


def _code_value(platform: str) -> str:
    return secrets.token_urlsafe(PLAYS[platform].code_bytes)


def world() -> World:
    """The sandbox that answers the present request."""
    return cast(World, current_app.extensions["sandbox"])


def iso(instant: float) -> str:
    """An instant as platforms write it: 2026-11-20T09:30:00.000Z."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
