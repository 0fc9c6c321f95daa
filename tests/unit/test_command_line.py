"""The command line as a whole: help with examples, completion, pipes, the README's lines, and a console that is not."""

import argparse
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from socialconsole import access, cli, completion_command, people, terminal
from socialconsole import config as settings
from socialconsole.config import Config
from tests.cast import START
from tests.conftest import environ

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
NAMES = ("people", "members", "workspaces", "accounts", "posts", "keys", "events", "platforms")
WANTED = {
    "people": "list add remove admin reset-link", "workspaces": "list create rename",
    "members": "list add role remove", "accounts": "list show pause resume disconnect reconnect-link",
    "posts": "list show create cancel retry", "keys": "list create revoke", "events": "list",
    "platforms": "list configure check on off"}


def leaves(parser, trail=()):
    """Every command that does something, with the words that lead to it."""
    inner = next((one for one in parser._actions if isinstance(one, argparse._SubParsersAction)), None)
    if inner is None:
        yield trail, parser
    for name, one in inner.choices.items() if inner is not None else ():
        yield from leaves(one, (*trail, name))


COMMANDS = {" ".join(trail): parser for trail, parser in leaves(cli._parser())}


def examples(parser):
    return [shlex.split(line)[1:] for line in (parser.epilog or "").splitlines()
            if line.strip().startswith("socialconsole ")]


def test_every_command_that_an_operator_needs_is_there():
    assert {f"{name} {verb}" for name, verbs in WANTED.items() for verb in verbs.split()} <= set(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_help_has_examples_that_the_parser_takes(name):
    found = examples(COMMANDS[name])
    assert any(" ".join(one).startswith(name) for one in found)
    for words in found:
        plain = words[:words.index("<")] if "<" in words else words[:words.index(">")] if ">" in words else words
        cli._parser().parse_args(plain)


@pytest.mark.parametrize("name", [one for one in COMMANDS if one.split()[0] in NAMES])
def test_every_command_prints_json_and_takes_no_secret_as_an_argument(name):
    options = {option: one for one in COMMANDS[name]._actions for option in one.option_strings}
    assert "--json" in options
    for option, one in options.items():
        if re.search("secret|password|token", option):
            assert one.nargs == 0 or one.metavar == "FILE", option


# ---------------------------------------------------------------- completion


def completed(*words):
    """What bash proposes for the last of these words."""
    script = completion_command.script(cli._parser(), "bash")
    asked = f"""{script}
COMP_WORDS=({' '.join(shlex.quote(one) for one in words)}); COMP_CWORD={len(words) - 1}
_socialconsole; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "--norc", "-c", asked], check=True, text=True, capture_output=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(("words", "proposed"), [
    (("socialconsole", "wo"), ["worker", "workspaces"]),
    (("socialconsole", "keys", ""), ["list", "create", "revoke", "--help"]),
    (("socialconsole", "keys", "create", "--w"), ["--workspace"]),
    (("socialconsole", "keys", "create", "--permission", "w"), ["write_posts"]),
    (("socialconsole", "keys", "create", "--name", "l"), []),
    (("socialconsole", "posts", "list", "--workspace", "keys", "--state", "n"), ["needs"]),
    (("socialconsole", "platforms", "on", "li"), ["linkedin"]),
    (("socialconsole", "completion", ""), ["bash", "zsh", "--help"])])
def test_bash_completes_from_the_parser(words, proposed):
    assert completed(*words) == proposed


def test_a_script_is_printed_for_both_shells(capsys):
    for shell in completion_command.SHELLS:
        assert cli.main(["completion", shell]) == 0
        said = capsys.readouterr().out
        assert "complete -F _socialconsole socialconsole" in said and ("bashcompinit" in said) is (shell == "zsh")
        subprocess.run(["bash", "-n"], input=said.split("bashcompinit\n")[-1], check=True, text=True)


# ---------------------------------------------------------------- a console that is not as it should be


@pytest.fixture
def run(config, monkeypatch, capsys):
    """Runs a command with these settings; returns its exit code, what it printed and what it complained about."""
    def command(*arguments, settings_of=config):
        monkeypatch.setattr(settings, "read", lambda: settings_of)
        code = cli.main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err
    return command


@pytest.mark.parametrize("words", ["people list", "members list --workspace x", "workspaces list", "accounts list",
                                   "posts list --workspace x", "keys list", "events list", "platforms list"])
def test_a_database_that_was_not_made_yet_is_said(run, tmp_path, words):
    empty: Config = settings.read(environ(tmp_path / "new"), tmp_path)
    code, out, err = run(*words.split(), settings_of=empty)
    assert (code, out) == (2, "") and "socialconsole" in err and "Traceback" not in err


def test_wrong_settings_are_said(run, tmp_path):
    wrong = settings.read(environ(tmp_path, TRUSTED_PROXIES="many"), tmp_path)
    code, out, err = run("keys", "list", settings_of=wrong)
    assert (code, out) == (2, "") and "TRUSTED_PROXIES" in err


def test_a_database_that_fails_midway_is_one_sentence(run, cast, monkeypatch):
    def fail():
        raise OperationalError("SELECT", {}, Exception("the disk is gone\nand more"))
    monkeypatch.setattr(people, "everybody", fail)
    code, out, err = run("people", "list")
    assert (code, out) == (2, "") and err.count("\n") == 1 and "the disk is gone" in err


def test_nothing_that_a_terminal_would_obey_is_printed(capsys):
    terminal.table(("A", "B"), [("\x1b[2J\x07evil\n", "名前"), ("x" * 100, "y")], "")
    lines = capsys.readouterr().out.splitlines()
    assert "\x1b" not in "".join(lines) and len(lines) == 3
    assert lines[2].startswith("x" * 59 + "…  y") and lines[0].index("B") == 62


# ---------------------------------------------------------------- real processes


@pytest.fixture
def shell(config, cast):
    """Runs a line of bash in which `socialconsole` is the command of this console, in a process of its own."""
    def line(text):
        names = {**os.environ, **environ(config.instance_path, DATABASE_URL=config.database_url)}
        command = f"socialconsole() {{ {sys.executable} -m socialconsole.cli \"$@\"; }}\n{text}"
        return subprocess.run(["bash", "--norc", "-c", command], env=names, cwd=ROOT, text=True, capture_output=True,
                              timeout=120)
    return line


def test_a_reader_that_goes_early_is_no_trouble(shell):
    done = shell("socialconsole people list | :; echo ${PIPESTATUS[0]}; socialconsole --help | :; "
                 "echo ${PIPESTATUS[0]}; socialconsole keys list --workspace nowhere; echo $?")
    assert done.stdout.split() == ["0", "0", "1"]
    assert done.stderr.splitlines() == ["There is no workspace “nowhere”. `socialconsole workspaces list` shows them "
                                        "all."]


# ---------------------------------------------------------------- the README


def readme_lines():
    part = README.split("\n## From the command line\n")[1].split("\n## ")[0]
    return part.split("```\n")[1].splitlines(), part


def test_the_lines_of_the_readme_work(run, app, tmp_path, monkeypatch, clock):
    with app.app_context():
        access.set_up("you@example.com", "a password nobody guesses", "First", "UTC", START)
    monkeypatch.setattr(terminal, "create_app", lambda _: app)
    monkeypatch.chdir(tmp_path)
    Path("password.txt").write_text("a password nobody guesses\n")
    Path("secret.txt").write_text("WPL_AP1.AbCdEfGh12347f3a\n")
    for line in readme_lines()[0]:
        words, _, file = line.partition(" < ")
        if file:
            monkeypatch.setattr("sys.stdin", io.StringIO(Path(file).read_text()))
        code, out, err = run(*shlex.split(words)[1:])
        assert code == 0, (line, err)
        assert "nobody guesses" not in out + err and "WPL_AP1" not in out + err
        if "keys create" in line:
            assert set(json.loads(out)) == {"key", "workspaceId"}


def test_the_readme_names_every_group_of_commands():
    part = readme_lines()[1]
    assert all(f"`{name}`" in part for name in NAMES) and "source <(socialconsole completion bash)" in part
