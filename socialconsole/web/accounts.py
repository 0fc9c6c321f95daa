"""Social Profile: the cards of a workspace, the details of one profile, and pausing or disconnecting it."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from .. import accounts, connections, disconnections, outside
from ..access import requires
from ..extensions import db
from ..models import ACTIVE, DISCONNECTED, HELD, PAUSED, SCHEDULED, Account, Delivery
from ..providers import provider as provider_of
from . import words
from .page import done, show

bp = Blueprint("accounts", __name__, url_prefix="/w/<workspace_id>/profiles")

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


@dataclass(frozen=True)
class Banner:
    """The one banner: how many profiles wait for a person, the first of them, and what waits with them."""

    cards: list[Card]
    waiting: int
    next_due: datetime | None


# ---------------------------------------------------------------- the list


@bp.get("")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """All profiles of the workspace, those that need a person first."""
    return _list(request.args.get("filter", "all"))


def _list(wanted: str, status: int = 200, problem: str = "") -> ResponseReturnValue:
    if wanted not in dict(FILTERS):
        abort(404)
    cards = _cards()
    kinds = {"all": cards, "needs": [card for card in cards if card.status.word in words.NEEDS_A_PERSON],
             "disconnected": [card for card in cards if card.account.state == DISCONNECTED]}
    return show("profiles.html", None, status, cards=kinds[wanted], filter=wanted, filters=FILTERS, kinds=kinds,
                banner=_banner(cards), offers=connections.offers(g.workspace), provider_of=provider_of, words=words,
                problem=problem)


def _cards() -> list[Card]:
    found = accounts.accounts(g.workspace)
    waits = _waiting([account.id for account in found])
    now = outside.now()
    cards = [_card(account, now, waits.get(account.id, 0)) for account in found]
    order = {word: place for place, word in enumerate(words.STATUS_ORDER)}
    return sorted(cards, key=lambda card: order[card.status.word])


def _card(account: Account, now: datetime, waiting: int) -> Card:
    status, renews_at = accounts.status(account, now), accounts.next_renewal(account)
    why = status.reason or words.ACCOUNT_REASONS.get(status.word, "")
    if status.word == "active":
        why = "" if renews_at or status.until else words.NEVER_ENDS
        if account.grant is not None and not account.grant.app.is_on:
            why = words.SWITCHED_OFF.format(platform=provider_of(account.platform).name)
            renews_at, status = None, replace(status, until=None)
    elif waiting and status.word in ("token_expired", "limited", "paused"):
        why += f" {words.posts_wait(waiting)}"
    return Card(account, status, accounts.abilities(account), why, waiting, renews_at)


def _waiting(ids: list[str]) -> dict[str, int]:
    """How many deliveries wait, by account."""
    rows = db.session.execute(
        select(Delivery.account_id, func.count())
        .where(Delivery.workspace_id == g.workspace.id, Delivery.account_id.in_(ids),
               Delivery.state.in_((SCHEDULED, HELD)))
        .group_by(Delivery.account_id))
    return {account_id: number for account_id, number in rows}


def _banner(cards: list[Card]) -> Banner | None:
    urgent = [card for card in cards if card.status.word in words.NEEDS_A_PERSON]
    if not urgent:
        return None
    # the earliest post among what waits for them, so that the banner can say by when
    next_due = db.session.scalar(
        select(func.min(Delivery.scheduled_for))
        .where(Delivery.workspace_id == g.workspace.id, Delivery.state.in_((SCHEDULED, HELD)),
               Delivery.account_id.in_([card.account.id for card in urgent])))
    return Banner(urgent, sum(card.waiting for card in urgent), next_due)


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
        "connected": found.state != DISCONNECTED, **more}


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
    return _done(found, f"{found.display_name} is disconnected and our tokens are erased. {said}")


def _done(found: Account, said: str) -> ResponseReturnValue:
    back = url_for(".account", workspace_id=g.workspace.id, account_id=found.id)
    return done("account.html", None, back, said, **_details(found))


def _moved_on(found: Account, why: str) -> ResponseReturnValue:
    """The profile as it is now, saying why the wish came too late."""
    return show("account.html", None, 409, **_details(found, problem=why))
