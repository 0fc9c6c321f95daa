"""Lights, Grant just this, receipt, disconnect and Off, against the sandbox: on real pages, in every look."""

import os
import re

import pytest
from playwright.sync_api import Page, expect

from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console

NOTE = "Facebook changes its rules; we are back on Monday."


def shot(page: Page, name: str) -> None:
    """Keep pictures of a page where SHOTS names a folder, to be looked at."""
    folder = os.environ.get("SHOTS")
    for width, scheme in ((1280, "light"), (390, "light"), (1280, "dark"), (390, "dark")) if folder else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size(looks.DESKTOP)
    page.emulate_media(color_scheme="light")


@pytest.mark.browser
@pytest.mark.timeout(240)
def test_from_a_missing_permission_to_a_receipt_and_off(console: Console, open_page: OpenPage,
                                                        signed_in: dict[str, object]) -> None:
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "facebook")
    home = console.url + story.workspace_path(visitor, console)
    visitor.open(home + "/profiles").press("Facebook")
    story.consent(visitor, "Mara", untick=("pages_manage_posts",))
    page = open_page(storage_state=signed_in)
    visitor.press("Connect", tick=("Harbour Bakery",))
    found = re.search(r"acc_[0-9A-Z]{26}", visitor.page)
    assert found is not None, visitor.text
    account = f"{home}/profiles/{found[0]}"
    page.goto(visitor.url)
    page.get_by_role("link", name="Receipt").click()
    expect(page.get_by_role("heading", name="Permissions declined")).to_be_visible()
    looks.check(page)
    shot(page, "receipt")

    page.goto(account)
    row = page.get_by_role("listitem").filter(has_text="Missing: pages_manage_posts").first
    expect(row.get_by_text("Off", exact=True)).to_be_visible()
    looks.check(page)
    shot(page, "lights")
    page.goto(home + "/profiles")
    shot(page, "cards")
    visitor.open(account).press("Grant just this")
    assert "pages_manage_posts" in visitor.text and "pages_show_list" not in visitor.text  # exactly that
    visitor.press("Deny")
    assert "Nothing was changed" in visitor.text
    visitor.press("Try again")
    story.consent(visitor, "Mara")
    assert "Keep the new permission?" in visitor.text, visitor.text
    visitor.press("Connect")
    assert "Missing: pages_manage_posts" not in visitor.open(account).text
    assert "pages_read_engagement" in visitor.text  # nothing of the earlier consent was lost

    page.goto(console.url + "/admin/platforms")
    page.get_by_role("switch", name="Facebook").click()
    expect(page.get_by_role("heading", name="Turn off Facebook?")).to_be_visible()
    page.get_by_label("A note to tenants").fill(NOTE)
    looks.check(page)
    shot(page, "off")
    page.get_by_role("button", name="Turn off Facebook").click()
    expect(page.get_by_text(f"Tenants read: “{NOTE}”")).to_be_visible()
    shot(page, "platforms")
    page.goto(account)
    expect(page.get_by_text(NOTE)).to_be_visible()
    shot(page, "account-off")
    visitor.open(console.url + "/admin/platforms").press("Facebook")

    visitor.open(account + "/disconnect").press("Disconnect")
    assert "confirmed that the permission is gone" in visitor.text
    page.goto(account)
    expect(page.get_by_text("Token no longer works")).to_be_visible()
    looks.check(page)
    shot(page, "revoked")
