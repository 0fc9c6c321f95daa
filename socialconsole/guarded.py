"""The door for addresses that people type: pictures by address, link previews.

A name is resolved once, every address it has is checked, and the checked address is dialled while TLS still proves the
name. Redirects are followed by hand through the same checks. Nothing is judged by its text: `127.1`, `0x7f.1` and a
name that points inside all end as the address they resolve to. Where a proxy leads outside, it resolves names itself:
they are checked here first, and what the proxy then dials is the proxy's to guard.
"""

import ipaddress
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import certifi
import idna
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

from .outside import USER_AGENT

log = logging.getLogger("socialconsole.guarded")

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 10.0
MOST_REDIRECTS = 5
LONGEST_URL = 2000
PIECE = 65536
PORTS = {"http": 80, "https": 443}
_PATH, _QUERY = "/%:@!$&'()*+,;=~-._", "/%:@!$&'()*+,;=~-._?[]"  # what stays as it was typed
REDIRECTS = (301, 302, 303, 307, 308)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Addresses that Python calls public and that lead elsewhere, or carry another address inside.
_CLOSED: tuple[Network, ...] = tuple(ipaddress.ip_network(one) for one in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3", "168.63.129.16/32",  # a cloud's inner address
    "::/96",  # IPv4 written as IPv6
    "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
    "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"))


class Refused(Exception):
    """The address cannot be fetched; the message says why, for people."""


@dataclass(frozen=True)
class Fetched:
    """What lay at an address: the last one, after redirects. With `into` the content is in `path`, else in `body`."""

    url: str
    status: int
    type: str  # without parameters, lower case
    charset: str = ""
    body: bytes = field(default=b"", repr=False)
    path: Path | None = None


@dataclass(frozen=True)
class Rules:
    """What one fetch may do."""

    most_bytes: int
    types: tuple[str, ...]  # accepted types of an answer with status 200; () means any
    until: float  # on the monotonic clock
    cut: bool  # an answer that is too long is cut instead of refused
    networks: tuple[Network, ...]
    bases: tuple[str, ...]  # origins that may be anywhere, such as the sandbox's


def get(url: str, *, most_bytes: int, types: Sequence[str] = (), seconds: float = 30.0, into: Path | None = None,
        cut: bool = False, networks: Sequence[str] = (), bases: Sequence[str] = ()) -> Fetched:
    """Fetch an address that somebody typed. Raises Refused; a status such as 404 is an answer, not a refusal.

    `networks`: private networks that are allowed. `bases`: origins (`http://localhost:8100`) that skip the checks.
    """
    rules = Rules(most_bytes, tuple(types), time.monotonic() + seconds, cut,
                  tuple(ipaddress.ip_network(one) for one in networks), tuple(bases))
    before: SplitResult | None = None
    for _ in range(MOST_REDIRECTS + 1):
        parts = _checked(url, rules)
        if before is not None and before.scheme == "https" and parts.scheme == "http":
            raise Refused("This address leads on to one without https. Use the address that it leads to.")
        found, onward = _fetch(parts, rules, into)
        if onward is None:
            return found
        try:
            before, url = parts, urljoin(parts.geturl(), onward)
        except ValueError:
            raise Refused("This address leads on to one that cannot be read. Use the address that it should lead "
                          "to.") from None
    raise Refused("This address leads on from page to page without end. Use the address that it should lead to.")


# ---------------------------------------------------------------- what may be asked


def _checked(url: str, rules: Rules) -> SplitResult:
    """The parts of an address that may be asked, its host in letters that the network knows. Raises Refused."""
    url = url.strip()
    if len(url) > LONGEST_URL:
        raise Refused(f"This address is longer than {LONGEST_URL:,} characters. Use a shorter one.")
    if "\\" in url or any(ord(letter) < 33 or ord(letter) == 127 for letter in url):
        raise Refused("This address holds blanks or signs that no address has. Copy it once more.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise Refused("This is no address. Copy it once more.") from None
    if parts.scheme not in PORTS or not host:
        raise Refused("This is no web address. It begins with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise Refused("This address holds a user name or password. Use one without.")
    host = _plain_host(host)
    if port not in (None, 80, 443) and not _is_base(parts, rules):
        raise Refused(f"This address names port {port}. Only the usual ports of the web, 80 and 443, are asked.")
    shown = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=shown if port is None else f"{shown}:{port}", fragment="")


def _plain_host(host: str) -> str:
    if ":" in host or host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode().lower()
    except idna.IDNAError:
        raise Refused("The name in this address is none that a server can have. Copy it once more.") from None


def _is_base(parts: SplitResult, rules: Rules) -> bool:
    return any(f"{parts.scheme}://{parts.netloc}".lower() == base.rstrip("/").lower() for base in rules.bases)


def _resolve(host: str, port: int) -> list[str]:
    """Every address of a name."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def _addresses(parts: SplitResult, rules: Rules) -> list[str]:
    """The addresses that may be dialled: all that the name has, or none. Raises Refused."""
    host = parts.hostname or ""
    try:
        found = _resolve(host, parts.port or PORTS[parts.scheme])
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise Refused(f"There is no server named {host}. Check the address.")
    if not _is_base(parts, rules) and any(is_closed(one, rules.networks) for one in found):
        raise Refused(f"{host} lies in a private network, where this console does not look. Use a public address.")
    return found


def is_closed(address: str, networks: Sequence[Network] = ()) -> bool:
    """Whether an address lies anywhere but on the public internet or in one of the allowed networks."""
    try:
        plain: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(plain, ipaddress.IPv6Address) and plain.ipv4_mapped is not None:
        plain = plain.ipv4_mapped  # the system dials the IPv4 address
    if any(plain in network for network in networks if network.version == plain.version):
        return False
    closed = any(plain in network for network in _CLOSED if network.version == plain.version)
    return closed or not plain.is_global or plain.is_multicast


# ---------------------------------------------------------------- asking


def _fetch(parts: SplitResult, rules: Rules, into: Path | None) -> tuple[Fetched, str | None]:
    """One request: what came, or the address that it leads on to. Raises Refused."""
    addresses = _addresses(parts, rules)
    host, status = parts.netloc, 0
    try:
        proxy = None if _is_base(parts, rules) else _proxy(parts)
        connection = _through(proxy, parts) if proxy else _connected(parts, addresses, rules)
        # Time limits of sockets count from byte to byte; this one ends the whole, however slowly it drips.
        # It holds the socket itself: a connection that is to be closed lets go of it before the answer is read.
        alarm = threading.Timer(max(0.0, rules.until - time.monotonic()), _hang_up, [connection.sock])
        alarm.daemon = True
        alarm.start()
        try:
            answer = _asked(connection, parts, proxy)
            status = answer.status
            onward = answer.headers.get("Location") if status in REDIRECTS else None
            if onward is not None:
                return Fetched(parts.geturl(), status, ""), onward
            return _answer(parts, answer, rules, into), None
        finally:
            alarm.cancel()
            connection.close()
    except (OSError, HTTPError, HTTPException, ValueError) as error:
        if time.monotonic() >= rules.until:
            raise Refused(f"{parts.hostname} took too long to answer. Try again later.") from None
        raise Refused(_why(error, parts)) from None
    finally:
        log.info("typed address", extra={"host": host, "status": status or "no answer"})


def _why(error: Exception, parts: SplitResult) -> str:
    if isinstance(error, ssl.SSLError) or "SSL" in type(error).__name__:
        return f"{parts.hostname} cannot prove that it is {parts.hostname}: its certificate is not valid."
    return f"{parts.hostname} does not answer properly. Check the address, or try again later."


def _hang_up(line: socket.socket | None) -> None:
    with suppress(OSError):
        if line is not None:
            line.shutdown(socket.SHUT_RDWR)


def _connected(parts: SplitResult, addresses: Sequence[str], rules: Rules) -> HTTPConnection:
    """A connection to the first checked address that answers."""
    last: Exception = OSError("no address")
    for address in addresses:
        if time.monotonic() >= rules.until:
            break
        connection = _plain(parts, address, parts.port or PORTS[parts.scheme])
        try:
            connection.connect()
            return connection
        except (OSError, HTTPError) as error:
            connection.close()
            last = error
    raise last


def _plain(parts: SplitResult, address: str, port: int) -> HTTPConnection:
    if parts.scheme == "http":
        return HTTPConnection(address, port, timeout=CONNECT_SECONDS)
    # The context compares the certificate with `server_hostname`; `assert_hostname` would switch that off for its own.
    return HTTPSConnection(address, port, timeout=CONNECT_SECONDS, server_hostname=parts.hostname,
                           ssl_context=_trust(), cert_reqs=ssl.CERT_REQUIRED)


def _trust() -> ssl.SSLContext:
    """The authorities that the calls to platforms trust, too."""
    given = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    folder = os.path.isdir(given)
    return ssl.create_default_context(cafile=None if folder else given, capath=given if folder else None)


def _proxy(parts: SplitResult) -> SplitResult | None:
    url = parts.geturl()
    found = select_proxy(url, get_environ_proxies(url))
    return urlsplit(found if "://" in found else f"http://{found}") if found else None


def _through(proxy: SplitResult, parts: SplitResult) -> HTTPConnection:
    """A connection to the proxy that leads outside; for https a tunnel, in which the server still proves its name."""
    connection = _plain(parts, proxy.hostname or "", proxy.port or PORTS["http"])
    if parts.scheme == "https":
        connection.set_tunnel(parts.hostname or "", parts.port or PORTS["https"], _credentials(proxy),
                              scheme=proxy.scheme)
    connection.connect()
    return connection


def _credentials(proxy: SplitResult) -> dict[str, str]:
    """What the proxy of this machine asks for; never sent to anybody else."""
    if proxy.username is None:
        return {}
    return dict(make_headers(proxy_basic_auth=f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"))


def _asked(connection: HTTPConnection, parts: SplitResult, proxy: SplitResult | None) -> BaseHTTPResponse:
    if connection.sock is not None:
        connection.sock.settimeout(SILENCE_SECONDS)
    connection.timeout = SILENCE_SECONDS
    target = quote(parts.path or "/", safe=_PATH) + (f"?{quote(parts.query, safe=_QUERY)}" if parts.query else "")
    headers = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity",
               "Connection": "close"}
    if proxy is not None and parts.scheme == "http":
        target, headers = f"http://{parts.netloc}{target}", {**headers, **_credentials(proxy)}
    connection.request("GET", target, headers=headers, preload_content=False, decode_content=False)
    return connection.getresponse()


def _answer(parts: SplitResult, answer: BaseHTTPResponse, rules: Rules, into: Path | None) -> Fetched:
    kind, _, rest = answer.headers.get("Content-Type", "").partition(";")
    kind, charset = kind.strip().lower(), ""
    for parameter in rest.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip(" \"'").lower()[:40] if name.strip().lower() == "charset" else charset
    if answer.status != 200:
        return Fetched(parts.geturl(), answer.status, kind, charset)
    if rules.types and kind not in rules.types:
        raise Refused(f"{parts.hostname} sent {kind or 'a file of an unknown kind'}, which is not what is wanted here.")
    if answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise Refused(f"{parts.hostname} sent a packed answer that nobody asked for. Use another address.")
    told = answer.headers.get("Content-Length", "")
    if told.isdigit() and int(told) > rules.most_bytes and not rules.cut:
        raise Refused(_too_large(rules))
    if into is None:
        pieces: list[bytes] = []
        _read(answer, rules, pieces.append)
        return Fetched(parts.geturl(), 200, kind, charset, b"".join(pieces))
    with into.open("wb") as out:
        _read(answer, rules, _writer(out))
    return Fetched(parts.geturl(), 200, kind, charset, path=into)


def _too_large(rules: Rules) -> str:
    return f"The file at this address is larger than the {max(1, rules.most_bytes // 1024**2):,} MB that are taken."


def _writer(out: BinaryIO) -> Callable[[bytes], object]:
    return out.write


def _read(answer: BaseHTTPResponse, rules: Rules, keep: Callable[[bytes], object]) -> None:
    """Hand on the content piece by piece, within its limits. Raises Refused."""
    left = rules.most_bytes
    while piece := answer.read1(PIECE):
        if time.monotonic() >= rules.until:
            raise TimeoutError
        if len(piece) > left and not rules.cut:
            raise Refused(_too_large(rules))
        keep(piece[:left])
        left -= len(piece)
        if left <= 0 and rules.cut:
            return
    if time.monotonic() >= rules.until:  # the alarm ended it, which looks like its end
        raise TimeoutError
    if not rules.cut and (told := answer.headers.get("Content-Length", "")).isdigit() and \
            rules.most_bytes - left < int(told):
        raise OSError("cut off")
