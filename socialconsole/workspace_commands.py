"""The command `socialconsole workspaces`: making them, their names, their rules and their limits."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import g

from . import members, named, terminal, workspaces
from .api.workspaces import workspace as told
from .config import Config
from .database import release
from .models import Workspace
from .public_ids import public
from .terminal import Refused

NONE = "none"  # no limit of its own


def add_to(commands: Any) -> None:
    """Add the command and its verbs to the parser's commands."""
    actions = terminal.thing(commands, "workspaces", "make workspaces, rename them, set their rules and limits", "list")
    terminal.verb(actions, "list", "list all workspaces with what they hold", "workspaces list",
                  "workspaces list --json")
    create = terminal.verb(actions, "create", "make a workspace with its first owner; who has no account is invited",
                           'workspaces create "Harbour Bakery" --owner mara@example.com --time-zone Europe/Stockholm')
    create.add_argument("name", metavar="NAME", help="what it is called")
    create.add_argument("--owner", required=True, metavar="EMAIL", help="whom it belongs to")
    create.add_argument("--time-zone", default="UTC", help="such as Europe/Stockholm (default: UTC)")
    rename = terminal.verb(actions, "rename", "give a workspace another name",
                           'workspaces rename "Harbour Bakery" "Harbour Bakery and Café"')
    _named(rename)
    rename.add_argument("name", metavar="NEW", help="the new name")
    owner = terminal.verb(actions, "owner", "give a workspace a further owner, such as after the only one was lost",
                          'workspaces owner "Harbour Bakery" --email bo@example.com')
    _named(owner)
    owner.add_argument("--email", required=True, metavar="EMAIL", help="who shall own it")
    changed = terminal.verb(actions, "set", "change the rules and limits of a workspace",
                            'workspaces set "Harbour Bakery" --time-zone Europe/Oslo --approval on',
                            'workspaces set "Harbour Bakery" --account-limit 25 --storage-megabytes none')
    _named(changed)
    changed.add_argument("--time-zone", help="by which clock its posts go out")
    changed.add_argument("--window-minutes", type=terminal.whole_number(*workspaces.WINDOW_MINUTES), metavar="N",
                         help="how late a post may still go out")
    changed.add_argument("--approval", choices=("on", "off"), help="whether an owner approves posts of editors first")
    changed.add_argument("--account-limit", type=_limit(workspaces.MOST_ACCOUNTS), metavar="N",
                         help="how many profiles may be connected; none: any number")
    changed.add_argument("--storage-megabytes", type=_limit(workspaces.MOST_MEGABYTES), metavar="N",
                         help="how much its files may take; none: as the console's setting says")


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workspace", metavar="WORKSPACE", help="its name or id")


def _limit(most: int) -> Callable[[str], str]:
    """The type of a limit: a whole number as it was typed, or empty for `none`."""
    number = terminal.whole_number(0, most)

    def limit(text: str) -> str:
        return "" if text == NONE else str(number(text))
    return limit


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list, "create": _create, "rename": _rename, "owner": _owner, "set": _set}
    return terminal.in_console(config, lambda: actions[given.action](given))


def _list(given: argparse.Namespace) -> int:
    lines = workspaces.overview()
    if given.json:
        return terminal.as_json([_told(one.workspace) for one in lines])
    return terminal.table(
        ("ID", "NAME", "TIME ZONE", "PROFILES", "MEMBERS", "OWNERS", "FILES"),
        [(public(one.workspace.id), one.workspace.name, one.workspace.time_zone, one.room.words, one.members,
          one.owners, one.storage.words) for one in lines], "There is no workspace yet.")


def _told(found: Workspace) -> dict[str, Any]:
    return told(found).model_dump(mode="json", by_alias=True)


def _create(given: argparse.Namespace) -> int:
    return _made(given, workspaces.create(given.name, given.time_zone, given.owner, g.user))


def _owner(given: argparse.Namespace) -> int:
    return _made(given, workspaces.name_owner(named.workspace(given.workspace), given.email, g.user))


def _made(given: argparse.Namespace, made: workspaces.Made) -> int:
    """Tell who owns it: a member already, or somebody with a link, which is mailed where that is set."""
    place, value = made.workspace, {"workspaceId": public(made.workspace.id), "name": made.workspace.name}
    if made.invited is None:
        who = made.owner
        assert who is not None
        return terminal.done(given, f"{who.shown} is an owner of {place.name} ({public(place.id)}).",
                             {**value, "owner": who.email, "invitationLink": None})
    link, email = members.link_of(made.invited.token), made.invited.invitation.email
    note = (f"{place.name} ({public(place.id)}) is there, and {email} is invited as its owner. The link works once, "
            "for seven days.")
    release()  # the mail server is asked
    problem = members.send(made.invited)
    return terminal.handed_out(given, link, {**value, "owner": email, "invitationLink": link},
                               f"{note} {problem}".strip())


def _rename(given: argparse.Namespace) -> int:
    found = named.workspace(given.workspace)
    seen = workspaces.settings(found)
    saved = workspaces.save_settings(found, replace(seen, name=members.tidy_name(given.name)), seen)
    return terminal.done(given, f"It is called {found.name} now." if saved.changed else "Nothing was changed.",
                         _told(found))


def _set(given: argparse.Namespace) -> int:
    found = named.workspace(given.workspace)
    rules = {"time_zone": given.time_zone, "window_minutes": given.window_minutes,
             "needs_approval": None if given.approval is None else given.approval == "on"}
    wanted = {name: value for name, value in rules.items() if value is not None}
    limits = (given.account_limit, given.storage_megabytes)
    if not wanted and limits == (None, None):
        raise Refused("Say what to change, such as --time-zone Europe/Oslo or --account-limit 25.")
    changed: list[str] = []
    if wanted:
        seen = workspaces.settings(found)
        changed += workspaces.save_settings(found, replace(seen, **wanted), seen).changed
    if limits != (None, None):
        changed += workspaces.save_limits(found, found.name, *(
            old if new is None else new for new, old in zip(limits, _limits(found), strict=True)))
    return terminal.done(given, f"Changed: {', '.join(one.replace('_', ' ') for one in changed)}." if changed else
                         "Nothing was changed.", _told(found))


def _limits(found: Workspace) -> tuple[str, str]:
    """Both limits as a form shows them; empty for none of its own."""
    storage = found.storage_limit
    return ("" if found.account_limit is None else str(found.account_limit),
            "" if storage is None else str(storage // workspaces.MEGABYTE))
