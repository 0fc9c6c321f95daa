"""Renewal: in time, once, and never the end of a connection unless the platform says a definite no."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from socialconsole import deliveries, heartbeat, tokens
from socialconsole.database import OpenTransaction, writing
from socialconsole.errors import ConfigurationWrong, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, DEAD, DISCONNECTED, HELD, LIVE, RENEWING, TOKEN_EXPIRED, UNSURE, Account, Grant
from socialconsole.outside import now
from socialconsole.providers.oauth2 import connectable

from .conftest import pair


def grant() -> Grant:
    db.session.expire_all()
    return db.session.get_one(Grant, "grt_1")


def fresh(account: Account) -> Account:
    db.session.expire_all()
    return db.session.get_one(Account, account.id)


def test_a_two_hour_token_is_renewed_between_minute_80_and_95(account, clock):
    passed = grant().due_at - clock()
    assert timedelta(minutes=80) <= passed <= timedelta(minutes=95)


def test_tokens_of_one_hour_are_not_renewed_in_one_minute():
    x = connectable("twitter")
    due = {tokens.next_due(x, f"grt_{number}", pair(1), now().replace(second=0)) for number in range(300)}
    assert max(due) - min(due) > timedelta(minutes=13)


def test_nothing_is_asked_before_it_is_due(account, platform, clock):
    clock.ahead(minutes=79)
    tokens.refresh("grt_1")
    assert platform.times("renew") == 0


def test_the_rotated_pair_is_stored_and_the_next_renewal_planned(account, platform, clock):
    clock.ahead(minutes=96)
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-2"
    assert grant().state == LIVE and grant().due_at > clock() + timedelta(minutes=79)
    assert tokens.access(fresh(account), clock()).token == "access-2"


def test_a_second_job_for_the_same_grant_asks_nothing(account, platform, clock):
    clock.ahead(minutes=96)
    tokens.refresh("grt_1")
    tokens.refresh("grt_1")
    assert platform.times("renew") == 1


def test_of_many_threads_one_renews(account, platform, clock, ground):
    clock.ahead(minutes=96)
    gate = threading.Barrier(8)

    def run() -> None:
        with ground.app_context():
            gate.wait()
            tokens.refresh("grt_1")
            db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platform.times("renew") == 1
    assert platform.asked[-1] == ("renew", "refresh-1")


@pytest.mark.parametrize("trouble", [
    TryLater("X cannot be reached."), RateLimited("Wait."), OutcomeUnknown("No answer."),
    ConfigurationWrong("The secret is wrong.", "unauthorized_client")])
def test_trouble_that_is_no_refusal_leaves_the_account_active(account, platform, clock, trouble):
    clock.ahead(minutes=96)
    platform.says("renew", trouble)
    tokens.refresh("grt_1")
    assert fresh(account).state == ACTIVE
    assert grant().state in (LIVE, UNSURE) and grant().due_at > clock()


def test_a_refused_app_is_flagged_for_the_admin(account, platform, clock, world):
    clock.ahead(minutes=96)
    platform.says("renew", ConfigurationWrong("The secret is wrong.", "unauthorized_client"))
    tokens.refresh("grt_1")
    db.session.refresh(world.app)
    assert world.app.trouble == "The secret is wrong."


def test_a_definite_no_ends_the_account_with_its_reason_and_holds_what_is_scheduled(account, platform, clock, post):
    delivery = post(hours=3)
    clock.ahead(minutes=96)
    platform.says("renew", NeedsReconnect("X ended this connection. Connect again.", "invalid_request"))
    tokens.refresh("grt_1")
    account = fresh(account)
    assert (account.state, account.reason) == (TOKEN_EXPIRED, "revoked")
    assert "X ended this connection" in account.reason_text
    assert grant().state == DEAD
    db.session.refresh(delivery)
    assert (delivery.state, delivery.hold) == (HELD, deliveries.FOR_ACCOUNT)


def test_after_no_answer_a_rotating_token_is_not_sent_again_while_the_access_token_lives(account, platform, clock):
    clock.ahead(minutes=96)
    platform.says("renew", OutcomeUnknown("No answer.", "no_answer"), pair(9))
    tokens.refresh("grt_1")
    assert grant().state == UNSURE
    clock.ahead(minutes=20)
    tokens.refresh("grt_1")
    assert platform.times("renew") == 1
    assert tokens.access(fresh(account), clock()).token == "access-1"
    clock.ahead(minutes=30)
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-9"


def test_a_rotating_token_without_an_answer_is_sent_once_more_and_no_third_time(account, platform, clock):
    platform.says("renew", OutcomeUnknown("X gave no answer.", "no_answer"))
    for _ in range(60):
        clock.ahead(minutes=10)
        tokens.refresh("grt_1")
    assert platform.times("renew") == 2
    assert fresh(account).state == TOKEN_EXPIRED
    assert "got no clear answer" in fresh(account).reason_text


def test_a_platform_that_says_it_is_down_does_not_cost_the_connection(account, platform, clock):
    platform.says("renew", OutcomeUnknown("X is down.", "503"))
    for _ in range(40):
        clock.ahead(minutes=30)
        tokens.refresh("grt_1")
    assert fresh(account).state == ACTIVE
    platform.says("renew", pair(9))
    clock.ahead(minutes=35)
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-9"


def test_an_answer_that_comes_after_the_lease_is_taken_if_nobody_claimed_since(account, platform, clock):
    def slow():
        clock.ahead(minutes=3)
        heartbeat.settle(clock(), lambda kind, ids: None)
        assert grant().state == UNSURE
        return pair(2)

    clock.ahead(minutes=96)
    platform.says("renew", slow)
    tokens.refresh("grt_1")
    assert (grant().state, tokens.read(grant()).refresh_token) == (LIVE, "refresh-2")


def test_a_page_never_speaks_with_the_persons_token(account, platform, clock, monkeypatch):
    monkeypatch.setattr(connectable("twitter"), "account_outlives_grant", True)
    with writing(), pytest.raises(NeedsReconnect):
        tokens.access(fresh(account), clock())


def test_a_disconnected_account_gives_no_token_even_while_a_sibling_lives(account, platform, clock):
    with writing():
        fresh(account).state = DISCONNECTED
    with writing(), pytest.raises(NeedsReconnect):
        tokens.access(fresh(account), clock())


def test_a_platform_is_never_called_inside_a_write_transaction(account, platform, clock):
    from socialconsole.database import refuse_open_transaction

    with pytest.raises(OpenTransaction), writing():
        refuse_open_transaction()


def test_an_answer_that_comes_after_a_disconnect_is_dropped_and_revoked(account, platform, clock, world):
    from socialconsole import disconnections

    def meanwhile():
        disconnections.disconnect(db.session.get_one(Account, "acc_1"), world.alice, cancel_posts=False)
        return pair(2)

    clock.ahead(minutes=96)
    platform.says("renew", meanwhile)
    tokens.refresh("grt_1")
    assert grant().access_sealed is None and grant().refresh_sealed is None
    assert ("revoke", "access-2") in platform.asked


def test_a_renewal_whose_worker_died_is_settled_after_its_lease(account, platform, clock):
    clock.ahead(minutes=96)
    platform.says("renew", KeyboardInterrupt(), pair(2))  # as good as kill -9: nothing after the call runs
    with pytest.raises(KeyboardInterrupt):
        tokens.refresh("grt_1")
    assert grant().state == RENEWING
    clock.ahead(minutes=3)
    heartbeat.settle(clock(), lambda kind, ids: None)
    assert grant().state == UNSURE
    clock.ahead(minutes=25)
    tokens.refresh("grt_1")
    assert grant().state == LIVE


def test_a_token_that_only_the_person_can_renew_ends_at_its_end_and_not_before(account, platform, clock):
    with writing():
        tokens.store(grant(), pair(1, 600).__class__("access-1", None, 600), clock())
        row = db.session.get_one(Grant, "grt_1")
        row.platform = db.session.get_one(Account, "acc_1").platform = "linkedin"
    clock.ahead(seconds=599)
    tokens.refresh("grt_1")
    assert fresh(account).state == ACTIVE
    clock.ahead(seconds=2)
    tokens.refresh("grt_1")
    assert (fresh(account).state, fresh(account).reason) == (TOKEN_EXPIRED, "expired")
    assert platform.times("renew") == 0


def test_a_grant_of_an_exchanged_app_is_not_renewed_with_the_new_credentials(account, platform, clock, world):
    with writing():
        world.app.generation = 2
    clock.ahead(minutes=96)
    tokens.refresh("grt_1")
    assert platform.times("renew") == 0
    assert (fresh(account).state, fresh(account).reason) == (TOKEN_EXPIRED, "app_changed")


def test_publishing_waits_for_the_renewal_and_asks_for_it(account, platform, clock):
    clock.ahead(minutes=119, seconds=45)
    with writing(), pytest.raises(tokens.Renewed):
        tokens.access(fresh(account), clock())
    assert grant().due_at <= clock()


def test_the_ticker_rings_a_due_grant_once_in_five_seconds(account, clock):
    rung: list[str] = []
    clock.ahead(minutes=96)
    with writing():
        account.sync_due_at = None
    for _ in range(4):
        heartbeat.beat(clock(), lambda kind, ids: rung.extend(ids))
        clock.ahead(seconds=1)
    assert rung == ["grt_1"]
    clock.ahead(seconds=2)
    heartbeat.beat(clock(), lambda kind, ids: rung.extend(ids))
    assert rung == ["grt_1", "grt_1"]


def test_no_sealed_token_shows_its_plain_text(account):
    rows = db.session.execute(select(Grant.access_sealed, Grant.refresh_sealed)).all()
    assert b"access-1" not in b"".join(b"".join(row) for row in rows)
