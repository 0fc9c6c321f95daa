"""Every form once more in a browser whose JavaScript is off: the same pages, the same words, nothing typed is lost."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests import made_files, story
from tests.browser.conftest import OpenPage
from tests.running import Console, until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

TOO_LONG = "bun " * 100


@pytest.fixture
def plain(open_page: OpenPage) -> Page:
    """A page without JavaScript."""
    return open_page(java_script_enabled=False)


def test_the_forms_work_without_script(console: Console, plain: Page) -> None:
    sign_in(console, plain)
    configure(console, plain)
    connect(plain)
    compose(plain)
    schedule_move_and_cancel(plain)
    keep_a_draft(plain)
    add_a_file(plain)
    import_rows(plain)
    invite(plain)
    pause_and_resume(plain)
    disconnect(plain)
    sign_out(plain)


def reload_until(page: Page, words: str) -> None:
    """Press reload until the page says so, as a person without script does."""
    until(lambda: page.reload() and page.get_by_text(words).count(), 30, f"{words!r} on {page.url}")


def sign_in(console: Console, page: Page) -> None:
    page.goto(console.url)
    page.get_by_label("E-mail").fill(story.EMAIL)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("E-mail")).to_have_value(story.EMAIL)
    page.get_by_label("Password").fill(story.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Open Social Platform").click()


def configure(console: Console, page: Page) -> None:
    page.get_by_role("link", name="Configure X").click()
    dialog = page.get_by_role("dialog", name="Configure X")
    client_id = dialog.get_by_label("OAuth 2.0 Client ID")
    client_id.fill("two words")
    dialog.get_by_label("OAuth 2.0 Client Secret").fill("a-secret-0123456789")
    dialog.get_by_role("button", name="Save and turn on").click()
    expect(dialog.get_by_text("Not saved: 1 field needs another look.")).to_be_visible()
    expect(client_id).to_have_value("two words")
    expect(client_id).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("OAuth 2.0 Client Secret")).to_have_value("")
    dialog.get_by_role("button", name="Use the sandbox").click()
    expect(dialog.get_by_text(f"{console.url}/api/connect/twitter/callback", exact=True).first).to_be_visible()
    dialog.get_by_role("button", name="Save and turn on").click()
    page.goto(console.url + "/admin/platforms")
    switch = page.get_by_role("switch", name="X", exact=True)
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    switch.click()
    expect(switch).to_be_checked()


def connect(page: Page) -> None:
    page.locator("summary", has_text="Switch workspace").click()
    page.get_by_role("link", name="Harbour Bakery").first.click()
    page.get_by_role("link", name="Social Profile").first.click()
    page.get_by_role("button", name="Connect X").click()
    page.get_by_role("radio", name="Acme Bakery").check()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", name="Nothing was connected")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("radio", name="Acme Bakery").check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("button", name="Connect @acme").click()
    expect(page.get_by_role("heading", name="Acme Bakery connected to Harbour Bakery")).to_be_visible()


def compose(page: Page) -> None:
    page.get_by_role("link", name="Write the first post").click()
    text = page.get_by_label("Text", exact=True)
    text.fill(TOO_LONG)
    page.get_by_role("button", name="Check the post").click()
    expect(page.get_by_text("1 to fix")).to_be_visible()
    expect(text).to_have_value(re.compile(TOO_LONG.strip()))
    page.get_by_role("checkbox", name="Acme Bakery").uncheck()
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_text("Choose at least one profile.").first).to_be_visible()
    expect(text).to_have_value(re.compile(TOO_LONG.strip()))
    page.get_by_role("checkbox", name="Acme Bakery").check()
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_text("too many for X").first).to_be_visible()
    expect(text).to_have_attribute("aria-invalid", "true")
    text.fill("Written without script")
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_role("heading", name="Post", level=1)).to_be_visible()
    reload_until(page, "open on X")
    expect(page.get_by_role("listitem").filter(has_text="Acme Bakery").first).to_contain_text("Published")


def to(page: Page, place: str) -> None:
    """Go to a place of the navigation."""
    page.get_by_role("navigation", name="Workspace").get_by_role("link", name=place).first.click()
    expect(page.get_by_role("heading", name=place, level=1)).to_be_visible()


def schedule_move_and_cancel(page: Page) -> None:
    day = datetime.now(UTC) + timedelta(days=2)
    to(page, "Compose")
    page.get_by_label("Text", exact=True).fill("Planned without script")
    page.get_by_role("checkbox", name="Acme Bakery").check()
    page.get_by_role("radio", name="At a time").check()
    page.get_by_label("Date and time").fill(f"{day:%Y-%m-%d}T10:00")
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_role("heading", name="Post", level=1)).to_be_visible()
    to(page, "Calendar")
    page.get_by_role("link", name="List").click()
    page.get_by_role("link", name="Move Planned without script").click()
    page.get_by_label("Date and time").fill(f"{day:%Y-%m-%d}T11:30")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("11:30").first).to_be_visible()
    page.get_by_role("link", name="Planned without script").first.click()
    page.get_by_role("button", name="Cancel").first.click()
    expect(page.get_by_text("Cancelled").first).to_be_visible()


def keep_a_draft(page: Page) -> None:
    to(page, "Compose")
    page.get_by_label("Text", exact=True).fill("An idea without script")
    page.get_by_role("button", name="Save draft").click()
    to(page, "Posts")
    page.get_by_role("link", name="Drafts").click()
    page.get_by_role("link", name="An idea without script").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("An idea without script")


def add_a_file(page: Page) -> None:
    to(page, "Media")
    page.get_by_label("Add files").set_input_files(
        {"name": "bun.png", "mimeType": "image/png", "buffer": made_files.picture("PNG")})
    page.get_by_role("button", name="Add to the library").click()
    expect(page.get_by_role("link", name="bun.png").first).to_be_visible()


def import_rows(page: Page) -> None:
    to(page, "Posts")
    page.locator("summary", has_text="CSV file").click()
    page.get_by_role("link", name="Import").click()
    when = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d} 10:00"
    page.get_by_label("CSV file").set_input_files({
        "name": "posts.csv", "mimeType": "text/csv",
        "buffer": f"text,accounts,when\nFrom a table without script,acme,{when}\n".encode()})
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("From a table without script").first).to_be_visible()
    page.get_by_role("button", name=re.compile("^(Schedule|Write)")).first.click()
    to(page, "Posts")
    expect(page.get_by_role("link", name="From a table without script")).to_be_visible()


def invite(page: Page) -> None:
    to(page, "Members")
    page.get_by_role("radio", name="Viewer").check()
    page.get_by_role("button", name="Make a link to join").click()
    expect(page.get_by_role("region", name="The link to join")).to_contain_text("/join/")


def pause_and_resume(page: Page) -> None:
    to(page, "Social Profile")
    page.get_by_role("link", name="Acme Bakery", exact=True).first.click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Acme Bakery is paused.").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Acme Bakery publishes again.").first).to_be_visible()


def disconnect(page: Page) -> None:
    page.get_by_role("link", name="Disconnect Acme Bakery").click()
    dialog = page.get_by_role("dialog", name="Disconnect Acme Bakery?")
    dialog.get_by_role("link", name="Keep it").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("link", name="Disconnect Acme Bakery").click()
    dialog.get_by_role("button", name="Disconnect Acme Bakery").click()
    expect(page.get_by_text("Acme Bakery is disconnected and our tokens are erased.").first).to_be_visible()
    expect(page.get_by_role("link", name="Written without script")).to_be_visible()


def sign_out(page: Page) -> None:
    page.locator("summary", has_text="Account and theme").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
