"""The account limit of a workspace: asked before the consent, and again when accounts are saved, by two at once too."""

import threading

import pytest
from sqlalchemy import func, select

from socialconsole import connections, disconnections, workspaces
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import DISCONNECTED, GRANTED, Account, ConnectionAttempt, User
from socialconsole.providers.base import Consent, Profile

from .conftest import SCOPES, pair

PAGES = tuple(Profile(str(number), f"page{number}", f"Page {number}") for number in range(4))


@pytest.fixture(autouse=True)
def consents(platform):
    """Each consent covers four profiles."""
    platform.says("consent", Consent(pair(1), "42", "Mara", SCOPES, PAGES))


def limit(world, number):
    workspaces.save_limits(world.workspace, world.workspace.name, str(number), "")


def granted(world) -> ConnectionAttempt:
    address = connections.begin(world.app, world.workspace, world.alice, world.login, "a browser")
    state = address.split("state=")[1].split("&")[0]
    attempt = connections.finish("twitter", {"state": state, "code": "c0de"}, world.login, "a browser")
    assert attempt.state == GRANTED, attempt.error
    return attempt


def connected() -> int:
    return db.session.scalar(select(func.count()).select_from(Account).where(Account.state != DISCONNECTED)) or 0


def test_without_a_limit_all_are_connected(world):
    connections.confirm(granted(world), ["0", "1", "2", "3"], world.alice)
    assert connected() == 4 and workspaces.room(world.workspace).words == "4 accounts"


def test_more_than_there_is_room_for_connects_none_and_can_be_chosen_anew(world):
    limit(world, 2)
    attempt = granted(world)
    with pytest.raises(connections.OverLimit, match="0 of 2 accounts are connected, so 2 more can be, and you chose 3"):
        connections.confirm(attempt, ["0", "1", "2"], world.alice)
    assert (connected(), attempt.state) == (0, GRANTED)
    connections.confirm(attempt, ["0", "1"], world.alice)
    assert connected() == 2 and workspaces.room(world.workspace).words == "2 of 2 accounts"


def test_no_consent_is_asked_for_where_there_is_no_room(world):
    limit(world, 1)
    connections.confirm(granted(world), ["0"], world.alice)
    with pytest.raises(connections.OverLimit, match="ask a platform admin"):
        granted(world)
    limit(world, 2)
    assert granted(world)


def test_reconnecting_needs_no_room(world):
    account = connections.confirm(granted(world), ["0"], world.alice)[0]
    attempt = granted(world)
    limit(world, 0)
    assert connections.begin(world.app, world.workspace, world.alice, world.login, "a browser", account=account)
    assert connections.confirm(attempt, ["0"], world.alice)[0].id == account.id
    assert connected() == 1


def test_a_disconnected_profile_makes_room_and_needs_it_to_come_back(world):
    limit(world, 1)
    account = connections.confirm(granted(world), ["0"], world.alice)[0]
    disconnections.disconnect(account, world.alice, cancel_posts=False)
    connections.confirm(granted(world), ["1"], world.alice)
    with pytest.raises(connections.OverLimit):
        connections.begin(world.app, world.workspace, world.alice, world.login, "a browser", account=account)


def test_another_workspaces_accounts_take_no_room(world):
    limit(world, 1)
    connections.confirm(granted(world), ["0"], world.alice)
    assert workspaces.room(world.other).words == "0 accounts"


def test_two_who_confirm_at_once_stay_within_the_limit(ground, world):
    attempts = [granted(world).id for _ in range(4)]
    limit(world, 1)
    gate, refused = threading.Barrier(len(attempts)), []

    def run(number: int) -> None:
        with ground.app_context():
            found = db.session.get_one(ConnectionAttempt, attempts[number])
            user = db.session.get_one(User, "usr_a")
            gate.wait()
            try:
                connections.confirm(found, [str(number)], user)
            except connections.OverLimit as error:
                refused.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(attempts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (connected(), len(refused)) == (1, 3)


def test_a_limit_below_what_is_there_keeps_what_is_there(world):
    connections.confirm(granted(world), ["0", "1"], world.alice)
    limit(world, 1)
    room = workspaces.room(world.workspace)
    assert (room.words, room.left, room.is_full, connected()) == ("2 of 1 account", 0, True, 2)
    with writing():
        world.workspace.account_limit = None
    assert workspaces.room(world.workspace).left is None
