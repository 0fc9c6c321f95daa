"""TikTok in the sandbox: as strict as the vendor where the console could slip, and the exchanges that are known."""

import hashlib
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.player import CALLBACK, bearer, told

ANNA, BEN, CLEO = "anna-bakes", "ben-quiet", "cleo-barred"
SCOPES = "user.info.basic,user.info.profile,user.info.stats,video.list,video.upload,video.publish"
ADDRESS = "/www.tiktok.com/v2/auth/authorize/"
V2 = "/open.tiktokapis.com/v2"
TOKEN, REVOKE, USER, LIST = f"{V2}/oauth/token/", f"{V2}/oauth/revoke/", f"{V2}/user/info/", f"{V2}/video/list/"
CREATOR, INIT, INBOX, CONTENT, STATUS = (f"{V2}/post/publish/{name}/" for name in (
    "creator_info/query", "video/init", "inbox/video/init", "content/init", "status/fetch"))
BASE = "http://localhost:18100"
VERIFIER = "v" * 64
CHALLENGE = hashlib.sha256(VERIFIER.encode()).hexdigest()
CHUNK = 5 * 1024 * 1024  # the least, whichever megabyte is meant
VIDEO = b"\x00\x00\x00\x18ftypisom" + bytes(2 * CHUNK + 100)
WHOLE = len(VIDEO)
SOURCE = {"source": "FILE_UPLOAD", "video_size": WHOLE, "chunk_size": CHUNK, "total_chunk_count": 2}
INFO = {"title": "Hi", "privacy_level": "SELF_ONLY", "disable_comment": True, "disable_duet": True,
        "disable_stitch": True, "brand_content_toggle": False, "brand_organic_toggle": False}


class Caller:
    """Somebody with an app at TikTok."""

    def __init__(self, player, **settings):
        self.player, self.client = player, player.client
        self.app = player.make("tiktok", **settings)

    def query(self, **changes):
        asked = {"client_key": self.app["client_id"], "response_type": "code", "scope": SCOPES,
                 "redirect_uri": CALLBACK, "state": "s", "disable_auto_auth": "1", **changes}
        return {name: value for name, value in asked.items() if value is not None}

    def back(self, person=ANNA, decision="allow", declined=(), **changes):
        query = self.query(**changes)
        answer = self.client.post(ADDRESS, query_string=query, data={
            "person": person, "decision": decision,
            "scope": [one for one in query["scope"].split(",") if one not in declined]})
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.location).query))

    def form(self, **fields):
        return self.client.post(TOKEN, data={name: value for name, value in {
            "client_key": self.app["client_id"], "client_secret": self.app["client_secret"], **fields}.items()
            if value is not None})

    def exchange(self, code, **changes):
        return self.form(grant_type="authorization_code", code=code, **{"redirect_uri": CALLBACK, **changes})

    def refresh(self, token, **changes):
        return self.form(grant_type="refresh_token", refresh_token=token, **changes)

    def tokens(self, person=ANNA, **how):
        return told(self.exchange(self.back(person, **how)["code"]))

    def token(self, person=ANNA, **how):
        return self.tokens(person, **how)["access_token"]

    def ask(self, path, token, body=None, **more):
        return self.client.post(path, json=body, headers=bearer(token), **more)

    def init(self, token, info=INFO, source=SOURCE):
        return self.ask(INIT, token, {"post_info": info, "source_info": source})

    def put(self, url, first, last, data=None, total=WHOLE, **headers):
        return self.client.put(url.removeprefix(BASE), data=VIDEO[first:last + 1] if data is None else data, headers={
            "Content-Type": "video/mp4", "Content-Range": f"bytes {first}-{last}/{total}", **headers})

    def upload(self, token, **how):
        data = told(self.init(token, **how))["data"]
        self.put(data["upload_url"], 0, CHUNK - 1)
        assert self.put(data["upload_url"], CHUNK, WHOLE - 1).status_code == 201
        return data["publish_id"]

    def status(self, token, publish_id):
        return told(self.ask(STATUS, token, {"publish_id": publish_id}))["data"]


def code_of(answer):
    return answer.status_code, told(answer)["error"]["code"]


@pytest.fixture
def here(player):
    return Caller(player)


# ---------------------------------------------------------------- consent and tokens


def test_a_code_becomes_a_pair(here):
    back = here.back(declined=["video.publish"])
    assert set(back) == {"code", "scopes", "state"} and back["state"] == "s" and "video.publish" not in back["scopes"]
    body = told(here.exchange(back["code"]))
    assert body["access_token"].startswith("act.") and body["refresh_token"].startswith("rft.")
    assert (body["expires_in"], body["refresh_expires_in"], body["token_type"]) == (7200, 15552000, "Bearer")
    assert body["scope"] == back["scopes"] or set(body["scope"].split(",")) == set(back["scopes"].split(","))
    assert body["open_id"] and "data" not in body


@pytest.mark.parametrize(("changes", "named"), [
    ({"client_key": "nobody"}, "client_key"), ({"client_key": None, "client_id": "x"}, "client_key"),
    ({"redirect_uri": CALLBACK + "/"}, "redirect_uri"), ({"scope": "user.info.basic video.publish"}, "scope"),
    ({"scope": "user.info.basic,video.create"}, "scope"), ({"state": None}, "state"), ({"prompt": "consent"}, "prompt"),
    ({"response_type": "token"}, "response_type"), ({"code_challenge": CHALLENGE}, "code_challenge"),
    ({"code_challenge": CHALLENGE.upper(), "code_challenge_method": "S256"}, "code_challenge")])
def test_a_faulty_request_ends_on_a_page_and_never_redirects(here, changes, named):
    for ask in (here.client.get, here.client.post):
        answer = ask(ADDRESS, query_string=here.query(**changes), data={"person": ANNA, "decision": "allow"})
        assert answer.status_code == 400 and not answer.location and named in answer.text


def test_saying_no_and_being_no_target_user(player):
    here = Caller(player, target_users_only=True)
    assert here.back(decision="deny")["error"] == "access_denied"
    assert here.back(CLEO)["error_type"] == "non_sandbox_target"


def test_a_code_is_judged_before_the_client(here):
    code = here.back()["code"]
    assert told(here.exchange("made-up", client_key="nobody"))["error"] == "invalid_grant"
    assert here.exchange(code, client_secret="bad").status_code == 401
    assert told(here.exchange(code, redirect_uri=CALLBACK + "/")) | {"log_id": ""} == {
        "error": "invalid_request", "log_id": "",
        "error_description": "Redirect_uri is not matched with the uri when requesting code."}
    assert here.exchange(code).status_code == 200
    again = here.exchange(code)
    assert again.status_code == 400 and told(again)["error_description"] == "Authorization code is expired."


@pytest.mark.parametrize("changes", [{"client_id": "x"}, {"redirect_uri": None}, {"scope": "x"},
                                     {"code_verifier": VERIFIER}])
def test_an_exchange_takes_exactly_its_parameters(here, changes):
    assert told(here.exchange(here.back()["code"], **changes))["error"] == "invalid_request"


def test_a_desktop_app_must_prove_itself_in_hexadecimal(player):
    here = Caller(player, desktop=True)
    assert here.client.get(ADDRESS, query_string=here.query()).status_code == 400
    code = here.back(code_challenge=CHALLENGE, code_challenge_method="S256")["code"]
    assert told(here.exchange(code))["error"] == told(here.exchange(code, code_verifier="w" * 64))["error"]
    assert here.exchange(code, code_verifier=VERIFIER).status_code == 200


def test_a_token_of_the_app_alone_checks_the_credentials(player):
    here = Caller(player)
    good = here.form(grant_type="client_credentials")
    assert good.status_code == 200 and told(good)["access_token"].startswith("clt.")
    bad = here.form(grant_type="client_credentials", client_secret="bad")
    assert bad.status_code == 401 and told(bad)["error_description"] == "Client key or secret is incorrect."
    late = Caller(player, errors_with_200=True).form(grant_type="client_credentials", client_secret="bad")
    assert late.status_code == 200 and told(late)["error"] == "invalid_client"


def test_a_refresh_token_is_good_for_once(here):
    first = here.tokens()
    second = told(here.refresh(first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    again = here.refresh(first["refresh_token"])
    assert again.status_code == 400 and told(again)["error_description"] == "Refresh token is invalid or expired."
    here.player.clock.forward(7201)
    assert code_of(here.ask(CREATOR, second["access_token"])) == (401, "access_token_invalid")
    here.player.clock.forward(180 * 86_400)
    assert told(here.refresh(second["refresh_token"]))["error"] == "invalid_grant"


def test_revoking_ends_every_grant_of_the_person(here):
    one, two, other = here.tokens(), here.tokens(), here.tokens(BEN)
    form = {"client_key": here.app["client_id"], "client_secret": here.app["client_secret"],
            "token": one["access_token"]}
    assert told(here.client.post(REVOKE, data={**form, "token": "x"}))["error"] == "invalid_request"
    assert told(here.client.post(REVOKE, data={**form, "client_id": "x"}))["error"] == "invalid_request"
    done = here.client.post(REVOKE, data=form)
    assert done.status_code == 200 and not done.data
    assert told(here.refresh(two["refresh_token"]))["error"] == "invalid_grant"
    assert here.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.parametrize(("uri", "loopback", "fits"), [
    ("https://console.example/callback", False, True), ("http://console.example/callback", False, False),
    ("https://console.example/callback?x=1", False, False), ("https://console.example/" + "a" * 500, False, False),
    ("http://127.0.0.1:8000/callback", False, False), ("http://127.0.0.1:8000/callback", True, True),
    ("http://127.0.0.1/callback", True, False)])
def test_what_may_be_registered(here, uri, loopback, fits):
    answer = here.player.change(here.app, redirect_uris=[uri], accept_http_loopback=loopback)
    assert (answer.status_code == 200) == fits


# ---------------------------------------------------------------- the account and the creator


def test_one_field_without_its_scope_fails_the_whole_call(here):
    token = here.token(declined=["user.info.stats"])
    def ask(fields):
        return here.client.get(USER, query_string={"fields": fields}, headers=bearer(token))
    user = told(ask("open_id,display_name,username"))["data"]["user"]
    assert (user["display_name"], user["username"]) == ("Anna Bakes", "annabakes") and len(user) == 3
    assert code_of(ask("open_id,follower_count")) == (401, "scope_not_authorized")
    assert code_of(ask("open_id,email")) == (400, "invalid_params")
    assert code_of(here.client.get(USER, headers=bearer(token))) == (400, "invalid_params")
    other = Caller(here.player)
    assert other.tokens()["open_id"] != user["open_id"], "every app knows a person by another id"


def test_what_the_creator_may_choose(here):
    data = told(here.ask(CREATOR, here.token()))["data"]
    assert data["privacy_level_options"] == ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
    assert data["stitch_disabled"] and not data["comment_disabled"] and data["max_video_post_duration_sec"] == 300
    private = told(here.ask(CREATOR, here.token(BEN)))["data"]["privacy_level_options"]
    assert "PUBLIC_TO_EVERYONE" not in private and "FOLLOWER_OF_CREATOR" in private
    assert code_of(here.ask(CREATOR, here.token(CLEO))) == (200, "spam_risk_user_banned_from_posting")
    assert code_of(here.ask(CREATOR, here.token(), {"x": 1})) == (400, "invalid_params")
    assert code_of(here.ask(CREATOR, here.token(declined=["video.publish"]))) == (401, "scope_not_authorized")


def test_twenty_questions_a_minute(here):
    token = here.token()
    assert [here.ask(CREATOR, token).status_code for _ in range(21)] == [200] * 20 + [429]
    here.player.clock.forward(60)
    assert here.ask(CREATOR, token).status_code == 200


# ---------------------------------------------------------------- videos


def test_a_video_in_chunks(here):
    token = here.token()
    publish_id = here.upload(token)
    assert publish_id.startswith("v_pub_file~") and len(publish_id) <= 64
    assert here.status(token, publish_id) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": WHOLE}
    assert here.status(token, publish_id) == {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": []}
    (post,) = here.player.posts("tiktok")
    assert post["media"][0]["sha256"] == hashlib.sha256(VIDEO).hexdigest() and post["text"] == "Hi"


def test_a_public_post_gets_its_id_after_the_moderation(here):
    token = here.token()
    publish_id = here.upload(token, info={**INFO, "privacy_level": "PUBLIC_TO_EVERYONE"})
    ids = [here.status(token, publish_id).get("publicaly_available_post_id") for _ in range(3)]
    assert ids[:2] == [None, []] and ids[2] == [7300000000000000001]
    listed = told(here.ask(LIST, token, {"max_count": 20}, query_string={"fields": "id,create_time,title"}))["data"]
    assert [one["id"] for one in listed["videos"]] == ["7300000000000000001"]
    assert code_of(here.ask(LIST, token, {"max_count": 21}, query_string={"fields": "id"})) == (400, "invalid_params")


@pytest.mark.parametrize(("info", "source", "code"), [
    ({**INFO, "privacy_level": "FOLLOWER_OF_CREATOR"}, SOURCE, "privacy_level_option_mismatch"),
    ({name: value for name, value in INFO.items() if name != "privacy_level"}, SOURCE, "invalid_params"),
    ({**INFO, "brand_content_toggle": True}, SOURCE, "invalid_params"),
    ({**INFO, "mood": "x"}, SOURCE, "invalid_params"),
    ({**INFO, "disable_duet": "true"}, SOURCE, "invalid_params"),
    ({**INFO, "title": "🍞" * 1100 + "a"}, SOURCE, "invalid_params"),
    (INFO, {**SOURCE, "total_chunk_count": 3}, "invalid_params"),
    (INFO, {**SOURCE, "chunk_size": 4_000_000}, "invalid_params"),
    (INFO, {**SOURCE, "video_url": "x"}, "invalid_params"),
    (INFO, {**SOURCE, "video_size": 5 * 1024**3, "chunk_size": 64_000_000, "total_chunk_count": 83}, "invalid_params")])
def test_an_announcement_must_fit(here, info, source, code):
    answer = here.init(here.token(), info, source)
    assert code_of(answer) == (403 if code == "privacy_level_option_mismatch" else 400, code)


def test_six_announcements_a_minute(here):
    token = here.token()
    assert [here.init(token).status_code for _ in range(7)] == [200] * 6 + [429]


def test_chunks_come_in_order_and_without_a_token(here):
    token = here.token()
    data = told(here.init(token))["data"]
    url = data["upload_url"]
    assert here.put(url, CHUNK, WHOLE - 1).status_code == 416
    assert here.put(url, 0, CHUNK - 1, Authorization=f"Bearer {token}").status_code == 400
    assert here.put(url, 0, CHUNK - 2).status_code == 400
    assert here.put(url, 0, CHUNK - 1, **{"Content-Type": "application/octet-stream"}).status_code == 400
    assert here.put(url, 0, CHUNK - 1, total=WHOLE + 1).status_code == 400
    assert here.put(url.replace("upload_token=", "upload_token=x"), 0, CHUNK - 1).status_code == 404
    first = here.put(url, 0, CHUNK - 1)
    assert (first.status_code, first.headers["Content-Range"]) == (206, f"bytes 0-{CHUNK - 1}/{WHOLE}")
    again = here.put(url, 0, CHUNK - 1)
    assert (again.status_code, again.headers["Content-Range"]) == (416, f"bytes 0-{CHUNK - 1}/{WHOLE}")
    assert here.status(token, data["publish_id"]) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": CHUNK}
    assert not here.player.posts("tiktok")
    here.player.clock.forward(3600)
    assert here.put(url, CHUNK, WHOLE - 1).status_code == 403


def test_a_failure_is_told_with_its_reason(here):
    token = here.token()
    publish_id = here.upload(token, info={**INFO, "title": "sandbox-fail-picture_size_check_failed"})
    here.status(token, publish_id)
    assert here.status(token, publish_id) == {
        "status": "FAILED", "fail_reason": "picture_size_check_failed", "publicaly_available_post_id": []}
    assert not here.player.posts("tiktok")


def test_whose_post_is_asked_after(here):
    token = here.token()
    publish_id = here.upload(token)
    assert code_of(here.ask(STATUS, token, {"publish_id": "x"})) == (400, "invalid_publish_id")
    assert code_of(here.ask(STATUS, here.token(BEN), {"publish_id": publish_id})) == (
        400, "token_not_authorized_for_specified_publish_id")


def test_an_app_without_audit(player):
    here = Caller(player, audited=False)
    assert code_of(here.init(here.token())) == (403, "unaudited_client_can_only_post_to_private_accounts")
    private = here.token(BEN)
    assert code_of(here.init(private, {**INFO, "privacy_level": "MUTUAL_FOLLOW_FRIENDS"})) == (
        403, "unaudited_client_can_only_post_to_private_accounts")
    assert here.init(private).status_code == 200


def test_limits_of_a_day(player):
    here = Caller(player, active_users=1)
    player.client.post("/portal/api/settings", json={"quotas": {"tiktok": 1}})
    token = here.token()
    assert here.init(token).status_code == 200
    assert code_of(here.init(token)) == (403, "spam_risk_too_many_posts")
    assert code_of(here.ask(CREATOR, here.token(BEN))) == (200, "reached_active_user_cap")
    player.clock.forward(86_401)
    assert here.ask(CREATOR, here.token(BEN)).status_code == 200


# ---------------------------------------------------------------- photos and the inbox


def photos(**changes):
    body = {"media_type": "PHOTO", "post_mode": "DIRECT_POST",
            "post_info": {"description": "x", "privacy_level": "SELF_ONLY"},
            "source_info": {"source": "PULL_FROM_URL", "photo_images": ["https://media.example/a.jpg"],
                            "photo_cover_index": 0}}
    return body | changes


@pytest.mark.parametrize(("changes", "code"), [
    ({"post_mode": "DIRECT POST"}, "invalid_params"), ({"media_type": "VIDEO"}, "invalid_params"),
    ({"post_info": {"description": "x"}}, "invalid_params"),
    ({"post_info": {"privacy_level": "SELF_ONLY", "disable_duet": True}}, "invalid_params"),
    ({"post_info": {"privacy_level": "SELF_ONLY", "title": "a" * 91}}, "invalid_params"),
    ({"post_mode": "MEDIA_UPLOAD"}, "invalid_params"),
    ({"source_info": {"source": "PULL_FROM_URL", "photo_images": []}}, "invalid_params"),
    ({"source_info": {"source": "PULL_FROM_URL", "photo_images": ["https://a.example/1"] * 36}}, "invalid_params"),
    ({"source_info": {"source": "PULL_FROM_URL", "photo_images": ["https://a.example/1"], "photo_cover_index": 1}},
     "invalid_params"),
    ({"source_info": {"source": "PULL_FROM_URL", "photo_images": ["http://127.0.0.1:9/1"]}},
     "url_ownership_unverified"),
    ({"source_info": {"source": "PULL_FROM_URL", "photo_images": ["https://10.0.0.1/1"]}}, "url_ownership_unverified")])
def test_photos_must_fit(here, changes, code):
    assert code_of(here.ask(CONTENT, here.token(), photos(**changes)))[1] == code


def test_photos_that_cannot_be_fetched_fail_later(player):
    here = Caller(player, accept_http_loopback=True)
    token = here.token()
    source = {"source": "PULL_FROM_URL", "photo_images": ["http://127.0.0.1:9/none.jpg"]}
    publish_id = told(here.ask(CONTENT, token, photos(source_info=source)))["data"]["publish_id"]
    assert publish_id.startswith("p_pub_url~")
    assert here.status(token, publish_id)["status"] == "PROCESSING_DOWNLOAD"
    assert here.status(token, publish_id)["fail_reason"] == "photo_pull_failed"


def test_the_inbox_takes_a_file_and_nothing_else(here):
    token = here.token(declined=["video.publish"])
    assert code_of(here.ask(INBOX, token, {"source_info": SOURCE, "post_info": INFO})) == (400, "invalid_params")
    data = told(here.ask(INBOX, token, {"source_info": SOURCE}))["data"]
    here.put(data["upload_url"], 0, CHUNK - 1)
    here.put(data["upload_url"], CHUNK, WHOLE - 1)
    states = [here.status(token, data["publish_id"])["status"] for _ in range(3)]
    assert states == ["PROCESSING_UPLOAD", "SEND_TO_USER_INBOX", "SEND_TO_USER_INBOX"]
    (post,) = here.player.posts("tiktok")
    assert here.client.post(f"/www.tiktok.com/sandbox/inbox/{post['id']}/post").status_code == 204
    assert here.status(token, data["publish_id"])["status"] == "PUBLISH_COMPLETE"
    assert code_of(here.ask(INBOX, here.token(declined=["video.upload"]), {"source_info": SOURCE})) == (
        401, "scope_not_authorized")


def test_pages_that_people_open(here):
    token = here.token()
    publish_id = here.upload(token, info={**INFO, "privacy_level": "PUBLIC_TO_EVERYONE"})
    for _ in range(3):
        here.status(token, publish_id)
    answer = here.client.get("/www.tiktok.com/@annabakes/video/7300000000000000001")
    assert answer.location == f"/timeline/tiktok/{here.player.posts('tiktok')[0]['id']}"
    assert here.client.get(answer.location).status_code == 200
    assert here.client.get("/www.tiktok.com/@annabakes").location == f"/timeline?author={ANNA}"
