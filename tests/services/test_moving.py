"""Moving a post in time: all of it or nothing, never one that began, never past somebody else's change."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.exceptions import NotFound

from socialconsole import moving, slots
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    FAILED,
    HELD,
    MISSED,
    PREPARING,
    PUBLISHED,
    SCHEDULED,
    SUBMITTED,
    Account,
    AuditEvent,
    Delivery,
    DeliveryEvent,
    Post,
    Series,
    User,
    Workspace,
    new_id,
)
from socialconsole.posts import Invalid, NotPossible

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)  # 08:30 in Stockholm


@pytest.fixture
def two(world, account):
    """A post to two profiles on Monday, and a way to give its deliveries other columns."""
    due = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    with writing() as session:
        session.add(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43",
                            display_name="Second", state="active", state_since=NOW, connected_at=NOW))
        session.flush()
        session.add(Post(id="pst_1", workspace_id="wsp_1", text="Buns", due_at=due, wall_time="2026-11-23T09:00",
                         time_zone="Europe/Stockholm", form_nonce="n", created_at=NOW))
        session.flush()
        session.add_all(Delivery(id=f"dlv_{number}", workspace_id="wsp_1", post_id="pst_1", account_id=f"acc_{number}",
                                 state=SCHEDULED, scheduled_for=due, due_at=due) for number in (1, 2))

    def give(row_id="dlv_2", **columns):
        with writing() as session:
            row = session.get_one(Delivery if row_id.startswith("dlv") else Post, row_id)
            for name, value in columns.items():
                setattr(row, name, value)

    return give


def move(world, wall="2026-11-24T08:30", version=1, post_id="pst_1"):
    return moving.move(world.workspace, world.alice, post_id, wall, version)


def state():
    db.session.expire_all()
    post = db.session.get_one(Post, "pst_1")
    return post, sorted(post.deliveries, key=lambda one: one.id)


def test_a_post_moves_with_all_its_deliveries_and_says_so(world, two):
    assert move(world).before == "2026-11-23T09:00"
    post, deliveries = state()
    assert (post.due_at, post.wall_time, post.version, post.updated_by) == (
        TUESDAY, "2026-11-24T08:30", 2, "alice@example.com")
    assert [(one.due_at, one.scheduled_for, one.state) for one in deliveries] == [(TUESDAY, TUESDAY, SCHEDULED)] * 2
    said = "alice@example.com moved it to 24 Nov 2026, 08:30 CET."
    assert [one.text for one in db.session.query(DeliveryEvent)] == [said, said]
    assert db.session.query(AuditEvent).filter_by(action="post.moved").one().subject_id == "pst_1"


def test_held_stays_held_missed_is_scheduled_again_and_cancelled_stays_cancelled(world, two):
    two("dlv_1", state=HELD, hold="account", note="Waits for Acme.", due_at=None)
    two("dlv_2", state=MISSED, due_at=None)
    move(world)
    _, (held, missed) = state()
    assert (held.state, held.hold, held.note, held.due_at, held.scheduled_for) == (
        HELD, "account", "Waits for Acme.", None, TUESDAY)
    assert (missed.state, missed.due_at) == (SCHEDULED, TUESDAY)
    two("dlv_2", state=CANCELLED, due_at=None)
    move(world, "2026-11-25T08:30", version=2)
    assert state()[1][1].scheduled_for == TUESDAY


@pytest.mark.parametrize(("columns", "words"), [
    ({"state": PREPARING}, "preparing on at least one profile"),
    ({"state": PUBLISHED}, "published on at least one profile"),
    ({"state": FAILED}, "failed on at least one profile"),
    ({"parts": [{"id": "1"}]}, "A part of this post is out already"),
    ({"lease_until": NOW + timedelta(seconds=60)}, "being worked on"),
])
def test_what_has_begun_anywhere_is_not_moved_at_all(world, two, columns, words):
    two("dlv_2", **columns)
    with pytest.raises(NotPossible, match=words):
        move(world)
    post, deliveries = state()
    assert post.version == 1 and post.due_at < TUESDAY and deliveries[0].scheduled_for < TUESDAY


def test_a_change_that_came_first_wins(world, two):
    move(world)
    with pytest.raises(NotPossible, match="changed meanwhile"):
        move(world, "2026-11-26T08:30", version=1)
    assert state()[0].due_at == TUESDAY


@pytest.mark.parametrize(("wall", "words"), [
    ("2026-11-21T09:59", "passed already"), ("2027-03-28T02:30", "does not exist"), ("tomorrow", "Give a date"),
    ("2099-01-01T00:00", "five years"), ("9999-12-31T23:59", "five years"),
])
def test_a_time_that_cannot_be_is_said_and_moves_nothing(world, two, wall, words):
    with pytest.raises(Invalid) as refused:
        move(world, wall)
    assert words in refused.value.errors["wall_time"] and state()[0].version == 1


def test_a_cancelled_post_and_one_that_repeats_are_refused_in_words(world, two):
    two("pst_1", state=CANCELLED)
    with pytest.raises(NotPossible, match="cancelled"):
        move(world)
    with writing() as session:
        session.add(Series(id="ser_1", workspace_id="wsp_1", text="Buns", every="day", first_wall="2026-11-23T09:00",
                           created_at=NOW))
    two("pst_1", state=SCHEDULED, series_id="ser_1")
    with pytest.raises(NotPossible, match="repeats"):
        move(world)


@pytest.mark.parametrize("kind", [DRAFT, SUBMITTED])
def test_a_draft_moves_and_stays_what_it_is(world, kind):
    with writing() as session:
        session.add(Post(id="pst_1", workspace_id="wsp_1", text="Idea", state=kind, due_at=NOW + timedelta(days=1),
                         wall_time="2026-11-22T10:00", submitted_by="Bob", form_nonce="n", created_at=NOW))
    move(world)
    post, deliveries = state()
    assert (post.state, post.due_at, post.submitted_by, post.timing, deliveries) == (kind, TUESDAY, "Bob", "later", [])


def test_a_stranger_gets_404(world, two):
    with pytest.raises(NotFound):
        moving.move(world.other, world.alice, "pst_1", "2026-11-24T08:30", 1)
    with pytest.raises(NotFound):
        moving.place(world.other, world.alice, "pst_1", "2026-11-24T08:30", 1)


def test_of_ten_who_move_at_once_one_does(world, two, ground):
    start, done = threading.Barrier(10), []

    def one(number):
        with ground.app_context():
            try:
                workspace, alice = db.session.get_one(Workspace, "wsp_1"), db.session.get_one(User, "usr_a")
                start.wait()
                moving.move(workspace, alice, "pst_1", f"2026-12-{number + 1:02d}T08:30", 1)
                done.append(number)
            except NotPossible:
                pass
            finally:
                db.session.remove()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(10)]
    db.session.commit()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    post, deliveries = state()
    assert len(done) == 1 and post.wall_time == f"2026-12-{done[0] + 1:02d}T08:30" and post.version == 2
    assert {one.due_at for one in deliveries} == {post.due_at}


# ---------------------------------------------------------------- slots


@pytest.fixture
def queue(world, account):
    """Slots on weekdays at 08:30, the first two held by First and Second."""
    slots.add(world.workspace, world.alice, list("01234"), "08:30")
    ids = []
    for text in ("First", "Second"):
        with writing() as session:
            taken = slots.take(session.get_one(Workspace, "wsp_1"), NOW)
            post = Post(id=new_id("pst"), workspace_id="wsp_1", text=text, due_at=taken.instant, wall_time=taken.wall,
                        is_queued=True, form_nonce=text, created_at=NOW)
            session.add(post)
            session.flush()
            session.add(Delivery(workspace_id="wsp_1", post_id=post.id, account_id="acc_1", scheduled_for=taken.instant,
                                 due_at=taken.instant))
            ids.append(post.id)
    return ids


def held(world):
    db.session.expire_all()
    return [(line.occurrence.wall[8:10], line.post.text) for line in slots.coming(world.workspace, NOW) if line.post]


def test_two_posts_of_the_queue_change_places(world, queue):
    moving.place(world.workspace, world.alice, queue[1], "2026-11-23T08:30")
    assert held(world) == [("23", "Second"), ("24", "First")]
    assert all(one.due_at == one.post.due_at for one in db.session.query(Delivery))


def test_a_queued_post_goes_to_a_free_slot_and_nowhere_else(world, queue):
    moving.place(world.workspace, world.alice, queue[0], "2026-11-27T08:30")
    assert held(world) == [("24", "Second"), ("27", "First")]
    with pytest.raises(NotPossible, match="no slot"):
        moving.place(world.workspace, world.alice, queue[0], "2026-11-27T09:30")


def test_places_are_not_changed_with_a_post_that_has_begun(world, queue):
    with writing() as session:
        session.query(Delivery).filter_by(post_id=queue[0]).one().state = PREPARING
    with pytest.raises(NotPossible, match="preparing"):
        moving.place(world.workspace, world.alice, queue[1], "2026-11-23T08:30")
    assert held(world) == [("23", "First"), ("24", "Second")]


def test_a_post_moved_off_its_slot_frees_it_and_moved_back_holds_it_again(world, queue):
    moving.move(world.workspace, world.alice, queue[0], "2026-11-23T12:00", 1)
    assert held(world) == [("24", "Second")] and slots.next_free(world.workspace, NOW).wall == "2026-11-23T08:30"
    moving.move(world.workspace, world.alice, queue[0], "2026-11-23T08:30", 2)
    assert held(world) == [("23", "First"), ("24", "Second")]
    # where somebody else holds the slot, the post goes out at that time without holding it
    moving.move(world.workspace, world.alice, queue[0], "2026-11-24T08:30", 3)
    assert held(world) == [("24", "Second")]
