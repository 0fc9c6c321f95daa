"""Files are kept whole, without their place, for their own workspace alone; what platforms get fits, and ends."""

import hashlib
import io
import os
import shutil
from datetime import timedelta
from types import SimpleNamespace

import pytest
from PIL import Image
from werkzeug.exceptions import NotFound

from socialconsole import config as settings
from socialconsole import converting, guarded, media, outcomes
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    FAILED,
    FINAL,
    MISSED,
    PROCESSING,
    PUBLISHED,
    SENT,
    UNCONFIRMED,
    Account,
    AuditEvent,
    Delivery,
    Media,
    MediaLink,
    MediaUse,
    Post,
    Series,
    User,
    Workspace,
)
from socialconsole.providers.content import Format, GifRule, ImageRule
from tests import made_files as made


@pytest.fixture
def here(app, cast, clock):
    """The bakery and Alice, inside an app context."""
    with app.app_context():
        yield SimpleNamespace(
            app=app, clock=clock, cast=cast, folder=app.extensions["config"].media_folder,
            bakery=db.session.get_one(Workspace, cast.bakery.id), cycles=db.session.get_one(Workspace, cast.cycles.id),
            alice=db.session.get_one(User, cast.alice.id))


def store(here, plain: bytes = b"", name: str = "bun.jpg") -> Media:
    return media.store(here.bakery, here.alice, io.BytesIO(plain or made.picture()), name)


def delivering(here, *ids: str, state: str = PROCESSING) -> Delivery:
    """A delivery whose post uses these files."""
    now, where = here.clock(), here.bakery.id
    with writing() as session:
        account = Account(workspace_id=where, platform="twitter", platform_user_id="42", state_since=now,
                          connected_at=now)
        post = Post(id="pst_bun", workspace_id=where, text="Buns", due_at=now, form_nonce="1", created_at=now)
        made_one = Delivery(id="dlv_bun", workspace_id=where, post=post, account=account, state=state,
                            scheduled_for=now)
        session.add_all((account, post, made_one))
        session.flush()
        media.use(here.bakery, post.id, ids, now)
    return made_one


def settle(delivery: Delivery, state: str) -> None:
    with writing() as session:
        session.get_one(Delivery, delivery.id).state = state


def on_disk(here) -> list[str]:
    return sorted(str(path.relative_to(here.folder)) for path in here.folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------- taking in


def test_an_upload_is_kept_whole_under_its_id_with_its_measured_facts(here):
    plain = made.picture("PNG", (60, 40))
    stored = store(here, plain, "C:\\photos\\bun\n.jpg")
    path = media.path_of(stored)
    assert path.read_bytes() == plain and path == here.folder / here.bakery.id / stored.id
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert (stored.kind, stored.type, stored.name, stored.size) == ("image", "image/png", "bun .jpg", len(plain))
    assert (stored.width, stored.height, stored.sha256) == (60, 40, hashlib.sha256(plain).hexdigest())
    assert on_disk(here) == [f"{here.bakery.id}/{stored.id}"]
    event = db.session.query(AuditEvent).filter_by(action="media.stored").one()
    assert (event.subject_id, event.workspace_id) == (stored.id, here.bakery.id)


def test_the_place_is_taken_out_before_the_file_is_kept(here):
    stored = store(here, made.picture("JPEG", gps=True, orientation=6))
    with Image.open(media.path_of(stored)) as image:
        assert not image.getexif().get_ifd(made.GPS) and image.getexif()[0x0112] == 6
    assert stored.sha256 == hashlib.sha256(media.path_of(stored).read_bytes()).hexdigest()
    assert stored.size == media.path_of(stored).stat().st_size and len(on_disk(here)) == 1


def test_what_cannot_be_used_leaves_nothing_behind(here):
    for plain, word in ((b"<html>", "web page"), (made.mp4()[:100], "cut off")):
        with pytest.raises(media.Refused, match=word):
            store(here, plain)
    with pytest.raises(media.Refused, match="0 bytes"):
        media.store(here.bakery, here.alice, io.BytesIO(), "bun.jpg")
    assert on_disk(here) == [] and db.session.query(Media).count() == 0


def test_an_upload_that_is_too_large_ends_at_the_limit(here, monkeypatch):
    read = []

    class Endless:
        def read(self, size):
            read.append(size)
            return b"\0" * size

    object.__setattr__(here.app.extensions["config"], "media_max_bytes", 3 * 1024 * 1024)
    with pytest.raises(media.Refused, match="larger than the 3 MB"):
        media.store(here.bakery, here.alice, Endless(), "film.mp4")
    assert sum(read) <= 4 * 1024 * 1024 and max(read) <= 1024 * 1024 and on_disk(here) == []


def test_a_disk_that_is_nearly_full_takes_nothing(here, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=media.LEAST_FREE - 1))
    with pytest.raises(media.Refused, match="nearly full"):
        store(here)
    assert on_disk(here) == []


def test_a_file_whose_row_cannot_be_written_is_removed(here, monkeypatch):
    monkeypatch.setattr(media.audit, "record", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store(here)
    assert on_disk(here) == []


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..\\..\\x", "/etc/passwd", "a\0b", "..%2f..%2f", "." * 300,
                                  "é" * 300 + ".jpg", "", "\u202egpj.exe"])
def test_a_name_is_shown_and_never_a_path(here, name):
    stored = store(here, name=name)
    assert on_disk(here) == [f"{here.bakery.id}/{stored.id}"]
    assert len(stored.name) <= 200 and "/" not in stored.name and stored.name.isprintable()


# ---------------------------------------------------------------- reading, describing, deleting


def test_a_stranger_finds_nothing(here):
    stored = store(here)
    assert media.one(here.bakery, stored.id) is stored
    for ask in (lambda: media.one(here.cycles, stored.id), lambda: media.some(here.cycles, [stored.id]),
                lambda: media.some(here.bakery, [stored.id, "med_none"])):
        with pytest.raises(NotFound):
            ask()


def test_files_come_in_the_order_asked(here):
    first, second = store(here), store(here)
    assert [one.id for one in media.some(here.bakery, [second.id, first.id])] == [second.id, first.id]
    assert media.some(here.bakery, []) == []
    assert media.still_there(here.bakery, ["med_none", first.id]) == [first]


def test_a_file_as_providers_see_it_carries_the_facts_and_the_description(here):
    stored = store(here, made.mp4(640, 360, 4, 25), "film.mov")
    media.alt(stored, " A bun turns. ", here.alice)
    file = media.file_of(stored)
    assert (file.kind, file.width, file.height, file.seconds, file.frame_rate) == ("video", 640, 360, 4.0, 25.0)
    assert file.alt_text == "A bun turns." and media.file_of(stored, "Other").alt_text == "Other"
    assert file.read(0, 8) == media.path_of(stored).read_bytes()[:8]
    with pytest.raises(media.Refused, match="1 characters too long"):
        media.alt(stored, "x" * 5001, here.alice)


def test_facts_are_told_in_words(here):
    assert media.facts_in_words(store(here, made.picture("JPEG", (1200, 800)))).startswith("JPEG, 1,200 × 800, ")
    assert media.facts_in_words(store(here, made.mp4(640, 360, 75))) == \
        "MP4, 640 × 360, 1:15 min, 30 frames per second, 3 KB"
    assert "3 frames" in media.facts_in_words(store(here, made.gif(3)))
    assert "1 page," in media.facts_in_words(store(here, made.pdf(1)))


def test_using_a_file_twice_in_a_post_is_using_it_once(here):
    stored = store(here)
    delivery = delivering(here, stored.id, stored.id)
    with writing():
        media.use(here.bakery, delivery.post_id, [stored.id], here.clock.advance(hours=1))
    assert db.session.query(MediaUse).count() == 1 and stored.used_at == here.clock()
    with pytest.raises(NotFound), writing():
        media.use(here.cycles, delivery.post_id, [stored.id], here.clock())


def test_a_file_is_deleted_only_when_no_delivery_needs_it(here):
    stored = store(here)
    media.thumbnail(stored)
    delivery = delivering(here, stored.id)
    with pytest.raises(media.Refused, match="has not gone out yet"):
        media.delete(stored, here.alice)
    assert media.path_of(stored).exists()
    settle(delivery, PUBLISHED)
    media.delete(stored, here.alice)
    assert on_disk(here) == [] and db.session.query(Media).count() == db.session.query(MediaUse).count() == 0


# ---------------------------------------------------------------- copies


def test_a_file_of_a_repeating_post_stays_until_that_is_stopped(here):
    stored = store(here)
    delivery = delivering(here, stored.id, state=PUBLISHED)
    with writing() as session:
        session.add(Series(id="ser_bun", workspace_id=here.bakery.id, text="Buns", every="day", created_at=here.clock(),
                           first_wall="2026-11-21T09:00", next_at=here.clock() + timedelta(days=1)))
        session.flush()
        session.get_one(Post, delivery.post_id).series_id = "ser_bun"
    with pytest.raises(media.Refused, match="Stop the repeating post first"):
        media.delete(stored, here.alice)
    here.clock.advance(hours=100)
    assert media.tidy(here.clock()) == 0 and media.path_of(stored).exists()
    with writing() as session:
        series = session.get_one(Series, "ser_bun")
        series.state, series.next_at = "stopped", None
    media.delete(stored, here.alice)
    assert on_disk(here) == []


def test_a_thumbnail_is_a_small_jpeg_made_once(here):
    stored = store(here, made.picture("PNG", (1000, 500), mode="RGBA"))
    path = media.thumbnail(stored)
    assert path is not None
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (320, 160))
    before = path.stat().st_mtime_ns
    assert media.thumbnail(stored) == path and path.stat().st_mtime_ns == before
    assert media.thumbnail(store(here, made.gif(3))) is not None
    assert media.thumbnail(store(here, made.mp4())) is media.thumbnail(store(here, made.pdf())) is None


def fit(here, plain, rule: ImageRule, name="bun.png"):
    return media.adapted(media.file_of(store(here, plain, name)), Format("image", "Picture", ("image",), image=rule))


JPEG_ONLY = ImageRule(types=("image/jpeg",))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_what_a_platform_does_not_take_becomes_a_jpeg(here, kind):
    made_one = fit(here, made.picture(kind, (60, 40)), JPEG_ONLY)
    with Image.open(made_one.path) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (60, 40))
    assert (made_one.type, made_one.name, made_one.width, made_one.height) == ("image/jpeg", "bun.jpg", 60, 40)
    assert made_one.size == made_one.path.stat().st_size
    assert made_one.sha256 == hashlib.sha256(made_one.path.read_bytes()).hexdigest()


def test_a_picture_that_fits_is_sent_as_it_is(here):
    file = media.file_of(store(here, made.picture("JPEG")))
    assert media.adapted(file, Format("image", "Picture", ("image",), image=JPEG_ONLY)) is file


def test_what_is_no_picture_is_never_changed(here):
    shown = Format("any", "Any", image=ImageRule(types=()), gif=GifRule(1))
    for plain in (made.gif(3), made.mp4(), made.pdf()):
        file = media.file_of(store(here, plain))
        assert media.adapted(file, shown) is file


@pytest.mark.parametrize(("rule", "size"), [
    (ImageRule(fit=(300, 300)), (300, 150)), (ImageRule(fit=(1440, 100)), (200, 100)),
    (ImageRule(most_pixels=20_000), (200, 100)), (ImageRule(fit=(4000, 4000)), (600, 300))])
def test_larger_pictures_are_scaled_down_and_small_ones_never_up(here, rule, size):
    for kind in ("JPEG", "PNG"):
        found = fit(here, made.picture(kind, (600, 300)), rule)
        assert (found.width, found.height) == size
        with Image.open(found.path) as image:
            assert image.size == size


def test_too_many_bytes_cost_quality_first_and_then_pixels(here):
    plain = made.picture("PNG", (500, 400), color="noise")
    some = fit(here, plain, ImageRule(most_bytes=110_000))
    assert some.size <= 110_000 and (some.width, some.height) == (500, 400) and some.type == "image/jpeg"
    few = fit(here, plain, ImageRule(most_bytes=12_000))
    assert few.size <= 12_000 and few.width < 500
    with pytest.raises(media.Refused, match="cannot be made small enough"):
        fit(here, plain, ImageRule(most_bytes=12_000, least=(450, 300)))


def test_the_same_picture_and_rule_give_the_same_bytes(here):
    plain = made.picture("PNG", (300, 200), color="noise")
    first = fit(here, plain, JPEG_ONLY)
    again = fit(here, plain, JPEG_ONLY)
    assert first.path != again.path and first.sha256 == again.sha256
    other = fit(here, plain, ImageRule(types=("image/jpeg",), fit=(100, 100)))
    assert other.sha256 != first.sha256


def test_a_copy_is_made_once_and_kept(here, monkeypatch):
    file = media.file_of(store(here, made.picture("PNG")))
    shown = Format("image", "Picture", ("image",), image=JPEG_ONLY)
    first = media.adapted(file, shown)
    monkeypatch.setattr(media.converting, "_made", lambda *_: pytest.fail("made again"))
    assert media.adapted(file, shown) == first


def test_transparency_becomes_white_and_a_turned_picture_is_set_upright_without_its_notes(here):
    clear = fit(here, made.picture("PNG", (20, 10), mode="RGBA", color=(0, 0, 0, 0)), JPEG_ONLY)
    with Image.open(clear.path) as image:
        assert image.getpixel((5, 5)) == (255, 255, 255)
    turned = fit(here, made.picture("JPEG", (60, 40), orientation=6), JPEG_ONLY)
    with Image.open(turned.path) as image:
        assert image.size == (40, 60) and not image.getexif()
    assert (turned.width, turned.height) == (40, 60)


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "I;16", "LA", "P", "PA"])
def test_pictures_of_every_mode_become_plain_ones(here, mode):
    kind = "JPEG" if mode == "CMYK" else "TIFF" if mode == "PA" else "PNG"
    if mode == "PA":
        plain = made.picture("PNG", mode="P", color=3, transparency=3)
    else:
        plain = made.picture(kind, mode=mode, color=(0, 0, 0, 0) if mode == "CMYK" else 0 if mode != "LA" else (0, 9))
    with Image.open(fit(here, plain, JPEG_ONLY).path) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")


def test_a_file_that_vanished_is_said_so(here):
    stored = store(here, made.picture("PNG"))
    media.path_of(stored).unlink()
    with pytest.raises(media.Refused, match="is not in the console's folder any more"):
        media.adapted(media.file_of(stored), Format("image", "Picture", ("image",), image=JPEG_ONLY))


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("GIF", {"mode": "P", "color": 3})])
def test_a_comment_in_a_picture_stays_behind(here, kind, options):
    plain = made.picture(kind, (400, 300), comment=b"taken at home, 59.33 18.06", **options)
    assert b"taken at home" in plain
    rule = ImageRule(("image/jpeg",), fit=(200, 200))
    copy = media.adapted(media.file_of(store(here, plain)), Format("image", "Picture", ("image",), image=rule))
    assert b"taken at home" not in copy.path.read_bytes()


def test_a_large_transparent_picture_is_laid_on_white_a_few_rows_at_a_time(here, monkeypatch):
    picture = Image.merge("RGBA", [Image.effect_noise((90, 700), 90 + band) for band in range(4)])
    out, at_once, lay = io.BytesIO(), [], Image.alpha_composite
    picture.save(out, "PNG")
    wanted = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    monkeypatch.setattr(Image, "alpha_composite", lambda under, over: at_once.append(over.height) or lay(under, over))
    rule = ImageRule(("image/jpeg",), becomes="image/png", least=(1, 1))
    copy = media.adapted(media.file_of(store(here, out.getvalue())), Format("i", "I", ("image",), image=rule))
    with Image.open(copy.path) as found:
        assert found.convert("RGB").tobytes() == wanted.tobytes()
    assert sum(at_once) == 700 and max(at_once) <= converting.STRIP


def test_sixteen_bits_of_grey_become_eight_a_few_rows_at_a_time(here):
    picture = Image.frombytes("I;16", (3, 600), b"".join((row * 100).to_bytes(2, "little") * 3 for row in range(600)))
    out = io.BytesIO()
    picture.save(out, "PNG")
    rule = ImageRule(("image/jpeg",), becomes="image/png", least=(1, 1))
    copy = media.adapted(media.file_of(store(here, out.getvalue())), Format("i", "I", ("image",), image=rule))
    with Image.open(copy.path) as found:
        assert [found.getpixel((1, row))[0] for row in (0, 255, 256, 599)] == [0, 99, 100, 233]


def test_of_large_pictures_one_is_converted_at_a_time(here, monkeypatch):
    monkeypatch.setattr(converting, "LARGE", 100)
    held = []
    monkeypatch.setattr(converting, "_upright", lambda picture, most: held.append(
        converting._one_by_one.locked()) or Image.new("RGB", (9, 9)))
    assert media.thumbnail(store(here, made.picture("PNG", (60, 40)))) is not None
    assert media.thumbnail(store(here, made.picture("PNG", (9, 9)))) is not None
    assert held == [True, False] and not converting._one_by_one.locked()


# ---------------------------------------------------------------- addresses for platforms


def token_of(file):
    start, _, name = file.public_url.rpartition("/")
    assert start == "http://127.0.0.1:8000/media" and name.isascii()
    return name.rpartition(".")[0]


def test_the_same_delivery_and_file_have_one_unguessable_address_that_no_row_tells(here):
    stored = store(here)
    delivery = delivering(here, stored.id)
    first = media.linked(delivery.id, media.file_of(stored))
    assert media.linked(delivery.id, media.file_of(stored)).public_url == first.public_url
    token = token_of(first)
    assert len(token) >= 43 and first.public_url.endswith(".jpg")
    row = db.session.query(MediaLink).one()
    assert token not in repr(vars(row)) and row.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert media.served(token) == (media.path_of(stored), "image/jpeg")
    assert media.served(token[:-1] + "x") is None and media.served(row.token_hash) is None


def test_the_converted_copy_is_served_where_one_was_made(here):
    stored = store(here, made.picture("PNG"))
    delivery = delivering(here, stored.id)
    plain = media.linked(delivery.id, media.file_of(stored))
    copy = media.linked(delivery.id, media.adapted(
        media.file_of(stored), Format("image", "Picture", ("image",), image=JPEG_ONLY)))
    assert plain.public_url != copy.public_url and copy.public_url.endswith(".jpg")
    assert media.served(token_of(copy)) == (copy.path, "image/jpeg")


@pytest.mark.parametrize("state", [SENT, UNCONFIRMED])
def test_an_address_dies_when_its_delivery_is_followed_no_more(here, state):
    stored = store(here)
    delivery = delivering(here, stored.id, state=state)
    token = token_of(media.linked(delivery.id, media.file_of(stored)))
    with writing():
        delivery.sent_at, delivery.due_at = here.clock(), here.clock()
    assert media.SERVED_FOR == outcomes.FOLLOW_FOR
    here.clock.advance(hours=73)
    assert media.served(token) is not None, "it is still asked for"
    with writing():
        delivery.due_at = None
    assert media.served(token) is None
    with writing():
        delivery.sent_at = here.clock() - media.SERVED_FOR + timedelta(seconds=1)
    assert media.served(token) is not None, "its platform may be slow"
    here.clock.advance(hours=1)
    assert media.served(token) is None
    with writing():
        delivery.due_at = here.clock()  # somebody asked to look once more
    assert media.served(token) is not None


@pytest.mark.parametrize("state", FINAL)
def test_an_address_dies_with_its_delivery(here, state):
    stored = store(here)
    delivery = delivering(here, stored.id)
    token = token_of(media.linked(delivery.id, media.file_of(stored)))
    settle(delivery, state)
    assert media.served(token) is None
    settle(delivery, PROCESSING)  # retried
    assert media.served(token) is not None
    media.path_of(stored).unlink()
    assert media.served(token) is None


# ---------------------------------------------------------------- cleaning up


def test_files_that_no_post_uses_go_after_a_day_with_their_copies(here):
    unused, used = store(here, made.picture("PNG")), store(here)
    media.thumbnail(unused)
    delivering(here, used.id, state=PUBLISHED)
    assert media.tidy(here.clock.advance(hours=23)) == 0
    assert media.tidy(here.clock.advance(hours=2)) == 1
    assert on_disk(here) == [f"{here.bakery.id}/{used.id}"]
    assert [one.id for one in db.session.query(Media)] == [used.id]
    assert media.tidy(here.clock.advance(days=9)) == 0


def test_what_no_row_knows_goes_after_a_day_and_copies_of_kept_files_stay(here):
    used = store(here)
    copy = media.thumbnail(used)
    delivering(here, used.id)
    old = (here.clock() - timedelta(hours=25)).timestamp()
    names = [f"{here.bakery.id}/.part-x", f"{here.bakery.id}/med_gone", f"{here.bakery.id}/variants/med_gone-1.jpg",
             "previews/preview_1", "wsp_gone/med_x"]
    for name in [*names, "previews/preview_new"]:
        path = here.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        if not name.endswith("new"):
            os.utime(path, (old, old))
    assert copy is not None
    for path in (copy, media.path_of(used)):
        os.utime(path, (old, old))
    os.utime(here.folder / "previews/preview_new", (here.clock().timestamp(),) * 2)
    assert media.tidy(here.clock()) == len(names)
    assert on_disk(here) == sorted(["previews/preview_new", *(str(path.relative_to(here.folder))
                                                              for path in (copy, media.path_of(used)))])


@pytest.mark.parametrize("state", [PUBLISHED, FAILED, CANCELLED, MISSED])
def test_addresses_of_settled_deliveries_are_forgotten(here, state):
    stored = store(here)
    delivery = delivering(here, stored.id)
    media.linked(delivery.id, media.file_of(stored))
    assert media.tidy(here.clock()) == 0 and db.session.query(MediaLink).count() == 1
    settle(delivery, state)
    assert media.tidy(here.clock()) == 1 and db.session.query(MediaLink).count() == 0


# ---------------------------------------------------------------- by address


def answering(monkeypatch, status=200, type="image/png", body=b""):
    asked = []

    def get(url, **options):
        asked.append((url, options))
        options["into"].write_bytes(body)
        return guarded.Fetched(url, status, type, path=options["into"])

    monkeypatch.setattr(guarded, "get", get)
    return asked


def test_a_file_by_address_comes_through_the_guarded_door(here, monkeypatch):
    asked = answering(monkeypatch, body=made.picture("PNG"))
    stored = media.from_address(here.bakery, here.alice, "https://pictures.example/a/bun%20one.png?size=l")
    assert (stored.name, stored.type, stored.width) == ("bun one.png", "image/png", 60)
    assert asked[0][1]["most_bytes"] == here.app.extensions["config"].media_max_bytes
    assert on_disk(here) == [f"{here.bakery.id}/{stored.id}"]


@pytest.mark.parametrize(("status", "type", "body", "word"), [
    (404, "text/html", b"", "the server answered 404"), (200, "text/html", b"<html>", "leads to a web page"),
    (200, "image/png", b"<html>", "is a web page")])
def test_an_address_without_a_file_says_what_is_there(here, monkeypatch, status, type, body, word):
    answering(monkeypatch, status, type, body)
    with pytest.raises(media.Refused, match=word):
        media.from_address(here.bakery, here.alice, "https://pictures.example/bun.png")
    assert on_disk(here) == []


def test_an_address_inside_is_refused_without_a_call(here, monkeypatch):
    monkeypatch.setattr(guarded, "_resolve", lambda host, port: ["10.0.0.7"])
    with pytest.raises(media.Refused, match="private network"):
        media.from_address(here.bakery, here.alice, "https://inside.example/bun.png")


# ---------------------------------------------------------------- settings


def test_the_folder_lies_in_the_instance_unless_another_is_named(configured, tmp_path):
    plain = configured()
    assert plain.media_folder == plain.instance_path / "media" and plain.media_max_bytes == 2 * 1024**3
    assert configured(MEDIA_FOLDER=str(tmp_path / "disk")).media_folder == tmp_path / "disk"
    named = configured(MEDIA_FOLDER="files")
    assert named.media_folder == named.instance_path / "files"


def test_own_networks_are_read_and_nonsense_is_said(configured, tmp_path):
    assert configured(ALLOWED_PRIVATE_NETWORKS="10.0.0.0/8, fd00::/8").private_networks == ("10.0.0.0/8", "fd00::/8")
    for wrong in ("10.0.0.1/8", "everything", "10.0.0.0/99"):
        problems = settings.read({"INSTANCE_PATH": str(tmp_path), "ALLOWED_PRIVATE_NETWORKS": wrong}, tmp_path).problems
        assert any(f"ALLOWED_PRIVATE_NETWORKS holds “{wrong}”" in one for one in problems)
    few = settings.read({"INSTANCE_PATH": str(tmp_path), "MEDIA_MAX_BYTES": "12"}, tmp_path).problems
    assert any(one.startswith("MEDIA_MAX_BYTES is “12”") for one in few)
