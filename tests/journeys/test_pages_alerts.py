"""Alerts, what is mailed to a person, a test mail and the expiry calendar, as people see them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from socialconsole import alerts, incidents
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, TOKEN_EXPIRED, Account, AuditEvent, Incident, Message, PlatformApp, User
from tests.journeys.tenant_house import HTMX, as_person, words
from tests.journeys.test_pages_people import send
from tests.mail_server import SENDER, Box, Server


def sweep(house, minutes=1):
    for _ in range(minutes):
        house.clock.advance(minutes=1)
        with house.app.app_context():
            incidents.sweep(house.clock())


@pytest.fixture
def broken(house):
    """A profile that stopped working, and the sweep that found it."""
    account_id = house.account(state=TOKEN_EXPIRED, reason_text="X no longer accepts this connection.")
    sweep(house)
    return account_id


@pytest.fixture
def server(house):
    """A mail server that the console sends to."""
    made = Server(Box())
    house.app.extensions["config"] = replace(house.app.extensions["config"], mail_url=made.url, mail_from=SENDER)
    yield made
    made.stop()


def incident_id(house):
    with house.app.app_context():
        return db.session.scalars(select(Incident.id)).one()


# ---------------------------------------------------------------- a workspace


def test_the_page_says_cause_and_next_step_and_leads_to_that_very_profile(house, broken):
    page = house.get("/alerts")
    seen = words(page)
    for part in ("1 open", "Acme Bakery (X) has to be reconnected. X no longer accepts this connection.",
                 "Reconnect it.", "Mute this one", "Noticed"):
        assert part in seen
    assert f'href="{house.base}/profiles/{broken}"' in page.text
    assert f'action="{house.base}/profiles/{broken}/reconnect"' in page.text or "reconnect" in page.text


def test_an_empty_page_says_that_all_is_well(house):
    seen = words(house.get("/alerts"))
    assert "Nothing needs you" in seen and "Nothing was over in that time" in seen


def test_what_is_over_stays_for_ninety_days(house, broken):
    with house.app.app_context(), writing():
        db.session.get_one(Account, broken).state = ACTIVE
    sweep(house, 8)
    seen = words(house.get("/alerts"))
    assert "Nothing needs you" in seen and "Acme Bakery" in seen.split("Over within 90 days")[1]
    house.clock.advance(days=91)
    with house.app.app_context():
        gone = incidents.past(db.session.get(incidents.Workspace, house.cast.bakery.id), house.clock())
    assert gone == []


def test_the_bell_counts_what_is_open_everywhere(house, broken):
    for path in ("/posts", "/calendar", "/profiles", "/members"):
        assert "Alerts, 1 open" in words(house.get(path))
    assert "Alerts, 1 open" in words(house.client.get("/me"))


def test_a_banner_stands_where_none_is_and_never_two(house, broken):
    for path in ("/posts", "/compose", "/calendar", "/profiles"):
        page = house.get(path)
        assert page.text.count('class="banner"') == 1, path
    assert 'aria-label="Alerts"' in house.get("/posts").text
    assert 'aria-label="Alerts"' not in house.get("/profiles").text  # it has its own
    assert 'class="banner"' not in house.get("/members").text


def test_muting_is_one_persons_and_can_be_taken_back(house, broken, sign_in):
    one = incident_id(house)
    answer = send(house.client, f"{house.base}/alerts/{one}/mute", {"muted": "yes"})
    assert answer.status_code == 303
    seen = words(house.client.get(answer.headers["Location"]))
    assert "no banner shows it" in seen and "Muted for you" in seen and "Tell me again" in seen
    assert "Alerts, none open" in words(house.get("/posts"))
    assert "Alerts, 1 open" in words(as_person(house, sign_in, house.cast.bob).get("/posts"))
    part = send(house.client, f"{house.base}/alerts/{one}/mute", {"muted": "no"}, headers=HTMX)
    assert part.status_code == 200 and "<html" not in part.text and "Mute this one" in words(part)


def test_a_viewer_sees_alerts_without_buttons_that_they_may_not_press(house, broken, sign_in):
    page = as_person(house, sign_in, house.cast.vera).get("/alerts")
    assert "has to be reconnected" in words(page) and "/reconnect" not in page.text


def test_an_outage_tells_tenants_to_do_nothing(house):
    house.account()
    with house.app.app_context(), writing():
        app = db.session.get_one(PlatformApp, "app_twitter")
        app.trouble, app.trouble_code, app.trouble_at = "X fails: code-for-admins.", "breaker", house.clock()
    sweep(house, 7)
    for path in ("/alerts", "/posts", "/profiles"):
        seen = words(house.get(path))
        assert "your connections are fine. Do nothing" in seen, path
        assert "code-for-admins" not in seen
    assert "code-for-admins" in words(house.client.get("/admin/alerts"))


# ---------------------------------------------------------------- administrators


def test_administrators_see_what_is_theirs_and_nothing_of_a_workspace(house, broken, sign_in, app):
    with house.app.app_context(), writing():
        app_row = db.session.get_one(PlatformApp, "app_twitter")
        app_row.trouble, app_row.trouble_code = "X refuses the client secret.", "invalid_client"
    sweep(house)
    root = sign_in(app.test_client(), house.cast.root)
    page = root.get("/admin/alerts")
    assert "X refuses the client secret." in words(page) and "Acme Bakery" not in page.text
    assert 'href="/admin/platforms/twitter"' in page.text
    assert "X refuses the client secret." in words(root.get("/admin/platforms"))
    assert sign_in(app.test_client(), house.cast.bob).get("/admin/alerts").status_code == 403


def test_a_test_mail_arrives(house, server):
    answer = send(house.client, "/admin/alerts/test-mail")
    assert answer.status_code == 303
    seen = words(house.client.get(answer.headers["Location"]))
    assert "The mail server took a mail to alice@example.com." in seen and "Last taken just now" in seen
    assert [one["To"] for one in server.box.letters] == ["alice@example.com"]


def test_a_refused_test_mail_shows_the_servers_own_words(house, server):
    server.box.refuses = "550 5.7.1 relaying denied"
    page = send(house.client, "/admin/alerts/test-mail")
    assert page.status_code == 422
    assert "The mail server does not accept this address. It said: 550 5.7.1 relaying denied" in words(page)
    server.stop()
    page = send(house.client, "/admin/alerts/test-mail", headers=HTMX)
    assert page.status_code == 422 and "The mail server does not answer. It said: Connection refused" in words(page)


def test_without_a_mail_server_the_page_says_what_to_do(house):
    page = house.client.get("/admin/alerts")
    assert "No mail server is set." in words(page) and "MAIL_URL" in page.text
    assert send(house.client, "/admin/alerts/test-mail").status_code == 422


def test_mails_that_wait_are_counted_with_their_reason(house, server):
    server.stop()
    house.account(state=TOKEN_EXPIRED)
    sweep(house, 4)
    with house.app.app_context():
        for one in db.session.scalars(select(Message.id)).all():
            assert not incidents.outbox.send(one)
    seen = words(house.client.get("/admin/alerts"))
    assert "Waiting 1, the oldest since" in seen and "The mail server does not answer." in seen


# ---------------------------------------------------------------- a person's wishes


def test_each_role_is_offered_what_can_be_mailed_to_it(house, sign_in):
    owner = words(house.client.get("/me/alerts"))
    assert "A profile stopped working" in owner and "A platform refuses this console" in owner
    bob = words(as_person(house, sign_in, house.cast.bob).client.get("/me/alerts"))
    assert "As proposed: only of my own posts" in bob and "A platform refuses this console" not in bob
    vera = words(as_person(house, sign_in, house.cast.vera).client.get("/me/alerts"))
    assert "You only look at your workspaces" in vera
    assert "Choose what is mailed to you" in words(house.client.get("/me"))


def test_choices_are_kept_and_written_down(house):
    form = {"mail_account_broken": "off", "mail_post_failed": "own", "mail_account_ending": "proposed",
            "digest": "daily", "hour": "7", "weekday": "4", "quiet": ["wsp_bakery", "wsp_cycles"]}
    answer = send(house.client, "/me/alerts", form)
    assert answer.status_code == 303 and "Saved." in words(house.client.get(answer.headers["Location"]))
    with house.app.app_context():
        kept = alerts.wishes(db.session.get_one(User, house.cast.alice.id))
        assert kept.mails == {"account_broken": "off", "post_failed": "own"}
        assert (kept.digest, kept.hour, kept.weekday, kept.quiet) == ("daily", 7, 4, ("wsp_bakery",))
        assert db.session.scalars(select(AuditEvent).where(AuditEvent.action == "person.alerts")).one()
    page = house.client.get("/me/alerts").text
    assert '<option value="own" selected>' in page and '<option value="7" selected>' in page


@pytest.mark.parametrize(("typed", "field"), [
    ({"hour": "25"}, "hour"), ({"hour": ""}, "hour"), ({"digest": "hourly"}, "digest"), ({"weekday": "-1"}, "weekday"),
    ({"mail_account_broken": "own"}, "mail_account_broken"), ({"mail_post_failed": "<b>"}, "mail_post_failed")])
def test_what_cannot_be_is_said_beside_its_field_and_all_else_stays(house, typed, field):
    form = {"digest": "weekly", "hour": "9", "weekday": "2", "mail_account_ending": "off", **typed}
    page = send(house.client, "/me/alerts", form)
    assert page.status_code == 422 and f'id="{field}-error"' in page.text
    ending = page.text.split('name="mail_account_ending"')[1].split("</select>")[0]
    assert '<option value="off" selected>' in ending
    with house.app.app_context():
        assert db.session.get_one(User, house.cast.alice.id).alerts == {}


# ---------------------------------------------------------------- the expiry calendar


@pytest.fixture
def several(house):
    """Profiles whose connections end, renew themselves, have ended."""
    house.account("linkedin", "Ends soon", ends=timedelta(days=12), refresh=False)
    house.account("linkedin", "Ends later", ends=timedelta(days=50), refresh=False)
    house.account("twitter", "Goes on", ends=timedelta(hours=2))
    house.account("twitter", "Is over", state=TOKEN_EXPIRED)


def test_connections_are_listed_by_when_they_end(house, several, sign_in):
    page = house.get("/expiry")
    seen = words(page)
    order = [seen.index(part) for part in ("Has ended", "Is over", "December 2026", "Ends soon", "Ends 3 Dec 2026",
                                           "reconnect by then", "January 2027", "Ends later", "Renews itself",
                                           "Goes on")]
    assert order == sorted(order)
    assert page.text.count(">Reconnect<") == 3
    assert ">Reconnect<" not in as_person(house, sign_in, house.cast.vera).get("/expiry").text


def test_an_empty_expiry_calendar_says_what_it_is_for(house):
    assert "No profile is connected yet" in words(house.get("/expiry"))


def test_the_private_feed_has_the_ends_and_ends_with_its_address(house, several):
    answer = send(house.client, f"{house.base}/calendar/feed")
    page = house.client.get(answer.headers["Location"]).text
    address = page.split("http://127.0.0.1:8000/feeds/")[1].split(".ics")[0]
    reader = house.app.test_client()
    feed = reader.get(f"/feeds/{address}/expiry.ics")
    assert feed.status_code == 200 and feed.mimetype == "text/calendar"
    lines = feed.text.replace("\r\n ", "").split("\r\n")
    assert lines.count("BEGIN:VEVENT") == 2 and "SUMMARY:Reconnect Ends soon (LinkedIn)" in lines
    assert all(len(line.encode()) <= 75 for line in feed.text.split("\r\n"))
    again = reader.get(f"/feeds/{address}/expiry.ics", headers={"If-None-Match": feed.headers["ETag"]})
    assert again.status_code == 304
    assert "/expiry.ics" in house.get("/expiry").text
    send(house.client, f"{house.base}/calendar/feed/end")
    assert reader.get(f"/feeds/{address}/expiry.ics").status_code == 404


def test_administrators_see_numbers_and_no_names_of_profiles(house, several, sign_in, app):
    root = sign_in(app.test_client(), house.cast.root)
    seen = words(root.get("/admin/expiry"))
    assert "December 2026 Harbour Bakery LinkedIn 1" in seen and "Ends soon" not in seen


def test_the_pages_ask_a_constant_number_of_questions(house):
    from sqlalchemy import event

    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    def asked(path):
        sent.clear()
        with house.app.app_context():
            event.listen(db.engine, "before_cursor_execute", note)
        assert house.get(path).status_code == 200
        with house.app.app_context():
            event.remove(db.engine, "before_cursor_execute", note)
        return len(sent)

    def furnish(number):
        for one in range(number):
            house.account("twitter", f"Profile {one}", state=TOKEN_EXPIRED)
        sweep(house)

    furnish(2)
    few = {path: asked(path) for path in ("/alerts", "/expiry", "/posts")}
    furnish(15)
    assert {path: asked(path) for path in few} == few


