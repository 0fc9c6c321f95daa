"""A real console and a real browser for the proofs of this folder; a page fails its test if it misbehaves."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from socialconsole import config as settings
from socialconsole import create_app
from tests import story
from tests.browser.watch import Watch
from tests.conftest import close
from tests.running import Console

HERE = Path(__file__).parent
PATIENCE = 15_000  # milliseconds until a page that does not get there is a failure
ARGUMENTS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`BROWSER=0` leaves out what needs a browser, except where CI is set."""
    if os.environ.get("BROWSER") != "0" or os.environ.get("CI"):
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason="BROWSER=0"))


def chromium() -> str | None:
    """The browser to drive: $CHROMIUM, one on PATH, or None for playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next((found for found in map(shutil.which, names) if found), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole folder."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        started = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


# ---------------------------------------------------------------- consoles


@pytest.fixture(scope="module")
def fresh_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console that nobody has set up yet."""
    console = Console(tmp_path_factory.mktemp("browser") / "instance")
    try:
        yield console.start()
    finally:
        console.stop()


@pytest.fixture(scope="module")
def console(fresh_console: Console) -> Console:
    """A console that is set up; Alice is its admin and owns the first workspace."""
    fresh_console.set_up(story.EMAIL, story.PASSWORD)
    return fresh_console


@pytest.fixture(scope="module")
def inside(fresh_console: Console) -> Iterator[Flask]:
    """A second look into the console's own database, to bring about what would take days."""
    app = create_app(settings.read(fresh_console.environ))
    yield app
    close(app)


# ---------------------------------------------------------------- pages


@pytest.fixture
def watches() -> Iterator[list[Watch]]:
    """All that watch pages of this test; at its end none may have seen anything wrong."""
    made: list[Watch] = []
    yield made
    problems = [problem for watch in made for problem in watch.problems]
    assert not problems, "\n".join(problems)


@pytest.fixture
def open_page(browser: Browser, fresh_console: Console, watches: list[Watch]) -> Iterator[OpenPage]:
    """Makes watched pages: `open_page(java_script_enabled=False)`."""
    contexts: list[BrowserContext] = []

    def make(**options: object) -> Page:
        context = browser.new_context(locale="en-GB", **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        watches.append(Watch(context, fresh_console.url, fresh_console.sandbox,
                             script=options.get("java_script_enabled") is not False))
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """One page with JavaScript, in which nobody is signed in."""
    return open_page()


@pytest.fixture
def watch(page: Page, watches: list[Watch]) -> Watch:
    """What watches `page`."""
    return watches[0]


@pytest.fixture(scope="module")
def signed_in(browser: Browser, console: Console) -> dict[str, object]:
    """The cookies of Alice, signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.url + "/sign-in")
    page.get_by_label("E-mail").fill(story.EMAIL)
    page.get_by_label("Password").fill(story.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    state = context.storage_state()
    context.close()
    return dict(state)
