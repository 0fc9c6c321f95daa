"""A console started with a file: what it manages, how a difference is shown and mended, with and without script."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.running import COMMAND, ROOT, Console

from . import looks

SECRET = "WPL_AP1.AbCdEfGh12347f3a"
APP = {"segment": "linkedin", "mode": "member", "clientId": "78k2h0qv9xw1me", "on": False,
       "clientSecret": {"secretFrom": {"env": "LINKEDIN_CLIENT_SECRET"}}}


def text(**parts: object) -> str:
    return json.dumps({"format": "socialconsole/1", **parts}, indent=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that manages the console."""
    path = tmp_path_factory.mktemp("file") / "console.json"
    path.write_text(text(platforms=[APP]))
    return path


@pytest.fixture(scope="module")
def fresh_console(tmp_path_factory: pytest.TempPathFactory, file: Path) -> Iterator[Console]:
    """A console that is started with that file."""
    console = Console(tmp_path_factory.mktemp("browser") / "instance", CONSOLE_FILE=str(file),
                      LINKEDIN_CLIENT_SECRET=SECRET)
    try:
        yield console.start()
    finally:
        console.stop()


def command(console: Console, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, "config", *arguments], cwd=ROOT, env=console.environ, text=True,
                          capture_output=True, check=False)


def test_the_start_took_the_file_over_and_the_command_agrees(console, file, tmp_path):
    assert "CONSOLE_FILE: LinkedIn: Created." in console.output() and SECRET not in console.output()
    assert command(console, "drift", str(file)).returncode == 0
    exported = command(console, "export")
    assert '"clientId": "78k2h0qv9xw1me"' in exported.stdout and SECRET not in exported.stdout
    other = tmp_path / "other.json"
    other.write_text(text(platforms=[APP | {"name": "Ours"}]))
    refused = command(console, "apply", str(other), "--yes")
    assert refused.returncode == 1 and "managed by the file" in refused.stderr


@pytest.mark.parametrize("script", [True, False])
def test_a_pasted_file_is_planned_and_applied(console, open_page, signed_in, script):
    page = open_page(storage_state=signed_in, java_script_enabled=script)
    minutes = 45 if script else 55
    page.goto(console.url + "/admin/platforms")
    page.get_by_role("link", name="Configuration file").click()
    page.get_by_label("Or paste it").fill(text(workspaces=[{"name": "Harbour Bakery", "windowMinutes": minutes}]))
    page.get_by_role("button", name="See what would change").click()
    expect(page.get_by_role("heading", name="What the file would change")).to_be_visible()
    expect(page.get_by_role("cell", name="windowMinutes")).to_be_visible()
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("The file is applied: 1 thing changed.")).to_be_visible()


def test_the_pages_look_well(console, open_page, signed_in, file):
    page: Page = open_page(storage_state=signed_in)
    file.write_text(text(platforms=[APP | {"name": "Our pages"}], settings={"WORKERS": "4"}))
    page.goto(console.url + "/admin/configuration")
    expect(page.get_by_role("heading", name="The file of this console")).to_be_visible()
    expect(page.get_by_role("cell", name="Our pages")).to_be_visible()
    page.locator("details.fold > summary").click()
    looks.check(page)
    page.get_by_role("button", name="Make the console as the file says").click()
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_visible()
    looks.check(page)
    page.goto(console.url + "/admin/platforms/linkedin")
    expect(page.get_by_text("Managed by a file", exact=True)).to_be_visible()
    expect(page.get_by_label("Client ID")).to_be_disabled()
    looks.check(page)
    file.write_text(text(platforms=[APP]))
