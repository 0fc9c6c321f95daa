"""The app of a platform as the console sees it: its state, its callback, its scopes, its trouble."""


import pytest

from socialconsole import configure, configure_form, create_app, deliveries, platform_apps
from socialconsole.configure import NotPossible
from socialconsole.database import writing
from socialconsole.models import ACTIVE, HELD, SCHEDULED
from socialconsole.providers import PROVIDERS
from tests.unit import configuring
from tests.unit.configuring import (
    LINKEDIN_ID,
    LINKEDIN_SECRET,
    NOW,
    OTHER_SECRET,
    connected,
    deliveries_of,
    events,
    refusal,
    save,
    saved,
)

admin, in_the_app = configuring.admin, configuring.in_the_app  # fixtures; the second runs around every test


# ---------------------------------------------------------------- on and off


def states() -> dict[str, tuple[str, str]]:
    return {row.provider.slug: (row.state, row.why) for row in platform_apps.overview(NOW)}


@pytest.fixture
def tiktok_waits(monkeypatch):
    """A version that knows TikTok only in Configure."""
    monkeypatch.setattr(PROVIDERS["tiktok"], "connectable", False)


def test_all_are_listed_and_each_says_how_it_stands(admin, tiktok_waits):
    assert list(states()) == list(PROVIDERS)
    assert states()["linkedin"] == ("none", "Save Client ID and Primary Client Secret first.")
    assert states()["tiktok"][1] == "This version cannot connect TikTok yet."
    saved(admin)
    assert states()["linkedin"][0] == "ready"
    configure.turn_on("linkedin", NOW)
    assert states()["linkedin"][0] == "on"


def test_on_is_refused_until_both_values_are_saved(admin):
    with pytest.raises(NotPossible, match="first"):
        configure.turn_on("linkedin", NOW)
    save(admin, client_id=LINKEDIN_ID)
    with pytest.raises(NotPossible, match="first"):
        configure.turn_on("linkedin", NOW)
    assert list(refusal(admin, complete=True)) == ["client_secret"]


def test_a_platform_that_cannot_connect_yet_is_never_on(admin, tiktok_waits):
    save(admin, "tiktok", client_id="awabcdef0123456789", client_secret="a" * 32)
    with pytest.raises(NotPossible, match="cannot connect TikTok yet"):
        configure.turn_on("tiktok", NOW)


def test_a_mode_that_cannot_connect_yet_may_be_prepared_but_not_turned_on(admin, monkeypatch):
    monkeypatch.setattr(PROVIDERS["linkedin"], "connectable_modes", ("member",))
    saved(admin, mode="organization")
    with pytest.raises(NotPossible, match="cannot connect LinkedIn as"):
        configure.turn_on("linkedin", NOW)
    save(admin, mode="member")
    configure.turn_on("linkedin", NOW)
    assert "off first" in refusal(admin, mode="organization")["mode"]


def test_off_holds_what_is_scheduled_and_on_lets_it_go(admin):
    app = saved(admin)
    account = connected(app)
    configure.turn_on("linkedin", NOW)
    configure.turn_off("linkedin", NOW)
    assert (deliveries_of(account), account.state) == ([HELD], ACTIVE)
    configure.turn_on("linkedin", NOW)
    assert deliveries_of(account) == [SCHEDULED]


def test_switching_twice_is_one_change(admin):
    saved(admin)
    for _ in range(2):
        configure.turn_on("linkedin", NOW)
    for _ in range(2):
        configure.turn_off("linkedin", NOW)
    assert [event.action for event in events()][1:] == ["platform.turned_on", "platform.turned_off"]


def test_a_change_holds_at_once_in_another_process(admin, config):
    """Two apps on one database, each as another process would have it: nothing is kept from one request to the next."""
    other = create_app(config)
    saved(admin)
    with other.app_context():
        assert platform_apps.facts(platform_apps.app_of("linkedin")).client_secret == LINKEDIN_SECRET
        assert platform_apps.authorize_origins() == []
    save(admin, client_secret=OTHER_SECRET)
    configure.turn_on("linkedin", NOW)
    with other.app_context():
        assert platform_apps.facts(platform_apps.app_of("linkedin")).client_secret == OTHER_SECRET
        assert platform_apps.authorize_origins() == ["https://www.linkedin.com"]


# ---------------------------------------------------------------- callback


def test_the_callback_is_the_computed_one_unless_overridden(admin):
    computed = platform_apps.callback_url("linkedin")
    app = saved(admin)
    assert platform_apps.callback_url(app) == platform_apps.facts(app).redirect_uri == computed
    override = "https://Social.example:8443/console/api/connect/linkedin/callback"
    save(admin, callback_override=override)
    assert platform_apps.callback_url(app) == platform_apps.facts(app).redirect_uri == override


def test_an_alias_in_the_override_leads_to_the_app(admin):
    app = saved(admin, callback_override="https://social.example/api/connect/li2/callback")
    configure.turn_on("linkedin", NOW)
    assert platform_apps.by_segment("li2") is app and platform_apps.by_segment("linkedin") is app
    assert platform_apps.by_segment("li3") is None
    assert platform_apps.authorize_origins() == ["https://social.example", "https://www.linkedin.com"]
    assert "already" in refusal(admin, "twitter", callback_override="https://b.example/api/connect/li2/callback")[
        "callback_override"]


def test_a_changed_public_address_is_named_until_it_is_saved_again(admin):
    app = saved(admin)
    connected(app)
    with writing():
        app.callback_saved = "https://old.example/api/connect/linkedin/callback"
    state, why = states()["linkedin"]
    assert state == "attention" and "https://old.example" in why and platform_apps.callback_url(app) in why
    assert "1 connected profile" in why
    assert save(admin).changed == ("callback",)
    assert states()["linkedin"][0] == "ready"


# ---------------------------------------------------------------- trouble


def test_trouble_is_flagged_once_and_cleared_by_success(admin):
    app = saved(admin)
    for _ in range(2):
        platform_apps.flag(app.id, "LinkedIn refuses the client secret.", "invalid_client", NOW)
    assert states()["linkedin"] == ("attention", "LinkedIn refuses the client secret.")
    assert [event.action for event in events()][1:] == ["platform.trouble"]
    platform_apps.clear_flag(app.id)
    platform_apps.clear_flag(app.id)
    assert states()["linkedin"][0] == "ready"
    assert [event.action for event in events()][2:] == ["platform.works_again"]


def test_another_secret_takes_the_flag_off_and_lets_waiting_posts_go(admin):
    app = saved(admin)
    account = connected(app)
    platform_apps.flag(app.id, "LinkedIn refuses the client secret.", "invalid_client", NOW)
    with writing():
        deliveries.hold_app(app, "Waits for the admin.", NOW)
    save(admin, client_secret=OTHER_SECRET)
    assert app.trouble == "" and deliveries_of(account) == [SCHEDULED]


# ---------------------------------------------------------------- scopes


def test_the_difference_to_the_default_names_what_goes_and_what_comes():
    x = PROVIDERS["twitter"]
    changes = configure_form.scope_diff(x, "", (), "tweet.read,tweet.write users.read media.write own.scope")
    assert [(change.name, change.kind) for change in changes] == [
        ("tweet.read", "same"), ("tweet.write", "same"), ("users.read", "same"), ("offline.access", "del"),
        ("media.write", "add"), ("own.scope", "add")]
    assert all(change.note for change in changes if change.kind != "same")
    assert configure_form.scope_diff(x, "", (), "  ") == []


def test_the_consequence_that_matters_most_is_said():
    x, linkedin = PROVIDERS["twitter"], PROVIDERS["linkedin"]
    said = configure_form.consequence(x, "", (), "tweet.read tweet.write users.read")
    assert said == "without `offline.access` X gives no refresh token: tenants must reconnect every two hours"
    assert "w_member_social" in configure_form.consequence(linkedin, "member", (), "openid profile email")
    assert configure_form.consequence(x, "", (), "") == ""


def test_a_version_that_ended_is_replaced_by_the_one_that_works_and_the_admin_reads_so(admin):
    app = saved(admin)
    facts = platform_apps.facts(app)
    platform_apps.version_ended(facts, "202612", "LinkedIn has ended API version 202607; 202612 works in its place.")
    assert platform_apps.facts(app).api_version == "202612"
    assert "202612 works in its place" in platform_apps.history(app)[0].summary
    platform_apps.version_ended(facts, "202701", "Too late.")
    assert platform_apps.facts(app).api_version == "202612", "somebody chose another one meanwhile"
