"""Members, roles and invitations: what holds at once, what is refused, and that a link works for one person only."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from werkzeug.exceptions import NotFound

from socialconsole import access, members, passwords, workspaces
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    EDITOR,
    OWNER,
    VIEWER,
    AuditEvent,
    CalendarFeed,
    Invitation,
    Membership,
    User,
    Workspace,
)

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """What a password's hash costs is proved elsewhere."""
    monkeypatch.setattr(passwords, "hashed", lambda password: f"hash of {len(password)}")


def role_of(user_id, workspace_id="wsp_1"):
    found = db.session.get(Membership, (workspace_id, user_id), populate_existing=True)
    return found.role if found else None


def person(number, email=None):
    with writing() as session:
        made = User(id=f"usr_{number}", email=email or f"p{number}@example.com", password_hash="-",
                    created_at=access.outside.now())
        session.add(made)
    return made


# ---------------------------------------------------------------- roles


def test_a_role_changes_and_is_written_down(world):
    assert members.change_role(world.workspace, "usr_b", EDITOR, VIEWER)
    assert role_of("usr_b") == VIEWER
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "member.role")).one()
    assert (event.workspace_id, event.subject_name, event.detail) == (
        "wsp_1", "bob@example.com", {"before": EDITOR, "after": VIEWER})
    assert not members.change_role(world.workspace, "usr_b", VIEWER, VIEWER)


def test_an_older_form_changes_nothing(world):
    members.change_role(world.workspace, "usr_b", EDITOR, OWNER)
    with pytest.raises(members.MovedOn, match="bob@example.com is an owner meanwhile"):
        members.change_role(world.workspace, "usr_b", EDITOR, VIEWER)
    assert role_of("usr_b") == OWNER


def test_the_last_owner_stays(world):
    with pytest.raises(members.LastOwner, match="the only owner"):
        members.change_role(world.workspace, "usr_a", OWNER, EDITOR)
    with pytest.raises(members.LastOwner):
        members.remove(world.workspace, "usr_a")
    with pytest.raises(members.LastOwner, match="You are the only owner"):
        members.leave(world.workspace, world.alice)
    assert role_of("usr_a") == OWNER
    members.change_role(world.workspace, "usr_b", EDITOR, OWNER)
    members.leave(world.workspace, world.alice)
    assert role_of("usr_a") is None


def test_two_owners_who_go_at_once_leave_one(ground, world):
    members.change_role(world.workspace, "usr_b", EDITOR, OWNER)
    refused = at_once(ground, [lambda who=who: members.leave(db.session.get_one(Workspace, "wsp_1"),
                                                             db.session.get_one(User, who))
                               for who in ("usr_a", "usr_b")])
    assert [type(one) for one in refused if one] == [members.LastOwner]
    assert members.owners("wsp_1") == 1


@pytest.mark.parametrize("work", [
    lambda place, who: members.change_role(place, who, EDITOR, VIEWER), members.remove, members.member])
def test_nobody_reaches_into_another_workspace(world, work):
    with pytest.raises(NotFound):
        work(world.other, "usr_b")
    assert role_of("usr_b") == EDITOR


def test_an_unknown_role_is_refused(world):
    with pytest.raises(access.Invalid, match="Choose viewer"):
        members.change_role(world.workspace, "usr_b", EDITOR, "admin")


def test_who_is_removed_takes_links_and_feed_along(world, clock):
    members.change_role(world.workspace, "usr_b", EDITOR, OWNER)
    own = members.invite(world.workspace, OWNER, "", world.bob)
    other = members.invite(world.workspace, EDITOR, "", world.alice)
    with writing() as session:
        session.add(CalendarFeed(workspace_id="wsp_1", user_id="usr_b", token_hash="-", created_at=clock()))
    members.remove(world.workspace, "usr_b")
    assert db.session.scalar(select(func.count()).select_from(CalendarFeed)) == 0
    with pytest.raises(members.NoInvitation):
        members.join(own.token, world.bob, clock())
    assert members.open_invitation(other.token, clock())


def test_members_are_listed_with_a_constant_number_of_queries(world, statements):
    def asked():
        db.session.expire_all()
        statements.clear()
        members.members(world.workspace)
        return len(statements)

    few = asked()
    for number in range(20):
        made = person(number)
        with writing():
            members.add("wsp_1", made, VIEWER, access.outside.now())
    assert asked() == few
    assert [one.role for one in members.members(world.workspace)][:2] == [OWNER, EDITOR]


@pytest.fixture
def statements(ground):
    """Every statement that is sent to the database."""
    from sqlalchemy import event as events

    sent = []

    def note(connection, cursor, statement, *_):
        if not statement.startswith(("BEGIN", "COMMIT")):
            sent.append(statement)

    events.listen(db.engine, "before_cursor_execute", note)
    yield sent
    events.remove(db.engine, "before_cursor_execute", note)


# ---------------------------------------------------------------- invitations


def test_a_link_takes_one_person_in_and_only_its_hash_is_kept(world, clock):
    invited = members.invite(world.workspace, EDITOR, "", world.alice)
    row = db.session.scalars(select(Invitation)).one()
    assert invited.token not in str(vars(row)) and row.invited_by == "alice@example.com"
    mara = person(1)
    assert members.join(invited.token, mara, clock()).id == "wsp_1"
    assert role_of(mara.id) == EDITOR
    with pytest.raises(members.NoInvitation):
        members.join(invited.token, person(2), clock())
    assert db.session.get_one(Membership, ("wsp_1", mara.id)).joined_at == clock()


def test_a_link_ends_after_seven_days(world, clock):
    invited = members.invite(world.workspace, EDITOR, "", world.alice)
    assert members.open_invitation(invited.token, clock.ahead(days=7, seconds=-1))
    with pytest.raises(members.NoInvitation):
        members.join(invited.token, person(1), clock.ahead(seconds=1))
    again = members.renew(world.workspace, invited.invitation.id, world.alice)
    assert members.join(again.token, person(2), clock()).id == "wsp_1"


def test_a_new_link_ends_the_old_one_and_a_revoked_one_is_gone(world, clock):
    first = members.invite(world.workspace, EDITOR, "", world.alice)
    second = members.renew(world.workspace, first.invitation.id, world.alice)
    with pytest.raises(members.NoInvitation):
        members.open_invitation(first.token, clock())
    members.revoke(world.workspace, second.invitation.id)
    with pytest.raises(members.NoInvitation):
        members.open_invitation(second.token, clock())
    with pytest.raises(members.MovedOn, match="taken back meanwhile"):
        members.revoke(world.workspace, second.invitation.id)


def test_a_used_invitation_cannot_be_renewed(world, clock):
    invited = members.invite(world.workspace, EDITOR, "", world.alice)
    members.join(invited.token, person(1, "mara@example.com"), clock())
    with pytest.raises(members.MovedOn, match="mara@example.com has joined"):
        members.renew(world.workspace, invited.invitation.id, world.alice)
    assert members.invitations(world.workspace) == []


def test_another_workspaces_invitation_is_not_there(world):
    invited = members.invite(world.workspace, EDITOR, "", world.alice)
    for work in (members.revoke, lambda place, one: members.renew(place, one, world.bob)):
        with pytest.raises(NotFound):
            work(world.other, invited.invitation.id)


def test_a_named_invitation_is_for_that_person_only(world, clock):
    invited = members.invite(world.workspace, VIEWER, " Mara@Example.com", world.alice)
    with pytest.raises(members.ForSomebodyElse):
        members.join(invited.token, person(1), clock())
    user = members.join_new(invited.token, "somebody@else.example", "Mara", PASSWORD, clock())
    assert (user.email, role_of(user.id)) == ("mara@example.com", VIEWER)


def test_a_member_keeps_the_role_and_the_invitation_stays_open(world, clock):
    invited = members.invite(world.workspace, OWNER, "", world.alice)
    with pytest.raises(members.IsMember):
        members.join(invited.token, world.bob, clock())
    assert role_of("usr_b") == EDITOR and members.open_invitation(invited.token, clock())


def test_a_known_address_makes_no_second_account(world, clock):
    invited = members.invite(world.workspace, VIEWER, "", world.alice)
    with pytest.raises(members.AccountExists):
        members.join_new(invited.token, "BOB@example.com", "Bob", PASSWORD, clock())
    assert members.open_invitation(invited.token, clock())


@pytest.mark.parametrize(("typed", "field"), [
    ({"email": "nowhere"}, "email"), ({"name": " \n "}, "name"), ({"name": "x" * 101}, "name"),
    ({"password": "short"}, "password"), ({"password": "mara@example.com"}, "password")])
def test_a_new_account_is_checked_before_the_link_is_spent(world, clock, typed, field):
    invited = members.invite(world.workspace, VIEWER, "", world.alice)
    given = {"email": "mara@example.com", "name": "Mara", "password": PASSWORD, **typed}
    with pytest.raises(access.Invalid) as refused:
        members.join_new(invited.token, given["email"], given["name"], given["password"], clock())
    assert list(refused.value.errors) == [field]
    assert members.open_invitation(invited.token, clock())


@pytest.mark.parametrize(("role", "email", "words"), [
    ("admin", "", "Choose viewer"), (EDITOR, "nowhere", "Give an e-mail address"),
    (EDITOR, "bob@example.com", "is a member already"), (EDITOR, "mara@example.com", "is invited already")])
def test_what_cannot_be_invited(world, role, email, words):
    members.invite(world.workspace, EDITOR, "mara@example.com", world.alice)
    with pytest.raises(access.Invalid, match=words):
        members.invite(world.workspace, role, email, world.alice)


def test_there_is_an_end_to_open_invitations(world, monkeypatch):
    monkeypatch.setattr(members, "MOST_OPEN", 2)
    for _ in range(2):
        members.invite(world.workspace, EDITOR, "", world.alice)
    with pytest.raises(access.Invalid, match="2 invitations are open"):
        members.invite(world.workspace, EDITOR, "", world.alice)


# ---------------------------------------------------------------- many at once


def at_once(app, works):
    """Run all in threads that start together; what each raised, None where it did not."""
    gate, raised = threading.Barrier(len(works)), [None] * len(works)

    def run(number):
        with app.app_context():
            gate.wait()
            try:
                works[number]()
            except Exception as error:
                raised[number] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_of_fifty_who_open_one_link_at_once_one_gets_in(ground, world, clock):
    invited = members.invite(world.workspace, EDITOR, "", world.alice)
    people = [person(number).id for number in range(25)]
    works = [lambda who=who: members.join(invited.token, db.session.get_one(User, who), clock()) for who in people]
    works += [lambda number=number: members.join_new(invited.token, f"n{number}@example.com", "New", PASSWORD, clock())
              for number in range(25)]
    raised = at_once(ground, works)
    assert [type(one) for one in raised if one] == [members.NoInvitation] * 49
    db.session.expire_all()
    assert db.session.scalar(select(func.count()).select_from(Membership)) == 3
    assert db.session.scalar(select(func.count()).select_from(User)) in (27, 28)


def test_one_person_with_two_links_becomes_a_member_once(ground, world, clock):
    links = [members.invite(world.workspace, EDITOR, "", world.alice).token for _ in range(8)]
    raised = at_once(ground, [lambda token=token: members.join_new(token, "mara@example.com", "Mara", PASSWORD, clock())
                              for token in links])
    assert [type(one) for one in raised if one] == [members.AccountExists] * 7
    assert len(members.invitations(world.workspace)) == 7


# ---------------------------------------------------------------- workspaces


def test_a_workspace_begins_with_an_owner_who_has_an_account(world):
    made = workspaces.create(" Linden\nCycles ", "Europe/Stockholm", "BOB@example.com", world.alice)
    assert (made.workspace.name, made.owner.id, made.invited) == ("Linden Cycles", "usr_b", None)
    assert role_of("usr_b", made.workspace.id) == OWNER


def test_a_workspace_begins_with_an_invitation_for_anybody_else(world, clock):
    made = workspaces.create("Linden Cycles", "UTC", "mara@example.com", world.alice)
    user = members.join_new(made.invited.token, "", "Mara", PASSWORD, clock())
    assert role_of(user.id, made.workspace.id) == OWNER


def test_a_lost_link_of_the_first_owner_is_replaced(world, clock):
    made = workspaces.create("Linden Cycles", "UTC", "mara@example.com", world.alice)
    again = workspaces.name_owner(made.workspace, "mara@example.com", world.alice)
    with pytest.raises(members.NoInvitation):
        members.open_invitation(made.invited.token, clock())
    assert members.open_invitation(again.invited.token, clock()).role == OWNER


def test_an_admin_names_a_further_owner(world):
    workspaces.name_owner(world.workspace, "bob@example.com", world.alice)
    assert role_of("usr_b") == OWNER
    with pytest.raises(access.Invalid, match="an owner of this workspace already"):
        workspaces.name_owner(world.workspace, "bob@example.com", world.alice)


@pytest.mark.parametrize(("typed", "field"), [
    (("", "UTC", "a@b.example"), "name"), (("N", "Mars", "a@b.example"), "time_zone"), (("N", "UTC", "ab"), "owner")])
def test_what_makes_no_workspace(world, typed, field):
    with pytest.raises(access.Invalid) as refused:
        workspaces.create(*typed, world.alice)
    assert list(refused.value.errors) == [field]
    assert len(workspaces.overview()) == 2


def test_limits_are_typed_as_numbers_or_left_out(world):
    assert workspaces.save_limits(world.workspace, "Harbour Bakery", "10", " 500 ") == (
        "account_limit", "storage_limit")
    assert (world.workspace.account_limit, world.workspace.storage_limit) == (10, 500 * 1024 * 1024)
    workspaces.save_limits(world.workspace, "Harbour Bakery", "", "")
    assert world.workspace.account_limit is None
    for typed in ("-1", "1.5", "ten", "9" * 30, "٣"):
        with pytest.raises(access.Invalid):
            workspaces.save_limits(world.workspace, "Harbour Bakery", typed, "")


# ---------------------------------------------------------------- settings


def settings(**more):
    return workspaces.Settings(**{"name": "Harbour Bakery", "time_zone": "Europe/Stockholm", "window_minutes": 120,
                                  "needs_approval": False, **more})


def test_settings_are_saved_and_written_down_one_by_one(world):
    saved = workspaces.save_settings(world.workspace, settings(time_zone="Asia/Tokyo", needs_approval=True), settings())
    assert saved.changed == ("time_zone", "needs_approval")
    told = db.session.scalars(select(AuditEvent.summary).where(AuditEvent.action == "workspace.settings")).all()
    assert set(told) == {"Time zone changed from Europe/Stockholm to Asia/Tokyo",
                         "Posts of editors need an owner's approval from now on"}


def test_a_new_zone_leaves_every_instant_alone(world, post):
    delivery = post(minutes=90)
    before = delivery.due_at
    saved = workspaces.save_settings(world.workspace, settings(time_zone="Asia/Tokyo"), settings())
    assert saved.scheduled == 1
    db.session.refresh(delivery)
    assert delivery.due_at == before == delivery.post.due_at


def test_two_who_change_different_settings_both_get_their_way(world):
    workspaces.save_settings(world.workspace, settings(name="Bakery"), settings())
    workspaces.save_settings(world.workspace, settings(window_minutes=60), settings())
    assert workspaces.settings(world.workspace) == settings(name="Bakery", window_minutes=60)
    with pytest.raises(workspaces.MovedOn):
        workspaces.save_settings(world.workspace, settings(name="Harbour"), settings())


@pytest.mark.parametrize("more", [{"name": ""}, {"name": "x" * 101}, {"time_zone": "Mars/Olympus"},
                                  {"window_minutes": 4}, {"window_minutes": 100_000}])
def test_what_cannot_be_a_setting(world, more):
    with pytest.raises(access.Invalid) as refused:
        workspaces.save_settings(world.workspace, settings(**more), settings())
    assert list(refused.value.errors) == list(more)


@pytest.mark.parametrize(("minutes", "words"), [(15, "15 minutes"), (60, "1 hour"), (120, "2 hours"),
                                                (90, "90 minutes"), (1440, "1 day"), (2880, "2 days")])
def test_a_window_in_words(minutes, words):
    assert workspaces.window(minutes) == words
    assert timedelta(minutes=minutes)
