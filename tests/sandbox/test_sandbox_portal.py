"""The portal's pages and its JSON twin, and who may use them."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.sandbox.player import ACME, BAKERY, CALLBACK, MARA

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("/", "/portal", "/people", "/faults", "/timeline")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_marked_as_an_imitation_and_has_one_heading(player, page):
    answer = player.client.get(page)
    assert answer.status_code == 200
    assert "imitation" in answer.text and len(re.findall("<h1", answer.text)) == 1
    assert "<script" not in answer.text and " style=" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_an_app_is_made_and_changed_by_hand(player):
    form = {"platform": "linkedin", "name": "By hand", "redirect_uri": CALLBACK}
    page = player.client.post("/portal", data=form, follow_redirects=True)
    [app] = player.client.get("/portal/api/apps").json
    assert app["client_id"] in page.text and app["client_secret"] in page.text
    url = f"/portal/apps/{app['client_id']}"
    refused = player.client.post(url, data={"do": "add", "redirect_uri": "http://127.0.0.1/cb"})
    assert refused.status_code == 422 and "Accept http on loopback" in refused.text
    assert "http://127.0.0.1/cb" in refused.text
    settings = {"do": "save", "accept_http_loopback": "on", "refresh_tokens": "on", "access_seconds": "120"}
    player.client.post(url, data=settings)
    player.client.post(url, data={"do": "add", "redirect_uri": "http://127.0.0.1/cb"})
    player.client.post(url, data={"do": "remove", "redirect_uri": CALLBACK})
    player.client.post(url, data={"do": "rotate"})
    [changed] = player.client.get("/portal/api/apps").json
    assert changed["redirect_uris"] == ["http://127.0.0.1/cb"] and changed["access_seconds"] == 120
    assert changed["refresh_tokens"] and changed["client_secret"] != app["client_secret"]
    assert player.client.get("/portal/apps/nobody").status_code == 404


def test_a_mistake_at_the_portal_keeps_what_was_typed(player):
    form = {"platform": "facebook", "name": "Mine", "redirect_uri": "http://console.example/cb"}
    answer = player.client.post("/portal", data=form)
    assert answer.status_code == 422 and "http://console.example/cb" in answer.text and 'role="alert"' in answer.text
    assert player.client.get("/portal/api/apps").json == []


def test_a_change_is_made_whole_or_not_at_all(player):
    app = player.make("twitter")
    for wrong in ({"colour": "red"}, {"replay_kills": "yes"}, {"access_seconds": 0}, {"redirect_uris": "x"}):
        assert player.change(app, accept_http_loopback=True, **wrong).status_code == 400
    assert player.client.get(f"/portal/api/apps/{app['client_id']}").json == app


def test_people_show_their_grants_and_can_be_acted_on(player):
    app = player.make("twitter")
    access = player.x_tokens(app)["access_token"]
    page = player.client.get("/people").text
    assert "Allowed “Console”" in page
    form = {"platform": "twitter", "person": ACME, "action": "revoke", "client_id": app["client_id"]}
    assert "1 grant" in player.client.post("/people", data=form, follow_redirects=True).text
    assert player.x_me(access).status_code == 401
    acme = next(p for p in player.client.get("/portal/api/people?platform=twitter").json if p["id"] == ACME)
    assert acme["grants"] == [] and acme["suspended"] is False
    assert player.act("twitter", "nobody", "revoke").status_code == 404


def test_a_locked_person_cannot_give_consent(player):
    app = player.make("twitter")
    player.act("twitter", ACME, "suspend")
    assert "locked" in player.look(app).text
    answer = player.client.post(player.address(app), data={"person": ACME, "decision": "allow"})
    assert answer.status_code == 403 and answer.location is None


def test_the_page_remembers_who_answered_last(player):
    app = player.make("twitter")
    player.decide(app, "3071882561")
    cookie = player.client.get_cookie("sandbox_person")
    assert cookie is not None and cookie.http_only
    assert 'value="3071882561" checked' in player.look(app).text


def test_faults_are_ordered_released_and_cleared_by_hand(player):
    form = {"do": "order", "platform": "twitter", "operation": "publish", "kind": "gate", "times": "2"}
    assert "2 still to come" in player.client.post("/faults", data=form, follow_redirects=True).text
    [fault] = player.client.get("/portal/api/faults").json
    assert (
        "Released: 0."
        in player.client.post("/faults", data={"do": "release", "fault": fault["id"]}, follow_redirects=True).text
    )
    assert player.client.post("/faults", data=form | {"times": "0"}).status_code in (303, 422)
    player.client.post("/faults", data={"do": "clear"})
    assert player.client.get("/portal/api/faults").json == []


def test_the_timeline_shows_posts_of_all_platforms(player):
    player.x_post(player.x_tokens(player.make("twitter"))["access_token"], "From <X>")
    facebook = player.make("facebook")
    post_id = player.fb_post(BAKERY, player.fb_page_token(facebook), "From the Page").json["id"]
    page = player.client.get("/timeline").text
    assert "From &lt;X&gt;" in page and "From the Page" in page
    assert "From the Page" not in player.client.get("/timeline?platform=twitter").text
    assert "From the Page" in player.client.get(f"/timeline/facebook/{post_id}").text
    assert player.client.get("/timeline/facebook/0").status_code == 404


def test_other_sites_may_neither_change_nor_read(player):
    app = player.make("twitter")
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert player.client.get("/portal/api/apps", headers=cross).status_code == 403
    assert player.client.post("/portal/api/apps", json={"platform": "twitter"}, headers=cross).status_code == 403
    assert player.client.post("/people", data={}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert player.client.post("/people", data={}, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert player.client.post(player.address(app), data={"decision": "deny"}, headers=cross).status_code == 403
    # Being sent here for consent is the one thing other sites do.
    assert player.client.get(player.address(app), headers=cross).status_code == 200
    own = {"Sec-Fetch-Site": "same-origin"}
    assert player.client.post(player.address(app), data={"decision": "deny"}, headers=own).status_code == 302


def test_only_names_of_this_machine_are_answered(player):
    assert player.client.get("/portal/api/health", headers={"Host": "evil.example"}).status_code == 400
    for host in ("localhost:18100", "127.0.0.1:18100"):
        assert player.client.get("/portal/api/health", headers={"Host": host}).json == {"ok": True}


def test_the_consent_forms_answer_may_go_back_to_the_console(player):
    policy = player.look(player.make("twitter")).headers["Content-Security-Policy"]
    assert "form-action 'self' https://console.example" in policy


def test_what_is_not_played_says_so(player):
    answer = player.client.get("/api.x.com/2/lists")
    assert answer.status_code == 404 and "does not play" in answer.json["error"]


def test_ids_of_people_and_pages_are_told(player):
    mara = next(p for p in player.client.get("/portal/api/people?platform=facebook").json if p["id"] == MARA)
    assert [page["name"] for page in mara["pages"]] == ["Harbour Bakery", "Linden Cycles", "Not Mine"]


SERVE = """
import sys
from pathlib import Path
from socialconsole.sandbox import serve
serve(f"http://localhost:{sys.argv[1]}", "127.0.0.1", int(sys.argv[1]), Path(sys.argv[2]))
"""


def test_serve_answers_writes_no_log_and_stops_on_sigterm(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(port), str(tmp_path / "state")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}/portal/api/health?token=secret"
        for _ in range(400):
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert process.poll() is None
                process_waits(process)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
        assert process.returncode == 0 and "secret" not in output
    finally:
        process.kill()


def process_waits(process: subprocess.Popen[str]) -> None:
    """Give the server a moment; returns early if it ends."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return
