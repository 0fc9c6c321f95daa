"""Recognising a post of ours among those a platform lists, after an answer got lost."""

import html
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

CLOCK_TOLERANCE = timedelta(minutes=5)


def web_links(text: str) -> list[str]:
    """The addresses in a text that begin with http."""
    return re.findall(r"https?://[^\s<>]+", text)


def canonical(text: object, find_links: Callable[[str], list[str]] = web_links) -> str:
    """A text without what platforms change: links (which they shorten), HTML entities, runs of blanks."""
    plain = unicodedata.normalize("NFC", html.unescape(text)) if isinstance(text, str) else ""
    for link in sorted(find_links(plain), key=len, reverse=True):
        plain = plain.replace(link, " ")
    return " ".join(plain.split())


def is_same(theirs: object, ours: str, their_links: tuple[str, ...] = (),
            find_links: Callable[[str], list[str]] = web_links) -> bool:
    """Whether two texts are the same post. A text of nothing but links needs those very links among theirs."""
    wanted = canonical(ours, find_links)
    if canonical(theirs, find_links) != wanted:
        return False
    if wanted:
        return True
    known = {_bare(link) for link in their_links}
    links = find_links(ours)
    return bool(links) and all(_bare(link) in known for link in links)


def _bare(link: str) -> str:
    return re.sub(r"^https?://", "", link).rstrip("/")


def happened_at(stated: object, sent_at: datetime) -> bool:
    """Whether a post's own time fits the moment of sending, allowing for clocks that differ by minutes."""
    if not isinstance(stated, str):
        return False
    try:
        moment = datetime.fromisoformat(stated.replace("Z", "+00:00"))
    except ValueError:
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) >= sent_at - CLOCK_TOLERANCE
