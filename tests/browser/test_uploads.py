"""Files on their way in a real browser: in pieces, several at once, over lines that break and pages that are left."""

import io
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from PIL import Image
from playwright.sync_api import Locator, Page, Request, Route, expect

from socialconsole import uploads
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Media, MediaUse, Upload, Workspace
from tests import made_files as made
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.browser.watch import Watch
from tests.running import Console
from tests.services.test_thumbnails import film
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]

PIECES = re.compile(r".*/uploads/upl_\w+$")
# How many files at most were seen under way at one moment.
COUNT_BARS = """() => {
  window.mostBars = 0;
  const list = document.querySelector('[data-under-way]');
  new MutationObserver(() => {
    window.mostBars = Math.max(window.mostBars, list.querySelectorAll('progress').length);
  }).observe(list, {childList: true});
}"""
LATER = 30_000  # milliseconds that a worker may need


@pytest.fixture(scope="module")
def person(console: Console) -> Visitor:
    """Alice, with X on and connected."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    story.connect(visitor, console, "Connect X", "Acme Bakery")
    return visitor


@pytest.fixture(scope="module")
def place(person: Visitor, console: Console) -> str:
    """The address of the workspace."""
    return console.url + story.workspace_path(person, console)


@pytest.fixture
def inside_page(person: Visitor, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page in which Alice is signed in."""
    return open_page(storage_state=signed_in)


@pytest.fixture(autouse=True)
def empty(inside: Flask, person: Visitor) -> Iterator[None]:
    """Each test begins with an empty library and no limit of its own."""
    with inside.app_context(), writing() as session:
        for model in (Upload, MediaUse, Media):
            session.query(model).delete()
        session.query(Workspace).update({"storage_limit": None})
    yield


def picture(folder: Path, name: str, size: tuple[int, int] = (1200, 800)) -> Path:
    path = folder / name
    random.seed(name)
    Image.new("RGB", size, tuple(random.randrange(60, 250) for _ in range(3))).save(path)
    return path


def large(folder: Path, name: str, megabytes: int) -> Path:
    """A film of several pieces; what moves in it does not matter."""
    path = folder / name
    path.write_bytes(made.mp4(payload=megabytes * 1024 * 1024))
    return path


def shelf(page: Page) -> Locator:
    return page.get_by_role("region", name="Files").get_by_role("listitem")


def under_way(page: Page) -> Locator:
    return page.get_by_role("list", name="Uploads").get_by_role("listitem")


def test_several_files_arrive_at_once_and_a_worker_shows_the_film(
        place: str, inside_page: Page, tmp_path: Path) -> None:
    page = inside_page
    page.goto(place + "/media")
    page.evaluate(COUNT_BARS)
    page.get_by_label("Add files").set_input_files([
        *(picture(tmp_path, f"bun {number}.png") for number in range(5)),
        *[path for path in [tmp_path / "film.mp4"] if film(path, 2, (320, 240))]])
    expect(shelf(page)).to_have_count(6)
    expect(under_way(page)).to_have_count(0)
    assert page.evaluate("() => window.mostBars") == 6, "each file has its own bar"
    expect(page.get_by_role("link", name="film.mp4").locator("img")).to_be_visible(timeout=LATER)
    looks.check(page)
    page.get_by_role("link", name="film.mp4").click()
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    looks.check(page)
    page.get_by_role("link", name="Delete").click()
    looks.check(page)
    page.get_by_role("button", name="Delete the file").click()
    expect(page.get_by_text("film.mp4 is deleted.")).to_be_visible()
    expect(shelf(page)).to_have_count(5)


def test_a_line_that_breaks_is_tried_again(place: str, inside_page: Page, tmp_path: Path, inside: Flask) -> None:
    page = inside_page
    broken: list[str | None] = []

    def cut(route: Route) -> None:
        if route.request.method == "PATCH" and len(broken) < 3:
            broken.append(route.request.headers.get("upload-offset"))
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(PIECES, cut)
    page.goto(place + "/media")
    page.get_by_label("Add files").set_input_files(large(tmp_path, "film.mp4", 9))
    expect(under_way(page).get_by_text("The connection is lost. Trying again")).to_be_visible()
    expect(shelf(page)).to_have_count(1, timeout=LATER)
    assert broken == ["0", "0", "0"]
    with inside.app_context():
        assert db.session.query(Media).one().size == (tmp_path / "film.mp4").stat().st_size


def test_a_page_that_was_left_goes_on_where_it_stopped(place: str, inside_page: Page, tmp_path: Path) -> None:
    page = inside_page
    offsets: list[int] = []
    path = large(tmp_path, "opening.mp4", 14)

    def note(route: Route) -> None:
        if route.request.method == "PATCH":
            offsets.append(int(route.request.headers["upload-offset"]))
            if len(offsets) == 3:
                route.abort("connectionreset")
                return
        route.continue_()

    page.route(PIECES, note)
    page.goto(place + "/media")
    page.get_by_label("Add files").set_input_files(path)
    expect(under_way(page).get_by_text("The connection is lost.")).to_be_visible()
    page.reload()
    under = page.get_by_role("region", name="Under way")
    expect(under.get_by_text("8 MB of 14 MB arrived")).to_be_visible()
    looks.check(page)
    page.get_by_label("Add files").set_input_files(path)
    expect(shelf(page)).to_have_count(1, timeout=LATER)
    assert offsets == [0, uploads.PIECE, 2 * uploads.PIECE, 2 * uploads.PIECE, 3 * uploads.PIECE]
    expect(under).to_have_count(0)


def test_an_upload_is_paused_and_cancelled_with_the_keyboard(place: str, inside_page: Page, tmp_path: Path,
                                                            inside: Flask) -> None:
    page = inside_page
    held: list[Route] = []
    page.route(PIECES, lambda route: held.append(route) if route.request.method == "PATCH" and not held
               else route.continue_())
    page.goto(place + "/media")
    with page.expect_request(lambda request: request.method == "PATCH"):
        page.get_by_label("Add files").set_input_files(large(tmp_path, "film.mp4", 5))
    button = page.get_by_role("button", name="Pause film.mp4")
    button.press("Enter")
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="go on: film.mp4").press("Enter")
    expect(shelf(page)).to_have_count(1, timeout=LATER)
    held.clear()
    page.get_by_label("Add files").set_input_files(large(tmp_path, "other.mp4", 5))
    page.get_by_role("button", name="Cancel other.mp4").press("Enter")
    expect(under_way(page)).to_have_count(0)
    expect(page.get_by_label("Add files")).to_be_focused()
    left = page.get_by_role("region", name="Under way")
    until = time.monotonic() + LATER / 1000
    while page.reload() and left.count() and time.monotonic() < until:  # the page may be read before the file's end is
        pass
    expect(left).to_have_count(0)


def test_files_are_dragged_and_pasted(place: str, inside_page: Page) -> None:
    page = inside_page
    page.goto(place + "/media")
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "orange").save(out, "PNG")
    for kind, name in (("drop", "dragged.png"), ("paste", "pasted.png")):
        page.evaluate("""([kind, name, plain]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(plain)], name, {type: 'image/png'}));
          const event = kind === 'drop' ? new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})
            : new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true});
          document.querySelector('h1').dispatchEvent(event);
        }""", [kind, name, list(out.getvalue())])
        expect(page.get_by_role("link", name=name)).to_be_visible()


def test_what_cannot_fit_is_said_at_once_and_the_rest_arrives(place: str, inside_page: Page, tmp_path: Path,
                                                             inside: Flask) -> None:
    with inside.app_context(), writing() as session:
        session.query(Workspace).update({"storage_limit": 6 * 1024 * 1024})
    page = inside_page
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "PATCH" else None)
    page.goto(place + "/media")
    page.get_by_label("Add files").set_input_files([large(tmp_path, "long.mp4", 9), picture(tmp_path, "bun.png")])
    expect(under_way(page).get_by_text("long.mp4 has 9 MB, and this workspace has")).to_be_visible()
    expect(shelf(page)).to_have_count(1)
    assert len(sent) == 1, "no byte of the long one was sent"
    looks.check(page)
    page.get_by_role("button", name="Cancel long.mp4").click()
    expect(under_way(page)).to_have_count(0)


def test_a_post_waits_for_its_files_and_takes_twenty(place: str, inside_page: Page, tmp_path: Path,
                                                    watches: list[Watch]) -> None:
    page = inside_page
    held: list[Route] = []
    page.route(PIECES, lambda route: held.append(route) if route.request.method == "PATCH" and not held
               else route.continue_())
    page.goto(place + "/compose")
    page.get_by_label("Text", exact=True).fill("Saffron buns are back")
    page.get_by_label("Files pictures, GIFs, videos, documents").set_input_files(picture(tmp_path, "slow.png"))
    expect(page.get_by_role("progressbar", name="slow.png")).to_be_visible()
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_text("1 file still on the way.").first).to_be_visible()
    assert page.url.endswith("/compose")
    held[0].continue_()
    items = page.get_by_role("list", name="Files of this post").get_by_role("listitem")
    expect(items).to_have_count(1)
    expect(page.get_by_label("Text", exact=True)).to_have_value("Saffron buns are back")
    page.get_by_label("Files pictures, GIFs, videos, documents").set_input_files(
        [picture(tmp_path, f"{number}.png", (40, 30)) for number in range(30)])
    expect(page.get_by_text("30 files were chosen, and a post takes 20 at most. The last 11 were left out.").first
           ).to_be_visible()
    expect(items).to_have_count(20, timeout=LATER)


def test_files_are_picked_from_the_library(place: str, inside_page: Page, tmp_path: Path) -> None:
    page = inside_page
    page.goto(place + "/media")
    page.get_by_label("Add files").set_input_files([picture(tmp_path, "bun.png"), picture(tmp_path, "rye.png")])
    expect(shelf(page)).to_have_count(2)
    page.goto(place + "/compose")
    page.get_by_label("Text", exact=True).fill("Buns")
    button = page.get_by_role("button", name="From the library")
    button.press("Enter")
    box = page.get_by_role("dialog", name="From the library")
    expect(box.get_by_role("searchbox")).to_be_focused()
    looks.check(page)
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    button.click()
    box.get_by_role("checkbox", name="rye.png").check()
    box.get_by_role("searchbox").fill("bun")
    expect(box.get_by_role("checkbox")).to_have_count(1)
    box.get_by_role("checkbox", name="bun.png").check()
    box.get_by_role("button", name="Add to the post").click()
    expect(page.get_by_role("list", name="Files of this post").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_label("Text", exact=True)).to_have_value("Buns")


def test_without_script_the_library_adds_and_lends(place: str, signed_in: dict[str, object], open_page: OpenPage,
                                                  tmp_path: Path) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(place + "/media")
    page.get_by_label("Add files").set_input_files([picture(tmp_path, "bun.png"), picture(tmp_path, "rye.png")])
    page.get_by_role("button", name="Add to the library").click()
    expect(page.get_by_text("2 files added.")).to_be_visible()
    page.goto(place + "/compose")
    page.get_by_label("Text", exact=True).fill("Typed before")
    page.get_by_role("button", name="From the library").click()
    expect(page.get_by_role("heading", name="From the library")).to_be_visible()
    page.get_by_role("checkbox", name="rye.png").check()
    page.get_by_role("button", name="Add to the post").click()
    expect(page.get_by_role("list", name="Files of this post").get_by_text("rye.png", exact=True)).to_be_visible()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Typed before")
    page.goto(place + "/media")
    page.get_by_role("link", name="bun.png").click()
    page.get_by_label("Description").fill("Three buns")
    page.get_by_role("button", name="Save the description").click()
    page.get_by_role("link", name="Use in a post").click()
    expect(page.get_by_role("list", name="Files of this post").get_by_text("bun.png", exact=True)).to_be_visible()
    expect(page.get_by_role("textbox", name=re.compile("Description"))).to_have_value("Three buns")
