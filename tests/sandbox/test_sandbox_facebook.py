"""Facebook in the sandbox refuses what Facebook refuses."""

import pytest

from tests.sandbox.player import BAKERY, BASE, CYCLES, INES, MARA, NOT_MINE, TOMAS, proof


@pytest.fixture
def app(player):
    return player.make("facebook")


def refusal(answer):
    error = answer.json["error"]
    assert error["type"] == "OAuthException" and error["fbtrace_id"]
    return answer.status_code, error["code"], error.get("error_subcode")


def test_ids_look_like_the_real_ones(app):
    assert app["client_id"].isdigit() and len(app["client_id"]) == 16
    assert len(app["client_secret"]) == 32 and int(app["client_secret"], 16) >= 0


def test_denying_sends_what_facebook_sends(player, app):
    assert player.decide(app, MARA, "deny") == {
        "error": "access_denied",
        "error_code": "200",
        "error_reason": "user_denied",
        "error_description": "Permissions error",
        "state": "st-1",
    }


def test_an_unknown_scope_comes_back_without_error(player, app):
    answer = player.look(app, scope="public_profile,pages_eat")
    assert answer.status_code == 302 and answer.location.startswith("https://console.example/")
    assert "error_code=100&error_message=Invalid+Scopes%3A+pages_eat" in answer.location
    assert "error=" not in answer.location.replace("error_code=", "")


def test_an_unregistered_address_is_blocked_on_a_page(player, app):
    for changes in ({"redirect_uri": "https://console.example/api/connect/it/callback?x=1"}, {"client_id": "1"}):
        answer = player.look(app, **changes)
        assert answer.status_code == 400 and answer.location is None
    assert "URL Blocked" in player.look(app, redirect_uri="https://console.example/").text


def test_http_on_loopback_needs_the_switch(player):
    local = "http://127.0.0.1:8000/callback"
    wish = {"platform": "facebook", "redirect_uris": [local]}
    assert player.client.post("/portal/api/apps", json=wish).status_code == 422
    app = player.make("facebook", redirect_uris=[local], accept_http_loopback=True)
    assert player.look(app, redirect_uri=local).status_code == 200


def test_the_consent_page_offers_permissions_and_pages(player, app):
    page = player.look(app).text
    for words in ("Mara Lindqvist", "Harbour Bakery", "Linden Cycles", "Not Mine", "pages_manage_posts"):
        assert words in page


def test_a_config_id_fails_on_a_plain_login(player, app):
    assert player.look(app, config_id="123", scope=None).status_code == 400
    business = player.make("facebook", mode="business")
    assert player.look(business, config_id="123", scope=None).status_code == 400
    assert player.look(business, config_id=business["config_id"], scope=None).status_code == 200


def test_a_code_gives_a_short_token_and_that_a_long_one(player, app):
    short = player.fb_exchange(app, player.decide(app, MARA)["code"]).json
    assert (short["token_type"], short["expires_in"]) == ("bearer", 5106)
    long = player.fb_extend(app, short["access_token"]).json
    assert (long["token_type"], long["expires_in"]) == ("bearer", 5183944)
    assert player.fb_extend(app, long["access_token"]).status_code == 200


def test_codes_are_good_once_for_ten_minutes_and_one_address(player, app):
    code = player.decide(app, MARA)["code"]
    assert refusal(player.fb_exchange(app, code, redirect_uri="https://console.example/")) == (400, 100, 36008)
    assert player.fb_exchange(app, code).status_code == 200
    assert refusal(player.fb_exchange(app, code)) == (400, 100, 36009)
    late = player.decide(app, MARA)["code"]
    player.clock.forward(600)
    assert refusal(player.fb_exchange(app, late)) == (400, 100, 36007)


def test_wrong_credentials_and_the_probe(player, app):
    pair = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    ask = {"grant_type": "client_credentials"}
    right = player.graph("oauth/access_token", **ask, **pair).json
    assert right["access_token"].startswith(app["client_id"] + "|")
    named = player.graph(f"v25.0/{app['client_id']}", right["access_token"], fields="id,name").json
    assert named == {"id": app["client_id"], "name": "Console"}
    wrong = player.graph("oauth/access_token", **ask, **pair | {"client_secret": "0" * 32})
    assert refusal(wrong) == (400, 1, None) and "client secret" in wrong.json["error"]["message"]
    assert refusal(player.graph("oauth/access_token", **ask, **pair | {"client_id": "1"})) == (400, 101, None)


def test_basic_is_not_looked_at(player, app):
    query = {"code": player.decide(app, MARA)["code"]}
    answer = player.client.get(
        "/graph.facebook.com/v25.0/oauth/access_token", query_string=query, headers=player.basic(app)
    )
    assert refusal(answer) == (400, 101, None)


def test_permissions_say_what_was_declined(player, app):
    token = player.fb_long(app, declined=("pages_manage_posts",))
    rows = {r["permission"]: r["status"] for r in player.graph("v25.0/me/permissions", token).json["data"]}
    assert rows["pages_manage_posts"] == "declined" and rows["pages_show_list"] == "granted"
    page = player.fb_pages(token)[BAKERY]["access_token"]
    assert refusal(player.graph("v25.0/me/permissions", page)) == (400, 100, None)
    assert refusal(player.fb_post(BAKERY, page, "Hi")) == (403, 200, None)


def test_login_for_business_is_all_or_nothing_and_hides_unticked_pages(player):
    app = player.make("facebook", mode="business")
    token = player.fb_long(app, declined=("pages_manage_posts",), pages=(BAKERY,))
    rows = player.graph("v25.0/me/permissions", token).json["data"]
    assert {row["status"] for row in rows} == {"granted"}
    assert set(player.fb_pages(token)) == {BAKERY}


def test_unticked_pages_are_listed_without_a_token(player, app):
    pages = player.fb_pages(player.fb_long(app, pages=(BAKERY,)))
    assert set(pages) == {BAKERY, CYCLES, NOT_MINE}
    assert "access_token" in pages[BAKERY] and "access_token" not in pages[CYCLES]
    assert "CREATE_CONTENT" not in pages[NOT_MINE]["tasks"]


def test_a_page_ticked_off_at_the_next_login_loses_access(player, app):
    token = player.fb_page_token(app, CYCLES)
    assert player.fb_post(CYCLES, token, "Ride").status_code == 200
    player.decide(app, MARA, pages=(BAKERY,))
    assert refusal(player.fb_post(CYCLES, token, "Ride on")) == (403, 200, None)


def test_pages_of_a_portfolio_need_business_management(player, app):
    everything = player.fb_long(app, INES, pages=("900300000000001", "900300000000003"))
    assert len(player.fb_pages(everything)) == 2
    assert refusal(player.graph("v25.0/me/businesses", everything)) == (403, 200, None)
    scope = "pages_show_list,business_management"
    token = player.fb_long(app, INES, scope=scope, pages=("900300000000001", "900300000000003"))
    assert len(player.fb_pages(token)) == 3
    [business] = player.graph("v25.0/me/businesses", token).json["data"]
    owned = player.graph(f"v25.0/{business['id']}/owned_pages", token, fields="id,access_token").json["data"]
    assert [page["id"] for page in owned] == ["900300000000003"] and owned[0]["access_token"]


def test_pages_come_in_parts_with_cursors(player, app):
    token = player.fb_long(app)
    seen, after = [], None
    for _ in range(4):
        query = {"fields": "id,name", "limit": "2"} | ({"after": after} if after else {})
        answer = player.graph("v25.0/me/accounts", token, **query).json
        seen += [page["id"] for page in answer["data"]]
        if not answer["data"]:
            break
        after = answer["paging"]["cursors"]["after"]
        assert ("next" in answer["paging"]) == (len(seen) < 3)
    assert seen == [BAKERY, CYCLES, NOT_MINE]
    assert player.fb_pages(player.fb_long(app, TOMAS)) == {}


def test_a_page_token_of_a_short_token_dies_with_it_and_of_a_long_one_never(player, app):
    short = player.fb_short(app)
    short_page = player.fb_pages(short)[BAKERY]["access_token"]
    long_page = player.fb_pages(player.fb_extend(app, short).json["access_token"])[BAKERY]["access_token"]
    player.clock.forward(5106)
    assert refusal(player.fb_post(BAKERY, short_page, "Hi")) == (400, 190, 463)
    assert refusal(player.fb_extend(app, short)) == (400, 190, 463)
    player.clock.forward(10 * 365 * 86400)
    assert player.fb_post(BAKERY, long_page, "Hi").status_code == 200


def test_a_page_token_of_a_short_token_says_when_it_ends_and_follows_its_parent(player, app):
    page = player.fb_pages(player.fb_short(app))[BAKERY]["access_token"]
    app_token = f"{app['client_id']}|{app['client_secret']}"
    data = player.graph("v25.0/debug_token", app_token, input_token=page).json["data"]
    assert data["expires_at"] == int(player.clock.instant) + 5106
    player.act("facebook", MARA, "expire")
    assert refusal(player.fb_post(BAKERY, page, "Hi")) == (400, 190, 463)


def test_debug_token_tells_sort_expiry_and_pages(player, app):
    long = player.fb_long(app, pages=(BAKERY,))
    page = player.fb_pages(long)[BAKERY]["access_token"]
    app_token = f"{app['client_id']}|{app['client_secret']}"
    data = player.graph("v25.0/debug_token", app_token, input_token=page).json["data"]
    assert (data["type"], data["profile_id"], data["user_id"]) == ("PAGE", BAKERY, MARA)
    assert data["is_valid"] and data["expires_at"] == 0
    targets = {entry["scope"]: entry.get("target_ids") for entry in data["granular_scopes"]}
    assert targets["pages_manage_posts"] == [BAKERY] and targets["email"] is None
    user = player.graph("v25.0/debug_token", app_token, input_token=long).json["data"]
    assert user["type"] == "USER" and user["expires_at"] == int(player.clock.instant) + 5183944
    player.act("facebook", MARA, "revoke")
    dead = player.graph("v25.0/debug_token", app_token, input_token=page).json["data"]
    assert dead["is_valid"] is False and dead["error"]["subcode"] == 458
    bad = player.graph("v25.0/debug_token", f"{app['client_id']}|wrong", input_token=page)
    assert refusal(bad) == (400, 190, None)


@pytest.mark.parametrize(("action", "subcode"), [("revoke", 458), ("password", 460), ("suspend", 459)])
def test_each_end_has_its_subcode(player, app, action, subcode):
    token = player.fb_page_token(app)
    assert player.act("facebook", MARA, action).status_code == 200
    assert refusal(player.fb_post(BAKERY, token, "Hi")) == (400, 190, subcode)


def test_an_expired_user_token_leaves_the_pages_alive(player, app):
    long = player.fb_long(app)
    page = player.fb_pages(long)[BAKERY]["access_token"]
    player.act("facebook", MARA, "expire")
    assert refusal(player.graph("v25.0/me", long)) == (400, 190, 463)
    assert player.fb_post(BAKERY, page, "Hi").status_code == 200


def test_a_lifted_lock_lets_the_page_post_again(player, app):
    token = player.fb_page_token(app)
    player.act("facebook", MARA, "suspend")
    player.act("facebook", MARA, "lift")
    assert player.fb_post(BAKERY, token, "Hi").status_code == 200


def test_a_wrong_proof_is_refused_and_a_right_one_taken(player, app):
    token = player.fb_page_token(app)
    assert refusal(player.fb_post(BAKERY, token, "Hi", appsecret_proof="0" * 64)) == (400, 100, None)
    assert player.fb_post(BAKERY, token, "Hi", appsecret_proof=proof(app, token)).status_code == 200


def test_posting_needs_the_pages_own_token(player, app):
    long = player.fb_long(app)
    pages = player.fb_pages(long)
    as_user = player.fb_post(BAKERY, long, "Hi")
    assert refusal(as_user) == (403, 200, None) and "as the page itself" in as_user.json["error"]["message"]
    assert refusal(player.fb_post(BAKERY, pages[CYCLES]["access_token"], "Hi")) == (403, 200, None)
    assert refusal(player.fb_post(NOT_MINE, pages[NOT_MINE]["access_token"], "Hi")) == (403, 200, None)
    assert refusal(player.fb_post(BAKERY, "EAAnothing", "Hi")) == (400, 190, None)
    assert player.posts("facebook") == []


def test_a_post_is_seen_and_read_back(player, app):
    token = player.fb_page_token(app)
    post_id = player.fb_post(BAKERY, token, "Rolls", link="https://harbour.example/").json["id"]
    assert post_id.startswith(BAKERY + "_")
    link = player.graph(f"v25.0/{post_id}", token, fields="permalink_url").json["permalink_url"]
    assert link == f"{BASE}/www.facebook.com/{post_id}"
    assert "Rolls" in player.client.get(link.removeprefix(BASE), follow_redirects=True).text
    for edge in ("feed", "published_posts"):
        rows = player.graph(f"v25.0/{BAKERY}/{edge}", token, fields="id,message,created_time,permalink_url").json
        assert rows["data"][0]["id"] == post_id and rows["data"][0]["created_time"] == "2026-11-18T11:06:40+0000"
    assert player.graph(f"v25.0/{post_id}", token, "DELETE").json == {"success": True}
    assert refusal(player.graph(f"v25.0/{post_id}", token)) == (400, 100, 33)


def test_text_that_facebook_does_not_take(player, app):
    token = player.fb_page_token(app)
    assert player.fb_post(BAKERY, token, "a" * 63206).status_code == 200
    assert refusal(player.fb_post(BAKERY, token, "a" * 63207)) == (400, 100, None)
    assert refusal(player.fb_post(BAKERY, token, "  ")) == (400, 100, None)


def test_taking_the_permissions_back_ends_every_page(player, app):
    long = player.fb_long(app)
    page = player.fb_pages(long)[BAKERY]["access_token"]
    assert player.graph(f"v25.0/{MARA}/permissions", long, "DELETE").json == {"success": True}
    assert refusal(player.fb_post(BAKERY, page, "Hi")) == (400, 190, 458)


def test_a_dead_version_is_served_by_the_oldest_living_one(player, app):
    token = player.fb_long(app)
    assert player.graph("v25.0/me", token).headers["facebook-api-version"] == "v25.0"
    assert player.graph("v18.0/me", token).headers["facebook-api-version"] == "v21.0"
    assert player.graph("me", token).status_code == 200
    assert refusal(player.graph("v99.0/me", token)) == (400, 2500, None)


def test_the_profile_of_a_page_and_of_its_person(player, app):
    token = player.fb_page_token(app)
    fields = "id,name,username,link,picture.type(large){url},followers_count"
    page = player.graph(f"v25.0/{BAKERY}", token, fields=fields).json
    assert (page["id"], page["name"], page["username"]) == (BAKERY, "Harbour Bakery", "harbourbakery")
    picture = player.client.get(page["picture"]["data"]["url"].removeprefix(BASE))
    assert picture.data.startswith(b"\x89PNG") and "category" not in page
    assert player.graph("v25.0/me", player.fb_long(app), fields="id,name").json == {
        "id": MARA,
        "name": "Mara Lindqvist",
    }


@pytest.mark.parametrize("changes", [{"prompt": "select_account"}, {"auth_type": "again"}])
def test_the_dialog_takes_no_other_parameters(player, app, changes):
    assert player.look(app, **changes).status_code == 400
    assert player.look(app, auth_type="reauthorize").status_code == 200


def test_logins_and_reads_take_no_other_parameters_and_fields(player, app):
    code = player.decide(app, MARA)["code"]
    assert refusal(player.fb_exchange(app, code, scope="x")) == (400, 100, None)
    short = player.fb_exchange(app, code).json["access_token"]
    for path, query in (("me", {"colour": "1"}), ("me/permissions", {"limit": "5"}), ("me/accounts", {"colour": "1"}),
                        ("me", {"fields": "id,colour"}), ("me/accounts", {"fields": "id,colour"}),
                        ("debug_token", {"input_token": short, "colour": "1"})):
        assert refusal(player.graph(path, short, **query)) == (400, 100, None), path


def test_posts_have_no_other_fields(player, app):
    token = player.fb_page_token(app)
    post = player.fb_post(BAKERY, token, "Hi").json["id"]
    assert refusal(player.graph(f"{BAKERY}/published_posts", token, fields="id,colour")) == (400, 100, None)
    assert refusal(player.graph(post, token, fields="colour")) == (400, 100, None)
