"""Uploads in pieces: refused before the first byte, resumed where they stopped, seen by nobody else."""

import re
from datetime import timedelta

import pytest

from socialconsole import media, uploads
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Media, Upload, Workspace
from tests import made_files as made
from tests.journeys.tenant_house import as_person

KB = 1024


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Pieces of a kilobyte: the rules are the same, the files smaller."""
    monkeypatch.setattr(uploads, "PIECE", KB)
    monkeypatch.setattr(uploads, "SMALL", 100 * KB)


def token(house):
    found = re.search(r'name="csrf_token" value="([^"]+)"', house.get("/media").text)
    assert found is not None
    return {"X-CSRFToken": found[1]}


def begin(house, plain=b"", name="bun.png", size=None, **more):
    data = {"name": name, "size": str(len(plain) if size is None else size), **more}
    return house.client.post(house.base + "/uploads", headers=token(house), data=data)


def piece(house, address, offset, plain):
    # The real server marks the end of its streams, which changes how their limit is kept.
    return house.client.patch(address, data=plain, content_type="application/octet-stream",
                              environ_overrides={"wsgi.input_terminated": True},
                              headers={**token(house), "Upload-Offset": str(offset)})


def send(house, address, plain, first=0):
    """The rest of a file, piece by piece; the last answer."""
    answer = None
    for offset in range(first, len(plain), KB):
        answer = piece(house, address, offset, plain[offset : offset + KB])
        assert answer.status_code == 200, answer.text
    assert answer is not None
    return answer


def lying(house):
    """The pieces and files on disk."""
    folder = house.app.extensions["config"].media_folder
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


PICTURE = made.picture("PNG", (60, 40), color="noise")


def test_a_file_arrives_in_pieces_and_is_measured_with_the_last(house):
    begun = begin(house, PICTURE, keep="yes")
    assert begun.status_code == 201 and begun.json["state"] == "receiving" and begun.json["piece"] == KB
    address = begun.headers["Location"]
    assert address.startswith(house.base + "/uploads/upl_")
    answer = send(house, address, PICTURE)
    assert answer.json["state"] == "done" and answer.headers["Upload-Offset"] == str(len(PICTURE))
    assert answer.json["media"]["width"] == 60 and 'name="media"' in answer.json["item"]
    stored = house.row(Media, answer.json["media"]["id"])
    assert (stored.name, stored.size, stored.is_kept, stored.user_id) == (
        "bun.png", len(PICTURE), True, house.cast.alice.id)
    with house.app.app_context():
        assert media.path_of(stored).read_bytes() == PICTURE
    assert lying(house) == [stored.id], "no piece stays"


def test_what_comes_with_a_post_is_not_kept_for_good(house):
    done = send(house, begin(house, PICTURE).headers["Location"], PICTURE)
    assert house.row(Media, done.json["media"]["id"]).is_kept is False


def test_a_wrong_offset_gets_the_right_one(house):
    address = begin(house, PICTURE).headers["Location"]
    assert piece(house, address, 0, PICTURE[:KB]).status_code == 200
    for wrong in (0, 5, 2 * KB, 10**9):
        answer = piece(house, address, wrong, PICTURE[:KB])
        assert (answer.status_code, answer.headers["Upload-Offset"], answer.json["offset"]) == (409, str(KB), KB)
    for nonsense in ("", "-1", "²", "x", "9" * 40):
        assert piece(house, address, nonsense, PICTURE[:KB]).status_code == 400
    head = house.client.head(address)
    assert (head.status_code, head.headers["Upload-Offset"], head.headers["Upload-Length"]) == (
        200, str(KB), str(len(PICTURE)))
    assert send(house, address, PICTURE, KB).json["state"] == "done"
    again = piece(house, address, 0, PICTURE[:KB])
    assert again.status_code == 409 and again.json["state"] == "done" and house.count(Media) == 1


@pytest.mark.parametrize("plain", [PICTURE[: KB - 1], b"", PICTURE[: KB + 1]])
def test_a_piece_of_another_length_counts_for_nothing(house, plain):
    address = begin(house, PICTURE).headers["Location"]
    answer = piece(house, address, 0, plain)
    assert answer.status_code in (400, 413)
    assert house.get("/uploads/" + address.rpartition("/")[2]).json["offset"] == 0 and lying(house) == []


def test_a_connection_that_breaks_within_a_piece_costs_that_piece(house):
    address = begin(house, PICTURE).headers["Location"]
    assert piece(house, address, 0, PICTURE[:KB]).status_code == 200

    class Cut:
        """What a server reads when the line goes dead."""

        left, place = 3, 0

        def tell(self):
            return self.place

        def seek(self, place, how=0):
            self.place = KB if how else place

        def read(self, size=-1):
            self.left -= 1
            return b"x" * min(size, 100) if self.left >= 0 else b""

        def close(self):
            """Nothing to close."""

    answer = house.client.open(address, method="PATCH", input_stream=Cut(),
                               content_type="application/octet-stream", environ_overrides={"CONTENT_LENGTH": str(KB)},
                               headers={**token(house), "Upload-Offset": str(KB)})
    assert answer.status_code == 400
    assert house.client.head(address).headers["Upload-Offset"] == str(KB)
    assert send(house, address, PICTURE, KB).json["state"] == "done"


def test_another_worker_goes_on_where_one_ended(house, app):
    address = begin(house, PICTURE).headers["Location"]
    piece(house, address, 0, PICTURE[:KB])
    folder = app.extensions["config"].media_folder / house.cast.bakery.id / "uploads"
    (folder / ".part-of-one-that-was-killed").write_bytes(b"half a piece")
    with app.app_context():  # nothing of the upload lies in the memory of a process
        db.session.remove()
        db.engine.dispose()
    assert send(house, address, PICTURE, KB).json["state"] == "done"


def test_of_two_writers_one_counts_and_the_other_is_told_where_to_go_on(house, monkeypatch):
    address = begin(house, PICTURE).headers["Location"]
    copied, told = uploads._copied, []

    def slow(stream, part, length):
        digest = copied(stream, part, length)
        if not told:  # the other tab is quicker
            told.append(True)
            told.append(piece(house, address, 0, PICTURE[:KB]))
        return digest

    monkeypatch.setattr(uploads, "_copied", slow)
    late = piece(house, address, 0, b"x" * KB)
    assert told[1].status_code == 200 and late.status_code == 409 and late.json["offset"] == KB
    done = send(house, address, PICTURE, KB)
    with house.app.app_context():
        assert media.path_of(house.row(Media, done.json["media"]["id"])).read_bytes() == PICTURE


def test_a_lost_piece_is_asked_for_again(house):
    address = begin(house, PICTURE).headers["Location"]
    last = (len(PICTURE) - 1) // KB * KB
    for offset in range(0, last, KB):
        piece(house, address, offset, PICTURE[offset : offset + KB])
    folder = house.app.extensions["config"].media_folder / house.cast.bakery.id / "uploads"
    next(folder.glob("*-000001")).unlink()
    answer = piece(house, address, last, PICTURE[last:])
    assert answer.status_code == 200 and (answer.json["state"], answer.json["offset"]) == ("receiving", KB)
    assert send(house, address, PICTURE, KB).json["state"] == "done"


# ---------------------------------------------------------------- refused


def test_what_cannot_fit_is_refused_before_the_first_byte(house, monkeypatch):
    four = 4 * 1024**3
    config = house.app.extensions["config"]
    assert "larger than the 2,048 MB" in begin(house, name="film.mp4", size=four).json["problem"]
    object.__setattr__(config, "media_max_bytes", 8 * 1024**3)
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).storage_limit = 1024**3
    answer = begin(house, name="film.mp4", size=four)
    assert answer.status_code == 422
    assert answer.json["problem"] == (
        "film.mp4 has 4 GB, and this workspace has 1 GB left: it keeps 0 KB of 1 GB. Delete files that nobody needs "
        "any more under Media, or ask a platform admin of this console to raise the limit.")
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).storage_limit = None
    monkeypatch.setattr(uploads.media_store, "free", lambda folder: 1024**3)
    assert "the console's disk has not enough room left" in begin(house, name="film.mp4", size=four).json["problem"]
    assert "is empty (0 bytes)" in begin(house, size=0).json["problem"]
    for nonsense in ("", "-3", "1e9", "٣"):
        assert begin(house, size=nonsense).status_code == 422
    assert house.count(Upload) == 0 and 'name="refused"' in answer.json["item"]


def test_uploads_under_way_take_their_room(house):
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).storage_limit = 10_000
    first = begin(house, name="one.mp4", size=6000)
    assert first.status_code == 201 and begin(house, name="two.mp4", size=6000).status_code == 422
    assert house.client.delete(first.headers["Location"], headers=token(house)).status_code == 204
    assert begin(house, name="two.mp4", size=6000).status_code == 201


def test_a_file_that_cannot_be_used_says_why_and_leaves_nothing(house):
    page = b"<html>" + b"x" * 3000
    done = send(house, begin(house, page, "bun.jpg").headers["Location"], page)
    assert done.json["state"] == "refused" and "bun.jpg is a web page (HTML)" in done.json["problem"]
    assert 'role="alert"' in done.json["item"] and lying(house) == [] and house.count(Media) == 0


def test_nobody_opens_uploads_without_end(house, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_OPEN", 2)
    assert [begin(house, PICTURE).status_code for _ in range(3)] == [201, 201, 422]


# ---------------------------------------------------------------- whose it is


def test_an_upload_is_its_owners_alone(house, app, sign_in):
    address = begin(house, PICTURE).headers["Location"]
    bob = as_person(house, sign_in, house.cast.bob)
    vera = as_person(house, sign_in, house.cast.vera)
    charlie = sign_in(app.test_client(), house.cast.charlie)
    elsewhere = address.replace(house.cast.bakery.id, house.cast.cycles.id)
    assert bob.client.get(address).status_code == 404 and piece(bob, address, 0, PICTURE[:KB]).status_code == 404
    assert bob.client.delete(address, headers=token(bob)).status_code == 404
    assert vera.client.get(address).status_code == 403
    assert charlie.get(address).status_code == 404 and charlie.get(elsewhere).status_code == 404
    assert house.client.head(address).headers["Upload-Offset"] == "0"


def test_a_piece_without_the_form_token_is_refused(house):
    address = begin(house, PICTURE).headers["Location"]
    answer = house.client.patch(address, data=PICTURE[:KB], headers={"Upload-Offset": "0"})
    assert answer.status_code == 400 and house.client.head(address).headers["Upload-Offset"] == "0"


# ---------------------------------------------------------------- large ones, and those nobody went on with


def test_a_large_file_is_measured_by_a_worker(house, clock, monkeypatch):
    monkeypatch.setattr(uploads, "SMALL", KB)
    begun = begin(house, PICTURE)
    address, upload_id = begun.headers["Location"], begun.json["id"]
    assert send(house, address, PICTURE).json["state"] == "looking"
    assert "is being looked at" in house.get("/media").text
    with house.app.app_context():
        assert uploads.waiting(clock()) == [upload_id]
        uploads.finish(upload_id)
        assert uploads.waiting(clock()) == []
        uploads.finish(upload_id)
    assert house.client.get(address).json["state"] == "done" and house.count(Media) == 1


def test_a_worker_that_ends_over_a_file_is_followed_by_another_and_not_for_ever(house, clock, monkeypatch):
    monkeypatch.setattr(uploads, "SMALL", KB)
    begun = begin(house, PICTURE)
    send(house, begun.headers["Location"], PICTURE)
    monkeypatch.setattr(media, "keep", lambda *_, **__: 1 / 0)
    for _ in range(uploads.MOST_LOOKS):
        with house.app.app_context(), pytest.raises(ZeroDivisionError):
            uploads.finish(begun.json["id"])
        with house.app.app_context():
            assert uploads.waiting(clock()) == [], "somebody has it in hand"
            assert uploads.waiting(clock.advance(minutes=6)) == [begun.json["id"]]
    with house.app.app_context():
        uploads.finish(begun.json["id"])
    assert "could not be read" in house.client.get(begun.headers["Location"]).json["problem"] and lying(house) == []


def test_while_the_storage_is_away_the_pieces_wait(house, clock, monkeypatch):
    begun = begin(house, PICTURE)
    keep = media.keep

    def away(*_, **__):
        raise media.NotKept("bun.png was not kept.")

    monkeypatch.setattr(media, "keep", away)
    assert send(house, begun.headers["Location"], PICTURE).json["state"] == "looking"
    monkeypatch.setattr(media, "keep", keep)
    clock.advance(minutes=6)
    with house.app.app_context():
        uploads.finish(begun.json["id"])
    assert house.client.get(begun.headers["Location"]).json["state"] == "done"


def test_what_nobody_goes_on_with_goes_after_a_day(house, clock):
    address = begin(house, PICTURE).headers["Location"]
    piece(house, address, 0, PICTURE[:KB])
    with house.app.app_context():
        clock.advance(hours=23)
        assert uploads.tidy(clock()) == 0
        assert media.tidy(clock() + timedelta(days=3)) == 0, "the sweep of files leaves pieces that still count"
        assert uploads.tidy(clock.advance(hours=2)) == 1
    assert house.client.get(address).status_code == 404 and lying(house) == []


def test_the_button_of_the_library_cancels(house):
    begun = begin(house, PICTURE, "bun.png")
    piece(house, begun.headers["Location"], 0, PICTURE[:KB])
    assert "choose the same file again" in house.get("/media").text
    answer = house.client.post(begun.headers["Location"] + "/cancel",
                               data={"csrf_token": token(house)["X-CSRFToken"]})
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/media")
    assert "bun.png was cancelled" in house.get("/media").text and lying(house) == []
