"""The commands `socialconsole people` and `socialconsole members`: who has an account, and who belongs to a workspace.

A password comes by standard input or a file, never as an argument. Without one, a link is printed with which somebody
makes the account.
"""

import argparse
from collections.abc import Callable
from typing import Any

from flask import g

from . import access, logins, members, named, outside, passwords, people, terminal
from .config import Config
from .database import release
from .models import User, Workspace
from .public_ids import public
from .terminal import Refused

ROLES = tuple(access.ROLE_WORDS)


def add_to(commands: Any) -> None:
    """Add both commands and their verbs to the parser's commands."""
    _add_people(terminal.thing(commands, "people", "look after people: accounts, platform admins, lost passwords",
                               "list"))
    _add_members(terminal.thing(commands, "members", "look after who belongs to a workspace, and with which role",
                                'list --workspace "Harbour Bakery"'))


def _add_people(actions: Any) -> None:
    terminal.verb(actions, "list", "list everybody who has an account, and their workspaces", "people list",
                  "people list --json")
    add = terminal.verb(actions, "add", "make an account in a workspace, or a link with which somebody makes it",
                        'people add --email bo@example.com --workspace "Harbour Bakery" --role editor',
                        'people add --email bo@example.com --name Bo --workspace "Harbour Bakery" --role owner '
                        "--password-file - < password.txt")
    _email(add)
    add.add_argument("--workspace", required=True, metavar="NAME", help="its name or id")
    add.add_argument("--role", choices=ROLES, default="editor", help="what they may do there (default: editor)")
    add.add_argument("--name", default="", help="what people see; needed with a password")
    add.add_argument("--password-file", metavar="FILE", help="make the account at once with the password in this "
                     "file's first line; - for standard input")
    remove = terminal.verb(actions, "remove", "take a person out of every workspace and forget the account; what they "
                           "wrote stays", "people remove --email bo@example.com --confirm")
    _email(remove)
    remove.add_argument("--confirm", action="store_true", help="do it; without this nothing is changed")
    admin = terminal.verb(actions, "admin", "make a person a platform admin, or with --off one no longer",
                          "people admin --email bo@example.com", "people admin --email bo@example.com --off")
    _email(admin)
    admin.add_argument("--off", action="store_true", help="no platform admin any more")
    _email(terminal.verb(actions, "reset-link", "print a link with which somebody can set a new password",
                         "people reset-link --email mara@example.com"))


def _add_members(actions: Any) -> None:
    terminal.verb(actions, "list", "list who belongs to a workspace", 'members list --workspace "Harbour Bakery"'
                  ).add_argument("--workspace", required=True, metavar="NAME", help="its name or id")
    add = terminal.verb(actions, "add", "take a person into a workspace; who has no account yet is invited",
                        'members add --workspace "Harbour Bakery" --email bo@example.com --role viewer')
    role = terminal.verb(actions, "role", "give a member another role",
                         'members role --workspace "Harbour Bakery" --email bo@example.com --role owner')
    remove = terminal.verb(actions, "remove", "take a member out of a workspace; the account stays",
                           'members remove --workspace "Harbour Bakery" --email bo@example.com')
    for one in (add, role, remove):
        one.add_argument("--workspace", required=True, metavar="NAME", help="its name or id")
        _email(one)
    add.add_argument("--role", choices=ROLES, default="editor", help="what they may do there (default: editor)")
    role.add_argument("--role", choices=ROLES, required=True, help="what they may do there")


def _email(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", required=True, metavar="EMAIL", help="whom: the address they sign in with")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    actions: dict[tuple[str, str], Callable[[argparse.Namespace], int]] = {
        ("people", "list"): _list, ("people", "add"): _add, ("people", "remove"): _remove,
        ("people", "admin"): _admin, ("people", "reset-link"): _reset_link,
        ("members", "list"): _list_members, ("members", "add"): _add_member, ("members", "role"): _role,
        ("members", "remove"): _remove_member}
    return terminal.in_console(config, lambda: actions[given.command, given.action](given))


# ---------------------------------------------------------------- people


def _list(given: argparse.Namespace) -> int:
    found = people.everybody()
    if given.json:
        return terminal.as_json([_person(one) for one in found])
    return terminal.table(
        ("EMAIL", "NAME", "ADMIN", "WORKSPACES", "LAST SEEN"),
        [(one.user.email, one.user.name or "-", "admin" if one.user.is_platform_admin else "-",
          ", ".join(f"{each.workspace.name} ({each.role})" for each in one.memberships) or "-",
          terminal.when(one.seen_at)) for one in found], "Nobody has an account yet.")


def _person(one: people.Person) -> dict[str, Any]:
    return {"id": one.user.id, "email": one.user.email, "name": one.user.name, "admin": one.user.is_platform_admin,
            "createdAt": terminal.rfc3339(one.user.created_at), "lastSeenAt": terminal.rfc3339(one.seen_at),
            "workspaces": [{"workspaceId": public(each.workspace_id), "name": each.workspace.name, "role": each.role}
                           for each in one.memberships]}


def _add(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    if given.password_file is None or logins.by_email(given.email) is not None:
        if given.password_file is not None:
            raise Refused(f"{given.email.strip()} has an account already, and its password stays. Take them into the "
                          "workspace with `socialconsole members add`.")
        return _take_in(given, place)
    password, name = terminal.secret(given.password_file, "password"), members.tidy_name(given.name)
    errors = {field: problem for field, problem in (
        ("name", members.name_problem(name)), ("password", passwords.problem(password, given.email.strip())))
        if problem}
    if errors:
        raise access.Invalid(errors)
    invited = members.invite(place, given.role, given.email, g.user)
    made = members.join_new(invited.token, given.email, name, password, outside.now())
    return terminal.done(given, f"{made.shown} has an account and is {_a(given.role)} of {place.name}.",
                         {"id": made.id, "email": made.email, "workspaceId": public(place.id), "role": given.role})


def _a(role: str) -> str:
    return f"{'a' if role == 'viewer' else 'an'} {role}"


def _remove(given: argparse.Namespace) -> int:
    found = named.person(given.email)
    if not given.confirm:
        raise Refused(f"{found.email} would lose the account, every workspace, and their API keys at once; posts stay. "
                      "To do it, add --confirm.")
    gone = {"id": found.id, "email": found.email, "removed": True}
    return terminal.done(given, f"{people.remove(found)} has no account here any more. Posts and files stay.", gone)


def _admin(given: argparse.Namespace) -> int:
    found = named.person(given.email)
    is_new = people.set_admin(found, not given.off)
    is_now = "no platform admin" if given.off else "a platform admin"
    return terminal.done(given, f"{found.shown} is {is_now} {'now' if is_new else 'already'}.",
                         {"id": found.id, "email": found.email, "admin": not given.off, "changed": is_new})


def _reset_link(given: argparse.Namespace) -> int:
    link = access.reset_link(given.email)
    return terminal.handed_out(given, link, {"email": given.email.strip().lower(), "link": link},
                               "The link works once, for a day. Who opens it chooses a new password.")


# ---------------------------------------------------------------- members


def _list_members(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    found, waiting = members.members(place), [one for one in members.invitations(place)
                                              if one.expires_at > outside.now()]
    if given.json:
        return terminal.as_json({
            "workspaceId": public(place.id),
            "members": [{"id": one.user.id, "email": one.user.email, "name": one.user.name, "role": one.role,
                         "since": terminal.rfc3339(one.since), "lastSeenAt": terminal.rfc3339(one.seen_at)}
                        for one in found],
            "invitations": [{"id": one.id, "email": one.email, "role": one.role,
                             "expiresAt": terminal.rfc3339(one.expires_at)} for one in waiting]})
    return terminal.table(
        ("EMAIL", "NAME", "ROLE", "SINCE", "LAST SEEN"),
        [*((one.user.email, one.user.name or "-", one.role, terminal.when(one.since), terminal.when(one.seen_at))
           for one in found),
         *((one.email or "whoever has the link", "-", one.role, "invited", f"until {terminal.when(one.expires_at)}")
           for one in waiting)], "Nobody belongs to this workspace yet.")


def _add_member(given: argparse.Namespace) -> int:
    return _take_in(given, named.workspace(given.workspace))


def _take_in(given: argparse.Namespace, place: Workspace) -> int:
    """Somebody with an account joins at once; for anybody else there is a link, which is mailed where that is set."""
    known, invited = logins.by_email(given.email), members.invite(place, given.role, given.email, g.user)
    if known is not None:
        return _joined(given, place, known, invited.token)
    link, found = members.link_of(invited.token), invited.invitation
    value = {"workspaceId": public(place.id), "email": found.email, "role": found.role, "invitationLink": link,
             "expiresAt": terminal.rfc3339(found.expires_at)}
    release()  # the mail server is asked
    problem = members.send(invited)
    note = f"{value['email']} is invited to {place.name}. The link works once, for seven days."
    return terminal.handed_out(given, link, {**value, "mailProblem": problem} if problem else value,
                               f"{note} {problem}".strip())


def _joined(given: argparse.Namespace, place: Workspace, known: User, token: str) -> int:
    members.join(token, known, outside.now())
    return terminal.done(given, f"{known.shown} is {_a(given.role)} of {place.name} now.",
                         {"id": known.id, "email": known.email, "workspaceId": public(place.id), "role": given.role})


def _role(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    found = named.member(place, given.email)
    is_new = members.change_role(place, found.user_id, found.role, given.role)
    return terminal.done(given, f"{found.user.shown} is {'now' if is_new else 'already'} {_a(given.role)} of "
                         f"{place.name}.", {"id": found.user_id, "email": found.user.email, "role": given.role,
                                            "workspaceId": public(place.id), "changed": is_new})


def _remove_member(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    found = named.member(place, given.email)
    gone = {"id": found.user_id, "email": found.user.email, "workspaceId": public(place.id), "removed": True}
    return terminal.done(given, f"{members.remove(place, found.user_id)} is no longer a member of {place.name}.", gone)
