"""The calendar, the queue and the private feed as a browser gets them, by plain forms; and what is at risk."""

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from socialconsole import calendars, slots
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    HELD,
    PAUSED,
    PREPARING,
    SCHEDULED,
    SUBMITTED,
    TOKEN_EXPIRED,
    Account,
    CalendarFeed,
    Delivery,
    Membership,
    Post,
    Series,
    Slot,
    User,
    Workspace,
    new_id,
)
from tests.journeys.tenant_house import HTMX, House, Signer, as_person, words

DAY = timedelta(days=1)


def put(house: House, kind: type[Any], row_id: str, **columns: Any) -> None:
    """Change columns of a row."""
    with house.app.app_context(), writing() as session:
        row = session.get_one(kind, row_id)
        for name, value in columns.items():
            setattr(row, name, value)


def draft(house: House, state: str = DRAFT, text: str = "An idea", ahead: timedelta = DAY, **columns: Any) -> str:
    """A post that is not sent to anybody yet."""
    with house.app.app_context(), writing() as session:
        made = Post(workspace_id=house.cast.bakery.id, author_id=house.cast.alice.id, author_name="Alice", text=text,
                    state=state, due_at=house.clock() + ahead, form_nonce=new_id("n"), created_at=house.clock(),
                    **columns)
        session.add(made)
        session.flush()
        return str(made.id)


def cell(page: Any, day: str) -> str:
    """The words of one day of the month or week."""
    found = re.search(rf'<li class="day[^"]*" id="[^"]+" data-day="{day}">(.*?)\n      </li>', page.text, re.DOTALL)
    assert found is not None, f"no {day} on the page"
    return words(found[1])


# ---------------------------------------------------------------- reading


def test_a_month_has_whole_weeks_from_monday_and_shows_each_post_on_its_day(house: House) -> None:
    account = house.account()
    house.delivery(SCHEDULED, account, text="Buns", ahead=2 * DAY)
    house.delivery(HELD, account, text="Late night", ahead=timedelta(hours=13, minutes=59))
    house.delivery(SCHEDULED, account, text="After midnight", ahead=timedelta(hours=14))
    draft(house)
    draft(house, SUBMITTED, "Please look")
    page = house.get("/calendar")
    days = re.findall(r'<li class="day[^"]*" id="[^"]+" data-day="([^"]+)"', page.text)
    assert (days[0], days[-1], len(days)) == ("2026-10-26", "2026-12-06", 42)
    assert "Calendar" in words(page) and "November 2026" in words(page) and "Europe/Stockholm" in words(page)
    assert cell(page, "2026-11-23").startswith("Monday 23 Nov")
    assert "Scheduled, 10:00 X X Buns" in cell(page, "2026-11-23")
    assert "23:59" in cell(page, "2026-11-21") and "Held" in cell(page, "2026-11-21")
    for said in ("00:00 X X After midnight", "Draft, 10:00 An idea", "Waiting for approval, 10:00 Please look"):
        assert said in cell(page, "2026-11-22")
    assert "today" in cell(page, "2026-11-21") and 'aria-current="date"' in page.text


def test_week_list_and_the_ways_between_them(house: House) -> None:
    house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    week = house.get("/calendar?view=week&at=2026-11-25")
    assert re.findall(r'data-day="([^"]+)"', week.text) == [f"2026-11-{day}" for day in range(23, 30)]
    assert "23 – 29 Nov 2026" in words(week) and "Buns" in cell(week, "2026-11-23")
    assert "at=2026-11-18" in week.text and "at=2026-12-02" in week.text
    listed = house.get("/calendar?view=list&at=2026-11-21")
    assert "Monday 23 Nov" in words(listed) and "10:00 Buns" in words(listed) and "Acme Bakery" in words(listed)
    empty = house.get("/calendar?view=list&at=2027-03-01")
    assert "Nothing is planned in these seven days." in words(empty)
    december = house.get("/calendar?at=2026-12-05")
    assert "at=2026-11-01" in december.text and "at=2027-01-01" in december.text


@pytest.mark.parametrize("query", ["at=tomorrow", "at=9999-12-31", "at=0001-01-01", "at="])
def test_a_day_that_the_calendar_does_not_have_is_today(house: House, query: str) -> None:
    page = house.get(f"/calendar?{query}")
    assert page.status_code == 200 and "November 2026" in words(page)


@pytest.mark.parametrize("query", ["view=year", "state=lost", "platform=carrier-pigeon"])
def test_what_there_is_not_is_a_404(house: House, query: str) -> None:
    assert house.get(f"/calendar?{query}").status_code == 404


def test_the_ends_of_the_calendar_have_no_link_beyond(house: House) -> None:
    for at, link in (("2000-01-01", "before"), ("2099-12-31", "following")):
        for view in ("month", "week", "list"):
            page = house.get(f"/calendar?view={view}&at={at}")
            assert page.status_code == 200 and f'id="{link}"' not in page.text


def test_a_day_of_the_clock_change_is_marked_and_keeps_its_posts(house: House) -> None:
    house.delivery(SCHEDULED, text="Late", ahead=datetime(2027, 3, 28, 21, 59, tzinfo=UTC) - house.clock())
    page = house.get("/calendar?at=2027-03-01")
    assert "put forward on this day: it has 23 hours" in cell(page, "2027-03-28")
    assert "23:59 X X Late" in cell(page, "2027-03-28")
    assert "put back on this day: it has 25 hours" in cell(house.get("/calendar?at=2026-10-01"), "2026-10-25")


def test_more_than_fits_is_counted_and_leads_to_the_list_of_that_day(house: House) -> None:
    account = house.account()
    for number in range(7):
        house.delivery(SCHEDULED, account, text=f"Post {number}", ahead=2 * DAY + timedelta(minutes=number))
    page = house.get("/calendar")
    assert "Post 2" in cell(page, "2026-11-23") and "Post 3" not in cell(page, "2026-11-23")
    assert "+4 more on Monday 23 Nov" in cell(page, "2026-11-23")
    link = re.search(r'id="more-2026-11-23" href="([^"]+)"', page.text)
    assert link is not None
    day = house.client.get(link[1].replace("&amp;", "&"))
    assert all(f"Post {number}" in words(day) for number in range(7))


def test_what_is_beyond_counting_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "COUNTED", 5)
    account = house.account()
    for number in range(7):
        house.delivery(SCHEDULED, account, text=f"Post {number}", ahead=2 * DAY + timedelta(minutes=number))
    assert "+2 or more on Monday 23 Nov" in cell(house.get("/calendar"), "2026-11-23")


def test_a_long_list_is_read_in_pages_without_gap_or_double(house: House) -> None:
    account = house.account()
    for number in range(53):  # several at the same minute
        house.delivery(SCHEDULED, account, text=f"Number {number:02d}.", ahead=DAY + timedelta(minutes=number // 3))
    first = house.get("/calendar?view=list&at=2026-11-21")
    older = re.search(r'href="([^"]*after=[^"]+)"', first.text)
    assert older is not None
    second = house.client.get(older[1].replace("&amp;", "&"))
    seen = [re.findall(r"Number (\d\d)\.(?!<)", words(page)) for page in (first, second)]
    assert [len(set(one)) for one in seen] == [50, 3] and not set(seen[0]) & set(seen[1])
    assert house.get("/calendar?view=list&at=2026-11-21&after=pst_nobody").status_code == 200


def test_filters_choose_by_profile_platform_state_and_author_and_stay_in_the_links(house: House) -> None:
    x, page_of = house.account(), house.account("facebook", "Acme Page", "acmepage")
    house.delivery(SCHEDULED, x, text="On X", ahead=DAY)
    house.delivery(HELD, page_of, text="On the page", ahead=DAY)
    draft(house, text="Idea for X", targets=[{"account_id": x, "format": "text", "options": {}}])
    house.delivery(CANCELLED, x, text="Given up", ahead=DAY)
    every = words(house.get("/calendar"))
    assert "On X" in every and "On the page" in every and "Idea for X" in every and "Given up" not in every

    def shown(query: str) -> list[str]:
        page = words(house.get(f"/calendar?{query}"))
        return [text for text in ("On X", "On the page", "Idea for X", "Given up") if text in page]

    assert shown(f"account={x}") == ["On X", "Idea for X"]
    assert shown("account=%25") == []  # no pattern, only an id that nobody has
    assert shown("platform=facebook") == ["On the page"]
    assert shown("platform=twitter") == ["On X", "Idea for X"]
    assert shown("state=needs") == ["On the page"]
    assert shown("state=draft") == ["Idea for X"]
    assert shown("state=cancelled") == ["Given up"]
    assert shown(f"state=scheduled&account={page_of}") == []
    assert shown(f"author={house.cast.alice.id}") == ["On X", "On the page", "Idea for X"]
    assert shown("author=usr_nobody") == []
    links = re.findall(r'href="(/w/[^"]*calendar\?[^"]+)"', house.get("/calendar?state=needs").text)
    assert sum("state=needs" in link for link in links) >= 5


def test_repeating_posts_show_their_times_ahead(house: House) -> None:
    account = house.account()
    with house.app.app_context(), writing() as session:
        session.add(Series(id="ser_1", workspace_id=house.cast.bakery.id, text="Every morning", every="week",
                           first_wall="2026-11-23T06:00", time_zone="Europe/Stockholm", state="running",
                           next_at=datetime(2026, 11, 23, 5, tzinfo=UTC), created_at=house.clock(),
                           targets=[{"account_id": account, "format": "text", "options": {}}]))
    house.delivery(SCHEDULED, account, text="Every morning", ahead=timedelta(hours=44))
    with house.app.app_context(), writing() as session:
        session.query(Post).one().series_id = "ser_1"
    page = house.get("/calendar")
    assert "repeats, not written yet, 06:00 X X Every morning" in cell(page, "2026-11-30")
    assert "not written yet" not in cell(page, "2026-11-23") and "Every morning" in cell(page, "2026-11-23")
    assert "data-drag" not in page.text  # a repeating post follows its rule
    assert "Every morning" not in words(house.get("/calendar?state=draft"))


def test_the_calendar_takes_the_same_number_of_queries_with_many_posts(house: House) -> None:
    asked: list[str] = []
    with house.app.app_context():
        engine = db.engine
    account = house.account()
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def queries(view: str) -> int:
        house.get(f"/calendar?view={view}")
        asked.clear()
        assert house.get(f"/calendar?view={view}").status_code == 200
        return len(asked)

    for number in range(4):
        house.delivery(SCHEDULED, account, text=f"Post {number}", ahead=DAY * number + timedelta(minutes=1))
    few = {view: queries(view) for view in ("month", "week", "list")}
    for number in range(120):
        house.delivery(SCHEDULED, account, text=f"Post {number}", ahead=DAY * (number % 6) + timedelta(minutes=number))
    many = {view: queries(view) for view in ("month", "week", "list")}
    assert all(many[view] <= few[view] + 1 for view in few)  # one more: the count of days that hold more than is shown


# ---------------------------------------------------------------- moving


def version(house: House, post_id: str) -> int:
    return int(house.row(Post, post_id).version)


def test_moving_by_the_dialog_leads_back_with_a_way_to_undo_it(house: House) -> None:
    post_id, delivery_id = house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    page = house.get("/calendar?view=week&at=2026-11-23")
    asked = re.search(r'id="move-[^"]+" href="([^"]+)"', page.text)
    assert asked is not None
    dialog = house.client.get(asked[1].replace("&amp;", "&"))
    assert 'value="2026-11-23T10:00"' in dialog.text and "It moves on all its profiles." in words(dialog)
    answer = house.post("/calendar/move", {"asked": "yes", "post_id": post_id, "wall_time": "2026-11-26T11:30",
                                           "version": "1", "view": "week", "at": "2026-11-23"})
    assert answer.status_code == 303 and "view=week" in answer.location and "at=2026-11-23" in answer.location
    after = house.client.get(answer.location)
    assert "Moved to Thu 26 Nov 2026, 11:30 CET (10:30 UTC)." in words(after)
    assert "11:30 X X Buns" in cell(after, "2026-11-26") and 'name="wall_time" value="2026-11-23T10:00"' in after.text
    assert house.row(Delivery, delivery_id).scheduled_for == datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
    back = house.post("/calendar/move", {"undo": "yes", "post_id": post_id, "wall_time": "2026-11-23T10:00",
                                         "version": "2", "view": "week", "at": "2026-11-23"})
    last = house.client.get(back.location)
    assert "Moved back to Mon 23 Nov 2026, 10:00" in words(last) and 'id="undo"' not in last.text
    assert "Moved to" not in words(house.client.get(answer.location))  # an old address says nothing any more


def test_with_script_the_block_comes_back_with_the_undo(house: House) -> None:
    post_id, _ = house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    answer = house.post("/calendar/move", {"post_id": post_id, "wall_time": "2026-11-26T11:30", "version": "1"},
                        headers=HTMX)
    assert answer.status_code == 200 and answer.text.strip().startswith('<section id="calendar"')
    assert 'id="undo"' in answer.text and "<html" not in answer.text


def test_a_time_that_cannot_be_keeps_the_dialog_and_what_was_typed(house: House) -> None:
    post_id, _ = house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    for wall, said in (("2026-11-21T09:00", "passed already"), ("2027-03-28T02:30", "does not exist"),
                       ("soon", "Give a date"), ("", "Give a date")):
        page = house.post("/calendar/move", {"asked": "yes", "post_id": post_id, "wall_time": wall, "version": "1"})
        assert page.status_code == 422 and said in words(page)
        assert f'name="wall_time" value="{wall}"' in page.text and 'aria-invalid="true"' in page.text
    dropped = house.post("/calendar/move", {"post_id": post_id, "wall_time": "2026-11-20T10:00", "version": "1"},
                         headers=HTMX)
    assert dropped.status_code == 422 and "Not moved. This time has passed already" in words(dropped)
    assert version(house, post_id) == 1


def test_what_began_or_changed_meanwhile_is_a_409_with_the_present_state(house: House) -> None:
    post_id, delivery_id = house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    late = house.post("/calendar/move", {"post_id": post_id, "wall_time": "2026-11-26T11:30", "version": "7"})
    assert late.status_code == 409 and "changed meanwhile" in words(late)
    put(house, Delivery, delivery_id, state=PREPARING)
    begun = house.post("/calendar/move", {"post_id": post_id, "wall_time": "2026-11-26T11:30", "version": "1"})
    assert begun.status_code == 409 and "preparing on at least one profile" in words(begun)
    assert "Preparing, 10:00" in cell(begun, "2026-11-23")
    assert house.get(f"/calendar/{post_id}/move").status_code == 409


def test_an_undo_into_the_past_is_not_offered(house: House) -> None:
    post_id = draft(house, ahead=-DAY)
    answer = house.post("/calendar/move", {"post_id": post_id, "wall_time": "2026-11-26T11:30", "version": "1"},
                        headers=HTMX)
    assert "Moved to" in words(answer) and 'id="undo"' not in answer.text


def test_a_viewer_sees_and_does_not_move_and_a_stranger_gets_404(house: House, sign_in: Signer) -> None:
    post_id, _ = house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    vera, charlie = (as_person(house, sign_in, person) for person in (house.cast.vera, house.cast.charlie))
    page = vera.get("/calendar")
    assert "Buns" in words(page) and 'id="mover"' not in page.text and "Move" not in words(page)
    assert vera.get(f"/calendar/{post_id}/move").status_code == 403
    assert vera.post("/queue/pause").status_code == 403 and vera.get("/queue").status_code == 200
    for path in ("/calendar", "/calendar/export.ics", "/calendar/feed", "/queue", f"/calendar/{post_id}/move"):
        assert charlie.get(path).status_code == 404


def test_a_post_of_another_workspace_is_a_404(house: House) -> None:
    post_id, _ = house.delivery(SCHEDULED, workspace=house.cast.cycles.id, account_id=house.account(
        workspace=house.cast.cycles.id), ahead=DAY)
    assert house.get(f"/calendar/{post_id}/move").status_code == 404
    form = {"post_id": post_id, "wall_time": "2026-11-26T11:30", "slot": "2026-11-26T11:30"}
    assert house.post("/calendar/move", form).status_code == 404
    assert house.post("/queue/place", form).status_code == 404
    assert "Saffron" not in words(house.get("/calendar"))


# ---------------------------------------------------------------- the queue


def queued(house: House, number: int) -> list[str]:
    """Posts that take the next slots, one after the other."""
    account, ids = house.account(), []
    for at in range(number):
        post_id, delivery_id = house.delivery(SCHEDULED, account, text=f"Queued {at}")
        with house.app.app_context(), writing() as session:
            workspace = session.get_one(Workspace, house.cast.bakery.id)
            found = slots.take(workspace, house.clock())
            assert found is not None
            post, delivery = session.get_one(Post, post_id), session.get_one(Delivery, delivery_id)
            post.due_at = delivery.due_at = delivery.scheduled_for = found.instant
            post.is_queued, post.wall_time = True, found.wall
        ids.append(post_id)
    return ids


def test_slots_are_added_shown_and_removed(house: House) -> None:
    assert "The queue has no slots yet." in words(house.get("/queue"))
    assert house.post("/queue/slots", {"weekday": ["0", "3"], "wall": "08:30"}).status_code == 303
    page = house.get("/queue")
    assert "2 slots added." in words(page) and "Monday 23 Nov 2026 08:30 Free" in words(page)
    slot_id = re.search(r'id="remove-(slt_[^"]+)"', page.text)
    assert slot_id is not None
    house.post(f"/queue/slots/{slot_id[1]}/remove")
    assert house.count(Slot) == 1 and "Posts that hold it keep their time." in words(house.get("/queue"))
    assert "removed already" in house.post(f"/queue/slots/{slot_id[1]}/remove", headers=HTMX).text


def test_a_slot_without_day_or_with_a_strange_time_is_said_at_the_field(house: House) -> None:
    page = house.post("/queue/slots", {"weekday": "1", "wall": "half past"})
    assert page.status_code == 422 and "Give a time of the day" in words(page)
    assert 'value="1" checked' in page.text and 'value="half past"' in page.text
    assert "Choose at least one day" in words(house.post("/queue/slots", {"wall": "08:30"}))


def test_earlier_and_later_change_places_and_end_at_the_ends(house: House) -> None:
    house.post("/queue/slots", {"weekday": list("01234"), "wall": "08:30"})
    first, second = queued(house, 2)
    page = house.get("/queue")
    assert re.search(r"Monday 23 Nov 2026 08:30 Queued 0 .*Tuesday 24 Nov 2026 08:30 Queued 1 ", words(page))
    form = re.search(rf'name="post_id" value="{second}"><input[^>]*><input type="hidden" name="slot" value="([^"]+)"',
                     page.text)
    assert form is not None and form[1] == "2026-11-23T08:30"
    house.post("/queue/place", {"post_id": second, "slot": form[1], "version": "1"})
    page = house.get("/queue")
    assert re.search(r"23 Nov 2026 08:30 Queued 1 .*24 Nov 2026 08:30 Queued 0 ", words(page))
    assert re.search(rf'id="earlier-{second}" type="submit" disabled', page.text)
    late = house.post("/queue/place", {"post_id": second, "slot": "2026-11-24T08:30", "version": "1"})
    assert late.status_code == 409 and "changed meanwhile" in words(late)
    assert house.post("/queue/place", {"post_id": first, "slot": "2026-11-24T09:30"}).status_code == 409
    assert house.post("/queue/place", {"post_id": first, "slot": "then"}).status_code == 422


def test_a_paused_queue_says_so_and_keeps_what_is_in_it(house: House) -> None:
    house.post("/queue/slots", {"weekday": "0", "wall": "08:30"})
    queued(house, 1)
    house.post("/queue/pause")
    page = words(house.get("/queue"))
    assert "The queue is paused since" in page and "Posts that hold one keep their times and go out." in page
    assert "Queued 0" in page
    house.post("/queue/resume")
    assert "paused since" not in words(house.get("/queue"))


def test_the_clocks_tell_a_time_in_every_zone_that_matters(house: House) -> None:
    def said(wall: str) -> str:
        return words(house.get(f"/queue/clocks?wall_time={wall}", headers=HTMX))

    assert "Europe/Stockholm" in said("2026-11-23T08:30")
    assert "UTC Mon 23 Nov 2026, 07:30 UTC" in said("2026-11-23T08:30")
    assert "You" not in said("2026-11-23T08:30")
    put(house, User, house.cast.alice.id, time_zone="Asia/Tokyo")
    assert "You in Asia/Tokyo Mon 23 Nov 2026, 16:30 JST" in said("2026-11-23T08:30")
    assert "does not exist" in said("2027-03-28T02:30") and "happens twice" in said("2027-10-31T02:30")
    assert "Give a date" in said("soon") and said("") == ""


# ---------------------------------------------------------------- at risk


def test_posts_at_risk_are_named_with_one_button_and_marked(house: House) -> None:
    account = house.account(state=TOKEN_EXPIRED)
    house.delivery(HELD, account, text="Buns", ahead=2 * DAY)
    page = house.get("/calendar")
    assert "X (Acme Bakery) must be reconnected before Monday 10:00: 1 post." in words(page)
    assert "Reconnect Acme Bakery" in words(page) and page.text.count('class="banner"') == 1
    assert "At risk: X (Acme Bakery) must be reconnected before it can go out." in cell(page, "2026-11-23")
    for path in ("/posts", "/profiles"):
        assert "must be reconnected before Monday 10:00: 1 post." in words(house.get(path)), path


def test_of_several_risks_the_most_urgent_has_the_banner(house: House) -> None:
    one, two = house.account(state=PAUSED, name="One"), house.account(name="Two", user="two", state=TOKEN_EXPIRED)
    house.delivery(HELD, one, ahead=3 * DAY)
    house.delivery(HELD, two, ahead=2 * DAY)
    page = words(house.get("/calendar"))
    assert "X (Two) must be reconnected before Monday 10:00" in page and "1 more profile puts posts at risk." in page
    put(house, Account, two, state="active")
    assert "X (One) is paused and must be resumed before Tuesday 10:00: 1 post." in words(house.get("/calendar"))


# ---------------------------------------------------------------- iCalendar


def lines_of(text: str) -> list[str]:
    """The content lines of a calendar, unfolded; every rule of form that RFC 5545 has for lines is checked."""
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "") and "\r" not in text.replace("\r\n", "")
    raw = text.split("\r\n")[:-1]
    assert all(0 < len(one.encode()) <= 75 for one in raw)
    found: list[str] = []
    for one in raw:
        if one.startswith(" "):
            found[-1] += one[1:]
        else:
            found.append(one)
    assert all(re.match(r"[A-Z-]+(;[A-Z-]+=[^:;,\"]+)*:", one) for one in found)
    assert found[0] == "BEGIN:VCALENDAR" and found[-1] == "END:VCALENDAR"
    return found


def events_of(text: str) -> list[dict[str, str]]:
    """The events of a calendar, their text unescaped; each has what it must have, once."""
    events: list[dict[str, str]] = []
    inside = False
    for line in lines_of(text):
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            assert not inside
            inside = True
            events.append({})
        elif line == "END:VEVENT":
            inside = False
        elif inside:
            assert name not in events[-1]
            events[-1][name] = re.sub(r"\\(.)", lambda sign: "\n" if sign[1] in "nN" else sign[1], value)
    for one in events:
        assert {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "STATUS"} <= set(one)
        assert all(re.fullmatch(r"\d{8}T\d{6}Z", one[name]) for name in ("DTSTAMP", "DTSTART"))
        assert one["STATUS"] in ("CONFIRMED", "TENTATIVE", "CANCELLED")
    assert len({one["UID"] for one in events}) == len(events)
    return events


NASTY = "Buns; buns, and \\ more\r\nBEGIN:VEVENT\nnext line \u2028 " + "🥐" * 60 + "\x07"


def test_the_download_holds_what_the_view_shows_as_rfc_5545_wants_it(house: House) -> None:
    account = house.account()
    post_id, _ = house.delivery(SCHEDULED, account, text=NASTY, ahead=2 * DAY)
    house.delivery(SCHEDULED, account, text="Next year", ahead=60 * DAY)
    draft(house)
    answer = house.get("/calendar/export.ics?view=month&at=2026-11-21")
    assert answer.mimetype == "text/calendar" and "posts-2026-10-26.ics" in answer.headers["Content-Disposition"]
    found = events_of(answer.text)
    assert [one["DTSTART"] for one in found] == ["20261122T090000Z", "20261123T090000Z"]
    assert [one["STATUS"] for one in found] == ["TENTATIVE", "CONFIRMED"]
    buns = found[1]
    assert buns["UID"] == f"{post_id}@127.0.0.1:8000" and buns["URL"].endswith(f"/posts/{post_id}")
    assert buns["DESCRIPTION"].startswith(NASTY.replace("\r\n", "\n").replace("\x07", ""))
    assert "X: Acme Bakery" in buns["DESCRIPTION"] and buns["SUMMARY"].endswith("(X)")
    assert len(events_of(house.get("/calendar/export.ics?state=draft").text)) == 1


def fresh_address(house: House) -> str:
    """Make a private address and read it where it is shown."""
    assert house.post("/calendar/feed").status_code == 303
    found = re.search(r"http://127.0.0.1:8000(/feeds/[^<\s]+\.ics)", house.get("/calendar/feed").text)
    assert found is not None
    return found[1]


def test_the_private_address_is_shown_once_and_read_without_a_cookie(house: House) -> None:
    house.delivery(SCHEDULED, text="Buns", ahead=2 * DAY)
    address = fresh_address(house)
    assert "/feeds/" not in house.get("/calendar/feed").text  # only this once
    stranger = house.app.test_client()
    answer = stranger.get(address)
    assert answer.status_code == 200 and [one["SUMMARY"] for one in events_of(answer.text)] == ["Buns (X)"]
    assert "Set-Cookie" not in answer.headers and "no-cache" in answer.headers["Cache-Control"]
    token = address.removeprefix("/feeds/").removesuffix(".ics")
    with house.app.app_context():
        kept = db.session.query(CalendarFeed).one()
        assert token not in (kept.token_hash, kept.id) and kept.read_at == house.clock()
    same = stranger.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304 and not same.data
    house.clock.advance(hours=2)
    assert stranger.get(address, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    house.delivery(SCHEDULED, text="More buns", ahead=3 * DAY)
    assert stranger.get(address, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 200


def test_a_private_address_ends_when_renewed_ended_or_its_person_leaves(house: House, sign_in: Signer) -> None:
    stranger = house.app.test_client()
    first = fresh_address(house)
    second = fresh_address(house)
    assert stranger.get(first).status_code == 404 and stranger.get(second).status_code == 200
    house.post("/calendar/feed/end")
    assert stranger.get(second).status_code == 404 and house.count(CalendarFeed) == 0
    vera = as_person(house, sign_in, house.cast.vera)
    third = fresh_address(vera)
    assert stranger.get(third).status_code == 200
    with house.app.app_context(), writing() as session:
        session.delete(session.get_one(Membership, (house.cast.bakery.id, house.cast.vera.id)))
    assert stranger.get(third).status_code == 404
    for path in ("/feeds/nonsense.ics", f"/feeds/{'x' * 5000}.ics", "/feeds/.ics"):
        assert stranger.get(path).status_code == 404


def test_a_feed_reaches_back_thirty_days_and_leaves_out_what_is_older(house: House) -> None:
    account = house.account()
    house.delivery(SCHEDULED, account, text="Old", ahead=-31 * DAY)
    house.delivery(SCHEDULED, account, text="Recent", ahead=-29 * DAY)
    house.delivery(SCHEDULED, account, text="Far ahead", ahead=700 * DAY)
    house.delivery(SCHEDULED, account, text="Next door", workspace=house.cast.cycles.id, ahead=DAY)
    text = house.app.test_client().get(fresh_address(house)).text
    assert [one["SUMMARY"] for one in events_of(text)] == ["Recent (X)", "Far ahead (X)"]


def test_the_token_of_a_feed_never_reaches_a_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    address = fresh_address(house)
    token = address.removeprefix("/feeds/").removesuffix(".ics")
    with caplog.at_level(logging.DEBUG):
        house.app.test_client().get(address)
        house.app.test_client().get(f"{address}x")
    ours = [one for one in caplog.records if one.name.startswith("socialconsole")]
    said = "\n".join(f"{one.getMessage()} {vars(one)}" for one in ours)
    assert "/feeds/<token>.ics" in said and token not in said
