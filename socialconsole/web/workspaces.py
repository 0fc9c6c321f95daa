"""Admin → Workspaces: making them, and their limits. What a workspace holds is counted here and never shown."""

from typing import Any

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import access, media, times, workspaces
from ..access import requires
from ..models import Workspace
from .members import fresh_link, keep_link, kept_link
from .page import moved, show

bp = Blueprint("workspaces", __name__, url_prefix="/admin/workspaces")


@bp.get("")
@requires("admin")
def index() -> ResponseReturnValue:
    """All workspaces with their figures and limits."""
    return show("workspaces.html", None, lines=workspaces.overview())


@bp.get("/new")
@requires("admin")
def new() -> ResponseReturnValue:
    """The form for another workspace."""
    return show("workspace_new.html", None, typed={}, errors={}, zones=times.zones())


@bp.post("/new")
@requires("admin")
def create() -> ResponseReturnValue:
    """Make a workspace with its first owner."""
    typed = {name: request.form.get(name, "") for name in ("name", "time_zone", "owner")}
    try:
        made = workspaces.create(typed["name"], typed["time_zone"], typed["owner"], g.user)
    except access.Invalid as refusal:
        return show("workspace_new.html", None, 422, typed=typed, errors=refusal.errors, zones=times.zones())
    return _made(made, f"{made.workspace.name} is made.")


def _made(made: workspaces.Made, said: str) -> ResponseReturnValue:
    """On to the workspace's page, which shows the link of an invitation once."""
    if made.invited is not None:
        keep_link(fresh_link(made.invited))
    elif made.owner is not None:
        said += f" {made.owner.shown} is an owner of it."
    return moved(url_for(".edit", tenant_id=made.workspace.id), said)


@bp.get("/<tenant_id>")
@requires("admin")
def edit(tenant_id: str) -> ResponseReturnValue:
    """One workspace: name, limits, owners."""
    return _page(workspaces.one(tenant_id), fresh=kept_link(tenant_id))


def _page(found: Workspace, status: int = 200, **more: Any) -> ResponseReturnValue:
    limits = {"name": found.name, "accounts": "" if found.account_limit is None else str(found.account_limit),
              "megabytes": "" if found.storage_limit is None else str(found.storage_limit // workspaces.MEGABYTE)}
    return show("workspace_edit.html", None, status, **{
        "line": workspaces.overview(found.id)[0], "typed": limits, "errors": {}, "fresh": None, "owner": "",
        "usual_storage": media.size_in_words(workspaces.usual_storage()), **more})


@bp.post("/<tenant_id>")
@requires("admin")
def save(tenant_id: str) -> ResponseReturnValue:
    """Take over name and limits."""
    found = workspaces.one(tenant_id)
    typed = {name: request.form.get(name, "") for name in ("name", "accounts", "megabytes")}
    try:
        changed = workspaces.save_limits(found, typed["name"], typed["accounts"], typed["megabytes"])
    except access.Invalid as refusal:
        return _page(found, 422, typed=typed, errors=refusal.errors)
    said = "The workspace is saved." if changed else "Nothing was changed."
    return moved(url_for(".edit", tenant_id=tenant_id), said)


@bp.post("/<tenant_id>/owner")
@requires("admin")
def name_owner(tenant_id: str) -> ResponseReturnValue:
    """Give the workspace another owner."""
    found, typed = workspaces.one(tenant_id), request.form.get("owner", "")
    try:
        made = workspaces.name_owner(found, typed, g.user)
    except access.Invalid as refusal:
        return _page(found, 422, errors=refusal.errors, owner=typed)
    return _made(made, "An invitation is made." if made.invited else "")
