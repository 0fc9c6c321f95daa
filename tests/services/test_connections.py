"""Connecting: once, by the one who began, and nothing stored before the person's word."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from socialconsole import accounts, connections, disconnections, heartbeat, tokens
from socialconsole.database import writing
from socialconsole.errors import AttemptFailed, ConfigurationWrong
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DEAD,
    DECLINED,
    DISCONNECTED,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    HELD,
    SCHEDULED,
    TOKEN_EXPIRED,
    Account,
    ConnectionAttempt,
    Grant,
    Login,
    Workspace,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Consent, Profile, Revoke

from .conftest import PROFILE, SCOPES, pair

BROWSER = "a browser"


def begin(world, **more):
    address = connections.begin(world.app, world.workspace, world.alice, world.login, BROWSER, **more)
    return parse_qs(urlsplit(address).query)["state"][0]


def come_back(world, state: str, code: str = "c0de", **more) -> ConnectionAttempt:
    return connections.finish("twitter", {"state": state, "code": code, **more}, world.login, BROWSER)


def count(model):
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def connect(world, **more):
    attempt = come_back(world, begin(world, **more))
    assert attempt.state == GRANTED, attempt.error
    return connections.confirm(attempt, ["42"], world.alice)[0]


def test_consent_then_confirm_makes_an_account(world, platform):
    account = connect(world)
    assert (account.state, account.username, account.id[:4]) == (ACTIVE, "acme", "acc_")
    assert account.grant.scopes_granted == sorted(SCOPES)
    assert tokens.read(account.grant).access_token == "access-1"


def test_nothing_is_stored_before_the_persons_word(world, platform):
    attempt = come_back(world, begin(world))
    assert attempt.state == GRANTED
    assert count(Account) == count(Grant) == 0
    assert b"access-1" not in attempt.consent_sealed


def test_the_very_callback_and_verifier_of_the_beginning_go_into_the_exchange(world, platform):
    state = begin(world)
    attempt = come_back(world, state)
    app, code, verifier = platform.asked[0][1]
    assert (app.redirect_uri, code) == (attempt.redirect_uri, "c0de")
    assert attempt.redirect_uri == "http://127.0.0.1:8000/api/connect/twitter/callback"
    assert len(verifier) >= 43


def test_the_state_is_kept_as_a_hash_only(world, platform):
    state = begin(world)
    row = db.session.scalars(select(ConnectionAttempt)).one()
    assert state not in (row.state_hash, row.browser_hash) and len(row.state_hash) == 64


def test_a_callback_loaded_twice_exchanges_once_and_shows_the_same_attempt(world, platform):
    state = begin(world)
    assert come_back(world, state).id == come_back(world, state).id
    assert platform.times("consent") == 1


def test_of_many_threads_with_one_callback_one_exchanges(world, platform, ground):
    state, gate, ended = begin(world), threading.Barrier(8), []

    def run() -> None:
        with ground.app_context():
            login = db.session.get_one(Login, "log_a")
            gate.wait()
            ended.append(connections.finish("twitter", {"state": state, "code": "c"}, login, BROWSER).id)
            db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platform.times("consent") == 1 and len(set(ended)) == 1 and len(ended) == 8


def test_a_late_callback_is_harmless(world, platform, clock):
    state = begin(world)
    clock.ahead(minutes=10, seconds=1)
    assert come_back(world, state).state == EXPIRED
    assert not platform.asked


@pytest.mark.parametrize("query", [{}, {"code": "c"}, {"state": "x" * 43, "code": "c"}, {"state": "short", "code": "c"},
                                   {"state": "x" * 5000, "code": "c"}])
def test_a_state_that_is_not_ours_is_refused(world, platform, query):
    begin(world)
    with pytest.raises(connections.UnknownAttempt):
        connections.finish("twitter", query, world.login, BROWSER)
    assert not platform.asked


def test_a_state_delivered_to_another_platforms_callback_is_refused(world, platform):
    state = begin(world)
    with pytest.raises(connections.UnknownAttempt):
        connections.finish("facebook", {"state": state, "code": "c"}, world.login, BROWSER)


def test_another_browser_or_person_or_nobody_is_refused_and_the_attempt_stays(world, platform, clock):
    state = begin(world)
    bob = Login(id="log_b", user_id="usr_b", token_hash="b", created_at=clock(), seen_at=clock(), expires_at=clock())
    for login, browser in ((world.login, "another"), (world.login, None), (bob, BROWSER), (None, BROWSER)):
        with pytest.raises(connections.WrongBrowser):
            connections.finish("twitter", {"state": state, "code": "c"}, login, browser)
    assert not platform.asked
    assert come_back(world, state).state == GRANTED


def test_a_token_in_the_query_is_never_taken(world, platform):
    assert come_back(world, begin(world), access_token="smuggled").state == FAILED
    assert not platform.asked


def test_declining_is_a_normal_outcome(world, platform):
    attempt = connections.finish("twitter", {"state": begin(world), "error": "access_denied"}, world.login, BROWSER)
    assert attempt.state == DECLINED and "Nothing was connected" in attempt.error
    assert not platform.asked


def test_a_failed_exchange_says_why_and_flags_the_app_where_the_app_is_wrong(world, platform):
    platform.says("consent", ConfigurationWrong("The secret is wrong.", "unauthorized_client"))
    assert come_back(world, begin(world)).error == "The secret is wrong."
    db.session.refresh(world.app)
    assert world.app.trouble == "The secret is wrong."
    platform.says("consent", AttemptFailed("Too late."))
    assert come_back(world, begin(world)).state == FAILED


def test_confirming_twice_makes_one_account(world, platform):
    attempt = come_back(world, begin(world))
    first = connections.confirm(attempt, ["42"], world.alice)
    assert connections.confirm(attempt, ["42"], world.alice)[0].id == first[0].id
    assert count(Account) == 1


def test_a_profile_that_the_consent_does_not_cover_cannot_be_chosen(world, platform):
    attempt = come_back(world, begin(world))
    with pytest.raises(connections.NotOffered):
        connections.confirm(attempt, ["43"], world.alice)


def test_saying_no_on_our_page_stores_nothing_and_gives_the_permission_back(world, platform):
    attempt = come_back(world, begin(world))
    connections.refuse(attempt, world.alice)
    assert attempt.state == DECLINED and attempt.consent_sealed is None
    assert ("revoke", "access-1") in platform.asked and count(Account) == 0


def test_a_consent_that_nobody_confirms_is_erased_and_given_back(world, platform, clock):
    attempt = come_back(world, begin(world))
    clock.ahead(minutes=31)
    rung: list[str] = []
    heartbeat.settle(clock(), lambda kind, ids: rung.extend(ids if kind == "tidy" else []))
    assert rung == [attempt.id]
    connections.tidy(attempt.id)
    assert attempt.state == EXPIRED and attempt.consent_sealed is None and platform.times("revoke") == 1
    with pytest.raises(connections.NotOffered):
        connections.confirm(attempt, ["42"], world.alice)


def test_an_unconfirmed_consent_is_not_revoked_where_another_workspace_lives_by_it(world, platform, clock, account):
    with writing():
        db.session.get_one(Grant, "grt_1").workspace_id = "wsp_2"
        db.session.get_one(Account, "acc_1").workspace_id = "wsp_2"
    attempt = come_back(world, begin(world))
    connections.refuse(attempt, world.alice)
    assert platform.times("revoke") == 0


def test_a_platform_that_is_off_cannot_be_connected(world, platform):
    with writing():
        world.app.is_on = False
    with pytest.raises(connections.NotOffered):
        begin(world)
    assert connections.offers(world.workspace) == []


def test_the_same_profile_in_two_workspaces_is_two_accounts(world, platform):
    first = connect(world)
    world.workspace = db.session.get_one(Workspace, "wsp_2")
    assert connect(world).id != first.id and count(Account) == 2


class TestMeanwhile:
    """What happens while the platform is being asked for the tokens."""

    def test_an_app_that_was_exchanged_gets_no_token_of_the_old_one(self, world, platform):
        consent = Consent(pair(1), "42", "Acme Bakery", SCOPES, (PROFILE,))

        def exchange():
            with writing():
                world.app.generation, world.app.client_id = 2, "another"
            return consent

        revoked_with = []
        platform.says("consent", exchange)
        platform.says("revoke", lambda: revoked_with.append("called"))
        attempt = come_back(world, begin(world))
        assert attempt.state == FAILED and attempt.consent_sealed is None and revoked_with == ["called"]
        connections.refuse(attempt, world.alice)
        assert platform.times("revoke") == 1

    def test_a_cancelled_attempt_stays_cancelled_and_the_permission_is_given_back(self, world, platform):
        consent = Consent(pair(1), "42", "Acme Bakery", SCOPES, (PROFILE,))
        state = begin(world)

        def exchange():
            connections.refuse(db.session.scalars(select(ConnectionAttempt)).one(), world.alice)
            return consent

        platform.says("consent", exchange)
        attempt = come_back(world, state)
        assert attempt.state == DECLINED and attempt.consent_sealed is None
        assert ("revoke", "access-1") in platform.asked

    def test_a_consent_that_waits_keeps_an_older_one_from_being_revoked(self, world, platform, monkeypatch):
        monkeypatch.setattr(PROVIDERS["twitter"], "revoke_kind", Revoke.PERSON)
        first, second = come_back(world, begin(world)), come_back(world, begin(world))
        connections.refuse(first, world.alice)
        assert platform.times("revoke") == 0
        assert connections.confirm(second, ["42"], world.alice)[0].state == ACTIVE

    def test_a_platform_turned_off_before_the_persons_word_stores_nothing(self, world, platform):
        attempt = come_back(world, begin(world))
        with writing():
            world.app.is_on = False
        with pytest.raises(connections.NotOffered):
            connections.confirm(attempt, ["42"], world.alice)
        assert count(Account) == 0


def test_an_alias_in_the_callback_leads_to_its_platform(world, platform):
    with writing():
        world.app.callback_override = "http://127.0.0.1:8000/api/connect/birds/callback"
    state = begin(world)
    attempt = connections.finish("birds", {"state": state, "code": "c"}, world.login, BROWSER)
    assert attempt.state == GRANTED
    assert platform.asked[0][1][0].redirect_uri == "http://127.0.0.1:8000/api/connect/birds/callback"


def test_who_may_only_reconnect_adds_no_other_profile_of_the_same_consent(world, platform, account):
    more = Profile("43", "second", "Second", kind="X account")
    platform.says("consent", Consent(pair(3), "42", "Acme Bakery", SCOPES, (PROFILE, more)))
    attempt = come_back(world, begin(world, account=account))
    with pytest.raises(connections.NotOffered):
        connections.confirm(attempt, ["43"], world.alice, may_add=False)
    assert [one.id for one in connections.confirm(attempt, ["42", "43"], world.alice, may_add=False)] == ["acc_1"]
    assert count(Account) == 1


def test_a_secret_that_cannot_be_opened_keeps_nobody_from_disconnecting(world, platform, account):
    with writing():
        world.app.secret_sealed = b"\x01" + b"0" * 40
    disconnections.disconnect(account, world.alice, cancel_posts=False)
    assert account.state == DISCONNECTED and db.session.get_one(Grant, "grt_1").access_sealed is None


class TestReconnect:
    """In place: the same id, posts and schedule."""

    def test_it_keeps_the_id_and_releases_what_was_held(self, world, platform, account, post, clock):
        delivery = post(minutes=30)
        with writing():
            tokens.expire_account(account, "revoked", "X ended this connection.", clock())
        assert delivery.state == HELD
        again = connect(world, account=account)
        db.session.refresh(delivery)
        assert (again.id, again.state, delivery.state) == ("acc_1", ACTIVE, SCHEDULED)

    def test_another_profile_is_refused_and_the_old_tokens_stay(self, world, platform, account):
        before = account.grant.access_sealed
        other = Profile("77", "other", "Other", kind="X account")
        platform.says("consent", Consent(pair(7), "77", "Other", SCOPES, (other,)))
        attempt = come_back(world, begin(world, account=account))
        assert connections.reconnects_another(attempt).id == "acc_1"
        with pytest.raises(connections.AnotherProfile):
            connections.confirm(attempt, ["77"], world.alice)
        db.session.expire_all()
        assert db.session.get_one(Grant, "grt_1").access_sealed == before
        assert connections.confirm(attempt, ["77"], world.alice, as_new=True)[0].id != "acc_1"
        assert db.session.get_one(Grant, "grt_1").access_sealed == before


class TestDisconnect:
    """Tokens gone at once, history stays, the platform told where that harms nobody."""

    def test_the_tokens_are_erased_and_the_permission_revoked(self, world, platform, account, post):
        delivery = post(minutes=5)
        note = disconnections.disconnect(account, world.alice, cancel_posts=False).sentence
        grant = db.session.get_one(Grant, "grt_1")
        assert (account.state, grant.access_sealed, grant.refresh_sealed) == (DISCONNECTED, None, None)
        assert "confirmed" in note and ("revoke", "access-1") in platform.asked
        db.session.refresh(delivery)
        assert delivery.state == HELD

    def test_a_tick_cancels_what_waits(self, world, account, post, platform):
        delivery = post(minutes=5)
        disconnections.disconnect(account, world.alice, cancel_posts=True)
        db.session.refresh(delivery)
        assert delivery.state == CANCELLED

    def test_a_platform_that_does_not_answer_is_told_as_not_confirmed(self, world, account, platform):
        platform.says("revoke", AttemptFailed("X cannot be reached."))
        found = disconnections.disconnect(account, world.alice, cancel_posts=False)
        assert found.outcome == disconnections.FAILED and "did not confirm" in found.sentence
        assert account.state == DISCONNECTED and account.grant.access_sealed is None

    def test_a_sibling_keeps_the_grant_alive_and_no_revoke_is_sent(self, world, account, platform, clock):
        with writing() as session:
            session.add(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43",
                                grant_id="grt_1", state=ACTIVE, state_since=clock(), connected_at=clock()))
        note = disconnections.disconnect(account, world.alice, cancel_posts=False)
        assert platform.times("revoke") == 0 and "stays" in note.sentence and note.outcome == disconnections.STAYS
        assert db.session.get_one(Grant, "grt_1").access_sealed is not None

    def test_pages_of_another_workspace_keep_the_permission_even_when_the_persons_token_has_ended(
            self, world, account, platform, clock, monkeypatch):
        monkeypatch.setattr(PROVIDERS["twitter"], "revoke_kind", Revoke.PERSON)
        with writing() as session:
            grant = Grant(id="grt_2", workspace_id="wsp_2", platform="twitter", app_id="app_x", app_generation=1,
                          fence=0, version=0, person_id="42", granted_at=clock())
            tokens.store(grant, pair(5), clock())
            grant.state = DEAD
            page = Account(id="acc_3", workspace_id="wsp_2", platform="twitter", platform_user_id="900", grant=grant,
                           state=ACTIVE, state_since=clock(), connected_at=clock())
            session.add_all([grant, page])
        assert disconnections.what_disconnect_loses(account).revokes is False
        note = disconnections.disconnect(account, world.alice, cancel_posts=False)
        assert platform.times("revoke") == 0 and "stays" in note.sentence and note.outcome == disconnections.STAYS

    def test_the_same_profile_coming_back_gets_the_same_id(self, world, account, platform):
        disconnections.disconnect(account, world.alice, cancel_posts=False)
        assert connect(world).id == "acc_1"
        assert db.session.get_one(Account, "acc_1").state == ACTIVE

    def test_disconnecting_twice_says_the_same_and_does_nothing_more(self, world, account, platform):
        note = disconnections.disconnect(account, world.alice, cancel_posts=False)
        assert disconnections.disconnect(account, world.alice, cancel_posts=False) == note
        assert platform.times("revoke") == 1


class TestStatus:
    """The one word for how an account stands."""

    def test_active(self, account, clock):
        assert accounts.status(account, clock()).word == "active"

    def test_limited_names_what_was_declined(self, account, clock):
        with writing():
            account.grant.scopes_granted = ["users.read", "tweet.read"]
        status = accounts.status(account, clock())
        assert status.word == "limited" and "tweet.write" in status.reason

    def test_unknown_scopes_limit_nothing(self, account, clock):
        with writing():
            account.grant.scopes_granted = None
        assert accounts.status(account, clock()).word == "active"
        assert {one.answer for one in accounts.scopes(account)} == {"unknown"}

    def test_expiring_only_where_nobody_but_the_person_can_renew(self, account, clock):
        with writing():
            account.grant.refresh_sealed = None
            account.grant.access_expires_at = clock() + timedelta(days=3)
        assert accounts.status(account, clock()).label == "Expires in 3 days"

    def test_token_expired_and_paused(self, account, clock, world):
        disconnections.pause(account, world.alice)
        assert accounts.status(account, clock()).word == "paused"
        disconnections.resume(account, world.alice)
        with writing():
            tokens.expire_account(account, "revoked", "X ended this connection.", clock())
        assert accounts.status(account, clock()).word == "token_expired"
        assert account.state == TOKEN_EXPIRED

    def test_pausing_holds_and_resuming_releases(self, account, world, post):
        delivery = post(minutes=5)
        disconnections.pause(account, world.alice)
        db.session.refresh(delivery)
        assert delivery.state == HELD
        disconnections.resume(account, world.alice)
        db.session.refresh(delivery)
        assert delivery.state == SCHEDULED


def test_an_attempt_is_shown_only_to_its_person_in_its_workspace(world, platform):
    attempt = come_back(world, begin(world))
    assert connections.attempt(world.workspace, attempt.id, world.alice).id == attempt.id
    for workspace, user in ((world.other, world.alice), (world.workspace, world.bob)):
        with pytest.raises(Exception, match="404"):
            connections.attempt(workspace, attempt.id, user)
    assert attempt.state != FINISHED and PROFILE.platform_user_id == "42"


class TestWhyAConsentIsAskedForOnceMore:
    @pytest.fixture
    def asked(self, monkeypatch) -> list[object]:
        seen: list[object] = []
        x = type(PROVIDERS["twitter"])

        def noted(self, app, again):
            seen.append(again)
            return {}

        monkeypatch.setattr(x, "authorize_parameters", noted)
        return seen

    def begin(self, world, account=None):
        return connections.begin(world.app, world.workspace, world.alice, world.login, "b" * 43, account=account)

    def test_the_first_one_is_plain(self, world, platform, asked):
        self.begin(world)
        assert asked == [""]

    def test_another_account_of_the_platform(self, world, platform, account, asked):
        self.begin(world)
        assert asked == ["another"]

    def test_a_permission_was_declined(self, world, platform, account, asked):
        with writing():
            account.grant.scopes_granted = ["tweet.read", "users.read"]
        self.begin(world, account)
        assert asked == ["declined"]

    def test_the_time_to_read_data_is_over(self, world, platform, account, asked, clock):
        with writing():
            account.meta = {"token_data_access_expires_at": int(clock().timestamp()) - 5}
        self.begin(world, account)
        assert asked == ["data_access"]
