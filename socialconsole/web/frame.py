"""The frame around every page: the places of the navigation, as data, and who is in front of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from flask import Flask, current_app, g, get_flashed_messages, request, url_for

from .. import access, accounts, draft_posts, outside, plans, platform_apps, post_lists, times
from ..models import SUBMITTED, Membership, Workspace
from ..providers import PROVIDERS
from . import signs


@dataclass(frozen=True)
class Place:
    """One entry of the navigation. `short` is what is left of the label on a phone."""

    endpoint: str
    label: str
    icon: str
    permission: str
    short: str = ""
    covers: tuple[str, ...] = ()  # blueprints or endpoints that belong to it
    count: Callable[[Workspace | None], int] | None = None  # how much there needs a person
    keys: str = ""  # the shortcut that leads there
    is_for_approval: bool = False  # shown while approval is on, or something waits for it
    is_for_plans: bool = False  # shown while a program waits for a person's answer


def outlines(workspace: Workspace) -> list[accounts.Outline]:
    """The outlines of a workspace's accounts; read once for each page."""
    known: dict[str, list[accounts.Outline]] = g.setdefault("outlines", {})
    if workspace.id not in known:
        known[workspace.id] = accounts.outlines(workspace)
    return known[workspace.id]


def _profiles_count(workspace: Workspace | None) -> int:
    return accounts.needs_count(outlines(workspace), outside.now()) if workspace else 0


def _posts_count(workspace: Workspace | None) -> int:
    return post_lists.needs_count(workspace) if workspace else 0


def _waiting_count(workspace: Workspace | None) -> int:
    return draft_posts.count(workspace, SUBMITTED) if workspace else 0


def _plans_count(workspace: Workspace | None) -> int:
    return plans.count(workspace.id, outside.now()) if workspace else 0


def _platforms_count(_: Workspace | None) -> int:
    return sum(one.state == platform_apps.ATTENTION for row in platform_apps.overview(outside.now())
               for one in row.apps)


WORKSPACE_PLACES = (
    Place("accounts.index", "Social Profile", "profiles", "see", "Profile",
          ("accounts", "connect", "connect_links", "timelines", "expiry"),
          _profiles_count, keys="g s"),
    Place("compose.compose", "Compose", "compose", "compose", "", ("compose",), keys="c"),
    Place("posts.index", "Posts", "posts", "see", "", ("posts", "series", "drafts", "bulk", "timelines.of_delivery"),
          _posts_count, keys="g p"),
    Place("calendar.index", "Calendar", "calendar", "see", "", ("calendar", "queue", "feeds"), keys="g c"),
    Place("drafts.waiting", "Approval", "check", "approve", "", ("drafts.review",), _waiting_count,
          is_for_approval=True),
    Place("plans.index", "Programs", "held", "compose", "", ("plans",), _plans_count, is_for_plans=True),
    Place("library.index", "Media", "media", "see", "", ("library", "uploads"), keys="g m"),
    Place("members.index", "Members", "members", "see", "", ("members",)),
    Place("activity.workspace", "Activity", "activity", "see"),
    Place("settings.page", "Settings", "settings", "settings", "", ("settings", "api_keys")),
)
ADMIN_PLACES = (
    Place("platform_apps.index", "Social Platform", "platform", "admin", "Platform",
          ("platform_apps", "installation_file"), _platforms_count),
    Place("workspaces.index", "Workspaces", "workspaces", "admin", "", ("workspaces",)),
    Place("health.page", "Health", "health", "admin", "", ("board", "timelines", "alerts.admin", "expiry.admin")),
    Place("address.page", "Address", "open", "admin", "", ("address",)),
    Place("api_keys.admin", "API keys", "key", "admin", "", ("api_keys",)),
    Place("activity.installation", "Activity", "activity", "admin"),
)
ADMIN_HOME = "platform_apps.index"
WORKSPACE_HOME = "accounts.index"


@dataclass(frozen=True)
class Entry:
    """A place as the page shows it."""

    place: Place
    address: str
    is_current: bool
    count: int


@dataclass(frozen=True)
class Frame:
    """Everything around a page for the person in front of it."""

    memberships: list[Membership]
    workspace: Workspace | None  # the one whose navigation is shown
    is_admin_area: bool
    entries: list[Entry]
    admin_home: str


def frame() -> Frame:
    """The frame for the person who is signed in; only for whole pages."""
    members = access.memberships(g.user)
    is_admin = g.user.is_platform_admin
    admin_area = is_admin and (access.permission_of(request.endpoint) == "admin" or not members)
    here = None if admin_area else _member_here(members)
    places = ADMIN_PLACES if admin_area else [place for place in WORKSPACE_PLACES if here and is_open_to(place, here)]
    workspace = here.workspace if here else None
    return Frame(members, workspace, admin_area, _entries(places, workspace), url_for(ADMIN_HOME) if is_admin else "")


def is_open_to(place: Place, member: Membership) -> bool:
    """Whether a member's role opens a place of the workspace."""
    return member.role in access.PERMISSIONS[place.permission]


def _member_here(members: list[Membership]) -> Membership | None:
    """The membership whose navigation is shown: that of the page's workspace, else the first."""
    inside = [member for member in members if g.workspace and member.workspace_id == g.workspace.id]
    return next(iter(inside or members), None)


def _entries(places: Sequence[Place], workspace: Workspace | None) -> list[Entry]:
    current = _current(places)
    values: dict[str, Any] = {"workspace_id": workspace.id} if workspace else {}
    found = [Entry(place, url_for(place.endpoint, **values), place is current,
                   place.count(workspace) if place.count else 0) for place in places]
    return [one for one in found if _is_wanted(one, workspace)]


def _is_wanted(entry: Entry, workspace: Workspace | None) -> bool:
    """Whether a place is shown: those for what happens now and then only while there is something in them."""
    place = entry.place
    if not place.is_for_approval and not place.is_for_plans:
        return True
    is_on = place.is_for_approval and workspace is not None and workspace.needs_approval
    return bool(entry.count) or entry.is_current or is_on


def _current(places: Sequence[Place]) -> Place | None:
    here = request.endpoint or ""
    for name in (here, here.rpartition(".")[0]):
        for place in places:
            if name == place.endpoint or name in place.covers:
                return place
    return None


def home(membership: Membership) -> str:
    """Where a workspace begins."""
    return url_for(WORKSPACE_HOME, workspace_id=membership.workspace_id)


def zone() -> str:
    """The time zone that times on this page are shown in: the workspace's, outside of one the person's, else UTC."""
    workspace, user = g.get("workspace"), g.get("user")
    if workspace:
        return str(workspace.time_zone)
    return user.time_zone or "UTC" if user else "UTC"


def _exact(instant: datetime) -> str:
    return times.exact(instant, zone())


def _ago(instant: datetime) -> str:
    return times.ago(instant, outside.now())


def theme() -> str:
    """`light`, `dark` or `auto`: the person's choice."""
    user = g.get("user")
    return user.theme if user else "auto"


def init_app(app: Flask) -> None:
    """Hand the templates what the frame needs."""
    app.jinja_env.globals.update(
        frame=frame, home=home, zone=zone, exact=_exact, ago=_ago, theme=theme, sign_icon=signs.icon_of,
        label_of=signs.label_of, wire_of=signs.wire_of, tone_of=signs.tone, initials_of=signs.initials,
        tag_of=signs.tag, remembered=lru_cache(maxsize=None, typed=True), PROVIDERS=PROVIDERS,
        role_words=access.ROLE_WORDS, messages=get_flashed_messages)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"public_host": current_app.extensions["config"].public_url.split("://")[-1]})
