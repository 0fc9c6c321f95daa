"""Posts in a real browser: pages that bring themselves up to date, choosing several, asking why, checking first."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import Page, Response, expect

from socialconsole import outside
from socialconsole.database import writing
from socialconsole.models import (
    HELD,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Post,
    new_id,
)
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@dataclass
class Desk:
    """A console with one connected profile and one that has to be reconnected, and ways to put posts on it."""

    console: Console
    inside: Flask
    base: str
    workspace: str
    account: str
    other: str

    def put(self, text: str, *states: str, days: int = 0) -> tuple[str, list[str]]:
        """A post with a delivery in each state, the first to the connected profile. Workers leave it alone."""
        now = outside.now() + timedelta(days=days)
        with self.inside.app_context(), writing() as session:
            post = Post(id=new_id("pst"), workspace_id=self.workspace, author_name="Alice", text=text, due_at=now,
                        form_nonce=new_id("n"), created_at=outside.now())
            session.add(post)
            made = []
            for state, account in zip(states, (self.account, self.other), strict=False):
                delivery = Delivery(id=new_id("dlv"), workspace_id=self.workspace, post=post, account_id=account,
                                    state=state, scheduled_for=now, hold="account" if state == HELD else "")
                session.add(delivery)
                session.flush()
                session.add(DeliveryEvent(workspace_id=self.workspace, delivery_id=delivery.id, at=now, state=state))
                made.append(delivery.id)
            return post.id, made

    def change(self, delivery_id: str, **columns: object) -> None:
        """Move a delivery on, as a worker would."""
        with self.inside.app_context(), writing() as session:
            found = session.get_one(Delivery, delivery_id)
            for name, value in columns.items():
                setattr(found, name, value)


@pytest.fixture(scope="module")
def visitor(console: Console) -> Visitor:
    """Alice, who has connected a profile of the sandbox."""
    return story.sign_in(console)


@pytest.fixture(scope="module")
def desk(console: Console, inside: Flask, visitor: Visitor) -> Desk:
    """The console, furnished."""
    story.set_up_platform(visitor, console, "twitter")
    account = story.connect(visitor, console, "X", "acme")
    path = story.workspace_path(visitor, console)
    workspace, now = path.rpartition("/")[2], outside.now()
    with inside.app_context(), writing() as session:
        app = session.query(PlatformApp).filter_by(platform="twitter").one()
        grant = Grant(workspace_id=workspace, platform="twitter", app=app, app_generation=app.generation,
                      is_sandbox=True, person_id="gone", granted_at=now, access_sealed=b"-")
        other = Account(workspace_id=workspace, platform="twitter", platform_user_id="gone", grant=grant,
                        is_sandbox=True, username="gone", display_name="Second shop", state="token_expired",
                        reason_text="You changed your password at X.", state_since=now, connected_at=now)
        session.add(other)
        session.flush()
        return Desk(console, inside, console.url + path, workspace, account, other.id)


@pytest.fixture
def alice(open_page: OpenPage, signed_in: dict[str, object]) -> Page:
    """A page in front of Alice."""
    return open_page(storage_state=signed_in)


def is_quiet(answer: Response) -> bool:
    """An answer to a page that asked again although nothing changed."""
    return "seen=" in answer.url and answer.status == 204


def test_a_page_follows_its_post_without_disturbing_anybody(desk: Desk, alice: Page) -> None:
    post, (first, second) = desk.put("Follow me", PUBLISHING, HELD)
    with alice.expect_response(is_quiet) as quiet:
        alice.goto(f"{desk.base}/posts/{post}")
    assert quiet.value.request.sizes()["responseBodySize"] == 0
    log = alice.locator(f"#log-{second}")
    log.locator("summary").click()
    alice.locator(f"#to-{first}").focus()
    desk.change(first, state=PROCESSING, note="X is getting it ready.")
    expect(alice.get_by_text("X is getting it ready.")).to_be_visible()
    expect(alice.locator(f"#to-{first}")).to_be_focused()
    expect(log).to_have_attribute("open", "")
    desk.change(first, state=PUBLISHED, note="", permalink=f"{desk.console.sandbox}/x", published_at=outside.now())
    expect(alice.get_by_role("link", name="open on X")).to_be_visible()
    expect(alice.locator("#status:not([hx-get])")).to_have_count(1)  # nothing is asked any more


def test_a_list_keeps_what_is_chosen_while_it_changes(desk: Desk, alice: Page) -> None:
    moving, (delivery,) = desk.put("Moving on", PUBLISHING)
    waiting, (held,) = desk.put("Cancel me", HELD)
    alice.goto(f"{desk.base}/posts")
    expect(alice.get_by_role("button", name="Cancel the chosen posts")).to_be_hidden()
    alice.locator(f"#choose-{waiting}").check()
    expect(alice.get_by_text("1 post is chosen.")).to_be_visible()
    desk.change(delivery, state=PUBLISHED)
    row = alice.locator("li.row", has=alice.locator(f"#to-{moving}"))
    expect(row.get_by_text("Published")).to_be_visible()
    expect(alice.locator(f"#choose-{waiting}")).to_be_checked()
    alice.get_by_role("button", name="Cancel the chosen posts").press("Enter")
    expect(alice.get_by_role("heading", name="Cancel 1 post?")).to_be_visible()
    expect(alice.get_by_role("link", name="Keep it")).to_be_focused()
    looks.check(alice)
    alice.keyboard.press("Tab")
    alice.keyboard.press("Enter")
    expect(alice.get_by_text("1 post cancelled. What is already published stays.").first).to_be_visible()
    with desk.inside.app_context(), writing() as session:
        assert session.get_one(Delivery, held).state == "cancelled"


def test_searching_and_narrowing_with_and_without_script(
        desk: Desk, alice: Page, open_page: OpenPage, signed_in: dict[str, object]) -> None:
    desk.put("Élan and éclairs", PUBLISHED)
    desk.put("Something else", PUBLISHED)
    for page in (alice, open_page(storage_state=signed_in, java_script_enabled=False)):
        page.goto(f"{desk.base}/posts?filter=published")
        page.get_by_label("Search in the texts").fill("ÉCLAIRS")
        page.get_by_label("Search in the texts").press("Enter")
        expect(page.get_by_role("link", name="Élan and éclairs")).to_be_visible()
        expect(page.get_by_role("link", name="Something else")).to_have_count(0)
        page.get_by_text("Profile, author, period").click()
        page.get_by_label("Profile", exact=True).select_option(label="Second shop, X")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.get_by_text("No post fits what you look for.")).to_be_visible()
        expect(page.get_by_role("link", name="Published")).to_have_attribute("aria-current", "page")
    looks.check(alice)


def test_why_not_is_answered_in_a_dialog_of_its_own_address(desk: Desk, alice: Page) -> None:
    post, (_, second) = desk.put("Why not", PUBLISHED, HELD)
    alice.goto(f"{desk.base}/posts/{post}")
    looks.check(alice)
    alice.locator(f"#why-{second}").click()
    expect(alice.get_by_role("dialog").get_by_text("You changed your password at X.")).to_be_visible()
    expect(alice.get_by_role("button", name="Reconnect Second shop").last).to_be_visible()
    looks.check(alice)
    alice.reload()
    expect(alice.get_by_role("dialog")).to_be_visible()
    alice.keyboard.press("Escape")
    expect(alice).to_have_url(f"{desk.base}/posts/{post}")


def test_checking_asks_the_sandbox_and_publishes_nothing(desk: Desk, alice: Page) -> None:
    before = desk.console.control("GET", "/portal/api/posts")
    post, _ = desk.put("Only a check", SCHEDULED, HELD, days=2)
    alice.goto(f"{desk.base}/posts/{post}")
    alice.get_by_role("button", name="Check without publishing").press("Enter")
    result = alice.locator("#rehearsal")
    expect(result.get_by_text("It would go out.")).to_be_visible()
    expect(result.get_by_text("Second shop has to be reconnected.")).to_be_visible()
    expect(alice.locator("#rehearse")).to_be_focused()
    result.get_by_text("What was checked").first.click()
    expect(result.get_by_text("It knows the profile and accepts the token.")).to_be_visible()
    looks.check(alice)
    assert desk.console.control("GET", "/portal/api/posts") == before
