"""Where the bytes of files lie: a folder of this machine, or an S3-compatible store that several hosts share.

A key names a file: `<workspace>/<file>`, or `<workspace>/variants/<copy>` for a converted copy. Whatever the store, a
file that is worked with lies in `folder` under its key: there for good, or as a copy that can be fetched again.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol

from flask import current_app

from .config import Config
from .errors import ADMIN, TryLater

AWAY = ("The console's storage for files cannot be used at the moment. Try again in a few minutes; if it stays like "
        "this, tell the person who runs this console.")
CODE = "media_storage"


class Unavailable(TryLater):
    """The storage does not answer or refuses us; nothing was published. `why`: the cause, for whoever runs it."""

    def __init__(self, why: str) -> None:
        super().__init__(AWAY, CODE, ADMIN)
        self.why = why


class Missing(Exception):
    """No file lies under this key."""


class MediaStore(Protocol):
    """Takes and hands out files by key. None of its calls may stand inside a transaction."""

    folder: Path  # where files lie on this machine
    shared: bool  # whether other hosts see the same files

    def put(self, key: str, part: Path, sha256: str) -> None:
        """Keep a finished file, moving it into `folder`; it is kept for good on return. Raises Unavailable."""

    def share(self, key: str) -> None:
        """Let other hosts have a copy that was made in `folder`. Raises Unavailable."""

    def local(self, key: str, size: int | None = None, sha256: str = "",
              tick: Callable[[], None] = lambda: None) -> Path:
        """The file on this machine; `tick` runs now and then while it is fetched. Raises Missing and Unavailable."""

    def delete(self, key: str) -> None:
        """Remove a file; none there is fine. Raises Unavailable."""

    def copies(self, start: str) -> list[str]:
        """The keys that begin like this. Raises Unavailable."""

    def old(self, before: datetime) -> Iterator[list[str]]:
        """What lies outside of `folder` since before an instant: keys, in bounded lists. Raises Unavailable."""

    def owner(self, console: str) -> str:
        """Which console says that it is the only one here; this one, where none did yet. Raises Unavailable."""

    def trim(self, needed: Callable[[set[str]], set[str]]) -> int:
        """Keep `folder` within its bound; returns how many copies went. `needed` picks the ids that are in use."""

    def trouble(self) -> str:
        """What is wrong with the storage, tried with a small file: a sentence, or nothing."""


class LocalStore:
    """The media folder itself."""

    shared = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, part: Path, sha256: str) -> None:
        """Put it in place, surely on disk, in one step."""
        settle(part, self.folder / key)

    def share(self, key: str) -> None:
        """Nobody else is there."""

    def local(self, key: str, size: int | None = None, sha256: str = "",
              tick: Callable[[], None] = lambda: None) -> Path:
        """Where it lies. Raises Missing."""
        path = self.folder / key
        if not path.is_file():
            raise Missing
        return path

    def delete(self, key: str) -> None:
        """Remove it."""
        (self.folder / key).unlink(missing_ok=True)

    def copies(self, start: str) -> list[str]:
        """What lies in the folder under names that begin like this."""
        near = self.folder / start
        return [str(path.relative_to(self.folder)) for path in near.parent.glob(f"{near.name}*")]

    def old(self, before: datetime) -> Iterator[list[str]]:
        """Everything lies in the folder."""
        return iter(())

    def owner(self, console: str) -> str:
        """The folder lies in the instance of this console, or was named for it."""
        return console

    def trim(self, needed: Callable[[set[str]], set[str]]) -> int:
        """These are no copies: none goes."""
        return 0

    def trouble(self) -> str:
        """The folder is looked at with the settings."""
        return ""


def make(config: Config) -> MediaStore:
    """The store that the settings name. Calls nobody."""
    if not config.media_s3_url:
        return LocalStore(config.media_folder)
    # Its client weighs megabytes, which a console without such a store must not carry.
    made: MediaStore = import_module("socialconsole.media_s3").S3Store(config)
    return made


def current() -> MediaStore:
    """The store of the running app."""
    store: MediaStore = current_app.extensions["media_store"]
    return store


def problems(config: Config) -> list[str]:
    """What is wrong with the storage that the settings name, in words. Calls it."""
    found = make(config).trouble()
    return [found] if found else []


# ---------------------------------------------------------------- files in a folder


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A new empty file in the folder, for its owner alone; whatever of it is still there afterwards goes."""
    handle, name = tempfile.mkstemp(prefix=".part-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def settle(part: Path, target: Path) -> None:
    """Put the finished file in place, surely on disk, in one step."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.chmod(0o600)
    part.rename(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free(folder: Path) -> int:
    """How many bytes the folder's disk has left."""
    return shutil.disk_usage(folder).free
