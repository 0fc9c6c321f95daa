"""Social Profile: the cards of a workspace, the details of one profile, and pausing or disconnecting it."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from .. import (
    accounts,
    connections,
    diagnosis,
    disconnections,
    explanations,
    lights,
    outside,
    platform_apps,
    workspaces,
)
from ..access import requires
from ..extensions import db
from ..models import (
    ACTIVE,
    DISCONNECTED,
    HELD,
    PAUSED,
    SCHEDULED,
    TOKEN_EXPIRED,
    Account,
    ConnectionAttempt,
    Delivery,
)
from ..providers import provider as provider_of
from . import words
from .fixes import explained
from .frame import outlines
from .page import done, show
from .receipts import last_of

bp = Blueprint("accounts", __name__, url_prefix="/w/<workspace_id>/profiles")

ON_A_PAGE = 18
NAMED = 3  # profiles that the banner calls by name
FILTERS = (("all", "All"), ("needs", "Needs you"), ("disconnected", "Disconnected"))


@dataclass(frozen=True)
class Card:
    """One profile as the list shows it."""

    account: Account
    status: accounts.Status
    abilities: list[accounts.Ability]
    why: str
    waiting: int = 0
    renews_at: datetime | None = None
    told: explanations.Explanation | None = None  # why it stopped working
    off: list[lights.Light] = field(default_factory=list)  # what its person could turn on

    @property
    def ask(self) -> list[str]:
        """The permissions that would turn on what is off, where the person can give them."""
        return list(dict.fromkeys(scope for light in self.off for scope in light.ask))


@dataclass(frozen=True)
class Banner:
    """The one banner: how many profiles wait for a person, the first of them, and what waits with them."""

    cards: list[Card]  # the most urgent ones
    count: int
    waiting: int
    next_due: datetime | None


# ---------------------------------------------------------------- the list


@bp.get("")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The profiles of the workspace, those that need a person first, 18 on a page."""
    wanted, search = request.args.get("filter", "all"), request.args.get("q", "").strip()
    if wanted not in dict(FILTERS):
        abort(404)
    now = outside.now()
    lines = _in_order(outlines(g.workspace), now)
    some = [one for one in lines if one.state in (ACTIVE, TOKEN_EXPIRED)]  # of the others none needs a person
    kinds = {"all": lines, "needs": [one for one in some if one.word(now) in accounts.NEEDS_PERSON],
             "disconnected": [one for one in lines if one.state == DISCONNECTED]}
    found = [one for one in kinds[wanted] if _matches(one, search)]
    page = Page.of(found, request.args.get("page", 1, type=int))
    return show("profiles.html", cards=_cards(page.ids, now), filter=wanted, filters=FILTERS, search=search, page=page,
                counts={slug: len(group) for slug, group in kinds.items()}, banner=_banner(kinds["needs"], now),
                offers=connections.offers(g.workspace), provider_of=provider_of, words=words,
                room=workspaces.room(g.workspace), unanswered=_unanswered())


def _unanswered() -> list[tuple[ConnectionAttempt, list[tuple[str, explanations.Explanation]]]]:
    """Connections of this person that never came back, each with what the platform's own pages may have shown."""
    return [(one, explanations.silent(one.platform)) for one in connections.unanswered(g.workspace, g.user)]


@dataclass(frozen=True)
class Page:
    """Some of many lines, and where they stand."""

    ids: list[str]
    number: int
    first: int
    total: int

    @classmethod
    def of(cls, found: list[accounts.Outline], number: int) -> "Page":
        """The page of that number, or the nearest there is."""
        last = max(1, -(-len(found) // ON_A_PAGE))
        number = min(max(number, 1), last)
        start = (number - 1) * ON_A_PAGE
        return cls([one.id for one in found[start : start + ON_A_PAGE]], number, start + 1, len(found))

    @property
    def last(self) -> int:
        """The number of its last line."""
        return self.first + len(self.ids) - 1


def _in_order(lines: list[accounts.Outline], now: datetime) -> list[accounts.Outline]:
    order = {word: place for place, word in enumerate(words.STATUS_ORDER)}
    return sorted(lines, key=lambda one: order[one.word(now)])


def _matches(line: accounts.Outline, search: str) -> bool:
    text = f"{line.display_name} {line.username} {line.kind} {provider_of(line.platform).name}".casefold()
    return all(word in text for word in search.casefold().split())


def _cards(ids: list[str], now: datetime) -> list[Card]:
    waits = _waiting(ids)
    return [_card(account, now, waits.get(account.id, 0)) for account in accounts.some(g.workspace, ids)]


def _card(account: Account, now: datetime, waiting: int) -> Card:
    status, renews_at = accounts.status(account, now), accounts.next_renewal(account)
    why = status.reason or words.ACCOUNT_REASONS.get(status.word, "")
    if status.word == "active":
        why = "" if renews_at or status.until else words.NEVER_ENDS
        if account.grant is not None and not account.grant.app.is_on:
            why = f"{platform_apps.why_off(account.grant.app, g.workspace.time_zone)} {words.SWITCHED_OFF}"
            renews_at, status = None, replace(status, until=None)
    elif waiting and status.word in ("token_expired", "limited", "paused"):
        why += f" {words.posts_wait(waiting)}"
    told = explanations.of_account(account) if status.word == "token_expired" else None
    return Card(account, status, accounts.abilities(account), why, waiting, renews_at, told,
                lights.summary(account))


def _waiting(ids: list[str]) -> dict[str, int]:
    """How many deliveries wait, by account."""
    rows = db.session.execute(
        select(Delivery.account_id, func.count())
        .where(Delivery.workspace_id == g.workspace.id, Delivery.account_id.in_(ids),
               Delivery.state.in_((SCHEDULED, HELD)))
        .group_by(Delivery.account_id))
    return {account_id: number for account_id, number in rows}


def _banner(urgent: list[accounts.Outline], now: datetime) -> Banner | None:
    if not urgent:
        return None
    ids = [one.id for one in urgent]
    # the earliest post among what waits for them, so that the banner can say by when
    waiting, next_due = db.session.execute(
        select(func.count(), func.min(Delivery.scheduled_for))
        .where(Delivery.workspace_id == g.workspace.id, Delivery.state.in_((SCHEDULED, HELD)),
               Delivery.account_id.in_(ids))).one()
    cards = [_card(account, now, 0) for account in accounts.some(g.workspace, ids[:NAMED])]
    return Banner(cards, len(urgent), waiting, next_due)


# ---------------------------------------------------------------- one profile


@bp.get("/<account_id>")
@requires("see")
def account(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Everything about one profile: permissions, access, history, posts, and how to end it."""
    return show("account.html", **_details(accounts.account(g.workspace, account_id)))


def _details(found: Account, **more: Any) -> dict[str, Any]:
    now = outside.now()
    loss = disconnections.what_disconnect_loses(found)
    return {
        "account": found, "card": _card(found, now, loss.waiting), "provider": provider_of(found.platform),
        "notice": accounts.notice(found, now), "scopes": accounts.scopes(found),
        "token_ends": accounts.token_ends(found),
        "next_renewal": accounts.next_renewal(found), "history": accounts.history(found),
        "recent": accounts.recent(found), "reconnectable": connections.reconnectable(found), "words": words,
        "meta": json.dumps(found.meta, indent=2, ensure_ascii=False), "loss": loss, "asking": False, "problem": "",
        "connected": found.state != DISCONNECTED, **_permissions(found), **more}


def _permissions(found: Account) -> dict[str, Any]:
    """What the profile may do and why not, what was agreed to, and what became of it at the platform."""
    shown = lights.grouped(lights.lights(found))
    return {
        "lights": shown, "happens": {one.slug: lights.what_happens(found, one) for one in shown if one.ask},
        "since": {one.name: lights.since(found.grant, one.name) for one in accounts.scopes(found)}
        if found.grant is not None else {},
        "off": platform_apps.why_off(found.grant.app, g.workspace.time_zone)
        if found.grant is not None and found.state != DISCONNECTED and not found.grant.app.is_on else "",
        "receipt_id": last_of(found.id, found.platform),
        "revocation": disconnections.revocation(found) if found.state == DISCONNECTED else None}


@bp.get("/<account_id>/why")
@requires("see")
def why(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Whether anything keeps a profile from publishing, and what helps."""
    found = accounts.account(g.workspace, account_id)
    return show("account.html", **_details(found, **explained(diagnosis.why(g.workspace, found), found)))


@bp.get("/<account_id>/avatar")
@requires("see")
def avatar(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """The picture as the daily reading stored it, so that no page loads anything from a platform."""
    found = accounts.account(g.workspace, account_id)
    if not found.avatar or found.avatar_type not in words.PICTURE_TYPES:
        abort(404)
    return found.avatar, {"Content-Type": found.avatar_type, "Cache-Control": "private, max-age=3600",
                          "Content-Disposition": "inline"}


@bp.post("/<account_id>/pause")
@requires("manage")
def pause(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Stop publishing; pausing twice is the same as once."""
    found = accounts.account(g.workspace, account_id)
    if found.state not in (ACTIVE, PAUSED):
        return _moved_on(found, words.CANNOT_PAUSE)
    disconnections.pause(found, g.user)
    return _done(found, f"{found.display_name} is paused. Nothing is published until you resume it.")


@bp.post("/<account_id>/resume")
@requires("manage")
def resume(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Publish again; resuming twice is the same as once."""
    found = accounts.account(g.workspace, account_id)
    if found.state not in (ACTIVE, PAUSED):
        return _moved_on(found, words.CANNOT_RESUME)
    disconnections.resume(found, g.user)
    return _done(found, f"{found.display_name} publishes again.")


@bp.get("/<account_id>/disconnect")
@requires("manage")
def ask_disconnect(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """The question before a profile is disconnected: what goes, what stays."""
    found = accounts.account(g.workspace, account_id)
    if found.state == DISCONNECTED:
        return _moved_on(found, words.IS_DISCONNECTED)
    return show("account.html", **_details(found, asking=True))


@bp.post("/<account_id>/disconnect")
@requires("manage")
def disconnect(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Disconnect, and say what that achieved at the platform."""
    found = accounts.account(g.workspace, account_id)
    if found.state == DISCONNECTED:
        return _moved_on(found, words.IS_DISCONNECTED)
    said = disconnections.disconnect(found, g.user, cancel_posts=request.form.get("cancel_posts") == "yes")
    return _done(found, f"{found.display_name} is disconnected and our tokens are erased. {said.sentence}")


@bp.post("/<account_id>/removed-there")
@requires("manage")
def removed_there(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Note that a person removed the permission at the platform; saying it twice is the same as once."""
    found = accounts.account(g.workspace, account_id)
    if found.state != DISCONNECTED:
        return _moved_on(found, words.NOT_DISCONNECTED)
    disconnections.removed_there(found, g.user)
    return _done(found, f"Noted: the permission is removed at {provider_of(found.platform).name}.")


def _done(found: Account, said: str) -> ResponseReturnValue:
    back = url_for(".account", workspace_id=g.workspace.id, account_id=found.id)
    return done("account.html", None, back, said, **_details(found))


def _moved_on(found: Account, why: str) -> ResponseReturnValue:
    """The profile as it is now, saying why the wish came too late."""
    return show("account.html", None, 409, **_details(found, problem=why))
