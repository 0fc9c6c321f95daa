"""Mail servers that misbehave: whatever they say to our goodbye, however slowly they speak, whatever they are told."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from socialconsole import config as settings
from socialconsole import mail
from tests.conftest import environ

SENDER = "Social Console <console@example.org>"


class Rude:
    """A server for one connection that answers each command as it is told; `got` is what it heard."""

    def __init__(self, answers: dict[str, str], talk: Callable[[socket.socket], None] | None = None) -> None:
        self.answers = {"": "220 hello", "DATA": "354 go on", ".": "250 taken", "QUIT": "221 bye", **answers}
        self.talk, self.got = talk, b""
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen()
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        try:
            line, _ = self.listening.accept()
            with line:
                if self.talk:
                    self.talk(line)
                else:
                    self._answer(line)
        except OSError:
            pass  # whoever called hung up

    def _answer(self, line: socket.socket) -> None:
        heard, word = line.makefile("rb"), ""
        while True:
            answer = self.answers.get(word, "250 fine")
            line.sendall(f"{answer}\r\n".encode())
            said = heard.readline()
            while word == "DATA" and said not in (b".\r\n", b""):
                self.got += said
                said = heard.readline()
            if not said:
                return
            self.got += said
            word = said.decode().split()[0].upper()

    def stop(self) -> None:
        self.listening.close()
        self.thread.join(5)


@pytest.fixture
def rude() -> Iterator[Callable[..., Rude]]:
    """Starts such servers, and stops them."""
    started: list[Rude] = []

    def start(*given: Any, **answers: str) -> Rude:
        started.append(Rude(answers, *given))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def send(tmp_path):
    """Hands a mail to one of them."""

    def send(server, subject="Hello", to="mara@example.com"):
        given = environ(tmp_path, MAIL_URL=f"smtp://127.0.0.1:{server.port}", MAIL_FROM=SENDER)
        mail.send(settings.read(given, tmp_path), to, subject, "Text\n")

    return send


@pytest.mark.parametrize("goodbye", ["421 too busy", "500 what", "nonsense"])
def test_a_mail_that_was_taken_is_taken_whatever_is_said_to_the_goodbye(rude, send, goodbye):
    server = rude(QUIT=goodbye)
    send(server)
    server.stop()
    assert server.got.count(b"Subject: Hello") == 1


def test_a_refusal_for_good_stays_one_whatever_is_said_to_the_goodbye(rude, send):
    with pytest.raises(mail.NotSent, match="does not accept this address") as refused:
        send(rude(RCPT="550 nobody here", QUIT="421 too busy"))
    assert refused.value.is_final and refused.value.said == "550 nobody here" and not refused.value.is_of_server


def test_what_is_no_mail_server_is_said_to_be_none(rude, send):
    with pytest.raises(mail.NotSent, match="does not speak as a mail server does") as refused:
        send(rude(**{"": "HTTP/1.1 400 Bad Request"}))
    assert refused.value.is_of_server and not refused.value.is_final


@pytest.mark.parametrize("piece", [b"2", b"220-and more\r\n"])
def test_a_server_that_never_comes_to_an_end_is_cut_off(rude, send, monkeypatch, piece):
    monkeypatch.setattr(mail, "WHOLE_SECONDS", 0.3)
    over = threading.Event()

    def talk(line: socket.socket) -> None:
        while not over.wait(0.02):
            line.sendall(piece)

    began = time.monotonic()
    with pytest.raises(mail.NotSent) as refused:
        send(rude(talk))
    over.set()
    assert time.monotonic() - began < 5 and not refused.value.is_final


def test_a_name_that_looks_encoded_adds_no_header(rude, send):
    server = rude()
    send(server, "=?utf-8?q?a=0D=0ABcc:_evil@example.org?= stopped working")
    server.stop()
    head = server.got.partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nbcc:" not in head and b"\r\nsubject:" in head and server.got.count(b"\nrcpt") == 1


def test_a_certificate_that_is_wrong_is_the_servers_trouble(rude, send, monkeypatch):
    def wrong(*_given: Any, **_more: Any) -> None:
        raise mail.ssl.SSLCertVerificationError(1, "certificate has expired")

    monkeypatch.setattr(mail, "_say", wrong)
    with pytest.raises(mail.NotSent, match="certificate") as refused:
        send(rude())
    assert refused.value.is_of_server and not refused.value.is_final
