"""The list of posts and a post's page as a browser gets them: narrowed, searched, several cancelled, asked why."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from socialconsole import rehearsal
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    FAILED,
    HELD,
    PAUSED,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    SUBMITTED,
    TOKEN_EXPIRED,
    Account,
    Delivery,
    PlatformApp,
    Post,
    Workspace,
    new_id,
)
from tests.journeys.tenant_house import HTMX, House, Signer, as_person, words


def change(house: House, kind: type[Any], row_id: str, **columns: Any) -> None:
    """Set columns of a row."""
    with house.app.app_context(), writing() as session:
        row = session.get_one(kind, row_id)
        for name, value in columns.items():
            setattr(row, name, value)


def draft(house: House, state: str, **columns: Any) -> str:
    """A post that was not sent off."""
    with house.app.app_context(), writing() as session:
        made = Post(**{"workspace_id": house.cast.bakery.id, "author_id": house.cast.alice.id, "author_name": "Alice",
                       "text": "Half a text", "state": state, "form_nonce": new_id("n"), "created_at": house.clock(),
                       **columns})
        session.add(made)
        session.flush()
        return made.id


# ---------------------------------------------------------------- the list


def test_a_search_and_filters_go_together_and_stay_in_every_link(house: House) -> None:
    account = house.account(name="Bread")
    for number in range(51):
        house.delivery(PUBLISHED, account, text=f"Ångström {number:02}")
    house.delivery(PUBLISHED, text="Ångström elsewhere")
    house.delivery(FAILED, account, text="Something else")
    page = house.get(f"/posts?q=ÅNGSTRÖM&account={account}&filter=published")
    said = words(page)
    assert "Ångström 50" in said and "Ångström elsewhere" not in said and "Something else" not in said
    assert re.search(rf'value="{account}" selected', page.text) and 'value="ÅNGSTRÖM"' in page.text
    older = re.search(r'id="older" href="([^"]+)"', page.text)
    assert older is not None
    last = house.client.get(older[1].replace("&amp;", "&"))
    assert "Ångström 00" in words(last) and "Ångström 01" not in words(last)
    for link in re.findall(r'id="tab-(?:all|needs|failed)" href="([^"]+)"', last.text):
        assert "q=%C3%85NGSTR" in link and f"account={account}" in link and "before=" not in link


def test_a_period_is_that_of_the_workspace(house: House) -> None:
    # midnight in Stockholm is 23:00 UTC of the day before
    house.delivery(SCHEDULED, text="Late on the 22nd", ahead=timedelta(days=1, hours=13, minutes=59))
    house.delivery(SCHEDULED, text="Early on the 23rd", ahead=timedelta(days=1, hours=14))
    one = words(house.get("/posts?from=2026-11-23&to=2026-11-23"))
    assert "Early on the 23rd" in one and "Late on the 22nd" not in one
    both = words(house.get("/posts?from=2026-11-22&to=2026-11-23"))
    assert both.index("Early on the 23rd") < both.index("Late on the 22nd")
    wrong = house.get("/posts?from=soon&q=buns")
    assert wrong.status_code == 422 and "Give a day" in words(wrong) and 'value="buns"' in wrong.text


@pytest.mark.parametrize("query", [
    "q=%25%27%22%3Cscript%3E", "account=acc_none", "platform=nowhere", "author=usr_none", "before=nonsense",
    "from=9999-12-31&to=9999-12-31", "from=0001-01-01", "q=%00", "q=" + "x" * 3000])
def test_odd_wishes_find_nothing_and_break_nothing(house: House, query: str) -> None:
    house.delivery(PUBLISHED)
    page = house.get(f"/posts?{query}")
    assert page.status_code in (200, 422) and "<script>" not in page.text.replace("<script src", "")


def test_another_workspace_is_never_found(house: House) -> None:
    foreign = house.account(workspace=house.cast.cycles.id, name="Foreign")
    house.delivery(FAILED, foreign, workspace=house.cast.cycles.id, text="Secret")
    for query in ("", "?q=Secret", f"?account={foreign}", "?filter=needs", "?platform=twitter", "?from=2020-01-01"):
        assert "Secret" not in words(house.get(f"/posts{query}"))
    assert "Foreign" not in words(house.get("/posts"))


def test_an_empty_list_says_what_it_is_empty_of(house: House) -> None:
    assert "No posts yet" in words(house.get("/posts"))
    house.delivery(PUBLISHED)
    assert "Nothing failed." in words(house.get("/posts?filter=failed"))
    assert "No post fits what you look for." in words(house.get("/posts?q=zebra"))


def test_drafts_and_what_waits_for_approval_have_their_tabs(house: House) -> None:
    assert 'id="tab-drafts"' not in house.get("/posts").text
    draft(house, DRAFT)
    draft(house, SUBMITTED)
    page = house.get("/posts")
    assert 'id="tab-drafts"' in page.text and "Waiting for approval 1" in words(page)
    assert "Half a text" not in words(page)


def test_a_post_to_many_profiles_shows_numbers(house: House) -> None:
    post, _ = house.delivery(FAILED)
    for _ in range(9):
        house.delivery(PUBLISHED, post_id=post)
    assert "1 failed 9 published" in words(house.get("/posts"))


# ---------------------------------------------------------------- several at once


def test_several_posts_are_cancelled_after_a_question(house: House) -> None:
    account = house.account()
    first, one = house.delivery(SCHEDULED, account, text="First", ahead=timedelta(hours=1))
    second, two = house.delivery(HELD, account, text="Second", hold="account")
    third, three = house.delivery(PUBLISHED, account, text="Third")
    listed = house.get("/posts").text
    assert f'value="{first}"' in listed and f'value="{second}"' in listed and f'value="{third}"' not in listed
    asked = house.get(f"/posts/cancel?post={first}&post={second}")
    assert "Cancel 2 posts?" in words(asked) and "what has not gone out yet, to 2 profiles" in words(asked)
    assert house.row(Delivery, one).state == SCHEDULED
    answer = house.post("/posts/cancel", {"post": [first, second, third]})
    assert answer.status_code == 303
    assert "2 posts cancelled." in words(house.client.get(answer.location))
    assert [house.row(Delivery, each).state for each in (one, two, three)] == [CANCELLED, CANCELLED, PUBLISHED]


def test_cancelling_none_or_what_is_not_there_says_so(house: House) -> None:
    answer = house.get("/posts/cancel")
    assert answer.status_code == 303 and "Choose at least one post first." in words(house.client.get(answer.location))
    foreign = house.account(workspace=house.cast.cycles.id)
    post, delivery = house.delivery(SCHEDULED, foreign, workspace=house.cast.cycles.id)
    house.post("/posts/cancel", {"post": [post, "pst_none"]})
    assert house.row(Delivery, delivery).state == SCHEDULED
    assert house.get(f"/posts/cancel?post={post}").status_code == 303


def test_a_viewer_can_choose_none(house: House, sign_in: Signer) -> None:
    post, _ = house.delivery(SCHEDULED)
    vera = as_person(house, sign_in, house.cast.vera)
    assert 'type="checkbox"' not in vera.get("/posts").text and "Check without" not in vera.get(f"/posts/{post}").text
    assert vera.get(f"/posts/cancel?post={post}").status_code == 403
    assert vera.post("/posts/cancel", {"post": post}).status_code == 403
    assert vera.post(f"/posts/{post}/rehearse").status_code == 403


# ---------------------------------------------------------------- live states


def again(page: Any) -> str | None:
    """The address that a page asks again."""
    found = re.search(r'hx-get="([^"]+seen=[^"]+)"', page.text)
    return found[1].replace("&amp;", "&") if found else None


@pytest.mark.parametrize("path", ["/posts", "/posts?filter=scheduled&q=buns", "/posts/{post}"])
def test_a_page_that_did_not_change_answers_without_a_body(house: House, path: str) -> None:
    post, delivery = house.delivery(PUBLISHING)
    address = again(house.get(path.format(post=post)))
    assert address is not None
    quiet = house.client.get(address, headers=HTMX)
    assert (quiet.status_code, quiet.data) == (204, b"")
    change(house, Delivery, delivery, note="X is getting it ready.", state=PROCESSING)
    news = house.client.get(address, headers=HTMX)
    assert news.status_code == 200 and "X is getting it ready." in words(news) and again(news) not in (None, address)
    assert house.client.get(address).status_code == 200  # a browser of its own always gets the page
    change(house, Delivery, delivery, state=PUBLISHED, note="")
    assert again(house.client.get(again(news), headers=HTMX)) is None


def test_a_page_looks_more_often_when_the_time_comes_near(house: House) -> None:
    post, _ = house.delivery(SCHEDULED, ahead=timedelta(hours=1), due_at=house.clock() + timedelta(hours=1))
    page = house.get(f"/posts/{post}")
    assert 'hx-trigger="every 30s"' in page.text
    assert house.client.get(again(page), headers=HTMX).status_code == 204
    house.clock.advance(minutes=59)
    assert 'hx-trigger="every 2s"' in house.client.get(again(page), headers=HTMX).text


def test_what_the_platform_finishes_in_its_own_time_is_asked_seldom(house: House) -> None:
    post, _ = house.delivery(SENT, due_at=house.clock() + timedelta(hours=1))
    assert 'hx-trigger="every 30s"' in house.get(f"/posts/{post}").text


# ---------------------------------------------------------------- a post's page


def test_each_line_tells_its_own_story(house: House) -> None:
    post, first = house.delivery(FAILED, house.account(name="Bread"), note="X refused it: a duplicate.")
    house.delivery(PUBLISHED, house.account(name="Cakes"), post_id=post)
    page = house.get(f"/posts/{post}")
    line = page.text[page.text.index(f'id="log-{first}"'):]
    assert "X refused it: a duplicate." in words(line[:line.index("</details>")])
    assert page.text.count('class="log"') == 2 and f"from={post}" in page.text and "Duplicate" in words(page)


def test_an_own_text_is_shown_where_it_differs(house: House) -> None:
    first, second = house.account(name="Bread"), house.account(name="Cakes")
    post, _ = house.delivery(PUBLISHED, first, text="For all")
    house.delivery(PUBLISHED, second, post_id=post)
    change(house, Post, post, content={"own": {second: {"text": "Only for cakes"}}})
    said = words(house.get(f"/posts/{post}"))
    assert said.count("For all") == 1 + 1  # title and text
    assert said.count("Its own text") == 1 and "Only for cakes" in said


def test_a_draft_shows_where_it_is_meant_to_go(house: House) -> None:
    account = house.account(name="Bread")
    post = draft(house, DRAFT, targets=[{"account_id": account, "format": "text", "options": {}}],
                 review_note="Say when.", reviewed_by="Alice")
    page = house.get(f"/posts/{post}")
    said = words(page)
    assert "Draft" in said and "without a time yet" in said and "Bread" in said and "Say when." in said
    assert f"/compose?post={post}" in page.text and "Check without publishing" not in said
    submitted = house.get(f"/posts/{draft(house, SUBMITTED, submitted_by='Bob', submitted_at=house.clock())}")
    assert "Waiting for approval" in words(submitted) and "/approval/" in submitted.text
    thrown = house.get(f"/posts/{draft(house, CANCELLED)}")
    assert thrown.status_code == 200 and "Discarded" in words(thrown)


def test_a_page_of_many_profiles_asks_as_often_as_one_of_few(house: House) -> None:
    def questions(path: str) -> int:
        seen: list[str] = []
        with house.app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note := lambda *values: seen.append(values[2]))
        try:
            assert house.get(path).status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    post, _ = house.delivery(FAILED)
    house.delivery(HELD, post_id=post, hold="account")
    few = questions(f"/posts/{post}"), questions("/posts")
    for _ in range(15):
        house.delivery(HELD, post_id=post, hold="account")
        house.delivery(HELD, hold="account")
    assert (questions(f"/posts/{post}"), questions("/posts")) == few


# ---------------------------------------------------------------- why not


def test_why_a_post_waits_is_told_with_the_one_thing_that_helps(house: House, sign_in: Signer) -> None:
    account = house.account(name="Bread", state=TOKEN_EXPIRED, reason_text="You changed your password.")
    post, delivery = house.delivery(HELD, account, hold="account")
    assert f"/posts/{post}/{delivery}/why" in house.get(f"/posts/{post}").text
    page = house.get(f"/posts/{post}/{delivery}/why")
    said = words(page)
    assert "Why Bread can’t publish this" in said and "You changed your password." in said
    assert "The post fits" not in said  # nothing after what blocks
    dialog = page.text[page.text.index("<dialog"):]
    assert f'action="{house.base}/profiles/{account}/reconnect"' in dialog and dialog.count("btn primary") == 1
    vera = as_person(house, sign_in, house.cast.vera)
    seen = vera.get(f"/posts/{post}/{delivery}/why")
    assert "You changed your password." in words(seen) and "/reconnect" not in seen.text


def test_why_nothing_blocks_is_told_too(house: House) -> None:
    post, delivery = house.delivery(SCHEDULED, ahead=timedelta(hours=1), due_at=house.clock() + timedelta(hours=1))
    said = words(house.get(f"/posts/{post}/{delivery}/why"))
    assert "Nothing blocks it" in said and "It goes out 21 Nov 2026, 11:00 CET." in said


def test_an_admin_is_led_to_the_platform_and_others_to_the_admin(house: House, sign_in: Signer) -> None:
    account = house.account()
    post, delivery = house.delivery(HELD, account, hold="platform")
    change(house, PlatformApp, "app_twitter", is_on=False)
    assert "/platforms/" in house.get(f"/posts/{post}/{delivery}/why").text.partition("<dialog")[2]
    bob = as_person(house, sign_in, house.cast.bob)
    said = words(bob.get(f"/posts/{post}/{delivery}/why"))
    assert "Ask Alice or Root." in said


def test_a_profile_tells_why_it_cannot_publish(house: House) -> None:
    account = house.account(name="Bread", state=PAUSED, state_by="Bob")
    assert f"/profiles/{account}/why" in house.get("/profiles").text
    page = house.get(f"/profiles/{account}/why")
    assert "Why Bread can’t publish" in words(page) and "Paused by Bob" in words(page)
    assert f"/profiles/{account}/resume" in page.text
    change(house, Account, account, state="active")
    assert "Nothing keeps Bread from publishing" in words(house.get(f"/profiles/{account}/why"))


def test_why_of_a_stranger_is_not_found(house: House) -> None:
    post, delivery = house.delivery(HELD)
    other, _ = house.delivery(HELD)
    foreign = house.account(workspace=house.cast.cycles.id)
    theirs, their_delivery = house.delivery(HELD, foreign, workspace=house.cast.cycles.id)
    for path in (f"/posts/{other}/{delivery}/why", f"/posts/{theirs}/{their_delivery}/why",
                 f"/posts/{post}/{their_delivery}/why", f"/profiles/{foreign}/why", "/profiles/acc_none/why"):
        assert house.get(path).status_code == 404, path


# ---------------------------------------------------------------- without publishing


def test_a_post_is_checked_without_publishing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    account = house.account(name="Bread", state=TOKEN_EXPIRED)
    post, delivery = house.delivery(HELD, account, hold="account")
    house.delivery(PUBLISHED, house.account(name="Cakes"), post_id=post)
    page = house.post(f"/posts/{post}/rehearse")
    result = words(page.text.partition('id="rehearsal"')[2])
    assert page.status_code == 200 and "Checked, nothing was published" in result
    assert "Bread has to be reconnected" in result and "Reconnect Bread" in result and "Cakes" not in result
    block = house.post(f"/posts/{post}/rehearse", headers=HTMX)
    assert "<html" not in block.text and 'id="rehearsal"' in block.text
    assert house.row(Delivery, delivery).state == HELD


def test_a_post_that_is_out_is_not_checked(house: House) -> None:
    post, _ = house.delivery(PUBLISHED)
    assert "Check without publishing" not in words(house.get(f"/posts/{post}"))
    page = house.post(f"/posts/{post}/rehearse")
    assert page.status_code == 200 and "Checked" not in words(page)


def test_a_stranger_s_post_is_not_checked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: 1 / 0)
    foreign = house.account(workspace=house.cast.cycles.id)
    post, _ = house.delivery(HELD, foreign, workspace=house.cast.cycles.id)
    assert house.post(f"/posts/{post}/rehearse").status_code == 404


def test_the_navigation_counts_up_to_a_hundred(house: House) -> None:
    account = house.account()
    for _ in range(2):
        house.delivery(FAILED, account)
    assert '<span class="count" data-s="warn">2<' in house.get("/activity").text
    for _ in range(100):
        house.delivery(FAILED, account)
    assert '<span class="count" data-s="warn">99+<' in house.get("/activity").text


def test_a_paused_approval_does_not_hide_what_waits(house: House) -> None:
    change(house, Workspace, house.cast.bakery.id, needs_approval=True)
    assert 'id="tab-waiting"' in house.get("/posts").text
