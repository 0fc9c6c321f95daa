"""How Threads reads a text: its length, its links, its topic, what is hidden in it until somebody taps.

Vendor pages: developers.facebook.com/documentation/threads/overview (an emoji counts as its bytes in UTF-8),
…/documentation/threads/create-posts/spoilers. Emoji: unicode.org/reports/tr51.
"""

import json
import re
from collections.abc import Iterator

from .content import YES, Draft, Problem

MOST_LINKS, LONGEST_TOPIC = 5, 50

# Signs below U+10000 that are shown as emoji by themselves (Emoji_Presentation in Unicode's emoji-data.txt); the
# others, such as a heart or a copyright sign, only with U+FE0F behind them.
_SHOWN = (
    "\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd"
    "\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755"
    "\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55")
_TONE = "[\U0001f3fb-\U0001f3ff]"
_SIGN = f"(?:[\U0001f000-\U0001faff{_SHOWN}]\ufe0f?|[\u00a9\u00ae\u203c-\u3299](?:\ufe0f|(?={_TONE})))"
_TONE_OR_TAG = "[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_EMOJI = re.compile(
    "[0-9#*]\ufe0f?\u20e3"  # a key of a telephone
    f"|{_SIGN}{_TONE_OR_TAG}(?:\u200d(?:{_SIGN}|[\u2600-\u27bf\u2b00-\u2bff]){_TONE_OR_TAG})*")
_LINK = re.compile(r"(?:https?://|(?<![\w@./-])www\.)[^\s<>\"']+", re.IGNORECASE)
_BEHIND = ".,;:!?)]}'’”"


def length(text: str) -> int:
    """Characters, but an emoji as its bytes in UTF-8: a family of three is 18."""
    plain, extra = len(text), 0
    for found in _EMOJI.finditer(text):
        extra += len(found.group().encode()) - len(found.group())
    return plain + extra


def links(draft: Draft) -> set[str]:
    """The different addresses of a post; one that is named twice counts once."""
    found = {one.rstrip(_BEHIND) for one in _LINK.findall(draft.text)}
    return found | ({draft.link} if draft.link else set())


def topic(draft: Draft) -> str:
    """The topic, with or without the # that people type."""
    return draft.options.get("topic_tag", "").strip().removeprefix("#").strip()


def hidden(draft: Draft) -> list[dict[str, int | str]]:
    """Where the words stand that are hidden until somebody taps.

    The page does not say in which units; Meta's sample app counts as JavaScript does, in UTF-16.
    """
    words = draft.options.get("spoiler_text", "").strip()
    first = draft.text.find(words) if words else -1
    if first < 0:
        return []
    return [{"entity_type": "SPOILER", "offset": _units(draft.text[:first]), "length": _units(words)}]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def choices(draft: Draft) -> dict[str, str]:
    """The author's own choices as parameters."""
    options, found = draft.options, {}
    if named := topic(draft):
        found["topic_tag"] = named
    for name in ("reply_control", "location_id"):
        if value := options.get(name, "").strip():
            found[name] = value
    if options.get("is_spoiler_media") == YES:
        found["is_spoiler_media"] = "true"
    if entities := hidden(draft):
        found["text_entities"] = json.dumps(entities, separators=(",", ":"))
    return found


def problems(draft: Draft) -> Iterator[Problem]:
    """Links, topic, place and hidden words that Threads would refuse."""
    if (count := len(links(draft))) > MOST_LINKS:
        yield Problem("text", f"At most five different links per post; these are {count}.")
    named = topic(draft)
    if len(named) > LONGEST_TOPIC or any(sign in named for sign in ".&"):
        yield Problem("topic_tag", f"A topic has 1 to {LONGEST_TOPIC} characters, without points and ampersands.")
    place = draft.options.get("location_id", "").strip()
    if place and not re.fullmatch(r"[0-9]{1,30}", place):
        yield Problem("location_id", "The number of a place has digits only.")
    words = draft.options.get("spoiler_text", "").strip()
    if words and words not in draft.text:
        yield Problem("spoiler_text", "These words do not stand in the text. Copy them from it, letter by letter.")
