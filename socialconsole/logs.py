"""Logs: one line per event, as text or JSON, with the id of the request or job that it belongs to.

Nothing here ever writes a body, a query, a token or a secret. That is the duty of whoever logs; the redaction below
is a second net, for the words of libraries and of exceptions.
"""

import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request
from gunicorn.glogging import Logger

from .config import Config

_about: ContextVar[str] = ContextVar("about", default="")

log = logging.getLogger("socialconsole.web")

# Libraries that tell of every step: only what went wrong is of use.
QUIET = ("rq", "rq.worker", "rq.job", "rq.queue", "werkzeug", "gunicorn.error", "urllib3", "alembic", "authlib")
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

REDACTED = "[redacted]"
SECRET_FIELD = re.compile(r"(?i)(^|_)(token|secret|password|verifier|cookie|authorization|body|query)$")
SECRET_NAMES = (r"access_token|refresh_token|id_token|fb_exchange_token|input_token|token|client_secret|appsecret_proof"
                r"|code|code_verifier|state|password|secret|authorization|cookie|SECRET_KEY|TOKEN_ENCRYPTION_KEY")
REDACTIONS = (
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(rf"""(["']?\b(?:{SECRET_NAMES})["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;"'}})\]]+)""", re.IGNORECASE),
     rf"\1{REDACTED}"),
    # The token at the end of an address that whoever knows it may use.
    (re.compile(r"(/(?:link|join|reset|setup)/)[A-Za-z0-9_-]{40,}"), rf"\1{REDACTED}"),
    # The user and password of an address such as postgresql://user:password@host.
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{REDACTED}@"),
    # What SQLAlchemy appends to an error: the values of a row.
    (re.compile(r"\[parameters: .*", re.DOTALL), f"[parameters: {REDACTED}]"),
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@contextmanager
def about(identity: str) -> Iterator[None]:
    """Every line written inside, in this thread, bears the id of this request or row."""
    token = _about.set(identity)
    try:
        yield
    finally:
        _about.reset(token)


def configure(config: Config) -> None:
    """Send every log line of this process to standard error, in the format of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if config.log_format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    # RQ hangs its own handlers on these two unless it finds one there.
    for name in ("rq.worker", "rq.job"):
        logging.getLogger(name).handlers[:] = [handler]
        logging.getLogger(name).propagate = False


def watch(app: Flask) -> None:
    """Write one line per request of `app`: method, the rule that matched (never the path itself), status, duration."""

    def _begin() -> None:
        g.began = time.monotonic()
        g.request_id = secrets.token_hex(6)
        _about.set(g.request_id)

    # First of all, so that a request that a guard turns away has its line and its id too.
    app.before_request_funcs.setdefault(None, []).insert(0, _begin)

    @app.teardown_request
    def _forget(_: BaseException | None) -> None:
        _about.set("")

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        rule = request.url_rule.rule if request.url_rule else "(none)"
        spent = round((time.monotonic() - g.get("began", time.monotonic())) * 1000)
        level = logging.DEBUG if request.endpoint in ("health.alive", "health.ready") else logging.INFO
        log.log(level, "request", extra={"method": request.method, "rule": rule, "status": response.status_code,
                                         "ms": spent, "id": response.headers["X-Request-ID"]})
        return response


def safe(text: str) -> str:
    """The text without secrets, and without signs that would make a second line or move a terminal's cursor."""
    for pattern, instead in REDACTIONS:
        text = pattern.sub(instead, text)
    return CONTROL.sub(lambda sign: {"\n": "\\n", "\t": "\\t"}.get(sign[0], f"\\x{ord(sign[0]):02x}"), text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the line says beside its message: the id, and what the caller gave as `extra`."""
    found: dict[str, Any] = {"id": _about.get()} if _about.get() else {}
    for name, value in vars(record).items():
        if name not in STANDARD_FIELDS and not name.startswith("_"):
            plain = isinstance(value, int | float | bool) or value is None
            found[name] = value if plain else REDACTED if SECRET_FIELD.search(name) else safe(str(value))
    return found


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trouble(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    return safe(formatter.formatException(record.exc_info)) if record.exc_info else ""


class TextLines(logging.Formatter):
    """`2026-11-21T09:30:00.000Z INFO socialconsole.web: request method=GET status=200`."""

    def format(self, record: logging.LogRecord) -> str:
        """The one line of this event."""
        line = f"{_moment(record)} {record.levelname} {record.name}: {safe(record.getMessage())}"
        line += "".join(f" {name}={value}" for name, value in _fields(record).items())
        trouble = _trouble(record, self)
        return f"{line} | {trouble}" if trouble else line


class JsonLines(logging.Formatter):
    """The same as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The one line of this event."""
        event = {"time": _moment(record), "level": record.levelname, "logger": record.name,
                 "message": safe(record.getMessage()), **_fields(record)}
        trouble = _trouble(record, self)
        return json.dumps(event | {"exception": trouble} if trouble else event, ensure_ascii=False)


class ServerLogger(Logger):
    """gunicorn's logger without handlers of its own: its words go where all others go."""

    def setup(self, cfg: Any) -> None:
        """Leave the loggers as `configure` made them."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
