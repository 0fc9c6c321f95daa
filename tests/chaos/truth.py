"""What came of a run: the console's rows against what the platforms know, and the waiting until nothing moves.

`calm` lets the shared clock jump to the next instant at which a row is due, again and again: leases run out and
look-ups come up as they would within hours, and the run takes seconds.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import func, or_, select

from socialconsole import outside, tokens
from socialconsole.models import (
    CANCELLED,
    DEAD,
    FAILED,
    HELD,
    LIVE,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    RENEWING,
    SCHEDULED,
    SENT,
    UNCONFIRMED,
    UNSURE,
    Delivery,
    Grant,
    PlatformApp,
)
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Replay
from socialconsole.vault import Unreadable
from tests.chaos.fleet import Ground, Kill
from tests.chaos.seeds import text_of
from tests.chaos.witness import ASKED, KEPT, Renewal

MISSES = ("lost", "replays", "duplicates", "stuck", "missed_silently", "unresolved")
AT_WORK = (PREPARING, PUBLISHING)
WAITING = (SCHEDULED, PROCESSING, SENT, UNCONFIRMED)
STALLED_AFTER = 30.0  # seconds in which nothing moves although something is due: then it is stuck
QUIET = 1.5  # seconds without a call or a change, after which whoever had the rows is taken for dead
JUMP_AT_LEAST = 125.0  # seconds, a lease and a little: what comes up within them is served together


@dataclass
class Result:
    """One run's figures; each of `MISSES` must be nothing."""

    lost: int = 0
    replays: int = 0
    duplicates: int = 0
    stuck: int = 0
    missed_silently: int = 0
    unresolved: int = 0
    injected: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)  # what else is worth knowing
    examples: list[str] = field(default_factory=list)  # some misses in words

    @property
    def is_miss(self) -> bool:
        """Whether a promise was broken."""
        return any(getattr(self, name) for name in MISSES)

    def miss(self, name: str, words: str) -> None:
        """Count one broken promise."""
        setattr(self, name, getattr(self, name) + 1)
        if len(self.examples) < 12:
            self.examples.append(f"{name}: {words}")

    def add(self, other: "Result") -> "Result":
        """Both together."""
        for name in MISSES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.facts |= other.facts
        self.examples += other.examples[: 12 - len(self.examples)]
        return self

    def plain(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


# ---------------------------------------------------------------- until nothing moves


def calm(ground: Ground, horizon: float, *, within: float = 240.0) -> None:
    """Wait until nothing is due any more, jumping over the pauses, at most `horizon` seconds ahead in all.

    Returns also when rows that are due do not move for half a minute; they are then found to be stuck.
    """
    end, jumped = time.monotonic() + within, 0.0
    seen: Any = None
    changed = called = time.monotonic()
    while (now := time.monotonic()) < end:
        due, working, ahead = _state(ground)
        if (due, working) != seen:
            seen, changed = (due, working), now
        if ground.control("GET", "/counts/calls")["under_way"]:
            called = now
        if now - changed > STALLED_AFTER:
            return
        if not due and (not working or now - max(changed, called) > QUIET):
            if ahead is None or jumped + ahead > horizon:
                return
            ahead = max(ahead + 0.05, JUMP_AT_LEAST)
            ground.clock.move(ahead)
            jumped += ahead
            changed = time.monotonic()
        time.sleep(0.1)


def _state(ground: Ground) -> tuple[int, tuple[Any, ...], float | None]:
    """How many rows are due, which are being worked on, and in how many seconds the next one will be."""
    now = outside.now()
    # What one profile has due goes out one after the other.
    busy = select(Delivery.account_id).where(Delivery.lease_until > now)
    waits = select(PlatformApp.id).where(PlatformApp.breaker_opened_at.is_not(None), PlatformApp.breaker_until > now)
    with ground.looking() as session:
        if ground.server is not None:  # one look for all questions: between two of them a row could go unseen
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        due = session.scalar(select(func.count()).where(
            Delivery.state.in_(WAITING), Delivery.due_at <= now, Delivery.account_id.not_in(busy))) or 0
        due += session.scalar(select(func.count()).where(
            Grant.state.in_((LIVE, UNSURE)), Grant.due_at <= now, Grant.app_id.not_in(waits))) or 0
        rows = session.execute(select(Delivery.id, Delivery.fence, Delivery.state, Delivery.lease_until).where(
            or_(Delivery.state.in_(AT_WORK), Delivery.lease_until > now))).all()
        rows += session.execute(select(Grant.id, Grant.fence, Grant.state, Grant.lease_until).where(
            Grant.state == RENEWING)).all()
        nexts = [row.lease_until for row in rows if row.lease_until]
        nexts += [one for one in (
            session.scalar(select(func.min(Delivery.due_at)).where(Delivery.state.in_(WAITING), Delivery.due_at > now)),
            session.scalar(select(func.min(Grant.due_at)).where(Grant.state.in_((LIVE, UNSURE)), Grant.due_at > now)),
            session.scalar(select(func.min(PlatformApp.breaker_until)).where(PlatformApp.id.in_(waits))),
        ) if one]
    late = sum(1 for row in rows if row.lease_until and row.lease_until <= now)
    ahead = min(((one - now).total_seconds() for one in nexts if one > now), default=None)
    return due + late, tuple(tuple(row) for row in rows), ahead


# ---------------------------------------------------------------- grants


def judge_grants(ground: Ground, *, renewed: bool = True) -> Result:
    """The grants against the platforms' truth. `renewed`: each has to have been renewed or to be dead."""
    known = {one["grant"]: one for one in ground.control("GET", "/grants")}
    result, facts, tries = Result(), Counter[str](), ground.tries()
    with ground.looking() as session:
        for grant in session.scalars(select(Grant)):
            truth = known[grant.id.removeprefix("grt_")]
            excuse = _excuse(ground.kills, truth, tries.get(grant.id, []))
            _judge_grant(grant, truth, tries.get(grant.id, []), excuse, result, facts, renewed)
    counts = ground.control("GET", "/counts")
    result.facts |= {"grants": len(known), **{name: counts[name] for name in ("renewals", "families_revoked")}, **facts}
    result.facts |= _times(known, tries)
    return result


def _judge_grant(grant: Grant, truth: dict[str, Any], tries: Sequence[Renewal], excuse: str, result: Result,
                 facts: Counter[str], renewed: bool) -> None:
    end = grant.access_expires_at.timestamp() if grant.access_expires_at else 0.0
    early = [at for at in truth["replays"] if not excuse or at < end]
    facts["replays_after_lost_answer"] += len(truth["replays"]) - len(early)
    if early:
        result.miss("replays", f"{grant.id} on {grant.platform}")
    told = {name: truth[name] for name in ("heard", "destroyed", "left", "replays")}
    words = f"{grant.id} on {grant.platform}: {grant.state} {grant.reason} {grant.last_error}"
    if grant.state == DEAD or _held(grant) not in truth["tokens"]:
        facts[f"lost_{excuse}"] += bool(excuse)
        if not excuse or early:  # sent too early, it may also have ended the access token that still lived
            result.miss("lost", f"{words} The platform: {told}. The console: {[vars(one) for one in tries]}")
        elif grant.state != DEAD:
            result.miss("unresolved", f"not told to its person: {words}")
    elif grant.state == RENEWING or grant.due_at is None or grant.due_at <= outside.now():
        result.miss("stuck", f"{words} due {grant.due_at} lease {grant.lease_until}, now {outside.now()}")
    elif renewed and grant.renewed_at is None:
        result.miss("unresolved", words)
    else:
        facts["renewed"] += grant.renewed_at is not None


def _times(known: dict[str, dict[str, Any]], tries: dict[str, list[Renewal]]) -> dict[str, int]:
    """How many milliseconds passed from the platform's change of a token until its answer lay in the spool."""
    gaps = []
    for grant_id, truth in known.items():
        for kept in (one.at[KEPT] for one in tries.get(f"grt_{grant_id}", ()) if KEPT in one.at):
            gaps += [kept - max(before)] if (before := [at for at in truth["heard"] if at <= kept]) else []
    if not gaps:
        return {}
    gaps.sort()
    longest = max((one.seconds for mine in tries.values() for one in mine), default=0.0)
    return {"ms_from_rotation_to_spool_p50": round(gaps[len(gaps) // 2] * 1000),
            "ms_from_rotation_to_spool_p99": round(gaps[len(gaps) * 99 // 100] * 1000),
            "ms_longest_answer": round(longest * 1000)}


def _held(grant: Grant) -> str:
    """The token that the console would renew with, empty if it has none."""
    try:
        found = tokens.read(grant)
    except Unreadable:
        return ""
    return found.refresh_token or found.access_token


def _excuse(kills: Sequence[Kill], truth: dict[str, Any], tries: Sequence[Renewal]) -> str:
    """Why nobody could have had the newest token; empty if the console could, so that its loss is the console's.

    Two reasons there are, both only where a token works once. A fault destroyed the very answer that carried it. Or
    after it had asked, and without any other answer, the process that did, or the worker whose child it was, was killed
    before it put the answer into the spool. A platform that was merely slow is no reason, nor is any other kill.
    """
    newest = max((*truth["heard"], *truth["destroyed"], *truth["left"]), default=None)
    if newest is None or truth["platform"] not in _single_use():
        return ""
    if newest in truth["destroyed"]:
        return "to_destroyed_answer"
    asker = max((one for one in tries if one.at.get(ASKED, newest + 1) <= newest), key=lambda one: one.at[ASKED],
                default=None)
    if asker is not None and asker.is_cut_off and any(
            asker.pids & kill.pids and kill.at >= asker.at[ASKED] for kill in kills):
        return "to_kill_before_spool"
    return ""


def _single_use() -> set[str]:
    return {one.slug for one in PROVIDERS.values() if one.replay is Replay.STRICT}


# ---------------------------------------------------------------- deliveries


def creates(ground: Ground) -> Counter[str]:
    """How often the platforms accepted each text."""
    found: Counter[str] = Counter()
    for _platform, _author, text, times in ground.control("GET", "/counts")["creates"]:
        found[text] += times
    return found


def judge_deliveries(ground: Ground) -> Result:
    """The deliveries against what the platforms accepted."""
    accepted, result, facts = creates(ground), Result(), Counter[str]()
    with ground.looking() as session:
        for delivery in session.scalars(select(Delivery)):
            _judge_delivery(delivery, accepted[text_of(delivery.id.removeprefix("dlv_"))], result, facts)
    result.facts |= {"deliveries": sum(facts.values()), **facts}
    return result


def _judge_delivery(delivery: Delivery, times: int, result: Result, facts: Counter[str]) -> None:
    state, words = delivery.state, f"{delivery.id}: {delivery.state}, accepted {times} times. {delivery.note}"
    facts[state] += 1
    if times > 1:
        result.miss("duplicates", words)
    if state in (PREPARING, PROCESSING, PUBLISHING, SENT, SCHEDULED):
        result.miss("stuck", words)
    elif state == UNCONFIRMED:
        if delivery.due_at is not None or not delivery.note:
            result.miss("unresolved", words)
    elif state == PUBLISHED:
        if times == 0:
            result.miss("lost", words)
    elif state == MISSED:
        if not delivery.note or not any(event.state == MISSED for event in delivery.log):
            result.miss("missed_silently", words)
        if times:
            result.miss("lost", words)
    elif state in (FAILED, HELD, CANCELLED):  # the platforms take every post of these runs, sooner or later
        result.miss("lost", words)
