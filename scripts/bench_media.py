"""How long a large video takes through the console's own upload code, and how much memory it costs.

A server in another process takes the bytes and forgets them, so what is measured is ours. Usage:

    .venv/bin/python scripts/bench_media.py [MEGABYTES]    # 1024 if left out
"""

import multiprocessing
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from socialconsole.providers import connectable  # noqa: E402
from socialconsole.providers.base import App, Draft  # noqa: E402
from socialconsole.providers.content import File, Progress  # noqa: E402

MEGABYTE = 1024 * 1024
MOST_GROWTH = 64  # megabytes
SESSION = "/www.googleapis.com/upload/youtube/v3/videos?upload_id=1"


class Sink(BaseHTTPRequestHandler):
    """Plays a resumable upload without keeping a byte."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Opens the session."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(200, {"Location": f"http://{self.headers['Host']}{SESSION}"})

    def do_PUT(self) -> None:
        """Takes a chunk."""
        left = int(self.headers["Content-Length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, MEGABYTE)))
        last, total = (int(one) for one in self.headers["Content-Range"].rpartition("-")[2].split("/"))
        if last + 1 < total:
            self._say(308, {"Range": f"bytes=0-{last}"})
        else:
            self._say(201, {}, b'{"id": "vid12345678"}')

    def _say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


def serve(port: "Queue[int]") -> None:
    """The sink, until it is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    port.put(server.server_address[1])
    server.serve_forever()


def memory(line: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at most."""
    found = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(f"{line}:"))
    return int(found.split()[1]) / 1024


def upload(address: str, path: Path, size: int) -> None:
    """Prepare and publish one video, as a worker does."""
    provider = connectable("youtube")
    app = App("1.apps.googleusercontent.com", "secret", hosts=provider.base_addresses(address))
    video = File("med_1", "video", "video/mp4", size, path, "large.mp4")
    draft = Draft("", "UC1", format="video", files=(video,), options={
        "title": "Large", "privacy": "private", "made_for_kids": "no", "synthetic": "no"})
    progress = Progress()
    provider.prepare(app, "token", draft, progress)
    provider.publish(app, "token", draft, progress)


def main() -> int:
    """Measure; 1 if the memory grew by more than it may."""
    size = int(sys.argv[1]) * MEGABYTE if len(sys.argv) > 1 else 1024 * MEGABYTE
    context = multiprocessing.get_context("spawn")
    port: Queue[int] = context.Queue()
    sink = context.Process(target=serve, args=(port,), daemon=True)
    sink.start()
    try:
        address = f"http://127.0.0.1:{port.get(timeout=30)}"
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            file.truncate(size)  # holes only: no disk is filled
            before, began = memory("VmRSS"), time.monotonic()
            upload(address, Path(file.name), size)
            seconds, grown = time.monotonic() - began, memory("VmHWM") - before
    finally:
        sink.terminate()
    print(f"{size // MEGABYTE} MB in {seconds:.1f} s, {size / MEGABYTE / seconds:.0f} MB/s; memory grew by at most "
          f"{grown:.1f} MB")
    return 0 if grown <= MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
