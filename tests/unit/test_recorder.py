"""What a recording takes down: calls by their names, errors by their codes, and nothing that was sent or could open
anything."""

import base64
import json
import threading
import time
from dataclasses import dataclass

import pytest
import requests
import responses

from socialconsole import outside, recorder, takedown
from socialconsole.providers.base import Draft

API = "https://api.x.com"
TOKEN = "AbC123-canary-token-xyz789QRS"
TEXT = "Saffron zebra crossing, whispered quietly"


def flown(kind=recorder.PUBLISH, *hidden):
    return recorder.recording(kind, "twitter", *hidden)


def written(flight, in_full=True):
    return takedown.steps(flight, in_full)


def post(path="/2/tweets", **sent):
    with outside.platform_session() as session:
        return session.post(f"{API}{path}", **sent)


def one(reply=None, in_full=True, path="/2/tweets", kind=recorder.PUBLISH, hidden=(), **sent):
    """The step that one call leaves; `reply`: what the platform answers."""
    with responses.RequestsMock() as platform, flown(kind, *hidden) as flight:
        platform.post(f"{API}{path.split('?')[0]}", **(reply or {"json": {"data": {"id": "1"}}, "status": 201}))
        post(path, **sent)
        [step] = written(flight, in_full)
    return step


def test_a_call_is_told_by_where_it_went_what_it_held_and_how_it_was_answered():
    step = one(json={"text": TEXT}, headers={"Authorization": f"Bearer {TOKEN}"})
    assert step["call"] == "POST api.x.com/2/tweets"
    assert (step["status"], step["sent"], step["got"], step["size"]) == (201, ["text"], ["data"], 21)


def test_what_went_well_is_told_in_short():
    reply = {"json": {"data": 1}, "headers": {"x-transaction-id": "5f0c", "x-rate-limit-remaining": "12"}}
    step = one(reply, in_full=False, json={"text": TEXT})
    assert set(step) == {"at", "call", "status", "ms", "heads"}
    assert step["heads"] == {"x-transaction-id": "5f0c"}


def test_without_a_recording_nothing_is_held_and_another_thread_has_its_own():
    seen = []
    with responses.RequestsMock() as platform:
        platform.post(f"{API}/2/tweets", json={})
        post()
        with flown() as flight:
            thread = threading.Thread(target=lambda: seen.append(recorder.current()))
            thread.start()
            thread.join()
    assert seen == [None] and written(flight) == [] and recorder.current() is None


def test_parameters_are_told_by_name_and_only_harmless_values_stand():
    step = one(path=f"/2/tweets?access_token={TOKEN}&fields=id,name&scope=tweet.read%20{TOKEN}", data={
        "grant_type": "refresh_token", "refresh_token": TOKEN, "client_secret": "s3cret",
        "redirect_uri": f"https://console.example/back?state={TOKEN}"})
    assert step["query"] == ["access_token", "fields=id,name", "scope=…"]
    assert step["sent"] == ["grant_type=refresh_token", "refresh_token", "client_secret",
                            "redirect_uri=https://console.example/back"]


@pytest.mark.parametrize(("path", "told"), [
    ("/v23.0/me/accounts", "/v23.0/me/accounts"),
    ("/v23.0/178414012345678/media", "/v23.0/…5678/media"),
    ("/rest/posts/urn%3Ali%3Ashare%3A7123", "/rest/posts/…"),
    (f"/upload/{TOKEN}/part", "/upload/…/part"),
    ("/2/users/by/username/acme_bakery", "/2/users/by/username/acme_bakery"),
    ("/a/mara%40example.com", "/a/…"),
])
def test_what_is_no_word_of_the_platform_is_shortened_in_a_path(path, told):
    assert takedown.where(f"https://graph.example.com{path}?secret=1") == f"graph.example.com{told}"


def test_a_name_and_password_in_an_address_are_left_out():
    assert takedown.where("https://mara:pass@graph.example.com/me") == "graph.example.com/me"


def test_an_error_is_told_by_its_codes_its_sentence_and_the_platforms_own_ids():
    body = {"error": {"message": "Error validating access token: session has expired", "type": "OAuthException",
                      "code": 190, "error_subcode": 463, "fbtrace_id": "AbcDEF123", "is_transient": False}}
    step = one({"json": body, "status": 400, "headers": {"x-fb-trace-id": "AbcDEF123", "x-fb-rev": "1001"}})
    assert step["error"] == {"message": "Error validating access token: session has expired", "type": "OAuthException",
                             "code": "190", "error_subcode": "463", "fbtrace_id": "AbcDEF123"}
    assert step["heads"] == {"x-fb-trace-id": "AbcDEF123", "x-fb-rev": "1001"}


def test_an_answer_that_says_there_is_no_error_tells_none():
    body = {"data": {"publish_id": "v1"}, "error": {"code": "ok", "message": "", "log_id": "2026"}}
    assert "error" not in one({"json": body, "status": 200})


SAYS = (
    f"The text '{TEXT}' is not allowed", f"Bad token {TOKEN}", f"Hello {TEXT.upper()}", f"“{TEXT[:20]}",
    "mara@example.com may not", "whispered", f"Zebra: {TOKEN[:12]}",
)
WORDS = ("saffron", "zebra", "whispered", "canary", "mara@")


@pytest.mark.parametrize("said", SAYS)
@pytest.mark.parametrize("field", ["message", "detail", "error_description", "code", "type", "log_id", "error"])
def test_no_answer_brings_back_what_was_sent(said, field):
    for body in ({field: said}, {"error": {field: said}}, {"errors": [{field: said}]},
                 {"error": {"errors": [{field: said}]}}):
        step = one({"json": body, "status": 400, "headers": {"x-request-id": TOKEN, "retry-after": said}},
                   json={"text": TEXT}, headers={"Authorization": f"Bearer {TOKEN}"})
        told = json.dumps(step).lower()
        assert not [word for word in (*WORDS, TOKEN.lower()) if word in told]


def test_what_was_written_by_people_is_hidden_also_where_an_earlier_call_sent_it():
    draft = Draft(TEXT, "42", options={"title": "Marzipan"})
    step = one({"json": {"error": {"message": f"{TEXT} and Marzipan are refused: image too large"}}, "status": 400},
               hidden=(draft,))
    assert step["error"]["message"] == "… and … are refused: image too large"


def test_the_secret_in_a_basic_header_is_known_as_such():
    proof = base64.b64encode(b"client:hushhush").decode()
    step = one({"json": {"error": "hushhush"}, "status": 401}, headers={"Authorization": f"Basic {proof}"},
               data={"grant_type": "refresh_token"}, kind=recorder.RENEW)
    assert step["error"] == {"error": "…"}


@pytest.mark.parametrize("reply", [
    {"body": f"<html><title>{TOKEN}</title>", "status": 502, "content_type": "text/html"},
    {"body": '{"access_token": "' + TOKEN, "status": 200, "content_type": "application/json"},
    {"body": "[" * 5000, "status": 200}, {"json": [TOKEN, TEXT], "status": 400},
    {"body": b"\xff\xfe\x00", "status": 500},
    {"json": {TOKEN: TEXT, "mara@example.com": 1, "x" * 60: 2}, "status": 400},
])
def test_odd_answers_are_told_by_their_size_alone(reply):
    step = one(reply)
    assert TOKEN not in json.dumps(step) and "mara" not in json.dumps(step)
    assert step["status"] == reply["status"]


def test_a_call_without_an_answer_names_the_kind_of_trouble_and_no_words_of_it():
    with responses.RequestsMock() as platform, flown() as flight:
        platform.post(f"{API}/2/tweets", body=requests.ConnectTimeout(f"no way with {TOKEN}"))
        with pytest.raises(requests.ConnectTimeout):
            post(json={"text": TEXT})
    [step] = written(flight)
    assert (step["status"], step["trouble"]) == (0, ["ConnectTimeout"])
    assert TOKEN not in json.dumps(step)


def test_a_name_that_does_not_resolve_is_told_by_its_kinds_of_errors():
    with flown() as flight, outside.platform_session() as session, pytest.raises(requests.ConnectionError):
        session.get("http://127.0.0.1:9/graph")
    assert "NewConnectionError" in written(flight)[0]["trouble"]


def test_of_many_steps_the_first_and_the_last_are_kept_and_the_rest_is_counted():
    with flown() as flight:
        for number in range(200):
            flight.say(f"Step {number}")
    steps = takedown.bounded(written(flight))
    assert len(steps) == takedown.MOST_STEPS
    assert (steps[0]["note"], steps[-1]["note"]) == ("Step 0", "Step 199")
    [out] = [step for step in steps if step["note"] == takedown.LEFT_OUT]
    assert out["left"] == 200 - len(steps) + 1


@pytest.mark.parametrize("number", [39, 40, 41, 90])
def test_steps_that_come_together_over_requests_stay_within_the_bounds(number):
    steps = takedown.bounded([{"at": one, "note": f"{one} " + "x" * 900} for one in range(number)])
    assert len(steps) <= takedown.MOST_STEPS and len(json.dumps(steps)) <= takedown.MOST_BYTES
    assert (steps[0]["at"], steps[-1]["at"]) == (0, number - 1)
    assert sum(step.get("left", 1) for step in steps) == number
    assert takedown.bounded(steps) == steps


def test_files_leave_their_names_of_fields_and_nothing_else():
    step = one(files={"media": ("bun-canary.jpg", b"\x00" * 100, "image/jpeg")}, data={"alt": TEXT})
    assert step["sent"] == ["alt", "media"] and "canary" not in json.dumps(step)


def test_a_body_that_streams_is_not_touched():
    @dataclass
    class Stream:
        read_so_far: int = 0

        def __iter__(self):
            yield TOKEN.encode()

    step = one(data=iter(Stream()))
    assert "sent" not in step and TOKEN not in json.dumps(step)


def test_values_of_our_own_stand_if_they_are_harmless():
    with flown() as flight:
        flight.say("Scopes", "tweet.read", "https://www.googleapis.com/auth/youtube.upload", TOKEN, "mara@example.com")
    assert written(flight)[0]["values"] == ["tweet.read", "https://www.googleapis.com/auth/youtube.upload", "…", "…"]


# ---------------------------------------------------------------- what a platform may send


def test_a_long_answer_is_read_in_no_time_and_what_was_cut_off_is_left_out():
    began = time.process_time()
    step = one({"json": {"message": "a" * 60_000}, "status": 400})
    assert time.process_time() - began < 2
    assert len(step["error"]["message"]) <= 200
    edge = "x " * (takedown.LONGEST_SENTENCE // 2 - 8) + TOKEN
    seen = takedown._Seen(recorder.Flight(recorder.PUBLISH, "twitter"))
    assert TOKEN[:5] not in seen.sentence(edge)


@pytest.mark.parametrize("said", ["Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", "soon", ""])
def test_a_date_that_is_none_costs_no_answer(said):
    with responses.RequestsMock() as platform:
        platform.post(f"{API}/2/tweets", json={"data": {"id": "1"}}, status=201, headers={"Date": said})
        assert post().status_code == 201
