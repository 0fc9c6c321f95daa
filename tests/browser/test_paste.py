"""The paste doctor, the comparing of callbacks and the what-if in a real browser, with and without script."""

import os
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole import outside, platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, LIVE, Account, Grant, PlatformApp, Workspace
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console

ID, SECRET = "78k2h0qv9xw1me", "WPL_AP1.CanarySecret00007f3a"
SCOPES = ["openid", "profile", "email", "w_member_social"]
SHOTS = os.environ.get("SHOTS")


@pytest.fixture
def admin_page(open_page: OpenPage, signed_in: dict[str, object]) -> Page:
    """A page of Alice's, who is admin."""
    return open_page(storage_state=signed_in)


def shot(page: Page, name: str) -> None:
    """Four pictures of a page, where somebody wants them."""
    if not SHOTS:
        return
    for size in (looks.DESKTOP, looks.PHONE):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": size["width"], "height": 2600})
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=str(Path(SHOTS) / f"{name}-{size['width']}-{scheme}.png"))
    page.set_viewport_size(looks.DESKTOP)
    page.emulate_media(color_scheme="light")


def members(inside: Flask, count: int) -> None:
    """LinkedIn is saved, and so many members are connected through it."""
    with inside.app_context(), writing() as session:
        now = outside.now()
        app = platform_apps.at("linkedin") or PlatformApp(
            platform="linkedin", segment="linkedin", mode="member", client_id=ID, secret_version=1, version=1,
            secret_last4="7f3a", secret_changed_at=now, secret_changed_by="Alice", created_at=now, updated_at=now)
        session.add(app)
        session.flush()
        app.secret_sealed = platform_apps.vault().seal(SECRET, *platform_apps.secret_record(app))
        home = session.scalars(db.select(Workspace.id)).first()
        for number in range(count):
            grant = Grant(workspace_id=home, platform="linkedin", app_id=app.id, app_generation=app.generation,
                          person_id=f"p{number}", granted_at=now, state=LIVE, scopes_asked=" ".join(SCOPES),
                          scopes_granted=SCOPES)
            session.add(grant)
            session.flush()
            session.add(Account(workspace_id=home, platform="linkedin", platform_user_id=f"u{number}",
                                grant_id=grant.id, kind="LinkedIn member", state=ACTIVE, state_since=now,
                                connected_at=now, display_name=f"Member {number}"))


def test_the_doctor_answers_while_typing_and_swaps_by_one_press(console: Console, inside: Flask,
                                                                 admin_page: Page) -> None:
    page = admin_page
    page.goto(f"{console.url}/admin/platforms/tiktok")
    page.get_by_label("Client key").fill("7123456789012345678")
    expect(page.locator("#client_id-notes")).to_contain_text("This is the App ID")
    expect(page.get_by_label("Client key")).to_be_focused()
    page.get_by_label("Client key").fill("aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW")
    page.get_by_label("Client secret").fill("awabcdefgh123456")
    swap = page.get_by_role("button", name="Swap them and save")
    expect(swap).to_be_visible()
    shot(page, "swapped")
    looks.check(page)
    swap.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#cfg").get_by_text("Saved: ")).to_be_visible()
    expect(page.get_by_label("Client key")).to_have_value("awabcdefgh123456")
    with inside.app_context():
        row = platform_apps.at("tiktok")
        assert row is not None and platform_apps.open_secret(row) == "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW"


def test_saving_swapped_values_asks_and_keeps_both_fields(console: Console, admin_page: Page) -> None:
    page = admin_page
    page.goto(f"{console.url}/admin/platforms/facebook")
    page.get_by_label("App ID").fill("0123456789abcdef0123456789abcdef")
    page.get_by_label("App secret").fill("1234567890123456")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Not saved: the two are swapped")).to_be_visible()
    expect(page.get_by_label("App secret")).to_have_value("1234567890123456")
    page.locator("#question").get_by_role("button", name="Swap them and save").click()
    expect(page.locator("#cfg").get_by_text("Saved: ")).to_be_visible()
    expect(page.get_by_label("App ID")).to_have_value("1234567890123456")


def test_what_the_portal_holds_is_compared_while_pasting(console: Console, admin_page: Page) -> None:
    page = admin_page
    page.goto(f"{console.url}/admin/platforms/threads")
    ours = console.url + "/api/connect/threads/callback"
    page.get_by_text("Compare with what the portal holds").click()
    others = (f"{ours}/", ours.replace("threads", "youtube"), ours.replace("connect", "c\u043ennect"))
    page.get_by_label("What the portal holds").fill("\n".join(others))
    expect(page.locator("#compare")).to_contain_text("There is a slash at the end")
    expect(page.locator("#compare")).to_contain_text("CYRILLIC SMALL LETTER O")
    assert page.locator("#compare mark").count() == 6
    shot(page, "compare")
    looks.check(page)
    page.get_by_label("What the portal holds").fill(ours)
    expect(page.locator("#compare")).to_contain_text("The portal holds the callback, character by character.")


def test_what_a_change_costs_is_told_and_ticked(console: Console, inside: Flask, admin_page: Page) -> None:
    page = admin_page
    members(inside, 37)
    page.goto(f"{console.url}/admin/platforms/linkedin")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Scopes").fill("openid profile w_organization_social")
    expect(page.locator("#consequences")).to_contain_text("37 accounts can do this now")
    page.locator("#consequences").scroll_into_view_if_needed()
    expect(page.locator("#consequences")).to_contain_text("Scopes of two kinds of LinkedIn app")
    shot(page, "what-if")
    looks.check(page)
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#accept_loss-error")).to_be_visible()
    page.get_by_role("checkbox", name="Save although 37 accounts lose something").check()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#cfg").get_by_text("Saved: scopes")).to_be_visible()


def test_all_of_it_without_script(console: Console, open_page: OpenPage, signed_in: dict[str, object]) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(f"{console.url}/admin/platforms/youtube")
    page.get_by_text("Compare with what the portal holds").click()
    page.get_by_label("What the portal holds").fill(console.url + "/api/connect/youtube/Callback")
    page.get_by_label("Client ID").first.fill("GOCSPX-CanaryCanaryCanary0000000")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#compare")).to_contain_text("The case of the path differs")
    assert "CanaryCanary" not in page.content()
    page.get_by_label("Client ID").first.fill("GOCSPX-CanaryCanaryCanary0000000")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#client_id-error")).to_be_visible()
