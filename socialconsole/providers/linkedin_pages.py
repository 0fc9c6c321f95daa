"""Pages that a member may post for: roles, and one reading for each.

learn.microsoft.com/linkedin/marketing/community-management/organizations: Organization Access Control by Role,
Organization Lookup. Batch reads are forbidden on the Development tier, so each Page is read alone.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..errors import PERMISSION_MISSING, AttemptFailed, NeedsReconnect, PermissionMissing, TryLater
from .base import App, Profile
from .linkedin_refusals import NO_ROLE, PAGE_URN
from .linkedin_rest import Rest

KIND = "LinkedIn Page"
_AT_ONCE = 100
_MOST_PAGES = 20
_MOST_READ = 50  # the Development tier allows a member a hundred calls a day
_POSTING = ("ADMINISTRATOR", "CONTENT_ADMINISTRATOR", "DIRECT_SPONSORED_CONTENT_POSTER")
_WORDS = {
    "ADMINISTRATOR": "admin", "CONTENT_ADMINISTRATOR": "content admin",
    "DIRECT_SPONSORED_CONTENT_POSTER": "poster of sponsored content", "RECRUITING_POSTER": "recruiting poster",
    "LEAD_CAPTURE_ADMINISTRATOR": "lead capture admin", "LEAD_GEN_FORMS_MANAGER": "lead forms manager",
    "ANALYST": "analyst", "CURATOR": "curator",
}
_SPELLINGS = ("organization", "organizationTarget", "organizationalTarget")  # the later ones are older


def roles(rest: Rest) -> dict[str, tuple[str, str]]:
    """Page id -> (role, why it does not allow posting), the best role of each."""
    found: dict[str, tuple[str, str]] = {}
    for one in _acls(rest):
        page = next((str(one[name]) for name in _SPELLINGS if one.get(name)), "")
        known = re.fullmatch(rf"(?:{PAGE_URN})?(\d+)", page)
        if known is None:
            continue
        role = str(one.get("role") or "")
        problem = _problem(role, str(one.get("state") or "APPROVED"))
        if known.group(1) not in found or (found[known.group(1)][1] and not problem):
            found[known.group(1)] = (role, problem)
    return found


def _problem(role: str, state: str) -> str:
    if role not in _POSTING:
        word = _WORDS.get(role, role.lower().replace("_", " "))
        return f"Your role there is {word}. Posting needs admin or content admin."
    return "" if state == "APPROVED" else f"Your role there is {state.lower()}, not approved yet."


def _acls(rest: Rest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start = 0
    for _ in range(_MOST_PAGES):
        body = rest.get("/rest/organizationAcls", {
            "q": "roleAssignee", "state": "APPROVED", "count": _AT_ONCE, "start": start})
        rows = body.get("elements")
        elements = [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []
        found += elements
        following = _next(body.get("paging"), start, len(elements))
        if not elements or following <= start:
            break
        start = following
    return found


def _next(paging: Any, start: int, came: int) -> int:
    """Where the next page begins; `start` where there is none."""
    told = paging if isinstance(paging, dict) else {}
    links, total = told.get("links"), told.get("total")
    more = any(isinstance(one, dict) and one.get("rel") == "next" for one in
               (links if isinstance(links, list) else []))
    if isinstance(total, int):
        more = more or start + came < total
    return start + came if more or came >= _AT_ONCE else start


def profiles(rest: Rest, app: App) -> list[Profile]:
    """Every Page with a role, those that can be posted to first."""
    known = sorted(roles(rest).items(), key=lambda one: bool(one[1][1]))
    return [_page(app, page_id, _read(rest, page_id) if number < _MOST_READ else {}, role, problem)
            for number, (page_id, (role, problem)) in enumerate(known)]


def profile(rest: Rest, app: App, page_id: str) -> Profile:
    """One Page as it is now. Raises NeedsReconnect where its person lost the role."""
    role, problem = roles(rest).get(page_id, ("", "gone"))
    if problem:
        raise NeedsReconnect(NO_ROLE, "no_role", reason=PERMISSION_MISSING)
    return _page(app, page_id, _read(rest, page_id), role, "")


def no_page(pages: list[Profile]) -> PermissionMissing:
    """The error for a consent without any Page to post to, with what was found."""
    reasons = " ".join(f"{one.display_name}: {one.problem}" for one in pages[:3])
    return PermissionMissing(f"No Page found where you are admin or content admin. {reasons}".strip(), "no_page")


def _read(rest: Rest, page_id: str) -> dict[str, Any]:
    """What LinkedIn tells of a Page; to those who are not its admin only what everybody may see."""
    try:
        return rest.get(f"/rest/organizations/{page_id}")
    except (PermissionMissing, AttemptFailed):  # one that is gone does not keep the others back
        return _public(rest, page_id)


def _public(rest: Rest, page_id: str) -> dict[str, Any]:
    try:
        results = rest.get(f"/rest/organizationsLookup?ids=List({page_id})").get("results")
    except (PermissionMissing, AttemptFailed, TryLater):
        return {}
    found = results.get(page_id) if isinstance(results, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _page(app: App, page_id: str, told: Mapping[str, Any], role: str, problem: str) -> Profile:
    vanity = str(told.get("vanityName") or "")
    name = str(told.get("localizedName") or "") or vanity or f"Page {page_id}"
    return Profile(page_id, vanity, name, KIND, f"{app.hosts['web']}/company/{vanity}" if vanity else "",
                   meta={"urn": f"{PAGE_URN}{page_id}", "role": role}, problem=problem)
