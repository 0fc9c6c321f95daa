"""Files: taken in from the compose form, shown there as thumbnails, and handed to platforms that fetch them.

What a platform fetches has no cookie, no redirect and no session: an unguessable address that works while its delivery
is under way, and nothing after.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, make_response, request, send_file
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from .. import media
from ..access import requires
from ..config import Config
from ..extensions import csrf, db
from ..media_store import Unavailable
from ..models import Media, PlatformApp
from .page import show

bp = Blueprint("media", __name__)

FORM_ROOM = 1024 * 1024  # for the fields beside the files
MOST_FILES = 20
PROOF_ENDING = ".txt"
LONGEST_PROOF = 4096


def takes_files(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view take uploads, whose form may be as large as a file. Put it below `requires`.

    The form token is usually looked for before the view, which reads the whole form under the limit of small ones: so
    it is looked for here instead, once the limit is known.
    """

    @wraps(view)
    def wrapped(*args: Any, **values: Any) -> Any:
        config: Config = current_app.extensions["config"]
        request.max_content_length = config.media_max_bytes + FORM_ROOM
        csrf.protect()
        return view(*args, **values)

    csrf.exempt(wrapped)
    return wrapped


# ---------------------------------------------------------------- for people


@bp.post("/w/<workspace_id>/media")
@requires("compose")
@takes_files
def upload(workspace_id: str) -> ResponseReturnValue:
    """Keep the files and answer with one item each; what was refused is said beside them, 422 if all were."""
    stored: list[Media] = []
    refused: list[str] = []
    for file in _uploads():
        try:
            stored.append(media.store(g.workspace, g.user, file.stream, file.filename or ""))
        except media.Refused as problem:
            refused.append(str(problem))
    if not stored and not refused:
        refused.append("No file came with the form. Choose one first.")
    status = 200 if stored else 422
    if request.accept_mimetypes.best_match(("text/html", "application/json")) == "application/json":
        return {"media": [_plain(one) for one in stored], "problems": refused}, status
    return show("media.html", "items", status, stored=stored, refused=refused)


def _uploads() -> list[FileStorage]:
    return [file for file in request.files.getlist("files") if file.filename][:MOST_FILES]


def _plain(one: Media) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "kind": one.kind, "type": one.type, "size": one.size, "width": one.width,
            "height": one.height, "seconds": one.seconds, "pages": one.pages, "alt_text": one.alt_text,
            "facts": media.facts_in_words(one), "unknown": (one.facts or {}).get("unknown", [])}


@bp.get("/w/<workspace_id>/media/<media_id>/thumbnail")
@requires("see")
def thumbnail(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """A small JPEG that this console made itself."""
    try:
        path = media.thumbnail(media.one(g.workspace, media_id))
    except Unavailable as away:
        abort(503, away.message)
    if path is None:
        abort(404)
    answer = send_file(path, mimetype="image/jpeg", conditional=True)
    answer.headers["Cache-Control"] = "private, max-age=3600"
    answer.headers["Content-Disposition"] = "inline"
    return answer


# ---------------------------------------------------------------- for platforms


@bp.get("/media/<name>")
@requires("public")
def file(name: str) -> ResponseReturnValue:
    """A file while its delivery is under way, or the proof of address that an admin pasted."""
    token, _, ending = name.rpartition(".")
    if name.endswith(PROOF_ENDING):
        return _proof(name)
    try:
        found = media.served(token) if token and len(token) <= 100 else None
    except Unavailable as away:  # a platform that meets this fetches the file again
        abort(503, away.message)
    if found is None or ending != media.ENDINGS.get(found[1]):
        abort(404)
    path, kind = found
    shown = kind.startswith(("image/", "video/"))
    answer = send_file(path, mimetype=kind, conditional=True, as_attachment=not shown,
                       download_name=f"file.{ending}")
    answer.headers["Cache-Control"] = "private, max-age=300"
    return answer


def _proof(name: str) -> Response:
    """The text under which a platform looks for its proof that the address is ours."""
    for app in db.session.scalars(select(PlatformApp)):
        text = app.options.get("verification_text", "")
        if text and app.options.get("verification_file", "") == name:
            answer = make_response(text[:LONGEST_PROOF])
            answer.mimetype = "text/plain"
            return answer
    abort(404)


@bp.get("/robots.txt")
@requires("public")
def robots() -> ResponseReturnValue:
    """Platforms that keep to it may fetch files; nothing else here is for search engines."""
    answer = make_response("User-agent: *\nAllow: /media/\nDisallow: /\n")
    answer.mimetype = "text/plain"
    return answer
