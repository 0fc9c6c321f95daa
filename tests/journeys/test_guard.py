"""What holds for every request and answer: the host, forgery, headers, proxies, compression, error pages."""

import gzip
import re

import pytest
from flask import g, request
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from socialconsole import access, assets, platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import PlatformApp
from socialconsole.web import guard
from tests.cast import make_things
from tests.journeys.walk import form_token, steps

HTMX = {"HX-Request": "true"}
HOME = "http://127.0.0.1:8000"


@pytest.fixture
def things(app, cast):
    with app.app_context():
        return make_things(cast)


@pytest.fixture
def alice(client, cast, sign_in):
    return sign_in(client, cast.alice)


def everything(app) -> dict[str, list[str]]:
    """All rows of all tables."""
    with app.app_context():
        return {table.name: sorted(repr(row) for row in db.session.execute(select(table)))
                for table in db.metadatas[None].sorted_tables}


# ---------------------------------------------------------------- the host


@pytest.mark.parametrize("host", ["localhost:8000", "localhost", "[::1]:8000", "127.0.0.1", "127.0.0.1:9000"])
def test_other_names_of_this_machine_lead_to_the_public_address(app, host):
    answer = app.test_client().get("/sign-in?next=/me", headers={"Host": host})
    assert (answer.status_code, answer.headers["Location"]) == (303, HOME + "/sign-in?next=/me")
    assert app.test_client().post("/sign-in", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8000.evil.example", "127.0.0.1:8000@evil.example",
                                  "evil.example:8000", "a b", "127.0.0.1:x", ""])
@pytest.mark.parametrize("path", ["/sign-in", "/setup/x", "/static/0/console.css", "/nix"])
def test_a_foreign_host_gets_nothing(app, host, path):
    answer = app.test_client().get(path, headers={"Host": host})
    assert answer.status_code == 400 and "Location" not in answer.headers
    assert "evil" not in answer.text and f"This console answers at {HOME} only" in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-Host", "X-Forwarded-Server"])
def test_forwarded_headers_of_nobody_we_trust_change_nothing(app, header):
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    forged = {header: value, "X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4"}
    answer = app.test_client().get("/", headers=forged)
    assert answer.headers["Location"] == "/sign-in" and "evil" not in str(answer.headers)


def test_machines_may_ask_for_health_by_any_name(app):
    assert app.test_client().get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200
    assert app.test_client().get("/readyz", headers={"Host": "10.0.0.7:8000"}).status_code in (200, 503)


@pytest.mark.parametrize("host", ["other.example", "localhost:8000"])
def test_a_callback_by_another_name_leads_on_to_the_public_one(app, host):
    answer = app.test_client().get("/api/connect/twitter/callback?state=a%26b&code=c", headers={"Host": host})
    assert answer.status_code == 303
    assert answer.headers["Location"] == HOME + "/api/connect/twitter/callback?state=a%26b&code=c"


def test_the_usual_port_and_the_case_of_the_host_make_no_difference(console):
    client = console(API_PUBLIC_URL="https://Social.Example").test_client()
    for host in ("social.example", "SOCIAL.example", "social.example:443"):
        assert client.get("/sign-in", headers={"Host": host}).status_code == 200, host
    assert client.get("/sign-in", headers={"Host": "social.example:80"}).status_code == 400


def test_below_a_path_it_answers_with_and_without_it_and_makes_addresses_with_it(console):
    client = console(API_PUBLIC_URL="http://127.0.0.1:8000/console").test_client()
    for path in ("/console/sign-in", "/sign-in"):
        page = client.get(path)
        assert page.status_code == 200 and 'href="/console/static/' in page.text
    assert client.get("/console").headers["Location"] == "/console/sign-in"
    assert client.get("/consolex/sign-in").status_code == 404
    away = client.get("/console/me?a=b", headers={"Host": "localhost:8000"})
    assert away.headers["Location"] == HOME + "/console/me?a=b"


def test_as_many_proxies_are_believed_as_the_settings_name(console):
    app = console(API_PUBLIC_URL="https://social.example", TRUSTED_PROXIES="1")
    seen = []
    app.before_request(lambda: seen.append((g.address, request.scheme)))
    headers = {"Host": "inside:8000", "X-Forwarded-Host": "social.example", "X-Forwarded-Proto": "https",
               "X-Forwarded-For": "203.0.113.9, 198.51.100.4"}
    assert app.test_client().get("/sign-in", headers=headers).status_code == 200
    assert seen == [("198.51.100.4", "https")]  # the one that the proxy itself saw, not what the caller claims


# ---------------------------------------------------------------- forgery


CALLED_BY_PLATFORMS = ("callbacks.deauthorize", "callbacks.deletion", "callbacks.webhook")  # signed instead


def test_only_what_platforms_call_and_sign_may_come_from_anywhere():
    assert guard.FROM_ANYWHERE == CALLED_BY_PLATFORMS


def test_every_change_needs_the_form_token_and_our_own_page(app, alice, cast, things, clock):
    token, before, walked = form_token(alice), everything(app), 0
    for step in steps(app):
        if step.method == "GET" or step.rule.endpoint in CALLED_BY_PLATFORMS:
            continue
        path = step.path(cast, things)
        good = {"csrf_token": token}
        for data, headers in (({}, {}), ({"csrf_token": token[:-3] + "abc"}, {}),
                              (good, {"Origin": "https://evil.example"}), (good, {"Origin": "null"}),
                              (good, {"Sec-Fetch-Site": "cross-site"}),
                              (good, {"Sec-Fetch-Site": "same-site", "Origin": HOME})):
            answer = alice.open(path, method=step.method, data=data, headers=headers)
            assert answer.status_code == 400, (step, headers)
            assert "Go back, reload the page and try again." in answer.text, step
            walked += 1
    assert walked > 100 and everything(app) == before


def test_a_forged_request_to_htmx_is_said_above_the_page(alice):
    answer = alice.post("/me/theme", data={"theme": "dark"}, headers=HTMX)
    assert answer.status_code == 400 and "<html" not in answer.text
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#notices", "innerHTML")
    assert 'role="alert"' in answer.text and "open too long, or in another sign-in" in answer.text


def test_our_own_page_passes_with_the_token_in_the_form_or_in_the_header(alice):
    token = form_token(alice)
    for headers in ({"Origin": HOME}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert alice.post("/me/theme", data={"csrf_token": token, "theme": "dark"}, headers=headers).status_code == 303
    assert alice.post("/me/theme", data={"theme": "dark"}, headers={"X-CSRFToken": token, **HTMX}).status_code == 204


def test_a_page_of_an_earlier_sign_in_is_refused(app, client, cast, sign_in):
    old = form_token(sign_in(client, cast.alice))
    client.post("/sign-in", data={"csrf_token": old, "email": cast.alice.email, "password": cast.alice.password})
    assert client.post("/me/theme", data={"csrf_token": old, "theme": "dark"}).status_code == 400


def test_no_page_changes_anything_by_being_looked_at(app, alice, cast, things, clock):
    before = everything(app)
    for step in steps(app):
        if step.method == "GET":
            alice.get(step.path(cast, things))
    after = everything(app)
    assert before.pop("sign_in_failure") == []
    # A link that leads nowhere is counted against guessing; signing in is counted elsewhere.
    assert all("'l:" in guess for guess in after.pop("sign_in_failure"))
    assert after == before


# ---------------------------------------------------------------- headers


def test_every_answer_has_the_headers(app, alice, cast, things):
    answers = [alice.open(step.path(cast, things), method=step.method) for step in steps(app)]
    answers += [alice.get("/nix"), alice.put("/sign-in"), app.test_client().get("/", headers={"Host": "evil.example"}),
                app.test_client().get("/w/wsp_bakery/posts"), app.test_client().get("/me", headers=HTMX)]
    for answer in answers:
        where = answer.request.path
        policy = answer.headers["Content-Security-Policy"]
        for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
                     "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert part in policy.split("; ") or part + " " in policy, (where, part)
        assert "unsafe" not in policy and "data:" not in policy and "*" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert "Strict-Transport-Security" not in answer.headers
        if not where.startswith("/static/"):
            assert answer.headers["Cache-Control"] in ("no-store", "private, max-age=3600"), where
            assert "HX-Request" in answer.vary, where


def test_on_https_browsers_are_told_to_stay_there(console):
    app = console(API_PUBLIC_URL="https://social.example")
    assert app.test_client().get("/sign-in").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_forms_may_lead_to_the_platforms_that_are_on_and_nowhere_else(app, alice, cast, things):
    def allowed() -> str:
        return alice.get("/me").headers["Content-Security-Policy"].partition("form-action ")[2].partition(";")[0]

    with app.app_context():
        expected = platform_apps.authorize_origins()
    assert allowed() == " ".join(["'self'", *expected]) and len(expected) == 1
    with app.app_context(), writing() as session:
        session.get_one(PlatformApp, "app_bread").is_on = False
    assert allowed() == "'self'"


def test_no_page_holds_what_the_policy_forbids(app, alice, cast, things):
    for step in steps(app):
        answer = alice.open(step.path(cast, things), method=step.method)
        if answer.mimetype == "text/html":
            page = answer.text
            assert not re.search(r"<[^>]+\s(style|on\w+)=|<script(?![^>]*\ssrc=)|<style", page), step
            assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', page), step


# ---------------------------------------------------------------- files and compression


def test_a_file_lives_under_its_content_and_is_kept_for_good(app, client):
    for name, path in re.findall(r'(?:href|src)="((?:/static/[0-9a-f]{12}/)([\w./]+))"', client.get("/sign-in").text):
        answer = client.get(name, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"], path
        assert answer.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in answer.headers["Vary"]
        assert gzip.decompress(answer.data) == (assets.STATIC / path).read_bytes() == client.get(name).data
        assert "Set-Cookie" not in answer.headers


def test_an_address_of_an_older_release_gets_the_present_file_unkept(client):
    answer = client.get("/static/000000000000/console.css")
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-cache"
    assert answer.content_type == "text/css; charset=utf-8"


@pytest.mark.parametrize("path", ["/static/0/nix.css", "/static/0/../access.py", "/static/0/%2e%2e/access.py",
                                  "/static/0//etc/passwd"])
def test_nothing_but_the_files_can_be_had(client, path):
    assert client.get(path).status_code in (404, 308)
    assert client.get(path, follow_redirects=True).status_code == 404


def test_a_first_visit_stays_within_its_budget(client):
    page = client.get("/sign-in", headers={"Accept-Encoding": "gzip"})
    files = set(re.findall(r"/static/[0-9a-f]{12}/[\w./]+", gzip.decompress(page.data).decode()))
    moved = len(page.data) + sum(len(client.get(one, headers={"Accept-Encoding": "gzip"}).data) for one in files)
    assert moved < 40_000, moved  # 60 KB are promised; pages of a workspace need some more than this one


def test_pages_are_compressed_for_whoever_takes_it(alice):
    packed, plain = alice.get("/me", headers={"Accept-Encoding": "gzip, br"}), alice.get("/me")
    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in packed.vary and "Accept-Encoding" in plain.vary
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 2
    assert "Content-Encoding" not in alice.get("/me", headers={"Accept-Encoding": "gzip;q=0"}).headers


# ---------------------------------------------------------------- errors


def test_an_absent_page_says_so_and_leads_on(alice, client):
    for browser in (alice, client):
        answer = browser.get("/nix")
        assert answer.status_code == 404 and "There is nothing here" in answer.text and 'href="/"' in answer.text


def test_an_error_for_htmx_leaves_the_page_as_it_is(alice):
    answer = alice.get("/nix", headers=HTMX)
    assert answer.status_code == 404 and answer.headers["HX-Retarget"] == "#notices"
    assert "<html" not in answer.text and "There is nothing here" in answer.text


def test_a_method_that_does_not_fit_is_405_with_what_does(alice):
    answer = alice.put("/sign-in")
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]


def test_a_form_that_is_too_large_is_413(app, alice):
    answer = alice.post("/me/theme", data={"theme": "x" * 600_000}, headers={"X-CSRFToken": form_token(alice)})
    assert answer.status_code == 413 and "shorten it" in answer.text


@pytest.fixture
def broken(app, monkeypatch):
    """Makes the password page fail the way it is told."""

    def fail_with(error: Exception):
        def view():
            raise error

        view.permission = "signed_in"  # type: ignore[attr-defined]
        monkeypatch.setitem(app.view_functions, "people.me", view)

    return fail_with


def test_a_mistake_of_ours_is_a_500_page_without_any_detail(alice, broken):
    broken(RuntimeError("tok_very_secret"))
    for headers in ({}, HTMX):
        answer = alice.get("/me", headers=headers)
        assert answer.status_code == 500 and "The console made a mistake." in answer.text
        assert "tok_very_secret" not in answer.text and "Traceback" not in answer.text


def test_a_database_out_of_reach_is_a_503_page(app, alice, broken, monkeypatch):
    def locked(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("locked"))

    broken(OperationalError("SELECT secret", {}, Exception("locked")))
    monkeypatch.setattr(platform_apps, "authorize_origins", locked)
    monkeypatch.setattr(access, "memberships", locked)  # the frame around a page cannot be read either
    answer = alice.get("/me")
    assert answer.status_code == 503 and "cannot reach its database" in answer.text and "SELECT" not in answer.text
    assert "form-action 'self';" in answer.headers["Content-Security-Policy"]


def test_the_policy_without_forms_asks_no_database(app, monkeypatch):
    monkeypatch.setattr(platform_apps, "authorize_origins", lambda: pytest.fail("asked"))
    with app.app_context():
        assert "form-action 'self';" in guard.content_policy(False)


def test_each_route_is_declared(app):
    access.check_routes(app)
