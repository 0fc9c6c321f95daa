"""The configuration of a console as one file: its format, what may stand in it, and where its secrets come from.

The format is JSON: the standard library reads and writes it, it has one way to write each value, and it runs nothing.
A secret never stands in the file, only where it is found, or that the stored one is kept. A field that is left out
leaves what the console has. Pure: no database.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .config import NAMES, SETTINGS
from .config_checks import reason
from .members import tidy_name
from .platform_apps import LONGEST_NOTE
from .providers import PROVIDERS
from .slots import DAYS, MOST_SLOTS, WALL
from .workspaces import LONGEST_NAME, MOST_ACCOUNTS, MOST_MEGABYTES

FORMAT = "socialconsole/1"
MOST_BYTES = 400_000  # what one form of the console carries
MOST_PROBLEMS = 50  # told at once
LONGEST_TEXT, LONGEST_SECRET, LONGEST_PATH = 5000, 500, 1000
MOST_LIST = 1000
KEPT = "kept"
ALL = "all"
SECRET_FROM, ENV, FILE = "secretFrom", "env", "file"
ENV_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
# A page is open to whoever administers the console, the machine behind it is not: from there only such names are read.
ENV_OF_PAGES = re.compile(r"[A-Z][A-Z0-9_]{0,87}_CLIENT_SECRET")
SECRETS_ARE_REFERENCES = (
    'A secret never stands in this file. Write where it is found, {"secretFrom": {"env": "NAME"}} or {"secretFrom": '
    '{"file": "/path"}}, or "kept" to leave the stored one.')

NO_SUCH_FIELD = "There is no such field."

Problems = list[str]
Check = Callable[[Any], str]  # why a value cannot be taken; empty if it can


class Refused(Exception):
    """The file cannot be taken as it is: each problem a sentence with its place, none with the value of a secret."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Entry:
    """One app or workspace of the file: its place in it, and the fields that it names."""

    place: str
    values: Mapping[str, Any]

    def has(self, name: str) -> bool:
        """Whether the file says anything about this field."""
        return name in self.values


@dataclass(frozen=True)
class Document:
    """What stands in a file: settings of the environment, apps (the first of each platform first), workspaces."""

    settings: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[Entry, ...] = ()
    workspaces: tuple[Entry, ...] = ()


# ---------------------------------------------------------------- what a value may be


def _text(value: Any, longest: int = LONGEST_TEXT) -> str:
    if not isinstance(value, str):
        return "Write a text in quotes."
    if len(value) > longest:
        return f"This has {len(value):,} characters; {longest:,} is the most."
    if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        return "This holds a character that no text has."
    return ""


def _name(value: Any) -> str:
    return _text(value) or ("" if 1 <= len(tidy_name(value)) <= LONGEST_NAME
                            else f"Give a name of 1 to {LONGEST_NAME} characters.")


def _truth(value: Any) -> str:
    return "" if isinstance(value, bool) else "Write true or false."


def _number(value: Any, most: int, *, or_none: bool = True) -> str:
    if (value is None and or_none) or (type(value) is int and 0 <= value <= most):
        return ""
    return f"Write a whole number from 0 to {most:,}{', or null for none' if or_none else ''}."


def _texts(value: Any) -> str:
    if not isinstance(value, list) or len(value) > MOST_LIST or any(_text(one) for one in value):
        return "Write a list of texts in quotes."
    return "" if len(set(value)) == len(value) else "One of these stands here twice."


def _all_or_texts(value: Any) -> str:
    if value == ALL:
        return ""
    return f"Write “{ALL}”, or a list of at least one name of a workspace." if _texts(value) or not value else ""


def _texts_by_name(value: Any) -> str:
    if not isinstance(value, dict) or any(_text(one) for one in (*value, *value.values())):
        return "Write an object of names and texts."
    return ""


def _secret(value: Any) -> str:
    """Says nothing of what stands there: it may be a secret."""
    if value == KEPT:
        return ""
    source = value.get(SECRET_FROM) if isinstance(value, dict) and set(value) == {SECRET_FROM} else None
    if not isinstance(source, dict) or len(source) != 1 or not set(source) <= {ENV, FILE}:
        return SECRETS_ARE_REFERENCES
    if ENV in source:
        name = source[ENV]
        if not isinstance(name, str) or not ENV_NAME.fullmatch(name):
            return "The name of an environment variable has capital letters, digits and “_” only."
        own = name.removesuffix("_FILE") in NAMES
        return "This variable is a setting of the console itself. Give the secret a variable of its own." if own else ""
    path = source[FILE]
    if _text(path, LONGEST_PATH) or not path.startswith("/"):
        return "Write the whole path of the file, beginning with “/”."
    return ""


def _slots(value: Any) -> str:
    days = [day.lower() for day in DAYS]
    if not isinstance(value, dict):
        return f"Write an object of days and times, such as {{\"{days[0]}\": [\"08:30\"]}}."
    unknown = next((day for day in value if day not in days), None)
    if unknown is not None:
        return f"“{shown(unknown)}” is no day. Known are {', '.join(days)}."
    for times in value.values():
        if _texts(times) or any(not WALL.fullmatch(one) for one in times):
            return "Write the times of a day as a list, each once, such as [\"08:30\", \"17:00\"]."
    return "" if sum(map(len, value.values())) <= MOST_SLOTS else f"A queue takes at most {MOST_SLOTS} slots."


def _settings(value: Any) -> str:
    if problem := _texts_by_name(value):
        return problem
    secret = {one.name for one in SETTINGS if one.secret}
    wrong = next((name for name in value if name not in NAMES or name in secret), None)
    if wrong is None:
        return ""
    if wrong in secret:
        return f"{wrong} is a secret of the environment. It does not belong into this file."
    return f"There is no setting “{shown(wrong)}”."


APP_FIELDS: dict[str, Check] = {
    "segment": partial(_text, longest=40), "platform": partial(_text, longest=40), "name": _text, "mode": _text,
    "sandbox": _truth, "clientId": _text, "clientSecret": _secret, "apiVersion": _text, "callbackOverride": _text,
    "scopeOverride": _text, "features": _texts, "options": _texts_by_name, "workspaces": _all_or_texts, "on": _truth,
    "offNote": partial(_text, longest=LONGEST_NOTE),
}
WORKSPACE_FIELDS: dict[str, Check] = {
    "name": _name, "id": partial(_text, longest=60), "owner": partial(_text, longest=254),
    "timeZone": partial(_text, longest=64), "windowMinutes": partial(_number, most=10**6, or_none=False),
    "needsApproval": _truth, "accountLimit": partial(_number, most=MOST_ACCOUNTS),
    "storageLimitMegabytes": partial(_number, most=MOST_MEGABYTES), "slots": _slots,
}
TOP_FIELDS = ("format", "settings", "platforms", "workspaces")


def shown(name: str) -> str:
    """A name from the file as a message may show it: short, on one line."""
    plain = "".join(sign if sign.isprintable() else " " for sign in name)
    return plain if len(plain) <= 60 else f"{plain[:57]}…"


# ---------------------------------------------------------------- reading


def read(text: str | bytes) -> Document:
    """What stands in the text of a file. Raises Refused with every problem that shows without the database."""
    found = _json(text)
    if not isinstance(found, dict):
        raise Refused(["This is not a configuration: it has to be one JSON object. `socialconsole config export` "
                       "writes one."])
    problems: Problems = [_unknown(name, TOP_FIELDS, "") for name in found if name not in TOP_FIELDS]
    if found.get("format") != FORMAT:
        problems.insert(0, f"format: Write “{FORMAT}”, the format that this version of the console reads.")
    if "settings" in found and (problem := _settings(found["settings"])):
        problems.append(f"settings: {problem}")
    apps = _entries(found, "platforms", APP_FIELDS, problems)
    workspaces = _entries(found, "workspaces", WORKSPACE_FIELDS, problems)
    if not problems:
        problems = [*_app_problems(apps), *_workspace_problems(workspaces)]
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise Refused(problems[:MOST_PROBLEMS] + ([f"And {more:,} more of this kind."] if more > 0 else []))
    return Document(found.get("settings", {}), tuple(sorted(apps, key=_order)), tuple(workspaces))


def _json(text: str | bytes) -> Any:
    size = len(text if isinstance(text, bytes) else text.encode(errors="replace"))
    if size > MOST_BYTES:
        raise Refused([f"The file has {size:,} bytes; {MOST_BYTES:,} is the most."])
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        return json.loads(plain, object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise Refused(["The file is not UTF-8 text."]) from None
    except json.JSONDecodeError as error:
        raise Refused([f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."]) from None
    except RecursionError:
        raise Refused(["The file is nested deeper than any configuration is."]) from None
    except ValueError:  # a number longer than Python reads
        raise Refused(["The file holds a number that is no number of a configuration."]) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file. Which of two values with one name counts, nobody could see."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise Refused([f"“{shown(twice)}” stands twice in one object. Remove one of the two."])
    return made


def _no_number(name: str) -> Any:
    raise Refused([f"{name} is no number of a configuration."])


def holds_secret(problem: str) -> bool:
    """Whether a problem says that a secret itself stands in the file, by the right name or by a wrong one."""
    place = problem.partition(": ")[0].lower()
    return SECRETS_ARE_REFERENCES in problem or (
        NO_SUCH_FIELD in problem and bool(re.search("secret|token|key", place)))


def _unknown(name: str, known: Any, place: str) -> str:
    return f"{place}{shown(name)}: {NO_SUCH_FIELD} Known are {', '.join(known)}."


def _entries(found: dict[str, Any], name: str, fields: Mapping[str, Check], problems: Problems) -> list[Entry]:
    listed = found.get(name, [])
    if not isinstance(listed, list) or len(listed) > MOST_LIST:
        problems.append(f"{name}: Write a list, with at most {MOST_LIST:,} entries.")
        return []
    made, key = [], next(iter(fields))
    for number, one in enumerate(listed):
        place = f"{name}[{number}]"
        if not isinstance(one, dict):
            problems.append(f"{place}: Write an object.")
            continue
        if isinstance(one.get(key), str):
            place += f" ({shown(one[key])})"
        wrong = [_unknown(known, fields, f"{place}.") for known in one if known not in fields]
        wrong += [f"{place}.{known}: {problem}" for known, value in one.items()
                  if known in fields and (problem := fields[known](value))]
        if key not in one:
            wrong.append(f"{place}.{key}: This has to be there.")
        problems += wrong
        made.append(Entry(place, one))
    return made


def _app_problems(apps: list[Entry]) -> Problems:
    problems, seen = [], set()
    for one in apps:
        segment = one.values["segment"]
        platform = platform_of(one)
        if platform is None:
            problems.append(f"{one.place}.segment: Write the name of a platform, and “-2”, “-3” after it for its "
                            f"further apps. Known are {', '.join(PROVIDERS)}.")
        elif one.values.get("platform", platform) != platform:
            problems.append(f"{one.place}.platform: This segment belongs to “{platform}”.")
        if segment in seen:
            problems.append(f"{one.place}.segment: This app stands here twice.")
        if one.values.get("sandbox") and (one.has("clientId") or one.has("clientSecret")):
            problems.append(f"{one.place}.sandbox: The sandbox gives ID and secret itself. Leave clientId and "
                            "clientSecret out.")
        seen.add(segment)
    return problems


def _workspace_problems(workspaces: list[Entry]) -> Problems:
    problems, seen = [], set()
    for one in workspaces:
        key = one.values.get("id") or tidy_name(one.values["name"])
        if key in seen:
            problems.append(f"{one.place}: This workspace stands here twice.")
        seen.add(key)
    return problems


def platform_of(app: Entry) -> str | None:
    """The platform that an app of the file belongs to, by its segment; None if it belongs to none."""
    segment = str(app.values["segment"])
    platform, _, number = segment.rpartition("-")
    if segment in PROVIDERS:
        return segment
    is_further = number.isascii() and number.isdigit() and number[0] != "0" and 2 <= int(number) <= 999
    return platform if is_further and platform in PROVIDERS else None


def _order(app: Entry) -> tuple[str, int]:
    platform = platform_of(app) or ""
    return platform, int(app.values["segment"].removeprefix(platform).removeprefix("-") or 1)


# ---------------------------------------------------------------- writing


def write(settings: Mapping[str, str], platforms: list[dict[str, Any]], workspaces: list[dict[str, Any]]) -> str:
    """The text of a file, always the same for the same content."""
    return json.dumps({"format": FORMAT, "settings": dict(settings), "platforms": platforms, "workspaces": workspaces},
                      indent=2, ensure_ascii=False) + "\n"


def reference(segment: str) -> dict[str, Any]:
    """Where the secret of an app is found by the name that an export proposes."""
    return {SECRET_FROM: {ENV: re.sub(r"[^A-Z0-9]", "_", segment.upper()) + "_CLIENT_SECRET"}}


# ---------------------------------------------------------------- the secrets


def open_secret(app: Entry, *, from_page: bool = False, environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """The secret that an app of the file refers to (empty: the stored one is kept), and why there is none.

    `from_page`: sent by a browser, which may name no file of the machine and only variables that are for this.
    """
    value = app.values.get("clientSecret", KEPT)
    if value == KEPT:
        return "", ""
    source = value[SECRET_FROM]
    if ENV in source:
        if from_page and not ENV_OF_PAGES.fullmatch(source[ENV]):
            return "", "From this page only variables are read whose name ends in _CLIENT_SECRET."
        found = environ.get(source[ENV], "").strip()
        return found, "" if found else f"The environment of the console has no variable {source[ENV]}."
    if from_page:
        return "", "From this page no file of the machine is read. Use `socialconsole config apply` there."
    return _from_file(source[FILE])


def _from_file(path: str) -> tuple[str, str]:
    try:
        # Without waiting: nothing but a plain file is opened for long.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return "", f"{path} is no plain file."
            found = file.read(LONGEST_SECRET * 4 + 1)
        text = found.decode().strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return "", f"{path} cannot be read ({reason(error)})."
    if not text or len(text) > LONGEST_SECRET or "\n" in text:
        return "", f"{path} holds no secret: it has to be one line of at most {LONGEST_SECRET} characters."
    return text, ""


def read_file(path: Path) -> Document:
    """What stands in a file of this machine. Raises Refused."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused([f"{path} cannot be read ({reason(error)}). Correct the path or the rights of the file."]) \
            from None
    return read(text)
