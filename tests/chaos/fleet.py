"""What a run stands on: a database, a store, the platforms, hosts with their processes, and somebody who kills them.

`Ground` owns all of it and ends only what it started. Rows are written through the console's own models and services.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from flask import Flask

from socialconsole import config as settings
from socialconsole import create_app, migrating, outside, store
from socialconsole.extensions import db
from tests import postgres
from tests.chaos import witness
from tests.chaos.clock import SharedClock
from tests.chaos.host import CLOCK, PATIENCE, SWEEP
from tests.chaos.zygote import Child, Zygote, the_zygote
from tests.running import family, fetch, free_port, until

WORKER, TICKER, STORE = "worker", "ticker", "store"
ANSWERS_WITHIN = 20.0  # seconds in which a process that was started has to be at work


@dataclass
class Kill:
    """One kill -9: by the shared clock, when the last that died of it was gone; what; and all that died of it."""

    at: float
    what: str
    pids: frozenset[int] = frozenset()


@dataclass
class Host:
    """One machine: a folder of its own and the processes started there, all with the same settings."""

    name: str
    folder: Path
    environ: dict[str, str]
    zygote: Zygote
    processes: list[Child] = field(default_factory=list)

    def start(self, *arguments: str, program: str = "console", **more: str) -> Child:
        """Start one command of the console here; what it says goes to a file in the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        child = self.zygote.start(program, *arguments, environ={**self.environ, **more},
                                  output=self.folder / "output.txt")
        self.processes.append(child)
        return child

    def pids(self, role: str = "") -> list[int]:
        """The living processes of this host; of one role only those."""
        every = [pid for process in self.processes for pid in family(process.pid)]
        return [pid for pid in every if not role or _name(pid).startswith(f"console-{role}")]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of this host at once."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """End everything here, at once."""
        self.signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Ground:
    """Everything of one run. Use it as a context; `app` looks into its database with the run's clock."""

    def __init__(self, database: str, server: postgres.Server | None = None, *, patience: float = 3.0,
                 sweep: float | None = None, seed: int = 0, folder: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="console-chaos-", dir=folder))
        self.database, self.server, self.patience = database, server, patience
        self.sweep = sweep  # seconds between two sweeps of the ticker; None: as always
        self.random = random.Random(seed)
        self.seed = seed
        self.clock = SharedClock(self.folder / "clock")
        self.sandbox_port, self.store_port = free_port(), free_port()
        self.database_name = f"chaos_{self.folder.name[-8:].lower()}"
        self.hosts: list[Host] = []
        self.kills: list[Kill] = []
        self.web_ports: list[int] = []
        self.zygote = the_zygote()
        self._sandbox: Child | None = None
        self._store: subprocess.Popen[bytes] | None = None
        self._store_lock = threading.Lock()
        self.app: Flask

    # ------------------------------------------------------------ life

    def __enter__(self) -> "Ground":
        try:
            self.environ = self._environ()
            config = settings.read(self.host_environ("looker"), self.folder)
            assert not config.problems, config.problems
            outside.use_clock(self.clock.now)
            migrating.upgrade(config, outside.now())
            self.app = create_app(config)
            self.start_sandbox()
            self.start_store()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.stop()
        self.stop_store()
        if self._sandbox is not None:
            self._sandbox.kill()
            self._sandbox.wait()
        if hasattr(self, "app"):
            with self.app.app_context():
                db.session.remove()
                db.engine.dispose()
        if self.server is not None:
            self.server.start()
            self.server.drop(self.database_name)
        outside.use_clock(None)
        if os.environ.get("CHAOS_KEEP"):
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _environ(self) -> dict[str, str]:
        keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY")}
        if self.server is not None:
            url = self.server.url(self.database_name)
        else:
            (self.folder / "data").mkdir(exist_ok=True)
            url = f"sqlite:///{self.folder / 'data' / 'console.db'}"
        plain = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        return {**plain, **keys, "DATABASE_URL": url, "REDIS_URL": f"redis://127.0.0.1:{self.store_port}/0",
                "API_PUBLIC_URL": "http://127.0.0.1:8000", "SANDBOX": "on",
                "SANDBOX_BIND": f"127.0.0.1:{self.sandbox_port}", "PYTHONUNBUFFERED": "1",
                CLOCK: str(self.folder / "clock"), PATIENCE: str(self.patience), SWEEP: str(self.sweep or "")}

    def host_environ(self, name: str) -> dict[str, str]:
        """The settings as one host has them: only its folder differs."""
        return {**self.environ, "INSTANCE_PATH": str(self.folder / name)}

    def host(self, name: str = "one", folder: str = "") -> Host:
        """A further host, with a folder of its own unless one is named; nothing runs there yet."""
        made = Host(name, self.folder / (folder or name), self.host_environ(folder or name), self.zygote)
        self.hosts.append(made)
        return made

    def start_workers(self, count: int = 4, name: str = "one") -> Host:
        """A host with a ticker and so many workers, at work."""
        host = self.host(name)
        host.start("worker", "--count", str(count))
        until(lambda: len(host.pids(WORKER)) >= count and host.pids(TICKER), ANSWERS_WITHIN,
              f"the workers are there\n{self.said(host)}")
        return host

    def start_naive(self, count: int = 4, name: str = "naive") -> Host:
        """A host with so many workers of the naive variant."""
        host = self.host(name)
        host.start(str(count), program="naive")
        until(lambda: len(host.pids(WORKER)) >= count, ANSWERS_WITHIN, f"the workers are there\n{self.said(host)}")
        return host

    def tries(self) -> dict[str, list[witness.Renewal]]:
        """The tries to renew each grant, as the processes of all hosts told them."""
        return witness.read({host.folder for host in self.hosts})

    def said(self, host: Host) -> str:
        """The end of what a host's processes printed."""
        file = host.folder / "output.txt"
        return file.read_text(errors="replace")[-3000:] if file.exists() else ""

    @contextmanager
    def looking(self):
        """An app context of the run, without leftovers."""
        with self.app.app_context():
            try:
                yield db.session
            finally:
                db.session.remove()

    # ------------------------------------------------------------ platforms

    def start_sandbox(self) -> None:
        """Start the platforms, and wait for them."""
        self._sandbox = self.zygote.start("platforms", str(self.sandbox_port), str(self.folder / "clock"),
                                          environ=self.environ, output=self.folder / "sandbox.txt")
        until(lambda: fetch(f"{self.sandbox}/portal/api/health")[0] == 200, ANSWERS_WITHIN, "the sandbox answers")

    @property
    def sandbox(self) -> str:
        """The sandbox's address."""
        return f"http://localhost:{self.sandbox_port}"

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the sandbox's control; its answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.sandbox}/portal/api{path}", data, {"Content-Type": "application/json"},
                                         method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    def mix(self, rate: float, *operations: str, kinds: tuple[str, ...] = (
            "timeout", "429", "500", "html", "truncated", "drop_after")) -> None:
        """Let the platforms fail by chance; rate 0 ends it."""
        if rate:
            self.control("POST", "/faults/mix", {
                "platforms": "any", "operations": list(operations) or "any", "rate": rate, "kinds": list(kinds),
                "seconds": self.patience + 1, "seed": self.seed})
        else:
            self.control("DELETE", "/faults/mix")

    # ------------------------------------------------------------ store

    def start_store(self) -> None:
        """Start the store, or start it again with what it wrote down."""
        with self._store_lock, (self.folder / "store.txt").open("ab") as said:
            (self.folder / "store").mkdir(exist_ok=True)
            self._store = subprocess.Popen(
                [store.binary(), "--port", str(self.store_port), "--bind", "127.0.0.1", "--dir",
                 str(self.folder / "store"), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"],
                stdout=said, stderr=said, start_new_session=True)
        until(self._store_answers, ANSWERS_WITHIN, "the store answers")

    def _store_answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.store.ping())
        return False

    @property
    def store(self) -> redis.Redis:
        """A client of the store."""
        return redis.Redis(host="127.0.0.1", port=self.store_port, socket_timeout=2)

    def stop_store(self) -> None:
        """kill -9 of the store."""
        if self._store is not None:
            self._store.kill()
            self._store.wait()

    # ------------------------------------------------------------ kills

    def kill(self, what: str) -> bool:
        """kill -9 of one process by role, chosen by chance; the store is started again at once. False: none there."""
        if what == STORE:
            self.kills.append(Kill(self.clock.seconds(), what))
            self.stop_store()
            self.start_store()
            return True
        candidates = [pid for host in self.hosts for pid in host.pids(what)]
        if not candidates:
            return False
        chosen = self.random.choice(candidates)
        pids = frozenset(family(chosen))  # a child that is born just now has one of them as its parent
        with suppress(ProcessLookupError):
            os.kill(chosen, signal.SIGKILL)
            self._died(what, pids)
            return True
        return False

    def _died(self, what: str, pids: frozenset[int]) -> None:
        """Note a kill once all of them are gone: a child lives, and asks, until its parent was given time to die."""
        until(lambda: not any(map(_lives, pids)), ANSWERS_WITHIN, "what was killed is gone")
        self.kills.append(Kill(self.clock.seconds(), what, pids))

    def kill_all(self, what: str) -> None:
        """kill -9 of all processes of a role, the working children first: none may see its parent die."""
        pids = [pid for host in self.hosts for pid in host.pids(what)]
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._died(what, frozenset(pids))

    def killing(self, times: int, over: float) -> threading.Thread:
        """Kill by chance so many times, spread over some seconds, in a thread."""
        def run() -> None:
            for _ in range(times):
                time.sleep(over / times * (0.5 + self.random.random()))
                self.kill(self.random.choices((WORKER, TICKER, STORE), (8, 1, 1))[0])

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def injected(self) -> dict[str, int]:
        """What was done to the console so far, by kind."""
        kills = Counter(f"kill_{one.what}" for one in self.kills)
        return {**self.control("GET", "/counts")["injected"], **kills}
