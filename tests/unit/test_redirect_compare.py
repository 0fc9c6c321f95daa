"""What a portal holds beside the callback: the first difference, marked and in words."""

import pytest

from socialconsole.providers import PROVIDERS
from socialconsole.providers.paste_facts import CallbackRule
from socialconsole.redirect_compare import ALMOST, OTHER, SAME, broken_rules, compare

OURS = "https://console.example.com/api/connect/threads/callback"
RULE = CallbackRule("It compares character by character.")
SEGMENTS = {"youtube": "YouTube"}


def only(pasted, callback=OURS, rule=RULE):
    found = compare(callback, pasted, rule, SEGMENTS)
    assert len(found.lines) == 1
    return found.lines[0]


def test_the_same_is_said_plainly():
    line = only(f'  "{OURS}",\n')
    assert line.tone == SAME and "character by character" in line.sentence


@pytest.mark.parametrize(("pasted", "words", "mark"), [
    (OURS + "/", "slash at the end that the callback does not have", "/"),
    (OURS.replace("https", "http"), "scheme differs: http there, https here", ":"),
    (OURS.replace("https", "HTTPS"), "case differs", "H"),
    (OURS.replace("console.", "konsole."), "host differs: konsole.example.com there", "k"),
    (OURS.replace("console.", "www.console."), "www.", "w"),
    (OURS.replace("example", "Example"), "case of the host", "E"),
    (OURS.replace(".com", ".com:8443"), "port differs: 8443 there, none here", ":"),
    (OURS.replace(".com", ".com:443"), "port is written out on one side only", ":"),
    (OURS.replace(".com", ".com:99999"), "no number", ":"),
    (OURS.replace("threads", "youtube"), "callback of YouTube", "y"),
    (OURS.replace("threads", "threads-2"), "“threads-2” there", "-"),
    (OURS.replace("callback", "Callback"), "case of the path", "C"),
    (OURS.replace("callback", "c%61llback"), "percent-encoding", "%"),
    (OURS.replace("/api", "/console/api"), "“/console” stands before it", "c"),
    (OURS.replace("/api", "//api"), "two slashes", "/"),
    (OURS.replace("/api/connect", "/connect"), "“/api” is missing", "c"),
    ("https://console.example.com", "path is missing", ""),
    (OURS + "?from=portal", "query", "?"),
    (OURS.replace("console", "c\u043ensole"), "CYRILLIC SMALL LETTER O", "\u043e"),
    (OURS.replace("console", "con\u200bsole"), "invisible", "\u200b"),
    (OURS.replace("/callback", "/ callback"), "blank at character", " "),
    (OURS.removeprefix("https://"), "beginning is missing", "c"),
    (OURS.replace("https://", "https://me@"), "user name", "m"),
    (OURS[:-1], "path differs", ""),
])
def test_the_first_difference_is_marked_and_named(pasted, words, mark):
    line = only(pasted)
    assert line.tone == OTHER and words in line.sentence, line
    assert line.pasted.mark == mark
    assert line.pasted.before == line.expected.before == OURS[:len(line.pasted.before)]
    assert line.sentence.endswith(".")


def test_a_missing_slash_where_the_callback_has_one():
    line = only(OURS, OURS + "/")
    assert "missing" in line.sentence and (line.pasted.mark, line.expected.mark) == ("", "/")


def test_every_line_is_compared_and_the_right_one_counts():
    found = compare(OURS, f"https://other.example.com/cb\n\n{OURS}\nnonsense canary", RULE)
    assert [line.tone for line in found.lines] == [OTHER, SAME, OTHER] and found.tone == SAME
    assert "other 2 lines" in found.summary
    assert "canary" not in str(found.lines[2]), "what is no address is not shown again"


def test_a_query_is_never_shown_again():
    found = compare(OURS, f"{OURS}?code=canary&state=canary#canary\nhttps://e.example/?access_token=canary", RULE)
    assert "canary" not in str(found)


def test_platforms_differ_in_what_they_forgive():
    line = only(OURS + "?x=1", rule=PROVIDERS["linkedin"].paste.callback)
    assert line.tone == SAME
    line = only(OURS + "/", rule=PROVIDERS["threads"].paste.callback)
    assert line.tone == ALMOST and "open it again" in line.sentence


def test_nothing_and_nonsense_break_nothing():
    assert compare(OURS, " \n ", RULE).tone == OTHER
    for text in ("http://[::1", "https://", "://", "\x00\x01", "https://[", "/" * 5000, "\u202ehttps://x.example"):
        assert compare(OURS, text, RULE).lines
    assert len(compare(OURS, "https://x.example/cb\n" * 500, RULE).lines) == 50


@pytest.mark.parametrize(("slug", "mode", "callback", "is_broken"), [
    ("facebook", "", "http://localhost:5000/cb", False), ("facebook", "", "http://127.0.0.1/cb", True),
    ("instagram", "facebook_login", "http://localhost/cb", False),
    ("instagram", "instagram_login", "http://localhost/cb", True),
    ("threads", "", "https://localhost/cb", True), ("linkedin", "member", "http://localhost/cb", True),
    ("twitter", "", "http://127.0.0.1:8000/cb", False), ("twitter", "", "http://localhost/cb", True),
    ("tiktok", "", "https://a.example/" + "x" * 600, True), ("youtube", "", "https://console.local/cb", True),
    ("youtube", "", "https://192.168.0.5/cb", True), ("youtube", "", "http://127.0.0.1/cb", False),
    ("youtube", "", "https://console/cb", True), ("youtube", "", "https://console.example.com/cb", False),
])
def test_what_a_platform_takes_at_all(slug, mode, callback, is_broken):
    assert bool(broken_rules(PROVIDERS[slug].paste.callback_of(mode), callback)) is is_broken
