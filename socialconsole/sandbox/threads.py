"""Threads' consent and tokens as Meta's pages describe them: a code, a short token, a long one, a renewed one.

developers.facebook.com/documentation/threads/get-started/get-access-tokens-and-permissions; …/long-lived-tokens;
…/app-access-tokens; …/troubleshooting/debug-access-token. The apps here are reviewed ones.
"""

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from . import threads_posts
from .calls import operation
from .graph import GraphError, answer, say_error
from .oauth import Asked, Choice, Consent, Refused, consent_page, registered_app
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, Person, Play, Switch
from .shapes import https_only, letters, meta_credentials, on_loopback
from .state import App, Code, Grant
from .threads_api import (
    BASIC,
    CONVERTERS,
    PLATFORM,
    SCOPES,
    caller,
    only,
    own_token,
    parameter,
    picked_fields,
    refuse,
    threads,
)
from .world import world

SHORT_SECONDS = 3600
LONG_SECONDS = 5_183_944
CODE_SECONDS = 3600
YOUNGEST = 86_400
DATA_ACCESS_SECONDS = 90 * 86_400
ASKED = ("client_id", "redirect_uri", "scope", "response_type", "state")
CODE_FORM = ("client_id", "client_secret", "code", "grant_type", "redirect_uri")

bp = Blueprint("threads", __name__)
bp.register_error_handler(GraphError, say_error)


class NoCode(Exception):
    """A refused exchange of a code, which has an envelope of its own."""


@bp.errorhandler(NoCode)
def say_no_code(refused: NoCode) -> Response:
    """The refusal of the code exchange."""
    return answer({"error_type": "OAuthException", "code": 400, "error_message": str(refused)}, 400)


# Consent


def _read(args: Mapping[str, str]) -> Asked:
    if not args.get("client_id"):
        raise _as_json("No app ID was provided in the request.", 4476002)
    try:
        app, uri = registered_app(PLATFORM, args, lambda sent, registered: sent == registered)
    except LookupError as problem:
        raise _page(str(problem.args[0]), args) from problem
    strange = sorted(set(args) - set(ASKED))
    if strange or args.get("response_type") != "code":
        raise Refused("Something went wrong", f"Invalid parameter: {(strange or ['response_type'])[0]}", code="100")
    scopes = tuple(one for one in re.split(r"[,\s]+", args.get("scope", "")) if one)
    unknown = [one for one in scopes if one not in SCOPES]
    if unknown or BASIC not in scopes:
        words = f"Invalid scopes: {', '.join(unknown)}" if unknown else f"The scope must contain {BASIC}."
        raise Refused("Something went wrong", words, code="100")
    return Asked(app, uri, args.get("state"), scopes, all_or_nothing=False)


def _page(what: str, args: Mapping[str, str]) -> Refused:
    if what == "redirect_uri":
        words = "URL Blocked: This redirect failed because the redirect URI is not white-listed in the app's settings."
        return _as_json(words, 1349168)
    if world().app("facebook", args.get("client_id")) is not None:  # the other pair of the same Meta app
        return _as_json("No app ID was provided in the request.", 4476002)
    return _unknown_error()


def _unknown_error() -> Refused:
    return _as_json("An unknown error has occurred", 1)


def _as_json(words: str, code: int) -> Refused:
    """The page of the real one shows its bare answer."""
    return Refused("threads.com", json.dumps({"error_message": words, "error_code": code}), code=str(code))


def _allow(asked: Asked, choice: Choice) -> dict[str, str]:
    here = world()
    if asked.app.settings.get("development") and not choice.person.facts.get("tester"):
        raise _unknown_error()  # what a profile gets that did not accept an invitation as a tester
    granted = sorted({*choice.scopes, BASIC})
    standing = here.grants(PLATFORM, choice.person.id, asked.app.client_id)
    grant = standing[0] if standing else here.new_grant(asked.app, choice.person.id, granted)
    grant.scopes, grant.declined = granted, sorted(set(asked.scopes) - set(granted))
    grant.created_at = here.now()
    here.state.keep(grant)
    code = here.new_code(asked.app, choice.person, asked.redirect_uri, granted)
    code.grant_id = grant.id
    return {"code": code.value}


CONSENT = Consent(
    PLATFORM,
    "Threads",
    _read,
    _allow,
    {
        "deny": {
            "error": "access_denied",
            "error_reason": "user_denied",
            "error_description": "The user denied your request",
        }
    },
    fragment="#_",
    purposes=SCOPES,
    always=(BASIC,),
    by_username=True,
)


@bp.get("/threads.com/oauth/authorize")
@bp.get("/www.threads.net/oauth/authorize")
@operation(PLATFORM, "authorize", refuse)
def authorize() -> Response:
    """The consent page, at its present address and at the older one."""
    return consent_page(CONSENT)


@bp.post("/threads.com/oauth/authorize")
@bp.post("/www.threads.net/oauth/authorize")
def decide() -> Response:
    """The person's decision."""
    return consent_page(CONSENT)


# Tokens


@threads("/oauth/access_token", "token", ("POST",), on=bp, versioned=False)
def exchange() -> Response:
    """A code for a short token: parameters in a form, each of them once."""
    form = request.form
    if request.args or sorted(name for name, _ in form.items(multi=True)) != sorted(CODE_FORM):
        raise NoCode("Invalid request: send client_id, client_secret, code, grant_type and redirect_uri as a form")
    app = world().app(PLATFORM, form["client_id"])
    if app is None:
        raise NoCode("Error validating application. Cannot get application info due to a system error.")
    if not _is_secret_of(app, form["client_secret"]):
        raise NoCode("Error validating client secret.")
    if form["grant_type"] != "authorization_code":
        raise NoCode("Invalid grant_type")
    grant = _spend(app, form["code"], form["redirect_uri"])
    token = world().new_token(grant, "access", _token_value(), min(SHORT_SECONDS, app.access_seconds or SHORT_SECONDS))
    return answer({"access_token": token.value, "user_id": int(grant.person_id)})


def _is_secret_of(app: App, secret: str) -> bool:
    return secrets.compare_digest(secret.encode(), app.client_secret.encode())


def _token_value() -> str:
    return "THQ" + letters(120)


def _spend(app: App, value: str, redirect_uri: str) -> Grant:
    here = world()
    code = here.state.find(Code, value)
    life = CODE_SECONDS if app.code_seconds is None else app.code_seconds
    if code is None or code.client_id != app.client_id or code.used or here.now() >= code.issued_at + life:
        raise NoCode("Matching code was not found or was already used")
    if code.redirect_uri != redirect_uri:
        raise NoCode("Error validating verification code. Make sure your redirect_uri is the one you used before.")
    code.used = True
    here.state.keep(code)
    grant = here.state.find(Grant, code.grant_id)
    if grant is None or grant.dead:
        raise NoCode("Matching code was not found or was already used")
    return grant


@threads("/oauth/access_token", "token", on=bp, versioned=False)
def app_token() -> Response:
    """A token of the app itself, which tells that id and secret are right."""
    only("grant_type", "client_id", "client_secret")
    if parameter("grant_type") != "client_credentials":
        raise GraphError("(#100) Invalid grant_type", 100)
    if not parameter("client_id"):
        raise GraphError("No app ID was provided in the request.", 4476002)
    app = world().app(PLATFORM, parameter("client_id"))
    if app is None:
        raise GraphError("Error validating application. Cannot get application info due to a system error.", 101)
    if not _is_secret_of(app, parameter("client_secret")):
        raise GraphError("Error validating client secret.", 1)
    return answer({"access_token": f"TH|{app.client_id}|{letters(20)}", "token_type": "bearer"})


@threads("/access_token", "token", on=bp, versioned=False)
def lengthen() -> Response:
    """A short token for a long one."""
    only("grant_type", "client_secret", needed=("grant_type", "client_secret"))
    if request.form or parameter("grant_type") != "th_exchange_token":
        raise GraphError("(#100) Invalid grant_type", 100)
    who = caller()
    if not _is_secret_of(who.app, parameter("client_secret")):
        raise GraphError("Error validating client secret.", 1)
    if who.token.long:
        raise GraphError("(#100) This token is a long-lived one already.", 100)
    return _long_token(who.grant, who.app)


@threads("/refresh_access_token", "refresh", on=bp, versioned=False)
def renew() -> Response:
    """Longer life for a long token that is a day old and has not run out. No secret is asked for."""
    only("grant_type", needed=("grant_type",))
    if request.form or parameter("grant_type") != "th_refresh_token":
        raise GraphError("(#100) Invalid grant_type", 100)
    who = caller(BASIC)
    if not who.token.long:
        raise GraphError("(#100) Only long-lived tokens can be refreshed.", 100)
    if world().now() < who.token.issued_at + YOUNGEST:
        raise GraphError("(#100) A token must be at least 24 hours old to be refreshed.", 100)
    return _long_token(who.grant, who.app)


def _long_token(grant: Grant, app: App) -> Response:
    seconds = app.access_seconds or LONG_SECONDS
    token = world().new_token(grant, "access", _token_value(), seconds)
    token.long = True
    world().state.keep(token)
    return answer({"access_token": token.value, "token_type": "bearer", "expires_in": seconds})


@threads("/debug_token", "inspect", on=bp)
def debug_token() -> Response:
    """What a token is. The token that asks has to be a tester's, which not everybody's is."""
    only("input_token", needed=("input_token",))
    who = caller()
    if not who.person.facts.get("tester"):
        raise GraphError("(#10) The access token must belong to a Threads Tester of the app", 10, status=403)
    token = own_token(parameter("input_token"))
    grant = world().grant_of(token)
    if grant.client_id != who.app.client_id:
        raise GraphError("(#100) The input_token belongs to another app", 100)
    is_valid = not world().ended(token)
    facts: dict[str, Any] = {
        "type": "USER",
        "application": who.app.name,
        "data_access_expires_at": int(grant.created_at + DATA_ACCESS_SECONDS),
        "expires_at": int(token.expires_at or 0),
        "is_valid": is_valid,
        "issued_at": int(token.issued_at),
        "scopes": grant.scopes if is_valid else [],
        "user_id": grant.person_id,
    }
    return answer({"data": facts})


# The profile


PROFILE_FIELDS = (
    "id", "username", "name", "threads_profile_picture_url", "threads_biography", "is_verified",
    "is_eligible_for_geo_gating",
)  # fmt: skip


@threads("/me", "profile", on=bp)
def me() -> Response:
    """The profile that the token belongs to. One without a name has no such field."""
    only("fields")
    person = caller(BASIC).person
    everything = {
        "id": person.id,
        "username": person.username,
        "name": person.name if person.facts.get("has_name", True) else None,
        "threads_profile_picture_url": world().address(
            "scontent.cdninstagram.com", f"v/threads/{person.id}/picture_400x400.png"
        ),
        "threads_biography": person.facts.get("biography", ""),
        "is_verified": person.facts.get("verified", False),
        "is_eligible_for_geo_gating": False,
    }
    names = picked_fields(PROFILE_FIELDS)
    return answer({"id": person.id} | {name: everything[name] for name in names if everything[name] is not None})


@bp.get("/scontent.cdninstagram.com/v/threads/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A portrait."""
    return picture_answer(owner, name)


PEOPLE = (
    Person(
        PLATFORM,
        "17841405793187218",
        "Harbour Bakery",
        "harbourbakery",
        "hello@bakery.example",
        facts={"tester": True, "biography": "Bread from the quay.", "verified": True},
    ),
    Person(
        PLATFORM,
        "17841405793187302",
        "Quiet Corner",
        "quietcorner",
        "hello@quiet.example",
        protected=True,
        facts={"has_name": False},
    ),
    Person(
        PLATFORM,
        "17841405793187417",
        "Lea Limits",
        "lealimits",
        "lea@mail.example",
        facts={"tester": True, "restricted": True},
    ),
)


def _redirect_problem(uri: str, accept_http_loopback: bool) -> str:
    """https only, and this machine never, not even with https (Get Access Tokens)."""
    problem = https_only(uri, accept_http_loopback)
    if not problem and on_loopback(uri) and not accept_http_loopback:
        return "Threads does not take an address on this machine. Turn on “Accept http on loopback” for this app first."
    return problem


def _facts_of_person(here: object, who: Person) -> dict[str, Any]:
    return dict(who.facts)


PLAY = Play(
    platform=PLATFORM,
    label="Threads",
    people=PEOPLE,
    blueprints=(bp, threads_posts.bp),
    credentials=meta_credentials,
    id_labels=("Threads app ID", "Threads app secret"),
    switches=(
        Switch("replies_need_scope", "Replies need threads_manage_replies", default=True),
        Switch("takes_for_spam", "Takes every post for spam"),
        Switch("development", "The app is not published", hint="Only Threads Testers can sign in."),
    ),
    redirect_problem=_redirect_problem,
    operations=(*OPERATIONS, *MEDIA_OPERATIONS, "inspect", "quota"),
    ends_by_password=True,
    facts_of_person=_facts_of_person,
    converters=CONVERTERS,
)
