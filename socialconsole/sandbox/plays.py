"""What a platform brings to the sandbox, and all the platforms there are.

A platform's module holds a `PLAY`: `<platform>.py`, or `<platform>_play.py` where the platform's other files import the
first. Whatever a generic file has to know about a platform stands in it, so that a new platform is new files and no
change. `find_plays` runs when the package is imported, so `PLAYS` is always full.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Blueprint
from werkzeug.routing import BaseConverter

from .shapes import https_only

if TYPE_CHECKING:
    from .world import World

ALL_TASKS = ("MANAGE", "CREATE_CONTENT", "MODERATE", "MESSAGING", "ADVERTISE", "ANALYZE")
# What a call can be labelled with where a platform says nothing else; "any" can always be ordered.
OPERATIONS = ("authorize", "token", "refresh", "revoke", "profile", "publish", "list", "delete")
# Labels for plays with media: bytes or an announcement of them coming in, and asking how their processing goes.
MEDIA_OPERATIONS = ("upload", "status")
FIRST = ("facebook", "instagram", "linkedin", "twitter", "tiktok", "threads", "youtube")


@dataclass(frozen=True)
class Page:
    """A page that a person looks after, and what they may do there; `portfolio` marks one owned by a business."""

    id: str
    name: str
    username: str
    category: str
    tasks: tuple[str, ...] = ALL_TASKS
    portfolio: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody with an account at one platform; `facts` holds what only that platform knows of."""

    platform: str
    id: str
    name: str
    username: str
    email: str
    subscription: str = "None"
    protected: bool = False
    pages: tuple[Page, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Switch:
    """A setting of an app that is on or off: a box in the portal, a boolean of the JSON control."""

    name: str
    label: str
    default: bool = False
    hint: str = ""


# Two ways in which an app of Meta's is open only to its own team.
TEAM_ONLY = (
    Switch("development", "The app is in development", hint="Only people of its team can sign in."),
    Switch("advanced_access", "Has Advanced Access", default=True, hint="Without it only its team can sign in."),
)


@dataclass(frozen=True)
class Number:
    """A setting of an app that is a whole number, 1 or more."""

    name: str
    label: str
    default: int


@dataclass(frozen=True)
class Play:
    """One platform as the generic files see it."""

    platform: str
    label: str
    people: tuple[Person, ...]
    blueprints: tuple[Blueprint, ...]
    # mode -> a fresh client id and secret, shaped like the real ones
    credentials: Callable[[str], tuple[str, str]]
    id_labels: tuple[str, str] = ("Client ID", "Client secret")  # as the platform's portal calls them
    modes: tuple[str, ...] = ("",)  # the first is the usual one
    mode_labels: Mapping[str, str] = field(default_factory=dict)  # the modes that the portal's form offers by name
    switches: tuple[Switch, ...] = ()
    numbers: tuple[Number, ...] = ()
    # mode -> further settings of a new app that nobody types, as a configuration id
    more_settings: Callable[[str], dict[str, Any]] | None = None
    # (address, accept http on loopback) -> why it cannot be registered, "" if it can
    redirect_problem: Callable[[str, bool], str] = https_only
    operations: tuple[str, ...] = OPERATIONS
    ends_by_password: bool = False
    code_bytes: int = 96  # how long an authorization code is
    # more about a person for the JSON control
    facts_of_person: Callable[["World", Person], dict[str, Any]] | None = None
    # the person behind an id that is not the built-in one, where an app knows people by other ids
    find_person: Callable[["World", str], Person | None] | None = None
    # (built-in id, client id) -> the id under which that app knows a person
    known_as: Callable[[str, str], str] = lambda person_id, client_id: person_id
    converters: Mapping[str, type[BaseConverter]] = field(default_factory=dict)

    def settings(self, mode: str = "") -> dict[str, Any]:
        """The settings of a new app: every switch and number, and what the platform adds."""
        switches: dict[str, Any] = {one.name: one.default for one in self.switches}
        numbers = {one.name: one.default for one in self.numbers}
        return switches | numbers | (self.more_settings(mode) if self.more_settings else {})


PLAYS: dict[str, Play] = {}


def find_plays(package: str, path: Iterable[str]) -> None:
    """Fill `PLAYS` with the `PLAY` of every module of the package that has one, well-known platforms first."""
    modules = [importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(path)]
    found = [module.PLAY for module in modules if isinstance(getattr(module, "PLAY", None), Play)]
    PLAYS.clear()
    PLAYS.update((play.platform, play) for play in sorted(found, key=_place))


def _place(play: Play) -> tuple[int, str]:
    return (FIRST.index(play.platform) if play.platform in FIRST else len(FIRST)), play.platform
