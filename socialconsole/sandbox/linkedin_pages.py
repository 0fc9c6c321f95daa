"""LinkedIn's Pages: which roles a member has, and what a Page is called.

learn.microsoft.com/linkedin: Organization Access Control by Role; Organization Lookup API. Batch reads are not offered
to apps of the Development tier, which is what the sandbox plays.
"""

import re
from typing import Any

from flask import Blueprint, Response, request

from .calls import operation
from .linkedin import PLATFORM, answer, member_id, refuse
from .linkedin_api import (
    PAGE,
    PERSON,
    Problem,
    bearer,
    check_protocol,
    denied,
    known_parameters,
    role_of,
    say_problem,
)
from .linkedin_people import PEOPLE
from .plays import Person
from .state import Grant
from .world import world

READERS = ("ADMINISTRATOR", "CONTENT_ADMINISTRATOR")
MOST_AT_ONCE = 100
STATES = ("APPROVED", "REQUESTED", "REJECTED", "REVOKED")

bp = Blueprint("linkedin_pages", __name__)
bp.register_error_handler(Problem, say_problem)


def _needs_admin_scope(grant: Grant, resource: str) -> None:
    if not {"rw_organization_admin", "r_organization_admin"} & set(grant.scopes):
        raise denied(resource)


@bp.get("/api.linkedin.com/rest/organizationAcls")
@operation(PLATFORM, "list", refuse)
def acls() -> Response:
    """The roles of the member, a page of the list at a time."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters("q", "state", "role", "count", "start")
    if request.args.get("q") != "roleAssignee":
        raise Problem(400, "Finder is missing or unknown", "ILLEGAL_ARGUMENT")
    if request.args.get("state", "APPROVED") not in STATES:
        raise Problem(400, "Unknown state", "ILLEGAL_ARGUMENT")
    _needs_admin_scope(grant, f"organizationAcls.FINDER-roleAssignee.{version}01")
    start, count = _whole("start", 0), min(_whole("count", 10), MOST_AT_ONCE)
    who = world().person_of(grant)
    wanted = {name: request.args[name] for name in ("state", "role") if name in request.args}
    rows = [one for one in who.facts.get("organizations", ())
            if all({"state": "APPROVED", **one}[name] == value for name, value in wanted.items())]
    shown = [_acl(one, member_id(who.id, grant.client_id)) for one in rows[start : start + count]]
    links = [{"rel": "next", "type": "application/json"}] if start + count < len(rows) else []
    return answer({"elements": shown, "paging": {"start": start, "count": count, "links": links}})


def _acl(one: dict[str, Any], member: str) -> dict[str, Any]:
    """One role; `spelling` is for the field names of older versions, which are still seen."""
    return {
        one.get("spelling", "organization"): f"{PAGE}{one['id']}",
        "role": one["role"],
        "roleAssignee": f"{PERSON}{member}",
        "state": one.get("state", "APPROVED"),
    }


def _whole(name: str, usual: int) -> int:
    value = request.args.get(name, str(usual))
    if not value.isdigit():
        raise Problem(400, f"{name} is not a number", "ILLEGAL_ARGUMENT")
    return int(value)


def organization(page_id: str) -> dict[str, Any] | None:
    """The Page of that id, whoever looks after it."""
    return next((one for who in PEOPLE for one in _pages(who) if one["id"] == page_id), None)


def _pages(who: Person) -> tuple[dict[str, Any], ...]:
    return tuple(who.facts.get("organizations", ()))


@bp.get("/api.linkedin.com/rest/organizations/<page_id>")
@operation(PLATFORM, "profile", refuse)
def one_organization(page_id: str) -> Response:
    """A Page, for those who look after it."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters()
    _needs_admin_scope(grant, f"organizations.GET.{version}01")
    found = organization(page_id)
    if found is None:
        raise Problem(404, "Could not find entity", "NOT_FOUND")
    if role_of(grant, page_id) not in READERS:
        raise denied(f"organizations.GET.{version}01")
    return answer(_public(found) | {"logoV2": {"original": f"urn:li:digitalmediaAsset:C4D{page_id}"}})


@bp.get("/api.linkedin.com/rest/organizationsLookup")
@operation(PLATFORM, "profile", refuse)
def lookup() -> Response:
    """What everybody may see of a Page; several at once are a batch read."""
    bearer()
    version = check_protocol()
    known_parameters("ids")
    listed = re.fullmatch(r"List\((\d+(?:,\d+)*)\)", request.args.get("ids", ""))
    if listed is None:
        raise Problem(400, "ids must be a List", "ILLEGAL_ARGUMENT")
    ids = listed.group(1).split(",")
    if len(ids) > 1:
        raise denied(f"organizationsLookup.BATCH_GET.{version}01")
    found = {page_id: page for page_id in ids if (page := organization(page_id))}
    return answer({"results": {page_id: _public(page) for page_id, page in found.items()}, "errors": {}})


def _public(page: dict[str, Any]) -> dict[str, Any]:
    return {"id": int(page["id"]), "localizedName": page["name"], "vanityName": page["vanity"]}
