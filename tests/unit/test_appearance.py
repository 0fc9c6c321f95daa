"""What readers will see: texts cut where each platform cuts them, pictures laid out and cropped as it does."""

from pathlib import Path

import pytest

from socialconsole import appearance
from socialconsole.appearance import Run, laid, runs, sight, whole
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Provider
from socialconsole.providers.content import DOCUMENT, IMAGE, VIDEO, Draft, File, Format, Look, Poll
from socialconsole.providers.oauth2 import CONNECTABLE, connectable


def file(number=1, size=(1000, 1000), kind=IMAGE, **facts):
    return File(f"med_{number}", kind, "image/jpeg", 1000, Path("-"), name=f"bun-{number}.jpg", width=size[0],
                height=size[1], **facts)


def seen(slug, text="", files=(), format="", *, parts=(), **draft):
    provider = connectable(slug)
    shown = next((one for one in provider.formats_of("", "") if one.slug == format), None)
    drafts = [Draft(text, "1", files=tuple(files), format=format, **draft), *parts]
    return appearance.appearance(slug, provider.look, shown, drafts, provider.count)


def plain(text):
    return "".join(run.text for run in text.runs)


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize("slug", CONNECTABLE)
def test_every_platform_says_how_it_looks_and_where_that_is_from(slug):
    provider = PROVIDERS[slug]
    assert provider.look is not Provider.look and provider.look.seen
    slugs = {one.slug for one in provider.formats}
    assert {*provider.look.upright, *provider.look.cards} <= slugs
    assert not provider.look.title or provider.look.title in {one.name for one in provider.fields}
    for least, most in filter(None, (provider.look.picture, provider.look.video)):
        assert 0 < least <= most
    assert provider.look.collage in (1, *appearance._PLACES)


@pytest.mark.parametrize(("slug", "fold"), [
    ("facebook", 477), ("instagram", 125), ("linkedin", 210), ("tiktok", 90), ("youtube", 157)])
def test_a_long_text_is_cut_where_the_platform_cuts_it(slug, fold):
    text = "word " * 400
    shown = seen(slug, text).parts[0].text
    assert fold - appearance.ENDING <= len(plain(shown)) <= fold
    assert len(plain(shown)) + shown.hidden == len(text) and plain(shown).endswith("word")


def test_a_short_text_and_what_a_platform_shows_whole_are_not_cut():
    for slug in CONNECTABLE:
        assert seen(slug, "Buns").parts[0].text == appearance.Text((Run("Buns"),))
    assert seen("threads", "x" * 500).parts[0].text.hidden == 0
    assert seen("twitter", "x" * 280).parts[0].text.hidden == 0


def test_a_fold_counts_as_the_platform_counts():
    assert seen("twitter", "x" * 400).parts[0].text.hidden == 120
    assert seen("twitter", "字" * 200).parts[0].text.hidden == 60  # each counts twice
    link = "https://example.com/" + "a" * 300
    assert seen("twitter", f"{link} bun").parts[0].text.hidden == 0  # an address counts 23


def test_line_breaks_fill_the_lines_in_sight():
    shown = seen("linkedin", "One\nTwo\nThree\nFour").parts[0].text
    assert plain(shown) == "One\nTwo\nThree" and shown.hidden == len("\nFour")
    assert plain(seen("instagram", "One\n\nThree").parts[0].text) == "One"


def test_a_title_stands_above_and_is_cut_by_itself():
    part = seen("youtube", "About buns", [file(kind=VIDEO)], "video", options={"title": "B" * 90}).parts[0]
    assert part.title is not None and (len(plain(part.title)), part.title.hidden) == (70, 20)
    missing = seen("youtube", "About buns", [file(kind=VIDEO)], "video").parts[0].title
    assert missing == appearance.Text()
    assert seen("facebook", "Buns").parts[0].title is None


# ---------------------------------------------------------------- cutting


@pytest.mark.parametrize("text", ["👩\u200d👩\u200d👧", "🇸🇪", "e\u0301", "👍🏽", "❤\ufe0f",
                                  "🏴\U000e0067\U000e0062\U000e007f"])
def test_no_sign_is_cut_in_two(text):
    for end in range(1, len(text)):
        assert whole("ab" + text, 2 + end) == 2


def test_flags_in_a_row_are_cut_between_two_of_them():
    assert [whole("🇸🇪🇩🇰", end) for end in range(1, 4)] == [0, 2, 2]


def test_a_word_stays_whole_where_its_end_is_near_and_a_long_one_is_cut():
    assert plain(sight("one two threefour", 12, None, len)) == "one two"
    assert plain(sight("x" * 200, 50, None, len)) == "x" * 50
    assert plain(sight("one two three", 7, None, len)) == "one two"
    assert sight("", 5, 1, len) == appearance.Text()


def test_links_tags_and_mentions_stand_apart():
    assert list(runs("Hi @mara.l, see https://a.example/x?y=1. #buns #3 a@b.de")) == [
        Run("Hi "), Run("@mara.l", "mention"), Run(", see "), Run("https://a.example/x?y=1", "link"), Run(". "),
        Run("#buns", "tag"), Run(" "), Run("#3", "tag"), Run(" a@b.de")]
    hostile = "<script>alert(1)</script> " + "@" * 5000 + "#" * 5000
    assert "".join(run.text for run in runs(hostile)) == hostile


# ---------------------------------------------------------------- pictures


def test_one_picture_is_cropped_to_what_the_platform_shows():
    tall = seen("facebook", "", [file(size=(500, 1000))], "image").parts[0]
    assert tall.gallery is not None and tall.gallery.height == 1250
    assert tall.notes == ("bun-1.jpg: top and bottom are cut off.",)
    wide = seen("twitter", "", [file(size=(3000, 1000))], "image").parts[0]
    assert wide.gallery is not None and wide.gallery.height == 500 and "the sides are cut off" in wide.notes[0]
    assert seen("instagram", "", [file(size=(1080, 1350))], "image").parts[0].notes == ()
    assert seen("threads", "", [file(size=(0, 0))], "image").parts[0].notes == ()  # not measured: nothing is claimed


@pytest.mark.parametrize(("slug", "count", "tiles", "more"), [
    ("twitter", 2, 2, 0), ("twitter", 3, 3, 0), ("twitter", 4, 4, 0), ("facebook", 5, 5, 0), ("facebook", 10, 5, 5),
    ("linkedin", 7, 5, 2)])
def test_several_pictures_are_laid_out_together(slug, count, tiles, more):
    gallery = laid(connectable(slug).look, [file(number) for number in range(count)])
    assert gallery is not None and len(gallery.tiles) == tiles and gallery.tiles[-1].more == more
    assert gallery.leafs == 0
    for tile in gallery.tiles:
        assert tile.x + tile.width <= appearance.WIDE + 1 and tile.y + tile.height <= gallery.height + 1
    covered = sum(tile.width * tile.height for tile in gallery.tiles)
    assert 0.95 < covered / (appearance.WIDE * gallery.height) <= 1


def test_a_carousel_takes_the_shape_of_its_first_picture():
    part = seen("instagram", "", [file(1, (1000, 1250)), file(2, (1600, 1000)), file(3, (1000, 1250))],
                "carousel").parts[0]
    assert part.gallery is not None and part.gallery.leafs == 3
    assert part.notes == ("bun-2.jpg: the sides are cut off.", "All pictures get the shape of the first one.")


def test_threads_lets_each_picture_keep_its_shape():
    part = seen("threads", "", [file(1, (1000, 1250)), file(2, (1600, 1000))], "carousel").parts[0]
    assert part.gallery is not None and part.gallery.leafs == 2 and part.notes == ()


def test_an_upright_format_is_drawn_upright_with_bars():
    whole_post = seen("youtube", "", [file(kind=VIDEO, size=(1000, 1000), seconds=12.0)], "short")
    gallery = whole_post.parts[0].gallery
    assert whole_post.is_upright and gallery is not None and gallery.height == round(1000 * 16 / 9)
    assert whole_post.parts[0].notes == ("bun-1.jpg: shown whole, with empty bars beside it.",)
    assert seen("youtube", "", [file(kind=VIDEO, size=(1080, 1920))], "short").parts[0].notes == ()


def test_a_video_is_never_said_to_be_cut_and_a_document_keeps_its_pages():
    assert "empty bars" in seen("youtube", "", [file(kind=VIDEO, size=(1000, 1000))], "video").parts[0].notes[0]
    part = seen("linkedin", "", [file(kind=DOCUMENT, size=(0, 0), pages=7)], "document").parts[0]
    assert part.gallery is not None and part.notes == ()


# ---------------------------------------------------------------- cards, polls, parts


def test_a_card_stands_only_where_the_platform_builds_one():
    link = {"link": "https://bakery.example/a"}
    assert seen("twitter", "See https://bakery.example/a", format="text", **link).parts[0].link == link["link"]
    for slug in ("facebook", "threads"):
        assert all(seen(slug, "x", format=one, **link).parts[0].link for one in ("link", "text"))
    assert seen("linkedin", "x", format="link", **link).parts[0].link
    assert not seen("linkedin", "x", format="text", **link).parts[0].link
    assert not seen("instagram", "x", [file()], "image", **link).parts[0].link
    assert not seen("twitter", "x", [file()], "image", **link).parts[0].link


def test_parts_and_the_first_comment_follow_in_order():
    parts = (Draft("Two", "1", format="text", part=1), Draft("First", "1", format="comment", part=2))
    whole_post = seen("twitter", "One", format="text", parts=parts)
    assert [plain(one.text) for one in whole_post.parts] == ["One", "Two", "First"]
    assert [one.is_comment for one in whole_post.parts] == [False, False, True]
    poll = Poll("", ("Yes", "No"), 1440)
    assert seen("twitter", "Buns?", format="poll", poll=poll).parts[0].poll == poll


def test_posts_that_look_alike_are_equal_and_can_be_grouped():
    assert len({seen("twitter", "Buns"), seen("twitter", "Buns"), seen("twitter", "Rolls")}) == 2


def test_where_no_format_fits_the_text_is_shown_without_one():
    assert seen("instagram", "No picture").format == ""
    assert appearance.appearance("x", Look("-"), Format("a", "A"), [Draft("t", "1")], len).format == "A"


@pytest.mark.parametrize(("minutes", "words"), [(1440, "1 day"), (4320, "3 days"), (90, "90 minutes"), (60, "1 hour")])
def test_how_long_a_poll_is_open(minutes, words):
    assert appearance.open_for(minutes) == words


def test_lengths_and_hosts():
    assert [appearance.length(one) for one in (7, 750, 3723)] == ["0:07", "12:30", "1:02:03"]
    assert appearance.host("https://www.bakery.example/a") == "bakery.example" and appearance.host("https://[") == ""
