"""The start, signing in and signing out."""

from flask import Blueprint, Response, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from .. import access, logins, outside
from ..access import requires
from ..models import User
from .page import invalid, show

bp = Blueprint("sign_in", __name__)


@bp.get("/")
@requires("public")
def start() -> ResponseReturnValue:
    """On to where this person works: the first workspace, or Social Platform for an admin without one."""
    if g.user is None:
        return redirect(url_for(".form"), 303)
    return redirect(_home(g.user), 303)


def _home(user: User) -> str:
    members = access.memberships(user)
    if members:
        return url_for("accounts.index", workspace_id=members[0].workspace_id)
    return url_for("platform_apps.index") if user.is_platform_admin else url_for("people.me")


@bp.get("/sign-in")
@requires("public")
def form() -> ResponseReturnValue:
    """The sign-in form; before the first person exists, how to make one."""
    wanted = access.safe_next(request.args.get("next", ""))
    if g.user is not None:
        return redirect(_inside(wanted) or _home(g.user), 303)
    if not access.is_set_up():
        return show("not_set_up.html")
    return show("sign_in.html", email="", next=wanted, problem="")


@bp.post("/sign-in")
@requires("public")
def sign_in() -> ResponseReturnValue:
    """Sign in with e-mail and password; one answer for an unknown address and for a wrong password."""
    email, wanted = request.form.get("email", ""), access.safe_next(request.form.get("next", ""))
    try:
        token = logins.sign_in(email, request.form.get("password", ""), access.caller(), outside.now())
    except logins.TooMany as refusal:
        page = show("sign_in.html", None, 429, email=email, next=wanted, problem=str(refusal), tone="warn")
        page.headers["Retry-After"] = str(max(1, round(refusal.wait.total_seconds())))
        return page
    except logins.Refused as refusal:
        return invalid("sign_in.html", email=email, next=wanted, problem=str(refusal))
    return signed_in(token, _inside(wanted) or url_for(".start"))


def _inside(path: str) -> str:
    """A checked path as the browser has to be told it, below the path of the public address."""
    return request.script_root + path if path else ""


def signed_in(token: str, address: str) -> Response:
    """Remember the login in this browser and go on to `address`; whatever the session held before is forgotten."""
    if g.login is not None:
        logins.end(g.login, outside.now())
    session.clear()
    answer = make_response(redirect(address, 303))
    answer.set_cookie(
        access.cookie_name(), token, max_age=round(logins.ABSOLUTE_END.total_seconds()), path=access.cookie_path(),
        httponly=True, samesite="Lax", secure=access.cookie_name().startswith("__Host-"))
    return answer


@bp.post("/sign-out")
@requires("public")
def sign_out() -> ResponseReturnValue:
    """End this browser's login, and go on to `next`, a public page of ours; doing it twice is the same as once."""
    wanted = access.safe_next(request.form.get("next", ""))
    if g.login is not None:
        logins.end(g.login, outside.now())
    session.clear()
    answer = make_response(redirect(_inside(wanted) or url_for("sign_in.form"), 303))
    answer.delete_cookie(access.cookie_name(), path=access.cookie_path(), httponly=True, samesite="Lax",
                         secure=access.cookie_name().startswith("__Host-"))
    answer.headers["Clear-Site-Data"] = '"storage"'
    return answer


# ---------------------------------------------------------------- a new password by link


@bp.get("/reset/<token>")
@requires("public")
def reset(token: str) -> ResponseReturnValue:
    """The form for a new password, for whoever holds an unused link."""
    if logins.link(access.RESET, token, outside.now()) is None:
        return _no_link()
    return show("reset.html", errors={}, token=token)


@bp.post("/reset/<token>")
@requires("public")
def set_password(token: str) -> ResponseReturnValue:
    """Take the new password, once."""
    try:
        is_done = access.reset_password(token, request.form.get("password", ""), outside.now())
    except access.Invalid as refusal:
        return invalid("reset.html", errors=refusal.errors, token=token)
    if not is_done:
        return _no_link()
    return show("reset_done.html")


def _no_link() -> Response:
    return show("reset_gone.html", None, 404)
