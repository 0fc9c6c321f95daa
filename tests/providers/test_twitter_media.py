"""X: what goes out for each format, byte by byte and in order, and how an upload goes on after a break."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import responses
from werkzeug.formparser import parse_form_data
from werkzeug.test import create_environ

from socialconsole import outside
from socialconsole.errors import ContentRejected, PermissionMissing, PlatformError, TryLater
from socialconsole.providers import connectable
from socialconsole.providers.base import App, Draft, Published, Wait
from socialconsole.providers.content import GIF, IMAGE, VIDEO, YES, File, Poll, Progress
from socialconsole.providers.rules import fitting, format_of, problems
from socialconsole.providers.twitter_media import PIECE, piece_size

from .contract import ACCESS, NOW

X = connectable("twitter")
APP = App("Y2xpZW50LWlkOjE6Y2k", "secret-of-the-app", hosts=X.base_addresses(),
          scopes="tweet.read tweet.write users.read offline.access media.write")
DRAFT = Draft("Fresh bread", "2244994945", "acme")
API = "https://api.x.com/2"
UPLOAD, POSTS, METADATA = f"{API}/media/upload", f"{API}/tweets", f"{API}/media/metadata"
FIRST = 1880028106020515840


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    outside.use_clock(lambda: made.now)
    yield made
    outside.use_clock(None)


@pytest.fixture
def mock(clock: Clock) -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as made:
        yield made


class Files:
    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def __call__(self, kind: str = IMAGE, size: int = 5000, alt_text: str = "", type: str = "") -> File:
        self.count += 1
        types = {IMAGE: "image/jpeg", GIF: "image/gif", VIDEO: "video/mp4"}
        content = bytes((self.count + number // PIECE) % 251 for number in range(size))
        path = self.folder / str(self.count)
        path.write_bytes(content)
        return File(f"med_{self.count}", kind, type or types[kind], size, path, f"file {self.count}",
                    hashlib.sha256(content).hexdigest(), 320, 400, 10.0 if kind == VIDEO else None,
                    frames=3 if kind == GIF else 0, alt_text=alt_text)


@pytest.fixture
def file(tmp_path: Path) -> Files:
    return Files(tmp_path)


def takes(mock: responses.RequestsMock, number: int = 0, processing: dict[str, Any] | None = None,
          append: dict[str, Any] | None = None) -> str:
    """Good answers to one whole upload, as the sheet records them; X's id of it."""
    media_id = str(FIRST + number)
    mock.add("POST", f"{UPLOAD}/initialize", json={"data": {
        "id": media_id, "media_key": f"13_{media_id}", "expires_after_secs": 86400}})
    mock.add("POST", f"{UPLOAD}/{media_id}/append", **append or {"json": {"data": {"expires_at": 1770086400}}})
    more = {"processing_info": processing} if processing else {}
    mock.add("POST", f"{UPLOAD}/{media_id}/finalize", json={"data": {"id": media_id, "size": 1, **more}})
    mock.add("POST", METADATA, json={"data": {"id": media_id}})
    return media_id


def says(mock: responses.RequestsMock, media_id: str, **info: Any) -> None:
    """The next answer about the processing."""
    mock.add("GET", UPLOAD, json={"data": {"id": media_id, "processing_info": info}})


def asked(mock: responses.RequestsMock) -> list[str]:
    """What was called, in order: method and path."""
    return [f"{call.request.method} {urlsplit(str(call.request.url)).path}" for call in mock.calls]


def body(mock: responses.RequestsMock, number: int) -> Any:
    return json.loads(mock.calls[number].request.body or "null")


def piece(mock: responses.RequestsMock, number: int) -> tuple[dict[str, str], dict[str, bytes]]:
    """The fields and files of a multipart call."""
    request = mock.calls[number].request
    content = request.body
    assert isinstance(content, bytes)
    _, fields, files = parse_form_data(create_environ(
        method="POST", input_stream=io.BytesIO(content), content_type=request.headers["Content-Type"],
        content_length=len(content)))
    return fields.to_dict(), {name: one.read() for name, one in files.items()}


def published(mock: responses.RequestsMock, draft: Draft, progress: Progress) -> Any:
    """The body of the one call that publishes."""
    mock.add("POST", POSTS, status=201, json={"data": {"id": "1900000000000000001", "text": "x"}})
    done = X.publish(APP, ACCESS, draft, progress)
    assert done == Published("1900000000000000001", "https://x.com/acme/status/1900000000000000001")
    assert asked(mock)[-1] == "POST /2/tweets"
    return body(mock, -1)


# ---------------------------------------------------------------- the formats


def test_text_needs_no_preparing(mock: responses.RequestsMock) -> None:
    progress = Progress()
    X.prepare(APP, ACCESS, DRAFT, progress)
    assert X.check(APP, ACCESS, DRAFT, progress) is None and not mock.calls
    assert published(mock, DRAFT, progress) == {"text": "Fresh bread"}


def test_one_picture(mock: responses.RequestsMock, file: Files) -> None:
    picture, progress = file(), Progress()
    draft = replace(DRAFT, format="image", files=(picture,))
    media_id = takes(mock)
    X.prepare(APP, ACCESS, draft, progress)
    assert X.check(APP, ACCESS, draft, progress) is None
    assert asked(mock) == ["POST /2/media/upload/initialize", f"POST /2/media/upload/{media_id}/append",
                           f"POST /2/media/upload/{media_id}/finalize"]
    assert body(mock, 0) == {"media_type": "image/jpeg", "total_bytes": 5000, "media_category": "tweet_image"}
    assert piece(mock, 1) == ({"segment_index": "0"}, {"media": picture.path.read_bytes()})
    assert not mock.calls[2].request.body
    assert all(call.request.headers["Authorization"] == f"Bearer {ACCESS}" for call in mock.calls)
    assert all("?" not in str(call.request.url) for call in mock.calls)
    assert published(mock, draft, progress) == {"text": "Fresh bread", "media": {"media_ids": [media_id]}}


def test_four_described_pictures_keep_their_order_and_need_no_text(mock: responses.RequestsMock, file: Files) -> None:
    files = tuple(file(alt_text=alt) for alt in ("Bread", "", "Butter", ""))
    draft, progress = replace(DRAFT, text="", format="images", files=files), Progress()
    media_ids = [takes(mock, number) for number in range(4)]
    X.prepare(APP, ACCESS, draft, progress)
    described = [body(mock, number) for number, line in enumerate(asked(mock)) if line == "POST /2/media/metadata"]
    assert described == [{"id": media_ids[0], "metadata": {"alt_text": {"text": "Bread"}}},
                         {"id": media_ids[2], "metadata": {"alt_text": {"text": "Butter"}}}]
    assert published(mock, draft, progress) == {"media": {"media_ids": media_ids}}


@pytest.mark.parametrize(("kind", "category", "type"), [
    (IMAGE, "tweet_image", "image/webp"), (GIF, "tweet_gif", "image/gif"), (VIDEO, "tweet_video", "video/quicktime")])
def test_each_kind_has_its_category(mock: responses.RequestsMock, file: Files, kind: str, category: str,
                                    type: str) -> None:
    takes(mock)
    X.prepare(APP, ACCESS, replace(DRAFT, files=(file(kind, type=type),)), Progress())
    assert body(mock, 0) == {"media_type": type, "total_bytes": 5000, "media_category": category}


@pytest.mark.parametrize("append", [{"json": {"data": {"expires_at": 1}}}, {"status": 204}])
def test_a_video_goes_in_pieces(mock: responses.RequestsMock, file: Files, append: dict[str, Any]) -> None:
    video, progress = file(VIDEO, 3 * PIECE, "No alt text for videos"), Progress()
    media_id = takes(mock, append=append, processing={"state": "pending", "check_after_secs": 1})
    X.prepare(APP, ACCESS, replace(DRAFT, files=(video,)), progress)
    assert body(mock, 0) == {"media_type": "video/mp4", "total_bytes": 3145728, "media_category": "tweet_video"}
    content = video.path.read_bytes()
    for number in range(3):
        assert piece(mock, 1 + number) == ({"segment_index": str(number)},
                                           {"media": content[number * PIECE : (number + 1) * PIECE]})
    assert asked(mock)[4:] == [f"POST /2/media/upload/{media_id}/finalize"]


@pytest.mark.parametrize(("size", "pieces"), [(1, 1), (PIECE, 1), (PIECE + 1, 2), (1000 * PIECE, 1000),
                                              (1000 * PIECE + 1, 1000), (5_000_000_000, 1000)])
def test_never_more_than_a_thousand_pieces_of_five_megabytes(size: int, pieces: int) -> None:
    assert -(-size // piece_size(size)) == pieces and piece_size(size) <= 5_000_000


def test_a_poll(mock: responses.RequestsMock) -> None:
    draft = replace(DRAFT, format="poll", poll=Poll("", ("Rye ", "Wheat", " "), 1440))
    assert published(mock, draft, Progress()) == {
        "text": "Fresh bread", "poll": {"options": ["Rye", "Wheat"], "duration_minutes": 1440}}


def test_a_further_part_answers_the_part_before(mock: responses.RequestsMock) -> None:
    draft = replace(DRAFT, part=2, root_id="1900000000000000001", reply_to="1900000000000000002",
                    options={"paid_partnership": YES, "made_with_ai": YES})
    assert published(mock, draft, Progress()) == {
        "text": "Fresh bread", "reply": {"in_reply_to_tweet_id": "1900000000000000002"}, "paid_partnership": True}


def test_choices_are_sent_when_they_are_made(mock: responses.RequestsMock) -> None:
    options = {"reply_settings": "mentionedUsers", "made_with_ai": YES, "paid_partnership": YES}
    assert published(mock, replace(DRAFT, options=options), Progress()) == {
        "text": "Fresh bread", "reply_settings": "mentionedUsers", "made_with_ai": True, "paid_partnership": True}
    options = {"reply_settings": "", "made_with_ai": "", "paid_partnership": ""}
    assert published(mock, replace(DRAFT, options=options), Progress()) == {"text": "Fresh bread"}


# ---------------------------------------------------------------- waiting for X


def test_processing_is_asked_after_when_x_says(mock: responses.RequestsMock, file: Files, clock: Clock) -> None:
    draft, progress = replace(DRAFT, files=(file(VIDEO),)), Progress()
    media_id = takes(mock, processing={"state": "pending", "check_after_secs": 7})
    X.prepare(APP, ACCESS, draft, progress)
    assert X.check(APP, ACCESS, draft, progress) == Wait(timedelta(seconds=7), "X is processing file 1.")
    assert asked(mock)[-1].startswith("POST"), "too early to ask"
    with pytest.raises(TryLater):
        progress_of_another_post = Progress()
        X.publish(APP, ACCESS, draft, progress_of_another_post)
    clock.forward(seconds=7)
    says(mock, media_id, state="in_progress", check_after_secs=3, progress_percent=40)
    X.prepare(APP, ACCESS, draft, progress)
    assert X.check(APP, ACCESS, draft, progress) == Wait(timedelta(seconds=3), "X is processing file 1, 40 % done.")
    query = dict(parse_qsl(urlsplit(str(mock.calls[-1].request.url)).query))
    assert query == {"command": "STATUS", "media_id": media_id}
    clock.forward(seconds=3)
    says(mock, media_id, state="succeeded", progress_percent=100)
    assert X.check(APP, ACCESS, draft, progress) is None
    before = len(mock.calls)
    X.prepare(APP, ACCESS, draft, progress)
    assert X.check(APP, ACCESS, draft, progress) is None and len(mock.calls) == before, "nothing is done twice"


@pytest.mark.parametrize(("stated", "seconds"), [(0, 1), (9999, 60), ("soon", 5), (None, 5)])
def test_odd_pauses_are_kept_sensible(mock: responses.RequestsMock, file: Files, stated: Any, seconds: int) -> None:
    draft, progress = replace(DRAFT, files=(file(VIDEO),)), Progress()
    takes(mock, processing={"state": "pending", "check_after_secs": stated})
    X.prepare(APP, ACCESS, draft, progress)
    wait = X.check(APP, ACCESS, draft, progress)
    assert wait is not None and wait.again_in == timedelta(seconds=seconds)


def test_only_the_announcement_has_to_name_the_upload(mock: responses.RequestsMock, file: Files, clock: Clock) -> None:
    where = f"{UPLOAD}/m_18-a"
    mock.add("POST", f"{UPLOAD}/initialize", json={"data": {"id": "m_18-a"}})
    mock.add("POST", f"{where}/append", status=204)
    mock.add("POST", f"{where}/finalize", json={"data": {"processing_info": {"state": "pending"}}})
    mock.add("GET", UPLOAD, json={"data": {"processing_info": {"state": "succeeded"}}})
    progress, draft = Progress(), replace(DRAFT, files=(file(VIDEO),))
    X.prepare(APP, ACCESS, draft, progress)
    assert X.check(APP, ACCESS, draft, progress) == Wait(timedelta(seconds=5), "X is processing file 1.")
    clock.forward(seconds=5)
    assert X.check(APP, ACCESS, draft, progress) is None


def test_a_success_with_nothing_but_errors_is_a_refused_file(mock: responses.RequestsMock, file: Files) -> None:
    mock.add("POST", f"{UPLOAD}/initialize", json={"errors": [{
        "title": "Invalid Request", "message": "too large", "parameters": {"total_bytes": ["9"]}}]})
    with pytest.raises(ContentRejected) as caught:
        X.prepare(APP, ACCESS, replace(DRAFT, files=(file(),)), Progress())
    assert caught.value.message == "X refused total_bytes: too large" and caught.value.field == "media"


def test_a_moving_gif_is_described_once_it_is_processed(mock: responses.RequestsMock, file: Files,
                                                        clock: Clock) -> None:
    draft, progress = replace(DRAFT, files=(file(GIF, alt_text="A cat"),)), Progress()
    media_id = takes(mock, processing={"state": "pending", "check_after_secs": 1})
    X.prepare(APP, ACCESS, draft, progress)
    assert "POST /2/media/metadata" not in asked(mock)
    clock.forward(seconds=1)
    says(mock, media_id, state="succeeded")
    assert X.check(APP, ACCESS, draft, progress) is not None, "preparing is not through yet"
    X.prepare(APP, ACCESS, draft, progress)
    assert asked(mock)[-1] == "POST /2/media/metadata"
    assert X.check(APP, ACCESS, draft, progress) is None


@pytest.mark.parametrize(("error", "sentence"), [
    ({}, "X could not process the file."),
    ({"error": {"name": "InvalidMedia", "message": "Unsupported codec"}},
     "X could not process the file. It says: Unsupported codec")])
def test_a_file_that_x_cannot_process(mock: responses.RequestsMock, file: Files, clock: Clock, error: dict[str, Any],
                                      sentence: str) -> None:
    draft, progress = replace(DRAFT, files=(file(VIDEO),)), Progress()
    media_id = takes(mock, processing={"state": "pending", "check_after_secs": 1})
    X.prepare(APP, ACCESS, draft, progress)
    clock.forward(seconds=1)
    says(mock, media_id, state="failed", **error)
    with pytest.raises(ContentRejected) as caught:
        X.check(APP, ACCESS, draft, progress)
    assert (caught.value.message, caught.value.field) == (sentence, "media")
    assert not progress.get("media"), "another try uploads anew"


# ---------------------------------------------------------------- going on after a break


def saved(states: list[dict[str, Any]]) -> Progress:
    """A progress whose commits are seen."""
    return Progress(save=lambda state: states.append(json.loads(json.dumps(state))))


def test_a_broken_upload_goes_on_where_it_stood(mock: responses.RequestsMock, file: Files) -> None:
    video, states = file(VIDEO, 3 * PIECE), list[dict[str, Any]]()
    draft = replace(DRAFT, files=(video,))
    media_id = str(FIRST)
    mock.add("POST", f"{UPLOAD}/initialize", json={"data": {"id": media_id, "media_key": "13_1"}})
    mock.add("POST", f"{UPLOAD}/{media_id}/append", status=204)
    mock.add("POST", f"{UPLOAD}/{media_id}/append", body=requests.ConnectionError("cut"))
    with pytest.raises(TryLater):
        X.prepare(APP, ACCESS, draft, saved(states))
    mock.reset()
    mock.add("POST", f"{UPLOAD}/{media_id}/append", status=204)
    mock.add("POST", f"{UPLOAD}/{media_id}/finalize", json={"data": {"id": media_id}})
    X.prepare(APP, ACCESS, draft, Progress(states[-1]))
    assert asked(mock) == [f"POST /2/media/upload/{media_id}/{step}" for step in ("append", "append", "finalize")]
    assert [piece(mock, number)[0] for number in range(2)] == [{"segment_index": "1"}, {"segment_index": "2"}]


def test_every_piece_is_committed(mock: responses.RequestsMock, file: Files) -> None:
    states = list[dict[str, Any]]()
    takes(mock)
    X.prepare(APP, ACCESS, replace(DRAFT, files=(file(VIDEO, 3 * PIECE),)), saved(states))
    counted = [state["media"]["0"]["pieces"] for state in states if state.get("media")]
    assert sorted(set(counted)) == [0, 1, 2, 3]


def test_an_upload_that_x_has_forgotten_begins_anew_once(mock: responses.RequestsMock, file: Files) -> None:
    picture = file()
    draft = replace(DRAFT, files=(picture,))
    old = {"media": {"0": {"file": f"{picture.sha256}/5000", "id": "77", "pieces": 0,
                           "until": (NOW + timedelta(hours=3)).isoformat()}}}
    mock.add("POST", f"{UPLOAD}/77/append", status=400, json={"title": "Invalid Request", "detail": "Gone."})
    media_id = takes(mock)
    progress = Progress(old)
    X.prepare(APP, ACCESS, draft, progress)
    assert published(mock, draft, progress)["media"] == {"media_ids": [media_id]}


def test_a_file_that_x_refuses_is_not_sent_for_ever(mock: responses.RequestsMock, file: Files) -> None:
    mock.add("POST", f"{UPLOAD}/initialize", json={"data": {"id": "77"}})
    mock.add("POST", f"{UPLOAD}/77/append", status=400, json={"title": "Invalid Request", "detail": "No."})
    progress = Progress()
    with pytest.raises(ContentRejected):
        X.prepare(APP, ACCESS, replace(DRAFT, files=(file(),)), progress)
    assert len(mock.calls) == 2 and not progress.get("media")


@pytest.mark.parametrize(("stated", "later", "is_new"), [
    (86400, 23, False), (86400, 23.6, True), (1_300_000, 23, False), (1_300_000, 23.6, True), (3600, 0.4, False),
    (3600, 0.6, True), (None, 23, False), ("x", 23.6, True)])
def test_an_upload_too_old_is_made_anew(mock: responses.RequestsMock, file: Files, clock: Clock, stated: Any,
                                        later: float, is_new: bool) -> None:
    draft, progress = replace(DRAFT, files=(file(alt_text="Bread"),)), Progress()
    for number in range(2):
        media_id = str(FIRST + number)
        mock.add("POST", f"{UPLOAD}/initialize", json={"data": {"id": media_id, "expires_after_secs": stated}})
        mock.add("POST", f"{UPLOAD}/{media_id}/append", status=204)
        mock.add("POST", f"{UPLOAD}/{media_id}/finalize", json={"data": {"id": media_id}})
        mock.add("POST", METADATA, json={"data": {"id": media_id}})
    X.prepare(APP, ACCESS, draft, progress)
    clock.forward(hours=later)
    if is_new:
        with pytest.raises(TryLater):
            X.publish(APP, ACCESS, draft, progress)
    X.prepare(APP, ACCESS, draft, progress)
    assert asked(mock).count("POST /2/media/metadata") == (2 if is_new else 1)
    assert published(mock, draft, progress)["media"] == {"media_ids": [str(FIRST + is_new)]}


def test_another_file_in_the_same_place_is_uploaded(mock: responses.RequestsMock, file: Files) -> None:
    progress = Progress()
    first, second = takes(mock), takes(mock, 1)
    X.prepare(APP, ACCESS, replace(DRAFT, files=(file(),)), progress)
    draft = replace(DRAFT, files=(file(),))
    X.prepare(APP, ACCESS, draft, progress)
    assert first != second and published(mock, draft, progress)["media"] == {"media_ids": [second]}


def test_a_changed_description_is_sent_again(mock: responses.RequestsMock, file: Files) -> None:
    picture, progress = file(alt_text="Bread"), Progress()
    takes(mock)
    for alt in ("Bread", "Bread", "Rye bread"):
        X.prepare(APP, ACCESS, replace(DRAFT, files=(replace(picture, alt_text=alt),)), progress)
    assert asked(mock).count("POST /2/media/metadata") == 2 and len(mock.calls) == 5


@pytest.mark.parametrize("answer", [{"json": {}}, {"json": {"data": {"id": "../users/me"}}}, {"json": []},
                                    {"json": {"data": {}}}, {"body": "<html>ok</html>"}, {"status": 503}])
def test_an_announcement_without_an_id_is_tried_later(mock: responses.RequestsMock, file: Files,
                                                      answer: dict[str, Any]) -> None:
    mock.add("POST", f"{UPLOAD}/initialize", **answer)
    with pytest.raises(TryLater):
        X.prepare(APP, ACCESS, replace(DRAFT, files=(file(),)), Progress())
    assert len(mock.calls) == 1


@pytest.mark.parametrize("step", ["initialize", "append", "finalize", "metadata"])
def test_a_bare_no_on_media_is_the_missing_scope(mock: responses.RequestsMock, file: Files, step: str) -> None:
    no: dict[str, Any] = {"status": 403, "json": {"title": "Forbidden", "type": "about:blank", "detail": "Forbidden"}}
    addresses = {"initialize": f"{UPLOAD}/initialize", "append": f"{UPLOAD}/{FIRST}/append",
                 "finalize": f"{UPLOAD}/{FIRST}/finalize", "metadata": METADATA}
    mock.add("POST", addresses[step], **no)
    takes(mock)
    with pytest.raises(PermissionMissing) as caught:
        X.prepare(APP, ACCESS, replace(DRAFT, files=(file(alt_text="Bread"),)), Progress())
    assert caught.value.scopes == ("media.write",)


def test_nothing_is_published_without_its_files(mock: responses.RequestsMock, file: Files) -> None:
    with pytest.raises(TryLater):
        X.publish(APP, ACCESS, replace(DRAFT, files=(file(),)), Progress())
    assert not mock.calls


# ---------------------------------------------------------------- facts


def test_formats_by_what_is_attached(file: Files) -> None:
    def proposed(*files: File, poll: Poll | None = None) -> list[str]:
        return [one.slug for one in fitting(X, "", files, poll, "")]

    assert proposed() == ["text"] and proposed(file()) == ["image"] and proposed(file(), file()) == ["images"]
    assert proposed(file(GIF)) == ["gif"] and proposed(file(VIDEO)) == ["video"]
    assert proposed(poll=Poll("", ("a", "b"), 5)) == ["poll"]
    for files in ([file()] * 5, [file(), file(GIF)], [file(GIF)] * 2, [file(VIDEO)] * 2, [file(VIDEO), file()]):
        assert proposed(*files) == []
    assert proposed(file(), poll=Poll("", ("a", "b"), 5)) == []


def test_formats_with_files_need_the_upload_scope() -> None:
    for one in (*X.formats_of(""), *X.formats_of("", "X account with Premium")):
        assert one.needs == (("media.write",) if one.takes else ())
        assert bool(one.alt_text) == (one.slug in ("image", "images", "gif"))


@pytest.mark.parametrize(("change", "words"), [
    ({"seconds": 0.3}, "0.5 seconds"), ({"seconds": 1300.0}, "20 minutes"), ({"size": 5_000_000_001}, "GB"),
    ({"type": "video/x-msvideo"}, "MP4"), ({"width": 4000, "height": 1000}, "3:1")])
def test_videos_beyond_the_limits_are_told_before(file: Files, change: dict[str, Any], words: str) -> None:
    draft = replace(DRAFT, format="video", files=(replace(file(VIDEO), **change),))
    (problem,) = problems(X, draft, "", count=X.count)
    assert words in problem.sentence


def test_gifs_beyond_the_limits_are_told_before(file: Files) -> None:
    for change in ({"size": 15 * 1024 * 1024 + 1}, {"width": 1281}, {"height": 1081}, {"frames": 351},
                   {"width": 1280, "height": 1080, "frames": 300}):
        draft = replace(DRAFT, format="gif", files=(replace(file(GIF), **change),))  # type: ignore[arg-type]
        assert len(problems(X, draft, "", count=X.count)) == 1, change


@pytest.mark.parametrize(("text", "is_refused"), [
    ("buy $ABC and $XYZ", True), ("buy $ABC", False), ("$5 and $10 and $ABC", False), ("US$ABC $XYZ", False),
    ("$brk.b and $TSLA,", True)])
def test_one_cashtag_is_the_limit(text: str, is_refused: bool) -> None:
    assert bool(X.more_problems(replace(DRAFT, text=text), "")) is is_refused


def test_a_long_text_with_a_subscription() -> None:
    draft = replace(DRAFT, text="bread " * 100)
    assert problems(X, draft, "", count=X.count)
    assert problems(X, draft, "", count=X.count, kind="X account with Premium") == []
    long_format = format_of(X, "", "text", kind="X account with Premium")
    assert long_format is not None and long_format.text is not None and long_format.text.most == 25_000


@pytest.mark.parametrize(("text", "link", "alts", "sentence"), [
    ("Bread", "", (), "X charges $0.015 for this post."),
    ("See https://example.com", "https://example.com", (), "X charges $0.20 for this post, since it has a link."),
    ("See example.com", "", (), "X charges $0.20 for this post, since it has a link."),
    ("Bread", "", ("Rye", ""), "X charges $0.02 for this post."),
    ("", "", ("",), "X charges $0.015 for this post.")])
def test_what_a_post_costs(file: Files, text: str, link: str, alts: tuple[str, ...], sentence: str) -> None:
    files = tuple(file(alt_text=alt) for alt in alts)
    assert X.cost(replace(DRAFT, text=text, link=link, files=files)) == sentence


def test_choices_and_chain_and_deleting() -> None:
    assert {one.name: one.part for one in X.fields} == {
        "reply_settings": 0, "made_with_ai": None, "paid_partnership": None}
    assert [value for value, _ in X.fields[0].choices] == ["", "following", "mentionedUsers", "subscribers", "verified"]
    assert not any(one.required or one.default for one in X.fields)
    assert X.most_parts == 25 and X.delete_needs[""] == ("tweet.write", "tweet.read", "users.read")
    assert not X.comment_needs


def test_workers_do_not_load_the_counting_rules() -> None:
    code = ("import sys; from socialconsole.providers import connectable;"
            "from socialconsole.providers.base import Draft;"
            "x = connectable('twitter'); x.more_problems(Draft('$A $B', '1'), ''); x.formats_of('');"
            "x.cost(Draft('a', '1', link='https://example.com'));"
            "print('twitter_text' in sys.modules); x.count('a'); print('twitter_text' in sys.modules)")
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]


def test_errors_carry_no_token(mock: responses.RequestsMock, file: Files) -> None:
    echo = {"title": "Invalid Request", "detail": f"Bad {ACCESS}", "type": "x/invalid-request"}
    mock.add("POST", f"{UPLOAD}/initialize", status=400, json=echo)
    with pytest.raises(PlatformError) as caught:
        X.prepare(APP, ACCESS, replace(DRAFT, files=(file(),)), Progress())
    assert ACCESS not in f"{caught.value.message} {caught.value.code} {caught.value!r}"


def test_the_times_kept_are_aware(mock: responses.RequestsMock, file: Files) -> None:
    progress = Progress()
    takes(mock, processing={"state": "pending", "check_after_secs": 1})
    X.prepare(APP, ACCESS, replace(DRAFT, files=(file(VIDEO),)), progress)
    kept = progress.get("media")["0"]
    assert all(datetime.fromisoformat(kept[name]).tzinfo for name in ("until", "ask_at"))
