"""A worker makes the thumbnails: of pictures here, of videos in a process with bounds that ends with its file.

The web decodes no video. A file that ends whoever looks at it is given up after a few looks.
"""

import logging
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update

from . import converting, media, media_store
from .database import release, took, writing
from .extensions import db
from .media import NO_PICTURE, THUMBNAIL_SIDE
from .media_store import Missing
from .models import Media
from .outside import now as present
from .providers.content import GIF, IMAGE, VIDEO

log = logging.getLogger("socialconsole.media")

SECONDS = 30.0  # for one video, whatever it does
MOST_LOOKS = 3
MOST_AT_ONCE = 20
PROGRAM = Path(__file__).with_name("video_frame.py")
DEMUXERS = {"video/mp4": "mov", "video/quicktime": "mov", "video/webm": "matroska", "video/x-matroska": "matroska",
            "video/mp2t": "mpegts"}


def waiting(but: Sequence[str] = ()) -> list[str]:
    """Files whose thumbnail nobody made yet, without those that somebody was called for already; the newest first."""
    return list(db.session.scalars(
        select(Media.id).where(Media.thumbnail_at.is_(None), Media.id.not_in(but))
        .order_by(Media.id.desc()).limit(MOST_AT_ONCE)))


def make(media_id: str) -> None:
    """Make the thumbnail of a file, or note that there is none to make. Raises Unavailable; then it is tried again."""
    stored = db.session.get(Media, media_id, populate_existing=True)
    if stored is None or stored.thumbnail_at is not None:
        return
    looks = stored.looks + 1
    with writing():  # before anything is read: whatever that does to this process, it was counted
        if not took(update(Media).where(Media.id == media_id, Media.looks == looks - 1).values(looks=looks)):
            return
    plain = _small(stored) if looks <= MOST_LOOKS else None
    if plain is not None:
        release()
        target = media.folder() / media.thumbnail_key(stored)
        converting.write(target, plain)
        media_store.current().share(media.thumbnail_key(stored))
    _note(stored.id, there_is_one=plain is not None)


def _small(stored: Media) -> bytes | None:
    """The thumbnail; None where there is none to make. Raises Unavailable."""
    kind, type = stored.kind, stored.type
    try:
        path = media.local(stored)
    except Missing:
        return None
    if kind in (IMAGE, GIF):
        try:
            return converting.thumbnail(path, type, THUMBNAIL_SIDE)
        except converting.NotFitting:
            return None
    return _frame(path, type) if kind == VIDEO and type in DEMUXERS else None


def _frame(path: Path, type: str) -> bytes | None:
    try:
        done = subprocess.run([sys.executable, "-I", str(PROGRAM), str(path), DEMUXERS[type], str(THUMBNAIL_SIDE)],
                              stdin=subprocess.DEVNULL, env={}, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        log.warning("a video took too long for a thumbnail", extra={"file": path.name})
        return None
    return done.stdout if done.returncode == 0 and done.stdout.startswith(b"\xff\xd8") else None


def _note(media_id: str, *, there_is_one: bool) -> None:
    now: datetime = present()
    with writing() as session:
        stored = session.get(Media, media_id, populate_existing=True)
        if stored is not None:
            stored.thumbnail_at = now
            if not there_is_one:
                stored.facts = {**(stored.facts or {}), NO_PICTURE: True}
