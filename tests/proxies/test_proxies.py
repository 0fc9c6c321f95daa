"""Behind a real nginx and a real Caddy: four right set-ups work, and of broken ones the check names the cause."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import select

from socialconsole import address_check
from socialconsole.address_check import Result
from socialconsole.address_seen import CANNOT_TELL, DIFFERS, OK
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Login, PlatformApp
from tests import story
from tests.proxies.conftest import Ground
from tests.proxies.proxies import CALLBACK_HOST, HOST
from tests.running import free_port
from tests.visitor import Visitor

pytestmark = pytest.mark.processes

SOMEWHERE = "127.0.0.2"  # where the person is; the proxy is at 127.0.0.1


class FromSomewhere(HTTPAdapter):
    """Calls from another loopback address than the proxy's own."""

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named, source_address=(SOMEWHERE, 0))


def person(ground: Ground) -> Visitor:
    """A person who reaches the console through the proxy, and claims to be somebody else."""
    visitor = Visitor()
    visitor.session.verify = str(ground.authority.file)
    for scheme in ("http://", "https://"):
        visitor.session.mount(scheme, FromSomewhere())
    visitor.session.headers["X-Forwarded-For"] = "192.0.2.66"
    return visitor


def sign_in(ground: Ground) -> Visitor:
    visitor = person(ground).open(ground.url + "/sign-in").press("Sign in", email=story.EMAIL, password=story.PASSWORD)
    assert "/sign-in" not in visitor.url, visitor.text
    return visitor


def checked(ground: Ground) -> Result:
    with ground.inside.app_context():
        try:
            return address_check.run()
        finally:
            db.session.remove()


def swap(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """Replaces lines of a configuration; fails where they are not in it."""

    def change(text: str) -> str:
        for old, new in pairs:
            assert old in text, f"{old!r} is not in\n{text}"
            text = text.replace(old, new)
        return text

    return change


def breaking(kind: str, nginx: Callable[[str], str], caddy: Callable[[str], str]) -> Callable[[str], str]:
    return {"nginx": nginx, "caddy": caddy}[kind]


def caddy_with(ground: Ground, *lines: str) -> Callable[[str], str]:
    return swap((f"reverse_proxy {ground.site.upstream}",
                 f"reverse_proxy {ground.site.upstream} {{\n" + "\n".join(lines) + "\n}"))


# ---------------------------------------------------------------- four right set-ups


@pytest.mark.parametrize("name", ["plain", "below", "encrypted"])
def test_the_lines_of_the_deployment_page_work(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    ground: Ground = request.getfixturevalue(name)
    with ground.proxy(kind):
        found = checked(ground)
        assert (found.verdict, found.sentence[:24]) == (OK, "The console answers here"), found
        seen = found.rows[0].finding.seen
        assert seen is not None and seen.scheme == ground.url.split(":")[0] and len(seen.forwarded_for) == 1
        assert found.cause == ("loopback" if name == "plain" else "")


def test_a_callback_host_of_its_own_is_right_too(encrypted: Ground, kind: str) -> None:
    callback = f"https://{CALLBACK_HOST}:{encrypted.port}/api/connect/linkedin/callback"
    with overridden(encrypted, "linkedin", callback), encrypted.proxy(kind, str, second_host(encrypted)):
        found = checked(encrypted)
        assert found.verdict == OK, found
        assert callback in [row.url for row in found.rows]
    with overridden(encrypted, "linkedin", callback), encrypted.proxy(kind):
        found = checked(encrypted)
        assert [row.finding.verdict for row in found.rows][:1] == [OK]
        assert found.verdict == DIFFERS or kind == "nginx", "nginx serves a name it does not know by its first server"


def second_host(ground: Ground) -> Any:
    return replace(ground.site, host=CALLBACK_HOST)


class overridden:
    """An app with a callback of its own, gone again afterwards."""

    def __init__(self, ground: Ground, slug: str, callback: str) -> None:
        self.ground, self.slug, self.callback = ground, slug, callback

    def __enter__(self) -> None:
        with self.ground.inside.app_context(), writing() as session:
            session.add(PlatformApp(id="app_other", platform=self.slug, segment=self.slug, client_id="client",
                                    callback_override=self.callback, created_at=_now(), updated_at=_now()))

    def __exit__(self, *_: object) -> None:
        with self.ground.inside.app_context(), writing() as session:
            session.delete(session.get_one(PlatformApp, "app_other"))


def _now() -> Any:
    return address_check.outside.now()


def test_the_admin_sees_it_on_the_page_checked_by_the_console_itself(plain: Ground, kind: str) -> None:
    with plain.proxy(kind):
        visitor = sign_in(plain).open(plain.url + "/admin/address").press("Check now")
        assert "Reachable" in visitor.text and "The console answers here" in visitor.text, visitor.text
        visitor.follow("Check from your browser")
        assert "The console answers here" in visitor.text, visitor.text
    assert "192.0.2.66" not in visitor.page


@pytest.mark.parametrize("name", ["plain", "below", "encrypted"])
def test_the_login_comes_from_where_the_person_is_whatever_they_claim(
        name: str, kind: str, request: pytest.FixtureRequest) -> None:
    ground: Ground = request.getfixturevalue(name)
    with ground.proxy(kind):
        sign_in(ground)
    with ground.inside.app_context():
        newest = db.session.scalars(select(Login).order_by(Login.created_at.desc()).limit(1)).one()
        assert newest.address == SOMEWHERE
        db.session.remove()


@pytest.mark.parametrize("name", ["plain", "below", "encrypted"])
def test_a_profile_is_connected_and_comes_back_to_the_computed_callback(
        name: str, kind: str, request: pytest.FixtureRequest) -> None:
    ground: Ground = request.getfixturevalue(name)
    with ground.proxy(kind):
        visitor = sign_in(ground)
        connect(visitor, ground, "Bob Baker" if kind == "nginx" else "")
    came_back = [one for one in visitor.visited if "/api/connect/twitter/callback?" in one]
    assert came_back and all(one.startswith(f"{ground.url}/api/connect/twitter/callback?") for one in came_back)


def test_a_profile_is_connected_by_a_callback_host_of_its_own(encrypted: Ground, kind: str) -> None:
    callback = f"https://{CALLBACK_HOST}:{encrypted.port}/api/connect/threads/callback"
    with encrypted.proxy(kind, str, second_host(encrypted)):
        visitor = sign_in(encrypted).open(f"{encrypted.url}/admin/platforms/threads")
        visitor.press("Save", callback_override=callback)
        assert visitor.status == 200, visitor.text
        try:
            connect(visitor, encrypted, "", "threads", "Threads")
        finally:  # the other proofs share this console
            with encrypted.inside.app_context(), writing() as session:
                app = session.scalars(select(PlatformApp).where(PlatformApp.platform == "threads")).one()
                app.callback_override = ""
    assert any(one.startswith(callback + "?") for one in visitor.visited), visitor.visited[-8:]
    assert any(one.startswith(f"{encrypted.url}/api/connect/threads/callback?") for one in visitor.visited)


def connect(visitor: Visitor, ground: Ground, who: str, platform: str = "twitter", label: str = "X") -> None:
    """Configure a platform with the sandbox and connect a profile, through the proxy."""
    visitor.open(f"{ground.url}/admin/platforms/{platform}")
    if "Use the sandbox" in visitor.text:
        visitor.press("Use the sandbox")
    visitor.open(f"{ground.url}/admin/platforms/{platform}")
    if "Save and turn on" in visitor.text:
        visitor.press("turn on")
    found = re.search(r"/w/(wsp_[0-9A-Z]+)", visitor.open(ground.url + "/admin/platforms").page)
    assert found is not None
    people = ground.console.control("GET", f"/portal/api/people?platform={platform}")
    name = who or people[0]["name"]
    visitor.open(f"{ground.url}{found[0]}/profiles").press(f"Connect {label}")
    story.consent(visitor, name)
    assert visitor.url.startswith(f"{ground.url}/w/"), f"{visitor.url}: {visitor.text}"
    visitor.press("Connect")
    assert re.search(r"acc_[0-9A-Z]{26}", visitor.page), visitor.text


# ---------------------------------------------------------------- broken ones


def test_a_proxy_that_does_not_name_the_scheme(encrypted: Ground, kind: str) -> None:
    change = breaking(kind, swap(("proxy_set_header X-Forwarded-Proto $scheme;", "")),
                      caddy_with(encrypted, "header_up -X-Forwarded-Proto"))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "proto") and "X-Forwarded-Proto is missing" in found.sentence


def test_a_proxy_that_does_not_pass_the_host_on(encrypted: Ground, kind: str) -> None:
    change = breaking(kind, swap(("proxy_set_header Host $http_host;", ""),
                                 ("proxy_set_header X-Forwarded-Host $http_host;", "")),
                      caddy_with(encrypted, "header_up Host {upstream_hostport}", "header_up -X-Forwarded-Host"))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "host")
    assert encrypted.site.upstream in found.sentence and HOST in found.sentence


def test_a_proxy_that_passes_the_host_on_without_its_port(encrypted: Ground, kind: str) -> None:
    change = breaking(kind, swap(("Host $http_host;", "Host $host;")),
                      caddy_with(encrypted, "header_up Host {host}", "header_up X-Forwarded-Host {host}"))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "port"), found


def test_a_prefix_that_is_cut_off_wrongly(below: Ground, kind: str) -> None:
    change = breaking(kind, swap(("location /console/ {", "location /console {"),
                                 (f"proxy_pass http://{below.site.upstream};",
                                  f"proxy_pass http://{below.site.upstream}/;")),
                      swap(("handle @console {", "handle @console {\n uri strip_prefix /console/api")))
    with below.proxy(kind, change):
        found = checked(below)
    assert (found.verdict, found.cause) == (DIFFERS, "prefix")
    assert ("//api/connect" if kind == "nginx" else "/connect/address-check") in found.sentence


def test_a_prefix_that_is_cut_off_rightly_is_right(below: Ground, kind: str) -> None:
    change = breaking(kind, swap((f"proxy_pass http://{below.site.upstream};",
                                  f"proxy_pass http://{below.site.upstream}/;")),
                      swap(("handle @console {", "handle @console {\n uri strip_prefix /console")))
    with below.proxy(kind, change):
        assert checked(below).verdict == OK


def test_a_prefix_that_stands_there_twice(below: Ground, kind: str) -> None:
    change = breaking(kind, swap((f"proxy_pass http://{below.site.upstream};",
                                  f"proxy_pass http://{below.site.upstream}/console/console/;")),
                      swap(("handle @console {", "handle @console {\n rewrite * /console{uri}")))
    with below.proxy(kind, change):
        found = checked(below)
    assert (found.cause, "/console was put before it" in found.sentence) == ("prefix", True)


def test_a_redirect_in_between(encrypted: Ground, kind: str) -> None:
    there = f"https://www.{HOST}:{encrypted.port}"
    change = breaking(kind, swap(("    location / {", f"    return 301 {there}$request_uri;\n    location / {{")),
                      swap((f"reverse_proxy {encrypted.site.upstream}", f"redir {there}{{uri}}")))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "redirect_host")
    assert f"www.{HOST}" in found.sentence and found.rows[0].finding.setting == f"API_PUBLIC_URL={there}"
    assert "address_check" not in found.sentence


def test_a_query_that_is_lost(encrypted: Ground, kind: str) -> None:
    change = breaking(kind, swap((f"proxy_pass http://{encrypted.site.upstream};",
                                  f"proxy_pass http://{encrypted.site.upstream}$uri;")),
                      swap((f"reverse_proxy {encrypted.site.upstream}",
                            f"rewrite * {{path}}?\n reverse_proxy {encrypted.site.upstream}")))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "query"), found


def test_a_proxy_that_does_not_say_who_is_asking(encrypted: Ground, kind: str) -> None:
    change = breaking(kind, swap(("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", "")),
                      caddy_with(encrypted, "header_up -X-Forwarded-For"))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "forwarded_for"), found


@pytest.mark.parametrize(("fault", "cause", "words"), [
    ("another name", "tls_name", "other.example.com"), ("expired", "tls_expired", "has expired on"),
    ("itself", "tls_self_signed", "signed by itself")])
def test_a_certificate_that_is_wrong(encrypted: Ground, kind: str, fault: str, cause: str, words: str) -> None:
    make = encrypted.authority.certificate
    file, key = {"another name": lambda: make("other.example.com"), "expired": lambda: make(
        HOST, ends=timedelta(days=-2)), "itself": lambda: make(HOST, signs_itself=True)}[fault]()
    with encrypted.proxy(kind, swap((encrypted.site.certificate, file), (encrypted.site.key, key))):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, cause), found
    assert words in found.sentence


def test_a_certificate_of_an_authority_that_nobody_knows(encrypted: Ground, kind: str,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with encrypted.proxy(kind):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "tls_chain"), found


def test_a_proxy_that_speaks_http_where_https_is_said(encrypted: Ground, kind: str) -> None:
    change = breaking(kind, swap((" ssl;", ";"), (f"ssl_certificate {encrypted.site.certificate};", ""),
                                 (f"ssl_certificate_key {encrypted.site.key};", "")),
                      swap((f"tls {encrypted.site.certificate} {encrypted.site.key}", ""), ("https://", "http://")))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "tls_none"), found


def test_a_proxy_that_does_not_reach_the_console(encrypted: Ground, kind: str) -> None:
    with encrypted.proxy(kind, swap((encrypted.site.upstream, f"127.0.0.1:{free_port()}"))):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "upstream") and encrypted.site.upstream in found.sentence


@pytest.mark.parametrize(("answer", "cause"), [("403", "wall"), ("404", "not_found"), ("200", "another_site")])
def test_somebody_else_who_answers(encrypted: Ground, kind: str, answer: str, cause: str) -> None:
    change = breaking(kind, swap((f"proxy_pass http://{encrypted.site.upstream};", f'return {answer} "hello";')),
                      swap((f"reverse_proxy {encrypted.site.upstream}", f'respond "hello" {answer}')))
    with encrypted.proxy(kind, change):
        found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, cause), found


def test_nobody_listens_or_the_name_is_unknown(encrypted: Ground) -> None:
    found = checked(encrypted)
    assert (found.verdict, found.cause) == (DIFFERS, "refused") and "this very machine" in found.sentence
    with overridden(encrypted, "linkedin", "https://nowhere.example.com/api/connect/linkedin/callback"):
        other = checked(encrypted).rows[1].finding
    assert (other.verdict, other.cause) == (DIFFERS, "dns") and "nowhere.example.com" in other.sentence


def test_an_address_that_leads_nowhere_from_here_is_left_open(encrypted: Ground,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_check, "_is_own", lambda address: False)
    found = checked(encrypted)
    assert (found.verdict, found.cause) == (CANNOT_TELL, "refused") and "from your browser" in found.sentence


def test_the_lines_that_mend_a_difference_are_taken_by_the_proxies(below: Ground, kind: str) -> None:
    """Each set of lines stands where the page says, and the proxy starts with it and serves the console."""
    for cause in ("prefix", "host", "proto", "forwarded_for", "upstream"):
        lines = address_check.proxy_lines.fixes(cause, below.site)[{"nginx": "nginx", "caddy": "Caddy"}[kind]]
        with below.proxy(kind, partial(mended, kind, lines, below)):
            if kind == "caddy" or cause != "prefix":
                assert requests.get(f"{below.url}/healthz", verify=str(below.authority.file), timeout=5).ok, cause


def mended(kind: str, lines: str, ground: Ground, text: str) -> str:
    """A configuration with these lines in place of its own of the same kind."""
    if lines.startswith(("location", "@console")):
        head, end = text.split("    location" if kind == "nginx" else "    @console", 1)[0], "\n}"
        return head + lines + end
    if kind == "nginx":
        kept = [line for line in text.split("\n") if line.strip() not in lines.split("\n")]
        return "\n".join(kept).replace("proxy_pass", lines + "\nproxy_pass", 1)
    return text.replace(f"reverse_proxy {ground.site.upstream}", lines)
