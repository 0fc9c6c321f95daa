"""YouTube: offline consent, ids without verification, resumable sessions, daily buckets, and every refusal."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses

from socialconsole import outside
from socialconsole.errors import (
    AttemptFailed,
    ConfigurationWrong,
    ContentRejected,
    Declined,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.providers import connectable
from socialconsole.providers.base import App, Draft, TokenSet
from socialconsole.providers.content import File, Located, Progress, Published, Sent
from socialconsole.providers.rules import problems

from .contract import ACCESS, ANYWHERE, CODE, NOW, REFRESH, VERIFIER, ProviderContract, Row, posted, sent

TOKEN, REVOKE = "https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/revoke"
CHANNELS = "https://www.googleapis.com/youtube/v3/channels"
VIDEOS = "https://www.googleapis.com/youtube/v3/videos"
UPLOAD = "https://www.googleapis.com/upload/youtube/v3/videos"
SESSION = f"{UPLOAD}?uploadType=resumable&upload_id=abc"
AUTH = "https://www.googleapis.com/auth/"
SCOPES = f"{AUTH}youtube.upload {AUTH}youtube.readonly openid {AUTH}youtube.force-ssl"
SECRET = "GOCSPX-Tg7Yh9Uj1Ik3Ol5Pz7Xc9Vb1Nm3"
SELF = Path(__file__)
VIDEO = File("med_1", "video", "video/mp4", SELF.stat().st_size, SELF, "bread.mp4", width=1920, height=1080, seconds=60)
CHOICES = {"title": "Bread", "privacy": "unlisted", "made_for_kids": "no", "synthetic": "yes"}
DONE = {"kind": "youtube#video", "id": "vid12345678", "status": {"uploadStatus": "uploaded"}}


def id_token(claims: Any) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".c2ln"


GRANT = {"access_token": ACCESS, "expires_in": 3599, "refresh_token": REFRESH, "scope": SCOPES, "token_type": "Bearer",
         "id_token": id_token({"sub": "1101", "aud": "x"})}
CHANNEL = {"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 1, "resultsPerPage": 5}, "items": [{
    "kind": "youtube#channel", "id": "UCfake", "snippet": {
        "title": "Demo", "customUrl": "@demo", "thumbnails": {"default": {"url": "https://yt3.example/a.jpg"}}},
    "statistics": {"subscriberCount": "48"}, "status": {"longUploadsStatus": "eligible"},
    "contentDetails": {"relatedPlaylists": {"uploads": "UUfake"}}}]}
NO_CHANNEL = {"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0, "resultsPerPage": 5}}


def no(code: int, reason: str, message: str = "x", domain: str = "youtube.common", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [
        {"message": message, "domain": domain, "reason": reason}], **more}}


def oauth(error: str, text: str = "", **more: str) -> dict[str, str]:
    return {"error": error, "error_description": text, **more}


BUCKET = ("Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads per day' of service "
          "'youtube.googleapis.com' for consumer 'project_number:1'.")
MIDNIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)  # of Los Angeles, in winter
USED_UP = "The app's uploads or calls for today are used up. We continue at 08:00 UTC."
CLIENT = "Google does not know this client or its secret, or the client was deleted."
ENDED = "Google, or your organization's administrator, ended this connection. Connect again."
GONE = "Google no longer accepts this connection. Connect again."
CHANNELLESS = "This Google account has no YouTube channel. Create one, or choose the brand account."
OWNER = "This sign-in may not upload to the channel. Its owner or brand manager must connect."
CLOSED = "YouTube has closed or suspended this channel or account."
REFUSED = {"invalidTitle": ("title", "the title"), "invalidDescription": ("text", "the description"),
           "invalidTags": ("tags", "the tags"), "invalidCategoryId": ("category", "the category"),
           "invalidPublishAt": ("publish_at", "the time of publishing"),
           "defaultLanguageNotSet": ("text", "the language")}


def body_of(call: Any) -> Any:
    return call.request.body


def query(call: Any) -> Any:
    return call.request.params


class Mock(responses.RequestsMock):
    """Answers to anything that is posted answer to anything that is put too: here a PUT publishes."""

    def add(self, method: Any = None, url: Any = None, *args: Any, **facts: Any) -> Any:
        if method == "POST" and url is ANYWHERE:
            super().add("PUT", url, *args, **facts)
        return super().add(method, url, *args, **facts)


class TestYouTube(ProviderContract):
    provider = connectable("youtube")
    facts = App("1-a.apps.googleusercontent.com", SECRET, scopes=SCOPES, hosts=provider.base_addresses())
    draft = Draft("Fresh", "UCfake", "demo", format="video", files=(VIDEO,), options=CHOICES)
    authorize_base = "https://accounts.google.com/o/oauth2/v2/auth"
    authorize_extra = {"access_type": "offline", "prompt": "consent select_account"}
    declined = ({"error": "access_denied", "state": "s"},)
    unclear_publish = ({"json": {}, "status": 201}, {"json": {"id": ""}, "status": 200}, {"json": [], "status": 201},
                       {"status": 308, "headers": {"Location": "https://elsewhere.example/"}})
    refused = (
        Row("token", 400, oauth("invalid_grant", "Malformed auth code."), AttemptFailed,
            "The code from Google was too old or used twice. Connect again."),
        Row("token", 401, oauth("invalid_client", "The provided client secret is invalid."), ConfigurationWrong,
            "The Client secret is wrong, or was made anew at Google.", {"field": "client_secret"}),
        Row("token", 401, oauth("invalid_client", "The OAuth client was not found."), ConfigurationWrong, CLIENT,
            {"field": "client_id"}),
        *(Row("renew", 401, oauth(code), ConfigurationWrong, CLIENT) for code in (
            "invalid_client", "deleted_client", "disabled_client")),
        Row("token", 400, oauth("redirect_uri_mismatch"), ConfigurationWrong,
            "The callback is not among the Authorized redirect URIs."),
        Row("renew", 400, oauth("invalid_grant", "Token has been expired or revoked."), NeedsReconnect, ENDED,
            {"reason": "revoked"}),
        Row("renew", 400, oauth("invalid_grant", "x", error_subtype="invalid_rapt"), NeedsReconnect, ENDED,
            {"reason": "revoked"}),
        Row("renew", 400, oauth("admin_policy_enforced"), NeedsReconnect, ENDED),
        Row("renew", 401, oauth("unauthorized_client"), NeedsReconnect, "The app's credentials were exchanged.",
            {"reason": "app_changed"}),
        Row("publish", 401, no(401, "youtubeSignupRequired"), NeedsReconnect, CHANNELLESS,
            {"reason": "permission_missing"}),
        *(Row(step, 401, no(401, reason), NeedsReconnect, GONE, {"reason": "revoked"})
          for step in ("profiles", "read", "prepare", "publish") for reason in ("authError", "expired", "required")),
        *(Row(step, 403, no(403, "insufficientPermissions"), PermissionMissing,
              f"A box was not ticked at Google: `{scope}`. Reconnect and tick it.", {"scopes": (AUTH + scope,)})
          for step, scope in (("profiles", "youtube.readonly"), ("read", "youtube.readonly"),
                              ("prepare", "youtube.upload"), ("publish", "youtube.upload"),
                              ("delete", "youtube.force-ssl"))),
        Row("read", 403, {"error": {"code": 403, "message": "x", "status": "PERMISSION_DENIED", "details": [
            {"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}, PermissionMissing, "A box was not ticked at Google"),
        Row("profiles", 403, no(403, "accessNotConfigured"), ConfigurationWrong,
            "The YouTube Data API is not enabled in the Google Cloud project."),
        Row("read", 403, {"error": {"code": 403, "message": "x", "details": [{"reason": "SERVICE_DISABLED"}]}},
            ConfigurationWrong, "The YouTube Data API is not enabled in the Google Cloud project."),
        Row("prepare", 429, no(429, "rateLimitExceeded", BUCKET, "global"), RateLimited, USED_UP,
            {"until": MIDNIGHT, "whole_app": True}),
        *(Row("read", 403, no(403, reason), RateLimited, USED_UP, {"until": MIDNIGHT, "whole_app": True})
          for reason in ("quotaExceeded", "dailyLimitExceeded")),
        *(Row("prepare", status, no(status, reason), RateLimited, "Google asked us to slow down.",
              {"until": NOW + timedelta(minutes=1), "whole_app": False})
          for status in (403, 429) for reason in ("rateLimitExceeded", "userRateLimitExceeded")),
        *(Row("prepare", status, no(status, "uploadLimitExceeded"), RateLimited,
              "This channel's own daily upload limit is reached.",
              {"until": NOW + timedelta(hours=24), "whole_app": False}) for status in (400, 403)),
        *(Row("publish", 403, no(403, reason), NeedsReconnect, OWNER, {"reason": "permission_missing"}) for reason in (
            "forbidden", "authenticatedUserNotChannel", "accountDelegationForbidden")),
        *(Row("read", 403, no(403, reason), NeedsReconnect, CLOSED, {"reason": "suspended"}) for reason in (
            "authenticatedUserAccountClosed", "authenticatedUserAccountSuspended", "channelClosed",
            "channelSuspended")),
        *(Row("prepare", 400, no(400, reason), ContentRejected, f"YouTube refused {words}.", {"field": field})
          for reason, (field, words) in REFUSED.items()),
        Row("prepare", 400, no(400, "invalidVideoMetadata", "Odd."), ContentRejected,
            "YouTube refused one value: Odd."),
        Row("prepare", 403, no(403, "forbiddenPrivacySetting"), ContentRejected, "YouTube refused the visibility.",
            {"field": "privacy"}),
        Row("prepare", 403, no(403, "forbiddenLicenseSetting"), ContentRejected, "YouTube refused the license.",
            {"field": "license"}),
        Row("publish", 400, no(400, "mediaBodyRequired", "No content."), ContentRejected,
            "YouTube cannot read this video: No content.", {"field": "video"}),
        Row("publish", 404, no(404, "notFound"), TryLater, "The upload continues."),
        Row("publish", 418, no(418, "teapot"), ContentRejected,
            "YouTube answered with something we do not know: teapot."),
    )

    # ------------------------------------------------------------ answers

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json=GRANT)

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", CHANNELS, json=CHANNEL)

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add("PUT", UPLOAD, json=DONE, status=201)

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add("POST", TOKEN, json=token)

    @pytest.fixture
    def mock(self) -> Any:
        with Mock(assert_all_requests_are_fired=False) as made:
            yield made

    def prepared(self, app: App) -> Progress:
        base = app.hosts["api"]
        away = "" if base.endswith("www.googleapis.com") else "/www.googleapis.com"
        return Progress({"session": f"{base}{away}/upload/youtube/v3/videos?uploadType=resumable&upload_id=abc"})

    def test_a_post_goes_out_once(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        done = self.run("publish")
        assert isinstance(done, Sent) and done.id == "vid12345678"
        assert done.permalink == "https://www.youtube.com/watch?v=vid12345678"
        (call,) = mock.calls
        assert (call.request.method, call.request.url) == ("PUT", SESSION)
        assert call.request.headers["Content-Range"] == f"bytes 0-{VIDEO.size - 1}/{VIDEO.size}"
        assert call.request.headers["Content-Length"] == str(VIDEO.size)
        assert call.request.headers["Authorization"] == f"Bearer {ACCESS}"
        assert b"".join(body_of(call)) == SELF.read_bytes()

    def test_permalinks_follow_the_hosts(self, mock: responses.RequestsMock) -> None:
        app = replace(self.app, hosts=self.provider.base_addresses("http://localhost:18999"))
        mock.add("PUT", UPLOAD.replace("https:/", "http://localhost:18999"), json=DONE, status=201)
        done = self.provider.publish(app, ACCESS, self.draft, self.prepared(app))
        assert done.permalink == "http://localhost:18999/www.youtube.com/watch?v=vid12345678"

    # ------------------------------------------------------------ connect

    def test_the_exchange_proves_itself_in_the_body(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        self.provider.exchange(self.app, CODE, VERIFIER)
        assert sent(mock.calls[0].request) == {
            "grant_type": "authorization_code", "code": CODE, "code_verifier": VERIFIER, "client_secret": SECRET,
            "redirect_uri": self.app.redirect_uri, "client_id": self.app.client_id}

    def test_the_channel_of_a_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        (profile,) = consent.profiles
        assert (consent.person_id, consent.person_name) == ("1101", "Demo")
        assert consent.profile_id == "UCfake", "a second channel must not replace the first"
        assert type(consent.tokens) is TokenSet
        assert (profile.platform_user_id, profile.username, profile.display_name) == ("UCfake", "demo", "Demo")
        assert profile.profile_url == "https://www.youtube.com/channel/UCfake"
        assert profile.avatar_url == "https://yt3.example/a.jpg"
        assert profile.meta == {"uploads": "UUfake", "subscribers": "48", "long_uploads": "eligible", "ends_on": "",
                                "notice": ""}
        assert query(mock.calls[1]) == {"part": "id,snippet,statistics,status,contentDetails", "mine": "true"}

    def test_no_refresh_token_no_connection(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json={key: value for key, value in GRANT.items() if key != "refresh_token"})
        error = self.error("profiles")
        assert isinstance(error, AttemptFailed) and error.message.startswith("Google gave no lasting permission.")

    def test_the_box_for_reading_must_be_ticked(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json={**GRANT, "scope": f"{AUTH}youtube.upload openid"})
        error = self.error("profiles")
        assert isinstance(error, PermissionMissing) and error.scopes == (f"{AUTH}youtube.readonly",)

    def test_without_the_box_for_uploading_the_channel_is_connected(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json={**GRANT, "scope": f"{AUTH}youtube.readonly openid"})
        mock.add("GET", CHANNELS, json=CHANNEL)
        assert self.provider.consent(self.app, CODE, VERIFIER).scopes == {f"{AUTH}youtube.readonly", "openid"}

    @pytest.mark.parametrize("body", [NO_CHANNEL, {**NO_CHANNEL, "items": []}])
    def test_an_account_without_channel(self, mock: responses.RequestsMock, body: Any) -> None:
        mock.add("POST", TOKEN, json=GRANT)
        mock.add("GET", CHANNELS, json=body)
        error = self.error("profiles")
        assert isinstance(error, NeedsReconnect) and error.reason == "permission_missing"
        assert error.message.startswith(CHANNELLESS) and "youtube.com/create_channel" in error.message

    @pytest.mark.parametrize("body", [{}, {"items": "odd"}, {"items": {"id": "UCfake"}}, {"odd": 1}, [],
                                      {"error": "backendError"}, no(503, "backendError")])
    def test_an_answer_that_is_no_list_does_not_say_that_the_channel_is_gone(
            self, mock: responses.RequestsMock, body: Any) -> None:
        mock.add("GET", CHANNELS, json=body)
        error = self.error("read")
        is_list = isinstance(body, dict) and "items" in body
        assert type(error) is (NeedsReconnect if is_list else TryLater)
        mock.add("GET", VIDEOS, json=body)
        progress = Progress({"missed": 5})
        with pytest.raises(ContentRejected if is_list else TryLater):
            self.provider.follow(self.app, ACCESS, self.draft, progress, Sent("v"))

    def test_a_refusal_inside_a_success_is_a_refusal(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", CHANNELS, json=no(403, "accessNotConfigured"))
        assert isinstance(self.error("read"), ConfigurationWrong)

    def test_clients_of_one_project_lose_a_permission_together(self) -> None:
        reach = self.provider.revoke_reach
        assert reach("12-a.apps.googleusercontent.com") == reach("12-b.apps.googleusercontent.com") == reach(
            "12.apps.googleusercontent.com") != reach("13-a.apps.googleusercontent.com")

    @pytest.mark.parametrize("token", [None, "", "a.b", "a.%%.c", id_token([]), id_token({}), 7])
    def test_a_person_nobody_knows_is_never_revoked(self, mock: responses.RequestsMock, token: Any) -> None:
        mock.add("POST", TOKEN, json={**GRANT, "id_token": token})
        mock.add("GET", CHANNELS, json=CHANNEL)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert consent.person_id == "channel:UCfake"
        with pytest.raises(PermissionMissing):
            self.provider.revoke(self.app, consent.tokens, consent.person_id)
        assert len(mock.calls) == 2

    @pytest.mark.parametrize(("seconds", "words"), [
        (604799, "The Google app is in Testing, so this connection ends on 28 November 2026. An admin publishes the"),
        (30 * 86400, "Google gave this permission for a limited time: it ends on 21 December 2026.")])
    def test_a_permission_with_an_end_names_the_day(self, mock: responses.RequestsMock, seconds: int,
                                                    words: str) -> None:
        mock.add("POST", TOKEN, json={**GRANT, "refresh_token_expires_in": seconds})
        mock.add("GET", CHANNELS, json=CHANNEL)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert consent.tokens.refresh_expires_in == seconds
        assert consent.profiles[0].meta["notice"].startswith(words) and not consent.profiles[0].problem

    def test_an_app_in_testing_is_told_when_the_seven_days_are_over(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, status=400, json=oauth("invalid_grant"))
        app = replace(self.app, options={"consent_status": " Testing"})
        error = self.error("renew", app)
        assert isinstance(error, NeedsReconnect) and (error.reason, error.who) == ("expired", "admin")
        assert error.message.startswith("The Google app is in Testing, which ends permissions after 7 days.")

    def test_an_organization_may_say_no(self) -> None:
        with pytest.raises(Declined) as caught:
            self.provider.read_refusal({"error": "admin_policy_enforced"})
        assert caught.value.message.startswith("Access was not allowed, by you or by your organization's")

    def test_a_token_that_speaks_for_another_channel(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", CHANNELS, json=CHANNEL)
        with pytest.raises(NeedsReconnect) as caught:
            self.provider.profile(self.app, ACCESS, "UCother")
        assert "another channel" in caught.value.message and "Demo" in caught.value.message

    def test_revoking_sends_one_token_and_forgives_what_is_gone(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", REVOKE, json={})
        self.run("revoke")
        mock.add("POST", REVOKE, status=400, json=oauth("invalid_token"))
        self.run("revoke")
        assert [sent(call.request) for call in mock.calls] == [{"token": REFRESH}] * 2

    # ------------------------------------------------------------ the session

    def test_a_session_is_opened_with_nothing_left_to_defaults(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", UPLOAD, headers={"Location": SESSION})
        progress = Progress()
        self.provider.prepare(self.app, ACCESS, self.draft, progress)
        (call,) = mock.calls
        assert query(call) == {"uploadType": "resumable", "part": "snippet,status",
                                       "notifySubscribers": "true"}
        assert call.request.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert call.request.headers["X-Upload-Content-Type"] == "video/mp4"
        assert call.request.headers["X-Upload-Content-Length"] == str(VIDEO.size)
        assert posted(call) == {
            "snippet": {"title": "Bread", "categoryId": "22", "description": "Fresh"},
            "status": {"privacyStatus": "unlisted", "selfDeclaredMadeForKids": False, "containsSyntheticMedia": True,
                       "license": "youtube", "embeddable": True}}
        assert progress.get("session") == SESSION

    @pytest.mark.parametrize("location", ["", "https://elsewhere.example/upload?upload_id=1",
                                          "http://www.googleapis.com/upload", "https://a@www.googleapis.com/upload"])
    def test_bytes_and_token_go_to_google_only(self, mock: responses.RequestsMock, location: str) -> None:
        mock.add("POST", UPLOAD, headers={"Location": location} if location else {})
        with pytest.raises(TryLater):
            progress = Progress()
            self.provider.prepare(self.app, ACCESS, self.draft, progress)
            self.provider.publish(self.app, ACCESS, self.draft, progress)
        assert len(mock.calls) == 1

    def test_bytes_that_were_not_stored_are_sent_again_and_no_others(self, mock: responses.RequestsMock) -> None:
        mock.add("PUT", UPLOAD, status=308, headers={"Range": "bytes=0-99"})
        mock.add("PUT", UPLOAD, status=200, json=DONE)
        progress = self.prepared(self.app)
        with pytest.raises(TryLater) as caught:
            self.provider.publish(self.app, ACCESS, self.draft, progress)
        assert caught.value.message == "The upload continues."
        assert isinstance(self.provider.publish(self.app, ACCESS, self.draft, progress), Sent)
        assert mock.calls[1].request.headers["Content-Range"] == f"bytes 100-{VIDEO.size - 1}/{VIDEO.size}"
        assert b"".join(body_of(mock.calls[1])) == SELF.read_bytes()[100:]

    @pytest.mark.parametrize(("status", "headers", "stored"), [
        (308, {}, 0), (308, {"Range": "bytes=0-9"}, 10), (308, {"Range": "odd"}, 0)])
    def test_asking_an_unfinished_session(self, mock: responses.RequestsMock, status: int, headers: Any,
                                          stored: int) -> None:
        mock.add("PUT", UPLOAD, status=status, headers=headers)
        progress = self.prepared(self.app)
        assert self.provider.locate(self.app, ACCESS, self.draft, progress, NOW) is Located.NOT_PUBLISHED
        assert progress.get("stored") == stored
        request = mock.calls[0].request
        assert request.headers["Content-Range"] == f"bytes */{VIDEO.size}" and not request.body
        assert request.headers["Content-Length"] == "0"

    @pytest.mark.parametrize("body", [b"", b"{}", json.dumps(no(401, "authError")).encode()])
    def test_a_token_that_ended_during_the_upload_is_renewed_and_the_session_stays(
            self, mock: responses.RequestsMock, body: bytes) -> None:
        mock.add("PUT", UPLOAD, status=401, body=body, headers={"Content-Length": str(len(body))})
        progress = self.prepared(self.app)
        for step in (lambda: self.provider.publish(self.app, ACCESS, self.draft, progress),
                     lambda: self.provider.locate(self.app, ACCESS, self.draft, progress, NOW)):
            with pytest.raises(NeedsReconnect) as caught:
                step()
            assert caught.value.reason == "revoked" and progress.get("session") == SESSION

    def test_a_wall_on_the_way_of_an_upload_ends_no_connection(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", UPLOAD, headers={"Location": SESSION})
        progress = Progress()
        self.provider.prepare(self.app, ACCESS, self.draft, progress)
        mock.add("PUT", UPLOAD, status=401, body="<html>Sign in to the network</html>")
        with pytest.raises(TryLater):
            self.provider.prepare(self.app, ACCESS, self.draft, progress)

    def test_a_session_may_live_on_another_host_of_google(self, mock: responses.RequestsMock) -> None:
        mock.add("PUT", "https://youtube.googleapis.com/upload/youtube/v3/videos", json=DONE)
        progress = Progress({"session": SESSION.replace("www.", "youtube.")})
        assert isinstance(self.provider.publish(self.app, ACCESS, self.draft, progress), Sent)

    def test_more_bytes_than_the_file_has_are_not_believed(self, mock: responses.RequestsMock) -> None:
        mock.add("PUT", UPLOAD, status=308, headers={"Range": f"bytes=0-{VIDEO.size + 9}"})
        mock.add("PUT", UPLOAD, json=DONE)
        progress = self.prepared(self.app)
        assert self.provider.locate(self.app, ACCESS, self.draft, progress, NOW) is Located.NOT_PUBLISHED
        assert isinstance(self.provider.publish(self.app, ACCESS, self.draft, progress), Sent)
        assert mock.calls[1].request.headers["Content-Range"] == f"bytes */{VIDEO.size}"

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_session_that_is_gone_proves_nothing(self, mock: responses.RequestsMock, status: int) -> None:
        mock.add("PUT", UPLOAD, status=status, json={})
        progress = self.prepared(self.app)
        assert self.provider.locate(self.app, ACCESS, self.draft, progress, NOW) is Located.NOT_FOUND
        assert progress.get("session"), "the next look asks again"

    def test_without_a_session_there_is_nothing_to_ask(self, mock: responses.RequestsMock) -> None:
        assert self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW) is Located.CANNOT_LOOK

    def test_a_session_that_is_gone_is_opened_anew(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", UPLOAD, headers={"Location": SESSION})
        mock.add("PUT", UPLOAD, status=410)
        progress = Progress()
        self.provider.prepare(self.app, ACCESS, self.draft, progress)
        self.provider.prepare(self.app, ACCESS, self.draft, progress)
        assert [call.request.method for call in mock.calls] == ["POST", "PUT", "POST"]

    @pytest.mark.parametrize("answer", [{"status": 404, "body": "<html>Not found</html>"}, {"status": 502}])
    def test_the_last_chunk_without_a_clear_word_leaves_it_open(self, mock: responses.RequestsMock,
                                                                answer: Any) -> None:
        mock.add("PUT", UPLOAD, **answer)
        assert type(self.error("publish")) is OutcomeUnknown

    # ------------------------------------------------------------ afterwards

    def follow(self, mock: responses.RequestsMock, progress: Progress | None = None, **status: Any) -> Any:
        items = [{"id": "v", "status": status}] if status else []
        mock.add("GET", VIDEOS, json={"items": items})
        return self.provider.follow(self.app, ACCESS, self.draft, progress or Progress(), Sent("v"))

    def test_what_is_asked_afterwards(self, mock: responses.RequestsMock) -> None:
        assert self.follow(mock, uploadStatus="processed", privacyStatus="unlisted", madeForKids=False) == Published(
            "v", "https://www.youtube.com/watch?v=v")
        assert query(mock.calls[0]) == {"part": "status,processingDetails,contentDetails", "id": "v"}

    @pytest.mark.parametrize("status", [{}, {"uploadStatus": "uploaded"}])
    def test_either_word_for_done_counts(self, mock: responses.RequestsMock, status: dict[str, str]) -> None:
        mock.add("GET", VIDEOS, json={"items": [{"id": "v", "status": status,
                                                 "processingDetails": {"processingStatus": "succeeded"}}]})
        assert isinstance(self.provider.follow(self.app, ACCESS, self.draft, Progress(), Sent("v")), Published)

    def test_a_large_thumbnail_tells_that_the_worker_lives(self, mock: responses.RequestsMock,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("socialconsole.providers.content.TICK_SECONDS", -1)
        saved: list[Any] = []
        mock.add("GET", VIDEOS, json={"items": [{"id": "v", "status": {"uploadStatus": "processed"}}]})
        mock.add("POST", "https://www.googleapis.com/upload/youtube/v3/thumbnails/set", json={})
        cover = File("med_2", "image", "image/jpeg", SELF.stat().st_size, SELF)
        self.provider.follow(self.app, ACCESS, replace(self.draft, extra_files={"thumbnail": cover}),
                             Progress(save=saved.append), Sent("v"))
        before = len(saved)
        assert b"".join(body_of(mock.calls[1])) == SELF.read_bytes() and len(saved) > before

    def test_what_differs_is_told(self, mock: responses.RequestsMock) -> None:
        done = self.follow(mock, uploadStatus="processed", privacyStatus="private", madeForKids=True)
        assert done.note == ("The video is online, but as private and not as unlisted. Open it in YouTube Studio. "
                             "YouTube counts the video as made for kids.")

    @pytest.mark.parametrize(("status", "sentence"), [
        ({"uploadStatus": "failed", "failureReason": "codec"}, "YouTube cannot read this video: its encoding"),
        ({"uploadStatus": "failed"}, "YouTube cannot read this video: it gives no reason."),
        ({"uploadStatus": "rejected", "rejectionReason": "length"}, "YouTube took the video down: it is too long"),
        ({"uploadStatus": "rejected", "rejectionReason": "odd"}, "YouTube took the video down: odd."),
        ({"uploadStatus": "deleted"}, "The video was deleted at YouTube.")])
    def test_a_video_that_came_to_nothing(self, mock: responses.RequestsMock, status: Any, sentence: str) -> None:
        with pytest.raises(ContentRejected) as caught:
            self.follow(mock, **status)
        assert caught.value.message.startswith(sentence)

    def test_a_video_may_be_missing_for_a_moment_but_not_for_ever(self, mock: responses.RequestsMock) -> None:
        progress = Progress()
        for _ in range(5):
            assert isinstance(self.follow(mock, progress), Sent)
        with pytest.raises(ContentRejected):
            self.follow(mock, progress)

    def test_deleting(self, mock: responses.RequestsMock) -> None:
        mock.add("DELETE", VIDEOS, status=204)
        self.provider.delete(self.app, ACCESS, "v", self.draft)
        mock.reset()
        mock.add("DELETE", VIDEOS, status=404, json=no(404, "videoNotFound"))
        self.provider.delete(self.app, ACCESS, "v", self.draft)
        assert query(mock.calls[0]) == {"id": "v"}

    @pytest.mark.parametrize("body", [no(404, "notFound"), {"error": {"code": 404, "status": "NOT_FOUND"}},
                                      {"error": {"code": 404, "message": "x"}}])
    def test_what_is_gone_already_is_deleted_however_google_says_it(self, mock: responses.RequestsMock,
                                                                    body: Any) -> None:
        mock.add("DELETE", VIDEOS, status=404, json=body)
        self.provider.delete(self.app, ACCESS, "v", self.draft)

    @pytest.mark.parametrize(("status", "body"), [(404, "<html>Not found</html>"), (403, json.dumps(no(403, "odd")))])
    def test_what_may_still_be_there_is_not_deleted(self, mock: responses.RequestsMock, status: int,
                                                    body: str) -> None:
        mock.add("DELETE", VIDEOS, status=status, body=body)
        with pytest.raises(TryLater):
            self.provider.delete(self.app, ACCESS, "v", self.draft)

    # ------------------------------------------------------------ before it is sent

    def found(self, draft: Draft) -> list[tuple[str, str]]:
        return [(one.field, one.sentence) for one in problems(self.provider, draft, "", count=self.provider.count)]

    def test_a_complete_draft_has_no_problem(self) -> None:
        assert not self.found(self.draft)

    @pytest.mark.parametrize("name", ["title", "privacy", "made_for_kids", "synthetic"])
    def test_some_choices_have_no_silent_default(self, name: str) -> None:
        options = {key: value for key, value in CHOICES.items() if key != name}
        assert [field for field, _ in self.found(replace(self.draft, options=options))] == [name]

    @pytest.mark.parametrize(("options", "field", "words"), [
        ({"title": "a" * 101}, "title", "1 characters too many"), ({"title": "a<b"}, "title", "no < or > in a title"),
        ({"tags": ",".join(["x" * 9] * 1 + [f"{n:04}56789" for n in range(50)])}, "tags", "too many for YouTube"),
        ({"tags": "a b" + "c" * 496}, "tags", "1 character too many"), ({"category": "99"}, "category", "Category"),
        ({"publish_at": "2026-12-24T18:00Z"}, "publish_at", "only private videos"),
        ({"publish_at": "soon", "privacy": "private"}, "publish_at", "no time with its offset"),
        ({"publish_at": "2026-12-24T18:00", "privacy": "private"}, "publish_at", "no time with its offset")])
    def test_what_a_choice_may_not_be(self, options: dict[str, str], field: str, words: str) -> None:
        ((where, sentence),) = self.found(replace(self.draft, options={**CHOICES, **options}))
        assert where == field and words in sentence

    def test_five_hundred_characters_of_tags_fit(self) -> None:
        for tags in ("a b" + "c" * 495, "x" * 500, ",".join(["y" * 249, "z" * 250])):
            assert not self.found(replace(self.draft, options={**CHOICES, "tags": tags}))

    def test_a_description_is_counted_in_bytes(self) -> None:
        assert not self.found(replace(self.draft, text="é" * 2500))
        assert self.found(replace(self.draft, text="é" * 2501)) == [
            ("text", "2 bytes too many for YouTube. Shorten the text.")]
        assert "no < or >" in self.found(replace(self.draft, text="a > b"))[0][1]

    @pytest.mark.parametrize(("shape", "fits"), [
        ({"width": 1080, "height": 1920, "seconds": 180.0}, True), ({"width": 9, "height": 9, "seconds": 5.0}, True),
        ({"width": 1080, "height": 1920, "seconds": 181.0}, False), ({"width": 1920, "height": 1080}, False),
        ({"width": 0, "height": 0, "seconds": None}, True)])
    def test_what_can_be_a_short(self, shape: dict[str, Any], fits: bool) -> None:
        short = replace(self.draft, format="short", files=(replace(VIDEO, **shape),))
        assert bool(self.found(short)) is not fits

    def test_long_videos_need_a_verified_channel(self) -> None:
        long = replace(self.draft, files=(replace(VIDEO, seconds=901.0),))
        assert not self.found(long) and not self.found(replace(long, meta={"long_uploads": "allowed"}))
        assert "youtube.com/verify" in self.found(replace(long, meta={"long_uploads": "eligible"}))[0][1]

    @pytest.mark.parametrize(("type", "size", "field"), [
        ("image/png", 50 * 1024**2, ""), ("image/webp", 9, "thumbnail"), ("image/jpeg", 50 * 1024**2 + 1, "thumbnail")])
    def test_what_a_thumbnail_may_be(self, type: str, size: int, field: str) -> None:
        cover = File("med_2", "image", type, size, SELF)
        assert [one for one, _ in self.found(replace(self.draft, extra_files={"thumbnail": cover}))] == [field][:bool(
            field)]

    def test_midnight_follows_the_time_zone_and_not_an_offset(self, mock: responses.RequestsMock) -> None:
        for now, midnight in (("2026-07-01T06:59:00+00:00", "2026-07-01T07:00:00+00:00"),
                              ("2026-03-08T09:00:00+00:00", "2026-03-09T07:00:00+00:00"),
                              ("2026-11-01T08:00:00+00:00", "2026-11-02T08:00:00+00:00")):
            instant = datetime.fromisoformat(now)
            outside.use_clock(lambda instant=instant: instant)  # type: ignore[misc]
            mock.add("GET", CHANNELS, status=403, json=no(403, "quotaExceeded"))
            error = self.error("read")
            assert isinstance(error, RateLimited) and error.until == datetime.fromisoformat(midnight)
