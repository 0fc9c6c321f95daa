"""The palette and the shortcut keys, by the keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from tests import story
from tests.browser.conftest import OpenPage
from tests.running import Console

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture
def desk(console: Console, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """Alice's posts."""
    page = open_page(storage_state=signed_in)
    page.goto(console.url + story.workspace_path(story.sign_in(console), console) + "/posts")
    return page


def test_ctrl_k_finds_a_page_and_escape_gives_the_focus_back(desk):
    desk.get_by_role("link", name="Find").focus()
    desk.keyboard.press("Control+k")
    palette = desk.get_by_role("dialog", name="Find a page or an action")
    field = palette.get_by_role("combobox")
    expect(field).to_be_focused()
    desk.keyboard.press("Escape")
    expect(palette).to_have_count(0)
    expect(desk.get_by_role("link", name="Find")).to_be_focused()
    desk.keyboard.press("Control+k")
    desk.keyboard.type("acti")
    expect(palette.locator("[aria-selected=true]")).to_contain_text("Activity")
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Activity")


def test_arrows_walk_through_what_was_found(desk):
    desk.keyboard.press("Control+k")
    palette = desk.get_by_role("dialog")
    desk.keyboard.type("posts")
    marked = palette.locator("[aria-selected=true]")
    expect(marked).to_have_count(1)
    first = str(marked.text_content())
    desk.keyboard.press("ArrowDown")
    expect(marked).not_to_have_text(first)
    desk.keyboard.press("ArrowUp")
    expect(marked).to_have_text(first)
    assert palette.get_by_role("combobox").get_attribute("aria-activedescendant") == marked.get_attribute("id")


def test_letters_jump_but_never_while_somebody_types(desk):
    desk.keyboard.press("g")
    desk.keyboard.press("s")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Social Profile")
    desk.keyboard.press("c")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Compose")
    desk.keyboard.press("?")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Shortcut keys")
    desk.get_by_role("button", name="Turn them off").click()
    expect(desk.get_by_role("button", name="Turn them on")).to_be_visible()
    desk.keyboard.press("c")
    desk.keyboard.press("Control+k")
    expect(desk.get_by_role("dialog")).to_be_visible()
    desk.keyboard.type("c")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Shortcut keys")
    desk.keyboard.press("Escape")
    desk.get_by_role("button", name="Turn them on").click()
    expect(desk.get_by_role("button", name="Turn them off")).to_be_visible()


def test_without_script_it_is_a_page(console, signed_in, open_page):
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(console.url + "/shortcuts")
    page.get_by_role("link", name="Find").click()
    page.get_by_role("searchbox").fill("activity")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("main").get_by_role("link", name="Activity").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Activity")
