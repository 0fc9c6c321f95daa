"""Does the console answer at its public address, and does it see there what it was asked? The first difference, named.

The server calls itself by the configured addresses alone: the public one, and callbacks that an admin set for an app.
It follows no redirect, and is done within five seconds. `address_seen.py` judges what arrived; here is the way there:
name, connection, certificate, redirect, who answers. The result is kept until the next check.
"""

import errno
import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
from cryptography import x509
from flask import current_app
from requests.utils import get_environ_proxies, select_proxy
from sqlalchemy import select

from . import outside, platform_apps, proxy_lines
from .address_seen import (
    CANNOT_TELL,
    DIFFERS,
    HEADER,
    OK,
    PARAMETER,
    Finding,
    Place,
    asked_for,
    compare,
    is_marked,
    nonce,
    read_answer,
    seen_of,
)
from .config import DEFAULT_PORTS, Config
from .config_checks import is_loopback, port_of
from .database import refuse_open_transaction, writing
from .extensions import db
from .models import Installation, PlatformApp

log = logging.getLogger("socialconsole.address_check")

NOTE = "address_check"  # the row of Installation with the last result
SEGMENT = "address-check"  # stands for a platform in the address that is called
SECONDS, CONNECT_SECONDS, TRY_SECONDS = 5.0, 1.5, 1.0
MOST_ADDRESSES, MOST_PLACES, LARGEST = 4, 8, 64 * 1024
DAILY = timedelta(days=1)
FROM_HERE = "Cannot tell from here: "
FROM_BROWSER = " Check it from your browser."
WALLS = ("cf-ray", "cf-mitigated", "x-amz-cf-id", "x-akamai-request-id", "x-sucuri-id", "x-iinfo")

Ring = Callable[[str, list[str]], None]


@dataclass(frozen=True)
class Row:
    """How one address does. `note`: what is besides worth knowing; `browser`: what a browser found, if it was asked."""

    url: str
    what: str  # whose address it is, in words
    finding: Finding
    note: str = ""
    browser: Finding | None = None

    @property
    def counts(self) -> Finding:
        """What holds: where this server cannot tell, what a browser found."""
        return self.browser if self.browser is not None and self.finding.verdict == CANNOT_TELL else self.finding


@dataclass(frozen=True)
class Result:
    """The last check of all addresses; verdict, cause and sentence are those of the first one that is not right."""

    at: datetime
    rows: tuple[Row, ...]

    @property
    def worst(self) -> Row:
        """The row to look at first."""
        order = {DIFFERS: 0, CANNOT_TELL: 1, OK: 2}
        return min(self.rows, key=lambda row: order[row.counts.verdict])

    @property
    def verdict(self) -> str:
        """ok, differs or cannot_tell."""
        return self.worst.counts.verdict

    @property
    def cause(self) -> str:
        """The slug of what differs; empty if nothing does."""
        return self.worst.counts.cause

    @property
    def sentence(self) -> str:
        """What was found, and the next step."""
        return self.worst.counts.sentence


# ---------------------------------------------------------------- what is to be reached


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


def places() -> list[tuple[Place, str]]:
    """The addresses that the console has to answer at, and whose each is: the public one first. Reads the database."""
    config = _config()
    found = [(_place(config, config.callback_url(SEGMENT), (SEGMENT,)), "Public address")]
    apps = db.session.scalars(select(PlatformApp).where(PlatformApp.callback_override != "")
                              .order_by(PlatformApp.created_at, PlatformApp.id))
    for app in apps:
        segments = tuple(one for one in (platform_apps.alias_of(app.callback_override), app.segment) if one)
        place = _place(config, app.callback_override, segments)
        if place.parts.scheme in DEFAULT_PORTS and place.parts.hostname:
            found.append((place, f"Callback of {platform_apps.title(app)}"))
    return found[:MOST_PLACES]


def _place(config: Config, url: str, segments: Sequence[str]) -> Place:
    slash = "/" if urlsplit(url).path.endswith("/") else ""
    paths = [f"/api/connect/{segment}/callback{slash}" for segment in segments]
    return Place(url, tuple(dict.fromkeys([*(config.path_prefix + path for path in paths), *paths])))


def site(url: str) -> proxy_lines.Site:
    """What a proxy has to know of an address of ours."""
    config, parts = _config(), urlsplit(url)
    return proxy_lines.Site(parts.hostname or "", port_of(parts) or DEFAULT_PORTS.get(parts.scheme, 443),
                            parts.scheme == "https", config.path_prefix, upstream(config))


def upstream(config: Config) -> str:
    """Host and port at which a proxy on this machine reaches the console."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.bind_host, config.bind_host)
    return f"[{host}]:{config.bind_port}" if ":" in host else f"{host}:{config.bind_port}"


def fixes(url: str, cause: str) -> dict[str, str]:
    """The lines for each proxy that mend this cause at this address; empty where a proxy can do nothing."""
    return proxy_lines.fixes(cause, site(url))


def browser_address(place: Place) -> str:
    """Where a browser goes to be told what the console sees of it; good for two minutes."""
    return _with_nonce(place.url, nonce(_config(), place.url))


def _with_nonce(url: str, given: str) -> str:
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}{PARAMETER}={given}"))


# ---------------------------------------------------------------- the check


def run() -> Result:
    """Call every address now and keep what was found. Not inside `writing()`; takes five seconds at most."""
    config = _config()
    wanted = places()
    db.session.commit()
    refuse_open_transaction()  # the calls are made by other threads, which cannot see ours
    found: dict[int, tuple[Finding, str]] = {}
    threads = [threading.Thread(target=_look, args=(config, place, number, found), daemon=True)
               for number, (place, _) in enumerate(wanted)]
    until = time.monotonic() + SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    rows = []
    for number, (place, what) in enumerate(wanted):
        finding, note = found.get(number) or (_unsure("timeout", f"{place.parts.netloc} did not answer within "
                                                      f"{SECONDS:g} seconds."), "")
        rows.append(Row(place.url, what, finding, note))
    result = Result(outside.now(), tuple(rows))
    _keep(result)
    return result


def _look(config: Config, place: Place, number: int, found: dict[int, tuple[Finding, str]]) -> None:
    try:
        found[number] = _called(config, place)
    except Exception as error:  # a check must end with a sentence, whatever a proxy answers
        log.warning("an address could not be checked", extra={"error": type(error).__name__})
        found[number] = _unsure("unreadable", f"what {place.parts.netloc} answers cannot be read "
                                f"({type(error).__name__})."), ""


def _called(config: Config, place: Place) -> tuple[Finding, str]:
    """What one address comes to, and a note."""
    parts = place.parts
    through = None if is_loopback(parts.hostname or "") else select_proxy(place.url, get_environ_proxies(place.url))
    note = ""
    if through is None:
        trouble, note = _reach(parts)
        if trouble is not None:
            return trouble, ""
    given = nonce(config, place.url)
    try:
        answer, body = _get(_with_nonce(place.url, given), given, direct=through is None)
    except requests.exceptions.ProxyError:
        return _unsure("outgoing", "this server reaches the outside by a proxy of its own (HTTPS_PROXY), and that one "
                       "does not let it through."), ""
    except requests.exceptions.SSLError as error:
        return _certificate(parts, str(error), direct=through is None), ""
    except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
        return _broken_off(parts, error), ""
    read = read_answer(config, body)
    if read is not None and read[0] == given:
        return compare(place, read[1], counts_proxies=through is None or parts.scheme == "https"), note
    return _another(config, parts, answer, body), note


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _get(url: str, given: str, *, direct: bool) -> tuple[requests.Response, str]:
    """Status and headers, and the beginning of the body as text."""
    with requests.Session() as session:
        session.auth = _no_login  # a .netrc names nobody here
        options: dict[str, Any] = {"proxies": {"http": "", "https": "", "all": ""}} if direct else {}
        headers = {"User-Agent": outside.USER_AGENT, "Accept": "application/json", HEADER: given}
        answer = session.get(url, headers=headers, allow_redirects=False, stream=True,
                             timeout=(CONNECT_SECONDS, SECONDS - CONNECT_SECONDS), **options)
        try:
            body = b""
            for piece in answer.iter_content(LARGEST):
                body += piece
                if len(body) >= LARGEST:
                    break
        finally:
            answer.close()
    return answer, body.decode("utf-8", "replace")


# ---------------------------------------------------------------- the way there


def _unsure(cause: str, why: str) -> Finding:
    return Finding(CANNOT_TELL, cause, f"{FROM_HERE}{why}{FROM_BROWSER}")


def _reach(parts: SplitResult) -> tuple[Finding | None, str]:
    """What keeps this server from connecting to an address, None if nothing does; and a note on addresses that do not
    answer while others do."""
    host, port = parts.hostname or "", port_of(parts) or DEFAULT_PORTS[parts.scheme]
    try:
        known = list(dict.fromkeys(one[4][:2] for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError) as error:
        return _no_name(host, error), ""
    failed: list[tuple[str, OSError]] = []
    reached = 0
    for address in known[:MOST_ADDRESSES]:
        try:
            socket.create_connection((str(address[0]), port), TRY_SECONDS).close()
            reached += 1
        except OSError as error:
            failed.append((str(address[0]), error))
    if not reached:
        return _no_connection(parts, port, failed), ""
    deaf = [one for one, error in failed if error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH,
                                                                errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)]
    note = (f"{host} also has the address {' and '.join(deaf)}, where nobody answers. Who is led there does not reach "
            "the console." if deaf and not is_loopback(host) else "")
    return None, note


def _no_name(host: str, error: Exception) -> Finding:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return _unsure("dns_away", f"the name server that this server asks does not answer, so {host} is "
                       "unknown to it.")
    return Finding(DIFFERS, "dns", f"There is no address for the name {host} in DNS, as this server sees it. Add an A "
                   "or AAAA record for it, or correct API_PUBLIC_URL.")


def _no_connection(parts: SplitResult, port: int, failed: Sequence[tuple[str, OSError]]) -> Finding:
    address, error = failed[0]
    refused = any(isinstance(one, ConnectionRefusedError) for _, one in failed)
    if refused and any(_is_own(one) for one, _ in failed):
        return Finding(DIFFERS, "refused", f"Nobody listens on port {port} of {address}, which is this very machine. "
                       "Start the proxy, or let it listen there.")
    said = "refuses the connection" if refused else "does not answer"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return _unsure("network", f"this server has no way to {parts.hostname} ({address}).")
    return _unsure("refused" if refused else "timeout",
                   f"{address}, port {port}, {said}. Either nobody listens there and the firewall is closed, or this "
                   "network does not lead its own public address back inside.")


def _is_own(address: str) -> bool:
    """Whether an address belongs to this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _broken_off(parts: SplitResult, error: Exception) -> Finding:
    if isinstance(error, requests.exceptions.Timeout):
        return Finding(DIFFERS, "upstream", f"{parts.netloc} takes the connection and then says nothing for "
                       f"{SECONDS - CONNECT_SECONDS:g} seconds. The proxy does not reach the console, or another "
                       "program has the port.")
    return Finding(DIFFERS, "upstream", f"{parts.netloc} takes the connection and closes it without an answer. Look "
                   "into the log of the proxy, and whether something else has the port.")


# ---------------------------------------------------------------- the certificate

# what OpenSSL says -> cause and sentence; the first that fits counts
_TLS = (
    (r"certificate has expired", "tls_expired", "The certificate of {host} has expired{until}. Renew it and reload the "
     "proxy."),
    (r"not yet valid", "tls_early", "The certificate of {host} is not valid yet. Look at the clocks of this server and "
     "of the proxy."),
    (r"[Hh]ostname mismatch|IP address mismatch|doesn't match", "tls_name", "The certificate is made for {names}, not "
     "for {host}. Give the proxy one that names {host}."),
    (r"self.signed certificate in certificate chain", "tls_chain", "The certificate of {host} was made by an authority "
     "that this server does not know. If it is one of your own, name its file in REQUESTS_CA_BUNDLE; platforms and "
     "browsers have to know it, too."),
    (r"self.signed certificate", "tls_self_signed", "The certificate of {host} is signed by itself, so nobody trusts "
     "it. Give the proxy one of an authority that browsers and platforms know."),
    (r"unable to (get|verify)", "tls_chain", "The certificate of {host} comes without the one that it was made with, "
     "or from an authority that this server does not know. Give the proxy the whole chain (fullchain.pem)."),
    (r"WRONG_VERSION_NUMBER|wrong version number|record layer failure|HTTP_REQUEST", "tls_none", "Port {port} of "
     "{host} speaks http, and API_PUBLIC_URL says https. Let the proxy speak TLS there."),
    (r"INTERNAL_ERROR|UNRECOGNIZED_NAME|internal error|unrecognized name", "tls_name", "The proxy has no certificate "
     "for {host}. Give it one, and name {host} in its configuration."),
)


def _certificate(parts: SplitResult, said: str, *, direct: bool) -> Finding:
    host, port = parts.hostname or "", port_of(parts) or 443
    names, until = _names_on(host, port) if direct else ("", "")
    for pattern, cause, sentence in _TLS:
        if re.search(pattern, said):
            return Finding(DIFFERS, cause, sentence.format(host=host, port=port, until=until,
                                                           names=names or "another name"))
    return Finding(DIFFERS, "tls_other", f"No encrypted connection to {host} comes about: the proxy breaks it off. "
                   "Look into its log.")


def _names_on(host: str, port: int) -> tuple[str, str]:
    """The names on a certificate that is not trusted, and when it ended, as the end of a clause. Sends nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (socket.create_connection((host, port), TRY_SECONDS) as plain,
              context.wrap_socket(plain, server_hostname=host) as connection):
            found = x509.load_der_x509_certificate(connection.getpeercert(True) or b"")
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (", ".join(names.get_values_for_type(x509.DNSName)[:3]),
                f" on {found.not_valid_after_utc:%d %B %Y}")
    except (OSError, ValueError, x509.ExtensionNotFound):
        return "", ""


# ---------------------------------------------------------------- somebody else answers


def _another(config: Config, parts: SplitResult, answer: requests.Response, body: str) -> Finding:
    """Who answers instead of the console, as far as it can be told."""
    status = answer.status_code
    if is_marked(body):
        return Finding(DIFFERS, "altered", "The console answers, and its words were changed on the way. Something "
                       "between rewrites what it sends: switch that off for this host.")
    if 300 <= status < 400 and answer.headers.get("Location"):
        return _redirect(parts, answer.headers["Location"])
    if status == 400 and re.search(r"plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server", body):
        return Finding(DIFFERS, "tls_only", f"{parts.netloc} speaks https alone, and API_PUBLIC_URL says http. Set it "
                       "to https and start the console again.", f"API_PUBLIC_URL=https://{parts.netloc}")
    wall = next((name for name in WALLS if name in answer.headers), "")
    if status in (401, 403, 407, 429, 511) or (wall and status == 503):
        return Finding(DIFFERS, "wall", f"Something before the console answers {status} by itself: a login, a firewall "
                       "or a protection against robots. Platforms and people coming back from them would meet it, too. "
                       "Let the callback through.")
    if status in (502, 503, 504) or 520 <= status <= 527:
        return Finding(DIFFERS, "upstream", f"The proxy answers {status}: it does not reach the console. Look whether "
                       f"it is sent to {upstream(config)}, where the console listens.")
    if re.search(r"<title>[^<]*· Social Console</title>|named another host", body):
        return Finding(DIFFERS, "another_site", "A Social Console answers, and not this one: its SECRET_KEY is "
                       "another. Give all web processes the same keys, or lead the proxy to this console.")
    if status in (404, 410, 421):
        return Finding(DIFFERS, "not_found", f"{parts.netloc} answers {status}: the web server there knows nothing of "
                       f"{parts.path}. Let it pass that path on to the console.")
    if re.search(r"type=[\"']?password", body, re.I):
        return Finding(DIFFERS, "wall", "A page to sign in answers instead of the console. People coming back from a "
                       "platform would meet it, too. Let the callback through.")
    return Finding(DIFFERS, "another_site", f"Something else answers at {parts.netloc} ({status}), not this console. "
                   "Lead the name to this server, and let its proxy pass it on.")


def _redirect(parts: SplitResult, onward: str) -> Finding:
    there = urlsplit(urljoin(parts.geturl(), onward))
    shown = urlunsplit(there._replace(query="", fragment=""))[:200]
    path = parts.path
    if there.scheme == "https" and parts.scheme == "http" and there.hostname == parts.hostname:
        base = f"https://{there.netloc}{path.rpartition('/api/connect/')[0]}"
        return Finding(DIFFERS, "redirect_scheme", f"The address leads on to {shown}, by https. Set API_PUBLIC_URL to "
                       "the https address and start the console again.", f"API_PUBLIC_URL={base}")
    if there.scheme == "http" and parts.scheme == "https":
        return Finding(DIFFERS, "redirect_scheme", f"The address leads on to {shown}, without encryption. Take that "
                       "redirect out of the proxy.")
    if there.hostname != parts.hostname and there.path == path:
        base = f"{there.scheme}://{there.netloc}{path.rpartition('/api/connect/')[0]}"
        return Finding(DIFFERS, "redirect_host", f"The address leads on to another host, {there.hostname}. If that is "
                       "the right one, set API_PUBLIC_URL to it and register the new callback at each platform; else "
                       "take the redirect out of the proxy.", f"API_PUBLIC_URL={base}")
    if there.hostname == parts.hostname and there.path.rstrip("/") == path.rstrip("/"):
        return Finding(DIFFERS, "redirect_path", f"The address leads on to {shown}: a slash at the end makes the "
                       "difference. Platforms compare the callback letter by letter. Take that redirect out of the "
                       "proxy.")
    return Finding(DIFFERS, "redirect", f"The address leads on to {shown}. People coming back from a platform would be "
                   "led there, too. Take that redirect out of the proxy, or let the callback through.")


# ---------------------------------------------------------------- kept


def last() -> Result | None:
    """What the last check found; None before the first one, and once the public address changed."""
    stored = db.session.get(Installation, NOTE)
    if stored is None or not stored.text:
        return None
    return _read(stored.text)


def _read(text: str) -> Result | None:
    try:
        found = json.loads(text)
        if found["public_url"] != _config().public_url:
            return None
        rows = tuple(Row(one["url"], one["what"], _finding(one["finding"]), one["note"],
                         _finding(one["browser"]) if one["browser"] else None) for one in found["rows"])
        return Result(datetime.fromisoformat(found["at"]), rows) if rows else None
    except (ValueError, KeyError, TypeError):
        return None  # another version wrote it in another way


def _finding(stored: dict[str, Any]) -> Finding:
    return Finding(**{**stored, "seen": seen_of(stored["seen"]) if stored["seen"] else None})


def _keep(result: Result) -> None:
    text = json.dumps({"public_url": _config().public_url, "at": result.at.isoformat(),
                       "rows": [asdict(row) for row in result.rows]})
    with writing() as session:
        stored = session.get(Installation, NOTE, populate_existing=True) or Installation(name=NOTE)
        stored.text = text
        session.add(stored)


def report(body: str) -> Row | None:
    """Keep what a browser was told by the console, beside what this server found; None where it proves nothing."""
    config = _config()
    read = read_answer(config, body)
    url = asked_for(config, read[0]) if read else None
    place = next((one for one, _ in places() if one.url == url), None)
    stored = last()
    if read is None or place is None or stored is None:
        return None
    finding = compare(place, read[1], counts_proxies=place.parts.scheme == "https")
    rows = tuple(replace(row, browser=finding) if row.url == url else row for row in stored.rows)
    db.session.commit()
    _keep(Result(stored.at, rows))
    return next((row for row in rows if row.url == url), None)


# ---------------------------------------------------------------- by itself


def is_due(now: datetime) -> bool:
    """Whether the daily check is due."""
    found = last()
    return found is None or found.at <= now - DAILY


def ring_due(now: datetime, ring: Ring) -> int:
    """Ring for the daily check; returns how many jobs."""
    due = is_due(now)
    db.session.commit()
    if due:
        ring("address", [NOTE])
    return int(due)


def recheck(_: str = NOTE) -> Result | None:
    """The daily check, if it is still due."""
    return run() if is_due(outside.now()) else None
