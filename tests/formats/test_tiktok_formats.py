"""TikTok end to end: the real provider in front of the real sandbox, every byte and every choice looked at."""

from dataclasses import replace
from datetime import timedelta

import pytest

from socialconsole.errors import (
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.providers.content import Located, Progress, Published, Sent
from socialconsole.providers.rules import problems
from socialconsole.providers.tiktok_media import CHUNK, WHOLE

OPEN = "open.tiktokapis.com/v2"
PUBLISH = f"{OPEN}/post/publish"
CREATOR, INIT, STATUS = (f"POST {PUBLISH}/{name}/" for name in ("creator_info/query", "video/init", "status/fetch"))
INBOX, CONTENT, PUT = f"POST {PUBLISH}/inbox/video/init/", f"POST {PUBLISH}/content/init/", \
    "PUT open-upload.tiktokapis.com/video/"
CHOICES = {"privacy_level": "PUBLIC_TO_EVERYONE", "consent": "yes"}
BIG = WHOLE + 3_000_001  # six chunks, the last of 14,571,201 bytes


def draft(here, format="video", size=20_000, text="Fresh #bread", options=None, files=None, **facts):
    files = files or [here.file(kind="video", size=size)]
    return here.draft(text, format, files, options=CHOICES if options is None else options, **facts)


def lines(here):
    return [one.line for one in here.asked]


def spans(here):
    return [(one.headers["Content-Range"], one.status) for one in here.asked if one.method == "PUT"]


def publish(here, wanted, progress):
    return here.provider.publish(here.app, here.account.token, wanted, progress)


def follow(here, wanted, progress, sent):
    return here.provider.follow(here.app, here.account.token, wanted, progress, Sent(sent.id, sent.permalink))


@pytest.fixture
def here(playground):
    place = playground("tiktok")
    place.connect()
    place.asked.clear()
    return place


# ---------------------------------------------------------------- videos


def test_a_video_arrives_with_every_byte_and_choice(here):
    wanted = draft(here, options={
        **CHOICES, "allow_comment": "yes", "allow_duet": "yes", "is_aigc": "yes", "video_cover_timestamp_ms": "1500",
        "disclosure": "yes", "your_brand": "yes"})
    assert not problems(here.provider, wanted, "", count=here.provider.count)
    done = here.deliver(wanted)
    (post,) = here.posts()
    assert post["text"] == "Fresh #bread" and post["format"] == "video"
    assert post["media"][0]["sha256"] == wanted.file.sha256 and post["media"][0]["size"] == wanted.file.size
    facts = post["facts"]
    assert done.id == facts["number"] and not done.note
    assert done.permalink == f"http://localhost:9999/www.tiktok.com/@annabakes/video/{done.id}"
    assert (facts["privacy_level"], facts["is_aigc"], facts["video_cover_timestamp_ms"]) == (
        "PUBLIC_TO_EVERYONE", True, 1500)
    assert (facts["disable_comment"], facts["disable_duet"], facts["disable_stitch"]) == (False, False, True)
    assert (facts["brand_organic_toggle"], facts["brand_content_toggle"]) == (True, False)
    assert lines(here)[:3] == [CREATOR, INIT, PUT] and set(lines(here)[3:]) == {STATUS}


def test_only_the_last_chunk_publishes(here):
    wanted, progress = draft(here, size=BIG), Progress()
    here.prepare(wanted, progress)
    assert lines(here) == [CREATOR, INIT, *[PUT] * 5]
    source = here.asked[1].json["source_info"]
    assert source == {"source": "FILE_UPLOAD", "video_size": BIG, "chunk_size": CHUNK, "total_chunk_count": 6}
    assert spans(here) == [(f"bytes {number * CHUNK}-{(number + 1) * CHUNK - 1}/{BIG}", 206) for number in range(5)]
    assert not here.posts()
    here.asked.clear()
    here.prepare(wanted, progress)
    assert not here.asked, "a second time costs nothing"
    sent = publish(here, wanted, progress)
    assert spans(here) == [(f"bytes {5 * CHUNK}-{BIG - 1}/{BIG}", 201)] and lines(here) == [PUT]
    assert isinstance(sent, Sent) and sent.again_in == timedelta(seconds=5)
    assert here.posts()[0]["media"][0]["sha256"] == wanted.file.sha256


def test_bytes_go_without_a_token_and_with_their_own_type(here):
    wanted = draft(here, files=[here.file(kind="video", type="video/quicktime")])
    here.deliver(wanted)
    sent = next(one for one in here.asked if one.method == "PUT")
    assert "Authorization" not in sent.headers and sent.headers["Content-Type"] == "video/quicktime"
    assert sent.headers["Content-Length"] == str(wanted.file.size)
    asked = [one for one in here.asked if one.method == "POST"]
    assert {one.headers["Content-Type"] for one in asked} == {"application/json; charset=UTF-8"}
    assert asked[0].size == 0, "creator_info takes no body"


def test_an_upload_goes_on_where_it_broke(here):
    wanted, saved = draft(here, size=BIG), []
    here.fault("upload", "drop_after")  # the announcement's answer got lost: not a byte was sent, so it is made anew
    with pytest.raises(TryLater):
        here.prepare(wanted, Progress())
    progress, real = Progress(save=saved.append), here.door.send

    def send(adapter, request, **options):
        if request.headers.get("Content-Range", "").startswith(f"bytes {2 * CHUNK}-") and not cut:
            cut.append(True)
            here.fault("upload", "drop_after")
        return real(adapter, request, **options)

    cut, here.door.send = [], send
    with pytest.raises(TryLater):
        here.prepare(wanted, progress)
    here.asked.clear()
    here.deliver(wanted, Progress(saved[-1]))  # another worker, from what was kept
    assert spans(here)[0] == (f"bytes {2 * CHUNK}-{3 * CHUNK - 1}/{BIG}", 416), "TikTok says how far it is"
    assert spans(here)[1] == (f"bytes {3 * CHUNK}-{4 * CHUNK - 1}/{BIG}", 206)
    assert INIT not in lines(here)
    (post,) = here.posts()
    assert post["media"][0]["sha256"] == wanted.file.sha256


def test_an_upload_address_that_is_too_old_is_made_anew(playground):
    here = playground("tiktok", url_seconds=60)
    wanted, progress = draft(here, size=BIG), Progress()
    here.prepare(wanted, progress)
    here.clock.forward(3600)
    here.asked.clear()
    here.prepare(wanted, progress)
    assert lines(here)[:2] == [CREATOR, INIT]
    # TikTok ends it earlier than it says: refused in the middle, begun anew.
    progress.keep(stored=CHUNK)
    here.clock.forward(61)
    with pytest.raises(TryLater):
        here.prepare(wanted, progress)
    assert not progress.get("url")
    here.deliver(wanted, progress)
    assert len(here.posts()) == 1


def test_a_lost_answer_to_the_last_chunk_is_found_by_its_id(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.fault("publish", "drop_after")
    with pytest.raises(OutcomeUnknown):
        publish(here, wanted, progress)
    here.asked.clear()
    found = here.locate(wanted, progress)
    assert isinstance(found, Sent) and lines(here) == [STATUS]
    assert here.followed(wanted, progress, found).id == here.posts()[0]["facts"]["number"]


def test_a_last_chunk_that_never_arrived_is_sent_again_and_nothing_is_announced_twice(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.fault("publish", "drop")
    with pytest.raises(OutcomeUnknown):
        publish(here, wanted, progress)
    assert here.locate(wanted, progress) is Located.NOT_PUBLISHED
    here.asked.clear()
    here.deliver(wanted, progress)
    assert INIT not in lines(here) and len(here.posts()) == 1


def test_a_last_chunk_sent_twice_makes_one_post(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    first, again = publish(here, wanted, progress), publish(here, wanted, progress)
    assert first.id == again.id and len(here.posts()) == 1
    assert [status for _, status in spans(here)] == [201, 416]


def test_an_address_that_ran_out_at_the_last_chunk_is_asked_after_before_it_is_made_anew(playground):
    here = playground("tiktok", url_seconds=60)
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.clock.forward(61)
    with pytest.raises(OutcomeUnknown):
        publish(here, wanted, progress)
    assert here.locate(wanted, progress) is Located.NOT_PUBLISHED
    here.deliver(wanted, progress)
    assert len(here.posts()) == 1


def test_another_caption_needs_another_announcement(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.deliver(replace(wanted, text="Rye"), progress)
    assert [post["text"] for post in here.posts()] == ["Rye"]


def test_the_pauses_between_questions_grow_to_a_minute(here):
    here.settings(processing_polls=7)
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    sent, pauses = publish(here, wanted, progress), []
    while isinstance(sent, Sent):
        pauses.append(sent.again_in.total_seconds())
        here.clock.forward(pauses[-1])
        sent = follow(here, wanted, progress, sent)
    assert pauses[:8] == [5, 10, 20, 40, 60, 60, 60, 60]


def test_a_private_post_has_no_link_of_its_own(here):
    here.connect("ben-quiet")
    done = here.deliver(draft(here, options={**CHOICES, "privacy_level": "SELF_ONLY", "allow_comment": "yes"}))
    assert done.id.startswith("v_pub_file~") and done.permalink == "http://localhost:9999/www.tiktok.com/@benquiet"
    assert done.note == "It is published on TikTok, which gives a link only to public posts that it has checked."
    assert here.posts()[0]["facts"]["disable_comment"] is True, "what the creator closed stays closed"


def test_a_public_post_without_an_id_is_asked_after_for_two_hours(playground):
    here = playground("tiktok", moderation_polls=1000, access_seconds=86_400)
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    begun, sent = here.clock.now, publish(here, wanted, progress)
    done = here.followed(wanted, progress, sent)
    assert timedelta(hours=2) <= here.clock.now - begun < timedelta(hours=2, minutes=10)
    assert done.note and done.permalink.endswith("/@annabakes")


@pytest.mark.parametrize(("reason", "sentence", "field"), [
    ("picture_size_check_failed", "TikTok cannot use this file: its width or height is not supported.", "media"),
    ("spam_risk_text", "TikTok took this for spam. Change it.", "text"),
    ("internal", "TikTok stopped the post because of a fault of its own. Send it again.", ""),
    ("something_new", "TikTok stopped the post: something_new.", "media")])
def test_a_video_that_comes_to_nothing(here, reason, sentence, field):
    wanted, progress = draft(here, text=f"sandbox-fail-{reason}"), Progress()
    with pytest.raises(ContentRejected) as caught:
        here.deliver(wanted, progress)
    assert (caught.value.message, caught.value.field, caught.value.code) == (sentence, field, reason)
    assert not progress.get("url"), "a new try begins anew"


# ---------------------------------------------------------------- photos


def test_photos_are_fetched_and_published(here):
    photos = [here.file(), here.file(type="image/webp"), here.file()]
    wanted = draft(here, "photos", files=photos, text="Three loaves", options={
        **CHOICES, "title": "Bread", "cover": "2", "auto_add_music": "yes", "is_aigc": "yes", "allow_comment": "yes"})
    assert not problems(here.provider, wanted, "", count=here.provider.count)
    done = here.deliver(wanted)
    (post,) = here.posts()
    assert [one["sha256"] for one in post["media"]] == [one.sha256 for one in photos]
    facts = post["facts"]
    assert (post["text"], post["format"], facts["title"], facts["cover"]) == ("Three loaves", "photos", "Bread", 1)
    assert facts["auto_add_music"] and facts["is_aigc"] and facts["disable_comment"] is False
    assert done.permalink.endswith(f"/@annabakes/photo/{done.id}")
    assert lines(here)[:2] == [CREATOR, CONTENT]


def test_lost_photos_are_looked_for_where_the_list_may_be_read(here):
    wanted, progress = draft(here, "photos", files=[here.file()]), Progress()
    here.prepare(wanted, progress)
    here.fault("publish", "drop_after")
    with pytest.raises(OutcomeUnknown):
        publish(here, wanted, progress)
    assert here.locate(wanted, progress) is Located.NOT_FOUND  # TikTok has not published it yet
    post = here.world.posts("tiktok")[0]
    post.facts["done"] = True
    found = here.locate(wanted, progress)
    assert isinstance(found, Published) and found.id == post.facts["number"]
    assert here.locate(wanted, progress, sent_at=here.clock.now + timedelta(hours=1)) is Located.NOT_FOUND
    here.app = replace(here.app, scopes="user.info.basic,video.publish")
    here.asked.clear()
    assert here.locate(wanted, progress) is Located.CANNOT_LOOK and not here.asked


@pytest.mark.parametrize("changes", [{"options": {**CHOICES, "privacy_level": "SELF_ONLY"}},
                                     {"text": ""}, {"format": "inbox_photos", "options": {}}])
def test_other_lost_photos_cannot_be_looked_for(here, changes):
    wanted = replace(draft(here, "photos", files=[here.file()]), **changes)
    assert here.locate(wanted) is Located.CANNOT_LOOK


def test_an_address_that_tiktok_does_not_know(playground):
    here = playground("tiktok", media_verified=False)
    with pytest.raises(ConfigurationWrong) as caught:
        here.deliver(draft(here, "photos", files=[here.file()]))
    assert caught.value.message == "Our media address is not verified at TikTok under URL properties."


def test_photos_that_cannot_be_fetched(here):
    gone = replace(here.file(), public_url=here.file().public_url + "x")
    with pytest.raises(ContentRejected) as caught:
        here.deliver(draft(here, "photos", files=[gone]))
    assert (caught.value.code, caught.value.who) == ("photo_pull_failed", "admin")


# ---------------------------------------------------------------- the inbox


@pytest.mark.parametrize(("format", "kind", "call"), [("inbox_video", "video", INBOX),
                                                      ("inbox_photos", "image", CONTENT)])
def test_a_draft_waits_in_the_inbox_until_its_person_publishes_it(here, format, kind, call):
    file = here.file(kind=kind)
    wanted, progress = draft(here, format, files=[file], text="Try it", options={}), Progress()
    if format == "inbox_video":
        wanted = replace(wanted, text="")
    here.prepare(wanted, progress)
    sent = publish(here, wanted, progress)
    assert lines(here)[0] == call and CREATOR not in lines(here)
    assert follow(here, wanted, progress, sent).waits_for_person is False
    waiting = follow(here, wanted, progress, sent)
    assert waiting.waits_for_person and waiting.note.startswith("It is in the TikTok inbox")
    post = here.posts()[0]
    assert post["format"] == format and post["media"][0]["sha256"] == file.sha256
    here.client.post(f"/www.tiktok.com/sandbox/inbox/{post['id']}/post", base_url="http://localhost:9999")
    done = here.followed(wanted, progress, follow(here, wanted, progress, waiting))
    assert done.id == post["facts"]["number"] and done.permalink.endswith(done.id)


def test_five_drafts_may_wait(here):
    for _ in range(5):
        here.clock.forward(60)
        wanted = draft(here, "inbox_video", options={}, text="")
        progress = Progress()
        here.prepare(wanted, progress)
        publish(here, wanted, progress)
    here.clock.forward(60)
    with pytest.raises(ContentRejected) as caught:
        here.prepare(draft(here, "inbox_video", options={}, text=""), Progress())
    assert caught.value.message.startswith("Five drafts wait in the TikTok inbox.")


# ---------------------------------------------------------------- the creator


def test_what_may_be_chosen_comes_from_the_creator(here):
    creator = here.provider.creator(here.app, here.account.token, "x")
    assert creator.name == "Anna Bakes" and creator.avatar_url and creator.most_seconds == 300 and not creator.problem
    assert creator.choices == {"privacy_level": (("PUBLIC_TO_EVERYONE", "Everyone"),
                                                 ("MUTUAL_FOLLOW_FRIENDS", "Friends"), ("SELF_ONLY", "Only me"))}
    assert creator.off == {"allow_stitch": "Stitches are turned off in the settings of this TikTok account."}
    long = draft(here, files=[here.file(kind="video", seconds=400)], options={**CHOICES, "allow_stitch": "yes"})
    found = {one.field for one in problems(here.provider, long, "", count=here.provider.count, creator=creator)}
    assert found == {"files", "allow_stitch"}


def test_an_audience_that_is_no_longer_offered_is_never_replaced(here):
    wanted = draft(here, options={**CHOICES, "privacy_level": "FOLLOWER_OF_CREATOR"})
    with pytest.raises(ContentRejected) as caught:
        here.deliver(wanted)
    assert caught.value.message == "The chosen audience is no longer offered. Choose again."
    assert caught.value.field == "privacy_level" and lines(here) == [CREATOR]


def test_the_length_is_looked_at_once_more(here):
    with pytest.raises(ContentRejected) as caught:
        here.deliver(draft(here, files=[here.file(kind="video", seconds=301)]))
    assert "up to 300 seconds" in caught.value.message and INIT not in lines(here)


@pytest.mark.parametrize("lacking", ["privacy_level", "consent"])
@pytest.mark.parametrize("format", ["video", "photos"])
def test_nothing_is_sent_without_audience_and_agreement(here, lacking, format):
    files = [here.file(kind="video" if format == "video" else "image")]
    wanted = draft(here, format, files=files, options={**CHOICES, lacking: ""})
    with pytest.raises(ContentRejected):
        here.deliver(wanted)
    assert not here.asked
    assert lacking in {one.field for one in problems(here.provider, wanted, "", count=here.provider.count)}


def test_an_app_without_audit_may_only_post_to_private_accounts(playground):
    here = playground("tiktok", audited=False)
    here.connect()
    with pytest.raises(PermissionMissing) as caught:
        here.deliver(draft(here, options={**CHOICES, "privacy_level": "SELF_ONLY"}))
    assert caught.value.message.startswith("Until TikTok has audited the app, your account must be private")
    assert not caught.value.scopes
    here.connect("ben-quiet")
    here.deliver(draft(here, options={**CHOICES, "privacy_level": "SELF_ONLY"}))


@pytest.mark.parametrize(("settings", "quota", "hours", "who"), [({"active_users": 1}, 15, 1, "admin"),
                                                                 ({}, 1, 6, "console")])
def test_a_full_day_closes_direct_posts_and_leaves_the_inbox_open(playground, settings, quota, hours, who):
    here = playground("tiktok", **settings)
    here.settings(quotas={"tiktok": quota})
    here.connect("ben-quiet")
    here.deliver(draft(here, options={**CHOICES, "privacy_level": "SELF_ONLY"}))
    here.connect("anna-bakes" if settings else "ben-quiet")
    wanted = draft(here, options={**CHOICES, "privacy_level": "SELF_ONLY"})
    with pytest.raises(RateLimited) as caught:
        here.deliver(wanted)
    assert caught.value.until - here.clock.now == timedelta(hours=hours) and caught.value.who == who
    creator = here.provider.creator(here.app, here.account.token, "x")
    assert creator.off == {"consent": caught.value.message} and not creator.problem
    assert "consent" in {one.field for one in problems(here.provider, wanted, "", count=len, creator=creator)}
    inbox = draft(here, "inbox_video", options={}, text="")
    assert not problems(here.provider, inbox, "", count=len, creator=creator)
    here.prepare(inbox, Progress())


def test_a_banned_account(here):
    here.connect("cleo-barred")
    with pytest.raises(NeedsReconnect) as caught:
        here.provider.creator(here.app, here.account.token, "x")
    assert caught.value.reason == "suspended"


def test_an_account_that_allowed_only_the_inbox(here):
    account = here.connect(declined=["video.publish"])
    assert "video.publish" not in account.consent.scopes
    creator = here.provider.creator(here.app, here.account.token, "x")
    assert creator.name == "" and not creator.problem
    with pytest.raises(PermissionMissing) as caught:
        here.deliver(draft(here))
    assert caught.value.scopes == ("video.publish",)
    here.prepare(draft(here, "inbox_video", options={}, text=""), Progress())
    here.connect(declined=["video.upload"])
    with pytest.raises(PermissionMissing) as caught:
        here.prepare(draft(here, "inbox_video", options={}, text=""), Progress())
    assert caught.value.message == "This needs video.upload, which was not ticked. Reconnect grants it."


# ---------------------------------------------------------------- connect


def test_the_account_with_what_was_granted(playground):
    here = playground("tiktok")
    profile = here.connect(declined=["user.info.stats"]).profile
    assert (profile.username, profile.display_name) == ("annabakes", "Anna Bakes")
    assert profile.profile_url == "http://localhost:9999/www.tiktok.com/@annabakes"
    assert profile.meta["is_verified"] is True and "follower_count" not in profile.meta
    asked = next(one for one in here.asked if one.method == "GET")
    assert "follower_count" not in asked.query["fields"] and "username" in asked.query["fields"]
    # The daily reading does not know what was granted.
    assert here.provider.profile(here.app, here.account.token, profile.platform_user_id) == profile
    less = here.connect(declined=["user.info.profile", "user.info.stats"]).profile
    assert less.username == "" and less.display_name == "Anna Bakes"
    assert here.provider.profile(here.app, here.account.token, less.platform_user_id) == less


def test_a_desktop_app_with_its_own_challenge(playground):
    here = playground("tiktok", desktop=True)
    here.app = replace(here.app, options={"pkce": "s256_hex"})
    assert here.provider.wants_pkce(here.app) and here.connect().profile.username == "annabakes"
    exchange = next(one for one in here.asked if one.path == "/v2/oauth/token/")
    assert exchange.form["code_verifier"] == "v" * 64


def test_somebody_who_is_no_target_user(playground):
    here = playground("tiktok", target_users_only=True)
    with pytest.raises(ConfigurationWrong) as caught:
        here.consent("cleo-barred")
    assert caught.value.code == "non_sandbox_target"


def test_a_refresh_token_is_good_for_once(here):
    first = here.account.consent.tokens
    newer = here.provider.renew(here.app, first)
    assert newer.refresh_token != first.refresh_token and newer.refresh_expires_in == 180 * 86_400
    with pytest.raises(NeedsReconnect):
        here.provider.renew(here.app, first)
    here.provider.renew(here.app, newer)


@pytest.mark.parametrize("switch", [True, False])
def test_a_wrong_secret_with_whatever_status(playground, switch):
    here = playground("tiktok", errors_with_200=switch)
    tokens = here.connect().consent.tokens
    here.app = replace(here.app, client_secret="x" * 32)
    with pytest.raises(ConfigurationWrong) as caught:
        here.provider.renew(here.app, tokens)
    assert caught.value.message == "Client key or secret is wrong, or sandbox and production are mixed."


def test_revoking_takes_the_app_off_the_account_even_with_an_old_token(here):
    other, mine = here.connect(), here.connect()
    here.clock.forward(7300)
    here.asked.clear()
    here.provider.revoke(here.app, mine.consent.tokens, mine.consent.person_id)
    assert lines(here) == [f"POST {OPEN}/oauth/revoke/", f"POST {OPEN}/oauth/token/", f"POST {OPEN}/oauth/revoke/"]
    with pytest.raises(NeedsReconnect):
        here.provider.renew(here.app, other.consent.tokens)
    here.provider.revoke(here.app, other.consent.tokens, other.consent.person_id)  # gone already is fine
