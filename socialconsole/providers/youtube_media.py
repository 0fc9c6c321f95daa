"""A video on its way to YouTube: the resumable session, its chunks, and what the answers in between mean.

developers.google.com/youtube/v3/guides/using_resumable_upload_protocol. A video exists only after its last byte, and
a session repeats its final answer when it is asked: so the last chunk is what publishes, and asking the session tells
whether it did.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..errors import TryLater
from .call import Call, Reply
from .content import PIECE, YES, Draft, File, Progress

CHUNK = 8 * 1024 * 1024  # a multiple of 262,144, as every chunk but the last has to be
_DONE, _MORE, _ENDED, _GONE = (200, 201), 308, 401, (404, 410)
DONE, MORE, GONE = "done", "more", "gone"  # what a session says of itself
GOES_ON = "The upload continues."
PATH = "/upload/youtube/v3/videos"


def video_of(draft: Draft) -> dict[str, Any]:
    """The video resource that opens a session: nothing is left to YouTube's defaults that the author was asked for."""
    chosen = draft.options
    tags = tags_of(chosen.get("tags", ""))
    snippet = {"title": chosen.get("title", ""), "categoryId": chosen.get("category") or "22",
               **({"description": draft.text} if draft.text else {}), **({"tags": tags} if tags else {})}
    at = instant(chosen.get("publish_at", ""))
    status = {
        # Always sent: without it the video would be public (revision history, 2 Nov 2026).
        "privacyStatus": chosen.get("privacy", ""),
        "selfDeclaredMadeForKids": chosen.get("made_for_kids") == YES,
        "containsSyntheticMedia": chosen.get("synthetic") == YES,
        "license": chosen.get("license") or "youtube",
        "embeddable": chosen.get("embeddable", YES) != "no",
        **({"publishAt": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if at else {}),
    }
    return {"snippet": snippet, "status": status}


def tags_of(text: str) -> list[str]:
    """The tags in a text with commas, each once."""
    return list(dict.fromkeys(tag for one in re.split(r"[,\n]", text) if (tag := " ".join(one.split()))))


def instant(text: str) -> datetime | None:
    """The instant that a text tells; None for none, for nonsense and for a time without its offset."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


@dataclass(frozen=True)
class Body:
    """A range of a file as a body of known length, read piece by piece and never beyond its end."""

    file: File
    first: int
    size: int
    tick: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        source = self.file.slice(self.first, self.size, self.tick)
        left = self.size
        while left > 0 and (piece := source.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


@dataclass(frozen=True)
class Upload:
    """One file on its way. `progress` keeps `session` (sealed: whoever has it may upload), `stored` and `video`."""

    call: Call
    file: File
    progress: Progress

    @property
    def stored(self) -> int:
        """How many bytes YouTube said it has."""
        return int(self.progress.get("stored", 0))

    def begin(self, draft: Draft) -> None:
        """Have a living session for this very draft: the one of an earlier try, or a new one."""
        body = video_of(draft)
        notify = "false" if draft.options.get("notify_subscribers") == "no" else "true"
        mark = hashlib.sha256(json.dumps([body, notify, self.file.id, self.file.size]).encode()).hexdigest()
        # Another mark: the author changed something since.
        if self.progress.get("session") and self.progress.get("of") == mark and self.ask() is not GONE:
            return
        forget(self.progress)
        reply = self.call.post(
            PATH, params={"uploadType": "resumable", "part": "snippet,status", "notifySubscribers": notify}, json=body,
            headers={"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Type": self.file.type,
                     "X-Upload-Content-Length": str(self.file.size)})
        session = reply.headers.get("Location") or ""
        if not session:
            raise self.call.unclear()
        self.progress.keep(session=session, of=mark)

    def send_most(self) -> None:
        """All but the last chunk, from where YouTube says it stands."""
        while not self.progress.get("video") and self.file.size - self.stored > CHUNK:
            before = self.stored
            state = self._read(self._put(before, CHUNK))
            if state is GONE:
                forget(self.progress)  # the next try opens a new one; no video was made
            if state is GONE or (state is MORE and self.stored <= before):
                raise TryLater(GOES_ON, "upload_stopped")

    def send_rest(self) -> str:
        """The last chunk, which makes the video; its id. Raises TryLater where YouTube says that it has no video."""
        if not self.progress.get("session"):
            raise TryLater(GOES_ON, "no_session")
        reply = self._put(self.stored, self.file.size - self.stored)
        if reply.status in _GONE and not _is_word(reply):
            raise self.call.unclear()
        if self._read(reply) is not DONE:
            raise TryLater(GOES_ON, f"HTTP {reply.status}")
        return str(self.progress.get("video"))

    def ask(self) -> str:
        """What the session says of itself: DONE, MORE or GONE. Nothing is sent."""
        return self._read(self._put(0, 0))

    def _put(self, first: int, size: int) -> Reply:
        total = self.file.size
        span = f"{first}-{first + size - 1}" if size else "*"
        data: Any = Body(self.file, first, size, self.progress.alive) if size else b""
        reply = self.call.upload("PUT", str(self.progress.get("session")), data, takes=(*_DONE, _MORE, _ENDED, *_GONE),
                                 headers={"Content-Range": f"bytes {span}/{total}"})
        if reply.status == _ENDED:  # often without a body; the session outlives the token
            raise self.call.refused(replace(reply, body=reply.json()), _ENDED) if _is_word(reply) else \
                self.call.unclear()
        return reply

    def _read(self, reply: Reply) -> str:
        """What an answer of the session means; kept where it says something new."""
        if reply.status in _GONE:
            return GONE
        if reply.status == _MORE:
            if reply.headers.get("Location"):  # a real redirect: somebody on the way, not the session
                raise self.call.unclear()
            self.progress.keep(stored=min(stored_of(reply.headers), self.file.size))
            return MORE
        video = str(reply.json().get("id") or "")
        if not video:
            raise self.call.unclear()
        self.progress.keep(video=video)
        return DONE


def forget(progress: Progress) -> None:
    """The next try begins from nothing."""
    progress.keep(**dict.fromkeys(("session", "of", "stored", "video", "asked", "missed", "tries")))


def stored_of(headers: Mapping[str, str]) -> int:
    """How many bytes `Range: bytes=0-n` says are there; no such header: none."""
    found = re.fullmatch(r"bytes=0-(\d+)", (headers.get("Range") or "").strip())
    return int(found.group(1)) + 1 if found else 0


def _is_word(reply: Reply) -> bool:
    """Whether a refusal is the platform's own and not some page on the way: an error in JSON, or an empty body."""
    return isinstance(reply.body, dict) or reply.headers.get("Content-Length") == "0"
