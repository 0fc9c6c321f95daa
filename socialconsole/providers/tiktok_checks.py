"""What TikTok, or its audit of the app, does not allow: said before anything is sent.

developers.tiktok.com/doc/content-sharing-guidelines: the two sentences on branded content and disclosure are theirs.
"""

from collections.abc import Iterator

from .content import YES, Draft, Problem
from .tiktok_media import is_ticked, units
from .tiktok_portal import LEVELS, MOST_TITLE, ONLY_ME, PHOTOS_DIRECT, VIDEO_DIRECT


def problems(draft: Draft) -> list[Problem]:
    """Everything beyond the facts of formats and fields."""
    found = list(_numbers(draft))
    if draft.format in (VIDEO_DIRECT, PHOTOS_DIRECT):
        found += [*_agreement(draft), *_disclosure(draft)]
    return found


def _agreement(draft: Draft) -> Iterator[Problem]:
    """A tick is the word yes; the level is one that exists, whether or not the creator could be asked."""
    level = draft.options.get("privacy_level", "")
    if level and level not in LEVELS:
        yield Problem("privacy_level", f"TikTok knows {', '.join(LEVELS)}. Choose one of them.")
    if draft.options.get("consent", YES) not in ("", YES):
        yield Problem("consent", "Agree to TikTok's Music Usage Confirmation to post this.")


def _disclosure(draft: Draft) -> Iterator[Problem]:
    own, branded = is_ticked(draft, "your_brand"), is_ticked(draft, "branded_content")
    if is_ticked(draft, "disclosure") and not own and not branded:
        yield Problem("disclosure", "You need to indicate if your content promotes yourself, a third party, or both.")
    if not is_ticked(draft, "disclosure") and (own or branded):
        yield Problem("disclosure", "Tick this too, since the content promotes somebody.")
    if branded and draft.options.get("privacy_level") == ONLY_ME:
        yield Problem("branded_content", "Branded content visibility cannot be set to private.")


def _numbers(draft: Draft) -> Iterator[Problem]:
    over = units(draft.options.get("title", "").strip()) - MOST_TITLE
    if over > 0:
        yield Problem("title", f"Title: {over} character{'' if over == 1 else 's'} too many for TikTok.")
    cover, count = draft.options.get("cover", "").strip(), len(draft.files)
    if cover and not (_is_number(cover) and 1 <= int(cover) <= count):
        yield Problem("cover", f"Give the number of a photo, from 1 to {count}.")
    moment = draft.options.get("video_cover_timestamp_ms", "").strip()
    seconds = draft.files[0].seconds if draft.files else None
    if moment and not (_is_number(moment) and (seconds is None or int(moment) <= seconds * 1000)):
        yield Problem("video_cover_timestamp_ms", "Give a whole number of milliseconds within the video.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
