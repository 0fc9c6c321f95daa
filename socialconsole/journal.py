"""The journal beside the database: a renewed pair lies here, sealed and synced, before the database has to keep it.

Each process has a file of its own in the spool folder, made of slots. A frame is written into a free slot, synced
together with those of other threads, and blanked when the database has it. A lock on the file, which the kernel drops
when its process dies, tells a dead process's file from a living one's. What the frames are worth decides `tokens`.
"""

import fcntl
import json
import logging
import os
import threading
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from flask import current_app

from .providers.base import TokenSet
from .vault import Unreadable, Vault

log = logging.getLogger("socialconsole.journal")
_journals: "weakref.WeakSet[Journal]" = weakref.WeakSet()

FOLDER = "spool"  # in the instance folder
ENDING = ".spool"
SLOT = 8192  # bytes; a frame of the longest tokens we know takes half of it
SLOTS = 24  # written at once, so that a full disk does not meet the first frames
HEAD = 8  # length and checksum, four bytes each
COMPLAIN_EVERY = 60.0  # seconds between two log lines about the same trouble


@dataclass(frozen=True)
class Frame:
    """A renewed pair and what it answers: the claim with this `fence`, made with the tokens of this `version`."""

    grant_id: str
    version: int
    fence: int
    at: datetime  # when the answer came; lifetimes count from here
    tokens: TokenSet = field(repr=False)


@dataclass(frozen=True)
class Kept:
    """Where a frame lies, to be given to `done` or `leave`."""

    slot: int
    size: int
    frame: Frame


class Journal:
    """The journal of one process. Safe for threads; a forked child begins a file of its own."""

    _file: int | None = None

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._folder, self._vault = folder, vault
        self._begin()
        _journals.add(self)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Condition()
        self._file = None
        self._path: Path | None = None
        self._free: list[int] = []
        self._slots = 0
        self._written = self._synced = 0  # frames so far
        self._syncing = False
        self._pending: dict[int, Kept] = {}
        self._left: list[Kept] = []
        self._trouble = ""
        self._said = -COMPLAIN_EVERY

    def begin_in_child(self) -> None:
        """Let go of the parent's file; called after a fork."""
        if self._file is not None:
            os.close(self._file)  # the lock stays the parent's
        self._begin()

    # ------------------------------------------------------------ writing

    def is_ready(self) -> bool:
        """Whether frames can be written; if not, `trouble` says why. Tries again each time while they cannot."""
        if self._file is not None and not self._trouble:
            return True
        with self._lock:
            try:
                self._open()
                if self._trouble:
                    self._probe()
            except OSError as error:
                self._complain(error)
                return False
            self._trouble = ""
            return True

    @property
    def trouble(self) -> str:
        """A sentence why frames cannot be written, empty if they can."""
        return self._trouble

    def keep(self, frame: Frame) -> Kept:
        """Seal a frame, write it and sync it; returns where it lies. Raises OSError if the disk does not take it."""
        data = self._packed(frame)
        kept: Kept | None = None
        with self._lock:
            try:
                self._open()
                kept = Kept(self._take_slot(), len(data), frame)
                self._pending[kept.slot] = kept
                self._write(data, kept.slot)
            except OSError as error:
                self._complain(error)
                self._drop(kept)
                raise
            self._written += 1
            mine = self._written
        try:
            self._sync(mine)
        except OSError:
            self.done(kept)
            raise
        return kept

    def _drop(self, kept: Kept | None) -> None:
        if kept is not None and self._pending.pop(kept.slot, None) is not None:
            self._free.append(kept.slot)

    def done(self, kept: Kept) -> None:
        """The database has it, or it is worth nothing any more: blank it."""
        with self._lock:
            if self._pending.pop(kept.slot, None) is None:
                return
            with suppress(OSError):  # what stays is known by its version to be old
                self._write(bytes(kept.size), kept.slot)
            self._free.append(kept.slot)

    def leave(self, kept: Kept) -> None:
        """The database did not take it: it waits for `left`."""
        with self._lock:
            self._left.append(kept)

    def left(self) -> list[Kept]:
        """What this process could not give to the database; each call hands them out once."""
        with self._lock:
            left, self._left = self._left, []
            return left

    def waiting(self) -> int:
        """How many frames of this process are not in the database."""
        return len(self._pending)

    def newest(self, grant_id: str, version: int) -> Frame | None:
        """The latest frame on this host that answers this version of a Grant, whoever wrote it; None without one."""
        mine = [kept.frame for kept in list(self._pending.values()) if kept.frame.grant_id == grant_id]
        others = [frame for path in self.files() for frame in self._frames(path, grant_id)]
        return max((frame for frame in (*mine, *others) if frame.version == version),
                   key=lambda frame: (frame.fence, frame.at), default=None)

    # ------------------------------------------------------------ what dead processes left

    @contextmanager
    def abandoned(self, path: Path) -> Iterator[list[Frame] | None]:
        """The frames of a file whose process is dead, while nobody else can have it; None if its process lives."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed it just before we got the lock.
            yield self._frames(path) if path.exists() else None
        except BlockingIOError:
            yield None
        finally:
            os.close(file)

    def files(self) -> list[Path]:
        """The files of other processes, oldest first."""
        with suppress(OSError):
            return [path for path in sorted(self._folder.iterdir()) if path.name.endswith(ENDING)
                    and path != self._path]
        return []

    def count(self, path: Path) -> int:
        """How many frames lie in a file."""
        return len(self._frames(path))

    def _frames(self, path: Path, grant_id: str = "") -> list[Frame]:
        """The whole frames of a file, or those of one Grant; a torn or foreign one is left out."""
        try:
            data = path.read_bytes()
        except OSError:
            return []
        pieces = (data[start : start + SLOT] for start in range(0, len(data), SLOT))
        return [frame for piece in pieces if (frame := self._unpacked(piece, grant_id)) is not None]

    # ------------------------------------------------------------ frames

    def _packed(self, frame: Frame) -> bytes:
        held = frame.tokens
        plain = json.dumps({
            "access": held.access_token, "refresh": held.refresh_token, "expires_in": held.expires_in,
            "refresh_expires_in": held.refresh_expires_in,
            "scopes": sorted(held.scopes) if held.scopes is not None else None})
        name = json.dumps([frame.grant_id, frame.version, frame.fence, frame.at.isoformat()]).encode()
        body = len(name).to_bytes(2, "big") + name + self._vault.seal(plain, *_record(frame))
        data = len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body
        if len(data) > SLOT:
            raise OSError(f"a frame of {len(data)} bytes does not fit")
        return data

    def _unpacked(self, data: bytes, only: str = "") -> Frame | None:
        size, check = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:HEAD], "big")
        body = data[HEAD : HEAD + size]
        if not size or len(body) != size or zlib.crc32(body) != check:
            return None
        end = 2 + int.from_bytes(body[:2], "big")
        try:
            grant_id, version, fence, at = json.loads(body[2:end])
            if only and grant_id != only:
                return None
            frame = Frame(grant_id, version, fence, datetime.fromisoformat(at), TokenSet("-"))
            plain = json.loads(self._vault.open(body[end:], *_record(frame)))
            scopes = frozenset(plain["scopes"]) if plain["scopes"] is not None else None
            tokens = TokenSet(plain["access"], plain["refresh"], plain["expires_in"], plain["refresh_expires_in"],
                              scopes)
        except (ValueError, TypeError, KeyError, Unreadable):
            log.warning("a frame in the spool does not open and is left out")
            return None
        return Frame(grant_id, version, fence, frame.at, tokens)

    # ------------------------------------------------------------ the file; the lock is held

    def _open(self) -> None:
        """Have a file, locked before anybody can see it. Raises OSError."""
        if self._file is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{self._pid}-{time.time_ns()}"
        new, path = self._folder / f"{name}.new", self._folder / f"{name}{ENDING}"
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _write_all(file, bytes(SLOT * SLOTS), 0)
            os.fsync(file)
            os.rename(new, path)
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            new.unlink(missing_ok=True)
            raise
        self._file, self._path, self._slots = file, path, SLOTS
        self._free = list(range(SLOTS))

    def _take_slot(self) -> int:
        if not self._free:
            self._free.append(self._slots)
            self._slots += 1
        return self._free.pop()

    def _write(self, data: bytes, slot: int) -> None:
        if self._file is None:
            raise OSError("the spool is not open")
        _write_all(self._file, data, slot * SLOT)

    def _probe(self) -> None:
        """Whether the file takes bytes again after it did not."""
        slot = self._take_slot()
        self._free.append(slot)
        self._write(bytes(SLOT), slot)
        assert self._file is not None
        os.fsync(self._file)

    def _complain(self, error: OSError) -> None:
        self._trouble = (f"The spool folder {self._folder} cannot be written ({error.strerror or error}). Tokens that "
                         "change with each renewal are not renewed until it can. Free space or mend its rights.")
        if time.monotonic() - self._said >= COMPLAIN_EVERY:
            self._said = time.monotonic()
            log.error(self._trouble)

    def _sync(self, mine: int) -> None:
        """Return when the first `mine` frames are on the disk: one thread syncs for all that wrote meanwhile."""
        while True:
            with self._lock:
                while self._syncing and self._synced < mine:
                    self._lock.wait()
                if self._synced >= mine:
                    return
                self._syncing, upto, file = True, self._written, self._file
            error: OSError | None = None
            try:
                assert file is not None
                os.fdatasync(file)
            except OSError as trouble:
                error = trouble
            with self._lock:
                self._syncing = False
                self._lock.notify_all()
                if error is not None:
                    self._complain(error)
                    raise error
                self._synced = max(self._synced, upto)


def _write_all(file: int, data: bytes, at: int) -> None:
    """Write all of it, whatever the kernel takes at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        count = os.pwrite(file, view, at)
        view, at = view[count:], at + count


def _record(frame: Frame) -> tuple[str, ...]:
    """What a frame is sealed for: it does not open as that of another Grant, version or claim."""
    return "spool", "grant", frame.grant_id, str(frame.version), str(frame.fence)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _after_fork() -> None:
    for one in list(_journals):
        one.begin_in_child()


os.register_at_fork(after_in_child=_after_fork)
_making = threading.Lock()


def journal() -> Journal:
    """The journal of the app at hand."""
    app = current_app
    with _making:
        if "journal" not in app.extensions:
            app.extensions["journal"] = Journal(app.extensions["config"].instance_path / FOLDER,
                                                app.extensions["vault"])
        found: Journal = app.extensions["journal"]
        return found
