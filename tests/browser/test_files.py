"""Pictures in a real browser, sent by real workers: what was chosen arrives at the platform byte by byte."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.browser.watch import Watch
from tests.running import Console
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]

WORKERS_NEED = 60_000  # milliseconds


@pytest.fixture(scope="module")
def person(console: Console) -> Visitor:
    """Alice, with X on and connected."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    story.connect(visitor, console, "Connect X", "Acme Bakery")
    return visitor


@pytest.fixture
def inside_page(person: Visitor, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page in which Alice is signed in."""
    return open_page(storage_state=signed_in)


def picture(folder: Path, name: str, colour: str, size: tuple[int, int] = (1600, 1000)) -> Path:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    path = folder / name
    path.write_bytes(stream.getvalue())
    return path


def test_pictures_are_chosen_described_and_arrive(
        person: Visitor, console: Console, inside_page: Page, tmp_path: Path) -> None:
    page, bun = inside_page, picture(tmp_path, "bun.png", "orange")
    page.goto(console.url + story.workspace_path(person, console) + "/compose")
    page.get_by_label("Text", exact=True).fill("Saffron buns are back")
    page.get_by_label("Files pictures, GIFs, videos, documents").set_input_files(
        [bun, picture(tmp_path, "other.png", "navy")])
    items = page.get_by_role("list", name="Files of this post").get_by_role("listitem")
    expect(items).to_have_count(2)
    expect(page.get_by_text("PNG").first).to_be_visible()
    expect(page.get_by_text("Fits:")).to_be_visible()
    page.get_by_role("button", name="Remove other.png").click()
    expect(items).to_have_count(1)
    page.get_by_label("Description").fill("Three buns")
    expect(page.get_by_label("Who can reply")).to_be_visible()
    page.get_by_label("Who can reply").select_option("mentionedUsers")
    looks.check(page)
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_text("open on X")).to_be_visible(timeout=WORKERS_NEED)
    looks.check(page)
    expect(page.get_by_role("img", name="Three buns")).to_be_visible()
    [post] = [one for one in console.control("GET", "/portal/api/posts?platform=twitter")
              if one["text"] == "Saffron buns are back"]
    assert [(one["sha256"], one["alt"]) for one in post["media"]] == [
        (hashlib.sha256(bun.read_bytes()).hexdigest(), "Three buns")]
    page.get_by_role("link", name="Delete there").click()
    page.get_by_role("button", name="Delete it there").click()
    expect(page.get_by_text("Deleted at X by").first).to_be_visible()
    assert not [one for one in console.control("GET", "/portal/api/posts?platform=twitter") if one["id"] == post["id"]]


def test_a_refused_file_is_said_in_its_place_and_nothing_is_lost(
        person: Visitor, console: Console, inside_page: Page, tmp_path: Path, watches: list[Watch]) -> None:
    page, lie = inside_page, tmp_path / "bun.jpg"
    lie.write_text("<html>not a picture</html>")
    page.goto(console.url + story.workspace_path(person, console) + "/compose")
    page.get_by_label("Text", exact=True).fill("Saffron buns")
    page.get_by_label("Files pictures, GIFs, videos, documents").set_input_files(lie)
    expect(page.get_by_role("alert").filter(has_text="bun.jpg")).to_be_visible()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Saffron buns")
    for watch in watches:  # the browser reports the 422 that the page shows in words
        watch.problems[:] = [problem for problem in watch.problems if "422" not in problem]


def test_without_script_the_form_brings_the_file(
        person: Visitor, console: Console, signed_in: dict[str, object], open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(console.url + story.workspace_path(person, console) + "/compose")
    page.get_by_label("Text", exact=True).fill("Buns without script")
    page.get_by_label("Files pictures, GIFs, videos, documents").set_input_files(picture(tmp_path, "bun.png", "green"))
    page.get_by_role("button", name="Check the post").click()
    expect(page.get_by_text("bun.png", exact=True)).to_be_visible()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Buns without script")
    page.get_by_label("Description").fill("A bun")
    page.get_by_text("Reply chain").click()
    page.get_by_role("button", name="Add a part").click()
    page.get_by_label("Part 2").fill("And more tomorrow")
    page.get_by_role("button", name="Publish or schedule").click()
    page.wait_for_url("**/posts/pst_*")
    story.wait_for(person, page.url, "open on X", 60)
    posts = {one["text"]: one for one in console.control("GET", "/portal/api/posts?platform=twitter")}
    assert posts["And more tomorrow"]["reply_to"] == posts["Buns without script"]["id"]
