"""Compose, Posts and one Post: what the author types goes to `publishing`, what became of it is shown here.

Every action is a plain form; a page whose deliveries still move polls itself and stops once they rest.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from .. import outside, posts, publishing, times
from ..access import requires
from ..models import FAILED, HELD, MISSED, SCHEDULED, Delivery, Post
from ..posts import Invalid, NotPossible
from ..providers import provider as provider_of
from . import words
from .page import done, invalid, show

bp = Blueprint("posts", __name__, url_prefix="/w/<workspace_id>")

FILTERS = (("all", "All"), ("needs", "Needs you"), ("scheduled", "Scheduled"), ("published", "Published"))
PAGE = 30
SOON = timedelta(minutes=2)
STOPPABLE = (SCHEDULED, HELD, FAILED, MISSED)


# ---------------------------------------------------------------- compose


@bp.get("/compose")
@requires("compose")
def compose(workspace_id: str) -> ResponseReturnValue:
    """The empty form, or one filled from an earlier post (`from`) or for one profile (`account`)."""
    targets = posts.targets(g.workspace)
    earlier = posts.post(g.workspace, request.args["from"]) if request.args.get("from") else None
    chosen = set(request.args.getlist("account"))
    if earlier and not chosen:
        chosen = {delivery.account_id for delivery in earlier.deliveries}
    free = [target.account.id for target in targets if target.selectable]
    if not chosen and len(free) == 1:
        chosen = set(free)
    return show("compose.html", **_form(text=earlier.text if earlier else "", chosen=chosen & set(free)))


@bp.post("/compose")
@requires("compose")
def create(workspace_id: str) -> ResponseReturnValue:
    """Schedule the post, or show the form again with what is wrong and everything that was typed."""
    form = request.form
    try:
        _refuse_idle_time()
        post = posts.schedule(
            g.workspace, g.user, form.get("text", ""), form.getlist("accounts"), when=_when(),
            wall_time=form.get("wall_time", ""), nonce=form.get("nonce", ""), again=form.get("again") == "yes")
    except Invalid as problem:
        return invalid("compose.html", "form", **{**_typed(), "errors": problem.errors})
    return redirect(url_for(".post", workspace_id=workspace_id, post_id=post.id), 303)


@bp.post("/compose/check")
@requires("compose")
def check(workspace_id: str) -> ResponseReturnValue:
    """The checks beside the form while somebody types; without script the whole page, with nothing lost."""
    return show("compose.html", "checks", **_typed())


def _refuse_idle_time() -> None:
    """Somebody who typed a time and left "Now" ticked must not find the post published. Raises Invalid."""
    typed = request.form.get("wall_time", "")
    if _when() == "now" and typed and typed != request.form.get("proposed", typed):
        raise Invalid({"wall_time": "You typed a time, but Now is chosen. Choose “At a time”, or empty this field."})


def _when() -> str:
    return "later" if request.form.get("when") == "later" else "now"


def _typed() -> dict[str, Any]:
    form = request.form
    return _form(text=form.get("text", ""), chosen=set(form.getlist("accounts")), when=_when(),
                 wall_time=form.get("wall_time", ""), nonce=form.get("nonce", ""))


def _form(text: str = "", chosen: set[str] | None = None, when: str = "now", wall_time: str = "",
          nonce: str = "") -> dict[str, Any]:
    """What the form and its checks show."""
    targets = sorted(posts.targets(g.workspace), key=lambda target: not target.selectable)
    accounts = [target.account for target in targets if target.account.id in (chosen or set())]
    return {
        "targets": targets, "chosen": {account.id for account in accounts}, "text": text, "when": when,
        "wall_time": wall_time or _next_hour(), "proposed": request.form.get("proposed") or _next_hour(),
        "nonce": nonce or outside.secret(16), "errors": {},
        "checks": posts.check(text, accounts), "provider_of": provider_of, "words": words,
    }


def _next_hour() -> str:
    there = times.local(outside.now(), g.workspace.time_zone) + timedelta(hours=1)
    return f"{there:%Y-%m-%dT%H}:00"


# ---------------------------------------------------------------- the list and one post


@bp.get("/posts")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The posts of the workspace, newest first, with a live status per profile."""
    wanted = request.args.get("filter", "all")
    if wanted not in dict(FILTERS):
        abort(404)
    before = request.args.get("before") or None
    found = posts.posts(g.workspace, filter=wanted, before=before, limit=PAGE + 1)
    shown, more = found[:PAGE], len(found) > PAGE
    return show("posts.html", "list", posts=shown, filter=wanted, filters=FILTERS, before=before,
                next=shown[-1].id if more else None, needs=posts.needs_count(g.workspace),
                every=_pace(shown), words=words, provider_of=provider_of)


@bp.get("/posts/<post_id>")
@requires("see")
def post(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """One post: a line per profile, what happened, and what can be done."""
    return show("post.html", "status", **_one(posts.post(g.workspace, post_id)))


@bp.post("/posts/<post_id>/cancel")
@requires("compose")
def cancel(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Cancel all of a post that has not gone out."""
    return _act(post_id, lambda found: publishing.cancel(found, g.user), "Cancelled. What is already published stays.")


def _one(found: Post) -> dict[str, Any]:
    steps = sorted(((event, delivery) for delivery in found.deliveries for event in delivery.log),
                   key=lambda pair: (pair[0].at, pair[0].id), reverse=True)
    return {"post": found, "steps": steps, "every": _pace([found]), "words": words, "provider_of": provider_of,
            "can_cancel": sum(one.state in STOPPABLE for one in found.deliveries) > 1, "action": None, "problem": ""}


def _pace(shown: list[Post]) -> str:
    """How often a page looks again: every 2 s while something moves or is due, seldom while it waits, else never."""
    soon = outside.now() + SOON
    if any(_moves(delivery, soon) for found in shown for delivery in found.deliveries):
        return "2s"
    return "" if all(posts.is_final(found) for found in shown) else "30s"


def _moves(delivery: Delivery, soon: datetime) -> bool:
    return delivery.state in words.MOVING or (delivery.due_at is not None and delivery.due_at <= soon)


# ---------------------------------------------------------------- actions on one delivery

Deed = Callable[[Delivery], object]


DEEDS: dict[str, Deed] = {
    words.RETRY.slug: lambda delivery: publishing.retry(delivery, g.user),
    words.CANCEL.slug: lambda delivery: publishing.cancel_delivery(delivery, g.user),
    words.RESCHEDULE.slug: lambda delivery: publishing.reschedule(
        delivery, g.user, request.form.get("wall_time", "")),
    words.CHECK_AGAIN.slug: lambda delivery: publishing.check_again(delivery, g.user),
    words.MARK_PUBLISHED.slug: lambda delivery: publishing.mark_published(delivery, g.user),
    words.PUBLISH_AGAIN.slug: lambda delivery: publishing.publish_again(delivery, g.user),
}


@bp.get("/posts/<post_id>/<delivery_id>/<action>")
@requires("compose")
def ask(workspace_id: str, post_id: str, delivery_id: str, action: str) -> ResponseReturnValue:
    """The question before an action that needs one."""
    delivery, wanted = _delivery(post_id, delivery_id), words.BY_SLUG.get(action)
    if wanted is None or not wanted.asks:
        abort(404)
    if wanted not in words.actions(delivery):
        return _moved_on(delivery.post, "This has changed meanwhile, so the question no longer fits.")
    return show("post.html", **{**_one(delivery.post), **_question(delivery, wanted)})


@bp.post("/posts/<post_id>/<delivery_id>/<action>")
@requires("compose")
def act(workspace_id: str, post_id: str, delivery_id: str, action: str) -> ResponseReturnValue:
    """Do it, if the delivery is still in a state that allows it; else 409 with the present state."""
    delivery = _delivery(post_id, delivery_id)
    deed = DEEDS.get(action)
    if deed is None:
        abort(404)
    said = words.DONE[action].format(
        platform=provider_of(delivery.account.platform).name, account=delivery.account.display_name)
    try:
        return _act(post_id, lambda _: deed(delivery), said)
    except Invalid as problem:
        context = {**_one(delivery.post), **_question(delivery, words.BY_SLUG[action])}
        return invalid("post.html", "question", **{**context, "errors": problem.errors})


def _question(delivery: Delivery, wanted: words.Action) -> dict[str, Any]:
    return {"action": wanted, "delivery": delivery, "errors": {}, "every": "",
            "wall_time": request.form.get("wall_time") or _own_time(delivery)}


def _own_time(delivery: Delivery) -> str:
    """The time a delivery has now, as a form proposes it; the next hour where that has passed."""
    if delivery.scheduled_for <= outside.now():
        return _next_hour()
    return f"{times.local(delivery.scheduled_for, g.workspace.time_zone):%Y-%m-%dT%H:%M}"


def _delivery(post_id: str, delivery_id: str) -> Delivery:
    delivery = posts.delivery(g.workspace, delivery_id)
    if delivery.post_id != post_id:
        abort(404)
    return delivery


def _act(post_id: str, deed: Callable[[Post], object], said: str) -> ResponseReturnValue:
    found = posts.post(g.workspace, post_id)
    try:
        deed(found)
    except NotPossible as problem:
        return _moved_on(found, str(problem))
    back = url_for(".post", workspace_id=g.workspace.id, post_id=post_id)
    # `acted`: the pressed button is gone after the swap, so the focus goes to the heading instead of nowhere.
    return done("post.html", "status", back, said, acted=True, **_one(posts.post(g.workspace, post_id)))


def _moved_on(found: Post, why: str) -> ResponseReturnValue:
    """The page as it is now, saying why the wish came too late."""
    context = _one(posts.post(g.workspace, found.id))
    return show("post.html", "status", 409, **{**context, "problem": why, "acted": True})
