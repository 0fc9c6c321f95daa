"""The whole story in a real browser, with the real processes: from the printed link to a disconnected profile.

One test, because each chapter lives on what the chapters before it did.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from socialconsole import outside
from socialconsole.database import writing
from socialconsole.models import Delivery, Post
from tests import story
from tests.browser import looks
from tests.browser.watch import Watch
from tests.running import Console, until

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]

ZONE = "Europe/Stockholm"
WORKSPACE = "Harbour Bakery"
ACME, BOB = "2244994945", "3071882561"
SHORT_LIFE = 8  # seconds that an access token lives in the chapter about renewing
WORKERS_NEED = 40_000  # milliseconds for what the workers do by themselves


@dataclass
class Tale:
    """The console, the person's one browser page, and ways to look behind both."""

    console: Console
    page: Page
    watch: Watch
    inside: Flask

    def menu(self, name: str) -> None:
        """Go to a place of the workspace by the menu."""
        if "/w/" not in self.page.url:
            self.page.locator("summary", has_text="Switch workspace").click()
            self.page.get_by_role("link", name=WORKSPACE).first.click()
        self.page.get_by_role("navigation", name="Workspace").get_by_role("link", name=name).click()

    def row_of(self, name: str) -> Locator:
        """The line of a profile on a post's page, or its card on Social Profile."""
        return self.page.get_by_role("listitem").filter(has=self.page.get_by_role("link", name=name, exact=True))

    def calls(self, operation: str) -> list[dict[str, object]]:
        """The calls of this kind that the sandbox's X was asked so far."""
        return [one for one in self.console.control("GET", "/portal/api/calls?platform=twitter")
                if one["operation"] == operation]


def test_the_whole_story(fresh_console: Console, inside: Flask, page: Page, watch: Watch) -> None:
    tale = Tale(fresh_console, page, watch, inside)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=fresh_console.url)
    page.clock.install()  # it runs on like any clock, and can be moved to see what a page would do later
    set_up(tale)
    configure_with_the_sandbox(tale, "twitter", "X")
    configure_with_the_sandbox(tale, "facebook", "Facebook")
    configure_with_the_sandbox(tale, "linkedin", "LinkedIn")
    connect_x(tale)
    connect_pages(tale)
    connect_linkedin(tale)
    publish_now(tale)
    publish_in_a_few_seconds(tale)
    a_token_runs_out_and_the_worker_renews_it(tale)
    held = revoked_at_the_platform(tale)
    reconnect_in_place(tale, held)
    disconnect(tale)


# ---------------------------------------------------------------- set up, configure


def set_up(tale: Tale) -> None:
    page, link = tale.page, tale.console.setup_link()
    page.goto(tale.console.url)
    looks.check(page)  # the pages of this chapter exist at no other time
    page.goto(link)
    looks.check(page)
    page.get_by_label("E-mail").fill(story.EMAIL)
    page.get_by_label("Password").fill("short")
    page.get_by_label("Name of the first workspace").fill(WORKSPACE)
    page.get_by_label("Time zone").select_option(ZONE)
    page.get_by_role("button", name="Set up and sign in").click()
    expect(page.get_by_label("Name of the first workspace")).to_have_value(WORKSPACE)
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    looks.check(page)
    page.get_by_label("Password").fill(story.PASSWORD)
    page.get_by_role("button", name="Set up and sign in").click()
    expect(page.get_by_role("heading", name="Social Platform", level=1)).to_be_visible()
    assert tale.console.get(link.removeprefix(tale.console.url))[0] == 404
    tale.menu("Social Profile")
    expect(page.get_by_text("No platform is turned on in this console yet")).to_be_visible()
    looks.check(page)
    page.get_by_role("link", name="Open Social Platform").click()


def configure_with_the_sandbox(tale: Tale, platform: str, name: str) -> None:
    page = tale.page
    page.get_by_role("link", name=f"Configure {name}").click()
    dialog = page.get_by_role("dialog", name=f"Configure {name}")
    dialog.get_by_role("button", name="Use the sandbox").click()
    expect(dialog.get_by_text("Sandbox", exact=True)).to_be_visible()
    copy_the_callback(tale, dialog, f"{tale.console.url}/api/connect/{platform}/callback")
    dialog.get_by_role("button", name="Save and turn on").click()
    expect(page.get_by_role("switch", name=name, exact=True)).to_be_checked()


def copy_the_callback(tale: Tale, dialog: Locator, callback: str) -> None:
    expect(dialog.get_by_text(callback, exact=True).first).to_be_visible()
    copy = dialog.get_by_role("button", name="callback URL")
    copy.click()
    expect(copy).to_contain_text("Copied")
    assert tale.page.evaluate("navigator.clipboard.readText()") == callback
    client_id = dialog.get_by_label(re.compile("client ID", re.IGNORECASE)).or_(dialog.get_by_label("App ID")).first
    registered = tale.console.control("GET", f"/portal/api/apps/{client_id.input_value()}")["redirect_uris"]
    assert registered == [callback]


# ---------------------------------------------------------------- connect


def connect_x(tale: Tale) -> None:
    page = tale.page
    tale.menu("Social Profile")
    page.get_by_role("button", name="Connect X").click()
    consent(tale, "Acme Bakery")
    expect(page.get_by_role("heading", name=f"Connect @acme to {WORKSPACE}?")).to_be_visible()
    page.get_by_role("button", name="Connect @acme").click()
    expect(page.get_by_role("heading", name=f"Acme Bakery connected to {WORKSPACE}")).to_be_visible()
    page.get_by_role("link", name="All profiles").click()
    card = tale.row_of("Acme Bakery")
    expect(card).to_contain_text("Active")
    expect(card).to_contain_text("@acme")
    expect(card).to_contain_text("Sandbox")


def consent(tale: Tale, person: str) -> None:
    """Say yes at the sandbox, as this person."""
    page = tale.page
    expect(page.get_by_role("heading", name="wants access")).to_be_visible()
    assert page.url.startswith(tale.console.sandbox)
    page.get_by_role("radio", name=person).check()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(lambda url: url.startswith(tale.console.url))
    assert "code=" not in page.url and "state=" not in page.url


def connect_another(tale: Tale, platform: str) -> None:
    tale.menu("Social Profile")
    tale.page.get_by_text("Connect account", exact=True).click()
    tale.page.get_by_role("button", name=f"Connect {platform}").click()


def connect_pages(tale: Tale) -> None:
    page = tale.page
    connect_another(tale, "Facebook")
    consent(tale, "Mara Lindqvist")
    expect(page.get_by_role("heading", name="Choose what to connect")).to_be_visible()
    page.get_by_role("checkbox", name="Harbour Bakery").check()
    page.get_by_role("checkbox", name="Linden Cycles").uncheck()
    page.get_by_role("button", name="Connect the ticked profiles").click()
    expect(page.get_by_role("heading", name=f"Harbour Bakery connected to {WORKSPACE}")).to_be_visible()
    page.get_by_role("link", name="All profiles").click()
    expect(tale.row_of("Harbour Bakery")).to_contain_text("Active")
    expect(tale.row_of("Linden Cycles")).to_have_count(0)


def connect_linkedin(tale: Tale) -> None:
    connect_another(tale, "LinkedIn")
    consent(tale, "Jane Doe")
    tale.page.get_by_role("button", name=re.compile("^Connect .*Jane")).click()
    tale.page.get_by_role("link", name="All profiles").click()
    expect(tale.row_of("Jane Doe")).to_contain_text("Active")


# ---------------------------------------------------------------- publish


def write(tale: Tale, text: str, *profiles: str, at: datetime | None = None) -> None:
    """Compose a post; one page later its status is in front of the person."""
    page = tale.page
    tale.menu("Compose")
    for profile in profiles:
        page.get_by_role("checkbox", name=profile).check()
    page.get_by_label("Text", exact=True).fill(text)
    if at is not None:
        page.get_by_role("radio", name="At a time").check()
        page.get_by_label("Date and time").fill(f"{at.astimezone(ZoneInfo(ZONE)):%Y-%m-%dT%H:%M}")
    expect(page.get_by_role("heading", name="Checks").locator("xpath=../..")).to_contain_text(f"{len(text)} /")
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_role("heading", name="Post", level=1)).to_be_visible()
    page.evaluate("document.documentElement.dataset.loaded = 'once'")


def becomes(tale: Tale, status: str, *profiles: str) -> None:
    """Wait until the profiles' lines say so, on the page as it was loaded, which then asks no more."""
    for profile in profiles:
        expect(tale.row_of(profile)).to_contain_text(status, timeout=WORKERS_NEED)
    assert tale.page.evaluate("document.documentElement.dataset.loaded") == "once"


def rests(tale: Tale) -> None:
    assert tale.watch.requests_while_time_passes(tale.page, 120) == []


def publish_now(tale: Tale) -> None:
    page, text = tale.page, "Cinnamon buns from the oven"
    write(tale, text, "Acme Bakery", "Harbour Bakery", "Jane Doe")
    becomes(tale, "Published", "Acme Bakery", "Harbour Bakery", "Jane Doe")
    rests(tale)
    for platform in ("X", "Facebook", "LinkedIn"):
        follow_the_permalink(page, platform, text)


def follow_the_permalink(page: Page, platform: str, text: str) -> None:
    page.get_by_role("link", name=f"open on {platform}").click()
    expect(page.get_by_role("heading", name=f"Post at {platform}")).to_be_visible()
    expect(page.get_by_text(text, exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Post", level=1)).to_be_visible()


def publish_in_a_few_seconds(tale: Tale) -> None:
    text = "Rye bread at a time"
    write(tale, text, "Acme Bakery", at=outside.now() + timedelta(minutes=2))
    becomes(tale, "Scheduled", "Acme Bakery")
    assert tale.watch.requests_while_time_passes(tale.page, 40), "a page that waits looks again by itself"
    due = bring_forward(tale, timedelta(seconds=3))
    becomes(tale, "Published", "Acme Bakery")
    rests(tale)
    posted = next(one for one in tale.console.control("GET", "/portal/api/posts") if one["text"] == text)
    assert datetime.fromisoformat(posted["created_at"]) >= due.replace(microsecond=0)


def bring_forward(tale: Tale, ahead: timedelta) -> datetime:
    """Make the post in front of us due in a moment, since people choose minutes. Returns when."""
    due = outside.now() + ahead
    with tale.inside.app_context(), writing() as session:
        post = session.get_one(Post, tale.page.url.rsplit("/", 1)[1])
        post.due_at = due
        for delivery in session.query(Delivery).filter(Delivery.post_id == post.id):
            delivery.scheduled_for = delivery.due_at = due
    return due


# ---------------------------------------------------------------- keep alive, lose, get back


def a_token_runs_out_and_the_worker_renews_it(tale: Tale) -> None:
    page, renewals = tale.page, len(tale.calls("refresh"))
    x = next(one for one in tale.console.control("GET", "/portal/api/apps") if one["platform"] == "twitter")
    tale.console.control("PATCH", f"/portal/api/apps/{x['client_id']}", {"access_seconds": SHORT_LIFE})
    connect_another(tale, "X")
    consent(tale, "Bob Baker")
    tale.console.control("PATCH", f"/portal/api/apps/{x['client_id']}", {"access_seconds": None})
    page.get_by_role("button", name="Connect @bob").click()
    page.get_by_role("link", name="Bob Baker").click()
    renewed = page.get_by_text("Token renewed")
    until(lambda: page.reload() and renewed.count(), WORKERS_NEED / 1000, "the worker renews the token")
    assert len(tale.calls("refresh")) == renewals + 1
    write(tale, "With the new token", "Bob Baker")
    becomes(tale, "Published", "Bob Baker")


def revoked_at_the_platform(tale: Tale) -> str:
    """Acme's person withdraws the permission at X; returns the address of the post that then waits."""
    page = tale.page
    page.goto(tale.console.sandbox + "/people")
    page.get_by_role("region", name="Acme Bakery, X").get_by_role("button", name="Withdraw access").click()
    expect(page.get_by_role("region", name="Acme Bakery, X")).to_contain_text("Has allowed nothing")
    page.goto(tale.console.url)
    write(tale, "Waits for the reconnect", "Acme Bakery")
    becomes(tale, "Held", "Acme Bakery")
    rests(tale)
    held = page.url
    tale.menu("Social Profile")
    banner = page.get_by_role("region", name="Needs you")
    expect(banner).to_contain_text("1 profile needs you")
    expect(banner).to_contain_text("Acme Bakery: reconnect needed")
    expect(tale.row_of("Acme Bakery")).to_contain_text("Reconnect needed")
    return held


def account_id(tale: Tale, name: str) -> str:
    address = tale.row_of(name).get_by_role("link", name=name, exact=True).get_attribute("href")
    assert address is not None
    return address.rsplit("/", 1)[1]


def reconnect_in_place(tale: Tale, held: str) -> None:
    page, before = tale.page, account_id(tale, "Acme Bakery")
    page.get_by_role("region", name="Needs you").get_by_role("button", name="Reconnect Acme Bakery").click()
    consent(tale, "Acme Bakery")
    page.get_by_role("button", name="Connect @acme").click()
    page.get_by_role("link", name="All profiles").click()
    expect(tale.row_of("Acme Bakery")).to_contain_text("Active")
    expect(page.get_by_role("region", name="Needs you")).to_have_count(0)
    assert before.startswith("acc_") and account_id(tale, "Acme Bakery") == before
    page.goto(held)
    expect(tale.row_of("Acme Bakery")).to_contain_text("Published", timeout=WORKERS_NEED)


def disconnect(tale: Tale) -> None:
    page = tale.page
    tale.menu("Social Profile")
    page.get_by_role("link", name="Acme Bakery", exact=True).click()
    page.get_by_role("link", name="Disconnect Acme Bakery").click()
    question = page.get_by_role("dialog", name="Disconnect Acme Bakery?")
    expect(question).to_contain_text("our tokens are erased at once, and the permission is taken back at X")
    expect(question).to_contain_text("published posts and their history")
    question.get_by_role("button", name="Disconnect Acme Bakery").click()
    expect(page.get_by_text("Acme Bakery is disconnected and our tokens are erased.").first).to_be_visible()
    expect(page.get_by_role("link", name="Cinnamon buns from the oven")).to_be_visible()
    tale.menu("Social Profile")
    expect(tale.row_of("Acme Bakery")).to_contain_text("Disconnected")
    expect(tale.row_of("Acme Bakery").get_by_role("button")).to_have_count(0)
    tale.menu("Compose")
    expect(page.get_by_role("checkbox", name="Bob Baker")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Acme Bakery")).to_have_count(0)
    page.goto(tale.console.sandbox + "/people")
    expect(page.get_by_role("region", name="Acme Bakery, X")).to_contain_text("Has allowed nothing")
