"""The preview in a real browser: it follows the typing, takes nothing from it, and keeps the card that was chosen."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def person(console: Console) -> Visitor:
    """Alice, with X and Facebook on and connected."""
    visitor = story.sign_in(console)
    for platform in ("twitter", "facebook"):
        story.set_up_platform(visitor, console, platform)
    story.connect(visitor, console, "Connect X", "Acme Bakery")
    story.connect(visitor, console, "Connect Facebook", "Mara Lindqvist", pages=("Harbour Bakery",))
    return visitor


@pytest.fixture
def compose(person: Visitor, console: Console, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """The compose form, with Alice in front of it and every profile ticked."""
    page = open_page(storage_state=signed_in)
    page.goto(console.url + story.workspace_path(person, console) + "/compose")
    for box in page.locator("input[name=accounts]").all():
        box.check()
    return page


def test_the_preview_follows_the_typing_and_keeps_focus_and_choice(compose: Page) -> None:
    text, card = compose.locator("#text"), compose.locator("article.look")
    text.click()
    compose.keyboard.type("Saffron buns are back #buns", delay=15)
    expect(card).to_contain_text("Saffron buns are back #buns")
    expect(text).to_be_focused()
    expect(text).to_have_value("Saffron buns are back #buns")
    picks = compose.locator("input[name=preview]")
    expect(picks).to_have_count(2)
    first = card.get_attribute("aria-label")
    picks.first.focus()
    compose.keyboard.press("ArrowDown")
    expect(card).not_to_have_attribute("aria-label", str(first))
    expect(picks.nth(1)).to_be_focused()
    second = card.get_attribute("aria-label")
    text.click()
    compose.keyboard.press("End")
    compose.keyboard.type(" and rolls", delay=15)
    expect(card).to_contain_text("and rolls")
    expect(card).to_have_attribute("aria-label", str(second))
    looks.check(compose)


def test_a_picture_is_drawn_as_it_is_cut(compose: Page, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.new("RGB", (2400, 600), "orange").save(wide)
    compose.locator("#text").fill("Buns")
    compose.locator("#files-input").set_input_files(wide)
    drawing = compose.locator("svg.look-media")
    expect(drawing).to_be_visible()
    expect(compose.locator(".look-notes")).to_contain_text("the sides are cut off")
    box = drawing.bounding_box()
    assert box is not None and 1.85 < box["width"] / box["height"] < 2.05


def test_without_script_the_preview_comes_with_the_check(
        person: Visitor, console: Console, signed_in: dict[str, object], open_page: OpenPage) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(console.url + story.workspace_path(person, console) + "/compose")
    page.locator("input[name=accounts]").first.check()
    page.locator("#text").fill("Buns without script")
    page.get_by_role("button", name="Check the post").click()
    expect(page.locator("article.look")).to_contain_text("Buns without script")
    expect(page.locator("#text")).to_have_value("Buns without script")


def test_a_file_of_posts_is_imported_without_script(
        person: Visitor, console: Console, signed_in: dict[str, object], open_page: OpenPage, tmp_path: Path) -> None:
    page, sheet = open_page(storage_state=signed_in, java_script_enabled=False), tmp_path / "posts.csv"
    place = console.url + story.workspace_path(person, console)
    sheet.write_bytes("text,accounts,when\nSmörgåsbord,X,2031-06-02 08:00\n".encode("cp1252"))
    page.goto(place + "/posts/import")
    page.get_by_label("CSV file").set_input_files(sheet)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("alert")).to_contain_text("not UTF-8")
    page.get_by_role("button", name="Read it like this").click()
    page.get_by_role("button", name="Schedule 1 post").click()
    expect(page.get_by_text("1 post scheduled.")).to_be_visible()
    expect(page.get_by_role("link", name="Smörgåsbord")).to_be_visible()
