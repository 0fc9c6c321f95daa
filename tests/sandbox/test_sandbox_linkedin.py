"""LinkedIn in the sandbox refuses what LinkedIn refuses."""

import base64
import json
import re

import pytest

from tests.sandbox.player import BASE, CALLBACK, JANE, OMAR, bearer


@pytest.fixture
def app(player):
    return player.make("linkedin")


def test_ids_look_like_the_real_ones(app):
    assert re.fullmatch(r"[a-z0-9]{14}", app["client_id"])
    assert re.fullmatch(r"WPL_AP1\.[A-Za-z0-9]{16}", app["client_secret"])


def test_denying_and_cancelling_the_sign_in(player, app):
    denied = player.decide(app, JANE, "deny")
    assert denied["error"] == "user_cancelled_authorize" and denied["state"] == "st-1" and "code" not in denied
    assert player.decide(app, JANE, "deny_login")["error"] == "user_cancelled_login"


def test_a_scope_the_app_does_not_own_comes_back_with_entities(player, app):
    answer = player.look(app, scope="openid w_organization_social")
    assert answer.status_code == 302 and answer.location.startswith(CALLBACK)
    assert "error=unauthorized_scope_error" in answer.location
    assert "%26quot%3Bw_organization_social%26quot%3B" in answer.location
    pages = player.make("linkedin", mode="organization")
    assert player.look(pages, scope="openid").status_code == 302
    assert player.look(pages, scope="w_organization_social").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": CALLBACK + "/"},
        {"scope": "openid everything"},
        {"response_type": "token"},
        {"prompt": "none"},
        {"code_challenge": "x", "code_challenge_method": "S256"},
    ],
)
def test_a_faulty_request_ends_on_a_page(player, app, changes):
    answer = player.look(app, **changes)
    assert answer.status_code == 401 and answer.location is None
    assert "Bummer, something went wrong." in answer.text


def test_only_the_query_is_ignored_when_comparing_the_address(player, app):
    assert player.look(app, redirect_uri=CALLBACK + "?from=here").status_code == 200
    refused = player.change(app, redirect_uris=["http://127.0.0.1:8000/callback"])
    assert refused.status_code == 422 and "https" in refused.json["error"]
    assert player.change(app, redirect_uris=["https://console.example/#x"]).status_code == 422


def test_the_exchange_gives_sixty_days_commas_and_an_id_token(player, app):
    body = player.li_tokens(app)
    assert body["expires_in"] == 5184000 and body["token_type"] == "Bearer" and "refresh_token" not in body
    assert set(body["scope"].split(",")) == {"openid", "profile", "email", "w_member_social"}
    claims = body["id_token"].split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert told["sub"] == player.li_me(body["access_token"]).json["sub"] and told["aud"] == app["client_id"]
    [key] = player.client.get("/www.linkedin.com/oauth/openid/jwks").json["keys"]
    assert key["alg"] == "RS256"


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": CALLBACK + "?a=1"}, {"code": "made-up"}, {"code_verifier": "x" * 43}]
)
def test_an_exchange_that_does_not_fit_is_refused(player, app, changes):
    answer = player.li_exchange(app, player.decide(app, JANE)["code"], **changes)
    assert answer.status_code == 400 and "does not match authorization code" in answer.json["error_description"]


def test_a_code_is_good_once_for_thirty_minutes(player, app):
    code, late = player.decide(app, JANE)["code"], player.decide(app, JANE)["code"]
    player.clock.forward(1799)
    assert player.li_exchange(app, code).status_code == 200
    assert player.li_exchange(app, code).json["error"] == "invalid_request"
    player.clock.forward(1)
    assert player.li_exchange(app, late).status_code == 400


def test_basic_is_refused_where_the_body_is_due(player, app):
    form = {"grant_type": "authorization_code", "code": player.decide(app, JANE)["code"], "redirect_uri": CALLBACK}
    answer = player.client.post("/www.linkedin.com/oauth/v2/accessToken", data=form, headers=player.basic(app))
    assert answer.status_code == 400 and "client_id" in answer.json["error_description"]


def test_the_probe_is_told_by_the_error_and_not_by_the_status(player, app):
    def ask(**changes):
        return player.li_exchange(app, "", **{"grant_type": "client_credentials", "code": None, **changes})

    right, wrong = ask(), ask(client_secret="WPL_AP1.wrong")
    assert (right.status_code, right.json["error"]) == (401, "access_denied")
    assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")
    unknown = ask(client_id="nobody")
    assert (unknown.status_code, unknown.json["error"]) == (400, "invalid_client_id")


def test_a_refresh_token_stays_the_same_and_its_year_does_not_slide(player, app):
    player.change(app, refresh_tokens=True)
    first = player.li_tokens(app)
    assert first["refresh_token_expires_in"] == 365 * 86400

    def renew():
        return player.li_exchange(
            app, "", grant_type="refresh_token", refresh_token=first["refresh_token"], code=None, redirect_uri=None
        )

    player.clock.forward(59 * 86400)
    again = renew().json
    assert again["refresh_token"] == first["refresh_token"] and again["access_token"] != first["access_token"]
    assert again["refresh_token_expires_in"] == 306 * 86400
    player.clock.forward(306 * 86400)
    dead = renew()
    assert dead.status_code == 400 and dead.json["error_description"].endswith("invalid, expired or revoked")


def test_another_scope_set_ends_the_members_earlier_tokens_of_the_app(player, app):
    first, same = player.li_tokens(app)["access_token"], player.li_tokens(app)["access_token"]
    other_person = player.li_tokens(app, OMAR)["access_token"]
    assert player.li_me(first).status_code == 200
    player.li_tokens(app, scope="openid profile")
    for token in (first, same):
        assert player.li_me(token).json["code"] == "REVOKED_ACCESS_TOKEN"
    assert player.li_me(other_person).status_code == 200


def test_introspection_and_revocation(player, app):
    token = player.li_tokens(app)["access_token"]
    pair = {"client_id": app["client_id"], "client_secret": app["client_secret"], "token": token}
    ask = lambda **changes: player.client.post("/www.linkedin.com/oauth/v2/introspectToken", data=pair | changes)  # noqa: E731
    assert ask().json["active"] is True and ask().json["auth_type"] == "3L"
    assert ask(token="other").json == {"active": False}
    assert ask(client_secret="wrong").status_code == 401
    assert player.client.post("/www.linkedin.com/oauth/v2/revoke", data=pair).status_code == 200
    assert ask().json["status"] == "revoked"
    assert player.li_me(token).json["serviceErrorCode"] == 65601


def test_the_profile_and_an_id_that_belongs_to_the_app(player, app):
    me = player.li_me(player.li_tokens(app)["access_token"]).json
    assert (me["name"], me["given_name"], me["email_verified"]) == ("Jane Doe", "Jane", True)
    assert player.client.get(me["picture"].removeprefix(BASE)).data.startswith(b"\x89PNG")
    elsewhere = player.li_me(player.li_tokens(player.make("linkedin"))["access_token"]).json
    assert elsewhere["sub"] != me["sub"]
    no_email = player.li_me(player.li_tokens(app, scope="openid profile")["access_token"]).json
    assert "email" not in no_email
    basic = player.client.get("/api.linkedin.com/v2/me", headers=bearer(player.li_tokens(app)["access_token"]))
    assert (basic.status_code, basic.json["code"]) == (403, "ACCESS_DENIED")


def test_the_first_profile_call_can_be_refused(player, app):
    player.change(app, first_profile_401=True)
    token = player.li_tokens(app)["access_token"]
    assert [player.li_me(token).status_code for _ in range(3)] == [401, 200, 200]


def test_tokens_end_with_their_own_codes(player, app):
    token = player.li_tokens(app)["access_token"]
    assert player.client.get("/api.linkedin.com/v2/userinfo").json["code"] == "EMPTY_ACCESS_TOKEN"
    assert player.li_me("nothing").json["serviceErrorCode"] == 65600
    player.act("linkedin", JANE, "expire")
    assert player.li_me(token).json["code"] == "EXPIRED_ACCESS_TOKEN"
    token = player.li_tokens(app)["access_token"]
    sub = player.li_me(token).json["sub"]
    player.act("linkedin", sub, "revoke")
    assert player.li_me(token).json["code"] == "REVOKED_ACCESS_TOKEN"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"LinkedIn-Version": ""}, 400, "VERSION_MISSING"),
        ({"LinkedIn-Version": "202504"}, 426, "NONEXISTENT_VERSION"),
        ({"LinkedIn-Version": "202513"}, 426, "NONEXISTENT_VERSION"),
        ({"X-Restli-Protocol-Version": ""}, 400, "ILLEGAL_ARGUMENT"),
        ({"X-Restli-Protocol-Version": "1.0.0"}, 400, "ILLEGAL_ARGUMENT"),
    ],
)
def test_versions_are_demanded(player, app, headers, status, code):
    answer = player.li_post(player.li_tokens(app)["access_token"], "Hi", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert player.posts("linkedin") == []


def test_a_version_dies_on_its_day(player, app):
    player.clock.instant = 1_799_971_200.0  # 15 January 2027, the last day of 202601
    token = player.li_tokens(app)["access_token"]
    assert player.li_post(token, "Last", headers={"LinkedIn-Version": "202601"}).status_code == 201
    player.clock.forward(86400)
    answer = player.li_post(token, "Late", headers={"LinkedIn-Version": "202601"})
    assert answer.status_code == 426 and answer.json["message"] == "Requested version 20260101 is not active"


def test_a_post_answers_empty_and_names_itself_in_a_header(player, app):
    token = player.li_tokens(app)["access_token"]
    answer = player.li_post(token, "Rolls \\(fresh\\) #bread")
    assert answer.status_code == 201 and answer.data == b""
    urn = answer.headers["x-restli-id"]
    assert urn.startswith("urn:li:share:") and answer.headers["x-li-uuid"]
    [post] = player.posts("linkedin")
    assert (post["id"], post["text"]) == (urn, "Rolls (fresh) #bread")
    assert post["permalink"] == f"{BASE}/www.linkedin.com/feed/update/{urn}/"
    assert "Rolls (fresh)" in player.client.get(post["permalink"].removeprefix(BASE), follow_redirects=True).text


def test_unescaped_text_is_silently_cut(player, app):
    answer = player.li_post(player.li_tokens(app)["access_token"], "Rolls (fresh) today")
    assert answer.status_code == 201
    assert player.posts("linkedin")[0]["text"] == "Rolls "


def test_posting_needs_the_scope_and_the_own_name(player, app):
    reader = player.li_tokens(app, OMAR, scope="openid profile")["access_token"]
    denied = player.li_post(reader, "Hi")
    assert denied.status_code == 403
    assert denied.json["message"] == "Not enough permissions to access: partnerApiPostsExternal.CREATE.20260701"
    foreign = player.li_post(player.li_tokens(app)["access_token"], "Hi", author="urn:li:person:somebody")
    assert foreign.status_code == 403 and "author" in foreign.json["message"]


@pytest.mark.parametrize("field", ["author", "commentary", "visibility", "distribution", "lifecycleState"])
def test_a_missing_field_is_named(player, app, field):
    token = player.li_tokens(app)["access_token"]
    sub = player.li_me(token).json["sub"]
    body = {
        "author": f"urn:li:person:{sub}",
        "commentary": "Hi",
        "visibility": "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED"},
        "lifecycleState": "PUBLISHED",
    }
    del body[field]
    headers = bearer(token) | {"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"}
    answer = player.client.post("/api.linkedin.com/rest/posts", json=body, headers=headers)
    [error] = answer.json["errorDetails"]["inputErrors"]
    assert answer.status_code == 422 and error["code"] == "MISSING_FIELD"
    assert error["input"]["inputPath"]["fieldPath"] == field


def test_three_thousand_visible_characters_fit(player, app):
    token = player.li_tokens(app)["access_token"]
    assert player.li_post(token, "\\(" * 3000).status_code == 201
    long = player.li_post(token, "a" * 3001)
    assert long.status_code == 400 and "3001 characters" in long.json["message"]
    assert long.json["errorDetails"]["inputErrors"][0]["code"] == "FIELD_ARRAY_SIZE_TOO_HIGH"


def test_a_duplicate_names_the_earlier_post_also_after_a_deletion(player, app):
    token = player.li_tokens(app)["access_token"]
    urn = player.li_post(token, "Once").headers["x-restli-id"]
    again = player.li_post(token, "Once")
    assert again.status_code == 422 and urn in again.json["message"]
    assert again.json["errorDetails"]["inputErrors"][0]["code"] == "DUPLICATE_POST"
    headers = bearer(token) | {"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"}
    url = "/api.linkedin.com/rest/posts/" + urn.replace(":", "%3A")
    assert [player.client.delete(url, headers=headers).status_code for _ in range(2)] == [204, 204]
    assert player.posts("linkedin") == []
    assert player.li_post(token, "Once").status_code == 422


def test_an_article_needs_source_and_title(player, app):
    token = player.li_tokens(app)["access_token"]
    article = {"source": "https://harbour.example/", "title": "Menu"}
    assert player.li_post(token, "See", content={"article": article}).status_code == 201
    assert player.posts("linkedin")[0]["link"] == "https://harbour.example/"
    for broken in ({"title": "Menu"}, {"source": "https://harbour.example/"}):
        assert player.li_post(token, "See more", content={"article": broken}).status_code == 422
    assert player.li_post(token, "Look", content={"media": {"id": "urn:li:image:1"}}).status_code == 422


# Pages, media and all that hangs on them

PAGES = "r_basicprofile rw_organization_admin w_organization_social r_organization_social"
ACME, LABS, CLUB = "5583111", "5583112", "5583113"
ACME_URN = f"urn:li:organization:{ACME}"
PART = 4 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


class Caller:
    """Somebody with a token who speaks the protocol."""

    def __init__(self, player, mode="organization", scope=PAGES, **settings):
        self.player, self.client = player, player.client
        self.token = player.li_tokens(player.make("linkedin", mode=mode, **settings), scope=scope)["access_token"]
        self.headers = bearer(self.token) | {"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"}

    def ask(self, path, method="GET", **options):
        return self.client.open(f"/api.linkedin.com/rest/{path}", method=method, headers=self.headers, **options)

    def begin(self, collection="images", **facts):
        return self.ask(f"{collection}?action=initializeUpload", "POST",
                        json={"initializeUploadRequest": {"owner": ACME_URN, **facts}})

    def put(self, address, data, **headers):
        return self.client.put(address.removeprefix(BASE), data=data, headers=bearer(self.token) | headers)

    def image(self, data=PNG):
        value = self.begin().json["value"]
        assert self.put(value["uploadUrl"], data).status_code == 201
        return value["image"]

    def post(self, content=None, commentary="Hi", author=ACME_URN):
        return self.player.li_post(self.token, commentary, author=author, content=content)


@pytest.fixture
def page(player):
    return Caller(player)


def test_roles_come_in_pages_and_old_spellings(page):
    first = page.ask("organizationAcls?q=roleAssignee&state=APPROVED&count=2&start=0").json
    assert [one["role"] for one in first["elements"]] == ["ADMINISTRATOR", "CONTENT_ADMINISTRATOR"]
    assert first["elements"][0]["organization"] == ACME_URN and "organizationalTarget" in first["elements"][1]
    assert first["paging"]["links"][0]["rel"] == "next"
    rest = page.ask("organizationAcls?q=roleAssignee&state=APPROVED&count=2&start=2").json
    assert len(rest["elements"]) == 2 and rest["paging"]["links"] == []
    assert page.ask("organizationAcls?q=roleAssignee&state=REQUESTED").json["elements"][0]["state"] == "REQUESTED"


@pytest.mark.parametrize(("path", "status"), [
    ("organizationAcls?state=APPROVED", 400), ("organizationAcls?q=roleAssignee&limit=5", 400),
    (f"organizations/{CLUB}", 403), ("organizations/1", 404), (f"organizationsLookup?ids=List({ACME},{CLUB})", 403),
    (f"organizationsLookup?ids={ACME}", 400), (f"organizationsLookup?ids=List({CLUB})", 200),
    (f"organizations/{LABS}?fields=id", 400), ("posts?q=author&author=urn%3Ali%3Aperson%3Ax", 403),
    ("images/urn%3Ali%3Aimage%3AD4E1", 404), ("images/urn%3Ali%3Avideo%3AD4E1", 404)])
def test_what_may_be_read_of_pages(page, path, status):
    assert page.ask(path).status_code == status


def test_pages_need_their_own_app(player):
    member = Caller(player, "member", "openid profile w_member_social")
    assert member.ask("organizationAcls?q=roleAssignee").status_code == 403
    assert member.begin().status_code == 403
    assert player.look(player.make("linkedin"), scope="openid w_member_social_feed").status_code == 302
    assert player.look(player.make("linkedin", feed_scopes=True), scope="w_member_social_feed").status_code == 200


def test_the_exchange_of_a_page_as_it_is_recorded(page):
    told = page.ask(f"organizations/{ACME}").json
    assert told == {"id": 5583111, "localizedName": "Acme", "vanityName": "acme",
                    "logoV2": {"original": f"urn:li:digitalmediaAsset:C4D{ACME}"}}


def test_a_decorated_profile_and_no_other_fields(page):
    ask = lambda projection: page.client.get("/api.linkedin.com/v2/me", headers=page.headers,  # noqa: E731
                                             query_string={"projection": projection})
    told = ask("(id,vanityName,profilePicture(displayImage~:playableStreams))").json
    assert set(told) == {"id", "vanityName", "profilePicture"}
    assert told["profilePicture"]["displayImage~"]["elements"][-1]["identifiers"][0]["identifier"].endswith(".png")
    assert ask("(id,birthDate)").status_code == 400


def test_a_picture_must_be_processed_before_it_is_attached(page):
    urn = page.image()
    early = page.post({"media": {"id": urn}})
    assert early.status_code == 422 and "not available" in early.json["message"]
    status = f"images/{urn.replace(':', '%3A')}"
    assert [page.ask(status).json["status"] for _ in range(2)] == ["PROCESSING", "AVAILABLE"]
    assert page.post({"media": {"id": urn, "altText": "cat"}}).status_code == 201
    [post] = page.player.posts("linkedin")
    assert (post["author_name"], post["media"][0]["alt"], post["media"][0]["kind"]) == ("Acme", "cat", "image")


def test_an_upload_address_takes_one_file_from_its_own_token_for_an_hour(page):
    value = page.begin().json["value"]
    assert page.client.put(value["uploadUrl"].removeprefix(BASE), data=PNG).status_code == 401
    assert [page.put(value["uploadUrl"], PNG).status_code for _ in range(2)] == [201, 400]
    late = page.begin().json["value"]["uploadUrl"]
    page.player.clock.forward(3601)
    assert page.put(late, PNG).status_code == 404


def test_a_file_of_another_type_fails(page):
    urn = page.image(b"GIF? no").replace(":", "%3A")
    page.ask(f"images/{urn}")
    assert page.ask(f"images/{urn}").json["processingFailureReason"] == "Unsupported media type"


@pytest.mark.parametrize("facts", [{}, {"fileSizeBytes": 10, "uploadCaptions": False, "uploadThumbnail": False},
                                   {"fileSizeBytes": 100_000, "uploadCaptions": False}])
def test_a_video_is_announced_in_full(page, facts):
    assert page.begin("videos", **facts).status_code == 400


def test_the_parts_of_a_video_fit_exactly(page):
    size = PART + 100_000
    told = page.begin("videos", fileSizeBytes=size, uploadCaptions=False, uploadThumbnail=False).json["value"]
    first, second = told["uploadInstructions"]
    assert (first["firstByte"], first["lastByte"], second["lastByte"]) == (0, PART - 1, size - 1)
    octets, data = {"Content-Type": "application/octet-stream"}, b"\0\0\0\x18ftypisom" + bytes(size - 12)
    assert page.put(second["uploadUrl"], data[PART:], **octets).status_code == 400
    assert page.put(first["uploadUrl"], data[: PART - 1], **octets).status_code == 400
    assert page.put(first["uploadUrl"], data[:PART]).status_code == 400
    tags = [page.put(one["uploadUrl"], data[one["firstByte"] : one["lastByte"] + 1], **octets).headers["ETag"]
            for one in (first, second)]

    def finalize(parts, token):
        return page.ask("videos?action=finalizeUpload", "POST", json={"finalizeUploadRequest": {
            "video": told["video"], "uploadToken": token, "uploadedPartIds": parts}}).status_code

    assert finalize(tags[::-1], told["uploadToken"]) == 400 and finalize(tags, "") == 400
    assert finalize(tags, told["uploadToken"]) == 200 and finalize(tags, told["uploadToken"]) == 400


@pytest.mark.parametrize("content", [
    {"multiImage": {"images": [{"id": "x"}]}}, {"media": {}}, {"media": {"id": "urn:li:image:D4E0"}},
    {"poll": {"question": "?", "options": [{"text": "a"}], "settings": {"duration": "ONE_DAY"}}},
    {"poll": {"question": "?", "options": [{"text": "a"}, {"text": "b"}], "settings": {"duration": "ONE_WEEK"}}},
    {"poll": {"question": "?" * 141, "options": [{"text": "a"}, {"text": "b"}], "settings": {"duration": "ONE_DAY"}}},
    {"article": {"source": "https://a.example", "title": "A", "image": "x"}},
    {"article": {"source": "https://a.example", "title": "A", "thumbnail": "https://a.example/x.png"}},
    {"carousel": {}}, {"article": {"source": "https://a.example", "title": "A"}, "poll": {}}])
def test_content_that_is_refused(page, content):
    assert page.post(content).status_code == 422 and page.player.posts("linkedin") == []


def test_pages_are_posted_to_by_those_with_the_role(page):
    assert page.post(author=f"urn:li:organization:{LABS}").status_code == 201
    for refused in (f"urn:li:organization:{CLUB}", "urn:li:organization:1"):
        assert page.post(commentary="No", author=refused).status_code == 403
    found = page.ask(f"posts?q=author&author=urn%3Ali%3Aorganization%3A{LABS}&count=10").json["elements"]
    assert [one["commentary"] for one in found] == ["Hi"] and page.ask("posts?q=author&author=x").status_code == 400


def test_a_comment_needs_its_scope_and_a_post(player):
    page = Caller(player, scope=PAGES + " w_organization_social_feed")
    urn = page.post().headers["x-restli-id"]

    def say(on, **more):
        return page.ask(f"socialActions/{on.replace(':', '%3A')}/comments", "POST",
                        json={"actor": ACME_URN, "object": on, "message": {"text": "More (here)"}, **more})

    assert say(urn).headers["x-restli-id"] and say("urn:li:share:1").status_code == 404
    assert say(urn, parentComment="x").status_code == 422
    assert player.posts("linkedin")[0]["text"] == "More (here)"
    plain = Caller(player)
    assert plain.ask(f"socialActions/{urn.replace(':', '%3A')}/comments", "POST", json={
        "actor": ACME_URN, "object": urn, "message": {"text": "x"}}).json["code"] == "ACCESS_DENIED"


def test_media_belongs_to_the_one_it_was_announced_for(page):
    urn = page.image()
    for _ in range(2):
        page.ask(f"images/{urn.replace(':', '%3A')}")
    foreign = page.post({"media": {"id": urn}}, author=f"urn:li:organization:{LABS}")
    assert foreign.status_code == 422 and "owner is not the author" in foreign.json["message"]
