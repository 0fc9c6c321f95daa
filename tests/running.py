"""A whole console as a person starts it: real processes, store and sandbox, in a folder and on ports of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "socialconsole.cli"]
READY_WITHIN = 40.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait until `holds()` is true and return what it gave; AssertionError with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {seconds:g} s: {what or holds}")
        time.sleep(0.05)


class Console:
    """One running console. `url` is its address, `sandbox` that of its sandbox."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port, self.sandbox_port = free_port(), free_port()
        self.url, self.sandbox = f"http://127.0.0.1:{self.port}", f"http://localhost:{self.sandbox_port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.endswith(("_PROXY", "_proxy"))},
            "INSTANCE_PATH": str(folder), "API_PUBLIC_URL": self.url, "BIND": f"127.0.0.1:{self.port}",
            "SANDBOX_BIND": f"127.0.0.1:{self.sandbox_port}", "PYTHONUNBUFFERED": "1", **settings}
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "Console":
        """Start it and wait until every part is at work."""
        self.process = subprocess.Popen([*COMMAND, "run"], cwd=ROOT, env=self.environ, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, start_new_session=True)
        threading.Thread(target=self._read, daemon=True).start()
        until(self.is_ready, READY_WITHIN, "the console is ready\n" + self.output())
        return self

    def _read(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def output(self) -> str:
        """What it printed so far."""
        return "\n".join(self.lines)

    def is_ready(self) -> bool:
        """Whether every part is at work; AssertionError if it stopped instead."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the console stopped with {self.process.returncode}:\n{self.output()}")
        return self.get("/readyz")[0] == 200

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the console; status 0 where nobody answers."""
        return fetch(self.url + path)

    def setup_link(self) -> str:
        """The one-time link that it printed."""
        pattern = re.compile(r"http\S+/setup/\S+")
        return str(until(lambda: (found := pattern.search(self.output())) and found.group(), 10, "the set-up link"))

    def set_up(self, email: str = "alice@example.com", password: str = "correct horse battery") -> None:
        """Set it up unattended."""
        subprocess.run([*COMMAND, "setup", "--email", email, "--password-stdin", "--workspace", "Harbour Bakery",
                        "--time-zone", "Europe/Stockholm"], cwd=ROOT, env=self.environ, input=password, text=True,
                       check=True, capture_output=True)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the sandbox's control; its answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.sandbox + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and return how it ended."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


def fetch(url: str) -> tuple[int, str]:
    """Status and text of an address; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def family(pid: int) -> list[int]:
    """The living descendants of a process, itself included."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found = [pid] if pid in parents else []
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found
