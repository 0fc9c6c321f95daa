"""Faults on order: in process, and over a real socket where a connection has to be cut or held."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.client import RemoteDisconnected

import pytest
from werkzeug.serving import BaseWSGIServer, make_server

from tests.sandbox.player import BAKERY, Player, bearer


@pytest.fixture
def app(player):
    return player.make("twitter")


@pytest.fixture
def access(player, app):
    return player.x_tokens(app)["access_token"]


def test_a_fault_meets_its_own_calls_as_often_as_ordered(player, app, access):
    fault = player.order("twitter", "publish", "500", times=2)
    assert player.x_me(access).status_code == 200
    assert [player.x_post(access, "Hi").status_code for _ in range(3)] == [500, 500, 201]
    assert player.client.get(f"/portal/api/faults/{fault}").json["left"] == 0


def test_any_meets_every_operation_of_its_platform_only(player, app, access):
    player.order("twitter", "any", "500")
    assert player.li_exchange(player.make("linkedin"), "x").status_code == 400
    assert player.x_me(access).status_code == 500


def test_x_names_the_reset(player, app, access):
    player.order("twitter", "publish", "429", seconds=60)
    answer = player.x_post(access, "Hi")
    assert (answer.status_code, answer.json["title"]) == (429, "Too Many Requests")
    assert answer.headers["x-rate-limit-remaining"] == "0"
    assert float(answer.headers["x-rate-limit-reset"]) == player.clock.instant + 60
    assert player.posts("twitter") == []


def test_linkedin_names_no_time_and_meta_names_minutes(player):
    linkedin, facebook = player.make("linkedin"), player.make("facebook")
    li, fb = player.li_tokens(linkedin)["access_token"], player.fb_page_token(facebook)
    player.order("linkedin", "publish", "429")
    answer = player.li_post(li, "Hi")
    assert answer.status_code == 429 and "Retry-After" not in answer.headers
    player.order("facebook", "publish", "429", seconds=120)
    limited = player.fb_post(BAKERY, fb, "Hi")
    [use] = next(iter(json.loads(limited.headers["X-Business-Use-Case-Usage"]).values()))
    assert limited.json["error"]["code"] == 32 and use["estimated_time_to_regain_access"] == 2
    player.order("facebook", "publish", "500")
    assert player.fb_post(BAKERY, fb, "Hi").json["error"]["is_transient"] is True


def test_a_web_page_instead_of_json(player, app, access):
    player.order("twitter", "publish", "html")
    answer = player.x_post(access, "Hi")
    assert answer.status_code == 200 and answer.content_type.startswith("text/html")


def test_a_fault_can_follow_the_effect(player, app, access):
    player.order("twitter", "publish", "500", after=True)
    assert player.x_post(access, "Hi").status_code == 500
    assert [post["text"] for post in player.posts("twitter")] == ["Hi"]


def test_a_token_fault_spares_the_refresh_and_the_other_way_round(player, app):
    tokens = player.x_tokens(app)
    player.order("twitter", "refresh", "500")
    player.x_tokens(app)
    assert player.x_refresh(app, tokens["refresh_token"]).status_code == 500


def test_what_cannot_be_ordered_is_said(player):
    for wrong in ({"platform": "myspace"}, {"operation": "dance"}, {"kind": "sulk"}, {"times": 0}, {"seconds": -1}):
        body = {"platform": "twitter", "operation": "publish", "kind": "500"} | wrong
        answer = player.client.post("/portal/api/faults", json=body)
        assert answer.status_code == 400 and answer.json["error"]


def test_the_log_of_calls_has_no_query_and_no_token(player, app, access):
    player.x_me(access, "protected")
    player.order("twitter", "publish", "500")
    player.x_post(access, "Hi")
    calls = player.client.get("/portal/api/calls?platform=twitter").json
    assert calls[-2] == {
        "at": "2026-11-18T11:06:40.000Z",
        "platform": "twitter",
        "operation": "profile",
        "method": "GET",
        "host": "api.x.com",
        "path": "/2/users/me",
        "status": 200,
    }
    assert calls[-1]["status"] == 500 and access not in json.dumps(calls)


def test_refusals_are_logged_with_their_status(player, app):
    player.x_me("nothing")
    assert player.client.get("/portal/api/calls").json[-1]["status"] == 401


# Over a real socket


class Live:
    """A sandbox behind a real server."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.server: BaseWSGIServer = make_server("127.0.0.1", 0, player.wsgi, threaded=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def post(self, access: str, text: str) -> int:
        """Post at X; the status. Raises RemoteDisconnected when the connection is cut."""
        connection = self.send(access, text)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def send(self, access: str, text: str) -> http.client.HTTPConnection:
        """Send a post and do not wait for the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        headers = bearer(access) | {"Content-Type": "application/json"}
        connection.request("POST", "/api.x.com/2/tweets", json.dumps({"text": text}), headers)
        return connection

    def stop(self) -> None:
        self.player.client.delete("/portal/api/faults")
        self.server.shutdown()
        self.thread.join(5)
        self.server.server_close()


@pytest.fixture
def live(player) -> Iterator[Live]:
    running = Live(player)
    yield running
    running.stop()


def until(holds) -> None:
    end = time.monotonic() + 10
    turn = threading.Event()
    while not holds():
        assert time.monotonic() < end, "it did not happen within 10 s"
        turn.wait(0.01)


@pytest.mark.parametrize(("kind", "seen"), [("drop", []), ("drop_after", ["Hi"])])
def test_a_cut_connection_before_and_after_the_effect(live, access, kind, seen):
    live.player.order("twitter", "publish", kind)
    with pytest.raises(RemoteDisconnected):
        live.post(access, "Hi")
    assert [post["text"] for post in live.player.posts("twitter")] == seen
    assert live.post(access, "Next") == 201


@pytest.mark.parametrize(("after", "seen"), [(False, []), (True, ["Hi"])])
def test_a_gate_holds_the_answer_until_it_is_released(live, access, after, seen):
    fault = live.player.order("twitter", "publish", "gate", after=after)
    connection = live.send(access, "Hi")
    url = f"/portal/api/faults/{fault}"
    until(lambda: live.player.client.get(url).json["waiting"] == 1)
    assert [post["text"] for post in live.player.posts("twitter")] == seen
    assert live.post(access, "Meanwhile") == 201
    assert live.player.client.post(f"{url}/release").json == {"released": 1}
    assert connection.getresponse().status == 201
    connection.close()
    assert live.player.client.get(url).json["waiting"] == 0


def test_a_held_call_whose_caller_died_never_arrives(live, access):
    fault = live.player.order("twitter", "publish", "gate")
    connection = live.send(access, "Hi")
    url = f"/portal/api/faults/{fault}"
    until(lambda: live.player.client.get(url).json["waiting"] == 1)
    connection.close()
    live.player.client.delete("/portal/api/faults")
    calls = lambda: live.player.client.get("/portal/api/calls").json  # noqa: E731
    until(lambda: calls() and calls()[-1]["operation"] == "publish")
    assert live.player.posts("twitter") == []


def test_slow_waits_and_then_answers(live, access):
    live.player.order("twitter", "publish", "slow", seconds=0.2)
    start = time.monotonic()
    assert live.post(access, "Hi") == 201
    assert time.monotonic() - start >= 0.2
