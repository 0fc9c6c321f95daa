"""Files of a workspace, as programs add, read and delete them: whole, from an address, or in pieces."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from flask import current_app, request
from pydantic import Field
from sqlalchemy.exc import NoResultFound

from .. import library, media, public_ids, uploads
from ..config import Config
from ..extensions import db
from ..media_store import Unavailable
from ..models import Media, Upload
from .operations import Answer, Asked, heed, operation, tag
from .post_shapes import LONGEST_ALT
from .problems import Fault, Problem
from .shapes import Id, Instant, Paging, Shape, Text

FORM_ROOM = 1024 * 1024  # for the fields beside the file
RAW = ("application/octet-stream", "application/offset+octet-stream")
AGAIN_AFTER = "10"  # seconds
LARGEST = 10**15  # bytes that anybody may name
Alt = Annotated[Text, Field(max_length=LONGEST_ALT)]


class MediaShape(Shape):
    """A file with its measured facts. 0 or null: not measured, or it has none."""

    id: str
    workspace_id: str
    kind: str = Field(description="image, gif, video, document")
    type: str = Field(description="By its content, such as image/jpeg.")
    name: str
    size: int = Field(description="Bytes.")
    width: int
    height: int
    seconds: float | None
    frame_rate: float | None
    frames: int
    pages: int
    alt_text: str = Field(description="What it shows.")
    kept: bool = Field(description="It stays until somebody deletes it; else it goes a day after its last post.")
    sha256: str
    created_at: Instant


class MediaList(Shape):
    """A page of files, the newest first."""

    data: list[MediaShape]
    next_cursor: str | None


class MediaQuery(Paging):
    """Which files."""

    cursor: Id | None = Field(None, description="`nextCursor` of the page before.")
    kind: Literal["image", "gif", "video", "document"] | None = None
    words: Text | None = Field(None, max_length=100, description="Only those with this in their name or description.")
    unused: bool = Field(False, description="Only those that no post uses.")


class AddQuery(Shape):
    """What is said of a file that is added."""

    keep: bool = Field(False, description="It stays until somebody deletes it; else it goes a day after its last post.")


class AddressBody(Shape):
    """Where a file lies."""

    url: Text = Field(max_length=2000, description="An address of a picture, video or document itself.")
    keep: bool = False
    alt_text: Alt = ""


class MediaChange(Shape):
    """What is left out stays as it is."""

    alt_text: Alt | None = None
    kept: bool | None = None


class UploadBody(Shape):
    """A file that will arrive in pieces."""

    name: Text = Field("", max_length=1000)
    size: int = Field(ge=1, le=LARGEST, description="Bytes.")
    keep: bool = False


class UploadShape(Shape):
    """How far an upload is."""

    id: str
    name: str
    offset: int = Field(description="Where the next piece begins.")
    size: int
    piece: int = Field(description="Bytes of a piece; the last one has what is left.")
    state: str = Field(description="receiving, looking, done, refused")
    problem: str
    media: MediaShape | None = Field(description="What came of it, once it is done.")


def file(one: Media) -> MediaShape:
    """A file as it is told."""
    return MediaShape(
        id=one.id, workspace_id=public_ids.public(one.workspace_id), kind=one.kind, type=one.type, name=one.name,
        size=one.size, width=one.width, height=one.height, seconds=one.seconds, frame_rate=one.frame_rate,
        frames=one.frames, pages=one.pages, alt_text=one.alt_text, kept=one.is_kept, sha256=one.sha256,
        created_at=one.created_at)


@contextmanager
def refusals(field: str) -> Iterator[None]:
    """Tell what the service refuses as problems of the API, at this field."""
    try:
        yield
    except media.StillNeeded as why:
        raise Problem("conflict", str(why), posts=[public_ids.public(one.id) for one in why.posts]) from None
    except media.NotKept as away:
        raise Problem("unavailable", str(away), headers={"Retry-After": AGAIN_AFTER}) from None
    except media.Refused as wrong:
        raise Problem("invalid", str(wrong), [Fault(field, str(wrong))]) from None
    except Unavailable as away:
        raise Problem("unavailable", away.message, headers={"Retry-After": AGAIN_AFTER}) from None
    except NoResultFound:  # deleted at this moment
        raise Problem("not_found") from None


# ---------------------------------------------------------------- reading


@operation("GET", "/media", "see", "media", "The files of the workspace", query=MediaQuery, answer=MediaList)
def list_media(asked: Asked) -> MediaList:
    """The newest first."""
    query: MediaQuery = asked.query
    shelf = library.shelf(asked.place, words=(query.words or "").strip(), kind=query.kind or "", unused=query.unused,
                          before=query.cursor or "", limit=query.limit)
    return MediaList(data=[file(one) for one in shelf.files], next_cursor=shelf.next)


@operation("GET", "/media/{mediaId}", "see", "media", "One file", answer=MediaShape, is_tagged=True)
def get_media(asked: Asked) -> MediaShape:
    """What is known of it; not its bytes."""
    return file(media.one(asked.place, asked.ids["mediaId"]))


# ---------------------------------------------------------------- adding


@operation("POST", "/media", "compose", "media", "Add a file", query=AddQuery, answer=MediaShape, status=201,
           takes_files=True, problems=("unavailable",))
def add_media(asked: Asked) -> MediaShape:
    """One file, as multipart/form-data in the field `file`. Where it was made is taken out of it.

    Large files break off less often in pieces, see beginUpload.
    """
    if request.mimetype != "multipart/form-data":
        raise Problem("unsupported_media_type", "Send multipart/form-data with one file in the field `file`.")
    config: Config = current_app.extensions["config"]
    request.max_content_length = config.media_max_bytes + FORM_ROOM
    given = request.files.getlist("file")
    if len(given) != 1 or len(list(request.files.items(multi=True))) != 1 or request.form:
        raise Problem("invalid", "One file is taken at a time.", [
            Fault("file", "Send exactly one file in this field, and no other field.")])
    with refusals("file"):
        return file(media.store(asked.place, asked.user, given[0].stream, given[0].filename or "",
                                kept=asked.query.keep))


@operation("POST", "/media/from-url", "compose", "media", "Add a file from an address", body=AddressBody,
           answer=MediaShape, status=201, problems=("unavailable",))
def add_media_from_url(asked: Asked) -> MediaShape:
    """The console fetches it once, from the public internet only."""
    with refusals("url"):
        stored = media.from_address(asked.place, asked.user, asked.body.url, kept=asked.body.keep)
        if asked.body.alt_text.strip():
            media.alt(stored, asked.body.alt_text, asked.user)
        return file(media.one(asked.place, stored.id))


# ---------------------------------------------------------------- changing


@operation("PATCH", "/media/{mediaId}", "compose", "media", "Describe or keep a file", body=MediaChange,
           answer=MediaShape, is_tagged=True)
def change_media(asked: Asked) -> MediaShape:
    """What a picture shows, and whether it stays in the library."""
    stored = _one(asked)
    with refusals("altText"):
        if asked.body.alt_text is not None:
            media.alt(stored, asked.body.alt_text, asked.user)
        if asked.body.kept is not None:
            media.keep_in_library(stored, asked.body.kept)
    return file(media.one(asked.place, stored.id))


@operation("DELETE", "/media/{mediaId}", "compose", "media", "Delete a file", is_tagged=True, status=204,
           problems=("conflict",))
def delete_media(asked: Asked) -> None:
    """For good. Refused (409) while a post that has not gone out, or a repeating one, needs it."""
    stored = _one(asked)
    with refusals("mediaId"):
        media.delete(stored, asked.user)


def _one(asked: Asked) -> Media:
    """The file that is asked for, in the version that the request names."""
    stored = media.one(asked.place, asked.ids["mediaId"])
    heed(asked, tag(file(stored).model_dump_json(by_alias=True)))
    return stored


# ---------------------------------------------------------------- in pieces


@operation("POST", "/uploads", "compose", "media", "Begin an upload in pieces", body=UploadBody, answer=UploadShape,
           status=201)
def begin_upload(asked: Asked) -> Answer:
    """What is too large for the console, the workspace or the disk is refused before any byte is sent."""
    with refusals("size"):
        begun = uploads.begin(asked.place, asked.user, asked.body.name, asked.body.size, kept=asked.body.keep)
    return Answer(_upload(begun), headers={"Location": f"uploads/{begun.id}"})


@operation("PATCH", "/uploads/{uploadId}", "compose", "media", "Send a piece", answer=UploadShape, takes_raw=True,
           problems=("conflict", "unavailable", "unsupported_media_type"))
def send_piece(asked: Asked) -> UploadShape:
    """The bytes from `Upload-Offset` on: as many as `piece` says, or what is left.

    At another offset than the right one nothing is taken (409), and `offset` of the answer is the right one.
    """
    found = uploads.one(asked.place, asked.user, asked.ids["uploadId"])
    if request.mimetype not in RAW:
        raise Problem("unsupported_media_type", f"Send the bytes as they are, with Content-Type: {RAW[0]}.")
    request.max_content_length = uploads.PIECE + 1  # whoever reads up to the limit is refused already
    offset = request.headers.get("Upload-Offset", "")
    if not offset.isascii() or not offset.isdigit() or len(offset) > len(str(LARGEST)):
        raise Problem("malformed", "A piece says in Upload-Offset where it begins.")
    upload_id = found.id
    try:
        with refusals("file"):
            uploads.receive(found, int(offset), request.stream)
    except uploads.WrongOffset:
        now = _fresh(upload_id)
        raise Problem("conflict", "The next piece begins elsewhere.", offset=now.received,
                      state=uploads.state(now)) from None
    return _measured(upload_id)


def _measured(upload_id: str) -> UploadShape:
    """An upload after a piece; a small one that is whole is looked at at once."""
    found = _fresh(upload_id)
    if uploads.state(found) == uploads.LOOKING and found.size <= uploads.SMALL:
        uploads.finish(upload_id)
        found = _fresh(upload_id)
    return _upload(found)


@operation("GET", "/uploads/{uploadId}", "compose", "media", "How far an upload is", answer=UploadShape)
def get_upload(asked: Asked) -> UploadShape:
    """Where to go on, and what became of it."""
    return _upload(uploads.one(asked.place, asked.user, asked.ids["uploadId"]))


@operation("DELETE", "/uploads/{uploadId}", "compose", "media", "End an upload", status=204)
def end_upload(asked: Asked) -> None:
    """Its bytes go; a file that came of it stays."""
    uploads.cancel(uploads.one(asked.place, asked.user, asked.ids["uploadId"]))


def _fresh(upload_id: str) -> Upload:
    found = db.session.get(Upload, upload_id, populate_existing=True)
    if found is None:  # ended while its piece arrived
        raise Problem("not_found")
    return found


def _upload(found: Upload) -> UploadShape:
    made = db.session.get(Media, found.media_id) if found.media_id else None
    return UploadShape(id=found.id, name=found.name, offset=found.received, size=found.size, piece=uploads.PIECE,
                       state=uploads.state(found), problem=found.refused, media=file(made) if made else None)
