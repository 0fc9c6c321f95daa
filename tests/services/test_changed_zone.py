"""A workspace that changes its time zone: what was written before keeps its instant, on every way out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from socialconsole import draft_posts, posts
from socialconsole.database import writing
from socialconsole.draft_posts import Typed
from socialconsole.drafts import Content
from socialconsole.extensions import db
from socialconsole.models import Delivery, Post, Slot, Workspace
from socialconsole.posts import Opened

WALL = "2026-12-01T08:30"
INSTANT = datetime(2026, 12, 1, 7, 30, tzinfo=UTC)  # 08:30 in Stockholm, 02:30 in New York


def typed(account: Any, text: str = "Saffron buns", when: str = "later") -> Typed:
    """What stands in a form."""
    return Typed(Content(text), [account.id], when=when, wall_time=WALL)


def settings(world: Any, **columns: Any) -> None:
    """Change the workspace."""
    with writing() as session:
        for name, value in columns.items():
            setattr(session.get_one(Workspace, world.workspace.id), name, value)


def instants(post: Post) -> set[datetime | None]:
    """When a post and all its deliveries go out."""
    db.session.commit()
    found = db.session.get_one(Post, post.id, populate_existing=True)
    due = db.session.scalars(select(Delivery.due_at).where(Delivery.post_id == post.id)).all()
    return {found.due_at, *due}


@pytest.fixture
def stockholm(world):
    settings(world, time_zone="Europe/Stockholm")
    return world


def test_what_waits_for_approval_goes_out_when_the_page_says(stockholm, account):
    settings(stockholm, needs_approval=True)
    post = draft_posts.send(stockholm.workspace, stockholm.bob, typed(account))
    settings(stockholm, time_zone="America/New_York")
    approved = draft_posts.approve(stockholm.workspace, stockholm.alice, post.id, post.version)
    assert instants(approved) == {INSTANT}
    assert (approved.wall_time, approved.time_zone) == ("2026-12-01T02:30", "America/New_York")


def test_the_form_of_a_scheduled_post_shows_its_present_wall_time(stockholm, account):
    post = draft_posts.send(stockholm.workspace, stockholm.alice, typed(account))
    settings(stockholm, time_zone="America/New_York")
    shown = draft_posts.typed_of(stockholm.workspace, posts.post(stockholm.workspace, post.id))
    assert shown.wall_time == "2026-12-01T02:30"
    draft_posts.send(stockholm.workspace, stockholm.alice, shown, opened=Opened(post.id, post.version))
    assert instants(post) == {INSTANT}


def test_a_queued_post_that_is_edited_keeps_its_slot(stockholm, account):
    with writing() as session:
        session.add(Slot(workspace_id=stockholm.workspace.id, weekday=1, wall="08:30"))
    post = draft_posts.send(stockholm.workspace, stockholm.alice, typed(account, when="queue"))
    before = instants(post)
    settings(stockholm, time_zone="America/New_York")
    draft_posts.send(stockholm.workspace, stockholm.alice, typed(account, "Rye", when="queue"),
                     opened=Opened(post.id, post.version))
    assert instants(post) == before and len(before) == 1


def test_a_draft_that_was_discarded_comes_back_at_its_own_hour_and_one_without_a_time_has_none(stockholm, account):
    timed = draft_posts.save(stockholm.workspace, stockholm.alice, typed(account))
    untimed = draft_posts.save(stockholm.workspace, stockholm.alice, typed(account, "Rye", when="now"))
    settings(stockholm, time_zone="America/New_York")
    assert draft_posts.typed_of(stockholm.workspace, timed).wall_time == "2026-12-01T02:30"
    for draft in (timed, untimed):
        draft_posts.discard(stockholm.workspace, stockholm.alice, draft.id, draft.version)
        draft_posts.restore(stockholm.workspace, stockholm.alice, draft.id)
    assert instants(timed) == {INSTANT} and instants(untimed) == {None}
