"""The OpenAPI 3.1 document of the API, made from the operations themselves."""

from functools import lru_cache
from typing import Any

from pydantic.json_schema import models_json_schema

from .operations import OPERATIONS, Operation
from .problems import KINDS, MEDIA_TYPE, PREFIX
from .shapes import Nothing, Shape

REF = "#/components/schemas/{model}"
USUAL = ("unauthenticated", "not_allowed", "not_found", "rate_limited", "malformed", "internal", "unavailable")
GROUPS = {"workspaces": "Workspaces of the key.", "accounts": "Connected profiles. Never a token.",
          "posts": "Posts and their deliveries, one for each profile.", "media": "Files of the workspace.",
          "plans": "What a person confirms before it is done.",
          "platforms": "What is on, with limits and formats.", "events": "What happened.",
          "installation": "Calls for an admin's key."}
ABOUT = """The same services as the pages of the console. A key is made in the console under *API keys* and sent as
`Authorization: Bearer sck_…`. Errors are problem details (RFC 9457) with a stable `code`. Every POST takes an
`Idempotency-Key`: for 24 hours the same request gets the same answer. Lists have pages with a cursor. Times are RFC
3339. What only a person may do, consent and reading secrets, is not here."""


@lru_cache(maxsize=1)
def document(version: str) -> dict[str, Any]:
    """The whole document."""
    shapes = _shapes()
    _, found = models_json_schema([(one, mode) for one, mode in shapes], ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Social Console", "version": version, "description": ABOUT},
        "servers": [{"url": ".."}],  # relative to the document itself, which lies below the prefix
        "tags": [{"name": name, "description": words} for name, words in GROUPS.items()
                 if any(one.group == name for one in OPERATIONS.values())],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, `sck_…`."}},
            "schemas": {**found.get("$defs", {}), "Problem": _problem()},
            "headers": _headers(),
        },
    }


def _shapes() -> list[tuple[type[Shape], Any]]:
    """All shapes in their direction, each once."""
    pairs: dict[tuple[type[Shape], str], None] = {}
    for one in OPERATIONS.values():
        if one.body is not None:
            pairs[one.body, "validation"] = None
        if one.answer is not None:
            pairs[one.answer, "serialization"] = None
        pairs.update(dict.fromkeys((other, "serialization") for other in one.others.values()))
    return list(pairs)


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for one in OPERATIONS.values():
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return paths


def _operation(one: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": one.name, "summary": one.summary, "description": one.description, "tags": [one.group],
        "parameters": [*_path_parameters(one), *_query_parameters(one), *_header_parameters(one)],
        "responses": {**_success(one), **_problems(one)}, "x-needs": one.needs,
    }
    if one.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _of(one.body)}}}
    if one.takes_files:
        made["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": {
            "type": "object", "required": ["file"], "properties": {
                "file": {"type": "string", "format": "binary"}}}}}}
    if one.takes_raw:
        made["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {
            "type": "string", "format": "binary"}}}}
    return made


def _of(shape: type[Shape]) -> dict[str, str]:
    return {"$ref": REF.format(model=shape.__name__)}


def _path_parameters(one: Operation) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True,
             "schema": {"type": "string", "pattern": "^[a-z]{2,5}_[0-9A-Za-z]{1,40}$"}} for name in one.ids]


def _query_parameters(one: Operation) -> list[dict[str, Any]]:
    if one.query is Nothing:
        return []
    schema = one.query.model_json_schema(by_alias=True)
    required = schema.get("required", [])
    return [{"name": name, "in": "query", "required": name in required, "schema": _plainer(part),
             **({"description": part["description"]} if "description" in part else {})}
            for name, part in schema["properties"].items()]


def _plainer(part: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what may be left out has the schema of what it is otherwise."""
    rest = {name: value for name, value in part.items() if name not in ("title", "default", "anyOf", "description")
            or (name == "default" and value is not None)}
    kinds = [one for one in part.get("anyOf", []) if one.get("type") != "null"]
    return {**(kinds[0] if kinds else {}), **rest}


def _header_parameters(one: Operation) -> list[dict[str, Any]]:
    made = []
    if one.method == "POST":
        made.append(("Idempotency-Key", "For 24 hours the same request with it gets the same answer.",
                     {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}))
    if one.is_tagged and one.method in ("PATCH", "DELETE", "POST") and one.status != 201:  # what is new has no version
        made.append(("If-Match", "The ETag that was read; another one is answered with 412.", {"type": "string"}))
    if one.takes_raw:
        made.append(("Upload-Offset", "Where the piece begins, in bytes.", {"type": "integer", "minimum": 0}))
    return [{"name": name, "in": "header", "required": False, "description": words, "schema": schema}
            for name, words, schema in made]


def _success(one: Operation) -> dict[str, Any]:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy")}
    if one.is_tagged:
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    if one.answer is None:
        return {"204": {"description": "Done.", "headers": headers}}
    content = {"application/json": {"schema": _of(one.answer)}}
    made: dict[str, Any] = {str(one.status): {"description": "Done.", "headers": headers, "content": content}}
    for status, words in one.also.items():
        other = {"application/json": {"schema": _of(one.others[status])}} if status in one.others else content
        made[str(status)] = {"description": words, "headers": headers, "content": other}
    if one.is_tagged and one.method == "GET":
        made["304"] = {"description": "It is still the version that If-None-Match names."}
    return made


def _problems(one: Operation) -> dict[str, Any]:
    codes = [*USUAL, *one.problems]
    if one.body is not None or one.query is not Nothing or one.takes_files:
        codes.append("invalid")
    if one.body is not None or one.takes_files or one.takes_raw:
        codes += ["too_large", "unsupported_media_type"]
    if one.method == "POST":
        codes += ["idempotency_key_reused", "in_progress"]
    if one.is_tagged and one.method != "GET":
        codes.append("version_conflict")
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {str(status): {"description": " ".join(f"`{code}`: {KINDS[code].title}." for code in found),
                          "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}}
            for status, found in sorted(by_status.items())}


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    fault = {"type": "object", "required": ["field", "message"], "properties": {"field": text, "message": text}}
    return {"type": "object", "required": ["type", "title", "status", "code", "detail", "step"],
            "description": "What went wrong (RFC 9457). `code` never changes; `detail` is for people.",
            "properties": {"type": text, "title": text, "status": {"type": "integer"},
                           "code": {"type": "string", "enum": sorted(KINDS)}, "detail": text, "step": text,
                           "errors": {"type": "array", "items": fault}}}


def _headers() -> dict[str, Any]:
    return {name: {"description": words, "schema": {"type": "string"}} for name, words in (
        ("ETag", "The version of what was told."),
        ("RateLimit", "How many requests are left, and until when."),
        ("RateLimit-Policy", f"How many requests are answered below {PREFIX} in how many seconds."))}
