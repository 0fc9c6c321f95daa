"""People, logins, passwords and permissions: what the services decide, without a page around them."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from socialconsole import access, audit, logins, outside, passwords
from socialconsole.access import Invalid, requires
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.logins import Caller, Refused, TooMany
from socialconsole.models import EDITOR, OWNER, VIEWER, AuditEvent, Login, Membership, OneTimeLink, User, Workspace
from tests.cast import PASSWORD

HERE = Caller("192.0.2.7", "Firefox")


@pytest.fixture(autouse=True)
def in_the_app(app, clock):
    with app.app_context():
        yield


def set_up(**typed) -> User | None:
    given = {"email": "mara@example.com", "password": PASSWORD, "workspace_name": "Harbour Bakery",
             "time_zone": "Europe/Stockholm", **typed}
    return access.set_up(**given, now=outside.now())


# ---------------------------------------------------------------- passwords


@pytest.mark.parametrize(("password", "words"), [
    ("short", "at least 10"), ("x" * 501, "at most 500"), ("Mara@Example.com", "not be the e-mail"),
    ("ababababab", "same few characters"),
])
def test_a_weak_password_is_refused_in_words(password, words):
    assert words in passwords.problem(password, "mara@example.com")
    assert passwords.problem(PASSWORD, "mara@example.com") == ""


def test_a_hash_is_argon2id_with_19_mebibytes_and_fits_only_its_password():
    stored = passwords.hashed(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.fits(PASSWORD, stored) and not passwords.fits(PASSWORD + "x", stored)
    assert not passwords.fits(PASSWORD, "-") and not passwords.fits(PASSWORD, None)


def test_an_unknown_person_costs_the_same_work_as_a_wrong_password(cast, monkeypatch):
    checked = []
    class Counting:
        def verify(self, stored, password):
            checked.append(stored)
            return real.verify(stored, password)
        def hash(self, password):
            return real.hash(password)
    real = passwords._hasher
    monkeypatch.setattr(passwords, "_hasher", Counting())
    for email in (cast.alice.email, "nobody@example.com"):
        with pytest.raises(Refused) as refused:
            logins.sign_in(email, "a wrong password", HERE, outside.now())
        assert str(refused.value).startswith("That e-mail address and password do not belong together.")
    assert len(checked) == 2 and all(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for stored in checked)


# ---------------------------------------------------------------- set-up


def test_set_up_makes_an_admin_who_owns_the_first_workspace():
    user = set_up(email="  Mara@Example.com ")
    member = db.session.scalars(select(Membership)).one()
    assert (user.email, user.is_platform_admin, member.role) == ("mara@example.com", True, OWNER)
    assert (member.workspace.name, member.workspace.time_zone) == ("Harbour Bakery", "Europe/Stockholm")
    assert {event.action for event in audit.events()} == {"console.set_up", "workspace.created"}


def test_set_up_twice_changes_nothing():
    first = set_up()
    again = set_up(email="other@example.com", workspace_name="Other")
    assert again.id == first.id and again.email == "mara@example.com"
    assert db.session.scalar(select(func.count()).select_from(Workspace)) == 1


@pytest.mark.parametrize(("typed", "field"), [
    ({"email": "mara"}, "email"), ({"email": "a b@example.com"}, "email"), ({"password": "short"}, "password"),
    ({"workspace_name": "  "}, "workspace"), ({"workspace_name": "x" * 101}, "workspace"),
    ({"time_zone": "Middle/Earth"}, "time_zone"), ({"time_zone": ""}, "time_zone"),
])
def test_set_up_says_at_which_field_something_is_wrong(typed, field):
    with pytest.raises(Invalid) as refused:
        set_up(**typed)
    assert list(refused.value.errors) == [field] and refused.value.errors[field].endswith(".")
    assert not access.is_set_up()


def test_each_start_prints_a_new_set_up_link_until_somebody_exists(config):
    first, second = access.setup_link(config), access.setup_link(config)
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/setup/[\w-]{43}", first) and first != second
    assert logins.link(access.SETUP, first.rsplit("/")[-1], outside.now()) is None
    assert logins.link(access.SETUP, second.rsplit("/")[-1], outside.now()) is not None
    set_up()
    assert access.setup_link(config) is None


def test_a_link_is_stored_as_a_hash_and_works_once(config):
    token = access.setup_link(config).rsplit("/")[-1]
    assert token not in db.session.scalars(select(OneTimeLink.token_hash)).one()
    with writing():
        assert logins.spend(access.SETUP, token, outside.now()) is not None
        assert logins.spend(access.SETUP, token, outside.now()) is None


def test_a_link_ends(config, clock):
    token = access.setup_link(config).rsplit("/")[-1]
    clock.advance(days=7)
    assert access.set_up("mara@example.com", PASSWORD, "Bakery", "UTC", clock(), link=token) is None
    assert not access.is_set_up()


# ---------------------------------------------------------------- lost passwords


def test_a_reset_link_sets_a_new_password_once_and_ends_all_logins(cast, clock):
    user = db.session.get_one(User, cast.bob.id)
    token = logins.begin(user, HERE, clock())
    link = access.reset_link("BOB@example.com")
    assert link.startswith("http://127.0.0.1:8000/reset/")
    assert access.reset_password(link.rsplit("/")[-1], "another fine password", clock())
    assert not access.reset_password(link.rsplit("/")[-1], "and a third password", clock())
    assert logins.find(token, clock()) is None
    assert logins.sign_in(cast.bob.email, "another fine password", HERE, clock())


def test_a_reset_link_ends_after_a_day_and_a_newer_one_replaces_it(cast, clock):
    old = access.reset_link(cast.bob.email).rsplit("/")[-1]
    new = access.reset_link(cast.bob.email).rsplit("/")[-1]
    assert not access.reset_password(old, "another fine password", clock())
    clock.advance(hours=24)
    assert not access.reset_password(new, "another fine password", clock())


def test_a_weak_new_password_does_not_use_the_link_up(cast, clock):
    token = access.reset_link(cast.bob.email).rsplit("/")[-1]
    with pytest.raises(Invalid):
        access.reset_password(token, "short", clock())
    assert access.reset_password(token, "another fine password", clock())


def test_a_link_for_an_unknown_person_is_refused_in_words():
    with pytest.raises(access.UnknownPerson, match="Nobody with the e-mail address who@example.com"):
        access.reset_link(" who@example.com ")


def test_a_set_up_link_cannot_reset_and_a_reset_link_cannot_set_up(cast, config, clock):
    reset = access.reset_link(cast.bob.email).rsplit("/")[-1]
    assert logins.link(access.SETUP, reset, clock()) is None


# ---------------------------------------------------------------- logins


def test_a_login_is_stored_as_a_hash_with_browser_and_address(cast, clock):
    token = logins.sign_in(cast.alice.email.upper(), PASSWORD, HERE, clock())
    login = logins.find(token, clock())
    assert login.user_id == cast.alice.id and (login.address, login.browser) == ("192.0.2.7", "Firefox")
    assert len(token) >= 43 and token not in login.token_hash


def test_a_login_ends_when_idle_for_14_days(cast, clock):
    token = logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())
    clock.advance(days=13, hours=23)
    assert logins.find(token, clock()) is not None
    clock.advance(days=14)
    assert logins.find(token, clock()) is None


def test_a_login_ends_after_60_days_however_much_it_is_used(cast, clock):
    token = logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())
    for _ in range(6):
        clock.advance(days=9, hours=23)
        assert logins.find(token, clock()) is not None
    clock.advance(days=1)
    assert logins.find(token, clock()) is None


def test_when_a_login_was_seen_is_written_at_most_once_a_minute(cast, clock):
    start = clock()
    token = logins.sign_in(cast.alice.email, PASSWORD, HERE, start)
    clock.advance(seconds=59)
    assert logins.find(token, clock()).seen_at == start
    later = clock.advance(seconds=1)
    assert logins.find(token, later).seen_at == later


def test_a_changed_password_ends_the_other_logins_and_keeps_this_one(cast, clock):
    here, there = (logins.sign_in(cast.alice.email, PASSWORD, HERE, clock()) for _ in range(2))
    login, user = logins.find(here, clock()), db.session.get_one(User, cast.alice.id)
    assert "not your present password" in logins.change_password(user, "wrong", "another fine one", login, clock())
    assert logins.change_password(user, PASSWORD, "another fine one", login, clock()) == ""
    assert logins.find(here, clock()) is not None and logins.find(there, clock()) is None
    with pytest.raises(Refused):
        logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())


def test_old_logins_are_swept(cast, clock):
    logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())
    clock.advance(days=61)
    logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())
    assert db.session.scalar(select(func.count()).select_from(Login)) == 1


# ---------------------------------------------------------------- the limit on failures


def fail(email: str, times: int, address: str = "192.0.2.7") -> None:
    for _ in range(times):
        with pytest.raises(Refused) as refused:
            logins.sign_in(email, "a wrong password", Caller(address), outside.now())
        if isinstance(refused.value, TooMany):
            raise refused.value


@pytest.fixture
def cheap(monkeypatch):
    """Counting is what matters here, not hashing."""
    monkeypatch.setattr(passwords, "fits", lambda password, stored: password == PASSWORD and stored is not None)


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_ten_failures_pause_an_address_known_or_not_and_then_it_goes_on(cast, clock, cheap, email):
    fail(email, 10)
    clock.advance(minutes=5)
    with pytest.raises(TooMany, match="Try again in 10 minutes") as refused:
        logins.sign_in(email, PASSWORD, HERE, clock())
    assert refused.value.wait == timedelta(minutes=10)
    clock.advance(minutes=10)
    if email.startswith("alice"):
        assert logins.sign_in(email, PASSWORD, HERE, clock())
    else:
        fail(email, 1)


def test_thirty_failures_from_one_network_address_pause_it_but_no_other(cast, clock, cheap):
    for number in range(30):
        fail(f"guess{number}@example.com", 1)
    with pytest.raises(TooMany):
        logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())
    assert logins.sign_in(cast.alice.email, PASSWORD, Caller("198.51.100.1"), clock())


def test_success_forgets_the_failures_of_the_person_only(cast, clock, cheap):
    fail(cast.alice.email, 9)
    assert logins.sign_in(cast.alice.email, PASSWORD, HERE, clock())
    fail(cast.alice.email, 9)
    for number in range(12):
        fail(f"guess{number}@example.com", 1)
    with pytest.raises(TooMany):  # 9 + 9 + 12 came from here; the success took none of them away but its own
        fail("another@example.com", 1)


def test_the_old_password_cannot_be_guessed_on_the_own_page_either(cast, clock, cheap):
    user = db.session.get_one(User, cast.alice.id)
    login = logins.find(logins.sign_in(cast.alice.email, PASSWORD, HERE, clock()), clock())
    for _ in range(10):
        assert logins.change_password(user, "a wrong password", "another fine one", login, clock())
    with pytest.raises(TooMany):
        logins.change_password(user, PASSWORD, "another fine one", login, clock())


# ---------------------------------------------------------------- permissions


def test_the_table_of_roles():
    may = {role: {name for name, roles in access.PERMISSIONS.items() if role in roles}
           for role in (VIEWER, EDITOR, OWNER)}
    assert may[VIEWER] == {"see"}
    assert may[EDITOR] == {"see", "compose", "reconnect"}
    assert may[OWNER] == {"see", "compose", "reconnect", "connect", "manage", "approve", "people", "settings"}


def test_an_unknown_permission_cannot_be_declared():
    with pytest.raises(ValueError, match="unknown permission"):
        requires("everything")


@pytest.mark.parametrize(("rule", "permission", "words"), [
    ("/open", None, "declares no permission"),
    ("/accounts", "see", "does not fit"),  # a workspace's permission without a workspace
    ("/w/<workspace_id>/x", "signed_in", "does not fit"),  # a workspace's page for whoever is signed in
])
def test_the_program_does_not_start_with_an_open_route(rule, permission, words):
    app = Flask("other", static_folder=None)
    def view():
        return ""
    app.add_url_rule(rule, "view", requires(permission)(view) if permission else view)
    with pytest.raises(RuntimeError, match=words):
        access.check_routes(app)


NEXT_GOOD = ["/", "/w/wsp_1/posts?filter=needs&before=pst_1", "/admin/platforms", "/w/wsp_1/compose?from=pst_1#x"]
NEXT_BAD = ["", "x", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
            "https://evil.example", "/%2f%2fevil.example", "/%09/evil.example", "/\t/evil.example",
            "/x\r\nSet-Cookie: a", "javascript:alert(1)", "/x//evil.example", " /x", "/x y", "http:/evil.example",
            "@evil.example", "/\x7f/evil.example", "//user@evil.example/x", "/" + "x" * 2000, "/\u00a0\\evil",
            "data:text/html,x", ".//x", "/..//evil.example"]


@pytest.mark.parametrize("address", NEXT_GOOD)
def test_a_path_of_ours_is_gone_back_to(address):
    assert access.safe_next(address) == address


@pytest.mark.parametrize("address", NEXT_BAD)
def test_nothing_else_is_gone_to_after_signing_in(address):
    assert access.safe_next(address) == ""


# ---------------------------------------------------------------- audit


def write(count: int, clock, **values) -> None:
    for number in range(count):
        with writing():
            audit.record("test.done", "thing", f"t{number}", f"Number {number}", **values)
        clock.advance(seconds=number % 2)  # some at the same instant


def test_events_come_newest_first_page_by_page(clock):
    write(7, clock)
    seen, before = [], None
    while page := audit.events(limit=3, before=before):
        seen += [event.id for event in page]
        before = page[-1].id
    every = sorted(db.session.scalars(select(AuditEvent)), key=lambda event: (event.at, event.id), reverse=True)
    assert seen == [event.id for event in every] and len(seen) == 7


def test_events_of_a_workspace_of_the_installation_and_of_subjects_are_kept_apart(clock):
    write(2, clock, workspace_id="wsp_1")
    write(1, clock)
    assert len(audit.events(workspace_id="wsp_1")) == 2
    assert len(audit.events(workspace_id=None)) == 1
    assert len(audit.events()) == 3
    assert [event.subject_id for event in audit.events(subjects=[("thing", "t1"), ("other", "t0")])] == ["t1"]
    assert audit.events(before="evt_unknown") == []
    theirs, ours = audit.events(workspace_id="wsp_1")[0], audit.events(workspace_id=None)[0]
    assert theirs.at <= ours.at and audit.events(workspace_id="wsp_1", before=ours.id) == []  # not even compared


def test_without_a_request_the_console_itself_acts():
    with writing():
        audit.record("test.done", "thing", "t", "Done", name="n" * 300, code=5)
    event, = audit.events(subjects=[("thing", "t")])
    assert (event.user_id, event.user_name, event.address) == (None, "", "") and len(event.subject_name) == 200
    assert event.detail == {"code": 5} and event.at == outside.now()
