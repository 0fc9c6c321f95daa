"""What the processes of a run put in writing about renewals, so that a loss has to be proved and cannot be excused.

One line each, appended at once: what a killed process wrote stays, as what it wrote into the spool does. A renewal has
up to three lines: "asked" before the call, then "answered" or "failed", then "kept" once its pair lies in the spool.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from socialconsole import journal, outside, tokens
from socialconsole.errors import PlatformError
from socialconsole.providers.base import TokenSet

FILE = "witness.txt"
ASKED, ANSWERED, FAILED, KEPT = "asked", "answered", "failed", "kept"
# What, grant, fence, process, its parent, instant. On a full disk a line may break off; the next one follows it then.
LINE = re.compile(rf"({ASKED}|{ANSWERED}|{FAILED}|{KEPT}) (\S+) (\d+) (\d+) (\d+) (\d+\.\d{{6}})$")


def attend(folder: Path) -> None:
    """From now on this process and its children put in writing in that folder what they do about renewals."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(what: str, grant_id: str, fence: int) -> None:
        who, when = f"{os.getpid()} {os.getppid()}", f"{outside.now().timestamp():.6f}"
        os.write(file, f"{what} {grant_id} {fence} {who} {when}\n".encode())

    tokens._ask = _attended(tokens._ask, say)  # type: ignore[assignment]
    keep = journal.Journal.keep

    def kept(self: journal.Journal, frame: journal.Frame) -> journal.Kept:
        found = keep(self, frame)
        say(KEPT, frame.grant_id, frame.fence)
        return found

    journal.Journal.keep = kept  # type: ignore[method-assign]


def _attended(ask: Callable[[tokens.Claim], TokenSet], say: Callable[[str, str, int], None]
              ) -> Callable[[tokens.Claim], TokenSet]:
    def attended(claim: tokens.Claim) -> TokenSet:
        say(ASKED, claim.grant_id, claim.fence)
        try:
            newer = ask(claim)
        except PlatformError:
            say(FAILED, claim.grant_id, claim.fence)
            raise
        say(ANSWERED, claim.grant_id, claim.fence)
        return newer
    return attended


@dataclass
class Renewal:
    """One try to renew: by which process and which parent of it, and when it came how far."""

    pids: frozenset[int]
    at: dict[str, float] = field(default_factory=dict)

    @property
    def is_cut_off(self) -> bool:
        """Whether its process said nothing more after it had asked, or after the answer came."""
        return FAILED not in self.at and KEPT not in self.at

    @property
    def seconds(self) -> float:
        """How long the platform took; nothing if it never answered."""
        return self.at[ANSWERED] - self.at[ASKED] if ANSWERED in self.at and ASKED in self.at else 0.0


def read(folders: Iterable[Path]) -> dict[str, list[Renewal]]:
    """The tries of each grant, as the processes of these folders told them."""
    found: dict[tuple[str, str], Renewal] = {}
    for folder in folders:
        file = folder / FILE
        lines = file.read_text().splitlines() if file.exists() else []
        for what, grant_id, fence, pid, parent, at in (one.groups() for one in map(LINE.search, lines) if one):
            found.setdefault((grant_id, fence), Renewal(frozenset((int(pid), int(parent))))).at[what] = float(at)
    tries: dict[str, list[Renewal]] = {}
    for (grant_id, _), one in found.items():
        tries.setdefault(grant_id, []).append(one)
    return tries
