"""The private address of a calendar: made, renewed and ended by its person, read by programs without a cookie."""

import hashlib

from flask import Blueprint, abort, current_app, g, make_response, request, session, url_for
from flask.typing import ResponseReturnValue

from .. import feeds, outside
from ..access import requires
from .page import moved, show

bp = Blueprint("feeds", __name__)

FRESH = "fresh_feed"  # in the person's own cookie for one page: the token that is shown once


@bp.get("/w/<workspace_id>/calendar/feed")
@requires("see")
def page(workspace_id: str) -> ResponseReturnValue:
    """Whether there is a private address, and right after it was made what it is."""
    fresh, token = session.pop(FRESH, None) or {}, ""
    if fresh.get("workspace") == workspace_id:
        token = fresh.get("token", "")
    address = f"{current_app.extensions['config'].public_url}/feeds/{token}.ics" if token else ""
    return show("feed.html", feed=feeds.feed(g.workspace, g.user), address=address)


@bp.post("/w/<workspace_id>/calendar/feed")
@requires("see")
def make(workspace_id: str) -> ResponseReturnValue:
    """Make a private address; the one before ends."""
    session[FRESH] = {"workspace": workspace_id, "token": feeds.make(g.workspace, g.user)}
    return moved(url_for(".page", workspace_id=workspace_id))


@bp.post("/w/<workspace_id>/calendar/feed/end")
@requires("see")
def end(workspace_id: str) -> ResponseReturnValue:
    """End the private address."""
    said = "The private address has ended." if feeds.end(g.workspace, g.user) else "There was no private address."
    return moved(url_for(".page", workspace_id=workspace_id), said)


@bp.get("/feeds/<token>.ics")
@requires("public")
def read(token: str) -> ResponseReturnValue:
    """The calendar behind a private address; 404 for one that does not exist or has ended."""
    workspace = feeds.workspace_of(token)
    if workspace is None:
        abort(404)
    text = feeds.render(workspace.name, feeds.current(workspace, outside.now()),
                        current_app.extensions["config"].public_url, workspace.id)
    answer = make_response(text)
    answer.content_type = f"{feeds.MEDIA_TYPE}; charset=utf-8"
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    return answer.make_conditional(request)
