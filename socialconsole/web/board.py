"""Behind the numbers of Health: whom an admin asks for what. The tick for the keys, and the report to take away."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import board, canaries, checklist, doctor, weather
from ..access import requires
from ..config import Config
from ..outside import now as present
from ..providers import PROVIDERS
from .page import moved, show

bp = Blueprint("board", __name__, url_prefix="/admin/health")

CHANGED = "The keys are others than when this page was opened. Copy those, then say so again."


@bp.get("/profiles")
@requires("admin")
def profiles() -> ResponseReturnValue:
    """The profiles of a platform in one state, over all workspaces, with the owners to ask."""
    platform, column = _asked(board.PROFILES)
    page = board.profiles(platform, column.word, present(), request.args.get("before", "")[:40])
    lines = [(line, board.message(line, _config().public_url)) for line in page.lines]
    return _list("profiles", platform, column, lines, page.next)


@bp.get("/posts")
@requires("admin")
def posts() -> ResponseReturnValue:
    """How many posts of which profiles are in one state: numbers and owners, nothing of what they say."""
    platform, column = _asked(board.POSTS)
    lines = [(line, board.post_message(line, column.word, _config().public_url))
             for line in board.posts(platform, column.word)]
    return _list("posts", platform, column, lines, "")


def _list(kind: str, platform: str, column: board.Column, lines: list[Any], following: str) -> ResponseReturnValue:
    older = url_for(f".{kind}", platform=platform, state=column.word, before=following) if following else ""
    newest = url_for(f".{kind}", platform=platform, state=column.word) if request.args.get("before") else ""
    return show("health_list.html", None, kind=kind, platform=PROVIDERS[platform], column=column, lines=lines,
                older=older, newest=newest, sky=weather.of(platform, present()))


def _asked(columns: tuple[board.Column, ...]) -> tuple[str, board.Column]:
    """Platform and column of the address; 404 for any that does not exist."""
    platform, word = request.args.get("platform", ""), request.args.get("state", "")
    column = next((one for one in columns if one.word == word), None)
    if platform not in PROVIDERS or column is None:
        abort(404)
    return platform, column


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


@bp.post("/keys")
@requires("admin")
def keys() -> ResponseReturnValue:
    """An admin has a copy of the keys."""
    is_kept = checklist.confirm_keys(request.form.get("keys", ""), g.user, present())
    return moved(url_for("health.page", _anchor="checklist"), "Noted: there is a copy of the keys." if is_kept
                 else CHANGED)


@bp.post("/canary")
@requires("admin")
def canary() -> ResponseReturnValue:
    """An admin makes one of their own profiles the canary of its platform, or none."""
    platform = request.form.get("platform", "")
    if platform not in PROVIDERS:
        abort(404)
    try:
        chosen = canaries.choose(g.user, platform, request.form.get("account", "")[:40], present())
    except canaries.NotOffered as error:
        return moved(url_for("health.page", _anchor="canaries"), str(error))
    name = PROVIDERS[platform].name
    return moved(url_for("health.page", _anchor="canaries"), f"{name} has no canary." if chosen is None else
                 f"The canary of {name} is read within a minute, then every quarter of an hour.")


@bp.get("/report")
@requires("admin")
def report() -> ResponseReturnValue:
    """The same as `socialconsole doctor --bundle`: a file to hand on, without anything of a tenant's."""
    now = present()
    found = doctor.examine_running(now)
    answer = Response(doctor.bundle(found, _config(), now), mimetype="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{doctor.file_name(now)}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer
