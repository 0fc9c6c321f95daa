"""Pictures, videos and documents of exactly known facts, made from nothing: no file of others lies in this tree."""

import io
import random
import struct
import zipfile
import zlib

from PIL import Image
from pypdf import PdfWriter

GPS = 0x8825


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 40), *, mode: str = "RGB", color: object = (200, 80, 40),
            orientation: int = 1, gps: bool = False, **options: object) -> bytes:
    """A picture of one colour, or with `color="noise"` one that packs badly."""
    if color == "noise":
        image = Image.frombytes("L", size, random.Random(7).randbytes(size[0] * size[1])).convert(mode)
    else:
        image = Image.new(mode, size, color)  # type: ignore[arg-type]
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    if gps:
        exif[0x010F] = "Camera"
        exif.get_ifd(GPS).update({1: "N", 2: (59.0, 20.0, 0.0), 3: "E", 4: (18.0, 3.0, 0.0)})
    out = io.BytesIO()
    image.save(out, kind, **({"exif": exif} if len(exif) or gps else {}), **options)
    return out.getvalue()


def gif(frames: int = 3, size: tuple[int, int] = (20, 10), milliseconds: int = 100) -> bytes:
    """A GIF whose frames differ."""
    images = [Image.new("P", size, number % 250) for number in range(frames)]
    out = io.BytesIO()
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=milliseconds, optimize=False)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, plain: bytes) -> bytes:
    return struct.pack(">I4s", len(plain), kind) + plain + struct.pack(">I", zlib.crc32(kind + plain))


def png_with(kind: bytes, plain: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    """A PNG with one more chunk, right after its header."""
    whole = picture("PNG", size)
    return whole[:33] + _chunk(kind, plain) + whole[33:]


# ---------------------------------------------------------------- MP4


def box(kind: bytes, *parts: bytes) -> bytes:
    """One box of an MP4."""
    plain = b"".join(parts)
    return struct.pack(">I4s", len(plain) + 8, kind) + plain


TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 0x40000000)
STRAIGHT = (65536, 0, 0, 0, 65536, 0, 0, 0, 0x40000000)


def mp4(width: int = 1280, height: int = 720, seconds: float = 10, rate: float = 30, *, brand: bytes = b"isom",
        codec: bytes = b"avc1", turned: bool = False, moov_first: bool = True, sound: bool = True, video: bool = True,
        extra: bytes = b"", payload: int = 2000) -> bytes:
    """An MP4 (with brand `qt  ` a MOV) with the tables of a real one; `extra` goes to the end of `moov`."""
    length = int(seconds * 1000)
    header = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, length), b"\0" * 80)
    tracks = (_track(b"vide", codec, length, int(seconds * rate), width, height, turned) if video else b"") + \
        (_track(b"soun", b"mp4a", length, 400, 0, 0, False) if sound else b"")
    movie, data = box(b"moov", header, tracks, extra), box(b"mdat", b"\x2a" * payload)
    return box(b"ftyp", brand, b"\0\0\2\0", brand) + (movie + data if moov_first else data + movie)


def _track(handler: bytes, codec: bytes, length: int, frames: int, width: int, height: int, turned: bool) -> bytes:
    matrix = struct.pack(">9i", *(TURNED if turned else STRAIGHT))
    header = box(b"tkhd", struct.pack(">IIIIII", 7, 0, 0, 1, 0, length), b"\0" * 16, matrix,
                 struct.pack(">II", width << 16, height << 16))
    table = box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), box(codec, b"\0" * 78)),
                box(b"stts", struct.pack(">IIII", 0, 1, frames, 1)), box(b"stsz", struct.pack(">III", 0, 4, frames)))
    media = box(b"mdia", box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, 1000, length), b"\0" * 4),
                box(b"hdlr", b"\0" * 8, handler, b"\0" * 12), box(b"minf", table))
    return box(b"trak", header, media)


def place_of_apple(where: bytes = b"+59.3293+018.0686/") -> bytes:
    """Where a phone writes the place of a video."""
    key = b"com.apple.quicktime.location.ISO6709"
    keys = box(b"keys", struct.pack(">II", 0, 1), struct.pack(">I4s", len(key) + 8, b"mdta"), key)
    values = box(b"ilst", box(struct.pack(">I", 1), box(b"data", struct.pack(">II", 1, 0), where)))
    return box(b"meta", box(b"hdlr", b"\0" * 8, b"mdta", b"\0" * 12), keys, values)


def place_of_camera(where: bytes = b"+59.3293+018.0686/") -> bytes:
    """Where other cameras write it."""
    return box(b"udta", box(b"\xa9xyz", struct.pack(">HH", len(where), 0x15C7), where), b"\0\0\0\0")


# ---------------------------------------------------------------- WebM


def element(kind: int, plain: bytes, *, endless: bool = False) -> bytes:
    """One element of a WebM."""
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return name + (b"\x01" + b"\xff" * 7 if endless else b"\x08" + len(plain).to_bytes(4, "big")) + plain


def webm(width: int = 640, height: int = 360, seconds: float | None = 4.0, rate: float | None = 25,
         doctype: bytes = b"webm", *, endless: bool = False) -> bytes:
    """A WebM; a recording of a browser is `endless` and has neither length nor rate."""
    info = element(0x2AD7B1, (1_000_000).to_bytes(4, "big"))
    if seconds is not None:
        info += element(0x4489, struct.pack(">d", seconds * 1000))
    entry = element(0x83, b"\x01") + element(0x86, b"V_VP9") + element(
        0xE0, element(0xB0, width.to_bytes(2, "big")) + element(0xBA, height.to_bytes(2, "big")))
    if rate is not None:
        entry += element(0x23E383, int(1e9 / rate).to_bytes(4, "big"))
    parts = element(0x1549A966, info) + element(0x1654AE6B, element(0xAE, entry)) + element(0x1F43B675, b"\0" * 500)
    return element(0x1A45DFA3, element(0x4282, doctype)) + element(0x18538067, parts, endless=endless)


# ---------------------------------------------------------------- documents


def pdf(pages: int = 3, password: str = "") -> bytes:
    """A PDF of empty pages."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 300)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def zipped(**members: bytes) -> bytes:
    """A zip; `__` in a name stands for a slash, `_x` for its ending."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, plain in members.items():
            archive.writestr(name.replace("__", "/").replace("_x", ".xml").replace("_bin", ".bin"), plain)
    return out.getvalue()


def old_office(stream: str = "WordDocument") -> bytes:
    """A DOC or PPT with nothing but its directory."""
    head = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504)
    struct.pack_into("<H", head, 30, 9)
    struct.pack_into("<I", head, 48, 1)
    struct.pack_into("<109I", head, 76, 0, *[0xFFFFFFFF] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, 2, 0xFFFFFFFE, *[0xFFFFFFFF] * 125)
    names = ["Root Entry", "1Table", "x", "y", stream, "z", "", ""]
    entries = b"".join((name + "\0").encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(name) + 2)
                       + b"\0" * 62 for name in names)
    return bytes(head) + table + entries
