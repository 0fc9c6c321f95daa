"""API keys: of a workspace for its owners, of the installation for platform admins. A key is shown once, when made."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from .. import api_keys, outside
from ..access import requires
from ..api_keys import ACTIVE, ENDED, ENDS_SOON, INSTANCE, LIMITED, OF_ADMINS, PERMISSIONS, READ, REVOKED, STOPPED
from ..models import Workspace
from ..models_api import ApiKey
from .page import moved, show

bp = Blueprint("api_keys", __name__)

# how a key stands -> the status that its chip is drawn like, and the words on it
STATES = {ACTIVE: ("active", "Works"), ENDS_SOON: ("expiring", "Ends soon"), LIMITED: ("limited", "Limited"),
          STOPPED: ("attention", "Stopped"), ENDED: ("missed", "Ended"), REVOKED: ("cancelled", "Revoked")}
# in the form -> days until the end, and in words
LIVES: dict[str, tuple[int | None, str]] = {
    "30": (30, "30 days"), "90": (90, "90 days"), "365": (365, "365 days"), "never": (None, "Never")}
USUAL_LIFE = "90"
ONCE = "keys_made"  # in the session: the forms that made a key already, so that a reload makes no second one
MOST_ONCE, LONGEST_ONCE = 8, 40
MADE_ALREADY = ("This form made its key already, and a key is shown only once. If you did not copy it, revoke it below "
                "and make another.")
VARIABLE = "SOCIALCONSOLE_API_KEY"


# ---------------------------------------------------------------- of a workspace


@bp.get("/w/<workspace_id>/keys")
@requires("settings")
def index(workspace_id: str) -> ResponseReturnValue:
    """All keys of the workspace, whoever made them, and the form for another."""
    return _index(g.workspace)


@bp.post("/w/<workspace_id>/keys")
@requires("settings")
def create(workspace_id: str) -> ResponseReturnValue:
    """Make a key; this very answer shows it, and nothing after it does."""
    return _create(g.workspace)


@bp.get("/w/<workspace_id>/keys/<key_id>/revoke")
@requires("settings")
def ask(workspace_id: str, key_id: str) -> ResponseReturnValue:
    """What is lost when a key is revoked."""
    return _ask(g.workspace, key_id)


@bp.post("/w/<workspace_id>/keys/<key_id>/revoke")
@requires("settings")
def revoke(workspace_id: str, key_id: str) -> ResponseReturnValue:
    """End a key at once."""
    return _revoke(g.workspace, key_id)


# ---------------------------------------------------------------- of the installation


@bp.get("/admin/keys")
@requires("admin")
def admin() -> ResponseReturnValue:
    """The keys for calls about the installation."""
    return _index(None)


@bp.post("/admin/keys")
@requires("admin")
def create_admin() -> ResponseReturnValue:
    """Make a key of the installation; shown in this answer only."""
    return _create(None)


@bp.get("/admin/keys/<instance_key_id>/revoke")
@requires("admin")
def ask_admin(instance_key_id: str) -> ResponseReturnValue:
    """What is lost when a key of the installation is revoked."""
    return _ask(None, instance_key_id)


@bp.post("/admin/keys/<instance_key_id>/revoke")
@requires("admin")
def revoke_admin(instance_key_id: str) -> ResponseReturnValue:
    """End a key of the installation at once."""
    return _revoke(None, instance_key_id)


# ---------------------------------------------------------------- both


def _index(workspace: Workspace | None) -> Response:
    search = request.args.get("q", "").strip()
    if len(search) > api_keys.SHOWN:  # a whole key, most likely: it must not stay in the address
        return make_response(redirect(f"{_here(workspace)}?{urlencode({'q': search[:api_keys.SHOWN]})}", 303))
    return _page(workspace)


def _page(workspace: Workspace | None, status: int = 200, **more: Any) -> Response:
    search = request.args.get("q", "").strip()[:api_keys.SHOWN]
    keys = api_keys.listed(workspace, search)
    context = {
        "lines": api_keys.lines(keys, outside.now()), "search": search, "states": STATES, "lives": LIVES, "errors": {},
        "typed": {"name": "", "permissions": [READ], "life": USUAL_LIFE}, "problem": "", "made": None, "asked": None,
        "permissions": PERMISSIONS if workspace is not None else {}, "of_admins": OF_ADMINS, "named": _named,
        "once": outside.secret(16), "longest": api_keys.LONGEST_NAME, "shown": api_keys.SHOWN,
        "here": _here(workspace), "address_of": lambda key: _address(workspace, key),
        "is_any": bool(keys) or bool(search), "variable": VARIABLE,
        "address": f"{current_app.extensions['config'].public_url}/v1/workspaces"}
    answer = show("api_keys.html", None, status, **{**context, **more})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _here(workspace: Workspace | None) -> str:
    return url_for(".admin") if workspace is None else url_for(".index", workspace_id=workspace.id)


def _address(workspace: Workspace | None, key: ApiKey) -> str:
    """Where a key is revoked."""
    if workspace is None:
        return url_for(".ask_admin", instance_key_id=key.id)
    return url_for(".ask", workspace_id=workspace.id, key_id=key.id)


def _named(key: ApiKey) -> str:
    """What a key may, in words."""
    known = {**PERMISSIONS, INSTANCE: OF_ADMINS}
    return ", ".join(known[name].label for name in key.permissions if name in known)


def _create(workspace: Workspace | None) -> Response:
    name, permissions = request.form.get("name", ""), request.form.getlist("permissions")
    typed = {"name": name, "permissions": permissions, "life": request.form.get("life", USUAL_LIFE)}
    once, used = request.form.get("once", "")[:LONGEST_ONCE], list(session.get(ONCE, []))
    if once and once in used:
        return _page(workspace, 409, problem=MADE_ALREADY)
    life = LIVES.get(request.form.get("life", USUAL_LIFE))
    if life is None:
        return _page(workspace, 422, typed=typed, errors={"days": "Choose when the key ends."})
    try:
        key, token = api_keys.create(workspace, g.user, name, permissions, life[0], outside.now())
    except api_keys.Invalid as refusal:
        return _page(workspace, 422, typed=typed, errors=refusal.errors)
    session[ONCE] = [*used, once][-MOST_ONCE:] if once else used
    return _page(workspace, made={"key": key, "token": token})


def _ask(workspace: Workspace | None, key_id: str) -> Response:
    key = api_keys.one(key_id, workspace)
    line = api_keys.lines([key], outside.now())[0]
    return _page(workspace, asked=line if line.can_be_revoked else None)


def _revoke(workspace: Workspace | None, key_id: str) -> Response:
    key = api_keys.revoke(key_id, workspace, outside.now())
    return moved(_here(workspace), f"The key {key.name} is revoked. It does nothing any more.")
