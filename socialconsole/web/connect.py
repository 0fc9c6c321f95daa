"""Connect and Reconnect: out to the platform, back through the callback, and our own page that asks before anything
is stored.

The callback never renders: it answers with an address that carries no code and no state, so that neither stays in
the history of the browser.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, abort, current_app, flash, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from .. import access, accounts, connect_links, connections, explanations, outside, recordings, workspaces
from ..access import requires
from ..extensions import db
from ..models import (
    DECLINED,
    DISCONNECTED,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    STARTED,
    Account,
    ConnectionAttempt,
    PlatformApp,
)
from ..providers import provider as provider_of
from . import words
from .page import moved, show
from .timeline_words import Told, tell

bp = Blueprint("connect", __name__)

COOKIE = "console_connect"
COOKIE_SECONDS = 3600
MOST_SCOPES = 20
SEARCH_FROM = 9  # a search field only helps a longer list
HINT_AFTER_SECONDS = 120
CAME_BACK = "came_back"  # in the session: the names of the profiles that were not the one a link is for
MOST_NAMED = 5


# ---------------------------------------------------------------- out


@bp.post("/w/<workspace_id>/connect/<segment>")
@requires("connect")
def begin(workspace_id: str, segment: str) -> ResponseReturnValue:
    """Send the person to the platform's consent page, through the app with this segment."""
    return _leave(lambda: connections.offered(g.workspace, segment), None)


@bp.post("/w/<workspace_id>/profiles/<account_id>/reconnect")
@requires("reconnect")
def reconnect(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Send the person to the platform again, for a profile that is known already."""
    account = accounts.account(g.workspace, account_id)
    if account.state == DISCONNECTED and not access.may("connect"):
        abort(403)  # an owner ended this connection, so an owner begins it anew
    return _leave(lambda: connections.offered_again(account), account)


@bp.post("/w/<workspace_id>/profiles/<account_id>/grant")
@requires("reconnect")
def grant(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Send the person to the platform for just the permissions named, which the profile lacks."""
    account = accounts.account(g.workspace, account_id)
    wanted = [name for name in request.form.getlist("scopes") if name][:MOST_SCOPES]
    if not wanted:
        abort(422, "Name the permission that is missing.")
    return _leave(lambda: connections.offered_again(account), account, wanted)


def _leave(choose: Callable[[], PlatformApp], account: Account | None,
           scopes: Sequence[str] = ()) -> ResponseReturnValue:
    here = browser() or outside.secret()
    try:
        there = connections.begin(choose(), g.workspace, g.user, g.login, here, account=account, scopes=scopes)
    except connections.UnknownApp:
        abort(404)
    except connections.NotOffered as problem:
        abort(409, str(problem))
    answer = make_response(redirect(there, 303))
    answer.headers["Referrer-Policy"] = "no-referrer"
    remember(answer, here)
    return answer


def is_https() -> bool:
    """Whether the console is reached by https, so that its cookies can be bound to its host."""
    return bool(current_app.extensions["config"].https)


def _cookie_name() -> str:
    return f"__Host-{COOKIE}" if is_https() else COOKIE


def browser() -> str | None:
    """What ties an attempt to this browser; kept while several connections run side by side in two tabs."""
    value = request.cookies.get(_cookie_name(), "")
    return value if 40 <= len(value) <= 100 else None


def remember(answer: Response, value: str) -> None:
    """Tie what begins now to this browser."""
    # Lax, not Strict: the platform sends the person back from another site, and the cookie must come along.
    answer.set_cookie(_cookie_name(), value, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax",
                      secure=is_https(), path=access.cookie_path())


# ---------------------------------------------------------------- back


@bp.get("/api/connect/<segment>/callback")
@bp.get("/api/connect/<segment>/callback/")  # an override may end in a slash, where a portal insists on one
@requires("public")
def callback(segment: str) -> ResponseReturnValue:
    """Where the platform sends the person back; leads on to our own page."""
    by_link = connections.is_of_link(segment, request.args)
    if by_link:
        g.user = g.login = None  # whoever is signed in in this browser has no part in it
    try:
        attempt = connections.finish(segment, request.args, g.login, browser())
    except connections.UnknownAttempt:
        return _not_ours(words.UNKNOWN_ATTEMPT, 400)
    except connections.WrongBrowser:
        return _not_ours(words.WRONG_BROWSER_OF_LINK if by_link else words.WRONG_BROWSER, 403)
    if by_link:
        return _leave_no_trace(make_response(redirect(_after_link(attempt), 303)))
    answer = make_response(redirect(
        url_for(".attempt", workspace_id=attempt.workspace_id, attempt_id=attempt.id), 303))
    return _leave_no_trace(answer)


def _after_link(found: ConnectionAttempt) -> str:
    """Our page for whoever came by a link. What came back in place of the right profile only this browser knows."""
    names = connect_links.refuse_other(found)
    if names is not None:
        session[CAME_BACK] = {"attempt": found.id, "names": names[:MOST_NAMED]}
    return url_for("connect_links.walk", attempt_id=found.id)


def _not_ours(outcome: words.Outcome, status: int) -> ResponseReturnValue:
    # Shown as to a signed-out person: the frame writes the address of the page into its forms, code and state too.
    g.user = None
    return _leave_no_trace(make_response(show("connect_result.html", None, status, outcome=outcome, attempt=None)))


def _leave_no_trace(answer: Response) -> Response:
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer


# ---------------------------------------------------------------- our own page


@bp.get("/w/<workspace_id>/connect/<attempt_id>")
@requires("reconnect")
def attempt(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """What came of a consent: the question, the result, or why it failed. May be reloaded at any time."""
    return _page(connections.attempt(g.workspace, attempt_id, g.user))


@bp.post("/w/<workspace_id>/connect/<attempt_id>/confirm")
@requires("reconnect")
def confirm(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """Store the chosen profiles; sending it twice connects once."""
    found = connections.attempt(g.workspace, attempt_id, g.user)
    as_new = request.form.get("as_new") == "yes"
    if (as_new or not found.account_id) and not access.may("connect"):
        abort(403)
    if found.state not in (GRANTED, FINISHED) or connections.is_late(found, outside.now()):
        return _page(found, 409)
    chosen = request.form.getlist("profiles")
    if found.state == GRANTED and not chosen:
        return _page(found, 422, "Choose at least one profile, or cancel.")
    try:
        connections.confirm(found, chosen, g.user, as_new=as_new, may_add=access.may("connect"))
    except connections.AnotherProfile:
        return _page(found, 409)
    except connections.OverLimit as problem:
        return _page(found, 422, str(problem))
    except connections.NotOffered as problem:
        return _page(found, 409, str(problem))
    return redirect(url_for(".attempt", workspace_id=workspace_id, attempt_id=attempt_id), 303)


@bp.post("/w/<workspace_id>/connect/<attempt_id>/cancel")
@requires("reconnect")
def cancel(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """Say no on our page: nothing is stored, and the permission is taken back where that harms nobody."""
    found = connections.attempt(g.workspace, attempt_id, g.user)
    if found.state == FINISHED:
        return _page(found, 409, "This was confirmed already. Disconnect the profile to end it.")
    if found.state in (STARTED, GRANTED):
        connections.refuse(found, g.user)
    if found.scopes_wanted and found.account_id:
        return moved(url_for("accounts.account", workspace_id=workspace_id, account_id=found.account_id),
                     "Nothing was changed. The profile works as before.")
    flash("Nothing was connected. The permission was dropped.")
    return redirect(url_for("accounts.index", workspace_id=workspace_id), 303)


@bp.post("/w/<workspace_id>/connect/<attempt_id>/dismiss")
@requires("reconnect")
def dismiss(workspace_id: str, attempt_id: str) -> ResponseReturnValue:
    """Ask no more about a connection that never came back; one that did meanwhile stays as it is."""
    found = connections.attempt(g.workspace, attempt_id, g.user)
    connections.dismiss(found)
    return moved(url_for("accounts.index", workspace_id=workspace_id))


def _page(found: ConnectionAttempt, status: int = 200, problem: str = "") -> ResponseReturnValue:
    late = connections.is_late(found, outside.now())
    if found.state == GRANTED and not late:
        return show("choose.html", None, status, **_choice(found, problem))
    state = EXPIRED if late else found.state
    provider = provider_of(found.platform)
    made = [account for account in (db.session.get(Account, one) for one in found.result_ids) if account]
    waited = (outside.now() - found.created_at).total_seconds()
    told = explanations.of_attempt(found) if state == FAILED else None
    lacks = {account.id: lacking for account in made if (lacking := accounts.missing_to_publish(account))}
    asks = (state == STARTED and waited > HINT_AFTER_SECONDS) or (state == EXPIRED and found.spent_at is None)
    return show("connect_result.html", "status", status, attempt=found, state=state, provider=provider, told=told,
                silent=explanations.silent(found.platform) if asks else [],
                outcome=_outcome(found, state, bool(lacks)), made=made, lacks=lacks, problem=problem, words=words,
                hints=words.HINTS if state == STARTED and waited > HINT_AFTER_SECONDS else (),
                again=_again(found), flown=_flown(found, state))


def _flown(found: ConnectionAttempt, state: str) -> Told | None:
    """What happened step by step, once the walk is over."""
    row = recordings.of_attempt(found) if state != STARTED else None
    return tell(row) if row is not None else None


def _outcome(found: ConnectionAttempt, state: str, is_limited: bool) -> words.Outcome:
    """In words: a permission that was not granted leaves a connected profile as it was, and a new one limited."""
    if state == FINISHED and is_limited:
        return words.CANNOT_PUBLISH
    return words.NOT_GRANTED if state == DECLINED and found.scopes_wanted else words.OUTCOMES[state]


def _again(found: ConnectionAttempt) -> str:
    """Where "Start again" posts to."""
    if found.scopes_wanted and found.account_id:
        return url_for(".grant", workspace_id=found.workspace_id, account_id=found.account_id)
    if found.account_id:
        return url_for(".reconnect", workspace_id=found.workspace_id, account_id=found.account_id)
    return url_for(".begin", workspace_id=found.workspace_id, segment=found.app.segment)


def _choice(found: ConnectionAttempt, problem: str) -> dict[str, Any]:
    choices = connections.choices(found)
    ticked = set(request.form.getlist("profiles"))
    return {
        "attempt": found, "provider": provider_of(found.platform), "choices": choices,
        "ticked": ticked or {choice.profile.platform_user_id for choice in choices if choice.ticked},
        "person": connections.person_name(found), "missing": connections.missing(found),
        "lost": connections.lost(found),
        "other": connections.reconnects_another(found), "problem": problem, "again": _again(found),
        "searchable": len(choices) >= SEARCH_FROM, "may_add": access.may("connect"),
        "room": workspaces.room(g.workspace)}
