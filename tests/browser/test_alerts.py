"""Alerts in a real browser: by key and bell, muted in place, and everything of it without script."""

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole import incidents, outside
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import TOKEN_EXPIRED, Account
from tests import story
from tests.browser.conftest import OpenPage
from tests.running import Console, until

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def workspace(console: Console, inside: Flask) -> str:
    """The address of a workspace in which one profile has to be reconnected, and an alert says so."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    story.connect(visitor, console, "Connect X", "Acme Bakery")
    with inside.app_context():
        with writing():
            found = db.session.query(Account).filter_by(username="acme").one()
            found.state, found.reason_text = TOKEN_EXPIRED, "X says that the permission was taken back."
            found.state_since = outside.now()
        until(lambda: incidents.sweep(outside.now()) is not None, 30, "the sweep")
    return console.url + story.workspace_path(visitor, console)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_one_alert_is_muted_and_told_again(workspace: str, signed_in: dict[str, object], open_page: OpenPage,
                                           script: bool) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=script)
    page.goto(workspace + "/members")
    page.get_by_role("link", name="Alerts, 1 open").press("Enter")
    expect(page.get_by_role("heading", name="1 open")).to_be_visible()
    page.get_by_role("button", name="Mute this one").press("Enter")
    again = page.get_by_role("button", name="Tell me again")
    expect(again).to_be_visible()
    if script:
        expect(again).to_be_focused()
    again.press("Enter")
    expect(page.get_by_role("button", name="Mute this one")).to_be_visible()
    page.get_by_role("button", name="Reconnect Acme Bakery").press("Enter")
    expect(page.get_by_role("heading", name="wants access")).to_be_visible()


def test_two_letters_lead_to_the_alerts(workspace: str, signed_in: dict[str, object], open_page: OpenPage) -> None:
    page = open_page(storage_state=signed_in)
    page.goto(workspace + "/members")
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page).to_have_url(workspace + "/alerts")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("mailed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What is mailed to you")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_what_is_mailed_is_chosen(console: Console, workspace: str, signed_in: dict[str, object],
                                  open_page: OpenPage, script: bool) -> None:
    page: Page = open_page(storage_state=signed_in, java_script_enabled=script)
    page.goto(console.url + "/me/alerts")
    page.get_by_label("How often").select_option("Every day" if script else "None")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.", exact=True).first).to_be_visible()
    page.goto(console.url + "/me/alerts")
    expect(page.get_by_label("How often")).to_have_value("daily" if script else "off")
