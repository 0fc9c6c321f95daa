"""Webhooks: where a workspace wants to be told of what happens in it, and what there is to tell.

An event is a row, written in the commit of what it tells of, with one delivery for each endpoint that chose its kind.
Where nobody asked for it nothing is written, and asking costs no more than one look in a second for each process.
"""

import base64
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import abort, current_app
from sqlalchemy import select, update
from standardwebhooks.webhooks import Webhook

from . import audit, public_ids
from .database import add_rows, alone, took, writing
from .extensions import db
from .models import User, Workspace, new_id
from .models_api import WAITING, WebhookDelivery, WebhookEndpoint, WebhookEvent
from .outside import now as present
from .vault import Unreadable, Vault

START, SECRET_BYTES = "whsec_", 32
OLD_SIGNS_FOR = timedelta(hours=24)
MOST_ENDPOINTS, LONGEST_URL, LONGEST_DESCRIPTION = 20, 2000, 200
LOOK_EVERY = 1.0  # seconds for which a process believes to know which workspaces want to be told

PING = "ping"
KINDS: Mapping[str, str] = {
    "post.published": "A post is out on a profile",
    "post.failed": "A post was not published, or its time passed",
    "delivery.unconfirmed": "Nobody knows whether a post is out",
    "account.connected": "A profile was connected",
    "account.token_expired": "A profile has to be reconnected",
    "account.recovered": "A profile works again",
    "account.expiring": "The permission of a profile ends soon",
    "posts.at_risk": "Planned posts will not go out as things are",
    "platform.degraded": "A platform is out of order",
}


class Invalid(ValueError):
    """What was asked for cannot be; `errors` has a sentence per field (url, description, events)."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class Fact:
    """Something to tell a workspace of. `data`: ids as programs see them, states, reasons; never a token.

    `once`: what it is told once of, however often it is found.
    """

    workspace_id: str
    kind: str
    data: Mapping[str, Any]
    once: str | None = None


# ---------------------------------------------------------------- endpoints


def create(workspace: Workspace, user: User, url: str, events: Sequence[str], description: str,
           now: datetime) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and, this once, its secret. Raises Invalid."""
    url, description = url.strip(), " ".join(description.split())
    wanted = _checked(url, events, description)
    made = WebhookEndpoint(id=new_id("whk"), workspace_id=workspace.id, url=url, description=description,
                           events=wanted, created_at=now, created_by=user.shown[:254])
    secret = _new_secret()
    made.secret_sealed = _vault().seal(secret, *_record("secret", made))
    with writing() as session:
        alone("webhooks", workspace.id)
        _leave_room(workspace)
        session.add(made)
        session.flush()
        _note("created", made, f"Added the webhook to {host(made)}")
    _forget()
    return made, secret


def change(endpoint: WebhookEndpoint, url: str, events: Sequence[str], description: str) -> None:
    """Give an endpoint another address, other events or another description. Raises Invalid."""
    url, description = url.strip(), " ".join(description.split())
    wanted = _checked(url, events, description)
    with writing() as session:
        session.refresh(endpoint)
        endpoint.url, endpoint.description, endpoint.events = url, description, wanted
        _note("changed", endpoint, f"Changed the webhook to {host(endpoint)}")
    _forget()


def disable(endpoint: WebhookEndpoint, why: str, now: datetime) -> bool:
    """Send nothing more to an endpoint. False if it was disabled already."""
    with writing():
        is_mine = took(update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id,
                                                     WebhookEndpoint.disabled_at.is_(None))
                       .values(disabled_at=now, disabled_why=why))
        if is_mine:
            _note("disabled", endpoint, f"The webhook to {host(endpoint)} was disabled: {why}")
    db.session.refresh(endpoint)
    _forget()
    return is_mine


def enable(endpoint: WebhookEndpoint) -> bool:
    """Send to an endpoint again what happens from now on. False if it was enabled already."""
    with writing():
        is_mine = took(update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id,
                                                     WebhookEndpoint.disabled_at.is_not(None))
                       .values(disabled_at=None, disabled_why="", failing_since=None))
        if is_mine:
            _note("enabled", endpoint, f"Enabled the webhook to {host(endpoint)}")
    db.session.refresh(endpoint)
    _forget()
    return is_mine


def delete(endpoint: WebhookEndpoint) -> None:
    """Remove an endpoint with its log."""
    with writing() as session:
        _note("deleted", endpoint, f"Deleted the webhook to {host(endpoint)}")
        session.delete(endpoint)
    _forget()


def rotate(endpoint: WebhookEndpoint, now: datetime) -> str:
    """A new secret, shown this once. For a day the one before it signs as well."""
    secret = _new_secret()
    with writing() as session:
        session.refresh(endpoint, with_for_update=True)
        before = _open("secret", endpoint, endpoint.secret_sealed)
        endpoint.old_secret_sealed = _vault().seal(before, *_record("old_secret", endpoint)) if before else None
        endpoint.old_secret_until = now + OLD_SIGNS_FOR if before else None
        endpoint.secret_sealed = _vault().seal(secret, *_record("secret", endpoint))
        _note("secret_rotated", endpoint, f"Made a new secret for the webhook to {host(endpoint)}")
    return secret


def one(workspace: Workspace, endpoint_id: str) -> WebhookEndpoint:
    """An endpoint of this workspace; 404 for any other id."""
    found = db.session.get(WebhookEndpoint, endpoint_id)
    if found is None or found.workspace_id != workspace.id:
        abort(404)
    return found


def listed(workspace: Workspace) -> list[WebhookEndpoint]:
    """The endpoints of a workspace, the newest first."""
    return list(db.session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.workspace_id == workspace.id)
                                   .order_by(WebhookEndpoint.id.desc())))


def host(endpoint: WebhookEndpoint) -> str:
    """The server of an endpoint. Its whole address may hold a secret of the receiver, so that logs name this."""
    return urlsplit(endpoint.url).hostname or ""


def _checked(url: str, events: Sequence[str], description: str) -> list[str]:
    """The chosen kinds in their usual order. Raises Invalid."""
    errors = {}
    if problem := _url_problem(url):
        errors["url"] = problem
    if len(description) > LONGEST_DESCRIPTION or not description.isprintable():
        errors["description"] = f"Describe it in up to {LONGEST_DESCRIPTION} ordinary characters."
    if not events or any(kind not in KINDS for kind in events):
        errors["events"] = "Choose at least one of these events."
    if errors:
        raise Invalid(errors)
    return [kind for kind in KINDS if kind in events]


def _url_problem(url: str) -> str:
    """Why this cannot be an address to send to; where it leads is looked at whenever something is sent."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or len(url) > LONGEST_URL or any(ord(sign) < 33 or ord(sign) == 127 for sign in url):
        return "Give the whole address that is to be called, beginning with https://."
    if parts.username is not None or parts.password is not None:
        return "This address holds a user name or password. Use one without: each message is signed."
    return ""


def _leave_room(workspace: Workspace) -> None:
    held = db.session.scalars(select(WebhookEndpoint.id).where(WebhookEndpoint.workspace_id == workspace.id)
                              .limit(MOST_ENDPOINTS)).all()
    if len(held) >= MOST_ENDPOINTS:
        raise Invalid({"url": f"This workspace has {MOST_ENDPOINTS} webhooks already. Delete one first."})


def _note(what: str, endpoint: WebhookEndpoint, words: str) -> None:
    audit.record(f"webhook.{what}", "webhook_endpoint", endpoint.id, words, workspace_id=endpoint.workspace_id,
                 name=endpoint.description or host(endpoint))


# ---------------------------------------------------------------- signing


def headers(endpoint: WebhookEndpoint, event_id: str, body: str, now: datetime) -> dict[str, str]:
    """What is sent beside a body (Standard Webhooks): its id, when, and a signature for each secret that holds.

    Raises Unreadable if the keys of this server do not open the secret.
    """
    found = [_open("secret", endpoint, endpoint.secret_sealed)]
    if endpoint.old_secret_until is not None and now < endpoint.old_secret_until:
        found.append(_open("old_secret", endpoint, endpoint.old_secret_sealed))
    signatures = [Webhook(secret).sign(event_id, now.astimezone(UTC), body) for secret in found if secret]
    if not signatures:
        raise Unreadable("this endpoint has no secret")
    return {"webhook-id": event_id, "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures)}


def body(event: WebhookEvent) -> str:
    """An event as it is sent, the same text each time."""
    return json.dumps(event.payload, separators=(",", ":"), sort_keys=True)


def _new_secret() -> str:
    return START + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _record(column: str, endpoint: WebhookEndpoint) -> tuple[str, ...]:
    """The identity that a sealed secret is bound to."""
    return (column, "webhook_endpoint", endpoint.workspace_id, endpoint.id)


def _open(column: str, endpoint: WebhookEndpoint, sealed: bytes | None) -> str:
    return _vault().open(sealed, *_record(column, endpoint)) if sealed else ""


def _vault() -> Vault:
    vault: Vault = current_app.extensions["vault"]
    return vault


# ---------------------------------------------------------------- telling


def tell(workspace_id: str, kind: str, data: Mapping[str, Any], once: str | None = None) -> None:
    """Write down an event for the endpoints that chose its kind, due at once; inside `writing()`."""
    tell_many([Fact(workspace_id, kind, data, once)])


def tell_many(facts: Iterable[Fact]) -> None:
    """As `tell`, for many at once; inside `writing()`. Nothing is written where nobody asked for it."""
    wanting = _wanting()
    wanted = [fact for fact in facts if fact.workspace_id in wanting]
    if not wanted:
        return
    places: dict[str, list[WebhookEndpoint]] = {}
    for endpoint in db.session.scalars(select(WebhookEndpoint).where(
            WebhookEndpoint.workspace_id.in_({fact.workspace_id for fact in wanted}),
            WebhookEndpoint.disabled_at.is_(None))):
        places.setdefault(endpoint.workspace_id, []).append(endpoint)
    now, events, on_the_way = present(), [], []
    for fact in wanted:
        takers = [one for one in places.get(fact.workspace_id, []) if fact.kind in one.events]
        if not takers or _is_told(fact):
            continue
        event_id = new_id("whe")
        events.append({"id": event_id, "workspace_id": fact.workspace_id, "kind": fact.kind, "once": fact.once,
                       "payload": _payload(fact, now), "at": now})
        on_the_way += [delivery_row(one, event_id, now) for one in takers]
        if fact.once is not None:  # the next of these facts may be the same
            _save(events, on_the_way)
            events, on_the_way = [], []
    _save(events, on_the_way)


def _save(events: Sequence[Mapping[str, Any]], on_the_way: Sequence[Mapping[str, Any]]) -> None:
    add_rows(WebhookEvent, events)
    add_rows(WebhookDelivery, on_the_way)


def delivery_row(endpoint: WebhookEndpoint, event_id: str, now: datetime) -> dict[str, Any]:
    """The columns of a delivery that is due at once."""
    return {"id": new_id("whd"), "endpoint_id": endpoint.id, "event_id": event_id, "state": WAITING, "attempts": 0,
            "created_at": now, "due_at": now, "lease_until": None, "fence": 0, "status": 0, "error": "",
            "done_at": None}


def _payload(fact: Fact, now: datetime) -> dict[str, Any]:
    return {"type": fact.kind, "timestamp": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {"workspaceId": public_ids.public(fact.workspace_id), **fact.data}}


def _is_told(fact: Fact) -> bool:
    if fact.once is None:
        return False
    alone("webhook events", fact.workspace_id)  # two that find it at once would both write it
    return db.session.scalar(select(WebhookEvent.id).where(
        WebhookEvent.workspace_id == fact.workspace_id, WebhookEvent.once == fact.once)) is not None


def _wanting() -> frozenset[str]:
    """The workspaces that have an endpoint which is enabled, as they were a second ago at most."""
    kept: tuple[float, frozenset[str]] | None = current_app.extensions.get("webhooks_wanting")
    if kept is not None and time.monotonic() - kept[0] < LOOK_EVERY:
        return kept[1]
    found = frozenset(db.session.scalars(select(WebhookEndpoint.workspace_id).where(
        WebhookEndpoint.disabled_at.is_(None)).distinct()))
    current_app.extensions["webhooks_wanting"] = (time.monotonic(), found)
    return found


def _forget() -> None:
    """This process knows at once what it changed itself."""
    current_app.extensions.pop("webhooks_wanting", None)
