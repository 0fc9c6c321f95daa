"""What disconnecting achieved at the platform: kept as facts, proved where it can tell, settled by a person."""

import pytest

from socialconsole import disconnections
from socialconsole.errors import AttemptFailed
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, Account, AuditEvent
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Revoke


def disconnect(world, account):
    return disconnections.disconnect(account, world.alice, cancel_posts=False)


@pytest.fixture
def told(monkeypatch):
    """What the platform says when it is asked about a token afterwards."""
    asked = []

    def says(answer):
        monkeypatch.setattr(PROVIDERS["twitter"], "still_valid",
                            lambda app, held: (asked.append(held.access_token), answer)[1])
        return asked

    return says


@pytest.mark.parametrize(("valid", "proof", "settled"), [
    (None, "", True), (False, "gone", True), (True, "works", False)])
def test_revoked_with_the_proof_the_platform_gives(world, platform, account, told, valid, proof, settled, clock):
    asked = told(valid)
    found = disconnect(world, account)
    assert (found.outcome, found.proof, found.is_settled, found.at) == (
        disconnections.REVOKED, proof, settled, clock())
    assert asked == ["access-1"]
    assert "confirmed that the permission is gone" in found.sentence
    assert ("still works" in found.sentence) == (valid is True)


def test_failed_is_told_with_the_manual_path_and_a_person_can_settle_it(world, platform, account, told, clock):
    told(None)
    platform.says("revoke", AttemptFailed("X cannot be reached."))
    found = disconnect(world, account)
    assert found.outcome == disconnections.FAILED and not found.is_settled
    assert PROVIDERS["twitter"].revoke_where in found.sentence
    clock.ahead(minutes=3)
    assert disconnections.removed_there(account, world.bob)
    assert not disconnections.removed_there(account, world.bob)
    again = disconnections.revocation(db.session.get_one(Account, account.id))
    assert again.is_settled and again.confirmed_by == world.bob.shown and again.confirmed_at == clock()


def test_not_offered_asks_nobody(world, platform, account, told, monkeypatch):
    asked = told(True)
    monkeypatch.setattr(PROVIDERS["twitter"], "revoke_kind", Revoke.NOT_OFFERED)
    found = disconnect(world, account)
    assert found.outcome == disconnections.NOT_OFFERED and platform.times("revoke") == 0 and asked == []


def test_it_stays_where_others_live_by_it(world, platform, account, told, clock):
    told(True)
    with disconnections.writing() as session:
        session.add(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43",
                            grant_id="grt_1", state=ACTIVE, state_since=clock(), connected_at=clock()))
    found = disconnect(world, account)
    assert found.outcome == disconnections.STAYS and "1 other connection lives" in found.sentence


def test_it_stands_in_the_activity_as_a_fact(world, platform, account, told):
    told(False)
    disconnect(world, account)
    event = db.session.query(AuditEvent).filter_by(action="account.revoked").one()
    assert event.detail["outcome"] == "revoked" and event.detail["proof"] == "gone"


def test_a_connected_account_has_nothing_to_settle(world, platform, account):
    assert not disconnections.removed_there(account, world.alice)
