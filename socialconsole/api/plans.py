"""Plans, as programs ask for them: what a language model wants done waits for a person, who confirms it here.

A key with the permission `unattended` needs nobody: what it asks for is done at once. What comes by the door for
language models gets nothing else done: there is no other way through.
"""

from collections.abc import Mapping
from typing import Any, Literal

from flask import Response, current_app, request
from pydantic import Field

from .. import api_keys, plans
from ..config import Config
from ..models_api import Plan
from . import operations
from .operations import Answer, Asked, operation
from .problems import KINDS, PREFIX, Fault, Problem
from .shapes import Instant, Shape, Text

DOOR, MCP = "Socialconsole-Door", "mcp"  # the header that our MCP server sends with each of its calls
READS = ("GET", "HEAD")
OPEN = ("createPlan", "makeReconnectLink")  # what that door may call, beside what only reads and dry runs
NO_PLAN = ("What a language model asks for is confirmed by a person first, unless its key may act without asking. "
           "Ask for a plan.")


class RequestShape(Shape):
    """The call that a plan stands for."""

    method: Literal["POST", "PATCH", "DELETE"]
    path: Text = Field(max_length=200, description="From /v1 on, such as /v1/posts.")
    body: dict[str, Any] | None = None


class PlanBody(Shape):
    """What shall be done, if a person agrees."""

    action: Text = Field(max_length=40, description=f"One of: {', '.join(plans.ACTIONS)}.")
    request: RequestShape
    summary: Text = Field("", max_length=plans.LONGEST_SUMMARY, description="For the person: what it is for.")


class PlanShape(Shape):
    """A plan and how it stands."""

    id: str
    action: str
    summary: str
    state: str = Field(description="proposed, confirmed, done, failed, declined, run_out, unclear")
    url: str = Field(description="Where a person confirms or declines it.")
    created_at: Instant
    expires_at: Instant = Field(description="Until then a person can decide.")
    decided_at: Instant | None
    decided_by: str
    result: dict[str, Any] = Field(description="status and body of the call, once it was done or refused.")


class PerformedShape(Shape):
    """What was done at once, since the key may act without asking a person."""

    state: str = "done"
    status: int
    result: dict[str, Any]


def plan(found: Plan, asked: Asked) -> PlanShape:
    """A plan as it is told."""
    config: Config = current_app.extensions["config"]
    return PlanShape(
        id=found.id, action=found.action, summary=found.summary, state=plans.standing(found, asked.now),
        url=f"{config.public_url}/w/{found.workspace_id}/plans#{found.id}", created_at=found.created_at,
        expires_at=found.expires_at, decided_at=found.decided_at, decided_by=found.decided_by, result=found.result)


@operation("POST", "/plans", "see", "plans", "Ask a person to let something happen", body=PlanBody, answer=PlanShape,
           status=201, also={200: "The key may act without asking, and it was done."}, others={200: PerformedShape},
           problems=("conflict", "version_conflict", "platform_failed", "unavailable"))
def create_plan(asked: Asked) -> Answer:
    """Nothing is done until a person confirms it in the console, within a day; then it is done as it was shown.

    The key needs the permission for the call itself. With the permission `unattended` it is done at once (200).
    """
    body: PlanBody = asked.body
    known = plans.ACTIONS.get(body.action)
    if known is None:
        raise _wrong("action", f"There is no such action. It can be {', '.join(plans.ACTIONS)}.")
    if not known.calls.fullmatch(f"{body.request.method} {body.request.path}"):
        raise _wrong("request.path", f"This call is not what is meant by: {known.label}.")
    if not api_keys.may(asked.key, known.permission):
        raise Problem("not_allowed", "The key, or the person whose it is, may not do this.", needs=known.permission)
    call = body.request.model_dump()
    if api_keys.is_unattended(asked.key):
        return Answer(_performed(asked, body.request), 200)
    try:
        made = plans.propose(asked.key, body.action, call, body.summary, asked.now)
    except plans.Invalid as error:
        raise _wrong("request", str(error)) from None
    return Answer(plan(made, asked), 201)


def _wrong(field: str, message: str) -> Problem:
    return Problem("invalid", message, [Fault(field, message)])


def _performed(asked: Asked, call: RequestShape) -> PerformedShape:
    """Do it at once. Raises Problem with what the call was answered."""
    status, said = operations.perform(asked.key, call.method, call.path, call.body, asked.nonce)
    if not 200 <= status < 300:
        raise _refusal(said)
    return PerformedShape(status=status, result=said)


def _refusal(said: Mapping[str, Any]) -> Problem:
    usual = ("type", "title", "status", "code", "detail", "step", "errors")
    more = {name: value for name, value in said.items() if name not in usual}
    code = str(said.get("code"))
    faults = [Fault(f"request.body.{one['field']}", one["message"]) for one in said.get("errors", ())]
    return Problem(code if code in KINDS else "internal", str(said.get("detail", "")), faults, **more)


@operation("GET", "/plans/{planId}", "see", "plans", "One plan", answer=PlanShape, is_tagged=True)
def get_plan(asked: Asked) -> PlanShape:
    """Whether a person decided, and what came of it."""
    return plan(plans.one(asked.place, asked.ids["planId"]), asked)


# ---------------------------------------------------------------- the door for language models


def heed_door() -> Response | None:
    """Refuse whatever comes by the door for language models and is neither harmless nor a plan."""
    if request.headers.get(DOOR, "").strip().lower() != MCP or request.method in READS:
        return None
    name = (request.endpoint or "").removeprefix(f"{operations.BLUEPRINT}.")
    if name in OPEN or (name == "createPost" and _is_dry()):
        return None
    return Problem("person_needed", NO_PLAN, instead=f"POST {PREFIX}/plans").answer()


def _is_dry() -> bool:
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        return False
    return isinstance(body, dict) and body.get("dryRun") is True
