"""Lists of posts: what each filter finds, pages that stay in place while posts arrive, and how much is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.exceptions import NotFound

from socialconsole import post_lists
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    FAILED,
    HELD,
    MISSED,
    PUBLISHED,
    SCHEDULED,
    SUBMITTED,
    UNCONFIRMED,
    Account,
    Delivery,
    Post,
    Workspace,
    new_id,
)
from socialconsole.post_lists import Wanted
from tests.services.conftest import Clock, World


class Shelf:
    """Posts of the bakery, made in a row."""

    def __init__(self, world: World, account: Account, clock: Clock) -> None:
        self.workspace, self.account, self.clock = world.workspace, account, clock
        with writing() as session:
            self.other = Account(id="acc_2", workspace_id="wsp_1", platform="linkedin", platform_user_id="7",
                                 display_name="Second", state_since=clock(), connected_at=clock())
            session.add(self.other)

    def put(self, text: str, *states: str, post: str = SCHEDULED, author: str = "usr_a", days: float = 0,
            workspace: str = "wsp_1", **columns: Any) -> str:
        """A post with a delivery in each of these states: the first to @acme, the second to the other profile."""
        due = self.clock() + timedelta(days=days)
        with writing() as session:
            made = Post(**{"id": new_id("pst"), "workspace_id": workspace, "author_id": author, "text": text,
                           "state": post, "due_at": due, "form_nonce": new_id("n"), "created_at": self.clock(),
                           **columns})
            session.add(made)
            for number, state in enumerate(states):
                session.add(Delivery(workspace_id=workspace, post=made, account_id=f"acc_{number + 1}", state=state,
                                     scheduled_for=due))
        return made.id

    def texts(self, before: str = "", limit: int = 50, **wanted: Any) -> list[str]:
        """The texts of a list."""
        return [row.post.text for row in post_lists.page(self.workspace, Wanted(**wanted), before, limit).rows]


@pytest.fixture
def shelf(world: World, account: Account, clock: Clock) -> Shelf:
    """An empty shelf."""
    return Shelf(world, account, clock)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are run inside."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_each_filter_finds_its_states_and_nothing_else(shelf: Shelf) -> None:
    for state in (SCHEDULED, HELD, PUBLISHED, FAILED, MISSED, UNCONFIRMED, CANCELLED):
        shelf.put(state, state)
    shelf.put("both", PUBLISHED, FAILED)
    assert shelf.texts(state="needs") == ["both", UNCONFIRMED, MISSED, FAILED, HELD]
    assert shelf.texts(state="scheduled") == [HELD, SCHEDULED]
    assert shelf.texts(state="published") == ["both", PUBLISHED]
    assert shelf.texts(state="failed") == ["both", MISSED, FAILED]
    assert len(shelf.texts()) == 8


def test_what_was_never_sent_off_is_in_no_list(shelf: Shelf) -> None:
    shelf.put("a draft", post=DRAFT)
    shelf.put("submitted", post=SUBMITTED)
    shelf.put("thrown away", post=CANCELLED, due_at=None)
    shelf.put("cancelled later", CANCELLED, post=CANCELLED)
    shelf.put("a stranger's", PUBLISHED, workspace="wsp_2")
    assert shelf.texts() == ["cancelled later"]


def test_filters_go_together(shelf: Shelf) -> None:
    shelf.put("acme by alice", PUBLISHED)
    shelf.put("both by bob", PUBLISHED, FAILED, author="usr_b")
    shelf.put("acme failed", FAILED, author="usr_b")
    assert shelf.texts(account_id="acc_2") == ["both by bob"]
    assert shelf.texts(account_id="acc_1", state="failed") == ["acme failed"]
    assert shelf.texts(account_id="acc_1", state="published", author_id="usr_b") == ["both by bob"]
    assert shelf.texts(platform="linkedin", state="failed") == ["both by bob"]
    assert shelf.texts(platform="twitter", state="published") == ["both by bob", "acme by alice"]
    assert shelf.texts(platform="threads") == []
    assert shelf.texts(platform="linkedin", account_id="acc_1") == []
    assert shelf.texts(author_id="usr_b", state="published") == ["both by bob"]
    assert shelf.texts(author_id="usr_b") == ["acme failed", "both by bob"]


@pytest.mark.parametrize(("typed", "found"), [
    ("ÅSA", ["Éclairs for Åsa"]), ("éclairs FOR", ["Éclairs for Åsa"]), ("100%", ["100% rye"]), ("0% r", ["100% rye"]),
    ("%", ["100% rye"]), ("_", ["under_score"]), ("r_s", ["under_score"]), ("/", []), ("'; --", []), ("Я", ["Яблоко"]),
    ("ябл", ["Яблоко"]), ("zebra", [])])
def test_a_text_is_found_whatever_its_capitals_and_signs(shelf: Shelf, typed: str, found: list[str]) -> None:
    for text in ("Éclairs for Åsa", "100% rye", "under_score", "underXscore 100 r", "Яблоко"):
        shelf.put(text, PUBLISHED)
    assert shelf.texts(text=post_lists.tidy(typed)) == found
    assert shelf.texts(text=post_lists.tidy(typed), state="published") == found
    assert shelf.texts(text=post_lists.tidy(typed), state="failed") == []


def test_a_period_shows_posts_in_the_order_of_their_time(shelf: Shelf) -> None:
    now = shelf.clock()
    for number, days in enumerate((3, 1, 2, 9)):
        shelf.put(f"{number} in {days}", PUBLISHED, days=days)
    begin, end = now + timedelta(days=1), now + timedelta(days=4)
    assert shelf.texts(begin=begin, end=end) == ["0 in 3", "2 in 2", "1 in 1"]
    assert shelf.texts(begin=begin, end=end, state="failed") == []
    assert shelf.texts(begin=begin, end=end, account_id="acc_1", text="in 2") == ["2 in 2"]
    assert shelf.texts(end=end, state="published")[-1] == "1 in 1"


def walked(shelf: Shelf, wanted: Wanted, limit: int) -> list[str]:
    """The texts of all pages; a post arrives after each of them."""
    texts: list[str] = []
    before = ""
    for _ in range(20):
        page = post_lists.page(shelf.workspace, wanted, before, limit)
        texts += [row.post.text for row in page.rows]
        if not page.next:
            return texts
        before = page.next
        shelf.put("arrives meanwhile", PUBLISHED, days=400)
    raise AssertionError("pages without end")


@pytest.mark.parametrize("wanted", [
    Wanted(), Wanted("published"), Wanted(account_id="acc_1"), Wanted(platform="twitter"), Wanted(text="post")],
    ids=["all", "published", "account", "platform", "text"])
def test_pages_neither_repeat_nor_skip_while_posts_arrive(shelf: Shelf, wanted: Wanted) -> None:
    made = [shelf.put(f"post {number}", PUBLISHED) and f"post {number}" for number in range(7)]
    assert walked(shelf, wanted, 3) == made[::-1]


def test_pages_of_a_period_part_posts_of_the_same_minute(shelf: Shelf) -> None:
    for number in range(7):
        shelf.put(f"post {number}", PUBLISHED, days=1)
    wanted = Wanted(begin=shelf.clock(), end=shelf.clock() + timedelta(days=30))
    assert sorted(walked(shelf, wanted, 3)) == [f"post {number}" for number in range(7)]


@pytest.mark.parametrize("before", ["nonsense", "2026-99-99~pst_1", "~", "2026-11-21~pst_1", "'; drop table post"])
def test_an_odd_cursor_harms_nothing(shelf: Shelf, before: str) -> None:
    shelf.put("post", PUBLISHED)
    post_lists.page(shelf.workspace, Wanted(), before)
    post_lists.page(shelf.workspace, Wanted(begin=shelf.clock() - timedelta(days=1)), before)


@pytest.mark.parametrize("wanted", [
    Wanted(), Wanted("needs"), Wanted("published"), Wanted(account_id="acc_1"), Wanted(platform="twitter"),
    Wanted(text="post")], ids=["all", "needs", "published", "account", "platform", "text"])
def test_a_long_page_asks_as_often_as_a_short_one(shelf: Shelf, wanted: Wanted) -> None:
    def questions() -> int:
        db.session.expunge_all()
        workspace = db.session.get_one(Workspace, "wsp_1")
        with counted() as seen:
            post_lists.page(workspace, wanted)
        return len(seen)

    shelf.put("post", PUBLISHED, FAILED)
    few = questions()
    for _ in range(12):
        shelf.put("post", PUBLISHED, HELD)
    assert questions() == few <= 6


def test_a_post_to_many_profiles_is_told_by_numbers(shelf: Shelf) -> None:
    with writing() as session:
        for number in range(3, 13):
            session.add(Account(id=f"acc_{number}", workspace_id="wsp_1", platform="linkedin",
                                platform_user_id=f"u{number}", state_since=shelf.clock(), connected_at=shelf.clock()))
    shelf.put("to many", *([PUBLISHED] * 9), FAILED)
    shelf.put("to two", PUBLISHED, FAILED)
    two, many = post_lists.page(shelf.workspace, Wanted()).rows
    assert (len(two.deliveries), many.deliveries) == (2, ())
    assert many.counts == {PUBLISHED: 9, FAILED: 1}


def test_the_mark_changes_with_what_is_shown_and_with_nothing_else(shelf: Shelf) -> None:
    post = shelf.put("post", SCHEDULED)
    first = post_lists.page(shelf.workspace, Wanted()).mark
    assert post_lists.page(shelf.workspace, Wanted()).mark == first
    with writing() as session:
        session.query(Delivery).filter_by(post_id=post).one().fence = 7
    assert post_lists.page(shelf.workspace, Wanted()).mark == first
    with writing() as session:
        session.query(Delivery).filter_by(post_id=post).one().note = "X asked us to wait."
    assert post_lists.page(shelf.workspace, Wanted()).mark != first


def test_what_needs_a_person_is_counted_once_a_post_and_up_to_a_hundred(shelf: Shelf) -> None:
    assert post_lists.needs_count(shelf.workspace) == 0
    shelf.put("both", FAILED, HELD)
    shelf.put("a stranger's", FAILED, workspace="wsp_2")
    shelf.put("fine", PUBLISHED)
    assert post_lists.needs_count(shelf.workspace) == 1
    for _ in range(105):
        shelf.put("failed", FAILED)
    with counted() as seen:
        assert post_lists.needs_count(shelf.workspace) == post_lists.MOST_COUNTED
    assert len([one for one in seen if "FROM delivery" in one]) == 1


def test_a_stranger_s_post_is_not_found(shelf: Shelf, world: World) -> None:
    foreign = shelf.put("a stranger's", PUBLISHED, workspace="wsp_2")
    mine = shelf.put("mine", PUBLISHED)
    with pytest.raises(NotFound):
        post_lists.whole(world.workspace, foreign)
    assert [one.id for one in post_lists.some(world.workspace, [foreign, mine])] == [mine]
