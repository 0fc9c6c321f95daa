"""What a file really is: its type by its content, its size in pixels, seconds, frames or pages.

A name proves nothing and a header may lie: pixels are refused before they are decoded, everything is read in bounded
pieces.
"""

import contextlib
import fcntl
import io
import re
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from . import containers, picture_load
from .picture_load import orientation

IMAGE, GIF, VIDEO, DOCUMENT = "image", "gif", "video", "document"
MOST_PIXELS = 100_000_000
MOST_WEBP_PIXELS = 25_000_000  # its reader takes sixteen bytes for each
LARGE = 25_000_000  # pixels; such a picture is read by a process of its own, one on this machine at a time
LOAD_SECONDS = 60
PATIENCE = 120.0  # seconds that a large picture waits for its turn
LOAD_PROGRAM = Path(picture_load.__file__)
LARGEST_PICTURE = 256 * 1024 * 1024
LARGEST_DOCUMENT = 320 * 1024 * 1024  # no platform takes more than 100 MB
MOST_SCANS = 100  # of a JPEG; an honest progressive one has about ten
LARGEST_LISTING = 8 * 1024 * 1024  # the list of members at the end of a zip
MOST_FRAMES = 20_000
PDF_SECONDS = 20
PAGES_PROGRAM = Path(__file__).with_name("pdf_pages.py")
HEAD = 4096
SIDEWAYS = (5, 6, 7, 8)  # values of the orientation that swap width and height

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
PICTURES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP", "image/bmp": "BMP",
            "image/tiff": "TIFF"}  # type -> the name Pillow knows it by
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF87a", "image/gif"),
          (b"GIF89a", "image/gif"), (b"II*\x00", "image/tiff"), (b"MM\x00*", "image/tiff"),
          (b"\x1aE\xdf\xa3", "video/webm"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
          (b"PK\x03\x04", "application/zip"))
# What is refused, by its first bytes, and what people call it.
_REFUSED = ((b"MZ", "a program"), (b"\x7fELF", "a program"), (b"\xcf\xfa\xed\xfe", "a program"),
            (b"\xca\xfe\xba\xbe", "a program"), (b"#!", "a script"), (b"ID3", "a sound file"),
            (b"fLaC", "a sound file"), (b"OggS", "a sound file or an Ogg video"), (b"{\\rtf", "an RTF document"),
            (b"Rar!", "an archive"), (b"7z\xbc\xaf", "an archive"), (b"\x1f\x8b", "an archive"),
            (b"8BPS", "a Photoshop file"), (b"%!PS", "a PostScript file"), (b"FLV", "a Flash video"),
            (b"\x00\x00\x01\x00", "an icon"))
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
BROKEN = "is cut off or damaged. Save or export it once more."
_TAKEN = "Use JPEG, PNG, GIF, WebP, MP4, MOV, WebM, PDF, DOCX or PPTX."


class NotUsable(Exception):
    """A file that cannot be used; the message says what it is and what to do."""


@dataclass(frozen=True)
class Measured:
    """What a file is. None or 0: not known, and then `facts["unknown"]` says so in words."""

    kind: str
    type: str
    width: int = 0
    height: int = 0
    seconds: float | None = None
    frame_rate: float | None = None
    frames: int = 0
    pages: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def measure(path: Path, name: str) -> Measured:
    """What the file at `path` is; `name` only serves the sentences. Raises NotUsable."""
    shown = name or "The file"
    size = path.stat().st_size
    if size == 0:
        raise NotUsable(f"{shown} is empty (0 bytes). Choose it again.")
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    found = _type(head, shown)
    if found in PICTURES:
        _not_over(size, LARGEST_PICTURE, shown, "picture")
        return _gif(path, shown) if found == "image/gif" else _picture(path, found, shown)
    if found.startswith("video/"):
        return _video(path, found, shown)
    _not_over(size, LARGEST_DOCUMENT, shown, "document")
    if found == "application/pdf":
        return Measured(DOCUMENT, found, pages=_pdf_pages(path, shown))
    return _zipped(path, shown) if found == "application/zip" else _old_office(path, shown)


def is_picture(plain: bytes) -> bool:
    """Whether this is a picture, by its first bytes; nothing else is looked at."""
    try:
        return _type(plain[:HEAD], "") in PICTURES
    except NotUsable:
        return False


def _not_over(size: int, most: int, shown: str, word: str) -> None:
    if size > most:
        raise NotUsable(f"{shown} has {size // 1024**2:,} MB, which is too much for a {word}. Make it smaller.")


# ---------------------------------------------------------------- the type, by content


def _type(head: bytes, shown: str) -> str:
    for start, found in _MAGIC:
        if head.startswith(start):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and head[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x34\0\0\0", b"\x38\0\0\0", b"\x40\0\0\0",
                                             b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return _brand(head, shown)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "video/quicktime"  # from before files named their brand
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "video/mp2t"
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    raise NotUsable(f"{shown} is {_what(head)}, whatever its name says, and cannot be posted. {_TAKEN}")


def _brand(head: bytes, shown: str) -> str:
    brand = head[8:12]
    if brand in _STILL_BRANDS:
        raise NotUsable(f"{shown} is a HEIC picture, which no platform takes. Export it as JPEG; on an iPhone, "
                        "Settings, Camera, Formats, “Most compatible” makes JPEG from now on.")
    if brand in (b"avif", b"avis"):
        raise NotUsable(f"{shown} is an AVIF picture, which no platform takes. Export it as JPEG.")
    if brand in (b"M4A ", b"M4B ", b"M4P "):
        raise NotUsable(f"{shown} is a sound file, which cannot be posted. {_TAKEN}")
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _what(head: bytes) -> str:
    """What people call a file that is not taken."""
    for start, word in _REFUSED:
        if head.startswith(start):
            return word
    if head[:4] == b"RIFF":
        return {b"WAVE": "a sound file", b"AVI ": "an AVI video"}.get(head[8:12], "a file of an unknown kind")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "a web page (HTML)"
    if text.startswith(b"#extm3u"):
        return "a playlist"
    if text.startswith(b"<?xml"):
        return "an XML file"
    try:
        head[:-4].decode()
    except UnicodeDecodeError:
        return "a file of an unknown kind"
    return "a text file" if b"\0" not in head else "a file of an unknown kind"


# ---------------------------------------------------------------- pictures


def opened(stream: BinaryIO, type: str) -> ImageFile.ImageFile:
    """A picture whose header was read and found bearable; nothing is decoded yet. Raises NotUsable without a name."""
    try:
        if type == "image/webp":
            _bearable(_webp_size(stream.read(30)), MOST_WEBP_PIXELS)  # its reader allocates the canvas at once
            stream.seek(0)
        Image.init()
        # Not `Image.open`: it would try every format there is, and refuse large ones without telling their size.
        picture: ImageFile.ImageFile = Image.OPEN[PICTURES[type]][0](stream, "")
    except NotUsable:
        raise
    except Exception:  # each reader has its own ways to stumble over a broken header
        raise NotUsable(BROKEN) from None
    _bearable(picture.size)
    return picture


def _bearable(size: tuple[int, int], most: int = MOST_PIXELS) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise NotUsable("is damaged: it has no pixels. Save or export it once more.")
    if width * height > most:
        kind = "picture" if most == MOST_PIXELS else "WebP picture"
        raise NotUsable(f"is {width:,} × {height:,} pixels, more than the {most // 1_000_000} megapixels that a "
                        f"{kind} may have. Make it smaller{'' if most == MOST_PIXELS else ', or save it as JPEG'}.")


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height as its first chunk tells. https://developers.google.com/speed/webp/docs/riff_container"""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _picture(path: Path, type: str, shown: str) -> Measured:
    if type == "image/jpeg" and _scans(path) > MOST_SCANS:
        raise NotUsable(f"{shown} is built of too many layers to be read. Save or export it once more.")
    try:
        width, height, held, more = _loaded(path, type)
    except NotUsable as wrong:
        raise NotUsable(f"{shown} {wrong}") from None
    if held in SIDEWAYS:
        width, height = height, width
    facts = {"unknown": ["Only the first picture of this file is used."]} if more and type != "image/jpeg" else {}
    return Measured(IMAGE, type, width, height, facts=facts)


def _loaded(path: Path, type: str) -> tuple[int, int, int, bool]:
    """Width, height, how it was held, whether more pictures follow; read to its end. Raises NotUsable without a name.

    A TIFF may hold lists of any length, so that even its beginning is read elsewhere.
    """
    with path.open("rb") as stream:
        picture = None if type == "image/tiff" else opened(stream, type)
        if picture is None or picture.width * picture.height > LARGE:
            return _loaded_elsewhere(path, type)
        width, height = picture.size
        try:
            held = orientation(picture)
            # A JPEG is read to its end at an eighth of its size: enough to find out whether it is whole.
            picture.draft(picture.mode, (max(1, width // 8), max(1, height // 8)))
            picture.load()
        except Exception:  # as with headers
            raise NotUsable(BROKEN) from None
        # Of a GIF, which is counted by its blocks, and of a JPEG nobody asks.
        more = type not in ("image/gif", "image/jpeg") and int(getattr(picture, "n_frames", 1)) > 1
        return width, height, held, more


def _loaded_elsewhere(path: Path, type: str) -> tuple[int, int, int, bool]:
    """As `_loaded`, by a process with bounds."""
    with _turn():
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(LOAD_PROGRAM), PICTURES[type], str(path), str(MOST_PIXELS)],
                stdin=subprocess.DEVNULL, env={}, capture_output=True, timeout=LOAD_SECONDS, check=False, text=True)
        except subprocess.TimeoutExpired:
            raise NotUsable("takes too long to read. Save or export it once more.") from None
    said = done.stdout.split()
    if done.returncode == 0 and len(said) == 3 and said[0] == "large":
        _bearable((int(said[1]), int(said[2])))
    if done.returncode != 0 or len(said) != 4:
        raise NotUsable(BROKEN)
    width, height, held, more = (int(one) for one in said)
    _bearable((width, height))
    return width, height, held, bool(more)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other process of this machine reads a large picture. Raises NotUsable."""
    until = time.monotonic() + PATIENCE
    with LOAD_PROGRAM.open("rb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise NotUsable("has to wait: the console is busy with other large pictures. Try again in a few "
                                    "minutes.") from None
                time.sleep(0.05)
        yield


def _gif(path: Path, shown: str) -> Measured:
    try:
        with path.open("rb") as stream:
            width, height = opened(stream, "image/gif").size
        _loaded(path, "image/gif")
        with path.open("rb") as stream:
            frames, seconds = _gif_frames(stream)
    except NotUsable as wrong:
        raise NotUsable(f"{shown} {wrong}") from None
    except Exception:  # as with headers
        raise NotUsable(f"{shown} is cut off or damaged. Save or export it once more.") from None
    if frames > MOST_FRAMES:
        raise NotUsable(f"{shown} has more than {MOST_FRAMES:,} frames. Make it shorter.")
    if frames > 1:
        return Measured(GIF, "image/gif", width, height, seconds, frames / seconds if seconds else None, frames)
    return Measured(IMAGE, "image/gif", width, height, frames=frames)


def _gif_frames(stream: BinaryIO) -> tuple[int, float]:
    """Frames and seconds, by its blocks and without decoding. https://www.w3.org/Graphics/GIF/spec-gif89a.txt"""
    flags = stream.read(13)[10]
    stream.seek((3 << (flags & 7) + 1) if flags & 0x80 else 0, io.SEEK_CUR)
    frames, hundredths = 0, 0
    while frames <= MOST_FRAMES:
        block = stream.read(1)
        if block == b"!":
            label = stream.read(1)
            first = _gif_data(stream)
            if label == b"\xf9" and len(first) >= 3:
                hundredths += int.from_bytes(first[1:3], "little") or 10  # browsers show 0 as a tenth of a second
        elif block == b",":
            flags = stream.read(9)[8]
            stream.seek(((3 << (flags & 7) + 1) if flags & 0x80 else 0) + 1, io.SEEK_CUR)
            _gif_data(stream)
            frames += 1
        elif block == b";" or (not block and frames):
            break
        else:
            raise ValueError("not a block")
    return frames, hundredths / 100


def _gif_data(stream: BinaryIO) -> bytes:
    """Skip a chain of pieces; returns the first. IndexError where the file ends within."""
    first = b""
    while size := stream.read(1)[0]:
        piece = stream.read(size)
        if len(piece) < size:
            raise ValueError("cut off")
        first = first or piece
    return first


# ---------------------------------------------------------------- videos


def _video(path: Path, type: str, shown: str) -> Measured:
    try:
        found = containers.read(path, type)
    except containers.CutOff as cut:
        raise NotUsable(f"{shown} is cut off: {cut}. Copy or export it once more.") from None
    except containers.NoVideo:
        raise NotUsable(f"{shown} holds no video, at most sound, and cannot be posted. {_TAKEN}") from None
    facts: dict[str, Any] = dict(found.facts)
    if missing := found.missing():
        facts["unknown"] = missing
    return Measured(VIDEO, found.type, found.width, found.height, found.seconds, found.frame_rate, facts=facts)


# ---------------------------------------------------------------- documents


def _pdf_pages(path: Path, shown: str) -> int:
    broken = NotUsable(f"{shown} is damaged or cut off: its pages cannot be counted. Export the PDF once more.")
    try:
        done = subprocess.run([sys.executable, "-I", str(PAGES_PROGRAM), str(path)], stdin=subprocess.DEVNULL, env={},
                              capture_output=True, timeout=PDF_SECONDS, check=False, text=True)
    except subprocess.TimeoutExpired:
        raise NotUsable(f"{shown} takes too long to read. Export the PDF once more, without forms or layers.") from None
    said = done.stdout.strip()
    if done.returncode == 0 and said == "encrypted":
        raise NotUsable(f"{shown} is protected by a password. Save the PDF without protection.")
    if done.returncode != 0 or not said.isdigit() or said == "0":
        raise broken
    return int(said)


def _zipped(path: Path, shown: str) -> Measured:
    """A DOCX or PPTX by the names of its members; nothing is unpacked but one small one."""
    try:
        _check_listing(path)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.lower().endswith("vbaproject.bin") for name in names):
                raise NotUsable(f"{shown} holds macros. Save it as DOCX or PPTX, without them, or as PDF.")
            if any(name.startswith("ppt/") for name in names):
                pages = sum(bool(re.fullmatch(r"ppt/slides/slide\d+\.xml", name)) for name in names)
                return Measured(DOCUMENT, PPTX, pages=pages, facts={} if pages else _no_pages())
            if any(name.startswith("word/") for name in names):
                pages = _told_pages(archive)
                return Measured(DOCUMENT, DOCX, pages=pages, facts={} if pages else _no_pages())
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError):
        raise NotUsable(f"{shown} is cut off or damaged. Save or export it once more.") from None
    raise NotUsable(f"{shown} is an archive (ZIP), and cannot be posted. {_TAKEN}")


def _check_listing(path: Path) -> None:
    """Refuse a list of members that would fill the memory. ValueError."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 65_557))
        end = stream.read()
    place = end.rfind(b"PK\x05\x06")
    if b"PK\x06\x07" in end:  # a second kind of list, whose length the first one need not tell
        raise ValueError("a list of members of another kind")
    if place < 0 or len(end) < place + 16 or int.from_bytes(end[place + 12 : place + 16], "little") > LARGEST_LISTING:
        raise ValueError("no list of members, or too long a one")


def _scans(path: Path) -> int:
    """How many passes a JPEG takes to be drawn; each costs as much as the whole picture."""
    found, before = 0, b""
    with path.open("rb") as stream:
        while piece := stream.read(1024 * 1024):
            found += (before + piece).count(b"\xff\xda")
            before = piece[-1:]
    return found


def _told_pages(archive: zipfile.ZipFile) -> int:
    try:
        # zipfile does not bound what the other methods unpack to in one step.
        if archive.getinfo("docProps/app.xml").compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return 0
        with archive.open("docProps/app.xml") as member:
            told = re.search(rb"<Pages>(\d{1,5})</Pages>", member.read(65_536))
    except (KeyError, RuntimeError, zipfile.BadZipFile):
        return 0
    return int(told[1]) if told else 0


def _old_office(path: Path, shown: str) -> Measured:
    """A DOC or PPT by the names in its directory.

    https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-cfb/
    """
    with contextlib.suppress(struct.error, ValueError, OSError, IndexError):
        names = _directory(path)
        if "WordDocument" in names:
            return Measured(DOCUMENT, "application/msword", facts=_no_pages())
        if "PowerPoint Document" in names:
            return Measured(DOCUMENT, "application/vnd.ms-powerpoint", facts=_no_pages())
    raise NotUsable(f"{shown} is neither a Word nor a PowerPoint document, and cannot be posted. {_TAKEN}")


def _directory(path: Path) -> set[str]:
    with path.open("rb") as stream:
        head = stream.read(512)
        shift = struct.unpack_from("<H", head, 30)[0]
        if shift not in (9, 12):
            raise ValueError("no such sector size")
        size, sector = 1 << shift, struct.unpack_from("<I", head, 48)[0]
        tables = struct.unpack_from("<109I", head, 76)
        names: set[str] = set()
        for _ in range(1000):
            stream.seek((sector + 1) * size)
            entries = stream.read(size)
            for first in range(0, len(entries) - 127, 128):
                length = struct.unpack_from("<H", entries, first + 64)[0]
                names.add(entries[first : first + max(0, min(length, 64) - 2)].decode("utf-16-le", "replace"))
            stream.seek((tables[sector // (size // 4)] + 1) * size + sector % (size // 4) * 4)
            sector = struct.unpack("<I", stream.read(4))[0]
            if sector >= 0xFFFFFFFA:  # the end of the chain
                break
        return names


def _no_pages() -> dict[str, Any]:
    return {"unknown": ["The number of pages is not known."]}
