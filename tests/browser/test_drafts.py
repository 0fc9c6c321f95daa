"""Drafts in a real browser: they save themselves and survive a closed tab, a lost line and an expired sign-in."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Login, Post
from tests import story
from tests.browser.conftest import OpenPage
from tests.browser.watch import Watch
from tests.running import Console
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SAVED = re.compile(r"^Saved \d\d:\d\d$")


@pytest.fixture(scope="module")
def person(console: Console) -> Visitor:
    """Alice, with X on and connected."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    story.connect(visitor, console, "Connect X", "Acme Bakery")
    return visitor


@pytest.fixture(scope="module")
def base(person: Visitor, console: Console) -> str:
    """The address of the workspace."""
    return console.url + story.workspace_path(person, console)


@pytest.fixture
def writer(open_page: OpenPage, console: Console) -> Page:
    """A page in which Alice is signed in, in a sign-in of its own."""
    return _signed_in(open_page, console)


@pytest.fixture
def kept(inside: Flask) -> Iterator[Flask]:
    """The console's own database, to see what was really kept; drafts of this test go with it."""
    with inside.app_context():
        yield inside
        db.session.rollback()


def text_of(address: str) -> str:
    """The text of the draft that an address names, as the database has it."""
    db.session.rollback()
    return db.session.get_one(Post, address.rpartition("post=")[2]).text


def no_line(watches: list[Watch]) -> None:
    """That the live checks could not ask either is no fault of the page."""
    for watch in watches:
        watch.problems[:] = [one for one in watch.problems if "Failed to fetch" not in one]


def begin(page: Page, base: str, words: str) -> str:
    """Write something, and wait until it is saved; the address it has then."""
    page.goto(base + "/compose")
    page.locator("#text").fill(words)
    expect(page.locator("#draft-line")).to_have_text(SAVED)
    expect(page).to_have_url(re.compile(r"/compose\?post=pst_"))
    return page.url


def test_a_draft_saves_itself_and_a_closed_tab_finds_it_again(writer: Page, base: str, kept: Flask) -> None:
    address = begin(writer, base, "Saffron buns are back")
    context = writer.context
    writer.locator("#text").press_sequentially(", and rye")
    expect(writer.locator("#draft-line")).to_have_text(SAVED)
    writer.wait_for_function("() => document.getElementById('draft-version').value === '2'")
    writer.close()
    again = context.new_page()
    again.goto(base + "/drafts")
    again.get_by_role("link", name="Saffron buns are back, and rye").click()
    expect(again.locator("#text")).to_have_value("Saffron buns are back, and rye")
    expect(again.locator("#draft-restore")).to_be_hidden()
    assert again.url == address and text_of(address) == "Saffron buns are back, and rye"


def test_the_last_words_before_a_tab_closes_are_kept(writer: Page, base: str, kept: Flask) -> None:
    address = begin(writer, base, "Closing soon")
    writer.locator("#text").press_sequentially(" and gone")
    writer.goto(base + "/drafts")  # within the second after which it would have saved itself
    link = writer.get_by_role("link", name="Closing soon and gone")
    for _ in range(50):
        if link.is_visible():
            break
        writer.reload()
    expect(link).to_be_visible()
    writer.goto(address)
    expect(writer.locator("#draft-restore")).to_be_hidden()


def test_without_a_line_the_text_stays_here_and_is_saved_once_it_is_back(
        writer: Page, base: str, kept: Flask, watches: list[Watch]) -> None:
    address = begin(writer, base, "On the train")
    writer.context.set_offline(True)
    writer.locator("#text").press_sequentially(" in the tunnel")
    expect(writer.locator("#draft-line")).to_have_text(
        "Not saved: no connection. Your text is kept in this browser.")
    assert text_of(address) == "On the train"
    writer.context.set_offline(False)
    expect(writer.locator("#draft-line")).to_have_text(SAVED)
    assert text_of(address) == "On the train in the tunnel"
    no_line(watches)


def test_what_was_never_saved_is_offered_again(writer: Page, base: str, kept: Flask, watches: list[Watch]) -> None:
    address, context = begin(writer, base, "Half of it"), writer.context
    context.set_offline(True)
    writer.locator("#text").press_sequentially(" and the rest")
    expect(writer.locator("#draft-line")).to_contain_text("Not saved: no connection.")
    writer.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(address)
    offered = again.locator("#draft-restore")
    expect(offered).to_contain_text(re.compile(r"You wrote this at .+ and it was not saved"))
    expect(again.locator("#text")).to_have_value("Half of it")
    offered.get_by_role("button", name="Restore").click()
    expect(again.locator("#text")).to_have_value("Half of it and the rest")
    expect(again.locator("#draft-line")).to_have_text(SAVED)
    expect(again).to_have_url(address)
    assert text_of(address) == "Half of it and the rest"
    no_line(watches)


def test_what_was_never_saved_can_be_discarded(writer: Page, base: str, kept: Flask, watches: list[Watch]) -> None:
    context = writer.context
    writer.goto(base + "/compose")
    context.set_offline(True)
    writer.locator("#text").fill("Never seen by anybody")
    expect(writer.locator("#draft-line")).to_contain_text("Not saved: no connection.")
    writer.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(base + "/compose")
    again.locator("#draft-restore").get_by_role("button", name="Discard").click()
    expect(again.locator("#text")).to_be_focused()
    again.reload()
    expect(again.locator("#draft-restore")).to_be_hidden()
    no_line(watches)


def test_a_sign_in_that_ran_out_loses_nothing(
        writer: Page, base: str, kept: Flask) -> None:
    address = begin(writer, base, "Long thoughts")
    with writing() as session:
        for login in session.query(Login).filter(Login.ended_at.is_(None)):
            login.ended_at = login.created_at
    writer.locator("#text").press_sequentially(" over lunch")
    expect(writer.locator("#draft-line")).to_contain_text("Not saved: you are signed out.")
    expect(writer.locator("#text")).to_have_value("Long thoughts over lunch")
    assert writer.url == address
    with writer.context.expect_page() as opened:
        writer.get_by_role("link", name="Sign in in a new tab").click()
    door = opened.value
    door.get_by_label("E-mail").fill(story.EMAIL)
    door.get_by_label("Password").fill(story.PASSWORD)
    door.get_by_role("button", name="Sign in").click()
    door.wait_for_url(lambda url: "/sign-in" not in url)
    door.close()
    writer.bring_to_front()
    writer.evaluate("dispatchEvent(new Event('focus'))")
    expect(writer.locator("#draft-line")).to_have_text(SAVED)
    assert text_of(address) == "Long thoughts over lunch"


def test_two_in_one_draft_are_told_and_choose(
        open_page: OpenPage, console: Console, base: str, kept: Flask) -> None:
    first = _signed_in(open_page, console)
    address = begin(first, base, "Ours")
    second = first.context.new_page()
    second.goto(address)
    second.locator("#text").fill("Theirs")
    expect(second.locator("#draft-line")).to_have_text(SAVED)
    first.locator("#text").fill("Mine")
    expect(first.get_by_role("heading", name="Two versions of this post")).to_be_focused()
    expect(first.locator("#draft-conflict")).to_contain_text("Theirs")
    assert text_of(address) == "Theirs"
    first.get_by_role("button", name="Keep mine").click()
    expect(first.get_by_text("Draft saved.")).to_be_visible()
    assert text_of(address) == "Mine"
    second.locator("#text").fill("Theirs again")
    second.get_by_role("link", name="Take theirs").click()
    expect(second.locator("#text")).to_have_value("Mine")
    expect(second.locator("#draft-restore")).to_be_hidden()


def test_without_script_a_draft_is_saved_found_and_discarded(
        open_page: OpenPage, console: Console, base: str, person: Visitor) -> None:
    page = _signed_in(open_page, console, java_script_enabled=False)
    page.goto(base + "/compose")
    page.locator("#text").fill("By hand")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Draft saved.")).to_be_visible()
    page.goto(base + "/drafts")
    page.get_by_role("button", name=re.compile(r"Discard ?: By hand")).click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="By hand")).to_be_visible()


def _signed_in(open_page: OpenPage, console: Console, **options: object) -> Page:
    page = open_page(**options)
    page.goto(console.url + "/sign-in")
    page.get_by_label("E-mail").fill(story.EMAIL)
    page.get_by_label("Password").fill(story.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page
