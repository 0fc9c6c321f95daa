"""Saving an app: what is refused and with which words, what is kept, and what another app ends."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from socialconsole import configure, configure_checks, configure_form, platform_apps
from socialconsole.configure import NeedsConfirmation, Stale
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    DEAD,
    FAILED,
    GRANTED,
    HELD,
    PAUSED,
    TOKEN_EXPIRED,
    ConnectionAttempt,
    PlatformApp,
)
from socialconsole.providers import PROVIDERS
from tests.unit import configuring
from tests.unit.configuring import (
    LINKEDIN_ID,
    LINKEDIN_SECRET,
    NOW,
    OTHER_ID,
    OTHER_SECRET,
    connected,
    deliveries_of,
    events,
    refusal,
    save,
    saved,
)

admin, in_the_app = configuring.admin, configuring.in_the_app  # fixtures; the second runs around every test


# ---------------------------------------------------------------- saving


def test_what_is_saved_is_what_the_provider_gets(admin):
    app = saved(admin, api_version="202606", scope_override=" openid  w_member_social")
    facts = platform_apps.facts(app)
    assert (facts.client_id, facts.client_secret) == (LINKEDIN_ID, LINKEDIN_SECRET)
    assert facts.api_version == "202606" and facts.mode == "member"
    assert facts.scopes == " openid  w_member_social", "the override is sent exactly as typed"
    assert facts.hosts["web"] == "https://www.linkedin.com"


def test_blank_means_the_default_of_the_platform(admin):
    app = saved(admin)
    facts = platform_apps.facts(app)
    assert facts.scopes == "openid profile email w_member_social"
    assert facts.api_version == PROVIDERS["linkedin"].api_version.default


def test_typing_the_default_out_stores_nothing(admin):
    """A later release may raise the default, and the callback follows the public address."""
    app = saved(admin, api_version=PROVIDERS["linkedin"].api_version.default, scope_override="  ",
                callback_override=platform_apps.callback_url("linkedin"))
    assert (app.api_version, app.scope_override, app.callback_override) == ("", "", "")


def test_pasted_values_are_trimmed(admin):
    app = saved(admin, client_id=f"\ufeff “{LINKEDIN_ID}” ", client_secret=f"\t'{LINKEDIN_SECRET}'\n")
    assert app.client_id == LINKEDIN_ID
    assert platform_apps.open_secret(app) == LINKEDIN_SECRET


def test_the_secret_is_sealed_and_bound_to_its_row(admin):
    app = saved(admin)
    assert LINKEDIN_SECRET.encode() not in app.secret_sealed
    assert (app.secret_last4, app.secret_changed_by, app.secret_changed_at) == ("7f3a", "Mara", NOW)
    assert LINKEDIN_SECRET not in repr(platform_apps.facts(app))


def test_a_blank_secret_keeps_the_stored_one(admin):
    app = saved(admin)
    save(admin, client_secret="", scope_override="openid profile email w_member_social r_basicprofile")
    assert platform_apps.open_secret(app) == LINKEDIN_SECRET


def test_features_add_their_scopes(admin):
    app = save(admin, "twitter", client_id="", features=["media"]).app
    assert platform_apps.scope_string(app) == "tweet.read tweet.write users.read offline.access media.write"
    assert save(admin, "twitter", features=["media", "unheard-of"]).changed == ()


def test_the_media_feature_of_x_is_ticked_when_the_form_is_first_opened(admin):
    assert "media" in configure_form.form("twitter", NOW).values.features


@pytest.mark.parametrize("field, values", [
    ("client_id", {"client_id": "has a blank", "client_secret": LINKEDIN_SECRET}),
    ("client_secret", {"client_id": LINKEDIN_ID, "client_secret": LINKEDIN_ID}),
    ("client_id", {"client_id": LINKEDIN_SECRET, "client_secret": LINKEDIN_ID}),
    ("client_id", {"client_id": "", "client_secret": LINKEDIN_SECRET}),
    ("client_id", {"client_id": "x" * 301, "client_secret": LINKEDIN_SECRET}),
    ("client_secret", {"client_id": LINKEDIN_ID, "client_secret": "x" * 501}),
    ("api_version", {"api_version": "v25.0"}),
    ("api_version", {"api_version": "201901"}),
    ("callback_override", {"callback_override": "social.example/callback"}),
    ("callback_override", {"callback_override": "ftp://social.example/api/connect/linkedin/callback"}),
    ("callback_override", {"callback_override": "http://social.example/api/connect/linkedin/callback"}),
    ("callback_override", {"callback_override": "https://social.example/api/connect/linkedin/callback?x=1"}),
    ("callback_override", {"callback_override": "https://social.example/api/connect/linkedin/callback#x"}),
    ("callback_override", {"callback_override": "https://me:pw@social.example/api/connect/linkedin/callback"}),
    ("callback_override", {"callback_override": "https://social.example:99999/api/connect/linkedin/callback"}),
    ("callback_override", {"callback_override": "https://[social.example/api/connect/linkedin/callback"}),
    ("callback_override", {"callback_override": "https://\u2100.example/api/connect/linkedin/callback"}),
    ("callback_override", {"callback_override": "https://social.example/a b"}),
    ("callback_override", {"callback_override": "https://social.exämple/callback"}),
    ("callback_override", {"callback_override": "https://social.example/" + "a" * 500}),
    ("callback_override", {"callback_override": "https://social.example/api/connect/facebook/callback"}),
    ("scope_override", {"scope_override": "openid\r\nprofile"}),
    ("scope_override", {"scope_override": "a" * 2001}),
])
def test_slips_are_named_at_their_field(admin, field, values):
    errors = refusal(admin, **values)
    assert list(errors) == [field] or (field in errors and "client" in field), errors
    assert errors[field].endswith(".") and "!" not in errors[field]
    assert db.session.scalar(select(func.count()).select_from(PlatformApp)) == 0


def test_an_api_key_is_no_client_id_of_x(admin):
    assert "client_id" in refusal(admin, "twitter", client_id="Ab3dEfGh1jKlMn0pQrStUvWxY", client_secret="s" * 50)


def test_an_option_may_not_be_endless(admin):
    assert "option_config_id" in refusal(admin, "facebook", option_config_id="9" * 201)


def test_a_version_ends_on_its_day():
    linkedin = PROVIDERS["linkedin"]
    version, ends = next((name, day) for name, day in linkedin.api_version.living.items() if day is not None)
    assert configure_checks.version_problem(linkedin, version, ends - timedelta(days=1)) == ""
    assert version in configure_checks.version_problem(linkedin, version, ends)


def test_a_version_younger_than_this_release_is_let_through():
    assert configure_checks.version_problem(PROVIDERS["facebook"], "v99.0", date(2026, 11, 21)) == ""
    assert "no longer" in configure_checks.version_problem(PROVIDERS["facebook"], "v18.0", date(2026, 11, 21))


def test_the_stored_id_may_not_be_emptied(admin):
    saved(admin)
    assert "turn it off" in refusal(admin, client_id="")["client_id"]


def test_the_same_values_again_do_nothing(admin):
    app = saved(admin)
    before = len(events())
    again = save(admin, client_secret=LINKEDIN_SECRET)
    assert again.changed == () and len(events()) == before and app.version == 1


def test_a_form_sent_twice_acts_once(admin):
    first = {"client_id": LINKEDIN_ID, "client_secret": LINKEDIN_SECRET, "mode": "member", "version": "0"}
    configure.save("linkedin", first, admin, NOW)
    assert configure.save("linkedin", first, admin, NOW).changed == ()
    assert [event.action for event in events()] == ["platform.saved"]


def test_a_form_older_than_what_is_stored_is_refused_naming_both(admin):
    saved(admin)
    save(admin, scope_override="openid")
    with pytest.raises(Stale) as caught:
        save(admin, version=1, scope_override="profile", client_secret=OTHER_SECRET)
    assert caught.value.stored == {"scope_override": "openid", "client_secret": "•••• 7f3a"}
    assert platform_apps.scope_string(platform_apps.app_of("linkedin")) == "openid"


# ---------------------------------------------------------------- history


def test_the_history_tells_what_changed_and_never_a_secret(admin):
    app = saved(admin)
    save(admin, client_secret=OTHER_SECRET, scope_override="openid")
    configure.turn_on("linkedin", NOW)
    configure.turn_off("linkedin", NOW)
    found = events()
    assert [event.action for event in found] == [
        "platform.saved", "platform.saved", "platform.secret_replaced", "platform.turned_on", "platform.turned_off"]
    assert found[1].detail == {"before": {"scope_override": ""}, "after": {"scope_override": "openid"}}
    kept = " ".join(f"{event.summary} {event.detail}" for event in found)
    assert LINKEDIN_SECRET not in kept and OTHER_SECRET not in kept
    assert {event.id for event in platform_apps.history(app)} == {event.id for event in found}


# ---------------------------------------------------------------- another app


def test_another_client_id_says_first_how_many_profiles_it_ends(admin):
    app = saved(admin)
    accounts = [connected(app), connected(app, state=PAUSED, number=2), connected(app, state=TOKEN_EXPIRED, number=3)]
    with pytest.raises(NeedsConfirmation) as caught:
        save(admin, client_id=OTHER_ID, client_secret=OTHER_SECRET)
    assert caught.value.count == 2 and "2 connected profiles" in str(caught.value)
    assert platform_apps.app_of("linkedin").client_id == LINKEDIN_ID
    assert [account.state for account in accounts] == [ACTIVE, PAUSED, TOKEN_EXPIRED]


def test_another_client_id_ends_what_the_old_one_minted(admin):
    app = saved(admin)
    account = connected(app)
    result = save(admin, client_id=OTHER_ID, client_secret=OTHER_SECRET, confirm=True)
    db.session.expire_all()
    grant = account.grant
    assert result.ended == 1 and app.generation == 2
    assert (account.state, account.reason) == (TOKEN_EXPIRED, "app_changed")
    assert (grant.state, grant.access_sealed, grant.refresh_sealed, grant.due_at) == (DEAD, None, None, None)
    assert grant.fence == 1, "a renewal under way must not write its answer"
    assert account.own_token_sealed is None
    assert deliveries_of(account) == [HELD]
    assert any(event.action == "platform.replaced" and event.detail["profiles"] == 1 for event in events())


def test_another_client_id_without_profiles_asks_nothing(admin):
    app = saved(admin)
    save(admin, client_id=OTHER_ID, client_secret=OTHER_SECRET)
    assert app.generation == 2


def test_a_consent_given_to_the_old_app_leads_nowhere(admin):
    app = saved(admin)
    account = connected(app)
    with writing() as session:
        attempt = ConnectionAttempt(
            state_hash="s", browser_hash="b", platform="linkedin", app_id=app.id, app_generation=1, user_id=admin.id,
            workspace_id=account.workspace_id, login_id="-", redirect_uri="-", scopes_asked="", state=GRANTED,
            consent_sealed=b"tokens", created_at=NOW, expires_at=NOW)
        session.add(attempt)
    save(admin, client_id=OTHER_ID, client_secret=OTHER_SECRET, confirm=True)
    db.session.expire_all()
    assert (attempt.state, attempt.consent_sealed) == (FAILED, None)


def test_another_secret_alone_ends_nothing(admin):
    app = saved(admin)
    account = connected(app)
    save(admin, client_secret=OTHER_SECRET)
    db.session.expire_all()
    assert account.state == ACTIVE and app.generation == 1 and app.secret_last4 == "5e21"


def test_the_counting_of_profiles_looks_at_this_app_only(admin):
    app = saved(admin)
    connected(app)
    other = save(admin, "facebook", client_id="123456789012345", client_secret="0123456789abcdef0123456789abcdef").app
    assert platform_apps.working_profiles(other) == 0
    assert {row.provider.slug: row.accounts for row in platform_apps.overview(NOW)}["linkedin"] == 1
