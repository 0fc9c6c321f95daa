"""Splitting a text into parts: at sentence ends, never inside a link, a mention, a hashtag or a letter."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socialconsole.providers.oauth2 import connectable
from socialconsole.splitting import letters, split

FAMILY = "👨‍👩‍👧"


def at_most(room: int):
    return lambda text: len(text) <= room


@pytest.mark.parametrize(("text", "room", "parts"), [
    ("One. Two. Three.", 10, ["One. Two.", "Three."]),
    ("Short.", 280, ["Short."]),
    ("", 10, []),
    ("First thought.\n\nSecond thought here. And more.", 30, ["First thought.", "Second thought here. And more."]),
    ("Really? Yes! “Quoted.” Done.", 13, ["Really? Yes!", "“Quoted.”", "Done."]),
    ("Am 3. Oktober ist frei. Danach nicht.", 25, ["Am 3. Oktober ist frei.", "Danach nicht."]),
    ("Wir backen z. B. Brot. Und mehr.", 23, ["Wir backen z. B. Brot.", "Und mehr."]),
    ("one two three four", 9, ["one two", "three", "four"]),
    ("パンが焼けた。今日も来てね。", 8, ["パンが焼けた。", "今日も来てね。"]),
    ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
])
def test_a_part_ends_where_a_reader_pauses(text: str, room: int, parts: list[str]) -> None:
    assert split(text, at_most(room), 25) == parts


@pytest.mark.parametrize("atom", ["https://example.com/a.very/long?path=1#x", "@somebody.with.a.name", "#SaffronBuns",
                                  "www.example.com/and.so.on"])
@pytest.mark.parametrize("room", range(8, 30))
def test_what_belongs_together_is_never_cut(atom: str, room: int) -> None:
    text = f"Read this now {atom} and then (really) go on. {atom}. Done"
    parts = split(text, at_most(room), 99)
    assert sum(part.count(atom) for part in parts) == 2
    assert all(len(part) <= room or atom in part for part in parts)


@pytest.mark.parametrize("sign", [FAMILY, "👍🏽", "e\u0301", "🇩🇪", "1\ufe0f\u20e3", "\u1112\u1161\u11ab",
                                  "🏴\U000e0067\U000e0062\U000e007f"])
def test_a_letter_is_never_cut(sign: str) -> None:
    parts = split(sign * 40, at_most(3 * len(sign) - 1), 99)
    assert "".join(parts) == sign * 40 and all(len(part) % len(sign) == 0 for part in parts)
    assert letters(sign * 3) == [len(sign), 2 * len(sign), 3 * len(sign)]


def test_the_last_part_takes_what_is_left() -> None:
    parts = split("One. Two. Three. Four.", at_most(5), 3)
    assert parts == ["One.", "Two.", "Three. Four."]


def test_a_long_text_is_not_counted_over_and_over() -> None:
    counted: list[int] = []

    def fits(text: str) -> bool:
        counted.append(len(text))
        return len(text) <= 280

    text = "A sentence of some length, as people write them. " * 1400
    parts = split(text, fits, 25)
    assert len(parts) == 25 and sum(counted) < 40 * 25 * 280


def test_each_platform_counts_in_its_own_way() -> None:
    text = "Look at https://example.com/a/very/long/address/that/counts/as/twenty-three now. " * 12
    provider = connectable("twitter")
    parts = split(text, lambda part: provider.count(part) <= 280, 25)
    assert all(provider.count(part) <= 280 for part in parts) and len(parts) == 2
    assert all(len(part) > 280 for part in parts[:1]), "an address counts as 23 signs there"


@pytest.mark.parametrize("text", ["a" * 70_000, "🇩🇪" * 17_000, "e\u0301" * 35_000, "@" * 70_000, "ab. " * 17_000,
                                  "." * 70_000, "?!" * 35_000, ".\"" * 35_000])
def test_the_longest_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    assert "".join("".join(split(text, at_most(280), 25)).split()) == "".join(text.split())
    assert time.process_time() - begun < 2


WORDS = st.sampled_from(["bun", "Saffron", "https://example.com/x.y?z=1", "@acme.bakery", "#bread", FAMILY, "Ja.",
                         "So?", "z. B.", "\n\n", "\n", " ", "  ", "。", "3.", "e\u0301" * 7, "x" * 30, "…"])


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=60).map(" ".join), st.integers(4, 60), st.integers(1, 30))
def test_nothing_is_lost_and_every_part_fits(text: str, room: int, most: int) -> None:
    parts = split(text, at_most(room), most)
    assert re.sub(r"\s", "", "".join(parts)) == re.sub(r"\s", "", text)
    assert len(parts) <= most and all(part and part == part.strip() for part in parts)
    for part in parts[:most - 1]:
        assert len(part) <= room or re.search(r"https?://|@|#", part) or len(letters(part)) == 1
    for atom in ("https://example.com/x.y?z=1", "@acme.bakery", "#bread", FAMILY):
        assert sum(part.count(atom) for part in parts) == text.count(atom)
