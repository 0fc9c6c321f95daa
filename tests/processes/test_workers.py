"""Workers: only our own jobs run, a horse dies with its worker, a stop lets the job at hand end."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from socialconsole import config as settings
from socialconsole import jobs, processes, store, workers
from socialconsole.config import Config
from tests.running import until

pytestmark = pytest.mark.processes


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return settings.read({"INSTANCE_PATH": str(tmp_path / "instance")}, tmp_path)


@pytest.fixture
def client(config: Config) -> Iterator[redis.Redis]:
    server = processes.fork(lambda: store.serve(config))
    assert store.wait(config, 10)
    yield store.connect(config)
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)


@pytest.fixture
def work(config: Config) -> Iterator[Callable[..., int]]:
    """Start a worker whose `deliver` is the given function."""
    started: list[int] = []

    def begin(deliver: Callable[[list[str]], None]) -> int:
        def body() -> int:
            setattr(jobs, "deliver", deliver)  # noqa: B010  (in the child alone; a plain assignment changes its type)
            app: Any = SimpleNamespace(extensions={"config": config})
            return workers.run_worker(app, 1)

        started.append(processes.fork(body))
        return started[-1]

    yield begin
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def hold(folder: Path) -> Callable[[list[str]], None]:
    """A job that says who it is and then waits until a file `go` appears."""

    def deliver(ids: list[str]) -> None:
        (folder / "horse.part").write_text(str(os.getpid()))
        (folder / "horse.part").rename(folder / "horse")
        until((folder / "go").exists, 60)
        (folder / "done").write_text(ids[0])

    return deliver


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def failed(client: redis.Redis) -> int:
    return int(workers.queue(client, "publish").failed_job_registry.count)


def test_a_job_of_ours_runs_and_leaves_nothing_in_the_store(
        client: redis.Redis, work: Callable[..., int], tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    work(hold(tmp_path))
    workers.enqueue(client, "deliver", ["dlv_1"])
    until((tmp_path / "done").exists, 15, "the job runs")
    assert (tmp_path / "done").read_text() == "dlv_1"
    until(lambda: not list(client.scan_iter("rq:job:*")), 5, "the finished job is gone")


@pytest.mark.parametrize("fields", [
    {"data": ["os.system", None, ["touch {mark}"], {}]},
    {"data": ["socialconsole.jobs.use_app", None, [["x"]], {}]},
    {"data": ["socialconsole.jobs.deliver", None, [["x"], "more"], {}]},
    {"data": ["socialconsole.jobs.deliver", None, [["x"]], {}], "success_callback_name": "os.mkdir"},
])
def test_a_job_that_names_anything_else_does_not_run_it(
        client: redis.Redis, work: Callable[..., int], tmp_path: Path, fields: dict[str, Any]) -> None:
    """Whoever can write to the store writes a job by hand, past our own `enqueue`."""
    mark = tmp_path / "mark"
    name, instance, arguments, options = fields["data"]
    arguments = [each.format(mark=mark) if isinstance(each, str) else each for each in arguments]
    job = Job.create("socialconsole.jobs.deliver", connection=client, serializer=JSONSerializer, timeout=30)
    job.data = JSONSerializer.dumps([name, instance, arguments, options])
    if "success_callback_name" in fields:
        job._success_callback_name = fields["success_callback_name"]
    workers.queue(client, "publish")._enqueue_job(job)

    work(lambda ids: None)
    if "success_callback_name" in fields:
        finished = workers.queue(client, "publish").finished_job_registry
        until(lambda: finished.count + failed(client), 15, "the job ends")
        assert failed(client) == 0, "its callback was heeded"
    else:
        until(lambda: failed(client) == 1, 15, "the job is refused")
    assert not mark.exists()


def test_the_horse_of_a_killed_worker_dies_with_it(
        client: redis.Redis, work: Callable[..., int], tmp_path: Path) -> None:
    worker = work(hold(tmp_path))
    workers.enqueue(client, "deliver", ["dlv_1"])
    until((tmp_path / "horse").exists, 15, "the job begins")
    horse = int((tmp_path / "horse").read_text())
    assert horse != worker and is_alive(horse)
    os.kill(worker, signal.SIGKILL)
    until(lambda: not is_alive(horse), 5, "the horse is gone")


def test_a_stopped_worker_ends_the_job_at_hand_first(
        client: redis.Redis, work: Callable[..., int], tmp_path: Path) -> None:
    worker = work(hold(tmp_path))
    workers.enqueue(client, "deliver", ["dlv_1"])
    until((tmp_path / "horse").exists, 15, "the job begins")
    os.kill(worker, signal.SIGTERM)
    (tmp_path / "go").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    assert (tmp_path / "done").exists()


def test_a_stopped_worker_tells_the_pump_at_hand_to_begin_nothing_new(
        client: redis.Redis, work: Callable[..., int], tmp_path: Path) -> None:
    def pump(ids: list[str]) -> None:
        (tmp_path / "begun").touch()
        until(jobs.is_stopped, 30)
        (tmp_path / "told").touch()

    worker = work(pump)
    workers.enqueue(client, "deliver", ["dlv_1"])
    until((tmp_path / "begun").exists, 15, "the pump runs")
    os.kill(worker, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    assert (tmp_path / "told").exists()


def test_work_at_hand_goes_on_while_the_store_is_away(
        config: Config, work: Callable[..., int], tmp_path: Path) -> None:
    server = processes.fork(lambda: store.serve(config))
    assert store.wait(config, 10)
    work(hold(tmp_path))
    workers.enqueue(store.connect(config), "deliver", ["dlv_1"])
    until((tmp_path / "horse").exists, 15, "the job begins")
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    # Its worker tells the store every five seconds that it lives; it must outlive that this cannot be told.
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 6, 10)
    assert is_alive(int((tmp_path / "horse").read_text()))
    (tmp_path / "go").touch()
    until((tmp_path / "done").exists, 10, "the job at hand is finished")


def test_enough_wake_up_calls_are_enough(client: redis.Redis) -> None:
    for _ in range(workers.ENOUGH_JOBS):
        assert not workers.is_awake(client, "deliver")
        workers.enqueue(client, "deliver", ["dlv_1"])
    assert workers.is_awake(client, "deliver") and not workers.is_awake(client, "refresh")


def test_odd_workers_publish_first_and_even_ones_renew_first_and_take_long_uploads() -> None:
    assert workers.queue_order(1) == ("publish", "refresh")
    assert workers.queue_order(2) == ("refresh", "publish", "uploads")


def test_a_worker_that_is_alone_does_everything() -> None:
    assert workers.queue_order(1, of=1) == ("publish", "refresh", "uploads")


def test_a_worker_without_a_store_ends_instead_of_waiting_for_ever(config: Config, work: Callable[..., int]) -> None:
    worker = work(lambda ids: None)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 1
