"""LinkedIn's consent and tokens as its pages describe them: credentials in the body, 60 days, seldom a renewal.

learn.microsoft.com/linkedin: Authorization Code Flow; Programmatic Refresh Tokens; Token Introspection. Profile and
posts stand in `linkedin_api.py`.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, request

from . import identity
from .calls import operation
from .oauth import Asked, Choice, Consent, Refused, SentBack, consent_page, registered_app
from .state import App, Code, Grant, Token
from .world import world

PLATFORM = "linkedin"
ACCESS_SECONDS = 5_184_000
CODE_SECONDS = 1800
REFRESH_SECONDS = 365 * 86_400  # from the first consent, not sliding

MEMBER_SCOPES = {
    "openid": "Use your name and photo",
    "profile": "Use your name and photo",
    "email": "Use the primary e-mail address of your LinkedIn account",
    "w_member_social": "Create, modify and delete posts on your behalf",
}
PAGE_SCOPES = {
    "r_basicprofile": "Use your basic profile",
    "rw_organization_admin": "Manage your organizations’ pages and retrieve reporting data",
    "w_organization_social": "Create, modify and delete posts on your organization’s behalf",
    "r_organization_social": "Retrieve your organization’s posts",
    "w_organization_social_feed": "Comment and react on your organization’s behalf",
    "r_organization_social_feed": "Retrieve comments and reactions on your organization’s posts",
}
# Known to LinkedIn, owned by neither sort of app here.
CLOSED_SCOPES = {
    "r_member_social",
    "r_member_postAnalytics",
    "r_emailaddress",
    "r_liteprofile",
}
FEED_SCOPES = {
    "w_member_social_feed": "Create, modify and delete comments and reactions on your behalf",
}
OWNED = {
    "member": set(MEMBER_SCOPES),
    "organization": set(PAGE_SCOPES) | {"w_member_social"},
}
AUTHORIZE = {"response_type", "client_id", "redirect_uri", "state", "scope"}
BAD_CODE = (
    "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code."
    " Or authorization code expired. Or external member binding exists"
)
BAD_REFRESH = "The provided authorization grant or refresh token is invalid, expired or revoked"

bp = Blueprint("linkedin", __name__)


def refuse(label: str, seconds: float) -> Response:
    """LinkedIn's 429, which names no time to wait, and its server error."""
    if not seconds:
        return answer({"status": 500, "code": "INTERNAL_SERVER_ERROR", "message": "Internal Server Error"}, 500)
    words = "Resource level throttle limit for calls to this resource is reached."
    return answer({"status": 429, "message": words}, 429)


def answer(body: Any, status: int = 200) -> Response:
    """An answer in JSON with the tracing headers."""
    response = jsonify(body)
    response.status_code = status
    return traced(response)


def traced(response: Response) -> Response:
    """The response with LinkedIn's tracing headers."""
    response.headers["x-li-uuid"] = "AAY" + secrets.token_urlsafe(14)
    response.headers["x-li-fabric"] = "prod-sandbox"
    response.headers["x-li-request-id"] = secrets.token_urlsafe(16)
    return response


def member_id(person_id: str, client_id: str) -> str:
    """The id under which an app knows a member: another one for each app (pairwise subject)."""
    digest = hashlib.sha256(f"{client_id}/{person_id}".encode()).digest()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:10])


# Consent


def _without_query(uri: str) -> str:
    return uri.split("?", 1)[0]


def _read(args: Mapping[str, str]) -> Asked:
    try:
        app, uri = registered_app(
            PLATFORM, args, lambda sent, registered: _without_query(sent) == _without_query(registered)
        )
    except LookupError as problem:
        raise _page(f"The {problem.args[0]} does not match the registered value") from problem
    if set(args) - AUTHORIZE:  # no PKCE on the web flow; `prompt` breaks first connects
        raise _page("Unknown parameter")
    scopes = tuple(args.get("scope", "").split())
    known = set(MEMBER_SCOPES) | set(PAGE_SCOPES) | set(FEED_SCOPES) | CLOSED_SCOPES
    if args.get("response_type") != "code":
        raise _page("You need to pass the response_type parameter")
    if not scopes or not set(scopes) <= known:
        raise _page("Invalid scope")
    asked = Asked(app, uri, args.get("state"), scopes)
    owned = _owned(app)
    foreign = [scope for scope in scopes if scope not in owned]
    if foreign:
        # LinkedIn really sends the HTML entities.
        words = f"Scope &quot;{foreign[0]}&quot; is not authorized for your application"
        raise SentBack(uri, asked.back({"error": "unauthorized_scope_error", "error_description": words}))
    return asked


def _owned(app: App) -> set[str]:
    """The scopes that the products of an app bring along."""
    owned = OWNED[app.mode or "member"] | (set(FEED_SCOPES) if app.settings["feed_scopes"] else set())
    if app.mode == "organization":
        return owned
    owned -= set() if app.settings.get("sign_in_product", True) else {"openid", "profile", "email"}
    return owned - (set() if app.settings.get("share_product", True) else {"w_member_social"})


def _page(words: str) -> Refused:
    return Refused("Bummer, something went wrong.", f"{words}.", status=401)


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    return {"code": world().new_code(asked.app, choice.person, asked.redirect_uri, list(choice.scopes)).value}


def _denial(error: str, words: str) -> dict[str, str]:
    return {"error": error, "error_description": words}


CONSENT = Consent(
    PLATFORM,
    "LinkedIn",
    _read,
    _allow,
    {
        "deny": _denial("user_cancelled_authorize", "The user cancelled the authorization"),
        "deny_login": _denial("user_cancelled_login", "The user cancelled LinkedIn login"),
    },
    purposes=MEMBER_SCOPES | PAGE_SCOPES | FEED_SCOPES,
)


@bp.get("/www.linkedin.com/oauth/v2/authorization")
@operation(PLATFORM, "authorize", refuse)
def authorize() -> Response:
    """The consent page."""
    return consent_page(CONSENT)


@bp.post("/www.linkedin.com/oauth/v2/authorization")
def decide() -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# Tokens


def _refused(status: int, error: str, words: str) -> Response:
    return answer({"error": error, "error_description": words}, status)


def _client() -> App | Response:
    """The app that proves itself in the body, or the refusal; Basic is not looked at."""
    for name in ("client_id", "client_secret"):
        if not request.form.get(name):
            return _refused(400, "invalid_request", f'A required parameter "{name}" is missing')
    app = world().app(PLATFORM, request.form["client_id"])
    if app is None:
        return _refused(400, "invalid_client_id", "The passed in client_id is invalid")
    if not secrets.compare_digest(request.form["client_secret"].encode(), app.client_secret.encode()):
        return _refused(401, "invalid_client", "Client authentication failed")
    return app


def _token_operation() -> str:
    return "refresh" if request.form.get("grant_type") == "refresh_token" else "token"


@bp.post("/www.linkedin.com/oauth/v2/accessToken")
@operation(PLATFORM, _token_operation, refuse)
def token() -> Response:
    """Exchange of a code, renewal where the app may renew, and the refusal of app tokens."""
    app = _client()
    if isinstance(app, Response):
        return app
    grants: dict[str, Callable[[App], Response]] = {
        "authorization_code": _exchange,
        "refresh_token": _refresh,
        "client_credentials": _no_app_token,
    }
    handle = grants.get(request.form.get("grant_type", ""))
    if handle is None:
        return _refused(400, "invalid_request", 'A required parameter "grant_type" is missing or unknown')
    return handle(app)


def _no_app_token(app: App) -> Response:
    return _refused(401, "access_denied", "This application is not allowed to create application tokens")


def _exchange(app: App) -> Response:
    here = world()
    for name in ("code", "redirect_uri"):
        if not request.form.get(name):
            return _refused(400, "invalid_request", f'A required parameter "{name}" is missing')
    code = here.state.find(Code, request.form["code"])
    life = CODE_SECONDS if app.code_seconds is None else app.code_seconds
    sound = (
        code is not None
        and code.client_id == app.client_id
        and not code.used
        and here.now() < code.issued_at + life
        and code.redirect_uri == request.form["redirect_uri"]
        and "code_verifier" not in request.form  # nothing to verify: the web flow has no challenge
    )
    if code is None or not sound:
        return _refused(400, "invalid_request", BAD_CODE)
    code.used = True
    _end_other_scope_sets(app, code)
    grant = here.new_grant(app, code.person_id, code.scopes)
    code.grant_id = grant.id
    here.state.keep(code)
    return _tokens(app, grant, with_identity=True)


def _end_other_scope_sets(app: App, code: Code) -> None:
    """Another scope set ends every earlier token of the member for this app; the same set leaves them alive."""
    here = world()
    for earlier in here.grants(PLATFORM, code.person_id, app.client_id):
        if set(earlier.scopes) != set(code.scopes):
            here.end_grant(earlier, "scopes changed")


def _tokens(app: App, grant: Grant, *, with_identity: bool) -> Response:
    here = world()
    life = app.access_seconds or ACCESS_SECONDS
    access = here.new_token(grant, "access", "AQX" + secrets.token_urlsafe(260), life)
    body: dict[str, Any] = {
        "access_token": access.value,
        "expires_in": life,
        "scope": ",".join(grant.scopes),
        "token_type": "Bearer",
    }
    refresh = _refresh_token(app, grant)
    if refresh:
        body["refresh_token"] = refresh.value
        body["refresh_token_expires_in"] = int((refresh.expires_at or 0) - here.now())
    if with_identity and "openid" in grant.scopes:
        body["id_token"] = _id_token(app, grant)
    return answer(body)


def _refresh_token(app: App, grant: Grant) -> Token | None:
    here = world()
    if not app.settings["refresh_tokens"]:
        return None
    known = here.tokens(grant, "refresh")
    return known[0] if known else here.new_token(grant, "refresh", "AQR" + secrets.token_urlsafe(260), REFRESH_SECONDS)


def _id_token(app: App, grant: Grant) -> str:
    now = int(world().now())
    return identity.signed(
        {
            "iss": "https://www.linkedin.com/oauth",
            "aud": app.client_id,
            "iat": now,
            "exp": now + 3600,
            "sub": member_id(grant.person_id, app.client_id),
        }
    )


def _refresh(app: App) -> Response:
    here = world()
    found = here.state.find(Token, request.form.get("refresh_token"))
    mine = found is not None and found.role == "refresh" and here.grant_of(found).client_id == app.client_id
    if found is None or not mine or not app.settings["refresh_tokens"] or here.ended(found) not in ("", "suspended"):
        return _refused(400, "invalid_request", BAD_REFRESH)
    return _tokens(app, here.grant_of(found), with_identity=False)


@bp.post("/www.linkedin.com/oauth/v2/revoke")
@operation(PLATFORM, "revoke", refuse)
def revoke() -> Response:
    """Takes back the grant that a token belongs to; an unknown token is no error."""
    app = _client()
    if isinstance(app, Response):
        return app
    here = world()
    found = here.state.find(Token, request.form.get("token"))
    if found and here.grant_of(found).client_id == app.client_id and not here.grant_of(found).dead:
        here.end_grant(here.grant_of(found), "revoked")
    return traced(make_response("", 200))


@bp.post("/www.linkedin.com/oauth/v2/introspectToken")
@operation(PLATFORM, "profile", refuse)
def introspect() -> Response:
    """What a token is good for; a token of another app is simply not active."""
    app = _client()
    if isinstance(app, Response):
        return app
    here = world()
    if not request.form.get("token"):
        return _refused(400, "invalid_request", 'A required parameter "token" is missing')
    found = here.state.find(Token, request.form["token"])
    if found is None or here.grant_of(found).client_id != app.client_id:
        return answer({"active": False})
    why = here.ended(found)
    return answer(
        {
            "active": not why,
            "status": {"": "active", "expired": "expired"}.get(why, "revoked"),
            "scope": ",".join(here.grant_of(found).scopes),
            "client_id": app.client_id,
            "created_at": int(found.issued_at),
            "expires_at": int(found.expires_at or 0),
            "authorized_at": int(here.grant_of(found).created_at),
            "auth_type": "3L",
        }
    )


@bp.get("/www.linkedin.com/oauth/openid/jwks")
def jwks() -> Response:
    """The public key of the id tokens."""
    return answer(identity.public_keys())


@bp.get("/www.linkedin.com/feed/update/<urn>/")
def permalink(urn: str) -> Response:
    """The post's own page."""
    return make_response(redirect(f"/timeline/{PLATFORM}/{urn}"))
