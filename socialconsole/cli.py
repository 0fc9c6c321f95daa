"""The command `socialconsole`: run everything, or one part; set up; look after the installation."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from . import (
    access,
    account_commands,
    completion_command,
    config_commands,
    create_app,
    doctor_command,
    event_commands,
    key_commands,
    logs,
    mcp_command,
    media_store,
    outside,
    people_commands,
    platform_commands,
    post_commands,
    roles,
    start,
    terminal,
    ticker,
    workspace_commands,
)
from . import config as settings
from .config import Config

HELP = {
    "run": "start everything: web, ticker, workers, embedded store and sandbox",
    "web": "start only the web server",
    "worker": "start only the workers and a ticker: all that a further machine needs",
    "ticker": "start only the ticker",
    "sandbox": "start only the sandbox",
    "upgrade": "bring the database up to this version",
    "check": "say what each setting is and what is wrong; shows no secret",
}
# in the order of the help
FURTHER = (people_commands, workspace_commands, account_commands, post_commands, key_commands, event_commands,
           mcp_command, completion_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 refused, 2 settings or database are wrong, or unsure."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return terminal.hang_up()


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "completion":
        return _say(completion_command.script(parser, given.shell).rstrip())
    os.umask(0o077)  # the database, its copies, the keys and the store are this user's alone
    config = settings.read()
    commands: dict[str, Callable[[], int]] = {
        "run": lambda: start.run(config),
        "web": lambda: _web(config),
        "worker": lambda: start.run_background(given.count or config.workers, ticker=not given.no_ticker),
        "ticker": lambda: _ticker(config),
        "sandbox": lambda: _sandbox(config),
        "upgrade": lambda: _upgrade(config),
        "check": lambda: _check(config),
        "setup": lambda: _setup(config, given),
        "people": lambda: people_commands.run(config, given),
        "members": lambda: people_commands.run(config, given),
        "workspaces": lambda: workspace_commands.run(config, given),
        "accounts": lambda: account_commands.run(config, given),
        "posts": lambda: post_commands.run(config, given),
        "keys": lambda: key_commands.run(config, given),
        "events": lambda: event_commands.run(config, given),
        "platforms": lambda: platform_commands.run(config, given),
        "doctor": lambda: doctor_command.run(config, given),
        "config": lambda: config_commands.run(config, given),
        "mcp": lambda: mcp_command.run(config, given),
    }
    return commands[given.command]()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="socialconsole", description="A console for the social profiles of a team.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in HELP.items():
        command = commands.add_parser(name, help=text, description=terminal.sentence(text), **terminal.epilog(name))
        if name == "worker":
            command.add_argument("--count", type=_count, default=None, help="how many workers (default: WORKERS)")
            command.add_argument("--no-ticker", action="store_true", help="leave the ticker to another machine")
    about = "create the first admin and workspace; does nothing if they exist"
    setup = commands.add_parser("setup", help=about, description=terminal.sentence(about), **terminal.epilog(
        'setup --email mara@example.com --password-stdin --workspace "Harbour Bakery" < password.txt'))
    setup.add_argument("--email", required=True)
    setup.add_argument("--password-stdin", action="store_true", required=True,
                       help="read the password from standard input")
    setup.add_argument("--workspace", required=True, help="name of the first workspace")
    setup.add_argument("--time-zone", default="UTC", help="such as Europe/Stockholm (default UTC)")
    platform_commands.add_to(commands)
    doctor_command.add_to(commands)
    config_commands.add_to(commands)
    for further in FURTHER:
        further.add_to(commands)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("give a number from 1 to 64")
    return number


# ---------------------------------------------------------------- single parts


def _web(config: Config) -> int:
    problems = start.part_problems(config, wants_store=False)
    if problems:
        return start.say_problems(problems)
    start.say_warnings(config)
    logs.configure(config)
    try:
        listener = roles.listen("BIND", config.bind_host, config.bind_port)
    except roles.PortBusy as error:
        return start.say_refusal(error)
    return roles.run_web(create_app(config), listener)


def _ticker(config: Config) -> int:
    problems = start.part_problems(config, wants_store=True)
    if problems:
        return start.say_problems(problems)
    logs.configure(config)
    return ticker.run_ticker(create_app(config))


def _sandbox(config: Config) -> int:
    """The sandbox needs none of the console's keys, only its own address and a folder."""
    problems = [problem for problem in config.problems if problem.startswith(("SANDBOX", "INSTANCE_PATH"))]
    if problems:
        return start.say_problems(problems)
    settings.make_instance(config)
    logs.configure(config)
    try:
        roles.listen("SANDBOX_BIND", config.sandbox_host, config.sandbox_port).close()
    except roles.PortBusy as error:
        return start.say_refusal(error)
    return roles.run_sandbox(config)


# ---------------------------------------------------------------- looking after the installation


def _upgrade(config: Config) -> int:
    problems = config.problems or start.database_problems(config, wants_current=False)
    if problems:
        return start.say_problems(problems)
    copy = start.upgrade(config)
    print("The database is up to date." + (f" A copy from before: {copy}" if copy else ""))
    return start.OK


def _check(config: Config) -> int:
    for setting in settings.SETTINGS:
        print(f"{setting.name:22} {_shown(config, setting):40} ({config.source[setting.name]})")
    start.say_warnings(config)
    problems = config.problems or [*start.database_problems(config, wants_current=False),
                                   *media_store.problems(config)]
    return start.say_problems(problems) if problems else start.OK


def _shown(config: Config, setting: settings.Setting) -> str:
    if setting.secret:
        return "not set" if config.source[setting.name] == "default" else "set, not shown"
    return config.shown[setting.name]


def _setup(config: Config, given: argparse.Namespace) -> int:
    config = start.first_keys(config)
    problems = config.problems or start.database_problems(config, wants_current=False)
    if problems:
        return start.say_problems(problems)
    start.upgrade(config)
    password = sys.stdin.readline().rstrip("\r\n")
    with create_app(config).app_context():
        if access.is_set_up():
            return _say("Social Console is set up already. Nothing was changed.")
        try:
            access.set_up(given.email, password, given.workspace, given.time_zone, outside.now())
        except access.Invalid as error:
            return _refuse(*error.errors.values())
    return _say(f"Social Console is set up. Sign in at {config.public_url}")


def _refuse(*reasons: str) -> int:
    print(*reasons, sep="\n", file=sys.stderr)
    return start.REFUSED


def _say(text: str) -> int:
    print(text)
    return start.OK


if __name__ == "__main__":
    sys.exit(main())
