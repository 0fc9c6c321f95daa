"""The command `socialconsole keys`: what programs sign in with. A key is printed once, when it is made."""

import argparse
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from . import api_keys, named, outside, terminal
from .config import Config
from .extensions import db
from .models import User, Workspace
from .public_ids import public
from .terminal import Refused

USUAL = (api_keys.READ, api_keys.WRITE_POSTS, api_keys.MANAGE_ACCOUNTS)


def add_to(commands: Any) -> None:
    """Add the command and its verbs to the parser's commands."""
    actions = terminal.thing(commands, "keys", "make, list and revoke the API keys of programs", "list")
    listed = terminal.verb(actions, "list", "list the keys of the installation and of all workspaces, or of one",
                           "keys list", 'keys list --workspace "Harbour Bakery" --json')
    _place(listed, required=False)
    create = terminal.verb(
        actions, "create", "make a key and print it, this once",
        'keys create --workspace "Harbour Bakery" --name "Release notes" --json',
        'keys create --workspace "Harbour Bakery" --name Reports --permission read --days 90',
        "keys create --installation --name Monitoring")
    _place(create, required=True)
    create.add_argument("--name", required=True, help="such as where it is used")
    create.add_argument("--permission", action="append", choices=tuple(api_keys.PERMISSIONS), dest="permissions",
                        help=f"what it may do; once for each (default: {', '.join(USUAL)})")
    create.add_argument("--days", type=terminal.whole_number(1, api_keys.MOST_DAYS), metavar="N",
                        help="when it ends (default: never)")
    create.add_argument("--user", metavar="EMAIL", help="for whom it acts: it may never do more than they may "
                        "(default: the first owner of the workspace, or the first platform admin)")
    terminal.verb(actions, "revoke", "end a key at once", "keys revoke key_01J8Z0WQ4T7M2V6N9R3K5X1B7C",
                  "keys revoke sck_Ab3dEf6h").add_argument("key", metavar="KEY", help="its id or its first characters")


def _place(parser: argparse.ArgumentParser, *, required: bool) -> None:
    place = parser.add_mutually_exclusive_group(required=required)
    place.add_argument("--workspace", metavar="NAME", help="the name or id of a workspace")
    place.add_argument("--installation", action="store_true", help="keys of platform admins, for the whole console")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {"list": _list, "create": _create, "revoke": _revoke}
    return terminal.in_console(config, lambda: actions[given.action](given))


def _list(given: argparse.Namespace) -> int:
    now = outside.now()
    found = [(place, line) for place in _places(given) for line in api_keys.lines(api_keys.listed(place), now)]
    if given.json:
        return terminal.as_json([_told(place, line) for place, line in found])
    return terminal.table(
        ("ID", "BEGINS", "NAME", "FOR", "WORKSPACE", "MAY", "STANDS", "ENDS", "LAST USED"),
        [(line.key.id, f"{line.key.prefix}…", line.key.name, line.key.user.email,
          place.name if place is not None else "(installation)", ", ".join(line.key.permissions), line.state,
          terminal.when(line.key.expires_at), terminal.when(line.key.last_used_at)) for place, line in found],
        "There is no key yet.")


def _places(given: argparse.Namespace) -> list[Workspace | None]:
    if given.workspace is not None:
        return [named.workspace(given.workspace)]
    return [None] if given.installation else [None, *db.session.scalars(select(Workspace).order_by(Workspace.name))]


def _told(place: Workspace | None, line: api_keys.Line) -> dict[str, Any]:
    key = line.key
    return {"id": key.id, "prefix": key.prefix, "name": key.name, "user": key.user.email,
            "workspaceId": public(place.id) if place is not None else None, "permissions": list(key.permissions),
            "status": line.state, "reason": line.why, "createdAt": terminal.rfc3339(key.created_at),
            "expiresAt": terminal.rfc3339(key.expires_at), "lastUsedAt": terminal.rfc3339(key.last_used_at)}


def _create(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace) if given.workspace is not None else None
    if place is None and given.permissions:
        raise Refused("A key of the installation may do all that a platform admin may. Leave --permission out.")
    key, text = api_keys.create(place, _person(given, place), given.name, given.permissions or USUAL, given.days,
                                outside.now())
    ends = f", until {terminal.when(key.expires_at)}" if key.expires_at is not None else ""
    return terminal.handed_out(
        given, text, {"key": text, "workspaceId": public(place.id) if place is not None else None},
        f"The key {key.name} acts for {key.user.shown}{ends}. It is shown this once: keep it where secrets are kept.")


def _person(given: argparse.Namespace, place: Workspace | None) -> User:
    if place is None:
        return named.person(given.user) if given.user is not None else named.first_admin()
    return named.member(place, given.user).user if given.user is not None else named.first_owner(place)


def _revoke(given: argparse.Namespace) -> int:
    found = named.key(given.key)
    was_revoked = found.revoked_at is not None
    api_keys.revoke(found.id, found.workspace, outside.now())
    return terminal.done(given, f"The key {found.name} ({found.prefix}…) is revoked"
                         f"{' already' if was_revoked else '. Nothing can be done with it any more'}.",
                         {"id": found.id, "name": found.name, "revokedAt": terminal.rfc3339(found.revoked_at)})
