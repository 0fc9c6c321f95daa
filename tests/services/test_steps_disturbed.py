"""The steps of a delivery while the clock jumps, the database is away, workers die and others work beside them."""

import threading
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from socialconsole import breaker, database, decisions, deliveries, heartbeat, outcomes, publishing
from socialconsole.database import writing
from socialconsole.errors import AlreadyPublished, ContentRejected, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    UNCONFIRMED,
    Account,
    Delivery,
    DeliveryEvent,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Located, Published
from socialconsole.providers.content import Sent, Wait


def now_is(delivery: Delivery) -> Delivery:
    db.session.expire_all()
    return db.session.get_one(Delivery, delivery.id)


def change(row_id: str, kind=Delivery, **facts) -> None:
    with writing() as session:
        row = session.get_one(kind, row_id)
        for name, value in facts.items():
            setattr(row, name, value)


def settle(clock) -> int:
    return heartbeat.settle(clock(), lambda kind, ids: None)


class TestMoves:
    @pytest.mark.parametrize(("before", "after"), list(product(deliveries.MOVES, repeat=2)))
    def test_only_those_of_the_table_are_made(self, before, after, monkeypatch):
        told = []
        monkeypatch.setattr(deliveries, "tell", lambda delivery, text, now, by="": told.append(text))
        monkeypatch.setattr(deliveries.tallies, "moved", lambda *args: None)
        delivery = Delivery(id="dlv_1", state=before, note="before", account=Account(platform="x"))
        if after in deliveries.MOVES[before]:
            deliveries.move(delivery, after, "after", None)
            assert delivery.state == after and told == ["after"]
        else:
            with pytest.raises(deliveries.Impossible):
                deliveries.move(delivery, after, "after", None)
            assert (delivery.state, told) == (before, [])

    def test_the_table_knows_every_state_and_keeps_the_promises(self):
        assert set().union(*deliveries.MOVES.values()) == set(deliveries.MOVES)
        assert [one for one in deliveries.MOVES if PUBLISHING in deliveries.MOVES[one]] == [
            SCHEDULED, PREPARING, PROCESSING], "only what is claimed for sending"
        assert deliveries.MOVES[PUBLISHED] == {PUBLISHED}


class TestOneAtATime:
    def test_a_second_post_of_a_profile_waits_for_the_first(self, post, platform, ground):
        first, second = post("one"), post("two")
        order = []

        def meanwhile():
            order.append("first begins")
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            order.append("first ends")
            return Published("1")

        def other():
            with ground.app_context():
                publishing.deliver(second.id)
                db.session.remove()

        platform.says("publish", meanwhile, lambda: order.append("second") or Published("2"))
        publishing.deliver(first.id)
        assert now_is(second).state == SCHEDULED and order == ["first begins", "first ends"]
        publishing.deliver(second.id)
        assert now_is(second).state == PUBLISHED and order[-1] == "second"

    def test_a_long_upload_keeps_no_quick_post_waiting(self, post, platform):
        heavy, quick = post("heavy"), post("quick")
        change(heavy.id, is_heavy=True)
        platform.says("prepare", lambda draft, progress: draft.text == "heavy" and publishing.deliver(quick.id),
                      lambda draft, progress: None)
        publishing.deliver(heavy.id)
        assert now_is(quick).state == now_is(heavy).state == PUBLISHED

    def test_many_workers_and_many_posts_never_overlap(self, post, platform, ground):
        rows, at_once, most = [post(f"Post {number}").id for number in range(6)], [], []

        def publish():
            at_once.append(1)
            most.append(len(at_once))
            at_once.pop()
            return Published("1")

        platform.says("publish", publish)
        gate = threading.Barrier(6)

        def run(row_id):
            with ground.app_context():
                gate.wait()
                publishing.deliver(row_id)
                db.session.remove()

        threads = [threading.Thread(target=run, args=(one,)) for one in rows]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert set(most) == {1}
        for one in rows:
            publishing.deliver(one)
        assert platform.times("publish") == 6


class TestTheClockJumps:
    """By an hour, either way, in the middle of each step; a living worker goes on, another one sweeps."""

    @pytest.mark.parametrize("hours", [1, -1])
    def test_while_it_is_prepared(self, post, platform, clock, hours):
        delivery = post()

        def jump(draft, progress):
            clock.ahead(hours=hours)
            settle(clock)
            progress.keep(container="c")

        platform.says("prepare", jump, lambda draft, progress: None)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == SCHEDULED and not platform.times("publish")
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED and platform.times("publish") == 1

    @pytest.mark.parametrize("hours", [1, -1])
    @pytest.mark.parametrize("answer", [Published("900"), Sent("900"), ContentRejected("Too long."), TryLater("Down.")])
    def test_while_it_is_sent_the_answer_still_counts(self, post, platform, clock, hours, answer):
        delivery = post()

        def jump():
            clock.ahead(hours=hours)
            settle(clock)
            assert now_is(delivery).state == UNCONFIRMED
            return answer

        platform.says("publish", jump)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state in (PUBLISHED, "sent", FAILED, SCHEDULED)
        assert platform.times("publish") == 1

    @pytest.mark.parametrize("hours", [1, -1])
    def test_and_even_while_another_looks_for_it(self, post, platform, clock, hours):
        delivery = post()
        platform.says("locate", Located.NOT_FOUND)

        def jump():
            clock.ahead(hours=hours)
            settle(clock)
            clock.ahead(seconds=20)
            publishing.deliver(delivery.id)
            assert platform.times("locate") == 1
            return TryLater("Surely not.")

        platform.says("publish", jump, Published("1"))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == SCHEDULED, "a clear no answers the open question"
        clock.ahead(minutes=2)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state in (PUBLISHED, MISSED)

    def test_a_worker_that_stood_still_before_it_could_send_sends_no_more(self, post, platform, clock, monkeypatch):
        delivery, call = post(), publishing._call

        def late(work, draft, sent_at):
            clock.ahead(minutes=5)
            settle(clock)
            return call(work, draft, sent_at)

        monkeypatch.setattr(publishing, "_call", late)
        publishing.deliver(delivery.id)
        assert not platform.times("publish") and now_is(delivery).state == SCHEDULED

    def test_a_lease_from_before_the_clock_went_back_keeps_nobody_waiting(self, post, platform, clock):
        delivery = post()
        platform.says("prepare", KeyboardInterrupt(), lambda draft, progress: None)
        with pytest.raises(KeyboardInterrupt):
            publishing.deliver(delivery.id)
        clock.ahead(hours=-1)
        settle(clock)
        change(delivery.id, due_at=clock())
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED

    def test_a_pause_counted_by_the_earlier_clock_is_cut_short(self, post, platform, clock):
        delivery, quiet = post(), post("quiet")
        settle(clock)
        platform.says("publish", TryLater("Down."))
        publishing.deliver(delivery.id)
        change(quiet.id, account_id="acc_1")
        clock.ahead(hours=-1)
        change(delivery.id, scheduled_for=clock())
        settle(clock)
        assert now_is(delivery).due_at <= clock() + deliveries.LONGEST_PAUSE
        assert now_is(quiet).due_at > clock(), "what its author wants later stays later"


class TestTheDatabaseIsAway:
    def fail(self, monkeypatch, times, when):
        commit, left = Session.commit, [times]

        def commit_or_not(session):
            if left[0] and session.info.get("writing") and when():
                left[0] -= 1
                raise OperationalError("COMMIT", {}, Exception("database or disk is full"))
            commit(session)

        monkeypatch.setattr(Session, "commit", commit_or_not)
        monkeypatch.setattr(database.time, "sleep", lambda seconds: None)

    def test_no_call_is_made_without_a_committed_intent(self, post, platform, monkeypatch):
        delivery, prepared = post(), []
        platform.says("prepare", lambda draft, progress: prepared.append(1))
        self.fail(monkeypatch, 1, lambda: bool(prepared))
        with pytest.raises(OperationalError):
            publishing.deliver(delivery.id)
        assert now_is(delivery).state == PREPARING and not platform.times("publish")

    def test_the_outcome_waits_until_it_is_back(self, post, platform, monkeypatch):
        delivery, sent = post(), []
        platform.says("publish", lambda: sent.append(1) or Published("900"))
        self.fail(monkeypatch, 3, lambda: bool(sent))
        publishing.deliver(delivery.id)
        assert (now_is(delivery).state, now_is(delivery).platform_post_id) == (PUBLISHED, "900")
        assert platform.times("publish") == 1

    def test_what_was_prepared_is_kept_when_it_is_back(self, post, platform, monkeypatch):
        delivery, begun = post(), []

        def upload(draft, progress):
            begun.append(1)
            progress.keep(container="c")

        platform.says("prepare", upload)
        self.fail(monkeypatch, 2, lambda: bool(begun))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED and platform.times("prepare") == 1


class TestMany:
    def make(self, count, clock, **facts):
        with writing() as session:
            one = session.query(Delivery).first()
            for number in range(count):
                made = type(one.post)(workspace_id="wsp_1", text="x", due_at=clock(), form_nonce=f"many{number}",
                                      created_at=clock())
                session.add(Delivery(workspace_id="wsp_1", post=made, account_id="acc_1", scheduled_for=clock(),
                                     **{"due_at": clock(), "state": SCHEDULED} | facts))

    def test_lost_rows_are_settled_in_small_transactions(self, post, clock, monkeypatch):
        post()
        monkeypatch.setattr(deliveries, "BATCH", 20)
        self.make(50, clock, state=PUBLISHING, lease_until=clock())
        clock.ahead(seconds=1)
        commit, move, commits, moved = Session.commit, deliveries.move, [], []
        monkeypatch.setattr(deliveries, "move", lambda *a, **k: moved.append(1) or move(*a, **k))
        monkeypatch.setattr(Session, "commit", lambda self: commits.append(len(moved)) or moved.clear() or commit(self))
        assert deliveries.settle(clock()) == 50
        assert [one for one in commits if one] == [20, 20, 10]

    def test_holding_and_releasing_many_writes_each_into_its_log(self, post, clock, monkeypatch):
        delivery = post()
        monkeypatch.setattr(deliveries, "BATCH", 20)
        self.make(50, clock)
        with writing() as session:
            account = session.get_one(Account, "acc_1")
            assert deliveries.hold_account(account, "Waits.", clock()) == 51
            assert deliveries.waiting(account) == 51
        assert (now_is(delivery).state, now_is(delivery).note, now_is(delivery).hold) == (HELD, "Waits.", "account")
        clock.ahead(minutes=1)
        with writing() as session:
            assert deliveries.release_account(session.get_one(Account, "acc_1"), clock()) == 51
        assert (now_is(delivery).state, now_is(delivery).due_at) == (SCHEDULED, clock())
        with writing() as session:
            assert deliveries.cancel_account(session.get_one(Account, "acc_1"), "Alice", clock()) == 51
        assert now_is(delivery).state == CANCELLED
        assert db.session.query(DeliveryEvent).count() == 3 * 51


class TestLongUploads:
    def test_one_that_gets_further_each_time_is_not_given_up(self, post, platform, clock):
        delivery, so_far = post(), []
        change(delivery.id, is_heavy=True)

        def upload(draft, progress):
            so_far.append(1)
            progress.keep(sent=len(so_far))
            if len(so_far) < 12:
                raise KeyboardInterrupt

        platform.says("prepare", upload)
        for _ in range(11):
            with pytest.raises(KeyboardInterrupt):
                publishing.deliver(delivery.id)
            clock.ahead(minutes=3)
            settle(clock)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED

    def test_one_that_only_says_that_it_lives_is(self, post, platform, clock):
        delivery = post()

        def upload(draft, progress):
            progress.alive()
            raise KeyboardInterrupt

        platform.says("prepare", lambda draft, progress: progress.keep(container="c") or upload(draft, progress),
                      upload)
        for _ in range(deliveries.MOST_STOPS):
            with pytest.raises(KeyboardInterrupt):
                publishing.deliver(delivery.id)
            clock.ahead(minutes=3)
            settle(clock)
        assert now_is(delivery).state == FAILED

    def interrupted(self, post, platform, clock):
        delivery = post()
        change(delivery.id, is_heavy=True)
        platform.says("prepare", lambda draft, progress: progress.keep(session="s"), lambda draft, progress: None)
        platform.says("check", Wait(timedelta(hours=3)), None)
        publishing.deliver(delivery.id)
        return delivery

    def test_what_began_inside_the_window_goes_on_after_it(self, post, platform, clock):
        delivery = self.interrupted(post, platform, clock)
        clock.ahead(hours=3)
        change("grt_1", kind=type(now_is(delivery).account.grant), access_expires_at=None)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED

    def test_but_not_after_days_in_which_nothing_ran(self, post, platform, clock):
        delivery = self.interrupted(post, platform, clock)
        clock.ahead(days=3)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == MISSED and not platform.times("publish")

    def test_nor_after_the_platform_asked_for_a_longer_wait(self, post, platform, clock):
        delivery = post()
        change(delivery.id, is_heavy=True)
        platform.says("prepare", lambda draft, progress: progress.keep(session="s"))
        platform.says("publish", RateLimited("Wait.", until=clock() + timedelta(hours=5)))
        publishing.deliver(delivery.id)
        clock.ahead(hours=5)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == MISSED and platform.times("publish") == 1


class TestWhatIsTold:
    def test_every_try_says_which_one_it_was_and_when_the_next_is(self, post, platform, clock):
        delivery = post()
        platform.says("publish", TryLater("X cannot be reached.", "HTTP 503"))
        publishing.deliver(delivery.id)
        assert now_is(delivery).note.startswith("Try 1: X cannot be reached. (HTTP 503) Next try ")
        assert now_is(delivery).log[-1].text == now_is(delivery).note

    def test_every_look_is_in_the_log(self, post, platform, clock):
        delivery = post()
        platform.says("publish", OutcomeUnknown("X did not confirm."))
        platform.says("locate", Located.NOT_FOUND)
        publishing.deliver(delivery.id)
        for _ in PROVIDERS["twitter"].looks:
            clock.ahead(minutes=5)
            publishing.deliver(delivery.id)
        told = [one.text for one in now_is(delivery).log if one.state == UNCONFIRMED]
        assert "Look 1 of 2: It is not there yet." in told[1] and "We looked 2 times" in told[2]

    def test_a_duplicate_of_a_later_part_is_no_proof_of_an_earlier_doubt(self, post, platform, clock, monkeypatch):
        monkeypatch.setattr(type(PROVIDERS["twitter"]), "most_parts", 25)
        delivery = post("one")
        with writing():
            now_is(delivery).post.content = {"parts": [{"text": "two", "media": []}]}
        platform.says("publish", OutcomeUnknown("?"), AlreadyPublished("X has this text.", post_id="77"))
        platform.says("locate", Published("1"))
        publishing.deliver(delivery.id)
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == FAILED and len(now_is(delivery).parts) == 1


def test_a_late_proof_of_a_cancelled_chain_sends_no_further_part(post, platform, clock, world, monkeypatch):
    monkeypatch.setattr(type(PROVIDERS["twitter"]), "most_parts", 25)
    delivery = post("one")
    with writing():
        now_is(delivery).post.content = {"parts": [{"text": "two", "media": []}]}

    def meanwhile():
        clock.ahead(minutes=4)
        settle(clock)
        decisions.publish_again(now_is(delivery), world.alice)
        decisions.cancel_delivery(now_is(delivery), world.alice)
        return Published("1")

    platform.says("publish", meanwhile)
    publishing.deliver(delivery.id)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHED and "1 further part" in now_is(delivery).warning
    assert platform.times("publish") == 1


def test_a_fault_of_ours_sets_a_post_aside_and_not_for_ever(post, platform, clock, monkeypatch):
    delivery, other = post(), post("other")
    monkeypatch.setattr(outcomes.drafts, "load", lambda *args: 1 / 0)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == SCHEDULED and now_is(delivery).due_at > clock()
    for _ in range(outcomes.MOST_ATTEMPTS):
        clock.ahead(minutes=6)
        publishing.deliver(delivery.id)
    assert now_is(delivery).state == FAILED and "ZeroDivisionError" in now_is(delivery).note
    assert now_is(other).state == SCHEDULED


def test_while_a_platform_fails_for_everybody_one_probe_goes_through(post, platform, clock, world):
    first, second = post("one"), post("two")
    change("app_x", kind=type(world.app), breaker_opened_at=clock(), breaker_until=clock() + breaker.FIRST_PAUSE,
           breaker_scope=breaker.ALL, breaker_trips=1)
    publishing.deliver(first.id)
    assert now_is(first).state == SCHEDULED and "does not answer at the moment" in now_is(first).note
    assert now_is(first).attempts == 0 and not platform.asked
    clock.ahead(minutes=3)
    platform.says("publish", lambda: publishing.deliver(second.id) or Published("1"), Published("2"))
    publishing.deliver(first.id)
    assert now_is(first).state == PUBLISHED
    db.session.refresh(world.app)
    assert world.app.breaker_opened_at is None, "the probe worked"
    publishing.deliver(second.id)
    assert now_is(second).state == PUBLISHED
