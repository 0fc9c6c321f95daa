"""A post on its way to TikTok: what is sent, a video in its chunks, and what TikTok says of it afterwards.

developers.tiktok.com/doc/content-posting-api-media-transfer-guide, …-reference-direct-post, …-reference-photo-post,
…-reference-upload-video, …-reference-get-video-status. A video is only published by its last byte; photos are fetched
by TikTok from our addresses as soon as they are announced.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import outside
from ..errors import OutcomeUnknown, TryLater
from .call import Call, Reply
from .content import YES, Draft, File, Progress
from .tiktok_portal import PHOTOS_DIRECT, VIDEO_DIRECT
from .tiktok_refusals import NOT_TOLD

WHOLE = 64_000_000  # up to here in one piece
CHUNK = 10_485_760  # else in these: allowed whether the vendor means decimal or binary megabytes
URL_LIFE = timedelta(hours=1)
GOES_ON = "The upload continues."
JSON = {"Content-Type": "application/json; charset=UTF-8"}
PUBLISHING = "/v2/post/publish/"
RECEIVING, COMPLETE, INBOX, FAILED = "PROCESSING_UPLOAD", "PUBLISH_COMPLETE", "SEND_TO_USER_INBOX", "FAILED"
_STORED, _ALL_STORED, _EXPIRED, _UNKNOWN, _ELSEWHERE = 206, (200, 201), 403, 404, 416
_HANDLES = ("publish", "url", "at", "of", "stored", "gone", "asked", "done_at")


def answered(call: Call, reply: Reply) -> dict[str, Any]:
    """The data of a good answer: only `error.code` tells, whatever the status. Raises PlatformError."""
    error, data = reply.json().get("error"), reply.json().get("data")
    code = error.get("code") if isinstance(error, dict) else error
    if code and code != "ok":
        raise call.refused(reply)
    if code != "ok" or not isinstance(data, dict):
        raise call.unclear()
    return data


def ask(call: Call, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One of the publishing calls; its data. Raises PlatformError."""
    return answered(call, call.post(PUBLISHING + path, json=body, headers=JSON))


# ---------------------------------------------------------------- what is sent


def is_ticked(draft: Draft, name: str) -> bool:
    """Whether a box is ticked."""
    return draft.options.get(name) == YES


def units(text: str) -> int:
    """The length as TikTok counts it: UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _shared(draft: Draft, closed: Collection[str]) -> dict[str, Any]:
    """What direct videos and photos have in common. What the creator closed stays closed."""
    discloses = is_ticked(draft, "disclosure")
    return {
        "privacy_level": draft.options.get("privacy_level", ""),
        "disable_comment": not is_ticked(draft, "allow_comment") or "allow_comment" in closed,
        "brand_content_toggle": discloses and is_ticked(draft, "branded_content"),
        "brand_organic_toggle": discloses and is_ticked(draft, "your_brand"),
    }


def video_init(draft: Draft, closed: Collection[str]) -> tuple[str, dict[str, Any]]:
    """The call that announces a video, and its body."""
    size = draft.file.size
    chunk, count = plan(size)
    source = {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": chunk, "total_chunk_count": count}
    if draft.format != VIDEO_DIRECT:
        return "inbox/video/init/", {"source_info": source}
    cover = draft.options.get("video_cover_timestamp_ms", "").strip()
    post = {
        **({"title": draft.text} if draft.text else {}), **_shared(draft, closed),
        "disable_duet": not is_ticked(draft, "allow_duet") or "allow_duet" in closed,
        "disable_stitch": not is_ticked(draft, "allow_stitch") or "allow_stitch" in closed,
        **({"video_cover_timestamp_ms": int(cover)} if cover else {}),
        **({"is_aigc": True} if is_ticked(draft, "is_aigc") else {}),
    }
    return "video/init/", {"post_info": post, "source_info": source}


def photo_init(draft: Draft, closed: Collection[str]) -> dict[str, Any]:
    """The body that announces photos: with it TikTok begins to fetch them."""
    title, cover = draft.options.get("title", "").strip(), draft.options.get("cover", "").strip()
    post: dict[str, Any] = {"title": title, "description": draft.text}
    post = {name: text for name, text in post.items() if text}
    body: dict[str, Any] = {"media_type": "PHOTO", "post_mode": "MEDIA_UPLOAD", "post_info": post, "source_info": {
        "source": "PULL_FROM_URL", "photo_images": [file.public_url for file in draft.files],
        "photo_cover_index": int(cover) - 1 if cover else 0}}
    if draft.format == PHOTOS_DIRECT:
        body["post_mode"] = "DIRECT_POST"  # with an underscore; the reference prints a blank once
        post.update(_shared(draft, closed), auto_add_music=is_ticked(draft, "auto_add_music"))
        if is_ticked(draft, "is_aigc"):
            body["is_aigc"] = True  # beside post_info and not in it, other than for videos
    return body


# ---------------------------------------------------------------- a video in its chunks


def plan(size: int) -> tuple[int, int]:
    """Size and number of the chunks; the last one takes the remainder along, so the number is rounded down."""
    return (size, 1) if size <= WHOLE else (CHUNK, size // CHUNK)


@dataclass(frozen=True)
class Upload:
    """One video on its way. `progress` keeps `publish` (TikTok's id), `url` (sealed: it is the proof) and `stored`."""

    call: Call
    file: File
    progress: Progress

    @property
    def stored(self) -> int:
        """How many bytes TikTok has, in order."""
        return int(self.progress.get("stored", 0))

    @property
    def span(self) -> tuple[int, int, bool]:
        """What goes next: the first byte, the one behind the last, and whether it ends the file."""
        chunk, count = plan(self.file.size)
        number = min(self.stored // chunk, count - 1)
        is_last = number == count - 1
        return self.stored, self.file.size if is_last else (number + 1) * chunk, is_last

    def stands(self, mark: str) -> bool:
        """Whether an earlier try left a living upload of this very post behind; one that is over is forgotten."""
        if not self.progress.get("url"):
            return False
        if self.progress.get("gone"):
            self._look_before_beginning_anew()
        at = self.progress.get("at")
        if not at or self.progress.get("of") != mark or (
                self.stored < self.file.size and outside.now() - datetime.fromisoformat(at) >= URL_LIFE):
            forget(self.progress)
            return False
        return True

    def _look_before_beginning_anew(self) -> None:
        """TikTok did not know the upload any more: only its own word on the post allows another one."""
        try:
            state = state_of(self.call, str(self.progress.get("publish")))
        except OutcomeUnknown:
            state = State()
        if state.status in (COMPLETE, INBOX) or (state.uploaded or 0) >= self.file.size:
            self.progress.keep(stored=self.file.size, gone=None)
        else:
            forget(self.progress)

    def begin(self, path: str, body: Mapping[str, Any], mark: str) -> None:
        """Announce the video. Without a byte of it this publishes nothing, so a lost answer does no harm."""
        data = ask(self.call, path, body)
        publish, url = str(data.get("publish_id") or ""), str(data.get("upload_url") or "")
        if not publish or not url:
            raise self.call.unclear()
        self.progress.keep(publish=publish, url=url, at=outside.now().isoformat(), of=mark, stored=0)

    def send_most(self) -> None:
        """All chunks but the last, strictly one after the other."""
        while not self.span[2]:
            before, (_, end, _) = self.stored, self.span
            reply = self._put()
            told = _told(reply)
            if reply.status in (_STORED, *_ALL_STORED):
                self.progress.keep(stored=told if told is not None and before < told <= end else end)
            elif reply.status == _ELSEWHERE and told is not None and told <= self.file.size:
                self.progress.keep(stored=told)
                if told <= before:
                    raise TryLater(GOES_ON, "HTTP 416")
            else:
                self._gave_up(reply)
                raise TryLater(GOES_ON, f"HTTP {reply.status}")

    def _gave_up(self, reply: Reply) -> None:
        if reply.status == _UNKNOWN:
            self.progress.keep(gone=True)
        else:
            forget(self.progress)  # its hour is over, or nobody knows where it stands: the next try begins anew

    def send_last(self) -> None:
        """The last chunk, which publishes the video. Raises TryLater where TikTok says that bytes are missing."""
        if not self.progress.get("url") or not self.span[2]:
            raise TryLater(GOES_ON, "no_upload")
        if self.stored >= self.file.size:
            return
        reply = self._put()
        told = _told(reply)
        if reply.status in _ALL_STORED or (told is not None and told >= self.file.size):
            return
        if reply.status == _ELSEWHERE and told is not None:
            self.progress.keep(stored=told)
            raise TryLater(GOES_ON, "HTTP 416")
        if reply.status in (_EXPIRED, _UNKNOWN):
            self.progress.keep(gone=True)  # an earlier try may have ended it: status/fetch has the last word
        raise OutcomeUnknown(NOT_TOLD, f"HTTP {reply.status}")

    def _put(self) -> Reply:
        first, end, _ = self.span
        return self.call.upload(
            "PUT", str(self.progress.get("url")), self.file.slice(first, end - first, self.progress.alive),
            headers={"Content-Type": self.file.type, "Content-Range": f"bytes {first}-{end - 1}/{self.file.size}"},
            takes=(_STORED, *_ALL_STORED, _EXPIRED, _UNKNOWN, _ELSEWHERE), signed=False)


def mark_of(path: str, body: Mapping[str, Any], file: File) -> str:
    """What tells one post from another: the author may change something between two tries."""
    return hashlib.sha256(json.dumps([path, body, file.id, file.size]).encode()).hexdigest()


def forget(progress: Progress) -> None:
    """The next try begins from nothing."""
    progress.keep(**dict.fromkeys(_HANDLES))


def _told(reply: Reply) -> int | None:
    """How many bytes an answer to a chunk says are there."""
    found = re.fullmatch(r"bytes \d+-(\d+)/\d+", (reply.headers.get("Content-Range") or "").strip())
    return int(found.group(1)) + 1 if found else None


# ---------------------------------------------------------------- afterwards


@dataclass(frozen=True)
class State:
    """What TikTok says of a post."""

    status: str = ""
    reason: str = ""
    ids: tuple[str, ...] = ()  # only public posts have one, and only after a moderation
    uploaded: int | None = None


def state_of(call: Call, publish_id: str) -> State:
    """Ask what became of a post. Raises PlatformError."""
    data = ask(call, "status/fetch/", {"publish_id": publish_id})
    # The vendor's own spelling; the right one is taken too, should it ever come.
    listed = data.get("publicaly_available_post_id") or data.get("publicly_available_post_id") or []
    ids = tuple(str(one) for one in (listed if isinstance(listed, list) else [listed]) if one)
    uploaded = data.get("uploaded_bytes")
    return State(str(data.get("status") or ""), str(data.get("fail_reason") or ""), ids,
                 uploaded if isinstance(uploaded, int) else None)
