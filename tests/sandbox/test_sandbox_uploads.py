"""Media that comes in: in pieces, in one body, from an address; its hash, its processing, and who gets told."""

import hashlib
import http.client
import io
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Blueprint, Response, jsonify, request
from werkzeug.serving import make_server

from socialconsole.sandbox import uploads
from socialconsole.sandbox.calls import operation
from socialconsole.sandbox.state import Post, Upload
from socialconsole.sandbox.world import World
from tests.sandbox.player import Player

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 3000
MP4 = b"\x00\x00\x00\x18ftypisom" + b"v" * 5000


@pytest.fixture
def inside(player) -> Iterator[World]:
    """The world of the player's sandbox, as its views have it."""
    with player.wsgi.test_request_context("/"):
        yield player.wsgi.extensions["sandbox"]


def begun(**more) -> Upload:
    return uploads.begin("twitter", "app-1", "2244994945", "tweet_image", **more)


def test_pieces_make_the_file_they_were_cut_from(inside):
    upload = begun(total=len(MP4), mime="video/mp4", segment=0)
    assert uploads.append(upload, 0, MP4[:2000]) == 2000
    assert uploads.append(upload, 2000, io.BytesIO(MP4[2000:] + b"not ours"), len(MP4) - 2000) == len(MP4)
    uploads.finish(upload)
    assert uploads.file_of(upload).read_bytes() == MP4
    assert upload.sha256 == hashlib.sha256(MP4).hexdigest() and upload.facts == {"segment": 0}


def test_an_upload_resumes_where_it_stopped_and_a_piece_may_come_twice(inside):
    upload = begun(total=len(PNG))
    uploads.append(upload, 0, PNG[:1000])
    uploads.append(upload, 500, PNG[500:1000])
    assert uploads.find(upload.id, "twitter").received == 1000
    uploads.append(upload, 1000, PNG[1000:])
    assert uploads.finish(upload).sha256 == hashlib.sha256(PNG).hexdigest()


def test_a_gap_and_more_bytes_than_announced_are_refused_and_change_nothing(inside):
    upload = begun(total=10)
    uploads.append(upload, 0, b"12345")
    for offset, piece in ((7, b"8"), (5, b"678901")):
        with pytest.raises(ValueError):
            uploads.append(upload, offset, piece)
    assert upload.received == 5 and uploads.file_of(upload).read_bytes() == b"12345"


def test_an_upload_and_its_bytes_survive_a_restart(tmp_path):
    first = Player(tmp_path / "state")
    with first.wsgi.test_request_context("/"):
        upload = begun(total=len(PNG))
        uploads.append(upload, 0, PNG[:1000])
    first.wsgi.extensions["sandbox"].state.close()
    with Player(tmp_path / "state").wsgi.test_request_context("/"):
        again = uploads.find(upload.id, "twitter")
        assert again.received == 1000
        uploads.append(again, 1000, PNG[1000:])
        assert uploads.finish(again).sha256 == hashlib.sha256(PNG).hexdigest()
    assert (tmp_path / "state.uploads" / upload.id).stat().st_mode & 0o777 == 0o600


def test_bytes_without_a_state_file_go_with_the_sandbox():
    player = Player()
    folder: Path = player.wsgi.extensions["sandbox"].uploads
    assert folder.is_dir()
    player.wsgi.extensions["sandbox"]._uploads_end()
    assert not folder.exists()


@pytest.mark.parametrize(("polls", "answers"), [(0, [True]), (2, [False, False, True, True])])
def test_processing_takes_as_many_questions_as_was_set(player, inside, polls, answers):
    assert player.client.post("/portal/api/settings", json={"processing_polls": polls}).status_code == 200
    upload = begun()
    uploads.append(upload, 0, PNG)
    uploads.finish(upload)
    assert [uploads.polled(upload) for _ in answers] == answers
    assert upload.status == uploads.DONE


def test_settings_are_told_kept_and_checked(tmp_path):
    player = Player(tmp_path / "state")
    assert player.client.get("/portal/api/settings").json == {"processing_polls": 1, "quotas": {}}
    player.client.post("/portal/api/settings", json={"processing_polls": 3})
    player.client.post("/portal/api/settings", json={"quotas": {"twitter": 3}})
    for wrong in ({"colour": 1}, {"processing_polls": -1}, {"processing_polls": True}, {"quotas": {"twitter": "x"}}):
        assert player.client.post("/portal/api/settings", json=wrong).status_code == 400
    player.wsgi.extensions["sandbox"].state.close()
    again = Player(tmp_path / "state")
    assert again.client.get("/portal/api/settings").json == {"processing_polls": 3, "quotas": {"twitter": 3}}
    assert again.wsgi.extensions["sandbox"].quotas == {"twitter": 3}


TYPES = {
    b"\xff\xd8\xff\xe0": "image/jpeg",
    PNG: "image/png",
    b"GIF89a": "image/gif",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
    MP4: "video/mp4",
    b"\x00\x00\x00\x14ftypqt  ": "video/quicktime",
    b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm": "video/webm",
    b"%PDF-1.7": "application/pdf",
    b"<!doctype html>": "",
    b"": "",
}


@pytest.mark.parametrize(("head", "mime"), TYPES.items(), ids=TYPES.values())
def test_the_first_bytes_tell_the_type(inside, head, mime):
    upload = begun(mime="application/octet-stream")
    uploads.append(upload, 0, head)
    assert uploads.sniff(upload) == mime


def test_uploads_are_told_by_platform(player, inside):
    upload = begun(total=len(PNG))
    uploads.append(upload, 0, PNG)
    uploads.finish(upload)
    [told] = player.client.get("/portal/api/uploads?platform=twitter").json
    wanted = {
        "id": upload.id,
        "platform": "twitter",
        "owner_id": "2244994945",
        "purpose": "tweet_image",
        "mime": "image/png",
        "total": len(PNG),
        "received": len(PNG),
        "sha256": hashlib.sha256(PNG).hexdigest(),
        "url": "",
        "status": "processing",
    }
    assert wanted.items() <= told.items()
    assert player.client.get("/portal/api/uploads?platform=linkedin").json == []
    assert uploads.medium(upload, "A loaf") == {
        "kind": "image", "mime": "image/png", "size": len(PNG), "sha256": upload.sha256, "alt": "A loaf",
    }  # fmt: skip


def test_the_oldest_media_make_room(inside, monkeypatch):
    monkeypatch.setattr(uploads, "KEPT_BYTES", 5000)
    old, new = begun(), begun()
    uploads.append(old, 0, PNG)
    uploads.append(new, 0, PNG)
    begun()
    assert uploads.find(old.id, "twitter") is None and not uploads.file_of(old).exists()
    assert uploads.find(new.id, "twitter") is new


# From an address


class Shelf(BaseHTTPRequestHandler):
    """Media and other things to fetch."""

    ANSWERS = {
        "/loaf.png": (200, "image/png", PNG),
        "/plain.png": (200, "application/octet-stream", PNG),
        "/page": (200, "text/html; charset=utf-8", b"<p>Hi"),
        "/lie.png": (200, "image/png", b"<p>Hi"),
        "/moved": (302, "image/png", b""),
    }

    def do_GET(self) -> None:
        status, kind, body = self.ANSWERS.get(self.path, (404, "text/plain", b""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/loaf.png")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def shelf() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.mark.parametrize("path", ["/loaf.png", "/plain.png"])
def test_media_is_fetched_from_an_address(inside, shelf, path):
    upload = begun()
    assert uploads.pull(upload, shelf + path) == ""
    assert (upload.mime, upload.total, upload.received) == ("image/png", len(PNG), len(PNG))
    assert upload.sha256 == hashlib.sha256(PNG).hexdigest() and upload.url == shelf + path
    assert uploads.file_of(upload).read_bytes() == PNG and upload.polls_left == 1


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/gone", "http 404"),
        ("/moved", "redirect"),
        ("/page", "not media: text/html"),
        ("/lie.png", "not media: unknown content"),
    ],
)
def test_what_is_no_media_at_an_address_is_said(inside, shelf, path, why):
    upload = begun()
    assert uploads.pull(upload, shelf + path) == why
    assert (upload.error, upload.sha256) == (why, "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.png", "nonsense", "ftp://files.example/x.png"])
def test_an_address_that_nobody_answers_is_unreachable(inside, url):
    assert uploads.pull(begun(), url) == "unreachable"


def test_others_reach_the_state_while_media_is_fetched(inside, shelf):
    upload = begun()
    seen: list[bool] = []

    def other() -> None:
        with inside.state.writing():
            seen.append(True)

    def fetching(*_: object) -> str:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(5)
        return "unreachable"

    with pytest.MonkeyPatch.context() as patched, inside.state.writing(), inside.state.writing():
        patched.setattr(uploads, "_pulled", fetching)
        uploads.pull(upload, shelf)
        assert seen == [True]
        # Alone with the state again afterwards.
        late = threading.Thread(target=other)
        late.start()
        late.join(0.05)
        assert seen == [True]
    late.join(5)
    assert seen == [True, True]


# In a request


def refuse(label: str, seconds: float) -> Response:
    return Response(status=500)


@pytest.fixture
def receiving(player) -> Player:
    """A sandbox with an address that takes files, and one that takes only what is small."""
    bp = Blueprint("receiving", __name__)

    @bp.post("/upload.example/raw")
    @operation("twitter", "publish", refuse, media=True)
    def raw() -> Response:
        upload = begun()
        uploads.append(upload, 0, request.stream)
        return jsonify(uploads.finish(upload).sha256)

    @bp.post("/upload.example/form")
    @operation("twitter", "publish", refuse, media=True)
    def form() -> Response:
        upload = begun(mime=request.files["media"].mimetype)
        uploads.append(upload, 0, request.files["media"].stream)
        return jsonify([request.form["alt"], uploads.finish(upload).sha256])

    @bp.post("/upload.example/small")
    @operation("twitter", "publish", refuse)
    def small() -> Response:
        return jsonify(len(request.get_data()))

    player.wsgi.register_blueprint(bp)
    return player


LARGE = 3 * 1024 * 1024


def test_a_large_body_is_taken_where_media_is_expected_and_nowhere_else(receiving):
    body = bytes(LARGE)
    whole = hashlib.sha256(body).hexdigest()
    client = receiving.client
    assert client.post("/upload.example/raw", data=body).json == whole
    form = {"alt": "A loaf", "media": (io.BytesIO(body), "loaf.png", "image/png")}
    assert client.post("/upload.example/form", data=form).json == ["A loaf", whole]
    assert client.post("/upload.example/small", data=body).status_code == 413
    assert client.post("/portal/api/apps", data=body).status_code == 413


@pytest.mark.parametrize("after", [False, True])
def test_a_held_upload_is_whole_when_it_goes_on(receiving, after):
    receiving.order("twitter", "publish", "slow", seconds=0.01, after=after)
    body = bytes(LARGE)
    assert receiving.client.post("/upload.example/raw", data=body).json == hashlib.sha256(body).hexdigest()


def test_a_streamed_body_never_lies_in_memory_as_a_whole(receiving):
    server = make_server("127.0.0.1", 0, receiving.wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    piece, times = bytes(256 * 1024), 320
    tracemalloc.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        connection.request("POST", "/upload.example/raw", (piece for _ in range(times)), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        answer = connection.getresponse().read().decode()
        connection.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        server.shutdown()
        thread.join(5)
        server.server_close()
    assert hashlib.sha256(piece * times).hexdigest() in answer
    assert peak < len(piece) * times / 4


# Posts with media


def test_a_post_tells_and_shows_its_media_format_and_what_it_answers(player, inside):
    media = [{"kind": "image", "mime": "image/png", "size": 3008, "sha256": "ab" * 32, "alt": "A <loaf>"}]
    post = Post(
        id="2",
        platform="twitter",
        client_id="app-1",
        author_id="1",
        author_name="Acme",
        handle="@acme",
        text="Fresh",
        sent="Fresh",
        created_at=0.0,
        permalink="https://x.example/2",
        media=media,
        format="thread",
        reply_to="1",
        facts={"title": "Morning"},
    )
    with inside.state.writing():
        inside.state.keep(post)
    [told] = player.posts("twitter")
    assert (told["media"], told["format"], told["reply_to"]) == (media, "thread", "1")
    assert told["facts"] == {"title": "Morning"}
    for address in ("/timeline", "/timeline/twitter/2"):
        page = player.client.get(address).text
        for words in ("Image", "3.0 kB", "ab" * 6 + "<", "A &lt;loaf&gt;", "thread", "/timeline/twitter/1", "Morning"):
            assert words in page
