"""No secret in plain form outside the processes: after a whole story, everything that was left behind is searched."""

import base64
import json
import re
import sqlite3
import zlib

import pytest

from socialconsole.models import PUBLISHED
from tests import story
from tests.running import until

pytestmark = pytest.mark.processes


def secrets_of(running):
    """All that the sandbox gave out: client secrets, codes, access and refresh tokens."""
    found = set()
    with sqlite3.connect(running.console.folder / "sandbox.db") as kept:
        tables = [name for (name,) in kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in kept.execute(f"SELECT * FROM {table}"):
                for cell in row:
                    if isinstance(cell, str) and cell.startswith("{"):
                        plain = json.loads(cell)
                        found |= {plain[name] for name in ("client_secret", "value") if plain.get(name)}
    return {value for value in found if len(value) >= 16}


def shapes(value):
    """A secret as it is, in base64 and in hexadecimal."""
    raw = value.encode()
    return raw, base64.b64encode(raw)[:-4], raw.hex().encode()


def test_nothing_that_the_platform_gave_out_is_left_readable(running):
    visitor, console = running.visitor, running.console
    console.control("PATCH", f"/portal/api/apps/{console.control('GET', '/portal/api/apps')[0]['client_id']}",
                    {"access_seconds": 90})
    story.connect(visitor, console, "X", "bob")
    url = story.compose(visitor, console, "Searched afterwards", "acme")
    running.wait_for_state(url, PUBLISHED)
    given_out = secrets_of(running)
    assert len(given_out) >= 5

    left = {path.name: path.read_bytes() for path in console.folder.rglob("*")
            if path.is_file() and not path.name.startswith("sandbox.db")}
    assert {"console.db"} <= set(left) and any("aof" in name for name in left)
    left["output"] = console.output().encode()
    workspace = story.workspace_path(visitor, console)
    account = until(lambda: re.search(r"acc_[0-9A-Z]{26}", visitor.open(console.url + workspace + "/profiles").page))[0]
    for page in ("/admin/platforms", "/admin/platforms/twitter", "/admin/activity", "/me", workspace + "/profiles",
                 f"{workspace}/profiles/{account}", workspace + "/posts", workspace + "/activity",
                 url.removeprefix(console.url)):
        assert visitor.open(console.url + page).status == 200
        left[page] = visitor.page.encode()

    hits = [(name, value[:6]) for name, content in left.items() for value in given_out for shape in shapes(value)
            if shape in content]
    assert hits == []
    assert not [address for address in visitor.visited if address.startswith(console.url) and
                any(value in address for value in given_out) and "/callback?" not in address]


def packed(content):
    """What RQ wrote into the store: it compresses a job's function and arguments."""
    for start in (found.start() for found in re.finditer(rb"x\x9c", content)):
        try:
            yield zlib.decompressobj().decompress(content[start:])
        except zlib.error:
            continue


def test_a_job_in_the_store_is_json_that_names_one_of_our_functions_and_ids(running):
    visitor, console = running.visitor, running.console
    url = story.compose(visitor, console, "A job is written into the store", "acme")
    running.wait_for_state(url, PUBLISHED)
    content = b"".join(path.read_bytes() for path in console.folder.rglob("*.aof"))
    jobs = [json.loads(one) for one in packed(content) if b"socialconsole.jobs" in one]
    assert any(function == "socialconsole.jobs.deliver" for function, *_ in jobs)
    for function, instance, arguments, named in jobs:
        assert function in {f"socialconsole.jobs.{name}" for name in ("deliver", "refresh", "sync", "tidy")}
        assert instance is None and not named
        assert all(re.fullmatch(r"(dlv|grt|acc|att)_[0-9A-Z]{26}", one) for ids in arguments for one in ids)
