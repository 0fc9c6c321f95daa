"""What LinkedIn takes, and the body of a post.

learn.microsoft.com/linkedin/marketing/community-management/shares: Posts API, Poll Post API, MultiImage Post API,
Images, Videos and Documents API. Sizes in bytes and seconds are what publishing programs quote of the vendor.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from .content import (
    DOCUMENT,
    GIF,
    IMAGE,
    VIDEO,
    DocumentRule,
    Draft,
    Field,
    File,
    Format,
    GifRule,
    ImageRule,
    Look,
    PollRule,
    VideoRule,
)
from .linkedin_portal import MEMBER
from .linkedin_text import escaped

_MEGABYTE = 1024 * 1024
_DAY = 24 * 60
_ALT_TEXT = 1000
_PICTURE = ImageRule(("image/jpeg", "image/png"), 8 * _MEGABYTE, fit=(6000, 6000), most_pixels=36_152_319)
_MOVING = GifRule(8 * _MEGABYTE, fit=(6000, 6000), most_frames=250)
_DOCUMENTS = (
    "application/pdf", "application/msword", "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation")
# The vendor's own names; one program sends ONE_WEEK and TWO_WEEKS instead.
DURATIONS = {_DAY: "ONE_DAY", 3 * _DAY: "THREE_DAYS", 7 * _DAY: "SEVEN_DAYS", 14 * _DAY: "FOURTEEN_DAYS"}

FORMATS = (
    # LinkedIn reads no page by itself: without our title and picture a link would be a bare card.
    Format("link", "Link with a card", needs_link=True, preview=True, image=_PICTURE),
    Format("text", "Text", needs_text=True),
    Format("image", "Picture", (IMAGE,), 1, 1, image=_PICTURE, alt_text=_ALT_TEXT),
    Format("images", "Several pictures", (IMAGE, GIF), 2, 20, mixes=True, image=_PICTURE, gif=_MOVING,
           alt_text=_ALT_TEXT),
    Format("gif", "Moving GIF", (GIF,), 1, 1, gif=_MOVING, alt_text=_ALT_TEXT),
    Format("video", "Video", (VIDEO,), 1, 1, video=VideoRule(
        ("video/mp4",), 500 * _MEGABYTE, 75 * 1024, seconds=(3, 1800), ratio=(1 / 2.4, 2.4))),
    Format("document", "Document", (DOCUMENT,), 1, 1, document=DocumentRule(_DOCUMENTS, 100 * _MEGABYTE, 300),
           note="Readers leaf through its pages."),
    Format("poll", "Poll", poll=PollRule((2, 4), 30, tuple(DURATIONS), question_most=140)),
)

FIELDS = (
    Field("visibility", "Who can see it", "select", (
        ("PUBLIC", "Anyone"), ("CONNECTIONS", "Connections only"), ("LOGGED_IN", "Anyone who is signed in")),
        default="PUBLIC", modes=(MEMBER,)),
    Field("title", "Title", "text", formats=("video", "document"), most=200,
          help="Shown with the file; its name where this stays empty."),
)
LOOK = Look("common observation: about 210 characters in 3 lines in a browser, 140 on a phone", fold=210, lines=3,
            picture=(0.8, 2.4), video=(0.8, 1.91), collage=5, collage_ratio=1.6, cards=("link",), title="title")


def post(author: str, draft: Draft, urn: Callable[[str], str]) -> dict[str, Any]:
    """The body of a post. `urn` gives the platform's name of what was uploaded under a key, empty for nothing."""
    body: dict[str, Any] = {
        "author": author, "commentary": escaped(draft.text),
        "visibility": draft.options.get("visibility") or "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []},
        "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": False,
    }
    content = _content(draft, urn)
    return {**body, "content": content} if content else body


def keys(draft: Draft) -> list[tuple[str, File]]:
    """Every file that has to be uploaded for a draft, under a key that changes when its bytes do."""
    found = [(f"{number}:{file.sha256 or file.id}", file) for number, file in enumerate(draft.files)]
    image = draft.preview.image if draft.format == "link" and draft.preview is not None else None
    return [*found, (f"{THUMBNAIL}{image.sha256 or image.id}", image)] if image is not None else found


THUMBNAIL = "thumbnail:"


def _content(draft: Draft, urn: Callable[[str], str]) -> dict[str, Any]:
    if draft.format == "link":
        return {"article": _article(draft, urn)}
    if draft.poll is not None and draft.format == "poll":
        options = [{"text": one.strip()} for one in draft.poll.options if one.strip()]
        return {"poll": {"question": draft.poll.question, "options": options,
                         "settings": {"duration": DURATIONS[draft.poll.minutes]}}}
    media = [(file, urn(key)) for key, file in keys(draft)]
    if draft.format == "images":
        return {"multiImage": {"images": [_picture(file, name) for file, name in media]}}
    if draft.format in ("image", "gif"):
        return {"media": _picture(*media[0])}
    if draft.format in ("video", "document"):
        file, name = media[0]
        return {"media": {"id": name, "title": _title(draft, file)}}
    return {}


def _picture(file: File, urn: str) -> dict[str, str]:
    return {"id": urn, "altText": file.alt_text} if file.alt_text else {"id": urn}


def _title(draft: Draft, file: File) -> str:
    return draft.options.get("title", "").strip() or file.name or draft.format.capitalize()


def _article(draft: Draft, urn: Callable[[str], str]) -> dict[str, str]:
    """The card of a link; a title always stands in it, since LinkedIn makes none."""
    preview = draft.preview
    title = preview.title.strip() if preview is not None else ""
    described = preview.description.strip() if preview is not None else ""
    thumbnail = next((urn(key) for key, _ in keys(draft) if key.startswith(THUMBNAIL)), "")
    told = {"source": draft.link, "title": title or urlsplit(draft.link).hostname or draft.link,
            "description": described, "thumbnail": thumbnail}
    return {name: value for name, value in told.items() if value}
