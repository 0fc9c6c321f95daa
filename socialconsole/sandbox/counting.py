"""How X measures a post (docs.x.com/fundamentals/counting-characters): weighted characters, links as 23.

Written for the sandbox alone, so that it cannot repeat a mistake of the console's own counter.
"""

import re
import unicodedata

LIMIT = 280
LINK_LENGTH = 23

# Weight 1; everything outside weighs 2.
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))

_ENDINGS = "com|org|net|edu|gov|io|co|dev|app|info|biz|shop|news|de|fr|uk|eu|se|pt|es|it|nl|us|ca|jp|me|ly"
_LINK = re.compile(
    r"https?://[^\s<>\"]+|(?<![\w@./-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:" + _ENDINGS + r")(?![\w@-])"
    r"(?:/[^\s<>\"]*)?",
    re.IGNORECASE,
)
_TAIL = ".,;:!?'\")]}"

_SYMBOLS = "\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3030\u303d\u3297\u3299\u00a9\u00ae"
_PICTURE = f"[\U0001f000-\U0001faff{_SYMBOLS}]"
_TONE = "[\U0001f3fb-\U0001f3ff]"
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"
    "|[0-9#*]\ufe0f?\u20e3"
    f"|{_PICTURE}(?:\ufe0f|{_TONE})?(?:[\U000e0020-\U000e007f]+)?(?:\u200d{_PICTURE}(?:\ufe0f|{_TONE})?)+"
    f"|{_PICTURE}(?:{_TONE}|\ufe0f)(?:[\U000e0020-\U000e007f]+)?"
    f"|{_PICTURE}[\U000e0020-\U000e007f]+"
    "|[\U0001f000-\U0001faff]"
)


# Endings that no registry hands out (RFC 2606, RFC 6761): X links only real ones, with https:// before it or not.
_NO_ENDINGS = ("example", "test", "invalid", "localhost", "local", "internal")


def links(text: str) -> list[str]:
    """The links X would find in a text, without the punctuation that follows them."""
    found = (_trimmed(match.group()) for match in _LINK.finditer(text))
    return [link for link in found if _can_exist(link)]


def _trimmed(link: str) -> str:
    while link and link[-1] in _TAIL:
        if link[-1] == ")" and link.count("(") >= link.count(")"):
            break  # a closing bracket belongs to the link that opened it
        link = link[:-1]
    return link


def _can_exist(link: str) -> bool:
    host = re.split(r"[/:?#]", link.partition("://")[2] or link, maxsplit=1)[0]
    name, dot, ending = host.rpartition(".")
    return bool(name and dot) and ending.isalpha() and len(ending) > 1 and ending.lower() not in _NO_ENDINGS


def weighted_length(text: str) -> int:
    """The length of a text as X counts it; up to 280 may be posted."""
    text = unicodedata.normalize("NFC", text)
    total = 0
    for link in links(text):
        total += LINK_LENGTH
        text = text.replace(link, "", 1)
    text, emoji = _EMOJI.subn("", text)
    return total + 2 * emoji + sum(_weight(ord(letter)) for letter in text)


def _weight(point: int) -> int:
    return 1 if any(first <= point <= last for first, last in _LIGHT) else 2
