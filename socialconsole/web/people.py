"""A person's own page: name, time zone, theme, password, and the browsers they are signed in with."""

from typing import Any

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import access, audit, logins, members, outside, passwords, times
from ..access import requires
from ..database import writing
from . import sign_in
from .page import done, invalid, moved, show, wants_block

bp = Blueprint("people", __name__, url_prefix="/me")

THEMES = ("auto", "light", "dark")
# What a browser calls itself -> how people call it. The first that fits counts: most claim to be others too.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox/", "Firefox"),
            ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"))
SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"),
           ("Windows", "Windows"), ("Mac OS X", "Mac"), ("Linux", "Linux"))


@bp.get("")
@requires("signed_in")
def me() -> ResponseReturnValue:
    """Who is signed in and where, name, time zone, theme, and a form to change the password."""
    return show("me.html", None, **_context())


def _context(**more: Any) -> dict[str, Any]:
    typed = {"name": g.user.name, "time_zone": g.user.time_zone}
    return {"errors": {}, "typed": typed, "zones": times.zones(), "browser_of": browser_of,
            "logins": logins.living(g.user, outside.now()), **more}


def browser_of(agent: str) -> str:
    """`Firefox on Linux`, from what a browser calls itself."""
    browser = next((name for sign, name in BROWSERS if sign in agent), "")
    system = next((name for sign, name in SYSTEMS if sign in agent), "")
    return " on ".join(part for part in (browser or "A browser", system) if part)


# ---------------------------------------------------------------- name and time zone


@bp.post("/details")
@requires("signed_in")
def save_details() -> ResponseReturnValue:
    """Keep name and time zone."""
    name, zone, errors = members.tidy_name(request.form.get("name", "")), request.form.get("time_zone", ""), {}
    if problem := members.name_problem(name):
        errors["name"] = problem
    if zone and zone not in times.zones():
        errors["time_zone"] = "Choose a time zone from the list, or that of the workspace."
    if errors:
        return invalid("me.html", "details", **_context(
            errors=errors, typed={"name": request.form.get("name", ""), "time_zone": zone}))
    if (name, zone) != (g.user.name, g.user.time_zone):
        with writing():
            before = g.user.shown
            g.user.name, g.user.time_zone = name, zone
            audit.record("person.details", "user", g.user.id, "Changed name or time zone", name=name, before=before)
    return moved(url_for(".me"), "Saved.")


# ---------------------------------------------------------------- browsers


@bp.post("/logins/<login_id>/end")
@requires("signed_in")
def end_login(login_id: str) -> ResponseReturnValue:
    """Sign one browser out; if it is this one, on to the sign-in page."""
    if login_id == g.login.id:
        return sign_in.sign_out()
    ended = logins.end_one(g.user, login_id, outside.now())
    said = "That browser is signed out." if ended else "That browser was signed out already."
    return done("me.html", "logins", url_for(".me"), said, **_context())


@bp.post("/logins/end-others")
@requires("signed_in")
def end_other_logins() -> ResponseReturnValue:
    """Sign all other browsers out."""
    number = logins.end_all_others(g.user, g.login, outside.now())
    said = {0: "No other browser was signed in.", 1: "The other browser is signed out."}.get(
        number, f"{number} other browsers are signed out.")
    return done("me.html", "logins", url_for(".me"), said, **_context())


# ---------------------------------------------------------------- password and theme


@bp.post("/password")
@requires("signed_in")
def change_password() -> ResponseReturnValue:
    """Change the password; every other browser of this person is signed out."""
    current, new = request.form.get("current", ""), request.form.get("new", "")
    if problem := passwords.problem(new, g.user.email):
        return invalid("me.html", "password", **_context(errors={"new": problem}))
    try:
        problem = logins.change_password(g.user, current, new, g.login, outside.now())
    except logins.TooMany as refusal:
        page = show("me.html", "password", 429, **_context(errors={"current": str(refusal)}))
        page.headers["Retry-After"] = str(max(1, round(refusal.wait.total_seconds())))
        return page
    if problem:
        return invalid("me.html", "password", **_context(errors={"current": problem}))
    return moved(url_for(".me"), "Your password is changed. Other browsers have to sign in again.")


@bp.post("/theme")
@requires("signed_in")
def choose_theme() -> ResponseReturnValue:
    """Keep the theme this person chose; a plain browser goes back to the page it was on."""
    theme = request.form.get("theme", "")
    if theme not in THEMES:
        return invalid("me.html", "password", **_context(
            errors={"theme": "Choose the theme of the device, light or dark."}))
    if theme != g.user.theme:
        with writing():
            g.user.theme = theme
    if wants_block():
        return "", 204
    back = access.safe_next(request.form.get("next", ""))
    return moved(request.script_root + back if back else url_for(".me"))
