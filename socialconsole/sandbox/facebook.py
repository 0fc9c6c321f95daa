"""Facebook Login as Meta's pages describe it: consent with Pages to tick, short and long tokens, app tokens.

developers.facebook.com: Manually Build a Login Flow; Access Tokens; Facebook Login for Business. The apps here are
live ones. Pages and posts stand in `facebook_pages.py` and `facebook_posts.py`.
"""

import re
import secrets
from collections.abc import Mapping

from flask import Blueprint, Response

from . import facebook_media, facebook_pages, facebook_posts
from . import graph as graph_api
from .calls import operation
from .graph import (
    APP_VERSION,
    CONVERTERS,
    PLATFORM,
    GraphError,
    answer,
    check_alive,
    check_role,
    graph,
    new_token_value,
    only,
    parameter,
    refuse,
    say_error,
    unreadable_token,
)
from .oauth import Asked, Choice, Consent, Refused, SentBack, consent_page, registered_app
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, TEAM_ONLY, Number, Page, Person, Play, Switch
from .shapes import digits, meta_credentials
from .state import App, Code, Grant, Token
from .world import world

SHORT_SECONDS = 5106
LONG_SECONDS = 5_183_944
CODE_SECONDS = 600

SCOPES = {
    "public_profile": "Your name and picture",
    "email": "Your e-mail address",
    "pages_show_list": "Show a list of the Pages you manage",
    "pages_read_engagement": "Read content posted on the Page",
    "pages_manage_posts": "Create and manage content on your Page",
    "pages_manage_engagement": "Create and manage comments on your Page",
    "pages_read_user_content": "Read user content on your Page",
    "pages_manage_metadata": "Manage accounts, settings and webhooks for a Page",
    "pages_messaging": "Manage and access Page conversations",
    "read_insights": "Read insights of your Pages",
    "business_management": "Manage your business",
}
BUSINESS_SCOPES = (
    "public_profile",
    "pages_show_list",
    "pages_read_engagement",
    "pages_manage_posts",
    "business_management",
)

WITHOUT_USE_CASE = ("public_profile", "email")  # all that an app has to which no use case was added

PARAMETERS = ("client_id", "redirect_uri", "state", "response_type", "scope", "config_id", "auth_type", "display",
              "return_scopes")
AUTH_TYPES = ("rerequest", "reauthorize")
EXCHANGES = {
    "client_credentials": (),
    "fb_exchange_token": ("fb_exchange_token",),
    "authorization_code": ("redirect_uri", "code"),
}

bp = Blueprint("facebook", __name__)
bp.register_error_handler(GraphError, say_error)


# Consent


def _read(args: Mapping[str, str]) -> Asked:
    try:
        app, uri = registered_app(PLATFORM, args, lambda sent, registered: sent == registered)
    except LookupError as problem:
        raise _page(str(problem.args[0])) from problem
    strange = sorted(set(args) - set(PARAMETERS))
    if strange:
        raise _page(strange[0])
    if args.get("response_type", "code") != "code":
        raise _page("response_type")
    if args.get("auth_type", AUTH_TYPES[0]) not in AUTH_TYPES:
        raise _page("auth_type")
    scopes = _asked_scopes(app, args)
    owned = SCOPES if app.settings.get("pages_use_case", True) else WITHOUT_USE_CASE
    unknown = [scope for scope in scopes if scope not in owned]
    asked = Asked(
        app,
        uri,
        args.get("state"),
        scopes,
        all_or_nothing=app.mode == "business",
        wants_scopes_back=args.get("return_scopes") == "true",
    )
    if unknown:
        words = f"Invalid Scopes: {', '.join(unknown)}. This message is only shown to developers."
        raise SentBack(uri, asked.back({"error_code": "100", "error_message": words}))
    return asked


def _asked_scopes(app: App, args: Mapping[str, str]) -> tuple[str, ...]:
    config_id = args.get("config_id")
    if config_id is not None:
        if app.mode != "business" or config_id != app.settings["config_id"]:
            raise _page("config_id")
        return BUSINESS_SCOPES
    return tuple(s for s in re.split(r"[,\s]+", args.get("scope", "public_profile")) if s)


def _page(what: str) -> Refused:
    if what == "redirect_uri":
        words = (
            "This redirect failed because the redirect URI is not white-listed in the app's client OAuth settings."
            " Make sure that the client and web OAuth logins are on and add all your app domains as valid OAuth"
            " redirect URIs."
        )
        return Refused("URL Blocked", words, code="1349168")
    if what == "client_id":
        return Refused("Invalid App ID", "The provided app ID does not look like a valid app ID.", code="101")
    return Refused("Sorry, something went wrong", f"Invalid parameter: {what}.", code="100")


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    here = world()
    check_role(asked.app, choice.person)
    granted = set(choice.scopes) | {"public_profile"} & set(asked.scopes)
    declined = set(asked.scopes) - granted
    standing = here.grants(PLATFORM, choice.person.id, asked.app.client_id)
    grant = standing[0] if standing else here.new_grant(asked.app, choice.person.id, [])
    grant.scopes = sorted((set(grant.scopes) | granted) - declined)
    grant.declined = sorted((set(grant.declined) | declined) - granted)
    grant.pages = list(choice.pages)
    grant.created_at = here.now()
    here.state.keep(grant)
    code = here.new_code(asked.app, choice.person, asked.redirect_uri, sorted(granted))
    code.grant_id = grant.id
    if not asked.wants_scopes_back:
        return {"code": code.value}
    scopes_back = {"granted_scopes": ",".join(sorted(granted)), "denied_scopes": ",".join(sorted(declined))}
    return {"code": code.value, **scopes_back}


DENIED = {
    "error": "access_denied",
    "error_code": "200",
    "error_reason": "user_denied",
    "error_description": "Permissions error",
}
CONSENT = Consent(
    PLATFORM,
    "Facebook",
    _read,
    _allow,
    {"deny": DENIED},
    with_pages=True,
    fragment="#_=_",
    purposes=SCOPES,
    always=("public_profile",),
)


@bp.get("/www.facebook.com/<graph_version:version>/dialog/oauth")
@bp.get("/www.facebook.com/dialog/oauth")
@operation(PLATFORM, "authorize", refuse)
def authorize(version: str = APP_VERSION) -> Response:
    """The consent page."""
    return consent_page(CONSENT)


@bp.post("/www.facebook.com/<graph_version:version>/dialog/oauth")
@bp.post("/www.facebook.com/dialog/oauth")
def decide(version: str = APP_VERSION) -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# Tokens


def _token_operation() -> str:
    return "refresh" if parameter("grant_type") == "fb_exchange_token" else "token"


@graph("/oauth/access_token", _token_operation, ("GET", "POST"), on=bp)
def access_token() -> Response:
    """Code for a short token, short token for a long one, or an app token."""
    app = _proven_app()
    sort = parameter("grant_type") or "authorization_code"
    only("client_id", "client_secret", "grant_type", *EXCHANGES.get(sort, ()))
    if sort == "client_credentials":
        return answer({"access_token": f"{app.client_id}|{app.client_secret}", "token_type": "bearer"})
    if sort == "fb_exchange_token":
        return _long_token(app)
    if sort == "authorization_code":
        return _short_token(app)
    raise GraphError(f"Unsupported grant_type: {sort[:40]}", 100)


def _proven_app() -> App:
    if not parameter("client_id"):
        raise GraphError("Missing client_id parameter.", 101)
    app = world().app(PLATFORM, parameter("client_id"))
    if app is None:
        raise GraphError("Error validating application. Cannot get application info due to a system error.", 101)
    if not parameter("client_secret"):
        raise GraphError("Missing client_secret parameter.", 1)
    if not secrets.compare_digest(parameter("client_secret").encode(), app.client_secret.encode()):
        raise GraphError("Error validating client secret.", 1)
    return app


def _short_token(app: App) -> Response:
    here = world()
    code = here.state.find(Code, parameter("code"))
    if code is None or code.client_id != app.client_id:
        raise GraphError("Invalid verification code format.", 100)
    if code.used:
        raise GraphError("This authorization code has been used.", 100, 36009)
    life = CODE_SECONDS if app.code_seconds is None else app.code_seconds
    if here.now() >= code.issued_at + life:
        raise GraphError("This authorization code has expired.", 100, 36007)
    if parameter("redirect_uri") != code.redirect_uri:
        words = "Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request"
        raise GraphError(f"Error validating verification code. {words}", 100, 36008)
    code.used = True
    here.state.keep(code)
    grant = here.state.find(Grant, code.grant_id)
    if grant is None or grant.dead:
        raise GraphError("This authorization code has been used.", 100, 36009)
    return _user_token(grant, min(SHORT_SECONDS, app.access_seconds or SHORT_SECONDS), long=False)


def _long_token(app: App) -> Response:
    old = world().state.find(Token, parameter("fb_exchange_token"))
    if old is None or old.role != "access" or world().grant_of(old).client_id != app.client_id:
        raise unreadable_token()
    check_alive(old)
    return _user_token(world().grant_of(old), app.access_seconds or LONG_SECONDS, long=True)


def _user_token(grant: Grant, seconds: int, *, long: bool) -> Response:
    token = world().new_token(grant, "access", new_token_value(), seconds)
    token.long = long
    world().state.keep(token)
    return answer({"access_token": token.value, "token_type": "bearer", "expires_in": seconds})


@bp.get("/scontent.fbcdn.net/v/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A portrait."""
    return picture_answer(owner, name)


PEOPLE = (
    Person(
        PLATFORM,
        "700000000000101",
        "Mara Lindqvist",
        "mara.lindqvist",
        "mara@mail.example",
        pages=(
            Page("900100000000001", "Harbour Bakery", "harbourbakery", "Bakery"),
            Page("900100000000002", "Linden Cycles", "lindencycles", "Bicycle Shop"),
            Page("900100000000003", "Not Mine", "notmine", "Community", tasks=("ANALYZE", "MODERATE")),
        ),
    ),
    Person(PLATFORM, "700000000000102", "Tomas Ek", "tomas.ek", "tomas@mail.example"),
    Person(
        PLATFORM,
        "700000000000103",
        "Ines Duarte",
        "ines.duarte",
        "ines@mail.example",
        pages=(
            Page("900300000000001", "Duarte Interiors", "duarteinteriors", "Interior Design Studio"),
            Page("900300000000002", "Casa Azul", "", "Hotel"),
            Page("900300000000003", "Duarte Group", "duartegroup", "Company", portfolio=True),
        ),
        facts={"role": False},  # nobody of the app's team
    ),
)


def _more_settings(mode: str) -> dict[str, str]:
    return {"config_id": digits(15) if mode == "business" else ""}


PLAY = Play(
    platform=PLATFORM,
    label="Facebook",
    people=PEOPLE,
    blueprints=(graph_api.bp, bp, facebook_pages.bp, facebook_media.bp, facebook_posts.bp),
    credentials=meta_credentials,
    id_labels=("App ID", "App secret"),
    modes=("", "business"),
    mode_labels={"business": "Login for Business"},
    switches=(
        Switch("require_proof", "Require App Secret", hint="Calls without appsecret_proof are refused."),
        Switch("refuse_duplicates", "Refuse a text that the Page posted last"),
        *TEAM_ONLY,
        Switch("pages_use_case", "Has the use case for Pages", default=True),
    ),
    numbers=(Number("usage_percent", "Share of the app's quota that is used, in percent", 1),),
    more_settings=_more_settings,
    operations=(*OPERATIONS, *MEDIA_OPERATIONS),
    ends_by_password=True,
    converters=CONVERTERS,
)
