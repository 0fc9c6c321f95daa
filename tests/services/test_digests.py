"""The digest comes at the person's own hour, whatever the clocks do, once, and only with something in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from socialconsole import digests, outbox
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import FAILED, SCHEDULED, Account, Membership, Message, User
from tests.mail_server import SENDER
from tests.services.test_incidents import account, at_once, post, wish


@pytest.fixture(autouse=True)
def mails(ground, world):
    """Mails could be sent; nobody takes them here."""
    ground.extensions["config"] = replace(ground.extensions["config"], mail_url="smtp://127.0.0.1:9", mail_from=SENDER)


def all_mails():
    return db.session.scalars(select(Message).where(Message.kind == outbox.DIGEST).order_by(Message.id)).all()


def hours(clock, number, minutes=60):
    """Let hours pass, and return when mails were written."""
    at = []
    for _ in range(number):
        if digests.write_due(clock.ahead(minutes=minutes)):
            at.append(clock())
    return at


def something_to_say(clock):
    account(ends=clock() + timedelta(days=20), refresh=False)


def test_an_owner_gets_one_each_monday_morning_and_an_editor_none(world, clock):
    something_to_say(clock)  # a Saturday
    at = hours(clock, 24 * 15)
    assert at == [datetime(2026, 11, 23, 7, tzinfo=UTC), datetime(2026, 11, 30, 7, tzinfo=UTC)]  # 8:00 in Stockholm
    assert {one.to for one in all_mails()} == {"alice@example.com"}


def test_what_it_says(world, clock):
    something_to_say(clock)
    account(2)
    post(FAILED, "acc_2", number=1, ahead=timedelta(hours=1))
    post(SCHEDULED, "acc_2", number=2, ahead=timedelta(days=3), due_at=clock() + timedelta(days=3))
    post(SCHEDULED, "acc_1", number=3, ahead=timedelta(days=25), due_at=clock() + timedelta(days=25))
    hours(clock, 72)
    (one,) = all_mails()
    assert one.subject == "Social Console this week: Harbour Bakery"
    for part in ("Connections that need you within 30 days\n- Acme 1 (X): Ends 11 Dec 2026",
                 "Posts at risk\n- X (Acme 1)",
                 "Posts that did not go out\n- Saffron buns 1 (1 profile)",
                 "Scheduled\n- 24 Nov 2026, 10:00 CET: Saffron buns 2", "/w/wsp_1/expiry", "/me/alerts"):
        assert part in one.body, part
    assert "Saffron buns 3" not in one.body.split("Scheduled\n")[1]


def test_where_there_is_nothing_to_say_nothing_comes_and_nobody_looks_again(world, clock, monkeypatch):
    assert hours(clock, 24 * 8) == []
    (ledger,) = all_mails()
    assert (ledger.due_at, ledger.note) == (None, digests.NOTHING)
    assert outbox.status(clock()).given_up == 0


def test_it_keeps_its_hour_when_the_clocks_change(world, clock):
    something_to_say(clock)
    wish(world.alice, digest="daily", hour=8)
    clock.at = datetime(2027, 3, 26, 20, tzinfo=UTC)
    with writing() as session:
        session.execute(update(Account).values(state="token_expired"))
    assert hours(clock, 24 * 4, 60) == [datetime(2027, 3, 27, 7, tzinfo=UTC), datetime(2027, 3, 28, 6, tzinfo=UTC),
                                        datetime(2027, 3, 29, 6, tzinfo=UTC), datetime(2027, 3, 30, 6, tzinfo=UTC)]


def test_an_hour_that_the_clocks_skip_or_show_twice_brings_one(world, clock):
    account(state="token_expired")
    wish(world.alice, digest="daily", hour=2)
    clock.at = datetime(2027, 3, 27, 12, tzinfo=UTC)
    assert hours(clock, 24) == [datetime(2027, 3, 28, 1, tzinfo=UTC)]  # 2:00 does not exist; 3:00 CEST does
    clock.at = datetime(2027, 10, 30, 12, tzinfo=UTC)
    assert hours(clock, 48, 30) == [datetime(2027, 10, 31, 0, tzinfo=UTC)]


def test_several_workers_at_once_write_one(ground, world, clock):
    something_to_say(clock)
    clock.at = datetime(2026, 11, 23, 7, 1, tzinfo=UTC)
    assert sum(at_once(ground, lambda: digests.write_due(clock()))) == 1
    assert len(all_mails()) == 1


def test_after_a_night_without_workers_it_still_comes_and_after_a_day_it_does_not(world, clock):
    something_to_say(clock)
    clock.at = datetime(2026, 11, 23, 17, tzinfo=UTC)
    assert digests.write_due(clock()) == 1
    clock.at = datetime(2026, 12, 1, 17, tzinfo=UTC)
    assert digests.write_due(clock()) == 0


def test_own_zone_quiet_workspaces_and_off_are_respected(world, clock):
    something_to_say(clock)
    with writing() as session:
        session.add(Membership(workspace_id="wsp_2", user_id="usr_a", role="owner"))
        session.execute(update(User).where(User.id == "usr_a").values(time_zone="America/New_York"))
    assert hours(clock, 72) == [datetime(2026, 11, 23, 13, tzinfo=UTC)]
    wish(world.alice, quiet=["wsp_1"])
    assert hours(clock, 24 * 8) == []
    wish(world.alice, digest="off")
    assert hours(clock, 24 * 8) == []


def test_a_digest_that_is_turned_on_now_begins_with_its_next_hour(world, clock):
    something_to_say(clock)
    clock.at = datetime(2026, 11, 24, 9, tzinfo=UTC)
    digests.alerts.save(world.bob, digests.Wishes(digest="daily", hour=8), clock())
    assert hours(clock, 20) == []
    assert len(hours(clock, 4)) == 1
