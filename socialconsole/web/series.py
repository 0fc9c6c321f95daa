"""Repeating posts: what repeats, when it comes up next, and stopping it or starting it again."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import series, times
from ..access import requires
from ..models import CANCELLED, DISCONNECTED, Post, Series
from ..posts import NotPossible
from ..providers import provider as provider_of
from . import words
from .page import done, moved, show

bp = Blueprint("series", __name__, url_prefix="/w/<workspace_id>/series")

PAGE = 30
# state of a series -> the status word whose tone and icon it borrows, and its own label
SIGNS = {series.RUNNING: ("on", "Repeats"), series.STOPPED: ("paused", "Stopped"), series.ENDED: ("cancelled", "Ended")}


@bp.get("")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The repeating posts of the workspace, newest first."""
    before = request.args.get("before") or None
    found = series.all_of(g.workspace, before=before, limit=PAGE + 1)
    return show("series.html", **_shown(found[:PAGE], before=before,
                                        older=found[PAGE - 1].id if len(found) > PAGE else None))


@bp.get("/<series_id>")
@requires("see")
def one(workspace_id: str, series_id: str) -> ResponseReturnValue:
    """One repeating post."""
    return show("series.html", **_shown([series.one(g.workspace, series_id)], alone=True))


@bp.get("/<series_id>/stop")
@requires("compose")
def ask_stop(workspace_id: str, series_id: str) -> ResponseReturnValue:
    """The question before a repeating post is stopped."""
    return _ask(series_id, "stop", series.RUNNING)


@bp.get("/<series_id>/resume")
@requires("compose")
def ask_resume(workspace_id: str, series_id: str) -> ResponseReturnValue:
    """The question before a repeating post is started again."""
    return _ask(series_id, "resume", series.STOPPED)


def _ask(series_id: str, question: str, fitting: str) -> ResponseReturnValue:
    found = series.one(g.workspace, series_id)
    if found.state != fitting:
        return moved(url_for(".one", workspace_id=g.workspace.id, series_id=found.id),
                     f"This repeating post is {found.state} already.")
    return show("series.html", **_shown([found], alone=True, question=question))


@bp.post("/<series_id>/stop")
@requires("compose")
def stop(workspace_id: str, series_id: str) -> ResponseReturnValue:
    """Stop it, and cancel the post that waits."""
    found = series.one(g.workspace, series_id)
    try:
        cancelled = series.stop(found, g.user)
    except NotPossible as problem:
        return _moved_on(found, str(problem))
    return _done(found, f"Stopped. {words.count(cancelled, 'waiting post')} {'was' if cancelled == 1 else 'were'} "
                        "cancelled; what is published stays.")


@bp.post("/<series_id>/resume")
@requires("compose")
def resume(workspace_id: str, series_id: str) -> ResponseReturnValue:
    """Start it again with its next time."""
    found = series.one(g.workspace, series_id)
    try:
        ahead = series.resume(found, g.user)
    except NotPossible as problem:
        return _moved_on(found, str(problem))
    assert ahead.due_at is not None  # only a draft has none
    return _done(found, f"It repeats again. Next: {times.exact_with_utc(ahead.due_at, found.time_zone)}.")


def _shown(found: Sequence[Series], *, before: str | None = None, older: str | None = None, alone: bool = False,
           question: str = "", problem: str = "") -> dict[str, Any]:
    ahead = series.posts_ahead(g.workspace, found)
    return {"all": found, "before": before, "older": older, "alone": alone, "question": question, "problem": problem,
            "accounts": series.accounts_of(g.workspace, found), "ahead": ahead, "signs": SIGNS,
            "rule": series.rule_of, "upcoming": series.upcoming, "gone": DISCONNECTED, "changed": _changed,
            "exact_with_utc": times.exact_with_utc, "provider_of": provider_of, "words": words}


def _changed(post: Post) -> str:
    """What a person did to the one post ahead, where it does not go out as the series says."""
    if all(one.state == CANCELLED for one in post.deliveries):
        return "cancelled, just this once"
    if any(one.scheduled_for != post.due_at for one in post.deliveries):
        return "moved, just this once"
    return ""


def _done(found: Series, said: str) -> ResponseReturnValue:
    back = url_for(".one", workspace_id=g.workspace.id, series_id=found.id)
    return done("series.html", None, back, said)


def _moved_on(found: Series, why: str) -> ResponseReturnValue:
    """The repeating post as it is now, saying why the wish came too late."""
    return show("series.html", None, 409, **_shown([found], alone=True, problem=why))
