"""Every page and dialog under axe-core: light and dark, desk and phone, in each state that it can show."""

import re
import subprocess
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole.models import FAILED, MISSED, UNCONFIRMED
from socialconsole.providers import PROVIDERS
from tests import story
from tests.browser import desk, looks, troubles
from tests.browser.conftest import OpenPage
from tests.browser.stage import ACCOUNTS, ATTEMPTS, DELIVERIES, Stage, furnish
from tests.running import COMMAND, ROOT, Console

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def stage(console: Console, inside: Flask) -> Stage:
    """The furnished console."""
    return troubles.bring(desk.lay_out(furnish(console, inside)))


@pytest.fixture
def inside_page(stage: Stage, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page in which Alice is signed in."""
    return open_page(storage_state=signed_in)


INSIDE = (
    "/admin/platforms", *(f"/admin/platforms/{platform}" for platform in PROVIDERS), "/admin/activity", "/me",
    "/admin/health",
    "/admin/health/profiles?platform=twitter&state=token_expired",
    "/admin/health/posts?platform=twitter&state=failed",
    "/w/{ws}/profiles", "/w/{ws}/profiles?filter=needs", "/w/{empty}/profiles",
    *(f"/w/{{ws}}/profiles/{{acc_{status}}}" for status in ACCOUNTS), "/w/{ws}/profiles/{acc_paused}/disconnect",
    *(f"/w/{{ws}}/connect/{{att_{state}}}" for state in ATTEMPTS),
    "/w/{ws}/compose", "/w/{empty}/compose", "/w/{ws}/posts", "/w/{empty}/posts", "/w/{ws}/posts?filter=needs",
    *(f"/w/{{ws}}/posts/{{pst_{state}}}" for state in DELIVERIES),
    f"/w/{{ws}}/posts/{{pst_{UNCONFIRMED}}}/{{dlv_{UNCONFIRMED}}}/publish-again",
    f"/w/{{ws}}/posts/{{pst_{UNCONFIRMED}}}/{{dlv_{UNCONFIRMED}}}/mark-published",
    f"/w/{{ws}}/posts/{{pst_{MISSED}}}/{{dlv_{MISSED}}}/reschedule",
    "/w/{ws}/series", "/w/{empty}/series", "/w/{ws}/activity", "/w/{empty}/activity", "/nothing/here",
    "/w/{ws}/compose?post={draft}", "/w/{ws}/drafts", "/w/{empty}/drafts", "/w/{ws}/approval",
    "/w/{ws}/approval/{waiting}", "/w/{ws}/posts/{mixed}", "/w/{ws}/posts/{planned}",
    "/w/{ws}/posts/{mixed}/{dlv_mixed}/why", "/w/{ws}/posts/{mixed}/{dlv_mixed}/mend",
    "/w/{ws}/posts?q=bread&platform=twitter&from=2020-01-01",
    "/w/{ws}/posts/cancel?post={planned}&post={mixed}", "/w/{ws}/profiles/{acc_token_expired}/why",
    "/w/{ws}/calendar", "/w/{ws}/calendar?view=week", "/w/{ws}/calendar?view=list",
    "/w/{ws}/calendar?platform=twitter&state=scheduled", "/w/{ws}/calendar/{planned}/move", "/w/{ws}/calendar/feed",
    "/w/{ws}/queue", "/w/{empty}/queue", "/w/{ws}/queue/clocks?wall_time=2026-11-23T09:00",
    "/w/{ws}/media", "/w/{empty}/media", "/w/{ws}/media/{med_0}",
    "/w/{ws}/media/{med_2}/delete", "/w/{ws}/media/pick", "/w/{ws}/posts/import",
    "/w/{ws}/series/{series}", "/w/{ws}/series/{series}/stop",
    "/w/{ws}/members", "/w/{ws}/members/{nora}/remove", "/w/{ws}/members/leave",
    "/w/{ws}/settings", "/admin/workspaces", "/admin/workspaces/new", "/admin/workspaces/{ws}",
    "/join/{join}", "/join/nothing", "/go?w={ws}", "/go?w={ws}&q=nothing-is-called-so", "/shortcuts",
    "/w/{ws}/alerts", "/w/{empty}/alerts", "/admin/alerts", "/me/alerts",
    "/w/{ws}/expiry", "/w/{empty}/expiry", "/admin/expiry",
    "/admin/timelines", "/admin/timelines?outcome=trouble", "/admin/timelines?search=nothing",
    "/admin/timelines/{rec_connect}", "/w/{ws}/timelines/{rec_connect}",
    "/w/{ws}/profiles/{acc_active}/timelines", "/w/{ws}/profiles/{acc_paused}/timelines",
    f"/w/{{ws}}/posts/{{pst_{FAILED}}}/timelines/{{dlv_{FAILED}}}",
    "/w/{ws}/links", "/w/{empty}/links", "/w/{ws}/profiles/{acc_token_expired}/links",
    "/w/{ws}/profiles/{acc_real}", "/w/{ws}/connect/{receipt}/receipt", "/admin/platforms/twitter/off",
    "/admin/address", "/help/deployment",
    "/help", "/help?q=token", "/help?q=nothing-is-called-so", "/help/instagram", "/help/twitter",
)


@pytest.mark.parametrize("path", INSIDE)
def test_a_page_for_people_who_are_signed_in(path: str, stage: Stage, inside_page: Page) -> None:
    inside_page.goto(stage.address(path))
    looks.check(inside_page)


# ---------------------------------------------------------------- pages that only an answer brings


@pytest.mark.parametrize("platform", PROVIDERS)
def test_the_configure_dialog_with_errors(platform: str, stage: Stage, inside_page: Page) -> None:
    inside_page.goto(stage.address(f"/admin/platforms/{platform}"))
    dialog = inside_page.get_by_role("dialog")
    dialog.get_by_role("textbox", name=PROVIDERS[platform].client_id_label).first.fill('"two words"')
    dialog.get_by_text("Advanced", exact=True).click()
    dialog.get_by_label("Callback override").fill("elsewhere")
    dialog.get_by_role("button", name="Save", exact=True).last.click()
    expect(dialog.get_by_text("Not saved")).to_be_visible()
    looks.check(inside_page)


def configure_with_a_question(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/admin/platforms/twitter"))
    page.get_by_label("OAuth 2.0 Client ID").fill("bm90LXRoZS1zYW5kYm94LWFwcDoxOmNp")
    page.get_by_role("button", name="Replace").click()
    page.get_by_label("OAuth 2.0 Client Secret").fill("a-secret-of-another-app-altogether-0123456789abcdef")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("dialog").get_by_text("Save another app?")).to_be_visible()


def configure_with_other_scopes(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/admin/platforms/twitter"))
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Scopes").fill("tweet.read users.read like.read")
    expect(page.get_by_label("Difference to the default scopes")).to_contain_text("like.read")


def connect_menu(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/profiles"))
    page.get_by_text("Connect account", exact=True).click()
    expect(page.get_by_role("button", name="Connect LinkedIn")).to_be_visible()


def person_menu(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/posts"))
    page.locator("summary", has_text="Account and theme").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def confirm_one_profile(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{empty}/profiles"))
    page.get_by_role("button", name="Connect X").click()
    page.get_by_role("radio", name="Bob Baker").check()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="Connect @bob to Linden Cycles?")).to_be_visible()


def return_that_is_not_ours(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/api/connect/twitter/callback?code=a&state=b"))
    expect(page.get_by_role("heading", name="This return does not belong to a connection")).to_be_visible()


def compose_with_errors(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/compose"))
    page.get_by_role("checkbox", name="Is active").check()
    page.get_by_label("Text", exact=True).fill("bun " * 100)
    expect(page.locator("#checks-sum")).to_have_text("1 to fix")
    page.get_by_role("radio", name="At a time").check()
    page.get_by_label("Date and time").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Publish or schedule").click()
    expect(page.get_by_text("This time has passed already").first).to_be_visible()


def edit_a_refused_post(page: Page, stage: Stage) -> None:
    page.goto(stage.address(f"/w/{{ws}}/compose?from={{pst_{FAILED}}}"))
    expect(page.get_by_label("Text", exact=True)).to_have_value(re.compile(f"^A post that is {FAILED}"))


def password_refused(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/me"))
    page.get_by_label("Present password").fill("wrong")
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("[role=alert]").first).to_be_visible()


def sent_from_elsewhere(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/me"))
    page.evaluate("document.querySelectorAll('[name=csrf_token]').forEach((one) => { one.value = 'old'; })")
    page.get_by_role("main").get_by_role("button", name="Dark").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Your account")


def compose_as_a_whole(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/compose?post={draft}"))
    for fold in ("Reply chain", "A file from an address", "Poll"):
        page.locator("summary", has_text=fold).click()
    page.get_by_role("button", name="Add a part").click()
    expect(page.get_by_label("Part 2", exact=True)).to_be_visible()
    expect(page.locator("article.look").first).to_be_visible()


def a_check_without_publishing(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/posts/{mixed}"))
    page.get_by_role("button", name="Check without publishing").click()
    expect(page.get_by_role("button", name="Check again without publishing")).to_be_visible()


def two_versions_of_a_draft(page: Page, stage: Stage) -> None:
    other = page.context.new_page()
    for one in (page, other):
        one.goto(stage.address("/w/{ws}/compose?post={idea}"))
    for one, text in ((other, "Theirs"), (page, "Mine")):
        one.get_by_label("Text", exact=True).fill(text)
        one.get_by_role("button", name="Save draft").click()
        one.wait_for_load_state()
    expect(page.get_by_text("Theirs").first).to_be_visible()
    other.close()


def rows_that_cannot_be_imported(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/posts/import"))
    rows = b"text,accounts,when\nA good row,a_active,queue\n,nobody,tomorrow\n"
    page.get_by_label("CSV file").set_input_files({"name": "posts.csv", "mimeType": "text/csv", "buffer": rows})
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("cannot be read").first).to_be_visible()


def move_into_the_past(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/calendar/{planned}/move"))
    page.get_by_label("Date and time").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("passed already").first).to_be_visible()


def a_private_address(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{empty}/calendar/feed"))
    page.get_by_role("button", name="Make a private address").click()
    expect(page.get_by_text("It is shown this once.")).to_be_visible()


def a_link_to_join(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/members"))
    page.get_by_role("button", name="Make a link to join").click()
    expect(page.get_by_role("region", name="The link to join")).to_be_visible()


def an_address_that_is_lost(page: Page, stage: Stage) -> None:
    troubles.lose_the_address(stage)
    page.goto(stage.address("/admin/address"))
    page.locator("summary", has_text="nginx").click()
    expect(page.get_by_text("proxy_set_header X-Forwarded-Proto $scheme;")).to_be_visible()


def a_callback_that_differs(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/admin/platforms/twitter"))
    page.get_by_text("Compare with what the portal holds").click()
    page.get_by_label("What the portal holds").fill(stage.address("/api/connect/twitter/callback/"))
    expect(page.locator("#compare mark").first).to_be_visible()


def a_reconnect_link(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/profiles/{acc_limited}/links"))
    page.get_by_role("button", name="Make a reconnect link").click()
    expect(page.get_by_role("region", name="The new link")).to_be_visible()


def the_palette(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/posts"))
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("cal")
    expect(page.get_by_role("option", name="Calendar", selected=True)).to_be_visible()


def the_file_menu_of_posts(page: Page, stage: Stage) -> None:
    page.goto(stage.address("/w/{ws}/posts"))
    page.locator("summary", has_text="CSV file").click()
    expect(page.get_by_role("link", name="Export")).to_be_visible()


ANSWERS = (configure_with_a_question, configure_with_other_scopes, connect_menu, person_menu,
           confirm_one_profile, return_that_is_not_ours, compose_with_errors, edit_a_refused_post, password_refused,
           sent_from_elsewhere, compose_as_a_whole, a_check_without_publishing, two_versions_of_a_draft,
           rows_that_cannot_be_imported, move_into_the_past, a_private_address, a_link_to_join, the_palette,
           the_file_menu_of_posts, an_address_that_is_lost, a_callback_that_differs, a_reconnect_link)


@pytest.mark.parametrize("bring", ANSWERS, ids=lambda bring: bring.__name__)
def test_a_page_that_an_answer_brings(bring: Callable[[Page, Stage], None], stage: Stage, inside_page: Page) -> None:
    bring(inside_page, stage)
    looks.check(inside_page)


# ---------------------------------------------------------------- the door, the sandbox


def test_the_door(stage: Stage, page: Page) -> None:
    page.goto(stage.address("/sign-in"))
    looks.check(page)
    page.get_by_label("E-mail").fill(story.EMAIL)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    looks.check(page)


@pytest.mark.parametrize("name", ["open", "invite", "used", "taken", "late"])
def test_a_link_to_connect(name: str, stage: Stage, page: Page) -> None:
    page.goto(stage.address(f"/link/{{link_{name}}}"))
    looks.check(page)


def test_joining_as_somebody_new(stage: Stage, page: Page) -> None:
    page.goto(stage.address("/join/{join}"))
    looks.check(page)
    page.get_by_label("E-mail").fill("new@example.com")
    page.get_by_label("Your name").fill("New")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Make an account and join").click()
    expect(page.get_by_text("at least 10 characters").first).to_be_visible()
    looks.check(page)


def test_a_new_password(stage: Stage, page: Page) -> None:
    page.goto(stage.address("/reset/long-gone"))
    looks.check(page)
    said = subprocess.run([*COMMAND, "people", "reset-link", "--email", story.EMAIL], cwd=ROOT, check=True, text=True,
                          env=stage.console.environ, capture_output=True).stdout
    page.goto(next(word for word in said.split() if "/reset/" in word))
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Save the new password").click()
    expect(page.get_by_text("At least 10 characters").first).to_be_visible()
    looks.check(page)


SANDBOX = ("sandbox:/", "sandbox:/portal", "sandbox:/portal/apps/{app}", "sandbox:/people", "sandbox:/timeline",
           "sandbox:/timeline?platform=twitter", "sandbox:{permalink}", "sandbox:/faults", "sandbox:/nothing/here",
           "sandbox:/x.com/i/oauth2/authorize?client_id=nobody")


@pytest.mark.parametrize("path", SANDBOX)
def test_a_page_of_the_sandbox(path: str, stage: Stage, page: Page) -> None:
    page.goto(stage.address(path))
    looks.check(page)


@pytest.mark.parametrize("platform", ["X", "Facebook", "LinkedIn"])
def test_the_consent_page(platform: str, stage: Stage, inside_page: Page) -> None:
    inside_page.goto(stage.address("/w/{empty}/profiles"))
    inside_page.get_by_role("button", name=f"Connect {platform}").click()
    expect(inside_page.get_by_role("heading", name="wants access")).to_be_visible()
    looks.check(inside_page)
