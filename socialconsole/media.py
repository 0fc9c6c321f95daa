"""Files of a workspace: stored, measured, converted for a platform, handed out while a delivery needs them.

The bytes lie in a `media_store` under the workspace and the file's id; a name that somebody typed is never a path.
Calls of this module that read or convert bytes stand outside of transactions.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from flask import abort, current_app
from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import DBAPIError

from . import audit, converting, guarded, locations, measuring, media_store
from .config import Config
from .containers import CutOff
from .database import alone, release, took, writing
from .extensions import db
from .measuring import Measured, NotUsable
from .media_store import MediaStore, Missing, Unavailable, beside
from .models import (
    FINAL,
    HELD,
    SENT,
    UNCONFIRMED,
    UNSENT,
    Delivery,
    Installation,
    Media,
    MediaLink,
    MediaUse,
    Post,
    Series,
    Upload,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .outside import secret
from .providers.content import DOCUMENT, GIF, IMAGE, VIDEO, File, Format
from .vault import Vault

log = logging.getLogger("socialconsole.media")

PIECE = 1024 * 1024
MEGABYTE = 1024 * 1024
LEAST_FREE = 500 * MEGABYTE  # the database lies on the same disk more often than not
LONGEST_NAME = 200
LONGEST_ALT = 5000
THUMBNAIL_SIDE = 320
KEPT = timedelta(hours=24)  # files that no post needs
SERVED_FOR = timedelta(days=3)  # after it was sent, for a delivery that nobody follows any more
MOST_AT_ONCE = 200  # files cleaned up in one go
FETCH_SECONDS = 120.0
AT_ONCE = 500  # ids in one query
CONSOLE = "media_console"
VARIANTS, PREVIEWS, UPLOADS = "variants", "previews", "uploads"
MOST_NAMED = 20  # posts that stand in the way of deleting a file
NO_PICTURE = "no_picture"  # in a file's facts: there is no thumbnail to make
# The keys that this console gives its files and their copies; nothing else in a store is ever removed.
OURS = re.compile(r"wsp_\w+/(?:variants/|uploads/)?((?:med|upl)_\w+)(?:-[\w.]+)?")
ENDINGS = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/bmp": "bmp",
    "image/tiff": "tiff", "video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm",
    "video/x-matroska": "mkv", "video/mp2t": "ts", "application/pdf": "pdf", "application/msword": "doc",
    "application/vnd.ms-powerpoint": "ppt", measuring.DOCX: "docx", measuring.PPTX: "pptx"}


class Refused(Exception):
    """A file that cannot be taken or used; the message says why."""


class NotKept(Refused):
    """Nothing is wrong with the file; the storage is away for a moment."""


class StillNeeded(Refused):
    """A file that cannot be deleted yet: these posts, or these repeating posts, need it."""

    def __init__(self, why: str, posts: Sequence[Post] = (), series: Sequence[Series] = ()) -> None:
        super().__init__(why)
        self.posts, self.series = posts, series


class AlreadySettled(Exception):
    """Somebody else made a file of this upload, or ended it."""


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# ---------------------------------------------------------------- how much a workspace may keep


@dataclass(frozen=True)
class Storage:
    """What the files of a workspace take and may take, in bytes; uploads under way count in full."""

    used: int
    limit: int

    @property
    def left(self) -> int:
        """How many bytes may still come."""
        return max(0, self.limit - self.used)

    @property
    def words(self) -> str:
        """As people read it: "1.2 GB of 20 GB"."""
        return f"{size_in_words(self.used) if self.used else '0 KB'} of {size_in_words(self.limit)}"

    def why_not(self, name: str, size: int) -> str:
        """Why a file of this size finds no room, and who can help; empty where it does."""
        if size <= self.left:
            return ""
        room = f"has {size_in_words(self.left)} left" if self.left >= MEGABYTE else "is full"
        return (f"{name or 'The file'} has {size_in_words(size)}, and this workspace {room}: it keeps {self.words}. "
                "Delete files that nobody needs any more under Media, or ask a platform admin of this console to raise "
                "the limit.")


def storage(workspace: Workspace) -> Storage:
    """How much of its storage a workspace uses."""
    kept = select(func.coalesce(func.sum(Media.size), 0)).where(Media.workspace_id == workspace.id)
    coming = select(func.coalesce(func.sum(Upload.size), 0)).where(
        Upload.workspace_id == workspace.id, Upload.media_id.is_(None), Upload.refused == "")
    used = int(db.session.scalar(kept) or 0) + int(db.session.scalar(coming) or 0)
    limit = workspace.storage_limit
    return Storage(used, _config().media_workspace_bytes if limit is None else limit)


# ---------------------------------------------------------------- taking files in


def store(workspace: Workspace, user: User, stream: IO[bytes], name: str, *, kept: bool = False) -> Media:
    """Keep an uploaded file, measured and without the place where it was made. Raises Refused.

    `kept`: it stays in the library until somebody deletes it, whether or not a post needs it.
    """
    name = tidy_name(name)
    folder = made_folder(workspace.id)
    _need_space(folder)
    room = storage(workspace)
    release()
    with beside(folder) as part:
        _take(stream, part, name, room)
        return keep(workspace, user, part, name, kept=kept)


def from_address(workspace: Workspace, user: User, address: str, *, kept: bool = False) -> Media:
    """Keep a file that lies at an address on the internet. Raises Refused."""
    config, folder = _config(), made_folder(workspace.id)
    _need_space(folder)
    with beside(folder) as part:
        try:
            found = guarded.get(address, most_bytes=config.media_max_bytes, seconds=FETCH_SECONDS, into=part,
                                networks=config.private_networks,
                                bases=(config.sandbox_url,) if config.sandbox else ())
        except guarded.Refused as refused:
            raise Refused(str(refused)) from None
        if found.status != 200:
            raise Refused(f"There is no file at this address: the server answered {found.status}. Open the address in "
                          "a browser to see what is there.")
        if found.type in ("text/html", "application/xhtml+xml"):
            raise Refused("This address leads to a web page, not to a file. Use the address of the picture or video "
                          "itself.")
        return keep(workspace, user, part, _last_of(address), kept=kept)


def _last_of(address: str) -> str:
    """What an address calls its file; it was fetched, so it can be read."""
    return tidy_name(unquote(urlsplit(address.strip()).path).rpartition("/")[2]) or "The file"


def keep(workspace: Workspace, user: User, part: Path, name: str, *, kept: bool = False, upload_id: str = "") -> Media:
    """Keep a finished file that lies on this machine; `upload_id`: what it arrived as. The file at `part` is used up.

    Raises Refused, and AlreadySettled where the upload came to its end meanwhile.
    """
    try:
        measured = measuring.measure(part, name)
    except NotUsable as wrong:
        raise Refused(str(wrong)) from None
    with beside(part.parent) as clean:
        source = clean if _cleaned(part, measured, clean, name) else part
        media = _row(workspace, user, source, name, measured)
        media.is_kept = kept
        release()
        try:
            claimed().put(_key(media), source, media.sha256)
        except Unavailable as away:
            raise NotKept(f"{name or 'The file'} was not kept. {away.message}") from None
    _write_row(media, workspace, upload_id)
    _trim()
    return media


def _cleaned(part: Path, found: Measured, clean: Path, name: str) -> bool:
    try:
        return locations.cleaned(part, found.type, clean)
    except CutOff as cut:
        raise Refused(f"{name or 'The file'} cannot be read: {cut}. Export it once more.") from None


def _write_row(media: Media, workspace: Workspace, upload_id: str) -> None:
    """Commit the row of a file whose bytes are kept; without a row, no bytes. Raises Refused and AlreadySettled."""
    try:
        with writing() as session:
            alone("storage", workspace.id)  # two files that arrive at once must not both find the last room
            if why := storage(workspace).why_not(media.name, media.size) if not upload_id else "":
                raise Refused(why)
            session.add(media)
            session.flush()
            if upload_id and not took(update(Upload).where(
                    Upload.id == upload_id, Upload.media_id.is_(None), Upload.refused == "").values(media_id=media.id)):
                raise AlreadySettled
            audit.record("media.stored", "media", media.id, f"Uploaded {media.name or 'a file'}",
                         workspace_id=workspace.id, name=media.name, kind=media.kind, size=media.size)
    except DBAPIError:  # the commit may have arrived all the same: bytes without a row are swept later
        raise
    except BaseException:
        _unlink(workspace.id, media.id)
        raise


def _row(workspace: Workspace, user: User, path: Path, name: str, found: Measured) -> Media:
    return Media(id=new_id("med"), workspace_id=workspace.id, user_id=user.id, kind=found.kind, type=found.type,
                 name=name, size=path.stat().st_size, sha256=_sha256(path), width=found.width, height=found.height,
                 seconds=found.seconds, frame_rate=found.frame_rate, frames=found.frames, pages=found.pages,
                 facts=found.facts, alt_text="", created_at=present(),
                 thumbnail_at=present() if found.kind == DOCUMENT else None)


def folder() -> Path:
    """Where files that are worked with lie on this machine."""
    return media_store.current().folder


def made_folder(name: str) -> Path:
    """A folder below it, made if need be."""
    made = folder() / name
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def _need_space(folder: Path) -> None:
    if media_store.free(folder) < LEAST_FREE:
        raise Refused("The console's disk is nearly full, so it takes no files. Tell the person who runs this console.")


def _take(stream: IO[bytes], part: Path, name: str, room: Storage) -> None:
    most, taken = _config().media_max_bytes, 0
    with part.open("wb") as out:
        while piece := stream.read(PIECE):
            taken += len(piece)
            if taken > most:
                raise Refused(too_large(name))
            if why := room.why_not(name, taken):
                raise Refused(why)
            if taken // PIECE % 64 == 0:
                _need_space(part.parent)
            out.write(piece)


def too_large(name: str) -> str:
    """What is said about a file with more bytes than the console takes."""
    return (f"{name or 'The file'} is larger than the {_config().media_max_bytes // MEGABYTE:,} MB that this console "
            "takes. Make it smaller.")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tidy_name(name: str) -> str:
    """The last part of a name, printable and not too long: it is shown, and never used on disk."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in last).split())
    stem, dot, ending = plain.rpartition(".")
    room = LONGEST_NAME - len(dot + ending)
    return (stem[:room] + dot + ending)[:LONGEST_NAME] if stem and room > 0 else plain[:LONGEST_NAME]


# ---------------------------------------------------------------- reading and changing


def one(workspace: Workspace, media_id: str) -> Media:
    """One file of a workspace; 404 for a stranger's, as for none."""
    found = db.session.scalar(select(Media).where(Media.id == media_id, Media.workspace_id == workspace.id))
    if found is None:
        abort(404)
    return found


def some(workspace: Workspace, ids: Sequence[str]) -> list[Media]:
    """Files of a workspace in the order asked; 404 if one is not there."""
    found = {stored.id: stored for stored in still_there(workspace, ids)}
    if not set(ids) <= set(found):
        abort(404)
    return [found[media_id] for media_id in ids]


def still_there(workspace: Workspace, ids: Sequence[str]) -> list[Media]:
    """Those of these files that were not deleted meanwhile, in the order asked."""
    found = {media.id: media for media in db.session.scalars(
        select(Media).where(Media.id.in_(set(ids)), Media.workspace_id == workspace.id))} if ids else {}
    return [found[media_id] for media_id in ids if media_id in found]


def path_of(stored: Media) -> Path:
    """Where the bytes lie, or will once they are fetched to this machine."""
    return folder() / _key(stored)


def _key(stored: Media) -> str:
    return f"{stored.workspace_id}/{stored.id}"


def file_of(stored: Media, alt_text: str | None = None) -> File:
    """A stored file as providers see it."""
    return File(stored.id, stored.kind, stored.type, stored.size, path_of(stored), name=stored.name,
                sha256=stored.sha256, width=stored.width, height=stored.height, seconds=stored.seconds,
                frame_rate=stored.frame_rate, frames=stored.frames, pages=stored.pages,
                alt_text=stored.alt_text if alt_text is None else alt_text)


def alt(stored: Media, text: str, user: User) -> None:
    """Say what a picture shows. Raises Refused."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_ALT:
        raise Refused(f"This description is {len(text) - LONGEST_ALT:,} characters too long. Shorten it.")
    with writing() as session:
        session.get_one(Media, stored.id, populate_existing=True).alt_text = text
        audit.record("media.described", "media", stored.id, "Described a picture", workspace_id=stored.workspace_id,
                     name=stored.name)


def use(workspace: Workspace, post_id: str, ids: Sequence[str], now: datetime) -> None:
    """Note that a post needs these files. Inside `writing()`."""
    there = set(db.session.scalars(select(MediaUse.media_id).where(MediaUse.post_id == post_id)))
    for stored in some(workspace, list(dict.fromkeys(ids))):
        stored.used_at = now
        if stored.id not in there:
            db.session.add(MediaUse(post_id=post_id, media_id=stored.id))


def keep_in_library(stored: Media, is_kept: bool) -> None:
    """Let a file stay until somebody deletes it, or go a day after the last post needed it."""
    with writing() as session:
        session.get_one(Media, stored.id, populate_existing=True).is_kept = is_kept
        audit.record("media.kept" if is_kept else "media.let_go", "media", stored.id,
                     "Keeps a file in the library" if is_kept else "Keeps a file no longer than a post needs it",
                     workspace_id=stored.workspace_id, name=stored.name)


def delete(stored: Media, user: User) -> None:
    """Delete a file for good. Raises StillNeeded while a post that has not gone out or a series that goes on needs it.
    """
    with writing() as session:
        refuse_needed(stored)
        session.execute(delete_rows(MediaUse).where(MediaUse.media_id == stored.id))
        session.execute(delete_rows(MediaLink).where(MediaLink.media_id == stored.id))
        session.execute(delete_rows(Media).where(Media.id == stored.id))
        audit.record("media.deleted", "media", stored.id, f"Deleted {stored.name or 'a file'}",
                     workspace_id=stored.workspace_id, name=stored.name)
    _unlink(stored.workspace_id, stored.id)


def refuse_needed(stored: Media) -> None:
    """Raise StillNeeded if a post or a series would lose this file."""
    mine = select(MediaUse.post_id).where(MediaUse.media_id == stored.id)
    posts = list(db.session.scalars(select(Post).where(
        Post.id.in_(mine), or_(Post.state.in_(UNSENT), exists().where(
            Delivery.post_id == Post.id, Delivery.state.not_in(FINAL)))).order_by(Post.id.desc()).limit(MOST_NAMED)))
    if any(post.state not in UNSENT for post in posts):
        raise StillNeeded("A post that has not gone out yet needs this file. Cancel the post first.", posts)
    if posts:
        raise StillNeeded("A draft needs this file. Take the file out of it, or delete the draft first.", posts)
    series = list(db.session.scalars(select(Series).where(
        Series.id.in_(select(Post.series_id).where(Post.id.in_(mine))), Series.next_at.is_not(None)).limit(MOST_NAMED)))
    if series:
        raise StillNeeded("A repeating post needs this file for its next times. Stop the repeating post first.",
                          series=series)


def _unlink(workspace_id: str, media_id: str) -> None:
    """Remove a file and its copies; what cannot be removed now is found as an orphan later."""
    store = media_store.current()
    with suppress(Unavailable):
        for key in (f"{workspace_id}/{media_id}", *store.copies(f"{workspace_id}/{VARIANTS}/{media_id}-")):
            store.delete(key)


def facts_in_words(stored: Media) -> str:
    """What was measured, in a line for people: "JPEG, 1,200 × 800, 340 KB"."""
    parts = [ENDINGS.get(stored.type, stored.type).upper().replace("JPG", "JPEG")]
    if stored.width:
        parts.append(f"{stored.width:,} × {stored.height:,}")
    if stored.seconds:
        parts.append(_length(stored.seconds))
    if stored.kind == VIDEO and stored.frame_rate:
        parts.append(f"{stored.frame_rate:.3g} frames per second")
    if stored.frames > 1:
        parts.append(f"{stored.frames:,} frames")
    if stored.pages:
        parts.append(f"{stored.pages:,} page{'' if stored.pages == 1 else 's'}")
    return ", ".join((*parts, size_in_words(stored.size)))


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02} h"
    return f"{minutes}:{rest:02} min" if minutes else f"{seconds:.2g} s"


def size_in_words(size: int) -> str:
    """A number of bytes for people: "340 KB", "1.2 GB"."""
    if size >= 1024 * MEGABYTE:
        return f"{size / 1024 / MEGABYTE:.3g} GB"
    return f"{size / MEGABYTE:.3g} MB" if size >= MEGABYTE else f"{max(1, round(size / 1024))} KB"


# ---------------------------------------------------------------- copies


def has_thumbnail(stored: Media) -> bool:
    """Whether there is a thumbnail to show: of a picture at once, of a video once a worker made it."""
    if stored.kind in (IMAGE, GIF):
        return True
    return stored.thumbnail_at is not None and stored.kind == VIDEO and not (stored.facts or {}).get(NO_PICTURE)


def thumbnail_key(stored: Media) -> str:
    """The key of a file's thumbnail in the store."""
    return f"{stored.workspace_id}/{VARIANTS}/{stored.id}-small.jpg"


def thumbnail(stored: Media) -> Path | None:
    """A small JPEG; None where there is none to show. Raises Unavailable.

    A picture's is made here where no worker was quicker. Of a video nothing is decoded here: only a worker does that.
    """
    if not has_thumbnail(stored):
        return None
    target = folder() / thumbnail_key(stored)
    if target.exists():
        return target
    if stored.thumbnail_at is not None:
        release()
        with suppress(Missing):  # another machine may have made it
            return media_store.current().local(thumbnail_key(stored))
    if stored.kind not in (IMAGE, GIF):
        return None
    try:
        converting.write(target, converting.thumbnail(local(stored), stored.type, THUMBNAIL_SIDE))
    except (converting.NotFitting, Missing):
        return None
    return target


def local(stored: Media) -> Path:
    """The bytes of a file, on this machine. Raises Missing and Unavailable."""
    release()
    path = media_store.current().local(_key(stored), stored.size, stored.sha256)
    _trim()
    return path


def here(file: File, tick: Callable[[], None] = lambda: None) -> File:
    """A file whose bytes lie on this machine; `tick` runs now and then meanwhile. Raises Refused and Unavailable."""
    store = media_store.current()
    release()
    try:
        path = store.local(str(file.path.relative_to(store.folder)), file.size, file.sha256, tick)
    except Missing:
        raise Refused(f"{file.name or 'A file'} is not in the console's folder any more. "
                      "Upload it once more.") from None
    _trim()
    return file if path == file.path else replace(file, path=path)


def adapted(file: File, shown: Format, tick: Callable[[], None] = lambda: None) -> File:
    """A picture converted to what a format takes; everything else as it is. Raises Refused and Unavailable."""
    copies = file.path.parent / VARIANTS
    file = here(file, tick)
    if shown.image is None or file.kind != IMAGE:
        return file
    try:
        return converting.fitted(file, shown.image, copies)
    except converting.NotFitting as wrong:
        raise Refused(str(wrong)) from None


def _trim() -> None:
    """Keep the copies on this machine within their bound."""
    media_store.current().trim(_in_use)
    release()


def _in_use(ids: set[str]) -> set[str]:
    """Those of these files that a delivery is working with now."""
    wanted, found = sorted(ids), set[str]()
    for first in range(0, len(wanted), AT_ONCE):
        found |= set(db.session.scalars(
            select(MediaUse.media_id).join(Delivery, Delivery.post_id == MediaUse.post_id)
            .where(MediaUse.media_id.in_(wanted[first : first + AT_ONCE]), Delivery.lease_until.is_not(None))))
    return found


# ---------------------------------------------------------------- addresses for platforms


def linked(delivery_id: str, file: File) -> File:
    """A file with the address where a platform may fetch it while its delivery is under way. Raises Unavailable."""
    vault: Vault = current_app.extensions["vault"]
    variant = file.path.name if file.path.parent.name == VARIANTS else ""
    # Derived, not drawn: the same delivery and file have the same address at every attempt, and no row keeps it.
    token = base64.urlsafe_b64encode(vault.derive("media link", delivery_id, file.id, variant)).decode().rstrip("=")
    hashed = _hashed(token)
    if variant and db.session.get(MediaLink, hashed) is None:  # whichever host is asked for it must have it
        release()
        media_store.current().share(str(file.path.relative_to(folder())))
    with writing() as session:
        if session.get(MediaLink, hashed) is None:
            session.add(MediaLink(token_hash=hashed, media_id=file.id, delivery_id=delivery_id, variant=variant,
                                  type=file.type, created_at=present()))
    return replace(file, public_url=f"{_config().public_url}/media/{token}.{ENDINGS.get(file.type, 'bin')}")


def served(token: str) -> tuple[Path, str] | None:
    """The file behind an address and its type, while the delivery is under way; else None. Raises Unavailable."""
    found = db.session.execute(
        select(MediaLink, Media).join(Media, Media.id == MediaLink.media_id)
        .join(Delivery, Delivery.id == MediaLink.delivery_id)
        .where(MediaLink.token_hash == _hashed(token), Delivery.state.not_in((*FINAL, HELD)), _may_be_fetched())
    ).first()
    if found is None:
        return None
    link, stored = found
    try:
        if not link.variant:
            return local(stored), link.type
        release()
        return media_store.current().local(f"{stored.workspace_id}/{VARIANTS}/{link.variant}"), link.type
    except Missing:
        return None


def _may_be_fetched() -> ColumnElement[bool]:
    """Not for ever: what a platform accepted, or may have, is fetched soon or never, though its outcome stays open."""
    return or_(Delivery.state.not_in((SENT, UNCONFIRMED)), Delivery.due_at.is_not(None),
               Delivery.lease_until.is_not(None), Delivery.sent_at > present() - SERVED_FOR)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# ---------------------------------------------------------------- cleaning up


def tidy(now: datetime) -> int:
    """Remove what nobody needs: old files without a post, files without a row, addresses of settled deliveries."""
    before = now - KEPT
    unused = select(Media.id, Media.workspace_id).where(
        Media.is_kept.is_(False), Media.created_at < before, or_(Media.used_at.is_(None), Media.used_at < before),
        ~exists().where(MediaUse.media_id == Media.id)).limit(MOST_AT_ONCE)
    settled = select(MediaLink.token_hash).join(Delivery, Delivery.id == MediaLink.delivery_id).where(
        Delivery.state.in_(FINAL)).limit(MOST_AT_ONCE)
    if db.session.execute(unused).first() is None and db.session.execute(settled).first() is None:
        return _swept(before)  # the usual case asks for no write lock
    with writing() as session:
        old, links = session.execute(unused).all(), session.scalars(settled).all()
        session.execute(delete_rows(Media).where(Media.id.in_([media_id for media_id, _ in old])))
        session.execute(delete_rows(MediaLink).where(MediaLink.token_hash.in_(links)))
    for media_id, workspace_id in old:
        _unlink(workspace_id, media_id)
    return len(old) + len(links) + _swept(before)


def _swept(before: datetime) -> int:
    """Remove old files that no row knows, on this machine and beyond it; returns how many went."""
    gone = _sweep(folder(), before)
    release()
    with suppress(Unavailable):  # then the next time
        gone += sum(map(_sweep_keys, claimed().old(before)))
    _trim()
    return gone


def claimed() -> MediaStore:
    """The store, surely of this console alone: others would clean its files away, and it theirs. Raises Unavailable."""
    store = media_store.current()
    if store.shared and store.owner(mine := _console()) != mine:
        log.error("the bucket holds another console's files", extra={"next": "give MEDIA_S3_URL a prefix of its own"})
        raise Unavailable("The bucket holds another console's files. Give MEDIA_S3_URL a prefix of its own.")
    return store


def _console() -> str:
    """The name by which this console knows itself in a store that others might use too; made once."""
    found = db.session.get(Installation, CONSOLE)
    if found is None:
        with writing() as session:
            found = session.get(Installation, CONSOLE) or Installation(name=CONSOLE, text=secret(16))
            session.add(found)
    release()
    return found.text or ""


def _sweep_keys(keys: list[str]) -> int:
    """Remove those of these files in the store that no row knows."""
    ids = {key: found[1] for key in keys if (found := OURS.fullmatch(key))}
    known = _known(set(ids.values()))
    release()
    gone = [key for key, media_id in ids.items() if media_id not in known]
    for key in gone:
        media_store.current().delete(key)
    return len(gone)


def _sweep(folder: Path, before: datetime) -> int:
    """Remove old files on disk that no row knows: of a deleted workspace, or of a process that was killed."""
    aged = [path for path in folder.glob("*/**/*")
            if path.is_file() and path.stat().st_mtime < before.timestamp()] if folder.is_dir() else []
    # A copy is named after its file, `med_…-<rule>.jpg`, and a piece after its upload.
    ids = {path: path.name.partition("-")[0] for path in aged}
    known = _known({one for one in ids.values() if one.startswith(("med_", "upl_"))})
    gone = [path for path in aged if ids[path] not in known]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _known(ids: set[str]) -> set[str]:
    wanted, found = sorted(ids), set[str]()
    for first in range(0, len(wanted), AT_ONCE):
        some = wanted[first : first + AT_ONCE]
        for model in (Media, Upload):
            found |= set(db.session.scalars(select(model.id).where(model.id.in_(some))))
    return found


def shows_inline(type: str) -> bool:
    """Whether a browser may show this type by itself; everything else is only saved."""
    return type in ENDINGS and type.startswith(("image/", "video/"))
