"""Posts over the API: written once, changed in the version that was read, approved, cancelled, deleted."""

import json
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socialconsole.api import rates
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    EDITOR,
    FAILED,
    HELD,
    MISSED,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SUBMITTED,
    UNCONFIRMED,
    VIEWER,
    AuditEvent,
    Delivery,
    Media,
    Membership,
    Post,
    Workspace,
    new_id,
)
from socialconsole.models_api import ApiAnswer
from socialconsole.public_ids import inner, public
from tests.journeys.api_program import program

CANARY = "canary-secret-7f3a9"


@pytest.fixture
def ask(house, monkeypatch):
    """A program with a key of Alice's."""
    monkeypatch.setattr(rates, "OF_KEY", rates.Limit("key", 10**9))
    return program(house)


def body_of(account, **more):
    return {"accountIds": [account], "text": "Saffron buns are back", "when": "now", **more}


def role(house, person, name):
    with house.app.app_context(), writing() as session:
        session.get_one(Membership, (house.cast.bakery.id, person.id)).role = name


def needs_approval(house):
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).needs_approval = True


def a_file(house, where=None):
    with house.app.app_context(), writing() as session:
        made = Media(id=new_id("med"), workspace_id=(where or house.cast.bakery).id, kind="image", type="image/jpeg",
                     name="bun.jpg", size=1000, sha256="0" * 64, width=800, height=600, created_at=house.clock())
        session.add(made)
        return made.id


def fields(answer):
    return {one["field"] for one in answer.json["errors"]}


# ---------------------------------------------------------------- writing


def test_a_post_is_written_and_told_with_its_deliveries(house, ask):
    account = house.account()
    made = ask("POST", "/posts", body_of(account))
    assert made.status_code == 201 and made.json["id"].startswith("post_") and made.json["state"] == SCHEDULED
    one = made.json["deliveries"][0]
    assert (one["accountId"], one["state"], one["attempts"]) == (account, SCHEDULED, 0)
    again = ask("GET", f"/posts/{made.json['id']}")
    assert again.json == made.json and again.headers["ETag"] == made.headers["ETag"]
    assert ask("GET", f"/posts/{made.json['id']}", headers={"If-None-Match": again.headers["ETag"]}).status_code == 304
    assert ask("GET", f"/deliveries/{one['id']}").json == one


def test_the_time_is_an_instant_or_a_time_of_the_workspaces_clock(house, ask):
    account = house.account()
    at = f"{house.clock().year + 1}-01-15T11:30:00Z"
    made = ask("POST", "/posts", {"accountIds": [account], "text": "One", "scheduledAt": at}).json
    assert made["scheduledAt"] == at and made["when"] == "later"
    same = ask("POST", "/posts", {"accountIds": [account], "text": "Two", "wallTime": made["wallTime"]}).json
    assert same["scheduledAt"] == at
    both = ask("POST", "/posts", {"accountIds": [account], "text": "x", "scheduledAt": at, "wallTime": at[:16]})
    assert fields(both) == {"wallTime"}
    past = ask("POST", "/posts", {"accountIds": [account], "text": "x", "scheduledAt": "2001-01-01T00:00:00Z"})
    assert past.status_code == 422 and fields(past) == {"scheduledAt"}
    assert fields(ask("POST", "/posts", body_of(account, scheduledAt=at))) == {"when"}
    assert house.count(Post) == 2
    unsaid = ask("POST", "/posts", {"accountIds": [account], "text": "At once"}).json
    assert unsaid["scheduledAt"] == f"{house.clock():%Y-%m-%dT%H:%M:%SZ}" and len(unsaid["deliveries"]) == 1


def test_variations_parts_and_choices_are_those_of_the_composer(house, ask):
    first, second = house.account(), house.account(name="Acme Two", user="two")
    made = ask("POST", "/posts", {
        "accountIds": [first, second], "text": "For all", "when": "queue", "draft": True,
        "variations": {second: {"text": "For two", "firstComment": "Hello"}},
        "parts": [{"text": "Second part"}], "poll": {"question": "Which?", "options": ["A", "B"], "minutes": 60},
        "formats": {first: "text"}, "options": {first: {"some": True, "other": "x"}}}).json
    assert made["variations"] == {second: {"text": "For two", "firstComment": "Hello", "chain": True}}
    assert made["parts"] == [{"text": "Second part", "media": []}] and made["poll"]["options"] == ["A", "B"]
    with house.app.app_context():
        kept = db.session.get_one(Post, inner(made["id"]))
        assert {one["account_id"]: one["options"] for one in kept.targets}[first] == {"some": "yes", "other": "x"}
    assert made["state"] == DRAFT and made["when"] == "queue" and made["accountIds"] == [first, second]


def test_what_the_composer_refuses_is_named_by_the_fields_of_the_api(house, ask):
    first, second = house.account(), house.account(name="Acme Two", user="two")
    long = "x" * 400
    answer = ask("POST", "/posts", {"accountIds": [first, second], "text": long, "when": "now",
                                    "variations": {second: {"text": long}}})
    assert answer.status_code == 422 and fields(answer) == {"text", f"variations.{second}.text"}
    assert fields(ask("POST", "/posts", {"text": "x", "when": "now"})) == {"accountIds"}
    assert fields(ask("POST", "/posts", {"accountIds": [first], "when": "queue", "text": "x"})) == {"when"}
    assert ask("POST", "/posts", body_of(first)).status_code == 201
    twice = ask("POST", "/posts", body_of(first))
    assert fields(twice) == {"again"} and "Tick" not in twice.text
    assert ask("POST", "/posts", body_of(first, again=True)).status_code == 201


def test_a_dry_run_says_what_would_happen_and_writes_nothing(house, ask):
    first, second = house.account(), house.account(name="Acme Two", user="two")
    before = [house.count(one) for one in (Post, Delivery, AuditEvent)]
    good = ask("POST", "/posts", body_of(first, dryRun=True))
    assert good.status_code == 200 and good.json["ok"] and good.json["wouldBe"] == SCHEDULED
    assert good.json["scheduledAt"] and good.json["accounts"][0]["accountId"] == first
    bad = ask("POST", "/posts", {"accountIds": [first, second], "text": "Fits", "when": "now", "dryRun": True,
                                 "variations": {second: {"text": "x" * 400}}}).json
    assert not bad["ok"] and [one["ok"] for one in bad["accounts"]] == [True, False]
    assert bad["errors"][0]["field"] == f"variations.{second}.text" and bad["accounts"][1]["problems"]
    assert ask("POST", "/posts", {"draft": True, "dryRun": True}).json["ok"] is False
    assert [house.count(one) for one in (Post, Delivery, AuditEvent)][:2] == before[:2]


def test_what_is_not_in_the_workspace_is_named_and_nothing_is_written(house, ask):
    mine = house.account()
    theirs, file = house.account(workspace=house.cast.cycles.id), a_file(house, house.cast.cycles)
    answer = ask("POST", "/posts", body_of(mine, accountIds=[mine, theirs], media=[file], altTexts={file: "A bun"}))
    assert answer.status_code == 422
    assert fields(answer) == {"accountIds.1", "media.0", f"altTexts.{file}"} and house.count(Post) == 0


# ---------------------------------------------------------------- once


def test_fifty_identical_requests_at_once_are_one_post(house, ask):
    account, given = house.account(), []
    ask("GET", "/posts")

    def send():
        given.append(ask("POST", "/posts", body_of(account), headers={"Idempotency-Key": "same"}))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.status_code for one in given} <= {201, 409} and house.count(Post) == house.count(Delivery) == 1
    made = [one.json["id"] for one in given if one.status_code == 201]
    assert made and len(set(made)) == 1


def test_without_its_kept_answer_a_repeated_request_is_still_one_post(house, ask):
    account, key = house.account(), {"Idempotency-Key": "one"}
    first = ask("POST", "/posts", body_of(account), headers=key).json
    with house.app.app_context(), writing() as session:  # cut off before its answer was kept
        session.query(ApiAnswer).delete()
    assert ask("POST", "/posts", body_of(account), headers=key).json["id"] == first["id"]
    house.clock.advance(hours=25)
    later = ask("POST", "/posts", body_of(account), headers=key).json
    assert later["id"] != first["id"] and house.count(Post) == 2


# ---------------------------------------------------------------- changing


def test_of_two_changes_of_the_same_version_one_wins(house, ask):
    account = house.account()
    made = ask("POST", "/posts", {"accountIds": [account], "text": "First", "draft": True})
    path, seen, given = f"/posts/{made.json['id']}", {"If-Match": made.headers["ETag"]}, []

    def change(text):
        given.append(ask("PATCH", path, {"text": text}, headers=seen))

    threads = [threading.Thread(target=change, args=(text,)) for text in ("Left", "Right")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.status_code for one in given) == [200, 412]
    assert next(one for one in given if one.status_code == 412).json["code"] == "version_conflict"
    won = next(one for one in given if one.status_code == 200).json
    assert ask("GET", path).json["text"] == won["text"]
    assert ask("PATCH", path, {"text": "Later"}).json["text"] == "Later"


def test_a_change_keeps_what_it_leaves_out(house, ask):
    account, at = house.account(), f"{house.clock().year + 1}-01-15T11:30:00Z"
    made = ask("POST", "/posts", {"accountIds": [account], "text": "One", "scheduledAt": at}).json
    changed = ask("PATCH", f"/posts/{made['id']}", {"text": "Two"})
    assert changed.status_code == 200 and changed.json["text"] == "Two" and changed.json["scheduledAt"] == at
    assert changed.json["version"] == made["version"] + 1 and changed.json["accountIds"] == [account]
    tried = ask("PATCH", f"/posts/{made['id']}", {"text": "x" * 400, "dryRun": True}).json
    assert tried["dryRun"] and not tried["ok"] and ask("GET", f"/posts/{made['id']}").json == changed.json
    assert ask("PATCH", f"/posts/{made['id']}", {"draft": True}).json["code"] == "conflict"


def test_a_draft_stays_one_until_it_is_sent_off(house, ask):
    account = house.account()
    made = ask("POST", "/posts", {"text": "An idea", "draft": True}).json
    kept = ask("PATCH", f"/posts/{made['id']}", {"accountIds": [account], "when": "now"}).json
    assert kept["state"] == DRAFT and kept["accountIds"] == [account] and house.count(Delivery) == 0
    sent = ask("PATCH", f"/posts/{made['id']}", {"draft": False})
    assert sent.status_code == 200 and sent.json["state"] == SCHEDULED and len(sent.json["deliveries"]) == 1


@pytest.mark.parametrize("state", [PUBLISHING, PUBLISHED, UNCONFIRMED])
def test_what_is_on_its_way_is_not_changed(house, ask, state):
    post, _ = house.delivery(state)
    answer = ask("PATCH", f"/posts/{public(post)}", {"text": "Other"})
    assert answer.status_code == 409 and answer.json["code"] == "conflict"


def test_what_failed_is_not_sent_by_a_mere_change(house, ask):
    post, _ = house.delivery(FAILED)
    assert fields(ask("PATCH", f"/posts/{public(post)}", {"text": "Other"})) == {"when"}
    assert ask("PATCH", f"/posts/{public(post)}", {"text": "Other", "when": "now"}).json["counts"] == {SCHEDULED: 1}


# ---------------------------------------------------------------- approval


def test_who_must_ask_submits_and_an_owner_decides(house, ask):
    account = house.account()
    needs_approval(house)
    role(house, house.cast.bob, EDITOR)
    write, decide = ("read", "write_posts"), ("read", "approve")
    made = ask("POST", "/posts", body_of(account), person=house.cast.bob, may=write)
    assert made.status_code == 202 and made.json["state"] == SUBMITTED and house.count(Delivery) == 0
    path = f"/posts/{made.json['id']}"
    assert ask("POST", f"{path}/approve", {}, person=house.cast.bob, may=write).status_code == 403
    back = ask("POST", f"{path}/send-back", {"note": "Shorter"}, may=decide).json
    assert (back["state"], back["reviewNote"]) == (DRAFT, "Shorter")
    assert ask("POST", f"{path}/approve", {}, may=decide).json["code"] == "conflict"
    changed = ask("PATCH", path, {"text": "Buns", "draft": False}, person=house.cast.bob, may=write)
    assert changed.status_code == 202
    old = {"If-Match": made.headers["ETag"]}
    assert ask("POST", f"{path}/approve", {}, headers=old).json["code"] == "version_conflict"
    done = ask("POST", f"{path}/approve", {}, headers={"If-Match": changed.headers["ETag"]})
    assert done.status_code == 200 and done.json["counts"] == {SCHEDULED: 1}


# ---------------------------------------------------------------- cancelling, deleting, mending


def test_drafts_and_scheduled_posts_are_deleted_and_again_changes_nothing(house, ask):
    account = house.account()
    draft = ask("POST", "/posts", {"text": "An idea", "draft": True}).json["id"]
    post, _ = house.delivery(SCHEDULED, account)
    for path in (f"/posts/{draft}", f"/posts/{public(post)}"):
        assert ask("DELETE", path).json["state"] == CANCELLED
        assert ask("DELETE", path).status_code == 200
    assert ask("GET", f"/posts/{public(post)}").json["counts"] == {CANCELLED: 1}


def test_what_is_published_stays_unless_it_is_asked_for_and_possible(house, ask):
    post, delivery = house.delivery(PUBLISHED)
    house.delivery(SCHEDULED, house.account(name="Two", user="two"), post_id=post)
    stays = ask("DELETE", f"/posts/{public(post)}")
    assert stays.status_code == 409 and stays.json["deliveryIds"] == [delivery]
    assert ask("DELETE", f"/posts/{public(post)}?deletePublished=true").status_code == 409  # it has no id there
    assert ask("GET", f"/posts/{public(post)}").json["counts"] == {PUBLISHED: 1, SCHEDULED: 1}
    moving, _ = house.delivery(PUBLISHING)
    assert ask("DELETE", f"/posts/{public(moving)}?deletePublished=true").json["code"] == "conflict"


@pytest.mark.parametrize(("state", "deed", "after"), [
    (FAILED, "retry", SCHEDULED), (MISSED, "retry", SCHEDULED), (HELD, "cancel", CANCELLED),
    (UNCONFIRMED, "mark-published", PUBLISHED), (UNCONFIRMED, "publish-again", SCHEDULED),
    (UNCONFIRMED, "check", UNCONFIRMED)])
def test_a_delivery_is_decided_as_on_its_page(house, ask, state, deed, after):
    _, delivery = house.delivery(state)
    answer = ask("POST", f"/deliveries/{delivery}/{deed}")
    assert answer.status_code == 200 and answer.json["state"] == after
    if after != state:
        assert ask("POST", f"/deliveries/{delivery}/{deed}").json["code"] == "conflict"


def test_a_post_is_retried_and_cancelled_as_a_whole(house, ask):
    post, _ = house.delivery(FAILED)
    assert ask("POST", f"/posts/{public(post)}/retry").json["counts"] == {SCHEDULED: 1}
    assert ask("POST", f"/posts/{public(post)}/retry").json["code"] == "conflict"
    assert ask("POST", f"/posts/{public(post)}/cancel").json["state"] == CANCELLED
    assert ask("POST", f"/posts/{public(post)}/cancel").json["code"] == "conflict"
    _, delivery = house.delivery(SCHEDULED)
    at = f"{house.clock().year + 1}-03-01T08:00:00Z"
    assert ask("POST", f"/deliveries/{delivery}/reschedule", {"scheduledAt": at}).json["scheduledFor"] == at
    assert fields(ask("POST", f"/deliveries/{delivery}/reschedule", {})) == {"wallTime"}


# ---------------------------------------------------------------- lists


def test_lists_have_pages_and_filters(house, ask):
    account, other = house.account(), house.account(name="Two", user="two")
    ids = [public(house.delivery(SCHEDULED, account, text=f"Bun {number}")[0]) for number in range(3)]
    failed = public(house.delivery(FAILED, other, text="Broken bread")[0])
    walked, cursor = [], ""
    while cursor is not None:
        page = ask("GET", f"/posts?limit=2{f'&cursor={cursor}' if cursor else ''}").json
        walked += [one["id"] for one in page["data"]]
        cursor = page["nextCursor"]
    assert walked == [failed, *reversed(ids)]

    def told(query):
        return [one["id"] for one in ask("GET", f"/posts?{query}").json["data"]]

    assert told("state=failed") == told("words=BREAD") == told(f"accountId={other}") == [failed]
    day = f"{house.clock():%Y-%m-%d}"
    assert len(told(f"from={day}T00:00:00Z&to={house.clock().year + 1}-01-01T00:00:00Z")) == 4
    assert told(f"to={day}T00:00:00Z") == []
    first = ask("GET", f"/posts?from={day}T00:00:00Z&limit=3").json
    assert len(told(f"from={day}T00:00:00Z&limit=3&cursor={first['nextCursor']}")) == 1
    drafts = [ask("POST", "/posts", {"text": f"Idea {one}", "draft": True}).json["id"] for one in range(2)]
    page = ask("GET", "/posts?state=draft&limit=1").json
    assert [page["data"][0]["id"]] == drafts[1:] and told(f"state=draft&cursor={page['nextCursor']}") == drafts[:1]
    assert fields(ask("GET", "/posts?state=draft&words=x")) == {"words"}


# ---------------------------------------------------------------- who may not


def test_strangers_posts_and_deliveries_are_not_there(house, ask):
    post, delivery = house.delivery(SCHEDULED, house.account(workspace=house.cast.cycles.id),
                                    workspace=house.cast.cycles.id)
    asked = [("GET", f"/posts/{public(post)}", None), ("PATCH", f"/posts/{public(post)}", {"text": "Mine"}),
             ("DELETE", f"/posts/{public(post)}", None), ("GET", f"/deliveries/{delivery}", None)]
    asked += [("POST", f"/posts/{public(post)}/{one}", body) for one, body in (
        ("cancel", None), ("retry", None), ("approve", {}), ("send-back", {"note": "x"}))]
    asked += [("POST", f"/deliveries/{delivery}/{one}", None) for one in (
        "retry", "cancel", "check", "mark-published", "publish-again")]
    for method, path, body in asked:
        answer = ask(method, path, body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), (method, path)
    assert ask("GET", "/posts").json["data"] == []
    assert house.row(Delivery, delivery).state == SCHEDULED


def test_a_viewers_key_reads_and_writes_nothing(house, ask):
    account = house.account()
    post, _ = house.delivery(SCHEDULED, account)
    role(house, house.cast.bob, VIEWER)
    bob = {"person": house.cast.bob, "may": ("read",)}
    assert ask("GET", f"/posts/{public(post)}", **bob).status_code == 200
    for method, path, body in (("POST", "/posts", body_of(account)), ("DELETE", f"/posts/{public(post)}", None),
                               ("PATCH", f"/posts/{public(post)}", {"text": "x"})):
        assert ask(method, path, body, **bob).status_code == 403
    assert ask("POST", "/posts", body_of(account), may=("read",)).json["needs"] == "compose"
    assert ask("GET", "/posts").status_code == 200
    role(house, house.cast.alice, VIEWER)  # a key that was made when its person might more
    assert ask("POST", "/posts", body_of(account)).status_code == 403 and house.count(Post) == 1


# ---------------------------------------------------------------- nasty values

NASTY: tuple[Any, ...] = (
    None, True, -1, 10**30, 1.5, "", "a\x00b", "x" * 100_000, [[]], [None], {"\x00": "x"}, "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "9999-12-31T23:59", "0001-01-01T00:00", ["acc_nobody"])
NAMED = ("accountIds", "text", "media", "altTexts", "variations", "parts", "poll", "firstComment", "formats", "options",
         "when", "scheduledAt", "wallTime", "repeat", "lastDay", "again", "dryRun", "draft", "surprise")


@pytest.mark.parametrize("name", NAMED)
def test_no_value_of_any_field_breaks_anything(house, ask, name):
    account = house.account()
    draft = ask("POST", "/posts", {"text": "An idea", "draft": True, "accountIds": [account]}).json["id"]
    for number, value in enumerate(NASTY):
        body = {"accountIds": [account], "text": f"Bun {number}", "when": "later", "wallTime": "2027-03-01T10:00"}
        method, path = (("POST", "/posts"), ("PATCH", f"/posts/{draft}"))[number % 2]
        answer = ask(method, path, {**body, "dryRun": number % 3 == 0, name: value})
        assert answer.status_code < 500, (method, name, value, answer.text)


@pytest.mark.parametrize("query", [
    "cursor=%00", "cursor=abc", "cursor=cHN0X3g", "cursor=OTk5OS0xMi0zMVQyMzo1OTo1OS0xMjowMH5wc3RfeA", "from=0",
    "from=9999-12-31T23:59:59-12:00", "to=0001-01-01T00:00:00%2B14:00", "words=%00", "words=%ed%a0%80", "accountId=x",
    "accountId=acc_%00", "platform=%00", "state=%00", "limit=1e9", "limit=-1", "limit=9" + "9" * 5000,
    "state=draft&to=x"])
def test_no_query_breaks_anything(house, ask, query):
    house.delivery(SCHEDULED)
    assert ask("GET", f"/posts?{query}").status_code in (200, 422)


@pytest.mark.parametrize("post_id", ["post_x", "x", "post_%00", "post_" + "9" * 500, "%F0%9F%A5%90", "..", "ws_1"])
def test_no_id_breaks_anything(house, ask, post_id):
    for method, rest, body in (("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("POST", "/retry", None)):
        assert ask(method, f"/posts/{post_id}{rest}", body).status_code in (404, 405)
        assert ask(method, f"/deliveries/{post_id}{rest}", body).status_code in (404, 405)


@pytest.mark.parametrize("raw", [b'{"text":"\\ud800","draft":true}', b'{"text":"\\u0000","draft":true}', b"[]", b"null",
                                 b'{"when":NaN}', b'{"text":' + b"[" * 5000, b"\xff", b'{"poll":{"minutes":1e400}}'])
def test_no_raw_body_breaks_anything(house, ask, raw):
    assert ask("POST", "/posts", data=raw, content_type="application/json").status_code in (400, 422)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(["acc_1", "2027-03-01T10:00"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from([*NAMED, "question", "minutes"]),
                                                                  inside, max_size=3), max_leaves=8)


def test_no_json_breaks_anything(house, ask):
    house.account()

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(NAMED), anything, max_size=5))
    def run(body):
        assert ask("POST", "/posts", body).status_code < 500

    run()


def test_no_secret_is_told(house, ask):
    account = house.account()
    post, delivery = house.delivery(PUBLISHING, account, handle=CANARY)
    for path in (f"/posts/{public(post)}", "/posts", f"/deliveries/{delivery}"):
        text = ask("GET", path).text
        assert CANARY not in text and "sealed" not in text
    assert json.loads(text)["accountId"] == account
