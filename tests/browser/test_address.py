"""The address check in a real browser: on the first page, on its own page, beside the callback; and without script."""

import os
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from socialconsole import address_check
from socialconsole.address_check import Result, Row
from socialconsole.address_seen import CANNOT_TELL, DIFFERS, Finding, Seen
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console


@pytest.fixture
def admin_page(open_page: OpenPage, signed_in: dict[str, object]) -> Page:
    """A page of Alice's, who is admin."""
    return open_page(storage_state=signed_in)


def picture(page: Page, name: str) -> None:
    """Keep how the page looks, where SHOTS names a folder."""
    if not os.environ.get("SHOTS"):
        return
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(os.environ["SHOTS"]) / f"{name}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")


def keep(inside: Flask, finding: Finding, note: str = "") -> None:
    """Put a result where the last check left one."""
    with inside.app_context():
        url = inside.extensions["config"].callback_url(address_check.SEGMENT)
        address_check._keep(Result(address_check.outside.now(), (Row(url, "Public address", finding, note),)))


def test_the_first_page_checks_by_itself(tmp_path: Path, browser: Browser) -> None:
    empty = Console(tmp_path / "instance")  # one of its own: the module's may have been set up by the test before
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(empty.start().setup_link())
        sees_its_address(page)
    finally:
        context.close()
        empty.stop()


def sees_its_address(page: Page) -> None:
    """The first page says by itself that the address answers."""
    expect(page.get_by_role("region", name="Public address").get_by_text("Reachable")).to_be_visible()
    picture(page, "setup")
    looks.check(page)


def test_check_now_and_from_the_browser(console: Console, inside: Flask, admin_page: Page) -> None:
    page = admin_page
    page.goto(console.url + "/admin/address")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("Only this machine reaches this address")).to_be_visible()
    looks.check(page)
    keep(inside, Finding(CANNOT_TELL, "timeout", "Cannot tell from here: it does not answer."))
    page.reload()
    page.get_by_role("link", name="Check from your browser").click()
    expect(page.get_by_text("From a browser: The console answers here")).to_be_visible()
    expect(page.get_by_role("main").get_by_text("Reachable")).to_be_visible()
    picture(page, "browser")


def test_a_difference_with_its_lines(console: Console, inside: Flask, admin_page: Page) -> None:
    page = admin_page
    seen = Seen("GET", "http", "social.example.com", "/api/connect/address-check/callback", True, "203.0.113.9",
                "127.0.0.1", "http", "social.example.com", ("203.0.113.9",), "", "social.example.com", 1)
    keep(inside, Finding(DIFFERS, "proto", "People come by https, and the proxy does not say so (X-Forwarded-Proto is "
                         "missing), so the console takes it for http. Let the proxy pass it on.", seen=seen),
         "social.example.com also has the address 2001:db8::7, where nobody answers. Who is led there does not reach "
         "the console.")
    page.goto(console.url + "/admin/address")
    for fold in ("nginx", "Caddy", "What the console saw"):
        page.locator("summary", has_text=fold).focus()
        page.keyboard.press("Enter")
    expect(page.get_by_text("proxy_set_header X-Forwarded-Proto $scheme;")).to_be_visible()
    picture(page, "differs")
    looks.check(page)
    page.goto(console.url + "/admin/platforms")
    picture(page, "platforms")
    looks.check(page)


def test_beside_the_callback(console: Console, inside: Flask, admin_page: Page) -> None:
    page = admin_page
    page.goto(console.url + "/admin/platforms/twitter")
    button = page.get_by_role("button", name="Check the public address")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#address-line").get_by_text("Reachable")).to_be_visible()
    expect(page.locator("#address-line").get_by_text("now")).to_be_visible()
    picture(page, "beside")
    looks.check(page)


def test_the_deployment_page(console: Console, admin_page: Page) -> None:
    page = admin_page
    page.goto(console.url + "/help/deployment")
    expect(page.get_by_role("heading", name="Restore")).to_be_visible()
    picture(page, "deployment")
    looks.check(page)


def test_without_script(console: Console, open_page: OpenPage, signed_in: dict[str, object]) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(console.url + "/admin/address")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("Only this machine reaches this address")).to_be_visible()
    page.get_by_role("link", name="Check from your browser").click()
    expect(page.get_by_role("heading", name="Reachable")).to_be_visible()
    page.get_by_role("link", name="Back to Address").click()
    expect(page.get_by_role("heading", name="Address", level=1)).to_be_visible()
