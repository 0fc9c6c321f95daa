"""Deliveries: sent once, and every other end said in words."""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest

from socialconsole import decisions, deliveries, heartbeat, outcomes, platform_apps, posts, publishing, tokens
from socialconsole.database import writing
from socialconsole.drafts import Content
from socialconsole.errors import (
    AlreadyPublished,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    FAILED,
    HELD,
    MISSED,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Account,
    Delivery,
    Grant,
)
from socialconsole.providers.base import Located, Published
from socialconsole.text_links import first_link


def now_is(delivery: Delivery) -> Delivery:
    db.session.expire_all()
    return db.session.get_one(Delivery, delivery.id)


def test_a_due_post_is_published_with_its_id_and_permalink(post, platform, clock):
    delivery = post("Hello")
    publishing.deliver(delivery.id)
    delivery = now_is(delivery)
    assert delivery.state == PUBLISHED
    assert (delivery.platform_post_id, delivery.permalink) == ("900", "https://x.com/acme/status/900")
    assert platform.asked == [("publish", ("access-1", "Hello"))]


def test_nothing_goes_out_before_its_time(post, platform, clock):
    delivery = post(minutes=1)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == SCHEDULED and not platform.asked


def test_publishing_is_committed_before_the_call(post, platform, ground):
    delivery, seen = post(), []

    def look():
        with ground.app_context():
            seen.append(db.session.get_one(Delivery, delivery.id).state)
            assert not posts.is_final(db.session.get_one(Delivery, delivery.id).post)
        return Published("900")

    platform.says("publish", look)
    publishing.deliver(delivery.id)
    assert seen == [PUBLISHING]


def test_of_many_jobs_for_one_delivery_one_sends(post, platform, ground):
    delivery, gate = post(), threading.Barrier(8)

    def run() -> None:
        with ground.app_context():
            gate.wait()
            publishing.deliver(delivery.id)
            db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platform.times("publish") == 1


@pytest.mark.parametrize(("error", "state", "hold"), [
    (TryLater("X cannot be reached."), SCHEDULED, ""),
    (RateLimited("Wait."), SCHEDULED, ""),
    (ContentRejected("Too long."), FAILED, ""),
    (PermissionMissing("This needs tweet.write.", scopes=("tweet.write",)), HELD, deliveries.FOR_ACCOUNT),
    (ConfigurationWrong("No credits."), HELD, deliveries.FOR_APP),
    (NeedsReconnect("Locked.", reason="suspended"), HELD, deliveries.FOR_ACCOUNT),
    (OutcomeUnknown("X did not confirm."), UNCONFIRMED, ""),
    (AlreadyPublished("X already has this text."), FAILED, ""),
    (ZeroDivisionError(), UNCONFIRMED, ""),
])
def test_each_refusal_has_its_state(post, platform, error, state, hold):
    delivery = post()
    platform.says("publish", error)
    publishing.deliver(delivery.id)
    assert (now_is(delivery).state, now_is(delivery).hold) == (state, hold)


def test_an_outage_is_waited_out_with_growing_pauses_until_the_window_ends(post, platform, clock):
    delivery = post()
    platform.says("publish", TryLater("X cannot be reached."))
    pauses = []
    while now_is(delivery).state == SCHEDULED:
        pauses.append(now_is(delivery).due_at - clock())
        clock.at = now_is(delivery).due_at
        publishing.deliver(delivery.id)
    assert now_is(delivery).state == MISSED and clock() - delivery.scheduled_for > timedelta(hours=2)
    assert platform.times("publish") > outcomes.MOST_ATTEMPTS
    assert all(later > 0.8 * sooner for sooner, later in pairwise(pauses[1:])) and pauses[1] > timedelta(seconds=10)


def test_a_fault_of_ours_is_not_tried_for_ever(post, platform, clock):
    delivery = post()
    platform.says("prepare", ZeroDivisionError())
    while now_is(delivery).state == SCHEDULED:
        clock.at = now_is(delivery).due_at
        publishing.deliver(delivery.id)
    assert now_is(delivery).state == FAILED and platform.times("prepare") == outcomes.MOST_ATTEMPTS


def test_a_rate_limit_costs_no_attempt_and_quiets_the_account(post, platform, clock):
    first, second = post("one"), post("two")
    until = clock() + timedelta(minutes=7)
    platform.says("publish", RateLimited("Wait.", until=until))
    publishing.deliver(first.id)
    publishing.deliver(second.id)
    assert platform.times("publish") == 1
    assert now_is(first).due_at == now_is(second).due_at == until
    assert now_is(first).attempts == 0


def test_no_answer_is_looked_for_and_found(post, platform, clock):
    delivery = post()
    platform.says("publish", OutcomeUnknown("X did not confirm."))
    platform.says("locate", Located.NOT_FOUND, Published("901", "https://x.com/acme/status/901"))
    publishing.deliver(delivery.id)
    for _ in range(2):
        clock.ahead(minutes=4)
        publishing.deliver(delivery.id)
    assert (now_is(delivery).state, now_is(delivery).platform_post_id) == (PUBLISHED, "901")
    assert platform.times("publish") == 1


def test_while_one_worker_looks_no_other_does(post, platform, clock):
    delivery = post()
    platform.says("publish", OutcomeUnknown("X did not confirm."))
    publishing.deliver(delivery.id)

    def meanwhile():
        publishing.deliver(delivery.id)
        return Located.NOT_FOUND

    platform.says("locate", meanwhile, Located.NOT_FOUND)
    clock.ahead(minutes=1)
    publishing.deliver(delivery.id)
    assert platform.times("locate") == 1


@pytest.mark.parametrize("answer", [Located.NOT_FOUND, Located.CANNOT_LOOK, TryLater("No.")])
def test_what_is_not_found_waits_for_a_person_and_is_never_sent_again(post, platform, clock, answer):
    delivery = post()
    platform.says("publish", OutcomeUnknown("X did not confirm."))
    platform.says("locate", answer)
    publishing.deliver(delivery.id)
    for _ in range(20):
        clock.ahead(minutes=10)
        heartbeat.beat(clock(), lambda kind, ids: [publishing.deliver(one) for one in ids if kind == "deliver"])
    delivery = now_is(delivery)
    assert (delivery.state, delivery.due_at) == (UNCONFIRMED, None)
    assert platform.times("publish") == 1
    assert posts.is_final(delivery.post)


def test_a_worker_that_died_in_mid_send_leaves_an_open_question_not_a_second_post(post, platform, clock):
    delivery = post()
    platform.says("publish", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHING
    clock.ahead(minutes=4)
    publishing.deliver(delivery.id)
    assert platform.times("publish") == 1
    heartbeat.settle(clock(), lambda kind, ids: None)
    assert now_is(delivery).state == UNCONFIRMED


class TestALateAnswer:
    """The worker lost its lease, and then its call was answered after all."""

    def deliver(self, delivery, platform, clock, answer, meanwhile=lambda: None):
        def slow():
            clock.ahead(minutes=4)
            heartbeat.settle(clock(), lambda kind, ids: None)
            assert now_is(delivery).state == UNCONFIRMED
            meanwhile()
            return answer

        platform.says("publish", slow)
        publishing.deliver(delivery.id)
        return now_is(delivery)

    def test_is_still_worth_having(self, post, platform, clock):
        assert self.deliver(post(), platform, clock, Published("902")).platform_post_id == "902"

    def test_that_proves_the_post_is_taken_even_after_somebody_looked(self, post, platform, clock):
        delivery = post()
        platform.says("locate", Located.CANNOT_LOOK)

        def look():
            clock.ahead(minutes=1)
            publishing.deliver(delivery.id)

        assert self.deliver(delivery, platform, clock, Published("902"), look).state == PUBLISHED

    def test_that_says_no_does_not_undo_what_a_person_decided_meanwhile(self, post, platform, clock, world):
        delivery = post()

        def decide():
            decisions.mark_published(db.session.get_one(Delivery, delivery.id), world.alice)

        late = self.deliver(delivery, platform, clock, ContentRejected("No."), decide)
        assert (late.state, late.confirmed_by) == (PUBLISHED, "alice@example.com")


def test_while_a_renewal_is_backing_off_a_refused_token_is_not_hammered(post, platform, clock):
    delivery = post(hours=1)
    clock.ahead(hours=1)
    platform.says("renew", ConfigurationWrong("The secret is wrong.", "unauthorized_client"))
    platform.says("publish", NeedsReconnect("X no longer accepts this connection.", "401"))
    for _ in range(100):
        heartbeat.beat(clock(), lambda kind, ids: [
            {"deliver": publishing.deliver, "refresh": tokens.refresh}.get(kind, lambda _: None)(one) for one in ids])
        clock.ahead(seconds=3)
    assert platform.times("publish") <= 3
    assert len(now_is(delivery).log) < 10


def test_a_post_that_went_out_ends_the_trouble_of_the_app(post, platform, world, clock):
    first, second = post("one"), post("two")
    platform.says("publish", ConfigurationWrong("No credits."), Published("1"))
    publishing.deliver(first.id)
    publishing.deliver(second.id)
    assert now_is(first).state == SCHEDULED
    db.session.refresh(world.app)
    assert world.app.trouble == ""


def test_a_secret_that_our_keys_do_not_open_holds_the_post_and_tells_the_admin(post, platform, world):
    delivery = post()
    with writing():
        world.app.secret_sealed = b"\x01" + b"0" * 40
    publishing.deliver(delivery.id)
    assert (now_is(delivery).state, now_is(delivery).hold) == (HELD, deliveries.FOR_APP)
    db.session.refresh(world.app)
    assert "cannot be opened" in world.app.trouble and not platform.asked


def test_a_post_past_its_window_is_missed_not_sent(post, platform, clock):
    delivery = post()
    clock.ahead(hours=2, seconds=1)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == MISSED and not platform.asked


def test_a_platform_that_is_off_holds_and_on_releases(post, platform, clock, world):
    delivery = post(minutes=5)
    with writing():
        world.app.is_on = False
    clock.ahead(minutes=6)
    publishing.deliver(delivery.id)
    assert (now_is(delivery).state, now_is(delivery).hold) == (HELD, deliveries.FOR_PLATFORM)
    with writing():
        world.app.is_on = True
        deliveries.release_platform(world.app, clock())
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHED


def test_what_was_held_too_long_is_missed_on_release(post, platform, clock, world):
    delivery = post()
    with writing():
        deliveries.hold_platform(world.app, clock())
    clock.ahead(hours=3)
    with writing():
        deliveries.release_platform(world.app, clock())
    assert now_is(delivery).state == MISSED


def test_a_refused_token_is_renewed_once_and_the_post_goes_out(post, platform, clock):
    delivery = post()
    platform.says("publish", NeedsReconnect("X no longer accepts this connection.", "401"), Published("903"))
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == SCHEDULED
    tokens.refresh("grt_1")
    clock.ahead(seconds=3)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHED
    assert [what[0] for step, what in platform.asked if step == "publish"] == ["access-1", "access-2"]


def test_a_token_refused_right_after_its_renewal_ends_the_account(post, platform, clock):
    delivery = post()
    platform.says("publish", NeedsReconnect("X no longer accepts this connection.", "401"))
    publishing.deliver(delivery.id)
    tokens.refresh("grt_1")
    clock.ahead(seconds=3)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == HELD
    assert db.session.get_one(Account, "acc_1").state == TOKEN_EXPIRED


def test_missing_permission_holds_with_its_name(post, platform, clock):
    delivery = post()
    with writing():
        db.session.get_one(Grant, "grt_1").scopes_granted = ["tweet.read", "users.read"]
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == HELD and "tweet.write" in now_is(delivery).note
    assert not platform.asked


class TestAPersonDecides:
    """What can be done with an unconfirmed, failed or missed delivery."""

    @pytest.fixture
    def open_question(self, post, platform, clock) -> Delivery:
        delivery = post()
        platform.says("publish", OutcomeUnknown("X did not confirm."), Published("904"))
        platform.says("locate", Located.CANNOT_LOOK)
        publishing.deliver(delivery.id)
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        return now_is(delivery)

    def test_mark_as_published_keeps_who_said_so(self, open_question, world):
        decisions.mark_published(open_question, world.alice)
        assert (now_is(open_question).state, now_is(open_question).confirmed_by) == (PUBLISHED, "alice@example.com")

    def test_publish_again_sends_once_more(self, open_question, world, platform):
        decisions.publish_again(open_question, world.alice)
        publishing.deliver(open_question.id)
        assert now_is(open_question).state == PUBLISHED and platform.times("publish") == 2

    def test_sent_again_and_refused_as_a_duplicate_means_it_was_there(self, open_question, world, platform):
        platform.says("publish", AlreadyPublished("LinkedIn has it.", post_id="urn:1"))
        decisions.publish_again(open_question, world.alice)
        publishing.deliver(open_question.id)
        assert (now_is(open_question).state, now_is(open_question).platform_post_id) == (PUBLISHED, "urn:1")

    def test_check_again_looks_once_more(self, open_question, world, platform, clock):
        platform.says("locate", Published("905"))
        decisions.check_again(open_question, world.alice)
        publishing.deliver(open_question.id)
        assert now_is(open_question).platform_post_id == "905"

    @pytest.mark.parametrize("deed", [decisions.retry, decisions.cancel_delivery])
    def test_an_open_question_is_neither_retried_nor_cancelled(self, open_question, world, deed):
        with pytest.raises(posts.NotPossible):
            deed(open_question, world.alice)


def test_what_is_published_cannot_be_cancelled(post, world):
    delivery = post()
    publishing.deliver(delivery.id)
    with pytest.raises(posts.NotPossible, match="published"):
        decisions.cancel_delivery(now_is(delivery), world.alice)


def test_a_cancelled_post_does_not_go_out(post, world, platform, clock):
    delivery = post(minutes=1)
    decisions.cancel(delivery.post, world.alice)
    clock.ahead(minutes=2)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == CANCELLED and not platform.asked


def test_a_failed_post_can_be_retried(post, world, platform):
    delivery = post()
    platform.says("publish", ContentRejected("No."), Published("906"))
    publishing.deliver(delivery.id)
    decisions.retry(now_is(delivery), world.alice)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHED


def test_repairing_the_app_releases_what_it_held(post, world, platform, clock):
    delivery = post()
    platform.says("publish", ConfigurationWrong("No credits."), Published("907"))
    publishing.deliver(delivery.id)
    with writing():
        deliveries.release_app(db.session.get_one(type(world.app), "app_x"), clock())
        platform_apps.clear_flag("app_x")
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHED


class TestScheduling:
    """What an author may write, when and to whom."""

    def write(self, world, account, **changes):
        said = {"text": "Hello", "account_ids": [account.id], "when": "now", "wall_time": "", "nonce": "n"} | changes
        return posts.schedule(world.workspace, world.alice, Content(said["text"]), said["account_ids"],
                              when=said["when"], wall_time=said["wall_time"], nonce=said["nonce"])

    def test_a_form_sent_twice_makes_one_post(self, world, account):
        assert self.write(world, account).id == self.write(world, account, text="Hello again").id

    def test_a_later_time_is_kept_as_wall_time_zone_and_instant(self, world, account):
        post = self.write(world, account, when="later", wall_time="2026-11-23T06:00")
        assert (post.wall_time, post.time_zone, post.due_at.isoformat()) == (
            "2026-11-23T06:00", "Europe/Stockholm", "2026-11-23T05:00:00+00:00")

    @pytest.mark.parametrize(("changes", "field"), [
        ({"text": " "}, "text"), ({"text": "a" * 281}, "text"), ({"account_ids": []}, "accounts"),
        ({"account_ids": ["acc_of_someone_else"]}, "accounts"), ({"when": "later", "wall_time": ""}, "wall_time"),
        ({"when": "later", "wall_time": "2026-11-20T06:00"}, "wall_time"),
        ({"when": "later", "wall_time": "2027-03-28T02:30"}, "wall_time"),
        ({"when": "later", "wall_time": "2199-01-01T06:00"}, "wall_time"),
    ])
    def test_what_cannot_be_taken_is_said_at_its_field(self, world, account, changes, field):
        with pytest.raises(posts.Invalid) as refused:
            self.write(world, account, **changes)
        assert set(refused.value.errors) == {field}

    def test_another_workspace_cannot_write_to_the_account(self, world, account):
        with pytest.raises(posts.Invalid):
            posts.schedule(world.other, world.alice, Content("Hi"), [account.id], when="now", wall_time="", nonce="x")

    def test_a_link_is_found_without_the_full_stop_behind_it(self):
        assert first_link("Read https://example.com/a, then (https://b.example).") == "https://example.com/a"
