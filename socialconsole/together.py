"""Group commit: what many threads of a worker want written goes out in one transaction.

Sixteen threads that each begin, write two rows and commit spend most of their time waiting for one another: a SQLite
file has one writer, and every commit waits for the disk. Here they hand their writes to one thread, which runs all
that came meanwhile inside one `writing()`, rows that several of them need read only once, and tells each when the
commit is through. If one of them fails, all are undone and each is run again in a transaction of its own: nobody pays
for another.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from flask import Flask

from .database import is_trouble, writing
from .extensions import db

MOST = 32  # writes in one transaction: the lock is held for some ten milliseconds
# A database server lets several write at once, and answers each after a while: then a few threads commit, fewer each.
MOST_AT_A_SERVER, THREADS_AT_A_SERVER = 16, 2

Item = TypeVar("Item")
Value = TypeVar("Value")
_committers: list["Committer"] = []


def together(write: Callable[[], Value], order: str = "") -> Value:
    """What `write` returns once it is committed, along with whatever other threads want committed at this moment.

    `write` must return plain values, no rows, and bear being run again. `order`: the id of the row it is about; writes
    of one transaction run in the order of their ids, so that two workers never wait for each other's rows. Without a
    committer it is a `writing()` like any other. Raises what `write` raises, and the database's errors.
    """
    return at_once(_each, write, order)


def at_once(write: Callable[[list[Item]], Sequence[Value]], item: Item, order: str = "") -> Value:
    """As `together`, for what can be written for many items at once: what `write` returns for this one.

    `write` gets all items that are asked for with it at this moment, in their order, and returns as many values.
    """
    committer = next(iter(_committers), None)
    if committer is None or db.session.info.get("writing"):
        with writing():
            return write([item])[0]
    return committer.run(write, item, order)


def _each(writes: list[Callable[[], Value]]) -> list[Value]:
    return [write() for write in writes]


class Committer:
    """The thread that commits for all others of this process, from `start` to `stop`; a few of them at a server."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._is_closed = False
        with app.app_context():
            has_one_writer = db.engine.dialect.name == "sqlite"
        self._most = MOST if has_one_writer else MOST_AT_A_SERVER
        self._threads = [threading.Thread(target=self._work, name="committer", daemon=True)
                         for _ in range(1 if has_one_writer else THREADS_AT_A_SERVER)]

    def start(self) -> "Committer":
        """Begin to commit for this process."""
        for one in self._threads:
            one.start()
        _committers.append(self)
        return self

    def stop(self) -> None:
        """Commit what was asked for so far, and end; later writes commit by themselves."""
        with self._gate:
            self._is_closed = True
            for _ in self._threads:
                self._asked.put(None)
        if self in _committers:
            _committers.remove(self)
        for one in self._threads:
            one.join()

    def run(self, write: Callable[[list[Item]], Sequence[Value]], item: Item, order: str) -> Value:
        """What `write` returns for an item, once it is committed."""
        db.session.commit()  # the caller's own read transaction would only be in the way
        asked = _Asked(write, item, order)
        with self._gate:
            is_late = self._is_closed
            if not is_late:
                self._asked.put(asked)
        if is_late:
            self._alone(asked)
        value: Value = asked.answer.result()
        return value

    def _work(self) -> None:
        while True:
            some, is_over = self._next()
            try:
                self._commit(sorted(some, key=lambda asked: asked.order))
            except BaseException as error:  # nobody may wait for ever, and those who come later need this thread
                for one in some:
                    if not one.answer.done():
                        one.answer.set_exception(error)
            if is_over:
                return

    def _next(self) -> tuple[list["_Asked"], bool]:
        """What is asked for at this moment, and whether that was the last."""
        some: list[_Asked] = []
        one = self._asked.get()
        while one is not None:
            some.append(one)
            if len(some) == self._most:
                return some, False
            try:
                one = self._asked.get_nowait()
            except queue.Empty:
                return some, False
        return some, True

    def _commit(self, some: list["_Asked"]) -> None:
        if len(some) < 2:
            for one in some:
                self._alone(one)
            return
        answers: list[tuple[_Asked, Any]] = []
        try:
            with self._app.app_context():
                try:
                    with writing():
                        for write, asked in _by_write(some):
                            answers += zip(asked, write([one.item for one in asked]), strict=True)
                finally:
                    db.session.remove()
        except Exception as error:  # whose fault it was shows when each is alone
            for one in some:
                if answers or not is_trouble(error):
                    self._alone(one)
                else:  # the database is away for everybody
                    one.answer.set_exception(error)
            return
        for one, value in answers:
            one.answer.set_result(value)

    def _alone(self, one: "_Asked") -> None:
        with self._app.app_context():
            try:
                with writing():
                    value = one.write([one.item])[0]
            except BaseException as error:
                one.answer.set_exception(error)
            else:
                one.answer.set_result(value)
            finally:
                db.session.remove()


class _Asked:
    """One write, and where its answer goes."""

    def __init__(self, write: Callable[[list[Any]], Sequence[Any]], item: Any, order: str) -> None:
        self.write = write
        self.item = item
        self.order = order
        self.answer: Future[Any] = Future()


def _by_write(some: Sequence[_Asked]) -> list[tuple[Callable[[list[Any]], Sequence[Any]], list[_Asked]]]:
    """What is asked for, by the function that writes it, in the order in which they came."""
    found: dict[Callable[[list[Any]], Sequence[Any]], list[_Asked]] = {}
    for one in some:
        found.setdefault(one.write, []).append(one)
    return list(found.items())
