"""A program of its own: counts the pages of one PDF and ends. `measuring` starts it.

A file made to exhaust its reader ends this process and nothing else.
"""

import contextlib
import resource
import sys

from pypdf import PdfReader

SECONDS = 20
MEMORY = 1024**3


def pages(path: str) -> str:
    """The number of pages, or "encrypted"."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with contextlib.suppress(ValueError, OSError):  # not every system knows each limit
            resource.setrlimit(what, (most, most))
    reader = PdfReader(path)
    return "encrypted" if reader.is_encrypted else str(len(reader.pages))


if __name__ == "__main__":
    sys.stdout.write(pages(sys.argv[1]))
