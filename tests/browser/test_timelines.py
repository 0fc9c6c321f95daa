"""Timelines in a real browser: after a connection and a post, folded, by keys, in every look, and without script."""

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole.models import PUBLISHED
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.browser.test_credentials import other_secret
from tests.running import Console, until


@pytest.fixture
def admin_page(open_page: OpenPage, signed_in: dict[str, object]) -> Page:
    """A page of Alice's, who is admin."""
    return open_page(storage_state=signed_in)


@pytest.fixture(scope="module")
def post_url(console: Console, inside: Flask) -> str:
    """A profile is connected, a post is out, and a second connection failed for a wrong secret; the post's address."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    story.connect(visitor, console, "X", "bob")
    url = story.compose(visitor, console, "Saffron buns are back", "bob")
    until(lambda: PUBLISHED.capitalize() in visitor.open(url).text, 60, "published")
    other_secret(inside, "twitter")
    visitor.open(console.url + story.workspace_path(visitor, console) + "/profiles").press("Connect X")
    story.consent(visitor, "Bob")
    assert "failed" in visitor.text
    return url


def test_a_failed_connection_shows_its_steps_by_keys_alone(console: Console, admin_page: Page, post_url: str) -> None:
    page = admin_page
    page.goto(f"{console.url}/admin/timelines?outcome=trouble&kind=connect")
    looks.check(page)
    page.get_by_role("link", name=re.compile("Connection at X")).first.click()
    expect(page.get_by_role("heading", name="Connection at X")).to_be_visible()
    for part in ("Consent page:", "Scopes asked for:", "The platform sent the person back with:", "Answered 401",
                 "Decision: Nothing was connected."):
        expect(page.get_by_text(part).first).to_be_visible()
    looks.check(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as text").press("Enter")
    text = saved.value.path().read_text()
    assert "unauthorized_client" in text and "Nothing was connected." in text and "Harbour" not in text
    page.reload()  # a form that was just sent is not sent again at once
    page.get_by_label("With the name of the workspace").check()
    with page.expect_download() as named:
        page.get_by_role("button", name="Download as JSON").click()
    assert '"workspace"' in named.value.path().read_text()


def test_a_post_and_a_profile_lead_to_their_timelines(console: Console, admin_page: Page, post_url: str) -> None:
    page = admin_page
    page.goto(post_url)
    page.get_by_role("link", name=re.compile("Every try, step by step")).click()
    expect(page.get_by_text("POST", exact=False).first).to_be_visible()
    looks.check(page)
    page.get_by_role("link", name="Post", exact=True).click()
    page.locator("a.name[id^=to-]").first.click()
    page.get_by_role("link", name="Connections and renewals, step by step").click()
    summary = page.locator("details.fold > summary").first
    expect(page.get_by_text("The person confirmed.")).to_be_visible()
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The person confirmed.")).to_be_hidden()
    page.keyboard.press("Enter")
    looks.check(page)


def test_the_admins_list_is_looked_through_with_and_without_script(console: Console, open_page: OpenPage,
                                                                   signed_in: dict[str, object], post_url: str) -> None:
    page = open_page(storage_state=signed_in)
    page.goto(f"{console.url}/admin/health")
    page.get_by_role("link", name="Timelines").click()
    page.get_by_label("What", exact=True).select_option("Publishing")
    expect(page).to_have_url(re.compile("kind=publish"))
    expect(page.get_by_role("row")).to_have_count(2)
    looks.check(page)
    plain = open_page(storage_state=signed_in, java_script_enabled=False)
    plain.goto(f"{console.url}/admin/timelines")
    plain.get_by_label("What", exact=True).select_option("Connection")
    plain.get_by_role("button", name="Look").click()
    expect(plain).to_have_url(re.compile("kind=connect"))
    expect(plain.get_by_role("row")).to_have_count(3)
