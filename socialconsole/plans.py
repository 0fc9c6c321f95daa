"""Plans: what a program asked for and a person decides, since it publishes, disconnects or deletes.

A program, such as a language model that read something it should not have obeyed, gets no further than the plan. What
is confirmed is done in the name of its key, exactly as it was shown, and once. A try that broke off or was refused can
be made again by a person; nothing is tried again by itself.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import abort
from sqlalchemy import and_, exists, func, not_, or_, select, update
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.exceptions import HTTPException

from . import access, api_keys, audit, public_ids
from .database import alone, release, took, writing
from .extensions import db
from .models import FAILED, Account, Delivery, Membership, Post, User, Workspace
from .models_api import CONFIRMED, DECLINED, DONE, PROPOSED, ApiKey, Plan

log = logging.getLogger("socialconsole.plans")

LIFE = timedelta(hours=24)
AT_WORK = timedelta(minutes=10)  # after that a try is taken for broken off
MOST_OPEN, MOST_DECIDED = 50, 50
LARGEST_BODY, DEEPEST_BODY = 64 * 1024, 12
LONGEST_SUMMARY = 2000
RUN_OUT, UNCLEAR = "run_out", "unclear"  # how a plan stands, beside its states

Perform = Callable[[ApiKey, str, str, Mapping[str, Any] | None, str], tuple[int, dict[str, Any]]]

ID = r"[a-z]{2,5}_[0-9A-Za-z]{1,40}"
POST_ID = re.compile(rf"/v1/posts/({ID})(?:/|$)")
ACCOUNT_ID = re.compile(rf"/accounts/({ID})(?:/|$)")


@dataclass(frozen=True)
class Action:
    """Something that a plan may stand for: in words, the calls it can be, and what a person needs to let it happen.

    `goes_out`: it makes something public, so the approval rule of the workspace counts. `warning`: what is lost.
    """

    label: str
    permission: str
    calls: re.Pattern[str]
    goes_out: bool = False
    warning: str = ""


def _calls(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


ACTIONS: Mapping[str, Action] = {
    "publish": Action("Publish a post", "compose", _calls("POST /v1/posts", rf"PATCH /v1/posts/{ID}"), goes_out=True),
    "schedule": Action("Schedule a post", "compose", _calls("POST /v1/posts", rf"PATCH /v1/posts/{ID}"),
                       goes_out=True),
    "change": Action("Change a post", "compose", _calls(rf"PATCH /v1/posts/{ID}"), goes_out=True),
    "retry": Action("Try a post again", "compose", _calls(rf"POST /v1/posts/{ID}/retry"), goes_out=True),
    "approve": Action("Approve a post", "approve", _calls(rf"POST /v1/posts/{ID}/approve"), goes_out=True),
    "cancel": Action("Cancel a post", "compose", _calls(rf"POST /v1/posts/{ID}/cancel"),
                     warning="It does not go out any more. What is published already stays."),
    "delete": Action("Delete a post", "compose", _calls(rf"DELETE /v1/posts/{ID}"),
                     warning="It is gone for good. What is published already stays on the platform."),
    "disconnect": Action("Disconnect a profile", "manage", _calls(rf"DELETE /v1/workspaces/{ID}/accounts/{ID}"),
                         warning="The console gives its permission back and erases it, and what is scheduled there "
                         "does not go out. Published posts stay, and the profile can be connected again."),
}


class Invalid(ValueError):
    """No plan can be made of this; the message says why."""


class NotAllowed(Exception):
    """The person may not decide this; the message says why and who may."""


class MovedOn(Exception):
    """It cannot be decided any more; the message says how it stands."""


def _nobody(*_: Any) -> tuple[int, dict[str, Any]]:
    raise RuntimeError("nothing is set that performs plans")


# Does a call in the name of a key; returns status and body. Set when the app is put together.
PERFORM: Perform = _nobody


# ---------------------------------------------------------------- asking


def propose(key: ApiKey, action: str, request: Mapping[str, Any], summary: str, now: datetime) -> Plan:
    """A plan that waits for a person for a day. `request`: method, path and body of the REST call it stands for.

    Raises Invalid for a call that is not the action's, that the key may not do, or one too many.
    """
    _check(key, action, request)
    assert key.workspace_id is not None
    made = Plan(workspace_id=key.workspace_id, key_id=key.id, asked_by=f"{key.name} of {key.user.shown}"[:254],
                action=action, request={name: request.get(name) for name in ("method", "path", "body")},
                summary=summary.strip()[:LONGEST_SUMMARY], created_at=now, expires_at=now + LIFE, state=PROPOSED)
    with writing() as session:
        alone("plans", made.workspace_id)
        if count(made.workspace_id, now) >= MOST_OPEN:
            raise Invalid(f"{MOST_OPEN} plans wait for a person already. Nothing more can be asked until some are "
                          "confirmed or declined.")
        session.add(made)
        session.flush()
        _record("plan.proposed", made, f"Asked by the API key {made.asked_by}: {ACTIONS[action].label}")
    return made


def _check(key: ApiKey, action: str, request: Mapping[str, Any]) -> None:
    known = ACTIONS.get(action)
    if known is None:
        raise Invalid("There is no such action to ask a person for.")
    body = request.get("body")
    if not known.calls.fullmatch(f"{request.get('method')} {request.get('path')}"):
        raise Invalid(f"This call is not what is meant by: {known.label}.")
    if body is not None and (not isinstance(body, dict) or not _is_moderate(body)):
        raise Invalid("The body is not an object, or too large to be shown to a person.")
    if body is not None and body.get("dryRun"):
        raise Invalid("A dry run changes nothing, so no person has to confirm it.")
    if not api_keys.may(key, known.permission):
        raise Invalid("The key, or the person whose it is, may not do this.")


def _is_moderate(body: Any) -> bool:
    level: list[Any] = [body]
    for _ in range(DEEPEST_BODY):
        level = [inner for one in level for inner in (
            one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]
    return not level and len(json.dumps(body)) <= LARGEST_BODY


# ---------------------------------------------------------------- reading


def waiting(workspace: Workspace, now: datetime) -> list[Plan]:
    """What waits for a person, the oldest first."""
    return list(db.session.scalars(select(Plan).where(_open(workspace.id, now))
                                   .order_by(Plan.created_at, Plan.id).limit(MOST_OPEN)))


def count(workspace_id: str, now: datetime) -> int:
    """How many plans wait for a person."""
    return db.session.scalar(select(func.count()).select_from(Plan).where(_open(workspace_id, now))) or 0


def decided(workspace: Workspace, now: datetime) -> list[Plan]:
    """What was decided or ran out, the newest first."""
    return list(db.session.scalars(select(Plan).where(
        Plan.workspace_id == workspace.id, not_(_open(workspace.id, now)))
        .order_by(Plan.created_at.desc(), Plan.id.desc()).limit(MOST_DECIDED)))


def _open(workspace_id: str, now: datetime) -> Any:
    return and_(Plan.workspace_id == workspace_id, Plan.state == PROPOSED, Plan.expires_at > now)


def one(workspace: Workspace, plan_id: str) -> Plan:
    """One plan of this workspace as it stands now; 404 for any other id."""
    found = db.session.get(Plan, plan_id, populate_existing=not db.session.info.get("writing"))
    if found is None or found.workspace_id != workspace.id:
        abort(404)
    return found


def standing(plan: Plan, now: datetime) -> str:
    """How a plan stands: its state, or RUN_OUT where nobody decided in time, UNCLEAR where the try broke off."""
    if plan.state == PROPOSED and plan.expires_at <= now:
        return RUN_OUT
    if plan.state == CONFIRMED and plan.decided_at is not None and plan.decided_at <= now - AT_WORK:
        return UNCLEAR
    return plan.state


@dataclass(frozen=True)
class Subjects:
    """The posts and profiles that plans name, by their ids in the database. What is not there any more is absent."""

    posts: Mapping[str, Post] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    chosen: Mapping[str, Sequence[Account]] = field(default_factory=dict)  # post id -> where it goes
    held: Sequence[Any] = ()  # keys and members, so that `key_of` asks the database for none of them


def subjects(workspace: Workspace, plans: Sequence[Plan]) -> Subjects:
    """What these plans are about, within the workspace; a few queries for all of them."""
    wanted = {post_id(plan) for plan in plans} - {""}
    posts = {one.id: one for one in db.session.scalars(
        select(Post).where(Post.workspace_id == workspace.id, Post.id.in_(wanted)))} if wanted else {}
    going = list(db.session.scalars(select(Delivery).where(Delivery.post_id.in_(posts)).order_by(Delivery.id)
                                    .options(selectinload(Delivery.account)))) if posts else []
    ids = {one for plan in plans for one in account_ids(plan)}
    accounts = {one.id: one for one in db.session.scalars(
        select(Account).where(Account.workspace_id == workspace.id, Account.id.in_(ids)))} if ids else {}
    chosen: dict[str, list[Account]] = {}
    for delivery in going:
        if delivery.account not in chosen.setdefault(delivery.post_id, []):
            chosen[delivery.post_id].append(delivery.account)
    keys = db.session.scalars(select(ApiKey).where(ApiKey.id.in_({plan.key_id for plan in plans})).options(
        joinedload(ApiKey.user))).all()
    members = db.session.scalars(select(Membership).where(Membership.workspace_id == workspace.id)).all()
    return Subjects(posts, accounts, chosen, (*keys, *members))


def post_id(plan: Plan) -> str:
    """The id of the post that a plan changes; empty where it is about a new one or none."""
    found = POST_ID.match(str(plan.request.get("path")))
    return public_ids.inner(found[1]) if found else ""


def account_ids(plan: Plan) -> list[str]:
    """The ids of the profiles that a plan names, in its order."""
    found = ACCOUNT_ID.search(str(plan.request.get("path")))
    named = (plan.request.get("body") or {}).get("accountIds")
    return ([found[1]] if found else []) + [one for one in (named if isinstance(named, list) else ())
                                            if isinstance(one, str)]


def key_of(plan: Plan, now: datetime) -> ApiKey | None:
    """The key that asked, if it still holds and its person is still there."""
    key = db.session.get(ApiKey, plan.key_id) if plan.key_id else None
    return key if key is not None and api_keys.holds(key, now) and api_keys.is_backed(key) else None


# ---------------------------------------------------------------- deciding


def why_not(plan: Plan, workspace: Workspace, user: User, *, confirmed: bool = True) -> str:
    """Why a person may not decide a plan; empty if they may."""
    action = ACTIONS.get(plan.action)
    member = db.session.get(Membership, (workspace.id, user.id))
    if action is None or member is None or plan.workspace_id != workspace.id:
        return "This cannot be decided here."
    if member.role not in access.PERMISSIONS[action.permission]:
        return access.WHY_NOT[action.permission]
    if confirmed and action.goes_out and access.must_ask(workspace, user):
        return "Posts of this workspace go out with the approval of an owner. Ask an owner to confirm this."
    return ""


def decide(plan: Plan, user: User, confirmed: bool, now: datetime) -> Plan:
    """Decide a plan, once, and do at once what is confirmed; returns it as it stands then.

    Raises NotAllowed, and MovedOn if it was decided already, ran out, or its key does not hold any more.
    """
    _refuse(plan, user, confirmed, now)
    claim = update(Plan).where(Plan.id == plan.id, Plan.state == PROPOSED, Plan.expires_at > now)
    if confirmed:
        claim = claim.where(_key_holds(now))
    _claim(plan, claim, user, CONFIRMED if confirmed else DECLINED, now)
    return _performed(plan, now) if confirmed else plan


def again(plan: Plan, user: User, now: datetime) -> Plan:
    """Try once more what was confirmed and did not succeed, within the time of the plan; as `decide`."""
    _refuse(plan, user, True, now)
    claim = update(Plan).where(Plan.id == plan.id, Plan.expires_at > now, _key_holds(now), or_(
        Plan.state == FAILED, and_(Plan.state == CONFIRMED, Plan.decided_at <= now - AT_WORK)))
    _claim(plan, claim, user, CONFIRMED, now)
    return _performed(plan, now)


def _refuse(plan: Plan, user: User, confirmed: bool, now: datetime) -> None:
    if why := why_not(plan, db.session.get_one(Workspace, plan.workspace_id), user, confirmed=confirmed):
        raise NotAllowed(why)
    if confirmed and standing(plan, now) in (PROPOSED, FAILED, UNCLEAR) and key_of(plan, now) is None:
        raise MovedOn(KEY_GONE)


def _key_holds(now: datetime) -> Any:
    return exists().where(ApiKey.id == Plan.key_id, api_keys.holding(now))


def _claim(plan: Plan, claim: Any, user: User, state: str, now: datetime) -> None:
    """Take the decision, of many at once for one only. Raises MovedOn."""
    plan_id = plan.id
    with writing():
        is_ours = took(claim.values(state=state, decided_at=now, decided_by=user.shown[:254], result={}))
        if is_ours:
            label = ACTIONS[plan.action].label
            words = {CONFIRMED: "Confirmed", DECLINED: "Declined"}[state]
            _record(f"plan.{state}", plan, f"{words} what the API key {plan.asked_by} asked for: {label}")
    db.session.refresh(plan)
    if not is_ours:
        log.info("a plan was not decided", extra={"plan": plan_id, "state": plan.state})
        raise MovedOn(_moved(plan, now))


KEY_GONE = ("The API key that asked for it does not hold any more: it was revoked, it ended, or its person left. So it "
            "cannot be confirmed.")
MOVED = {
    CONFIRMED: "{by} confirmed this already, and it is being done.",
    UNCLEAR: "{by} confirmed this already. Whether it was done is not known.",
    DONE: "{by} confirmed this already, and it is done.",
    FAILED: "{by} confirmed this already. It did not succeed.",
    DECLINED: "{by} declined this already.",
    RUN_OUT: "Nobody decided this in time, so it ran out. The program can ask again.",
    PROPOSED: KEY_GONE,
}
GONE = "There is nothing here any more that this is about."
TOO_LATE = "The time of this plan is over, so it is not tried again. The program can ask anew."


def _moved(plan: Plan, now: datetime) -> str:
    if plan.state in (FAILED, CONFIRMED) and plan.expires_at <= now:
        return TOO_LATE
    return MOVED[standing(plan, now)].format(by=plan.decided_by or "Somebody")


def _performed(plan: Plan, at: datetime) -> Plan:
    """Do what was confirmed at this instant and keep what came of it."""
    plan_id, key, asked = plan.id, db.session.get(ApiKey, plan.key_id), dict(plan.request)
    release()  # a platform may be called
    try:
        if key is None:
            raise LookupError("the key is gone")
        status, body = PERFORM(key, str(asked["method"]), str(asked["path"]), asked.get("body"), plan_id)
    except HTTPException as refusal:
        db.session.rollback()
        status, body = refusal.code or 500, {"detail": GONE if refusal.code == 404 else str(refusal.description)}
    except Exception:  # whatever broke, the person reads that it did, and may look and try again
        db.session.rollback()
        log.exception("a plan broke off", extra={"plan": plan_id})
        status, body = 500, {"detail": "The console broke off. Look whether it was done before you try again."}
    state = DONE if 200 <= status < 300 else FAILED
    with writing():
        # Who tried again meanwhile owns the outcome.
        if took(update(Plan).where(Plan.id == plan_id, Plan.state == CONFIRMED, Plan.decided_at == at).values(
                state=state, result={"status": status, "body": body})):
            found = db.session.get_one(Plan, plan_id)
            _record(f"plan.{state}", found, f"{ACTIONS[found.action].label}, as an API key asked: "
                    f"{'done' if state == DONE else 'did not succeed'}")
    return db.session.get_one(Plan, plan_id, populate_existing=True)


def _record(what: str, plan: Plan, summary: str) -> None:
    audit.record(what, "plan", plan.id, summary, workspace_id=plan.workspace_id, name=ACTIONS[plan.action].label,
                 asks_for=plan.action, asked_by=plan.asked_by)
