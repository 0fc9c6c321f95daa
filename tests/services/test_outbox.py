"""Mails are sent once, whatever happens between: a server that is away, one that refuses, a worker that dies."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from socialconsole import jobs, mail, members, outbox
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import EDITOR, Incident, Membership, Message, User, Workspace
from tests.mail_server import SENDER, Box, Server
from tests.services.test_incidents import at_once


class Killed(BaseException):
    """The worker is gone, in the middle."""


@pytest.fixture
def server(ground, world):
    made = Server(Box())
    ground.extensions["config"] = replace(ground.extensions["config"], mail_url=made.url, mail_from=SENDER)
    yield made
    made.stop()


def write(world, number=1, **options):
    with writing():
        made = outbox.put(world.alice, outbox.OPENED, f"Subject {number}", f"Text {number}\n", **options)
    return made.id


def row(message_id):
    return db.session.get_one(Message, message_id, populate_existing=True)


def test_a_mail_is_sent_once(world, server, clock):
    one = write(world)
    assert outbox.send(one) and not outbox.send(one)
    (letter,) = server.box.letters
    assert (letter["To"], letter["Subject"], letter["Message-ID"]) == (
        "alice@example.com", "Subject 1", f"<{one}@example.org>")
    assert row(one).sent_at == clock() and row(one).due_at is None
    assert outbox.due(clock.ahead(days=1)) == []


def test_what_was_undone_is_not_mailed(world, server, clock):
    with pytest.raises(ZeroDivisionError), writing():
        outbox.put(world.alice, outbox.OPENED, "Never", "was")
        raise ZeroDivisionError
    assert outbox.due(clock()) == []


def test_there_is_one_of_what_there_may_be_one_of(world, server):
    write(world, once="the only one")
    with writing():
        assert outbox.put(world.alice, outbox.OPENED, "Subject", "Text", once="the only one") is None


def test_who_leaves_a_workspace_gets_no_more_mails_about_it(world, server, clock):
    with writing() as session:
        leaver = User(id="usr_leaver", email="leaver@example.com", password_hash="-", created_at=clock())
        session.add_all((leaver, Workspace(id="wsp_other", name="Other", created_at=clock())))
        session.flush()
        session.add_all(Membership(workspace_id=one, user_id=leaver.id, role=EDITOR)
                        for one in (world.workspace.id, "wsp_other"))
        for number, one in enumerate((world.workspace.id, "wsp_other")):
            about = Incident(id=f"inc_{number}", workspace_id=one, kind="account_broken", subject_type="account",
                             subject_id=f"acc_{number}", opened_at=clock(), seen_at=clock())
            session.add(about)
            session.flush()
            outbox.put(leaver, outbox.OPENED, f"About {one}", "-", about)
        outbox.put(leaver, outbox.DIGEST, "Digest", "-")
        outbox.put(leaver, "receipt", "Receipt", "-")
    members.remove(world.workspace, leaver.id)
    for one in outbox.due(clock()):
        outbox.send(one)
    assert {letter["Subject"] for letter in server.box.letters} == {"About wsp_other", "Receipt"}


def test_a_server_that_is_away_gets_it_when_it_is_back(world, server, clock):
    one = write(world)
    server.stop()
    assert not outbox.send(one)
    assert row(one).note == "The mail server does not answer. It said: Connection refused" and row(one).attempts == 1
    assert outbox.due(clock.ahead(seconds=30)) == []
    tried = []
    while clock.at < row(one).created_at + timedelta(hours=5):
        clock.ahead(minutes=1)
        for each in outbox.due(clock()):
            assert not outbox.send(each)
            tried.append(clock())
    pauses = [round((later - sooner).total_seconds() / 60) for sooner, later in zip(tried, tried[1:], strict=False)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60][:len(pauses)] and len(pauses) >= 7
    server.start()
    assert outbox.send(outbox.due(clock.ahead(hours=1))[0])
    assert len(server.box.letters) == 1 and row(one).note == ""


def test_it_is_given_up_after_a_day_and_says_so(world, server, clock):
    one = write(world)
    server.stop()
    while outbox.due(clock()) or row(one).due_at is not None:
        outbox.send(one)
        clock.ahead(minutes=10)
        assert clock() < row(one).created_at + timedelta(hours=26)
    assert row(one).note.startswith("Given up. The mail server does not answer.")
    assert timedelta(hours=22) < clock() - row(one).created_at <= timedelta(hours=25)
    status = outbox.status(clock())
    assert (status.waiting, status.given_up) == (0, 1) and status.trouble.startswith("Given up.")


def test_an_address_that_is_refused_for_good_is_tried_once(world, server, clock):
    server.box.refuses = "550 no such person"
    one = write(world)
    assert not outbox.send(one)
    assert row(one).due_at is None and "It said: 550 no such person" in row(one).note
    server.box.refuses = "451 later please"
    two = write(world, 2)
    assert not outbox.send(two)
    assert row(two).due_at == clock() + timedelta(minutes=1)


def test_one_silent_server_keeps_the_others_from_being_tried(world, server, clock, monkeypatch):
    ids, tried = [write(world, number) for number in range(5)], []

    def silent(*_, **__):
        tried.append(True)
        raise mail.NotSent("The mail server does not answer.", is_of_server=True)

    monkeypatch.setattr(mail, "send", silent)
    for one in ids:
        outbox.send(one)
    assert len(tried) == 1
    monkeypatch.undo()
    for one in outbox.due(clock.ahead(minutes=1)):
        outbox.send(one)
    assert len(server.box.letters) == 5


def test_several_workers_send_it_once(ground, world, server):
    one = write(world)
    assert sorted(at_once(ground, lambda: outbox.send(one), 8)) == [False] * 7 + [True]
    assert len(server.box.letters) == 1


def test_a_worker_that_dies_before_handing_over_costs_no_mail(world, server, clock, monkeypatch):
    one = write(world)
    monkeypatch.setattr(mail, "send", lambda *_, **__: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        outbox.send(one)
    monkeypatch.undo()
    assert outbox.due(clock.ahead(minutes=2)) == []
    (again,) = outbox.due(clock.ahead(minutes=1))
    assert outbox.send(again) and len(server.box.letters) == 1


def test_a_worker_that_dies_after_handing_over_makes_no_second_mail_in_anybodys_program(
        world, server, clock, monkeypatch):
    one, hand_over = write(world), mail.send

    def die(*args, **options):
        hand_over(*args, **options)
        raise Killed

    monkeypatch.setattr(mail, "send", die)
    with pytest.raises(Killed):
        outbox.send(one)
    monkeypatch.undo()
    assert outbox.send(outbox.due(clock.ahead(minutes=4))[0])
    assert len({letter["Message-ID"] for letter in server.box.letters}) == 1
    assert outbox.due(clock.ahead(days=1)) == []


def test_a_slow_worker_does_not_undo_what_another_did_meanwhile(world, server, clock, monkeypatch):
    one = write(world)

    def slow(*_, **__):
        monkeypatch.undo()
        clock.ahead(minutes=4)
        assert outbox.send(one)
        raise mail.NotSent("The mail server does not answer.", is_of_server=True)

    monkeypatch.setattr(mail, "send", slow)
    assert not outbox.send(one)
    assert row(one).sent_at is not None and row(one).due_at is None and len(server.box.letters) == 1


def test_what_is_due_is_rung_for_and_sent_by_the_job(ground, world, server, clock):
    one, rung = write(world), []
    write(world, 2, due_at=clock() + timedelta(minutes=5))
    assert outbox.ring_due(clock(), lambda kind, ids: rung.append((kind, ids))) == 1
    assert rung == [("mail", [one])]
    assert outbox.ring_due(clock(), lambda *_: None, lambda kind: True) == 0
    jobs.use_app(ground)
    jobs.mail([one, "msg_of_nobody"])
    assert len(server.box.letters) == 1


def test_a_server_that_is_slow_to_take_each_does_not_hold_a_worker_for_ever(ground, world, server, monkeypatch):
    monkeypatch.setattr(jobs, "LONGEST_PUMP", 0.0)
    one = write(world)
    jobs.use_app(ground)
    jobs.mail([one])
    assert not server.box.letters and row(one).attempts == 0
    monkeypatch.setattr(jobs, "LONGEST_PUMP", 60.0)
    jobs.mail([one])
    assert len(server.box.letters) == 1


def test_a_mail_of_a_clock_that_was_put_back_is_not_lost(world, server, clock):
    one = write(world, due_at=clock() + timedelta(days=300))
    assert outbox.due(clock()) == [one]


def test_no_secret_is_in_what_is_kept_of_a_refusal(ground, world, server, clock, caplog):
    ground.extensions["config"] = replace(ground.extensions["config"],
                                          mail_url=server.url.replace("//", "//mara:canary-of-the-mail-server@"))
    server.box.refuses = "550 you said canary-of-the-mail-server to me"
    one = write(world)
    assert not outbox.send(one)
    assert outbox.send_test(world.alice)
    kept = " ".join(f"{one.note} {one.body} {one.subject}" for one in db.session.scalars(select(Message)))
    assert "canary" not in kept + caplog.text + str([vars(record) for record in caplog.records])
