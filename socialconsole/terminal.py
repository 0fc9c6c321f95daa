"""What the commands share: their parsers with examples, plain tables, refusals in one sentence, the console behind.

Whatever a command changes is kept in the history as done by the command line.
"""

import argparse
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import g
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from . import access, api_keys, connections, create_app, logs, media, members, people, posts, start, workspaces
from .config import Config
from .models import User

WHO = "Command line"  # in the history
LONGEST_INPUT = 1024 * 1024  # characters of a text that is handed in
WIDEST, WIDEST_LAST = 60, 300  # signs of a cell, and of one with nothing beside it

# Refusals whose message is for people.
SAYS_WHY = (posts.NotPossible, posts.Conflict, connections.NotOffered, media.Refused, members.LastOwner,
            members.MovedOn, members.IsMember, people.Needed, access.UnknownPerson)
RACES = (workspaces.MovedOn, members.NoInvitation, members.ForSomebodyElse, members.AccountExists)
SAYS_WHERE = (access.Invalid, api_keys.Invalid, posts.Invalid)  # with a sentence per field


class Refused(Exception):
    """Not done; the message is one sentence that says what to do."""


# ---------------------------------------------------------------- parsers


def thing(commands: Any, name: str, about: str, example: str) -> Any:
    """Add what commands are about, such as `posts`; returns where its verbs are added."""
    made = commands.add_parser(name, help=about, description=sentence(about), epilog=_epilog([f"{name} {example}"]),
                               formatter_class=argparse.RawDescriptionHelpFormatter)
    return made.add_subparsers(dest="action", required=True, metavar="action")


def verb(actions: Any, name: str, about: str, *examples: str) -> argparse.ArgumentParser:
    """Add a command with its examples, each written without `socialconsole`; it can print JSON."""
    made: argparse.ArgumentParser = actions.add_parser(
        name, help=about, description=sentence(about), epilog=_epilog(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print JSON, for programs")
    return made


def sentence(about: str) -> str:
    """A help text as a sentence of its own."""
    return f"{about[0].upper()}{about[1:]}."


def _epilog(examples: Iterable[str]) -> str:
    return "\n".join(["example:", *(f"  socialconsole {one}" for one in examples)])


def epilog(*examples: str) -> dict[str, Any]:
    """What makes a plain command's help end with its examples."""
    return {"epilog": _epilog(examples), "formatter_class": argparse.RawDescriptionHelpFormatter}


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number."""
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"give a whole number from {least} to {most}")
        return int(text)
    return number


# ---------------------------------------------------------------- doing it


def in_console(config: Config, work: Callable[[], int]) -> int:
    """Do the work beside a console that runs or not; returns its exit code, or that of a refusal, which is said."""
    problems = start.part_problems(config, wants_store=False)
    if problems:
        return start.say_problems(problems)
    with create_app(config).app_context():
        g.user = User(name=WHO, email=WHO)
        try:
            return work()
        except Refused as why:
            return refuse(str(why))
        except SAYS_WHY as why:
            return refuse(str(why))
        except SAYS_WHERE as wrong:
            return refuse(*(f"{field}: {why}" for field, why in wrong.errors.items()))
        except RACES:
            return refuse("Somebody else did the same at this moment. Look how it stands, then try again.")
        except KeyboardInterrupt:
            return refuse("Stopped. Look what was done before you try again.")
        except HTTPException:
            return refuse("Something that was named is not there any more. List it again, then try again.")
        except SQLAlchemyError as error:
            print(f"The database did not do it ({_first_line(error)}). See that it is up, then try again.",
                  file=sys.stderr)
            return start.WRONG


def _first_line(error: Exception) -> str:
    return logs.safe(str(getattr(error, "orig", None) or error).splitlines()[0])


def hang_up() -> int:
    """Whoever read what we print has gone, as `head` does: nothing more is printed. Returns the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return start.OK


# ---------------------------------------------------------------- reading


def handed_in(path: str, what: str) -> str:
    """The text of a file, or of standard input for `-`, without the last line's end. Raises Refused."""
    try:
        if path == "-":
            text = sys.stdin.read(LONGEST_INPUT + 1)
        else:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(LONGEST_INPUT + 1)
    except UnicodeDecodeError:
        raise Refused(f"The {what} is not text in UTF-8. Hand in a text file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name cannot be used"
        raise Refused(f"The file for the {what} cannot be read: {reason}. Check its name.") from None
    if len(text) > LONGEST_INPUT:
        raise Refused(f"The {what} is too long. Hand in less than a million characters.")
    return text.removesuffix("\n").removesuffix("\r")


def secret(path: str, what: str) -> str:
    """The first line of a file, or of standard input for `-`. Raises Refused where nothing is in it."""
    found = (handed_in(path, what).splitlines() or [""])[0]
    if not found:
        where = "Standard input" if path == "-" else "The file"
        raise Refused(f"{where} was empty. Hand in the {what} there.")
    return found


# ---------------------------------------------------------------- telling


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> int:
    """Print plain columns, or one sentence on standard error where there are no rows. Returns the exit code."""
    lines = [[cell(str(one), WIDEST if number < len(heads) else WIDEST_LAST)
              for number, one in enumerate(row, start=1)] for row in rows]
    if not lines:
        print(nothing, file=sys.stderr)
        return start.OK
    lines.insert(0, list(heads))
    widths = [max(_width(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(one + " " * (width - _width(one)) for one, width in zip(line, widths, strict=True)).rstrip())
    return start.OK


def cell(text: str, widest: int = WIDEST) -> str:
    """A text in one line that no terminal takes for an order: what cannot be seen is left out."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return plain if len(plain) <= widest else plain[: widest - 1] + "…"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else not unicodedata.combining(sign) for sign in text)


def facts(values: Mapping[str, object]) -> int:
    """Print names and values, one a line; what is empty is left out. Returns the exit code."""
    shown = {name: cell(str(value), 400) for name, value in values.items() if value not in (None, "")}
    widest = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        print(f"{name + ':':{widest + 1}} {value}")
    return start.OK


def as_json(value: Any) -> int:
    """Print one JSON value. Returns the exit code."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
    return start.OK


def done(given: argparse.Namespace, said: str, value: Mapping[str, Any]) -> int:
    """Tell that something is done: in a sentence, or as JSON where that was asked for. Returns the exit code."""
    if given.json:
        return as_json(value)
    print(cell(said, 1000))
    return start.OK


def handed_out(given: argparse.Namespace, what: str, value: Mapping[str, Any], note: str) -> int:
    """Print what is told once and never again, alone, and the note beside it on standard error."""
    if given.json:
        return as_json(value)
    print(note, file=sys.stderr)
    print(what)
    return start.OK


def refuse(*reasons: str) -> int:
    """Say on standard error why it is not done; returns the exit code."""
    print(*(cell(one, 1000) for one in reasons), sep="\n", file=sys.stderr)
    return start.REFUSED


def rfc3339(at: datetime | None) -> str | None:
    """An instant as programs read it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at is not None else None


def when(at: datetime | None) -> str:
    """An instant as a table shows it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at is not None else "-"
