"""Files in an S3-compatible store: seen by every host, whole or not at all, and gone when nobody needs them."""

import hashlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from socialconsole import cli, media, media_s3, media_store, previews
from socialconsole import config as settings
from socialconsole.database import writing
from socialconsole.errors import TryLater
from socialconsole.extensions import db
from socialconsole.models import PROCESSING, Account, AuditEvent, Delivery, Media, Post, User, Workspace
from socialconsole.providers.content import Format, ImageRule
from tests import made_files as made
from tests import s3_double
from tests.cast import make_cast

JPEG_ONLY = Format("image", "Picture", ("image",), image=ImageRule(types=("image/jpeg",)))


@pytest.fixture
def bucket(tmp_path):
    with s3_double.running(tmp_path / "s3") as double:
        yield double


@pytest.fixture
def host(console, configured, bucket):
    """Makes hosts: each an app with an instance folder of its own, all with the first one's database."""
    first = []

    def make(**more):
        given = bucket.settings(**more)
        if first:
            given["DATABASE_URL"] = first[0].config["SQLALCHEMY_DATABASE_URI"]
        app = console(**given)
        if not first:
            with app.app_context():
                make_cast()
        first.append(app)
        return app

    return make


@pytest.fixture
def here(host, bucket):
    """The bakery and Alice on one host, inside its context."""
    app = host()
    with app.app_context():
        yield world(app, bucket)


def world(app, bucket):
    return SimpleNamespace(app=app, bucket=bucket, store=app.extensions["media_store"],
                           bakery=db.session.get_one(Workspace, "wsp_bakery"),
                           alice=db.session.get_one(User, "usr_alice"))


def keep(here, plain=b"", name="bun.jpg"):
    return media.store(here.bakery, here.alice, io.BytesIO(plain or made.picture()), name)


def key(stored, prefix="media/"):
    return f"{prefix}{stored.workspace_id}/{stored.id}"


def delivering(here, *ids, lease=None):
    now = datetime.now(UTC)
    with writing() as session:
        account = Account(workspace_id="wsp_bakery", platform="twitter", platform_user_id="42", state_since=now,
                          connected_at=now)
        post = Post(id="pst_bun", workspace_id="wsp_bakery", text="Buns", due_at=now, form_nonce="1", created_at=now)
        made_one = Delivery(id="dlv_bun", workspace_id="wsp_bakery", post=post, account=account, state=PROCESSING,
                            scheduled_for=now, lease_until=lease)
        session.add_all((account, post, made_one))
        session.flush()
        media.use(here.bakery, post.id, ids, now)
    return made_one


def there(bucket):
    """The files in the bucket: everything but the name of the console."""
    return sorted(set(bucket.objects) - {"media/console"})


def cached(here):
    folder = here.store.folder
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------- keeping


def test_an_upload_lies_whole_in_the_bucket_before_its_row_is_committed(here, monkeypatch):
    plain, seen = made.picture("PNG"), []
    record = media.audit.record
    monkeypatch.setattr(media.audit, "record", lambda *given, **more: seen.append(there(here.bucket)) or
                        record(*given, **more))
    stored = keep(here, plain)
    assert seen == [[key(stored)]]
    found = here.bucket.objects[key(stored)]
    assert found.path.read_bytes() == plain and found.meta["x-amz-meta-sha256"] == stored.sha256
    assert cached(here) == [f"wsp_bakery/{stored.id}"]
    assert not (here.app.extensions["config"].media_folder / stored.workspace_id).exists()


def test_a_large_file_goes_up_in_parts_and_comes_down_in_constant_memory(here, tmp_path):
    part, size = tmp_path / "film", 80 * 1024 * 1024 + 3
    with part.open("wb") as out:
        out.truncate(size)
        out.seek(50_000_000)
        out.write(b"in the middle")
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    tracemalloc.start()
    try:
        here.store.put("wsp_bakery/med_FILM", part, digest)
        (here.store.folder / "wsp_bakery/med_FILM").unlink()
        path = here.store.local("wsp_bakery/med_FILM", size, digest)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == size and peak < 40 * 1024 * 1024
    assert here.bucket.largest_body == media_s3.PART and not here.bucket.uploads
    assert here.bucket.objects["media/wsp_bakery/med_FILM"].etag.endswith("-11")


@pytest.mark.parametrize(("how", "method"), [("503", "PUT"), ("cut", "PUT"), ("503", "HEAD")])
def test_a_storage_that_is_away_refuses_the_file_in_words_and_leaves_no_row(here, how, method):
    here.bucket.fail(how, method)
    with pytest.raises(media.Refused, match=r"bun\.jpg was not kept\. The console's storage for files cannot be used"):
        keep(here)
    assert db.session.query(Media).count() == db.session.query(AuditEvent).filter_by(action="media.stored").count() == 0
    assert cached(here) == []


def test_a_short_trouble_is_not_even_noticed(here):
    here.bucket.fail("503", "PUT", times=1)
    here.bucket.fail("cut", "PUT", times=1)
    assert key(keep(here)) in here.bucket.objects


def test_an_upload_broken_off_in_the_middle_leaves_no_object_and_no_upload(here, tmp_path):
    part = tmp_path / "film"
    with part.open("wb") as out:
        out.truncate(20 * 1024 * 1024)
    here.bucket.fail("503", "PUT", "partNumber=2")
    with pytest.raises(media_store.Unavailable):
        here.store.put("wsp_bakery/med_FILM", part, "")
    assert not here.bucket.objects and not here.bucket.uploads


def test_bytes_without_a_row_go_at_once_where_the_row_surely_is_not_there(here, monkeypatch):
    monkeypatch.setattr(media.audit, "record", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keep(here)
    assert there(here.bucket) == [] and cached(here) == []


# ---------------------------------------------------------------- handing out


def test_another_host_has_the_file_and_checks_it(host, bucket):
    with host().app_context() as one:
        stored = keep(world(one.app, bucket))
    with host().app_context() as two:
        other = world(two.app, bucket)
        assert cached(other) == []
        found = media.here(media.file_of(db.session.get_one(Media, stored.id)))
        assert hashlib.sha256(found.path.read_bytes()).hexdigest() == stored.sha256
        assert found.path.stat().st_mode & 0o777 == 0o600 and cached(other) == [f"wsp_bakery/{stored.id}"]
        assert media.thumbnail(db.session.get_one(Media, stored.id)) is not None


def test_a_copy_that_is_here_asks_nobody(here):
    stored = keep(here)
    here.bucket.calls.clear()
    assert media.here(media.file_of(stored)).path == media.path_of(stored) and here.bucket.calls == []


@pytest.mark.parametrize("how", ["cut", "503"])
def test_a_storage_that_breaks_off_while_publishing_means_later_and_leaves_no_half_file(here, how):
    stored = keep(here, made.picture("PNG", (600, 600), color="noise"))
    media.path_of(stored).unlink()
    here.bucket.fail(how, "GET")
    with pytest.raises(TryLater) as later:
        media.adapted(media.file_of(stored), JPEG_ONLY)
    assert later.value.code == "media_storage" and cached(here) == []
    here.bucket.well()
    assert media.adapted(media.file_of(stored), JPEG_ONLY).type == "image/jpeg"


def test_spoilt_bytes_are_never_used(here):
    stored = keep(here)
    media.path_of(stored).unlink()
    here.bucket.spoil(key(stored))
    with pytest.raises(media_store.Unavailable) as away:
        media.here(media.file_of(stored))
    assert "gave other bytes" in away.value.why and cached(here) == []


def test_an_object_that_was_lost_is_said_so(here):
    stored = keep(here)
    media.path_of(stored).unlink()
    here.bucket.lose(key(stored))
    with pytest.raises(media.Refused, match="Upload it once more"):
        media.here(media.file_of(stored))
    assert media.thumbnail(stored) is None


def test_what_is_too_slow_is_given_up(here, monkeypatch):
    stored = keep(here, made.picture("PNG", (900, 900), color="noise"))
    media.path_of(stored).unlink()
    monkeypatch.setattr(media_s3, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(media_s3, "SLOWEST", 1e9)
    here.bucket.fail("slow", "GET")
    with pytest.raises(media_store.Unavailable) as away:
        media.here(media.file_of(stored))
    assert "does not answer in time" in away.value.why and cached(here) == []


def test_many_who_ask_at_once_fetch_it_once(here):
    stored = keep(here)
    media.path_of(stored).unlink()
    here.bucket.calls.clear()
    here.bucket.fail("slow", "GET")
    name, found = f"wsp_bakery/{stored.id}", []
    threads = [threading.Thread(target=lambda: found.append(here.store.local(name, stored.size, stored.sha256)))
               for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8 and sum(call.startswith("GET") for call in here.bucket.calls) == 1


def test_whoever_waits_for_a_file_says_now_and_then_that_it_lives(here, monkeypatch):
    stored, ticks = keep(here), []
    media.path_of(stored).unlink()
    monkeypatch.setattr(media_s3, "TICK_SECONDS", 0.0)
    media.here(media.file_of(stored), lambda: ticks.append(1))
    assert ticks


def test_files_from_before_the_storage_was_set_are_found_in_the_folder(here):
    stored = keep(here)
    old = here.app.extensions["config"].media_folder / key(stored, "")
    old.parent.mkdir(parents=True)
    shutil.move(media.path_of(stored), old)
    here.bucket.lose(key(stored))
    assert media.here(media.file_of(stored)).path == old


def test_a_picture_behind_a_link_stays_on_this_host(here, monkeypatch):
    image = previews._kept(made.picture("PNG"), "https://bakery.example/bun.png")
    here.bucket.calls.clear()
    assert image is not None and media.adapted(image, JPEG_ONLY).type == "image/jpeg" and here.bucket.calls == []


# ---------------------------------------------------------------- addresses for platforms


def test_the_web_of_another_host_serves_what_a_worker_prepared_with_ranges(host, bucket):
    with host().app_context() as one:
        here = world(one.app, bucket)
        stored = keep(here, made.picture("PNG", (300, 200), color="noise"))
        delivery = delivering(here, stored.id)
        plain = media.linked(delivery.id, media.here(media.file_of(stored)))
        copy = media.linked(delivery.id, media.adapted(media.file_of(stored), JPEG_ONLY))
        wanted = {plain.public_url: plain.path.read_bytes(), copy.public_url: copy.path.read_bytes()}
    web = host().test_client()
    for address, bytes_ in wanted.items():
        whole = web.get(address)
        some = web.get(address, headers={"Range": "bytes=10-19"})
        assert (whole.status_code, whole.data, some.status_code, some.data) == (200, bytes_, 206, bytes_[10:20])


def test_an_address_says_503_while_the_storage_is_away(host, bucket):
    with host().app_context() as one:
        here = world(one.app, bucket)
        stored = keep(here)
        address = media.linked(delivering(here, stored.id).id, media.file_of(stored)).public_url
    web = host().test_client()
    bucket.fail("503")
    assert web.get(address).status_code == 503
    bucket.well()
    assert web.get(address).status_code == 200


def test_a_form_keeps_what_was_typed_while_the_storage_is_away(host, bucket, sign_in):
    app = host()
    with app.app_context():
        delivering(world(app, bucket))
    client = sign_in(app.test_client(), SimpleNamespace(id="usr_alice"))
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/w/wsp_bakery/posts").text)
    assert token is not None
    bucket.fail("503")
    answer = client.post("/w/wsp_bakery/compose", data={
        "text": "Buns at six", "files": (io.BytesIO(made.picture()), "bun.jpg"), "csrf_token": token[1]})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and "Buns at six" in page and "bun.jpg was not kept. The console" in page


# ---------------------------------------------------------------- cleaning up


def test_a_deleted_file_is_gone_with_its_copies_here_and_there(here):
    stored = keep(here, made.picture("PNG"))
    delivery = delivering(here, stored.id)
    media.linked(delivery.id, media.adapted(media.file_of(stored), JPEG_ONLY))
    assert len(there(here.bucket)) == 2
    with writing() as session:
        session.get_one(Delivery, delivery.id).state = "published"
    media.delete(stored, here.alice)
    assert there(here.bucket) == [] and cached(here) == []


def test_orphans_go_after_a_day_and_nothing_else_does(here):
    kept, bun = keep(here), here.bucket.objects
    delivering(here, kept.id)
    model = bun[key(kept)]
    now = datetime.now(UTC)
    for name in ("media/wsp_bakery/med_GONE", "media/wsp_gone/variants/med_GONE-1.jpg", "media/wsp_bakery/med_NEW",
                 "media/readme.txt", "media/wsp_bakery/notes", "other/wsp_bakery/med_GONE"):
        bun[name] = s3_double.Object(model.path, model.size, model.etag, {}, now - timedelta(hours=25))
    bun["media/wsp_bakery/med_NEW"].at = now
    bun[key(kept)].at = now - timedelta(days=9)
    here.bucket.uploads["one"] = s3_double.Upload("media/wsp_bakery/med_X", {}, now - timedelta(hours=25))
    here.bucket.uploads["two"] = s3_double.Upload("media/wsp_bakery/med_Y", {}, now)
    assert media.tidy(now) == 2
    assert there(here.bucket) == sorted([
        key(kept), "media/wsp_bakery/med_NEW", "media/readme.txt", "media/wsp_bakery/notes",
        "other/wsp_bakery/med_GONE"])
    assert list(here.bucket.uploads) == ["two"]


def test_two_consoles_in_one_bucket_never_clean_away_each_others_files(console, bucket):
    first, second = (console(**bucket.settings()) for _ in range(2))
    with first.app_context():
        make_cast()
        kept = keep(here := world(first, bucket))
        delivering(here, kept.id)
    bucket.objects[key(kept)].at -= timedelta(days=9)
    with second.app_context():
        make_cast()
        media.tidy(datetime.now(UTC))
        with pytest.raises(media.Refused, match="was not kept"):
            keep(world(second, bucket))
        db.session.remove()
    assert key(kept) in bucket.objects
    second.extensions["media_store"].place = media_s3.place(f"{bucket.url}/second")
    second.extensions["media_store"]._owner = ""
    with second.app_context():
        assert key(keep(world(second, bucket)), "second/") in bucket.objects


def test_cleaning_goes_on_while_the_storage_is_away(here):
    keep(here)
    here.bucket.fail("503")
    assert media.tidy(datetime.now(UTC) + timedelta(days=2)) >= 1
    assert db.session.query(Media).count() == 0
    here.bucket.well()
    media.tidy(datetime.now(UTC) + timedelta(days=2))
    assert there(here.bucket) == []


def test_copies_used_longest_ago_go_first_and_none_that_a_delivery_works_with(here):
    stored = [keep(here, made.picture("PNG", (300, 300), color="noise")) for _ in range(4)]
    delivering(here, stored[0].id, lease=datetime.now(UTC))
    for hours, one in zip((9, 8, 7, 0), stored, strict=True):  # the last was used just now
        os.utime(media.path_of(one), (time.time() - hours * 3600,) * 2)
    here.store._most, here.store._trimmed = 2 * stored[0].size + 10, 0.0
    media._trim()
    there = [media.path_of(one).exists() for one in stored]
    assert there == [True, False, False, True]
    assert media.here(media.file_of(stored[1])).path.exists()  # it comes back


# ---------------------------------------------------------------- settings, and what is wrong with a bucket


def test_an_incomplete_set_is_one_problem_each(tmp_path):
    full = s3_double_settings("https://s3.example.org/files")
    assert problems(tmp_path, full) == []
    for name in ("MEDIA_S3_URL", "MEDIA_S3_ACCESS_KEY", "MEDIA_S3_SECRET_KEY"):
        found = problems(tmp_path, {**full, name: ""})
        assert len(found) == 1 and found[0].startswith(f"{name} is not set")


@pytest.mark.parametrize(("url", "word"), [
    ("s3.example.org/files", "Write it like"), ("https://s3.example.org", "names the bucket “”"),
    ("https://s3.example.org/Files", "names the bucket “Files”"), ("https://a:b@s3.example.org/files", "user name"),
    ("https://s3.example.org:x/files", "Write it like"), ("https://s3.example.org/files?x", "Write it like"),
    ("https://s3.example.org/files/../x", "prefix"), ("ftp://s3.example.org/files", "Write it like")])
def test_an_address_that_is_none_is_one_problem(tmp_path, url, word):
    found = problems(tmp_path, s3_double_settings(url))
    assert len(found) == 1 and word in found[0] and "a:b" not in found[0]


def s3_double_settings(url):
    return {"MEDIA_S3_URL": url, "MEDIA_S3_ACCESS_KEY": "k", "MEDIA_S3_SECRET_KEY": "s"}


def problems(folder, given):
    found = settings.read({"INSTANCE_PATH": str(folder), **given}, folder).problems
    return [one for one in found if "MEDIA" in one]


@pytest.mark.parametrize(("url", "host", "name", "prefix", "secure"), [
    ("https://s3.example.org/files", "s3.example.org", "files", "", True),
    ("http://10.0.0.7:9000/my.bucket/a/b", "10.0.0.7:9000", "my.bucket", "a/b/", False)])
def test_an_address_names_host_bucket_and_prefix(url, host, name, prefix, secure):
    assert media_s3.place(url) == media_s3.Place(host, name, prefix, secure)


def trouble(configured, bucket, **more):
    found = media_store.problems(configured(**bucket.settings(**more)))
    assert len(found) <= 1
    return found[0] if found else ""


def test_the_check_says_in_words_what_is_wrong_with_the_bucket(configured, bucket):
    assert trouble(configured, bucket) == "" and not bucket.objects
    wrong = {
        "has no bucket “none”": {"MEDIA_S3_URL": f"http://127.0.0.1:{bucket.port}/none"},
        "does not know the key in MEDIA_S3_ACCESS_KEY": {"MEDIA_S3_ACCESS_KEY": "another"},
        "MEDIA_S3_SECRET_KEY does not fit": {"MEDIA_S3_SECRET_KEY": "guess-of-mine"},
        "expects another region than “us-east-1”": {"MEDIA_S3_REGION": "us-east-1"},
        "cannot be reached": {"MEDIA_S3_URL": f"http://127.0.0.1:{unused_port()}/files"}}
    for words, given in wrong.items():
        said = trouble(configured, bucket, **given)
        assert words in said and "guess-of-mine" not in said, said


def test_the_check_tells_wrong_clocks_rights_and_servers(configured, bucket):
    bucket.ahead = timedelta(minutes=16)
    assert "clock is wrong" in trouble(configured, bucket)
    bucket.ahead = timedelta()
    for method, words in (("PUT", "write in the bucket “files”"), ("DELETE", "delete in the bucket “files”")):
        bucket.denied = {method}
        assert words in trouble(configured, bucket)
    bucket.denied = set()
    bucket.fail("503")
    assert "is not at work" in trouble(configured, bucket)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_command_check_tries_the_bucket(configured, bucket, monkeypatch, capsys):
    config = configured(**bucket.settings(MEDIA_S3_SECRET_KEY="guess-of-mine"))
    monkeypatch.setattr(settings, "read", lambda *_: config)
    assert cli.main(["check"]) == 2
    said = capsys.readouterr()
    assert "does not fit MEDIA_S3_ACCESS_KEY" in said.err and "guess-of-mine" not in said.out + said.err


def test_without_a_bucket_its_client_is_not_even_loaded(tmp_path):
    program = ("import sys; from pathlib import Path; from socialconsole import config, media_store; "
               "media_store.make(config.read({}, Path(sys.argv[1]))); print('minio' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
