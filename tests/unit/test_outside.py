"""The door to the platforms: its time limit, its one log line, the proxy of the environment, and no redirects."""

import http.server
import io
import logging
import socket
import threading
import time

import pytest
import requests
import responses
import urllib3

from socialconsole import logs, outside


def empty():
    """An answer without a body."""
    answer = requests.Response()
    answer.status_code, answer.raw = 200, urllib3.HTTPResponse(b"", preload_content=False)
    return answer


@pytest.fixture
def listener():
    """A server that notes what it is asked and says 502: as a proxy it leads nowhere, as a host it is one."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(f"{self.command} {self.path}")
            self.send_response(502)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_CONNECT = do_GET

        def log_message(self, *_):
            """Nothing into the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_platform_is_reached_through_the_proxy_of_the_environment(listener, monkeypatch):
    address, asked = listener
    monkeypatch.setenv("HTTPS_PROXY", address)
    monkeypatch.setenv("NO_PROXY", "")
    with outside.platform_session() as session, pytest.raises(requests.exceptions.ProxyError):
        session.get("https://api.x.com/2/users/me")
    assert asked == ["CONNECT api.x.com:443"]


def test_no_proxy_keeps_a_host_from_the_proxy(listener, monkeypatch):
    address, asked = listener
    monkeypatch.setenv("HTTPS_PROXY", address)
    monkeypatch.setenv("NO_PROXY", "platform.invalid")
    with outside.platform_session() as session, pytest.raises(requests.ConnectionError):
        session.get("https://platform.invalid/")
    assert asked == []


def test_the_sandbox_on_this_machine_is_reached_without_any_proxy(listener, monkeypatch):
    address, asked = listener
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with outside.platform_session() as session:
        session.get(f"{address}/api.x.com/2/users/me")
    assert asked == ["GET /api.x.com/2/users/me"]


def test_certificates_are_checked_against_the_bundle_of_the_environment(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send",
                        lambda self, request, **options: seen.append(options["verify"]) or empty())
    with outside.platform_session() as session:
        session.get("https://api.x.com/")
    assert seen == [str(tmp_path)]


@responses.activate
def test_a_redirect_is_an_answer_and_is_not_followed():
    responses.get("https://api.x.com/a", status=302, headers={"Location": "https://elsewhere.example/"})
    with outside.platform_session() as session:
        assert session.get("https://api.x.com/a").status_code == 302
    assert len(responses.calls) == 1


def test_a_call_without_a_time_limit_of_its_own_gets_one(monkeypatch):
    seen = []
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send",
                        lambda self, request, **options: seen.append(options["timeout"]) or empty())
    with outside.platform_session() as session:
        session.get("https://api.x.com/")
        session.get("https://api.x.com/", timeout=3)
    assert seen == [(outside.CONNECT_SECONDS, outside.ANSWER_SECONDS), 3]


@pytest.fixture
def dripper():
    """A server whose answer drips on for ever."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            while not stop.wait(0.02):
                try:
                    self.wfile.write(b".")
                except OSError:
                    return

        def log_message(self, *_):
            """Nothing into the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("name", "limit"), [("WHOLE_SECONDS", 0.2), ("LARGEST_ANSWER", 5)])
def test_an_answer_that_drips_on_or_never_ends_is_cut_off(dripper, monkeypatch, name, limit):
    monkeypatch.setattr(outside, name, limit)
    with outside.platform_session() as session, pytest.raises(requests.exceptions.ReadTimeout):
        session.get(dripper)


def test_the_log_names_method_host_status_and_time_and_neither_path_nor_query_nor_token(listener, caplog):
    address, _ = listener
    with caplog.at_level(logging.DEBUG), outside.platform_session() as session:
        session.post(f"{address}/secret-path?access_token=hush", headers={"Authorization": "Bearer hush"})
        session.get(f"{address}/secret-path?access_token=hush")
    lines = [logs.TextLines().format(record) for record in caplog.records if record.name == "socialconsole.outside"]
    assert len(lines) == 2 and all(word in lines[1] for word in ("method=GET", "host=127.0.0.1:", "status=502", "ms="))
    assert "hush" not in " ".join(lines) and "secret-path" not in " ".join(lines)


def test_a_call_that_gets_no_answer_is_logged_too(caplog):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    with caplog.at_level(logging.INFO), outside.platform_session() as session, pytest.raises(requests.ConnectionError):
        session.get(address)
    assert vars(caplog.records[-1])["status"] == "no answer"


def test_an_answer_that_is_badly_packed_is_told_as_no_answer():
    answer = requests.Response()
    answer.raw = urllib3.HTTPResponse(io.BytesIO(b"not gzip at all"), headers={"Content-Encoding": "gzip"},
                                      preload_content=False)
    with pytest.raises(requests.ConnectionError):
        outside._read(answer, time.monotonic())


def test_an_odd_redirect_does_not_break_the_reading():
    with outside.platform_session() as session:
        answer = requests.Response()
        answer.status_code, answer.headers["Location"] = 302, "http://[broken"
        assert session.get_redirect_target(answer) is None
