"""What is to be published and what came of it: files, parts, choices, formats, results. Values only.

A post is one part or several: the post itself, the further parts of a reply chain, a first comment. A provider sees one
part at a time (`Draft`), and keeps what an unfinished part left behind in a `Progress`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

IMAGE, GIF, VIDEO, DOCUMENT = "image", "gif", "video", "document"  # kinds of files; a GIF that moves is its own kind
COMMENT = "comment"  # the format of a first comment
YES = "yes"  # the value of a ticked choice; an empty one is not ticked
PIECE = 1024 * 1024
TICK_SECONDS = 20.0


# ---------------------------------------------------------------- files


@dataclass(frozen=True)
class File:
    """A stored file with its measured facts. None or 0: could not be measured here."""

    id: str
    kind: str
    type: str  # "image/jpeg"
    size: int  # bytes
    path: Path = field(repr=False)
    name: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    seconds: float | None = None
    frame_rate: float | None = None
    frames: int = 0  # of a GIF
    pages: int = 0  # of a document
    alt_text: str = ""
    public_url: str = field(default="", repr=False)  # where a platform may fetch it, while the delivery is under way

    @property
    def ratio(self) -> float | None:
        """Width by height."""
        return self.width / self.height if self.width and self.height else None

    def read(self, first: int, size: int) -> bytes:
        """One range of the bytes, for uploads in chunks."""
        with self.path.open("rb") as stream:
            stream.seek(first)
            return stream.read(size)

    def slice(self, first: int = 0, size: int | None = None, tick: Callable[[], None] = lambda: None) -> "Slice":
        """A range as a stream of known length, for bodies too large to hold. `tick` runs now and then meanwhile."""
        return Slice(self.path, first, self.size - first if size is None else size, tick)


class Slice:
    """A range of a file that requests can send without holding it: it knows its length and reads in pieces."""

    def __init__(self, path: Path, first: int, size: int, tick: Callable[[], None] = lambda: None) -> None:
        self._path, self._first, self._left, self._size, self._tick = path, first, size, size, tick
        self._stream: BinaryIO | None = None
        self._ticked = time.monotonic()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(PIECE):
            yield piece

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most what is left of the range."""
        if self._left <= 0:
            return b""
        if self._stream is None:
            self._stream = self._path.open("rb")
            self._stream.seek(self._first)
        if time.monotonic() - self._ticked > TICK_SECONDS:
            self._ticked = time.monotonic()
            self._tick()
        piece = self._stream.read(min(size if size >= 0 else self._left, self._left))
        self._left -= len(piece)
        if self._left == 0 or not piece:
            self._stream.close()
        return piece


# ---------------------------------------------------------------- what the author wants


@dataclass(frozen=True)
class Poll:
    """A question with answers to choose from, open for some time."""

    question: str
    options: tuple[str, ...]
    minutes: int


@dataclass(frozen=True)
class Preview:
    """What the console itself read at a link: for platforms that build no card of their own."""

    url: str
    title: str = ""
    description: str = ""
    image: File | None = None


@dataclass(frozen=True)
class Draft:
    """One part of what is to be published to one account."""

    text: str
    platform_user_id: str
    username: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)  # what the profile's reading kept
    link: str = ""  # the first link in the text, or the one the author named
    format: str = "text"
    files: tuple[File, ...] = ()
    poll: Poll | None = None
    preview: Preview | None = None
    options: Mapping[str, str] = field(default_factory=dict)  # the platform's own choices, by field name
    part: int = 0  # 0 is the post itself
    root_id: str = ""  # the platform's id of part 0, for the parts after it
    reply_to: str = ""  # the platform's id of the part before this one
    person_id: str = ""  # the platform's id of the person who consented
    extra_files: Mapping[str, File] = field(default_factory=dict)  # by the name of a Field of kind "file"

    @property
    def file(self) -> File:
        """The one file of formats that take one."""
        return self.files[0]


class Progress:
    """What earlier steps of a part left behind. `keep` commits it, sealed, before the next call is made.

    `keep` also says that this worker is alive, so call it at least once a minute in long uploads. It raises Superseded
    if the delivery was taken by another worker meanwhile: let it through.
    """

    def __init__(self, state: Mapping[str, Any] | None = None,
                 save: Callable[[dict[str, Any]], None] = lambda state: None) -> None:
        self.state: dict[str, Any] = dict(state or {})
        self._save = save

    def get(self, name: str, otherwise: Any = None) -> Any:
        """What was kept under a name."""
        return self.state.get(name, otherwise)

    def keep(self, **facts: Any) -> None:
        """Remember plain JSON values; None forgets one."""
        self.state = {name: value for name, value in {**self.state, **facts}.items() if value is not None}
        self._save(self.state)

    def alive(self) -> None:
        """Commit what is there once more, which tells that this worker lives."""
        self._save(self.state)


class Superseded(Exception):
    """Another worker took this delivery; whatever we were doing is no longer ours to do."""


# ---------------------------------------------------------------- what came of it


@dataclass(frozen=True)
class Published:
    """The platform has it. `note`: a sentence for people where something beside the post went wrong."""

    id: str
    permalink: str = ""
    note: str = ""


@dataclass(frozen=True)
class Sent:
    """The platform has accepted it for good and still works on it: from here we only ask (`follow`)."""

    id: str = ""
    permalink: str = ""
    note: str = ""
    again_in: timedelta = timedelta(seconds=10)
    waits_for_person: bool = False  # only its person can finish it, inside the platform


@dataclass(frozen=True)
class Wait:
    """What was prepared is not ready yet: ask again after a pause."""

    again_in: timedelta = timedelta(seconds=5)
    note: str = ""


class Located(StrEnum):
    """What a look for a post after an unknown outcome found out, besides the post itself."""

    NOT_FOUND = "not_found"  # never proof of absence
    CANNOT_LOOK = "cannot_look"
    NOT_PUBLISHED = "not_published"  # the platform's own container or session says so: sending again is safe


@dataclass(frozen=True)
class Quota:
    """How much of a limit per account is used, as the platform told."""

    used: int
    total: int


@dataclass(frozen=True)
class Creator:
    """What a platform says, at this moment, about posting to a profile: for fields that are `asked`."""

    name: str
    avatar_url: str = ""
    choices: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # field -> (value, label)
    off: Mapping[str, str] = field(default_factory=dict)  # field -> why it cannot be chosen
    most_seconds: float | None = None  # longest video
    problem: str = ""  # why nothing can be posted now


# ---------------------------------------------------------------- what a platform takes


@dataclass(frozen=True)
class TextLimit:
    """How long a text may be, and in whose characters."""

    most: int
    counted_as: str  # for people: "characters"


@dataclass(frozen=True)
class ImageRule:
    """Pictures that a platform takes. What can be mended by converting is mended by the console before sending."""

    types: tuple[str, ...] = ("image/jpeg", "image/png")
    most_bytes: int = 8 * 1024 * 1024
    ratio: tuple[float, float] | None = None  # width by height, least and most
    least: tuple[int, int] | None = None  # width and height
    fit: tuple[int, int] | None = None  # larger ones are scaled down into this box
    most_pixels: int | None = None  # larger ones are scaled down to it
    becomes: str = "image/jpeg"  # what other types, and pictures with too many bytes, are converted to


@dataclass(frozen=True)
class GifRule:
    """Moving pictures that a platform takes as such."""

    most_bytes: int
    fit: tuple[int, int] | None = None  # larger ones are refused
    most_frames: int | None = None
    most_volume: int | None = None  # width by height by frames


@dataclass(frozen=True)
class VideoRule:
    """Videos that a platform takes. Nothing is converted; what could not be measured is not refused."""

    types: tuple[str, ...] = ("video/mp4", "video/quicktime")
    most_bytes: int = 1024**3
    least_bytes: int = 1
    seconds: tuple[float, float] | None = None
    ratio: tuple[float, float] | None = None
    least: tuple[int, int] | None = None
    most_side: int | None = None
    most_width: int | None = None
    frame_rate: tuple[float, float] | None = None


@dataclass(frozen=True)
class DocumentRule:
    """Documents that a platform takes."""

    types: tuple[str, ...]
    most_bytes: int
    most_pages: int | None = None


@dataclass(frozen=True)
class PollRule:
    """Polls that a platform takes. `minutes`: the lengths to choose from, or least and most where `any_length`."""

    options: tuple[int, int]
    option_most: int
    minutes: tuple[int, ...]
    any_length: bool = False
    question_most: int = 0  # 0: the post's text is the question


@dataclass(frozen=True)
class Format:
    """One kind of post, with all that it takes. The first format of a provider that fits is proposed."""

    slug: str  # text, link, image, images, carousel, gif, video, reel, story, short, document, poll
    label: str
    takes: tuple[str, ...] = ()  # kinds of files; () means no file
    least: int = 0  # files
    most: int = 0
    mixes: bool = False  # different kinds in one post
    image: ImageRule | None = None
    gif: GifRule | None = None
    video: VideoRule | None = None
    document: DocumentRule | None = None
    poll: PollRule | None = None
    text: TextLimit | None = None  # None: the provider's
    needs_text: bool = False
    has_text: bool = True  # False: a text would not be shown, so none is sent
    needs_link: bool = False
    alt_text: int = 0  # characters of alt text for each picture; 0: not offered
    modes: tuple[str, ...] = ()  # only in these; () means in all
    needs: tuple[str, ...] = ()  # scopes beyond those that publishing needs
    by_url: bool = False  # the platform fetches the files from us
    comment: bool = True  # a first comment can stand under it, where comments are offered at all
    preview: bool = False  # the platform builds no card: the console reads the link itself (`draft.preview`)
    note: str = ""  # what to know before choosing it


@dataclass(frozen=True)
class Field:
    """A choice of the platform's own that a post carries, drawn and checked from these facts."""

    name: str
    label: str
    kind: str = "check"  # check, select, text, long, time, file
    choices: tuple[tuple[str, str], ...] = ()  # value, label
    required: bool = False
    default: str = ""
    help: str = ""
    formats: tuple[str, ...] = ()  # only for these; () means for all
    modes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # scopes without which it is not offered
    most: int = 0  # characters; 0: no limit of its own
    asked: bool = False  # its choices come from the platform at that moment (`creator`)
    takes: tuple[str, ...] = ()  # kinds of files, for kind "file": the value is a file's id
    part: int | None = 0  # only for the post itself; None: for every part
    only_with: tuple[str, str] | None = None  # (field, value): it means something only beside that choice


@dataclass(frozen=True)
class Look:
    """How readers meet a post in the feed: what is in sight of its text, how its pictures are laid out and cut.

    Apps and screens differ, and few platforms say it: near enough to know before publishing, never a rule.
    """

    seen: str  # where this is from
    fold: int | None = None  # characters of the text in sight, as the platform counts them; None: all of it
    lines: int | None = None  # lines in sight
    is_below: bool = False  # the text stands below the pictures
    picture: tuple[float, float] | None = None  # width by height, least and most; what goes beyond is cut off
    video: tuple[float, float] | None = None  # the same for a video, which gets empty bars instead
    collage: int = 1  # so many pictures are laid out together; 1: one leafs through them
    collage_ratio: float = 1.0  # width by height of all together
    is_alike: bool = False  # what one leafs through is cut to the shape of the first
    upright: tuple[str, ...] = ()  # formats that fill an upright screen
    cards: tuple[str, ...] = ()  # formats in which a link becomes a card
    title: str = ""  # the field whose value stands above the text
    title_fold: int | None = None


@dataclass(frozen=True)
class Tally:
    """How many of something that a platform limits stand in a text."""

    label: str  # for people: "hashtags"
    used: int
    most: int


@dataclass(frozen=True)
class Problem:
    """Why a draft cannot be published as it is: the field it belongs to, and a sentence."""

    field: str  # text, files, poll, format, first_comment, or the name of a Field
    sentence: str
    file_id: str = ""
