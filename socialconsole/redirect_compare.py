"""Compares what a portal holds with the callback that the console sends, and names the first difference.

Pure. A query is never shown again: people paste whole addresses of their browser, with codes in them.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from .providers.paste_facts import CallbackRule

SAME, ALMOST, OTHER = "ok", "warn", "bad"
MOST_LINES, MOST_CHARACTERS = 50, 600
OUR_PATH = re.compile(r"/api/connect/([^/]+)/callback/?$")
_AROUND = " \t\r\v\f\u00a0\"'`“”‘’,;"
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Marked:
    """A text with its first differing character; `mark` is empty where the text ends before."""

    before: str
    mark: str = ""
    after: str = ""


@dataclass(frozen=True)
class Compared:
    """One pasted line beside the callback: `tone` is ok (the same), warn (it may do) or bad (it differs)."""

    number: int
    tone: str
    sentence: str
    pasted: Marked = Marked("")
    expected: Marked = Marked("")


@dataclass(frozen=True)
class Comparison:
    """All lines, the one sentence that sums them up, and whether one of them is the callback."""

    callback: str
    lines: tuple[Compared, ...]
    summary: str
    tone: str


def compare(callback: str, pasted: str, rule: CallbackRule, segments: dict[str, str] | None = None) -> Comparison:
    """Every pasted line beside the callback. `segments` maps the segments of other platforms to their names."""
    lines = [line.strip(_AROUND + "\n") for line in pasted[:20_000].splitlines()]
    lines = [line for line in lines if line][:MOST_LINES]
    found = tuple(_line(number, line[:MOST_CHARACTERS], callback, rule, segments or {})
                  for number, line in enumerate(lines, 1))
    return Comparison(callback, found, *_summary(found))


def _summary(found: tuple[Compared, ...]) -> tuple[str, str]:
    if not found:
        return "Nothing was pasted.", OTHER
    same = [one for one in found if one.tone == SAME]
    if same:
        rest = len(found) - len(same)
        others = "" if not rest else " The other line does not matter for it." if rest == 1 else \
            f" The other {rest} lines do not matter for it."
        return f"The portal holds the callback, character by character.{others if len(found) > 1 else ''}", SAME
    if any(one.tone == ALMOST for one in found):
        return "The portal holds something that may do, but not the callback itself.", ALMOST
    return "The portal does not hold the callback. Copy it from above and save it there.", OTHER


def _line(number: int, line: str, callback: str, rule: CallbackRule, segments: dict[str, str]) -> Compared:
    if line == callback:
        return Compared(number, SAME, "This is the same, character by character.", Marked(line), Marked(callback))
    bare, query = _without_query(line)
    if rule.ignores_query and query and bare == callback:
        return Compared(number, SAME, "This is the same, but for what stands behind the question mark. That is ignored "
                        "there.", Marked(f"{bare}?…"), Marked(callback))
    if not _is_address(bare):
        return Compared(number, OTHER, "This is no address. Paste what stands in the portal's list.")
    shown = f"{bare}{query and '?…'}"
    at = _first_difference(shown, callback)
    tone = ALMOST if rule.may_append_slash and shown == f"{callback}/" else OTHER
    return Compared(number, tone, _sentence(shown, callback, at, rule, segments), _marked(shown, at),
                    _marked(callback, at))


def _without_query(line: str) -> tuple[str, str]:
    cut = re.search(r"[?#]", line)
    return (line[:cut.start()], line[cut.start():]) if cut else (line, "")


def _is_address(bare: str) -> bool:
    """Whether it looks like an address at all, so that it may be shown again."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|/|[^\s/]+\.[^\s/]+(/|:\d|$)|localhost", bare) is not None


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _marked(text: str, at: int) -> Marked:
    return Marked(text[:at], text[at:at + 1], text[at + 1:])


# ---------------------------------------------------------------- what differs, in words


def _sentence(line: str, callback: str, at: int, rule: CallbackRule, segments: dict[str, str]) -> str:
    """What the first difference is, and what to do there."""
    strange = _strange_character(line)
    if strange:
        return strange
    if callback == f"{line}/":
        return "The slash at the end is missing there. Add it."
    if line == f"{callback}/":
        how = " The portal may have added it: open it again, take it away, and save." if rule.may_append_slash else \
            " Take it away."
        return f"There is a slash at the end that the callback does not have.{how}"
    ours, theirs = _split(callback), _split(line)
    if theirs is None or ours is None:
        return f"The port in it is no number from 1 to 65535. The difference is at character {at + 1}."
    return _scheme(ours, theirs, line) or _user(theirs) or _host(ours, theirs) or _port(ours, theirs) \
        or _path(ours, theirs, segments) or _tail(line, at)


def _strange_character(line: str) -> str:
    """A blank, an invisible character, or one that only looks like a letter."""
    for number, character in enumerate(line, 1):
        if character.isspace():
            return f"There is a blank at character {number}. Take it away."
        if ord(character) < 32 or unicodedata.category(character) == "Cf":
            return f"There is an invisible character at character {number} ({_name(character)}). Type it again."
    number, character = next(((number, one) for number, one in enumerate(line, 1) if ord(one) > 126 and one != "…"),
                             (0, ""))
    if not character:
        return ""
    return f"Character {number} is no plain letter: {_name(character)}. It only looks alike. Copy the callback instead."


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}")


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        _ = parts.port
    except ValueError:
        return None
    return parts


def _scheme(ours: SplitResult, theirs: SplitResult, line: str) -> str:
    if "://" not in line:
        return f"The beginning is missing there: it has to start with {ours.scheme}://."
    if theirs.scheme != ours.scheme:
        return f"The scheme differs: {theirs.scheme} there, {ours.scheme} here."
    if not line.startswith(f"{ours.scheme}://"):
        return f"The case differs: write {ours.scheme} in small letters."
    return ""


def _user(theirs: SplitResult) -> str:
    return "There is a user name in it. Take it away." if theirs.username or theirs.password else ""


def _host(ours: SplitResult, theirs: SplitResult) -> str:
    one, other = _written_host(ours), _written_host(theirs)
    if one == other:
        return ""
    if one.lower() == other.lower():
        return f"The case of the host differs: {other} there, {one} here."
    if one in (f"www.{other}", other.removeprefix("www.")):
        return f"The host differs by “www.”: {other} there, {one} here."
    return f"The host differs: {other or 'none'} there, {one} here."


def _written_host(parts: SplitResult) -> str:
    """The host as it is written, not in small letters."""
    return re.sub(r":\d*$", "", parts.netloc.rpartition("@")[2])


def _port(ours: SplitResult, theirs: SplitResult) -> str:
    if ours.netloc.rpartition("@")[2] == theirs.netloc.rpartition("@")[2]:
        return ""
    one, other = ours.port, theirs.port
    if (one or _DEFAULT_PORTS.get(ours.scheme)) == (other or _DEFAULT_PORTS.get(theirs.scheme)):
        return "The port is written out on one side only. It is the usual one: write both the same."
    return f"The port differs: {other or 'none'} there, {one or 'none'} here."


def _path(ours: SplitResult, theirs: SplitResult, segments: dict[str, str]) -> str:
    one, other = ours.path, theirs.path
    if one == other:
        return ""
    if unquote(one) == unquote(other):
        return "The percent-encoding in the path differs. Copy the callback instead of typing it."
    if one.lower() == other.lower():
        return "The case of the path differs. Platforms tell capital letters from small ones."
    if re.sub("/+", "/", other) == one:
        return "There are two slashes in a row in the path. Take one away."
    mine, yours = OUR_PATH.search(one), OUR_PATH.search(other)
    if mine and yours and mine.group(1) != yours.group(1):
        name = segments.get(yours.group(1))
        return f"This is the callback of {name}. Each needs one of its own." if name else \
            f"The path differs: “{yours.group(1)[:60]}” there, “{mine.group(1)}” here."
    if other.rstrip("/") in ("", "/"):
        return "The path is missing there. Paste the whole callback."
    if one.endswith(other):
        return f"The path differs: “{one.removesuffix(other)}” is missing at its beginning there."
    if other.endswith(one):
        return f"The path differs: “{other.removesuffix(one)[:60]}” stands before it there, and not here."
    return "The path differs."


def _tail(line: str, at: int) -> str:
    if "?…" in line:
        return "There is a query (“?” and what follows) that the callback does not have. Take it away."
    return f"The difference is at character {at + 1}."


# ---------------------------------------------------------------- what the platform takes


def broken_rules(rule: CallbackRule, callback: str) -> tuple[str, ...]:
    """Why the platform would refuse this callback, whatever the portal holds; empty where it would not."""
    parts = _split(callback)
    if parts is None or not parts.hostname:
        return ()
    host, found = parts.hostname, []
    if parts.scheme == "http" and host not in rule.http_hosts:
        found.append(rule.http_note or "Only https is taken.")
    if any(re.fullmatch(pattern, host) for pattern in rule.refused_hosts):
        found.append(rule.host_note)
    if rule.most_characters and len(callback) > rule.most_characters:
        found.append(f"It has more than {rule.most_characters} characters, which is too long there.")
    return tuple(dict.fromkeys(one for one in found if one))
