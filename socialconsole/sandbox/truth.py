"""What a platform knows and a caller can only hope for: renewals that took effect, and spent tokens that came again.

For proofs: what a console believes is compared with this.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .state import Grant


@dataclass
class Renewals:
    """The renewals of one grant: when they took effect, and when a spent token came again.

    `heard`: nothing here kept the answer from arriving. `destroyed`: a fault on order did. `left`: the caller was gone
    before the answer was written.
    """

    heard: list[float] = field(default_factory=list)
    destroyed: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    replays: list[float] = field(default_factory=list)

    @property
    def times(self) -> int:
        """How many took effect."""
        return len(self.heard) + len(self.destroyed) + len(self.left)


class Truth:
    """The renewals by grant. Safe to use from many threads; it is not kept over a restart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grants: dict[str, Renewals] = {}
        self.under_way = 0  # calls that are being served or held at this moment

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call is being served."""
        with self._lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1

    def renewed(self, grant: Grant, now: float, *, is_destroyed: bool, is_left: bool) -> None:
        """A renewal took effect; whether a fault destroys its answer, or nobody waits for it any more."""
        with self._lock:
            mine = self._grants.setdefault(grant.id, Renewals())
            (mine.destroyed if is_destroyed else mine.left if is_left else mine.heard).append(now)

    def replayed(self, grant: Grant, now: float) -> None:
        """A spent refresh token of this grant was sent again."""
        with self._lock:
            self._grants.setdefault(grant.id, Renewals()).replays.append(now)

    def of(self, grant: Grant) -> Renewals:
        """What is known of one grant."""
        with self._lock:
            return self._grants.get(grant.id) or Renewals()

    def counts(self) -> dict[str, int]:
        """Renewals that took effect, those whose answer was destroyed, and replays, all grants together."""
        with self._lock:
            every = list(self._grants.values())
        return {"renewals": sum(one.times for one in every),
                "destroyed": sum(len(one.destroyed) for one in every),
                "replays": sum(len(one.replays) for one in every)}
