"""Check credentials: asks the platform whether an app's id and secret are right, and keeps what it said.

The platform is asked outside of any transaction and for five seconds at most. What it said is stored only if id, secret
and kind of use are still those that it was asked about. An app is turned on only after such a check: never with a pair
that is certainly wrong, and where the platform cannot tell, only when an admin insists.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from . import audit, configure, outside, platform_apps, tokens
from .configure import NotPossible
from .database import refuse_open_transaction, took, writing
from .extensions import db
from .models import BY_CHECK, LIVE, Grant, PlatformApp
from .platform_apps import SUBJECT
from .providers import provider as provider_of
from .providers.app_check import NOT_WHICH
from .providers.base import App
from .providers.verdicts import UNKNOWN, VALID, WRONG, WRONG_ID, WRONG_SECRET, Verdict
from .vault import Unreadable

FRESH = timedelta(minutes=10)  # what was said so lately is not asked again before an app is turned on
DAILY, SPREAD = timedelta(days=1), timedelta(hours=2)
SOON = timedelta(hours=1)  # after a check that came to nothing, or that nobody finished
LONGEST_CODE = 80
LABELS = {VALID: "both are right", WRONG_ID: "the client ID is wrong", WRONG_SECRET: "the secret is wrong",
          UNKNOWN: "the platform cannot tell"}

Ring = Callable[[str, list[str]], None]  # kind of job, ids


class WrongCredentials(Exception):
    """The platform refuses id or secret; the message says which and what to do."""


class CannotTell(Exception):
    """The platform did not say whether id and secret are right; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What a check came to. Not stored where the credentials were changed while the platform was asked."""

    verdict: str  # valid, wrong_id, wrong_secret, unknown
    message: str
    code: str
    checked_at: datetime
    is_stored: bool

    @property
    def is_wrong(self) -> bool:
        """Whether the platform refuses the pair for certain."""
        return self.verdict in WRONG


def label(verdict: str, sentence: str) -> str:
    """A verdict in some words; `sentence` tells whether the platform said which of the two is wrong."""
    return "the client ID or the secret is wrong" if verdict in WRONG and NOT_WHICH in sentence else LABELS[verdict]


# ---------------------------------------------------------------- asking


def check(app_id: str, by: str = "") -> Outcome:
    """Ask the platform now, and store what it says. Not inside `writing()`.

    `by`: who wants to know; nobody for the daily check, which says nothing in the history unless something changed, and
    keeps a known verdict where the platform cannot be asked. Raises NotPossible where nothing is saved to be checked.
    """
    app = db.session.get(PlatformApp, app_id, populate_existing=True)
    if app is None or not app.is_saved:
        raise NotPossible("Save both values first: only what is stored is checked.")
    asked_about = (app.client_id, app.secret_version, app.mode, app.generation)
    verdict = _ask(app)
    now = outside.now()
    is_stored = _store(app_id, asked_about, verdict, by, now)
    if is_stored:
        _tell(app_id, verdict, now)
    return Outcome(verdict.kind, verdict.sentence, verdict.code, now, is_stored)


def _ask(app: PlatformApp) -> Verdict:
    provider = provider_of(app.platform)
    if not platform_apps.is_reachable(app):
        return Verdict(UNKNOWN, "These are the sandbox's, and the sandbox is switched off here.", "sandbox_off")
    try:
        facts = platform_apps.facts(app)
        token = _token(app, facts) if provider.checks_with_token(app.mode) else ""
    except Unreadable:
        return Verdict(UNKNOWN, f"The stored {provider.client_secret_label} cannot be opened with the keys of this "
                                "server. Replace it.", "unreadable_secret")
    refuse_open_transaction()  # the call is made by another thread, which cannot see ours
    return provider.check_app(facts, token)


def _token(app: PlatformApp, facts: App) -> str:
    """A token that this app was given, for platforms that judge the secret only beside one; empty if there is none."""
    grant = db.session.scalar(
        select(Grant).where(Grant.app_id == app.id, Grant.app_generation == app.generation, Grant.state == LIVE,
                            Grant.access_sealed.is_not(None)).order_by(Grant.granted_at.desc()).limit(1))
    try:
        return tokens.read(grant).access_token if grant is not None else ""
    except Unreadable:
        return ""


def _store(app_id: str, asked_about: tuple[str, int, str, int], verdict: Verdict, by: str, now: datetime) -> bool:
    """Keep the verdict, if it is still about what is stored."""
    client_id, secret_version, mode, generation = asked_about
    with writing():
        before = db.session.get(PlatformApp, app_id, populate_existing=True)
        if before is None:
            return False
        known = before.check_verdict if before.is_check_current else ""
        values = {"check_verdict": verdict.kind, "check_message": verdict.sentence,
                  "check_code": verdict.code[:LONGEST_CODE], "checked_at": now, "checked_client_id": client_id,
                  "checked_secret_version": secret_version, "checked_mode": mode,
                  "check_due_at": _next(app_id, now)}
        if not by and verdict.kind == UNKNOWN and known not in ("", UNKNOWN):
            values = {"check_due_at": now + SOON}  # an outage makes nobody unsure of what was certain
        same = (PlatformApp.id == app_id, PlatformApp.client_id == client_id, PlatformApp.mode == mode,
                PlatformApp.secret_version == secret_version, PlatformApp.generation == generation)
        if not took(update(PlatformApp).where(*same).values(**values)):
            return False
        db.session.refresh(before)
        if by or ("check_verdict" in values and verdict.kind != known):
            audit.record("platform.checked", SUBJECT, app_id,
                         f"Checked the credentials: {label(verdict.kind, verdict.sentence)}",
                         name=platform_apps.title(before), verdict=verdict.kind, code=verdict.code[:LONGEST_CODE])
    return True


def _next(app_id: str, now: datetime) -> datetime:
    """When to ask again: in a day, each app at another moment."""
    return now + DAILY + SPREAD * (zlib.crc32(app_id.encode()) / 2**32)


def _tell(app_id: str, verdict: Verdict, now: datetime) -> None:
    """Flag an app that is refused for certain, and take off a flag that a check had set."""
    app = db.session.get(PlatformApp, app_id, populate_existing=True)
    if app is None or app.breaker_opened_at is not None:
        return  # an open breaker says what is wrong, and finds out by itself when that is over
    is_ours = app.trouble_code.startswith(BY_CHECK)
    if verdict.is_wrong and (is_ours or not app.trouble):  # what a worker met stands, until it works again
        platform_apps.flag(app_id, verdict.sentence, (BY_CHECK + verdict.code)[:LONGEST_CODE], now)
    elif verdict.kind == VALID and is_ours:
        platform_apps.clear_flag(app_id)


# ---------------------------------------------------------------- on


def turn_on(segment: str, by: str, now: datetime, *, insist: bool = False) -> PlatformApp:
    """Offer an app to tenants, once its credentials were checked.

    Raises NotPossible, WrongCredentials, and CannotTell unless an admin insists.
    """
    app = platform_apps.at(segment)
    why_not = platform_apps.why_not_on(platform_apps.provider_at(segment), app)
    if why_not or app is None:
        raise NotPossible(why_not)
    if not app.is_on:
        _permit(app, by, now, insist)
    return configure.turn_on(segment, now)


def _permit(app: PlatformApp, by: str, now: datetime, insist: bool) -> None:
    verdict, message = app.check_verdict, app.check_message
    is_fresh = app.is_check_current and app.checked_at is not None and abs(now - app.checked_at) < FRESH
    if not is_fresh or verdict in WRONG:
        found = check(app.id, by)
        if not found.is_stored:
            raise NotPossible("The credentials were changed meanwhile. Look at them, then turn it on again.")
        verdict, message = found.verdict, found.message
    if verdict in WRONG:
        raise WrongCredentials(message)
    if verdict != VALID and not insist:
        raise CannotTell(message)


# ---------------------------------------------------------------- by itself


def _is_due(now: datetime) -> ColumnElement[bool]:
    last = func.coalesce(PlatformApp.checked_at, PlatformApp.updated_at)
    return and_(PlatformApp.is_on.is_(True), PlatformApp.client_id != "", PlatformApp.secret_sealed.is_not(None),
                or_(PlatformApp.check_due_at <= now,
                    and_(PlatformApp.check_due_at.is_(None), last <= now - DAILY)))


def ring_due(now: datetime, ring: Ring) -> int:
    """Ring for the apps that are on and whose daily check is due, or that a platform refused. Returns how many."""
    found = list(db.session.scalars(select(PlatformApp.id).where(_is_due(now)).order_by(PlatformApp.id)))
    db.session.commit()
    if found:
        ring("check", found)
    return len(found)


def recheck(app_id: str) -> Outcome | None:
    """Check one app if that is due and nobody else is at it; None if it is not."""
    now = outside.now()
    with writing():
        if not took(update(PlatformApp).where(PlatformApp.id == app_id, _is_due(now)).values(check_due_at=now + SOON)):
            return None
    return check(app_id)
