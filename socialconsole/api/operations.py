"""Operations: each call of the API as data, and what happens around every one of them, in this order.

Sign in by key, limit the rate, enter the workspace, ask for the permission, read query and body, answer once for each
Idempotency-Key, answer with an ETag. The OpenAPI document is made from the same data.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, g, json, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import HTTPException

from .. import access, api_keys, outside, public_ids
from ..config import Config
from ..extensions import csrf, db
from ..models import User, Workspace
from ..models_api import ApiKey
from . import once, rates
from .problems import OF_STATUS, PREFIX, Problem
from .shapes import Nothing, Shape, read_json, read_query

log = logging.getLogger("socialconsole.api")

BLUEPRINT = "v1"
KEY = "key"  # the permission of their routes: a key signs in, no cookie
ID = re.compile(r"[a-z]{2,5}_[0-9A-Za-z]{1,40}")
LARGEST_BODY, READ_AT_ONCE = 512 * 1024, 1024 * 1024  # bytes
VALUES = re.compile(r"\{([A-Za-z]+)\}")


@dataclass(frozen=True)
class Asked:
    """One request, as an operation reads it."""

    key: ApiKey
    user: User
    workspace: Workspace | None
    ids: Mapping[str, str]  # of the path, as the database has them
    query: Any
    body: Any
    nonce: str  # the same for a request that is repeated with its Idempotency-Key; else empty
    if_match: str
    now: datetime

    @property
    def place(self) -> Workspace:
        """The workspace, for operations that have one."""
        assert self.workspace is not None
        return self.workspace


@dataclass(frozen=True)
class Answer:
    """What an operation answers where more is to be said than a shape."""

    body: Shape | None = None
    status: int = 0  # 0: the usual one
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""  # empty: from the body


View = Callable[[Asked], Shape | Answer | None]


@dataclass(frozen=True)
class Operation:
    """One call: where, who may, what goes in and out. `needs`: a permission of people, see `access`."""

    name: str
    method: str
    path: str  # below the public address, {names} in camelCase
    needs: str
    summary: str
    view: View
    group: str
    query: type[Shape] = Nothing
    body: type[Shape] | None = None
    answer: type[Shape] | None = None
    status: int = 200
    is_tagged: bool = False  # its answer has an ETag, and If-Match is heeded
    problems: Sequence[str] = ()  # codes beside the usual ones
    takes_files: bool = False  # a multipart body, read by the view itself
    takes_raw: bool = False  # the bytes of a piece of a file, read by the view itself
    also: Mapping[int, str] = field(default_factory=dict)  # further statuses of success, in words
    others: Mapping[int, type[Shape]] = field(default_factory=dict)  # those of them that have another answer

    @property
    def ids(self) -> list[str]:
        """The names in the path."""
        return VALUES.findall(self.path)

    @property
    def description(self) -> str:
        """The words of the view."""
        return (self.view.__doc__ or "").strip()


OPERATIONS: dict[str, Operation] = {}


def operation(method: str, path: str, needs: str, group: str, summary: str, **more: Any) -> Callable[[View], View]:
    """Declare an operation; its view is called with what was asked."""
    def declare(view: View) -> View:
        first, *rest = view.__name__.split("_")
        name = first + "".join(part.capitalize() for part in rest)
        if name in OPERATIONS:
            raise ValueError(f"there are two operations called {name}")
        OPERATIONS[name] = Operation(name, method, f"{PREFIX}{path}", needs, summary, view, group, **more)
        return view

    return declare


def blueprint() -> Blueprint:
    """All operations as routes."""
    made = Blueprint(BLUEPRINT, __name__)
    for one in OPERATIONS.values():
        made.add_url_rule(VALUES.sub(r"<\1>", one.path), one.name, _route(one), methods=[one.method],
                          provide_automatic_options=False)
    csrf.exempt(made)
    return made


def _route(one: Operation) -> Callable[..., ResponseReturnValue]:
    def route(**values: str) -> ResponseReturnValue:
        return _answered(one, values)

    route.permission = KEY  # type: ignore[attr-defined]
    return route


# ---------------------------------------------------------------- one request


def _answered(one: Operation, values: Mapping[str, str]) -> Response:
    """The answer to a request; each error as problem details. A database that is away is left to the error pages."""
    try:
        return _served(one, values)
    except Problem as problem:
        db.session.rollback()
        answer = problem.answer()
    except (HTTPException, DBAPIError, NoConnectionFree):
        raise
    except Exception:
        db.session.rollback()
        log.exception("an operation failed", extra={"operation": one.name})
        answer = Problem("internal").answer()
    answer.headers.update(g.get("rate_headers", {}))
    return answer


def _served(one: Operation, values: Mapping[str, str]) -> Response:
    key = _sign_in()
    g.rate_headers = rates.count(f"key:{key.id}", rates.OF_KEY)
    asked = _asked(one, key, values)
    body = read_json(one.body, _raw()) if one.body is not None else None
    name = _idempotency_key() if one.method == "POST" else ""
    asked = Asked(asked.key, asked.user, asked.workspace, asked.ids, asked.query, body,
                  once.nonce(key, name) if name else "", request.headers.get("If-Match", ""), asked.now)
    if not name:
        return _whole(one, _made(one, asked))
    raw = _digest_of_files() if one.takes_files else request.get_data()
    kept, is_ours = once.begin(key, name, request.method, request.full_path, raw)
    if not is_ours:
        return _whole(one, kept)
    return _whole(one, once.keep(key, name, lambda: _made(one, asked)))


def _sign_in() -> ApiKey:
    """The key that was shown, and its person. Sets g.key and g.user; raises Problem."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    now = outside.now()
    key = api_keys.find(token.strip(), now, g.get("address") or "") if scheme.lower() == "bearer" else None
    if key is None:
        g.rate_headers = rates.count(f"stranger:{g.get('address') or ''}", rates.OF_STRANGER)
        raise Problem("unauthenticated", "The key is unknown, ended or revoked." if token else "No API key was sent.")
    g.key, g.user = key, key.user
    return key


def _asked(one: Operation, key: ApiKey, values: Mapping[str, str]) -> Asked:
    """The request without its body: workspace entered, permission asked for, ids and query read."""
    ids = {}
    for name, value in values.items():
        if not ID.fullmatch(value):
            raise Problem("not_found")
        ids[name] = public_ids.inner(value)
    workspace = _workspace(one, key, ids)
    _check_permission(one, key, workspace)
    given: dict[str, Any] = {name: texts[-1] for name, texts in request.args.to_dict(flat=False).items()}
    query = read_query(one.query, given)
    return Asked(key, key.user, workspace, ids, query, None, "", "", outside.now())


def _workspace(one: Operation, key: ApiKey, ids: Mapping[str, str]) -> Workspace | None:
    """The workspace that is asked for, or else the key's. A stranger's is not there."""
    if "workspaceId" in ids:
        wanted = ids["workspaceId"]
        if key.workspace_id is not None and key.workspace_id != wanted:
            raise Problem("not_found")
        found = db.session.get(Workspace, wanted)
        if found is None or (key.workspace_id is not None and api_keys.role_in(key.user, wanted) is None):
            raise Problem("not_found")
        if key.workspace_id is None and one.needs not in ("admin", "signed_in"):
            raise Problem("not_allowed", "An admin's key reads no workspace from inside. Use a key of that workspace.")
        g.workspace = found
        return found
    if key.workspace is not None:
        g.workspace = key.workspace
    return key.workspace


def _check_permission(one: Operation, key: ApiKey, workspace: Workspace | None) -> None:
    """The key must be allowed it, and its person too, as they stand now."""
    if one.needs == "signed_in":
        return
    if not api_keys.allows(key, one.needs):
        raise Problem("not_allowed", "This key was not given the permission for it.", needs=one.needs)
    if one.needs == "admin":
        if not key.user.is_platform_admin:
            raise Problem("not_allowed", "The person of this key is no platform admin any more.")
        return
    if workspace is None:
        raise Problem("not_allowed", "This call needs a key of a workspace.")
    g.role = api_keys.role_in(key.user, workspace.id)
    if g.role is None:
        raise Problem("not_found")
    if g.role not in access.PERMISSIONS[one.needs]:
        raise Problem("not_allowed", "The person of this key has a role that does not allow it.", needs=one.needs)


def _raw() -> bytes:
    """The body. Raises Problem for one that is no JSON by its own word, or too large."""
    if request.content_length is not None and request.content_length > LARGEST_BODY:
        raise Problem("too_large", f"A body has {LARGEST_BODY:,} bytes at most.")
    raw = request.get_data(cache=True)
    if raw and request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise Problem("unsupported_media_type", "Send JSON, with Content-Type: application/json.")
    return raw


def _digest_of_files() -> bytes:
    """What tells one multipart body from another: its files, whatever lies between them."""
    config: Config = current_app.extensions["config"]
    request.max_content_length = config.media_max_bytes + LARGEST_BODY
    found = hashlib.sha256()
    for name, one in request.files.items(multi=True):
        found.update(f"{name}\n{one.filename}\n".encode())
        while piece := one.stream.read(READ_AT_ONCE):
            found.update(piece)
        one.stream.seek(0)
    return found.digest()


def _idempotency_key() -> str:
    name = request.headers.get("Idempotency-Key", "")
    if not name:
        return ""
    if len(name) > once.LONGEST or not name.isprintable():
        raise Problem("malformed", f"An Idempotency-Key has 1 to {once.LONGEST} printable characters.")
    return name


# ---------------------------------------------------------------- the answer


def _made(one: Operation, asked: Asked) -> once.Kept:
    """The answer of the view, as it may be kept."""
    given = one.view(asked)
    answer = given if isinstance(given, Answer) else Answer(given)
    status = answer.status or one.status
    if answer.body is None:
        return once.Kept(204 if status == 200 else status, "", dict(answer.headers))
    text = answer.body.model_dump_json(by_alias=True)
    headers = dict(answer.headers)
    if one.is_tagged:
        headers["ETag"] = answer.etag or tag(text)
    return once.Kept(status, text, headers)


def tag(text: str) -> str:
    """An ETag made from what is told."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'


def _whole(one: Operation, kept: once.Kept) -> Response:
    answer = current_app.response_class(kept.body, kept.status, mimetype="application/json")
    answer.headers.update(kept.headers)
    answer.headers.update(g.get("rate_headers", {}))
    if one.method == "GET" and one.is_tagged and kept.status == 200:
        answer.make_conditional(request)
    return answer


def heed(asked: Asked, etag: str) -> None:
    """Raise Problem if the request names another version than the present one."""
    wanted = [one.strip().removeprefix("W/") for one in asked.if_match.split(",") if one.strip()]
    if wanted and "*" not in wanted and etag not in wanted:
        raise Problem("version_conflict")


# ---------------------------------------------------------------- from inside


def perform(key: ApiKey, method: str, path: str, body: Mapping[str, Any] | None,
            nonce: str) -> tuple[int, dict[str, Any]]:
    """Do a call in the name of a key, without the network: what a person confirmed. Returns status and body.

    `nonce`: the same for a call that is tried again, so that a post is written once.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    config = app.extensions["config"]
    values = {name: value for name, value in (("key", g.get("key")), ("user", g.get("user")),
                                              ("workspace", g.get("workspace")), ("role", g.get("role")))}
    adapter = app.url_map.bind("")
    try:
        endpoint, ids = adapter.match(path, method=method)
    except HTTPException:
        return 404, Problem("not_found").plain()
    one = OPERATIONS.get(endpoint.removeprefix(f"{BLUEPRINT}."))
    if one is None:
        return 404, Problem("not_found").plain()
    try:
        return _performed(one, key, ids, json.dumps(body or {}).encode(), config.public_url, nonce)
    finally:
        for name, value in values.items():
            setattr(g, name, value)


def _performed(one: Operation, key: ApiKey, ids: Mapping[str, str], raw: bytes, base: str,
               nonce: str) -> tuple[int, dict[str, Any]]:
    with current_app.test_request_context(base_url=base):
        g.key, g.user, g.address = key, key.user, ""
        try:
            found = _asked(one, key, ids)
            body = read_json(one.body, raw) if one.body is not None else None
            made = _made(one, Asked(key, key.user, found.workspace, found.ids, found.query, body, nonce, "", found.now))
            return made.status, json.loads(made.body) if made.body else {}
        except Problem as problem:
            db.session.rollback()
            return problem.status, problem.plain()
        except HTTPException as refusal:  # a service's 404
            db.session.rollback()
            return refusal.code or 500, Problem(OF_STATUS.get(refusal.code or 500, "internal")).plain()
