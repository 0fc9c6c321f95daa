"""Instagram's formats: the real provider against the real sandbox, in both modes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from socialconsole import outside
from socialconsole.errors import (
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import COMMENT, Located, Published, TokenSet
from socialconsole.providers.content import Progress

MODES = ("facebook_login", "instagram_login")
HOSTS = {"facebook_login": "graph.facebook.com", "instagram_login": "graph.instagram.com"}
LENA, TIMO, NADIA = "720000000000201", "720000000000202", "720000000000203"
BAKERY = "17841405793187218"
PAGE = "facebook_login"


@pytest.fixture(params=MODES)
def here(playground, request):
    made = playground("instagram", request.param)
    made.connect()
    made.asked.clear()
    return made


@pytest.fixture
def through_page(playground):
    made = playground("instagram", PAGE)
    made.connect()
    made.asked.clear()
    return made


@pytest.fixture
def direct(playground):
    made = playground("instagram", "instagram_login")
    made.connect()
    made.asked.clear()
    return made


def business(playground):
    """A place whose app has Login for Business, so that bytes can be sent."""
    made = playground("instagram", PAGE, login_for_business=True)
    made.app = replace(made.app, options={"config_id": made.registered["config_id"]})
    made.connect()
    made.asked.clear()
    return made


def lines(place):
    return [one.line.replace(BAKERY, "IG") for one in place.asked]


def published_calls(place):
    return [one for one in place.asked if one.path.endswith("/media_publish")]


class TestFormats:
    def test_a_photo(self, here):
        photo = here.file(size=50_000, alt_text="Warm bread")
        done = here.deliver(here.draft("Fresh today #bread", "image", [photo]))
        post = here.posts()[0]
        assert (post["id"], post["format"], post["text"]) == (done.id, "photo", "Fresh today #bread")
        assert [(one["sha256"], one["alt"]) for one in post["media"]] == [(photo.sha256, "Warm bread")]
        assert done.permalink == post["permalink"] and done.permalink.startswith(here.app.hosts["web"])
        assert {one.host for one in here.asked} == {HOSTS[here.mode]}
        assert len(published_calls(here)) == 1

    def test_the_proof_goes_to_facebook_only(self, here):
        here.deliver(here.draft("Hi", "image", [here.file()]))
        assert all(("appsecret_proof" in one.parameters) is (here.mode == PAGE) for one in here.asked)

    def test_a_reel_with_all_its_choices(self, here):
        video = here.file("video", size=90_000)
        options = {"share_to_feed": "no", "location_id": "123456789", "collaborators": "@anna, ben", "cover": "2.5",
                   "is_ai_generated": "yes"}
        here.deliver(here.draft("Baking", "reel", [video], options=options))
        post = here.posts()[0]
        assert (post["format"], post["media"][0]["sha256"]) == ("reel", video.sha256)
        assert post["facts"] == {"share_to_feed": "false", "location_id": "123456789", "is_ai_generated": "true",
                                 "collaborators": ["anna", "ben"], "thumb_offset": "2500"}

    def test_a_mixed_carousel_keeps_its_order(self, here):
        files = [here.file(alt_text="One"), here.file("video"), here.file()]
        here.settings(processing_polls=2)
        progress = Progress()
        here.deliver(here.draft("Three", "carousel", files), progress)
        post = here.posts()[0]
        assert post["format"] == "carousel" and post["text"] == "Three"
        assert [one["sha256"] for one in post["media"]] == [one.sha256 for one in files]
        assert [one["alt"] for one in post["media"]] == ["One", "", ""]
        made = [one.form for one in here.asked if one.path.endswith("/media") and one.method == "POST"]
        assert len(made) == 4 and "caption" not in made[0] and made[3]["media_type"] == "CAROUSEL"
        assert made[3]["children"].count(",") == 2

    @pytest.mark.parametrize("kind", ["image", "video"])
    def test_a_story_has_no_text(self, here, kind):
        file = here.file(kind, width=1080, height=1920)
        done = here.deliver(here.draft("", "story", [file]))
        post = here.posts()[0]
        assert (post["id"], post["format"], post["text"]) == (done.id, "story", "")
        assert post["media"][0]["sha256"] == file.sha256

    def test_a_first_comment(self, here):
        done = here.deliver(here.draft("Hi", "image", [here.file()]))
        comment = here.draft("First", COMMENT, reply_to=done.id, root_id=done.id, part=1)
        said = here.deliver(comment)
        assert [(one["text"], one["reply_to"]) for one in here.posts()[:1]] == [("First", done.id)]
        assert here.locate(comment) == Published(said.id)
        assert here.locate(replace(comment, text="Another")) is Located.NOT_FOUND


class TestBytes:
    def test_videos_go_as_bytes_where_the_app_has_a_configuration(self, playground):
        here = business(playground)
        video = here.file("video", size=3_000_000)
        here.deliver(here.draft("Baking", "reel", [video]))
        sent = next(one for one in here.asked if one.host == "rupload.facebook.com")
        assert sent.headers["Authorization"] == f"OAuth {here.account.token}"
        assert (sent.headers["offset"], sent.headers["file_size"]) == ("0", str(video.size))
        assert sent.size == video.size and not sent.query
        assert here.posts()[0]["media"][0]["sha256"] == video.sha256

    def test_a_broken_upload_goes_on_with_the_same_container(self, playground):
        here = business(playground)
        draft, progress = here.draft("", "story", [here.file("video", size=200_000)]), Progress()
        here.fault("upload", "drop")
        with pytest.raises(TryLater):
            here.prepare(draft, progress)
        kept = Progress(progress.state)
        here.prepare(draft, kept)
        assert kept.get("container")["id"] == progress.get("container")["id"]
        here.provider.publish(here.app, here.account.token, draft, kept)
        assert len([one for one in here.asked if one.path.endswith("/media")]) == 1 and len(here.posts()) == 1

    def test_a_carousel_takes_bytes_for_its_videos_only(self, playground):
        here = business(playground)
        files = [here.file(), here.file("video")]
        here.deliver(here.draft("", "carousel", files))
        assert [one["sha256"] for one in here.posts()[0]["media"]] == [one.sha256 for one in files]
        assert len([one for one in here.asked if one.host == "rupload.facebook.com"]) == 1


class TestOnce:
    def test_preparing_again_asks_for_nothing(self, here):
        draft, progress = here.draft("Hi", "image", [here.file()]), Progress()
        here.prepare(draft, progress)
        here.asked.clear()
        here.provider.prepare(here.app, here.account.token, draft, progress)
        assert here.asked == []

    def test_a_lost_answer_is_found_and_not_sent_again(self, here):
        draft, progress = here.draft("Lost once", "image", [here.file()]), Progress()
        here.prepare(draft, progress)
        here.fault("publish", "drop_after")
        with pytest.raises(OutcomeUnknown):
            here.provider.publish(here.app, here.account.token, draft, progress)
        found = here.locate(draft, progress)
        assert isinstance(found, Published) and found.id == here.posts()[0]["id"] and found.permalink
        here.provider.prepare(here.app, here.account.token, draft, progress)
        assert here.provider.check(here.app, here.account.token, draft, progress) is None
        assert here.provider.publish(here.app, here.account.token, draft, progress).id == found.id
        assert len(here.posts()) == 1 and len(published_calls(here)) == 1

    def test_what_never_arrived_may_be_sent_again(self, here):
        draft, progress = here.draft("Never arrived", "image", [here.file()]), Progress()
        here.prepare(draft, progress)
        here.fault("publish", "drop")
        with pytest.raises(OutcomeUnknown):
            here.provider.publish(here.app, here.account.token, draft, progress)
        assert here.locate(draft, progress) is Located.NOT_PUBLISHED
        here.deliver(draft, progress)
        assert len(here.posts()) == 1

    def test_a_story_that_is_out_is_known_by_its_container(self, here):
        draft, progress = here.draft("", "story", [here.file(height=568)]), Progress()
        here.prepare(draft, progress)
        here.fault("publish", "drop_after")
        with pytest.raises(OutcomeUnknown):
            here.provider.publish(here.app, here.account.token, draft, progress)
        found = here.locate(draft, progress)
        assert isinstance(found, Published) and found.note

    def test_a_container_of_yesterday_is_made_anew(self, here):
        draft, progress = here.draft("Old", "image", [here.file()]), Progress()
        here.prepare(draft, progress)
        before = progress.get("container")["id"]
        here.clock.forward(25 * 3600)
        if here.mode != PAGE:
            here.connect()
        here.deliver(draft, progress)
        assert progress.get("container")["id"] != before and len(here.posts()) == 1

    def test_one_that_was_published_is_never_made_anew(self, through_page):
        here = through_page
        draft, progress = here.draft("Once", "image", [here.file()]), Progress()
        here.prepare(draft, progress)
        here.fault("publish", "drop_after")
        with pytest.raises(OutcomeUnknown):
            here.provider.publish(here.app, here.account.token, draft, progress)
        here.clock.forward(23.5 * 3600)
        here.prepare(draft, progress)
        here.provider.publish(here.app, here.account.token, draft, progress)
        assert len(here.posts()) == 1


class TestLimits:
    def test_the_quota_is_asked_before_each_post(self, here):
        here.settings(quotas={"instagram": 1})
        here.deliver(here.draft("One", "image", [here.file()]))
        here.clock.forward(3600)
        with pytest.raises(RateLimited) as caught:
            here.deliver(here.draft("Two", "image", [here.file()]))
        first = outside.now() - timedelta(hours=1)
        assert abs(caught.value.until - first - timedelta(days=1)) < timedelta(minutes=2)
        assert len(here.posts()) == 1

    def test_an_address_that_cannot_be_opened_is_tried_once_more(self, here):
        broken = replace(here.file(), public_url=here.file().public_url + ".missing")
        progress, draft = Progress(), here.draft("Hi", "image", [broken])
        with pytest.raises(TryLater):
            here.prepare(draft, progress)
        with pytest.raises(ConfigurationWrong, match="cannot open our media address"):
            here.prepare(draft, progress)

    def test_a_picture_of_another_sort_is_refused(self, here):
        with pytest.raises(ContentRejected, match="not JPEG") as caught:
            here.prepare(here.draft("Hi", "image", [here.file(type="image/png")]), Progress())
        assert caught.value.field == "image"

    def test_a_video_that_cannot_be_read(self, here):
        broken = here.file(size=1000)
        disguised = replace(broken, kind="video")
        progress = Progress()
        with pytest.raises(ContentRejected, match="MP4 with H.264"):
            here.prepare(here.draft("Hi", "reel", [disguised]), progress)
        assert progress.get("container") is None

    def test_deleting(self, here):
        draft = here.draft("Hi", "image", [here.file()])
        done = here.deliver(draft)
        if here.mode != PAGE:
            with pytest.raises(ContentRejected, match="Delete it in the app"):
                here.delete(done.id, draft)
            return
        here.delete(done.id, draft)
        assert here.posts() == []
        here.delete(done.id, draft)


class TestConnecting:
    def test_accounts_behind_pages(self, playground):
        here = playground("instagram", PAGE)
        consent = here.consent(LENA, pages=["910100000000001", "910100000000004"])
        told = {one.username or one.display_name: one for one in consent.profiles}
        assert consent.profiles[0].username == "harbour.bakery" and not consent.profiles[0].problem
        assert consent.profiles[0].own_token and consent.profiles[0].platform_user_id == BAKERY
        assert "not ticked" in told["linden.cycles"].problem and told["linden.cycles"].own_token is None
        assert "No professional account" in told["Without Instagram"].problem
        assert "role" in told["not.mine"].problem
        assert consent.person_id == LENA and "instagram_content_publish" in consent.scopes

    def test_nobody_to_connect(self, playground):
        with pytest.raises(PermissionMissing, match="No professional account was found"):
            playground("instagram", PAGE).consent(TIMO)

    def test_an_account_of_a_portfolio(self, playground):
        here = playground("instagram", PAGE)
        basic = [one.name for one in here.provider.default_scopes(PAGE)]
        with pytest.raises(PermissionMissing, match="business_management"):
            here.consent(NADIA, basic)
        # A further app: at the one above, what was given once would stay.
        assert playground("instagram", PAGE).consent(NADIA).profiles[0].username == "studio.reyes"

    @pytest.mark.parametrize("settings", [{}, {"flat_exchange": True, "listed_profile": True}])
    def test_the_account_that_signed_in(self, playground, settings):
        here = playground("instagram", "instagram_login", **settings)
        consent = here.consent(NADIA, declined=["instagram_business_manage_insights"])
        assert [(one.username, one.kind) for one in consent.profiles] == [("nadia.draws", "Creator account")]
        assert consent.person_id == consent.profiles[0].platform_user_id == "17841405793188001"
        assert "instagram_business_content_publish" in consent.scopes
        assert "instagram_business_manage_insights" not in consent.scopes
        assert consent.tokens.expires_in == 5_183_944

    def test_renewing(self, here):
        tokens = here.account.consent.tokens
        if here.mode != PAGE:
            with pytest.raises(TryLater, match="Too early"):
                here.provider.renew(here.app, tokens)
        here.clock.forward(31 * 86_400)
        newer = here.provider.renew(here.app, tokens)
        assert newer.access_token != tokens.access_token and newer.expires_in == 5_183_944
        here.clock.forward(61 * 86_400)
        with pytest.raises(NeedsReconnect):
            here.provider.renew(here.app, TokenSet(newer.access_token))

    def test_the_profile_and_its_end(self, here):
        profile = here.provider.profile(here.app, here.account.token, BAKERY)
        assert (profile.username, profile.display_name) == ("harbour.bakery", "Harbour Bakery")
        here.control("POST", f"/portal/api/people/instagram/{LENA}/revoke")
        with pytest.raises(NeedsReconnect):
            here.provider.profile(here.app, here.account.token, BAKERY)

    def test_revoking_through_facebook(self, through_page):
        consent = through_page.account.consent
        through_page.provider.revoke(through_page.app, consent.tokens, consent.person_id)
        through_page.provider.revoke(through_page.app, consent.tokens, consent.person_id)
        with pytest.raises(NeedsReconnect):
            through_page.provider.profile(through_page.app, through_page.account.token, BAKERY)
