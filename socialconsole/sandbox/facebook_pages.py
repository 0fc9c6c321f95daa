"""The Graph's edges around people and Pages: which there are, what was granted, what a token is, taking back.

developers.facebook.com: Page; Debug Token; Requesting and Revoking Permissions.
"""

import re
from typing import Any

from flask import Blueprint, Response

from . import people
from .graph import (
    NODES,
    PLATFORM,
    REMOVERS,
    Caller,
    GraphError,
    answer,
    caller,
    calling_app,
    ending,
    gone,
    graph,
    known_only,
    new_token_value,
    only,
    paged,
    parameter,
    picked_fields,
    say_error,
)
from .people import Page, Person
from .state import Token
from .world import world

BUSINESS_ID = "610000000000001"
BUSINESS_NAME = "Duarte Group"
DATA_ACCESS_SECONDS = 90 * 86_400
PAGE_SCOPE = re.compile(r"pages_|read_insights")
DEFAULT_PAGE_FIELDS = ["access_token", "category", "name", "id", "tasks"]

bp = Blueprint("facebook_pages", __name__)
bp.register_error_handler(GraphError, say_error)


def _need(who: Caller, *scopes: str) -> None:
    missing = [scope for scope in scopes if scope not in who.grant.scopes]
    if missing:
        raise GraphError(f"(#200) Requires {' and '.join(missing)} permission to manage the object", 200, status=403)


# People and what they granted


@graph("/me", "profile", on=bp)
def me() -> Response:
    """The person, or the Page, that the token belongs to."""
    who = caller()
    only("fields")
    return node(who.token.page_id or who.grant.person_id)


@graph("/me/permissions", "profile", on=bp)
def permissions() -> Response:
    """What the person granted and declined; a Page has no such edge."""
    who = caller()
    only()
    if who.is_page:
        raise GraphError("(#100) Tried accessing nonexisting field (permissions) on node type (Page)", 100)
    rows = [{"permission": scope, "status": "granted"} for scope in who.grant.scopes]
    return answer({"data": rows + [{"permission": scope, "status": "declined"} for scope in who.grant.declined]})


@graph("/<node:user_id>/permissions", "revoke", ("DELETE",), on=bp)
@graph("/<node:user_id>/permissions/<permission>", "revoke", ("DELETE",), on=bp)
def remove_permissions(user_id: str, permission: str = "") -> Response:
    """Takes one permission back, or removes the app for this person, with every Page behind it."""
    who = caller()
    if who.is_page or user_id != who.grant.person_id:
        raise gone(user_id)
    return _remove(who, permission)


@graph("/me/permissions", "revoke", ("DELETE",), on=bp)
def remove_my_permissions() -> Response:
    """The same for the person of the token."""
    who = caller()
    if who.is_page:
        raise GraphError("(#100) Tried accessing nonexisting field (permissions) on node type (Page)", 100)
    return _remove(who, "")


def _remove(who: Caller, permission: str) -> Response:
    if not permission:
        world().end_grant(who.grant, "revoked")
    elif permission in who.grant.scopes:
        who.grant.scopes.remove(permission)
        who.grant.declined.append(permission)
        world().state.keep(who.grant)
    return answer({"success": True})


@graph("/debug_token", "profile", on=bp)
def debug_token() -> Response:
    """What a token is: sort, scopes, expiry, and which Pages it was granted for."""
    only("input_token")
    app = calling_app()
    client_id = app.client_id if app else caller().app.client_id
    token = world().state.find(Token, parameter("input_token"))
    if token is None or world().grant_of(token).platform != PLATFORM:
        error = {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"}
        return answer({"data": {"error": error, "is_valid": False, "scopes": []}})
    if world().grant_of(token).client_id != client_id:
        raise GraphError("(#100) The App_id in the input_token did not match the Viewing App", 100)
    return answer({"data": _token_facts(token)})


def _token_facts(token: Token) -> dict[str, Any]:
    grant = world().grant_of(token)
    app = world().app(PLATFORM, grant.client_id)
    facts: dict[str, Any] = {
        "app_id": grant.client_id,
        "type": "PAGE" if token.role == "page" else "USER",
        "application": app.name if app else "",
        "data_access_expires_at": int(grant.created_at + DATA_ACCESS_SECONDS),
        "expires_at": 0 if token.expires_at is None else int(token.expires_at),
        "is_valid": True,
        "issued_at": int(token.issued_at),
        "scopes": grant.scopes,
        "granular_scopes": [
            _granular(scope, grant.pages) for scope in grant.scopes if _is_granular(scope, grant.pages)
        ],
        "user_id": grant.person_id,
    }
    if token.page_id:
        facts["profile_id"] = token.page_id
    error = ending(token)
    if error:
        facts |= {"is_valid": False}
        facts["error"] = {"code": error.code, "message": error.message, "subcode": error.subcode}
    return facts


def _is_granular(scope: str, pages: list[str]) -> bool:
    # An entry without targets would mean "all Pages", so with none ticked there is no entry for a Page's scope.
    return bool(pages) or not PAGE_SCOPE.match(scope)


def _granular(scope: str, pages: list[str]) -> dict[str, Any]:
    return {"scope": scope, "target_ids": pages} if PAGE_SCOPE.match(scope) else {"scope": scope}


# Pages


@graph("/me/accounts", "profile", on=bp)
def accounts() -> Response:
    """The Pages the person has a role on."""
    who = caller()
    only("fields", "limit", "after")
    if who.is_page:
        raise GraphError("(#100) Tried accessing nonexisting field (accounts) on node type (Page)", 100)
    person = world().person_of(who.grant)
    open_ = "business_management" in who.grant.scopes
    pages = [page for page in person.pages if open_ or not page.portfolio]
    return _page_list(who, pages if "pages_show_list" in who.grant.scopes else [])


@graph("/me/businesses", "profile", on=bp)
def businesses() -> Response:
    """The business portfolios the person belongs to."""
    who = caller()
    _need(who, "business_management")
    person = world().person_of(who.grant)
    owner = any(page.portfolio for page in person.pages)
    return answer({"data": [{"id": BUSINESS_ID, "name": BUSINESS_NAME}] if owner else []})


@graph("/<node:business_id>/owned_pages", "profile", on=bp)
def owned_pages(business_id: str) -> Response:
    """The Pages a portfolio owns."""
    who = caller()
    _need(who, "business_management")
    if business_id != BUSINESS_ID:
        raise gone(business_id)
    return _page_list(who, [page for page in world().person_of(who.grant).pages if page.portfolio])


@graph("/<node:business_id>/client_pages", "profile", on=bp)
def client_pages(business_id: str) -> Response:
    """The Pages a portfolio looks after for others; there are none here."""
    _need(caller(), "business_management")
    if business_id != BUSINESS_ID:
        raise gone(business_id)
    return answer({"data": []})


def _page_list(who: Caller, pages: list[Page]) -> Response:
    if who.app.mode == "business":
        # Login for Business shows only what was ticked; plain login lists the others without a token.
        pages = [page for page in pages if who.page_is_granted(page.id)]
    rows = [_page_facts(who, page, picked_fields(DEFAULT_PAGE_FIELDS)) for page in pages]
    return answer(paged(rows, "me/accounts"))


def _page_facts(who: Caller, page: Page, fields: list[str]) -> dict[str, Any]:
    name = page.username or page.id
    everything: dict[str, Any] = {
        "name": page.name,
        "username": page.username or None,
        "link": world().address("www.facebook.com", name),
        "category": page.category,
        "tasks": list(page.tasks),
        "picture": _picture(page.id),
        "followers_count": 120,
        "fan_count": 118,
        "access_token": _page_token(who, page) if who.page_is_granted(page.id) else None,
    }
    known_only(fields, (*everything, "instagram_business_account"), "Page")
    chosen = {field: everything[field] for field in fields if everything.get(field) is not None}
    return chosen | {"id": page.id}


def _picture(object_id: str) -> dict[str, Any]:
    address = world().address("scontent.fbcdn.net", f"v/{object_id}/picture_400x400.png")
    return {"data": {"height": 400, "width": 400, "is_silhouette": False, "url": address}}


def _page_token(who: Caller, page: Page) -> str:
    """The Page's token from this user token: one of a short token dies with it, one of a long token never."""
    here = world()
    if who.is_page:
        return who.token.value
    for token in here.tokens(who.grant, "page"):
        if token.parent == who.token.value and token.page_id == page.id:
            return token.value
    parent_ends = who.token.expires_at
    seconds = None if who.token.long or parent_ends is None else parent_ends - here.now()
    made = here.new_token(who.grant, "page", new_token_value(), seconds, parent=who.token.value, page_id=page.id)
    return made.value


def _label() -> str:
    """What is asked of a bare id: how a video is doing, or who somebody is."""
    return "status" if "status" in picked_fields([]) else "profile"


@graph("/<node:object_id>", "delete", ("DELETE",), on=bp)
def remove_node(object_id: str) -> Response:
    """Takes away what is known by a bare number: a video, a story."""
    if not any(remove(object_id) for remove in REMOVERS):
        raise gone(object_id)
    return answer({"success": True})


@graph("/<node:object_id>", _label, on=bp)
def node(object_id: str) -> Response:
    """A person, a Page, an app or whatever else has a bare number, by its id."""
    for look in NODES:
        facts = look(object_id)
        if facts is not None:
            return answer(facts)
    app = calling_app()
    if app:
        if object_id != app.client_id:
            raise gone(object_id)
        return answer({"id": app.client_id, "name": app.name})
    who = caller()
    found = people.page(object_id)
    if found and (who.token.page_id or object_id) == object_id:
        return answer(_page_facts(who, found[0], picked_fields(["name", "id"])))
    if object_id == who.grant.person_id and not who.is_page:
        return answer(_person_facts(world().person_of(who.grant), who))
    raise gone(object_id)


def _person_facts(person: Person, who: Caller) -> dict[str, Any]:
    everything: dict[str, Any] = {"name": person.name, "picture": _picture(person.id)}
    if "email" in who.grant.scopes:
        everything["email"] = person.email
    fields = picked_fields(["name", "id"])
    known_only(fields, (*everything, "email"), "User")
    return {f: everything[f] for f in fields if f in everything} | {"id": person.id}
