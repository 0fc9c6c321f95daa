"""What an account may do, asking for just what is missing, and what stays when that is declined."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from socialconsole import accounts, connections, lights, platform_apps, receipts, tokens
from socialconsole.database import writing
from socialconsole.errors import Declined
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, DECLINED, FINISHED, Account, Grant, PlatformApp
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Consent

from .conftest import PROFILE, SCOPES, pair

BROWSER = "a browser"
WITHOUT = frozenset(SCOPES - {"media.write"})


def lacks(account, *names):
    with writing():
        account.grant.scopes_granted = sorted(SCOPES - set(names))
        account.grant.app.features = ["media"]


def light(account, slug):
    return next(one for one in lights.lights(account) if one.slug == slug)


def ask(world, account, *names):
    address = connections.begin(world.app, world.workspace, world.alice, world.login, BROWSER, account=account,
                                scopes=names)
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def come_back(world, query):
    return connections.finish("twitter", {"state": query["state"], "code": "c0de"}, world.login, BROWSER)


def test_each_feature_says_whether_it_works_and_what_is_missing(account):
    lacks(account, "media.write")
    states = {one.slug: one.state for one in lights.lights(account)}
    assert states["format-text"] == states["delete"] == states["profile"] == lights.WORKS
    assert states["media"] == lights.OFF
    off = light(account, "media")
    assert [(one.name, one.purpose) for one in off.missing] == [("media.write", "Upload pictures and videos")]
    assert off.ask == ("media.write",)


def test_where_the_platform_does_not_tell_nothing_is_called_on_or_off(account):
    with writing():
        account.grant.scopes_granted = None
    assert {one.state for one in lights.lights(account)} == {lights.UNKNOWN}
    assert not any(one.ask for one in lights.lights(account))


def test_what_the_admin_does_not_ask_for_cannot_be_granted_from_here(world, account):
    with writing():
        account.grant.app.features = ["media", "comments"]
        account.grant.app.scope_override = "tweet.read tweet.write users.read offline.access"
        account.grant.scopes_granted = ["tweet.read", "tweet.write", "users.read", "offline.access"]
    off = light(account, "comments")
    assert (off.state, off.ask) == (lights.OFF, ()) and [one.name for one in off.unasked] == ["tweet.moderate.write"]
    with pytest.raises(connections.NotOffered, match="does not ask for tweet.moderate.write"):
        ask(world, account, "tweet.moderate.write")


@pytest.mark.parametrize("name", ["tweet.read", "made.up", "offline.access&scope=evil"])
def test_only_what_is_missing_and_known_is_asked_for(world, account, name):
    lacks(account, "media.write")
    with pytest.raises(connections.NotOffered):
        ask(world, account, name)


def test_where_a_consent_replaces_the_old_one_what_is_held_is_asked_for_with_it(world, account):
    lacks(account, "media.write")
    with writing():
        account.grant.app.features = ["media", "comments"]
    query = ask(world, account, "media.write")
    assert set(query["scope"].split()) == set(SCOPES)  # and not tweet.moderate.write, which nobody asked for
    assert "takes the place of the old one" in lights.what_happens(account, light(account, "media"))


def test_the_light_is_on_after_the_person_said_yes(world, platform, account, clock):
    lacks(account, "media.write")
    first = clock()
    clock.ahead(days=3)
    attempt = come_back(world, ask(world, account, "media.write"))
    connections.confirm(attempt, ["42"], world.alice)
    db.session.refresh(account)
    assert light(account, "media").state == lights.WORKS
    assert set(account.grant.scopes_asked.split()) == set(SCOPES)
    assert lights.since(account.grant, "media.write") == clock()
    assert lights.since(account.grant, "tweet.write") == first


def test_saying_no_at_the_platform_leaves_everything_as_it_was(world, platform, account):
    lacks(account, "media.write")
    before = (account.grant.access_sealed, list(account.grant.scopes_granted), account.grant.version)
    platform.says("consent", Declined("You did not allow access at X. Nothing was connected.", "access_denied"))
    attempt = come_back(world, ask(world, account, "media.write"))
    db.session.refresh(account)
    assert (attempt.state, account.state) == (DECLINED, ACTIVE)
    assert (account.grant.access_sealed, account.grant.scopes_granted, account.grant.version) == before


def test_declining_just_that_and_confirming_leaves_the_account_working(world, platform, account):
    lacks(account, "media.write")
    platform.says("consent", Consent(pair(5), "42", "Acme Bakery", WITHOUT, (PROFILE,)))
    attempt = come_back(world, ask(world, account, "media.write"))
    assert [one.name for one in connections.missing(attempt)] == ["media.write"] and not connections.lost(attempt)
    connections.confirm(attempt, ["42"], world.alice)
    db.session.refresh(account)
    assert (account.state, light(account, "format-text").state) == (ACTIVE, lights.WORKS)
    assert light(account, "media").ask == ("media.write",)


def test_cancelling_on_our_page_revokes_nothing_the_account_lives_by(world, platform, account):
    lacks(account, "media.write")
    attempt = come_back(world, ask(world, account, "media.write"))
    connections.refuse(attempt, world.alice)
    db.session.refresh(account)
    assert platform.times("revoke") == 0 and account.grant.access_sealed is not None


def test_an_account_to_be_reconnected_is_asked_for_everything(world, account, clock):
    lacks(account, "media.write")
    with writing():
        tokens.expire_account(account, "revoked", "X ended this connection.", clock())
    assert lights.lights(account) == []
    with pytest.raises(connections.NotOffered, match="reconnected first"):
        ask(world, account, "media.write")


def test_what_wants_for_the_same_permission_is_one_line(account):
    lacks(account, "tweet.write")
    off = [one for one in lights.grouped(lights.lights(account)) if one.state == lights.OFF]
    assert [one.ask for one in off] == [("tweet.write",)]
    assert off[0].label.startswith("Text, ") and "Delete published posts" in off[0].label
    assert lights.summary(account) == off


def test_a_feature_stands_for_the_formats_that_it_opens(account):
    lacks(account, "media.write")
    [off] = [one for one in lights.grouped(lights.lights(account)) if one.state == lights.OFF]
    assert (off.label, off.ask) == ("Pictures and videos", ("media.write",))


@pytest.mark.parametrize(("lacking", "said"), [(("a",), "a was not granted"), (("a", "b"), "a, b were not granted")])
def test_one_permission_was_and_two_were_not_granted(lacking, said):
    assert accounts.not_granted(lacking) == said


class TestWhereWhatWasGivenStays:
    """Platforms that add a consent to the earlier one."""

    @pytest.fixture
    def page(self, world, clock):
        with writing() as session:
            app = PlatformApp(id="app_f", platform="facebook", segment="facebook", client_id="1", is_on=True,
                              features=["analytics"], created_at=clock(), updated_at=clock())
            session.add(app)
            app.secret_version = 1
            app.secret_sealed = platform_apps.vault().seal("s3cret", *platform_apps.secret_record(app))
            session.flush()
            grant = Grant(id="grt_f", workspace_id="wsp_1", platform="facebook", app_id="app_f", app_generation=1,
                          person_id="7", fence=0, version=0, granted_at=clock(), scopes_granted=[
                              "public_profile", "email", "pages_show_list", "pages_read_engagement", "read_insights"],
                          scopes_asked="public_profile,email,pages_show_list,pages_read_engagement,pages_manage_posts,"
                                       "read_insights")
            tokens.store(grant, pair(1), clock())
            session.add(grant)
            made = Account(id="acc_f", workspace_id="wsp_1", platform="facebook", platform_user_id="900", grant=grant,
                           display_name="Acme", state=ACTIVE, state_since=clock(), connected_at=clock())
            session.add(made)
        return made

    def begin(self, world, page):
        address = connections.begin(page.grant.app, world.workspace, world.alice, world.login, BROWSER, account=page,
                                    scopes=["pages_manage_posts"])
        return parse_qs(urlsplit(address).query)

    def finish(self, world, monkeypatch, query, person, scopes):
        provider = PROVIDERS["facebook"]
        profile = PROFILE.__class__("900", "", "Acme", kind="Facebook Page", own_token="page-token")
        monkeypatch.setattr(provider, "consent", lambda app, code, verifier: Consent(
            pair(8), person, "Somebody", frozenset(scopes), (profile,)))
        return connections.finish("facebook", {"state": query["state"][0], "code": "c"}, world.login, BROWSER)

    def test_exactly_the_missing_scope_is_asked_for(self, world, page):
        query = self.begin(world, page)
        assert (query["scope"], query["auth_type"]) == (["pages_manage_posts"], ["rerequest"])
        assert "Only this is asked for" in lights.what_happens(page, light(page, "format-text"))

    def test_the_grant_keeps_what_was_asked_and_given_before(self, world, page, monkeypatch):
        held = [*page.grant.scopes_granted, "pages_manage_posts"]
        attempt = self.finish(world, monkeypatch, self.begin(world, page), "7", held)
        connections.confirm(attempt, ["900"], world.alice)
        db.session.refresh(page)
        assert page.grant.id == "grt_f" and page.grant.scopes_granted == sorted(held)
        assert "read_insights" in page.grant.scopes_asked and "pages_manage_posts" in page.grant.scopes_asked
        assert light(page, "format-text").state == lights.WORKS

    def test_another_persons_part_does_not_take_the_place_of_the_whole(self, world, page, monkeypatch):
        attempt = self.finish(world, monkeypatch, self.begin(world, page), "8", ["pages_manage_posts"])
        with pytest.raises(connections.NotOffered, match="Sign in there as the same person"):
            connections.confirm(attempt, ["900"], world.alice)
        db.session.refresh(page)
        assert page.grant.person_id == "7" and page.state == ACTIVE

    def test_a_configuration_is_asked_for_as_a_whole(self, world, page):
        with writing():
            page.grant.app.options = {"config_id": "123"}
        query = self.begin(world, page)
        assert query["config_id"] == ["123"] and "scope" not in query
        assert "takes the place of the old one" in lights.what_happens(page, light(page, "format-text"))


def test_a_platform_that_ends_other_sets_is_asked_for_the_whole_set():
    provider = PROVIDERS["linkedin"]
    app = PlatformApp(platform="linkedin", mode="member", features=["comments"], options={})
    possible = ("openid", "profile", "email", "w_member_social", "w_member_social_feed")
    assert lights._names_to_send(provider, app, ["w_member_social_feed"], {"openid"}, possible) == (possible, False)


def test_google_is_asked_for_all_anew_so_that_no_other_workspaces_consent_comes_along():
    provider = PROVIDERS["youtube"]
    assert "include_granted_scopes" not in provider.authorize_parameters(None, "more")
    app = PlatformApp(platform="youtube", mode="", features=[], options={})
    names, only = lights._names_to_send(provider, app, ["upload"], {"readonly"}, ("readonly", "upload", "manage"))
    assert set(names) == {"readonly", "upload"} and not only


class TestReceipt:
    """What a person agreed to, as it stood on that day."""

    def connect(self, world, platform, scopes=SCOPES):
        with writing():
            world.app.features = ["media"]
        platform.says("consent", Consent(pair(5), "42", "Mara Lindqvist", scopes, (PROFILE,)))
        address = connections.begin(world.app, world.workspace, world.alice, world.login, BROWSER)
        attempt = come_back(world, {"state": parse_qs(urlsplit(address).query)["state"][0]})
        assert receipts.of(attempt) is None
        connections.confirm(attempt, ["42"], world.alice)
        assert attempt.state == FINISHED
        return attempt

    def test_it_names_who_what_where_and_for_how_long(self, world, platform):
        attempt = self.connect(world, platform, WITHOUT)
        made = receipts.of(attempt)
        assert (made.by, made.person, made.platform, made.workspace) == (
            world.alice.shown, "Mara Lindqvist", "X", "Harbour Bakery")
        assert [one.handle for one in made.profiles] == ["acme"]
        assert {one.name for one in made.granted} == set(WITHOUT)
        assert [(one.name, one.purpose) for one in made.declined] == [("media.write", "Upload pictures and videos")]
        text = receipts.text(made)
        for part in ("Harbour Bakery", "Mara Lindqvist", "@acme", "tweet.write: Publish and delete posts",
                     "Connected apps", made.reconnect):
            assert part in text
        assert "access-5" not in text and "refresh-5" not in text

    def test_a_later_change_of_the_permission_does_not_change_it(self, world, platform):
        attempt = self.connect(world, platform)
        with writing():
            db.session.get_one(Account, attempt.result_ids[0]).grant.scopes_granted = []
        assert {one.name for one in receipts.of(attempt).granted} == set(SCOPES)

    def test_without_renewal_it_says_by_when_to_come_back(self, world, platform, clock):
        once = Consent(pair(5, 3600).__class__("access-5", None, 60 * 86400, None, SCOPES), "42", "Mara", SCOPES,
                       (PROFILE,))
        platform.says("consent", once)
        address = connections.begin(world.app, world.workspace, world.alice, world.login, BROWSER)
        attempt = come_back(world, {"state": parse_qs(urlsplit(address).query)["state"][0]})
        connections.confirm(attempt, ["42"], world.alice)
        made = receipts.of(attempt)
        assert made.ends_at == clock() + timedelta(days=60)
        assert made.reconnect.startswith("Reconnect before 20 Jan 2027")
