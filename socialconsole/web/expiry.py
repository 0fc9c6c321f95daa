"""The expiry calendar: when connections end or renew by themselves; for people, other programs and administrators."""

import hashlib
from datetime import timedelta

from flask import Blueprint, abort, current_app, g, make_response, request
from flask.typing import ResponseReturnValue

from .. import connections, expiry, feeds, outside
from ..access import requires
from ..providers import provider as provider_of
from .page import show

bp = Blueprint("expiry", __name__)

ADMIN_SEES = timedelta(days=92)


@bp.get("/w/<workspace_id>/expiry")
@requires("see")
def page(workspace_id: str) -> ResponseReturnValue:
    """The profiles of the workspace by when their connection ends."""
    found = expiry.lines(g.workspace, outside.now())
    return show("expiry.html", None, groups=expiry.groups(found, g.workspace.time_zone), provider_of=provider_of,
                feed=feeds.feed(g.workspace, g.user), offers=connections.offers(g.workspace))


@bp.get("/feeds/<token>/expiry.ics")
@requires("public")
def read(token: str) -> ResponseReturnValue:
    """The ends ahead behind a private address; 404 for one that does not exist or has ended."""
    workspace = feeds.workspace_of(token)
    if workspace is None:
        abort(404)
    text = expiry.render(workspace, outside.now(), current_app.extensions["config"].public_url)
    answer = make_response(text)
    answer.content_type = f"{feeds.MEDIA_TYPE}; charset=utf-8"
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    return answer.make_conditional(request)


@bp.get("/admin/expiry")
@requires("admin")
def admin() -> ResponseReturnValue:
    """Over all workspaces: how many connections end within three months. What is in a workspace stays there."""
    return show("expiry_admin.html", None, sums=expiry.sums(outside.now(), ADMIN_SEES), provider_of=provider_of)
