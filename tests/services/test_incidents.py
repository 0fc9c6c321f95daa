"""What needs a person is found, told once by mail, and told once more when it is cured; by however many workers."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, update

from socialconsole import alerts, checklist, findings, incidents, jobs, outbox
from socialconsole.alerts import Wishes
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DISCONNECTED,
    EDITOR,
    FAILED,
    HELD,
    MISSED,
    PAUSED,
    PUBLISHED,
    SCHEDULED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    VIEWER,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    Incident,
    Installation,
    Membership,
    Message,
    PlatformApp,
    Post,
    User,
    new_id,
)
from tests.mail_server import SENDER, Box, Server
from tests.services.conftest import SCOPES

MINUTE = timedelta(minutes=1)
ALICE, BOB, ROOT = "alice@example.com", "bob@example.com", "root@example.com"


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def server(box):
    made = Server(box)
    yield made
    made.stop()


@pytest.fixture
def mails(ground, world, server, monkeypatch):
    """The console sends mails to the server of this test."""
    ground.extensions["config"] = replace(ground.extensions["config"], mail_url=server.url, mail_from=SENDER)
    return server.box


def account(number=1, state=ACTIVE, *, workspace="wsp_1", ends=None, refresh=True, scopes=tuple(SCOPES), **columns):
    """A profile of X; `ends`: when its access token does."""
    now = outbox.outside.now()
    with writing() as session:
        grant = Grant(id=f"grt_{number}", workspace_id=workspace, platform="twitter", app_id="app_x", app_generation=1,
                      person_id=f"p{number}", granted_at=now, access_expires_at=ends or now + timedelta(hours=2),
                      scopes_granted=list(scopes), access_sealed=b"x", refresh_sealed=b"x" if refresh else None)
        session.add(grant)
        session.flush()
        session.add(Account(**{
            "id": f"acc_{number}", "workspace_id": workspace, "platform": "twitter", "platform_user_id": f"u{number}",
            "grant_id": grant.id, "username": f"acme{number}", "display_name": f"Acme {number}", "kind": "X account",
            "state": state, "state_since": now, "connected_at": now, "reason_text":
            "X no longer accepts this connection." if state == TOKEN_EXPIRED else "", **columns}))
    return f"acc_{number}"


def post(state, account_id="acc_1", *, author="usr_a", number=1, ahead=timedelta(0), note="X refused it.", **columns):
    now = outbox.outside.now()
    with writing() as session:
        session.add(Post(id=f"pst_{number}", workspace_id="wsp_1", author_id=author, text=f"Saffron buns {number}",
                         due_at=now + ahead, form_nonce=f"n{number}", created_at=now))
        session.flush()
        session.add(Delivery(**{"id": f"dlv_{number}", "workspace_id": "wsp_1", "post_id": f"pst_{number}",
                                "account_id": account_id, "state": state, "note": note, "scheduled_for": now + ahead,
                                **columns}))
        session.flush()
        session.add(DeliveryEvent(id=new_id("dle"), workspace_id="wsp_1", delivery_id=f"dlv_{number}", at=now,
                                  state=state))
    return f"pst_{number}"


def change(model, row_id, **values):
    with writing() as session:
        session.execute(update(model).where(model.id == row_id).values(**values))


def wish(user, **values):
    change(User, user.id, alerts=values)


def minutes(clock, number, *, send=True):
    """Let minutes pass, with a sweep in each, and the mails that are due."""
    for _ in range(number):
        incidents.sweep(clock.ahead(minutes=1))
        if send:
            send_all()


def send_all():
    while ids := outbox.due(outbox.outside.now()):
        for one in ids:
            outbox.send(one)


def body(letter):
    return letter.get_content().replace("\r\n", "\n")


def all_of(kind=None):
    query = select(Incident).order_by(Incident.id)
    return db.session.scalars(query if kind is None else query.where(Incident.kind == kind)).all()


# ---------------------------------------------------------------- told once, cured once


def test_a_broken_profile_is_mailed_once_though_it_is_looked_at_a_hundred_times(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    post(HELD, number=7, ahead=timedelta(hours=3))
    minutes(clock, 100)
    assert len(all_of()) == 1
    assert [one["To"] for one in mails.letters] == [ALICE]
    letter = mails.letters[0]
    assert letter["Subject"] == "Acme 1 (X) stopped working"
    text = body(letter)
    assert "http://127.0.0.1:8000/w/wsp_1/profiles/acc_1\n" in text
    for part in ("Acme 1 (X) has to be reconnected. X no longer accepts this connection.", "1 post waits for it",
                 "Workspace: Harbour Bakery", "/me/alerts"):
        assert part in text


def test_a_cure_is_told_once_and_only_when_it_held(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    change(Account, "acc_1", state=ACTIVE)
    minutes(clock, 3)
    assert len(mails.letters) == 1 and all_of()[0].closed_at is None
    minutes(clock, 20)
    assert [one["Subject"] for one in mails.letters] == ["Acme 1 (X) stopped working", "Acme 1 (X) works again"]
    assert "/w/wsp_1/profiles/acc_1" in body(mails.letters[1])
    assert all_of()[0].closed_at is not None


def test_what_is_mended_before_its_mail_went_out_is_not_mailed(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 1)
    change(Account, "acc_1", state=ACTIVE)
    minutes(clock, 20)
    assert not mails.letters and all_of()[0].closed_at is not None


def test_what_a_person_ended_before_its_mail_went_out_is_not_mailed(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 1)
    change(Account, "acc_1", state=DISCONNECTED)
    minutes(clock, 20)
    assert not mails.letters


def test_a_mail_that_was_put_off_goes_out_when_the_trouble_is_back(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 1)
    change(Account, "acc_1", state=ACTIVE)
    minutes(clock, 3)
    assert not mails.letters
    change(Account, "acc_1", state=TOKEN_EXPIRED)
    minutes(clock, 5)
    assert [one["Subject"] for one in mails.letters] == ["Acme 1 (X) stopped working"]


def test_what_flaps_stays_one_incident_without_a_word(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    for _ in range(10):
        change(Account, "acc_1", state=ACTIVE)
        minutes(clock, 3)
        change(Account, "acc_1", state=TOKEN_EXPIRED)
        minutes(clock, 2)
    assert len(all_of()) == 1 and len(mails.letters) == 1


def test_what_comes_back_within_an_hour_is_the_same_incident_and_is_told_again_if_it_stays(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    change(Account, "acc_1", state=ACTIVE)
    minutes(clock, 10)
    change(Account, "acc_1", state=TOKEN_EXPIRED)
    minutes(clock, 20)
    assert len(all_of()) == 1 and all_of()[0].closed_at is None and len(mails.letters) == 2
    minutes(clock, 45)  # an hour after people were told that it is cured, it is still broken
    assert [one["Subject"] for one in mails.letters[2:]] == ["Acme 1 (X) stopped working"]
    minutes(clock, 60)
    assert len(mails.letters) == 3


def test_many_that_come_back_within_an_hour_are_one_mail_without_those_that_were_cured_again(world, mails, clock):
    for number in range(1, 6):
        account(number, TOKEN_EXPIRED)
    minutes(clock, 3)
    with writing() as session:
        session.execute(update(Account).values(state=ACTIVE))
    minutes(clock, 10)
    with writing() as session:
        session.execute(update(Account).values(state=TOKEN_EXPIRED))
    minutes(clock, 2)
    change(Account, "acc_3", state=ACTIVE)  # before anybody was told that it broke again
    minutes(clock, 60)
    assert [one["Subject"] for one in mails.letters] == [
        "5 profiles of X stopped working", "5 profiles of X work again", "4 profiles of X stopped working"]
    text = body(mails.letters[2])
    assert text.count("/profiles/acc_") == 4 and "/profiles/acc_3\n" not in text


def test_what_comes_back_later_is_another_incident(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    change(Account, "acc_1", state=ACTIVE)
    minutes(clock, 80)
    change(Account, "acc_1", state=TOKEN_EXPIRED)
    minutes(clock, 5)
    assert len(all_of()) == 2 and len(mails.letters) == 3


def test_what_a_person_ended_is_over_without_a_word(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    change(Account, "acc_1", state=DISCONNECTED)
    minutes(clock, 10)
    assert len(mails.letters) == 1 and all_of()[0].closed_at is not None


def test_after_a_halt_of_the_workers_a_cure_has_to_hold_from_then_on(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    change(Account, "acc_1", state=ACTIVE)
    clock.ahead(hours=5)
    minutes(clock, 1)
    assert all_of()[0].closed_at is None
    minutes(clock, 6)
    assert all_of()[0].closed_at is not None


def test_a_profile_that_lacks_the_permission_to_publish_is_broken_too(world, mails, clock):
    account(scopes=("users.read",))
    account(2)
    minutes(clock, 3)
    (found,) = all_of()
    assert (found.kind, found.subject_id) == (alerts.ACCOUNT_BROKEN, "acc_1")
    assert "cannot publish: " in found.summary and "tweet.write" in found.summary


def test_many_that_break_by_one_cause_are_one_mail_that_lists_them(world, mails, clock):
    for number in range(1, 41):
        account(number, TOKEN_EXPIRED if number <= 20 else ACTIVE)
    minutes(clock, 1)
    with writing() as session:  # the others follow a minute later
        session.execute(update(Account).values(state=TOKEN_EXPIRED))
    minutes(clock, 10)
    assert len(all_of()) == 40
    (letter,) = mails.letters
    assert letter["Subject"] == "40 profiles of X stopped working"
    text = body(letter)
    assert text.count("/profiles/acc_") == 30 and "And 10 more." in text
    with writing() as session:
        session.execute(update(Account).values(state=ACTIVE))
    minutes(clock, 10)
    assert [one["Subject"] for one in mails.letters[1:]] == ["40 profiles of X work again"]


# ---------------------------------------------------------------- several workers


def at_once(ground, work, number=6):
    gate, results, faults = threading.Barrier(number), [], []

    def run():
        with ground.app_context():
            gate.wait(20)
            try:
                results.append(work())
            except Exception as fault:
                faults.append(fault)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    db.session.rollback()
    assert not faults, faults
    return results


def test_several_workers_at_once_open_and_mail_it_once(ground, world, mails, clock):
    account(state=TOKEN_EXPIRED)
    for _ in range(5):
        at_once(ground, lambda: incidents.sweep(clock()))
        clock.ahead(minutes=1)
    assert len(all_of()) == 1
    ids = outbox.due(clock())
    assert len(ids) == 1
    assert sorted(at_once(ground, lambda: outbox.send(ids[0]))) == [False] * 5 + [True]
    assert len(mails.letters) == 1


def test_a_slow_sweep_changes_nothing_once_another_has_begun(world, mails, clock, monkeypatch):
    account(state=TOKEN_EXPIRED)
    look, inner = incidents._look, []

    def slow(now, *args):
        found = look(now, *args)
        if not inner:
            inner.append(True)
            change(Account, "acc_1", state=ACTIVE)
            assert incidents.sweep(clock.ahead(minutes=6)) == incidents.Swept()
        return found

    monkeypatch.setattr(incidents, "_look", slow)
    assert incidents.sweep(clock()) is None
    assert all_of() == []


def test_while_one_is_at_it_the_others_leave_and_a_dead_one_is_replaced(world, clock):
    taken = incidents._take(clock())
    assert taken is not None and incidents.sweep(clock()) is None
    assert incidents.sweep(clock.ahead(minutes=6)) == incidents.Swept()


# ---------------------------------------------------------------- ends ahead


def test_an_end_is_told_fourteen_seven_and_one_days_before(world, mails, clock):
    account(ends=clock() + timedelta(days=20), refresh=False)
    days = []
    for _ in range(20):
        minutes(clock, 3)
        days += [clock()] * (len(mails.letters) - len(days))
        clock.ahead(hours=24, minutes=-3)
    assert [one["Subject"] for one in mails.letters] == [
        f"Acme 1 (X) has to be reconnected within {days}" for days in ("14 days", "7 days", "1 day")]
    assert [(one - days[0]).days for one in days] == [0, 7, 13]
    assert len(all_of()) == 1


def test_a_connection_that_renews_itself_is_no_warning(world, mails, clock):
    account(ends=clock() + timedelta(hours=1))
    minutes(clock, 2)
    assert all_of() == []


def test_a_reconnected_one_is_told_as_such_and_a_broken_one_is_not(world, mails, clock):
    account(ends=clock() + timedelta(days=3), refresh=False)
    account(2, ends=clock() + timedelta(days=3), refresh=False)
    minutes(clock, 3)
    change(Grant, "grt_1", access_expires_at=clock() + timedelta(days=60))
    change(Account, "acc_2", state=TOKEN_EXPIRED)
    minutes(clock, 10)
    assert [one["Subject"] for one in mails.letters] == [
        "2 profiles of X have to be reconnected soon", "Acme 2 (X) stopped working",
        "Acme 1 (X) is connected for longer"]


def test_access_to_data_that_ends_is_told(world, mails, clock):
    ends = int((clock() + timedelta(days=5)).timestamp())
    account(meta={"token_data_access_expires_at": ends})
    account(2, meta={"token_data_access_expires_at": "nonsense"})
    account(3, meta={"data_access_expires_at": ends + 86400 * 60})
    minutes(clock, 3)
    (found,) = all_of()
    assert (found.kind, found.subject_id, found.stage) == (alerts.DATA_ENDING, "acc_1", 7)


# ---------------------------------------------------------------- posts


@pytest.mark.parametrize(("state", "words"), [
    (FAILED, "It was not published to Acme 1 (X). X refused it."), (MISSED, "passed before it could go out"),
    (UNCONFIRMED, "Nobody knows whether it is out")])
def test_a_post_that_needs_a_person_is_one_incident_with_a_link(world, mails, clock, state, words):
    account()
    post(state)
    minutes(clock, 50)
    (letter,) = mails.letters
    assert letter["Subject"] == "A post needs you: Saffron buns 1" and words in body(letter)
    assert "http://127.0.0.1:8000/w/wsp_1/posts/pst_1\n" in body(letter)


def test_an_outcome_that_the_console_still_looks_for_needs_nobody(world, mails, clock):
    account()
    post(UNCONFIRMED, due_at=clock() + timedelta(hours=2))
    minutes(clock, 3)
    assert all_of() == []


def test_a_post_that_went_out_after_all_is_told_and_a_cancelled_one_is_not(world, mails, clock):
    account()
    post(FAILED)
    post(FAILED, number=2)
    minutes(clock, 3)
    change(Delivery, "dlv_1", state=PUBLISHED)
    change(Delivery, "dlv_2", state=CANCELLED)
    minutes(clock, 10)
    assert [one["Subject"] for one in mails.letters] == ["2 posts to X need you", "A post is out: Saffron buns 1"]


def test_a_post_of_long_ago_is_not_brought_up_and_an_open_one_ends_by_itself(world, mails, clock):
    account()
    post(FAILED)
    minutes(clock, 3)
    clock.ahead(days=15)
    minutes(clock, 3)
    assert all_of()[0].closed_at is not None and len(mails.letters) == 1


def test_posts_at_risk_are_told_where_nothing_else_is(world, mails, clock):
    wish(world.alice, mails={"posts_at_risk": "all"})
    account(1, PAUSED)
    account(2, PAUSED)
    account(3, ends=clock() + timedelta(days=40), refresh=False)
    post(SCHEDULED, "acc_1", due_at=clock() + timedelta(days=1), ahead=timedelta(days=1))
    post(SCHEDULED, "acc_3", number=3, due_at=clock() + timedelta(days=41), ahead=timedelta(days=41))
    minutes(clock, 3)
    assert {one.subject_id for one in all_of(alerts.POSTS_AT_RISK)} == {"acc_1", "acc_3"}
    assert [one["Subject"] for one in mails.letters] == ["Posts to 2 profiles of X are at risk"]
    assert "Acme 1 (X) is paused, and 1 post is planned for it" in body(mails.letters[0])


def test_a_platform_that_is_switched_off_puts_its_posts_at_risk(world, mails, clock):
    account()
    post(SCHEDULED, due_at=clock() + timedelta(days=1), ahead=timedelta(days=1))
    change(PlatformApp, "app_x", is_on=False)
    minutes(clock, 2)
    (found,) = all_of()
    assert found.summary.startswith("X is switched off in this console, and 1 post is planned for Acme 1 (X)")


# ---------------------------------------------------------------- what administrators are told


@pytest.fixture
def root(world, clock):
    with writing() as session:
        session.add(User(id="usr_r", email=ROOT, password_hash="-", is_platform_admin=True, created_at=clock()))


@pytest.mark.parametrize(("code", "kind"), [
    ("invalid_client", alerts.PLATFORM_REFUSED), ("check:invalid_client", alerts.CREDENTIALS_WRONG)])
def test_a_refused_app_is_the_administrators(world, root, mails, clock, code, kind):
    account()
    change(PlatformApp, "app_x", trouble="X refuses the client secret.", trouble_code=code, trouble_at=clock())
    minutes(clock, 10)
    assert [one.kind for one in all_of()] == [kind]
    (letter,) = mails.letters
    assert letter["To"] == ROOT and "/admin/platforms/twitter" in body(letter)
    assert incidents.open_for(world.workspace, world.alice) == []
    change(PlatformApp, "app_x", trouble="", trouble_code="")
    minutes(clock, 10)
    assert len(mails.letters) == 2


def test_an_outage_is_mailed_to_administrators_once_and_shown_to_tenants(world, root, mails, clock):
    account()
    change(PlatformApp, "app_x", trouble="X fails for all profiles alike.", trouble_code="breaker", trouble_at=clock())
    minutes(clock, 3)
    assert all_of() == []  # it may be over in a moment
    minutes(clock, 10)
    assert [one["To"] for one in mails.letters] == [ROOT]
    assert [one.kind for one in incidents.outages_for(world.workspace)] == [alerts.PLATFORM_OUT]
    assert incidents.outages_for(world.other) == []


def test_what_the_checklist_found_is_told_and_closed_like_all_else(world, root, mails, clock):
    full = findings.Found(alerts.INSTALLATION, findings.CONSOLE, "disk", "Disk", "It is nearly full.", "Make room.")
    for _ in range(5):
        incidents.sweep(clock.ahead(minutes=1), [full])
        send_all()
    assert [one["Subject"] for one in mails.letters] == ["The console needs somebody: Disk"]
    minutes(clock, 10)
    assert [one["Subject"] for one in mails.letters[1:]] == ["The console is well again: Disk"]


# ---------------------------------------------------------------- who is told


def test_editors_hear_of_their_own_posts_and_owners_of_all(world, mails, clock):
    account()
    post(FAILED, author="usr_b")
    post(FAILED, author="usr_a", number=2)
    account(2, TOKEN_EXPIRED)
    minutes(clock, 3)
    assert sorted(one["Subject"] for one in mails.to(ALICE)) == ["2 posts to X need you", "Acme 2 (X) stopped working"]
    assert [one["Subject"] for one in mails.to(BOB)] == ["A post needs you: Saffron buns 1"]


@pytest.mark.parametrize("kept", [{"mails": {"account_broken": "off"}}, {"quiet": ["wsp_1"]}])
def test_what_a_person_does_not_want_is_not_mailed(world, mails, clock, kept):
    wish(world.alice, **kept)
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    assert len(all_of()) == 1 and mails.letters == []


def test_an_editor_may_want_more_and_a_viewer_gets_nothing(world, mails, clock):
    wish(world.bob, mails={"account_broken": "all"})
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    assert len(mails.to(BOB)) == 1
    with writing() as session:
        session.execute(update(Membership).where(Membership.role == EDITOR).values(role=VIEWER))
    account(2, TOKEN_EXPIRED)
    minutes(clock, 3)
    assert len(mails.to(BOB)) == 1 and len(mails.to(ALICE)) == 2


def test_a_muted_incident_says_no_more_to_that_person(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    (found,) = all_of()
    alerts.mute(world.alice, found.id, is_muted=True)
    assert incidents.open_for(world.workspace, world.alice) == []
    assert len(incidents.open_for(world.workspace, world.bob)) == 1
    change(Account, "acc_1", state=ACTIVE)
    minutes(clock, 10)
    assert len(mails.letters) == 1


def test_wishes_are_checked_and_kept(world, clock):
    assert alerts.save(world.bob, Wishes(mails={"post_failed": "all"}, digest="daily", hour=0), clock())
    assert alerts.wishes(world.bob).mails == {"post_failed": "all"} and alerts.wishes(world.bob).hour == 0
    assert not alerts.save(world.bob, Wishes(mails={"post_failed": "all"}, digest="daily", hour=0), clock())
    for wrong in (Wishes(hour=24), Wishes(digest="hourly"), Wishes(mails={"account_broken": "own"}), Wishes(weekday=9)):
        with pytest.raises(alerts.Invalid):
            alerts.save(world.bob, wrong, clock())


def test_without_a_mail_server_nothing_is_written_to_the_outbox(world, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    assert len(all_of()) == 1
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0


def test_a_workspace_that_goes_takes_its_incidents_along(world, mails, clock):
    account(state=TOKEN_EXPIRED)
    minutes(clock, 3)
    with writing() as session:
        session.execute(db.delete(Account))
        session.execute(db.delete(Grant))
        session.execute(db.delete(findings.Workspace).where(findings.Workspace.id == "wsp_1"))
    minutes(clock, 3)
    assert all_of() == []


# ---------------------------------------------------------------- cheap


def test_the_number_of_statements_does_not_grow(world, mails, clock):
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    def asked():
        minutes(clock, 2, send=False)
        event.listen(db.engine, "before_cursor_execute", note)
        incidents.sweep(clock.ahead(minutes=1))
        event.remove(db.engine, "before_cursor_execute", note)
        number = len(sent)
        sent.clear()
        return number

    def furnish(start, end):
        for number in range(start, end):
            account(number, TOKEN_EXPIRED if number % 3 else PAUSED)
            post(FAILED if number % 2 else SCHEDULED, f"acc_{number}", number=number, ahead=timedelta(days=1),
                 **({} if number % 2 else {"due_at": clock() + timedelta(days=1)}))

    furnish(1, 8)
    few = asked()
    furnish(8, 60)
    assert asked() <= few + 2


def test_the_number_of_statements_does_not_grow_with_what_comes_back(world, mails, clock):
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    def come_back(numbers):
        for state, length in ((TOKEN_EXPIRED, 3), (ACTIVE, 10), (TOKEN_EXPIRED, 0)):
            for number in numbers:
                change(Account, f"acc_{number}", state=state)
            minutes(clock, length)
        sent.clear()
        event.listen(db.engine, "before_cursor_execute", note)
        assert incidents.sweep(clock.ahead(minutes=1)).reopened == len(numbers)
        event.remove(db.engine, "before_cursor_execute", note)
        return len(sent)

    for number in range(1, 31):
        account(number)
    few = come_back(range(1, 4))
    assert come_back(range(4, 31)) <= few + 2


def test_what_is_kept_between_sweeps_is_small(world, clock):
    minutes(clock, 5)
    assert len(db.session.get_one(Installation, incidents.STATE).text) < 300


def test_a_disk_that_is_nearly_full_is_the_administrators(ground, world, root, mails, clock, monkeypatch):
    monkeypatch.setattr(checklist, "LITTLE_SPACE", 2**60)
    jobs.use_app(ground)
    for _ in range(4):
        clock.ahead(minutes=1)
        jobs.watch(["all"])
        send_all()
    disk = next(one for one in all_of(alerts.INSTALLATION) if one.subject_id == "disk")
    assert "free" in disk.summary and disk.workspace_id is None
    assert [one["To"] for one in mails.letters if "Disk" in one["Subject"]] == [ROOT]


def test_no_mail_and_no_incident_holds_a_secret(world, mails, clock):
    canary = "canary-token-of-mara"
    account(state=TOKEN_EXPIRED, meta={"token": canary})
    account(2, ends=clock() + timedelta(days=3), refresh=False)
    post(FAILED, "acc_2", handle=canary)
    change(Grant, "grt_1", access_sealed=canary.encode(), last_error="The platform refused it.")
    change(PlatformApp, "app_x", trouble="X refuses the client secret.", trouble_code="invalid_client",
           client_id=canary)
    with writing() as session:
        session.add(User(id="usr_r", email=ROOT, password_hash=canary, is_platform_admin=True, created_at=clock()))
    minutes(clock, 5)
    assert len(mails.letters) == 4
    rows = " ".join(str(vars(one)) for kind in (Incident, Message) for one in db.session.scalars(select(kind)))
    assert canary not in mails.text + rows
