"""Renewal: in time, once, and never the end of a connection unless the platform says a definite no."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from socialconsole import deliveries, heartbeat, tallies, tokens
from socialconsole.database import OpenTransaction, writing
from socialconsole.errors import ConfigurationWrong, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, DEAD, DISCONNECTED, HELD, LIVE, RENEWING, TOKEN_EXPIRED, UNSURE, Account, Grant
from socialconsole.outside import now
from socialconsole.providers.base import TokenSet
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


def test_a_rotating_token_is_sent_again_after_the_access_token_until_the_platform_answers(account, platform, clock):
    platform.says("renew", OutcomeUnknown("X gave no answer.", "no_answer"))
    for _ in range(60):
        clock.ahead(minutes=10)
        tokens.refresh("grt_1")
    assert fresh(account).state == ACTIVE
    platform.says("renew", pair(9))
    clock.ahead(minutes=35)
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-9"


def test_a_rotating_token_without_an_answer_for_a_day_is_given_up(account, platform, clock):
    platform.says("renew", OutcomeUnknown("X gave no answer.", "no_answer"))
    for _ in range(60):
        clock.ahead(minutes=35)
        tokens.refresh("grt_1")
    assert fresh(account).state == TOKEN_EXPIRED
    assert "No renewal got a clear answer for a day" in fresh(account).reason_text
    asked = platform.times("renew")
    clock.ahead(minutes=60)
    tokens.refresh("grt_1")
    assert platform.times("renew") == asked


def test_days_in_which_the_console_was_off_are_not_counted_as_an_outage(account, platform, clock):
    platform.says("renew", OutcomeUnknown("X gave no answer.", "no_answer"))
    clock.ahead(minutes=96)
    tokens.refresh("grt_1")
    clock.ahead(minutes=3 * 24 * 60)
    tokens.refresh("grt_1")
    assert fresh(account).state == ACTIVE


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


def test_no_sealed_token_shows_its_plain_text(account):
    rows = db.session.execute(select(Grant.access_sealed, Grant.refresh_sealed)).all()
    assert b"access-1" not in b"".join(b"".join(row) for row in rows)


# ---------------------------------------------------------------- a herd


def test_a_hundred_thousand_tokens_of_one_hour_are_renewed_evenly_and_none_runs_out():
    x, count, minute = connectable("twitter"), 100_000, timedelta(minutes=1)
    start = now().replace(second=0, microsecond=0)
    waves: list[Counter[int]] = [Counter(), Counter()]
    for number in range(count):
        given = start + timedelta(hours=1) * number / count
        for wave in waves:
            due = tokens.next_due(x, f"grt_{number}", pair(1), given)
            assert timedelta(minutes=75) < due - given < timedelta(minutes=100), "neither needless nor too late"
            wave[(due - start) // minute] += 1
            given = due
    rate = count / 60  # at which they were given; chance adds some, a herd would add many times that
    assert max(waves[0].values()) <= 1.15 * rate and max(waves[1].values()) <= 1.15 * rate
    assert max(waves[1]) - min(waves[1]) > max(waves[0]) - min(waves[0]), "each wave is flatter than the one before"


@pytest.mark.parametrize(("slug", "life", "least"), [
    ("twitter", 7200, 75), ("tiktok", 86_400, 60 * 18), ("youtube", 3600, 45), ("linkedin", 5_184_000, 60 * 24),
    ("facebook", 5_184_000, 60 * 24), ("threads", 5_184_000, 60 * 24)])
def test_no_platform_is_asked_more_often_than_needed(slug, life, least):
    held, start = TokenSet("-", "-", life), now()
    for number in range(50):
        passed = tokens.next_due(connectable(slug), f"grt_{number}", held, start) - start
        assert timedelta(minutes=least) <= passed < timedelta(seconds=life), slug


def grants(clock, *lives: tuple[str, float, float]) -> None:
    """Grants by name with hours until due and until the end of their access token; negative: ago."""
    with writing() as session:
        for name, due, end in lives:
            made = Grant(id=f"grt_{name}", workspace_id="wsp_1", platform="twitter", app_id="app_x", app_generation=1,
                         fence=0, version=0, person_id=name, granted_at=clock())
            tokens.store(made, pair(1), clock())
            made.due_at = clock() + timedelta(hours=due)
            made.access_expires_at = clock() + timedelta(hours=end)
            session.add(made)


def test_after_days_off_those_with_the_least_time_left_come_first(account, platform, clock):
    grants(clock, ("month", 1, 700), ("week", 2, 160), ("gone", 30, 31), ("later", 50, 51), ("soon", 71, 72.5))
    clock.ahead(days=3)
    heartbeat.settle(clock(), lambda kind, ids: None)
    order = list(db.session.scalars(select(Grant.id).where(Grant.due_at <= clock()).order_by(Grant.due_at)))
    assert [*order[:-2], set(order[-2:])] == ["grt_1", "grt_gone", "grt_later", "grt_soon", {"grt_month", "grt_week"}]


def test_a_failed_renewal_that_someone_hurries_is_not_made_twice(account, platform, clock):
    clock.ahead(minutes=119, seconds=50)
    platform.says("renew", TryLater("X cannot be reached.", "503"))
    tokens.refresh("grt_1")
    before = grant().due_at
    with writing(), pytest.raises(tokens.Renewed) as found:
        tokens.access(fresh(account), clock())
    assert grant().due_at == before == found.value.until
    tokens.refresh("grt_1")
    assert platform.times("renew") == 1


# ---------------------------------------------------------------- odd answers


@pytest.mark.parametrize(("answer", "access", "refresh"), [
    (TokenSet("access-2", None, 7200), "access-2", "refresh-1"),
    (TokenSet("access-2", "", 7200), "access-2", "refresh-1"),
    (TokenSet("access-2", "  ", 7200), "access-2", "refresh-1"),
    (TokenSet("access-2", "refresh-2"), "access-2", "refresh-2"),
    (TokenSet("", "refresh-2", 7200), "access-1", "refresh-1"),
    (TokenSet(" ", None), "access-1", "refresh-1"),
])
def test_what_an_answer_lacks_never_overwrites_what_is_stored(account, platform, clock, answer, access, refresh):
    clock.ahead(minutes=96)
    platform.says("renew", answer)
    tokens.refresh("grt_1")
    held = tokens.read(grant())
    assert (held.access_token, held.refresh_token) == (access, refresh)
    assert grant().access_expires_at is not None and grant().due_at is not None and fresh(account).state == ACTIVE
    assert grant().scopes_granted == sorted(pair(1).scopes), "scopes that the answer does not name stay"


def test_an_answer_without_a_lifetime_is_taken_to_live_as_long_as_the_last(account, platform, clock):
    clock.ahead(minutes=96)
    platform.says("renew", replace(pair(2), expires_in=None))
    for _ in range(3):
        tokens.refresh("grt_1")
        assert grant().access_expires_at - clock() == timedelta(hours=2)
        clock.at = grant().due_at
    assert platform.times("renew") == 3


# ---------------------------------------------------------------- clocks that jump


def test_a_lease_from_before_the_clock_was_put_back_counts_as_over(account, platform, clock):
    clock.ahead(minutes=96)
    platform.says("renew", KeyboardInterrupt(), pair(2))
    with pytest.raises(KeyboardInterrupt):
        tokens.refresh("grt_1")
    clock.ahead(minutes=-60)
    heartbeat.settle(clock(), lambda kind, ids: None)
    assert grant().state == UNSURE


@pytest.mark.parametrize("jump", [-60, 60])
def test_a_clock_that_jumps_while_the_platform_is_asked_loses_nothing(account, platform, clock, jump):
    def slow():
        clock.ahead(minutes=jump)
        heartbeat.settle(clock(), lambda kind, ids: None)
        return pair(2)

    clock.ahead(minutes=96)
    platform.says("renew", slow)
    tokens.refresh("grt_1")
    assert (grant().state, tokens.read(grant()).refresh_token) == (LIVE, "refresh-2")
    assert platform.times("renew") == 1


def test_what_was_planned_while_the_clock_was_an_hour_ahead_is_corrected(account, platform, clock):
    heartbeat.settle(clock(), lambda kind, ids: None)
    clock.ahead(minutes=156)  # really 96
    heartbeat.settle(clock(), lambda kind, ids: None)
    tokens.refresh("grt_1")
    assert grant().due_at - clock() > timedelta(minutes=79)
    clock.ahead(minutes=-60)
    heartbeat.settle(clock(), lambda kind, ids: None)
    assert grant().due_at <= clock(), "its end is an hour nearer than the row says"
    tokens.refresh("grt_1")
    assert grant().access_expires_at == clock() + timedelta(hours=2)
    heartbeat.settle(clock(), lambda kind, ids: None)
    assert grant().due_at > clock(), "once, and not again at each sweep"


def test_a_retry_planned_while_the_clock_was_ahead_does_not_wait_for_that_hour(account, platform, clock):
    heartbeat.settle(clock(), lambda kind, ids: None)
    clock.ahead(minutes=156)
    platform.says("renew", TryLater("X cannot be reached.", "503"))
    for _ in range(8):
        with writing():
            grant().due_at = clock()
        tokens.refresh("grt_1")
    heartbeat.settle(clock(), lambda kind, ids: None)
    clock.ahead(minutes=-60)
    heartbeat.settle(clock(), lambda kind, ids: None)
    assert grant().due_at <= clock() + tokens.AGAIN_AFTER


def test_a_refusal_after_the_clock_went_back_is_not_taken_for_one_right_after_a_renewal(account, platform, clock):
    clock.ahead(minutes=96)
    tokens.refresh("grt_1")
    clock.ahead(minutes=-60)
    with writing():
        used = tokens.access(fresh(account), clock())
        assert tokens.refused(used, NeedsReconnect("Expired.", reason="expired"), clock()) is not None


# ---------------------------------------------------------------- cost and counting


def test_a_renewal_costs_few_statements_and_two_commits(account, platform, clock):
    tokens.refresh("grt_1")
    clock.ahead(minutes=96)
    said: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda c, u, statement, *_: said.append(statement.split()[0]))
    event.listen(db.engine, "commit", lambda c: said.append("COMMIT"))
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-2"
    words = said[: len(said) - 1 - said[::-1].index("COMMIT") + 1]
    statements = [word for word in words if word in ("SELECT", "UPDATE", "INSERT", "DELETE")]
    assert len(statements) <= 6, words  # and the test's own reading
    changes = "".join("C" if word == "COMMIT" else "w" if word in ("UPDATE", "INSERT") else "" for word in words)
    assert sum(len(part) > 0 for part in changes.split("C")) == 2, words


def test_each_renewal_is_counted_by_its_outcome(account, platform, clock, monkeypatch):
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(tallies, "refreshed", lambda *what: counted.append(what))
    platform.says("renew", TryLater("Away."), RateLimited("Wait."), OutcomeUnknown("No answer.", "503"),
                  ConfigurationWrong("Refused."), pair(2), NeedsReconnect("No."))
    for _ in range(6):
        clock.ahead(hours=3)
        tokens.refresh("grt_1")
    assert [outcome for _, outcome in counted] == ["try_later", "rate_limited", "no_answer", "app_refused", "ok",
                                                   "refused"]
