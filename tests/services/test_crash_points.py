"""A worker is killed at every commit and every call on the road of a delivery: it goes out once, and nobody forgets it.

First the points of a road are counted in a run that nobody disturbs, then each of them is played once more with the
worker dying right before or right after it. What the platform accepted is counted by the platform itself.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from socialconsole import heartbeat, publishing, tokens
from socialconsole.database import writing
from socialconsole.errors import OutcomeUnknown, TryLater
from socialconsole.extensions import db
from socialconsole.models import PREPARING, PUBLISHED, PUBLISHING, UNCONFIRMED, Delivery, Grant
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Located, Published
from socialconsole.providers.content import Sent, Wait
from tests.services.conftest import pair

ROUNDS = 14  # of a minute and a bit: far more than any road needs


class Killed(BaseException):
    """The process ends here, as with kill -9: nothing catches it, nothing is tidied up."""


@dataclass(kw_only=True)
class Mortal:
    """The points that a worker passes, the one of them at which it dies, and the one at which the next worker does."""

    passed: list[str] = field(default_factory=list)
    dies_at: int | None = None
    then_dies_at: int | None = None

    def point(self, name: str) -> None:
        """One place at which the worker may be killed."""
        if self.dies_at == len(self.passed):
            self.dies_at, self.then_dies_at = self.then_dies_at, None
            self.passed.append(name)
            raise Killed(name)
        self.passed.append(name)


def commits_may_kill(monkeypatch: pytest.MonkeyPatch, at: Sequence[Mortal]) -> None:
    """Make each commit two points of whoever is the last of `at`."""
    commit = Session.commit

    def mortal_commit(session: Session) -> None:
        counts = bool(at) and bool(session.info.get("writing"))
        if counts:
            at[-1].point("before a commit")
        commit(session)
        if counts:
            at[-1].point("after a commit")

    monkeypatch.setattr(Session, "commit", mortal_commit)


def bury() -> None:
    """What a dead process leaves of its session: nothing."""
    db.session.rollback()
    db.session.info.pop("writing", None)
    db.session.remove()


@dataclass
class Road(Mortal):
    """A platform that keeps its own account of what it accepted, and the points at which a worker may die."""

    proves_absence: bool = True
    prepares: bool = True  # its container says for sure that nothing was published
    answers: list[Any] = field(default_factory=list)  # to `publish`, once each; None: published
    waits: int = 0  # how often `check` says that it is not ready
    follows: int = 0  # how often `follow` says that it still works on it
    accepted: Counter[tuple[str, int]] = field(default_factory=Counter)

    def prepare(self, app: Any, token: str, draft: Any, progress: Any) -> None:
        self.point("before prepare")
        if not progress.get("container"):
            progress.keep(container=f"c{draft.part}")
        self.point("after prepare")

    def check(self, app: Any, token: str, draft: Any, progress: Any) -> Wait | None:
        self.point("before check")
        if self.waits:
            self.waits -= 1
            return Wait(timedelta(seconds=5))
        return None

    def publish(self, app: Any, token: str, draft: Any, progress: Any) -> Published | Sent:
        self.point("before publish")
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, TryLater):
            raise answer
        self.accepted[draft.text, draft.part] += 1
        self.point("after publish")
        if isinstance(answer, BaseException):
            raise answer
        return answer or Published(f"p{draft.part}")

    def follow(self, app: Any, token: str, draft: Any, progress: Any, sent: Sent) -> Published | Sent:
        self.point("before follow")
        if self.follows:
            self.follows -= 1
            return sent
        return Published(f"p{draft.part}")

    def locate(self, app: Any, token: str, draft: Any, progress: Any, at: Any) -> Published | Located:
        self.point("before locate")
        if self.accepted[draft.text, draft.part]:
            return Published(f"p{draft.part}")
        return Located.NOT_PUBLISHED if self.proves_absence else Located.NOT_FOUND


ROADS: dict[str, Callable[[], Road]] = {
    "straight": Road,
    "not ready at first": lambda: Road(waits=1),
    "refused at first": lambda: Road(answers=[TryLater("Down.")]),
    "accepted and followed": lambda: Road(answers=[Sent("s", again_in=timedelta(seconds=5))], follows=1),
    "no answer, then found": lambda: Road(answers=[OutcomeUnknown("X did not confirm.")]),
    "nothing proves absence": lambda: Road(proves_absence=False),
    "nothing to prepare": lambda: Road(prepares=False),
    "nothing to prepare, no answer": lambda: Road(prepares=False, answers=[OutcomeUnknown("X did not confirm.")]),
}


@pytest.fixture
def play(post: Callable[..., Delivery], platform: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Plays a road to its end, with the worker dying at one of its points: `play(road, "one", "two")`."""
    at: list[Road] = []
    x = PROVIDERS["twitter"]
    monkeypatch.setattr(type(x), "most_parts", 25)
    for step in ("prepare", "check", "publish", "follow", "locate"):
        monkeypatch.setattr(x, step, lambda *args, step=step: getattr(at[-1], step)(*args))
    monkeypatch.setattr(x, "prepares", lambda draft: at[-1].prepares)

    commits_may_kill(monkeypatch, at)
    number = iter(range(10_000))

    def play(road: Road, *parts: str) -> Delivery:
        delivery = post(f"{parts[0]} {next(number)}")
        if parts[1:]:
            with writing():
                delivery.post.content = {"parts": [{"text": one, "media": []} for one in parts[1:]]}
        row_id = delivery.id
        with writing():  # a clock that goes on for minutes must not end the token in between
            tokens.store(db.session.get_one(Grant, "grt_1"), pair(1, 10**6), clock())
        for _ in range(ROUNDS):
            at.append(road)
            try:
                publishing.deliver(row_id)
            except Killed:
                pass
            finally:
                at.clear()
                bury()
            clock.ahead(seconds=131)
            heartbeat.settle(clock(), lambda kind, ids: None)
            delivery = db.session.get_one(Delivery, row_id)
            assert delivery.state not in (PREPARING, PUBLISHING), "stuck beyond its lease and one sweep"
            if delivery.state == PUBLISHED or delivery.due_at is None:
                break
            clock.at = max(clock.at, delivery.due_at)
            assert row_id in heartbeat.due("deliver", 10, clock()), "nobody would ever ring for it"
            db.session.commit()
        return delivery

    return play


def _judge(road: Road, delivery: Delivery, parts: int, at: str) -> None:
    assert max(road.accepted.values(), default=0) <= 1, f"sent twice: {at}"
    if road.proves_absence:
        assert delivery.state == PUBLISHED, f"lost: {at}"
    else:
        assert delivery.state in (PUBLISHED, UNCONFIRMED), f"lost: {at}"
    if delivery.state == PUBLISHED:
        assert len(road.accepted) == parts == len(delivery.parts), at
        assert delivery.platform_post_id == "p0", at


@pytest.mark.parametrize("name", ROADS)
def test_killed_at_every_point_a_post_goes_out_once(name, play):
    whole = ROADS[name]()
    _judge(whole, play(whole, "one"), 1, "nowhere")
    for number in range(len(whole.passed)):
        road = ROADS[name]()
        road.dies_at = number
        delivery = play(road, "one")
        assert road.dies_at is None, "that point was never passed"
        _judge(road, delivery, 1, f"{whole.passed[number]} ({number})")


def test_killed_at_every_point_a_chain_goes_out_once_and_in_order(play):
    whole = Road()
    _judge(whole, play(whole, "one", "two"), 2, "nowhere")
    for number in range(len(whole.passed)):
        road = Road(dies_at=number)
        _judge(road, play(road, "one", "two"), 2, f"{whole.passed[number]} ({number})")


def test_the_roads_are_as_long_as_they_were(play):
    """A step that commits no more, or calls once more, would go untested."""
    road = Road()
    play(road, "one")
    calls = [one for one in road.passed if "commit" not in one]
    assert calls == ["before prepare", "after prepare", "before check", "before publish", "after publish"]
    assert road.passed.count("after a commit") == 5, "found not to be plain, claimed, kept, about to send, done"
    plain = Road(prepares=False)
    play(plain, "one")
    assert [one for one in plain.passed if "commit" not in one] == ["before publish", "after publish"]
    assert plain.passed.count("after a commit") == 2, "about to send, done"
