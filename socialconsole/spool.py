"""The spool: renewed pairs that lie beside the database, because it was away or their worker died, are brought in."""

import logging
from datetime import datetime
from pathlib import Path

from . import tokens
from .journal import Frame, journal

log = logging.getLogger("socialconsole.spool")


def bring_in(now: datetime) -> int:
    """Store what dead processes of this host, and failed commits of this one, left behind. Returns how many pairs.

    To be called outside of `writing()`: a pair whose connection was ended meanwhile is revoked at its platform. Raises
    the database's errors if it is away; nothing is lost then.
    """
    taken = _own(now)
    for path in journal().files():
        try:
            taken += _of(path, now)
        except OSError as error:  # one that cannot be read, such as another user's, must not keep the others out
            log.error("a file of the spool cannot be read", extra={"file": path.name, "error": error.strerror or ""})
    return taken


def waiting() -> int:
    """How many pairs on this host are not in the database, those of commits under way included."""
    found = journal()
    return found.waiting() + sum(found.count(path) for path in found.files())


def trouble() -> str:
    """A sentence why the spool cannot be written, empty if it can."""
    found = journal()
    found.is_ready()
    return found.trouble


def _own(now: datetime) -> int:
    taken, waits, left = 0, [], journal().left()
    try:
        while left:
            fate = _serve(left[-1].frame, now)
            kept = left.pop()
            taken += fate == tokens.TAKEN
            if fate == tokens.WAITS:
                waits.append(kept)
            else:
                journal().done(kept)
    finally:
        for kept in (*left, *waits):
            journal().leave(kept)
    return taken


def _of(path: Path, now: datetime) -> int:
    """Bring in what a dead process left; its file goes when nothing in it waits any more."""
    with journal().abandoned(path) as frames:
        if frames is None:
            return 0
        fates = [_serve(frame, now) for frame in sorted(frames, key=lambda frame: -frame.fence)]
        if tokens.WAITS not in fates:
            path.unlink(missing_ok=True)
        return fates.count(tokens.TAKEN)


def _serve(frame: Frame, now: datetime) -> str:
    fate = tokens.take_spooled(frame, now)
    if fate == tokens.ORPHANED:
        tokens.give_back(frame)
    elif fate == tokens.TAKEN:
        log.warning("a renewed token was brought in from the spool", extra={"grant": frame.grant_id})
    return fate
