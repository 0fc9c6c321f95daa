"""What is finished is cleared when its days are over, and nothing else ever, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select
from ulid import ULID

from socialconsole import config as settings
from socialconsole import media, retention, tallies
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DEAD,
    DECLINED,
    DISCONNECTED,
    FINISHED,
    GRANTED,
    HELD,
    LIVE,
    MISSED,
    PUBLISHED,
    SENT,
    STARTED,
    UNCONFIRMED,
    Account,
    AuditEvent,
    ConnectionAttempt,
    DeletionRequest,
    Delivery,
    DeliveryEvent,
    Grant,
    Login,
    Media,
    MediaLink,
    OneTimeLink,
    Post,
    SignInFailure,
    Tally,
)
from tests.services.conftest import START

OLD = START - timedelta(days=500)
DAY = timedelta(days=1)


def put(*rows):
    with writing() as session:
        session.add_all(rows)


def ids(column):
    found = set(db.session.scalars(select(column)))
    db.session.commit()
    return found


@pytest.fixture
def keeping(ground):
    """Sets days of some rules."""

    def set_days(**days):
        config = ground.extensions["config"]
        ground.extensions["config"] = replace(config, retention_days={**config.retention_days, **days})

    return set_days


def dle(name, at):
    """The id of a step of that instant, as `new_id` makes them."""
    return f"dle_{str(ULID.from_datetime(at))[:10]}{name:>016}"  # the first ten letters are the instant


def step(name, delivery, at):
    return DeliveryEvent(id=dle(name, at), workspace_id="wsp_1", delivery_id=delivery.id, at=at, state="-", text="-")


# ---------------------------------------------------------------- each rule


def test_logins_go_thirty_days_after_their_end_and_living_ones_stay(world, clock):
    def login(name, **columns):
        at = {"created_at": OLD, "seen_at": clock(), "expires_at": clock() + DAY, **columns}
        return Login(id=name, user_id="usr_a", token_hash=name, **at)

    put(login("lives"), login("ended", ended_at=clock() - 31 * DAY), login("ended_late", ended_at=clock() - 29 * DAY),
        login("expired", expires_at=clock() - 31 * DAY), login("expired_late", expires_at=clock() - 29 * DAY),
        login("idle", seen_at=clock() - 45 * DAY), login("idle_late", seen_at=clock() - 43 * DAY))
    assert retention.clean(clock())["logins"] == 3
    assert ids(Login.id) == {"log_a", "lives", "ended_late", "expired_late", "idle_late"}


def test_failed_sign_ins_and_one_time_links_go_with_the_logins(world, clock):
    put(SignInFailure(id="old", about="-", at=clock() - 2 * DAY), SignInFailure(id="new", about="-", at=clock()),
        OneTimeLink(id="open", purpose="reset", token_hash="1", expires_at=clock() + DAY),
        OneTimeLink(id="used", purpose="reset", token_hash="2", expires_at=clock() + DAY, used_at=clock() - 31 * DAY),
        OneTimeLink(id="late", purpose="reset", token_hash="3", expires_at=clock() - 31 * DAY),
        OneTimeLink(id="just", purpose="reset", token_hash="4", expires_at=clock() - DAY))
    assert retention.clean(clock())["logins"] == 3
    assert ids(SignInFailure.id) == {"new"} and ids(OneTimeLink.id) == {"open", "just"}


def test_connections_that_ended_go_and_those_that_hold_secrets_stay(world, clock):
    def attempt(name, state, at):
        return ConnectionAttempt(
            id=name, state_hash=name, browser_hash="-", platform="twitter", app_id="app_x", app_generation=1,
            workspace_id="wsp_1", user_id="usr_a", login_id="-", redirect_uri="", scopes_asked="", state=state,
            created_at=at, expires_at=at)

    put(attempt("finished", FINISHED, OLD), attempt("declined", DECLINED, OLD), attempt("new", FINISHED, clock()),
        attempt("started", STARTED, OLD), attempt("granted", GRANTED, OLD))
    assert retention.clean(clock())["attempts"] == 2
    assert ids(ConnectionAttempt.id) == {"new", "started", "granted"}


@pytest.mark.parametrize("state", [PUBLISHED, MISSED, CANCELLED])
def test_the_steps_of_a_delivery_that_is_over_go_and_its_outcome_stays(post, clock, state):
    delivery = post("Hello")
    put(step("1", delivery, OLD), step("2", delivery, clock() - 399 * DAY))
    with writing():
        delivery.state, delivery.note, delivery.due_at = state, "What became of it", None
    assert retention.clean(clock())["delivery_log"] == 1
    assert ids(DeliveryEvent.id) == {dle("2", clock() - 399 * DAY)}
    db.session.refresh(delivery)
    assert (delivery.state, delivery.note) == (state, "What became of it")
    assert ids(Post.id) == {delivery.post_id}


@pytest.mark.parametrize("state", [HELD, UNCONFIRMED, SENT, "scheduled", "publishing", "processing", "preparing"])
def test_the_steps_of_a_delivery_that_waits_for_anybody_stay(post, clock, state):
    delivery = post("Hello")
    put(step("1", delivery, OLD))
    with writing():
        delivery.state = state
    assert retention.clean(clock())["delivery_log"] == 0
    assert len(ids(DeliveryEvent.id)) == 1


def test_steps_that_stay_do_not_hide_those_behind_them(post, clock, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    waits, over = post("Waits"), post("Over")
    with writing():
        over.state = PUBLISHED
    put(*(step(str(number), waits if number < 5 else over, OLD + timedelta(hours=number)) for number in range(9)))
    assert retention.clean(clock())["delivery_log"] == 4
    assert len(ids(DeliveryEvent.id)) == 5


def test_dead_grants_go_when_no_profile_hangs_on_them(account, clock):
    def grant(name, state=DEAD, at=OLD, **columns):
        return Grant(id=name, workspace_id="wsp_1", platform="twitter", app_id="app_x", app_generation=1,
                     person_id=name, granted_at=at, state=state, **columns)

    put(grant("dead"), grant("alive", LIVE), grant("young", at=clock() - 29 * DAY),
        grant("renewed", renewed_at=clock() - 29 * DAY), grant("used"))
    put(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="9", grant_id="used",
                state=DISCONNECTED, state_since=clock(), connected_at=clock()))
    assert retention.clean(clock())["grants"] == 1
    assert ids(Grant.id) == {"grt_1", "alive", "young", "renewed", "used"}


def test_a_grant_that_lives_again_between_look_and_deletion_stays(account, clock, monkeypatch):
    put(Grant(id="dead", workspace_id="wsp_1", platform="twitter", app_id="app_x", app_generation=1, person_id="-",
              granted_at=OLD, state=DEAD))
    real = retention._delete

    def late(model, key, keys, *conditions):
        if model is Grant:
            with writing() as session:
                session.get_one(Grant, "dead").state = LIVE
        return real(model, key, keys, *conditions)

    monkeypatch.setattr(retention, "_delete", late)
    assert retention.clean(clock())["grants"] == 0
    assert "dead" in ids(Grant.id)


def test_deletion_requests_go_only_when_they_were_done(ground, clock):
    put(*(DeletionRequest(code=name, platform="twitter", person_hash="-", created_at=OLD, done_at=done)
          for name, done in (("done", OLD), ("open", None), ("just", clock()))))
    assert retention.clean(clock())["deletions"] == 1
    assert ids(DeletionRequest.code) == {"open", "just"}


def test_tallies_are_folded_and_their_sums_stay(ground, clock):
    tallies._forget()
    for days in (9, 5, 1):
        tallies.moved("twitter", "published")
        tallies.flush(clock() - days * DAY)
    before = tallies.everything()
    db.session.commit()
    assert retention.clean(clock())["tallies"] == 2
    assert tallies.everything() == before
    assert ids(Tally.at) == {tallies.EVER, tallies.bucket(clock() - DAY)}


def test_activity_is_kept_for_ever_unless_the_setting_says_otherwise(ground, clock, keeping):
    put(*(AuditEvent(id=f"evt_{ULID.from_datetime(at)}", at=at, action="-", subject_type="-", subject_id="-")
          for at in (OLD, clock() - DAY)))
    assert "audit" not in retention.clean(clock())
    assert len(ids(AuditEvent.id)) == 2
    keeping(audit=400)
    assert retention.clean(clock())["audit"] == 1
    assert len(ids(AuditEvent.id)) == 1


def test_addresses_of_files_go_when_their_delivery_is_settled(post, clock):
    over, waits = post("Over"), post("Waits")
    put(Media(id="med_1", workspace_id="wsp_1", kind="image", type="image/png", size=1, sha256="-",
              created_at=clock()))
    with writing():
        over.state, waits.state = PUBLISHED, HELD
    put(*(MediaLink(token_hash=one.id, media_id="med_1", delivery_id=one.id, type="image/png", created_at=clock())
          for one in (over, waits)))
    assert retention.clean(clock())["files"] == 1
    assert ids(MediaLink.token_hash) == {waits.id}


# ---------------------------------------------------------------- a run


def test_zero_keeps_everything_for_ever(world, clock, keeping):
    put(Login(id="old", user_id="usr_a", token_hash="-1", created_at=OLD, seen_at=OLD, expires_at=OLD))
    keeping(**dict.fromkeys(settings.RETENTION_DAYS, 0))
    assert set(retention.clean(clock())) == {"files"}
    assert "old" in ids(Login.id)


def test_every_name_of_the_setting_has_its_rule():
    assert [rule.name for rule in retention.RULES] == list(settings.RETENTION_DAYS)


def test_much_goes_in_small_pieces_and_what_is_too_much_waits_for_the_next_run(world, clock, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 10)
    monkeypatch.setattr(retention, "MOST_BATCHES", 3)
    sizes = []
    real = retention._delete
    monkeypatch.setattr(retention, "_delete", lambda *given: sizes.append(len(given[2])) or real(*given))
    put(*(SignInFailure(about="-", at=OLD) for _ in range(45)))
    assert retention.clean(clock())["logins"] == 30
    assert retention.clean(clock())["logins"] == 15
    assert max(sizes) == 10 and ids(SignInFailure.id) == set()


def test_a_rule_that_breaks_does_not_stop_the_others_and_is_logged(world, clock, monkeypatch, caplog):
    put(SignInFailure(about="-", at=OLD))
    monkeypatch.setattr(media, "tidy", lambda now: 1 / 0)
    monkeypatch.setattr(tallies, "fold", lambda *_: 1 / 0)
    removed = retention.clean(clock())
    assert (removed["logins"], removed["tallies"], removed["files"]) == (1, 0, 0)
    assert [record.rule for record in caplog.records if hasattr(record, "rule")] == ["tallies", "files"]


def test_the_last_run_is_remembered(world, clock):
    assert retention.last_run() is None
    put(SignInFailure(about="-", at=OLD))
    removed = retention.clean(clock())
    clock.ahead(hours=1)
    assert retention.last_run() == retention.Cleaned(START, removed)
    retention.clean(clock())
    assert retention.last_run().at == START + timedelta(hours=1)


def test_what_is_in_use_is_untouched_by_a_run_years_later(account, post, clock):
    post("Hello")
    with writing() as session:
        session.execute(delete(Login))
    before = {table.name: db.session.scalar(select(func.count()).select_from(table))
              for table in db.metadatas[None].sorted_tables}
    db.session.commit()
    retention.clean(clock.ahead(days=3000))
    after = {table.name: db.session.scalar(select(func.count()).select_from(table))
             for table in db.metadatas[None].sorted_tables}
    assert {name for name in before if before[name] != after[name]} <= {"installation"}
    assert db.session.get_one(Account, "acc_1").state == ACTIVE
    assert ids(Delivery.state) == {"scheduled"}
