"""Several apps of one platform: who may connect through which, and each token renewed by the app that gave it."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from socialconsole import connections, disconnections, platform_apps, tokens
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import FAILED, GRANTED, TOKEN_EXPIRED, Account, Grant, PlatformApp
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Consent, Profile, Revoke

from .conftest import SCOPES, pair

BROWSER = "a browser"


@pytest.fixture
def second(world, clock) -> PlatformApp:
    """A second app of X, on."""
    with writing() as session:
        app = PlatformApp(id="app_y", platform="twitter", segment="twitter-2", name="Pages", client_id="client-two",
                          is_on=True, created_at=clock() + timedelta(hours=1), updated_at=clock())
        session.add(app)
        app.secret_version = 1
        app.secret_sealed = platform_apps.vault().seal("s3cret-of-the-second", *platform_apps.secret_record(app))
    return app


def change(app, **values):
    with writing():
        for name, value in values.items():
            setattr(app, name, value)


def connect(world, app, segment, **more):
    address = connections.begin(app, world.workspace, world.alice, world.login, BROWSER, **more)
    state = parse_qs(urlsplit(address).query)["state"][0]
    attempt = connections.finish(segment, {"state": state, "code": "c0de"}, world.login, BROWSER)
    assert attempt.state == GRANTED, attempt.error
    return connections.confirm(attempt, [one.profile.platform_user_id for one in connections.choices(attempt)],
                               world.alice)


def labels(workspace):
    return [offer.label for offer in connections.offers(workspace)]


def test_each_app_that_is_on_is_offered_and_named_where_there_are_several(world, second):
    assert labels(world.workspace) == ["X · App 1", "X · Pages"]
    change(second, is_on=False)
    assert labels(world.workspace) == ["X"]


def test_an_app_of_one_workspace_is_not_offered_to_another(world, second):
    change(second, workspace_ids=[world.workspace.id])
    assert labels(world.workspace) == ["X · App 1", "X · Pages"] and labels(world.other) == ["X"]
    assert connections.offered(world.workspace, "twitter-2") is second
    with pytest.raises(connections.NotOffered, match="not turned on for this workspace"):
        connections.offered(world.other, "twitter-2")
    with pytest.raises(connections.NotOffered):
        connections.begin(second, world.other, world.alice, world.login, BROWSER)


def test_a_name_that_no_app_has_is_not_known(world):
    with pytest.raises(connections.UnknownApp):
        connections.offered(world.workspace, "twitter-7")


def test_an_app_that_is_closed_to_the_workspace_meanwhile_connects_nothing(world, second, platform):
    address = connections.begin(second, world.workspace, world.alice, world.login, BROWSER)
    change(second, workspace_ids=[world.other.id])
    state = parse_qs(urlsplit(address).query)["state"][0]
    attempt = connections.finish("twitter-2", {"state": state, "code": "c"}, world.login, BROWSER)
    assert attempt.state == FAILED and platform.times("consent") == 0


def test_a_consent_comes_back_to_the_callback_of_its_own_app_only(world, second, platform):
    address = connections.begin(second, world.workspace, world.alice, world.login, BROWSER)
    query = parse_qs(urlsplit(address).query)
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/api/connect/twitter-2/callback"]
    assert query["client_id"] == ["client-two"]
    with pytest.raises(connections.UnknownAttempt):
        connections.finish("twitter", {"state": query["state"][0], "code": "c"}, world.login, BROWSER)


def test_each_token_is_renewed_with_the_id_and_secret_that_gave_it(world, second, platform, clock, monkeypatch):
    used = []
    x = PROVIDERS["twitter"]
    monkeypatch.setattr(x, "renew", lambda app, held: used.append((app.client_id, app.client_secret)) or pair(9))
    connect(world, world.app, "twitter")
    other = Profile("77", "other", "Other", kind="X account")
    platform.says("consent", Consent(pair(2), "77", "Other", SCOPES, (other,)))
    connect(world, second, "twitter-2")
    clock.ahead(minutes=96)
    grants = {grant.app_id: grant.id for grant in db.session.query(Grant)}
    for app_id in ("app_x", "app_y"):
        tokens.refresh(grants[app_id])
    assert used == [("client", "s3cret-of-the-app"), ("client-two", "s3cret-of-the-second")]


def test_reconnect_uses_the_app_that_gave_the_permission(world, second, platform):
    account, = connect(world, second, "twitter-2")
    assert connections.offered_again(account) is second


@pytest.mark.parametrize("closed", [{"is_on": False}, {"workspace_ids": ["wsp_2"]}])
def test_reconnect_falls_back_to_another_app_for_the_same_kind_of_use(world, second, platform, closed):
    account, = connect(world, second, "twitter-2")
    change(second, **closed)
    assert connections.offered_again(account) is world.app and connections.reconnectable(account)


def test_reconnect_never_falls_back_to_another_kind_of_use(world, second, platform):
    account, = connect(world, second, "twitter-2")
    change(second, is_on=False, mode="organization")
    with pytest.raises(connections.NotOffered, match="another kind of use"):
        connections.offered_again(account)
    assert not connections.reconnectable(account)
    change(world.app, is_on=False)
    with pytest.raises(connections.NotOffered, match="not turned on for this workspace"):
        connections.offered_again(account)


def test_an_account_moves_to_the_app_it_reconnects_through_and_others_stay(world, second, platform):
    page = Profile("99", "page", "Page", kind="X page")
    platform.says("consent", Consent(pair(1), "42", "Acme", SCOPES, (Profile("42", "acme", "Acme"), page)))
    one, two = connect(world, world.app, "twitter")
    platform.says("consent", Consent(pair(2), "42", "Acme", SCOPES, (Profile("42", "acme", "Acme"),)))
    again, = connect(world, second, "twitter-2", account=one)
    assert again.id == one.id and one.grant.app_id == "app_y"
    assert two.grant.app_id == "app_x" and tokens.read(two.grant).access_token == "access-1"


def test_one_consent_may_bring_profiles_of_different_kinds(world, second, platform):
    person, page = Profile("42", "acme", "Acme", kind="Person"), Profile("99", "page", "Page", kind="Company page")
    platform.says("consent", Consent(pair(1), "42", "Acme", SCOPES, (person, page)))
    assert [one.kind for one in connect(world, second, "twitter-2")] == ["Person", "Company page"]


def test_the_same_person_at_two_apps_is_two_permissions(world, second, platform, monkeypatch):
    monkeypatch.setattr(PROVIDERS["twitter"], "revoke_kind", Revoke.PERSON)
    connect(world, world.app, "twitter")
    platform.says("consent", Consent(pair(2), "42", "Acme", SCOPES, (Profile("99", "page", "Page"),)))
    page, = connect(world, second, "twitter-2")
    assert disconnections.what_disconnect_loses(page).revokes, "the other app's permission is not touched by it"
    disconnections.disconnect(page, world.alice, cancel_posts=False)
    assert platform.times("revoke") == 1 and db.session.query(Account).count() == 2


def test_an_account_whose_app_was_removed_may_come_back_through_any(world, second, platform):
    account, = connect(world, second, "twitter-2")
    change(account, grant=None, state=TOKEN_EXPIRED)
    assert connections.offered_again(account) is world.app
