"""Configure as it helps: the paste doctor at the fields, the comparing of callbacks, conflicts, and the what-if."""

import html
import re
from typing import Any

import pytest

from socialconsole import outside, platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, LIVE, Account, Grant, PlatformApp, Workspace

HOME = "/admin/platforms/linkedin"
ID, SECRET = "78k2h0qv9xw1me", "WPL_AP1.CanarySecret00007f3a"
HTMX = {"HX-Request": "true"}
SCOPES = ["openid", "profile", "email", "w_member_social"]


@pytest.fixture
def admin(client, cast, sign_in):
    """Alice's browser: she is platform admin."""
    sign_in(client, cast.alice)
    return client


def post(client: Any, path: str = "", *, home: str = HOME, headers: Any = None, **typed: Any) -> Any:
    """Press a button of the dialog, or type into a field that is examined."""
    page = client.get(home).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    version = re.search(r'name="version" value="(\d+)"', page)
    assert token and version
    mode = {"mode": "member"} if home == HOME else {}
    form = {"csrf_token": token[1], "version": version[1], "do": "save", **mode, **typed}
    return client.post(home + path, data=form, headers=headers)


def text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<wbr>|<[^>]+>", lambda it: "" if "wbr" in it[0] else " ", page)))


def notes(page: str, name: str) -> str:
    found = re.search(rf'<div class="notes" id="{name}-notes".*?</div>', page, re.S)
    assert found is not None, name
    return text(found[0])


def stored(app: Any, segment: str = "linkedin") -> tuple[str, str]:
    with app.app_context():
        row = platform_apps.at(segment)
        return (row.client_id, platform_apps.open_secret(row)) if row else ("", "")


def connect(app: Any, count: int, workspace: str = "", scopes: Any = tuple(SCOPES)) -> None:
    """Members that are connected through the saved app."""
    with app.app_context(), writing() as session:
        row, now = platform_apps.at("linkedin"), outside.now()
        assert row is not None
        home = workspace or db.session.scalar(db.select(Workspace.id).limit(1))
        if session.get(Workspace, home) is None:
            session.add(Workspace(id=home, name=home, created_at=now))
            session.flush()
        for number in range(count):
            key = f"{home}-{number}"
            session.add(Grant(id=f"g{key}", workspace_id=home, platform="linkedin", app_id=row.id, app_generation=1,
                              person_id=key, granted_at=now, state=LIVE, scopes_asked=" ".join(SCOPES),
                              scopes_granted=list(scopes)))
            session.flush()
            session.add(Account(workspace_id=home, platform="linkedin", platform_user_id=key, grant_id=f"g{key}",
                                kind="LinkedIn member", state=ACTIVE, state_since=now, connected_at=now))


# ---------------------------------------------------------------- while typing


def test_typing_is_examined_and_nothing_stored_nor_the_secret_repeated(admin, app):
    answer = post(admin, "/examine", headers=HTMX, client_id=ID, client_secret=SECRET)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert "usual shape" in notes(answer.text, "client_id") and "usual shape" in notes(answer.text, "client_secret")
    assert SECRET not in answer.text and "Canary" not in answer.text
    assert stored(app) == ("", "")


def test_every_examined_field_sends_a_post_so_no_value_gets_into_an_address(admin):
    page = admin.get("/admin/platforms/tiktok").text
    fields = re.findall(r"<input[^>]*/examine[^>]*>", page)
    assert {re.search(r'name="(\w+)"', one)[1] for one in fields} == {
        "client_id", "client_secret", "callback_override", "option_pkce", "option_app_state"}
    assert all('hx-post="' in one and 'hx-get="' not in one for one in fields)
    assert admin.get(f"{HOME}/examine").status_code == 405 and admin.get(f"{HOME}/compare").status_code == 405


def test_the_doctor_names_what_it_is(admin):
    answer = post(admin, "/examine", home="/admin/platforms/twitter", headers=HTMX,
                  client_id="aB3dE5fG7hI9jK1lM3nO5pQ7r")
    assert "API Key" in notes(answer.text, "client_id") and "Client ID" in notes(answer.text, "client_id")


def test_examining_needs_an_admin_and_a_platform(admin, client, cast, sign_in):
    assert post(admin, "/examine", headers=HTMX).status_code == 200
    assert admin.post("/admin/platforms/myspace/examine", data={}).status_code in (400, 404)
    sign_in(client, cast.bob)
    for path in ("/examine", "/compare"):
        assert client.post(HOME + path, data={}).status_code in (400, 403, 404)


# ---------------------------------------------------------------- swapped


def test_swapped_is_offered_while_typing_and_mended_by_one_press(admin, app):
    answer = post(admin, "/examine", headers=HTMX, client_id=SECRET, client_secret=ID)
    assert "swapped" in notes(answer.text, "client_id") and 'value="swap"' in answer.text
    assert SECRET not in answer.text
    answer = post(admin, do="swap", client_id=SECRET, client_secret=ID)
    assert answer.status_code == 303
    assert stored(app) == (ID, SECRET)


def test_saving_swapped_values_keeps_both_fields_with_script(admin, app):
    answer = post(admin, headers=HTMX, client_id=SECRET, client_secret=ID)
    assert answer.status_code == 422 and answer.headers["HX-Retarget"] == "#question"
    assert 'value="swap"' in answer.text and 'name="client_id"' not in answer.text and SECRET not in answer.text
    assert stored(app) == ("", "")


def test_saving_swapped_values_without_script_puts_the_id_right(admin, app):
    answer = post(admin, client_id=SECRET, client_secret=ID)
    assert answer.status_code == 422
    assert f'name="client_id" value="{ID}"' in answer.text and SECRET not in answer.text
    assert "were swapped" in text(answer.text) and "again" in text(answer.text)


# ---------------------------------------------------------------- saving


@pytest.mark.parametrize(("typed", "field", "words"), [
    ({"client_id": "••••••••••••", "client_secret": SECRET}, "client_id", "in place of"),
    ({"client_id": ID, "client_secret": "****************"}, "client_secret", "in place of"),
    ({"client_id": ID, "client_secret": "GOCSPX-CanaryCanary00000000"}, "client_secret", "Google"),
    ({"client_id": "http://localhost/api/connect/linkedin/callback", "client_secret": SECRET}, "client_id", "This is"),
    ({"client_id": ID, "client_secret": ID}, "client_secret", "same value"),
])
def test_certain_slips_are_errors_at_their_field_without_script(admin, app, typed, field, words):
    answer = post(admin, **typed)
    assert answer.status_code == 422
    error = re.search(rf'<p class="error" id="{field}-error".*?</p>', answer.text, re.S)
    assert error and words in text(error[0])
    assert "Canary" not in answer.text and stored(app) == ("", "")


def test_a_secret_in_the_field_of_the_id_is_not_sent_back(admin):
    answer = post(admin, client_id=SECRET, client_secret="")
    assert answer.status_code == 422 and "Canary" not in answer.text
    answer = post(admin, client_id=f"CLIENT_ID={ID} CLIENT_SECRET={SECRET}", client_secret="", scope_override="\t")
    assert answer.status_code in (303, 422) and "Canary" not in answer.text


def test_a_line_of_an_env_file_is_taken_apart(admin, app):
    answer = post(admin, client_id=f'LINKEDIN_CLIENT_ID="{ID}"', client_secret=f"LINKEDIN_CLIENT_SECRET={SECRET}")
    assert answer.status_code == 303 and stored(app) == (ID, SECRET)


def test_what_looks_odd_is_saved_and_said_afterwards(admin, app):
    answer = post(admin, client_id="new-kind-of-id", client_secret="new-kind.Canary_secret")
    assert answer.status_code == 303 and stored(app)[0] == "new-kind-of-id"
    page = admin.get(HOME).text
    assert "looks unusual" in notes(page, "client_id")
    assert "About the Primary Client Secret: It looks unusual" in text(page) and "Canary" not in page


def test_an_id_that_another_platform_uses_here_is_told(admin, app):
    with app.app_context(), writing() as session:
        session.add(PlatformApp(platform="facebook", segment="facebook", client_id="1234567890123456",
                                secret_sealed=b"-", created_at=outside.now(), updated_at=outside.now()))
    answer = post(admin, "/examine", home="/admin/platforms/threads", headers=HTMX, client_id="1234567890123456")
    assert "saved for Facebook already" in notes(answer.text, "client_id")
    assert "Threads app ID" in notes(answer.text, "client_id")


# ---------------------------------------------------------------- the callback


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_the_portal_holds_is_compared_and_stored_nowhere(admin, app, headers):
    ours = app.extensions["config"].callback_url("linkedin")
    answer = post(admin, "/compare", headers=headers, client_id="typed-but-not-saved", client_secret=SECRET,
                  portal_holds=f"{ours}/\n{ours.replace('linkedin', 'youtube')}\nhttps://x.example/?code=Canary")
    page = text(answer.text)
    assert answer.status_code == 200 and ("<html" in answer.text) is (not headers)
    assert "slash at the end" in page and "callback of YouTube" in page and "<mark>" in answer.text
    assert SECRET not in answer.text
    assert "Canary" not in answer.text.split("</textarea>", 1)[-1] if not headers else "Canary" not in answer.text
    if not headers:
        assert 'value="typed-but-not-saved"' in answer.text, "what was typed is kept"
    assert stored(app) == ("", "")


def test_the_same_is_said_plainly(admin, app):
    answer = post(admin, "/compare", headers=HTMX, portal_holds=app.extensions["config"].callback_url("linkedin"))
    assert "The portal holds the callback, character by character." in text(answer.text)


def test_the_override_that_is_typed_is_compared_with(admin):
    answer = post(admin, "/compare", headers=HTMX, callback_override="https://a.example/cb",
                  portal_holds="https://a.example/cb")
    assert "The portal holds the callback" in text(answer.text)


# ---------------------------------------------------------------- conflicts


def test_conflicts_show_while_choosing_and_when_the_page_is_opened(admin):
    answer = post(admin, "/preview", headers=HTMX, scope_override="openid w_organization_social")
    assert 'id="consequences"' in answer.text and "Scopes of two kinds of LinkedIn app" in text(answer.text)
    post(admin, client_id=ID, client_secret=SECRET, scope_override="openid w_organization_social")
    assert "Scopes of two kinds of LinkedIn app" in text(admin.get(HOME).text)


def test_a_key_of_the_sandbox_against_the_state_of_the_app(admin):
    answer = post(admin, "/examine", home="/admin/platforms/tiktok", headers=HTMX, client_id="sbawabcdefgh123456",
                  option_app_state="audited")
    assert "says otherwise" in text(answer.text)


# ---------------------------------------------------------------- what if


@pytest.fixture
def running(admin, app):
    """LinkedIn with 300 members in three workspaces, twelve of whom declined to let it post."""
    assert post(admin, client_id=ID, client_secret=SECRET).status_code == 303
    connect(app, 200)
    connect(app, 88, "wsp_second")
    connect(app, 12, "wsp_third", scopes=SCOPES[:3])
    return admin


def test_what_a_narrower_override_costs_is_counted_before_saving(running):
    answer = post(running, "/preview", headers=HTMX, client_id=ID, scope_override="openid profile email")
    page = text(answer.text)
    assert "Publishing : 288 accounts in 2 workspaces can do this now" in page
    assert 'name="accept_loss" value="w_member_social"' in answer.text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_loss_is_saved_only_with_its_tick(running, app, headers):
    answer = post(running, headers=headers, client_id=ID, scope_override="openid profile email")
    assert answer.status_code == 422 and "288 accounts in 2 workspaces" in text(answer.text)
    assert 'id="accept_loss-error"' in answer.text
    assert ("<html" in answer.text) is not bool(headers)
    assert answer.headers["HX-Retarget"] == "#consequences" if headers else 'name="client_id"' in answer.text
    answer = post(running, client_id=ID, scope_override="openid profile email", accept_loss="w_member_social")
    assert answer.status_code == 303
    with app.app_context():
        assert platform_apps.at("linkedin").scope_override == "openid profile email"


def test_what_is_asked_for_newly_is_named_with_what_it_takes(running):
    answer = post(running, "/preview", headers=HTMX, client_id=ID, features="comments")
    page = text(answer.text)
    assert "w_member_social_feed is asked for newly" in page and "Auth tab" in page
    assert "300 accounts hang on the present set" in page and "accept_loss" not in answer.text


def test_a_page_without_changes_says_nothing_of_it(running):
    assert "What saving changes" not in running.get(HOME).text
