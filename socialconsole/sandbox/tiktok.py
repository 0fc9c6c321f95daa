"""TikTok's Login Kit: consent with boxes, client_key, codes judged before credentials, refresh tokens good for once.

developers.tiktok.com/doc/login-kit-web, …/doc/oauth-user-access-token-management. The APIs stand in `tiktok_api.py`.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request

from .calls import operation
from .oauth import Asked, Choice, Consent, Refused, consent_page, registered_app
from .people import Person
from .shapes import on_loopback
from .state import App, Code, Grant, Token, fresh_id
from .world import world

PLATFORM = "tiktok"
ACCESS_SECONDS, REFRESH_SECONDS, CLIENT_SECONDS, CODE_SECONDS = 7200, 180 * 86_400, 7200, 600
SCOPES = {
    "user.info.basic": "Read your profile info (avatar, display name)",
    "user.info.profile": "Read access to profile_web_link, profile_deep_link, bio_description, is_verified, username",
    "user.info.stats": "Read access to your statistics: likes, followers, following and videos",
    "video.list": "Read your public videos on TikTok",
    "video.upload": "Share content to your account as a draft to further edit and post in TikTok",
    "video.publish": "Directly post content to your TikTok profile",
}
_ASKED = {"client_key", "response_type", "scope", "redirect_uri", "state"}
_MAY = {"disable_auto_auth", "code_challenge", "code_challenge_method"}

bp = Blueprint("tiktok", __name__)


def log_id() -> str:
    """An id as TikTok gives one to every answer."""
    return "20261121090000" + fresh_id(9).upper()


def answer(body: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    response = jsonify(body)
    response.status_code = status
    return response


def envelope(code: str, words: str, data: Any = None) -> dict[str, Any]:
    """The form of all answers but those of OAuth."""
    return {"data": data if data is not None else {}, "error": {"code": code, "message": words, "log_id": log_id()}}


def refuse(label: str, seconds: float) -> Response:
    """TikTok's 429, which names no time, and its server error."""
    if seconds:
        return answer(envelope("rate_limit_exceeded", "The API rate limit was exceeded."), 429)
    return answer(envelope("internal_error", "Something is wrong. Please try again later."), 500)


def open_id(person_id: str, client_id: str) -> str:
    """The id under which an app knows a person: another one for each app."""
    return "-000" + hashlib.sha256(f"{client_id} {person_id}".encode()).hexdigest()[:32]


def union_id(person_id: str) -> str:
    """The id that all apps of one developer share."""
    return hashlib.sha256(f"union {person_id}".encode()).hexdigest()[:32]


# Consent


def _page(names: str, words: str) -> Refused:
    return Refused("Something went wrong", f"We couldn’t log in with TikTok. {words} This may be due to specific app "
                   f"settings. If you’re a developer, correct the following and try again: {names}", code=names)


def _read(args: Mapping[str, str]) -> Asked:
    unknown = set(args) - _ASKED - _MAY
    missing = _ASKED - {name for name in args if args[name]}
    if "client_key" in missing:
        raise _page("client_key", "The key is missing.")
    if unknown or missing:
        raise _page(sorted(unknown | missing)[0], "A parameter is missing or unknown.")
    try:
        named = {"client_id": args["client_key"], "redirect_uri": args["redirect_uri"]}
        app, uri = registered_app(PLATFORM, named, lambda sent, registered: sent == registered)
    except LookupError as problem:
        name = "client_key" if problem.args[0] == "client_id" else "redirect_uri"
        raise _page(name, "It is not what the app has.") from problem
    if not app.settings.get("login_kit", True) or not app.settings.get("approved", True):
        raise _page("client_key", "The app cannot be used.")
    scopes = tuple(args["scope"].split(","))
    if not set(scopes) <= _enabled(app) or len(set(scopes)) < len(scopes):
        raise _page("scope", "It is not enabled, or not separated by commas.")
    if args["response_type"] != "code" or args.get("disable_auto_auth", "0") not in ("0", "1"):
        raise _page("response_type", "It must be code.")
    return Asked(app, uri, args["state"], scopes, _challenge(app, args), all_or_nothing=False)


def _enabled(app: App) -> set[str]:
    """The scopes that the products of an app bring along."""
    posting = {"video.upload", "video.publish"}
    return set(SCOPES) - (set() if app.settings.get("content_posting", True) else posting)


def _challenge(app: App, args: Mapping[str, str]) -> str:
    """The challenge, which is hexadecimal here; only Desktop apps have to send one."""
    challenge, method = args.get("code_challenge", ""), args.get("code_challenge_method", "")
    if not challenge and not method and not app.settings["desktop"]:
        return ""
    if method != "S256" or not re.fullmatch(r"[0-9a-f]{64}", challenge):
        raise _page("code_challenge", "It is not the lower-case hexadecimal SHA-256 of the verifier.")
    return challenge


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    here = world()
    if asked.app.settings["target_users_only"] and not choice.person.facts.get("target", True):
        return {"error": "access_denied", "error_type": "non_sandbox_target",
                "error_description": "The user is not a target user of the sandbox."}
    scopes = [one for one in asked.scopes if one in choice.scopes or one == "user.info.basic"]
    code = Code(
        value=secrets.token_urlsafe(48) + "*1!4600.va",
        client_id=asked.app.client_id,
        person_id=choice.person.id,
        redirect_uri=asked.redirect_uri,
        scopes=scopes,
        issued_at=here.now(),
        challenge=asked.challenge,
    )
    here.state.keep(code)
    return {"code": code.value, "scopes": ",".join(scopes)}


CONSENT = Consent(
    PLATFORM,
    "TikTok",
    _read,
    _allow,
    {"deny": {"error": "access_denied", "error_description": "The user denied the request.", "error_type": "denied"}},
    purposes=SCOPES,
    always=("user.info.basic",),
    by_username=True,
)


@bp.get("/www.tiktok.com/v2/auth/authorize/")
@operation(PLATFORM, "authorize", refuse)
def authorize() -> Response:
    """The consent page. The address ends in a slash, as the vendor writes it."""
    return consent_page(CONSENT)


@bp.post("/www.tiktok.com/v2/auth/authorize/")
def decide() -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# Tokens


def _refused(error: str, words: str, app: App | None = None) -> Response:
    """OAuth's flat form. Reports differ on its status; a switch of the app makes it 200."""
    status = 200 if app is not None and app.settings["errors_with_200"] else 401 if error == "invalid_client" else 400
    return answer({"error": error, "error_description": words, "log_id": log_id()}, status)


def _token_operation() -> str:
    return "refresh" if request.form.get("grant_type") == "refresh_token" else "token"


_CLIENT = {"client_key", "client_secret", "grant_type"}
_NEEDED = {
    "authorization_code": {"code", "redirect_uri"},
    "refresh_token": {"refresh_token"},
    "client_credentials": set(),
}


@bp.post("/open.tiktokapis.com/v2/oauth/token/")
@operation(PLATFORM, _token_operation, refuse)
def token() -> Response:
    """Exchange of a code, a fresh pair for a refresh token, a token of the app alone."""
    grant_type = request.form.get("grant_type", "")
    app = world().app(PLATFORM, request.form.get("client_key"))
    if grant_type not in _NEEDED:
        return _refused("unsupported_grant_type", "The grant type is not supported.", app)
    needed = _NEEDED[grant_type] | _CLIENT
    taken = needed | ({"code_verifier"} if grant_type == "authorization_code" else set())
    if request.args or request.authorization is not None or not needed <= set(request.form) <= taken:
        return _refused("invalid_request", "The request parameters are malformed.", app)
    grants: dict[str, Callable[[App | None], Response]] = {
        "authorization_code": _exchange, "refresh_token": _refresh, "client_credentials": _of_the_app}
    return grants[grant_type](app)


def _wrong_client(app: App | None) -> Response | None:
    secret = request.form.get("client_secret", "")
    if app is None or not secrets.compare_digest(secret.encode(), app.client_secret.encode()):
        return _refused("invalid_client", "Client key or secret is incorrect.", app)
    return None


def _exchange(app: App | None) -> Response:
    """The code is judged before the client: a made-up one gives invalid_grant whatever the key."""
    here = world()
    code = here.state.find(Code, request.form["code"])
    known = code is not None and app is not None and code.client_id == app.client_id
    life = CODE_SECONDS if app is None or app.code_seconds is None else app.code_seconds
    if code is None or app is None or not known or code.used or here.now() >= code.issued_at + life:
        return _refused("invalid_grant", "Authorization code is expired.", app)
    wrong = _wrong_client(app)
    if wrong is not None:
        return wrong
    if request.form["redirect_uri"] != code.redirect_uri:
        return _refused("invalid_request", "Redirect_uri is not matched with the uri when requesting code.", app)
    verifier = request.form.get("code_verifier", "")
    if code.challenge and (not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier)
                           or hashlib.sha256(verifier.encode()).hexdigest() != code.challenge):
        return _refused("invalid_request", "Code verifier or code challenge is invalid.", app)
    if verifier and not code.challenge:
        return _refused("invalid_request", "A code_verifier came without a challenge.", app)
    code.used = True
    grant = here.new_grant(app, code.person_id, code.scopes)
    code.grant_id = grant.id
    here.state.keep(code)
    return answer(_pair(app, grant))


def _pair(app: App, grant: Grant) -> dict[str, Any]:
    here, life = world(), app.access_seconds or ACCESS_SECONDS
    access = here.new_token(grant, "access", "act." + secrets.token_urlsafe(48), life)
    fresh = here.new_token(grant, "refresh", "rft." + secrets.token_urlsafe(48), REFRESH_SECONDS)
    return {
        "access_token": access.value,
        "expires_in": life,
        "open_id": open_id(grant.person_id, app.client_id),
        "refresh_expires_in": REFRESH_SECONDS,
        "refresh_token": fresh.value,
        "scope": ",".join(grant.scopes),
        "token_type": "Bearer",
    }


def _refresh(app: App | None) -> Response:
    """A pair for a refresh token, which is dead from then on."""
    here = world()
    wrong = _wrong_client(app)
    if wrong is not None or app is None:
        return wrong or _refused("invalid_client", "Client key or secret is incorrect.")
    found = here.state.find(Token, request.form["refresh_token"])
    if found is not None and found.dead == "rotated":
        here.truth.replayed(here.grant_of(found), here.now())
    if found is None or found.role != "refresh" or here.ended(found) not in ("", "suspended") \
            or here.grant_of(found).client_id != app.client_id:
        return _refused("invalid_grant", "Refresh token is invalid or expired.", app)
    found.dead = "rotated"
    here.state.keep(found)
    return answer(_pair(app, here.grant_of(found)))


def _of_the_app(app: App | None) -> Response:
    wrong = _wrong_client(app)
    if wrong is not None:
        return wrong
    return answer({"access_token": "clt." + secrets.token_urlsafe(32), "expires_in": CLIENT_SECONDS,
                   "token_type": "Bearer"})


@bp.post("/open.tiktokapis.com/v2/oauth/revoke/")
@operation(PLATFORM, "revoke", refuse)
def revoke() -> Response:
    """Takes the app off the account: every permission that this person gave it."""
    here = world()
    app = here.app(PLATFORM, request.form.get("client_key"))
    if set(request.form) != {"client_key", "client_secret", "token"} or request.args:
        return _refused("invalid_request", "The request parameters are malformed.", app)
    wrong = _wrong_client(app)
    if wrong is not None or app is None:
        return wrong or _refused("invalid_client", "Client key or secret is incorrect.")
    found = here.state.find(Token, request.form["token"])
    if found is None or found.role != "access" or here.ended(found) not in ("", "suspended") \
            or here.grant_of(found).client_id != app.client_id:
        return _refused("invalid_request", "Access token is invalid or not found.", app)
    for grant in here.grants(PLATFORM, here.grant_of(found).person_id, app.client_id):
        here.end_grant(grant, "revoked")
    return make_response("", 200)


# Who asks


class Problem(Exception):
    """An answer that says no, in the usual form."""

    def __init__(self, status: int, code: str, words: str = "") -> None:
        super().__init__(words)
        self.status, self.body = status, envelope(code, words or code.replace("_", " "))


def bearer(*any_of: str) -> tuple[Grant, App, Person]:
    """Whose token came with the request; it needs one of these scopes. Raises Problem."""
    here = world()
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    found = here.state.find(Token, value) if kind == "Bearer" else None
    if found is None or found.role != "access" or here.grant_of(found).platform != PLATFORM or here.ended(found):
        raise Problem(401, "access_token_invalid", "The access token is invalid or not found in the request.")
    grant = here.grant_of(found)
    if not set(any_of) & set(grant.scopes):
        raise Problem(401, "scope_not_authorized", "The user did not authorize the scope required for completing this "
                      "request.")
    app = here.app(PLATFORM, grant.client_id)
    assert app is not None
    return grant, app, here.person_of(grant)


def redirect_problem(uri: str, accept_http_loopback: bool) -> str:
    """Web: https, a public host, no query, below 512 characters. Desktop: this machine, with a port."""
    if "?" in uri or len(uri) >= 512:
        return "TikTok takes no query and less than 512 characters."
    if on_loopback(uri):
        has_port = re.match(r"https?://(localhost|127\.0\.0\.1):\d+(/|$)", uri) is not None
        if not accept_http_loopback:
            return "The real platform takes a local address only for Desktop apps. Turn on “Accept http on loopback”."
        return "" if has_port else "A Desktop address is localhost or 127.0.0.1 with a port."
    return "" if uri.startswith("https://") and "." in uri.split("/")[2] else "TikTok takes https on a public domain."
