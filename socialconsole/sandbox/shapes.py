"""Small pieces that several platforms share: credentials that look real, and rules for redirect addresses.

Credentials are shaped like the real ones, so that checks of their shape can be tried.
"""

import base64
import re
import secrets
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def letters(count: int) -> str:
    """That many random letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", secrets.token_urlsafe(4 * count))[:count]


def digits(count: int) -> str:
    """A random number of that many digits; the first is not 0."""
    return str(1 + secrets.randbelow(9)) + "".join(str(secrets.randbelow(10)) for _ in range(count - 1))


def packed(text: str) -> str:
    """The text in URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def meta_credentials(mode: str = "") -> tuple[str, str]:
    """App id and secret as Meta's dashboard shows them: 16 digits, 32 hexadecimal characters."""
    return digits(16), secrets.token_hex(16)


def address_problem(uri: str) -> str:
    """Why this is no address that any platform could register, in words; empty if it is one."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "This is not an address."
    if parts.scheme not in ("http", "https") or not host or uri != uri.strip():
        return "Give an absolute address that begins with https://."
    if "#" in uri:
        return "An address with a # cannot be registered."
    return ""


def on_loopback(uri: str) -> bool:
    """Whether a sound address leads to this machine."""
    return urlsplit(uri).hostname in LOOPBACK


def https_only(uri: str, accept_http_loopback: bool) -> str:
    """The rule of most platforms: https, loopback only where the app's switch says so."""
    problem = address_problem(uri)
    if problem or (accept_http_loopback and on_loopback(uri)) or urlsplit(uri).scheme == "https":
        return problem
    if on_loopback(uri):
        return "The real platform takes only https here. Turn on “Accept http on loopback” for this app first."
    return "The real platform takes only https addresses."


def https_or_loopback(uri: str, accept_http_loopback: bool) -> str:
    """https anywhere, and http on this machine without any switch."""
    return https_only(uri, True)
