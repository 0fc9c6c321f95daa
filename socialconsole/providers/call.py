"""HTTP bound to a host, a token and one platform's table of refusals: the place where errors are raised.

What counts most is told apart here: surely nothing happened (`TryLater`), a clear no (the table), and "nobody knows"
(`OutcomeUnknown`), which after a call that cannot be taken back is everything without a clear answer.
"""

import json as jsonlib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import requests
import urllib3

from .. import outside
from ..errors import OutcomeUnknown, PlatformError, RateLimited, TryLater
from .base import App
from .refusals import CONNECTING, PUBLISH, RENEW, Answer, Parsed, Refusal, read

SHORTEST_WAIT, LONGEST_WAIT, UNSTATED_WAIT = timedelta(seconds=1), timedelta(hours=6), timedelta(minutes=15)
# Not ValueError as such: requests raises some of those about the answer, after the call was made.
_BEFORE_DIALLING = (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.InvalidURL,
                    requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema)
_NEVER_CONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError,
                    urllib3.exceptions.ProxyError, ssl.SSLCertVerificationError)
# What a call without a whole answer raises. The answer is read by us, so that its breaking off comes as urllib3 tells
# it; and requests looks into the Location of a redirect, which it is told not to follow, and may stumble over it.
TROUBLE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_SECRET_PARAMETERS = ("access_token", "appsecret_proof", "client_secret", "fb_exchange_token", "input_token", "token")


class Speaker(Protocol):
    """What a call has to know about its platform."""

    name: ClassVar[str]
    refusals: ClassVar[tuple[Refusal, ...]]
    publish_needs: ClassVar[Mapping[str, tuple[str, ...]]]
    hosts: ClassVar[Mapping[str, str]]
    answer_hosts: ClassVar[tuple[str, ...]]

    @property
    def lost_renewal_is_unknown(self) -> bool: ...

    def parse(self, body: Any) -> Parsed: ...  # documented on OAuth2Provider

    def rate_limited(self, answer: Answer) -> RateLimited: ...

    def credentials(self, app: App, token: str) -> tuple[dict[str, str], dict[str, str]]: ...


@dataclass(frozen=True)
class Reply:
    """An answer that is not a refusal. Header names are looked up in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The object in the body; empty where the platform sent none or something else."""
        return self.body if isinstance(self.body, dict) else {}


@dataclass
class Call:
    """Calls to one host in the name of one token. Use as a context: the connection is closed at its end.

    Every method raises PlatformError for whatever is not a success.
    """

    app: App = field(repr=False)
    host_name: str
    base: str
    token: str = field(repr=False)
    provider: Speaker
    step: str
    session: requests.Session = field(default_factory=outside.platform_session, repr=False)

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.session.close()

    def get(self, path: str, *, params: Mapping[str, Any] | None = None,
            headers: Mapping[str, str] | None = None) -> Reply:
        """GET, with the token where the platform wants it."""
        return self._send("GET", path, params=params, headers=headers)

    def post(self, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None,
             form: Mapping[str, Any] | None = None, files: Mapping[str, Any] | None = None,
             headers: Mapping[str, str] | None = None) -> Reply:
        """POST of JSON, of a form, or with `files` of a multipart form: name -> (file name, bytes, type)."""
        return self._send("POST", path, params=params, json=json, form=form, files=files, headers=headers)

    def put(self, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None,
            headers: Mapping[str, str] | None = None) -> Reply:
        """PUT of JSON."""
        return self._send("PUT", path, params=params, json=json, headers=headers)

    def upload(self, method: str, address: str, data: Any, *, headers: Mapping[str, str] | None = None,
               takes: tuple[int, ...] = (200, 201, 202, 204), signed: bool = True) -> Reply:
        """Bytes (or a `Slice`) to an address that an answer named; its host is checked first.

        The statuses in `takes` come back as replies, whatever their body is; all others are refusals. `signed=False`:
        the address itself is the proof, so no token goes there.
        """
        if not is_own_address(self.app, self.provider, address):
            raise TryLater(f"{self.provider.name} named an address that is not its own. Nothing was sent there.",
                           "foreign_address")
        proof = self.provider.credentials(self.app, self.token)[0] if signed and self.token else {}
        try:
            response = self.session.request(
                method, address, data=data, auth=_Signed(proof), allow_redirects=False,
                headers={"Accept": "*/*", **(headers or {})})
        except TROUBLE as trouble:
            raise unanswered(trouble, self.provider, self.step) from None
        if response.status_code in takes:
            return Reply(response.status_code, response.headers, _parsed(response)[1])
        known, body = _parsed(response)
        raise refusal(response.status_code, response.headers, body if known else None, self.provider, self.app,
                      self.step, (self.token, address))

    def refused(self, reply: Reply, status: int = 400) -> PlatformError:
        """The error inside an answer that came with the status of a success."""
        return refusal(status, reply.headers, reply.body, self.provider, self.app, self.step, (self.token,))

    def delete(self, path: str, *, params: Mapping[str, Any] | None = None,
               headers: Mapping[str, str] | None = None) -> Reply:
        """DELETE."""
        return self._send("DELETE", path, params=params, headers=headers)

    def unclear(self) -> PlatformError:
        """The error for an answer that lacks what it must contain."""
        return unclear(self.provider, self.step)

    def _send(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None,
              form: Mapping[str, Any] | None = None, files: Mapping[str, Any] | None = None,
              headers: Mapping[str, str] | None = None) -> Reply:
        signed, proof = self.provider.credentials(self.app, self.token) if self.token else ({}, {})
        query = dict(params or {})
        data = {**(form or {}), **proof} if form is not None or files else None
        if data is None:
            query.update(proof)
        try:
            response = self.session.request(
                method, self.base + path, params=query or None, json=json, data=data, files=files,
                auth=_Signed(signed),
                headers={"Accept": "application/json", **(headers or {})}, allow_redirects=False)
        except TROUBLE as trouble:
            # `from None`: the address in the original error can carry a token.
            raise unanswered(trouble, self.provider, self.step) from None
        sent = {**query, **(data or {})}
        return judge(response, self.provider, self.app, self.step,
                     (self.token, *[str(sent[name]) for name in _SECRET_PARAMETERS if name in sent]))


def is_own_address(app: App, provider: Speaker, address: str) -> bool:
    """Whether an address from an answer leads to the platform: https on one of its hosts, or that in the sandbox."""
    # The library that dials reads some characters otherwise than the one that looks here, a backslash for one: an
    # address with any but the plain ones could name two hosts.
    if not re.fullmatch(r"https?://[A-Za-z0-9.:-]+(?:[/?][!-~]*)?", address) or "\\" in address:
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    if parts.fragment:
        return False
    name, real = next(iter(provider.hosts.items()))
    sandbox = app.hosts.get(name, real).removesuffix(f"/{urlsplit(real).netloc}") if app.hosts.get(name) != real else ""
    if sandbox:
        host = address.removeprefix(f"{sandbox}/").split("/", 1)[0] if address.startswith(f"{sandbox}/") else ""
    else:
        host = (parts.hostname or "") if parts.scheme == "https" and port in (None, 443) else ""
    known = {urlsplit(one).netloc for one in provider.hosts.values()}
    return host in known or any(host.endswith(suffix) or host == suffix.lstrip(".") for suffix in provider.answer_hosts)


class _Signed(requests.auth.AuthBase):
    """Sets our own headers and thereby keeps requests from taking a password out of a .netrc file."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.headers)
        return request


def judge(response: requests.Response, provider: Speaker, app: App, step: str, secrets: tuple[str, ...] = ()) -> Reply:
    """The reply, or the error that the answer means."""
    known, body = _parsed(response)
    if 200 <= response.status_code < 300:
        if not known:
            raise unclear(provider, step)
        return Reply(response.status_code, response.headers, body)
    if known and body is None and response.status_code in (404, 410) and step != PUBLISH:
        body = {}  # "not there" needs no words; a page in its place would be a wall on the way
    raise refusal(response.status_code, response.headers, body if known else None, provider, app, step, secrets)


def _parsed(response: requests.Response) -> tuple[bool, Any]:
    """Whether the body is JSON or empty, and what it says."""
    if not response.content:
        return True, None
    try:
        return True, jsonlib.loads(response.content)
    except (ValueError, RecursionError):  # the latter: nested without end
        return False, None


def refusal(status: int, headers: Mapping[str, str], body: Any, provider: Speaker, app: App, step: str,
            secrets: tuple[str, ...] = ()) -> PlatformError:
    """The error that an answer other than success means."""
    parsed = provider.parse(body) if body is not None else Parsed()
    needs = provider.publish_needs.get(app.mode, provider.publish_needs.get("", ()))
    answer = Answer(provider.name, step, status, parsed, headers, app, needs, (app.client_secret, *secrets))
    if body is not None:
        for row in provider.refusals:
            if row.matches(answer):
                error = row.error(answer)
                return error if _is_clear(error, status, provider, step) else unclear(provider, step, answer.code)
    if status == 429:
        return provider.rate_limited(answer)
    if step == PUBLISH and (not 400 <= status < 500 or body is None) and status != 407:
        return unclear(provider, step, answer.code)  # no clear word of the platform: the post may be out
    if status == 407:
        return _away(provider, step)  # our own proxy refused: the platform never saw the call
    if status >= 500 or status == 408 or 300 <= status < 400:  # no platform redirects its own calls
        return unclear(provider, step, answer.code)
    if body is None and status in (401, 403) and step != PUBLISH:
        return _away(provider, step)  # a page instead of an answer: a wall on the way, not the platform's word
    if status in (409, 412) and step != PUBLISH:
        return _away(provider, step)
    return read((), answer)


def _is_clear(error: PlatformError, status: int, provider: Speaker, step: str) -> bool:
    """Whether the platform's own words settle what became of the call.

    A fault of its own while it renewed says nothing about the token that was sent: where that works once, it may be
    spent.
    """
    if step == RENEW:
        return not (provider.lost_renewal_is_unknown and isinstance(error, TryLater))
    return 400 <= status < 500 or step != PUBLISH or isinstance(error, OutcomeUnknown | RateLimited)


def unanswered(trouble: Exception, provider: Speaker, step: str) -> PlatformError:
    """The error for a call without an answer: harmless if no connection was made, else unclear."""
    return _away(provider, step) if _never_sent(trouble) else unclear(provider, step)


def _never_sent(trouble: Exception) -> bool:
    if isinstance(trouble, _BEFORE_DIALLING):
        return True
    cause: object = trouble.args[0] if trouble.args else None
    for _ in range(6):
        if isinstance(cause, _NEVER_CONNECTED):
            return True
        inner = getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else next(
            (one for one in getattr(cause, "args", ()) if isinstance(one, BaseException)), None)
    return False


def unclear(provider: Speaker, step: str, code: str = "no_answer") -> PlatformError:
    """Nobody knows what happened: OutcomeUnknown where that matters, else TryLater."""
    if step == PUBLISH:
        return OutcomeUnknown(f"{provider.name} did not confirm the post. We look whether it is there.", code)
    if step == RENEW and provider.lost_renewal_is_unknown:
        return OutcomeUnknown(f"{provider.name} did not answer while the connection was renewed.", code)
    return _away(provider, step, code)


def _away(provider: Speaker, step: str, code: str = "unreachable") -> TryLater:
    """Surely nothing happened."""
    after = "Nothing was connected. Connect again in a few minutes." if step in CONNECTING else \
        "We try again; the account stays connected."
    return TryLater(f"{provider.name} cannot be reached. {after}", code)


def stated_wait(headers: Mapping[str, str], unstated: timedelta = UNSTATED_WAIT) -> datetime:
    """When to call again: what `Retry-After` says (seconds or a date), kept between a second and six hours."""
    now, stated = outside.now(), (headers.get("Retry-After") or "").strip()
    if not stated:
        return now + unstated
    try:
        until = now + timedelta(seconds=float(stated))
    except (ValueError, OverflowError):
        until = _http_date(stated) or now + unstated
    return min(max(until, now + SHORTEST_WAIT), now + LONGEST_WAIT)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
