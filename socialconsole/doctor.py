"""How the whole installation does, in one report: for the command line, for scripts, and as a file to hand on.

The report names everything by its own words. The file holds only what is on its list: names of checks and settings,
states, versions and counts; no value of a setting, no person, no workspace, no address, nothing that anybody wrote.
"""

import io
import json
import platform as machine
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from ulid import ULID

from . import board, checklist, metrics, platform_apps, store, tallies, weather
from . import config as settings
from .checklist import OK, ORDER, TODO, UNKNOWN, Item
from .config import Config
from .extensions import db
from .models import AuditEvent, Recording
from .platform_apps import Row
from .providers import versions

BROKEN = "broken"
FORMAT = 1  # of the report; raised when a key changes its meaning
WEEK, DAY = timedelta(days=7), timedelta(days=1)
# What a word in the file may look like: ours, or a platform's code that was cut to one.
WORD = re.compile(r"[a-z][a-z0-9_.]{0,39}|[0-9.]{1,6}|inf")
ABOUT = """A report of Social Console, made to be handed on.

report.json    each check with its state, and how each platform does
settings.txt   which settings are given, and from where; no value
versions.txt   versions of the console, of Python and of all packages
counts.json    how often things happened: kinds and numbers only

Left out are all values of settings, people, workspaces, profiles, addresses and posts, and every sentence in which one
of them could stand. The console keeps no log file; its lines go to standard error, where the system keeps them.
"""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Report:
    """What was found. `platforms`: one entry for each app, with its state; empty where the database is away."""

    at: datetime
    items: tuple[Item, ...]
    platforms: tuple[dict[str, Any], ...]
    counts: dict[str, Any]

    @property
    def state(self) -> str:
        """ok, todo or broken: the worst of all checks. What cannot be told alarms nobody."""
        states = {item.state for item in self.items}
        return BROKEN if BROKEN in states else TODO if TODO in states else OK


# ---------------------------------------------------------------- looking


def examine_settings(config: Config) -> list[Item]:
    """What is wrong with the settings; each would keep the console from starting."""
    if not config.problems:
        return [Item("settings", "Settings", OK, "All settings can be used.")]
    return [Item(f"settings_{number}" if number > 1 else "settings", "Settings", BROKEN, problem,
                 "Correct it: `socialconsole check` says how each setting is read.", is_own=False)
            for number, problem in enumerate(config.problems, 1)]


def examine_database(problems: Sequence[str]) -> list[Item]:
    """Whether the database answers, has the tables of this version and opens with these keys."""
    if not problems:
        return [Item("tables", "Tables and keys", OK, "The database has the tables of this version, and the keys open "
                     "it.")]
    return [Item("tables", "Database", BROKEN, " ".join(problems), "The console does not start before that.",
                 is_own=False)]


def examine_store(config: Config) -> list[Item]:
    """Whether the store answers; for when nobody can ask inside the running console."""
    if store.answers(config):
        return [Item("store", "Store", OK, "It answers.")]
    step = ("Start `socialconsole run`, which runs it." if config.embedded_store else
            "Look whether the server of REDIS_URL runs.")
    return [Item("store", "Store", BROKEN, "It does not answer, so nobody is woken. Posts wait.", step)]


def examine_running(now: datetime, before: Sequence[Item] = ()) -> Report:
    """The whole report, from inside the app; `before`: what was looked at already. Needs an app context."""
    found = _or_none(lambda: checklist.items(now))
    if found is None:
        away = Item("database", "Database", BROKEN, "It does not answer.", "Look whether it runs, and at DATABASE_URL.")
        return report(now, [*before, away])
    items = [_graver(item) for item in found]
    known = {item.name for item in before}
    return report(now, [*before, *(item for item in items if item.name not in known)],
                  _or_none(lambda: _platforms(now)) or (), _or_none(lambda: _counts(now)) or {})


def report(now: datetime, items: Sequence[Item], platforms: Sequence[dict[str, Any]] = (),
           counts: dict[str, Any] | None = None) -> Report:
    """A report of these checks, the gravest first."""
    order = {BROKEN: -1, **ORDER}
    return Report(now, tuple(sorted(items, key=lambda item: order[item.state])), tuple(platforms), counts or {})


def _graver(item: Item) -> Item:
    """Without a store nothing goes out: that is more than something to do."""
    if item.name == "store" and item.state == TODO:
        return Item(item.name, item.title, BROKEN, item.text, item.step)
    return item


def _or_none(ask: Callable[[], Value]) -> Value | None:
    try:
        return ask()
    except SQLAlchemyError:
        db.session.rollback()
        return None


def _platforms(now: datetime) -> list[dict[str, Any]]:
    numbers = {line.platform: dict(line.numbers) for line in board.read(now)}
    sky = weather.read(now)
    return [_app(row, numbers.get(row.provider.slug, {}), sky[row.provider.slug])
            for first in platform_apps.overview(now) for row in first.apps if row.app is not None]


def _app(row: Row, numbers: dict[str, int], sky: weather.Weather) -> dict[str, Any]:
    app = row.app
    assert app is not None
    life = versions.life(row.provider, app.api_version)
    checked = app.is_check_current and app.checked_at is not None
    return {
        "platform": row.segment, "state": row.state, "on": row.is_on, "sandbox": app.is_sandbox,
        "verdict": app.check_verdict if checked else None,
        "checked_at": app.checked_at.isoformat() if checked and app.checked_at else None,
        "weather": sky.word, "accounts": row.accounts, "numbers": {} if row.is_further else numbers,
        "api_version": life.version if life is not None else None,
        "api_version_ends": life.ends.isoformat() if life is not None and life.ends is not None else None,
    }


def _counts(now: datetime) -> dict[str, Any]:
    """Kinds and how often, of the last week and day. Ids begin with their instant, so that a key finds them."""
    audits = db.session.execute(
        select(AuditEvent.action, func.count()).where(AuditEvent.id > f"evt_{ULID.from_datetime(now - WEEK)}")
        .group_by(AuditEvent.action).order_by(AuditEvent.action))
    recorded = db.session.execute(
        select(Recording.kind, Recording.platform, Recording.outcome, func.count())
        .where(Recording.id > f"rec_{ULID.from_datetime(now - WEEK)}")
        .group_by(Recording.kind, Recording.platform, Recording.outcome))
    shown = (tallies.CALL, tallies.REFRESH, tallies.PUBLISH, tallies.LATENESS)
    return {
        "activity_7_days": _summed(audits),
        "recordings_7_days": [[_word(kind), _word(slug), _word(outcome), number]
                              for kind, slug, outcome, number in recorded],
        "tallies_24_hours": [[key.what, _word(key.platform), _word(key.label), one.number]
                             for key, one in sorted(tallies.everything(now - DAY).items()) if key.what in shown],
    }


def _summed(pairs: Iterable[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word, number in pairs:
        found[_word(word)] = found.get(_word(word), 0) + number
    return found


def _word(text: str) -> str:
    """A word that may stand in the file; "other" for what looks like anything else."""
    return text if WORD.fullmatch(text) else "other"


# ---------------------------------------------------------------- telling


def as_json(found: Report, public_url: str) -> dict[str, Any]:
    """The report for scripts, on this machine. Its keys stay as they are."""
    return {
        "format": FORMAT, "state": found.state, "version": metrics.version(), "at": found.at.isoformat(),
        "checks": [{"name": item.name, "state": item.state, "title": item.title, "text": item.text, "step": item.step,
                    "link": f"{public_url}{item.path}" if item.path else ""} for item in found.items],
        "platforms": list(found.platforms),
    }


LABELS = {OK: "ok", TODO: "do this", UNKNOWN: "cannot tell", BROKEN: "broken"}


def as_text(found: Report, public_url: str) -> str:
    """The report for people: one line for each check, and below it what to do."""
    lines = []
    for item in found.items:
        lines.append(f"{LABELS[item.state]:12} {item.title}: {item.text}")
        if item.state != OK and item.step:
            lines.append(f"{'':12} {item.step}" + (f" {public_url}{item.path}" if item.path else ""))
    if found.platforms:
        lines += ["", f"{'platform':14} {'state':10} {'credentials':13} {'weather':10} accounts"]
        lines += [f"{one['platform']:14} {one['state']:10} {one['verdict'] or 'not checked':13} {one['weather']:10} "
                  f"{one['accounts']}" for one in found.platforms]
    return "\n".join(lines)


# ---------------------------------------------------------------- the file


def bundle(found: Report, config: Config, now: datetime) -> bytes:
    """The report as a ZIP file, of nothing but what may be handed on."""
    checks = [{"name": item.name, "state": item.state,
               **({"text": item.text, "step": item.step} if item.is_own else {})} for item in found.items]
    told = {"format": FORMAT, "state": found.state, "version": metrics.version(), "at": found.at.isoformat(),
            "checks": checks, "platforms": list(found.platforms)}
    files = {"README.txt": ABOUT, "report.json": _dumped(told), "settings.txt": _settings(config),
             "versions.txt": _versions(config), "counts.json": _dumped(found.counts)}
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, words in files.items():
            archive.writestr(zipfile.ZipInfo(name, now.timetuple()[:6]), words)
    return kept.getvalue()


def file_name(now: datetime) -> str:
    """What the file is called."""
    return f"socialconsole-report-{now:%Y%m%d-%H%M}.zip"


def _dumped(what: Any) -> str:
    return json.dumps(what, indent=2, ensure_ascii=False) + "\n"


def _settings(config: Config) -> str:
    """Which settings are given, and from where."""
    places = {name: config.source.get(name, "default") for name in settings.NAMES}
    return "".join(f"{name:24} {'default' if place == 'default' else f'set, from {place}'}\n"
                   for name, place in places.items())


def _versions(config: Config) -> str:
    kind = "sqlite" if config.database_url.startswith("sqlite") else "postgresql"
    packages = sorted({(one.metadata["Name"] or "", one.version) for one in metadata.distributions()},
                      key=lambda one: one[0].lower())
    lines = [f"socialconsole {metrics.version()}", f"python {machine.python_version()}",
             f"system {sys.platform} {machine.machine()}", f"database {kind}", "",
             *(f"{name}=={version}" for name, version in packages if name)]
    return "\n".join(lines) + "\n"
