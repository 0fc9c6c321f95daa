"""Videos measured by their containers: MP4 and MOV boxes, WebM and Matroska elements. Nothing is decoded.

Where `ffprobe` is installed it fills in what stays unknown here. Every number in a file is a claim: pieces are read at
a bounded size, and all walks through a file together end after a bounded number of steps.
"""

import contextlib
import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

PROBE_SECONDS = 20
MOST_STEPS = 20_000  # of what lies outermost; as many more for all that lies within
_CODECS = {"avc1": "H.264", "avc3": "H.264", "hvc1": "H.265", "hev1": "H.265", "av01": "AV1", "vp09": "VP9",
           "vp08": "VP8", "mp4v": "MPEG-4", "apch": "ProRes", "apcn": "ProRes", "apcs": "ProRes", "mp4a": "AAC",
           "Opus": "Opus", "alac": "ALAC", ".mp3": "MP3", "V_VP8": "VP8", "V_VP9": "VP9", "V_AV1": "AV1",
           "V_MPEG4/ISO/AVC": "H.264", "V_MPEGH/ISO/HEVC": "H.265", "A_OPUS": "Opus", "A_VORBIS": "Vorbis",
           "A_AAC": "AAC", "h264": "H.264", "hevc": "H.265", "av1": "AV1", "vp9": "VP9", "vp8": "VP8", "aac": "AAC",
           "opus": "Opus", "vorbis": "Vorbis", "mp3": "MP3"}
_DEMUXERS = {"video/mp4": "mov", "video/quicktime": "mov", "video/webm": "matroska", "video/x-matroska": "matroska",
             "video/mp2t": "mpegts"}


class CutOff(Exception):
    """The file ends before it should; the message says how that is known."""


class TooManyParts(CutOff):
    """It is made to take for ever."""


class Steps:
    """How many more pieces of one file may be looked at."""

    def __init__(self) -> None:
        self.left = 2 * MOST_STEPS

    def take(self) -> None:
        """One more. Raises TooManyParts when they are used up: an honest file has some hundred."""
        self.left -= 1
        if self.left < 0:
            raise TooManyParts("it consists of too many parts")


class NoVideo(Exception):
    """There is no picture in it."""


@dataclass(frozen=True)
class Found:
    """What a container tells about its video."""

    type: str
    width: int = 0
    height: int = 0
    seconds: float | None = None
    frame_rate: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """What is not known, in words."""
        return [words for known, words in (
            (self.width, "The size of the picture is not known."), (self.seconds, "The length is not known."),
            (self.frame_rate, "The frames per second are not known.")) if not known]


def read(path: Path, type: str) -> Found:
    """The facts of a video. Raises CutOff or NoVideo."""
    if type in ("video/mp4", "video/quicktime"):
        found = _mp4(path, type)
    elif type == "video/webm":
        found = _webm(path)
    else:
        found = Found(type)
    return _with_probe(path, found) if found.missing() or "codec" not in found.facts else found


# ---------------------------------------------------------------- MP4 and MOV


@dataclass(frozen=True)
class Box:
    """One box: its kind, and where its content begins and ends."""

    kind: bytes
    first: int
    last: int


def boxes(stream: BinaryIO, first: int, last: int, steps: Steps) -> Iterator[Box]:
    """The boxes in a range of a file. Raises CutOff where one runs past its end, or all steps are taken."""
    while last - first >= 8:
        steps.take()
        stream.seek(first)
        head = stream.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        begin = first + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), first + 16
        if size == 0:  # to the end of the file
            size = last - first
        if size < begin - first or first + size > last:
            raise CutOff("a part of it runs past its end")
        yield Box(kind, begin, first + size)
        first += size


def inside(stream: BinaryIO, box: Box, steps: Steps, *kinds: bytes) -> Box | None:
    """The first box on a path of kinds below another. Raises CutOff."""
    here: Box | None = box
    for kind in kinds:
        if here is None:
            return None
        here = next((one for one in boxes(stream, here.first, here.last, steps) if one.kind == kind), None)
    return here


def _bytes(stream: BinaryIO, box: Box | None, size: int) -> bytes:
    """The first bytes of a box, at most what it has."""
    if box is None:
        return b""
    stream.seek(box.first)
    return stream.read(min(size, box.last - box.first))


def _mp4(path: Path, type: str) -> Found:
    size = path.stat().st_size
    steps = Steps()
    with path.open("rb") as stream:
        top = _top(stream, size, steps)
        movie = next((box for box in top if box.kind == b"moov"), None)
        if movie is None:
            raise CutOff("its table of contents is missing")
        try:
            return _movie(stream, type, movie, [box.kind for box in top], steps)
        except struct.error:
            raise CutOff("its table of contents ends too early") from None


def _top(stream: BinaryIO, size: int, steps: Steps) -> list[Box]:
    """The outermost boxes, the first ones of a long film in fragments. Raises CutOff.

    Some programs leave a few stray bytes at the very end, which harms nobody.
    """
    found: list[Box] = []
    try:
        for box in islice(boxes(stream, 0, size, steps), MOST_STEPS):
            found.append(box)
    except CutOff:
        stray = size - (found[-1].last if found else 0)
        if stray > 64 or not {b"moov", b"mdat"} <= {box.kind for box in found}:
            raise
    return found


def _movie(stream: BinaryIO, type: str, movie: Box, order: list[bytes], steps: Steps) -> Found:
    scale, length = _clock(_bytes(stream, inside(stream, movie, steps, b"mvhd"), 32))
    facts: dict[str, Any] = {}
    if b"mdat" in order:
        facts["starts_at_once"] = order.index(b"moov") < order.index(b"mdat")
    found: Found | None = None
    for track in [box for box in boxes(stream, movie.first, movie.last, steps) if box.kind == b"trak"]:
        handler = _bytes(stream, inside(stream, track, steps, b"mdia", b"hdlr"), 12)[8:12]
        described = inside(stream, track, steps, b"mdia", b"minf", b"stbl", b"stsd")
        codec = _bytes(stream, described, 16)[12:16].decode("latin-1")
        if handler == b"soun" and codec:
            facts.setdefault("sound", _CODECS.get(codec, codec))
        if handler == b"vide" and found is None:
            facts["codec"] = _CODECS.get(codec, codec)
            found = _track(stream, type, track, steps)
    if found is None:
        raise NoVideo
    return replace(found, seconds=length / scale if scale and length else found.seconds, facts=facts)


def _clock(plain: bytes) -> tuple[int, int]:
    """Time scale and length, of `mvhd` or `mdhd` alike."""
    if plain[:1] == b"\x01":
        scale, length = struct.unpack_from(">IQ", plain, 20)
        return scale, 0 if length == 2**64 - 1 else length
    scale, length = struct.unpack_from(">II", plain, 12)
    return scale, 0 if length == 2**32 - 1 else length


def _track(stream: BinaryIO, type: str, track: Box, steps: Steps) -> Found:
    """Size as shown, that is after turning, and frames per second of one track."""
    header = _bytes(stream, inside(stream, track, steps, b"tkhd"), 96)
    place = 52 if header[:1] == b"\x01" else 40
    matrix = struct.unpack_from(">9i", header, place)
    width, height = (value >> 16 for value in struct.unpack_from(">II", header, place + 36))
    if matrix[0] == 0 and matrix[4] == 0 and matrix[1]:  # turned by a quarter
        width, height = height, width
    scale, length = _clock(_bytes(stream, inside(stream, track, steps, b"mdia", b"mdhd"), 32))
    table = inside(stream, track, steps, b"mdia", b"minf", b"stbl")
    sizes = table and (inside(stream, table, steps, b"stsz") or inside(stream, table, steps, b"stz2"))
    counted = _bytes(stream, sizes, 12)
    frames = int.from_bytes(counted[8:12], "big")
    seconds = length / scale if scale and length else None
    return Found(type, width, height, seconds, frames / seconds if seconds and frames else None)


# ---------------------------------------------------------------- WebM and Matroska
# https://www.rfc-editor.org/rfc/rfc8794 and https://www.rfc-editor.org/rfc/rfc9559

_EBML, _DOCTYPE, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x4282, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_SCALE, _DURATION, _ENTRY, _KIND, _CODEC, _FRAME = 0x2AD7B1, 0x4489, 0xAE, 0x83, 0x86, 0x23E383
_PICTURE, _WIDTH, _HEIGHT = 0xE0, 0xB0, 0xBA


def _webm(path: Path) -> Found:
    size = path.stat().st_size
    steps = Steps()
    with path.open("rb") as stream:
        top = {kind: (first, last) for kind, first, last in _elements(stream, 0, size, steps)}
        if _EBML not in top or _SEGMENT not in top:
            raise CutOff("its beginning is incomplete")
        doctype = _content(stream, _children(stream, top[_EBML], steps).get(_DOCTYPE)).rstrip(b"\0")
        parts = _children(stream, top[_SEGMENT], steps, stop=_CLUSTER)
        info = _children(stream, parts[_INFO], steps) if _INFO in parts else {}
        scale = _number(_content(stream, info.get(_SCALE))) or 1_000_000
        seconds = _float(_content(stream, info.get(_DURATION))) * scale / 1e9
        found = Found("video/webm" if doctype == b"webm" else "video/x-matroska", seconds=seconds or None)
        return _webm_tracks(stream, parts[_TRACKS], found, steps) if _TRACKS in parts else found


def _webm_tracks(stream: BinaryIO, place: tuple[int, int], found: Found, steps: Steps) -> Found:
    facts: dict[str, Any] = {}
    for kind, first, last in _elements(stream, *place, steps):
        if kind != _ENTRY:
            continue
        entry = _children(stream, (first, last), steps)
        codec = _content(stream, entry.get(_CODEC)).decode("latin-1")
        sort = _number(_content(stream, entry.get(_KIND)))
        if sort == 2:
            facts.setdefault("sound", _CODECS.get(codec, codec))
        if sort == 1 and not found.width:
            facts["codec"] = _CODECS.get(codec, codec)
            picture = _children(stream, entry[_PICTURE], steps) if _PICTURE in entry else {}
            each = _number(_content(stream, entry.get(_FRAME)))
            found = replace(found, width=_number(_content(stream, picture.get(_WIDTH))),
                            height=_number(_content(stream, picture.get(_HEIGHT))),
                            frame_rate=1e9 / each if each else None)
    if "codec" not in facts:
        raise NoVideo
    return replace(found, facts=facts)


def _elements(stream: BinaryIO, first: int, last: int, steps: Steps) -> Iterator[tuple[int, int, int]]:
    """Kind and range of each element. Of unknown length, as in a recording: to the end. Raises CutOff."""
    while last - first >= 2:
        steps.take()
        stream.seek(first)
        head = stream.read(12)
        kind_size, kind = _vint(head, keep=True)
        length_size, length = _vint(head[kind_size:], keep=False)
        begin = first + kind_size + length_size
        if length == (1 << 7 * length_size) - 1:
            length = last - begin
        if begin + length > last:
            raise CutOff("a part of it runs past its end")
        yield kind, begin, begin + length
        first = begin + length


def _vint(plain: bytes, *, keep: bool) -> tuple[int, int]:
    """Size and value of a number that tells its own size; an element's kind keeps the marking bit."""
    if not plain or not plain[0]:
        raise CutOff("a part of it has no length")
    size = 9 - plain[0].bit_length()
    if len(plain) < size:
        raise CutOff("a part of it has no length")
    value = int.from_bytes(plain[:size], "big")
    return size, value if keep else value & (1 << 7 * size) - 1


def _children(stream: BinaryIO, place: tuple[int, int], steps: Steps, stop: int = 0) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for kind, first, last in _elements(stream, *place, steps):
        found.setdefault(kind, (first, last))
        if kind == stop:
            break
    return found


def _content(stream: BinaryIO, place: tuple[int, int] | None) -> bytes:
    if place is None:
        return b""
    stream.seek(place[0])
    return stream.read(min(64, place[1] - place[0]))


def _number(plain: bytes) -> int:
    return int.from_bytes(plain, "big")


def _float(plain: bytes) -> float:
    shape = {4: ">f", 8: ">d"}.get(len(plain))
    value = struct.unpack(shape, plain)[0] if shape else 0.0
    return value if 0 < value < 1e15 else 0.0


# ---------------------------------------------------------------- where ffprobe is installed


def _with_probe(path: Path, found: Found) -> Found:
    told = _probe(path, found.type)
    streams = told.get("streams") or []
    picture = next((one for one in streams if one.get("codec_type") == "video"), None)
    if picture is None:
        return found
    sound = next((one for one in streams if one.get("codec_type") == "audio"), None)
    facts = {"codec": _CODECS.get(picture.get("codec_name", ""), picture.get("codec_name", "")), **found.facts}
    if sound is not None:
        facts.setdefault("sound", _CODECS.get(sound.get("codec_name", ""), sound.get("codec_name", "")))
    with contextlib.suppress(ValueError, TypeError, ZeroDivisionError):
        over, under = str(picture.get("avg_frame_rate", "")).split("/")
        found = replace(found, frame_rate=found.frame_rate or float(over) / float(under))
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = replace(found, seconds=found.seconds or float(told["format"]["duration"]))
    if not found.width:
        sideways = any(abs(int(one.get("rotation", 0))) % 180 == 90 for one in picture.get("side_data_list") or [])
        size = int(picture.get("width") or 0), int(picture.get("height") or 0)
        found = replace(found, width=size[sideways], height=size[not sideways])
    return replace(found, facts=facts)


def _probe(path: Path, type: str) -> dict[str, Any]:
    """What ffprobe says; nothing where it is not installed, stumbles or takes too long."""
    program = shutil.which("ffprobe")
    if program is None:
        return {}
    # The reader is named and may open plain files only: a playlist in disguise leads nowhere.
    command = [program, "-v", "quiet", "-protocol_whitelist", "file", "-f", _DEMUXERS[type], "-show_format",
               "-show_streams", "-of", "json", f"file:{path}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS,
                              check=False)
        told = json.loads(done.stdout or b"{}")
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
