"""The daily reading of a profile: name, handle, picture, and whether the platform still accepts its token."""

import logging
import re
import zlib
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from flask import current_app
from sqlalchemy import update

from . import audit, breaker, canaries, deliveries, outside, platform_apps, tallies, tokens
from .connections import describe
from .database import release, took, writing
from .errors import ConfigurationWrong, NeedsReconnect, OutcomeUnknown, PlatformError, TryLater
from .models import ACTIVE, PAUSED, Account
from .outside import now as present
from .providers.base import Profile

log = logging.getLogger("socialconsole.profile_sync")

EVERY = timedelta(days=1)
LEASE = timedelta(minutes=5)
PROBE_AFTER = timedelta(minutes=15)  # while the platform refuses the app
AFTER_TROUBLE = timedelta(minutes=30)
WHILE_RENEWING = timedelta(seconds=15)
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
LARGEST_PICTURE = 1024 * 1024
NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
INSIDE = (".local", ".internal", ".localhost", ".lan", ".home.arpa")


def sync(account_id: str) -> None:
    """Read one profile if its reading is due and nobody else is at it. Never raises for the platform's doing."""
    used = _claim(account_id)
    if used is None:
        return
    account_key, platform_user_id, sandbox = used[1], used[2], used[3]
    try:
        profile = used[0].provider.profile(used[0].app, used[0].token, platform_user_id)
    except PlatformError as error:
        tallies.answered(used[0].provider.slug, error, used[0].grant_id)
        _failed(account_key, used[0], error)
        if isinstance(error, TryLater | OutcomeUnknown):
            breaker.failed(used[0].app.id, error.code, present(), whom=account_key)
        return
    tallies.answered(used[0].provider.slug, profile, used[0].grant_id)
    breaker.worked(used[0].app.id, present())
    picture = fetch_picture(profile.avatar_url, sandbox)
    _read(account_key, profile, picture)


def _claim(account_id: str) -> tuple[tokens.Access, str, str, str | None] | None:
    now = present()
    with writing() as session:
        if not took(update(Account).where(Account.id == account_id, Account.state.in_((ACTIVE, PAUSED)),
                                          Account.sync_due_at <= now).values(sync_due_at=now + LEASE)):
            return None
        account = session.get_one(Account, account_id, populate_existing=True)
        try:
            used = tokens.access(account, now)
        except tokens.Renewed as wait:
            account.sync_due_at = max(wait.next_try(now), now + WHILE_RENEWING)
            return None
        except NeedsReconnect as error:
            tokens.expire_account(account, error.reason, error.message, now)
            account.sync_due_at = None
            return None
        except ConfigurationWrong as error:
            account.sync_due_at = now + PROBE_AFTER
            if account.grant is not None:
                platform_apps.flag(account.grant.app_id, error.message, error.code, now)
            return None
        if _waits(account, now):
            return None
        sandbox = current_app.extensions["config"].sandbox_url if account.is_sandbox else None
        return used, account.id, account.platform_user_id, sandbox


def _waits(account: Account, now: datetime) -> bool:
    """Whether nothing is asked in the name of the account's app for now; the reading is then put off."""
    until = breaker.blocked(account.grant.app, now) if account.grant is not None else None
    if account.grant is None or until is None or breaker.take_probe(account.grant.app_id, now):
        return False
    account.sync_due_at = breaker.again_at(until, zlib.crc32(account.id.encode()) / 2**32)
    return True


def _read(account_id: str, profile: Profile, picture: tuple[bytes, str] | None) -> None:
    now = present()
    release()
    with writing() as session:
        account = session.get_one(Account, account_id, populate_existing=True)
        if account.state not in (ACTIVE, PAUSED):
            return
        known = account.meta
        describe(account, profile)
        account.meta = {**known, **account.meta}  # the daily reading asks for less than the first one did
        if picture is not None:
            account.avatar, account.avatar_type = picture
        account.last_synced_at, account.sync_due_at = now, now + EVERY
        canaries.was_read(account)
        if account.grant is not None and account.grant.app.trouble:  # the platform answers this app again
            platform_apps.clear_flag(account.grant.app_id)
            deliveries.release_app(account.grant.app, now)


def _failed(account_id: str, used: tokens.Access, error: PlatformError) -> None:
    now = present()
    with writing() as session:
        account = session.get_one(Account, account_id, populate_existing=True)
        account.sync_due_at = now + AFTER_TROUBLE
        canaries.failed(account, error, now)
        if isinstance(error, NeedsReconnect):
            again = tokens.refused(used, error, now)
            if again is not None:
                account.sync_due_at = max(again, now + WHILE_RENEWING)
            else:
                tokens.expire_account(account, error.reason, error.message, now)
        elif isinstance(error, ConfigurationWrong) and account.grant is not None:
            platform_apps.flag(account.grant.app_id, error.message, error.code, now)
            account.sync_due_at = now + PROBE_AFTER
        audit.record("account.not_synced", "account", account.id, f"Profile not read: {error.message}",
                     workspace_id=account.workspace_id, name=account.display_name, code=error.code)


def fetch_picture(address: str, sandbox_url: str | None) -> tuple[bytes, str] | None:
    """The bytes and type of a profile picture, None if it cannot be had.

    The address comes from the platform's answer: only https on a named host is fetched (the sandbox only its own),
    without any token, at most 1 MB, and only picture types that a browser cannot execute.
    """
    if not address or not _may_fetch(address, sandbox_url):
        return None
    try:
        with outside.platform_session() as session, session.get(address, stream=True, timeout=(5, 10)) as answer:
            kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
            body = answer.raw.read(LARGEST_PICTURE + 1, decode_content=True)
            if answer.status_code != 200 or kind not in PICTURES or not 0 < len(body) <= LARGEST_PICTURE:
                return None
            return bytes(body), kind
    except (requests.RequestException, OSError):
        log.info("picture not fetched", extra={"host": urlsplit(address).netloc})
        return None


def _may_fetch(address: str, sandbox_url: str | None) -> bool:
    if sandbox_url is not None:
        return address.startswith(f"{sandbox_url}/")
    parts = urlsplit(address)
    host = parts.hostname or ""
    # Resolvers read 127.1 and 0x7f.1 as addresses too: only what ends in letters is a name.
    return (parts.scheme == "https" and not parts.username and NAME.fullmatch(host) is not None
            and not host.endswith(INSIDE))

