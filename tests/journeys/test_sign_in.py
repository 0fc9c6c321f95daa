"""First set-up, signing in and out, passwords and the theme, as a plain browser without script meets them."""

import html
import re

import pytest

from socialconsole import access, audit, logins, outside, passwords
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Login, Membership, User
from tests.cast import PASSWORD
from tests.journeys.walk import form_token, same

HTMX = {"HX-Request": "true"}
SETUP = {"email": "mara@example.com", "password": PASSWORD, "workspace": "Harbour Bakery",
         "time_zone": "Europe/Stockholm"}


def text(answer) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def token_of(page) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def press(client, path, action=None, headers=None, **typed):
    """Open a page, fill in its form and send it."""
    return client.post(action or path, data={"csrf_token": token_of(client.get(path)), **typed}, headers=headers)


def sign_in_by_form(client, email, password=PASSWORD, **more):
    return press(client, "/sign-in", email=email, password=password, **more)


def cookies(answer) -> dict[str, str]:
    """The cookies an answer sets, with their flags."""
    return {line.split("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}


@pytest.fixture
def setup_path(app, config):
    """The path of a fresh set-up link."""
    with app.app_context():
        return access.setup_link(config).removeprefix(config.public_url)


# ---------------------------------------------------------------- first run


def test_before_set_up_the_start_says_where_the_link_is(client):
    page = client.get("/", follow_redirects=True)
    assert page.status_code == 200
    assert "Open the one-time link that the console printed when it started." in text(page)
    assert "<form" not in page.text


def test_the_link_leads_through_set_up_to_social_platform_signed_in(app, client, setup_path):
    answer = press(client, setup_path, **SETUP)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/platforms")
    page = client.get("/admin/platforms")
    assert page.status_code == 200 and "Harbour Bakery" in page.text and "mara@example.com" in page.text
    with app.app_context():
        member = db.session.query(Membership).one()
        assert (member.role, member.workspace.time_zone) == ("owner", "Europe/Stockholm")


def test_after_set_up_the_page_is_gone_for_everybody(app, client, setup_path):
    press(client, setup_path, **SETUP)
    for path in (setup_path, "/setup/another"):
        assert app.test_client().get(path).status_code == 404
        assert client.get(path).status_code == 404


def test_set_up_sent_twice_makes_one_person(app, client, setup_path):
    form = {"csrf_token": token_of(client.get(setup_path)), **SETUP}
    assert [client.post(setup_path, data=form).status_code for _ in range(2)][0] == 303
    assert client.get("/admin/platforms").status_code == 200  # the second press signed nobody out
    with app.app_context():
        assert db.session.query(User).count() == 1


def test_set_up_keeps_what_was_typed_but_not_the_password(client, setup_path):
    answer = press(client, setup_path, **{**SETUP, "email": "mara"})
    assert answer.status_code == 422
    assert 'value="Harbour Bakery"' in answer.text and "<option selected>Europe/Stockholm" in answer.text
    assert PASSWORD not in answer.text and "It has to be typed again." in text(answer)
    assert re.search(r'id="email"[^>]*aria-invalid="true"[^>]*aria-describedby="email-error', answer.text)


def test_a_wrong_or_older_link_says_what_to_do(app, client, config, setup_path):
    with app.app_context():
        newer = access.setup_link(config).removeprefix(config.public_url)
    for path in (setup_path, "/setup/made-up"):
        page = client.get(path)
        assert page.status_code == 404 and "the one that the console printed when it last started" in text(page)
    assert client.get(newer).status_code == 200


def test_set_up_unattended_is_what_the_page_does(app, client, setup_path, config):
    with app.app_context():
        access.set_up("mara@example.com", PASSWORD, "Harbour Bakery", "UTC", outside.now())
    assert client.get(setup_path).status_code == 404
    assert sign_in_by_form(client, "mara@example.com").status_code == 303


# ---------------------------------------------------------------- in and out


def test_one_signs_in_and_lands_where_one_works(client, cast, app):
    for person, home in ((cast.alice, "/w/wsp_bakery/profiles"), (cast.charlie, "/w/wsp_cycles/profiles"),
                         (cast.root, "/admin/platforms")):
        browser = app.test_client()
        answer = sign_in_by_form(browser, f"  {person.email.upper()} ")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        page = browser.get("/", follow_redirects=True)
        assert page.request.path == home and page.status_code == 200


def test_who_is_signed_in_already_is_not_asked_again(client, cast, sign_in):
    sign_in(client, cast.bob)
    assert client.get("/sign-in?next=/me").headers["Location"] == "/me"
    assert client.get("/sign-in").headers["Location"] == "/w/wsp_bakery/profiles"


def test_signing_in_leads_to_the_page_that_was_wanted_and_never_elsewhere(app, cast):
    for wanted, there in (("/me", "/me"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil", "/")):
        browser = app.test_client()
        page = browser.get("/sign-in", query_string={"next": wanted})
        assert ("evil" in page.text) is False
        answer = sign_in_by_form(browser, cast.bob.email, next=wanted)
        assert answer.headers["Location"] == there


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(app, cast):
    answers = []
    for email in (cast.alice.email, "aleph@example.com"):
        answer = sign_in_by_form(app.test_client(), email, "a wrong password")
        answers.append((answer.status_code, same(answer.text, email), sorted(cookies(answer))))
    assert answers[0] == answers[1] and answers[0][0] == 422
    assert "do not belong together" in answers[0][1]


def test_what_was_typed_stays_but_not_the_password(client, cast):
    answer = sign_in_by_form(client, cast.alice.email, "a wrong password", next="/me")
    assert f'value="{cast.alice.email}"' in answer.text and "a wrong password" not in answer.text
    assert 'name="next" value="/me"' in answer.text


def test_after_too_many_failures_the_page_says_how_long_to_wait(client, cast, clock, monkeypatch):
    monkeypatch.setattr(passwords, "fits", lambda password, stored: False)
    for _ in range(10):
        sign_in_by_form(client, cast.alice.email, "a wrong password")
    clock.advance(minutes=3)
    answer = sign_in_by_form(client, cast.alice.email, PASSWORD)
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "720"
    assert "Try again in 12 minutes." in text(answer) and f'value="{cast.alice.email}"' in answer.text


def test_the_login_cookie_has_all_its_flags(client, cast):
    line = cookies(sign_in_by_form(client, cast.alice.email))["console_login"]
    assert "; HttpOnly" in line and "; SameSite=Lax" in line and "; Path=/" in line and "Secure" not in line


def test_on_https_the_cookies_are_secure_and_belong_to_this_host(console):
    app = console(API_PUBLIC_URL="https://social.example")
    with app.app_context():
        access.set_up("mara@example.com", PASSWORD, "Bakery", "UTC", outside.now())
    client = app.test_client()
    form = {"csrf_token": token_of(client.get("/sign-in")), "email": "mara@example.com", "password": PASSWORD}
    answer = client.post("/sign-in", data=form, headers={"Referer": "https://social.example/sign-in"})
    line = cookies(answer)["__Host-console_login"]
    assert "; Secure" in line and "; HttpOnly" in line and "; Path=/" in line and "Domain" not in line
    assert all("; Secure" in line and "; HttpOnly" in line for line in cookies(client.get("/sign-in")).values())
    assert client.get("/me").status_code == 200


def test_below_a_path_the_cookies_go_there_only(console):
    app = console(API_PUBLIC_URL="http://127.0.0.1:8000/console")
    with app.app_context():
        access.set_up("mara@example.com", PASSWORD, "Bakery", "UTC", outside.now())
    client = app.test_client()
    page = client.get("/console/sign-in?next=/me")
    assert 'action="/console/sign-in"' in page.text and 'href="/console/static/' in page.text
    answer = client.post("/console/sign-in", data={"csrf_token": token_of(page), "email": "mara@example.com",
                                                   "password": PASSWORD, "next": "/me"})
    assert answer.headers["Location"] == "/console/me"
    assert "Path=/console" in cookies(answer)["console_login"]
    assert client.get("/console/me").status_code == 200
    signed_out = app.test_client().get("/console/me?x=1")
    assert signed_out.headers["Location"] == "/console/sign-in?next=/me?x%3D1"


def test_a_new_login_is_made_at_each_sign_in_and_the_old_one_ends(app, client, cast):
    first = cookies(sign_in_by_form(client, cast.alice.email))["console_login"].split(";")[0].split("=")[1]
    other = app.test_client()
    other.set_cookie("console_login", "planted" * 6, domain="127.0.0.1")
    form = {"csrf_token": form_token(client), "email": cast.bob.email, "password": PASSWORD}
    again = cookies(client.post("/sign-in", data=form))["console_login"].split(";")[0].split("=")[1]
    assert again != first
    with app.app_context():
        assert logins.find(first, outside.now()) is None
        assert logins.find(again, outside.now()).user_id == cast.bob.id
    planted = cookies(sign_in_by_form(other, cast.alice.email))["console_login"]
    assert "planted" not in planted


def test_the_session_holds_nothing_but_the_form_token(client, cast):
    sign_in_by_form(client, cast.alice.email)
    client.get("/me")
    with client.session_transaction(base_url="http://127.0.0.1:8000") as session:
        assert set(session) == {"csrf_token"}


def test_signing_out_ends_the_login_everywhere_and_twice_is_once(app, client, cast):
    line = cookies(sign_in_by_form(client, cast.alice.email))["console_login"]
    stolen = app.test_client()
    stolen.set_cookie("console_login", line.split(";")[0].split("=")[1], domain="127.0.0.1")
    assert stolen.get("/me").status_code == 200
    answer = press(client, "/me", "/sign-out")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert "Max-Age=0" in cookies(answer)["console_login"] and answer.headers["Clear-Site-Data"] == '"storage"'
    assert stolen.get("/me").status_code == 303 and client.get("/me").status_code == 303
    assert press(client, "/sign-in", "/sign-out").status_code == 303


def test_a_login_that_ended_while_the_page_was_open_leads_to_sign_in_and_back(app, client, cast, sign_in):
    sign_in(client, cast.alice)
    data = {"csrf_token": form_token(client), "theme": "dark"}
    with app.app_context(), writing():
        db.session.query(Login).update({"ended_at": outside.now()})
    assert client.post("/me/theme", data=data).headers["Location"] == "/sign-in"
    part = client.post("/me/theme", data=data, headers={**HTMX, "HX-Current-URL": "http://127.0.0.1:8000/me"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/sign-in?next=/me")


# ---------------------------------------------------------------- password


def test_the_password_is_changed_and_other_browsers_are_signed_out(app, client, cast, sign_in):
    other = sign_in(app.test_client(), cast.bob)
    sign_in(client, cast.bob)
    answer = press(client, "/me", "/me/password", current=PASSWORD, new="another fine password")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/me")
    assert "Your password is changed." in text(client.get("/me"))
    assert "Your password is changed." not in text(client.get("/me"))  # said once
    assert other.get("/me").status_code == 303
    assert sign_in_by_form(app.test_client(), cast.bob.email).status_code == 422
    assert sign_in_by_form(app.test_client(), cast.bob.email, "another fine password").status_code == 303


@pytest.mark.parametrize(("current", "new", "field", "words"), [
    ("wrong", "another fine password", "current", "not your present password"),
    (PASSWORD, "short", "new", "at least 10 characters"),
    (PASSWORD, "bob@example.com", "new", "not be the e-mail"),
])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_slip_is_said_at_its_field(client, cast, sign_in, current, new, field, words, headers):
    sign_in(client, cast.bob)
    answer = press(client, "/me", "/me/password", headers, current=current, new=new)
    assert answer.status_code == 422 and words in text(answer)
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text)
    assert ("<html" in answer.text) is (not headers)
    assert not re.search(r'type="password"[^>]*value=', answer.text)


def test_with_htmx_a_changed_password_leads_the_whole_page_on(client, cast, sign_in):
    sign_in(client, cast.bob)
    answer = press(client, "/me", "/me/password", HTMX, current=PASSWORD, new="another fine password")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/me")


def test_a_lost_password_is_replaced_by_a_link_that_works_once(app, client, cast, config):
    with app.app_context():
        path = access.reset_link(cast.vera.email).removeprefix(config.public_url)
    assert press(client, path, password="short").status_code == 422
    form = {"csrf_token": token_of(client.get(path)), "password": "another fine password"}
    assert "Password saved" in text(client.post(path, data=form))
    for answer in (client.post(path, data=form), client.get(path)):
        assert answer.status_code == 404 and "Ask the person who runs this console for a new link." in text(answer)
    assert sign_in_by_form(client, cast.vera.email, "another fine password").status_code == 303


# ---------------------------------------------------------------- theme and activity


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_is_kept_for_the_person_on_every_browser(app, client, cast, sign_in, theme):
    sign_in(client, cast.bob)
    assert "data-theme=" not in client.get("/me").text.split("<head>")[0]
    answer = press(client, "/me", "/me/theme", theme=theme, next="/w/wsp_bakery/posts?filter=needs")
    assert answer.headers["Location"] == "/w/wsp_bakery/posts?filter=needs"
    for browser in (client, sign_in(app.test_client(), cast.bob)):
        assert f'<html lang="en" data-theme="{theme}">' in browser.get("/me").text
    assert "data-theme=" not in sign_in(app.test_client(), cast.vera).get("/me").text.split("<head>")[0]
    press(client, "/me", "/me/theme", theme="auto")
    assert '<html lang="en">' in client.get("/me").text


def test_a_theme_that_is_none_is_refused_and_htmx_swaps_nothing(client, cast, sign_in):
    sign_in(client, cast.bob)
    assert press(client, "/me", "/me/theme", theme="pink").status_code == 422
    assert press(client, "/me", "/me/theme", HTMX, theme="dark").status_code == 204
    assert press(client, "/me", "/me/theme", theme="light", next="//evil.example").headers["Location"] == "/me"


def test_activity_tells_who_did_what_from_where(app, client, cast, sign_in):
    sign_in(client, cast.root)
    press(client, "/me", "/me/password", current=PASSWORD, new="another fine password")
    page = text(client.get("/admin/activity"))
    assert "Changed the password" in page and "Root" in page and "127.0.0.1" in page


def test_activity_is_read_page_by_page(app, client, cast, sign_in, clock):
    with app.app_context():
        for number in range(51):
            with writing():
                audit.record("test.done", "thing", "t", f"Number {number}.", workspace_id=cast.bakery.id)
            clock.advance(seconds=1)
    sign_in(client, cast.vera)
    first = client.get("/w/wsp_bakery/activity")
    assert "Number 50." in first.text and "Number 0." not in first.text and "Newest" not in first.text
    older = html.unescape(re.search(r'href="([^"]+before=[^"]+)"', first.text)[1])
    second = client.get(older)
    assert "Number 0." in second.text and "Number 1." not in second.text and "Newest" in second.text
    assert "Older" not in second.text


@pytest.mark.parametrize("path", ["", "/accounts", "/social-accounts", "/settings/platform-connections"])
def test_other_names_lead_to_social_profile(client, cast, sign_in, path):
    sign_in(client, cast.vera)
    assert client.get("/w/wsp_bakery" + path).headers["Location"] == "/w/wsp_bakery/profiles"
