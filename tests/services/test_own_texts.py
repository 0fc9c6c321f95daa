"""Own versions of single accounts: what is checked is what is sent, in chains and series too."""

from datetime import timedelta

import pytest

from socialconsole import checks, drafts, posts, publishing, series
from socialconsole.database import writing
from socialconsole.drafts import Content, OwnText, PartText
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, PUBLISHED, Account, Delivery, Grant, Series
from socialconsole.outside import now
from socialconsole.posts import Invalid


@pytest.fixture
def second(account):
    """@kiosk, on the same permission."""
    with writing() as session:
        made = Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43", username="kiosk",
                       display_name="Acme Kiosk", grant=session.get_one(Grant, "grt_1"), state=ACTIVE,
                       state_since=now(), connected_at=now())
        session.add(made)
    return made


@pytest.fixture
def send(world, account, second, platform, clock):
    """Write a post to both accounts and let the workers send it; what X got, by account."""

    def make(content):
        made = posts.schedule(world.workspace, world.alice, content, [account.id, second.id], when="now", wall_time="",
                              nonce="n")
        return {one.account_id: run(one, platform, clock) for one in made.deliveries}

    return make


def run(delivery, platform, clock):
    before = len(platform.asked)
    for _ in range(10):
        clock.ahead(seconds=30)
        publishing.deliver(delivery.id)
    db.session.expire_all()
    assert db.session.get_one(Delivery, delivery.id).state == PUBLISHED
    return [what[1] for step, what in platform.asked[before:] if step == "publish"]


def test_each_account_publishes_its_own_text(send):
    content = Content("For all", own={"acc_2": OwnText("For the kiosk")})
    assert send(content) == {"acc_1": ["For all"], "acc_2": ["For the kiosk"]}


def test_a_chain_follows_the_own_text_unless_it_stands_alone(send):
    parts = (PartText("Two"), PartText("Three"))
    own = {"acc_1": OwnText("Mine"), "acc_2": OwnText("Alone", chain=False)}
    assert send(Content("One", parts=parts, own=own)) == {"acc_1": ["Mine", "Two", "Three"], "acc_2": ["Alone"]}


def test_the_own_text_goes_out_each_time_of_a_series(world, account, platform, clock):
    with writing() as session:
        session.get_one(Grant, "grt_1").access_expires_at = None
    begun = series.begin(world.workspace, world.alice, Content("For all", own={account.id: OwnText("Mine")}),
                         [account.id], every="day", wall_time="2026-11-22T09:00", nonce="n")
    for number in range(2):
        (delivery,) = db.session.query(Delivery).filter_by(state="scheduled")
        clock.at = delivery.due_at + timedelta(seconds=1)
        publishing.deliver(delivery.id)
        series.advance(clock())
        assert platform.times("publish") == number + 1
    assert {what[1] for step, what in platform.asked if step == "publish"} == {"Mine"}
    assert db.session.get_one(Series, begun.id).content["own"] == {
        account.id: {"text": "Mine", "first_comment": None, "chain": True}}


def test_what_is_wrong_with_an_own_text_is_said_there(world, account, second):
    content = Content("Fine", own={second.id: OwnText("a" * 281)})
    with pytest.raises(Invalid) as refused:
        posts.schedule(world.workspace, world.alice, content, [account.id, second.id], when="now", wall_time="",
                       nonce="n")
    assert set(refused.value.errors) == {f"own:{second.id}"}
    assert db.session.query(Delivery).count() == 0


def test_the_common_text_may_stay_empty_where_nobody_uses_it(world, account, second):
    own = {account.id: OwnText("One"), second.id: OwnText("Two")}
    made = posts.schedule(world.workspace, world.alice, Content("", own=own), [account.id, second.id], when="now",
                          wall_time="", nonce="n")
    assert len(made.deliveries) == 2
    with pytest.raises(Invalid) as refused:
        posts.schedule(world.workspace, world.alice, Content("", own={account.id: own[account.id]}),
                       [account.id, second.id], when="now", wall_time="", nonce="m")
    assert "text" in refused.value.errors


def test_a_version_for_an_account_that_is_not_chosen_is_not_kept(world, account, second):
    content = Content("Hi", own={second.id: OwnText("Two"), "acc_of_a_stranger": OwnText("Three")})
    made = posts.schedule(world.workspace, world.alice, content, [account.id], when="now", wall_time="", nonce="n")
    assert "own" not in made.content


@pytest.mark.parametrize("content", [
    Content("Hi"), Content("Hi", own={"acc_1": OwnText("Mine", "First", False)}),
    Content("Hi", ("med_1",), {"med_1": "A bun"}, None, (PartText("Two", ("med_2",)),), "First",
            {"acc_1": OwnText("Mine"), "acc_2": OwnText("", None)})])
def test_a_content_comes_back_as_it_was_kept(content):
    assert drafts.load(content.text, content.dump()) == content


def test_an_own_first_comment_replaces_the_common_one():
    content = Content("Hi", first_comment="Common", own={"a": OwnText("Mine", "Own"), "b": OwnText("Mine")})
    assert [content.for_account(one).first_comment for one in "abc"] == ["Own", "Common", "Common"]
    assert content.for_account("a").for_account("b") == content.for_account("a"), "what is one account's stays its own"


def test_accounts_alike_are_checked_once_and_those_that_differ_apart(world, account, second, monkeypatch):
    asked = []
    real = checks.problems
    monkeypatch.setattr(checks, "problems", lambda *one, **more: asked.append(1) or real(*one, **more))
    found = checks.check(world.workspace, Content("Hi"), [account, second], {})
    assert [one.account.id for one in found] == ["acc_1", "acc_2"] and len(asked) == 1
    asked.clear()
    found = checks.check(world.workspace, Content("Hi", own={"acc_2": OwnText("a" * 300)}), [account, second], {})
    assert len(asked) == 2 and [bool(one.problem) for one in found] == [False, True]
    asked.clear()
    checks.check(world.workspace, Content("Hi"), [account, second],
                 {"acc_2": checks.Choice(options={"reply_settings": "nobody"})})
    assert len(asked) == 2
    with writing():
        second.state = "paused"
    assert [one.problem for one in checks.check(world.workspace, Content("Hi"), [account, second], {})] == [
        "", "Paused."]
