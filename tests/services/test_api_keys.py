"""API keys: what one may, how long it holds, and that it never does more than the person who made it."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select, update

from socialconsole import access, api_keys, members
from socialconsole.api_keys import (
    ACTIVE,
    APPROVE,
    ENDED,
    ENDS_SOON,
    INSTANCE,
    LIMITED,
    MANAGE_ACCOUNTS,
    MANAGE_WORKSPACE,
    MOST_KEYS,
    PERMISSIONS,
    READ,
    REVOKED,
    STOPPED,
    UNATTENDED,
    WRITE_POSTS,
    Invalid,
)
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import EDITOR, OWNER, VIEWER, AuditEvent, Membership, User, Workspace
from socialconsole.models_api import ApiKey

from .conftest import Clock, World
from .test_plans import counted


def make(world: World, clock: Clock, *permissions: str, user: User | None = None, days: int | None = 90,
         name: str = "Release job") -> tuple[ApiKey, str]:
    return api_keys.create(world.workspace, user or world.alice, name, permissions or (READ,), days, clock())


def set_role(user_id: str, role: str) -> None:
    with writing():
        db.session.get_one(Membership, ("wsp_1", user_id)).role = role


def errors(work: Callable[[], Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        work()
    return refusal.value.errors


class TestMaking:
    def test_the_key_is_found_by_its_text_and_only_its_hash_is_kept(self, world: World, clock: Clock) -> None:
        key, token = make(world, clock)
        assert token.startswith("sck_") and len(token) == 44 and token.isascii()
        found = api_keys.find(token, clock())
        assert found is not None and found.id == key.id
        for table in inspect(db.engine).get_table_names():
            for row in db.session.execute(select(db.metadata.tables[table])) if table in db.metadata.tables else ():
                assert token not in repr(tuple(row)) and token[12:] not in repr(tuple(row)), table

    def test_two_keys_are_never_the_same(self, world: World, clock: Clock) -> None:
        assert len({make(world, clock)[1] for _ in range(20)}) == 20

    @pytest.mark.parametrize("name", ["", "   ", "\n\t", "\x00", "x" * 101])
    def test_a_name_is_needed(self, world: World, clock: Clock, name: str) -> None:
        assert set(errors(lambda: make(world, clock, name=name))) == {"name"}

    def test_a_name_stays_in_one_line_without_what_cannot_be_seen(self, world: World, clock: Clock) -> None:
        key, _ = make(world, clock, name="  Release\r\n job \u202e\x1b[31m ")
        assert key.name == "Release job [31m"

    @pytest.mark.parametrize("days", [0, -1, 3651])
    def test_days_have_bounds(self, world: World, clock: Clock, days: int) -> None:
        assert set(errors(lambda: make(world, clock, days=days))) == {"days"}

    def test_only_permissions_that_there_are(self, world: World, clock: Clock) -> None:
        assert "nothing_like_it" in errors(lambda: make(world, clock, READ, "nothing_like_it"))["permissions"]
        assert "permissions" in errors(lambda: make(world, clock, INSTANCE))
        assert "permissions" in errors(lambda: api_keys.create(world.workspace, world.alice, "x", (), 30, clock()))

    def test_an_editor_gives_no_more_than_an_editor_may(self, world: World, clock: Clock) -> None:
        key, _ = make(world, clock, READ, WRITE_POSTS, user=world.bob)
        assert key.permissions == [READ, WRITE_POSTS]
        for beyond in (APPROVE, MANAGE_ACCOUNTS, MANAGE_WORKSPACE, UNATTENDED):
            with pytest.raises(Invalid, match=PERMISSIONS[beyond].label):
                make(world, clock, READ, beyond, user=world.bob)

    def test_a_stranger_makes_none_at_all(self, world: World, clock: Clock) -> None:
        for one in PERMISSIONS:
            with pytest.raises(Invalid):
                api_keys.create(world.other, world.alice, "x", (one,), 30, clock())

    def test_only_an_admin_makes_one_of_the_installation(self, world: World, clock: Clock) -> None:
        assert "permissions" in errors(lambda: api_keys.create(None, world.alice, "x", (), 30, clock()))
        with writing():
            world.alice.is_platform_admin = True
        key, token = api_keys.create(None, world.alice, "x", (), 30, clock())
        assert key.permissions == [INSTANCE] and key.workspace_id is None
        assert api_keys.find(token, clock()) is not None
        assert api_keys.may(key, "admin") and not any(api_keys.may(key, one) for one in access.PERMISSIONS)

    def test_only_so_many_hold_at_a_time_and_ended_ones_make_room(self, world: World, clock: Clock) -> None:
        for number in range(MOST_KEYS):
            make(world, clock, days=1 if number == 0 else 90)
        assert str(MOST_KEYS) in errors(lambda: make(world, clock))["name"]
        clock.ahead(days=2)
        made, _ = make(world, clock)
        assert errors(lambda: make(world, clock))
        api_keys.revoke(made.id, world.workspace, clock())
        make(world, clock)

    def test_the_last_room_is_given_to_one_of_many(self, ground: Flask, world: World, clock: Clock) -> None:
        for _ in range(MOST_KEYS - 1):
            make(world, clock)
        made: list[str] = []

        def work() -> None:
            with ground.app_context():
                workspace = db.session.merge(world.workspace, load=False)
                with suppress(Invalid):
                    made.append(api_keys.create(workspace, db.session.get_one(User, "usr_a"), "x", (READ,), 1,
                                                clock())[0].id)
                db.session.remove()

        together([work] * 4)
        assert len(made) == 1

    def test_making_and_revoking_are_told_without_the_key(self, world: World, clock: Clock) -> None:
        key, token = make(world, clock)
        api_keys.revoke(key.id, world.workspace, clock())
        told = [one for one in db.session.scalars(select(AuditEvent)) if one.subject_type == "api_key"]
        assert [one.action for one in told] == ["key.created", "key.revoked"]
        assert not any(token in f"{one.summary}{one.detail}" for one in told)


def together(works: list[Callable[[], None]]) -> None:
    """Run these at the same time, each in a thread of its own."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        gate.wait()
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


class TestHolding:
    def test_it_ends_on_time_and_never_where_it_has_no_end(self, world: World, clock: Clock) -> None:
        (_, short), (_, endless) = make(world, clock, days=30), make(world, clock, days=None)
        clock.ahead(days=29, hours=23)
        assert api_keys.find(short, clock()) is not None
        clock.ahead(hours=1)
        assert api_keys.find(short, clock()) is None
        clock.ahead(days=4000)
        assert api_keys.find(endless, clock()) is not None

    def test_a_revoked_one_is_refused_at_once_and_revoking_again_changes_nothing(
            self, world: World, clock: Clock) -> None:
        key, token = make(world, clock)
        first = api_keys.revoke(key.id, world.workspace, clock()).revoked_at
        assert api_keys.find(token, clock()) is None
        clock.ahead(hours=1)
        assert api_keys.revoke(key.id, world.workspace, clock()).revoked_at == first

    @pytest.mark.parametrize("text", ["", "sck_", "sck_" + "a" * 40, "sck_" + "é" * 40, "sck_" + "\udcff" * 40,
                                      "Bearer", "x" * 44, "sck_" + "a" * 4000])
    def test_any_other_text_finds_nothing(self, world: World, clock: Clock, text: str) -> None:
        make(world, clock)
        assert api_keys.find(text, clock()) is None

    def test_neither_a_part_nor_the_hash_of_a_key_opens_anything(self, world: World, clock: Clock) -> None:
        key, token = make(world, clock)
        for text in (token[:-1], token + "x", token.upper(), key.token_hash, f" {token}", key.prefix):
            assert api_keys.find(text, clock()) is None

    def test_it_notes_once_a_minute_when_and_from_where_it_was_used(self, world: World, clock: Clock) -> None:
        key, token = make(world, clock)
        api_keys.find(token, clock(), "192.0.2.1")
        first = clock()
        clock.ahead(seconds=30)
        found = api_keys.find(token, clock(), "192.0.2.2")
        assert found is not None and (found.last_used_at, found.last_used_from) == (first, "192.0.2.1")
        clock.ahead(seconds=30)
        found = api_keys.find(token, clock(), "2001:db8::2" + "f" * 99)
        assert found is not None and found.last_used_at == clock() and found.last_used_from.startswith("2001:db8::2")
        assert len(found.last_used_from) == 45

    def test_a_clock_that_was_put_back_does_not_stop_the_note(self, world: World, clock: Clock) -> None:
        _, token = make(world, clock)
        clock.ahead(days=2)
        api_keys.find(token, clock(), "192.0.2.1")
        clock.ahead(days=-1)
        found = api_keys.find(token, clock(), "192.0.2.9")
        assert found is not None and found.last_used_from == "192.0.2.9"


class TestItsPerson:
    def test_a_key_stops_with_its_person_and_does_not_come_back_with_them(self, world: World, clock: Clock) -> None:
        key, token = make(world, clock, READ, WRITE_POSTS, user=world.bob)
        members.remove(world.workspace, "usr_b")
        assert api_keys.find(token, clock()) is None and not api_keys.may(key, "see")
        clock.ahead(hours=1)
        with writing():
            members.add("wsp_1", db.session.get_one(User, "usr_b"), OWNER, clock())
        assert api_keys.find(token, clock()) is None and not api_keys.may(key, "see")
        again, fresh = make(world, clock, user=world.bob)
        assert api_keys.find(fresh, clock()) is not None and api_keys.may(again, "see")

    def test_a_smaller_role_makes_a_smaller_key(self, world: World, clock: Clock) -> None:
        set_role("usr_b", OWNER)
        key, token = make(world, clock, *PERMISSIONS, user=world.bob)
        assert all(api_keys.may(key, one) for one in access.PERMISSIONS) and api_keys.is_unattended(key)
        set_role("usr_b", EDITOR)
        assert {one for one in access.PERMISSIONS if api_keys.may(key, one)} == {"see", "compose", "reconnect"}
        assert not api_keys.is_unattended(key)
        set_role("usr_b", VIEWER)
        assert {one for one in access.PERMISSIONS if api_keys.may(key, one)} == {"see"}
        assert api_keys.find(token, clock()) is not None

    def test_a_key_may_no_more_than_was_ticked_however_great_its_person(self, world: World, clock: Clock) -> None:
        for name, one in PERMISSIONS.items():
            key, _ = make(world, clock, name)
            assert {what for what in access.PERMISSIONS if api_keys.may(key, what)} == one.covers
            assert api_keys.is_unattended(key) is (name == UNATTENDED)
            assert not api_keys.may(key, "admin")

    def test_an_admins_key_stops_with_the_admin(self, world: World, clock: Clock) -> None:
        with writing():
            world.alice.is_platform_admin = True
        key, token = api_keys.create(None, world.alice, "x", (), None, clock())
        with writing():
            db.session.get_one(User, "usr_a").is_platform_admin = False
        assert api_keys.find(token, clock()) is None and not api_keys.may(key, "admin")

    def test_a_permission_that_is_no_more_is_worth_nothing(self, world: World, clock: Clock) -> None:
        key, _ = make(world, clock)
        with writing():
            db.session.execute(update(ApiKey).values(permissions=["of_old", "admin", "see"]))
        db.session.refresh(key)
        assert not any(api_keys.may(key, one) for one in (*access.PERMISSIONS, "admin"))
        assert api_keys.lines([key], clock())[0].state == ACTIVE


class TestListing:
    def test_by_part_of_a_name_or_the_first_letters(self, world: World, clock: Clock) -> None:
        key, token = make(world, clock, name="Release JOB")
        make(world, clock, name="Backup")
        def found(text: str) -> list[str]:
            return [one.name for one in api_keys.listed(world.workspace, text)]
        assert found("") == ["Backup", "Release JOB"]
        assert found("job") == found(token) == found(token[:12]) == [key.name]
        assert found("no such") == found(token[13:20]) == []

    def test_a_workspace_sees_its_own_only(self, world: World, clock: Clock) -> None:
        key, _ = make(world, clock)
        assert api_keys.listed(world.other) == api_keys.listed(None) == []
        for place in (world.other, None):
            with pytest.raises(Exception, match="404"):
                api_keys.one(key.id, place)
            with pytest.raises(Exception, match="404"):
                api_keys.revoke(key.id, place, clock())
        db.session.refresh(key)
        assert key.revoked_at is None

    def test_each_says_how_it_stands(self, world: World, clock: Clock) -> None:
        set_role("usr_b", OWNER)
        made = {"fine": make(world, clock, days=None)[0], "soon": make(world, clock, days=14)[0],
                "revoked": make(world, clock)[0], "less": make(world, clock, APPROVE, user=world.bob)[0]}
        made["ended"] = make(world, clock, days=1)[0]
        api_keys.revoke(made["revoked"].id, world.workspace, clock())
        clock.ahead(days=1)
        set_role("usr_b", VIEWER)
        def states() -> dict[str, str]:
            by_id = {one.key.id: one.state for one in api_keys.lines(api_keys.listed(world.workspace), clock())}
            return {name: by_id[key.id] for name, key in made.items()}
        assert states() == {"fine": ACTIVE, "soon": ENDS_SOON, "revoked": REVOKED, "less": LIMITED, "ended": ENDED}
        members.remove(world.workspace, "usr_b")
        assert states()["less"] == STOPPED

    def test_the_list_asks_the_database_as_often_for_many_as_for_one(self, world: World, clock: Clock) -> None:
        def asked() -> int:
            db.session.remove()
            workspace = db.session.get_one(Workspace, "wsp_1")
            with counted() as queries:
                for line in api_keys.lines(api_keys.listed(workspace), clock()):
                    assert line.key.user.shown
            return len(queries)

        def add(user_id: str) -> None:
            api_keys.create(db.session.get_one(Workspace, "wsp_1"), db.session.get_one(User, user_id), "x", (READ,), 1,
                            clock())

        add("usr_a")
        few = asked()
        for number in range(10):
            add(f"usr_{'ab'[number % 2]}")
        assert asked() == few > 0
