"""The keyboard alone: everything can be reached and seen, dialogs take the focus and give it back."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import story
from tests.browser.conftest import OpenPage
from tests.running import Console

pytestmark = [pytest.mark.browser, pytest.mark.processes]

MOST_STOPS = 80
# What has the focus: its words, and whether anything shows that it has it.
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const box = e.getBoundingClientRect(), look = getComputedStyle(e);
  const inSight = box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight;
  // Of a date field only the parts have the focus; around its button the browser draws a ring that no style tells of.
  const ownPart = ['datetime-local', 'time'].includes(e.type) && !e.matches(':focus-visible');
  const ring = ownPart || (parseFloat(look.outlineWidth) > 0 && look.outlineStyle !== 'none');
  return {words: (e.labels?.[0]?.innerText || e.getAttribute('aria-label') || e.innerText || e.id || e.tagName).trim(),
          shown: inSight && (ring || look.boxShadow !== 'none')};
}"""


@pytest.fixture(scope="module")
def platforms(console: Console) -> str:
    """The workspace's address, with X and Facebook turned on."""
    visitor = story.sign_in(console)
    for platform in ("twitter", "facebook"):
        story.set_up_platform(visitor, console, platform)
    story.connect(visitor, console, "X", "acme")
    return console.url + story.workspace_path(visitor, console)


@pytest.fixture
def desk(platforms: str, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page in which Alice is signed in."""
    return open_page(storage_state=signed_in)


def stops(page: Page) -> Iterator[str]:
    """Press Tab through the page: the words of each stop, until the focus leaves it or comes round."""
    first = None
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        here = page.evaluate("() => [...document.querySelectorAll('*')].indexOf(document.activeElement)")
        if stop is None or here == first:
            return
        first = here if first is None else first
        assert stop["shown"], f"the focus on {stop['words']!r} cannot be seen"
        yield str(stop["words"])
    raise AssertionError(f"more than {MOST_STOPS} stops")


def has_focus(place: Locator) -> bool:
    """Whether the focus is in this part of the page."""
    return bool(place.evaluate("(e) => e.contains(document.activeElement)"))


@pytest.mark.parametrize(("path", "wanted"), [
    ("/profiles", ("Skip to content", "Social Console", "Social Profile", "Compose", "Connect account", "Acme Bakery")),
    ("/compose", ("Text", "Publish or schedule")),
    ("/posts", ("Skip to content", "Compose", "Needs you")),
    ("/calendar", ("Queue", "Month before", "Today", "Week", "Filter", "Download as .ics", "Subscribe")),
    ("/queue", ("Compose", "Mon", "At", "Add", "Pause the queue")),
    ("/media", ("Add files", "A file from an address", "Search by name or description", "Show")),
    ("/members", ("Role", "Change", "E-mail", "Make a link to join")),
    ("/links", ("A new profile of", "It works for", "Note", "Make a link to connect")),
    ("/alerts", ("Alerts, none open", "Choose what is mailed to you", "When connections end")),
    ("/expiry", ("Acme Bakery", "Make a private address")),
])
def test_tab_reaches_what_can_be_used_and_shows_where_it_is(
        path: str, wanted: tuple[str, ...], platforms: str, desk: Page) -> None:
    desk.goto(platforms + path)
    reached = list(stops(desk))
    for words in wanted:
        assert any(words in stop for stop in reached), f"{words!r} is not among {reached}"


@pytest.mark.parametrize(("path", "wanted"), [
    ("/admin/health", ("Timelines", "Download a report", "I have a copy")),
    ("/admin/address", ("Check now", "How to run the console behind nginx or Caddy")),
    ("/admin/timelines", ("Health", "Platform", "What", "How it ended", "ID", "Look", "Connection")),
    ("/admin/alerts", ("Choose what is mailed to you", "When connections end, over all workspaces")),
    ("/help/deployment", ("Address", "Copy", "/etc/systemd/system/socialconsole-web.service")),
    ("/me/alerts", ("Your account", "A profile stopped working", "How often", "Harbour Bakery", "Save")),
])
def test_tab_reaches_what_watches_over_the_console(
        path: str, wanted: tuple[str, ...], console: Console, platforms: str, desk: Page) -> None:
    desk.goto(console.url + path)
    reached = list(stops(desk))
    for words in wanted:
        assert any(words in stop for stop in reached), f"{words!r} is not among {reached}"


def test_tab_reaches_every_platform_of_the_list(console: Console, desk: Page) -> None:
    desk.goto(console.url + "/admin/platforms")
    reached = list(stops(desk))
    for name in ("X", "Facebook", "TikTok"):
        assert f"Configure {name}" in reached and name in reached


def test_the_first_stop_skips_the_navigation(platforms: str, desk: Page) -> None:
    desk.goto(platforms + "/posts")
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("link", name="Skip to content")).to_be_focused()
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("main")).to_be_focused()
    desk.keyboard.press("Tab")
    assert has_focus(desk.get_by_role("main"))


def test_the_configure_dialog_takes_the_focus_keeps_it_and_escape_leads_back(console: Console, desk: Page) -> None:
    desk.goto(console.url + "/admin/platforms")
    desk.get_by_role("link", name="Configure LinkedIn").focus()
    desk.keyboard.press("Enter")
    dialog = desk.get_by_role("dialog", name="Configure LinkedIn")
    expect(dialog).to_be_visible()
    assert has_focus(dialog)
    assert "Configure X" not in list(stops(desk))
    desk.keyboard.press("Escape")
    desk.wait_for_url(console.url + "/admin/platforms")
    expect(dialog).to_have_count(0)
    expect(desk.get_by_role("link", name="Configure LinkedIn")).to_be_focused()


def test_escape_keeps_what_a_question_wanted_to_end(platforms: str, desk: Page) -> None:
    desk.goto(platforms + "/profiles")
    desk.get_by_role("link", name="Acme Bakery", exact=True).press("Enter")
    desk.get_by_role("link", name="Disconnect Acme Bakery").press("Enter")
    expect(desk.get_by_role("dialog").get_by_role("link", name="Keep it")).to_be_focused()
    desk.keyboard.press("Escape")
    expect(desk.get_by_role("dialog")).to_have_count(0)
    expect(desk.get_by_text("Active", exact=True)).to_be_visible()
    expect(desk.get_by_role("link", name="Disconnect Acme Bakery")).to_be_focused()


def test_the_connect_menu_opens_closes_and_connects_by_keyboard(platforms: str, desk: Page) -> None:
    desk.goto(platforms + "/profiles")
    menu, facebook = desk.locator("summary", has_text="Connect account"), desk.get_by_role(
        "button", name="Connect Facebook")
    menu.focus()
    desk.keyboard.press("Enter")
    expect(facebook).to_be_visible()
    desk.keyboard.press("Escape")
    expect(facebook).to_be_hidden()
    expect(menu).to_be_focused()
    desk.keyboard.press("Space")
    while not facebook.evaluate("(e) => e === document.activeElement"):
        desk.keyboard.press("Tab")
        assert has_focus(desk.locator("#connect")), "the menu was left before Facebook was reached"
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", name="wants access")).to_be_visible()


def test_copy_selects_the_whole_value_where_the_clipboard_is_refused(console: Console, desk: Page) -> None:
    desk.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))")
    desk.goto(console.url + "/admin/platforms/twitter")
    copy = desk.get_by_role("dialog").get_by_role("button", name="callback URL")
    copy.press("Enter")
    expect(copy).to_contain_text("Selected")
    assert desk.evaluate("String(getSelection())") == f"{console.url}/api/connect/twitter/callback"


def test_a_platform_is_switched_off_and_on_by_keyboard_and_keeps_the_focus(console: Console, desk: Page) -> None:
    desk.goto(console.url + "/admin/platforms")
    switch = desk.get_by_role("switch", name="Facebook")
    for state in (False, True):
        switch.press("Space")
        expect(switch).to_be_checked(checked=state)
        expect(switch).to_be_focused()


def test_on_a_phone_more_holds_the_other_places_and_closes_again(platforms: str, desk: Page) -> None:
    desk.set_viewport_size({"width": 390, "height": 844})
    desk.goto(platforms + "/members")
    more = desk.locator(".nav-more > summary")
    members, activity = (desk.locator(".nav-more").get_by_role("link", name=name) for name in ("Members", "Activity"))
    expect(more).to_have_attribute("aria-current", "true")
    for close in (lambda: desk.keyboard.press("Escape"), lambda: desk.get_by_role("heading", level=1).click()):
        more.press("Enter")
        expect(members).to_have_attribute("aria-current", "page")
        close()
        expect(members).to_be_hidden()
    more.press("Enter")
    activity.press("Enter")
    expect(desk.get_by_role("heading", name="Activity", level=1)).to_be_visible()


def test_on_a_phone_the_foot_of_compose_is_one_slim_row(platforms: str, desk: Page) -> None:
    desk.set_viewport_size({"width": 390, "height": 844})
    desk.goto(platforms + "/compose")
    foot = desk.locator("#compose-foot")
    box = foot.bounding_box()
    assert box is not None and box["height"] < 80
    expect(foot.get_by_role("button", name="Publish or schedule")).to_be_in_viewport()
    desk.get_by_label("Text", exact=True).fill("Kept from a phone")
    foot.locator("summary").press("Enter")
    foot.get_by_role("button", name="Save draft").press("Enter")
    desk.goto(platforms + "/drafts")
    expect(desk.get_by_role("link", name="Kept from a phone")).to_be_visible()


def test_on_a_phone_the_month_begins_today(platforms: str, desk: Page) -> None:
    desk.set_viewport_size({"width": 390, "height": 844})
    desk.goto(platforms + "/calendar")
    expect(desk.locator(".cal .day:visible").first).to_have_class(re.compile(r"\btoday\b"))
