"""The REST API: signing in by key, workspaces, profiles, problems, versions, repeated requests, the document."""

import json
import threading

import pytest
import redis
from openapi_spec_validator import validate

from socialconsole import api, api_keys
from socialconsole.api import rates
from socialconsole.api.operations import OPERATIONS
from socialconsole.api.problems import KINDS
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import EDITOR, VIEWER, ConnectLink, Membership, User, Workspace
from socialconsole.models_api import ApiAnswer, ApiKey
from socialconsole.public_ids import public

ALL = tuple(api_keys.PERMISSIONS)


@pytest.fixture
def ask(house):
    """Asks the API as a program: `ask("GET", "/platforms")`, with a key of Alice's that may everything."""
    tokens = {}

    def ask(method, path, body=None, *, may=ALL, person=None, workspace=None, token=None, **headers):
        who, where = person or house.cast.alice, workspace or house.cast.bakery
        if token is None and (who.id, may, where.id) not in tokens:
            tokens[who.id, may, where.id] = key_of(house, who, where, may)
        shown = token if token is not None else tokens[who.id, may, where.id]
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        client = house.app.test_client(use_cookies=False)
        if shown:
            sent["Authorization"] = f"Bearer {shown}"
        return client.open(f"/v1{path}", method=method, json=body, headers=sent)

    return ask


class Counter:
    """A store that counts as it is told, and is away when there is nothing left."""

    def __init__(self, numbers):
        self.numbers = numbers

    def pipeline(self, **_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def incr(self, name):
        pass

    def expire(self, name, seconds):
        pass

    def execute(self):
        number = next(self.numbers, None)
        if number is None:
            raise redis.ConnectionError("away")
        return [number, True]


def key_of(house, who, where, may):
    with house.app.app_context():
        place = db.session.get_one(Workspace, where.id) if where is not None else None
        return api_keys.create(place, db.session.get_one(User, who.id), "Test", may, None, house.clock())[1]


def here(house):
    return f"/workspaces/{public(house.cast.bakery.id)}"


# ---------------------------------------------------------------- signing in


def test_without_a_key_nothing_is_said(house, ask):
    for token in ("", "nonsense", "sck_" + "a" * 40, "x" * 10_000):
        answer = ask("GET", "/workspaces", token=token)
        assert answer.status_code == 401 and answer.json["code"] == "unauthenticated"
        assert answer.mimetype == "application/problem+json" and answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_signed_in_browser_is_nobody_here(house):
    assert house.client.get("/v1/workspaces").status_code == 401


@pytest.mark.parametrize("end", ["revoke", "expire", "leave", "delete"])
def test_a_key_ends_with_its_revocation_its_time_and_its_person(house, ask, end):
    assert ask("GET", here(house)).status_code == 200
    with house.app.app_context(), writing() as session:
        key = session.query(ApiKey).one()
        if end == "revoke":
            key.revoked_at = house.clock()
        elif end == "expire":
            key.expires_at = house.clock()
        elif end == "leave":
            session.delete(session.get_one(Membership, (house.cast.bakery.id, house.cast.alice.id)))
        else:
            session.delete(key)
    assert ask("GET", here(house)).status_code == 401


def test_a_key_may_what_it_was_given_and_its_person_may_no_less(house, ask):
    account = house.account()
    path = f"{here(house)}/accounts/{account}/pause"
    refused = ask("POST", path, may=("read",))
    assert refused.status_code == 403 and refused.json["needs"] == "manage"
    assert ask("POST", path).status_code == 200
    with house.app.app_context(), writing() as session:
        session.get_one(Membership, (house.cast.bakery.id, house.cast.alice.id)).role = EDITOR
    assert ask("POST", path).json["code"] == "not_allowed"


def test_nobody_gives_a_key_more_than_their_role(house):
    with house.app.app_context():
        with writing() as session:
            session.get_one(Membership, (house.cast.bakery.id, house.cast.bob.id)).role = VIEWER
        place, bob = db.session.get_one(Workspace, house.cast.bakery.id), db.session.get_one(User, house.cast.bob.id)
        with pytest.raises(api_keys.Invalid):
            api_keys.create(place, bob, "Mine", ("write_posts",), None, house.clock())
        with pytest.raises(api_keys.Invalid):
            api_keys.create(None, bob, "Everything", (), None, house.clock())


def test_another_workspace_is_not_there(house, ask):
    assert ask("GET", f"/workspaces/{public(house.cast.cycles.id)}").json["code"] == "not_found"
    assert ask("GET", "/workspaces/ws_%00").status_code == 404
    assert ask("GET", "/nothing").json["code"] == "not_found"
    assert ask("PUT", "/workspaces").json["code"] == "method_not_allowed"


def test_who_asks_too_often_is_told_for_how_long_to_wait(house, ask, monkeypatch):
    counted = iter((599, 600, 601))
    monkeypatch.setitem(house.app.extensions, "store", Counter(counted))
    first, last, over = (ask("GET", "/workspaces") for _ in range(3))
    assert (first.status_code, last.status_code, over.status_code) == (200, 200, 429)
    assert first.headers["RateLimit"].startswith('"key";r=1;') and over.headers["RateLimit"].startswith('"key";r=0;')
    assert 0 < int(over.headers["Retry-After"]) <= rates.WINDOW and over.json["code"] == "rate_limited"


def test_without_a_store_nobody_is_limited(house, ask, monkeypatch):
    monkeypatch.setitem(house.app.extensions, "store", Counter(iter(())))
    answer = ask("GET", "/workspaces")
    assert answer.status_code == 200 and "RateLimit" not in answer.headers


# ---------------------------------------------------------------- reading


def test_profiles_are_told_without_any_token(house, ask):
    ids = sorted(house.account(name=f"Acme {number}", user=f"acme{number}") for number in range(3))
    first = ask("GET", f"{here(house)}/accounts?limit=2").json
    second = ask("GET", f"{here(house)}/accounts?limit=2&cursor={first['nextCursor']}").json
    told = [one["id"] for one in first["data"] + second["data"]]
    assert set(ids) <= set(told) and len(told) == len(set(told)) and second["nextCursor"] is None
    one = ask("GET", f"{here(house)}/accounts/{ids[0]}")
    assert one.json["status"] == "active" and one.json["workspaceId"] == public(house.cast.bakery.id)
    assert "sealed" not in one.text and "token" not in one.text.replace("token_expired", "")


def test_what_is_known_already_is_not_told_again(house, ask):
    path = f"{here(house)}/accounts/{house.account()}"
    tag = ask("GET", path).headers["ETag"]
    assert ask("GET", path, If_None_Match=tag).status_code == 304
    assert ask("POST", f"{path}/pause", If_Match='"other"').json["code"] == "version_conflict"
    assert ask("POST", f"{path}/pause", If_Match=tag).json["status"] == "paused"
    assert ask("POST", f"{path}/resume", If_Match=tag).status_code == 412


def test_fields_and_values_that_do_not_exist_are_named(house, ask):
    path = f"{here(house)}/connect-links"
    answer = ask("POST", path, {"lief": "day", "note": 7})
    assert answer.status_code == 422
    assert {one["field"] for one in answer.json["errors"]} == {"lief", "note"}
    assert ask("GET", f"{here(house)}/accounts?limit=0").json["errors"][0]["field"] == "limit"
    assert ask("GET", f"{here(house)}/accounts?colour=red").json["errors"][0]["field"] == "colour"
    for raw, status in ((b"{", 400), (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b"[]", 422),
                        (b'{"note":"\\u0000"}', 422), (b'{"note":"\\ud800"}', 400), (b"{}" + b" " * 600_000, 413)):
        client = house.app.test_client(use_cookies=False)
        token = key_of(house, house.cast.alice, house.cast.bakery, ALL)
        answer = client.post(f"/v1{path}", data=raw, content_type="application/json",
                             headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, (raw[:20], answer.text)


# ---------------------------------------------------------------- changing


def test_consent_is_a_persons_and_the_answer_says_what_helps(house, ask):
    answer = ask("POST", f"{here(house)}/accounts", {"platform": "twitter"})
    assert answer.status_code == 403 and answer.json["code"] == "person_needed"
    assert answer.json["instead"].endswith("/connect-links")


def test_a_link_is_made_once_for_one_idempotency_key(house, ask):
    house.account()
    path = f"{here(house)}/connect-links"
    first = ask("POST", path, {"note": "Please"}, Idempotency_Key="one")
    again = ask("POST", path, {"note": "Please"}, Idempotency_Key="one")
    assert first.status_code == 201 and again.json == first.json and again.headers["Idempotency-Replayed"] == "true"
    assert ask("POST", path, {"note": "Other"}, Idempotency_Key="one").json["code"] == "idempotency_key_reused"
    assert ask("POST", path, {"note": "Please"}, Idempotency_Key="two").json["id"] != first.json["id"]
    with house.app.app_context():
        token = first.json["url"].rpartition("/")[2]
        kept = db.session.query(ApiAnswer).all()
        assert db.session.query(ConnectLink).count() == 2
        assert not [one for one in kept if token in one.body or token in json.dumps(one.headers)]


def test_an_answer_that_the_keys_open_no_more_is_said_and_not_done_again(house, ask):
    house.account()
    path = f"{here(house)}/connect-links"
    ask("POST", path, {}, Idempotency_Key="one")
    with house.app.app_context(), writing() as session:
        session.query(ApiAnswer).one().body = "AAAA"
    assert ask("POST", path, {}, Idempotency_Key="one").json["code"] == "conflict"
    with house.app.app_context():
        assert db.session.query(ConnectLink).count() == 1


def test_many_at_once_with_one_idempotency_key_are_one(house, ask):
    house.account()
    path, given = f"{here(house)}/connect-links", []
    ask("GET", "/workspaces")

    def send():
        given.append(ask("POST", path, {"note": "Please"}, Idempotency_Key="same"))

    threads = [threading.Thread(target=send) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.json["id"] for one in given} == {given[0].json["id"]}
    with house.app.app_context():
        assert db.session.query(ConnectLink).count() == 1


def test_after_a_day_an_idempotency_key_is_free_again(house, ask):
    house.account()
    path = f"{here(house)}/connect-links"
    first = ask("POST", path, {}, Idempotency_Key="one")
    house.clock.advance(hours=25)
    assert ask("POST", path, {}, Idempotency_Key="one").json["id"] != first.json["id"]


def test_disconnecting_says_what_became_of_the_permission_and_again_changes_nothing(house, ask):
    path = f"{here(house)}/accounts/{house.account()}"
    first = ask("DELETE", path)
    assert first.status_code == 200 and first.json["status"] == "disconnected" and first.json["sentence"]
    assert ask("DELETE", path).json == first.json
    assert ask("POST", f"{path}/pause").json["code"] == "conflict"


def test_the_activity_names_the_key_beside_its_person(house, ask):
    ask("POST", f"{here(house)}/accounts/{house.account()}/pause")
    told = ask("GET", "/events").json["data"][0]
    assert told["action"] == "account.paused" and told["by"].endswith(" by key Test")
    assert all(one["subjectId"].partition("_")[0] != "wsp" for one in ask("GET", "/events").json["data"])


def test_events_come_in_pages_to_the_last(house, ask):
    account = house.account()
    for number in range(3):
        ask("POST", f"{here(house)}/accounts/{account}/{'pause' if number % 2 else 'resume'}")
    whole, cursor, pages = [], "", 0
    while cursor is not None and pages < 100:
        page = ask("GET", "/events?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        whole, cursor, pages = whole + page["data"], page["nextCursor"], pages + 1
    ids = [one["id"] for one in whole]
    assert len(ids) == len(set(ids)) and ids == [one["id"] for one in ask("GET", "/events?limit=100").json["data"]]


# ---------------------------------------------------------------- an admin's key, and the document


def test_an_admins_key_sees_the_installation_and_no_workspace_from_inside(house):
    with house.app.app_context():
        root = db.session.get_one(User, house.cast.root.id)
        token = api_keys.create(None, root, "Watch", (), None, house.clock())[1]
    client = house.app.test_client(use_cookies=False)

    def get(path):
        return client.get(f"/v1{path}", headers={"Authorization": f"Bearer {token}"})

    assert get("/installation/platforms").status_code == get("/installation/events").status_code == 200
    assert public(house.cast.bakery.id) in [one["id"] for one in get("/workspaces").json["data"]]
    assert get(here(house)).status_code == 403 and get("/platforms").status_code == 403


def test_the_document_is_sound_and_names_every_problem(house):
    told = house.app.test_client().get("/v1/openapi.json").json
    validate(told)
    assert told["openapi"] == "3.1.0"
    assert {one["operationId"] for path in told["paths"].values() for one in path.values()} == set(OPERATIONS)
    assert set(told["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(KINDS)
    assert told["info"]["version"] == api.VERSION


def test_every_operation_says_what_it_is_for():
    assert [one.name for one in OPERATIONS.values() if not one.description or not one.summary] == []
