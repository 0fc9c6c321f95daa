"""What a platform takes, applied to a draft: the same rules serve the form, the API and the worker.

Facts stand on the provider (`Format`, `ImageRule`, …); here they become sentences. What the console mends by itself,
such as a PNG for a platform that takes JPEG only, is no problem; what could not be measured is not refused.
"""

from collections.abc import Callable, Iterator, Sequence

from .base import Provider
from .content import (
    COMMENT,
    DOCUMENT,
    GIF,
    IMAGE,
    VIDEO,
    Creator,
    DocumentRule,
    Draft,
    Field,
    File,
    Format,
    GifRule,
    ImageRule,
    Poll,
    PollRule,
    Problem,
    TextLimit,
    VideoRule,
)

MEGABYTE = 1024 * 1024
LEAST_SHORT_SIDE = 10  # pixels; nothing smaller is a picture anybody meant to post
_NAMES = {IMAGE: "picture", GIF: "moving GIF", VIDEO: "video", DOCUMENT: "document"}
_TYPES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WebP", "video/mp4": "MP4",
          "video/quicktime": "MOV", "video/webm": "WebM", "video/mp2t": "MPEG-TS", "application/pdf": "PDF",
          "application/msword": "DOC", "application/vnd.ms-powerpoint": "PPT",
          "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
          "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
          "image/bmp": "BMP", "image/tiff": "TIFF"}


def fitting(provider: Provider, mode: str, files: Sequence[File], poll: Poll | None, link: str, *,
            kind: str = "") -> tuple[Format, ...]:
    """The formats that a set of files (or a poll, or a link) can take on a platform, the usual first."""
    return tuple(one for one in provider.formats_of(mode, kind) if _fits(one, files, poll, link))


def _fits(format: Format, files: Sequence[File], poll: Poll | None, link: str) -> bool:
    if (poll is not None) != (format.poll is not None):
        return False
    if format.needs_link and not link:
        return False
    kinds = {file.kind for file in files}
    return (format.least <= len(files) <= format.most and kinds <= set(format.takes)
            and (format.mixes or len(kinds) <= 1))


def format_of(provider: Provider, mode: str, slug: str, *, kind: str = "") -> Format | None:
    """The format of that name in a mode, or None."""
    return next((one for one in provider.formats_of(mode, kind) if one.slug == slug), None)


def why_none_fits(provider: Provider, mode: str, files: Sequence[File], poll: Poll | None, *, kind: str = "") -> str:
    """Why a platform takes this set of files in no format, for people."""
    formats = provider.formats_of(mode, kind)
    if poll is not None:
        return f"{provider.name} takes a poll only without pictures or videos." \
            if any(one.poll for one in formats) else f"{provider.name} offers no polls for programs."
    if not files:
        return f"{provider.name} takes no post without a {_either(formats)}. Add one."
    for file in files:
        if not any(file.kind in one.takes for one in formats):
            return f"{provider.name} takes no {_NAMES[file.kind]} ({file.name or file.type})."
    kinds = {file.kind for file in files}
    if len(kinds) > 1 and not any(one.mixes and kinds <= set(one.takes) for one in formats):
        mixed = " and ".join(sorted(f"{_NAMES[kind]}s" for kind in kinds))
        return f"{provider.name} takes no mix of {mixed} in one post."
    most = max((one.most for one in formats if kinds <= set(one.takes)), default=0)
    return f"{provider.name} takes {most} file{'' if most == 1 else 's'} of this kind at most; these are {len(files)}."


def _either(formats: Sequence[Format]) -> str:
    kinds = dict.fromkeys(_NAMES[kind] for one in formats for kind in one.takes)
    return " or ".join(kinds) or "file"


def problems(provider: Provider, draft: Draft, mode: str, *, count: Callable[[str], int], kind: str = "",
             creator: Creator | None = None) -> list[Problem]:
    """Everything that stands in the way of a draft, before anything is sent."""
    if draft.format == COMMENT:
        return list(_text(provider, provider.comment_limit or provider.text_limit, draft, count, needs=True))
    format = format_of(provider, mode, draft.format, kind=kind)
    if format is None or not _fits(format, draft.files, draft.poll, draft.link):
        return [Problem("files", why_none_fits(provider, mode, draft.files, draft.poll, kind=kind))]
    found = list(_text(provider, format.text or provider.text_limit, draft, count,
                       needs=format.needs_text and not draft.files)) if format.has_text else []
    for file in draft.files:
        found += file_problems(provider.name, format, file)
        if format.alt_text and len(file.alt_text) > format.alt_text:
            found.append(Problem("files", f"The description of {file.name} is {len(file.alt_text) - format.alt_text} "
                                          f"characters too long for {provider.name}.", file.id))
    if draft.poll is not None and format.poll is not None:
        found += _poll(provider.name, format.poll, draft.poll)
    for field in provider.fields_of(mode, draft.format):
        if field.part is None or draft.part == field.part:
            found += _field(provider, field, draft, creator)
    if creator is not None:
        found += _creator(provider, draft, creator)
    return found + provider.more_problems(draft, mode)


def _text(provider: Provider, limit: TextLimit, draft: Draft, count: Callable[[str], int], *,
          needs: bool) -> Iterator[Problem]:
    name = "first_comment" if draft.format == COMMENT else "text"
    if needs and not draft.text.strip():
        yield Problem(name, "Write something first.")
    over = count(draft.text) - limit.most
    if over > 0:
        unit = ("byte" if "byte" in limit.counted_as else "character") + ("" if over == 1 else "s")
        yield Problem(name, f"{over:,} {unit} too many for {provider.name}. Shorten the text.")


# ---------------------------------------------------------------- files


def file_problems(name: str, format: Format, file: File) -> list[Problem]:
    """What is wrong with one file for one format, after what the console can mend by itself."""
    rule = {IMAGE: format.image, GIF: format.gif, VIDEO: format.video, DOCUMENT: format.document}[file.kind]
    said: Iterator[str] = iter(())
    if isinstance(rule, ImageRule):
        said = _image(name, rule, file)
    elif isinstance(rule, GifRule):
        said = _gif(name, rule, file)
    elif isinstance(rule, VideoRule):
        said = _video(name, rule, file)
    elif isinstance(rule, DocumentRule):
        said = _document(name, rule, file)
    return [Problem("files", f"{file.name or 'The file'}: {sentence}", file.id) for sentence in said]


def _image(name: str, rule: ImageRule, file: File) -> Iterator[str]:
    if file.ratio is not None and rule.ratio is not None and not _within(file.ratio, rule.ratio):
        yield f"{name} takes pictures from {_shape(rule.ratio[0])} to {_shape(rule.ratio[1])}; this one is " \
              f"{file.width} × {file.height}. Crop it."
    if rule.least is not None and file.width and (file.width < rule.least[0] or file.height < rule.least[1]):
        yield f"{name} takes pictures from {rule.least[0]} × {rule.least[1]} pixels; this one is {file.width} × " \
              f"{file.height}."
    if file.size > rule.most_bytes and file.type not in (*rule.types, rule.becomes, "image/png", "image/webp"):
        yield f"{name} takes pictures up to {_bytes(rule.most_bytes)}; this one has {_bytes(file.size)}."


def _gif(name: str, rule: GifRule, file: File) -> Iterator[str]:
    if file.size > rule.most_bytes:
        yield f"{name} takes GIFs up to {_bytes(rule.most_bytes)}; this one has {_bytes(file.size)}."
    if rule.fit is not None and (file.width > rule.fit[0] or file.height > rule.fit[1]):
        yield f"{name} takes GIFs up to {rule.fit[0]} × {rule.fit[1]} pixels; this one is {file.width} × {file.height}."
    if rule.most_frames is not None and file.frames > rule.most_frames:
        yield f"{name} takes GIFs of up to {rule.most_frames} frames; this one has {file.frames}."
    if rule.most_volume is not None and file.width * file.height * file.frames > rule.most_volume:
        yield f"This GIF has too many pixels in all its frames for {name}. Make it smaller or shorter."


def _video(name: str, rule: VideoRule, file: File) -> Iterator[str]:
    if file.type not in rule.types:
        yield f"{name} takes {_types(rule.types)}; this is {_TYPES.get(file.type, file.type)}."
    if file.size > rule.most_bytes:
        yield f"{name} takes videos up to {_bytes(rule.most_bytes)}; this one has {_bytes(file.size)}."
    if file.size < rule.least_bytes:
        yield f"{name} takes videos from {_bytes(rule.least_bytes)}; this one has {_bytes(file.size)}."
    if rule.seconds is not None and file.seconds is not None and not _within(file.seconds, rule.seconds):
        yield f"{name} takes videos from {_time(rule.seconds[0])} to {_time(rule.seconds[1])} here; this one lasts " \
              f"{_time(file.seconds)}."
    if file.ratio is not None and rule.ratio is not None and not _within(file.ratio, rule.ratio):
        yield f"{name} takes videos from {_shape(rule.ratio[0])} to {_shape(rule.ratio[1])} here; this one is " \
              f"{file.width} × {file.height}."
    if rule.least is not None and file.width and (file.width < rule.least[0] or file.height < rule.least[1]):
        yield f"{name} takes videos from {rule.least[0]} × {rule.least[1]} pixels here; this one is {file.width} × " \
              f"{file.height}."
    if rule.most_side is not None and max(file.width, file.height) > rule.most_side:
        yield f"{name} takes videos up to {rule.most_side} pixels on a side; this one is {file.width} × {file.height}."
    if rule.most_width is not None and file.width > rule.most_width:
        yield f"{name} takes videos up to {rule.most_width} pixels wide; this one is {file.width} × {file.height}."
    if rule.frame_rate is not None and file.frame_rate is not None and not _within(file.frame_rate, rule.frame_rate):
        yield f"{name} takes {rule.frame_rate[0]:g} to {rule.frame_rate[1]:g} frames per second; this video has " \
              f"{file.frame_rate:.3g}."


def _document(name: str, rule: DocumentRule, file: File) -> Iterator[str]:
    if file.type not in rule.types:
        yield f"{name} takes {_types(rule.types)}; this is {_TYPES.get(file.type, file.type)}."
    if file.size > rule.most_bytes:
        yield f"{name} takes documents up to {_bytes(rule.most_bytes)}; this one has {_bytes(file.size)}."
    if rule.most_pages is not None and file.pages > rule.most_pages:
        yield f"{name} takes documents of up to {rule.most_pages} pages; this one has {file.pages}."


# ---------------------------------------------------------------- polls and choices


def _poll(name: str, rule: PollRule, poll: Poll) -> Iterator[Problem]:
    least, most = rule.options
    options = [one for one in poll.options if one.strip()]
    if not least <= len(options) <= most:
        yield Problem("poll", f"{name} takes a poll with {least} to {most} answers; this one has {len(options)}.")
    for option in options:
        if len(option) > rule.option_most:
            yield Problem("poll", f"{name} takes {rule.option_most} characters in an answer; “{option[:20]}…” has "
                                  f"{len(option)}.")
    if rule.question_most and not poll.question.strip():
        yield Problem("poll", f"{name} needs a question for the poll.")
    if rule.question_most and len(poll.question) > rule.question_most:
        yield Problem("poll", f"{name} takes {rule.question_most} characters in the question; this one has "
                              f"{len(poll.question)}.")
    if rule.minutes and not _takes_length(rule, poll.minutes):
        yield Problem("poll", f"{name} takes polls {_lengths(rule)}; this one is open for {_span(poll.minutes)}.")
    if len({one.strip() for one in options}) < len(options):
        yield Problem("poll", "Two answers are the same.")


def _takes_length(rule: PollRule, minutes: int) -> bool:
    return min(rule.minutes) <= minutes <= max(rule.minutes) if rule.any_length else minutes in rule.minutes


def _lengths(rule: PollRule) -> str:
    if rule.any_length:
        return f"from {_span(min(rule.minutes))} to {_span(max(rule.minutes))}"
    return f"of {', '.join(_span(one) for one in rule.minutes)}"


def _span(minutes: int) -> str:
    for size, word in ((1440, "day"), (60, "hour")):
        if minutes >= size and minutes % size == 0:
            return f"{minutes // size} {word}{'' if minutes == size else 's'}"
    return f"{minutes} minutes"


def _field(provider: Provider, field: Field, draft: Draft, creator: Creator | None) -> Iterator[Problem]:
    value = draft.options.get(field.name, field.default)
    if field.required and not value.strip():
        yield Problem(field.name, f"{provider.name} needs {'this' if field.kind in ('text', 'long') else 'a choice'}: "
                                  f"{field.label}.")
    known = dict(field.choices)
    if field.asked and creator is not None:
        known = dict(creator.choices.get(field.name, field.choices))
        if value and field.name in creator.off:
            yield Problem(field.name, f"{field.label}: {creator.off[field.name]}")
    if value and field.kind == "select" and known and value not in known:
        yield Problem(field.name, f"{field.label}: {provider.name} does not offer this choice"
                                  f"{' any more' if field.asked else ''}. Choose again.")
    file = draft.extra_files.get(field.name)
    if file is not None and field.takes and file.kind not in field.takes:
        yield Problem(field.name, f"{field.label}: this is a {_NAMES[file.kind]} ({file.name or file.type}). Choose a "
                                  f"{' or '.join(_NAMES[kind] for kind in field.takes)}.")
    if field.most and len(value) > field.most:
        yield Problem(field.name, f"{field.label}: {len(value) - field.most} characters too many for {provider.name}.")


def _creator(provider: Provider, draft: Draft, creator: Creator) -> Iterator[Problem]:
    if creator.problem:
        yield Problem("accounts", creator.problem)
    for file in draft.files:
        if file.kind == VIDEO and creator.most_seconds and file.seconds and file.seconds > creator.most_seconds:
            yield Problem("files", f"{file.name}: {provider.name} takes videos up to {_time(creator.most_seconds)} "
                                   f"from {creator.name}; this one lasts {_time(file.seconds)}.", file.id)


# ---------------------------------------------------------------- words


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] * 0.999 <= value <= limits[1] * 1.001


def _bytes(size: int) -> str:
    if size >= 1024 * MEGABYTE:
        return f"{size / 1024 / MEGABYTE:.3g} GB"
    return f"{size / MEGABYTE:.3g} MB" if size >= MEGABYTE else f"{max(1, round(size / 1024))} KB"


def _time(seconds: float) -> str:
    if seconds < 60 or seconds % 60 and seconds < 120:
        return f"{seconds:.3g} seconds"
    hours, minutes = divmod(seconds / 60, 60)
    return f"{hours:.3g} hours" if hours >= 1 and not minutes else f"{seconds / 60:.3g} minutes"


def _shape(ratio: float) -> str:
    for width, height in ((1, 1), (4, 5), (9, 16), (16, 9), (3, 1), (1, 3), (10, 1), (1, 10), (5, 12), (12, 5)):
        if abs(ratio - width / height) < 0.005:
            return f"{width}:{height}"
    return f"{ratio:.3g}:1"


def _types(types: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(_TYPES.get(one, one) for one in types))
