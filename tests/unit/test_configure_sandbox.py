"""Use the sandbox: it makes the app, and a real secret never meets it."""


import pytest
import requests
import responses

from socialconsole import configure_sandbox, platform_apps
from socialconsole.configure import NeedsConfirmation, NotPossible
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, TOKEN_EXPIRED
from socialconsole.providers import PROVIDERS
from tests.unit import configuring
from tests.unit.configuring import LINKEDIN_ID, LINKEDIN_SECRET, NOW, connected, refusal, save, saved

admin, in_the_app = configuring.admin, configuring.in_the_app  # fixtures; the second runs around every test


# ---------------------------------------------------------------- the sandbox


def sandbox_makes(config, client_id: str = "sandbox-id-0001", secret: str = "sandbox-secret-0001") -> None:
    responses.post(f"{config.sandbox_url}/portal/api/apps", status=201,
                   json={"platform": "linkedin", "client_id": client_id, "client_secret": secret})


@responses.activate
def test_the_sandbox_makes_the_app_with_our_callback(admin, config):
    sandbox_makes(config, "78sandboxsandb", "WPL_AP1.sandbox123456789")
    app = configure_sandbox.use_sandbox("linkedin", admin, NOW).app
    assert app.is_sandbox and platform_apps.open_secret(app) == "WPL_AP1.sandbox123456789"
    assert platform_apps.facts(app).hosts["web"] == f"{config.sandbox_url}/www.linkedin.com"
    sent = responses.calls[0].request.body
    assert platform_apps.callback_url("linkedin").encode() in sent and b'"accept_http_loopback": true' in sent


@responses.activate
def test_pressed_again_it_takes_the_present_secret_of_the_same_app(admin, config):
    sandbox_makes(config)
    app = configure_sandbox.use_sandbox("linkedin", admin, NOW).app
    account = connected(app)
    address = f"{config.sandbox_url}/portal/api/apps/sandbox-id-0001"
    responses.patch(address, json={"client_id": "sandbox-id-0001", "client_secret": "sandbox-secret-0002"})
    configure_sandbox.use_sandbox("linkedin", admin, NOW)
    assert platform_apps.open_secret(app) == "sandbox-secret-0002"
    assert (app.generation, account.state) == (1, ACTIVE)


@responses.activate
def test_a_sandbox_that_forgot_the_app_makes_another_after_asking(admin, config):
    sandbox_makes(config)
    app = configure_sandbox.use_sandbox("linkedin", admin, NOW).app
    connected(app)
    responses.patch(f"{config.sandbox_url}/portal/api/apps/sandbox-id-0001", status=404, json={"error": "gone"})
    responses.remove("POST", f"{config.sandbox_url}/portal/api/apps")
    sandbox_makes(config, "sandbox-id-0002", "sandbox-secret-0002")
    with pytest.raises(NeedsConfirmation):
        configure_sandbox.use_sandbox("linkedin", admin, NOW)
    configure_sandbox.use_sandbox("linkedin", admin, NOW, confirm=True)
    assert (app.client_id, app.generation) == ("sandbox-id-0002", 2)


@responses.activate
def test_live_connections_are_not_ended_by_the_sandbox_unasked(admin, config):
    app = saved(admin)
    account = connected(app)
    with pytest.raises(NeedsConfirmation):
        configure_sandbox.use_sandbox("linkedin", admin, NOW)
    assert len(responses.calls) == 0, "nothing may be made there before the answer"
    sandbox_makes(config)
    configure_sandbox.use_sandbox("linkedin", admin, NOW, confirm=True)
    db.session.expire_all()
    assert app.is_sandbox and account.state == TOKEN_EXPIRED and account.grant.access_sealed is None


@responses.activate
def test_a_real_secret_never_joins_the_sandbox_and_back(admin, config):
    sandbox_makes(config)
    app = configure_sandbox.use_sandbox("linkedin", admin, NOW).app
    connected(app)
    assert "never goes there" in refusal(admin, client_secret=LINKEDIN_SECRET)["client_secret"]
    assert "sandbox's" in refusal(admin, client_id=LINKEDIN_ID)["client_secret"]
    with pytest.raises(NeedsConfirmation, match="real platform"):
        save(admin, client_id=LINKEDIN_ID, client_secret=LINKEDIN_SECRET)
    save(admin, client_id=LINKEDIN_ID, client_secret=LINKEDIN_SECRET, confirm=True)
    assert not app.is_sandbox and app.generation == 2
    assert platform_apps.facts(app).hosts["web"] == "https://www.linkedin.com"


@responses.activate
def test_a_sandbox_app_stays_one_when_other_values_change(admin, config):
    sandbox_makes(config)
    app = configure_sandbox.use_sandbox("linkedin", admin, NOW).app
    save(admin, scope_override="openid")
    assert app.is_sandbox and app.generation == 1


@responses.activate
@pytest.mark.parametrize("answer", [
    {"body": requests.ConnectionError("refused")}, {"body": "<html>", "status": 201}, {"json": {}, "status": 500},
    {"json": {}, "status": 201}, {"json": {}, "status": 404}])
def test_a_sandbox_that_does_not_play_along_is_said_in_words(admin, config, answer):
    responses.post(f"{config.sandbox_url}/portal/api/apps", **answer)
    with pytest.raises(NotPossible, match="sandbox"):
        configure_sandbox.use_sandbox("linkedin", admin, NOW)
    assert platform_apps.app_of("linkedin") is None


def test_the_sandbox_is_not_asked_for_what_this_version_cannot_connect(admin, monkeypatch):
    monkeypatch.setattr(PROVIDERS["tiktok"], "connectable", False)
    with pytest.raises(NotPossible, match="cannot connect TikTok yet"):
        configure_sandbox.use_sandbox("tiktok", admin, NOW)
