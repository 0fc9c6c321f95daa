"""The supervisor with tiny roles: order, back-off, and what does not stop by itself."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from socialconsole import processes
from socialconsole.supervisor import Role, Supervisor
from tests.running import until

pytestmark = pytest.mark.processes


class Diary:
    """A file that roles write one line each into, in the order in which things happen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def write(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{line} {time.monotonic()}\n")

    def lines(self) -> list[tuple[str, float]]:
        pairs = [line.rsplit(" ", 1) for line in self.path.read_text().splitlines()]
        return [(words, float(moment)) for words, moment in pairs]

    def words(self) -> list[str]:
        return [words for words, _ in self.lines()]

    def until_stopped(self, name: str) -> Callable[[], int]:
        """A role's body: says that it begins, waits for SIGTERM, says that it ends."""

        def body() -> int:
            stop = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            self.write(f"{name} begins")
            stop.wait()
            self.write(f"{name} ends")
            return 0

        return body


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


@pytest.fixture
def supervise() -> Iterator[Callable[..., int]]:
    started: list[int] = []

    def begin(*roles: Role) -> int:
        started.append(processes.fork(lambda: Supervisor(roles).run()))
        return started[-1]

    yield begin
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_roles_start_in_their_order_once_the_one_before_is_ready_and_stop_by_steps(
        diary: Diary, supervise: Callable[..., int]) -> None:
    store = Role("store", diary.until_stopped("store"), 2, 5, is_ready=lambda: "store begins" in diary.words())
    worker, web = Role("worker", diary.until_stopped("worker"), 1, 5), Role("web", diary.until_stopped("web"), 0, 5)
    pid = supervise(store, worker, web)
    until(lambda: len(diary.words()) == 3)
    assert diary.words()[0] == "store begins"
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 0
    assert diary.words()[3:] == ["web ends", "worker ends", "store ends"]


def test_what_dies_at_once_is_started_again_after_growing_pauses(diary: Diary, supervise: Callable[..., int]) -> None:
    def bad() -> int:
        diary.write("begins")
        return 3

    pid = supervise(Role("bad", bad, 0, 5))
    until(lambda: len(diary.lines()) == 4)
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 0
    moments = [moment for _, moment in diary.lines()]
    pauses = [after - before for before, after in zip(moments, moments[1:], strict=False)]
    assert pauses[0] >= 0.2 and pauses[1] >= 0.4 and pauses[2] >= 0.8


def test_what_does_not_stop_in_its_time_is_ended(diary: Diary, supervise: Callable[..., int]) -> None:
    def stubborn() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        diary.write("begins")
        threading.Event().wait()
        return 0

    pid = supervise(Role("stubborn", stubborn, 0, 0.3))
    until(lambda: diary.words() == ["begins"])
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 0


def test_the_children_are_out_of_reach_of_the_terminal(diary: Diary, supervise: Callable[..., int]) -> None:
    """Ctrl-C goes to the whole group of a terminal; the supervisor alone must hear it, to stop all in order."""
    def one() -> int:
        diary.write(f"{os.getpgid(0)}")
        return diary.until_stopped("one")()

    pid = supervise(Role("one", one, 0, 5))
    until(lambda: len(diary.words()) == 2)
    assert int(diary.words()[0]) != os.getpgid(pid)


def test_a_function_in_a_child_gives_its_value_or_its_trouble(capfd: pytest.CaptureFixture[str]) -> None:
    here = os.getpid()
    assert processes.in_child(lambda: {"same": os.getpid() == here}) == {"same": False}
    with pytest.raises(processes.ChildFailed, match="ZeroDivisionError"):
        processes.in_child(lambda: 1 // 0)
    with pytest.raises(processes.ChildFailed, match="killed"):
        processes.in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))
