"""The API, to read: drawn from its OpenAPI document, so that it cannot say anything else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from .. import api, api_keys
from ..access import requires
from ..api.operations import OPERATIONS
from ..api.problems import KINDS
from .page import show

bp = Blueprint("api_docs", __name__)

DEEPEST = 4  # shapes within shapes


@dataclass(frozen=True)
class Line:
    """One field: where it stands, of what sort it is, and what it means."""

    name: str
    sort: str
    words: str
    is_needed: bool = False


@dataclass(frozen=True)
class Call:
    """One operation as the page shows it."""

    name: str
    method: str
    path: str
    summary: str
    words: str
    permission: str
    parameters: tuple[Line, ...]
    body: tuple[Line, ...]
    answer: tuple[Line, ...]
    statuses: tuple[tuple[str, str], ...]


@bp.get("/v1/docs")
@requires("public")
def page() -> ResponseReturnValue:
    """All calls by group, with their fields and problems; for everybody, since it says nothing of this console."""
    told = api.document(api.VERSION)
    groups = [(tag["name"], tag["description"], [one for group, one in calls() if group == tag["name"]])
              for tag in told["tags"]]
    return show("api_docs.html", None, groups=groups, problems=KINDS, permissions=api_keys.PERMISSIONS.values(),
                address=current_app.extensions["config"].public_url)


@lru_cache(maxsize=1)
def calls() -> tuple[tuple[str, Call], ...]:
    """All calls, each with the name of its group."""
    told = api.document(api.VERSION)
    return tuple((raw["tags"][0], _call(path, method, raw, told))
                 for path, methods in told["paths"].items() for method, raw in methods.items())


def _call(path: str, method: str, raw: dict[str, Any], told: dict[str, Any]) -> Call:
    parameters = tuple(Line(one["name"], f"{one['in']}, {_sort(one['schema'], told)}", one.get("description", ""),
                            one["required"]) for one in raw["parameters"])
    good: dict[str, Any] = next((answer for status, answer in raw["responses"].items() if status.startswith("2")), {})
    return Call(raw["operationId"], method.upper(), path, raw["summary"], raw["description"],
                _permission(OPERATIONS[raw["operationId"]].needs), parameters,
                tuple(_fields(_schema(raw.get("requestBody", {})), told)), tuple(_fields(_schema(good), told)),
                tuple((status, answer["description"]) for status, answer in raw["responses"].items()))


def _permission(needs: str) -> str:
    """What a key has to be allowed, in the words of its page."""
    if needs == "admin":
        return api_keys.OF_ADMINS.label
    return next((one.label for one in api_keys.PERMISSIONS.values() if needs in one.covers), "Any key")


def _schema(message: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = list(message.get("content", {}).values())
    return kinds[0]["schema"] if kinds else {}


def _fields(schema: dict[str, Any], told: dict[str, Any], before: str = "", depth: int = 0) -> Iterator[Line]:
    """The fields of a shape, those of shapes within it below them: `data[].id`."""
    schema = _resolved(schema, told)
    for name, part in schema.get("properties", {}).items():
        where = f"{before}{name}"
        yield Line(where, _sort(part, told), part.get("description", ""), name in schema.get("required", ()))
        inner = _resolved(part, told)
        if depth < DEEPEST and inner.get("type") == "array":
            yield from _fields(inner.get("items", {}), told, f"{where}[].", depth + 1)
        elif depth < DEEPEST:
            yield from _fields(inner, told, f"{where}.", depth + 1)


def _resolved(part: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, for one that names another, or that may also be null."""
    kinds = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
    if len(kinds) == 1:
        part = kinds[0]
    if "$ref" in part:
        found: dict[str, Any] = told["components"]["schemas"][part["$ref"].rpartition("/")[2]]
        return found
    return part


def _sort(part: dict[str, Any], told: dict[str, Any]) -> str:
    """Of what sort a value is, in words."""
    inner = _resolved(part, told)
    kind = inner.get("type", "anything")
    if "enum" in inner:
        kind = " | ".join(json.dumps(one) for one in inner["enum"])
    elif kind == "array":
        kind = f"list of {_sort(inner.get('items', {}), told)}"
    elif inner.get("format") == "date-time":
        kind = "time"
    is_nullable = any(one.get("type") == "null" for one in part.get("anyOf", ()))
    return f"{kind} or null" if is_nullable else str(kind)
