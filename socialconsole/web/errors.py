"""Error pages: one page for all of them, with what happened and what to do next; a fragment for htmx."""

import logging

from flask import Flask, Response, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import HTTPException, default_exceptions

from ..api import problems
from ..database import is_full, is_trouble
from .page import fragment_error, show, wants_block

log = logging.getLogger("socialconsole.web")

# status -> title, what happened, next step
WORDS: dict[int, tuple[str, str, str]] = {
    400: ("This request made no sense", "Something in it was missing or broken.", "Go back, reload the page and try "
          "again."),
    401: ("Sign in first", "Nobody is signed in in this browser.", "Sign in and try again."),
    403: ("Not for your role", "Your role does not allow this.", "Ask an owner of the workspace."),
    404: ("There is nothing here", "The address leads to nothing, or to something that is not yours.",
          "Check the address, or go on from the start."),
    405: ("Not in this way", "This address does not take such a request.", "Go back and use the page's own buttons."),
    409: ("This has changed meanwhile", "Somebody, or the console itself, was faster, so nothing was done.",
          "Go back and reload the page to see how it stands."),
    413: ("That is too large", "The form holds more than the console takes.", "Go back and shorten it."),
    422: ("Something is missing", "The form could not be taken as it was.", "Go back and look at its fields."),
    429: ("Too many attempts", "The console pauses after too many attempts.", "Wait a few minutes and try again."),
    500: ("Something failed here", "The console made a mistake. It was written to its log.",
          "Try again. If it fails again, tell the person who runs this console when it happened."),
    503: ("Not ready at the moment", "A part of the console does not answer just now.",
          "Try again in a minute. If it stays like this, tell the person who runs this console."),
}
NO_DATABASE = ("The database does not answer", "The console cannot reach its database just now. "
               "Posts that are due wait, and go out once it answers.",
               "What you typed is still in the page you came from: go back to it and try again in a minute. If it "
               "stays like this, tell the person who runs this console.")
NO_ROOM = ("There is no room left to keep anything", "The disk of the database is full, so nothing was changed.",
           "What you typed is still in the page you came from. Ask the person who runs this console to make room, then "
           "go back and try again.")
AGAIN_AFTER, AGAIN_WHEN_FULL = 10, 60  # seconds
STALE_FORM = ("This page was open too long, or in another sign-in", "Nothing was changed.",
              "Go back, reload the page and try again.")


def init_app(app: Flask) -> None:
    """Answer every error with our page."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(NoConnectionFree, _database)


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if error.response is not None or status < 400:
        return error
    title, happened, step = WORDS.get(status, WORDS[500 if status >= 500 else 400])
    said = error.description if _is_ours(error) else None
    answer = error_page(status, title, said or happened, "" if said else step)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    return answer


def _is_ours(error: HTTPException) -> bool:
    """Whether a view gave its own words; Werkzeug's speak to programmers."""
    usual = default_exceptions.get(error.code or 0)
    return bool(error.description) and (usual is None or error.description != usual.description) and \
        type(error) is usual


def _stale_form(error: CSRFError) -> ResponseReturnValue:
    return error_page(400, *STALE_FORM)


def _database(error: DBAPIError | NoConnectionFree) -> ResponseReturnValue:
    """The database is away, busy or full: words, and when to come back. Any other error of it is our mistake."""
    if not is_trouble(error):
        raise error
    full = is_full(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    log.error("database full" if full else "database not available", extra={"error": type(cause).__name__})
    title, happened, step = NO_ROOM if full else NO_DATABASE
    answer = error_page(503, title, happened, step)
    wants = request.accept_mimetypes.best_match(("text/html", "application/json"))
    if wants == "application/json" and not problems.is_for_programs():
        answer = jsonify(error="database_full" if full else "database_unavailable", message=f"{title}. {happened}")
        answer.status_code = 503
    answer.headers["Retry-After"] = str(AGAIN_WHEN_FULL if full else AGAIN_AFTER)
    return answer


def error_page(status: int, title: str, happened: str, step: str) -> Response:
    """The page, or for htmx the part of it that goes above the page in front of the person."""
    if problems.is_for_programs():
        return problems.of_status(status, happened)
    if status >= 500:
        g.user = g.workspace = None  # the frame around a page reads the database, which may be what failed
    context = {"code": status, "title": title, "happened": happened, "step": step}
    if wants_block():
        return fragment_error(render_template("error.html", fragment="notice", **context), status)
    return show("error.html", None, status, **context)
