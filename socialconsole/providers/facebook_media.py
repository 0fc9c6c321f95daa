"""Bytes on their way to a Facebook Page: photos one by one, videos in pieces, each going on where it stopped.

Nothing here publishes: photos stay unpublished, videos wait for their `finish`. Vendor pages:
developers.facebook.com/docs/graph-api/reference/page/photos, …/docs/video-api/guides/publishing,
…/documentation/video-api/guides/reels-publishing, …/documentation/video-api/page-stories-api.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .. import outside
from ..errors import ContentRejected
from .base import App
from .call import Call, Reply
from .content import PIECE, Draft, File, Progress, Slice
from .meta import MetaProvider, heed_usage
from .refusals import PREPARE, redact

# Unused photos and open uploads do not stay for ever at Meta; its containers live a day.
HANDLE_LIFE = timedelta(hours=23)
RESUMED_CHUNK = 4 * 1024 * 1024  # where Facebook took more than it confirmed, its next limit is not known
HANDLES = ("photos", "video", "session", "offset", "end", "url", "uploaded")
ENDINGS = {"image/png": "png", "video/quicktime": "mov", "video/mp4": "mp4"}
FAILED = ("error", "expired", "upload_failed")
SPOILED = "Facebook cannot use this video file: {}"


def file_name(file: File) -> str:
    """A plain name: people's own names can hold letters that a multipart form has no sure way for."""
    return f"file.{ENDINGS.get(file.type, 'jpg')}"


def photo_part(file: File) -> dict[str, tuple[str, bytes, str]]:
    """A photo as the file of a multipart form; the rules keep it at a few MB."""
    return {"source": (file_name(file), file.read(0, file.size), file.type)}


def described(file: File) -> dict[str, str]:
    """The alt text of a photo, if it has one."""
    return {"alt_text_custom": file.alt_text} if file.alt_text else {}


class Body:
    """A range of a file as it is sent, perhaps between two texts; may be read past its end, as urllib3 does."""

    def __init__(self, content: Slice, before: bytes = b"", after: bytes = b"") -> None:
        self._before, self._content, self._after, self._left = before, content, after, len(content)
        self._size = len(before) + len(content) + len(after)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(PIECE):
            yield piece

    def read(self, size: int = -1) -> bytes:
        """The next bytes; perhaps fewer than asked for, none only at the end."""
        if size < 0:
            return b"".join(self)
        if self._before:
            piece, self._before = self._before[:size], self._before[size:]
        elif self._left:
            piece = self._content.read(min(size, self._left))
            self._left -= len(piece)
        else:
            piece, self._after = self._after[:size], self._after[size:]
        return piece


def multipart(fields: Mapping[str, str], name: str, file: File, content: Slice) -> tuple[Body, str]:
    """A form with one file that is read while it is sent, and its type; requests would hold the whole of it."""
    line = outside.secret(16)
    before = "".join(f'--{line}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                     for key, value in fields.items())
    before += (f'--{line}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name(file)}"\r\n'
               f"Content-Type: {file.type}\r\n\r\n")
    return Body(content, before.encode(), f"\r\n--{line}--\r\n".encode()), f"multipart/form-data; boundary={line}"


# ---------------------------------------------------------------- how a video is doing


@dataclass(frozen=True)
class Status:
    """The `status` of a video, however much of it Facebook told."""

    video: str = ""  # uploading, upload_complete, processing, ready, expired, error, upload_failed
    uploading: str = ""
    received: int | None = None
    processing: str = ""
    publishing: str = ""
    published: str = ""  # draft, scheduled, published, error
    trouble: str = ""

    @property
    def failed(self) -> bool:
        """Whether this video will never be published."""
        return bool(self.video in FAILED or self.trouble or self.processing == "error" or self.published == "error")

    @property
    def may_be_finished(self) -> bool:
        """Whether all bytes are there and no processing is under way; the finish would be refused before."""
        if self.processing == "in_progress":
            return False
        return self.video in ("upload_complete", "ready") or self.uploading == "complete" or not self.video

    @property
    def is_public(self) -> bool:
        """Whether it is out. Only older answers lack the publishing phase: there `ready` is all one can know."""
        if self.published:
            return self.published == "published"
        return self.video == "ready" and self.publishing in ("", "complete")

    @property
    def is_unfinished(self) -> bool:
        """Whether Facebook itself says that it never got the finishing call."""
        return not self.failed and (self.published == "draft" or self.video in ("uploading", "upload_complete"))

    def rejection(self) -> ContentRejected:
        """The error for a video that failed."""
        return ContentRejected(SPOILED.format(redact(self.trouble) or self.video or "it was refused"),
                               self.video or "error", field="video")


def read_status(body: Mapping[str, Any]) -> Status:
    """The status in an answer."""
    status = _object(body, "status")
    uploading, processing, publishing = (
        _object(status, f"{phase}_phase") for phase in ("uploading", "processing", "publishing"))
    # "transfered" is Meta's spelling; the other one is read in case they mend it.
    received = _number(uploading.get("bytes_transfered", uploading.get("bytes_transferred")))
    trouble = next((str(_object(phase, "error").get("message") or "") for phase in (uploading, processing, publishing)
                    if phase.get("error")), "")
    return Status(_word(status, "video_status"), _word(uploading, "status"), received, _word(processing, "status"),
                  _word(publishing, "status"), _word(publishing, "publish_status"), trouble)


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _word(body: Mapping[str, Any], name: str) -> str:
    return str(body.get(name) or "").lower()


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


# ---------------------------------------------------------------- uploads


@dataclass(frozen=True)
class Uploads:
    """The uploads of one part. Every handle is kept at once, so that a crash repeats nothing that is done."""

    provider: MetaProvider
    app: App = field(repr=False)
    token: str = field(repr=False)
    draft: Draft
    progress: Progress

    def path(self, edge: str) -> str:
        """An edge of the Page."""
        return f"/{self.app.api_version}/{self.draft.platform_user_id}/{edge}"

    def begin(self) -> None:
        """Throw away handles that are too old, or that belong to other files than those to be sent now."""
        names = [file.sha256 or file.id for file in self.draft.files]
        began = self.progress.get("began")
        if self.progress.get("files") != names or not began \
                or outside.now() - datetime.fromisoformat(began) > HANDLE_LIFE:
            self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.progress.keep(**dict.fromkeys(HANDLES), began=outside.now().isoformat(),
                           files=[file.sha256 or file.id for file in self.draft.files])

    def ask(self, host: str = "api") -> Call:
        """Calls of this step."""
        return self.provider.call(self.app, self.token, PREPARE, host)

    def photos(self) -> None:
        """Every photo as an unpublished one, with its alt text."""
        done = list(self.progress.get("photos", ()))
        with self.ask() as call:
            for file in self.draft.files[len(done):]:
                reply = call.post(self.path("photos"), form={"published": "false", **described(file)},
                                  files=photo_part(file))
                done.append(_told(call, reply, "id"))
                self.progress.keep(photos=done)
                heed_usage(self.provider.name, reply)

    # ------------------------------------------------------------ videos in chunks

    def chunks(self) -> None:
        """A video in chunks whose borders Facebook sets."""
        with self.ask("video") as call:
            if self.progress.get("session"):
                self._catch_up()
            if not self.progress.get("session"):
                self._open(call)
            while not self.progress.get("uploaded"):
                self._transfer(call)

    def _open(self, call: Call) -> None:
        reply = call.post(self.path("videos"), form={"upload_phase": "start", "file_size": str(self.draft.file.size)})
        video, session = _told(call, reply, "video_id"), _told(call, reply, "upload_session_id")
        self._move(call, reply, video=video, session=session)

    def _transfer(self, call: Call) -> None:
        first, end = int(self.progress.get("offset")), int(self.progress.get("end"))
        _, proof = self.provider.credentials(self.app, self.token)
        form = {"upload_phase": "transfer", "upload_session_id": self.progress.get("session"),
                "start_offset": str(first), **proof}
        body, kind = multipart(form, "video_file_chunk", self.draft.file,
                               self.draft.file.slice(first, end - first, self.progress.alive))
        reply = call.upload("POST", call.base + self.path("videos"), body, signed=False, takes=(200,),
                            headers={"Accept": "application/json", "Content-Type": kind})
        if _number(reply.json().get("start_offset")) in (None, first):
            raise call.unclear()
        self._move(call, reply)

    def _move(self, call: Call, reply: Reply, **handles: str) -> None:
        """Keep where Facebook wants us to go on; equal offsets mean that it has everything."""
        first, end = (_number(reply.json().get(name)) for name in ("start_offset", "end_offset"))
        if first is None or end is None or not 0 <= first <= end <= self.draft.file.size:
            raise call.unclear()
        self.progress.keep(**handles, offset=first, end=end, uploaded=first == end or None)
        heed_usage(self.provider.name, reply)

    def _catch_up(self) -> None:
        """Ask how far an upload came that was broken off: an answer may have got lost after the bytes arrived."""
        if self.progress.get("uploaded"):
            return
        status = self._standing()
        if status is None:
            return
        size, first, end = self.draft.file.size, int(self.progress.get("offset")), int(self.progress.get("end"))
        if status.received is not None and first < status.received <= size:
            end = end if end > status.received else min(status.received + RESUMED_CHUNK, size)
            self.progress.keep(offset=status.received, end=end, uploaded=status.received == size or None)

    # ------------------------------------------------------------ reels and stories

    def stream(self, edge: str) -> None:
        """A video in one stream to the upload host, from the byte that it still lacks."""
        if self.progress.get("uploaded"):
            return
        status = self._standing() if self.progress.get("video") else None
        first = (status.received or 0) if status else 0
        with self.ask() as call:
            if not self.progress.get("video"):
                reply = call.post(self.path(edge), form={"upload_phase": "start"})
                self.progress.keep(video=_told(call, reply, "video_id"), url=_told(call, reply, "upload_url"))
            if first < self.draft.file.size and not (status and status.uploading == "complete"):
                self._send(call, first)
        self.progress.keep(uploaded=True)

    def _send(self, call: Call, first: int) -> None:
        size = self.draft.file.size
        reply = call.upload(
            "POST", self.progress.get("url"), Body(self.draft.file.slice(first, size - first, self.progress.alive)),
            headers={"Authorization": f"OAuth {self.token}", "offset": str(first), "file_size": str(size)},
            signed=False, takes=(200,))
        if reply.json().get("success") is not True:
            raise call.refused(reply) if "error" in reply.json() or "debug_info" in reply.json() else call.unclear()

    # ------------------------------------------------------------ asking

    def _standing(self) -> Status | None:
        """How an upload stands; None, and everything forgotten, where Facebook no longer has it."""
        try:
            status = self.status()
        except ContentRejected:
            self.forget()
            return None
        if status.failed:
            self.forget()
            return None
        return status

    def status(self) -> Status:
        """How the video is doing."""
        with self.ask() as call:
            reply = call.get(f"/{self.app.api_version}/{self.progress.get('video')}", params={"fields": "status"})
        heed_usage(self.provider.name, reply)
        return read_status(reply.json())


def _told(call: Call, reply: Reply, name: str) -> str:
    """What an answer must contain."""
    value = reply.json().get(name)
    if not isinstance(value, str | int) or not str(value):
        raise call.unclear()
    return str(value)
