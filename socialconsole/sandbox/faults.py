"""Failures on order: slow answers, gates, refusals, broken bodies and cut connections.

`FaultDesk` keeps the orders, lets a call meet at most one of them, and holds answers back until they are released.
What a fault does to a call stands in `calls.py`.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .plays import PLAYS
from .state import Fault, State, fresh_id

ANY = "any"
SORTS = {
    "slow": "answers after some seconds",
    "gate": "holds the answer until it is released",
    "429": "refuses for a while: too many calls",
    "500": "answers with a server error",
    "html": "answers 200 with a web page instead of JSON",
    "truncated": "does what was asked, then sends half of the answer",
    "drop": "cuts the connection before anything happened",
    "drop_after": "does what was asked, then cuts the connection",
}
# What a mix may hold: "timeout" is a slow answer that comes when nobody waits any more. It, "500" and "html" come after
# the effect or before it, by turns.
MIXED = ("timeout", "429", "500", "html", "truncated", "drop", "drop_after")
LONGEST_HOLD = 600.0
KEPT = 200


def all_operations() -> list[str]:
    """What can be ordered at one platform or another, in the order of their lists."""
    return [*dict.fromkeys(name for play in PLAYS.values() for name in play.operations), ANY]


@dataclass(frozen=True)
class Mix:
    """Faults by chance: which calls may meet one, how often, and of which kinds. The same seed draws the same row."""

    platforms: tuple[str, ...]  # none: all of them
    operations: tuple[str, ...]  # none: all of them
    rate: float
    kinds: tuple[str, ...]
    seconds: float  # how long a "timeout" holds, and what a "429" asks for
    seed: int

    def draw(self, platform: str, operation: str, number: int) -> str:
        """The kind of fault that the call of this number meets; empty for none."""
        if platform not in (self.platforms or (platform,)) or operation not in (self.operations or (operation,)):
            return ""
        digest = hashlib.blake2b(f"{self.seed} {number}".encode(), digest_size=8).digest()
        if int.from_bytes(digest[:4], "big") / 2**32 >= self.rate:
            return ""
        return self.kinds[int.from_bytes(digest[4:], "big") % len(self.kinds)]


class FaultDesk:
    """The faults on order. Safe to use from many threads."""

    def __init__(self, state: State, now: Callable[[], float]) -> None:
        self.state = state
        self.now = now
        self._turn = threading.Condition()
        self._released: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._mix: Mix | None = None
        self._drawn = 0
        self.injected: Counter[str] = Counter()  # by kind, what a mix did

    def mix(self, mix: Mix | None) -> None:
        """Let calls meet faults by chance from now on; None ends it. Raises ValueError, in words."""
        if mix is not None:
            unknown = [one for one in mix.platforms if one not in PLAYS]
            if unknown:
                raise ValueError(f"There is no platform {unknown[0]!r} here. Choose among {', '.join(PLAYS)}.")
            unknown = [one for one in mix.operations if one not in all_operations()]
            if unknown:
                raise ValueError(f"There is no operation {unknown[0]!r} here.")
            if not mix.kinds or not set(mix.kinds) <= set(MIXED):
                raise ValueError(f"kinds are some of {', '.join(MIXED)}.")
            if not 0 <= mix.rate <= 1 or not 0 <= mix.seconds <= LONGEST_HOLD:
                raise ValueError("rate must be between 0 and 1, and seconds between 0 and 600.")
        with self._turn:
            self._mix, self._drawn = mix, 0

    def order(self, platform: str, operation: str, sort: str, seconds: float, times: int, after: bool = False) -> Fault:
        """Order a fault. Raises ValueError, in words, for one that does not exist."""
        if platform not in PLAYS:
            raise ValueError(f"There is no platform {platform!r} here. Choose one of {', '.join(PLAYS)}.")
        known = (*PLAYS[platform].operations, ANY)
        if operation not in known:
            raise ValueError(f"There is no operation {operation!r} here. Choose one of {', '.join(known)}.")
        if sort not in SORTS:
            raise ValueError(f"There is no fault {sort!r}. Choose one of {', '.join(SORTS)}.")
        if times < 1 or not 0 <= seconds <= LONGEST_HOLD:
            raise ValueError("times must be 1 or more, and seconds between 0 and 600.")
        fault = Fault(fresh_id(), platform, operation, sort, seconds, times, after, self.now())
        with self.state.writing():
            self.state.keep(fault)
            for old in self.state.all(Fault)[:-KEPT]:
                self.state.drop(old)
        return fault

    def take(self, platform: str, operation: str) -> Fault | None:
        """The oldest fault that this call meets, one time less of it left; None if the call goes well."""
        return self._ordered(platform, operation) or self._by_chance(platform, operation)

    def _by_chance(self, platform: str, operation: str) -> Fault | None:
        with self._turn:
            if self._mix is None:
                return None
            self._drawn += 1
            kind, seconds, is_odd = self._mix.draw(platform, operation, self._drawn), self._mix.seconds, self._drawn % 2
            if not kind:
                return None
            self.injected[kind] += 1
        sort = "slow" if kind == "timeout" else kind
        after = kind in ("drop_after", "truncated") or (kind in ("timeout", "500", "html") and is_odd == 1)
        return Fault(fresh_id(), platform, operation, sort, seconds, 0, after, self.now(), mixed=True)

    def _ordered(self, platform: str, operation: str) -> Fault | None:
        if not self.state.all(Fault):
            return None
        with self.state.writing():
            for fault in self.state.all(Fault):
                if fault.platform == platform and fault.operation in (operation, ANY) and fault.left > 0:
                    fault.left -= 1
                    self.state.keep(fault)
                    return fault
        return None

    def waiting(self, fault: Fault) -> int:
        """How many answers the fault holds at this moment."""
        with self._turn:
            return self._waiting.get(fault.id, 0)

    def hold(self, fault: Fault, seconds: float) -> None:
        """Wait until the fault is released, at most `seconds`."""
        with self._turn:
            round_ = self._released.get(fault.id, 0)
            self._waiting[fault.id] = self._waiting.get(fault.id, 0) + 1
            self._turn.wait_for(lambda: self._released.get(fault.id, 0) != round_, timeout=seconds)
            self._waiting[fault.id] -= 1

    def release(self, fault: Fault) -> int:
        """Let go of all answers that the fault holds now; returns how many those were."""
        with self._turn:
            self._released[fault.id] = self._released.get(fault.id, 0) + 1
            self._turn.notify_all()
            return self._waiting.get(fault.id, 0)

    def clear(self, fault: Fault | None = None) -> None:
        """Cancel one fault, or all of them, and let go of what they hold."""
        for each in [fault] if fault else self.state.all(Fault):
            self.release(each)
            with self.state.writing():
                self.state.drop(each)
