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

from . import (
    accounts,
    audit,
    deliveries,
    lights,
    outside,
    platform_apps,
    receipts,
    recorder,
    recordings,
    tokens,
    workspaces,
)
from .accounts import actor
from .database import alone, lock, release, took, writing
from .disconnections import others_living_by, revoke
from .errors import AttemptFailed, ConfigurationWrong, Declined, PermissionMissing, PlatformError
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
    ConnectLink,
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
    app = platform_apps.at(segment)
    raise _not_offered(provider, app if app and (not app.workspace_ids or workspace.id in app.workspace_ids) else None)


def _not_offered(provider: Provider, app: PlatformApp | None = None) -> NotOffered:
    if app is not None and not app.is_on and app.off_note:
        return NotOffered(f"{provider.name} was turned off in this console. The administrator says: “{app.off_note}”")
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
    raise _not_offered(provider, own)


def begin(app: PlatformApp, workspace: Workspace, user: User | None, login: Login | None, browser: str, *,
          account: Account | None = None, link: ConnectLink | None = None, again: str = "",
          scopes: Sequence[str] = ()) -> str:
    """Write a ConnectionAttempt and return the address where the person gives consent. Raises NotOffered.

    OverLimit, which is one, where the workspace has as many accounts as it may. To reconnect one needs no room.
    With a link there is no user and no login: only the browser says who comes back. `again` says why a consent is asked
    for once more, where the caller knows better. `scopes`: of what the account lacks, ask for just these.
    """
    if not platform_apps.is_open_to(app, workspace.id):
        raise _not_offered(PROVIDERS[app.platform])
    if account is None or account.state == DISCONNECTED:
        _need_room(workspace, 1)
    provider, facts, now = connectable(app.platform), platform_apps.facts(app), present()
    if scopes and account is not None:
        facts, again = _just_these(app, account, facts, scopes)
    state = outside.secret()
    verifier = outside.secret(48) if provider.wants_pkce(facts) else None
    again = again or _why_again(app, workspace, account, now)
    there = provider.authorization_url(facts, state, verifier, again=again)
    with writing() as session:
        attempt = ConnectionAttempt(
            id=new_id("att"), state_hash=_hash(state), browser_hash=_hash(browser), platform=app.platform,
            app_id=app.id, app_generation=app.generation, workspace_id=workspace.id,
            user_id=user.id if user else None, login_id=login.id if login else "", link_id=link.id if link else None,
            account_id=account.id if account else None, redirect_uri=facts.redirect_uri, scopes_asked=facts.scopes,
            scopes_wanted=list(scopes), created_at=now, expires_at=now + CONSENT_WITHIN)
        if verifier:
            attempt.verifier_sealed = _vault().seal(verifier, *_where(attempt, "verifier"))
        session.add(attempt)
        recordings.begun(attempt, there)
    return there


def _just_these(app: PlatformApp, account: Account, facts: App, scopes: Sequence[str]) -> tuple[App, str]:
    """The app with what is sent to ask for some scopes, and why a consent is asked for once more."""
    try:
        found = lights.asking(account, app, scopes)
    except lights.CannotAsk as problem:
        raise NotOffered(str(problem)) from None
    return replace(facts, scopes=found.scopes), found.again


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
    if not _brings(attempt, login, browser):
        with writing():
            recordings.remark(attempt, "It came back in another browser, or to another person, and was turned away")
        raise WrongBrowser
    now = present()
    if not _spend(attempt, now):
        return _again(attempt)
    if attempt.state != STARTED:
        return attempt
    facts = _facts(attempt)  # as they are now: the admin may exchange the app while the platform is asked
    with recorder.recording(recorder.CONNECT, attempt.platform):
        recordings.came_back(query)
        _ask(attempt, facts, query)
    return _again(attempt)


def _ask(attempt: ConnectionAttempt, facts: App, query: Mapping[str, str]) -> None:
    """Ask the platform for what the person consented to, and keep what came of it."""
    try:
        consent = _consent(attempt, facts, query)
    except PlatformError as error:
        _ended(attempt, _not_asked_for(attempt, error))
    else:
        if not _granted(attempt, consent) and not others_living_by(attempt.app_id, consent.person_id, None):
            revoke(connectable(attempt.platform), facts, consent.tokens, consent.person_id)


def _not_asked_for(attempt: ConnectionAttempt, error: PlatformError) -> PlatformError:
    """The error, or another one where a permission is missing that the settings leave out: nobody could give it."""
    named = error.scopes if isinstance(error, PermissionMissing) else ()
    asked = split_scopes(attempt.scopes_asked) or frozenset()
    absent = " and ".join(f"`{name}`" for name in named if name not in asked)
    if not absent:
        return error
    return ConfigurationWrong(f"The scopes under Configure leave {absent} out, and without that nobody can connect "
                              f"{PROVIDERS[attempt.platform].name}.", "scope_not_asked", field="scope_override")


def is_of_link(segment: str, query: Mapping[str, str]) -> bool:
    """Whether a callback ends a walk by a link, which nobody signed in has a part in."""
    try:
        return _find(segment, query).link_id is not None
    except UnknownAttempt:
        return False


def _brings(attempt: ConnectionAttempt, login: Login | None, browser: str | None) -> bool:
    """Whether it is the one who began that comes back: the same browser, and the same person unless a link began it."""
    if not is_browser(attempt, browser):
        return False
    return attempt.link_id is not None or (login is not None and login.user_id == attempt.user_id)


def is_browser(attempt: ConnectionAttempt, browser: str | None) -> bool:
    """Whether an attempt began in this browser."""
    return bool(browser) and _hash(str(browser)) == attempt.browser_hash


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
        if is_mine and late:
            recordings.closed(attempt, "It came back too late, so nothing was asked and nothing was connected.")
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
        recordings.refused(attempt, error)


def _granted(attempt: ConnectionAttempt, consent: Consent) -> bool:
    """Keep what was given until the person's word; False if the attempt was ended while the platform was asked."""
    with writing():
        lock(attempt.app)
        lock(attempt)
        if attempt.state != STARTED or attempt.app.generation != attempt.app_generation:
            if attempt.state == STARTED:
                attempt.state, attempt.error, attempt.error_code = FAILED, CHANGED_MEANWHILE, "app_changed"
            recordings.closed(attempt, "It was ended while the platform was asked, so what came is not kept.")
            return False
        attempt.state, attempt.expires_at, attempt.person_id = GRANTED, present() + CONFIRM_WITHIN, consent.person_id
        attempt.verifier_sealed = None
        attempt.consent_sealed = _vault().seal(_dump(consent), *_where(attempt, "consent"))
        recordings.granted(attempt, consent)
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


def attempt_of_link(attempt_id: str, browser: str | None) -> ConnectionAttempt:
    """An attempt that a link began in this browser; 404 for any other."""
    found = db.session.get(ConnectionAttempt, attempt_id)
    if found is None or found.link_id is None or not is_browser(found, browser):
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
    return _in_words(found, [name for name in lights.names_of(found.scopes_asked) if name not in consent.scopes])


def _in_words(found: ConnectionAttempt, names: Sequence[str]) -> list[Scope]:
    known = lights.purposes(PROVIDERS[found.platform], found.app.mode)
    return [known.get(name, Scope(name, lights.UNNAMED)) for name in names]


def reconnects_another(found: ConnectionAttempt) -> Account | None:
    """The account that was to be reconnected, if the consent does not cover it."""
    if not found.account_id:
        return None
    wanted = db.session.get_one(Account, found.account_id)
    covered = any(choice.profile.platform_user_id == wanted.platform_user_id and choice.selectable
                  for choice in choices(found))
    return None if covered else wanted


def confirm(found: ConnectionAttempt, chosen: Sequence[str], user: User | None, *, as_new: bool = False,
            may_add: bool = True) -> list[Account]:
    """Make accounts of the chosen profiles (by platform user id), new ones or the ones known already.

    `may_add=False`: the person may only reconnect, so the account that was to be reconnected is all that is taken.
    Confirming twice returns the same accounts. Raises NotOffered if the consent is gone or nothing fit was chosen,
    OverLimit if those that are new are more than the workspace has room for (then nothing is stored), AnotherProfile
    if a reconnect came back with another profile and `as_new` was not said.
    """
    if found.state == FINISHED:
        return _results(found)
    consent, picked = consent_of(found), _picked(found, chosen, may_add)
    if reconnects_another(found) is not None and not as_new:
        raise AnotherProfile
    _refuse_less(found, consent)
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
            return _results(found)
        if not _is_as_it_was(found):
            raise NotOffered(CHANGED_MEANWHILE)
        _need_room(found.workspace, _new_ones(found, picked))
        grant = _save_grant(found, consent, now)
        by = _Doer.of(found, user)
        saved = [_save_account(found, grant, profile, by, now) for profile in picked]
        found.result_ids = [account.id for account in saved]
        receipts.keep(found, grant, saved, consent.person_name, by.name, now)
        _recheck_siblings(grant, now)
        platform_apps.clear_flag(found.app_id)
        recordings.closed(found, f"The person confirmed. Profiles connected: {len(saved)} of {len(consent.profiles)}.")
    return saved


def _results(found: ConnectionAttempt) -> list[Account]:
    """The accounts that a finished attempt led to, as far as they are still there."""
    return [account for account in (db.session.get(Account, one) for one in found.result_ids) if account]


def _picked(found: ConnectionAttempt, chosen: Sequence[str], may_add: bool) -> list[Profile]:
    """Those of the chosen profiles that may be taken. Raises NotOffered if none is left."""
    picked = [choice.profile for choice in choices(found)
              if choice.selectable and choice.profile.platform_user_id in set(chosen)]
    if not may_add:
        wanted = db.session.get(Account, found.account_id) if found.account_id else None
        picked = [profile for profile in picked if wanted and profile.platform_user_id == wanted.platform_user_id]
    if not picked:
        raise NotOffered("Choose at least one profile." if may_add else
                         "Only an owner of this workspace can connect further profiles.")
    return picked


@dataclass(frozen=True)
class _Doer:
    """Who connects, as the account names it, and what the history adds."""

    name: str
    how: str = ""

    @classmethod
    def of(cls, found: ConnectionAttempt, user: User | None) -> "_Doer":
        link = db.session.get(ConnectLink, found.link_id) if found.link_id else None
        if link is None:
            return cls(actor(user))
        return cls(f"somebody with a link that {link.asked_by} asked for", f" by a link that {link.asked_by} asked for")


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
    grant.person_name, grant.scopes_asked = consent.person_name, _asked_so_far(found)
    granted = sorted(consent.scopes) if consent.scopes is not None else None
    grant.scopes_since, grant.scopes_granted = lights.dates(grant, granted, now), granted
    grant.granted_at, grant.renewed_at = now, None
    tokens.store(grant, consent.tokens, now)
    return grant


def _asked_so_far(found: ConnectionAttempt) -> str:
    """What the account was asked for in all, where this walk asked for a part only."""
    account = db.session.get(Account, found.account_id) if found.scopes_wanted and found.account_id else None
    if account is None or account.grant is None:
        return found.scopes_asked
    return lights.union(account.grant.scopes_asked, found.scopes_asked, PROVIDERS[found.platform].scope_separator)


def lost(found: ConnectionAttempt) -> list[Scope]:
    """What the account has and a consent for a part of it does not give: then it speaks for somebody else, or less."""
    account = db.session.get(Account, found.account_id) if found.scopes_wanted and found.account_id else None
    consent = consent_of(found)
    if account is None or account.grant is None or consent.scopes is None:
        return []
    held = account.grant.scopes_granted or []
    return _in_words(found, [name for name in held if name not in consent.scopes])


def _refuse_less(found: ConnectionAttempt, consent: Consent) -> None:
    """Another person was asked for a part only, and never gave the rest: their consent cannot feed the account."""
    account = db.session.get(Account, found.account_id) if found.scopes_wanted and found.account_id else None
    grant = account.grant if account is not None else None
    if grant is None or grant.person_id == consent.person_id or not lost(found):
        return
    provider = PROVIDERS[found.platform]
    raise NotOffered(f"{consent.person_name or 'Another person'} signed in at {provider.name} and gave only a part of "
                     f"what this profile needs; before it was {grant.person_name or 'somebody else'}. Nothing was "
                     "changed. Sign in there as the same person, or press Reconnect, which asks for everything.")


def _save_account(found: ConnectionAttempt, grant: Grant, profile: Profile, by: _Doer, now: datetime) -> Account:
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
        account.state, account.state_since, account.state_by = ACTIVE, now, by.name
    account.reason = account.reason_text = account.revoked_note = ""
    account.revocation = {}
    account.connected_by, account.last_synced_at, account.sync_due_at = by.name, now, now
    db.session.flush()
    if before is not None and before.id != grant.id and not tokens.session_accounts(before):
        tokens.erase(before)
    deliveries.release_account(account, now)
    word = "reconnected" if known else "connected"
    audit.record(f"account.{word}", "account", account.id, word.capitalize() + by.how,
                 workspace_id=account.workspace_id, name=account.display_name or account.username,
                 platform=account.platform)
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
    drop(found, DECLINED, "You did not connect anything. The permission was dropped.")


def tidy(attempt_id: str) -> None:
    """An attempt nobody finished: erase what waits on it, and take the permission back where that harms nobody."""
    found = db.session.get(ConnectionAttempt, attempt_id)
    if found is not None and is_late(found, present()):
        drop(found, EXPIRED, "Nobody confirmed this connection in time, so nothing was stored.")


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


def drop(found: ConnectionAttempt, state: str, why: str, code: str = "") -> bool:
    """End an attempt: erase what waits on it, and take the permission back where that harms nobody. False: it was
    ended already."""
    consent, provider, before = _waiting_consent(found), connectable(found.platform), found.state
    with writing() as session:
        lock(found.app)
        facts = _facts(found)
        is_mine = took(
            update(ConnectionAttempt).where(ConnectionAttempt.id == found.id, ConnectionAttempt.state == before)
            .values(state=state, consent_sealed=None, verifier_sealed=None, error=why, error_code=code))
        session.refresh(found)
        if is_mine:
            recordings.closed(found, _ending(state, consent is not None, found.spent_at is not None))
        # An exchanged app must not be given the old one's token.
        same_app = found.app.generation == found.app_generation
        harmless = consent is not None and same_app and not others_living_by(found.app_id, consent.person_id, None)
    if is_mine and consent is not None and harmless:
        revoke(provider, facts, consent.tokens, consent.person_id)
    return is_mine


def _ending(state: str, has_consent: bool, came_back: bool) -> str:
    """How a walk ended that came to nothing, for its timeline."""
    if state != EXPIRED:
        return "It was ended on our own page before anything was connected."
    if has_consent:
        return "Nobody confirmed it in time, so what the platform gave was erased and nothing was connected."
    if came_back:
        return "The console stopped while it asked the platform, and nothing was connected."
    return "Nobody came back from the platform in time. If it showed an error of its own, the console cannot see it."


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
