"""Check credentials in a real browser: the answer stays beside the field, a wrong pair stays off, doubt asks back."""

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole import platform_apps
from socialconsole.database import writing
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console


@pytest.fixture
def admin_page(open_page: OpenPage, signed_in: dict[str, object]) -> Page:
    """A page of Alice's, who is admin."""
    return open_page(storage_state=signed_in)


def other_secret(inside: Flask, platform: str) -> None:
    """What is stored is not what the platform knows any more."""
    with inside.app_context(), writing():
        row = platform_apps.app_of(platform)
        assert row is not None
        row.secret_version += 1
        row.secret_sealed = platform_apps.vault().seal("0123456789abcdef" * 2, *platform_apps.secret_record(row))


def test_the_answer_stays_and_a_wrong_pair_stays_off(console: Console, inside: Flask, admin_page: Page) -> None:
    page = admin_page
    visitor = story.sign_in(console)
    visitor.open(f"{console.url}/admin/platforms/linkedin").press("Use the sandbox")
    page.goto(f"{console.url}/admin/platforms/linkedin")
    expect(page.get_by_role("heading", name="Not checked yet")).to_be_visible()
    page.get_by_role("button", name="Check credentials").click()
    expect(page.get_by_role("heading", name="Both are right")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Check credentials")).to_be_focused()
    looks.check(page)

    other_secret(inside, "linkedin")
    page.get_by_role("button", name="Check credentials").click()
    expect(page.get_by_role("heading", name="Wrong Primary Client Secret")).to_be_visible()
    page.get_by_role("button", name="Save and turn on").click()
    expect(page.get_by_text("Saved, but not turned on.")).to_be_visible()
    looks.check(page)
    page.goto(f"{console.url}/admin/platforms")
    page.get_by_role("switch", name="LinkedIn", exact=True).click()
    expect(page.get_by_text("LinkedIn stays off.")).to_be_visible()
    looks.check(page)


def test_where_the_platform_cannot_tell_the_admin_may_insist(console: Console, admin_page: Page) -> None:
    page = admin_page
    story.sign_in(console).open(f"{console.url}/admin/platforms/twitter").press("Use the sandbox")
    console.control("POST", "/portal/api/faults",
                    {"platform": "twitter", "operation": "refresh", "kind": "500", "times": 1})
    page.goto(f"{console.url}/admin/platforms")
    switch = page.get_by_role("switch", name="X", exact=True)
    switch.click()
    expect(page.get_by_text("X is not on yet.")).to_be_visible()
    looks.check(page)
    page.get_by_role("button", name="Turn on without being certain").click()
    expect(switch).to_be_checked()
