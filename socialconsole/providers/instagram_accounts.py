"""Which Instagram accounts a person may connect: the one that signed in, or those linked to the person's Pages."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import PermissionMissing, PlatformError
from .base import App, Profile
from .call import Call
from .meta import after, rows

DIRECT_FIELDS = "user_id,username,name,account_type,profile_picture_url"
_PAGE_FIELDS = ("id,name,tasks,access_token,"
                "instagram_business_account{id,username,name,profile_picture_url,followers_count}")
_BARE_FIELDS = _PAGE_FIELDS.replace("tasks,", "")  # the tasks are known only where a person's Pages are listed
_MOST_PARTS = 20  # of 100 Pages each
_KINDS = {"business": "Business account", "media_creator": "Creator account"}

NO_ACCOUNT = "No professional account was found. It must be Business or Creator and linked to a Page you tick."
_UNSEEN = "Without {} no Instagram account is shown to us. Connect again and allow everything that is asked."
_PORTFOLIO = " A Page of a business portfolio is seen only with the permission business_management."
_NOT_LINKED = ("No professional account is linked to this Page. A personal account cannot be connected: switch it to "
               "Business or Creator in the Instagram app, link it to the Page, then connect again.")
_NOT_TICKED = ("The Page linked to this account was not ticked at Facebook. Connect again and tick the account and its "
               "Page.")
_NO_ROLE = "Your role on the linked Page does not allow publishing. Ask its owner for content access."
_PERSONAL = "This is a personal account. Switch it to Business or Creator in the Instagram app, then connect again."


def the_account(body: Mapping[str, Any]) -> dict[str, Any]:
    """The account in an answer of `/me`, which the pages show in a list and programs see flat."""
    return next(rows(body), dict(body))


def described(account: Mapping[str, Any], app: App) -> Profile:
    """An account as a profile; name and picture may be missing."""
    username, kind = str(account.get("username") or ""), str(account.get("account_type") or "").lower()
    return Profile(
        str(account["id"]), username, str(account.get("name") or username), _KINDS.get(kind, "Professional account"),
        f"{app.hosts['web']}/{username}/" if username else "", str(account.get("profile_picture_url") or ""),
        {key: account[key] for key in ("account_type", "followers_count") if account.get(key) is not None},
        problem=_PERSONAL if kind == "personal" else "")


def linked_accounts(call: Call, app: App, user_token: str, granted: frozenset[str]) -> list[Profile]:
    """The accounts behind a person's Pages, those that can be chosen first. Raises PermissionMissing for none."""
    found = {str(page["id"]): page for page in _all(call, app, "me/accounts", _PAGE_FIELDS) if page.get("id")}
    if "business_management" in granted:
        for page in _portfolio_pages(call, app):
            found.setdefault(str(page["id"]), page)
    profiles: dict[str, Profile] = {}
    for page in found.values():
        made = _linked(page, app, user_token)
        if made.platform_user_id not in profiles or profiles[made.platform_user_id].problem:
            profiles[made.platform_user_id] = made
    if not any(_account(page) for page in found.values()):
        needed = ("instagram_basic", *(() if found else ("pages_show_list",)))
        if absent := tuple(one for one in needed if one not in granted):
            raise PermissionMissing(_UNSEEN.format(" and ".join(f"`{one}`" for one in absent)), "no_account",
                                    scopes=absent)
        names = ", ".join(str(page.get("name") or page["id"]) for page in list(found.values())[:5])
        seen = f" We saw {names}: no Instagram account is linked there." if names else ""
        raise PermissionMissing(NO_ACCOUNT + seen + ("" if "business_management" in granted else _PORTFOLIO),
                                "no_account")
    return sorted(profiles.values(), key=lambda one: bool(one.problem))


def _account(page: Mapping[str, Any]) -> Mapping[str, Any]:
    account = page.get("instagram_business_account")
    return account if isinstance(account, dict) and account.get("id") else {}


def _linked(page: Mapping[str, Any], app: App, user_token: str) -> Profile:
    account, token, tasks = _account(page), page.get("access_token"), page.get("tasks")
    if not account:
        name = str(page.get("name") or page["id"])
        return Profile(str(page["id"]), "", name, "Facebook Page", problem=_NOT_LINKED)
    problem = ""
    if not isinstance(token, str) or not token or token == user_token:
        token, problem = None, _NOT_TICKED
    elif isinstance(tasks, list) and not {"CREATE_CONTENT", "MANAGE"} & set(map(str, tasks)):
        problem = _NO_ROLE
    plain = described(account, app)
    return replace(plain, own_token=token, problem=problem,
                   meta={**plain.meta, "page_id": str(page["id"]), "page_name": str(page.get("name") or "")})


def _all(call: Call, app: App, path: str, fields: str) -> list[dict[str, Any]]:
    """A whole list, part by part; `paging.next` carries the token and is never followed."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(_MOST_PARTS):
        body = call.get(f"/{app.api_version}/{path}", params={
            "fields": fields, "limit": 100, **({"after": cursor} if cursor else {})}).json()
        found += rows(body)
        following = after(body)
        if not following or following == cursor:
            break
        cursor = following
    return found


def _portfolio_pages(call: Call, app: App) -> list[dict[str, Any]]:
    """Pages of the person's business portfolios, which `me/accounts` leaves out. A help, so no trouble ends it."""
    found: list[dict[str, Any]] = []
    try:
        businesses = _all(call, app, "me/businesses", "id,name")
    except PlatformError:
        return found
    for business in businesses:
        for edge in ("owned_pages", "client_pages"):
            for fields in (_PAGE_FIELDS, _BARE_FIELDS):
                try:
                    found += _all(call, app, f"{business.get('id')}/{edge}", fields)
                    break
                except PlatformError:
                    continue
    return [page for page in found if page.get("id")]
