"""LinkedIn's formats, the real provider against the sandbox: what was stored is what was written."""

from dataclasses import replace

import pytest
import requests

from socialconsole.errors import ContentRejected, NeedsReconnect, OutcomeUnknown, PermissionMissing, RateLimited
from socialconsole.providers.base import Located
from socialconsole.providers.content import COMMENT, DOCUMENT, GIF, VIDEO, Poll, Preview, Progress

ACME, LABS, STUDIO, CLUB = "5583111", "5583112", "5583115", "5583113"
PART = 4 * 1024 * 1024
MODES = pytest.mark.parametrize("mode", ["member", "organization"])


@pytest.fixture
def at(playground):
    """A place in one mode, connected: the member, or the Page Acme."""
    def made(mode, **settings):
        here = playground("linkedin", mode, feed_scopes=mode == "member", **settings)
        here.connect(profile=ACME if mode == "organization" else "")
        here.asked.clear()
        return here
    return made


def stored(here):
    [post] = [one for one in here.posts() if not one["reply_to"]]
    return post


def lines(here):
    return [f"{one.method} {one.path}" for one in here.asked]


def test_one_consent_of_a_pages_app_gives_the_pages_and_the_member(playground):
    here = playground("linkedin", "organization", feed_scopes=True)
    consent = here.consent()
    shown = {one.platform_user_id: (one.display_name, one.kind, one.problem) for one in consent.profiles}
    assert shown[ACME] == ("Acme", "LinkedIn Page", "") and shown[LABS][2] == "" and shown[STUDIO][0] == "Studio North"
    assert shown[CLUB] == ("Rowing Club", "LinkedIn Page",
                           "Your role there is analyst. Posting needs admin or content admin.")
    member = consent.profiles[-1]
    assert (member.kind, member.display_name, member.platform_user_id) == (
        "LinkedIn member", "Jane Doe", consent.person_id)
    assert member.avatar_url.endswith("portrait_400x400.png") and member.meta["urn"].startswith("urn:li:person:")
    assert [one.line for one in here.asked if one.host == "api.linkedin.com"].count(
        f"GET api.linkedin.com/rest/organizations/{ACME}") == 1


def test_without_the_members_scope_there_are_only_pages(playground):
    here = playground("linkedin", "organization")
    scopes = [one.name for one in here.provider.default_scopes("organization")]
    assert {one.kind for one in here.consent(scopes=scopes).profiles} == {"LinkedIn Page"}


@pytest.mark.parametrize(("person", "reason"), [
    ("omar-said", ""),
    ("lena-roth", " Rowing Club: Your role there is curator. Posting needs admin or content admin.")])
def test_nobody_connects_without_a_page(playground, person, reason):
    here = playground("linkedin", "organization")
    scopes = [one.name for one in here.provider.default_scopes("organization")]
    with pytest.raises(PermissionMissing) as caught:
        here.consent(person, scopes=scopes)
    assert caught.value.message == f"No Page found where you are admin or content admin.{reason}"


@MODES
def test_a_text_with_everything_that_is_cut(at, mode):
    here = at(mode)
    text = "Rolls (fresh) #bread @[Acme](urn:li:organization:5583111) a_b https://a.example/x_y#z"
    done = here.deliver(here.draft(text))
    assert stored(here)["text"] == "Rolls (fresh) #bread Acme a_b https://a.example/x_y#z"
    assert stored(here)["author_name"] == ("Acme" if mode == "organization" else "Jane Doe")
    assert done.permalink == stored(here)["permalink"] and lines(here) == ["POST /rest/posts"]


@MODES
def test_a_link_with_a_card(at, mode):
    here = at(mode)
    picture = here.file(size=20_000)
    link = "https://harbour.example/menu"
    here.deliver(here.draft(f"See {link}", "link", link=link, preview=Preview(link, "Menu", "Soups", picture)))
    post = stored(here)
    assert (post["format"], post["link"], post["facts"]["title"], post["facts"]["description"]) == (
        "article", link, "Menu", "Soups")
    assert post["media"][0]["sha256"] == picture.sha256


@pytest.mark.parametrize("preview", [None, Preview("https://harbour.example/menu")])
def test_a_card_always_has_a_title(at, preview):
    here = at("member")
    here.deliver(here.draft("See", "link", link="https://harbour.example/menu", preview=preview))
    assert stored(here)["facts"]["title"] == "harbour.example" and lines(here) == ["POST /rest/posts"]


def test_a_cards_picture_that_is_refused_keeps_no_post_back(at):
    here = at("organization")
    broken = here.file(DOCUMENT)
    link = "https://harbour.example/menu"
    odd = Preview(link, "Menu", "", replace(broken, kind="image", type="image/png"))
    here.deliver(here.draft("See", "link", link=link, preview=odd))
    assert stored(here)["facts"]["title"] == "Menu" and stored(here)["media"] == []


@MODES
@pytest.mark.parametrize(("format", "kind"), [("image", "image"), ("gif", GIF)])
def test_a_picture(at, mode, format, kind):
    here = at(mode)
    picture = here.file(kind, 50_000, alt_text="Bread")
    here.deliver(here.draft("Look", format, [picture]))
    [medium] = stored(here)["media"]
    assert (medium["sha256"], medium["alt"], medium["kind"]) == (picture.sha256, "Bread", kind)
    assert ("GET" in {one.method for one in here.asked}) == (mode == "organization")


@MODES
def test_twenty_pictures_in_their_order(at, mode):
    here = at(mode)
    pictures = [here.file(alt_text=f"No. {number}") for number in range(20)]
    here.deliver(here.draft("", "images", pictures))
    assert [(one["sha256"], one["alt"]) for one in stored(here)["media"]] == [
        (one.sha256, one.alt_text) for one in pictures]


@MODES
def test_a_video_in_parts(at, mode):
    here = at(mode)
    here.settings(processing_polls=3)
    video = here.file(VIDEO, 2 * PART + 100_000, name="Opening.mp4")
    done = here.deliver(here.draft("Watch", "video", [video]))
    assert stored(here)["media"][0]["sha256"] == video.sha256 and stored(here)["facts"]["title"] == "Opening.mp4"
    assert done.id.startswith("urn:li:ugcPost:")
    assert [one.size for one in here.asked if one.method == "PUT"] == [PART, PART, video.size - 2 * PART]
    assert [one.query.get("action") for one in here.asked if one.path == "/rest/videos"] == [
        "initializeUpload", "finalizeUpload"]


def test_a_video_goes_on_with_the_part_that_broke(at):
    here = at("member")
    video = here.file(VIDEO, 2 * PART + 100_000)
    draft, saved = here.draft("Watch", "video", [video]), {}
    progress = Progress(save=saved.update)
    real, count = here.door.send, []

    def cutting(adapter, request, **options):
        if request.method == "PUT":
            count.append(1)
            if len(count) == 2:
                raise requests.ConnectionError("cut")
        return real(adapter, request, **options)

    here.door.send = cutting
    with pytest.raises(Exception, match="cannot be reached"):
        here.provider.prepare(here.app, here.account.token, draft, progress)
    here.asked.clear()
    here.deliver(draft, Progress(saved))
    assert stored(here)["media"][0]["sha256"] == video.sha256
    assert [one.size for one in here.asked if one.method == "PUT"] == [PART, video.size - 2 * PART]


def test_a_finalizing_whose_answer_got_lost(at):
    here = at("member")
    video = here.file(VIDEO, 100_000)
    draft, progress = here.draft("Watch", "video", [video]), Progress()
    real = here.door.send

    def losing(adapter, request, **options):
        answer = real(adapter, request, **options)
        if "finalizeUpload" in request.url:
            here.door.send = real
            raise requests.ReadTimeout()
        return answer

    here.door.send = losing
    with pytest.raises(Exception, match="cannot be reached"):
        here.provider.prepare(here.app, here.account.token, draft, progress)
    here.deliver(draft, progress)
    assert stored(here)["media"][0]["sha256"] == video.sha256


def test_an_upload_address_that_is_too_old_is_asked_for_anew(at):
    here = at("member")
    picture = here.file(size=20_000)
    draft, progress = here.draft("Look", "image", [picture]), Progress()
    here.fault("upload", "drop", times=1)
    with pytest.raises(Exception, match="cannot be reached"):
        here.provider.prepare(here.app, here.account.token, draft, progress)
    here.clock.forward(7200)
    here.deliver(draft, progress)
    assert stored(here)["media"][0]["sha256"] == picture.sha256


def test_preparing_twice_uploads_once(at):
    here = at("organization")
    draft, progress = here.draft("Look", "image", [here.file()]), Progress()
    here.prepare(draft, progress)
    here.asked.clear()
    here.prepare(draft, progress)
    assert lines(here) == []


def test_a_file_that_cannot_be_processed(at):
    here = at("organization")
    odd = replace(here.file(DOCUMENT), kind="image")
    with pytest.raises(ContentRejected) as caught:
        here.deliver(here.draft("Look", "image", [odd]))
    assert caught.value.message == "LinkedIn could not process the file: Unsupported media type"


@MODES
def test_a_document(at, mode):
    here = at(mode)
    paper = here.file(DOCUMENT, name="Menu.pdf")
    here.deliver(here.draft("Read", "document", [paper], options={"title": "Our menu"}))
    assert stored(here)["media"][0]["sha256"] == paper.sha256 and stored(here)["facts"]["title"] == "Our menu"


@pytest.mark.parametrize(("minutes", "named"), [
    (1440, "ONE_DAY"), (4320, "THREE_DAYS"), (10080, "SEVEN_DAYS"), (20160, "FOURTEEN_DAYS")])
def test_a_poll(at, minutes, named):
    here = at("organization")
    here.deliver(here.draft("Choose", "poll", poll=Poll("Which?", ("Rye", "Oat"), minutes)))
    assert stored(here)["facts"]["poll"] == {"question": "Which?", "options": ["Rye", "Oat"], "duration": named}


@MODES
def test_a_first_comment(at, mode):
    here = at(mode)
    post = here.deliver(here.draft("Post"))
    here.deliver(here.draft("More (here)", COMMENT, part=1, root_id=post.id, reply_to=post.id))
    [comment] = [one for one in here.posts() if one["reply_to"]]
    assert (comment["text"], comment["reply_to"]) == ("More (here)", post.id)
    here.delete(comment["id"], here.draft())
    here.delete(post.id, here.draft())
    here.delete(post.id, here.draft())
    assert here.posts() == []


def test_a_comment_that_the_app_may_not_write(playground):
    here = playground("linkedin", "member")
    here.connect(scopes=["openid", "profile", "email", "w_member_social"])
    post = here.deliver(here.draft("Post"))
    with pytest.raises(PermissionMissing) as caught:
        here.deliver(here.draft("More", COMMENT, part=1, root_id=post.id, reply_to=post.id))
    assert caught.value.message == "LinkedIn does not let this app write comments."


def test_the_member_of_a_pages_app(playground):
    here = playground("linkedin", "organization", feed_scopes=True)
    member = here.consent().person_id
    here.connect(profile=member)
    picture = here.file()
    here.deliver(here.draft("Mine", "image", [picture]))
    assert stored(here)["author_name"] == "Jane Doe" and stored(here)["media"][0]["sha256"] == picture.sha256
    assert here.provider.needs_to_publish("organization", "LinkedIn member") == ("w_member_social",)
    assert here.provider.profile(here.app, here.account.token, member).display_name == "Jane Doe"


@pytest.mark.parametrize("format", ["text", "image"])
def test_a_page_finds_what_got_lost(at, format):
    here = at("organization")
    files = [here.file()] if format == "image" else []
    draft, progress = here.draft("Lost (once)" if format == "text" else "", format, files), Progress()
    here.prepare(draft, progress)
    sent_at = here.clock.now
    assert here.locate(draft, progress, sent_at) is Located.NOT_FOUND
    here.fault("publish", "drop_after", times=1)
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, draft, progress)
    assert here.locate(draft, progress, sent_at).id == stored(here)["id"]
    here.clock.forward(3600)
    assert here.locate(draft, progress, here.clock.now) is Located.NOT_FOUND


def test_a_member_can_look_for_nothing(at):
    here = at("member")
    assert here.locate(here.draft("Lost")) is Located.CANNOT_LOOK and here.asked == []


def test_a_role_that_is_gone(at, monkeypatch):
    here = at("organization")
    monkeypatch.setattr("socialconsole.sandbox.linkedin_api.role_of", lambda grant, page: "ANALYST")
    with pytest.raises(NeedsReconnect) as caught:
        here.deliver(here.draft("Hi"))
    assert caught.value.reason == "permission_missing"


def test_the_daily_reading_of_a_page(at):
    here = at("organization")
    page = here.provider.profile(here.app, here.account.token, ACME)
    assert (page.display_name, page.profile_url.endswith("/company/acme")) == ("Acme", True)
    assert page.meta == {"urn": f"urn:li:organization:{ACME}", "role": "ADMINISTRATOR"}
    with pytest.raises(NeedsReconnect) as caught:
        here.provider.profile(here.app, here.account.token, CLUB)
    assert caught.value.message == "Your role on this Page no longer allows posting."


@MODES
def test_a_version_that_has_ended(at, mode, monkeypatch):
    here = at(mode)
    told = []
    monkeypatch.setattr(here.provider, "version_ended", lambda app, instead, sentence: told.append(sentence))
    here.app = replace(here.app, api_version="202504")
    done = here.deliver(here.draft("Late", "image", [here.file()]))
    assert stored(here)["text"] == "Late" and "202504" in done.note and "202601" in done.note
    assert told == ["LinkedIn has ended API version 202504; 202601 works in its place."]
    assert [one.status for one in here.asked].count(426) == 1


def test_a_days_quota(at):
    here = at("member")
    here.settings(quotas={"linkedin": 1})
    here.deliver(here.draft("One"))
    with pytest.raises(RateLimited):
        here.deliver(here.draft("Two"))
