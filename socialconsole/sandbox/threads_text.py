"""How Threads measures a text: characters, but emoji as their bytes in UTF-8; and which links it finds in it.

developers.facebook.com/documentation/threads/overview. Written for the sandbox alone, letter by letter, so that it
cannot repeat a mistake of the console's own counter.
"""

import unicodedata

LONGEST = 500
MOST_LINKS = 5

_VARIANT, _JOINER, _KEY = "\ufe0f", "\u200d", "\u20e3"
_ENDS = " \t\r\n<>\"'"
_BEHIND = ".,;:!?)]}'’”"


def text_length(text: str) -> int:
    """The length of a text; up to 500 may be posted."""
    before, behind = "\0" + text, text[1:] + "\0"
    return sum(_weight(*three) for three in zip(text, before, behind, strict=False))


def _weight(letter: str, before: str, behind: str) -> int:
    size = len(letter.encode())
    if _is_picture(letter) or 0xE0020 <= ord(letter) <= 0xE007F or letter == _KEY:
        return size
    if letter == _VARIANT:
        return size
    if letter == _JOINER:
        return size if _is_picture(before) or before == _VARIANT else 1
    if size > 1 and (behind == _VARIANT or _is_tone(behind) or (before == _JOINER and _is_symbol(letter))):
        return size
    return 1


def _is_picture(letter: str) -> bool:
    """A sign that is an emoji by itself: all of the upper planes' pictures, and the wide symbols below them."""
    if not letter:
        return False
    wide = unicodedata.east_asian_width(letter) == "W" and 0x2300 <= ord(letter) <= 0x2BFF
    return wide or 0x1F000 <= ord(letter) <= 0x1FAFF


def _is_symbol(letter: str) -> bool:
    return unicodedata.category(letter) in ("So", "Sm")


def _is_tone(letter: str) -> bool:
    return bool(letter) and 0x1F3FB <= ord(letter) <= 0x1F3FF


def links(text: str) -> set[str]:
    """The different addresses in a text."""
    for end in _ENDS:
        text = text.replace(end, " ")
    words = (word.lstrip("([{") for word in text.split(" "))
    return {word.rstrip(_BEHIND) for word in words if word.lower().startswith(("http://", "https://", "www."))}
