"""Writing a post in a real browser: nothing typed is lost while the checks follow it."""

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole import outside
from socialconsole.database import writing
from socialconsole.models import ACTIVE, Account, new_id
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]

SENTENCE = "Saffron buns are back in every shop of ours. "


@pytest.fixture(scope="module")
def person(console: Console, inside: Flask) -> Visitor:
    """Alice, with one profile at X from its consent and eleven more beside it."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    first = story.connect(visitor, console, "Connect X", "Acme Bakery")
    with inside.app_context(), writing() as session:
        known = session.get_one(Account, first)
        session.add_all(Account(
            workspace_id=known.workspace_id, platform=known.platform, platform_user_id=new_id("u"), kind=known.kind,
            grant=known.grant, is_sandbox=True, username=f"branch{number}", display_name=f"Branch {number}",
            state=ACTIVE, state_since=outside.now(), connected_at=outside.now(), connected_by=story.EMAIL,
            last_synced_at=outside.now()) for number in range(11))
    return visitor


@pytest.fixture
def form(person: Visitor, console: Console, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """The compose form, with Alice in front of it."""
    page = open_page(storage_state=signed_in)
    page.goto(console.url + story.workspace_path(person, console) + "/compose")
    return page


def test_profiles_are_found_by_typing_and_ticked_together(form: Page) -> None:
    form.get_by_label("Find a profile").fill("branch 1")
    expect(form.locator("#places li:visible")).to_have_count(2)
    form.get_by_label("Find a profile").press("Enter")
    expect(form).to_have_url(form.url)
    form.get_by_role("button", name="All of X").click()
    expect(form.locator("#chosen-count")).to_have_text("2 of 12 profiles chosen")
    form.get_by_label("Find a profile").fill("")
    expect(form.locator("#places input:checked")).to_have_count(2)
    form.get_by_role("button", name="All of X").click()
    expect(form.get_by_role("button", name="None of X")).to_be_visible()
    expect(form.locator("#checks")).to_contain_text("12 X profiles")


def test_no_key_is_lost_while_the_checks_follow(form: Page) -> None:
    form.get_by_label("X: Branch 3").check()
    text = form.get_by_label("Text", exact=True)
    text.press_sequentially(SENTENCE * 3, delay=5)
    expect(form.locator("#checks")).to_contain_text(f"{len(SENTENCE * 3) - 1} / 280")
    expect(text).to_be_focused()
    assert text.input_value() == SENTENCE * 3
    expect(form.locator("#live")).to_have_text("Checks: Ready")


def test_an_own_text_and_a_split_are_made_in_place(form: Page) -> None:
    for name in ("X: Branch 3", "X: Branch 4"):
        form.get_by_label(name).check()
    text = form.get_by_label("Text", exact=True)
    text.fill(SENTENCE * 10)
    form.get_by_text("Reply chain", exact=True).click()
    form.get_by_role("button", name="Split the text at sentence ends").click()
    expect(form.get_by_label("Part 2", exact=True)).to_be_visible()
    assert " ".join(one.input_value() for one in (text, form.get_by_label("Part 2", exact=True))) == (
        SENTENCE * 10).strip()
    form.get_by_label("Own text for", exact=True).select_option(label="X: Branch 4")
    form.get_by_role("button", name="Write it").click()
    own = form.get_by_role("textbox", name="Own text for Branch 4")
    expect(own).to_be_focused()
    own.fill("Only here")
    expect(form.locator("#checks")).to_contain_text("Branch 4 own text")
    expect(form.locator("#checks")).to_contain_text("9 / 280")
    looks.check(form)
    form.get_by_role("button", name="Use the common text again for Branch 4").click()
    expect(own).to_have_count(0)
    expect(form.locator("#checks")).not_to_contain_text("own text")
