"""X in the sandbox refuses what X refuses."""

import base64

import pytest

from tests.sandbox.player import ACME, BASE, BOB, Player, bearer

TOKEN_INVALID = {"error": "invalid_request", "error_description": "Value passed for the token was invalid."}
CODE_INVALID = {
    "error": "invalid_request",
    "error_description": "Value passed for the authorization code was invalid.",
}


@pytest.fixture
def app(player):
    return player.make("twitter")


def test_ids_look_like_the_real_ones(app):
    raw = base64.urlsafe_b64decode(app["client_id"] + "=" * (-len(app["client_id"]) % 4)).decode()
    assert raw.endswith(":1:ci")
    assert len(app["client_secret"]) == 50


def test_a_code_becomes_a_pair_with_the_scopes_as_a_set(player, app):
    back = player.decide(app, ACME)
    assert set(back) == {"code", "state"} and back["state"] == "st-1"
    body = player.x_exchange(app, back["code"]).json
    assert body["token_type"] == "bearer" and body["expires_in"] == 7200 and body["refresh_token"]
    assert set(body["scope"].split()) == {"tweet.read", "tweet.write", "users.read", "offline.access"}


def test_denying_sends_back_access_denied_and_the_state(player, app):
    assert player.decide(app, ACME, "deny") == {"error": "access_denied", "state": "st-1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://console.example/api/connect/it/callback/"},
        {"redirect_uri": "https://console.example/api/connect/it/Callback"},
        {"scope": "tweet.read everything"},
        {"scope": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"response_type": "token"},
        {"state": None},
    ],
)
def test_a_faulty_request_ends_on_a_page_and_never_redirects(player, app, changes):
    answer = player.look(app, **changes)
    assert answer.status_code == 400 and answer.location is None
    assert "weren’t able to give access to the App" in answer.text
    decided = player.client.post(player.address(app, **changes), data={"person": ACME, "decision": "allow"})
    assert decided.status_code == 400 and decided.location is None


def test_a_plus_sign_between_scopes_is_refused(player, app):
    assert player.client.get(player.address(app).replace("%20", "+")).status_code == 400


def test_loopback_is_taken_by_number_and_localhost_only_with_the_switch(player):
    by_number, by_name = "http://127.0.0.1:8000/api/connect/it/callback", "http://localhost:8000/callback"
    app = player.make("twitter", redirect_uris=[by_number])
    assert player.look(app, redirect_uri=by_number).status_code == 200
    refused = player.change(app, redirect_uris=[by_name])
    assert refused.status_code == 422 and "localhost" in refused.json["error"]
    assert player.change(app, redirect_uris=[by_name], accept_http_loopback=True).status_code == 200
    assert player.look(app, redirect_uri=by_name).status_code == 200
    player.change(app, accept_http_loopback=False)
    assert player.look(app, redirect_uri=by_name).status_code == 400


def test_a_code_is_good_once(player, app):
    code = player.decide(app, ACME)["code"]
    assert player.x_exchange(app, code).status_code == 200
    again = player.x_exchange(app, code)
    assert (again.status_code, again.json) == (400, CODE_INVALID)


def test_a_code_is_good_for_thirty_seconds(player, app):
    early, late = player.decide(app, ACME)["code"], player.decide(app, ACME)["code"]
    player.clock.forward(29.9)
    assert player.x_exchange(app, early).status_code == 200
    player.clock.forward(0.1)
    assert player.x_exchange(app, late).json == CODE_INVALID


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": "https://console.example/other"}, {"code_verifier": "w" * 64}, {"code": "made-up"}]
)
def test_an_exchange_that_does_not_fit_the_consent_is_refused(player, app, changes):
    answer = player.x_exchange(app, player.decide(app, ACME)["code"], **changes)
    assert (answer.status_code, answer.json) == (400, CODE_INVALID)


def test_an_exchange_without_verifier_is_refused(player, app):
    answer = player.x_exchange(app, player.decide(app, ACME)["code"], code_verifier=None)
    assert answer.status_code == 400 and "code_verifier" in answer.json["error_description"]


def test_a_code_of_another_app_is_refused(player, app):
    code = player.decide(app, ACME)["code"]
    assert player.x_exchange(player.make("twitter"), code, client_id=None).json == CODE_INVALID


def test_the_secret_in_the_body_is_refused(player, app):
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": app["client_id"]}
    answer = player.client.post("/api.x.com/2/oauth2/token", data=form | {"client_secret": app["client_secret"]})
    assert answer.status_code == 401
    assert answer.json == {
        "error": "unauthorized_client",
        "error_description": "Missing valid authorization header",
    }


def test_the_probe_tells_right_credentials_from_wrong_ones(player, app):
    form = {"grant_type": "refresh_token", "refresh_token": "random"}
    url = "/api.x.com/2/oauth2/token"
    right = player.client.post(url, data=form, headers=player.basic(app))
    assert (right.status_code, right.json) == (400, TOKEN_INVALID)
    wrong = player.client.post(url, data=form, headers=player.basic(app, "wrong"))
    assert (wrong.status_code, wrong.json["error"]) == (401, "unauthorized_client")
    unknown = player.client.post(url, data=form, headers=player.basic(app | {"client_id": "nobody"}))
    assert unknown.json["error"] == "invalid_client"


def test_a_rotated_secret_opens_nothing(player, app):
    new = player.client.post(f"/portal/api/apps/{app['client_id']}/rotate-secret").json["client_secret"]
    assert player.x_refresh(app, "x").status_code == 401
    assert player.x_refresh(app | {"client_secret": new}, "x").status_code == 400


def test_refreshing_gives_a_new_pair_and_ends_the_old_one(player, app):
    first = player.x_tokens(app)
    second = player.x_refresh(app, first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert player.x_me(first["access_token"]).status_code == 401
    assert player.x_me(second["access_token"]).status_code == 200


def test_a_replayed_refresh_token_kills_the_grant(player, app):
    first = player.x_tokens(app)
    second = player.x_refresh(app, first["refresh_token"]).json
    replay = player.x_refresh(app, first["refresh_token"])
    assert (replay.status_code, replay.json) == (400, TOKEN_INVALID)
    assert player.x_me(second["access_token"]).status_code == 401
    assert player.x_refresh(app, second["refresh_token"]).json == TOKEN_INVALID


def test_the_switch_lets_the_newest_pair_outlive_a_replay(player, app):
    player.change(app, replay_kills=False)
    first = player.x_tokens(app)
    second = player.x_refresh(app, first["refresh_token"]).json
    assert player.x_refresh(app, first["refresh_token"]).json == TOKEN_INVALID
    assert player.x_refresh(app, second["refresh_token"]).status_code == 200


def test_without_offline_access_there_is_no_refresh_token(player, app):
    assert "refresh_token" not in player.x_tokens(app, scope="tweet.read tweet.write users.read")


def test_an_access_token_lives_two_hours_or_as_the_app_says(player, app):
    two_hours = player.x_tokens(app)["access_token"]
    player.change(app, access_seconds=60)
    short = player.x_tokens(app)
    assert short["expires_in"] == 60
    player.clock.forward(60)
    assert player.x_me(short["access_token"]).status_code == 401
    player.clock.forward(7139)
    assert player.x_me(two_hours).status_code == 200
    player.clock.forward(1)
    answer = player.x_me(two_hours)
    assert (answer.status_code, answer.json["detail"]) == (401, "Unauthorized")


def test_revoking_ends_the_pair_and_asks_for_basic(player, app):
    tokens = player.x_tokens(app)
    data = {"token": tokens["refresh_token"]}
    assert player.client.post("/api.x.com/2/oauth2/revoke", data=data).status_code == 401
    answer = player.client.post("/api.x.com/2/oauth2/revoke", data=data, headers=player.basic(app))
    assert answer.json == {"revoked": True}
    assert player.x_me(tokens["access_token"]).status_code == 401


def test_the_person_expires_revokes_and_is_locked(player, app):
    tokens = player.x_tokens(app)
    player.act("twitter", ACME, "expire")
    assert player.x_me(tokens["access_token"]).status_code == 401
    tokens = player.x_refresh(app, tokens["refresh_token"]).json
    player.act("twitter", ACME, "suspend")
    locked = player.x_me(tokens["access_token"])
    assert locked.status_code == 403 and locked.json["type"].endswith("/user-suspended")
    player.act("twitter", ACME, "lift")
    assert player.x_me(tokens["access_token"]).status_code == 200
    assert player.act("twitter", ACME, "revoke", client_id="another").json == {"grants": 0}
    assert player.act("twitter", ACME, "revoke", client_id=app["client_id"]).json == {"grants": 1}
    assert player.x_me(tokens["access_token"]).status_code == 401
    assert player.x_refresh(app, tokens["refresh_token"]).json == TOKEN_INVALID
    assert player.act("twitter", ACME, "password").status_code == 422


def test_the_profile_has_the_fields_asked_for_and_a_picture(player, app):
    access = player.x_tokens(app)["access_token"]
    assert player.x_me(access).json == {"data": {"id": ACME, "name": "Acme Bakery", "username": "acme"}}
    data = player.x_me(access, "profile_image_url,protected,subscription_type").json["data"]
    assert data["protected"] is False and data["subscription_type"] == "None"
    picture = data["profile_image_url"]
    assert "_normal" in picture and picture.startswith(BASE)
    for address, width in ((picture, 48), (picture.replace("_normal", "_400x400"), 400)):
        answer = player.client.get(address.removeprefix(BASE))
        assert int.from_bytes(answer.data[16:20]) == width
        assert answer.content_type == "image/png" and answer.data.startswith(b"\x89PNG\r\n\x1a\n")
    assert player.x_me(access, "shoe_size").status_code == 400


@pytest.mark.parametrize("scope", ["tweet.read users.read", "tweet.write users.read"])
def test_posting_without_a_scope_is_forbidden(player, app, scope):
    access = player.x_tokens(app, scope=scope)["access_token"]
    answer = player.x_post(access, "Hello")
    assert answer.status_code == 403 and answer.json["detail"] == "You are not permitted to perform this action."


def test_a_post_is_seen_and_its_links_become_tco(player, app):
    access = player.x_tokens(app)["access_token"]
    answer = player.x_post(access, "Bread & butter https://harbour.example.com/menu")
    assert answer.status_code == 201
    data = answer.json["data"]
    assert data["text"].startswith("Bread &amp; butter https://t.co/")
    assert answer.headers["x-rate-limit-limit"] == "100" and answer.headers["x-rate-limit-remaining"] == "99"
    assert float(answer.headers["x-rate-limit-reset"]) > player.clock.instant
    [post] = player.posts("twitter")
    assert post["text"] == "Bread & butter https://harbour.example.com/menu" and post["author_id"] == ACME
    assert post["permalink"] == f"{BASE}/x.com/acme/status/{data['id']}"
    page = player.client.get(post["permalink"].removeprefix(BASE), follow_redirects=True)
    assert page.status_code == 200 and "Bread &amp; butter" in page.text


def test_the_list_of_posts_gives_time_only_when_asked(player, app):
    access = player.x_tokens(app)["access_token"]
    player.x_post(access, "One")
    player.x_post(access, "Two")
    url = f"/api.x.com/2/users/{ACME}/tweets"
    plain = player.client.get(url, headers=bearer(access)).json
    assert [post["text"] for post in plain["data"]] == ["Two", "One"] and "created_at" not in plain["data"][0]
    timed = player.client.get(f"{url}?max_results=5&tweet.fields=created_at", headers=bearer(access)).json
    assert timed["data"][0]["created_at"] == "2026-11-18T11:06:40.000Z"
    assert player.client.get(f"{url}?max_results=4", headers=bearer(access)).status_code == 400


def test_the_list_tells_where_links_lead_when_asked(player, app):
    access = player.x_tokens(app)["access_token"]
    player.x_post(access, "R&D at https://example.com/a and example.org")
    url = f"/api.x.com/2/users/{ACME}/tweets"
    [plain] = player.client.get(url, headers=bearer(access)).json["data"]
    assert "entities" not in plain
    [post] = player.client.get(f"{url}?tweet.fields=entities", headers=bearer(access)).json["data"]
    urls = post["entities"]["urls"]
    assert [one["expanded_url"] for one in urls] == ["https://example.com/a", "http://example.org"]
    assert all(one["url"] in post["text"] for one in urls)


def test_the_same_text_twice_is_refused_for_the_same_account_only(player, app):
    acme, bob = player.x_tokens(app)["access_token"], player.x_tokens(app, BOB)["access_token"]
    player.x_post(acme, "Fresh rolls")
    again = player.x_post(acme, "Fresh rolls")
    assert again.status_code == 403
    assert again.json["detail"] == "You are not allowed to create a Tweet with duplicate content."
    assert player.x_post(bob, "Fresh rolls").status_code == 201


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("a" * 280, 201),
        ("a" * 281, 403),
        ("語" * 140, 201),
        ("語" * 141, 403),
        ("a" * 256 + " https://harbour.example.com/" + "long/" * 40, 201),
        ("a" * 257 + " https://harbour.example.com/" + "long/" * 40, 403),
        ("buy $ABC and $XYZ", 403),
    ],
)
def test_text_is_measured_as_x_measures_it(player, app, text, status):
    assert player.x_post(player.x_tokens(app)["access_token"], text).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"title": "no such property"}, 400),
        ({"media": {"media_ids": ["1"]}}, 400),
        ({"reply": {"in_reply_to_tweet_id": "1"}}, 403),
        ({"quote_tweet_id": "1"}, 403),
        ({"reply_settings": "nobody"}, 400),
        ({"text": ""}, 400),
    ],
)
def test_a_body_that_x_does_not_take(player, app, body, status):
    access = player.x_tokens(app)["access_token"]
    answer = player.client.post("/api.x.com/2/tweets", json={"text": "Hi"} | body, headers=bearer(access))
    assert answer.status_code == status
    if status == 400:
        assert answer.json["type"].endswith("/invalid-request")
    assert player.posts("twitter") == []


def test_the_window_closes_after_its_posts_and_opens_again(player, app):
    player.change(app, posts_per_window=2)
    access = player.x_tokens(app)["access_token"]
    assert [player.x_post(access, text).status_code for text in ("1", "2", "3")] == [201, 201, 429]
    full = player.x_post(access, "3")
    assert full.headers["x-rate-limit-remaining"] == "0"
    player.clock.instant = float(full.headers["x-rate-limit-reset"])
    assert player.x_post(access, "3").status_code == 201


def test_an_own_post_can_be_deleted_once(player, app):
    access, other = player.x_tokens(app)["access_token"], player.x_tokens(app, BOB)["access_token"]
    post_id = player.x_post(access, "Wrong").json["data"]["id"]
    url = f"/api.x.com/2/tweets/{post_id}"
    assert player.client.delete(url, headers=bearer(other)).status_code == 403
    assert player.client.delete(url, headers=bearer(access)).json == {"data": {"deleted": True}}
    assert player.client.delete(url, headers=bearer(access)).status_code == 404
    assert player.posts("twitter") == []


def test_a_token_of_another_platform_opens_nothing(player):
    linkedin = player.make("linkedin")
    assert player.x_me(player.li_tokens(linkedin)["access_token"]).status_code == 401


def test_everything_survives_a_restart(tmp_path):
    file = tmp_path / "state" / "sandbox.state"
    before = Player(file)
    app = before.make("twitter")
    tokens = before.x_tokens(app)
    code = before.decide(app, BOB)["code"]
    before.x_post(tokens["access_token"], "Still here")
    fault = before.order("twitter", "publish", "500")
    after = Player(file, before.clock)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [post["text"] for post in after.posts("twitter")] == ["Still here"]
    assert after.x_exchange(app, code).status_code == 200
    assert after.client.get(f"/portal/api/faults/{fault}").json["left"] == 1
    assert after.x_post(tokens["access_token"], "Next").status_code == 500
    assert after.x_refresh(app, tokens["refresh_token"]).status_code == 200
