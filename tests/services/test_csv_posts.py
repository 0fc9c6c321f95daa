"""Posts from a table: all rows or none, once however often somebody presses, on both kinds of database."""

import threading

import pytest
from sqlalchemy import event, func, select

from socialconsole import csv_posts, csv_text, posts
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import SUBMITTED, AuditEvent, Delivery, Post, Slot, User, Workspace

HEAD = "text,accounts,when\n"


def read(world, text, user=None):
    return csv_posts.read(world.workspace, user or world.alice, (HEAD + text).encode())


def count(kind):
    return db.session.scalar(select(func.count()).select_from(kind))


def test_a_row_that_cannot_be_written_takes_all_others_back(world, account):
    with writing() as session:
        session.add(Slot(workspace_id="wsp_1", weekday=0, wall="08:30"))
    sheet = read(world, "One,acme,2026-12-01 09:00\nTwo,acme,queue\n")
    assert sheet.faults == []
    with writing() as session:
        session.get_one(Workspace, "wsp_1").queue_paused_at = world.workspace.created_at
    with pytest.raises(posts.Invalid) as refused:
        csv_posts.write(world.workspace, world.alice, sheet)
    assert list(refused.value.errors) == ["row 3"]
    assert (count(Post), count(Delivery)) == (0, 0)
    assert not db.session.scalar(select(AuditEvent).where(AuditEvent.action == "posts.imported"))


def test_two_presses_at_the_same_moment_import_once(ground, world, account):
    plain = (HEAD + "".join(f"Post {number},acme,2026-12-01 09:0{number}\n" for number in range(5))).encode()
    made, start = [], threading.Barrier(3)

    def press():
        with ground.app_context():
            workspace, user = db.session.get_one(Workspace, "wsp_1"), db.session.get_one(User, "usr_a")
            sheet = csv_posts.read(workspace, user, plain)
            start.wait(20)
            made.append(csv_posts.write(workspace, user, sheet))
            db.session.remove()

    threads = [threading.Thread(target=press) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(made) == [0, 0, 5]
    db.session.rollback()
    assert (count(Post), count(Delivery)) == (5, 5)


def test_the_same_file_is_known_and_a_secret_imports_it_once_more(world, account):
    rows = "One,acme,2026-12-01 09:00\n"
    assert read(world, rows).earlier is None
    assert csv_posts.write(world.workspace, world.alice, read(world, rows)) == 1
    again = read(world, rows)
    assert again.earlier is not None and again.earlier.text == "One"
    assert csv_posts.write(world.workspace, world.alice, again) == 0
    assert [csv_posts.write(world.workspace, world.alice, again, again="secret") for _ in range(2)] == [1, 0]
    assert count(Post) == 2


def test_under_approval_all_rows_are_submitted(world, account):
    with writing() as session:
        session.get_one(Workspace, "wsp_1").needs_approval = True
    sheet = read(world, "One,acme,2026-12-01 09:00\nTwo,acme,2026-12-02 09:00\n", world.bob)
    assert [csv_posts.write(world.workspace, world.bob, sheet) for _ in range(2)] == [2, 0]
    assert set(db.session.scalars(select(Post.state))) == {SUBMITTED} and count(Delivery) == 0


def test_a_check_writes_nothing(world, account):
    with writing():
        before = count(AuditEvent)
    read(world, "One,acme,2026-12-01 09:00\n,nobody,x\n")
    assert (count(Post), count(AuditEvent)) == (0, before)


def test_an_export_reads_page_by_page_with_as_many_statements_each(world, account, post, monkeypatch):
    for number in range(7):
        post(f"Post {number}", minutes=number)
    ids = list(db.session.scalars(select(Post.id).order_by(Post.id)))
    seen: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *about: seen.append(about[2]))

    def pages(cursor):
        first = int(cursor or 0)
        return ids[first : first + 3], str(first + 3) if first + 3 < len(ids) else ""

    pieces = list(csv_posts.export(world.workspace, pages))
    assert len(pieces) == 1 + 3 and sum(one.count("\r\n") for one in pieces) == 1 + 7
    reads = [one for one in seen if one.lstrip().upper().startswith("SELECT")]
    assert len(reads) <= 3 * 2 + 1


def test_many_rows_for_the_queue_take_its_slots_in_order_with_one_walk(world, account, monkeypatch):
    with writing() as session:
        session.add_all(Slot(workspace_id="wsp_1", weekday=day, wall="08:30") for day in range(7))
    sheet = read(world, "".join(f"Post {number},acme,queue\n" for number in range(40)))
    walks, real = [], csv_posts.slots.occurrences
    monkeypatch.setattr(csv_posts.slots, "occurrences", lambda *given: walks.append(given) or real(*given))
    assert csv_posts.write(world.workspace, world.alice, sheet) == 40
    assert len(walks) == 1
    found = db.session.scalars(select(Post).order_by(Post.due_at)).all()
    assert [one.text for one in found] == [f"Post {number}" for number in range(40)]
    assert len({one.due_at for one in found}) == 40 and all(one.is_queued for one in found)
    assert {one.deliveries[0].due_at for one in found} == {one.due_at for one in found}


def test_more_profiles_than_can_be_judged_while_somebody_waits_are_refused_at_once(world, account, monkeypatch):
    monkeypatch.setattr(csv_posts, "MOST_SENDINGS", 2)
    rows = "".join(f"Post {number},acme,2026-12-01 09:0{number}\n" for number in range(3))
    with pytest.raises(csv_text.Unreadable, match="Split it into several files"):
        read(world, rows)
    assert read(world, rows.partition("Post 2")[0]).faults == []
