"""Pausing, resuming and disconnecting accounts; and taking a permission back where that harms nobody else."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import or_, select

from . import accounts, audit, deliveries, platform_apps, tokens
from .accounts import actor
from .database import alone, lock, release, writing
from .errors import PlatformError
from .extensions import db
from .models import (
    ACTIVE,
    DEAD,
    DISCONNECTED,
    GRANTED,
    PAUSED,
    PUBLISHED,
    Account,
    ConnectionAttempt,
    Delivery,
    Grant,
    PlatformApp,
    User,
)
from .outside import now as present
from .providers import PROVIDERS
from .providers.base import App, Provider, Revoke, TokenSet
from .providers.oauth2 import OAuth2Provider, connectable
from .vault import Unreadable

log = logging.getLogger("socialconsole.disconnections")

# What disconnecting achieved at the platform: it took the permission back, offers no way to, did not confirm, or was
# not asked, since others live by the same permission or nothing was there to take back.
REVOKED, NOT_OFFERED, FAILED, STAYS, NOTHING = "revoked", "not_offered", "failed", "stays", "nothing"
GONE, WORKS = "gone", "works"  # what the platform then says of the token itself


@dataclass(frozen=True)
class Revocation:
    """What became of a permission at the platform."""

    outcome: str
    sentence: str
    at: datetime | None = None  # when the platform was asked, or the account disconnected
    proof: str = ""  # what it then said of the token: gone, works; "" where it cannot tell
    confirmed_by: str = ""  # who said that they removed it there
    confirmed_at: datetime | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nobody has to remove anything by hand any more."""
        return self.outcome in (REVOKED, NOTHING) and self.proof != WORKS or bool(self.confirmed_by)


@dataclass(frozen=True)
class Loss:
    """What disconnecting an account ends, and what stays."""

    waiting: int
    published: int
    revokes: bool  # the permission is taken back at the platform too
    siblings: int  # other connections that live by the same permission


def pause(account: Account, user: User) -> None:
    """Publish nothing for this account; the connection is kept alive."""
    now = present()
    with writing():
        lock(account)
        if account.state != ACTIVE:
            return
        account.state, account.state_since, account.state_by = PAUSED, now, actor(user)
        deliveries.hold_account(account, f"Waits until {actor(user)} or someone else resumes the profile.", now)
        audit.record("account.paused", "account", account.id, "Paused", workspace_id=account.workspace_id,
                     name=account.display_name)


def resume(account: Account, user: User) -> None:
    """Publish again, what waited included if its window is still open."""
    now = present()
    with writing():
        lock(account)
        if account.state != PAUSED:
            return
        account.state, account.state_since, account.state_by = ACTIVE, now, actor(user)
        deliveries.release_account(account, now)
        audit.record("account.resumed", "account", account.id, "Resumed", workspace_id=account.workspace_id,
                     name=account.display_name)


def what_disconnect_loses(account: Account) -> Loss:
    """What disconnecting would end, for the question before it."""
    published = db.session.scalars(select(Delivery.id).where(Delivery.account_id == account.id,
                                                             Delivery.state == PUBLISHED)).all()
    others = _living_by(account)
    provider = PROVIDERS[account.platform]
    mode = account.grant.app.mode if account.grant is not None else ""
    return Loss(deliveries.waiting(account), len(published),
                provider.revoke_kind_of(mode) is not Revoke.NOT_OFFERED and not others, others)


def _living_by(account: Account) -> int:
    """How many other connections a revoke at the platform would end."""
    if account.grant is None:
        return 0
    kin = len(accounts.siblings(account))
    if PROVIDERS[account.platform].revoke_kind_of(account.grant.app.mode) is Revoke.PERSON:
        kin += len(others_living_by(account.grant.app_id, account.grant.person_id, account.grant.id))
    return kin


def others_living_by(app_id: str, person_id: str, but: str | None) -> list[Grant | ConnectionAttempt]:
    """Other Grants of any workspace, and consents that wait to be confirmed, that a revoke for this person would kill.

    A Grant whose own token ended may still feed Pages, whose tokens have no end but die with the permission. Apps that
    are one and the same at the platform count together, whatever platform they are configured for here.
    """
    apps = same_at_the_platform(app_id)
    lives = or_(Grant.state != DEAD, select(Account.id).where(
        Account.grant_id == Grant.id, Account.state.in_((ACTIVE, PAUSED))).exists())
    grants = [grant for grant in db.session.scalars(select(Grant).where(
        Grant.app_id.in_(apps), Grant.person_id == person_id, Grant.access_sealed.is_not(None), lives))
        if grant.id != but]
    waiting = db.session.scalars(select(ConnectionAttempt).where(
        ConnectionAttempt.app_id.in_(apps), ConnectionAttempt.person_id == person_id,
        ConnectionAttempt.state == GRANTED))
    return [*grants, *waiting]


def same_at_the_platform(app_id: str) -> list[str]:
    """The apps whose permissions fall together with this one's: the same client id, or the same project."""
    known = {app.id: app for app in db.session.scalars(select(PlatformApp))}
    mine = known[app_id]
    reach = PROVIDERS[mine.platform].revoke_reach(mine.client_id)
    return [app.id for app in known.values() if app.is_sandbox == mine.is_sandbox
            and PROVIDERS[app.platform].revoke_reach(app.client_id) == reach]


def disconnect(account: Account, user: User, *, cancel_posts: bool) -> Revocation:
    """End a connection: tokens erased at once, the permission revoked where that harms nobody, history kept.

    Returns what happened at the platform. Disconnecting again changes nothing and returns the same.
    """
    now, provider = present(), connectable(account.platform)
    with writing():
        if account.grant is not None:
            # Two that live by one permission and go at once: each would take the other for the one that stays.
            alone("disconnect", account.grant.person_id)
            lock(account.grant)
        lock(account)
        if account.state == DISCONNECTED:
            return revocation(account)
        grant, others = account.grant, _living_by(account)
        held = _open(grant)
        facts = _facts(grant)
        person = grant.person_id if grant is not None else ""
        _erase(account, grant)
        account.state, account.state_since, account.state_by = DISCONNECTED, now, actor(user)
        mode = facts.mode if facts is not None else ""
        _note(account, _unsaid(provider, mode))
        if cancel_posts:
            deliveries.cancel_account(account, actor(user), now)
        else:
            deliveries.hold_account(account, "Waits: the profile was disconnected. Connect it again to release it.",
                                    now)
        audit.record("account.disconnected", "account", account.id, "Disconnected, tokens erased",
                     workspace_id=account.workspace_id, name=account.display_name)
    found = _at_the_platform(provider, facts, held, person, others)
    with writing():
        _note(account, found)
        audit.record("account.revoked", "account", account.id, found.sentence, workspace_id=account.workspace_id,
                     name=account.display_name, outcome=found.outcome, proof=found.proof)
    return revocation(account)


def _at_the_platform(provider: OAuth2Provider, facts: App | None, held: TokenSet | None, person_id: str,
                     others: int) -> Revocation:
    if others:
        return Revocation(STAYS, f"The permission at {provider.name} stays, because {others} other "
                          f"{'connection lives' if others == 1 else 'connections live'} by it. Remove it there "
                          f"yourself only if {'that one' if others == 1 else 'those'} may end too: "
                          f"{provider.revoke_where}.", present())
    if held is None or facts is None:
        return _unsaid(provider, facts.mode if facts is not None else "")
    return revoke(provider, facts, held, person_id)


def revocation(account: Account) -> Revocation:
    """What disconnecting an account achieved at the platform."""
    kept = account.revocation or {}
    return Revocation(kept.get("outcome", "") or NOTHING, account.revoked_note, _instant(kept.get("at")),
                      kept.get("proof", ""), kept.get("confirmed_by", ""), _instant(kept.get("confirmed_at")))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _note(account: Account, found: Revocation) -> None:
    account.revoked_note = found.sentence
    account.revocation = {"outcome": found.outcome, "proof": found.proof, "at": (found.at or present()).isoformat()}


def removed_there(account: Account, user: User) -> bool:
    """A person says that they removed the permission at the platform. False if nothing was left to remove."""
    with writing():
        lock(account)
        if account.state != DISCONNECTED or revocation(account).is_settled:
            return False
        account.revocation = {**(account.revocation or {}), "confirmed_by": actor(user),
                              "confirmed_at": present().isoformat()}
        name = PROVIDERS[account.platform].name
        audit.record("account.revoked", "account", account.id,
                     f"{actor(user)} said that the permission was removed at {name}.",
                     workspace_id=account.workspace_id, name=account.display_name, outcome="removed_there")
        return True


def _facts(grant: Grant | None) -> App | None:
    """The app of a Grant; None if its secret cannot be opened, which must not keep anybody from disconnecting."""
    try:
        return platform_apps.facts(grant.app) if grant is not None else None
    except Unreadable:
        return None


def _open(grant: Grant | None) -> TokenSet | None:
    try:
        return tokens.read(grant) if grant is not None else None
    except Unreadable:
        return None


def _erase(account: Account, grant: Grant | None) -> None:
    """Erase the account's own token, and the Grant's when nobody else lives by it."""
    tokens.store_own(account, None)
    account.sync_due_at, account.reason, account.reason_text = None, "", ""
    if grant is not None and not accounts.siblings(account):
        tokens.erase(grant)


def _unsaid(provider: Provider, mode: str) -> Revocation:
    if provider.revoke_kind_of(mode) is Revoke.NOT_OFFERED:
        return Revocation(NOT_OFFERED, f"{provider.name} offers no way to take the permission back from here. Remove "
                          f"it there: {provider.revoke_where}.", present())
    return Revocation(FAILED, f"Not confirmed by {provider.name}. Remove it there to be sure: "
                      f"{provider.revoke_where}.", present())


def revoke(provider: OAuth2Provider, facts: App, held: TokenSet, person_id: str) -> Revocation:
    """Take the permission back at the platform, and ask it what became of the token where it can tell."""
    if provider.revoke_kind_of(facts.mode) is Revoke.NOT_OFFERED:
        return _unsaid(provider, facts.mode)
    release()
    try:
        provider.revoke(facts, held, person_id)
    except PlatformError as error:
        log.info("revoke not confirmed", extra={"platform": provider.slug, "code": error.code})
        said = f"{provider.name} did not confirm that the permission is gone: {error.message}"
        return _proved(provider, facts, held, Revocation(
            FAILED, f"{said} Remove it there to be sure: {provider.revoke_where}.", present()))
    return _proved(provider, facts, held, Revocation(
        REVOKED, f"{provider.name} confirmed that the permission is gone.", present()))


def _proved(provider: OAuth2Provider, facts: App, held: TokenSet, found: Revocation) -> Revocation:
    """The same with what the platform says of the token itself: the last moment at which we can ask about it."""
    valid = provider.still_valid(facts, held)
    if valid is None:
        return found
    if valid:
        return replace(found, proof=WORKS, sentence=f"{found.sentence} Asked about our former token, it says that it "
                                                    "still works.")
    return replace(found, proof=GONE, sentence=f"{found.sentence} Asked about our former token, it says that it no "
                                               "longer works.")
