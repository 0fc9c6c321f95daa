"""Where a picture or video was made is taken out of every part that could tell it, and nothing else changes."""

import io
import struct

import pytest
from PIL import Image

from socialconsole import locations
from socialconsole.containers import TooManyParts
from tests import made_files as made

WHERE = b"+59.3293+018.0686/"
XMP = b"<x:xmpmeta exif:GPSLatitude='59,19.758N'/>"
XMP_KIND = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def cleaned(tmp_path, plain, type):
    """The file without its place, or None where it holds none."""
    source, target = tmp_path / "from", tmp_path / "to"
    source.write_bytes(plain)
    return target.read_bytes() if locations.cleaned(source, type, target) else None


def pixels(plain):
    with Image.open(io.BytesIO(plain)) as image:
        return image.convert("RGB").tobytes()


def deep(depth):
    """Boxes in boxes."""
    plain = made.place_of_camera(WHERE)
    for _ in range(depth):
        plain = made.box(b"udta", plain)
    return plain


# ---------------------------------------------------------------- JPEG


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100}, {"restart_marker_rows": 1}])
def test_what_follows_the_end_of_a_picture_goes(tmp_path, options):
    plain = made.picture("JPEG", (300, 200), color="noise", **options)
    second = made.picture("JPEG", (60, 40), gps=True)  # the picture of the other lens, with a place of its own
    clean = cleaned(tmp_path, plain + second + b"SEFT" + WHERE, "image/jpeg")
    assert clean == plain and cleaned(tmp_path, plain, "image/jpeg") is None


def test_a_list_of_further_pictures_goes_with_them(tmp_path):
    plain = made.picture("JPEG", (60, 40))
    segment = b"\xff\xe2" + struct.pack(">H", 14) + b"MPF\0" + b"II*\0\x08\0\0\0"
    clean = cleaned(tmp_path, plain[:2] + segment + plain[2:], "image/jpeg")
    assert clean == plain


def test_a_marker_across_two_pieces_is_found(tmp_path, monkeypatch):
    plain = made.picture("JPEG", (200, 150), color="noise", progressive=True)
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(locations, "PIECE", size)
        assert cleaned(tmp_path, plain + WHERE, "image/jpeg") == plain


@pytest.mark.parametrize("cut", [10, 300, -2])
def test_a_picture_that_is_cut_off_stays_as_it_is(tmp_path, cut):
    assert cleaned(tmp_path, made.picture("JPEG", (60, 40), color="noise")[:cut], "image/jpeg") is None


def test_place_and_trailer_go_together_and_the_pixels_stay(tmp_path):
    plain = made.picture("JPEG", (120, 80), color="noise", gps=True)
    clean = cleaned(tmp_path, plain + made.mp4(extra=made.place_of_camera(WHERE)), "image/jpeg")
    assert clean is not None and WHERE not in clean and b"ftyp" not in clean and pixels(clean) == pixels(plain)
    with Image.open(io.BytesIO(clean)) as image:
        assert not image.getexif().get_ifd(made.GPS)


# ---------------------------------------------------------------- MP4 and MOV


def apple(name, where=WHERE):
    key = name.encode()
    keys = made.box(b"keys", struct.pack(">II", 0, 1), struct.pack(">I4s", len(key) + 8, b"mdta"), key)
    values = made.box(b"ilst", made.box(struct.pack(">I", 1), made.box(b"data", struct.pack(">II", 1, 0), where)))
    return made.box(b"meta", b"\0\0\0\0", made.box(b"hdlr", b"\0" * 8, b"mdta", b"\0" * 12), keys, values)


def itunes(where=WHERE):
    values = made.box(b"ilst", made.box(b"\xa9xyz", made.box(b"data", struct.pack(">II", 1, 0), where)))
    return made.box(b"meta", b"\0\0\0\0", made.box(b"hdlr", b"\0" * 8, b"mdir", b"\0" * 12), values)


@pytest.mark.parametrize("extra", [
    made.place_of_camera(WHERE), made.place_of_apple(WHERE), apple("com.apple.quicktime.location.ISO6709"),
    apple("com.example.GPS.track"), apple("location-eng"), made.box(b"udta", apple("com.apple.quicktime.location.x")),
    made.box(b"udta", itunes()), made.box(b"udta", b"", made.box(b"name", b"x")) + made.place_of_camera(WHERE),
    itunes() + apple("location"), made.box(b"uuid", XMP_KIND, XMP, WHERE),
    made.box(b"udta", made.box(b"XMP_", XMP, WHERE)),
    made.box(b"udta", made.box(b"loci", b"\0" * 6, WHERE), struct.pack(">I4s", 900, b"brok"))])
def test_every_place_of_a_film_goes_and_no_byte_moves(tmp_path, extra):
    plain = made.mp4(extra=extra)
    for type, brand in (("video/mp4", b"isom"), ("video/quicktime", b"qt  ")):
        film = plain.replace(b"isom", brand)
        clean = cleaned(tmp_path, film, type)
        assert clean is not None and WHERE not in clean and b"GPSLatitude" not in clean and len(clean) == len(film)


@pytest.mark.parametrize("beside", [
    made.box(b"uuid", XMP_KIND, XMP), itunes(), made.box(b"udta", made.box(b"\xa9xyz", b"\0\0\0\0", WHERE))])
def test_a_place_beside_the_film_goes_too(tmp_path, beside):
    clean = cleaned(tmp_path, made.mp4() + beside, "video/mp4")
    assert clean is not None and WHERE not in clean and b"GPSLatitude" not in clean


def test_a_film_without_a_place_stays_as_it_is(tmp_path):
    for extra in (b"", apple("com.apple.quicktime.software", b"17.1"), made.box(b"udta", made.box(b"name", b"Buns"))):
        assert cleaned(tmp_path, made.mp4(extra=extra), "video/mp4") is None


def test_boxes_in_boxes_end(tmp_path):
    clean = cleaned(tmp_path, made.mp4(extra=deep(3)), "video/mp4")
    assert clean is not None and WHERE not in clean
    with pytest.raises(TooManyParts):
        cleaned(tmp_path, made.mp4(extra=deep(3000)), "video/mp4")
