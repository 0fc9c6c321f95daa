"""The compose form: profiles, own versions, parts, checks that follow the typing. All of it as a plain form too."""

import gzip
import html
import io
import re
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import event

from socialconsole import rehearsal
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Media, Post
from tests.journeys.tenant_house import HTMX, House, words

WITH_MEDIA = ("tweet.read", "tweet.write", "users.read", "offline.access", "media.write")
PLATFORMS = ("twitter", "facebook", "linkedin")


def picture(colour: str = "orange") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(made, "PNG")
    return made.getvalue()


def stored(house: House, name: str = "bun.png") -> str:
    answer = house.post("/media", {"files": (io.BytesIO(picture()), name)}, content_type="multipart/form-data",
                        headers={"Accept": "application/json"})
    return str(answer.json["media"][0]["id"])


def area(page: Any, name: str) -> str | None:
    """What stands in a text area of the page."""
    found = re.search(rf'<textarea[^>]* name="{re.escape(name)}"[^>]*>\n(.*?)</textarea>', page.text, re.S)
    return html.unescape(found[1]) if found else None


def parts(page: Any) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'<textarea[^>]* name="part"[^>]*>\n(.*?)</textarea>', page.text,
                                                     re.S)]


def counted(house: House, form: dict[str, Any]) -> tuple[Any, int]:
    """The answer to somebody typing, and how often the database was asked for it."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', house.get("/posts").text)
    assert token is not None
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        seen.append(statement)

    with house.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    answer = house.client.post(f"{house.base}/compose/check", data={**form, "csrf_token": token[1]}, headers=HTMX)
    event.remove(engine, "before_cursor_execute", note)
    return answer, len(seen)


def posted(house: House) -> Post:
    with house.app.app_context():
        found = db.session.query(Post).order_by(Post.id.desc()).first()
        assert found is not None
        db.session.expunge(found)
        return found


# ---------------------------------------------------------------- profiles


def test_profiles_stand_by_platform_and_say_why_they_cannot_be_chosen(house: House) -> None:
    house.account("facebook", "Acme Page")
    house.account("twitter", "Resting", state="paused", state_by="Bob")
    house.account("twitter", "Lost", state="token_expired")
    house.account("twitter", "Meagre", scopes=("tweet.read",))
    page = words(house.get("/compose"))
    assert "Resting @acme Paused." in page and "Lost @acme To be reconnected." in page
    assert "Meagre @acme Can’t publish: tweet.write, users.read were not granted." in page
    assert page.index("Facebook 1") < page.index("X 3")


def test_all_of_a_platform_are_ticked_by_one_button_and_again_none(house: House) -> None:
    one, two, other = house.account(name="One"), house.account(name="Two"), house.account("facebook", "Page")
    house.account(name="Resting", state="paused")
    page = house.post("/compose", {"text": "Buns", "accounts": [other], "do": "all:twitter"})
    ticked = set(re.findall(r'name="accounts" value="(\w+)" checked', page.text))
    assert page.status_code == 200 and ticked == {one, two, other}
    page = house.post("/compose", {"text": "Buns", "accounts": [one, two, other], "do": "all:twitter"})
    assert set(re.findall(r'name="accounts" value="(\w+)" checked', page.text)) == {other}


def test_a_profile_that_cannot_take_these_files_is_grey_and_says_why(house: House) -> None:
    fine, poor = house.account(name="Fine", scopes=WITH_MEDIA), house.account(name="Poor")
    form = {"text": "Buns", "accounts": [fine, poor], "media": stored(house)}
    page = house.post("/compose/check", form)
    assert "Poor @acme Picture needs media.write, which was not granted." in words(page)
    assert re.search(rf'class="pick slim off"><input type="checkbox" id="to-{poor}"[^>]* checked>', page.text), \
        "what was ticked stays ticked"
    assert "Fine @acme Picture" not in words(page)
    said = house.post("/compose/check", form, headers=HTMX).text
    assert 'id="places"' in said and 'hx-swap-oob="true"' in said, "the list comes along when it changed"
    fit = re.search(r'name="fit" value="(\w+)"', said)
    assert fit is not None
    assert 'id="places"' not in house.post("/compose/check", {**form, "fit": fit[1]}, headers=HTMX).text
    again = house.post("/compose/check", {"text": "Buns", "accounts": [poor], "fit": fit[1]}, headers=HTMX)
    assert 'id="places"' in again.text and "media.write" not in again.text, "and when the file is gone again"


# ---------------------------------------------------------------- own versions


def test_an_own_text_starts_from_the_common_one_and_is_sent(house: House) -> None:
    one, two = house.account(name="One"), house.account("linkedin", "Two")
    form: dict[str, Any] = {"text": "For all", "accounts": [one, two], "when": "now", "nonce": "n"}
    page = house.post("/compose", {**form, "own_for": two, "do": "own"})
    assert area(page, f"own:{two}") == "For all" and area(page, f"own:{one}") is None
    form[f"own:{two}"] = "For LinkedIn"
    checked = words(house.post("/compose/check", form, headers=HTMX))
    assert "Two own text 12 / 3,000" in checked and "One 7 / 280" in checked
    assert house.post("/compose", form).status_code == 303
    assert posted(house).content["own"] == {two: {"text": "For LinkedIn", "first_comment": None, "chain": True}}


def test_an_own_text_is_given_up_again(house: House) -> None:
    one = house.account()
    form = {"text": "For all", "accounts": [one], f"own:{one}": "Mine", "do": f"common:{one}"}
    page = house.post("/compose", form)
    assert area(page, f"own:{one}") is None and area(page, "text") == "For all"


def test_an_own_text_that_is_too_long_is_said_beside_it(house: House) -> None:
    one = house.account()
    answer = house.post("/compose", {"text": "Fine", "accounts": [one], "when": "now", "nonce": "n",
                                     f"own:{one}": "a" * 281})
    assert answer.status_code == 422 and area(answer, f"own:{one}") == "a" * 281
    assert re.search(rf'id="own-{one}-error"[^>]*>.*?1 character too many for X', answer.text, re.S)


def test_an_own_first_comment_and_a_stand_alone_text_are_kept(house: House) -> None:
    scopes = ("public_profile", "pages_show_list", "pages_read_engagement", "pages_manage_posts",
              "pages_manage_engagement")
    page, x = house.account("facebook", "Page", scopes=scopes), house.account()
    form = {"text": "All", "accounts": [page, x], "part": ["Two"], "first_comment": "Common", "when": "now",
            f"own:{page}": "Mine", f"own_comment:{page}": "Own", f"own:{x}": "Alone", f"own_single:{x}": "yes",
            "nonce": "n"}
    assert house.post("/compose", form).status_code == 303
    assert posted(house).content["own"] == {page: {"text": "Mine", "first_comment": "Own", "chain": True},
                                            x: {"text": "Alone", "first_comment": None, "chain": False}}


# ---------------------------------------------------------------- reply chains


def test_a_text_is_split_at_sentence_ends(house: House) -> None:
    one = house.account()
    text = "Saffron buns are back in every shop of ours. " * 10
    page = house.post("/compose", {"text": text, "accounts": [one], "part": ["Last"], "do": "split"})
    written = [str(area(page, "text")), *parts(page)]
    assert len(written) == 3 and written[-1] == "Last"
    assert all(len(part) <= 280 and part.endswith(".") for part in written[:-1])
    assert " ".join(written[:-1]) == text.strip()
    swapped = house.post("/compose/words", {"text": text, "accounts": [one], "do": "split"}, headers=HTMX)
    assert 'id="words"' in swapped.text and parts(swapped) == written[1:-1] and "<html" not in swapped.text


@pytest.mark.parametrize(("text", "slug", "said"), [
    ("Short.", "twitter", "fits in one part"), ("Long. " * 100, "linkedin", "takes a reply chain first")])
def test_why_nothing_was_split_is_said(house: House, text: str, slug: str, said: str) -> None:
    one = house.account(slug)
    house.account()
    page = house.post("/compose", {"text": text, "accounts": [one], "do": "split"})
    assert said in words(page) and area(page, "text") == text


def test_parts_are_moved_and_removed(house: House) -> None:
    form = {"text": "One", "accounts": house.account(), "part": ["Two", "Three"]}
    page = house.post("/compose", {**form, "do": "part_up:2"})
    assert (area(page, "text"), parts(page)) == ("One", ["Three", "Two"])
    page = house.post("/compose", {**form, "do": "part_up:1"})
    assert (area(page, "text"), parts(page)) == ("Two", ["One", "Three"])
    page = house.post("/compose", {**form, "do": "part_down:1"})
    assert parts(page) == ["Three", "Two"]
    page = house.post("/compose", {**form, "do": "part_drop:1"})
    assert parts(page) == ["Three"]


def test_a_file_goes_with_the_part_it_was_put_to(house: House) -> None:
    one, first, second = house.account(scopes=WITH_MEDIA), stored(house, "a.png"), stored(house, "b.png")
    form = {"text": "One", "accounts": [one], "part": ["Two"], "media": [first, second], f"part_of:{second}": "1",
            "when": "now", "nonce": "n"}
    page = house.post("/compose/choices", form, headers=HTMX)
    assert re.search(rf'name="part_of:{second}">.*?<option value="1" selected', page.text, re.S)
    page = house.post("/compose", {**form, "do": "part_drop:1"})
    assert second in page.text and "part_of" not in page.text, "the file stays with the post"
    assert house.post("/compose", form).status_code == 303
    kept = posted(house).content
    assert (kept["media"], kept["parts"]) == ([first], [{"text": "Two", "media": [second]}])


# ---------------------------------------------------------------- checks


def test_what_many_profiles_make_of_it_is_said_once(house: House) -> None:
    ids = [house.account(name=f"Branch {number}") for number in range(12)]
    page = words(house.post("/compose/check", {"text": "Buns", "accounts": ids}, headers=HTMX))
    assert "12 X profiles 4 / 280 Fits: Text." in page and "Branch 3" not in page
    page = words(house.post("/compose/check", {"text": "Buns", "accounts": ids, f"own:{ids[3]}": "a" * 300},
                            headers=HTMX))
    assert "11 X profiles" in page and "Branch 3 own text 300 / 280 20 characters too many" in page


def test_what_a_platform_counts_besides_is_said(house: House) -> None:
    page = house.post("/compose/check", {"text": "Buy $ACME now", "accounts": house.account()}, headers=HTMX)
    assert "1 of 1 cashtags" in words(page)


def test_pictures_without_description_are_mentioned_and_what_is_said_of_them_is_kept(house: House) -> None:
    one, media, other = house.account(scopes=WITH_MEDIA), stored(house), stored(house, "other.png")
    form = {"text": "Buns", "accounts": [one], "media": [media, other], "when": "now", "nonce": "n",
            f"alt:{media}": "", f"alt:{other}": ""}
    assert "2 pictures have no description" in words(house.post("/compose/check", form, headers=HTMX))
    form |= {f"alt:{media}": "Three buns"}
    assert "1 picture has no description" in words(house.post("/compose/check", form, headers=HTMX))
    assert house.post("/compose", form).status_code == 303
    assert house.row(Media, media).alt_text == "Three buns"
    page = words(house.post("/compose/check", {**form, f"alt:{media}": ""}, headers=HTMX))
    assert "2 pictures have no description" in page, "emptied for this post"


def test_typing_costs_little_with_a_hundred_profiles(house: House) -> None:
    counts, sizes = [], []
    ids: list[str] = []
    for wanted in (6, 100):
        ids += [house.account(PLATFORMS[number % 3], f"Branch {number}") for number in range(len(ids), wanted)]
        form = {"text": "Buns " * 40 + "https://example.com", "accounts": ids}
        house.post("/compose/check", form, headers=HTMX)
        answer, asked = counted(house, form)
        counts.append(asked)
        sizes.append(len(gzip.compress(answer.data)))
    assert counts[0] == counts[1] and max(sizes) < 5 * 1024
    assert len(gzip.compress(house.get("/compose").data)) < 20 * 1024


# ---------------------------------------------------------------- a dry run, and odd input


def test_a_dry_run_leaves_the_form_as_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def rehearse(*given: Any) -> list[Any]:
        asked.append(given)
        return []

    monkeypatch.setattr(rehearsal, "rehearse", rehearse)
    one = house.account()
    page = house.post("/compose", {"text": " Buns ", "accounts": [one], "do": "rehearse", "part": ["Two"]})
    assert page.status_code == 200 and "nothing was published" in words(page) and parts(page) == ["Two"]
    (_, content, ids, _), = asked
    assert content.text == "Buns" and ids == [one] and house.count(Post) == 0


def test_more_files_than_are_taken_at_once_are_said_and_the_first_are_there(house: House) -> None:
    one = house.account()
    files = [(io.BytesIO(picture()), f"bun-{number}.png") for number in range(30)]
    answer = house.post("/compose", {"text": "Buns", "accounts": [one], "when": "now", "nonce": "n", "files": files},
                        content_type="multipart/form-data")
    assert answer.status_code == 422 and "30 files came at once, and 20 are taken" in words(answer)
    assert len(set(re.findall(r'name="media" value="(\w+)"', answer.text))) == 20 and area(answer, "text") == "Buns"


def test_a_text_beyond_every_limit_is_said_at_its_field_and_kept(house: House) -> None:
    text = "a" * 200_000
    answer = house.post("/compose", {"text": text, "accounts": house.account(), "when": "now", "nonce": "n"})
    assert answer.status_code == 422 and 'id="text-error"' in answer.text and area(answer, "text") == text


@pytest.mark.parametrize("odd", [
    {"do": "part_up:99"}, {"do": "part_up:-1"}, {"do": "part_drop:²"}, {"do": "own", "own_for": "acc_stranger"},
    {"do": "common:"}, {"do": "all:nowhere"}, {"do": "nonsense:x:y"}, {"own:": "x"}, {"own:acc_stranger": "x"},
    {"part": ["x"] * 200}, {"option:": "x", "option:a": "y"}, {"part_of:med_x": "NaN", "media": "med_x"},
    {"fit": "x" * 5000}, {"do": "split"}, {"do": "add_part", "part": ["x"] * 25}, {"poll_minutes": "9" * 400}])
def test_odd_input_is_never_a_fault(house: House, odd: dict[str, Any]) -> None:
    form = {"text": "Buns", "accounts": [house.account(), "acc_stranger"], **odd}
    for path in ("/compose/check", "/compose/choices", "/compose/words"):
        for headers in ({}, HTMX):
            answer = house.post(path, form, headers=headers)
            assert answer.status_code == 200, (path, odd, answer.status_code)
    assert house.post("/compose", {"nonce": "n", "when": "now", **form}).status_code in (200, 303, 422)


def test_another_workspaces_profile_is_neither_chosen_nor_named(house: House) -> None:
    mine, theirs = house.account(), house.account(name="Secret Bakery", workspace=house.cast.cycles.id)
    form = {"text": "Buns", "accounts": [mine, theirs], f"own:{theirs}": "x", "own_for": theirs, "do": "own"}
    page = house.post("/compose", form)
    assert "Secret Bakery" not in page.text and theirs not in page.text


def test_a_file_of_the_library_opens_with_the_form(house: House) -> None:
    house.account(scopes=WITH_MEDIA)
    media = stored(house)
    with house.app.app_context(), writing() as session:
        session.get_one(Media, media).alt_text = "Three buns"
    page = house.get(f"/compose?media={media}&media=med_unknown")
    assert page.status_code == 200 and 'value="Three buns"' in page.text
