"""X: Basic with PKCE, single-use refresh tokens, buckets of limits, and looking for a lost post."""

import base64
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from socialconsole.providers.content import IMAGE, File, Progress

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


def invalid(message: str, name: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "parameters": {name: ["x"]}}], "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": "https://api.twitter.com/2/problems/invalid-request"}


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
              {"reason": "revoked"}) for step in ("profiles", "read", "prepare", "publish", "delete")),
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
        Row("publish", 403, {"errors": [{"code": 187, "message": "Status is a duplicate."}]}, AlreadyPublished,
            "X already has this text from this account."),
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
            "X refused the post: You are not permitted to perform this action.", {"field": "text"}),
        Row("delete", 403, forbidden("Forbidden"), ContentRejected,
            "X did not delete the post: Forbidden"),
        Row("publish", 409, {"title": "Conflict", "type": "about:blank", "detail": "Conflict"}, OutcomeUnknown,
            "X did not confirm the post. We look whether it is there."),
        Row("prepare", 409, {"title": "Conflict", "type": "about:blank"}, TryLater, "X cannot be reached."),
        Row("prepare", 402, NO_CREDITS, ConfigurationWrong, CREDITS),
        Row("prepare", 403, forbidden("This user is not allowed to post a video longer than 20 minutes"),
            ContentRejected, "The video is too long for this account: 20 minutes.", {"field": "video"}),
        Row("prepare", 400, invalid("Not a type.", "media_type"), ContentRejected, "X refused media_type: Not a type.",
            {"field": "media"}),
        Row("publish", 400, invalid("Your media IDs are invalid.", "media.media_ids"), ContentRejected,
            "X refused media.media_ids: Your media IDs are invalid.", {"field": "media"}),
        Row("publish", 400, problem("invalid-request", parameter="poll.options"), ContentRejected,
            "X refused poll.options: x", {"field": "poll"}),
        Row("prepare", 429, {"title": "Too Many Requests", "type": "about:blank"}, RateLimited,
            "X asked us to wait, next try 09:05 UTC.", {"whole_app": False}),
        Row("publish", 400, {"errors": [{"message": "The text is odd.", "parameters": {"text": ["x"]}}],
                             "title": "Invalid Request", "type": "https://api.twitter.com/2/problems/invalid-request"},
            ContentRejected, "X refused text: The text is odd."),
        Row("publish", 429, {"title": "Too Many Requests", "type": "about:blank"}, RateLimited,
            "X asked us to wait, next try 09:05 UTC.", {"until": NOW + timedelta(minutes=5), "whole_app": False}),
        Row("read", 403, forbidden("User has been suspended."), NeedsReconnect, "X has locked this account.",
            {"reason": "suspended"}),
        # A success with nothing but `errors` is read like the refusal it is.
        Row("read", 200, {"errors": [problem("user-suspended")]}, NeedsReconnect, "X has locked this account."),
        Row("read", 200, {"errors": [problem("x", status=401)]}, NeedsReconnect, "X no longer accepts"),
        Row("profiles", 200, {"errors": [problem("client-forbidden", reason="client-not-enrolled")]},
            ConfigurationWrong, "The X app is not in the Pay-per-use package"),
        Row("read", 200, {"errors": [problem("odd", status="x")]}, TryLater, "X answered with something we do not"),
        Row("read", 200, {"errors": ["odd"]}, TryLater, "X cannot be reached."),
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
        assert [sent(call.request) for call in mock.calls] == [{"token": REFRESH}, {"token": ACCESS}]
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

    @pytest.mark.parametrize("word", ["a.", ".\"", "ä.", "www.", "http://a.", "."])
    def test_no_text_keeps_the_counting_busy(self, word: str) -> None:
        texts = [word * (5000 // len(word)), " ".join(word * number for number in range(2, 70))]
        self.provider.count("loads the rules")
        begun = time.process_time()
        lengths = [self.provider.count(text) for text in texts]
        self.provider.cost(Draft(texts[0], "7", "acme", {}))
        assert time.process_time() - begun < 4
        assert lengths[0] > 1000, "it is told that it is too long"

    def test_links_beside_an_endless_word_count_as_links(self) -> None:
        link = "https://example.com/a/very/long/path/indeed/v1.2.3/file-1.2.tar.gz"
        assert self.provider.count(f"{link} {'a.' * 100} {link}") == 2 * 23 + 200 + 2

    def look(self, mock: responses.RequestsMock, posts: Any, draft: Draft | None = None,
             progress: Progress | None = None) -> Any:
        mock.add("GET", TIMELINE, json={"data": posts} if posts is not None else {"meta": {"result_count": 0}})
        return self.provider.locate(self.app, ACCESS, draft or self.draft, progress or Progress(), NOW)

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

    @pytest.mark.parametrize("body", [problem("invalid-request"), {"title": "Invalid Request", "type": "about:blank"},
                                      {"errors": [{"message": "x", "parameters": {"tweet.fields": ["x"]}}]}])
    def test_the_renamed_field_parameter(self, mock: responses.RequestsMock, body: dict[str, Any]) -> None:
        mock.add("GET", TIMELINE, status=400, json=body)
        mock.add("GET", TIMELINE, json={"data": []})
        assert self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW) is Located.NOT_FOUND
        assert "tweet.fields" in address(mock.calls[0]) and "post.fields" in address(mock.calls[1])

    # ------------------------------------------------------------ looking for files, parts and long texts

    MEDIA = {"media": {"0": {"file": "m/9", "id": "18", "key": "3_18"}}}

    @pytest.mark.parametrize(("keys", "is_it"), [(["3_18"], True), (["3_17", "3_18"], True), (["3_17"], False)])
    def test_a_post_with_files_is_known_by_them(self, mock: responses.RequestsMock, tmp_path: Path, keys: list[str],
                                                is_it: bool) -> None:
        draft = replace(self.draft, text="", files=(File("m", IMAGE, "image/png", 9, tmp_path),))
        found = self.look(mock, [{"id": "8", "text": "https://t.co/Ab12", "created_at": "2026-11-21T09:00:01.000Z",
                                  "attachments": {"media_keys": keys}}], draft, Progress(self.MEDIA))
        assert isinstance(found, Published) is is_it
        assert "tweet.fields=created_at%2Centities%2Cattachments" in address(mock.calls[0])

    def test_a_part_of_a_chain_may_come_back_with_the_name_it_answers_to(self, mock: responses.RequestsMock) -> None:
        post = {"id": "9", "text": "@acme And butter", "created_at": "2026-11-21T09:00:01.000Z"}
        draft = replace(self.draft, text="And butter", link="", part=1, reply_to="1", root_id="1")
        assert isinstance(self.look(mock, [post], draft), Published)
        assert self.look(mock, [post], replace(draft, reply_to="")) is Located.NOT_FOUND

    @pytest.mark.parametrize(("post_id", "is_it"), [("99", False), ("100", False), ("101", True), ("1000", True)])
    def test_an_earlier_part_with_the_same_words_is_not_the_later_one(self, mock: responses.RequestsMock, post_id: str,
                                                                      is_it: bool) -> None:
        post = {"id": post_id, "text": "And butter", "created_at": "2026-11-21T09:00:01.000Z"}
        draft = replace(self.draft, text="And butter", link="", part=2, reply_to="100", root_id="99")
        assert isinstance(self.look(mock, [post], draft), Published) is is_it

    def test_the_same_words_under_a_picture_are_another_post(self, mock: responses.RequestsMock) -> None:
        post = {"id": "9", "text": "Fresh bread https://t.co/Ab12", "created_at": "2026-11-21T09:00:01.000Z",
                "attachments": {"media_keys": ["3_1"]}}
        assert self.look(mock, [post]) is Located.NOT_FOUND

    @pytest.mark.parametrize("name", ["note_tweet", "note_post"])
    def test_a_long_text_is_compared_in_full(self, mock: responses.RequestsMock, name: str) -> None:
        text = "bread " * 60
        post = {"id": "10", "text": "bread bread…", "created_at": "2026-11-21T09:00:01.000Z", name: {"text": text}}
        assert isinstance(self.look(mock, [post], replace(self.draft, text=text, link="")), Published)
        assert "note_tweet" in address(mock.calls[0])

    # ------------------------------------------------------------ scopes, deleting

    def test_a_bare_no_without_the_scope_is_a_missing_permission(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", POSTS, status=403, json=forbidden("Forbidden"))
        app = replace(self.app, scopes="tweet.read users.read offline.access")
        with pytest.raises(PermissionMissing) as caught:
            self.provider.publish(app, ACCESS, self.draft, Progress())
        assert caught.value.scopes == ("tweet.write",)

    def test_deleting(self, mock: responses.RequestsMock) -> None:
        mock.add("DELETE", f"{POSTS}/1900", json={"data": {"deleted": True}})
        self.provider.delete(self.app, ACCESS, "1900", self.draft)
        assert address(mock.calls[0]) == f"{POSTS}/1900" and mock.calls[0].request.body is None

    def test_what_is_gone_already_counts_as_deleted(self, mock: responses.RequestsMock) -> None:
        mock.add("DELETE", f"{POSTS}/1900", status=404, json=problem("resource-not-found"))
        self.provider.delete(self.app, ACCESS, "1900", self.draft)

    def test_gone_may_stand_inside_a_success(self, mock: responses.RequestsMock) -> None:
        mock.add("DELETE", f"{POSTS}/1900", json={"errors": [problem("resource-not-found")]})
        self.provider.delete(self.app, ACCESS, "1900", self.draft)

    @pytest.mark.parametrize("answer", [{"json": {"data": {"deleted": False}}}, {"json": {}}, {"status": 503},
                                        {"json": {"errors": [problem("odd")]}},
                                        {"status": 404, "body": "<html>Not here</html>"}])
    def test_deleting_is_not_claimed_without_a_word_of_x(self, mock: responses.RequestsMock,
                                                         answer: dict[str, Any]) -> None:
        mock.add("DELETE", f"{POSTS}/1900", **answer)
        with pytest.raises(TryLater):
            self.provider.delete(self.app, ACCESS, "1900", self.draft)

    @pytest.mark.parametrize("subscription", ["None", None, ""])
    def test_no_subscription_no_long_texts(self, mock: responses.RequestsMock, subscription: Any) -> None:
        assert self._limit(mock, subscription) == (280, 1200)

    def test_a_subscription_allows_long_texts_and_videos(self, mock: responses.RequestsMock) -> None:
        assert self._limit(mock, "Premium") == (25_000, 7500)

    def _limit(self, mock: responses.RequestsMock, subscription: Any) -> tuple[int, float]:
        mock.add("GET", ME, json={"data": {**PERSON["data"], "subscription_type": subscription}})
        formats = {one.slug: one for one in self.provider.formats_of("", self.run("read").kind)}
        video, text = formats["video"].video, formats["text"].text or self.provider.text_limit
        assert video is not None and video.seconds is not None
        return text.most, video.seconds[1]
