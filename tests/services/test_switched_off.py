"""A platform that is turned off: posts are held with the admin's word, released in time, missed when it is over."""

from datetime import timedelta

import pytest

from socialconsole import accounts, checks, configure, deliveries, diagnosis, holding, publishing, risks
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import HELD, MISSED, SCHEDULED, Delivery, DeliveryEvent, Grant, Post

NOTE = "Until Monday: X changes its prices <b>&"


def off(clock, note: str | None = NOTE):
    return configure.turn_off("twitter", clock(), by="Ada", note=note)


def many(world, number: int, minutes: float, clock) -> None:
    due = clock() + timedelta(minutes=minutes)
    with writing() as session:
        for count in range(number):
            post = Post(workspace_id="wsp_1", text=f"{minutes} {count}", due_at=due, form_nonce=f"m{minutes}{count}",
                        created_at=clock())
            session.add_all([post, Delivery(workspace_id="wsp_1", post=post, account_id="acc_1", state=SCHEDULED,
                                            scheduled_for=due, due_at=due)])


def states():
    return sorted(db.session.scalars(db.select(Delivery.state)))


def test_posts_are_held_and_say_why_since_when_and_what_the_admin_says(world, account, post, clock):
    delivery = post(minutes=30)
    app = off(clock)
    db.session.refresh(delivery)
    assert (delivery.state, delivery.hold) == (HELD, deliveries.FOR_PLATFORM)
    assert delivery.note == ("X was turned off in this console on 21 Nov 2026, 10:00 CET. The administrator says: "
                             f"“{NOTE}” It goes out when it is turned on again, unless its time has passed by then.")
    assert (app.off_note, app.off_at, app.off_by) == (NOTE, clock(), "Ada")


def test_what_a_worker_meets_afterwards_says_the_same(world, account, post, clock, platform):
    off(clock)
    delivery = post()
    publishing.deliver(delivery.id)
    db.session.refresh(delivery)
    assert delivery.state == HELD and NOTE in delivery.note and platform.times("publish") == 0


def test_on_releases_and_forgets_the_note(world, account, post, clock):
    delivery = post(minutes=30)
    off(clock)
    clock.ahead(minutes=10)
    app = configure.turn_on("twitter", clock())
    db.session.refresh(delivery)
    assert delivery.state == SCHEDULED and (app.off_note, app.off_at, app.off_by) == ("", None, "")


def test_a_window_that_passes_while_it_is_off_ends_in_missed_with_a_new_time_to_give(world, account, post, clock):
    early, late = post("early", minutes=1), post("late", minutes=200)
    off(clock)
    clock.ahead(minutes=122)
    deliveries.settle(clock())
    for one in (early, late):
        db.session.refresh(one)
    assert (early.state, late.state) == (MISSED, HELD) and "Reschedule" in early.note


def test_what_is_held_for_another_reason_is_not_missed_by_that(world, account, post, clock):
    delivery = post(minutes=1)
    with writing():
        deliveries.hold_account(account, "Paused.", clock())
    clock.ahead(minutes=200)
    assert deliveries.miss_held(clock()) == 0
    db.session.refresh(delivery)
    assert delivery.state == HELD


def test_many_posts_are_held_told_anew_missed_and_released_in_few_statements(world, account, clock):
    many(world, 250, 5, clock)
    many(world, 250, 600, clock)
    off(clock)
    assert states() == [HELD] * 500
    off(clock, "Something else")
    told = set(db.session.scalars(db.select(Delivery.note)))
    assert told == {deliveries.held_for_platform(world.app, "Europe/Stockholm")} and "Something else" in told.pop()
    clock.ahead(minutes=130)
    assert deliveries.miss_held(clock()) == 250
    configure.turn_on("twitter", clock())
    assert states() == [MISSED] * 250 + [SCHEDULED] * 250
    assert db.session.query(DeliveryEvent).filter_by(state=MISSED).count() == 250


def test_turning_it_off_twice_changes_nothing_and_keeps_the_note(world, account, clock):
    first = off(clock).off_at
    clock.ahead(minutes=5)
    app = configure.turn_off("twitter", clock(), by="Bob")
    assert (app.off_at, app.off_note, app.off_by) == (first, NOTE, "Ada")


@pytest.mark.parametrize(("typed", "kept"), [("a" * 500, "a" * 500), ("  two\n lines\t", "two lines"), ("", ""),
                                             ("a\u202eb", "a b")])
def test_a_note_is_one_line_of_at_most_500_characters(world, account, clock, typed, kept):
    assert off(clock, typed).off_note == kept


def test_a_longer_note_is_refused_and_nothing_is_turned_off(world, account, clock):
    with pytest.raises(configure.Invalid) as refused:
        off(clock, "a" * 501)
    assert "501 characters" in refused.value.errors["note"] and world.app.is_on


def test_the_question_counts_posts_workspaces_and_windows(world, account, clock):
    many(world, 3, 30, clock)
    many(world, 2, 3000, clock)
    with writing() as session:
        world.other.window_minutes = 10
        grant = db.session.get_one(Grant, "grt_1")
        made = account.__class__(id="acc_2", workspace_id="wsp_2", platform="twitter", platform_user_id="43",
                                 grant=grant, display_name="Linden", state="active", state_since=clock(),
                                 connected_at=clock())
        post = Post(workspace_id="wsp_2", text="secret words", due_at=clock(), form_nonce="o", created_at=clock())
        session.add_all([made, post, Delivery(workspace_id="wsp_2", post=post, account=made, state=SCHEDULED,
                                              scheduled_for=clock() + timedelta(minutes=40), due_at=clock())])
    found = holding.what_off_holds(world.app, clock())
    assert (found.posts, found.workspaces) == (6, 2)
    assert dict(found.misses) == {"an hour": 1, "a day": 4, "a week": 6}
    assert [(one.account, one.misses_at - clock()) for one in found.first[:2]] == [
        ("Linden", timedelta(minutes=50)), ("Acme Bakery", timedelta(minutes=150))]
    assert found.sentence == "Held: 6 scheduled posts of 2 workspaces."
    assert "secret words" not in repr(found)


def test_an_app_without_posts_holds_nothing(world, account, clock):
    assert holding.what_off_holds(world.app, clock()) == holding.Hold(0, 0)


def test_picker_diagnosis_and_calendar_speak_of_it(world, account, post, clock):
    delivery = post(minutes=30)
    off(clock)
    assert NOTE in checks.why_not(account)
    step = diagnosis.blocker(diagnosis.why(world.workspace, account))
    assert NOTE in step.text and step.fix == diagnosis.ASK_ADMIN
    lines = accounts.outlines(world.workspace)
    noted = risks.posts_of(risks.at_risk(world.workspace, lines, clock()), "UTC")
    assert NOTE in noted[delivery.post_id] and "21 Nov 2026, 09:00 UTC" in noted[delivery.post_id]
