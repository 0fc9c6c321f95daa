"""Pictures made to fit a platform: type, size in pixels, size in bytes. The same picture and rule give the same bytes.

What leaves here is upright, in sRGB, on white where it was transparent, and carries no metadata.
"""

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

from . import measuring
from .outside import secret
from .providers.content import IMAGE, File, ImageRule

VERSION = "2"  # of the conversion: raise it when the same picture would come out otherwise
QUALITIES = (90, 84, 78, 72, 66, 60)
SHRINK = 0.85
SMALLEST_SIDE = 32
STRIP = 256  # rows that are turned at once
LARGE = 25_000_000  # pixels; of such pictures a process converts one at a time
_one_by_one = threading.Lock()
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png"}
_ROUGH = (OSError, ValueError, SyntaxError, MemoryError, EOFError, measuring.NotUsable)


class NotFitting(Exception):
    """The picture cannot be made to fit; the message says why."""


def fitted(file: File, rule: ImageRule, folder: Path) -> File:
    """The picture as the rule wants it: itself where it fits, else a copy kept in `folder`. Raises NotFitting."""
    if file.kind != IMAGE:
        return file
    try:
        if not _needs_work(file, rule):
            return file
        target = folder / f"{file.id}-{_digest(file, rule)}.{_ENDINGS[_becomes(rule)]}"
        if not target.exists():
            write(target, _made(file, rule))
        return _described(file, rule, target)
    except _ROUGH:
        raise NotFitting(f"{file.name or 'The picture'} cannot be read any more. Upload it once more.") from None


def thumbnail(path: Path, type: str, side: int) -> bytes:
    """A small JPEG of a picture, the first frame of a moving one. Raises NotFitting."""
    try:
        with path.open("rb") as stream:
            return _jpeg(_flat(measuring.opened(stream, type), (side, side)), 80)
    except _ROUGH:
        raise NotFitting("The picture cannot be read.") from None


def write(target: Path, plain: bytes) -> None:
    """Put a file in place in one step, for its owner alone."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.{secret(6)}"
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(plain)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(target)


def _becomes(rule: ImageRule) -> str:
    return rule.becomes if rule.becomes in _ENDINGS else "image/jpeg"


def _digest(file: File, rule: ImageRule) -> str:
    return hashlib.sha256("|".join((VERSION, file.sha256, repr(rule))).encode()).hexdigest()[:16]


def _needs_work(file: File, rule: ImageRule) -> bool:
    if file.type not in rule.types or file.size > rule.most_bytes or _size(file.width, file.height, rule) is not None:
        return True
    with file.path.open("rb") as stream:
        picture = measuring.opened(stream, file.type)
        return picture.mode == "CMYK" or measuring.orientation(picture) != 1


def _size(width: int, height: int, rule: ImageRule) -> tuple[int, int] | None:
    """The size it has to be scaled down to, or None where it may stay."""
    factor = 1.0
    if rule.fit is not None:
        factor = min(factor, rule.fit[0] / width, rule.fit[1] / height)
    if rule.most_pixels is not None and width * height > rule.most_pixels:
        factor = min(factor, (rule.most_pixels / (width * height)) ** 0.5)
    return (max(1, int(width * factor)), max(1, int(height * factor))) if factor < 1 else None


def _made(file: File, rule: ImageRule) -> bytes:
    with file.path.open("rb") as stream:
        picture = _flat(measuring.opened(stream, file.type), _size(file.width, file.height, rule))
    for plain in _smaller_and_smaller(picture, rule):
        if len(plain) <= rule.most_bytes:
            return plain
    raise NotFitting(f"{file.name or 'The picture'} cannot be made small enough: {rule.most_bytes:,} bytes are "
                     "allowed. Use a simpler picture.")


def _smaller_and_smaller(picture: Image.Image, rule: ImageRule) -> Iterator[bytes]:
    """First falling quality, then falling size, down to what the platform still takes."""
    least = rule.least or (SMALLEST_SIDE, SMALLEST_SIDE)
    while True:
        if _becomes(rule) == "image/png":
            yield _png(picture)
        else:
            yield from (_jpeg(picture, quality) for quality in QUALITIES)
        size = int(picture.width * SHRINK), int(picture.height * SHRINK)
        if size[0] < least[0] or size[1] < least[1]:
            return
        picture = picture.resize(size, Image.Resampling.LANCZOS)


def _flat(picture: Image.Image, most: tuple[int, int] | None) -> Image.Image:
    """Upright, scaled down into a box, in sRGB, without transparency."""
    with _one_by_one if picture.width * picture.height > LARGE else nullcontext():
        plain = _upright(picture, most)
        if most is not None and (plain.width > most[0] or plain.height > most[1]):
            plain = ImageOps.contain(plain, most, Image.Resampling.LANCZOS)
    plain.info = {}  # a comment would be written into the copy
    return plain


def _upright(picture: Image.Image, most: tuple[int, int] | None) -> Image.Image:
    if most is not None:
        # A JPEG is decoded at a half, a quarter or an eighth where that is still large enough: less memory.
        turned = measuring.orientation(picture) in measuring.SIDEWAYS
        picture.draft(picture.mode, (max(most), max(most)) if turned else most)
    ImageOps.exif_transpose(picture, in_place=True)
    return _on_white(_srgb(picture))


def _srgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    try:
        to = "RGBA" if picture.mode == "RGBA" else "RGB"
        turned = ImageCms.profileToProfile(picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                                           ImageCms.createProfile("sRGB"), outputMode=to)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a profile nobody understands is left aside
        return picture
    return turned or picture


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I;16", "I", "F"):  # 16 bits of grey
        picture = _by_strips(picture, "L", _in_eight_bits)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return _by_strips(picture, "RGB", _laid)
    return picture.convert("RGB")


def _in_eight_bits(strip: Image.Image) -> Image.Image:
    return strip.convert("I").point(lambda value: value / 256).convert("L")


def _laid(strip: Image.Image) -> Image.Image:
    seen = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _by_strips(picture: Image.Image, mode: str, turned: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """A picture turned into another mode a few rows at a time: whole copies of a large one would take gigabytes."""
    made = Image.new(mode, picture.size)
    for top in range(0, picture.height, STRIP):
        box = (0, top, picture.width, min(top + STRIP, picture.height))
        made.paste(turned(picture.crop(box)), box)
    return made


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _described(file: File, rule: ImageRule, path: Path) -> File:
    """The converted copy's own facts; what the author said about the picture stays."""
    plain = path.read_bytes()
    with path.open("rb") as stream:
        width, height = measuring.opened(stream, _becomes(rule)).size
    name = f"{Path(file.name).stem or 'picture'}.{_ENDINGS[_becomes(rule)]}"
    return replace(file, type=_becomes(rule), size=len(plain), path=path, name=name, width=width, height=height,
                   sha256=hashlib.sha256(plain).hexdigest(), frames=0)
