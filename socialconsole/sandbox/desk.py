"""What the portal's pages and its JSON twin both do: make and change apps, act on people, describe records.

Mistakes raise `Mistake` with a sentence; the edges show it, each in its own form.
"""

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any

from . import people
from .oauth import redirect_problem
from .state import PLATFORMS, App, Fault, Post, Standing
from .world import World, iso

MODES = {"twitter": ("",), "facebook": ("", "business"), "linkedin": ("member", "organization")}
ACTIONS = {
    "expire": "Access tokens run out now",
    "revoke": "Access is withdrawn",
    "suspend": "The account is locked",
    "lift": "The lock is lifted",
    "password": "The password is changed",
}
LONGEST_LIFE = 10 * 365 * 86_400
MOST_URIS = 10


class Mistake(Exception):
    """What was asked cannot be done; the text says why and what to do."""

    def __init__(self, words: str, status: int = 422) -> None:
        super().__init__(words)
        self.status = status


def make_app(world: World, wish: Mapping[str, Any]) -> App:
    """A new app at a platform, kept. Raises Mistake."""
    platform = str(wish.get("platform", ""))
    if platform not in PLATFORMS:
        raise Mistake(f"There is no platform {platform!r} here. Choose one of {', '.join(PLATFORMS)}.")
    client_id, secret = _credentials(platform)
    mode = str(wish.get("mode") or MODES[platform][0])
    if mode not in MODES[platform]:
        # A mode is optional and named by whoever asks; what this platform does not know means its usual sort of app.
        mode = MODES[platform][0]
    app = App(
        platform=platform,
        client_id=client_id,
        client_secret=secret,
        name=str(wish.get("name") or "Console").strip()[:60],
        mode=mode,
        config_id=_digits(15) if mode == "business" else "",
        created_at=world.now(),
    )
    given = {name: value for name, value in wish.items() if name not in ("platform", "name", "mode")}
    change_app(world, app, given)
    return app


def change_app(world: World, app: App, changes: Mapping[str, Any]) -> None:
    """Change what may be changed of an app, all of it or nothing, and keep it. Raises Mistake."""
    known = {*_SWITCHES, *_NUMBERS, "redirect_uris"}
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise Mistake(f"An app has no setting {unknown[0]!r}. Known are {', '.join(sorted(known))}.", 400)
    values: dict[str, Any] = {name: _switch(name, changes[name]) for name in _SWITCHES if name in changes}
    values |= {name: _number(name, changes[name]) for name in _NUMBERS if name in changes}
    if "redirect_uris" in changes:
        http = bool(values.get("accept_http_loopback", app.accept_http_loopback))
        values["redirect_uris"] = _uris(app.platform, changes["redirect_uris"], http)
    with world.state.writing():
        for name, value in values.items():
            setattr(app, name, value)
        world.state.keep(app)


_SWITCHES = ("accept_http_loopback", "refresh_tokens", "replay_kills", "first_profile_401")
_NUMBERS = ("access_seconds", "code_seconds", "posts_per_window")


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Mistake(f"{name} is either true or false.", 400)
    return value


def _number(name: str, value: Any) -> int | None:
    if value is None and name != "posts_per_window":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LONGEST_LIFE:
        raise Mistake(f"{name} is a whole number, 1 or more; leave it out for the platform's own.", 400)
    return value


def _uris(platform: str, value: Any, accept_http_loopback: bool) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(uri, str) for uri in value):
        raise Mistake("redirect_uris is a list of addresses.", 400)
    if len(value) > MOST_URIS:
        raise Mistake(f"An app holds at most {MOST_URIS} redirect addresses.")
    for uri in value:
        problem = redirect_problem(platform, uri, accept_http_loopback)
        if problem:
            raise Mistake(f"{uri[:200]}: {problem}")
    return list(dict.fromkeys(value))


def rotate_secret(world: World, app: App) -> str:
    """A new secret for the app; the old one opens nothing from now on."""
    with world.state.writing():
        app.client_secret = _credentials(app.platform)[1]
        world.state.keep(app)
    return app.client_secret


def act(world: World, platform: str, person_id: str, action: str, client_id: str | None = None) -> int:
    """Do something to a person's grants; returns how many it touched. Raises Mistake."""
    who = people.person(platform, person_id) or _member(world, platform, person_id)
    if who is None or action not in ACTIONS:
        raise Mistake(f"There is no {action!r} for {person_id!r} at {platform!r}.", 404)
    if action == "password" and platform != "facebook":
        raise Mistake("Only Facebook ends connections when a password is changed.")
    with world.state.writing():
        if action in ("suspend", "lift"):
            world.state.keep(Standing(platform, who.id, action == "suspend"))
        grants = world.grants(platform, who.id, client_id)
        for grant in grants:
            if action in ("revoke", "password"):
                world.end_grant(grant, {"revoke": "revoked"}.get(action, action))
            if action == "expire":
                for token in world.tokens(grant, "access"):
                    token.expires_at = min(token.expires_at or world.now(), world.now())
                    world.state.keep(token)
    return len(grants)


def _member(world: World, platform: str, member_id: str) -> people.Person | None:
    if platform != "linkedin":
        return None
    apps = [app.client_id for app in world.state.all(App) if app.platform == platform]
    members = ((who, client_id) for who in people.at(platform) for client_id in apps)
    return next((who for who, client_id in members if people.member_id(who.id, client_id) == member_id), None)


# Records as the JSON control tells them


def app_facts(app: App) -> dict[str, Any]:
    """All that is to know about an app."""
    facts = dict(vars(app)) | {"created_at": iso(app.created_at)}
    if app.platform != "facebook":
        del facts["config_id"]
    return facts


def person_facts(world: World, who: people.Person) -> dict[str, Any]:
    """A person, their Pages, and the grants that stand."""
    facts: dict[str, Any] = {
        "platform": who.platform,
        "id": who.id,
        "name": who.name,
        "username": who.username,
        "suspended": world.state.standing(who.platform, who.id).suspended,
        "grants": [
            {"client_id": grant.client_id, "scopes": grant.scopes, "pages": grant.pages}
            for grant in world.grants(who.platform, who.id)
        ],
    }
    if who.platform == "facebook":
        facts["pages"] = [{"id": page.id, "name": page.name, "tasks": list(page.tasks)} for page in who.pages]
    if who.platform == "linkedin":
        apps = [app.client_id for app in world.state.all(App) if app.platform == who.platform]
        facts["ids"] = {client_id: people.member_id(who.id, client_id) for client_id in apps}
    return facts


def fault_facts(world: World, fault: Fault) -> dict[str, Any]:
    """A fault, how often it is still to come and how many answers it holds now."""
    return {
        "id": fault.id,
        "platform": fault.platform,
        "operation": fault.operation,
        "kind": fault.sort,
        "seconds": fault.seconds,
        "after": fault.after,
        "left": fault.left,
        "waiting": world.faults.waiting(fault),
    }


def post_facts(post: Post) -> dict[str, Any]:
    """A post as readers see it."""
    return {
        "id": post.id,
        "platform": post.platform,
        "author_id": post.author_id,
        "author_name": post.author_name,
        "text": post.text,
        "link": post.link,
        "created_at": iso(post.created_at),
        "permalink": post.permalink,
    }


# Credentials that look like the real ones, so that checks of their shape can be tried


def _credentials(platform: str) -> tuple[str, str]:
    if platform == "twitter":
        return _packed(f"{secrets.token_urlsafe(15)}:1:ci"), _letters(50)
    if platform == "facebook":
        return _digits(16), secrets.token_hex(16)
    return _letters(14).lower(), f"WPL_AP1.{_letters(16)}"


def _packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _letters(count: int) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", secrets.token_urlsafe(4 * count))[:count]


def _digits(count: int) -> str:
    return str(1 + secrets.randbelow(9)) + "".join(str(secrets.randbelow(10)) for _ in range(count - 1))
