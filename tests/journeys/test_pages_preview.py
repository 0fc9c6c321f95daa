"""The preview beside the compose form: one card for each appearance, cards of links, and nothing waits for them."""

import io
import re
from typing import Any

import pytest
from PIL import Image

from socialconsole import guarded, previews
from socialconsole.providers.content import Preview
from tests import made_files as made
from tests.journeys.tenant_house import HTMX, House, words

PAGE = "https://bakery.example/buns"
WITH_MEDIA = ("tweet.read", "tweet.write", "users.read", "offline.access", "media.write")


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    previews._known.clear()


def look(house: House, form: dict[str, Any], **headers: str) -> Any:
    answer = house.post("/compose/preview", form, headers={**HTMX, **headers})
    assert answer.status_code == 200, answer.text
    return answer


def stored(house: House, size: tuple[int, int]) -> str:
    plain = io.BytesIO()
    Image.new("RGB", size, "orange").save(plain, "JPEG")
    answer = house.post("/media", {"files": (io.BytesIO(plain.getvalue()), "bun.jpg")},
                        content_type="multipart/form-data", headers={"Accept": "application/json"})
    return str(answer.json["media"][0]["id"])


def test_the_preview_shows_name_handle_and_styled_text(house: House) -> None:
    account = house.account()
    answer = look(house, {"text": "Buns at https://bakery.example/a\n#buns by @mara", "accounts": account})
    assert "<html" not in answer.text and "Acme Bakery" in answer.text and "@acme" in answer.text
    assert '<span class="look-tag">#buns</span>' in answer.text
    assert '<span class="look-mention">@mara</span>' in answer.text
    assert '<span class="look-link">https://bakery.example/a</span>\n' in answer.text
    assert "style=" not in answer.text and "onclick" not in answer.text


def test_a_text_is_never_read_as_markup(house: House) -> None:
    answer = look(house, {"text": '<img src=x onerror=alert(1)> "quoted" #a"b', "accounts": house.account()})
    assert "<img src=x" not in answer.text and "&lt;img src=x onerror" in answer.text


def test_profiles_whose_readers_see_the_same_share_a_card_and_one_card_is_shown(house: House) -> None:
    first, second = house.account(user="one"), house.account(user="two")
    page_id = house.account("facebook", "Acme on Facebook", "acmepage")
    form = {"text": "Buns " * 150, "accounts": [first, second, page_id]}
    answer = look(house, form)
    assert answer.text.count('name="preview"') == 2 and answer.text.count("<article") == 1
    assert "and 1 more" in words(answer)
    chosen = look(house, {**form, "preview": page_id})
    assert "Acme on Facebook" in re.search(r"<article.*?</article>", chosen.text, re.S)[0]  # type: ignore[index]
    assert f'value="{page_id}" checked' in chosen.text and "… more" in chosen.text


def test_a_choice_that_is_not_there_any_more_falls_back_to_the_first(house: House) -> None:
    account = house.account()
    assert "<article" in look(house, {"text": "Buns", "accounts": account, "preview": "acc_nobody"}).text


def test_pictures_are_drawn_as_they_are_cut(house: House) -> None:
    account = house.account(scopes=WITH_MEDIA)
    media = stored(house, (1600, 400))
    answer = look(house, {"text": "Buns", "accounts": account, "media": media, f"alt:{media}": "Three buns"})
    assert f"/media/{media}/thumbnail" in answer.text and "xMidYMid slice" in answer.text
    assert "Picture: Three buns" in answer.text and "bun.jpg: the sides are cut off." in words(answer)


def test_parts_and_first_comment_are_shown(house: House) -> None:
    answer = look(house, {"text": "One", "part": ["Two", "Three"], "accounts": house.account()})
    assert answer.text.count("look-part") >= 3 and "Part 3" in words(answer)


def test_nothing_written_and_nobody_chosen_are_said(house: House) -> None:
    assert "Choose a profile" in words(look(house, {"text": "Buns"}))
    assert "Nothing to see yet" in words(look(house, {"text": "", "accounts": house.account()}))


def test_a_strangers_profile_is_not_shown(house: House) -> None:
    stranger = house.account(name="Their shop", workspace=house.cast.cycles.id)
    assert "Their shop" not in look(house, {"text": "Buns", "accounts": stranger}).text


def test_without_script_the_preview_is_a_page(house: House) -> None:
    answer = house.post("/compose/preview", {"text": "Buns", "accounts": house.account()})
    assert answer.status_code == 200 and "<html" in answer.text and "Buns" in answer.text


def test_a_hundred_profiles_make_a_small_answer_and_few_queries(house: House) -> None:
    ids = [house.account(user=f"u{number}", name=f"Shop {number}") for number in range(100)]
    answer = look(house, {"text": "Buns " * 20, "accounts": ids}, **{"Accept-Encoding": "gzip"})
    assert len(answer.data) < 5 * 1024


# ---------------------------------------------------------------- cards of links


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The web: address -> (type, body); how often each was asked for stands under `asked`."""
    pages: dict[str, Any] = {"asked": []}

    def get(url: str, **options: Any) -> guarded.Fetched:
        pages["asked"].append(url)
        if url not in pages:
            raise guarded.Refused("not there.")
        kind, body = pages[url]
        return guarded.Fetched(url, 200, kind, "utf-8", body)

    monkeypatch.setattr(guarded, "get", get)
    return pages


def test_the_typing_never_waits_for_the_page_behind_a_link(house: House, web: dict[str, Any]) -> None:
    answer = look(house, {"text": f"See {PAGE}", "accounts": house.account()})
    assert web["asked"] == [] and "/compose/card" in answer.text and "bakery.example" in answer.text
    house.post("/compose/check", {"text": f"See {PAGE}", "accounts": house.account(user="b")}, headers=HTMX)
    assert web["asked"] == []


def test_a_card_is_read_once_and_shown_from_then_on(house: House, web: dict[str, Any]) -> None:
    account = house.account()
    web[PAGE] = ("text/html", b'<title>Saffron buns</title><meta property="og:image" content="/bun.png">')
    web["https://bakery.example/bun.png"] = ("image/png", made.picture("PNG", (60, 40)))
    for _ in range(2):
        answer = house.post("/compose/card", {"address": PAGE}, headers=HTMX)
        assert answer.status_code == 200 and "Saffron buns" in answer.text
    assert len(web["asked"]) == 2  # page and picture, once
    shown = look(house, {"text": f"See {PAGE}", "accounts": account})
    assert "Saffron buns" in shown.text and "hx-vals" not in shown.text
    source = re.search(r'<img src="([^"]+\.jpg)"', shown.text)
    assert source is not None
    picture = house.client.get(source[1])
    assert picture.status_code == 200 and picture.mimetype == "image/jpeg" and picture.data[:2] == b"\xff\xd8"


def test_a_page_that_cannot_be_read_is_left_alone_for_a_while(house: House, web: dict[str, Any]) -> None:
    for _ in range(3):
        answer = house.post("/compose/card", {"address": PAGE}, headers=HTMX)
        assert "could not be read" in words(answer)
    assert web["asked"] == [PAGE]


def test_a_link_into_the_private_network_is_not_followed(house: House) -> None:
    answer = house.post("/compose/card", {"address": "http://127.0.0.1:1/secret"}, headers=HTMX)
    assert answer.status_code == 200 and "could not be read" in words(answer)


@pytest.mark.parametrize("address", ["", "javascript:alert(1)", "file:///etc/passwd", "https://[", "x" * 5000,
                                     "https://a.example/" + "x" * 5000])
def test_what_is_no_address_makes_no_card_and_no_error(house: House, web: dict[str, Any], address: str) -> None:
    assert house.post("/compose/card", {"address": address}, headers=HTMX).status_code == 200
    assert [one for one in web["asked"] if len(one) > guarded.LONGEST_URL] == []


@pytest.mark.parametrize("name", ["preview_x", "..%2f..%2fconsole.db", "preview_" + "0" * 32])
def test_only_pictures_of_cards_are_served(house: House, name: str) -> None:
    assert house.get(f"/compose/card/{name}.jpg").status_code == 404


def test_many_pages_at_once_never_hold_up_the_console(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [previews._readers.acquire(blocking=False) for _ in range(previews.MOST_AT_ONCE)]
    try:
        monkeypatch.setattr(previews, "read", lambda *_: Preview(PAGE, title="never"))
        with house.app.app_context():
            assert previews.glance(PAGE) is None
    finally:
        for _ in taken:
            previews._readers.release()
