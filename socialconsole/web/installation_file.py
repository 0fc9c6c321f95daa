"""Admin → Social Platform → Configuration file: the console as a file, what a file would change, and applying it.

Between the plan and its confirmation the text travels in the form itself and is judged anew: nothing in the form has to
be believed. A file that is sent here may refer to variables of the environment only, and only to such as are for that.
"""

from typing import Any

from flask import Blueprint, Response, current_app, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import installation_apply, managed_apps, outside
from .. import installation_file as files
from .. import installation_plan as plans
from ..access import requires
from ..config import SETTINGS, Config
from ..installation_apply import LossesNotAccepted, Moved
from ..installation_file import Document, Refused
from ..installation_plan import Plan
from .bulk import takes_sheet
from .media import takes_files
from .page import moved, show

bp = Blueprint("installation_file", __name__, url_prefix="/admin/configuration")

TEMPLATE = "installation_file.html"
NOT_KEPT = "What you sent was not kept, since a secret seems to stand in it. Mend the file, then send it again."
NOTHING_SENT = "Choose a file, or paste what stands in one."
SOURCES = {"environment": "the environment", "file": "a file that the environment names", "default": "the default"}


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# ---------------------------------------------------------------- the page


@bp.get("")
@requires("admin")
def page() -> ResponseReturnValue:
    """The file that manages this console and how far the console is from it; the ways in and out."""
    return _page()


def _page(status: int = 200, **more: Any) -> Response:
    return show(TEMPLATE, None, status, **{
        "managed": managed_apps.current(), "console_file": _config().console_file, "own": _own_plan(), "plan": None,
        "problems": [], "text": "", "is_own": False, "done": [], "problem": "", "settings": _settings(),
        "most": files.MOST_BYTES // 1000, **more})


def _own_plan() -> Plan | Refused | None:
    """How far the console is from the file that manages it; why that cannot be told; None without such a file."""
    try:
        document = installation_apply.console_file()
        return plans.make(document, outside.now(), by_file=True) if document is not None else None
    except Refused as refusal:
        return refusal


def _settings() -> list[tuple[str, str, str]]:
    """Each setting of the environment: its name, its value where that is no secret, and where it came from."""
    config = _config()
    return [(one.name, ("set, not shown" if config.source[one.name] != "default" else "not set") if one.secret
             else config.shown[one.name], SOURCES.get(config.source[one.name], config.source[one.name]))
            for one in SETTINGS]


@bp.get("/console.json")
@requires("admin")
def export() -> ResponseReturnValue:
    """The console as a file, to be kept; it holds no secret."""
    answer = Response(plans.export(named_secrets=request.args.get("secrets") == "env"), mimetype="application/json")
    answer.headers["Content-Disposition"] = "attachment; filename=console.json"
    return answer


# ---------------------------------------------------------------- a file


@bp.post("/plan")
@requires("admin")
@takes_sheet
@takes_files
def plan() -> ResponseReturnValue:
    """What a file would change, field by field; changes nothing."""
    text, is_own = _sent(), _is_own()
    try:
        found = _plan(text, is_own)
    except Refused as refusal:
        return _refused(refusal, text, is_own)
    return _page(422 if found.problems else 200, plan=found, problems=found.problems, text=text, is_own=is_own)


@bp.post("/apply")
@requires("admin")
@takes_sheet
@takes_files
def apply() -> ResponseReturnValue:
    """Do what the confirmed plan says; 409 with the present plan where it is another one meanwhile."""
    text, is_own = _sent(), _is_own()
    try:
        document = _document(text, is_own)
        done = installation_apply.apply(
            document, g.user, outside.now(), accept="accept" in request.form, insist="insist" in request.form,
            seen=request.form.get("plan", ""), from_page=not is_own, by_file=is_own)
    except Refused as refusal:
        return _refused(refusal, text, is_own)
    except Moved as stale:
        return _page(409, plan=stale.plan, problems=stale.plan.problems, text=text, is_own=is_own,
                     problem="The console or the file was changed since this plan was shown, so nothing was done. "
                             "Below is the plan as it is now.")
    except LossesNotAccepted:
        return _page(422, plan=_plan(text, is_own), text=text, is_own=is_own,
                     problem="Nothing was changed. Tick that people may lose what the plan says, or change the file.")
    if all(one.is_whole for one in done):
        return moved(url_for(".page"), _said(len(done)))
    return _page(409, done=done, text=text, is_own=is_own)


def _refused(refusal: Refused, text: str, is_own: bool) -> Response:
    """What was sent, and what is wrong with it. A secret that was written into it is not sent back."""
    if any(files.holds_secret(problem) for problem in refusal.problems):
        return _page(422, problems=[*refusal.problems, NOT_KEPT], is_own=is_own)
    return _page(422, problems=refusal.problems, text=text, is_own=is_own)


def _said(number: int) -> str:
    if not number:
        return "Nothing to do: the console is as the file says."
    return "The file is applied: 1 thing changed." if number == 1 else f"The file is applied: {number} things changed."


def _is_own() -> bool:
    """Whether the file is meant that the start of this console takes over."""
    return request.form.get("own") == "yes" and _config().console_file is not None


def _sent() -> str:
    """The text of this request: of a chosen file, else what was pasted. Bytes that are no text show as such."""
    upload = request.files.get("file")
    if upload is not None and upload.filename:
        return upload.stream.read(files.MOST_BYTES + 1).decode("utf-8-sig", "replace")
    return request.form.get("text", "")


def _document(text: str, is_own: bool) -> Document:
    document = installation_apply.console_file() if is_own else None
    if document is not None:
        return document
    if not text.strip():
        raise Refused([NOTHING_SENT])
    return files.read(text)


def _plan(text: str, is_own: bool) -> Plan:
    return plans.make(_document(text, is_own), outside.now(), from_page=not is_own, by_file=is_own)
