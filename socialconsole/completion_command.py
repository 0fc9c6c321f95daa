"""The command `socialconsole completion`: what a shell needs to complete commands, made from the parser itself.

zsh runs the function of bash, by its own bridge to it.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from . import terminal
from .providers import PROVIDERS

SHELLS = ("bash", "zsh")
BASH = """\
_socialconsole() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} trail="" words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$trail/${{COMP_WORDS[i]}}" in
            {trails}) trail="$trail/${{COMP_WORDS[i]}}" ;;
        esac
    done
    case "$trail $prev" in
{values}
    esac
    if [ -z "$words" ]; then
        case "$trail" in
{nexts}
        esac
    fi
    COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
complete -F _socialconsole socialconsole
"""
FOR_ZSH = """\
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
autoload -U +X bashcompinit && bashcompinit
{bash}"""
PLACEHOLDERS = {"PLATFORM": tuple(PROVIDERS)}  # what a value with this name may be
FILE = "FILE"


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    about = "print what a shell needs to complete these commands"
    commands.add_parser("completion", help=about, description=terminal.sentence(about), **terminal.epilog(
        "completion bash > /etc/bash_completion.d/socialconsole", "completion zsh > ~/.socialconsole.zsh")
    ).add_argument("shell", choices=SHELLS, help="which shell")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The text that the shell is to read."""
    known = dict(_walk(parser, ""))
    bash = BASH.format(
        trails="|".join(trail for trail in known if trail),
        nexts="\n".join(f'            "{trail}") words="{" ".join(_nexts(one))}" ;;' for trail, one in known.items()),
        values="\n".join(f'        "{trail} {name}") {what} ;;' for trail, one in known.items()
                         for name, what in _values(one)))
    return FOR_ZSH.format(bash=bash) if shell == "zsh" else bash


def _walk(parser: argparse.ArgumentParser, trail: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with the words that lead to it: `/posts/list`."""
    yield trail, parser
    for name, inner in _commands(parser).items():
        yield from _walk(inner, f"{trail}/{name}")


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {name: inner for one in parser._actions if isinstance(one, argparse._SubParsersAction)
            for name, inner in one.choices.items()}


def _nexts(parser: argparse.ArgumentParser) -> list[str]:
    """The words that may follow a command: further commands, what may stand for its arguments, its options."""
    places = [word for one in parser._actions if not one.option_strings
              and not isinstance(one, argparse._SubParsersAction) for word in _words(one)]
    return [*_commands(parser), *places, *(name for one in parser._actions for name in one.option_strings
                                           if name.startswith("--"))]


def _values(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Each option that takes a value, with the line that completes it; nothing is proposed where all may stand."""
    for one in parser._actions:
        for name in one.option_strings if one.nargs != 0 else ():
            if one.metavar == FILE:
                yield name, 'COMPREPLY=( $(compgen -f -- "$cur") ); return'
            elif words := _words(one):
                yield name, f'words="{" ".join(words)}"'
            else:
                yield name, "COMPREPLY=(); return"


def _words(one: argparse.Action) -> list[str]:
    """The values that an argument may have, where they are known."""
    return [str(value) for value in one.choices or PLACEHOLDERS.get(str(one.metavar), ())]
