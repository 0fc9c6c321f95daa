"""What a platform takes: facts in, sentences out, before anything is sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from socialconsole.providers.base import Provider
from socialconsole.providers.content import (
    COMMENT,
    DOCUMENT,
    GIF,
    IMAGE,
    VIDEO,
    Creator,
    DocumentRule,
    Draft,
    Field,
    File,
    Format,
    GifRule,
    ImageRule,
    Poll,
    PollRule,
    Slice,
    TextLimit,
    VideoRule,
)
from socialconsole.providers.rules import fitting, problems, why_none_fits

MB = 1024 * 1024
PLAIN = Format("text", "Text", needs_text=True)
PICTURE = Format("image", "Picture", (IMAGE,), 1, 1, alt_text=20, text=TextLimit(10, "characters"),
                 image=ImageRule(("image/jpeg",), 8 * MB, ratio=(0.8, 1.91), least=(320, 320)))
CAROUSEL = Format("carousel", "Carousel", (IMAGE, VIDEO), 2, 3, mixes=True, image=PICTURE.image, video=VideoRule())
REEL = Format("reel", "Reel", (VIDEO,), 1, 1, video=VideoRule(
    ("video/mp4",), 300 * MB, 1000, seconds=(3, 90), ratio=(0.5, 0.6), least=(540, 960), most_side=4096,
    frame_rate=(23, 60)))
STORY = Format("story", "Story", (IMAGE, VIDEO), 1, 1, has_text=False, image=PICTURE.image, video=VideoRule())
MOVING = Format("gif", "GIF", (GIF,), 1, 1, gif=GifRule(15 * MB, (1280, 1080), 350, 300_000_000))
PAPER = Format("document", "Document", (DOCUMENT,), 1, 1, document=DocumentRule(("application/pdf",), 100 * MB, 300))
VOTE = Format("poll", "Poll", poll=PollRule((2, 4), 25, (60, 1440), question_most=140), needs_text=True)
PRIVACY = Field("privacy", "Who can see it", "select", (("public", "Everybody"), ("self", "Only me")), required=True,
                asked=True, formats=("reel",))
TITLE = Field("title", "Title", "text", most=5, formats=("reel",))


class Example(Provider):
    """A platform with a bit of everything."""

    slug, name, tile = "example", "Example", "Ex"
    formats = (PLAIN, PICTURE, CAROUSEL, REEL, STORY, MOVING, PAPER, VOTE)
    fields = (PRIVACY, TITLE)
    text_limit = TextLimit(50, "characters")
    comment_limit = TextLimit(8, "characters")


EXAMPLE = Example()


def file(kind=IMAGE, type="image/jpeg", size=MB, **facts) -> File:
    return File("med_1", kind, type, size, Path("/nowhere"), facts.pop("name", "a.jpg"), **facts)


def clip(**facts) -> File:
    return file(VIDEO, "video/mp4", **{"width": 1080, "height": 1920, "seconds": 20.0, "frame_rate": 30.0} | facts)


def said(draft: Draft, **more) -> list[str]:
    return [one.sentence for one in problems(EXAMPLE, draft, "", count=len, **more)]


def draft(format: str, *files: File, text: str = "Hi", **facts) -> Draft:
    return Draft(text, "1", format=format, files=files, **facts)


class TestFormats:
    @pytest.mark.parametrize(("files", "slugs"), [
        ((), ["text"]), ((file(),), ["image", "story"]), ((clip(),), ["reel", "story"]),
        ((file(), clip()), ["carousel"]), ((file(GIF, "image/gif"),), ["gif"]), ((file(), file(), file(), file()), []),
    ])
    def test_files_propose_the_formats_that_take_them(self, files, slugs):
        assert [one.slug for one in fitting(EXAMPLE, "", files, None, "")] == slugs

    def test_a_poll_goes_alone(self):
        poll = Poll("?", ("a", "b"), 60)
        assert [one.slug for one in fitting(EXAMPLE, "", (), poll, "")] == ["poll"]
        assert fitting(EXAMPLE, "", (file(),), poll, "") == ()
        assert "poll only without pictures" in why_none_fits(EXAMPLE, "", (file(),), poll)

    def test_what_fits_nowhere_is_said(self):
        many = why_none_fits(EXAMPLE, "", [file()] * 4, None)
        assert many == "Example takes 3 files of this kind at most; these are 4."
        assert "no mix of documents and pictures" in why_none_fits(EXAMPLE, "", [file(), file(DOCUMENT)], None)

    def test_a_platform_without_text_posts_says_what_to_add(self):
        only = type("Only", (Example,), {"formats": (REEL,)})()
        assert why_none_fits(only, "", [], None) == "Example takes no post without a video. Add one."
        assert "takes no picture" in why_none_fits(only, "", [file()], None)


class TestText:
    def test_each_format_may_have_its_own_length(self):
        assert said(draft("image", file(), text="a" * 11)) == ["1 character too many for Example. Shorten the text."]
        assert said(draft("text", text="a" * 52)) == ["2 characters too many for Example. Shorten the text."]

    def test_a_format_that_shows_no_text_does_not_count_it(self):
        assert said(draft("story", file(width=400, height=400), text="a" * 99)) == []

    def test_bytes_are_called_bytes(self):
        wide = type("Wide", (Example,), {"text_limit": TextLimit(3, "bytes")})()
        found = problems(wide, draft("text", text="äää"), "", count=lambda text: len(text.encode()))
        assert [one.sentence for one in found] == ["3 bytes too many for Example. Shorten the text."]

    def test_nothing_at_all_is_no_post(self):
        assert said(draft("text", text=" ")) == ["Write something first."]

    def test_a_first_comment_has_its_own_length_and_field(self):
        found = problems(EXAMPLE, draft(COMMENT, text="a" * 9), "", count=len)
        assert [(one.field, one.sentence) for one in found] == [
            ("first_comment", "1 character too many for Example. Shorten the text.")]


class TestFiles:
    @pytest.mark.parametrize(("facts", "part"), [
        ({"width": 3000, "height": 1000}, "from 4:5 to 1.91:1; this one is 3000 × 1000. Crop it."),
        ({"width": 200, "height": 200}, "from 320 × 320 pixels; this one is 200 × 200"),
        ({"alt_text": "a" * 23, "width": 400, "height": 400}, "3 characters too long"),
    ])
    def test_a_picture_that_no_conversion_can_mend_is_named(self, facts, part):
        found = said(draft("image", file(**facts)))
        assert len(found) == 1 and part in found[0] and "a.jpg" in found[0]

    @pytest.mark.parametrize("facts", [{"type": "image/png"}, {"type": "image/webp", "size": 20 * MB},
                                       {"size": 20 * MB}])
    def test_what_the_console_converts_is_no_problem(self, facts):
        assert said(draft("image", file(**{"width": 1000, "height": 1000} | facts))) == []

    @pytest.mark.parametrize(("facts", "part"), [
        ({"seconds": 2.0}, "from 3 seconds to 90 seconds here; this one lasts 2 seconds"),
        ({"seconds": 200.0}, "this one lasts 3.33 minutes"),
        ({"width": 1920, "height": 1080}, "this one is 1920 × 1080"),
        ({"width": 270, "height": 480}, "from 540 × 960 pixels"), ({"size": 400 * MB}, "up to 300 MB"),
        ({"size": 10}, "this one has 1 KB"), ({"frame_rate": 15.0}, "23 to 60 frames per second; this video has 15"),
        ({"type": "video/webm"}, "takes MP4; this is WebM"), ({"width": 4600, "height": 8192}, "up to 4096 pixels"),
    ])
    def test_a_video_that_does_not_fit_is_told_why(self, facts, part):
        one = replace(clip(**{key: value for key, value in facts.items() if key not in ("type", "size")}),
                      **{key: value for key, value in facts.items() if key in ("type", "size")})
        found = said(draft("reel", one, options={"privacy": "public"}))
        assert any(part in sentence for sentence in found), found

    def test_what_could_not_be_measured_is_not_refused(self):
        blind = file(VIDEO, "video/mp4")
        assert said(draft("reel", blind, options={"privacy": "public"})) == []

    @pytest.mark.parametrize(("facts", "part"), [
        ({"size": 16 * MB}, "up to 15 MB"), ({"width": 2000, "height": 900}, "up to 1280 × 1080"),
        ({"frames": 400}, "up to 350 frames"), ({"width": 1280, "height": 1000, "frames": 340}, "too many pixels"),
    ])
    def test_a_gif_has_limits_of_its_own(self, facts, part):
        assert any(part in one for one in said(draft("gif", file(GIF, "image/gif", **facts))))

    def test_documents_are_counted_in_pages(self):
        paper = file(DOCUMENT, "application/pdf", pages=301)
        assert "up to 300 pages; this one has 301" in said(draft("document", paper))[0]
        old = replace(paper, type="application/msword", pages=1)
        assert "takes PDF; this is DOC" in said(draft("document", old))[0]


class TestPolls:
    @pytest.mark.parametrize(("poll", "part"), [
        (Poll("Q", ("a",), 60), "2 to 4 answers; this one has 1"), (Poll("Q", ("a", "a"), 60), "answers are the same"),
        (Poll("Q", ("a", "b" * 26), 60), "25 characters in an answer"), (Poll("", ("a", "b"), 60), "needs a question"),
        (Poll("Q" * 141, ("a", "b"), 60), "140 characters in the question"),
        (Poll("Q", ("a", "b"), 4320), "takes polls of 1 hour, 1 day; this one is open for 3 days"),
    ])
    def test_a_poll_is_checked_whole(self, poll, part):
        found = problems(EXAMPLE, draft("poll", poll=poll), "", count=len)
        assert [one.field for one in found] == ["poll"] and part in found[0].sentence


class TestChoices:
    def test_a_choice_that_must_be_made_has_no_silent_default(self):
        found = problems(EXAMPLE, draft("reel", clip()), "", count=len)
        assert [(one.field, one.sentence) for one in found] == [
            ("privacy", "Example needs a choice: Who can see it.")]

    def test_an_invented_choice_is_refused(self):
        assert "does not offer this choice" in said(draft("reel", clip(), options={"privacy": "friends"}))[0]

    def test_what_the_platform_offers_at_this_moment_counts(self):
        creator = Creator("Anna", choices={"privacy": (("self", "Only me"),)}, most_seconds=10)
        found = said(draft("reel", clip(), options={"privacy": "public"}), creator=creator)
        assert "any more. Choose again." in found[0]
        assert "up to 10 seconds from Anna; this one lasts 20 seconds" in found[1]

    def test_a_person_who_cannot_post_now_is_told_so(self):
        found = problems(EXAMPLE, draft("reel", clip(), options={"privacy": "self"}), "", count=len,
                         creator=Creator("Anna", problem="Too many posts today."))
        assert [(one.field, one.sentence) for one in found] == [("accounts", "Too many posts today.")]

    def test_a_long_value_is_counted(self):
        found = said(draft("reel", clip(), options={"privacy": "self", "title": "1234567"}))
        assert "2 characters too many" in found[0]

    def test_choices_of_other_formats_are_not_asked(self):
        assert said(draft("image", file(width=400, height=400))) == []


class TestSlices:
    def test_a_slice_is_read_in_pieces_and_knows_its_length(self, tmp_path):
        path = tmp_path / "bytes"
        path.write_bytes(bytes(range(256)) * 20)
        whole = File("m", VIDEO, "video/mp4", 5120, path)
        part = whole.slice(10, 100)
        assert len(part) == 100 and part.read(40) + part.read(1000) == path.read_bytes()[10:110] and part.read(5) == b""
        assert b"".join(Slice(path, 0, 5120)) == path.read_bytes()
        assert whole.read(5000, 500) == path.read_bytes()[5000:]


@pytest.mark.parametrize(("one", "words"), [
    (file(), ""), (clip(name="a.mp4"), "Cover: this is a video (a.mp4). Choose a picture."),
    (file(GIF, "image/gif", name=""), "Cover: this is a moving GIF (image/gif). Choose a picture.")])
def test_a_file_beside_the_post_is_of_the_kind_that_is_asked_for(one, words):
    cover = Field("cover", "Cover", "file", takes=(IMAGE,))
    example = type("Covered", (Example,), {"fields": (cover,)})()
    wanted = draft("text", options={"cover": one.id}, extra_files={"cover": one})
    found = problems(example, wanted, "", count=len)
    assert [(one.field, one.sentence) for one in found] == ([("cover", words)] if words else [])
