"""The command `socialconsole accounts`: connected profiles, as the API tells them, and what an operator does to them.

No program connects a profile: its person consents at the platform. So links are made here, for people to open.
"""

import argparse
from collections.abc import Callable
from typing import Any

from flask import g

from . import accounts, connect_links, disconnections, named, outside, terminal
from .api.accounts import account as told
from .config import Config
from .database import release
from .models import ACTIVE, DISCONNECTED, PAUSED, Account, User, Workspace
from .providers import provider as provider_of
from .public_ids import public
from .terminal import Refused

STATUSES = ("active", "expiring", "limited", "token_expired", "paused", "disconnected")
SOME_ID = "acc_01J8Z0WQ4T7M2V6N9R3K5X1B7C"


def add_to(commands: Any) -> None:
    """Add the command and its verbs to the parser's commands."""
    actions = terminal.thing(commands, "accounts", "look after connected profiles: list, pause, disconnect, make links",
                             "list --status token_expired")
    listed = terminal.verb(actions, "list", "list the profiles of all workspaces, or of one", "accounts list",
                           'accounts list --workspace "Harbour Bakery" --status token_expired --json')
    listed.add_argument("--workspace", metavar="NAME", help="its name or id (default: all)")
    listed.add_argument("--platform", metavar="PLATFORM", help="only those of one platform")
    listed.add_argument("--status", choices=STATUSES, help="only those that stand so")
    for name, about in (("show", "say how a profile stands, why, until when, and what it may do"),
                        ("pause", "publish nothing for a profile until it is resumed"),
                        ("resume", "publish for a profile again, also what waited")):
        _named(terminal.verb(actions, name, about, f"accounts {name} {SOME_ID}"))
    ended = terminal.verb(actions, "disconnect", "erase the tokens of a profile and take the permission back at the "
                          "platform; posts stay", f"accounts disconnect {SOME_ID} --confirm")
    _named(ended)
    ended.add_argument("--cancel-posts", action="store_true", help="cancel what is scheduled there; else it waits")
    ended.add_argument("--confirm", action="store_true", help="do it; without this nothing is changed")
    again = terminal.verb(actions, "reconnect-link", "make a link with which whoever holds the login reconnects a "
                          "profile", f"accounts reconnect-link {SOME_ID} --life week")
    _named(again)
    first = terminal.verb(actions, "connect-link", "make a link with which somebody connects a new profile",
                          'accounts connect-link --workspace "Harbour Bakery" --note "Your new page, please"')
    first.add_argument("--workspace", required=True, metavar="NAME", help="its name or id")
    first.add_argument("--platform", default="", metavar="PLATFORM", help="left out: the person chooses")
    for one in (again, first):
        one.add_argument("--life", choices=tuple(connect_links.LIVES), default=connect_links.USUAL_LIFE,
                         help="how long it works (default: three days)")
        one.add_argument("--note", default="", metavar="TEXT", help="a word to whoever opens it")
        one.add_argument("--user", metavar="EMAIL", help="in whose name; it works as long as they may do the same "
                         "(default: the first owner of the workspace)")


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="its id")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list, "show": _show, "pause": _pause, "resume": _resume, "disconnect": _disconnect,
        "reconnect-link": _reconnect_link, "connect-link": _connect_link}
    return terminal.in_console(config, lambda: actions[given.action](given))


# ---------------------------------------------------------------- looking


def _list(given: argparse.Namespace) -> int:
    now = outside.now()
    lines = [(place, one) for place in named.workspaces(given.workspace) for one in accounts.outlines(place)
             if given.platform in (None, one.platform) and given.status in (None, one.word(now))]
    if given.json:
        return terminal.as_json([_told(one) for place in {place.id: place for place, _ in lines}.values()
                                 for one in accounts.some(place, [line.id for there, line in lines if there is place])])
    return terminal.table(
        ("ID", "PLATFORM", "PROFILE", "STATUS", "ENDS", "WORKSPACE"),
        [(one.id, one.platform, one.display_name or one.username, one.word(now),
          terminal.when(one.ends if one.state != DISCONNECTED else None), place.name) for place, one in lines],
        "No profile is like that.")


def _told(found: Account) -> dict[str, Any]:
    return told(found, outside.now()).model_dump(mode="json", by_alias=True)


def _show(given: argparse.Namespace) -> int:
    found, now = named.account(given.account), outside.now()
    if given.json:
        return terminal.as_json(_told(found))
    shape = told(found, now)
    return terminal.facts({
        "id": found.id, "workspace": f"{found.workspace.name} ({public(found.workspace_id)})",
        "platform": provider_of(found.platform).name, "profile": found.display_name, "username": found.username,
        "address": found.profile_url, "status": accounts.status(found, now).label, "reason": shape.reason,
        "connected": terminal.when(shape.connected_at), "last synced": terminal.when(shape.last_synced_at),
        "ends": terminal.when(shape.expires_at), "renewed next": terminal.when(shape.next_renewal_at),
        "can": ", ".join(one.label for one in shape.abilities if one.on),
        "cannot": ", ".join(one.label for one in shape.abilities if not one.on),
        "granted": ", ".join(shape.granted_scopes), "missing": ", ".join(shape.missing_scopes)})


# ---------------------------------------------------------------- changing


def _pause(given: argparse.Namespace) -> int:
    return _switched(given, disconnections.pause, "is paused. Nothing is published until it is resumed.")


def _resume(given: argparse.Namespace) -> int:
    return _switched(given, disconnections.resume, "publishes again.")


def _switched(given: argparse.Namespace, change: Callable[[Account, User], None], said: str) -> int:
    found = named.account(given.account)
    if found.state not in (ACTIVE, PAUSED):
        status = accounts.status(found, outside.now())
        raise Refused(f"{found.display_name} is not connected ({status.label.lower()}). Have it reconnected first: "
                      f"socialconsole accounts reconnect-link {found.id}")
    change(found, g.user)
    return terminal.done(given, f"{found.display_name} {said}", _told(found))


def _disconnect(given: argparse.Namespace) -> int:
    found = named.account(given.account)
    if found.state == DISCONNECTED:
        raise Refused(f"{found.display_name} is disconnected already.")
    if not given.confirm:
        loss = disconnections.what_disconnect_loses(found)
        posts = f"{loss.waiting} scheduled post{'' if loss.waiting == 1 else 's'}"
        raise Refused(f"Our tokens of {found.display_name} would be erased, and {posts} would "
                      f"{'be cancelled' if given.cancel_posts else 'wait'}. To do it, add --confirm.")
    said = disconnections.disconnect(found, g.user, cancel_posts=given.cancel_posts)
    return terminal.done(given, f"{found.display_name} is disconnected and our tokens are erased. {said.sentence}",
                         {"id": found.id, "status": DISCONNECTED, "revocation": said.outcome,
                          "sentence": said.sentence, "settled": said.is_settled})


# ---------------------------------------------------------------- links


def _asker(given: argparse.Namespace, place: Workspace, permission: str) -> User:
    return (named.member(place, given.user, permission).user if given.user is not None else
            named.first_owner(place))


def _reconnect_link(given: argparse.Namespace) -> int:
    found = named.account(given.account)
    by = _asker(given, found.workspace, "reconnect")
    return _link(given, connect_links.to_reconnect(found, by, given.life, given.note), found.workspace_id, found.id)


def _connect_link(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    by = _asker(given, place, "connect")
    return _link(given, connect_links.to_connect(place, by, given.platform, given.life, given.note), place.id, None)


def _link(given: argparse.Namespace, made: connect_links.Made, workspace_id: str, account_id: str | None) -> int:
    ends = made.link.expires_at
    value = {"id": made.link.id, "url": made.address, "expiresAt": terminal.rfc3339(ends),
             "workspaceId": public(workspace_id), "accountId": account_id}
    release()
    return terminal.handed_out(given, made.address, value, f"The link works once, until {terminal.when(ends)}. "
                               "Whoever holds the login at the platform opens it.")
