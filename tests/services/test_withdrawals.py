"""What platforms tell by themselves: only a signed word counts, and it takes what it names, nothing else."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from socialconsole import platform_apps, tokens, withdrawals
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DEAD,
    DISCONNECTED,
    HELD,
    PAUSED,
    PUBLISHED,
    SENT,
    TOKEN_EXPIRED,
    Account,
    AuditEvent,
    ConnectionAttempt,
    DeletionRequest,
    DeliveryEvent,
    Grant,
    Incident,
    Membership,
    Message,
    PlatformApp,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import WebhookEvent

from .conftest import pair

SECRET = "s3cret-of-the-app"


@pytest.fixture(autouse=True)
def called(monkeypatch):
    """X, as if it called all three addresses."""
    monkeypatch.setattr(PROVIDERS["twitter"], "calls_back", ("deauthorize", "deletion", "webhook"))


def signed(person="42", secret=SECRET, **more):
    body = json.dumps({"user_id": person, "algorithm": "HMAC-SHA256", **more}).encode()
    payload = base64.urlsafe_b64encode(body).rstrip(b"=")
    signature = hmac.new(secret.encode(), payload, hashlib.sha256).digest()
    return (base64.urlsafe_b64encode(signature).rstrip(b"=") + b"." + payload).decode()


def another(clock, number, workspace="wsp_2", person="42", app="app_x", **more):
    """A further account, through a grant of its own."""
    with writing() as session:
        grant = Grant(id=f"grt_{number}", workspace_id=workspace, platform="twitter", app_id=app, app_generation=1,
                      fence=0, version=0, person_id=person, granted_at=clock())
        tokens.store(grant, pair(number), clock())
        account = Account(id=f"acc_{number}", workspace_id=workspace, platform="twitter", platform_user_id=f"u{number}",
                          grant=grant, display_name=f"Profile {number}", state=ACTIVE, state_since=clock(),
                          connected_at=clock(), **more)
        session.add_all([grant, account])
        session.flush()
        tokens.store_own(account, f"own-{number}")
    return account


@pytest.fixture
def further(world, clock):
    """A second app of X."""
    with writing() as session:
        app = PlatformApp(id="app_y", platform="twitter", segment="twitter-2", client_id="two", is_on=True,
                          created_at=clock(), updated_at=clock(), secret_version=1)
        session.add(app)
        app.secret_sealed = platform_apps.vault().seal("second-s3cret", *platform_apps.secret_record(app))
    return app


# ---------------------------------------------------------------- deauthorize


def test_whoever_removed_the_app_is_asked_to_reconnect_in_every_workspace(account, clock, post):
    delivery, elsewhere, stranger = post(minutes=5), another(clock, 2), another(clock, 3, person="7")
    assert withdrawals.deauthorize("twitter", signed()) == 2
    for one in (account, elsewhere):
        assert (one.state, one.reason) == (TOKEN_EXPIRED, "revoked")
        assert one.reason_text == "The app was removed in your settings at X. Connect again."
        assert one.grant.state == DEAD and one.grant.access_sealed is None and one.own_token_sealed is None
    assert delivery.state == HELD
    assert stranger.state == ACTIVE and stranger.grant.access_sealed is not None


def test_a_paused_profile_needs_its_person_too(account):
    with writing():
        account.state = PAUSED
    withdrawals.deauthorize("twitter", signed())
    assert account.state == TOKEN_EXPIRED


def test_told_twice_it_is_done_once(account):
    assert [withdrawals.deauthorize("twitter", signed()) for _ in range(2)] == [1, 0]
    assert account.state == TOKEN_EXPIRED
    assert db.session.query(AuditEvent).filter_by(action="grant.removed_there").count() == 1


def forged():
    good = signed()
    signature, payload = good.split(".")
    other = base64.urlsafe_b64encode(json.dumps({"user_id": "42", "algorithm": "HMAC-SHA256"}).encode() + b" ").decode()
    return {"nothing": "", "no dot": "abc", "another secret": signed(secret="guess"), "no signature": "." + payload,
            "another payload": f"{signature}.{other.rstrip('=')}", "letters": "ä." + payload,
            "cut": good[:-3], "no person": signed(person=""), "another way": signed(algorithm="none"),
            "not base64": f"!!!.{payload}", "long": signed(filler="x" * 20_000)}


@pytest.mark.parametrize("name", forged())
def test_what_the_platform_did_not_sign_changes_nothing(account, name):
    for act in (withdrawals.deauthorize, withdrawals.delete):
        with pytest.raises(withdrawals.BadSignature):
            act("twitter", forged()[name])
    assert account.state == ACTIVE and account.grant.access_sealed is not None


def test_the_signature_is_compared_in_constant_time(account, monkeypatch):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or False)
    with pytest.raises(withdrawals.BadSignature):
        withdrawals.deauthorize("twitter", signed())
    assert len(compared) == 1


def test_the_first_apps_address_takes_the_word_of_all_a_further_ones_only_its_own(account, clock, further):
    theirs = another(clock, 2, app="app_y")
    with pytest.raises(withdrawals.BadSignature):
        withdrawals.deauthorize("twitter-2", signed())
    withdrawals.deauthorize("twitter", signed(secret="second-s3cret"))
    assert (theirs.state, account.state) == (TOKEN_EXPIRED, ACTIVE), "the permission of the first app still stands"


def test_an_app_that_is_the_same_at_the_platform_loses_it_too(account, clock, further):
    with writing():
        further.client_id = "client"
    theirs = another(clock, 2, app="app_y")
    withdrawals.deauthorize("twitter", signed())
    assert theirs.state == TOKEN_EXPIRED


def test_an_old_word_does_not_end_a_newer_permission(account, clock):
    before = int((clock() - timedelta(hours=1)).timestamp())
    assert withdrawals.deauthorize("twitter", signed(issued_at=before)) == 0
    assert account.state == ACTIVE
    withdrawals.deauthorize("twitter", signed(issued_at=int(clock.ahead(hours=1).timestamp())))
    assert account.state == TOKEN_EXPIRED


def test_a_consent_that_still_waits_is_dropped(account, clock):
    with writing() as session:
        session.add(ConnectionAttempt(
            id="att_1", state_hash="-", browser_hash="-", platform="twitter", app_id="app_x", app_generation=1,
            workspace_id="wsp_1", user_id="usr_a", login_id="log_a", redirect_uri="", scopes_asked="", state="granted",
            person_id="42", consent_sealed=b"tokens", created_at=clock(), expires_at=clock()))
    withdrawals.deauthorize("twitter", signed())
    attempt = db.session.get(ConnectionAttempt, "att_1")
    assert attempt.state == "failed" and attempt.consent_sealed is None and "removed again" in attempt.error


@pytest.mark.parametrize("segment", ["linkedin", "orkut", "twitter-9"])
def test_an_address_that_no_platform_calls_is_none(account, segment):
    for act in (withdrawals.deauthorize, withdrawals.delete):
        with pytest.raises(withdrawals.NotServed):
            act(segment, signed())


def test_a_platform_without_such_calls_has_no_such_address(account, monkeypatch):
    monkeypatch.setattr(PROVIDERS["twitter"], "calls_back", ("deletion",))
    with pytest.raises(withdrawals.NotServed):
        withdrawals.deauthorize("twitter", signed())
    with pytest.raises(withdrawals.NotServed):
        withdrawals.webhook("twitter", {}, b"")


# ---------------------------------------------------------------- deletion


def test_what_the_platform_told_of_the_person_is_deleted_and_what_was_written_stays(account, clock, post):
    out, waiting = post("Bread is out", minutes=5), post("Cake tomorrow", minutes=9)
    with writing() as session:
        account.meta, account.avatar, account.avatar_type = {"followers": 3}, b"png", "image/png"
        account.profile_url, account.grant.person_name = "https://x.com/acme", "Acme Bakery"
        out.state, out.permalink, out.platform_post_id = PUBLISHED, "https://x.com/acme/status/9", "9"
        out.parts = [{"id": "9", "permalink": "https://x.com/acme/status/9"}]
        session.add(DeliveryEvent(workspace_id="wsp_1", delivery_id=out.id, at=clock(), state=HELD,
                                  text="Waits for Acme Bakery to be reconnected."))
        session.add(AuditEvent(at=clock(), action="account.connected", subject_type="account", subject_id=account.id,
                               subject_name="Acme Bakery", workspace_id="wsp_1"))
        session.add(Incident(workspace_id="wsp_1", kind="account_broken", subject_type="account", subject_id=account.id,
                             subject_name="Acme Bakery", platform="twitter", summary="Acme Bakery has to be mended.",
                             opened_at=clock(), seen_at=clock()))
        session.add(Message(user_id=session.query(Membership).first().user_id, kind="opened", subject="@acme",
                            to="someone@example.com", body="Acme Bakery cannot publish.", created_at=clock(),
                            due_at=clock()))
    request = withdrawals.delete("twitter", signed())
    db.session.expire_all()
    assert (request.grants, request.accounts, request.done_at) == (1, 1, clock())
    assert account.state == DISCONNECTED and account.grant.access_sealed is None
    assert (account.username, account.display_name, account.meta, account.avatar) == ("", "Deleted profile", {}, None)
    assert (out.state, out.permalink, out.platform_post_id, out.parts) == (PUBLISHED, "", "", [])
    assert out.post.text == "Bread is out" and waiting.state == CANCELLED
    left = [value for model in (Account, Grant, AuditEvent, DeliveryEvent, DeletionRequest, Incident, Message)
            for row in db.session.query(model) for value in vars(row).values()]
    for trace in ("Acme", "acme", "x.com"):
        assert not any(trace in str(value) for value in left), trace
    assert "42" not in (account.platform_user_id, account.grant.person_id)


def test_the_code_is_not_to_be_guessed_and_the_person_not_to_be_read_from_it(account, clock):
    first = withdrawals.delete("twitter", signed())
    other = withdrawals.delete("twitter", signed(person="7"))
    assert len(first.code) >= 32 and first.code != other.code
    plain = {hashlib.sha256(text.encode()).hexdigest() for text in ("42", "twitter 42", "deletion twitter 42")}
    assert first.person_hash not in plain and len(first.person_hash) == 64
    assert withdrawals.request(first.code) is first and withdrawals.request("x" * 32) is None
    assert withdrawals.request("") is None


def test_asked_twice_it_gives_the_same_code_and_after_a_new_connection_another(account, clock):
    first = withdrawals.delete("twitter", signed())
    assert withdrawals.delete("twitter", signed()).code == first.code
    again = another(clock, 5)
    second = withdrawals.delete("twitter", signed())
    assert second.code != first.code and again.state == DISCONNECTED


def test_a_profile_that_another_person_feeds_stays(account, clock):
    theirs = another(clock, 3, person="7")
    withdrawals.delete("twitter", signed())
    assert theirs.state == ACTIVE and theirs.display_name == "Profile 3"


# ---------------------------------------------------------------- webhook


def says(monkeypatch, *args, **more):
    """The next notices of X; only the first app's secret explains them."""
    event = WebhookEvent(*args, **more)
    monkeypatch.setattr(PROVIDERS["twitter"], "webhook", lambda app, headers, body, now:
                        event if app.client_secret == SECRET and body == b"good" else None)


def test_a_notice_that_the_permission_is_gone_is_a_withdrawal(account, monkeypatch):
    says(monkeypatch, "authorization.removed", "42")
    withdrawals.webhook("twitter", {}, b"good")
    assert (account.state, account.reason) == (TOKEN_EXPIRED, "revoked")


def test_a_late_notice_does_not_end_a_newer_permission(account, clock, monkeypatch):
    says(monkeypatch, "authorization.removed", "42", at=clock() - timedelta(hours=2))
    withdrawals.webhook("twitter", {}, b"good")
    assert account.state == ACTIVE


def sent(post, handle, clock):
    delivery = post(handle, minutes=0)
    with writing():
        delivery.state, delivery.platform_post_id = SENT, handle
        delivery.due_at = clock() + timedelta(minutes=30)
    return delivery


def test_news_of_a_post_makes_us_ask_for_that_post_now(post, clock, monkeypatch):
    one, other = sent(post, "v-1", clock), sent(post, "v-2", clock)
    says(monkeypatch, "post.changed", "42", "v-1")
    withdrawals.webhook("twitter", {}, b"good")
    assert one.due_at == clock() and other.due_at > clock()


def test_news_of_an_unknown_post_makes_us_ask_for_all_that_the_person_waits_for(post, clock, monkeypatch):
    one, other = sent(post, "v-1", clock), sent(post, "", clock)
    stranger = another(clock, 3, person="7")
    waiting = post("not out yet", minutes=20)
    says(monkeypatch, "post.changed", "42", "v-9")
    withdrawals.webhook("twitter", {}, b"good")
    assert one.due_at == other.due_at == clock() and waiting.due_at > clock() and stranger.state == ACTIVE


@pytest.mark.parametrize("kind", ["", "something.else"])
def test_other_notices_are_taken_and_change_nothing(account, post, clock, monkeypatch, kind):
    one = sent(post, "v-1", clock)
    says(monkeypatch, kind, "42", "v-1")
    withdrawals.webhook("twitter", {}, b"good")
    assert account.state == ACTIVE and one.due_at > clock()


def test_a_notice_without_a_good_signature_is_refused(account, monkeypatch):
    says(monkeypatch, "authorization.removed", "42")
    with pytest.raises(withdrawals.BadSignature):
        withdrawals.webhook("twitter", {}, b"bad")
    assert account.state == ACTIVE


def test_a_notice_without_a_person_is_about_nobody(account, clock, monkeypatch):
    with writing():
        account.grant.person_id = ""
    says(monkeypatch, "authorization.removed", "")
    withdrawals.webhook("twitter", {}, b"good")
    assert account.state == ACTIVE
