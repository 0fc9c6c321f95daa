"""Every request to YouTube held against Google's own discovery document, as shipped with google-api-python-client.

Its schemas become JSON Schema in which unknown properties are refused; paths, queries and uploads are checked too.
"""

import json
import re
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from socialconsole.errors import ContentRejected
from socialconsole.providers.content import Progress
from socialconsole.providers.youtube_portal import FIELDS, PRIVACY
from tests.formats.conftest import playground as playground
from tests.formats.playground import Asked

HOST = "www.googleapis.com"
# Of the upload protocol, not of a method; `upload_id` stands in the session's address, which Google made.
UPLOAD_PARAMETERS = {"uploadType", "upload_id"}


@cache
def description() -> dict[str, Any]:
    package = find_spec("googleapiclient")
    if package is None or package.origin is None:
        pytest.skip("description not at hand: google-api-python-client is not installed")
    path = Path(package.origin).parent / "discovery_cache" / "documents" / "youtube.v3.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def methods(resources: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for resource in resources.values():
        found += resource.get("methods", {}).values()
        found += methods(resource.get("resources", {}))
    return found


def method_of(asked: Asked) -> dict[str, Any]:
    """The described method of a request. The PUT of a session belongs to the method that opened it."""
    wanted = "POST" if asked.method == "PUT" else asked.method
    for one in methods(description()["resources"]):
        plain = f"/{description()['servicePath']}{one['path']}"
        media = one.get("mediaUpload", {}).get("protocols", {}).get("simple", {}).get("path")
        if one["httpMethod"] == wanted and asked.path in (plain, media):
            return one
    raise AssertionError(f"{asked.line} is not described")


def schema(name: str) -> dict[str, Any]:
    """A JSON Schema of a described resource, in which nothing unknown is allowed."""
    return {"$ref": f"#/$defs/{name}", "$defs": {key: strict(one) for key, one in description()["schemas"].items()}}


def strict(one: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in one:
        return {"$ref": f"#/$defs/{one['$ref']}"}
    made: dict[str, Any] = {"type": one["type"]} if one.get("type", "any") != "any" else {}
    if "enum" in one:
        made["enum"] = one["enum"]
    if one.get("format") == "date-time":
        made["pattern"] = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
    if "items" in one:
        made["items"] = strict(one["items"])
    if one.get("type") == "object":
        made["properties"] = {key: strict(value) for key, value in one.get("properties", {}).items()}
        more = one.get("additionalProperties")
        made["additionalProperties"] = strict(more) if isinstance(more, dict) else False
    return made


def check(asked: Asked) -> None:
    """Raises if a request is not one that the description knows."""
    method = method_of(asked)
    known = {**description()["parameters"], **method["parameters"]}
    assert asked.host == HOST
    unknown = set(asked.query) - set(known) - UPLOAD_PARAMETERS
    assert not unknown, f"{asked.line}: {unknown} in the query"
    for name, facts in known.items():
        if facts.get("required"):
            assert asked.query.get(name) or asked.method == "PUT", f"{asked.line}: {name} is missing"
        value = asked.query.get(name)
        if value is None:
            continue
        if facts["type"] == "boolean":
            assert value in ("true", "false"), f"{name}={value}"
        if "enum" in facts:
            assert value in facts["enum"], f"{name}={value}"
    is_upload = asked.path.startswith("/upload/")
    assert bool(asked.query.get("uploadType", "media")) and is_upload == bool(method.get("supportsMediaUpload"))
    if "request" in method and asked.method != "PUT":
        body = asked.json
        jsonschema.validate(body, schema(method["request"]["$ref"]))
        assert set(body) == set(asked.query["part"].split(",")), "the parts are those that the body has"
    else:
        assert asked.json is None and not asked.form
    if is_upload:
        kind = asked.headers.get("X-Upload-Content-Type") or asked.headers.get("Content-Type", "video/*")
        assert any(re.fullmatch(one.replace("*", ".*"), kind) for one in method["mediaUpload"]["accept"]), kind


@pytest.fixture
def here(playground: Any) -> Any:
    place = playground("youtube")
    place.connect()
    return place


CHOICES = {"title": "Bread", "privacy": "private", "made_for_kids": "yes", "synthetic": "no", "tags": "a, b c",
           "category": "26", "notify_subscribers": "no", "publish_at": "2026-12-24T18:00+01:00",
           "license": "creativeCommon", "embeddable": "no"}


def everything(here: Any) -> list[Asked]:
    """Every call of a full life: connect, upload, break, ask, follow, thumbnail, read again, delete."""
    video = here.file(kind="video", size=9 * 1024 * 1024)
    draft, progress = here.draft("Oven", "video", [video], options=CHOICES,
                                 extra_files={"thumbnail": here.file()}), Progress()
    here.prepare(draft, progress)
    here.locate(draft, progress)
    done = here.deliver(draft, progress)
    here.provider.profile(here.app, here.account.token, here.account.profile.platform_user_id)
    plain = {name: CHOICES[name] for name in ("title", "privacy", "made_for_kids", "synthetic")}
    here.deliver(here.draft("", "video", [video], options=plain))
    here.delete(done.id, draft)
    return [one for one in here.asked if one.host not in ("accounts.google.com", "oauth2.googleapis.com")]


def test_every_request_is_a_described_one(here: Any) -> None:
    asked = everything(here)
    for one in asked:
        check(one)
    assert {one.line for one in asked} == {
        f"GET {HOST}/youtube/v3/channels", f"POST {HOST}/upload/youtube/v3/videos",
        f"PUT {HOST}/upload/youtube/v3/videos", f"GET {HOST}/youtube/v3/videos",
        f"POST {HOST}/upload/youtube/v3/thumbnails/set", f"DELETE {HOST}/youtube/v3/videos"}


@pytest.mark.parametrize("slip", [
    lambda one: {"json": {**one.json, "snippet": {**one.json["snippet"], "categoryID": "22"}}},
    lambda one: {"json": {**one.json, "snippet": {**one.json["snippet"], "tags": "a,b"}}},
    lambda one: {"json": {**one.json, "status": {**one.json["status"], "privacyStatus": "hidden"}}},
    lambda one: {"json": {**one.json, "status": {**one.json["status"], "embeddable": "no"}}},
    lambda one: {"json": {**one.json, "status": {**one.json["status"], "publishAt": "tomorrow"}}},
    lambda one: {"query": {**one.query, "notifysubscribers": "true"}},
    lambda one: {"query": {**one.query, "notifySubscribers": "yes"}},
    lambda one: {"query": {**one.query, "part": "snippet"}},
    lambda one: {"query": {name: value for name, value in one.query.items() if name != "part"}},
    lambda one: {"path": "/upload/youtube/v3/video"}, lambda one: {"host": "api.youtube.com"},
    lambda one: {"path": "/youtube/v3/videos"},
    lambda one: {"headers": {**one.headers, "X-Upload-Content-Type": "image/png"}}],
    ids=["name", "list", "enum", "boolean", "time", "parameter", "flag", "part", "no part", "path", "host", "no upload",
         "type"])
def test_the_description_catches_a_slip(here: Any, slip: Any) -> None:
    opened = next(one for one in everything(here) if one.method == "POST" and one.path.endswith("/videos"))
    check(opened)
    with pytest.raises((AssertionError, jsonschema.ValidationError, KeyError)):
        check(replace(opened, **slip(opened)))


def test_our_choices_are_the_described_ones() -> None:
    status = description()["schemas"]["VideoStatus"]["properties"]
    license = next(one for one in FIELDS if one.name == "license")
    assert set(PRIVACY) == set(status["privacyStatus"]["enum"])
    assert {value for value, _ in license.choices} == set(status["license"]["enum"])


def test_every_described_reason_has_words(here: Any) -> None:
    status = description()["schemas"]["VideoStatus"]["properties"]
    for kind, name in (("fail", "failureReason"), ("reject", "rejectionReason")):
        for reason in status[name]["enum"]:
            title = f"sandbox-{kind}-{reason}"
            video = here.file(kind="video", size=9_000)
            with pytest.raises(ContentRejected) as caught:
                here.deliver(here.draft("", "video", [video], options={**CHOICES, "title": title}))
            assert not caught.value.message.endswith(f": {reason}."), "people get a sentence, not Google's word"
