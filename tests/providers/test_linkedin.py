"""LinkedIn: credentials in the body, a grant that needs a moment, little text, and posts nobody can read back."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
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
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import App, Draft, Located, Published, Renewal, TokenSet
from socialconsole.providers.linkedin import LinkedIn, escaped

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
CODE_GONE = "The code from LinkedIn was too old, used twice, or the callback differs. Connect again."
OLD_VERSION = "The API version of this app has ended. Choose a newer one."
LATER = NOW + timedelta(minutes=30)


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
    refused = (
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
                                  "reached."), RateLimited, "LinkedIn's daily limit is reached. We continue at 09:30",
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
        assert member.meta == {"locale": JANE["locale"]}

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
        assert waited == [2.0, 3.0]

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

    @pytest.mark.parametrize(("now", "until"), [
        ("2026-11-21T23:50:00+00:00", "2026-11-22T00:05:00+00:00"),
        ("2026-11-21T00:01:00+00:00", "2026-11-21T00:05:00+00:00"),
        ("2026-11-21T12:00:00+00:00", "2026-11-21T12:30:00+00:00")])
    def test_the_daily_limit_ends_at_midnight(self, mock: responses.RequestsMock, now: str, until: str) -> None:
        outside.use_clock(lambda: datetime.fromisoformat(now))
        refuse(mock, 429, {})
        error = self.error("publish")
        assert isinstance(error, RateLimited) and error.until == datetime.fromisoformat(until)

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
            "author": "urn:li:person:aB3xYz", "commentary": "Hi \\(there\\) #go https://example.com/a_b",
            "visibility": "PUBLIC", "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": False,
            "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [],
                             "thirdPartyDistributionChannels": []}}

    @pytest.mark.parametrize("reserved", list("\\|{}@[]()<>#*_~"))
    def test_each_reserved_character_is_escaped(self, reserved: str) -> None:
        assert escaped(f"a {reserved} b") == f"a \\{reserved} b"

    @pytest.mark.parametrize(("text", "little"), [
        ("#bread and #Zürich_Nord", "#bread and #Zürich\\_Nord"), ("# bread", "\\# bread"), ("C# code", "C\\# code"),
        ("##twice", "\\#\\#twice"), ("#1", "#1"), ("a@b.example", "a\\@b.example"),
        ("https://example.com/a_b~c#d", "https://example.com/a_b~c#d"),
        ("(see https://example.com/x)", "\\(see https://example.com/x\\)"),
        ("two\nlines", "two\nlines"), ("", ""), ("plain text, 100% fine; & so on!", "plain text, 100% fine; & so on!")])
    def test_what_stays_and_what_is_escaped(self, text: str, little: str) -> None:
        assert escaped(text) == little

    def test_the_length_of_a_text_is_what_people_see(self) -> None:
        assert self.provider.count("(日)") == 3 and self.provider.text_limit.most == 3000

    def test_a_members_posts_cannot_be_looked_at(self) -> None:
        assert self.provider.locate(self.app, ACCESS, self.draft, NOW) is Located.CANNOT_LOOK
