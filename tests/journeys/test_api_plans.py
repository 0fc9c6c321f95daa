"""Plans by the API: asked for, read, done at once for a key that may act alone, and the door for language models."""

import pytest

from socialconsole import plans
from socialconsole.api import operations
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import EDITOR, Account, Membership, Post, User
from socialconsole.models_api import Plan
from tests.journeys.api_program import program

MAY = ("read", "write_posts", "manage_accounts")
DOOR = {"Socialconsole-Door": "mcp"}


@pytest.fixture
def ask(house, monkeypatch):
    monkeypatch.setattr(plans, "PERFORM", operations.perform)
    return program(house)


def publish(account):
    return {"action": "publish", "summary": "Buns are back", "request": {
        "method": "POST", "path": "/v1/posts", "body": {"accountIds": [account], "text": "Buns", "when": "now"}}}


def count(house, model):
    with house.app.app_context():
        return db.session.query(model).count()


def test_a_plan_waits_for_a_person_and_is_done_as_it_was_shown(house, ask):
    body = publish(house.account())
    made = ask("POST", "/plans", body, may=MAY)
    assert made.status_code == 201 and made.json["state"] == "proposed"
    assert made.json["url"].startswith("http") and made.json["id"] in made.json["url"]
    assert count(house, Post) == 0
    with house.app.app_context():
        found = db.session.get_one(Plan, made.json["id"])
        plans.decide(found, db.session.get_one(User, house.cast.alice.id), True, house.clock())
    told = ask("GET", f"/plans/{made.json['id']}", may=MAY)
    assert told.json["state"] == "done" and told.json["result"]["body"]["text"] == "Buns" and count(house, Post) == 1


def test_a_key_that_may_act_alone_has_it_done_at_once_and_once(house, ask):
    body, headers = publish(house.account()), {"Idempotency-Key": "one"}
    done = [ask("POST", "/plans", body, headers=headers) for _ in range(2)]
    assert [one.status_code for one in done] == [200, 200]
    assert done[0].json["status"] == 201 and done[0].json["result"]["id"] == done[1].json["result"]["id"]
    assert count(house, Post) == 1 and count(house, Plan) == 0


def test_what_is_refused_at_once_names_the_fields_of_the_call(house, ask):
    body = publish(house.account())
    body["request"]["body"] = {"accountIds": ["acc_none"], "when": "now", "colour": "red"}
    refused = ask("POST", "/plans", body)
    assert refused.status_code == 422 and "request.body.colour" in {one["field"] for one in refused.json["errors"]}


def test_a_key_whose_person_may_not_leave_it_alone_any_more_asks(house, ask):
    body = publish(house.account())
    assert ask("POST", "/plans", {**body, "action": "cancel"}).status_code == 422
    with house.app.app_context(), writing() as session:
        session.get_one(Membership, (house.cast.bakery.id, house.cast.alice.id)).role = EDITOR
    assert ask("POST", "/plans", body).status_code == 201


@pytest.mark.parametrize(("action", "method", "path", "status"), [
    ("publish", "DELETE", "/v1/posts", 422), ("nothing", "POST", "/v1/posts", 422),
    ("publish", "POST", "/v1/posts/../plans", 422), ("cancel", "GET", "/v1/posts/post_1/cancel", 422),
    ("cancel", "POST", "/v1/posts/post_1/cancel\n", 422), ("approve", "POST", "/v1/posts/post_1/approve", 403),
])
def test_only_known_calls_of_what_the_key_may_are_plans(house, ask, action, method, path, status):
    for may in (MAY, (*MAY, "unattended")):
        answer = ask("POST", "/plans", {"action": action, "request": {"method": method, "path": path}}, may=may)
        assert answer.status_code == status and count(house, Plan) == 0


def test_a_plan_of_another_workspace_is_not_there(house, ask):
    made = ask("POST", "/plans", publish(house.account()), may=MAY).json
    stranger = ask("GET", f"/plans/{made['id']}", person=house.cast.charlie, workspace=house.cast.cycles, may=("read",))
    assert stranger.status_code == 404


def test_by_the_door_for_models_nothing_is_done_without_a_plan(house, ask):
    account = house.account()
    post = ask("POST", "/posts", {"accountIds": [account], "text": "Buns", "scheduledAt": "2030-01-01T08:00:00Z"}).json
    here = f"/workspaces/{post['workspaceId']}"
    values = {"workspaceId": post["workspaceId"], "accountId": account, "postId": post["id"],
              "deliveryId": post["deliveries"][0]["id"]}
    refused = set()
    for one in operations.OPERATIONS.values():
        if one.method == "GET" or one.name in ("createPlan", "makeReconnectLink"):
            continue
        path = operations.VALUES.sub(lambda found: values.get(found[1], "abc_1"), one.path).removeprefix("/v1")
        answer = ask(one.method, path, {"when": "now", "text": "Buns", "accountIds": [account]}, headers=DOOR)
        assert answer.status_code == 403 and answer.json["code"] == "person_needed", one.name
        refused.add(one.name)
    assert {"createPost", "cancelPost", "deletePost", "disconnectAccount", "changePost"} <= refused
    body = {"accountIds": [account], "text": "Bread", "when": "now"}
    for dry in ("true", 1, False, None, [True]):
        assert ask("POST", "/posts", {**body, "dryRun": dry}, headers=DOOR).json["code"] == "person_needed"
    deep = "[" * 100_000
    assert ask("POST", "/posts", headers=DOOR, data=deep, content_type="application/json").status_code < 500
    assert ask("POST", "/posts", {**body, "dryRun": True}, headers=DOOR).json["ok"] is True
    assert ask("GET", f"{here}/accounts", headers=DOOR).status_code == 200
    with house.app.app_context():
        assert db.session.query(Post).count() == 1 and db.session.get_one(Account, account).state == "active"
