"""The receipt of a consent: for the person who gave it, and for the owners of the workspace; to read, print, keep."""

from flask import Blueprint, Response, abort, current_app, g, make_response, url_for
from flask.typing import ResponseReturnValue

from .. import access, mail, outbox, receipts
from ..access import requires
from ..database import alone, writing
from ..models import ConnectionAttempt
from ..receipts import Receipt
from .page import moved, show

bp = Blueprint("receipts", __name__, url_prefix="/w/<workspace_id>/connect/<attempt_id>")

MAILED = "receipt"  # the kind of its mail


def _receipt(attempt_id: str) -> tuple[ConnectionAttempt, Receipt]:
    """The attempt and its receipt; 404 for anybody else's, but for owners, and where none is kept."""
    found = receipts.find(g.workspace, attempt_id)
    if found is None or (found.user_id != g.user.id and not access.may("manage")):
        abort(404)
    receipt = receipts.of(found)
    if receipt is None:
        abort(404)
    return found, receipt


@bp.get("/receipt")
@requires("reconnect")
def receipt(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """What was agreed to, as a page that prints well."""
    found, made = _receipt(attempt_id)
    return show("receipt.html", attempt=found, receipt=made, can_mail=mail.is_set(current_app.extensions["config"]))


@bp.get("/receipt.txt")
@requires("reconnect")
def download(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """The same as a text file."""
    _, made = _receipt(attempt_id)
    answer: Response = make_response(receipts.text(made))
    answer.headers["Content-Type"] = "text/plain; charset=utf-8"
    answer.headers["Content-Disposition"] = f'attachment; filename="{receipts.file_name(made)}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.post("/receipt/mail")
@requires("reconnect")
def send(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """Mail it to the person in front of the page, once."""
    found, made = _receipt(attempt_id)
    with writing():
        alone("receipt", found.id)  # pressed twice at once it is one mail all the same
        sent = outbox.put(g.user, MAILED, f"Receipt: {made.platform} connected to {made.workspace}",
                          receipts.text(made), once=f"receipt {found.id} {g.user.id}")
    said = f"The receipt is on its way to {g.user.email}." if sent else \
        "The receipt was mailed to you already." if mail.is_set(current_app.extensions["config"]) else \
        "This console sends no mail. Download the receipt instead."
    return moved(url_for(".receipt", workspace_id=workspace_id, attempt_id=found.id), said)


def last_of(account_id: str, platform: str) -> str:
    """The id of the newest attempt with a receipt that names an account, for whoever may read it; "" if none is."""
    found = receipts.newest(g.workspace, platform, account_id)
    mine = found is not None and (found.user_id == g.user.id or access.may("manage")) and access.may("reconnect")
    return found.id if found is not None and mine else ""
