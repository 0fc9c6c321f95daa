"""The address check as a service: what is called, what is kept, when it is due; on both databases."""

import threading
from datetime import timedelta

import pytest

from socialconsole import address_check, jobs
from socialconsole.address_seen import CANNOT_TELL, DIFFERS, OK, Finding, Place
from socialconsole.database import writing
from socialconsole.models import Installation, PlatformApp
from socialconsole.workers import JOBS

OWN = "https://login.example.org/api/connect/x-of-ours/callback"


@pytest.fixture
def called(monkeypatch):
    """The addresses that were called; all of them are right."""
    found: list[Place] = []

    def call(config, place):
        found.append(place)
        return Finding(OK, "", "It answers."), ""

    monkeypatch.setattr(address_check, "_called", call)
    return found


def test_the_public_address_and_each_callback_of_its_own_are_called_and_nothing_else(world, called):
    with writing():
        world.app.callback_override = OWN
    result = address_check.run()
    assert {place.url for place in called} == {"http://127.0.0.1:8000/api/connect/address-check/callback", OWN}
    assert [row.what for row in result.rows] == ["Public address", "Callback of X"]
    own = next(place for place in called if place.url == OWN)
    assert own.paths == ("/api/connect/x-of-ours/callback", "/api/connect/twitter/callback")


def test_an_override_that_is_no_address_is_left_out(world, called):
    for number, url in enumerate(("javascript:alert(1)", "file:///etc/passwd", "//x", "http://")):
        with writing() as session:
            session.add(PlatformApp(id=f"app_{number}", platform="threads", segment=f"threads-{number}", client_id="c",
                                    callback_override=url, created_at=address_check.outside.now(),
                                    updated_at=address_check.outside.now()))
    address_check.run()
    assert len(called) == 1


def test_the_result_is_kept_and_asked_for_again_after_a_day(world, called, clock):
    assert address_check.last() is None and address_check.is_due(clock())
    assert address_check.recheck() is not None and address_check.recheck() is None
    kept = address_check.last()
    assert kept is not None and (kept.verdict, kept.cause, kept.at) == (OK, "", clock())
    clock.ahead(hours=23)
    assert address_check.ring_due(clock(), lambda kind, ids: pytest.fail("not due")) == 0
    clock.ahead(hours=1)
    rung = []
    assert address_check.ring_due(clock(), lambda kind, ids: rung.append(kind)) == 1
    assert rung[0] in JOBS and callable(getattr(jobs, rung[0]))
    assert address_check.recheck() is not None and len(called) == 2


def test_the_worst_address_speaks_for_all(world, monkeypatch):
    with writing():
        world.app.callback_override = OWN
    monkeypatch.setattr(address_check, "_called", lambda config, place: (
        Finding(DIFFERS, "dns", "No such name.") if place.url == OWN else Finding(CANNOT_TELL, "timeout", "Who knows."),
        ""))
    result = address_check.run()
    assert (result.verdict, result.cause, result.sentence) == (DIFFERS, "dns", "No such name.")
    assert address_check.last() == result


def test_what_hangs_or_breaks_ends_as_cannot_tell(world, monkeypatch, clock):
    free = threading.Event()
    monkeypatch.setattr(address_check, "SECONDS", 0.2)
    monkeypatch.setattr(address_check, "_called", lambda config, place: free.wait(20))
    hung = address_check.run()
    free.set()
    assert (hung.verdict, hung.cause) == (CANNOT_TELL, "timeout")

    def breaks(config, place):
        raise KeyError("a thing")

    monkeypatch.setattr(address_check, "SECONDS", 5.0)
    monkeypatch.setattr(address_check, "_called", breaks)
    assert (address_check.run().verdict, address_check.last().cause) == (CANNOT_TELL, "unreadable")


def test_a_result_of_another_version_or_another_address_counts_as_none(world, called, clock):
    address_check.run()
    stored = address_check.db.session.get(Installation, address_check.NOTE)
    with writing():
        stored.text = stored.text.replace("127.0.0.1:8000", "127.0.0.1:9000")
    assert address_check.last() is None
    for text in ("", "{}", "[]", "not json", '{"public_url": "http://127.0.0.1:8000", "at": "x", "rows": [{}]}'):
        with writing():
            stored.text = text
        assert address_check.last() is None, text
    assert address_check.is_due(clock() - timedelta(days=3))
