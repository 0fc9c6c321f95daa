"""Links to connect: the pages of those who ask for one, and the few of whoever opens it, who has no account here.

The token stands in one address only, which leads on at once to a page without it; from then on a cookie holds it. After
the consent the cookie of the connection itself tells who comes back. No other page opens by either.
"""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from .. import access, accounts, connect_links, connections, explanations, mail, outside, receipts, times
from ..access import requires
from ..errors import TENANT
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
    ConnectLink,
)
from ..providers import provider as provider_of
from . import words
from .connect import CAME_BACK, browser, is_https, remember
from .frame import outlines
from .page import done, moved, show

bp = Blueprint("connect_links", __name__)

COOKIE = "console_link"
COOKIE_SECONDS = 86400
MOST_COOKIES = 30  # links that one browser has open at a time
LONGEST_TOKEN = 100
FRESH = "fresh_connect_link"  # in the session: the one link that the next page shows, and no other after it
ALL_ONCE = "all_links_once"  # in the session: the form that makes a link for each profile was not sent yet
SEARCH_FROM = 9

# why a link does not work -> status, title, what follows; {asker}, {platform} and {until} are filled in
GONE = {
    "unknown": (404, "This link leads nowhere",
                "It was not copied as a whole, or it is so old that nothing is known of it any more. Open it again "
                "from the message it came in, or ask whoever sent it for a new one."),
    "other_browser": (404, "Open the link once more",
                      "This page opens only in the browser in which the link was opened, and for a day. Open the link "
                      "from the message it came in."),
    connect_links.USED: (410, "This link was used already",
                         "A link works once. If you used it yourself, nothing more has to be done. Else ask whoever "
                         "sent it for a new one."),
    connect_links.TAKEN_BACK: (410, "This link was taken back",
                               "Whoever sent it ended it before its time. Ask them whether you are still needed."),
    connect_links.RAN_OUT: (410, "This link has run out",
                            "Such a link works for a limited time. Ask whoever sent it for a new one."),
    connect_links.NO_LONGER_MAY: (410, "This link no longer counts",
                                  "The person who asked for it may no longer connect profiles there. Ask somebody else "
                                  "of that team for a new one."),
    connect_links.ENDED: (410, "This link no longer counts",
                          "The connection was ended there after the link was made. If it shall begin anew, an owner of "
                          "that team has to send a new link."),
    connect_links.OFF: (409, "{platform} is turned off there at present",
                        "Nothing is wrong with the link: it stays good until {until}. Tell {asker} that an "
                        "administrator of the console has to turn {platform} on, and open the link again then."),
    "nothing_on": (409, "Nothing can be connected there at present",
                   "Nothing is wrong with the link: it stays good until {until}. Tell {asker} that an administrator of "
                   "the console has to turn a platform on, and open the link again then."),
    connect_links.FULL: (409, "There is no room for another profile",
                         "As many profiles are connected there as may be. The link stays good until {until}. Tell "
                         "{asker}, who can make room, and open it again then."),
}

# how a link stands -> the status that its chip is drawn like, and the words on it
STATES = {connect_links.OPEN: ("scheduled", "Not opened yet"), connect_links.OPENED: ("info", "Opened"),
          connect_links.USED: ("published", "Used"), connect_links.TAKEN_BACK: ("cancelled", "Taken back"),
          connect_links.RAN_OUT: ("missed", "Ran out")}
# what came of the newest try by a link
TRIES = {STARTED: "went on to the platform", GRANTED: "said yes there and has not confirmed yet",
         DECLINED: "said no, so nothing was connected", EXPIRED: "did not come to an end in time",
         FAILED: "did not succeed: {error}", FINISHED: ""}


@bp.before_request
def as_nobody() -> None:
    """Whoever is signed in in the browser of a guest has no part in what the link does."""
    g.looker = g.user.id if g.get("user") else None
    if access.permission_of(request.endpoint) == "public":
        g.user = g.login = None


@bp.after_request
def unlisted(answer: Response) -> Response:
    """No search engine keeps any of these pages."""
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer


# ---------------------------------------------------------------- opening a link


@bp.get("/link/<token>")
@requires("public")
def enter(token: str) -> ResponseReturnValue:
    """Take the token out of the address: on to the page of the link, which a cookie opens."""
    try:
        found = connect_links.by_token(token[:LONGEST_TOKEN])
        connect_links.check(found, outside.now())
    except connect_links.Unknown:
        answer = _gone("unknown")
    except connect_links.Unusable as refusal:
        answer = _gone(refusal.why, found)
    else:
        answer = make_response(redirect(url_for(".look", link_id=found.id), 303))
        left = int((found.expires_at - outside.now()).total_seconds())
        # Lax, not Strict: the link is opened from a mail or a chat, and the page after it needs the cookie.
        answer.set_cookie(_cookie(found.id), token, max_age=min(left, COOKIE_SECONDS), httponly=True, samesite="Lax",
                          secure=is_https(), path=access.cookie_path())
        _forget_oldest(answer, found.id)
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _forget_oldest(answer: Response, but: str) -> None:
    """Keep the cookies of so many links only: a browser sends them all, and no server takes any number of them."""
    others = sorted(name for name in request.cookies if name.startswith(_cookie("")) and name != _cookie(but))
    for name in others[:max(0, len(others) - MOST_COOKIES + 1)]:
        answer.delete_cookie(name, path=access.cookie_path(), secure=is_https(), httponly=True, samesite="Lax")


def _cookie(link_id: str) -> str:
    name = f"{COOKIE}_{link_id}"
    return f"__Host-{name}" if is_https() else name


def _held(link_id: str) -> ConnectLink:
    """The link whose token this browser holds. Raises Unknown."""
    found = connect_links.by_token(request.cookies.get(_cookie(link_id), "")[:LONGEST_TOKEN])
    if found.id != link_id:
        raise connect_links.Unknown
    return found


@bp.get("/link/to/<link_id>")
@requires("public")
def look(link_id: str) -> ResponseReturnValue:
    """Who asks for what, and what happens then."""
    try:
        found = _held(link_id)
        connect_links.check(found, outside.now())
    except connect_links.Unknown:
        return _gone("other_browser")
    except connect_links.Unusable as refusal:
        return _gone(refusal.why, found)
    if g.looker is None or g.looker != found.asked_by_id:
        connect_links.opened(found)
    return _page(found)


def _page(found: ConnectLink, status: int = 200, problem: str = "") -> Response:
    offers = connect_links.ways(found)
    account = found.account
    word = accounts.status(account, outside.now()).word if account is not None else ""
    return show("link_page.html", None, status, link=found, account=account, offers=offers, word=word, problem=problem,
                asks={offer.app.id: connect_links.asks(offer.app) for offer in offers}, until=_until(found),
                provider=provider_of(offers[0].app.platform) if len(offers) == 1 else None,
                chosen=request.form.get("segment", ""))


def _until(found: ConnectLink) -> str:
    return times.exact(found.expires_at, found.workspace.time_zone)


@bp.get("/link/to/<link_id>/picture")
@requires("public")
def picture(link_id: str) -> ResponseReturnValue:
    """The picture of the profile that a link is for."""
    try:
        found = _held(link_id)
        connect_links.check(found, outside.now())
    except (connect_links.Unknown, connect_links.Unusable):
        abort(404)
    account = found.account
    if account is None or not account.avatar or account.avatar_type not in words.PICTURE_TYPES:
        abort(404)
    return account.avatar, {"Content-Type": account.avatar_type, "Cache-Control": "private, max-age=3600",
                            "Content-Disposition": "inline"}


@bp.post("/link/to/<link_id>")
@requires("public")
def go(link_id: str) -> ResponseReturnValue:
    """Send whoever holds the link to the platform's consent page."""
    try:
        found = _held(link_id)
    except connect_links.Unknown:
        return _gone("other_browser")
    return _leave(found, request.form.get("segment", ""))


def _leave(found: ConnectLink, segment: str, *, other: bool = False) -> ResponseReturnValue:
    here = browser() or outside.secret()
    try:
        there = connect_links.begin(found, segment, here, other=other)
    except connect_links.Unusable as refusal:
        return _gone(refusal.why, found)
    except connections.UnknownApp:
        return _page(found, 422, "Choose a platform first.")
    answer = make_response(redirect(there, 303))
    answer.headers["Referrer-Policy"] = "no-referrer"
    remember(answer, here)
    return answer


def _gone(why: str, found: ConnectLink | None = None) -> Response:
    """Why a link does not work. Only whoever holds one that may work again learns who asked for it."""
    platform = found and (found.account or found.app)
    status, title, text = GONE["nothing_on" if why == connect_links.OFF and not platform else why]
    known = {"asker": "", "platform": "", "until": ""}
    if found is not None and status == 409:
        known = {"asker": found.asked_by, "until": _until(found),
                 "platform": provider_of(platform.platform).name if platform else ""}
    return show("link_gone.html", None, status, title=title.format(**known), text=text.format(**known))


# ---------------------------------------------------------------- after the consent


@bp.get("/link/at/<attempt_id>")
@requires("public")
def walk(attempt_id: str) -> ResponseReturnValue:
    """What came of the consent: the question, the result, or why it failed. May be reloaded at any time."""
    return _walk(connections.attempt_of_link(attempt_id, browser()))


@bp.post("/link/at/<attempt_id>/confirm")
@requires("public")
def confirm(attempt_id: str) -> ResponseReturnValue:
    """Store the profile and use the link up; sending it twice connects once."""
    found = connections.attempt_of_link(attempt_id, browser())
    if found.state not in (GRANTED, FINISHED) or connections.is_late(found, outside.now()):
        return _walk(found, 409)
    chosen = request.form.getlist("profiles")
    if found.state == GRANTED and not chosen:
        return _walk(found, 422, "Choose at least one profile, or cancel.")
    try:
        connect_links.confirm(found, chosen)
    except connect_links.Unusable as refusal:
        return _gone(refusal.why, connect_links.of_attempt(found))
    except connections.OverLimit:
        return _walk(found, 422, "There is not room for so many profiles there. Choose fewer, or tell "
                     f"{connect_links.of_attempt(found).asked_by}.")
    except (connections.AnotherProfile, connections.NotOffered) as problem:
        return _walk(found, 409, str(problem))
    return moved(url_for(".walk", attempt_id=attempt_id))


@bp.post("/link/at/<attempt_id>/cancel")
@requires("public")
def cancel(attempt_id: str) -> ResponseReturnValue:
    """Say no on our page: nothing is stored, and the permission is taken back where that harms nobody."""
    found = connections.attempt_of_link(attempt_id, browser())
    if found.state == FINISHED:
        return _walk(found, 409)
    if found.state in (STARTED, GRANTED):
        connections.drop(found, DECLINED, "You did not connect anything. The permission was dropped.")
    return moved(url_for(".walk", attempt_id=attempt_id))


@bp.post("/link/at/<attempt_id>/again")
@requires("public")
def again(attempt_id: str) -> ResponseReturnValue:
    """Once more to the platform, by the same link; after another profile came back, as another person there."""
    found = connections.attempt_of_link(attempt_id, browser())
    if found.state == FINISHED:
        return _walk(found, 409)
    return _leave(connect_links.of_attempt(found), found.app.segment,
                  other=found.error_code == connect_links.ANOTHER_PROFILE)


def _walk(found: ConnectionAttempt, status: int = 200, problem: str = "") -> Response:
    link, now = connect_links.of_attempt(found), outside.now()
    state = EXPIRED if connections.is_late(found, now) else found.state
    context: dict[str, Any] = {
        "attempt": found, "link": link, "account": link.account, "provider": provider_of(found.platform),
        "state": state, "problem": problem, "until": _until(link),
        "may_try": connect_links.state(link, now) in (connect_links.OPEN, connect_links.OPENED)}
    if state == GRANTED:
        return show("link_confirm.html", None, status, **context, **_choice(found, link))
    came = session.get(CAME_BACK, {})
    return show("link_result.html", "status", status, **context, receipt=receipts.of(found), told=_told(found),
                came=came.get("names", []) if came.get("attempt") == found.id else [],
                is_other=found.error_code == connect_links.ANOTHER_PROFILE,
                is_unfit=found.error_code == connect_links.UNFIT_PROFILE)


def _choice(found: ConnectionAttempt, link: ConnectLink) -> dict[str, Any]:
    """The profiles of the consent; of a link for one profile that one only."""
    choices = connections.choices(found)
    if link.account is not None:
        choices = [one for one in choices if one.profile.platform_user_id == link.account.platform_user_id]
    ticked = set(request.form.getlist("profiles")) or {one.profile.platform_user_id for one in choices if one.ticked}
    return {"choices": choices, "ticked": ticked, "person": connections.person_name(found),
            "missing": connections.missing(found), "searchable": len(choices) >= SEARCH_FROM}


def _told(found: ConnectionAttempt) -> explanations.Explanation | None:
    """Why it failed, where that is something the person at the platform can end; the rest is for those who asked."""
    if found.state != FAILED or found.error_code in (connect_links.ANOTHER_PROFILE, connect_links.UNFIT_PROFILE):
        return None
    told = explanations.of_attempt(found)
    return told if told is not None and told.who == TENANT else None


# ---------------------------------------------------------------- asking for links


@bp.get("/w/<workspace_id>/links")
@requires("reconnect")
def index(workspace_id: str) -> ResponseReturnValue:
    """All links of the workspace, and for owners the way to invite somebody to connect a new profile."""
    return show("links.html", None, **_all(fresh=_kept(workspace_id)))


def _all(**more: Any) -> dict[str, Any]:
    return {**_form(), "lines": connect_links.of_workspace(g.workspace), "offers": connections.offers(g.workspace),
            "here": url_for(".invite", workspace_id=g.workspace.id), "made": [], **_need_links(), **more}


def _need_links() -> dict[str, Any]:
    """How many profiles need somebody, and what lets the form for all of them be sent once."""
    count = accounts.needs_count(outlines(g.workspace), outside.now()) if access.may("connect") else 0
    if count:
        session[ALL_ONCE] = outside.secret(16)
    return {"needing": count, "once": session.get(ALL_ONCE, "")}


def _form() -> dict[str, Any]:
    typed = {name: request.form.get(name, "") for name in ("segment", "life", "note", "email")}
    return {"typed": typed | {"life": typed["life"] or connect_links.USUAL_LIFE}, "errors": {}, "problem": "",
            "fresh": None, "lives": connect_links.LIVES, "states": STATES, "tried": tried, "provider_of": provider_of,
            "longest": connect_links.LONGEST_NOTE, "may_end": may_end, "name_of": _name_of,
            "mails": mail.is_set(current_app.extensions["config"])}


@bp.post("/w/<workspace_id>/links")
@requires("connect")
def invite(workspace_id: str) -> ResponseReturnValue:
    """Make a link that connects a new profile. It is shown once, and mailed where an address is given."""
    typed = _form()["typed"]
    try:
        made = connect_links.to_connect(g.workspace, g.user, typed["segment"], typed["life"], typed["note"],
                                        typed["email"])
    except access.Invalid as refusal:
        return show("links.html", None, 422, **_all(errors=refusal.errors))
    except connections.NotOffered as problem:
        return show("links.html", None, 409, **_all(problem=str(problem)))
    return _show_once(made, url_for(".index", workspace_id=workspace_id))


@bp.post("/w/<workspace_id>/links/all")
@requires("connect")
def make_all(workspace_id: str) -> ResponseReturnValue:
    """A link for each profile that needs somebody, shown in this one answer: no cookie could hold them all."""
    if session.pop(ALL_ONCE, "") != request.form.get("once", ""):
        return show("links.html", None, 409, **_all(problem="These links were made already and are shown only once. "
                                                    "Press the button once more for new ones."))
    try:
        made = connect_links.for_all_that_need_one(g.workspace, g.user, request.form.get("life", "") or
                                                   connect_links.USUAL_LIFE)
    except access.Invalid as refusal:
        return show("links.html", None, 422, **_all(problem=str(refusal)))
    if not made:
        return moved(url_for(".index", workspace_id=workspace_id), "No profile needs a link just now.")
    return show("links.html", None, **_all(made=made))


@bp.get("/w/<workspace_id>/profiles/<account_id>/links")
@requires("reconnect")
def of_account(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """The links that were made to reconnect a profile, and the form for another."""
    return show("link_account.html", None, **_one(accounts.account(g.workspace, account_id), fresh=_kept(account_id)))


def _one(found: Account, **more: Any) -> dict[str, Any]:
    return {**_form(), "account": found, "lines": connect_links.of_account(found), "may_send": _may_send(found),
            "standing": accounts.status(found, outside.now()), "provider": provider_of(found.platform),
            "reconnectable": connections.reconnectable(found),
            "here": url_for(".send", workspace_id=g.workspace.id, account_id=found.id), **more}


def _may_send(found: Account) -> bool:
    """Whether this person may reconnect the profile, and so may ask somebody else to; of an ended one owners only."""
    return access.may("connect" if found.state == DISCONNECTED else "reconnect")


@bp.post("/w/<workspace_id>/profiles/<account_id>/links")
@requires("reconnect")
def send(workspace_id: str, account_id: str) -> ResponseReturnValue:
    """Make a link that reconnects this profile. It is shown once, and mailed where an address is given."""
    found, typed = accounts.account(g.workspace, account_id), _form()["typed"]
    if not _may_send(found):
        abort(403, access.WHY_NOT["connect"])
    try:
        made = connect_links.to_reconnect(found, g.user, typed["life"], typed["note"], typed["email"])
    except access.Invalid as refusal:
        return show("link_account.html", None, 422, **_one(found, errors=refusal.errors))
    except connections.NotOffered as problem:
        return show("link_account.html", None, 409, **_one(found, problem=str(problem)))
    return _show_once(made, url_for(".of_account", workspace_id=workspace_id, account_id=account_id))


@bp.post("/w/<workspace_id>/links/<link_id>/end")
@requires("reconnect")
def end(workspace_id: str, link_id: str) -> ResponseReturnValue:
    """Take a link back: one's own, or as an owner anybody's."""
    found = connect_links.link(g.workspace, link_id)
    if not may_end(found):
        abort(403, f"{found.asked_by} asked for this link. Only {found.asked_by} and owners of this workspace can take "
                   "it back.")
    try:
        connect_links.take_back(g.workspace, link_id)
    except connect_links.MovedOn as problem:
        if found.account is None or request.form.get("from") == "all":
            return show("links.html", None, 409, **_all(problem=str(problem)))
        return show("link_account.html", None, 409, **_one(found.account, problem=str(problem)))
    here = url_for(".index", workspace_id=workspace_id)
    if found.account is not None and request.form.get("from") != "all":
        here = url_for(".of_account", workspace_id=workspace_id, account_id=found.account_id)
    return done("links.html", None, here, "The link is taken back. It no longer works.")


def may_end(found: ConnectLink) -> bool:
    """Whether the person who asks may take this link back."""
    return bool(found.asked_by_id == g.user.id or access.may("manage"))


def _show_once(made: connect_links.Made, back: str) -> ResponseReturnValue:
    problem, found = connect_links.send(made), made.link
    # Only the cookie of this very browser has the link until the next page shows it.
    session[FRESH] = {"of": found.account_id or found.workspace_id, "link": made.address, "email": found.email,
                      "problem": problem, "mailed": bool(found.mailed_at), "id": found.id}
    return moved(back)


def _kept(of: str) -> dict[str, Any] | None:
    """The link that was just made for this profile or workspace, the first time one asks."""
    fresh: dict[str, Any] = session.get(FRESH, {})
    if fresh.get("of") != of:
        return None
    session.pop(FRESH)
    return fresh


def _name_of(found: ConnectLink) -> str:
    """What a link is for, by name."""
    if found.account is not None:
        return found.account.display_name or found.account.username
    return f"A new profile of {provider_of(found.app.platform).name}" if found.app is not None else "A new profile"


@bp.app_template_global("tried_link")
def tried(line: connect_links.Line) -> str:
    """What came of the newest try by a link, as a sentence; empty where there is none, or where it succeeded."""
    last = line.last
    if last is None or line.state == connect_links.USED or not TRIES[last.state]:
        return ""
    if last.error_code == connect_links.ANOTHER_PROFILE:
        return "Somebody came back with another profile, which was refused."
    state = EXPIRED if connections.is_late(last, outside.now()) else last.state
    return f"Whoever opened it {TRIES[state].format(error=last.error)}".rstrip(".") + "."


@bp.app_template_global("connect_links_of")
def links_of(account: Account) -> list[connect_links.Line]:
    """The links of a profile that may still be used, for its own page."""
    return [line for line in connect_links.of_account(account) if line.is_open or _is_recent(line.link.used_at)]


def _is_recent(at: datetime | None) -> bool:
    return at is not None and outside.now() - at < connections.ASKED_ABOUT
