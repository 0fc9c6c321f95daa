"""Tokens: the only reader and writer of token sets.

One renewal at a time for each Grant, over all processes: a conditional UPDATE takes the lease and raises the fence,
the platform is asked outside of any transaction, and the answer is stored only where the fence still fits. A rotated
pair is in the spool, sealed and synced, before the database is asked, and committed before anyone uses it. What is not
a definite "no" never ends a connection.
"""

import hashlib
import logging
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import current_app
from sqlalchemy import and_, bindparam, or_, select, update

from . import audit, breaker, deliveries, platform_apps, recorder, recordings, tallies
from .database import UtcDateTime, change, insist, release, took, writing
from .errors import (
    APP_CHANGED,
    EXPIRED,
    PERMISSION_MISSING,
    REVOKED,
    ConfigurationWrong,
    NeedsReconnect,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    TryLater,
)
from .extensions import db
from .journal import Frame, journal
from .models import (
    ACTIVE,
    DEAD,
    DISCONNECTED,
    LIVE,
    PAUSED,
    RENEWING,
    TOKEN_EXPIRED,
    UNSURE,
    Account,
    Grant,
    PlatformApp,
    Workspace,
)
from .outside import now as present
from .providers import provider as provider_of
from .providers.base import App, Provider, Renewal, Replay, Revoke, TokenSet
from .providers.oauth2 import OAuth2Provider, connectable
from .providers.refusals import RENEW
from .times import exact
from .together import together
from .vault import Unreadable, Vault

log = logging.getLogger("socialconsole.tokens")

LEASE = timedelta(seconds=120)  # far above what one renewal can take
MARGIN = timedelta(seconds=30)  # a token with less left is not used any more
AGAIN_AFTER = timedelta(minutes=15)  # when the app is refused
LONGEST_BACK_OFF = timedelta(minutes=30)
WHILE_RENEWING = timedelta(seconds=2)
OUTAGE_AT_MOST = timedelta(days=1)
UNCLEAR_AT_MOST = 20  # tries; a console that was off itself for days must not count them as the platform's
SURE_AFTER_RENEWAL = timedelta(minutes=2)  # a refusal this soon after a renewal is meant
INSIST_SECONDS = 30.0  # that a database which is away is waited for; with the call itself far below a lease
WITHOUT_SPOOL = timedelta(minutes=1)  # before a spool that cannot be written is looked at again
PATIENCE = timedelta(minutes=5)  # with a process that has an answer and does not store it
JUMP = timedelta(minutes=1)  # a clock that differs by less was not put back
OVERDUE = timedelta(minutes=10)
STOOD_STILL = 40.0  # seconds between a claim and the call: a third of the lease
SPARE = timedelta(hours=1)  # of life, with which a renewal may let others go first
MOST_AT_ONCE = 200


class Renewed(Exception):
    """The token is being renewed, or has to be: come back when the Grant has settled, not before `until`."""

    def __init__(self, until: datetime | None = None) -> None:
        super().__init__("the token has to be renewed first")
        self.until = until

    def next_try(self, now: datetime) -> datetime:
        """When to come back."""
        return max(now + WHILE_RENEWING, self.until or now)


@dataclass(frozen=True)
class Access:
    """What a call in the name of an account needs. `version` tells whether the token changed since."""

    app: App
    provider: OAuth2Provider
    token: str
    grant_id: str
    version: int

    def __repr__(self) -> str:
        return f"Access({self.provider.slug}, {self.grant_id})"


def _vault() -> Vault:
    vault: Vault = current_app.extensions["vault"]
    return vault


# ---------------------------------------------------------------- sealing


def store(grant: Grant, tokens: TokenSet, now: datetime, **also: Any) -> None:
    """Seal a token set into its Grant and say when to act next. Inside `writing()`; the Grant has its id.

    `also`: further columns that change with it.
    """
    version = (grant.version or 0) + 1
    where = ("grant", grant.workspace_id, grant.id, str(version))
    refresh = _vault().seal(tokens.refresh_token, "refresh", *where) if tokens.refresh_token else None
    if tokens.refresh_expires_in is not None or not tokens.refresh_token:
        also["refresh_expires_at"] = _end(now, tokens.refresh_expires_in)
    change(grant, version=version, access_sealed=_vault().seal(tokens.access_token, "access", *where),
           refresh_sealed=refresh, access_expires_at=_end(now, tokens.expires_in), state=LIVE, reason="",
           last_error="", attempts=0, lease_until=None, error_code="", failed_at=None,
           due_at=next_due(connectable(grant.platform), grant.id, tokens, now), **also)


def read(grant: Grant) -> TokenSet:
    """The token set of a Grant. Raises Unreadable if the keys do not open it, or if it was erased."""
    if grant.access_sealed is None:
        raise Unreadable("the tokens were erased")
    where = ("grant", grant.workspace_id, grant.id, str(grant.version))
    refresh = _vault().open(grant.refresh_sealed, "refresh", *where) if grant.refresh_sealed else None
    life = (grant.refresh_expires_at - grant.granted_at).total_seconds() if grant.refresh_expires_at else None
    return TokenSet(_vault().open(grant.access_sealed, "access", *where), refresh,
                    refresh_expires_in=int(life) if life is not None else None)


def store_own(account: Account, token: str | None) -> None:
    """Seal the token that the platform made for this very profile (a Page's)."""
    account.own_token_version = (account.own_token_version or 0) + 1
    account.own_token_sealed = _vault().seal(token, *_own(account)) if token else None


def _own(account: Account) -> tuple[str, ...]:
    return ("own_token", "account", account.workspace_id, account.id, str(account.own_token_version))


def erase(grant: Grant) -> None:
    """Erase the tokens of a Grant for good; whoever is renewing it finds another fence."""
    grant.access_sealed = grant.refresh_sealed = None
    grant.access_expires_at = grant.refresh_expires_at = grant.due_at = grant.lease_until = None
    grant.version += 1
    grant.fence += 1
    grant.state = DEAD


def _end(now: datetime, seconds: int | None) -> datetime | None:
    return now + timedelta(seconds=seconds) if seconds is not None else None


# ---------------------------------------------------------------- when


def next_due(provider: OAuth2Provider, spread: str, tokens: TokenSet, now: datetime) -> datetime | None:
    """When to act on a token set that was just given: the renewal, or the end where only the person can renew.

    None: it neither ends nor needs renewing. `spread` keeps many tokens of one hour from being renewed in one minute.
    """
    if tokens.expires_in is None:
        return None
    life = timedelta(seconds=tokens.expires_in)
    if provider.renewal_of(tokens) is Renewal.NONE:
        return now + life
    earliest, latest = provider.renew_between
    share = earliest + (latest - earliest) * _spread(spread)
    if provider.renew_before_end is not None:
        return max(now + life - provider.renew_before_end, now + min(timedelta(days=1), life * share))
    return now + life * share


def _spread(text: str) -> float:
    """A number from 0 to 1 that stays the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def back_off(attempts: int, spread: str, first: timedelta = timedelta(seconds=20)) -> timedelta:
    """How long to wait after so many failures: doubling, never above half an hour, spread by a fifth."""
    wait = min(first * (2 ** min(attempts, 12)), LONGEST_BACK_OFF)
    return wait * (0.9 + 0.2 * _spread(f"{spread}{attempts}"))


# ---------------------------------------------------------------- use


def access(account: Account, now: datetime, apps: dict[str, App] | None = None) -> Access:
    """The token to call with in the name of an account. Inside `writing()`.

    `apps`: the facts of apps that this transaction has read already, by id; what is missing is added.

    Raises Renewed when the Grant has to be renewed first (it is then due), NeedsReconnect when only the person helps,
    ConfigurationWrong when the app's secret cannot be opened.
    """
    grant = account.grant
    if account.state == DISCONNECTED or grant is None or grant.access_sealed is None:
        raise NeedsReconnect("This profile is not connected any more. Connect it again.", reason=account.reason)
    apps = {} if apps is None else apps
    if grant.app_id not in apps:
        apps[grant.app_id] = app_facts(grant.app)
    provider, facts = connectable(account.platform), _as_granted(apps[grant.app_id], grant)
    if provider.account_outlives_grant_of(grant.app.mode) and account.own_token_sealed is None:
        raise NeedsReconnect("The stored token is not this profile's own. Connect it again.", reason=PERMISSION_MISSING)
    try:
        if account.own_token_sealed is not None:
            return Access(facts, provider, _vault().open(account.own_token_sealed, *_own(account)), grant.id,
                          grant.version)
        _wait_for_renewal(grant, provider, now)
        return Access(facts, provider, read(grant).access_token, grant.id, grant.version)
    except Unreadable:
        raise NeedsReconnect("The stored token cannot be opened with the keys of this server. Connect the profile "
                             "again.", reason=APP_CHANGED) from None


def _as_granted(facts: App, grant: Grant) -> App:
    """The app with the scopes that this person gave, where the platform told: what a call may count on."""
    if grant.scopes_granted is None:
        return facts
    return replace(facts, scopes=provider_of(grant.platform).scope_separator.join(grant.scopes_granted))


def app_facts(app: PlatformApp) -> App:
    """What a provider may know of an app. Raises ConfigurationWrong if our keys do not open its secret."""
    try:
        return platform_apps.facts(app)
    except Unreadable:
        raise ConfigurationWrong("The stored client secret cannot be opened with the keys of this server. Replace it "
                                 "under Admin → Social Platform.", "unreadable_secret") from None


def _wait_for_renewal(grant: Grant, provider: OAuth2Provider, now: datetime) -> None:
    if grant.state == DEAD:
        raise NeedsReconnect(grant.last_error or "The permission ended. Connect the profile again.",
                             reason=grant.reason or EXPIRED)
    if grant.state == RENEWING:
        raise Renewed
    if grant.access_expires_at is not None and grant.access_expires_at <= now + MARGIN:
        if provider.renewal_of(read(grant)) is Renewal.NONE:
            if grant.access_expires_at > now:
                return  # its last seconds: nothing better will come
            raise NeedsReconnect(f"The permission ran out. Connect the profile to {provider.name} again.",
                                 reason=EXPIRED)
        ask_renewal(grant, now)
        raise Renewed(grant.due_at if grant.attempts else None)


def ask_renewal(grant: Grant, now: datetime) -> None:
    """Make a Grant due for renewal at once. Inside `writing()`."""
    if grant.state == LIVE and (grant.due_at is None or grant.due_at > now) and not _is_waiting(grant, now):
        grant.due_at = now
        grant.rung_until = None


def _is_waiting(grant: Grant, now: datetime) -> bool:
    """Whether a failed renewal set its next try: nobody may hurry it."""
    return grant.attempts > 0 and grant.due_at is not None and grant.due_at > now


def refused(used: Access, error: NeedsReconnect, now: datetime) -> datetime | None:
    """A platform refused the token that a call used. Returns when to try with a renewed one. Inside `writing()`.

    None: no renewal will help, only the person.
    """
    grant = db.session.get(Grant, used.grant_id)
    if grant is None or grant.state == DEAD:
        return None
    if grant.version != used.version:
        return now + WHILE_RENEWING  # it was renewed while the call was on its way
    if error.reason not in ("revoked", "expired") or grant.refresh_sealed is None:
        return None
    if grant.renewed_at is not None and timedelta() <= now - grant.renewed_at < SURE_AFTER_RENEWAL:
        return None
    if grant.state == UNSURE and grant.attempts == 1:
        grant.due_at = now  # the access token died early, so there is nothing left to spare
    ask_renewal(grant, now)
    return Renewed(grant.due_at if grant.attempts else None).next_try(now)


# ---------------------------------------------------------------- renew


@dataclass(frozen=True)
class Claim:
    """A renewal that is ours to do: what to ask with, and what the answer is stored by."""

    grant_id: str
    workspace_id: str
    app_id: str
    version: int
    fence: int
    provider: OAuth2Provider
    app: App
    tokens: TokenSet
    zone: str
    is_again: bool  # an earlier try got no answer
    is_troubled: bool  # the app has a sign of trouble or an open breaker, which a success takes off
    was_cut: bool = False  # the try before this one ended with its worker


def refresh(grant_id: str) -> None:
    """Renew one Grant if it is due and nobody else is at it. Never raises for the platform's doing.

    Raises the database's errors if it is away; an answer that it did not take waits in the spool then.
    """
    now, began = present(), time.monotonic()
    # The odd microseconds tell our own commit from others', should its answer be lost.
    lease_until = now + LEASE - timedelta(microseconds=secrets.randbelow(1_000_000))
    claim = together(lambda: _claim(grant_id, now, lease_until), grant_id)
    if isinstance(claim, _AppUnreadable):
        breaker.failed(claim.app_id, claim.code, present(), renewing=True, refusal=claim.message)
    if not isinstance(claim, Claim):
        return
    if time.monotonic() - began > STOOD_STILL:  # others may have taken it over, and spent the token, meanwhile
        insist(lambda: together(partial(_not_asked, claim), grant_id), INSIST_SECONDS)
        return
    release()
    with recorder.recording(recorder.RENEW, claim.provider.slug):
        _renew(claim)


def _renew(claim: Claim) -> None:
    """Ask for newer tokens and keep what came of it."""
    try:
        newer = _ask(claim)
    except PlatformError as error:
        insist(partial(_failed, claim, error), INSIST_SECONDS)
        _tell_of_failure(claim, error)
    else:
        _keep(claim, newer)


@dataclass(frozen=True)
class _AppUnreadable:
    """Our keys do not open the app's secret, so that none of its tokens can be renewed."""

    app_id: str
    code: str
    message: str


# Made once: building a statement costs as much as running it.
_NOW, _LATEST = bindparam("now", type_=UtcDateTime), bindparam("latest", type_=UtcDateTime)
_TAKE = (update(Grant)
         .where(Grant.id == bindparam("the_id"), Grant.state.in_((LIVE, UNSURE)), Grant.due_at <= _NOW,
                or_(Grant.lease_until.is_(None), Grant.lease_until < _NOW, Grant.lease_until > _LATEST))
         .values(state=RENEWING, fence=Grant.fence + 1, lease_until=bindparam("lease", type_=UtcDateTime)))
_WHOLE = (select(Grant, PlatformApp, Workspace.time_zone)
          .join(PlatformApp, Grant.app_id == PlatformApp.id).join(Workspace, Grant.workspace_id == Workspace.id)
          .where(Grant.id == bindparam("the_id")).execution_options(populate_existing=True))


def _claim(grant_id: str, now: datetime, lease_until: datetime) -> "Claim | _AppUnreadable | None":
    """Take the lease, read again, and return what the call needs; None if there is nothing to ask the platform.

    Inside `writing()`.
    """
    if (not took(_TAKE, the_id=grant_id, now=now, latest=now + LEASE, lease=lease_until)
            and not _is_own(grant_id, lease_until)):
        return None
    grant, app, zone = db.session.execute(_WHOLE, {"the_id": grant_id}).one()
    db.session.info.setdefault("held", []).append(app)  # writes that share a transaction read it once
    provider = connectable(grant.platform)
    try:
        tokens = _to_renew(grant, app, provider, now)
        facts = app_facts(app)
    except _NothingToAsk:
        return None
    except ConfigurationWrong as error:
        _come_back(grant, now + AGAIN_AFTER, error.message, error.code)
        return _AppUnreadable(app.id, error.code, error.message)
    if _must_wait(grant, app, provider, now):
        return None
    return Claim(grant.id, grant.workspace_id, app.id, grant.version, grant.fence, provider, facts, tokens, zone,
                 grant.reason == UNSURE, bool(app.trouble) or app.breaker_opened_at is not None,
                 grant.attempts > 0 and not grant.error_code)


def _is_own(grant_id: str, lease_until: datetime) -> bool:
    """Whether we took it already, by a commit of which only the answer was lost."""
    return db.session.scalar(select(Grant.id).where(Grant.id == grant_id, Grant.state == RENEWING,
                                                    Grant.lease_until == lease_until)) is not None


def _not_asked(claim: Claim) -> None:
    """Give a claim back that was never used. Inside `writing()`."""
    grant = _mine(claim)
    if grant is not None and grant.state == RENEWING:
        _come_back(grant, present(), grant.last_error, grant.error_code)


class _NothingToAsk(Exception):
    """The Grant is settled without a call."""


def _to_renew(grant: Grant, app: PlatformApp, provider: OAuth2Provider, now: datetime) -> TokenSet:
    """The tokens to renew with. Raises _NothingToAsk where no call can help, the Grant being settled then."""
    try:
        tokens = read(grant)
    except Unreadable:
        _end_grant(grant, APP_CHANGED, "The stored token cannot be opened with the keys of this server.", now)
        raise _NothingToAsk from None
    if grant.app_generation != app.generation:
        _end_grant(grant, APP_CHANGED, "The app of this platform was exchanged.", now)
        raise _NothingToAsk
    if provider.renewal_of(tokens) is Renewal.NONE:
        _run_out(grant, provider, now)
        raise _NothingToAsk
    if tokens.expires_in is None and grant.access_expires_at is not None:
        life = grant.access_expires_at - (grant.renewed_at or grant.granted_at)
        tokens = replace(tokens, expires_in=max(int(life.total_seconds()), 60))
    return tokens


def _must_wait(grant: Grant, app: PlatformApp, provider: OAuth2Provider, now: datetime) -> bool:
    """Whether the call may not be made now; the Grant is due again later then, and the try does not count."""
    until = breaker.blocked(app, now, renewing=True)
    if until is not None and not breaker.take_probe(app.id, now, renewing=True):
        _come_back(grant, breaker.again_at(until, _spread(grant.id)), grant.last_error, grant.error_code)
        return True
    if provider.replay is Replay.STRICT and not journal().is_ready():
        _come_back(grant, now + WITHOUT_SPOOL, journal().trouble, "spool")
        return True
    return False


def _come_back(grant: Grant, due_at: datetime, why: str, code: str) -> None:
    """Undo a claim without having asked anything."""
    grant.state = UNSURE if grant.reason == UNSURE else LIVE
    grant.due_at, grant.lease_until, grant.rung_until = due_at, None, None
    grant.last_error, grant.error_code = why, code


def _ask(claim: Claim) -> TokenSet:
    """The newer tokens: those of an earlier answer in the spool, else the platform's. Raises PlatformError."""
    if claim.is_again:
        found = journal().newest(claim.grant_id, claim.version)
        if found is not None:
            return found.tokens
    newer = claim.provider.renew(claim.app, claim.tokens)
    if not newer.access_token.strip():
        raise claim.provider.unclear(RENEW)
    if not (newer.refresh_token or "").strip():
        newer = replace(newer, refresh_token=claim.tokens.refresh_token)
    tallies.answered(claim.provider.slug, newer, claim.grant_id)
    # Without a lifetime in the answer the last one is taken: a token that seems endless would never be renewed again.
    return newer if newer.expires_in is not None else replace(newer, expires_in=claim.tokens.expires_in)


def _run_out(grant: Grant, provider: Provider, now: datetime) -> None:
    """A token that only the person can renew: end it at its end, not before."""
    grant.state, grant.lease_until = LIVE, None
    if grant.access_expires_at is not None and grant.access_expires_at > now:
        grant.due_at = grant.access_expires_at
        return
    _end_grant(grant, EXPIRED, f"{provider.name} lets only you renew this, and its time is over. Connect again.", now)


def _mine(claim: Claim) -> Grant | None:
    """The Grant if nobody took it since: a lease that ran out alone does not make an answer worthless."""
    grant = db.session.get(Grant, claim.grant_id, populate_existing=True, with_for_update=True)
    return grant if grant is not None and grant.fence == claim.fence and grant.state != DEAD else None


# ---------------------------------------------------------------- the answer


def _keep(claim: Claim, newer: TokenSet) -> None:
    """Bring an answer into the database, and into the spool before: whatever happens now, it is not lost."""
    now, kept = present(), None
    frame = Frame(claim.grant_id, claim.version, claim.fence, now, newer)
    try:
        kept = journal().keep(frame)
    except OSError as error:
        log.error("a renewed token goes to the database without the spool", extra={"error": error.strerror or ""})
    try:
        taken = recordings.take(claim.grant_id, claim.workspace_id, newer, was_cut=claim.was_cut)
        fate = insist(lambda: together(partial(_renewed, claim, newer, now, taken), claim.grant_id), INSIST_SECONDS)
    except BaseException:
        if kept is not None:
            log.error("a renewed token waits in the spool for the database", extra={"grant": claim.grant_id})
            journal().leave(kept)
        raise
    if fate is WAITS and kept is not None:
        journal().leave(kept)
        return
    if fate is ORPHANED:
        give_back(frame)
    if kept is not None:
        journal().done(kept)
    tallies.refreshed(claim.provider.slug, "ok")
    if claim.is_troubled and not breaker.worked(claim.app_id, now, renewing=True):
        _take_off_trouble(claim.app_id, now)


# What became of an answer: stored; of no use any more; to be looked at again later; nobody's, to be revoked.
TAKEN, USELESS, WAITS, ORPHANED = "taken", "useless", "waits", "orphaned"


def _renewed(claim: Claim, tokens: TokenSet, now: datetime, taken: recordings.Taken | None = None) -> str:
    """Store an answer; returns what became of it. Inside `writing()`."""
    grant = _mine(claim)
    if grant is None:
        return _fate(db.session.get(Grant, claim.grant_id), claim.version)
    _put(grant, tokens, now)
    until = f" until {exact(grant.access_expires_at, claim.zone)}" if grant.access_expires_at else ""
    audit.record("grant.renewed", "grant", grant.id, f"Token renewed{until}", workspace_id=grant.workspace_id)
    recordings.keep(taken)
    return TAKEN


def _put(grant: Grant, tokens: TokenSet, now: datetime) -> None:
    also = {} if tokens.scopes is None else {"scopes_granted": sorted(tokens.scopes)}
    store(grant, tokens, now, renewed_at=now, **also)


def _fate(grant: Grant | None, version: int) -> str:
    """What an answer to the tokens of that version is worth that cannot be stored by its fence."""
    if grant is None:
        return USELESS
    if grant.access_sealed is None:
        return ORPHANED
    return WAITS if grant.version == version else USELESS


def _take_off_trouble(app_id: str, now: datetime) -> None:
    app = db.session.get(PlatformApp, app_id)
    if app is not None and app.trouble and app.breaker_opened_at is None:
        with writing():
            platform_apps.clear_flag(app_id)
            deliveries.release_app(app, now)


def give_back(frame: Frame) -> None:
    """An answer to a connection that was ended meanwhile: the new token must not stay alive at the platform."""
    grant = db.session.get(Grant, frame.grant_id)
    log.warning("late renewal answer dropped", extra={"grant": frame.grant_id})
    if grant is None:
        return
    provider, person = connectable(grant.platform), grant.person_id
    kind = provider.revoke_kind_of(grant.app.mode)
    if kind is Revoke.NOT_OFFERED or (kind is Revoke.PERSON and _others_live(grant)):
        release()
        return
    try:
        app = app_facts(grant.app)
        release()
        provider.revoke(app, frame.tokens, person)
    except PlatformError as error:
        log.warning("late token not revoked", extra={"grant": frame.grant_id, "code": error.code})


def _others_live(grant: Grant) -> bool:
    """Whether another connection of the same person would end with a revoke."""
    return db.session.scalar(select(Grant.id).where(
        Grant.app_id == grant.app_id, Grant.person_id == grant.person_id, Grant.id != grant.id,
        Grant.access_sealed.is_not(None)).limit(1)) is not None


def take_spooled(frame: Frame, now: datetime, mine: int | None = None) -> str:
    """Store a pair from the spool if nothing newer was stored since; returns what became of it.

    A Grant that was given up meanwhile comes back to life, and its accounts with it: this pair is newer than the one
    that was refused. `mine`: the fence of the caller's own claim, which does not stand in the way. ORPHANED is to be
    handed to `give_back`, WAITS to be tried again.
    """
    with writing() as session:
        grant = session.get(Grant, frame.grant_id, populate_existing=True, with_for_update=True)
        fate = _fate(grant, frame.version)
        if grant is None or fate is not WAITS:
            return fate
        if grant.state == DEAD and grant.reason not in (REVOKED, EXPIRED):
            return USELESS
        if grant.state == RENEWING and grant.fence not in (frame.fence, mine) and not _is_over(grant, now):
            return WAITS  # a later try is under way: only if that fails this one counts
        was_dead, reason, message = grant.state == DEAD, grant.reason, grant.last_error
        grant.fence += 1  # whatever is still under way with the older pair must not overwrite this one
        _put(grant, frame.tokens, frame.at)
        audit.record("grant.renewed", "grant", grant.id, "Token renewed: its answer was kept while the database or a "
                     "worker was away", workspace_id=grant.workspace_id)
        if was_dead:
            for account in session_accounts(grant):
                if (account.state, account.reason, account.reason_text) == (TOKEN_EXPIRED, reason, message):
                    _revive(account, now)
        return TAKEN


def _is_over(grant: Grant, now: datetime) -> bool:
    """Whether a lease ran out; one further ahead than any lease was taken before the clock was put back."""
    return grant.lease_until is None or not now <= grant.lease_until <= now + LEASE


def _revive(account: Account, now: datetime) -> None:
    """An account that was given up too early works again; one that was paused then stays so."""
    last = next((event for event in audit.events(subjects=[("account", account.id)], limit=20)
                 if event.action in ("account.paused", "account.resumed", "account.reconnected")), None)
    is_paused = last is not None and last.action == "account.paused"
    account.state, account.reason, account.reason_text = PAUSED if is_paused else ACTIVE, "", ""
    account.state_since, account.state_by = now, last.user_name if last is not None and is_paused else ""
    if not is_paused:
        deliveries.release_account(account, now)
    audit.record("account.recovered", "account", account.id, "Connected again by itself: the renewed token was found",
                 workspace_id=account.workspace_id, name=account.display_name)


# ---------------------------------------------------------------- a refusal, or no answer


def _failed(claim: Claim, error: PlatformError) -> None:
    """What a failed renewal means: transient, ours, or final."""
    now = present()
    if isinstance(error, NeedsReconnect):  # an earlier answer in the spool says why, and is the better token
        found = journal().newest(claim.grant_id, claim.version)
        if found is not None and take_spooled(found, now, mine=claim.fence) is TAKEN:
            return
    with writing():
        grant = _mine(claim)
        if grant is None:
            return
        was_unsure = grant.reason == UNSURE
        grant.state, grant.lease_until, grant.last_error = LIVE, None, error.message
        grant.error_code, grant.failed_at = (error.code or type(error).__name__)[:80], now
        grant.attempts += 1
        if isinstance(error, NeedsReconnect):
            why = ("An earlier renewal got no answer, and now the platform refuses the token. " if was_unsure else "")
            _end_grant(grant, error.reason, why + error.message, now)
        elif isinstance(error, RateLimited):
            grant.due_at = error.until or now + AGAIN_AFTER
        elif isinstance(error, OutcomeUnknown) and claim.provider.replay is Replay.STRICT:
            _hold_unsure(grant, error, now)
        elif isinstance(error, TryLater | OutcomeUnknown):
            grant.due_at = now + back_off(grant.attempts, grant.id)
        else:
            grant.due_at = now + AGAIN_AFTER
        if grant.state != DEAD:
            audit.record("grant.not_renewed", "grant", grant.id, f"Not renewed: {error.message}",
                         workspace_id=grant.workspace_id, code=error.code)
        recordings.keep(recordings.take(claim.grant_id, claim.workspace_id, error, was_cut=claim.was_cut),
                        recordings.renewal_decided(grant))


# How a failure is counted, the first kind that fits.
OUTCOMES: tuple[tuple[type[PlatformError], str], ...] = (
    (NeedsReconnect, "refused"), (ConfigurationWrong, "app_refused"), (RateLimited, "rate_limited"),
    (OutcomeUnknown, "no_answer"), (TryLater, "try_later"))


def _tell_of_failure(claim: Claim, error: PlatformError) -> None:
    """Count a failure, and let the breaker know what it says about the platform."""
    now, code = present(), (error.code or type(error).__name__)[:80]
    outcome = next((word for kind, word in OUTCOMES if isinstance(error, kind)), "ours")
    tallies.refreshed(claim.provider.slug, outcome)
    tallies.answered(claim.provider.slug, error, claim.grant_id)
    if isinstance(error, ConfigurationWrong):
        breaker.failed(claim.app_id, code, now, renewing=True, refusal=error.message)
    elif isinstance(error, RateLimited | OutcomeUnknown | TryLater):
        breaker.failed(claim.app_id, code, now, renewing=True)
    elif isinstance(error, NeedsReconnect) and claim.is_troubled:  # it does answer
        breaker.worked(claim.app_id, now, renewing=True)


def _hold_unsure(grant: Grant, error: PlatformError, now: datetime) -> None:
    """A rotating token may have been spent without our learning the new one.

    Sending it again could end the whole family, the living access token included: so that one is used to its end
    first. After that there is nothing left to spare, and each further try can only find out that the renewal never
    arrived: they go on, with growing pauses, until the platform says yes or no. Only when it said neither for a day and
    many tries is the person asked: an outage must not cost anybody the connection.
    """
    end = grant.access_expires_at or now
    if grant.reason == UNSURE and grant.attempts >= UNCLEAR_AT_MOST and now - end >= OUTAGE_AT_MOST:
        _end_grant(grant, EXPIRED, f"{error.message} No renewal got a clear answer for a day. Connect again.", now)
        return
    grant.state, grant.reason = UNSURE, UNSURE
    grant.due_at = max(now + back_off(grant.attempts, grant.id), end)


def _end_grant(grant: Grant, reason: str, message: str, now: datetime) -> None:
    """Final: the Grant is dead, and with it, in the same commit, every Account that lives by it."""
    grant.state, grant.reason, grant.last_error = DEAD, reason, message
    grant.due_at = grant.lease_until = None
    for account in session_accounts(grant):
        if account.own_token_sealed is not None and reason == EXPIRED:
            continue  # a Page's own token outlives the person's
        expire_account(account, reason, message, now)


def session_accounts(grant: Grant) -> list[Account]:
    """The accounts that hang on a Grant."""
    return list(db.session.scalars(select(Account).where(Account.grant_id == grant.id,
                                                         Account.state != DISCONNECTED)))


def expire_account(account: Account, reason: str, message: str, now: datetime) -> None:
    """An account can do nothing until its person reconnects it. Inside `writing()`."""
    if account.state not in (ACTIVE, PAUSED):
        return
    account.state, account.reason, account.reason_text = TOKEN_EXPIRED, reason, message
    account.state_since, account.state_by = now, ""
    held = deliveries.hold_account(account, f"Waits for {account.display_name or account.username} to be reconnected.",
                                   now)
    audit.record("account.token_expired", "account", account.id, message, workspace_id=account.workspace_id,
                 name=account.display_name, reason=reason, held=held)


# ---------------------------------------------------------------- settling


def settle(now: datetime) -> int:
    """Settle renewals whose worker died, and instants that a clock put back made odd. Returns how many.

    Inside `writing()`, and after `spool.bring_in`: what lies in the spool is not lost.
    """
    if _clock_went_back(now):
        _correct(now)
    _let_the_urgent_first(now)
    lost = list(db.session.scalars(
        select(Grant).where(Grant.state == RENEWING,
                            or_(Grant.lease_until < now, Grant.lease_until > now + LEASE + MARGIN))
        .order_by(Grant.id).limit(MOST_AT_ONCE).with_for_update(skip_locked=True)))
    settled = 0
    for grant in lost:
        if _is_in_hand(grant, now):
            continue
        settled += 1
        grant.lease_until = None  # the fence stays: should the answer still come, it is taken
        grant.attempts += 1
        strict = provider_of(grant.platform).replay is Replay.STRICT
        if strict:
            _hold_unsure(grant, OutcomeUnknown("The console stopped while renewing.", "no_answer"), now)
        else:
            grant.state, grant.due_at = (UNSURE if grant.reason == UNSURE else LIVE), now
    return settled


def _is_in_hand(grant: Grant, now: datetime) -> bool:
    """Whether the answer lies in the spool of this host, so that whoever holds it may still bring it in."""
    return grant.lease_until is not None and now - PATIENCE < grant.lease_until < now and \
        journal().newest(grant.id, grant.version) is not None


# The clock and the monotonic one when `settle` last ran in this process.
_seen: list[tuple[datetime, float]] = []


def _clock_went_back(now: datetime) -> bool:
    """Whether the clock was put back since the last time, or may have been before this process began."""
    before, _seen[:] = list(_seen), [(now, time.monotonic())]
    return not before or now < before[0][0] - JUMP


def _correct(now: datetime) -> None:
    """What was planned while the clock was ahead: later than it should be, so it is due now."""
    ahead = now + JUMP
    alive = Grant.state.in_((LIVE, UNSURE))
    for wrong, values in (
            (and_(alive, Grant.renewed_at > ahead), {"due_at": now, "renewed_at": now}),
            (and_(alive, Grant.failed_at > ahead, Grant.due_at > now), {"due_at": now + AGAIN_AFTER, "failed_at": now}),
            (and_(Grant.state == LIVE, Grant.attempts == 0, Grant.error_code == "",
                  Grant.due_at > Grant.access_expires_at), {"due_at": Grant.access_expires_at})):
        db.session.execute(update(Grant).where(wrong).values(**values).execution_options(synchronize_session=False))


def _let_the_urgent_first(now: datetime) -> None:
    """After days off, what still lives for a while stands behind what does not: rows are taken in order of `due_at`."""
    db.session.execute(
        update(Grant).where(Grant.state == LIVE, Grant.due_at < now - OVERDUE, Grant.access_expires_at > now + SPARE)
        .values(due_at=now).execution_options(synchronize_session=False))


def hurry(app: PlatformApp, now: datetime) -> None:
    """The admin repaired an app: what waited for it is due at once. Inside `writing()`."""
    db.session.execute(
        update(Grant).where(Grant.app_id == app.id, Grant.state == LIVE, Grant.error_code != "")
        .values(due_at=now, rung_until=None, attempts=0).execution_options(synchronize_session=False))
