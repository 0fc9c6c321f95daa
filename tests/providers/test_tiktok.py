"""TikTok: client_key, flat tokens with any status, refusals with status 200, chunks, and rules of its audit."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from socialconsole.errors import (
    AttemptFailed,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import App, Draft, Located, Renewal, Replay, Revoke, TokenSet
from socialconsole.providers.content import File, Progress, Published, Sent
from socialconsole.providers.rules import problems
from socialconsole.providers.tiktok import TikTok
from socialconsole.providers.tiktok_media import CHUNK, plan
from socialconsole.providers.tiktok_webhook import webhook

from .contract import (
    ACCESS,
    CALLBACK_BASES,
    CODE,
    NEW_ACCESS,
    NEW_REFRESH,
    NOW,
    REFRESH,
    STATE,
    VERIFIER,
    ProviderContract,
    Row,
    address,
    posted,
    refuse,
    sent,
)

OPEN = "https://open.tiktokapis.com/v2"
TOKEN, REVOKE, USER = f"{OPEN}/oauth/token/", f"{OPEN}/oauth/revoke/", f"{OPEN}/user/info/"
PUBLISH = f"{OPEN}/post/publish"
CREATOR, INIT, INBOX, CONTENT, STATUS = (f"{PUBLISH}/{name}/" for name in (
    "creator_info/query", "video/init", "inbox/video/init", "content/init", "status/fetch"))
LIST, UPLOAD = f"{OPEN}/video/list/", "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=x"
SCOPES = "user.info.basic,user.info.profile,video.publish"
GRANT = {"access_token": ACCESS, "expires_in": 7200, "open_id": "o-1", "refresh_expires_in": 15552000,
         "refresh_token": REFRESH, "scope": SCOPES, "token_type": "Bearer"}
ANNA = {"open_id": "o-1", "union_id": "u-1", "avatar_url": "https://p16.example/a", "display_name": "Anna",
        "username": "anna", "profile_deep_link": "https://vm.tiktok.com/x", "is_verified": False}
CAN = {"creator_avatar_url": "https://p16.example/a", "creator_username": "anna", "creator_nickname": "Anna",
       "privacy_level_options": ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"], "comment_disabled": False,
       "duet_disabled": False, "stitch_disabled": True, "max_video_post_duration_sec": 300}
CHOICES = {"privacy_level": "SELF_ONLY", "consent": "yes"}
ID = "v_pub_file~v2-1.1"
LATER = timedelta(hours=1)


def said(data: Any = None, code: str = "ok", message: str = "") -> dict[str, Any]:
    return {"data": data or {}, "error": {"code": code, "message": message, "log_id": "20261121090000ABCDEF012345"}}


def no(code: str, message: str = "x") -> dict[str, Any]:
    return said(code=code, message=message)


def oauth(error: str, text: str = "x") -> dict[str, str]:
    return {"error": error, "error_description": text, "log_id": "L1"}


def photo(number: int = 1) -> File:
    return File(f"f{number}", "image", "image/jpeg", 1000, Path("x.jpg"), "x.jpg", width=100, height=100,
                public_url=f"https://media.example/{number}.jpg")


def video(tmp_path: Path, size: int = 1000, type: str = "video/mp4") -> File:
    path = tmp_path / f"{size}.mp4"
    with path.open("wb") as stream:
        stream.truncate(size)
    return File("v1", "video", type, size, path, "v.mp4", width=720, height=1280, seconds=10.0, frame_rate=30.0)


class TestTikTok(ProviderContract):
    provider = TikTok()
    facts = App("aw1234567890abcdef", "sEcReT7pQ2xK9mN4vB8cZ1lJ5hG3fD6a", scopes=SCOPES,
                hosts=provider.base_addresses())
    draft = Draft("Three loaves", "o-1", "anna", format="photos", files=(photo(1), photo(2)), options=CHOICES)
    authorize_base = "https://www.tiktok.com/v2/auth/authorize/"
    declined = ({"error": "access_denied"}, {"error": "access_denied", "error_type": "denied"})
    unclear_publish = ({"status": 200, "json": {}}, {"status": 200, "json": said({})}, {"status": 200, "body": ""},
                       {"status": 200, "json": {"data": {"publish_id": "p"}}})
    lost_renewal = OutcomeUnknown
    refused = (
        Row("token", 400, oauth("invalid_grant", "Authorization code is expired."), AttemptFailed,
            "The code from TikTok was too old or used twice. Connect again."),
        Row("token", 400, oauth("invalid_request", "Redirect_uri is not matched with the uri when requesting code."),
            ConfigurationWrong, "The callback changed between the two steps."),
        Row("token", 400, oauth("invalid_scope"), ConfigurationWrong,
            "A ticked scope is not enabled in the TikTok app."),
        *(Row(step, status, oauth(code), ConfigurationWrong,
              "Client key or secret is wrong, or sandbox and production are mixed.", {"who": "admin"})
          for step in ("token", "renew", "revoke") for status in (200, 400, 401)
          for code in ("invalid_client", "unauthorized_client")),
        Row("token", 200, {"data": {"error_code": 10007, "description": "odd"}, "message": "error"}, ConfigurationWrong,
            "TikTok answered with something we do not know: 10007."),
        Row("renew", 200, oauth("invalid_grant"), NeedsReconnect, "TikTok ended this connection. Connect again.",
            {"reason": "revoked"}),
        Row("renew", 401, oauth("invalid_grant"), NeedsReconnect, "TikTok ended this connection. Connect again."),
        *(Row(step, 401, no("access_token_invalid"), NeedsReconnect,
              "TikTok no longer accepts this connection. Connect again.", {"reason": "revoked"})
          for step in ("read", "publish", "prepare")),
        Row("read", 401, no("scope_not_authorized"), PermissionMissing,
            "This needs user.info.basic, which was not ticked. Reconnect grants it.", {"scopes": ("user.info.basic",)}),
        Row("publish", 401, no("scope_not_authorized"), PermissionMissing,
            "This needs video.publish, which was not ticked.", {"scopes": ("video.publish",)}),
        Row("publish", 403, no("scope_permission_missed"), ConfigurationWrong,
            "The TikTok app itself lacks video.publish.", {"who": "admin"}),
        Row("read", 401, no("scope_permission_missed"), ConfigurationWrong,
            "The TikTok app itself lacks user.info.basic."),
        Row("publish", 403, no("unaudited_client_can_only_post_to_private_accounts"), PermissionMissing,
            "Until TikTok has audited the app, your account must be private, or send to the inbox instead.",
            {"scopes": (), "who": "tenant"}),
        *(Row("publish", status, no("reached_active_user_cap", "cap"), RateLimited,
              "The app's daily number of posting accounts is used up. Reconnecting does not help.",
              {"until": NOW + LATER, "who": "admin", "whole_app": False}) for status in (200, 403)),
        *(Row(step, status, no("spam_risk_too_many_posts"), RateLimited,
              "TikTok's daily number of posts for this account is used up.",
              {"until": NOW + 6 * LATER, "who": "console"}) for step in ("publish",) for status in (200, 403)),
        Row("publish", 403, no("spam_risk_too_many_pending_share"), ContentRejected,
            "Five drafts wait in the TikTok inbox. Finish or delete some, then send again.",
            {"field": "inbox", "who": "tenant"}),
        Row("publish", 403, no("spam_risk_user_banned_from_posting"), NeedsReconnect,
            "TikTok does not let this account post.", {"reason": "suspended"}),
        Row("publish", 403, no("url_ownership_unverified"), ConfigurationWrong,
            "Our media address is not verified at TikTok under URL properties.", {"who": "admin"}),
        *(Row(step, 403, no("privacy_level_option_mismatch"), ContentRejected,
              "The chosen audience is no longer offered. Choose again.", {"field": "privacy_level", "who": "author"})
          for step in ("prepare", "publish")),
        Row("prepare", 400, no("app_version_check_failed"), ContentRejected,
            "Update the TikTok app on the phone, then send again.", {"field": "inbox", "who": "tenant"}),
        Row("publish", 400, no("invalid_params", "title is too long"), ContentRejected,
            "TikTok refused the post: title is too long", {"who": "author"}),
        Row("publish", 400, no("invalid_param", "bad"), ContentRejected, "TikTok refused the post: bad"),
        Row("prepare", 400, no("invalid_file_upload", "bad"), ContentRejected, "TikTok refused the file: bad",
            {"field": "files"}),
        *(Row(step, 429, no("rate_limit_exceeded"), RateLimited, "TikTok asked us to wait a minute.",
              {"until": NOW + timedelta(minutes=1)}) for step in ("read", "prepare", "publish")),
        Row("publish", 500, no("internal_error"), OutcomeUnknown, "TikTok did not confirm the post."),
        Row("publish", 200, no("internal_error"), OutcomeUnknown, "TikTok did not confirm the post."),
        # The token works once, and a fault of theirs does not tell whether it was spent.
        Row("renew", 500, no("internal_error"), OutcomeUnknown, "TikTok did not answer"),
        Row("renew", 200, no("internal_error"), OutcomeUnknown, "TikTok did not answer"),
        Row("read", 500, no("internal_error"), TryLater, "TikTok"),
        Row("read", 200, no("internal_error"), TryLater, "TikTok had a fault of its own."),
        Row("publish", 403, no("brand_new"), ContentRejected,
            "TikTok answered with something we do not know: brand_new"),
        Row("read", 401, no("brand_new"), TryLater, "TikTok answered with something we do not know: brand_new."),
    )

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, TOKEN, json=GRANT)

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add(responses.GET, USER, json=said({"user": ANNA}))

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, CONTENT, json=said({"publish_id": "p_pub_url~v2.1"}))

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add(responses.POST, TOKEN, json={"open_id": "o-1", "scope": SCOPES, "token_type": "Bearer", **token})

    # ------------------------------------------------------------ what differs from the contract

    def test_the_consent_address_is_exact(self) -> None:
        base, _, query = self.provider.authorization_url(self.app, STATE, VERIFIER).partition("?")
        assert base == self.authorize_base and "+" not in query
        assert dict(parse_qsl(query, strict_parsing=True)) == {
            "client_key": self.app.client_id, "response_type": "code", "scope": SCOPES, "state": STATE,
            "redirect_uri": self.app.redirect_uri, "disable_auto_auth": "1"}

    def test_a_post_goes_out_once(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        done = self.run("publish")
        assert isinstance(done, Sent) and done.id == "p_pub_url~v2.1" and len(mock.calls) == 1

    def test_permalinks_follow_the_hosts(self, mock: responses.RequestsMock) -> None:
        app = replace(self.app, hosts=self.provider.base_addresses("http://localhost:18999"))
        mock.add(responses.POST, STATUS.replace("https://", "http://localhost:18999/"), json=said(
            {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [7300000000000000001]}))
        done = self.provider.follow(app, ACCESS, self.draft, Progress(), Sent("p"))
        assert isinstance(done, Published)
        assert done.permalink == "http://localhost:18999/www.tiktok.com/@anna/photo/7300000000000000001"

    # ------------------------------------------------------------ connect

    def test_pkce_is_hexadecimal_and_only_where_the_app_says_so(self, mock: responses.RequestsMock) -> None:
        app = replace(self.app, options={"pkce": " S256_hex "})
        assert self.provider.wants_pkce(app) and not self.provider.wants_pkce(self.app) and not self.provider.pkce
        query = dict(parse_qsl(urlsplit(self.provider.authorization_url(app, STATE, VERIFIER)).query))
        assert query["code_challenge"] == hashlib.sha256(VERIFIER.encode()).hexdigest()
        assert query["code_challenge_method"] == "S256"
        self.answers_exchange(mock)
        self.provider.exchange(app, CODE, VERIFIER)
        self.provider.exchange(self.app, CODE, VERIFIER)
        assert sent(mock.calls[0].request)["code_verifier"] == VERIFIER
        assert "code_verifier" not in sent(mock.calls[1].request)

    def test_the_three_token_calls_are_exact(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, TOKEN, json={**GRANT, "access_token": NEW_ACCESS, "refresh_token": NEW_REFRESH})
        mock.add(responses.POST, REVOKE, body="")
        key = {"client_key": self.app.client_id, "client_secret": self.app.client_secret}
        tokens = self.run("token")
        assert tokens == TokenSet(NEW_ACCESS, NEW_REFRESH, 7200, 15552000, frozenset(SCOPES.split(",")))
        assert self.run("renew").refresh_token == NEW_REFRESH
        self.run("revoke")
        assert [sent(call.request) for call in mock.calls] == [
            {**key, "grant_type": "authorization_code", "code": CODE, "redirect_uri": self.app.redirect_uri},
            {**key, "grant_type": "refresh_token", "refresh_token": REFRESH}, {**key, "token": ACCESS}]
        for call in mock.calls:
            assert call.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
            assert "Authorization" not in call.request.headers and "?" not in address(call)

    @pytest.mark.parametrize("scopes", ["user.info.basic", "user.info.basic,user.info.stats,video.upload"])
    def test_only_fields_of_granted_scopes_are_asked_for(self, mock: responses.RequestsMock, scopes: str) -> None:
        mock.add(responses.POST, TOKEN, json={**GRANT, "scope": scopes})
        mock.add(responses.GET, USER, json=said({"user": {"open_id": "o-1", "display_name": "Anna"}}))
        consent = self.run("profiles")
        assert consent.scopes == set(scopes.split(",")) and consent.person_id == "o-1"
        fields = sent(mock.calls[1].request)["fields"].split(",")
        assert ("follower_count" in fields) == ("stats" in scopes) and "username" not in fields
        assert mock.calls[1].request.headers["Authorization"] == f"Bearer {ACCESS}"

    def test_without_the_basic_scope_nobody_is_connected(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, TOKEN, json={**GRANT, "scope": "video.publish"})
        assert isinstance(self.error("profiles"), PermissionMissing)

    def test_a_refusal_in_the_callback_may_be_the_set_up(self) -> None:
        with pytest.raises(ConfigurationWrong) as caught:
            self.provider.read_refusal({"error": "access_denied", "error_type": "non_sandbox_target", "state": "s1"})
        assert caught.value.who == "admin" and caught.value.message.startswith(
            "This TikTok account is not a Target user of the sandbox, or another account is signed in.")

    @pytest.mark.parametrize("base", CALLBACK_BASES[:1])
    def test_an_empty_object_confirms_a_revoke_too(self, mock: responses.RequestsMock, base: str) -> None:
        mock.add(responses.POST, REVOKE, json={})
        self.run("revoke")

    def test_a_revoke_renews_what_ran_out_and_takes_gone_for_gone(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, REVOKE, status=401, json=no("access_token_invalid"))
        mock.add(responses.POST, TOKEN, json={**GRANT, "access_token": NEW_ACCESS, "refresh_token": NEW_REFRESH})
        mock.add(responses.POST, REVOKE, body="")
        self.run("revoke")
        assert [sent(call.request).get("token") for call in mock.calls] == [ACCESS, None, NEW_ACCESS]
        mock.reset()
        mock.add(responses.POST, REVOKE, status=400, json=oauth("invalid_request"))
        mock.add(responses.POST, TOKEN, status=400, json=oauth("invalid_grant"))
        self.run("revoke")

    def test_how_it_is_kept_alive(self) -> None:
        one = self.provider
        assert (one.renewal, one.replay, one.revoke_kind) == (Renewal.ROTATES, Replay.STRICT, Revoke.PERSON)
        earliest, latest = one.renew_between
        for life in (7200, 86400):
            assert life * (1 - earliest) <= max(600, life * 0.2) + 1 and life * (1 - latest) > 600

    # ------------------------------------------------------------ publish

    def test_the_exchange_of_a_video_is_exact(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        draft = Draft("Hi", "o-1", "anna", format="video", files=(video(tmp_path, 74_000_000),), options=CHOICES)
        mock.add(responses.POST, CREATOR, json=said(CAN))
        mock.add(responses.POST, INIT, json=said({"publish_id": ID, "upload_url": UPLOAD}))
        for _ in range(6):
            mock.add(responses.PUT, UPLOAD, status=206)
        mock.add(responses.PUT, UPLOAD, status=201)
        progress = Progress()
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert len(mock.calls) == 8
        assert posted(mock.calls[1]) == {
            "post_info": {"title": "Hi", "privacy_level": "SELF_ONLY", "disable_comment": True, "disable_duet": True,
                          "disable_stitch": True, "brand_content_toggle": False, "brand_organic_toggle": False},
            "source_info": {"source": "FILE_UPLOAD", "video_size": 74_000_000, "chunk_size": CHUNK,
                            "total_chunk_count": 7}}
        assert mock.calls[0].request.body is None
        sent_off = self.provider.publish(self.app, ACCESS, draft, progress)
        assert sent_off.id == ID and len(mock.calls) == 9
        last = mock.calls[8].request
        assert last.headers["Content-Range"] == f"bytes {6 * CHUNK}-73999999/74000000"
        assert last.headers["Content-Type"] == "video/mp4" and "Authorization" not in last.headers

    def test_the_photos_call_is_exact(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        self.run("publish")
        info = {"description": "Three loaves", "privacy_level": "SELF_ONLY", "disable_comment": True,
                "brand_content_toggle": False, "brand_organic_toggle": False, "auto_add_music": False}
        source = {"source": "PULL_FROM_URL", "photo_images": ["https://media.example/1.jpg",
                                                              "https://media.example/2.jpg"], "photo_cover_index": 0}
        assert posted(mock.calls[0]) == {"media_type": "PHOTO", "post_mode": "DIRECT_POST", "post_info": info,
                                         "source_info": source}
        inbox = replace(self.draft, format="inbox_photos", options={"title": "T", "cover": "2"})
        self.provider.publish(self.app, ACCESS, inbox, Progress())
        assert posted(mock.calls[1]) == {
            "media_type": "PHOTO", "post_mode": "MEDIA_UPLOAD",
            "post_info": {"title": "T", "description": "Three loaves"},
            "source_info": {**source, "photo_cover_index": 1}}

    def test_a_draft_video_carries_its_file_alone(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        draft = Draft("", "o-1", format="inbox_video", files=(video(tmp_path),))
        mock.add(responses.POST, INBOX, json=said({"publish_id": "v_inbox_file~v2.1", "upload_url": UPLOAD}))
        self.provider.prepare(self.app, ACCESS, draft, Progress())
        assert posted(mock.calls[0]) == {"source_info": {"source": "FILE_UPLOAD", "video_size": 1000,
                                                         "chunk_size": 1000, "total_chunk_count": 1}}

    @pytest.mark.parametrize("code", ["reached_active_user_cap", "spam_risk_too_many_posts"])
    def test_a_block_at_the_creator_comes_with_status_200(self, mock: responses.RequestsMock, code: str) -> None:
        mock.add(responses.POST, CREATOR, json=no(code))
        with pytest.raises(RateLimited):
            self.provider.prepare(self.app, ACCESS, self.draft, Progress())
        assert self.provider.creator(self.app, ACCESS, "o-1").off["consent"]

    def test_an_upload_address_elsewhere_gets_no_bytes(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        mock.add(responses.POST, INBOX, json=said({"publish_id": ID, "upload_url": "https://evil.example/video/"}))
        draft, progress = Draft("", "o-1", format="inbox_video", files=(video(tmp_path),)), Progress()
        self.provider.prepare(self.app, ACCESS, draft, progress)
        with pytest.raises(TryLater):
            self.provider.publish(self.app, ACCESS, draft, progress)
        assert len(mock.calls) == 1

    def kept(self, size: int = 1000, **more: Any) -> Progress:
        return Progress({"publish": ID, "url": UPLOAD, "at": NOW.isoformat(), "of": "m", "stored": 0, **more})

    @pytest.mark.parametrize(("answer", "error"), [
        ({"status": 404}, OutcomeUnknown), ({"status": 403}, OutcomeUnknown), ({"status": 206}, OutcomeUnknown),
        ({"status": 416}, OutcomeUnknown), ({"status": 500}, OutcomeUnknown), ({"status": 400}, OutcomeUnknown),
        ({"status": 416, "headers": {"Content-Range": "bytes 0-499/1000"}}, TryLater),
        ({"status": 416, "headers": {"Content-Range": "bytes 0-999/1000"}}, None),
        ({"status": 400, "json": no("invalid_params")}, ContentRejected), ({"status": 201}, None)])
    def test_what_the_answer_to_the_last_chunk_means(self, mock: responses.RequestsMock, tmp_path: Path,
                                                     answer: dict[str, Any], error: type[Exception] | None) -> None:
        mock.add(responses.PUT, UPLOAD, **answer)
        draft, progress = Draft("", "o-1", format="inbox_video", files=(video(tmp_path),)), self.kept()
        if error is None:
            assert self.provider.publish(self.app, ACCESS, draft, progress).id == ID
            return
        with pytest.raises(error) as caught:
            self.provider.publish(self.app, ACCESS, draft, progress)
        assert type(caught.value) is error
        assert bool(progress.get("gone")) == (answer["status"] in (403, 404))
        assert error is not TryLater or progress.get("stored") == 500

    def test_a_task_that_tiktok_lost_is_asked_after_before_another_one(self, mock: responses.RequestsMock,
                                                                       tmp_path: Path) -> None:
        draft = Draft("", "o-1", format="inbox_video", files=(video(tmp_path, 74_000_000),))
        mock.add(responses.POST, INBOX, json=said({"publish_id": ID, "upload_url": UPLOAD}))
        mock.add(responses.PUT, UPLOAD, status=404)
        progress = Progress()
        with pytest.raises(TryLater):
            self.provider.prepare(self.app, ACCESS, draft, progress)
        mock.replace(responses.PUT, UPLOAD, status=206)
        mock.add(responses.POST, STATUS, status=400, json=no("invalid_publish_id"))
        self.provider.prepare(self.app, ACCESS, draft, progress)
        assert [address(call) for call in mock.calls][2:4] == [STATUS, INBOX]

    @pytest.mark.parametrize(("data", "found"), [
        ({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 1000}, Sent),
        ({"status": "PROCESSING_UPLOAD"}, Sent), ({"status": "SEND_TO_USER_INBOX"}, Sent),
        ({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 400}, Located.NOT_PUBLISHED),
        ({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": ["73"]}, Published)])
    def test_what_became_of_a_video_whose_answer_was_lost(self, mock: responses.RequestsMock, tmp_path: Path,
                                                          data: dict[str, Any], found: Any) -> None:
        mock.add(responses.POST, STATUS, json=said(data))
        draft = Draft("", "o-1", "anna", format="inbox_video", files=(video(tmp_path),))
        result = self.provider.locate(self.app, ACCESS, draft, self.kept(), NOW)
        assert result is found if isinstance(found, Located) else isinstance(result, found)
        assert posted(mock.calls[0]) == {"publish_id": ID} and len(mock.calls) == 1

    def test_an_id_that_tiktok_does_not_know_tells_nothing(self, mock: responses.RequestsMock, tmp_path: Path) -> None:
        mock.add(responses.POST, STATUS, status=400, json=no("invalid_publish_id"))
        draft = Draft("", "o-1", format="inbox_video", files=(video(tmp_path),))
        for ask in (lambda: self.provider.locate(self.app, ACCESS, draft, self.kept(), NOW),
                    lambda: self.provider.follow(self.app, ACCESS, draft, self.kept(), Sent(ID))):
            with pytest.raises(OutcomeUnknown) as caught:
                ask()
            assert caught.value.message == "TikTok did not tell whether the post was taken."

    def test_lost_photos_without_the_list(self, mock: responses.RequestsMock) -> None:
        public = replace(self.draft, options={**CHOICES, "privacy_level": "PUBLIC_TO_EVERYONE"})
        assert self.provider.locate(self.app, ACCESS, public, Progress(), NOW) is Located.CANNOT_LOOK
        app = replace(self.app, scopes=f"{SCOPES},video.list")
        mock.add(responses.POST, LIST, status=401, json=no("scope_not_authorized"))
        assert self.provider.locate(app, ACCESS, public, Progress(), NOW) is Located.CANNOT_LOOK
        mock.replace(responses.POST, LIST, json=said({"videos": [
            {"id": "1", "create_time": NOW.timestamp() - 900, "video_description": "Three loaves"},
            {"id": "2", "create_time": int(NOW.timestamp()), "video_description": "Three loaves", "share_url": "s"}]}))
        assert self.provider.locate(app, ACCESS, public, Progress(), NOW) == Published("2", "s")
        assert address(mock.calls[1]).startswith(f"{LIST}?fields=id%2C") and posted(mock.calls[1]) == {"max_count": 20}

    def test_access_that_was_taken_back_asks_for_a_reconnect_and_forgets_nothing(
            self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, STATUS, json=said({"status": "FAILED", "fail_reason": "auth_removed"}))
        kept = self.kept()
        before = dict(kept.state)
        with pytest.raises(NeedsReconnect, match="access was taken back") as caught:
            self.provider.follow(self.app, ACCESS, self.draft, kept, Sent(ID))
        assert (caught.value.reason, caught.value.code) == ("revoked", "auth_removed") and kept.state == before

    def test_every_answer_that_is_no_yes(self, mock: responses.RequestsMock) -> None:
        for body in ("", "{}", "[]", json.dumps({"data": {}, "error": None}), "<html>"):
            mock.reset()
            mock.add(responses.POST, STATUS, body=body)
            with pytest.raises(TryLater):
                self.provider.follow(self.app, ACCESS, self.draft, Progress(), Sent("p"))
        refuse(mock, 503, "<html>")


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize(("size", "chunk", "count"), [
    (1, 1, 1), (4_999_999, 4_999_999, 1), (64_000_000, 64_000_000, 1), (64_000_001, CHUNK, 6),
    (CHUNK * 7, CHUNK, 7), (CHUNK * 8 - 1, CHUNK, 7), (4 * 1024**3, CHUNK, 409)])
def test_the_arithmetic_of_chunks(size: int, chunk: int, count: int) -> None:
    assert plan(size) == (chunk, count)
    last = size - chunk * (count - 1)
    assert count <= 1000 and last <= 128_000_000 and (count == 1 or 5_000_000 <= chunk <= 64_000_000)


def wrong(tmp_path: Path, format: str = "video", text: str = "", files: Any = None, **options: str) -> dict[str, str]:
    provider = TikTok()
    files = files or ((video(tmp_path),) if "video" in format else (photo(1), photo(2)))
    draft = Draft(text, "o-1", format=format, files=files,
                  options={"privacy_level": "PUBLIC_TO_EVERYONE", "consent": "yes", **options})
    return {one.field: one.sentence for one in problems(provider, draft, "", count=provider.count)}


def test_what_the_audit_asks_for(tmp_path: Path) -> None:
    assert wrong(tmp_path) == wrong(tmp_path, "photos") == {}
    assert wrong(tmp_path, "inbox_video", privacy_level="", consent="") == {}
    assert wrong(tmp_path, privacy_level="") == {"privacy_level": "TikTok needs a choice: Who can see this."}
    assert list(wrong(tmp_path, privacy_level="EVERYBODY")) == ["privacy_level"]
    assert wrong(tmp_path, consent="") == {
        "consent": "TikTok needs a choice: By posting, you agree to TikTok's Music Usage Confirmation."}
    assert list(wrong(tmp_path, consent="no")) == ["consent"]
    assert wrong(tmp_path, disclosure="yes") == {
        "disclosure": "You need to indicate if your content promotes yourself, a third party, or both."}
    assert list(wrong(tmp_path, your_brand="yes")) == ["disclosure"]
    assert wrong(tmp_path, disclosure="yes", your_brand="yes", branded_content="yes") == {}
    assert wrong(tmp_path, disclosure="yes", branded_content="yes", privacy_level="SELF_ONLY") == {
        "branded_content": "Branded content visibility cannot be set to private."}
    assert wrong(tmp_path, disclosure="yes", your_brand="yes", privacy_level="SELF_ONLY") == {}


def test_no_choice_is_made_beforehand() -> None:
    assert all(one.default == "" for one in TikTok.fields)
    provider = TikTok()
    names = {slug: [one.name for one in provider.fields_of("", slug)] for slug in (
        "video", "photos", "inbox_video", "inbox_photos")}
    assert names["inbox_video"] == [] and names["inbox_photos"] == ["title", "cover"]
    assert "allow_duet" not in names["photos"] and "allow_stitch" not in names["photos"]
    consent = next(one for one in provider.fields if one.name == "consent")
    assert "music-usage-confirmation/en" in consent.help and "bc-policy/en" in consent.help


def test_numbers_that_fit_the_files(tmp_path: Path) -> None:
    assert wrong(tmp_path, "photos", cover="2") == wrong(tmp_path, video_cover_timestamp_ms="10000") == {}
    for cover in ("0", "3", "-1", "one", "²"):
        assert list(wrong(tmp_path, "photos", cover=cover)) == ["cover"]
    for moment in ("10001", "-5", "1.5", "soon"):
        assert list(wrong(tmp_path, video_cover_timestamp_ms=moment)) == ["video_cover_timestamp_ms"]


def test_lengths_in_utf_16_units(tmp_path: Path) -> None:
    assert TikTok().count("a🍞é") == 4
    assert wrong(tmp_path, text="🍞" * 1100) == {} and list(wrong(tmp_path, text="🍞" * 1100 + "a")) == ["text"]
    assert wrong(tmp_path, "photos", text="a" * 4000) == {} and list(wrong(tmp_path, "photos", text="a" * 4001))
    assert wrong(tmp_path, "photos", title="🍞" * 45) == {}
    assert wrong(tmp_path, "photos", title="🍞" * 45 + "a") == {"title": "Title: 1 character too many for TikTok."}
    assert list(wrong(tmp_path, "photos", files=tuple(photo(one) for one in range(36)))) == ["files"]


def test_a_label_is_told_only_once_it_is_chosen() -> None:
    def notes(**options: str) -> tuple[str, ...]:
        return TikTok().notes(Draft("", "o-1", format="video", options=options))
    assert notes() == notes(disclosure="yes") == notes(your_brand="yes") == ()
    assert notes(disclosure="yes", your_brand="yes") == ("Your video will be labeled as “Promotional content”.",)
    assert notes(disclosure="yes", your_brand="yes", branded_content="yes") == (
        "Your video will be labeled as “Paid partnership”.",)


# ---------------------------------------------------------------- webhook


def notice(secret: str = "s3cret", at: int = int(NOW.timestamp()), event: str = "post.publish.failed",
           **content: Any) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"client_key": "aw1", "event": event, "create_time": at, "user_openid": "o-1",
                       "content": json.dumps(content)}).encode()
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"tiktok-signature": f"t={at},s={signature}"}, body


def test_a_signed_notice_is_read() -> None:
    headers, body = notice(publish_id=ID, reason="internal")
    event = webhook("s3cret", headers, body, NOW)
    assert event is not None and (event.name, event.client_key, event.open_id, event.publish_id, event.reason) == (
        "post.publish.failed", "aw1", "o-1", ID, "internal")
    removed = webhook("s3cret", *notice(event="authorization.removed", reason=1), NOW)
    assert removed is not None and removed.reason == "1"


def test_a_notice_that_is_not_signed_as_it_must_be_is_none() -> None:
    headers, body = notice()
    assert webhook("another", headers, body, NOW) is None and webhook("", headers, body, NOW) is None
    assert webhook("s3cret", headers, body + b" ", NOW) is None
    assert webhook("s3cret", {}, body, NOW) is None
    assert webhook("s3cret", {"TikTok-Signature": "t=1,s=zz"}, body, NOW) is None
    assert webhook("s3cret", headers, body, NOW + timedelta(hours=72)) is not None, "repeated for three days"
    assert webhook("s3cret", headers, body, NOW + timedelta(hours=74)) is None
    assert webhook("s3cret", headers, body, NOW - timedelta(minutes=6)) is None


def test_a_signed_notice_of_nonsense_is_none() -> None:
    for body in (b"", b"[]", b"{}", b'{"event": 7}'):
        at = int(NOW.timestamp())
        signature = hmac.new(b"s", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert webhook("s", {"TikTok-Signature": f"t={at},s={signature}"}, body, NOW) is None


def test_a_notice_is_told_in_the_words_of_all_platforms() -> None:
    app = App("aw1", "s3cret")
    event = TikTok().webhook(app, *notice(publish_id=ID), NOW)
    assert event is not None and (event.kind, event.person_id, event.handle, event.at) == (
        "post.changed", "o-1", ID, NOW)
    removed = TikTok().webhook(app, *notice(event="authorization.removed"), NOW)
    assert removed is not None and removed.kind == "authorization.removed"
    assert TikTok().webhook(replace(app, client_id="another"), *notice(), NOW) is None
    assert TikTok().webhook(replace(app, client_secret="another"), *notice(), NOW) is None
