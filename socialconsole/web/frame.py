"""The frame around every page: the places of the navigation, as data, and who is in front of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, current_app, g, get_flashed_messages, request, url_for

from .. import access, accounts, outside, platform_apps, posts, times
from ..models import Membership, Workspace
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


def _profiles_count(workspace: Workspace | None) -> int:
    return len(accounts.needs_person(workspace)) if workspace else 0


def _posts_count(workspace: Workspace | None) -> int:
    return posts.needs_count(workspace) if workspace else 0


def _platforms_count(_: Workspace | None) -> int:
    return sum(one.state == platform_apps.ATTENTION for row in platform_apps.overview(outside.now())
               for one in row.apps)


WORKSPACE_PLACES = (
    Place("accounts.index", "Social Profile", "profiles", "see", "Profile", ("accounts", "connect"), _profiles_count),
    Place("compose.compose", "Compose", "compose", "compose", "", ("compose",)),
    Place("posts.index", "Posts", "posts", "see", "", ("posts", "series"), _posts_count),
    Place("activity.workspace", "Activity", "activity", "see"),
)
ADMIN_PLACES = (
    Place("platform_apps.index", "Social Platform", "platform", "admin", "Platform", ("platform_apps",),
          _platforms_count),
    Place("health.page", "Health", "health", "admin"),
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
    roles = access.PERMISSIONS
    places = ADMIN_PLACES if admin_area else [
        place for place in WORKSPACE_PLACES if here and here.role in roles[place.permission]]
    workspace = here.workspace if here else None
    return Frame(members, workspace, admin_area, _entries(places, workspace), url_for(ADMIN_HOME) if is_admin else "")


def _member_here(members: list[Membership]) -> Membership | None:
    """The membership whose navigation is shown: that of the page's workspace, else the first."""
    inside = [member for member in members if g.workspace and member.workspace_id == g.workspace.id]
    return next(iter(inside or members), None)


def _entries(places: Sequence[Place], workspace: Workspace | None) -> list[Entry]:
    current = _current(places)
    values: dict[str, Any] = {"workspace_id": workspace.id} if workspace else {}
    return [Entry(place, url_for(place.endpoint, **values), place is current,
                  place.count(workspace) if place.count else 0) for place in places]


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
    """The time zone that times on this page are shown in: the workspace's, else UTC."""
    workspace = g.get("workspace")
    return workspace.time_zone if workspace else "UTC"


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
        tag_of=signs.tag, PROVIDERS=PROVIDERS, role_words=access.ROLE_WORDS, messages=get_flashed_messages)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"public_host": current_app.extensions["config"].public_url.split("://")[-1]})
