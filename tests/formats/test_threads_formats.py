"""Every format of a Threads profile, from the provider's first call to what the sandbox stored."""

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
from socialconsole.providers.base import COMMENT, Draft, Located, Published, TokenSet
from socialconsole.providers.content import IMAGE, VIDEO, Poll, Progress
from socialconsole.providers.rules import problems
from tests.formats.playground import BASE, Place, Playground

GRAPH = "graph.threads.net"
BAKERY, QUIET, LEA = "17841405793187218", "17841405793187302", "17841405793187417"
DEFAULT = ("threads_basic", "threads_content_publish", "threads_delete")


@pytest.fixture
def here(playground: Playground) -> Place:
    place = playground("threads")
    place.connect()
    place.asked.clear()
    return place


def lines(here: Place) -> list[str]:
    return [one.line.replace(BAKERY, "USER") for one in here.asked]


def steps(here: Place) -> list[str]:
    """What the calls were about, questions that repeat told once."""
    found: list[str] = []
    for one in here.asked:
        word = one.path.rsplit("/", 1)[-1]
        word = "status" if one.query.get("fields", "").startswith("id,status") else word
        if not found or found[-1] != word:
            found.append(word)
    return found


def lose_answer(here: Place, draft: Draft, progress: Progress, kind: str = "drop_after") -> None:
    """Publish with the answer, or the call, getting lost on its way."""
    here.prepare(draft, progress)
    here.fault("publish", kind)
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, draft, progress)


# ---------------------------------------------------------------- connect


def test_a_consent_gives_a_long_token_the_profile_and_what_was_granted(playground):
    here = playground("threads")
    account = here.connect()
    assert lines(here) == [f"POST {GRAPH}/oauth/access_token", f"GET {GRAPH}/access_token", f"GET {GRAPH}/v1.0/me",
                           f"GET {GRAPH}/v1.0/debug_token"]
    assert account.consent.tokens.expires_in == 5_183_944
    assert account.consent.scopes == set(here.app.scopes.split(","))
    profile = account.profile
    assert (profile.platform_user_id, profile.username, profile.display_name) == (BAKERY, "harbourbakery",
                                                                                 "Harbour Bakery")
    assert profile.profile_url == f"{BASE}/www.threads.com/@harbourbakery"
    assert profile.meta["token_data_access_expires_at"] == int(here.clock.instant) + 90 * 86_400


def test_a_declined_permission_is_seen(playground):
    here = playground("threads")
    assert "threads_delete" not in (here.connect(declined=["threads_delete"]).consent.scopes or ())


def test_somebody_who_is_no_tester_connects_with_permissions_that_are_not_confirmed(playground):
    account = playground("threads").connect(QUIET)
    assert account.consent.scopes is None and account.consent.tokens.scopes is None
    assert account.profile.display_name == "quietcorner"  # this profile has no name
    assert "token_data_access_expires_at" not in account.profile.meta


def test_a_token_is_renewed_after_a_day_and_dies_at_its_end(here):
    tokens = TokenSet(here.account.token)
    with pytest.raises(TryLater) as early:
        here.provider.renew(here.app, tokens)
    assert early.value.message == "Too early to renew. We do it tomorrow."
    here.clock.forward(86_400)
    newer = here.provider.renew(here.app, tokens)
    assert newer.expires_in == 5_183_944 and newer.access_token != tokens.access_token
    assert "client_secret" not in here.asked[-1].parameters
    here.clock.forward(61 * 86_400)
    with pytest.raises(NeedsReconnect) as over:
        here.provider.renew(here.app, newer)
    assert over.value.reason == "expired"


# ---------------------------------------------------------------- formats


def test_a_text_is_made_waited_for_and_published_once(here):
    here.settings(processing_polls=2)
    published = here.deliver(here.draft("Fresh bread"))
    assert steps(here) == ["threads", "status", "threads_publishing_limit", "threads_publish", published.id]
    assert here.asked[0].form == {"media_type": "TEXT", "text": "Fresh bread", "access_token": here.account.token}
    assert not here.asked[0].query
    [post] = here.posts()
    assert (post["id"], post["text"], post["format"], post["media"]) == (published.id, "Fresh bread", "text", [])
    assert published.permalink == post["permalink"]
    assert not any("appsecret_proof" in one.parameters for one in here.asked)


def test_a_link(here):
    here.deliver(here.draft("Look https://example.com/a", "link", link="https://example.com/a"))
    assert (here.posts()[0]["link"], here.posts()[0]["format"]) == ("https://example.com/a", "link")


@pytest.mark.parametrize(("kind", "type"), [(IMAGE, "image/jpeg"), (IMAGE, "image/png"), (VIDEO, "video/mp4"),
                                            (VIDEO, "video/quicktime")])
def test_one_file_is_fetched_from_its_address(here, kind, type):
    file = here.file(kind, 60_000, type=type, alt_text="A loaf")
    here.deliver(here.draft("Bread", kind, [file], options={"is_spoiler_media": "yes"}))
    assert here.asked[0].form[f"{kind}_url"] == file.public_url
    post = here.posts()[0]
    assert (post["text"], post["format"], post["facts"]["spoiler_media"]) == ("Bread", kind, True)
    assert [(one["kind"], one["sha256"], one["alt"]) for one in post["media"]] == [(kind, file.sha256, "A loaf")]


def test_a_carousel_of_pictures_and_videos_keeps_its_order(here):
    here.settings(processing_polls=2)
    files = [here.file(VIDEO if number % 3 == 1 else IMAGE, alt_text=f"No. {number}") for number in range(20)]
    here.deliver(here.draft("All of it", "carousel", files))
    made = [one.form for one in here.asked if one.line.endswith("/threads")]
    assert len(made) == 21 and all(one["is_carousel_item"] == "true" for one in made[:20])
    assert made[20]["media_type"] == "CAROUSEL" and len(made[20]["children"].split(",")) == 20
    post = here.posts()[0]
    assert [one["sha256"] for one in post["media"]] == [one.sha256 for one in files]
    assert [one["alt"] for one in post["media"]] == [one.alt_text for one in files]
    assert (post["format"], post["text"]) == ("carousel", "All of it")


def test_a_carousel_goes_on_where_it_broke(here):
    def save(state):
        if len(state.get("items", ())) == 2 and not state["items"][0]["asked"]:
            here.fault("upload", "drop")

    draft, progress = here.draft("Three", "carousel", [here.file() for _ in range(3)]), Progress(save=save)
    with pytest.raises(TryLater):
        here.provider.prepare(here.app, here.account.token, draft, progress)
    kept = [one["id"] for one in progress.get("items")]
    here.deliver(draft, Progress(progress.state))
    made = [one.form for one in here.asked if one.line.endswith("/threads") and one.status == 200]
    assert [one["media_type"] for one in made] == ["IMAGE", "IMAGE", "IMAGE", "CAROUSEL"]
    assert made[3]["children"].split(",")[:2] == kept and len(here.posts()) == 1


def test_a_poll(here):
    here.deliver(here.draft("Rye or wheat?", "poll", poll=Poll("", ("Rye 🍞", "Wheat", "Both"), 1440)))
    post = here.posts()[0]
    assert (post["text"], post["format"]) == ("Rye or wheat?", "poll")
    assert post["facts"]["poll"] == {"option_a": "Rye 🍞", "option_b": "Wheat", "option_c": "Both"}


def test_the_platforms_own_choices(here):
    draft = here.draft("The 🎂 butler did it", options={
        "topic_tag": "#Bread", "reply_control": "followers_only", "location_id": "123456", "spoiler_text": "butler"})
    here.deliver(draft)
    assert here.posts()[0]["facts"] | {"shortcode": ""} == {
        "shortcode": "", "topic_tag": "Bread", "reply_control": "followers_only", "location_id": "123456",
        "spoilers": [{"entity_type": "SPOILER", "offset": 7, "length": 6}]}


def test_a_chain_and_a_first_comment_are_replies(here):
    root = here.deliver(here.draft("One"))
    second = here.deliver(here.draft("Two", "image", [here.file()], part=1, root_id=root.id, reply_to=root.id))
    third = here.deliver(here.draft("Three", part=2, root_id=root.id, reply_to=second.id))
    comment = here.deliver(here.draft("First", COMMENT, part=3, root_id=root.id, reply_to=root.id))
    replies = {post["id"]: post["reply_to"] for post in here.posts()}
    assert replies == {root.id: "", second.id: root.id, third.id: second.id, comment.id: root.id}


def test_a_chain_without_the_permission_says_which_one(playground):
    here = playground("threads")
    here.connect(scopes=DEFAULT)
    root = here.deliver(here.draft("One"))
    with pytest.raises(PermissionMissing) as caught:
        here.deliver(here.draft("Two", part=1, root_id=root.id, reply_to=root.id))
    assert caught.value.scopes == ("threads_manage_replies",)


def test_a_chain_where_the_permission_is_not_needed_does_not_ask_for_it(playground):
    here = playground("threads", replies_need_scope=False)
    here.connect(scopes=DEFAULT)
    root = here.deliver(here.draft("One"))
    reply = here.deliver(here.draft("Two", part=1, root_id=root.id, reply_to=root.id))
    assert here.posts()[0]["id"] == reply.id


@pytest.mark.parametrize(("text", "fits"), [
    ("a" * 500, True), ("a" * 501, False), ("é" * 500, True), ("麺" * 500, True), ("😀" * 125, True),
    ("😀" * 125 + "a", False), ("👨‍👩‍👧" * 27 + "a" * 14, True), ("👨‍👩‍👧" * 27 + "a" * 15, False),
    ("❤️" * 83 + "aa", True), ("❤️" * 83 + "aaa", False), ("🇸🇪" * 62 + "aaaa", True), ("🇸🇪" * 63, False),
    ("👍🏽" * 62 + "aaaa", True), ("👍🏽" * 63, False), ("1️⃣" * 71 + "aaa", True), ("1️⃣" * 72, False),
    ("⭐" * 166 + "aa", True), ("⭐" * 167, False), ("☝🏽" * 71 + "aaa", True), ("☝🏽" * 72, False), ("©" * 500, True),
    ("©️" * 100, True), ("©️" * 101, False), ("→" * 500, True), ("🏳️‍⚧️" * 31 + "a" * 4, True), ("🏳️‍⚧️" * 32, False),
])
def test_both_counters_agree_on_what_is_too_long(here, text, fits):
    draft = here.draft(text)
    assert (not problems(here.provider, draft, "", count=here.provider.count)) is fits
    if fits:
        here.provider.prepare(here.app, here.account.token, draft, Progress())
    else:
        with pytest.raises(ContentRejected, match="Too long for Threads: 500, and an emoji counts several."):
            here.provider.prepare(here.app, here.account.token, draft, Progress())


def test_a_sixth_link_is_refused_before_and_there(here):
    five = " ".join(f"https://example.com/{number}" for number in range(5))
    assert not here.provider.more_problems(here.draft(f"{five} https://example.com/0."), "")
    draft = here.draft(f"{five} www.example.org")
    assert [one.field for one in here.provider.more_problems(draft, "")] == ["text"]
    with pytest.raises(ContentRejected, match="At most five different links per post.") as caught:
        here.provider.prepare(here.app, here.account.token, draft, Progress())
    assert caught.value.field == "link"


# ---------------------------------------------------------------- media that cannot be had


@pytest.mark.parametrize(("kind", "code"), [(IMAGE, "1/2207052"), (VIDEO, "FAILED_DOWNLOADING_VIDEO")])
def test_an_address_that_cannot_be_opened_is_tried_once_more_then_the_admin_is_told(here, kind, code):
    broken = replace(here.file(kind), public_url=f"{here.file(kind).public_url}.gone")
    draft, progress = here.draft("Bread", kind, [broken]), Progress()
    with pytest.raises(TryLater) as first:
        here.prepare(draft, progress)
    with pytest.raises(ConfigurationWrong) as second:
        here.prepare(draft, progress)
    assert first.value.code == second.value.code == code
    assert second.value.message == "Threads cannot open our media address. Allow its fetcher in the proxy."
    assert not here.posts() and progress.get("container") is None


def test_a_file_without_public_address_is_never_announced(here):
    for address in ("", "https://c.example/brød.jpg"):
        with pytest.raises(ConfigurationWrong):
            here.prepare(here.draft("", "image", [replace(here.file(), public_url=address)]), Progress())
    assert not here.asked


def test_media_of_the_wrong_kind_is_told(here):
    fake = replace(here.file(IMAGE), kind=VIDEO)
    with pytest.raises(ContentRejected) as caught:
        here.prepare(here.draft("", "video", [fake]), Progress())
    assert (caught.value.message, caught.value.field) == (
        "Threads cannot use this video: its picture could not be processed.", "video")


# ---------------------------------------------------------------- once, and only once


def test_publishing_early_is_tried_again_with_the_same_container(here):
    here.settings(processing_polls=3)
    draft, progress = here.draft("Early"), Progress()
    here.provider.prepare(here.app, here.account.token, draft, progress)
    with pytest.raises(TryLater) as caught:
        here.provider.publish(here.app, here.account.token, draft, progress)
    assert (caught.value.message, caught.value.code) == ("Threads is still preparing the post.", "24/4279009")
    here.deliver(draft, progress)
    assert len([one for one in here.asked if one.line.endswith("/threads")]) == 1 == len(here.posts())


def test_after_the_fourth_miss_there_is_a_new_container(here):
    here.settings(processing_polls=9)
    draft, progress = here.draft("Early"), Progress()
    here.provider.prepare(here.app, here.account.token, draft, progress)
    for turn in range(4):
        assert progress.get("container"), turn
        with pytest.raises(TryLater):
            here.provider.publish(here.app, here.account.token, draft, progress)
    assert progress.get("container") is None


@pytest.mark.parametrize("how", ["text", "image without text", "reply"])
def test_a_lost_answer_is_found_and_nothing_goes_out_twice(here, how):
    root = here.deliver(here.draft("Root")) if how == "reply" else Published("")
    draft = {"text": here.draft("Lost &amp; found <b> https://example.com/x"),
             "image without text": here.draft("", "image", [here.file()]) if how.startswith("image") else None,
             "reply": here.draft("Answer", part=1, root_id=root.id, reply_to=root.id)}[how]
    before, progress = len(here.posts()), Progress()
    lose_answer(here, draft, progress)
    found = here.locate(draft, progress)
    assert isinstance(found, Published) and (found.id, found.permalink) == (
        here.posts()[0]["id"], here.posts()[0]["permalink"])
    assert here.deliver(draft, progress).id == found.id
    assert len(here.posts()) == before + 1


def test_a_call_that_never_arrived_is_sent_again_with_the_same_container(here):
    draft, progress = here.draft("Never arrived"), Progress()
    lose_answer(here, draft, progress, "drop")
    assert here.locate(draft, progress) is Located.NOT_PUBLISHED
    here.deliver(draft, progress)
    assert len(here.posts()) == 1
    assert len([one for one in here.asked if one.line.endswith("/threads")]) == 1


def test_a_reply_that_is_live_is_known_even_where_replies_may_not_be_read(playground):
    here = playground("threads", replies_need_scope=False)
    here.connect(scopes=DEFAULT)
    root = here.deliver(here.draft("One"))
    draft, progress = here.draft("Two", part=1, root_id=root.id, reply_to=root.id), Progress()
    lose_answer(here, draft, progress)
    assert here.locate(draft, progress) == Published("", "", "The post is live. Threads did not tell its address.")
    assert here.locate(draft, Progress()) is Located.CANNOT_LOOK


def test_an_old_container_is_made_anew_but_a_published_one_stays(here):
    draft, progress = here.draft("Old"), Progress()
    here.prepare(draft, progress)
    first = progress.get("container")["id"]
    here.clock.forward(timedelta(hours=23, minutes=1).total_seconds())
    here.deliver(draft, progress)
    assert progress.get("container")["id"] != first
    here.clock.forward(timedelta(hours=25).total_seconds())
    here.provider.prepare(here.app, here.account.token, draft, progress)
    assert progress.get("live") and len(here.posts()) == 1
    assert here.provider.check(here.app, here.account.token, draft, progress) is None


def test_a_container_that_expired_is_made_anew(here):
    draft, progress = here.draft("Old"), Progress()
    here.prepare(draft, progress)
    progress.keep(container={**progress.get("container"), "at": (outside.now() + timedelta(days=1)).isoformat()})
    here.clock.forward(86_400)
    with pytest.raises(TryLater, match="The prepared post grew too old. We prepare it again."):
        here.provider.check(here.app, here.account.token, draft, progress)
    assert progress.get("container") is None


def test_the_days_number_is_asked_before_and_waited_for(here):
    here.settings(quotas={"threads": 2})
    here.deliver(here.draft("One"))
    here.clock.forward(600)
    first = here.world.posts("threads")[0].created_at
    here.deliver(here.draft("Two"))
    draft, progress = here.draft("Three"), Progress()
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            here.prepare(draft, progress)
        assert caught.value.until and caught.value.until.timestamp() == pytest.approx(first + 86_400, abs=1)
        assert caught.value.message.startswith("2 posts in 24 hours are used up. We continue at ")
        assert not caught.value.whole_app
    here.clock.forward(86_400)
    here.deliver(draft, Progress())
    assert here.posts()[0]["text"] == "Three"


def test_the_days_number_may_run_out_at_the_last_moment(here):
    draft, progress = here.draft("One too many"), Progress()
    here.prepare(draft, progress)
    here.settings(quotas={"threads": 1})
    here.deliver(here.draft("Another"))
    with pytest.raises(RateLimited) as caught:
        here.provider.publish(here.app, here.account.token, draft, progress)
    assert caught.value.message.startswith("1 posts in 24 hours are used up.")


def test_a_restricted_profile_is_told_so(playground):
    here = playground("threads")
    here.connect(LEA)
    with pytest.raises(NeedsReconnect) as caught:
        here.prepare(here.draft("Hi"), Progress())
    assert caught.value.reason == "suspended"


def test_spam_is_told_to_the_author(playground):
    here = playground("threads", takes_for_spam=True)
    here.connect()
    with pytest.raises(ContentRejected, match="Threads took this for spam. Change the post and wait a day."):
        here.deliver(here.draft("Buy"))


# ---------------------------------------------------------------- read, delete


def test_deleting_twice_is_fine(here):
    draft = here.draft("Gone soon")
    published = here.deliver(draft)
    here.delete(published.id, draft)
    assert not here.posts()
    here.delete(published.id, draft)


def test_deleting_needs_its_own_permission(playground):
    here = playground("threads")
    here.connect(declined=["threads_delete"])
    draft = here.draft("Stays")
    published = here.deliver(draft)
    with pytest.raises(PermissionMissing) as caught:
        here.delete(published.id, draft)
    assert caught.value.scopes == ("threads_delete",) and here.posts()


def test_the_daily_reading(here):
    read = here.provider.profile(here.app, here.account.token, BAKERY)
    assert (read.username, read.meta["is_verified"], read.avatar_url.startswith(BASE)) == ("harbourbakery", True, True)
    with pytest.raises(TryLater):
        here.provider.profile(here.app, here.account.token, QUIET)
