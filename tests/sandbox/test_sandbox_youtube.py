"""YouTube in the sandbox: as strict as Google where the console could slip, and the exchanges that are known."""

import base64
import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.player import CALLBACK, CHALLENGE, VERIFIER, bearer, told

AUTH = "https://www.googleapis.com/auth/"
SCOPES = f"{AUTH}youtube.upload {AUTH}youtube.readonly openid {AUTH}youtube.force-ssl"
ROSA, TRAVEL, BRAND, LEO, DANA = "rosa-kim", "rosa-kim-travel", "acme-cycles", "leo-silent", "dana-helper"
ADDRESS = "/accounts.google.com/o/oauth2/v2/auth"
TOKEN, REVOKE = "/oauth2.googleapis.com/token", "/oauth2.googleapis.com/revoke"
API, UPLOAD = "/www.googleapis.com/youtube/v3", "/www.googleapis.com/upload/youtube/v3"
BASE = "http://localhost:18100"
GRAIN = 262_144
VIDEO = b"\x00\x00\x00\x18ftypisom" + bytes(GRAIN + 100)
WHOLE = len(VIDEO)
PICTURE = b"\xff\xd8\xff" + bytes(100)
BODY = {"snippet": {"title": "T", "categoryId": "22"},
        "status": {"privacyStatus": "unlisted", "selfDeclaredMadeForKids": False, "containsSyntheticMedia": False}}


class Google:
    """Somebody with an app at Google."""

    def __init__(self, player, **settings):
        self.player, self.client = player, player.client
        self.app = player.make("youtube", **settings)

    def query(self, **changes):
        asked = {"client_id": self.app["client_id"], "redirect_uri": CALLBACK, "response_type": "code",
                 "scope": SCOPES, "access_type": "offline", "prompt": "consent select_account", "state": "s",
                 "code_challenge": CHALLENGE, "code_challenge_method": "S256", **changes}
        return {name: value for name, value in asked.items() if value is not None}

    def code(self, person=ROSA, declined=(), **changes):
        query = self.query(**changes)
        answer = self.client.post(ADDRESS, query_string=query, data={
            "person": person, "decision": "allow",
            "scope": [one for one in query["scope"].split() if one not in declined and one != "openid"]})
        assert answer.status_code == 302, answer.text
        back = dict(parse_qsl(urlsplit(answer.location).query))
        assert back["state"] == "s"
        return back["code"]

    def exchange(self, code, **changes):
        form = {"grant_type": "authorization_code", "code": code, "client_id": self.app["client_id"],
                "client_secret": self.app["client_secret"], "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
                **changes}
        return self.client.post(TOKEN, data={name: value for name, value in form.items() if value is not None})

    def tokens(self, person=ROSA, **how):
        answer = self.exchange(self.code(person, **how))
        assert answer.status_code == 200, answer.text
        return told(answer)

    def refresh(self, token, **changes):
        return self.client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": token,
                                             "client_id": self.app["client_id"],
                                             "client_secret": self.app["client_secret"], **changes})

    def begin(self, token, body=BODY, query=None, headers=None, size=WHOLE):
        return self.client.post(
            f"{UPLOAD}/videos", json=body,
            query_string={"uploadType": "resumable", "part": "snippet,status", **(query or {})},
            headers={**bearer(token), "X-Upload-Content-Type": "video/mp4", "X-Upload-Content-Length": str(size),
                     **(headers or {})})

    def put(self, session, token, first, last, total=WHOLE, data=None):
        span = "*" if first is None else f"{first}-{last}"
        content = (b"" if first is None else VIDEO[first:last + 1]) if data is None else data
        return self.client.put(session.removeprefix(BASE), data=content,
                               headers={**bearer(token), "Content-Range": f"bytes {span}/{total}"})

    def upload(self, token, **how):
        session = self.begin(token, **how).headers["Location"]
        self.put(session, token, 0, GRAIN - 1)
        return told(self.put(session, token, GRAIN, len(VIDEO) - 1))["id"]

    def videos(self, token, video):
        return told(self.client.get(f"{API}/videos", query_string={"part": "status,processingDetails", "id": video},
                                    headers=bearer(token)))["items"]


@pytest.fixture
def google(player):
    return Google(player)


def reason(answer):
    return answer.status_code, told(answer)["error"]["errors"][0]["reason"]


# Consent and tokens


@pytest.mark.parametrize("changes", [
    {"scope": "nonsense"}, {"scope": ""}, {"access_type": "ever"}, {"prompt": "login"}, {"response_type": "token"},
    {"include_granted_scopes": "ever"}, {"code_challenge_method": "plain"}, {"extra": "1"}, {"code_challenge": "short"},
    {"redirect_uri": CALLBACK + "/"}, {"redirect_uri": CALLBACK.upper()}, {"client_id": "x"}])
def test_a_wrong_request_stays_on_googles_page(google, changes):
    assert google.client.get(ADDRESS, query_string=google.query(**changes)).status_code in (400, 401)


def test_a_good_request_is_shown(google):
    page = google.client.get(ADDRESS, query_string=google.query())
    assert page.status_code == 200 and "Manage your YouTube videos" in page.text


@pytest.mark.parametrize(("changes", "status", "error"), [
    ({"client_secret": "x"}, 401, "invalid_client"), ({"client_id": "x"}, 401, "invalid_client"),
    ({"code": "4/0console-check"}, 400, "invalid_grant"), ({"code_verifier": "x"}, 400, "invalid_grant"),
    ({"code_verifier": None}, 400, "invalid_grant"), ({"redirect_uri": "https://x.example/"}, 400,
                                                      "redirect_uri_mismatch"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"), ({"scope": "x"}, 400, "invalid_request")])
def test_the_exchange_is_exact(google, changes, status, error):
    answer = google.exchange(**{"code": google.code(), **changes})
    assert (answer.status_code, told(answer)["error"]) == (status, error)


def test_the_texts_of_a_credential_check(google):
    assert told(google.exchange("4/0console-check"))["error_description"] == "Malformed auth code."
    assert told(google.exchange("x", client_secret="x"))["error_description"] == \
        "The provided client secret is invalid."


def test_a_code_works_once_and_not_for_long(google):
    code = google.code()
    assert google.exchange(code).status_code == 200 and google.exchange(code).status_code == 400
    late = google.code()
    google.player.clock.forward(601)
    assert google.exchange(late).status_code == 400


def test_a_refresh_token_comes_offline_with_consent_and_stays(google):
    first = google.tokens(prompt="select_account")
    assert first["refresh_token"].startswith("1//") and "refresh_token_expires_in" not in first
    assert "refresh_token" not in google.tokens(prompt="select_account"), "the second time only with prompt=consent"
    assert "refresh_token" in google.tokens() and "refresh_token" not in google.tokens(access_type="online")
    again = google.refresh(first["refresh_token"])
    assert again.status_code == 200 and "refresh_token" not in told(again)
    assert google.refresh(first["refresh_token"]).status_code == 200


def test_in_testing_it_ends_after_seven_days(player):
    google = Google(player, testing=True)
    tokens = google.tokens()
    assert tokens["refresh_token_expires_in"] == 604_799
    player.clock.forward(7 * 86_400)
    answer = google.refresh(tokens["refresh_token"])
    assert (answer.status_code, told(answer)) == (400, {
        "error": "invalid_grant", "error_description": "Token has been expired or revoked."})


def test_boxes_can_be_left_empty_and_openid_has_none(google):
    assert google.tokens(declined=(f"{AUTH}youtube.upload",))["scope"].split() == sorted(
        set(SCOPES.split()) - {f"{AUTH}youtube.upload"})


def test_two_channels_share_a_subject_and_a_brand_has_its_own(google):
    subjects = [json.loads(base64.urlsafe_b64decode(google.tokens(one)["id_token"].split(".")[1] + "=="))["sub"]
                for one in (ROSA, TRAVEL, BRAND)]
    assert subjects[0] == subjects[1] != subjects[2]


def test_revoking_ends_every_channel_of_the_account(google):
    bakes, travels, brand = google.tokens(ROSA), google.tokens(TRAVEL), google.tokens(BRAND)
    answer = google.client.post(REVOKE, data={"token": bakes["access_token"]})
    assert (answer.status_code, told(answer)) == (200, {})
    assert told(google.client.post(REVOKE, data={"token": bakes["access_token"]}))["error"] == "invalid_token"
    assert google.refresh(travels["refresh_token"]).status_code == 400
    assert google.refresh(brand["refresh_token"]).status_code == 200


# The channel


def channels(google, token, **query):
    return google.client.get(f"{API}/channels", query_string={"part": "id,snippet", "mine": "true", **query},
                             headers=bearer(token))


def test_the_chosen_channel_and_an_account_without_one(google):
    (found,) = told(channels(google, google.tokens(TRAVEL)["access_token"]))["items"]
    assert (found["id"], found["snippet"]["customUrl"]) == ("UCrosaTravels00000000002", "@rosatravels")
    none = told(channels(google, google.tokens(LEO)["access_token"]))
    assert "items" not in none and none["pageInfo"]["totalResults"] == 0


def test_the_api_refuses_what_is_not_described(google):
    token = google.tokens()["access_token"]
    assert reason(channels(google, token, extra="1")) == (400, "invalidParameter")
    assert reason(channels(google, token, part="snippets")) == (400, "unknownPart")
    assert reason(channels(google, token, mine="")) == (400, "missingRequiredParameter")
    assert reason(channels(google, "x")) == (401, "authError")
    google.player.clock.forward(3_600)
    assert reason(channels(google, token)) == (401, "authError")


def test_a_missing_scope_and_a_switched_off_api(google):
    token = google.tokens(declined=(f"{AUTH}youtube.readonly", f"{AUTH}youtube.force-ssl"))["access_token"]
    answer = channels(google, token)
    assert reason(answer) == (403, "insufficientPermissions")
    assert told(answer)["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    whole = google.tokens()["access_token"]
    google.player.change(google.app, api_enabled=False)
    assert reason(channels(google, whole)) == (403, "accessNotConfigured")


# Uploads


def test_a_resumable_upload_as_recorded(google):
    token = google.tokens()["access_token"]
    opened = google.begin(token)
    session = opened.headers["Location"]
    assert opened.status_code == 200 and not opened.data
    assert session.startswith(f"{BASE}/www.googleapis.com/upload/youtube/v3/videos?uploadType=resumable")
    probe = google.put(session, token, None, None)
    assert probe.status_code == 308 and "Range" not in probe.headers
    part = google.put(session, token, 0, GRAIN - 1)
    assert (part.status_code, part.headers["Range"]) == (308, f"bytes=0-{GRAIN - 1}")
    assert not google.player.posts("youtube")
    done = google.put(session, token, GRAIN, len(VIDEO) - 1)
    assert done.status_code == 201 and told(done)["status"]["uploadStatus"] == "uploaded"
    assert told(google.put(session, token, None, None))["id"] == told(done)["id"]
    assert len(google.player.posts("youtube")) == 1


@pytest.mark.parametrize(("first", "last", "total", "data"), [
    (0, GRAIN - 2, len(VIDEO), None), (GRAIN, len(VIDEO) - 1, len(VIDEO), None), (0, GRAIN - 1, 5, None),
    (0, GRAIN - 1, len(VIDEO), b"short"), (None, None, len(VIDEO), b"x")])
def test_a_chunk_is_exact(google, first, last, total, data):
    token = google.tokens()["access_token"]
    session = google.begin(token).headers["Location"]
    assert reason(google.put(session, token, first, last, total, data)) == (400, "badRequest")


def test_a_session_needs_its_token_and_ends(google):
    token = google.tokens()["access_token"]
    session = google.begin(token).headers["Location"]
    assert google.put(session, "x", None, None).status_code == 401
    assert google.put(session.replace("upload_id=", "upload_id=no"), token, None, None).status_code == 404
    google.player.change(google.app, session_seconds=60)
    google.player.clock.forward(60)
    assert google.put(session, token, None, None).status_code == 404


@pytest.mark.parametrize(("part", "changes", "expected"), [
    ("snippet", {"title": ""}, "invalidTitle"), ("snippet", {"title": "a" * 101}, "invalidTitle"),
    ("snippet", {"title": "<b>"}, "invalidTitle"), ("snippet", {"description": "é" * 2501}, "invalidDescription"),
    ("snippet", {"description": ">"}, "invalidDescription"), ("snippet", {"tags": ["x" * 501]}, "invalidTags"),
    ("snippet", {"tags": ["a b" + "c" * 496]}, "invalidTags"), ("snippet", {"categoryId": "99"}, "invalidCategoryId"),
    ("snippet", {"categoryId": 22}, "invalidValue"), ("snippet", {"headline": "x"}, "invalidValue"),
    ("status", {"publishAt": "2026-12-24T17:00:00Z"}, "invalidPublishAt"),
    ("status", {"privacyStatus": "hidden"}, "invalidValue"), ("status", {"madeForKids": True}, "invalidValue"),
    ("status", {"embeddable": "yes"}, "invalidValue")])
def test_the_metadata_is_checked_before_any_byte(google, part, changes, expected):
    body = {**BODY, part: {**BODY[part], **changes}}
    assert reason(google.begin(google.tokens()["access_token"], body)) == (400, expected)


@pytest.mark.parametrize(("how", "expected"), [
    ({"query": {"uploadType": "media"}}, (400, "invalidParameter")), ({"query": {"x": "1"}}, (400, "invalidParameter")),
    ({"query": {"notifySubscribers": "no"}}, (400, "invalidParameter")),
    ({"query": {"part": "snippet"}}, (400, "unexpectedPart")), ({"size": 0}, (400, "mediaBodyRequired")),
    ({"headers": {"X-Upload-Content-Type": "image/png"}}, (400, "mediaBodyRequired"))])
def test_opening_a_session_is_exact(google, how, expected):
    assert reason(google.begin(google.tokens()["access_token"], **how)) == expected


def test_who_may_not_upload(google):
    assert reason(google.begin(google.tokens(LEO)["access_token"])) == (401, "youtubeSignupRequired")
    assert reason(google.begin(google.tokens(DANA)["access_token"])) == (403, "forbidden")
    readonly = google.tokens(declined=(f"{AUTH}youtube.upload", f"{AUTH}youtube.force-ssl"))["access_token"]
    assert reason(google.begin(readonly)) == (403, "insufficientPermissions")


def test_a_hundred_uploads_a_day_for_the_project(google):
    google.client.post("/portal/api/settings", json={"quotas": {"youtube": 1}})
    token = google.tokens()["access_token"]
    assert google.begin(token).status_code == 200
    full = google.begin(google.tokens(BRAND)["access_token"])
    assert reason(full) == (429, "rateLimitExceeded") and "Video Uploads per day" in told(full)["error"]["message"]
    google.player.clock.forward(86_400)
    assert google.begin(google.tokens()["access_token"]).status_code == 200


def test_a_channel_has_its_own_limit(player):
    google = Google(player, channel_uploads=1)
    token = google.tokens()["access_token"]
    assert google.begin(token).status_code == 200
    assert reason(google.begin(token)) == (400, "uploadLimitExceeded")
    assert google.begin(google.tokens(BRAND)["access_token"]).status_code == 200


def test_processing_takes_its_questions(google):
    google.client.post("/portal/api/settings", json={"processing_polls": 2})
    token = google.tokens()["access_token"]
    video = google.upload(token)
    states = [google.videos(token, video)[0]["status"]["uploadStatus"] for _ in range(3)]
    assert states == ["uploaded", "uploaded", "processed"]


def test_a_thumbnail_waits_for_the_processing_and_for_a_verified_channel(google):
    def put(token, video, data=PICTURE, kind="image/jpeg"):
        return google.client.post(f"{UPLOAD}/thumbnails/set", query_string={"videoId": video}, data=data,
                                  headers=bearer(token), content_type=kind)

    token = google.tokens()["access_token"]
    video = google.upload(token)
    assert reason(put(token, video)) == (403, "forbidden")
    for _ in range(2):
        google.videos(token, video)
    assert put(token, video).status_code == 200
    assert reason(put(token, video, b"text")) == (400, "invalidImage")
    assert reason(put(token, video, kind="image/png")) == (400, "invalidImage")
    assert reason(put(token, video, b"")) == (400, "mediaBodyRequired")
    assert reason(put(token, "nothing")) == (404, "videoNotFound")
    unverified = google.tokens(TRAVEL)["access_token"]
    other = google.upload(unverified)
    google.videos(unverified, other)
    google.videos(unverified, other)
    assert reason(put(unverified, other)) == (403, "forbidden")


def test_deleting_needs_its_own_scope(google):
    token = google.tokens()["access_token"]
    video = google.upload(token)

    def delete(by):
        return google.client.delete(f"{API}/videos", query_string={"id": video}, headers=bearer(by))

    weak = google.tokens(declined=(f"{AUTH}youtube.force-ssl",))["access_token"]
    assert reason(delete(weak)) == (403, "insufficientPermissions")
    assert reason(delete(google.tokens(BRAND)["access_token"])) == (403, "forbidden")
    assert delete(token).status_code == 204
    assert reason(delete(token)) == (404, "videoNotFound")
    assert not google.videos(token, video)


@pytest.mark.parametrize("uri", ["https://console.lan/x", "https://console.local/x", "https://10.0.0.1/x",
                                 "http://console.example/x", "https://console/x", "https://a@console.example/x",
                                 "https://console.example/a/../b", "https://console.example/#x"])
def test_what_google_takes_as_no_callback(player, uri):
    answer = player.client.post("/portal/api/apps", json={"platform": "youtube", "redirect_uris": [uri]})
    assert answer.status_code == 422


def test_loopback_and_public_names_are_taken(player):
    player.make("youtube", redirect_uris=["http://127.0.0.1:8000/x", "http://localhost/x", "https://a.example.com/x"])
