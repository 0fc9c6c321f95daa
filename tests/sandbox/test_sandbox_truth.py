"""Faults by chance, many grants at once, and the truth that a proof compares a console with."""

import base64
import json

import pytest

from tests.sandbox.player import bearer, told

X = "/api.x.com/2/oauth2/token"
SCOPES = ["tweet.read", "tweet.write", "users.read", "offline.access"]


@pytest.fixture
def app(player):
    return player.make("twitter")


def grants(player, app, count=2):
    answer = player.client.post("/portal/api/grants", json={
        "client_id": app["client_id"], "count": count, "first": 5, "seconds": 60, "scopes": SCOPES})
    assert answer.status_code == 201, answer.text
    return told(answer)


def basic(client_id, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def renew(player, app, token):
    return player.client.post(X, data={"grant_type": "refresh_token", "refresh_token": token},
                              headers=basic(app["client_id"], app["client_secret"]))


def mix(player, **wish):
    return player.client.post("/portal/api/faults/mix", json={"rate": 1, "kinds": ["500"], "seed": 3, **wish})


def counts(player):
    return told(player.client.get("/portal/api/counts"))


def truth(player):
    return {one["grant"]: one for one in told(player.client.get("/portal/api/grants?platform=twitter"))}


def test_many_people_consent_at_once_and_can_post(player, app):
    one, two = grants(player, app)
    assert one["person_id"] != two["person_id"] and one["username"]
    assert [player.x_post(each["access_token"], "Hi").status_code for each in (one, two)] == [201, 201]
    assert sorted(times for *_, times in counts(player)["creates"]) == [1, 1]


def test_a_renewal_a_replay_and_the_end_of_the_family_are_counted(player, app):
    [one] = grants(player, app, 1)
    pair = told(renew(player, app, one["refresh_token"]))
    assert truth(player)[one["grant"]]["tokens"] == [pair["access_token"], pair["refresh_token"]]
    assert renew(player, app, one["refresh_token"]).status_code == 400
    found = counts(player)
    assert (found["renewals"], found["replays"], found["families_revoked"]) == (1, 1, 1)
    mine = truth(player)[one["grant"]]
    assert (mine["dead"], mine["tokens"], len(mine["replays"])) == ("replayed", [], 1)


def test_an_answer_that_is_cut_in_half_took_effect_and_was_not_heard(player, app):
    [one] = grants(player, app, 1)
    mix(player, kinds=["truncated"], operations=["refresh"])
    answer = renew(player, app, one["refresh_token"])
    with pytest.raises(ValueError):
        json.loads(answer.text)
    mine = truth(player)[one["grant"]]
    assert (len(mine["destroyed"]), mine["heard"], mine["left"]) == (1, [], [])
    assert one["refresh_token"] not in mine["tokens"]
    assert counts(player)["injected"] == {"truncated": 1}


def test_the_same_seed_draws_the_same_faults(player, app):
    [one] = grants(player, app, 1)

    def row():
        assert mix(player, rate=0.5, operations=["profile"]).status_code == 201
        return [player.client.get("/api.x.com/2/users/me", headers=bearer(one["access_token"])).status_code
                for _ in range(20)]

    first = row()
    assert row() == first and {200, 500} == set(first)


def test_a_mix_meets_only_what_it_names_and_ends(player, app):
    [one] = grants(player, app, 1)
    mix(player, platforms=["linkedin"])
    assert player.x_me(one["access_token"]).status_code == 200
    mix(player)
    assert player.x_me(one["access_token"]).status_code == 500
    player.client.delete("/portal/api/faults/mix")
    assert player.x_me(one["access_token"]).status_code == 200


@pytest.mark.parametrize("wrong", [{"kinds": ["gate"]}, {"kinds": []}, {"rate": 2}, {"platforms": ["orkut"]},
                                   {"operations": ["dance"]}, {"seconds": -1}, {"platforms": "twitter"}])
def test_a_mix_that_cannot_be_is_refused_in_words(player, wrong):
    answer = mix(player, **wrong)
    assert answer.status_code == 400 and told(answer)["error"]
