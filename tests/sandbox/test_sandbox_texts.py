"""How the sandbox measures X's text and shows LinkedIn's."""

import pytest

from socialconsole.sandbox.counting import links, weighted_length
from socialconsole.sandbox.little_text import shown


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Hello", 5),
        ("caf\u00e9", 4),
        ("cafe\u0301", 4),
        ("日本", 4),
        ("…", 2),
        ("“quoted”", 8),
        ("https://example.com/a?b=c", 23),
        ("https://harbour.example/a", 25),
        ("http://127.0.0.1:8000/", 22),
        ("see example.com now", 4 + 23 + 4),
        ("see example.com. Now", 4 + 23 + 5),
        ("(see example.com/a(b))", 5 + 23 + 1),
        ("me@example.com", 14),
        ("👍", 2),
        ("👍🏽", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("🇸🇪🇵🇹", 4),
        ("1️⃣", 2),
        ("❤️", 2),
        ("🏳️‍🌈", 2),
    ],
)
def test_x_counts(text, length):
    assert weighted_length(text) == length


def test_links_end_before_punctuation():
    assert links("(https://example.com/b), example.org!") == ["https://example.com/b", "example.org"]


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("plain", "plain"),
        ("a \\(b\\) \\#c \\@d \\\\", "a (b) #c @d \\"),
        ("a (b)", "a "),
        ("under_score", "under"),
        ("#tag and # not", "#tag and "),
        ("{hashtag|\\#|word} on", "#word on"),
        ("by @[Acme](urn:li:organization:12)", "by Acme"),
        ("see https://a.example/b_c~d?e=f#g ok", "see https://a.example/b_c~d?e=f#g ok"),
        ("\\(https://a.example/b\\_c\\)", "(https://a.example/b_c)"),
        ("see https://a.example/b(c", "see https://a.example/b"),
    ],
)
def test_linkedin_shows(sent, seen):
    assert shown(sent) == seen
