"""Help and explained errors, as people meet them: on their pages, beside the error, and after a silent platform."""

from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from socialconsole import connections
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    EXPIRED,
    FAILED,
    FINISHED,
    HELD,
    STARTED,
    TOKEN_EXPIRED,
    Account,
    AuditEvent,
    ConnectionAttempt,
    Grant,
)
from socialconsole.providers import CONNECTABLE
from tests.journeys.tenant_house import House, Signer, as_person, words

CANARY = "EAABsbCS1iHgBAKcanary0123456789secretZZ"


# ---------------------------------------------------------------- the pages


@pytest.mark.parametrize("slug", CONNECTABLE)
def test_a_page_says_what_the_code_works_by(house: House, slug: str) -> None:
    """Whatever is added to the facts stands on the page at once: it cannot drift."""
    provider = CONNECTABLE[slug]
    page = house.client.get(f"/help/{slug}")
    said = words(page)
    assert page.status_code == 200
    for mode in [mode.slug for mode in provider.modes] or [""]:
        features = tuple(feature.slug for feature in provider.features_of(mode))
        for scope in provider.default_scopes(mode, features):
            assert scope.name in said and scope.purpose in said
        for one in provider.formats_of(mode):
            assert one.label in said
        for step in provider.guides[mode].steps:
            assert step.title in said
    assert provider.lifetimes and all(line in said for line in provider.lifetimes)
    assert provider.revoke_where in said
    for row in provider.causes:
        assert row.cause.replace("{name}", provider.name) in said
    assert f"{provider.text_limit.most:,}" in said
    assert page.text.count('target="_blank"') == page.text.count('target="_blank" rel="noopener noreferrer"') > 0


def test_consequences_of_declining_are_those_of_the_code(house: House) -> None:
    said = words(house.client.get("/help/twitter"))
    assert "Without offline.access X gives no refresh token: tenants must reconnect every two hours." in said
    assert "That feature stays off" in said
    assert "It cannot be declined alone." in said and "cannot be declined" not in words(
        house.client.get("/help/tiktok"))


def test_help_is_for_whoever_is_signed_in(house: House, sign_in: Signer) -> None:
    assert house.client.get("/help/myspace").status_code == 404
    viewer = as_person(house, sign_in, house.cast.bob)
    assert viewer.client.get("/help/threads").status_code == 200
    assert viewer.client.get("/help").status_code == 200
    nobody = house.app.test_client()
    assert nobody.get("/help").status_code == 303 and nobody.get("/help/twitter").status_code == 303


@pytest.mark.parametrize(("wanted", "expected", "not_expected"), [
    ("190/460", "password was changed", "credits"), ("offline.access", "refresh token", "TikTok inbox"),
    ("tiktok private", "audited", "YouTube"), ("w_member_social", "LinkedIn", "TikTok")])
def test_search_finds_codes_and_words(house: House, wanted: str, expected: str, not_expected: str) -> None:
    answer = house.client.get("/help", query_string={"q": wanted}, headers={"HX-Request": "true"})
    assert expected in words(answer) and not_expected not in words(answer) and "<html" not in answer.text
    whole = house.client.get("/help", query_string={"q": wanted})
    assert expected in words(whole) and "<html" in whole.text


def test_search_that_finds_nothing_says_what_to_try(house: House) -> None:
    assert "Nothing is called that" in words(house.client.get("/help?q=zzzz<b>"))
    assert "<b>" not in house.client.get("/help?q=zzzz<b>").text.split("<main", 1)[1].split('id="found"', 1)[1]


def paste(house: House, slug: str, said: str) -> TestResponse:
    token = connections_token(house)
    return house.client.post(f"/help/{slug}", data={"said": said, "csrf_token": token})


def connections_token(house: House) -> str:
    return house.get("/posts").text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]


def test_what_a_page_said_is_explained_and_not_repeated(house: House) -> None:
    answer = paste(house, "facebook", f"URL Blocked: this redirect failed {CANARY}")
    assert "callback" in words(answer) and "An administrator of this console" in words(answer)
    assert CANARY not in answer.text
    assert "cannot tell" in words(paste(house, "facebook", "A wholly new page"))
    empty = paste(house, "facebook", " ")
    assert empty.status_code == 422 and "Paste what the page said first." in words(empty)


# ---------------------------------------------------------------- beside the error


def test_the_result_of_a_failed_connection_explains_itself(house: House) -> None:
    attempt = house.attempt(FAILED, error="Client ID or Client Secret is wrong.", error_code="invalid_client",
                            slug="linkedin", spent_at=house.clock())
    page = house.get(f"/connect/{attempt}")
    said = words(page)
    assert "LinkedIn does not accept the client ID or its secret." in said
    assert "An administrator of this console" in said and "Code invalid_client" in said
    assert 'href="https://www.linkedin.com/developers/apps" target="_blank" rel="noopener noreferrer"' in page.text
    assert "/help/linkedin#errors" in page.text


def test_an_unknown_error_shows_its_code_and_blames_nobody(house: House) -> None:
    attempt = house.attempt(FAILED, error="X answered with something we do not know.", error_code="brand_new",
                            spent_at=house.clock())
    said = words(house.get(f"/connect/{attempt}"))
    assert "cannot tell" in said and "brand_new" in said and "It cannot be told" in said


def test_a_broken_profile_says_why_on_its_card_and_its_page(house: House) -> None:
    account = house.account("facebook", state=TOKEN_EXPIRED, reason="password_changed",
                            reason_text="The password was changed, which ends all connections. Connect again.")
    with house.app.app_context(), writing() as session:
        found = session.get_one(Account, account)
        session.get_one(Grant, found.grant_id).error_code = "190/460"
        session.get_one(Grant, found.grant_id).last_error = found.reason_text
    for page in (house.get("/profiles"), house.get(f"/profiles/{account}")):
        said = words(page)
        assert "The password was changed, which ends every connection of the account." in said
        assert "Reconnect the profile." in said and "190/460" in said


def test_the_code_of_another_trouble_is_not_blamed(house: House) -> None:
    """A renewal that failed for a moment says nothing about why a post was the end of the connection."""
    account = house.account("facebook", state=TOKEN_EXPIRED, reason="revoked",
                            reason_text="Facebook no longer shows us this Page. Someone has to connect it.")
    with house.app.app_context(), writing() as session:
        grant = session.get_one(Grant, session.get_one(Account, account).grant_id)
        grant.error_code, grant.last_error = "unreachable", "Facebook cannot be reached."
    said = words(house.get(f"/profiles/{account}"))
    assert "lets this console read the profile" in said and "could not be reached" not in said


def test_a_profile_that_ended_without_an_answer_has_to_be_reconnected(house: House) -> None:
    reason = "X did not answer while the connection was renewed. No renewal got a clear answer for a day."
    account = house.account(state=TOKEN_EXPIRED, reason="expired", reason_text=reason)
    said = words(house.get(f"/profiles/{account}"))
    assert "Reconnect the profile." in said and "the console goes on by itself" not in said


def test_what_the_console_gave_up_is_not_said_to_go_on(house: House) -> None:
    post, _ = house.delivery(FAILED, error_code="unreachable", note="X cannot be reached.")
    said = words(house.get(f"/posts/{post}"))
    assert "The console does not try any more." in said and "goes on by itself" not in said
    attempt = house.attempt(FAILED, error="X asked us to wait until 12:00 UTC.", error_code="HTTP 429",
                            spent_at=house.clock())
    said = words(house.get(f"/connect/{attempt}"))
    assert "Connect again in a few minutes." in said and "goes on by itself" not in said


def test_a_profile_without_a_code_is_explained_by_its_reason(house: House) -> None:
    account = house.account(state=TOKEN_EXPIRED, reason="revoked", reason_text="Somebody took it back.")
    assert "X ended this connection, mostly because the app was removed there." in words(
        house.get(f"/profiles/{account}"))


def test_a_delivery_that_failed_says_who_can_end_it(house: House) -> None:
    post, _ = house.delivery(FAILED, error_code="forbidden",
                             note="X already has this text from this account. Change it.")
    said = words(house.get(f"/posts/{post}"))
    assert "X has the same text from this account already." in said and "Whoever wrote the post" in said
    assert "Code forbidden" in said
    held, _ = house.delivery(HELD, error_code="usage-capped", note="The X app has no credits left.", hold="app")
    said = words(house.get(f"/posts/{held}"))
    assert "An administrator of this console" in said and "Buy credits" in said


def test_configure_and_health_explain_the_trouble_of_an_app(house: House) -> None:
    house.platform("tiktok", trouble="A ticked scope is not enabled in the TikTok app.", trouble_code="invalid_scope",
                   trouble_at=house.clock())
    for address in ("/admin/platforms/tiktok", "/admin/health"):
        page = house.client.get(address)
        assert page.status_code == 200
        assert "The console asks for a scope that is not enabled in the app." in words(page)
        assert "Open developers.tiktok.com" in words(page)
    assert "/help/tiktok" in house.client.get("/admin/platforms/tiktok").text


# ---------------------------------------------------------------- those that never came back


def silent_attempt(house: House, state: str = STARTED, **columns: Any) -> str:
    begun: dict[str, Any] = {"created_at": house.clock() - timedelta(hours=1),
                             "expires_at": house.clock() - timedelta(minutes=50)}
    return house.attempt(state, **{**begun, **columns})


def test_whoever_began_is_asked_what_the_platform_showed(house: House, sign_in: Signer) -> None:
    silent_attempt(house, slug="facebook")
    page = house.get("/profiles")
    assert "Did Facebook show you an error?" in words(page) and "URL Blocked" in words(page)
    assert "/help/facebook#errors" in page.text
    bob = as_person(house, sign_in, house.cast.bob)
    assert "show you an error" not in words(bob.get("/profiles"))


def test_tidied_attempts_are_asked_about_too_and_the_result_page_says_the_same(house: House) -> None:
    attempt = silent_attempt(house, EXPIRED)
    assert "Did X show you an error?" in words(house.get("/profiles"))
    assert "These causes produce it" in words(house.get(f"/connect/{attempt}"))


@pytest.mark.parametrize(("state", "columns"), [
    (FAILED, {"spent_at": "now"}), (FINISHED, {"spent_at": "now"}), (STARTED, {"expires_at": "later"}),
    (EXPIRED, {"spent_at": "now"}), (EXPIRED, {"created_at": "long ago"})])
def test_nobody_is_asked_about_what_came_back_or_is_under_way_or_long_ago(
        house: House, state: str, columns: dict[str, str]) -> None:
    now = house.clock()
    instants = {"now": now, "later": now + timedelta(minutes=5), "long ago": now - timedelta(days=4)}
    silent_attempt(house, state, **{name: instants[value] for name, value in columns.items()})
    assert "show you an error" not in words(house.get("/profiles"))


def test_a_later_one_that_came_back_answers_the_question(house: House) -> None:
    silent_attempt(house, EXPIRED)
    house.attempt(FINISHED, spent_at=house.clock())
    assert "show you an error" not in words(house.get("/profiles"))


def test_the_question_is_dismissed_once_and_for_good(house: House) -> None:
    attempt = silent_attempt(house)
    for _ in range(2):
        assert house.post(f"/connect/{attempt}/dismiss").status_code == 303
    assert "show you an error" not in words(house.get("/profiles"))
    with house.app.app_context():
        assert db.session.query(AuditEvent).filter_by(action="connection.dismissed").count() == 1
        found = db.session.get_one(ConnectionAttempt, attempt)
        assert not connections.dismiss(found)
        connections.tidy(attempt)  # what waited on it is erased all the same
        assert db.session.get_one(ConnectionAttempt, attempt).state == EXPIRED


def test_only_whoever_began_dismisses_and_only_what_is_over(house: House, sign_in: Signer) -> None:
    attempt, under_way = silent_attempt(house), house.attempt(STARTED)
    assert as_person(house, sign_in, house.cast.bob).post(f"/connect/{attempt}/dismiss").status_code == 404
    house.post(f"/connect/{under_way}/dismiss")
    with house.app.app_context():
        assert db.session.get_one(ConnectionAttempt, under_way).spent_at is None


def test_the_palette_leads_to_help(house: House) -> None:
    found = house.client.get("/go?q=help+threads")
    assert "/help/threads" in found.text and "/help/facebook" not in found.text
