"""Connecting: begin, finish, choose profiles, confirm; pause, disconnect.

A ConnectionAttempt is spent once, by one conditional UPDATE, before the code is exchanged. Until the person confirms on
our own page, the tokens wait sealed on the attempt; nothing else knows them.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import abort, current_app
from sqlalchemy import func, select, update

from . import accounts, audit, deliveries, outside, platform_apps, tokens, workspaces
from .accounts import actor
from .database import alone, lock, release, took, writing
from .disconnections import others_living_by, revoke
from .errors import AttemptFailed, ConfigurationWrong, Declined, PlatformError
from .extensions import db
from .models import (
    ACTIVE,
    DECLINED,
    DISCONNECTED,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    PAUSED,
    STARTED,
    TOKEN_EXPIRED,
    Account,
    ConnectionAttempt,
    Grant,
    Login,
    PlatformApp,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .providers import PROVIDERS
from .providers.base import ANOTHER, DATA_ACCESS, DECLINED_BEFORE, App, Consent, Profile, Provider, Scope, TokenSet
from .providers.oauth2 import connectable, split_scopes
from .vault import Unreadable, Vault

log = logging.getLogger("socialconsole.connections")

CONSENT_WITHIN = timedelta(minutes=10)
CONFIRM_WITHIN = timedelta(minutes=30)
ASKED_ABOUT = timedelta(days=3)  # for so long the console asks about a walk that never came back
CHANGED_MEANWHILE = "The settings of this platform were changed meanwhile. Connect again."


class NotOffered(Exception):
    """This platform cannot be connected now; the message says why."""


class OverLimit(NotOffered):
    """More accounts than the workspace may have; the message says how many there are, and who can change that."""


class UnknownApp(Exception):
    """No app of any platform answers to this name."""


class UnknownAttempt(Exception):
    """The callback carries no state of ours, or a malformed one."""


class WrongBrowser(Exception):
    """The callback arrived in another browser, or with another person signed in, than the one that began."""


class AnotherProfile(Exception):
    """A reconnect came back with another profile, and nobody said to add it as a new one."""


@dataclass(frozen=True)
class Offer:
    """An app of a platform that a workspace may connect through."""

    app: PlatformApp
    provider: Provider
    detail: str = ""  # what tells it from the other apps of its platform that are offered beside it

    @property
    def label(self) -> str:
        """What the button says."""
        return f"{self.provider.name} · {self.detail}" if self.detail else self.provider.name


@dataclass(frozen=True)
class Choice:
    """One profile of a consent, as offered on our page."""

    profile: Profile
    already: Account | None  # this workspace knows it
    selectable: bool
    why: str
    ticked: bool


# ---------------------------------------------------------------- begin


def offers(workspace: Workspace) -> list[Offer]:
    """The apps that are on and open to this workspace, in the order in which people know their platforms."""
    order = {slug: number for number, slug in enumerate(PROVIDERS)}
    apps = [app for app in db.session.scalars(select(PlatformApp).where(PlatformApp.is_on.is_(True)))
            if PROVIDERS[app.platform].connectable and platform_apps.is_reachable(app)
            and platform_apps.is_open_to(app, workspace.id)]
    apps.sort(key=lambda app: (order[app.platform], app.segment != app.platform, app.created_at, app.id))
    several = {slug for slug, number in Counter(app.platform for app in apps).items() if number > 1}
    return [Offer(app, PROVIDERS[app.platform], platform_apps.label_of(app) if app.platform in several else "")
            for app in apps]


def offered(workspace: Workspace, segment: str) -> PlatformApp:
    """The app with this segment, if the workspace may connect through it.

    Raises NotOffered, and UnknownApp where there is nothing of that name. An app of other workspaces only is not told
    from one that is off.
    """
    for offer in offers(workspace):
        if offer.app.segment == segment:
            return offer.app
    try:
        provider = platform_apps.provider_at(segment)
    except KeyError:
        raise UnknownApp from None
    raise _not_offered(provider)


def _not_offered(provider: Provider) -> NotOffered:
    return NotOffered(f"{provider.name} is not turned on for this workspace. A platform admin can turn it on under "
                      "Admin → Social Platform.")


def offered_again(account: Account) -> PlatformApp:
    """The app to reconnect an account through: its own, else another one for the same kind of use. Raises NotOffered.

    Another kind of use would be another permission, and often another id for the same person.
    """
    provider = PROVIDERS[account.platform]
    found = [offer.app for offer in offers(account.workspace) if offer.app.platform == account.platform]
    own = account.grant.app if account.grant is not None else None
    if own is None:
        fitting = found
    else:
        fitting = [app for app in found if app is own] or [app for app in found if app.mode == own.mode]
    if fitting:
        return fitting[0]
    if found:
        raise NotOffered(f"The app that {provider.name} was connected through is not turned on for this workspace, and "
                         "the others are for another kind of use. A platform admin can turn it on under Admin → Social "
                         "Platform.")
    raise _not_offered(provider)


def begin(app: PlatformApp, workspace: Workspace, user: User, login: Login, browser: str, *,
          account: Account | None = None) -> str:
    """Write a ConnectionAttempt and return the address where the person gives consent. Raises NotOffered.

    OverLimit, which is one, where the workspace has as many accounts as it may. To reconnect one needs no room.
    """
    if not platform_apps.is_open_to(app, workspace.id):
        raise _not_offered(PROVIDERS[app.platform])
    if account is None or account.state == DISCONNECTED:
        _need_room(workspace, 1)
    provider, facts, now = connectable(app.platform), platform_apps.facts(app), present()
    state = outside.secret()
    verifier = outside.secret(48) if provider.wants_pkce(facts) else None
    again = _why_again(app, workspace, account, now)
    with writing() as session:
        attempt = ConnectionAttempt(
            id=new_id("att"), state_hash=_hash(state), browser_hash=_hash(browser), platform=app.platform,
            app_id=app.id, app_generation=app.generation, workspace_id=workspace.id, user_id=user.id, login_id=login.id,
            account_id=account.id if account else None, redirect_uri=facts.redirect_uri, scopes_asked=facts.scopes,
            created_at=now, expires_at=now + CONSENT_WITHIN)
        if verifier:
            attempt.verifier_sealed = _vault().seal(verifier, *_where(attempt, "verifier"))
        session.add(attempt)
    return provider.authorization_url(facts, state, verifier, again=again)


def _need_room(workspace: Workspace, more: int) -> None:
    """Raise OverLimit where a workspace may not have so many accounts more."""
    room = workspaces.room(workspace)
    if room.left is None or more <= room.left:
        return
    if room.is_full:
        said = f"{room.sentence}, so no further one can be. Disconnect one that is not needed"
    else:
        said = (f"{room.sentence}, so {room.left} more can be, and you chose {more}. Choose fewer, "
                "disconnect one that is not needed")
    raise OverLimit(f"{said}, or ask a platform admin to raise the limit under Admin → Workspaces.")


def _why_again(app: PlatformApp, workspace: Workspace, account: Account | None, now: datetime) -> str:
    """Why a consent is asked for once more; empty for the first one."""
    if account is not None:
        if accounts.status(account, now).word == "limited":
            return DECLINED_BEFORE
        return DATA_ACCESS if accounts.data_access_ends(account, now) else ""
    known = select(Account.id).where(Account.workspace_id == workspace.id, Account.platform == app.platform,
                                     Account.state != DISCONNECTED)
    return ANOTHER if db.session.scalar(known.limit(1)) else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _vault() -> Vault:
    vault: Vault = current_app.extensions["vault"]
    return vault


def _where(attempt: ConnectionAttempt, column: str) -> tuple[str, ...]:
    return (column, "connection_attempt", attempt.workspace_id, attempt.id, "1")


# ---------------------------------------------------------------- finish


def finish(segment: str, query: Mapping[str, str], login: Login | None, browser: str | None) -> ConnectionAttempt:
    """Take a callback. Returns the attempt, whose state and error tell what came of it.

    A second, late or doubled callback changes nothing and returns the same attempt. Raises UnknownAttempt where the
    state is not ours (or belongs to another platform's callback), WrongBrowser where someone else brings it.
    """
    attempt = _find(segment, query)
    if login is None or login.user_id != attempt.user_id or not browser or _hash(browser) != attempt.browser_hash:
        raise WrongBrowser
    now = present()
    if not _spend(attempt, now):
        return _again(attempt)
    if attempt.state != STARTED:
        return attempt
    facts = _facts(attempt)  # as they are now: the admin may exchange the app while the platform is asked
    try:
        consent = _consent(attempt, facts, query)
    except PlatformError as error:
        _ended(attempt, error)
    else:
        if not _granted(attempt, consent) and not others_living_by(attempt.app_id, consent.person_id, None):
            revoke(connectable(attempt.platform), facts, consent.tokens, consent.person_id)
    return _again(attempt)


def _find(segment: str, query: Mapping[str, str]) -> ConnectionAttempt:
    lists = query.lists() if hasattr(query, "lists") else []
    if any(len(values) > 1 for _, values in lists):
        raise UnknownAttempt
    state = query.get("state", "")
    attempt = db.session.scalar(select(ConnectionAttempt).where(ConnectionAttempt.state_hash == _hash(state))) \
        if 20 <= len(state) <= 200 else None
    if attempt is None or platform_apps.by_segment(segment) is not attempt.app:
        raise UnknownAttempt
    return attempt


def _again(attempt: ConnectionAttempt) -> ConnectionAttempt:
    db.session.refresh(attempt)
    return attempt


def _spend(attempt: ConnectionAttempt, now: datetime) -> bool:
    """Take the attempt, once; of many that try, one gets True. A late one is marked as expired."""
    late = attempt.expires_at < now
    with writing() as session:
        is_mine = took(
            update(ConnectionAttempt)
            .where(ConnectionAttempt.id == attempt.id, ConnectionAttempt.state == STARTED,
                   ConnectionAttempt.spent_at.is_(None))
            .values(spent_at=now, **({"state": EXPIRED} if late else {})))
        session.refresh(attempt)
        return is_mine


def _consent(attempt: ConnectionAttempt, facts: App, query: Mapping[str, str]) -> Consent:
    """What the platform gives for the code. Raises PlatformError."""
    provider = connectable(attempt.platform)
    provider.read_refusal(query)
    code = query.get("code", "")
    if not code or "access_token" in query:
        raise AttemptFailed(f"{provider.name} came back without a code. Connect again.", "no_code")
    if not _is_as_it_was(attempt):
        raise AttemptFailed(CHANGED_MEANWHILE, "app_changed")
    verifier = _vault().open(attempt.verifier_sealed, *_where(attempt, "verifier")) if attempt.verifier_sealed else None
    release()
    given = provider.consent(facts, code, verifier)
    if given.scopes is None:  # some platforms name them in the callback too
        given = replace(given, scopes=split_scopes(query.get("scopes")))
    return given


def _is_as_it_was(attempt: ConnectionAttempt) -> bool:
    """Whether the app is still the one the attempt began with, and still open to its workspace."""
    return (attempt.app.generation == attempt.app_generation
            and platform_apps.is_open_to(attempt.app, attempt.workspace_id))


def _facts(attempt: ConnectionAttempt) -> App:
    """The app as it was when the attempt began: the very same callback and scopes go into the token call."""
    return replace(platform_apps.facts(attempt.app), redirect_uri=attempt.redirect_uri, scopes=attempt.scopes_asked)


def _ended(attempt: ConnectionAttempt, error: PlatformError) -> None:
    now = present()
    with writing():
        lock(attempt.app)
        lock(attempt)
        if attempt.state != STARTED:
            return  # it was ended meanwhile, and that stands
        declined = isinstance(error, Declined)
        attempt.state = DECLINED if declined else FAILED
        attempt.error, attempt.error_code = error.message, error.code
        attempt.verifier_sealed = None
        if isinstance(error, ConfigurationWrong) and attempt.app.generation == attempt.app_generation:
            platform_apps.flag(attempt.app_id, error.message, error.code, now)
        audit.record("connection.declined" if declined else "connection.failed", "platform", attempt.platform,
                     error.message, workspace_id=attempt.workspace_id, code=error.code)


def _granted(attempt: ConnectionAttempt, consent: Consent) -> bool:
    """Keep what was given until the person's word; False if the attempt was ended while the platform was asked."""
    with writing():
        lock(attempt.app)
        lock(attempt)
        if attempt.state != STARTED or attempt.app.generation != attempt.app_generation:
            if attempt.state == STARTED:
                attempt.state, attempt.error, attempt.error_code = FAILED, CHANGED_MEANWHILE, "app_changed"
            return False
        attempt.state, attempt.expires_at, attempt.person_id = GRANTED, present() + CONFIRM_WITHIN, consent.person_id
        attempt.verifier_sealed = None
        attempt.consent_sealed = _vault().seal(_dump(consent), *_where(attempt, "consent"))
        return True


def _dump(consent: Consent) -> str:
    plain = asdict(consent)
    for part in (plain, plain["tokens"]):
        part["scopes"] = sorted(part["scopes"]) if part["scopes"] is not None else None
    return json.dumps(plain)


def _load(text: str) -> Consent:
    plain: dict[str, Any] = json.loads(text)
    for part in (plain, plain["tokens"]):
        part["scopes"] = frozenset(part["scopes"]) if part["scopes"] is not None else None
    plain["tokens"] = TokenSet(**plain["tokens"])
    plain["profiles"] = tuple(Profile(**profile) for profile in plain["profiles"])
    return Consent(**plain)


# ---------------------------------------------------------------- our own page


def attempt(workspace: Workspace, attempt_id: str, user: User) -> ConnectionAttempt:
    """An attempt of this person in this workspace; 404 for any other id. One that grew too old is expired."""
    found = db.session.scalar(select(ConnectionAttempt).where(
        ConnectionAttempt.workspace_id == workspace.id, ConnectionAttempt.id == attempt_id,
        ConnectionAttempt.user_id == user.id))
    if found is None:
        abort(404)
    return found


def is_late(found: ConnectionAttempt, now: datetime) -> bool:
    """Whether the time of an attempt is over, though nobody has tidied it yet."""
    return found.state in (STARTED, GRANTED) and found.expires_at < now


def consent_of(found: ConnectionAttempt) -> Consent:
    """What waits on an attempt for the person's word. Raises NotOffered if it is gone."""
    if found.state != GRANTED or found.consent_sealed is None or is_late(found, present()):
        raise NotOffered("This consent is no longer waiting. Press Connect again.")
    return _load(_vault().open(found.consent_sealed, *_where(found, "consent")))


def choices(found: ConnectionAttempt) -> list[Choice]:
    """The profiles of a consent: which may be chosen, which are connected already, and why some may not."""
    consent = consent_of(found)
    known = {account.platform_user_id: account for account in db.session.scalars(select(Account).where(
        Account.workspace_id == found.workspace_id, Account.platform == found.platform))}
    wanted = db.session.get(Account, found.account_id) if found.account_id else None
    result = []
    for profile in consent.profiles:
        already = known.get(profile.platform_user_id)
        connected = already if already is not None and already.state != DISCONNECTED else None
        if wanted is not None:
            ticked = profile.platform_user_id == wanted.platform_user_id
        else:
            ticked = len(consent.profiles) == 1 or connected is not None
        result.append(Choice(profile, connected, not profile.problem, profile.problem, ticked and not profile.problem))
    return result


def person_name(found: ConnectionAttempt) -> str:
    """The name of the person who consented, as the platform gives it."""
    return consent_of(found).person_name


def missing(found: ConnectionAttempt) -> list[Scope]:
    """The permissions that were asked for and not given."""
    consent = consent_of(found)
    if consent.scopes is None:
        return []
    provider = PROVIDERS[found.platform]
    known = {scope.name: scope for scope in provider.default_scopes(
        found.app.mode, tuple(feature.slug for feature in provider.features_of(found.app.mode)))}
    names = found.scopes_asked.replace(",", " ").split()
    return [known.get(name, Scope(name, "Added by the admin of this console"))
            for name in names if name not in consent.scopes]


def reconnects_another(found: ConnectionAttempt) -> Account | None:
    """The account that was to be reconnected, if the consent does not cover it."""
    if not found.account_id:
        return None
    wanted = db.session.get_one(Account, found.account_id)
    covered = any(choice.profile.platform_user_id == wanted.platform_user_id and choice.selectable
                  for choice in choices(found))
    return None if covered else wanted


def confirm(found: ConnectionAttempt, chosen: Sequence[str], user: User, *, as_new: bool = False,
            may_add: bool = True) -> list[Account]:
    """Make accounts of the chosen profiles (by platform user id), new ones or the ones known already.

    `may_add=False`: the person may only reconnect, so the account that was to be reconnected is all that is taken.
    Confirming twice returns the same accounts. Raises NotOffered if the consent is gone or nothing fit was chosen,
    OverLimit if those that are new are more than the workspace has room for (then nothing is stored), AnotherProfile
    if a reconnect came back with another profile and `as_new` was not said.
    """
    if found.state == FINISHED:
        return [account for account in (db.session.get(Account, one) for one in found.result_ids) if account]
    consent = consent_of(found)
    picked = [choice.profile for choice in choices(found)
              if choice.selectable and choice.profile.platform_user_id in set(chosen)]
    if not may_add:
        wanted = db.session.get(Account, found.account_id) if found.account_id else None
        picked = [profile for profile in picked if wanted and profile.platform_user_id == wanted.platform_user_id]
    if not picked:
        raise NotOffered("Choose at least one profile." if may_add else
                         "Only an owner of this workspace can connect further profiles.")
    if reconnects_another(found) is not None and not as_new:
        raise AnotherProfile
    now = present()
    with writing() as session:
        alone("connect", found.workspace_id)  # two confirmations at once would both make the grant and the accounts
        lock(found.workspace)  # and its limit stays as it is until they are counted
        lock(found.app)
        is_mine = took(
            update(ConnectionAttempt).where(ConnectionAttempt.id == found.id, ConnectionAttempt.state == GRANTED)
            .values(state=FINISHED, consent_sealed=None))
        session.refresh(found)
        if not is_mine:
            return [account for account in (session.get(Account, one) for one in found.result_ids) if account]
        if not _is_as_it_was(found):
            raise NotOffered(CHANGED_MEANWHILE)
        _need_room(found.workspace, _new_ones(found, picked))
        grant = _save_grant(found, consent, now)
        saved = [_save_account(found, grant, profile, user, now) for profile in picked]
        found.result_ids = [account.id for account in saved]
        _recheck_siblings(grant, now)
        platform_apps.clear_flag(found.app_id)
    return saved


def _new_ones(found: ConnectionAttempt, picked: Sequence[Profile]) -> int:
    """How many of the profiles are not connected at present."""
    ids = {profile.platform_user_id for profile in picked}
    known = db.session.scalar(select(func.count()).select_from(Account).where(
        Account.workspace_id == found.workspace_id, Account.platform == found.platform, Account.state != DISCONNECTED,
        Account.platform_user_id.in_(ids))) or 0
    return len(ids) - known


def _save_grant(found: ConnectionAttempt, consent: Consent, now: datetime) -> Grant:
    grant = db.session.scalar(select(Grant).where(
        Grant.workspace_id == found.workspace_id, Grant.app_id == found.app_id, Grant.person_id == consent.person_id,
        Grant.profile_id == consent.profile_id).with_for_update(key_share=True))
    if grant is None:
        grant = Grant(id=new_id("grt"), workspace_id=found.workspace_id, platform=found.platform, app_id=found.app_id,
                      person_id=consent.person_id, profile_id=consent.profile_id, fence=0, version=0)
        db.session.add(grant)
    grant.fence += 1  # a renewal in flight with the older tokens must not overwrite these
    grant.app_generation, grant.is_sandbox = found.app_generation, found.app.is_sandbox
    grant.secret_version = found.app.secret_version
    grant.person_name, grant.scopes_asked = consent.person_name, found.scopes_asked
    grant.scopes_granted = sorted(consent.scopes) if consent.scopes is not None else None
    grant.granted_at, grant.renewed_at = now, None
    tokens.store(grant, consent.tokens, now)
    return grant


def _save_account(found: ConnectionAttempt, grant: Grant, profile: Profile, user: User, now: datetime) -> Account:
    account = db.session.scalar(select(Account).where(
        Account.workspace_id == found.workspace_id, Account.platform == found.platform,
        Account.platform_user_id == profile.platform_user_id).with_for_update(key_share=True))
    known = account is not None
    if account is None:
        account = Account(id=new_id("acc"), workspace_id=found.workspace_id, platform=found.platform,
                          platform_user_id=profile.platform_user_id, state=ACTIVE, state_since=now, connected_at=now)
        db.session.add(account)
    before = account.grant
    account.grant, account.is_sandbox = grant, grant.is_sandbox
    describe(account, profile)
    tokens.store_own(account, profile.own_token)
    if account.state != PAUSED:
        account.state, account.state_since, account.state_by = ACTIVE, now, actor(user)
    account.reason = account.reason_text = account.revoked_note = ""
    account.connected_by, account.last_synced_at, account.sync_due_at = actor(user), now, now
    db.session.flush()
    if before is not None and before.id != grant.id and not tokens.session_accounts(before):
        tokens.erase(before)
    deliveries.release_account(account, now)
    word = "reconnected" if known else "connected"
    audit.record(f"account.{word}", "account", account.id, word.capitalize(), workspace_id=account.workspace_id,
                 name=account.display_name or account.username, platform=account.platform)
    return account


def describe(account: Account, profile: Profile) -> None:
    """Take over what the platform says about a profile."""
    account.username, account.display_name = profile.username, profile.display_name or profile.username
    account.kind, account.profile_url, account.meta = profile.kind, profile.profile_url, dict(profile.meta)


def _recheck_siblings(grant: Grant, now: datetime) -> None:
    """A new consent may have taken profiles away that an earlier one gave: look at them soon."""
    for account in tokens.session_accounts(grant):
        account.sync_due_at = now


def refuse(found: ConnectionAttempt, user: User) -> None:
    """The person says No on our page: nothing is stored, and the permission is taken back where that harms nobody."""
    _drop(found, DECLINED, "You did not connect anything. The permission was dropped.")


def tidy(attempt_id: str) -> None:
    """An attempt nobody finished: erase what waits on it, and take the permission back where that harms nobody."""
    found = db.session.get(ConnectionAttempt, attempt_id)
    if found is not None and is_late(found, present()):
        _drop(found, EXPIRED, "Nobody confirmed this connection in time, so nothing was stored.")


def unanswered(workspace: Workspace, user: User) -> list[ConnectionAttempt]:
    """The walks of this person that never came back, the newest of each platform: there the platform may have shown
    an error on a page of its own. What was begun anew since, and came back, is left out."""
    now = present()
    newest: dict[str, ConnectionAttempt] = {}
    for found in db.session.scalars(
            select(ConnectionAttempt).where(
                ConnectionAttempt.workspace_id == workspace.id, ConnectionAttempt.user_id == user.id,
                ConnectionAttempt.created_at > now - ASKED_ABOUT)
            .order_by(ConnectionAttempt.created_at.desc(), ConnectionAttempt.id.desc())):
        newest.setdefault(found.platform, found)
    return [found for found in newest.values() if _never_came_back(found, now)]


def _never_came_back(found: ConnectionAttempt, now: datetime) -> bool:
    return found.spent_at is None and found.expires_at < now and found.state in (STARTED, EXPIRED)


def dismiss(found: ConnectionAttempt) -> bool:
    """Ask no more about a walk that never came back; from now on nothing may come back for it. False: it did."""
    now = present()
    with writing():
        is_mine = took(
            update(ConnectionAttempt)
            .where(ConnectionAttempt.id == found.id, ConnectionAttempt.spent_at.is_(None),
                   ConnectionAttempt.expires_at < now, ConnectionAttempt.state.in_((STARTED, EXPIRED)))
            .values(spent_at=now))
        if is_mine:
            audit.record("connection.dismissed", "platform", found.platform,
                         f"The question about {PROVIDERS[found.platform].name} was closed: nothing had come back from "
                         "there.", workspace_id=found.workspace_id)
        return is_mine


def _drop(found: ConnectionAttempt, state: str, why: str) -> None:
    consent, provider, before = _waiting_consent(found), connectable(found.platform), found.state
    with writing() as session:
        lock(found.app)
        facts = _facts(found)
        is_mine = took(
            update(ConnectionAttempt).where(ConnectionAttempt.id == found.id, ConnectionAttempt.state == before)
            .values(state=state, consent_sealed=None, verifier_sealed=None, error=why))
        session.refresh(found)
        # An exchanged app must not be given the old one's token.
        same_app = found.app.generation == found.app_generation
        harmless = consent is not None and same_app and not others_living_by(found.app_id, consent.person_id, None)
    if is_mine and consent is not None and harmless:
        revoke(provider, facts, consent.tokens, consent.person_id)


def _waiting_consent(found: ConnectionAttempt) -> Consent | None:
    """What waits on an attempt; None if nothing does, or if the keys of this server do not open it."""
    if found.consent_sealed is None:
        return None
    try:
        return _load(_vault().open(found.consent_sealed, *_where(found, "consent")))
    except Unreadable:
        return None


def reconnectable(account: Account) -> bool:
    """Whether Reconnect makes sense: an app of its platform that fits is on."""
    try:
        offered_again(account)
    except NotOffered:
        return False
    return account.state in (ACTIVE, PAUSED, TOKEN_EXPIRED, DISCONNECTED)
