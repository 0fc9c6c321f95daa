"""Is the process alive, is the whole console at work, and how well: two addresses for machines, a page for admins."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import redis
from flask import Blueprint, current_app, g, url_for
from flask.typing import ResponseReturnValue
from rq import Worker
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from .. import board, canaries, checklist, explanations, metrics, platform_apps, retention, tallies, weather
from ..access import requires
from ..config import Config
from ..extensions import db
from ..metrics import Figures, Rows
from ..models import FAILED, HELD, MISSED, PUBLISHED, SENT, TOKEN_EXPIRED, UNCONFIRMED, Account
from ..outside import now as present
from ..times import ago, span
from ..workers import TICKER_KEY
from .charts import Chart, Kind, chart
from .page import show, wants_block

bp = Blueprint("health", __name__)

SEEN_WITHIN = 30.0  # seconds
EVERY = "10s"
LATE, VERY_LATE = timedelta(seconds=15), timedelta(seconds=60)  # what is due for so long has nobody to do it
LITTLE_SPACE, NO_SPACE = 5 * 1024**3, 1024**3  # bytes
MANY_SPOOLED = 100  # more than the threads of a few workers have under way
BARS = 288  # of five minutes: a day
# What a kind of error is called here; see `tallies.KINDS`.
CALLS = {"rate_limited": "asked to wait", "no_answer": "no clear answer", "try_later": "out of order",
         "reconnect": "connection ended", "permission": "permission missing", "already_published": "there already",
         "content": "post refused", "app": "app refused"}
FIRST_REPAIR = (HELD, TOKEN_EXPIRED)  # what nobody else can end while the app itself does not work
NO_DATABASE = ("It does not answer. Nothing is lost: the console goes on as soon as it is back. Look whether it runs "
               "and whether its disk is full.")
NO_STORE = "It does not answer, so nobody is woken. Posts wait and go out when it is back. Look whether it runs."
FULL = " Make room soon: a full disk stops everything."


@bp.app_template_global("weather_about")
def weather_about(account: Account) -> str:
    """What the weather at its platform means to a profile, for its tenant; empty where it means nothing."""
    return weather.about(account, present())


@bp.get("/healthz")
@requires("public")
def alive() -> ResponseReturnValue:
    """The process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
@requires("public")
def ready() -> ResponseReturnValue:
    """200 if the database, the store, a worker and the ticker are at work; 503 and which one is missing otherwise."""
    missing = [name for name, works in (("database", _database), ("store", _store), ("worker", _worker),
                                        ("ticker", _ticker)) if not works()]
    return {"status": "missing" if missing else "ok", "missing": missing}, 503 if missing else 200


def _database() -> bool:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _store() -> bool:
    try:
        return bool(current_app.extensions["store"].ping())
    except redis.RedisError:
        return False


def _worker() -> bool:
    try:
        beats = [worker.last_heartbeat for worker in Worker.all(connection=current_app.extensions["store"])]
    except redis.RedisError:
        return False
    return any(_age(beat) <= SEEN_WITHIN for beat in beats if beat is not None)


def _age(beat: datetime) -> float:
    there = beat if beat.tzinfo else beat.replace(tzinfo=present().tzinfo)
    return (present() - there).total_seconds()


def _ticker() -> bool:
    try:
        seen = current_app.extensions["store"].get(TICKER_KEY)
    except redis.RedisError:
        return False
    return seen is not None and time.time() - float(seen) <= SEEN_WITHIN


# ---------------------------------------------------------------- the page


@dataclass(frozen=True)
class Card:
    """One figure with what it means; `tone` is a status word, `link` the next step where there is one."""

    label: str
    value: str
    note: str
    tone: str = "info"
    link: str = ""
    link_words: str = ""


@dataclass(frozen=True)
class Cell:
    """One number of the board with its next action."""

    word: str
    title: str
    number: int
    tone: str
    action: str
    link: str


@dataclass(frozen=True)
class PlatformLine:
    """How one platform does, and what to do about it."""

    slug: str
    name: str
    weather: weather.Weather
    cells: list[Cell]
    breaker: metrics.Breaker | None
    errors: int
    error_words: str  # the most frequent kinds
    renewed: int
    not_renewed: int
    tone: str
    step: str
    link: str
    told: explanations.Explanation | None = None  # what the trouble of its app means


@bp.get("/admin/health")
@requires("admin")
def page() -> ResponseReturnValue:
    """How the console does, at a glance; htmx gets what changes."""
    now = present()
    found = metrics.figures(now)
    drawn = _charts(now) if found.rows is not None else []
    return show("health.html", "glance", found=found, cards=_cards(found, now), platforms=_platforms(found, now),
                charts=drawn, every=EVERY, rules=_rules(), seen=_seen(found), now=now,
                is_fresh=all(each.is_empty for each in drawn) and not (found.rows and found.rows.deliveries),
                **_installation(now, found), **_canaries(now, found))


def _installation(now: datetime, found: Figures) -> dict[str, Any]:
    """The checklist, which is no part of what polls: a tick must not vanish under a hand."""
    if wants_block():
        return {}
    items = checklist.items(now)
    steps = checklist.first_steps(now) if found.rows is not None else []
    return {"items": items, "to_do": [item for item in items if item.state == checklist.TODO],
            "unsure": [item for item in items if item.state == checklist.UNKNOWN],
            "in_order": [item for item in items if item.state == checklist.OK], "steps": steps,
            "mark": checklist.fingerprint(current_app.extensions["config"])}


def _canaries(now: datetime, found: Figures) -> dict[str, Any]:
    """The canaries of all platforms that are in use; with forms, so no part of what polls either."""
    if wants_block() or found.rows is None:
        return {}
    used = [row.provider.slug for row in platform_apps.overview(now) if row.app is not None and row.app.is_saved]
    return {"canaries": canaries.lines(used, g.user, now)}


# ---------------------------------------------------------------- cards


def _cards(found: Figures, now: datetime) -> list[Card]:
    return [*_work(found.rows, now), *_parts(found)] if found.rows is not None else _parts(found)


def _work(rows: Rows, now: datetime) -> list[Card]:
    held, unconfirmed = rows.deliveries.get(HELD, 0), rows.deliveries.get(UNCONFIRMED, 0)
    return [
        _due("Posts due now", rows.deliveries_due, now), _due("Renewals due now", rows.refreshes_due, now),
        Card("Held", f"{held:,}", "They go out when their profile or platform is repaired." if held else
             "Nothing waits for a repair.", "warn" if held else "ok"),
        Card("Unconfirmed", f"{unconfirmed:,}", "Nobody knows yet whether they went out. The console looks; then the "
             "workspace decides." if unconfirmed else "Every outcome is known.", "warn" if unconfirmed else "ok"),
        _punctuality(rows.hour),
    ]


def _due(label: str, due: metrics.Due, now: datetime) -> Card:
    if not due.number or due.oldest is None:
        return Card(label, "0", "Nothing waits.", "ok")
    waits = timedelta(seconds=metrics.age(due.oldest, now))
    tone = "bad" if waits >= VERY_LATE else "warn" if waits >= LATE else "ok"
    note = f"The oldest for {span(waits)}."
    if tone == "bad":
        note += " Are enough workers at work? See below."
    return Card(label, f"{due.number:,}", note, tone)


def _punctuality(hour: Mapping[tallies.Key, tallies.Sum]) -> Card:
    label, bound = "Late, 99 of 100 posts", tallies.share_within(tallies.by_label(hour, tallies.LATENESS), 0.99)
    if bound is None:
        return Card(label, "–", "No post went out in the last hour.")
    worst = float(bound)
    tone = "ok" if worst <= 2 else "warn" if worst <= 60 else "bad"
    words = f"more than {tallies.LATE_BOUNDS[-2]} s" if bound == tallies.LATE_BOUNDS[-1] else f"≤ {bound} s"
    return Card(label, words, "From the time asked for to a worker's first touch, in the last hour.", tone)


def _parts(found: Figures) -> list[Card]:
    config: Config = current_app.extensions["config"]
    store = "Embedded" if config.embedded_store else "Own server"
    database = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(found.database, found.database)
    return [*_people_at_work(found), _part("Database", database, found.rows is not None, NO_DATABASE),
            _part("Store", store, found.processes is not None, NO_STORE), _media(config), _space(found.disk_free),
            _spool(found.spool_waiting, found.spool_trouble)]


def _part(label: str, value: str, answers: bool, if_not: str) -> Card:
    return Card(label, value, "It answers." if answers else if_not, "ok" if answers else "bad")


def _media(config: Config) -> Card:
    if config.media_s3_url:
        return Card("Files", "Bucket", f"At {urlsplit(config.media_s3_url).hostname}, for all hosts.", "ok")
    return Card("Files", "Folder", "On this machine, or on a disk that all hosts share.", "ok")


def _spool(spooled: int, trouble: str) -> Card:
    """Renewed tokens that the database has not taken yet; a moment of it is usual."""
    if trouble:
        return Card("Spool", f"{spooled:,}", trouble, "bad")
    note = ("Renewed tokens on this machine that wait for the database. They go there by themselves." if spooled
            else "Every renewed token of this machine is in the database.")
    return Card("Spool", f"{spooled:,}", note, "warn" if spooled > MANY_SPOOLED else "ok")


def _people_at_work(found: Figures) -> list[Card]:
    if found.processes is None:
        return [Card("Workers", "?", "Unknown while the store does not answer.", "warn")]
    workers, tickers = found.processes.workers, found.processes.tickers
    return [
        Card("Workers", str(len(workers)), _hosts(workers) if workers else
             "Nobody publishes or renews. Start `socialconsole run` or `socialconsole worker`.",
             "ok" if workers else "bad"),
        Card("Tickers", str(len(tickers)), _hosts(tickers) if tickers else
             "Nobody finds what is due. Start `socialconsole run` or `socialconsole ticker`.",
             "ok" if tickers else "bad"),
    ]


def _hosts(seen: Sequence[metrics.Seen]) -> str:
    names = sorted({one.host for one in seen})
    return f"On {names[0]}." if len(names) == 1 else f"On {len(names)} hosts."


def _space(free: int | None) -> Card:
    label = "Free disk"
    if free is None:
        return Card(label, "?", "The instance folder cannot be read. Look at its rights.", "bad")
    tone = "bad" if free < NO_SPACE else "warn" if free < LITTLE_SPACE else "ok"
    note = "Where the instance folder lies."
    return Card(label, f"{free / 1024**3:,.1f} GB", note if tone == "ok" else note + FULL, tone)


# ---------------------------------------------------------------- platforms


def _platforms(found: Figures, now: datetime) -> list[PlatformLine]:
    """Platforms that are in use, in the order people know them."""
    if found.rows is None:
        return []
    numbers, sky = {line.platform: line for line in board.board(now)}, weather.everywhere(now)
    lines = [_line(row, found.rows, numbers.get(row.provider.slug), sky[row.provider.slug], now)
             for row in platform_apps.overview(now)]
    return [line for line in lines if line is not None]


def _line(row: platform_apps.Row, rows: Rows, counted: board.Line | None, sky: weather.Weather,
          now: datetime) -> PlatformLine | None:
    slug = row.provider.slug
    calls = tallies.by_label(rows.day, tallies.CALL, slug)
    calls.pop("ok", None)
    renewals = tallies.by_label(rows.day, tallies.REFRESH, slug)
    if counted is None and not (calls or renewals):
        return None
    counted = counted or board.Line(slug, {})
    renewed = renewals.pop("ok", 0)
    breaker = next((one for one in rows.breakers if one.platform == slug), None)
    often = sorted(calls, key=lambda kind: (-calls[kind], kind))[:3]
    errors = ", ".join(f"{CALLS.get(kind, kind)} ({calls[kind]:,})" for kind in often)
    tone, step, link = _next_step(row, breaker, counted, now)
    return PlatformLine(slug, row.provider.name, sky, _cells(counted, row), breaker, sum(calls.values()), errors,
                        renewed, sum(renewals.values()), tone, step, link, _told(row))


def _cells(counted: board.Line, row: platform_apps.Row) -> list[Cell]:
    """The numbers of a platform, each with the one thing to do about it: what an admin can end comes first."""
    repair = board.repair(row)
    found = []
    for column in board.COLUMNS.values():
        number = counted.number(column.word)
        action, link = "", ""
        if number and column.action:
            view = "board.profiles" if column in board.PROFILES else "board.posts"
            action, link = column.action, url_for(view, platform=counted.platform, state=column.word)
            if repair is not None and column.word in FIRST_REPAIR:
                action, link = repair.text, url_for("platform_apps.edit", segment=repair.segment)
        tone = board.TONES[column.word] if number else "info"
        found.append(Cell(column.word, column.title, number, tone, action, link))
    return found


def _told(row: platform_apps.Row) -> explanations.Explanation | None:
    """What the trouble of a platform's apps means, the first that has any."""
    return next((told for one in row.apps if one.app is not None and (told := explanations.of_app(one.app))), None)


def _next_step(row: platform_apps.Row, breaker: metrics.Breaker | None, counted: board.Line,
               now: datetime) -> tuple[str, str, str]:
    """The tone of a platform, what to do in words, and where; the worst thing first."""
    troubled = next((one for one in row.apps if one.state == platform_apps.ATTENTION), None)
    if breaker is not None:
        again = f" It tries again {ago(breaker.until, now)}." if breaker.until else ""
        return "bad", f"{breaker.reason or 'The platform refuses this app.'}{again}", url_for(
            "platform_apps.edit", segment=breaker.segment)
    if troubled is not None:
        return "warn", troubled.why, url_for("platform_apps.edit", segment=troubled.segment)
    if (repair := board.repair(row)) is not None and any(counted.numbers.values()):
        return "off", "It is turned off here. Its posts wait until it is on again.", url_for(
            "platform_apps.edit", segment=repair.segment)
    if counted.needs:
        return "ok", "Nothing for you; the numbers above lead to whom to ask.", ""
    return "ok", "Nothing to do.", ""


# ---------------------------------------------------------------- charts, processes, rules


WITHIN = tuple(bound for bound in tallies.LATE_BOUNDS if float(bound) <= 2)
SOON = tuple(bound for bound in tallies.LATE_BOUNDS if 2 < float(bound) <= 15)
LATER = tuple(bound for bound in tallies.LATE_BOUNDS if float(bound) > 15)
CHARTS = (
    (tallies.PUBLISH, "Published", "What became of posts, each in the five minutes it happened in.", (
        Kind("published", "ok", (PUBLISHED,)), Kind("sent", "info", (SENT,)),
        Kind("held or unconfirmed", "warn", (HELD, UNCONFIRMED)), Kind("failed or missed", "bad", (FAILED, MISSED)))),
    (tallies.LATENESS, "Punctuality", "How long after the time asked for a worker took a post up.", (
        Kind("within 2 s", "ok", WITHIN), Kind("within 15 s", "warn", SOON), Kind("later", "bad", LATER))),
    (tallies.REFRESH, "Renewals", "How renewals of tokens ended.", (
        Kind("renewed", "ok", ("ok",)),
        Kind("tried again later", "warn", ("try_later", "rate_limited", "no_answer", "ours")),
        Kind("refused", "bad", ("refused", "app_refused")))),
)


def _charts(now: datetime) -> list[Chart]:
    since = tallies.bucket(now) - (BARS - 1) * tallies.BUCKET
    return [chart(what, title, words, kinds, tallies.courses(what, since), since, tallies.BUCKET, BARS)
            for what, title, words, kinds in CHARTS]


def _seen(found: Figures) -> list[tuple[str, metrics.Seen]]:
    if found.processes is None:
        return []
    return [("Worker", one) for one in found.processes.workers] + [("Ticker", one) for one in found.processes.tickers]


def _rules() -> dict[str, object]:
    """What is cleaned, when: each rule with its days and what the last run removed."""
    try:
        last = retention.last_run()
    except SQLAlchemyError:
        db.session.rollback()
        last = None
    removed = last.removed if last else {}
    rows = [(rule.words, retention.kept_days(rule.name), rule.name, removed.get(rule.name)) for rule in retention.RULES]
    rows.append((retention.FILE_WORDS, 1, "", removed.get(retention.FILES)))
    return {"rows": rows, "last": last}
