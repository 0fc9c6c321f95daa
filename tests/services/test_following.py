"""After the call: what a question about a sent post says of its connection, and how answers are counted."""

from datetime import timedelta

import pytest

from socialconsole import decisions, profile_sync, publishing, tallies, tokens
from socialconsole.database import writing
from socialconsole.errors import ContentRejected, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, FAILED, SENT, TOKEN_EXPIRED, UNCONFIRMED, Account, Delivery, Grant
from socialconsole.providers.content import Located, Sent
from tests.services.conftest import pair

REMOVED = NeedsReconnect("X stopped the post: access was taken back.", "auth_removed")


@pytest.fixture
def counted(monkeypatch):
    """What was counted of calls."""
    kinds: list[str] = []
    monkeypatch.setattr(tallies, "called", lambda platform, kind: kinds.append(kind))
    return kinds


def account() -> Account:
    db.session.expire_all()
    return db.session.get_one(Account, "acc_1")


def now_is(delivery: Delivery) -> Delivery:
    db.session.expire_all()
    return db.session.get_one(Delivery, delivery.id)


def pass_(clock, delivery: Delivery, **length: float) -> None:
    """Time goes on; what is due is done."""
    clock.ahead(**length)
    tokens.refresh("grt_1")
    publishing.deliver(delivery.id)


@pytest.fixture
def sent(post, platform):
    """A post that the platform accepted; asked about it, it says that access was taken back."""
    delivery = post()
    platform.says("publish", Sent("s", again_in=timedelta(minutes=1)))
    platform.says("follow", REMOVED)
    publishing.deliver(delivery.id)
    return delivery


def test_access_that_was_taken_back_after_the_post_asks_for_a_reconnect(sent, platform, clock):
    platform.says("renew", NeedsReconnect("X ended this connection.", "invalid_grant"))
    for _ in range(3):
        pass_(clock, sent, minutes=1)
    delivery = now_is(sent)
    assert (account().state, account().reason) == (TOKEN_EXPIRED, "revoked")
    assert (delivery.state, delivery.due_at) == (SENT, None)
    assert "We cannot ask what became of it: X ended this connection." in delivery.note
    assert platform.times("publish") == 1


def test_what_only_the_person_can_renew_is_asked_for_at_once(sent, platform, clock):
    with writing():
        db.session.get_one(Grant, "grt_1").refresh_sealed = None
    pass_(clock, sent, minutes=1)
    assert account().state == TOKEN_EXPIRED
    assert now_is(sent).note == "X had accepted it, and says now: X stopped the post: access was taken back."
    assert (now_is(sent).state, now_is(sent).due_at) == (SENT, None)


@pytest.mark.parametrize("state", [SENT, UNCONFIRMED])
def test_what_is_said_of_an_old_post_does_not_end_a_newer_connection(sent, platform, clock, world, state):
    clock.ahead(minutes=30)
    with writing():
        now_is(sent).state = state
        grant = db.session.get_one(Grant, "grt_1")
        tokens.store(grant, pair(50), clock())
        grant.granted_at, grant.renewed_at = clock(), None
    platform.says("locate", REMOVED)
    decisions.check_again(now_is(sent), world.alice)
    for _ in range(8):
        pass_(clock, sent, minutes=1)
    assert account().state == ACTIVE, account().reason_text
    assert (now_is(sent).state, now_is(sent).lease_until) == (state, None)
    assert "access was taken back" in now_is(sent).note
    assert platform.times("publish") == 1 and platform.times("renew") == 1


def test_each_answer_to_a_question_is_counted_by_its_kind(post, platform, clock, counted):
    delivery = post()
    platform.says("publish", Sent("s", again_in=timedelta(minutes=1)))
    publishing.deliver(delivery.id)
    counted.clear()
    platform.says("follow", Sent("s", again_in=timedelta(minutes=1)), TryLater("Down.", "503"), RateLimited("Wait."),
                  ContentRejected("No.", "a code of theirs"))
    for _ in range(20):
        pass_(clock, delivery, minutes=4)
        if now_is(delivery).state == FAILED:
            break
    assert counted == ["ok", "try_later", "rate_limited", "content"]


def test_each_look_is_counted_by_its_kind(post, platform, clock, counted):
    delivery = post()
    platform.says("publish", OutcomeUnknown("?"))
    publishing.deliver(delivery.id)
    counted.clear()
    platform.says("locate", TryLater("Down."), Located.NOT_FOUND)
    for _ in range(2):
        pass_(clock, delivery, minutes=30)
    assert counted == ["try_later", "ok"]


def test_readings_and_renewals_are_counted_by_their_kind(account, platform, clock, counted):
    platform.says("renew", TryLater("Down.", "503"), OutcomeUnknown("?", "no_answer"), pair(2))
    for _ in range(3):
        clock.ahead(hours=3)
        tokens.refresh("grt_1")
    assert counted == ["try_later", "no_answer", "ok"]
    counted.clear()
    platform.says("profile", RateLimited("Wait."), NeedsReconnect("No.", reason="suspended"))
    for _ in range(2):
        with writing():
            db.session.get_one(Account, "acc_1").sync_due_at = clock()
        profile_sync.sync("acc_1")
    assert counted == ["rate_limited", "reconnect"]


def test_only_kinds_are_counted_however_many_codes_there_are():
    assert {kind for _, kind in tallies.KINDS} == {
        "rate_limited", "no_answer", "try_later", "reconnect", "permission", "already_published", "content", "app"}
