"""What platforms tell by themselves: a person removed the app, wants their data deleted, or a post moved on.

Nobody is signed in here. What counts is the signature of the platform, made with the secret that only it and we know;
without one nothing is changed and nothing is told. Everything may come late, twice or in any order.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import or_, select

from . import audit, deliveries, outside, platform_apps, tokens
from .config import Config
from .database import alone, lock, writing
from .disconnections import same_at_the_platform
from .errors import APP_CHANGED, REVOKED
from .extensions import db
from .models import (
    DISCONNECTED,
    FAILED,
    FINAL,
    GRANTED,
    SENT,
    TOKEN_EXPIRED,
    Account,
    AuditEvent,
    ConnectionAttempt,
    DeletionRequest,
    Delivery,
    DeliveryEvent,
    Grant,
    Incident,
    Membership,
    Message,
    PlatformApp,
)
from .outside import now as present
from .providers import provider as provider_of
from .providers.base import Provider, WebhookEvent
from .vault import Unreadable

DEAUTHORIZE, DELETION, WEBHOOK = "deauthorize", "deletion", "webhook"
LONGEST_SIGNED = 16 * 1024
SLACK = timedelta(seconds=5)  # their moments are whole seconds, and clocks differ a little
NAMELESS = "Deleted profile"

Found = TypeVar("Found")


class NotServed(Exception):
    """No platform calls this address."""


class BadSignature(Exception):
    """Not signed by the platform with a secret of ours."""


# ---------------------------------------------------------------- who is meant


def _callers(segment: str, purpose: str) -> list[PlatformApp]:
    """The apps whose platform may call this address. Raises NotServed.

    A platform that takes one such address for several apps calls the first one's, signed for any of them.
    """
    app = platform_apps.by_segment(segment)
    if app is None or purpose not in provider_of(app.platform).calls_back:
        raise NotServed
    if app.segment != app.platform:
        return [app]
    return [app, *(other for other in platform_apps.apps_of(app.platform) if other.id != app.id)]


def _first_that_fits(apps: Sequence[PlatformApp], fits: Callable[[PlatformApp], Found | None]) \
        -> tuple[PlatformApp, Found]:
    """The first app whose secret explains the signature, and what it said. Raises BadSignature."""
    for app in apps:
        try:
            found = fits(app)
        except Unreadable:
            continue
        if found is not None:
            return app, found
    raise BadSignature


def signed_by(signed: str, secret: str) -> dict[str, Any] | None:
    """What a `signed_request` carries; None unless it was signed with this secret.

    The signature stands before the dot, over the payload as it is encoded.
    developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback
    """
    signature, dot, payload = signed.partition(".")
    if not dot or not secret or len(signed) > LONGEST_SIGNED or not signed.isascii():
        return None
    expected = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()
    try:
        if not hmac.compare_digest(expected, _decoded(signature)):
            return None
        plain = json.loads(_decoded(payload))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(plain, dict) or str(plain.get("algorithm") or "").upper() != "HMAC-SHA256":
        return None
    return plain if str(plain.get("user_id") or "") else None


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _moment(value: Any) -> datetime | None:
    """An instant in seconds since 1970; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**40:
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the years that can be written
        return None


def _grants(app: PlatformApp, person_id: str, until: datetime | None) -> list[Grant]:
    """What a person allowed this app, in every workspace. What came after the withdrawal is another permission."""
    if not person_id:
        return []
    found = db.session.scalars(select(Grant).where(
        Grant.app_id.in_(same_at_the_platform(app.id)), Grant.person_id == person_id)
        .order_by(Grant.id).with_for_update(key_share=True).execution_options(populate_existing=True))
    return [grant for grant in found if until is None or grant.granted_at <= until + SLACK]


# ---------------------------------------------------------------- a permission that was taken back


def deauthorize(segment: str, signed: str) -> int:
    """A person removed the app: end what they had allowed. Returns how many connections that ended.

    Raises NotServed, BadSignature.
    """
    app, plain = _first_that_fits(_callers(segment, DEAUTHORIZE),
                                  lambda app: signed_by(signed, platform_apps.open_secret(app)))
    with writing():
        return _end(app, str(plain["user_id"]), _moment(plain.get("issued_at")))


def _end(app: PlatformApp, person_id: str, at: datetime | None) -> int:
    """Erase the tokens and ask for a reconnect. Inside `writing()`."""
    provider, now = provider_of(app.platform), present()
    grants = _grants(app, person_id, at)
    ended = 0
    for grant in grants:
        why = f"The app was removed in your settings at {provider_of(grant.platform).name}. Connect again."
        for account in tokens.session_accounts(grant):
            tokens.expire_account(account, REVOKED, why, now)
            if account.state == TOKEN_EXPIRED:
                account.reason, account.reason_text = REVOKED, why
            tokens.store_own(account, None)
        if grant.access_sealed is not None:
            ended += 1
            tokens.erase(grant)
            grant.rung_until = None
            audit.record("grant.removed_there", "grant", grant.id, f"The person removed the app at {provider.name}; "
                         "tokens erased", workspace_id=grant.workspace_id)
        grant.reason, grant.last_error = REVOKED, why
    _end_waiting(app, person_id, at, provider)
    return ended


def _end_waiting(app: PlatformApp, person_id: str, at: datetime | None, provider: Provider) -> None:
    """A consent that waits for the person's word on our page is taken back with the rest."""
    waiting = db.session.scalars(select(ConnectionAttempt).where(
        ConnectionAttempt.app_id.in_(same_at_the_platform(app.id)), ConnectionAttempt.person_id == person_id,
        ConnectionAttempt.state == GRANTED))
    for attempt in waiting:
        if at is None or attempt.created_at <= at + SLACK:
            attempt.state, attempt.error_code = FAILED, APP_CHANGED
            attempt.error = f"The app was removed again at {provider.name}. Nothing was connected."
            attempt.consent_sealed = attempt.verifier_sealed = None


# ---------------------------------------------------------------- data that is to be deleted


def delete(segment: str, signed: str) -> DeletionRequest:
    """A person wants their data deleted: end what they had allowed and forget what the platform told of them.

    Sent again, it returns the request it made at first. Raises NotServed, BadSignature.
    """
    app, plain = _first_that_fits(_callers(segment, DELETION),
                                  lambda app: signed_by(signed, platform_apps.open_secret(app)))
    person_id, at, now = str(plain["user_id"]), _moment(plain.get("issued_at")), present()
    with writing() as session:
        alone("deletion", person_id)
        grants = _grants(app, person_id, at)
        hashed = _person_hash(app.platform, person_id)
        if not grants and (known := _latest(app.platform, hashed)) is not None:
            return known
        _end(app, person_id, at)
        accounts = [account for grant in grants for account in session.scalars(
            select(Account).where(Account.grant_id == grant.id))]
        for account in accounts:
            _forget_account(account, now)
        for grant in grants:
            _forget_receipts(grant)
            _forget_grant(grant)
        request = DeletionRequest(code=outside.secret(24), platform=app.platform, person_hash=hashed,
                                  grants=len(grants), accounts=len(accounts), created_at=now, done_at=now)
        session.add(request)
    return request


def _forget_receipts(grant: Grant) -> None:
    """What the person once agreed to names them and their profiles."""
    for attempt in db.session.scalars(select(ConnectionAttempt).where(
            ConnectionAttempt.app_id == grant.app_id, ConnectionAttempt.person_id == grant.person_id)):
        attempt.receipt = {}


def request(code: str) -> DeletionRequest | None:
    """The deletion with this code."""
    return db.session.get(DeletionRequest, code) if 0 < len(code) <= 40 else None


def _latest(platform: str, hashed: str) -> DeletionRequest | None:
    return db.session.scalar(
        select(DeletionRequest).where(DeletionRequest.platform == platform, DeletionRequest.person_hash == hashed)
        .order_by(DeletionRequest.created_at.desc()).limit(1))


def _person_hash(platform: str, person_id: str) -> str:
    """Tells whether the same person asks again, and nothing to anybody without the key."""
    config: Config = current_app.extensions["config"]
    return hmac.new(config.secret_key.encode(), f"deletion {platform} {person_id}".encode(), hashlib.sha256).hexdigest()


def _forget_account(account: Account, now: datetime) -> None:
    """Disconnect an account and erase who it was; what was written here stays. Inside `writing()`."""
    provider = provider_of(account.platform)
    names = [name for name in (account.display_name, account.username) if name]
    deliveries.cancel_account(account, f"a request for deletion at {provider.name}", now)
    if account.state != DISCONNECTED:
        account.state, account.state_since, account.state_by = DISCONNECTED, now, provider.name
    account.reason = account.reason_text = ""
    account.revocation = {}
    account.revoked_note = f"Deleted at the request of its owner, which {provider.name} passed on."
    account.platform_user_id = f"deleted:{account.id}"
    account.username, account.display_name, account.profile_url, account.meta = "", NAMELESS, "", {}
    account.avatar, account.avatar_type = None, ""
    account.sync_due_at = account.last_synced_at = None
    tokens.store_own(account, None)
    _forget_posts(account, names)
    _forget_events("account", account.id, names)
    _forget_alerts(account, names)
    audit.record("account.forgotten", "account", account.id, "Disconnected and its data deleted, as its owner asked at "
                 f"{provider.name}", workspace_id=account.workspace_id)


def _forget_posts(account: Account, names: Sequence[str]) -> None:
    """Where posts went, and under which name, is the platform's; that they went out stays."""
    for delivery in db.session.scalars(select(Delivery).where(Delivery.account_id == account.id)
                                       .order_by(Delivery.id).with_for_update(key_share=True)):
        delivery.platform_post_id = delivery.permalink = ""
        delivery.note = _without(delivery.note, names)
        if delivery.state in FINAL:
            delivery.parts, delivery.handle = [], ""
        for event in db.session.scalars(select(DeliveryEvent).where(DeliveryEvent.delivery_id == delivery.id)):
            event.text = _without(event.text, names)


def _forget_alerts(account: Account, names: Sequence[str]) -> None:
    """What people were told of it, and what they are still to be mailed, names it no more."""
    for incident in db.session.scalars(select(Incident).where(Incident.workspace_id == account.workspace_id)):
        incident.subject_name = _without(incident.subject_name, names)
        incident.summary, incident.step = _without(incident.summary, names), _without(incident.step, names)
    here = select(Membership.user_id).where(Membership.workspace_id == account.workspace_id)
    for message in db.session.scalars(select(Message).where(Message.user_id.in_(here))):
        message.subject, message.body = _without(message.subject, names), _without(message.body, names)


def _forget_grant(grant: Grant) -> None:
    _forget_events("grant", grant.id, [grant.person_name] if grant.person_name else [])
    grant.person_id, grant.profile_id, grant.person_name = f"deleted:{grant.id}", "", ""


def _forget_events(kind: str, subject_id: str, names: Sequence[str]) -> None:
    for event in db.session.scalars(select(AuditEvent).where(AuditEvent.subject_type == kind,
                                                             AuditEvent.subject_id == subject_id)):
        event.subject_name, event.summary = "", _without(event.summary, names)


def _without(text: str, names: Sequence[str]) -> str:
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "the profile")
    return text


# ---------------------------------------------------------------- notices


def webhook(segment: str, headers: Mapping[str, str], body: bytes) -> None:
    """Act on a notice of the platform. Raises NotServed, BadSignature."""
    now = present()

    def read(app: PlatformApp) -> WebhookEvent | None:
        facts = platform_apps.facts(app)
        return provider_of(app.platform).webhook(facts, headers, body, now) if facts.client_secret else None

    app, event = _first_that_fits(_callers(segment, WEBHOOK), read)
    with writing():
        if event.kind == "authorization.removed":
            _end(app, event.person_id, event.at)
        elif event.kind == "post.changed":
            for delivery in _meant(app, event):
                lock(delivery)
                if delivery.state == SENT:
                    delivery.due_at, delivery.rung_until = now, None


def _meant(app: PlatformApp, event: WebhookEvent) -> Iterator[Delivery]:
    """The deliveries a notice may speak of: the one known by its handle, else all that the person's accounts wait for.

    A notice is only a reason to ask: the answer counts, so that asking for one too many does no harm.
    """
    grants = [grant.id for grant in _grants(app, event.person_id, None)]
    waiting = list(db.session.scalars(
        select(Delivery).join(Account, Delivery.account_id == Account.id)
        .where(Account.grant_id.in_(grants), Delivery.state == SENT,
               or_(Delivery.due_at.is_(None), Delivery.due_at > present())).order_by(Delivery.id)))
    known = [delivery for delivery in waiting if event.handle and delivery.platform_post_id == event.handle]
    yield from known or waiting
