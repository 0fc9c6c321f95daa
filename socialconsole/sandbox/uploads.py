"""Media that the sandbox really receives: in pieces, as a whole, or fetched from an address.

The bytes go to a file beside the state file (into a temporary folder without one) and never into memory as a whole.
A view that receives bytes is marked `operation(…, media=True)`: its body may then be large and lies on disk
already, so `request.stream` and `request.files` can be read without keeping others waiting.
"""

import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import requests

from .state import Upload, fresh_id
from .world import World, world

PIECE = 256 * 1024
LARGEST = 1_100_000_000
PULL_SECONDS = 20.0
KEPT_BYTES = 4 * LARGEST
HEAD = 64

RECEIVING, PROCESSING, DONE = "receiving", "processing", "done"
# The types that a web server may name for media; what the file really is, its first bytes tell.
MEDIA_TYPES = ("image/", "video/", "application/pdf", "application/octet-stream", "binary/octet-stream")


def begin(
    platform: str,
    client_id: str,
    owner_id: str,
    purpose: str,
    *,
    total: int | None = None,
    mime: str = "",
    **facts: Any,
) -> Upload:
    """A new upload, kept. `purpose` is the platform's own word for it; `facts` is whatever it needs to remember."""
    here = world()
    upload = Upload(
        fresh_id(),
        platform,
        client_id,
        owner_id,
        purpose,
        mime=mime,
        total=total,
        status=RECEIVING,
        created_at=here.now(),
        facts=facts,
    )
    with here.state.writing():
        _make_room(here)
        here.state.keep(upload)
    return upload


def find(upload_id: str | None, platform: str) -> Upload | None:
    """The platform's upload of that id, or None."""
    found = world().state.find(Upload, upload_id)
    return found if found and found.platform == platform else None


def keep(upload: Upload) -> None:
    """Remember what was changed on an upload."""
    with world().state.writing():
        world().state.keep(upload)


def file_of(upload: Upload) -> Path:
    """Where the bytes lie."""
    return world().uploads / upload.id


def append(upload: Upload, offset: int, source: bytes | IO[bytes], size: int | None = None) -> int:
    """Write bytes at an offset, all of the source or `size`; returns how many have been received altogether.

    Bytes that came before may come again. Raises ValueError if there is a gap before them, or if they are more than
    was announced: what was there before stays.
    """
    if offset > upload.received:
        raise ValueError(f"These bytes begin at {offset}, but only {upload.received} came before them.")
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    limit = LARGEST if upload.total is None else upload.total
    with world().state.aside():
        file = file_of(upload)
        file.touch(0o600)
        with file.open("r+b") as target:
            target.seek(offset)
            for piece in _pieces(stream, size):
                if target.tell() + len(piece) > limit:
                    target.truncate(upload.received)
                    raise ValueError("More bytes came than were announced.")
                target.write(piece)
            end = target.tell()
    upload.received = max(upload.received, end)
    keep(upload)
    return upload.received


def _pieces(stream: IO[bytes], size: int | None = None) -> Iterator[bytes]:
    left = LARGEST + 1 if size is None else size
    while left > 0 and (piece := stream.read(min(PIECE, left))):
        left -= len(piece)
        yield piece


def finish(upload: Upload) -> Upload:
    """All bytes are there: take their hash and type, and begin the processing that `polled` asks after."""
    here = world()
    digest = hashlib.sha256()
    with here.state.aside():
        file = file_of(upload)
        file.touch(0o600)
        with file.open("rb") as stream:
            for piece in _pieces(stream):
                digest.update(piece)
    upload.sha256 = digest.hexdigest()
    upload.total = upload.received
    upload.mime = upload.mime or sniff(upload)
    upload.polls_left = here.processing_polls
    upload.status = PROCESSING if upload.polls_left else DONE
    keep(upload)
    return upload


def polled(upload: Upload) -> bool:
    """One question after the processing: as often as `processing_polls` says the answer is no, then yes."""
    done = upload.polls_left <= 0
    upload.polls_left = max(0, upload.polls_left - 1)
    upload.status = DONE if done else PROCESSING
    keep(upload)
    return done


def pull(upload: Upload, url: str) -> str:
    """Fetch the media from an address, as platforms do that take no bytes. Why it did not work, "" if it did.

    Redirects are not followed: TikTok and Meta ask for the file itself at the address that is given.
    """
    upload.url = url
    with world().state.aside():
        upload.error = _pulled(upload, url)
    if not upload.error:
        upload.mime = sniff(upload)
        upload.error = "" if upload.mime else "not media: unknown content"
    if upload.error:
        upload.status = upload.error
        keep(upload)
        return upload.error
    finish(upload)
    return ""


def _pulled(upload: Upload, url: str) -> str:
    until = time.monotonic() + PULL_SECONDS
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(url, stream=True, allow_redirects=False, timeout=PULL_SECONDS) as answer:
                return _refused(answer) or _saved(upload, answer, until)
    except (requests.RequestException, ValueError, OSError):
        return "unreachable"


def _refused(answer: requests.Response) -> str:
    if answer.is_redirect or 300 <= answer.status_code < 400:
        return "redirect"
    if answer.status_code != 200:
        return f"http {answer.status_code}"
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return "" if kind.startswith(MEDIA_TYPES) else f"not media: {kind or 'no type'}"


def _saved(upload: Upload, answer: requests.Response, until: float) -> str:
    upload.received = 0
    with file_of(upload).open("wb") as target:
        for piece in answer.iter_content(PIECE):
            upload.received += len(piece)
            if upload.received > LARGEST:
                return "too large"
            if time.monotonic() > until:
                return "unreachable"
            target.write(cast(bytes, piece))
    return ""


def head_of(upload: Upload, size: int = HEAD) -> bytes:
    """The first bytes."""
    file = file_of(upload)
    if not file.exists():
        return b""
    with file.open("rb") as stream:
        return stream.read(size)


def sniff(upload: Upload) -> str:
    """The real type by the first bytes, "" for one that no platform here takes."""
    return type_of(head_of(upload))


def type_of(head: bytes) -> str:
    """The type that the first bytes of a file tell."""
    for start, mime in STARTS.items():
        if head.startswith(start):
            return mime
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    return "video/webm" if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head else ""


STARTS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
}


def kind_of(mime: str) -> str:
    """`image`, `gif`, `video` or `document`, "" for anything else."""
    if mime in ("image/gif", "application/pdf"):
        return "gif" if mime == "image/gif" else "document"
    kind = mime.partition("/")[0]
    return kind if kind in ("image", "video") else ""


def medium(upload: Upload, alt: str = "") -> dict[str, Any]:
    """A finished upload as an entry of `Post.media`."""
    return {
        "kind": kind_of(upload.mime),
        "mime": upload.mime,
        "size": upload.received,
        "sha256": upload.sha256,
        "alt": alt,
    }


def forget(upload: Upload) -> None:
    """The upload and its bytes are gone."""
    file_of(upload).unlink(missing_ok=True)
    with world().state.writing():
        world().state.drop(upload)


def _make_room(here: World) -> None:
    """Let go of the oldest media, so that an installation that is used for long does not fill the disk."""
    everything = here.state.all(Upload)
    held = sum(upload.received for upload in everything)
    for upload in everything:
        if held <= KEPT_BYTES:
            return
        held -= upload.received
        forget(upload)
