"""Deliveries and Grants driven through random events: whatever happens, the promises hold after every step.

The platform of this play keeps its own account of what it accepted and of which refresh tokens were spent. Workers may
be killed at any commit and at any call; the same seed plays the same story.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import current_app
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from socialconsole import decisions, deliveries, disconnections, heartbeat, publishing, tokens
from socialconsole.database import writing
from socialconsole.errors import (
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    RateLimited,
    TryLater,
)
from socialconsole.extensions import db
from socialconsole.journal import Frame, Journal, journal
from socialconsole.models import (
    ACTIVE,
    DEAD,
    DISCONNECTED,
    FINAL,
    HELD,
    LIVE,
    PAUSED,
    PREPARING,
    PUBLISHED,
    PUBLISHING,
    RENEWING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    UNSURE,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Post,
    User,
)
from socialconsole.posts import NotPossible
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Located, Published, Replay, TokenSet
from socialconsole.providers.content import Sent
from tests.services.conftest import START, pair
from tests.services.test_crash_points import Killed

ANSWERS = ("ok", "sent", "lost before", "lost after", "limited", "down", "refused", "revoked")
RENEWALS = ("ok", "ok", "lost before", "lost after", "limited", "down", "app refused")
# How a platform takes a refresh token that was spent: never, for a while, or there is none to spend.
POLICIES = {"strict": Replay.STRICT, "grace": Replay.REUSABLE, "reusable": Replay.REUSABLE}
LEEWAY = timedelta(minutes=10)
DEEDS = (decisions.retry, decisions.cancel_delivery, decisions.check_again, decisions.mark_published,
         decisions.publish_again)


class Console(RuleBasedStateMachine):
    """One profile, its Grant, its posts, and all that can befall them."""

    clock: Any = None  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.accepted: Counter[tuple[str, int]] = Counter()
        self.again: Counter[str] = Counter()  # how often a person said *Publish again*, by text
        self.policy = "strict"
        self.renewals: list[str] = []
        self.renewed = 0
        self.under_way: tuple[str, TokenSet] | None = None  # the last token that was spent, and the answer
        self.spent: dict[str, datetime] = {}  # when
        self.unsure: set[str] = set()  # those whose answer was destroyed before it lasted anywhere
        self.dead: set[str] = set()  # access tokens of connections that were ended
        self.answers: list[str] = []
        self.dies_in: int | None = None
        self.is_working = False
        self.numbers = iter(range(1, 10_000))
        self.clock.at = START
        current[:] = [self]
        with writing() as session:
            for table in (DeliveryEvent, Delivery, Post):
                session.execute(delete(table))
            app = session.get_one(PlatformApp, "app_x")
            app.is_on, app.quiet_until, app.trouble, app.breaker_opened_at = True, None, "", None
            app.breaker_probe_until = None
            session.get_one(Account, "acc_1").quiet_until = None
            self._connect(session.get_one(Grant, "grt_1"))

    def teardown(self) -> None:
        current.clear()
        _drop_session()

    # ------------------------------------------------------------ the platform

    def point(self) -> None:
        """A place at which the worker may die."""
        if self.is_working and self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.dies_in = None
                raise Killed

    def prepare(self, app: Any, token: str, draft: Any, progress: Any) -> None:
        self.point()
        progress.keep(container="c")

    def publish(self, app: Any, token: str, draft: Any, progress: Any) -> Published | Sent:
        assert token not in self.dead, "sent in the name of a connection that was ended"
        self.point()
        answer = self.answers.pop(0) if self.answers else "ok"
        said = {"lost before": OutcomeUnknown("X did not confirm."), "down": TryLater("X is down.", "HTTP 503"),
                "limited": RateLimited("Wait."), "refused": ContentRejected("No."),
                "revoked": NeedsReconnect("X no longer accepts this connection.", "401")}.get(answer)
        if said is not None:
            raise said
        self.accepted[draft.text, draft.part] += 1
        self.point()
        if answer == "lost after":
            raise OutcomeUnknown("X did not confirm.")
        return Sent("s") if answer == "sent" else Published("p")

    def follow(self, app: Any, token: str, draft: Any, progress: Any, sent: Sent) -> Published:
        self.point()
        return Published("p")

    def locate(self, app: Any, token: str, draft: Any, progress: Any, at: Any) -> Published | Located:
        self.point()
        # Its list is late now and then: what is not there proves nothing.
        return Published("p") if self.accepted[draft.text, draft.part] and next(self.numbers) % 3 else Located.NOT_FOUND

    def renew(self, app: Any, held: Any) -> Any:
        self.point()
        self._nobody_asks_past_the_breaker()
        sent = held.refresh_token
        answer = self.renewals.pop(0) if self.renewals else "ok"
        said = {"lost before": OutcomeUnknown("X did not answer.", "no_answer"), "down": TryLater("X is down.", "503"),
                "limited": RateLimited("Wait."),
                "app refused": ConfigurationWrong("X refuses the app.", "invalid_client")}.get(answer)
        if said is not None:
            raise said
        assert self.policy != "strict" or sent not in self.spent or sent in self.unsure, "a spent token, sent again"
        if sent in self.spent and not (self.policy == "grace" and self.clock() - self.spent[sent] <= LEEWAY):
            raise NeedsReconnect("X ended this connection.", "invalid_grant")
        if self.policy != "reusable":
            self.spent.setdefault(sent, self.clock())
        self.under_way = sent, pair(next(self.numbers))
        made = self.under_way[1]
        self.point()
        if answer == "lost after":
            self.unsure.add(sent)
            self.under_way = None
            raise OutcomeUnknown("X did not answer.", "no_answer")
        self.renewed += 1
        return made if self.policy != "reusable" else replace(made, refresh_token=None)

    def _nobody_asks_past_the_breaker(self) -> None:
        opened, probe = db.session.execute(
            select(PlatformApp.breaker_opened_at, PlatformApp.breaker_probe_until)
            .where(PlatformApp.id == "app_x")).one()
        db.session.commit()
        assert opened is None or probe is not None, "asked while the breaker is open, and not as its probe"

    def _dies(self) -> None:
        """What of a dead worker lasts: rows and whole frames in the spool. An answer in neither is gone for good."""
        _drop_session()
        held = current_app.extensions.pop("journal", None)
        if held is not None and held._file is not None:
            os.close(held._file)
            held._file = None
        if self.under_way is not None:
            sent, made = self.under_way
            is_stored = _access_token() == made.access_token
            if not is_stored and made.access_token not in {frame.tokens.access_token for frame in _spooled()}:
                self.unsure.add(sent)
        _drop_session()

    # ------------------------------------------------------------ what happens

    @initialize(policy=st.sampled_from(sorted(POLICIES)))
    def platform_is(self, policy: str) -> None:
        self.policy = policy
        type(PROVIDERS["twitter"]).replay = POLICIES[policy]

    @rule(answer=st.sampled_from(RENEWALS))
    def will_answer_a_renewal(self, answer: str) -> None:
        self.renewals.append(answer)

    @precondition(lambda self: self._grant().state in (LIVE, UNSURE))
    @rule(points=st.integers(0, 12), answer=st.sampled_from(RENEWALS), again=st.sampled_from((None, 0, 1, 3)))
    def die_while_renewing(self, points: int, answer: str, again: int | None) -> None:
        """A renewal that is due, an answer, a worker that dies over it, and perhaps the ticker that tidies up."""
        self.clock.at = max(self.clock(), self._grant().due_at or self.clock())
        self.renewals, self.dies_in = [answer], points
        self.work(1)
        self.dies_in = again
        self.work(131)

    @rule(minutes=st.sampled_from((0, 0, 1, 90)))
    def schedule(self, minutes: int) -> None:
        due = self.clock.at + deliveries.timedelta(minutes=minutes)
        text = f"Post {next(self.numbers)}"
        with writing() as session:
            post = Post(workspace_id="wsp_1", text=text, due_at=due, form_nonce=text, created_at=self.clock.at)
            session.add(Delivery(workspace_id="wsp_1", post=post, account_id="acc_1", state=SCHEDULED,
                                 scheduled_for=due, due_at=due))

    @rule(answer=st.sampled_from(ANSWERS))
    def will_answer(self, answer: str) -> None:
        self.answers.append(answer)

    @rule(points=st.integers(0, 12))
    def will_die(self, points: int) -> None:
        self.dies_in = points

    @precondition(lambda self: self._account().state == ACTIVE)
    @rule(points=st.integers(2, 12), answer=st.sampled_from(ANSWERS))
    def die_on_the_way(self, points: int, answer: str) -> None:
        """What chance alone would seldom bring together: a due post, an answer, and a worker that dies over it."""
        self.schedule(0)
        self.answers, self.dies_in = [answer], points
        self.work(1)
        self.work(131)

    @rule(seconds=st.sampled_from((1, 20, 131, 131, 1000, 4000)))
    def work(self, seconds: int) -> None:
        """Time goes on, one sweep, one beat."""
        self.clock.ahead(seconds=seconds)
        while not self._lives(lambda: heartbeat.settle(self.clock(), lambda kind, ids: None)):
            pass  # the next ticker sweeps again
        self._nothing_is_stuck()
        before = self.renewed
        if self._lives(self._serve) and self.renewed > before:
            assert db.session.get_one(PlatformApp, "app_x").breaker_opened_at is None, "it works, and stays blocked"
        db.session.commit()

    def _serve(self) -> None:
        for kind, serve in (("refresh", tokens.refresh), ("deliver", publishing.deliver)):
            for one in heartbeat.due(kind, 20, self.clock()):
                serve(one)

    def _lives(self, step: Callable[[], Any]) -> bool:
        """Whether a process came to the end of its work."""
        self.is_working = True
        try:
            step()
        except Killed:
            self.is_working = False
            self._dies()
            return False
        finally:
            self.is_working = False
            _drop_session()
        return True

    @rule(hours=st.sampled_from((1, -1)))
    def jump(self, hours: int) -> None:
        self.clock.ahead(hours=hours)

    @rule()
    def pause_or_resume(self) -> None:
        account, alice = self._account(), db.session.get_one(User, "usr_a")
        if account.state in (ACTIVE, PAUSED):
            (disconnections.pause if account.state == ACTIVE else disconnections.resume)(account, alice)

    @rule(cancel=st.booleans())
    def disconnect(self, cancel: bool) -> None:
        account = self._account()
        if account.state != DISCONNECTED:
            grant = account.grant
            if grant is not None and grant.access_sealed is not None:
                self.dead.add(tokens.read(grant).access_token)
            disconnections.disconnect(account, db.session.get_one(User, "usr_a"), cancel_posts=cancel)

    @precondition(lambda self: self._account().state not in (ACTIVE, PAUSED))
    @rule()
    def reconnect(self) -> None:
        with writing() as session:
            self._connect(session.get_one(Grant, "grt_1"))
            deliveries.release_account(session.get_one(Account, "acc_1"), self.clock())

    @rule()
    def switch(self) -> None:
        with writing() as session:
            app = session.get_one(PlatformApp, "app_x")
            app.is_on = not app.is_on
            if app.is_on:
                deliveries.release_platform(app, self.clock())
            else:
                deliveries.hold_platform(app, self.clock())

    @rule(deed=st.sampled_from(DEEDS), which=st.integers(0, 5))
    def decide(self, deed: Any, which: int) -> None:
        rows = list(db.session.query(Delivery).order_by(Delivery.id))
        if not rows:
            return
        chosen = rows[which % len(rows)]
        text, now_and_then = chosen.post.text, chosen.state
        try:
            deed(chosen, db.session.get_one(User, "usr_a"))
        except NotPossible:
            return
        if deed is decisions.publish_again:
            assert now_and_then == UNCONFIRMED
            self.again[text] += 1

    @precondition(lambda self: self._grant().state in (LIVE, UNSURE) and self._breaker() is None)
    @rule(then=st.sampled_from(("ok", "down", "app refused")), points=st.sampled_from((None, None, 2, 4, 6)))
    def the_app_is_refused(self, then: str, points: int | None) -> None:
        """The breaker opens; what comes next is its probe, over which a worker may die."""
        for answer, dies_in in (("app refused", None), (then, points)):
            self.clock.at = max(self.clock(), self._grant().due_at or self.clock())
            self.renewals, self.dies_in = [answer], dies_in
            self.work(1)
            assert answer != "app refused" or dies_in is not None or self._breaker() is not None
        self.work(131)

    # ------------------------------------------------------------ what must hold

    @invariant()
    def nothing_twice(self) -> None:
        for (text, part), times in self.accepted.items():
            assert times <= 1 + self.again[text], (text, part)

    @invariant()
    def nothing_forgotten(self) -> None:
        db.session.expire_all()
        for row in db.session.query(Delivery):
            waits_for_person = row.state in (UNCONFIRMED, SENT)
            assert row.state in FINAL or row.due_at or row.lease_until or (row.state == HELD and row.hold) \
                or waits_for_person, row.state
            if row.state == PUBLISHED:
                assert row.platform_post_id or row.confirmed_by
                assert row.confirmed_by or self.accepted[row.post.text, 0], "said to be out, and is not"
        db.session.commit()

    @invariant()
    def what_was_ended_is_erased(self) -> None:
        account = self._account()
        if account.state == DISCONNECTED:
            grant = db.session.get_one(Grant, "grt_1")
            assert grant.access_sealed is None and grant.refresh_sealed is None
        db.session.commit()

    @invariant()
    def no_token_is_lost(self) -> None:
        grant = self._grant()
        if grant.access_sealed is not None:
            held = tokens.read(grant)
            version, state, attempts = grant.version, grant.state, grant.attempts
            why = grant.last_error
            waits = any(frame.version == version for frame in _spooled())
            assert held.refresh_token not in self.spent or held.refresh_token in self.unsure or waits, \
                "the rows hold a dead token, and the living one is nowhere"
            if state == DEAD:
                assert held.refresh_token in self.unsure or attempts >= tokens.UNCLEAR_AT_MOST, "given up for nothing"
                assert self.policy != "strict" or "An earlier renewal got no answer" in why, "ended without saying why"
        db.session.commit()

    def _nothing_is_stuck(self) -> None:
        db.session.expire_all()
        now = self.clock()
        leases = [*db.session.query(Delivery.lease_until).filter(Delivery.state.in_((PREPARING, PUBLISHING))),
                  *db.session.query(Grant.lease_until).filter(Grant.state == RENEWING)]
        assert all(until is not None and now <= until <= now + deliveries.LEASE for until, in leases)
        db.session.commit()

    # ------------------------------------------------------------

    def _account(self) -> Account:
        db.session.expire_all()
        return db.session.get_one(Account, "acc_1")

    def _grant(self) -> Grant:
        db.session.expire_all()
        return db.session.get_one(Grant, "grt_1")

    def _breaker(self) -> datetime | None:
        db.session.expire_all()
        return db.session.get_one(PlatformApp, "app_x").breaker_opened_at

    def _connect(self, grant: Grant) -> None:
        account = db.session.get_one(Account, "acc_1")
        tokens.store(grant, pair(next(self.numbers)), self.clock())
        grant.state, grant.fence, grant.renewed_at = LIVE, grant.fence + 1, None
        account.state, account.reason, account.reason_text = ACTIVE, "", ""


current: list[Console] = []


def _spooled() -> list[Frame]:
    """All frames that lie in the spool of this host, whoever wrote them."""
    found = journal()
    own = [kept.frame for kept in found._pending.values()]
    return [*own, *(frame for path in found.files() for frame in found._frames(path))]


def _access_token() -> str | None:
    grant = db.session.get_one(Grant, "grt_1", populate_existing=True)
    return tokens.read(grant).access_token if grant.access_sealed is not None else None


def _drop_session() -> None:
    db.session.rollback()
    db.session.info.pop("writing", None)
    db.session.remove()


@pytest.fixture
def playing(account: Account, platform: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> type[Console]:
    """X played by the machine, and commits at which a worker may die."""
    x, commit = PROVIDERS["twitter"], Session.commit
    for step in ("prepare", "publish", "follow", "locate", "renew"):
        monkeypatch.setattr(x, step, lambda *args, step=step: getattr(current[0], step)(*args))

    def mortal_commit(session: Session) -> None:
        counts = bool(current) and bool(session.info.get("writing"))
        if counts:
            current[0].point()
        commit(session)
        if counts:
            current[0].point()

    keep = Journal.keep

    def mortal_keep(journal_: Journal, frame: Frame) -> Any:
        current[0].point()
        kept = keep(journal_, frame)
        current[0].point()
        return kept

    monkeypatch.setattr(Session, "commit", mortal_commit)
    monkeypatch.setattr(Journal, "keep", mortal_keep)
    monkeypatch.setattr(type(x), "replay", Replay.STRICT)  # and back, whatever the machine sets
    monkeypatch.setattr(Console, "clock", clock)
    return Console


@pytest.mark.timeout(300)
def test_whatever_happens_the_promises_hold(playing):
    is_sqlite = db.engine.dialect.name == "sqlite"
    run_state_machine_as_test(playing, settings=settings(
        max_examples=30 if is_sqlite else 15, stateful_step_count=30, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck)))
