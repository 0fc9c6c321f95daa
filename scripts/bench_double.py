"""A light double of one platform: answers every renewal and every post after the same pause, and counts them.

It is there to measure the console, not to judge it (that is the sandbox's part), so it checks nothing and costs little:
one process, one loop, no framework. Usage:

    .venv/bin/python scripts/bench_double.py PORT MILLISECONDS

`GET /stats` tells what came since the last `POST /reset`; `POST /reset?ms=50` begins anew with another pause.
"""

import json
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

READ_AT_ONCE = 65536
END = b"\r\n\r\n"


@dataclass
class Counts:
    """What was called since the last reset; instants in seconds since 1970."""

    calls: int = 0
    first: float = 0.0
    last: float = 0.0
    at_once: int = 0
    most_at_once: int = 0
    bodies: set[int] = field(default_factory=set)  # hashes: a body that comes twice is a thing done twice

    def note(self, body: bytes) -> None:
        """One call has come in."""
        now = time.time()
        self.first, self.last = self.first or now, now
        self.calls += 1
        self.bodies.add(hash(body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)

    def shown(self) -> dict[str, Any]:
        """As the answer to /stats."""
        return {"calls": self.calls, "distinct": len(self.bodies), "first": self.first, "last": self.last,
                "most_at_once": self.most_at_once}


class Double:
    """The loop. All answers take the same time, so that those who wait stand in one line."""

    def __init__(self, port: int, milliseconds: float) -> None:
        self.pause = milliseconds / 1000
        self.counts = Counts()
        self.number = 0
        self.poll = select.epoll()
        self.links: dict[int, socket.socket] = {}
        self.unread: dict[int, bytes] = {}
        self.waiting: deque[tuple[float, int, socket.socket, bytes]] = deque()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.poll.register(self.listener.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Serve until killed."""
        while True:
            pause = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else -1
            for descriptor, _ in self.poll.poll(pause):
                if descriptor == self.listener.fileno():
                    self._accept()
                else:
                    self._read(descriptor)
            self._answer()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except BlockingIOError:
                return
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links[link.fileno()] = link
            self.poll.register(link.fileno(), select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        link = self.links[descriptor]
        try:
            came = link.recv(READ_AT_ONCE)
        except OSError:
            came = b""
        if not came:
            self._close(descriptor)
            return
        text = self.unread.pop(descriptor, b"") + came
        head, _, body = text.partition(END)
        if not _ or len(body) < _length(head):
            self.unread[descriptor] = text
            return
        self._take(descriptor, link, head, body)

    def _close(self, descriptor: int) -> None:
        self.poll.unregister(descriptor)
        self.unread.pop(descriptor, None)
        self.links.pop(descriptor).close()

    def _take(self, descriptor: int, link: socket.socket, head: bytes, body: bytes) -> None:
        target = head.split(b" ", 2)[1]
        if target.startswith(b"/stats"):
            link.sendall(_packed(200, json.dumps(self.counts.shown()).encode()))
        elif target.startswith(b"/reset"):
            self.counts = Counts(at_once=0)
            self.pause = float(parse_qs(target.decode().partition("?")[2])["ms"][0]) / 1000
            link.sendall(_packed(200, b"{}"))
        else:
            self.counts.note(body)
            self.number += 1
            self.waiting.append((time.monotonic() + self.pause, descriptor, link, self._answer_to(target)))

    def _answer_to(self, target: bytes) -> bytes:
        number = self.number
        if target.endswith(b"/token"):
            return _packed(200, b'{"token_type":"bearer","expires_in":7200,"access_token":"access-%d","scope":'
                                b'"tweet.read tweet.write users.read offline.access media.write",'
                                b'"refresh_token":"refresh-%d"}' % (number, number))
        if target.endswith(b"/tweets"):
            return _packed(201, b'{"data":{"id":"%d","text":"-"}}' % (10**18 + number))
        return _packed(404, b"{}")

    def _answer(self) -> None:
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, descriptor, link, answer = self.waiting.popleft()
            self.counts.at_once -= 1
            if self.links.get(descriptor) is link:
                try:
                    link.sendall(answer)
                except OSError:
                    self._close(descriptor)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


def _packed(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status, len(body), body)


if __name__ == "__main__":
    Double(int(sys.argv[1]), float(sys.argv[2])).run()
