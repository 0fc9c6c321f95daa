"""Files that arrive in pieces: what breaks on the way, a line, a page or a process, costs one piece at most.

The protocol, below `/w/<workspace>/uploads`, for the person who began the upload and nobody else:

* `POST` with the fields `name`, `size` and, for the library, `keep=yes`: 201 with the upload's address in `Location`;
  or 422 with the reason, before any byte is sent: larger than a file may be, than the workspace's storage or the disk
  has left.
* `PATCH <address>` with `Upload-Offset` and the bytes from there: `PIECE` of them, or what is left where that is less.
  409 where the offset is another one; `Upload-Offset` of the answer is the right one. A piece that came short counts
  for nothing.
* `HEAD` or `GET <address>`: the offset, and what became of it.
* `DELETE <address>`: it ends, and its bytes go.

Every answer but those to `HEAD` and `DELETE` is JSON: `offset`, `size`, `state` (`receiving`, `looking`, `done`,
`refused`), the `problem` in words, and once it is done the file. What is whole is measured at once where it is small,
else by a worker.

A piece lies in the media store under a key of its own, so that every machine finds it. The row tells how many count.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from flask import abort, current_app, g
from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy import delete as delete_rows

from . import media, media_store
from .config import Config
from .database import alone, release, took, writing
from .extensions import db
from .media import MEGABYTE, UPLOADS, AlreadySettled, NotKept, Refused
from .media_store import Missing, Unavailable, beside
from .models import Upload, User, Workspace, new_id
from .outside import now as present

log = logging.getLogger("socialconsole.media")

PIECE = 4 * MEGABYTE
SMALL = 16 * MEGABYTE  # measured while the person waits; what is larger is a worker's
MOST_OPEN = 100  # of one person: one that is given up is cleared away after `LIFE`
LIFE = timedelta(hours=24)  # since the last piece
LOOK = timedelta(minutes=5)  # then whoever began to measure it has ended
MOST_LOOKS = 3
MOST_AT_ONCE = 20
RECEIVING, LOOKING, DONE, REFUSED = "receiving", "looking", "done", "refused"


class WrongOffset(Exception):
    """The piece does not begin where the last one that counts ended, or the upload is whole."""


class WrongPiece(Refused):
    """A piece of another length than the protocol says, or that came short."""


def state(upload: Upload) -> str:
    """How it stands: receiving, looking, done or refused."""
    if upload.refused:
        return REFUSED
    if upload.media_id:
        return DONE
    return LOOKING if upload.received >= upload.size else RECEIVING


# ---------------------------------------------------------------- beginning and ending


def begin(workspace: Workspace, user: User, name: str, size: int, *, kept: bool = False) -> Upload:
    """Make room for a file of `size` bytes. Raises Refused, before any byte came.

    `kept`: what comes of it stays in the library.
    """
    name = media.tidy_name(name)
    _check_size(name, size)
    now = present()
    with writing() as session:
        alone("storage", workspace.id)
        if why := media.storage(workspace).why_not(name, size):
            raise Refused(why)
        mine = select(func.count()).select_from(Upload).where(Upload.user_id == user.id, _is_open())
        if int(session.scalar(mine) or 0) >= MOST_OPEN:
            raise Refused(f"{MOST_OPEN} of your uploads are under way already. Wait for them, or cancel some under "
                          "Media.")
        upload = Upload(id=new_id("upl"), workspace_id=workspace.id, user_id=user.id, name=name, size=size, received=0,
                        is_kept=kept, created_at=now, touched_at=now)
        session.add(upload)
    return upload


def _check_size(name: str, size: int) -> None:
    """Refuse what can never arrive: nothing, too much, more than the disk has room for."""
    if size < 1:
        raise Refused(f"{name or 'The file'} is empty (0 bytes). Choose it again.")
    config: Config = current_app.extensions["config"]
    if size > config.media_max_bytes:
        raise Refused(media.too_large(name))
    coming = db.session.scalar(select(func.coalesce(func.sum(Upload.size - Upload.received), 0)).where(_is_open()))
    room = media_store.free(media.made_folder("")) - media.LEAST_FREE - int(coming or 0)
    if size * (2 if size > PIECE else 1) > room:  # pieces are put together beside themselves
        raise Refused(f"{name or 'The file'} has {media.size_in_words(size)}, and the console's disk has not enough "
                      "room left for it. Make it smaller, or tell the person who runs this console.")


def cancel(upload: Upload) -> None:
    """End an upload; a file that came of it stays."""
    with writing() as session:
        session.execute(delete_rows(Upload).where(Upload.id == upload.id))
    _forget_pieces(upload.workspace_id, upload.id)


# ---------------------------------------------------------------- reading


def one(workspace: Workspace, user: User, upload_id: str) -> Upload:
    """One upload of this person; 404 for anybody else's, as for none."""
    found = db.session.scalar(select(Upload).where(
        Upload.id == upload_id, Upload.workspace_id == workspace.id, Upload.user_id == user.id))
    if found is None:
        abort(404)
    return found


def unfinished(workspace: Workspace, user: User) -> list[Upload]:
    """What this person began and is not whole or not measured yet, the newest first.

    What nothing of has arrived is left out: there is nothing to go on from, as after a file that was cancelled while
    its address was on the way.
    """
    return list(db.session.scalars(select(Upload).where(
        Upload.user_id == user.id, Upload.workspace_id == workspace.id, _is_open(), Upload.received > 0)
        .order_by(Upload.id.desc())))


def _is_open() -> ColumnElement[bool]:
    return and_(Upload.media_id.is_(None), Upload.refused == "")


# ---------------------------------------------------------------- pieces


def length_at(upload: Upload, offset: int) -> int:
    """How many bytes the piece at an offset has."""
    return min(PIECE, upload.size - offset)


def receive(upload: Upload, offset: int, stream: IO[bytes]) -> None:
    """Take the piece at an offset. Raises WrongOffset, WrongPiece and Unavailable; then nothing counts."""
    if state(upload) != RECEIVING or offset != upload.received:
        raise WrongOffset
    upload_id, workspace_id, length = upload.id, upload.workspace_id, length_at(upload, offset)
    folder = media.made_folder(f"{workspace_id}/{UPLOADS}")
    release()
    with beside(folder) as part:
        digest = _copied(stream, part, length)
        if db.session.scalar(select(Upload.received).where(Upload.id == upload_id)) != offset:
            raise WrongOffset  # another writer was quicker: its piece stays
        release()
        media.claimed().put(_key(workspace_id, upload_id, offset), part, digest)
    with writing():
        if not took(update(Upload).where(Upload.id == upload_id, Upload.received == offset, _is_open())
                    .values(received=offset + length, touched_at=present())):
            raise WrongOffset


def _copied(stream: IO[bytes], part: Path, length: int) -> str:
    """Write `length` bytes of the stream to a file; their checksum. Raises WrongPiece."""
    digest, left = hashlib.sha256(), length
    with part.open("wb") as out:
        while left and (some := stream.read(min(64 * 1024, left))):
            left -= len(some)
            digest.update(some)
            out.write(some)
    if left or stream.read(1):
        raise WrongPiece(f"A piece of this upload has {length:,} bytes.")
    return digest.hexdigest()


def _key(workspace_id: str, upload_id: str, offset: int) -> str:
    return f"{workspace_id}/{UPLOADS}/{upload_id}-{offset // PIECE:06}"


def _forget_pieces(workspace_id: str, upload_id: str) -> None:
    """Remove the pieces; those that cannot be removed now are swept like any file that no row knows."""
    store = media_store.current()
    release()
    with suppress(Unavailable):
        for key in store.copies(f"{workspace_id}/{UPLOADS}/{upload_id}-"):
            store.delete(key)


# ---------------------------------------------------------------- once it is whole


def waiting(now: datetime) -> list[str]:
    """Whole uploads that nobody measures at the moment."""
    return list(db.session.scalars(select(Upload.id).where(
        Upload.received >= Upload.size, _is_open(), or_(Upload.looks == 0, Upload.touched_at < now - LOOK)
    ).order_by(Upload.id).limit(MOST_AT_ONCE)))


def finish(upload_id: str) -> None:
    """Make a file of a whole upload, or say why there is none. May run twice: one of them does it."""
    upload = db.session.get(Upload, upload_id, populate_existing=True)
    if upload is None or state(upload) != LOOKING:
        return
    looks = upload.looks + 1
    if not _is_mine(upload_id, looks):
        return
    workspace, user = db.session.get_one(Workspace, upload.workspace_id), db.session.get_one(User, upload.user_id)
    if looks > MOST_LOOKS:  # a file that ends whoever looks at it
        _refuse(upload, f"{upload.name or 'The file'} could not be read. Export it once more, or choose another.")
        return
    g.setdefault("user", user)  # whose change it is, where a worker makes it
    try:
        with beside(media.made_folder(workspace.id)) as part:
            _join(upload, part)
            media.keep(workspace, user, part, upload.name, kept=upload.is_kept, upload_id=upload_id)
    except Missing:
        return
    except (NotKept, Unavailable):  # the storage is away: the pieces stay, and a worker tries again
        log.warning("an upload waits for the storage", extra={"upload": upload_id})
        return
    except AlreadySettled:
        return
    except Refused as wrong:
        _refuse(upload, str(wrong))
        return
    _forget_pieces(workspace.id, upload_id)


def _is_mine(upload_id: str, looks: int) -> bool:
    """Whether this caller is the one that measures it now."""
    now = present()
    with writing():
        return took(update(Upload).where(
            Upload.id == upload_id, _is_open(), Upload.looks == looks - 1,
            or_(Upload.looks == 0, Upload.touched_at < now - LOOK)).values(looks=looks, touched_at=now))


def _join(upload: Upload, part: Path) -> None:
    """Put the pieces together. Raises Missing where one was lost; then the upload goes on from there."""
    store = media_store.current()
    offsets = range(0, upload.size, PIECE)
    keys = [(offset, _key(upload.workspace_id, upload.id, offset), length_at(upload, offset)) for offset in offsets]
    release()
    with part.open("wb") as out:
        for offset, key, length in keys:
            try:
                path = store.local(key, length)
                if path.stat().st_size != length:
                    raise Missing
            except Missing:
                _go_back(upload, offset)
                raise
            for some in _pieces_of(path):
                out.write(some)


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while some := stream.read(MEGABYTE):
            yield some


def _go_back(upload: Upload, offset: int) -> None:
    with writing():
        took(update(Upload).where(Upload.id == upload.id, _is_open()).values(
            received=offset, looks=0, touched_at=present()))


def _refuse(upload: Upload, why: str) -> None:
    workspace_id, upload_id = upload.workspace_id, upload.id
    with writing():
        took(update(Upload).where(Upload.id == upload_id, _is_open()).values(refused=why))
    _forget_pieces(workspace_id, upload_id)


# ---------------------------------------------------------------- cleaning up


def tidy(now: datetime) -> int:
    """Remove uploads that nobody went on with for a day, and the notes of those that ended; returns how many."""
    old = db.session.execute(select(Upload.id, Upload.workspace_id).where(
        Upload.touched_at < now - LIFE).limit(media.MOST_AT_ONCE)).all()
    db.session.commit()
    for upload_id, workspace_id in old:
        with writing() as session:
            session.execute(delete_rows(Upload).where(Upload.id == upload_id, Upload.touched_at < now - LIFE))
        _forget_pieces(workspace_id, upload_id)
    return len(old)
