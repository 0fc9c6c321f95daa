"""Check credentials, as an admin meets it: the button, its answer that stays, and what turning on makes of it."""

from datetime import timedelta
from typing import Any

import pytest
import responses

from socialconsole import outside, platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import AuditEvent, PlatformApp
from tests.journeys.test_configure import DIALOG, HTMX, ID, LIST, SECRET, press, save, text, token
from tests.journeys.test_configure import post as post_form

TOKEN = "https://www.linkedin.com/oauth/v2/accessToken"
OPINION = "https://www.linkedin.com/oauth/v2/introspectToken"
CHECK, ON = f"{DIALOG}/check", f"{DIALOG}/on"

pytestmark = pytest.mark.usefixtures("strict_platforms")


@pytest.fixture
def admin(client, cast, sign_in):
    """Alice's browser, with saved credentials."""
    sign_in(client, cast.alice)
    save(client)
    return client


@pytest.fixture
def http():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def right(http: Any) -> None:
    http.add("POST", TOKEN, status=401, json={"error": "access_denied"})
    http.add("POST", TOKEN, status=401, json={"error": "invalid_client"})  # the made-up secret


def wrong(http: Any) -> None:
    http.add("POST", TOKEN, status=401, json={"error": "invalid_client", "error_description": f"No {SECRET}"})


def unsure(http: Any) -> None:
    http.add("POST", TOKEN, status=503, body="down")


def stored(app: Any) -> PlatformApp:
    with app.app_context():
        found = platform_apps.app_of("linkedin")
        assert found is not None
        db.session.expunge(found)
        return found


# ---------------------------------------------------------------- the button


def test_before_anybody_asked_the_dialog_says_so(admin):
    assert "Not checked yet" in text(admin.get(DIALOG).text)
    assert "Credentials not checked yet." in text(admin.get(LIST).text)


def test_the_answer_stays_in_the_dialog_and_in_the_list(admin, app, http):
    right(http)
    answer = press(admin, CHECK)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{DIALOG}#check-result")
    page = text(admin.get(DIALOG).text)
    assert "Both are right" in page and "Asked LinkedIn" in page and "Credentials checked" in text(admin.get(LIST).text)
    assert stored(app).check_verdict == "valid" and len(http.calls) == 2


def test_htmx_gets_the_answer_alone_and_it_is_announced(admin, http):
    wrong(http)
    answer = press(admin, CHECK, HTMX)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert 'id="check-result"' in answer.text and 'aria-live="polite"' in answer.text
    assert "Wrong Primary Client Secret" in text(answer.text) and "invalid_client" in text(answer.text)
    assert SECRET not in answer.text
    assert 'id="standing" hx-swap-oob="true"' in answer.text and "Needs attention" in text(answer.text)


def test_a_wrong_pair_needs_attention_until_it_is_right(admin, app, http):
    wrong(http)
    press(admin, CHECK)
    assert "Needs attention" in text(admin.get(LIST).text)
    http.reset()
    right(http)
    press(admin, CHECK)
    assert "Needs attention" not in text(admin.get(LIST).text) and stored(app).trouble == ""
    with app.app_context():
        said = [one.summary for one in db.session.query(AuditEvent).filter_by(action="platform.checked")]
    assert sorted(said) == ["Checked the credentials: both are right", "Checked the credentials: the secret is wrong"]


def test_a_wrong_pair_is_explained_once_and_not_as_unknown(admin, http):
    wrong(http)
    press(admin, CHECK)
    page = text(admin.get(DIALOG).text)
    assert "refuses the Primary Client Secret" in page and "cannot tell what this error" not in page
    assert "cannot tell what this error" not in text(admin.get("/admin/health").text)


@pytest.mark.parametrize(("typed", "is_told"), [
    ({"client_id": ID}, False), ({"client_id": "another12345678"}, True),
    ({"client_id": ID, "asks_secret": "1"}, True)])
def test_what_was_typed_and_not_saved_is_not_called_right(admin, http, typed, is_told):
    right(http)
    answer = admin.post(CHECK, data={"csrf_token": token(admin), **typed}, headers=HTMX)
    assert "Both are right" in text(answer.text)
    assert ("not saved was not checked" in text(answer.text)) is is_told


def test_another_secret_makes_the_answer_an_old_one(admin, http):
    right(http)
    press(admin, CHECK)
    assert post_form(admin, client_id=ID, client_secret="WPL_AP1.ZyXwVuTs98765e21").status_code == 303
    page = text(admin.get(DIALOG).text)
    assert "Changed since the last check" in page and "Both are right" not in page
    assert "Credentials changed since the last check." in text(admin.get(LIST).text)


def test_nothing_saved_is_nothing_to_check(client, cast, sign_in):
    sign_in(client, cast.alice)
    assert press(client, f"{LIST}/twitter/check").status_code == 409
    assert press(client, f"{LIST}/nonsense/check").status_code == 404


def test_only_an_admin_may_check(client, cast, sign_in, admin, http):
    sign_in(client, cast.bob)
    found = client.post(CHECK, data={})
    assert found.status_code in (400, 403, 404) and not http.calls


# ---------------------------------------------------------------- on


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_on_is_refused_with_a_wrong_pair(admin, app, http, headers):
    wrong(http)
    answer = press(admin, ON, headers)
    assert answer.status_code == 422 and "stays off. LinkedIn knows the Client ID, but refuses" in text(answer.text)
    assert not stored(app).is_on


def test_it_is_not_believed_that_a_wrong_pair_stays_wrong(admin, app, http):
    wrong(http)
    press(admin, ON)
    http.reset()
    right(http)
    assert press(admin, ON).status_code == 303 and stored(app).is_on


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_where_the_platform_cannot_tell_an_admin_has_to_insist(admin, app, http, headers):
    unsure(http)
    answer = press(admin, ON, headers)
    assert answer.status_code == 409 and "Turn on without being certain" in answer.text and not stored(app).is_on
    asked = len(http.calls)
    token = answer.text.split('name="csrf_token" value="')[1].split('"')[0]
    insisted = admin.post(ON, data={"csrf_token": token, "confirm": "1"}, headers=headers)
    assert insisted.status_code in (200, 303) and stored(app).is_on
    assert len(http.calls) == asked, "it was asked a moment ago"


def test_insisting_does_not_turn_on_what_is_wrong(admin, app, http):
    wrong(http)
    token = admin.get(LIST).text.split('name="csrf_token" value="')[1].split('"')[0]
    assert admin.post(ON, data={"csrf_token": token, "confirm": "1"}).status_code == 422 and not stored(app).is_on


def test_what_was_valid_a_moment_ago_is_not_asked_again_and_on_twice_asks_nothing(admin, app, http):
    right(http)
    press(admin, CHECK)
    press(admin, ON)
    press(admin, ON)
    assert len(http.calls) == 2 and stored(app).is_on


def test_what_was_valid_yesterday_is_asked_again(admin, app, http):
    right(http)
    press(admin, CHECK)
    with app.app_context(), writing():
        platform_apps.app_of("linkedin").checked_at = outside.now() - timedelta(days=1)
    http.reset()
    wrong(http)
    assert press(admin, ON).status_code == 422


def test_save_and_turn_on_keeps_what_was_saved_and_asks(admin, app, http):
    unsure(http)
    answer = post_form(admin, do="on", client_id=ID, scope_override="openid profile")
    assert answer.status_code == 409 and "Saved, but not turned on." in text(answer.text)
    assert 'form="on-anyway"' in answer.text and stored(app).scope_override == "openid profile"
    http.reset()
    wrong(http)
    with app.app_context(), writing():
        platform_apps.app_of("linkedin").checked_at = None
    assert post_form(admin, do="on", client_id=ID).status_code == 422 and not stored(app).is_on
