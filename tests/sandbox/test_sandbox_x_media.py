"""X in the sandbox takes media, polls and chains as X does, and refuses what X refuses."""

import hashlib
import io

import pytest

from tests.sandbox.player import ACME, BOB, Player, bearer

MEGABYTE = 1024 * 1024
JPEG = b"\xff\xd8\xff\xe0" + bytes(500)
GIF = b"GIF89a" + bytes(500)
MP4 = bytes(4) + b"ftypisom" + bytes(3 * MEGABYTE - 12)
PETRA = "1712345678901234567"
SCOPE = "tweet.read tweet.write users.read offline.access media.write"
API = "/api.x.com/2"


class Uploader:
    """Somebody with a token who uploads."""

    def __init__(self, player: Player, person: str = ACME, app=None) -> None:
        self.player, self.app = player, app or player.make("twitter")
        self.token = player.x_tokens(self.app, person, scope=SCOPE)["access_token"]

    def post(self, path, **more):
        return self.player.client.post(f"{API}/{path}", headers=bearer(self.token), **more)

    def initialize(self, content=JPEG, type="image/jpeg", category="tweet_image", **changes):
        body = {"media_type": type, "total_bytes": len(content), "media_category": category} | changes
        body = {name: value for name, value in body.items() if value is not None}
        return self.post("media/upload/initialize", json=body)

    def append(self, media_id, /, piece=JPEG, index="0", **more):
        data = {"segment_index": index, "media": (io.BytesIO(piece), "media")} | more
        data = {name: value for name, value in data.items() if value is not None}
        return self.post(f"media/upload/{media_id}/append", data=data)

    def finalize(self, media_id, **more):
        return self.post(f"media/upload/{media_id}/finalize", **more)

    def status(self, media_id, /, **query):
        query = {"command": "STATUS", "media_id": media_id} | query
        return self.player.client.get(f"{API}/media/upload", query_string=query, headers=bearer(self.token))

    def describe(self, media_id, text="Bread"):
        return self.post("media/metadata", json={"id": media_id, "metadata": {"alt_text": {"text": text}}})

    def whole(self, content=JPEG, type="image/jpeg", category="tweet_image"):
        media_id = self.initialize(content, type, category).json["data"]["id"]
        for number in range(0, len(content), MEGABYTE):
            piece = content[number : number + MEGABYTE]
            assert self.append(media_id, piece, str(number // MEGABYTE)).status_code == 200
        answer = self.finalize(media_id)
        assert answer.status_code == 200, answer.text
        return media_id

    def tweet(self, text="Hi", **more):
        body = {"text": text, **more}
        return self.post("tweets", json={name: value for name, value in body.items() if value is not None})


@pytest.fixture
def up(player):
    return Uploader(player)


def refused(answer, status=400):
    assert answer.status_code == status, answer.text
    return answer.json


# The exchange of the sheet


def test_a_video_as_the_vendor_records_it(player, up):
    begun = up.initialize(MP4, "video/mp4", "tweet_video").json["data"]
    media_id = begun["id"]
    assert begun == {"id": media_id, "media_key": f"13_{media_id}", "expires_after_secs": 86400}
    for number in range(3):
        piece = up.append(media_id, MP4[number * MEGABYTE : (number + 1) * MEGABYTE], str(number))
        assert piece.json == {"data": {"expires_at": int(player.clock.instant + 86400)}}
    finished = up.finalize(media_id).json["data"]
    assert finished["size"] == 3145728
    assert finished["processing_info"] == {"state": "pending", "check_after_secs": 1}
    assert "media IDs" in refused(up.tweet(media={"media_ids": [media_id]}))["errors"][0]["message"]
    player.clock.forward(1)
    assert up.status(media_id).json["data"]["processing_info"]["state"] == "in_progress"
    assert up.status(media_id).json["data"]["processing_info"]["progress_percent"] == 40
    player.clock.forward(1)
    assert up.status(media_id).json["data"]["processing_info"]["state"] == "succeeded"
    assert up.tweet(media={"media_ids": [media_id]}).status_code == 201
    [post] = player.posts("twitter")
    digest = hashlib.sha256(MP4).hexdigest()
    assert post["media"] == [{"kind": "video", "mime": "video/mp4", "size": 3145728, "sha256": digest, "alt": ""}]
    assert post["format"] == "video"


def test_asking_too_early_tells_nothing_new(player, up):
    player.client.post("/portal/api/settings", json={"processing_polls": 0})
    bad = up.whole(b"nothing real", "video/mp4", "tweet_video")
    player.client.post("/portal/api/settings", json={"processing_polls": 1})
    good = up.whole(GIF, "image/gif", "tweet_gif")
    for media_id in (bad, good, good, good):
        assert up.status(media_id).json["data"]["processing_info"]["state"] == "in_progress"
    player.clock.forward(1)
    failed = up.status(bad).json["data"]["processing_info"]
    assert failed["state"] == "failed" and failed["error"]["message"]
    assert refused(up.tweet(media={"media_ids": [bad]}))
    assert up.status(good).json["data"]["processing_info"]["state"] == "in_progress"


def test_a_picture_is_ready_at_once_and_can_be_described(player, up):
    media_id = up.whole()
    assert up.describe(media_id, "Rye").json["data"]["id"] == media_id
    answer = up.tweet(None, media={"media_ids": [media_id]})
    assert answer.status_code == 201 and answer.json["data"]["text"].startswith("https://t.co/")
    [post] = player.posts("twitter")
    assert (post["text"], post["format"], post["media"][0]["alt"]) == ("", "image", "Rye")


# Uploads that X refuses


@pytest.mark.parametrize("changes", [
    {"media_type": None}, {"media_category": None}, {"total_bytes": None}, {"media_type": "image/x"},
    {"media_category": "amplify_video"}, {"total_bytes": "504"}, {"total_bytes": 0}, {"total_bytes": True},
    {"total_bytes": 5 * MEGABYTE + 1}, {"shared": False}, {"media_category": "TWEET_IMAGE"}])  # fmt: skip
def test_an_announcement_that_x_refuses(up, changes):
    assert refused(up.initialize(**changes))["type"].endswith("/invalid-request")


def test_an_announcement_is_json_and_has_no_query(up):
    body = {"media_type": "image/jpeg", "total_bytes": 5, "media_category": "tweet_image"}
    refused(up.post("media/upload/initialize", data=body))
    refused(up.post("media/upload/initialize?command=INIT", json=body))
    assert up.post("media/upload/initialize", json=body).status_code == 200


@pytest.mark.parametrize(("category", "type", "most"), [
    ("tweet_gif", "image/gif", 15 * MEGABYTE), ("tweet_video", "video/mp4", 8 * 1024 * MEGABYTE)])  # fmt: skip
def test_each_category_has_its_limit(player, up, category, type, most):
    assert up.initialize(type=type, category=category, total_bytes=most).status_code == 200
    refused(up.initialize(type=type, category=category, total_bytes=most + 1))
    petra = Uploader(player, PETRA, up.app).initialize(type=type, category=category, total_bytes=most + 1)
    assert petra.status_code == (200 if category == "tweet_video" else 400)


def test_pieces_come_in_order_and_the_last_may_come_again(up):
    media_id = up.initialize(MP4, "video/mp4", "tweet_video").json["data"]["id"]
    refused(up.append(media_id, MP4[:MEGABYTE], "1"))
    assert up.append(media_id, MP4[:MEGABYTE], "0").status_code == 200
    assert up.append(media_id, MP4[:MEGABYTE], "0").status_code == 200
    refused(up.append(media_id, MP4[: MEGABYTE - 1], "0"))
    refused(up.finalize(media_id))
    assert up.append(media_id, MP4[MEGABYTE : 2 * MEGABYTE], "1").status_code == 200
    refused(up.append(media_id, MP4[:MEGABYTE], "0"))
    refused(up.append(media_id, MP4[: 2 * MEGABYTE], "2"))
    assert up.append(media_id, MP4[2 * MEGABYTE :], "2").status_code == 200
    assert up.finalize(media_id).status_code == 200
    refused(up.finalize(media_id))
    refused(up.append(media_id, b"x", "3"))


@pytest.mark.parametrize("changes", [
    {"index": ""}, {"index": "-1"}, {"index": "1000"}, {"index": "first"}, {"index": None}, {"media": None},
    {"to": "1"}, {"piece": b""}])  # fmt: skip
def test_a_piece_that_x_refuses(up, changes):
    media_id = up.initialize().json["data"]["id"]
    refused(up.append(changes.pop("to", media_id), **changes))


def test_a_piece_is_multipart_of_five_megabytes_at_most(up):
    media_id = up.initialize(bytes(8 * MEGABYTE), "video/mp4", "tweet_video").json["data"]["id"]
    refused(up.post(f"media/upload/{media_id}/append", json={"media": "aGk=", "segment_index": 0}))
    refused(up.append(media_id, bytes(5 * MEGABYTE + 1)))
    refused(up.append("99", JPEG))
    refused(up.append("x", JPEG))
    assert up.append(media_id, bytes(5 * MEGABYTE)).status_code == 200


def test_the_end_of_an_upload_has_no_body(up):
    media_id = up.initialize().json["data"]["id"]
    up.append(media_id)
    refused(up.finalize(media_id, json={"media_id": media_id}))
    assert up.finalize(media_id, json={}).status_code == 200


def test_a_picture_that_is_none_is_refused(up):
    media_id = up.initialize(GIF).json["data"]["id"]
    up.append(media_id, GIF)
    refused(up.finalize(media_id))


def test_media_belong_to_their_owner_and_live_a_day(player, up):
    media_id, bob = up.whole(), Uploader(player, BOB, up.app)
    refused(bob.describe(media_id))
    refused(bob.tweet(media={"media_ids": [media_id]}))
    refused(Uploader(player).tweet(media={"media_ids": [media_id]}))  # another app
    player.client.post("/portal/api/settings", json={"processing_polls": 1})
    player.clock.forward(7199)
    assert up.tweet(media={"media_ids": [media_id]}).status_code == 201
    player.clock.forward(86_400 - 7199)
    up.token = player.x_tokens(up.app, ACME, scope=SCOPE)["access_token"]
    refused(up.tweet("Late", media={"media_ids": [media_id]}))
    refused(up.status(media_id))


@pytest.mark.parametrize("query", [{"command": "status"}, {"command": ""}, {"media_id": "x"}, {"media_id": "1"},
                                   {"more": "1"}])  # fmt: skip
def test_a_question_that_x_refuses(up, query):
    refused(up.status(up.whole(), **query))


@pytest.mark.parametrize("body", [
    {"metadata": {"alt_text": {"text": ""}}}, {"metadata": {"alt_text": {"text": "a" * 1001}}}, {"metadata": {}},
    {"metadata": {"alt_text": "Bread"}}, {"metadata": {"alt_text": {"text": "a"}, "geo": {}}}, {"alt_text": "a"},
    {"id": "1", "metadata": {"alt_text": {"text": "a"}}}, {"id": 5, "metadata": {"alt_text": {"text": "a"}}},
])  # fmt: skip
def test_a_description_that_x_refuses(up, body):
    refused(up.post("media/metadata", json={"id": up.whole()} | body))


def test_only_what_is_ready_can_be_described(player, up):
    refused(up.describe(up.whole(GIF, "image/gif", "tweet_gif")))
    assert up.describe(up.whole(), "a" * 1000).status_code == 200


def test_every_call_needs_the_scope(player, up):
    media_id = up.whole()
    up.token = player.x_tokens(up.app)["access_token"]
    for answer in (up.initialize(), up.append(media_id), up.finalize(media_id), up.status(media_id),
                   up.describe(media_id)):  # fmt: skip
        assert refused(answer, 403)["detail"] == "You are not permitted to perform this action."


# Posts of media


def test_four_pictures_or_one_thing_that_moves(player, up):
    player.client.post("/portal/api/settings", json={"processing_polls": 0})
    pictures = [up.whole() for _ in range(5)]
    gif, video = up.whole(GIF, "image/gif", "tweet_gif"), up.whole(MP4, "video/mp4", "tweet_video")
    for names in (pictures, [gif, video], [gif, pictures[0]], [pictures[0]] * 2, [], "1", [1]):
        refused(up.tweet(media={"media_ids": names}))
    for names in (pictures[:4], [gif], [video]):
        assert up.tweet(f"Fine {len(names)} {names[0]}", media={"media_ids": names}).status_code == 201
    refused(up.tweet("More", media={"media_ids": [gif], "tagged_user_ids": []}))


def test_a_wrong_category_uploads_well_and_fails_in_the_post(player, up):
    player.client.post("/portal/api/settings", json={"processing_polls": 0})
    media_id = up.whole(MP4, "video/mp4", "tweet_gif")
    refused(up.tweet(media={"media_ids": [media_id]}))


def test_the_same_files_without_text_are_a_duplicate(up):
    media_id = up.whole()
    assert up.tweet(None, media={"media_ids": [media_id]}).status_code == 201
    assert "duplicate" in refused(up.tweet(None, media={"media_ids": [media_id]}), 403)["detail"]
    assert up.tweet(None, media={"media_ids": [up.whole()]}).status_code == 201


# Polls, chains, choices


def test_a_poll(player, up):
    poll = {"options": ["Rye", "Wheat"], "duration_minutes": 1440}
    assert up.tweet("Which?", poll=poll).status_code == 201
    [post] = player.posts("twitter")
    assert post["format"] == "poll" and post["facts"]["poll"] == poll


@pytest.mark.parametrize("changes", [
    {"options": ["Rye"]}, {"options": list("abcde")}, {"options": ["Rye", ""]}, {"options": ["Rye", "w" * 26]},
    {"options": "Rye"}, {"duration_minutes": 4}, {"duration_minutes": 10081}, {"duration_minutes": "60"},
    {"duration_minutes": True}, {"question": "Which?"}])  # fmt: skip
def test_a_poll_that_x_refuses(up, changes):
    refused(up.tweet("Which?", poll={"options": ["Rye", "Wheat"], "duration_minutes": 5} | changes))


def test_a_poll_has_text_and_no_media(up):
    poll = {"options": ["Rye", "Wheat"], "duration_minutes": 5}
    refused(up.tweet("", poll=poll))
    refused(up.tweet("Which?", poll=poll, media={"media_ids": [up.whole()]}))


def test_a_chain_answers_own_posts_only(player, up):
    first = up.tweet("One").json["data"]["id"]
    second = up.tweet("Two", reply={"in_reply_to_tweet_id": first})
    assert second.status_code == 201 and player.posts("twitter")[0]["reply_to"] == first
    bob = Uploader(player, BOB, up.app)
    assert "not allowed" in refused(bob.tweet("Me too", reply={"in_reply_to_tweet_id": first}), 403)["detail"]
    for reply in ({}, {"in_reply_to_tweet_id": "x"}, {"in_reply_to_tweet_id": 1}, first,
                  {"in_reply_to_tweet_id": first, "root": first}):  # fmt: skip
        refused(up.tweet("Three", reply=reply))


def test_choices_are_kept_and_checked(player, up):
    choices = {"reply_settings": "verified", "made_with_ai": True, "paid_partnership": True}
    assert up.tweet("Fine", **choices).status_code == 201
    assert player.posts("twitter")[0]["facts"] == choices
    for wrong in ({"reply_settings": ""}, {"reply_settings": "everyone"}, {"made_with_ai": "yes"},
                  {"paid_partnership": 1}):  # fmt: skip
        refused(up.tweet("No", **wrong))
    refused(up.tweet("No", community_id="1"), 403)


def test_a_subscription_takes_long_texts(player, up):
    long_text = "bread " * 200
    refused(up.tweet(long_text), 403)
    petra = Uploader(player, PETRA, up.app)
    assert petra.tweet(long_text).status_code == 201
    refused(petra.tweet("a" * 25_001), 403)
    query = "max_results=5&tweet.fields=note_tweet"
    listed = player.client.get(f"{API}/users/{PETRA}/tweets?{query}", headers=bearer(petra.token)).json["data"][0]
    assert listed["note_tweet"]["text"] == long_text.strip() and len(listed["text"]) <= 300


# Lists and limits


def test_the_list_names_media_and_knows_its_parameters(player, up):
    media_id = up.whole()
    up.tweet(media={"media_ids": [media_id]})

    def listed(query):
        return player.client.get(f"{API}/users/{ACME}/tweets?{query}", headers=bearer(up.token))

    [post] = listed("tweet.fields=attachments").json["data"]
    assert post["attachments"] == {"media_keys": [f"3_{media_id}"]}
    for query in ("post.fields=created_at", "limit=5", "tweet.fields=shoe_size", "tweet.fields=note_post"):
        refused(listed(query))
    player.change(up.app, newer_names=True)
    refused(listed("tweet.fields=created_at"))
    assert "created_at" in listed("post.fields=created_at,note_post").json["data"][0]


def test_the_app_has_a_limit_for_all_its_people_in_a_day(player, up):
    player.client.post("/portal/api/settings", json={"quotas": {"twitter": 2}})
    bob = Uploader(player, BOB, up.app)
    assert [up.tweet("1").status_code, bob.tweet("2").status_code] == [201, 201]
    full = up.tweet("3")
    assert full.status_code == 429 and full.headers["x-app-limit-24hour-remaining"] == "0"
    assert float(full.headers["x-app-limit-24hour-reset"]) == player.clock.instant + 86_400
    assert int(full.headers["x-rate-limit-remaining"]) > 0
    assert Uploader(player).tweet("Another app").status_code == 201


def test_faults_meet_uploads_questions_and_descriptions(player, up):
    media_id = up.whole()
    for name, call in (("upload", up.initialize), ("status", lambda: up.status(media_id)),
                       ("metadata", lambda: up.describe(media_id))):  # fmt: skip
        player.order("twitter", name, "429", seconds=60)
        assert call().status_code == 429 and call().status_code == 200


def test_everything_about_an_upload_survives_a_restart(tmp_path):
    before = Player(tmp_path / "sandbox.state")
    up = Uploader(before)
    media_id = up.initialize(MP4, "video/mp4", "tweet_video").json["data"]["id"]
    up.append(media_id, MP4[:MEGABYTE])
    up.player = Player(tmp_path / "sandbox.state", before.clock)
    for number in (1, 2):
        assert up.append(media_id, MP4[number * MEGABYTE : (number + 1) * MEGABYTE], str(number)).status_code == 200
    assert up.finalize(media_id).status_code == 200
    new = up.initialize().json["data"]["id"]
    assert int(new) > int(media_id)
