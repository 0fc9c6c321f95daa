"""The palette: every page and action of the console in one list, to be found by its name; and the shortcut keys.

Ctrl-K lays the list over any page. Without script it is a page of its own, behind the button in the top bar.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import access
from ..access import requires
from ..database import writing
from ..models import Membership
from ..providers import PROVIDERS
from . import frame
from .page import moved, show

bp = Blueprint("palette", __name__)

PAGES, ACTIONS, WORKSPACES, YOURS, HELP, ADMINISTRATION = (
    "Pages", "Actions", "Workspaces", "You", "Help", "Administration")


@dataclass(frozen=True)
class Jump:
    """One line of the palette: what it is called, where it leads, and further words it is found by."""

    group: str
    label: str
    address: str
    icon: str
    keys: str = ""
    words: str = ""


# endpoint, label, icon, permission, further words
DEEDS = (
    ("compose.compose", "Write a post", "compose", "compose", "new create publish schedule"),
    ("accounts.index", "Connect a profile", "plus", "connect", "add account reconnect"),
    ("series.index", "Repeating posts", "repeat", "see", "recurring daily weekly monthly"),
    ("drafts.index", "Drafts", "compose", "see", "unfinished saved"),
    ("queue.index", "Slots of the queue", "clock", "see", "times weekly"),
    ("library.index", "Upload files", "media", "compose", "pictures videos add"),
    ("bulk.form", "Import posts from a CSV file", "down", "compose", "bulk spreadsheet upload"),
    ("members.index", "Invite somebody", "members", "people", "add person member"),
    ("feeds.page", "Subscribe to the calendar", "calendar", "see", "ical ics feed"),
    ("expiry.page", "When connections end", "clock", "see", "expiry expire token renew"),
    ("connect_links.index", "Connect by link", "open", "reconnect", "reconnect invite send link login"),
)
# The same for administrators: endpoint, label, icon, further words
ADMIN_DEEDS = (
    ("alerts.admin", "Alerts", "bell", "incidents notifications test mail outbox"),
    ("timelines.everywhere", "Timelines", "activity", "recorder trace steps log connection renewal publishing"),
    ("expiry.admin", "When connections end", "clock", "expiry expire token"),
    ("installation_file.page", "Configuration file", "platform", "export import json code drift plan apply"),
    ("address.deployment", "Deployment", "workspaces", "systemd nginx caddy tls backup restore proxy"),
)
# What the keys do, beside those of the places. Each is explained on the page of the shortcuts.
KEYS = (
    ("Ctrl K", "Find a page or an action"),
    ("?", "This list"),
    ("/", "Search on this page, where it has a search"),
    ("Esc", "Close what lies over the page"),
    ("g a", "Alerts"),
)


@bp.get("/go")
@requires("signed_in")
def find() -> ResponseReturnValue:
    """Everything there is to go to, for the workspace `w` or the person's first one; `q` narrows it without script."""
    asked, wanted = request.args.get("w", ""), request.args.get("q", "").strip()
    members = access.memberships(g.user)
    here = next((one for one in members if one.workspace_id == asked), None)
    if asked and here is None:
        abort(404)
    here = here or next(iter(members), None)
    groups: dict[str, list[Jump]] = {}
    for one in _jumps(members, here):
        if _matches(one, wanted):
            groups.setdefault(one.group, []).append(one)
    return show("palette.html", "list", groups=groups, wanted=wanted, here=here)


def _matches(jump: Jump, wanted: str) -> bool:
    text = f"{jump.group} {jump.label} {jump.words}".casefold()
    return all(word in text for word in wanted.casefold().split())


def _jumps(members: list[Membership], here: Membership | None) -> Iterator[Jump]:
    if here is not None:
        yield from _of_workspace(here)
    for member in members:
        if member is not here:
            yield Jump(WORKSPACES, member.workspace.name, frame.home(member), "workspaces", words="switch to")
    yield Jump(YOURS, "Your account", url_for("people.me"), "key", words="password theme logins time zone sign out")
    yield Jump(YOURS, "What is mailed to you", url_for("alerts.mine"), "bell",
               words="alerts e-mail digest notifications")
    yield Jump(YOURS, "Help", url_for("help.index"), "help", words="manual documentation errors permissions")
    for provider in PROVIDERS.values():
        yield Jump(HELP, f"Help with {provider.name}", url_for("help.platform", slug=provider.slug), "help",
                   words="permissions errors limits portal guide token")
    yield Jump(YOURS, "Shortcut keys", url_for(".shortcuts"), "help", "?", "keyboard help")
    if g.user.is_platform_admin:
        for place in frame.ADMIN_PLACES:
            yield Jump(ADMINISTRATION, place.label, url_for(place.endpoint), place.icon, words="admin")
        for endpoint, label, icon, words in ADMIN_DEEDS:
            yield Jump(ADMINISTRATION, label, url_for(endpoint), icon, words=f"admin {words}")


def _of_workspace(here: Membership) -> Iterator[Jump]:
    at: dict[str, Any] = {"workspace_id": here.workspace_id}
    for place in frame.WORKSPACE_PLACES:
        if frame.is_open_to(place, here):
            yield Jump(PAGES, place.label, url_for(place.endpoint, **at), place.icon, place.keys)
    yield Jump(PAGES, "Alerts", url_for("alerts.page", **at), "bell", "g a", "needs you incidents notifications")
    for endpoint, label, icon, permission, words in DEEDS:
        if here.role in access.PERMISSIONS[permission]:
            yield Jump(ACTIONS, label, url_for(endpoint, **at), icon, words=words)


# ---------------------------------------------------------------- keys


@bp.get("/shortcuts")
@requires("signed_in")
def shortcuts() -> ResponseReturnValue:
    """The keys and what they do; whoever dictates or has other uses for them turns the single letters off."""
    places = [place for place in frame.WORKSPACE_PLACES if place.keys]
    return show("shortcuts.html", "list", places=places, keys=KEYS)


@bp.post("/shortcuts")
@requires("signed_in")
def switch_shortcuts() -> ResponseReturnValue:
    """Turn the single-letter keys on or off for this person. https://www.w3.org/WAI/WCAG22/Understanding/character-key-shortcuts"""
    wanted = request.form.get("keys") == "on"
    if wanted != g.user.has_shortcuts:
        with writing():
            g.user.has_shortcuts = wanted
    return moved(url_for(".shortcuts"), f"The shortcut keys are {'on' if wanted else 'off'}.")
