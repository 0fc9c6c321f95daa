"""A real PostgreSQL for tests and measurements: the server that TEST_DATABASE_URL names, or one of our own.

Our own is made in a folder of its own from the binaries of this machine and listens on a Unix socket there (and on a
loopback port where `tcp=True`). When the process that made it dies, in whatever way, a guard ends it and clears its
folder away.

    with postgres.Server(fsync=False) as server:
        url = server.url("first")       # a fresh empty database
        url = server.migrated("second")  # one with the console's tables
        server.restart("immediate")     # as if its machine had lost power
"""

import atexit
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from socialconsole import config as settings
from socialconsole import migrating, models, outside

GIVEN = "TEST_DATABASE_URL"
DEBIAN = Path("/usr/lib/postgresql")
OLDEST = 15
HOW_TO_GET_IT = ("PostgreSQL was not found, so nothing is proved on it. Install it (Debian: apt-get install "
                 f"postgresql), or name a server whose user may create databases: {GIVEN}=postgresql://user@host/name")
PREFIX = "console-postgres-"
USERS = ("postgres", "nobody")  # initdb refuses root, so root runs it as the first of these that exists
STARTS_WITHIN = 30.0
TEMPLATE = "console_template"
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
# One process that outlives ours for a moment. The kernel's own signal for that would come when a mere thread ends.
GUARD = """
while kill -0 "$1" 2>/dev/null && [ -d "$2" ]; do sleep 1; done
[ -d "$2" ] || exit 0
kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")" 2>/dev/null && sleep 1
rm -rf "$2"
"""
SETTINGS = {
    "max_connections": "400", "shared_buffers": "64MB", "max_wal_size": "512MB", "log_min_messages": "warning",
    "logging_collector": "off", "timezone": "UTC", "lc_messages": "C", "unix_socket_permissions": "0700",
}


class Missing(RuntimeError):
    """There is no PostgreSQL to test with; the message says how to get one."""


def find() -> Path | None:
    """The folder of PostgreSQL's binaries: where the newest `initdb` of at least version 15 is; None if nowhere."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    if DEBIAN.is_dir():
        found += [each / "bin" for each in DEBIAN.iterdir() if (each / "bin" / "initdb").exists()]
    fitting = [(version, folder) for folder in found if (version := _version(folder)) >= OLDEST]
    return max(fitting)[1] if fitting else None


def _version(folder: Path) -> int:
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r"\b(\d+)", said)
    return int(match.group(1)) if match else 0


def why_not() -> str:
    """Why there is no PostgreSQL to test with, and how to get it; nothing if there is one."""
    if os.environ.get(GIVEN) or find():
        return ""
    return HOW_TO_GET_IT


class Server:
    """A running server. Of one that TEST_DATABASE_URL names only databases are made and dropped: `is_ours` is False.

    `fsync=False` is faster and loses data only if the machine dies, which no test does. Raises Missing.
    """

    def __init__(self, *, fsync: bool = True, tcp: bool = False, **more: str) -> None:
        given = os.environ.get(GIVEN, "")
        self.is_ours = not given
        self.process: subprocess.Popen[bytes] | None = None
        self._template = threading.Lock()
        self._made: list[str] = []
        if given:
            self._admin = make_url(given)
            self.prefix = f"test_{secrets.token_hex(4)}_"  # others may use the same server
            return
        self.prefix = ""
        bin_folder = find()
        if bin_folder is None:
            raise Missing(HOW_TO_GET_IT)
        self.bin = bin_folder
        self.user = _user()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))  # the path of a socket must be short
        self.port = _free_port()
        self.settings = {**SETTINGS, "fsync": "on" if fsync else "off", "full_page_writes": "on" if fsync else "off",
                         "listen_addresses": "127.0.0.1" if tcp else "", "port": str(self.port), **more}
        self._admin = _address(self.folder, self.port, tcp)
        self._guard()
        self._make()

    # ------------------------------------------------------------ life

    def _guard(self) -> None:
        subprocess.Popen(["/bin/sh", "-c", GUARD, "guard", str(os.getpid()), str(self.folder)], cwd="/",
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
        atexit.register(partial(_if_mine, os.getpid(), self.close))

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(self._admin.password or "unused")
        if self.user is not None:
            for path in (self.folder, password):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync",
                  "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self.bin / program, *arguments], cwd=self.folder, capture_output=True, text=True,
                              env=_environ(), check=False, **_as(self.user))
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    def start(self) -> "Server":
        """Start it, and wait until it takes connections."""
        if not self.is_ours or self.process is not None:
            return self
        process, end = self._begin(), time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.02)
            if process.poll() is not None:  # after a kill it refuses to start while its old children still live
                time.sleep(0.2)
                process = self._begin()
        self.process = process
        return self

    def _begin(self) -> subprocess.Popen[bytes]:
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self.bin / "postgres", "-D", str(self.data), "-k", str(self.folder), *options], cwd=self.folder,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environ(), start_new_session=True,
                **_as(self.user))

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: str = "fast") -> None:
        """Stop it: "fast" ends transactions in order, "immediate" as if it crashed, "kill" with SIGKILL."""
        self._only_ours()
        if self.process is None:
            return
        self.process.send_signal(STOPS[how])
        self.process.wait(STARTS_WITHIN)
        self.process = None

    def restart(self, how: str = "fast") -> None:
        """Stop it in that manner and start it again, at the same address."""
        self.stop(how)
        self.start()

    def _only_ours(self) -> None:
        if not self.is_ours:
            raise RuntimeError(f"{GIVEN} names a server that tests may not stop")

    def close(self) -> None:
        """Stop it and clear its folder away; of a given server, drop the databases made here."""
        if self.is_ours:
            if self.process is not None:
                self.stop("immediate")
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for name in [*self._made, TEMPLATE]:
            self.drop(name)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ databases

    def url(self, name: str) -> str:
        """The DATABASE_URL of a fresh empty database of that name; one that was there is dropped."""
        return self._create(name, "template0")

    def migrated(self, name: str) -> str:
        """The DATABASE_URL of a fresh database with the console's newest tables and no rows."""
        with self._template:
            if TEMPLATE not in self._made:
                migrate(self._create(TEMPLATE, "template0"))
        return self._create(name, self.prefix + TEMPLATE)

    def emptied(self, name: str) -> str:
        """The DATABASE_URL of a migrated database without rows: the one of that name, made where it is not there.

        Quicker than a fresh one. Whoever is still connected to it is sent away first.
        """
        if name not in self._made:
            return self.migrated(name)
        tables = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name))
                                    for table in reversed(models.Base.metadata.sorted_tables))
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", "",
                     (self.prefix + name,))
        self.execute(tables, name)
        return self.address(name)

    def address(self, name: str) -> str:
        """The DATABASE_URL of a database that exists."""
        return self._admin.set(database=self.prefix + name).render_as_string(hide_password=False)

    def _create(self, name: str, template: str) -> str:
        self.drop(name)
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'").format(
            sql.Identifier(self.prefix + name), sql.Identifier(template)))
        self._made.append(name)
        return self.address(name)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.prefix + name)))
        self._made = [each for each in self._made if each != name]

    def execute(self, statement: Any, database: str = "", parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of one statement, run with all rights: in the server's own database, or in the one of that name."""
        url = self._admin.set(database=self.prefix + database) if database else self._admin
        with psycopg.connect(plain(url), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []


def plain(url: str | URL) -> str:
    """A DATABASE_URL as psycopg itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def migrate(url: str) -> None:
    """Bring the database at that address to the newest tables."""
    keys = {"SECRET_KEY": secrets.token_hex(32), "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32)}
    with tempfile.TemporaryDirectory() as folder:
        config = settings.read({"INSTANCE_PATH": folder, "DATABASE_URL": url, **keys}, Path(folder))
        assert not config.problems, config.problems
        migrating.upgrade(config, outside.now())


def _address(folder: Path, port: int, tcp: bool) -> URL:
    if tcp:
        return URL.create("postgresql", "postgres", secrets.token_hex(8), "127.0.0.1", port, "postgres")
    return URL.create("postgresql", "postgres", database="postgres", query={"host": str(folder), "port": str(port)})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _user() -> pwd.struct_passwd | None:
    """Whom root runs the server as; None where we are not root."""
    if os.geteuid() != 0:
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return next(known[name] for name in USERS if name in known)


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _environ() -> dict[str, str]:
    """Without the variables that PostgreSQL's programs read."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}


def _if_mine(owner: int, close: Any) -> None:
    """A fork leaves its parent's server alone."""
    if os.getpid() == owner:
        close()
