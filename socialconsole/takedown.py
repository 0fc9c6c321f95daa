"""What a recording takes down of a call: what is allowed, and nothing else.

Method, host and a shortened path; the names of what was sent and answered; the values of a few parameters that are
never secret; codes, times and the platform's own ids of a call. A sentence of the platform stands without anything
that looks like a token, without addresses, and without any word that was sent along with the call.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .providers.refusals import redact
from .recorder import CONNECT, FIRST, LAST, Call, Flight, Said

MOST_STEPS, MOST_BYTES = FIRST + LAST + 1, 16 * 1024
MOST_NAMES = 14  # of one call, for each of what was sent and answered
LONGEST_SENTENCE = 4096  # characters of what a platform says that are looked at
LEFT_OUT = "Steps left out here"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Parameters whose values may stand beside their names.
OPEN_PARAMETERS = _set("""
    grant_type response_type response_mode redirect_uri scope scopes fields part expansions tweet.fields user.fields
    media.fields auth_type access_type prompt include_granted_scopes code_challenge_method media_type media_category
    upload_phase upload_type uploadType command display force_reauth enable_fb_login
""")
# Header names, in small letters: what the platform calls this very call, and how much room it leaves.
TRACES = _set("""
    x-fb-trace-id x-fb-request-id x-fb-debug x-li-uuid x-restli-id x-li-fabric x-tt-logid x-tt-trace-id
    x-transaction-id x-request-id x-guploader-uploadid x-fb-rev
""")
ROOM = _set("""
    retry-after x-rate-limit-limit x-rate-limit-remaining x-rate-limit-reset x-app-limit-24hour-remaining
    x-user-limit-24hour-remaining ratelimit-limit ratelimit-remaining ratelimit-reset x-app-usage x-page-usage
""")
CODES = _set("""
    code subcode error_subcode type error error_code error_type error_reason status reason serviceErrorCode domain
""")
ERROR_TRACES = _set("log_id fbtrace_id request_id")
SENTENCES = _set("message error_description error_message detail error_user_msg")
INSIDE = ("error", "errors", "data", "details")  # where an answer keeps its error

# Words that say nothing about a post, even where it holds them too.
EVERYDAY = _set("""
    access already application because been business cannot cause character characters click connect could daily does
    duplicate error expired fail failed failure field fields file format from have image invalid later length limit
    link long many maximum media message minimum missing must need number object option page parameter parameters
    permission permissions person photo please post posts profile public publish reached request required requires
    scope scopes size text than that their there this time title token type unsupported upload user valid value video
    with without your
""")

_NAME = re.compile(r"[A-Za-z_][A-Za-z_.\[\]-]{0,39}")
_VALUE = re.compile(r"[A-Za-z0-9_.,:;/{}() =…+-]{1,400}")
_CODE = re.compile(r"[A-Za-z0-9_.,:;/ -]{1,60}")
_TRACE = re.compile(r"[A-Za-z0-9_.+/=:,-]{1,80}")
# A number, a date, or how many parts of a hundred are used.
_ROOM = re.compile(r'\d{1,12}|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT'
                   r'|\{(?:"(?:call_count|total_time|total_cputime|type)": ?\d{1,6},? ?)+\}')
_WORD_OF_PATH = re.compile(r"v?\d{1,3}(?:\.\d{1,2})?|[A-Za-z][A-Za-z_.:-]{0,39}\d{0,2}")
_ADDRESS = re.compile(r"(?<!\S)\S*@\S*")  # from the beginning of a word only: else a long one takes its square
_OWN_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,120}(?:/[A-Za-z0-9_.-]{1,60}){0,12}/?")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,120}")

Step = dict[str, Any]


def steps(flight: Flight, in_full: bool) -> list[Step]:
    """What a flight did, as it may be written; without `in_full` the calls without what they held."""
    seen = _Seen(flight)
    write = _in_full if in_full or flight.kind == CONNECT else _in_short
    found = [write(one, seen) for one in flight.first]
    if flight.left_out:
        found.append({"at": flight.first[-1].at, "note": LEFT_OUT, "left": flight.left_out})
    return found + [write(one, seen) for one in flight.last]


def bounded(found: Sequence[Step]) -> list[Step]:
    """At most 40 steps and 16 kB; what is left out of the middle is counted."""
    kept = list(found)
    while len(kept) > 2 and (len(kept) > MOST_STEPS or len(json.dumps(kept)) > MOST_BYTES):
        kept = _without_middle(kept)
    return kept


def _without_middle(found: list[Step]) -> list[Step]:
    """Without one of the steps in the middle, which the word about those left out counts."""
    place = next((number for number, one in enumerate(found) if one.get("note") == LEFT_OUT), len(found) * 2 // 3)
    word = found[place] if found[place].get("note") == LEFT_OUT else None
    if word is None:
        return [*found[:place], {"at": found[place]["at"], "note": LEFT_OUT, "left": 1}, *found[place + 1:]]
    other = place + 1 if place + 1 < len(found) - 1 else place - 1
    more = {**word, "left": word["left"] + found[other].get("left", 1)}
    return [more if number == place else one for number, one in enumerate(found) if number != other]


def open_value(text: str) -> str:
    """A value that may stand, as it is; an ellipsis for any other."""
    short = text.split("?", 1)[0].split("#", 1)[0] if "://" in text else text
    if not _VALUE.fullmatch(short) or any(redact(piece) != piece for piece in re.split(r"[ ,]+", short)):
        return "…"
    return short


def names(found: Iterable[Any]) -> list[str]:
    """Names that look like names; what looks like anything else is counted."""
    every = [str(one) for one in found]
    good = [one for one in every if _NAME.fullmatch(one) and redact(one) == one][:MOST_NAMES]
    return good if len(good) == len(every) else [*good, f"… {len(every) - len(good)} more"]


def parameters(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names of parameters; beside those that are never secret, their values."""
    every = list(pairs)
    told = [_parameter(name, value) for name, value in every
            if _NAME.fullmatch(name) and redact(name) == name][:MOST_NAMES]
    return told if len(told) == len(every) else [*told, f"… {len(every) - len(told)} more"]


def _parameter(name: str, value: str) -> str:
    if name == "redirect_uri":  # our own callback, which has to be the portal's letter by letter
        plain = value.partition("?")[0].partition("#")[0]
        return f"{name}={plain}" if _OWN_ADDRESS.fullmatch(plain) else name
    return f"{name}={open_value(value)}" if name in OPEN_PARAMETERS else name


def asked(address: str) -> Step:
    """The page of a platform that somebody is sent to: where it is, and what it is told."""
    query = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    return {"page": where(address), "query": parameters(query)}


def came_with(query: Mapping[str, str]) -> list[str]:
    """The names of the parameters that somebody came back with, and the codes among them."""
    told = [f"{name}={code(query[name])}" if name in CODES and name != "code" else name for name in names(query)
            if name in query]
    return told if len(told) == len(query) else [*told, f"… {len(query) - len(told)} more"]


def where(address: str) -> str:
    """Host and path; what is no word of the platform in the path is shortened."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    kept = [_segment(unquote(one)) for one in parts.path.split("/")[1:]]
    return f"{host if _HOST.fullmatch(host) else '…'}{''.join(f'/{one}' for one in kept)}"[:300]


def _segment(text: str) -> str:
    if not text or (_WORD_OF_PATH.fullmatch(text) and _stays(text)):
        return text
    return f"…{text[-4:]}" if text.isdecimal() and len(text) >= 8 else "…"


@lru_cache(maxsize=1024)
def _stays(word: str) -> bool:
    """Whether nothing of a word of a path or of a header's name has to go; the same few come with every call."""
    return redact(word) == word


def code(text: object, hidden: "_Seen | None" = None) -> str:
    """A short code, if it looks like one and holds nothing that was sent."""
    plain = str(text)
    if not _CODE.fullmatch(plain) or redact(plain) != plain:
        return "…"
    return "…" if hidden is not None and hidden.was_sent(plain) else plain


# ---------------------------------------------------------------- what was sent, and must not come back


class _Seen:
    """All that a flight sent: no sentence of an answer may repeat it. Looked through only when that is asked."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._values: tuple[str, ...] | None = None
        self._words: frozenset[str] = frozenset()

    def was_sent(self, text: str) -> bool:
        """Whether something that was sent and may not stand holds this text, or the other way round."""
        self._look()
        small = text.lower()
        if len(small) < 4 or small in EVERYDAY:
            return False
        return (any(small in value or (len(value) >= 8 and value in small) for value in self._values or ())
                or any(self._is_sent(word) for word in re.findall(r"\w+", small)))

    def sentence(self, text: str) -> str:
        """A platform's sentence without tokens, addresses, and words that were sent."""
        self._look()
        if len(text) > LONGEST_SENTENCE:  # a secret that was cut would no longer be known as one
            text = text[:LONGEST_SENTENCE].rpartition(" ")[0]
        plain = redact(_ADDRESS.sub("…", text), self._values or ())
        plain = re.sub(r"\w+", lambda found: "…" if self._is_sent(found[0].lower()) else found[0], plain)
        return re.sub(r"…(?:[\s\W]*…)+", "…", plain)

    def _is_sent(self, word: str) -> bool:
        """Whether a word was sent, or is what is left of one that was cut off."""
        if len(word) < 4 or word in EVERYDAY:
            return False
        return word in self._words or any(one.startswith(word) for one in self._words)

    def _look(self) -> None:
        if self._values is not None:
            return
        found = [value for one in (*self._flight.first, *self._flight.last) if isinstance(one, Call)
                 for value in _sent_values(one)]
        for thing in self._flight.hidden:
            found += _texts(thing)
        self._values = tuple({one.lower() for one in found if len(one) >= 4} | {one for one in found if len(one) >= 4})
        self._words = frozenset(word.lower() for one in found for word in re.findall(r"\w{4,}", one))


def _sent_values(call: Call) -> Iterable[str]:
    """What a call sent beside what may stand."""
    yield from (value for name, value in parse_qsl(urlsplit(call.address).query) if name not in OPEN_PARAMETERS)
    yield from _proofs(call.proof)
    yield from (value for name, value in _body(call).items() if name not in OPEN_PARAMETERS
                for value in _texts(value))


def _proofs(header: str) -> list[str]:
    """The secrets in an Authorization header; of Basic the id and the secret as well."""
    found = header.split()[1:]
    if header.lower().startswith("basic "):
        with suppress(ValueError):
            found += [unquote(one) for one in base64.b64decode(found[0]).decode().split(":")]
    return found


def _texts(thing: Any) -> list[str]:
    """All texts in a value, however deep."""
    if isinstance(thing, str):
        return [thing]
    if dataclasses.is_dataclass(thing):
        return [one for part in dataclasses.fields(thing) for one in _texts(getattr(thing, part.name))]
    if isinstance(thing, Mapping):
        return [one for part in thing.values() for one in _texts(part)]
    return [one for part in thing for one in _texts(part)] if isinstance(thing, list | tuple) else []


# ---------------------------------------------------------------- a step


def _in_short(one: Call | Said, seen: _Seen) -> Step:
    if isinstance(one, Said):
        return _said(one)
    step: Step = {"at": one.at, "call": f"{one.method} {where(one.address)}", "status": one.status, "ms": one.spent}
    if one.trouble is not None:
        step["trouble"] = _kinds(one.trouble)
    heads = {name: value for name, value in one.headers.items() if name.lower() in TRACES}
    if heads := {name: value for name, value in heads.items() if _TRACE.fullmatch(value) and not seen.was_sent(value)}:
        step["heads"] = heads
    return step


def _in_full(one: Call | Said, seen: _Seen) -> Step:
    step = _in_short(one, seen)
    if isinstance(one, Said):
        return step
    step["size"] = one.size
    heads = {name: value for name, value in one.headers.items()
             if name.lower() in ROOM and _ROOM.fullmatch(value)}
    more = {"heads": {**step.get("heads", {}), **heads},
            "query": parameters(parse_qsl(urlsplit(one.address).query, keep_blank_values=True)),
            "sent": parameters((name, value if isinstance(value, str) else "") for name, value in _body(one).items()),
            **_answer(one, seen)}
    return step | {name: value for name, value in more.items() if value}


def _said(one: Said) -> Step:
    step: Step = {"at": one.at, "note": one.sentence}
    return step | {"values": [open_value(value) for value in one.values]} if one.values else step


def _kinds(trouble: BaseException) -> list[str]:
    """What a call without an answer failed with, from the outside in: names of kinds of errors, never their words."""
    found: list[str] = []
    cause: Any = trouble
    while isinstance(cause, BaseException) and len(found) < 5:
        found.append(type(cause).__name__)
        inside = getattr(cause, "reason", None)
        cause = inside if isinstance(inside, BaseException) else next(
            (one for one in cause.args if isinstance(one, BaseException)), None)
    return list(dict.fromkeys(found))


def _body(call: Call) -> dict[str, Any]:
    """What a body sent, by name; empty where it is no form and no object."""
    if not call.body:
        return {}
    text = call.body.decode("utf-8", "replace") if isinstance(call.body, bytes) else call.body
    if "form-urlencoded" in call.kind_of_body:
        return dict(parse_qsl(text, keep_blank_values=True))
    if "json" in call.kind_of_body:
        plain = _loaded(text)
        return plain if isinstance(plain, dict) else {}
    if "multipart" in call.kind_of_body:
        return {name: value for name, value in re.findall(
            r'[; ]name="([^"\r\n]+)"(?:\r?\n[^\r\n]+)*\r?\n\r?\n([^\r\n]*)', text)} | {
            name: "" for name in re.findall(r'[; ]name="([^"\r\n]+)"; filename', text)}
    return {}


def _loaded(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _answer(call: Call, seen: _Seen) -> Step:
    """The names in an answer, and of an error its codes and its sentence."""
    if call.answer is None:
        return {}
    body = _loaded(call.answer)
    if not isinstance(body, dict):
        return {"form": "a list" if isinstance(body, list) else "no JSON"}
    got: Step = {"got": names(body)}
    error: Step = {}
    for part in _errors(body):
        for name, value in part.items():
            if name in SENTENCES and isinstance(value, str) and value:
                error.setdefault(name, seen.sentence(value))
            elif name in CODES and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                error.setdefault(name, code(value, seen))
            elif name in ERROR_TRACES and isinstance(value, str) and _TRACE.fullmatch(value) \
                    and not seen.was_sent(value):
                error.setdefault(name, value)
    return got | {"error": error} if error and _is_error(call, body, error) else got


def _errors(body: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The objects of an answer that may speak of an error: itself, and what it keeps of errors."""
    yield body
    for name in INSIDE:
        inner = body.get(name)
        for one in inner[:1] if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                yield one
                deeper = one.get("errors")
                yield from [more for more in deeper[:1] if isinstance(more, dict)] if isinstance(deeper, list) else []


def _is_error(call: Call, body: dict[str, Any], error: Step) -> bool:
    """Whether an answer speaks of an error; some say in every answer that there is none."""
    if 200 <= call.status < 300 and error.get("code") in ("ok", "0"):
        return False
    return not 200 <= call.status < 300 or any(name.startswith("error") for name in body)
