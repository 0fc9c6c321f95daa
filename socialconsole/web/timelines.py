"""Timelines: what connections, renewals and tries to publish did, for those they concern; and for admins as a file."""

from typing import Any

from flask import Blueprint, Response, abort, g, make_response, request, url_for
from flask.typing import ResponseReturnValue

from .. import accounts, posts, recordings
from ..access import requires
from ..models import Recording
from ..providers import PROVIDERS
from ..providers import provider as provider_of
from ..recordings import Wanted
from .page import show
from .timeline_words import KINDS, OUTCOMES, Told, as_json, as_text, tell

bp = Blueprint("timelines", __name__)

PAGE = 20
ADMIN_PAGE = 40
FORMS = {"text": (as_text, "text/plain; charset=utf-8", "txt"), "json": (as_json, "application/json", "json")}
OUTCOME_CHOICES = (("trouble", "What went wrong"), (recordings.OK, "What went well"),
                   *((word, label) for word, (_, label) in OUTCOMES.items()))


# ---------------------------------------------------------------- of a workspace


@bp.get("/w/<workspace_id>/timelines/<recording_id>")
@requires("see")
def one(workspace_id: str, recording_id: str) -> ResponseReturnValue:
    """One timeline of the workspace."""
    found = recordings.one(g.workspace, recording_id) or abort(404)
    return show("timeline.html", told=tell(found), workspace_name="", is_admin_page=False)


@bp.get("/w/<workspace_id>/profiles/<account_id>/timelines")
@requires("see")
def of_account(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """The connections and renewals of one profile, newest first."""
    found = accounts.account(g.workspace, account_id)
    told, older = _page(recordings.subjects_of(found))
    return show("timelines.html", told=told, older=older, newest=_newest(), about="profile",
                name=found.display_name or found.username, platform=provider_of(found.platform).name,
                back=url_for("accounts.account", workspace_id=workspace_id, account_id=found.id))


@bp.get("/w/<workspace_id>/posts/<post_id>/timelines/<delivery_id>")
@requires("see")
def of_delivery(workspace_id: str, post_id: str, delivery_id: str) -> ResponseReturnValue:
    """Every try to publish a post to one profile, newest first."""
    delivery = posts.delivery(g.workspace, delivery_id)
    if delivery.post_id != post_id:
        abort(404)
    told, older = _page([delivery.id])
    return show("timelines.html", told=told, older=older, newest=_newest(), about="post",
                name=delivery.account.display_name or delivery.account.username,
                platform=provider_of(delivery.account.platform).name,
                back=url_for("posts.post", workspace_id=workspace_id, post_id=post_id))


def _page(subjects: list[str]) -> tuple[list[Told], str | None]:
    """One page of the recordings of these, and the address of those that are older."""
    found = recordings.of_subjects(g.workspace, subjects, limit=PAGE + 1, before=_before())
    return [tell(row) for row in found[:PAGE]], _older(found, PAGE)


def _older(found: list[Recording], size: int, **kept: str) -> str | None:
    if len(found) <= size:
        return None
    return _here(before=found[size - 1].id, **kept)


def _newest(**kept: str) -> str | None:
    return _here(**kept) if _before() else None


def _here(**values: Any) -> str:
    """The address of this page, with these values."""
    return url_for(request.endpoint or "", **{**(request.view_args or {}), **values})


def _before() -> str:
    return request.args.get("before", "")[:40]


# ---------------------------------------------------------------- of the installation


@bp.get("/admin/timelines")
@requires("admin")
def everywhere() -> ResponseReturnValue:
    """The timelines of all workspaces, newest first; htmx gets the list."""
    wanted = _wanted()
    kept = {name: value for name, value in vars(wanted).items() if value}
    found = recordings.everywhere(wanted, limit=ADMIN_PAGE + 1, before=_before())
    rows = [(tell(row), name) for row, name in found[:ADMIN_PAGE]]
    return show("timelines_admin.html", "list", rows=rows, wanted=wanted, kept=kept, newest=_newest(**kept),
                older=_older([row for row, _ in found], ADMIN_PAGE, **kept), kinds=KINDS, outcomes=OUTCOME_CHOICES,
                platforms=PROVIDERS)


def _wanted() -> Wanted:
    """What the address asks for; 404 for a choice that does not exist."""
    typed = {name: request.args.get(name, "").strip() for name in ("platform", "kind", "outcome", "search")}
    for name, known in (("platform", PROVIDERS), ("kind", KINDS), ("outcome", dict(OUTCOME_CHOICES))):
        if typed[name] and typed[name] not in known:
            abort(404)
    return Wanted(**{**typed, "search": typed["search"][:40]})


@bp.get("/admin/timelines/<recording_id>")
@requires("admin")
def of_any(recording_id: str) -> ResponseReturnValue:
    """One timeline of whatever workspace."""
    found = recordings.anywhere(recording_id) or abort(404)
    return show("timeline.html", told=tell(found), workspace_name=recordings.workspace_name(found), is_admin_page=True)


@bp.get("/admin/timelines/<recording_id>/file")
@requires("admin")
def file(recording_id: str) -> Response:
    """One timeline to hand on: as text or as JSON; with the workspace's name only where that is asked for."""
    found = recordings.anywhere(recording_id) or abort(404)
    write, kind, ending = FORMS.get(request.args.get("as", "text")) or abort(404)
    name = recordings.workspace_name(found) if request.args.get("named") == "yes" else ""
    answer = make_response(write(found, name))
    answer.headers["Content-Type"] = kind
    answer.headers["Content-Disposition"] = f'attachment; filename="timeline-{found.id}.{ending}"'
    return answer
