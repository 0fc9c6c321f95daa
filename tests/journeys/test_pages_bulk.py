"""Posts in and out as CSV: every row checked first, all of them or none, and nothing a spreadsheet would compute."""

import base64
import csv
import html
import io
import re
import zlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from socialconsole import csv_posts, csv_text, guarded, media, slots
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import DRAFT, PUBLISHED, SCHEDULED, SUBMITTED, Delivery, Media, Post, Slot, Workspace
from tests import made_files as made
from tests.journeys.tenant_house import House, Signer, as_person, words

WITH_MEDIA = ("tweet.read", "tweet.write", "users.read", "offline.access", "media.write")
HEAD = "text,accounts,when,media,alt_texts,first_comment\n"


def when(house: House, days: int = 3) -> str:
    return f"{house.clock() + timedelta(days=days):%Y-%m-%d} 09:00"


def send(house: House, content: str | bytes, **fields: Any) -> Any:
    plain = content if isinstance(content, bytes) else content.encode()
    return house.post("/posts/import", {"file": (io.BytesIO(plain), "posts.csv"), **fields},
                      content_type="multipart/form-data")


def hidden(answer: Any, *, ticked: bool = False) -> dict[str, str]:
    """The fields of the form that imports."""
    form = re.search(r'<form[^>]+/posts/import/write".*?</form>', answer.text, re.S)
    assert form is not None, words(answer)
    found = {name: html.unescape(value) for name, value in re.findall(
        r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0]) if name != "csrf_token"}
    tick = re.search(r'name="again" value="([^"]+)"', form[0])
    return {**found, "again": tick[1]} if ticked and tick else found


def write(house: House, fields: dict[str, str]) -> Any:
    return house.post("/posts/import/write", fields, content_type="multipart/form-data")


def all_posts(house: House) -> list[Post]:
    with house.app.app_context():
        return list(db.session.scalars(select(Post).order_by(Post.id)))


def test_a_file_is_checked_then_imported_as_scheduled_posts(house: House) -> None:
    account = house.account()
    checked = send(house, HEAD + f'"Buns, ""warm""\nfrom six",@acme,{when(house)},,,\nRolls,{account},{when(house, 4)}')
    assert checked.status_code == 200 and "2 posts for 1 profile" in words(checked) and all_posts(house) == []
    done = write(house, hidden(checked))
    assert done.status_code == 303 and done.location.endswith("/posts")
    first, second = all_posts(house)
    assert first.text == 'Buns, "warm"\nfrom six' and first.state == SCHEDULED and second.text == "Rolls"
    assert first.wall_time.endswith("T09:00") and first.author_id == house.cast.alice.id
    assert "2 posts scheduled" in words(house.get("/posts"))
    assert "from a CSV file" in words(house.get("/activity"))


def test_the_same_form_twice_imports_once_and_the_same_file_asks(house: House) -> None:
    house.account()
    content = HEAD + f"Buns,acme,{when(house)}"
    fields = hidden(send(house, content))
    assert [write(house, fields).status_code for _ in range(2)] == [303, 303] and len(all_posts(house)) == 1
    checked = send(house, content)
    assert checked.status_code == 200 and "This very file was imported" in words(checked)
    unticked = write(house, hidden(checked))
    assert unticked.status_code == 422 and "Tick the box" in words(unticked) and len(all_posts(house)) == 1
    again = hidden(checked, ticked=True)
    assert [write(house, again).status_code for _ in range(2)] == [303, 303] and len(all_posts(house)) == 2


def test_one_bad_row_keeps_all_rows_out_and_says_where(house: House) -> None:
    house.account()
    at = when(house)
    checked = send(house, HEAD + f"Good,acme,{at}\n{'x' * 300},acme,{at}\nLate,acme,2001-01-01 06:00\n"
                                 f"Nobody,someone else,{at}\nOdd,acme,23.11.2026\nFile,acme,{at},no.jpg")
    said = words(checked)
    assert checked.status_code == 422 and "5 things to mend" in said and "/import/write" not in checked.text
    assert "text: 20 characters too many for X" in said and "when: This time has passed" in said
    assert "There is no connected profile “someone else”" in said and "“23.11.2026” cannot be read as a time" in said
    assert "There is no file “no.jpg”" in said and all_posts(house) == []
    forged = write(house, {"sheet": base64.b64encode(zlib.compress(f"{HEAD}{'x' * 300},acme,queue".encode())).decode()})
    assert forged.status_code == 422 and all_posts(house) == []


def test_a_name_that_means_several_profiles_says_how_to_tell_them_apart(house: House) -> None:
    first, second = house.account(user="acme"), house.account("facebook", "Acme", "acme")
    at = when(house)
    checked = send(house, HEAD + f"Buns,acme,{at}\nBuns 2,X : @ACME;facebook,{at}\nBuns 3,{second},{at}")
    assert checked.status_code == 422
    assert "“acme” means 2 profiles: Facebook:acme, X:acme" in words(checked) and words(checked).count("means 2") == 1
    fields = hidden(send(house, HEAD + f"Buns 2,X : @ACME;facebook,{when(house)}"))
    assert write(house, fields).status_code == 303
    with house.app.app_context():
        assert {one.account_id for one in db.session.scalars(select(Delivery))} == {first, second}


def test_the_same_row_twice_is_noticed(house: House) -> None:
    house.account()
    checked = send(house, HEAD + f"Buns,acme,{when(house)}\n" * 2)
    assert checked.status_code == 422 and "The same as row 2" in words(checked)


@pytest.mark.parametrize(("written", "wall", "said"), [
    ("2026-11-23T06:00", "2026-11-23T06:00", ""), ("2026-11-23 6:00:30", "2026-11-23T06:00", ""),
    ("2026-11-23T06:00Z", "2026-11-23T07:00", ""), ("2026-11-23T06:00:00-05:00", "2026-11-23T12:00", ""),
    ("QUEUE", "queue", ""), ("", "", "Write it as"), ("tomorrow", "", "“tomorrow” cannot be read"),
    ("11/23/2026 06:00", "", "cannot be read"), ("2026-02-30T06:00Z", "", "no such time"),
    ("9999-12-31T23:59-12:00", "", "no such time"), ("0001-01-01T00:00+14:00", "", "no such time"),
    ("٢٠٢٦-١١-٢٣ 06:00", "", "cannot be read")])
def test_times_are_read_as_they_are_meant(written: str, wall: str, said: str) -> None:
    workspace = Workspace(name="-", time_zone="Europe/Stockholm")
    found, problem = csv_posts._wall(written, workspace)
    assert found == wall and (said in problem if said else not problem)


@pytest.mark.parametrize("written", ["2026-02-30 06:00", "2026-11-23 25:00", "9999-12-31 23:59", "0001-01-01 00:00"])
def test_times_that_are_none_are_said_at_their_row(house: House, written: str) -> None:
    house.account()
    answer = send(house, HEAD + f"Buns,acme,{written}")
    assert answer.status_code == 422 and "when: " in words(answer)


def test_an_instant_in_the_second_of_two_like_hours_is_not_taken_for_the_first() -> None:
    workspace = Workspace(name="-", time_zone="Europe/Stockholm")
    assert csv_posts._wall("2027-10-31T00:30Z", workspace) == ("2027-10-31T02:30", "")
    assert "happens twice" in csv_posts._wall("2027-10-31T01:30Z", workspace)[1]


def test_queue_takes_the_next_free_slots_in_order_and_too_few_keep_all_out(house: House) -> None:
    house.account()
    content = HEAD + "One,acme,queue\nTwo,acme,Queue"
    assert "queue has no slots" in words(send(house, content))
    with house.app.app_context(), writing() as session:
        session.add(Slot(workspace_id=house.cast.bakery.id, weekday=0, wall="08:30"))
    assert write(house, hidden(send(house, content))).status_code == 303
    first, second = all_posts(house)
    assert first.is_queued and second.is_queued and first.due_at and second.due_at
    assert second.due_at - first.due_at in (timedelta(days=7), timedelta(days=7, hours=1), timedelta(days=6, hours=23))


def test_a_queue_that_runs_full_writes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.account()
    with house.app.app_context(), writing() as session:
        session.add(Slot(workspace_id=house.cast.bakery.id, weekday=0, wall="08:30"))
    fields = hidden(send(house, HEAD + "One,acme,queue\nTwo,acme,queue"))
    monkeypatch.setattr(slots, "LOOKS_AHEAD", timedelta(days=7))
    answer = write(house, fields)
    assert answer.status_code == 422 and "Nothing was written. Row 3: Every slot" in words(answer)
    assert all_posts(house) == []


# ---------------------------------------------------------------- files


def stored(house: House, name: str = "bun.jpg") -> str:
    answer = house.post("/media", {"files": (io.BytesIO(made.picture("JPEG", (600, 600))), name)},
                        content_type="multipart/form-data", headers={"Accept": "application/json"})
    return str(answer.json["media"][0]["id"])


def test_files_come_by_name_or_id_with_what_they_show(house: House) -> None:
    house.account(scopes=WITH_MEDIA)
    one, two = stored(house, "one.jpg"), stored(house, "two.jpg")
    checked = send(house, HEAD + f"Buns,acme,{when(house)},one.jpg;{two},A bun|Two buns")
    assert write(house, hidden(checked)).status_code == 303
    assert all_posts(house)[0].content == {"media": [one, two], "alts": {one: "A bun", two: "Two buns"}}
    stored(house, "one.jpg")
    twice = send(house, HEAD + f"Rolls,acme,{when(house)},one.jpg")
    assert twice.status_code == 422 and "2 files here are called “one.jpg”" in words(twice)
    many = send(house, HEAD + f"Rolls,acme,{when(house)},two.jpg,a|b|c")
    assert many.status_code == 422 and "3 descriptions for 1 files" in words(many)


def test_a_strangers_file_is_as_one_that_is_not_there(house: House) -> None:
    house.account(scopes=WITH_MEDIA)
    theirs = stored(house)
    with house.app.app_context(), writing() as session:
        session.get_one(Media, theirs).workspace_id = house.cast.cycles.id
    for name in (theirs, "bun.jpg"):
        assert f"There is no file “{name}”" in words(send(house, HEAD + f"Buns,acme,{when(house)},{name}"))


def test_an_address_is_fetched_once_at_the_check(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.account(scopes=WITH_MEDIA)
    asked = []

    def get(url: str, *, into: Any, **_: Any) -> guarded.Fetched:
        asked.append(url)
        into.write_bytes(made.picture("JPEG", (600, 600)))
        return guarded.Fetched(url, 200, "image/jpeg", path=into)

    monkeypatch.setattr(guarded, "get", get)
    address = "https://bakery.example/bun.jpg"
    checked = send(house, HEAD + f"Buns,acme,{when(house)},{address}\nRolls,acme,{when(house, 4)},{address}")
    assert checked.status_code == 200 and asked == [address]
    assert write(house, hidden(checked)).status_code == 303 and asked == [address]
    first, second = all_posts(house)
    assert first.content["media"] == second.content["media"] and len(first.content["media"]) == 1


def test_an_address_in_the_private_network_is_refused_at_its_row(house: House) -> None:
    house.account(scopes=WITH_MEDIA)
    checked = send(house, HEAD + f"Buns,acme,{when(house)},http://127.0.0.1:1/bun.jpg")
    assert checked.status_code == 422 and "media: http://127.0.0.1:1/bun.jpg" in words(checked)


def test_too_many_addresses_are_not_all_fetched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.account()
    asked: list[str] = []

    def refuse(workspace: Any, user: Any, address: str, **_: Any) -> Any:
        asked.append(address)
        raise media.Refused("not there.")

    monkeypatch.setattr(media, "from_address", refuse)
    rows = "".join(f"Buns {number},acme,{when(house)},https://a.example/{number}.jpg\n" for number in range(30))
    checked = send(house, HEAD + rows)
    assert checked.status_code == 422 and len(asked) == csv_posts.MOST_ADDRESSES
    assert "One file may name 20 addresses" in words(checked)


# ---------------------------------------------------------------- hostile and unlucky files


def test_letters_that_do_not_say_what_they_are_are_asked_for_and_the_file_is_kept(house: House) -> None:
    house.account()
    asked = send(house, (HEAD + f"Smörgåsbord,acme,{when(house)}").encode("cp1252"))
    assert asked.status_code == 422 and "It seems to be Windows, Western Europe" in words(asked)
    packed = re.search(r'name="sheet" value="([^"]+)"', asked.text)
    assert packed is not None and "Smörgåsbord" in asked.text
    checked = house.post("/posts/import", {"sheet": packed[1], "encoding": "cp1252"},
                         content_type="multipart/form-data")
    assert checked.status_code == 200, words(checked)
    assert write(house, hidden(checked)).status_code == 303 and all_posts(house)[0].text == "Smörgåsbord"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_spreadsheets_own_letters_are_read(house: House, encoding: str) -> None:
    house.account()
    checked = send(house, (HEAD.replace(",", "\t") + f"Smörgås, bord\tacme\t{when(house)}").encode(encoding))
    assert checked.status_code == 200
    assert write(house, hidden(checked)).status_code == 303 and all_posts(house)[0].text == "Smörgås, bord"


@pytest.mark.parametrize(("content", "said"), [
    (b"x" * (10 * 1024 * 1024), "larger than 1 MB"), (b"", "empty"), (b"PK\x03\x04" + b"\0" * 99, "Excel"),
    ((HEAD + 'Buns,"acme').encode(), "Row 2 cannot be read"), (b"\xff\xfe" + b"\xd8" * 3, "breaks off"),
    ((HEAD + "x,acme,queue\n" * 501).encode(), "more than 500 rows"),
    (b"text,when\nBuns,queue", "“accounts” is missing")])
def test_files_that_cannot_be_read_are_refused_in_words(house: House, content: bytes, said: str) -> None:
    house.account()
    answer = send(house, content)
    assert answer.status_code == 422 and said in words(answer)


def test_nul_bytes_are_said_at_their_cell_and_never_reach_the_database(house: House) -> None:
    house.account()
    asked = send(house, (HEAD + f"Bu\0ns,acme,{when(house)}").encode())
    assert asked.status_code == 422 and all_posts(house) == []
    packed = re.search(r'name="sheet" value="([^"]+)"', asked.text)
    assert packed is not None
    checked = house.post("/posts/import", {"sheet": packed[1], "encoding": "utf-8"}, content_type="multipart/form-data")
    assert checked.status_code == 422 and "text: There is a sign that is no text (number 0)" in words(checked)


def test_markup_and_turned_letters_stay_text(house: House) -> None:
    house.account()
    checked = send(house, HEAD + f"<b>Buns</b> \u202eevil,acme,{when(house)}")
    assert checked.status_code == 200 and "<b>Buns" not in checked.text and 'dir="auto"' in checked.text


@pytest.mark.parametrize("field", ["", "%%%", "aGVsbG8=", base64.b64encode(zlib.compress(b"x" * 50_000_000)).decode()])
def test_a_form_that_was_tampered_with_is_refused_in_words(house: House, field: str) -> None:
    house.account()
    for path in ("/posts/import", "/posts/import/write"):
        answer = house.post(path, {"sheet": field, "fetched": "[1", "encoding": "x"},
                            content_type="multipart/form-data")
        assert answer.status_code == 422


def test_a_hint_about_fetched_files_is_looked_up_and_never_believed(house: House) -> None:
    house.account(scopes=WITH_MEDIA)
    theirs = stored(house)
    with house.app.app_context(), writing() as session:
        session.get_one(Media, theirs).workspace_id = house.cast.cycles.id
    address = "http://127.0.0.1:1/a.jpg"
    answer = send(house, HEAD + f"Buns,acme,{when(house)},{address}", fetched=f'{{"{address}": "{theirs}"}}')
    assert answer.status_code == 422 and theirs not in words(answer)


# ---------------------------------------------------------------- who may


def test_viewers_and_strangers_import_nothing(house: House, sign_in: Signer) -> None:
    viewer = as_person(house, sign_in, house.cast.vera)
    assert viewer.get("/posts/import").status_code == 403
    assert viewer.get("/posts/export.csv").status_code == 200
    assert viewer.post("/posts/import/write", {"sheet": "x"}).status_code == 403
    for path in ("/posts/export.csv", "/posts/import", "/posts/import/template.csv"):
        assert house.client.get(f"/w/{house.cast.cycles.id}{path}").status_code == 404


def test_under_approval_an_editors_rows_wait_for_an_owner(house: House, sign_in: Signer) -> None:
    house.account()
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).needs_approval = True
    editor = as_person(house, sign_in, house.cast.bob)
    checked = send(editor, HEAD + f"Buns,acme,{when(house)}\nRolls,acme,{when(house, 4)}")
    assert "An owner approves them" in words(checked) and "Submit 2 posts" in words(checked)
    fields = hidden(checked)
    assert [write(editor, fields).status_code for _ in range(2)] == [303, 303]
    assert [one.state for one in all_posts(house)] == [SUBMITTED, SUBMITTED]
    with house.app.app_context():
        assert db.session.query(Delivery).count() == 0


# ---------------------------------------------------------------- template and export


def table(answer: Any) -> list[dict[str, str]]:
    assert answer.mimetype == "text/csv" and answer.data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def test_the_template_has_every_column_and_passes_the_check(house: House) -> None:
    house.account(scopes=WITH_MEDIA)
    stored(house)
    answer = house.get("/posts/import/template.csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    (row,) = table(answer)
    assert tuple(row) == csv_posts.COLUMNS
    checked = send(house, answer.data)
    assert checked.status_code == 200, words(checked)


def test_posts_come_out_with_a_row_for_each_delivery(house: House) -> None:
    first, second = house.account(), house.account("facebook", "Acme on Facebook", "acmepage")
    post, _ = house.delivery(PUBLISHED, first, text="=1+1\nBuns", permalink="https://x.com/acme/status/1",
                             published_at=house.clock())
    house.delivery("failed", second, post_id=post, note="Facebook refused it.")
    house.delivery(SCHEDULED, first, text="Later", ahead=timedelta(days=1))
    rows = table(house.get("/posts/export.csv"))
    assert [(one["text"], one["platform"], one["state"]) for one in rows] == [
        ("Later", "X", "scheduled"), ("'=1+1\nBuns", "X", "published"), ("'=1+1\nBuns", "Facebook", "failed")]
    assert rows[1]["permalink"] == "https://x.com/acme/status/1" and rows[1]["published_utc"].endswith("Z")
    assert rows[2]["note"] == "Facebook refused it." and rows[0]["time_zone"]
    assert [one["text"] for one in table(house.get("/posts/export.csv?filter=scheduled"))] == ["Later"]


def test_an_export_goes_on_from_page_to_page_and_stays_in_its_workspace(
        house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_posts, "AT_ONCE", 3)
    account = house.account()
    for number in range(8):
        house.delivery(SCHEDULED, account, text=f"Post {number}", ahead=timedelta(days=1))
    theirs = house.account(workspace=house.cast.cycles.id)
    house.delivery(SCHEDULED, theirs, text="Theirs", workspace=house.cast.cycles.id)
    answer = house.get("/posts/export.csv")
    assert [one["text"] for one in table(answer)] == [f"Post {number}" for number in reversed(range(8))]


def test_an_exported_text_comes_back_as_it_was(house: House) -> None:
    account = house.account()
    house.delivery(SCHEDULED, account, text="-20 % today, \"really\"", ahead=timedelta(days=1))
    (row,) = table(house.get("/posts/export.csv"))
    quoted = row["text"].replace('"', '""')
    again = csv_text.line(("text", "accounts", "when")) + f'"{quoted}",acme,{when(house)}'
    assert write(house, hidden(send(house, again))).status_code == 303
    assert [one.text for one in all_posts(house)] == ["-20 % today, \"really\""] * 2


def test_drafts_are_no_part_of_the_list(house: House) -> None:
    with house.app.app_context(), writing() as session:
        session.add(Post(workspace_id=house.cast.bakery.id, text="Draft", state=DRAFT, form_nonce="n",
                         created_at=house.clock()))
    assert table(house.get("/posts/export.csv")) == []


def test_five_hundred_rows_are_checked_and_written_in_one_go(house: House) -> None:
    house.account()
    rows = "".join(f"Post number {number},acme,{when(house, 1 + number % 300)}\n" for number in range(500))
    checked = send(house, HEAD + rows)
    assert checked.status_code == 200 and "500 posts for 1 profile" in words(checked)
    assert write(house, hidden(checked)).status_code == 303 and len(all_posts(house)) == 500
