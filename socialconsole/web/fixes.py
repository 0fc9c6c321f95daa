"""The one link that helps where a diagnosis found what blocks: what it says, where it leads, who may press it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import g, url_for

from .. import connections, diagnosis, draft_posts
from ..access import may
from ..diagnosis import Step
from ..models import FAILED, UNSENT, Account, Delivery, Post


@dataclass(frozen=True)
class Fix:
    """A link, or where `posts` is set the button of a form."""

    label: str
    address: str
    posts: bool = False


def fix_of(step: Step | None, account: Account, delivery: Delivery | None = None,
           post: Post | None = None) -> Fix | None:
    """What helps with a step that blocks; None where nothing does, or the person who asks may not do it."""
    if step is None or step.passed:
        return None
    name = account.display_name or account.username
    there = {"workspace_id": g.workspace.id, "account_id": account.id}
    if step.fix == diagnosis.RECONNECT and may("reconnect") and connections.reconnectable(account):
        return Fix(f"Reconnect {name}", url_for("connect.reconnect", **there), posts=True)
    if step.fix == diagnosis.RESUME and may("manage"):
        return Fix(f"Resume {name}", url_for("accounts.resume", **there), posts=True)
    if step.fix == diagnosis.ASK_ADMIN and may("admin") and account.grant is not None:
        segment = account.grant.app.segment
        return Fix("Open the settings of the platform", url_for("platform_apps.edit", segment=segment))
    post = delivery.post if delivery is not None else post
    return _about_post(step, post, delivery) if post is not None else None


def explained(steps: Sequence[Step], account: Account, delivery: Delivery | None = None) -> dict[str, Any]:
    """What the dialog of a diagnosis shows."""
    stopped = diagnosis.blocker(steps)
    return {"diagnosis": steps, "stopped": stopped, "fix": fix_of(stopped, account, delivery),
            "explains": account.display_name or account.username}


def _about_post(step: Step, post: Post, delivery: Delivery | None) -> Fix | None:
    if step.fix == diagnosis.APPROVE and may("approve"):
        return Fix("Look at it and approve", url_for("drafts.review", workspace_id=g.workspace.id, post_id=post.id))
    if not may("compose"):
        return None
    if step.fix == diagnosis.EDIT:
        return edit_of(post, delivery) or Fix("Edit as a new post", _compose_from(post, delivery))
    if step.fix == diagnosis.RESCHEDULE and delivery is not None:
        return Fix("Reschedule", url_for("posts.ask", workspace_id=g.workspace.id, post_id=post.id,
                                         delivery_id=delivery.id, action="reschedule"))
    return None


def edit_of(post: Post, delivery: Delivery | None = None) -> Fix | None:
    """The way to change a post, or what one profile of it publishes; None where it cannot be changed any more."""
    if not draft_posts.why_not_editable(post):
        is_failed = delivery is not None and delivery.state == FAILED
        label = "Open in Compose" if post.state in UNSENT else "Edit and retry" if is_failed else "Edit"
        return Fix(label, url_for("compose.compose", workspace_id=g.workspace.id, post=post.id))
    if delivery is not None and not draft_posts.why_not_mendable(g.workspace, g.user, delivery):
        return Fix("Edit and retry", url_for("drafts.mend", workspace_id=g.workspace.id, post_id=post.id,
                                             delivery_id=delivery.id))
    return None


def _compose_from(post: Post, delivery: Delivery | None) -> str:
    account_id = delivery.account_id if delivery is not None else None
    values: dict[str, Any] = {"workspace_id": g.workspace.id, "account": account_id, "from": post.id}
    return url_for("compose.compose", **values)
