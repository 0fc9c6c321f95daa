"""What holds for every request and every answer: the host that was asked, forgery, headers, compression."""

import gzip
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from flask import Flask, Response, abort, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

from .. import access, platform_apps
from ..config import Config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = ("localhost", "127.0.0.1", "::1")
FOR_MACHINES = ("/healthz", "/readyz", "/metrics")
USUAL_PORTS = {"http": 80, "https": 443}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SMALLEST_TO_PACK = 1024
ARRIVED = "socialconsole.arrived"  # in the WSGI environment
KEPT = ("REQUEST_METHOD", "PATH_INFO", "REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
CALLBACK = "connect.callback"
# Platforms call these by themselves and sign what they send; no cookie counts there.
FROM_ANYWHERE = ("callbacks.deauthorize", "callbacks.deletion", "callbacks.webhook")


# ---------------------------------------------------------------- the way in


class Arrival:
    """Keeps how a request came from the network, before any proxy is believed; the address check tells it."""

    def __init__(self, app: "WSGIApplication") -> None:
        self.app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[ARRIVED] = {name: environ.get(name, "") for name in KEPT}
        return self.app(environ, start_response)


class Proxies:
    """Believes as many proxies as the settings name.

    Each of them adds to X-Forwarded-For. Scheme and host are often only passed on, so that one word stands for all of
    them: a shorter list counts from its first.
    """

    def __init__(self, app: "WSGIApplication", count: int) -> None:
        self.app, self.count = app, count

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        proto, host = (min(self.count, environ.get(f"HTTP_X_FORWARDED_{name}", "").count(",") + 1)
                       for name in ("PROTO", "HOST"))
        return ProxyFix(self.app, x_for=self.count, x_proto=proto, x_host=host)(environ, start_response)


class PathPrefix:
    """Puts the path of the public address before every address we make, whether or not a proxy cuts it off."""

    def __init__(self, app: "WSGIApplication", prefix: str) -> None:
        self.app, self.prefix = app, prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == self.prefix or path.startswith(self.prefix + "/"):
            environ["PATH_INFO"] = path[len(self.prefix) :] or "/"
        environ["SCRIPT_NAME"] = self.prefix
        return self.app(environ, start_response)


def behind_proxy(app: Flask) -> None:
    """Believe exactly as many proxies as the settings name, and serve below the path of the public address."""
    config: Config = app.extensions["config"]
    wrapped: Any = app.wsgi_app
    if config.path_prefix:
        wrapped = PathPrefix(wrapped, config.path_prefix)
    if config.trusted_proxies:
        wrapped = Proxies(wrapped, config.trusted_proxies)
    app.wsgi_app = Arrival(wrapped)  # type: ignore[method-assign]


def check_host() -> ResponseReturnValue | None:
    """Before each request: only the public address is served; other names of this machine lead there."""
    config: Config = current_app.extensions["config"]
    asked = _place(f"{urlsplit(config.public_url).scheme}://{request.environ.get('HTTP_HOST', '')}")
    if request.path in FOR_MACHINES or asked == _place(config.public_url):
        return None
    # A platform may know the callback by another host name of ours: the person belongs to the public one.
    leads_on = asked is not None and (asked[0] in LOOPBACK or request.endpoint == CALLBACK)
    if request.method in ("GET", "HEAD") and leads_on:
        query = request.query_string.decode("latin-1")
        return redirect(f"{config.public_url}{quote(request.path)}" + (f"?{query}" if query else ""), 303)
    abort(400, f"This console answers at {config.public_url} only, and the request named another host. "
               "Open that address instead. If you did, the proxy before the console has to pass the host on.")


def _place(address: str) -> tuple[str, int | None] | None:
    """Host and port of an address, the port only where it is not the usual one; None if it makes no sense."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None:
        return None
    return parts.hostname, None if port == USUAL_PORTS.get(parts.scheme) else port


def check_origin() -> None:
    """Before each request: a change that another site sends is refused, even if it carried a valid form token."""
    if request.method in SAFE_METHODS or request.endpoint in FROM_ANYWHERE or \
            access.permission_of(request.endpoint) == "key":  # no cookie counts there
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    config: Config = current_app.extensions["config"]
    foreign = site in ("cross-site", "same-site") or (site is None and origin not in (None, config.public_origin))
    if foreign:
        raise CSRFError("the form was sent from another site")


# ---------------------------------------------------------------- the way out


def finish(answer: Response) -> Response:
    """After each request: the headers that every answer has, then compression."""
    _secure(answer)
    if request.endpoint != "assets.file":
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.vary.add("HX-Request")
        _pack(answer)
    return answer


def _secure(answer: Response) -> None:
    config: Config = current_app.extensions["config"]
    answer.headers["Content-Security-Policy"] = content_policy(answer.mimetype == "text/html")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers.setdefault("Referrer-Policy", "same-origin")
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    answer.headers["X-Frame-Options"] = "DENY"
    if config.https:
        answer.headers["Strict-Transport-Security"] = "max-age=31536000"


def content_policy(has_forms: bool) -> str:
    """The Content-Security-Policy; with forms it also lists where Connect may lead to."""
    origins: list[str] = []
    if has_forms:
        try:
            origins = platform_apps.authorize_origins()
        except SQLAlchemyError:
            origins = []  # the page about the broken database must still come out
    # Chromium stops a form whose redirect leaves this list. https://www.w3.org/TR/CSP3/#directive-form-action
    forms = " ".join(["'self'", *origins])
    calls = " ".join(["'self'", *g.get("may_call", ())])
    return ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
            f"connect-src {calls}; font-src 'self'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'")


def _pack(answer: Response) -> None:
    """Compress a page. The form token in it is safe from guessing by length: other sites' requests carry no cookie."""
    if answer.direct_passthrough or answer.is_streamed or answer.mimetype not in ("text/html", "application/json"):
        return
    answer.vary.add("Accept-Encoding")
    if "Content-Encoding" in answer.headers or request.accept_encodings.quality("gzip") <= 0:
        return
    plain = answer.get_data()
    if len(plain) > SMALLEST_TO_PACK:
        answer.set_data(gzip.compress(plain, 6, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
