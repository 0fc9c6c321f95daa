"""Posts and one Post: what became of what was written, and what a person may decide about it.

Every action is a plain form; a page whose deliveries still move polls itself and stops once they rest.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import decisions, drafts, media, outside, posts, series, times
from ..access import requires
from ..models import FAILED, HELD, MISSED, SCHEDULED, Delivery, Post
from ..posts import Invalid, NotPossible
from ..providers import provider as provider_of
from ..providers.content import COMMENT
from . import words
from .page import done, invalid, show

bp = Blueprint("posts", __name__, url_prefix="/w/<workspace_id>")

FILTERS = (("all", "All"), ("needs", "Needs you"), ("scheduled", "Scheduled"), ("published", "Published"))
PAGE = 30
SOON = timedelta(minutes=2)
STOPPABLE = (SCHEDULED, HELD, FAILED, MISSED)


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
    return _act(post_id, lambda found: decisions.cancel(found, g.user), "Cancelled. What is already published stays.")


def _one(found: Post) -> dict[str, Any]:
    steps = sorted(((event, delivery) for delivery in found.deliveries for event in delivery.log),
                   key=lambda pair: (pair[0].at, pair[0].id), reverse=True)
    content = drafts.load(found.text, found.content)
    repeats = series.of_post(g.workspace, found)
    shown = {one.id: one for one in media.still_there(g.workspace, list(content.all_media))}
    return {
        "post": found, "steps": steps, "content": content, "shown": shown, "every": _pace([found]), "words": words,
        "provider_of": provider_of, "format_label": _format_label, "further": _further, "chosen": _chosen,
        "action": None, "problem": "", "time_note": posts.time_note(found),
        "series": repeats, "rule": series.rule_of(repeats) if repeats else "",
        "can_cancel": sum(one.state in STOPPABLE for one in found.deliveries) > 1,
        "actions": {one.id: _actions(one) for one in found.deliveries},
    }


def _further(delivery: Delivery) -> list[tuple[str, dict[str, str]]]:
    """What is out besides the post itself: the further parts of a chain, the first comment."""
    content = drafts.load(delivery.post.text, delivery.post.content)
    kinds = [kind for kind, _ in drafts.parts_of(content, delivery.account, delivery.format)]
    return [("First comment" if number < len(kinds) and kinds[number] == COMMENT else f"Part {number + 1}", part)
            for number, part in enumerate(delivery.parts) if number]


def _chosen(delivery: Delivery) -> list[tuple[str, str]]:
    """The platform's own choices that a delivery carries, in words."""
    fields = {one.name: one for one in provider_of(delivery.account.platform).fields}
    return [(fields[name].label,
             "yes" if fields[name].kind == "check" else dict(fields[name].choices).get(value, value))
            for name, value in delivery.options.items() if name in fields and fields[name].kind != "file"]


def _format_label(delivery: Delivery) -> str:
    """What kind of post a delivery is, in the platform's words."""
    provider = provider_of(delivery.account.platform)
    return next((one.label for one in provider.formats if one.slug == delivery.format), delivery.format)


def _actions(delivery: Delivery) -> tuple[words.Action, ...]:
    """What a person may do to a delivery; deleting only where the platform lets us, and once."""
    deletable = delivery.deleted_at is None and bool(delivery.parts) and decisions.can_delete(delivery.account)
    return tuple(one for one in words.actions(delivery) if one is not words.DELETE or deletable)


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
    words.RETRY.slug: lambda delivery: decisions.retry(delivery, g.user),
    words.CANCEL.slug: lambda delivery: decisions.cancel_delivery(delivery, g.user),
    words.RESCHEDULE.slug: lambda delivery: decisions.reschedule(
        delivery, g.user, request.form.get("wall_time", "")),
    words.CHECK_AGAIN.slug: lambda delivery: decisions.check_again(delivery, g.user),
    words.MARK_PUBLISHED.slug: lambda delivery: decisions.mark_published(delivery, g.user),
    words.PUBLISH_AGAIN.slug: lambda delivery: decisions.publish_again(delivery, g.user),
    words.DELETE.slug: lambda delivery: decisions.delete_published(delivery, g.user),
}


@bp.get("/posts/<post_id>/<delivery_id>/<action>")
@requires("compose")
def ask(workspace_id: str, post_id: str, delivery_id: str, action: str) -> ResponseReturnValue:
    """The question before an action that needs one."""
    delivery, wanted = _delivery(post_id, delivery_id), words.BY_SLUG.get(action)
    if wanted is None or not wanted.asks:
        abort(404)
    if wanted not in _actions(delivery):
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
        return next_hour()
    return f"{times.local(delivery.scheduled_for, g.workspace.time_zone):%Y-%m-%dT%H:%M}"


def next_hour() -> str:
    """The full hour after the next minute, as a form proposes it."""
    there = times.local(outside.now(), g.workspace.time_zone) + timedelta(hours=1)
    return f"{there:%Y-%m-%dT%H}:00"


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
