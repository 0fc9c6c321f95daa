"""Which apps a file manages: the one that the setting CONSOLE_FILE names, taken over at each start of the console.

What was taken over is kept in the database, so that every process on every host says the same, whether it can read the
file or not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import g, has_request_context

from .database import writing
from .extensions import db
from .models import Installation

ROW = "console_file"


@dataclass(frozen=True)
class Managed:
    """The file as it was taken over last: its path, the apps in it, when, and what could not be done (sentences)."""

    path: str
    segments: tuple[str, ...]
    taken_at: datetime
    problems: tuple[str, ...] = ()


def current() -> Managed | None:
    """The file that manages apps of this console; None without one. Read once in a request."""
    if has_request_context() and "console_file" in g:
        known: Managed | None = g.console_file
        return known
    row = db.session.get(Installation, ROW)
    found = None
    if row is not None and row.text:
        kept = json.loads(row.text)
        found = Managed(kept["path"], tuple(kept["segments"]), datetime.fromisoformat(kept["taken_at"]),
                        tuple(kept["problems"]))
    if has_request_context():
        g.console_file = found
    return found


def keep(path: str, segments: Sequence[str], now: datetime, problems: Sequence[str] = ()) -> None:
    """Say which apps the file manages from now on; an empty path: no file does."""
    with writing() as session:
        row = session.get(Installation, ROW)
        if row is None and path:
            row = Installation(name=ROW)
            session.add(row)
        if row is not None:
            row.text = json.dumps({"path": path, "segments": list(segments), "taken_at": now.isoformat(),
                                   "problems": list(problems)}) if path else None
    if has_request_context():
        g.pop("console_file", None)


def why_managed(segment: str) -> str:
    """That a file manages this app, as a sentence with the next step; empty if none does."""
    found = current()
    if found is None or segment not in found.segments:
        return ""
    return f"This app is managed by the file {found.path}. Edit it there; it is taken over when the console starts."
