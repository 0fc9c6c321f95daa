"""What the console saw of a call to its own public address, and the first thing in it that differs from what was asked.

A check carries a nonce that only this console's key can make; whoever brings a valid one is told, signed, how the call
arrived. Any web process can answer, since nothing is stored. What differs is named in the order in which a request
meets it: query, host, port, path, proxies, scheme.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import SplitResult, urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from .config import DEFAULT_PORTS, Config
from .config_checks import is_loopback, port_of

OK, DIFFERS, CANNOT_TELL = "ok", "differs", "cannot_tell"
PARAMETER = "address_check"  # in the query, where the code of a consent travels too
HEADER = "X-Address-Check"  # the same once more, to tell a lost query from a lost request
MARK, MARKED = "social_console", "address-check"
NONCE_SECONDS, ANSWER_SECONDS = 120, 300
LONGEST, MOST_HOPS = 200, 10
_NONCE, _ANSWER = "address check, nonce", "address check, answer"


@dataclass(frozen=True)
class Seen:
    """How one call arrived: as it came from the network, and what the console made of it."""

    method: str
    scheme: str  # after the proxies that are believed
    host: str
    path: str  # as it came from the network
    has_query: bool
    client: str  # who is asking, after the proxies that are believed
    peer: str  # who opened the connection
    plain_scheme: str
    plain_host: str
    forwarded_for: tuple[str, ...] = ()
    forwarded_proto: str = ""
    forwarded_host: str = ""
    trusted: int = 0  # TRUSTED_PROXIES


@dataclass(frozen=True)
class Finding:
    """What one call came to. `cause` is a slug of `proxy_lines.FIXES` or empty; `setting` a line for the settings."""

    verdict: str
    cause: str
    sentence: str
    setting: str = ""
    seen: Seen | None = None


@dataclass(frozen=True)
class Place:
    """An address that the console has to answer at. `paths`: what may be left of its path when the console sees it."""

    url: str
    paths: tuple[str, ...]

    @property
    def parts(self) -> SplitResult:
        """The address in pieces."""
        return urlsplit(self.url)


# ---------------------------------------------------------------- nonce and answer


def nonce(config: Config, url: str) -> str:
    """A value that makes the console say what it saw of one call to `url`, for two minutes."""
    return URLSafeTimedSerializer(config.secret_key, salt=_NONCE).dumps(url)


def asked_for(config: Config, given: str) -> str | None:
    """The address that a nonce was made for; None if it is not ours, or too old."""
    return _opened(config, _NONCE, given, NONCE_SECONDS, str)


def answer(config: Config, given: str, seen: Seen) -> str:
    """What was seen of the call with this nonce, signed, as the text to send back."""
    signed = URLSafeTimedSerializer(config.secret_key, salt=_ANSWER).dumps({"nonce": given, "seen": asdict(seen)})
    return json.dumps({MARK: MARKED, "answer": signed})


def is_marked(body: str) -> bool:
    """Whether this looks like the answer of a console, whatever became of it on the way."""
    return MARK in body and MARKED in body


def read_answer(config: Config, body: str) -> tuple[str, Seen] | None:
    """The nonce and what was seen, from an answer; None if it is not ours, was changed, or is too old."""
    try:
        signed = json.loads(body)["answer"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    found = _opened(config, _ANSWER, str(signed), ANSWER_SECONDS, dict)
    return (str(found["nonce"]), seen_of(found["seen"])) if found else None


def seen_of(stored: Mapping[str, Any]) -> Seen:
    """What was seen, from its parts; parts of another version are left out."""
    known = {field.name for field in fields(Seen)}
    values = {name: value for name, value in stored.items() if name in known}
    return Seen(**{**values, "forwarded_for": tuple(values.get("forwarded_for", ()))})


def _opened(config: Config, salt: str, given: str, seconds: int, kind: type[Any]) -> Any:
    try:
        found = URLSafeTimedSerializer(config.secret_key, salt=salt).loads(given, max_age=seconds)
    except BadData:
        return None
    return found if isinstance(found, kind) else None


# ---------------------------------------------------------------- what arrived


def seen(asked: Mapping[str, Any], now: Mapping[str, Any], config: Config, has_query: bool) -> Seen:
    """What one call looked like: `asked` is its WSGI environment as the server made it, `now` as the app has it."""
    hops = [one.strip() for one in str(asked.get("HTTP_X_FORWARDED_FOR", "")).split(",") if one.strip()]
    return Seen(
        _short(asked, "REQUEST_METHOD"), _short(now, "wsgi.url_scheme"), _short(now, "HTTP_HOST"),
        _short(asked, "PATH_INFO"), has_query, _short(now, "REMOTE_ADDR"), _short(asked, "REMOTE_ADDR"),
        _short(asked, "wsgi.url_scheme"), _short(asked, "HTTP_HOST"),
        tuple(one[:LONGEST] for one in hops[:MOST_HOPS]), _short(asked, "HTTP_X_FORWARDED_PROTO"),
        _short(asked, "HTTP_X_FORWARDED_HOST"), config.trusted_proxies)


def _short(environ: Mapping[str, Any], name: str) -> str:
    return str(environ.get(name, ""))[:LONGEST]


# ---------------------------------------------------------------- what differs


def compare(place: Place, found: Seen, *, counts_proxies: bool = True) -> Finding:
    """The first thing that differs between the address and what arrived. `counts_proxies`: whether the list of
    forwarded addresses is the proxies' alone, as it is unless the caller went through a proxy of its own."""
    checks = (_query, _host, _path, *((_proxies,) if counts_proxies else ()), _scheme)
    for check in checks:
        difference = check(place, found)
        if difference is not None:
            cause, sentence, *setting = difference
            return Finding(DIFFERS, cause, sentence, setting[0] if setting else "", found)
    if is_loopback(place.parts.hostname or ""):
        return Finding(OK, "loopback", "The console answers here. Only this machine reaches this address: that is "
                       "right for the sandbox, and platforms that allow such a callback say so in their guide.",
                       seen=found)
    sentence = "The console answers here, and sees what it was asked for."
    if place.parts.scheme == "http":
        sentence += " It is http, though, and most platforms take a callback by https alone."
    return Finding(OK, "", sentence, seen=found)


Difference = tuple[str, str, str] | tuple[str, str] | None


def _query(place: Place, found: Seen) -> Difference:
    if found.has_query:
        return None
    return "query", ("The part of the address behind the question mark is lost on the way. The code of a consent "
                     "travels there, so no profile can be connected. Let the proxy pass it on.")


def _host(place: Place, found: Seen) -> Difference:
    wanted, got = _place(place.url), _place(f"{place.parts.scheme}://{found.host}")
    if wanted == got:
        return None
    told = _last(found.forwarded_host, found.trusted)
    if not found.trusted and told and _place(f"{place.parts.scheme}://{told}") == wanted:
        return _too_few(found, 1)
    if wanted and got and wanted[0] == got[0]:
        return "port", (f"The console was asked as {found.host}, without the port of {place.parts.netloc}. Let the "
                        "proxy pass the host on with its port.")
    return "host", (f"The console was asked as {found.host or 'nobody'} instead of {place.parts.netloc}. Let the proxy "
                    "pass the host on as the browser named it.")


def _path(place: Place, found: Seen) -> Difference:
    if found.path in place.paths:
        return None
    wanted = place.paths[0]
    if found.path == wanted + "/":
        what = "a slash was added at its end"
    elif found.path.endswith((wanted, place.paths[-1])):
        known = wanted if found.path.endswith(wanted) else place.paths[-1]
        what = f"{found.path.removesuffix(known)} was put before it"
    elif wanted.endswith(found.path):
        what = f"{wanted.removesuffix(found.path)} was cut off it"
    else:
        what = "it was changed"
    return "prefix", (f"The path arrives as {found.path} instead of {wanted}: {what}. Let the proxy pass the path on "
                      "as it is.")


def _proxies(place: Place, found: Seen) -> Difference:
    count = len(found.forwarded_for)
    if count > found.trusted:
        return _too_few(found, count)
    if count == found.trusted:
        return None
    if not count and place.parts.scheme == "https" and not found.forwarded_proto:
        return None  # a proxy stands there, since the encryption ends before us: that it says nothing is told below
    if not count and found.forwarded_proto:
        return "forwarded_for", ("The proxy does not say who is asking (X-Forwarded-For), so every login seems to come "
                                 "from the proxy itself. Let it pass that on.")
    if not count:
        return _too_many(found, "no header of a proxy arrives")
    return _too_many(found, f"{_proxies_words(count)} between the caller and the console")


def _too_few(found: Seen, count: int) -> Difference:
    return "proxies_few", (
        f"{_proxies_words(count)} before the console, and TRUSTED_PROXIES is {found.trusted}, so what the "
        f"{'proxy says' if count == 1 else 'outer one says'} about scheme and caller is not believed. Set it to "
        f"{count} and start the console again."), f"TRUSTED_PROXIES={count}"


def _too_many(found: Seen, what: str) -> Difference:
    count = len(found.forwarded_for)
    return "proxies_many", (
        f"TRUSTED_PROXIES is {found.trusted}, and {what}. A caller could then claim any address. Set it to {count} and "
        "start the console again, or let each proxy add X-Forwarded-For."), f"TRUSTED_PROXIES={count}"


def _proxies_words(count: int) -> str:
    return "1 proxy stands" if count == 1 else f"{count} proxies stand"


def _scheme(place: Place, found: Seen) -> Difference:
    wanted = place.parts.scheme
    if found.scheme == wanted:
        return None
    if not found.trusted and found.forwarded_proto:
        return _too_few(found, 1)
    if wanted == "https" and not found.forwarded_proto:
        return "proto", ("People come by https, and the proxy does not say so (X-Forwarded-Proto is missing), so the "
                         "console takes it for http. Let the proxy pass it on.")
    if wanted == "https":
        return "proto", (f"People come by https, and the proxy says “{found.forwarded_proto}” (X-Forwarded-Proto). If "
                         "another proxy before it ends the encryption, it has to pass that one's word on.")
    return "proto", ("The address begins with http://, and the proxy says that people come by https. Set "
                     "API_PUBLIC_URL to the https address."), f"API_PUBLIC_URL=https://{place.parts.netloc}"


def _last(value: str, count: int) -> str:
    parts = [one.strip() for one in value.split(",") if one.strip()]
    return parts[-count] if 0 < count <= len(parts) else parts[0] if parts else ""


def _place(address: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname, port_of(parts) or DEFAULT_PORTS.get(parts.scheme)
