"""What costs a moment to find out and is asked for often: found once, then kept for a few seconds by each process."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import current_app

KEPT_SECONDS = 5.0
KEPT_TIMES_COST = 10.0  # so finding out never takes more than a tenth of the time
EXTENSION = "lately"

Value = TypeVar("Value")


@dataclass
class _Kept:
    """One thing that was found, and until when it counts."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    until: float = 0.0


def of(name: str, find: Callable[[], Value], seconds: float = KEPT_SECONDS) -> Value:
    """What `find` returns now or returned a few seconds ago; whoever asks while it is looked for waits for the same.

    It must hold no rows of the database. Raises what `find` raises, and keeps nothing then. Needs an app context.
    """
    everything: dict[str, _Kept] = current_app.extensions.setdefault(EXTENSION, {})
    kept = everything.setdefault(name, _Kept())
    with kept.lock:
        began = time.monotonic()
        if began >= kept.until:
            kept.value = find()
            ended = time.monotonic()
            kept.until = ended + max(seconds, KEPT_TIMES_COST * (ended - began))
        found: Value = kept.value
        return found


def forget(name: str) -> None:
    """Find this out afresh when it is asked for next, in this process."""
    current_app.extensions.get(EXTENSION, {}).pop(name, None)
