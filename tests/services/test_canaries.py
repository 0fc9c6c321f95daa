"""A canary is read every quarter of an hour and renewed daily, and somebody is told where it fails."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from socialconsole import alerts, canaries, incidents, profile_sync, tokens
from socialconsole.canaries import NotOffered
from socialconsole.database import writing
from socialconsole.errors import NeedsReconnect, TryLater
from socialconsole.extensions import db
from socialconsole.models import DISCONNECTED, PAUSED, Account, AuditEvent, Grant, Incident, Membership, PlatformApp
from tests.services.conftest import PROFILE

X = "twitter"
AWAY = TryLater("X answers nobody at present.", code="503")


@pytest.fixture
def chosen(world, account, clock):
    """@acme is the canary of X, with a token that lasts for months."""
    with writing():
        account.grant.access_expires_at = clock() + timedelta(days=60)
        account.grant.due_at = clock() + timedelta(days=40)
    canaries.choose(world.alice, X, account.id, clock())
    return account


def fresh():
    db.session.expire_all()
    return db.session.get_one(Account, "acc_1")


def turn(clock):
    """What the ticker and a worker do for a canary whose turn it is; returns how many were made due."""
    rung = canaries.ring_due(clock())
    profile_sync.sync("acc_1")
    return rung


def line(world, clock):
    """How the canary of X does, on the board."""
    db.session.expire_all()
    return canaries.lines([X], world.alice, clock())[0]


def open_incidents(clock):
    """What a sweep leaves open about canaries."""
    incidents.sweep(clock())
    return db.session.scalars(select(Incident).where(
        Incident.kind == alerts.CANARY_FAILED, Incident.closed_at.is_(None))).all()


def ages(clock, *, hours=0, minutes=0):
    """Let time pass with all turns taken in it."""
    for _ in range((hours * 60 + minutes) // 15):
        clock.ahead(minutes=15)
        turn(clock)


# ---------------------------------------------------------------- choosing


def test_who_is_chosen_is_read_at_once_and_named_in_the_activity(world, account, platform, clock):
    with writing():
        account.sync_due_at = clock() + timedelta(days=1)
    canaries.choose(world.alice, X, account.id, clock())
    assert turn(clock) == 1 and platform.times("profile") == 1
    assert line(world, clock).tone == "ok" and line(world, clock).profile == "Acme Bakery"
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "canary.chosen")).one()
    assert event.workspace_id is None and "Acme" not in event.summary


def test_only_a_profile_of_ones_own_and_of_that_platform_is_taken(world, account, clock):
    assert [one.account_id for one in canaries.offered(world.alice)[X]] == [account.id]
    with pytest.raises(NotOffered):
        canaries.choose(world.alice, "linkedin", account.id, clock())
    with writing() as session:
        session.execute(delete(Membership).where(Membership.user_id == world.alice.id))
    with pytest.raises(NotOffered):
        canaries.choose(world.alice, X, account.id, clock())
    assert canaries.of(X) is None


def test_none_is_chosen_again(world, chosen, clock, platform):
    assert canaries.choose(world.alice, X, "", clock()) is None
    clock.ahead(hours=1)
    assert turn(clock) == 0 and line(world, clock).text == "None is chosen."


# ---------------------------------------------------------------- the timer


def test_it_is_read_every_quarter_of_an_hour_and_by_one_ticker(world, chosen, platform, clock):
    turn(clock)
    assert (canaries.ring_due(clock()), canaries.ring_due(clock())) == (0, 0)
    ages(clock, hours=2)
    assert platform.times("profile") == 9


def test_another_profile_is_still_read_daily(world, account, platform, clock):
    with writing():
        account.sync_due_at = clock()
    profile_sync.sync(account.id)
    ages(clock, hours=2)
    assert platform.times("profile") == 1


def test_it_is_renewed_daily_though_its_token_would_last(world, chosen, platform, clock):
    ages(clock, hours=24)
    assert fresh().grant.due_at > clock()
    ages(clock, hours=2)
    assert fresh().grant.due_at <= clock()
    tokens.refresh("grt_1")
    assert fresh().grant.renewed_at == clock() and platform.times("renew") == 1


def test_a_renewal_that_waits_after_a_failure_is_not_hurried(world, chosen, platform, clock):
    with writing():
        grant = fresh().grant
        grant.granted_at = clock() - timedelta(days=2)
        grant.attempts, grant.due_at = 1, clock() + timedelta(hours=1)
    turn(clock)
    assert fresh().grant.due_at > clock()


def test_an_app_whose_calls_rest_is_not_pressed(world, chosen, platform, clock):
    with writing():
        app = db.session.get_one(PlatformApp, "app_x")
        app.breaker_opened_at, app.breaker_until = clock(), clock() + timedelta(minutes=20)
    ages(clock, minutes=15)
    assert platform.times("profile") == 0
    assert canaries.ring_due(clock()) == 0


def test_a_clock_that_went_back_does_not_silence_it(world, chosen, platform, clock):
    turn(clock)
    clock.ahead(days=-3)
    assert canaries.ring_due(clock()) == 1


# ---------------------------------------------------------------- how it does


def test_one_failure_is_shown_and_two_are_told_once_with_their_end(world, chosen, platform, clock):
    platform.says("profile", AWAY, AWAY, PROFILE)
    turn(clock)
    assert line(world, clock).tone == "warn" and AWAY.message in line(world, clock).text
    assert not open_incidents(clock)
    ages(clock, minutes=15)
    assert line(world, clock).tone == "bad"
    [told] = open_incidents(clock)
    assert AWAY.message in told.summary and told.workspace_id is None and "Acme" not in told.summary
    ages(clock, minutes=60)  # the app rests for a while after failures
    assert line(world, clock).tone == "ok", line(world, clock)
    for _ in range(3):
        clock.ahead(minutes=3)
        left = open_incidents(clock)
    assert not left


def test_the_words_of_a_failure_do_not_change_with_the_time(world, chosen, platform, clock):
    platform.says("profile", AWAY, AWAY, AWAY)
    turn(clock)
    ages(clock, minutes=15)
    first = line(world, clock).text
    ages(clock, minutes=15)
    assert line(world, clock).text == first


def test_a_permission_that_ended_is_told_at_once(world, chosen, platform, clock):
    platform.says("profile", NeedsReconnect("X says the permission was taken back.", reason="revoked_by_user"))
    turn(clock)
    assert line(world, clock).tone == "bad" and "Reconnect it" in line(world, clock).step
    assert len(open_incidents(clock)) == 1


@pytest.mark.parametrize("tries", [1, 2])
def test_a_renewal_that_fails_is_told_the_second_time(world, chosen, clock, platform, tries):
    turn(clock)
    with writing():
        grant = fresh().grant
        grant.attempts, grant.last_error = tries, "X did not answer."
    assert line(world, clock).tone == ("warn" if tries == 1 else "bad")
    assert line(world, clock).text == "It could not be renewed: X did not answer."
    assert len(open_incidents(clock)) == tries - 1


def test_nobody_reading_it_is_told(world, chosen, platform, clock):
    turn(clock)
    clock.ahead(minutes=61)
    assert line(world, clock).tone == "bad" and "At work" in line(world, clock).step
    assert len(open_incidents(clock)) == 1


@pytest.mark.parametrize("change", ["disconnected", "gone"])
def test_a_profile_that_is_connected_no_longer_is_told(world, chosen, platform, clock, change):
    with writing() as session:
        if change == "gone":
            session.delete(fresh())
        else:
            fresh().state = DISCONNECTED
    assert line(world, clock).step == "Choose another." and len(open_incidents(clock)) == 1
    assert canaries.ring_due(clock()) == 0


def test_a_paused_profile_is_read_as_well(world, chosen, platform, clock):
    with writing():
        fresh().state = PAUSED
    turn(clock)
    assert platform.times("profile") == 1 and line(world, clock).tone == "ok"


def test_a_platform_that_is_off_is_no_trouble(world, chosen, platform, clock):
    with writing() as session:
        session.get_one(PlatformApp, "app_x").is_on = False
    clock.ahead(hours=3)
    assert line(world, clock).text == "The platform is off." and not open_incidents(clock)


def test_failures_of_other_profiles_leave_it_alone(world, chosen, platform, clock):
    with writing() as session:
        session.add(Grant(id="grt_2", workspace_id="wsp_1", platform=X, app_id="app_x", app_generation=1,
                          person_id="43", granted_at=clock()))
        other = Account(id="acc_2", workspace_id="wsp_1", platform=X, platform_user_id="43", grant_id="grt_2",
                        state_since=clock(), connected_at=clock())
        session.add(other)
    with writing():
        canaries.failed(db.session.get_one(Account, "acc_2"), AWAY, clock())
    assert canaries.of(X).failures == 0
