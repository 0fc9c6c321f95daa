"""The supervisor: forks the console's roles, replaces what dies, stops everything in order.

It starts no thread and opens no database, so that a fork is safe at any time. What the roles do is in `roles.py`.
"""

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from . import processes

log = logging.getLogger("socialconsole.supervisor")

FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0  # seconds before what died is started again
STEADY_AFTER = 30.0  # seconds of life after which a role counts as healthy again
LONGEST_START = 15.0  # seconds that the roles after it wait for a role to be ready
SAME_WISH_SECONDS = 1.0  # a second signal this soon is the same wish: a terminal and `make` may both pass it on
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Role:
    """One process of the console: what it does, when and how fast it is stopped, and how it fares."""

    name: str
    body: Callable[[], int | None]
    stop_step: int  # roles of a lower step are stopped first
    stop_seconds: float
    is_ready: Callable[[], bool] | None = None  # the roles after it are first started when this holds
    parent_death: signal.Signals = signal.SIGKILL
    pid: int = field(default=0, init=False)
    began: float = field(default=0.0, init=False)
    delay: float = field(default=FIRST_DELAY, init=False)
    due: float = field(default=0.0, init=False)


class Supervisor:
    """Runs roles until told to stop. `on_ready` is called once, when the file `ready` first has something to read."""

    def __init__(self, roles: Sequence[Role], ready: int | None = None,
                 on_ready: Callable[[], None] = lambda: None) -> None:
        self.roles = list(roles)
        self._ready = ready
        self._on_ready = on_ready
        self._stops = 0
        self._asked = 0.0  # when we were first told to stop
        self._hurry = False

    def run(self) -> int:
        """Start the roles in their order, keep them alive, and return 0 after an orderly stop."""
        self._wake, write_end = os.pipe()
        for end in (self._wake, write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only so that it wakes the loop
        for sign in STOP_SIGNALS:
            signal.signal(sign, self._on_stop)
        for role in self.roles:
            self._start_first(role)
        while not self._stops:
            self._sleep(self._until_next_start())
            self._reap()
            self._start_due()
        self._stop_all()
        return 0

    def _on_stop(self, *_: int | FrameType | None) -> None:
        if self._stops and time.monotonic() - self._asked > SAME_WISH_SECONDS:
            self._hurry = True
        self._stops += 1
        self._asked = self._asked or time.monotonic()

    # ------------------------------------------------------------ starting and watching

    def _start(self, role: Role) -> None:
        role.began, role.due = time.monotonic(), 0.0
        role.pid = processes.fork(role.body, role.parent_death, f"console-{role.name.replace(' ', '')}")

    def _start_first(self, role: Role) -> None:
        if self._stops:
            return
        self._start(role)
        until = time.monotonic() + LONGEST_START
        while role.is_ready and not self._stops and time.monotonic() < until and not role.is_ready():
            self._sleep(0.05)
            self._reap()
            self._start_due()

    def _start_due(self) -> None:
        now = time.monotonic()
        for role in self.roles:
            if not self._stops and role.due and role.due <= now:
                self._start(role)

    def _until_next_start(self) -> float | None:
        """Seconds until a dead role is to be started again; None if all live."""
        dues = [role.due for role in self.roles if role.due]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _sleep(self, seconds: float | None) -> None:
        """Wait for a signal, for the web to be ready, or for the time to pass."""
        files = [self._wake] if self._ready is None else [self._wake, self._ready]
        woken = select.select(files, [], [], seconds)[0]
        if self._wake in woken:
            os.read(self._wake, 4096)
        if self._ready is not None and self._ready in woken:
            self._ready = None
            self._on_ready()

    def _reap(self) -> None:
        """Take note of every child that ended; as the first process of a container, of strangers' orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for role in self.roles:
                if role.pid == pid:
                    self._ended(role, status)

    def _ended(self, role: Role, status: int) -> None:
        role.pid = 0
        if self._stops:
            return
        now = time.monotonic()
        if now - role.began >= STEADY_AFTER:
            role.delay = FIRST_DELAY
        role.due, wait = now + role.delay, role.delay
        role.delay = min(role.delay * 2, LONGEST_DELAY)
        log.warning("%s ended and is started again", role.name, extra={"how": _how(status), "in_seconds": wait})

    # ------------------------------------------------------------ stopping

    def _stop_all(self) -> None:
        """Stop the roles step by step; a second signal ends the waiting."""
        for step in sorted({role.stop_step for role in self.roles}):
            running = [role for role in self.roles if role.stop_step == step and role.pid]
            for role in running:
                _send(role, signal.SIGTERM)
            asked = time.monotonic()
            while any(role.pid for role in running):
                for role in running:
                    if role.pid and (self._hurry or time.monotonic() - asked > role.stop_seconds):
                        log.warning("%s did not stop in time and is ended", role.name)
                        _send(role, signal.SIGKILL)
                self._sleep(0.2)
                self._reap()


def _send(role: Role, sign: signal.Signals) -> None:
    try:
        os.kill(role.pid, sign)
    except ProcessLookupError:
        role.pid = 0


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
