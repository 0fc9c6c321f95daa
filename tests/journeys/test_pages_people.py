"""Members, invitations, own logins, settings, Admin → Workspaces and the account limit, as people see them."""

import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from socialconsole import logins, mail, retention
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    EDITOR,
    GRANTED,
    OWNER,
    VIEWER,
    Account,
    AuditEvent,
    Invitation,
    Login,
    Membership,
    User,
    Workspace,
)
from socialconsole.providers.base import Profile
from socialconsole.web import forgotten
from socialconsole.web.people import browser_of
from tests.cast import PASSWORD
from tests.journeys.tenant_house import HTMX, as_person, words

LINK = re.compile(r"http://127\.0\.0\.1:8000(/join/[\w-]{43})")
PAGES = tuple(Profile(f"page-{number}", f"page{number}", f"Page {number}", kind="Facebook Page") for number in range(3))


def send(client, path, data=None, **options):
    """Send a form with the token of this browser's pages."""
    page = client.get("/me", follow_redirects=True).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    return client.post(path, data={**(data or {}), "csrf_token": found[1]}, **options)


def fresh_link(page):
    """The path of the link that this page shows."""
    found = LINK.search(page.text)
    assert found, words(page)
    return found[1]


def invite(house, **typed):
    answer = send(house.client, house.base + "/invitations", {"role": EDITOR, **typed})
    assert answer.status_code == 303, words(answer)
    return fresh_link(house.client.get(answer.headers["Location"]))


def role_of(house, who):
    with house.app.app_context():
        found = db.session.get(Membership, (house.cast.bakery.id, who.id))
        return found.role if found else None


# ---------------------------------------------------------------- members


def test_everybody_sees_who_is_in_and_only_owners_what_can_be_changed(house, sign_in):
    seen = words(house.get("/members"))
    for part in ("3 members", "Alice (you)", "bob@example.com", "seen just now", "Invite somebody"):
        assert part in seen
    vera = as_person(house, sign_in, house.cast.vera)
    page = vera.get("/members")
    assert "Bob" in words(page) and "Editor" in words(page) and "Invite somebody" not in page.text
    assert "/role" not in page.text and "Remove" not in page.text and "Leave" in words(page)


def test_a_role_counts_from_the_next_click_on(house, sign_in):
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.get("/settings").status_code == 403
    answer = send(house.client, f"{house.base}/members/usr_bob/role", {"was": EDITOR, "role": OWNER})
    assert answer.status_code == 303
    assert "Bob is now owner of Harbour Bakery." in words(house.client.get(answer.headers["Location"]))
    assert bob.get("/settings").status_code == 200
    send(house.client, f"{house.base}/members/usr_bob/role", {"was": OWNER, "role": VIEWER})
    assert bob.get("/settings").status_code == 403


def test_with_script_only_the_list_is_changed_and_it_is_announced(house):
    answer = send(house.client, f"{house.base}/members/usr_bob/role", {"was": EDITOR, "role": VIEWER}, headers=HTMX)
    assert answer.status_code == 200 and "<html" not in answer.text and 'id="people"' in answer.text
    assert 'hx-swap-oob="true"' in answer.text and role_of(house, house.cast.bob) == VIEWER


def test_an_older_page_changes_nothing_and_shows_how_it_stands(house):
    answer = send(house.client, f"{house.base}/members/usr_bob/role", {"was": VIEWER, "role": OWNER})
    assert answer.status_code == 409 and "Bob is an editor meanwhile. Nothing was changed." in words(answer)
    assert role_of(house, house.cast.bob) == EDITOR


def test_the_last_owner_can_neither_step_down_nor_go(house):
    for path, data in (("/members/usr_alice/role", {"was": OWNER, "role": EDITOR}), ("/members/usr_alice/remove", {}),
                       ("/members/leave", {})):
        answer = send(house.client, house.base + path, data)
        assert answer.status_code == 409 and "the only owner of this workspace" in words(answer), path
    assert role_of(house, house.cast.alice) == OWNER


def test_a_role_that_is_none_is_refused_in_words(house):
    answer = send(house.client, f"{house.base}/members/usr_bob/role", {"was": EDITOR, "role": "king"})
    assert answer.status_code == 422 and "Choose viewer, editor or owner." in words(answer)


def test_removing_asks_first_and_names_what_goes_and_what_stays(house, sign_in):
    bob = as_person(house, sign_in, house.cast.bob)
    question = house.get("/members/usr_bob/remove")
    for part in ("Remove Bob?", "What goes: Bob can no longer open Harbour Bakery", "What stays: posts and drafts"):
        assert part in words(question)
    assert bob.get("/members").status_code == 200
    answer = send(house.client, f"{house.base}/members/usr_bob/remove")
    assert "Bob is no longer a member" in words(house.client.get(answer.headers["Location"]))
    assert bob.get("/members").status_code == 404
    assert send(house.client, f"{house.base}/members/usr_bob/remove").status_code == 404


def test_anyone_may_leave(house, sign_in):
    vera = as_person(house, sign_in, house.cast.vera)
    assert "Leave Harbour Bakery?" in words(vera.get("/members/leave"))
    answer = send(vera.client, vera.base + "/members/leave")
    assert answer.headers["Location"] == "/"
    assert "You have left Harbour Bakery." in words(vera.client.get("/", follow_redirects=True))
    assert role_of(house, house.cast.vera) is None


# ---------------------------------------------------------------- invitations


def test_a_link_is_shown_once_and_only_its_hash_is_kept(house):
    link = invite(house)
    again = house.get("/members")
    assert link not in again.text and "Whoever has the link" in again.text and "by Alice" in words(again)
    token = link.rpartition("/")[2]
    with house.app.app_context():
        row = db.session.scalars(select(Invitation)).one()
        assert token not in str(vars(row))
        assert all(token not in str(vars(event)) for event in db.session.scalars(select(AuditEvent)))


def test_with_script_the_link_comes_with_the_answer_and_is_not_kept_for_another_page(house):
    answer = send(house.client, house.base + "/invitations", {"role": EDITOR, "email": ""}, headers=HTMX)
    link = fresh_link(answer)
    assert "<html" not in answer.text and link not in house.get("/members").text


def test_a_wrong_address_is_said_at_its_field_and_kept(house):
    answer = send(house.client, house.base + "/invitations", {"role": VIEWER, "email": "no address"})
    assert answer.status_code == 422 and 'value="no address"' in answer.text
    assert 'id="email-error"' in answer.text and re.search(r'value="viewer" checked', answer.text)


def test_somebody_new_chooses_name_and_password_and_is_in(house):
    link, guest = invite(house), house.app.test_client()
    page = guest.get(link)
    for part in ("Join Harbour Bakery", "Alice invites you, as editor.", "Your name"):
        assert part in words(page)
    answer = join(guest, link, email="Mara@Example.com", name="Mara", password=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{house.base}/profiles")
    assert guest.get(f"{house.base}/members").status_code == 200
    assert "Mara" in words(house.get("/members"))
    other = house.app.test_client()
    gone = other.get(link)
    assert gone.status_code == 404 and "This invitation does not work" in words(gone)


def join(guest, link, **typed):
    page = guest.get(link).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    return guest.post(link, data={**typed, "csrf_token": found[1] if found else ""})


def test_what_was_typed_wrong_is_said_and_the_rest_kept(house):
    link, guest = invite(house), house.app.test_client()
    answer = join(guest, link, email="mara@example.com", name="Mara", password="short")
    assert answer.status_code == 422 and 'value="Mara"' in answer.text and "At least 10" in answer.text
    assert 'id="password-error"' in answer.text and "short" not in re.findall(r'value="([^"]*)"', answer.text)
    assert join(guest, link, email="mara@example.com", name="Mara", password=PASSWORD).status_code == 303


def test_a_known_address_signs_in_first_and_comes_back(house):
    link, guest = invite(house), house.app.test_client()
    answer = join(guest, link, email=house.cast.charlie.email, name="Charlie", password=PASSWORD)
    assert answer.status_code == 422 and "has an account here already" in words(answer)
    assert f"/sign-in?next={link}" in answer.text
    page = guest.get(f"/sign-in?next={link}").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    back = guest.post("/sign-in", data={"email": house.cast.charlie.email, "password": PASSWORD, "next": link,
                                        "csrf_token": token})
    assert back.headers["Location"] == link
    assert "Join as Charlie" in words(guest.get(link))
    assert join(guest, link).headers["Location"] == f"{house.base}/profiles"
    assert role_of(house, house.cast.charlie) == EDITOR


def test_a_named_invitation_sends_its_person_to_sign_in(house):
    link, guest = invite(house, email=house.cast.charlie.email), house.app.test_client()
    page = guest.get(link)
    assert "charlie@example.com has an account here" in words(page) and "password" not in page.text
    assert 'name="email"' not in page.text


def test_a_named_invitation_is_for_nobody_else(house, sign_in):
    link = invite(house, email="mara@example.com")
    other = sign_in(house.app.test_client(), house.cast.charlie)
    page = other.get(link)
    assert "This invitation is for mara@example.com." in words(page)
    assert send(other, link).status_code == 403 and role_of(house, house.cast.charlie) is None
    out = send(other, "/sign-out", {"next": link})
    assert out.headers["Location"] == link
    guest = other.get(link)
    assert 'value="mara@example.com"' in guest.text and "readonly" in guest.text
    assert join(other, link, email="charlie@example.com", name="Mara", password=PASSWORD).status_code == 303
    with house.app.app_context():
        assert db.session.scalars(select(User.email).where(User.name == "Mara")).one() == "mara@example.com"


def test_signing_out_leads_to_no_other_site(house):
    assert send(house.client, "/sign-out", {"next": "//evil.example/join"}).headers["Location"] == "/sign-in"


def test_a_member_is_told_so_and_the_link_stays(house, sign_in):
    link = invite(house)
    bob = sign_in(house.app.test_client(), house.cast.bob)
    assert "You are a member of Harbour Bakery already." in words(bob.get(link))
    assert send(bob, link).status_code == 409
    assert house.app.test_client().get(link).status_code == 200


def test_a_link_is_replaced_or_taken_back(house):
    first = invite(house)
    invitation = house.row(Invitation, re.search(r"invitations/(inv_\w+)/renew", house.get("/members").text)[1])
    answer = send(house.client, f"{house.base}/invitations/{invitation.id}/renew")
    second = fresh_link(house.client.get(answer.headers["Location"]))
    guest = house.app.test_client()
    assert (guest.get(first).status_code, guest.get(second).status_code) == (404, 200)
    taken = send(house.client, f"{house.base}/invitations/{invitation.id}/revoke")
    assert "is taken back" in words(house.client.get(taken.headers["Location"]))
    assert guest.get(second).status_code == 404
    late = send(house.client, f"{house.base}/invitations/{invitation.id}/revoke")
    assert late.status_code == 409 and "taken back meanwhile" in words(late)


def test_an_invitation_that_ran_out_says_so(house):
    link = invite(house)
    house.clock.advance(days=7)
    assert house.app.test_client().get(link).status_code == 404


def test_who_tries_many_links_waits_and_can_still_sign_in(house):
    link, guest = invite(house), house.app.test_client()
    for number in range(30):
        assert guest.get(f"/join/{number}").status_code == 404
    refused = guest.get(link)
    assert refused.status_code == 429 and "Try again in 15 minutes" in words(refused)
    assert refused.headers["Retry-After"] == "900"
    assert guest.get("/sign-in").status_code == 200
    with house.app.app_context():
        assert db.session.scalars(select(Invitation)).one().ended_at is None
    house.clock.advance(minutes=15)
    assert guest.get(link).status_code == 200


def test_the_link_stays_out_of_the_log(house, caplog):
    caplog.set_level(0)
    link, guest = invite(house), house.app.test_client()
    join(guest, link, email="mara@example.com", name="Mara", password=PASSWORD)
    token = link.rpartition("/")[2]
    assert caplog.records
    assert all(token not in str(vars(record)) for record in caplog.records)
    assert house.app.test_client().get(link).headers["Referrer-Policy"] == "same-origin"


# ---------------------------------------------------------------- mail


@pytest.fixture
def post_office(house, monkeypatch):
    """A mail server that takes what `refuse` does not name; what it took."""
    config = house.app.extensions["config"]
    house.app.extensions["config"] = replace(
        config, mail_url="smtp://localhost", mail_from="console@example.org")
    taken = []

    def take(_config, to, subject, text):
        if to.startswith("nobody"):
            raise mail.NotSent("The mail server does not accept this address.")
        taken.append((to, subject, text))

    monkeypatch.setattr(mail, "send", take)
    return taken


def test_an_invitation_is_mailed_to_the_address_it_names(house, post_office):
    link = invite(house, email="mara@example.com")
    to, subject, text = post_office[0]
    assert (to, subject) == ("mara@example.com", "Join Harbour Bakery in Social Console")
    assert f"http://127.0.0.1:8000{link}" in text and "Alice invites you" in text
    assert "mailed" in words(house.get("/members"))


def test_a_mail_that_fails_leaves_the_link_and_says_why(house, post_office):
    answer = send(house.client, house.base + "/invitations", {"role": EDITOR, "email": "nobody@example.com"})
    page = house.client.get(answer.headers["Location"])
    assert "The mail to nobody@example.com was not sent. The mail server does not accept this address." in words(page)
    assert house.app.test_client().get(fresh_link(page)).status_code == 200
    with house.app.app_context():
        assert db.session.scalars(select(Invitation)).one().mailed_at is None


def test_without_an_address_nothing_is_mailed(house, post_office):
    invite(house)
    assert post_office == []


# ---------------------------------------------------------------- a forgotten password


@pytest.fixture
def at_once(monkeypatch):
    """What is done after the answer is done before it; how often that was."""
    done = []
    monkeypatch.setattr(forgotten, "aside", lambda work: (done.append(work), work()))
    return done


def ask(guest, email):
    found = re.search(r'name="csrf_token" value="([^"]+)"', guest.get("/forgotten").text)
    return guest.post("/forgotten", data={"email": email, "csrf_token": found[1]})


def test_a_link_for_a_new_password_comes_by_mail_and_nobody_learns_who_has_an_account(house, post_office, at_once):
    guest = house.app.test_client()
    answers = [ask(guest, email) for email in ("BOB@example.com", "stranger@example.com")]
    assert [one.status_code for one in answers] == [200, 200] and len(at_once) == 2
    assert words(answers[0]).replace("BOB", "X") == words(answers[1]).replace("stranger", "X")
    assert len(post_office) == 1 and post_office[0][0] == "bob@example.com"
    assert guest.get(re.search(r"http://127\.0\.0\.1:8000(/reset/\S+)", post_office[0][2])[1]).status_code == 200


def test_links_for_a_new_password_are_limited_alike_for_everybody(house, post_office, at_once):
    guest = house.app.test_client()
    for email in ("bob@example.com", "stranger@example.com"):
        codes = [ask(guest, email).status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
    assert len(post_office) == 3
    assert ask(guest, "no address").status_code == 422
    house.clock.advance(minutes=15)
    assert ask(guest, "bob@example.com").status_code == 200


def test_without_a_mail_server_there_is_no_such_page(house):
    guest = house.app.test_client()
    assert guest.get("/forgotten").status_code == 404 and "/forgotten" not in guest.get("/sign-in").text


# ---------------------------------------------------------------- one's own page


def test_ones_own_logins_are_listed_and_ended(house, sign_in):
    elsewhere = sign_in(house.app.test_client(), house.cast.alice)
    stranger = sign_in(house.app.test_client(), house.cast.bob)
    with house.app.app_context(), writing() as session:
        for login in session.scalars(select(Login)):
            login.browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    page = house.client.get("/me")
    assert words(page).count("Firefox on Linux") >= 2 and "This one" in words(page)
    ids = set(re.findall(r"/me/logins/(log_\w+)/end", page.text))
    assert len(ids) == 2
    for one in ids:  # not Bob's to end
        send(stranger, f"/me/logins/{one}/end")
    assert elsewhere.get("/me").status_code == 200
    with house.app.app_context():
        other = next(one for one in ids if one != _login_of(house.client))
    answer = send(house.client, f"/me/logins/{other}/end")
    assert "That browser is signed out." in words(house.client.get(answer.headers["Location"]))
    assert elsewhere.get("/me").status_code == 303 and house.client.get("/me").status_code == 200


def _login_of(client):
    return db.session.scalars(select(Login.id).where(
        Login.token_hash == logins.digest(client.get_cookie("console_login", domain="127.0.0.1").value))).one()


def test_all_other_logins_are_ended_at_once(house, sign_in):
    others = [sign_in(house.app.test_client(), house.cast.alice) for _ in range(2)]
    bob = sign_in(house.app.test_client(), house.cast.bob)
    answer = send(house.client, "/me/logins/end-others", headers=HTMX)
    assert "2 other browsers are signed out." in words(answer) and 'id="logins"' in answer.text
    assert [one.get("/me").status_code for one in (*others, bob, house.client)] == [303, 303, 200, 200]


def test_ending_this_login_signs_out(house):
    with house.app.app_context():
        mine = _login_of(house.client)
    assert send(house.client, f"/me/logins/{mine}/end").headers["Location"] == "/sign-in"
    assert house.client.get("/me").status_code == 303


@pytest.mark.parametrize(("agent", "said"), [
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 "
     "Edg/140.0", "Edge on Windows"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1",
     "Safari on iPhone"),
    ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
    ("", "A browser"), ("curl/8.5", "curl")])
def test_a_browser_in_words(agent, said):
    assert browser_of(agent) == said


def test_name_and_time_zone_are_ones_own(house):
    answer = send(house.client, "/me/details", {"name": " Alice\tA. ", "time_zone": "Asia/Tokyo"})
    assert answer.status_code == 303
    user = house.row(User, house.cast.alice.id)
    assert (user.name, user.time_zone) == ("Alice A.", "Asia/Tokyo")
    assert "Times in Asia/Tokyo" in words(house.client.get("/me"))
    wrong = send(house.client, "/me/details", {"name": "", "time_zone": "Mars"})
    assert wrong.status_code == 422 and 'id="name-error"' in wrong.text and 'id="time_zone-error"' in wrong.text


# ---------------------------------------------------------------- settings


def test_settings_are_for_owners_and_say_what_a_change_does(house, sign_in):
    seen = words(house.get("/settings"))
    for part in ("scheduled posts still go out at the very same instant", "2 hours", "By an owner"):
        assert part in seen
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.get("/settings").status_code == 403 and "Settings" not in words(bob.get("/members"))


def form_of(page):
    """What the settings form would send."""
    found = dict(re.findall(r'<input type="hidden" name="(seen_\w+)" value="([^"]*)"', page.text))
    return {**found, **{name.removeprefix("seen_"): value for name, value in found.items()}}


def test_settings_are_saved(house):
    data = {**form_of(house.get("/settings")), "name": "Bakery & Co", "time_zone": "Asia/Tokyo",
            "window_minutes": "240", "approval": "yes"}
    answer = send(house.client, house.base + "/settings", data)
    page = house.client.get(answer.headers["Location"])
    assert "The settings are saved." in words(page) and "Bakery & Co" in words(page)
    found = house.row(Workspace, house.cast.bakery.id)
    assert (found.name, found.time_zone, found.window_minutes, found.needs_approval) == (
        "Bakery & Co", "Asia/Tokyo", 240, True)
    assert "Time zone changed from Europe/Stockholm to Asia/Tokyo" in words(house.get("/activity"))


def test_settings_that_somebody_changed_meanwhile_are_not_lost(house):
    older = form_of(house.get("/settings"))
    send(house.client, house.base + "/settings", {**older, "name": "First"})
    answer = send(house.client, house.base + "/settings", {**older, "name": "Second"})
    assert answer.status_code == 409 and 'value="First"' in answer.text
    assert "Somebody changed these settings meanwhile" in words(answer)


def test_wrong_settings_are_said_at_their_fields(house):
    data = {**form_of(house.get("/settings")), "name": " ", "time_zone": "Mars", "window_minutes": "x"}
    answer = send(house.client, house.base + "/settings", data)
    assert answer.status_code == 422
    assert all(f'id="{field}-error"' in answer.text for field in ("name", "time_zone", "window_minutes"))


# ---------------------------------------------------------------- Admin → Workspaces


def test_an_admin_sees_figures_and_makes_a_workspace_with_an_invited_owner(house):
    page = house.client.get("/admin/workspaces")
    assert "Harbour Bakery" in words(page) and "3 members" in words(page) and "Linden Cycles" in words(page)
    answer = send(house.client, "/admin/workspaces/new", {"name": "Sea Books", "time_zone": "UTC",
                                                          "owner": "mara@example.com"})
    made = house.client.get(answer.headers["Location"])
    link = fresh_link(made)
    assert "No owner" in words(house.client.get("/admin/workspaces"))
    guest = house.app.test_client()
    assert "Join Sea Books" in words(guest.get(link)) and "as owner" in words(guest.get(link))
    assert join(guest, link, name="Mara", password=PASSWORD).status_code == 303
    assert "No owner" not in words(house.client.get("/admin/workspaces"))


def test_a_person_with_an_account_owns_the_new_workspace_at_once(house, sign_in):
    answer = send(house.client, "/admin/workspaces/new", {"name": "Sea Books", "time_zone": "UTC",
                                                          "owner": house.cast.bob.email})
    assert "Sea Books is made. Bob is an owner of it." in words(house.client.get(answer.headers["Location"]))
    wrong = send(house.client, "/admin/workspaces/new", {"name": "", "time_zone": "Mars", "owner": "nobody"})
    assert wrong.status_code == 422
    assert all(f'id="{field}-error"' in wrong.text for field in ("name", "time_zone", "owner"))
    assert 'value="nobody"' in wrong.text


def test_limits_are_set_and_seen_where_they_count(house):
    where = f"/admin/workspaces/{house.cast.bakery.id}"
    house.account()
    send(house.client, where, {"name": "Harbour Bakery", "accounts": "10", "megabytes": "500"})
    found = house.row(Workspace, house.cast.bakery.id)
    assert (found.account_limit, found.storage_limit) == (10, 500 * 1024**2)
    assert "1 of 10 accounts" in words(house.get("/profiles"))
    assert "1 of 10 accounts" in words(house.client.get("/admin/workspaces"))
    wrong = send(house.client, where, {"name": "Harbour Bakery", "accounts": "many", "megabytes": "-1"})
    assert wrong.status_code == 422 and 'value="many"' in wrong.text and 'id="megabytes-error"' in wrong.text


def test_only_admins_get_there_and_an_unknown_workspace_is_not_there(house, sign_in):
    bob = as_person(house, sign_in, house.cast.bob)
    assert bob.client.get("/admin/workspaces").status_code == 403
    assert house.client.get("/admin/workspaces/wsp_nothing").status_code == 404


# ---------------------------------------------------------------- the account limit


def limit(house, number):
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).account_limit = number


def test_where_there_is_no_room_nothing_can_be_connected_and_it_is_said_why(house, sign_in):
    house.account()
    limit(house, 1)
    page = house.get("/profiles")
    assert "1 of 1 account" in words(page) and "ask a platform admin to raise the limit" in words(page)
    assert "/connect/twitter" not in page.text
    refused = send(house.client, house.base + "/connect/twitter")
    assert refused.status_code == 409 and "1 of 1 account is connected" in words(refused)


def test_choosing_more_than_there_is_room_for_is_said_and_the_ticks_stay(house):
    house.platform("facebook")
    limit(house, 2)
    attempt = house.attempt(GRANTED, slug="facebook", profiles=PAGES)
    page = house.get(f"/connect/{attempt}")
    assert "2 more may be connected: 0 of 2 accounts are connected now." in words(page)
    answer = send(house.client, f"{house.base}/connect/{attempt}/confirm",
                  {"profiles": ["page-0", "page-1", "page-2"]})
    assert answer.status_code == 422 and "so 2 more can be, and you chose 3" in words(answer)
    assert answer.text.count(" checked") == 3 and house.count(Account) == 0
    done = send(house.client, f"{house.base}/connect/{attempt}/confirm", {"profiles": ["page-0", "page-1"]})
    assert done.status_code == 303 and house.count(Account) == 2


def test_with_no_room_left_the_new_ones_cannot_be_ticked(house):
    house.platform("facebook")
    house.account("facebook", platform_user_id="page-0")
    limit(house, 1)
    attempt = house.attempt(GRANTED, slug="facebook", profiles=PAGES)
    page = house.get(f"/connect/{attempt}")
    assert words(page).count("No room left") == 2 and page.text.count(" disabled>") == 2
    answer = send(house.client, f"{house.base}/connect/{attempt}/confirm", {"profiles": ["page-0"]})
    assert answer.status_code == 303 and house.count(Account) == 1


def test_invitations_are_cleared_away_with_old_logins(house):
    invite(house)
    with house.app.app_context():
        retention.clean(house.clock())
        assert db.session.scalars(select(Invitation)).all()
        retention.clean(house.clock.advance(days=38))
        assert not db.session.scalars(select(Invitation)).all()
