"""What a workspace may keep: counted in the commit that keeps it, so that nobody slips past a limit."""

import io
import threading
from datetime import timedelta

import pytest

from socialconsole import media, uploads
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import DRAFT, SUBMITTED, Media, Post, Upload, Workspace
from tests import made_files as made

PICTURE = made.picture("PNG", (60, 40), color="noise")


def limit(number):
    with writing() as session:
        session.get_one(Workspace, "wsp_1").storage_limit = number


def store(world, plain=PICTURE, name="bun.png", **options):
    return media.store(world.workspace, world.alice, io.BytesIO(plain), name, **options)


def test_files_and_uploads_under_way_count_and_other_workspaces_do_not(world, ground, clock):
    assert media.storage(world.workspace) == media.Storage(0, 20 * 1024**3)
    store(world)
    uploads.begin(world.workspace, world.alice, "film.mp4", 5000)
    done = uploads.begin(world.workspace, world.alice, "other.mp4", 7000)
    with writing() as session:
        session.get_one(Upload, done.id).refused = "No."
    media.store(world.other, world.alice, io.BytesIO(PICTURE), "x.png")
    assert media.storage(world.workspace).used == len(PICTURE) + 5000
    limit(2 * 1024**3)
    assert media.storage(world.workspace).limit == 2 * 1024**3
    object.__setattr__(ground.extensions["config"], "media_workspace_bytes", 1024**3)
    limit(None)
    assert media.storage(world.workspace).limit == 1024**3


def test_a_file_beyond_the_limit_leaves_nothing_behind(world):
    limit(len(PICTURE) + 10)
    store(world)
    with pytest.raises(media.Refused, match="this workspace is full"):
        store(world)
    assert db.session.query(Media).count() == 1
    assert len([one for one in media.folder().rglob("*") if one.is_file()]) == 1


def test_a_limit_lowered_below_what_is_kept_loses_nothing(world):
    store(world)
    limit(10)
    room = media.storage(world.workspace)
    assert room.left == 0 and room.used == len(PICTURE) and db.session.query(Media).count() == 1


def test_of_two_files_at_once_the_last_room_holds_one(world, ground):
    limit(len(PICTURE) + 100)
    both, said = threading.Barrier(2), []
    keep = media._write_row

    def together(*args):
        both.wait(10)
        return keep(*args)

    def one():
        with ground.app_context():
            try:
                workspace, user = db.session.get_one(Workspace, "wsp_1"), db.session.get_one(type(world.alice), "usr_a")
                media.store(workspace, user, io.BytesIO(PICTURE), "bun.png")
                said.append("kept")
            except media.Refused:
                said.append("refused")
            finally:
                db.session.remove()

    patch = pytest.MonkeyPatch()
    patch.setattr(media, "_write_row", together)
    db.session.commit()
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    patch.undo()
    assert sorted(said) == ["kept", "refused"]
    assert db.session.query(Media).count() == 1


def test_an_upload_that_ends_takes_its_room_once(world):
    limit(len(PICTURE) + 10)
    upload = uploads.begin(world.workspace, world.alice, "bun.png", len(PICTURE))
    uploads.receive(upload, 0, io.BytesIO(PICTURE))
    uploads.finish(upload.id)
    assert db.session.get_one(Upload, upload.id, populate_existing=True).media_id
    assert media.storage(world.workspace).used == len(PICTURE)


def test_two_that_finish_one_upload_make_one_file(world, monkeypatch):
    upload = uploads.begin(world.workspace, world.alice, "bun.png", len(PICTURE))
    uploads.receive(upload, 0, io.BytesIO(PICTURE))
    join = uploads._join

    def slow(row, part):
        join(row, part)
        monkeypatch.setattr(uploads, "_join", join)
        monkeypatch.setattr(uploads, "LOOK", timedelta(seconds=-1))  # the other believes that this one ended
        uploads.finish(row.id)

    monkeypatch.setattr(uploads, "_join", slow)
    uploads.finish(upload.id)
    assert db.session.query(Media).count() == 1
    assert len([one for one in media.folder().rglob("*") if one.is_file()]) == 1


@pytest.mark.parametrize("state", [DRAFT, SUBMITTED])
def test_what_is_not_sent_yet_needs_its_files(world, clock, state):
    stored = store(world)
    with writing() as session:
        session.add(Post(id="pst_1", workspace_id="wsp_1", text="Buns", state=state, form_nonce="1",
                         created_at=clock()))
        session.flush()
        media.use(world.workspace, "pst_1", [stored.id], clock())
    with pytest.raises(media.StillNeeded) as refused:
        media.delete(stored, world.alice)
    assert [one.id for one in refused.value.posts] == ["pst_1"]
    assert media.tidy(clock() + timedelta(days=9)) == 0


def test_kept_files_outlive_the_day(world, clock):
    kept = store(world, kept=True).id
    store(world)
    assert media.tidy(clock() + timedelta(days=2)) == 1
    assert [one.id for one in db.session.query(Media)] == [kept]
