"""Threads: a pair of its own, three envelopes of refusals, containers that are waited for and published once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from responses import matchers

from socialconsole import outside
from socialconsole.errors import (
    AttemptFailed,
    ConfigurationWrong,
    ContentRejected,
    Declined,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from socialconsole.providers import connectable
from socialconsole.providers.base import (
    COMMENT,
    App,
    Draft,
    Located,
    Published,
    Renewal,
    Replay,
    Revoke,
    TokenSet,
    Wait,
)
from socialconsole.providers.content import IMAGE, VIDEO, File, Poll, Progress
from socialconsole.providers.rules import fitting, problems

from .contract import ACCESS, CODE, NEW_ACCESS, NOW, REFRESH, STATE, VERIFIER, ProviderContract, Row, refuse, sent

provider = connectable("threads")
API = "https://graph.threads.net"
GRAPH = f"{API}/v1.0"
USER, CONTAINER, POST = "17841405793187218", "18012345678901234", "18098765432109876"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SHORT, LONG = "tHqShOrT-6Tg5Rf4Ed3Ws2Qa", "tHqLoNg-8Yh7Uj6Ik5Ol4Pm"
PERMALINK = "https://www.threads.com/@bakery/post/DCkkKl"
SCOPES = "threads_basic,threads_content_publish,threads_delete"
FACTS = App("990602627938098", SECRET, scopes=SCOPES, hosts=provider.base_addresses())
DRAFT = Draft("Fresh bread", USER, "bakery")
READY = {"id": CONTAINER, "at": NOW.isoformat(), "asked": 1, "ready": True}


def graph_error(code: int, subcode: int | None = None, message: str = "Something", **more: Any) -> dict[str, Any]:
    told = {"message": message, "type": "OAuthException", "code": code, "is_transient": False, "fbtrace_id": "Tx1",
            **more}
    return {"error": {**told, "error_subcode": subcode} if subcode else told}


def flat_error(message: str) -> dict[str, Any]:
    """As the code exchange says no."""
    return {"error_type": "OAuthException", "code": 400, "error_message": message}


def page_error(code: int, message: str) -> dict[str, Any]:
    """As the consent page says no."""
    return {"error_message": message, "error_code": code}


def row(step: str, code: int, subcode: int | None, error: type[PlatformError], sentence: str,
        message: str = "Something", **facts: Any) -> Row:
    return Row(step, 400, graph_error(code, subcode, message), error, sentence, facts)


CALLBACK = "The callback is missing in Use cases → Threads → Settings; all three addresses there must be filled."
NOT_OURS = "This is not a Threads app ID. The app has two pairs; take the Threads one."
SPAM = "Threads took this for spam. Change the post and wait a day."
CANNOT_OPEN = "Threads cannot open our media address. Allow its fetcher in the proxy."
SECRET_WRONG = "The app secret is wrong. Paste it again from the portal."
PREPARING = "Threads is still preparing the post."
NOT_FETCHED = "The media could not be fetched from this URI"
ROWS = (
    Row("token", 400, page_error(1349168, "URL Blocked: This redirect failed"), ConfigurationWrong, CALLBACK,
        {"who": "admin", "field": "redirect_uri"}),
    Row("token", 400, page_error(4476002, "No app ID was provided"), ConfigurationWrong, NOT_OURS,
        {"who": "admin", "field": "client_id"}),
    row("token", 4476002, None, ConfigurationWrong, NOT_OURS, field="client_id"),
    Row("token", 400, flat_error("Matching code was not found or was already used"), AttemptFailed,
        "The code from the platform was too old or used twice. Press Connect again."),
    Row("token", 200, flat_error("Matching code was not found or was already used"), AttemptFailed,
        "The code from the platform was too old or used twice."),
    Row("token", 400, flat_error("Error validating client secret."), ConfigurationWrong, SECRET_WRONG,
        {"field": "client_secret"}),
    *(row("token", code, None, ConfigurationWrong, SECRET_WRONG, "Error validating client secret.",
          field="client_secret") for code in (1, 100, 101)),
    row("token", 101, None, ConfigurationWrong, "Meta does not know this app id", "Error validating application."),
    row("renew", 100, None, TryLater, "Too early to renew. We do it tomorrow.", "must be at least 24 hours old"),
    row("renew", 10, None, PermissionMissing, "This needs threads_basic", "threads_basic is required",
        scopes=("threads_basic",)),
    *(row(step, 190, None, NeedsReconnect, "The platform no longer accepts this connection. Connect again.",
          reason="revoked") for step in ("renew", "read", "prepare", "publish")),
    *(row("read", 190, subcode, NeedsReconnect, sentence, reason=reason) for subcode, sentence, reason in (
        (458, "The app was removed in your settings.", "revoked"), (459, "Sign in at the platform first", "suspended"),
        (460, "The password was changed", "password_changed"), (463, "The permission ran out.", "expired"))),
    Row("renew", 400, flat_error("Error validating access token: it has expired"), NeedsReconnect,
        "The platform no longer accepts this connection."),
    *(row(step, 10, 4279013, NeedsReconnect,
          "Threads has restricted this profile. Open the app and follow its steps.", reason="suspended", who="tenant")
      for step in ("read", "prepare", "publish")),
    *(row(step, 200, None, ConfigurationWrong, "Meta has blocked this app or profile for the Threads API.",
          "API access blocked.", who="admin") for step in ("read", "prepare", "publish")),
    row("prepare", 1, 2207052, TryLater, CANNOT_OPEN),
    row("prepare", 100, None, TryLater, CANNOT_OPEN, NOT_FETCHED),
    row("publish", 4, 2207051, ContentRejected, SPAM, who="author", field="text"),
    row("publish", 4, None, ContentRejected, SPAM, "We restrict certain activity to protect our community"),
    row("publish", 24, 4279009, TryLater, PREPARING, "The requested resource does not exist"),
    row("prepare", 100, None, ContentRejected, "Too long for Threads: 500, and an emoji counts several.",
        "(#100) Param text must be at most 500 characters long.", field="text"),
    row("prepare", 100, None, ContentRejected, "At most five different links per post.",
        "THREADS_API__LINK_LIMIT_EXCEEDED", field="link"),
    *(Row("prepare", 400, graph_error(100, None, "", **{name: "THREADS_API__LINK_LIMIT_EXCEEDED"}),
          ContentRejected, "At most five different links per post.")
      for name in ("error_user_title", "error_user_msg", "type")),
    row("publish", 4, None, RateLimited, "250 posts in 24 hours are used up. We continue at ",
        "The publishing limit is reached", whole_app=False),
    row("publish", 4, None, RateLimited, "Meta limits this app for now.", whole_app=True),
    *(row("publish", code, None, RateLimited, "Meta limits this account for now. We continue at ", whole_app=False)
      for code in (17, 32, 613)),
    row("publish", 10, None, PermissionMissing, "This needs threads_content_publish",
        scopes=("threads_content_publish",)),
    row("prepare", 200, None, PermissionMissing, "This needs threads_delete, which was not granted.",
        "Requires threads_delete", scopes=("threads_delete",)),
    row("delete", 10, None, PermissionMissing, "This needs threads_delete, which was not granted.",
        scopes=("threads_delete",)),
    row("read", 10, None, ConfigurationWrong, "threads_content_publish is not approved", "Requires Advanced Access"),
    Row("prepare", 400, graph_error(100, None, "x", error_user_msg="Bad topic"), ContentRejected,
        "The platform refused one value: Bad topic"),
    row("read", 2, None, TryLater, "Meta has a passing problem. We try again."),
    Row("prepare", 400, graph_error(987, is_transient=True), TryLater, "Meta has a passing problem."),
    *(row("publish", code, subcode, OutcomeUnknown, "Meta did not confirm the post. We look whether it is there.")
      for code, subcode in ((1, None), (2, None), (1, 2207052))),
    row("publish", 987, None, ContentRejected, "Threads answered with something we do not know: 987."),
)


def picture(**facts: Any) -> File:
    return replace(File("f1", IMAGE, "image/jpeg", 1000, Path("/nowhere"), "a.jpg", width=1080, height=1080,
                        public_url="https://c.example/media/a.jpg"), **facts)


def video(**facts: Any) -> File:
    return replace(File("f2", VIDEO, "video/mp4", 1000, Path("/nowhere"), "a.mp4", width=1080, height=1920, seconds=9,
                        frame_rate=30, public_url="https://c.example/media/a.mp4"), **facts)


class TestThreads(ProviderContract):
    provider, facts, draft = provider, FACTS, DRAFT
    authorize_base = "https://threads.com/oauth/authorize"
    refused = ROWS
    declined = ({"error": "access_denied", "error_reason": "user_denied", "error_description": "The user denied"},
                {"error": "acceess_denied"}, {"error": "anything"})
    unclear_publish = ({"json": {}, "status": 200}, {"json": {"id": ""}, "status": 200}, {"json": [], "status": 200},
                       {"body": "", "status": 200})

    def prepared(self, app: App) -> Progress:
        return Progress({"container": READY})

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, f"{API}/oauth/access_token", json={"access_token": SHORT, "user_id": int(USER)})
        mock.add(responses.GET, f"{API}/access_token",
                 json={"access_token": LONG, "token_type": "bearer", "expires_in": 5183944})

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add(responses.GET, f"{GRAPH}/me", json={"id": USER, "username": "bakery", "name": "Harbour Bakery",
                                                     "threads_profile_picture_url": "https://cdn.example/p.jpg"})
        mock.add(responses.GET, f"{GRAPH}/debug_token", json={"data": {
            "type": "USER", "application": "Console", "data_access_expires_at": 1802776000, "expires_at": 1800184000,
            "is_valid": True, "issued_at": 1795000000, "scopes": SCOPES.split(","), "user_id": USER}})

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, f"{GRAPH}/{USER}/threads_publish", json={"id": POST})
        site = "https://www.threads.com" if isinstance(mock, responses.RequestsMock) else \
            self.provider.base_addresses("http://localhost:18999")["web"]
        mock.add(responses.GET, f"{GRAPH}/{POST}", json={"id": POST, "permalink": f"{site}/@bakery/post/DCkkKl"})

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add(responses.GET, f"{API}/refresh_access_token", json={"token_type": "bearer", **token})

    # What the shared tests say otherwise, since Threads differs.

    def test_a_page_in_place_of_an_answer_confirms_no_revoke(self, mock: responses.RequestsMock) -> None:
        assert self.error("revoke").code == "not_offered"
        assert not mock.calls

    def test_an_unknown_refusal_is_told_safely(self) -> None:
        with pytest.raises(Declined) as caught:
            self.provider.read_refusal({"error": f"<b>{ACCESS}</b>"})
        assert ACCESS not in caught.value.message + caught.value.code

    # ------------------------------------------------------------ connect, keep

    def test_the_exchanges_are_exact(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, f"{CODE}#_", VERIFIER)
        code, longer, me, debug = (call.request for call in mock.calls)
        assert dict(parse_qsl(str(code.body))) == {
            "client_id": self.app.client_id, "client_secret": SECRET, "code": CODE,
            "grant_type": "authorization_code", "redirect_uri": self.app.redirect_uri}
        assert not urlsplit(code.url).query and code.headers["Content-Type"].startswith(
            "application/x-www-form-urlencoded")
        assert "Authorization" not in code.headers
        assert sent(longer) == {"grant_type": "th_exchange_token", "client_secret": SECRET, "access_token": SHORT}
        assert sent(me) == {"access_token": LONG, "fields": "id,username,name,threads_profile_picture_url,"
                                                           "threads_biography,is_verified"}
        assert sent(debug) == {"access_token": LONG, "input_token": LONG}
        [profile] = consent.profiles
        assert (consent.person_id, profile.platform_user_id, consent.scopes) == (USER, USER, set(SCOPES.split(",")))
        assert (consent.tokens.access_token, consent.tokens.expires_in) == (LONG, 5183944)
        assert (profile.profile_url, profile.avatar_url) == ("https://www.threads.com/@bakery",
                                                             "https://cdn.example/p.jpg")
        assert profile.meta == {"token_data_access_expires_at": 1802776000}

    @pytest.mark.parametrize("answer", [
        {"status": 400, "json": graph_error(10)}, {"status": 400, "json": graph_error(190)}, {"status": 500},
        {"status": 200, "body": "<html>"}, {"json": {"data": {"is_valid": False, "scopes": ["threads_basic"]}}},
        {"json": {"data": {}}}, {"json": {"data": {"scopes": []}}}, {"json": {"data": {"scopes": None}}}, {"json": []}])
    def test_permissions_that_threads_does_not_tell_are_not_confirmed(self, mock: responses.RequestsMock,
                                                                      answer: dict[str, Any]) -> None:
        self.answers_consent(mock)
        mock.replace(responses.GET, f"{GRAPH}/debug_token", **answer)
        assert self.provider.consent(self.app, CODE, VERIFIER).scopes is None

    def test_a_profile_may_have_no_name_and_a_number_as_id(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.GET, f"{GRAPH}/me", json={"id": int(USER), "username": "bakery"})
        read = self.provider.profile(self.app, ACCESS, USER)
        assert (read.platform_user_id, read.display_name, read.meta) == (USER, "bakery", {})

    def test_a_renewal_sends_no_secret(self, mock: responses.RequestsMock) -> None:
        self.answers_renewal(mock, access_token=NEW_ACCESS, expires_in=5183944)
        newer = self.provider.renew(self.app, TokenSet(ACCESS))
        assert sent(mock.calls[0].request) == {"grant_type": "th_refresh_token", "access_token": ACCESS}
        assert (newer.access_token, newer.refresh_token, newer.expires_in) == (NEW_ACCESS, None, 5183944)

    def test_what_a_page_of_threads_says_can_be_read(self) -> None:
        for code, sentence in (("1349168", CALLBACK), ("4476002", NOT_OURS),
                               ("1", "Either the id is wrong or the profile is not an accepted Threads Tester.")):
            with pytest.raises(ConfigurationWrong) as caught:
                self.provider.read_refusal({"error_code": code, "error_message": "An unknown error has occurred"})
            assert (caught.value.message, caught.value.who) == (sentence, "admin")

    def test_facts(self) -> None:
        one = self.provider
        assert (one.renewal, one.replay, one.revoke_kind) == (Renewal.EXCHANGE, Replay.REUSABLE, Revoke.NOT_OFFERED)
        assert one.renew_before_end == timedelta(days=30) and one.revoke_where and not one.pkce
        assert (one.text_limit.most, one.publish_needs[""]) == (500, ("threads_content_publish", "threads_basic"))
        assert one.chain_needs == one.comment_needs[""] == ("threads_manage_replies",)
        assert one.delete_needs == {"": ("threads_delete",)} and not one.scope_problem("", SCOPES.split(","))
        assert one.scope_problem("", ["threads_delete"])
        values = [value for step in one.guides[""].steps for value in step.values]
        assert values == ["{CALLBACK}", "{DEAUTHORIZE}", "{DELETION}", "{SCOPES}"]


# ---------------------------------------------------------------- containers


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    outside.use_clock(lambda: NOW)
    yield
    outside.use_clock(None)


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as made:
        yield made


def form(mock: responses.RequestsMock, number: int = 0) -> dict[str, str]:
    """The form of a call, which must have nothing in its address, and a token in the form."""
    request = mock.calls[number].request
    assert not urlsplit(str(request.url)).query
    found = dict(parse_qsl(str(request.body), keep_blank_values=True))
    assert found.pop("access_token") == ACCESS
    return found


def made(mock: responses.RequestsMock, *ids: str) -> None:
    for one in ids or (CONTAINER,):
        mock.add(responses.POST, f"{GRAPH}/{USER}/threads", json={"id": one})


def prepared(draft: Draft, state: dict[str, Any] | None = None) -> Progress:
    progress = Progress(state)
    provider.prepare(FACTS, ACCESS, draft, progress)
    return progress


def status(mock: responses.RequestsMock, word: str, told: str = "", of: str = CONTAINER) -> None:
    body = {"id": of, "status": word, **({"error_message": told} if told else {})}
    mock.add(responses.GET, f"{GRAPH}/{of}", json=body,
             match=[matchers.query_param_matcher({"fields": "id,status,error_message", "access_token": ACCESS})])


def quota(mock: responses.RequestsMock, used: int = 0, kind: str = "", total: int = 250) -> None:
    mock.add(responses.GET, f"{GRAPH}/{USER}/threads_publishing_limit",
             json={"data": [{f"{kind}quota_usage": used,
                             f"{kind}config": {"quota_total": total, "quota_duration": 86400}}]},
             match=[matchers.query_param_matcher({"fields": f"{kind}quota_usage,{kind}config",
                                                  "access_token": ACCESS})])


def check(draft: Draft, progress: Progress) -> Wait | None:
    return provider.check(FACTS, ACCESS, draft, progress)


POLL = Poll("", ("Rye", "Wheat 🌾", " "), 1440)
BARE = replace(DRAFT, text="")
FORMS: tuple[tuple[Draft, dict[str, str]], ...] = (
    (DRAFT, {"media_type": "TEXT", "text": "Fresh bread"}),
    (replace(DRAFT, format="link", link="https://a.example/"),
     {"media_type": "TEXT", "text": "Fresh bread", "link_attachment": "https://a.example/"}),
    (replace(DRAFT, link="https://a.example/"), {"media_type": "TEXT", "text": "Fresh bread"}),
    (replace(DRAFT, format="poll", poll=POLL, link="https://a.example/"),
     {"media_type": "TEXT", "text": "Fresh bread", "poll_attachment": '{"option_a":"Rye","option_b":"Wheat 🌾"}'}),
    (replace(BARE, format="image", files=(picture(),)),
     {"media_type": "IMAGE", "image_url": "https://c.example/media/a.jpg"}),
    (replace(DRAFT, format="image", files=(picture(alt_text="A loaf"),), link="https://a.example/"),
     {"media_type": "IMAGE", "image_url": "https://c.example/media/a.jpg", "alt_text": "A loaf",
      "text": "Fresh bread"}),
    (replace(DRAFT, format="video", files=(video(alt_text="Kneading"),), options={"is_spoiler_media": "yes"}),
     {"media_type": "VIDEO", "video_url": "https://c.example/media/a.mp4", "alt_text": "Kneading",
      "text": "Fresh bread", "is_spoiler_media": "true"}),
    (replace(DRAFT, part=2, root_id="1", reply_to="2"),
     {"media_type": "TEXT", "text": "Fresh bread", "reply_to_id": "2"}),
    (replace(DRAFT, format=COMMENT, part=1, root_id="1", reply_to="1"),
     {"media_type": "TEXT", "text": "Fresh bread", "reply_to_id": "1"}),
    (replace(DRAFT, options={"topic_tag": " #Bread ", "reply_control": "mentioned_only", "location_id": " 123 ",
                             "spoiler_text": "bread"}),
     {"media_type": "TEXT", "text": "Fresh bread", "topic_tag": "Bread", "reply_control": "mentioned_only",
      "location_id": "123", "text_entities": '[{"entity_type":"SPOILER","offset":6,"length":5}]'}),
)


@pytest.mark.parametrize(("draft", "expected"), FORMS, ids=lambda one: getattr(one, "format", ""))
def test_each_format_is_one_container_with_exactly_these_parameters(mock, draft, expected):
    made(mock)
    progress = prepared(draft)
    assert form(mock) == expected
    assert progress.get("container") == {"id": CONTAINER, "at": NOW.isoformat(), "asked": 0, "ready": False}
    prepared(draft, progress.state)  # what is there already costs nothing
    assert len(mock.calls) == 1


def test_a_carousel_is_made_of_finished_parts(mock):
    draft = replace(DRAFT, format="carousel", files=(picture(alt_text="A loaf"), video()),
                    options={"reply_control": "everyone"})
    made(mock, "31", "32", "30")
    progress = prepared(draft)
    assert form(mock, 0) == {"media_type": "IMAGE", "image_url": "https://c.example/media/a.jpg",
                             "is_carousel_item": "true", "alt_text": "A loaf"}
    assert form(mock, 1) == {"media_type": "VIDEO", "video_url": "https://c.example/media/a.mp4",
                             "is_carousel_item": "true"}
    assert check(draft, progress) == Wait(timedelta(seconds=5))
    status(mock, "FINISHED", of="31")
    status(mock, "IN_PROGRESS", of="32")
    assert check(draft, progress) == Wait(timedelta(seconds=10))
    prepared(draft, progress.state)
    assert len(mock.calls) == 4  # nothing new: the second part is not ready
    mock.remove(responses.GET, f"{GRAPH}/32")
    status(mock, "FINISHED", of="32")
    assert check(draft, progress) == Wait(timedelta(seconds=1))
    progress = prepared(draft, progress.state)
    assert form(mock, 5) == {"media_type": "CAROUSEL", "children": "31,32", "text": "Fresh bread",
                             "reply_control": "everyone"}
    assert progress.get("container")["id"] == "30"


def test_a_reply_to_nothing_is_not_made(mock):
    with pytest.raises(ContentRejected):
        prepared(replace(DRAFT, part=1))


def test_a_lost_answer_to_a_container_is_harmless(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads", status=500)
    with pytest.raises(TryLater):
        prepared(DRAFT)
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads", json={})
    with pytest.raises(TryLater):
        prepared(DRAFT)


def test_a_refusal_with_the_status_of_a_success(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads", json=graph_error(100, None, "at most 500 characters"))
    with pytest.raises(ContentRejected, match="Too long for Threads"):
        prepared(DRAFT)


def test_questions_come_after_a_moment_and_then_more_slowly(mock):
    for draft, expected in ((DRAFT, [1, 2, 2, 2]), (replace(DRAFT, files=(video(),), format="video"), [5, 10, 15, 15])):
        progress = Progress({"container": {**READY, "asked": 0, "ready": False}})
        status(mock, "IN_PROGRESS")
        waits = [check(draft, progress) for _ in range(4)]
        assert [one.again_in.total_seconds() for one in waits if one] == expected


def test_a_container_that_is_never_done_ends_after_ten_minutes(mock):
    progress = Progress({"container": {**READY, "at": (NOW - timedelta(minutes=11)).isoformat(), "asked": 3}})
    status(mock, "IN_PROGRESS")
    with pytest.raises(ContentRejected):
        check(DRAFT, progress)
    assert progress.get("container") is None


def test_a_pause_between_making_a_container_and_asking_for_it_is_not_its_slowness(mock):
    progress = Progress({"container": {**READY, "at": (NOW - timedelta(minutes=50)).isoformat(), "asked": 1}})
    status(mock, "IN_PROGRESS")
    assert check(DRAFT, progress) is not None
    assert progress.get("container") is not None


def test_a_question_that_got_no_answer_is_not_its_slowness_either(mock):
    progress = Progress({"container": {**READY, "at": (NOW - timedelta(minutes=50)).isoformat(), "asked": 1}})
    for _ in range(4):
        mock.add(responses.GET, f"{GRAPH}/{READY['id']}", body=ConnectionError("cut off"))
        with pytest.raises(TryLater):
            check(DRAFT, progress)
        mock.reset()
    status(mock, "IN_PROGRESS")
    assert check(DRAFT, progress) is not None and progress.get("container")["asked"] == 2


@pytest.mark.parametrize(("told", "sentence", "field"), [
    ("FAILED_PROCESSING_AUDIO", "Threads cannot use this video: its sound could not be processed.", "video"),
    ("FAILED_PROCESSING_VIDEO", "Threads cannot use this video: its picture could not be processed.", "video"),
    ("INVALID_ASPEC_RATIO", "Threads cannot use this video: the aspect ratio.", "video"),
    ("INVALID_ASPECT_RATIO", "Threads cannot use this video: the aspect ratio.", "video"),
    ("INVALID_BIT_RATE", "Threads cannot use this video: the bit rate.", "video"),
    ("INVALID_DURATION", "Threads cannot use this video: the duration.", "video"),
    ("INVALID_FRAME_RATE", "Threads cannot use this video: the frame rate.", "video"),
    ("INVALID_AUDIO_CHANNELS", "Threads cannot use this video: the number of audio channels.", "video"),
    ("INVALID_AUDIO_CHANNEL_LAYOUT", "Threads cannot use this video: the layout of the audio channels.", "video"),
    ("UNKNOWN", "Threads could not process the media. Check the format and try again.", "media"),
    ("", "Threads could not process the media. Check the format and try again.", "media"),
    ("NEVER_HEARD_OF", "Threads could not process the media. Check the format and try again.", "media")])
def test_what_a_failed_container_says(mock, told, sentence, field):
    status(mock, "ERROR", told)
    progress = Progress({"container": READY})
    with pytest.raises(ContentRejected) as caught:
        check(replace(DRAFT, files=(video(),), format="video"), progress)
    assert (caught.value.message, caught.value.field) == (sentence, field)
    assert progress.get("container") is None


def test_media_that_cannot_be_fetched_is_tried_once_more(mock):
    status(mock, "ERROR", "FAILED_DOWNLOADING_VIDEO")
    progress = Progress({"container": READY})
    with pytest.raises(TryLater, match=CANNOT_OPEN):
        check(DRAFT, progress)
    made(mock)
    provider.prepare(FACTS, ACCESS, DRAFT, progress)
    check(DRAFT, progress)
    with pytest.raises(ConfigurationWrong, match=CANNOT_OPEN):
        check(DRAFT, progress)


@pytest.mark.parametrize("gone", [graph_error(24, 4279009), graph_error(100, 33)])
def test_a_container_that_is_gone_is_made_anew(mock, gone):
    mock.add(responses.GET, f"{GRAPH}/{CONTAINER}", status=400, json=gone)
    mock.add(responses.GET, f"{GRAPH}/me", json={"id": USER, "username": "bakery"})
    progress = Progress({"container": READY})
    with pytest.raises(TryLater):
        check(DRAFT, progress)
    assert progress.get("container") is None


def test_a_profile_that_is_gone_needs_its_person(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads", status=400, json=graph_error(100, 33))
    mock.add(responses.GET, f"{GRAPH}/me", status=400, json=graph_error(100, 33))
    with pytest.raises(NeedsReconnect):
        prepared(DRAFT)


def test_a_reply_to_a_post_that_is_gone_is_refused(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads", status=400, json=graph_error(100, 33))
    mock.add(responses.GET, f"{GRAPH}/me", json={"id": USER, "username": "bakery"})
    with pytest.raises(ContentRejected, match="The post or media no longer exists there"):
        prepared(replace(DRAFT, part=1, reply_to="9"))


# ---------------------------------------------------------------- the day's number


def test_the_quota_that_fits_is_asked_for(mock):
    status(mock, "FINISHED")
    quota(mock, 249)
    assert check(DRAFT, Progress({"container": READY})) is None
    quota(mock, 999, "reply_", 1000)
    assert check(replace(DRAFT, part=1, reply_to="9"), Progress({"container": READY})) is None


def test_used_up_replies_wait_for_the_oldest_of_the_day(mock):
    status(mock, "FINISHED")
    quota(mock, 1000, "reply_", 1000)
    times = ["2026-11-21T08:00:00+0000", "2026-11-20T12:30:00+0000", "2026-11-20T08:59:00+0000"]
    mock.add(responses.GET, f"{GRAPH}/{USER}/replies",
             json={"data": [{"id": str(number), "timestamp": one} for number, one in enumerate(times)],
                   "paging": {"cursors": {"after": "x"}, "next": "https://graph.threads.net/…"}},
             match=[matchers.query_param_matcher({"fields": "id,timestamp", "limit": "100", "access_token": ACCESS})])
    with pytest.raises(RateLimited) as caught:
        check(replace(DRAFT, part=1, reply_to="9"), Progress({"container": READY}))
    assert caught.value.message == "1,000 replies in 24 hours are used up. We continue at 12:30 UTC."
    assert caught.value.until == NOW + timedelta(hours=3, minutes=30)


def test_a_reply_quota_that_may_not_be_asked_for_stops_nothing(mock):
    status(mock, "FINISHED")
    mock.add(responses.GET, f"{GRAPH}/{USER}/threads_publishing_limit", status=403, json=graph_error(10))
    assert check(replace(DRAFT, part=1, reply_to="9"), Progress({"container": READY})) is None
    with pytest.raises(PermissionMissing):
        check(DRAFT, Progress({"container": READY}))


def test_a_list_that_tells_nothing_means_an_hour(mock):
    status(mock, "FINISHED")
    quota(mock, 250)
    mock.add(responses.GET, f"{GRAPH}/{USER}/threads", status=500)
    with pytest.raises(RateLimited) as caught:
        check(DRAFT, Progress({"container": READY}))
    assert caught.value.until == NOW + timedelta(hours=1)


# ---------------------------------------------------------------- publish, locate, delete


def test_publishing_is_exact_and_the_address_is_only_decoration(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads_publish", json={"id": int(POST)})
    mock.add(responses.GET, f"{GRAPH}/{POST}", json={"id": POST, "permalink": PERMALINK},
             match=[matchers.query_param_matcher({"fields": "id,permalink", "access_token": ACCESS})])
    assert provider.publish(FACTS, ACCESS, DRAFT, Progress({"container": READY})) == Published(POST, PERMALINK)
    assert form(mock) == {"creation_id": CONTAINER}


@pytest.mark.parametrize("answer", [
    {"status": 500}, {"status": 400, "json": graph_error(190)}, {"body": "<html>"}, {"json": {"permalink": None}},
    {"json": {"permalink": "https://evil.example/"}}, {"json": {"permalink": "javascript:alert(1)"}}])
def test_trouble_with_the_address_is_no_failure(mock, answer):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads_publish", json={"id": POST})
    mock.add(responses.GET, f"{GRAPH}/{POST}", **answer)
    assert provider.publish(FACTS, ACCESS, DRAFT, Progress({"container": READY})) == Published(POST, "")


def test_the_older_host_in_an_address_is_threads_too(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads_publish", json={"id": POST})
    mock.add(responses.GET, f"{GRAPH}/{POST}", json={"permalink": "https://www.threads.net/@bakery/post/D"})
    done = provider.publish(FACTS, ACCESS, DRAFT, Progress({"container": READY}))
    assert done.permalink == "https://www.threads.net/@bakery/post/D"


def test_a_reply_without_permission_names_the_one_for_replies(mock):
    mock.add(responses.POST, f"{GRAPH}/{USER}/threads", status=403, json=graph_error(10))
    with pytest.raises(PermissionMissing) as caught:
        prepared(replace(DRAFT, part=1, reply_to="9"))
    assert caught.value.scopes == ("threads_manage_replies",) and "threads_manage_replies" in caught.value.message


def test_an_empty_container_is_never_published(mock):
    with pytest.raises(TryLater):
        provider.publish(FACTS, ACCESS, DRAFT, Progress())


@pytest.mark.parametrize("word", ["FINISHED", "IN_PROGRESS", "ERROR", "EXPIRED"])
def test_the_container_says_that_nothing_went_out(mock, word):
    status(mock, word)
    assert provider.locate(FACTS, ACCESS, DRAFT, Progress({"container": READY}), NOW) is Located.NOT_PUBLISHED


def listed(mock: responses.RequestsMock, *posts: dict[str, Any], edge: str = "threads") -> None:
    mock.add(responses.GET, f"{GRAPH}/{USER}/{edge}", json={"data": list(posts)}, match=[matchers.query_param_matcher(
        {"fields": "id,text,permalink,timestamp", "limit": "5", "access_token": ACCESS})])


def listed_post(**facts: Any) -> dict[str, Any]:
    return {"id": POST, "text": "Fresh bread", "permalink": PERMALINK, "timestamp": "2026-11-21T09:00:00+0000", **facts}


@pytest.mark.parametrize(("post", "is_ours"), [
    (listed_post(), True), (listed_post(text="Fresh  bread"), True), (listed_post(text="Stale bread"), False),
    (listed_post(timestamp="2026-11-21T08:00:00+0000"), False), (listed_post(timestamp=None), False),
    (listed_post(id=None), False)])
def test_our_post_is_known_by_text_and_time(mock, post, is_ours):
    status(mock, "PUBLISHED")
    listed(mock, post)
    found = provider.locate(FACTS, ACCESS, DRAFT, Progress({"container": READY}), NOW)
    assert found == (Published(POST, PERMALINK) if is_ours else Located.NOT_FOUND)


def test_a_post_without_text_is_only_known_if_the_container_is_live(mock):
    draft = replace(BARE, format="image", files=(picture(),))
    listed(mock, listed_post(text=None))
    assert provider.locate(FACTS, ACCESS, draft, Progress(), NOW) is Located.NOT_FOUND
    status(mock, "PUBLISHED")
    assert provider.locate(FACTS, ACCESS, draft, Progress({"container": READY}), NOW) == Published(POST, PERMALINK)


def test_a_live_post_that_is_never_listed_is_live_all_the_same(mock):
    status(mock, "PUBLISHED")
    listed(mock)
    progress, late = Progress({"container": READY}), NOW - timedelta(minutes=6)
    assert provider.locate(FACTS, ACCESS, DRAFT, progress, NOW) is Located.NOT_FOUND
    assert provider.locate(FACTS, ACCESS, DRAFT, progress, late) == Published(
        "", "", "The post is live. Threads did not tell its address.")


def test_a_live_container_is_never_published_again(mock):
    status(mock, "PUBLISHED")
    progress = Progress({"container": READY})
    assert check(DRAFT, progress) is None
    listed(mock, listed_post())
    assert provider.publish(FACTS, ACCESS, DRAFT, progress) == Published(POST, PERMALINK)


def test_deleting_is_exact(mock):
    mock.add(responses.DELETE, f"{GRAPH}/{POST}", json={"success": True, "deleted_id": POST},
             match=[matchers.query_param_matcher({"access_token": ACCESS})])
    provider.delete(FACTS, ACCESS, POST, DRAFT)


@pytest.mark.parametrize(("code", "subcode"), [(100, 33), (24, 4279009), (24, None)])
def test_what_is_gone_already_is_fine_for_a_profile_that_we_see(mock, code, subcode):
    mock.add(responses.DELETE, f"{GRAPH}/{POST}", status=400, json=graph_error(code, subcode))
    mock.add(responses.GET, f"{GRAPH}/me", json={"id": USER, "username": "bakery"})
    provider.delete(FACTS, ACCESS, POST, DRAFT)


@pytest.mark.parametrize("body", [{"success": False}, {}, graph_error(190)])
def test_a_deletion_that_is_not_confirmed_is_none(mock, body):
    mock.add(responses.DELETE, f"{GRAPH}/{POST}", json=body)
    with pytest.raises(PlatformError):
        provider.delete(FACTS, ACCESS, POST, DRAFT)


# ---------------------------------------------------------------- what the author is told before


def sentences(draft: Draft) -> list[tuple[str, str]]:
    return [(one.field, one.sentence) for one in problems(provider, draft, "", count=provider.count)]


@pytest.mark.parametrize(("draft", "field"), [
    (replace(DRAFT, text="a" * 501), "text"), (replace(DRAFT, text=" "), "text"),
    (replace(DRAFT, options={"topic_tag": "a" * 51}), "topic_tag"), (replace(DRAFT, options={"topic_tag": "a.b"}),
                                                                      "topic_tag"),
    (replace(DRAFT, options={"topic_tag": "a&b"}), "topic_tag"), (replace(DRAFT, options={"location_id": "Rome"}),
                                                                  "location_id"),
    (replace(DRAFT, options={"reply_control": "nobody"}), "reply_control"),
    (replace(DRAFT, options={"spoiler_text": "butler"}), "spoiler_text"),
    (replace(DRAFT, text=" ".join(f"https://a.example/{one}" for one in range(6))), "text"),
    (replace(DRAFT, format="video", files=(video(seconds=301),)), "files"),
    (replace(DRAFT, format="video", files=(video(frame_rate=61),)), "files"),
    (replace(DRAFT, format="video", files=(video(width=1921, height=1080),)), "files"),
    (replace(DRAFT, format="image", files=(picture(width=1100, height=100),)), "files"),
    (replace(DRAFT, format="image", files=(picture(alt_text="a" * 1001),)), "files"),
    (replace(DRAFT, format="carousel", files=(picture(),) * 21), "files"),
    (replace(DRAFT, format="poll", poll=Poll("", ("a",), 1440)), "poll"),
    (replace(DRAFT, format="poll", poll=Poll("", ("a", "b" * 26), 1440)), "poll"),
])
def test_what_threads_would_refuse_is_said_before(draft, field):
    assert field in [name for name, _ in sentences(draft)]


def test_good_drafts_have_no_problem():
    options = {"topic_tag": "#" + "a" * 50, "location_id": "123", "reply_control": "everyone", "spoiler_text": "bread"}
    assert not sentences(replace(DRAFT, options=options, text="bread " + "a" * 494))
    assert not sentences(replace(BARE, format="carousel", files=(picture(), video()) * 10))


def test_which_format_is_proposed():
    def proposed(files: tuple[File, ...] = (), poll: Poll | None = None, link: str = "") -> list[str]:
        return [one.slug for one in fitting(provider, "", files, poll, link)]

    assert proposed() == ["text"] and proposed(link="https://a.example") == ["text", "link"]
    assert proposed((picture(),)) == ["image"] and proposed((video(),)) == ["video"]
    assert proposed((picture(), video())) == ["carousel"] and proposed(poll=POLL) == ["poll"]
    assert all(one.by_url == bool(one.takes) for one in provider.formats)


def test_no_token_and_no_secret_in_what_is_kept(mock):
    made(mock)
    assert not any(one in json.dumps(prepared(DRAFT).state) for one in (ACCESS, REFRESH, SECRET, STATE))


def test_everything_alike_never_ends_in_a_second_post(mock):
    with responses.RequestsMock() as alike:
        refuse(alike, 200, {"id": POST})
        alike.assert_all_requests_are_fired = False
        provider.publish(FACTS, ACCESS, DRAFT, Progress({"container": READY}))
        assert [one.request.method for one in alike.calls] == ["POST", "GET"]
