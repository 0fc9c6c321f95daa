"""The weekly queue: when slots come up, and that no two posts ever hold one."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from socialconsole import access, slots
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import CANCELLED, SCHEDULED, AuditEvent, Delivery, Post, Slot, Workspace, new_id

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)  # a Saturday


def weekly(*times: tuple[int, str]) -> list[Slot]:
    return [Slot(workspace_id="-", weekday=day, wall=wall) for day, wall in times]


def take_one(workspace: Workspace, number: int = 0) -> Post | None:
    """What a post does that goes into the queue."""
    with writing() as session:
        found = slots.take(session.get_one(Workspace, workspace.id), NOW)
        if found is None:
            return None
        made = Post(workspace_id=workspace.id, text=f"Queued {number}", due_at=found.instant, wall_time=found.wall,
                    is_queued=True, form_nonce=new_id("n"), created_at=NOW)
        session.add(made)
        session.flush()
        session.add(Delivery(workspace_id=workspace.id, post_id=made.id, account_id="acc_1", state=SCHEDULED,
                             scheduled_for=found.instant, due_at=found.instant))
    return made


# ---------------------------------------------------------------- when they come up


@pytest.mark.parametrize(("zone", "day", "wall", "utc", "words"), [
    # the clocks skip 02:30: the first minute that exists
    ("Europe/Berlin", "2027-03-28", "02:30", "2027-03-28T01:00", "does not exist"),
    ("America/New_York", "2027-03-14", "02:30", "2027-03-14T07:00", "does not exist"),
    ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30", "does not exist"),
    # the clocks show it twice: the first time
    ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T00:30", "happens twice"),
    ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30", "happens twice"),
    ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04T14:45", "happens twice"),
    ("Europe/Berlin", "2026-11-23", "09:00", "2026-11-23T08:00", ""),
])
def test_a_slot_keeps_its_hour_and_says_where_the_clocks_change(zone, day, wall, utc, words):
    instant = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    weekday = datetime.fromisoformat(day).weekday()
    found = list(slots.occurrences(weekly((weekday, wall)), zone, instant - timedelta(days=2),
                                   instant + timedelta(days=2)))
    assert [one.instant for one in found] == [instant]
    assert (words in found[0].note) if words else found[0].note == ""


def test_two_slots_that_the_clocks_push_into_one_minute_are_one():
    after = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
    found = list(slots.occurrences(weekly((6, "02:30"), (6, "03:00"), (6, "04:00")), "Europe/Berlin", after,
                                   after + timedelta(days=1)))
    assert [one.wall for one in found] == ["2027-03-28T03:00", "2027-03-28T04:00"]


def test_slots_come_up_in_order_after_the_present_minute_and_never_at_it():
    found = list(slots.occurrences(weekly((5, "09:00"), (5, "10:00"), (0, "08:30")), "UTC", NOW,
                                   NOW + timedelta(days=7)))
    assert [one.wall for one in found] == ["2026-11-21T10:00", "2026-11-23T08:30", "2026-11-28T09:00"]


# ---------------------------------------------------------------- free and taken


def test_posts_take_the_free_slots_one_after_the_other(world, account):
    slots.add(world.workspace, world.alice, ["0", "2"], "08:30")
    first, second, third = (take_one(world.workspace, number) for number in range(3))
    assert [one.wall_time for one in (first, second, third)] == [
        "2026-11-23T08:30", "2026-11-25T08:30", "2026-11-30T08:30"]
    assert first.due_at == datetime(2026, 11, 23, 7, 30, tzinfo=UTC)  # Stockholm
    assert slots.next_free(world.workspace, NOW).wall == "2026-12-02T08:30"


def test_a_cancelled_post_gives_its_slot_back_also_where_only_its_delivery_was_cancelled(world, account):
    slots.add(world.workspace, world.alice, ["0"], "08:30")
    first, second = take_one(world.workspace), take_one(world.workspace)
    with writing() as session:
        session.get_one(Post, first.id).state = CANCELLED
    assert slots.next_free(world.workspace, NOW).wall == first.wall_time
    with writing() as session:
        session.get_one(Post, first.id).state = SCHEDULED
        session.query(Delivery).filter_by(post_id=second.id).one().state = CANCELLED
    assert slots.next_free(world.workspace, NOW).wall == second.wall_time


def test_without_slots_paused_or_full_the_reason_is_said(world, account, monkeypatch):
    assert slots.next_free(world.workspace, NOW) is None
    assert slots.why_none(world.workspace) == slots.NO_SLOTS
    slots.add(world.workspace, world.alice, ["0"], "08:30")
    assert slots.pause(world.workspace, world.alice) and not slots.pause(world.workspace, world.alice)
    assert take_one(world.workspace) is None and slots.why_none(world.workspace) == slots.IS_PAUSED
    assert slots.resume(world.workspace, world.alice) and not slots.resume(world.workspace, world.alice)
    monkeypatch.setattr(slots, "LOOKS_AHEAD", timedelta(days=7))
    assert take_one(world.workspace) is not None and take_one(world.workspace) is None
    assert slots.why_none(world.workspace) == slots.IS_FULL


def test_another_workspaces_queue_does_not_count(world, account):
    slots.add(world.other, world.alice, ["0"], "08:30")
    assert slots.next_free(world.workspace, NOW) is None
    assert slots.remove(world.workspace, world.alice, slots.slots(world.other)[0].id) is None
    assert len(slots.slots(world.other)) == 1


def test_a_removed_slot_moves_no_post_and_the_coming_weeks_still_show_it(world, account):
    slots.add(world.workspace, world.alice, ["0", "2"], "08:30")
    post = take_one(world.workspace)
    monday = slots.slots(world.workspace)[0]
    assert slots.remove(world.workspace, world.alice, monday.id).weekday == 0
    lines = slots.coming(world.workspace, NOW)
    assert [(line.occurrence.wall, line.is_slot, line.post and line.post.id) for line in lines] == [
        ("2026-11-23T08:30", False, post.id), ("2026-11-25T08:30", True, None), ("2026-12-02T08:30", True, None)]


def test_adding_is_checked_counted_and_recorded(world):
    for days, wall, fields in (([], "08:30", {"weekday"}), (["9", ""], "25:00", {"weekday", "wall"}),
                               (["0"], "8 o’clock", {"wall"})):
        with pytest.raises(access.Invalid) as refused:
            slots.add(world.workspace, world.alice, days, wall)
        assert set(refused.value.errors) == fields
    assert slots.add(world.workspace, world.alice, ["0", "2", "4"], "08:30") == 3
    assert slots.add(world.workspace, world.alice, ["0", "1"], "08:30") == 1
    said = db.session.query(AuditEvent).filter_by(action="queue.added").all()
    assert [one.summary for one in said] == ["Monday, Wednesday, Friday at 08:30", "Tuesday at 08:30"]


def test_fifty_at_once_take_fifty_slots(world, account, ground):
    slots.add(world.workspace, world.alice, [str(day) for day in range(7)], "08:30")
    start, problems = threading.Barrier(50), []

    def one(number: int) -> None:
        with ground.app_context():
            try:
                start.wait()
                take_one(world.workspace, number)
            except Exception as error:
                problems.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
    db.session.commit()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with ground.app_context():
        taken = [post.due_at for post in db.session.query(Post)]
    assert len(taken) == len(set(taken)) == 50
    assert max(taken) - min(taken) == timedelta(days=49)
