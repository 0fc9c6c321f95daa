"""Where the link of an invitation leads: one page for whoever holds it, with an account or without.

The token stands in the path, which the log never shows, and pages of ours name no address to other sites.
"""

from typing import Any

from flask import Blueprint, Response, g, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import TooManyRequests

from .. import access, logins, members, outside
from ..access import requires
from ..extensions import db
from ..models import Invitation, Membership, Workspace
from .page import moved, show
from .sign_in import signed_in

# role -> what one may do there, as the invitation says it
WHAT = {
    "viewer": "You can look at everything there.",
    "editor": "You can look at everything there, write and change posts and files, and reconnect profiles.",
    "owner": "You can do everything there: also connect profiles, invite people and change the settings.",
}

bp = Blueprint("join", __name__, url_prefix="/join")


@bp.get("/<token>")
@requires("public")
def form(token: str) -> ResponseReturnValue:
    """What the invitation is for, and how this very person takes it."""
    try:
        return _page(token, _find(token))
    except members.NoInvitation:
        return _gone()


@bp.post("/<token>")
@requires("public")
def take(token: str) -> ResponseReturnValue:
    """Join: with one's account, or with a new one that is signed in at once. The link works once."""
    try:
        found = _find(token)
        return _take_in(token, found) if g.user else _take_in_new(token, found)
    except members.NoInvitation:
        return _gone()


def _find(token: str) -> Invitation:
    """The invitation. Raises NoInvitation, and TooManyRequests for who tries many links that lead nowhere."""
    now = outside.now()
    try:
        logins.refuse_guesser(g.address, now)
    except logins.TooMany as refusal:
        raise TooManyRequests(str(refusal), retry_after=max(1, round(refusal.wait.total_seconds()))) from None
    try:
        return members.open_invitation(token[:100], now)
    except members.NoInvitation:
        logins.note_guess(g.address, now)
        raise


def _take_in(token: str, found: Invitation) -> ResponseReturnValue:
    try:
        workspace = members.join(token, g.user, outside.now())
    except members.ForSomebodyElse:
        return _page(token, found, 403)
    except members.IsMember:
        return _page(token, found, 409)
    return moved(url_for("accounts.index", workspace_id=workspace.id), f"You are a member of {workspace.name} now.")


def _take_in_new(token: str, found: Invitation) -> ResponseReturnValue:
    typed = {name: request.form.get(name, "") for name in ("email", "name")}
    now, workspace_id = outside.now(), found.workspace_id
    try:
        user = members.join_new(token, typed["email"], typed["name"], request.form.get("password", ""), now)
    except access.Invalid as refusal:
        return _page(token, found, 422, errors=refusal.errors, typed=typed)
    except members.AccountExists:
        if found.email:
            return _page(token, found, 409)
        logins.note_guess(g.address, now)  # or a link would be a way to try out who has an account
        return _page(token, found, 422, typed=typed, errors={
            "email": "This address has an account here already. Sign in with it, and you come back to this page."})
    return signed_in(logins.begin(user, access.caller(), now), url_for("accounts.index", workspace_id=workspace_id))


def _page(token: str, found: Invitation, status: int = 200, **more: Any) -> Response:
    workspace = db.session.get_one(Workspace, found.workspace_id)
    return show("join.html", None, status, **{
        "invitation": found, "workspace": workspace, "inviter": members.inviter(found), "what": WHAT[found.role],
        "way": _way(found), "token": token, "errors": {}, "typed": {}, **more})


def _way(found: Invitation) -> str:
    """How this person takes the invitation: join, member, other, sign_in, new."""
    if g.user is None:
        return "sign_in" if found.email and logins.by_email(found.email) else "new"
    if found.email and found.email != g.user.email:
        return "other"
    return "member" if db.session.get(Membership, (found.workspace_id, g.user.id)) else "join"


def _gone() -> Response:
    return show("join_gone.html", None, 404)
