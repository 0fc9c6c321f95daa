"""Group commit: many threads' writes in one transaction, and nobody pays for another's failure."""

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from socialconsole.database import OpenTransaction, change, writing
from socialconsole.extensions import db
from socialconsole.models import Workspace
from socialconsole.together import Committer, together


@pytest.fixture
def committer(ground):
    made = Committer(ground).start()
    yield made
    made.stop()


@pytest.fixture
def commits(ground):
    """How many transactions were committed."""
    seen = []

    def note(_connection):
        seen.append(1)

    event.listen(db.engine, "commit", note)
    yield seen
    event.remove(db.engine, "commit", note)


def name_it(workspace_id, name):
    return lambda: change(db.session.get_one(Workspace, workspace_id), name=name) or name


def side_by_side(ground, *writes):
    """Run writes in as many threads, all of them asked for before the first is begun."""
    gate = threading.Barrier(len(writes))

    def one(write):
        with ground.app_context():
            gate.wait(10)
            try:
                return together(write)
            except Exception as error:
                return error
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(writes)) as pool:
        return list(pool.map(one, writes))


def names():
    db.session.expire_all()
    found = {one.id: one.name for one in db.session.query(Workspace)}
    db.session.commit()
    return found


def test_without_a_committer_it_is_a_transaction_like_any_other(world):
    assert together(name_it("wsp_1", "Alone")) == "Alone" and names()["wsp_1"] == "Alone"


def test_many_writes_share_a_commit(world, ground, committer, commits):
    if db.engine.dialect.name != "sqlite":
        pytest.skip("at a server several threads commit")
    hold, go = threading.Event(), threading.Event()

    def first():
        hold.set()
        go.wait(10)
        return "first"

    with ThreadPoolExecutor(9) as pool:
        def ask(write):
            with ground.app_context():
                try:
                    return together(write)
                finally:
                    db.session.remove()

        waiting = pool.submit(ask, first)
        assert hold.wait(10)
        asked = [pool.submit(ask, name_it("wsp_2", f"Name {number}")) for number in range(8)]
        while committer._asked.qsize() < 8:
            pass
        commits.clear()
        go.set()
        assert [one.result(10) for one in asked] == [f"Name {number}" for number in range(8)]
        assert waiting.result(10) == "first"
    assert len([1 for _ in commits]) <= 4, "eight writes, one transaction for them"
    assert names()["wsp_2"].startswith("Name ")


def test_more_than_fit_into_one_transaction_are_all_answered(world, ground, committer):
    named = [name_it("wsp_2", f"Name {number}") for number in range(100)]
    assert side_by_side(ground, *named) == [f"Name {number}" for number in range(100)]


def test_one_that_fails_takes_nobody_along_and_leaves_nothing(world, ground, committer):
    def fails():
        change(db.session.get_one(Workspace, "wsp_2"), name="Half written")
        raise ZeroDivisionError

    good = side_by_side(ground, name_it("wsp_1", "Good"), fails, fails)
    assert good[0] == "Good" and [type(one) for one in good[1:]] == [ZeroDivisionError] * 2
    assert names() == {"wsp_1": "Good", "wsp_2": "Linden Cycles"}


def test_an_answer_comes_only_after_the_commit(world, ground, committer, monkeypatch):
    real = Session.commit

    def commit(self):
        if self.info.get("writing"):
            raise OperationalError("COMMIT", {}, Exception("disk is full"))
        real(self)

    monkeypatch.setattr(Session, "commit", commit)
    assert isinstance(side_by_side(ground, name_it("wsp_1", "Never"))[0], OperationalError)
    monkeypatch.undo()
    assert names()["wsp_1"] == "Harbour Bakery"


def test_after_its_end_writes_commit_by_themselves(world, ground):
    made = Committer(ground).start()
    made.stop()
    assert together(name_it("wsp_1", "Later")) == "Later" and names()["wsp_1"] == "Later"
    assert made.run(lambda some: [one() for one in some], name_it("wsp_1", "Too late for it"), "") == "Too late for it"


def test_a_column_is_changed_only_inside_writing(world):
    one = db.session.get_one(Workspace, "wsp_1")
    with pytest.raises(OpenTransaction):
        change(one, name="Sneaked in")


def test_a_changed_column_leaves_pending_changes_alone(world):
    with writing():
        one = db.session.get_one(Workspace, "wsp_1", populate_existing=True)
        one.time_zone = "UTC"
        change(one, name="Both")
    db.session.expire_all()
    assert (db.session.get_one(Workspace, "wsp_1").name, db.session.get_one(Workspace, "wsp_1").time_zone) == (
        "Both", "UTC")


def test_a_new_row_gets_its_columns_as_attributes(world, clock):
    with writing() as session:
        made = Workspace(id="wsp_3", name="", created_at=clock())
        change(made, name="New")
        session.add(made)
    assert names()["wsp_3"] == "New"


def test_others_see_a_turn_that_was_not_handed_on_only_as_a_pause(world, ground):
    """The turn is a courtesy: a writer that stands still with it stops nobody for long."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("only a SQLite file has turns")
    handle = os.open(f"{db.engine.url.database}-turn", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with writing() as session:
            session.execute(update(Workspace).where(Workspace.id == "wsp_1").values(name="Went ahead"))
    finally:
        os.close(handle)
    assert names()["wsp_1"] == "Went ahead"
