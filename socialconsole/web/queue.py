"""The queue: its weekly slots, who holds which in the coming weeks, changing places, pausing. And the time of a post
in all zones that matter to whoever writes it.

Whoever may write posts may change the queue, since every post of theirs may go through it.
"""

from itertools import groupby
from typing import Any

from flask import Blueprint, g, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from .. import access, calendars, moving, outside, posts, slots, times
from ..access import requires
from ..posts import Invalid, NotPossible
from ..providers import provider as provider_of
from . import words
from .calendar import risk_notes
from .page import done, invalid, show, typed_version

bp = Blueprint("queue", __name__, url_prefix="/w/<workspace_id>/queue")


@bp.get("")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The slots, and the next two weeks with who holds which."""
    return show("queue.html", "queue", **_shown())


@bp.post("/slots")
@requires("compose")
def add(workspace_id: str) -> ResponseReturnValue:
    """Add a time on some days of the week."""
    form = request.form
    try:
        number = slots.add(g.workspace, g.user, form.getlist("weekday"), form.get("wall", ""))
    except access.Invalid as problem:
        return invalid("queue.html", "queue", **_shown(errors=problem.errors, weekdays=form.getlist("weekday"),
                                                       wall=form.get("wall", "")[:20]))
    return _done(f"{words.count(number, 'slot')} added." if number else "These slots are there already.")


@bp.post("/slots/<slot_id>/remove")
@requires("compose")
def remove(workspace_id: str, slot_id: str) -> ResponseReturnValue:
    """Remove a slot; posts that hold it keep their time."""
    gone = slots.remove(g.workspace, g.user, slot_id)
    if gone is None:
        shown = _shown(problem="This slot was removed already.", title="Not removed.")
        return show("queue.html", "queue", 404, **shown)
    return _done(f"{slots.DAYS[gone.weekday]} {gone.wall} removed. Posts that hold it keep their time.")


@bp.post("/pause")
@requires("compose")
def pause(workspace_id: str) -> ResponseReturnValue:
    """From now on no post takes a slot."""
    was_running = slots.pause(g.workspace, g.user)
    return _done("Paused. Nothing new takes a slot." if was_running else "The queue was paused already.")


@bp.post("/resume")
@requires("compose")
def resume(workspace_id: str) -> ResponseReturnValue:
    """Posts take slots again."""
    was_paused = slots.resume(g.workspace, g.user)
    return _done("The queue runs again." if was_paused else "The queue was running already.")


@bp.post("/place")
@requires("compose")
def place(workspace_id: str) -> ResponseReturnValue:
    """Put a queued post into another slot; a post that holds it gets the place that becomes free."""
    form = request.form
    try:
        moved = moving.place(g.workspace, g.user, form.get("post_id", ""), form.get("slot", ""),
                             typed_version())
    except NotPossible as problem:
        return show("queue.html", "queue", 409, **_shown(problem=str(problem)))
    except Invalid as problem:
        return invalid("queue.html", "queue", **_shown(problem=" ".join(problem.errors.values())))
    assert moved.post.due_at is not None
    return _done(f"Moved to {times.exact_with_utc(moved.post.due_at, g.workspace.time_zone)}.")


def _done(said: str) -> ResponseReturnValue:
    return done("queue.html", "queue", url_for(".index", workspace_id=g.workspace.id), said, **_shown())


def _shown(*, errors: dict[str, str] | None = None, weekdays: list[str] | None = None, wall: str = "",
           problem: str = "", title: str = "Not moved.") -> dict[str, Any]:
    now = outside.now()
    lines = slots.coming(g.workspace, now)
    entries = {one.id: one for one in calendars.entries(g.workspace, [line.post.id for line in lines if line.post])}
    weekly = slots.slots(g.workspace)
    walls = [line.occurrence.wall for line in lines]
    return {
        "days": [(day, list(some)) for day, some in groupby(enumerate(lines), lambda one: one[1].occurrence.wall[:10])],
        "lines": lines, "entries": entries, "earlier": lambda at: walls[at - 1] if at else "",
        "later": lambda at: walls[at + 1] if at + 1 < len(walls) else "", "beyond": slots.later(g.workspace, now),
        "weekly": [(slots.DAYS[day], list(some)) for day, some in groupby(weekly, lambda slot: slot.weekday)],
        "has_slots": bool(weekly), "weekdays_all": slots.DAYS, "errors": errors or {}, "weekdays": weekdays or [],
        "wall": wall or "09:00", "problem": problem, "problem_title": title, "words": words, "provider_of": provider_of,
        "at_risk": risk_notes(), "day_name": _day_name,
    }


def _day_name(day: str) -> str:
    there = times.read_wall(f"{day}T00:00")
    return f"{there:%A} {times.day(there)}"


# ---------------------------------------------------------------- when a post goes out, beside the form


@bp.get("/clocks")
@requires("compose")
def clocks(workspace_id: str) -> ResponseReturnValue:
    """What a typed time is in the zones that matter, while somebody types it."""
    return show("clocks.html", "clocks", wall_time=request.args.get("wall_time", "")[:40])


def clocks_of(wall_time: str) -> dict[str, Any]:
    """A typed time by the workspace's clock, by the person's own where that differs, and in UTC; what is odd about it.

    `problem` is a sentence where it cannot be taken; everything is empty where nothing is typed.
    """
    if not wall_time.strip():
        return {"lines": [], "note": "", "problem": ""}
    zone = g.workspace.time_zone
    try:
        wall, instant = posts.wall_and_instant(wall_time, g.workspace, outside.now())
        note = times.moment(times.read_wall(wall), zone).note
    except Invalid as problem:
        return {"lines": [], "note": "", "problem": problem.errors["wall_time"]}
    shown = [("Workspace", zone)]
    own = g.user.time_zone if g.get("user") else ""
    if own in times.zones() and times.local(instant, own).utcoffset() != times.local(instant, zone).utcoffset():
        shown.append(("You", own))
    if times.local(instant, zone).utcoffset():
        shown.append(("UTC", "UTC"))
    return {"lines": [(label, name, f"{times.local(instant, name):%a} {times.exact(instant, name)}")
                      for label, name in shown], "note": note, "problem": ""}


def next_slot() -> dict[str, Any]:
    """The next free slot in words, or why there is none."""
    found = slots.next_free(g.workspace, outside.now())
    if found is None:
        return {"is_free": False, "words": slots.why_none(g.workspace), "note": ""}
    return {"is_free": True, "words": times.exact_with_utc(found.instant, g.workspace.time_zone), "note": found.note}


def _hand_out(state: BlueprintSetupState) -> None:
    """The form of Compose shows the next slot and the clocks."""
    state.app.jinja_env.globals.update(next_slot=next_slot, clocks_of=clocks_of)


bp.record_once(_hand_out)
