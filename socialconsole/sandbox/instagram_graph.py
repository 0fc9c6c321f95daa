"""Instagram's two Graphs: who is calling, the routes on both hosts, and the accounts there are.

developers.facebook.com: Instagram Platform (API with Instagram Login, API with Facebook Login). Apps of the first speak
to graph.instagram.com, those of the second to graph.facebook.com, which they share with Facebook's own apps.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule

from .calls import View, operation
from .graph import (
    APP_VERSION,
    GraphError,
    check_alive,
    check_proof,
    parameter,
    refuse,
    say_error,
    sent_token,
    served_version,
    unreadable_token,
)
from .graph import CONVERTERS as GRAPH_CONVERTERS
from .people import Page, at
from .plays import Person
from .state import App, Grant, Token
from .world import world

PLATFORM = "instagram"
DIRECT, THROUGH_PAGE = "instagram_login", "facebook_login"
OWN_HOST, PAGE_HOST = "graph.instagram.com", "graph.facebook.com"

bp = Blueprint("instagram_graph", __name__)
bp.app_errorhandler(GraphError)(say_error)


class _Node(BaseConverter):
    """An object of Instagram's: accounts, containers, media and comments have numbers of 17 digits that begin with 17
    or 18, which no Page or person of Facebook has. Lighter than Facebook's own nodes, so that it is asked first."""

    regex = r"1[78]\d{15}"
    weight = 50


CONVERTERS: dict[str, type[BaseConverter]] = {"instagram_node": _Node}


@dataclass(frozen=True)
class Account:
    """A professional account; `page_id` is the Page it is linked to."""

    id: str
    app_scoped_id: str
    username: str
    name: str
    account_type: str = "Business"
    page_id: str = ""
    has_picture: bool = True


ACCOUNTS = (
    Account("17841405793187218", "9001000000000001", "harbour.bakery", "Harbour Bakery",
            page_id="910100000000001"),
    Account("17841405793187302", "9001000000000002", "linden.cycles", "Linden Cycles", page_id="910100000000002"),
    Account("17841405793187777", "9001000000000003", "not.mine", "Not Mine", page_id="910100000000004"),
    Account("17841405793188001", "9001000000000004", "nadia.draws", "", "Media_Creator", has_picture=False),
    Account("17841405793188002", "9001000000000005", "studio.reyes", "Studio Reyes", page_id="910300000000001"),
)


def account(account_id: str) -> Account | None:
    """The account of that id, or None."""
    return next((one for one in ACCOUNTS if one.id == account_id), None)


def account_of_page(page_id: str) -> Account | None:
    """The account that is linked to a Page, or None."""
    return next((one for one in ACCOUNTS if one.page_id and one.page_id == page_id), None)


def own_account(who: Person) -> Account | None:
    """The professional account that a person signs in with at Instagram; None for a personal one."""
    return account(str(who.facts.get("account", "")))


def picture_of(one: Account) -> str | None:
    """The address of an account's picture; some have none."""
    return world().address("scontent.cdninstagram.com", f"v/{one.id}/picture_400x400.png") if one.has_picture else None


# ---------------------------------------------------------------- who is calling


@dataclass(frozen=True)
class Caller:
    """An app's person, Page, or account."""

    app: App
    token: Token
    grant: Grant

    @property
    def person(self) -> Person:
        return world().person_of(self.grant)

    @property
    def is_direct(self) -> bool:
        return self.app.mode == DIRECT

    @property
    def is_page(self) -> bool:
        return self.token.role == "page"

    @property
    def pages(self) -> list[Page]:
        """The Pages behind the token."""
        ticked = [page for page in self.person.pages if page.id in self.grant.pages]
        return [page for page in ticked if self.token.page_id in ("", page.id)]

    def may_use(self, account_id: str) -> bool:
        """Whether the token opens an account: its own, or one of a Page with the right to publish."""
        if self.is_direct:
            own = own_account(self.person)
            return own is not None and own.id == account_id
        linked = [account_of_page(page.id) for page in self.pages if {"CREATE_CONTENT", "MANAGE"} & set(page.tasks)]
        return any(one is not None and one.id == account_id for one in linked)

    def needs(self, direct: tuple[str, ...], through_page: tuple[str, ...]) -> None:
        """Refuse where a permission of the app's family is missing. Raises GraphError."""
        missing = [one for one in (direct if self.is_direct else through_page) if one not in self.grant.scopes]
        if missing:
            words = f"(#10) Application does not have permission for this action: {', '.join(missing)}"
            raise GraphError(words, 10, status=403)


def caller() -> Caller:
    """The caller behind a token, on the host its app belongs to. Raises GraphError."""
    here = world()
    token = here.state.find(Token, sent_token())
    if token is None or here.grant_of(token).platform != PLATFORM:
        raise unreadable_token()
    grant = here.grant_of(token)
    app = here.app(PLATFORM, grant.client_id)
    if app is None or (app.mode == DIRECT) != (host() == OWN_HOST):
        raise unreadable_token()
    if app.mode == DIRECT and parameter("appsecret_proof"):
        raise GraphError("(#100) Unexpected parameter: appsecret_proof", 100)
    check_proof(app, token.value)
    check_alive(token)
    return Caller(app, token, grant)


def host() -> str:
    """The real host that was called."""
    return request.path.split("/")[1]


def only(*names: str) -> None:
    """Refuse every parameter but these and the caller's proof. Raises GraphError."""
    sent = [*request.args, *request.form, *request.files]
    strange = sorted(set(sent) - {*names, "access_token", "appsecret_proof"})
    if strange:
        raise GraphError(f"(#100) Unexpected parameter: {strange[0][:60]}", 100)
    if len(sent) != len(set(sent)):
        raise GraphError("(#100) A parameter was sent more than once", 100)


# ---------------------------------------------------------------- routes


def media_route(
    rule: str, name: str | Callable[[], str], methods: tuple[str, ...] = ("GET",)
) -> Callable[[View], View]:
    """Register a view for Instagram's own numbers, on both hosts and with a version only."""

    def register(view: View) -> View:
        @functools.wraps(view)
        def versioned(version: str, **arguments: Any) -> Any:
            g.graph_version = served_version(version)
            return view(**arguments)

        answered = operation(PLATFORM, name, refuse)(versioned)
        for one in (OWN_HOST, PAGE_HOST):
            endpoint = re.sub(r"\W+", "_", f"{one}{rule} {' '.join(methods)}")
            bp.add_url_rule(f"/{one}/<graph_version:version>{rule}", endpoint, answered, methods=methods)
        return view

    return register


# What Instagram's apps share with Facebook's: the same addresses, told apart by the app that calls.
SHARED: list[tuple[str, tuple[str, ...], Callable[..., Response]]] = []
CONVERTERS_OF_SHARED = {**GRAPH_CONVERTERS, **CONVERTERS}


def shared_route(rule: str, name: str | Callable[[], str], methods: tuple[str, ...] = ("GET",), *,
                 on: str = PAGE_HOST) -> Callable[[View], View]:
    """Register a view for a path that Facebook's apps call too, under every version and under none."""

    def register(view: View) -> View:
        @functools.wraps(view)
        def versioned(version: str = APP_VERSION, **arguments: Any) -> Any:
            g.graph_version = served_version(version)
            return view(**arguments)

        answered = operation(PLATFORM, name, refuse)(versioned)
        SHARED.extend((f"/{on}{prefix}{rule}", methods, answered) for prefix in ("/<graph_version:version>", ""))
        _routes.cache_clear()
        return view

    return register


@functools.cache
def _routes() -> Map:
    return Map([Rule(rule, methods=methods, endpoint=view) for rule, methods, view in SHARED],
               converters=CONVERTERS_OF_SHARED, strict_slashes=True)


@bp.before_app_request
def answer_our_apps() -> Response | None:
    """Meta tells apps apart by their id or token, never by the address: calls of Instagram's apps are taken here."""
    try:
        view, arguments = _routes().bind("localhost").match(request.path, method=request.method)
    except HTTPException:
        return None
    if not _is_ours():
        return None
    answered: Response = view(**arguments)
    return answered


def _is_ours() -> bool:
    here = world()
    if here.app(PLATFORM, parameter("client_id")) is not None:
        return True
    value = parameter("access_token")
    token = here.state.find(Token, value)
    if token is not None:
        return here.grant_of(token).platform == PLATFORM
    return here.app(PLATFORM, value.partition("|")[0]) is not None if "|" in value else False


def known_person(person_id: str) -> Person | None:
    """The built-in person behind the id of an account."""
    for who in at(PLATFORM):
        own = own_account(who)
        if own is not None and own.id == person_id:
            return who
    return None
