"""Compose with more than text: files, formats, choices of single platforms, polls, parts, a first comment."""

import html
import io
import re
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from socialconsole import guarded
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Delivery, Media, MediaUse, Post
from tests.journeys.tenant_house import House, words

WITH_MEDIA = ("tweet.read", "tweet.write", "users.read", "offline.access", "media.write")
HTMX = {"HX-Request": "true"}


def picture(size: tuple[int, int] = (900, 900), kind: str = "JPEG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, "orange").save(made, kind)
    return made.getvalue()


def send(house: House, content: bytes, name: str = "bun.jpg", **options: Any) -> Any:
    return house.post("/media", {"files": (io.BytesIO(content), name)}, content_type="multipart/form-data", **options)


def stored(house: House, content: bytes | None = None, name: str = "bun.jpg") -> str:
    answer = send(house, content or picture(), name, headers={"Accept": "application/json"})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json["media"][0]["id"])


def newest(house: House) -> tuple[Post, Delivery]:
    with house.app.app_context():
        post = db.session.scalars(select(Post).order_by(Post.id.desc())).first()
        assert post is not None
        return post, post.deliveries[0]


def test_a_picture_is_received_with_its_facts_and_asks_for_a_description(house: House) -> None:
    house.account()
    answer = send(house, picture(), headers=HTMX)
    assert answer.status_code == 200
    assert "bun.jpg" in answer.text and "900 × 900" in answer.text
    assert re.search(r'name="media" value="med_[A-Z0-9]+"', answer.text)
    assert re.search(r'<label for="alt-med_[A-Z0-9]+">Description', answer.text)


def test_a_file_that_lies_is_refused_in_words(house: House) -> None:
    house.account()
    answer = send(house, b"<html>hello</html>", headers=HTMX)
    assert answer.status_code == 422 and "bun.jpg" in answer.text


def test_a_post_with_a_picture_keeps_file_description_and_format(house: House) -> None:
    account = house.account(scopes=WITH_MEDIA)
    media = stored(house)
    form = {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1", "media": media,
            f"alt:{media}": "Three buns"}
    assert house.post("/compose", form).status_code == 303
    post, delivery = newest(house)
    assert post.content == {"media": [media], "alts": {media: "Three buns"}}
    assert delivery.format not in ("", "text") and not delivery.is_heavy
    with house.app.app_context():
        assert [use.media_id for use in db.session.scalars(select(MediaUse))] == [media]
        assert db.session.get_one(Media, media).used_at is not None
    page = house.get(f"/posts/{post.id}").text
    assert 'alt="Three buns"' in page


def test_a_format_whose_permission_is_missing_says_so_before_anything_is_sent(house: House) -> None:
    account = house.account()
    form = {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1", "media": stored(house)}
    answer = house.post("/compose", form)
    assert answer.status_code == 422
    assert "Picture needs media.write" in words(answer) or "needs media.write, which was not granted" in words(answer)


def test_without_script_the_form_itself_brings_the_file(house: House) -> None:
    account = house.account(scopes=WITH_MEDIA)
    form = {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1",
            "files": (io.BytesIO(picture()), "bun.jpg")}
    assert house.post("/compose", form, content_type="multipart/form-data").status_code == 303
    post, _ = newest(house)
    assert len(post.content["media"]) == 1


def test_a_refused_file_keeps_everything_that_was_typed(house: House) -> None:
    account = house.account()
    form = {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1", "first_comment": "First",
            "part": ["Second part"], "files": (io.BytesIO(b"nonsense"), "bun.jpg")}
    answer = house.post("/compose", form, content_type="multipart/form-data")
    assert answer.status_code == 422 and "bun.jpg" in words(answer)
    assert "Buns" in answer.text and "Second part" in answer.text


def test_a_file_that_was_cleaned_away_is_said_at_its_field_and_what_was_typed_stays(house: House) -> None:
    account, there = house.account(scopes=WITH_MEDIA), stored(house)
    form = {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1",
            "media": ["med_01J0000000000000000000000", there]}
    for path, status in (("/compose", 422), ("/compose/check", 200), ("/compose/choices", 200)):
        answer = house.post(path, form)
        assert answer.status_code == status and "Buns" in answer.text and there in answer.text
        assert "not kept any more" in words(answer) and "med_01J0000000000000000000000" not in answer.text
    with house.app.app_context():
        assert db.session.query(Post).count() == 0
    assert house.post("/compose", {**form, "media": there}).status_code == 303


def test_a_strangers_file_is_as_one_that_is_not_there(house: House) -> None:
    account, mine = house.account(), stored(house)
    with house.app.app_context(), writing() as session:
        session.get_one(Media, mine).workspace_id = house.cast.cycles.id
    answer = house.post("/compose", {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1", "media": mine})
    assert answer.status_code == 422 and mine not in answer.text


def test_an_earlier_post_whose_file_was_deleted_fills_the_form_without_it(house: House) -> None:
    account, media = house.account(scopes=WITH_MEDIA), stored(house)
    house.post("/compose", {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1", "media": media})
    with house.app.app_context(), writing() as session:
        post_id = session.query(Post.id).scalar()
        session.query(MediaUse).delete()
        session.query(Media).delete()
    page = house.get(f"/compose?from={post_id}")
    assert page.status_code == 200 and "Buns" in page.text and media not in page.text


def test_a_part_is_added_and_a_file_taken_out_without_script(house: House) -> None:
    account = house.account()
    media = stored(house)
    form = {"text": "Buns", "accounts": account, "media": media, "part": ["Second"]}
    page = house.post("/compose/check", {**form, "do": "add_part"})
    assert page.status_code == 200 and page.text.count('name="part"') == 2 and "Second" in page.text
    page = house.post("/compose/check", {**form, "do": f"remove:{media}"})
    assert media not in page.text and "Buns" in page.text


def test_a_chain_is_kept_part_by_part_and_each_part_is_checked(house: House) -> None:
    account = house.account()
    form = {"text": "One", "accounts": account, "when": "now", "nonce": "n1", "part": ["Two", " ", "a" * 281]}
    answer = house.post("/compose", form)
    assert answer.status_code == 422 and "Part 3: 1 character too many" in words(answer)
    assert house.post("/compose", {**form, "part": ["Two", " ", "Three"]}).status_code == 303
    post, _ = newest(house)
    assert [one["text"] for one in post.content["parts"]] == ["Two", "Three"]


@pytest.mark.parametrize(("options", "status"), [(["Yes", "No"], 303), (["Yes"], 422), (["Yes", "a" * 26], 422)])
def test_a_poll_is_checked_like_the_text(house: House, options: list[str], status: int) -> None:
    account = house.account()
    answer = house.post("/compose", {"text": "Buns?", "accounts": account, "when": "now", "nonce": "n1",
                                     "poll_option": options, "poll_minutes": "1440"})
    assert answer.status_code == status
    if status == 303:
        assert newest(house)[1].format == "poll"


def test_the_choices_of_a_platform_are_asked_and_kept(house: House) -> None:
    account = house.account()
    page = house.post("/compose/choices", {"text": "Buns", "accounts": account}, headers=HTMX)
    assert f'name="option:{account}:reply_settings"' in page.text
    form = {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1",
            f"option:{account}:reply_settings": "following", f"shown:{account}": "reply_settings"}
    assert house.post("/compose", form).status_code == 303
    assert newest(house)[1].options == {"reply_settings": "following"}


def test_an_invented_choice_is_refused_at_its_field(house: House) -> None:
    account = house.account()
    answer = house.post("/compose", {"text": "Buns", "accounts": account, "when": "now", "nonce": "n1",
                                     f"option:{account}:reply_settings": "nobody"})
    assert answer.status_code == 422
    assert "does not offer this choice" in words(answer)


def test_what_a_post_costs_is_said_before_it_goes_out(house: House) -> None:
    account = house.account()
    page = house.post("/compose/check", {"text": "Read https://example.com", "accounts": account}, headers=HTMX)
    assert "$0.20" in page.text


class TestAFileFromAnAddress:
    @pytest.fixture
    def web(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What lies at the address."""
        there: dict[str, Any] = {"status": 200, "type": "image/jpeg", "body": picture()}

        def get(address: str, *, into: Any, **limits: Any) -> guarded.Fetched:
            into.write_bytes(there["body"])
            return guarded.Fetched(address, there["status"], there["type"], path=into)

        monkeypatch.setattr(guarded, "get", get)
        return there

    def fetch(self, house: House) -> Any:
        return house.post("/compose/check", {"text": "Buns", "do": "fetch", "accounts": house.account(),
                                             "file_address": "https://pictures.example.com/bun.jpg"})

    def test_becomes_a_file_of_the_post(self, house: House, web: dict[str, Any]) -> None:
        page = self.fetch(house)
        assert re.search(r'name="media" value="med_[A-Z0-9]+"', page.text) and "bun.jpg" in page.text
        assert 'value="https://pictures.example.com' not in page.text, "it was fetched, so the field is empty again"

    @pytest.mark.parametrize(("there", "words_of_it"), [
        ({"status": 404}, "the server answered 404"), ({"type": "text/html"}, "leads to a web page"),
        ({"body": b"not a picture"}, "bun.jpg")])
    def test_what_is_none_is_said_and_nothing_typed_is_lost(
            self, house: House, web: dict[str, Any], there: dict[str, Any], words_of_it: str) -> None:
        web |= there
        page = self.fetch(house)
        assert words_of_it in words(page) and "Buns" in page.text
        assert 'value="https://pictures.example.com/bun.jpg"' in page.text

    def test_nothing_is_fetched_while_somebody_types(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guarded, "get", lambda *_, **__: pytest.fail("fetched"))
        form = {"text": "Buns", "accounts": house.account(), "file_address": "https://pictures.example.com/b"}
        assert house.post("/compose/check", form, headers=HTMX).status_code == 200
        assert house.post("/compose/choices", form, headers=HTMX).status_code == 200

    def test_an_inner_address_is_refused(self, house: House) -> None:
        page = house.post("/compose/check", {"text": "Buns", "do": "fetch", "accounts": house.account(),
                                             "file_address": "http://127.0.0.1:6379/"})
        assert page.status_code == 200 and 'role="alert"' in page.text


def test_a_refused_file_stands_in_the_way_until_it_is_taken_off(house: House) -> None:
    account = house.account()
    item = send(house, b"<html>hello</html>", headers=HTMX).text
    said = re.search(r'name="refused" value="([^"]+)"', item)
    assert said is not None
    form = {"text": "Look at this", "accounts": account, "when": "now", "nonce": "n1",
            "refused": html.unescape(said[1])}
    answer = house.post("/compose", form)
    assert answer.status_code == 422 and "Take it off the list" in words(answer)
    assert "1 to fix" in words(house.post("/compose/check", form, headers=HTMX))
    page = house.post("/compose/check", {**form, "do": f"forget:{html.unescape(said[1])}"})
    assert 'name="refused"' not in page.text and "Look at this" in page.text
    assert house.post("/compose", {**form, "refused": []}).status_code == 303


def test_a_post_without_text_can_be_opened_from_the_list(house: House) -> None:
    post, _ = house.delivery("published", text="")
    assert re.search(rf'href="[^"]*/posts/{post}">[^<]+</a>', house.get("/posts").text)


def test_what_was_deleted_looks_deleted(house: House) -> None:
    post, _ = house.delivery("published", permalink="https://x.com/acme/status/1", deleted_at=house.clock(),
                             parts=[{"id": "1", "permalink": "https://x.com/acme/status/1"}])
    page = house.get(f"/posts/{post}").text
    assert "Deleted" in words(page) and "https://x.com/acme/status/1" not in page
    assert "https://x.com/acme/status/1" not in house.get("/posts").text
