"""Why can't this be published: one thing in the way at a time, each is named, with who or what helps."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from socialconsole import diagnosis, platform_apps
from socialconsole.database import writing
from socialconsole.diagnosis import Step
from socialconsole.drafts import Content
from socialconsole.models import (
    CANCELLED,
    DEAD,
    DISCONNECTED,
    DRAFT,
    FAILED,
    HELD,
    MISSED,
    PAUSED,
    PROCESSING,
    PUBLISHED,
    SUBMITTED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Account,
    Delivery,
)
from tests.services.conftest import SCOPES, Clock, Script, World

ORDER = ["platform", "app", "account", "permission", "limit", "content", "approval", "schedule"]


def steps(world: World, account: Account, delivery: Delivery | None = None, **more: Any) -> list[Step]:
    """What was looked at."""
    return diagnosis.why(world.workspace, account, delivery, **more)


def test_a_post_that_nothing_blocks_passes_everything_in_order(
        world: World, account: Account, post: Callable[..., Delivery], platform: Script) -> None:
    found = steps(world, account, post("Hello", minutes=5))
    assert [one.name for one in found] == ORDER and all(one.passed for one in found)
    assert found[-1].text == "It goes out 21 Nov 2026, 10:05 CET."
    assert diagnosis.blocker(found) is None and platform.asked == []


def test_a_profile_alone_is_looked_at_without_a_post(world: World, account: Account) -> None:
    assert [one.name for one in steps(world, account)] == ORDER[:5]


def put(row: Any, **columns: Any) -> None:
    """Set columns of a row."""
    for name, value in columns.items():
        setattr(row, name, value)


# what is in the way -> the step that says so, a piece of its words, what helps
BLOCKS: dict[str, tuple[Callable[[World, Account, Delivery, Clock], None], str, str, str]] = {
    "off": (lambda w, a, d, c: put(w.app, is_on=False), "platform", "switched off", diagnosis.ASK_ADMIN),
    "secret": (lambda w, a, d, c: put(w.app, secret_sealed=b"-"), "app", "cannot be opened",
               diagnosis.ASK_ADMIN),
    "trouble": (lambda w, a, d, c: put(w.app, trouble="X says that the app is suspended."), "app",
                "is suspended", diagnosis.ASK_ADMIN),
    "breaker": (lambda w, a, d, c: put(w.app, breaker_opened_at=c(), breaker_scope="all",
                                        breaker_until=c() + timedelta(minutes=4)), "app",
                "tries again 21 Nov 2026, 10:04 CET", diagnosis.WAIT),
    "paused": (lambda w, a, d, c: put(a, state=PAUSED, state_by="Bob"), "account",
               "Paused by Bob", diagnosis.RESUME),
    "expired": (lambda w, a, d, c: put(a, state=TOKEN_EXPIRED, reason_text="You revoked it."),
                "account", "You revoked it.", diagnosis.RECONNECT),
    "disconnected": (lambda w, a, d, c: put(a, state=DISCONNECTED, grant=None), "account",
                     "Connect the profile again", diagnosis.RECONNECT),
    "dead": (lambda w, a, d, c: put(a.grant, state=DEAD), "account", "no longer accepts", diagnosis.RECONNECT),
    "other app": (lambda w, a, d, c: put(w.app, generation=2), "account", "exchanged", diagnosis.RECONNECT),
    "run out": (lambda w, a, d, c: put(a.grant, refresh_expires_at=c() - timedelta(minutes=1)), "account",
                "ran out", diagnosis.RECONNECT),
    "not renewed": (lambda w, a, d, c: put(
        a.grant, attempts=3, last_error="X does not answer.",
        access_expires_at=c() - timedelta(minutes=1), due_at=c() + timedelta(minutes=2)),
                    "account", "The next try is 21 Nov 2026, 10:02 CET",
        diagnosis.WAIT),
    "scope": (lambda w, a, d, c: put(a.grant, scopes_granted=sorted(SCOPES - {"tweet.write"})), "permission",
              "tweet.write", diagnosis.RECONNECT),
    "quiet": (lambda w, a, d, c: put(a, quiet_until=c() + timedelta(minutes=30)), "limit",
              "21 Nov 2026, 10:30 CET", diagnosis.WAIT),
    "quiet app": (lambda w, a, d, c: put(w.app, quiet_until=c() + timedelta(minutes=9)), "limit", "10:09 CET",
                  diagnosis.WAIT),
    "content": (lambda w, a, d, c: put(d.post, text="x" * 281), "content", "1 character too many",
                diagnosis.EDIT),
    "submitted": (lambda w, a, d, c: put(d.post, state=SUBMITTED), "approval", "owner", diagnosis.APPROVE),
    "draft": (lambda w, a, d, c: put(d.post, state=DRAFT), "approval", "Nobody has scheduled it",
              diagnosis.EDIT),
    "missed": (lambda w, a, d, c: put(d, state=MISSED), "schedule", "new time", diagnosis.RESCHEDULE),
    "failed": (lambda w, a, d, c: put(d, state=FAILED, note="X refused it: a duplicate."),
               "schedule", "X refused it: a duplicate.", diagnosis.EDIT),
    "held": (lambda w, a, d, c: put(d, state=HELD), "schedule", "may be over", diagnosis.RESCHEDULE),
    "cancelled": (lambda w, a, d, c: put(d, state=CANCELLED), "schedule", "Nothing is sent",
                  diagnosis.RESCHEDULE),
    "unconfirmed": (lambda w, a, d, c: put(d, state=UNCONFIRMED), "schedule", "may have it", diagnosis.DECIDE),
    "late": (lambda w, a, d, c: put(d, scheduled_for=c() - timedelta(hours=3)), "schedule", "new time",
             diagnosis.RESCHEDULE),
}


@pytest.mark.parametrize("what", BLOCKS)
def test_each_obstacle_is_named_and_nothing_after_it_is_looked_at(
        world: World, account: Account, post: Callable[..., Delivery], clock: Clock, what: str) -> None:
    set_up, name, words, fix = BLOCKS[what]
    delivery = post("Hello", minutes=5)
    with writing():
        set_up(world, account, delivery, clock)
    found = steps(world, account, delivery)
    stopped = diagnosis.blocker(found)
    assert stopped is not None and (stopped.name, stopped.fix) == (name, fix)
    assert words in f"{stopped.title} {stopped.text}"
    assert all(one.passed for one in found[:-1])
    assert [one.name for one in found] == [one for one in ORDER if one in {step.name for step in found}]


def test_a_profile_of_the_sandbox_needs_the_sandbox(
        world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_apps, "is_reachable", lambda app: False)
    assert "sandbox" in steps(world, account)[-1].text


def test_the_first_of_several_obstacles_is_named(
        world: World, account: Account, post: Callable[..., Delivery]) -> None:
    delivery = post("x" * 300)
    with writing():
        world.app.is_on, account.state = False, PAUSED
    assert [one.name for one in steps(world, account, delivery)] == ["platform"]


def test_those_who_can_help_are_named(world: World, account: Account) -> None:
    with writing():
        world.app.is_on = False
        world.bob.is_platform_admin, world.bob.name = True, "Bob"
    assert steps(world, account)[-1].who == "Bob"
    with writing():
        world.app.is_on, account.state = True, PAUSED
    assert steps(world, account)[-1].who == "alice@example.com"


@pytest.mark.parametrize("state", [PUBLISHED, PROCESSING])
def test_what_is_out_or_on_its_way_is_not_blocked_by_its_text(
        world: World, account: Account, post: Callable[..., Delivery], state: str) -> None:
    delivery = post("x" * 300)
    with writing():
        delivery.state = state
    assert diagnosis.blocker(steps(world, account, delivery)) is None


def test_another_content_can_be_asked_about(world: World, account: Account) -> None:
    found = steps(world, account, content=Content("x" * 300))
    assert found[-1].name == "content" and not found[-1].passed


def test_what_only_renewals_meet_does_not_block_publishing(world: World, account: Account, clock: Clock) -> None:
    with writing():
        world.app.breaker_opened_at, world.app.breaker_scope = clock(), "renew"
        world.app.trouble, world.app.trouble_code = "X fails for all profiles alike.", "breaker"
    assert diagnosis.blocker(steps(world, account)) is None
