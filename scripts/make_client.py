"""Write the Python client from the OpenAPI document: `.venv/bin/python scripts/make_client.py`.

A test makes it anew and compares, so that the client in the repository is always that of the document.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from socialconsole import api  # noqa: E402

FILE = ROOT / "clients" / "python" / "socialconsole_client.py"
HEAD = '''"""A client of Social Console's API, for Python 3.11 and later; needs nothing else.

    from socialconsole_client import Client
    console = Client("https://social.example.com", key)
    for account in console.list_accounts(workspace_id)["data"]:
        print(account["displayName"], account["status"])

Written by scripts/make_client.py from the OpenAPI document; change that, not this.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, cast


class Problem(Exception):
    """What the console answers where something is wrong: `code` never changes, `errors` names fields."""

    def __init__(self, status: int, plain: Mapping[str, Any]) -> None:
        super().__init__(str(plain.get("detail") or status))
        self.status, self.code = status, str(plain.get("code", ""))
        self.errors: list[dict[str, str]] = list(plain.get("errors", ()))
        self.plain = dict(plain)


'''
CLIENT = '''class Client:
    """One console and one key. Each call raises Problem where the console refuses it.

    Every POST carries an Idempotency-Key of its own; give one yourself to repeat a request safely.
    """

    def __init__(self, address: str, key: str, timeout: float = 60) -> None:
        self._address, self._key, self._timeout = address.rstrip("/"), key, timeout

    def _ask(self, method: str, path: str, query: Mapping[str, Any], body: Any = None, content: bytes | None = None,
             headers: Mapping[str, str | int | None] | None = None) -> Any:
        given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()
                 if value is not None}
        sent = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if method == "POST":
            sent["Idempotency-Key"] = str(uuid.uuid4())
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update({name: str(value) for name, value in (headers or {}).items() if value is not None})
        address = f"{self._address}{path}" + (f"?{urllib.parse.urlencode(given)}" if given else "")
        request = urllib.request.Request(address, content, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read()
            try:
                plain = json.loads(said)
            except ValueError:
                plain = {}
            raise Problem(error.code, plain) from None
        return json.loads(said) if said else None
'''


def main() -> int:
    """Write the file."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text())
    return 0


def text() -> str:
    """The whole client."""
    told = api.document(api.VERSION)
    shapes = "".join(f"{part}\n\n\n" for part in _shapes(told["components"]["schemas"]))
    calls = "".join(f"\n{part}" for part in _calls(told))
    return HEAD + shapes + CLIENT + calls


def _shapes(schemas: dict[str, Any]) -> Iterator[str]:
    """A TypedDict for each shape, those that others are made of first."""
    done: list[str] = []

    def of(name: str) -> Iterator[str]:
        if name in done or name == "Problem":
            return
        done.append(name)
        for other in re.findall(r"'#/components/schemas/(\w+)'", repr(schemas[name])):
            yield from of(other)
        yield _shape(name, schemas[name])

    for name in schemas:
        yield from of(name)


def _shape(name: str, schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    lines = [f"class {name}(TypedDict):", f'    """{_first(schema.get("description", name))}"""', ""]
    for field, part in schema.get("properties", {}).items():
        sort = _sort(part)
        lines.append(f"    {field}: {sort if field in needed else f'NotRequired[{sort}]'}")
    return "\n".join(lines if len(lines) > 3 else lines[:2])


def _first(words: str) -> str:
    """The first sentence."""
    return words.strip().split("\n")[0].strip()


def _sort(part: dict[str, Any]) -> str:
    """The type of a value."""
    for several in ("anyOf", "oneOf"):
        if several in part:
            return " | ".join(dict.fromkeys(_sort(one) for one in part[several]))
    if "$ref" in part:
        return str(part["$ref"].rpartition("/")[2])
    if "enum" in part:
        return f"Literal[{', '.join(repr(one).replace(chr(39), chr(34)) for one in part['enum'])}]"
    kind = part.get("type")
    if kind == "array":
        return f"list[{_sort(part.get('items', {}))}]"
    if kind == "object":
        values = part.get("additionalProperties")
        return f"dict[str, {_sort(values) if isinstance(values, dict) else 'Any'}]"
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
    return plain.get(str(kind), "Any")


def _calls(told: dict[str, Any]) -> Iterator[str]:
    for path, methods in told["paths"].items():
        for method, raw in methods.items():
            yield _call(path, method.upper(), raw)


def _call(path: str, method: str, raw: dict[str, Any]) -> str:
    places = {place: [one for one in raw["parameters"] if one["in"] == place] for place in ("path", "query", "header")}
    given = [f"{_snake(one['name'])}: str" for one in places["path"]]
    content = raw.get("requestBody", {}).get("content", {})
    options = [f"{_snake(one['name'])}: {_sort(one['schema'])} | None = None"
               for one in (*places["query"], *places["header"])]
    if "application/json" in content:
        given.append(f"body: {_sort(content['application/json']['schema'])}")
    elif content:
        given += ["content: bytes", "content_type: str"]
    answer = next((_sort(one["content"]["application/json"]["schema"]) for status, one in raw["responses"].items()
                   if status.startswith("2") and "content" in one), "None")
    head = ", ".join(["self", *given, *(["*", *options] if options else [])])
    where = re.sub(r"\{(\w+)\}", lambda found: "{" + _snake(found[1]) + "}", path)
    values = [f'"{method}"', f'{"f" if "{" in where else ""}"{where}"', _named(places["query"])]
    if "application/json" in content:
        values.append("body")
    elif content:
        values.append("content=content")
    headers = [f'"{one["name"]}": {_snake(one["name"])}' for one in places["header"]]
    if content and "application/json" not in content:
        headers.append('"Content-Type": content_type')
    if headers:
        values.append(f"headers={{{', '.join(headers)}}}")
    ask = f"self._ask({', '.join(values)})"
    done = f"        return cast({answer}, {ask})" if answer != "None" else f"        {ask}"
    return "\n".join([f"    def {_snake(raw['operationId'])}({head}) -> {answer}:  # noqa: E501",
                      f'        """{raw["summary"]}."""', f"{done}  # noqa: E501", ""])


def _named(parameters: list[dict[str, Any]]) -> str:
    return "{" + ", ".join(f'"{one["name"]}": {_snake(one["name"])}' for one in parameters) + "}"


def _snake(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name.replace("-", "_"))
    found = words.lower()
    return f"{found}_" if found in ("from", "in", "is", "class") else found


if __name__ == "__main__":
    sys.exit(main())
