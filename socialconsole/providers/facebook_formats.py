"""What can be posted to a Facebook Page, and the parameters of the call that publishes each format.

Vendor pages: developers.facebook.com/documentation/pages-api/posts, …/documentation/video-api/guides/reels-publishing,
…/documentation/video-api/page-stories-api.
"""

import json

from .content import COMMENT, IMAGE, VIDEO, Draft, Field, Format, ImageRule, Look, Progress, VideoRule
from .facebook_media import described

TEXT, LINK, PHOTO, PHOTOS, FILM, REEL, STORY = "text", "link", "image", "images", "video", "reel", "story"
_EDGES = {PHOTO: "photos", FILM: "videos", REEL: "video_reels"}  # all others go to the feed
_ALT_TEXT = 1000  # Facebook states no limit
_PHOTO_RULE = ImageRule(most_bytes=4 * 1024 * 1024)  # the guide says 10 MB, an error text of Facebook's says 4


def _upright(seconds: tuple[float, float]) -> VideoRule:
    """What reels and stories share; nearly 9:16 counts, since encoders round."""
    return VideoRule(types=("video/mp4",), most_bytes=4 * 1024**3, seconds=seconds, ratio=(0.558, 0.567),
                     least=(540, 960), frame_rate=(24, 60))


FORMATS = (
    Format(TEXT, "Text", needs_text=True),
    Format(LINK, "Link", needs_link=True, note="Facebook builds a card from the page behind the link."),
    Format(PHOTO, "Photo", (IMAGE,), 1, 1, image=_PHOTO_RULE, alt_text=_ALT_TEXT),
    Format(PHOTOS, "Photos", (IMAGE,), 2, 10, image=_PHOTO_RULE, alt_text=_ALT_TEXT),
    Format(FILM, "Video", (VIDEO,), 1, 1, video=VideoRule(most_bytes=4 * 1024**3),
           note="How long and large a video may be, Facebook decides by account."),
    Format(REEL, "Reel", (VIDEO,), 1, 1, video=_upright((3, 90)),
           note="An upright video. Facebook takes 30 reels from programs in 24 hours."),
    # Facebook's table says 90 seconds for stories, the limitation below it 60.
    Format(STORY, "Story", (IMAGE, VIDEO), 1, 1, image=_PHOTO_RULE, video=_upright((3, 60)), has_text=False,
           comment=False, alt_text=_ALT_TEXT, note="Seen for a day. A text would not be shown, so none is sent."),
)
FIELDS = (
    Field("place", "Place", "text", help="The id of a Facebook Page that has a location: digits only.",
          formats=(TEXT, LINK, PHOTO, PHOTOS, REEL), most=25),
    Field("title", "Title of the video", "text", formats=(FILM, REEL), most=255),
)

LOOK = Look("common observation: about 477 characters or 5 lines in a browser, fewer on a phone; upright pictures up "
            "to 4:5 as in facebook.com/business/ads-guide", fold=477, lines=5, picture=(0.8, 1.91), video=(0.8, 1.91),
            collage=5, upright=(REEL, STORY), cards=(TEXT, LINK), title="title")


# ---------------------------------------------------------------- what is sent


def is_photo_story(draft: Draft) -> bool:
    return draft.format == STORY and draft.file.kind == IMAGE


def edge(draft: Draft) -> str:
    """The Page's edge that publishes a format."""
    if draft.format == STORY:
        return "photo_stories" if is_photo_story(draft) else "video_stories"
    return _EDGES.get(draft.format, "feed")


def form(draft: Draft, progress: Progress) -> dict[str, str]:
    """The parameters of the publishing call; what is empty is not sent."""
    place, title = draft.options.get("place", ""), draft.options.get("title", "")
    if draft.format == FILM:
        sent = {"upload_phase": "finish", "upload_session_id": progress.get("session"), "description": draft.text,
                "title": title}
    elif draft.format == REEL:
        sent = {"upload_phase": "finish", "video_id": progress.get("video"), "video_state": "PUBLISHED",
                "description": draft.text, "title": title, "place": place}
    elif is_photo_story(draft):
        sent = {"photo_id": progress.get("photos")[0]}
    elif draft.format == STORY:
        sent = {"upload_phase": "finish", "video_id": progress.get("video")}
    elif draft.format == PHOTO:
        sent = {"caption": draft.text, **described(draft.file), "place": place}
    elif draft.format == PHOTOS:
        # Graph takes a list in a form as JSON in one field; requests would send the names of its keys.
        media = json.dumps([{"media_fbid": photo} for photo in progress.get("photos")], separators=(",", ":"))
        sent = {"message": draft.text, "attached_media": media, "place": place}
    else:
        sent = {"message": draft.text, "link": "" if draft.format == COMMENT else draft.link, "place": place}
    return {name: value for name, value in sent.items() if value}
