"""A second web app that plays the platforms, so that nobody needs a developer account to try the console.

It imports nothing of the console and the console imports nothing of it: they meet over HTTP only, as with the real
platforms. A real host is the first part of the path: `https://api.x.com/2/tweets` is `{base}/api.x.com/2/tweets`.
"""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, jsonify, make_response, render_template, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from . import control, portal
from .oauth import same_origin
from .plays import PLAYS, find_plays
from .shapes import LOOPBACK
from .world import World

LARGEST_REQUEST = 1024 * 1024  # of JSON and forms; what carries media says so (`calls.operation`)

find_plays(__name__, __path__)


def create_sandbox(base_url: str, state_file: Path | None = None, now: Callable[[], float] = time.time) -> Flask:
    """The sandbox as a WSGI app. `base_url` is where browsers and the console reach it; `now` gives epoch seconds."""
    app = Flask(__name__, template_folder="templates", static_folder="static")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    # A connection cut on order must reach the server as what it is, not as a page about an error.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["sandbox"] = World(base_url, state_file, now)
    for play in PLAYS.values():
        app.url_map.converters.update(play.converters)
    names = {*LOOPBACK, urlsplit(base_url).hostname}
    app.before_request(lambda: _check_sender(names))
    app.after_request(_headers)
    for blueprint in _blueprints():
        app.register_blueprint(blueprint)
    app.register_error_handler(404, _not_found)
    return app


def _blueprints() -> list[Blueprint]:
    """Every blueprint once: platforms of one company may share some."""
    everything = [portal.bp, control.bp, *(one for play in PLAYS.values() for one in play.blueprints)]
    return list(dict.fromkeys(everything))


def _check_sender(names: set[str | None]) -> Response | None:
    """Answer only under our own names, and to no page of another site where something is changed or told."""
    if urlsplit(f"//{request.host}").hostname not in names:
        return make_response("The sandbox answers on localhost only.\n", 400)
    telling = request.path.startswith("/portal/api")
    if (telling or request.method not in ("GET", "HEAD", "OPTIONS")) and not same_origin():
        return make_response("Another site may not do this here. Open the sandbox itself.\n", 403)
    return None


def _headers(response: Response) -> Response:
    action = g.get("form_action", "")
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {action}".rstrip()
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: a form would then come with the origin "null" and be taken for another site's.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _not_found(_: Exception) -> Response:
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return make_response(render_template("missing.html", what="The sandbox has no such page."), 404)
    response = jsonify(error="The sandbox does not play this address.", path=request.path)
    response.status_code = 404
    return response


class _Quiet(WSGIRequestHandler):
    """Writes no line per request: queries here carry codes and tokens."""

    def log_request(self, *args: Any) -> None:
        """Say nothing."""


def serve(base_url: str, host: str, port: int, state_file: Path | None) -> None:
    """Run the sandbox in this process until SIGTERM or Ctrl-C. Raises OSError if the port is taken."""
    app = create_sandbox(base_url, state_file)
    server = make_server(host, port, app, threaded=True, request_handler=_Quiet)
    _stop_on_signals(server)
    try:
        server.serve_forever()
    finally:
        server.server_close()
        world: World = app.extensions["sandbox"]
        world.state.close()


def _stop_on_signals(server: BaseWSGIServer) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        # shutdown waits for the loop that this very thread runs, so another one has to ask for it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
