"""Are id and secret right? Each platform's answers; never valid on a doubt, and never a secret told."""

import json
import logging
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses

from socialconsole.providers import PROVIDERS, app_check, connectable
from socialconsole.providers.base import App
from socialconsole.providers.verdicts import UNKNOWN, VALID, WRONG_ID, WRONG_SECRET, Verdict

SECRET, TOKEN, ID = "5ecr3t-Qx7Lw2Rz9Tk4Vb8Np3Hc6Yd", "IGAA-Zk3Xw8Qv5Tr2Np7Lm4Hs9", "4815162342108"
CALLBACK = "https://console.example/api/connect/it/callback"
GRAPH_SECRET = {"error": {"message": "Error validating client secret.", "type": "OAuthException", "code": 1}}
GRAPH_ID = {"error": {"message": "Error validating application. Cannot get application info due to a system error.",
                      "type": "OAuthException", "code": 101}}
SESSION = {"error": {"message": "Cannot parse access token", "type": "OAuthException", "code": 190}}


def oauth(error: str, words: str = "Words") -> dict[str, str]:
    return {"error": error, "error_description": words}


@dataclass(frozen=True)
class Case:
    """A platform in a mode: what it answers to the right pair, to another secret and to another id."""

    slug: str
    mode: str
    method: str
    url: str
    right: tuple[int, Any]
    secret: tuple[int, Any]
    unknown_id: tuple[int, Any]
    is_compared: bool = False  # a made-up secret has to be refused besides
    id_verdict: str = WRONG_ID


NOT_A_TOKEN = (400, oauth("invalid_request", "Value passed for the token was invalid."))
CASES = (
    Case("facebook", "", "GET", "https://graph.facebook.com/oauth/access_token",
         (200, {"access_token": f"{ID}|aBcD", "token_type": "bearer"}), (400, GRAPH_SECRET), (400, GRAPH_ID)),
    Case("instagram", "facebook_login", "GET", "https://graph.facebook.com/oauth/access_token",
         (200, {"access_token": f"{ID}|aBcD", "token_type": "bearer"}), (400, GRAPH_SECRET), (400, GRAPH_ID)),
    Case("threads", "", "GET", "https://graph.threads.net/oauth/access_token",
         (200, {"access_token": f"TH|{ID}|aBcD", "token_type": "bearer"}), (400, GRAPH_SECRET),
         (400, {"error": {"message": "No app ID was provided in the request.", "code": 4476002}})),
    Case("linkedin", "member", "POST", "https://www.linkedin.com/oauth/v2/accessToken",
         (401, oauth("access_denied", "This application is not allowed to create application tokens")),
         (401, oauth("invalid_client", "Client authentication failed")),
         (400, oauth("invalid_client_id", "The passed in client_id is invalid")), True),
    Case("twitter", "", "POST", "https://api.x.com/2/oauth2/token", NOT_A_TOKEN,
         (401, oauth("unauthorized_client", "Missing valid authorization header")),
         (401, oauth("invalid_client", "Value passed for the client id was invalid.")), True),
    Case("tiktok", "", "POST", "https://open.tiktokapis.com/v2/oauth/token/",
         (200, {"access_token": "clt.fake", "expires_in": 7200, "token_type": "Bearer"}),
         (401, oauth("invalid_client", "Client key or secret is incorrect.")),
         (200, oauth("invalid_client", "Client key or secret is incorrect.")), id_verdict=WRONG_SECRET),
    Case("youtube", "", "POST", "https://oauth2.googleapis.com/token",
         (400, oauth("invalid_grant", "Malformed auth code.")),
         (401, oauth("invalid_client", "The provided client secret is invalid.")),
         (401, oauth("invalid_client", "The OAuth client was not found.")), True),
)
DIRECT = "https://api.instagram.com/oauth/access_token"
LENGTHEN = "https://graph.instagram.com/access_token"
every = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.slug}-{case.mode}")


def app_of(slug: str, mode: str = "") -> App:
    return App(ID, SECRET, CALLBACK, mode=mode, api_version="v25.0", hosts=PROVIDERS[slug].base_addresses())


def checked(slug: str, mode: str = "", token: str = "") -> Verdict:
    return connectable(slug).check_app(app_of(slug, mode), token)


def says(http: responses.RequestsMock, case: Case, *answers: tuple[int, Any]) -> None:
    """These answers, one after the other."""
    for status, body in answers:
        if isinstance(body, str):
            http.add(case.method, case.url, body=body, status=status, content_type="text/html")
        else:
            http.add(case.method, case.url, json=body, status=status)


@pytest.fixture
def http():
    with responses.RequestsMock(assert_all_requests_are_fired=True) as mock:
        yield mock


@pytest.fixture(autouse=True)
def nothing_secret_is_said(caplog, monkeypatch):
    """Whatever a test does, no verdict and no log line holds the secret or the token."""
    told: list[Verdict] = []
    real = app_check.check

    def kept(*arguments: Any) -> Verdict:
        told.append(real(*arguments))
        return told[-1]

    monkeypatch.setattr(app_check, "check", kept)
    with caplog.at_level(logging.DEBUG):
        yield
    everything = json.dumps([repr(one) for one in told]) + "".join(str(vars(record)) for record in caplog.records)
    assert SECRET not in everything and TOKEN not in everything
    for one in told:
        assert one.sentence.endswith((".", "…")) and "{" not in one.sentence and one.sentence[0].isupper()


# ---------------------------------------------------------------- right and wrong


@every
def test_the_right_pair_is_valid(http, case):
    says(http, case, case.right, *([case.secret] if case.is_compared else []))
    assert checked(case.slug, case.mode).kind == VALID


@every
def test_a_wrong_secret_is_named(http, case):
    says(http, case, case.secret)
    found = checked(case.slug, case.mode)
    assert found.kind == WRONG_SECRET and found.code and PROVIDERS[case.slug].client_secret_label in found.sentence


@every
def test_an_unknown_id_is_named(http, case):
    says(http, case, case.unknown_id)
    found = checked(case.slug, case.mode)
    assert found.kind == case.id_verdict and PROVIDERS[case.slug].client_id_label in found.sentence


def test_id_and_secret_go_where_the_platform_wants_them(http):
    for case in CASES:
        says(http, case, case.right, *([case.secret] if case.is_compared else []))
        checked(case.slug, case.mode)
        call = next(one for one in reversed(http.calls) if SECRET in f"{one.request.url}{one.request.body}"
                    or one.request.headers.get("Authorization"))
        assert call.request.method == case.method
        assert call.request.headers["User-Agent"] == "SocialConsole/1"
        http.reset()


# ---------------------------------------------------------------- doubts


@every
@pytest.mark.parametrize("answer", [
    (500, {"error": {"message": "An unexpected error has occurred.", "code": 2}}), (503, "<html>Down</html>"),
    (429, oauth("rate_limited")), (302, "moved"), (200, "<html>Sign in to the wireless network</html>"),
    (200, {}), (200, []), (400, oauth("something_new", f"We do not like {SECRET}")), (403, "<html>Blocked</html>"),
    (200, {"access_token": ""}), (200, {"access_token": 7}), (200, None), (400, {"error": None})],
    ids=lambda answer: f"{answer[0]}-{str(answer[1])[:24]}")
def test_an_outage_or_an_odd_answer_is_no_verdict(http, case, answer):
    http.assert_all_requests_are_fired = False
    says(http, case, answer, answer)
    if case.slug == "linkedin":
        http.add("POST", "https://www.linkedin.com/oauth/v2/introspectToken", status=400, json=oauth("invalid_request"))
    assert checked(case.slug, case.mode).kind == UNKNOWN


@every
def test_what_a_made_up_secret_is_answered_too_proves_nothing(http, case):
    if not case.is_compared:
        pytest.skip("a token cannot be had by guessing")
    says(http, case, case.right, case.right)
    if case.slug == "linkedin":
        for _ in range(2):
            http.add("POST", "https://www.linkedin.com/oauth/v2/introspectToken", json={"active": False})
    found = checked(case.slug, case.mode)
    assert found.kind == UNKNOWN and "made-up" in found.sentence


@every
def test_without_a_comparison_it_is_not_called_valid(http, case):
    if not case.is_compared:
        pytest.skip("asked once")
    says(http, case, case.right, (503, "down"))
    assert checked(case.slug, case.mode).kind == UNKNOWN


@every
@pytest.mark.parametrize(
    "trouble", [requests.ConnectTimeout("x"), requests.ReadTimeout("x"), requests.ConnectionError("x"),
                RuntimeError("x")], ids=lambda one: type(one).__name__)
def test_no_answer_is_no_verdict(http, case, trouble):
    http.add(case.method, case.url, body=trouble)
    found = checked(case.slug, case.mode)
    assert (found.kind, found.code) == (UNKNOWN, "no_answer")


@every
def test_a_slow_platform_is_not_waited_for(http, case, monkeypatch):
    monkeypatch.setattr(app_check, "SECONDS", 0.4)

    def slow(_: Any) -> tuple[int, dict[str, str], str]:
        time.sleep(1.2)
        return 200, {}, "{}"

    http.add_callback(case.method, case.url, slow)
    began = time.monotonic()
    found = checked(case.slug, case.mode)
    assert (found.kind, found.code) == (UNKNOWN, "no_answer") and time.monotonic() - began < 1.0
    time.sleep(0.9)  # the call that nobody waits for ends before the next test


# ---------------------------------------------------------------- what is special


def test_directly_connected_instagram_knows_the_id_but_not_the_secret_until_somebody_connected(http):
    http.add("POST", DIRECT, status=400, json={"error_type": "OAuthException", "code": 400,
                                               "error_message": "Matching code was not found or was already used"})
    found = checked("instagram", "instagram_login")
    assert found.kind == UNKNOWN and "connect an account" in found.sentence


@pytest.mark.parametrize(("real", "made_up", "kind"), [
    ((200, {"access_token": "IGAAnew", "expires_in": 5183944}), (400, GRAPH_SECRET), VALID),
    ((400, SESSION), (400, GRAPH_SECRET), VALID),
    ((400, SESSION), (400, SESSION), UNKNOWN),
    ((400, GRAPH_SECRET), None, WRONG_SECRET),
    ((400, {"error": {"message": "Application request limit reached", "code": 4}}), None, UNKNOWN)])
def test_a_token_of_a_connected_account_makes_it_certain(http, real, made_up, kind):
    http.add("POST", DIRECT, status=400, json={"error_message": "Invalid authorization code", "code": 400})
    for answer in (real, made_up):
        if answer is not None:
            http.add("GET", LENGTHEN, status=answer[0], json=answer[1])
    assert checked("instagram", "instagram_login", TOKEN).kind == kind
    assert PROVIDERS["instagram"].checks_with_token("instagram_login")
    assert not PROVIDERS["instagram"].checks_with_token("facebook_login")


def test_the_id_of_the_meta_app_is_told_from_that_of_instagram(http):
    http.add("POST", DIRECT, status=400, json={"error_type": "OAuthException", "code": 400,
                                               "error_message": "Invalid platform app"})
    found = checked("instagram", "instagram_login")
    assert found.kind == WRONG_ID and "Instagram app ID" in found.sentence


def test_linkedin_has_a_second_opinion(http):
    case = next(one for one in CASES if one.slug == "linkedin")
    says(http, case, (400, oauth("unsupported_grant_type")))
    opinion = "https://www.linkedin.com/oauth/v2/introspectToken"
    http.add("POST", opinion, json={"active": False})
    http.add("POST", opinion, status=401, json=oauth("invalid_client"))
    assert checked("linkedin", "member").kind == VALID


def test_google_tells_that_the_callback_is_not_registered_beside_that_the_pair_is_right(http):
    case = next(one for one in CASES if one.slug == "youtube")
    says(http, case, (400, oauth("redirect_uri_mismatch", "Bad Request")), case.secret)
    found = checked("youtube")
    assert found.kind == VALID and "callback is not registered" in found.sentence
    assert parse_qs(http.calls[0].request.body)["redirect_uri"] == [CALLBACK]


@pytest.mark.parametrize("code", ["deleted_client", "disabled_client"])
def test_a_client_that_google_deleted_is_named(http, code):
    http.add("POST", "https://oauth2.googleapis.com/token", status=401, json=oauth(code))
    found = checked("youtube")
    assert found.kind == WRONG_ID and "deleted or disabled" in found.sentence


@pytest.mark.parametrize("code", ["unauthorized_client", "unsupported_grant_type", "invalid_scope"])
@pytest.mark.parametrize("status", [200, 400, 401])
def test_an_app_that_tiktok_gives_no_token_is_not_blamed(http, code, status):
    http.add("POST", "https://open.tiktokapis.com/v2/oauth/token/", status=status, json=oauth(code))
    found = checked("tiktok")
    assert found.kind == UNKNOWN and found.code == code and "Connect an account" in found.sentence


def test_a_token_that_is_none_of_the_apps_is_no_proof(http):
    http.add("POST", "https://open.tiktokapis.com/v2/oauth/token/", json={"access_token": "act.somebody"})
    assert checked("tiktok").kind == UNKNOWN


def test_a_provider_without_a_check_says_so(monkeypatch):
    monkeypatch.setattr(type(PROVIDERS["tiktok"]), "probe", None)
    assert checked("tiktok") == replace(checked("tiktok"), kind=UNKNOWN, code="no_check")
