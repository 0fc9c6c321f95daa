"""Every format of a Facebook Page, from the provider's first call to what the sandbox stored."""

import json
from dataclasses import replace
from typing import Any

import pytest

from socialconsole.errors import (
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import COMMENT, Draft, Located, Published
from socialconsole.providers.content import IMAGE, VIDEO, Progress, Sent
from tests.formats.playground import BASE, Place, Playground

GRAPH, VIDEOS, RUPLOAD = "graph.facebook.com/v25.0", "graph-video.facebook.com/v25.0", "rupload.facebook.com"
PAGE = "900100000000001"
MEGABYTE = 1024 * 1024
INES = "700000000000103"


@pytest.fixture
def here(playground: Playground) -> Place:
    place = playground("facebook")
    place.connect()
    place.asked.clear()
    return place


def lines(here: Place) -> list[str]:
    """The calls so far, without ids that change."""
    return [one.line for one in here.asked]


def comment_on(here: Place, published: Published, text: str = "First") -> Draft:
    return here.draft(text, COMMENT, root_id=published.id, reply_to=published.id, part=1)


def lose_answer(here: Place, operation: str, draft: Draft, progress: Progress) -> None:
    """Publish with the answer getting lost on the way back."""
    here.prepare(draft, progress)
    here.fault(operation, "drop_after")
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, draft, progress)


# ---------------------------------------------------------------- text, links, photos


def test_a_text(here: Place) -> None:
    published = here.deliver(here.draft("Fresh bread"))
    assert lines(here) == [f"POST {GRAPH}/{PAGE}/feed", f"GET {GRAPH}/{published.id}"]
    assert set(here.asked[0].parameters) == {"message", "access_token", "appsecret_proof"}
    post = here.posts()[0]
    assert (post["id"], post["text"], post["format"], post["media"]) == (published.id, "Fresh bread", "text", [])
    assert published.permalink == post["permalink"]


def test_a_link_with_a_place(here: Place) -> None:
    here.deliver(here.draft("Look", "link", link="https://example.com/a", options={"place": PAGE}))
    post = here.posts()[0]
    assert (post["link"], post["format"], post["facts"]) == ("https://example.com/a", "link", {"place": PAGE})


def test_one_photo_is_one_call_with_its_bytes_and_alt_text(here: Place) -> None:
    photo = here.file(IMAGE, 60_000, alt_text="A loaf", name="brød é.jpg")
    published = here.deliver(here.draft("Bread", "image", [photo]))
    assert lines(here)[0] == f"POST {GRAPH}/{PAGE}/photos"
    assert here.asked[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    sent = here.asked[0].parts
    assert {name: sent[name] for name in ("caption", "alt_text_custom", "source")} == {
        "caption": "Bread", "alt_text_custom": "A loaf", "source": None}
    post = here.posts()[0]
    assert (post["id"], post["text"]) == (published.id, "Bread")
    assert post["media"] == [{"kind": "image", "mime": "image/jpeg", "size": photo.size, "sha256": photo.sha256,
                              "alt": "A loaf"}]


def test_many_photos_are_sent_unpublished_and_then_attached(here: Place) -> None:
    photos = [here.file(IMAGE, 20_000, alt_text="One"), here.file(IMAGE, type="image/png"), here.file(IMAGE)]
    published = here.deliver(here.draft("Three", "images", photos, options={"place": PAGE}))
    assert lines(here) == [*[f"POST {GRAPH}/{PAGE}/photos"] * 3, f"POST {GRAPH}/{PAGE}/feed",
                           f"GET {GRAPH}/{published.id}"]
    assert [one.parts.get("published") for one in here.asked[:3]] == ["false"] * 3
    assert [one.parts.get("alt_text_custom") for one in here.asked[:3]] == ["One", None, None]
    media = json.loads(here.asked[3].form["attached_media"])
    assert [set(one) for one in media] == [{"media_fbid"}] * 3
    post = here.posts()[0]
    assert [one["sha256"] for one in post["media"]] == [photo.sha256 for photo in photos]
    assert (post["format"], post["facts"], len(here.posts())) == ("images", {"place": PAGE}, 1)


def test_photos_go_on_after_a_crash(here: Place) -> None:
    draft, progress = here.draft("Two", "images", [here.file(), here.file()]), Progress()
    here.fault("upload", "500")
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    here.prepare(draft, progress)
    here.prepare(draft, progress)
    assert [one.status for one in here.asked] == [500, 200, 200]
    here.deliver(draft, Progress(json.loads(json.dumps(progress.state))))
    assert len(here.uploads()) == 2


def test_photos_that_are_too_old_or_other_ones_are_sent_anew(here: Place) -> None:
    draft, progress = here.draft("Two", "images", [here.file(), here.file()]), Progress()
    here.prepare(draft, progress)
    first = progress.get("photos")
    here.clock.forward(23 * 3600 + 1)
    here.prepare(draft, progress)
    second = progress.get("photos")
    other = replace(draft, files=(draft.files[0], here.file()))
    here.prepare(other, progress)
    assert len({*first, *second, *progress.get("photos")}) == 6


# ---------------------------------------------------------------- videos


@pytest.mark.parametrize("polls", [0, 1, 4])
def test_a_video_in_chunks(here: Place, polls: int) -> None:
    here.settings(processing_polls=polls)
    video = here.file(VIDEO, 2 * MEGABYTE + 300)
    published = here.deliver(here.draft("Kneading", "video", [video], options={"title": "Dough"}))
    uploads = [one for one in here.asked if one.method == "POST"]
    assert {one.line for one in uploads} == {f"POST {VIDEOS}/{PAGE}/videos"}
    assert [one.parameters["upload_phase"] for one in uploads] == ["start", *["transfer"] * 3, "finish"]
    assert uploads[0].form["file_size"] == str(video.size)
    assert [one.parameters["start_offset"] for one in uploads[1:4]] == ["0", str(MEGABYTE), str(2 * MEGABYTE)]
    assert uploads[4].form.keys() - {"access_token", "appsecret_proof"} == {
        "upload_phase", "upload_session_id", "description", "title"}
    post = here.posts()[0]
    assert post["media"][0]["sha256"] == video.sha256
    assert (post["text"], post["facts"]["title"], post["facts"]["video"]) == ("Kneading", "Dough", published.id)
    assert published.permalink == f"{BASE}/www.facebook.com/{PAGE}/videos/{published.id}/"


def test_a_video_goes_on_where_facebook_wants_it(here: Place) -> None:
    draft = here.draft("", "video", [here.file(VIDEO, 3 * MEGABYTE + 5)])
    kept: list[dict[str, Any]] = []
    progress = Progress(save=lambda state: kept.append(json.loads(json.dumps(state))))
    here.prepare(draft, progress)
    after_first = next(state for state in kept if state.get("offset") == MEGABYTE)
    here.asked.clear()
    here.deliver(draft, Progress(after_first))  # the platform has all of it: nothing is sent twice
    assert [one.parameters.get("upload_phase") for one in here.asked if one.method == "POST"] == ["finish"]


def test_a_chunk_whose_answer_got_lost_is_not_sent_again(here: Place) -> None:
    video = here.file(VIDEO, 2 * MEGABYTE + 5)
    draft = here.draft("", "video", [video])
    lost: list[int] = []

    def save(state: dict[str, Any]) -> None:
        if state.get("offset") == MEGABYTE and not lost:
            lost.append(1)
            here.fault("upload", "drop_after")

    progress = Progress(save=save)
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    here.asked.clear()
    here.deliver(draft, progress)
    transfers = [one.parameters["start_offset"] for one in here.asked if "start_offset" in one.parameters]
    assert transfers == [str(2 * MEGABYTE)]
    assert here.posts()[0]["media"][0]["sha256"] == video.sha256


@pytest.mark.parametrize(("format", "edge"), [("reel", "video_reels"), ("story", "video_stories")])
def test_an_upright_video(here: Place, format: str, edge: str) -> None:
    here.settings(processing_polls=2)
    video = here.file(VIDEO, MEGABYTE)
    options = {"title": "Dough", "place": PAGE} if format == "reel" else {}
    published = here.deliver(here.draft("Kneading", format, [video], options=options))
    posts = [one for one in here.asked if one.method == "POST"]
    assert [one.host for one in posts] == ["graph.facebook.com", RUPLOAD, "graph.facebook.com"]
    assert posts[0].line == posts[2].line == f"POST {GRAPH}/{PAGE}/{edge}"
    assert posts[0].form.keys() - {"access_token", "appsecret_proof"} == {"upload_phase"}
    assert posts[1].headers["Authorization"] == f"OAuth {here.account.token}"
    assert (posts[1].headers["offset"], posts[1].headers["file_size"]) == ("0", str(video.size))
    assert posts[1].query == {} and posts[1].size == video.size
    names = posts[2].form.keys() - {"access_token", "appsecret_proof"}
    assert names == {"upload_phase", "video_id"} | (
        {"video_state", "description", "title", "place"} if format == "reel" else set())
    post = here.posts()[0]
    assert (post["format"], post["media"][0]["sha256"]) == (format, video.sha256)
    if format == "reel":
        assert post["text"] == "Kneading" and published.permalink == f"{BASE}/www.facebook.com/reel/{published.id}/"
    else:
        assert post["text"] == "" and published == Published(post["id"])


def test_a_reel_goes_on_at_the_byte_that_facebook_lacks(here: Place) -> None:
    video = here.file(VIDEO, 500_000)
    draft, progress = here.draft("Go on", "reel", [video]), Progress()
    progress = Progress(save=lambda state: here.fault("upload", "drop") if "url" in state and not here.uploads()[0][
        "received"] and "uploaded" not in state else None)
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    address, token = progress.get("url").removeprefix(BASE), here.account.token
    here.client.post(address, base_url=BASE, data=video.read(0, 200_000), headers={
        "Authorization": f"OAuth {token}", "offset": "0", "file_size": str(video.size)})
    here.asked.clear()
    here.deliver(draft, progress)
    assert lines(here)[:2] == [f"GET {GRAPH}/{progress.get('video')}", f"POST {RUPLOAD}{here.asked[1].path}"]
    assert (here.asked[1].headers["offset"], here.asked[1].size) == ("200000", video.size - 200_000)
    assert here.posts()[0]["media"][0]["sha256"] == video.sha256


def test_a_reel_whose_answer_got_lost_is_not_sent_again(here: Place) -> None:
    draft = a_draft(here, "reel")
    progress = Progress(save=lambda state: here.fault("upload", "drop_after") if "url" in state and not here.uploads()[
        0]["received"] and "uploaded" not in state else None)
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    here.asked.clear()
    here.deliver(draft, progress)
    assert RUPLOAD not in [one.host for one in here.asked] and len(here.posts()) == 1


def test_an_upload_that_facebook_forgot_begins_anew(here: Place) -> None:
    draft, progress = a_draft(here, "reel"), Progress()
    here.prepare(draft, progress)
    progress.keep(video="4711", uploaded=None)
    here.deliver(draft, progress)
    assert progress.get("video") != "4711" and len(here.posts()) == 1


def test_a_photo_story(here: Place) -> None:
    photo = here.file(IMAGE, 10_000, alt_text="A loaf")
    published = here.deliver(here.draft("not shown", "story", [photo]))
    assert lines(here) == [f"POST {GRAPH}/{PAGE}/photos", f"POST {GRAPH}/{PAGE}/photo_stories"]
    assert here.asked[1].form.keys() - {"access_token", "appsecret_proof"} == {"photo_id"}
    post = here.posts()[0]
    assert (post["id"], post["text"], post["format"]) == (published.id, "", "story")
    assert (post["media"][0]["sha256"], post["media"][0]["alt"]) == (photo.sha256, "A loaf")


def test_a_file_that_is_no_video_is_refused_in_words(here: Place) -> None:
    with pytest.raises(ContentRejected) as caught:
        here.deliver(here.draft("x", "reel", [replace(here.file(IMAGE), kind=VIDEO, type="video/mp4")]))
    assert caught.value.message.startswith("Facebook cannot use this video file: The video file")
    assert caught.value.field == "video" and not here.posts()


# ---------------------------------------------------------------- first comment


@pytest.mark.parametrize("format", ["text", "video"])
def test_a_first_comment(here: Place, format: str) -> None:
    files = [here.file(VIDEO)] if format == "video" else []
    published = here.deliver(here.draft("Post", format, files))
    post = here.posts()[0]
    here.asked.clear()
    made = here.deliver(comment_on(here, published))
    assert [one.line for one in here.asked if one.method == "POST"] == [f"POST {GRAPH}/{post['id']}/comments"]
    assert (here.posts()[0]["text"], here.posts()[0]["reply_to"]) == ("First", post["id"])
    assert here.locate(comment_on(here, published)) == Published(made.id)
    assert here.locate(comment_on(here, published, "Other")) is Located.NOT_FOUND


def test_a_comment_needs_its_permission(playground: Playground) -> None:
    here = playground("facebook")
    names = [scope.name for scope in here.provider.default_scopes("")]
    here.connect(scopes=names)
    published = here.deliver(here.draft("Post"))
    with pytest.raises(PermissionMissing):
        here.deliver(comment_on(here, published))
    assert here.provider.comment_needs == {"": ("pages_manage_engagement",)}


# ---------------------------------------------------------------- lost answers, deleting


def a_draft(here: Place, format: str) -> Draft:
    kind = {"image": [IMAGE], "images": [IMAGE, IMAGE], "video": [VIDEO], "reel": [VIDEO]}.get(format, [])
    return here.draft("Lost and found", format, [here.file(one) for one in kind],
                      **({"link": "https://example.com/a"} if format == "link" else {}))


@pytest.mark.parametrize("format", ["text", "link", "image", "images"])
def test_a_lost_post_is_found_and_deleted(here: Place, format: str) -> None:
    draft, progress = a_draft(here, format), Progress()
    assert here.locate(draft, progress) is Located.NOT_FOUND
    lose_answer(here, "publish", draft, progress)
    found = here.locate(draft, progress)
    assert isinstance(found, Published) and found.id == here.posts()[0]["id"]
    here.delete(found.id, draft)
    assert not here.posts() and here.locate(draft, progress) is Located.NOT_FOUND
    here.delete(found.id, draft)  # gone already


@pytest.mark.parametrize("format", ["video", "reel"])
def test_a_lost_video_is_asked_itself(here: Place, format: str) -> None:
    here.settings(processing_polls=2)
    draft, progress = a_draft(here, format), Progress()
    here.prepare(draft, progress)
    assert here.locate(draft, progress) is Located.NOT_PUBLISHED
    here.fault("publish", "drop_after")
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, draft, progress)
    found = here.locate(draft, progress)
    assert isinstance(found, Sent) and not here.posts()
    published = here.followed(draft, progress, found)
    assert len(here.posts()) == 1 and here.locate(draft, progress) == published
    here.delete(published.id, draft)
    assert not here.posts()
    here.delete(published.id, draft)


def test_a_video_is_never_made_twice(here: Place) -> None:
    draft, progress = a_draft(here, "reel"), Progress()
    lose_answer(here, "publish", draft, progress)
    with pytest.raises(PlatformError):
        here.provider.publish(here.app, here.account.token, draft, progress)
    here.followed(draft, progress, here.locate(draft, progress))
    assert len(here.posts()) == 1


def test_nothing_tells_a_photo_without_text_from_another(here: Place) -> None:
    assert here.locate(here.draft("", "image", [here.file()])) is Located.CANNOT_LOOK
    assert here.locate(here.draft("", "story", [here.file()])) is Located.CANNOT_LOOK


def test_a_story_can_be_deleted(here: Place) -> None:
    draft = here.draft("", "story", [here.file()])
    here.delete(here.deliver(draft).id, draft)
    assert not here.posts()


def test_a_comment_can_be_deleted(here: Place) -> None:
    draft = comment_on(here, here.deliver(here.draft("Post")))
    here.delete(here.deliver(draft).id, draft)
    assert [post["text"] for post in here.posts()] == ["Post"]


# ---------------------------------------------------------------- limits


def test_reels_run_out(here: Place) -> None:
    here.settings(quotas={"facebook": 1})
    here.deliver(a_draft(here, "reel"))
    with pytest.raises(RateLimited):
        here.deliver(a_draft(here, "reel"))
    assert len(here.posts()) == 1


@pytest.mark.parametrize(("percent", "pauses"), [(95, False), (96, True)])
def test_a_nearly_used_up_quota_pauses_what_may_be_repeated(playground: Playground, percent: int,
                                                            pauses: bool) -> None:
    here = playground("facebook", usage_percent=percent)
    here.connect()
    draft, progress = a_draft(here, "images"), Progress()
    if not pauses:
        here.deliver(draft, progress)
        return
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            here.prepare(draft, progress)
        assert caught.value.whole_app
    here.deliver(draft, progress)  # both photos are there, and publishing itself never waits on a guess
    assert len(here.posts()) == 1


def test_questions_become_rarer_and_rarer_still_when_much_is_used(playground: Playground) -> None:
    pauses = {}
    for percent in (1, 80):
        here = playground("facebook", usage_percent=percent)
        here.connect()
        here.settings(processing_polls=3)
        draft, progress = a_draft(here, "reel"), Progress()
        here.prepare(draft, progress)
        sent = here.provider.publish(here.app, here.account.token, draft, progress)
        assert isinstance(sent, Sent)
        first = here.provider.follow(here.app, here.account.token, draft, progress, sent)
        second = here.provider.follow(here.app, here.account.token, draft, progress, sent)
        assert isinstance(first, Sent) and isinstance(second, Sent) and second.again_in > first.again_in
        pauses[percent] = first.again_in
    assert pauses[80] == 4 * pauses[1]


# ---------------------------------------------------------------- connecting


def test_pages_of_a_portfolio_need_their_permission(playground: Playground) -> None:
    here = playground("facebook")
    assert "Duarte Group" in [one.display_name for one in here.consent(INES).profiles]
    names = [scope.name for scope in here.provider.default_scopes("")]
    other = playground("facebook")
    assert "Duarte Group" not in [one.display_name for one in other.consent(INES, names).profiles]


def test_a_configuration_takes_the_place_of_the_scopes(playground: Playground) -> None:
    here = playground("facebook", "business")
    here.app = replace(here.app, options={"config_id": here.registered["config_id"]})
    account = here.connect()
    assert "business_management" in (account.consent.scopes or ())
    assert len(account.consent.profiles) == 3
    here.deliver(here.draft("Hi"))


def test_a_declined_list_of_pages_is_named(playground: Playground) -> None:
    here = playground("facebook")
    with pytest.raises(PermissionMissing) as caught:
        here.consent(declined=["pages_show_list", "business_management"], pages=[])
    assert caught.value.scopes == ("pages_show_list",) and "was declined" in caught.value.message


def test_the_proof_of_the_secret_goes_with_every_call(playground: Playground) -> None:
    here = playground("facebook", require_proof=True)
    here.connect()
    for format in ("text", "images", "video"):
        here.deliver(a_draft(here, format))
    assert len(here.posts()) == 3


def test_the_daily_reading_knows_the_version_that_answered(here: Place) -> None:
    read = here.provider.profile(here.app, here.account.token, PAGE)
    assert read.meta["served_version"] == "v25.0"
    old = here.provider.profile(replace(here.app, api_version="v18.0"), here.account.token, PAGE)
    assert old.meta["served_version"] != "v18.0"
    assert here.account.profile.meta["token_data_access_expires_at"] > here.clock.instant


def test_a_removed_app_stops_an_upload(here: Place) -> None:
    draft, progress = a_draft(here, "images"), Progress()
    here.control("POST", "/portal/api/people/facebook/700000000000101/revoke", {})
    with pytest.raises(NeedsReconnect):
        here.prepare(draft, progress)
