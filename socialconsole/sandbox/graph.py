"""What all of Meta's Graph has in common: versions, the error envelope, parameters, and who is calling.

developers.facebook.com: Platform Versioning; Handling Errors; Access Tokens; Securing Requests (appsecret_proof).
"""

import base64
import functools
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from werkzeug.routing import BaseConverter

from .calls import View, operation
from .oauth import Refused
from .people import Person
from .state import App, Grant, Token
from .world import world

PLATFORM = "facebook"
HOST = "graph.facebook.com"
VIDEO_HOST = "graph-video.facebook.com"  # plays the same edge for uploads of videos

# Who else knows objects by a bare number: (id) -> their facts, or None for an id that is not theirs; and the same for
# taking them away. A module adds its own, so that one address can serve Pages, videos and whatever comes next.
NODES: list[Callable[[str], "dict[str, Any] | None"]] = []
REMOVERS: list[Callable[[str], bool]] = []

# Oldest living first; a call to an older one is served by the oldest (Graph API, Platform Versioning).
LIVING_VERSIONS = ("v21.0", "v22.0", "v23.0", "v24.0", "v25.0", "v26.0")
APP_VERSION = "v25.0"

ENDINGS = {
    "revoked": (458, "The user has not authorized application {app}."),
    "password": (460, "The session has been invalidated because the user changed their password."),
    "suspended": (
        459,
        "You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
    ),
    "expired": (463, "Session has expired on {then}. The current time is {now}."),
}

bp = Blueprint("graph", __name__)


def check_role(app: App, person: Person) -> None:
    """Refuse people outside the app's team, while it is in development or lacks Advanced Access. Raises Refused.

    developers.facebook.com: App Modes; Access Levels. The words are those of Facebook's own pages.
    """
    if person.facts.get("role", True):
        return
    if app.settings.get("development"):
        raise Refused("App not active", "This app is not accessible right now and the app developer is aware of the "
                                        "issue. You will be able to log in when the app is reactivated.")
    if not app.settings.get("advanced_access", True):
        raise Refused("Feature unavailable", "Facebook Login is currently unavailable for this app, since we are "
                                             "updating additional details for this app. Please try again later.")


class _GraphVersion(BaseConverter):
    regex = r"v\d+\.\d+"


class _Node(BaseConverter):
    regex = r"\d+"


class _PostNode(BaseConverter):
    regex = r"\d+_\d+"


CONVERTERS: dict[str, type[BaseConverter]] = {"graph_version": _GraphVersion, "node": _Node, "post_node": _PostNode}


class GraphError(Exception):
    """An answer of the Graph that says no."""

    def __init__(self, message: str, code: int, subcode: int | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.code, self.subcode, self.status = message, code, subcode, status

    def body(self) -> dict[str, Any]:
        """Meta's error envelope."""
        error: dict[str, Any] = {"message": self.message, "type": "OAuthException", "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {"error": error | {"fbtrace_id": "A" + secrets.token_urlsafe(16)}}


def say_error(error: GraphError) -> Response:
    """The refusal in Meta's envelope."""
    return answer(error.body(), error.status)


bp.register_error_handler(GraphError, say_error)


def refuse(label: str, seconds: float) -> Response:
    """Meta's way to limit calls (no 429: a code, and minutes in a header) and its server error."""
    if not seconds:
        body = GraphError("An unexpected error has occurred. Please retry your request later.", 2, status=500)
        body_with_hint = body.body()
        body_with_hint["error"]["is_transient"] = True
        return answer(body_with_hint, 500)
    if label in ("token", "refresh", "authorize"):
        return say_error(GraphError("(#4) Application request limit reached", 4, 1504022, 403))
    response = say_error(GraphError("(#32) Page request limit reached", 32, status=403))
    use = {"type": "pages", "call_count": 100, "total_cputime": 30, "total_time": 30}
    use["estimated_time_to_regain_access"] = max(1, round(seconds / 60))
    response.headers["X-Business-Use-Case-Usage"] = json.dumps({"610000000000009": [use]})
    return response


def answer(body: Any, status: int = 200) -> Response:
    """An answer of the Graph in JSON."""
    response = jsonify(body)
    response.status_code = status
    return response


def graph(
    rule: str,
    name: str | Callable[[], str],
    methods: tuple[str, ...] = ("GET",),
    *,
    on: Blueprint,
    media: bool = False,
    hosts: tuple[str, ...] = (HOST,),
) -> Callable[[View], View]:
    """Register a view of the Graph under every version and under none; `media` as for `operation`."""

    def register(view: View) -> View:
        @functools.wraps(view)
        def versioned(version: str = APP_VERSION, **arguments: Any) -> Any:
            g.graph_version = served_version(version)
            return view(**arguments)

        answered = operation(PLATFORM, name, refuse, media=media)(versioned)
        for host in hosts:
            for prefix, ending in (("/<graph_version:version>", ""), ("", "_unversioned")):
                place = "" if host == HOST else host
                endpoint = re.sub(r"\W+", "_", f"{place}{rule} {' '.join(methods)}{ending}")
                on.add_url_rule(f"/{host}{prefix}{rule}", endpoint, answered, methods=methods)
        return view

    return register


def served_version(version: str) -> str:
    """The version that answers a call: a dead one is served by the oldest living. Raises GraphError."""
    if version in LIVING_VERSIONS:
        return version
    if float(version[1:]) < float(LIVING_VERSIONS[0][1:]):
        return LIVING_VERSIONS[0]
    raise GraphError(f"Unknown path components: /{version}", 2500)


@bp.after_app_request
def name_version(response: Response) -> Response:
    """Say which version answered, and how much of the app's quota is used."""
    if "graph_version" in g:
        response.headers["facebook-api-version"] = g.graph_version
        used = g.get("graph_usage", 1)
        response.headers["X-App-Usage"] = json.dumps({"call_count": used, "total_time": 1, "total_cputime": 1})
    return response


def parameter(name: str) -> str:
    """A parameter from the query, the form or a JSON body; empty if absent."""
    body = request.get_json(silent=True) if request.is_json else None
    value = body.get(name) if isinstance(body, dict) else request.values.get(name)
    if value is None:
        value = request.args.get(name, "")
    return value if isinstance(value, str) else json.dumps(value)


def only(*names: str) -> None:
    """Refuse every parameter but these and the caller's proof. Raises GraphError."""
    body = request.get_json(silent=True) if request.is_json else None
    sent = {*request.args, *request.form, *request.files, *(body if isinstance(body, dict) else ())}
    for name in sorted(sent - {*names, "access_token", "appsecret_proof"}):
        raise GraphError(f"(#100) Unexpected parameter: {name[:60]}", 100)
    for name in names:
        if len(request.form.getlist(name)) > 1 or len(request.args.getlist(name)) > 1:
            raise GraphError(f"(#100) Param {name} was sent more than once", 100)


def new_token_value() -> str:
    """A token as Meta's look: letters and digits, `EAA` in front."""
    return "EAAB" + re.sub(r"[^A-Za-z0-9]", "", secrets.token_urlsafe(140))


def unreadable_token() -> GraphError:
    """What a token that never was one gets."""
    return GraphError("Invalid OAuth access token - Cannot parse access token", 190)


def picked_fields(default: list[str]) -> list[str]:
    """The names in `fields`, without what stands in braces or behind a dot."""
    text = parameter("fields")
    depth, names, name = 0, [], ""
    for letter in text + ",":
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            names.append(re.split(r"[.{(]", name.strip())[0])
            name = ""
        else:
            name += letter
    return [name for name in names if name] or default


def known_only(fields: list[str], known: Iterable[str], sort: str) -> None:
    """Refuse a field that objects of this sort do not have. Raises GraphError."""
    for name in fields:
        if name not in {*known, "id"}:
            raise GraphError(f"(#100) Tried accessing nonexisting field ({name[:60]}) on node type ({sort})", 100)


def gone(object_id: str) -> GraphError:
    """What an object gets that does not exist, or that the caller may not see."""
    words = f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
    return GraphError(f"{words} permissions, or does not support this operation.", 100, 33)


def paged(rows: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """One page of the rows with its cursors; like the real one, `next` carries the token."""
    limit = parameter("limit") or "25"
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise GraphError("(#100) Please reduce the amount of data you're asking for, then retry your request", 100)
    start = _place(parameter("after"))
    part = rows[start : start + int(limit)]
    if not part:
        return {"data": []}
    last = _cursor(start + len(part))
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start + 1), "after": last}}
    if start + len(part) < len(rows):
        query = f"access_token={sent_token()}&limit={limit}&after={last}"
        paging["next"] = world().address("graph.facebook.com", f"v25.0/{path}?{query}")
    return {"data": part, "paging": paging}


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"cursor:{place}".encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().removeprefix("cursor:"))
    except ValueError as problem:
        raise GraphError("(#100) Invalid cursors values", 100) from problem


@dataclass(frozen=True)
class Caller:
    """Who calls the Graph: an app's person or Page."""

    app: App
    token: Token
    grant: Grant

    @property
    def is_page(self) -> bool:
        return self.token.role == "page"

    def page_is_granted(self, page_id: str) -> bool:
        """Whether the person ticked that Page."""
        return page_id in self.grant.pages


def sent_token() -> str:
    """The access token of the request. Raises GraphError if there is none."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    value = parameter("access_token") or (value if kind in ("Bearer", "OAuth") else "")
    if not value:
        raise GraphError("An active access token must be used to query information about the current user.", 2500)
    return value


def caller() -> Caller:
    """The caller behind a user's or Page's token, checked in every way. Raises GraphError."""
    here = world()
    token = here.state.find(Token, sent_token())
    if token is None or here.grant_of(token).platform != PLATFORM:
        raise unreadable_token()
    grant = here.grant_of(token)
    app = here.app(PLATFORM, grant.client_id)
    if app is None:
        raise unreadable_token()
    g.graph_usage = app.settings.get("usage_percent", 1)
    check_proof(app, token.value)
    check_alive(token)
    return Caller(app, token, grant)


def calling_app() -> App | None:
    """The app behind an app token (`id|secret`), None if the token is of another sort. Raises GraphError."""
    client_id, bar, secret = sent_token().partition("|")
    app = world().app(PLATFORM, client_id) if bar else None
    if app is None:
        return None
    if not secrets.compare_digest(secret.encode(), app.client_secret.encode()):
        raise GraphError("Invalid OAuth access token signature.", 190)
    check_proof(app, sent_token())
    return app


def check_proof(app: App, value: str) -> None:
    """Refuse an `appsecret_proof` that does not fit app and token, and none where the app's setting asks for one."""
    proof = parameter("appsecret_proof")
    if not proof and app.settings.get("require_proof"):
        raise GraphError("API calls from the server require an appsecret_proof argument", 100)
    right = hmac.new(app.client_secret.encode(), value.encode(), hashlib.sha256).hexdigest()
    if proof and not secrets.compare_digest(proof.encode(), right.encode()):
        raise GraphError("Invalid appsecret_proof provided in the API argument", 100)


def check_alive(token: Token) -> None:
    """Refuse a token that opens nothing any more, with the reason's subcode."""
    error = ending(token)
    if error:
        raise error


def ending(token: Token) -> GraphError | None:
    """The refusal that a dead token gets; None while it lives."""
    here = world()
    why = here.ended(token)
    if not why:
        return None
    subcode, words = ENDINGS.get(why, ENDINGS["revoked"])
    facts = {
        "app": here.grant_of(token).client_id,
        "then": _written(token.expires_at or here.now()),
        "now": _written(here.now()),
    }
    return GraphError(f"Error validating access token: {words.format(**facts)}", 190, subcode)


def _written(instant: float) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%A, %d-%b-%y %H:%M:%S} UTC"
