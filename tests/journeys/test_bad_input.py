"""What no form of ours sends: numbers beyond every column, hints nested without end, books as texts. Never a 500."""

import io
import time
from datetime import timedelta

import pytest

from socialconsole.models import SCHEDULED, Post
from socialconsole.providers.oauth2 import connectable
from socialconsole.web import media as media_pages
from tests.journeys.tenant_house import House

SHEET = b"text,accounts,when,media\nhi,X,2027-01-01 10:00,http://127.0.0.1/x.png\n"


@pytest.mark.parametrize("version", ["9" * 30, "-" + "9" * 30, str(2**63), "0"])
def test_a_version_that_never_was_moves_nothing(house: House, version: str) -> None:
    post_id, _ = house.delivery(SCHEDULED, ahead=timedelta(days=3), due_at=house.clock() + timedelta(days=3))
    wall = f"{house.clock() + timedelta(days=5):%Y-%m-%dT09:00}"
    before = house.row(Post, post_id).due_at
    answer = house.post("/calendar/move", {"post_id": post_id, "wall_time": wall, "version": version})
    assert answer.status_code == 409
    assert house.row(Post, post_id).due_at == before


@pytest.mark.parametrize("weekday", ["01", "12", "123456", "7", "-1"])
def test_a_day_that_no_week_has_is_said_at_the_field(house: House, weekday: str) -> None:
    answer = house.post("/queue/slots", {"weekday": weekday, "wall": "09:00"})
    assert answer.status_code == 422
    assert "Choose at least one day of the week." in answer.text


@pytest.mark.parametrize("hint", ['{"http://127.0.0.1/x.png": "\\ud800"}', "[" * 100_000, '{"a": ["b"]}', "null"])
def test_a_hint_about_fetched_files_that_is_none_is_passed_over(house: House, hint: str) -> None:
    house.account()
    answer = house.post("/posts/import", {"file": (io.BytesIO(SHEET), "posts.csv"), "fetched": hint})
    assert answer.status_code == 422
    assert "private network" in answer.text


@pytest.mark.parametrize("typed", ["{}T0900", "{} 09:00", "{}T09:00:30.5"])
def test_a_time_is_kept_as_forms_show_it_however_it_was_written(house: House, typed: str) -> None:
    account = house.account()
    day = house.clock() + timedelta(days=5)
    shown = f"{day:%Y%m%d}" if typed.endswith("0900") else f"{day:%Y-%m-%d}"
    answer = house.post("/compose", {"text": "Buns", "accounts": account, "when": "later",
                                     "wall_time": typed.format(shown)})
    assert answer.status_code == 303
    assert house.row(Post, house.newest()[0]).wall_time == f"{day:%Y-%m-%d}T09:00"


def test_a_time_with_a_zone_is_refused_rather_than_taken_for_the_workspaces(house: House) -> None:
    account = house.account()
    wall = f"{house.clock() + timedelta(days=5):%Y-%m-%dT09:00}+14:00"
    answer = house.post("/compose", {"text": "Buns", "accounts": account, "when": "later", "wall_time": wall})
    assert answer.status_code == 422
    assert "without a zone" in answer.text


def test_a_form_without_files_is_as_small_as_its_fields(house: House) -> None:
    answer = house.post("/compose/check", {"text": "x" * (media_pages.FIELDS_ROOM + 1)})
    assert answer.status_code == 413


def test_a_book_is_counted_in_a_moment() -> None:
    count, text = connectable("twitter").count, "x" * 1_000_000
    count("x")  # X's rules are loaded
    begun = time.monotonic()
    assert count(text) == len(text)
    assert time.monotonic() - begun < 10  # whole, it would take minutes
