"""Instagram: two logins with hosts, proofs and renewals of their own; containers; the numbers of its error table."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import responses
from responses import matchers

from socialconsole import outside
from socialconsole.errors import (
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
from socialconsole.providers import connectable
from socialconsole.providers.base import COMMENT, App, Draft, Located, Published, Renewal, Revoke, TokenSet, Wait
from socialconsole.providers.content import IMAGE, VIDEO, File, Progress
from socialconsole.providers.rules import problems

from .contract import (
    ACCESS,
    CODE,
    NEW_ACCESS,
    NOW,
    REFRESH,
    STATE,
    VERIFIER,
    ProviderContract,
    Row,
    refuse,
    sent,
)

PAGE, DIRECT = "facebook_login", "instagram_login"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
IG, CONTAINER, MEDIA = "17841405793187218", "17889455560051444", "17920238422030506"
GRAPHS = {PAGE: "https://graph.facebook.com/v25.0", DIRECT: "https://graph.instagram.com/v25.0"}
SHORT, LONG, PAGE_TOKEN = "sHoRt-6Tg5Rf4Ed3Ws2Qa", "lOnG-8Yh7Uj6Ik5Ol4Pm", "pAgE-3Xc4Vb5Nm6Lk7Jh"
PERMALINK = "https://www.instagram.com/p/Cx1/"
ASKED = {PAGE: "instagram_basic,instagram_content_publish,pages_show_list",
         DIRECT: "instagram_business_basic,instagram_business_content_publish"}
provider = connectable("instagram")


def graph_error(code: int, subcode: int | None = None, message: str = "Something", **more: Any) -> dict[str, Any]:
    told = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC", **more}
    return {"error": {**told, "error_subcode": subcode} if subcode else told}


def flat_error(message: str) -> dict[str, Any]:
    return {"error_type": "OAuthException", "code": 400, "error_message": message}


def row(step: str, code: int, subcode: int | None, error: type[PlatformError], sentence: str,
        message: str = "Something", **facts: Any) -> Row:
    return Row(step, 400, graph_error(code, subcode, message), error, sentence, facts)


SPAM = "Instagram took this for spam. Change the post and wait a day."
NOT_TAKEN = "Instagram could not take the media. We try again."
CAPTION = "The caption is too long: at most 2,200 characters, 30 hashtags, 20 mentions."
PICTURE = "The picture is over 8 MB, not JPEG, or outside 4:5 to 1.91:1."
KIND = "Instagram does not accept this kind or number of media or tags."
OPTION = "This place, or a trial reel, is not available for the account."
RESTRICTED = "Instagram has restricted this account. Open the Instagram app and follow its steps."
PERSONAL = "The account was changed to personal. Switch it back, then connect again."
UNCONFIRMED = "Instagram did not confirm the post. We look whether it is there."
ENDED = "Instagram ended this connection. Connect again, and wait a day before posting often."
CANNOT_OPEN = "Instagram cannot open our media address. It must be public, without login or bot protection."

SHARED_ROWS = (
    Row("token", 400, flat_error("Invalid platform app"), ConfigurationWrong,
        "This is a Meta App ID, or the app lacks the Instagram-login setup. Use the Instagram app ID.",
        {"who": "admin", "field": "client_id"}),
    *(Row("token", 400, flat_error(words), ConfigurationWrong,
          "The callback is missing in Business login settings, or a slash was added there.", {"who": "admin"})
      for words in ("Invalid redirect_uri", "Invalid scrubbed redirect_uri")),
    Row("token", 400, flat_error("Error validating verification code. Please make sure your redirect_uri is identical"),
        ConfigurationWrong, "Instagram refused the exchange. Check the app secret first, then the callback."),
    Row("token", 400, flat_error("Matching code was not found or was already used"), AttemptFailed,
        "The code from the platform was too old or used twice."),
    Row("token", 400, flat_error("Invalid authorization code"), AttemptFailed,
        "The code from the platform was too old"),
    Row("token", 400, flat_error("Error validating client secret"), ConfigurationWrong, "The app secret is wrong.",
        {"field": "client_secret"}),
    row("token", 100, None, ConfigurationWrong,
        "These are credentials or a token of a product that no longer exists.",
        "Unsupported request - method type: get"),
    row("renew", 100, None, TryLater, "Too early to renew. We do it tomorrow.", "Token must be at least 24 hours old"),
    row("renew", 190, None, NeedsReconnect, ENDED, reason="revoked"),
    *(row(step, 10, None, NeedsReconnect, PERSONAL, "The user is not an Instagram Business",
          reason="permission_missing") for step in ("read", "prepare", "publish")),
    *(row(step, 25, 2207050, NeedsReconnect, RESTRICTED, reason="suspended")
      for step in ("read", "prepare", "publish")),
    *(row("prepare", -2, one, TryLater, "Instagram took too long to fetch the media.") for one in (2207003, 2207077)),
    row("prepare", -2, 2207020, TryLater, "The prepared post grew too old. We prepare it again."),
    *(row("prepare", -1, one, TryLater, NOT_TAKEN) for one in (2207001, 2207032, 2207053, 2207082, None)),
    row("prepare", 1, 2207057, ContentRejected, "The cover position lies outside the video.", field="cover"),
    row("publish", 4, 2207051, ContentRejected, SPAM, field="text"),
    row("publish", 9, 2207042, RateLimited, "The daily number of posts is used up. We continue at "),
    row("prepare", 24, 2207006, TryLater, "Instagram cannot find the prepared media."),
    row("publish", 24, 2207008, TryLater, "The media is not ready yet."),
    row("publish", 9007, 2207027, TryLater, "Instagram is still preparing the media."),
    *(row("prepare", 100, one, ContentRejected, KIND, field="media")
      for one in (2207023, 2207028, 2207035, 2207036, 2207037, 2207040)),
    row("prepare", 352, 2207026, ContentRejected, "The video format is not accepted. Use MP4 with H.264 and AAC.",
        field="video"),
    row("prepare", 9004, 2207052, TryLater, CANNOT_OPEN),
    *(row("prepare", code, one, ContentRejected, PICTURE, field="image")
      for code, one in ((36000, 2207004), (36001, 2207005), (36003, 2207009))),
    row("prepare", 36004, 2207010, ContentRejected, CAPTION, field="text"),
    row("prepare", 100, None, ContentRejected, OPTION, "INSTAGRAM_PLATFORM_API__INVALID_LOCATION_ID", field="option"),
    row("prepare", 100, 2207081, ContentRejected, OPTION, field="option"),
    row("delete", 1, 2207085, ContentRejected, "Instagram does not let us delete it. Delete it in the app.",
        field="delete", who="tenant"),
    *(row("publish", code, one, OutcomeUnknown, UNCONFIRMED)
      for code, one in ((-1, 2207001), (-2, 2207020), (-1, None), (1, 2207082))),
    row("publish", 2, None, OutcomeUnknown, "Meta did not confirm the post."),
    *(row("read", code, None, RateLimited, "Meta limits this account for now.") for code in (17, 32, 613, 80002)),
    row("read", 4, None, RateLimited, "Meta limits this app for now.", whole_app=True),
    row("publish", 200, None, PermissionMissing, "This needs "),
    row("publish", 10, None, ConfigurationWrong, "instagram", "Requires advanced access"),
    row("publish", 987, None, ContentRejected, "Instagram answered with something we do not know: 987."),
)


def picture(**facts: Any) -> File:
    return replace(File("f1", IMAGE, "image/jpeg", 1000, Path("/nowhere"), "a.jpg", width=1080, height=1080,
                        public_url="https://c.example/media/a.jpg"), **facts)


def video(**facts: Any) -> File:
    return replace(File("f2", VIDEO, "video/mp4", 1000, Path("/nowhere"), "a.mp4", width=1080, height=1920,
                        seconds=10.0, public_url="https://c.example/media/a.mp4"), **facts)


class InstagramContract(ProviderContract):
    """What both modes promise."""

    provider = provider
    mode: str
    draft = Draft("Fresh bread", IG, "bakery", format="image", files=(picture(),))
    unclear_publish = ({"json": {}}, {"json": []}, {"body": ""})

    @property
    def graph(self) -> str:
        return GRAPHS[self.mode]

    def prepared(self, app: App) -> Progress:
        return kept()

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, f"{self.graph}/{IG}/media_publish", json={"id": MEDIA})
        link = PERMALINK if isinstance(mock, responses.RequestsMock) else PERMALINK.replace(
            "https://", "http://localhost:18999/")
        mock.add(responses.GET, f"{self.graph}/{MEDIA}", json={"permalink": link, "id": MEDIA})

    def test_an_address_elsewhere_is_no_permalink(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, f"{self.graph}/{IG}/media_publish", json={"id": MEDIA})
        mock.add(responses.GET, f"{self.graph}/{MEDIA}", json={"permalink": "https://elsewhere.example/p/1"})
        assert self.run("publish") == Published(MEDIA, "")

    def test_a_missing_permalink_fails_nothing(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, f"{self.graph}/{IG}/media_publish", json={"id": MEDIA})
        mock.add(responses.GET, f"{self.graph}/{MEDIA}", status=500)
        assert self.run("publish") == Published(MEDIA, "")

    def test_publishing_is_one_form_with_one_number(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        self.run("publish")
        form = sent(mock.calls[0].request)
        assert form.pop("access_token") == ACCESS and form.pop("appsecret_proof", None) == self.proof(ACCESS)
        assert form == {"creation_id": CONTAINER}
        assert "?" not in str(mock.calls[0].request.url)

    def proof(self, token: str) -> str | None:
        return hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest() if self.mode == PAGE else None


class TestThroughAPage(InstagramContract):
    mode = PAGE
    facts = App("123456789012345", SECRET, scopes=ASKED[PAGE], mode=PAGE, api_version="v25.0",
                hosts=provider.base_addresses())
    authorize_base = "https://www.facebook.com/v25.0/dialog/oauth"
    declined = ({"error": "access_denied", "error_code": "200", "error_reason": "user_denied"},)
    refused = (*SHARED_ROWS,
               *(row("renew", 190, subcode, NeedsReconnect, sentence, reason=reason) for subcode, sentence, reason in (
                   (458, "The app was removed in your settings.", "revoked"),
                   (460, "The password was changed", "password_changed"), (463, "The permission ran out.", "expired"))))

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        token = f"{self.graph}/oauth/access_token"
        mock.add(responses.GET, token, json={"access_token": SHORT, "token_type": "bearer", "expires_in": 5106},
                 match=[matchers.query_param_matcher({"code": CODE}, strict_match=False)])

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add(responses.GET, f"{self.graph}/oauth/access_token", json=token)

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add(responses.GET, f"{self.graph}/oauth/access_token", json={"access_token": LONG, "expires_in": 5183944},
                 match=[matchers.query_param_matcher({
                     "grant_type": "fb_exchange_token", "client_id": self.app.client_id, "client_secret": SECRET,
                     "fb_exchange_token": SHORT})])
        mock.add(responses.GET, f"{self.graph}/me", json={"id": "700", "name": "Lena"})
        mock.add(responses.GET, f"{self.graph}/me/permissions", json={"data": [
            {"permission": "instagram_basic", "status": "granted"},
            {"permission": "instagram_content_publish", "status": "declined"}]})
        linked = {"id": IG, "username": "bakery", "name": "Bakery", "profile_picture_url": "https://x.example/p.jpg"}
        mock.add(responses.GET, f"{self.graph}/me/accounts", json={"data": [
            {"id": "900", "name": "Bakery Page", "tasks": ["MANAGE"], "access_token": PAGE_TOKEN,
             "instagram_business_account": linked},
            {"id": "901", "name": "Same key", "access_token": LONG,
             "instagram_business_account": {"id": "17841400000000001"}},
        ]})

    def test_the_long_token_comes_before_the_pages(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert consent.scopes == {"instagram_basic"} and consent.person_id == "700"
        first, second = consent.profiles
        assert (first.platform_user_id, first.own_token, first.profile_url) == (
            IG, PAGE_TOKEN, "https://www.instagram.com/bakery/")
        assert first.meta["page_id"] == "900" and "not ticked" in second.problem and second.own_token is None
        asked = sent(mock.calls[-1].request)
        assert asked["access_token"] == LONG and asked["appsecret_proof"] == self.proof(LONG)
        assert asked["fields"].startswith("id,name,tasks,access_token,instagram_business_account{id,username")

    def test_the_person_and_the_end_are_those_of_the_token(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.add(responses.GET, f"{self.graph}/debug_token", json={"data": {
            "user_id": "701", "data_access_expires_at": 1802776000}},
            match=[matchers.query_param_matcher({"input_token": LONG}, strict_match=False)])
        mock.replace(responses.GET, f"{self.graph}/me", status=400, json=graph_error(100))
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert (consent.person_id, consent.person_name) == ("701", "")
        assert [one.meta["token_data_access_expires_at"] for one in consent.profiles] == [1802776000] * 2

    def test_an_error_in_a_good_answer_is_an_error(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.replace(responses.GET, f"{self.graph}/me/permissions", json=graph_error(190, 460))
        assert isinstance(self.error("profiles"), NeedsReconnect)

    def test_a_portfolio_that_knows_no_tasks(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.replace(responses.GET, f"{self.graph}/me/permissions", json={"data": [
            {"permission": "business_management", "status": "granted"}]})
        mock.replace(responses.GET, f"{self.graph}/me/accounts", json={"data": []})
        mock.add(responses.GET, f"{self.graph}/me/businesses", json={"data": [{"id": "5", "name": "Group"}]})
        mock.add(responses.GET, f"{self.graph}/5/owned_pages", status=400, json=graph_error(100))
        mock.add(responses.GET, f"{self.graph}/5/owned_pages", json={"data": [
            {"id": "900", "access_token": PAGE_TOKEN, "instagram_business_account": {"id": IG, "username": "bakery"}}]})
        (found,) = self.provider.consent(self.app, CODE, VERIFIER).profiles
        assert (found.platform_user_id, found.problem) == (IG, "")
        asked = [sent(call.request)["fields"] for call in mock.calls if "owned_pages" in str(call.request.url)]
        assert "tasks" in asked[0] and "tasks" not in asked[1]

    def test_data_access_is_asked_for_in_facebooks_words(self) -> None:
        asked: Any = self.provider.authorize_parameters
        assert asked(self.app, "data_access") == {"auth_type": "reauthorize"} and asked(self.app, "another") == {}

    def test_no_page_has_an_account(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.replace(responses.GET, f"{self.graph}/me/accounts", json={"data": [{"id": "900", "name": "Plain Page"}]})
        with pytest.raises(PermissionMissing, match="No professional account was found.*Plain Page"):
            self.provider.consent(self.app, CODE, VERIFIER)

    def test_a_configuration_replaces_the_scopes(self) -> None:
        app = replace(self.app, options={"config_id": "777"})
        address = self.provider.authorization_url(app, STATE, None, again=True)
        assert "config_id=777" in address and "scope=" not in address and "auth_type=rerequest" in address

    def test_a_wrong_scope_is_told_without_error(self) -> None:
        with pytest.raises(ConfigurationWrong, match="instagram_eat"):
            self.provider.read_refusal({"error_code": "100", "error_message": "Invalid Scopes: instagram_eat. This"})

    def test_revoking_removes_the_app_for_the_person(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.DELETE, f"{self.graph}/700/permissions", json={"success": True})
        self.run("revoke")
        mock.reset()
        refuse(mock, 400, graph_error(190, 458))
        self.run("revoke")
        mock.reset()
        refuse(mock, 200, {"success": False})
        assert isinstance(self.error("revoke"), TryLater)

    def test_deleting(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.DELETE, f"{self.graph}/{MEDIA}", json={"success": True})
        self.provider.delete(self.app, ACCESS, MEDIA, self.draft)
        assert sent(mock.calls[0].request) == {"access_token": ACCESS, "appsecret_proof": self.proof(ACCESS)}

    def test_gone_already_is_fine_where_the_account_is_seen(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.DELETE, f"{self.graph}/{MEDIA}", json=graph_error(100, 33), status=400)
        mock.add(responses.GET, f"{self.graph}/{IG}", json={"username": "bakery", "id": IG})
        self.provider.delete(self.app, ACCESS, MEDIA, self.draft)
        mock.replace(responses.GET, f"{self.graph}/{IG}", json=graph_error(190), status=400)
        with pytest.raises(NeedsReconnect):
            self.provider.delete(self.app, ACCESS, MEDIA, self.draft)
        mock.replace(responses.GET, f"{self.graph}/{IG}", json=graph_error(100, 33), status=400)
        with pytest.raises(NeedsReconnect, match="no longer shows us this account"):
            self.provider.delete(self.app, ACCESS, MEDIA, self.draft)
        mock.replace(responses.GET, f"{self.graph}/{IG}", status=500)
        with pytest.raises(TryLater):
            self.provider.delete(self.app, ACCESS, MEDIA, self.draft)

    def test_bytes_go_to_the_named_address(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(b"x" * 1000)
        uri = f"https://rupload.facebook.com/ig-api-upload/v25.0/{CONTAINER}"
        app = replace(self.app, options={"config_id": "777"})
        draft = replace(self.draft, format="reel", files=(video(path=path),))
        mock.add(responses.POST, f"{self.graph}/{IG}/media", json={"id": CONTAINER, "uri": uri})
        mock.add(responses.POST, uri, json={"success": True, "message": "ok"})
        progress = Progress()
        self.provider.prepare(app, ACCESS, draft, progress)
        form = sent(mock.calls[0].request)
        assert form["upload_type"] == "resumable" and form["media_type"] == "REELS" and "video_url" not in form
        headers = mock.calls[1].request.headers
        assert (headers["Authorization"], headers["offset"], headers["file_size"]) == (f"OAuth {ACCESS}", "0", "1000")
        assert headers["Content-Length"] == "1000" and "access_token" not in str(mock.calls[1].request.url)

    def test_bytes_go_nowhere_else(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        app = replace(self.app, options={"config_id": "777"})
        draft = replace(self.draft, format="reel", files=(video(),))
        mock.add(responses.POST, f"{self.graph}/{IG}/media", json={"id": CONTAINER, "uri": "https://evil.example/x"})
        with pytest.raises(TryLater, match="not its own"):
            self.provider.prepare(app, ACCESS, draft, Progress())
        assert len(mock.calls) == 1

    @pytest.mark.parametrize("answer", [
        {"status": 400, "json": {"debug_info": {"type": "ProcessingFailedError", "message": "It failed"}}},
        {"status": 200, "json": {"success": False}}])
    def test_bytes_that_are_refused_get_a_new_container(self, mock: responses.RequestsMock, tmp_path: Path,
                                                         answer: dict[str, Any]) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(b"x" * 1000)
        uri = f"https://rupload.facebook.com/ig-api-upload/v25.0/{CONTAINER}"
        app = replace(self.app, options={"config_id": "777"})
        draft = replace(self.draft, format="reel", files=(video(path=path),))
        mock.add(responses.POST, f"{self.graph}/{IG}/media", json={"id": CONTAINER, "uri": uri})
        mock.add(responses.POST, uri, **answer)
        progress = Progress()
        for error in (TryLater, TryLater, ContentRejected):
            with pytest.raises(error):
                self.provider.prepare(app, ACCESS, draft, progress)
            assert progress.get("container") is None


class TestDirectly(InstagramContract):
    mode = DIRECT
    facts = App("990602627938098", SECRET, scopes=ASKED[DIRECT], mode=DIRECT, api_version="v25.0",
                hosts=provider.base_addresses())
    authorize_base = "https://www.instagram.com/oauth/authorize"
    declined = ({"error": "access_denied", "error_reason": "user_denied",
                 "error_description": "The user denied your request"},)
    refused = (*SHARED_ROWS,
               row("renew", 190, 460, NeedsReconnect, ENDED, reason="revoked"),
               row("renew", 1, None, NeedsReconnect, ENDED, "The session has been invalidated", reason="revoked"),
               row("publish", 190, None, NeedsReconnect, ENDED, "The session has been invalidated", reason="revoked"))

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, "https://api.instagram.com/oauth/access_token", json={"data": [
            {"access_token": SHORT, "user_id": "1020000000001", "permissions": ASKED[DIRECT]}]})

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add(responses.GET, "https://graph.instagram.com/refresh_access_token", json=token)

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add(responses.GET, "https://graph.instagram.com/access_token",
                 json={"access_token": LONG, "token_type": "bearer", "expires_in": 5183944},
                 match=[matchers.query_param_matcher({
                     "grant_type": "ig_exchange_token", "client_secret": SECRET, "access_token": SHORT})])
        mock.add(responses.GET, f"{self.graph}/me", json={
            "user_id": IG, "username": "bakery", "name": "Bakery", "account_type": "Business", "id": "9001",
            "profile_picture_url": "https://x.example/p.jpg"}, match=[matchers.query_param_matcher({
                "fields": "user_id,username,name,account_type,profile_picture_url", "access_token": LONG})])

    def test_a_page_in_place_of_an_answer_confirms_no_revoke(self, mock: responses.RequestsMock) -> None:
        assert "no way to take the permission back" in self.error("revoke").message and not mock.calls

    def test_the_exchange_is_a_form(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        tokens = self.provider.exchange(self.app, CODE + "#_", None)
        assert tokens.scopes == set(ASKED[DIRECT].split(","))
        request = mock.calls[0].request
        assert "?" not in str(request.url) and "Authorization" not in request.headers
        assert sent(request) == {"client_id": self.app.client_id, "client_secret": SECRET, "code": CODE,
                                 "grant_type": "authorization_code", "redirect_uri": self.app.redirect_uri}

    def test_the_second_shape_of_the_exchange(self) -> None:
        tokens = self.provider.read_tokens(
            {"access_token": SHORT, "user_id": 17841405793187218, "permissions": ["instagram_business_basic"]},
            self.app, "token")
        assert tokens.scopes == {"instagram_business_basic"}

    def test_a_refusal_with_status_200(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 200, flat_error("Invalid platform app"))
        assert type(self.error("token")) is ConfigurationWrong

    def test_the_account_is_that_of_me(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, None)
        assert consent.person_id == consent.profiles[0].platform_user_id == IG
        assert consent.profiles[0].own_token is None and consent.tokens.access_token == LONG
        assert consent.scopes == set(ASKED[DIRECT].split(",")) and consent.tokens.expires_in == 5183944

    def test_a_personal_account_cannot_be_chosen(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.GET, f"{self.graph}/me", json={"data": [
            {"user_id": IG, "username": "me", "account_type": "PERSONAL"}]})
        assert "personal account" in self.provider.profile(self.app, ACCESS, IG).problem

    def test_another_account_is_no_answer(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.GET, f"{self.graph}/me", json={"user_id": "17841400000000009", "username": "other"})
        assert type(self.error("read")) is TryLater

    def test_renewing_needs_no_secret_and_no_version(self, mock: responses.RequestsMock) -> None:
        self.answers_renewal(mock, access_token=NEW_ACCESS, token_type="bearer", expires_in=5183944)
        assert self.run("renew").expires_in == 5183944
        assert sent(mock.calls[0].request) == {"grant_type": "ig_refresh_token", "access_token": ACCESS}

    def test_signing_in_anew_only_on_request(self) -> None:
        assert "force_reauth" not in self.provider.authorization_url(self.app, STATE, None)
        assert "force_reauth=true" in self.provider.authorization_url(self.app, STATE, None, again=True)
        asked: Any = self.provider.authorization_url
        assert "force_reauth=true" in asked(self.app, STATE, None, again="another")

    def test_deleting_is_not_offered(self, mock: responses.RequestsMock) -> None:
        with pytest.raises(ContentRejected, match="Delete it in the app") as caught:
            self.provider.delete(self.app, ACCESS, MEDIA, self.draft)
        assert caught.value.who == "tenant"


# ---------------------------------------------------------------- containers


APP = TestThroughAPage.facts
GRAPH = GRAPHS[PAGE]


@pytest.fixture(autouse=True)
def still():
    outside.use_clock(lambda: NOW)
    yield
    outside.use_clock(None)


@pytest.fixture
def mock():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as made:
        yield made


def kept(**facts: Any) -> Progress:
    return Progress({"container": {"id": CONTAINER, "at": NOW.isoformat(), "ready": False, "sent": True}, **facts})


def status(mock: responses.RequestsMock, word: str, told: str = "") -> None:
    mock.add(responses.GET, f"{GRAPH}/{CONTAINER}", json={"status_code": word, "status": told, "id": CONTAINER})


def quota(mock: responses.RequestsMock, used: int = 3) -> None:
    mock.add(responses.GET, f"{GRAPH}/{IG}/content_publishing_limit", json={"data": [
        {"quota_usage": used, "config": {"quota_total": 50, "quota_duration": 86400}}]})


def of(format: str, *files: File, text: str = "Hi", **options: str) -> Draft:
    return Draft(text, IG, "bakery", format=format, files=files, options=options)


def made(mock: responses.RequestsMock, draft: Draft, mode: str = PAGE) -> dict[str, str]:
    app = APP if mode == PAGE else TestDirectly.facts
    mock.add(responses.POST, f"{GRAPHS[mode]}/{IG}/media", json={"id": CONTAINER})
    provider.prepare(app, ACCESS, draft, Progress())
    request = mock.calls[0].request
    assert "?" not in str(request.url)
    form = sent(request)
    assert form.pop("access_token") == ACCESS and bool(form.pop("appsecret_proof", "")) is (mode == PAGE)
    return form


@pytest.mark.parametrize("mode", [PAGE, DIRECT])
def test_the_form_of_each_container(mock: responses.RequestsMock, mode: str) -> None:
    address = "https://c.example/media/a"
    cases = (
        (of("image", picture(alt_text="Bread"), location_id="12345", collaborators="@a b", is_ai_generated="yes"),
         {"image_url": f"{address}.jpg", "caption": "Hi", "alt_text": "Bread", "location_id": "12345",
          "collaborators": '["a","b"]', "is_ai_generated": "true"}),
        (of("image", picture(), text=""), {"image_url": f"{address}.jpg"}),
        (of("reel", video(alt_text="No"), share_to_feed="yes", cover="1,5"),
         {"media_type": "REELS", "video_url": f"{address}.mp4", "caption": "Hi", "share_to_feed": "true",
          "thumb_offset": "1500"}),
        (of("story", picture(), text=""), {"media_type": "STORIES", "image_url": f"{address}.jpg"}),
        (of("story", video(), text=""), {"media_type": "STORIES", "video_url": f"{address}.mp4"}),
    )
    for draft, form in cases:
        assert made(mock, draft, mode) == form
        mock.reset()


def test_a_carousel_step_by_step(mock: responses.RequestsMock) -> None:
    draft, progress = of("carousel", picture(alt_text="One"), video(), share_to_feed="no"), Progress()
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json={"id": "17889000000000001"})
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json={"id": "17889000000000002"})
    provider.prepare(APP, ACCESS, draft, progress)
    first, second = (sent(call.request) for call in mock.calls)
    assert {name: first[name] for name in first if name not in ("access_token", "appsecret_proof")} == {
        "image_url": "https://c.example/media/a.jpg", "is_carousel_item": "true", "alt_text": "One"}
    assert second["media_type"] == "VIDEO" and second["is_carousel_item"] == "true" and "alt_text" not in second
    mock.add(responses.GET, f"{GRAPH}/17889000000000001", json={"status_code": "FINISHED"})
    mock.add(responses.GET, f"{GRAPH}/17889000000000002", json={"status_code": "IN_PROGRESS"})
    assert isinstance(provider.check(APP, ACCESS, draft, progress), Wait)
    provider.prepare(APP, ACCESS, draft, progress)
    assert progress.get("container") is None
    mock.replace(responses.GET, f"{GRAPH}/17889000000000002", json={"status_code": "FINISHED"})
    assert isinstance(provider.check(APP, ACCESS, draft, progress), Wait)
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json={"id": CONTAINER})
    provider.prepare(APP, ACCESS, draft, progress)
    form = sent(mock.calls[-1].request)
    assert form["children"] == "17889000000000001,17889000000000002" and form["media_type"] == "CAROUSEL"
    assert form["caption"] == "Hi" and form["share_to_feed"] == "false"


def test_a_carousel_goes_on_where_it_broke_off(mock: responses.RequestsMock) -> None:
    draft, progress = of("carousel", picture(), picture()), Progress()
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json={"id": "17889000000000001"})
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", status=500)
    with pytest.raises(TryLater):
        provider.prepare(APP, ACCESS, draft, progress)
    mock.reset()
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json={"id": "17889000000000002"})
    provider.prepare(APP, ACCESS, draft, Progress(json.loads(json.dumps(progress.state))))
    assert len(mock.calls) == 1


def test_waiting_takes_longer_each_time(mock: responses.RequestsMock) -> None:
    status(mock, "IN_PROGRESS")
    pauses = []
    for at in (NOW, NOW + timedelta(seconds=6), NOW + timedelta(seconds=60)):
        outside.use_clock(partial(datetime.fromtimestamp, at.timestamp(), UTC))
        wait = provider.check(APP, ACCESS, of("image", picture()), kept())
        pauses.append(wait.again_in.total_seconds() if wait else None)
    assert pauses == [5, 10, 30]
    assert sent(mock.calls[0].request)["fields"] == "status_code,status"


@pytest.mark.parametrize(("file", "format", "minutes"), [(picture(), "image", 6), (video(), "reel", 16)])
def test_what_never_gets_ready_is_made_anew_three_times_at_most(mock: responses.RequestsMock, file: File, format: str,
                                                                minutes: int) -> None:
    status(mock, "IN_PROGRESS")
    outside.use_clock(lambda: NOW + timedelta(minutes=minutes))
    tries = None
    for error in (TryLater, TryLater, ContentRejected):
        progress = kept(tries=tries) if tries else kept()
        with pytest.raises(error):
            provider.check(APP, ACCESS, of(format, file), progress)
        assert progress.get("container") is None
        tries = progress.get("tries")


@pytest.mark.parametrize(("told", "error", "sentence"), [
    ("Error: Media upload has failed with error code 2207026", ContentRejected, "The video format is not accepted."),
    ("Error: 2207053", TryLater, NOT_TAKEN),
    ("Error: 2207003", TryLater, "Instagram took too long to fetch the media."),
    ("Error: 2207052", TryLater, CANNOT_OPEN), ("Error: 2207050", NeedsReconnect, RESTRICTED),
    ("Error: 2207009", ContentRejected, PICTURE), ("Error: something else", TryLater, NOT_TAKEN),
    ("", TryLater, NOT_TAKEN)])
def test_a_broken_container_is_named_and_forgotten(mock: responses.RequestsMock, told: str,
                                                   error: type[PlatformError], sentence: str) -> None:
    status(mock, "ERROR", told)
    progress = kept()
    with pytest.raises(error) as caught:
        provider.check(APP, ACCESS, of("reel", video()), progress)
    assert caught.value.message.startswith(sentence) and progress.get("container") is None


def test_an_expired_container_is_made_anew(mock: responses.RequestsMock) -> None:
    status(mock, "EXPIRED")
    progress = kept()
    with pytest.raises(TryLater, match="grew too old"):
        provider.check(APP, ACCESS, of("image", picture()), progress)
    assert progress.get("container") is None


def test_an_old_container_is_replaced_without_trying_it(mock: responses.RequestsMock) -> None:
    status(mock, "FINISHED")
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json={"id": "17889000000000009"})
    outside.use_clock(lambda: NOW + timedelta(hours=23, minutes=30))
    progress = kept()
    provider.prepare(APP, ACCESS, of("image", picture()), progress)
    assert progress.get("container")["id"] == "17889000000000009"


def test_a_container_that_is_live_is_never_published_again(mock: responses.RequestsMock) -> None:
    status(mock, "PUBLISHED")
    progress, draft = kept(), of("image", picture())
    assert provider.check(APP, ACCESS, draft, progress) is None
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={"data": [
        {"id": "1", "caption": "Other", "timestamp": "2026-11-21T09:00:00+0000"},
        {"id": MEDIA, "caption": "Hi", "timestamp": "2026-11-21T09:00:00+0000", "permalink": PERMALINK}]})
    assert provider.publish(APP, ACCESS, draft, progress) == Published(MEDIA, PERMALINK)
    assert all(call.request.method == "GET" for call in mock.calls)
    asked = sent(mock.calls[-1].request)
    assert (asked["fields"], asked["limit"]) == ("id,permalink,timestamp,caption", "5")


def test_the_quota_is_asked_last(mock: responses.RequestsMock) -> None:
    status(mock, "FINISHED")
    quota(mock)
    assert provider.check(APP, ACCESS, of("image", picture()), kept()) is None
    assert sent(mock.calls[-1].request)["fields"] == "quota_usage,config"


def test_a_nearly_used_up_number_of_calls_waits(mock: responses.RequestsMock) -> None:
    status(mock, "FINISHED")
    used = {IG: [{"type": "instagram", "call_count": 97, "total_time": 1, "estimated_time_to_regain_access": 20}]}
    mock.add(responses.GET, f"{GRAPH}/{IG}/content_publishing_limit", json={"data": []},
             headers={"X-Business-Use-Case-Usage": json.dumps(used)})
    with pytest.raises(RateLimited) as caught:
        provider.check(APP, ACCESS, of("image", picture()), kept())
    assert caught.value.until == NOW + timedelta(minutes=20)


@pytest.mark.parametrize(("listed", "hours"), [
    (["2026-11-21T08:00:00+0000", "2026-11-20T12:00:00+0000", "2026-11-19T12:00:00+0000"], 3), ([], 1)])
def test_a_used_up_quota_waits_for_the_oldest_post(mock: responses.RequestsMock, listed: list[str], hours: int) -> None:
    status(mock, "FINISHED")
    quota(mock, 50)
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={"data": [{"id": "1", "timestamp": one} for one in listed]})
    with pytest.raises(RateLimited, match="The daily number of posts is used up") as caught:
        provider.check(APP, ACCESS, of("image", picture()), kept())
    assert caught.value.until == NOW + timedelta(hours=hours)


def test_an_unreachable_address_is_the_admins_the_second_time(mock: responses.RequestsMock) -> None:
    mock.add(responses.POST, f"{GRAPH}/{IG}/media", json=graph_error(9004, 2207052), status=400)
    progress, draft = Progress(), of("image", picture())
    for error in (TryLater, ConfigurationWrong):
        with pytest.raises(error, match="cannot open our media address"):
            provider.prepare(APP, ACCESS, draft, progress)


def test_a_picture_without_public_address(mock: responses.RequestsMock) -> None:
    with pytest.raises(ConfigurationWrong, match="must be public"):
        provider.prepare(APP, ACCESS, of("image", picture(public_url="")), Progress())


def test_a_media_that_is_not_ready_keeps_its_container(mock: responses.RequestsMock) -> None:
    mock.add(responses.POST, f"{GRAPH}/{IG}/media_publish", json=graph_error(9007, 2207027), status=400)
    progress = kept()
    with pytest.raises(TryLater, match="still preparing"):
        provider.publish(APP, ACCESS, of("image", picture()), progress)
    assert progress.get("container")["id"] == CONTAINER


def test_a_container_that_is_not_found_is_tried_twice_more(mock: responses.RequestsMock) -> None:
    mock.add(responses.POST, f"{GRAPH}/{IG}/media_publish", json=graph_error(24, 2207008), status=400)
    progress = kept()
    for number in range(3):
        assert progress.get("container"), number
        with pytest.raises(TryLater, match="not ready yet"):
            provider.publish(APP, ACCESS, of("image", picture()), progress)
    assert progress.get("container") is None


@pytest.mark.parametrize(("account", "error"), [
    ({"json": {"username": "bakery"}}, TryLater), ({"json": graph_error(190), "status": 400}, NeedsReconnect),
    ({"json": graph_error(100, 33), "status": 400}, NeedsReconnect)])
def test_media_that_cannot_be_found_asks_for_the_token(mock: responses.RequestsMock, account: dict[str, Any],
                                                       error: type[PlatformError]) -> None:
    mock.add(responses.POST, f"{GRAPH}/{IG}/media_publish", json=graph_error(24, 2207006), status=400)
    mock.add(responses.GET, f"{GRAPH}/{IG}", **account)
    with pytest.raises(error):
        provider.publish(APP, ACCESS, of("image", picture()), kept())


def test_a_container_that_vanished_is_made_anew(mock: responses.RequestsMock) -> None:
    mock.add(responses.GET, f"{GRAPH}/{CONTAINER}", json=graph_error(100, 33), status=400)
    mock.add(responses.GET, f"{GRAPH}/{IG}", json={"username": "bakery"})
    progress = kept()
    with pytest.raises(TryLater, match="cannot find the prepared media"):
        provider.check(APP, ACCESS, of("image", picture()), progress)
    assert progress.get("container") is None


# ---------------------------------------------------------------- look


@pytest.mark.parametrize("word", ["FINISHED", "IN_PROGRESS", "ERROR", "EXPIRED"])
def test_the_container_says_that_it_is_not_out(mock: responses.RequestsMock, word: str) -> None:
    status(mock, word)
    assert provider.locate(APP, ACCESS, of("image", picture()), kept(), NOW) is Located.NOT_PUBLISHED


def test_a_live_post_that_is_not_listed_yet(mock: responses.RequestsMock) -> None:
    status(mock, "PUBLISHED")
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={"data": [
        {"id": "1", "caption": "Hi", "timestamp": "2026-11-20T09:00:00+0000"}]})
    draft = of("image", picture())
    assert provider.locate(APP, ACCESS, draft, kept(), NOW) is Located.NOT_FOUND
    outside.use_clock(lambda: NOW + timedelta(minutes=6))
    found = provider.locate(APP, ACCESS, draft, kept(), NOW)
    assert isinstance(found, Published) and found.id == "" and found.note


def test_without_a_container_the_list_is_no_proof(mock: responses.RequestsMock) -> None:
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={"data": []})
    assert provider.locate(APP, ACCESS, of("image", picture()), Progress(), NOW) is Located.NOT_FOUND


def test_a_comment(mock: responses.RequestsMock) -> None:
    draft = replace(of(COMMENT), files=(), text="First", reply_to=MEDIA, root_id=MEDIA, part=1)
    mock.add(responses.POST, f"{GRAPH}/{MEDIA}/comments", json={"id": "18001000000000001"})
    provider.prepare(APP, ACCESS, draft, Progress())
    assert provider.check(APP, ACCESS, draft, Progress()) is None and not mock.calls
    assert provider.publish(APP, ACCESS, draft, Progress()) == Published("18001000000000001")
    form = sent(mock.calls[0].request)
    assert form["message"] == "First" and set(form) == {"message", "access_token", "appsecret_proof"}
    with pytest.raises(ContentRejected):
        provider.publish(APP, ACCESS, replace(draft, reply_to=""), Progress())


def test_a_comment_under_something_that_is_gone_asks_for_the_token(mock: responses.RequestsMock) -> None:
    draft = replace(of(COMMENT), files=(), text="First", reply_to=MEDIA, root_id=MEDIA, part=1)
    mock.add(responses.POST, f"{GRAPH}/{MEDIA}/comments", json=graph_error(100, 33), status=400)
    mock.add(responses.GET, f"{GRAPH}/{IG}", json={"username": "bakery"})
    with pytest.raises(ContentRejected):
        provider.publish(APP, ACCESS, draft, Progress())
    mock.replace(responses.GET, f"{GRAPH}/{IG}", json=graph_error(100, 33), status=400)
    with pytest.raises(NeedsReconnect):
        provider.publish(APP, ACCESS, draft, Progress())


@pytest.mark.parametrize(("comment", "is_found"), [
    ({}, True), ({"username": "visitor"}, False), ({"username": None}, False),
    ({"text": "First https://a.example"}, False), ({"timestamp": "2026-11-21T08:00:00+0000"}, False)])
def test_a_lost_comment_is_our_own(mock: responses.RequestsMock, comment: dict[str, Any], is_found: bool) -> None:
    draft = replace(of(COMMENT), files=(), text="First https://b.example", reply_to=MEDIA, root_id=MEDIA, part=1)
    known = {"id": "18001", "text": draft.text, "username": "bakery", "timestamp": "2026-11-21T09:00:02+0000"}
    mock.add(responses.GET, f"{GRAPH}/{MEDIA}/comments", json={"data": [{**known, **comment}]})
    found = provider.locate(APP, ACCESS, draft, Progress(), NOW)
    assert found == (Published("18001") if is_found else Located.NOT_FOUND)


@pytest.mark.parametrize(("text", "caption"), [("", ""), ("Look https://a.example", "Look https://b.example")])
def test_another_post_is_not_it(mock: responses.RequestsMock, text: str, caption: str) -> None:
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={"data": [
        {"id": "1", "caption": caption, "timestamp": "2026-11-21T09:00:02+0000"}]})
    assert provider.locate(APP, ACCESS, of("image", picture(), text=text), Progress(), NOW) is Located.NOT_FOUND


def test_a_live_post_is_not_an_older_one_with_the_same_words(mock: responses.RequestsMock) -> None:
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={"data": [
        {"id": "1", "caption": "Hi", "timestamp": "2026-11-21T07:00:00+0000"}]})
    done = provider.publish(APP, ACCESS, of("image", picture()), kept(live=True))
    assert isinstance(done, Published) and done.id == "" and done.note


def test_a_quota_may_come_as_text(mock: responses.RequestsMock) -> None:
    status(mock, "FINISHED")
    mock.add(responses.GET, f"{GRAPH}/{IG}/content_publishing_limit", json={"data": [
        {"quota_usage": "50", "config": {"quota_total": "50", "quota_duration": 86400}}]})
    mock.add(responses.GET, f"{GRAPH}/{IG}/media", json={})
    with pytest.raises(RateLimited):
        provider.check(APP, ACCESS, of("image", picture()), kept())


# ---------------------------------------------------------------- facts


def test_instagram_calls_back_and_fetches_files() -> None:
    assert provider.calls_back == ("deauthorize", "deletion") and provider.serves_files



@pytest.mark.parametrize(("mode", "scopes", "named"), [
    (PAGE, ["instagram_basic", "business_management"], ""), (DIRECT, ["instagram_business_basic"], ""),
    (PAGE, ["instagram_basic", "instagram_business_basic"], "instagram_business_basic"),
    (DIRECT, ["instagram_business_basic", "instagram_basic", "pages_show_list"], "instagram_basic, pages_show_list")])
def test_families_of_scopes_are_never_mixed(mode: str, scopes: list[str], named: str) -> None:
    told = provider.scope_problem(mode, scopes)
    assert told.startswith(named) and bool(told) is bool(named) and ("never mixed" in told) is bool(named)


def test_every_scope_of_a_mode_fits_its_mode() -> None:
    for mode in (PAGE, DIRECT):
        features = tuple(one.slug for one in provider.features_of(mode))
        assert provider.scope_problem(mode, [one.name for one in provider.default_scopes(mode, features)]) == ""
    assert connectable("facebook").scope_problem("", ["anything"]) == ""


def test_what_differs_by_mode() -> None:
    assert provider.renewal_of(TokenSet(ACCESS, REFRESH)) is Renewal.EXCHANGE
    assert provider.revoke_kind_of(PAGE) is Revoke.PERSON and provider.revoke_kind_of(DIRECT) is Revoke.NOT_OFFERED
    assert provider.account_outlives_grant_of(PAGE) and not provider.account_outlives_grant_of(DIRECT)
    assert provider.authorize_of(PAGE)[0] == "facebook" and provider.authorize_of(DIRECT)[0] == "web"
    assert set(provider.delete_needs) == {PAGE} and set(provider.comment_needs) == {PAGE, DIRECT}


@pytest.mark.parametrize(("draft", "field"), [
    (of("image", picture(), text="x" * 2200), ""), (of("image", picture(), text="x" * 2201), "text"),
    (of("image", picture(), text="#a " * 31), "text"), (of("image", picture(), text="@a " * 21), "text"),
    (of("image", picture(), text="me@home.example " * 21), ""),
    (of("image", picture(), collaborators="a,b,c,d"), "collaborators"),
    (of("image", picture(), collaborators="a!"), "collaborators"),
    (of("image", picture(), location_id="Paris"), "location_id"),
    (of("image", picture(alt_text="x" * 1001)), "files"), (of("image", picture(width=500, height=1000)), "files"),
    (of("story", picture(width=1080, height=1920), text=""), ""), (of("reel", video(seconds=2.0)), "files"),
    (of("reel", video(), cover="11"), "cover"), (of("reel", video(), cover="soon"), "cover"),
    (of("reel", video(), cover="9.5"), ""), (of("story", video(seconds=61.0)), "files"),
    (of("carousel", *[picture()] * 11), "files"), (of("carousel", picture(), video()), ""),
    (of("image", text="Only text"), "files")])
def test_what_instagram_takes(draft: Draft, field: str) -> None:
    found = problems(provider, draft, PAGE, count=provider.count)
    assert [one.field for one in found][:1] == ([field] if field else [])
