"""The settings of a workspace, for its owners."""

from typing import Any

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import access, members, times, workspaces
from ..access import requires
from .page import moved, show

bp = Blueprint("settings", __name__, url_prefix="/w/<workspace_id>/settings")


@bp.get("")
@requires("settings")
def page(workspace_id: str) -> ResponseReturnValue:
    """Name, time zone, how late a post may go out, approval."""
    return _page(workspaces.settings(g.workspace))


def _page(wanted: workspaces.Settings, status: int = 200, **more: Any) -> ResponseReturnValue:
    return show("settings.html", "form", status, **{
        "wanted": wanted, "seen": workspaces.settings(g.workspace), "zones": times.zones(), "errors": {}, "problem": "",
        "windows": workspaces.window_choices(g.workspace.window_minutes), **more})


@bp.post("")
@requires("settings")
def save(workspace_id: str) -> ResponseReturnValue:
    """Take over what was changed in the form."""
    wanted, seen = _read(""), _read("seen_")
    try:
        saved = workspaces.save_settings(g.workspace, wanted, seen)
    except access.Invalid as refusal:
        return _page(wanted, 422, errors=refusal.errors, seen=seen)
    except workspaces.MovedOn:
        return _page(workspaces.settings(g.workspace), 409, problem="Somebody changed these settings meanwhile, so "
                     "nothing was saved. Below is how they stand now.")
    return moved(url_for(".page", workspace_id=workspace_id), _said(saved))


def _read(prefix: str) -> workspaces.Settings:
    """The settings as the form sent them, or as it says that it showed them (`seen_`)."""
    now, form = workspaces.settings(g.workspace), request.form
    minutes = form.get(prefix + "window_minutes", str(now.window_minutes))
    return workspaces.Settings(
        members.tidy_name(form.get(prefix + "name", now.name)), form.get(prefix + "time_zone", now.time_zone),
        int(minutes) if minutes.isascii() and minutes.isdigit() and len(minutes) < 8 else 0,
        form.get(prefix + "approval", "yes" if now.needs_approval else "no") == "yes")


def _said(saved: workspaces.Saved) -> str:
    if not saved.changed:
        return "Nothing was changed."
    if not saved.scheduled:
        return "The settings are saved."
    posts = "1 scheduled post goes" if saved.scheduled == 1 else f"{saved.scheduled} scheduled posts go"
    return f"The settings are saved. {posts} out at the same instant as before, shown in {g.workspace.time_zone} now."
