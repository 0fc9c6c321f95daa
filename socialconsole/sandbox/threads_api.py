"""What all calls of the Threads API have in common: parameters, the token, who is calling, how it says no.

developers.facebook.com/documentation/threads: Get Access Tokens; Troubleshooting. `v1.0` stands before the path or is
left out; tokens are exchanged without it.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from .calls import View, operation
from .graph import GraphError, answer, say_error
from .people import Person
from .state import App, Grant, Token
from .world import world

PLATFORM = "threads"
HOSTS = ("graph.threads.net", "graph.threads.com")  # both answer

BASIC, PUBLISH = "threads_basic", "threads_content_publish"
SCOPES = {
    BASIC: "See your profile and your posts",
    PUBLISH: "Create and publish posts",
    "threads_delete": "Delete your posts",
    "threads_manage_replies": "Create, hide and manage replies",
    "threads_read_replies": "Read replies to your posts",
    "threads_manage_insights": "See how your posts do",
    "threads_location_tagging": "Search for places and tag them",
    "threads_manage_mentions": "See where you are mentioned",
    "threads_keyword_search": "Search public posts",
    "threads_profile_discovery": "Look up public profiles",
}
ENDINGS = {
    "revoked": (458, "The user has not authorized application {app}."),
    "password": (460, "The session has been invalidated because the user changed their password."),
    "suspended": (459, "The user is enrolled in a blocking, logged-in checkpoint."),
    "expired": (463, "Session has expired on {then}."),
}


class _User(BaseConverter):
    regex = r"me|\d+"


class _Object(BaseConverter):
    regex = r"\d+"


CONVERTERS: dict[str, type[BaseConverter]] = {"threads_user": _User, "threads_object": _Object}


def refuse(label: str, seconds: float) -> Response:
    """Threads' way to limit calls and its server error."""
    if seconds:
        return say_error(GraphError("(#613) Calls to this api have exceeded the rate limit.", 613, status=400))
    body = GraphError("An unexpected error has occurred. Please retry your request later.", 2, status=500).body()
    body["error"]["is_transient"] = True
    return answer(body, 500)


def threads(
    rule: str,
    name: str | Callable[[], str],
    methods: tuple[str, ...] = ("GET",),
    *,
    on: Blueprint,
    versioned: bool = True,
) -> Callable[[View], View]:
    """Register a view of the API at both of its hosts, with the version in the path and without."""

    def register(view: View) -> View:
        @functools.wraps(view)
        def called(**arguments: Any) -> Any:
            return view(**arguments)

        answered = operation(PLATFORM, name, refuse)(called)
        for host in HOSTS:
            for version in ("/v1.0", "") if versioned else ("",):
                endpoint = re.sub(r"\W+", "_", f"{host}{version}{rule} {' '.join(methods)}")
                on.add_url_rule(f"/{host}{version}{rule}", endpoint, answered, methods=methods)
        return view

    return register


def parameter(name: str) -> str:
    """A parameter from the query or the form; empty if absent."""
    return request.args.get(name) or request.form.get(name) or ""


def only(*names: str, needed: tuple[str, ...] = ()) -> None:
    """Refuse every parameter but these and the token, and the lack of those that are needed. Raises GraphError."""
    if request.is_json or request.files:
        raise GraphError("(#100) Parameters are sent in the query or as a form", 100)
    sent = [name for given in (request.args, request.form) for name, _ in given.items(multi=True)]
    for name in sorted(set(sent) - {*names, "access_token"}):
        raise GraphError(f"(#100) Unexpected parameter: {name[:60]}", 100)
    for name in sorted(set(sent)):
        if sent.count(name) > 1:
            raise GraphError(f"(#100) Param {name} was sent more than once", 100)
    for name in needed:
        if not parameter(name):
            raise GraphError(f"(#100) The parameter {name} is required.", 100)


def gone(object_id: str) -> GraphError:
    """What an object gets that does not exist, or that the caller may not see."""
    words = f"Unsupported request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
    return GraphError(f"{words} permissions, or does not support this operation.", 100, 33)


def picked_fields(known: tuple[str, ...], default: tuple[str, ...] = ("id",)) -> tuple[str, ...]:
    """The names in `fields`, each of them known. Raises GraphError."""
    names = tuple(name for name in parameter("fields").split(",") if name) or default
    for name in names:
        if name not in known:
            raise GraphError(f"(#100) Tried accessing nonexisting field ({name[:60]})", 100)
    return names


@dataclass(frozen=True)
class Caller:
    """Who calls: one person through one app."""

    app: App
    token: Token
    grant: Grant
    person: Person

    def need(self, *scopes: str) -> None:
        """Refuse a caller without these permissions. Raises GraphError."""
        for scope in scopes:
            if scope not in self.grant.scopes:
                words = f"(#10) Application does not have permission for this action: {scope} is required"
                raise GraphError(words, 10, status=403)

    def check_is(self, user: str) -> None:
        """Refuse a path that names somebody else. Raises GraphError."""
        if user not in ("me", self.person.id):
            raise gone(user)


def own_token(value: str) -> Token:
    """The token of that value, whatever became of it. Raises GraphError if it never was one of Threads."""
    token = world().state.find(Token, value)
    if token is None or world().grant_of(token).platform != PLATFORM:
        raise GraphError("Invalid OAuth access token - Cannot parse access token", 190)
    return token


def check_alive(token: Token) -> None:
    """Refuse a token that opens nothing any more, with the reason's subcode."""
    here = world()
    why = here.ended(token)
    if why:
        subcode, words = ENDINGS.get(why, ENDINGS["revoked"])
        then = datetime.fromtimestamp(token.expires_at or here.now(), UTC)
        facts = {"app": here.grant_of(token).client_id, "then": f"{then:%A, %d-%b-%y %H:%M:%S} UTC"}
        raise GraphError(f"Error validating access token: {words.format(**facts)}", 190, subcode)


def caller(*scopes: str) -> Caller:
    """The caller behind the token, with these permissions. Raises GraphError."""
    here = world()
    token = own_token(parameter("access_token"))
    grant = here.grant_of(token)
    app = here.app(PLATFORM, grant.client_id)
    if app is None:
        raise GraphError("Invalid OAuth access token - Cannot parse access token", 190)
    check_alive(token)
    who = Caller(app, token, grant, here.person_of(grant))
    who.need(*scopes)
    return who
