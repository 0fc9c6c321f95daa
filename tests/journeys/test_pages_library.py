"""The library: found, described, kept, used and deleted; by its own people only, and without script."""

import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from socialconsole import library, media
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import DRAFT, HELD, PUBLISHED, SCHEDULED, Media, Post, Series, Workspace
from tests import made_files as made
from tests.journeys.tenant_house import HTMX, as_person, words


def post(house, path, data=None, files=(), **options):
    """Send a form of the library."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', house.get("/media").text)
    assert found is not None
    sent = {**(data or {}), "csrf_token": found[1]}
    if files:
        sent["files"] = [(io.BytesIO(plain), name) for plain, name in files]
    return house.client.post(house.base + path, data=sent, content_type="multipart/form-data", **options)


def add(house, name="bun.png", plain=b"", **columns):
    """A file of the bakery; its id."""
    with house.app.app_context():
        workspace = db.session.get_one(Workspace, house.cast.bakery.id)
        stored = media.store(workspace, house.cast.alice, io.BytesIO(plain or made.picture("PNG")), name)
        if columns:
            with writing() as session:
                row = session.get_one(Media, stored.id)
                for column, value in columns.items():
                    setattr(row, column, value)
        return stored.id


def use(house, media_id, state, text="Saffron buns are back"):
    """A post in this state that uses the file; its id."""
    post_id, _ = house.delivery(state, text=text)
    with house.app.app_context(), writing():
        workspace = db.session.get_one(Workspace, house.cast.bakery.id)
        media.use(workspace, post_id, [media_id], house.clock())
    return post_id


def names(page):
    return re.findall(r'<span class="name clip">([^<]+)</span>', page.text)


# ---------------------------------------------------------------- the list


def test_an_empty_library_says_what_it_is_for(house):
    page = house.get("/media")
    assert page.status_code == 200 and "No files yet" in page.text and "0 KB of 20 GB used" in words(page)
    assert "was taken is removed before it is kept" in words(page)


def test_files_are_listed_with_their_facts_and_uses(house):
    bun, film = add(house, "bun.png"), add(house, "film.mp4", made.mp4(640, 360, 75))
    use(house, bun, PUBLISHED)
    page = house.get("/media")
    assert names(page) == ["film.mp4", "bun.png"]
    assert "PNG, 60 × 40" in words(page) and "MP4, 640 × 360, 1:15 min" in words(page)
    assert "In 1 post" in words(page) and "In no post, goes a day after it came" in words(page)
    assert f"/media/{bun}/thumbnail" in page.text and f"/media/{film}/thumbnail" not in page.text
    assert "every 3s" in page.text, "a worker makes the picture of the film"
    house.clock.advance(minutes=3)
    assert "every 3s" not in house.get("/media").text, "nothing waits for ever"


def test_search_and_filters_leave_what_was_asked_for(house):
    bun = add(house, "100%_bun.png", alt_text="Three buns on a Table")
    add(house, "film.mp4", made.mp4())
    use(house, bun, PUBLISHED)
    mine = ["100%_bun.png"]
    for query, found in (("words=BUN", mine), ("words=table", mine), ("words=%25", mine), ("words=_bun", mine),
                         ("words=x_b", []), ("kind=video", ["film.mp4"]),
                         ("unused=yes", ["film.mp4"]), ("kind=image&unused=yes", [])):
        assert names(house.get(f"/media?{query}")) == found, query
    assert "No file fits this search" in house.get("/media?words=nothing").text
    assert house.get("/media?kind=nonsense").status_code == 404
    assert house.get("/media?before=nonsense&words=" + "x" * 500).status_code == 200


def test_pages_are_stable_while_files_come_and_go(house, monkeypatch):
    monkeypatch.setattr(library, "PAGE", 2)
    monkeypatch.setattr(library.shelf, "__kwdefaults__", {**library.shelf.__kwdefaults__, "limit": 2})
    ids = [add(house, f"{number}.png") for number in range(5)]
    first = house.get("/media")
    assert names(first) == ["4.png", "3.png"]
    older = re.search(r'href="([^"]+before=[^"]+)"', first.text)
    assert older is not None and ids[3] in older[1]
    add(house, "new.png")
    with house.app.app_context():
        media.delete(db.session.get_one(Media, ids[3]), house.cast.alice)
    second = house.client.get(older[1].replace("&amp;", "&"))
    assert names(second) == ["2.png", "1.png"] and "Newest" in second.text


def questions(house):
    """How many statements the page needs."""
    asked = []
    with house.app.app_context():
        engine = db.engine

    def note(*args):
        asked.append(args[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert house.get("/media").status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(asked)


def test_a_page_asks_the_database_as_often_for_many_files_as_for_one(house):
    add(house, "0.png")
    one = questions(house)
    for number in range(8):
        add(house, f"{number}.png")
    assert questions(house) == one


# ---------------------------------------------------------------- taking in without script


def test_a_plain_form_adds_several_files_and_they_are_kept(house):
    answer = post(house, "/media/add", files=[(made.picture(), "a.jpg"), (made.pdf(1), "b.pdf")])
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/media")
    assert "2 files added." in house.get("/media").text
    with house.app.app_context():
        assert all(one.is_kept for one in db.session.query(Media)) and db.session.query(Media).count() == 2
        assert media.tidy(house.clock.advance(days=3)) == 0


def test_what_is_refused_is_said_and_what_fits_is_added(house):
    answer = post(house, "/media/add", files=[(made.picture(), "a.jpg"), (b"<html>", "b.jpg")])
    assert answer.status_code == 422 and "1 file added, 1 problem" in words(answer)
    assert "b.jpg is a web page" in words(answer)
    assert names(answer) == ["a.jpg"]
    assert "Choose one first" in words(post(house, "/media/add"))
    inside = post(house, "/media/add", {"file_address": "http://10.0.0.7/bun.png"})
    assert inside.status_code == 422 and 'value="http://10.0.0.7/bun.png"' in inside.text


def test_thirty_files_at_once_are_not_dropped_in_silence(house):
    answer = post(house, "/media/add", files=[(made.picture("PNG", (4, 4)), f"{number}.png") for number in range(30)])
    assert answer.status_code == 422 and house.count(Media) == 20
    assert "30 files came at once, and 20 are taken at a time. The last 10 were left out" in words(answer)


def test_a_full_workspace_takes_nothing_and_says_who_can_help(house):
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).storage_limit = 1000
    answer = post(house, "/media/add", files=[(made.picture("PNG", (60, 40), color="noise"), "a.png")])
    assert answer.status_code == 422 and "ask a platform admin of this console to raise the limit" in words(answer)
    with house.app.app_context():
        assert db.session.query(Media).count() == 0
        folder = house.app.extensions["config"].media_folder
        assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_viewers_look_and_change_nothing(house, sign_in):
    media_id = add(house)
    vera = as_person(house, sign_in, house.cast.vera)
    page = vera.get("/media")
    assert page.status_code == 200 and "Add files" not in page.text and names(page) == ["bun.png"]
    one = vera.get(f"/media/{media_id}")
    assert one.status_code == 200 and "Use in a post" not in one.text and ">Delete<" not in words(one)
    for path in ("/media/add", f"/media/{media_id}/alt", f"/media/{media_id}/keep", f"/media/{media_id}/delete",
                 "/media/pick"):
        assert vera.client.post(vera.base + path).status_code in (400, 403), path


def test_a_stranger_finds_no_file(house, app, sign_in):
    media_id = add(house)
    charlie = sign_in(app.test_client(), house.cast.charlie)
    for path in ("", "/file", "/thumbnail", "/delete"):
        assert charlie.get(f"{house.base}/media/{media_id}{path}").status_code == 404
        assert charlie.get(f"/w/{house.cast.cycles.id}/media/{media_id}{path}").status_code == 404
    assert 'name="media"' not in charlie.get(f"/w/{house.cast.cycles.id}/media/picked?media={media_id}").text


# ---------------------------------------------------------------- one file


def test_a_file_has_a_page_with_its_facts_and_its_posts(house):
    media_id = add(house, "film.mp4", made.mp4(640, 360, 75))
    post_id = use(house, media_id, PUBLISHED)
    page = house.get(f"/media/{media_id}")
    assert "640 × 360 pixels" in words(page) and "75.0 seconds" in words(page) and "H.264" in words(page)
    assert f"/posts/{post_id}" in page.text and "<video" in page.text and f"compose?media={media_id}" in page.text
    assert "<textarea" not in page.text, "nobody describes a film here"


def test_a_video_is_streamed_in_ranges(house):
    plain = made.mp4(payload=50_000)
    media_id = add(house, "film.mp4", plain)
    answer = house.get(f"/media/{media_id}/file", headers={"Range": "bytes=1000-1999"})
    assert answer.status_code == 206 and answer.data == plain[1000:2000] and answer.mimetype == "video/mp4"
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert "media-src 'self'" in answer.headers["Content-Security-Policy"]
    saved = house.get(f"/media/{media_id}/file?save=yes")
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=film.mp4")
    pdf = house.get(f"/media/{add(house, 'b.pdf', made.pdf(1))}/file")
    assert pdf.headers["Content-Disposition"].startswith("attachment")


def test_a_description_is_kept_and_one_too_long_comes_back(house):
    media_id = add(house)
    assert post(house, f"/media/{media_id}/alt", {"alt": " Three buns "}).status_code == 303
    assert house.row(Media, media_id).alt_text == "Three buns"
    wrong = post(house, f"/media/{media_id}/alt", {"alt": "x" * 5001})
    assert wrong.status_code == 422 and "1 characters too long" in words(wrong) and "x" * 5001 in wrong.text
    swapped = post(house, f"/media/{media_id}/alt", {"alt": "Buns"}, headers=HTMX)
    assert swapped.status_code == 200 and "<html" not in swapped.text and "The description is saved" in swapped.text


def test_a_file_is_kept_and_let_go(house):
    media_id = add(house)
    post(house, f"/media/{media_id}/keep", {"keep": "yes"})
    assert house.row(Media, media_id).is_kept and 'aria-checked="true"' in house.get(f"/media/{media_id}").text
    with house.app.app_context():
        assert media.tidy(house.clock() + timedelta(days=9)) == 0
    post(house, f"/media/{media_id}/keep", {"keep": ""})
    with house.app.app_context():
        assert media.tidy(house.clock() + timedelta(days=9)) == 1


@pytest.mark.parametrize("state", [SCHEDULED, HELD])
def test_deleting_is_refused_while_a_post_needs_it_and_names_the_post(house, state):
    media_id = add(house)
    post_id = use(house, media_id, state, "The big opening")
    for answer in (house.get(f"/media/{media_id}/delete"), post(house, f"/media/{media_id}/delete")):
        assert "is still needed" in words(answer) and "The big opening" in words(answer)
        assert f"/posts/{post_id}" in answer.text and "Delete the file" not in answer.text
    assert post(house, f"/media/{media_id}/delete").status_code == 409 and house.count(Media) == 1


def test_a_draft_and_a_repeating_post_need_their_files_too(house):
    media_id = add(house)
    post_id = use(house, media_id, PUBLISHED, "Drafted buns")
    with house.app.app_context(), writing() as session:
        session.get_one(Post, post_id).state = DRAFT
    assert "A draft needs this file" in words(post(house, f"/media/{media_id}/delete"))
    with house.app.app_context(), writing() as session:
        session.add(Series(id="ser_bun", workspace_id=house.cast.bakery.id, text="Buns each day", every="day",
                           created_at=house.clock(), first_wall="2026-11-21T09:00",
                           next_at=house.clock() + timedelta(days=1)))
        session.flush()
        row = session.get_one(Post, post_id)
        row.state, row.series_id = SCHEDULED, "ser_bun"
    answer = post(house, f"/media/{media_id}/delete")
    assert answer.status_code == 409 and "Buns each day" in words(answer) and "/ser_bun" in answer.text


def test_a_file_that_nobody_needs_is_deleted_after_a_question(house):
    media_id = add(house)
    use(house, media_id, PUBLISHED)
    question = house.get(f"/media/{media_id}/delete")
    assert "Delete bun.png?" in words(question) and "Posts that were published stay" in words(question)
    assert post(house, f"/media/{media_id}/delete").status_code == 303
    assert house.count(Media) == 0 and "bun.png is deleted." in house.get("/media").text
    assert house.get(f"/media/{media_id}").status_code == 404


# ---------------------------------------------------------------- the picker


def test_the_picker_is_a_page_of_its_own_and_a_part_for_the_dialog(house):
    media_id = add(house)
    page, part = house.get("/media/pick"), house.get("/media/pick", headers=HTMX)
    assert "<html" in page.text and "<html" not in part.text and 'id="picker-title"' in part.text
    assert f'value="{media_id}"' in page.text and 'method="get"' in page.text
    items = house.get(f"/media/picked?media={media_id}&media=med_none", headers=HTMX)
    assert items.text.count('name="media"') == 1


def test_without_script_the_picker_carries_what_was_typed(house):
    bun, other = add(house, "bun.png"), add(house, "other.png")
    answer = post(house, "/media/pick", {"text": "Buns <b>", "media": bun, "wall_time": "2026-12-01T09:00"})
    assert answer.status_code == 200 and 'name="text" value="Buns &lt;b&gt;"' in answer.text
    assert f'type="hidden" name="media" value="{bun}"' in answer.text and f'name="media" value="{other}"' in answer.text
    assert answer.text.count('name="csrf_token"') >= 1 and "/compose/check" in answer.text
    searched = post(house, "/media/pick", {"text": "Buns", "pick_words": "other"})
    assert names(searched) == ["other.png"] and 'value="Buns"' in searched.text
