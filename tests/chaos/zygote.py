"""A process that has loaded the console once and forks what a run needs: a start must not cost a second each time.

It reads one order a line, `{"program", "arguments", "environ", "output"}`, and answers with the child's process id. Its
children die with it, and it ends when nobody gives orders any more.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from socialconsole import processes
from tests.chaos import callers, host, naive, platforms
from tests.running import ROOT

PROGRAMS: dict[str, Callable[[list[str]], int | None]] = {
    "console": host.console,
    "platforms": lambda arguments: platforms.main(int(arguments[0]), Path(arguments[1])),
    "naive": lambda arguments: naive.main(int(arguments[0])),
    "callers": lambda arguments: callers.main(arguments[0], int(arguments[1]), float(arguments[2])),
}


class Child:
    """A process that was forked elsewhere."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until it is gone. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while Path(f"/proc/{self.pid}").exists():
            if time.monotonic() > end:
                raise TimeoutError(f"process {self.pid} does not end")
            time.sleep(0.01)


class Zygote:
    """The one that forks. Close it to end it and all its children."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.chaos.zygote"], cwd=ROOT, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def start(self, program: str, *arguments: str, environ: Mapping[str, str], output: Path) -> Child:
        """Run one of `PROGRAMS` in a new process; what it says is added to a file."""
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"program": program, "arguments": arguments, "environ": dict(environ), "output": str(output)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@cache
def the_zygote() -> Zygote:
    """The one of this process; it is ended with it."""
    made = Zygote()
    atexit.register(made.close)
    return made


def _child(order: dict[str, Any], parent: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    processes.die_with_parent(parent)
    with open(os.devnull) as nothing, open(str(order["output"]), "ab") as said:
        os.dup2(nothing.fileno(), 0)
        for number in (1, 2):
            os.dup2(said.fileno(), number)
    os.environ.clear()
    os.environ.update(order["environ"])
    code = 1
    try:
        code = PROGRAMS[str(order["program"])](list(order["arguments"])) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def main() -> None:
    """Fork one child for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    me = os.getpid()
    while line := sys.stdin.readline():
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(order, me)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
