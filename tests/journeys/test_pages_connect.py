"""Connect, the callback and our own page after consent, as a browser gets them."""

import re
from typing import Any

import pytest

from socialconsole import providers
from socialconsole.models import (
    ACTIVE,
    DECLINED,
    DISCONNECTED,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    STARTED,
    TOKEN_EXPIRED,
    Account,
    ConnectionAttempt,
)
from socialconsole.providers.base import Consent, Profile, TokenSet
from tests.journeys.tenant_house import ACME, SCOPES, House, Signer, as_person, words

# ---------------------------------------------------------------- connecting


def test_connect_leads_to_the_platform_with_a_cookie_of_its_own(house: House) -> None:
    house.platform("twitter")
    answer = house.post("/connect/twitter")
    assert answer.status_code == 303 and answer.location.startswith("https://x.com/")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("console_connect="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert house.count(ConnectionAttempt) == 1


def test_two_connections_side_by_side_keep_one_cookie(house: House) -> None:
    house.platform("twitter")
    first, second = house.post("/connect/twitter"), house.post("/connect/twitter")
    cookies = [re.search(r"console_connect=([^;]+)", str(answer.headers.getlist("Set-Cookie"))) for answer in
               (first, second)]
    assert cookies[0] and cookies[1] and cookies[0][1] == cookies[1][1]


def test_connecting_what_is_off_is_refused_in_words(house: House) -> None:
    house.platform("twitter", is_on=False)
    answer = house.post("/connect/twitter")
    assert answer.status_code == 409 and "X is not turned on" in words(answer)
    assert house.post("/connect/orkut").status_code == 404


def test_an_editor_reconnects_but_does_not_connect(house: House, sign_in: Signer) -> None:
    account = house.account(state=TOKEN_EXPIRED)
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.post(f"/profiles/{account}/reconnect").status_code == 303
    assert bob.post("/connect/twitter").status_code == 403


def begin(house: House) -> tuple[str, dict[str, str]]:
    """Begin a connection; returns the state that the platform will send back, and a code."""
    house.platform("twitter")
    location = house.post("/connect/twitter").location
    found = re.search(r"[?&]state=([^&]+)", location)
    assert found is not None
    return found[1], {"state": found[1], "code": "code-of-the-platform"}


@pytest.fixture
def consents(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """X gives its consent; the codes that were exchanged."""
    codes: list[str] = []

    def consent(app: Any, code: str, verifier: str | None) -> Consent:
        codes.append(code)
        return Consent(TokenSet("access-1", "refresh-1", 7200), "42", "Acme", frozenset(SCOPES["twitter"]), (ACME,))

    monkeypatch.setattr(providers.PROVIDERS["twitter"], "consent", consent)
    return codes


def test_the_callback_leads_on_to_an_address_without_code(house: House, consents: list[str]) -> None:
    _, query = begin(house)
    answer = house.client.get("/api/connect/twitter/callback", query_string=query)
    assert answer.status_code == 303
    assert "code" not in answer.location and "state" not in answer.location
    assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
    again = house.client.get("/api/connect/twitter/callback", query_string=query)
    assert again.location == answer.location and consents == ["code-of-the-platform"]
    assert "Connect @acme to Harbour Bakery?" in words(house.client.get(answer.location))


@pytest.mark.parametrize("query", ["", "state=short", f"state={'x' * 43}&code=1", f"state={'x' * 43}&state=2"])
def test_a_callback_that_is_not_ours_is_explained(house: House, consents: list[str], query: str) -> None:
    begin(house)
    answer = house.client.get(f"/api/connect/twitter/callback?{query}")
    assert answer.status_code == 400 and consents == []
    assert "does not belong to a connection" in words(answer) and "Nothing was connected" in words(answer)


def test_another_browser_and_another_person_are_stopped(house: House, sign_in: Signer, consents: list[str]) -> None:
    _, query = begin(house)
    for browser in (house.app.test_client(), sign_in(house.app.test_client(), house.cast.alice),
                    sign_in(house.app.test_client(), house.cast.charlie)):
        answer = browser.get("/api/connect/twitter/callback", query_string=query)
        assert answer.status_code == 403 and "Finish where you started" in words(answer)
        assert "code-of-the-platform" not in answer.text
    assert consents == []


def test_what_a_platform_says_is_shown_as_text(house: House) -> None:
    _, query = begin(house)
    evil = '<script>alert(1)</script>"><img src=x>'
    house.client.get("/api/connect/twitter/callback",
                     query_string={"state": query["state"], "error": "server_error", "error_description": evil})
    attempt = house.attempt(FAILED, error=evil, error_code="<b>1</b>")
    page = house.get(f"/connect/{attempt}")
    assert "<script>alert" not in page.text and "<b>1</b>" not in page.text and "&lt;script&gt;" in page.text


def test_the_confirm_page_stores_nothing_before_the_answer(house: House) -> None:
    attempt = house.attempt(GRANTED, scopes=("tweet.read", "users.read", "tweet.write"))
    text = words(house.get(f"/connect/{attempt}"))
    assert "Connect @acme to Harbour Bakery?" in text and "X said yes, as Mara Lindqvist" in text
    assert "One permission was not granted." in text and "offline.access" in text
    assert house.count(Account) == 0


def test_confirming_twice_connects_once(house: House) -> None:
    attempt = house.attempt(GRANTED)
    for _ in range(2):
        answer = house.post(f"/connect/{attempt}/confirm", {"profiles": "42"})
        assert answer.status_code == 303
    assert house.count(Account) == 1
    done = house.client.get(answer.location)
    assert "Acme Bakery connected to Harbour Bakery" in words(done) and "Write the first post" in words(done)
    assert "acc_" in done.text


def test_confirming_nothing_keeps_the_page_open(house: House) -> None:
    attempt = house.attempt(GRANTED)
    answer = house.post(f"/connect/{attempt}/confirm")
    assert answer.status_code == 422 and "Choose at least one profile" in words(answer)
    assert house.row(ConnectionAttempt, attempt).state == GRANTED


def test_several_profiles_are_chosen_and_what_cannot_be_is_explained(house: House) -> None:
    known = house.account("facebook", "Known Page", platform_user_id="2")
    pages = (Profile("1", "one", "Page One"), Profile("2", "known", "Known Page"),
             Profile("3", "three", "Page Three", problem="Your role on this Page does not allow publishing."))
    attempt = house.attempt(GRANTED, slug="facebook", profiles=pages)
    page = house.get(f"/connect/{attempt}")
    text = words(page)
    assert "2 of these 3 profiles can be connected" in text and "Already connected" in text
    assert "Your role on this Page does not allow publishing." in text and 'type="search"' not in page.text
    assert re.search(r'value="3" disabled', page.text) and re.search(r'value="2" checked', page.text)
    house.post(f"/connect/{attempt}/confirm", {"profiles": ["1", "2", "3"]})
    assert house.count(Account) == 2
    assert set(house.row(ConnectionAttempt, attempt).result_ids) > {known}


def test_a_long_list_can_be_searched(house: House) -> None:
    pages = tuple(Profile(str(number), f"p{number}", f"Page {number}") for number in range(9))
    page = house.get(f"/connect/{house.attempt(GRANTED, slug='facebook', profiles=pages)}").text
    assert 'data-filter="choices"' in page and "filter.js" in page


def test_saying_no_on_our_page_keeps_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    revoked: list[str] = []
    monkeypatch.setattr(providers.PROVIDERS["twitter"], "revoke", lambda app, held, who: revoked.append(who))
    attempt = house.attempt(GRANTED)
    answer = house.post(f"/connect/{attempt}/cancel")
    assert answer.status_code == 303 and "Nothing was connected" in words(house.client.get(answer.location))
    row = house.row(ConnectionAttempt, attempt)
    assert (row.state, row.consent_sealed, house.count(Account), len(revoked)) == (DECLINED, None, 0, 1)


def test_a_reconnect_with_another_profile_offers_the_choice(house: House) -> None:
    account = house.account(name="Harbour", user="harbour", state=TOKEN_EXPIRED)
    attempt = house.attempt(GRANTED, account_id=account)
    text = words(house.get(f"/connect/{attempt}"))
    assert "You wanted to reconnect Harbour" in text and "came back with Acme Bakery" in text
    assert "Add as a new profile" in text and "Go back" in text
    assert house.post(f"/connect/{attempt}/confirm", {"profiles": "42"}).status_code == 409
    assert house.count(Account) == 1
    assert house.post(f"/connect/{attempt}/confirm", {"profiles": "42", "as_new": "yes"}).status_code == 303
    assert house.count(Account) == 2 and house.row(Account, account).state == TOKEN_EXPIRED


def test_an_editor_may_not_add_the_other_profile(house: House, sign_in: Signer) -> None:
    account = house.account(state=TOKEN_EXPIRED)
    attempt = house.attempt(GRANTED, account_id=account, user_id=house.cast.bob.id)
    bob = as_person(house, sign_in, house.cast.bob)
    assert "Add as a new profile" not in words(bob.get(f"/connect/{attempt}"))
    assert bob.post(f"/connect/{attempt}/confirm", {"profiles": "42", "as_new": "yes"}).status_code == 403
    assert house.count(Account) == 1


def test_an_editor_may_not_slip_a_second_profile_into_a_reconnect(house: House, sign_in: Signer) -> None:
    account = house.account(state=TOKEN_EXPIRED)
    covered = house.row(Account, account).platform_user_id
    consent = tuple(Profile(one, one, one, kind="X account") for one in (covered, "777"))
    attempt = house.attempt(GRANTED, profiles=consent, account_id=account, user_id=house.cast.bob.id)
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.post(f"/connect/{attempt}/confirm", {"profiles": "777"}).status_code == 409
    assert bob.post(f"/connect/{attempt}/confirm", {"profiles": [covered, "777"]}).status_code == 303
    assert house.count(Account) == 1 and house.row(Account, account).state == ACTIVE


def test_an_editor_may_not_bring_back_what_an_owner_disconnected(house: House, sign_in: Signer) -> None:
    account = house.account(state=DISCONNECTED)
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.post(f"/profiles/{account}/reconnect").status_code == 403
    assert house.post(f"/profiles/{account}/reconnect").status_code == 303


@pytest.mark.parametrize(("state", "said"), [
    (FINISHED, "connected to Harbour Bakery"), (DECLINED, "Nothing was connected"),
    (FAILED, "Connecting to X failed"), (EXPIRED, "This took too long"), (STARTED, "Waiting for X")])
def test_each_end_of_an_attempt_is_told_and_may_be_reloaded(house: House, state: str, said: str) -> None:
    attempt = house.attempt(state)
    for _ in range(2):
        page = house.get(f"/connect/{attempt}")
        assert page.status_code == 200 and said in words(page)
    assert ("hx-trigger" in page.text.split('id="status"')[1]) == (state == STARTED)
    late = house.post(f"/connect/{attempt}/confirm", {"profiles": "42"})
    assert late.status_code == (303 if state == FINISHED else 409)


def test_hints_appear_when_nothing_comes_back(house: House) -> None:
    attempt = house.attempt(STARTED)
    assert "Usually it is one of these" not in words(house.get(f"/connect/{attempt}"))
    house.clock.advance(minutes=3)
    assert "Usually it is one of these" in words(house.get(f"/connect/{attempt}"))


def test_a_consent_nobody_confirmed_in_time_is_over(house: House) -> None:
    attempt = house.attempt(GRANTED)
    house.clock.advance(minutes=31)
    assert "This took too long" in words(house.get(f"/connect/{attempt}"))
    assert house.post(f"/connect/{attempt}/confirm", {"profiles": "42"}).status_code == 409
    assert house.count(Account) == 0


def test_an_attempt_of_somebody_else_is_not_there(house: House, sign_in: Signer) -> None:
    attempt = house.attempt(GRANTED)
    assert as_person(house, sign_in, house.cast.bob).get(f"/connect/{attempt}").status_code == 404
