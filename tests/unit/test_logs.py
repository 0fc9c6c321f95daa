"""Logs: one line per event, no secret, no forged second line."""

import json
import logging
import sys
from pathlib import Path

import pytest
from flask import Flask

from socialconsole import config as settings
from socialconsole import logs


def line(message: str, *arguments: object, formatter: logging.Formatter | None = None, **extra: object) -> str:
    record = logging.getLogger("socialconsole.test").makeRecord(
        "socialconsole.test", logging.INFO, __file__, 1, message, arguments, None, extra=extra)
    return (formatter or logs.TextLines()).format(record)


@pytest.mark.parametrize("secret", [
    "Authorization: Bearer abc.DEF-123", "https://x/cb?code=abc.DEF-123&x=1", "client_secret=abc.DEF-123",
    '{"access_token": "abc.DEF-123"}', "{'refresh_token': 'abc.DEF-123'}", "postgresql://me:abc.DEF-123@host/x",
    "Basic abc.DEF-123", "[SQL: INSERT] [parameters: ('abc.DEF-123', [1])]",
    f"http://127.0.0.1:8000/link/{'abc-DEF_123' * 4}",
])
def test_what_looks_like_a_secret_is_taken_out(secret: str) -> None:
    for told in (line("failed: %s", secret), line("failed", error=secret, formatter=logs.JsonLines())):
        assert "abc.DEF-123" not in told and "abc-DEF_123" not in told


def test_a_field_that_is_a_secret_by_name_is_taken_out() -> None:
    assert "hush" not in line("x", access_token="hush", body="hush", password="hush")


def test_control_characters_make_no_second_line() -> None:
    text = line("bad name %s", "a\nb\r\x1b[31m\u2028c")
    assert "\n" not in text and "\r" not in text and "\x1b" not in text and "\u2028" not in text
    assert "a\\nb" in text


def test_an_exception_stays_in_its_line() -> None:
    try:
        raise ValueError("no\nluck")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "broke", (), sys.exc_info())
    for formatter in (logs.TextLines(), logs.JsonLines()):
        text = formatter.format(record)
        assert "\n" not in text and "ValueError" in text


def test_json_carries_fields_and_the_id_it_is_about() -> None:
    with logs.about("dlv_1"):
        event = json.loads(line("platform call", status=200, host="api.x.com", formatter=logs.JsonLines()))
    assert event["message"] == "platform call" and event["status"] == 200 and event["id"] == "dlv_1"
    assert "id" not in json.loads(line("later", formatter=logs.JsonLines()))


def test_a_request_is_logged_by_its_rule_never_by_its_address(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    app.add_url_rule("/reset/<token>", view_func=lambda token: "ok", endpoint="reset")
    logs.watch(app)
    with caplog.at_level(logging.INFO, "socialconsole.web"):
        answer = app.test_client().get("/reset/hush?code=hush")
    record = caplog.records[-1]
    assert vars(record)["rule"] == "/reset/<token>" and vars(record)["status"] == 200
    assert "hush" not in logs.TextLines().format(record)
    assert answer.headers["X-Request-ID"] in logs.TextLines().format(record)


def test_libraries_speak_through_the_same_handler(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.configure(settings.read({"LOG_FORMAT": "json"}, tmp_path))
        (handler,) = root.handlers
        assert isinstance(handler.formatter, logs.JsonLines)
        assert logging.getLogger("rq.worker").handlers == [handler]
        assert not logging.getLogger("gunicorn.error").isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        for name in logs.QUIET:
            logging.getLogger(name).handlers[:] = []
            logging.getLogger(name).setLevel(logging.NOTSET)
            logging.getLogger(name).propagate = True
