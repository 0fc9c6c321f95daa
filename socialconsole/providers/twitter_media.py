"""Files on their way to X: announced, sent in pieces, finished, processed there, described.

docs.x.com/x-api/media/quickstart/media-upload-chunked; the command-style upload of old is superseded. An upload is good
for 24 hours, so files are sent when the post is due and never before.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from .. import outside
from ..errors import ContentRejected, TryLater
from .call import Call, Reply
from .content import GIF, IMAGE, VIDEO, File, Progress, Wait
from .refusals import redact
from .twitter_refusals import without_data

PIECE = 1024 * 1024  # what is known to work; only files of more than 1,000 of them go in larger ones
MOST_PIECES = 1000
USABLE, MARGIN = timedelta(hours=24), timedelta(minutes=30)
CATEGORIES = {IMAGE: "tweet_image", GIF: "tweet_gif", VIDEO: "tweet_video"}
DESCRIBED = (IMAGE, GIF)  # X shows no alt text for videos
SHORTEST, LONGEST, UNSTATED = 1, 60, 5  # seconds between two questions
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # goes into addresses


def prepare(call: Call, files: Sequence[File], progress: Progress) -> None:
    """Have every file at X, as far as that goes without waiting. Raises PlatformError."""
    for place, file in enumerate(files):
        slot = _Slot(progress, place, file)
        _send(call, file, slot)
        if slot.needs_alt_text and not slot.is_processing:
            call.post("/2/media/metadata", json={"id": slot.id, "metadata": {"alt_text": {"text": file.alt_text}}})
            slot.keep(alt=_digest(file.alt_text))


def check(call: Call, files: Sequence[File], progress: Progress) -> Wait | None:
    """Whether X has processed every file; None if so. Raises ContentRejected for one that it could not process."""
    waits = []
    for place, file in enumerate(files):
        slot = _Slot(progress, place, file)
        if slot.is_processing and slot.ask_at <= outside.now():
            params = {"command": "STATUS", "media_id": slot.id}
            waits += _processing(slot, _data(call, call.get("/2/media/upload", params=params)))
        elif slot.is_processing:
            waits.append(Wait(slot.ask_at - outside.now(), slot.note))
        if slot.needs_alt_text and not slot.is_processing:
            waits.append(Wait(timedelta(seconds=SHORTEST)))  # `prepare` runs again and adds it
    return max(waits, key=lambda one: one.again_in, default=None)


def ids(files: Sequence[File], progress: Progress) -> list[str]:
    """X's ids of the files, in their order. Raises TryLater where one is not there, before anything is published."""
    slots = [_Slot(progress, place, file) for place, file in enumerate(files)]
    if not all(slot.is_usable and slot.get("done") for slot in slots):
        raise TryLater("The files are not at X yet. We send them again.", "no_media")
    return [slot.id for slot in slots]


def keys(files: Sequence[File], progress: Progress) -> set[str]:
    """The keys that X shows for the files of a post, as far as it told them."""
    found = (_Slot(progress, place, file).get("key") for place, file in enumerate(files))
    return {str(key) for key in found if key}


# ---------------------------------------------------------------- what is known of one file


class _Slot:
    """What was kept about the file at one place of the post; another file at that place starts anew."""

    def __init__(self, progress: Progress, place: int, file: File) -> None:
        self.progress, self.place, self.file = progress, str(place), file
        self.mark = f"{file.sha256 or file.id}/{file.size}"

    @property
    def facts(self) -> Mapping[str, Any]:
        found = (self.progress.get("media") or {}).get(self.place) or {}
        return found if found.get("file") == self.mark else {}

    def get(self, name: str) -> Any:
        return self.facts.get(name)

    def keep(self, **facts: Any) -> None:
        """Commit facts about the file; None forgets one."""
        kept = {name: value for name, value in {**self.facts, "file": self.mark, **facts}.items() if value is not None}
        self.progress.keep(media={**(self.progress.get("media") or {}), self.place: kept})

    def forget(self) -> None:
        """Begin anew with this file next time."""
        self.progress.keep(media={place: facts for place, facts in (self.progress.get("media") or {}).items()
                                  if place != self.place} or None)

    @property
    def id(self) -> str:
        return str(self.get("id"))

    @property
    def is_usable(self) -> bool:
        """Whether X will still know the upload for a while."""
        return bool(self.get("id")) and outside.now() < datetime.fromisoformat(self.facts["until"])

    @property
    def is_processing(self) -> bool:
        return bool(self.get("ask_at"))

    @property
    def ask_at(self) -> datetime:
        return datetime.fromisoformat(self.facts["ask_at"])

    @property
    def needs_alt_text(self) -> bool:
        return (self.file.kind in DESCRIBED and bool(self.file.alt_text.strip())
                and self.get("alt") != _digest(self.file.alt_text))

    @property
    def note(self) -> str:
        percent = self.get("percent")
        return f"X is processing {self.file.name or 'the file'}{f', {percent} % done' if percent else ''}."


# ---------------------------------------------------------------- sending


def _send(call: Call, file: File, slot: _Slot) -> None:
    if slot.is_usable and slot.get("done"):
        return
    resumed = slot.is_usable
    if not resumed:
        _announce(call, file, slot)
    try:
        _transfer(call, file, slot)
    except ContentRejected:
        slot.forget()
        if not resumed:
            raise
        # What an earlier run began may be gone at X, or be finished already: once more from the start.
        _announce(call, file, slot)
        _transfer(call, file, slot)


def _announce(call: Call, file: File, slot: _Slot) -> None:
    slot.forget()
    data = _data(call, call.post("/2/media/upload/initialize", json={
        "media_type": file.type, "total_bytes": file.size, "media_category": CATEGORIES[file.kind]}))
    if not _ID.fullmatch(str(data.get("id") or "")):
        raise call.unclear()
    # The pages name lifetimes from a day to about 15 days: never count on more than a day.
    life = min(USABLE, timedelta(seconds=_whole(data.get("expires_after_secs"), USABLE.total_seconds())))
    slot.keep(id=str(data["id"]), key=str(data.get("media_key") or "") or None, pieces=0,
              until=(outside.now() + max(life - MARGIN, life / 2)).isoformat())


def _transfer(call: Call, file: File, slot: _Slot) -> None:
    size = piece_size(file.size)
    for number in range(slot.get("pieces") or 0, -(-file.size // size)):
        call.post(f"/2/media/upload/{slot.id}/append", form={"segment_index": number},
                  files={"media": ("media", file.read(number * size, size), "application/octet-stream")})
        slot.keep(pieces=number + 1)
    data = _data(call, call.post(f"/2/media/upload/{slot.id}/finalize"))
    slot.keep(done=True, key=slot.get("key") or str(data.get("media_key") or "") or None)
    _processing(slot, data)


def piece_size(size: int) -> int:
    """How many bytes go in one piece, so that there are at most a thousand."""
    return max(PIECE, -(-size // MOST_PIECES))


def _processing(slot: _Slot, data: Mapping[str, Any]) -> list[Wait]:
    """Keep what X says about its processing; the pause it asks for, none if it is through. Raises ContentRejected."""
    info = data.get("processing_info")
    if not isinstance(info, dict) or info.get("state") == "succeeded":
        slot.keep(ask_at=None, percent=None)
        return []
    if info.get("state") == "failed":
        slot.forget()
        stated = info.get("error")
        trouble = stated if isinstance(stated, dict) else {}
        said = redact(str(trouble.get("message") or ""))
        raise ContentRejected(f"X could not process the file.{f' It says: {said}' if said else ''}",
                              redact(str(trouble.get("name") or trouble.get("code") or "failed"))[:60], field="media")
    pause = timedelta(seconds=min(max(_whole(info.get("check_after_secs"), UNSTATED), SHORTEST), LONGEST))
    slot.keep(ask_at=(outside.now() + pause).isoformat(), percent=_whole(info.get("progress_percent"), 0) or None)
    return [Wait(pause, slot.note)]


def _data(call: Call, reply: Reply) -> Mapping[str, Any]:
    """The `data` of an answer. Raises PlatformError where there is none."""
    data = reply.json().get("data")
    if not isinstance(data, dict):
        raise without_data(call, reply)
    return data


def _whole(value: Any, otherwise: float) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return int(otherwise)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
