"""Links to connect: for whoever holds the platform's login, once, as long as whoever asked may still do the same."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select
from werkzeug.exceptions import NotFound

from socialconsole import accounts, connect_links, connections, disconnections, logins, platform_apps
from socialconsole.access import Invalid
from socialconsole.connect_links import (
    ENDED,
    FULL,
    NO_LONGER_MAY,
    OFF,
    OPEN,
    OPENED,
    RAN_OUT,
    TAKEN_BACK,
    USED,
    Unusable,
)
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    EDITOR,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    TOKEN_EXPIRED,
    VIEWER,
    Account,
    AuditEvent,
    ConnectionAttempt,
    ConnectLink,
    Membership,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Consent, Profile

from .conftest import SCOPES, pair

BROWSER = "the browser of a guest"
OTHER = Profile("77", "other", "Somebody Else", kind="X account")


@pytest.fixture
def broken(account: Account) -> Account:
    """@acme, which needs a person."""
    with writing():
        account.state, account.reason_text = TOKEN_EXPIRED, "It was revoked."
    return account


def walk(made, browser=BROWSER, **more) -> ConnectionAttempt:
    """Open a link's consent and come back with the platform's yes, signed in nowhere."""
    address = connect_links.begin(made.link, "", browser, **more)
    state = parse_qs(urlsplit(address).query)["state"][0]
    return connections.finish("twitter", {"state": state, "code": "c0de"}, None, browser)


def count(model):
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def actions():
    return list(db.session.scalars(select(AuditEvent.action).where(AuditEvent.action.like("link.%"))
                                   .order_by(AuditEvent.at, AuditEvent.id)))


def role(who: str, role: str) -> None:
    with writing() as session:
        session.get_one(Membership, ("wsp_1", who)).role = role


# ---------------------------------------------------------------- asking


def test_only_the_hash_of_the_token_is_kept(world, broken):
    made = connect_links.to_reconnect(broken, world.bob)
    row = db.session.scalars(select(ConnectLink)).one()
    assert row.token_hash == logins.digest(made.token) and len(made.token) >= 43
    assert all(made.token not in str(value) for value in vars(row).values())
    assert made.address == f"http://127.0.0.1:8000/link/{made.token}"
    assert connect_links.by_token(made.token).id == row.id
    with pytest.raises(connect_links.Unknown):
        connect_links.by_token(made.token[:-1] + "x")


@pytest.mark.parametrize(("typed", "field"), [({"life": "year"}, "life"), ({"note": "x" * 501}, "note"),
                                              ({"email": "mara"}, "email")])
def test_what_cannot_be_taken_is_said_beside_its_field(world, broken, typed, field):
    with pytest.raises(Invalid) as refusal:
        connect_links.to_reconnect(broken, world.bob, **typed)
    assert list(refusal.value.errors) == [field] and count(ConnectLink) == 0


def test_so_many_links_are_mailed_in_a_day_and_no_more(world, broken, clock, monkeypatch):
    monkeypatch.setattr(connect_links, "MOST_MAILED", 2)
    for number in range(2):
        connect_links.to_reconnect(broken, world.alice, email=f"client{number}@example.com")
    with pytest.raises(Invalid, match="within a day") as refusal:
        connect_links.to_reconnect(broken, world.alice, email="client@example.com")
    assert set(refusal.value.errors) == {"email"} and count(ConnectLink) == 2
    connect_links.to_reconnect(broken, world.alice)
    clock.ahead(days=1, seconds=1)
    assert connect_links.to_reconnect(broken, world.alice, email="client@example.com").link.email


@pytest.mark.parametrize(("life", "length"), [("hour", timedelta(hours=1)), ("days", timedelta(days=3)),
                                              ("week", timedelta(days=7))])
def test_it_lives_as_long_as_was_chosen(world, broken, clock, life, length):
    assert connect_links.to_reconnect(broken, world.bob, life).link.expires_at == clock() + length


def test_a_link_needs_a_platform_that_is_on(world, broken):
    with writing():
        world.app.is_on = False
    with pytest.raises(connections.NotOffered):
        connect_links.to_reconnect(broken, world.bob)
    with pytest.raises(connections.NotOffered):
        connect_links.to_connect(world.workspace, world.alice)


def test_an_invitation_names_an_app_that_is_offered(world):
    assert connect_links.to_connect(world.workspace, world.alice, "twitter").link.app_id == "app_x"
    assert connect_links.to_connect(world.workspace, world.alice).link.app_id is None
    with pytest.raises(Invalid):
        connect_links.to_connect(world.workspace, world.alice, "facebook")


def test_a_link_for_each_profile_that_needs_one(world, broken):
    made = connect_links.for_all_that_need_one(world.workspace, world.alice)
    assert [one.link.account_id for one in made] == ["acc_1"]
    with writing():
        broken.state = ACTIVE
    assert connect_links.for_all_that_need_one(world.workspace, world.alice) == []


# ---------------------------------------------------------------- using


def test_a_reconnect_by_somebody_without_an_account(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    attempt = walk(made)
    assert (attempt.state, attempt.user_id, attempt.link_id) == (GRANTED, None, made.link.id)
    assert broken.state == TOKEN_EXPIRED, "nothing is stored before the person's word"
    assert connect_links.refuse_other(attempt) is None
    assert connect_links.confirm(attempt, ["42"]) == [broken]
    db.session.refresh(made.link)
    assert broken.state == ACTIVE and made.link.used_at is not None and made.link.result_ids == ["acc_1"]
    assert broken.connected_by == "somebody with a link that bob@example.com asked for"
    said = [event.summary for event in accounts.history(broken)]
    assert "Reconnected by a link that bob@example.com asked for" in said
    assert actions() == ["link.made", "link.used"]


def test_an_invitation_connects_a_new_profile(world, platform):
    attempt = walk(connect_links.to_connect(world.workspace, world.alice, "twitter"))
    made = connect_links.confirm(attempt, ["42"])
    assert [one.username for one in made] == ["acme"] and count(Account) == 1
    assert actions() == ["link.made", "link.used"]


def test_confirming_twice_connects_once(world, platform):
    attempt = walk(connect_links.to_connect(world.workspace, world.alice))
    first, again = connect_links.confirm(attempt, ["42"]), connect_links.confirm(attempt, ["42"])
    assert first == again and count(Account) == 1 and actions().count("link.used") == 1


def test_of_two_who_confirm_by_one_link_one_wins(world, broken, platform, ground):
    made = connect_links.to_reconnect(broken, world.bob)
    waiting = [walk(made, f"browser {number}").id for number in range(4)]
    gate, ended = threading.Barrier(len(waiting)), []

    def run(attempt_id: str) -> None:
        with ground.app_context():
            attempt = db.session.get_one(ConnectionAttempt, attempt_id)
            gate.wait()
            try:
                ended.append(len(connect_links.confirm(attempt, ["42"])))
            except Unusable as refusal:
                ended.append(refusal.why)
            db.session.remove()

    threads = [threading.Thread(target=run, args=(one,)) for one in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, ended)) == ["1", USED, USED, USED]
    db.session.rollback()  # what this thread has read so far is older
    states = [db.session.get_one(ConnectionAttempt, one).state for one in waiting]
    assert sorted(states) == [EXPIRED, EXPIRED, EXPIRED, FINISHED]
    assert platform.times("revoke") == 0, "the winner lives by the permission of the same person"
    assert actions().count("link.used") == 1


def test_one_attempt_confirmed_by_many_threads_connects_once(world, platform, ground):
    attempt_id = walk(connect_links.to_connect(world.workspace, world.alice)).id
    gate, ended = threading.Barrier(4), []

    def run() -> None:
        with ground.app_context():
            attempt = db.session.get_one(ConnectionAttempt, attempt_id)
            gate.wait()
            ended.append([one.id for one in connect_links.confirm(attempt, ["42"])])
            db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()  # what this thread has read so far is older
    assert len(ended) == 4 and len({tuple(one) for one in ended}) == 1 and count(Account) == 1


def test_another_profile_is_refused_at_once_and_its_permission_taken_back(world, broken, platform):
    platform.says("consent", Consent(pair(5), "77", "Somebody Else", SCOPES, (OTHER,)))
    made = connect_links.to_reconnect(broken, world.bob)
    attempt = walk(made)
    assert connect_links.refuse_other(attempt) == ["Somebody Else (@other)"]
    assert (attempt.state, attempt.error_code, attempt.consent_sealed) == (FAILED, "another_profile", None)
    assert "other" not in attempt.error.lower().replace("another", "").replace("otherwise", "")
    assert platform.asked[-1] == ("revoke", "access-5")
    assert broken.state == TOKEN_EXPIRED and count(Account) == 1
    assert connect_links.state(made.link, connect_links.outside.now()) == OPEN, "the link may be tried again"
    assert actions() == ["link.made", "link.refused"]
    assert connect_links.refuse_other(attempt) is None


def test_the_wrong_permission_stays_where_others_live_by_it(world, broken, platform):
    connections.confirm(_own_walk(world, platform), ["77"], world.alice)
    platform.says("consent", Consent(pair(6), "77", "Somebody Else", SCOPES, (OTHER,)))
    attempt = walk(connect_links.to_reconnect(broken, world.bob))
    assert connect_links.refuse_other(attempt) == ["Somebody Else (@other)"]
    assert platform.times("revoke") == 0


def _own_walk(world, platform) -> ConnectionAttempt:
    platform.says("consent", Consent(pair(5), "77", "Somebody Else", SCOPES, (OTHER,)))
    address = connections.begin(world.app, world.workspace, world.alice, world.login, "own")
    query = {"state": parse_qs(urlsplit(address).query)["state"][0], "code": "c"}
    return connections.finish("twitter", query, world.login, "own")


def test_the_right_profile_that_cannot_be_connected_says_why(world, broken, platform):
    unfit = Profile("42", "acme", "Acme Bakery", problem="Your role there does not allow it.")
    platform.says("consent", Consent(pair(5), "42", "Acme", SCOPES, (unfit,)))
    attempt = walk(connect_links.to_reconnect(broken, world.bob))
    connect_links.refuse_other(attempt)
    assert (attempt.state, attempt.error) == (FAILED, "Your role there does not allow it.")


def test_a_reconnect_takes_nothing_but_its_own_profile(world, broken, platform):
    own = Profile("42", "acme", "Acme Bakery")
    platform.says("consent", Consent(pair(5), "42", "Acme", SCOPES, (own, OTHER)))
    attempt = walk(connect_links.to_reconnect(broken, world.bob))
    assert connect_links.refuse_other(attempt) is None
    assert connect_links.confirm(attempt, ["42", "77"]) == [broken] and count(Account) == 1


def test_a_try_again_asks_for_another_login(world, broken, platform, monkeypatch):
    seen = []
    monkeypatch.setattr(PROVIDERS["twitter"], "authorization_url",
                        lambda app, state, verifier, again: seen.append(again) or f"https://x.com/?state={state}")
    made = connect_links.to_reconnect(broken, world.bob)
    connect_links.begin(made.link, "", BROWSER)
    connect_links.begin(made.link, "", BROWSER, other=True)
    assert seen == ["", "another"]


def test_declining_leaves_the_link_open(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    state = parse_qs(urlsplit(connect_links.begin(made.link, "", BROWSER)).query)["state"][0]
    connections.finish("twitter", {"state": state, "error": "access_denied"}, None, BROWSER)
    assert connect_links.confirm(walk(made), ["42"]) == [broken]


def test_the_walk_belongs_to_its_browser_and_to_no_member(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    state = parse_qs(urlsplit(connect_links.begin(made.link, "", BROWSER)).query)["state"][0]
    query = {"state": state, "code": "c0de"}
    assert connections.is_of_link("twitter", query) and not connections.is_of_link("twitter", {"state": "x" * 43})
    for login, browser in ((world.login, "another"), (None, None), (None, "another")):
        with pytest.raises(connections.WrongBrowser):
            connections.finish("twitter", query, login, browser)
    attempt = connections.finish("twitter", query, world.login, BROWSER)  # whoever else is signed in there
    assert attempt.state == GRANTED
    assert connections.attempt_of_link(attempt.id, BROWSER) == attempt
    for browser in ("another", None, ""):
        with pytest.raises(NotFound):
            connections.attempt_of_link(attempt.id, browser)
    for person in (world.alice, world.bob):
        with pytest.raises(NotFound):
            connections.attempt(world.workspace, attempt.id, person)


def test_an_attempt_of_a_member_is_none_of_a_link(world, platform):
    attempt = _own_walk(world, platform)
    with pytest.raises(NotFound):
        connections.attempt_of_link(attempt.id, "own")


def test_a_walk_that_never_came_back_asks_no_member_about_it(world, broken, platform, clock):
    connect_links.begin(connect_links.to_reconnect(broken, world.alice).link, "", BROWSER)
    clock.ahead(hours=1)
    assert connections.unanswered(world.workspace, world.alice) == []


# ---------------------------------------------------------------- when it does not work


def ends(made) -> str:
    with pytest.raises(Unusable) as refusal:
        connect_links.begin(made.link, "", BROWSER)
    return refusal.value.why


def test_it_runs_out(world, broken, platform, clock):
    made = connect_links.to_reconnect(broken, world.bob, "hour")
    clock.ahead(minutes=50)
    attempt = walk(made)
    clock.ahead(minutes=10)
    assert ends(made) == RAN_OUT
    with pytest.raises(Unusable, match=RAN_OUT):
        connect_links.confirm(attempt, ["42"])
    assert attempt.state == EXPIRED and attempt.consent_sealed is None and broken.state == TOKEN_EXPIRED


def test_running_out_is_noted_once(world, broken, clock):
    connect_links.to_reconnect(broken, world.bob, "hour")
    used = connect_links.to_reconnect(broken, world.bob, "hour")
    with writing():
        used.link.used_at = clock()
    assert connect_links.note_expired(clock()) == 0
    clock.ahead(hours=1)
    assert connect_links.note_expired(clock()) == 1 and connect_links.note_expired(clock()) == 0
    assert actions().count("link.ran_out") == 1
    assert sorted(line.state for line in connect_links.of_account(broken)) == [RAN_OUT, USED]


def test_it_is_taken_back(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    attempt = walk(made)
    connect_links.take_back(world.workspace, made.link.id)
    assert ends(made) == TAKEN_BACK
    with pytest.raises(Unusable):
        connect_links.confirm(attempt, ["42"])
    assert platform.times("revoke") == 0 and attempt.state == EXPIRED, "the account itself lives by that permission"
    with pytest.raises(connect_links.MovedOn, match="taken back already"):
        connect_links.take_back(world.workspace, made.link.id)
    with pytest.raises(NotFound):
        connect_links.take_back(world.other, made.link.id)


def test_a_used_link_cannot_be_taken_back(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    connect_links.confirm(walk(made), ["42"])
    assert ends(made) == USED
    with pytest.raises(connect_links.MovedOn, match="used meanwhile"):
        connect_links.take_back(world.workspace, made.link.id)


def test_it_dies_with_the_role_of_whoever_asked(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    attempt = walk(made)
    role("usr_b", VIEWER)
    assert ends(made) == NO_LONGER_MAY
    with pytest.raises(Unusable, match=NO_LONGER_MAY):
        connect_links.confirm(attempt, ["42"])
    db.session.refresh(made.link)
    assert made.link.used_at is None and broken.state == TOKEN_EXPIRED
    role("usr_b", EDITOR)
    connect_links.check(made.link, connect_links.outside.now())
    with writing() as session:
        session.delete(session.get_one(Membership, ("wsp_1", "usr_b")))
    assert ends(made) == NO_LONGER_MAY


def test_an_invitation_needs_an_owner_behind_it(world, platform):
    made = connect_links.to_connect(world.workspace, world.alice)
    role("usr_a", EDITOR)
    assert ends(made) == NO_LONGER_MAY


def test_it_waits_while_the_platform_is_off_or_not_open_to_the_workspace(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    attempt = walk(made)
    with writing():
        world.app.is_on = False
    assert ends(made) == OFF
    with pytest.raises(Unusable, match=OFF):
        connect_links.confirm(attempt, ["42"])
    assert attempt.state == GRANTED, "what may pass does not throw a consent away"
    with writing():
        world.app.is_on, world.app.workspace_ids = True, ["wsp_2"]
    assert ends(made) == OFF
    with writing():
        world.app.workspace_ids = []
    assert connect_links.confirm(attempt, ["42"]) == [broken]


def test_an_invitation_counts_against_the_limit(world, account, platform):
    made = connect_links.to_connect(world.workspace, world.alice)
    platform.says("consent", Consent(pair(5), "77", "Somebody Else", SCOPES, (OTHER,)))
    attempt = walk(made)
    with writing():
        world.workspace.account_limit = 1
    assert ends(made) == FULL
    with pytest.raises(connections.OverLimit):
        connect_links.confirm(attempt, ["77"])
    db.session.refresh(made.link)
    assert made.link.used_at is None and attempt.state == GRANTED and count(Account) == 1
    with writing():
        world.workspace.account_limit = 2
    assert len(connect_links.confirm(attempt, ["77"])) == 1


def test_an_editors_link_does_not_bring_back_what_an_owner_ended(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    owners = connect_links.to_reconnect(broken, world.alice)
    disconnections.disconnect(broken, world.alice, cancel_posts=False)
    assert ends(made) == ENDED
    connect_links.check(owners.link, connect_links.outside.now())


def test_nothing_chosen_leaves_the_link_open(world, platform):
    made = connect_links.to_connect(world.workspace, world.alice)
    attempt = walk(made)
    with pytest.raises(connections.NotOffered):
        connect_links.confirm(attempt, [])
    db.session.refresh(made.link)
    assert made.link.used_at is None and attempt.state == GRANTED


# ---------------------------------------------------------------- what those who ask see


def test_the_list_tells_how_each_stands_and_of_the_last_try(world, broken, platform):
    made = connect_links.to_reconnect(broken, world.bob)
    assert [(line.state, line.last) for line in connect_links.of_account(broken)] == [(OPEN, None)]
    connect_links.opened(made.link)
    connect_links.opened(made.link)
    assert connect_links.of_account(broken)[0].state == OPENED and actions() == ["link.made", "link.opened"]
    attempt = walk(made)
    assert connect_links.of_account(broken)[0].last == attempt
    connect_links.confirm(attempt, ["42"])
    assert connect_links.of_workspace(world.workspace)[0].state == USED
    assert connect_links.of_workspace(world.other) == []


def test_what_is_asked_is_told_with_its_purpose(world):
    asked = connect_links.asks(world.app)
    assert {scope.name for scope in asked} == set(platform_apps.scope_string(world.app).split())
    assert all(scope.purpose for scope in asked)
