"""A forgotten password: a link by mail. The answer, and the time it takes, is the same for everybody."""

import threading
from collections.abc import Callable

from flask import Blueprint, Flask, abort, current_app, g, request
from flask.typing import ResponseReturnValue

from .. import access, logins, mail, outside
from ..access import requires
from ..config import Config
from ..extensions import db
from .members import mail_is_set
from .page import invalid, show

bp = Blueprint("forgotten", __name__, url_prefix="/forgotten")


@bp.get("")
@requires("public")
def form() -> ResponseReturnValue:
    """Where one asks for the link; not there without a mail server."""
    if not mail_is_set():
        abort(404)
    return show("forgotten.html", None, email="", errors={}, is_asked=False)


@bp.post("")
@requires("public")
def ask() -> ResponseReturnValue:
    """Mail a link to choose a new password, if somebody has that address here."""
    if not mail_is_set():
        abort(404)
    email = request.form.get("email", "").strip()
    if not access.EMAIL.fullmatch(email):
        return invalid("forgotten.html", email=email, is_asked=False, errors={
            "email": "Give the e-mail address you sign in with, such as mara@example.com."})
    try:
        logins.count_reset(email, g.address, outside.now())
    except logins.TooMany as refusal:
        page = show("forgotten.html", None, 429, email=email, errors={"email": str(refusal)}, is_asked=False)
        page.headers["Retry-After"] = str(max(1, round(refusal.wait.total_seconds())))
        return page
    # Looking the address up and speaking to the mail server take time that would tell who has an account.
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    aside(lambda: _send(app, email))
    return show("forgotten.html", None, email=email, errors={}, is_asked=True)


def aside(work: Callable[[], None]) -> None:
    """Do something after the answer; it is lost if the process ends meanwhile."""
    threading.Thread(target=work, daemon=True).start()


def _send(app: Flask, email: str) -> None:
    with app.app_context():
        config: Config = app.extensions["config"]
        try:
            link = access.reset_link(email)
            db.session.remove()
            mail.send(config, email.lower(), "A new password for Social Console", _letter(link, config))
        except (access.UnknownPerson, mail.NotSent):
            pass  # what went wrong with a mail is in the log; to tell it here would tell who has an account
        finally:
            db.session.remove()


def _letter(link: str, config: Config) -> str:
    return (f"Somebody, most likely you, asked for a new password at {config.public_url}.\n\n"
            f"Open this link to choose one. It works once, for a day:\n\n{link}\n\n"
            "If it was not you, ignore this mail: your password stays as it is.\n")
