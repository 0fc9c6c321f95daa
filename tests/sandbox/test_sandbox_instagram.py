"""Instagram in the sandbox refuses what Instagram refuses, on both of its Graphs."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from PIL import Image

from tests.sandbox.player import CALLBACK, proof

LENA, TIMO, NADIA = "720000000000201", "720000000000202", "720000000000203"
IG, CYCLES, NOT_MINE = "17841405793187218", "17841405793187302", "17841405793187777"
PAGES = ["910100000000001", "910100000000002", "910100000000003", "910100000000004"]
PAGE, DIRECT = "facebook_login", "instagram_login"
HOSTS = {PAGE: "graph.facebook.com", DIRECT: "graph.instagram.com"}
DIALOGS = {PAGE: "/www.facebook.com/v25.0/dialog/oauth", DIRECT: "/www.instagram.com/oauth/authorize"}
SCOPES = {PAGE: "instagram_basic,instagram_content_publish,pages_show_list,pages_read_engagement,"
                "instagram_manage_comments,instagram_manage_contents",
          DIRECT: "instagram_business_basic,instagram_business_content_publish,instagram_business_manage_comments"}


def jpeg(width=400, height=400):
    stream = BytesIO()
    Image.new("RGB", (width, height), (200, 120, 30)).save(stream, "JPEG")
    return stream.getvalue()


FILES = {"/a.jpg": ("image/jpeg", jpeg()), "/wide.jpg": ("image/jpeg", jpeg(900, 300)),
         "/fake.jpg": ("image/jpeg", b"\x89PNG\r\n\x1a\n" + bytes(64)), "/page.jpg": ("text/html", b"<html>"),
         "/a.mp4": ("video/mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(400))}


@pytest.fixture(scope="module")
def files():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, content = FILES.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Visitor:
    """Somebody at Instagram with an app of one mode."""

    def __init__(self, player, mode, **wish):
        self.player, self.mode, self.client = player, mode, player.client
        self.app = player.make("instagram", mode=mode, **wish)
        self.token = ""

    def address(self, **changes):
        asked = {"response_type": "code", "client_id": self.app["client_id"], "redirect_uri": CALLBACK,
                 "scope": SCOPES[self.mode], "state": "st-1"} | changes
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items() if value is not None)
        return f"{DIALOGS[self.mode]}?{query}"

    def look(self, **changes):
        return self.client.get(self.address(**changes))

    def decide(self, person=LENA, decision="allow", pages=PAGES, declined=(), **changes):
        scopes = [one for one in SCOPES[self.mode].split(",") if one not in declined]
        form = {"person": person, "decision": decision, "page": pages, "scope": scopes}
        return self.client.post(self.address(**changes), data=form)

    def code(self, *args, **how):
        answer = self.decide(*args, **how)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.location).query))["code"]

    def exchange(self, code, **changes):
        form = {"client_id": self.app["client_id"], "client_secret": self.app["client_secret"], "code": code,
                "grant_type": "authorization_code", "redirect_uri": CALLBACK} | changes
        form = {name: value for name, value in form.items() if value is not None}
        if self.mode == PAGE:
            return self.client.get("/graph.facebook.com/v25.0/oauth/access_token", query_string=form)
        return self.client.post("/api.instagram.com/oauth/access_token", data=form)

    def short(self, *args, **how):
        told = self.exchange(self.code(*args, **how)).json
        return (told["data"][0] if "data" in told else told)["access_token"]

    def lengthen(self, short, **changes):
        if self.mode == PAGE:
            return self.client.get("/graph.facebook.com/v25.0/oauth/access_token", query_string={
                "grant_type": "fb_exchange_token", "client_id": self.app["client_id"],
                "client_secret": self.app["client_secret"], "fb_exchange_token": short} | changes)
        return self.client.get("/graph.instagram.com/access_token", query_string={
            "grant_type": "ig_exchange_token", "client_secret": self.app["client_secret"],
            "access_token": short} | changes)

    def refresh(self, token, **changes):
        return self.client.get("/graph.instagram.com/refresh_access_token", query_string={
            "grant_type": "ig_refresh_token", "access_token": token} | changes)

    def connect(self, *args, **how):
        self.token = self.lengthen(self.short(*args, **how)).json["access_token"]
        if self.mode == PAGE:
            rows = self.get("me/accounts", fields="id,access_token").json["data"]
            self.token = next(one["access_token"] for one in rows if "access_token" in one)
        return self

    def get(self, path, **query):
        return self.client.get(f"/{HOSTS[self.mode]}/v25.0/{path}", query_string={"access_token": self.token, **query})

    def post(self, path, **form):
        return self.client.post(f"/{HOSTS[self.mode]}/v25.0/{path}", data={"access_token": self.token, **form})

    def delete(self, path):
        return self.client.delete(f"/{HOSTS[self.mode]}/v25.0/{path}", query_string={"access_token": self.token})

    def container(self, **form):
        answer = self.post(f"{IG}/media", **form)
        assert answer.status_code == 200, answer.text
        return answer.json["id"]

    def finished(self, **form):
        made = self.container(**form)
        while self.get(made, fields="status_code").json["status_code"] == "IN_PROGRESS":
            pass
        return made

    def publish(self, container):
        return self.post(f"{IG}/media_publish", creation_id=container)


@pytest.fixture(params=[PAGE, DIRECT])
def visitor(player, request):
    return Visitor(player, request.param).connect()


@pytest.fixture
def direct(player):
    return Visitor(player, DIRECT)


@pytest.fixture
def through_page(player):
    return Visitor(player, PAGE)


def refusal(answer):
    assert answer.status_code >= 400, answer.text
    error = answer.json["error"]
    return error["code"], error.get("error_subcode")


# Consent


def test_pages_that_never_come_back(direct, through_page):
    unknown = direct.look(client_id="123")
    assert unknown.status_code == 404 and "this page isn" in unknown.text
    assert "Invalid platform app" in direct.look(client_id=through_page.app["client_id"]).text
    assert "Invalid redirect_uri" in direct.look(redirect_uri=CALLBACK + "/").text
    assert "Invalid scope" in direct.look(scope="instagram_business_basic,instagram_basic").text
    assert direct.look(prompt="consent").status_code == 400
    assert direct.look(force_reauth="true").status_code == 200
    assert "Invalid App ID" in through_page.look(client_id=direct.app["client_id"]).text
    assert "URL Blocked" in through_page.look(redirect_uri=CALLBACK + "/").text


def test_refusing(direct, through_page):
    back = direct.decide(decision="deny").location
    assert "error=access_denied&error_reason=user_denied&error_description=The+user+denied+your+request" in back
    assert "error_reason=user_denied" in through_page.decide(decision="deny").location


def test_a_family_that_does_not_fit_facebook(through_page):
    assert "error_code=100&error_message=Invalid+Scopes" in through_page.look(scope="instagram_business_basic").location


def test_personal_accounts_stay_outside(direct):
    answer = direct.decide(TIMO)
    assert answer.status_code == 400 and "professional" in answer.text


def test_a_configuration_needs_its_kind_of_app(player, through_page):
    configured = {"config_id": through_page.app["config_id"], "scope": None}
    assert through_page.look(**configured).status_code == 400
    business = Visitor(player, PAGE, login_for_business=True)
    assert business.look(config_id=business.app["config_id"], scope=None).status_code == 200
    assert business.look(config_id=business.app["config_id"]).status_code == 400


# Tokens


def test_the_code_gives_a_short_token_once(direct):
    code = direct.code()
    assert direct.decide().location.endswith("#_")
    said = {"error_type": "OAuthException", "code": 400}
    wrong = direct.exchange(code, client_secret="0" * 32).json
    assert wrong["error_message"].startswith("Error validating verification code") and wrong | said == wrong
    assert direct.exchange(code, client_id="1").json["error_message"] == "Invalid platform app"
    assert direct.exchange(code, scope="x").status_code == 400
    told = direct.exchange(code).json["data"][0]
    assert told["user_id"] == "9001000000000001" and "instagram_business_basic" in told["permissions"].split(",")
    again = direct.exchange(code)
    assert again.json["error_message"] == "Matching code was not found or was already used"
    assert refusal(direct.client.get("/api.instagram.com/oauth/access_token"))[0] == 100


def test_codes_live_an_hour(player, direct):
    code = direct.code()
    player.clock.forward(3600)
    assert direct.exchange(code).status_code == 400


def test_the_second_shape(player):
    direct = Visitor(player, DIRECT, flat_exchange=True, listed_profile=True)
    told = direct.exchange(direct.code(declined=["instagram_business_manage_comments"])).json
    assert told["user_id"] == int(IG) and told["permissions"] == [
        "instagram_business_basic", "instagram_business_content_publish"]
    direct.token = direct.lengthen(told["access_token"]).json["access_token"]
    assert direct.get("me", fields="user_id,username").json["data"][0]["user_id"] == IG


def test_long_tokens_and_their_renewal(player, direct):
    short = direct.short()
    assert refusal(direct.lengthen(short, client_secret="bad")) == (100, None)
    assert refusal(direct.lengthen(short, version="v25.0"))[0] == 100
    long = direct.lengthen(short).json
    assert (long["token_type"], long["expires_in"]) == ("bearer", 5183944)
    assert refusal(direct.refresh(long["access_token"])) == (100, None)
    player.clock.forward(24 * 3600)
    assert refusal(direct.refresh(long["access_token"], client_secret=direct.app["client_secret"]))[0] == 100
    assert refusal(direct.refresh(short))[0] == 190
    assert direct.refresh(long["access_token"]).json["expires_in"] == 5183944
    player.clock.forward(61 * 86400)
    assert refusal(direct.refresh(long["access_token"])) == (190, 463)


def test_a_page_token_of_a_short_token_dies_with_it(player, through_page):
    through_page.token = through_page.short()
    page = through_page.get("me/accounts", fields="id,access_token").json["data"][0]["access_token"]
    through_page.token = page
    assert through_page.get(IG, fields="username").status_code == 200
    player.clock.forward(6000)
    assert refusal(through_page.get(IG, fields="username")) == (190, 463)
    through_page.connect()
    player.clock.forward(70 * 86400)
    assert through_page.get(IG, fields="username").status_code == 200


def test_facebooks_own_apps_are_not_touched(player, through_page):
    facebook = player.make("facebook")
    assert set(player.fb_pages(player.fb_long(facebook))) >= {"900100000000001"}
    through_page.token = through_page.lengthen(through_page.short()).json["access_token"]
    assert {one["id"] for one in through_page.get("me/accounts", fields="id").json["data"]} == set(PAGES)
    probe = {"client_id": through_page.app["client_id"], "client_secret": through_page.app["client_secret"],
             "grant_type": "client_credentials"}
    answer = through_page.client.get("/graph.facebook.com/oauth/access_token", query_string=probe)
    assert answer.json["access_token"].startswith(through_page.app["client_id"] + "|")


def test_pages_and_their_accounts(through_page):
    through_page.token = through_page.lengthen(through_page.short(pages=PAGES[:1])).json["access_token"]
    fields = "id,name,access_token,instagram_business_account{id,username}"
    rows = through_page.get("me/accounts", fields=fields, limit="100").json["data"]
    assert rows[0]["instagram_business_account"] == {"id": IG, "username": "harbour.bakery"}
    assert "access_token" in rows[0] and "access_token" not in rows[1]
    assert "instagram_business_account" not in rows[2]
    plain = through_page.get("me/accounts", fields="id,instagram_business_account").json["data"][0]
    assert plain["instagram_business_account"] == {"id": IG}


def test_each_token_opens_its_own_graph(visitor):
    other = HOSTS[DIRECT if visitor.mode == PAGE else PAGE]
    query = {"access_token": visitor.token, "fields": "id"}
    assert refusal(visitor.client.get(f"/{other}/v25.0/{IG}/media", query_string=query))[0] == 190
    assert refusal(visitor.get(f"{NOT_MINE}/media", fields="id")) == (100, 33)


def test_the_proof(visitor):
    right = visitor.get(f"{IG}/media", fields="id", appsecret_proof=proof(visitor.app, visitor.token))
    assert right.status_code == (200 if visitor.mode == PAGE else 400)
    assert visitor.get(f"{IG}/media", fields="id", appsecret_proof="0").status_code == 400


# Publishing


def test_a_photo_from_its_address(visitor, files):
    made = visitor.container(image_url=f"{files}/a.jpg", caption="Hi", alt_text="Bread")
    assert made.startswith("17889") and len(made) == 17
    assert refusal(visitor.publish(made)) == (9007, 2207027)
    assert visitor.get(made, fields="status_code,status").json["status_code"] == "IN_PROGRESS"
    ready = visitor.get(made, fields="status_code,status").json
    assert ready["status_code"] == "FINISHED" and ready["status"].startswith("Finished:")
    media = visitor.publish(made).json["id"]
    assert visitor.get(made, fields="status_code").json["status_code"] == "PUBLISHED"
    assert visitor.publish(made).status_code == 400
    listed = visitor.get(f"{IG}/media", fields="id,caption,permalink,timestamp", limit="5").json["data"]
    assert [(one["id"], one["caption"]) for one in listed] == [(media, "Hi")]
    assert visitor.get(media, fields="permalink").json["permalink"] == listed[0]["permalink"]
    assert visitor.player.posts("instagram")[0]["media"][0]["alt"] == "Bread"


@pytest.mark.parametrize(("form", "error"), [
    ({"image_url": "{files}/none.jpg"}, (9004, 2207052)), ({"image_url": "{files}/page.jpg"}, (36001, 2207005)),
    ({"image_url": "{files}/fake.jpg"}, (36001, 2207005)), ({"image_url": "{files}/wide.jpg"}, (36003, 2207009)),
    ({"image_url": "{files}/ä.jpg"}, (9004, 2207052)),
    ({"image_url": "{files}/a.jpg", "caption": "x" * 2201}, (36004, 2207010)),
    ({"image_url": "{files}/a.jpg", "caption": "#a " * 31}, (36004, 2207010)),
    ({"media_type": "VIDEO", "video_url": "{files}/a.mp4"}, (100, 2207023)),
    ({"media_type": "IMAGE2", "image_url": "{files}/a.jpg"}, (100, 2207023)),
    ({"image_url": "{files}/a.jpg", "share_to_feed": "true"}, (100, None)),
    ({"image_url": "{files}/a.jpg", "location_id": "Paris"}, (100, None)),
    ({"image_url": "{files}/a.jpg", "collaborators": "anna"}, (100, None)),
    ({"image_url": "{files}/a.jpg", "is_carousel_item": "true", "caption": "Hi"}, (100, None)),
    ({"media_type": "STORIES", "image_url": "{files}/a.jpg", "caption": "Hi"}, (100, None)),
    ({"caption": "Hi"}, (100, None)), ({"media_type": "CAROUSEL", "children": "1"}, (100, 2207028)),
    ({"image_url": "{files}/a.jpg", "caption": ""}, (100, None))])
def test_what_a_container_refuses(visitor, files, form, error):
    form = {name: value.replace("{files}", files) for name, value in form.items()}
    assert refusal(visitor.post(f"{IG}/media", **form)) == error


def test_parameters_belong_into_the_body(visitor, files):
    path = f"/{HOSTS[visitor.mode]}/v25.0/{IG}/media"
    query = {"access_token": visitor.token, "image_url": f"{files}/a.jpg"}
    assert refusal(visitor.client.post(path, query_string=query))[0] == 100


def test_a_video_that_cannot_be_fetched_breaks_its_container(visitor, files):
    made = visitor.container(media_type="REELS", video_url=f"{files}/none.mp4")
    told = visitor.get(made, fields="status_code,status").json
    assert told["status_code"] == "ERROR" and "2207052" in told["status"]


def test_a_carousel_takes_finished_parts_only(visitor, files):
    parts = [visitor.container(image_url=f"{files}/a.jpg", is_carousel_item="true") for _ in range(2)]
    form = {"media_type": "CAROUSEL", "children": ",".join(parts)}
    assert refusal(visitor.post(f"{IG}/media", **form)) == (9007, 2207027)
    for part in parts * 2:
        visitor.get(part, fields="status_code")
    assert refusal(visitor.publish(parts[0])) == (24, 2207008)
    single = visitor.finished(image_url=f"{files}/a.jpg")
    mixed = {"media_type": "CAROUSEL", "children": f"{parts[0]},{single}"}
    assert refusal(visitor.post(f"{IG}/media", **mixed)) == (24, 2207006)
    assert visitor.publish(visitor.finished(**form)).status_code == 200


def test_containers_live_a_day(visitor, files, player):
    made = visitor.finished(image_url=f"{files}/a.jpg")
    player.clock.forward(86400)
    if visitor.mode == DIRECT:
        assert visitor.get(made, fields="status_code").json["status_code"] == "EXPIRED"
        assert refusal(visitor.publish(made)) == (-2, 2207020)
    else:
        assert visitor.get(made, fields="status_code").json["status_code"] == "EXPIRED"


def test_the_quota(visitor, files, player):
    player.client.post("/portal/api/settings", json={"quotas": {"instagram": 1}})
    assert visitor.publish(visitor.finished(image_url=f"{files}/a.jpg")).status_code == 200
    told = visitor.get(f"{IG}/content_publishing_limit", fields="quota_usage,config").json["data"][0]
    assert told == {"quota_usage": 1, "config": {"quota_total": 1, "quota_duration": 86400}}
    second = visitor.finished(image_url=f"{files}/a.jpg")
    assert refusal(visitor.publish(second)) == (9, 2207042)
    player.clock.forward(86000)
    assert refusal(visitor.publish(second)) == (9, 2207042)


def test_permissions_are_asked_for(player, files):
    for mode, scope in ((PAGE, "instagram_content_publish"), (DIRECT, "instagram_business_content_publish")):
        visitor = Visitor(player, mode).connect(declined=[scope])
        assert refusal(visitor.post(f"{IG}/media", image_url=f"{files}/a.jpg"))[0] == 10
    for mode, scope in ((PAGE, "instagram_manage_comments"), (DIRECT, "instagram_business_manage_comments")):
        visitor = Visitor(player, mode).connect(declined=[scope])
        media = visitor.publish(visitor.finished(image_url=f"{files}/a.jpg")).json["id"]
        assert refusal(visitor.post(f"{media}/comments", message="Hi"))[0] == 10


def test_comments_and_deletion(visitor, files):
    media = visitor.publish(visitor.finished(image_url=f"{files}/a.jpg")).json["id"]
    assert refusal(visitor.post(f"{media}/comments", text="Hi"))[0] == 100
    made = visitor.post(f"{media}/comments", message="First").json["id"]
    told = visitor.get(f"{media}/comments", fields="id,text,username,timestamp").json["data"]
    assert [(one["id"], one["text"], one["username"]) for one in told] == [(made, "First", "harbour.bakery")]
    gone = visitor.delete(media)
    if visitor.mode == DIRECT:
        assert refusal(gone) == (100, None)
    else:
        assert gone.json == {"success": True} and refusal(visitor.delete(media)) == (100, 33)


# Bytes


def test_bytes_of_videos(player, files):
    business = Visitor(player, PAGE, login_for_business=True).connect()
    content = FILES["/a.mp4"][1]
    made = business.post(f"{IG}/media", media_type="REELS", upload_type="resumable").json
    assert f"/rupload.facebook.com/ig-api-upload/v25.0/{made['id']}" in made["uri"]
    path = urlsplit(made["uri"]).path
    headers = {"Authorization": f"OAuth {business.token}", "offset": "0", "file_size": str(len(content))}
    assert refusal(business.client.post(path, data=content[:100], headers=headers))[0] == 100
    assert refusal(business.client.post(path, data=content, headers=headers | {"Authorization": "Bearer x"}))[0] == 190
    assert refusal(business.client.post(path, data=content, headers=headers | {"file_size": ""}))[0] == 100
    assert business.client.post(path, data=content, headers=headers).json["success"] is True
    assert refusal(business.client.post(path, data=content, headers=headers))[0] == 100
    assert refusal(business.publish(made["id"])) == (9007, 2207027)
    words = [business.get(made["id"], fields="status_code").json["status_code"] for _ in range(2)]
    assert words == ["IN_PROGRESS", "FINISHED"]
    assert business.publish(made["id"]).status_code == 200


def test_bytes_are_for_business_logins(visitor):
    assert refusal(visitor.post(f"{IG}/media", media_type="REELS", upload_type="resumable"))[0] == 10
    assert visitor.post(f"{IG}/media", upload_type="resumable").status_code == 400


def test_faults_can_be_ordered(visitor, player, files):
    player.order("instagram", "container", "429", seconds=120)
    answer = visitor.post(f"{IG}/media", image_url=f"{files}/a.jpg")
    assert answer.status_code >= 400 and "error" in answer.json
    assert visitor.container(image_url=f"{files}/a.jpg")
