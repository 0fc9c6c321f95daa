"""Compose, Posts and one Post, as a browser gets them: every state in words, every action, and what came too late."""

import re
from datetime import timedelta
from typing import Any

import pytest

from socialconsole.database import writing
from socialconsole.models import (
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Delivery,
    Post,
)
from tests.journeys.tenant_house import HTMX, House, Signer, as_person, words

# ---------------------------------------------------------------- compose


def test_compose_shows_where_a_post_can_go_and_why_not(house: House) -> None:
    works, broken = house.account(name="Works"), house.account(name="Broken", state=TOKEN_EXPIRED)
    page = house.get("/compose")
    assert re.search(rf'value="{works}" checked>', page.text)
    assert re.search(rf'value="{broken}" disabled>', page.text) and "Broken @acme To be reconnected." in words(page)
    assert "Europe/Stockholm" in words(page) and 'value="2026-11-21T11:00"' in page.text
    assert "Connect a profile first" not in words(page)


def test_compose_without_profiles_leads_to_social_profile(house: House) -> None:
    assert "Connect a profile first" in words(house.get("/compose"))


def test_the_check_counts_as_the_platform_counts(house: House) -> None:
    account = house.account()
    form = {"text": "é" * 281, "accounts": account, "nonce": "n", "when": "now"}
    block = house.post("/compose/check", form, headers=HTMX)
    assert "<html" not in block.text and 'id="checks"' in block.text
    assert "281 / 280" in words(block) and "1 character too many for X" in words(block)
    page = house.post("/compose/check", form)
    assert "<html" in page.text and "281 / 280" in words(page) and "é" * 281 in page.text


def test_what_was_typed_survives_a_refusal(house: House) -> None:
    account = house.account()
    answer = house.post("/compose", {"text": "Two <b>buns</b>", "accounts": account, "when": "later",
                                     "wall_time": "2026-11-20T06:00", "nonce": "same-nonce"})
    assert answer.status_code == 422 and "This time has passed already" in words(answer)
    assert "Two &lt;b&gt;buns&lt;/b&gt;" in answer.text and 'value="same-nonce"' in answer.text
    assert 'value="2026-11-20T06:00"' in answer.text and re.search(r'value="later" checked', answer.text)
    assert re.search(rf'value="{account}" checked', answer.text)
    nothing = house.post("/compose", {"text": " ", "when": "now"})
    assert nothing.status_code == 422
    assert "Write something first." in words(nothing) and "Choose at least one profile." in words(nothing)
    assert house.count(Post) == 0


def test_a_form_sent_twice_makes_one_post(house: House) -> None:
    form = {"text": "Buns", "accounts": house.account(), "when": "now", "nonce": "once"}
    first, second = house.post("/compose", form), house.post("/compose", form)
    assert first.status_code == second.status_code == 303 and first.location == second.location
    assert house.count(Post) == 1 and house.count(Delivery) == 1


def test_a_post_for_later_keeps_the_wall_time(house: House) -> None:
    form = {"text": "Buns", "accounts": house.account(), "when": "later", "wall_time": "2026-11-23T06:00", "nonce": "l"}
    page = house.client.get(house.post("/compose", form).location)
    assert "23 Nov 2026, 06:00 CET" in words(page)


def test_an_earlier_post_can_be_taken_up_again(house: House) -> None:
    account = house.account()
    post, _ = house.delivery(FAILED, account, text="First try")
    page = house.get(f"/compose?from={post}&account={account}").text
    assert "First try" in page and re.search(rf'value="{account}" checked', page)


# ---------------------------------------------------------------- posts


SHOWN = {
    SCHEDULED: ("Scheduled", "goes out 21 Nov 2026"),
    PREPARING: ("Preparing", "Being prepared for X."),
    PROCESSING: ("Processing", "X is getting it ready."),
    PUBLISHING: ("Publishing", "Being sent to X."),
    SENT: ("Sent", "X has accepted it and is still working on it."),
    PUBLISHED: ("Published", "open on X"),
    HELD: ("Held", "Reconnect or resume the profile and it goes out."),
    UNCONFIRMED: ("Unconfirmed", "X did not answer and may have it."),
    MISSED: ("Missed", "Its window passed while the server was down."),
    FAILED: ("Failed", "X refused it."),
    CANCELLED: ("Cancelled", ""),
}


@pytest.mark.parametrize("state", SHOWN)
def test_each_state_of_a_delivery_has_its_words(house: House, state: str) -> None:
    post, _ = house.delivery(state, permalink="https://x.com/1" if state == PUBLISHED else "",
                             hold="account" if state == HELD else "")
    page, listed = house.get(f"/posts/{post}"), house.get("/posts")
    label, note = SHOWN[state]
    assert f'data-s="{state}"' in page.text and f'data-s="{state}"' in listed.text
    assert label in words(page) and note in words(page)
    assert label in words(listed)


def test_the_note_of_the_service_wins(house: House) -> None:
    post, _ = house.delivery(SCHEDULED, note="X asked us to wait, next try 10:05.", due_at=house.clock())
    assert "X asked us to wait, next try 10:05." in words(house.get(f"/posts/{post}"))
    assert "X asked us to wait, next try 10:05." in words(house.get("/posts"))


BUTTONS = {
    SCHEDULED: {"reschedule", "cancel"},
    PREPARING: set(),
    PROCESSING: set(),
    PUBLISHING: set(),
    SENT: {"check-again", "mark-published"},  # nobody asks any more what became of it
    PUBLISHED: set(),
    HELD: {"reschedule", "cancel"},
    UNCONFIRMED: {"check-again", "mark-published", "publish-again"},
    MISSED: {"reschedule", "retry", "cancel"},
    FAILED: {"retry", "cancel"},
    CANCELLED: {"reschedule"},
}


@pytest.mark.parametrize("state", BUTTONS)
def test_a_state_offers_what_fits_it_and_refuses_the_rest(house: House, state: str) -> None:
    post, delivery = house.delivery(state)
    page = house.get(f"/posts/{post}").text
    offered = set(re.findall(rf"/posts/{post}/{delivery}/([a-z-]+)\"", page)) - {"why", "mend"}
    assert offered == BUTTONS[state]
    for action in {"retry", "cancel", "check-again", "mark-published", "publish-again"} - offered:
        if (state, action) == (HELD, "retry"):
            continue  # harmless: it waits again for the same cause
        answer = house.post(f"/posts/{post}/{delivery}/{action}")
        assert answer.status_code == 409, action
        assert "Below is how it stands now." in words(answer)
        assert house.row(Delivery, delivery).state == state


@pytest.mark.parametrize(("state", "action", "after"), [
    (FAILED, "retry", SCHEDULED), (MISSED, "retry", SCHEDULED), (SCHEDULED, "cancel", CANCELLED),
    (HELD, "cancel", CANCELLED), (UNCONFIRMED, "check-again", UNCONFIRMED),
    (UNCONFIRMED, "mark-published", PUBLISHED), (UNCONFIRMED, "publish-again", SCHEDULED)])
def test_each_action_moves_the_delivery(house: House, state: str, action: str, after: str) -> None:
    post, delivery = house.delivery(state)
    answer = house.post(f"/posts/{post}/{delivery}/{action}")
    assert answer.status_code == 303 and answer.location.endswith(f"/posts/{post}")
    assert house.row(Delivery, delivery).state == after


def test_an_action_by_htmx_swaps_the_status_and_says_what_happened(house: House) -> None:
    post, delivery = house.delivery(FAILED)
    block = house.post(f"/posts/{post}/{delivery}/retry", headers=HTMX)
    assert block.status_code == 200 and "<html" not in block.text
    assert 'id="status"' in block.text and "It is tried again now." in block.text
    late = house.post(f"/posts/{post}/{delivery}/check-again", headers=HTMX)
    assert late.status_code == 409 and 'id="status"' in late.text and "<html" not in late.text


def test_publishing_again_warns_and_is_never_the_highlighted_choice(house: House) -> None:
    post, delivery = house.delivery(UNCONFIRMED)
    page = house.get(f"/posts/{post}/{delivery}/publish-again")
    assert "X may already have this post. If it has, people see it twice" in words(page)
    button = re.search(r'<button class="([^"]+)" type="submit">Publish again</button>', page.text)
    assert button is not None and "primary" not in button[1]
    assert house.row(Delivery, delivery).state == UNCONFIRMED
    house.post(f"/posts/{post}/{delivery}/mark-published")
    assert house.get(f"/posts/{post}/{delivery}/publish-again").status_code == 409


def test_rescheduling_keeps_what_was_typed_and_moves_the_post(house: House) -> None:
    post, delivery = house.delivery(MISSED)
    path = f"/posts/{post}/{delivery}/reschedule"
    assert "Reschedule for Acme Bakery" in words(house.get(path))
    wrong = house.post(path, {"wall_time": "2026-11-01T06:00"})
    assert wrong.status_code == 422 and 'value="2026-11-01T06:00"' in wrong.text and "passed already" in words(wrong)
    assert house.post(path, {"wall_time": "2026-11-23T06:00"}).status_code == 303
    assert "23 Nov 2026, 06:00 CET" in words(house.get(f"/posts/{post}"))
    with house.app.app_context(), writing() as session:
        session.get_one(Delivery, delivery).state = PUBLISHED
    assert house.post(path, {"wall_time": "2026-11-24T06:00"}).status_code == 409


def test_cancelling_all_leaves_what_is_published(house: House) -> None:
    post, first = house.delivery(SCHEDULED, ahead=timedelta(hours=1))
    _, second = house.delivery(HELD, post_id=post, hold="account")
    _, third = house.delivery(PUBLISHED, post_id=post)
    assert "Cancel all that waits" in words(house.get(f"/posts/{post}"))
    assert house.post(f"/posts/{post}/cancel").status_code == 303
    assert [house.row(Delivery, one).state for one in (first, second, third)] == [CANCELLED, CANCELLED, PUBLISHED]
    assert house.post(f"/posts/{post}/cancel").status_code == 409


def test_a_held_delivery_links_to_the_repair(house: House) -> None:
    account = house.account(state=TOKEN_EXPIRED)
    post, _ = house.delivery(HELD, account, hold="account")
    assert f"/profiles/{account}/reconnect" in house.get(f"/posts/{post}").text
    elsewhere, _ = house.delivery(HELD, account, hold="platform")
    assert f"/profiles/{account}/reconnect" not in house.get(f"/posts/{elsewhere}").text


def pace(page: Any, part: str) -> str | None:
    """How often a part of a page looks again by itself."""
    tag = re.search(rf'<[a-z]+ [^>]*id="{part}"[^>]*>', page.text)
    assert tag is not None
    found = re.search(r'hx-trigger="every (\w+)"', tag[0])
    return found[1] if found else None


@pytest.mark.parametrize(("state", "columns", "expected"), [
    (PREPARING, {}, "2s"), (PROCESSING, {}, "2s"), (PUBLISHING, {}, "2s"), (SENT, {}, "30s"),
    (PUBLISHED, {}, None), (FAILED, {}, None), (MISSED, {}, None), (CANCELLED, {}, None), (HELD, {}, None)])
def test_a_page_looks_again_only_while_something_moves(
        house: House, state: str, columns: dict[str, Any], expected: str | None) -> None:
    post, _ = house.delivery(state, **columns)
    assert pace(house.get(f"/posts/{post}"), "status") == expected
    assert pace(house.get("/posts"), "list") == expected


def test_what_is_due_soon_is_looked_at_often_and_the_rest_seldom(house: House) -> None:
    due = house.clock() + timedelta(hours=1)
    post, _ = house.delivery(SCHEDULED, ahead=timedelta(hours=1), due_at=due)
    assert pace(house.get(f"/posts/{post}"), "status") == "30s"
    house.clock.advance(minutes=50)
    assert pace(house.get(f"/posts/{post}"), "status") == "10s"
    house.clock.advance(minutes=9)
    assert pace(house.get(f"/posts/{post}"), "status") == "2s"


def test_a_poll_gets_the_part_alone_and_stops_when_it_is_final(house: House) -> None:
    post, delivery = house.delivery(PUBLISHING)
    block = house.get(f"/posts/{post}", headers=HTMX)
    assert "<html" not in block.text and pace(block, "status") == "2s"
    with house.app.app_context(), writing() as session:
        session.get_one(Delivery, delivery).state = PUBLISHED
    assert pace(house.get(f"/posts/{post}", headers=HTMX), "status") is None
    assert pace(house.get("/posts", headers=HTMX), "list") is None


def test_the_list_filters_counts_and_pages(house: House) -> None:
    account = house.account()
    for number in range(51):
        house.delivery(PUBLISHED, account, text=f"Post number {number:02}.")
    house.delivery(FAILED, account, text="This one needs somebody.")
    first = house.get("/posts")
    assert "This one needs somebody." in words(first) and "Post number 00." not in words(first)
    older = re.search(r'href="([^"]+before=[^"]+)"', first.text)
    assert older is not None
    assert "Post number 00." in words(house.client.get(older[1].replace("&amp;", "&")))
    needs = words(house.get("/posts?filter=needs"))
    assert "This one needs somebody." in needs and "Post number" not in needs
    assert house.get("/posts?filter=else").status_code == 404


def test_a_stranger_and_a_foreign_id_find_nothing(house: House, sign_in: Signer) -> None:
    account = house.account()
    post, delivery = house.delivery(UNCONFIRMED, account)
    foreign = house.account(workspace=house.cast.cycles.id)
    foreign_post, foreign_delivery = house.delivery(UNCONFIRMED, foreign, workspace=house.cast.cycles.id)
    charlie = as_person(house, sign_in, house.cast.charlie)
    for path in ("/profiles", f"/profiles/{account}", "/posts", f"/posts/{post}", "/compose"):
        assert charlie.get(path).status_code == 404
    for path in (f"/profiles/{foreign}", f"/posts/{foreign_post}", f"/posts/{post}/{foreign_delivery}/publish-again",
                 f"/posts/{foreign_post}/{delivery}/publish-again", f"/compose?from={foreign_post}"):
        assert house.get(path).status_code == 404, path
    assert house.post(f"/posts/{post}/{foreign_delivery}/mark-published").status_code == 404
    assert house.post("/compose", {"text": "Hi", "accounts": foreign, "when": "now"}).status_code == 422


def test_an_action_that_does_not_exist_is_not_found(house: House) -> None:
    post, delivery = house.delivery(FAILED)
    assert house.post(f"/posts/{post}/{delivery}/explode").status_code == 404
    assert house.get(f"/posts/{post}/{delivery}/retry").status_code == 404


def test_a_viewer_looks_but_changes_nothing(house: House, sign_in: Signer) -> None:
    post, delivery = house.delivery(FAILED)
    vera = as_person(house, sign_in, house.cast.vera)
    assert f"/{delivery}/retry" not in vera.get(f"/posts/{post}").text
    assert vera.post(f"/posts/{post}/{delivery}/retry").status_code == 403
    assert vera.get("/compose").status_code == 403


def test_a_time_that_was_typed_while_now_is_ticked_publishes_nothing(house: House) -> None:
    account = house.account()
    said = {"text": "Hello", "accounts": account, "when": "now", "nonce": "n", "proposed": "2026-11-21T11:00"}
    page = house.post("/compose", said | {"wall_time": "2026-11-25T06:00"})
    assert page.status_code == 422 and "You typed a time, but Now is chosen" in words(page)
    assert 'value="2026-11-25T06:00"' in page.text and 'value="2026-11-21T11:00"' in page.text
    assert house.count(Post) == 0
    assert house.post("/compose", said | {"wall_time": "2026-11-21T11:00"}).status_code == 303


def test_back_and_the_same_text_again_asks_before_it_sends_twice(house: House) -> None:
    account = house.account()
    said = {"text": "Buns", "accounts": account, "when": "now"}
    assert house.post("/compose", said | {"nonce": "first"}).status_code == 303
    page = house.post("/compose", said | {"nonce": "after-back"})
    assert page.status_code == 422 and "You wrote this very text" in words(page) and "Buns</textarea>" in page.text
    assert house.count(Post) == 1
    assert house.post("/compose", said | {"nonce": "after-back", "again": "yes"}).status_code == 303
    assert house.post("/compose", said | {"nonce": "other", "text": "Other buns"}).status_code == 303
    house.clock.advance(minutes=16)
    assert house.post("/compose", said | {"nonce": "later"}).status_code == 303


def test_rescheduling_proposes_the_time_it_has(house: House) -> None:
    account = house.account()
    house.post("/compose", {"text": "Buns", "accounts": account, "when": "later", "wall_time": "2026-11-25T06:15",
                            "nonce": "n"})
    post, delivery = house.newest()
    assert 'value="2026-11-25T06:15"' in house.get(f"/posts/{post}/{delivery}/reschedule").text


def test_a_cancelled_post_comes_back_when_it_is_rescheduled(house: House) -> None:
    post, delivery = house.delivery(SCHEDULED)
    house.post(f"/posts/{post}/{delivery}/cancel")
    house.post(f"/posts/{post}/{delivery}/reschedule", {"wall_time": "2026-11-25T06:15"})
    assert house.row(Delivery, delivery).state == SCHEDULED and house.row(Post, post).state == SCHEDULED
