"""The examples for programs in the README, run as they stand there against a console with its workers."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import story
from tests.running import COMMAND, Console

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PART = README.split("## For programs")[1].split("\n## ")[0]
LINES = [line for block in re.findall(r"```\n(.+?)```", PART, re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of somebody who follows the README: a console, a key, and a profile of X."""
    console = Console(tmp_path_factory.mktemp("programs") / "instance").start()
    try:
        console.set_up(story.EMAIL, story.PASSWORD)
        visitor = story.sign_in(console)
        story.set_up_platform(visitor, console, "twitter")
        account = story.connect(visitor, console, "X", "acme")
        made = subprocess.run(
            [*COMMAND, "keys", "create", "--workspace", "Harbour Bakery", "--name", "README", "--json"], cwd=ROOT,
            env=console.environ, capture_output=True, text=True, check=True)
        yield {"SOCIALCONSOLE_URL": console.url, "SOCIALCONSOLE_API_KEY": json.loads(made.stdout)["key"],
               "ACCOUNT": account}
    finally:
        console.stop()


def asked(line: str, environ: dict[str, str]) -> dict:
    """What a line with curl is answered, whether this machine has curl or not."""
    words = subprocess.run(["sh", "-c", f"printf '%s\\n' {line.removeprefix('curl ')}"], env=environ, text=True,
                           capture_output=True, check=True).stdout.splitlines()
    headers = dict(words[number + 1].split(": ", 1) for number, word in enumerate(words) if word == "-H")
    data = words[words.index("-d") + 1].encode() if "-d" in words else None
    with urllib.request.urlopen(urllib.request.Request(words[0], data, headers), timeout=30) as answer:
        return json.load(answer)


def test_the_lines_with_curl(place):
    workspaces, posted, listed = (asked(line, place) for line in LINES if line.startswith("curl"))
    assert [one["name"] for one in workspaces["data"]] == ["Harbour Bakery"]
    assert posted["state"] == "scheduled" and posted["scheduledAt"] == "2030-01-01T08:00:00Z"
    assert [one["id"] for one in listed["data"]] == [posted["id"]]
    again = asked(next(line for line in LINES if "buns-2030" in line), place)
    assert again["id"] == posted["id"]


def test_the_ci_job_posts_once(place):
    line = next(line for line in LINES if line.startswith("python "))
    command = shlex.split(line.replace("$ACCOUNT", place["ACCOUNT"]))
    for _ in range(2):
        done = subprocess.run([sys.executable, *command[1:]], cwd=ROOT, env={**os.environ, **place},
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("published: http")
    refused = subprocess.run([sys.executable, *command[1:3], "Other words", *command[4:]], cwd=ROOT,
                             env={**os.environ, **place}, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "idempotency_key_reused" in refused.stderr


def test_a_job_that_is_refused_says_which_field(place):
    done = subprocess.run([sys.executable, "clients/python/post_from_ci.py", place["ACCOUNT"], "", "--once", "empty"],
                          cwd=ROOT, env={**os.environ, **place}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "text:" in done.stderr
