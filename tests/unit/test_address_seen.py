"""The first difference between what was asked and what arrived, and the lines that mend it."""

import inspect
import re
from dataclasses import replace

import pytest

from socialconsole import address_check, address_seen, proxy_lines
from socialconsole import config as settings
from socialconsole.address_seen import DIFFERS, OK, Place, Seen, compare
from socialconsole.proxy_lines import Site
from tests.conftest import environ

PATH = "/api/connect/address-check/callback"
ROOT = Place("https://social.example.com" + PATH, (PATH,))
BELOW = Place("https://social.example.com:8443/console" + PATH, ("/console" + PATH, PATH))
RIGHT = Seen("GET", "https", "social.example.com", PATH, True, "203.0.113.9", "127.0.0.1", "http", "social.example.com",
             ("203.0.113.9",), "https", "social.example.com", 1)
DIRECT = replace(RIGHT, forwarded_for=(), forwarded_proto="", forwarded_host="", trusted=0, peer="203.0.113.9")


def found(place=ROOT, seen=RIGHT, **changes):
    return compare(place, replace(seen, **changes))


@pytest.mark.parametrize(("place", "changes"), [
    (ROOT, {}), (ROOT, {"host": "SOCIAL.example.com:443"}),
    (BELOW, {"host": "social.example.com:8443", "path": "/console" + PATH}),
    (BELOW, {"host": "social.example.com:8443", "path": PATH}),  # the proxy cut the prefix off
    (ROOT, {"trusted": 2, "forwarded_for": ("203.0.113.9", "198.51.100.4")}),
])
def test_what_arrives_as_it_was_asked_is_right(place, changes):
    assert found(place, **changes).verdict == OK


def test_without_a_proxy_by_http_or_on_this_machine_is_right_and_told():
    http = Place("http://social.example.com" + PATH, (PATH,))
    assert "most platforms take a callback by https alone" in compare(http, replace(DIRECT, scheme="http")).sentence
    here = Place("http://[::1]:8000" + PATH, (PATH,))
    seen = compare(here, replace(DIRECT, scheme="http", host="[::1]:8000"))
    assert (seen.verdict, seen.cause) == (OK, "loopback")


@pytest.mark.parametrize(("place", "changes", "cause", "words"), [
    (ROOT, {"has_query": False, "host": "other"}, "query", "question mark"),
    (ROOT, {"host": "127.0.0.1:8000", "path": "/x"}, "host", "asked as 127.0.0.1:8000"),
    (ROOT, {"host": ""}, "host", "asked as nobody"),
    (BELOW, {"host": "social.example.com", "path": PATH}, "port", "without the port"),
    (BELOW, {"host": "social.example.com:8443", "path": "/console/console" + PATH}, "prefix", "/console was put"),
    (BELOW, {"host": "social.example.com:8443", "path": "/connect/address-check/callback"}, "prefix", "cut off"),
    (ROOT, {"path": "/" + PATH}, "prefix", "/ was put before it"),
    (ROOT, {"path": PATH + "/"}, "prefix", "a slash was added at its end"),
    (ROOT, {"path": "/other"}, "prefix", "it was changed"),
    (ROOT, {"scheme": "http", "forwarded_proto": ""}, "proto", "X-Forwarded-Proto is missing"),
    (ROOT, {"scheme": "http", "forwarded_proto": "http"}, "proto", "the proxy says “http”"),
    (ROOT, {"scheme": "http", "forwarded_proto": "", "forwarded_for": ()}, "proto", "X-Forwarded-Proto is missing"),
    (ROOT, {"forwarded_for": ()}, "forwarded_for", "X-Forwarded-For"),
    (ROOT, {"trusted": 0, "scheme": "http"}, "proxies_few", "Set it to 1"),
    (ROOT, {"trusted": 0, "host": "127.0.0.1:8000", "scheme": "http"}, "proxies_few", "Set it to 1"),
    (ROOT, {"forwarded_for": ("a", "b")}, "proxies_few", "Set it to 2"),
    (ROOT, {"trusted": 2}, "proxies_many", "Set it to 1"),
    (Place("http://social.example.com" + PATH, (PATH,)), {}, "proto", "Set API_PUBLIC_URL to the https"),
])
def test_the_first_difference_is_named(place, changes, cause, words):
    seen = found(place, **changes)
    assert (seen.verdict, seen.cause) == (DIFFERS, cause), seen
    assert words in seen.sentence


def test_proxies_without_a_proxy_are_too_many_and_the_setting_is_given():
    seen = compare(Place("http://social.example.com" + PATH, (PATH,)), replace(DIRECT, scheme="http", trusted=1))
    assert (seen.cause, seen.setting) == ("proxies_many", "TRUSTED_PROXIES=0")
    assert found(trusted=0, scheme="http").setting == "TRUSTED_PROXIES=1"


def test_a_list_that_the_callers_own_proxy_is_on_is_not_counted():
    place = Place("http://social.example.com" + PATH, (PATH,))
    seen = replace(RIGHT, scheme="http", forwarded_proto="", forwarded_for=("a", "b"))
    assert compare(place, seen).cause == "proxies_few"
    assert compare(place, seen, counts_proxies=False).verdict == OK


# ---------------------------------------------------------------- lines


SITE = Site("social.example.com", 8443, True, "/console", "127.0.0.1:8000")


@pytest.mark.parametrize("cause", proxy_lines.FIXES)
def test_each_cause_has_lines_for_all_four_proxies_filled_in(cause):
    for site in (SITE, Site("social.example.com", 80, False, "", "[::1]:8000")):
        lines = proxy_lines.fixes(cause, site)
        assert list(lines) == ["nginx", "Caddy", "Traefik", "Apache"]
        for text in lines.values():
            assert not re.search(r"\{(prefix|upstream|host|port|address|path|rule|ssl|engine)\}|\{\{|\}\}", text), text


def test_every_cause_of_the_check_has_lines_or_a_setting_or_concerns_no_proxy():
    text = "".join(inspect.getsource(one) for one in (address_check, address_seen))
    causes = set(re.findall(r'(?:DIFFERS, |return |", )"([a-z_]+)", (?:f?"|\()', text))
    assert {"host", "prefix", "proto", "tls_name", "redirect_host", "wall"} <= causes
    beyond = {"differs", "dns", "proxies_few", "proxies_many"}  # the name, or a setting
    assert causes - set(proxy_lines.FIXES) <= beyond | {"loopback"}, causes - set(proxy_lines.FIXES)


@pytest.mark.parametrize(("onward", "cause"), [
    ("https://social.example.com/api/connect/address-check/callback", "redirect_scheme"),
    ("//www.social.example.com/api/connect/address-check/callback?address_check=n", "redirect_host"),
    ("/api/connect/address-check/callback/", "redirect_path"), ("/login?next=/x", "redirect"),
    ("https://login.example.org/", "redirect")])
def test_a_redirect_is_told_by_what_it_changes(onward, cause):
    place = Place("http://social.example.com" + PATH, (PATH,))
    seen = address_check._redirect(place.parts, onward)
    assert (seen.verdict, seen.cause) == (DIFFERS, cause) and "address_check=" not in seen.sentence


@pytest.mark.parametrize("body", ["", "null", '"words"', "[1]", '{"answer": 1}', '{"answer": ["a"]}', "[" * 16_000,
                                  '{"answer":' * 2_000, "\0\u202e"])
def test_what_is_no_answer_of_ours_is_none(body, tmp_path):
    config = settings.read(environ(tmp_path), tmp_path)
    assert address_seen.read_answer(config, body) is None
