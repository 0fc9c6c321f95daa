"""What readers will see of a post on one platform: the text as far as it is in sight, pictures as they are cut.

Pure: from the parts of a post and the facts on the provider (`Look`) to plain values that a page draws. Lengths of
drawings are in units of their own, WIDE across.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .providers.content import COMMENT, DOCUMENT, VIDEO, Draft, File, Format, Look, Poll
from .text_links import LINK

WIDE, GAP = 1000, 8
UPRIGHT = 9 / 16
STRIP = 5  # pictures in the row below the one that is leafed to first
SAME = 0.02  # shapes nearer than this are alike: encoders round
ENDING = 24  # a cut goes back so far to the end of a word
PLAIN, LINKED, TAG, MENTION = "", "link", "tag", "mention"
_MARKS = re.compile(rf"(?P<link>{LINK.pattern})|(?<![\w&/#])(?P<tag>#\w+)|(?<![\w@./])(?P<mention>@\w(?:[\w.]*\w)?)",
                    re.IGNORECASE)
_AFTER_LINK = ".,;:!?)]}'’”"  # ends the sentence, not the address
_JOINER, _VARIATIONS = "\u200d", "\ufe0e\ufe0f"


@dataclass(frozen=True)
class Run:
    """A stretch of text of one kind: plain, link, tag or mention."""

    text: str
    kind: str = PLAIN


@dataclass(frozen=True)
class Text:
    """A text as far as it is in sight, and how many characters are behind "more"."""

    runs: tuple[Run, ...] = ()
    hidden: int = 0


@dataclass(frozen=True)
class Tile:
    """One file in its place. `cut`: it fills the place and loses what goes beyond; else it is whole, with bars."""

    file: File
    x: int
    y: int
    width: int
    height: int
    cut: bool = True
    more: int = 0  # further files behind this one


@dataclass(frozen=True)
class Gallery:
    """The files of a part as they are laid out, WIDE across. `leafs`: how many there are to leaf through."""

    tiles: tuple[Tile, ...]
    height: int
    leafs: int = 0


@dataclass(frozen=True)
class Shown:
    """One part of a post as its readers see it."""

    text: Text
    title: Text | None = None  # an empty one: still missing
    gallery: Gallery | None = None
    poll: Poll | None = None
    link: str = ""  # becomes a card
    is_comment: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Appearance:
    """A whole post on one platform: its parts in order, the first comment last."""

    platform: str
    format: str  # the platform's word for it; empty: it cannot be shown in any format yet
    parts: tuple[Shown, ...]
    is_upright: bool = False
    is_below: bool = False  # the text stands below the pictures


def appearance(platform: str, look: Look, shown: Format | None, parts: Sequence[Draft],
               count: Callable[[str], int]) -> Appearance:
    """What readers see of these parts in a format. `count`: how the platform counts a text."""
    upright = shown is not None and shown.slug in look.upright
    made = tuple(_part(look, one, count, upright=upright and number == 0) for number, one in enumerate(parts))
    return Appearance(platform, shown.label if shown else "", made, upright, look.is_below)


def _part(look: Look, one: Draft, count: Callable[[str], int], *, upright: bool) -> Shown:
    is_comment = one.format == COMMENT
    gallery = None if is_comment else laid(look, one.files, upright=upright)
    title = one.options.get(look.title, "") if look.title and one.part == 0 else ""
    wants_title = look.title_fold is not None and one.part == 0 and not is_comment
    return Shown(sight(one.text, look.fold, look.lines, count),
                 sight(title, look.title_fold, 1 if look.title_fold else None, len) if title or wants_title else None,
                 gallery, one.poll, one.link if one.format in look.cards else "", is_comment,
                 tuple(cuts(look, one.files, gallery)) if gallery else ())


# ---------------------------------------------------------------- the text


def sight(text: str, fold: int | None, lines: int | None, count: Callable[[str], int]) -> Text:
    """A text as far as it is in sight: `fold` characters as `count` has them, or `lines` lines, whichever ends first.

    No letter with its accents, and no emoji, is cut in two; a word is kept whole where its end is near.
    """
    end = len(text)
    if fold is not None and count(text) > fold:
        end = _longest(text, fold, count)
    if lines is not None:
        end = min(end, _end_of_line(text, lines, max(20, (fold or 80 * lines) // lines)))
    if end >= len(text):
        return Text(tuple(runs(text)))
    end = whole(text, end)
    space = max(text.rfind(" ", max(0, end - ENDING), end), text.rfind("\n", max(0, end - ENDING), end))
    if space > 0 and end < len(text) and not text[end].isspace():
        end = space
    cut = text[:end].rstrip()
    return Text(tuple(runs(cut)), len(text) - len(cut))


def _longest(text: str, fold: int, count: Callable[[str], int]) -> int:
    """The length of the longest start of a text that is not counted as more than `fold`."""
    least, most = 0, min(len(text), 2 * fold + 4096)  # addresses count less than they are long
    while least < most:
        middle = (least + most + 1) // 2
        if count(text[:middle]) <= fold:
            least = middle
        else:
            most = middle - 1
    return least


def _end_of_line(text: str, lines: int, across: int) -> int:
    """Where so many lines end, each at most `across` characters wide."""
    place = 0
    for line in text.split("\n"):
        needs = max(1, math.ceil(len(line) / across))
        if needs > lines:
            return place + lines * across
        lines -= needs
        place += len(line) + 1
        if lines == 0:
            return place - 1
    return len(text)


def whole(text: str, end: int) -> int:
    """The next place at or before `end` where a text may be cut without parting what is seen as one sign."""
    while 0 < end < len(text) and _belongs(text, end):
        end -= 1
    return end


def _belongs(text: str, place: int) -> bool:
    """Whether the character at a place belongs to the one before it."""
    here, before = text[place], text[place - 1]
    if here == _JOINER or before == _JOINER or here in _VARIATIONS or unicodedata.combining(here):
        return True
    if "\U0001f3fb" <= here <= "\U0001f3ff" or "\U000e0020" <= here <= "\U000e007f":  # skin colours, flags of regions
        return True
    if _is_flag(here) and _is_flag(before):  # two letters make one flag
        first = place - 1
        while first > 0 and _is_flag(text[first - 1]):
            first -= 1
        return (place - first) % 2 == 1
    return False


def _is_flag(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def runs(text: str) -> Iterator[Run]:
    """A text in stretches: links, tags and mentions apart from the rest."""
    place = 0
    for found in _MARKS.finditer(text):
        kind = found.lastgroup or PLAIN
        said = found.group().rstrip(_AFTER_LINK) if kind == LINKED else found.group()
        if found.start() > place:
            yield Run(text[place : found.start()])
        yield Run(said, kind)
        place = found.start() + len(said)
    if place < len(text):
        yield Run(text[place:])


# ---------------------------------------------------------------- the files


def laid(look: Look, files: Sequence[File], *, upright: bool = False) -> Gallery | None:
    """How a platform lays out files: one alone, several together, or one after the other to leaf through."""
    if not files:
        return None
    if len(files) > 1 and look.collage > 1 and not upright:
        return _collage(files, look.collage, look.collage_ratio)
    ratio = UPRIGHT if upright else _ratio(look, files[0])
    cut = not upright and files[0].kind not in (VIDEO, DOCUMENT)
    height = round(WIDE / ratio)
    first = Tile(files[0], 0, 0, WIDE, height, cut)
    if len(files) == 1:
        return Gallery((first,), height)
    return _leafed(look, files, first, ratio if upright or look.is_alike else None)


def _ratio(look: Look, file: File) -> float:
    """The shape in which a single file is shown, width by height."""
    if file.kind == DOCUMENT:
        return file.ratio or 4 / 3
    least, most = (look.video if file.kind == VIDEO else look.picture) or (0.1, 10)
    return min(max(file.ratio or (16 / 9 if file.kind == VIDEO else 1), least), most)


def _leafed(look: Look, files: Sequence[File], first: Tile, ratio: float | None) -> Gallery:
    """The first file large, the next ones in a row below it, as they come when one leafs on."""
    width = (WIDE - (STRIP - 1) * GAP) // STRIP
    rest, tiles = files[1 : 1 + STRIP], [first]
    tall = max(round(width / (ratio or _ratio(look, one))) for one in rest)
    for place, one in enumerate(rest):
        height = round(width / (ratio or _ratio(look, one)))
        hidden = len(files) - 1 - STRIP if place == STRIP - 1 else 0
        tiles.append(Tile(one, place * (width + GAP), first.height + GAP, width, height, first.cut, max(0, hidden)))
    return Gallery(tuple(tiles), first.height + GAP + tall, len(files))


# The places of two to five pictures: x, y, width, height as shares of the whole.
_PLACES: dict[int, tuple[tuple[float, float, float, float], ...]] = {
    2: ((0, 0, .5, 1), (.5, 0, .5, 1)),
    3: ((0, 0, .5, 1), (.5, 0, .5, .5), (.5, .5, .5, .5)),
    4: ((0, 0, .5, .5), (.5, 0, .5, .5), (0, .5, .5, .5), (.5, .5, .5, .5)),
    5: ((0, 0, .5, .6), (.5, 0, .5, .6), (0, .6, 1 / 3, .4), (1 / 3, .6, 1 / 3, .4), (2 / 3, .6, 1 / 3, .4)),
}


def _collage(files: Sequence[File], most: int, ratio: float) -> Gallery:
    shown, height = files[: min(most, len(files))], round(WIDE / ratio)
    tiles = []
    for file, (x, y, wide, tall) in zip(shown, _PLACES[len(shown)], strict=True):
        left, top = round(x * WIDE) + (GAP // 2 if x else 0), round(y * height) + (GAP // 2 if y else 0)
        right = round((x + wide) * WIDE) - (GAP // 2 if x + wide < 0.99 else 0)
        bottom = round((y + tall) * height) - (GAP // 2 if y + tall < 0.99 else 0)
        more = len(files) - len(shown) if file is shown[-1] else 0
        tiles.append(Tile(file, left, top, right - left, bottom - top, True, more))
    return Gallery(tuple(tiles), height)


def cuts(look: Look, files: Sequence[File], gallery: Gallery) -> Iterator[str]:
    """What an author should know about the shapes: what is cut off, where empty bars come, what is hidden."""
    sides, ends, bars = list[int](), list[int](), list[int]()
    for number, tile in enumerate(gallery.tiles, 1):
        ratio, place = tile.file.ratio, tile.width / tile.height
        if ratio is None or abs(ratio / place - 1) <= SAME or tile.file.kind == DOCUMENT:
            continue
        (bars if not tile.cut else sides if ratio > place else ends).append(number)
    names = [one.name or f"file {number}" for number, one in enumerate(files, 1)]
    if sides:
        yield f"{_named(sides, names)}: the sides are cut off."
    if ends:
        yield f"{_named(ends, names)}: top and bottom are cut off."
    if bars:
        yield f"{_named(bars, names)}: shown whole, with empty bars beside it."
    if gallery.leafs and look.is_alike and (sides or ends):
        yield "All pictures get the shape of the first one."
    if hidden := gallery.tiles[-1].more:
        yield f"{hidden} more {'is' if hidden == 1 else 'are'} behind the last one that is shown here."


def _named(numbers: Sequence[int], names: Sequence[str]) -> str:
    """`bun.jpg`, or `Pictures 1, 2 and 4` where there are several."""
    if len(numbers) == 1:
        return names[numbers[0] - 1]
    return f"Pictures {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


# ---------------------------------------------------------------- small words


def host(address: str) -> str:
    """The name of the server in an address, as cards show it; empty where it has none."""
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def length(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def open_for(minutes: int) -> str:
    """How long a poll is open: `1 day`, `6 hours`, `5 minutes`."""
    for unit, size in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes % size == 0:
            return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
    return ""
