"""Splitting a text into the parts of a reply chain: at paragraphs and sentence ends, between words where it must be.

Never inside what belongs together: a link, a mention, a hashtag, and the signs that are drawn as one letter.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence

_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*")
_LINE = re.compile(r"\n\s*")
# The end of a sentence, with what closes behind it. In scripts that write no blanks the sign itself is enough.
# Nothing is tried twice: a line of points would take time by the square of its length.
_SENTENCE = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s+|[。！？]+[」』”’）]*\s*")
_WORD = re.compile(r"\s+")
_ATOM = re.compile(r"(?:https?://|www\.)[^\s<>\"']+|[@#$][\w.-]*\w", re.IGNORECASE)
# A point behind these ends no sentence: a single letter ("z. B."), a number ("3. Oktober"), a usual abbreviation.
_NO_END = re.compile(r"(?:^|[\s(.])(?:\w|\d+|Dr|Mr|Mrs|Ms|St|Nr|No|Prof|bzw|ca|vs|etc|evtl|ggf|inkl|usw)\.$",
                     re.IGNORECASE)
_JOINS = "\u200d"
_ROOM = 1000  # signs of an endless word to look at first
_ENOUGH = 0.5  # a paragraph's end is taken before a later sentence's end where this share of the room is filled


def split(text: str, fits: Callable[[str], bool], most: int) -> list[str]:
    """The parts of a text, each as long as `fits` allows; at most `most`, the last of which takes all that is left.

    Every part ends at a paragraph or sentence where one lies within reach, else between words, else between letters.
    A link that does not fit anywhere stays whole, in a part of its own. Blanks around parts are dropped, nothing else.
    """
    text = text.replace("\r\n", "\n").strip()
    ends = _ends(text)
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = len(text) if len(parts) + 1 >= most else _reach(text, start, ends, fits)
        parts.append(text[start:end].strip())
        start = end + len(text[end:]) - len(text[end:].lstrip())
    return parts


def _ends(text: str) -> tuple[list[int], list[int], list[int]]:
    """Where a part may end: after paragraphs, after sentences and lines, after words. The end of the text is in all."""
    atoms = [(one.start(), one.end()) for one in _ATOM.finditer(text)]
    paragraphs = {one.end() for one in _PARAGRAPH.finditer(text)}
    sentences = paragraphs | {one.end() for one in _LINE.finditer(text)} | {
        one.end() for one in _SENTENCE.finditer(text) if _is_end(text, one)}
    words = sentences | {one.end() for one in _WORD.finditer(text)}
    first, second, third = (
        [*sorted(one for one in found if one < len(text) and not _inside(one, atoms)), len(text)]
        for found in (paragraphs, sentences, words))
    return first, second, third


def _is_end(text: str, found: re.Match[str]) -> bool:
    after = text[found.end():found.end() + 1]
    before = text[max(0, found.start() - 12):found.start() + 1]
    return not after.islower() and not (found.group().rstrip() == "." and _NO_END.search(before))


def _inside(position: int, spans: Sequence[tuple[int, int]]) -> bool:
    at = bisect_right(spans, (position, 0)) - 1
    return any(start < position < end for start, end in spans[max(0, at):at + 2])


def _reach(text: str, start: int, ends: tuple[list[int], list[int], list[int]], fits: Callable[[str], bool]) -> int:
    """Where the part that begins at `start` ends."""
    paragraphs, sentences, words = ends
    furthest = _furthest(text, start, words, fits)
    if furthest is None:
        return _in_a_word(text, start, words[bisect_right(words, start)], fits)
    if furthest == len(text):
        return furthest
    paragraph, sentence = (_last(one, start, furthest) for one in (paragraphs, sentences))
    if paragraph is not None and paragraph - start >= _ENOUGH * (furthest - start):
        return paragraph
    return sentence or furthest


def _last(ends: Sequence[int], start: int, furthest: int) -> int | None:
    """The last of the ends behind `start` and not behind `furthest`."""
    at = bisect_right(ends, furthest) - 1
    return ends[at] if at >= 0 and ends[at] > start else None


def _furthest(text: str, start: int, ends: Sequence[int], fits: Callable[[str], bool]) -> int | None:
    """The last of the ends up to which the text fits, looked for in growing steps: counting a long text takes long."""
    first = low = bisect_right(ends, start)
    step, high = 1, len(ends)
    while low < high:  # all before `low` fit; what stands at `high` does not
        probe = min(low + step - 1, high - 1)
        if fits(text[start:ends[probe]].strip()):
            low, step = probe + 1, step * 2
        else:
            high, step = probe, max(1, min(step, probe - low) // 2)
    return ends[low - 1] if low > first else None


def _in_a_word(text: str, start: int, end: int, fits: Callable[[str], bool]) -> int:
    """Where a word ends that is longer than a part: between two letters, or behind a link that cannot be cut."""
    atom = _ATOM.match(text, start)
    if atom is not None:
        return max(atom.end(), start + 1)
    later = _ATOM.search(text, start, end)
    border, room = later.start() if later is not None else end, _ROOM
    while True:
        within = min(border, start + room)
        cuts = [start + one for one in letters(text[start:within])]
        if within < border:
            cuts = cuts[:-1] or cuts  # what stands there may go on behind the room
        furthest = _furthest(text, start, cuts, fits) or cuts[0]
        if furthest < cuts[-1] or within == border:
            return furthest
        room *= 2


def letters(text: str) -> list[int]:
    """The positions behind each sign that is drawn as one letter, the end of the text included."""
    found: list[int] = []
    flags = 0  # letters of flags in a row: they go in pairs
    for at in range(1, len(text)):
        flags = flags + 1 if _is_flag(text[at - 1]) else 0
        if not _belongs(text[at - 1], text[at]) and not (flags % 2 and _is_flag(text[at])):
            found.append(at)
    return [*found, len(text)] if text else []


def _belongs(before: str, sign: str) -> bool:
    """Whether a sign is drawn together with the one before it."""
    if sign == _JOINS or before == _JOINS or unicodedata.category(sign) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= sign <= "\U0001f3ff" or "\U000e0020" <= sign <= "\U000e007f":  # skin tones, flags of regions
        return True
    return before == "\r" and sign == "\n" or _is_syllable(before, sign)


def _is_flag(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _is_syllable(before: str, sign: str) -> bool:
    """Whether two signs of Hangul, written as single sounds, are one syllable."""
    return "\u1160" <= sign <= "\u11ff" and ("\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3")
