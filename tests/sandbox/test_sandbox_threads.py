"""Threads as the sandbox plays it: consent, tokens, containers, posts, and what it refuses."""

import io
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from PIL import Image

from tests.sandbox.player import CALLBACK, Player, told

BAKERY, QUIET, LEA = "17841405793187218", "17841405793187302", "17841405793187417"
DEFAULT = "threads_basic,threads_content_publish,threads_delete"
EVERYTHING = f"{DEFAULT},threads_manage_replies,threads_read_replies,threads_location_tagging"
API = "/graph.threads.net"
DAY = 86_400


class Desk:
    """Somebody with an app at Threads."""

    def __init__(self, player: Player, **settings: Any) -> None:
        self.player, self.client = player, player.client
        self.app = player.make("threads", **settings)
        self.token = ""

    def address(self, **changes: str) -> str:
        asked = {"client_id": self.app["client_id"], "redirect_uri": CALLBACK, "scope": EVERYTHING,
                 "response_type": "code", "state": "st-1"} | changes
        return "/threads.com/oauth/authorize?" + urlencode({name: one for name, one in asked.items() if one})

    def decide(self, person: str = BAKERY, decision: str = "allow", declined: tuple[str, ...] = (),
               **changes: str) -> Any:
        ticked = [one for one in (changes.get("scope") or EVERYTHING).split(",") if one not in declined]
        return self.client.post(self.address(**changes), data={"person": person, "decision": decision, "scope": ticked})

    def code(self, person: str = BAKERY, **how: Any) -> str:
        return dict(parse_qsl(urlsplit(self.decide(person, **how).location).query))["code"]

    def exchange(self, code: str, **changes: str) -> Any:
        form = {"client_id": self.app["client_id"], "client_secret": self.app["client_secret"], "code": code,
                "grant_type": "authorization_code", "redirect_uri": CALLBACK} | changes
        return self.client.post(f"{API}/oauth/access_token", data=form)

    def short(self, person: str = BAKERY, **how: Any) -> str:
        return str(told(self.exchange(self.code(person, **how)))["access_token"])

    def longer(self, token: str, **changes: str) -> Any:
        query = {"grant_type": "th_exchange_token", "client_secret": self.app["client_secret"], "access_token": token}
        return self.client.get(f"{API}/access_token", query_string=query | changes)

    def connect(self, person: str = BAKERY, **how: Any) -> "Desk":
        self.token = str(told(self.longer(self.short(person, **how)))["access_token"])
        self.person = person
        return self

    def renew(self, **changes: str) -> Any:
        query = {"grant_type": "th_refresh_token", "access_token": self.token} | changes
        return self.client.get(f"{API}/refresh_access_token", query_string=query)

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(f"{API}/v1.0/{path}", query_string={"access_token": self.token, **query})

    def make(self, **form: str) -> Any:
        return self.client.post(f"{API}/v1.0/{self.person}/threads", data={"access_token": self.token, **form})

    def made(self, **form: str) -> str:
        answer = self.make(**form)
        assert answer.status_code == 200, answer.text
        return str(told(answer)["id"])

    def status(self, container: str) -> Any:
        return told(self.get(container, fields="id,status,error_message"))

    def ready(self, **form: str) -> str:
        container = self.made(**form)
        while self.status(container)["status"] == "IN_PROGRESS":
            pass
        return container

    def publish(self, container: str, **more: str) -> Any:
        form = {"access_token": self.token, "creation_id": container, **more}
        return self.client.post(f"{API}/v1.0/{self.person}/threads_publish", data=form)

    def post(self, text: str = "Hi", **form: str) -> str:
        return str(told(self.publish(self.ready(media_type="TEXT", text=text, **form)))["id"])


@pytest.fixture
def desk(player: Player) -> Desk:
    return Desk(player).connect()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[bytes, str]]:
    """Addresses that the sandbox can fetch: bytes and their type."""
    pages: dict[str, tuple[bytes, str]] = {}

    def fetch(self: requests.Session, url: str, **options: Any) -> requests.Response:
        answer = requests.Response()
        content, kind = pages.get(url, (b"", ""))
        answer.status_code, answer.raw = (200 if content else 404), io.BytesIO(content)
        answer.headers["Content-Type"] = kind
        return answer

    monkeypatch.setattr(requests.Session, "get", fetch)
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), (9, 9, 9)).save(picture, "JPEG")
    film = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(64)
    pages["https://c.example/a.jpg"] = (picture.getvalue(), "image/jpeg")
    pages["https://c.example/a.mp4"] = (film, "video/mp4")
    pages["https://c.example/a.gif"] = (b"GIF89a" + bytes(40), "image/gif")
    return pages


def error(answer: Any) -> tuple[int, int | None]:
    assert answer.status_code >= 400, answer.text
    body = told(answer)["error"]
    return body["code"], body.get("error_subcode")


# ---------------------------------------------------------------- consent and tokens


def test_consent_sends_a_code_and_the_fragment_back(player):
    answer = Desk(player).decide()
    assert answer.location.startswith(f"{CALLBACK}?code=") and answer.location.endswith("state=st-1#_")


def test_no_comes_back_in_three_words(player):
    query = dict(parse_qsl(urlsplit(Desk(player).decide(decision="deny").location).query))
    assert query == {"error": "access_denied", "error_reason": "user_denied",
                     "error_description": "The user denied your request", "state": "st-1"}


@pytest.mark.parametrize(("changes", "code"), [
    ({"client_id": "1"}, "1"), ({"client_id": ""}, "4476002"), ({"redirect_uri": CALLBACK + "/"}, "1349168"),
    ({"scope": "threads_delete"}, "100"), ({"scope": "threads_basic,email"}, "100"), ({"scope": ""}, "100"),
    ({"response_type": "token"}, "100"), ({"response_type": ""}, "100"), ({"prompt": "login"}, "100")])
def test_what_the_consent_page_never_sends_back(player, changes, code):
    answer = player.client.get(Desk(player).address(**changes))
    assert answer.status_code == 400 and code in answer.text


def test_localhost_is_no_address_for_a_callback(player):
    wish = {"platform": "threads", "name": "x"}
    for address in ("http://localhost:8000/x", "https://localhost:8000/x", "https://127.0.0.1/x", "http://c.example/x"):
        answer = player.client.post("/portal/api/apps", json=wish | {"redirect_uris": [address]})
        assert answer.status_code == 422, address
    assert Desk(player, redirect_uris=["http://127.0.0.1:8000/x"], accept_http_loopback=True)


def test_a_code_gives_a_short_token_and_no_permissions(player):
    desk = Desk(player)
    answer = told(desk.exchange(desk.code()))
    assert set(answer) == {"access_token", "user_id"} and answer["user_id"] == int(BAKERY)


def test_a_code_is_used_once_within_an_hour_by_its_app_with_its_address(player):
    desk = Desk(player)
    code, late, moved = desk.code(), desk.code(), desk.code()
    assert desk.exchange(code).status_code == 200
    player.clock.forward(3600)
    for one in (code, late, "nonsense"):
        answer = desk.exchange(one)
        assert answer.status_code == 400 and told(answer) == {
            "error_type": "OAuthException", "code": 400,
            "error_message": "Matching code was not found or was already used"}
    moved = desk.code()
    assert "redirect_uri" in told(desk.exchange(moved, redirect_uri=CALLBACK + "/"))["error_message"]
    assert "client secret" in told(desk.exchange(moved, client_secret="0" * 32))["error_message"]
    assert desk.exchange(moved, client_id="1").status_code == 400
    assert desk.exchange(moved, state="st-1").status_code == 400


def test_parameters_of_the_exchange_are_no_query(player):
    desk = Desk(player)
    query = {"client_id": desk.app["client_id"], "client_secret": desk.app["client_secret"], "code": desk.code(),
             "grant_type": "authorization_code", "redirect_uri": CALLBACK}
    assert player.client.post(f"{API}/oauth/access_token", query_string=query).status_code == 400


def test_a_short_token_becomes_a_long_one(player):
    desk = Desk(player)
    short = desk.short()
    answer = told(desk.longer(short))
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 5_183_944)
    assert error(desk.longer(answer["access_token"])) == (100, None)
    assert error(desk.longer(short, client_secret="0" * 32)) == (1, None)
    assert error(desk.longer(short, client_id=desk.app["client_id"])) == (100, None)
    assert error(desk.longer(short, grant_type="ig_exchange_token")) == (100, None)
    player.clock.forward(3600)
    assert error(desk.longer(short)) == (190, 463)


def test_renewal_asks_for_a_day_of_age_and_no_secret(desk):
    assert error(desk.renew()) == (100, None)
    desk.player.clock.forward(DAY)
    assert error(desk.renew(client_secret=desk.app["client_secret"])) == (100, None)
    newer = told(desk.renew())
    assert newer["expires_in"] == 5_183_944 and newer["access_token"] != desk.token
    desk.player.clock.forward(60 * DAY)
    assert error(desk.renew()) == (190, 463)
    desk.token = newer["access_token"]
    assert error(desk.renew()) == (190, 463)


def test_a_short_token_cannot_be_renewed(player):
    desk = Desk(player, access_seconds=5 * DAY)
    desk.token = desk.short()
    player.clock.forward(DAY)
    assert error(desk.renew())[0] in (100, 190)


def test_id_and_secret_can_be_tried_without_a_person(player):
    desk = Desk(player)

    def tried(client_id: str, secret: str) -> Any:
        return player.client.get(f"{API}/oauth/access_token", query_string={
            "grant_type": "client_credentials", "client_id": client_id, "client_secret": secret})

    right = told(tried(desk.app["client_id"], desk.app["client_secret"]))
    assert right["access_token"].startswith(f"TH|{desk.app['client_id']}|") and right["token_type"] == "bearer"
    assert error(tried(desk.app["client_id"], "0" * 32)) == (1, None)
    assert error(tried("1", desk.app["client_secret"])) == (101, None)
    assert error(tried("", desk.app["client_secret"])) == (4476002, None)


def test_a_token_tells_about_itself_to_testers_only(desk):
    data = told(desk.get("debug_token", input_token=desk.token))["data"]
    assert set(data) == {"type", "application", "data_access_expires_at", "expires_at", "is_valid", "issued_at",
                         "scopes", "user_id"}
    assert (data["scopes"], data["user_id"], data["is_valid"]) == (sorted(EVERYTHING.split(",")), BAKERY, True)
    other = Desk(desk.player).connect()
    assert error(other.get("debug_token", input_token=desk.token)) == (100, None)
    assert error(Desk(desk.player).connect(QUIET).get("debug_token", input_token=desk.token)) == (10, None)


def test_a_declined_permission_is_missing(player):
    desk = Desk(player).connect(declined=("threads_content_publish",))
    assert "threads_content_publish" not in told(desk.get("debug_token", input_token=desk.token))["data"]["scopes"]
    assert error(desk.make(media_type="TEXT", text="Hi")) == (10, None)


@pytest.mark.parametrize(("action", "subcode"), [("revoke", 458), ("password", 460), ("suspend", 459)])
def test_how_a_token_ends(desk, action, subcode):
    assert desk.player.act("threads", BAKERY, action).status_code == 200
    assert error(desk.get("me", fields="id")) == (190, subcode)


def test_the_profile_and_its_fields(desk):
    fields = "id,username,name,threads_profile_picture_url,threads_biography,is_verified"
    assert set(told(desk.get("me", fields=fields))) == set(fields.split(","))
    assert "name" not in told(Desk(desk.player).connect(QUIET).get("me", fields=fields))
    assert error(desk.get("me", fields="email")) == (100, None)
    assert error(desk.get("me", appsecret_proof="ab")) == (100, None)
    picture = told(desk.get("me", fields=fields))["threads_profile_picture_url"]
    assert desk.client.get(urlsplit(picture).path).content_type == "image/png"


def test_a_token_goes_in_a_parameter_and_not_in_a_header(desk):
    answer = desk.client.get(f"{API}/v1.0/me", headers={"Authorization": f"Bearer {desk.token}"})
    assert error(answer) == (190, None)


def test_both_hosts_answer_with_the_version_and_without(desk):
    for place in ("/graph.threads.com/v1.0/me", "/graph.threads.com/me", "/graph.threads.net/me"):
        assert desk.client.get(place, query_string={"access_token": desk.token}).status_code == 200
    assert desk.client.get("/graph.threads.net/v2.0/me", query_string={"access_token": desk.token}).status_code == 404


# ---------------------------------------------------------------- containers


def test_a_container_is_worked_on_then_published_once(desk):
    desk.client.post("/portal/api/settings", json={"processing_polls": 2})
    container = desk.made(media_type="TEXT", text="Hi")
    early = desk.publish(container)
    assert error(early) == (24, 4279009) and told(early)["error"]["error_user_title"] == "Media Not Found"
    words = [desk.status(container)["status"] for _ in range(3)]
    assert words == ["IN_PROGRESS", "IN_PROGRESS", "FINISHED"]
    post = told(desk.publish(container))["id"]
    assert desk.status(container) == {"id": container, "status": "PUBLISHED"}
    assert error(desk.publish(container)) == (24, 4279009)
    found = told(desk.get(post, fields="id,permalink,shortcode,timestamp,text"))
    assert found["text"] == "Hi" and found["permalink"].endswith(f"/@harbourbakery/post/{found['shortcode']}")
    assert desk.client.get(urlsplit(found["permalink"]).path).location == f"/timeline/threads/{post}"


def test_a_container_lives_for_a_day(desk):
    container = desk.ready(media_type="TEXT", text="Hi")
    desk.player.clock.forward(DAY)
    assert desk.status(container)["status"] == "EXPIRED" and error(desk.publish(container)) == (24, 4279009)


def test_a_container_is_nobody_elses(desk):
    container, other = desk.ready(media_type="TEXT", text="Hi"), Desk(desk.player).connect()
    assert error(other.publish(container)) == (24, 4279009)
    assert error(other.get(container, fields="status")) == (100, 33)
    other.person = QUIET
    assert error(other.make(media_type="TEXT", text="Hi")) == (100, 33)


@pytest.mark.parametrize("form", [
    {}, {"media_type": "STORY", "text": "Hi"}, {"media_type": "TEXT"}, {"media_type": "TEXT", "text": " "},
    {"media_type": "TEXT", "text": "a" * 501}, {"media_type": "TEXT", "text": "😀" * 126},
    {"media_type": "TEXT", "text": "Hi", "alt_text": "x"}, {"media_type": "TEXT", "text": "Hi", "caption": "x"},
    {"media_type": "TEXT", "text": "Hi", "image_url": "https://c.example/a.jpg"},
    {"media_type": "TEXT", "text": "Hi", "is_spoiler_media": "true"},
    {"media_type": "TEXT", "text": "Hi", "link_attachment": "c.example"},
    {"media_type": "TEXT", "text": "Hi", "topic_tag": "a.b"}, {"media_type": "TEXT", "text": "Hi", "topic_tag": "a&b"},
    {"media_type": "TEXT", "text": "Hi", "topic_tag": "a" * 51},
    {"media_type": "TEXT", "text": "Hi", "reply_control": "nobody"},
    {"media_type": "TEXT", "text": "Hi", "location_id": "Rome"},
    {"media_type": "TEXT", "text": "Hi", "poll_attachment": '{"option_a":"a"}'},
    {"media_type": "TEXT", "text": "Hi", "poll_attachment": '["a","b"]'},
    {"media_type": "TEXT", "text": "Hi", "poll_attachment": '{"option_a":"a","option_c":"b"}'},
    {"media_type": "TEXT", "text": "Hi", "poll_attachment": '{"option_a":"a","option_b":"' + "b" * 26 + '"}'},
    {"media_type": "TEXT", "text": "Hi", "poll_attachment": '{"option_a":"a","option_b":"b"}',
     "link_attachment": "https://a.example"},
    {"media_type": "TEXT", "text": "Hi", "text_entities": '[{"entity_type":"SPOILER","offset":1,"length":2}]'},
    {"media_type": "TEXT", "text": "Hi", "text_entities": '[{"entity_type":"BOLD","offset":0,"length":2}]'},
    {"media_type": "TEXT", "text": "Hi", "text_entities": "SPOILER"},
    {"media_type": "TEXT", "text": " ".join(f"https://a.example/{one}" for one in range(6))},
    {"media_type": "TEXT", "text": " ".join(f"www.a.example/{one}" for one in range(5)),
     "link_attachment": "https://b.example"},
    {"media_type": "IMAGE", "text": "Hi"}, {"media_type": "IMAGE", "image_url": "c.example/a.jpg"},
    {"media_type": "IMAGE", "image_url": "https://c.example/brød.jpg"},
    {"media_type": "IMAGE", "image_url": "https://c.example/a.jpg", "alt_text": "a" * 1001},
    {"media_type": "IMAGE", "image_url": "https://c.example/a.jpg", "is_spoiler_media": "yes"},
    {"media_type": "IMAGE", "image_url": "https://c.example/a.jpg", "is_carousel_item": "yes"},
    {"media_type": "IMAGE", "image_url": "https://c.example/a.jpg", "is_carousel_item": "true", "text": "Hi"},
    {"media_type": "VIDEO", "image_url": "https://c.example/a.jpg"},
    {"media_type": "CAROUSEL", "children": "1,2"}, {"media_type": "CAROUSEL", "text": "Hi"},
    {"media_type": "CAROUSEL", "children": "1", "alt_text": "x"},
    {"media_type": "TEXT", "text": "Hi", "auto_publish_text": "true"}, {"media_type": "TEXT", "text": "Hi",
                                                                         "appsecret_proof": "ab"},
])
def test_what_no_container_is_made_of(desk, web, form):
    assert error(desk.make(**form))[0] == 100
    assert told(desk.client.get("/portal/api/uploads?platform=threads")) == []


def test_a_body_of_json_is_not_taken(desk):
    answer = desk.client.post(f"{API}/v1.0/me/threads", query_string={"access_token": desk.token},
                              json={"media_type": "TEXT", "text": "Hi"})
    assert error(answer)[0] == 100


def test_too_many_links_have_a_name_of_their_own(desk):
    answer = desk.make(media_type="TEXT", text=" ".join(f"https://a.example/{one}" for one in range(6)))
    assert "THREADS_API__LINK_LIMIT_EXCEEDED" in told(answer)["error"]["message"]
    desk.made(media_type="TEXT", text=" ".join(f"https://a.example/{one % 5}" for one in range(9)))


def test_media_is_fetched_hashed_and_described(desk, web):
    for kind, field, name in (("IMAGE", "image_url", "a.jpg"), ("VIDEO", "video_url", "a.mp4")):
        address = f"https://c.example/{name}"
        container = desk.ready(media_type=kind, **{field: address}, alt_text="A loaf", text="Hi")
        told(desk.publish(container))
        [medium] = desk.player.posts("threads")[0]["media"]
        assert (medium["size"], medium["alt"], medium["kind"]) == (len(web[address][0]), "A loaf", kind.lower())


def test_media_that_cannot_be_had(desk, web):
    assert error(desk.make(media_type="IMAGE", image_url="https://c.example/gone.jpg")) == (1, 2207052)
    for address, word in (("https://c.example/gone.mp4", "FAILED_DOWNLOADING_VIDEO"),
                          ("https://c.example/a.jpg", "FAILED_PROCESSING_VIDEO")):
        container = desk.made(media_type="VIDEO", video_url=address)
        assert (desk.status(container)["status"], desk.status(container)["error_message"]) == ("ERROR", word)
        assert error(desk.publish(container)) == (24, 4279009)
    gif = desk.made(media_type="IMAGE", image_url="https://c.example/a.gif")
    assert desk.status(gif)["error_message"] == "UNKNOWN"


def test_a_carousel_needs_finished_parts_of_its_own(desk, web):
    item = {"media_type": "IMAGE", "image_url": "https://c.example/a.jpg", "is_carousel_item": "true"}
    first, second, alone = desk.ready(**item), desk.made(**item), desk.ready(
        media_type="IMAGE", image_url="https://c.example/a.jpg")
    for children in (f"{first},{second}", f"{first},{alone}", first, f"{first},{first}", ",".join([first] * 21)):
        assert error(desk.make(media_type="CAROUSEL", children=children)) == (100, None), children
    assert error(desk.publish(first)) == (24, 4279009)
    while desk.status(second)["status"] != "FINISHED":
        pass
    post = told(desk.publish(desk.ready(media_type="CAROUSEL", children=f"{second},{first}", text="Two")))["id"]
    stored = desk.player.posts("threads")[0]
    assert (stored["id"], stored["format"], len(stored["media"])) == (post, "carousel", 2)


# ---------------------------------------------------------------- posts


def test_replies_and_places_need_permissions_of_their_own(player):
    desk = Desk(player).connect(scope=DEFAULT)
    root = desk.post()
    assert error(desk.make(media_type="TEXT", text="Hi", reply_to_id=root)) == (10, None)
    assert error(desk.make(media_type="TEXT", text="Hi", location_id="1")) == (10, None)
    assert error(desk.get(f"{BAKERY}/replies", fields="id")) == (10, None)
    assert error(desk.get(f"{BAKERY}/threads_publishing_limit", fields="reply_quota_usage")) == (10, None)
    loose = Desk(player, replies_need_scope=False).connect(scope=DEFAULT)
    assert loose.post("Answer", reply_to_id=root)


def test_replies_stand_in_a_list_of_their_own(desk):
    root = desk.post("Root")
    reply = desk.post("Reply", reply_to_id=root)
    listed = {edge: [one["id"] for one in told(desk.get(f"{BAKERY}/{edge}", fields="id,text,permalink,timestamp",
                                                        limit="5"))["data"]] for edge in ("threads", "replies")}
    assert listed == {"threads": [root], "replies": [reply]}
    assert desk.player.posts("threads")[0]["reply_to"] == root
    assert error(desk.make(media_type="TEXT", text="Hi", reply_to_id="123")) == (100, 33)


def test_lists_come_in_parts(desk):
    posts = [desk.post(f"No. {number}") for number in range(3)][::-1]
    first = told(desk.get("me/threads", fields="id", limit="2"))
    assert [one["id"] for one in first["data"]] == posts[:2] and "access_token=" in first["paging"]["next"]
    rest = told(desk.get("me/threads", fields="id", limit="2", after=first["paging"]["cursors"]["after"]))
    assert [one["id"] for one in rest["data"]] == posts[2:] and "next" not in rest["paging"]
    assert error(desk.get("me/threads", limit="101")) == (100, None) == error(desk.get("me/threads", fields="likes"))


def test_the_days_numbers(desk):
    desk.client.post("/portal/api/settings", json={"quotas": {"threads": 2}})
    root, spare = desk.post(), desk.ready(media_type="TEXT", text="Third")
    desk.post("Second")
    desk.post("A reply", reply_to_id=root)
    fields = "quota_usage,config,reply_quota_usage,reply_config,delete_quota_usage,delete_config"
    assert told(desk.get(f"{BAKERY}/threads_publishing_limit", fields=fields)) == {"data": [{
        "quota_usage": 2, "config": {"quota_total": 2, "quota_duration": DAY}, "reply_quota_usage": 1,
        "reply_config": {"quota_total": 1000, "quota_duration": DAY}, "delete_quota_usage": 0,
        "delete_config": {"quota_total": 100, "quota_duration": DAY}}]}
    assert error(desk.publish(spare)) == (4, None)
    desk.player.clock.forward(DAY - 1)
    assert error(desk.publish(spare)) == (4, None)
    desk.player.clock.forward(1)
    assert error(desk.publish(spare)) == (24, 4279009)  # the container is a day old as well
    assert desk.post("A new day")


def test_deleting(desk):
    post = desk.post()
    gone = f"{API}/v1.0/{post}"
    assert error(desk.client.delete(gone, query_string={"access_token": desk.token, "force": "1"})) == (100, None)
    assert told(desk.client.delete(gone, query_string={"access_token": desk.token})) == {
        "success": True, "deleted_id": post}
    assert error(desk.client.delete(gone, query_string={"access_token": desk.token})) == (100, 33)
    assert error(desk.get(post, fields="id")) == (100, 33)
    assert told(desk.get(f"{BAKERY}/threads_publishing_limit", fields="delete_quota_usage"))["data"] == [
        {"delete_quota_usage": 1}]
    lacking = Desk(desk.player).connect(declined=("threads_delete",))
    assert error(desk.client.delete(f"{API}/v1.0/{lacking.post()}",
                                    query_string={"access_token": lacking.token})) == (10, None)


def test_a_restricted_profile_and_an_app_that_is_taken_for_spam(player):
    assert error(Desk(player).connect(LEA).make(media_type="TEXT", text="Hi")) == (10, 4279013)
    spam = Desk(player, takes_for_spam=True).connect()
    assert error(spam.publish(spam.ready(media_type="TEXT", text="Buy"))) == (4, 2207051)


@pytest.mark.parametrize(("kind", "status", "code"), [("429", 400, 613), ("500", 500, 2)])
def test_faults_are_told_as_threads_tells_them(desk, kind, status, code):
    for operation, ask in (("upload", lambda: desk.make(media_type="TEXT", text="Hi")),
                           ("inspect", lambda: desk.get("debug_token", input_token=desk.token)),
                           ("quota", lambda: desk.get("me/threads_publishing_limit", fields="quota_usage")),
                           ("profile", lambda: desk.get("me")), ("refresh", desk.renew)):
        desk.player.order("threads", operation, kind)
        answer = ask()
        assert (answer.status_code, error(answer)[0]) == (status, code), operation


def test_asking_after_a_container_can_fail_on_order(desk):
    container = desk.made(media_type="TEXT", text="Hi")
    desk.player.order("threads", "status", "html")
    assert desk.get(container, fields="id,status,error_message").content_type.startswith("text/html")
    assert desk.status(container)["status"] == "IN_PROGRESS"


def test_people_are_told_with_what_is_odd_about_them(player):
    people = told(player.client.get("/portal/api/people?platform=threads"))
    assert [one["id"] for one in people] == [BAKERY, QUIET, LEA]
    assert people[0]["tester"] and "tester" not in people[1] and people[2]["restricted"]


def test_a_poll_and_choices_are_kept(desk):
    poll = {"option_a": "Rye", "option_b": "Wheat"}
    desk.post("Hi 😀 you", poll_attachment=json.dumps(poll), topic_tag="Bread", reply_control="mentioned_only",
              location_id="1", text_entities='[{"entity_type":"SPOILER","offset":3,"length":2}]')
    facts = desk.player.posts("threads")[0]["facts"]
    assert facts | {"shortcode": ""} == {
        "shortcode": "", "poll": poll, "topic_tag": "Bread", "reply_control": "mentioned_only", "location_id": "1",
        "spoilers": [{"entity_type": "SPOILER", "offset": 3, "length": 2}]}
