"""What YouTube would refuse, often only after a long upload: said before anything is sent."""

from .content import VIDEO, Draft, File
from .youtube_media import instant, tags_of
from .youtube_portal import SHORT_SECONDS

Found = list[tuple[str, str]]  # field and sentence


def faults(draft: Draft) -> Found:
    """Everything beyond lengths and choices, which the facts tell."""
    return [*_angles(draft), *_tags(draft), *_time(draft), *_thumbnail(draft), *_shape(draft)]


def _angles(draft: Draft) -> Found:
    def sentence(where: str) -> str:
        return f"YouTube takes no < or > in {where}. Take them out."
    return [(field, sentence(where)) for field, where, text in (
        ("text", "a description", draft.text), ("title", "a title", draft.options.get("title", "")))
        if "<" in text or ">" in text]


def _tags(draft: Draft) -> Found:
    """Commas count, and a tag with a blank counts two more for its quotation marks (videos resource, snippet.tags)."""
    tags = tags_of(draft.options.get("tags", ""))
    over = sum(len(tag) + (2 if " " in tag else 0) for tag in tags) + max(len(tags) - 1, 0) - 500
    if over <= 0:
        return []
    return [("tags", f"Tags: {over} character{'' if over == 1 else 's'} too many for YouTube, which takes 500 in "
                     "all.")]


def _time(draft: Draft) -> Found:
    text = draft.options.get("publish_at", "")
    if not text:
        return []
    if instant(text) is None:
        return [("publish_at", "This is no time with its offset from UTC, such as 2026-12-24T18:00+01:00.")]
    if draft.options.get("privacy") != "private":
        return [("publish_at", "YouTube publishes only private videos by itself. Choose Private, or leave the time "
                               "out.")]
    return []


def _thumbnail(draft: Draft) -> Found:
    cover = draft.extra_files.get("thumbnail")
    if cover is None:
        return []
    if cover.type not in ("image/jpeg", "image/png"):
        return [("thumbnail", "YouTube takes JPEG and PNG as a thumbnail. Choose another picture.")]
    if cover.size > 50 * 1024 * 1024:
        return [("thumbnail", "YouTube takes thumbnails up to 50 MB. Choose a smaller picture.")]
    return []


def _shape(draft: Draft) -> Found:
    """Whether a Short would be one, and whether the channel may upload so long a video."""
    file = next((one for one in draft.files if one.kind == VIDEO), None)
    if file is None:
        return []
    seconds = file.seconds or 0
    if draft.format == "short" and not _may_be_short(file):
        return [("files", f"{file.name or 'The video'}: a Short is square or upright and lasts 3 minutes at most. "
                          "Choose Video, or another file.")]
    if seconds > 15 * 60 and draft.meta.get("long_uploads") in ("eligible", "disallowed"):
        return [("files", f"{file.name or 'The video'}: this channel may upload 15 minutes at most. Verify it at "
                          "youtube.com/verify for longer videos.")]
    return []


def _may_be_short(file: File) -> bool:
    """Whether YouTube would make a Short of it; what could not be measured may be one."""
    return (file.ratio or 1) <= 1 and (file.seconds or 0) <= SHORT_SECONDS
