"""Members of a workspace: who is in, with which role, and the invitations that are open."""

from typing import Any

from flask import Blueprint, current_app, g, request, session, url_for
from flask.typing import ResponseReturnValue

from .. import access, mail, members, outside
from ..access import requires
from .page import done, moved, show, wants_block

bp = Blueprint("members", __name__, url_prefix="/w/<workspace_id>")

# role -> what somebody in it may do, in the order of how much that is
ROLES = {
    "viewer": "Sees everything here and changes nothing.",
    "editor": "Also writes and changes posts and files, and reconnects profiles.",
    "owner": "Also connects profiles, invites people and changes the settings.",
}
FRESH = "fresh_invitation"  # in the session: the one link that the next page shows, and no other after it


@bp.app_template_global("mail_is_set")
def mail_is_set() -> bool:
    """Whether invitations can be mailed."""
    return mail.is_set(current_app.extensions["config"])


@bp.get("/members")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """Everybody in the workspace, and for owners the open invitations. A link just made is shown this once."""
    return show("members.html", None, **_context(fresh=kept_link(workspace_id)))


def _context(**more: Any) -> dict[str, Any]:
    waiting = members.invitations(g.workspace) if access.may("people") else []
    return {"members": members.members(g.workspace), "invitations": waiting, "inviters": members.inviters(waiting),
            "now": outside.now(), "roles": ROLES, "errors": {}, "typed": {"role": "editor", "email": ""}, "problem": "",
            "fresh": None, "leaving": None, "asked": "", **more}


def _here() -> str:
    return url_for(".index", workspace_id=g.workspace.id)


def _moved_on(why: object) -> ResponseReturnValue:
    """The members as they are now, saying why nothing was done."""
    return show("members.html", "people", 409, **_context(problem=str(why)))


# ---------------------------------------------------------------- roles


@bp.post("/members/<member_id>/role")
@requires("people")
def change_role(workspace_id: str, member_id: str) -> ResponseReturnValue:
    """Give a member another role. It counts from the next click on."""
    role, found = request.form.get("role", ""), members.member(g.workspace, member_id)
    try:
        is_new = members.change_role(g.workspace, member_id, request.form.get("was", found.role), role)
    except access.Invalid as refusal:
        return show("members.html", "people", 422, **_context(problem=str(refusal)))
    except (members.LastOwner, members.MovedOn) as refusal:
        return _moved_on(refusal)
    name = "You are" if member_id == g.user.id else f"{found.user.shown} is"
    said = f"{name} {'now' if is_new else 'already'} {access.ROLE_WORDS[role].lower()} of {g.workspace.name}."
    if is_new and member_id == g.user.id:
        return moved(_here(), said)  # what the page may show has changed with the role
    return done("members.html", "people", _here(), said, **_context(asked=f"role-{member_id}"))


# ---------------------------------------------------------------- removing, leaving


@bp.get("/members/<member_id>/remove")
@requires("people")
def ask_remove(workspace_id: str, member_id: str) -> ResponseReturnValue:
    """The question before a member is removed: what goes, what stays."""
    found = members.member(g.workspace, member_id)
    if found.user_id == g.user.id:
        return moved(url_for(".ask_leave", workspace_id=workspace_id))
    return show("members.html", None, **_context(leaving=found.user))


@bp.post("/members/<member_id>/remove")
@requires("people")
def remove(workspace_id: str, member_id: str) -> ResponseReturnValue:
    """Take a member out, at once."""
    if member_id == g.user.id:
        return leave(workspace_id)
    try:
        name = members.remove(g.workspace, member_id)
    except members.LastOwner as refusal:
        return _moved_on(refusal)
    return moved(_here(), f"{name} is no longer a member of {g.workspace.name}.")


@bp.get("/members/leave")
@requires("see")
def ask_leave(workspace_id: str) -> ResponseReturnValue:
    """The question before one leaves."""
    return show("members.html", None, **_context(leaving=g.user))


@bp.post("/members/leave")
@requires("see")
def leave(workspace_id: str) -> ResponseReturnValue:
    """Leave the workspace, at once."""
    name = g.workspace.name
    try:
        members.leave(g.workspace, g.user)
    except members.LastOwner as refusal:
        return _moved_on(refusal)
    return moved(url_for("sign_in.start"), f"You have left {name}.")


# ---------------------------------------------------------------- invitations


@bp.post("/invitations")
@requires("people")
def invite(workspace_id: str) -> ResponseReturnValue:
    """Make an invitation. Its link is shown once, and mailed where an address and a mail server are there."""
    typed = {name: request.form.get(name, "") for name in ("role", "email")}
    try:
        invited = members.invite(g.workspace, typed["role"], typed["email"], g.user)
    except access.Invalid as refusal:
        return show("members.html", "people", 422, **_context(errors=refusal.errors, typed=typed))
    return _show_link(invited)


@bp.post("/invitations/<invitation_id>/renew")
@requires("people")
def renew(workspace_id: str, invitation_id: str) -> ResponseReturnValue:
    """Another link for an invitation; the earlier one stops working."""
    try:
        invited = members.renew(g.workspace, invitation_id, g.user)
    except members.MovedOn as refusal:
        return _moved_on(refusal)
    return _show_link(invited)


@bp.post("/invitations/<invitation_id>/revoke")
@requires("people")
def revoke(workspace_id: str, invitation_id: str) -> ResponseReturnValue:
    """Take an invitation back."""
    try:
        members.revoke(g.workspace, invitation_id)
    except members.MovedOn as refusal:
        return _moved_on(refusal)
    return done("members.html", "people", _here(), "The invitation is taken back. Its link no longer works.",
                **_context())


def fresh_link(invited: members.Invited) -> dict[str, str]:
    """What a page needs to show a link once: the link, for whom, and what became of the mail."""
    problem = members.send(invited)
    found = invited.invitation
    return {"link": members.link_of(invited.token), "id": found.id, "email": found.email, "role": found.role,
            "problem": problem, "mailed": "yes" if found.mailed_at else "", "workspace": found.workspace_id}


def keep_link(fresh: dict[str, str]) -> None:
    """Let the next page show the link; only the cookie of this very browser has it meanwhile."""
    session[FRESH] = fresh


def kept_link(workspace_id: str) -> dict[str, str] | None:
    """The link that was just made for this workspace, the first time one asks."""
    fresh: dict[str, str] = session.get(FRESH, {})
    if fresh.get("workspace") != workspace_id:
        return None
    session.pop(FRESH)
    return fresh


def _show_link(invited: members.Invited) -> ResponseReturnValue:
    fresh = fresh_link(invited)
    if not wants_block():
        keep_link(fresh)
    return done("members.html", "people", _here(), **_context(fresh=fresh))
