"""A program of its own: shows one frame of a video as a small JPEG on its standard output. `thumbnails` starts it.

A video made to exhaust its decoder ends this process and nothing else.
"""

import contextlib
import io
import resource
import sys
from typing import Any

import av

SECONDS = 20
MEMORY = 1536 * 1024**2
MOST_PIXELS = 50_000_000
MOST_FRAMES = 300  # looked at on the way to the wanted one
WANTED = 1.0  # seconds from the start: the very first frame is often black


def small(path: str, demuxer: str, side: int) -> bytes:
    """The frame at about a second, upright, within `side` pixels. Raises av.FFmpegError, ValueError and MemoryError."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with contextlib.suppress(ValueError, OSError):  # not every system knows each limit
            resource.setrlimit(what, (most, most))
    # The reader is named and may open plain files only: a playlist in disguise leads nowhere.
    with av.open(f"file:{path}", format=demuxer, options={"protocol_whitelist": "file"}) as container:
        if not container.streams.video:
            raise ValueError("no video")
        stream = container.streams.video[0]
        if stream.width * stream.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        stream.codec_context.thread_count = 1
        picture = _frame(container, stream)
        turned = int(getattr(picture, "rotation", 0) or 0)
        image = picture.to_image()
    image.thumbnail((side, side))
    if turned:
        image = image.rotate(turned, expand=True)
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=80, optimize=True)
    return out.getvalue()


def _frame(container: Any, stream: Any) -> Any:
    """The first frame not before the wanted time, else the last one found."""
    found = None
    for number, frame in enumerate(container.decode(stream)):
        found = frame
        if (frame.time or 0.0) >= WANTED or number >= MOST_FRAMES:
            break
    if found is None:
        raise ValueError("no frame")
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(small(sys.argv[1], sys.argv[2], int(sys.argv[3])))
