"""X's consent and tokens as its developer pages describe them: PKCE with S256, Basic, rotating refresh tokens.

docs.x.com: OAuth 2.0 authorization code flow with PKCE. Reading and posting stand in `twitter_api.py`.
"""

import base64
import hashlib
import math
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from .calls import operation
from .oauth import Asked, Choice, Consent, Refused, consent_page, registered_app
from .state import App, Code, Grant, Token
from .world import world

PLATFORM = "twitter"
ACCESS_SECONDS = 7200
CODE_SECONDS = 30
REFRESH_SECONDS = 182 * 86_400

SCOPES = {
    "tweet.read": "See the posts this account can see",
    "tweet.write": "Post and delete posts as this account",
    "tweet.moderate.write": "Hide and show replies to its posts",
    "users.read": "See profiles, its own among them",
    "follows.read": "See whom it follows",
    "follows.write": "Follow and unfollow for it",
    "offline.access": "Stay connected until access is withdrawn",
    "space.read": "See its Spaces",
    "mute.read": "See whom it muted",
    "mute.write": "Mute for it",
    "like.read": "See its likes",
    "like.write": "Like for it",
    "list.read": "See its lists",
    "list.write": "Change its lists",
    "block.read": "See whom it blocked",
    "block.write": "Block for it",
    "bookmark.read": "See its bookmarks",
    "bookmark.write": "Change its bookmarks",
    "dm.read": "Read its direct messages",
    "dm.write": "Send direct messages for it",
    "media.write": "Upload pictures and videos",
}
bp = Blueprint("twitter", __name__)


def refuse(label: str, seconds: float) -> Response:
    """X's own 429 (with the reset `seconds` ahead) and server error."""
    if not seconds:
        return answer({"title": "Internal Server Error", "type": "about:blank", "status": 500, "detail": ""}, 500)
    body = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
    return with_rate(answer(body, 429), 100, 0, world().now() + seconds)


# Consent


def _read(args: Mapping[str, str]) -> Asked:
    refused = Refused("Something went wrong", "You weren’t able to give access to the App. Go back and try again.")
    try:
        app, uri = registered_app(PLATFORM, args, lambda sent, registered: sent == registered)
    except LookupError as problem:
        raise refused from problem
    if not app.settings.get("website_url", True):
        raise refused
    if re.search(rb"(?:^|&)scope=[^&]*\+", request.query_string):
        raise refused  # the guides ask for %20 between scopes, never a plus sign
    scopes = tuple(args.get("scope", "").split())
    challenge = args.get("code_challenge", "")
    sound = args.get("code_challenge_method") == "S256" and re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)
    known = scopes and set(scopes) <= SCOPES.keys()
    if args.get("response_type") != "code" or not sound or not known or not 1 <= len(args.get("state", "")) <= 500:
        raise refused
    return Asked(app, uri, args["state"], scopes, challenge)


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    code = world().new_code(asked.app, choice.person, asked.redirect_uri, list(choice.scopes), asked.challenge)
    return {"code": code.value}


CONSENT = Consent(PLATFORM, "X", _read, _allow, {"deny": {"error": "access_denied"}}, purposes=SCOPES, by_username=True)


@bp.get("/x.com/i/oauth2/authorize")
@operation(PLATFORM, "authorize", refuse)
def authorize() -> Response:
    """The consent page."""
    return consent_page(CONSENT)


@bp.post("/x.com/i/oauth2/authorize")
def decide() -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# Tokens


def _refused(status: int, error: str, words: str) -> Response:
    return answer({"error": error, "error_description": words}, status)


def _client() -> App | Response:
    """The app that proves itself by Basic, or the refusal."""
    proof = request.authorization
    if proof is None or proof.type != "basic" or not proof.username:
        return _refused(401, "unauthorized_client", "Missing valid authorization header")
    app = world().app(PLATFORM, proof.username)
    if app is None:
        return _refused(401, "invalid_client", "Value passed for the client id was invalid.")
    if not secrets.compare_digest((proof.password or "").encode(), app.client_secret.encode()):
        return _refused(401, "unauthorized_client", "Missing valid authorization header")
    if request.form.get("client_id", app.client_id) != app.client_id:
        return _refused(400, "invalid_request", "Value passed for the client id was invalid.")
    return app


def _token_operation() -> str:
    return "refresh" if request.form.get("grant_type") == "refresh_token" else "token"


@bp.post("/api.x.com/2/oauth2/token")
@operation(PLATFORM, _token_operation, refuse)
def token() -> Response:
    """Exchange of a code, renewal by a refresh token."""
    app = _client()
    if isinstance(app, Response):
        return app
    grants: dict[str, Callable[[App], Response]] = {
        "authorization_code": _exchange,
        "refresh_token": _refresh,
    }
    handle = grants.get(request.form.get("grant_type", ""))
    if handle is None:
        return _refused(400, "unsupported_grant_type", "Value passed for the grant type was invalid.")
    return handle(app)


def _exchange(app: App) -> Response:
    here = world()
    for name in ("code", "redirect_uri", "code_verifier"):
        if not request.form.get(name):
            return _refused(400, "invalid_request", f"Missing required parameter [{name}].")
    code = here.state.find(Code, request.form["code"])
    if code is None or not _fits(app, code):
        return _refused(400, "invalid_request", "Value passed for the authorization code was invalid.")
    code.used = True
    grant = here.new_grant(app, code.person_id, code.scopes)
    code.grant_id = grant.id
    here.state.keep(code)
    return _pair(app, grant)


def _fits(app: App, code: Code) -> bool:
    life = CODE_SECONDS if app.code_seconds is None else app.code_seconds
    digest = hashlib.sha256(request.form["code_verifier"].encode()).digest()
    return (
        code.client_id == app.client_id
        and not code.used
        and world().now() < code.issued_at + life
        and code.redirect_uri == request.form["redirect_uri"]
        and code.challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    )


def _pair(app: App, grant: Grant) -> Response:
    here = world()
    life = app.access_seconds or ACCESS_SECONDS
    access = here.new_token(grant, "access", _opaque("at:1"), life)
    body = {
        "token_type": "bearer",
        "expires_in": life,
        "access_token": access.value,
        "scope": " ".join(sorted(grant.scopes, reverse=True)),
    }
    if "offline.access" in grant.scopes:
        body["refresh_token"] = here.new_token(grant, "refresh", _opaque("rt:1"), REFRESH_SECONDS).value
    return answer(body)


def _refresh(app: App) -> Response:
    here = world()
    invalid_token = _refused(400, "invalid_request", "Value passed for the token was invalid.")
    old = here.state.find(Token, request.form.get("refresh_token"))
    if old is None or old.role != "refresh" or here.grant_of(old).client_id != app.client_id:
        return invalid_token
    grant = here.grant_of(old)
    if old.dead == "rotated":
        here.truth.replayed(grant, here.now())
    if old.dead == "rotated" and app.settings["replay_kills"] and not grant.dead:
        here.end_grant(grant, "replayed")
    if here.ended(old) not in ("", "suspended"):
        return invalid_token
    for each in here.tokens(grant):
        if not each.dead:
            each.dead = "rotated"
            here.state.keep(each)
    return _pair(app, grant)


@bp.post("/api.x.com/2/oauth2/revoke")
@operation(PLATFORM, "revoke", refuse)
def revoke() -> Response:
    """Takes back the pair that a token belongs to; an unknown token is no error."""
    app = _client()
    if isinstance(app, Response):
        return app
    here = world()
    if not request.form.get("token"):
        return _refused(400, "invalid_request", "Missing required parameter [token].")
    found = here.state.find(Token, request.form["token"])
    if found and here.grant_of(found).client_id == app.client_id and not here.grant_of(found).dead:
        here.end_grant(here.grant_of(found), "revoked")
    return answer({"revoked": True})


def _opaque(ending: str) -> str:
    raw = f"{secrets.token_urlsafe(40)}:{ending}".encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_rate(response: Response, limit: int, remaining: int, reset: float) -> Response:
    """The response with X's three headers of a bucket; `reset` in epoch seconds."""
    response.headers["x-rate-limit-limit"] = str(limit)
    response.headers["x-rate-limit-remaining"] = str(remaining)
    response.headers["x-rate-limit-reset"] = str(math.ceil(reset))
    return response


def answer(body: Any, status: int = 200) -> Response:
    """An answer of the API in JSON."""
    response = jsonify(body)
    response.status_code = status
    response.headers["api-version"] = "2.168"
    return response
