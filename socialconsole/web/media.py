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

from .. import media
from ..access import requires
from ..config import Config
from ..extensions import csrf, db
from ..media_store import Unavailable
from ..models import Media, PlatformApp
from .page import show

bp = Blueprint("media", __name__)
bp.app_template_global("has_thumbnail")(media.has_thumbnail)
bp.app_template_global("file_facts")(media.facts_in_words)
bp.app_template_global("file_size")(media.size_in_words)

FORM_ROOM = 1024 * 1024  # for the fields beside the files
FIELDS_ROOM = 4 * 1024 * 1024  # the longest draft, every sign of it written as %E4%BD%A0
MOST_FIELDS = 20_000  # several for each of a thousand profiles
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
        request.max_form_memory_size = max(request.max_form_memory_size or 0, FIELDS_ROOM)
        # A form of the other kind holds no files, and is read into memory as a whole.
        request.max_content_length = (config.media_max_bytes + FORM_ROOM if request.mimetype == "multipart/form-data"
                                      else request.max_form_memory_size)
        request.max_form_parts = MOST_FIELDS
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
    stored, refused = received()
    if not stored and not refused:
        refused.append("No file came with the form. Choose one first.")
    status = 200 if stored else 422
    if request.accept_mimetypes.best_match(("text/html", "application/json")) == "application/json":
        return {"media": [described(one) for one in stored], "problems": refused}, status
    return show("media.html", "items", status, stored=stored, refused=refused)


def received(*, kept: bool = False) -> tuple[list[Media], list[str]]:
    """Keep the files that came with a form; returns them, and a sentence for each that was refused.

    `kept`: they stay in the library.
    """
    stored: list[Media] = []
    given = [file for file in request.files.getlist("files") if file.filename]
    refused = [too_many(len(given))] if len(given) > MOST_FILES else []
    for file in given[:MOST_FILES]:
        try:
            stored.append(media.store(g.workspace, g.user, file.stream, file.filename or "", kept=kept))
        except media.Refused as problem:
            refused.append(str(problem))
    return stored, refused


def too_many(number: int) -> str:
    """What is said about more files than are taken at once."""
    return (f"{number} files came at once, and {MOST_FILES} are taken at a time. The last {number - MOST_FILES} were "
            "left out: choose them once more.")


def described(one: Media) -> dict[str, Any]:
    """A file for scripts."""
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
