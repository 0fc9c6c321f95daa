"""The command `socialconsole platforms`: what Admin → Social Platform does, for scripts. Secrets come by stdin.

Exit codes: 0 done, or the credentials are valid; 1 refused, or they are wrong; 2 the platform cannot tell, or the
settings or the database are wrong.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from flask import g

from . import configure, configure_sandbox, create_app, credentials, holding, outside, platform_apps, start
from .config import Config
from .configure import Invalid, NeedsConfirmation, NotPossible, Stale
from .configure_checks import OPTION, first_settings
from .credentials import CannotTell, Outcome, WrongCredentials
from .models import PlatformApp, User
from .platform_apps import Row
from .providers import PROVIDERS
from .providers.verdicts import UNKNOWN

EXAMPLES = """examples:
  socialconsole platforms list
  socialconsole platforms sandbox {first}
  socialconsole platforms configure {first} --client-id 1234567890 --client-secret-stdin < secret.txt
  socialconsole platforms check {first} --json
  socialconsole platforms on {first}

PLATFORM is one of: {all}; further apps of one are {first}-2, {first}-3 and so on.
Exit codes: 0 done or valid, 1 refused or wrong, 2 the platform cannot tell."""
WHO = "Command line"  # in the history


def add_to(commands: Any) -> None:
    """Add the command and its actions to the parser's commands."""
    examples = EXAMPLES.format(first=next(iter(PROVIDERS)), all=", ".join(PROVIDERS))
    about = "configure the platforms' apps, check them, turn them on and off"
    actions = commands.add_parser(
        "platforms", help=about, description=about.capitalize() + ".", epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, text: str, *, named: bool = True) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=text.capitalize() + ".", epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        if named:
            made.add_argument("platform", metavar="PLATFORM")
        return made

    action("list", "say how each platform stands", named=False).add_argument("--json", action="store_true")
    _confirmed(action("sandbox", "have the built-in sandbox make an app, and save it"))
    configured = action("configure", "save client ID and client secret")
    configured.add_argument("--client-id", help="left out: the stored one stays")
    configured.add_argument("--client-secret-stdin", action="store_true",
                            help="read the client secret from standard input, up to the first line's end")
    configured.add_argument("--mode", help="how it is used, where the platform has several kinds of apps")
    _confirmed(configured)
    action("check", "ask the platform whether id and secret are right").add_argument(
        "--json", action="store_true", help="print one JSON object")
    action("on", "check the credentials, then offer the platform to tenants").add_argument(
        "--anyway", action="store_true", help="even if the platform cannot tell whether the credentials are right")
    action("off", "take the platform away from tenants; its accounts stay, their posts wait").add_argument(
        "--note", metavar="TEXT", help=f"a word to tenants, at most {platform_apps.LONGEST_NOTE} characters")


def _confirmed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confirm", action="store_true", help="even if connected profiles must be connected again")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    problems = start.part_problems(config, wants_store=False)
    if problems:
        return start.say_problems(problems)
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list, "sandbox": _sandbox, "configure": _configure, "check": _check, "on": _on, "off": _off}
    with create_app(config).app_context():
        g.user = User(name=WHO, email="")
        try:
            if given.action != "list":
                platform_apps.provider_at(given.platform)
            return actions[given.action](given)
        except KeyError:
            return _refuse(f"There is no platform “{given.platform}”. Known are: {', '.join(PROVIDERS)}.")
        except (NotPossible, WrongCredentials) as refusal:
            return _refuse(str(refusal))
        except NeedsConfirmation as question:
            return _refuse(f"{question} To do it all the same, add --confirm.")
        except Stale:
            return _refuse("Somebody else saved this platform meanwhile. Nothing of yours was saved. Try again.")
        except Invalid as refusal:
            return _refuse(*(f"{field.removeprefix(OPTION)}: {sentence}" for field, sentence in refusal.errors.items()))


# ---------------------------------------------------------------- the actions


def _list(given: argparse.Namespace) -> int:
    rows = [one for row in platform_apps.overview(outside.now()) for one in row.apps]
    if given.json:
        print(json.dumps([_facts(row) for row in rows], indent=2))
        return start.OK
    for row in rows:
        print(f"{row.segment:14} {row.label:16} {row.why}")
    return start.OK


def _facts(row: Row) -> dict[str, Any]:
    app = row.app
    checked = app if app is not None and app.is_check_current else None
    return {
        "platform": row.segment, "state": row.state, "on": row.is_on, "message": row.why, "accounts": row.accounts,
        "sandbox": bool(app and app.is_sandbox), "verdict": checked.check_verdict if checked else None,
        "checked_at": checked.checked_at.isoformat() if checked and checked.checked_at else None,
    }


def _sandbox(given: argparse.Namespace) -> int:
    saved = configure_sandbox.use_sandbox(given.platform, g.user, outside.now(), confirm=given.confirm)
    return _say(f"The sandbox made an app for {platform_apps.title(saved.app)}; ID and secret are saved.")


def _configure(given: argparse.Namespace) -> int:
    typed = {"client_id": given.client_id, "mode": given.mode,
             "client_secret": sys.stdin.readline().rstrip("\r\n") if given.client_secret_stdin else None}
    if given.client_secret_stdin and not typed["client_secret"]:
        return _refuse("Standard input was empty. Hand in the client secret there.")
    values = _stored(given.platform) | {name: value for name, value in typed.items() if value is not None}
    saved = configure.save(given.platform, values, g.user, outside.now(), confirm=given.confirm)
    what = f"Saved: {', '.join(saved.changed)}." if saved.changed else "Nothing was new, so nothing was changed."
    return _say(f"{what} The callback to register there: {platform_apps.callback_url(saved.app)}")


def _stored(segment: str) -> dict[str, Any]:
    """What a form would show: what is stored, or what is chosen before anything is."""
    app = platform_apps.at(segment)
    stored = configure.stored_settings(app) if app else first_settings(platform_apps.provider_at(segment))
    return {
        "mode": stored.mode, "client_id": stored.client_id, "api_version": stored.api_version,
        "callback_override": stored.callback_override, "scope_override": stored.scope_override,
        "features": list(stored.features), "name": stored.name, "version": app.version if app else 0,
        "workspaces": "some" if stored.workspace_ids else "all", "workspace_ids": list(stored.workspace_ids),
        **{OPTION + name: value for name, value in stored.options.items()},
    }


def _check(given: argparse.Namespace) -> int:
    app = platform_apps.at(given.platform)
    if app is None or not app.is_saved:
        refusal = "Save client ID and client secret first: nothing is stored that could be checked."
        if given.json:
            print(json.dumps({"platform": given.platform, "verdict": UNKNOWN, "message": refusal, "code": "not_saved",
                              "checked_at": None}))
            return start.WRONG
        print(refusal, file=sys.stderr)
        return start.WRONG
    found = credentials.check(app.id, WHO)
    print(json.dumps(_told(given.platform, found), ensure_ascii=False) if given.json else
          f"{platform_apps.title(app)}: {credentials.label(found.verdict, found.message)}. {found.message}")
    return start.REFUSED if found.is_wrong else start.WRONG if found.verdict == UNKNOWN else start.OK


def _told(platform: str, found: Outcome) -> dict[str, Any]:
    return {"platform": platform, "verdict": found.verdict, "message": found.message, "code": found.code,
            "checked_at": found.checked_at.isoformat()}


def _on(given: argparse.Namespace) -> int:
    try:
        app: PlatformApp = credentials.turn_on(given.platform, WHO, outside.now(), insist=given.anyway)
    except CannotTell as doubt:
        print(f"{doubt}\nTo turn it on all the same, add --anyway.", file=sys.stderr)
        return start.WRONG
    return _say(f"{platform_apps.title(app)} is on. Tenants can connect it now.")


def _off(given: argparse.Namespace) -> int:
    before, now = platform_apps.at(given.platform), outside.now()
    waits = holding.what_off_holds(before, now).sentence if before is not None and before.is_on else ""
    app = configure.turn_off(given.platform, now, by=WHO, note=given.note)
    name = platform_apps.title(app) if app else platform_apps.provider_at(given.platform).name
    return _say(f"{name} is off. Its accounts stay, and their posts wait. {waits}".strip())


def _refuse(*reasons: str) -> int:
    print(*reasons, sep="\n", file=sys.stderr)
    return start.REFUSED


def _say(text: str) -> int:
    print(text)
    return start.OK
