"""Google's consent and tokens for YouTube: tick boxes, offline access, a Testing status that ends after seven days.

developers.google.com/identity/protocols/oauth2/web-server. The API stands in `youtube_api.py`.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from . import identity
from .calls import operation
from .oauth import Asked, Choice, Consent, Refused, consent_page, registered_app
from .people import Person
from .state import App, Code, Grant, Token
from .world import world

PLATFORM = "youtube"
ACCESS_SECONDS = 3599
CODE_SECONDS = 600
TESTING_SECONDS = 7 * 86_400
PREFIX = "https://www.googleapis.com/auth/"
SCOPES = {
    f"{PREFIX}youtube.upload": "Manage your YouTube videos",
    f"{PREFIX}youtube.readonly": "View your YouTube account",
    f"{PREFIX}youtube.force-ssl": "See, edit, and permanently delete your YouTube videos, comments and captions",
    f"{PREFIX}youtube": "Manage your YouTube account",
    f"{PREFIX}yt-analytics.readonly": "View YouTube Analytics reports for your YouTube content",
    "openid": "Associate you with your personal info on Google",
}
# What the consent page takes; Google passes over what it does not know, but a sandbox that did would hide slips.
AUTHORIZE_PARAMETERS = {
    *("client_id", "redirect_uri", "response_type", "scope", "access_type", "prompt", "state"),
    *("code_challenge", "code_challenge_method", "include_granted_scopes", "login_hint", "enable_granular_consent"),
}
OFFLINE = "#offline"  # beside the scopes of a code: a refresh token is due

bp = Blueprint("youtube", __name__)


def refuse(label: str, seconds: float) -> Response:
    """Google's 429 for a short burst and its server error."""
    if not seconds:
        return answer(envelope(500, "backendError", "Backend Error", "global", "INTERNAL"), 500)
    words = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'."
    response = answer(envelope(429, "rateLimitExceeded", words, "global", "RESOURCE_EXHAUSTED"), 429)
    response.headers["Retry-After"] = str(max(1, round(seconds)))
    return response


def envelope(code: int, reason: str, words: str, domain: str, status: str = "", **more: Any) -> dict[str, Any]:
    """Google's error envelope."""
    one = {"message": words, "domain": domain, "reason": reason}
    named = {"status": status} if status else {}
    return {"error": {"code": code, "message": words, "errors": [one], **named, **more}}


def answer(body: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    response = jsonify(body)
    response.status_code = status
    return response


def subject(who: Person) -> str:
    """Google's id of the account behind a channel; one account may have several channels, a brand has its own."""
    return str(who.facts.get("sub") or who.id)


# Consent


def _read(args: Mapping[str, str]) -> Asked:
    try:
        app, uri = registered_app(PLATFORM, args, lambda sent, registered: sent == registered)
    except LookupError as problem:
        if problem.args[0] == "client_id":
            raise Refused("Access blocked: Authorization Error", "The OAuth client was not found. Error 401: "
                          "invalid_client", code="invalid_client", status=401) from problem
        raise Refused("Access blocked: This app’s request is invalid", "Error 400: redirect_uri_mismatch",
                      code="redirect_uri_mismatch") from problem
    scopes = tuple(args.get("scope", "").split())
    challenge, method = args.get("code_challenge", ""), args.get("code_challenge_method", "")
    prompts = args.get("prompt", "").split()
    sound = (
        args.get("response_type") == "code"
        and not set(args) - AUTHORIZE_PARAMETERS
        and scopes
        and args.get("access_type", "online") in ("online", "offline")
        and args.get("include_granted_scopes", "false") in ("true", "false")
        and set(prompts) <= {"consent", "select_account"}
        and bool(challenge) == bool(method)
        and (not challenge or (method == "S256" and re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)))
    )
    if not sound:
        raise Refused("Access blocked: Authorization Error", "Error 400: invalid_request", code="invalid_request")
    if not set(scopes) <= SCOPES.keys():
        raise Refused("Access blocked: Authorization Error", "Some requested scopes were invalid. Error 400: "
                      "invalid_scope", code="invalid_scope")
    return Asked(app, uri, args.get("state"), scopes, challenge, all_or_nothing=False)


def _check_audience(app: App, person: Person) -> None:
    """Refuse whom the audience of the app does not hold (support.google.com/cloud/answer/15549945). Raises Refused."""
    if app.settings.get("internal"):
        raise Refused("Access blocked", "The app can only be used within its organization. Error 403: org_internal",
                      code="org_internal", status=403)
    if app.settings["testing"] and not person.facts.get("test_user", True):
        raise Refused("Access blocked", "The app has not completed the Google verification process. It is being "
                      "tested, and can only be accessed by developer-approved testers. Error 403: access_denied",
                      code="access_denied", status=403)


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    here = world()
    _check_audience(asked.app, choice.person)
    scopes = [scope for scope in asked.scopes if scope in choice.scopes or scope == "openid"]
    earlier = here.grants(PLATFORM, choice.person.id, asked.app.client_id)
    first = not earlier
    if request.args.get("include_granted_scopes") == "true":  # the new token speaks for what was given before too
        scopes += sorted({scope for grant in earlier for scope in grant.scopes} - set(scopes))
    offline = request.args.get("access_type") == "offline"
    again = "consent" in request.args.get("prompt", "").split()
    code = Code(
        value="4/0A" + secrets.token_urlsafe(54),
        client_id=asked.app.client_id,
        person_id=choice.person.id,
        redirect_uri=asked.redirect_uri,
        scopes=[*scopes, *([OFFLINE] if offline and (first or again) else [])],
        issued_at=here.now(),
        challenge=asked.challenge,
    )
    here.state.keep(code)
    return {"code": code.value, "scope": " ".join(scopes), "authuser": "0", "prompt": "consent"}


CONSENT = Consent(
    PLATFORM, "Google", _read, _allow, {"deny": {"error": "access_denied"}}, purposes=SCOPES, always=("openid",)
)


@bp.get("/accounts.google.com/o/oauth2/v2/auth")
@operation(PLATFORM, "authorize", refuse)
def authorize() -> Response:
    """The consent page: who, which channel, which boxes."""
    return consent_page(CONSENT)


@bp.post("/accounts.google.com/o/oauth2/v2/auth")
def decide() -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# Tokens


def _refused(status: int, error: str, words: str) -> Response:
    return answer({"error": error, "error_description": words}, status)


def _client() -> App | Response:
    app = world().app(PLATFORM, request.form.get("client_id"))
    if app is None:
        return _refused(401, "invalid_client", "The OAuth client was not found.")
    if not secrets.compare_digest(request.form.get("client_secret", "").encode(), app.client_secret.encode()):
        return _refused(401, "invalid_client", "The provided client secret is invalid.")
    return app


def _token_operation() -> str:
    return "refresh" if request.form.get("grant_type") == "refresh_token" else "token"


_TAKEN = {
    "authorization_code": {"code", "redirect_uri", "code_verifier"},
    "refresh_token": {"refresh_token"},
}


@bp.post("/oauth2.googleapis.com/token")
@operation(PLATFORM, _token_operation, refuse)
def token() -> Response:
    """Exchange of a code, and fresh access tokens for a refresh token that stays."""
    taken = _TAKEN.get(request.form.get("grant_type", ""))
    if taken is None:
        return _refused(400, "unsupported_grant_type", "Invalid grant_type: " + request.form.get("grant_type", ""))
    unknown = set(request.form) - taken - {"grant_type", "client_id", "client_secret"}
    if unknown or request.args or request.authorization is not None:
        return _refused(400, "invalid_request", f"Parameter not allowed for this message type: {sorted(unknown)}")
    app = _client()
    if isinstance(app, Response):
        return app
    grants: dict[str, Callable[[App], Response]] = {"authorization_code": _exchange, "refresh_token": _refresh}
    return grants[request.form["grant_type"]](app)


def _exchange(app: App) -> Response:
    here = world()
    code = here.state.find(Code, request.form.get("code"))
    life = CODE_SECONDS if app.code_seconds is None else app.code_seconds
    if code is None:
        return _refused(400, "invalid_grant", "Malformed auth code.")
    if request.form.get("redirect_uri") not in app.redirect_uris or code.redirect_uri != request.form["redirect_uri"]:
        return _refused(400, "redirect_uri_mismatch", "Bad Request")
    if code.client_id != app.client_id or code.used or here.now() >= code.issued_at + life:
        return _refused(400, "invalid_grant", "Bad Request")
    if code.challenge:
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            return _refused(400, "invalid_grant", "Invalid code verifier.")
    code.used = True
    grant = here.new_grant(app, code.person_id, [scope for scope in code.scopes if scope != OFFLINE])
    code.grant_id = grant.id
    here.state.keep(code)
    body = _tokens(app, grant)
    if OFFLINE in code.scopes:
        life_of_refresh = TESTING_SECONDS if app.settings["testing"] else None
        fresh = here.new_token(grant, "refresh", "1//0" + secrets.token_urlsafe(60), life_of_refresh)
        body["refresh_token"] = fresh.value
        if life_of_refresh:
            body["refresh_token_expires_in"] = life_of_refresh - 1
    return answer(body)


def _tokens(app: App, grant: Grant) -> dict[str, Any]:
    here = world()
    life = app.access_seconds or ACCESS_SECONDS
    fresh = here.new_token(grant, "access", "ya29." + secrets.token_urlsafe(120), life)
    body: dict[str, Any] = {
        "access_token": fresh.value,
        "expires_in": life,
        "scope": " ".join(grant.scopes),
        "token_type": "Bearer",
    }
    if "openid" in grant.scopes:
        now = int(here.now())
        claims = {"iss": "https://accounts.google.com", "azp": app.client_id, "aud": app.client_id, "iat": now}
        body["id_token"] = identity.signed({**claims, "sub": subject(here.person_of(grant)), "exp": now + 3600})
    return body


def _refresh(app: App) -> Response:
    here = world()
    found = here.state.find(Token, request.form.get("refresh_token"))
    if found is None or found.role != "refresh" or here.ended(found) not in ("", "suspended"):
        return _refused(400, "invalid_grant", "Token has been expired or revoked.")
    grant = here.grant_of(found)
    if grant.client_id != app.client_id:
        return _refused(401, "unauthorized_client", "Unauthorized")
    body = _tokens(app, grant)
    if found.expires_at is not None:
        body["refresh_token_expires_in"] = int(found.expires_at - here.now())
    return answer(body)


@bp.post("/oauth2.googleapis.com/revoke")
@operation(PLATFORM, "revoke", refuse)
def revoke() -> Response:
    """Takes back everything that the Google account behind a token allowed the project: all of its channels."""
    here = world()
    if set(request.form) != {"token"} or request.args:
        return _refused(400, "invalid_request", "Bad Request")
    found = here.state.find(Token, request.form["token"])
    if found is None or here.grant_of(found).platform != PLATFORM or here.ended(found) not in ("", "suspended"):
        return _refused(400, "invalid_token", "Token expired or revoked")
    mine = here.grant_of(found)
    account = subject(here.person_of(mine))
    for grant in here.state.all(Grant):
        if grant.platform == PLATFORM and grant.client_id == mine.client_id and not grant.dead \
                and subject(here.person_of(grant)) == account:
            here.end_grant(grant, "revoked")
    return answer({})
