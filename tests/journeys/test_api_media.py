"""Files over the API: whole, from an address, in pieces; seen by their workspace alone."""

import io
from types import SimpleNamespace

import pytest

from socialconsole import media, uploads
from socialconsole.api import rates
from socialconsole.models import DRAFT, EDITOR, VIEWER, Media, MediaUse, Upload
from tests import made_files as made
from tests.journeys.api_program import program
from tests.journeys.test_api_posts import fields, role


@pytest.fixture
def ask(house, monkeypatch):
    """A program with a key of Alice's."""
    monkeypatch.setattr(rates, "OF_KEY", rates.Limit("key", 10**9))
    return program(house)


def add(ask, plain=b"", name="bun.jpg", query="", **more):
    given = {"file": (io.BytesIO(plain or made.picture()), name)}
    return ask("POST", f"/media{query}", data=given, content_type="multipart/form-data", **more)


def send(ask, upload_id, plain, offset, **more):
    return ask("PATCH", f"/uploads/{upload_id}", data=plain, content_type="application/octet-stream",
               headers={"Upload-Offset": str(offset)}, **more)


# ---------------------------------------------------------------- adding and reading


def test_a_file_is_added_and_told_with_its_facts(house, ask):
    answer = add(ask, made.picture("PNG", (60, 40)), "bun.png", "?keep=true")
    assert answer.status_code == 201 and (answer.json["width"], answer.json["height"]) == (60, 40)
    assert (answer.json["kind"], answer.json["type"], answer.json["kept"]) == ("image", "image/png", True)
    one = ask("GET", f"/media/{answer.json['id']}")
    assert one.json == answer.json
    assert ask("GET", f"/media/{one.json['id']}", headers={"If-None-Match": one.headers["ETag"]}).status_code == 304


def test_a_file_is_added_once_for_one_idempotency_key_and_another_one_is_refused(house, ask):
    first = add(ask, made.picture("PNG", (60, 40)), "bun.png", headers={"Idempotency-Key": "one"})
    again = add(ask, made.picture("PNG", (60, 40)), "bun.png", headers={"Idempotency-Key": "one"})
    other = add(ask, made.picture("PNG", (40, 60)), "bun.png", headers={"Idempotency-Key": "one"})
    assert first.status_code == 201 and again.json == first.json and house.count(Media) == 1
    assert other.json["code"] == "idempotency_key_reused"


def test_what_is_no_file_is_refused_at_its_field(house, ask):
    page = add(ask, b"<html><script>", "x.jpg")
    assert page.status_code == 422 and fields(page) == {"file"}
    none = ask("POST", "/media", data={"other": "x"}, content_type="multipart/form-data")
    assert fields(none) == {"file"}
    both = ask("POST", "/media", content_type="multipart/form-data", data={
        "file": [(io.BytesIO(made.picture()), "a.jpg"), (io.BytesIO(made.picture()), "b.jpg")]})
    assert fields(both) == {"file"}
    assert ask("POST", "/media", {"file": "x"}).json["code"] == "unsupported_media_type"
    broken = ask("POST", "/media", data=b"--nothing", content_type="multipart/form-data; boundary=x")
    assert broken.status_code == 422 and house.count(Media) == 0


def test_a_file_that_is_too_large_is_refused(house, ask, monkeypatch):
    config = house.app.extensions["config"]
    large = b"\xff\xd8" + b"x" * (config.media_max_bytes if config.media_max_bytes < 10**6 else 0)
    monkeypatch.setattr("socialconsole.api.media.FORM_ROOM", 10 - config.media_max_bytes)
    assert add(ask, large).json["code"] == "too_large" and house.count(Media) == 0


def test_a_file_comes_from_an_address(house, ask, monkeypatch):
    def got(address, *, into, **_):
        into.write_bytes(made.picture())
        return SimpleNamespace(status=404 if "gone" in address else 200, type="image/jpeg")

    monkeypatch.setattr(media.guarded, "get", got)
    answer = ask("POST", "/media/from-url", {"url": "https://example.com/bun.jpg", "altText": "A bun", "keep": True})
    assert answer.status_code == 201 and (answer.json["altText"], answer.json["kept"]) == ("A bun", True)
    assert fields(ask("POST", "/media/from-url", {"url": "https://example.com/gone.jpg"})) == {"url"}


@pytest.mark.parametrize("url", ["", "x", "http://127.0.0.1/", "http://[::1]/", "file:///etc/passwd", "http://[", "ftp://a",
                                 "http://a\u0000", "https://user:pass@127.0.0.1/", "http://" + "a" * 1900,
                                 "http://169.254.169.254/latest", "https://\udbff.example", "http://a:99999/"])
def test_no_address_inside_is_fetched_and_none_breaks_anything(house, ask, url):
    answer = ask("POST", "/media/from-url", {"url": url})
    assert answer.status_code in (400, 422) and house.count(Media) == 0


def test_lists_have_pages_and_filters(house, ask):
    ids = [add(ask, name=f"bun {number}.jpg").json["id"] for number in range(3)]
    film = add(ask, made.mp4(), "film.mp4").json["id"]
    first = ask("GET", "/media?limit=3").json
    second = ask("GET", f"/media?limit=3&cursor={first['nextCursor']}").json
    assert [one["id"] for one in first["data"] + second["data"]] == [film, *reversed(ids)]
    assert second["nextCursor"] is None
    assert [one["id"] for one in ask("GET", "/media?kind=video").json["data"]] == [film]
    assert [one["id"] for one in ask("GET", "/media?words=bun%201").json["data"]] == [ids[1]]
    for query in ("kind=x", "cursor=%00", "words=%00", "limit=0"):
        assert ask("GET", f"/media?{query}").status_code == 422


# ---------------------------------------------------------------- changing and deleting


def test_a_file_is_described_kept_and_deleted(house, ask):
    found = add(ask)
    path, seen = f"/media/{found.json['id']}", ask("GET", f"/media/{found.json['id']}").headers["ETag"]
    changed = ask("PATCH", path, {"altText": "A bun", "kept": True}, headers={"If-Match": seen})
    assert (changed.json["altText"], changed.json["kept"]) == ("A bun", True)
    assert ask("PATCH", path, {"altText": "Other"}, headers={"If-Match": seen}).status_code == 412
    assert ask("PATCH", path, {}).json == changed.json
    assert ask("DELETE", path).status_code == 204 and house.count(Media) == 0
    assert ask("DELETE", path).json["code"] == "not_found"


def test_a_file_that_a_post_needs_stays(house, ask):
    file = add(ask).json["id"]
    post = ask("POST", "/posts", {"text": "With a bun", "media": [file], "draft": True}).json
    assert post["state"] == DRAFT and post["media"] == [file] and house.count(MediaUse) == 1
    refused = ask("DELETE", f"/media/{file}")
    assert refused.json["code"] == "conflict" and refused.json["posts"] == [post["id"]]
    assert ask("GET", "/media?unused=true").json["data"] == []
    ask("DELETE", f"/posts/{post['id']}")
    assert ask("DELETE", f"/media/{file}").status_code == 204


# ---------------------------------------------------------------- in pieces


def test_a_file_arrives_in_pieces_and_goes_on_where_it_broke_off(house, ask, monkeypatch):
    monkeypatch.setattr(uploads, "PIECE", 400)
    plain = made.picture("PNG", (60, 40))
    begun = ask("POST", "/uploads", {"name": "bun.png", "size": len(plain), "keep": True})
    assert begun.status_code == 201 and begun.json["state"] == "receiving" and begun.json["piece"] == 400
    upload, offset = begun.json["id"], 0
    wrong = send(ask, upload, plain[:400], 400)
    assert wrong.json["code"] == "conflict" and wrong.json["offset"] == 0
    short = send(ask, upload, plain[: min(400, len(plain)) - 1], 0)
    assert short.status_code == 422 and ask("GET", f"/uploads/{upload}").json["offset"] == 0
    while offset < len(plain):
        offset = send(ask, upload, plain[offset : offset + 400], offset).json["offset"]
    done = ask("GET", f"/uploads/{upload}").json
    assert done["state"] == "done" and done["media"]["width"] == 60 and done["media"]["kept"]
    assert send(ask, upload, b"x", 0).json["code"] == "conflict"
    assert ask("DELETE", f"/uploads/{upload}").status_code == 204 and house.count(Upload) == 0
    assert house.count(Media) == 1


def test_what_is_wrong_with_a_piece_is_said(house, ask):
    assert fields(ask("POST", "/uploads", {"name": "x", "size": 10**15})) == {"size"}
    upload = ask("POST", "/uploads", {"name": "x.jpg", "size": 3}).json["id"]
    for offset in ("", "-1", "x", "9" * 400, "1.0"):
        assert send(ask, upload, b"abc", offset).json["code"] == "malformed"
    path = f"/uploads/{upload}"
    assert ask("PATCH", path, {"a": 1}, headers={"Upload-Offset": "0"}).json["code"] == "unsupported_media_type"
    assert send(ask, upload, b"x" * (uploads.PIECE + 2), 0).json["code"] in ("too_large", "invalid")
    refused = send(ask, upload, b"abc", 0).json
    assert refused["state"] == "refused" and refused["problem"] and refused["media"] is None


@pytest.mark.parametrize("body", [{}, {"size": "3"}, {"size": -1}, {"size": 10**40}, {"size": 1.5}, {"size": True},
                                  {"size": 3, "name": "\x00"}, {"size": 3, "name": 7}, {"size": 3, "x": 1}, [], None])
def test_no_body_of_an_upload_breaks_anything(house, ask, body):
    assert ask("POST", "/uploads", body).status_code == 422 and house.count(Upload) == 0


# ---------------------------------------------------------------- who may not


def test_strangers_files_and_uploads_are_not_there(house, ask):
    file = add(ask).json["id"]
    upload = ask("POST", "/uploads", {"name": "x.jpg", "size": 3}).json["id"]
    role(house, house.cast.bob, EDITOR)
    charlie = {"person": house.cast.charlie, "workspace": house.cast.cycles}
    bob = {"person": house.cast.bob, "may": ("read", "write_posts")}
    for method, path, body in (("GET", f"/media/{file}", None), ("PATCH", f"/media/{file}", {"kept": True}),
                               ("DELETE", f"/media/{file}", None), ("GET", f"/uploads/{upload}", None),
                               ("DELETE", f"/uploads/{upload}", None)):
        assert ask(method, path, body, **charlie).json["code"] == "not_found"
    assert send(ask, upload, b"abc", 0, **charlie).status_code == 404
    assert ask("GET", f"/uploads/{upload}", **bob).status_code == 404  # another person's
    assert ask("GET", f"/media/{file}", **bob).status_code == 200
    assert ask("GET", "/media", **charlie).json["data"] == [] and house.count(Media) == house.count(Upload) == 1


def test_a_viewers_key_reads_and_adds_nothing(house, ask):
    file = add(ask).json["id"]
    role(house, house.cast.bob, VIEWER)
    bob = {"person": house.cast.bob, "may": ("read",)}
    assert ask("GET", f"/media/{file}", **bob).status_code == 200
    assert add(ask, **bob).status_code == 403 and ask("DELETE", f"/media/{file}", **bob).status_code == 403
    assert ask("POST", "/uploads", {"name": "x", "size": 3}, **bob).status_code == 403 and house.count(Media) == 1
