"""Rows to work on: apps and grants that the platforms know, accounts, posts that are due."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from socialconsole import outside, platform_apps, tokens
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import SCHEDULED, Account, Delivery, Grant, PlatformApp, Post, Workspace
from socialconsole.providers import provider
from socialconsole.providers.base import TokenSet
from tests.chaos.fleet import Ground

LIFE = 30 * 86_400  # seconds; what the platforms give on renewal, so that no run renews twice without need
AT_ONCE = 500


def workspaces(ground: Ground, count: int) -> list[str]:
    """So many workspaces; their ids."""
    ids = [f"wsp_{number:026d}" for number in range(count)]
    with ground.looking(), writing() as session:
        session.add_all(Workspace(id=one, name=one[-6:], created_at=outside.now()) for one in ids)
    return ids


def app(ground: Ground, platform: str, **at_platform: Any) -> tuple[str, str]:
    """An app at a platform of the sandbox, known here and turned on: its id here, its client id there."""
    made = ground.control("POST", "/apps", {"platform": platform, "name": "Chaos", "access_seconds": LIFE,
                                            **at_platform})
    now = outside.now()
    with ground.looking(), writing() as session:
        row = PlatformApp(id=f"app_{platform}", platform=platform, segment=platform, client_id=made["client_id"],
                          is_on=True, is_sandbox=True, secret_version=1, created_at=now, updated_at=now,
                          mode=provider(platform).modes[0].slug if getattr(provider(platform), "modes", ()) else "")
        row.secret_sealed = platform_apps.vault().seal(made["client_secret"], *platform_apps.secret_record(row))
        session.add(row)
    return row_id(platform), made["client_id"]


def row_id(platform: str) -> str:
    """The id of the app of a platform in these runs."""
    return f"app_{platform}"


def grants(ground: Ground, platform: str, count: int, spaces: Sequence[str], *, client_id: str, first: int = 0,
           life: float = LIFE, due_in: float | None = None, over: float = 0.0) -> list[dict[str, Any]]:
    """So many people's consent, with an account each; what the platform says of each, with `account` added.

    `life` is how long the access tokens have still to live, `due_in` when their renewal is due (None: as the console
    computes it), spread `over` some seconds.
    """
    facts = provider(platform)
    mode = ""
    with ground.looking() as session:
        mode = session.get_one(PlatformApp, row_id(platform)).mode
    scopes = [one.name for one in facts.default_scopes(mode) if one.name != "openid"]
    made = ground.control("POST", "/grants", {"client_id": client_id, "count": count, "first": first, "scopes": scopes,
                                              "seconds": int(life)})
    now = outside.now()
    reusable_access = facts.renewal.value == "exchange"
    for start in range(0, count, AT_ONCE):
        with ground.looking(), writing() as session:
            for number, one in enumerate(made[start : start + AT_ONCE], start):
                one["account"] = _account(session, platform, one, spaces[number % len(spaces)], scopes, now, life,
                                          None if due_in is None else due_in + over * number / count, reusable_access)
    return made


def _account(session: Any, platform: str, one: dict[str, Any], workspace_id: str, scopes: Sequence[str],
             now: datetime, life: float, due_in: float | None, without_refresh: bool) -> str:
    grant = Grant(id=f"grt_{one['grant']}", workspace_id=workspace_id, platform=platform, app_id=row_id(platform),
                  app_generation=1, is_sandbox=True, fence=0, version=0, person_id=one["person_id"],
                  scopes_asked=" ".join(scopes), scopes_granted=sorted(scopes), granted_at=now)
    refresh = None if without_refresh else one["refresh_token"]
    tokens.store(grant, TokenSet(one["access_token"], refresh, int(life)), now)
    if due_in is not None:
        grant.due_at = now + timedelta(seconds=due_in)
    account = Account(id=f"acc_{one['grant']}", workspace_id=workspace_id, platform=platform, grant=grant,
                      platform_user_id=one["person_id"], username=one["username"], display_name=one["username"],
                      is_sandbox=True, state_since=now, connected_at=now)
    session.add_all((grant, account))
    return account.id


def deliveries(ground: Ground, accounts: Sequence[str], count: int, *, over: float = 0.0, first: int = 0,
               due_in: float = 0.0) -> list[str]:
    """So many posts, one for each account in turn, due spread `over` some seconds; the ids of their deliveries."""
    now, ids = outside.now(), []
    for start in range(0, count, AT_ONCE):
        with ground.looking(), writing() as session:
            for number in range(start, min(count, start + AT_ONCE)):
                account = session.get_one(Account, accounts[number % len(accounts)])
                due = now + timedelta(seconds=due_in + over * number / count)
                name = f"{first + number:026d}"
                session.add(Post(id=f"pst_{name}", workspace_id=account.workspace_id, text=text_of(name), due_at=due,
                                 form_nonce=name, created_at=now))
                session.add(Delivery(id=f"dlv_{name}", workspace_id=account.workspace_id, post_id=f"pst_{name}",
                                     account_id=account.id, state=SCHEDULED, scheduled_for=due, due_at=due))
                ids.append(f"dlv_{name}")
            db.session.flush()
    return ids


def text_of(name: str) -> str:
    """The words of the post of that number: no two are alike, so that the platforms can be asked who has it."""
    return f"Fresh bread number {int(name)}"
