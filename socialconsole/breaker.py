"""Breakers: when a platform fails for everybody, or refuses the app itself, nothing more is asked in that app's name.

One breaker for each PlatformApp. It opens when several grants in a row fail with the same code and none succeeds
between, or at once when the platform refuses the app; it pauses, then lets exactly one probe through, over all
processes. A probe that works closes it, one that fails makes the next pause longer. The admin hears of it once.

What only renewals met stops renewals alone: a token endpoint that is down says nothing about publishing.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from . import audit, deliveries, platform_apps
from .database import took, writing
from .extensions import db
from .models import Grant, PlatformApp
from .providers import provider as provider_of

log = logging.getLogger("socialconsole.breaker")

ENOUGH = 5  # different ones that fail in a row
WITHIN = timedelta(minutes=5)
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=30)
PAUSE_IF_REFUSED = timedelta(minutes=15)  # the app itself: only its admin can mend that
PROBE = timedelta(seconds=60)  # far above what one call can take; a probe that died is replaced after it
SPREAD = timedelta(minutes=1)
TROUBLE = "breaker"  # the trouble_code of an app whose breaker says what is wrong

RENEW, ALL = "renew", "all"


@dataclass(frozen=True)
class _Failure:
    code: str
    whom: str
    at: datetime


# What publishing failed at in a row in this process, by app; a success empties it. Renewals are judged by the rows of
# the grants, which all processes see.
_runs: dict[str, deque[_Failure]] = {}
_lock = threading.Lock()


def blocked(app: PlatformApp, now: datetime, *, renewing: bool = False) -> datetime | None:
    """Until when nothing may be asked in an app's name; None if one may ask. Always later than `now`.

    Where it blocks, `take_probe` may still let one caller through.
    """
    if app.breaker_opened_at is None or (app.breaker_scope == RENEW and not renewing):
        return None
    until = app.breaker_until or now
    if until > now + LONGEST_PAUSE + PROBE:
        until = now  # the clock was put back
    return max(until, now + timedelta(seconds=2))


def take_probe(app_id: str, now: datetime, *, renewing: bool = False) -> bool:
    """Whether the caller is the one who may try now that the pause is over. The caller then does call the platform.

    Opens a `writing()` of its own unless one is open.
    """
    scopes = (RENEW, ALL) if renewing else (ALL,)
    with writing():
        return took(
            update(PlatformApp)
            .where(PlatformApp.id == app_id, PlatformApp.breaker_opened_at.is_not(None),
                   PlatformApp.breaker_scope.in_(scopes),
                   or_(PlatformApp.breaker_until <= now, PlatformApp.breaker_until > now + LONGEST_PAUSE + PROBE))
            .values(breaker_until=now + PROBE, breaker_probe_until=now + PROBE))


def failed(app_id: str, code: str, now: datetime, *, whom: str = "", renewing: bool = False,
           refusal: str = "") -> None:
    """Something failed in a way that may concern everybody: no answer, an outage, a limit of the whole app.

    `whom`: the account it failed for, so that one alone opens nothing. `refusal`: the sentence of a platform that
    refuses the app itself, which opens the breaker at once. A failed renewal calls this after its Grant is committed
    with `error_code` and `failed_at`. Opens a `writing()` of its own if there is something to change.
    """
    if refusal:
        is_enough = True
    elif renewing:
        is_enough = _is_a_run_of_renewals(app_id, code, now)
    else:
        is_enough = _is_a_run(app_id, _Failure(code, whom or f"{now.timestamp()}", now))
    scope = RENEW if renewing else ALL
    db.session.flush()  # reading the row afresh must not lose what the caller changed in it
    found = db.session.get(PlatformApp, app_id, populate_existing=True)
    if found is None or not _concerns(found, scope, is_enough):
        return
    with writing() as session:
        app = session.get(PlatformApp, app_id, with_for_update=True, populate_existing=True)
        if app is None or not _concerns(app, scope, is_enough):
            return
        if app.breaker_opened_at is None:
            _open(app, scope, code, refusal, now)
        elif app.breaker_probe_until is not None:
            _pause_again(app, code, refusal, now)
        else:
            app.breaker_scope = ALL
            log.warning("publishing fails too", extra={"app": app_id, "code": code})


def _concerns(app: PlatformApp, scope: str, is_enough: bool) -> bool:
    """Whether this failure opens the breaker, ends its probe, or widens it to publishing."""
    if app.breaker_opened_at is None:
        return is_enough
    if app.breaker_probe_until is not None and app.breaker_scope in (scope, ALL):
        return True
    return is_enough and app.breaker_scope == RENEW and scope == ALL


def worked(app_id: str, now: datetime, *, renewing: bool = False) -> bool:
    """The platform answered as it should: close the breaker. True if that closed it. Costs one SELECT when closed.

    Opens a `writing()` of its own if there is something to close.
    """
    if not renewing:
        answered(app_id)
    scope = db.session.scalar(select(PlatformApp.breaker_scope).where(
        PlatformApp.id == app_id, PlatformApp.breaker_opened_at.is_not(None)))
    if scope is None or (scope == RENEW and not renewing):
        return False
    with writing() as session:
        session.flush()
        app = session.get(PlatformApp, app_id, with_for_update=True, populate_existing=True)
        if app is None or app.breaker_opened_at is None:
            return False
        platform_apps.forget_trouble(app)
        deliveries.release_app(app, now)
        name = provider_of(app.platform).name
        audit.record("platform.breaker_closed", platform_apps.SUBJECT, app.id, f"{name} works again for this app",
                     name=name)
        log.warning("breaker closed", extra={"app": app_id})
        return True


def answered(app_id: str) -> None:
    """A platform whose breaker is closed answered: whatever failed before was no run. Asks no database."""
    with _lock:
        _runs.pop(app_id, None)


def again_at(until: datetime, spread: float) -> datetime:
    """When to come back to what is blocked until then. `spread`, from 0 to 1, keeps all from coming at once."""
    return until + SPREAD * spread


# ---------------------------------------------------------------- is it everybody?


def _is_a_run(app_id: str, failure: _Failure) -> bool:
    """Whether enough failed in a row with this one, in this process. Another code begins a new run."""
    with _lock:
        run = _runs.setdefault(app_id, deque(maxlen=2 * ENOUGH))
        if run and run[-1].code != failure.code:
            run.clear()
        run.append(failure)
        return len({one.whom for one in run if abs(failure.at - one.at) <= WITHIN}) >= ENOUGH


def _is_a_run_of_renewals(app_id: str, code: str, now: datetime) -> bool:
    """Whether enough grants failed lately with this code, in whatever process, and none was renewed since the first."""
    fails = list(db.session.scalars(
        select(Grant.failed_at).where(Grant.app_id == app_id, Grant.error_code == code, Grant.failed_at > now - WITHIN,
                                      Grant.failed_at <= now)
        .order_by(Grant.failed_at.desc()).limit(ENOUGH)))
    if len(fails) < ENOUGH:
        return False
    return db.session.scalar(select(Grant.id).where(Grant.app_id == app_id, Grant.renewed_at >= fails[-1])
                             .limit(1)) is None


# ---------------------------------------------------------------- opening


def _open(app: PlatformApp, scope: str, code: str, refusal: str, now: datetime) -> None:
    app.breaker_opened_at, app.breaker_scope, app.breaker_trips, app.breaker_probe_until = now, scope, 1, None
    app.breaker_until = now + (PAUSE_IF_REFUSED if refusal else FIRST_PAUSE)
    name = provider_of(app.platform).name
    why = refusal or _sentence(name, scope, code)
    if refusal:
        app.check_due_at = now  # whether id and secret are the reason, a check tells
    if refusal or not app.trouble:
        app.trouble, app.trouble_at = why, now
        app.trouble_code = code if refusal else TROUBLE
    audit.record("platform.breaker_opened", platform_apps.SUBJECT, app.id, why, name=name, code=code)
    log.warning("breaker opened", extra={"app": app.id, "code": code, "scope": scope})


def _pause_again(app: PlatformApp, code: str, refusal: str, now: datetime) -> None:
    """The probe failed too: a longer pause, and no second word to the admin unless the cause is another one."""
    app.breaker_trips += 1
    pause = PAUSE_IF_REFUSED if refusal else min(FIRST_PAUSE * 2 ** min(app.breaker_trips - 1, 10), LONGEST_PAUSE)
    app.breaker_until, app.breaker_probe_until = now + pause, None
    if refusal and app.trouble != refusal:
        app.trouble, app.trouble_code, app.trouble_at = refusal, code, now
        name = provider_of(app.platform).name
        audit.record("platform.trouble", platform_apps.SUBJECT, app.id, refusal, name=name, code=code)


def _sentence(name: str, scope: str, code: str) -> str:
    what = "renewing connections" if scope == RENEW else "publishing"
    cause = "no answer" if code in ("", "no_answer", "unreachable") else f"the error {code}"
    return (f"{name} fails for all profiles alike at the moment ({what}: {cause}). The console waits and tries a "
            "single call now and then; it goes on by itself when that works. Nobody has to reconnect.")
