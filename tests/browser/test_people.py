"""People in a real browser: invited, joined in another browser, a role that counts at once; also without JavaScript."""

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole.database import writing
from socialconsole.models import Invitation, Login, Workspace
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PASSWORD = "a few words in a row"


@pytest.fixture
def owner(console: Console, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page with Alice in front of it, at Members."""
    page = open_page(storage_state=signed_in)
    to_members(page, console)
    return page


def to_members(page: Page, console: Console) -> None:
    """Go to the members of the first workspace."""
    page.goto(console.url)
    page.goto(re.sub(r"/profiles.*", "/members", page.url))
    expect(page.get_by_role("heading", name="Members", level=1)).to_be_visible()


def make_link(page: Page, role: str) -> str:
    """Invite whoever has the link; returns it."""
    page.get_by_role("radio", name=role).check()
    page.get_by_role("button", name="Make a link to join").click()
    shown = page.get_by_role("region", name="The link to join")
    expect(shown).to_contain_text("It is shown only now")
    return shown.locator("code").inner_text()


def join(page: Page, link: str, name: str) -> None:
    """Take an invitation as somebody new."""
    page.goto(link)
    expect(page.get_by_role("heading", name="Join Harbour Bakery")).to_be_visible()
    page.get_by_label("E-mail").fill(f"{name.lower()}@example.com")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Make an account and join").click()
    expect(page.get_by_text("Choose at least 10 characters").first).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make an account and join").click()
    expect(page.get_by_role("heading", name="Social Profile", level=1)).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_person_is_invited_joins_and_gets_another_role(console: Console, owner: Page, signed_in: dict[str, object],
                                                         open_page: OpenPage, script: bool) -> None:
    name = "Mara" if script else "Nils"
    if not script:
        owner = open_page(storage_state=signed_in, java_script_enabled=False)
        to_members(owner, console)
    link = make_link(owner, "Viewer")
    guest = open_page(java_script_enabled=script)
    join(guest, link, name)
    expect(guest.get_by_role("link", name="Compose")).to_have_count(0)
    owner.reload()
    expect(owner.get_by_text(link)).to_have_count(0)
    owner.get_by_label(f"Role of {name}").select_option("editor")
    owner.get_by_role("button", name=f"Change the role of {name}").click()
    expect(owner.get_by_text(f"{name} is now editor of Harbour Bakery.").first).to_be_visible()
    guest.reload()
    expect(guest.get_by_role("link", name="Compose").first).to_be_visible()
    owner.get_by_role("link", name=f"Remove {name}").click()
    owner.get_by_role("dialog", name=f"Remove {name}?").get_by_role("button", name="Remove").click()
    expect(owner.get_by_text(f"{name} is no longer a member").first).to_be_visible()
    guest.reload()
    expect(guest.get_by_role("heading", name="There is nothing here")).to_be_visible()
    guest.goto(link)
    expect(guest.get_by_role("heading", name="This invitation does not work")).to_be_visible()


def test_the_link_is_copied_and_focus_is_at_it(owner: Page) -> None:
    owner.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = make_link(owner, "Editor")
    expect(owner.locator(":focus")).to_contain_text("is ready")
    owner.get_by_role("button", name="Copy link to join").click()
    expect(owner.locator("#live")).to_have_text("Copied")
    assert owner.evaluate("navigator.clipboard.readText()") == link


def test_another_browser_is_signed_out_from_ones_own_page(console: Console, open_page: OpenPage) -> None:
    pages = [open_page() for _ in range(2)]
    for page in pages:
        page.goto(console.url + "/sign-in")
        page.get_by_label("E-mail").fill(story.EMAIL)
        page.get_by_label("Password").fill(story.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/sign-in" not in url)
    here, there = pages
    here.goto(console.url + "/me")
    expect(here.get_by_text("This one", exact=True)).to_be_visible()
    here.get_by_role("button", name="End this one").first.click()
    expect(here.get_by_text("That browser is signed out.").first).to_be_visible()
    there.reload()
    expect(there.get_by_role("heading", name="Sign in", level=1)).to_be_visible()


@pytest.fixture
def furnished(console: Console, inside: Flask, owner: Page) -> dict[str, str]:
    """Invitations of each kind, a limit, and logins of other browsers; names for addresses."""
    make_link(owner, "Viewer")
    with inside.app_context(), writing() as session:
        workspace = session.query(Workspace).order_by(Workspace.created_at).first()
        assert workspace is not None
        workspace.account_limit = 10
        kept = session.query(Invitation).order_by(Invitation.id.desc()).first()
        login = session.query(Login).first()
        assert kept is not None and login is not None
        kept.email = "someone.with.a.rather.long.address@a-company-with-a-long-name.example.com"
        return {"ws": workspace.id, "me": login.user_id}


PATHS = ("/w/{ws}/members", "/w/{ws}/members/leave", "/w/{ws}/settings", "/w/{ws}/profiles", "/me",
         "/admin/workspaces", "/admin/workspaces/new", "/admin/workspaces/{ws}")


def test_the_pages_look_right_to_everybody(console: Console, owner: Page, furnished: dict[str, str]) -> None:
    for path in PATHS:
        owner.goto(console.url + path.format(**furnished))
        looks.check(owner)


def test_the_pages_of_an_invitation_look_right_to_everybody(console: Console, owner: Page,
                                                            open_page: OpenPage) -> None:
    link = make_link(owner, "Owner")
    looks.check(owner)
    guest = open_page()
    for address in (link, console.url + "/join/long-gone"):
        guest.goto(address)
        looks.check(guest)
    owner.goto(link)
    looks.check(owner)
