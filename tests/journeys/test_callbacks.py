"""Addresses that platforms call, as they call them: no login, no cookie, no form token, any origin."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from socialconsole import outside, platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import SENT, Account, Delivery, PlatformApp, Post
from socialconsole.providers import PROVIDERS
from tests.cast import make_things

SECRET = "0123456789abcdef0123456789abcdef"
FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def things(app, cast, clock):
    """A profile of the bakery at Facebook."""
    with app.app_context():
        made = make_things(cast)
        with writing() as session:
            facebook = PlatformApp(id="app_fb", platform="facebook", segment="facebook", client_id="123456789012345",
                                   is_on=True, secret_version=1, created_at=clock(), updated_at=clock())
            session.add(facebook)
            facebook.secret_sealed = platform_apps.vault().seal(SECRET, *platform_apps.secret_record(facebook))
            account = session.get(Account, made.account_id)
            account.platform = account.grant.platform = "facebook"
            account.grant.app = facebook
            account.grant.access_sealed = b"-"
    return made


def signed(person="42", secret=SECRET):
    body = json.dumps({"user_id": person, "algorithm": "HMAC-SHA256", "issued_at": 2_000_000_000}).encode()
    payload = base64.urlsafe_b64encode(body).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.new(secret.encode(), payload, hashlib.sha256).digest()).rstrip(b"=")
    return {"signed_request": (signature + b"." + payload).decode()}


def state(app, things):
    with app.app_context():
        found = db.session.get(Account, things.account_id)
        return found.state, found.display_name


@pytest.mark.parametrize("headers", [{}, FOREIGN])
def test_a_person_who_removed_the_app_is_asked_to_reconnect(app, things, client, headers):
    answer = client.post("/api/connect/facebook/deauthorize", data=signed(), headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "Set-Cookie" not in answer.headers and answer.headers["Cache-Control"] == "no-store"
    assert state(app, things) == ("token_expired", "Fresh Bread")


@pytest.mark.parametrize("address", ["deauthorize", "deletion"])
@pytest.mark.parametrize("form", [{}, {"signed_request": "a.b"}, signed(secret="guess")])
def test_without_a_good_signature_nothing_happens_and_nothing_is_told(app, things, client, address, form):
    answer = client.post(f"/api/connect/facebook/{address}", data=form)
    assert (answer.status_code, answer.text) == (400, "The signature does not fit. Nothing was changed.\n")
    assert "Set-Cookie" not in answer.headers and state(app, things) == ("active", "Fresh Bread")


def test_a_deletion_answers_with_a_page_that_anybody_with_the_code_can_read(app, things, client, config, clock):
    answer = client.post("/api/connect/facebook/deletion", data=signed(), headers=FOREIGN).json
    code = answer["confirmation_code"]
    assert answer == {"url": f"{config.public_url}/deletion/{code}", "confirmation_code": code} and len(code) >= 32
    assert state(app, things) == ("disconnected", "Deleted profile")
    page = client.get(f"/deletion/{code}")
    assert page.status_code == 200 and "Set-Cookie" not in page.headers
    assert "Your data was deleted" in page.text and "1 profile" in page.text and "21 November 2026" in page.text
    for theirs in ("Fresh Bread", "Harbour Bakery", ">42<", "Sign in"):
        assert theirs not in page.text
    assert client.get(f"/deletion/{code[:-1]}").status_code == 404
    assert client.get("/deletion/" + "x" * 300).status_code == 404


def test_somebody_of_whom_nothing_is_known_gets_an_answer_too(app, things, client):
    code = client.post("/api/connect/facebook/deletion", data=signed("7")).json["confirmation_code"]
    assert "There was nothing of yours here" in client.get(f"/deletion/{code}").text
    assert state(app, things)[0] == "active"


def test_the_list_of_profiles_still_shows_what_was_deleted(app, things, client, cast, sign_in):
    client.post("/api/connect/facebook/deletion", data=signed())
    browser = sign_in(app.test_client(), cast.alice)
    for path in ("profiles", f"profiles/{things.account_id}", "posts"):
        page = browser.get(f"/w/{cast.bakery.id}/{path}")
        assert page.status_code == 200 and "Fresh Bread" not in page.text, path


@pytest.mark.parametrize("path", ["twitter/deauthorize", "twitter/webhook", "facebook/webhook", "orkut/deletion"])
def test_what_no_platform_calls_is_not_there(things, client, path):
    answer = client.post(f"/api/connect/{path}", data=signed())
    assert (answer.status_code, answer.text) == (404, "No platform calls this address.\n")


def test_a_read_of_these_addresses_is_not_offered(things, client):
    assert client.get("/api/connect/facebook/deauthorize").status_code == 405


@pytest.mark.parametrize("address", ["facebook/deauthorize", "facebook/deletion", "tiktok/webhook"])
def test_a_notice_that_is_too_large_is_not_read(app, things, client, address, clock):
    add_tiktok(app, clock)
    answer = client.post(f"/api/connect/{address}", data={"signed_request": "x" * 70_000})
    assert answer.status_code == 413 and "Set-Cookie" not in answer.headers


# ---------------------------------------------------------------- a real platform's notice


def add_tiktok(app, clock):
    with app.app_context(), writing() as session:
        found = PlatformApp(id="app_tt", platform="tiktok", segment="tiktok", client_id="awkey", is_on=True,
                            secret_version=1, created_at=clock(), updated_at=clock())
        session.add(found)
        found.secret_sealed = platform_apps.vault().seal(SECRET, *platform_apps.secret_record(found))


def notice(event, clock, **content):
    body = json.dumps({"client_key": "awkey", "event": event, "create_time": int(clock().timestamp()),
                       "user_openid": "42", "content": json.dumps(content)}).encode()
    at = str(int(clock().timestamp()))
    made = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"data": body, "headers": {"TikTok-Signature": f"t={at},s={made}", "Content-Type": "application/json"}}


@pytest.fixture
def tiktok(app, things, clock):
    """The bakery's profile moved to TikTok, with a video that is still worked on."""
    add_tiktok(app, clock)
    with app.app_context(), writing() as session:
        account = session.get(Account, things.account_id)
        account.platform = account.grant.platform = "tiktok"
        account.grant.app_id = "app_tt"
        post = session.get(Post, things.post_id)
        delivery = session.get(Delivery, things.delivery_id)
        delivery.post, delivery.state, delivery.platform_post_id = post, SENT, "v_pub_1"
        delivery.due_at = clock() + timedelta(minutes=20)
    return things


def test_news_of_a_video_makes_us_ask_at_once(app, tiktok, client, clock):
    answer = client.post("/api/connect/tiktok/webhook", **notice("post.publish.complete", clock, publish_id="v_pub_1"))
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    with app.app_context():
        assert db.session.get(Delivery, tiktok.delivery_id).due_at == outside.now()


def test_a_permission_that_ended_there_ends_here(app, tiktok, client, clock):
    assert client.post("/api/connect/tiktok/webhook", **notice("authorization.removed", clock, reason=1)).status_code \
        == 200
    assert state(app, tiktok)[0] == "token_expired"


def test_a_notice_that_was_changed_on_the_way_is_refused(app, tiktok, client, clock):
    sent = notice("authorization.removed", clock, reason=1)
    sent["data"] += b" "
    assert client.post("/api/connect/tiktok/webhook", **sent).status_code == 400
    assert state(app, tiktok)[0] == "active"


def test_the_platforms_that_call_say_so():
    assert {slug: one.calls_back for slug, one in PROVIDERS.items() if one.calls_back} == {
        **dict.fromkeys(("facebook", "instagram", "threads"), ("deauthorize", "deletion")), "tiktok": ("webhook",)}
    assert {slug for slug, one in PROVIDERS.items() if one.serves_files} == {"instagram", "threads", "tiktok"}
