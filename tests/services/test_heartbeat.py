"""What is handed out: what is due and free, in turn for each workspace, one post of a profile at a time."""

import os
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import update

from socialconsole import heartbeat, jobs, processes, publishing, tokens
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, PREPARING, PUBLISHED, PUBLISHING, SCHEDULED, Account, Delivery, Grant, Post


@pytest.fixture
def profile(world, account, clock):
    """Makes further profiles on the same grant: `profile("acc_2", workspace="wsp_2")`."""

    def make(account_id, workspace="wsp_1"):
        with writing() as session:
            session.add(Account(id=account_id, workspace_id=workspace, platform="twitter", platform_user_id=account_id,
                                grant_id="grt_1", username=account_id, state=ACTIVE, state_since=clock(),
                                connected_at=clock()))
        return account_id

    return make


@pytest.fixture
def queue(account, clock):
    """Schedules so many posts of a profile: `queue("acc_1", 3, minutes=-1)`; returns their ids in order."""

    def make(account_id, count, workspace="wsp_1", heavy=False, **ahead):
        first = clock() + timedelta(**ahead)
        made = []
        with writing() as session:
            for number in range(count):
                due = first + timedelta(milliseconds=number)
                post = Post(workspace_id=workspace, text=f"{account_id} {number}", due_at=due,
                            form_nonce=f"{account_id}{number}{heavy}", created_at=clock())
                delivery = Delivery(id=f"dlv_{account_id}_{number:05}{'h' if heavy else ''}", workspace_id=workspace,
                                    post=post, account_id=account_id, state=SCHEDULED, scheduled_for=due, due_at=due,
                                    is_heavy=heavy)
                session.add_all([post, delivery])
                made.append(delivery.id)
        return made

    return make


def set_delivery(delivery_id, **values):
    with writing() as session:
        session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))


def test_nothing_is_handed_out_early(queue, clock):
    queue("acc_1", 1, seconds=1)
    assert heartbeat.pick("deliver", 5, clock()) == []
    assert heartbeat.pick("deliver", 5, clock.ahead(seconds=2)) != []


def test_what_was_handed_out_is_reserved_for_a_moment(queue, clock):
    first, = queue("acc_1", 1)
    assert heartbeat.pick("deliver", 5, clock()) == [first]
    assert heartbeat.pick("deliver", 5, clock()) == []
    assert heartbeat.pick("deliver", 5, clock.ahead(seconds=6)) == [first]


def test_what_was_not_begun_can_be_given_back(queue, clock):
    first, = queue("acc_1", 1)
    heartbeat.let_go("deliver", heartbeat.pick("deliver", 5, clock()))
    assert heartbeat.pick("deliver", 5, clock()) == [first]


def test_a_reservation_from_before_the_clock_was_put_back_does_not_count(queue, clock):
    first, = queue("acc_1", 1)
    set_delivery(first, rung_until=clock() + timedelta(hours=1))
    assert heartbeat.pick("deliver", 5, clock()) == [first]


def test_the_posts_of_one_profile_go_out_one_after_another_in_their_order(queue, clock):
    first, second = queue("acc_1", 2, minutes=-1)
    assert heartbeat.pick("deliver", 5, clock()) == [first]
    set_delivery(first, state=PREPARING, due_at=None, lease_until=clock() + timedelta(minutes=1))
    assert heartbeat.pick("deliver", 5, clock()) == [], "the profile is at work"
    set_delivery(first, state=PUBLISHED, lease_until=None)
    assert heartbeat.pick("deliver", 5, clock()) == [second]


def test_a_second_post_does_not_overtake_one_in_another_workers_hand(queue, clock):
    first, _ = queue("acc_1", 2, minutes=-1)
    assert heartbeat.pick("deliver", 5, clock()) == [first]
    assert heartbeat.pick("deliver", 5, clock()) == []


def test_a_long_upload_does_not_keep_a_short_post_of_its_profile(queue, clock):
    long, = queue("acc_1", 1, heavy=True)
    short, = queue("acc_1", 1)
    set_delivery(long, state=PREPARING, due_at=None, lease_until=clock() + timedelta(minutes=1))
    assert heartbeat.pick("deliver", 5, clock()) == [short]
    assert heartbeat.pick("upload", 5, clock()) == []


def test_uploads_and_posts_are_rung_for_apart(queue, clock):
    long, = queue("acc_1", 1, heavy=True)
    short, = queue("acc_1", 1)
    rung = {}
    heartbeat.beat(clock(), lambda kind, ids: rung.setdefault(kind, []).extend(ids))
    assert rung == {"deliver": [short], "upload": [long]}


def test_one_workspace_with_thousands_does_not_keep_another_waiting(profile, queue, clock):
    for number in range(40):
        queue(profile(f"acc_many{number:02}"), 50, minutes=-10)
    alone, = queue(profile("acc_alone", "wsp_2"), 1, workspace="wsp_2")
    assert alone in heartbeat.pick("deliver", 4, clock()), "it is the newest of 2,001, and among the first four"


def test_workspaces_take_turns(profile, queue, clock):
    for number in range(6):
        queue(profile(f"acc_one{number}"), 1, minutes=-9)
        queue(profile(f"acc_two{number}", "wsp_2"), 1, workspace="wsp_2")
    chosen = heartbeat.pick("deliver", 6, clock())
    of = Counter(db.session.get_one(Delivery, one).workspace_id for one in chosen)
    assert of == {"wsp_1": 3, "wsp_2": 3}


def test_the_calls_of_one_app_have_a_cap(profile, queue, clock, monkeypatch):
    monkeypatch.setattr(heartbeat, "MOST_PER_APP", 2)
    for number in range(4):
        queue(profile(f"acc_cap{number}"), 1, minutes=-1)
    chosen = heartbeat.pick("deliver", 4, clock())
    assert len(chosen) == 2
    for one in chosen:
        set_delivery(one, state=PREPARING, due_at=None, lease_until=clock() + timedelta(minutes=1))
    assert heartbeat.pick("deliver", 4, clock()) == []


def test_a_beat_rings_a_few_short_lists_and_none_where_enough_are_awake(profile, queue, clock):
    for number in range(heartbeat.BATCH + 3):
        queue(profile(f"acc_r{number:02}"), 1)
    rung = []
    heartbeat.beat(clock(), lambda kind, ids: rung.append((kind, len(ids))))
    assert [size for kind, size in rung if kind == "deliver"] == [heartbeat.BATCH, 3]
    rung.clear()
    heartbeat.beat(clock(), lambda kind, ids: rung.append(kind), lambda kind: kind == "deliver")
    assert "deliver" not in rung


def test_grants_are_handed_out_by_what_is_due_first_and_not_while_their_app_is_shut_off(account, world, clock):
    clock.ahead(minutes=100)
    assert heartbeat.pick("refresh", 5, clock()) == ["grt_1"]
    clock.ahead(seconds=6)
    with writing():
        world.app.breaker_opened_at, world.app.breaker_until = clock(), clock() + timedelta(minutes=1)
    assert heartbeat.pick("refresh", 5, clock()) == []
    assert heartbeat.pick("refresh", 5, clock.ahead(minutes=1)) == ["grt_1"]


def test_handing_back_ends_leases_and_fences_off_who_still_works(queue, clock):
    preparing, = queue("acc_1", 1)
    set_delivery(preparing, state=PREPARING, due_at=None, fence=3, lease_until=clock() + timedelta(minutes=1))
    sending, = queue("acc_1", 1, heavy=True)
    set_delivery(sending, state=PUBLISHING, due_at=None, fence=5, lease_until=clock() + timedelta(minutes=1))
    heartbeat.hand_back("deliver", [preparing, sending], clock())
    db.session.expire_all()
    assert db.session.get_one(Delivery, sending).lease_until > clock(), "what is being sent gets its time"
    heartbeat.give_up("deliver", [preparing, sending], clock())
    db.session.expire_all()
    one, two = db.session.get_one(Delivery, preparing), db.session.get_one(Delivery, sending)
    assert (one.state, one.due_at, one.lease_until, one.fence) == (SCHEDULED, clock(), None, 4)
    assert (two.state, two.fence) == (PUBLISHING, 5) and two.lease_until <= clock()


class TestPump:
    """One job serves all that is due, not only what it was woken for."""

    @pytest.fixture(autouse=True)
    def quick(self, ground, monkeypatch):
        jobs.use_app(ground)
        monkeypatch.setattr(jobs, "LINGER", 0.4)
        monkeypatch.setattr(jobs, "LOOK_EVERY", 0.01)
        monkeypatch.setattr(jobs, "_stop", threading.Event())

    def test_it_goes_on_until_nothing_is_due(self, profile, queue, platform):
        for number in range(30):
            queue(profile(f"acc_p{number:02}"), 2, minutes=-1)
        jobs.deliver([])
        assert platform.times("publish") == 60
        assert db.session.query(Delivery).filter(Delivery.state == PUBLISHED).count() == 60

    def test_it_keeps_the_order_of_a_profile(self, queue, platform):
        queue("acc_1", 5, minutes=-1)
        jobs.deliver([])
        assert [text for step, (_, text) in platform.asked if step == "publish"] == [f"acc_1 {n}" for n in range(5)]

    def test_told_to_stop_it_begins_nothing_new(self, profile, queue, platform, monkeypatch):
        for number in range(40):
            queue(profile(f"acc_s{number:02}"), 1)
        real = publishing.deliver

        def deliver(delivery_id):
            jobs.stop()
            real(delivery_id)

        monkeypatch.setattr(publishing, "deliver", deliver)
        jobs.deliver([])
        db.session.expire_all()
        left = db.session.query(Delivery).filter(Delivery.state == SCHEDULED)
        assert platform.times("publish") <= jobs.MOST_THREADS and left.count() >= 40 - jobs.MOST_THREADS
        assert all(one.rung_until is None for one in left), "what was reserved is free again"

    def test_one_workspace_on_a_slow_platform_leaves_threads_for_others(self, profile, queue, platform, monkeypatch):
        """All of its calls hang; another's post goes out meanwhile."""
        for number in range(60):
            queue(profile(f"acc_w{number:02}"), 1, minutes=-5)
        alone, = queue(profile("acc_alone", "wsp_2"), 1, workspace="wsp_2")
        is_out, hung = threading.Event(), []

        def deliver(delivery_id):
            if delivery_id == alone:
                is_out.set()
            else:
                hung.append(delivery_id)
                assert is_out.wait(20)
            set_delivery(delivery_id, state=PUBLISHED, due_at=None)

        monkeypatch.setattr(publishing, "deliver", deliver)
        jobs.deliver([])
        assert is_out.is_set() and len(hung) == 60

    def test_grants_too(self, account, platform, clock):
        clock.ahead(minutes=100)
        jobs.refresh([])
        assert platform.times("renew") == 1
        assert tokens.read(db.session.get_one(Grant, "grt_1", populate_existing=True)).access_token == "access-2"

    def test_a_row_that_is_named_twice_is_waited_for_until_the_last_of_its_calls_is_over(self, ground):
        """The call that finds the row taken ends at once; the process may not, or an answer is lost with the other."""
        calls, is_seen, heard = iter((True, False)), threading.Event(), []

        def renew(grant_id):
            if not next(calls):
                is_seen.set()
                return
            assert is_seen.wait(20)
            time.sleep(3 * jobs.LOOK_AROUND + 0.4)  # longer than the pump looks for more
            heard.append(grant_id)

        jobs.Pump("refresh", renew).run(["grt_none", "grt_none"])
        assert heard == ["grt_none"]

    def test_told_to_stop_it_hands_back_what_it_cannot_finish(self, queue, ground, monkeypatch, clock):
        """A thread that stands in a call cannot be ended, so the process is; its row is due again at once."""
        stuck, = queue("acc_1", 1, minutes=-1)
        monkeypatch.setattr(jobs, "STOP_WITHIN", 0.4)
        monkeypatch.setattr(jobs, "HAND_BACK_AFTER", {"deliver": 0.2})

        def stand(delivery_id):
            with writing() as session:
                session.execute(update(Delivery).where(Delivery.id == delivery_id).values(
                    state=PREPARING, due_at=None, lease_until=clock() + timedelta(minutes=1)))
            jobs.stop()
            threading.Event().wait(60)

        def body():
            db.session.remove()
            db.engine.dispose(close=False)
            jobs.Pump("deliver", stand).run([])
            return 7

        child = processes.fork(body)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, "it did not wait for the thread"
        db.session.expire_all()
        one = db.session.get_one(Delivery, stuck)
        assert (one.state, one.due_at, one.lease_until) == (SCHEDULED, clock(), None)
