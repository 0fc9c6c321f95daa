"""The media library: a workspace's files, each with its page, and the picker that the compose form opens.

Everything works as plain forms; with script files arrive in pieces, with progress, and the lists follow by themselves.
"""

from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, g, request, send_file, url_for
from flask.typing import ResponseReturnValue

from .. import library, locations, media, outside, uploads
from ..access import requires
from ..media_store import Missing, Unavailable
from ..models import UNSENT, Media, Post
from ..providers.content import GIF, IMAGE, VIDEO
from . import words
from .media import MOST_FIELDS, MOST_FILES, received, takes_files
from .page import done, invalid, moved, show

bp = Blueprint("library", __name__, url_prefix="/w/<workspace_id>/media")

LONGEST_SEARCH = 100
PICKED_PAGE = 24
FRESH = timedelta(minutes=2)  # within it a page waits for a new video's picture
# What browsers show by themselves; of other pictures the page shows the thumbnail.
SHOWN_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp")
CARRIED_BUT = ("csrf_token", "pick_words", "pick_before", "do")


# ---------------------------------------------------------------- the library


@bp.get("")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The files of the workspace, the newest first."""
    return show("library.html", "shelf", **_library())


@bp.post("/add")
@requires("compose")
@takes_files
def add(workspace_id: str) -> ResponseReturnValue:
    """Take files from a plain form, or one from an address; they stay in the library."""
    stored, refused = received(kept=True)
    address = request.form.get("file_address", "").strip()
    if address:
        try:
            stored.append(media.from_address(g.workspace, g.user, address, kept=True))
            address = ""
        except media.Refused as problem:
            refused.append(str(problem))
    if not stored and not refused:
        refused.append("No file came with the form. Choose one first, or give an address.")
    if refused:
        return invalid("library.html", "adding", **{
            **_library(), "problems": refused, "added": stored, "file_address": address})
    return moved(url_for(".index", workspace_id=workspace_id), f"{words.count(len(stored), 'file')} added.")


def _library() -> dict[str, Any]:
    """What the list shows, by the filters in the address."""
    searched = request.args.get("words", "").strip()[:LONGEST_SEARCH]
    kind, unused = request.args.get("kind", ""), request.args.get("unused") == "yes"
    if kind and kind not in dict(library.KINDS):
        abort(404)
    before = request.args.get("before", "")[:40]
    shelf = library.shelf(g.workspace, words=searched, kind=kind, unused=unused, before=before)
    fresh = outside.now() - FRESH
    return {
        "shelf": shelf, "searched": searched, "kind": kind, "unused": unused, "before": before,
        "is_filtered": bool(searched or kind or unused), "kinds": library.KINDS, "storage": media.storage(g.workspace),
        "unfinished": uploads.unfinished(g.workspace, g.user), "words": words, "problems": [], "added": [],
        "file_address": "", "most": MOST_FILES,
        "every": "3s" if any(_waits(one) and one.created_at > fresh for one in shelf.files) else "",
    }


def _waits(stored: Media) -> bool:
    return stored.kind == VIDEO and stored.thumbnail_at is None


# ---------------------------------------------------------------- one file


@bp.get("/<media_id>")
@requires("see")
def one(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """One file: large, with its facts, its description and the posts that use it."""
    return show("library_file.html", "file", **_one(media.one(g.workspace, media_id)))


def _one(stored: Media) -> dict[str, Any]:
    return {"stored": stored, "posts": library.posts_with(stored), "uses": library.uses([stored.id]).get(stored.id, 0),
            "words": words, "shown_inline": stored.type in SHOWN_TYPES,
            "is_cleaned": stored.type in locations.TYPES, "errors": {}, "alt": stored.alt_text,
            "takes_alt": stored.kind in (IMAGE, GIF), "state_of": _state_of, "asks": False, "needed": None}


def _state_of(post: Post) -> str:
    """How a post stands, in a word or two."""
    return post.state if post.state in UNSENT else words.summary(post.deliveries)


@bp.get("/<media_id>/file")
@requires("see")
def file(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """The file itself, in ranges where the browser asks for them, so that a long video begins at once."""
    stored = media.one(g.workspace, media_id)
    kind, name = stored.type, stored.name or stored.id
    try:
        path = media.local(stored)
    except Missing:
        abort(404)
    except Unavailable as away:
        abort(503, away.message)
    inline = media.shows_inline(kind) and request.args.get("save") != "yes"
    answer = send_file(path, mimetype=kind, conditional=True, as_attachment=not inline, download_name=name)
    answer.headers["Cache-Control"] = "private, max-age=3600"
    return answer


@bp.post("/<media_id>/alt")
@requires("compose")
def describe(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """Keep what a picture shows, in words."""
    stored, text = media.one(g.workspace, media_id), request.form.get("alt", "")
    try:
        media.alt(stored, text, g.user)
    except media.Refused as problem:
        return invalid("library_file.html", "file", **{
            **_one(stored), "errors": {"alt": str(problem)}, "alt": text})
    return _changed(stored, "The description is saved. New posts begin with it.")


@bp.post("/<media_id>/keep")
@requires("compose")
def keep(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """Keep a file in the library, or let it go a day after its last post."""
    stored, is_kept = media.one(g.workspace, media_id), request.form.get("keep") == "yes"
    media.keep_in_library(stored, is_kept)
    return _changed(stored, "It stays in the library until somebody deletes it." if is_kept else
                    "It goes a day after the last post that needs it.")


def _changed(stored: Media, said: str) -> ResponseReturnValue:
    back = url_for(".one", workspace_id=g.workspace.id, media_id=stored.id)
    return done("library_file.html", "file", back, said, **_one(media.one(g.workspace, stored.id)))


@bp.get("/<media_id>/delete")
@requires("compose")
def ask(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """The question before a file is deleted, or what stands in its way."""
    stored = media.one(g.workspace, media_id)
    return show("library_file.html", **{**_one(stored), "asks": True, "needed": _needed(stored)})


@bp.post("/<media_id>/delete")
@requires("compose")
def delete(workspace_id: str, media_id: str) -> ResponseReturnValue:
    """Delete a file for good; 409 with the posts that need it."""
    stored = media.one(g.workspace, media_id)
    name = stored.name or "The file"
    try:
        media.delete(stored, g.user)
    except media.StillNeeded as why:
        found = media.one(g.workspace, media_id)
        return show("library_file.html", None, 409, **{**_one(found), "asks": True, "needed": why})
    return moved(url_for(".index", workspace_id=workspace_id), f"{name} is deleted.")


def _needed(stored: Media) -> media.StillNeeded | None:
    try:
        media.refuse_needed(stored)
    except media.StillNeeded as why:
        return why
    return None


# ---------------------------------------------------------------- the picker of the compose form


@bp.get("/pick")
@requires("compose")
def pick(workspace_id: str) -> ResponseReturnValue:
    """Files to choose for a post; with script a dialog over the form, else a page that leads to a new one."""
    carried = [("media", one) for one in dict.fromkeys(request.args.getlist("media"))][:MOST_FIELDS]
    return show("library_pick.html", "picker", **_picker(request.args), carried=carried, back="")


@bp.post("/pick")
@requires("compose")
@takes_files
def pick_for_form(workspace_id: str) -> ResponseReturnValue:
    """The same from a form without script: everything typed comes along and goes back with what is chosen."""
    form = request.form
    carried = [(name, value) for name, value in form.items(multi=True) if name not in CARRIED_BUT][:MOST_FIELDS]
    for stored in received()[0]:  # a file was chosen, and then the library instead of a check
        carried.append(("media", stored.id))
    return show("library_pick.html", "picker", **_picker(form), carried=carried, back="form")


@bp.get("/picked")
@requires("compose")
def picked(workspace_id: str) -> ResponseReturnValue:
    """What was chosen in the dialog, as the form of a post shows it."""
    ids = list(dict.fromkeys(request.args.getlist("media")))[:MOST_FILES]
    return show("media.html", "items", stored=media.still_there(g.workspace, ids), refused=[])


def _picker(given: Any) -> dict[str, Any]:
    searched, before = str(given.get("pick_words", "")).strip()[:LONGEST_SEARCH], str(given.get("pick_before", ""))[:40]
    shelf = library.shelf(g.workspace, words=searched, before=before, limit=PICKED_PAGE)
    return {"shelf": shelf, "searched": searched, "before": before}
