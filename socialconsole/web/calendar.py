"""The calendar: a month, a week or a list of posts, moving them by form, drag or keyboard, and what is at risk.

Where to go back to (view, day, filters) travels with every link and form, so that a page can be shared and reloaded.
"""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, current_app, g, make_response, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from .. import calendars, feeds, moving, outside, posts, risks, times
from ..access import requires
from ..calendars import LIST, MONTH, VIEWS, WEEK, Filter
from ..models import Post
from ..posts import Invalid, NotPossible
from ..providers import PROVIDERS
from ..providers import provider as provider_of
from . import words
from .frame import outlines
from .page import invalid, show, typed_version, wants_block
from .page import moved as go_on

bp = Blueprint("calendar", __name__, url_prefix="/w/<workspace_id>/calendar")

LABELS = {MONTH: "Month", WEEK: "Week", LIST: "List"}
FIELDS = ("account", "platform", "state", "author")


# ---------------------------------------------------------------- the pages


@bp.get("")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The posts of a month, a week or the days from one on."""
    return show("calendar.html", "calendar", **_shown(undo=_moved_before()))


@bp.get("/<post_id>/move")
@requires("compose")
def ask(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """The dialog that asks for another date and time."""
    post = posts.post(g.workspace, post_id)
    why = calendars.why_not(post, [one.state for one in post.deliveries])
    if why:
        return show("calendar.html", "calendar", 409, **_shown(problem=why))
    return show("calendar.html", **_shown(asked=post, wall_time=_own_wall(post)))


@bp.post("/move")
@requires("compose")
def move(workspace_id: str) -> ResponseReturnValue:
    """Give a post another time: from the dialog, after a drop, after a key, or back again."""
    form = request.form
    post_id, wall, version = form.get("post_id", ""), form.get("wall_time", ""), typed_version()
    try:
        done = moving.move(g.workspace, g.user, post_id, wall, version)
    except NotPossible as problem:
        return show("calendar.html", "calendar", 409, **_shown(problem=str(problem)))
    except Invalid as problem:
        if form.get("asked"):
            found = posts.post(g.workspace, post_id)
            return invalid("calendar.html", None, **_shown(asked=found, wall_time=wall, errors=problem.errors))
        return invalid("calendar.html", "calendar", **_shown(problem=" ".join(problem.errors.values())))
    came_from = "" if form.get("undo") else done.before
    if wants_block():
        return show("calendar.html", "calendar", **_shown(undo=_undo(done.post, came_from)))
    return go_on(_link(moved=done.post.id, **{"from": came_from or None, "v": done.post.version}))


@bp.get("/export.ics")
@requires("see")
def export(workspace_id: str) -> ResponseReturnValue:
    """What the view shows, as a file for other programs."""
    days = calendars.days_of(_view(), _at(), g.workspace.time_zone)
    events = feeds.between(g.workspace, days[0].starts, days[-1].ends, _filter(), outside.now())
    answer = make_response(feeds.render(g.workspace.name, events, current_app.extensions["config"].public_url,
                                        g.workspace.id))
    answer.content_type = f"{feeds.MEDIA_TYPE}; charset=utf-8"
    answer.headers["Content-Disposition"] = f'attachment; filename="posts-{days[0].date}.ics"'
    return answer


# ---------------------------------------------------------------- what was asked for


def _view() -> str:
    view = request.values.get("view") or MONTH
    if view not in VIEWS:
        abort(404)
    return view


def _today() -> date:
    return times.local(outside.now(), g.workspace.time_zone).date()


def _at() -> date:
    """The day that was asked for; today where none was, or none that the calendar has."""
    try:
        at = date.fromisoformat(request.values.get("at", ""))
    except ValueError:
        return _today()
    return at if calendars.EARLIEST <= at < calendars.LATEST else _today()


def _filter() -> Filter:
    """What shall be shown. A value that nothing has shows nothing; a state that there is none of is a 404."""
    wanted = {name: request.values.get(name, "")[:40] for name in FIELDS}
    if wanted["state"] not in dict(calendars.STATES) or (wanted["platform"] and wanted["platform"] not in PROVIDERS):
        abort(404)
    return Filter(**wanted)


def _link(**changes: Any) -> str:
    """The address of this view with something changed; None takes a part out."""
    if "calendar_link" not in g:  # a page has one for each of its days
        kept = {"view": _view(), "at": request.values.get("at")} | {name: request.values.get(name) for name in FIELDS}
        g.calendar_link = url_for("calendar.index", workspace_id=g.workspace.id), kept
    address, kept = g.calendar_link
    return f"{address}?{urlencode({name: value for name, value in {**kept, **changes}.items() if value})}"


def _own_wall(post: Post) -> str:
    return f"{times.local(post.due_at, g.workspace.time_zone):%Y-%m-%dT%H:%M}" if post.due_at else ""


# ---------------------------------------------------------------- what is shown


def _shown(*, problem: str = "", asked: Post | None = None, wall_time: str = "", errors: dict[str, str] | None = None,
           undo: dict[str, Any] | None = None) -> dict[str, Any]:
    view, at, wanted, now = _view(), _at(), _filter(), outside.now()
    after = request.args.get("after", "") if view == LIST else ""
    reading = calendars.read(g.workspace, view, at, wanted, now, after)
    before, following = calendars.neighbours(view, at)
    return {
        "view": view, "at": at, "today": _today(), "days": reading.days, "after": reading.after, "wanted": wanted,
        "title": _title(view, reading.days, at), "before": before, "following": following, "link": _link,
        "kept": _link(at=at).partition("?")[2],
        "labels": LABELS, "states": calendars.STATES, "accounts": calendars.accounts(g.workspace),
        "authors": calendars.authors(g.workspace), "provider_of": provider_of,
        "words": words, "problem": problem, "asked": asked, "wall_time": wall_time, "errors": errors or {},
        "undo": undo, "is_first_page": not after, "at_risk": risk_notes(), "day_name": _day_name,
        "exact_with_utc": times.exact_with_utc,
    }


def _title(view: str, days: list[calendars.Day], at: date) -> str:
    if view == MONTH:
        return f"{at:%B %Y}"
    first, last = days[0].date, days[-1].date
    begin = f"{first.day}" if first.month == last.month else f"{first.day} {first:%b}"
    return f"{begin if first.year == last.year else f'{begin} {first.year}'} – {last.day} {last:%b %Y}"


def _day_name(day: date) -> str:
    """`Monday 23 Nov`."""
    return f"{day:%A} {day.day} {day:%b}"


def _undo(post: Post, came_from: str) -> dict[str, Any]:
    """What is said after a move, and how it is taken back: not into the past."""
    assert post.due_at is not None
    try:
        is_ahead = bool(came_from) and times.to_utc(came_from, g.workspace.time_zone) > outside.now()
    except (times.Nonexistent, OverflowError):
        is_ahead = False
    return {"post": post, "wall": came_from if is_ahead else "", "was_undone": not came_from,
            "to": times.exact_with_utc(post.due_at, g.workspace.time_zone)}


def _moved_before() -> dict[str, Any] | None:
    """The move that led here without script, as long as nobody changed the post since."""
    if not request.args.get("moved"):
        return None
    post = posts.post(g.workspace, request.args["moved"])
    if post.version != request.args.get("v", type=int) or post.due_at is None:
        return None
    return _undo(post, request.args.get("from", "")[:16])


# ---------------------------------------------------------------- posts at risk, for every page


def posts_at_risk() -> list[risks.Risk]:
    """What is at risk in this workspace, the most urgent first; asked once for each page."""
    if "risks" not in g:
        g.risks = risks.at_risk(g.workspace, outlines(g.workspace), outside.now()) if g.get("workspace") else []
    found: list[risks.Risk] = g.risks
    return found


def risk_notes() -> dict[str, str]:
    """The id of each post at risk with a sentence that says why; worked out once for each page."""
    if "risk_notes" not in g:
        g.risk_notes = risks.posts_of(posts_at_risk(), g.workspace.time_zone) if g.get("workspace") else {}
    found: dict[str, str] = g.risk_notes
    return found


def _risk_title(risk: risks.Risk) -> str:
    return risks.title(risk, g.workspace.time_zone, outside.now())


def _hand_out(state: BlueprintSetupState) -> None:
    """Templates of other pages show what is at risk too."""
    state.app.jinja_env.globals.update(posts_at_risk=posts_at_risk, risk_notes=risk_notes, risk_title=_risk_title)


bp.record_once(_hand_out)
