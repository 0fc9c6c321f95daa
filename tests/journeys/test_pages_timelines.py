"""Timelines on their pages: for those they concern, in order, as a file for an admin, and for nobody else."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import FAILED, FINISHED, PUBLISHED, Account, Recording
from tests.journeys.tenant_house import HTMX, House, Signer, as_person, words

STEPS = [
    {"at": 0, "page": "x.com/i/oauth2/authorize", "query": ["client_id", "scope=tweet.read", "state"]},
    {"at": 0, "note": "Scopes asked for", "values": ["tweet.read", "tweet.write"]},
    {"at": 9000, "call": "POST api.x.com/2/oauth2/token", "status": 401, "ms": 210, "size": 64,
     "sent": ["grant_type=authorization_code", "code"], "got": ["error"], "heads": {"x-transaction-id": "5f0c"},
     "error": {"error": "invalid_client", "error_description": "Missing <valid> header"}},
    {"at": 9300, "call": "GET api.x.com/2/users/me", "status": 0, "ms": 5000, "trouble": ["ConnectTimeout"]},
    {"at": 14000, "note": "Steps left out here", "left": 12},
    {"at": 14300, "read": "app", "who": "admin", "said": "X refuses the client id or its secret."},
    {"at": 14300, "decided": "Nothing was connected."}]


def record(house: House, subject: str, number: int = 0, **columns: Any) -> str:
    """A recording of the bakery; columns come on top."""
    with house.app.app_context(), writing() as session:
        made = Recording(**{"id": f"rec_{number:026}", "workspace_id": house.cast.bakery.id, "kind": "connect",
                            "platform": "twitter", "subject_id": subject, "at": house.clock(), "spent": 14_300,
                            "outcome": "app", "code": "invalid_client", "steps": STEPS, **columns})
        session.add(made)
        return made.id


def queries(house: House, path: str) -> int:
    """How many statements a page takes."""
    seen: list[Any] = []

    def listen(*given: Any) -> None:
        seen.append(given)

    with house.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        assert house.get(path).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    return len(seen)


def test_a_timeline_tells_its_steps_in_order_and_in_words(house: House) -> None:
    page = house.get(f"/timelines/{record(house, 'att_1')}")
    said = words(page)
    parts = ("Connection at X", "App refused", "Consent page: x.com/i/oauth2/authorize",
             "Scopes asked for: tweet.read, tweet.write", "POST api.x.com/2/oauth2/token",
             "Answered 401 after 210 ms, 64 bytes.", "“Missing &lt;valid&gt; header”".replace("&lt;", "<").replace(
                 "&gt;", ">"), "grant_type=authorization_code, code", "No answer after 5.0 s.", "ConnectTimeout",
             "Steps left out here: 12.", "Read as: the platform refuses the app of this console. A platform admin",
             "Decision: Nothing was connected.")
    places = [said.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert "Missing <valid>" not in page.text


def test_a_viewer_sees_it_a_stranger_does_not(house: House, sign_in: Signer) -> None:
    one = record(house, "att_1")
    seen = as_person(house, sign_in, house.cast.vera).get(f"/timelines/{one}")
    assert seen.status_code == 200 and "Download" not in words(seen)
    charlie = as_person(house, sign_in, house.cast.charlie)
    assert charlie.get(f"/timelines/{one}").status_code == 404
    assert charlie.client.get(f"/w/{house.cast.cycles.id}/timelines/{one}").status_code == 404
    assert charlie.client.get(f"/admin/timelines/{one}").status_code == 403


def test_a_profiles_page_leads_to_its_connections_and_renewals(house: House) -> None:
    account = house.account()
    attempt = house.attempt(FINISHED, result_ids=[account])
    assert f"/profiles/{account}/timelines" in house.get(f"/profiles/{account}").text
    empty = house.get(f"/profiles/{account}/timelines")
    assert "Nothing is recorded yet" in words(empty)
    with house.app.app_context():
        grant = db.session.get_one(Account, account).grant_id
    record(house, attempt, 1, outcome="ok", code="")
    record(house, grant or "", 2, kind="renew", outcome="ok", code="", steps=[])
    record(house, "grt_of_another", 3, kind="renew", outcome="reconnect")
    said = words(house.get(f"/profiles/{account}/timelines"))
    assert said.index("Renewed") < said.index("Connected") and "Permission ended" not in said


def test_many_timelines_come_in_pages_and_cost_no_more_statements(house: House) -> None:
    account = house.account()
    with house.app.app_context():
        grant = db.session.get_one(Account, account).grant_id or ""
    record(house, grant, 0, kind="renew")
    few, page = queries(house, f"/profiles/{account}/timelines"), queries(house, f"/profiles/{account}")
    for number in range(1, 45):
        record(house, grant, number, kind="renew", steps=[])
    assert queries(house, f"/profiles/{account}/timelines") == few
    assert queries(house, f"/profiles/{account}") == page
    seen, path = [], f"/profiles/{account}/timelines"
    for size in (20, 20, 5):
        text = house.get(path).text
        assert text.count("took") == size
        seen.append(text)
        path = f"/profiles/{account}/timelines?before=rec_{45 - 20 * len(seen):026}"
    assert "Older" in seen[0] and "Newest" not in seen[0] and "Older" not in seen[2] and "Newest" in seen[2]
    assert "Nothing older" in words(house.get(f"/profiles/{account}/timelines?before=rec_0"))


def test_a_post_leads_to_every_try_of_each_delivery(house: House) -> None:
    post, delivery = house.delivery(FAILED, error_code="187", note="X refused it.")
    assert f"/posts/{post}/timelines/{delivery}" in house.get(f"/posts/{post}").text
    assert "Nothing is recorded yet" in words(house.get(f"/posts/{post}/timelines/{delivery}"))
    record(house, delivery, 1, kind="publish", outcome="content", code="187")
    assert "Post refused" in words(house.get(f"/posts/{post}/timelines/{delivery}"))
    other, another = house.delivery(PUBLISHED)
    assert house.get(f"/posts/{other}/timelines/{delivery}").status_code == 404
    assert house.get(f"/posts/{other}/timelines/{another}").status_code == 200


def test_the_result_of_a_connection_holds_its_timeline_folded(house: House) -> None:
    failed = house.attempt(FAILED, error="X refuses the client id or its secret.", error_code="invalid_client")
    assert "What happened, step by step" not in house.get(f"/connect/{failed}").text
    one = record(house, failed)
    page = house.get(f"/connect/{failed}")
    assert "What happened, step by step" in page.text and "Answered 401 after 210 ms" in page.text
    assert f"/timelines/{one}" in page.text
    assert '<details class="fold">' in page.text


# ---------------------------------------------------------------- admins


@pytest.fixture
def three(house: House) -> list[str]:
    """A failed connection, a renewal that went well, and a post that waits."""
    return [record(house, "att_1", 1),
            record(house, "grt_1", 2, kind="renew", outcome="ok", code="", steps=[]),
            record(house, "dlv_1", 3, kind="publish", outcome="rate_limited", code="429", platform="threads")]


@pytest.mark.parametrize(("query", "found"), [
    ("", (3, 2, 1)), ("?outcome=trouble", (3, 1)), ("?outcome=ok", (2,)), ("?kind=publish", (3,)),
    ("?platform=threads", (3,)), ("?search=grt_1", (2,)), ("?search=nothing", ()),
    ("?platform=threads&kind=renew", ())])
def test_an_admin_finds_timelines_of_all_workspaces(house: House, three: list[str], query: str,
                                                    found: tuple[int, ...]) -> None:
    page = house.client.get(f"/admin/timelines{query}")
    assert page.status_code == 200
    places = [page.text.find(f"/admin/timelines/{three[number - 1]}") for number in found]
    assert -1 not in places and places == sorted(places)
    assert page.text.count("/admin/timelines/rec_") == len(found)
    assert ("Nothing fits" in page.text) == (not found)
    if found:
        assert "Harbour Bakery" in page.text


def test_the_admins_list_is_empty_at_first_and_knows_no_made_up_choice(house: House) -> None:
    assert "Nothing is recorded yet" in house.client.get("/admin/timelines").text
    assert house.client.get("/admin/timelines?kind=holiday").status_code == 404
    part = house.client.get("/admin/timelines?kind=renew", headers=HTMX)
    assert "<html" not in part.text and 'id="timelines"' in part.text
    assert 'href="/admin/timelines"' in house.client.get("/admin/health").text


@pytest.mark.parametrize(("form", "kind"), [("text", "text/plain"), ("json", "application/json")])
def test_an_admin_takes_a_timeline_along_as_a_file(house: House, form: str, kind: str) -> None:
    one = record(house, "att_1")
    assert "Download as text" in house.client.get(f"/admin/timelines/{one}").text
    answer = house.client.get(f"/admin/timelines/{one}/file?as={form}")
    assert answer.status_code == 200 and answer.content_type.startswith(kind)
    assert "attachment" in answer.headers["Content-Disposition"] and one in answer.headers["Content-Disposition"]
    for part in ("Harbour Bakery", "alice@example.com", "wsp_"):
        assert part not in answer.text
    for part in ("X", "invalid_client", "Nothing was connected.", "2026", "POST api.x.com/2/oauth2/token", one):
        assert part in answer.text
    named = house.client.get(f"/admin/timelines/{one}/file?as={form}&named=yes")
    assert "Harbour Bakery" in named.text


def test_the_json_file_holds_steps_and_the_readable_lines(house: House) -> None:
    found = json.loads(house.client.get(f"/admin/timelines/{record(house, 'att_1')}/file?as=json").text)
    assert found["steps"] == STEPS and found["platform"] == "X" and found["kind"] == "connection"
    assert any("Answered 401" in line for line in found["readable"]) and found["console"]


def test_a_file_in_no_known_form_and_a_timeline_that_is_gone_are_not_there(house: House, sign_in: Signer) -> None:
    one = record(house, "att_1")
    assert house.client.get(f"/admin/timelines/{one}/file?as=doc").status_code == 404
    assert house.client.get("/admin/timelines/rec_none/file").status_code == 404
    assert as_person(house, sign_in, house.cast.bob).client.get(f"/admin/timelines/{one}/file").status_code == 403


@pytest.mark.parametrize("steps", [[], [{}], [{"at": 1, "call": "GET x", "status": None}], [{"note": "Only that"}]])
def test_odd_steps_break_no_page(house: House, steps: list[dict[str, Any]]) -> None:
    one = record(house, "att_1", steps=steps, outcome="something_new", at=house.clock() - timedelta(days=1))
    assert house.get(f"/timelines/{one}").status_code == 200
    assert house.client.get(f"/admin/timelines/{one}/file").status_code == 200
