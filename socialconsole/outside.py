"""The one door to the world: the clock, randomness and HTTP calls to the platforms.

Tests hand in a still clock and `responses`. Every call to a platform goes through `platform_session`, which sets
time limits, never follows a redirect, never retries by itself and logs method, host, status and duration: never a
path's query, a body or a token. An open recording is handed each call.
"""

import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, overload
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from . import recorder

log = logging.getLogger("socialconsole.outside")

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 25.0  # from one byte to the next
WHOLE_SECONDS = 40.0  # for a whole call
LARGEST_ANSWER = 5 * 1024 * 1024
USER_AGENT = "SocialConsole/1"
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_clock: Callable[[], datetime] | None = None  # what tests put in the place of the real one
_ahead = [timedelta(0)]  # how far the clock that all hosts share is ahead of this machine's
_before_call: list[Callable[[], None]] = []
_drift: list[timedelta] = []  # by what the last platform that answered gave as its time

SessionType = TypeVar("SessionType", bound=requests.Session)


def now() -> datetime:
    """The present instant, in UTC; where several hosts share a database, by its clock."""
    return _clock() if _clock is not None else datetime.now(UTC) + _ahead[0]


def correct(ahead: timedelta) -> None:
    """From now on count this much on top of this machine's clock."""
    _ahead[0] = ahead


def corrected() -> timedelta:
    """How far the clock that all hosts share is ahead of this machine's; nothing where only this machine counts."""
    return _ahead[0]


def use_clock(clock: Callable[[], datetime] | None) -> None:
    """Replace the clock of this process; None puts the real one back."""
    global _clock
    _clock = clock


def secret(size: int = 32) -> str:
    """A fresh random value of `size` bytes, safe to use in an address."""
    return secrets.token_urlsafe(size)


def before_call(check: Callable[[], None]) -> None:
    """Run `check` before each call to a platform; the database uses it to refuse an open transaction."""
    if check not in _before_call:
        _before_call.append(check)


class PlatformAdapter(HTTPAdapter):
    """Sends one request with its own time limit and writes one log line about it."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        for check in _before_call:
            check()
        if not options.get("timeout"):
            options["timeout"] = (CONNECT_SECONDS, ANSWER_SECONDS)
        host = urlsplit(request.url or "").netloc
        if urlsplit(request.url or "").hostname in LOOPBACK:
            options["proxies"] = {}  # the sandbox is on this very machine, whatever proxy leads outside
        began = time.monotonic()
        status: int | str = "no answer"
        answer, trouble = None, None
        try:
            wants_stream = options.get("stream", False)
            answer = super().send(request, *args, **{**options, "stream": True})
            if not wants_stream:
                _read(answer, began)
            status = answer.status_code
            if urlsplit(request.url or "").hostname not in LOOPBACK:
                _compare_clocks(answer.headers.get("Date", ""))
            return answer
        except Exception as error:
            trouble = error
            raise
        finally:
            spent = round((time.monotonic() - began) * 1000)
            if (flight := recorder.current()) is not None:
                flight.call(request, answer, trouble, spent)
            log.info("platform call", extra={"method": request.method, "host": host, "status": status, "ms": spent})


def _compare_clocks(told: str) -> None:
    """Note how far a platform's clock is ahead of ours; its `Date` counts whole seconds."""
    try:
        theirs = parsedate_to_datetime(told)
    except (ValueError, OverflowError):
        return
    if theirs.tzinfo is not None:
        _drift[:] = [theirs - now()]


def seen_drift() -> timedelta | None:
    """How far the clock of a platform that answered just now is ahead of ours; told once, else None."""
    return _drift.pop() if _drift else None


def _read(answer: requests.Response, began: float) -> None:
    """Read an answer to its end, within the time and size that any honest one keeps.

    The limits of requests count from one byte to the next: an answer that drips would outlast every lease.
    """
    pieces, size = [], 0
    while piece := _piece(answer):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER or time.monotonic() - began > WHOLE_SECONDS:
            answer.close()
            raise requests.exceptions.ReadTimeout("the answer did not end in time")
    answer._content, answer._content_consumed = b"".join(pieces), True  # type: ignore[attr-defined]
    answer.raw.release_conn()


def _piece(answer: requests.Response) -> bytes:
    """The next bytes. What breaks off or is badly packed is told in requests' own words, as callers expect it."""
    try:
        return answer.raw.read1(65536, decode_content=True) or b""
    except urllib3.exceptions.HTTPError as trouble:
        answer.close()
        raise requests.exceptions.ConnectionError(trouble) from None


class PlatformSession(requests.Session):
    """A plain session for calls to a platform: no redirects, no cookies kept from one person to the next."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        options["allow_redirects"] = False  # not a default: `get` of requests asks for redirects by itself
        return super().request(method, url, **options)


@overload
def platform_session() -> PlatformSession: ...
@overload
def platform_session(kind: type[SessionType], **arguments: Any) -> SessionType: ...
def platform_session(kind: type[Any] = PlatformSession, **arguments: Any) -> Any:
    """A session for calls to a platform; honours HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE."""
    session = kind(**arguments)
    session.headers["User-Agent"] = USER_AGENT
    session.get_redirect_target = lambda resp: None  # none is followed, and an odd one must not break the reading
    session.mount("https://", PlatformAdapter(max_retries=0))
    session.mount("http://", PlatformAdapter(max_retries=0))
    return session
