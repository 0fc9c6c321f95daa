"""Instagram's own login as Meta's pages describe it, the people there, and what the generic files have to know.

developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login. The login through
Facebook stands in `instagram_pages.py`, what both share in publishing in `instagram_media.py`.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request

from . import instagram_graph, instagram_media
from .calls import operation
from .graph import GraphError, answer, check_alive, new_token_value, parameter, picked_fields, refuse, say_error
from .graph import unreadable_token as unreadable
from .instagram_graph import (
    CONVERTERS,
    DIRECT,
    OWN_HOST,
    PLATFORM,
    THROUGH_PAGE,
    caller,
    known_person,
    only,
    own_account,
    picture_of,
)
from .instagram_pages import LONG_SECONDS  # its routes register themselves
from .oauth import Asked, Choice, Consent, Refused, consent_page, registered_app
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, TEAM_ONLY, Page, Person, Play, Switch
from .shapes import digits, meta_credentials
from .state import App, Code, Grant, Post, Token
from .world import World, world

SHORT_SECONDS, CODE_SECONDS = 3600, 3600
OLD_ENOUGH = 24 * 3600

SCOPES = {
    "instagram_business_basic": "View profile and access media",
    "instagram_business_content_publish": "Publish content",
    "instagram_business_manage_insights": "View insights",
    "instagram_business_manage_comments": "Manage comments",
    "instagram_business_manage_messages": "Manage messages",
}
PARAMETERS = ("client_id", "redirect_uri", "response_type", "scope", "state", "force_reauth", "enable_fb_login")

bp = Blueprint("instagram", __name__)
bp.register_error_handler(GraphError, say_error)


@bp.app_errorhandler(Refused)
def say_refused(refused: Refused) -> Response:
    """A page of Instagram's own, when Allow leads nowhere."""
    return make_response(render_template("refused.html", consent=CONSENT, refused=refused), refused.status)


# ---------------------------------------------------------------- consent


def _read(args: Mapping[str, str]) -> Asked:
    strange = sorted(set(args) - set(PARAMETERS))
    if strange:
        raise Refused("Invalid Request", f"Invalid parameter: {strange[0]}")
    try:
        app, uri = registered_app(PLATFORM, args, lambda sent, registered: sent == registered)
    except LookupError as problem:
        raise _page(str(problem.args[0]), args) from problem
    if app.mode != DIRECT:
        raise Refused("Invalid platform app", "Invalid Request: Request parameters are invalid: Invalid platform app")
    if args.get("response_type") != "code":
        raise Refused("Invalid Request", "Request parameters are invalid: Invalid response_type")
    scopes = tuple(one for one in re.split(r"[,\s]+", args.get("scope", "")) if one)
    if not scopes or "instagram_business_basic" not in scopes or any(one not in SCOPES for one in scopes):
        raise Refused("Invalid Request", "Request parameters are invalid: Invalid scope")
    return Asked(app, uri, args.get("state"), scopes, all_or_nothing=False)


def _page(what: str, args: Mapping[str, str]) -> Refused:
    if what == "redirect_uri":
        return Refused("Invalid Request", "Request parameters are invalid: Invalid redirect_uri")
    if world().app("facebook", args.get("client_id")) is not None:
        return Refused("Invalid platform app", "Invalid Request: Request parameters are invalid: Invalid platform app")
    words = "The link you followed may be broken, or the page may have been removed."
    return Refused("Sorry, this page isn't available.", words, status=404)


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    here = world()
    if asked.app.settings.get("development") and not choice.person.facts.get("role", True):
        raise Refused("Insufficient Developer Role", "Insufficient Developer Role: the account is no Instagram Tester "
                                                     "of this app.", status=403)
    if own_account(choice.person) is None:
        raise Refused("Switch to a professional account", "This app can only be used with professional accounts.")
    granted = sorted(set(choice.scopes) | {"instagram_business_basic"})
    standing = here.grants(PLATFORM, choice.person.id, asked.app.client_id)
    grant = standing[0] if standing else here.new_grant(asked.app, choice.person.id, [])
    grant.scopes = granted
    grant.declined = sorted(set(asked.scopes) - set(granted))
    here.state.keep(grant)
    code = here.new_code(asked.app, choice.person, asked.redirect_uri, granted)
    code.grant_id = grant.id
    here.state.keep(code)
    return {"code": code.value}


CONSENT = Consent(
    PLATFORM, "Instagram", _read, _allow,
    {"deny": {"error": "access_denied", "error_reason": "user_denied",
              "error_description": "The user denied your request"}},
    fragment="#_", purposes=SCOPES, always=("instagram_business_basic",), by_username=True,
)


@bp.get("/www.instagram.com/oauth/authorize")
@operation(PLATFORM, "authorize", refuse)
def authorize() -> Response:
    """The consent page."""
    return consent_page(CONSENT)


@bp.post("/www.instagram.com/oauth/authorize")
def decide() -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# ---------------------------------------------------------------- tokens


class _NoToken(Exception):
    """What api.instagram.com says in its own envelope."""


@bp.errorhandler(_NoToken)
def say_no_token(error: _NoToken) -> Response:
    """The envelope of api.instagram.com."""
    response = jsonify(error_type="OAuthException", code=400, error_message=str(error))
    response.status_code = 400
    return response


@bp.get("/api.instagram.com/oauth/access_token")
@operation(PLATFORM, "token", refuse)
def not_by_get() -> Response:
    """The exchange of a code is a POST."""
    raise GraphError("Unsupported request - method type: get", 100)


@bp.post("/api.instagram.com/oauth/access_token")
@operation(PLATFORM, "token", refuse)
def short_token() -> Response:
    """Code for a short token; what was granted is told here and nowhere else."""
    form, here = request.form, world()
    wanted = {"client_id", "client_secret", "grant_type", "redirect_uri", "code"}
    if request.args or set(form) - wanted or not wanted <= set(form):
        strange = sorted({*request.args, *form} ^ wanted)
        raise _NoToken(f"Invalid parameter: {strange[0] if strange else 'query'}")
    app = here.app(PLATFORM, form["client_id"])
    if app is None or app.mode != DIRECT:
        raise _NoToken("Invalid platform app")
    if form["grant_type"] != "authorization_code":
        raise _NoToken("Invalid grant_type")
    code = here.state.find(Code, form["code"])
    life = CODE_SECONDS if app.code_seconds is None else app.code_seconds
    if code is None or code.client_id != app.client_id or code.used or here.now() >= code.issued_at + life:
        raise _NoToken("Matching code was not found or was already used")
    # A wrong secret is told like a wrong address, as the real one does.
    right = secrets.compare_digest(form["client_secret"].encode(), app.client_secret.encode())
    if not right or form["redirect_uri"] != code.redirect_uri:
        raise _NoToken("Error validating verification code. Please make sure your redirect_uri is identical to the one "
                       "you used in the OAuth dialog request")
    code.used = True
    here.state.keep(code)
    grant = here.state.find(Grant, code.grant_id)
    if grant is None or grant.dead:
        raise _NoToken("Matching code was not found or was already used")
    token = here.new_token(grant, "access", _token_value(), min(SHORT_SECONDS, app.access_seconds or SHORT_SECONDS))
    return answer(_exchange_answer(app, grant, token))


def _exchange_answer(app: App, grant: Grant, token: Token) -> dict[str, Any]:
    """Two shapes are known, with ids of two kinds and permissions as a text or a list."""
    own = own_account(world().person_of(grant))
    if own is None:
        raise unreadable()
    if app.settings["flat_exchange"]:
        return {"access_token": token.value, "user_id": int(own.id), "permissions": grant.scopes}
    return {"data": [{"access_token": token.value, "user_id": own.app_scoped_id,
                      "permissions": ",".join(grant.scopes)}]}


def _token_value() -> str:
    return "IGAA" + new_token_value()[4:]


def _held_token() -> tuple[Token, Grant, App]:
    token = world().state.find(Token, parameter("access_token"))
    grant = world().grant_of(token) if token else None
    app = world().app(PLATFORM, grant.client_id) if grant else None
    if token is None or grant is None or app is None or app.mode != DIRECT:
        raise unreadable()
    return token, grant, app


@bp.get(f"/{OWN_HOST}/access_token")
@operation(PLATFORM, "token", refuse)
def long_token() -> Response:
    """A short token for one of 60 days."""
    _exactly("grant_type", "client_secret", "access_token", may=("client_id",))
    if parameter("grant_type") != "ig_exchange_token":
        raise GraphError("Invalid grant_type", 100)
    token, grant, app = _held_token()
    if not secrets.compare_digest(parameter("client_secret").encode(), app.client_secret.encode()):
        raise GraphError("Error validating client secret.", 100)
    check_alive(token)
    if token.long:
        raise GraphError("The access token is a long-lived one already", 100)
    return _long(grant, app)


@bp.get(f"/{OWN_HOST}/refresh_access_token")
@operation(PLATFORM, "refresh", refuse)
def refresh() -> Response:
    """A long token of a day or more for a newer one; no secret is asked for."""
    _exactly("grant_type", "access_token")
    if parameter("grant_type") != "ig_refresh_token":
        raise GraphError("Invalid grant_type", 100)
    token, grant, app = _held_token()
    check_alive(token)
    if not token.long or world().now() - token.issued_at < OLD_ENOUGH:
        raise GraphError("The access token must be a long-lived one that is at least 24 hours old", 100)
    if "instagram_business_basic" not in grant.scopes:
        raise GraphError("(#10) Application does not have permission for this action", 10, status=403)
    return _long(grant, app)


def _long(grant: Grant, app: App) -> Response:
    seconds = app.access_seconds or LONG_SECONDS
    token = world().new_token(grant, "access", _token_value(), seconds)
    token.long = True
    world().state.keep(token)
    return answer({"access_token": token.value, "token_type": "bearer", "expires_in": seconds})


def _exactly(*names: str, may: tuple[str, ...] = ()) -> None:
    """These parameters, each once and nothing else. Raises GraphError."""
    sent = list(request.args)
    wrong = sorted((set(sent) - {*names, *may}) | (set(names) - set(sent)))
    if wrong:
        raise GraphError(f"(#100) Missing or unexpected parameter: {wrong[0][:60]}", 100)


# ---------------------------------------------------------------- the account


@bp.get(f"/{OWN_HOST}/<graph_version:version>/me")
@operation(PLATFORM, "profile", refuse)
def me(version: str) -> Response:
    """The account that signed in."""
    only("fields")
    who = caller()
    who.needs(("instagram_business_basic",), ())
    own = own_account(who.person)
    if own is None:
        raise GraphError("The user is not an Instagram Business", 10)
    everything: dict[str, Any] = {
        "user_id": own.id, "username": own.username, "name": own.name or None, "account_type": own.account_type,
        "profile_picture_url": picture_of(own), "followers_count": 120, "media_count": 8}
    facts = {one: everything[one] for one in picked_fields(["user_id", "username"]) if everything.get(one) is not None}
    facts["id"] = own.app_scoped_id
    return answer({"data": [facts]} if who.app.settings["listed_profile"] else facts)


# ---------------------------------------------------------------- addresses that people open


@bp.get("/scontent.cdninstagram.com/v/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A portrait."""
    return picture_answer(owner, name)


@bp.get("/www.instagram.com/<kind>/<shortcode>/")
def web_page(kind: str, shortcode: str) -> Response:
    """A post's own page."""
    found = [post for post in world().state.all(Post) if post.platform == PLATFORM
             and post.permalink.endswith(f"/{kind}/{shortcode}/")]
    return make_response(redirect(f"/timeline/{PLATFORM}/{found[0].id}" if found else "/timeline"))


# ---------------------------------------------------------------- the play

PEOPLE = (
    Person(
        PLATFORM, "720000000000201", "Lena Vogt", "harbour.bakery", "lena@mail.example",
        pages=(
            Page("910100000000001", "Harbour Bakery Page", "harbourbakerypage", "Bakery"),
            Page("910100000000002", "Linden Cycles Page", "lindencyclespage", "Bicycle Shop"),
            Page("910100000000003", "Without Instagram", "withoutinstagram", "Community"),
            Page("910100000000004", "Only Numbers", "onlynumbers", "Community", tasks=("ANALYZE",)),
        ),
        facts={"account": "17841405793187218"},
    ),
    Person(PLATFORM, "720000000000202", "Timo Brandt", "timo.at.home", "timo@mail.example"),
    Person(
        PLATFORM, "720000000000203", "Nadia Reyes", "nadia.draws", "nadia@mail.example",
        pages=(Page("910300000000001", "Studio Reyes", "studioreyes", "Design Studio", portfolio=True),),
        facts={"account": "17841405793188001", "role": False},  # nobody of the app's team
    ),
)


def _more_settings(mode: str) -> dict[str, str]:
    return {"config_id": digits(15) if mode == THROUGH_PAGE else ""}


def _facts(here: World, who: Person) -> dict[str, Any]:
    own = own_account(who)
    return {"account": vars(own) if own else None}


PLAY = Play(
    platform=PLATFORM,
    label="Instagram",
    people=PEOPLE,
    blueprints=(instagram_graph.bp, bp, instagram_media.bp),
    credentials=meta_credentials,
    id_labels=("App ID", "App secret"),
    modes=(THROUGH_PAGE, DIRECT),
    mode_labels={THROUGH_PAGE: "Through a Facebook Page", DIRECT: "Instagram login"},
    switches=(
        Switch("login_for_business", "Uses Facebook Login for Business", hint="Takes config_id, and bytes of videos."),
        Switch("flat_exchange", "Answers the code with one flat object"),
        Switch("listed_profile", "Answers /me with a list of one"),
        *TEAM_ONLY,
        Switch("instagram_use_case", "Has the use case for Instagram", default=True),
    ),
    more_settings=_more_settings,
    operations=(*OPERATIONS, *MEDIA_OPERATIONS, "container", "quota", "comment"),
    ends_by_password=True,
    facts_of_person=_facts,
    find_person=lambda here, known_as: known_person(known_as),
    converters=CONVERTERS,
)
