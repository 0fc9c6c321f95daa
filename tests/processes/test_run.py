"""The whole console as one command: what dies is replaced, what is stopped leaves nothing behind."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from socialconsole.roles import WEB_PROCESSES
from tests.running import COMMAND, ROOT, Console, family, until

pytestmark = pytest.mark.processes

ROLES = {"console-web", "console-ticker", "console-worker1", "console-worker2", "console-sandbox", "valkey-server"}


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    running = Console(tmp_path / "instance")
    yield running.start()
    running.stop()


def supervisor(console: Console) -> int:
    assert console.process is not None
    return console.process.pid


def children(console: Console) -> dict[str, int]:
    """The supervisor's living children by the name that `ps` shows."""
    found = {}
    for pid in family(supervisor(console))[1:]:
        try:
            parent = int((Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[1])
            name = (Path("/proc") / str(pid) / "comm").read_text().strip()
        except OSError:
            continue
        if parent == supervisor(console):
            found[name] = pid
    return found


def is_replaced(console: Console, name: str, before: int) -> bool:
    return children(console).get(name, before) != before


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def run_again(console: Console, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "run"], cwd=ROOT, env=console.environ | settings, capture_output=True, text=True,
                          timeout=60)


def test_every_process_that_is_killed_is_replaced_and_the_console_is_whole_again(console: Console) -> None:
    assert set(children(console)) == ROLES
    for name in sorted(ROLES):
        before = children(console)[name]
        os.kill(before, signal.SIGKILL)
        until(partial(is_replaced, console, name, before), 15, f"{name} is replaced")
    until(console.is_ready, 30, "the console is ready again\n" + console.output())
    assert "valkey-server" not in console.output(), "the store's own words belong into its own file"


def test_a_killed_web_process_leaves_no_worker_of_its_own_behind(console: Console) -> None:
    web = children(console)["console-web"]
    until(lambda: len(family(web)) == 1 + WEB_PROCESSES, 10, "gunicorn has its workers")
    theirs = family(web)[1:]
    for pid in theirs:
        os.kill(pid, signal.SIGSTOP)  # so that they cannot see for themselves that they are orphans
    os.kill(web, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in theirs), 5, "gunicorn's workers follow it")


def test_a_second_run_in_the_same_folder_is_refused_in_one_line_that_says_where_the_first_is(console: Console) -> None:
    second = run_again(console)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1 and "already runs" in second.stderr
    assert console.url in second.stderr and str(supervisor(console)) in second.stderr
    assert console.get("/healthz")[0] == 200


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_orderly_quick_and_leaves_nothing(tmp_path: Path, sign: signal.Signals) -> None:
    console = Console(tmp_path / "instance").start()
    everybody = family(supervisor(console))
    assert console.stop(sign) == 0
    assert not [pid for pid in everybody if is_alive(pid)]
    assert "did not stop in time" not in console.output() and "Traceback" not in console.output()


def test_nobody_outlives_a_killed_supervisor_and_the_next_start_works(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance").start()
    until(lambda: len(family(supervisor(console))) == 7 + WEB_PROCESSES, 10, "supervisor, six roles, the web's workers")
    everybody = family(supervisor(console))
    os.kill(supervisor(console), signal.SIGKILL)
    until(lambda: not [pid for pid in everybody[1:] if is_alive(pid)], 5, "all children are gone")
    again = Console(tmp_path / "instance").start()
    assert "Two keys were made" not in again.output()
    again.stop()


def test_a_busy_port_is_said_in_one_line_before_anything_starts(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance")
    with socket.socket() as other:
        other.bind(("127.0.0.1", console.port))
        other.listen()
        refused = run_again(console)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"127.0.0.1:{console.port}" in refused.stderr and "BIND" in refused.stderr
    assert not (tmp_path / "instance" / "console.db").exists()


def test_wrong_settings_are_said_all_at_once_without_a_traceback(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance", SECRET_KEY="short", WORKERS="many", API_PUBLIC_URL="http://127.0.0.1/api")
    refused = run_again(console)
    assert refused.returncode == 2
    assert all(word in refused.stderr for word in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY", "WORKERS", "API_PUBLIC_URL"))
    assert "Traceback" not in refused.stderr


def test_the_first_run_tells_once_about_the_keys_and_prints_one_address(console: Console) -> None:
    assert console.output().count("Two keys were made") == 1
    assert [line for line in console.lines if line.startswith("Social Console is ready. Open http")] != []
    keys = console.folder / "console.env"
    assert keys.stat().st_mode & 0o777 == 0o600 and console.folder.stat().st_mode & 0o777 == 0o700


def command(console: Console, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, env=console.environ, input=typed, capture_output=True,
                          text=True, timeout=60)


def test_an_unattended_set_up_acts_once_and_a_lost_password_gets_a_link(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance")
    asked = ("setup", "--email", "alice@example.com", "--password-stdin", "--workspace", "Bakery", "--time-zone")
    wrong = command(console, *asked, "Mars", typed="short\n")
    assert wrong.returncode == 1 and "time zone" in wrong.stderr and "cannot start" not in wrong.stderr
    assert "is set up. Sign in" in command(console, *asked, "Europe/Stockholm", typed="correct horse battery\n").stdout
    assert "set up already" in command(console, *asked, "Europe/Stockholm", typed="another password of hers\n").stdout

    link = command(console, "people", "reset-link", "--email", "alice@example.com")
    assert link.returncode == 0 and link.stdout.startswith(console.url + "/")
    assert command(console, "people", "reset-link", "--email", "bob@example.com").returncode == 1


def test_a_single_part_refuses_an_empty_database_and_a_missing_store(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance")
    secrets = {"SECRET_KEY": "5e7c1d9038fa64b2c3a95f17e80d62b4", "TOKEN_ENCRYPTION_KEY": (
        "1f8e3a6bd94c70a52c6d0f5b8e917a34a0b4e72d6c15f89397d3c8415e0fb62a")}
    console.environ |= secrets
    for part in ("web", "worker", "ticker"):
        refused = command(console, part)
        assert refused.returncode == 2 and "socialconsole upgrade" in refused.stderr, part
    assert command(console, "upgrade").returncode == 0
    assert (console.folder / "console.db").stat().st_mode & 0o777 == 0o600
    assert "store does not answer" in command(console, "worker").stderr


def test_check_shows_where_each_setting_comes_from_and_no_secret(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance", REDIS_URL="redis://:hush@localhost:1/0", SECRET_KEY="hush" * 3)
    shown = command(console, "check")
    assert shown.returncode == 2 and "hush" not in shown.stdout + shown.stderr
    assert console.url in shown.stdout and "(environment)" in shown.stdout and "(default)" in shown.stdout
    assert "SECRET_KEY is too short" in shown.stderr


def test_a_store_that_does_not_answer_stops_the_start_in_words(tmp_path: Path) -> None:
    console = Console(tmp_path / "instance", REDIS_URL="redis://127.0.0.1:1/0")
    refused = subprocess.run([*COMMAND, "run"], cwd=ROOT, env=console.environ, capture_output=True, text=True,
                             timeout=60)
    assert refused.returncode == 2 and "REDIS_URL" in refused.stderr and "Traceback" not in refused.stderr
    assert console.get("/healthz")[0] == 0
