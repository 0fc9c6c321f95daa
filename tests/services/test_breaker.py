"""Breakers: a platform that fails for everybody is left alone, one probe at a time finds out when that is over."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from socialconsole import breaker, configure, deliveries, platform_apps, tokens
from socialconsole.database import writing
from socialconsole.errors import ConfigurationWrong, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, HELD, LIVE, SCHEDULED, Account, AuditEvent, Grant, PlatformApp

from .conftest import SCOPES, pair

AWAY = TryLater("X cannot be reached.", "503")


@pytest.fixture(autouse=True)
def no_runs():
    breaker._runs.clear()
    yield
    breaker._runs.clear()


@pytest.fixture
def many(account, clock):
    """Twelve grants beside the first, due when it is."""
    with writing() as session:
        for number in range(2, 14):
            grant = Grant(id=f"grt_{number}", workspace_id="wsp_1", platform="twitter", app_id="app_x",
                          app_generation=1, fence=0, version=0, person_id=f"p{number}", scopes_granted=sorted(SCOPES),
                          granted_at=clock())
            tokens.store(grant, pair(100 * number), clock())
            session.add(grant)
            session.flush()
            session.add(Account(id=f"acc_{number}", workspace_id="wsp_1", platform="twitter",
                                platform_user_id=f"p{number}", grant=grant, state=ACTIVE, state_since=clock(),
                                connected_at=clock()))
    clock.ahead(minutes=96)
    return [f"grt_{number}" for number in range(1, 14)]


def app() -> PlatformApp:
    db.session.expire_all()
    return db.session.get_one(PlatformApp, "app_x")


def grant(grant_id: str) -> Grant:
    db.session.expire_all()
    return db.session.get_one(Grant, grant_id)


def words() -> list[str]:
    return [action for action in db.session.scalars(
        select(AuditEvent.action).where(AuditEvent.subject_id == "app_x").order_by(AuditEvent.id))]


def open_it(many, platform):
    platform.says("renew", AWAY)
    for one in many[:breaker.ENOUGH]:
        tokens.refresh(one)


def test_a_few_failures_open_nothing(many, platform):
    platform.says("renew", AWAY)
    for one in many[:breaker.ENOUGH - 1]:
        tokens.refresh(one)
    assert app().breaker_opened_at is None and app().trouble == ""


def test_five_different_ones_in_a_row_open_it_and_the_admin_hears_once(many, platform, clock):
    open_it(many, platform)
    assert app().breaker_until == clock() + breaker.FIRST_PAUSE
    assert "X fails for all profiles alike" in app().trouble and "503" in app().trouble
    assert words() == ["platform.breaker_opened"]


def test_while_it_is_open_nobody_is_asked_and_no_try_is_counted(many, platform, clock):
    open_it(many, platform)
    for one in many[breaker.ENOUGH:]:
        tokens.refresh(one)
    assert platform.times("renew") == breaker.ENOUGH
    waiting = grant(many[-1])
    assert (waiting.state, waiting.attempts, waiting.lease_until) == (LIVE, 0, None)
    assert app().breaker_until <= waiting.due_at <= app().breaker_until + breaker.SPREAD


def test_one_that_succeeds_between_keeps_it_closed(many, platform, clock):
    platform.says("renew", AWAY, AWAY, AWAY, pair(2), AWAY)
    for one in many[:7]:
        tokens.refresh(one)
        clock.ahead(seconds=1)
    assert app().breaker_opened_at is None
    tokens.refresh(many[7])
    tokens.refresh(many[8])
    assert app().breaker_opened_at is not None, "five in a row by now"


def test_the_same_one_again_and_again_opens_nothing(many, platform, clock):
    platform.says("renew", AWAY)
    for _ in range(8):
        with writing():
            grant(many[0]).due_at = clock()
        tokens.refresh(many[0])
    assert app().breaker_opened_at is None


def test_failures_of_different_kinds_or_long_ago_open_nothing(many, platform, clock):
    platform.says("renew", AWAY, RateLimited("Wait.", "429"), AWAY, RateLimited("Wait.", "429"), AWAY)
    for one in many[:6]:
        tokens.refresh(one)
    clock.ahead(minutes=6)
    tokens.refresh(many[7])
    assert app().breaker_opened_at is None


def test_after_the_pause_one_probe_goes_and_its_success_closes_it(many, platform, clock):
    open_it(many, platform)
    clock.ahead(seconds=61)
    platform.says("renew", pair(50))
    tokens.refresh(many[5])
    assert app().breaker_opened_at is None and app().trouble == ""
    assert words() == ["platform.breaker_opened", "platform.breaker_closed"]
    tokens.refresh(many[6])
    assert platform.times("renew") == breaker.ENOUGH + 2


def test_a_refusal_of_one_grant_tells_that_the_platform_answers(many, platform, clock):
    open_it(many, platform)
    clock.ahead(seconds=61)
    platform.says("renew", NeedsReconnect("No.", "invalid_request"))
    tokens.refresh(many[5])
    assert app().breaker_opened_at is None


def test_a_probe_that_fails_doubles_the_pause_up_to_half_an_hour_and_says_nothing_new(many, platform, clock):
    open_it(many, platform)
    pauses = []
    for number in range(7):
        clock.at = app().breaker_until + timedelta(seconds=1)
        one = many[number % len(many)]
        with writing():
            grant(one).due_at = clock()
        tokens.refresh(one)
        pauses.append((app().breaker_until - clock()) // timedelta(minutes=1))
    assert pauses == [2, 4, 8, 16, 30, 30, 30]
    assert words() == ["platform.breaker_opened"]
    assert platform.times("renew") == breaker.ENOUGH + 7


def test_of_many_that_come_at_once_exactly_one_is_the_probe(many, platform, clock, ground):
    open_it(many, platform)
    clock.ahead(seconds=61)
    gate, taken = threading.Barrier(8), []

    def run() -> None:
        with ground.app_context():
            gate.wait()
            taken.append(breaker.take_probe("app_x", clock(), renewing=True))
            db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_a_probe_whose_worker_died_is_followed_by_another(many, platform, clock):
    open_it(many, platform)
    clock.ahead(seconds=61)
    assert breaker.take_probe("app_x", clock(), renewing=True)
    assert not breaker.take_probe("app_x", clock.ahead(seconds=30), renewing=True)
    assert breaker.take_probe("app_x", clock.ahead(seconds=31), renewing=True)


def test_a_refused_app_opens_it_at_once_and_no_tenant_is_asked_to_reconnect(many, platform, clock):
    platform.says("renew", ConfigurationWrong("X refuses the client secret.", "unauthorized_client"))
    for one in many:
        tokens.refresh(one)
    assert platform.times("renew") == 1
    assert (app().trouble, app().trouble_code) == ("X refuses the client secret.", "unauthorized_client")
    assert app().breaker_until == clock() + breaker.PAUSE_IF_REFUSED
    assert words() == ["platform.breaker_opened"]
    assert set(db.session.scalars(select(Account.state))) == {ACTIVE}


def test_another_secret_closes_it_and_the_one_that_failed_is_due_at_once(many, platform, clock):
    platform.says("renew", ConfigurationWrong("X refuses the client secret.", "unauthorized_client"), pair(2))
    tokens.refresh(many[0])
    with writing():
        configure._repaired(app(), clock())
    assert app().breaker_opened_at is None
    tokens.refresh(many[0])
    assert platform.times("renew") == 2 and grant(many[0]).attempts == 0


def test_what_only_renewals_met_does_not_stop_publishing(many, platform, clock):
    open_it(many, platform)
    assert breaker.blocked(app(), clock()) is None
    assert breaker.blocked(app(), clock(), renewing=True) == app().breaker_until
    clock.ahead(seconds=61)
    assert not breaker.take_probe("app_x", clock())
    assert not breaker.worked("app_x", clock()), "a post that goes out says nothing about the token endpoint"
    assert app().breaker_opened_at is not None


def test_publishing_that_fails_for_five_profiles_in_a_row_stops_all(many, platform, clock):
    for number in range(5):
        assert breaker.blocked(app(), clock()) is None
        breaker.failed("app_x", "503", clock(), whom=f"acc_{number}")
    assert breaker.blocked(app(), clock()) == clock() + breaker.FIRST_PAUSE
    assert breaker.blocked(app(), clock(), renewing=True) is not None
    clock.ahead(minutes=2)
    assert breaker.take_probe("app_x", clock())
    assert breaker.worked("app_x", clock())
    assert breaker.blocked(app(), clock()) is None


def test_publishing_that_fails_for_one_profile_or_works_between_stops_nothing(account, clock):
    for _ in range(9):
        breaker.failed("app_x", "503", clock(), whom="acc_1")
    for number in range(4):
        breaker.failed("app_x", "503", clock(), whom=f"acc_{number}")
        breaker.worked("app_x", clock())
    assert app().breaker_opened_at is None


def test_publishing_that_fails_too_widens_what_renewals_opened(many, platform, clock):
    open_it(many, platform)
    for number in range(5):
        breaker.failed("app_x", "503", clock(), whom=f"acc_{number}")
    assert breaker.blocked(app(), clock()) is not None
    assert words() == ["platform.breaker_opened"]


def test_closing_releases_what_was_held_for_the_app(many, platform, clock, post):
    delivery = post(minutes=5)
    platform.says("renew", ConfigurationWrong("X refuses the client secret.", "unauthorized_client"), pair(2))
    tokens.refresh(many[0])
    with writing():
        deliveries.hold_app(app(), "Waits for the admin.", clock())
    assert db.session.get_one(type(delivery), delivery.id).state == HELD
    clock.ahead(minutes=16)
    tokens.refresh(many[1])
    db.session.expire_all()
    assert db.session.get_one(type(delivery), delivery.id).state == SCHEDULED


def test_a_clock_put_back_does_not_keep_it_open_for_hours(many, platform, clock):
    open_it(many, platform)
    clock.ahead(hours=-1)
    assert breaker.take_probe("app_x", clock(), renewing=True)


def test_an_open_breaker_is_not_closed_by_the_sign_of_trouble_being_taken_off(many, platform, clock):
    open_it(many, platform)
    platform_apps.clear_flag("app_x")
    assert app().breaker_opened_at is not None and app().trouble


def test_no_answer_counts_as_a_failure_of_the_platform(many, platform, clock):
    platform.says("renew", OutcomeUnknown("X gave no answer.", "no_answer"))
    for one in many:
        tokens.refresh(one)
    assert platform.times("renew") == breaker.ENOUGH
