"""A program of its own: reads one picture to its end and tells what it is. `measuring` starts it for costly ones.

A picture made to exhaust its reader ends this process and nothing else.
"""

import contextlib
import resource
import sys

from PIL import Image, ImageFile

SECONDS = 30
MEMORY = 1536 * 1024**2
ORIENTATION = 0x0112


def load(kind: str, path: str, most_pixels: int) -> str:
    """Width, height, how it was held, and 1 where more pictures follow; of too large a one "large" and its size."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with contextlib.suppress(ValueError, OSError):  # not every system knows each limit
            resource.setrlimit(what, (most, most))
    Image.init()
    with open(path, "rb") as stream:
        picture: ImageFile.ImageFile = Image.OPEN[kind][0](stream, "")
        width, height = picture.size
        if width * height > most_pixels:
            return f"large {width} {height}"
        held = orientation(picture)
        # A JPEG is read to its end at an eighth of its size: enough to find out whether it is whole.
        picture.draft(picture.mode, (max(1, width // 8), max(1, height // 8)))
        picture.load()
        return f"{width} {height} {held} {int(follows(picture))}"


def orientation(picture: Image.Image) -> int:
    """How the camera was held; 1 where the picture does not say."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # broken metadata turns nothing
        return 1


def follows(picture: Image.Image) -> bool:
    """Whether there is a second picture; all of them are never counted, since that takes as long as their list."""
    try:
        picture.seek(1)
    except Exception:  # the end, or a second one that cannot be read
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write(load(sys.argv[1], sys.argv[2], int(sys.argv[3])))
