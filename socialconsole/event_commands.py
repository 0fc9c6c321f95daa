"""The command `socialconsole events`: who did what, when and from where, as Activity shows it."""

import argparse
from typing import Any

from . import audit, named, terminal
from .config import Config
from .models import AuditEvent
from .public_ids import inner, public

USUAL, MOST = 50, 1000


def add_to(commands: Any) -> None:
    """Add the command and its verb to the parser's commands."""
    actions = terminal.thing(commands, "events", "say who did what and when", "list --limit 20")
    listed = terminal.verb(actions, "list", "list what happened to the installation, or in a workspace, the newest "
                           "first", "events list --limit 20", 'events list --workspace "Harbour Bakery" --json')
    where = listed.add_mutually_exclusive_group()
    where.add_argument("--workspace", metavar="NAME", help="what happened in one workspace, by its name or id")
    where.add_argument("--all", action="store_true", help="what happened in the installation and in all workspaces")
    listed.add_argument("--limit", type=terminal.whole_number(1, MOST), default=USUAL, metavar="N",
                        help=f"how many at most (default: {USUAL})")
    listed.add_argument("--before", metavar="EVENT", help="only those before the event with this id")


def run(config: Config, given: argparse.Namespace) -> int:
    """List. Returns the exit code."""
    return terminal.in_console(config, lambda: _list(given))


def _list(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace).id if given.workspace is not None else None
    where = audit.ANYWHERE if given.all else place
    found = audit.events(workspace_id=where, limit=given.limit, before=inner(given.before) if given.before else None)
    if given.json:
        return terminal.as_json([_told(one) for one in found])
    return terminal.table(
        ("WHEN", "WHO", "WHAT", "WHICH", "IN WORDS"),
        [(terminal.when(one.at), one.user_name or "the console", one.action, one.subject_name or one.subject_id,
          one.summary) for one in found], "Nothing like that happened yet.")


def _told(one: AuditEvent) -> dict[str, Any]:
    return {"id": one.id, "at": terminal.rfc3339(one.at), "action": one.action, "summary": one.summary,
            "by": one.user_name, "address": one.address,
            "workspaceId": public(one.workspace_id) if one.workspace_id is not None else None,
            "subjectType": one.subject_type, "subjectId": public(one.subject_id), "subjectName": one.subject_name}
