"""`socialconsole people, members, workspaces, accounts, posts, keys, events`: what is done, printed and refused."""

import io
import json
from datetime import timedelta

import pytest
from PIL import Image
from sqlalchemy import select

from socialconsole import api_keys, cli, logins, passwords, platform_apps, terminal
from socialconsole import config as settings
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    Account,
    AuditEvent,
    ConnectLink,
    Delivery,
    Grant,
    Invitation,
    Membership,
    PlatformApp,
    Post,
    User,
    Workspace,
)
from socialconsole.models_api import ApiKey
from tests.cast import START, make_things

PASSWORD = "a password nobody guesses"
BAKERY = "Harbour Bakery"


@pytest.fixture
def run(config, app, monkeypatch, capsys):
    """Runs a command; returns its exit code, what it printed and what it complained about."""
    monkeypatch.setattr(settings, "read", lambda: config)
    monkeypatch.setattr(terminal, "create_app", lambda _: app)  # made once, since it takes its time

    def command(*arguments, typed=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = cli.main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def told(run):
    """Runs a command with --json; returns what it printed, as a value."""
    def command(*arguments, typed=""):
        code, out, err = run(*arguments, "--json", typed=typed)
        assert code == 0, err
        return json.loads(out)
    return command


@pytest.fixture
def refused(run):
    """Runs a command that is refused; returns the sentence."""
    def command(*arguments, typed=""):
        code, out, err = run(*arguments, typed=typed)
        assert (code, out) == (1, ""), out
        assert err.endswith("\n") and "Traceback" not in err
        return err.strip()
    return command


@pytest.fixture
def things(cast, app):
    """A platform that is on, and an account and a post of the bakery, whose delivery was missed."""
    with app.app_context():
        made = make_things(cast)
        with writing() as session:
            row = session.get_one(PlatformApp, "app_bread")
            row.secret_sealed = platform_apps.vault().seal("s3cret", *platform_apps.secret_record(row))
        return made


@pytest.fixture
def rows(app):
    """Reads rows as they are now."""
    def read(work):
        with app.app_context():
            return work()
    return read


def events(rows, action):
    return rows(lambda: [(one.user_name, one.subject_name) for one in db.session.scalars(
        select(AuditEvent).where(AuditEvent.action == action))])


# ---------------------------------------------------------------- people


def test_people_lists_everybody_for_people_and_for_programs(run, told, cast):
    code, out, _ = run("people", "list")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 6
    assert lines[0].split() == ["EMAIL", "NAME", "ADMIN", "WORKSPACES", "LAST", "SEEN"]
    column = lines[0].index("ADMIN")
    assert all(line[column - 1] == " " != line[column] for line in lines)
    found = {one["email"]: one for one in told("people", "list")}
    assert found["alice@example.com"]["admin"] and not found["bob@example.com"]["admin"]
    assert found["bob@example.com"]["workspaces"] == [
        {"workspaceId": "ws_bakery", "name": BAKERY, "role": "editor"}]
    assert "password" not in out.lower()


def test_a_person_is_made_with_a_password_from_standard_input(run, rows, cast):
    code, out, err = run("people", "add", "--email", "Bo@Example.com", "--name", "Bo", "--workspace", BAKERY,
                         "--role", "owner", "--password-file", "-", typed=f"{PASSWORD}\nmore\n")
    assert (code, err) == (0, "") and out == f"Bo has an account and is an owner of {BAKERY}.\n"
    made = rows(lambda: logins.by_email("bo@example.com"))
    assert passwords.fits(PASSWORD, made.password_hash) and not made.is_platform_admin
    assert rows(lambda: db.session.get(Membership, (cast.bakery.id, made.id)).role) == "owner"
    assert events(rows, "member.joined") == [("Command line", "Bo")]


def test_a_person_without_password_gets_a_link_that_works(run, told, rows, client, cast):
    code, out, err = run("people", "add", "--email", "bo@example.com", "--workspace", "ws_bakery")
    assert code == 0 and out.startswith("http") and out.count("\n") == 1 and "once" in err
    page = client.get("/join/" + out.strip().rpartition("/")[2])
    assert page.status_code == 200 and "Command line" in page.text
    again = told("people", "add", "--email", "cy@example.com", "--workspace", "wsp_bakery")
    assert again["invitationLink"].startswith("http") and again["role"] == "editor"


@pytest.mark.parametrize(("more", "typed", "words"), [
    ((), "", "Standard input was empty"), ((), "short\n", "password: "), (("--name", " "), PASSWORD, "name: ")])
def test_a_person_is_not_made_of_what_the_page_refuses(refused, rows, cast, more, typed, words):
    said = refused("people", "add", "--email", "bo@example.com", "--name", "Bo", *more, "--workspace", BAKERY,
                   "--password-file", "-", typed=typed)
    assert words in said and rows(lambda: db.session.scalars(select(Invitation)).all()) == []


def test_the_password_of_somebody_with_an_account_stays(refused, rows, cast):
    said = refused("people", "add", "--email", cast.charlie.email, "--name", "C", "--workspace", BAKERY,
                   "--password-file", "-", typed=PASSWORD)
    assert "has an account already" in said
    assert rows(lambda: passwords.fits(PASSWORD, logins.by_email(cast.charlie.email).password_hash)) is False


def test_admins_come_and_go_but_the_last_one_stays(run, refused, rows, cast):
    assert run("people", "admin", "--email", cast.bob.email)[:2] == (0, "Bob is a platform admin now.\n")
    assert run("people", "admin", "--email", cast.bob.email)[1] == "Bob is a platform admin already.\n"
    for person in (cast.bob, cast.alice):
        assert run("people", "admin", "--email", person.email, "--off")[0] == 0
    assert "the only platform admin" in refused("people", "admin", "--email", cast.root.email, "--off")
    assert "the only platform admin" in refused("people", "remove", "--email", cast.root.email, "--confirm")
    assert rows(lambda: db.session.get(User, cast.root.id).is_platform_admin)
    assert len(events(rows, "person.admin")) == 3


def test_a_removed_person_is_gone_and_what_they_wrote_stays(run, refused, rows, cast, things):
    assert "add --confirm" in refused("people", "remove", "--email", cast.alice.email)
    assert f"only owner of {BAKERY}" in refused("people", "remove", "--email", cast.alice.email, "--confirm")
    assert run("members", "role", "--workspace", BAKERY, "--email", cast.bob.email, "--role", "owner")[0] == 0
    assert run("keys", "create", "--workspace", BAKERY, "--name", "CI", "--user", cast.alice.email)[0] == 0
    code, out, _ = run("people", "remove", "--email", cast.alice.email, "--confirm")
    assert code == 0 and "Alice has no account here any more" in out
    assert rows(lambda: db.session.get(User, cast.alice.id)) is None
    assert rows(lambda: db.session.scalars(select(ApiKey).where(ApiKey.user_id == cast.alice.id)).all()) == []
    assert rows(lambda: db.session.get(Post, things.post_id).text) == "Secret recipe"
    assert rows(lambda: db.session.get(Invitation, things.invitation_id).ended_at) is not None
    assert "Nobody with the e-mail address" in refused("people", "remove", "--email", cast.alice.email, "--confirm")


def test_reset_link_prints_the_link_alone(run, refused, client, cast):
    code, out, err = run("people", "reset-link", "--email", cast.vera.email)
    assert code == 0 and out.count("\n") == 1 and "once" in err
    assert client.get("/reset/" + out.strip().rpartition("/")[2]).status_code == 200
    assert "Nobody with the e-mail address" in refused("people", "reset-link", "--email", "nobody@example.com")


# ---------------------------------------------------------------- members


def test_members_join_change_and_go(run, told, refused, cast):
    assert run("members", "add", "--workspace", BAKERY, "--email", cast.charlie.email, "--role", "viewer")[1] == (
        f"Charlie is a viewer of {BAKERY} now.\n")
    assert "is a member already" in refused("members", "add", "--workspace", BAKERY, "--email", cast.charlie.email)
    assert told("members", "role", "--workspace", BAKERY, "--email", cast.charlie.email, "--role", "editor")["changed"]
    assert "the only owner" in refused("members", "role", "--workspace", BAKERY, "--email", cast.alice.email,
                                       "--role", "viewer")
    assert "the only owner" in refused("members", "remove", "--workspace", BAKERY, "--email", cast.alice.email)
    assert told("members", "remove", "--workspace", BAKERY, "--email", cast.charlie.email)["removed"]
    assert "is no member of" in refused("members", "remove", "--workspace", BAKERY, "--email", cast.charlie.email)
    told("members", "add", "--workspace", BAKERY, "--email", "new@example.com")
    found = told("members", "list", "--workspace", BAKERY)
    assert [one["role"] for one in found["members"]] == ["owner", "editor", "viewer"]
    assert [one["email"] for one in found["invitations"]] == ["new@example.com"]
    assert "new@example.com" in run("members", "list", "--workspace", BAKERY)[1]


# ---------------------------------------------------------------- workspaces


def test_a_workspace_is_made_renamed_and_set(run, told, refused, rows, cast):
    made = told("workspaces", "create", "Mill", "--owner", cast.bob.email, "--time-zone", "Europe/Oslo")
    assert made["workspaceId"].startswith("ws_") and made["owner"] == cast.bob.email and not made["invitationLink"]
    assert told("workspaces", "create", "Inn", "--owner", "inn@example.com")["invitationLink"].startswith("http")
    assert run("workspaces", "rename", "Mill", "Old Mill")[1] == "It is called Old Mill now.\n"
    found = told("workspaces", "set", "Old Mill", "--approval", "on", "--account-limit", "3", "--window-minutes", "30")
    assert (found["needsApproval"], found["accountLimit"], found["windowMinutes"]) == (True, 3, 30)
    assert told("workspaces", "set", made["workspaceId"], "--account-limit", "none")["accountLimit"] is None
    assert "time_zone: " in refused("workspaces", "set", "Old Mill", "--time-zone", "Mars/Base")
    assert "Say what to change" in refused("workspaces", "set", "Old Mill")
    assert "name: " in refused("workspaces", "rename", "Old Mill", " ")
    assert "an owner of this workspace already" in refused("workspaces", "owner", "Old Mill", "--email", cast.bob.email)
    assert run("workspaces", "owner", "Old Mill", "--email", cast.vera.email)[0] == 0
    assert [one["name"] for one in told("workspaces", "list")] == [BAKERY, "Inn", "Linden Cycles", "Old Mill"]
    assert "Old Mill" in run("workspaces", "list")[1]
    assert ("Command line", "Old Mill") in events(rows, "workspace.settings")


def test_a_name_that_two_workspaces_have_is_refused_with_their_ids(told, refused, rows, cast):
    for _ in range(2):
        told("workspaces", "create", "Twins", "--owner", cast.bob.email)
    ids = rows(lambda: db.session.scalars(select(Workspace.id).where(Workspace.name == "Twins")).all())
    said = refused("keys", "create", "--workspace", "Twins", "--name", "CI")
    assert all(one.replace("wsp_", "ws_") in said for one in ids)
    assert "There is no workspace" in refused("posts", "list", "--workspace", "Nowhere")


# ---------------------------------------------------------------- accounts


def test_accounts_are_told_as_the_api_tells_them(run, told, refused, things):
    one, = told("accounts", "list", "--workspace", BAKERY)
    assert (one["id"], one["workspaceId"], one["status"]) == (things.account_id, "ws_bakery", "expiring")
    assert told("accounts", "show", things.account_id) == one
    assert "Fresh Bread" in run("accounts", "show", things.account_id)[1]
    assert told("accounts", "list", "--status", "paused") == []
    assert run("accounts", "list", "--platform", "elsewhere") == (0, "", "No profile is like that.\n")
    assert "There is no profile" in refused("accounts", "show", "acc_none")


def test_an_account_is_paused_and_resumed_by_the_command_line(run, told, rows, things):
    assert told("accounts", "pause", things.account_id)["status"] == "paused"
    assert run("accounts", "pause", things.account_id)[0] == 0, "again is the same"
    assert rows(lambda: db.session.get(Account, things.account_id).state_by) == "Command line"
    assert told("accounts", "resume", things.account_id)["status"] == "expiring"
    assert events(rows, "account.paused") == [("Command line", "Fresh Bread")]


def test_an_account_is_disconnected_only_with_a_confirmation(told, refused, rows, things):
    with_tokens = rows(lambda: db.session.get(Account, things.account_id).state)
    assert "add --confirm" in refused("accounts", "disconnect", things.account_id)
    assert rows(lambda: db.session.get(Account, things.account_id).state) == with_tokens
    with_grant = told("accounts", "disconnect", things.account_id, "--confirm")
    assert with_grant["status"] == "disconnected" and with_grant["sentence"]
    assert "disconnected already" in refused("accounts", "disconnect", things.account_id, "--confirm")
    assert "is not connected" in refused("accounts", "pause", things.account_id)


def test_links_are_made_in_the_name_of_somebody_who_may(run, told, refused, rows, cast, things):
    code, out, err = run("accounts", "reconnect-link", things.account_id)
    assert code == 0 and "/link/" in out and "once" in err
    made = told("accounts", "connect-link", "--workspace", BAKERY, "--life", "day", "--user", cast.alice.email)
    assert (made["workspaceId"], made["accountId"]) == ("ws_bakery", None)
    asked = rows(lambda: set(db.session.scalars(select(ConnectLink.asked_by_id))))
    assert asked == {cast.alice.id}
    assert "does not allow it" in refused("accounts", "reconnect-link", things.account_id, "--user", cast.vera.email)
    assert "is no member" in refused("accounts", "reconnect-link", things.account_id, "--user", cast.root.email)


# ---------------------------------------------------------------- posts


def connect(rows, things):
    """Let the account have what it needs to publish."""
    def grant():
        with writing() as session:
            one = session.get_one(Grant, "grt_bread")
            one.scopes_granted, one.access_expires_at = None, START + timedelta(days=900)
    rows(grant)


def create(run, things, *more, typed=""):
    return run("posts", "create", "--workspace", BAKERY, "--account", things.account_id, *more, typed=typed)


def test_a_post_is_written_from_standard_input_and_listed(run, told, rows, things, clock):
    connect(rows, things)
    code, out, err = create(run, things, "--text-file", "-", "--at", "2026-11-23 06:00", typed="Fresh bread\n")
    assert (code, err) == (0, "") and out.startswith("post_") and "23 Nov 2026, 06:00 CET" in out
    first, = (one for one in told("posts", "list", "--workspace", BAKERY) if one["id"] != "post_bread")
    assert (first["text"], first["author"], first["dueAt"]) == ("Fresh bread", "Command line", "2026-11-23T05:00:00Z")
    assert [one["state"] for one in first["deliveries"]] == ["scheduled"]
    assert told("posts", "show", first["id"]) == first == told("posts", "show", first["id"].replace("post_", "pst_"))
    assert "Fresh bread" in run("posts", "list", "--workspace", "ws_bakery", "--state", "scheduled")[1]
    assert told("posts", "list", "--workspace", BAKERY, "--search", "FRESH")[0]["id"] == first["id"]
    assert ("Command line", "Fresh bread") in events(rows, "post.scheduled")


@pytest.mark.parametrize(("more", "words"), [
    (("--text", "", "--now"), "text: "), (("--text", "x" * 300, "--now"), "text: "),
    (("--text", "Hello", "--at", "yesterday"), "wall_time: "),
    (("--text", "Hello", "--at", "2026-01-01 06:00"), "wall_time: "),
    (("--text", "Hello", "--at", "2027-10-31T01:30+00:00"), "twice"),
    (("--text", "Hello", "--now", "--account", "acc_none"), "There is no profile"),
    (("--text", "Hello", "--now", "--option", "colour"), "no choice"),
    (("--text", "Hello", "--now", "--user", "vera@example.com"), "does not allow it"),
    (("--text", "Hello", "--now", "--file", "/nowhere/x.png"), "cannot be read"),
    (("--text", "Hello", "--now", "--media", "med_none"), "not there any more"),
    (("--text-file", "/nowhere/x.txt", "--now"), "cannot be read")])
def test_a_post_is_refused_with_one_sentence(run, rows, things, clock, more, words):
    connect(rows, things)
    before = rows(lambda: len(db.session.scalars(select(Post.id)).all()))
    code, out, err = create(run, things, *more)
    assert (code, out) == (1, "") and words in err and err.count("\n") == 1
    assert rows(lambda: len(db.session.scalars(select(Post.id)).all())) == before


def test_a_dry_run_checks_and_writes_nothing(run, told, rows, things, clock):
    connect(rows, things)
    count = len(told("posts", "list", "--workspace", BAKERY))
    code, out, _ = create(run, things, "--text", "Hello", "--at", "2026-11-23T05:00Z", "--dry-run", "--json")
    found = json.loads(out)
    assert code == 0 and found["dryRun"] and found["dueAt"] == "2026-11-23T05:00:00Z"
    assert create(run, things, "--text", "x" * 300, "--now", "--dry-run")[0] == 1
    assert len(told("posts", "list", "--workspace", BAKERY)) == count


def test_the_same_name_makes_one_post(run, rows, things, clock):
    connect(rows, things)
    made = {json.loads(create(run, things, "--text", "Hello", "--now", "--once", "today", "--json")[1])["id"]
            for _ in range(3)}
    assert len(made) == 1
    assert "again: " in create(run, things, "--text", "Hello", "--now")[2], "without a name it asks"


def test_where_an_owner_approves_a_post_waits(run, told, rows, cast, things, clock):
    connect(rows, things)
    told("workspaces", "set", BAKERY, "--approval", "on")
    assert "waits for an owner" in create(run, things, "--text", "Hello", "--now")[1]
    waiting, = told("posts", "list", "--workspace", BAKERY, "--state", "submitted")
    assert waiting["deliveries"] == []
    assert "goes out" in create(run, things, "--text", "Bread", "--now", "--user", cast.alice.email)[1]
    assert "kept as a draft" in create(run, things, "--text", "Later", "--draft")[1]
    draft, = told("posts", "list", "--workspace", BAKERY, "--state", "draft")
    assert run("posts", "cancel", draft["id"])[1] == "The draft is discarded.\n"


def test_a_picture_goes_along(run, rows, things, clock, tmp_path):
    path = tmp_path / "bread.png"
    Image.new("RGB", (640, 640), "tan").save(path)
    connect(rows, things)
    code, out, err = create(run, things, "--text", "Bread", "--draft", "--file", str(path), "--json")
    assert code == 0, err
    found = rows(lambda: db.session.get(Post, "pst" + json.loads(out)["id"].removeprefix("post")).content)
    assert len(found["media"]) == 1


def test_a_missed_post_is_retried_and_then_cancelled(run, told, refused, rows, things, clock):
    assert told("posts", "list", "--workspace", BAKERY, "--state", "needs")[0]["deliveries"][0]["state"] == "missed"
    assert run("posts", "retry", "post_bread")[1] == "Tried again at 1 profile.\n"
    assert rows(lambda: db.session.get(Delivery, things.delivery_id).state) == "scheduled"
    assert refused("posts", "retry", "post_bread") == "Nothing of this post can be tried again; it is 1 scheduled."
    assert told("posts", "cancel", "pst_bread")["state"] == "cancelled"
    assert "can be cancelled any more" in refused("posts", "cancel", "pst_bread")
    assert "There is no post" in refused("posts", "cancel", "post_none")
    assert events(rows, "delivery.retried") == [("Command line", "Fresh Bread")]


# ---------------------------------------------------------------- keys


def test_a_key_is_printed_once_and_signs_in(run, told, rows, cast, clock):
    made = told("keys", "create", "--workspace", BAKERY, "--name", "CI")
    assert set(made) == {"key", "workspaceId"} and made["workspaceId"] == "ws_bakery"
    found = rows(lambda: (lambda key: (key.user_id, key.permissions))(api_keys.find(made["key"], START)))
    assert found == (cast.alice.id, ["read", "write_posts", "manage_accounts"])
    code, out, err = run("keys", "create", "--workspace", "ws_bakery", "--name", "Reports", "--permission", "read",
                         "--days", "90", "--user", cast.vera.email)
    assert code == 0 and out.startswith("sck_") and out.count("\n") == 1 and "this once" in err
    for printed in (run("keys", "list")[1], run("keys", "list", "--json")[1], run("events", "list", "--all")[1]):
        assert made["key"] not in printed and out.strip() not in printed
    listed = {one["name"]: one for one in told("keys", "list", "--workspace", BAKERY)}
    assert listed["Reports"]["permissions"] == ["read"] and listed["Reports"]["expiresAt"] == "2027-02-19T09:00:00Z"
    assert events(rows, "key.created") == [("Command line", "CI"), ("Command line", "Reports")]


def test_nobody_gives_a_key_more_than_they_may(refused, cast):
    assert "permissions: " in refused("keys", "create", "--workspace", BAKERY, "--name", "x", "--user", cast.vera.email)
    assert "is no member" in refused("keys", "create", "--workspace", BAKERY, "--name", "x",
                                     "--user", cast.charlie.email)
    assert "permissions: " in refused("keys", "create", "--installation", "--name", "x", "--user", cast.bob.email)
    assert "Leave --permission out" in refused("keys", "create", "--installation", "--name", "x",
                                               "--permission", "read")
    assert "name: " in refused("keys", "create", "--workspace", BAKERY, "--name", " ")


def test_a_key_is_revoked_by_its_id_or_its_beginning(run, told, refused, rows, cast):
    made = told("keys", "create", "--installation", "--name", "Monitoring")
    assert made["workspaceId"] is None
    assert run("keys", "revoke", f"{made['key'][:12]}…")[1].startswith("The key Monitoring")
    one, = told("keys", "list", "--installation")
    assert one["status"] == "revoked" and "already" in run("keys", "revoke", one["id"])[1]
    assert rows(lambda: api_keys.find(made["key"], START)) is None
    said = refused("keys", "revoke", made["key"])
    assert "There is no API key" in said and made["key"][:13] not in said, "a whole key is not shown again"


# ---------------------------------------------------------------- events


def test_events_are_those_of_one_place_the_newest_first(run, told, cast, things, clock):
    told("accounts", "pause", things.account_id)
    clock.advance(minutes=1)
    told("workspaces", "rename", BAKERY, "Quay Bakery")
    newest, older, *_ = told("events", "list", "--workspace", "Quay Bakery")
    assert (newest["action"], newest["by"], older["action"]) == (
        "workspace.settings", "Command line", "account.paused")
    assert newest["workspaceId"] == "ws_bakery"
    assert told("events", "list", "--workspace", "ws_bakery", "--limit", "1") == [newest]
    assert told("events", "list", "--workspace", "ws_bakery", "--before", newest["id"])[0] == older
    assert newest["id"] not in {one["id"] for one in told("events", "list")}, "the installation's own only"
    assert newest["id"] in {one["id"] for one in told("events", "list", "--all")}
    assert "Renamed from" in run("events", "list", "--all")[1]
