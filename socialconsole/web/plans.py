"""What programs asked for and a person decides: each plan as data, the two answers, and what came of those before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, g, url_for
from flask.typing import ResponseReturnValue

from .. import outside, plans, times
from ..access import may, requires
from ..models import FAILED, Account, Post
from ..models_api import CONFIRMED, DECLINED, DONE, PROPOSED, Plan
from ..plans import ACTIONS, RUN_OUT, UNCLEAR, Subjects
from .page import moved, show

bp = Blueprint("plans", __name__, url_prefix="/w/<workspace_id>/plans")

# how a plan stands -> the status that its chip is drawn like, and the words on it
STATES = {PROPOSED: ("submitted", "Waits for a person"), CONFIRMED: ("publishing", "At work"), DONE: ("ok", "Done"),
          FAILED: ("failed", "Not done"), DECLINED: ("cancelled", "Declined"), RUN_OUT: ("missed", "Ran out"),
          UNCLEAR: ("unconfirmed", "Not known")}
# name in the body -> what a person reads; others are shown by their own name
FIELDS = {"text": "Text", "accountIds": "Profiles", "media": "Files", "schedule": "When", "variations": "Own text",
          "formats": "Formats", "firstComment": "First comment", "parts": "Further parts", "poll": "Poll",
          "note": "Note"}
LONGEST_SENTENCE = 500


@dataclass(frozen=True)
class Shown:
    """A plan as the page shows it. `facts`: everything else that the call says, by name; nothing of it is left out."""

    plan: Plan
    label: str
    warning: str
    chip: tuple[str, str]
    text: str  # what the program wrote as the text of a post
    is_new_text: bool
    accounts: list[Account]
    post: Post | None  # what it changes
    is_post_gone: bool
    strangers: list[str]  # ids of profiles that are not of this workspace
    facts: list[tuple[str, str]]
    when: datetime | None = None
    says: str = ""  # what came of it
    why_not: str = ""  # why this person cannot confirm it
    may_confirm: bool = False
    may_decline: bool = False
    may_try: bool = False
    link: str = ""


@bp.get("")
@requires("compose")
def index(workspace_id: str) -> ResponseReturnValue:
    """What waits for a person, and what was decided."""
    return _page()


def _page(status: int = 200, problem: str = "") -> ResponseReturnValue:
    now = outside.now()
    waiting, decided = plans.waiting(g.workspace, now), plans.decided(g.workspace, now)
    about = plans.subjects(g.workspace, [*waiting, *decided])
    return show("plans.html", None, status, waiting=[_shown(one, about, now) for one in waiting],
                decided=[_shown(one, about, now) for one in decided], problem=problem)


@bp.post("/<plan_id>/confirm")
@requires("compose")
def confirm(workspace_id: str, plan_id: str) -> ResponseReturnValue:
    """Let it happen, at once."""
    return _decided(plan_id, confirmed=True)


@bp.post("/<plan_id>/decline")
@requires("compose")
def decline(workspace_id: str, plan_id: str) -> ResponseReturnValue:
    """Do not let it happen."""
    return _decided(plan_id, confirmed=False)


@bp.post("/<plan_id>/again")
@requires("compose")
def again(workspace_id: str, plan_id: str) -> ResponseReturnValue:
    """Try once more what did not succeed."""
    return _decided(plan_id, confirmed=None)


def _decided(plan_id: str, confirmed: bool | None) -> ResponseReturnValue:
    found, now, back = plans.one(g.workspace, plan_id), outside.now(), url_for(".index", workspace_id=g.workspace.id)
    try:
        plan = (plans.again(found, g.user, now) if confirmed is None
                else plans.decide(found, g.user, confirmed, now))
    except plans.NotAllowed as refusal:
        abort(403, str(refusal))
    except plans.MovedOn as problem:
        return _page(409, str(problem))
    label = ACTIONS[plan.action].label
    return moved(back, {DONE: f"Confirmed and done: {label}.", DECLINED: f"Declined: {label}. Nothing was done."}.get(
        plan.state, f"Confirmed, and it did not succeed: {label}."))


# ---------------------------------------------------------------- one plan as data


def _shown(plan: Plan, about: Subjects, now: datetime) -> Shown:
    action, state, body = ACTIONS[plan.action], plans.standing(plan, now), dict(plan.request.get("body") or {})
    post_id, ids = plans.post_id(plan), plans.account_ids(plan)
    post = about.posts.get(post_id)
    text = body.pop("text") if isinstance(body.get("text"), str) else None
    if ids and body.get("accountIds") == ids:
        body.pop("accountIds")
    is_open, is_stuck = state == PROPOSED, state in (FAILED, UNCLEAR) and plan.expires_at > now
    why_not = plans.why_not(plan, g.workspace, g.user) if is_open or is_stuck else ""
    if (is_open or is_stuck) and not why_not and plans.key_of(plan, now) is None:
        why_not = plans.KEY_GONE
    return Shown(
        plan, action.label, action.warning, STATES[state],
        text or "", text is not None,
        [about.accounts[one] for one in ids if one in about.accounts] or list(about.chosen.get(post_id, ())),
        post, bool(post_id) and post is None, [one for one in ids if one not in about.accounts],
        [(name, _named(value, about)) for name, value in _facts(body)], post.due_at if post is not None else None,
        _outcome(plan, state), why_not, is_open and not why_not, is_open and may(action.permission),
        is_stuck and not why_not,
        url_for("posts.post", workspace_id=g.workspace.id, post_id=post.id) if post is not None else "")


def _facts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Each single value of a body with its name, lists counted from 1; an empty one says so, since it may clear."""
    if isinstance(value, Mapping | list) and not value and name:
        yield name, "none"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _facts(inner, f"{name} · {key}" if name else FIELDS.get(str(key), str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _facts(inner, f"{name} {number}" if len(value) > 1 else name)
    else:
        yield name, "none" if value is None else "empty" if value == "" else _words(value)


def _named(value: str, about: Subjects) -> str:
    """A value, with the name beside it where it is the id of a profile."""
    account = about.accounts.get(value)
    return f"{account.display_name or account.username} ({value})" if account is not None else value


def _words(value: Any) -> str:
    """A value in words; an instant also as the clocks of the workspace show it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 40 else None
        return f"{times.exact(at, g.workspace.time_zone)} ({value})" if at is not None and at.tzinfo else str(value)
    except (ValueError, OverflowError):
        return str(value)


def _outcome(plan: Plan, state: str) -> str:
    """What came of a plan, as a sentence; of the answer only what is meant for people."""
    by = plan.decided_by or "Somebody"
    if state == UNCLEAR:
        return (f"{by} confirmed it, and the try broke off: it is not known whether it was done. Look at the posts and "
                "profiles before you try again.")
    if state != FAILED:
        return ""
    body = plan.result.get("body")
    told = body if isinstance(body, dict) else {}
    sentence = " ".join(str(told[name]) for name in ("title", "detail") if isinstance(told.get(name), str))
    return sentence[:LONGEST_SENTENCE] or "It did not succeed, and no reason was given."

