"""Takes out of a picture or video where it was made, without touching what it shows.

Cameras write the place into files; a post must not tell it. The pixels are not encoded again: the parts of the file
that can hold a place are cleaned or left out, everything else is copied as it is.
"""

import contextlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from .containers import Box, CutOff, Steps, TooManyParts, boxes, inside

GPS = 0x8825
XMP = b"http://ns.adobe.com/xap/1.0/"
PIECE = 1024 * 1024
DEEPEST = 8  # boxes in boxes
LARGEST_PART = 32 * 1024 * 1024  # of a picture's metadata
_EXIF = b"Exif\0\0"
_DROPPED_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp",
                  b"Raw profile type iptc")
_PICTURES = b"MPF\0"  # a list of further pictures after the end of the first
# In coded data a marker is an FF that is neither stuffed with 00 nor one of those that only count restarts.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_END = 0xD9
_KEYS = (b"location", b"gps")  # what the names of values with a place hold, whoever wrote them
_PLACES = (b"\xa9xyz", b"loci", b"XMP_")  # boxes with a place, of Apple, of 3GPP, of Adobe
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def cleaned(path: Path, type: str, target: Path) -> bool:
    """Write the file without its place to `target`; False where it holds none, and then nothing is written."""
    walk = _WALKS.get(type)
    if walk is None:
        return False
    with path.open("rb") as stream:
        changed = [False]
        with target.open("wb") as out:
            for piece in walk(stream, changed):
                out.write(piece)
    if not changed[0]:
        target.unlink()
    return changed[0]


def _exif(plain: bytes) -> bytes | None:
    """The metadata without the place; None where there was none in it. Unreadable metadata goes altogether."""
    try:
        found = Image.Exif()
        found.load(plain)
        if GPS not in found:
            return None
        del found[GPS]
        return found.tobytes()
    except Exception:  # broken in one of many ways
        return b""


def _rest(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece


# ---------------------------------------------------------------- JPEG


def _jpeg(stream: BinaryIO, changed: list[bool]) -> Iterator[bytes]:
    """Segments and coded data up to the end of the picture. https://www.w3.org/Graphics/JPEG/itu-t81.pdf

    What follows that end goes: further pictures and films that phones put there, each with a place of its own.
    """
    yield stream.read(2)
    while len(mark := stream.read(2)) == 2:
        if mark == b"\xff\xff":  # a filling byte
            stream.seek(-1, 1)
            continue
        if mark[0] != 0xFF or mark[1] == 0xD8 or mark[1] in range(0xD0, 0xD8):
            yield mark
            yield from _rest(stream)  # not a picture as we know it: it stays as it is
            return
        if mark[1] == _END:
            yield mark
            changed[0] = changed[0] or bool(stream.read(1))
            return
        length = stream.read(2)
        plain = stream.read(max(0, int.from_bytes(length, "big") - 2))
        kept = _segment(mark[1], plain)
        changed[0] = changed[0] or kept != plain
        if kept is not None:
            yield mark + (len(kept) + 2).to_bytes(2, "big") + kept
        if mark[1] == 0xDA:
            yield from _coded(stream)


def _coded(stream: BinaryIO) -> Iterator[bytes]:
    """The coded data of one scan; the stream stands at the next marker afterwards, or at its end."""
    left = b""
    while piece := stream.read(PIECE):
        data = left + piece
        if found := _MARKER.search(data):
            yield data[: found.end() - 2]
            stream.seek(found.end() - 2 - len(data), 1)
            return
        # A marker may begin with the last bytes of this piece.
        cut = len(data.rstrip(b"\xff"))
        yield data[:cut]
        left = data[cut:]
    yield left


def _segment(kind: int, plain: bytes) -> bytes | None:
    """A segment as it may stay; None where it goes."""
    if kind == 0xE1 and plain.startswith(XMP[:-1]):  # also its continuations, .../xmp/extension/
        return None
    if kind == 0xE1 and plain.startswith(b"http://ns.adobe.com/xmp/"):
        return None
    if kind == 0xED:  # where photo agencies write the town
        return None
    if kind == 0xE2 and plain.startswith(_PICTURES):
        return None
    if kind == 0xE1 and plain.startswith(_EXIF):
        found = _exif(plain)
        if found is None:
            return plain
        return (found if found.startswith(_EXIF) else _EXIF + found) if found else None
    return plain


# ---------------------------------------------------------------- PNG


def _png(stream: BinaryIO, changed: list[bool]) -> Iterator[bytes]:
    """Chunks one by one. https://www.w3.org/TR/png-3/"""
    yield stream.read(8)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind not in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
            yield head
            yield from _copied(stream, length + 4)
            continue
        plain, check = stream.read(min(length, LARGEST_PART)), stream.read(4)
        kept = _chunk(kind, plain)
        if kept == plain:
            yield head + plain + check
            continue
        changed[0] = True
        if kept:
            yield struct.pack(">I4s", len(kept), kind) + kept + struct.pack(">I", zlib.crc32(kind + kept))


def _chunk(kind: bytes, plain: bytes) -> bytes | None:
    if kind == b"eXIf":
        found = _exif(_EXIF + plain)
        return plain if found is None else found.removeprefix(_EXIF)
    return None if plain.startswith(_DROPPED_TEXTS) else plain


def _copied(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := stream.read(min(PIECE, size))):
        size -= len(piece)
        yield piece


# ---------------------------------------------------------------- WebP


def _webp(stream: BinaryIO, changed: list[bool]) -> Iterator[bytes]:
    """Chunks of RIFF; the file is a picture, so it fits. https://developers.google.com/speed/webp/docs/riff_container"""
    head, out = stream.read(12), []
    left = int.from_bytes(head[4:8], "little") - 4
    while left >= 8 and len(start := stream.read(8)) == 8:
        kind, length = start[:4], int.from_bytes(start[4:8], "little")
        plain = stream.read(min(length, left))
        stream.read(length & 1)
        left -= 8 + length + (length & 1)
        kept: bytes | None = plain
        if kind == b"EXIF":
            found = _exif(plain if plain.startswith(_EXIF) else _EXIF + plain)
            kept = plain if found is None else found.removeprefix(_EXIF) or None
        elif kind == b"XMP ":
            kept = None
        changed[0] = changed[0] or kept != plain
        if kept is not None:
            out.append((kind, kept))
    kinds = {kind for kind, _ in out}
    body = b"".join(_riff(kind, _flags(plain, kinds) if kind == b"VP8X" else plain) for kind, plain in out)
    yield b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def _riff(kind: bytes, plain: bytes) -> bytes:
    return kind + len(plain).to_bytes(4, "little") + plain + b"\0" * (len(plain) & 1)


def _flags(plain: bytes, kinds: set[bytes]) -> bytes:
    """The header that says which chunks follow, for those that are left."""
    gone = (0 if b"XMP " in kinds else 0x04) | (0 if b"EXIF" in kinds else 0x08)
    return bytes([plain[0] & ~gone]) + plain[1:]


# ---------------------------------------------------------------- MP4 and MOV


def _movie(stream: BinaryIO, changed: list[bool]) -> Iterator[bytes]:
    """The file with its places overwritten in place: no part moves, so no table of positions has to be mended."""
    blanks = sorted(_places(stream))
    changed[0] = bool(blanks)
    stream.seek(0)
    for first, plain in blanks if changed[0] else []:
        yield from _copied(stream, first - stream.tell())
        yield plain
        stream.seek(len(plain), 1)
    if changed[0]:
        yield from _rest(stream)


def _places(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Where to write what: places as empty space. Of each kind of box there may be several."""
    size, steps = stream.seek(0, 2), Steps()
    outermost: list[Box] = []
    with _harmless():  # stray bytes at the very end
        for box in boxes(stream, 0, size, steps):
            outermost.append(box)  # noqa: PERF402 - those before a broken one count
    yield from _told(stream, outermost, steps)
    for movie in [box for box in outermost if box.kind == b"moov"]:
        for parent in (movie, *_tracks(stream, movie, steps)):
            yield from _told(stream, boxes(stream, parent.first, parent.last, steps), steps)


def _told(stream: BinaryIO, found: Iterable[Box], steps: Steps, depth: int = 0) -> Iterator[tuple[int, bytes]]:
    """The places in boxes with which a file, a film or a track tells about itself."""
    if depth > DEEPEST:
        raise TooManyParts("its parts lie too deep in one another")
    with _harmless():
        for box in found:
            if box.kind in _PLACES or (box.kind == b"uuid" and _first(stream, box, 16) == _XMP_BOX):
                yield from _blank(box)
            elif box.kind == b"udta":
                yield from _told(stream, boxes(stream, box.first, box.last, steps), steps, depth + 1)
            elif box.kind == b"meta":
                with _harmless():
                    yield from _listed(stream, box, steps)


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    """A broken box beside the video is no reason to refuse it; one whose places cannot all be looked for is."""
    try:
        yield
    except TooManyParts:
        raise
    except CutOff:
        pass


def _tracks(stream: BinaryIO, movie: Box, steps: Steps) -> list[Box]:
    return [box for box in boxes(stream, movie.first, movie.last, steps) if box.kind == b"trak"]


def _blank(box: Box) -> Iterator[tuple[int, bytes]]:
    if box.last - box.first <= LARGEST_PART:
        yield box.first - 4, b"free" + b"\0" * (box.last - box.first)


def _listed(stream: BinaryIO, meta: Box, steps: Steps) -> Iterator[tuple[int, bytes]]:
    """Keys and their values lie in two lists; a value's kind is the number of its key, or the name of a place.

    https://developer.apple.com/documentation/quicktime-file-format/metadata_item_keys_atom
    """
    stream.seek(meta.first + 4)
    # In MP4 four bytes of version and flags come first, in MOV the first box does.
    parent = meta if stream.read(4) == b"hdlr" else Box(meta.kind, meta.first + 4, meta.last)
    keys, values = inside(stream, parent, steps, b"keys"), inside(stream, parent, steps, b"ilst")
    if values is None:
        return
    wanted = set(_PLACES)
    if keys is not None and keys.last - keys.first <= PIECE:
        wanted |= {number.to_bytes(4, "big")
                   for number, key in enumerate(boxes(stream, keys.first + 8, keys.last, steps), 1)
                   if any(word in _first(stream, key, 80).lower() for word in _KEYS)}
    for item in list(boxes(stream, values.first, values.last, steps)):
        if item.kind in wanted:
            for data in list(boxes(stream, item.first, item.last, steps)):
                if data.kind == b"data" and data.last - data.first > 8:
                    yield data.first + 8, b" " * min(data.last - data.first - 8, PIECE)


def _first(stream: BinaryIO, box: Box, size: int) -> bytes:
    """The first bytes of a box."""
    stream.seek(box.first)
    return stream.read(min(size, box.last - box.first))


_WALKS: dict[str, Callable[[BinaryIO, list[bool]], Iterator[bytes]]] = {
    "image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp, "video/mp4": _movie, "video/quicktime": _movie}
TYPES = tuple(_WALKS)  # those from which a place is taken out
