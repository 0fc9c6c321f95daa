"""Plans: what a program asks for happens once, if a person who may says so in time, and otherwise not at all."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from socialconsole import api_keys, members, plans
from socialconsole.api_keys import APPROVE, MANAGE_ACCOUNTS, READ, WRITE_POSTS
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    EDITOR,
    FAILED,
    OWNER,
    VIEWER,
    Account,
    AuditEvent,
    Delivery,
    Membership,
    User,
    Workspace,
)
from socialconsole.models_api import CONFIRMED, DECLINED, DONE, PROPOSED, ApiKey, Plan
from socialconsole.plans import ACTIONS, AT_WORK, LIFE, MOST_OPEN, RUN_OUT, UNCLEAR, Invalid, MovedOn, NotAllowed

from .conftest import Clock, World

PUBLISH = {"method": "POST", "path": "/v1/posts", "body": {"text": "Saffron buns are back", "accountIds": ["acc_1"]}}
DISCONNECT = {"method": "DELETE", "path": "/v1/workspaces/ws_1/accounts/acc_1", "body": None}
CALLS: Mapping[str, Mapping[str, Any]] = {
    "publish": PUBLISH, "schedule": PUBLISH, "change": {"method": "PATCH", "path": "/v1/posts/post_1", "body": {}},
    "retry": {"method": "POST", "path": "/v1/posts/post_1/retry"},
    "approve": {"method": "POST", "path": "/v1/posts/post_1/approve"},
    "cancel": {"method": "POST", "path": "/v1/posts/post_1/cancel"},
    "delete": {"method": "DELETE", "path": "/v1/posts/post_1"}, "disconnect": DISCONNECT,
}


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that the database is asked meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


class Performer:
    """Stands in for the calls of the API; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, Any]] = []
        self.answer: tuple[int, dict[str, Any]] | Exception = (201, {"id": "post_9"})

    def __call__(self, key: ApiKey, method: str, path: str, body: Any, nonce: str) -> tuple[int, dict[str, Any]]:
        assert nonce.startswith("pln_")
        assert not db.session.info.get("writing")
        self.asked.append((key.id, method, path, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def performer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Performer]:
    made = Performer()
    monkeypatch.setattr(plans, "PERFORM", made)
    yield made


@pytest.fixture
def key(world: World, clock: Clock) -> ApiKey:
    """A key of Alice, an owner, that may all that asks for a person."""
    return api_keys.create(world.workspace, world.alice, "Assistant", (READ, WRITE_POSTS, APPROVE, MANAGE_ACCOUNTS),
                           90, clock())[0]


@pytest.fixture
def ask(key: ApiKey, clock: Clock) -> Callable[..., Plan]:
    def make(action: str = "publish", **more: Any) -> Plan:
        return plans.propose(key, action, more.get("request", CALLS[action]), more.get("summary", ""), clock())

    return make


Asker = Callable[..., Plan]


def set_role(user_id: str, role: str) -> None:
    with writing():
        db.session.get_one(Membership, ("wsp_1", user_id)).role = role


class TestAsking:
    def test_it_waits_for_a_person_for_a_day_and_nothing_happens(self, world: World, ask: Asker, clock: Clock,
                                                                 performer: Performer) -> None:
        made = ask(summary="  The baker asked for it. ")
        assert (made.state, made.asked_by, made.summary) == (PROPOSED, "Assistant of alice@example.com",
                                                             "The baker asked for it.")
        assert made.expires_at == clock() + LIFE and made.request == PUBLISH and not performer.asked
        assert plans.waiting(world.workspace, clock()) == [made] and plans.count("wsp_1", clock()) == 1
        assert plans.waiting(world.other, clock()) == plans.decided(world.workspace, clock()) == []

    @pytest.mark.parametrize("action", ACTIONS)
    def test_each_action_stands_for_its_own_calls_only(self, ask: Asker, action: str) -> None:
        assert ask(action).request["path"] == CALLS[action]["path"]
        own = ACTIONS[action].calls
        for request in (*CALLS.values(), {"method": "POST", "path": "/v1/posts/../workspaces"},
                        {"method": "GET", "path": "/v1/posts"}, {"method": "POST", "path": "/v1/posts\n"},
                        {"method": "POST", "path": "/v1/posts?x=1"}, {}):
            if not own.fullmatch(f"{request.get('method')} {request.get('path')}"):
                with pytest.raises(Invalid):
                    ask(action, request=request)

    def test_what_deletes_cannot_be_asked_for_as_something_small(self, ask: Asker) -> None:
        for action in ACTIONS:
            if action != "disconnect":
                with pytest.raises(Invalid):
                    ask(action, request=DISCONNECT)

    @pytest.mark.parametrize("body", [[], "text", 7, {"text": "x" * 70_000}, {"dryRun": True}])
    def test_a_body_must_be_one_that_a_person_can_be_shown(self, ask: Asker, body: Any) -> None:
        with pytest.raises(Invalid):
            ask(request={**PUBLISH, "body": body})

    def test_a_body_of_any_depth_is_refused_in_words(self, ask: Asker) -> None:
        deep: Any = {}
        for _ in range(5000):
            deep = {"a": deep}
        with pytest.raises(Invalid):
            ask(request={**PUBLISH, "body": deep})

    def test_a_key_asks_for_nothing_that_it_may_not_do(self, world: World, clock: Clock) -> None:
        reader, _ = api_keys.create(world.workspace, world.alice, "Reader", (READ,), 90, clock())
        editors, _ = api_keys.create(world.workspace, world.bob, "Bob's", (READ, WRITE_POSTS), 90, clock())
        for action, request in CALLS.items():
            with pytest.raises(Invalid):
                plans.propose(reader, action, request, "", clock())
        with pytest.raises(Invalid):
            plans.propose(editors, "disconnect", DISCONNECT, "", clock())
        set_role("usr_b", VIEWER)
        with pytest.raises(Invalid):
            plans.propose(editors, "publish", PUBLISH, "", clock())

    def test_so_many_wait_at_most_and_those_that_ran_out_make_room(self, ask: Asker, clock: Clock) -> None:
        for _ in range(MOST_OPEN):
            ask()
        with pytest.raises(Invalid, match="50 plans"):
            ask()
        clock.ahead(days=1)
        assert ask().state == PROPOSED


class TestDeciding:
    def test_what_is_confirmed_is_done_as_it_was_asked(self, world: World, ask: Asker, key: ApiKey, clock: Clock,
                                                       performer: Performer) -> None:
        plan = plans.decide(ask(), world.bob, True, clock())
        assert performer.asked == [(key.id, "POST", "/v1/posts", PUBLISH["body"])]
        assert (plan.state, plan.decided_by, plan.result) == (DONE, "bob@example.com",
                                                              {"status": 201, "body": {"id": "post_9"}})
        assert plans.decided(world.workspace, clock()) == [plan] and plans.count("wsp_1", clock()) == 0

    def test_what_is_declined_never_happens(self, world: World, ask: Asker, clock: Clock,
                                            performer: Performer) -> None:
        plan = plans.decide(ask(), world.bob, False, clock())
        assert plan.state == DECLINED
        with pytest.raises(MovedOn, match="bob@example.com declined"):
            plans.decide(plan, world.alice, True, clock())
        with pytest.raises(MovedOn):
            plans.again(plan, world.alice, clock())
        assert not performer.asked

    @pytest.mark.parametrize("action", ACTIONS)
    def test_who_confirms_needs_what_the_action_needs(self, world: World, ask: Asker, clock: Clock, action: str,
                                                      performer: Performer) -> None:
        plan, permission = ask(action), ACTIONS[action].permission
        assert permission == {"disconnect": "manage", "approve": "approve"}.get(action, "compose")
        set_role("usr_b", VIEWER)
        for confirmed in (True, False):
            with pytest.raises(NotAllowed):
                plans.decide(plan, world.bob, confirmed, clock())
        set_role("usr_b", EDITOR)
        if permission == "compose":
            plans.decide(plan, world.bob, True, clock())
        else:
            for confirmed in (True, False):
                with pytest.raises(NotAllowed, match="owner"):
                    plans.decide(plan, world.bob, confirmed, clock())
            assert not performer.asked
            plans.decide(plan, world.alice, True, clock())
        assert len(performer.asked) == 1

    def test_an_editor_lets_nothing_out_that_an_owner_has_to_approve(self, world: World, ask: Asker, clock: Clock,
                                                                     performer: Performer) -> None:
        with writing():
            world.workspace.needs_approval = True
        for action in ("publish", "schedule", "change", "retry"):
            with pytest.raises(NotAllowed, match="approval"):
                plans.decide(ask(action), world.bob, True, clock())
        assert not performer.asked
        assert plans.decide(ask("cancel"), world.bob, True, clock()).state == DONE
        assert plans.decide(ask("publish"), world.bob, False, clock()).state == DECLINED
        assert plans.decide(ask("publish"), world.alice, True, clock()).state == DONE

    def test_a_stranger_decides_nothing(self, world: World, ask: Asker, clock: Clock, performer: Performer) -> None:
        plan = ask()
        members.remove(world.workspace, "usr_b")
        for confirmed in (True, False):
            with pytest.raises(NotAllowed):
                plans.decide(plan, world.bob, confirmed, clock())
        with pytest.raises(Exception, match="404"):
            plans.one(world.other, plan.id)
        assert not performer.asked

    @pytest.mark.parametrize("confirmed", [True, False])
    def test_after_its_time_nobody_decides(self, world: World, ask: Asker, clock: Clock, performer: Performer,
                                           confirmed: bool) -> None:
        plan = ask()
        clock.ahead(days=1)
        assert plans.standing(plan, clock()) == RUN_OUT
        with pytest.raises(MovedOn, match="ran out"):
            plans.decide(plan, world.alice, confirmed, clock())
        assert not performer.asked and plans.decided(world.workspace, clock()) == [plan]

    def test_a_key_that_holds_no_more_confirms_no_more(self, world: World, ask: Asker, key: ApiKey, clock: Clock,
                                                       performer: Performer) -> None:
        plan = ask()
        api_keys.revoke(key.id, world.workspace, clock())
        assert plans.key_of(plan, clock()) is None
        with pytest.raises(MovedOn, match="revoked"):
            plans.decide(plan, world.alice, True, clock())
        assert not performer.asked and plans.one(world.workspace, plan.id).state == PROPOSED
        assert plans.decide(plan, world.alice, False, clock()).state == DECLINED

    def test_a_key_revoked_while_somebody_presses_is_noticed(self, world: World, ask: Asker, key: ApiKey, clock: Clock,
                                                             performer: Performer,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
        plan = ask()
        monkeypatch.setattr(plans, "key_of", lambda *_: key)  # what was read just before
        api_keys.revoke(key.id, world.workspace, clock())
        with pytest.raises(MovedOn):
            plans.decide(plan, world.alice, True, clock())
        assert not performer.asked

    def test_the_key_of_somebody_who_left_confirms_nothing(self, world: World, clock: Clock,
                                                           performer: Performer) -> None:
        bobs, _ = api_keys.create(world.workspace, world.bob, "Bob's", (WRITE_POSTS,), 90, clock())
        plan = plans.propose(bobs, "publish", PUBLISH, "", clock())
        members.remove(world.workspace, "usr_b")
        with pytest.raises(MovedOn, match="left"):
            plans.decide(plan, world.alice, True, clock())
        assert not performer.asked

    def test_a_key_that_is_gone_altogether(self, world: World, ask: Asker, key: ApiKey, clock: Clock,
                                           performer: Performer) -> None:
        plan = ask()
        with writing() as session:
            session.delete(session.get_one(ApiKey, key.id))
        plan = plans.one(world.workspace, plan.id)
        with pytest.raises(MovedOn):
            plans.decide(plan, world.alice, True, clock())
        assert not performer.asked

    def test_pressed_by_many_at_once_it_is_done_once(self, ground: Flask, world: World, ask: Asker, clock: Clock,
                                                     performer: Performer) -> None:
        plan_id, gate, came = ask().id, threading.Barrier(8), list[str]()

        def press(user_id: str) -> None:
            with ground.app_context():
                plan = db.session.get_one(Plan, plan_id)
                user = db.session.get_one(User, user_id)
                gate.wait()
                try:
                    came.append(plans.decide(plan, user, True, clock()).state)
                except MovedOn:
                    came.append("moved on")
                db.session.remove()

        threads = [threading.Thread(target=press, args=(f"usr_{'ab'[number % 2]}",)) for number in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(performer.asked) == 1 and came.count(DONE) == 1 and came.count("moved on") == 7

    def test_confirm_against_decline_has_one_winner(self, ground: Flask, world: World, ask: Asker, clock: Clock,
                                                    performer: Performer) -> None:
        plan_id, gate, came = ask().id, threading.Barrier(2), list[str]()

        def press(confirmed: bool) -> None:
            with ground.app_context():
                plan, user = db.session.get_one(Plan, plan_id), db.session.get_one(User, "usr_a")
                gate.wait()
                try:
                    came.append(plans.decide(plan, user, confirmed, clock()).state)
                except MovedOn:
                    came.append("moved on")
                db.session.remove()

        threads = [threading.Thread(target=press, args=(one,)) for one in (True, False)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(came) in (sorted([DONE, "moved on"]), sorted([DECLINED, "moved on"]))
        assert len(performer.asked) == came.count(DONE)


class TestPerforming:
    def test_what_is_refused_is_kept_with_its_reason_and_can_be_tried_again(
            self, world: World, ask: Asker, clock: Clock, performer: Performer) -> None:
        performer.answer = 422, {"title": "Invalid", "detail": "The text is too long."}
        plan = plans.decide(ask(), world.bob, True, clock())
        assert plan.state == FAILED and plan.result["body"]["detail"] == "The text is too long."
        performer.answer = 201, {}
        plan = plans.again(plan, world.alice, clock.ahead(minutes=1))
        assert (plan.state, plan.decided_by, plan.result["status"]) == (DONE, "alice@example.com", 201)
        with pytest.raises(MovedOn):
            plans.again(plan, world.alice, clock())
        assert len(performer.asked) == 2

    def test_what_broke_off_says_so_and_shows_nothing_of_the_inside(
            self, world: World, ask: Asker, clock: Clock, performer: Performer) -> None:
        performer.answer = RuntimeError("secret inside")
        plan = plans.decide(ask(), world.bob, True, clock())
        assert plan.state == FAILED and "secret inside" not in str(plan.result) and plan.result["status"] == 500

    def test_nothing_is_tried_again_by_itself_or_without_leave(
            self, world: World, ask: Asker, clock: Clock, key: ApiKey, performer: Performer) -> None:
        performer.answer = 409, {"detail": "No."}
        plan = plans.decide(ask("disconnect"), world.alice, True, clock())
        with pytest.raises(NotAllowed):
            plans.again(plan, world.bob, clock())
        with pytest.raises(MovedOn, match="did not succeed"):
            plans.decide(plan, world.alice, True, clock())
        api_keys.revoke(key.id, world.workspace, clock())
        with pytest.raises(MovedOn):
            plans.again(plan, world.alice, clock())
        assert len(performer.asked) == 1

    def test_after_its_time_it_is_not_tried_again(self, world: World, ask: Asker, clock: Clock,
                                                  performer: Performer) -> None:
        performer.answer = 409, {}
        plan = plans.decide(ask(), world.alice, True, clock())
        clock.ahead(days=1)
        with pytest.raises(MovedOn, match="time of this plan is over"):
            plans.again(plan, world.alice, clock())

    def test_one_at_work_is_left_alone_until_it_must_have_broken_off(
            self, ground: Flask, world: World, ask: Asker, clock: Clock, performer: Performer) -> None:
        plan = ask()
        with writing():  # confirmed, and then the process was killed
            plan.state, plan.decided_at, plan.decided_by = CONFIRMED, clock(), "Alice"
        with pytest.raises(MovedOn, match="being done"):
            plans.again(plan, world.alice, clock())
        clock.at += AT_WORK
        assert plans.standing(plan, clock()) == UNCLEAR
        assert plans.again(plan, world.alice, clock()).state == DONE and len(performer.asked) == 1

    def test_a_late_end_of_an_earlier_try_does_not_write_over_the_later(
            self, ground: Flask, world: World, ask: Asker, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = ask()

        def slow(*_: Any) -> tuple[int, dict[str, Any]]:
            with writing():  # somebody took it over meanwhile
                found = db.session.get_one(Plan, plan.id)
                found.state, found.decided_at, found.result = DONE, clock.ahead(minutes=20), {"status": 201}
            return 500, {}

        monkeypatch.setattr(plans, "PERFORM", slow)
        assert plans.decide(plan, world.alice, True, clock()).state == DONE

    def test_each_step_is_in_the_activity(self, world: World, ask: Asker, clock: Clock, performer: Performer) -> None:
        plans.decide(ask(), world.bob, True, clock())
        plans.decide(ask("delete"), world.bob, False, clock())
        performer.answer = 409, {}
        plans.decide(ask("cancel"), world.bob, True, clock())
        told = [one.action for one in db.session.scalars(select(AuditEvent).order_by(AuditEvent.id))
                if one.subject_type == "plan"]
        assert told == ["plan.proposed", "plan.confirmed", "plan.done", "plan.proposed", "plan.declined",
                        "plan.proposed", "plan.confirmed", "plan.failed"]


class TestSubjects:
    def test_posts_and_profiles_of_the_workspace_and_of_no_other(
            self, world: World, account: Account, post: Callable[..., Delivery], ask: Asker, clock: Clock) -> None:
        delivery = post("Hello", minutes=5)
        public = delivery.post_id.replace("pst_", "post_")
        cancel = ask("cancel", request={"method": "POST", "path": f"/v1/posts/{public}/cancel"})
        about = plans.subjects(world.workspace, [ask(), ask("disconnect"), cancel])
        assert set(about.posts) == {delivery.post_id} and set(about.accounts) == {"acc_1"}
        assert [one.id for one in about.chosen[delivery.post_id]] == ["acc_1"]
        about = plans.subjects(world.other, [ask(), cancel])
        assert not about.posts and not about.accounts and not about.chosen

    @pytest.mark.parametrize("ids", [None, "acc_1", {"acc_1": 1}, [1, None, ["acc_1"], {}], [{}]])
    def test_ids_of_any_shape_are_no_trouble(self, world: World, ask: Asker, ids: Any) -> None:
        plan = ask(request={**PUBLISH, "body": {"accountIds": ids}})
        assert plans.account_ids(plan) == [] and not plans.subjects(world.workspace, [plan]).accounts

    def test_many_are_read_as_cheaply_as_one(self, world: World, account: Account, post: Callable[..., Delivery],
                                             key: ApiKey, clock: Clock) -> None:
        def shown() -> int:
            db.session.remove()
            workspace = db.session.get_one(Workspace, "wsp_1")
            with counted() as queries:
                found = plans.waiting(workspace, clock())
                about = plans.subjects(workspace, found)
                assert all(plans.key_of(one, clock()) for one in found) and about
            return len(queries)

        def asks(text: str) -> None:
            public = post(text, minutes=5).post_id.replace("pst_", "post_")
            plans.propose(db.session.get_one(ApiKey, key_id), "delete",
                          {"method": "DELETE", "path": f"/v1/posts/{public}"}, "", clock())

        key_id = key.id
        asks("one")
        few = shown()
        for number in range(10):
            asks(f"more {number}")
        assert shown() == few > 0

    def test_the_role_of_an_owner_is_what_counts_not_the_name_of_the_key(self, world: World, ask: Asker,
                                                                         clock: Clock) -> None:
        plan = ask("disconnect")
        assert plans.why_not(plan, world.workspace, world.bob)
        set_role("usr_b", OWNER)
        assert not plans.why_not(plan, world.workspace, world.bob)
