"""Uploads in pieces, for scripts: the protocol of `uploads.py` as requests and answers."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, abort, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .. import media, uploads
from ..access import requires
from ..extensions import csrf, db
from ..media_store import Unavailable
from ..models import Media, Upload
from .media import described
from .page import moved

bp = Blueprint("uploads", __name__, url_prefix="/w/<workspace_id>/uploads")


def takes_a_piece(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view take the bytes of one piece. Put it below `requires`.

    As with `takes_files`, the form token is looked for once the limit is known; here it comes in a header.
    """

    @wraps(view)
    def wrapped(*args: Any, **values: Any) -> Any:
        request.max_content_length = uploads.PIECE + 1  # whoever reads up to the limit is refused already
        csrf.protect()
        return view(*args, **values)

    csrf.exempt(wrapped)
    return wrapped


@bp.post("")
@requires("compose")
def begin(workspace_id: str) -> ResponseReturnValue:
    """Make room for a file: 201 with its address, or 422 with the reason."""
    size = request.form.get("size", "")
    if not size.isascii() or not size.isdigit() or len(size) > 15:
        return _problem("An upload says its size in bytes first.", 422)
    try:
        upload = uploads.begin(g.workspace, g.user, request.form.get("name", ""), int(size),
                               kept=request.form.get("keep") == "yes")
    except media.Refused as problem:
        return _problem(str(problem), 422)
    answer = _told(upload, 201)
    answer.headers["Location"] = url_for(".look", workspace_id=workspace_id, upload_id=upload.id)
    return answer


@bp.patch("/<upload_id>")
@requires("compose")
@takes_a_piece
def piece(workspace_id: str, upload_id: str) -> ResponseReturnValue:
    """Take the next piece; 409 with the right offset where it is another one."""
    upload = uploads.one(g.workspace, g.user, upload_id)
    offset = request.headers.get("Upload-Offset", "")
    if not offset.isascii() or not offset.isdigit() or len(offset) > 15:
        return _problem("A piece says in Upload-Offset where it begins.", 400)
    try:
        uploads.receive(upload, int(offset), request.stream)
    except uploads.WrongOffset:
        return _told(_fresh(upload_id), 409)
    except uploads.WrongPiece as problem:
        return _problem(str(problem), 400)
    except Unavailable as away:
        return _problem(away.message, 503)
    upload = _fresh(upload_id)
    if uploads.state(upload) == uploads.LOOKING and upload.size <= uploads.SMALL:
        uploads.finish(upload_id)
        upload = _fresh(upload_id)
    return _told(upload, 200)


@bp.get("/<upload_id>")
@requires("compose")
def look(workspace_id: str, upload_id: str) -> ResponseReturnValue:
    """How far it is, and what became of it."""
    return _told(uploads.one(g.workspace, g.user, upload_id), 200)


@bp.delete("/<upload_id>")
@requires("compose")
def end(workspace_id: str, upload_id: str) -> ResponseReturnValue:
    """End it; its bytes go."""
    uploads.cancel(uploads.one(g.workspace, g.user, upload_id))
    return "", 204


@bp.post("/<upload_id>/cancel")
@requires("compose")
def cancel(workspace_id: str, upload_id: str) -> ResponseReturnValue:
    """As `end`, for the button of the library."""
    upload = uploads.one(g.workspace, g.user, upload_id)
    name = upload.name or "The upload"
    uploads.cancel(upload)
    back = url_for("library.index", workspace_id=workspace_id)
    return moved(back, f"{name} was cancelled, and what had arrived is gone.")


def _fresh(upload_id: str) -> Upload:
    found = db.session.get(Upload, upload_id, populate_existing=True)
    if found is None:  # cancelled while its piece arrived
        abort(404)
    return found


def _told(upload: Upload, status: int) -> Response:
    """Where an upload stands. Once it ended, `item` is how the form of a post shows what came of it."""
    state = uploads.state(upload)
    said: dict[str, Any] = {"id": upload.id, "name": upload.name, "offset": upload.received, "size": upload.size,
                            "state": state, "problem": upload.refused, "piece": uploads.PIECE}
    if state == uploads.DONE:
        found = db.session.get_one(Media, upload.media_id)
        said |= {"media": described(found), "item": _item(stored=[found])}
    elif state == uploads.REFUSED:
        said["item"] = _item(refused=[upload.refused])
    answer = jsonify(said)
    answer.status_code = status
    answer.headers["Upload-Offset"], answer.headers["Upload-Length"] = str(upload.received), str(upload.size)
    return answer


def _item(*, stored: list[Media] | None = None, refused: list[str] | None = None) -> str:
    return render_template("media.html", fragment="items", stored=stored or [], refused=refused or [])


def _problem(sentence: str, status: int) -> Response:
    answer = jsonify(problem=sentence, item=_item(refused=[sentence]))
    answer.status_code = status
    return answer
