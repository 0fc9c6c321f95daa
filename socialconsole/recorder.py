"""The flight recorder's ear: what one connection, renewal or try to publish asks a platform, and what comes back.

While a `recording` is open, the door to the platforms hands every call of its thread to a Flight, which holds it in
memory until the recording ends and no longer. What is written down of it, and that is little, is decided in
`takedown.py`: names, codes and times, never a value that could be secret.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests

CONNECT, RENEW, PUBLISH = "connect", "renew", "publish"
KINDS = (CONNECT, RENEW, PUBLISH)
FIRST, LAST = 26, 13  # steps that are held from the beginning and from the end; with the word about the rest 40
LONGEST_BODY = 16 * 1024  # bytes of a body that are looked at for its names


@dataclass(frozen=True)
class Call:
    """One call as it was: held in memory, never written as it is. `status` 0: no answer."""

    at: int  # milliseconds from the beginning of the flight
    method: str
    address: str
    body: str | bytes | None
    kind_of_body: str
    proof: str  # the Authorization header
    status: int
    headers: Mapping[str, str]
    answer: bytes | None  # None: too long to be looked at, or not read
    size: int
    trouble: BaseException | None
    spent: int  # milliseconds


@dataclass(frozen=True)
class Said:
    """One step that a service tells: a sentence of ours, and values, of which only harmless ones are written."""

    at: int
    sentence: str
    values: tuple[str, ...] = ()


class Flight:
    """What happens within one recording: the first steps and the last ones; of the middle only how many there were."""

    def __init__(self, kind: str, platform: str, hidden: tuple[Any, ...] = ()) -> None:
        """`hidden`: what was written by people; no word of it is taken down, whoever repeats it."""
        self.kind, self.platform, self.hidden = kind, platform, hidden
        self._began = time.monotonic()
        self._first: list[Call | Said] = []
        self._last: deque[Call | Said] = deque(maxlen=LAST)
        self.left_out = 0

    @property
    def spent(self) -> int:
        """Milliseconds since it began."""
        return round((time.monotonic() - self._began) * 1000)

    @property
    def first(self) -> list[Call | Said]:
        """The steps up to where some are left out; all of them if none are."""
        return self._first

    @property
    def last(self) -> list[Call | Said]:
        """The steps after those that are left out."""
        return list(self._last)

    def say(self, sentence: str, *values: str) -> None:
        """Add a step of our own: a constant sentence, and values."""
        self._add(Said(self.spent, sentence, values))

    def call(self, request: requests.PreparedRequest, answer: requests.Response | None,
             trouble: BaseException | None, spent: int) -> None:
        """Add a call and what came back, or why nothing did."""
        body = request.body if isinstance(request.body, str | bytes) else None
        read = getattr(answer, "_content", None)  # never by `content`: what is streamed is not ours to read
        known = read if isinstance(read, bytes) else b""
        self._add(Call(
            max(self.spent - spent, 0), request.method or "", request.url or "", body[:LONGEST_BODY] if body else None,
            str(request.headers.get("Content-Type", "")), str(request.headers.get("Authorization", "")),
            answer.status_code if answer is not None else 0, answer.headers if answer is not None else {},
            known if known and len(known) <= 4 * LONGEST_BODY else None, len(known), trouble, spent))

    def _add(self, step: Call | Said) -> None:
        if len(self._first) < FIRST:
            self._first.append(step)
            return
        self.left_out += len(self._last) == LAST
        self._last.append(step)


_flight: ContextVar[Flight | None] = ContextVar("flight", default=None)


def current() -> Flight | None:
    """The recording that is open in this thread, if any."""
    return _flight.get()


@contextmanager
def recording(kind: str, platform: str, *hidden: Any) -> Iterator[Flight]:
    """Collect every call to a platform that this thread makes inside. `hidden`: see `Flight`."""
    flight = Flight(kind, platform, hidden)
    token = _flight.set(flight)
    try:
        yield flight
    finally:
        _flight.reset(token)
