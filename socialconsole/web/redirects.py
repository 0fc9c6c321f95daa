"""Other names that people try for a page, or kept from elsewhere: each leads to the page."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from ..access import requires

bp = Blueprint("redirects", __name__, url_prefix="/w/<workspace_id>")


@bp.get("")
@bp.get("/accounts")
@bp.get("/social-accounts")
@bp.get("/settings/platform-connections")
@requires("see")
def to_profiles(workspace_id: str) -> ResponseReturnValue:
    """Social Profile is the place for everything about connected accounts."""
    return redirect(url_for("accounts.index", workspace_id=workspace_id), 303)
