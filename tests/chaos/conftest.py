"""One real console for the proofs of this folder, with X connected."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from socialconsole import config as settings
from socialconsole import create_app
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Delivery
from tests import story
from tests.running import Console, until
from tests.visitor import Visitor


@dataclass
class Running:
    """A console at work, a signed-in owner, and a way to look into its database."""

    console: Console
    visitor: Visitor

    def __post_init__(self) -> None:
        self.app = create_app(settings.read(self.console.environ))

    def delivery(self, post_url: str) -> Delivery:
        """The delivery of a post as it stands now."""
        with self.app.app_context():
            db.session.expire_all()
            found = db.session.query(Delivery).filter(Delivery.post_id == post_url.rsplit("/", 1)[1]).one()
            db.session.expunge(found)
            return found

    def time_passes(self, post_url: str) -> None:
        """As if leases had run out and the next look were due."""
        with self.app.app_context(), writing() as session:
            for one in session.query(Delivery).filter(Delivery.post_id == post_url.rsplit("/", 1)[1]):
                if one.lease_until is not None:
                    one.lease_until = one.post.created_at
                if one.due_at is not None:
                    one.due_at = one.post.created_at

    def posts(self) -> list[str]:
        """The texts on X's timeline."""
        return [post["text"] for post in self.console.control("GET", "/portal/api/posts?platform=twitter")]

    def wait_for_state(self, post_url: str, *states: str, seconds: float = 30) -> Delivery:
        """Wait until the delivery is in one of these states."""
        until(lambda: self.delivery(post_url).state in states, seconds, f"{states} of {post_url}")
        return self.delivery(post_url)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A console with @acme connected."""
    folder: Path = tmp_path_factory.mktemp("chaos")
    console = Console(folder / "instance").start()
    try:
        console.set_up(story.EMAIL, story.PASSWORD)
        visitor = story.sign_in(console)
        story.set_up_platform(visitor, console, "twitter")
        story.connect(visitor, console, "X", "acme")
        yield Running(console, visitor)
    finally:
        console.stop()
