"""Files come in by the form, are seen by their workspace alone, and are fetched by platforms without a cookie."""

import io
import re

import pytest

from socialconsole import media
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import PROCESSING, PUBLISHED, Delivery, Media, PlatformApp, Workspace
from tests import made_files as made
from tests.journeys.tenant_house import HTMX


def upload(house, *files, headers=HTMX, **data):
    found = re.search(r'name="csrf_token" value="([^"]+)"', house.get("/posts").text)
    assert found is not None
    return house.client.post(house.base + "/media", headers=headers, content_type="multipart/form-data", data={
        "csrf_token": found[1], "files": [(io.BytesIO(plain), name) for plain, name in files], **data})


def stored(house) -> list[str]:
    with house.app.app_context():
        return [one.id for one in db.session.query(Media).order_by(Media.id)]


def linked(house, plain=b"", name="bun.jpg", state=PROCESSING):
    """The address of a file, as a platform gets it."""
    upload(house, (plain or made.picture(), name))
    media_id = stored(house)[-1]
    _, delivery_id = house.delivery(state)
    with house.app.app_context():
        workspace = db.session.get_one(Workspace, house.cast.bakery.id)
        url = media.linked(delivery_id, media.file_of(media.one(workspace, media_id))).public_url
    return url.removeprefix("http://127.0.0.1:8000"), delivery_id


# ---------------------------------------------------------------- uploading


def test_each_file_comes_back_as_an_item_of_the_form_with_its_facts(house):
    answer = upload(house, (made.picture("PNG", (60, 40)), "bun.png"), (made.mp4(), "film.mp4"))
    picture, film = stored(house)
    assert answer.status_code == 200 and "<html" not in answer.text
    for media_id in (picture, film):
        assert f'name="media" value="{media_id}"' in answer.text
    assert f'name="alt:{picture}"' in answer.text and f"/media/{picture}/thumbnail" in answer.text
    assert "60 × 40" in answer.text and "bun.png" in answer.text


def test_what_is_wrong_with_a_file_is_said_beside_the_others(house):
    some = upload(house, (made.picture(), "bun.jpg"), (b"<html><script>", "<b>x.jpg"))
    assert some.status_code == 200 and len(stored(house)) == 1
    assert "&lt;b&gt;x.jpg is a web page (HTML)" in some.text
    none = upload(house, (b"", "empty.jpg"))
    assert none.status_code == 422 and "empty.jpg is empty" in none.text and 'role="alert"' in none.text
    assert "Choose one first" in upload(house).text


def test_programs_read_the_same_as_json(house):
    answer = upload(house, (made.picture("PNG", (60, 40)), "bun.png"), (b"words", "x"),
                    headers={"Accept": "application/json"})
    one = answer.json["media"][0]
    assert (one["kind"], one["type"], one["width"], one["id"]) == ("image", "image/png", 60, stored(house)[0])
    assert answer.json["problems"][0].startswith("x is a text file")
    assert upload(house, (b"words", "x"), headers={"Accept": "application/json"}).status_code == 422


def test_a_browser_without_script_gets_a_whole_page(house):
    answer = upload(house, (made.picture(), "bun.jpg"), headers={})
    assert answer.status_code == 200 and "<html" in answer.text and "Back to Compose" in answer.text


def test_a_file_may_be_larger_than_a_form(house):
    large = made.mp4(payload=3_000_000)
    assert upload(house, (large, "film.mp4")).status_code == 200
    object.__setattr__(house.app.extensions["config"], "media_max_bytes", 1_000_000)
    assert upload(house, (large, "film.mp4")).status_code == 413


def test_an_upload_needs_the_form_token_like_every_change(house):
    for token in ("", "nonsense"):
        data = {"files": [(io.BytesIO(made.picture()), "bun.jpg")], "csrf_token": token}
        answer = house.client.post(house.base + "/media", data=data, content_type="multipart/form-data")
        assert answer.status_code == 400
    assert stored(house) == []


def test_a_viewer_uploads_nothing(house, sign_in):
    sign_in(house.client, house.cast.vera)
    assert upload(house, (made.picture(), "bun.jpg")).status_code == 403 and stored(house) == []


# ---------------------------------------------------------------- thumbnails


def test_members_see_a_thumbnail_and_strangers_nothing(house, app, sign_in):
    upload(house, (made.picture("PNG", (900, 600)), "bun.png"))
    place = f"/media/{stored(house)[0]}/thumbnail"
    answer = house.get(place)
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg") and answer.data.startswith(b"\xff\xd8")
    assert answer.headers["Cache-Control"] == "private, max-age=3600"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    stranger = sign_in(app.test_client(), house.cast.charlie)
    assert stranger.get(house.base + place).status_code == 404
    assert stranger.get(f"/w/{house.cast.cycles.id}{place}").status_code == 404


def test_what_has_no_picture_has_no_thumbnail(house):
    upload(house, (made.mp4(), "film.mp4"))
    assert house.get(f"/media/{stored(house)[0]}/thumbnail").status_code == 404


# ---------------------------------------------------------------- what platforms fetch


def test_a_platform_fetches_the_file_without_cookie_or_redirect(house, client):
    plain = made.picture()
    address, _ = linked(house, plain)
    fresh = house.app.test_client()
    for method in ("GET", "HEAD"):
        answer = fresh.open(address, method=method, headers={"User-Agent": "facebookexternalhit/1.1"})
        assert (answer.status_code, answer.content_type) == (200, "image/jpeg")
        assert int(answer.headers["Content-Length"]) == len(plain)
        assert answer.data == (plain if method == "GET" else b"")
        assert "Set-Cookie" not in answer.headers and answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Cache-Control"] == "private, max-age=300"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize(("asked", "status", "first", "last"), [
    ("bytes=0-99", 206, 0, 99), ("bytes=500-", 206, 500, None), ("bytes=-10", 206, -10, None),
    ("bytes=99999999-", 416, 0, 0)])
def test_a_range_is_served_as_a_range(house, asked, status, first, last):
    plain = made.mp4()
    address, _ = linked(house, plain, "film.mp4")
    answer = house.app.test_client().get(address, headers={"Range": asked})
    assert answer.status_code == status
    if status == 206:
        assert answer.data == plain[first : None if last is None else last + 1]
        assert answer.headers["Content-Range"].endswith(f"/{len(plain)}")


def test_a_document_is_only_saved_never_shown(house):
    address, _ = linked(house, made.pdf(1), "slides.pdf")
    answer = house.app.test_client().get(address)
    assert answer.headers["Content-Disposition"].startswith("attachment") and answer.mimetype == "application/pdf"


def test_an_address_ends_with_its_delivery_and_with_another_ending(house):
    address, delivery_id = linked(house)
    fresh = house.app.test_client()
    assert fresh.get(address).status_code == 200
    wrong = (address.replace(".jpg", ".html"), address.replace(".jpg", ""), address[:-5] + "x.jpg", "/media/x.jpg",
             "/media/..%2f..%2fconsole.env", "/media/" + "a" * 500 + ".jpg", "/media/.jpg", "/media/%00.jpg")
    for one in wrong:
        assert fresh.get(one).status_code == 404, one
    with house.app.app_context(), writing() as session:
        session.get_one(Delivery, delivery_id).state = PUBLISHED
    assert fresh.get(address).status_code == 404


def test_the_proof_that_an_admin_pasted_is_served_as_plain_text(house):
    house.platform("tiktok", options={"verification_file": "tiktokAbC123.txt", "verification_text": "proof=AbC123"})
    fresh = house.app.test_client()
    answer = fresh.get("/media/tiktokAbC123.txt")
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "proof=AbC123", "text/plain")
    assert fresh.get("/media/tiktokOther.txt").status_code == fresh.get("/media/.txt").status_code == 404
    with house.app.app_context(), writing() as session:
        session.get_one(PlatformApp, "app_tiktok").options = {"verification_file": "tiktokAbC123.txt"}
    assert fresh.get("/media/tiktokAbC123.txt").status_code == 404


def test_robots_may_fetch_files_and_nothing_else(client):
    answer = client.get("/robots.txt")
    assert answer.mimetype == "text/plain" and answer.text == "User-agent: *\nAllow: /media/\nDisallow: /\n"
