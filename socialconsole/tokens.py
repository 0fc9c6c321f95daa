"""Tokens: the only reader and writer of token sets.

One renewal at a time for each Grant, over all processes: a conditional UPDATE takes the lease and raises the fence,
the platform is asked outside of any transaction, and the answer is stored only where the fence still fits. A rotated
pair is committed before anyone uses it. What is not a definite "no" never ends a connection.
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import or_, select, update

from . import audit, deliveries, platform_apps
from .database import release, took, writing
from .errors import (
    APP_CHANGED,
    EXPIRED,
    PERMISSION_MISSING,
    ConfigurationWrong,
    NeedsReconnect,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    TryLater,
)
from .extensions import db
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
from .providers.base import App, Provider, Renewal, Replay, TokenSet
from .providers.oauth2 import OAuth2Provider, connectable
from .times import exact
from .vault import Unreadable, Vault

log = logging.getLogger("socialconsole.tokens")

LEASE = timedelta(seconds=120)  # far above what one renewal can take
MARGIN = timedelta(seconds=30)  # a token with less left is not used any more
AGAIN_AFTER = timedelta(minutes=15)  # when the app is refused
LONGEST_BACK_OFF = timedelta(minutes=30)
WHILE_RENEWING = timedelta(seconds=2)
OUTAGE_AT_MOST = timedelta(days=1)
SURE_AFTER_RENEWAL = timedelta(minutes=2)  # a refusal this soon after a renewal is meant


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


def store(grant: Grant, tokens: TokenSet, now: datetime) -> None:
    """Seal a token set into its Grant and say when to act next. Inside `writing()`; the Grant has its id."""
    grant.version = (grant.version or 0) + 1
    where = ("grant", grant.workspace_id, grant.id, str(grant.version))
    grant.access_sealed = _vault().seal(tokens.access_token, "access", *where)
    grant.refresh_sealed = _vault().seal(tokens.refresh_token, "refresh", *where) if tokens.refresh_token else None
    grant.access_expires_at = _end(now, tokens.expires_in)
    if tokens.refresh_expires_in is not None or not tokens.refresh_token:
        grant.refresh_expires_at = _end(now, tokens.refresh_expires_in)
    grant.state, grant.reason, grant.last_error, grant.attempts, grant.lease_until = LIVE, "", "", 0, None
    grant.due_at = next_due(connectable(grant.platform), grant.id, tokens, now)


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


def access(account: Account, now: datetime) -> Access:
    """The token to call with in the name of an account. Inside `writing()`.

    Raises Renewed when the Grant has to be renewed first (it is then due), NeedsReconnect when only the person helps,
    ConfigurationWrong when the app's secret cannot be opened.
    """
    grant = account.grant
    if account.state == DISCONNECTED or grant is None or grant.access_sealed is None:
        raise NeedsReconnect("This profile is not connected any more. Connect it again.", reason=account.reason)
    provider, facts = connectable(account.platform), _as_granted(app_facts(grant.app), grant)
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
    if grant.renewed_at is not None and now - grant.renewed_at < SURE_AFTER_RENEWAL:
        return None
    if grant.state == UNSURE and grant.attempts == 1:
        grant.due_at = now  # the access token died early, so there is nothing left to spare
    ask_renewal(grant, now)
    return Renewed(grant.due_at if grant.attempts else None).next_try(now)


# ---------------------------------------------------------------- renew


def refresh(grant_id: str) -> None:
    """Renew one Grant if it is due and nobody else is at it. Never raises for the platform's doing."""
    claim = _claim(grant_id, present())
    if claim is None:
        return
    provider, app, tokens, fence = claim
    release()
    try:
        newer = provider.renew(app, tokens)
    except PlatformError as error:
        _failed(grant_id, fence, error)
    else:
        _renewed(grant_id, fence, newer, provider, app)


def _claim(grant_id: str, now: datetime) -> tuple[OAuth2Provider, App, TokenSet, int] | None:
    """Take the lease, read again, and return what the call needs; None if there is nothing to ask the platform."""
    with writing() as session:
        if not took(
                update(Grant)
                .where(Grant.id == grant_id, Grant.state.in_((LIVE, UNSURE)), Grant.due_at <= now,
                       or_(Grant.lease_until.is_(None), Grant.lease_until < now))
                .values(fence=Grant.fence + 1, lease_until=now + LEASE)):
            return None
        grant = session.get_one(Grant, grant_id, populate_existing=True)
        provider = connectable(grant.platform)
        try:
            tokens = read(grant)
        except Unreadable:
            _end_grant(grant, APP_CHANGED, "The stored token cannot be opened with the keys of this server.", now)
            return None
        if grant.app_generation != grant.app.generation:
            _end_grant(grant, APP_CHANGED, "The app of this platform was exchanged.", now)
            return None
        if provider.renewal_of(tokens) is Renewal.NONE:
            _run_out(grant, provider, now)
            return None
        try:
            facts = app_facts(grant.app)
        except ConfigurationWrong as error:
            grant.due_at, grant.lease_until, grant.last_error = now + AGAIN_AFTER, None, error.message
            platform_apps.flag(grant.app_id, error.message, error.code, now)
            return None
        grant.state = RENEWING
        return provider, facts, tokens, grant.fence


def _run_out(grant: Grant, provider: Provider, now: datetime) -> None:
    """A token that only the person can renew: end it at its end, not before."""
    grant.lease_until = None
    if grant.access_expires_at is not None and grant.access_expires_at > now:
        grant.due_at = grant.access_expires_at
        return
    _end_grant(grant, EXPIRED, f"{provider.name} lets only you renew this, and its time is over. Connect again.", now)


def _mine(grant_id: str, fence: int) -> Grant | None:
    """The Grant if nobody took it since: a lease that ran out alone does not make an answer worthless."""
    grant = db.session.get(Grant, grant_id, populate_existing=True)
    return grant if grant is not None and grant.fence == fence and grant.state != DEAD else None


def _renewed(grant_id: str, fence: int, tokens: TokenSet, provider: OAuth2Provider, app: App) -> None:
    now = present()
    with writing():
        grant = _mine(grant_id, fence)
        if grant is not None:
            store(grant, tokens, now)
            grant.renewed_at = now
            if tokens.scopes is not None:
                grant.scopes_granted = sorted(tokens.scopes)
            platform_apps.clear_flag(grant.app_id)
            deliveries.release_app(grant.app, now)
            until = f" until {exact(grant.access_expires_at, _zone(grant))}" if grant.access_expires_at else ""
            audit.record("grant.renewed", "grant", grant.id, f"Token renewed{until}",
                         workspace_id=grant.workspace_id)
            return
    _give_back(grant_id, tokens, provider, app)


def _give_back(grant_id: str, tokens: TokenSet, provider: OAuth2Provider, app: App) -> None:
    """The answer came too late. If the connection was ended meanwhile, the new token must not stay alive."""
    grant = db.session.get(Grant, grant_id)
    log.warning("late renewal answer dropped", extra={"grant": grant_id})
    if grant is not None and grant.access_sealed is None:
        person = grant.person_id
        release()
        try:
            provider.revoke(app, tokens, person)
        except PlatformError as error:
            log.warning("late token not revoked", extra={"grant": grant_id, "code": error.code})


def _failed(grant_id: str, fence: int, error: PlatformError) -> None:
    """What a failed renewal means: transient, ours, or final."""
    now = present()
    with writing():
        grant = _mine(grant_id, fence)
        if grant is None:
            return
        provider = provider_of(grant.platform)
        was_unsure = grant.reason == UNSURE
        grant.state, grant.lease_until, grant.last_error = LIVE, None, error.message
        grant.attempts += 1
        if isinstance(error, NeedsReconnect):
            why = ("An earlier renewal got no answer, and now the platform refuses the token. " if was_unsure else "")
            _end_grant(grant, error.reason, why + error.message, now)
        elif isinstance(error, ConfigurationWrong):
            grant.due_at = now + AGAIN_AFTER
            platform_apps.flag(grant.app_id, error.message, error.code, now)
        elif isinstance(error, RateLimited):
            grant.due_at = error.until or now + AGAIN_AFTER
        elif isinstance(error, OutcomeUnknown) and provider.replay is Replay.STRICT:
            _hold_unsure(grant, error, now)
        elif isinstance(error, TryLater | OutcomeUnknown):
            grant.due_at = now + back_off(grant.attempts, grant.id)
        else:
            grant.due_at = now + AGAIN_AFTER
        if grant.state != DEAD:
            audit.record("grant.not_renewed", "grant", grant.id, f"Not renewed: {error.message}",
                         workspace_id=grant.workspace_id, code=error.code)


def _hold_unsure(grant: Grant, error: PlatformError, now: datetime) -> None:
    """A rotating token may have been spent without our learning the new one.

    Sending it again could end the whole family, the living access token included: so that one is used to its end
    first, then there is one more try. If that gets no answer either, the person is asked, and told why. Only a
    platform that does answer, and says that it is down, is tried again with growing pauses for a day: an outage must
    not cost everybody the connection.
    """
    end = grant.access_expires_at or now
    is_outage = error.code != "no_answer"
    if grant.reason == UNSURE and now >= end - MARGIN and not (is_outage and now - end < OUTAGE_AT_MOST):
        _end_grant(grant, EXPIRED, f"{error.message} Two renewals got no clear answer, and trying on could do harm. "
                                   "Connect again.", now)
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


def settle(now: datetime) -> int:
    """Settle renewals whose worker died. Returns how many. Inside `writing()`."""
    lost = list(db.session.scalars(select(Grant).where(Grant.state == RENEWING, Grant.lease_until < now)))
    for grant in lost:
        grant.lease_until = None  # the fence stays: should the answer still come, it is taken
        grant.attempts += 1
        strict = provider_of(grant.platform).replay is Replay.STRICT
        if strict:
            _hold_unsure(grant, OutcomeUnknown("The console stopped while renewing.", "no_answer"), now)
        else:
            grant.state, grant.due_at = LIVE, now
    return len(lost)


def hurry(app: PlatformApp, now: datetime) -> None:
    """The admin repaired an app: what waited for it is due at once. Inside `writing()`."""
    for grant in db.session.scalars(select(Grant).where(Grant.app_id == app.id, Grant.state == LIVE,
                                                        Grant.attempts > 0)):
        grant.due_at, grant.rung_until, grant.attempts = now, None, 0


def _zone(grant: Grant) -> str:
    return db.session.get_one(Workspace, grant.workspace_id).time_zone
