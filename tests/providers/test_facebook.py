"""Facebook: the long token before the Pages, which Pages may be chosen, Graph's codes, and permalinks."""

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from responses import matchers

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
from socialconsole.providers.base import App, Consent, Draft, Located, Published, Renewal, TokenSet
from socialconsole.providers.content import Progress

from .contract import ACCESS, CODE, NEW_ACCESS, NOW, REFRESH, VERIFIER, ProviderContract, Row, address, refuse, sent

GRAPH = "https://graph.facebook.com/v25.0"
TOKEN, PAGES, FEED = f"{GRAPH}/oauth/access_token", f"{GRAPH}/me/accounts", f"{GRAPH}/900100/feed"
NEWEST = f"{GRAPH}/900100/published_posts"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SCOPES = "public_profile,email,pages_show_list,pages_read_engagement,pages_manage_posts"
PAGE_TOKEN = "EAABpage1-7Yh8Uj9Ik0Ol"
TASKS = ["ANALYZE", "MODERATE", "CREATE_CONTENT", "MANAGE"]
BAKERY = {"id": "900100", "name": "Bakery", "username": "bakery", "link": "https://www.facebook.com/bakery",
          "category": "Bakery", "tasks": TASKS, "access_token": PAGE_TOKEN,
          "picture": {"data": {"url": "https://scontent.example/p.jpg"}}}
GRANTED = [{"permission": one, "status": "granted"} for one in SCOPES.split(",")]


def graph_error(code: int, subcode: int | None = None, message: str = "Something", **more: Any) -> dict[str, Any]:
    told = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC", **more}
    return {"error": {**told, "error_subcode": subcode} if subcode else told}


def row(step: str, code: int, subcode: int | None, error: type[PlatformError], sentence: str, status: int = 400,
        message: str = "Something", **facts: Any) -> Row:
    return Row(step, status, graph_error(code, subcode, message), error, sentence, facts)


GONE = "The platform no longer accepts this connection. Connect again."
HOUR = NOW + timedelta(hours=1)


class TestFacebook(ProviderContract):
    provider = connectable("facebook")
    facts = App("123456789012345", SECRET, scopes=SCOPES, api_version="v25.0", hosts=provider.base_addresses())
    draft = Draft("Fresh bread https://example.com/bread", "900100", "bakery", link="https://example.com/bread")
    authorize_base = "https://www.facebook.com/v25.0/dialog/oauth"
    declined = ({"error": "access_denied", "error_code": "200", "error_reason": "user_denied"},)
    unclear_publish = ({"json": {}}, {"json": []}, {"body": ""})
    refused = (
        row("token", 100, 36007, AttemptFailed, "The code from the platform was too old or used twice.",
            message="Matching code was not found or was already used"),
        row("token", 100, 36009, AttemptFailed, "The code from the platform was too old or used twice.",
            message="This authorization code has been used."),
        row("token", 100, 36008, ConfigurationWrong, "Facebook does not know our callback.", field="redirect_uri",
            message="Error validating verification code. Please make sure your redirect_uri is identical to the one"),
        row("token", 1, None, ConfigurationWrong, "The app secret is wrong. Paste it again from the portal.",
            message="Error validating client secret.", field="client_secret"),
        row("token", 100, None, ConfigurationWrong, "The app secret is wrong.",
            message="Error validating client secret."),
        row("renew", 1, None, ConfigurationWrong, "The app secret is wrong.",
            message="Error validating client secret."),
        row("token", 101, None, ConfigurationWrong, "Meta does not know this app id", field="client_id",
            message="Error validating application. Cannot get application info due to a system error."),
        row("read", 100, None, ConfigurationWrong, "The stored app secret no longer fits the app.",
            message="Invalid appsecret_proof provided in the API argument"),
        *(row(step, 190, subcode, NeedsReconnect, sentence, reason=reason)
          for step in ("renew", "profiles", "read", "publish") for subcode, sentence, reason in (
              (458, "The app was removed in your settings. Connect again.", "revoked"),
              (459, "Sign in at the platform first, it wants to check the account;", "suspended"),
              (464, "Sign in at the platform first, it wants to check the account;", "suspended"),
              (460, "The password was changed, which ends all connections.", "password_changed"),
              (463, "The permission ran out. Connect again.", "expired"),
              (467, GONE, "revoked"), (None, GONE, "revoked"))),
        row("read", 102, None, NeedsReconnect, GONE, reason="revoked"),
        row("publish", 190, 492, NeedsReconnect, "Your role on this Page was removed.", reason="permission_missing"),
        row("publish", 200, None, NeedsReconnect, "The stored key is not the Page's own.", status=403,
            message="(#200) Unpublished posts must be posted to a page as the page itself.",
            reason="permission_missing"),
        row("publish", 368, 1390008, RateLimited, "Facebook finds this Page is posting too fast. We wait until 15:00",
            until=NOW + timedelta(hours=6), whole_app=False),
        row("publish", 368, 4854002, NeedsReconnect, "Facebook asks you to confirm your identity",
            reason="suspended"),
        row("publish", 368, 1404082, ContentRejected, "Facebook already has this post."),
        row("publish", 506, 1366051, ContentRejected, "Facebook already has this post."),
        row("publish", 506, None, ContentRejected, "Facebook already has this post."),
        row("publish", 368, 1346003, ContentRejected, "Facebook refused the content under its Community Standards."),
        row("publish", 100, 1404102, ContentRejected, "Facebook refused the content under its Community Standards."),
        row("publish", 100, 1404078, PermissionMissing, "Facebook wants Page Publishing Authorization from you",
            scopes=()),
        row("publish", 100, 1404006, NeedsReconnect, "Facebook has limited this account for now.",
            reason="suspended"),
        row("read", 1404112, None, NeedsReconnect, "Facebook has limited this account for now.", reason="suspended"),
        row("prepare", 324, 1366046, ContentRejected, "The photo is too large or not a JPEG or PNG.", field="image"),
        row("publish", 100, 1609005, ContentRejected, "Facebook cannot use this link.", field="link"),
        row("publish", 100, 1609008, ContentRejected, "Facebook cannot use this link."),
        row("publish", 100, 2061006, ContentRejected, "Facebook cannot use this link."),
        row("publish", 2, 1363047, TryLater, "Facebook is not available for a moment"),
        row("publish", 1609010, None, TryLater, "Facebook is not available for a moment"),
        row("prepare", 6001, None, TryLater, "Facebook is not available for a moment"),
        row("prepare", 389, None, TryLater, "Facebook could not fetch the video from our address."),
        row("prepare", 382, None, ContentRejected, "Facebook cannot use this video file:", field="video"),
        row("publish", 3, None, ConfigurationWrong, "The Meta app may not use this function."),
        row("publish", 200, None, ConfigurationWrong, "pages_manage_posts is not approved for people outside",
            message="(#200) pages_manage_posts needs Advanced Access"),
        row("publish", 10, None, PermissionMissing, "This needs pages_read_engagement, which was not granted.",
            message="(#10) This endpoint requires the 'pages_read_engagement' permission",
            scopes=("pages_read_engagement",)),
        row("publish", 283, None, PermissionMissing, "This needs pages_manage_posts, which was not granted.",
            scopes=("pages_manage_posts",)),
        row("publish", 4, None, RateLimited, "Meta limits this app for now. All its posts wait until 10:00 UTC.",
            whole_app=True, until=HOUR),
        *(row("publish", code, None, RateLimited, "Meta limits this account for now. We continue at 10:00 UTC.",
              whole_app=False, until=HOUR) for code in (17, 32, 613, 341, 80001, 80002)),
        row("publish", 100, None, ContentRejected, "The platform refused one value: Something"),
        row("read", 1, None, TryLater, "Meta has a passing problem. We try again."),
        row("read", 2, None, TryLater, "Meta has a passing problem. We try again.", status=503),
        Row("read", 400, graph_error(999, is_transient=True), TryLater, "Meta has a passing problem."),
        row("publish", 1, None, OutcomeUnknown, "Meta did not confirm the post."),
        row("publish", 2, None, OutcomeUnknown, "Meta did not confirm the post.", status=500),
        Row("publish", 400, graph_error(999, is_transient=True), OutcomeUnknown, "Meta did not confirm the post."),
        row("publish", 987, None, ContentRejected, "Facebook answered with something we do not know: 987."),
        row("token", 987, None, ConfigurationWrong, "Facebook answered with something we do not know: 987."),
        Row("publish", 400, graph_error(100, message="post 190 of 4", error_user_msg="The date &quot;x&quot; is odd."),
            ContentRejected, 'The platform refused one value: The date "x" is odd.'),
    )

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", TOKEN, json={"access_token": REFRESH, "token_type": "bearer", "expires_in": 5106},
                 match=[matchers.query_param_matcher({"code": CODE}, strict_match=False)])
        mock.add("GET", TOKEN, json={"access_token": ACCESS, "token_type": "bearer", "expires_in": 5183944}, match=[
            matchers.query_param_matcher({"fb_exchange_token": REFRESH, "grant_type": "fb_exchange_token"},
                                         strict_match=False)])

    def answers_consent(self, mock: responses.RequestsMock, *pages: dict[str, Any],
                        granted: list[dict[str, str]] | None = None) -> None:
        self.answers_exchange(mock)
        mock.add("GET", f"{GRAPH}/me", json={"id": "700", "name": "Mara Lindqvist"})
        mock.add("GET", f"{GRAPH}/me/permissions", json={"data": granted or GRANTED})
        mock.add("GET", PAGES, json={"data": list(pages or (BAKERY,))})
        self.answers_debug(mock, PAGE_TOKEN, type="PAGE", profile_id="900100", expires_at=0)

    def answers_debug(self, mock: responses.RequestsMock, token: str, **facts: Any) -> None:
        mock.add("GET", f"{GRAPH}/debug_token", json={"data": facts},
                 match=[matchers.query_param_matcher({"input_token": token}, strict_match=False)])

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", FEED, json={"id": "900100_122001"})
        mock.add("GET", f"{GRAPH}/900100_122001", status=500)

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        mock.add("GET", TOKEN, json=token)

    def consent(self, mock: responses.RequestsMock, *pages: dict[str, Any], **more: Any) -> Consent:
        self.answers_consent(mock, *pages, **more)
        return self.provider.consent(self.app, CODE, VERIFIER)

    # ------------------------------------------------------------ authorise

    def test_a_configuration_replaces_the_scopes(self) -> None:
        app = replace(self.app, options={"config_id": "777"})
        query = parse_qs(urlsplit(self.provider.authorization_url(app, "s", None)).query)
        assert query["config_id"] == ["777"] and "scope" not in query

    def test_declined_permissions_are_asked_for_again_only_on_request(self) -> None:
        assert "auth_type=rerequest" in self.provider.authorization_url(self.app, "s", None, again=True)
        assert "auth_type" not in self.provider.authorization_url(self.app, "s", None)

    def test_access_to_data_that_runs_out_is_renewed_in_facebooks_words(self) -> None:
        asked: Any = self.provider.authorize_parameters
        assert asked(self.app, "data_access") == {"auth_type": "reauthorize"} and asked(self.app, "another") == {}

    def test_facebook_may_call_two_addresses(self) -> None:
        assert self.provider.calls_back == ("deauthorize", "deletion") and not self.provider.serves_files

    def test_no_challenge_is_sent(self) -> None:
        assert "code_challenge" not in self.provider.authorization_url(self.app, "s", VERIFIER)

    def test_a_wrong_scope_comes_back_without_error(self) -> None:
        with pytest.raises(ConfigurationWrong) as caught:
            self.provider.read_refusal({"error_code": "100", "error_message":
                                        "Invalid Scopes: pages_read_user_content. This message is only shown to you"})
        assert caught.value.message.startswith(
            "The Meta app does not have a permission we ask for: pages_read_user_content.")

    # ------------------------------------------------------------ connect

    def test_the_long_token_comes_before_the_pages(self, mock: responses.RequestsMock) -> None:
        consent = self.consent(mock)
        assert (consent.tokens.access_token, consent.tokens.expires_in) == (ACCESS, 5183944)
        asked = [urlsplit(address(call)).path for call in mock.calls]
        assert asked.index("/v25.0/me/accounts") > 1 and asked[:2] == ["/v25.0/oauth/access_token"] * 2
        listing = next(call.request for call in mock.calls if "/me/accounts" in address(call))
        assert sent(listing)["access_token"] == ACCESS
        proof = hmac.new(SECRET.encode(), ACCESS.encode(), hashlib.sha256).hexdigest()
        assert sent(listing)["appsecret_proof"] == proof

    def test_the_exchange_proves_itself_by_parameters(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        self.provider.exchange(self.app, CODE, VERIFIER)
        request = mock.calls[0].request
        assert request.method == "GET" and "Authorization" not in request.headers
        assert sent(request) == {"client_id": self.app.client_id, "client_secret": SECRET, "code": CODE,
                                 "redirect_uri": self.app.redirect_uri, "grant_type": "authorization_code"}

    def test_person_permissions_and_page(self, mock: responses.RequestsMock) -> None:
        consent = self.consent(mock, granted=[*GRANTED[:-1], {"permission": "pages_manage_posts",
                                                              "status": "declined"}])
        assert (consent.person_id, consent.person_name) == ("700", "Mara Lindqvist")
        assert consent.scopes == set(SCOPES.split(",")) - {"pages_manage_posts"}
        (page,) = consent.profiles
        assert (page.platform_user_id, page.username, page.display_name, page.kind, page.own_token, page.problem) == (
            "900100", "bakery", "Bakery", "Facebook Page", PAGE_TOKEN, "")
        assert page.avatar_url == "https://scontent.example/p.jpg"
        assert page.meta == {"category": "Bakery", "link": "https://www.facebook.com/bakery", "tasks": TASKS,
                             "token_type": "PAGE", "token_expires_at": 0}

    @pytest.mark.parametrize(("change", "problem", "kept"), [
        ({"access_token": None}, "This Page was not ticked at Facebook.", False),
        ({"tasks": ["ANALYZE"]}, "Your role on this Page does not allow publishing.", True),
        ({"access_token": ACCESS}, "Facebook gave no key of this Page's own.", False),
        ({"tasks": ["MANAGE"]}, "", True),
    ])
    def test_which_pages_cannot_be_chosen(self, mock: responses.RequestsMock, change: dict[str, Any], problem: str,
                                          kept: bool) -> None:
        (page,) = self.consent(mock, {**BAKERY, **change}).profiles
        assert page.problem.startswith(problem) and bool(page.problem) == bool(problem)
        assert (page.own_token is not None) == kept

    @pytest.mark.parametrize("facts", [{"type": "USER"}, {"type": "PAGE", "profile_id": "900999"},
                                       {"type": "PAGE", "is_valid": False}])
    def test_a_key_of_another_kind_is_refused(self, mock: responses.RequestsMock, facts: dict[str, Any]) -> None:
        self.answers_debug(mock, PAGE_TOKEN, **facts)
        (page,) = self.consent(mock).profiles
        assert page.problem and page.own_token is None

    def test_a_key_that_cannot_be_inspected_is_taken(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", f"{GRAPH}/debug_token", status=500)
        (page,) = self.consent(mock).profiles
        assert not page.problem and page.own_token == PAGE_TOKEN

    def test_pages_are_read_to_the_end_without_following_links(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", f"{GRAPH}/me", json={"id": "700", "name": "Mara"})
        mock.add("GET", f"{GRAPH}/me/permissions", json={"data": GRANTED})
        mock.add("GET", PAGES, json={"data": [BAKERY], "paging": {
            "cursors": {"before": "QVFI1", "after": "QVFI2"}, "next": f"https://evil.example/?access_token={ACCESS}"}})
        mock.add("GET", PAGES, json={"data": [{**BAKERY, "id": "900200", "name": "Cycles"}],
                                     "paging": {"cursors": {"before": "QVFI2", "after": "QVFI3"}}})
        mock.add("GET", f"{GRAPH}/debug_token", json={"data": {}})
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert [page.display_name for page in consent.profiles] == ["Bakery", "Cycles"]
        listings = [sent(call.request) for call in mock.calls if "/me/accounts" in address(call)]
        assert [one.get("after") for one in listings] == [None, "QVFI2"]

    def test_the_hundred_and_first_page(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", f"{GRAPH}/me", json={"id": "700", "name": "Mara"})
        mock.add("GET", f"{GRAPH}/me/permissions", json={"data": GRANTED})
        pages = [{**BAKERY, "id": str(900100 + number)} for number in range(101)]
        mock.add("GET", PAGES, json={"data": pages[:100], "paging": {"cursors": {"after": "QVFI2"}, "next": "https://x"}})
        mock.add("GET", PAGES, json={"data": pages[100:], "paging": {"cursors": {"after": "QVFI3"}}})
        mock.add("GET", f"{GRAPH}/debug_token", json={"data": {"data_access_expires_at": 1802776000}})
        profiles = self.provider.consent(self.app, CODE, VERIFIER).profiles
        assert len(profiles) == 101
        assert {one.meta["token_data_access_expires_at"] for one in profiles} == {1802776000}

    def test_a_declined_list_of_pages_is_named(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", f"{GRAPH}/me", json={"id": "700"})
        mock.add("GET", f"{GRAPH}/me/permissions", json={"data": [{"permission": "pages_show_list",
                                                                   "status": "declined"}]})
        mock.add("GET", PAGES, json={"data": []})
        self.answers_debug(mock, ACCESS, granular_scopes=[])
        error = self.error("profiles")
        assert isinstance(error, PermissionMissing) and error.scopes == ("pages_show_list",)
        assert error.message == ("Facebook lists no Page, because the permission to show your Pages was declined. "
                                 "Connect again and allow it.")

    def test_the_version_that_answered_is_kept(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", f"{GRAPH}/900100", json=BAKERY, headers={"facebook-api-version": "v26.0"})
        assert self.run("read").meta["served_version"] == "v26.0"

    def test_a_page_is_asked_only_for_what_its_own_page_names(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", f"{GRAPH}/900100", json=BAKERY)
        self.run("read")
        assert sent(mock.calls[0].request)["fields"] == "id,name,username,link,picture.type(large){url}"

    @pytest.mark.parametrize("me", [{"status": 400, "json": graph_error(100)}, {"json": {}}, {"json": {"id": "9"}}])
    def test_the_person_is_the_one_that_the_token_names(self, mock: responses.RequestsMock, me: dict[str, Any]) -> None:
        self.answers_consent(mock)
        self.answers_debug(mock, ACCESS, type="USER", user_id="700")
        mock.replace("GET", f"{GRAPH}/me", **me)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert (consent.person_id, consent.person_name) == ("700", "")

    def test_an_unnamed_person_cannot_be_connected(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.replace("GET", f"{GRAPH}/me", json={"name": "Mara"})
        assert isinstance(self.error("profiles"), TryLater)

    def test_an_error_in_a_good_answer_is_an_error(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        mock.replace("GET", f"{GRAPH}/me/permissions", json=graph_error(190, 460))
        assert isinstance(self.error("profiles"), NeedsReconnect)
        mock.add("POST", FEED, json=graph_error(368, 1346003))
        assert isinstance(self.error("publish"), ContentRejected)
        mock.replace("POST", FEED, json=graph_error(2))
        assert isinstance(self.error("publish"), OutcomeUnknown)

    def test_a_portfolio_that_knows_no_tasks(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", f"{GRAPH}/me/businesses", json={"data": [{"id": "5", "name": "Group"}]})
        mock.add("GET", f"{GRAPH}/5/owned_pages", status=400, json=graph_error(100, message="no field (tasks)"))
        page = {"id": "900300", "name": "Group", "access_token": "EAABpage3-1Qa2Ws3Ed"}
        mock.add("GET", f"{GRAPH}/5/owned_pages", json={"data": [page]},
                 match=[matchers.query_param_matcher({"fields": "id,name,access_token"}, strict_match=False)])
        mock.add("GET", f"{GRAPH}/5/client_pages", json={})
        consent = self.consent(mock, granted=[*GRANTED, {"permission": "business_management", "status": "granted"}])
        assert [(page.platform_user_id, page.problem) for page in consent.profiles] == [("900100", ""), ("900300", "")]

    def test_pages_of_a_portfolio(self, mock: responses.RequestsMock) -> None:
        mock.add("GET", f"{GRAPH}/me/businesses", json={"data": [{"id": "5", "name": "Group"}]})
        mock.add("GET", f"{GRAPH}/5/owned_pages", json={"data": [
            {**BAKERY, "name": "twice"}, {**BAKERY, "id": "900300", "access_token": "EAABpage3-1Qa2Ws3Ed"}]})
        mock.add("GET", f"{GRAPH}/5/client_pages", json=graph_error(200), status=403)
        consent = self.consent(mock, granted=[*GRANTED, {"permission": "business_management", "status": "granted"}])
        assert [(page.platform_user_id, page.display_name) for page in consent.profiles] == [
            ("900100", "Bakery"), ("900300", "Bakery")]

    def test_without_the_permission_portfolios_are_not_asked_for(self, mock: responses.RequestsMock) -> None:
        self.consent(mock)
        assert not [call for call in mock.calls if "businesses" in address(call)]

    def test_ticked_pages_that_facebook_does_not_list(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", f"{GRAPH}/me", json={"id": "700", "name": "Mara"})
        mock.add("GET", f"{GRAPH}/me/permissions", json={"data": GRANTED})
        mock.add("GET", PAGES, json={"data": []})
        self.answers_debug(mock, ACCESS, granular_scopes=[
            {"scope": "pages_manage_posts", "target_ids": ["900100"]}, {"scope": "email", "target_ids": ["1"]}])
        mock.add("GET", f"{GRAPH}/900100", json=BAKERY,
                 match=[matchers.query_param_matcher({"fields": "id,name,access_token"}, strict_match=False)])
        self.answers_debug(mock, PAGE_TOKEN, type="PAGE")
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert [page.platform_user_id for page in consent.profiles] == ["900100"]

    def test_no_page_at_all(self, mock: responses.RequestsMock) -> None:
        self.answers_exchange(mock)
        mock.add("GET", f"{GRAPH}/me", json={"id": "700"})
        mock.add("GET", f"{GRAPH}/me/permissions", json={"data": GRANTED})
        mock.add("GET", PAGES, json={"data": []})
        self.answers_debug(mock, ACCESS, granular_scopes=[])
        error = self.error("profiles")
        assert isinstance(error, PermissionMissing)
        assert error.message == (
            "Facebook gave us no Page. Tick at least one Page, and check that you have a role on it.")

    # ------------------------------------------------------------ keep alive

    def test_a_renewal_exchanges_the_living_token(self, mock: responses.RequestsMock) -> None:
        self.answers_renewal(mock, access_token=NEW_ACCESS, expires_in="5183944")
        newer = self.run("renew")
        assert (newer.access_token, newer.expires_in) == (NEW_ACCESS, 5183944)
        assert sent(mock.calls[0].request)["fb_exchange_token"] == ACCESS
        assert self.provider.renewal_of(TokenSet(ACCESS)) is Renewal.EXCHANGE

    def test_revoking_removes_the_app_for_the_person(self, mock: responses.RequestsMock) -> None:
        mock.add("DELETE", f"{GRAPH}/700/permissions", json={"success": True})
        self.run("revoke")
        assert sent(mock.calls[0].request)["access_token"] == ACCESS

    def test_revoking_what_is_gone_is_fine(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 400, graph_error(190, 458))
        self.run("revoke")
        mock.reset()
        refuse(mock, 400, graph_error(190, 460))
        assert isinstance(self.error("revoke"), NeedsReconnect)
        mock.reset()
        refuse(mock, 200, {"success": False})
        assert isinstance(self.error("revoke"), TryLater)

    # ------------------------------------------------------------ publish

    def test_the_link_goes_along_and_facebooks_own_address_is_kept(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", FEED, json={"id": "900100_122001"})
        mock.add("GET", f"{GRAPH}/900100_122001", json={"permalink_url": "https://www.facebook.com/bakery/posts/1"})
        assert self.run("publish") == Published("900100_122001", "https://www.facebook.com/bakery/posts/1")
        body = sent(mock.calls[0].request)
        assert (body["message"], body["link"]) == (self.draft.text, self.draft.link)
        assert "?" not in address(mock.calls[0])

    @pytest.mark.parametrize("answer", [
        {"status": 500}, {"status": 400, "json": graph_error(190, 460)}, {"body": requests.ReadTimeout()},
        {"body": "<html>"}, {"json": {}}, {"json": {"permalink_url": "https://evil.example/x"}}])
    def test_trouble_with_the_address_is_no_trouble_with_the_post(self, mock: responses.RequestsMock,
                                                                  answer: dict[str, Any]) -> None:
        mock.add("POST", FEED, json={"id": "900100_122001"})
        mock.add("GET", f"{GRAPH}/900100_122001", **answer)
        assert self.run("publish") == Published("900100_122001", "https://www.facebook.com/900100_122001")

    def test_without_a_link_none_is_sent(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        self.provider.publish(self.app, ACCESS, replace(self.draft, text="Hi", link=""), Progress())
        assert "link" not in sent(mock.calls[0].request)

    def test_a_page_that_is_out_of_sight(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", FEED, status=400, json=graph_error(100, 33))
        mock.add("GET", f"{GRAPH}/900100", status=400, json=graph_error(100, 33))
        error = self.error("publish")
        assert isinstance(error, NeedsReconnect) and error.reason == "permission_missing"

    def test_a_thing_that_is_gone_while_the_page_is_in_sight(self, mock: responses.RequestsMock) -> None:
        mock.add("POST", FEED, status=400, json=graph_error(100, 33))
        mock.add("GET", f"{GRAPH}/900100", json=BAKERY)
        error = self.error("publish")
        assert isinstance(error, ContentRejected)
        assert error.message == "The post or media no longer exists there, or we may not see it."

    def test_usage_headers_say_how_long(self, mock: responses.RequestsMock) -> None:
        usage = '{"1": [{"type": "pages", "estimated_time_to_regain_access": 7}], "2": [{"type": "pages", ' \
                '"estimated_time_to_regain_access": 19}]}'
        mock.add("POST", FEED, status=400, json=graph_error(32), headers={"X-Business-Use-Case-Usage": usage})
        error = self.error("publish")
        assert isinstance(error, RateLimited) and error.until == NOW + timedelta(minutes=19)

    known: ClassVar[dict[str, Any]] = {"id": "900100_5", "message": "Fresh bread https://example.com/bread",
                                       "created_time": "2026-11-21T09:00:02+0000"}

    def look(self, mock: responses.RequestsMock, **post: Any) -> Any:
        mock.add("GET", NEWEST, json={"data": [{**self.known, **post}]})
        return self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW)

    def test_a_lost_post_is_found(self, mock: responses.RequestsMock) -> None:
        link = "https://www.facebook.com/bakery/posts/5"
        assert self.look(mock, permalink_url=link) == Published("900100_5", link)

    @pytest.mark.parametrize("post", [
        {"created_time": "2026-11-21T08:54:00+0000"}, {"message": "Other"}, {"message": None}, {"id": None},
        {"message": "Fresh bread https://example.com/cake"}, {"message": "Fresh bread"}, {"created_time": 1795251602}])
    def test_another_post_is_not_it(self, mock: responses.RequestsMock, post: dict[str, Any]) -> None:
        assert self.look(mock, **post) is Located.NOT_FOUND

    def test_the_list_has_the_pages_own_posts_only(self, mock: responses.RequestsMock) -> None:
        self.look(mock)
        asked = sent(mock.calls[0].request)
        assert (asked["fields"], asked["limit"]) == ("id,message,created_time,permalink_url", "10")

    @pytest.mark.parametrize(("author", "is_found"), [
        ({"from": {"id": "900100", "name": "Bakery"}}, True), ({"from": {"id": "4711"}}, False), ({}, False)])
    def test_where_that_list_is_refused_a_post_in_the_feed_needs_its_author(
            self, mock: responses.RequestsMock, author: dict[str, Any], is_found: bool) -> None:
        mock.add("GET", NEWEST, status=403, json=graph_error(200))
        mock.add("GET", FEED, json={"data": [{**self.known, **author}]})
        found = self.provider.locate(self.app, ACCESS, self.draft, Progress(), NOW)
        assert isinstance(found, Published) if is_found else found is Located.NOT_FOUND

    def test_nothing_tells_a_bare_link_from_another(self, mock: responses.RequestsMock) -> None:
        draft = replace(self.draft, text="", format="link")
        assert self.provider.locate(self.app, ACCESS, draft, Progress(), NOW) is Located.CANNOT_LOOK
        draft = replace(self.draft, text=self.draft.link)
        mock.add("GET", NEWEST, json={"data": [{**self.known, "message": ""}]})
        assert self.provider.locate(self.app, ACCESS, draft, Progress(), NOW) is Located.NOT_FOUND

    def test_the_length_of_a_text(self) -> None:
        assert self.provider.count("añ日") == 3 and self.provider.text_limit.most == 63206
