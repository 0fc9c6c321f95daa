"""X: Basic with PKCE, single-use refresh tokens, buckets of limits, and looking for a lost post."""

import base64
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

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
from socialconsole.providers import connectable
from socialconsole.providers.base import App, Draft, Located, Published, Renewal, TokenSet

from .contract import (
    ACCESS,
    CODE,
    NEW_ACCESS,
    NEW_REFRESH,
    NOW,
    REFRESH,
    VERIFIER,
    ProviderContract,
    Row,
    address,
    posted,
    sent,
)

TOKEN, ME, POSTS = "https://api.x.com/2/oauth2/token", "https://api.x.com/2/users/me", "https://api.x.com/2/tweets"
TIMELINE = "https://api.x.com/2/users/2244994945/tweets"
REVOKE = "https://api.x.com/2/oauth2/revoke"
SCOPES = "tweet.read tweet.write users.read offline.access media.write"
SECRET = "sEcReT-5Tg7Yh9Uj1Ik3Ol5Pz7Xc9Vb1Nm3Qw5Er7Ty9Ui1Op"
GRANT = {"token_type": "bearer", "expires_in": 7200, "access_token": ACCESS, "refresh_token": REFRESH,
         "scope": "users.read tweet.write media.write tweet.read offline.access"}
PERSON = {"data": {"id": "2244994945", "name": "Acme", "username": "acme", "protected": False,
                   "profile_image_url": "https://pbs.example/a_normal.jpg", "subscription_type": "None"}}


def forbidden(detail: str, kind: str = "about:blank", **more: Any) -> dict[str, Any]:
    return {"title": "Forbidden", "type": kind, "status": 403, "detail": detail, **more}


def problem(kind: str, **more: Any) -> dict[str, Any]:
    return {"title": "x", "type": f"https://api.twitter.com/2/problems/{kind}", "detail": "x", **more}


def oauth(error: str, text: str = "") -> dict[str, str]:
    return {"error": error, "error_description": text}


BAD_CODE = oauth("invalid_request", "Value passed for the authorization code was invalid.")
BAD_TOKEN = oauth("invalid_request", "Value passed for the token was invalid.")
NO_HEADER = oauth("unauthorized_client", "Missing valid authorization header")
UNAUTHORIZED = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
NO_CREDITS = {"account_id": 1234567890, "title": "CreditsDepleted", "type": "https://api.twitter.com/2/problems/credits",
              "detail": "Your enrolled account [1234567890] does not have any credits to fulfill this request."}
CREDITS = "The X app has no credits left, or its spending limit is reached."
REPLY = "X lets us reply only to people who mentioned or quoted this account, and does not allow quoting."


class TestTwitter(ProviderContract):
    provider = connectable("twitter")
    facts = App("Y2xpZW50LWlkOjE6Y2k", SECRET, scopes=SCOPES, hosts=provider.base_addresses())
    draft = Draft("Fresh bread https://example.com/bread", "2244994945", "acme", link="https://example.com/bread")
    authorize_base = "https://x.com/i/oauth2/authorize"
    declined = ({"error": "access_denied", "state": "s"},)
    unclear_publish = ({"json": {}, "status": 201}, {"json": {"data": {}}, "status": 201},
                       {"json": {"errors": [{"title": "odd"}]}, "status": 200}, {"json": [], "status": 201})
    lost_renewal = OutcomeUnknown
    refused = (
        Row("token", 400, BAD_CODE, AttemptFailed, "X gives 30 seconds, and this took longer or ran twice."),
        Row("token", 401, NO_HEADER, ConfigurationWrong, "The OAuth 2.0 Client Secret is wrong or was renewed."),
        Row("token", 401, oauth("invalid_client"), ConfigurationWrong, "The OAuth 2.0 Client ID is unknown."),
        Row("token", 400, oauth("invalid_client"), ConfigurationWrong, "The OAuth 2.0 Client ID is unknown."),
        Row("renew", 400, BAD_TOKEN, NeedsReconnect, "X ended this connection. Connect again.", {"reason": "revoked"}),
        Row("renew", 401, NO_HEADER, ConfigurationWrong, "The OAuth 2.0 Client Secret is wrong or was renewed."),
        Row("renew", 400, oauth("invalid_client"), ConfigurationWrong, "The OAuth 2.0 Client ID is unknown."),
        *(Row(step, 401, UNAUTHORIZED, NeedsReconnect, "X no longer accepts this connection. Connect again.",
              {"reason": "revoked"}) for step in ("profiles", "read", "publish")),
        Row("publish", 402, NO_CREDITS, ConfigurationWrong, CREDITS),
        Row("read", 402, {"title": "Payment Required", "type": "https://api.x.com/2/problems/credits-depleted"},
            ConfigurationWrong, CREDITS),
        Row("publish", 429, problem("usage-capped"), ConfigurationWrong, CREDITS),
        Row("profiles", 403, forbidden("x", "https://api.twitter.com/2/problems/client-forbidden",
                                       reason="client-not-enrolled"), ConfigurationWrong,
            "The X app is not in the Pay-per-use package and Production environment."),
        Row("publish", 403, forbidden("Your client app is not configured with the appropriate oauth1 app permissions "
                                      "for this endpoint."), ConfigurationWrong, "The X app is read-only."),
        Row("publish", 403, problem("unsupported-authentication"), ConfigurationWrong,
            "The console used the wrong kind of key.", {"who": "developer"}),
        Row("publish", 403, forbidden("You are not allowed to create a Tweet with duplicate content."),
            AlreadyPublished, "X already has this text from this account. Change it.", {"post_id": ""}),
        Row("publish", 403, forbidden("Reply to this conversation is not allowed because you have not been mentioned"),
            ContentRejected, REPLY, {"field": "reply"}),
        Row("publish", 403, forbidden("Quoting this post is not allowed because"), ContentRejected, REPLY,
            {"field": "quote"}),
        Row("publish", 403, forbidden("This user is not allowed to post a video longer than 20 minutes"),
            ContentRejected, "The video is too long for this account: 20 minutes", {"field": "video"}),
        Row("publish", 403, forbidden("maximum of one cashtag"), ContentRejected, "X refuses this text: more than one"),
        Row("publish", 403, forbidden("The Tweet contains an invalid URL."), ContentRejected, "X refuses this text:"),
        Row("read", 403, problem("user-suspended"), NeedsReconnect,
            "X has locked this account. Sign in at x.com and follow its steps.", {"reason": "suspended"}),
        Row("publish", 403, forbidden("Your account is temporarily locked."), NeedsReconnect,
            "X has locked this account.", {"reason": "suspended"}),
        Row("prepare", 403, forbidden("Forbidden"), PermissionMissing, "Pictures and videos need `media.write`.",
            {"scopes": ("media.write",)}),
        Row("publish", 403, forbidden("You are not permitted to perform this action."), ContentRejected,
            "X refused the post: You are not permitted to perform this action."),
        Row("publish", 400, {"errors": [{"message": "The text is odd.", "parameters": {"text": ["x"]}}],
                             "title": "Invalid Request", "type": "https://api.twitter.com/2/problems/invalid-request"},
            ContentRejected, "X refused text: The text is odd."),
        Row("publish", 429, {"title": "Too Many Requests", "type": "about:blank"}, RateLimited,
            "X asked us to wait, next try 09:05 UTC.", {"until": NOW + timedelta(minutes=5), "whole_app": False}),
        Row("publish", 418, {"title": "Teapot"}, ContentRejected, "X answered with something we do not know: teapot."),
        Row("token", 418, oauth("teapot"), ConfigurationWrong, "X answered with something we do not know: teapot."),
    )

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json=GRANT)

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", ME, json=PERSON)

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", POSTS, json={"data": {"id": "1900000000000000001", "text": "x"}}, status=201)

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add("POST", TOKEN, json=token)

    def test_the_exchange_sends_basic_and_the_client_id(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        tokens = self.provider.exchange(self.app, CODE, VERIFIER)
        request = mock.calls[0].request
        basic = base64.b64encode(f"{self.app.client_id}:{SECRET}".encode()).decode()
        assert request.headers["Authorization"] == f"Basic {basic}"
        assert sent(request) == {"grant_type": "authorization_code", "code": CODE, "code_verifier": VERIFIER,
                                 "redirect_uri": self.app.redirect_uri, "client_id": self.app.client_id}
        assert tokens == TokenSet(ACCESS, REFRESH, 7200, None, frozenset(SCOPES.split()))

    def test_the_profile_of_a_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        (profile,) = consent.profiles
        assert (consent.person_id, consent.person_name) == ("2244994945", "Acme")
        assert (profile.username, profile.profile_url) == ("acme", "https://x.com/acme")
        assert profile.avatar_url == "https://pbs.example/a_400x400.jpg"
        assert profile.meta["subscription_type"] == "None"
        assert mock.calls[1].request.headers["Authorization"] == f"Bearer {ACCESS}"

    def test_no_refresh_token_although_it_was_asked_for(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json={**GRANT, "refresh_token": None})
        error = self.error("profiles")
        assert isinstance(error, ConfigurationWrong)
        assert error.message == "`offline.access` is missing: this account would drop out every two hours."

    def test_an_admin_may_do_without_refresh_token(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", TOKEN, json={key: value for key, value in GRANT.items() if key != "refresh_token"})
        mock.add("GET", ME, json=PERSON)
        app = replace(self.app, scopes="tweet.read tweet.write users.read")
        consent = self.provider.consent(app, CODE, VERIFIER)
        assert self.provider.renewal_of(consent.tokens) is Renewal.NONE

    def test_a_renewal_rotates_the_pair(self, mock: responses.RequestsMock) -> None:
        self.answers_renewal(mock, **{**GRANT, "access_token": NEW_ACCESS, "refresh_token": NEW_REFRESH})
        newer = self.run("renew")
        assert (newer.access_token, newer.refresh_token) == (NEW_ACCESS, NEW_REFRESH)
        assert sent(mock.calls[0].request) == {"grant_type": "refresh_token", "refresh_token": REFRESH,
                                               "client_id": self.app.client_id}
        assert self.provider.renewal_of(newer) is Renewal.ROTATES

    @pytest.mark.parametrize("answer", [{"status": 500}, {"status": 503, "body": "<html>"}, {"body": "<html>ok"},
                                        {"json": {"token_type": "bearer"}}])
    def test_a_rotating_token_may_be_spent_when_the_answer_is_unclear(self, mock: responses.RequestsMock,
                                                                      answer: dict[str, Any]) -> None:
        mock.add("POST", TOKEN, **answer)
        assert type(self.error("renew")) is OutcomeUnknown

    def test_revoking_takes_both_and_forgives_what_is_gone(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", REVOKE, json=BAD_TOKEN, status=400)
        mock.add("POST", REVOKE, json={"revoked": True})
        self.run("revoke")
        assert [sent(call.request)["token"] for call in mock.calls] == [REFRESH, ACCESS]
        assert all(call.request.headers["Authorization"].startswith("Basic ") for call in mock.calls)

    def test_revoking_tells_when_it_could_not(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", REVOKE, status=503)
        assert type(self.error("revoke")) is TryLater

    def test_the_permalink_and_the_body(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        done = self.run("publish")
        assert done == Published("1900000000000000001", "https://x.com/acme/status/1900000000000000001")
        assert posted(mock.calls[0]) == {"text": self.draft.text}

    def test_a_success_may_still_carry_errors(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", POSTS, json={"data": {"id": "19"}, "errors": [{"title": "odd"}]}, status=201)
        assert self.run("publish").id == "19"

    def test_the_latest_of_the_empty_buckets_counts(self, mock: responses.RequestsMock) -> None:
        def reset(minutes: int) -> str:
            return str(int((NOW + timedelta(minutes=minutes)).timestamp()))
        headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": reset(7),
                   "x-user-limit-24hour-remaining": "0", "x-user-limit-24hour-reset": reset(90),
                   "x-app-limit-24hour-remaining": "5", "x-app-limit-24hour-reset": reset(600)}
        mock.add("POST", POSTS, status=429, json={}, headers=headers)
        error = self.error("publish")
        assert isinstance(error, RateLimited)
        assert (error.until, error.whole_app) == (NOW + timedelta(minutes=90), False)
        mock.reset()
        mock.add("POST", POSTS, status=429, json={}, headers={**headers, "x-app-limit-24hour-remaining": "0"})
        error = self.error("publish")
        assert isinstance(error, RateLimited)
        assert (error.until, error.whole_app) == (NOW + timedelta(minutes=600), True)

    # ------------------------------------------------------------ counting and looking

    @pytest.mark.parametrize(("text", "length"), [
        ("hello", 5), ("日本", 4), ("👩‍👩‍👧", 2), ("https://example.com/a/very/long/path/indeed", 23),
        ("see example.com", 27), ("e\u0301", 1), ("", 0), ("a" * 281, 281)])
    def test_characters_as_x_counts_them(self, text: str, length: int) -> None:
        assert self.provider.count(text) == length

    def look(self, mock: responses.RequestsMock, posts: Any, draft: Draft | None = None) -> Any:
        mock.add("GET", TIMELINE, json={"data": posts} if posts is not None else {"meta": {"result_count": 0}})
        return self.provider.locate(self.app, ACCESS, draft or self.draft, NOW)

    def test_a_lost_post_is_found_by_its_text(self, mock: responses.RequestsMock) -> None:
        found = self.look(mock, [
            {"id": "1", "text": "Something else", "created_at": "2026-11-21T09:00:01.000Z"},
            {"id": "2", "text": "Fresh  bread https://t.co/Ab12", "created_at": "2026-11-21T09:00:02.000Z"}])
        assert found == Published("2", "https://x.com/acme/status/2")

    def test_entities_and_clocks_are_forgiven(self, mock: responses.RequestsMock) -> None:
        found = self.look(mock, [{"id": "3", "text": "Salt &amp; pepper", "created_at": "2026-11-21T08:56:00.000Z"}],
                          replace(self.draft, text="Salt & pepper"))
        assert isinstance(found, Published)

    @pytest.mark.parametrize("posts", [
        None, [], [{"id": "4", "text": "Fresh bread", "created_at": "2026-11-21T08:54:59.000Z"}],
        [{"id": "5", "text": "Fresh bread too", "created_at": "2026-11-21T09:00:01.000Z"}],
        [{"id": "6", "text": "Fresh bread"}]])
    def test_an_older_or_another_post_is_not_it(self, mock: responses.RequestsMock, posts: Any) -> None:
        assert self.look(mock, posts) is Located.NOT_FOUND

    def test_a_post_of_nothing_but_a_link_needs_that_link(self, mock: responses.RequestsMock) -> None:
        def post(link: str) -> list[dict[str, Any]]:
            return [{"id": "7", "text": "https://t.co/Ab12", "created_at": "2026-11-21T09:00:01.000Z",
                     "entities": {"urls": [{"url": "https://t.co/Ab12", "expanded_url": link}]}}]
        draft = replace(self.draft, text="https://example.com/bread")
        assert isinstance(self.look(mock, post("https://example.com/bread/"), draft), Published)
        mock.reset()
        assert self.look(mock, post("https://example.com/cake"), draft) is Located.NOT_FOUND

    def test_the_renamed_field_parameter(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", TIMELINE, status=400, json=problem("invalid-request"))
        mock.add("GET", TIMELINE, json={"data": []})
        assert self.provider.locate(self.app, ACCESS, self.draft, NOW) is Located.NOT_FOUND
        assert "tweet.fields" in address(mock.calls[0]) and "post.fields" in address(mock.calls[1])

    # ------------------------------------------------------------ the vendor's description

    def test_the_calls_are_those_of_the_official_description(self, mock: responses.RequestsMock) -> None:
        described = description()
        self.answers_publish(mock)
        self.run("publish")
        schema = described["paths"]["/2/tweets"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        body = resolved(described, schema)
        assert set(posted(mock.calls[0])) <= set(body["properties"])
        assert body.get("additionalProperties") is False
        assert "get" in described["paths"][urlsplit(ME).path]
        listed = described["paths"]["/2/users/{id}/tweets"]["get"]["parameters"]
        names = {resolved(described, one)["name"] for one in listed}
        mock.add("GET", TIMELINE, status=400, json=problem("invalid-request"))
        mock.add("GET", TIMELINE, json={"data": []})
        self.provider.locate(self.app, ACCESS, self.draft, NOW)
        asked = [set(parse_qs(urlsplit(address(call)).query)) for call in mock.calls if "users" in address(call)]
        assert any(one <= names for one in asked), "one of the two spellings is the described one"


def description() -> dict[str, Any]:
    root = Path(__file__).parents[2]
    path = root / os.environ.get("SPECS", "../shared/specs") / "x-openapi.json"
    if not path.is_file():
        pytest.skip("description not at hand")
    described: dict[str, Any] = json.loads(path.read_text())
    return described


def resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for part in schema.get("$ref", "").split("/")[1:]:
        described = described[part]
    return described if "$ref" in schema else schema


