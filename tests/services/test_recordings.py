"""The flight recorder's book: each connection, renewal and try to publish leaves one timeline, with its outcome."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from sqlalchemy import event, select

from socialconsole import (
    connections,
    deliveries,
    outside,
    publishing,
    recorder,
    recordings,
    retention,
    takedown,
    tokens,
)
from socialconsole.config import RETENTION_DAYS
from socialconsole.database import OpenTransaction, add_later, writing
from socialconsole.errors import (
    AlreadyPublished,
    AttemptFailed,
    ConfigurationWrong,
    ContentRejected,
    Fault,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.extensions import db
from socialconsole.models import (
    FAILED,
    GRANTED,
    HELD,
    PUBLISHED,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    Grant,
    Recording,
    Workspace,
    new_id,
)
from socialconsole.providers.base import Consent
from socialconsole.providers.content import Located, Published, Sent, Wait
from tests.services.conftest import PROFILE, SCOPES, pair

BROWSER = "a browser"
API = "https://api.x.com"


@pytest.fixture(autouse=True)
def platform_answers(request):
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        answers.post(f"{API}/2/tweets", json={"data": {"id": "900"}}, status=201)
        answers.post(f"{API}/2/oauth2/token", json={"access_token": "a"})
        answers.get(f"{API}/2/users/me", json={"data": {"id": "42"}})
        yield answers


def calls(path, then):
    """An answer of the script that makes a call on its way."""
    def answer(*_):
        with outside.platform_session() as session:
            session.request("GET" if path.endswith("me") else "POST", API + path)
        if isinstance(then, BaseException):
            raise then
        return then
    return answer


def book():
    found = list(db.session.scalars(select(Recording).order_by(Recording.id)))
    db.session.commit()
    return found


def the_one():
    [row] = book()
    return row


def notes(row):
    return [step.get("note") or step.get("read") or step.get("decided") or step.get("call") or step.get("page")
            for step in row.steps]


# ---------------------------------------------------------------- publishing


def test_a_post_that_went_out_leaves_the_call_and_when(post, platform):
    delivery = post()
    platform.says("publish", calls("/2/tweets", Published("900", "https://x.com/acme/status/900")))
    publishing.deliver(delivery.id)
    row = the_one()
    assert (row.kind, row.platform, row.subject_id, row.outcome, row.code) == (
        "publish", "twitter", delivery.id, "ok", "")
    assert row.workspace_id == "wsp_1" and notes(row) == ["POST api.x.com/2/tweets"]
    assert len(json.dumps(row.steps)) < 200


REFUSALS = [
    (ContentRejected("No: Hello", "187"), "content", "187", FAILED),
    (TryLater("Away", "503"), "try_later", "503", SCHEDULED), (Fault("Ours", "Odd"), "ours", "Odd", SCHEDULED),
    (OutcomeUnknown("?", "no_answer"), "no_answer", "no_answer", UNCONFIRMED),
    (ConfigurationWrong("The app", "453"), "app", "453", HELD),
    (PermissionMissing("Scope", "403"), "permission", "403", HELD),
    (RateLimited("Wait", "429"), "rate_limited", "429", SCHEDULED),
    (AlreadyPublished("Twice", "187"), "already_published", "187", FAILED),
    (NeedsReconnect("Gone", "401", reason="suspended"), "reconnect", "401", HELD),
]


@pytest.mark.parametrize(("error", "outcome", "code", "state"), REFUSALS)
def test_each_refusal_leaves_its_kind_its_code_and_what_was_decided(post, platform, error, outcome, code, state):
    delivery = post("Hello from the bakery")
    platform.says("publish", calls("/2/tweets", error))
    publishing.deliver(delivery.id)
    row = the_one()
    assert delivery.state == state
    assert (row.outcome, row.code) == (outcome, code)
    call, read, decided = row.steps
    assert call["got"] == ["data"], "what failed is told in full"
    assert read["read"] == outcome and "said" not in read, "a sentence about a post may repeat it"
    assert decided["decided"].startswith(recordings.DECISIONS[state][:9])
    assert "Hello" not in json.dumps(row.steps) and "bakery" not in json.dumps(row.steps).lower()


def test_a_post_that_the_platform_prepares_leaves_one_timeline_for_the_waiting(post, platform, clock):
    delivery = post()
    platform.says("prepare", lambda *_: calls("/2/tweets", None)())
    platform.says("check", Wait(timedelta(seconds=5)), Wait(timedelta(seconds=5)), Wait(timedelta(seconds=5)), None)
    for _ in range(4):
        publishing.deliver(delivery.id)
        clock.ahead(seconds=30)
    assert delivery.state == PUBLISHED
    assert [row.outcome for row in book()] == ["waits", "ok"]


def test_asking_after_a_post_leaves_a_timeline_once_something_comes_of_it(post, platform, clock):
    delivery = post()
    platform.says("publish", calls("/2/tweets", Sent("7", again_in=timedelta(seconds=5))))
    platform.says("follow", Sent("7", again_in=timedelta(seconds=5)), Sent("7", again_in=timedelta(seconds=5)),
                  calls("/2/users/me", Published("7", "https://x.com/7")))
    for _ in range(4):
        publishing.deliver(delivery.id)
        clock.ahead(seconds=30)
    assert delivery.state == PUBLISHED
    assert [(row.outcome, notes(row)[0]) for row in book()] == [
        ("ok", "POST api.x.com/2/tweets"), ("ok", "GET api.x.com/2/users/me")]
    assert delivery.state != SENT and notes(book()[0])[-1] == recordings.DECISIONS[SENT]


def test_looking_for_a_post_leaves_what_was_found(post, platform, clock):
    delivery = post()
    platform.says("publish", calls("/2/tweets", OutcomeUnknown("?", "no_answer")))
    platform.says("locate", calls("/2/users/me", Located.NOT_FOUND), Published("7", "https://x.com/7"))
    publishing.deliver(delivery.id)
    for _ in range(2):
        clock.at = delivery.due_at
        publishing.deliver(delivery.id)
    assert delivery.state == PUBLISHED, delivery.note
    assert [row.outcome for row in book()] == ["no_answer", "not_found", "ok"]


def test_after_a_crash_the_next_timeline_says_that_one_is_missing(post, platform, clock):
    class Killed(BaseException):
        """The worker is gone."""

    delivery = post()
    platform.says("publish", Killed())
    with pytest.raises(Killed):
        publishing.deliver(delivery.id)
    db.session.rollback()
    assert book() == []
    clock.ahead(minutes=5)
    deliveries.settle(clock())
    platform.says("locate", Published("7", "https://x.com/7"))
    clock.ahead(minutes=5)
    publishing.deliver(delivery.id)
    assert delivery.state == PUBLISHED
    assert notes(the_one())[0] == recordings.CUT
    publishing.deliver(delivery.id)


def test_a_try_whose_outcome_could_not_be_stored_leaves_nothing(post, platform, monkeypatch):
    delivery = post()

    def broken(*_, **__):
        raise RuntimeError("no")

    platform.says("publish", calls("/2/tweets", TryLater("Away", "503")))
    monkeypatch.setattr(publishing, "refused", broken)
    publishing.deliver(delivery.id)
    assert book() == []


def test_what_cannot_be_taken_down_does_not_cost_the_outcome(post, platform, monkeypatch):
    delivery = post()

    def broken(*_):
        raise RecursionError

    monkeypatch.setattr(takedown, "steps", broken)
    platform.says("publish", calls("/2/tweets", Published("900", "https://x.com/acme/status/900")))
    publishing.deliver(delivery.id)
    db.session.refresh(delivery)
    assert delivery.state == PUBLISHED
    assert notes(the_one()) == [recordings.UNREADABLE]


# ---------------------------------------------------------------- renewals


def due(account, clock):
    with writing():
        account.grant.due_at = clock()
    return account.grant_id


def test_a_renewal_leaves_a_short_timeline(account, platform, clock):
    platform.says("renew", calls("/2/oauth2/token", pair(2)))
    tokens.refresh(due(account, clock))
    row = the_one()
    assert (row.kind, row.subject_id, row.outcome, notes(row)) == (
        "renew", "grt_1", "ok", ["POST api.x.com/2/oauth2/token"])


@pytest.mark.parametrize(("error", "outcome", "decision"), [
    (TryLater("X cannot be reached.", "unreachable"), "try_later", "The connection stays."),
    (NeedsReconnect("X ended this connection.", "invalid_grant"), "reconnect", "The connection is over:"),
    (ConfigurationWrong("X refuses the client id.", "invalid_client"), "app", "The connection stays."),
    (OutcomeUnknown("X did not answer.", "no_answer"), "no_answer", "The connection stays."),
    (RateLimited("X asked us to wait.", "429"), "rate_limited", "The connection stays."),
])
def test_a_renewal_that_failed_leaves_why_and_what_follows(account, platform, clock, error, outcome, decision):
    platform.says("renew", calls("/2/oauth2/token", error))
    tokens.refresh(due(account, clock))
    row = the_one()
    call, read, decided = row.steps
    assert (row.outcome, row.code, read["said"]) == (outcome, error.code, error.message)
    assert call["call"].endswith("/2/oauth2/token") and decided["decided"].startswith(decision)


def test_a_renewal_after_one_that_died_says_so(account, platform, clock):
    due(account, clock)
    with writing():
        account.grant.attempts, account.grant.error_code = 1, ""
    tokens.refresh("grt_1")
    assert notes(the_one())[0] == recordings.CUT


# ---------------------------------------------------------------- connections


def begin(world, **more):
    address = connections.begin(world.app, world.workspace, world.alice, world.login, BROWSER, **more)
    return parse_qs(urlsplit(address).query)["state"][0]


def come_back(world, state, browser=BROWSER, **query):
    return connections.finish("twitter", {"state": state, **query}, world.login, browser)


def test_a_connection_leaves_one_timeline_from_the_consent_page_to_the_accounts(world, platform, clock):
    scopes = SCOPES - {"tweet.write"}
    platform.says("consent", calls("/2/oauth2/token", Consent(pair(1), "42", "Acme", scopes, (PROFILE,))))
    state = begin(world)
    clock.ahead(seconds=9)
    attempt = come_back(world, state, code="c0de")
    assert attempt.state == GRANTED and the_one().outcome == "waits"
    clock.ahead(seconds=6)
    [account] = connections.confirm(attempt, ["42"], world.alice)
    row = the_one()
    assert (row.outcome, row.subject_id, row.spent) == ("ok", attempt.id, 15_000)
    assert notes(row) == [
        "x.com/i/oauth2/authorize", "Scopes asked for", "With PKCE: a code of this walk is of no use to anybody else",
        "The platform sent the person back with", "POST api.x.com/2/oauth2/token", "Scopes given",
        "Asked for and not given", "Profiles: 1, of which 1 can be connected",
        "It waits for the person's word on our own page; nothing is connected yet.",
        "The person confirmed. Profiles connected: 1 of 1."]
    page, asked = row.steps[:2]
    assert {"response_type=code", "client_id", "state", "code_challenge", "code_challenge_method=S256",
            "redirect_uri=http://127.0.0.1:8000/api/connect/twitter/callback"} <= set(page["query"])
    assert "tweet.write" in asked["values"] and row.steps[6]["values"] == ["tweet.write"]
    assert row.steps[3]["values"] == ["state", "code"]
    at = [step["at"] for step in row.steps]
    assert at == sorted(at) and at[3] >= 5_000
    assert recordings.subjects_of(account) == [account.grant_id, attempt.id]


def test_a_no_of_the_person_is_told_with_the_platforms_word(world, platform):
    come_back(world, begin(world), error="access_denied", error_reason="user_denied", error_description="Mara said no")
    row = the_one()
    assert (row.outcome, row.code) == ("declined", "access_denied")
    assert row.steps[3]["values"] == ["state", "error=access_denied", "error_reason=user_denied", "error_description"]
    assert "Mara" not in json.dumps(row.steps)


@pytest.mark.parametrize(("error", "outcome"), [
    (ConfigurationWrong("X refuses the client id or its secret.", "invalid_client"), "app"),
    (AttemptFailed("The code was too old.", "invalid_grant"), "failed"),
    (TryLater("Away.", "unreachable"), "try_later")])
def test_an_exchange_that_fails_is_told_with_its_calls(world, platform, error, outcome):
    platform.says("consent", calls("/2/oauth2/token", error))
    come_back(world, begin(world), code="c0de")
    row = the_one()
    assert (row.outcome, row.code) == (outcome, error.code)
    assert notes(row)[-3:] == ["POST api.x.com/2/oauth2/token", outcome, "Nothing was connected."]
    assert row.steps[-2]["said"] == error.message


def test_another_browser_a_late_return_and_no_return_are_told(world, platform, clock):
    state = begin(world)
    with pytest.raises(connections.WrongBrowser):
        come_back(world, state, browser="another", code="c0de")
    assert "another browser" in notes(the_one())[-1] and the_one().outcome == "started"
    clock.ahead(minutes=11)
    come_back(world, state, code="c0de")
    assert (the_one().outcome, notes(the_one())[-1][:21]) == ("expired", "It came back too late")
    begin(world)
    clock.ahead(minutes=11)
    connections.tidy(book()[-1].subject_id)
    assert book()[-1].outcome == "expired" and "Nobody came back" in notes(book()[-1])[-1]


def test_nobody_confirming_and_a_no_on_our_page_are_told(world, platform, clock):
    attempt = come_back(world, begin(world), code="c0de")
    connections.refuse(attempt, world.alice)
    assert the_one().outcome == "declined"
    attempt = come_back(world, begin(world), code="c0de")
    clock.ahead(minutes=31)
    connections.tidy(attempt.id)
    assert book()[-1].outcome == "expired" and "Nobody confirmed it in time" in notes(book()[-1])[-1]


def test_coming_back_a_hundred_times_in_the_wrong_browser_stays_within_the_bounds(world, platform):
    state = begin(world)
    for _ in range(60):
        with pytest.raises(connections.WrongBrowser):
            come_back(world, state, browser="another")
    steps = the_one().steps
    assert len(steps) <= takedown.MOST_STEPS and notes(the_one())[0] == "x.com/i/oauth2/authorize"
    assert sum(step.get("left", 1) for step in steps) == 63


def test_a_connection_from_before_the_recorder_is_told_from_where_it_was_seen(world, platform):
    state = begin(world)
    with writing() as session:
        session.delete(the_one())
    come_back(world, state, code="c0de")
    assert notes(the_one())[0] == "How it began was not kept" and the_one().outcome == "waits"


# ---------------------------------------------------------------- keeping and clearing


def test_rows_for_later_go_out_in_one_statement_with_the_rest_or_not_at_all(world):
    seen = []
    listen = lambda *given: seen.append(given)  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listen)
    values = {"workspace_id": "wsp_1", "kind": "renew", "platform": "twitter", "at": outside.now(), "spent": 1,
              "outcome": "ok", "code": "", "steps": []}
    try:
        with writing():
            for number in range(3):
                add_later(Recording, id=f"rec_{number}", subject_id="grt", **values)
        with pytest.raises(ZeroDivisionError), writing():
            add_later(Recording, id="rec_9", subject_id="grt", **values)
            raise ZeroDivisionError
        with writing():
            pass
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)
    assert len([one for one in seen if "INTO recording" in one[2]]) == 1
    assert [row.id for row in book()] == ["rec_0", "rec_1", "rec_2"]
    with pytest.raises(OpenTransaction):
        add_later(Recording, id="rec_8", subject_id="grt", **values)


def put(kind, outcome, age, number):
    return Recording(id=f"rec_{_ulid(age)}{number}", workspace_id="wsp_1", kind=kind, platform="twitter",
                     outcome=outcome, subject_id="x", at=outside.now() - age, steps=[])


def _ulid(age):
    return str(retention.ULID.from_datetime(outside.now() - age))[:20]


def test_what_went_well_is_cleared_after_a_week_and_the_rest_after_its_days(world, clock):
    days = RETENTION_DAYS["recordings"]
    with writing() as session:
        session.add_all([
            put("renew", "ok", timedelta(days=8), 1), put("publish", "ok", timedelta(days=8), 2),
            put("connect", "ok", timedelta(days=8), 3), put("renew", "reconnect", timedelta(days=8), 4),
            put("renew", "ok", timedelta(days=6), 5), put("publish", "content", timedelta(days=days + 1), 6),
            put("connect", "ok", timedelta(days=days + 1), 7)])
    assert retention.clean(clock())["recordings"] == 4
    assert {row.id[-1] for row in book()} == {"3", "4", "5"}


def test_recordings_of_another_workspace_are_not_found(world):
    with writing() as session:
        session.add(put("renew", "ok", timedelta(), 1))
    row = the_one()
    assert recordings.one(db.session.get_one(Workspace, "wsp_1"), row.id) is not None
    assert recordings.one(db.session.get_one(Workspace, "wsp_2"), row.id) is None
    assert recordings.of_subjects(db.session.get_one(Workspace, "wsp_2"), ["x"], limit=9) == []


def test_an_admin_finds_by_platform_kind_outcome_and_every_id(post, account, platform, clock):
    delivery = post()
    platform.says("publish", TryLater("Away", "503"))
    publishing.deliver(delivery.id)
    tokens.refresh(due(account, clock))
    failed, renewed = book()

    def found(**wanted):
        return [row.id for row, _ in recordings.everywhere(recordings.Wanted(**wanted), limit=9)]

    assert found() == [renewed.id, failed.id]
    assert found(outcome="trouble") == found(kind="publish") == found(search=delivery.id) == [failed.id]
    assert found(search=delivery.post_id) == found(outcome="try_later") == [failed.id]
    assert found(search="acc_1") == found(outcome="ok") == found(search=renewed.id) == [renewed.id]
    assert found(platform="tiktok") == found(search="acc_none") == found(search="%") == []
    assert recordings.everywhere(recordings.Wanted(), limit=1, before=renewed.id)[0][1] == "Harbour Bakery"


def test_a_recording_does_not_keep_a_grant_or_post_from_being_deleted(account, platform, clock):
    tokens.refresh(due(account, clock))
    with writing() as session:
        session.delete(account)
        session.flush()
        session.delete(session.get_one(Grant, "grt_1"))
    assert the_one().subject_id == "grt_1"


def test_ids_of_recordings_are_in_order():
    ids = [new_id("rec") for _ in range(3)]
    assert all(one.startswith("rec_") for one in ids)


def test_trouble_on_the_way_is_told_by_its_kind(post, platform, platform_answers):
    platform_answers.replace(responses.POST, f"{API}/2/tweets", body=requests.ConnectionError("secret words"))

    def answer():
        with outside.platform_session() as session, pytest.raises(requests.ConnectionError):
            session.post(f"{API}/2/tweets", json={"text": "Hello"})
        raise TryLater("X cannot be reached.", "unreachable")

    platform.says("publish", answer)
    publishing.deliver(post().id)
    assert the_one().steps[0]["trouble"] == ["ConnectionError"] and recorder.current() is None
