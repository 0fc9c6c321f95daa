"""A console whose store is a server of its own that goes away: posts still go out, and nothing goes out twice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from socialconsole import config as settings
from socialconsole import processes, store
from tests import story
from tests.running import Console, until

pytestmark = pytest.mark.processes


class Store:
    """A store apart from the console that uses it."""

    def __init__(self, folder: Path) -> None:
        self.config = settings.read({"INSTANCE_PATH": str(folder)}, folder)
        self.pid = 0

    @property
    def address(self) -> str:
        return store.address(self.config)

    def start(self) -> None:
        self.pid = processes.fork(lambda: store.serve(self.config))
        assert store.wait(self.config, 10)

    def kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Store]:
    server = Store(tmp_path / "store")
    server.start()
    yield server
    server.kill()


def test_without_its_store_a_stand_in_publishes_and_ends_when_the_store_is_back(apart: Store, tmp_path: Path) -> None:
    console = Console(tmp_path / "instance", REDIS_URL=apart.address).start()
    try:
        console.set_up(story.EMAIL, story.PASSWORD)
        visitor = story.sign_in(console)
        story.set_up_platform(visitor, console, "twitter")
        story.connect(visitor, console, "X", "acme")
        apart.kill()
        story.compose(visitor, console, "No bell to ring", "acme")

        def texts() -> list[str]:
            return [post["text"] for post in console.control("GET", "/portal/api/posts?platform=twitter")]

        until(lambda: "No bell to ring" in texts(), 20, "a post without a store\n" + console.output())
        assert "stand-in" in console.output()
        apart.start()
        until(console.is_ready, 30, "all at work again")
        story.compose(visitor, console, "The bell rings again", "acme")
        until(lambda: "The bell rings again" in texts(), 20, "a post with the store back")
        assert sorted(texts()) == ["No bell to ring", "The bell rings again"]
    finally:
        console.stop()
