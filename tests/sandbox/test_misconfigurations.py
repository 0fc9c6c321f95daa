"""Everything that can be set up wrongly, at all seven platforms: what the console says of it, and whom it asks to act.

Each row is one fault, made where people make it: in the developer portal (the sandbox's) or in Configure. The oracle
knows nothing of the sentences: for each kind of fault it has words of which one has to be said, words that must not be
said because they blame somebody else, and who has to act. `build/misconfigurations.md` shows the table.
"""

import io
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import urllib3
from flask import Flask
from requests.adapters import HTTPAdapter
from sqlalchemy import select

from socialconsole import address_check, database, doctor, incidents, outside, platform_apps
from socialconsole import config as settings
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import AuditEvent, ConnectionAttempt, Incident, Message, Recording
from socialconsole.providers import PROVIDERS
from tests.cast import Cast, Clock, make_cast
from tests.conftest import build, close, environ
from tests.formats.playground import BASE
from tests.sandbox.misconfigured import ADMIN, NOBODY_KNOWS, PUBLIC, TENANT, WORKSPACE, Said, Walk, plain, send

TABLE = Path(__file__).parents[2] / "build" / "misconfigurations.md"

# ---------------------------------------------------------------- the oracle

NOT_THE_PERSON = ("you did not allow", "answered with no", "too old or used twice", "reconnect the profile",
                  "sign in at ", "was not ticked", "box was not", "your role", "none was ticked", "your account is",
                  "30 seconds", "whoever can sign in")
NOT_THE_PLATFORM = ("fault of its own", "cannot be reached", "has trouble", "did not answer", "wait: the console",
                    "asked us to wait")
NOT_THE_CONSOLE = ("console sent a broken", "makers of this console", "wrong kind of key")
NOBODY_ELSE = (*NOT_THE_PERSON, *NOT_THE_PLATFORM, *NOT_THE_CONSOLE)
NOT_THE_SECRET = ("secret is wrong", "refuses the app secret", "refuses the client secret", "wrong client secret")
NOT_THE_CALLBACK = ("callback is not", "callback differs", "callback is missing")


@dataclass(frozen=True)
class Oracle:
    """What has to be said of one kind of fault: one of `says`, nothing of `never`; and who has to act."""

    says: tuple[str, ...]
    never: tuple[str, ...] = NOBODY_ELSE
    who: str = ADMIN


_ID = ("does not know", "not one that", "is not the id", "not the oauth 2.0 one", "does not accept the client key",
       "is unknown", "refuses this pair", "either the id is wrong")
KINDS: dict[str, Oracle] = {
    "wrong id": Oracle(_ID, (*NOBODY_ELSE, *NOT_THE_SECRET, *NOT_THE_CALLBACK)),
    "wrong secret": Oracle(("secret",), (*NOBODY_ELSE, *NOT_THE_CALLBACK, "does not know the", "does not know this")),
    "swapped": Oracle(("swapped",)),
    "callback: slash": Oracle(("slash",), (*NOBODY_ELSE, *NOT_THE_SECRET)),
    "callback: scheme": Oracle(("scheme", "use https"), (*NOBODY_ELSE, *NOT_THE_SECRET)),
    "callback: host": Oracle(("host differs",), (*NOBODY_ELSE, *NOT_THE_SECRET)),
    "callback: port": Oracle(("port",), (*NOBODY_ELSE, *NOT_THE_SECRET)),
    "callback: path": Oracle(("path",), (*NOBODY_ELSE, *NOT_THE_SECRET)),
    "callback not registered": Oracle(("callback",), (*NOBODY_ELSE, *NOT_THE_SECRET, "asks for a scope")),
    "missing product": Oracle(
        ("use case", "product", "login kit", "pay-per-use", "website url", "api is not enabled", "lacks the set-up",
         "lacks the instagram login", "does not have a permission", "does not own", "two pairs", "not enabled in the",
         "read-only"),
        (*NOBODY_ELSE, *NOT_THE_SECRET, *NOT_THE_CALLBACK)),
    "unknown scope": Oracle(("scope", "permission"), (*NOBODY_ELSE, *NOT_THE_SECRET, *NOT_THE_CALLBACK)),
    "missing scope": Oracle(("scope", "permission", "without "), (*NOBODY_ELSE, *NOT_THE_SECRET, *NOT_THE_CALLBACK)),
    "test mode": Oracle(
        ("tester", "of its team", "in its team", "target user", "test user", "in development", "in testing",
         "not approved", "internal to an organization"), (*NOBODY_ELSE, *NOT_THE_SECRET, *NOT_THE_CALLBACK)),
    "sandbox key": Oracle(("sandbox",), (*NOBODY_ELSE, *NOT_THE_CALLBACK)),
    "off": Oracle(("not turned on", "was turned off"), (*NOBODY_ELSE, *NOT_THE_SECRET, *NOT_THE_CALLBACK)),
    "sub-path proxy": Oracle(("cut off", "put before", "missing at its beginning"), (*NOBODY_ELSE, *NOT_THE_SECRET)),
    # Nothing is set up wrongly here: whoever blames an admin for it is wrong too.
    "the person said no": Oracle(("answered with no", "did not allow"), (
        *NOT_THE_PLATFORM, *NOT_THE_SECRET, *NOT_THE_CALLBACK, "configure", "administrator of this console"), TENANT),
}
NO_FAULT = ("the person said no",)


# ---------------------------------------------------------------- the rows


@dataclass(frozen=True)
class Case:
    """One fault: of which kind, at which platform, what is broken, where it is said, and the walk there."""

    kind: str
    slug: str
    mode: str
    broken: str
    place: str
    walk: Callable[[Walk, "Case"], Said] = field(repr=False)
    more: tuple[str, ...] = ()  # besides the oracle's words: one of these has to be said too
    cannot_tell: str = ""  # why no more than the code can be said

    @property
    def id(self) -> str:
        """A name for the test."""
        return re.sub(r"[^a-z0-9:+]+", "-", f"{self.kind} {self.slug} {self.mode} {self.broken} {self.place}".lower())


EVERY = (("facebook", ""), ("instagram", "facebook_login"), ("instagram", "instagram_login"), ("threads", ""),
         ("linkedin", "member"), ("linkedin", "organization"), ("twitter", ""), ("tiktok", ""), ("youtube", ""))
ONE_EACH = tuple(dict(EVERY[::-1]).items())[::-1]
DIRECT = "instagram_login"
CHECK, SAVE, WHILE_TYPING, COMPARE = "Check credentials", "Save", "while typing", "Compare"
CALLBACK, PAGE, CONNECT, ADDRESS = "after coming back", "follow-up of the platform's page", "Connect", "address check"
ON_X = 1  # X shows one page for everything: the causes are told in an order in which they can be ruled out


def another(value: str) -> str:
    """A value of the same shape that nobody has."""
    at = next(place for place in range(8, len(value)) if value[place].isalnum())
    new = {"1": "2", "a": "b", "A": "B"}
    kind = "1" if value[at].isdigit() else "a" if value[at].islower() else "A"
    return value[:at] + (kind if value[at] != kind else new[kind]) + value[at + 1:]


def _ready(walk: Walk, case: Case, **typed: Any) -> None:
    """Registered as it should be, saved with these changes, and on."""
    if not walk.made:
        walk.register(case.slug, case.mode)
    walk.save(**typed)
    walk.turn_on()


def wrong_id_checked(walk: Walk, case: Case) -> Said:
    made = walk.register(case.slug, case.mode)
    walk.save(client_id=another(made["client_id"]))
    said = walk.at_check()
    assert any(word in walk.at_on().words.lower() for word in _ID), "On lets it pass"
    return said


def wrong_id_met(walk: Walk, case: Case) -> Said:
    made = walk.register(case.slug, case.mode)
    walk.save(client_id=another(made["client_id"]))
    walk.turn_on_blindly()
    return walk.at_page(rung=ON_X if case.slug == "twitter" else 0)


def wrong_secret_checked(walk: Walk, case: Case) -> Said:
    made = walk.register(case.slug, case.mode)
    walk.save(client_secret=another(made["client_secret"]))
    said = walk.at_check()
    if not case.cannot_tell:
        assert "secret" in walk.at_on().words.lower(), "On lets it pass"
    return said


def wrong_secret_met(walk: Walk, case: Case) -> Said:
    _ready(walk, case)
    walk.new_secret()
    return walk.at_callback()


def swapped(walk: Walk, case: Case) -> Said:
    made = walk.register(case.slug, case.mode)
    assert "swapped" in walk.at_examine(client_id=made["client_secret"], client_secret=made["client_id"]).words
    return walk.at_save(client_id=made["client_secret"], client_secret=made["client_id"])


OFF_BY = {
    "slash": lambda it: it + "/", "host": lambda it: it.replace("social.", "www.social."),
    "port": lambda it: it.replace(".com/", ".com:8443/"), "path": lambda it: it.replace("/connect/", "/callbacks/"),
}
HTTP = "http://social.example.com/api/connect/{}/callback"


def compared(walk: Walk, case: Case) -> Said:
    """The portal holds another address than the callback."""
    right = f"{PUBLIC}/api/connect/{case.slug}/callback"
    if case.broken == "scheme":  # the sandbox's portal takes no http, as few do, so it is only pasted
        walk.register(case.slug, case.mode)
        walk.save()
        return walk.at_compare(HTTP.format(case.slug))
    walk.register(case.slug, case.mode, uris=(OFF_BY[case.broken](right),))
    walk.save()
    return walk.at_compare()


def refused_scheme(walk: Walk, case: Case) -> Said:
    """The console's own callback is to be http."""
    walk.register(case.slug, case.mode)
    return walk.at_save(callback_override=HTTP.format(case.slug))


def not_registered(walk: Walk, case: Case) -> Said:
    right = f"{PUBLIC}/api/connect/{case.slug}/callback"
    walk.register(case.slug, case.mode, uris=(OFF_BY[case.broken](right),))
    _ready(walk, case)
    said = walk.at_page()
    if case.slug == "twitter":
        assert not walk.is_connected()
    return said


def met(person: str = "", rung: int = 0, *, portal_mode: str | None = None, typed: dict[str, str] | None = None,
        blindly: bool = False, **switches: Any) -> Callable[[Walk, Case], Said]:
    """The app in the portal has these switches; what our page says in the end, or the follow-up."""
    def walk_through(walk: Walk, case: Case) -> Said:
        walk.register(case.slug, case.mode, portal_mode=portal_mode, **switches)
        walk.save(**(typed or {}))
        walk.turn_on_blindly() if blindly else walk.turn_on()
        return walk.at_callback(person) if case.place == CALLBACK else walk.at_page(person, rung)
    return walk_through


def previewed(override: str) -> Callable[[Walk, Case], Said]:
    def walk_through(walk: Walk, case: Case) -> Said:
        walk.register(case.slug, case.mode)
        return walk.at_preview(scope_override=override)
    return walk_through


def refused(typed: dict[str, str]) -> Callable[[Walk, Case], Said]:
    def walk_through(walk: Walk, case: Case) -> Said:
        walk.register(case.slug, case.mode)
        return walk.at_save(**typed)
    return walk_through


def checked(portal_mode: str) -> Callable[[Walk, Case], Said]:
    def walk_through(walk: Walk, case: Case) -> Said:
        walk.register(case.slug, case.mode, portal_mode=portal_mode)
        walk.save()
        return walk.at_check()
    return walk_through


def of_the_meta_app(walk: Walk, case: Case) -> Said:
    """Both values are of the Meta app, not of its Threads part."""
    other = walk.register("facebook")
    walk.register(case.slug, case.mode)
    walk.save(client_id=other["client_id"], client_secret=other["client_secret"])
    if case.place == CHECK:
        return walk.at_check()
    walk.turn_on_blindly()
    return walk.at_page()


def examined(portal_mode: str, **typed: str) -> Callable[[Walk, Case], Said]:
    def walk_through(walk: Walk, case: Case) -> Said:
        walk.register(case.slug, case.mode, portal_mode=portal_mode)
        return walk.at_examine(**typed)
    return walk_through


def mixed(walk: Walk, case: Case) -> Said:
    """The key of TikTok's sandbox with the secret of production."""
    production = walk.register(case.slug, case.mode)
    walk.register(case.slug, case.mode, portal_mode="sandbox")
    walk.save(client_secret=production["client_secret"])
    return walk.at_check()


def is_off(walk: Walk, case: Case) -> Said:
    walk.register(case.slug, case.mode)
    walk.save()
    if case.broken == "with a note":
        walk.turn_on()
        assert walk.post(f"/admin/platforms/{case.slug}/off", note="Moving to another app").status_code == 303
    said = walk.at_off()
    assert case.broken != "with a note" or "Moving to another app" in said.words
    return said


def said_no(walk: Walk, case: Case) -> Said:
    _ready(walk, case)
    said = walk.at_callback(decision="deny")
    return replace(said, who=said.who or TENANT)  # a plain No needs no explanation of who can end it


def without_prefix(walk: Walk, case: Case) -> Said:
    """The console lives below /social; the portal was given the address without it."""
    walk.register(case.slug, case.mode)
    walk.save(callback_override=f"{PUBLIC}/social/api/connect/{case.slug}/callback")
    return walk.at_compare(callback_override=f"{PUBLIC}/social/api/connect/{case.slug}/callback")


def proxied(walk: Walk, case: Case) -> Said:
    """The callback has a host of its own, and the proxy there changes the path."""
    walk.register(case.slug, case.mode)
    own = f"https://login.example.com/social/api/connect/{case.slug}/callback"
    walk.save(callback_override=own)
    walk.post("/admin/address/check")
    with walk.app.app_context():
        result = address_check.last()
        assert result is not None
        row = next(row for row in result.rows if row.url == own)
        assert PROVIDERS[case.slug].name in row.what
        db.session.remove()
    page = plain(walk.get("/admin/address").text)
    assert row.finding.sentence in page, page
    return Said(row.finding.sentence, ADMIN)


def _everywhere() -> Iterator[Case]:
    """The faults that every platform knows."""
    for number, (slug, mode) in enumerate(EVERY):
        direct = mode == DIRECT
        yield Case("wrong id", slug, mode, "one digit differs", CHECK, wrong_id_checked)
        yield Case("wrong id", slug, mode, "turned on before a check", PAGE, wrong_id_met)
        yield Case("wrong secret", slug, mode, "one letter differs", CHECK, wrong_secret_checked, cannot_tell=(
            "Instagram looks at the secret only when somebody connects" if direct else ""))
        yield Case("wrong secret", slug, mode, "made anew in the portal", CALLBACK, wrong_secret_met)
        yield Case("swapped", slug, mode, "id and secret", SAVE, swapped)
        for how in (*OFF_BY, "scheme"):
            yield Case(f"callback: {how}", slug, mode, how, COMPARE, compared)
        yield Case("callback not registered", slug, mode, tuple(OFF_BY)[number % 4], PAGE, not_registered)
        yield Case("the person said no", slug, mode, "nothing", CALLBACK, said_no)
    for slug, mode in ONE_EACH:
        yield Case("callback: scheme", slug, mode, "http as the override", SAVE, refused_scheme, more=("https",))
        yield Case("off", slug, mode, "never turned on", CONNECT, is_off)
        yield Case("off", slug, mode, "with a note", CONNECT, is_off)
        yield Case("sub-path proxy", slug, mode, "the portal lacks the prefix", COMPARE, without_prefix)
        yield Case("sub-path proxy", slug, mode, "cut off too much" if len(slug) % 2 else "put twice", ADDRESS, proxied)


GOOGLE = "https://www.googleapis.com/auth/"
_UNKNOWN_SCOPE = {
    ("facebook", ""): ("public_profile,pages_show_list,pages_fly", CALLBACK),
    ("instagram", "facebook_login"): ("instagram_basic,pages_show_list,instagram_fly", CALLBACK),
    ("instagram", DIRECT): ("instagram_business_basic,instagram_business_fly", PAGE),
    ("threads", ""): ("threads_basic,threads_fly", PAGE),
    ("linkedin", "member"): ("openid profile w_member_fly", PAGE),
    ("linkedin", "organization"): ("r_basicprofile rw_organization_admin w_organization_fly", PAGE),
    ("twitter", ""): ("tweet.read users.read offline.access tweet.fly", PAGE),
    ("tiktok", ""): ("user.info.basic,video.fly", PAGE),
    ("youtube", ""): (f"openid {GOOGLE}youtube.readonly {GOOGLE}youtube.fly", PAGE),
}
_LEFT_OUT = {
    ("facebook", ""): ("public_profile,email", CALLBACK, "pages_show_list"),
    ("instagram", "facebook_login"): ("instagram_content_publish,pages_show_list,pages_read_engagement", CALLBACK,
                                      "instagram_basic"),
    ("instagram", DIRECT): ("instagram_business_content_publish", PAGE, "instagram_business_basic"),
    ("threads", ""): ("threads_content_publish", SAVE, "threads_basic"),
    ("linkedin", "member"): ("w_member_social", CALLBACK, "openid"),
    ("linkedin", "organization"): ("r_basicprofile w_organization_social", CALLBACK, "rw_organization_admin"),
    ("twitter", ""): ("tweet.write offline.access", CALLBACK, "users.read"),
    ("tiktok", ""): ("video.publish", CALLBACK, "user.info.basic"),
    ("youtube", ""): (f"openid {GOOGLE}youtube.upload", CALLBACK, "youtube.readonly"),
}


def _scopes() -> Iterator[Case]:
    for (slug, mode), (override, place) in _UNKNOWN_SCOPE.items():
        yield Case("unknown scope", slug, mode, override.split(",")[-1].split(" ")[-1].removeprefix(GOOGLE), place,
                   met(rung=3 if slug == "twitter" else 0, typed={"scope_override": override}))
    for (slug, mode), (override, place, absent) in _LEFT_OUT.items():
        typed = {"scope_override": override}
        yield Case("missing scope", slug, mode, absent, WHILE_TYPING, previewed(override), more=(absent,))
        yield Case("missing scope", slug, mode, absent, place, refused(typed) if place == SAVE else met(typed=typed))


def _products() -> Iterator[Case]:
    kind = "missing product"
    yield Case(kind, "facebook", "", "no use case for Pages", CALLBACK, met(pages_use_case=False))
    yield Case(kind, "instagram", "facebook_login", "no use case for Instagram", CALLBACK,
               met(instagram_use_case=False))
    yield Case(kind, "instagram", DIRECT, "set up for the other login", CHECK, checked("facebook_login"))
    yield Case(kind, "instagram", DIRECT, "set up for the other login", PAGE, met(
        portal_mode="facebook_login", blindly=True))
    yield Case(kind, "threads", "", "the pair of the Meta app", CHECK, of_the_meta_app)
    yield Case(kind, "threads", "", "the pair of the Meta app", PAGE, of_the_meta_app)
    yield Case(kind, "linkedin", "member", "no Share on LinkedIn", CALLBACK, met(share_product=False),
               more=("w_member_social",))
    yield Case(kind, "linkedin", "member", "no Sign In with LinkedIn", CALLBACK, met(sign_in_product=False),
               more=("openid",))
    yield Case(kind, "linkedin", "member", "Community Management only", CALLBACK, met(portal_mode="organization"))
    yield Case(kind, "linkedin", "organization", "no Community Management", CALLBACK, met(portal_mode="member"))
    yield Case(kind, "twitter", "", "not in Pay-per-use", CALLBACK, met(enrolled=False))
    yield Case(kind, "twitter", "", "no Website URL", PAGE, met(rung=2, website_url=False))
    yield Case(kind, "tiktok", "", "no Login Kit", PAGE, met(login_kit=False))
    yield Case(kind, "tiktok", "", "no Content Posting API", PAGE, met(content_posting=False))
    yield Case(kind, "youtube", "", "API not enabled", CALLBACK, met(api_enabled=False))


def _tests_only() -> Iterator[Case]:
    kind, ines, nadia = "test mode", "700000000000103", "720000000000203"
    yield Case(kind, "facebook", "", "in development", PAGE, met(ines, development=True))
    yield Case(kind, "facebook", "", "no Advanced Access", PAGE, met(ines, advanced_access=False))
    yield Case(kind, "instagram", "facebook_login", "in development", PAGE, met(nadia, development=True))
    yield Case(kind, "instagram", "facebook_login", "no Advanced Access", PAGE, met(nadia, advanced_access=False))
    yield Case(kind, "instagram", DIRECT, "no Instagram Tester", PAGE, met(nadia, development=True))
    yield Case(kind, "threads", "", "no Threads Tester", PAGE, met("17841405793187302", development=True))
    yield Case(kind, "tiktok", "", "no Target user", CALLBACK, met("cleo-barred", portal_mode="sandbox"))
    yield Case(kind, "tiktok", "", "review not passed", PAGE, met(approved=False))
    yield Case(kind, "youtube", "", "no test user", PAGE, met("leo-silent", testing=True))
    yield Case(kind, "youtube", "", "Audience is Internal", PAGE, met(internal=True))
    kind = "sandbox key"
    yield Case(kind, "tiktok", "", "sandbox key, state audited", WHILE_TYPING, examined(
        "sandbox", option_app_state="audited"), more=("state",))
    yield Case(kind, "tiktok", "", "production key, state sandbox", WHILE_TYPING, examined(
        "", option_app_state="sandbox"), more=("state",))
    yield Case(kind, "tiktok", "", "sandbox key", WHILE_TYPING, examined("sandbox"), more=("target users",))
    yield Case(kind, "tiktok", "", "sandbox key, production secret", CHECK, mixed, more=("production",))


CASES = (*_everywhere(), *_products(), *_scopes(), *_tests_only())


# ---------------------------------------------------------------- judging


NAMED, UNSURE, BLAMES = "named", "cannot tell", "blames another"
VERDICTS = (NAMED, UNSURE, BLAMES)


@dataclass(frozen=True)
class Judged:
    """What came of one row."""

    said: Said
    is_named: bool
    blamed: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """In one word."""
        return BLAMES if self.blamed else NAMED if self.is_named else UNSURE


def judge(case: Case, said: Said) -> Judged:
    """Whether a sentence names the cause and the party, and whether it blames somebody else."""
    oracle, words = KINDS[case.kind], said.words.lower()
    blamed = [word for word in oracle.never if word in words]
    if said.who not in (oracle.who, NOBODY_KNOWS):
        blamed.append(f"party: {said.who or 'none'}")
    is_named = any(word in words for word in oracle.says) and said.who == oracle.who
    return Judged(said, is_named and (not case.more or any(word in words for word in case.more)), tuple(blamed))


FOUND: dict[Case, Judged] = {}


def table() -> str:
    """The whole table as Markdown: counts for each kind, then every row with what was said."""
    lines = ["# What the console says of each misconfiguration", "",
             "| kind | rows | named | cannot tell | blames another |", "|---|---|---|---|---|"]
    kinds = {kind: [found.verdict for case, found in FOUND.items() if case.kind == kind] for kind in KINDS}
    faults = [verdict for kind, some in kinds.items() if kind not in NO_FAULT for verdict in some]
    for kind, some in (*kinds.items(), ("**all faults**", faults)):
        lines.append(f"| {kind} | {len(some)} | " + " | ".join(str(some.count(one)) for one in VERDICTS) + " |")
    lines += ["", f"{faults.count('named')} of {len(faults)} faults are named: "
                  f"{100 * faults.count('named') / max(1, len(faults)):.1f} %.", "",
              "| kind | platform | what is broken | where it is said | who | verdict | what is said |",
              "|---|---|---|---|---|---|---|"]
    for case in CASES:
        if case in FOUND:
            found, where = FOUND[case], f"{case.slug} {case.mode}".strip()
            said = found.said.words.replace("|", "\\|")[:600]
            lines.append(f"| {case.kind} | {where} | {case.broken} | {case.place} | {found.said.who} | {found.verdict}"
                         f"{f' ({case.cannot_tell}; code: {found.said.code})' if case.cannot_tell else ''} | {said} |")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module", autouse=True)
def the_table_adds_up() -> Iterator[None]:
    """After the last row, in whatever order they ran: 95 % of the faults are named, and nobody is blamed wrongly."""
    FOUND.clear()
    yield
    if len(FOUND) < len(CASES):
        return  # only some rows were asked for, or a walk broke off, which failed by itself
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table())
    faults = [found for case, found in FOUND.items() if case.kind not in NO_FAULT]
    assert sum(found.is_named for found in faults) / len(faults) >= 0.95, TABLE
    assert not [found.blamed for found in FOUND.values() if found.blamed], TABLE


MAIL = {"MAIL_URL": "smtp://127.0.0.1:1025", "MAIL_FROM": "console@example.com"}  # nothing is sent: a worker would
KEPT = ("user", "workspace", "membership")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[tuple[Flask, Cast]]:
    """One console for all rows; `walk` empties it."""
    folder = tmp_path_factory.mktemp("misconfigured")
    config = settings.read(environ(folder, API_PUBLIC_URL=PUBLIC, SANDBOX="on", **MAIL), folder)
    path = database.sqlite_path(config)
    assert path is not None and not config.problems
    shutil.copyfile(migrated, path)
    app = build(config)
    with app.app_context():
        cast = make_cast()
        db.session.remove()
    yield app, cast
    close(app)


def _empty(app: Flask) -> None:
    with app.app_context():
        with writing() as session:
            for one in reversed(db.metadata.sorted_tables):
                if one.name not in KEPT:
                    session.execute(one.delete())
        db.session.remove()


@pytest.fixture
def walk(house: tuple[Flask, Cast], clock: Clock, sign_in: Any, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """A console with Alice in front of it, the sandbox behind it, and a proxy before its callback host."""
    app, cast = house
    _empty(app)
    made = Walk(app, sign_in(app.test_client(), cast.alice), cast, clock)
    give_out = outside.secret
    # Long ones are verifiers; states are read from where they are sent.
    monkeypatch.setattr(outside, "secret", lambda *size: _noted(made, give_out(*size), size))
    monkeypatch.setattr(platform_apps, "hosts", lambda row: PROVIDERS[row.platform].base_addresses(BASE))
    monkeypatch.setattr(address_check, "_reach", lambda parts: (None, ""))  # no name is looked up
    monkeypatch.setattr(HTTPAdapter, "send", send([made], {"https://login.example.com": proxy(app),
                                                          PUBLIC: proxy(app)}))
    return made


def _noted(walk: Walk, value: str, size: tuple[int, ...]) -> str:
    walk.secrets |= {value} if size == (48,) else set()
    return value


def proxy(app: Any) -> Callable[[HTTPAdapter, requests.PreparedRequest], requests.Response]:
    """A proxy that changes the path below /social: by the platform, too much is cut off, or it is put there twice."""
    def answer(adapter: HTTPAdapter, request: requests.PreparedRequest) -> requests.Response:
        parts = urlsplit(request.url or "")
        path = parts.path
        if path.startswith("/social/"):
            slug = path.split("/")[-2]
            path = path.removeprefix("/social/api") if len(slug) % 2 else f"/social{path}"
        found = app.test_client().get(f"{path}?{parts.query}", base_url=f"{parts.scheme}://{parts.netloc}",
                                      headers=dict(request.headers))
        raw = urllib3.HTTPResponse(io.BytesIO(found.data), urllib3.HTTPHeaderDict(list(found.headers)),
                                   found.status_code, preload_content=False)
        return adapter.build_response(request, raw)
    return answer


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_cause_is_named_and_nobody_else_blamed(case: Case, walk: Walk) -> None:
    said = case.walk(walk, case)
    found = judge(case, said)
    FOUND[case] = found
    assert not found.blamed, f"blames {found.blamed}: {said.words}"
    assert walk.leaks() == []
    if case.cannot_tell:
        assert said.who == NOBODY_KNOWS and said.code, f"{case.cannot_tell}: {said}"
    else:
        assert found.is_named, f"{said.who or 'nobody'} · {said.words}"
    if walk.stopped_at:  # the same in the help page's own words, where the platform's page is pasted into it
        pasted = walk.at_help()
        assert not judge(case, pasted).blamed, pasted




def test_the_table_covers_every_platform_with_every_kind_it_knows() -> None:
    faults = [case for case in CASES if case.kind not in NO_FAULT]
    assert len(faults) >= 60 and len({case.id for case in CASES}) == len(CASES)
    by_kind = {kind: {case.slug for case in faults if case.kind == kind} for kind in KINDS if kind not in NO_FAULT}
    only_some = {"missing product": set(PROVIDERS), "sandbox key": {"tiktok"},
                 "test mode": {"facebook", "instagram", "threads", "tiktok", "youtube"}}  # the others have none
    for kind, slugs in by_kind.items():
        assert slugs == only_some.get(kind, set(PROVIDERS)), kind
    assert sum(bool(case.cannot_tell) for case in faults) / len(faults) <= 0.05


# ---------------------------------------------------------------- secrets


def _written(app: Flask) -> str:
    """Every row about what happened, as text, and the file of `doctor`."""
    with app.app_context():
        rows = [one for kind in (AuditEvent, Incident, Message, Recording, ConnectionAttempt)
                for one in db.session.scalars(select(kind))]
        assert {type(one) for one in rows} == {AuditEvent, Incident, Message, Recording, ConnectionAttempt}
        text = "\n".join(repr({column.name: getattr(one, column.key) for column in type(one).__mapper__.columns
                               if not column.name.endswith("_sealed")}) for one in rows)
        report = doctor.examine_running(outside.now())
        kept = doctor.bundle(report, app.extensions["config"], outside.now())
        db.session.remove()
    with zipfile.ZipFile(io.BytesIO(kept)) as archive:
        return text + "".join(archive.read(name).decode() for name in archive.namelist())


def test_no_page_mail_timeline_or_bundle_holds_a_secret(walk: Walk, caplog: pytest.LogCaptureFixture) -> None:
    """At every platform somebody connects, says No, and meets a secret that was made anew: no secret shows anywhere."""
    caplog.set_level("DEBUG")
    for slug, mode in ONE_EACH:
        walk.register(slug, mode)
        walk.save()
        walk.turn_on()
        walk.connect()
        walk.at_callback(decision="deny")
        walk.new_secret()
        assert "secret" in walk.at_callback().words.lower()
        walk.at_check()
        walk.get(f"/help/{slug}")
    with walk.app.app_context():
        for _ in range(3):
            walk.clock.advance(minutes=5)
            incidents.sweep(outside.now())
        recorded = list(db.session.scalars(select(Recording.id)))
        db.session.remove()
    assert len(recorded) >= 3 * len(ONE_EACH)
    for path in ("/admin/timelines", "/admin/activity", "/admin/health", "/admin/platforms", f"{WORKSPACE}/activity",
                 f"{WORKSPACE}/profiles", f"{WORKSPACE}/alerts",
                 *(f"/admin/timelines/{one}{end}" for one in recorded for end in ("", "/file"))):
        assert walk.get(path).status_code == 200, path
    assert len(walk.all_secrets()) >= 10 * len(ONE_EACH)
    assert walk.leaks(_written(walk.app), caplog.text) == []
