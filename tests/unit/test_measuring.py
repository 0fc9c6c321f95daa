"""What a file is follows from its content; what lies, is broken or would fill the memory is refused in words."""

import json
import os
import struct
import subprocess
import sys

import pytest
from PIL import Image

from socialconsole import containers, locations, measuring
from socialconsole.measuring import NotUsable, measure
from tests import made_files as made


@pytest.fixture(autouse=True)
def without_ffprobe(monkeypatch):
    monkeypatch.setattr(containers.shutil, "which", lambda name: None)


@pytest.fixture
def measured(tmp_path):
    def write(plain: bytes, name: str = "holiday.jpg"):
        path = tmp_path / "file"
        path.write_bytes(plain)
        return measure(path, name)

    return write


def refusal(measured, plain, name="holiday.jpg"):
    with pytest.raises(NotUsable) as refused:
        measured(plain, name)
    said = str(refused.value)
    assert said.startswith(name) and said.endswith(".") and "!" not in said
    return said


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize(("kind", "type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"),
                                            ("BMP", "image/bmp"), ("TIFF", "image/tiff")])
def test_a_picture_is_what_its_bytes_say_whatever_its_name(measured, kind, type):
    found = measured(made.picture(kind, (60, 40)), "report.pdf")
    assert (found.kind, found.type, found.width, found.height) == ("image", type, 60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_that_people_see(measured, orientation):
    found = measured(made.picture("JPEG", (60, 40), orientation=orientation))
    assert (found.width, found.height) == ((40, 60) if orientation > 4 else (60, 40))


def test_a_gif_that_moves_is_a_kind_of_its_own(measured):
    found = measured(made.gif(5, (20, 10), 200))
    assert (found.kind, found.frames, found.seconds, found.frame_rate) == ("gif", 5, 1.0, 5.0)
    still = measured(made.gif(1))
    assert (still.kind, still.type, still.frames) == ("image", "image/gif", 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_a_picture_that_is_cut_off_is_refused(measured, kind, part):
    whole = made.picture(kind, (200, 150), color="noise")
    assert "cut off or damaged" in refusal(measured, whole[: max(20, int(len(whole) * part))])


def test_a_moving_gif_that_is_cut_off_is_refused(measured):
    whole = made.gif(6)
    assert "cut off or damaged" in refusal(measured, whole[: len(whole) - 8])


def test_an_empty_file_is_refused(measured):
    assert "is empty (0 bytes)" in refusal(measured, b"")


@pytest.mark.parametrize("size", [(50_000, 50_000), (2_000_000_000, 1), (20_000, 5_001)])
def test_a_header_that_claims_too_many_pixels_is_refused_before_any_are_decoded(measured, monkeypatch, size):
    monkeypatch.setattr(measuring.ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    said = refusal(measured, made.png_header(*size), "bomb.png")
    assert f"is {size[0]:,} × {size[1]:,} pixels, more than the 100 megapixels" in said


def test_a_webp_is_judged_by_its_header_before_its_reader_makes_room(measured, monkeypatch):
    monkeypatch.setitem(measuring.Image.OPEN, "WEBP", (lambda *_: pytest.fail("opened"), None))
    claim = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (16_382).to_bytes(3, "little") * 2
    head = b"RIFF" + struct.pack("<I", 22) + b"WEBP" + claim
    assert "16,383 × 16,383 pixels" in refusal(measured, head)


@pytest.mark.parametrize(("plain", "word"), [
    (b"just some words\n" * 20, "a text file"), (b"<!DOCTYPE html><p>Not found", "a web page (HTML)"),
    (b"\xef\xbb\xbf\n <html><body>", "a web page (HTML)"), (b"<svg xmlns='x'><script/></svg>", "an SVG drawing"),
    (b"<?xml version='1.0'?>\n<svg>", "an SVG drawing"), (b"<?xml version='1.0'?><a/>", "an XML file"),
    (b"MZ\x90\0\3\0", "a program"), (b"\x7fELF\2\1", "a program"), (b"#!/bin/sh\nrm", "a script"),
    (b"#EXTM3U\nfile:///etc/passwd", "a playlist"), (b"ID3\4\0\0", "a sound file"),
    (b"RIFF\0\0\0\0WAVEfmt ", "a sound file"), (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
    (b"\0\1\2\3\4\5\6\7" * 9, "a file of an unknown kind"), (b"%!PS-Adobe", "a PostScript file")])
def test_what_lies_about_itself_is_called_by_its_name(measured, plain, word):
    assert f"is {word}, whatever its name says" in refusal(measured, plain)


@pytest.mark.parametrize(("brand", "word"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF"),
                                             (b"M4A ", "a sound file")])
def test_formats_of_phones_that_no_platform_takes_are_named_with_a_way_out(measured, brand, word):
    assert word in refusal(measured, made.box(b"ftyp", brand, b"\0" * 8) + b"\0" * 50)


# ---------------------------------------------------------------- videos


def test_a_video_is_measured_from_its_boxes(measured):
    found = measured(made.mp4(1280, 720, 10, 30))
    assert (found.kind, found.type, found.width, found.height) == ("video", "video/mp4", 1280, 720)
    assert (found.seconds, found.frame_rate) == (10.0, 30.0)
    assert found.facts == {"codec": "H.264", "sound": "AAC", "starts_at_once": True}


def test_a_video_of_a_phone_held_upright_is_upright(measured):
    found = measured(made.mp4(1920, 1080, 5, 60, brand=b"qt  ", codec=b"hvc1", turned=True, moov_first=False))
    assert (found.type, found.width, found.height) == ("video/quicktime", 1080, 1920)
    assert found.facts["codec"] == "H.265" and found.facts["starts_at_once"] is False


def test_a_truncated_video_is_refused_wherever_it_ends(measured):
    for whole in (made.mp4(), made.mp4(moov_first=False), made.webm()):
        for end in (40, 60, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 1):
            assert "is cut off" in refusal(measured, whole[:end], "film.mp4"), end


def test_sound_without_a_picture_is_no_video(measured):
    assert "holds no video" in refusal(measured, made.mp4(video=False))


def test_a_box_that_contains_itself_or_claims_nonsense_ends_the_walk(measured):
    for size in (0, 3, 7, 2**32 - 1):
        broken = made.box(b"ftyp", b"isom", b"\0" * 8) + struct.pack(">I4s", size, b"moov") + b"\0" * 64
        assert refusal(measured, broken)


def test_a_webm_is_measured_and_what_a_recording_does_not_say_is_said(measured):
    found = measured(made.webm(640, 360, 4.0, 25))
    assert (found.type, found.width, found.height, found.seconds, found.frame_rate) == ("video/webm", 640, 360, 4.0, 25)
    assert found.facts == {"codec": "VP9"}
    live = measured(made.webm(seconds=None, rate=None, endless=True))
    assert (live.width, live.seconds, live.frame_rate) == (640, None, None)
    assert live.facts["unknown"] == ["The length is not known.", "The frames per second are not known."]
    assert measured(made.webm(doctype=b"matroska")).type == "video/x-matroska"


def test_a_transport_stream_is_taken_and_says_that_nothing_is_known(measured):
    found = measured((b"\x47" + b"\0" * 187) * 4)
    assert found.type == "video/mp2t" and len(found.facts["unknown"]) == 3


def test_ffprobe_fills_in_what_is_unknown_and_opens_plain_files_only(measured, monkeypatch):
    told = {"format": {"duration": "7.5"}, "streams": [
        {"codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080, "avg_frame_rate": "30000/1001",
         "side_data_list": [{"rotation": -90}]}, {"codec_type": "audio", "codec_name": "aac"}]}
    asked = []

    def run(command, **options):
        asked.append((command, options))
        return subprocess.CompletedProcess(command, 0, json.dumps(told).encode())

    monkeypatch.setattr(containers.shutil, "which", lambda name: "ffprobe")
    monkeypatch.setattr(containers.subprocess, "run", run)
    found = measured((b"\x47" + b"\0" * 187) * 4)
    assert (found.width, found.height, found.seconds, round(found.frame_rate or 0, 2)) == (1080, 1920, 7.5, 29.97)
    assert found.facts == {"codec": "H.264", "sound": "AAC"}
    command, options = asked[0]
    assert command[command.index("-protocol_whitelist") + 1] == "file" and command[command.index("-f") + 1] == "mpegts"
    assert options["timeout"] and "shell" not in options


def test_an_ffprobe_that_hangs_or_babbles_changes_nothing(measured, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(containers.shutil, "which", lambda name: "ffprobe")
    for run in (hang, lambda command, **_: subprocess.CompletedProcess(command, 1, b"not json"),
                lambda command, **_: subprocess.CompletedProcess(command, 0, b"[]")):
        monkeypatch.setattr(containers.subprocess, "run", run)
        assert measured((b"\x47" + b"\0" * 187) * 4).seconds is None


# ---------------------------------------------------------------- documents


def test_the_pages_of_a_pdf_are_counted(measured):
    found = measured(made.pdf(3), "slides.jpg")
    assert (found.kind, found.type, found.pages) == ("document", "application/pdf", 3)


def test_a_pdf_with_a_password_and_a_broken_one_are_refused_in_words(measured):
    assert "protected by a password" in refusal(measured, made.pdf(1, "secret"), "slides.pdf")
    for broken in (made.pdf(2)[:200], b"%PDF-1.7\n" + b"nonsense " * 40):
        assert "is damaged or cut off" in refusal(measured, broken, "slides.pdf")


def test_a_pdf_that_takes_too_long_ends_with_its_reader(measured, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(measuring.subprocess, "run", hang)
    assert "takes too long to read" in refusal(measured, made.pdf(1), "slides.pdf")


def test_office_files_are_told_apart_by_their_members(measured):
    slides = measured(made.zipped(ppt__slides__slide1_x=b"", ppt__slides__slide2_x=b"", ppt__presentation_x=b""))
    assert (slides.type, slides.pages) == (measuring.PPTX, 2)
    letter = measured(made.zipped(word__document_x=b"", docProps__app_x=b"<Properties><Pages>4</Pages></Properties>"))
    assert (letter.type, letter.pages) == (measuring.DOCX, 4)
    assert measured(made.zipped(word__document_x=b"")).facts == {"unknown": ["The number of pages is not known."]}


def test_archives_and_documents_with_macros_are_refused(measured):
    assert "is an archive (ZIP)" in refusal(measured, made.zipped(a_x=b"1"))
    assert "holds macros" in refusal(measured, made.zipped(word__document_x=b"", word__vbaProject_bin=b"1"))
    assert "cut off or damaged" in refusal(measured, made.zipped(word__document_x=b"x" * 500)[:-30])


def test_a_list_of_members_that_would_fill_the_memory_is_refused(measured):
    whole = bytearray(made.zipped(word__document_x=b""))
    place = whole.rfind(b"PK\x05\x06")
    whole[place + 12 : place + 16] = struct.pack("<I", 2**31)
    assert "cut off or damaged" in refusal(measured, bytes(whole))


def test_old_office_files_are_told_apart_by_their_directory(measured):
    assert measured(made.old_office()).type == "application/msword"
    assert measured(made.old_office("PowerPoint Document")).type == "application/vnd.ms-powerpoint"
    assert "neither a Word nor a PowerPoint" in refusal(measured, made.old_office("Workbook"))
    assert "neither a Word nor a PowerPoint" in refusal(measured, made.old_office()[:100])


# ---------------------------------------------------------------- where it was made


def gps_of(path):
    with measuring.Image.open(path) as image:
        return dict(image.getexif().get_ifd(made.GPS))


@pytest.mark.parametrize(("kind", "type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_the_place_goes_and_orientation_camera_and_pixels_stay(tmp_path, kind, type):
    path, clean = tmp_path / "file", tmp_path / "clean"
    path.write_bytes(made.picture(kind, (40, 30), orientation=6, gps=True, color="noise"))
    assert gps_of(path)
    assert locations.cleaned(path, type, clean)
    assert not gps_of(clean) and measure(clean, "a").width == 30
    with measuring.Image.open(path) as before, measuring.Image.open(clean) as after:
        assert after.getexif()[0x0112] == 6 and after.getexif()[0x010F] == "Camera"
        assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("type", ["JPEG", "PNG", "WEBP"])
def test_a_picture_without_a_place_is_left_alone(tmp_path, type):
    path, clean = tmp_path / "file", tmp_path / "clean"
    path.write_bytes(made.picture(type, orientation=3))
    assert not locations.cleaned(path, f"image/{type.lower()}", clean) and not clean.exists()


def test_other_notes_that_can_hold_a_place_go_too(tmp_path):
    path, clean = tmp_path / "file", tmp_path / "clean"
    note = b"<x:xmpmeta exif:GPSLatitude='59,20N'/>"
    plain = made.picture("JPEG", (30, 20))
    for kind, body in ((b"\xff\xe1", locations.XMP + note), (b"\xff\xed", b"Photoshop 3.0\0 Stockholm")):
        path.write_bytes(plain[:2] + kind + struct.pack(">H", len(body) + 2) + body + plain[2:])
        assert locations.cleaned(path, "image/jpeg", clean) and clean.read_bytes() == plain
    path.write_bytes(made.png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + note))
    assert locations.cleaned(path, "image/png", clean) and clean.read_bytes() == made.picture("PNG", (8, 8))
    path.write_bytes(made.picture("WEBP", xmp=note))
    assert locations.cleaned(path, "image/webp", clean)
    assert note not in clean.read_bytes() and measure(clean, "a").width == 60


@pytest.mark.parametrize("told", [made.place_of_apple, made.place_of_camera])
def test_the_place_of_a_video_is_blanked_and_nothing_moves(tmp_path, told):
    path, clean = tmp_path / "file", tmp_path / "clean"
    path.write_bytes(made.mp4(brand=b"qt  ", extra=told()))
    assert locations.cleaned(path, "video/quicktime", clean)
    before, after = path.read_bytes(), clean.read_bytes()
    assert len(before) == len(after) and b"+59.3293" in before and b"59.3293" not in after
    assert measure(path, "a") == measure(clean, "a")


def test_a_video_without_a_place_is_left_alone(tmp_path):
    path, clean = tmp_path / "file", tmp_path / "clean"
    path.write_bytes(made.mp4(extra=made.box(b"udta", b"\0\0\0\xff" + b"bad!")))
    assert not locations.cleaned(path, "video/mp4", clean) and not clean.exists()


def test_a_jpeg_of_a_thousand_layers_is_not_even_begun(tmp_path):
    whole = made.picture("JPEG", (64, 64))
    at = whole.index(b"\xff\xda")
    path = tmp_path / "slow.jpg"
    path.write_bytes(whole[:at] + b"\xff\xda\x00\x02" * 200 + whole[at:])
    with pytest.raises(NotUsable, match="too many layers"):
        measure(path, "slow.jpg")


def test_an_archive_that_hides_the_length_of_its_list_is_refused(tmp_path):
    path = tmp_path / "odd.docx"
    path.write_bytes(made.zipped(**{"word/document.xml": b"x"}) + b"PK\x06\x07" + bytes(16))
    with pytest.raises(NotUsable):
        measure(path, "odd.docx")


# ---------------------------------------------------------------- what it may cost


def test_a_large_picture_is_read_by_another_process_with_bounds(measured, monkeypatch):
    monkeypatch.setattr(measuring, "LARGE", 1000)
    found = measured(made.picture("JPEG", (60, 40), orientation=6))
    assert (found.type, found.width, found.height, found.facts) == ("image/jpeg", 40, 60, {})
    assert measured(made.picture("PNG", (60, 40))).width == 60 and measured(made.gif(3)).frames == 3
    with pytest.raises(NotUsable, match="cut off or damaged"):
        measured(made.picture("PNG", (60, 40), color="noise")[:-200])
    monkeypatch.setattr(measuring, "LOAD_SECONDS", 0.01)
    with pytest.raises(NotUsable, match="takes too long to read"):
        measured(made.picture("PNG", (60, 40)))


def test_large_pictures_are_read_one_at_a_time_on_this_machine(measured, monkeypatch):
    monkeypatch.setattr(measuring, "LARGE", 1000)
    monkeypatch.setattr(measuring, "PATIENCE", 0.0)
    with measuring._turn(), pytest.raises(NotUsable, match="busy with other large pictures"):
        measured(made.picture("PNG", (60, 40)))
    assert measured(made.picture("PNG", (60, 40))).width == 60


def test_the_process_that_reads_has_no_more_memory_than_it_may(tmp_path):
    path = tmp_path / "bun.png"
    path.write_bytes(made.picture("PNG", (60, 40)))
    program = ("import sys; sys.path.insert(0, sys.argv[2]); import picture_load; picture_load.MEMORY = 300 * 1024**2; "
               "picture_load.load('PNG', sys.argv[1], 10**9); bytearray(400 * 1024**2)")
    done = subprocess.run([sys.executable, "-I", "-c", program, str(path), str(measuring.LOAD_PROGRAM.parent)],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "MemoryError" in done.stderr


@pytest.mark.parametrize("moves", [False, True])
def test_a_large_webp_is_refused_by_its_header_with_a_way_out(measured, monkeypatch, moves):
    monkeypatch.setattr(measuring, "MOST_WEBP_PIXELS", 1000)
    monkeypatch.setattr(Image, "OPEN", {})
    more = {"save_all": True, "append_images": [Image.new("RGB", (60, 40))]} if moves else {}
    with pytest.raises(NotUsable, match="a WebP picture may have.*save it as JPEG"):
        measured(made.picture("WEBP", (60, 40), **more))


def test_the_pictures_of_a_tiff_are_not_counted_one_by_one(measured):
    def directory(after):
        entries = ((256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
                   (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 1))
        return struct.pack("<H", len(entries)) + b"".join(
            struct.pack("<HHII", *one) for one in entries) + struct.pack("<I", after)

    size, first, many = len(directory(0)), 10, 120_000
    plain = b"II*\0" + struct.pack("<I", first) + b"x\0" + b"".join(
        directory(first + size * number if number < many else 0) for number in range(1, many + 1))
    began = sum(os.times()[:4])
    found = measured(plain)
    assert found.facts["unknown"] and sum(os.times()[:4]) - began < 4  # seconds of this process and its children


def test_a_video_of_very_many_parts_is_given_up_after_one_budget_for_all(measured, monkeypatch):
    steps = []
    monkeypatch.setattr(containers, "MOST_STEPS", 300)
    take = containers.Steps.take
    monkeypatch.setattr(containers.Steps, "take", lambda self: steps.append(1) or take(self))
    empty = b"\0\0\0\x08free" * 100
    track = (len(empty) + 8).to_bytes(4, "big") + b"trak" + empty
    movie = b"\0\0\0\x28mvhd" + b"\0" * 32 + track * 100
    with pytest.raises(NotUsable, match="too many parts"):
        measured(b"\0\0\0\x10ftypisom\0\0\0\0" + (len(movie) + 8).to_bytes(4, "big") + b"moov" + movie)
    assert len(steps) == 601


def test_a_webm_of_very_many_parts_is_given_up_after_one_budget_for_all(measured, monkeypatch):
    monkeypatch.setattr(containers, "MOST_STEPS", 300)
    entry = b"\xae\x40\xc8" + b"\xec\x80" * 100
    tracks = b"\x16\x54\xae\x6b" + (0x10000000 | len(entry) * 100).to_bytes(4, "big") + entry * 100
    segment = b"\x18\x53\x80\x67" + (0x10000000 | len(tracks)).to_bytes(4, "big") + tracks
    with pytest.raises(NotUsable, match="too many parts"):
        measured(b"\x1a\x45\xdf\xa3\x80" + segment)


def test_a_place_that_cannot_be_looked_for_everywhere_is_not_kept(tmp_path, monkeypatch):
    path = tmp_path / "film.mp4"
    path.write_bytes(made.mp4())
    monkeypatch.setattr(containers.Steps, "take", lambda self: (_ for _ in ()).throw(containers.TooManyParts("many")))
    with pytest.raises(containers.TooManyParts):
        locations.cleaned(path, "video/mp4", tmp_path / "clean")
