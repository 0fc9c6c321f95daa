"""LinkedIn's little text format: what a reader sees of a commentary, and where LinkedIn cuts it.

learn.microsoft.com, "little Text Format": reserved characters must be escaped with a backslash. A commentary with an
unescaped one is accepted and then silently cut at that place, which is why the sandbox does the same.
"""

import re

RESERVED = "\\|{}@[]()<>#*_~"

_ESCAPED = re.compile(r"\\([" + re.escape(RESERVED) + r"])")
_HASHTAG_TEMPLATE = re.compile(r"\{hashtag\|\\?#\|(\w+)\}")
_HASHTAG = re.compile(r"#(\w+)")
# Inside a link these are letters like others: the vendor's page asks to leave links as they are.
_LINK = re.compile(r"https?://[^\s\\()<>\[\]{}|]+")
_MENTION = re.compile(r"@\[([^\]]+)\]\(urn:li:(?:person|organization):[\w-]+\)")


def shown(commentary: str) -> str:
    """The text that readers see: escapes resolved, cut at the first reserved character left bare."""
    parts: list[str] = []
    place = 0
    while place < len(commentary):
        letter = commentary[place]
        link = _LINK.match(commentary, place)
        if link:
            parts.append(link.group())
            place = link.end()
            continue
        if letter not in RESERVED:
            parts.append(letter)
            place += 1
            continue
        piece = _piece(commentary, place)
        if piece is None:
            break
        text, length = piece
        parts.append(text)
        place += length
    return "".join(parts)


def _piece(commentary: str, place: int) -> tuple[str, int] | None:
    """The visible text at a reserved character and how much of the source it takes; None where LinkedIn cuts."""
    for pattern, before in ((_ESCAPED, ""), (_HASHTAG_TEMPLATE, "#"), (_HASHTAG, "#"), (_MENTION, "")):
        match = pattern.match(commentary, place)
        if match:
            return before + match.group(1), match.end() - place
    return None


def visible_length(commentary: str) -> int:
    """Characters without the escaping backslashes, as the limit of 3,000 counts them here."""
    return len(_ESCAPED.sub(r"\1", commentary))
