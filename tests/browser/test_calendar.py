"""The calendar under mouse and keyboard: dragging and taking it back, moving by keys, and on a phone."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from socialconsole import slots
from socialconsole.database import writing
from socialconsole.models import Account, Delivery, Post, User, Workspace, new_id
from tests import story
from tests.browser import looks
from tests.browser.conftest import OpenPage
from tests.running import Console

pytestmark = [pytest.mark.browser, pytest.mark.processes]

# A month far enough ahead that nothing of it is ever due while the tests run, and without a change of the clocks.
YEAR = datetime.now(UTC).year + 1
MONDAY = next(day for day in (datetime(YEAR, 6, number, 9, 0, tzinfo=UTC) for number in range(8, 15))
              if day.weekday() == 0)


@pytest.fixture(autouse=True)
def nothing_planned(inside: Flask) -> None:
    """A day shows three posts and counts the rest: those of other tests must not be the three."""
    with inside.app_context(), writing() as session:
        session.query(Delivery).delete()
        session.query(Post).delete()


@pytest.fixture(scope="module")
def workspace(console: Console) -> str:
    """The workspace's address, with a profile of X."""
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, "twitter")
    story.connect(visitor, console, "X", "acme")
    return console.url + story.workspace_path(visitor, console)


def write(inside: Flask, text: str, due: datetime, *, is_queued: bool = False) -> str:
    """A post that is scheduled; its id."""
    with inside.app_context(), writing() as session:
        account = session.query(Account).first()
        assert account is not None
        post = Post(id=new_id("pst"), workspace_id=account.workspace_id, author_name="Alice", text=text, due_at=due,
                    is_queued=is_queued, form_nonce=new_id("n"), created_at=due)
        session.add(post)
        session.flush()
        session.add(Delivery(workspace_id=account.workspace_id, post_id=post.id, account_id=account.id,
                             scheduled_for=due, due_at=due))
        return str(post.id)


def due_of(inside: Flask, post_id: str) -> datetime:
    """When a post is due now."""
    with inside.app_context(), writing() as session:
        due = session.get_one(Post, post_id).due_at
        assert due is not None
        return due


@pytest.fixture
def desk(workspace: str, signed_in: dict[str, object], open_page: OpenPage) -> Page:
    """A page in which Alice is signed in, with a window that shows the month."""
    return open_page(storage_state=signed_in, viewport={"width": 1280, "height": 1000})


def month(workspace: str, view: str = "month") -> str:
    """The address of the month that the tests use."""
    return f"{workspace}/calendar?view={view}&at={MONDAY:%Y-%m-%d}"


def cell(page: Page, day: datetime):
    """One day of the month."""
    return page.locator(f'li.day[data-day="{day:%Y-%m-%d}"]')


def test_a_post_is_dragged_to_another_day_and_taken_back(desk: Page, workspace: str, inside: Flask) -> None:
    post_id, thursday = write(inside, "Saffron buns", MONDAY), MONDAY + timedelta(days=3)
    desk.goto(month(workspace))
    desk.locator(f"#to-{post_id}").drag_to(cell(desk, thursday), target_position={"x": 60, "y": 90})
    expect(cell(desk, thursday).locator(f"#to-{post_id}")).to_be_visible()
    assert due_of(inside, post_id) == thursday
    expect(desk.locator(f"#to-{post_id}")).to_be_focused()
    expect(desk.locator("#live")).to_contain_text("Moved to")
    desk.get_by_role("button", name="Undo").click()
    expect(cell(desk, MONDAY).locator(f"#to-{post_id}")).to_be_visible()
    assert due_of(inside, post_id) == MONDAY


def test_a_post_is_moved_with_keys_alone(desk: Page, workspace: str, inside: Flask) -> None:
    post_id = write(inside, "Cinnamon buns", MONDAY + timedelta(hours=1))
    desk.goto(month(workspace))
    for key, days in (("Alt+ArrowRight", 1), ("Alt+ArrowDown", 8), ("Alt+ArrowLeft", 7)):
        desk.locator(f"#to-{post_id}").focus()
        desk.keyboard.press(key)
        expect(cell(desk, MONDAY + timedelta(days=days)).locator(f"#to-{post_id}")).to_be_focused()
        assert due_of(inside, post_id) == MONDAY + timedelta(days=days, hours=1)
    desk.keyboard.press("m")
    expect(desk.get_by_role("dialog")).to_be_visible()
    expect(desk.get_by_label("Date and time")).to_be_focused()
    desk.get_by_label("Date and time").fill(f"{YEAR}-06-25T12:30")
    desk.get_by_role("button", name="Move", exact=True).click()
    expect(cell(desk, datetime(YEAR, 6, 25, tzinfo=UTC)).locator(f"#to-{post_id}")).to_be_visible()
    expect(desk.get_by_role("button", name="Undo")).to_be_visible()


def test_what_came_too_late_is_said_and_the_post_lies_where_it_is(desk: Page, workspace: str, inside: Flask) -> None:
    post_id = write(inside, "Poppy buns", MONDAY + timedelta(days=1))
    desk.goto(month(workspace))
    with inside.app_context(), writing() as session:
        session.get_one(Post, post_id).version = 5
    desk.locator(f"#to-{post_id}").focus()
    desk.keyboard.press("Alt+ArrowRight")
    expect(desk.get_by_role("alert")).to_contain_text("This post was changed meanwhile.")
    expect(cell(desk, MONDAY + timedelta(days=1)).locator(f"#to-{post_id}")).to_be_visible()


def test_posts_of_the_queue_change_places_by_drag_and_by_button(desk: Page, workspace: str, inside: Flask) -> None:
    with inside.app_context():
        with writing() as session:
            bakery, alice = session.query(Workspace).first(), session.query(User).first()
        assert bakery is not None and alice is not None
        slots.add(bakery, alice, list("0123456"), "09:00")
        free = [line.occurrence.instant for line in slots.coming(bakery, datetime.now(UTC))][2:4]
    first, second = (write(inside, text, at, is_queued=True) for text, at in zip(("One", "Two"), free, strict=True))
    desk.goto(f"{workspace}/queue")
    desk.locator(f"#later-{first}").click()
    expect(desk.locator("#live")).to_contain_text("Moved to")
    assert [due_of(inside, one) for one in (first, second)] == free[::-1]
    desk.locator(f"#to-{first}").drag_to(desk.locator("[data-slot]", has=desk.locator(f"#to-{second}")))
    expect(desk.locator(f".row:has(#to-{first}) ~ .row, section:has(#to-{first})").first).to_be_visible()
    desk.wait_for_function("() => !document.querySelector('.htmx-request')")
    desk.reload()
    assert [due_of(inside, one) for one in (first, second)] == free


def test_without_script_the_same_is_done_by_forms(workspace: str, signed_in: dict[str, object], open_page: OpenPage,
                                                  inside: Flask) -> None:
    post_id = write(inside, "Plain buns", MONDAY + timedelta(days=2))
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    page.goto(month(workspace, "list"))
    page.locator(f"#move-{post_id}").click()
    page.get_by_label("Date and time").fill(f"{MONDAY:%Y-%m-%d}T15:00")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("Moved to Mon", exact=False)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    assert due_of(inside, post_id) == MONDAY + timedelta(days=2)


@pytest.mark.parametrize("path", ["calendar?view=month", "calendar?view=week", "calendar?view=list", "queue",
                                  "calendar/feed", "move"])
def test_every_page_is_fine_for_everybody(desk: Page, workspace: str, inside: Flask, path: str) -> None:
    post_id = write(inside, "Buns for everybody, with a text that is longer than its cell", MONDAY)
    address = f"{workspace}/calendar/{post_id}/move" if path == "move" else f"{workspace}/{path}"
    desk.goto(address + (f"&at={MONDAY:%Y-%m-%d}" if "view" in path else ""))
    looks.check(desk)


def test_on_a_phone_days_are_a_list_and_each_post_can_be_moved(workspace: str, signed_in: dict[str, object],
                                                               open_page: OpenPage, inside: Flask) -> None:
    post_id = write(inside, "Pocket buns", MONDAY + timedelta(days=4))
    page = open_page(storage_state=signed_in, viewport=looks.PHONE, has_touch=True)
    page.goto(month(workspace))
    for name in ("to", "move"):
        box = page.locator(f"#{name}-{post_id}").bounding_box()
        assert box is not None and box["height"] >= 44 and box["x"] + box["width"] <= 390
    page.locator(f"#move-{post_id}").tap()
    expect(page.get_by_role("dialog")).to_be_visible()
