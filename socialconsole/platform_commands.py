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

from . import (
    configure,
    configure_sandbox,
    credentials,
    holding,
    named,
    outside,
    platform_apps,
    start,
    terminal,
)
from .config import Config
from .configure import Invalid, NeedsConfirmation, NotPossible, Stale
from .configure_checks import OPTION, SOME, first_settings, option_names
from .credentials import CannotTell, Outcome, WrongCredentials
from .models import PlatformApp
from .platform_apps import Row
from .providers import PROVIDERS
from .providers.verdicts import UNKNOWN

EXAMPLES = """examples:
  socialconsole platforms list
  socialconsole platforms sandbox {first}
  socialconsole platforms configure {first} --client-id 1234567890 --client-secret-stdin < secret.txt
  socialconsole platforms configure {first} --client-id 1234567890 --client-secret-file secret.txt --json
  socialconsole platforms check {first} --json
  socialconsole platforms on {first}
  socialconsole platforms off {first} --note "Back on Monday."

PLATFORM is one of: {all}; further apps of one are {first}-2, {first}-3 and so on.
Exit codes: 0 done or valid, 1 refused or wrong, 2 the platform cannot tell."""
WHO = terminal.WHO


def add_to(commands: Any) -> None:
    """Add the command and its actions to the parser's commands."""
    examples = EXAMPLES.format(first=next(iter(PROVIDERS)), all=", ".join(PROVIDERS))
    about = "configure the platforms' apps, check them, turn them on and off"
    actions = commands.add_parser(
        "platforms", help=about, description=about.capitalize() + ".", epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, text: str, *, is_named: bool = True) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=text.capitalize() + ".", epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        made.add_argument("--json", action="store_true", help="print JSON, for programs")
        if is_named:
            made.add_argument("platform", metavar="PLATFORM")
        return made

    action("list", "say how each platform stands", is_named=False)
    _confirmed(action("sandbox", "have the built-in sandbox make an app, and save it"))
    configured = action("configure", "save client ID, client secret and all else that the platform's app needs")
    _add_values(configured)
    _confirmed(configured)
    action("check", "ask the platform whether id and secret are right")
    action("on", "check the credentials, then offer the platform to tenants").add_argument(
        "--anyway", action="store_true", help="even if the platform cannot tell whether the credentials are right")
    action("off", "take the platform away from tenants; its accounts stay, their posts wait").add_argument(
        "--note", metavar="TEXT", help=f"a word to tenants, at most {platform_apps.LONGEST_NOTE} characters")


def _add_values(configured: argparse.ArgumentParser) -> None:
    """What Configure asks for; what is left out stays as it is."""
    configured.add_argument("--client-id", help="left out: the stored one stays")
    secret = configured.add_mutually_exclusive_group()
    secret.add_argument("--client-secret-stdin", action="store_const", const="-", dest="secret_file",
                        help="read the client secret from standard input, up to the first line's end")
    secret.add_argument("--client-secret-file", metavar="FILE", dest="secret_file",
                        help="read the client secret from the first line of a file; - for standard input")
    configured.add_argument("--mode", help="how it is used, where the platform has several kinds of apps")
    configured.add_argument("--name", help="what tells it from the platform's other apps")
    configured.add_argument("--api-version", help="of the platform's API; empty: the console's own choice")
    configured.add_argument("--callback", dest="callback_override", metavar="URL",
                            help="the callback to tell the platform; empty: the console's own")
    configured.add_argument("--scopes", dest="scope_override", metavar="SCOPES",
                            help="exactly these permissions; empty: those of the features")
    configured.add_argument("--feature", action="append", dest="features", metavar="NAME",
                            help="what tenants may do with it; once for each, and no others")
    configured.add_argument("--option", action="append", default=[], dest="options", metavar="NAME=VALUE",
                            help="a further value of this platform's apps")
    configured.add_argument("--workspace", action="append", dest="workspaces", metavar="NAME",
                            help="who may connect through it, by name or id; once for each. all: everybody")


def _confirmed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confirm", action="store_true", help="even if connected profiles must be connected again")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    return terminal.in_console(config, lambda: _act(given))


def _act(given: argparse.Namespace) -> int:
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list, "sandbox": _sandbox, "configure": _configure, "check": _check, "on": _on, "off": _off}
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
        return _refuse(*(_told_wrong(field, sentence) for field, sentence in refusal.errors.items()))


def _told_wrong(field: str, sentence: str) -> str:
    if field == configure.ACCEPT:
        return f"{sentence} To do it all the same, add --confirm."
    return f"{field.removeprefix(OPTION)}: {sentence}"


# ---------------------------------------------------------------- the actions


def _list(given: argparse.Namespace) -> int:
    rows = [one for row in platform_apps.overview(outside.now()) for one in row.apps]
    if given.json:
        return terminal.as_json([_facts(row) for row in rows])
    return terminal.table(("PLATFORM", "STANDS", "PROFILES", "WHY"), [
        (row.segment, row.label, row.accounts, row.why) for row in rows], "")


def _done(given: argparse.Namespace, said: str, **more: Any) -> int:
    """Tell that it is done; as JSON, with how the platform stands now."""
    if not given.json:
        return _say(said)
    rows = {one.segment: one for row in platform_apps.overview(outside.now()) for one in row.apps}
    return terminal.as_json({**_facts(rows[given.platform]), "said": said, **more})


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
    return _done(given, f"The sandbox made an app for {platform_apps.title(saved.app)}; ID and secret are saved.",
                 callback=platform_apps.callback_url(saved.app))


def _configure(given: argparse.Namespace) -> int:
    values = _stored(given.platform) | _typed(given)
    saved = configure.save(given.platform, values, g.user, outside.now(), confirm=given.confirm)
    what = f"Saved: {', '.join(saved.changed)}." if saved.changed else "Nothing was new, so nothing was changed."
    callback = platform_apps.callback_url(saved.app)
    return _done(given, f"{what} The callback to register there: {callback}", changed=list(saved.changed),
                 callback=callback)


def _typed(given: argparse.Namespace) -> dict[str, Any]:
    """What was handed in, by the names of the form's fields."""
    secret = terminal.secret(given.secret_file, "client secret") if given.secret_file is not None else None
    found = {"client_secret": secret, **{name: getattr(given, name) for name in (
        "client_id", "mode", "name", "api_version", "callback_override", "scope_override", "features")}}
    typed = {name: value for name, value in found.items() if value is not None}
    _refuse_unknown(given)
    return typed | _options(given) | _workspaces(given)


def _refuse_unknown(given: argparse.Namespace) -> None:
    """A form offers only what there is; here anything may be typed. Raises Refused."""
    provider = platform_apps.provider_at(given.platform)
    modes = [one.slug for one in provider.modes]
    if given.mode is not None and given.mode not in modes:
        raise terminal.Refused(f"There is no mode “{given.mode}”. " + (f"Known are: {', '.join(modes)}." if modes else
                               "This platform's apps have none."))
    features = {one.slug for mode in modes or [""] for one in provider.features_of(mode)}
    unknown = [one for one in given.features or () if one not in features]
    if unknown:
        raise terminal.Refused(f"There is no feature “{unknown[0]}”. Known are: {', '.join(sorted(features))}.")


def _options(given: argparse.Namespace) -> dict[str, str]:
    known = option_names(platform_apps.provider_at(given.platform))
    typed = {}
    for one in given.options:
        name, mark, value = one.partition("=")
        if not mark or name not in known:
            raise terminal.Refused(f"“{one.partition('=')[0]}” is no value of this platform's apps. "
                                   + (f"Known are: {', '.join(known)}." if known else "It has none."))
        typed[OPTION + name] = value
    return typed


def _workspaces(given: argparse.Namespace) -> dict[str, Any]:
    if given.workspaces is None:
        return {}
    if given.workspaces == ["all"]:
        return {"workspaces": "all", "workspace_ids": []}
    return {"workspaces": SOME, "workspace_ids": [named.workspace(one).id for one in given.workspaces]}


def _stored(segment: str) -> dict[str, Any]:
    """What a form would show: what is stored, or what is chosen before anything is."""
    app = platform_apps.at(segment)
    stored = configure.stored_settings(app) if app else first_settings(platform_apps.provider_at(segment))
    return {
        "mode": stored.mode, "client_id": stored.client_id, "api_version": stored.api_version,
        "callback_override": stored.callback_override, "scope_override": stored.scope_override,
        "features": list(stored.features), "name": stored.name, "version": app.version if app else 0,
        "workspaces": SOME if stored.workspace_ids else "all", "workspace_ids": list(stored.workspace_ids),
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
    return _done(given, f"{platform_apps.title(app)} is on. Tenants can connect it now.")


def _off(given: argparse.Namespace) -> int:
    before, now = platform_apps.at(given.platform), outside.now()
    waits = holding.what_off_holds(before, now).sentence if before is not None and before.is_on else ""
    app = configure.turn_off(given.platform, now, by=WHO, note=given.note)
    name = platform_apps.title(app) if app else platform_apps.provider_at(given.platform).name
    return _done(given, f"{name} is off. Its accounts stay, and their posts wait. {waits}".strip())


def _refuse(*reasons: str) -> int:
    print(*reasons, sep="\n", file=sys.stderr)
    return start.REFUSED


def _say(text: str) -> int:
    print(text)
    return start.OK
