"""Links to connect, as those who ask for one and those who open one see them; the latter without an account here."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from socialconsole import connect_links, mail, outside, providers
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    DISCONNECTED,
    FAILED,
    GRANTED,
    TOKEN_EXPIRED,
    VIEWER,
    Account,
    AuditEvent,
    ConnectionAttempt,
    ConnectLink,
    Membership,
    PlatformApp,
    User,
    Workspace,
)
from socialconsole.providers.base import Consent, Profile, TokenSet
from socialconsole.sandbox import create_sandbox
from socialconsole.web.connect_links import MOST_COOKIES
from tests.cast import make_cast
from tests.conftest import build
from tests.journeys.tenant_house import SCOPES, House, Signer, as_person, words
from tests.visitor import Visitor

BREAD = Profile("42", "acme", "Acme Bakery", kind="X account")
OTHER = Profile("77", "stranger", "Somebody Else", kind="X account")


@pytest.fixture
def account(house: House) -> str:
    """@acme on X, which needs a person."""
    return house.account(state=TOKEN_EXPIRED, reason_text="X says that it was revoked.", platform_user_id="42")


@pytest.fixture
def gives(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What X gives for the next codes; returns who was revoked since."""

    def give(*profiles: Profile, scopes: tuple[str, ...] = SCOPES["twitter"]) -> list[str]:
        revoked: list[str] = []
        consent = Consent(TokenSet("access-9", "refresh-9", 7200), "p9", "Mara Lindqvist", frozenset(scopes), profiles)
        monkeypatch.setattr(providers.PROVIDERS["twitter"], "consent", lambda app, code, verifier: consent)
        monkeypatch.setattr(providers.PROVIDERS["twitter"], "revoke", lambda app, held, who: revoked.append(who))
        return revoked

    return give


def ask(house: House, path: str, **typed: str) -> str:
    """Make a link and read it off the page that shows it."""
    answer = house.post(path, typed)
    assert answer.status_code == 303, words(answer)
    found = re.search(r"http://127\.0\.0\.1:8000(/link/[\w-]{43})</code>", house.client.get(answer.location).text)
    assert found is not None
    return found[1]


class Guest:
    """Somebody without an account, in a browser of their own."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def open(self, link: str) -> Any:
        """Open a link; the page it leads to."""
        answer = self.client.get(link)
        return self.client.get(answer.location) if answer.status_code == 303 else answer

    def press(self, page: Any, action: str, **data: Any) -> Any:
        """Send a form of a page."""
        path = re.search(rf'(?:form)?action="([^"]*{action})"', page.text)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert path and token, page.text
        return self.client.post(path[1], data={**data, "csrf_token": token[1]})

    def consent(self, page: Any, **data: Any) -> Any:
        """Go to the platform and come back with its yes; our page after it."""
        answer = self.press(page, r"/link/(?:to/cnl_\w+|at/att_\w+/again)", **data)
        assert answer.status_code == 303 and answer.location.startswith("https://"), words(answer)
        state = re.search(r"[?&]state=([^&]+)", answer.location)
        assert state is not None
        back = self.client.get("/api/connect/twitter/callback", query_string={"state": state[1], "code": "c0de"})
        assert back.status_code == 303 and back.location.startswith("/link/at/att_"), words(back)
        return self.client.get(back.location)


@pytest.fixture
def guest(house: House) -> Guest:
    """A fresh browser."""
    return Guest(house.app.test_client())


# ---------------------------------------------------------------- reconnecting


def test_a_profile_is_reconnected_by_somebody_without_an_account(house: House, account: str, guest: Guest,
                                                                 gives) -> None:
    gives(BREAD)
    link = ask(house, f"/profiles/{account}/links", life="day", note="Hello Mara,\nplease <b>help</b>.")
    page = guest.open(link)
    text = words(page)
    assert page.status_code == 200 and "Connect Acme Bakery again" in text
    assert "Alice asks you for Harbour Bakery." in text and "@acme" in text
    assert "please &lt;b&gt;help&lt;/b&gt;." in page.text
    assert "tweet.write" in text and "Nothing is stored before that." in text and "22 Nov 2026" in text
    asked = guest.consent(page)
    assert "Connect @acme again?" in words(asked) and "as Mara Lindqvist" in words(asked)
    assert house.row(Account, account).state == TOKEN_EXPIRED
    done = guest.client.get(guest.press(asked, "/confirm", profiles="42").location)
    assert "Done. Acme Bakery is connected again" in words(done) and "What you agreed to" in words(done)
    assert "tweet.write" in words(done) and "Mara Lindqvist" in words(done)
    assert house.row(Account, account).state == ACTIVE
    profile = words(house.get(f"/profiles/{account}"))
    assert "Reconnected by a link that Alice asked for" in profile
    assert "somebody with a link that Alice asked for" in profile and "Used" in profile
    again = guest.open(link)
    assert again.status_code == 410 and "This link was used already" in words(again)


def test_the_token_is_in_one_address_only(house: House, account: str, guest: Guest, gives, caplog) -> None:
    gives(BREAD)
    caplog.set_level("INFO")
    link = ask(house, f"/profiles/{account}/links", life="day")
    token = link.rsplit("/", 1)[1]
    first = guest.client.get(link)
    assert first.status_code == 303 and token not in first.location
    assert first.headers["Referrer-Policy"] == "no-referrer" and first.headers["X-Robots-Tag"] == "noindex, nofollow"
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    page = guest.client.get(first.location)
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    asked = guest.consent(page)
    done = guest.client.get(guest.press(asked, "/confirm", profiles="42").location)
    ours = (house.get(path) for path in (f"/profiles/{account}/links", "/links", "/activity"))
    for one in (page, asked, done, *ours):
        assert token not in one.text and token not in str(one.headers)
    lines = str([vars(one) for one in caplog.records])
    assert token not in lines and "/link/<token>" in lines
    with house.app.app_context():
        for table in db.metadatas[None].sorted_tables:
            assert token not in str(db.session.execute(table.select()).all()), table.name


def test_on_https_the_cookies_are_bound_to_the_host(console, sign_in: Signer) -> None:
    app = console(API_PUBLIC_URL="https://social.example")
    with app.app_context():
        house = House(app, app.test_client(), make_cast(), outside.now)  # type: ignore[arg-type]
        house.platform("twitter")
        link = connect_links.to_connect(db.session.get_one(Workspace, "wsp_bakery"),
                                        db.session.get_one(User, "usr_alice"))
    answer = app.test_client().get(f"/link/{link.token}")
    assert answer.headers["Set-Cookie"].startswith("__Host-console_link_cnl_") and "Secure" in str(answer.headers)
    assert "Path=/;" in answer.headers["Set-Cookie"] or answer.headers["Set-Cookie"].endswith("Path=/")


def test_another_profile_is_refused_and_one_may_try_again(house: House, account: str, guest: Guest, gives) -> None:
    revoked = gives(OTHER)
    page = guest.open(ask(house, f"/profiles/{account}/links", life="day"))
    refused = guest.consent(page)
    text = words(refused)
    assert "Another profile came back" in text and "Somebody Else (@stranger)" in text
    assert "This link is for Acme Bakery (@acme) only, so nothing was stored." in text
    assert revoked == ["p9"] and house.count(Account) == 1
    with house.app.app_context():
        attempt = db.session.query(ConnectionAttempt).one()
        assert (attempt.state, attempt.consent_sealed) == (FAILED, None) and "stranger" not in attempt.error
    listed = house.get(f"/profiles/{account}/links")
    assert "Somebody came back with another profile, which was refused." in words(listed)
    assert "stranger" not in listed.text.replace("stranger_", "") and "Somebody Else" not in listed.text
    gives(BREAD)
    asked = guest.consent(refused)
    assert guest.press(asked, "/confirm", profiles="42").status_code == 303
    assert house.row(Account, account).state == ACTIVE


def test_declining_and_cancelling_leave_everything_as_it_was(house: House, account: str, guest: Guest, gives) -> None:
    revoked = gives(BREAD)
    page = guest.open(ask(house, f"/profiles/{account}/links", life="day"))
    away = guest.press(page, r"/link/to/cnl_\w+")
    state = re.search(r"[?&]state=([^&]+)", away.location)
    assert state is not None
    back = guest.client.get("/api/connect/twitter/callback", query_string={"state": state[1], "error": "access_denied"})
    declined = guest.client.get(back.location)
    assert "Nothing was connected" in words(declined) and "stays good until" in words(declined)
    asked = guest.consent(declined)
    cancelled = guest.client.get(guest.press(asked, "/cancel").location)
    assert "Nothing was connected" in words(cancelled) and revoked == ["p9"]
    assert house.row(Account, account).state == TOKEN_EXPIRED
    assert "said no, so nothing was connected" in words(house.get(f"/profiles/{account}/links"))


def test_a_page_of_the_walk_is_for_its_browser_alone(house: House, account: str, guest: Guest, gives) -> None:
    gives(BREAD)
    asked = guest.consent(guest.open(ask(house, f"/profiles/{account}/links", life="day")))
    path = re.search(r'action="(/link/at/att_\w+)/confirm"', asked.text)
    assert path is not None
    attempt = path[1].rsplit("/", 1)[1]
    for stranger in (house.app.test_client(), house.client):
        assert stranger.get(path[1]).status_code == 404
    assert house.post("/links/x/end").status_code == 404
    assert house.get(f"/connect/{attempt}").status_code == 404, "a member does not open it by its id"
    assert guest.client.get("/w/wsp_bakery/profiles").status_code == 303, "and the guest opens nothing else"
    assert guest.client.get(f"/w/wsp_bakery/connect/{attempt}").location.startswith("/sign-in")


def test_whoever_is_signed_in_in_that_browser_has_no_part_in_it(house: House, account: str, sign_in: Signer,
                                                                gives) -> None:
    gives(BREAD)
    link = ask(house, f"/profiles/{account}/links", life="day")
    charlie = Guest(sign_in(house.app.test_client(), house.cast.charlie))
    page = charlie.open(link)
    assert "Linden Cycles" not in page.text and "Charlie" not in page.text
    state = re.search(r"[?&]state=([^&]+)", charlie.press(page, r"/link/to/cnl_\w+").location)
    assert state is not None
    back = charlie.client.get("/api/connect/twitter/callback",
                              query_string={"state": state[1], "error": "access_denied"})
    asked = charlie.consent(charlie.client.get(back.location))
    charlie.press(asked, "/confirm", profiles="42")
    assert house.row(Account, account).state == ACTIVE
    with house.app.app_context():
        events = db.session.query(AuditEvent).filter(AuditEvent.workspace_id == house.cast.bakery.id).all()
        assert {event.user_name for event in events} == {"Alice", ""}
        assert "connection.declined" in {event.action for event in events}
    assert charlie.client.get(f"/w/{house.cast.cycles.id}/posts").status_code == 200, "and stays signed in"


def test_the_picture_is_seen_by_whoever_holds_the_link(house: House, guest: Guest) -> None:
    account = house.account(state=TOKEN_EXPIRED, avatar=b"\x89PNG", avatar_type="image/png")
    page = guest.open(ask(house, f"/profiles/{account}/links", life="day"))
    path = re.search(r'src="(/link/to/cnl_\w+/picture)"', page.text)
    assert path is not None
    assert guest.client.get(path[1]).data == b"\x89PNG"
    assert house.app.test_client().get(path[1]).status_code == 404


# ---------------------------------------------------------------- inviting


def test_an_invitation_connects_what_is_ticked_and_nothing_else(house: House, guest: Guest, gives) -> None:
    house.platform("twitter")
    gives(BREAD, OTHER)
    asked = guest.consent(guest.open(ask(house, "/links", segment="twitter", life="days")))
    assert "Your consent covers 2 profiles" in words(asked)
    none = guest.press(asked, "/confirm")
    assert none.status_code == 422 and "Choose at least one profile" in words(none)
    done = guest.client.get(guest.press(asked, "/confirm", profiles="77").location)
    assert "Done. Somebody Else is connected" in words(done)
    with house.app.app_context():
        assert [one.username for one in db.session.query(Account)] == ["stranger"]
    assert "Used" in words(house.get("/links"))


def test_an_invitation_to_any_platform_lets_the_guest_choose(house: House, guest: Guest, gives) -> None:
    house.platform("twitter")
    house.platform("linkedin")
    gives(BREAD)
    page = guest.open(ask(house, "/links", segment="", life="days"))
    assert "Which platform" in words(page) and "LinkedIn" in words(page)
    unsaid = guest.press(page, r"/link/to/cnl_\w+")
    assert unsaid.status_code == 422 and "Choose a platform first." in words(unsaid)
    assert "Connect @acme?" in words(guest.consent(page, segment="twitter"))


def test_other_accounts_of_the_workspace_are_never_shown(house: House, guest: Guest, gives) -> None:
    house.account(name="Kept Quiet", user="quiet", connected_by="Bob", platform_user_id="1")
    house.account(name="Acme Bakery", platform_user_id="42", connected_by="Bob")
    gives(BREAD, OTHER)
    page = guest.open(ask(house, "/links", segment="twitter", life="days"))
    asked = guest.consent(page)
    for one in (page, asked):
        assert "Kept Quiet" not in one.text and "Bob" not in one.text and "accounts are connected" not in one.text
    assert words(asked).count("Connected already") == 1


def test_the_limit_holds_for_guests_without_telling_them_figures(house: House, guest: Guest, gives) -> None:
    house.platform("twitter")
    gives(BREAD, OTHER)
    link = ask(house, "/links", segment="twitter", life="days")
    asked = guest.consent(guest.open(link))
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).account_limit = 1
    refused = guest.press(asked, "/confirm", profiles=["42", "77"])
    assert refused.status_code == 422 and "Choose fewer, or tell Alice." in words(refused)
    assert guest.press(asked, "/confirm", profiles="42").status_code == 303
    full = Guest(house.app.test_client()).open(ask(house, "/links", segment="twitter", life="days"))
    assert full.status_code == 409 and "There is no room for another profile" in words(full)
    assert "1 of 1" not in full.text


# ---------------------------------------------------------------- links that do not work


def test_a_browser_that_opens_many_links_keeps_the_newest_alone(house: House, account: str, guest: Guest) -> None:
    links = [ask(house, f"/profiles/{account}/links") for _ in range(MOST_COOKIES + 3)]
    for link in links:
        assert "Acme Bakery" in guest.open(link).text
    places = [house.app.test_client().get(link).location for link in links]
    statuses = [guest.client.get(place).status_code for place in places]
    assert statuses == [404] * 3 + [200] * MOST_COOKIES
    assert "Acme Bakery" in guest.open(links[0]).text  # and one may open it again


def test_a_link_that_never_was_leads_nowhere(house: House, guest: Guest) -> None:
    for token in ("x" * 43, "x", "x" * 3000, "%00", "a b"):
        page = guest.client.get(f"/link/{token}")
        assert page.status_code == 404 and "This link leads nowhere" in words(page), token
        assert page.headers["Referrer-Policy"] == "no-referrer"
    assert guest.client.get("/link/to/cnl_x").status_code == 404


def test_an_address_without_its_cookie_asks_for_the_link(house: House, account: str, guest: Guest) -> None:
    first = guest.client.get(ask(house, f"/profiles/{account}/links", life="day"))
    page = house.app.test_client().get(first.location)
    assert page.status_code == 404 and "Open the link once more" in words(page) and "Acme" not in page.text


def test_the_token_of_one_link_opens_no_other(house: House, account: str, guest: Guest) -> None:
    mine, other = (ask(house, f"/profiles/{account}/links", life="day") for _ in range(2))
    there = house.app.test_client().get(other).location
    guest.open(mine)
    guest.client.set_cookie(f"console_link_{there.rsplit('/', 1)[1]}", mine.rsplit("/", 1)[1],
                            domain="127.0.0.1")
    assert guest.client.get(there).status_code == 404


@pytest.mark.parametrize(("change", "status", "said"), [
    ("run out", 410, "This link has run out"), ("taken back", 410, "This link was taken back"),
    ("role", 410, "This link no longer counts"), ("disconnected", 410, "The connection was ended there"),
    ("off", 409, "X is turned off there at present"), ("not open", 409, "X is turned off there at present")])
def test_each_end_of_a_link_has_its_own_page(house: House, account: str, guest: Guest, sign_in: Signer, gives,
                                             change: str, status: int, said: str) -> None:
    gives(BREAD)
    bob = as_person(house, sign_in, house.cast.bob)
    link = ask(bob, f"/profiles/{account}/links", life="hour")
    page = guest.open(link)
    asked = guest.consent(page)
    with house.app.app_context(), writing() as session:
        row = session.query(ConnectLink).one()
        if change == "run out":
            house.clock.advance(hours=1)
            session.query(ConnectionAttempt).update({"expires_at": house.clock() + timedelta(minutes=5)})
        elif change == "taken back":
            connect_links.take_back(row.workspace, row.id)
        elif change == "role":
            session.get_one(Membership, (house.cast.bakery.id, house.cast.bob.id)).role = VIEWER
        elif change == "disconnected":
            session.get_one(Account, account).state = DISCONNECTED
        elif change == "off":
            session.get_one(PlatformApp, "app_twitter").is_on = False
        else:
            session.get_one(PlatformApp, "app_twitter").workspace_ids = [house.cast.cycles.id]
    for answer in (guest.open(link), guest.press(page, r"/link/to/cnl_\w+"),
                   guest.press(asked, "/confirm", profiles="42")):
        assert answer.status_code == status and said in words(answer), words(answer)
        assert status == 409 or ("Acme" not in answer.text and "Bob" not in answer.text)
    assert house.row(Account, account).state in (TOKEN_EXPIRED, DISCONNECTED)


def test_a_healthy_profile_may_be_renewed_all_the_same(house: House, guest: Guest, gives) -> None:
    gives(BREAD)
    account = house.account(platform_user_id="42")
    page = guest.open(ask(house, f"/profiles/{account}/links", life="day"))
    assert "It works at present." in words(page)
    assert guest.press(guest.consent(page), "/confirm", profiles="42").status_code == 303


def test_what_the_admin_has_to_mend_is_not_told_to_a_guest(house: House, account: str, guest: Guest, gives) -> None:
    gives(BREAD)
    link = ask(house, f"/profiles/{account}/links", life="day")
    asked = guest.consent(guest.open(link))
    attempt = re.search(r"/link/at/(att_\w+)/confirm", asked.text)
    assert attempt is not None
    with house.app.app_context(), writing() as session:
        row = session.get_one(ConnectionAttempt, attempt[1])
        row.state, row.error, row.error_code = FAILED, "The client secret is wrong.", "invalid_client"
    page = guest.client.get(f"/link/at/{attempt[1]}")
    assert "Connecting to X failed" in words(page) and "secret" not in page.text and "tell Alice" in words(page)
    assert "The client secret is wrong." in words(house.get(f"/profiles/{account}/links"))


# ---------------------------------------------------------------- asking for links


def test_who_may_ask_and_who_may_take_back(house: House, account: str, sign_in: Signer) -> None:
    bob, vera = (as_person(house, sign_in, person) for person in (house.cast.bob, house.cast.vera))
    ask(house, f"/profiles/{account}/links", life="day")
    ask(bob, f"/profiles/{account}/links", life="day")
    assert bob.post("/links", {"life": "day"}).status_code == 403
    assert vera.get(f"/profiles/{account}/links").status_code == 403
    assert "Send a reconnect link" not in vera.get(f"/profiles/{account}").text
    with house.app.app_context():
        mine = {one.asked_by: one.id for one in db.session.query(ConnectLink)}
    refused = bob.post(f"/links/{mine['Alice']}/end")
    assert refused.status_code == 403 and "Alice asked for this link." in words(refused)
    assert bob.get(f"/profiles/{account}/links").text.count("Take back") == 1
    assert bob.post(f"/links/{mine['Bob']}/end").status_code == 303
    assert house.post(f"/links/{mine['Alice']}/end").status_code == 303
    late = house.post(f"/links/{mine['Alice']}/end")
    assert late.status_code == 409 and "This link was taken back already." in words(late)


def test_an_editor_asks_for_no_link_to_what_an_owner_ended(house: House, sign_in: Signer) -> None:
    account = house.account(state=DISCONNECTED)
    bob = as_person(house, sign_in, house.cast.bob)
    assert "An owner of this workspace can ask" in words(bob.get(f"/profiles/{account}/links"))
    assert bob.post(f"/profiles/{account}/links", {"life": "day"}).status_code == 403
    ask(house, f"/profiles/{account}/links", life="day")


@pytest.mark.parametrize("path", ["/links", "/profiles/{account}/links"])
def test_a_wrong_form_keeps_what_was_typed(house: House, account: str, path: str) -> None:
    answer = house.post(path.format(account=account), {"life": "year", "note": "Dear <Mara> " + "x" * 600})
    assert answer.status_code == 422 and house.count(ConnectLink) == 0
    assert "Choose how long the link works." in words(answer) and "Shorten it to 500 characters" in words(answer)
    assert "Dear &lt;Mara&gt;" in answer.text and 'aria-invalid="true"' in answer.text
    odd = house.post("/links", {"life": "day", "segment": "orkut"})
    assert odd.status_code == 422 and "Choose a platform from the list." in words(odd)


def test_a_link_is_shown_once(house: House, account: str) -> None:
    link = ask(house, f"/profiles/{account}/links", life="day")
    assert link not in house.get(f"/profiles/{account}/links").text


def test_a_platform_that_is_off_is_said_instead_of_a_form(house: House, account: str) -> None:
    with house.app.app_context(), writing() as session:
        session.get_one(PlatformApp, "app_twitter").is_on = False
    assert "X is turned off in this console" in words(house.get(f"/profiles/{account}/links"))
    assert house.post(f"/profiles/{account}/links", {"life": "day"}).status_code == 409
    assert house.post("/links", {"life": "day"}).status_code == 409


def test_the_link_is_mailed_and_a_mail_that_fails_is_said(house: House, account: str,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(mail, "is_set", lambda config: True)
    monkeypatch.setattr(mail, "send", lambda config, to, subject, text, **_: sent.append((to, text)))
    wrong = house.post(f"/profiles/{account}/links", {"life": "day", "email": "mara"})
    assert wrong.status_code == 422 and "Give an e-mail address" in words(wrong)
    link = ask(house, f"/profiles/{account}/links", life="day", email="Mara@Example.com", note="Thank you")
    assert sent[0][0] == "mara@example.com" and link in sent[0][1] and "Thank you" in sent[0][1]
    assert "mailed to mara@example.com" in words(house.get(f"/profiles/{account}/links"))

    def refuse(*_: Any, **__: Any) -> None:
        raise mail.NotSent("The mail server does not answer.")

    monkeypatch.setattr(mail, "send", refuse)
    typed = {"life": "day", "email": "m@example.com"}
    page = house.client.get(house.post(f"/profiles/{account}/links", typed).location)
    assert "was not sent" in words(page) and "The mail server does not answer." in words(page) and "/link/" in page.text


def test_links_for_all_that_need_one_are_shown_once(house: House, account: str, sign_in: Signer, guest: Guest) -> None:
    house.account(name="Works Well", user="fine")
    page = house.get("/links")
    once = re.search(r'name="once" value="([^"]+)"', page.text)
    assert "One profile needs somebody" in words(page) and once is not None
    made = house.post("/links/all", {"once": once[1]})
    links = re.findall(r"http://127\.0\.0\.1:8000(/link/[\w-]{43})</code>", made.text)
    assert made.status_code == 200 and len(links) == 1 and "Acme Bakery" in words(made)
    assert "Connect Acme Bakery again" in words(guest.open(links[0]))
    again = house.post("/links/all", {"once": once[1]})
    assert again.status_code == 409 and "shown only once" in words(again) and house.count(ConnectLink) == 1
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.post("/links/all").status_code == 403 and "Make links for all" not in bob.get("/links").text


def test_a_look_of_whoever_asked_is_no_opening(house: House, account: str, guest: Guest) -> None:
    link = ask(house, f"/profiles/{account}/links", life="day")
    assert Guest(house.client).open(link).status_code == 200
    assert "Not opened yet" in words(house.get(f"/profiles/{account}/links"))
    guest.open(link)
    assert "Not opened yet" not in words(house.get(f"/profiles/{account}/links"))


def test_a_robot_that_only_fetches_the_link_has_not_opened_it(house: House, account: str) -> None:
    link = ask(house, f"/profiles/{account}/links", life="day")
    assert house.app.test_client().get(link).status_code == 303
    assert house.app.test_client().head(link).status_code == 303
    assert "Not opened yet" in words(house.get(f"/profiles/{account}/links"))


# ---------------------------------------------------------------- through the sandbox


@dataclass
class Town:
    """A console and a sandbox that answer over HTTP, and whom to ask there."""

    app: Flask
    url: str
    sandbox: FlaskClient
    sandbox_url: str

    def link(self, **kind: str) -> str:
        """A link that Alice asked for."""
        with self.app.app_context():
            workspace, alice = db.session.get_one(Workspace, "wsp_bakery"), db.session.get_one(User, "usr_alice")
            if "account" in kind:
                return connect_links.to_reconnect(db.session.get_one(Account, kind["account"]), alice).address
            return connect_links.to_connect(workspace, alice, kind["segment"]).address


@pytest.fixture
def town(configured, sign_in: Signer) -> Iterator[Town]:
    """The console and the sandbox, with X and Facebook turned on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    played = make_server("localhost", 0, lambda *call: sandbox(*call), threaded=True)
    sandbox = create_sandbox(f"http://localhost:{played.port}")
    app = build(configured(SANDBOX="on", SANDBOX_BIND=f"127.0.0.1:{played.port}",
                           API_PUBLIC_URL=f"http://127.0.0.1:{port}"))
    served = make_server("127.0.0.1", port, app, threaded=True)
    for server in (played, served):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with app.app_context():
        alice = make_cast().alice
    admin = sign_in(app.test_client(), alice)
    for platform in ("twitter", "facebook"):
        token = re.search(r'name="csrf_token" value="([^"]+)"', admin.get(f"/admin/platforms/{platform}").text)
        assert token is not None
        for step in ("sandbox", "on"):
            assert admin.post(f"/admin/platforms/{platform}/{step}", data={"csrf_token": token[1]}).status_code == 303
    yield Town(app, f"http://127.0.0.1:{port}", sandbox.test_client(), f"http://localhost:{played.port}")
    for server in (served, played):
        server.shutdown()
        server.server_close()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def people(town: Town, platform: str) -> list[dict[str, Any]]:
    """Whom the sandbox plays."""
    found = town.sandbox.get(f"/portal/api/people?platform={platform}", base_url=town.sandbox_url).json
    assert isinstance(found, list)
    return found


def test_one_profile_through_the_sandbox_first_the_wrong_one(town: Town, strict_platforms: None) -> None:
    right, wrong = people(town, "twitter")[:2]
    first = Visitor().open(town.link(segment="twitter")).press("Continue to X")
    first.press("Allow", tick=(right["name"],)).press("Connect")
    assert "Done." in first.text and first.url.startswith(f"{town.url}/link/at/")
    with town.app.app_context():
        account = db.session.query(Account).one()
        account_id, username = account.id, account.username
        with writing() as session:
            session.get_one(Account, account_id).state = TOKEN_EXPIRED
    guest = Visitor().open(town.link(account=account_id))
    assert f"@{username}" in guest.text
    guest.press("Continue to X").press("Allow", tick=(wrong["name"],))
    assert "Another profile came back" in guest.text and wrong["name"] in guest.text
    guest.press("Try again as somebody else").press("Allow", tick=(right["name"],))
    assert f"Connect @{username} again?" in guest.text
    guest.press("again")
    assert "connected again" in guest.text, guest.text
    with town.app.app_context():
        assert [one.state for one in db.session.query(Account)] == [ACTIVE]
    assert not [one for one in guest.visited if "/sign-in" in one or "/w/" in one]


def test_several_profiles_through_the_sandbox(town: Town, strict_platforms: None) -> None:
    person = next(one for one in people(town, "facebook") if len(one.get("pages", ())) > 1)
    pages = tuple(page["name"] for page in person["pages"][:2])
    guest = Visitor().open(town.link(segment="facebook")).press("Continue to Facebook")
    guest.press("Allow", tick=(person["name"], *pages))
    assert "Choose what to connect" in guest.text, guest.text
    guest.press("Connect the ticked", tick=pages[:1])
    assert "Done." in guest.text, guest.text
    with town.app.app_context():
        account = db.session.query(Account).one()
        assert account.display_name == pages[0]
        account_id = account.id
    again = Visitor().open(town.link(account=account_id)).press("Continue to Facebook")
    again.press("Allow", tick=(person["name"], *pages))
    assert "Choose what to connect" not in again.text and pages[1] not in again.text
    again.press("Connect")
    assert "connected again" in again.text
    with town.app.app_context():
        assert db.session.query(Account).count() == 1
        assert db.session.query(ConnectionAttempt).filter_by(state=GRANTED).count() == 0
