"""Instagram through Facebook's login: the dialog, the tokens, and the Pages that accounts are linked to.

developers.facebook.com: Manually Build a Login Flow; Access Tokens; Instagram API with Facebook Login, Get Started. The
addresses are Facebook's own; here they answer the apps of Instagram (`instagram_graph.answer_our_apps`).
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Response

from .graph import (
    GraphError,
    answer,
    check_alive,
    check_proof,
    check_role,
    ending,
    gone,
    new_token_value,
    paged,
    parameter,
    picked_fields,
    sent_token,
    unreadable_token,
)
from .instagram_graph import (
    PLATFORM,
    THROUGH_PAGE,
    Account,
    Caller,
    account_of_page,
    caller,
    only,
    picture_of,
    shared_route,
)
from .oauth import Asked, Choice, Consent, Refused, SentBack, consent_page, registered_app
from .people import Page
from .state import App, Code, Grant, Token
from .world import world

SHORT_SECONDS, LONG_SECONDS, CODE_SECONDS = 5106, 5_183_944, 600
BUSINESS_ID, BUSINESS_NAME = "610000000000201", "Reyes Group"

SCOPES = {
    "public_profile": "Your name and picture",
    "email": "Your e-mail address",
    "instagram_basic": "Access the profile and posts of the Instagram account",
    "instagram_content_publish": "Upload media and create posts for the Instagram account",
    "instagram_manage_insights": "Access insights for the Instagram account",
    "instagram_manage_comments": "Manage comments for the Instagram account",
    "instagram_manage_messages": "Manage messages of the Instagram account",
    "instagram_manage_contents": "Delete posts of the Instagram account",
    "pages_show_list": "Show a list of the Pages you manage",
    "pages_read_engagement": "Read content posted on the Page",
    "pages_manage_metadata": "Manage accounts, settings and webhooks for a Page",
    "business_management": "Manage your business",
    "ads_read": "Read your ads",
    "ads_management": "Manage your ads",
}
WITHOUT_USE_CASE = ("public_profile", "email")  # all that an app has to which no use case was added
CONFIGURED = ("public_profile", "instagram_basic", "instagram_content_publish", "instagram_manage_insights",
              "instagram_manage_comments", "instagram_manage_contents", "pages_show_list", "pages_read_engagement",
              "business_management")
DIALOG = ("client_id", "redirect_uri", "state", "response_type", "scope", "config_id", "auth_type", "display",
          "return_scopes", "extras")

# ---------------------------------------------------------------- consent


def _read(args: Mapping[str, str]) -> Asked:
    strange = sorted(set(args) - set(DIALOG))
    if strange:
        raise _page(strange[0])
    try:
        app, uri = registered_app(PLATFORM, args, lambda sent, registered: sent == registered)
    except LookupError as problem:
        raise _page(str(problem.args[0])) from problem
    # An Instagram app id means nothing to Facebook's dialog.
    if app.mode != THROUGH_PAGE:
        raise _page("client_id")
    if args.get("response_type", "code") != "code":
        raise _page("response_type")
    configured = args.get("config_id")
    if configured is not None:
        if not app.settings["login_for_business"] or configured != app.settings["config_id"] or "scope" in args:
            raise _page("config_id")
        return Asked(app, uri, args.get("state"), CONFIGURED, all_or_nothing=True)
    scopes = tuple(one for one in re.split(r"[,\s]+", args.get("scope", "public_profile")) if one)
    asked = Asked(app, uri, args.get("state"), scopes, all_or_nothing=bool(app.settings["login_for_business"]))
    owned = SCOPES if app.settings.get("instagram_use_case", True) else WITHOUT_USE_CASE
    unknown = [one for one in scopes if one not in owned]
    if unknown:
        words = f"Invalid Scopes: {', '.join(unknown)}. This message is only shown to developers."
        raise SentBack(uri, asked.back({"error_code": "100", "error_message": words}))
    return asked


def _page(what: str) -> Refused:
    if what == "redirect_uri":
        return Refused("URL Blocked", "This redirect failed because the redirect URI is not white-listed in the app's "
                                      "client OAuth settings.", code="1349168")
    if what == "client_id":
        return Refused("Invalid App ID", "The provided app ID does not look like a valid app ID.", code="101")
    return Refused("Sorry, something went wrong", f"Invalid parameter: {what}.", code="100")


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    here = world()
    check_role(asked.app, choice.person)
    granted = set(choice.scopes) | {"public_profile"} & set(asked.scopes)
    standing = here.grants(PLATFORM, choice.person.id, asked.app.client_id)
    grant = standing[0] if standing else here.new_grant(asked.app, choice.person.id, [])
    declined = set(asked.scopes) - granted
    grant.scopes = sorted((set(grant.scopes) | granted) - declined)
    grant.declined = sorted((set(grant.declined) | declined) - granted)
    grant.pages = list(choice.pages)
    grant.created_at = here.now()
    here.state.keep(grant)
    code = here.new_code(asked.app, choice.person, asked.redirect_uri, grant.scopes)
    code.grant_id = grant.id
    here.state.keep(code)
    return {"code": code.value}


CONSENT = Consent(
    PLATFORM, "Facebook", _read, _allow,
    {"deny": {"error": "access_denied", "error_code": "200", "error_reason": "user_denied",
              "error_description": "Permissions error"}},
    with_pages=True, fragment="#_=_", purposes=SCOPES, always=("public_profile",),
)


@shared_route("/dialog/oauth", "authorize", ("GET", "POST"), on="www.facebook.com")
def dialog() -> Response:
    """The consent page, and the decision."""
    return consent_page(CONSENT)


# ---------------------------------------------------------------- tokens


def _token_operation() -> str:
    return "refresh" if parameter("grant_type") == "fb_exchange_token" else "token"


@shared_route("/oauth/access_token", _token_operation, ("GET", "POST"))
def access_token() -> Response:
    """Code for a short token, short token for a long one, or an app token."""
    only("client_id", "client_secret", "redirect_uri", "code", "grant_type", "fb_exchange_token")
    app = world().app(PLATFORM, parameter("client_id"))
    if app is None or app.mode != THROUGH_PAGE:
        raise GraphError("Error validating application. Cannot get application info due to a system error.", 101)
    if not secrets.compare_digest(parameter("client_secret").encode(), app.client_secret.encode()):
        raise GraphError("Error validating client secret.", 1)
    sort = parameter("grant_type") or "authorization_code"
    if sort == "client_credentials":
        return answer({"access_token": f"{app.client_id}|{app.client_secret}", "token_type": "bearer"})
    if sort == "fb_exchange_token":
        old = world().state.find(Token, parameter("fb_exchange_token"))
        if old is None or old.role != "access" or world().grant_of(old).client_id != app.client_id:
            raise unreadable_token()
        check_alive(old)
        return _user_token(world().grant_of(old), app.access_seconds or LONG_SECONDS, long=True)
    if sort != "authorization_code":
        raise GraphError(f"Unsupported grant_type: {sort[:40]}", 100)
    return _short_token(app)


def _short_token(app: App) -> Response:
    here = world()
    code = here.state.find(Code, parameter("code"))
    if code is None or code.client_id != app.client_id:
        raise GraphError("Invalid verification code format.", 100)
    if code.used:
        raise GraphError("This authorization code has been used.", 100, 36009)
    if here.now() >= code.issued_at + (CODE_SECONDS if app.code_seconds is None else app.code_seconds):
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


def _user_token(grant: Grant, seconds: int, *, long: bool) -> Response:
    token = world().new_token(grant, "access", new_token_value(), seconds)
    token.long = long
    world().state.keep(token)
    return answer({"access_token": token.value, "token_type": "bearer", "expires_in": seconds})


# ---------------------------------------------------------------- the person


def _person() -> Caller:
    who = caller()
    if who.is_page:
        raise GraphError("(#100) Tried accessing nonexisting field on node type (Page)", 100)
    return who


@shared_route("/me", "profile")
def me() -> Response:
    """The person of the token."""
    only("fields")
    who = _person()
    name = {"name": who.person.name} if "name" in picked_fields(["name"]) else {}
    return answer(name | {"id": who.person.id})


@shared_route("/me/permissions", "profile")
def permissions() -> Response:
    """What the person granted and declined."""
    only()
    who = _person()
    rows = [{"permission": one, "status": "granted"} for one in who.grant.scopes]
    return answer({"data": rows + [{"permission": one, "status": "declined"} for one in who.grant.declined]})


@shared_route("/<node:person_id>/permissions", "revoke", ("DELETE",))
def remove(person_id: str) -> Response:
    """Removes the app for this person, with every Page and account behind it."""
    only()
    who = _person()
    if person_id != who.person.id:
        raise gone(person_id)
    world().end_grant(who.grant, "revoked")
    return answer({"success": True})


@shared_route("/debug_token", "profile")
def debug_token() -> Response:
    """What a token is."""
    only("input_token")
    client_id, bar, secret = sent_token().partition("|")
    app = world().app(PLATFORM, client_id) if bar else caller().app
    if app is None or (bar and not secrets.compare_digest(secret.encode(), app.client_secret.encode())):
        raise GraphError("Invalid OAuth access token signature.", 190)
    check_proof(app, sent_token())
    token = world().state.find(Token, parameter("input_token"))
    if token is None or world().grant_of(token).client_id != app.client_id:
        raise GraphError("(#100) The App_id in the input_token did not match the Viewing App", 100)
    grant, dead = world().grant_of(token), ending(token)
    facts: dict[str, Any] = {
        "app_id": app.client_id, "type": "PAGE" if token.role == "page" else "USER", "application": app.name,
        "expires_at": 0 if token.expires_at is None else int(token.expires_at), "is_valid": dead is None,
        "issued_at": int(token.issued_at), "scopes": grant.scopes, "user_id": grant.person_id}
    return answer({"data": facts | ({"profile_id": token.page_id} if token.page_id else {})})


# ---------------------------------------------------------------- Pages


@shared_route("/me/accounts", "profile")
def accounts() -> Response:
    """The Pages the person has a role on, and the accounts linked to them."""
    who = _person()
    open_ = "business_management" in who.grant.scopes
    pages = [page for page in who.person.pages if open_ or not page.portfolio]
    return _page_list(who, pages if "pages_show_list" in who.grant.scopes else [])


@shared_route("/me/businesses", "profile")
def businesses() -> Response:
    """The business portfolios the person belongs to."""
    only("fields", "limit", "after")
    who = _person()
    _needs_portfolio(who)
    owner = any(page.portfolio for page in who.person.pages)
    return answer({"data": [{"id": BUSINESS_ID, "name": BUSINESS_NAME}] if owner else []})


@shared_route("/<node:business_id>/owned_pages", "profile")
def owned_pages(business_id: str) -> Response:
    """The Pages a portfolio owns."""
    who = _person()
    _needs_portfolio(who)
    if business_id != BUSINESS_ID:
        raise gone(business_id)
    return _page_list(who, [page for page in who.person.pages if page.portfolio])


@shared_route("/<node:business_id>/client_pages", "profile")
def client_pages(business_id: str) -> Response:
    """The Pages a portfolio looks after for others; there are none here."""
    only("fields", "limit", "after")
    _needs_portfolio(_person())
    if business_id != BUSINESS_ID:
        raise gone(business_id)
    return answer({"data": []})


def _needs_portfolio(who: Caller) -> None:
    who.needs((), ("business_management",))


def _page_list(who: Caller, pages: list[Page]) -> Response:
    only("fields", "limit", "after")
    if who.app.settings["login_for_business"]:
        pages = [page for page in pages if page.id in who.grant.pages]
    return answer(paged([_page_facts(who, page) for page in pages], "me/accounts"))


def _page_facts(who: Caller, page: Page) -> dict[str, Any]:
    linked = account_of_page(page.id) if "instagram_basic" in who.grant.scopes else None
    everything: dict[str, Any] = {
        "name": page.name, "tasks": list(page.tasks), "category": page.category,
        "access_token": _page_token(who, page) if page.id in who.grant.pages else None,
        "instagram_business_account": _linked_facts(linked) if linked else None,
    }
    chosen = {one: everything[one] for one in picked_fields(["name", "access_token", "tasks", "category"])
              if everything.get(one) is not None}
    return chosen | {"id": page.id}


def _linked_facts(linked: Account) -> dict[str, Any]:
    """Only its id, unless fields are named in braces."""
    wanted = re.search(r"instagram_business_account\{([^}]*)\}", parameter("fields"))
    names = wanted.group(1).split(",") if wanted else []
    everything = account_facts(linked)
    return {one: everything[one] for one in names if everything.get(one) is not None} | {"id": linked.id}


def account_facts(one: Account) -> dict[str, Any]:
    """What there is to read about an account on graph.facebook.com."""
    return {"username": one.username, "name": one.name or None, "profile_picture_url": picture_of(one),
            "followers_count": 120, "media_count": 8, "biography": "", "website": ""}


def _page_token(who: Caller, page: Page) -> str:
    """The Page's token: one of a short token dies with it, one of a long token never ends."""
    here = world()
    for token in here.tokens(who.grant, "page"):
        if token.parent == who.token.value and token.page_id == page.id:
            return token.value
    ends = who.token.expires_at
    seconds = None if who.token.long or ends is None else ends - here.now()
    return here.new_token(who.grant, "page", new_token_value(), seconds, parent=who.token.value, page_id=page.id).value
