"""Whole journeys at every platform of the sandbox, with canaries in all that is secret: no recording holds one.

The real connecting, renewing and every format's calls, first as they are and then against platforms that answer with
everything they were sent, in all the shapes an answer can have.
"""

import io
import json
import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
import urllib3
from requests.adapters import HTTPAdapter
from sqlalchemy import select

from socialconsole import connections, outside, platform_apps, recorder, recordings, tokens
from socialconsole.database import writing
from socialconsole.errors import PlatformError
from socialconsole.extensions import db
from socialconsole.models import GRANTED, PlatformApp, Recording
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Renewal
from socialconsole.providers.content import Progress
from socialconsole.web.timeline_words import as_json, as_text
from tests.formats.playground import BASE, open_playground
from tests.formats.test_every_format import draft_of, every

BROWSER = "a browser with a canary-browser-value"
WORDS = ("Quokka", "marzipan", "Xylophone", "zeppelin")
POST = "Quokka marzipan says: Xylophone zeppelin"
NAMED = re.compile(r"secret|token|code|state|verifier|password|email|challenge|value", re.IGNORECASE)


@pytest.fixture
def playground(tmp_path, ground):
    with open_playground(tmp_path) as made:
        yield made


@pytest.fixture
def own_database(tmp_path, request):
    """One database is enough here: what is written is the same."""
    copy = tmp_path / "console.db"
    copy.write_bytes(request.getfixturevalue("empty_database").read_bytes())
    return f"sqlite:///{copy}"


@pytest.fixture
def given_out(monkeypatch):
    """Every random value that the console makes: states, verifiers, boundaries."""
    found, make = set(), outside.secret
    monkeypatch.setattr(outside, "secret", lambda *size: found.add(value := make(*size)) or value)
    return found


def first_mode(slug):
    modes = PROVIDERS[slug].modes
    return modes[0].slug if modes else ""


@pytest.fixture
def walk(playground, world, monkeypatch, given_out):
    """Makes a platform ready; returns the sandbox's place, and a function that connects a profile there."""
    monkeypatch.setattr(platform_apps, "hosts", lambda app: PROVIDERS[app.platform].base_addresses(BASE))

    def ready(slug):
        place = playground(slug, first_mode(slug))
        with writing() as session:
            session.delete(world.app)
            session.flush()
            app = PlatformApp(id=f"app_{slug}", platform=slug, segment=slug, mode=first_mode(slug), is_on=True,
                              client_id=place.app.client_id, is_sandbox=True, created_at=outside.now(),
                              updated_at=outside.now(), secret_version=1, features=[
                                  one.slug for one in place.provider.features_of(first_mode(slug)) if one.default_on])
            app.secret_sealed = platform_apps.vault().seal(place.app.client_secret, *platform_apps.secret_record(app))
            session.add(app)
        given_out.update({place.app.client_secret})
        return place, app

    return ready


def consented(place, world, app):
    """Walk through the consent page; the query that the platform sends the person back with."""
    address = connections.begin(app, world.workspace, world.alice, world.login, BROWSER)
    known = place.control("GET", f"/portal/api/people?platform={place.platform}")[0]
    where = address.removeprefix(BASE)
    assert place.client.get(where, base_url=BASE).status_code == 200
    asked = dict(parse_qsl(urlsplit(address).query))
    answer = place.client.post(where, base_url=BASE, data={
        "person": str(known["id"]), "decision": "allow", "page": [str(one["id"]) for one in known.get("pages", ())],
        "scope": re.split(r"[\s,]+", asked.get("scope", ""))})
    return dict(parse_qsl(urlsplit(answer.location).query))


def asked_of(app):
    return re.split(r"[\s,]+", platform_apps.scope_string(app))


def connect(place, world, app):
    attempt = connections.finish(app.segment, consented(place, world, app), world.login, BROWSER)
    assert attempt.state == GRANTED, attempt.error
    profile = next(one for one in connections.choices(attempt) if one.selectable).profile
    return connections.confirm(attempt, [profile.platform_user_id], world.alice)[0]


def publish(place, account, text=POST, formats=None):
    """Every format of the platform, call by call, each in a recording of its own."""
    mode = first_mode(place.platform)
    for slug, of_mode, name in every():
        if (slug, of_mode) != (place.platform, mode) or (formats and name not in formats):
            continue
        with recorder.recording(recorder.PUBLISH, slug) as flight:
            outcome = None
            try:
                shown = next(one for one in place.provider.formats_of(mode) if one.slug == name)
                draft = draft_of(place, mode, shown)
                draft = replace(draft, text=text) if draft.text and not draft.link else draft
                flight.hidden = (draft,)
                place.prepare(draft, progress := Progress())
                outcome = place.provider.publish(place.app, place.account.token, draft, progress)
            except PlatformError as error:
                outcome = error
            taken = recordings.take(f"dlv_{name}"[:32], account.workspace_id, outcome)
        with writing():
            recordings.keep(taken)


def secrets_of(folder):
    """All that the sandbox gave out and knows: secrets, codes, tokens."""
    found = set()
    with closing(sqlite3.connect(folder / "sandbox.db")) as kept:
        for (table,) in list(kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'")):
            for cell in (cell for row in kept.execute(f"SELECT * FROM {table}") for cell in row):
                if isinstance(cell, str) and cell.startswith("{"):
                    plain = json.loads(cell)
                    found |= {plain[name] for name in ("client_secret", "value") if plain.get(name)}
    return {value for value in found if isinstance(value, str) and len(value) >= 12}


def sent_secrets(place):
    """Every value under a telling name in what the sandbox was asked, and every proof of a call."""
    found = set()
    for asked in place.asked:
        found |= {value for name, value in asked.parameters.items() if NAMED.search(name) and isinstance(value, str)
                  and len(value) >= 12 and name not in ("code_challenge_method",)}
        found |= set(asked.headers.get("Authorization", "").split()[1:])
    return found


def everything_written():
    rows = list(db.session.scalars(select(Recording).order_by(Recording.id)))
    text = "\n".join(json.dumps([row.code, row.outcome, row.steps], ensure_ascii=False) + as_text(row) + as_json(row)
                     for row in rows)
    db.session.commit()
    return rows, text


def leaks(text, *values):
    found = {value for some in values for value in some if value and len(value) >= 8}
    return sorted(value for value in found if value.lower() in text.lower())


@pytest.mark.parametrize("slug", PROVIDERS)
def test_a_whole_journey_leaves_timelines_without_any_secret(slug, walk, world, given_out, tmp_path):
    place, app = walk(slug)
    account = connect(place, world, app)
    held = tokens.read(account.grant)
    if place.provider.renewal_of(held) is not Renewal.NONE:
        place.clock.forward(26 * 3600 if account.grant.access_expires_at is None else 60 * 30)
        with writing():
            account.grant.due_at = outside.now()
        tokens.refresh(account.grant_id)
    place.connect(scopes=asked_of(app))
    publish(place, account)
    rows, text = everything_written()
    assert {"connect", "publish"} <= {row.kind for row in rows}
    assert rows[0].outcome == "ok" and len(rows[0].steps) >= 8
    newer = tokens.read(account.grant)
    known = (given_out, sent_secrets(place), secrets_of(tmp_path), (BROWSER, "alice@example.com", "Alice"),
             (held.access_token, held.refresh_token, newer.access_token, newer.refresh_token),
             (place.account.token, place.account.profile.username, place.account.profile.display_name))
    assert len(known[1]) >= 4 and len(known[2]) >= 3 and len(given_out) >= 2
    assert leaks(text, *known) == []
    assert not [word for word in WORDS if word.lower() in text.lower()]
    assert "Harbour Bakery" not in text


def shapes_of(said):
    """Answers that repeat what they were sent, in every shape."""
    yield 400, {}, json.dumps({"error": {"message": said, "type": said, "code": said, "error_subcode": said,
                                         "fbtrace_id": said, "error_user_msg": said}})
    yield 401, {}, json.dumps({"error": said, "error_description": said, "log_id": said})
    yield 403, {}, json.dumps({"errors": [{"message": said, "code": said, "detail": said}], "title": said,
                               "detail": said, "status": 403})
    yield 400, {}, json.dumps({"error": {"errors": [{"reason": said, "message": said}], "message": said}})
    yield 200, {}, json.dumps({"error": {"code": said, "message": said}, "data": {"error": said}})
    yield 400, {}, json.dumps({said: said, said[:30]: 1})
    yield 500, {}, f"<html><title>{said}</title>"
    yield 400, {}, '{"error": {"message": "' + said
    names = ("x-fb-trace-id", "x-request-id", "x-li-uuid", "x-tt-logid", "x-transaction-id", "Retry-After",
             "x-rate-limit-reset", "x-app-usage")
    yield 429, dict.fromkeys(names, "".join(one for one in said if 32 <= ord(one) < 127)[:900]), "{}"


@contextmanager
def repeating(number):
    """Meanwhile platforms answer with everything they were sent, in this shape; yields what that was."""
    heard = []

    def send(self, request, *_, **__):
        body = request.body if isinstance(request.body, str) else \
            request.body.decode("latin-1") if isinstance(request.body, bytes) else ""
        pieces = [value for _, value in parse_qsl(urlsplit(request.url).query)]
        pieces += [str(request.headers.get("Authorization", "")), body[:2000]]
        pieces += [value for _, value in parse_qsl(body[:2000])]
        heard.extend(pieces)
        status, headers, text = list(shapes_of(" ".join(pieces)))[number]
        raw = urllib3.HTTPResponse(io.BytesIO(text.encode()), urllib3.HTTPHeaderDict(headers), status,
                                   preload_content=False)
        return self.build_response(request, raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", send)
        yield heard


def renew(account, held):
    """Renew with these tokens, whatever became of the grant before."""
    with writing():
        tokens.store(account.grant, held, outside.now())
        account.grant.due_at = outside.now()
    tokens.refresh(account.grant_id)


@pytest.mark.parametrize("slug", PROVIDERS)
def test_a_platform_that_repeats_everything_teaches_the_recorder_nothing(slug, walk, world, given_out):
    place, app = walk(slug)
    account = connect(place, world, app)
    place.connect(scopes=asked_of(app))
    held, known = tokens.read(account.grant), {place.app.client_secret, place.account.token, "alice@example.com"}
    known |= {held.access_token, held.refresh_token or ""}
    for number in range(len(list(shapes_of("")))):
        query = consented(place, world, app)
        known |= {query["code"], query["state"]}
        with repeating(number) as heard:
            connections.finish(app.segment, query, world.login, BROWSER)
            renew(account, held)
            publish(place, account, formats=("text", "link", "image", "video", "photo", "post"))
        assert heard
    rows, text = everything_written()
    assert len([row for row in rows if row.outcome != "ok"]) > 15
    assert leaks(text, given_out, known) == []
    assert not [word for word in WORDS if word.lower() in text.lower()]
