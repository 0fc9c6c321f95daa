"""The receipt of a consent: who connected what, what was granted and for what, how long it holds, how to end it.

It tells what was agreed on that day: `keep` notes it on the ConnectionAttempt when the person confirms, `of` reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from . import accounts, lights
from .extensions import db
from .models import FINISHED, Account, ConnectionAttempt, Grant, Workspace
from .providers import provider as provider_of
from .providers.base import Revoke
from .times import exact

LOOKED_THROUGH = 200

@dataclass(frozen=True)
class Line:
    """One permission and what it is for."""

    name: str
    purpose: str


@dataclass(frozen=True)
class Who:
    """One profile that was connected."""

    id: str  # ours
    name: str
    handle: str
    kind: str


@dataclass(frozen=True)
class Receipt:
    """What one person agreed to on one day. Instants are UTC; `zone` is the workspace's."""

    number: str
    platform: str
    workspace: str
    zone: str
    at: datetime
    by: str  # who confirmed it here
    person: str  # who signed in at the platform, as it names them; "" where it does not
    is_sandbox: bool
    profiles: tuple[Who, ...]
    granted: tuple[Line, ...] | None  # None: the platform did not tell
    declined: tuple[Line, ...]
    ends_at: datetime | None  # when access ends unless someone acts
    renews_itself: bool
    lasts: tuple[str, ...]  # the platform's rules, in whole sentences
    revoke_here: str
    revoke_there: str
    revoke_url: str = ""

    @property
    def reconnect(self) -> str:
        """Whether and by when the person has to come back, as a sentence."""
        if self.ends_at is None:
            return ("It has no end date, and the console keeps it alive by itself. You need not come back unless it is "
                    "taken back.")
        when = exact(self.ends_at, self.zone)
        if self.renews_itself:
            return f"The console renews it by itself. It ends only if that fails until {when}."
        return f"Reconnect before {when}: only the person who gave it can renew it."


def keep(found: ConnectionAttempt, grant: Grant, saved: Sequence[Account], person: str, by: str,
         now: datetime) -> None:
    """Note on an attempt what is agreed to as it is confirmed. Inside `writing()`."""
    first = saved[0]
    ends = accounts.token_ends(first)
    found.receipt = {
        "at": now.isoformat(), "by": by, "person": person, "asked": list(lights.names_of(grant.scopes_asked)),
        "granted": list(grant.scopes_granted) if grant.scopes_granted is not None else None,
        "ends": ends.isoformat() if ends else None, "renews": accounts.renews_itself(first),
        "profiles": [{"id": one.id, "name": one.display_name or one.username, "handle": one.username, "kind": one.kind}
                     for one in saved]}


def find(workspace: Workspace, attempt_id: str) -> ConnectionAttempt | None:
    """An attempt of this workspace."""
    return db.session.scalar(select(ConnectionAttempt).where(
        ConnectionAttempt.workspace_id == workspace.id, ConnectionAttempt.id == attempt_id))


def newest(workspace: Workspace, platform: str, account_id: str) -> ConnectionAttempt | None:
    """The newest attempt whose receipt names an account; only the last ones of the workspace are looked through."""
    rows = db.session.execute(
        select(ConnectionAttempt.id, ConnectionAttempt.result_ids)
        .where(ConnectionAttempt.workspace_id == workspace.id, ConnectionAttempt.platform == platform,
               ConnectionAttempt.state == FINISHED)
        .order_by(ConnectionAttempt.id.desc()).limit(LOOKED_THROUGH)).all()
    found = next((one for one, accounts_of in rows if account_id in accounts_of), None)
    made = db.session.get(ConnectionAttempt, found) if found else None
    return made if made is not None and made.receipt else None


def of(found: ConnectionAttempt) -> Receipt | None:
    """The receipt of an attempt; None for one that was not confirmed, or before receipts were kept."""
    noted: dict[str, Any] = found.receipt or {}
    if found.state != FINISHED or not noted:
        return None
    provider, mode = provider_of(found.platform), found.app.mode
    known = lights.purposes(provider, mode)

    def lines(names: Sequence[str]) -> tuple[Line, ...]:
        return tuple(Line(name, known[name].purpose if name in known else lights.UNNAMED) for name in names)

    granted: list[str] | None = noted["granted"]
    declined = [] if granted is None else [name for name in noted["asked"] if name not in granted]
    where = f"{provider.revoke_where}." if provider.revoke_where else ""
    return Receipt(
        found.id, provider.name, found.workspace.name, found.workspace.time_zone, _instant(noted["at"]), noted["by"],
        noted["person"], found.app.is_sandbox, tuple(Who(**one) for one in noted["profiles"]),
        None if granted is None else lines(granted), lines(declined), _maybe(noted["ends"]), noted["renews"],
        provider.lifetimes, _here(provider.name, provider.revoke_kind_of(mode)), where,
        provider.revoke_url)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return _instant(text) if text else None


def _here(platform: str, kind: Revoke) -> str:
    """How to end it in this console, and what that reaches."""
    here = "Social Profile, the profile, Disconnect: our tokens are erased at once"
    if kind is Revoke.NOT_OFFERED:
        return f"{here}. {platform} offers no way to take the permission back from here, so remove it there too."
    return f"{here}, and {platform} is asked to take the permission back."


# ---------------------------------------------------------------- as a text


def text(receipt: Receipt) -> str:
    """The receipt as plain text, for a file or a mail."""
    return "\n".join(_lines(receipt)) + "\n"


def file_name(receipt: Receipt) -> str:
    """What the file is called when it is kept."""
    return f"receipt-{receipt.number}.txt"


def _lines(receipt: Receipt) -> list[str]:
    signed_in = f"Signed in at {receipt.platform} as: {receipt.person}" if receipt.person else ""
    head = [f"Receipt: {receipt.platform} connected to {receipt.workspace}", "", f"Number: {receipt.number}",
            f"When: {exact(receipt.at, receipt.zone)}", f"Confirmed by: {receipt.by}",
            *([signed_in] if signed_in else []),
            *(["This is the sandbox: an imitation, nothing is posted in public."] if receipt.is_sandbox else [])]
    profiles = ["", "Profiles", *(f"- {who.name}{f' (@{who.handle})' if who.handle else ''}"
                                  f"{f', {who.kind}' if who.kind else ''}, here {who.id}" for who in receipt.profiles)]
    if receipt.granted is None:
        granted = ["", f"{receipt.platform} does not tell which permissions were granted."]
    else:
        granted = ["", "Permissions granted", *_listed(receipt.granted)]
    declined = ["", "Permissions declined", *_listed(receipt.declined)] if receipt.declined else []
    ends = ["", "How long it lasts", receipt.reconnect, *receipt.lasts, "", "How to end it",
            f"Here: {receipt.revoke_here}"]
    there = f"At {receipt.platform}: {receipt.revoke_there} {receipt.revoke_url}".strip()
    return [*head, *profiles, *granted, *declined, *ends, *([there] if receipt.revoke_there else [])]


def _listed(lines: Sequence[Line]) -> list[str]:
    return [f"- {line.name}: {line.purpose}" for line in lines] or ["- none"]
