"""Admin → Address, its lines on other pages, what a call with a nonce is told, and the deployment page."""

import json
import re
from datetime import timedelta
from urllib.parse import quote, urlsplit

import pytest

from socialconsole import access, address_check, address_seen, proxy_lines
from socialconsole.address_check import Result, Row
from socialconsole.address_seen import CANNOT_TELL, DIFFERS, OK, Finding, Seen
from socialconsole.models import PlatformApp
from tests.cast import START, Clock, make_cast
from tests.journeys.tenant_house import HTMX, House, words
from tests.journeys.walk import form_token

PUBLIC = "https://social.example.com"
CALLED = f"{PUBLIC}/api/connect/address-check/callback"
FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
JSON = {"Accept": "application/json"}


@pytest.fixture
def there(console, clock: Clock, sign_in) -> House:
    """A console behind one proxy, with Alice in front of it."""
    app = console(API_PUBLIC_URL=PUBLIC, TRUSTED_PROXIES="1", SANDBOX="on")
    with app.app_context():
        cast = make_cast()
    return House(app, sign_in(app.test_client(), cast.alice), cast, clock)


def send(house: House, path: str, data: dict[str, str] | None = None, headers: dict[str, str] | None = None):
    return house.client.post(path, data={**(data or {}), "csrf_token": form_token(house.client)},
                             headers={"Referer": PUBLIC + "/", **(headers or {})})


def nonce(house: House, url: str = CALLED) -> str:
    with house.app.app_context():
        return address_seen.nonce(house.app.extensions["config"], url)


def told(house: House, path: str, headers: dict[str, str], url: str = CALLED) -> Seen:
    """What the console says of one call with a valid nonce."""
    answer = house.app.test_client().get(f"{path}?address_check={nonce(house, url)}", headers=headers | JSON)
    assert answer.status_code == 200, answer.text
    found = address_seen.read_answer(house.app.extensions["config"], answer.text)
    assert found is not None
    return found[1]


def keep(house: House, *rows: Row) -> None:
    with house.app.app_context():
        address_check._keep(Result(house.clock(), rows))


def row(finding: Finding, url: str = CALLED) -> Row:
    return Row(url, "Public address", finding)


# ---------------------------------------------------------------- what a call is told


@pytest.mark.parametrize("path", ["/api/connect/address-check/callback", "/nowhere", "/console/a//b", "/sign-in"])
def test_a_call_with_a_nonce_is_told_how_it_arrived_on_whatever_path(there: House, path: str) -> None:
    seen = told(there, path, {"Host": "social.example.com", **FORWARDED})
    assert (seen.scheme, seen.host, seen.path) == ("https", "social.example.com", path)
    assert (seen.client, seen.peer, seen.forwarded_for) == ("203.0.113.9", "127.0.0.1", ("203.0.113.9",))


def test_a_call_by_a_foreign_host_is_told_too_or_nobody_could_find_out(there: House) -> None:
    assert told(there, "/x", {"Host": "127.0.0.1:8000"}).host == "127.0.0.1:8000"


@pytest.mark.parametrize("given", ["", "x", "a.b.c", "ImEi.Zm9v.YmFy"])
def test_without_a_valid_nonce_nothing_is_said(there: House, given: str) -> None:
    path = f"/api/connect/address-check/callback?address_check={given}"
    answer = there.app.test_client().get(path, headers=JSON | {"X-Address-Check": given})
    assert address_seen.MARK not in answer.text and "203.0.113" not in answer.text
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_nonce_ends_and_one_of_another_console_counts_for_nothing(there: House, console, monkeypatch) -> None:
    old, other = nonce(there), console(SECRET_KEY="9b1c7e54d20a8f63b5e07c918da4f26370a1").extensions["config"]
    config = there.app.extensions["config"]
    assert address_seen.asked_for(config, old) == CALLED
    assert address_seen.asked_for(config, address_seen.nonce(other, CALLED)) is None
    monkeypatch.setattr(address_seen, "NONCE_SECONDS", -1)
    assert address_seen.asked_for(config, old) is None


def test_only_reading_is_answered(there: House) -> None:
    answer = there.app.test_client().post(f"/sign-in?address_check={nonce(there)}", headers=JSON)
    assert address_seen.MARK not in answer.text


def test_a_lost_query_is_told_by_the_header(there: House) -> None:
    answer = there.app.test_client().get("/api/connect/address-check/callback",
                                         headers=JSON | {"X-Address-Check": nonce(there)} | FORWARDED)
    found = address_seen.read_answer(there.app.extensions["config"], answer.text)
    assert found is not None and not found[1].has_query


def test_a_browser_reads_the_same_as_a_page_and_the_console_may_ask_it_from_its_own_page(there: House) -> None:
    page = there.app.test_client().get(f"/api/connect/address-check/callback?address_check={nonce(there)}",
                                       headers={"Accept": "text/html", "X-Forwarded-For": "203.0.113.9"},
                                       base_url="http://social.example.com")
    assert "X-Forwarded-Proto is missing" in words(page) and "proxy_set_header X-Forwarded-Proto" in page.text
    plain = there.app.test_client().get(f"/x?address_check={nonce(there)}", headers=JSON)
    assert plain.headers["Access-Control-Allow-Origin"] == PUBLIC


def test_two_proxies_that_pass_on_one_word_for_the_scheme_are_both_believed(console) -> None:
    app = console(API_PUBLIC_URL=PUBLIC, TRUSTED_PROXIES="2")
    seen = []
    app.before_request(lambda: seen.append((access.request.remote_addr, access.request.scheme)))
    headers = {"X-Forwarded-For": "192.0.2.7, 203.0.113.9, 198.51.100.4", "X-Forwarded-Proto": "https"}
    assert app.test_client().get("/sign-in", headers=headers).status_code == 200
    assert seen == [("203.0.113.9", "https")]


# ---------------------------------------------------------------- the page


def test_before_the_first_check_the_page_says_what_it_is_for(there: House) -> None:
    page = there.client.get("/admin/address", headers=FORWARDED)
    assert page.status_code == 200 and "Not checked yet" in words(page) and PUBLIC in page.text


def test_a_difference_stands_there_with_its_sentence_and_the_lines_for_every_proxy(there: House) -> None:
    seen = Seen("GET", "http", "social.example.com", "/", True, "a", "b", "http", "c", trusted=1)
    keep(there, row(Finding(DIFFERS, "proto", "The proxy does not say so.", seen=seen)))
    page = there.client.get("/admin/address")
    assert "Not as it should be" in words(page) and "The proxy does not say so." in words(page)
    assert all(name in page.text for name in proxy_lines.PROXIES.values())
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in page.text
    assert "What the console saw" in page.text


def test_what_a_browser_found_counts_where_the_server_cannot_tell(there: House) -> None:
    keep(there, row(Finding(CANNOT_TELL, "timeout", "Cannot tell from here: it does not answer.")))
    link = re.search(r'href="([^"]*/admin/address/open[^"]*)"', there.client.get("/admin/address").text)
    assert link is not None
    there_url = there.client.get(link[1].replace("&amp;", "&").replace("://", "%3A//"), headers=JSON).get_json()["url"]
    parts = urlsplit(there_url)
    answer = there.app.test_client().get(f"{parts.path}?{parts.query}", headers=JSON | FORWARDED)
    reported = send(there, "/admin/address/report", {"answer": answer.text})
    assert (reported.status_code, reported.headers["Location"]) == (303, "/admin/address")
    with there.app.app_context():
        found = address_check.last()
        assert found is not None and (found.verdict, found.rows[0].finding.verdict) == (OK, CANNOT_TELL)
    assert "From a browser" in words(there.client.get("/admin/address"))


@pytest.mark.parametrize("answer", ["", "{}", "[]", json.dumps({"answer": "made.up.value"}), "x" * 100_000])
def test_a_report_that_proves_nothing_changes_nothing(there: House, answer: str) -> None:
    keep(there, row(Finding(CANNOT_TELL, "timeout", "Cannot tell from here.")))
    assert send(there, "/admin/address/report", {"answer": answer}).status_code == 422
    with there.app.app_context():
        found = address_check.last()
        assert found is not None and found.verdict == CANNOT_TELL


def test_only_addresses_that_are_configured_are_opened(there: House) -> None:
    own = "https://login.example.org/api/connect/twitter/callback"
    for url in ("https://evil.example/", CALLED + "x", own, ""):
        assert there.client.get("/admin/address/open?url=" + quote(url, safe="")).status_code == 404
    there.platform("twitter", callback_override=own)
    answer = there.client.get("/admin/address/open?url=" + quote(own, safe=""))
    assert answer.status_code == 303 and answer.headers["Location"].startswith("https://login.example.org/api/")
    page = there.client.get("/admin/address")
    assert "connect-src 'self' https://login.example.org https://social.example.com;" in \
        page.headers["Content-Security-Policy"]
    assert "connect-src 'self';" in there.client.get("/admin/health").headers["Content-Security-Policy"]


def test_the_result_is_forgotten_when_the_public_address_changes(there: House, monkeypatch) -> None:
    keep(there, row(Finding(OK, "", "Fine.")))
    with there.app.app_context():
        assert address_check.last() is not None and not address_check.is_due(there.clock())
        assert address_check.is_due(there.clock() + timedelta(days=1))
        rung: list[tuple[str, list[str]]] = []
        address_check.ring_due(there.clock() + timedelta(days=2), lambda kind, ids: rung.append((kind, ids)))
        assert rung == [("address", ["address_check"])]
        object.__setattr__(there.app.extensions["config"], "public_url", "https://other.example.com")
        assert address_check.last() is None


def test_check_now_works_as_a_form_and_by_htmx(there: House, monkeypatch) -> None:
    asked: list[int] = []
    found = Result(START, (row(Finding(DIFFERS, "dns", "There is no address for the name.")),))

    def run() -> Result:
        asked.append(1)
        address_check._keep(found)
        return found

    monkeypatch.setattr(address_check, "run", run)
    assert send(there, "/admin/address/check").status_code == 303
    block = send(there, "/admin/address/check", headers=HTMX)
    assert block.status_code == 200 and block.text.strip().startswith('<div class="stack wide-gap" id="found"')
    beside = send(there, "/admin/platforms/twitter/address", headers=HTMX)
    assert beside.status_code == 200 and 'id="address-line"' in beside.text
    assert "There is no address for the name." in words(beside)
    assert send(there, "/admin/platforms/twitter/address").headers["Location"].endswith("/admin/platforms/twitter")
    assert send(there, "/admin/platforms/nix/address").status_code == 404
    assert len(asked) == 4


def test_other_pages_say_in_one_line_how_the_address_does(there: House) -> None:
    assert "Not checked yet whether" in words(there.client.get("/admin/platforms/twitter"))
    keep(there, row(Finding(OK, "", "Fine.")))
    for path in ("/admin/platforms", "/admin/platforms/twitter"):
        assert re.search(r"Reachable as https://social\.example\.com, checked", words(there.client.get(path))), path


def test_the_callback_of_an_app_with_a_host_of_its_own_has_its_own_line(there: House) -> None:
    other = "https://login.example.org/api/connect/twitter/callback"
    there.platform("twitter", callback_override=other)
    keep(there, row(Finding(OK, "", "Fine.")), Row(other, "Callback of X", Finding(DIFFERS, "dns", "No such name.")))
    assert "No such name." in words(there.client.get("/admin/platforms/twitter"))
    assert "No such name." not in words(there.client.get("/admin/platforms/facebook"))
    assert there.count(PlatformApp) == 1


def test_bob_sees_nothing_of_it(there: House, sign_in) -> None:
    bob = sign_in(there.app.test_client(), there.cast.bob)
    for path in ("/admin/address", "/help/deployment", "/admin/address/open"):
        assert bob.get(path).status_code == 403


# ---------------------------------------------------------------- set-up


def test_the_first_page_checks_the_address_for_whoever_holds_the_link(console, clock, monkeypatch) -> None:
    app = console(API_PUBLIC_URL=PUBLIC, TRUSTED_PROXIES="1")
    with app.app_context():
        link = access.setup_link(app.extensions["config"])
    assert link is not None
    path, client = urlsplit(link).path, app.test_client()
    page = client.get(path)
    assert PUBLIC in page.text and 'hx-trigger="load"' in page.text
    seen = Result(START, (row(Finding(DIFFERS, "proxies_few", "1 proxy stands before the console.",
                                      "TRUSTED_PROXIES=1")),))
    monkeypatch.setattr(address_check, "run", lambda: address_check._keep(seen))
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    home = {"Referer": PUBLIC + "/"}
    assert client.post(f"{path}/address", data={"csrf_token": token[1]}, headers=home).headers["Location"] == path
    page = client.get(path)
    assert "1 proxy stands before" in words(page) and "TRUSTED_PROXIES=1" in page.text
    assert 'hx-trigger="load"' not in page.text
    assert client.post("/setup/other/address", data={"csrf_token": token[1]}, headers=home).status_code == 404


# ---------------------------------------------------------------- deployment


def test_the_deployment_page_is_filled_in_with_this_installations_own_address(console, clock, sign_in) -> None:
    app = console(API_PUBLIC_URL="https://social.example.com/console", TRUSTED_PROXIES="1", BIND="127.0.0.1:8123")
    with app.app_context():
        cast = make_cast()
    page = sign_in(app.test_client(), cast.alice).get("/help/deployment")
    site = proxy_lines.Site("social.example.com", 443, True, "/console", "127.0.0.1:8123")
    assert page.status_code == 200
    for text in (proxy_lines.nginx(site), proxy_lines.caddy(site), proxy_lines.nginx_redirect(site)):
        assert text in page.text.replace("&#34;", '"'), text
    assert all(word in words(page) for word in ("systemctl", "PostgreSQL", "console.env", "Restore", "TRUSTED_PROXIES"))
