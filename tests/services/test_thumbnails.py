"""Thumbnails: made by a worker, of videos in a process with bounds; the web decodes no video and loads no decoder."""

import io
import os
import subprocess
import sys
import time
from datetime import timedelta
from fractions import Fraction

import av
import pytest
from PIL import Image

from socialconsole import jobs, media, thumbnails, ticker, uploads
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Media, Upload
from tests import made_files as made


def film(path, seconds=2, size=(64, 48), rotate=0):
    """A real video: red for its first half second, then green."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for number in range(seconds * 10):
            image = Image.new("RGB", size, "red" if number < 5 else "green")
            for packet in stream.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path.read_bytes()


def store(world, plain, name):
    return media.store(world.workspace, world.alice, io.BytesIO(plain), name)


def again(stored):
    return db.session.get_one(Media, stored.id, populate_existing=True)


def test_a_worker_shows_a_frame_of_a_video(world, tmp_path):
    stored = store(world, film(tmp_path / "film.mp4"), "film.mp4")
    assert not media.has_thumbnail(stored) and media.thumbnail(stored) is None, "the web decodes no video"
    assert thumbnails.waiting() == [stored.id]
    thumbnails.make(stored.id)
    stored = again(stored)
    path = media.thumbnail(stored)
    assert stored.thumbnail_at is not None and path is not None and thumbnails.waiting() == []
    with Image.open(path) as image:
        red, green, blue = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
        assert image.size == (64, 48) and green > 90 and red < 60 and blue < 60, "the frame at a second, not the first"


@pytest.mark.parametrize(("kind", "plain"), [
    ("picture", made.picture("PNG", (900, 600))), ("gif", made.gif(3, (900, 600)))])
def test_pictures_get_one_too(world, kind, plain):
    stored = store(world, plain, kind)
    thumbnails.make(stored.id)
    path = media.folder() / media.thumbnail_key(stored)
    with Image.open(path) as image:
        assert image.format == "JPEG" and max(image.size) == 320
    assert again(stored).thumbnail_at is not None


def test_a_document_has_none_and_waits_for_none(world):
    stored = store(world, made.pdf(1), "a.pdf")
    assert thumbnails.waiting() == [] and not media.has_thumbnail(stored)


def test_what_cannot_be_shown_is_noted_and_asked_no_more(world):
    stored = store(world, made.mp4(), "tables.mp4")  # the tables of a video, and no frame
    thumbnails.make(stored.id)
    stored = again(stored)
    assert stored.thumbnail_at is not None and stored.facts[media.NO_PICTURE] is True
    assert not media.has_thumbnail(stored) and thumbnails.waiting() == []


def test_a_video_that_takes_for_ever_is_given_up(world, monkeypatch, tmp_path):
    program = tmp_path / "slow.py"
    program.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(thumbnails, "PROGRAM", program)
    monkeypatch.setattr(thumbnails, "SECONDS", 0.3)
    stored = store(world, made.mp4(), "slow.mp4")
    began = time.monotonic()
    thumbnails.make(stored.id)
    assert time.monotonic() - began < 10 and again(stored).facts[media.NO_PICTURE] is True


def test_a_file_that_ends_its_worker_is_given_up_after_a_few_looks(world, monkeypatch):
    stored = store(world, made.mp4(), "bomb.mp4")

    def killed(_):
        raise SystemExit(9)

    monkeypatch.setattr(thumbnails, "_small", killed)
    for _ in range(thumbnails.MOST_LOOKS):
        with pytest.raises(SystemExit):
            thumbnails.make(stored.id)
        assert thumbnails.waiting() == [stored.id]
    thumbnails.make(stored.id)
    assert thumbnails.waiting() == [] and again(stored).facts[media.NO_PICTURE] is True


def test_the_program_has_bounds_of_memory_and_time(tmp_path):
    probe = ("import resource, sys\nfrom socialconsole import video_frame as v\n"
             "try: v.small(sys.argv[1], 'mov', 320)\nexcept Exception: pass\n"
             "print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])")
    broken = tmp_path / "x.mp4"
    broken.write_bytes(made.mp4())
    said = subprocess.run([sys.executable, "-c", probe, str(broken)], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(1536 * 1024**2), "20"]


def test_neither_web_nor_worker_loads_the_decoder():
    said = subprocess.run(
        [sys.executable, "-c", "import sys, socialconsole, socialconsole.jobs, socialconsole.roles\n"
         "print('av' in sys.modules, 'socialconsole.thumbnails' in sys.modules)"],
        capture_output=True, text=True, check=True, env={**os.environ}).stdout
    assert said.split() == ["False", "True"]


# ---------------------------------------------------------------- who calls the worker


def test_the_ticker_rings_for_each_file_once_a_minute(world, clock, monkeypatch):
    stored = store(world, made.mp4(), "film.mp4")
    with writing() as session:
        session.add(Upload(id="upl_1", workspace_id="wsp_1", user_id="usr_a", name="x", size=5, received=5,
                           created_at=clock(), touched_at=clock()))
    rung, files = [], []
    files.append(ticker.Files(lambda kind, ids: rung.append((kind, ids))))
    files[0].beat(clock())
    assert sorted(rung) == [("prepare", [stored.id]), ("prepare", ["upl_1"])]
    files[0].beat(clock())
    assert len(rung) == 2
    monkeypatch.setattr(ticker, "RUNG_FOR", 0.0)
    files[0].beat(clock() + timedelta(minutes=1))
    assert len(rung) == 4


def test_the_job_tells_uploads_from_files(ground, monkeypatch):
    asked = []
    jobs.use_app(ground)
    monkeypatch.setattr(uploads, "finish", lambda one: asked.append(("upload", one)))
    monkeypatch.setattr(thumbnails, "make", lambda one: asked.append(("file", one)))
    jobs.prepare(["upl_1", "med_1"])
    assert asked == [("upload", "upl_1"), ("file", "med_1")]
