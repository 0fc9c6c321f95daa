"""A worker is killed at every commit, every write into the spool and every call of one renewal: no token is lost.

Only a token that may be sent once, whose answer was destroyed before the spool had it, is beyond help: then the person
is told why. The platform of this play keeps its own account of which refresh tokens it gave, and which were spent.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from socialconsole import heartbeat, spool, tokens
from socialconsole.database import writing
from socialconsole.errors import NeedsReconnect, OutcomeUnknown, TryLater
from socialconsole.extensions import db
from socialconsole.journal import FOLDER
from socialconsole.models import (
    ACTIVE,
    DEAD,
    LIVE,
    RENEWING,
    TOKEN_EXPIRED,
    UNSURE,
    Account,
    AuditEvent,
    Grant,
    PlatformApp,
)
from socialconsole.providers.base import Replay, TokenSet
from socialconsole.providers.oauth2 import connectable
from tests.services.conftest import Clock, pair
from tests.services.test_crash_points import Killed, Mortal, bury, commits_may_kill

ROUNDS = 8
LEEWAY = timedelta(minutes=10)  # in which a platform with grace still takes a spent token
STRICT, GRACE, REUSABLE = "strict", "grace", "reusable"
# What the console knows of a platform; it treats a leeway like a token that stays, since it comes back at once.
FACTS = {STRICT: Replay.STRICT, GRACE: Replay.REUSABLE, REUSABLE: Replay.REUSABLE}
LOST = "its answer was lost after the token was spent"


@dataclass
class Issuer(Mortal):
    """A token endpoint with its own account of what it gave, and the points at which the worker may die."""

    policy: str
    clock: Clock
    answers: list[Any] = field(default_factory=list)  # once each; an exception, or LOST with one; None: a pair
    numbers: Any = field(default_factory=lambda: iter(range(2, 1000)))
    valid: set[str] = field(default_factory=lambda: {"refresh-1"})
    spent: dict[str, datetime] = field(default_factory=dict)
    sends: list[tuple[str, datetime]] = field(default_factory=list)
    given: list[TokenSet] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # spent with an answer that this issuer destroyed itself

    def renew(self, app: Any, held: TokenSet) -> TokenSet:
        self.point("before the call")
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None and answer is not LOST:
            raise answer
        made = self._rotated(str(held.refresh_token))
        self.point("after the call")
        if answer is LOST:
            self.lost.add(str(held.refresh_token))
            raise OutcomeUnknown("X gave no answer.", "no_answer")
        return made

    def _rotated(self, sent: str) -> TokenSet:
        now = self.clock()
        self.sends.append((sent, now))
        is_late = self.policy == GRACE and sent in self.spent and now - self.spent[sent] <= LEEWAY
        if sent not in self.valid and not is_late:
            if self.policy == STRICT:
                self.valid.clear()  # the whole family ends: nothing is worse than a spent token sent again
            raise NeedsReconnect("X ended this connection. Connect again.", "invalid_grant")
        made = pair(next(self.numbers))
        if self.policy == REUSABLE:
            made = TokenSet(made.access_token, None, made.expires_in, None, made.scopes)
        else:
            self.valid = {str(made.refresh_token)}
            self.spent.setdefault(sent, now)
        self.given.append(made)
        return made


@dataclass
class Ended:
    """How a renewal ended: what the rows say, and what happened on the way."""

    until: datetime  # when the access token runs out that lived at the beginning
    state: str = ""
    refresh: str | None = None
    account: str = ""
    reason: str = ""
    died: list[str] = field(default_factory=list)  # the points
    was_spooled: bool = False  # a whole frame lay on the disk when the first worker died
    was_destroyed: bool = False  # the platform had answered it, and neither the spool nor the database had that
    was_unsure: bool = False
    actions: tuple[str, ...] = ()


class Disk:
    """The files of the spool: each write and each sync is a point, and a write may be torn in its middle.

    With the power goes what was not synced.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: list[Issuer]) -> None:
        self.at, self.synced = at, dict[str, bytes]()
        self.pwrite, rename, unlink = os.pwrite, os.rename, os.unlink
        patch.setattr(os, "pwrite", self.write)
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, partial(self.sync, getattr(os, name)))
        patch.setattr(os, "rename", lambda old, new: self.around("a rename", partial(rename, old, new)))
        patch.setattr(os, "unlink", lambda path, **more: self.around("a removal", partial(unlink, path, **more)))

    def around(self, what: str, do: Callable[[], Any]) -> Any:
        if not self.at:
            return do()
        self.at[-1].point(f"before {what}")
        done = do()
        self.at[-1].point(f"after {what}")
        return done

    def write(self, file: int, data: Any, start: int) -> int:
        if not self.at:
            return self.pwrite(file, data, start)
        what = "a frame" if any(data) else "blanks"

        def whole() -> int:
            self.pwrite(file, bytes(data)[: len(data) // 2], start)
            self.at[-1].point(f"within {what}")
            return self.pwrite(file, data, start)

        done: int = self.around(what, whole)
        return done

    def sync(self, real: Callable[[int], None], file: int) -> None:
        def keep() -> None:
            real(file)
            path = Path(os.readlink(f"/proc/self/fd/{file}"))
            if path.is_file():
                self.synced[path.stem] = path.read_bytes()

        self.around("a sync", keep)

    def power_goes(self, folder: Path) -> None:
        """What was not synced is as it was before."""
        for path in folder.glob("*"):
            path.write_bytes(self.synced.get(path.stem, b""))


class Play:
    """One profile whose token is due, over and over: every life of a worker and of a ticker is one process."""

    def __init__(self, ground: Flask, clock: Clock, patch: pytest.MonkeyPatch) -> None:
        self.ground, self.clock, self.patch, self.begin = ground, clock, patch, clock()
        self.at: list[Issuer] = []
        self.x = connectable("twitter")
        patch.setattr(self.x, "renew", lambda app, held: self.at[-1].renew(app, held))
        commits_may_kill(patch, self.at)
        self.disk = Disk(patch, self.at)
        self.folder = ground.extensions["config"].instance_path / FOLDER

    def __call__(self, issuer: Issuer, *, power: bool = False, breaker: bool = False) -> Ended:
        """Renew until it is done, or for ever beyond help."""
        self.patch.setattr(type(self.x), "replay", FACTS[issuer.policy])
        self._connect(breaker)
        first = self.clock.ahead(minutes=96)
        known = set(db.session.scalars(select(AuditEvent.id)))
        ended = Ended(self.begin + timedelta(hours=2))
        for _ in range(ROUNDS):
            self._live(lambda: tokens.refresh("grt_1"), issuer, ended, power)
            self.clock.ahead(seconds=131)
            while not self._live(lambda: heartbeat.settle(self.clock(), lambda kind, ids: None), issuer, ended, power):
                pass
            grant = db.session.get_one(Grant, "grt_1", populate_existing=True)
            assert grant.state != RENEWING, "stuck beyond its lease and one sweep"
            ended.was_unsure |= grant.state == UNSURE
            if grant.state == DEAD or (grant.renewed_at is not None and grant.renewed_at >= first):
                break
            assert grant.due_at is not None, "waits for nothing"
            self.clock.at = max(self.clock.at, grant.due_at, self._breaker_until())
            assert "grt_1" in heartbeat.due("refresh", 10, self.clock()), "nobody would ever ring for it"
            db.session.commit()
        return self._told(ended, known)

    def _connect(self, breaker: bool) -> None:
        self.clock.at = self.begin
        with writing() as session:
            app = session.get_one(PlatformApp, "app_x")
            app.trouble, app.breaker_opened_at, app.breaker_probe_until = "", None, None
            if breaker:
                app.breaker_opened_at = app.breaker_until = self.begin
                app.breaker_scope, app.breaker_trips = "renew", 1
                app.trouble, app.trouble_code = "X fails for all.", "breaker"
            grant, account = session.get_one(Grant, "grt_1"), session.get_one(Account, "acc_1")
            tokens.store(grant, pair(1), self.begin)
            grant.renewed_at, grant.fence = None, grant.fence + 1
            account.state, account.reason, account.reason_text = ACTIVE, "", ""
        bury()

    def _live(self, step: Callable[[], Any], issuer: Issuer, ended: Ended, power: bool) -> bool:
        """The life of one process. False if it was killed."""
        self.at.append(issuer)
        is_dead = False
        try:
            step()
        except Killed as point:
            is_dead = True
            ended.died.append(str(point))
        finally:
            self.at.clear()
        self._end_process()
        if is_dead and power:
            self.disk.power_goes(self.folder)
        if is_dead and len(ended.died) == 1:
            ended.was_spooled = spool.waiting() > 0
            held = tokens.read(db.session.get_one(Grant, "grt_1")).access_token
            db.session.commit()
            ended.was_destroyed = bool(issuer.given) and not ended.was_spooled and held != issuer.given[-1].access_token
        return not is_dead

    def _end_process(self) -> None:
        """The kernel closes its files, and their locks go; the next one remembers nothing."""
        mine = self.ground.extensions.pop("journal", None)
        self.ground.extensions.pop("clock_seen", None)
        tokens._seen.clear()
        if mine is not None and mine._file is not None:
            os.close(mine._file)
            mine._file = None
        bury()

    def _breaker_until(self) -> datetime:
        app = db.session.get_one(PlatformApp, "app_x", populate_existing=True)
        return app.breaker_until if app.breaker_opened_at is not None and app.breaker_until else self.begin

    def _told(self, ended: Ended, known: set[str]) -> Ended:
        db.session.expire_all()
        grant, account = db.session.get_one(Grant, "grt_1"), db.session.get_one(Account, "acc_1")
        ended.state, ended.refresh = grant.state, tokens.read(grant).refresh_token
        ended.account, ended.reason = account.state, account.reason_text
        ended.actions = tuple(event.action for event in db.session.scalars(select(AuditEvent)) if event.id not in known)
        assert spool.bring_in(self.clock()) == 0 and spool.waiting() == 0, "a pair that nobody needs stays in the spool"
        return ended


@pytest.fixture
def play(account: Account, platform: Any, clock: Clock, ground: Flask, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Plays one renewal, with workers dying at its points."""
    return Play(ground, clock, monkeypatch)


# At which a worker that dies takes the only copy of an answer with it; the latter two only if the power goes, too.
LOSING = {"after the call", "before a frame", "within a frame"}
LOSING_WITH_POWER = LOSING | {"after a frame", "before a sync"}


def _judge(issuer: Issuer, ended: Ended, at: str, *, may_end: bool) -> None:
    """Nothing is lost; only where `may_end` a connection does end, and that is flagged and explained."""
    twice = [(token, when) for number, (token, when) in enumerate(issuer.sends)
             if issuer.policy != REUSABLE and token in [one for one, _ in issuer.sends[:number]]]
    if issuer.policy == STRICT and may_end:
        assert ended.was_unsure, f"not flagged: {at}"
        assert (ended.state, ended.account) == (DEAD, TOKEN_EXPIRED), at
        assert ended.reason.startswith("An earlier renewal got no answer, and now the platform refuses the token."), at
        assert "account.token_expired" in ended.actions, f"silent: {at}"
        assert twice and min(when for _, when in twice) >= ended.until - tokens.MARGIN, f"sent again too early: {at}"
        return
    assert (ended.state, ended.account) == (LIVE, ACTIVE), f"lost: {at}"
    assert ended.refresh in issuer.valid, f"not the living token: {at}"
    assert not twice or issuer.policy != STRICT, f"a spent token, sent again: {at}"
    assert len(issuer.sends) <= 2 + len(issuer.lost), f"asked too often: {at}"
    if ended.was_spooled:
        assert len(issuer.sends) == 1 + len(issuer.lost), f"asked again for what lies in the spool: {at}"


POLICIES = (STRICT, GRACE, REUSABLE)
TROUBLE: dict[str, tuple[str, Any]] = {
    "not answered, and not spent": (STRICT, OutcomeUnknown("X gave no answer.", "no_answer")),
    "not answered, but spent": (STRICT, LOST),
    "not answered, but spent, with grace": (GRACE, LOST),
    "down at first": (STRICT, TryLater("X is down.", "503")),
}


def _may_end(issuer: Issuer, ended: Ended, power: bool) -> bool:
    """Whether an answer was destroyed before it lay in the spool, on the line or with its worker."""
    if ended.was_destroyed and issuer.policy == STRICT and not issuer.lost:
        assert ended.died[0] in (LOSING_WITH_POWER if power else LOSING), f"not yet safe at {ended.died[0]}"
    return bool(issuer.lost) or ended.was_destroyed


def _play_each(play: Play, make: Callable[..., Issuer], power: bool = False, **how: bool) -> list[str]:
    """Play a road once undisturbed, then once for each of its points; returns the points."""
    whole = make()
    undisturbed = play(whole, **how)
    _judge(whole, undisturbed, "nowhere", may_end=bool(whole.lost))
    for number, name in enumerate(whole.passed):
        issuer = make(dies_at=number)
        ended = play(issuer, power=power, **how)
        assert ended.died == [name]
        _judge(issuer, ended, f"{name} ({number})", may_end=_may_end(issuer, ended, power))
    return whole.passed


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power gone"])
@pytest.mark.parametrize("policy", POLICIES)
def test_killed_at_every_point_no_token_is_lost(policy, power, play, clock):
    _play_each(play, partial(Issuer, policy, clock), power)


@pytest.mark.parametrize("road", TROUBLE)
def test_killed_at_every_point_of_a_road_with_trouble_no_token_is_lost(road, play, clock):
    policy, answer = TROUBLE[road]
    _play_each(play, lambda **more: Issuer(policy, clock, answers=[answer], **more))


def test_killed_at_every_point_of_a_probe_no_token_is_lost_and_the_breaker_closes_at_last(play, clock):
    points = _play_each(play, partial(Issuer, STRICT, clock), breaker=True)
    assert points.count("after a commit") > 4, "closing the breaker is one more"
    play(Issuer(STRICT, clock, dies_at=points.index("before the call")), breaker=True)
    assert db.session.get_one(PlatformApp, "app_x", populate_existing=True).breaker_opened_at is None


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power gone"])
def test_the_one_that_brings_in_what_a_dead_worker_left_may_die_as_well(power, play, clock):
    """With the answer in the spool nothing more may happen to a token, however often somebody dies over it."""
    whole = Issuer(STRICT, clock)
    play(whole)
    safe = len(whole.passed) - 1 - whole.passed[::-1].index("after a sync")
    once = Issuer(STRICT, clock, dies_at=safe)
    play(once, power=power)
    assert len(once.passed) > safe + 6, "what comes after it is the sweep's"
    for number in range(safe + 1, len(once.passed)):
        issuer = Issuer(STRICT, clock, dies_at=safe, then_dies_at=number)
        ended = play(issuer, power=power)
        assert ended.died == [whole.passed[safe], once.passed[number]] and ended.was_spooled
        _judge(issuer, ended, f"{once.passed[number]} ({number})", may_end=False)


def test_the_road_of_a_renewal_is_as_long_as_it_was(play, clock):
    """A step that commits, writes or calls once more would go untested in another order."""
    issuer = Issuer(STRICT, clock)
    play(issuer)
    mine = issuer.passed[: issuer.passed.index("before a removal")]  # the sweep's first
    assert [name for name in mine if name.startswith("after")] == [
        "after blanks", "after a sync", "after a rename", "after a sync",  # the spool is ready, or nothing is asked
        "after a commit", "after the call", "after a frame", "after a sync", "after a commit", "after blanks"]
