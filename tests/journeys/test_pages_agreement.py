"""Pages that speak of the same thing say the same: what is missing, what is off, what is mended, what was checked."""

from sqlalchemy import update

from socialconsole.database import writing
from socialconsole.models import ACTIVE, FINISHED, TOKEN_EXPIRED, Account, PlatformApp
from tests.journeys.tenant_house import SCOPES, House, words
from tests.journeys.test_pages_alerts import sweep


def change(house: House, model: type, row_id: str, **columns: object) -> None:
    with house.app.app_context(), writing() as session:
        session.execute(update(model).where(model.id == row_id).values(**columns))  # type: ignore[attr-defined]


def test_a_profile_that_cannot_publish_is_not_called_complete(house: House) -> None:
    account = house.account(scopes=tuple(one for one in SCOPES["twitter"] if one != "tweet.write"))
    page = words(house.get(f"/connect/{house.attempt(FINISHED, result_ids=[account])}"))
    assert "One thing is left before it can publish." in page and "Can’t publish: tweet.write was not granted." in page
    assert "Nothing else is needed" not in page and "Write the first post" not in page and "Open the profile" in page


def test_a_whole_one_is(house: House) -> None:
    page = words(house.get(f"/connect/{house.attempt(FINISHED, result_ids=[house.account()])}"))
    assert "Nothing else is needed." in page and "Write the first post" in page and "Can’t publish" not in page


def test_what_is_mended_is_in_no_banner_though_the_word_that_it_is_over_waits(house: House) -> None:
    account = house.account(state=TOKEN_EXPIRED, reason_text="X no longer accepts this connection.")
    sweep(house, 2)
    assert "Alerts, 1 open" in words(house.get("/posts")) and 'aria-label="Alerts"' in house.get("/posts").text
    change(house, Account, account, state=ACTIVE)
    sweep(house)
    assert "Alerts, none open" in words(house.get("/posts")) and 'aria-label="Alerts"' not in house.get("/posts").text
    page = words(house.get("/alerts"))
    assert "Mended" in page and "The console does not find this any more." in page and "Reconnect it." not in page
    change(house, Account, account, state=TOKEN_EXPIRED)
    sweep(house)
    assert "Alerts, 1 open" in words(house.get("/posts")) and "Mended" not in words(house.get("/alerts"))


def test_health_says_that_a_platform_is_off(house: House) -> None:
    house.account()
    change(house, PlatformApp, "app_twitter", is_on=False)
    house.app.extensions.pop("lately", None)
    page = words(house.client.get("/admin/health"))
    assert "It is turned off here. Its posts wait until it is on again." in page and "Configure X" in page


def test_the_address_of_the_days_stands_beside_that_of_the_posts(house: House) -> None:
    page = house.post("/calendar/feed", follow_redirects=True).text
    feed = page.split('.ics</code>')[0].rsplit(">", 1)[-1]
    assert "/feeds/" in feed and f"{feed}/expiry.ics" in page
    path = feed.split("/feeds/")[1]
    assert house.client.get(f"/feeds/{path}/expiry.ics").status_code == 200


def test_a_note_ends_with_one_full_stop(house: House) -> None:
    account = house.account()
    change(house, PlatformApp, "app_twitter", is_on=False, off_note="Legal looks at it.")
    page = words(house.get("/compose"))
    assert account and "switched off: “Legal looks at it”." in page and "”.." not in page and ".”." not in page


def test_what_the_admin_does_not_ask_for_is_off_without_alarm(house: House) -> None:
    account = house.account("facebook", scopes=tuple(one for one in SCOPES["facebook"] if one != "pages_manage_posts"))
    lights = house.get(f"/profiles/{account}").text.split('id="lights"')[1].split("</section>")[0].split("<li")
    declined, = (one for one in lights if "Publish to a Page" in one)
    unasked, = (one for one in lights if "This console does not ask for" in one)
    assert 'data-s="warn"' in declined and 'data-s="off"' in unasked and 'data-s="warn"' not in unasked
