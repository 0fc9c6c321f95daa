"""LinkedIn: credentials in the body, a grant that needs a moment, little text, and posts nobody can read back."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
import responses

from socialconsole import outside
from socialconsole.errors import (
    AlreadyPublished,
    AttemptFailed,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import App, Draft, Located, Profile, Published, Renewal, TokenSet
from socialconsole.providers.content import COMMENT, DOCUMENT, IMAGE, VIDEO, File, Poll, Preview, Progress, Wait
from socialconsole.providers.linkedin import LinkedIn, author_of
from socialconsole.providers.linkedin_rest import other_version
from socialconsole.providers.linkedin_text import escaped, visible
from socialconsole.providers.linkedin_text import plain as readable

from .contract import (
    ACCESS,
    CODE,
    NEW_ACCESS,
    NOW,
    REFRESH,
    VERIFIER,
    ProviderContract,
    Row,
    address,
    posted,
    refuse,
    sent,
)

TOKEN, REVOKE = "https://www.linkedin.com/oauth/v2/accessToken", "https://www.linkedin.com/oauth/v2/revoke"
PERSON, POSTS = "https://api.linkedin.com/v2/userinfo", "https://api.linkedin.com/rest/posts"
SECRET = "WPL_AP1.qW3eR5tY7uI9oP1a.Zx=="
SCOPES = "openid profile email w_member_social"
GRANT = {"access_token": ACCESS, "expires_in": 5184000, "scope": "email,openid,profile,w_member_social",
         "token_type": "Bearer"}
JANE = {"sub": "aB3xYz", "name": "Jane Doe", "picture": "https://media.example/p.jpg", "email": "jane@example.com",
        "locale": {"country": "US", "language": "en"}}
URN = "urn:li:share:7000000000000000001"
REST, UPLOAD = "https://api.linkedin.com/rest", "https://www.linkedin.com/dms-uploads/1"
VIDEO_URN = "urn:li:video:C5F10"
POLL = {"format": "poll", "poll": Poll("Which?", ("Rye", "Oat"), 1440)}
CODE_GONE = "The code from LinkedIn was too old, used twice, or the callback differs. Connect again."
OLD_VERSION = "The API version of this app has ended. Choose a newer one."
LATER = NOW + timedelta(minutes=2)


def plain(status: int, code: str, number: int | None = None, message: str = "x") -> dict[str, Any]:
    return {"status": status, "code": code, "message": message, "serviceErrorCode": number}


def inputs(code: str, description: str = "x", place: Any = None, message: str = "x") -> dict[str, Any]:
    return {"status": 422, "message": message, "errorDetailType": "com.linkedin.common.error.BadRequest",
            "errorDetails": {"inputErrors": [{"code": code, "description": description, "input": place or {}}]}}


def oauth(error: str, text: str = "") -> dict[str, str]:
    return {"error": error, "error_description": text}


REVOKED = plain(401, "REVOKED_ACCESS_TOKEN", 65601, "The token used in the request has been revoked by the user")
DUPLICATE = inputs("DUPLICATE_POST", "Duplicate post is detected",
                   message=f"com.linkedin.BadRequestResponseException: Content is a duplicate of {URN}")


class TestLinkedIn(ProviderContract):
    provider = LinkedIn(wait=lambda seconds: None)
    facts = App("77abcdefghijkl", SECRET, scopes=SCOPES, mode="member", api_version="202607",
                hosts=provider.base_addresses())
    draft = Draft("Hi (there) #go https://example.com/a_b", "aB3xYz", link="https://example.com/a_b")
    authorize_base = "https://www.linkedin.com/oauth/v2/authorization"
    declined = ({"error": "user_cancelled_login"}, {"error": "user_cancelled_authorize"})
    unclear_publish = ({"status": 201}, {"status": 200, "json": {}})
    refused: ClassVar[tuple[Row, ...]] = (
        Row("token", 401, oauth("invalid_client", "Client authentication failed"), ConfigurationWrong,
            "Client ID or Client Secret is wrong."),
        Row("token", 400, oauth("invalid_client_id"), ConfigurationWrong, "Client ID or Client Secret is wrong."),
        Row("renew", 401, oauth("invalid_client_id"), ConfigurationWrong, "Client ID or Client Secret is wrong."),
        Row("token", 400, oauth("invalid_request", "Unable to retrieve access token: appid/redirect uri/code verifier "
                                "does not match authorization code. Or authorization code expired."), AttemptFailed,
            CODE_GONE),
        Row("token", 401, oauth("invalid_request", "Unable to retrieve access token: authorization code not found"),
            AttemptFailed, CODE_GONE),
        Row("token", 400, oauth("invalid_redirect_uri"), AttemptFailed, CODE_GONE),
        Row("renew", 400, oauth("invalid_request", "The provided authorization grant or refresh token is invalid, "
                                "expired or revoked"), NeedsReconnect, "LinkedIn ended this connection. Connect again.",
            {"reason": "revoked"}),
        Row("read", 401, REVOKED, NeedsReconnect, "Access was withdrawn, or the app asked for other permissions",
            {"reason": "revoked"}),
        Row("publish", 401, REVOKED, NeedsReconnect, "Access was withdrawn, or the app asked for other permissions"),
        Row("profiles", 401, REVOKED, AttemptFailed, "LinkedIn is still setting up the connection. Connect again"),
        Row("read", 401, plain(401, "EXPIRED_ACCESS_TOKEN", 65601), NeedsReconnect, "The 60 days are over.",
            {"reason": "expired"}),
        Row("publish", 401, plain(401, "x", 65602), NeedsReconnect, "The 60 days are over.", {"reason": "expired"}),
        Row("publish", 401, plain(401, "INVALID_ACCESS_TOKEN", 65600), NeedsReconnect, "The 60 days are over."),
        Row("publish", 401, plain(401, "EMPTY_ACCESS_TOKEN"), ConfigurationWrong, "The console sent a broken request.",
            {"who": "developer"}),
        Row("read", 401, plain(401, "x", None, "Empty oauth2 access token"), ConfigurationWrong,
            "The console sent a broken request."),
        Row("publish", 411, {"message": "x"}, ConfigurationWrong, "The console sent a broken request."),
        Row("publish", 401, {"message": "odd"}, NeedsReconnect, "LinkedIn no longer accepts this connection."),
        Row("publish", 403, plain(403, "ACCESS_DENIED", 100, "Data Processing Exception while processing fields "
                                  "[/author]"), NeedsReconnect, "This connection may not post in that name.",
            {"reason": "app_changed"}),
        Row("publish", 403, plain(403, "ACCESS_DENIED", 100, "Not enough permissions to access: "
                                  "partnerApiPostsExternal.CREATE.20260701"), PermissionMissing,
            "This needs w_member_social. Reconnect grants it if the app has it.", {"scopes": ("w_member_social",)}),
        Row("read", 403, plain(403, "ACCESS_DENIED", 100), PermissionMissing, "This needs `openid` and `profile`."),
        Row("publish", 403, plain(403, "ACCESS_DENIED", 100, "x [/author]"), NeedsReconnect,
            "This connection may not post in that name."),
        Row("publish", 403, plain(403, "x", None, "Organization permissions must be used when using organization as "
                                  "author"), NeedsReconnect, "This connection may not post in that name.",
            {"reason": "app_changed"}),
        Row("publish", 403, plain(403, "ACCESS_DENIED", 100, "You are not authorized"), PermissionMissing,
            "This needs w_member_social."),
        Row("publish", 409, plain(409, "CONFLICT"), TryLater, "LinkedIn was busy with this very post."),
        Row("publish", 412, plain(412, "PRECONDITION"), TryLater, "LinkedIn was busy with this very post."),
        Row("publish", 422, inputs("INVALID_VALUE", "not AVAILABLE", {"inputPath": {"fieldPath": "content/media/id"}}),
            ContentRejected, "LinkedIn refused content/media/id: not AVAILABLE", {"field": "files"}),
        Row("publish", 403, plain(403, "FORBIDDEN", None, "The resource is forbidden"), TryLater,
            "LinkedIn refused for no stated reason. We try again."),
        Row("publish", 422, DUPLICATE, AlreadyPublished, "LinkedIn has a very similar post. Reword it;",
            {"post_id": URN, "permalink": f"https://www.linkedin.com/feed/update/{URN}/"}),
        Row("publish", 422, inputs("DUPLICATE_POST"), AlreadyPublished, "LinkedIn has a very similar post.",
            {"post_id": "", "permalink": ""}),
        Row("publish", 400, plain(400, "FIELD_ARRAY_SIZE_TOO_HIGH"), ContentRejected,
            "Too long for LinkedIn: 3,000 characters."),
        Row("publish", 400, plain(400, "x", None, "ShareCommentary text length (3001 characters) exceeded the maximum"),
            ContentRejected, "Too long for LinkedIn: 3,000 characters."),
        Row("publish", 422, inputs("FIELD_ARRAY_SIZE_TOO_HIGH"), ContentRejected, "Too long for LinkedIn:"),
        Row("publish", 422, inputs("MISSING_FIELD", "author is required", {"inputPath": {"fieldPath": "author"}}),
            ContentRejected, "LinkedIn refused author: author is required"),
        Row("publish", 426, plain(426, "NONEXISTENT_VERSION", None, "Requested version 20250401 is not active"),
            ConfigurationWrong, OLD_VERSION, {"field": "api_version"}),
        Row("read", 400, plain(400, "x", None, "Version Header is Deprecated"), ConfigurationWrong, OLD_VERSION),
        Row("publish", 429, plain(429, "x", None, "Resource level throttle limit for calls to this resource is "
                                  "reached."), RateLimited, "LinkedIn's daily limit is reached. We continue at 09:02",
            {"until": LATER}),
        Row("publish", 500, plain(500, "x", None, "Unable to obtain activity"), OutcomeUnknown,
            "LinkedIn did not confirm the post."),
        Row("read", 500, plain(500, "x", None, "Unable to obtain activity"), TryLater, "LinkedIn cannot be reached."),
        Row("publish", 418, plain(418, "TEAPOT"), ContentRejected,
            "LinkedIn answered with something we do not know: TEAPOT."),
        Row("token", 418, oauth("teapot"), ConfigurationWrong,
            "LinkedIn answered with something we do not know: teapot."),
    )

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json=GRANT)

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", PERSON, json=JANE)

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", POSTS, status=201, headers={"x-restli-id": URN})

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add("POST", TOKEN, json=token)

    # ------------------------------------------------------------ connect

    def test_the_exchange_proves_itself_in_the_body(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        self.provider.exchange(self.app, CODE, VERIFIER)
        request = mock.calls[0].request
        assert "Authorization" not in request.headers
        assert sent(request) == {"grant_type": "authorization_code", "code": CODE, "client_id": self.app.client_id,
                                 "client_secret": SECRET, "redirect_uri": self.app.redirect_uri}

    def test_the_member_of_a_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        (member,) = consent.profiles
        assert consent.scopes == set(SCOPES.split())
        assert (member.platform_user_id, member.display_name, member.kind) == ("aB3xYz", "Jane Doe", "LinkedIn member")
        assert member.avatar_url == "https://media.example/p.jpg"
        assert member.meta == {"locale": JANE["locale"], "urn": "urn:li:person:aB3xYz"}

    def test_every_call_names_the_protocol(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        self.provider.consent(self.app, CODE, VERIFIER)
        assert {call.request.headers.get("X-Restli-Protocol-Version") for call in mock.calls[1:]} == {"2.0.0"}

    @pytest.mark.parametrize(("told", "scopes"), [
        ({"active": True, "scope": "a,b"}, {"a", "b"}), ({"active": False, "scope": "a"}, None), ({}, None),
        (500, None)])
    def test_what_was_granted_is_asked_where_the_answer_does_not_tell(
            self, mock: responses.RequestsMock, told: Any, scopes: Any) -> None:
        mock.add("POST", TOKEN, json={"access_token": ACCESS, "expires_in": 5184000})
        self.answers_consent(mock)
        answer = {"status": told} if isinstance(told, int) else {"json": told}
        mock.add("POST", "https://www.linkedin.com/oauth/v2/introspectToken", **answer)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert consent.scopes == scopes and consent.tokens.scopes == scopes
        assert sent(mock.calls[1].request) == {"client_id": self.app.client_id, "client_secret": SECRET,
                                               "token": ACCESS}
        assert "Authorization" not in mock.calls[1].request.headers

    def test_a_member_without_a_whole_name(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", PERSON, json={"sub": "aB3xYz", "given_name": "Jane", "family_name": "Doe"})
        assert TestLinkedIn.provider.profile(TestLinkedIn.facts, ACCESS, "aB3xYz").display_name == "Jane Doe"

    def test_an_app_with_the_basic_profile_is_asked_elsewhere(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", "https://api.linkedin.com/v2/me", json={
            "id": "q1", "localizedFirstName": "Jane", "localizedLastName": "Doe", "vanityName": "jane"})
        consent = self.provider.consent(replace(self.app, scopes="w_member_social r_basicprofile"), CODE, VERIFIER)
        assert (consent.person_id, consent.person_name) == ("q1", "Jane Doe")
        assert consent.profiles[0].profile_url == "https://www.linkedin.com/in/jane"

    def test_a_grant_that_needs_a_moment(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", PERSON, status=401, json=REVOKED)
        mock.add("GET", PERSON, status=401, json=REVOKED)
        mock.add("GET", PERSON, json=JANE)
        waited: list[float] = []
        consent = LinkedIn(wait=waited.append).consent(self.app, CODE, VERIFIER)
        assert consent.person_id == "aB3xYz" and waited == [2.0, 3.0]

    def test_a_grant_that_never_comes_ends_the_attempt(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        refuse(mock, 401, REVOKED)
        waited: list[float] = []
        with pytest.raises(AttemptFailed):
            LinkedIn(wait=waited.append).consent(self.app, CODE, VERIFIER)
        assert waited == [2.0, 3.0, 5.0]

    def test_other_trouble_is_not_waited_for(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        refuse(mock, 503, "")
        waited: list[float] = []
        with pytest.raises(TryLater):
            LinkedIn(wait=waited.append).consent(self.app, CODE, VERIFIER)
        assert waited == []

    def test_a_scope_that_the_app_does_not_own(self) -> None:
        with pytest.raises(ConfigurationWrong) as caught:
            self.provider.read_refusal({
                "error": "unauthorized_scope_error",
                "error_description": "Scope &quot;w_organization_social&quot; is not authorized for your application"})
        assert caught.value.message.startswith("The LinkedIn app does not own w_organization_social.")

    # ------------------------------------------------------------ keep alive

    def test_only_an_answer_with_refresh_token_can_be_renewed(self) -> None:
        assert self.provider.renewal_of(TokenSet(ACCESS)) is Renewal.NONE
        assert self.provider.renewal_of(TokenSet(ACCESS, REFRESH)) is Renewal.REFRESH

    def test_a_renewal_keeps_what_comes_back(self, mock: responses.RequestsMock) -> None:
        self.answers_renewal(mock, access_token=NEW_ACCESS, expires_in=5184000, refresh_token=REFRESH,
                             refresh_token_expires_in="26438400")
        assert self.run("renew") == TokenSet(NEW_ACCESS, REFRESH, 5184000, 26438400)

    def test_revoking_is_tried(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", REVOKE, body="")
        self.run("revoke")
        assert sent(mock.calls[0].request) == {"client_id": self.app.client_id, "client_secret": SECRET,
                                               "token": ACCESS}

    @pytest.mark.parametrize("status", [400, 404, 500])
    def test_a_refused_revoke_is_told(self, mock: responses.RequestsMock, status: int) -> None:
        refuse(mock, status, {})
        assert type(self.error("revoke")) is TryLater

    @pytest.mark.parametrize(("now", "untils"), [
        ("2026-11-21T12:00:00+00:00", ("2026-11-21T12:02:00", "2026-11-21T12:30:00", "2026-11-22T00:05:00")),
        ("2026-11-21T23:50:00+00:00", ("2026-11-21T23:52:00", "2026-11-22T00:05:00", "2026-11-22T00:05:00")),
        ("2026-11-21T00:01:00+00:00", ("2026-11-21T00:03:00", "2026-11-21T00:05:00", "2026-11-21T00:05:00"))])
    def test_the_pauses_grow_up_to_midnight(self, mock: responses.RequestsMock, now: str,
                                            untils: tuple[str, ...]) -> None:
        outside.use_clock(lambda: datetime.fromisoformat(now))
        refuse(mock, 429, {})
        progress = Progress()
        for until in untils:
            with pytest.raises(RateLimited) as caught:
                self.provider.publish(self.app, ACCESS, self.draft, progress)
            assert caught.value.until == datetime.fromisoformat(f"{until}+00:00")
        outside.use_clock(lambda: datetime.fromisoformat(now) + timedelta(days=1))
        with pytest.raises(RateLimited) as caught:
            self.provider.publish(self.app, ACCESS, self.draft, progress)
        assert caught.value.until == outside.now() + timedelta(minutes=2)

    # ------------------------------------------------------------ publish

    def test_the_post_and_where_it_is(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        assert self.run("publish") == Published(URN, f"https://www.linkedin.com/feed/update/{URN}/")
        request = mock.calls[0].request
        assert request.headers["LinkedIn-Version"] == "202607"
        assert request.headers["X-Restli-Protocol-Version"] == "2.0.0"
        assert request.headers["Authorization"] == f"Bearer {ACCESS}"
        assert urlsplit(address(mock.calls[0])).query == ""
        assert posted(mock.calls[0]) == {
            "author": "urn:li:person:aB3xYz", "commentary": "Hi \\(there\\) #go https://example.com/a\\_b",
            "visibility": "PUBLIC", "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": False,
            "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [],
                             "thirdPartyDistributionChannels": []}}

    @pytest.mark.parametrize("reserved", list("\\|{}@[]()<>#*_~"))
    def test_each_reserved_character_is_escaped(self, reserved: str) -> None:
        assert escaped(f"a {reserved} b") == f"a \\{reserved} b"

    @pytest.mark.parametrize(("text", "little"), [
        ("#bread and #Zürich_Nord", "#bread and #Zürich\\_Nord"), ("# bread", "\\# bread"), ("C# code", "C\\# code"),
        ("##twice", "\\#\\#twice"), ("#1", "#1"), ("a@b.example", "a\\@b.example"),
        ("https://example.com/a_b~c#d", "https://example.com/a\\_b\\~c\\#d"),
        ("by @[Acme Inc.](urn:li:organization:12) and @[Jo](urn:li:person:aB-3)",
         "by @[Acme Inc.](urn:li:organization:12) and @[Jo](urn:li:person:aB-3)"),
        ("@[Acme](https://acme.example)", "\\@\\[Acme\\]\\(https://acme.example\\)"),
        ("(see https://example.com/x)", "\\(see https://example.com/x\\)"),
        ("two\nlines", "two\nlines"), ("", ""), ("plain text, 100% fine; & so on!", "plain text, 100% fine; & so on!")])
    def test_what_stays_and_what_is_escaped(self, text: str, little: str) -> None:
        assert escaped(text) == little

    def test_the_length_of_a_text_is_what_people_see(self) -> None:
        assert self.provider.count("(日)") == 3 and self.provider.text_limit.most == 3000
        assert self.provider.count("by @[Acme](urn:li:organization:12)") == 7

    @pytest.mark.parametrize("text", ["a_b (c) #tag {x|y} @[Acme](urn:li:organization:12)", "https://a.example/b_c#d"])
    def test_what_is_written_can_be_read_back(self, text: str) -> None:
        assert readable(escaped(text)) == visible(text)
        assert readable("{hashtag|\\#|bread} rolls") == "#bread rolls"

    def test_a_members_posts_cannot_be_looked_at(self, mock: responses.RequestsMock) -> None:
        assert self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW) is Located.CANNOT_LOOK

    # ------------------------------------------------------------ files, exactly

    def test_a_picture_exactly(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        announced(mock, "images", "image", "urn:li:image:D4E10")
        mock.add("PUT", UPLOAD, status=201)
        self.answers_publish(mock)
        progress, draft = Progress(), replace(self.draft, format="image", files=(file(tmp_path, IMAGE, alt="cat"),))
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert self.provider.check(self.app, ACCESS, draft, progress) == Wait(
            timedelta(seconds=20), "LinkedIn needs a moment for the file.")
        outside.use_clock(lambda: NOW + timedelta(seconds=20))
        assert self.provider.check(self.app, ACCESS, draft, progress) is None
        self.provider.publish(self.app, ACCESS, draft, progress)
        assert [call.request.method for call in mock.calls] == ["POST", "PUT", "POST"]
        assert address(mock.calls[0]) == "https://api.linkedin.com/rest/images?action=initializeUpload"
        assert posted(mock.calls[0]) == {"initializeUploadRequest": {"owner": "urn:li:person:aB3xYz"}}
        assert mock.calls[1].request.headers["Authorization"] == f"Bearer {ACCESS}"
        assert mock.calls[1].request.headers["Content-Length"] == "1000"
        assert posted(mock.calls[2])["content"] == {"media": {"id": "urn:li:image:D4E10", "altText": "cat"}}

    def test_a_video_exactly(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        mock.add("POST", f"{REST}/videos", json={"value": {
            "video": VIDEO_URN, "uploadToken": "tok", "uploadUrlsExpireAt": 1, "uploadInstructions": [
                {"uploadUrl": f"{UPLOAD}/b", "firstByte": 600, "lastByte": 999},
                {"uploadUrl": f"{UPLOAD}/a", "firstByte": 0, "lastByte": 599}]}})
        mock.add("PUT", f"{UPLOAD}/a", headers={"ETag": "e1"})
        mock.add("PUT", f"{UPLOAD}/b", headers={"ETag": "e2"})
        mock.add("POST", f"{REST}/videos")
        status = f"{REST}/videos/urn%3Ali%3Avideo%3AC5F10"
        mock.add("GET", status, json={"status": "PROCESSING"})
        mock.add("GET", status, json={"status": "AVAILABLE"})
        progress, draft = Progress(), replace(self.draft, format="video", files=(file(tmp_path, VIDEO),))
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert self.provider.check(self.app, ACCESS, draft, progress) == Wait(
            timedelta(seconds=5), "LinkedIn is processing the file.")
        assert self.provider.check(self.app, ACCESS, draft, progress) is None
        assert posted(mock.calls[0]) == {"initializeUploadRequest": {
            "owner": "urn:li:person:aB3xYz", "fileSizeBytes": 1000, "uploadCaptions": False, "uploadThumbnail": False}}
        puts = [call.request for call in mock.calls if call.request.method == "PUT"]
        assert [put.headers["Content-Length"] for put in puts] == ["600", "400"]
        assert {put.headers["Content-Type"] for put in puts} == {"application/octet-stream"}
        assert address(mock.calls[3]) == f"{REST}/videos?action=finalizeUpload"
        assert posted(mock.calls[3]) == {"finalizeUploadRequest": {
            "video": VIDEO_URN, "uploadToken": "tok", "uploadedPartIds": ["e1", "e2"]}}
        assert address(mock.calls[4]) == status

    def test_nothing_goes_to_a_foreign_upload_address(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        announced(mock, "images", "image", "urn:li:image:1", "https://evil.example/1")
        with pytest.raises(TryLater) as caught:
            self.provider.prepare(self.app, ACCESS, replace(self.draft, format="image", files=(
                file(tmp_path, IMAGE),)), Progress())
        assert caught.value.code == "foreign_address" and len(mock.calls) == 1

    @pytest.mark.parametrize("parts", [
        [{"uploadUrl": UPLOAD, "firstByte": "odd", "lastByte": 9}], [{"uploadUrl": UPLOAD, "firstByte": 0}], [], None,
        [{"firstByte": 0, "lastByte": 9}]])
    def test_instructions_that_cannot_be_followed_are_tried_later(self, mock: responses.RequestsMock, tmp_path: Path,
                                                                  parts: Any) -> None:
        mock.add("POST", f"{REST}/videos", json={"value": {"video": VIDEO_URN, "uploadInstructions": parts}})
        with pytest.raises(TryLater):
            self.provider.prepare(self.app, ACCESS, replace(self.draft, format="video", files=(
                file(tmp_path, VIDEO),)), Progress())
        assert len(mock.calls) == 1

    def test_numbers_may_come_as_text(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        for _ in range(2):
            mock.add("POST", f"{REST}/videos", json={"value": {
                "video": VIDEO_URN, "uploadUrlsExpireAt": "soon", "uploadInstructions": [
                    {"uploadUrl": UPLOAD, "firstByte": "0", "lastByte": "999"}]}})
        mock.add("PUT", UPLOAD, status=503)
        mock.add("PUT", UPLOAD, headers={"ETag": "e1"})
        mock.add("POST", f"{REST}/videos")
        progress, draft = Progress(), replace(self.draft, format="video", files=(file(tmp_path, VIDEO),))
        with pytest.raises(TryLater):
            self.provider.prepare(self.app, ACCESS, draft, progress)
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert mock.calls[-2].request.headers["Content-Length"] == "1000"

    def test_nothing_is_published_without_its_files(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        with pytest.raises(TryLater) as caught:
            self.provider.publish(self.app, ACCESS, replace(self.draft, format="image", files=(
                file(tmp_path, IMAGE),)), Progress())
        assert caught.value.code == "no_media" and not mock.calls

    @pytest.mark.parametrize(("format", "facts", "content"), [
        ("poll", {"poll": Poll("Which?", ("Rye", " Oat ", ""), 4320)}, {"poll": {
            "question": "Which?", "options": [{"text": "Rye"}, {"text": "Oat"}],
            "settings": {"duration": "THREE_DAYS"}}}),
        ("link", {"preview": Preview("https://example.com/a_b", "Bread (new)", "Rolls")}, {"article": {
            "source": "https://example.com/a_b", "title": "Bread (new)", "description": "Rolls"}}),
        ("link", {}, {"article": {"source": "https://example.com/a_b", "title": "example.com"}})])
    def test_polls_and_cards_exactly(self, mock: responses.RequestsMock, format: str, facts: dict[str, Any],
                                     content: dict[str, Any]) -> None:
        self.answers_publish(mock)
        draft = replace(self.draft, format=format, link="https://example.com/a_b",
                        options={"visibility": "CONNECTIONS"}, **facts)
        self.provider.publish(self.app, ACCESS, draft, Progress())
        assert posted(mock.calls[0])["content"] == content
        assert posted(mock.calls[0])["visibility"] == "CONNECTIONS"

    def test_a_poll_of_another_length(self) -> None:
        draft = replace(self.draft, format="poll", poll=Poll("?", ("a", "b"), 60))
        assert [one.field for one in self.provider.more_problems(draft, "member")] == ["poll"]
        assert self.provider.more_problems(self.draft, "member") == []

    def test_deleting_exactly(self, mock: responses.RequestsMock) -> None:
        where = f"{POSTS}/urn%3Ali%3Ashare%3A7000000000000000001"
        mock.add("DELETE", where, status=204)
        mock.add("DELETE", where, status=404, json={"status": 404, "message": "gone"})
        self.provider.delete(self.app, ACCESS, URN, self.draft)
        self.provider.delete(self.app, ACCESS, URN, self.draft)
        self.provider.delete(self.app, ACCESS, "6636062862760562688", self.draft)  # a comment goes with its post
        assert [address(call) for call in mock.calls] == [where, where]

    # ------------------------------------------------------------ versions, and patience

    def test_the_next_version_is_tried_once(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 426, plain(426, "NONEXISTENT_VERSION"))
        with pytest.raises(ConfigurationWrong):
            self.provider.publish(replace(self.app, api_version="202603"), ACCESS, self.draft, Progress())
        assert [call.request.headers["LinkedIn-Version"] for call in mock.calls] == ["202603", "202604"]

    @pytest.mark.parametrize(("version", "today", "instead"), [
        ("202504", date(2026, 11, 21), "202601"), ("202607", date(2026, 11, 21), ""),
        ("202610", date(2026, 11, 21), "202607"), ("202601", date(2027, 2, 16), "202603"),
        ("202601", date(2027, 2, 15), "202602"), ("202607", date(2028, 1, 1), "")])
    def test_which_version_comes_in_place_of_another(self, version: str, today: date, instead: str) -> None:
        assert other_version(version, today) == instead

    def test_a_page_instead_of_an_answer_is_no_word_about_versions(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 426, "<html>Upgrade</html>")
        assert type(self.error("publish")) is OutcomeUnknown and len(mock.calls) == 1

    @pytest.mark.parametrize(("status", "body", "most", "last"), [
        (403, plain(403, "FORBIDDEN", None, "The resource is forbidden"), 3, PermissionMissing),
        (409, plain(409, "CONFLICT"), 1, ContentRejected)])
    def test_patience_ends(self, mock: responses.RequestsMock, status: int, body: Any, most: int,
                           last: type[PlatformError]) -> None:
        refuse(mock, status, body)
        progress, seen = Progress(), []
        for _ in range(most + 1):
            with pytest.raises(PlatformError) as caught:
                self.provider.publish(self.app, ACCESS, self.draft, progress)
            seen.append(type(caught.value))
        assert seen == [TryLater] * most + [last]




def announced(mock: responses.RequestsMock, collection: str, name: str, urn: str, where: str = UPLOAD) -> None:
    mock.add("POST", f"{REST}/{collection}", json={"value": {
        "uploadUrl": where, "uploadUrlExpiresAt": 1770003600000, name: urn}})


def file(folder: Path, kind: str, size: int = 1000, alt: str = "") -> File:
    path = folder / kind
    path.write_bytes(bytes(size))
    return File(kind, kind, "image/jpeg", size, path, f"{kind}.bin", alt_text=alt)


ACLS, PAGE = f"{REST}/organizationAcls", "urn:li:organization:5583111"
ME = {"id": "q1Zz", "localizedFirstName": "Jane", "localizedLastName": "Doe", "vanityName": "jane", "profilePicture": {
    "displayImage~": {"elements": [{"identifiers": [{"identifier": "https://media.example/s.jpg"}]},
                                   {"identifiers": [{"identifier": "https://media.example/l.jpg"}]}]}}}
PAGE_SCOPES = "r_basicprofile rw_organization_admin w_organization_social r_organization_social"


def role(number: int, name: str = "ADMINISTRATOR", spelling: str = "organization") -> dict[str, str]:
    return {spelling: f"urn:li:organization:{number}", "role": name, "roleAssignee": "urn:li:person:q1Zz",
            "state": "APPROVED"}


class TestLinkedInPages(TestLinkedIn):
    """The same platform through an app for Pages."""

    facts = replace(TestLinkedIn.facts, mode="organization", scopes=PAGE_SCOPES)
    draft = Draft("Hi (there) #go", "5583111", meta={"urn": PAGE, "role": "ADMINISTRATOR"})
    refused: ClassVar[tuple[Row, ...]] = (
        Row("profiles", 403, plain(403, "ACCESS_DENIED", 100, "Not enough permissions to access: me.GET.NO_VERSION"),
            PermissionMissing, "This needs r_basicprofile.", {"scopes": ("r_basicprofile",)}),
        Row("read", 403, plain(403, "ACCESS_DENIED", 100, "Not enough permissions to access: organizationAcls.FINDER"),
            PermissionMissing, "This needs rw_organization_admin."),
        Row("publish", 403, plain(403, "ACCESS_DENIED", 100, "Not enough permissions to access: "
                                  "partnerApiPostsExternal.CREATE.20260701"), NeedsReconnect,
            "Your role on this Page no longer allows posting.", {"reason": "permission_missing"}),
        Row("publish", 403, plain(403, "ACCESS_DENIED", 100, f"x {PAGE}"), NeedsReconnect,
            "This connection may not post in that name.", {"reason": "app_changed"}),
        Row("publish", 422, DUPLICATE, AlreadyPublished, "LinkedIn has a very similar post.", {"post_id": URN}),
        Row("read", 426, plain(426, "NONEXISTENT_VERSION"), ConfigurationWrong, OLD_VERSION, {"field": "api_version"}),
        Row("read", 429, {}, RateLimited, "LinkedIn's daily limit is reached.", {"until": LATER}),
    )

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json={**GRANT, "scope": PAGE_SCOPES.replace(" ", ","), "refresh_token": REFRESH,
                                      "refresh_token_expires_in": 31536000})

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", "https://api.linkedin.com/v2/me", json=ME)
        mock.add("GET", ACLS, json={"elements": [role(5583111)], "paging": {"start": 0, "count": 100, "links": []}})
        mock.add("GET", f"{REST}/organizations/5583111", json={
            "id": 5583111, "localizedName": "Acme", "vanityName": "acme",
            "logoV2": {"original": "urn:li:digitalmediaAsset:C4D0"}})

    def test_the_member_of_a_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert (consent.person_id, consent.person_name) == ("q1Zz", "Jane Doe")
        assert consent.tokens.refresh_expires_in == 31536000
        assert consent.profiles == (Profile(
            "5583111", "acme", "Acme", "LinkedIn Page", "https://www.linkedin.com/company/acme",
            meta={"urn": PAGE, "role": "ADMINISTRATOR"}),)
        assert address(mock.calls[1]) == (
            "https://api.linkedin.com/v2/me?projection=(id,localizedFirstName,localizedLastName,vanityName,"
            "localizedHeadline,profilePicture(displayImage~:playableStreams))")
        assert address(mock.calls[2]) == f"{ACLS}?q=roleAssignee&state=APPROVED&count=100&start=0"
        assert mock.calls[2].request.headers["LinkedIn-Version"] == "202607"
        assert len(mock.calls) == 4

    def test_many_roles_come_page_by_page(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", "https://api.linkedin.com/v2/me", json=ME)
        mock.add("GET", ACLS, json={"elements": [role(1), role(2, "ANALYST", "organizationTarget")],
                                    "paging": {"start": 0, "count": 2, "links": [{"rel": "next"}]}})
        mock.add("GET", ACLS, json={"elements": [
            role(3, "CONTENT_ADMINISTRATOR", "organizationalTarget"), role(1, "CURATOR"), {"odd": 1}],
            "paging": {"start": 2, "count": 2, "total": 5}})
        for number in (1, 2, 3):
            mock.add("GET", f"{REST}/organizations/{number}", json={"id": number, "localizedName": f"No {number}"})
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert [(one.display_name, bool(one.problem)) for one in consent.profiles] == [
            ("No 1", False), ("No 3", False), ("No 2", True)]
        assert [address(call).partition("start=")[2] for call in mock.calls if "organizationAcls" in address(call)] == [
            "0", "2"]
        assert len(mock.calls) == 7

    def test_a_page_that_only_admins_may_read(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", ACLS, json={"elements": [role(5583111, "DIRECT_SPONSORED_CONTENT_POSTER")]})
        mock.add("GET", f"{REST}/organizations/5583111", status=403, json=plain(403, "ACCESS_DENIED", 100))
        lookup = f"{REST}/organizationsLookup?ids=List(5583111)"
        mock.add("GET", lookup, json={"results": {"5583111": {"localizedName": "Acme", "vanityName": "acme"}}})
        assert self.provider.profile(self.app, ACCESS, "5583111").display_name == "Acme"
        assert address(mock.calls[2]) == lookup

    def test_the_post_and_where_it_is(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        assert self.run("publish") == Published(URN, f"https://www.linkedin.com/feed/update/{URN}/")
        assert posted(mock.calls[0])["author"] == PAGE and "content" not in posted(mock.calls[0])

    def test_a_picture_exactly(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        announced(mock, "images", "image", "urn:li:image:D4E10")
        mock.add("PUT", UPLOAD, status=201)
        status = f"{REST}/images/urn%3Ali%3Aimage%3AD4E10"
        mock.add("GET", status, json={"status": "WAITING_UPLOAD"})
        mock.add("GET", status, json={"status": "PROCESSING_FAILED", "processingFailureReason": "odd"})
        progress, draft = Progress(), replace(self.draft, format="image", files=(file(tmp_path, IMAGE),))
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert posted(mock.calls[0]) == {"initializeUploadRequest": {"owner": PAGE}}
        assert isinstance(self.provider.check(self.app, ACCESS, draft, progress), Wait)
        with pytest.raises(ContentRejected) as caught:
            self.provider.check(self.app, ACCESS, draft, progress)
        assert caught.value.message == "LinkedIn could not process the file: odd"

    def test_a_status_that_cannot_be_read_is_waited_for(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        announced(mock, "documents", "document", "urn:li:document:D4E10")
        mock.add("PUT", UPLOAD, status=201)
        mock.add("GET", f"{REST}/documents/urn%3Ali%3Adocument%3AD4E10", status=403,
                 json=plain(403, "ACCESS_DENIED", 100))
        progress, draft = Progress(), replace(self.draft, format="document", files=(file(tmp_path, DOCUMENT),))
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert isinstance(self.provider.check(self.app, ACCESS, draft, progress), Wait)
        outside.use_clock(lambda: NOW + timedelta(seconds=20))
        assert self.provider.check(self.app, ACCESS, draft, progress) is None
        assert len([call for call in mock.calls if call.request.method == "GET"]) == 1

    def test_a_video_exactly(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        """As for members."""

    def test_a_comment_exactly(self, mock: responses.RequestsMock) -> None:
        where = f"{REST}/socialActions/urn%3Ali%3Ashare%3A7000000000000000001/comments"
        mock.add("POST", where, status=201, json={"id": "66360"}, headers={"x-restli-id": "66360"})
        draft = replace(self.draft, text="See (below)", format=COMMENT, part=1, root_id=URN, reply_to=URN)
        done = self.provider.publish(self.app, ACCESS, draft, Progress())
        assert done == Published("66360", f"https://www.linkedin.com/feed/update/{URN}/")
        assert posted(mock.calls[0]) == {"actor": PAGE, "object": URN, "message": {"text": "See (below)"}}
        assert self.provider.comment_needs["organization"] == ("w_organization_social_feed",)

    def test_a_members_posts_cannot_be_looked_at(self, mock: responses.RequestsMock) -> None:
        """A Page's can."""
        made = int(NOW.timestamp() * 1000)
        mock.add("GET", POSTS, json={"elements": [
            {"id": "urn:li:share:1", "commentary": "Hi \\(there\\) #go", "createdAt": made - 3_600_000},
            {"id": "urn:li:share:2", "commentary": "Other", "createdAt": made},
            {"id": "urn:li:share:3", "commentary": "Hi \\(there\\) {hashtag|\\#|go}", "createdAt": made}]})
        found = self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW)
        assert isinstance(found, Published) and found.id == "urn:li:share:3"
        assert address(mock.calls[0]) == f"{POSTS}?q=author&author=urn%3Ali%3Aorganization%3A5583111&count=10"
        blind = replace(self.app, scopes="w_organization_social")
        assert self.provider.locate(blind, ACCESS, self.draft, Progress(), NOW) is Located.CANNOT_LOOK

    @pytest.mark.parametrize(("facts", "element", "is_it"), [
        ({}, {"createdAt": "1795252800000"}, True), ({}, {"createdAt": 1e30}, False), ({}, {"createdAt": {}}, False),
        ({}, {}, False), ({}, {"content": {}}, False),
        ({}, {"createdAt": 1795252800000, "content": {"media": {"id": "urn:li:image:1"}}}, False),
        ({}, {"createdAt": 1795252800000, "content": {"poll": {"question": "Which?"}}}, False),
        (POLL, {"createdAt": 1795252800000, "content": {"poll": {"question": "Which?"}}}, True),
        (POLL, {"createdAt": 1795252800000, "content": {"poll": {"question": "Who?"}}}, False),
        (POLL, {"createdAt": 1795252800000}, False),
        ({**POLL, "text": ""}, {"createdAt": 1795252800000, "commentary": "", "content": {
            "poll": {"question": "Which?"}}}, True)])
    def test_a_post_of_another_sort_is_not_it(self, mock: responses.RequestsMock, facts: dict[str, Any],
                                              element: dict[str, Any], is_it: bool) -> None:
        mock.add("GET", POSTS, json={"elements": [{"id": "urn:li:share:1", "commentary": "Hi \\(there\\) #go",
                                                   **element}]})
        found = self.provider.locate(self.app, ACCESS, replace(self.draft, **facts), Progress(), NOW)
        assert isinstance(found, Published) is is_it

    def test_a_page_that_is_gone_does_not_keep_the_others_back(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.replace("GET", ACLS, json={"elements": [role(7), role(5583111)]})
        refuse(mock, 404, {"status": 404, "message": "Could not find entity"})
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert [one.display_name for one in consent.profiles] == ["Page 7", "Acme"]

    def test_a_member_of_this_app_needs_the_members_scope(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        refuse(mock, 403, plain(403, "ACCESS_DENIED", 100, "Not enough permissions to access: videos.GET"))
        draft = Draft("Hi", "q1Zz", format="video", files=(file(tmp_path, VIDEO),))
        progress = Progress({"media": {"0:video": {"urn": VIDEO_URN, "at": NOW.isoformat()}}})
        for app in (self.app, TestLinkedIn.facts):
            with pytest.raises(PermissionMissing) as caught:
                self.provider.check(app, ACCESS, draft, progress)
            assert caught.value.scopes == ("w_member_social",)

    def test_a_list_that_may_not_be_read(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 403, plain(403, "ACCESS_DENIED", 100))
        assert self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW) is Located.CANNOT_LOOK

    def test_an_app_with_the_basic_profile_is_asked_elsewhere(self, mock: responses.RequestsMock) -> None:
        """Always so here."""
        self.answers_consent(mock)
        self.provider.consent(self.app, CODE, VERIFIER)
        assert not [call for call in mock.calls if "userinfo" in address(call)]

    def test_a_grant_that_needs_a_moment(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", "https://api.linkedin.com/v2/me", status=401, json=REVOKED)
        self.answers_consent(mock)
        waited: list[float] = []
        assert LinkedIn(wait=waited.append).consent(self.app, CODE, VERIFIER).person_id == "q1Zz" and waited == [2.0]

    def test_who_needs_what(self) -> None:
        assert self.provider.can_connect("organization")
        assert self.provider.needs_to_publish("organization", "LinkedIn Page") == ("w_organization_social",)
        assert self.provider.needs_to_publish("organization", "LinkedIn member") == ("w_member_social",)
        assert author_of(self.app, Draft("", "5583111")) == PAGE
        assert author_of(self.app, Draft("", "aB3xYz")) == "urn:li:person:aB3xYz"
        assert author_of(TestLinkedIn.facts, Draft("", "123")) == "urn:li:person:123"
