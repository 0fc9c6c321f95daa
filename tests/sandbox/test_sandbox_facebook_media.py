"""The sandbox's Pages take photos, videos, reels, stories and comments as strictly as Meta's pages say."""

import hashlib
import io
import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.sandbox.player import BAKERY, CYCLES, Player, told

JPEG = b"\xff\xd8\xff" + bytes(200)
FILM = b"\x00\x00\x00\x18ftypisom" + bytes(3000)
SCOPES = "public_profile,email,pages_show_list,pages_read_engagement,pages_manage_posts,pages_manage_engagement"


class Page:
    """Somebody who speaks for a Page."""

    def __init__(self, player: Player, page: str = BAKERY, **settings: Any) -> None:
        self.player, self.page = player, page
        app = player.make("facebook", **settings)
        long = player.fb_long(app, scope=SCOPES)
        self.token = str(player.fb_pages(long)[page]["access_token"])

    def post(self, edge: str, host: str = "graph.facebook.com", **form: Any) -> TestResponse:
        where = edge if "/" in edge else f"{self.page}/{edge}"
        return self.player.client.post(f"/{host}/v25.0/{where}", data={**form, "access_token": self.token})

    def get(self, path: str, **query: str) -> TestResponse:
        return self.player.graph(f"v25.0/{path}", self.token, **query)

    def photo(self, content: bytes = JPEG, **form: str) -> TestResponse:
        return self.post("photos", source=(io.BytesIO(content), "a.jpg"), **form)

    def unpublished(self) -> str:
        return str(told(self.photo(published="false"))["id"])

    def started(self, edge: str, **form: str) -> dict[str, str]:
        answer = self.post(edge, upload_phase="start", **form)
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = told(answer)
        return found

    def stream(
        self, address: str, content: bytes, first: int = 0, size: int = 0, odd: dict[str, str] | None = None
    ) -> TestResponse:
        return self.player.client.post(address[len("http://localhost:18100"):], data=content, headers={
            "Authorization": f"OAuth {self.token}", "offset": str(first), "file_size": str(size or len(content)),
            **(odd or {})})

    def status(self, video: str) -> dict[str, Any]:
        found: dict[str, Any] = told(self.get(video, fields="status"))["status"]
        return found


@pytest.fixture
def page(player: Player) -> Page:
    return Page(player)


def code(answer: TestResponse) -> tuple[int, int | None]:
    error = told(answer)["error"]
    return error["code"], error.get("error_subcode")


def attached(*photos: str) -> str:
    return json.dumps([{"media_fbid": one} for one in photos])


def test_a_photo_is_received_and_posted(page: Page, player: Player) -> None:
    answer = told(page.photo(caption="Bread", alt_text_custom="A loaf"))
    post = player.posts("facebook")[0]
    assert set(answer) == {"id", "post_id"} and post["id"] == answer["post_id"]
    assert post["media"][0] == {"kind": "image", "mime": "image/jpeg", "size": len(JPEG), "alt": "A loaf",
                                "sha256": hashlib.sha256(JPEG).hexdigest()}


def test_an_unpublished_photo_is_no_post(page: Page, player: Player) -> None:
    assert set(told(page.photo(published="false"))) == {"id"} and not player.posts("facebook")


@pytest.mark.parametrize(("content", "form", "expected"), [
    (b"no picture at all", {}, (324, 1366046)), (FILM, {}, (324, 1366046)), (JPEG, {"published": "0"}, (100, None)),
    (JPEG, {"alt_text": "x"}, (100, None)), (JPEG, {"url": "https://example.com/a.jpg"}, (324, None)),
    (JPEG, {"place": "4711"}, (100, None))])
def test_what_is_no_photo(page: Page, player: Player, content: bytes, form: dict[str, str], expected: Any) -> None:
    assert code(page.photo(content, **form)) == expected and not player.posts("facebook")


def test_photos_are_attached_once(page: Page, player: Player) -> None:
    first, second = page.unpublished(), page.unpublished()
    assert page.post("feed", message="Hi", attached_media=attached(first, second)).status_code == 200
    assert len(player.posts("facebook")[0]["media"]) == 2
    assert code(page.post("feed", attached_media=attached(first))) == (506, 1366051)


@pytest.mark.parametrize("sent", ["media_fbid", "[]x", "{}", '["1"]', '[{"media_fbid":1}]', '[{"id":"1"}]',
                                  '[{"media_fbid":"1","x":"2"}]', '[{"media_fbid":"1"},{"media_fbid":"1"}]'])
def test_attached_media_has_one_form(page: Page, sent: str) -> None:
    assert code(page.post("feed", message="Hi", attached_media=sent)) == (100, None)


def test_attached_media_in_pieces_is_refused(page: Page) -> None:
    assert code(page.post("feed", message="Hi", attached_media=["media_fbid", "media_fbid"])) == (100, None)


def test_a_photo_of_another_page_is_not_there(player: Player) -> None:
    theirs = Page(player, CYCLES).unpublished()
    assert code(Page(player).post("feed", attached_media=attached(theirs))) == (100, 33)


def test_a_photo_story(page: Page, player: Player) -> None:
    photo = page.unpublished()
    assert code(page.post("photo_stories", photo_id="4711")) == (100, 33)
    answer = told(page.post("photo_stories", photo_id=photo))
    assert answer["success"] is True and player.posts("facebook")[0]["id"] == answer["post_id"]
    assert told(page.get(f"{BAKERY}/feed"))["data"] == []


@pytest.mark.parametrize("host", ["graph.facebook.com", "graph-video.facebook.com"])
def test_a_video_in_chunks(page: Page, player: Player, host: str) -> None:
    film = FILM + bytes(1024 * 1024)
    start = told(page.post("videos", host, upload_phase="start", file_size=str(len(film))))
    assert (start["start_offset"], start["end_offset"]) == ("0", "1048576")
    session = start["upload_session_id"]

    def chunk(first: int, end: int) -> TestResponse:
        return page.post("videos", host, upload_phase="transfer", upload_session_id=session, start_offset=str(first),
                         video_file_chunk=(io.BytesIO(film[first:end]), "a.mp4"))

    assert code(page.post("videos", host, upload_phase="finish", upload_session_id=session)) == (6000, None)
    assert told(chunk(0, 1048576)) == {"start_offset": "1048576", "end_offset": str(len(film))}
    assert code(chunk(0, 1048576)) == (100, 1363037)
    assert page.status(start["video_id"])["uploading_phase"] == {"status": "in_progress", "bytes_transfered": 1048576}
    last = told(chunk(1048576, len(film)))
    assert last["start_offset"] == last["end_offset"] == str(len(film))
    done = page.post("videos", host, upload_phase="finish", upload_session_id=session, description="Hi", title="T")
    assert told(done) == {"success": True} and not player.posts("facebook")
    states = [page.status(start["video_id"])["video_status"] for _ in range(2)]
    assert states == ["processing", "ready"]
    post = player.posts("facebook")[0]
    assert (post["text"], post["media"][0]["sha256"]) == ("Hi", hashlib.sha256(film).hexdigest())
    facts = told(page.get(start["video_id"], fields="status,permalink_url,post_id"))
    assert facts["post_id"] == post["id"] and facts["permalink_url"].startswith("/")
    assert code(page.post("videos", host, upload_phase="finish", upload_session_id=session)) == (100, 1363045)


def test_a_reel_from_start_to_finish(page: Page, player: Player) -> None:
    start = page.started("video_reels")
    video = start["video_id"]
    form = {"upload_phase": "finish", "video_id": video, "video_state": "PUBLISHED", "description": "Hi"}
    assert code(page.post("video_reels", **form)) == (100, 1363128)
    assert page.stream(start["upload_url"], FILM[:1000], 0, len(FILM)).status_code == 400
    assert page.status(video)["uploading_phase"]["bytes_transfered"] == 1000
    assert page.stream(start["upload_url"], FILM[500:], 500, len(FILM)).status_code == 400
    assert told(page.stream(start["upload_url"], FILM[1000:], 1000, len(FILM))) == {"success": True}
    assert [page.status(video)["video_status"] for _ in range(2)] == ["uploading", "upload_complete"]
    assert code(page.post("video_reels", **{**form, "video_state": "published"})) == (100, None)
    assert code(page.post("video_reels", **form, message="Hi")) == (100, None)
    assert told(page.post("video_reels", **form)) == {"success": True}
    assert code(page.post("video_reels", **form)) == (100, 1363045)
    assert [page.status(video)["video_status"] for _ in range(2)] == ["processing", "ready"]
    post = player.posts("facebook")[0]
    assert (post["format"], post["media"][0]["sha256"]) == ("reel", hashlib.sha256(FILM).hexdigest())
    assert told(player.graph(f"v25.0/{video}", page.token, "DELETE")) == {"success": True}
    assert not player.posts("facebook") and code(page.get(video, fields="status")) == (100, 33)


@pytest.mark.parametrize("headers", [
    {"Authorization": "Bearer x"}, {"Authorization": "OAuth nobody"}, {"offset": ""}, {"file_size": "x"},
    {"offset": "7"}, {"file_size": "10"}])
def test_bytes_that_the_upload_host_refuses(page: Page, headers: dict[str, str]) -> None:
    start = page.started("video_reels")
    answer = page.stream(start["upload_url"], FILM, odd=headers)
    assert answer.status_code in (400, 401) and "debug_info" in told(answer)
    assert page.status(start["video_id"])["video_status"] == "uploading"


def test_a_video_story_has_no_state(page: Page, player: Player) -> None:
    start = page.started("video_stories")
    page.stream(start["upload_url"], FILM)
    assert [page.status(start["video_id"])["video_status"] for _ in range(2)] == ["uploading", "upload_complete"]
    form = {"upload_phase": "finish", "video_id": start["video_id"]}
    assert code(page.post("video_stories", **form, video_state="PUBLISHED")) == (100, None)
    answer = told(page.post("video_stories", **form))
    for _ in range(2):
        page.status(start["video_id"])
    assert answer["success"] is True and player.posts("facebook")[0]["id"] == answer["post_id"]


def test_what_is_no_video_never_gets_out(page: Page, player: Player) -> None:
    start = page.started("video_stories")
    page.stream(start["upload_url"], JPEG)
    assert [page.status(start["video_id"])["video_status"] for _ in range(2)] == ["uploading", "upload_complete"]
    page.post("video_stories", upload_phase="finish", video_id=start["video_id"])
    found = [page.status(start["video_id"]) for _ in range(2)][-1]
    assert found["video_status"] == "error" and found["processing_phase"]["error"]["message"]
    assert not player.posts("facebook")


def test_comments(page: Page, player: Player) -> None:
    post = told(page.post("feed", message="Post"))["id"]
    made = told(page.post(f"{post}/comments", message="First"))["id"]
    assert player.posts("facebook")[0]["reply_to"] == post
    listed = told(page.get(f"{post}/comments", fields="id,message,from,created_time,parent{id}", filter="stream"))
    assert [(one["id"], one["message"], one["from"]["id"]) for one in listed["data"]] == [(made, "First", BAKERY)]
    assert [one["id"] for one in told(page.get(f"{BAKERY}/feed"))["data"]] == [post]
    assert told(player.graph(f"v25.0/{made}", page.token, "DELETE")) == {"success": True}
    assert told(page.get(f"{post}/comments"))["data"] == []
    assert code(page.post(f"{BAKERY}_1/comments", message="Hi")) == (100, 33)


def test_a_comment_needs_its_permission(player: Player) -> None:
    app = player.make("facebook")
    token = player.fb_page_token(app)
    post = told(player.fb_post(BAKERY, token, "Post"))["id"]
    answer = player.client.post(f"/graph.facebook.com/v25.0/{post}/comments",
                                data={"message": "First", "access_token": token})
    assert (answer.status_code, code(answer)) == (403, (200, None))


def test_unknown_parameters_are_refused(page: Page) -> None:
    assert code(page.post("feed", message="Hi", mesage="Hi")) == (100, None)


def test_settings_of_an_app_make_it_stricter(player: Player) -> None:
    page = Page(player, refuse_duplicates=True, usage_percent=96)
    answer = page.post("feed", message="Twice")
    assert json.loads(answer.headers["X-App-Usage"])["call_count"] == 96
    assert code(page.post("feed", message="Twice"))[0] == 506
    assert page.post("feed", message="Other").status_code == 200
    player.change(player.client.get("/portal/api/apps?platform=facebook").json[0], require_proof=True)  # type: ignore[index]
    assert code(page.post("feed", message="Without a proof")) == (100, None)
