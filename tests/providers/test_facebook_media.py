"""Facebook's odd answers around photos, videos, comments and Page lists, scripted to the byte."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from socialconsole import outside
from socialconsole.errors import ContentRejected, NeedsReconnect, OutcomeUnknown, PlatformError, RateLimited, TryLater
from socialconsole.providers import connectable, rules
from socialconsole.providers.base import COMMENT, App, Draft, Located, Published
from socialconsole.providers.content import IMAGE, VIDEO, File, Progress, Sent, Wait
from socialconsole.providers.facebook_media import Body, multipart
from socialconsole.providers.meta import app_usage, business_usage, heed_usage, is_busy

FACEBOOK: Any = connectable("facebook")
GRAPH, VIDEOS = "https://graph.facebook.com/v25.0", "https://graph-video.facebook.com/v25.0/900100/videos"
APP = App("123456789012345", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", api_version="v25.0", hosts=FACEBOOK.base_addresses())
TOKEN = "EAABpage1-7Yh8Uj9Ik0Ol"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
UPLOAD = "https://rupload.facebook.com/video-upload/v25.0/77"


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    outside.use_clock(lambda: NOW)
    yield
    outside.use_clock(None)


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as made:
        yield made


@pytest.fixture
def video(tmp_path: Path) -> File:
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(range(256)) * 40)
    return File("v", VIDEO, "video/mp4", 10_240, path, "v.mp4", "5ha", 1080, 1920, 10.0, 30.0)


@pytest.fixture
def photo(tmp_path: Path) -> File:
    path = tmp_path / "p.jpg"
    path.write_bytes(b"\xff\xd8\xff" + bytes(100))
    return File("p", IMAGE, "image/jpeg", 103, path, "brød.jpg", "5hb", 320, 400)


def draft(format: str, *files: File, text: str = "Hi", **facts: Any) -> Draft:
    return Draft(text, "900100", format=format, files=files, **facts)


def prepare(what: Draft, progress: Progress) -> None:
    FACEBOOK.prepare(APP, TOKEN, what, progress)


def publish(what: Draft, progress: Progress) -> Any:
    return FACEBOOK.publish(APP, TOKEN, what, progress)


def video_status(mock: responses.RequestsMock, status: Any, **more: Any) -> None:
    mock.add("GET", f"{GRAPH}/77", json={"status": status, "id": "77", **more})


def of_reel(video: File, **state: Any) -> tuple[Draft, Progress]:
    return draft("reel", video), Progress({"video": "77", "url": UPLOAD, "uploaded": True, "files": ["5ha"],
                                           "began": NOW.isoformat(), **state})


# ---------------------------------------------------------------- bodies


def test_a_body_is_read_as_a_real_connection_reads_it(video: File) -> None:
    body, kind = multipart({"a": "1"}, "video_file_chunk", video, video.slice(10, 5000))
    taken: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        for data in (body, Body(video.slice(10, 5000))):
            with outside.platform_session() as session:
                session.post(f"http://127.0.0.1:{server.server_address[1]}/", data=data, headers={"Content-Type": kind})
        server.shutdown()
    line = kind.partition("boundary=")[2]
    assert taken[1] == video.read(10, 5000)
    assert taken[0] == (
        f'--{line}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--{line}\r\nContent-Disposition: form-data; '
        f'name="video_file_chunk"; filename="file.mp4"\r\nContent-Type: video/mp4\r\n\r\n').encode() \
        + taken[1] + f"\r\n--{line}--\r\n".encode()


def test_attached_media_is_json_in_one_field(mock: responses.RequestsMock, photo: File) -> None:
    mock.add("POST", f"{GRAPH}/900100/feed", json={"id": "900100_122001"})
    mock.add("GET", f"{GRAPH}/900100_122001", json={})
    done = publish(draft("images", photo, photo), Progress({"photos": ["55501", "55502"]}))
    sent = dict(pair.split("=") for pair in str(mock.calls[0].request.body).split("&"))
    assert sent["attached_media"] == (
        "%5B%7B%22media_fbid%22%3A%2255501%22%7D%2C%7B%22media_fbid%22%3A%2255502%22%7D%5D")
    assert done == Published("900100_122001", "https://www.facebook.com/900100_122001")


def test_a_post_of_one_photo_is_known_by_its_post(mock: responses.RequestsMock, photo: File) -> None:
    mock.add("POST", f"{GRAPH}/900100/photos", json={"id": "55501", "post_id": "900100_122002"})
    mock.add("GET", f"{GRAPH}/900100_122002", json={"permalink_url": "/photo/?fbid=1"})
    assert publish(draft("image", photo), Progress()) == Published("900100_122002", "https://www.facebook.com/photo/?fbid=1")
    body = mock.calls[0].request.body
    assert isinstance(body, bytes)
    assert b'filename="file.jpg"' in body and photo.read(0, 103) in body and b"alt_text_custom" not in body


# ---------------------------------------------------------------- uploads


def test_chunks_follow_the_offsets_that_facebook_names(mock: responses.RequestsMock, video: File) -> None:
    starts = iter([("0", "6000"), ("6000", "10240"), ("10240", "10240")])
    bodies: list[bytes] = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        if isinstance(request.body, bytes):  # as `responses` gives a stream
            bodies.append(request.body)
        first, end = next(starts)
        ids = {"video_id": "77", "upload_session_id": "88"} if not bodies else {}
        return 200, {}, json.dumps({**ids, "start_offset": first, "end_offset": end})

    mock.add_callback("POST", VIDEOS, answer)
    progress = Progress()
    prepare(draft("video", video), progress)
    prepare(draft("video", video), progress)  # again: nothing left to do
    assert len(mock.calls) == 3 and progress.get("uploaded")
    assert video.read(0, 6000) in bodies[0] and video.read(6000, 4240) in bodies[1]
    for name, value in ((b"start_offset", b"6000"), (b"upload_session_id", b"88"), (b"upload_phase", b"transfer")):
        assert b'name="%b"\r\n\r\n%b\r\n' % (name, value) in bodies[1]
    assert b'name="appsecret_proof"' in bodies[1] and TOKEN not in str(mock.calls[1].request.url)


@pytest.mark.parametrize("answer", [
    {}, {"start_offset": "0", "end_offset": "10240"}, {"start_offset": "12", "end_offset": "6"},
    {"start_offset": "6000", "end_offset": "99999"}, {"start_offset": "x", "end_offset": "y"}])
def test_an_answer_that_leads_nowhere_ends_no_loop(mock: responses.RequestsMock, video: File,
                                                   answer: dict[str, str]) -> None:
    mock.add("POST", VIDEOS, json=answer)
    progress = Progress({"session": "88", "video": "77", "offset": 0, "end": 6000, "files": ["5ha"],
                         "began": NOW.isoformat()})
    video_status(mock, {"video_status": "uploading"})
    with pytest.raises(TryLater):
        prepare(draft("video", video), progress)


@pytest.mark.parametrize("status", [{"video_status": "expired"}, None])
def test_a_session_that_is_gone_is_opened_anew(mock: responses.RequestsMock, video: File, status: Any) -> None:
    if status:
        video_status(mock, status)
    else:
        mock.add("GET", f"{GRAPH}/77", status=400, json={"error": {"code": 100, "error_subcode": 33, "message": "no"}})
    mock.add("POST", VIDEOS, json={"video_id": "78", "upload_session_id": "89", "start_offset": "0",
                                   "end_offset": "0"})
    progress = Progress({"session": "88", "video": "77", "offset": 5, "end": 6000, "files": ["5ha"],
                         "began": NOW.isoformat()})
    prepare(draft("video", video), progress)
    assert progress.get("video") == "78"


def test_bytes_go_to_no_foreign_address(mock: responses.RequestsMock, video: File) -> None:
    mock.add("POST", f"{GRAPH}/900100/video_reels", json={"video_id": "77", "upload_url": "https://evil.example/77"})
    with pytest.raises(TryLater) as caught:
        prepare(draft("reel", video), Progress())
    assert caught.value.code == "foreign_address" and len(mock.calls) == 1


@pytest.mark.parametrize(("answer", "error"), [
    ({"json": {"success": False}}, TryLater), ({"json": {}}, TryLater), ({"body": "<html>"}, TryLater),
    ({"status": 500, "body": ""}, TryLater), ({"body": requests.ReadTimeout()}, TryLater),
    ({"status": 400, "json": {"debug_info": {"retriable": True, "type": "X", "message": "later"}}}, TryLater),
    ({"status": 400, "json": {"debug_info": {"retriable": False, "type": "ProcessingFailedError"}}}, ContentRejected),
    ({"status": 400, "json": {"error": {"code": 6000, "message": "odd file"}}}, ContentRejected),
    ({"json": {"error": {"code": 190, "error_subcode": 460}}}, NeedsReconnect)])
def test_what_the_upload_host_may_say(mock: responses.RequestsMock, video: File, answer: dict[str, Any],
                                      error: type[PlatformError]) -> None:
    mock.add("POST", f"{GRAPH}/900100/video_reels", json={"video_id": "77", "upload_url": UPLOAD})
    mock.add("POST", UPLOAD, **answer)
    progress = Progress()
    with pytest.raises(error) as caught:
        prepare(draft("reel", video), progress)
    assert TOKEN not in f"{caught.value!r} {caught.value.message}"
    assert progress.get("video") == "77" and not progress.get("uploaded")


# ---------------------------------------------------------------- processing


@pytest.mark.parametrize(("status", "ready"), [
    ({"video_status": "upload_complete"}, True), ({"video_status": "ready"}, True), ({}, True),
    ({"video_status": "processing", "uploading_phase": {"status": "complete"},
      "processing_phase": {"status": "not_started"}}, True),
    ({"video_status": "processing", "uploading_phase": {"status": "complete"},
      "processing_phase": {"status": "in_progress"}}, False),
    ({"video_status": "uploading", "uploading_phase": {"status": "in_progress"}}, False)])
def test_when_a_reel_can_be_finished(mock: responses.RequestsMock, video: File, status: Any, ready: bool) -> None:
    video_status(mock, status)
    waits = FACEBOOK.check(APP, TOKEN, *of_reel(video))
    assert waits is None if ready else isinstance(waits, Wait)


@pytest.mark.parametrize("status", [
    {"video_status": "error"}, {"video_status": "expired"}, {"video_status": "upload_failed"},
    {"video_status": "processing", "processing_phase": {"status": "error", "error": {"message": "too odd"}}},
    {"video_status": "ready", "publishing_phase": {"publish_status": "error"}}])
def test_a_refused_video_says_why(mock: responses.RequestsMock, video: File, status: Any) -> None:
    video_status(mock, status)
    what, progress = of_reel(video)
    for ask in (lambda: FACEBOOK.check(APP, TOKEN, what, progress), lambda: FACEBOOK.locate(
            APP, TOKEN, what, progress, NOW), lambda: FACEBOOK.follow(APP, TOKEN, what, progress, Sent("77"))):
        with pytest.raises(ContentRejected) as caught:
            ask()
        assert caught.value.message.startswith("Facebook cannot use this video file: ")
        assert caught.value.field == "video"


@pytest.mark.parametrize(("status", "public"), [
    ({"video_status": "ready"}, True),
    ({"video_status": "ready", "publishing_phase": {"status": "complete", "publish_status": "published"}}, True),
    ({"video_status": "ready", "publishing_phase": {"status": "complete"}}, True),
    ({"video_status": "ready", "publishing_phase": {"status": "not_started"}}, False),
    ({"video_status": "processing"}, False), ({}, False)])
def test_when_a_video_is_out(mock: responses.RequestsMock, video: File, status: Any, public: bool) -> None:
    video_status(mock, status, permalink_url="/reel/77/")
    found = FACEBOOK.follow(APP, TOKEN, *of_reel(video), Sent("77"))
    assert found == Published("77", "https://www.facebook.com/reel/77/") if public else isinstance(found, Sent)


@pytest.mark.parametrize(("status", "found"), [
    ({"video_status": "uploading"}, Located.NOT_PUBLISHED),
    ({"video_status": "upload_complete"}, Located.NOT_PUBLISHED),
    ({"video_status": "processing", "publishing_phase": {"publish_status": "draft"}}, Located.NOT_PUBLISHED),
    ({"video_status": "processing"}, Sent)])
def test_only_facebooks_own_word_makes_a_video_unpublished(mock: responses.RequestsMock, video: File, status: Any,
                                                           found: Any) -> None:
    video_status(mock, status)
    told = FACEBOOK.locate(APP, TOKEN, *of_reel(video), NOW)
    assert isinstance(told, Sent) if found is Sent else told is found


@pytest.mark.parametrize("answer", [{"json": {}}, {"json": {"success": False}}, {"body": "<html>"}, {"status": 502}])
def test_a_finish_without_a_clear_yes_leaves_it_open(mock: responses.RequestsMock, video: File,
                                                     answer: dict[str, Any]) -> None:
    mock.add("POST", f"{GRAPH}/900100/video_reels", **answer)
    with pytest.raises(OutcomeUnknown):
        publish(*of_reel(video))


def test_a_video_that_vanished_while_it_was_processed(mock: responses.RequestsMock, video: File) -> None:
    mock.add("GET", f"{GRAPH}/77", status=400, json={"error": {"code": 100, "error_subcode": 33, "message": "no"}})
    mock.add("GET", f"{GRAPH}/900100", json={"id": "900100"})
    with pytest.raises(ContentRejected):
        FACEBOOK.follow(APP, TOKEN, *of_reel(video), Sent("77"))


# ---------------------------------------------------------------- comments, deleting, rules


def test_a_comment_below_a_video_goes_to_its_post(mock: responses.RequestsMock) -> None:
    mock.add("GET", f"{GRAPH}/77", json={"id": "77", "post_id": "122009"})
    mock.add("POST", f"{GRAPH}/900100_122009/comments", json={"id": "122009_5"})
    what, progress = draft(COMMENT, reply_to="77", root_id="77", part=1), Progress()
    prepare(what, progress)
    prepare(what, progress)
    assert publish(what, progress) == Published("122009_5") and len(mock.calls) == 2


GONE = {"error": {"code": 100, "error_subcode": 33, "message": "no"}}
NO_FIELD = {"error": {"code": 100, "message": "(#100) Tried accessing nonexisting field (post_id)"}}


def test_no_comment_goes_under_a_story(mock: responses.RequestsMock) -> None:
    mock.add("GET", f"{GRAPH}/122009", status=400, json=NO_FIELD)
    with pytest.raises(ContentRejected) as caught:
        prepare(draft(COMMENT, reply_to="122009", part=1), Progress())
    assert (caught.value.message, caught.value.field) == ("Facebook takes no comment under a story.", "first_comment")


@pytest.mark.parametrize(("author", "is_found"), [({"id": "900100"}, True), ({"id": "4711"}, False), (None, False)])
def test_a_lost_comment_is_the_pages_own(mock: responses.RequestsMock, author: Any, is_found: bool) -> None:
    mock.add("GET", f"{GRAPH}/900100_1/comments", json={"data": [
        {"id": "1_5", "message": "First", "from": author, "created_time": "2026-11-21T09:00:02+0000"}]})
    what = draft(COMMENT, text="First", reply_to="900100_1", part=1)
    found = FACEBOOK.locate(APP, TOKEN, what, Progress({"post": "900100_1"}), NOW)
    assert found == (Published("1_5") if is_found else Located.NOT_FOUND)


def test_a_story_of_a_photo_that_is_out_without_a_number(mock: responses.RequestsMock, photo: File) -> None:
    mock.add("POST", f"{GRAPH}/900100/photo_stories", json={"success": True})
    assert publish(draft("story", photo), Progress({"photos": ["55501"]})) == Published("")


@pytest.mark.parametrize(("page", "error"), [(400, NeedsReconnect), (200, ContentRejected)])
def test_a_page_that_takes_no_files_is_looked_at(mock: responses.RequestsMock, photo: File, page: int,
                                                 error: type[PlatformError]) -> None:
    mock.add("POST", f"{GRAPH}/900100/photos", status=400, json=GONE)
    mock.add("GET", f"{GRAPH}/900100", status=page, json=GONE if page == 400 else {"id": "900100"})
    with pytest.raises(error):
        prepare(draft("images", photo, photo), Progress())


def test_a_file_that_could_not_be_fetched_is_tried_once_more(mock: responses.RequestsMock, video: File) -> None:
    mock.add("POST", f"{GRAPH}/900100/video_reels", status=400, json={"error": {"code": 389, "message": "no"}})
    progress = Progress()
    with pytest.raises(TryLater):
        prepare(draft("reel", video), progress)
    with pytest.raises(ContentRejected) as caught:
        prepare(draft("reel", video), progress)
    assert (caught.value.who, caught.value.field) == ("admin", "video")


def test_an_error_in_place_of_offsets_is_named(mock: responses.RequestsMock, video: File) -> None:
    mock.add("POST", VIDEOS, json={"error": {"code": 382, "message": "too small"}})
    progress = Progress({"video": "77", "session": "8", "offset": 0, "end": 10_240, "files": ["5ha"],
                         "began": NOW.isoformat()})
    video_status(mock, {"video_status": "uploading"})
    with pytest.raises(ContentRejected, match="cannot use this video file: too small"):
        prepare(draft("video", video), progress)


@pytest.mark.parametrize(("answer", "error"), [
    ({"status": 404}, None), ({"status": 400, "json": GONE}, TryLater), ({"json": {"success": False}}, TryLater),
    ({"json": {"success": True}}, None)])
def test_deleted_is_only_what_is_surely_gone(mock: responses.RequestsMock, answer: dict[str, Any],
                                             error: type[PlatformError] | None) -> None:
    mock.add("DELETE", f"{GRAPH}/900100_1", **answer)
    mock.add("GET", f"{GRAPH}/900100", status=500)
    if error is None:
        FACEBOOK.delete(APP, TOKEN, "900100_1", draft("text"))
        return
    with pytest.raises(error):
        FACEBOOK.delete(APP, TOKEN, "900100_1", draft("text"))


def test_deleting_where_the_page_is_out_of_sight(mock: responses.RequestsMock) -> None:
    gone = {"error": {"code": 100, "error_subcode": 33, "message": "no"}}
    mock.add("DELETE", f"{GRAPH}/900100_1", status=400, json=gone)
    mock.add("GET", f"{GRAPH}/900100", status=400, json=gone)
    with pytest.raises(NeedsReconnect):
        FACEBOOK.delete(APP, TOKEN, "900100_1", draft("text"))


@pytest.mark.parametrize(("format", "change", "words"), [
    ("reel", {"width": 1920, "height": 1080}, "9:16"), ("reel", {"seconds": 91.0}, "lasts 91 seconds"),
    ("reel", {"seconds": 2.0}, "2 seconds"), ("reel", {"type": "video/quicktime"}, "MP4"),
    ("reel", {"frame_rate": 61.0}, "frames per second"), ("story", {"seconds": 61.0}, "lasts 61 seconds"),
    ("reel", {"width": 360, "height": 640}, "540 × 960"), ("reel", {}, ""), ("video", {"seconds": 4000.0}, "")])
def test_what_facebook_takes(video: File, format: str, change: dict[str, Any], words: str) -> None:
    found = rules.problems(FACEBOOK, draft(format, replace(video, **change)), "", count=len)
    assert [words in one.sentence for one in found] == ([True] if words else [])


def test_a_place_is_a_number() -> None:
    assert [one.field for one in FACEBOOK.more_problems(draft("text", options={"place": "Berlin"}), "")] == ["place"]
    assert not FACEBOOK.more_problems(draft("text", options={"place": "123"}), "")


# ---------------------------------------------------------------- usage


class _Answered:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(("headers", "whole_app", "minutes"), [
    ({"X_App_Usage": '{"call_count":28,"total_time":96,"total_cputime":25}'}, True, 60),
    ({"X_Business_Use_Case_Usage": '{"1":[{"call_count":5}],"2":[{"total_cputime":97,'
                                   '"estimated_time_to_regain_access":7}]}'}, False, 7)])
def test_above_95_percent_calls_stop(headers: dict[str, str], whole_app: bool, minutes: int) -> None:
    with pytest.raises(RateLimited) as caught:
        heed_usage("Facebook", _Answered(**headers))  # type: ignore[arg-type]
    assert caught.value.whole_app is whole_app and caught.value.until is not None
    assert (caught.value.until - NOW).total_seconds() == minutes * 60


@pytest.mark.parametrize("text", [
    "", "{", "[]", "7", '{"call_count":"many"}', '{"1":{"call_count":99}}', '{"1":["x"]}'])
def test_odd_usage_headers_mean_nothing(text: str) -> None:
    told = {"X-App-Usage": text, "X-Business-Use-Case-Usage": text}
    assert (app_usage(told), business_usage(told), is_busy(told)) == (0, 0, False)
