"""Posts and one Post: what became of what was written, and what a person may decide about it.

Every action is a plain form; a page whose deliveries still move asks for itself again and stops once they rest. Where
nothing changed since, the answer to that is 204, without a body.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import decisions, diagnosis, draft_posts, drafts, media, outside, post_lists, posts, rehearsal, series, times
from ..access import requires
from ..checks import Choice
from ..models import DRAFT, FAILED, HELD, MISSED, SCHEDULED, SENT, SUBMITTED, UNCONFIRMED, Delivery, Post
from ..post_lists import Wanted
from ..posts import Invalid, NotPossible
from ..providers import provider as provider_of
from ..providers.content import COMMENT
from . import words
from .fixes import edit_of, explained, fix_of
from .page import done, invalid, moved, show, wants_block

bp = Blueprint("posts", __name__, url_prefix="/w/<workspace_id>")

FILTERS = (("all", "All"), ("needs", "Needs you"), ("scheduled", "Scheduled"), ("published", "Published"),
           ("failed", "Failed"))
SOON, LATER = timedelta(minutes=2), timedelta(minutes=15)
STOPPABLE = (SCHEDULED, HELD, FAILED, MISSED)
TO_EXPLAIN = (SCHEDULED, HELD, FAILED, MISSED, UNCONFIRMED)  # where somebody may ask why it does not go out
TO_REHEARSE = (SCHEDULED, HELD, FAILED, MISSED)
NO_DAY = "Give a day, such as 2026-11-23."


# ---------------------------------------------------------------- the list


@bp.get("/posts")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The posts of the workspace, newest first, with a live status per profile."""
    wanted, errors = _wanted()
    before = request.args.get("before", "")
    page = post_lists.page(g.workspace, wanted, before)
    every = _pace(one for row in page.rows for one in row.deliveries)
    mark = f"{page.mark}{every}"
    if _is_unchanged(mark):
        return "", 204
    return show("posts.html", "list", 422 if errors else 200, **_list(wanted, errors), rows=page.rows, before=before,
                next=page.next, every=every, mark=mark)


def _list(wanted: Wanted, errors: dict[str, str]) -> dict[str, Any]:
    """What the list shows besides its rows. `kept`: what its links carry on."""
    kept = {name: value for name, value in _typed().items() if value}
    whole = {} if wants_block() else {
        "profiles": post_lists.profiles(g.workspace, wanted.account_id), "authors": post_lists.authors(g.workspace)}
    return {"wanted": wanted, "kept": kept, "typed": _typed(), "errors": errors, "filters": FILTERS,
            "needs": post_lists.needs_count(g.workspace), "words": words, "provider_of": provider_of,
            "waits": draft_posts.count(g.workspace, SUBMITTED), "drafts": draft_posts.count(g.workspace, DRAFT),
            "stoppable": STOPPABLE, "found": "", **whole}


def _typed() -> dict[str, str]:
    """What the address asks for, besides the page."""
    names = ("filter", "q", "account", "platform", "author", "from", "to")
    typed = {name: request.args.get(name, "").strip() for name in names}
    return {**typed, "filter": "" if typed["filter"] == "all" else typed["filter"]}


def _wanted() -> tuple[Wanted, dict[str, str]]:
    """What the list shall show, and what is wrong with what was typed. 404 for a filter that does not exist."""
    typed = _typed()
    if typed["filter"] and typed["filter"] not in dict(FILTERS):
        abort(404)
    begin, wrong_from = _day(typed["from"], "from", 0)
    end, wrong_to = _day(typed["to"], "to", 1)
    wanted = Wanted(typed["filter"] or "all", typed["account"], typed["platform"], typed["author"],
                    post_lists.tidy(typed["q"]), begin, end)
    return wanted, {**wrong_from, **wrong_to}


def _day(text: str, name: str, ahead: int) -> tuple[datetime | None, dict[str, str]]:
    """The instant at which a day begins by the clock of the workspace, `ahead` days later."""
    if not text:
        return None, {}
    try:
        wall = times.read_wall(text[:10]) + timedelta(days=ahead)
        return times.moment(wall, g.workspace.time_zone).instant, {}
    except (times.Nonexistent, OverflowError):
        return None, {name: NO_DAY}


def _is_unchanged(mark: str) -> bool:
    """Whether a page that asks again has this already."""
    return wants_block() and request.args.get("seen") == mark


# ---------------------------------------------------------------- several posts


@bp.get("/posts/cancel")
@requires("compose")
def ask_cancel(workspace_id: str) -> ResponseReturnValue:
    """The question before several posts are cancelled."""
    chosen = _chosen_posts(request.args.getlist("post"))
    if not chosen:
        return moved(url_for(".index", workspace_id=workspace_id), words.NONE_CHOSEN)
    stops = {one.id: [delivery for delivery in one.deliveries if delivery.state in STOPPABLE] for one in chosen}
    page = post_lists.page(g.workspace, Wanted())
    return show("posts.html", **_list(Wanted(), {}), rows=page.rows, before="", next=page.next, every="", mark="",
                asked=chosen, stops=stops)


@bp.post("/posts/cancel")
@requires("compose")
def cancel_several(workspace_id: str) -> ResponseReturnValue:
    """Cancel all of the chosen posts that has not gone out."""
    number, late = 0, 0
    for one in _chosen_posts(request.form.getlist("post")):
        try:
            decisions.cancel(one, g.user)
            number += 1
        except NotPossible:
            late += 1
    said = words.cancelled(number, late) if number or late else words.NONE_CHOSEN
    return moved(url_for(".index", workspace_id=workspace_id), said)


def _chosen_posts(ids: list[str]) -> list[Post]:
    """Those of the named posts that are there; a stranger's is left out like one that is not."""
    return post_lists.some(g.workspace, ids[: post_lists.PAGE])


# ---------------------------------------------------------------- one post


@bp.get("/posts/<post_id>")
@requires("see")
def post(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """One post: a line per profile, what happened, and what can be done."""
    if "seen" in request.args:
        found = posts.post(g.workspace, post_id)
        if _is_unchanged(_mark(found)):
            return "", 204
    return show("post.html", "status", **_one(post_lists.whole(g.workspace, post_id)))


@bp.post("/posts/<post_id>/cancel")
@requires("compose")
def cancel(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Cancel all of a post that has not gone out."""
    return _act(post_id, lambda found: decisions.cancel(found, g.user), "Cancelled. What is already published stays.")


def _mark(found: Post) -> str:
    known = post_lists.deliveries(found)
    return post_lists.mark_of(found, known, _pace(known))


def _one(found: Post) -> dict[str, Any]:
    content = drafts.load(found.text, found.content)
    repeats = series.of_post(g.workspace, found)
    shown = {one.id: one for one in media.still_there(g.workspace, list(content.all_media))}
    every = _pace(found.deliveries)
    return {
        "post": found, "content": content, "shown": shown, "every": every, "words": words,
        "mark": post_lists.mark_of(found, found.deliveries, every), "is_unsent": posts.is_unsent(found),
        "targets": draft_posts.accounts_of(g.workspace, [found]) if found.targets and not found.deliveries else {},
        "provider_of": provider_of, "format_label": _format_label, "further": _further, "chosen": _chosen,
        "own": _own, "action": None, "problem": "", "time_note": posts.time_note(found) if found.due_at else "",
        "series": repeats, "rule": series.rule_of(repeats) if repeats else "", "edit_of": edit_of,
        "can_cancel": sum(one.state in STOPPABLE for one in found.deliveries) > 1, "to_explain": TO_EXPLAIN,
        "can_rehearse": any(one.state in TO_REHEARSE for one in found.deliveries), "lines": None,
        "actions": {one.id: _actions(one) for one in found.deliveries},
    }


def _own(delivery: Delivery) -> drafts.Content | None:
    """What a profile publishes, where that differs from the common text or first comment."""
    content = drafts.load(delivery.post.text, delivery.post.content)
    return content.for_account(delivery.account_id) if delivery.account_id in content.own else None


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


def _pace(shown: Iterable[Delivery]) -> str:
    """How often a page looks again: every 2 s while something moves or is due, slower while it waits, at last never."""
    now, known = outside.now(), list(shown)
    ahead = [_ahead(one, now) for one in known if not posts.is_at_rest(one)]
    if not ahead:
        return ""
    return "2s" if min(ahead) <= SOON else "10s" if min(ahead) <= LATER else "30s"


def _ahead(delivery: Delivery, now: datetime) -> timedelta:
    """How long nothing will happen to a delivery, as far as one knows."""
    if delivery.due_at is not None:
        return delivery.due_at - now
    is_forgotten = delivery.state == SENT and delivery.lease_until is None  # a notice of the platform may still come
    return LATER * 2 if is_forgotten else timedelta()


# ---------------------------------------------------------------- why not, and what would happen


@bp.get("/posts/<post_id>/<delivery_id>/why")
@requires("see")
def why(workspace_id: str, post_id: str, delivery_id: str) -> ResponseReturnValue:
    """Why a delivery cannot be published: what it has to pass, up to what blocks."""
    delivery = _delivery(post_id, delivery_id)
    steps = diagnosis.why(g.workspace, delivery.account, delivery)
    context = _one(post_lists.whole(g.workspace, post_id))
    return show("post.html", **{**context, **explained(steps, delivery.account, delivery), "every": ""})


@bp.post("/posts/<post_id>/rehearse")
@requires("compose")
def rehearse(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Check a scheduled post without publishing it: a line for each profile that has not got it yet."""
    found = post_lists.whole(g.workspace, post_id)
    waiting = [one for one in found.deliveries if one.state in TO_REHEARSE]
    lines = rehearsal.rehearse(g.workspace, drafts.load(found.text, found.content), [one.account_id for one in waiting],
                               {one.account_id: Choice(one.format, one.options) for one in waiting})
    fixes = {one.account_id: fix_of(line.blocker, line.account, one) for one in waiting for line in lines
             if line.account.id == one.account_id}
    return show("post.html", "rehearsal", **{**_one(post_lists.whole(g.workspace, post_id)), "lines": lines,
                                             "fixes": fixes, "checked_at": outside.now()})


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
    return show("post.html", **{**_one(post_lists.whole(g.workspace, post_id)), **_question(delivery, wanted)})


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
    return done("post.html", "status", back, said, acted=True, **_one(post_lists.whole(g.workspace, post_id)))


def _moved_on(found: Post, why: str) -> ResponseReturnValue:
    """The page as it is now, saying why the wish came too late."""
    context = _one(post_lists.whole(g.workspace, found.id))
    return show("post.html", "status", 409, **{**context, "problem": why, "acted": True})
