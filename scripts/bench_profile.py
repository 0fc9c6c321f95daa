"""Where an item's time goes: statements and processor time of one renewal and one post, and a profile of a worker.

`per_item` runs the services in this process, one after the other. `METER` is put into the engine's own processes by
Python's `sitecustomize`: it counts the processor time of every thread, so that waiting is not taken for work.
"""

import cProfile
import json
import pstats
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event

from socialconsole.extensions import db

TOP = 15

# Runs inside the engine's own processes. Each of these functions is wrapped; a thread's processor time counts for the
# innermost one it is in, and for the outermost step of the engine that it belongs to.
METER = '''
import importlib, os, sys, threading, time
from collections import Counter

FOLDER = os.environ.get("BENCH_SAMPLES", "")
WRAPPED = (
    ("requests.sessions", "Session.send", "HTTP client"),
    ("requests.sessions", "Session.request", "HTTP client"),
    ("socialconsole.providers.oauth2", "OAuth2Provider.renew", "HTTP client"),
    ("sqlalchemy.engine.default", "DefaultDialect.do_execute", "database driver"),
    ("sqlalchemy.engine.default", "DefaultDialect.do_commit", "database driver"),
    ("sqlalchemy.engine.default", "DefaultDialect.do_rollback", "database driver"),
    ("sqlalchemy.orm.session", "Session.execute", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session._execute_internal", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session.flush", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session.commit", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session.connection", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session.get", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session.close", "SQLAlchemy"),
    ("sqlalchemy.orm.session", "Session.expire_all", "SQLAlchemy"),
    ("socialconsole.vault", "Vault.seal", "sealing"),
    ("socialconsole.vault", "Vault.open", "sealing"),
    ("logging", "Logger.handle", "logging"),
    ("socialconsole.journal", "Journal.keep", "journal"),
    ("socialconsole.journal", "Journal.done", "journal"),
    ("redis.client", "Redis.execute_command", "store and queue"),
)
STEPS = (
    ("socialconsole.heartbeat", "pick"), ("socialconsole.tallies", "flush"),
    ("socialconsole.tokens", "_claim"), ("socialconsole.tokens", "_renewed"),
    ("socialconsole.publishing", "_claim"), ("socialconsole.publishing", "_ready"),
    ("socialconsole.publishing", "_send"), ("socialconsole.publishing", "_write"),
    ("socialconsole.providers.oauth2", "OAuth2Provider.renew"),
    ("socialconsole.providers.twitter", "Twitter.publish"),
)
mine = threading.local()
parts, steps, calls = Counter(), Counter(), Counter()
written = [0.0]

def wrap(function, part, step):
    name = part or step
    def wrapped(*given, **named):
        now = time.thread_time_ns()
        stack = mine.__dict__.setdefault("stack", ["other"])
        inner = mine.__dict__.setdefault("step", ["rest of the item"])
        spent = now - mine.__dict__.setdefault("since", now)
        parts[stack[-1]] += spent
        steps[inner[-1]] += spent
        mine.since = now
        (stack if part else inner).append(name)
        calls[name] += 1
        try:
            return function(*given, **named)
        finally:
            now = time.thread_time_ns()
            parts[stack[-1]] += now - mine.since
            steps[inner[-1]] += now - mine.since
            mine.since = now
            (stack if part else inner).pop()
            if time.monotonic() - written[0] > 0.5:
                written[0] = time.monotonic()
                write()
    return wrapped

def write():
    lines = [f"{name}\\t{count}" for name, count in dict(parts).items()]
    lines += [f"@{name}\\t{count}" for name, count in dict(steps).items()]
    path = os.path.join(FOLDER, f"{os.getpid()}.samples")
    with open(path + ".new", "w") as file:
        file.write("\\n".join(lines))
    os.replace(path + ".new", path)

def begin():
    if "socialconsole.jobs" not in sys.modules or mine.__dict__.get("is_on"):
        return
    mine.is_on = True
    for module, path, part in (*WRAPPED, *((module, path, "") for module, path in STEPS)):
        holder = sys.modules.get(module)
        *classes, name = path.split(".")
        for one in classes:
            holder = getattr(holder, one, None)
        if holder is not None and hasattr(holder, name):
            setattr(holder, name, wrap(getattr(holder, name), part, path.split(".")[-1] if not part else ""))

if FOLDER:
    os.register_at_fork(after_in_child=begin)
'''


def sampled(folder: Path) -> dict[str, str]:
    """The settings that put the meter into a process; what it finds goes to that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(METER)
    return {"BENCH_SAMPLES": str(folder)}


def shares(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of the processor time by part and by step of the engine, the largest first, over all processes."""
    parts: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    for path in folder.glob("*.samples"):
        for line in path.read_text().splitlines():
            name, _, count = line.rpartition("\t")
            (steps if name.startswith("@") else parts)[name.lstrip("@")] += int(count)
    return _shared(parts), _shared(steps)


def _shared(spent: Counter[str]) -> dict[str, float]:
    whole = sum(spent.values()) or 1
    return {name: round(count / whole, 3) for name, count in spent.most_common()}


def per_item(app: Flask, serve: Callable[[str], object], ids: list[str], profiled: list[str]) -> dict[str, Any]:
    """Statements and processor milliseconds of an item (over `ids`), and its dearest functions (over `profiled`)."""
    said: Counter[str] = Counter()
    with app.app_context():
        engine = db.engine

    @event.listens_for(engine, "before_cursor_execute")
    def _count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said[" ".join(statement.split())[:70]] += 1

    def one(row_id: str) -> None:
        with app.app_context():
            serve(row_id)
            db.session.remove()

    for row_id in ids[:10]:
        one(row_id)
    said.clear()
    began, cpu = time.monotonic(), time.process_time()
    for row_id in ids[10:]:
        one(row_id)
    count = len(ids) - 10
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    statements = dict(said.most_common())
    event.remove(engine, "before_cursor_execute", _count)
    profile = cProfile.Profile()
    profile.enable()
    for row_id in profiled:
        one(row_id)
    profile.disable()
    return {"cpu_ms": round(cpu / count * 1000, 2), "wall_ms": round(wall / count * 1000, 2),
            "statements": round(sum(statements.values()) / count, 1),
            "by_statement": {name: round(number / count, 2) for name, number in statements.items()},
            "top": _top(profile, len(profiled))}


def _top(profile: cProfile.Profile, count: int) -> list[dict[str, Any]]:
    """The functions that cost most, themselves and what they call, in milliseconds of an item."""
    found = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = [{"what": f"{Path(name).parent.name}/{Path(name).name}:{line}:{function}", "calls": round(calls / count, 1),
             "own_ms": round(own / count * 1000, 3), "all_ms": round(whole / count * 1000, 3)}
            for (name, line, function), (_, calls, own, whole, _c) in found.items()]
    return sorted(rows, key=lambda row: row["all_ms"], reverse=True)


def as_text(found: dict[str, Any]) -> str:
    """For reading."""
    return json.dumps(found, indent=1)
