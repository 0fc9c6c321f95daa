"""The pages: lights and Grant just this, the receipt, what a disconnect achieved, and turning a platform off."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from socialconsole import configure
from socialconsole.models import (
    ACTIVE,
    DECLINED,
    DISCONNECTED,
    FINISHED,
    GRANTED,
    HELD,
    SCHEDULED,
    Account,
    ConnectionAttempt,
    Delivery,
    Message,
    PlatformApp,
)
from socialconsole.providers.base import Profile
from tests.journeys.tenant_house import SCOPES, House, Signer, as_person, words

PAGE_SCOPES = SCOPES["facebook"]
NOTE = "Back on Monday <script>alert(1)</script>"


@pytest.fixture
def page_of(house: House):
    """A Facebook Page that lacks the permission to publish."""
    house.platform("facebook", features=["analytics"])
    return house.account("facebook", scopes=tuple(one for one in PAGE_SCOPES if one != "pages_manage_posts"),
                         own_token_sealed=b"x")


# ---------------------------------------------------------------- lights


def test_the_account_page_says_what_works_what_is_off_and_why(house: House, page_of: str) -> None:
    said = words(house.get(f"/profiles/{page_of}"))
    assert "What it can do" in said
    assert "Missing: pages_manage_posts (Publish to a Page)." in said
    assert "Only this is asked for. What Facebook granted before stays." in said
    assert "Analytics Missing: read_insights (Read the numbers of Pages and posts)." in said


def test_grant_just_this_leaves_for_the_platform_with_exactly_that(house: House, page_of: str) -> None:
    answer = house.post(f"/profiles/{page_of}/grant", {"scopes": "pages_manage_posts"})
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert answer.status_code == 303 and asked["scope"] == ["pages_manage_posts"]
    assert asked["auth_type"] == ["rerequest"]


@pytest.mark.parametrize(("sent", "status"), [({}, 422), ({"scopes": ""}, 422), ({"scopes": "pages_show_list"}, 409),
                                              ({"scopes": "made_up"}, 409), ({"scopes": "\x00"}, 409)])
def test_what_is_not_missing_is_refused(house: House, page_of: str, sent: dict[str, str], status: int) -> None:
    assert house.post(f"/profiles/{page_of}/grant", sent).status_code == status


def test_the_button_stands_beside_its_light_and_on_the_card(house: House, page_of: str) -> None:
    for path in (f"/profiles/{page_of}", "/profiles"):
        assert house.get(path).text.count(f'action="{house.base}/profiles/{page_of}/grant"') >= (path != "/profiles")
    whole = house.account("facebook", name="Linden", user="linden", scopes=(*PAGE_SCOPES, "pages_manage_engagement"),
                          own_token_sealed=b"x")
    assert f"/profiles/{whole}/grant" in house.get("/profiles").text  # analytics are off: the compact form


def test_a_viewer_sees_the_lights_and_no_button(house: House, page_of: str, sign_in: Signer) -> None:
    vera = as_person(house, sign_in, house.cast.vera)
    page = vera.get(f"/profiles/{page_of}").text
    assert "What it can do" in page and "Grant just this" not in page
    assert vera.post(f"/profiles/{page_of}/grant", {"scopes": "pages_manage_posts"}).status_code == 403


def test_while_the_platform_is_off_nothing_can_be_granted(house: House, page_of: str) -> None:
    with house.app.app_context():
        configure.turn_off("facebook", house.clock(), by="Ada", note=NOTE)
    assert "Grant just this" not in house.get(f"/profiles/{page_of}").text
    answer = house.post(f"/profiles/{page_of}/grant", {"scopes": "pages_manage_posts"})
    assert answer.status_code == 409


# ---------------------------------------------------------------- the receipt


def connected(house: House) -> tuple[str, str]:
    """A confirmed connection: the ids of the attempt and the account."""
    attempt = house.attempt(GRANTED, profiles=(Profile("42", "acme", "Acme <b>Bakery</b>", kind="X account"),))
    assert house.post(f"/connect/{attempt}/confirm", {"profiles": "42"}).status_code == 303
    found = house.row(ConnectionAttempt, attempt)
    assert found.state == FINISHED
    return attempt, found.result_ids[0]


def test_the_receipt_is_offered_and_says_all_that_was_agreed_to(house: House) -> None:
    attempt, account = connected(house)
    assert f"/connect/{attempt}/receipt" in house.get(f"/connect/{attempt}").text
    assert f"/connect/{attempt}/receipt" in house.get(f"/profiles/{account}").text
    page = house.get(f"/connect/{attempt}/receipt")
    said = words(page)
    for part in ("Mara Lindqvist", "@acme", "tweet.write Publish and delete posts", "How long it lasts", "Here:",
                 "Connected apps", "the console keeps it alive by itself"):
        assert part in said
    assert "<b>Bakery" not in page.text and "access-1" not in page.text


def test_it_can_be_kept_as_a_text_file(house: House) -> None:
    attempt, _ = connected(house)
    answer = house.get(f"/connect/{attempt}/receipt.txt")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="receipt-{attempt}.txt"'
    assert answer.mimetype == "text/plain" and "tweet.write: Publish and delete posts" in answer.text
    assert "access-1" not in answer.text and "refresh-1" not in answer.text


def test_nobody_else_reads_it_but_the_owners(house: House, sign_in: Signer) -> None:
    attempt, _ = connected(house)
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.get(f"/connect/{attempt}/receipt").status_code == 404
    assert bob.get(f"/connect/{attempt}/receipt.txt").status_code == 404
    waiting = house.attempt(GRANTED)
    assert house.get(f"/connect/{waiting}/receipt").status_code == 404


def test_without_a_mail_server_nothing_is_promised(house: House) -> None:
    attempt, _ = connected(house)
    assert "Mail it to me" not in house.get(f"/connect/{attempt}/receipt").text
    assert house.post(f"/connect/{attempt}/receipt/mail").status_code == 303
    assert house.count(Message) == 0


def test_with_one_it_is_mailed_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socialconsole.mail.is_set", lambda config: True)
    attempt, _ = connected(house)
    assert "Mail it to me" in house.get(f"/connect/{attempt}/receipt").text
    for _ in range(2):
        house.post(f"/connect/{attempt}/receipt/mail")
    assert house.count(Message) == 1


# ---------------------------------------------------------------- what a disconnect achieved


def test_the_page_keeps_what_became_of_the_permission(house: House) -> None:
    account = house.account(state=DISCONNECTED, revoked_note="X did not confirm that the permission is gone.",
                            revocation={"outcome": "failed", "at": house.clock().isoformat(), "proof": ""})
    said = words(house.get(f"/profiles/{account}"))
    assert "Not confirmed by X" in said and "Our copy is erased, so the console cannot ask again." in said
    assert 'href="https://x.com/settings/connected_apps"' in house.get(f"/profiles/{account}").text
    assert house.post(f"/profiles/{account}/removed-there").status_code == 303
    said = words(house.get(f"/profiles/{account}"))
    assert "Alice removed it there" in said and "I removed it there" not in said


def test_only_an_owner_settles_it_and_only_once_it_is_disconnected(house: House, sign_in: Signer) -> None:
    account = house.account()
    assert house.post(f"/profiles/{account}/removed-there").status_code == 409
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.post(f"/profiles/{account}/removed-there").status_code == 403


# ---------------------------------------------------------------- turned off


@pytest.fixture
def admin(house: House, sign_in: Signer) -> House:
    """A platform admin who is in no workspace."""
    return as_person(house, sign_in, house.cast.root)


def press(admin: House, path: str, data: dict[str, str] | None = None) -> Any:
    """Send a form of the admin's pages."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', admin.client.get("/admin/platforms").text)
    assert token is not None
    return admin.client.post(path, data={**(data or {}), "csrf_token": token[1]})


def test_the_question_names_what_waits_and_what_misses_its_window(house: House, admin: House) -> None:
    account = house.account()
    for _ in range(3):
        house.delivery(SCHEDULED, account, ahead=timedelta(hours=2), text="Secret recipe")
    assert 'action="/admin/platforms/twitter/off"' in admin.client.get("/admin/platforms").text
    page = admin.client.get("/admin/platforms/twitter/off")
    said = words(page)
    assert "3 scheduled posts of 1 workspace will be held." in said
    assert "Within a day: 3" in said and "Acme Bakery" in said and "Secret recipe" not in page.text


def test_off_with_a_note_reaches_every_place_that_speaks_of_it(house: House, admin: House) -> None:
    account = house.account()
    post, delivery = house.delivery(SCHEDULED, account, ahead=timedelta(hours=2))
    assert press(admin, "/admin/platforms/twitter/off", {"note": NOTE}).status_code == 303
    assert house.row(Delivery, delivery).state == HELD
    for path in ("/profiles", f"/profiles/{account}", f"/posts/{post}", "/compose", "/calendar", "/posts"):
        page = house.get(path).text
        assert "<script>alert" not in page, path
        assert "Back on Monday &lt;script&gt;" in page, path
    assert "Back on Monday &lt;script&gt;" in admin.client.get("/admin/platforms").text
    app = house.row(PlatformApp, "app_twitter")
    assert app.off_by and app.off_at == house.clock()


def test_a_note_that_is_too_long_is_told_beside_its_field_and_kept(house: House, admin: House) -> None:
    house.account()
    answer = press(admin, "/admin/platforms/twitter/off", {"note": "a" * 501})
    assert answer.status_code == 422 and "501 characters" in answer.text and "a" * 501 in answer.text
    assert house.row(PlatformApp, "app_twitter").is_on


def test_the_note_can_be_changed_while_it_is_off_and_on_ends_it(house: House, admin: House) -> None:
    account = house.account()
    _, delivery = house.delivery(SCHEDULED, account, ahead=timedelta(hours=2))
    press(admin, "/admin/platforms/twitter/off", {"note": "First"})
    assert "Save the note" in admin.client.get("/admin/platforms/twitter/off").text
    press(admin, "/admin/platforms/twitter/off", {"note": "Second"})
    assert "“Second”" in house.row(Delivery, delivery).note
    press(admin, "/admin/platforms/twitter/on")
    assert house.row(Delivery, delivery).state == SCHEDULED
    assert house.row(Account, account).state == ACTIVE


def test_the_question_about_what_is_off_already_leads_back_to_the_list(house: House, admin: House) -> None:
    house.platform("twitter", is_on=False)
    assert admin.client.get("/admin/platforms/twitter/off").status_code == 303
    assert admin.client.get("/admin/platforms/nothing/off").status_code == 404


# ---------------------------------------------------------------- back from a walk for one permission


def waiting_for(house: House, account: str, scopes: tuple[str, ...]) -> str:
    """A walk for media.write that came back with these scopes."""
    profile = Profile(house.row(Account, account).platform_user_id, "acme", "Acme Bakery", kind="X account")
    return house.attempt(GRANTED, profiles=(profile,), scopes=scopes, account_id=account,
                         scopes_wanted=["media.write"], scopes_asked=" ".join((*SCOPES["twitter"], "media.write")))


def test_the_question_says_whether_it_was_granted(house: House) -> None:
    account = house.account()
    given = waiting_for(house, account, (*SCOPES["twitter"], "media.write"))
    assert "Keep the new permission?" in words(house.get(f"/connect/{given}"))
    refused = waiting_for(house, account, SCOPES["twitter"][:3])
    said = words(house.get(f"/connect/{refused}"))
    assert "X did not grant it" in said and "This consent gives less than the profile has now." in said
    assert "offline.access" in said


def test_cancelling_goes_back_to_the_profile_that_works_as_before(house: House) -> None:
    account = house.account()
    refused = waiting_for(house, account, SCOPES["twitter"])
    answer = house.post(f"/connect/{refused}/cancel")
    assert answer.headers["Location"].endswith(f"/profiles/{account}")
    assert "works as before" in words(house.get(f"/profiles/{account}"))
    assert house.row(Account, account).state == ACTIVE


def test_saying_no_at_the_platform_is_told_as_nothing_changed(house: House) -> None:
    account = house.account()
    said_no = house.attempt(DECLINED, account_id=account, scopes_wanted=["media.write"],
                            error="You did not allow access at X. Nothing was connected.")
    page = house.get(f"/connect/{said_no}")
    assert "Nothing was changed" in words(page) and f'action="{house.base}/profiles/{account}/grant"' in page.text
    assert 'name="scopes" value="media.write"' in page.text
