"""Admin → Social Platform as a browser meets it: the list, the dialog, its answers, with and without htmx."""

import html
import re
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from sqlalchemy import select
from werkzeug.serving import make_server

from socialconsole import config as settings
from socialconsole import configure, outside, platform_apps
from socialconsole.database import writing
from socialconsole.errors import PlatformError
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, LIVE, Account, AuditEvent, Grant, PlatformApp, User, Workspace
from socialconsole.providers import PROVIDERS
from socialconsole.sandbox import create_sandbox
from tests.cast import make_cast
from tests.conftest import build, close

LIST, DIALOG = "/admin/platforms", "/admin/platforms/linkedin"
ID, SECRET = "78k2h0qv9xw1me", "WPL_AP1.AbCdEfGh12347f3a"
OTHER_ID, OTHER_SECRET = "86zz1mmqpl04ab", "WPL_AP1.ZyXwVuTs98765e21"
CANARIES = (SECRET, OTHER_SECRET)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin(client, cast, sign_in):
    """Alice's browser: she is platform admin."""
    sign_in(client, cast.alice)
    return client


def token(client: Any, path: str = LIST) -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def post(client: Any, path: str = DIALOG, headers: dict[str, str] | None = None, **typed: Any) -> Any:
    """Press a button of the dialog: what the page holds, and on top of it what is typed."""
    page = client.get(path.removesuffix("/preview").removesuffix("/sandbox")).text
    version = re.search(r'name="version" value="(\d+)"', page)
    form = {"csrf_token": token(client), "mode": "member", "client_id": value(page, "client_id"), "do": "save",
            "scope_override": "", "version": version[1] if version else "0", **typed}
    return client.post(path, data={name: typed for name, typed in form.items() if typed is not None}, headers=headers)


def press(client: Any, path: str, headers: dict[str, str] | None = None) -> Any:
    return client.post(path, data={"csrf_token": token(client)}, headers=headers)


def value(page: str, name: str) -> str:
    """The value of a text field as the page shows it."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', page)
    return html.unescape(found[1]) if found else ""


def text(page: str) -> str:
    """What a person reads."""
    plain = re.sub(r"<(script|style|svg)\b.*?</\1>|<wbr>|<[^>]+>", lambda found: "" if "wbr" in found[0] else " ", page,
                   flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(plain)).strip()


def save(client: Any, **typed: Any) -> None:
    answer = post(client, **{"client_id": ID, "client_secret": SECRET, **typed})
    assert answer.status_code == 303, text(answer.text)


def app_row() -> PlatformApp:
    return db.session.scalars(select(PlatformApp).where(PlatformApp.platform == "linkedin")).one()


def connect_one() -> str:
    """A profile that works through the saved app. Returns its id."""
    with writing() as session:
        workspace = session.scalars(select(Workspace).limit(1)).one()
        app, now = app_row(), outside.now()
        grant = Grant(workspace_id=workspace.id, platform="linkedin", app_id=app.id, app_generation=app.generation,
                      person_id="p1", access_sealed=b"-", granted_at=now, state=LIVE)
        session.add(grant)
        session.flush()
        account = Account(workspace_id=workspace.id, platform="linkedin", platform_user_id="u1", grant_id=grant.id,
                          state=ACTIVE, state_since=now, connected_at=now, display_name="Jane Doe")
        session.add(account)
    return account.id


# ---------------------------------------------------------------- the list


def test_the_list_shows_all_with_state_reason_and_switch(admin):
    page = admin.get(LIST).text
    for provider in PROVIDERS.values():
        assert f'aria-label="Configure {provider.name}"' in page
    assert text(page).count("Not configured") == len(PROVIDERS)
    assert page.count('aria-disabled="true"') == len(PROVIDERS)
    assert "Save Client key and Client secret first." in text(page)


def test_the_switch_works_without_javascript_and_says_what_it_did(admin, app):
    save(admin)
    assert 'aria-checked="true"' not in admin.get(LIST).text
    answer = press(admin, f"{DIALOG}/on")
    assert (answer.status_code, answer.headers["Location"]) == (303, LIST)
    page = admin.get(LIST).text
    assert 'aria-checked="true"' in page and "LinkedIn is on" in text(page)
    assert press(admin, f"{DIALOG}/off").status_code == 303
    assert 'aria-checked="true"' not in admin.get(LIST).text


def test_htmx_gets_the_one_row_that_changed(admin):
    save(admin)
    answer = press(admin, f"{DIALOG}/on", HTMX)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert 'id="platform-linkedin"' in answer.text and 'id="platform-facebook"' not in answer.text
    assert 'aria-checked="true"' in answer.text and "HX-Request" in answer.headers["Vary"]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_on_is_refused_with_the_reason(admin, headers):
    answer = press(admin, f"{DIALOG}/on", headers)
    assert answer.status_code == 409
    assert "Save Client ID and Primary Client Secret first." in text(answer.text)


@pytest.mark.parametrize("platform", ["tiktok", "youtube"])
def test_what_cannot_connect_yet_stays_off_even_by_a_direct_post(admin, app, platform, monkeypatch):
    monkeypatch.setattr(PROVIDERS[platform], "connectable", False)
    with app.app_context(), writing() as session:
        session.add(PlatformApp(platform=platform, segment=platform, client_id="1", secret_sealed=b"-",
                                created_at=outside.now(), updated_at=outside.now()))
    answer = press(admin, f"{LIST}/{platform}/on")
    assert answer.status_code == 409 and "cannot connect" in text(answer.text)
    assert f"This version cannot connect {PROVIDERS[platform].name} yet" in text(admin.get(f"{LIST}/{platform}").text)
    with app.app_context():
        assert not platform_apps.app_of(platform).is_on


# ---------------------------------------------------------------- the dialog


def test_the_dialog_has_an_address_of_its_own_over_the_list(admin):
    page = admin.get(DIALOG).text
    assert re.search(r"<dialog[^>]* open", page) and "Configure LinkedIn" in text(page)
    assert re.search(r'<div class="app"[^>]* inert', page), "what lies behind may not be reached"
    assert 'id="platform-facebook"' in page
    assert admin.get(f"{LIST}/myspace").status_code == 404


def test_the_dialog_speaks_the_words_of_the_portal(admin):
    page = text(admin.get(f"{LIST}/facebook").text)
    facebook = PROVIDERS["facebook"]
    for words in (facebook.client_id_label, facebook.client_secret_label, facebook.callback_label,
                  *(scope.purpose for scope in facebook.scopes[""]), *(feature.label for feature in facebook.features)):
        assert words in page
    guide = text(admin.get(DIALOG).text)
    assert all(step.text in guide for step in PROVIDERS["linkedin"].guides["member"].steps)


def test_the_guide_carries_the_very_callback_and_scopes_to_copy(admin, config):
    page = re.sub("<wbr>", "", admin.get(f"{LIST}/twitter").text)
    guide = page.split("<aside", 1)[1]
    assert f">{config.callback_url('twitter')}</code>" in guide
    assert ">tweet.read tweet.write users.read offline.access media.write</code>" in guide
    assert "{" not in text(guide)


def test_saving_leads_back_to_the_dialog_and_shows_the_last_four_only(admin):
    answer = post(admin, client_id=ID, client_secret=SECRET)
    assert (answer.status_code, answer.headers["Location"]) == (303, DIALOG)
    page = admin.get(DIALOG).text
    assert value(page, "client_id") == ID and "7f3a" in text(page) and SECRET not in page
    assert "Changed" in text(page) and "client ID, client secret." in text(page)
    assert 'name="client_secret"' not in page, "a stored secret has no field until Replace is pressed"


def test_replace_opens_the_field_and_keeps_what_was_typed(admin):
    save(admin)
    answer = post(admin, do="replace", scope_override="openid profile")
    assert answer.status_code == 200
    assert re.search(r'name="client_secret"(?![^>]*value=)', answer.text)
    assert "openid profile</textarea>" in answer.text


def test_save_and_turn_on(admin):
    answer = post(admin, client_id=ID, client_secret=SECRET, do="on")
    assert (answer.status_code, answer.headers["Location"]) == (303, LIST)
    assert "LinkedIn is on" in text(admin.get(LIST).text)


def test_save_and_turn_on_wants_both_values(admin, app):
    answer = post(admin, client_id=ID, do="on")
    assert answer.status_code == 422 and "cannot be turned on" in text(answer.text)
    with app.app_context():
        assert platform_apps.app_of("linkedin") is None


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_slip_is_said_at_its_field_and_the_typing_kept_but_for_the_secret(admin, headers):
    answer = post(admin, headers=headers, client_id="two words", client_secret=SECRET, scope_override=" openid  email")
    assert answer.status_code == 422
    assert value(answer.text, "client_id") == "two words" and " openid  email</textarea>" in answer.text
    assert re.search(r'id="client_id"[^>]*aria-invalid="true"', answer.text)
    assert re.search(r'<p class="error" id="client_id-error"', answer.text)
    assert SECRET not in answer.text and "was not kept" in text(answer.text)
    assert ("<html" in answer.text) is (not headers)


def test_what_is_typed_is_shown_as_text(admin):
    page = post(admin, client_id='"><script>alert(1)</script>', scope_override="</textarea><b>x").text
    assert "<script>alert" not in page and "<b>x" not in page


def test_a_form_sent_twice_acts_once(admin, app):
    form = {"csrf_token": token(admin), "mode": "member", "client_id": ID, "client_secret": SECRET, "version": "0"}
    assert [admin.post(DIALOG, data=form).status_code for _ in range(2)] == [303, 303]
    with app.app_context():
        assert db.session.scalars(select(AuditEvent.action).where(
            AuditEvent.subject_type == "platform_app")).all() == ["platform.saved"]


def test_an_old_form_overwrites_nothing_and_names_both(admin, app):
    save(admin)
    save(admin, scope_override="openid")
    answer = post(admin, version="1", scope_override="profile")
    assert answer.status_code == 409
    assert "profile</textarea>" in answer.text and "<code>openid</code>" in answer.text
    with app.app_context():
        assert app_row().scope_override == "openid"


def test_the_live_difference_says_what_matters_most(admin):
    answer = post(admin, f"{LIST}/twitter/preview", HTMX, mode=None, scope_override="tweet.read tweet.write users.read")
    page = text(answer.text)
    assert "tenants must reconnect every two hours" in page and "offline.access" in page
    assert 'id="scope-view"' in answer.text and 'hx-swap-oob="true"' in answer.text and "<form" not in answer.text
    assert "there is no renewal" not in page, "what is told once is not told again as a conflict"
    post(admin, f"{LIST}/twitter", mode=None, scope_override="tweet.read tweet.write users.read")
    assert "tenants must reconnect every two hours" in text(admin.get(f"{LIST}/twitter").text)


def test_the_dialog_tells_its_history(admin):
    save(admin)
    post(admin, do="replace")
    post(admin, client_secret=OTHER_SECRET)
    page = text(admin.get(DIALOG).text)
    assert "Replaced the client secret" in page and "Saved for the first time" in page


# ---------------------------------------------------------------- another app


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_ending_connections_is_asked_first_and_then_done(admin, app, headers):
    save(admin)
    with app.app_context():
        account_id = connect_one()
    asked = post(admin, headers=headers, client_id=OTHER_ID, client_secret=OTHER_SECRET)
    assert asked.status_code == 409 and "1 connected profile will have to be reconnected" in text(asked.text)
    assert 'name="confirm"' in asked.text and OTHER_SECRET not in asked.text
    if headers:
        assert asked.headers["HX-Retarget"] == "#question" and "<form" not in asked.text
    with app.app_context():
        assert (app_row().client_id, db.session.get(Account, account_id).state) == (ID, ACTIVE)
    again = post(admin, client_id=OTHER_ID, client_secret=OTHER_SECRET, confirm="1")
    assert again.status_code == 303
    with app.app_context():
        assert (app_row().generation, db.session.get(Account, account_id).reason) == (2, "app_changed")


def test_the_question_stays_when_something_else_is_wrong(admin, app):
    save(admin)
    with app.app_context():
        connect_one()
    answer = post(admin, client_id=OTHER_ID, client_secret=OTHER_SECRET, confirm="1", callback_override="nowhere")
    assert answer.status_code == 422 and 'name="confirm"' in answer.text


# ---------------------------------------------------------------- the sandbox


@responses.activate
def test_use_the_sandbox_fills_the_form_in_one_click(admin, config):
    responses.post(f"{config.sandbox_url}/portal/api/apps", status=201,
                   json={"client_id": "78sandboxsandb", "client_secret": "WPL_AP1.sandbox123456789"})
    answer = press(admin, f"{DIALOG}/sandbox")
    assert (answer.status_code, answer.headers["Location"]) == (303, DIALOG)
    page = admin.get(DIALOG).text
    assert value(page, "client_id") == "78sandboxsandb" and "Sandbox" in text(page)
    assert "sandbox123456789" not in page and "6789" in text(page)


@responses.activate
def test_a_silent_sandbox_is_said_in_words(admin):
    answer = press(admin, f"{DIALOG}/sandbox")  # nothing is registered: the connection is refused
    assert answer.status_code == 409 and "The sandbox does not answer" in text(answer.text)


@pytest.mark.parametrize("platform", ["facebook", "linkedin", "twitter"])
def test_the_real_sandbox_makes_and_repairs_the_app(console, sign_in, platform):
    """The console and the sandbox as two processes would meet: over HTTP and nothing else."""
    server = make_server("localhost", 0, lambda *call: sandbox(*call), threaded=True)
    sandbox = create_sandbox(f"http://localhost:{server.port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        app = console(SANDBOX="on", SANDBOX_BIND=f"127.0.0.1:{server.port}")
        with app.app_context():
            alice = make_cast().alice
        browser = sign_in(app.test_client(), alice)
        for _ in range(2):
            assert press(browser, f"{LIST}/{platform}/sandbox").status_code == 303
        control = sandbox.test_client().get("/portal/api/apps", base_url=f"http://localhost:{server.port}").json
    finally:
        server.shutdown()
        server.server_close()
    with app.app_context():
        found = platform_apps.app_of(platform)
        facts = platform_apps.facts(found)
        assert [(one["client_id"], one["client_secret"], one["redirect_uris"]) for one in control] == [
            (facts.client_id, facts.client_secret, [facts.redirect_uri])]
        assert found.is_sandbox and found.generation == 1


# ---------------------------------------------------------------- secrets, people, other processes


def test_no_admin_page_ever_carries_a_stored_secret(admin, app):
    save(admin)
    post(admin, client_secret=OTHER_SECRET)
    pages = [admin.get(path) for path in (LIST, DIALOG, "/admin/activity", "/")]
    pages += [post(admin, do="replace"), post(admin, client_id="a b"), post(admin, f"{DIALOG}/preview", HTMX),
              post(admin, version="0", scope_override="x"), press(admin, f"{DIALOG}/on", HTMX)]
    for page in pages:
        assert not any(canary in page.text for canary in CANARIES)
        assert "no-store" in page.headers["Cache-Control"]


def test_only_platform_admins_come_in(client, cast, sign_in):
    assert client.get(LIST).status_code in (302, 303)
    for person in (cast.bob, cast.charlie):
        sign_in(client, person)
        for path in (LIST, DIALOG):
            assert client.get(path).status_code in (403, 404)
        for path in (DIALOG, f"{DIALOG}/on", f"{DIALOG}/off", f"{DIALOG}/sandbox", f"{DIALOG}/preview"):
            assert client.post(path).status_code in (400, 403, 404)


def test_what_one_process_saves_another_offers_at_once(admin, app, config, cast, sign_in):
    other = build(config)
    second = sign_in(other.test_client(), cast.alice)
    assert "https://www.linkedin.com" not in second.get(LIST).headers["Content-Security-Policy"]
    post(admin, client_id=ID, client_secret=SECRET, do="on")
    answer = second.get(LIST)
    assert 'aria-checked="true"' in answer.text
    assert "https://www.linkedin.com" in answer.headers["Content-Security-Policy"]
    close(other)


BASES = ["http://127.0.0.1:8000", "https://social.example:8443", "https://social.example/console",
         "https://Social.EXAMPLE"]
PAIRS = {"facebook": ("123456789012345", "0123456789abcdef0123456789abcdef"), "linkedin": (ID, SECRET),
         "twitter": ("cm9sbG9jbGllbnRpZDEyMzQ1Njc4OTA6MTpjaQ", "s" * 50)}


@responses.activate
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("platform", PAIRS)
def test_the_callback_shown_is_the_callback_sent(console, sign_in, platform, base):
    """Shown, copied, in the address of the consent and in the token call: byte for byte the same."""
    app, expected = console(API_PUBLIC_URL=base), f"{base}/api/connect/{platform}/callback"
    with app.app_context():
        alice = make_cast().alice
    browser, prefix = sign_in(app.test_client(), alice), "/console" if base.endswith("/console") else ""
    page = browser.get(f"{prefix}{LIST}/{platform}").text
    copied = re.findall(r'<code id="([^"]+)">([^<]+)</code><button[^>]*data-copy="\1"', re.sub("<wbr>", "", page))
    assert [html.unescape(shown) for _, shown in copied if shown.endswith("/callback")] == [expected] * 2
    responses.add_callback("POST", re.compile(".*"), lambda request: (400, {}, "{}"))
    responses.add_callback("GET", re.compile(".*"), lambda request: (400, {}, "{}"))
    with app.app_context():
        person, provider = db.session.get_one(User, alice.id), PROVIDERS[platform]
        client_id, secret = PAIRS[platform]
        typed = {"mode": "member", "client_id": client_id, "client_secret": secret}
        facts = platform_apps.facts(configure.save(platform, typed, person, outside.now()).app)
        db.session.commit()
        sent = provider.authorization_url(facts, "state", "v" * 43)
        with pytest.raises(PlatformError):
            provider.consent(facts, "code", "v" * 43)
    assert parse_qs(urlsplit(sent).query)["redirect_uri"] == [expected]
    request = responses.calls[0].request
    asked = parse_qs(request.body or "") or parse_qs(urlsplit(request.url).query)
    assert asked["redirect_uri"] == [expected]


def test_a_public_address_with_a_slash_at_the_end_is_refused_at_the_start(tmp_path):
    found = settings.read({"INSTANCE_PATH": str(tmp_path), "API_PUBLIC_URL": "https://social.example/"}, tmp_path)
    assert any("slash" in problem for problem in found.problems)
