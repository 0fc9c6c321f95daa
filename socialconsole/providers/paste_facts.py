"""What a platform's portal hands out, what people paste by mistake instead, and which settings do not go together.

Facts only; `paste.py`, `redirect_compare.py` and Configure read them. A shape that is only usual warns and never
refuses, since portals change their formats.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

CLIENT_ID, CLIENT_SECRET = "client_id", "client_secret"
BOTH = (CLIENT_ID, CLIENT_SECRET)


@dataclass(frozen=True)
class Usual:
    """What a good value usually looks like: a regular expression, and the same for people ("15 to 17 digits")."""

    pattern: str = ""
    words: str = ""

    def fits(self, value: str) -> bool:
        """Whether a value looks as usual; always, where nothing is known."""
        return not self.pattern or re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Kind:
    """A kind of value that portals hand out and that is not wanted in these fields.

    `name` has its article: "an API Key". `certain`: no right value of these fields looks like this. `distinct`: it can
    be told anywhere, so that the other platforms name it too.
    """

    name: str
    pattern: str
    advice: str
    fields: tuple[str, ...] = BOTH
    certain: bool = False
    distinct: bool = False

    def matches(self, value: str) -> bool:
        """Whether a value is of this kind."""
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class CallbackRule:
    """What the platform takes as a callback, and how it compares.

    `http_hosts`: where http is taken; `refused_hosts`: expressions of hosts that are refused whatever the scheme.
    `http_note` and `host_note` say so for people, `compares` how it compares.
    """

    compares: str
    http_hosts: tuple[str, ...] = ()
    http_note: str = ""
    refused_hosts: tuple[str, ...] = ()
    host_note: str = ""
    ignores_query: bool = False
    may_append_slash: bool = False
    most_characters: int = 0  # 0: none is known
    note: str = ""


@dataclass(frozen=True)
class Clash:
    """Settings that do not go together: when that is so, what it is, why, and what to do.

    All conditions that are given have to hold. `scopes` and `beside` are expressions for scopes that are asked for;
    `without` for one that is not; `features` are slugs of which one is ticked; `options` maps names to expressions;
    `client_id` is an expression. `is_hint`: good to know, nothing is wrong.
    """

    what: str
    why: str
    todo: str
    modes: tuple[str, ...] = ()
    scopes: str = ""
    beside: str = ""
    without: str = ""
    features: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    client_id: str = ""
    is_hint: bool = False

    def holds(self, mode: str, features: Collection[str], scopes: Collection[str], options: Mapping[str, str],
              client_id: str) -> bool:
        """Whether these settings are in conflict."""
        return ((not self.modes or mode in self.modes)
                and (not self.features or not set(self.features).isdisjoint(features))
                and (not self.scopes or _any(self.scopes, scopes))
                and (not self.beside or _any(self.beside, scopes))
                and (not self.without or not _any(self.without, scopes))
                and all(re.fullmatch(pattern, options.get(name, "")) for name, pattern in self.options.items())
                and (not self.client_id or re.fullmatch(self.client_id, client_id) is not None))


@dataclass(frozen=True)
class Approval:
    """What the platform wants before an app may ask for such scopes."""

    scopes: str
    wants: str
    modes: tuple[str, ...] = ()

    def concerns(self, mode: str, scope: str) -> bool:
        """Whether a scope is one of these."""
        return (not self.modes or mode in self.modes) and re.fullmatch(self.scopes, scope) is not None


@dataclass(frozen=True)
class PasteFacts:
    """All that is known about the fields of one platform.

    `may_share`: by mode, the platforms whose app may be the very same one. `files`: names at the top of a downloaded
    JSON file that show that the app is of the wrong kind, with the sentence for it.
    """

    callback: CallbackRule
    usual_id: Usual = Usual()
    usual_secret: Usual = Usual()
    kinds: tuple[Kind, ...] = ()
    callbacks: Mapping[str, CallbackRule] = field(default_factory=dict)  # by mode, where it differs
    options: Mapping[str, Usual] = field(default_factory=dict)
    may_share: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scopes_replaced_by: Mapping[str, str] = field(default_factory=dict)  # by mode, the option that decides instead
    own_pair: str = ""  # the sentence for an id that another platform uses here and that cannot be shared
    files: Mapping[str, str] = field(default_factory=dict)
    clashes: tuple[Clash, ...] = ()
    approvals: tuple[Approval, ...] = ()

    def callback_of(self, mode: str) -> CallbackRule:
        """What holds for the callback in a mode."""
        return self.callbacks.get(mode, self.callback)

    def approval(self, mode: str, scope: str) -> str:
        """What the platform wants before an app may ask for this scope; empty where it wants nothing."""
        return next((one.wants for one in self.approvals if one.concerns(mode, scope)), "")


NO_FACTS = PasteFacts(CallbackRule("It has to be the same, character by character."))


def _any(pattern: str, scopes: Collection[str]) -> bool:
    return any(re.fullmatch(pattern, scope) for scope in scopes)
