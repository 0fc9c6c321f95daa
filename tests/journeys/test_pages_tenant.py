"""Social Profile and the details of a profile, as a browser gets them: every status in words, every action."""

from datetime import timedelta

import pytest

from socialconsole import disconnections, providers
from socialconsole.database import writing
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DISCONNECTED,
    GRANTED,
    HELD,
    PAUSED,
    PUBLISHED,
    SCHEDULED,
    TOKEN_EXPIRED,
    Account,
    Delivery,
    PlatformApp,
)
from socialconsole.providers.base import Profile
from tests.journeys.tenant_house import House, Signer, as_person, words

# ---------------------------------------------------------------- Social Profile


def test_each_status_of_an_account_has_its_words_on_the_card(house: House) -> None:
    house.account(name="Works")
    house.account(name="Ends soon", slug="linkedin", ends=timedelta(days=3), refresh=False)
    house.account(name="Lacks", scopes=("tweet.read", "users.read"))
    house.account(name="Broken", state=TOKEN_EXPIRED, reason_text="X ended this connection. Connect again.")
    house.account(name="Resting", state=PAUSED, state_by="Bob")
    house.account(name="History", state=DISCONNECTED, revoked_note="X confirmed that the permission is gone.")
    page = house.get("/profiles")
    text = words(page)
    assert "Renews itself, next in 1 hour." in text
    assert "Expires in 3 days" in text and "only with you" in text
    assert "Limited" in text and "tweet.write was not granted" in text
    assert "Reconnect needed" in text and "X ended this connection. Connect again." in text
    assert "Paused by Bob. Nothing is published, the connection is kept alive." in text
    assert "Disconnected" in text and "X confirmed that the permission is gone." in text
    for status in ("active", "expiring", "limited", "token_expired", "paused", "disconnected"):
        assert f'class="chip" data-s="{status}"' in page.text


def test_one_banner_names_what_waits_and_what_is_due(house: House) -> None:
    assert 'role="region"' not in house.get("/profiles").text
    broken = house.account(name="Broken", state=TOKEN_EXPIRED)
    house.delivery(HELD, broken, ahead=timedelta(hours=3), hold="account")
    house.account(name="Lacks", scopes=())
    page = house.get("/profiles")
    assert page.text.count('role="region"') == 1
    assert "2 profiles need you, and 1 scheduled post waits. Broken: reconnect needed, Lacks: limited." in words(page)
    assert "The first of those posts: in 3 hours." in words(page)
    assert "Reconnect Broken" in words(page)


def test_the_tabs_filter_and_an_unknown_one_is_not_found(house: House) -> None:
    house.account(name="Works")
    house.account(name="Broken", state=TOKEN_EXPIRED)
    house.account(name="Gone", state=DISCONNECTED)
    assert "Works" not in words(house.get("/profiles?filter=needs"))
    gone = words(house.get("/profiles?filter=disconnected"))
    assert "Gone" in gone and "Works" not in gone
    assert house.get("/profiles?filter=else").status_code == 404


def test_only_platforms_that_are_on_are_offered_with_their_requirements(house: House) -> None:
    house.platform("twitter", is_sandbox=True)
    house.platform("linkedin", is_on=False)
    text = words(house.get("/profiles"))
    x = providers.provider("twitter")
    assert x.requirement in text and x.before_consent in text and "Sandbox" in text
    assert "LinkedIn" not in text
    house.account()
    assert "Connect X (sandbox)" in words(house.get("/profiles"))


def test_the_empty_page_teaches_the_next_step_for_each_role(house: House, sign_in: Signer) -> None:
    admin = house.get("/profiles").text
    assert "/admin/platforms" in admin and "sandbox" in admin
    tenant = as_person(house, sign_in, house.cast.bob).get("/profiles").text
    assert "Ask the platform admin" in tenant and "/admin/platforms" not in tenant
    house.platform("twitter")
    assert "Only an owner of this workspace can connect profiles" in words(
        as_person(house, sign_in, house.cast.bob).get("/profiles"))


def test_a_viewer_sees_no_button_that_would_be_refused(house: House, sign_in: Signer) -> None:
    account = house.account(state=TOKEN_EXPIRED)
    vera = as_person(house, sign_in, house.cast.vera)
    for path in ("/profiles", f"/profiles/{account}"):
        assert "/reconnect" not in vera.get(path).text
        assert "/disconnect" not in vera.get(path).text


def test_the_picture_comes_from_here_and_only_as_a_picture(house: House) -> None:
    account = house.account(avatar=b"\x89PNG", avatar_type="image/png")
    assert f"/profiles/{account}/avatar" in house.get("/profiles").text
    answer = house.get(f"/profiles/{account}/avatar")
    assert (answer.data, answer.content_type) == (b"\x89PNG", "image/png")
    assert "private" in answer.headers["Cache-Control"]
    drawing = house.account(avatar=b"<svg/>", avatar_type="image/svg+xml")
    assert house.get(f"/profiles/{drawing}/avatar").status_code == 404
    assert house.get(f"/profiles/{house.account()}/avatar").status_code == 404


# ---------------------------------------------------------------- one profile


def test_the_details_show_permissions_access_history_and_metadata(house: House) -> None:
    account = house.account(scopes=("tweet.read", "tweet.write", "users.read"), meta={"followers": 7, "bio": "Bröd"})
    house.delivery(PUBLISHED, account, permalink="https://x.com/acme/status/1")
    page = house.get(f"/profiles/{account}")
    text = words(page)
    assert "offline.access" in text and "Declined" in text and "Granted" in text
    assert "Bröd" in text and "Consent by Mara Lindqvist" in text
    assert providers.provider("twitter").revoke_where in text
    assert "https://x.com/acme/status/1" in page.text and "Saffron buns are back" in text


def test_unknown_permissions_are_called_not_confirmed(house: House) -> None:
    account = house.account()
    with house.app.app_context(), writing() as session:
        grant = session.get_one(Account, account).grant
        assert grant is not None
        grant.scopes_granted = None
    assert "Not confirmed" in words(house.get(f"/profiles/{account}"))


def test_pause_and_resume_act_and_pressing_twice_is_the_same(house: House) -> None:
    account = house.account()
    for step, state in (("pause", PAUSED), ("pause", PAUSED), ("resume", ACTIVE), ("resume", ACTIVE)):
        assert house.post(f"/profiles/{account}/{step}").status_code == 303
        assert house.row(Account, account).state == state


@pytest.mark.parametrize("step", ["pause", "resume"])
@pytest.mark.parametrize("state", [TOKEN_EXPIRED, DISCONNECTED])
def test_pausing_what_does_not_work_comes_too_late(house: House, step: str, state: str) -> None:
    account = house.account(state=state)
    answer = house.post(f"/profiles/{account}/{step}")
    assert answer.status_code == 409 and 'role="alert"' in answer.text
    assert house.row(Account, account).state == state


def test_disconnect_asks_first_and_names_what_goes_and_what_stays(house: House) -> None:
    account = house.account()
    house.delivery(SCHEDULED, account, ahead=timedelta(hours=1))
    house.delivery(PUBLISHED, account)
    page = house.get(f"/profiles/{account}/disconnect")
    assert "<dialog" in page.text and 'class="app" inert' in page.text
    text = words(page)
    assert "our tokens are erased at once, and the permission is taken back at X" in text
    assert "1 published post" in text and "Also cancel 1 waiting post" in text
    assert house.row(Account, account).state == ACTIVE


@pytest.mark.parametrize(("ticked", "state"), [(True, CANCELLED), (False, HELD)])
def test_disconnect_says_what_happened_and_cancels_only_when_ticked(
        house: House, monkeypatch: pytest.MonkeyPatch, ticked: bool, state: str) -> None:
    monkeypatch.setattr(disconnections, "_open", lambda grant: None)
    account = house.account("linkedin", refresh=False)
    _, delivery = house.delivery(SCHEDULED, account, ahead=timedelta(hours=1))
    answer = house.post(f"/profiles/{account}/disconnect", {"cancel_posts": "yes"} if ticked else {})
    assert answer.status_code == 303
    assert "is disconnected and our tokens are erased" in words(house.client.get(answer.location))
    assert house.row(Delivery, delivery).state == state
    assert house.post(f"/profiles/{account}/disconnect").status_code == 409
    assert house.get(f"/profiles/{account}/disconnect").status_code == 409


def test_a_profile_whose_platform_is_off_says_so(house: House) -> None:
    house.account()
    with house.app.app_context(), writing() as session:
        session.query(PlatformApp).one().is_on = False
    page = words(house.get("/profiles"))
    assert "X was turned off in this console." in page and "Renews itself" not in page


def test_where_no_profile_can_be_chosen_there_is_nothing_to_press(house: House) -> None:
    barred = tuple(Profile(one, one, one, kind="X account", problem="Not ticked there.") for one in ("1", "2"))
    page = house.get(f"/connect/{house.attempt(GRANTED, profiles=barred)}")
    assert "None of these 2 profiles can be connected yet" in words(page)
    assert "Connect the ticked profiles" not in words(page)
