"""What stands behind a link: title, description and picture, for platforms that build no card of their own.

The page belongs to somebody else: whatever it does, a preview comes out, at worst with nothing but the host's name.
"""

import contextlib
import hashlib
import html
import re
import threading
import time
from collections import OrderedDict
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from flask import current_app

from . import converting, guarded, measuring
from .config import Config
from .media import PREVIEWS, folder
from .providers.content import IMAGE, File, Preview

MOST_PAGE = 512 * 1024
MOST_PICTURE = 8 * 1024 * 1024
SECONDS = 15.0
MOST_TAGS, LONGEST_TAG = 60, 16_000
LONGEST_TITLE, LONGEST_DESCRIPTION = 400, 4000
PAGES = ("text/html", "application/xhtml+xml")
# Where a page says it, the best first.
_TITLES = ("og:title", "twitter:title", "title")
_DESCRIPTIONS = ("og:description", "twitter:description", "description")
_PICTURES = ("og:image:secure_url", "og:image:url", "og:image", "twitter:image", "twitter:image:src")
_META = re.compile(r"<meta[\s/]", re.IGNORECASE)
_TITLE = re.compile(r"<title(?:\s[^<>]{0,200})?>([^<]{1,2000})", re.IGNORECASE)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)


def read(address: str, seconds: float = SECONDS) -> Preview | None:
    """What the page at an address says about itself. Never raises for what the other side does. Calls the outside."""
    host = _host(address)
    if not host:
        return None
    until = time.monotonic() + seconds
    try:
        found = _get(address, MOST_PAGE, PAGES, until, cut=True)
    except guarded.Refused:
        return Preview(address, title=host)
    if found.status != 200:
        return Preview(address, title=host)
    told = tags(_text(found))
    picture = _first(told, _PICTURES, guarded.LONGEST_URL)
    return Preview(address, title=_first(told, _TITLES, LONGEST_TITLE) or host,
                   description=_first(told, _DESCRIPTIONS, LONGEST_DESCRIPTION),
                   image=_image(urljoin(found.url, picture), until) if _joins(found.url, picture) else None)


# ---------------------------------------------------------------- while somebody writes

GLANCE_SECONDS = 6.0
KNOWN_FOR, NOTHING_FOR = 600.0, 60.0  # seconds that a card is shown again; that a page without one is left alone
MOST_KNOWN, MOST_AT_ONCE = 500, 4
CARD_SIDE = 640  # pixels
CARD = re.compile(r"preview_[0-9a-f]{32}")
_known: "OrderedDict[str, tuple[float, Preview]]" = OrderedDict()
_guard = threading.Lock()
_readers = threading.BoundedSemaphore(MOST_AT_ONCE)


def known(address: str) -> Preview | None:
    """The card of an address as far as it was read a moment ago. Asks nobody."""
    with _guard:
        found = _known.get(address)
        return found[1] if found is not None and found[0] > time.monotonic() else None


def glance(address: str, seconds: float = GLANCE_SECONDS) -> Preview | None:
    """The card of an address for the author to see, read at most once in a while; None where none can be read now.

    A page that says nothing about itself is remembered too. Calls the outside: never inside a transaction.
    """
    found = known(address)
    if found is not None or len(address) > guarded.LONGEST_URL or not _readers.acquire(blocking=False):
        return found
    try:
        found = read(address, seconds)
    finally:
        _readers.release()
    if found is None:
        return None
    says = found.description or found.image or found.title != _host(address)
    with _guard:
        _known[address] = time.monotonic() + (KNOWN_FOR if says else NOTHING_FOR), found
        _known.move_to_end(address)
        while len(_known) > MOST_KNOWN:
            _known.popitem(last=False)
    return found


def picture(name: str) -> Path | None:
    """A JPEG made here of a card's picture, by the name of its file; None where there is none."""
    place = folder() / PREVIEWS
    if not CARD.fullmatch(name) or not (place / name).is_file():
        return None
    target = place / f"{name}-card.jpg"
    if not target.exists():
        try:
            measured = measuring.measure(place / name, "The picture")
            converting.write(target, converting.thumbnail(place / name, measured.type, CARD_SIDE))
        except (measuring.NotUsable, converting.NotFitting, OSError):
            return None
    return target


# ---------------------------------------------------------------- asking


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def _joins(base: str, picture: str) -> bool:
    try:
        return bool(picture) and urlsplit(urljoin(base, picture)).scheme in ("http", "https")
    except ValueError:
        return False


def _get(address: str, most: int, types: tuple[str, ...], until: float, *, cut: bool = False) -> guarded.Fetched:
    config: Config = current_app.extensions["config"]
    return guarded.get(address, most_bytes=most, types=types, seconds=max(0.1, until - time.monotonic()), cut=cut,
                       networks=config.private_networks, bases=(config.sandbox_url,) if config.sandbox else ())


# ---------------------------------------------------------------- the page


class _Meta(HTMLParser):
    """The attributes of the first tag it is fed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.at: dict[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.at is None:
            self.at = {name: value or "" for name, value in attrs}


def tags(text: str) -> dict[str, str]:
    """What a page says in its head, by name; the first of each name counts.

    Each tag is parsed by itself: over a whole page made to exhaust it, html.parser takes time by the square of its
    length.
    """
    found: dict[str, str] = {}
    for place in islice(_META.finditer(text), MOST_TAGS):
        at = _attributes(text[place.start() : place.start() + LONGEST_TAG])
        name = (at.get("property") or at.get("name") or "").strip().lower()
        if name and at.get("content", "").strip():
            found.setdefault(name, at["content"])
    if title := _TITLE.search(text):
        found["title"] = html.unescape(title[1])
    return found


def _attributes(piece: str) -> dict[str, str]:
    reader = _Meta()
    with contextlib.suppress(AssertionError, ValueError):  # it gives up on a few malformed declarations
        reader.feed(piece)
    return reader.at or {}


def _text(found: guarded.Fetched) -> str:
    told = _CHARSET.search(found.body[:4096])
    for charset in (found.charset, told[1].decode("ascii", "ignore") if told else ""):
        if charset:
            with contextlib.suppress(LookupError, ValueError):  # a name that nobody knows
                return found.body.decode(charset, "replace")
    return found.body.decode("utf-8", "replace")


def _first(told: dict[str, str], names: tuple[str, ...], most: int) -> str:
    """The first that is there, on one line, without signs nobody sees."""
    for name in names:
        plain = "".join(letter if letter.isprintable() else " " for letter in told.get(name, ""))
        words = " ".join(plain.split())
        if words:
            return words if len(words) <= most else words[: most - 1].rstrip() + "…"
    return ""


# ---------------------------------------------------------------- its picture


def _image(address: str, until: float) -> File | None:
    """The page's picture as a file of its own; None where there is none that can be used."""
    try:
        found = _get(address, MOST_PICTURE, tuple(measuring.PICTURES), until)
    except guarded.Refused:
        return None
    return _kept(found.body, address) if found.status == 200 else None


def _kept(plain: bytes, address: str) -> File | None:
    if not measuring.is_picture(plain):  # documents and videos cost more to measure, for nothing
        return None
    digest = hashlib.sha256(plain).hexdigest()
    path = folder() / PREVIEWS / f"preview_{digest[:32]}"
    converting.write(path, plain)  # anew each time: `media.tidy` removes old ones
    try:
        measured = measuring.measure(path, "The picture")
    except measuring.NotUsable:
        path.unlink(missing_ok=True)
        return None
    if measured.kind != IMAGE:
        path.unlink(missing_ok=True)
        return None
    return File(path.name, measured.kind, measured.type, len(plain), path, name=_name(address), sha256=digest,
                width=measured.width, height=measured.height)


def _name(address: str) -> str:
    return Path(urlsplit(address).path).name[:100] or "picture"
