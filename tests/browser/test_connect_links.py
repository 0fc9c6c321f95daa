"""Links to connect in a real browser: asked for, opened by somebody without an account, on a phone, by keyboard alone,
and without JavaScript."""

from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole import connect_links, outside
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import TOKEN_EXPIRED, Account, ConnectionAttempt, ConnectLink, PlatformApp, User, Workspace
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NOTE = "Hello Mara, since you changed your password our Friday posts wait. Could you connect the profile again?"


@pytest.fixture(scope="module")
def workspace(console: Console) -> str:
    """`/w/<id>`, with X and Facebook turned on with the sandbox, and one profile of X."""
    visitor = story.sign_in(console)
    for platform in ("twitter", "facebook"):
        story.set_up_platform(visitor, console, platform)
    story.connect(visitor, console, "Connect X", "Acme Bakery")
    return story.workspace_path(visitor, console)


@pytest.fixture
def account(workspace: str, inside: Flask) -> str:
    """The profile of X, which needs a person."""
    with inside.app_context(), writing():
        found = db.session.query(Account).filter_by(username="acme").one()
        found.state, found.reason_text = TOKEN_EXPIRED, "X says that the permission was taken back."
        found.state_since = outside.now() - timedelta(hours=5)
        return found.id


@pytest.fixture
def owner(console: Console, workspace: str, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page with Alice in front of it."""
    return open_page(storage_state=signed_in)


def ask(page: Page, address: str, button: str) -> str:
    """Make a link on this page; returns it."""
    page.goto(address)
    page.get_by_label("Note").fill(NOTE)
    page.get_by_role("button", name=button).click()
    shown = page.get_by_role("region", name="The new link")
    expect(shown).to_contain_text("It is shown only now")
    return shown.locator("code").inner_text()


def allow(page: Page, person: str) -> None:
    """Answer the sandbox's consent page."""
    page.get_by_role("radio", name=person).check()
    page.get_by_role("button", name="Allow").click()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_profile_is_reconnected_on_a_phone_by_somebody_without_an_account(
        console: Console, workspace: str, account: str, signed_in: dict[str, object], open_page: OpenPage,
        script: bool) -> None:
    owner = open_page(storage_state=signed_in, java_script_enabled=script)
    owner.goto(f"{console.url}{workspace}/profiles")
    owner.get_by_role("link", name="Send a link to reconnect Acme Bakery").click()
    link = ask(owner, owner.url, "Make a reconnect link")
    guest = open_page(java_script_enabled=script, viewport=looks.PHONE)
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Connect Acme Bakery again", level=1)).to_be_visible()
    expect(guest.get_by_text(NOTE)).to_be_visible()
    assert link.rsplit("/", 1)[1] not in guest.url
    guest.get_by_role("button", name="Continue to X").click()
    allow(guest, "Bob Baker")
    expect(guest.get_by_role("heading", name="Another profile came back")).to_be_visible()
    guest.get_by_role("button", name="Try again as somebody else").click()
    allow(guest, "Acme Bakery")
    guest.get_by_role("button", name="Connect @acme again").click()
    expect(guest.get_by_role("heading", name="Done. Acme Bakery is connected again")).to_be_visible()
    guest.reload()
    expect(guest.get_by_role("heading", name="What you agreed to")).to_be_visible()
    guest.goto(link)
    expect(guest.get_by_role("heading", name="This link was used already")).to_be_visible()
    owner.goto(f"{console.url}{workspace}/profiles/{account}")
    expect(owner.get_by_text("Reconnected by a link that").first).to_be_visible()


def test_the_link_is_copied_and_focus_is_at_it(console: Console, owner: Page, workspace: str, account: str) -> None:
    owner.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = ask(owner, f"{console.url}{workspace}/profiles/{account}/links", "Make a reconnect link")
    expect(owner.locator(":focus")).to_contain_text("The link is ready.")
    owner.get_by_role("button", name="Copy link").click()
    expect(owner.locator("#live")).to_have_text("Copied")
    assert owner.evaluate("navigator.clipboard.readText()") == link


def press_to(page: Page, name: str, most: int = 40) -> None:
    """Go on with Tab until the focus is at what has this name."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate("document.activeElement.textContent || document.activeElement.value || ''"):
            return
    raise AssertionError(f"the keyboard does not get to {name!r} on {page.url}")


def test_an_invitation_is_taken_by_keyboard_alone(console: Console, owner: Page, workspace: str,
                                                  open_page: OpenPage) -> None:
    owner.goto(f"{console.url}{workspace}/profiles")
    owner.get_by_text("Connect account").click()
    owner.get_by_role("link", name="Somebody else holds the login").click()
    link = ask(owner, owner.url, "Make a link to connect")
    guest = open_page()
    guest.goto(link)
    for _ in range(10):
        guest.keyboard.press("Tab")
        if guest.evaluate("document.activeElement.name") == "segment":
            break
    guest.keyboard.press("ArrowDown")
    guest.keyboard.press("ArrowUp")
    chosen = guest.locator("input[name=segment]:checked")
    expect(chosen).to_have_count(1)
    if chosen.get_attribute("value") != "twitter":
        guest.keyboard.press("ArrowDown")
    expect(guest.locator("input[value=twitter]")).to_be_checked()
    press_to(guest, "Continue")
    guest.keyboard.press("Enter")
    allow(guest, "Bob Baker")
    expect(guest.get_by_role("heading", level=1)).to_contain_text("Connect @")
    press_to(guest, "Connect @")
    guest.keyboard.press("Enter")
    expect(guest.get_by_role("heading", level=1)).to_contain_text("Done.")


def test_the_pages_of_whoever_asks_look_right_to_everybody(console: Console, owner: Page, workspace: str, account: str,
                                                           inside: Flask) -> None:
    address = f"{console.url}{workspace}/profiles/{account}/links"
    ask(owner, address, "Make a reconnect link")
    looks.check(owner)
    ask(owner, f"{console.url}{workspace}/links", "Make a link to connect")
    vary(inside)
    for path in (f"/profiles/{account}/links", "/links", f"/profiles/{account}", "/profiles"):
        owner.goto(console.url + workspace + path)
        looks.check(owner)
    owner.goto(f"{console.url}{workspace}/links")
    owner.get_by_role("button", name="Make links for all that need one").click()
    expect(owner.get_by_text("They are shown only now.")).to_be_visible()
    looks.check(owner)


def vary(inside: Flask) -> None:
    """Links in each state."""
    with inside.app_context(), writing() as session:
        now = outside.now()
        user, workspace = session.query(User).first(), session.query(Workspace).first()
        assert user is not None and workspace is not None
        made = [connect_links.to_connect(workspace, user, "facebook").link for _ in range(3)]
        made[0].used_at = made[0].opened_at = now
        made[1].ended_at, made[2].expires_at = now, now - timedelta(minutes=1)
        made[2].email, made[2].mailed_at = "someone.with.a.rather.long.address@a-long-company-name.example.com", now


def test_the_pages_of_a_guest_look_right_to_everybody(console: Console, owner: Page, workspace: str, account: str,
                                                      inside: Flask, open_page: OpenPage) -> None:
    link = ask(owner, f"{console.url}{workspace}/profiles/{account}/links", "Make a reconnect link")
    guest = open_page()
    guest.goto(link)
    looks.check(guest)
    guest.get_by_role("button", name="Continue to X").click()
    allow(guest, "Bob Baker")
    expect(guest.get_by_role("heading", name="Another profile came back")).to_be_visible()
    looks.check(guest)
    guest.get_by_role("button", name="Try again as somebody else").click()
    allow(guest, "Acme Bakery")
    expect(guest.get_by_role("button", name="Connect @acme again")).to_be_visible()
    looks.check(guest)
    guest.get_by_role("button", name="Connect @acme again").click()
    expect(guest.get_by_role("heading", level=1)).to_contain_text("Done.")
    looks.check(guest)
    done = guest.url
    for state in ("declined", "failed", "expired", "started"):
        with inside.app_context(), writing() as session:
            row = session.get_one(ConnectionAttempt, done.rsplit("/", 1)[1])
            row.state, row.expires_at = state, outside.now() + timedelta(hours=1)
            session.get_one(ConnectLink, row.link_id).used_at = None
        guest.goto(done)
        looks.check(guest)
    with inside.app_context(), writing() as session:
        session.get_one(ConnectionAttempt, done.rsplit("/", 1)[1]).state = "finished"


def test_the_pages_of_an_invitation_look_right_to_everybody(console: Console, owner: Page, workspace: str,
                                                            inside: Flask, open_page: OpenPage) -> None:
    link = ask(owner, f"{console.url}{workspace}/links", "Make a link to connect")
    guest = open_page()
    guest.goto(link)
    looks.check(guest)
    guest.get_by_role("radio", name="Facebook").check()
    guest.get_by_role("button", name="Continue").click()
    guest.get_by_role("radio").first.check()
    for box in guest.get_by_role("checkbox").all():
        box.check()
    guest.get_by_role("button", name="Allow").click()
    expect(guest.get_by_role("heading", level=1)).to_be_visible()
    looks.check(guest)
    with inside.app_context(), writing() as session:
        for app in session.query(PlatformApp):
            app.is_on = False
    guest.goto(link)
    looks.check(guest)
    guest.goto(f"{console.url}/link/nothing")
    looks.check(guest)
    with inside.app_context(), writing() as session:
        for app in session.query(PlatformApp):
            app.is_on = True
