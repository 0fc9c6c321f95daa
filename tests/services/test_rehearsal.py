"""Check without publishing: a real token, real answers, nothing created at the platform, and an end for all of it."""

import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from werkzeug.exceptions import NotFound

from socialconsole import guarded, media, rehearsal
from socialconsole.checks import Choice
from socialconsole.database import writing
from socialconsole.drafts import Content
from socialconsole.errors import ConfigurationWrong, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.extensions import db
from socialconsole.models import DISCONNECTED, LIVE, PAUSED, Account, Delivery, Grant, Post
from socialconsole.providers import PROVIDERS
from socialconsole.providers.content import Creator
from socialconsole.rehearsal import BAD, LATE, OK, REMARK, Line
from tests.services.conftest import PROFILE, Clock, Script, World

CREATES = {"prepare", "check", "publish", "delete", "follow", "locate"}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Threads of this test alone: none of them outlives its database."""
    yield
    for pool in rehearsal._pools.values():
        pool.shutdown(wait=True)
    rehearsal._pools.clear()


@pytest.fixture(autouse=True)
def creates_nothing(world: World, platform: Script) -> Iterator[None]:
    """Whatever a test does, nothing is created, published or deleted."""
    for step in ("prepare", "check"):
        platform.says(step, None)  # else these steps are not even noted
    yield
    assert not CREATES & {step for step, _ in platform.asked}
    assert not db.session.query(Delivery).count() and not db.session.query(Post).count()


def check(world: World, content: str | Content = "Hello", *ids: str, **choices: Choice) -> list[Line]:
    """What would happen."""
    content = Content(content) if isinstance(content, str) else content
    return rehearsal.rehearse(world.workspace, content, ids or ("acc_1",), choices)


def names(line: Line) -> list[str]:
    """What was looked at."""
    return [step.name for step in line.steps]


def test_a_good_post_would_go_out(world: World, account: Account, platform: Script) -> None:
    line, = check(world)
    assert (line.result, line.text) == (OK, "It would go out.")
    assert names(line) == ["platform", "app", "account", "permission", "limit", "content", "token", "answer"]
    assert platform.asked == [("profile", "access-1")]


def test_a_stale_token_is_renewed_and_used(world: World, account: Account, platform: Script, clock: Clock) -> None:
    clock.ahead(hours=3)
    line, = check(world)
    assert line.result == OK and "renewed" in next(one.text for one in line.steps if one.name == "token")
    assert platform.asked == [("renew", "refresh-1"), ("profile", "access-2")]
    db.session.expire_all()
    assert db.session.get_one(Grant, "grt_1").state == LIVE


def test_what_is_known_to_block_asks_no_platform(world: World, account: Account, platform: Script) -> None:
    with writing():
        account.state = PAUSED
    line, = check(world)
    assert line.result == BAD and "paused" in line.text and platform.asked == []
    assert line.blocker is not None and line.blocker.name == "account"


def test_a_disconnected_profile_has_its_line_too(world: World, account: Account, platform: Script) -> None:
    with writing():
        account.state = DISCONNECTED
    line, = check(world)
    assert line.result == BAD and "disconnected" in line.text and platform.asked == []


def test_a_text_that_does_not_fit_asks_no_platform(world: World, account: Account, platform: Script) -> None:
    line, = check(world, "x" * 281)
    assert line.result == BAD and "1 character too many" in line.text and platform.asked == []


@pytest.mark.parametrize(("error", "result", "fix"), [
    (NeedsReconnect("X no longer accepts this connection.", "401"), BAD, "reconnect"),
    (ConfigurationWrong("X refuses the app.", "403"), BAD, "ask_admin"),
    (RateLimited("X asked us to wait.", "429"), REMARK, "wait"),
    (TryLater("X does not answer at the moment.", "503"), REMARK, "wait"),
    (OutcomeUnknown("X did not answer.", "no_answer"), REMARK, "wait")])
def test_a_refusal_is_told_with_what_helps(
        world: World, account: Account, platform: Script, error: Exception, result: str, fix: str) -> None:
    platform.says("profile", error)
    line, = check(world)
    assert line.result == result and line.blocker is not None and line.blocker.fix == fix
    assert str(error) in line.text


def test_a_refused_token_is_looked_into_soon(
        world: World, account: Account, platform: Script, clock: Clock) -> None:
    platform.says("profile", NeedsReconnect("X no longer accepts this connection.", "401"))
    check(world)
    db.session.expire_all()
    assert db.session.get_one(Account, "acc_1").sync_due_at == clock()


def test_a_renewal_that_gets_no_answer_is_told(world: World, account: Account, platform: Script, clock: Clock) -> None:
    clock.ahead(hours=3)
    platform.says("renew", TryLater("X does not answer at the moment.", "503"))
    line, = check(world)
    assert line.result == REMARK and "goes on trying by itself" in line.text
    assert platform.times("renew") == 1 and platform.times("profile") == 0


def test_who_does_not_answer_ends_in_time_and_keeps_nobody_waiting(
        world: World, account: Account, platform: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing() as session:
        session.add(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43",
                            grant=account.grant, display_name="Hangs", state_since=account.state_since,
                            connected_at=account.connected_at))
    let_go = threading.Event()

    def profile(app: Any, token: str, who: str) -> Any:
        if who == "43":
            let_go.wait(30)
        return PROFILE

    monkeypatch.setattr(PROVIDERS["twitter"], "profile", profile)
    monkeypatch.setattr(rehearsal, "SECONDS", 1.0)
    began = time.monotonic()
    try:
        quick, slow = check(world, "Hello", "acc_1", "acc_2")
    finally:
        let_go.set()
    assert time.monotonic() - began < 10
    assert quick.result == OK and slow.result == LATE and "did not answer in time" in slow.text


def test_a_fault_of_ours_is_told_and_spoils_no_other_line(
        world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROVIDERS["twitter"], "profile", lambda *_: 1 / 0)
    line, = check(world)
    assert line.result == BAD and "broke off" in line.text


def test_what_a_platform_allows_at_this_moment_is_asked(
        world: World, account: Account, platform: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROVIDERS["twitter"], "asks_creator", True)
    monkeypatch.setattr(PROVIDERS["twitter"], "creator", lambda *_: Creator("Acme", problem="No more posts today."))
    line, = check(world)
    assert line.result == BAD and "No more posts today." in line.text and platform.times("profile") == 0


def picture(world: World, size: tuple[int, int] = (64, 64)) -> str:
    """The id of a stored picture."""
    stream = io.BytesIO()
    Image.new("RGB", size, "green").save(stream, "PNG")
    stream.seek(0)
    return media.store(world.workspace, world.alice, stream, "buns.png").id


def test_pictures_are_converted_once_for_all_who_take_them_alike(
        world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing() as session:
        session.add(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43",
                            grant=account.grant, display_name="Second", state_since=account.state_since,
                            connected_at=account.connected_at))
    file_id, adapted, seen = picture(world), media.adapted, []

    def noted(file: Any, *more: Any) -> Any:
        seen.append(file.id)
        return adapted(file, *more)

    monkeypatch.setattr(media, "adapted", noted)
    lines = check(world, Content("Buns", media=(file_id,)), "acc_1", "acc_2")
    assert [line.result for line in lines] == [OK, OK] and seen == [file_id]
    assert all("files" in names(line) for line in lines)


def test_a_picture_that_cannot_be_converted_is_told(
        world: World, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise media.Refused("buns.png is too small for X.")

    file_id = picture(world)
    monkeypatch.setattr(media, "adapted", refuse)
    line, = check(world, Content("Buns", media=(file_id,)))
    assert line.result == BAD and "too small" in line.text
    assert line.blocker is not None and line.blocker.fix == "edit"


@pytest.mark.parametrize(("status", "result", "words"), [
    (200, OK, "It would go out."), (404, REMARK, "answers 404"), (0, REMARK, "could not be looked up")])
def test_a_link_is_looked_up(world: World, account: Account, monkeypatch: pytest.MonkeyPatch, status: int, result: str,
                             words: str) -> None:
    def get(url: str, **_: Any) -> guarded.Fetched:
        if not status:
            raise guarded.Refused("There is no server named example.com.")
        return guarded.Fetched(url, status, "text/html")

    monkeypatch.setattr(guarded, "get", get)
    line, = check(world, "Look: https://example.com/buns")
    assert line.result == result and words in line.text


def test_strangers_are_passed_over(world: World, account: Account, clock: Clock) -> None:
    with writing() as session:
        session.add(Account(id="acc_9", workspace_id="wsp_2", platform="twitter", platform_user_id="9",
                            state_since=clock(), connected_at=clock()))
    assert [line.account.id for line in check(world, "Hello", "acc_9", "acc_1", "acc_none", "acc_1")] == ["acc_1"]
    with pytest.raises(NotFound):
        check(world, Content("Hello", media=("med_stranger",)))


def test_a_hundred_profiles_are_answered_together(
        world: World, account: Account, platform: Script, clock: Clock) -> None:
    with writing() as session:
        for number in range(99):
            session.add(Account(id=f"acc_x{number}", workspace_id="wsp_1", platform="twitter",
                                platform_user_id=f"u{number}", grant=account.grant, display_name=f"P{number}",
                                state_since=clock(), connected_at=clock()))
    lines = check(world, "Hello", "acc_1", *(f"acc_x{number}" for number in range(99)))
    assert len(lines) == 100 and platform.times("profile") <= 100
    assert all(line.result in (OK, LATE) for line in lines)
