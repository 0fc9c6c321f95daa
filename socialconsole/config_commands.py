"""The command `socialconsole config`: the configuration as one file. Prints it, plans it, applies it, finds drift.

Exit codes: 0 done, or nothing to do; 1 refused; 2 the settings or the database are wrong; 3 file and console differ.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import g

from . import create_app, installation_apply, installation_plan, outside, start
from . import installation_file as files
from .config import Config
from .installation_apply import LossesNotAccepted
from .installation_file import Document, Refused
from .installation_plan import LEAVE, Plan
from .models import User

DIFFERS = 3
WHO = "Command line"  # in the history
EXAMPLES = """examples:
  socialconsole config export > console.json
  socialconsole config export --secrets env > console.json
  socialconsole config plan console.json
  socialconsole config apply console.json --yes
  socialconsole config drift /etc/socialconsole/console.json --json

FILE may be - for standard input. A secret never stands in the file: {"secretFrom": {"env": "NAME"}},
{"secretFrom": {"file": "/run/secrets/name"}}, or "kept" to leave the stored one.
Exit codes: 0 done or nothing to do, 1 refused, 2 settings or database are wrong, 3 file and console differ."""


def add_to(commands: Any) -> None:
    """Add the command and its actions to the parser's commands."""
    about = "the configuration as one file: export it, see what it would change, apply it"
    actions = commands.add_parser(
        "config", help=about, description=about.capitalize() + ".", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=text.capitalize() + ".", epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        return made

    action("export", "print everything an admin configures as JSON, without secrets").add_argument(
        "--secrets", choices=("kept", "env"), default="kept",
        help="kept: each stored secret stays (default); env: each is found in a variable named after its app")
    for name, text in (("plan", "say what a file would change; changes nothing"),
                       ("drift", "the same, with the settings of the environment, for a timer"),
                       ("apply", "make the console as a file says; nothing that it does not name is changed")):
        made = action(name, text)
        made.add_argument("file", metavar="FILE")
        if name != "apply":
            made.add_argument("--json", action="store_true", help="print one JSON object")
            continue
        made.add_argument("--yes", action="store_true", help="do not ask")
        made.add_argument("--accept-losses", action="store_true",
                          help="even if connected profiles lose something, as the plan says")
        made.add_argument("--anyway", action="store_true",
                          help="turn apps on even if the platform cannot tell whether the credentials are right")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    problems = start.part_problems(config, wants_store=False)
    if problems:
        return start.say_problems(problems)
    actions: dict[str, Callable[[argparse.Namespace, Config], int]] = {
        "export": _export, "plan": _plan, "drift": _plan, "apply": _apply}
    with create_app(config).app_context():
        g.user = User(name=WHO, email="")
        try:
            return actions[given.action](given, config)
        except Refused as refusal:
            return _refuse(*refusal.problems)


def _export(given: argparse.Namespace, _config: Config) -> int:
    sys.stdout.write(installation_plan.export(named_secrets=given.secrets == "env"))
    return start.OK


def _document(given: argparse.Namespace) -> Document:
    return files.read(sys.stdin.buffer.read(files.MOST_BYTES + 1)) if given.file == "-" \
        else files.read_file(Path(given.file))


def _is_ours(given: argparse.Namespace, config: Config) -> bool:
    """Whether this is the file that manages apps of this console."""
    return config.console_file is not None and given.file != "-" and \
        Path(given.file).resolve() == config.console_file.resolve()


def _plan(given: argparse.Namespace, config: Config) -> int:
    plan = installation_plan.make(_document(given), outside.now(), by_file=_is_ours(given, config))
    print(json.dumps(_facts(plan), indent=2, ensure_ascii=False) if given.json else "\n".join(_lines(plan)))
    if plan.problems:
        return _refuse(*plan.problems)
    differs = plan.differs if given.action == "drift" else plan.has_changes
    return DIFFERS if differs else start.OK


def _facts(plan: Plan) -> dict[str, Any]:
    return {"steps": [{"kind": step.kind, "name": step.key, "action": step.action,
                       "changes": [vars(change) for change in step.changes], "losses": step.losses,
                       "problems": step.problems} for step in plan.steps],
            "settings": [vars(change) for change in plan.settings], "notInFile": list(plan.unnamed)}


def _lines(plan: Plan) -> list[str]:
    said = []
    for step in plan.steps:
        said.append(f"{step.action:8} {step.title}")
        said += [f"         {one.field}: {one.before or '(blank)'} → {one.after or '(blank)'}" for one in step.changes]
        said += [f"         loses: {loss}" for loss in step.losses]
    said += [f"differs  {one.field}: {one.before or '(blank)'} here, {one.after or '(blank)'} in the file. It is a "
             "setting of the environment: change it there." for one in plan.settings]
    said += [f"not here {name} is not in the file, and is left as it is." for name in plan.unnamed]
    left = sum(step.action == LEAVE for step in plan.steps)
    changing = sum(step.action not in (LEAVE, installation_plan.REFUSED) for step in plan.steps)
    return [*said, f"To change: {changing}. As the file says: {left}."]


def _apply(given: argparse.Namespace, config: Config) -> int:
    document, by_file = _document(given), _is_ours(given, config)
    plan = installation_plan.make(document, outside.now(), by_file=by_file)
    if plan.problems:
        return _refuse(*plan.problems)
    if not plan.has_changes:
        print("Nothing to do: the console is as the file says.")
        return start.OK
    if not given.yes and not _agreed(given, plan):
        return _refuse("Nothing was changed. To apply without being asked, add --yes.")
    try:
        done = installation_apply.apply(
            document, g.user, outside.now(), accept=given.accept_losses, insist=given.anyway, seen=plan.fingerprint,
            by_file=by_file)
    except LossesNotAccepted as refusal:
        return _refuse(*refusal.losses, "Nothing was changed. To do it all the same, add --accept-losses.")
    except installation_apply.Moved as refusal:
        return _refuse(f"{refusal} Nothing was changed. Try again.")
    for one in done:
        print(f"{one.title}: {one.said}", file=sys.stdout if one.is_whole else sys.stderr)
    return start.OK if all(one.is_whole for one in done) else start.REFUSED


def _agreed(given: argparse.Namespace, plan: Plan) -> bool:
    """Ask the person, if there is one."""
    print("\n".join(_lines(plan)))
    if given.file == "-" or not sys.stdin.isatty():
        return False
    try:
        return input("Apply this? Type yes: ").strip().lower() == "yes"
    except EOFError:
        return False


def _refuse(*reasons: str) -> int:
    print(*reasons, sep="\n", file=sys.stderr)
    return start.REFUSED
