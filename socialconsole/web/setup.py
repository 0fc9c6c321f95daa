"""First run: the one-time link leads here, and once somebody exists the page is gone."""

from typing import Any

from flask import Blueprint, abort, current_app, request, url_for
from flask.typing import ResponseReturnValue

from .. import access, address_check, logins, outside, times
from ..access import requires
from .page import invalid, moved, show, wants_block
from .sign_in import signed_in

bp = Blueprint("setup", __name__, url_prefix="/setup")

OTHER_LINK = ("This link does not work (any more). Open the one that the console printed when it last started. "
              "Each start prints a new link and ends the one before.")


@bp.get("/<token>")
@requires("public")
def form(token: str) -> ResponseReturnValue:
    """The form for the first person and the first workspace."""
    _refuse(token)
    return show("setup.html", **_form(token))


def _form(token: str, **more: Any) -> dict[str, Any]:
    found = address_check.last()
    fixes = address_check.fixes(found.worst.url, found.cause) if found else {}
    return {"errors": {}, "typed": {}, "zones": times.zones(), "token": token, "fixes": fixes,
            "config": current_app.extensions["config"], **more}


@bp.post("/<token>/address")
@requires("public")
def check_address(token: str) -> ResponseReturnValue:
    """Whether the console gets what its public address is asked; only for whoever holds the link."""
    _refuse(token)
    address_check.run()
    return show("setup.html", "address", **_form(token)) if wants_block() else moved(url_for(".form", token=token))


@bp.post("/<token>")
@requires("public")
def save(token: str) -> ResponseReturnValue:
    """Make the first person, sign in, and go on to Social Platform. The link works once."""
    _refuse(token)
    typed = {name: request.form.get(name, "") for name in ("email", "workspace", "time_zone")}
    password, now = request.form.get("password", ""), outside.now()
    try:
        user = access.set_up(typed["email"], password, typed["workspace"], typed["time_zone"], now, link=token)
    except access.Invalid as refusal:
        return invalid("setup.html", **_form(token, errors=refusal.errors, typed=typed))
    if user is None:
        abort(404, OTHER_LINK)
    return signed_in(logins.begin(user, access.caller(), now), url_for("platform_apps.index"))


def _refuse(token: str) -> None:
    if access.is_set_up():
        abort(404)
    if logins.link(access.SETUP, token, outside.now()) is None:
        abort(404, OTHER_LINK)
