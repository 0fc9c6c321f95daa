"""A person's own page: password and theme."""

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import access, logins, outside, passwords
from ..access import requires
from ..database import writing
from .page import invalid, moved, show, wants_block

bp = Blueprint("people", __name__, url_prefix="/me")

THEMES = ("auto", "light", "dark")


@bp.get("")
@requires("signed_in")
def me() -> ResponseReturnValue:
    """Who is signed in, the theme, and a form to change the password."""
    return show("me.html", errors={})


@bp.post("/password")
@requires("signed_in")
def change_password() -> ResponseReturnValue:
    """Change the password; every other browser of this person is signed out."""
    current, new = request.form.get("current", ""), request.form.get("new", "")
    if problem := passwords.problem(new, g.user.email):
        return invalid("me.html", "password", errors={"new": problem})
    try:
        problem = logins.change_password(g.user, current, new, g.login, outside.now())
    except logins.TooMany as refusal:
        page = show("me.html", "password", 429, errors={"current": str(refusal)})
        page.headers["Retry-After"] = str(max(1, round(refusal.wait.total_seconds())))
        return page
    if problem:
        return invalid("me.html", "password", errors={"current": problem})
    return moved(url_for(".me"), "Your password is changed. Other browsers have to sign in again.")


@bp.post("/theme")
@requires("signed_in")
def choose_theme() -> ResponseReturnValue:
    """Keep the theme this person chose; a plain browser goes back to the page it was on."""
    theme = request.form.get("theme", "")
    if theme not in THEMES:
        return invalid("me.html", "password", errors={"theme": "Choose the theme of the device, light or dark."})
    if theme != g.user.theme:
        with writing():
            g.user.theme = theme
    if wants_block():
        return "", 204
    back = access.safe_next(request.form.get("next", ""))
    return moved(request.script_root + back if back else url_for(".me"))
