"""One clock for all processes of a run: the real one, moved ahead by what a small file says.

Days pass within a second then, for the consoles and for the platforms alike, and nothing in the console knows of it.
"""

import mmap
import os
import struct
import time
from datetime import UTC, datetime
from pathlib import Path

SIZE = 8


class SharedClock:
    """The clock in `file`; whoever opens the same file has the same time."""

    def __init__(self, file: Path) -> None:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(handle).st_size < SIZE:
            os.ftruncate(handle, SIZE)
        self._bytes = mmap.mmap(handle, SIZE)
        os.close(handle)

    @property
    def ahead(self) -> float:
        """By how many seconds it is ahead of the real one."""
        return float(struct.unpack("<d", self._bytes[:SIZE])[0])

    def move(self, seconds: float) -> None:
        """Move it on, or back, for everybody at once."""
        self._bytes[:SIZE] = struct.pack("<d", self.ahead + seconds)

    def seconds(self) -> float:
        """Now, as seconds since 1970."""
        return time.time() + self.ahead

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)
