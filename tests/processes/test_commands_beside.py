"""Commands beside a running console: what they write is there at once, and many at a time do not stand in the way."""

import json
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.running import COMMAND, ROOT, Console


def command(console: Console, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, env=console.environ, input=typed, capture_output=True,
                          text=True, timeout=120)


def ask(console: Console, path: str, key: str) -> dict:
    call = urllib.request.Request(console.url + path, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(call, timeout=20) as answer:
        found: dict = json.load(answer)
        return found


def test_a_workspace_is_set_up_without_a_browser_while_the_console_runs(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance").start()
    try:
        command(console, "setup", "--email", "you@example.com", "--password-stdin", "--workspace", "Bakery",
                typed="a password nobody guesses\n")
        made = command(console, "keys", "create", "--workspace", "Bakery", "--name", "CI", "--json")
        assert (made.returncode, made.stderr) == (0, "")
        told = json.loads(made.stdout)
        assert [one["id"] for one in ask(console, "/v1/workspaces", told["key"])["data"]] == [told["workspaceId"]]
        with ThreadPoolExecutor(4) as several:
            ended = list(several.map(lambda number: command(
                console, "keys", "create", "--workspace", told["workspaceId"], "--name", f"CI {number}"), range(4)))
        assert [(one.returncode, one.stdout[:4]) for one in ended] == [(0, "sck_")] * 4
        assert len(json.loads(command(console, "keys", "list", "--json").stdout)) == 5
    finally:
        console.stop()
