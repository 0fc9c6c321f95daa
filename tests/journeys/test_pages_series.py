"""Repeating posts as a browser gets them: choosing it under Compose, the list, stopping, and times that are odd."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from socialconsole import decisions, series
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import CANCELLED, Account, Delivery, Post, Series, User, Workspace
from tests.journeys.tenant_house import HTMX, House, Signer, as_person, words

FORM = {"text": "Good morning", "when": "later", "wall_time": "2026-11-23T09:00", "nonce": "n1"}


def begun(house: House, **more: Any) -> str:
    """A series that somebody wrote under Compose; its id."""
    answer = house.post("/compose", {**FORM, "accounts": house.account(), "repeat": "week", **more})
    assert answer.status_code == 303, words(answer)
    return only(house).id


def only(house: House) -> Series:
    with house.app.app_context():
        return db.session.scalars(select(Series)).one()


def next_day(house: House) -> None:
    """The console's own part, a week later."""
    house.clock.at = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    with house.app.app_context():
        assert series.advance(house.clock()) == 1


# ---------------------------------------------------------------- compose


def test_compose_offers_to_repeat_and_proposes_not_to(house: House) -> None:
    house.account()
    page = house.get("/compose").text
    assert re.search(r'name="repeat" value="never" checked', page)
    assert [one for one in re.findall(r'name="repeat" value="(\w+)"', page)] == ["never", "day", "week", "month"]
    assert 'type="date" id="last_day" name="last_day" value=""' in page
    assert not re.search(r'<details class="fold repeat[^>]* open', page)


def test_a_repeating_post_leads_to_its_first_post_which_says_so(house: House) -> None:
    answer = house.post("/compose", {**FORM, "accounts": house.account(), "repeat": "week", "last_day": "2026-12-31"})
    assert answer.status_code == 303
    page = house.client.get(answer.location)
    assert "Every week on Monday at 09:00, Europe/Stockholm, until 31 Dec 2026" in words(page)
    assert "what you do here changes this one only" in words(page)
    assert f'/series/{only(house).id}"' in page.text
    again = house.post("/compose", {**FORM, "accounts": house.account(), "repeat": "week", "last_day": "2026-12-31"})
    assert again.location == answer.location and house.count(Series) == house.count(Post) == 1


@pytest.mark.parametrize(("typed", "field", "sentence"), [
    ({"repeat": "week", "when": "now", "wall_time": ""}, "repeat", "A post that repeats needs a time."),
    ({"repeat": "hour"}, "repeat", "Choose how often the post repeats"),
    ({"repeat": "day", "last_day": "2026-11-01"}, "last_day", "This day is before the first time."),
    ({"repeat": "day", "last_day": "whenever"}, "last_day", "Give a day, such as 2026-12-31"),
    ({"repeat": "day", "wall_time": "2027-03-28T02:30"}, "wall_time", "The next one is 03:00."),
])
def test_what_does_not_fit_is_said_at_its_field_and_typing_is_kept(
        house: House, typed: dict[str, str], field: str, sentence: str) -> None:
    answer = house.post("/compose", {**FORM, "accounts": house.account(), "last_day": "2026-12-01", **typed})
    assert answer.status_code == 422
    assert re.search(rf'id="{field}-error"[^>]*>.*?{re.escape(sentence)}', answer.text, re.DOTALL)
    assert "Good morning" in answer.text and f'value="{typed.get("last_day", "2026-12-01")}"' in answer.text
    assert re.search(r'<details class="fold repeat[^>]* open', answer.text)
    assert house.count(Series) == house.count(Post) == 0


def test_the_check_says_when_it_goes_out_and_how_it_repeats(house: House) -> None:
    form = {**FORM, "accounts": house.account(), "repeat": "month", "wall_time": "2027-01-31T09:00"}
    block = words(house.post("/compose/check", form, headers=HTMX))
    assert "Goes out Sun 31 Jan 2027, 09:00 CET (08:00 UTC)." in block
    assert "Every month on the 31st (in shorter months on their last day) at 09:00, Europe/Stockholm." in block
    wrong = words(house.post("/compose/check", {**form, "last_day": "2026-01-01"}, headers=HTMX))
    assert "1 to fix" in wrong and "This day is before the first time." in wrong
    now = words(house.post("/compose/check", {**form, "when": "now"}, headers=HTMX))
    assert "Goes out" not in now


@pytest.mark.parametrize(("wall", "said"), [
    ("2027-10-31T02:30", "02:30 happens twice on 31 Oct 2027 in Europe/Stockholm; it goes out the first time "
                         "(02:30 CEST, 00:30 UTC)."),
    ("2027-03-28T02:30", "This time does not exist in Europe/Stockholm: the clocks are put forward then. The next one "
                         "is 03:00."),
    ("2026-11-20T06:00", "This time has passed already"),
])
def test_the_check_names_a_time_that_is_odd(house: House, wall: str, said: str) -> None:
    form = {**FORM, "accounts": house.account(), "wall_time": wall}
    assert said in words(house.post("/compose/check", form, headers=HTMX))


def test_a_single_post_in_the_doubled_hour_says_which_one(house: House) -> None:
    answer = house.post("/compose", {**FORM, "accounts": house.account(), "wall_time": "2027-10-31T02:30"})
    page = words(house.client.get(answer.location))
    assert "02:30 happens twice" in page and "00:30 UTC" in page


# ---------------------------------------------------------------- the list


def test_nothing_repeats_yet(house: House) -> None:
    page = house.get("/series")
    assert "Nothing repeats yet" in words(page) and "Write a repeating post" in words(page)
    assert f'href="{house.base}/series"' in house.get("/posts").text


def test_the_list_says_what_repeats_where_when_and_how_long(house: House) -> None:
    begun(house, last_day="2026-12-10")
    page = words(house.get("/series"))
    for said in ("Good morning", "Acme Bakery", "Every week on Monday at 09:00, Europe/Stockholm, until 10 Dec 2026",
                 "Mon 23 Nov 2026, 09:00 CET (08:00 UTC)", "Mon 30 Nov 2026", "Mon 7 Dec 2026", "Repeats", "Stop"):
        assert said in page
    assert "14 Dec" not in page
    assert "Repeats," in words(house.get("/posts"))


def test_the_list_is_read_in_pages(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socialconsole.web.series.PAGE", 1)
    account = house.account()
    for name in ("First", "Second"):
        house.post("/compose", {**FORM, "text": name, "nonce": name, "accounts": account, "repeat": "day"})
    newest = house.get("/series")
    assert "Second" in words(newest) and "First" not in words(newest)
    older = re.search(r'href="([^"]+before=[^"]+)"', newest.text)
    assert older is not None
    assert "First" in words(house.client.get(older[1]))


def test_what_was_left_out_is_said(house: House) -> None:
    begun(house, repeat="day")
    house.clock.at = datetime(2026, 12, 3, 12, 0, tzinfo=UTC)
    with house.app.app_context():
        series.advance(house.clock())
    assert "10 times were left out while the console was off." in words(house.get("/series"))


def test_just_this_one_cancelled_is_said_beside_the_next_times(house: House) -> None:
    begun(house)
    with house.app.app_context():
        decisions.cancel(db.session.scalars(select(Post)).one(), db.session.get_one(User, house.cast.alice.id))
    assert "cancelled, just this once" in words(house.get("/series"))


# ---------------------------------------------------------------- stopping and starting again


def test_stopping_asks_first_and_says_what_goes(house: House) -> None:
    found = begun(house)
    question = house.get(f"/series/{found}/stop")
    assert question.status_code == 200 and "Stop this repeating post?" in words(question)
    answer = house.post(f"/series/{found}/stop")
    assert answer.status_code == 303
    page = words(house.client.get(answer.location))
    assert "Stopped. 1 waiting post was cancelled; what is published stays." in page and "Start again" in page
    with house.app.app_context():
        assert [one.state for one in db.session.scalars(select(Delivery))] == [CANCELLED]
    late = house.post(f"/series/{found}/stop")
    assert late.status_code == 409 and "stopped already" in words(late)
    back = house.get(f"/series/{found}/stop", follow_redirects=True)
    assert "stopped already" in words(back) and "Stop this repeating post?" not in words(back)


def test_starting_again_names_the_next_time(house: House) -> None:
    found = begun(house)
    house.post(f"/series/{found}/stop")
    assert "Start it again?" in words(house.get(f"/series/{found}/resume"))
    page = words(house.client.get(house.post(f"/series/{found}/resume").location))
    assert "It repeats again. Next: Mon 23 Nov 2026, 09:00 CET (08:00 UTC)." in page
    assert "running already" in words(house.get(f"/series/{found}/resume", follow_redirects=True))


def test_starting_again_without_a_profile_says_why_not(house: House) -> None:
    found = begun(house)
    house.post(f"/series/{found}/stop")
    with house.app.app_context(), writing() as session:
        session.query(Account).one().state = "disconnected"
    answer = house.post(f"/series/{found}/resume")
    assert answer.status_code == 409 and "None of its profiles is connected any more." in words(answer)
    assert "Acme Bakery, disconnected" in words(answer)


def test_an_occurrence_of_a_stopped_series_says_that_none_follows(house: House) -> None:
    found = begun(house)
    next_day(house)
    house.post(f"/series/{found}/stop")
    with house.app.app_context():
        post_id = db.session.scalars(select(Post.id).order_by(Post.id)).first()
    assert "was stopped, so no further one follows" in words(house.get(f"/posts/{post_id}"))


def test_a_skipped_time_is_said_on_the_post_and_in_the_list(house: House, sign_in: Signer) -> None:
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).time_zone = "Europe/Berlin"
    begun(house, repeat="day", wall_time="2027-03-27T02:30")
    house.clock.at = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
    with house.app.app_context():
        series.advance(house.clock())
    house = as_person(house, sign_in, house.cast.alice)  # months have passed
    said = "02:30 does not exist on 28 Mar 2027 in Europe/Berlin: the clocks are put forward then. It goes out at 03:00"
    assert said in words(house.get("/series"))
    assert said in words(house.get(f"/posts/{house.newest()[0]}"))


# ---------------------------------------------------------------- who may


def test_a_viewer_looks_and_cannot_stop(house: House, sign_in: Signer) -> None:
    found = begun(house)
    vera = as_person(house, sign_in, house.cast.vera)
    page = vera.get("/series")
    assert "Good morning" in words(page) and f"/series/{found}/stop" not in page.text
    assert vera.get(f"/series/{found}/stop").status_code == 403
    assert vera.post(f"/series/{found}/stop").status_code == 403
    assert only(house).state == "running"


def test_a_strangers_series_is_a_404(house: House, sign_in: Signer) -> None:
    found = begun(house)
    charlie = as_person(house, sign_in, house.cast.charlie)
    for path in ("", "/stop", "/resume"):
        assert charlie.client.get(f"/w/{house.cast.cycles.id}/series/{found}{path}").status_code == 404
    token = re.search(r'name="csrf_token" value="([^"]+)"', charlie.client.get(f"/w/{house.cast.cycles.id}/posts").text)
    assert token is not None
    for path in ("/stop", "/resume"):
        assert charlie.client.post(f"/w/{house.cast.cycles.id}/series/{found}{path}",
                                   data={"csrf_token": token[1]}).status_code == 404
    assert only(house).state == "running"
