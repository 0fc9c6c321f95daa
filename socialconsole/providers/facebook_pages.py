"""Listing a person's Pages: where Facebook names them, which may be chosen, and what is known of their tokens.

Vendor pages: developers.facebook.com/documentation/pages-api, …/docs/graph-api/reference/user/accounts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import PlatformError
from .base import Profile
from .call import Call, Reply
from .meta import after, rows, token_facts

PICTURE = "picture.type(large){url}"
_PAGE_FIELDS = f"id,name,username,link,category,tasks,access_token,{PICTURE}"
_BARE_FIELDS = "id,name,access_token"  # of a Page itself; the tasks are known only where a person's Pages are listed
_MOST_PARTS = 20  # of 100 Pages each
_MOST_INSPECTED = 10  # Page tokens looked at while a person waits

_NOT_TICKED = "This Page was not ticked at Facebook. Connect again and keep the earlier Pages ticked too."
_NO_ROLE = "Your role on this Page does not allow publishing. Ask its owner for content access."
_NOT_ITS_OWN = "Facebook gave no key of this Page's own. Connect again and tick the Page."


@dataclass(frozen=True)
class Graph:
    """Reads for one person while the consent is worked off."""

    call: Call
    version: str

    def ask(self, path: str, **params: Any) -> Reply:
        """One answer, with its headers."""
        return self.call.get(f"/{self.version}/{path}", params=params)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """One object."""
        return self.ask(path, **params).json()

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """A whole list, part by part."""
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(_MOST_PARTS):
            body = self.get(path, **params, limit=100, **({"after": cursor} if cursor else {}))
            found += rows(body)
            following = after(body)
            if not following or following == cursor:
                break
            cursor = following
        return found


def list_pages(graph: Graph, user_token: str, granted: frozenset[str]) -> list[Profile]:
    """The Pages of a person, those that can be chosen first; the others say why they cannot."""
    found = {str(page["id"]): page for page in graph.all("me/accounts", fields=_PAGE_FIELDS) if page.get("id")}
    if "business_management" in granted:
        for page in _portfolio_pages(graph):
            found.setdefault(str(page["id"]), page)
    if not found:
        found = {str(page["id"]): page for page in _ticked_pages(graph, user_token)}
    profiles = [_page(page, user_token) for page in found.values()]
    profiles = [_inspected(graph, one) if number < _MOST_INSPECTED else one
                for number, one in enumerate(sorted(profiles, key=lambda one: bool(one.problem)))]
    return sorted(_until_alike(profiles), key=lambda one: bool(one.problem))


def _page(page: Mapping[str, Any], user_token: str) -> Profile:
    token, tasks = page.get("access_token"), page.get("tasks")
    problem = ""
    if not isinstance(token, str) or not token:
        token, problem = None, _NOT_TICKED
    elif token == user_token:
        token, problem = None, _NOT_ITS_OWN
    elif isinstance(tasks, list) and not {"CREATE_CONTENT", "MANAGE"} & set(map(str, tasks)):
        problem = _NO_ROLE
    return replace(described_page(page), own_token=token, problem=problem)


def described_page(page: Mapping[str, Any]) -> Profile:
    """A Page as a profile."""
    picture = page.get("picture")
    data = picture.get("data") if isinstance(picture, dict) else None
    page_id = str(page.get("id") or "")
    return Profile(
        page_id, str(page.get("username") or ""), str(page.get("name") or page_id), "Facebook Page",
        str(page.get("link") or ""), str(data.get("url") or "") if isinstance(data, dict) else "",
        {key: page[key] for key in ("category", "link", "tasks") if page.get(key)})


def _tolerant(read: Callable[[], Any], otherwise: Any) -> Any:
    """What a read gives that is a help but no must."""
    try:
        return read()
    except PlatformError:
        return otherwise


def _portfolio_pages(graph: Graph) -> list[dict[str, Any]]:
    """Pages of the person's business portfolios, which `me/accounts` leaves out."""
    found: list[dict[str, Any]] = []
    for business in _tolerant(lambda: graph.all("me/businesses", fields="id,name"), []):
        for pages in ("owned_pages", "client_pages"):
            path = f"{business.get('id')}/{pages}"
            for fields in (_PAGE_FIELDS, _BARE_FIELDS):
                listed = _tolerant(
                    lambda path=path, fields=fields: graph.all(path, fields=fields), None)  # type: ignore[misc]
                if listed is not None:
                    found += listed
                    break
    return [page for page in found if page.get("id")]


def _ticked_pages(graph: Graph, user_token: str) -> list[dict[str, Any]]:
    """The Pages named by the token itself, for logins where Facebook lists none although some were ticked."""
    wanted: dict[str, None] = {}
    for scope in token_facts(graph.call, graph.version, user_token).get("granular_scopes") or []:
        if isinstance(scope, dict) and str(scope.get("scope", "")).startswith("pages_"):
            wanted.update(dict.fromkeys(str(target) for target in scope.get("target_ids") or []))
    pages = [_tolerant(lambda one=one: graph.get(one, fields=_BARE_FIELDS), {})  # type: ignore[misc]
             for one in list(wanted)[:100] if one.isdigit()]
    return [page for page in pages if page.get("id")]


def _until_alike(pages: list[Profile]) -> list[Profile]:
    """The end of the data access, which is the person's and so the same for all, on Pages that were not looked at."""
    name = "token_data_access_expires_at"
    until = next((page.meta[name] for page in pages if name in page.meta), None)
    return [replace(page, meta={name: until, **page.meta}) if until and page.own_token else page for page in pages]


def _inspected(graph: Graph, page: Profile) -> Profile:
    """A Page with what Facebook says of its token. A token of another kind would fail at every post."""
    if page.problem or not page.own_token:
        return page
    facts = token_facts(graph.call, graph.version, page.own_token)
    if facts and (facts.get("type") not in (None, "PAGE") or facts.get("is_valid") is False
                  or str(facts.get("profile_id") or page.platform_user_id) != page.platform_user_id):
        return replace(page, own_token=None, problem=_NOT_ITS_OWN)
    kept = {f"token_{key}": facts[key] for key in ("type", "expires_at", "data_access_expires_at") if key in facts}
    return replace(page, meta={**page.meta, **kept})
