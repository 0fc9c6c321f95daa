"""The steps of a delivery: prepared again and again, sent once, followed, part by part."""

from dataclasses import replace
from datetime import timedelta

import pytest

from socialconsole import decisions, heartbeat, outcomes, publishing, tokens
from socialconsole.database import writing
from socialconsole.errors import ContentRejected, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import (
    FAILED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Delivery,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Located, Published
from socialconsole.providers.content import Sent, Wait


def now_is(delivery: Delivery) -> Delivery:
    db.session.expire_all()
    return db.session.get_one(Delivery, delivery.id)


@pytest.fixture
def chain(post, monkeypatch):
    """Makes posts of several parts, and with a first comment if one is given."""
    monkeypatch.setattr(type(PROVIDERS["twitter"]), "most_parts", 25)
    monkeypatch.setattr(type(PROVIDERS["twitter"]), "comment_needs", {"": ()})

    def make(*parts: str, comment: str = "") -> Delivery:
        delivery = post(parts[0])
        with writing():
            found = db.session.get_one(Delivery, delivery.id)
            found.post.content = {"parts": [{"text": one, "media": []} for one in parts[1:]], "first_comment": comment}
        return delivery

    return make


class TestPreparing:
    def test_what_was_kept_is_there_after_a_crash_and_lies_sealed(self, post, platform, clock):
        delivery = post()

        def crash(draft, progress):
            progress.keep(session="https://upload.example/secret-session")
            raise KeyboardInterrupt

        seen = []
        platform.says("prepare", crash, lambda draft, progress: seen.append(progress.get("session")))
        with pytest.raises(KeyboardInterrupt):
            publishing.deliver(delivery.id)
        assert now_is(delivery).state == PREPARING
        assert "secret-session" not in now_is(delivery).handle != ""
        clock.ahead(minutes=4)
        heartbeat.settle(clock(), lambda kind, ids: None)
        assert now_is(delivery).state == SCHEDULED
        publishing.deliver(delivery.id)
        assert seen == ["https://upload.example/secret-session"]
        assert now_is(delivery).state == PUBLISHED

    def test_a_long_upload_renews_its_lease(self, post, platform, clock):
        delivery = post()

        def upload(draft, progress):
            for _ in range(5):
                clock.ahead(seconds=100)
                heartbeat.settle(clock(), lambda kind, ids: None)
                progress.alive()

        platform.says("prepare", upload)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED

    def test_a_worker_that_lost_its_delivery_stops(self, post, platform, clock):
        delivery, after = post(), []

        def slow(draft, progress):
            clock.ahead(minutes=4)
            heartbeat.settle(clock(), lambda kind, ids: None)
            platform.says("prepare", lambda draft, progress: None)
            publishing.deliver(delivery.id)  # another worker takes it and sends it
            progress.keep(session="x")
            after.append("went on")

        platform.says("prepare", slow)
        publishing.deliver(delivery.id)
        assert not after and platform.times("publish") == 1
        assert now_is(delivery).state == PUBLISHED

    def test_not_ready_gives_the_place_back_and_asks_later(self, post, platform, clock):
        delivery = post()
        platform.says("check", Wait(timedelta(seconds=30), "Being processed."), None)
        publishing.deliver(delivery.id)
        waiting = now_is(delivery)
        assert (waiting.state, waiting.note, waiting.lease_until) == (PROCESSING, "Being processed.", None)
        assert waiting.due_at == clock() + timedelta(seconds=30)
        clock.ahead(seconds=31)
        heartbeat.beat(clock(), lambda kind, ids: [publishing.deliver(one) for one in ids])
        assert now_is(delivery).state == PUBLISHED

    def test_what_is_never_ready_fails_in_words(self, post, platform, clock):
        delivery = post()
        platform.says("check", Wait(timedelta(seconds=1)))
        for _ in range(publishing.MOST_CHECKS + 1):
            publishing.deliver(delivery.id)
            clock.ahead(seconds=2)
        assert now_is(delivery).state == FAILED and "did not finish" in now_is(delivery).note
        assert not platform.times("publish")

    @pytest.mark.parametrize(("error", "state"), [
        (TryLater("No."), SCHEDULED), (OutcomeUnknown("?"), SCHEDULED), (ContentRejected("Too large."), FAILED),
        (RateLimited("Wait."), SCHEDULED), (ZeroDivisionError(), SCHEDULED),
    ])
    def test_trouble_while_preparing_never_leaves_an_open_question(self, post, platform, error, state):
        delivery = post()
        platform.says("prepare", error)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == state and not platform.times("publish")

    def test_trying_again_begins_anew(self, post, platform, world, clock):
        delivery, seen = post(), []
        platform.says("prepare", lambda draft, progress: progress.keep(container="c1"),
                      lambda draft, progress: seen.append(dict(progress.state)))
        platform.says("publish", ContentRejected("No."), Published("1"))
        publishing.deliver(delivery.id)
        decisions.retry(now_is(delivery), world.alice)
        publishing.deliver(delivery.id)
        assert seen == [{}]


class TestSent:
    def test_what_the_platform_accepted_is_only_asked_after(self, post, platform, clock):
        delivery = post()
        platform.says("publish", Sent("p1", again_in=timedelta(seconds=5)))
        platform.says("follow", Sent("p1", again_in=timedelta(seconds=60)), Published("900", "https://x.com/900"))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == SENT and now_is(delivery).due_at == clock() + timedelta(seconds=5)
        for _ in range(3):
            clock.ahead(minutes=1, seconds=1)
            heartbeat.beat(clock(), lambda kind, ids: [publishing.deliver(one) for one in ids])
        assert (now_is(delivery).state, now_is(delivery).platform_post_id) == (PUBLISHED, "900")
        assert platform.times("publish") == 1
        assert [what for step, what in platform.asked if step == "follow"] == ["p1", "p1"]

    def test_a_refusal_after_accepting_is_final(self, post, platform, clock):
        delivery = post()
        platform.says("publish", Sent("p1"))
        platform.says("follow", ContentRejected("The video cannot be played."))
        publishing.deliver(delivery.id)
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        assert (now_is(delivery).state, now_is(delivery).note) == (FAILED, "The video cannot be played.")

    @pytest.mark.parametrize("trouble", [TryLater("Down."), RateLimited("Wait."), ZeroDivisionError(),
                                         OutcomeUnknown("?")])
    def test_trouble_while_asking_says_nothing_about_the_post(self, post, platform, clock, trouble):
        delivery = post()
        platform.says("publish", Sent("p1"))
        platform.says("follow", trouble)
        publishing.deliver(delivery.id)
        for _ in range(60):
            clock.ahead(hours=2)
            tokens.refresh("grt_1")
            publishing.deliver(delivery.id)
        delivery = now_is(delivery)
        assert (delivery.state, delivery.due_at) == (SENT, None)
        assert "look there" in delivery.note and platform.times("publish") == 1

    def test_a_refused_token_while_asking_is_renewed(self, post, platform, clock):
        delivery = post()
        platform.says("publish", Sent("p1"))
        platform.says("follow", NeedsReconnect("No longer accepted.", "401"), Published("900"))
        publishing.deliver(delivery.id)
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == SENT
        tokens.refresh("grt_1")
        clock.ahead(seconds=10)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED

    def test_a_person_can_say_that_it_is_there(self, post, platform, world, clock):
        delivery = post()
        platform.says("publish", Sent("p1", note="In the inbox.", waits_for_person=True))
        publishing.deliver(delivery.id)
        decisions.mark_published(now_is(delivery), world.alice)
        assert now_is(delivery).state == PUBLISHED

    def test_what_waits_for_a_person_inside_the_platform_says_so(self, post, platform, clock):
        delivery = post()
        platform.says("publish", Sent("p1", note="It is in the inbox.", waits_for_person=True))
        publishing.deliver(delivery.id)
        assert (now_is(delivery).state, now_is(delivery).note) == (SENT, "It is in the inbox.")

    def test_an_unknown_outcome_can_turn_out_as_accepted(self, post, platform, clock):
        delivery = post()
        platform.says("publish", OutcomeUnknown("?"))
        platform.says("locate", Sent("p1"))
        publishing.deliver(delivery.id)
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == SENT


class TestNotPublishedForSure:
    def test_only_the_platforms_own_word_lets_it_be_sent_again(self, post, platform, clock):
        delivery = post()
        platform.says("publish", OutcomeUnknown("?"), Published("7"))
        platform.says("locate", Located.NOT_PUBLISHED)
        publishing.deliver(delivery.id)
        for _ in range(3):
            clock.ahead(minutes=2)
            publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED and platform.times("publish") == 2

    def test_but_not_for_ever(self, post, platform, clock):
        delivery = post()
        platform.says("publish", OutcomeUnknown("?"))
        platform.says("locate", Located.NOT_PUBLISHED)
        for _ in range(60):
            publishing.deliver(delivery.id)
            clock.ahead(seconds=60)
        assert now_is(delivery).state in (FAILED,) and platform.times("publish") <= outcomes.MOST_ATTEMPTS


class TestParts:
    def test_a_chain_goes_out_part_by_part_each_answering_the_one_before(self, chain, platform, monkeypatch):
        seen = []
        numbers = iter(range(1, 9))

        def publish(app, token, draft, progress):
            seen.append((draft.text, draft.part, draft.root_id, draft.reply_to))
            return Published(str(next(numbers)), f"https://x.com/{draft.part}")

        monkeypatch.setattr(PROVIDERS["twitter"], "publish", publish)
        delivery = chain("one", "two", "three")
        publishing.deliver(delivery.id)
        done = now_is(delivery)
        assert seen == [("one", 0, "", ""), ("two", 1, "1", "1"), ("three", 2, "1", "2")]
        assert done.state == PUBLISHED and [part["id"] for part in done.parts] == ["1", "2", "3"]
        assert (done.platform_post_id, done.permalink) == ("1", "https://x.com/0")

    def test_a_chain_that_broke_goes_on_where_it_broke(self, chain, platform, world, clock):
        delivery = chain("one", "two")
        platform.says("publish", Published("1"), ContentRejected("Too long."), Published("2"))
        publishing.deliver(delivery.id)
        broken = now_is(delivery)
        assert broken.state == FAILED and broken.note.startswith("Part 2 was not published: Too long.")
        decisions.retry(broken, world.alice)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED
        assert [what[1] for step, what in platform.asked if step == "publish"] == ["one", "two", "two"]

    def test_a_worker_that_dies_between_two_parts_repeats_none(self, chain, platform, clock):
        delivery = chain("one", "two")
        platform.says("prepare", lambda draft, progress: None, KeyboardInterrupt(), lambda draft, progress: None)
        with pytest.raises(KeyboardInterrupt):
            publishing.deliver(delivery.id)
        clock.ahead(minutes=4)
        heartbeat.settle(clock(), lambda kind, ids: None)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED
        assert [what[1] for step, what in platform.asked if step == "publish"] == ["one", "two"]

    def test_an_unknown_part_is_looked_for_and_the_rest_follows(self, chain, platform, clock):
        delivery = chain("one", "two", "three")
        platform.says("publish", Published("1"), OutcomeUnknown("?"), Published("3"))
        platform.says("locate", Published("2"))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == UNCONFIRMED
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED
        assert [part["id"] for part in now_is(delivery).parts] == ["1", "2", "3"]

    def test_a_first_comment_that_fails_never_makes_the_post_look_failed(self, chain, platform):
        delivery = chain("one", comment="First")
        platform.says("publish", Published("1"), ContentRejected("Comments are off."))
        publishing.deliver(delivery.id)
        done = now_is(delivery)
        assert done.state == PUBLISHED and "Comments are off" in done.warning

    def test_a_first_comment_of_unknown_outcome_is_never_sent_twice(self, chain, platform, clock):
        delivery = chain("one", comment="First")
        platform.says("publish", Published("1"), OutcomeUnknown("?"))
        for _ in range(5):
            publishing.deliver(delivery.id)
            clock.ahead(minutes=10)
        assert now_is(delivery).state == PUBLISHED and platform.times("publish") == 2
        assert "not confirmed" in now_is(delivery).warning

    def test_a_first_comment_waits_out_a_limit(self, chain, platform, clock):
        delivery = chain("one", comment="First")
        platform.says("publish", Published("1"), RateLimited("Wait.", until=clock() + timedelta(minutes=5)),
                      Published("2"))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PROCESSING
        clock.ahead(minutes=5, seconds=1)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED and not now_is(delivery).warning


class TestDeleting:
    @pytest.fixture(autouse=True)
    def offered(self, monkeypatch):
        monkeypatch.setattr(type(PROVIDERS["twitter"]), "delete_needs", {"": ("tweet.write",)})

    def test_all_parts_go_the_last_one_first(self, chain, platform, world):
        delivery = chain("one", "two")
        platform.says("publish", Published("1"), Published("2"))
        publishing.deliver(delivery.id)
        decisions.delete_published(now_is(delivery), world.alice)
        assert [what for step, what in platform.asked if step == "delete"] == ["2", "1"]
        assert now_is(delivery).deleted_at is not None
        with pytest.raises(decisions.NotPossible):
            decisions.delete_published(now_is(delivery), world.alice)

    def test_a_refusal_changes_nothing_and_is_said(self, post, platform, world):
        delivery = post()
        publishing.deliver(delivery.id)
        platform.says("delete", TryLater("X cannot be reached."))
        with pytest.raises(decisions.NotPossible, match="X cannot be reached"):
            decisions.delete_published(now_is(delivery), world.alice)
        assert now_is(delivery).deleted_at is None


def test_a_draft_carries_what_the_profile_is(post, platform, account):
    seen = []
    platform.says("prepare", lambda draft, progress: seen.append(replace(draft)))
    delivery = post("Read https://example.com/a.")
    publishing.deliver(delivery.id)
    assert (seen[0].platform_user_id, seen[0].username, seen[0].link, seen[0].person_id) == (
        "42", "acme", "https://example.com/a", "42")


def test_what_came_to_nothing_for_good_is_tried_anew_with_what_was_noted(post, platform, clock):
    delivery, seen = post(), []
    platform.says("prepare", lambda draft, progress: progress.keep(tries=progress.get("tries", 0) + 1),
                  lambda draft, progress: seen.append(dict(progress.state)))
    platform.says("publish", Sent("p1"), Published("2"))
    platform.says("follow", Located.NOT_PUBLISHED)
    publishing.deliver(delivery.id)
    clock.ahead(minutes=1)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == SCHEDULED
    clock.ahead(minutes=2)
    publishing.deliver(delivery.id)
    assert now_is(delivery).state == PUBLISHED and seen == [{"tries": 1}]


def test_a_post_that_takes_its_worker_down_each_time_stops_doing_so(post, platform, clock):
    delivery = post()
    platform.says("prepare", KeyboardInterrupt())
    for _ in range(20):
        if now_is(delivery).state == FAILED:
            break
        with pytest.raises(KeyboardInterrupt):
            publishing.deliver(delivery.id)
        clock.ahead(minutes=4)
        tokens.refresh("grt_1")
        heartbeat.settle(clock(), lambda kind, ids: None)
    assert now_is(delivery).state == FAILED and "6 times" in now_is(delivery).note
    assert platform.times("prepare") == 6 and not platform.times("publish")
