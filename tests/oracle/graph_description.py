"""What Meta's own package says about the Graph: edges, their parameters with type and values, and fields of objects.

The package is read as text (`ast`) and never imported. It marks hardly anything as required, so it can tell that a
name or a value does not exist, but not that one is missing.
"""

import ast
import importlib.util
import json
import keyword
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.formats.playground import Asked


@dataclass(frozen=True)
class Edge:
    """The parameters of one call: name -> type, and the values of those that are enumerations."""

    types: dict[str, str]
    values: dict[str, frozenset[str]]


@dataclass
class Node:
    """One class of objects: its fields, its edges by method and path, and its enumerations."""

    fields: set[str] = field(default_factory=set)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    enums: dict[str, frozenset[str]] = field(default_factory=dict)


@cache
def folder() -> Path | None:
    """Where the package lies, None where it is not installed."""
    found = importlib.util.find_spec("facebook_business")
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) / "adobjects" if places else None


@cache
def _tree(name: str) -> ast.Module:
    """The file of a class. Some enumerations hold words of Python (`or`, the language), which no parser would take."""
    here = folder()
    assert here is not None
    text = (here / f"{name.lower()}.py").read_text()
    return ast.parse(re.sub(rf"(?m)^( +)({'|'.join(keyword.kwlist)}) = ", r"\1\2_ = ", text))


@cache
def node(name: str) -> Node:
    """The description of a class such as `Page`."""
    tree = _tree(name)
    top = next(one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name)
    found = Node()
    for part in top.body:
        if isinstance(part, ast.ClassDef):
            values = frozenset(_constants(part))
            found.enums[part.name] = values
            if part.name == "Field":
                found.fields = set(values)
    for part in top.body:
        if isinstance(part, ast.FunctionDef):
            _read_edge(found, part)
    return found


def _constants(part: ast.ClassDef) -> list[str]:
    return [one.value.value for one in part.body
            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str)]


def _read_edge(found: Node, method: ast.FunctionDef) -> None:
    asked = {word.arg: str(word.value.value) for call in ast.walk(method)
             if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "FacebookRequest"
             for word in call.keywords if isinstance(word.value, ast.Constant)}
    if "endpoint" not in asked:
        return
    found.edges[asked["method"], asked["endpoint"]] = Edge(
        {name: ast.literal_eval(kind) for name, kind in _table(method, "param_types").items()},
        {name: values for name, one in _table(method, "enums").items() if (values := _values(one, found))})


def _table(method: ast.FunctionDef, name: str) -> dict[str, ast.expr]:
    for one in ast.walk(method):
        if not isinstance(one, ast.Assign) or getattr(one.targets[0], "id", "") != name:
            continue
        if isinstance(one.value, ast.Dict):
            return {str(key.value): value for key, value in zip(one.value.keys, one.value.values, strict=True)
                    if isinstance(key, ast.Constant)}
    return {}


def _values(one: ast.expr, here: Node) -> frozenset[str]:
    """The values of an enumeration: written out, or those of a class `Thing.Kind`, which may live in another file."""
    if isinstance(one, ast.List):
        return frozenset(ast.literal_eval(one))
    names = re.fullmatch(r"(\w+)\.(\w+)\.__dict__\.values\(\)", ast.unparse(one))
    if names is None:
        return frozenset()
    owner, kind = names.groups()
    if kind in here.enums:
        return here.enums[kind]
    return frozenset(value for part in ast.walk(_tree(owner)) if isinstance(part, ast.ClassDef) and part.name == kind
                     for value in _constants(part))


# ---------------------------------------------------------------- judging a request

# Of every call, in Meta's own words: Access Tokens, Securing Requests, Paginated Results, Field Expansion.
EVERYWHERE = frozenset({"access_token", "appsecret_proof", "fields", "limit", "after"})
# Whose an edge is, where the package knows several classes with an edge of that name.
OWNERS = {"accounts": ("User",), "businesses": ("User",), "permissions": ("User",), "owned_pages": ("Business",),
          "client_pages": ("Business",), "comments": ("PagePost", "IGMedia", "IGMediaForIGOnlyAPI"),
          "replies": ("IGComment",), **dict.fromkeys(("media", "media_publish", "content_publishing_limit", "stories"),
                                                     ("IGUser", "IGUserForIGOnlyAPI"))}
BARE = ("Page", "AdVideo", "PagePost", "User", "IGUser", "IGMedia", "Comment", "IGComment", "ShadowIGMediaBuilder",
        "IGUserForIGOnlyAPI", "IGMediaForIGOnlyAPI")
GRAPHS = ("graph.facebook.com", "graph-video.facebook.com", "graph.instagram.com")
# No objects, so the package does not know them: logging in is described on Meta's pages only.
OUTSIDE = ("/oauth/access_token", "/debug_token", "/access_token", "/refresh_access_token")


def problems(asked: Asked, exceptions: frozenset[str] = frozenset()) -> list[str]:
    """What the description does not know about a request; each begins with the name that an exception would have."""
    path = re.sub(r"^/v\d+\.\d+", "", asked.path)
    if asked.host not in GRAPHS or path in OUTSIDE:
        return []
    _, _, *edge = path.split("/")
    found = _of_edge(asked, edge[0]) if edge else min((_of_node(asked, one) for one in BARE), key=len)
    return [one for one in found if one.partition(":")[0] not in exceptions]


def _of_node(asked: Asked, name: str) -> list[str]:
    known = (asked.method, "/") in node(name).edges
    return [*_fields(asked, name), *([] if known else [f"{name} {asked.method}: there is no such call"])]


def _of_edge(asked: Asked, edge: str) -> list[str]:
    tries = []
    for owner in OWNERS.get(edge, ("Page",)):
        known = node(owner).edges.get((asked.method, f"/{edge}"))
        if known is None:
            tries.append([f"{owner}/{edge} {asked.method}: there is no such call"])
            continue
        place = f"{owner}/{edge}"
        sent = {name: value for name, value in asked.parameters.items() if name not in EVERYWHERE}
        tries.append([problem for name, value in sent.items() for problem in _of_parameter(place, name, value, known)])
    return min(tries, key=len)


def _of_parameter(place: str, name: str, value: Any, edge: Edge) -> list[str]:
    kind = edge.types.get(name)
    if kind is None:
        return [f"{place} {name}: there is no such parameter"]
    if kind in edge.values:
        values = edge.values[kind]
        return [] if value in values else [f"{place} {name}: {value!r} is none of {sorted(values)}"]
    return [] if _fits(kind, value) else [f"{place} {name}: {value!r} is no {kind}"]


def _fits(kind: str, value: Any) -> bool:
    if value is None:  # the file of a multipart form
        return kind in ("file", "string")
    if kind in ("unsigned int", "int"):
        return bool(re.fullmatch(r"-?\d+", str(value)))
    if kind == "bool":
        return str(value).lower() in ("true", "false")
    if kind.startswith("list"):
        return isinstance(value, list) or _is_json_list(str(value))
    return True


def _is_json_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def _fields(asked: Asked, name: str) -> list[str]:
    names = [re.split(r"[.{(]", one.strip())[0] for one in re.split(r",(?![^{(]*[})])", asked.query.get("fields", ""))]
    return [f"{name} {one}: there is no such field" for one in names if one and one not in node(name).fields]
