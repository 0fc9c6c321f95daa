"""What turning a platform off would hold: how many posts of how many workspaces, and which miss their window when.

The words of the posts stay out of it: they are the tenants', and an admin needs only times and names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, select

from .deliveries import is_over
from .extensions import db
from .models import SCHEDULED, Account, Delivery, Grant, PlatformApp, Workspace

HORIZONS = (("an hour", timedelta(hours=1)), ("a day", timedelta(days=1)), ("a week", timedelta(days=7)))
MOST_NAMED = 8


@dataclass(frozen=True)
class Soon:
    """One post that would miss its window."""

    workspace: str
    account: str
    due_at: datetime
    misses_at: datetime


@dataclass(frozen=True)
class Hold:
    """What turning an app off would hold."""

    posts: int
    workspaces: int
    misses: tuple[tuple[str, int], ...] = ()  # within which time -> how many posts would miss their window
    first: tuple[Soon, ...] = ()  # those that would miss it first

    @property
    def sentence(self) -> str:
        """How many posts of how many workspaces; empty for none."""
        if not self.posts:
            return ""
        posts = "1 scheduled post" if self.posts == 1 else f"{self.posts:,} scheduled posts"
        teams = "1 workspace" if self.workspaces == 1 else f"{self.workspaces:,} workspaces"
        return f"Held: {posts} of {teams}."


def what_off_holds(app: PlatformApp, now: datetime) -> Hold:
    """What turning an app off would hold, and what of it would miss its window if it stays off."""
    accounts = select(Account.id).join(Grant, Account.grant_id == Grant.id).where(Grant.app_id == app.id)
    mine = and_(Delivery.account_id.in_(accounts), Delivery.state == SCHEDULED)
    counted = select(func.count(Delivery.post_id.distinct())).join(Workspace, Delivery.workspace_id == Workspace.id)
    posts = db.session.scalar(counted.where(mine)) or 0
    if not posts:
        return Hold(0, 0)
    teams = db.session.execute(
        select(Workspace.id, Workspace.window_minutes, func.min(Delivery.scheduled_for))
        .join(Workspace, Delivery.workspace_id == Workspace.id).where(mine)
        .group_by(Workspace.id, Workspace.window_minutes)).all()
    misses = tuple((words, db.session.scalar(counted.where(mine, over)) or 0) for words, length in HORIZONS
                   if (over := is_over(now + length)) is not None)
    ends = sorted((first + timedelta(minutes=minutes), team) for team, minutes, first in teams)
    return Hold(posts, len(teams), misses, _first_to_miss(mine, [team for _, team in ends[:MOST_NAMED]]))


def _first_to_miss(mine: ColumnElement[bool], teams: Sequence[str]) -> tuple[Soon, ...]:
    """The first posts to miss their window; they belong to the workspaces whose own first miss comes first."""
    rank = func.row_number().over(partition_by=Delivery.workspace_id, order_by=Delivery.scheduled_for).label("rank")
    ranked = select(Delivery.id, rank).where(mine, Delivery.workspace_id.in_(teams)).subquery()
    rows = db.session.execute(
        select(Workspace.name, Account.display_name, Account.username, Delivery.scheduled_for, Workspace.window_minutes)
        .select_from(ranked).join(Delivery, Delivery.id == ranked.c.id)
        .join(Account, Delivery.account_id == Account.id).join(Workspace, Delivery.workspace_id == Workspace.id)
        .where(ranked.c.rank <= MOST_NAMED)).all()
    found = [Soon(team, name or handle, due, due + timedelta(minutes=minutes))
             for team, name, handle, due, minutes in rows]
    return tuple(sorted(found, key=lambda one: (one.misses_at, one.workspace, one.account))[:MOST_NAMED])
