"""Activity: who did what, when and from where, for a workspace and for the installation."""

from typing import Any

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import audit
from ..access import requires
from .page import show

bp = Blueprint("activity", __name__)

PAGE = 50


@bp.get("/w/<workspace_id>/activity")
@requires("see")
def workspace(workspace_id: str) -> ResponseReturnValue:
    """What happened in this workspace, newest first."""
    return _page(g.workspace.id)


@bp.get("/admin/activity")
@requires("admin")
def installation() -> ResponseReturnValue:
    """What happened to the installation: platforms, people. Never what a workspace does."""
    return _page(None)


def _page(workspace_id: str | None) -> ResponseReturnValue:
    before = request.args.get("before") or None
    found = audit.events(workspace_id=workspace_id, limit=PAGE + 1, before=before)
    shown = found[:PAGE]
    here: dict[str, Any] = {"workspace_id": workspace_id} if workspace_id else {}
    older = url_for(request.endpoint or "", before=shown[-1].id, **here) if len(found) > PAGE else None
    newest = url_for(request.endpoint or "", **here) if before else None
    return show("activity.html", events=shown, older=older, newest=newest)
