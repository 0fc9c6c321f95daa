"""A platform is what its module says: nothing else has to know of it."""

import json
import sqlite3
import sys
from collections.abc import Iterator

import pytest

import socialconsole.sandbox as sandbox
from socialconsole.sandbox import plays
from socialconsole.sandbox.shapes import digits, https_only, https_or_loopback, letters, meta_credentials
from tests.sandbox.player import CALLBACK, Player

NEW_PLATFORM = """
from flask import Blueprint, jsonify
from socialconsole.sandbox.calls import operation
from socialconsole.sandbox.plays import OPERATIONS, Number, Person, Play, Switch
from socialconsole.sandbox.shapes import letters

bp = Blueprint("pigeon", __name__)


@bp.get("/api.pigeon.example/coo")
@operation("pigeon", "coo", lambda label, seconds: jsonify(error="busy"))
def coo():
    return jsonify(coo=True)


PLAY = Play(
    platform="pigeon",
    label="Pigeon",
    people=(Person("pigeon", "pi_1.x", "Paula Pigeon", "paula", "paula@pigeon.example", facts={"nest": 3}),),
    blueprints=(bp,),
    credentials=lambda mode: (f"pigeon{letters(6)}", letters(20)),
    modes=("", "racing"),
    mode_labels={"racing": "Racing club"},
    switches=(Switch("flies_home", "Flies home", default=True, hint="they mostly do"),),
    numbers=(Number("letters_a_day", "Letters a day", 5),),
    operations=(*OPERATIONS, "coo"),
    facts_of_person=lambda here, who: dict(who.facts),
)
"""


@pytest.fixture
def pigeon(tmp_path, monkeypatch) -> Iterator[Player]:
    """A sandbox that found one platform more."""
    (tmp_path / "pigeon.py").write_text(NEW_PLATFORM)
    monkeypatch.setattr(sandbox, "__path__", [*sandbox.__path__, str(tmp_path)])
    plays.find_plays(sandbox.__name__, sandbox.__path__)
    yield Player()
    monkeypatch.undo()
    sys.modules.pop(f"{sandbox.__name__}.pigeon", None)
    plays.find_plays(sandbox.__name__, sandbox.__path__)


def test_a_play_in_a_new_module_is_found_and_stands_after_the_known_ones(pigeon):
    assert list(plays.PLAYS)[: len(plays.FIRST)] == list(plays.FIRST) and "pigeon" in plays.PLAYS


def test_a_new_platform_has_apps_people_faults_and_calls_without_any_other_change(pigeon):
    app = pigeon.make("pigeon", mode="racing", flies_home=False)
    assert app["client_id"].startswith("pigeon") and app["mode"] == "racing"
    assert (app["flies_home"], app["letters_a_day"]) == (False, 5)
    [paula] = pigeon.client.get("/portal/api/people?platform=pigeon").json
    assert (paula["name"], paula["nest"]) == ("Paula Pigeon", 3)
    pigeon.order("pigeon", "coo", "html")
    assert pigeon.client.get("/api.pigeon.example/coo").content_type.startswith("text/html")
    assert pigeon.client.get("/api.pigeon.example/coo").json == {"coo": True}
    assert [call["operation"] for call in pigeon.client.get("/portal/api/calls?platform=pigeon").json] == ["coo", "coo"]


def test_the_portal_offers_a_new_platform_with_its_settings(pigeon):
    form = pigeon.client.get("/portal").text
    assert "Pigeon: Racing club" in form and ">Pigeon</option>" in form
    app = pigeon.make("pigeon")
    page = pigeon.client.get(f"/portal/apps/{app['client_id']}").text
    assert "Flies home" in page and "they mostly do" in page and "Letters a day" in page
    settings = {"do": "save", "letters_a_day": "7"}
    pigeon.client.post(f"/portal/apps/{app['client_id']}", data=settings)
    changed = pigeon.client.get(f"/portal/api/apps/{app['client_id']}").json
    assert (changed["flies_home"], changed["letters_a_day"]) == (False, 7)
    assert "Paula Pigeon" in pigeon.client.get("/people").text
    assert "Pigeon" in pigeon.client.get("/").text and "<option>coo" in pigeon.client.get("/faults").text


def test_a_platform_knows_only_its_own_settings_and_operations(player):
    app = player.make("facebook")
    assert "replay_kills" not in app and player.change(app, replay_kills=True).status_code == 400
    body = {"platform": "facebook", "operation": "coo", "kind": "500"}
    assert player.client.post("/portal/api/faults", json=body).status_code == 400


def test_an_app_of_an_earlier_version_keeps_its_settings_and_gets_the_new_ones(tmp_path):
    file = tmp_path / "state"
    first = Player(file)
    app = first.make("twitter", replay_kills=False)
    first.wsgi.extensions["sandbox"].state.close()
    old = {name: value for name, value in app.items() if name != "posts_per_window"} | {"created_at": 0.0}
    with sqlite3.connect(file) as database:
        database.execute("UPDATE record SET body = ? WHERE kind = 'app'", (json.dumps(old),))
        database.execute("INSERT INTO record VALUES ('weather', 'x', '{}')")
    database.close()
    again = Player(file).client.get(f"/portal/api/apps/{app['client_id']}").json
    assert (again["replay_kills"], again["posts_per_window"]) == (False, 100)


@pytest.mark.parametrize(
    ("uri", "plain", "with_switch", "free"),
    [
        (CALLBACK, True, True, True),
        ("http://console.example/cb", False, False, False),
        ("http://127.0.0.1:8000/cb", False, True, True),
        ("http://localhost/cb", False, True, True),
        ("https://console.example/cb#x", False, False, False),
        ("javascript:alert(1)", False, False, False),
        ("https://[half", False, False, False),
    ],
)
def test_redirect_rules(uri, plain, with_switch, free):
    assert [not https_only(uri, False), not https_only(uri, True)] == [plain, with_switch]
    assert (not https_or_loopback(uri, False)) == free


def test_credentials_have_the_shape_that_was_asked_for():
    client_id, secret = meta_credentials()
    assert len(client_id) == 16 and client_id.isdigit() and len(secret) == 32 and int(secret, 16)
    assert len(letters(30)) == 30 and letters(30).isalnum() and digits(5)[0] != "0"


def test_who_answered_last_is_remembered_whatever_the_ids_look_like(pigeon):
    app = pigeon.make("twitter")
    pigeon.client.set_cookie("sandbox_person", "pigeon=pi_1.x&twitter=3071882561&linkedin=nobody")
    assert 'value="3071882561" checked' in pigeon.look(app).text
    pigeon.decide(app, "2244994945")
    cookie = pigeon.client.get_cookie("sandbox_person")
    assert cookie is not None and cookie.value == "pigeon=pi_1.x&twitter=2244994945"
