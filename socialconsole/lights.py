"""What each feature of a connected account may do: works, off for want of a permission, or not known.

The facts stand with the providers, the answers on the Grant. A feature that is off names the permission, its purpose,
and whether asking the person for exactly that would help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from .accounts import missing_of
from .models import ACTIVE, DEAD, PAUSED, Account, Grant, PlatformApp
from .platform_apps import scope_string
from .providers import provider as provider_of
from .providers.base import DECLINED_BEFORE, MORE, Feature, Provider, Scope

WORKS, OFF, UNKNOWN = "works", "off", "unknown"
UNNAMED = "Added by the admin of this console"


class CannotAsk(Exception):
    """These permissions cannot be asked for by themselves; the message says why and what helps."""


@dataclass(frozen=True)
class Permission:
    """One scope in words, and since when it is there."""

    name: str
    purpose: str
    since: datetime | None = None  # None: not granted, or not told
    is_asked: bool = True  # False: this console's app does not ask for it


@dataclass(frozen=True)
class Light:
    """One thing that an account may do, and what it takes."""

    slug: str
    label: str
    state: str  # works, off, unknown
    needs: tuple[Permission, ...] = ()
    missing: tuple[Permission, ...] = ()
    ask: tuple[str, ...] = ()  # the scopes that would turn it on, where asking for just them is possible
    is_feature: bool = False  # one that the admin of this console ticked

    @property
    def unasked(self) -> tuple[Permission, ...]:
        """Those missing that the admin of this console has not put into the app."""
        return tuple(one for one in self.missing if not one.is_asked)


@dataclass(frozen=True)
class Asking:
    """How to ask for some scopes: what is sent, why once more, and what the consent does to the earlier one."""

    scopes: str
    again: str
    names: tuple[str, ...]  # all that is asked for
    is_exact: bool  # only the missing is asked for, the rest stays as it was given


@dataclass
class _Board:
    """The lights of one account as they are put together; a feature whose needs stand there already is left out."""

    grant: Grant
    provider: Provider
    known: dict[str, Scope]
    asked: frozenset[str]
    may_ask: bool
    lights: list[Light] = field(default_factory=list)

    def add(self, slug: str, label: str, needs: Sequence[str], *, is_feature: bool = False) -> None:
        """One light. Without needs it works as soon as the account is connected."""
        granted = self.grant.scopes_granted
        missing = missing_of(needs, granted)
        state = OFF if missing else UNKNOWN if granted is None and needs else WORKS
        can = self.may_ask and bool(missing) and set(missing) <= self.asked
        self.lights.append(Light(slug, label, state, self._all(needs), self._all(missing), missing if can else (),
                                 is_feature))

    def _all(self, names: Sequence[str]) -> tuple[Permission, ...]:
        return tuple(permission(self.grant, name, self.known, name in self.asked) for name in names)


def lights(account: Account) -> list[Light]:
    """What an account may do, the most important first; empty for one that is not connected."""
    grant = account.grant
    if grant is None or account.state not in (ACTIVE, PAUSED):
        return []
    provider, mode = provider_of(account.platform), grant.app.mode
    board = _Board(grant, provider, purposes(provider, mode), frozenset(names_of(scope_string(grant.app))),
                   _may_ask(account))
    to_publish = provider.needs_to_publish(mode, account.kind)
    board.add("profile", "Read name and picture", provider.needs_to_read(mode, grant.scopes_granted))
    for one in provider.formats_of(mode, account.kind):
        board.add(f"format-{one.slug}", one.label, one.needs or to_publish)
    if provider.most_parts > 1:
        board.add("chain", "Reply chain", (*to_publish, *provider.chain_needs))
    if mode in provider.comment_needs:
        board.add("first-comment", "First comment", provider.comment_needs[mode])
    for choice in provider.fields:
        if choice.needs and (not choice.modes or mode in choice.modes):
            board.add(f"field-{choice.name}", choice.label, choice.needs)
    if mode in provider.delete_needs:
        board.add("delete", "Delete published posts", provider.delete_needs[mode])
    for feature in _features(grant.app, provider):
        board.add(feature.slug, feature.label, tuple(scope.name for scope in feature.scopes), is_feature=True)
    return board.lights


def grouped(found: Sequence[Light]) -> list[Light]:
    """Lights of one state that want for, or live by, the same permissions as one, their labels side by side."""
    groups: dict[tuple[str, frozenset[str]], list[Light]] = {}
    for one in found:
        names = frozenset(needed.name for needed in one.missing or one.needs)
        groups.setdefault((one.state, names if one.state != UNKNOWN else frozenset()), []).append(one)
    return [replace(some[0], label=_label(some)) for some in groups.values()]


def _label(some: Sequence[Light]) -> str:
    """All labels, or those of the features that hold the others: Pictures and videos, and not each kind of picture."""
    features = [one for one in some if one.is_feature]
    kinds = {one.slug.split("-")[0] for one in some if not one.is_feature}
    shown = features if features and kinds == {"format"} else some
    return ", ".join(dict.fromkeys(one.label for one in shown))


def _features(app: PlatformApp, provider: Provider) -> list[Feature]:
    return [one for one in provider.features_of(app.mode) if one.slug in app.features]


def _may_ask(account: Account) -> bool:
    grant = account.grant
    return grant is not None and account.state in (ACTIVE, PAUSED) and grant.app.is_on \
        and grant.app_generation == grant.app.generation and grant.scopes_granted is not None


def summary(account: Account) -> list[Light]:
    """What of an account is off and could be turned on by its person, for its card."""
    return [one for one in grouped(lights(account)) if one.ask]


# ---------------------------------------------------------------- permissions in words


def names_of(scopes: str) -> tuple[str, ...]:
    """The names in a text of scopes, whatever separates them, each once and in their order."""
    return tuple(dict.fromkeys(scopes.replace(",", " ").split()))


def purposes(provider: Provider, mode: str) -> dict[str, Scope]:
    """All scopes that a platform's facts know in a mode, by name."""
    return {scope.name: scope for scope in provider.default_scopes(
        mode, tuple(feature.slug for feature in provider.features_of(mode)))}


def permission(grant: Grant, name: str, known: dict[str, Scope], is_asked: bool = True) -> Permission:
    """One scope of a grant, in words."""
    purpose = known[name].purpose if name in known else UNNAMED
    return Permission(name, purpose, since(grant, name), is_asked)


def since(grant: Grant, name: str) -> datetime | None:
    """When a scope was given; None for one that was not, or where the platform did not tell."""
    if grant.scopes_granted is None or name not in grant.scopes_granted:
        return None
    noted = grant.scopes_since.get(name) if grant.scopes_since else None
    return datetime.fromisoformat(noted) if noted else grant.granted_at


def dates(grant: Grant, granted: Sequence[str] | None, now: datetime) -> dict[str, str]:
    """Since when each scope of a new answer is there: what was given before, and never ended, keeps its day."""
    if granted is None:
        return {}
    goes_on = grant.access_sealed is not None and grant.state != DEAD
    return {name: ((since(grant, name) if goes_on else None) or now).isoformat() for name in granted}


# ---------------------------------------------------------------- grant just this


def asking(account: Account, app: PlatformApp, wanted: Sequence[str]) -> Asking:
    """How to ask the person of an account for some scopes that are missing. Raises CannotAsk.

    Where the platform keeps what was given before, only they are asked for; else all that the account has is asked for
    with them, since the new consent takes the place of the old one.
    """
    grant = account.grant
    if grant is None or account.state not in (ACTIVE, PAUSED):
        raise CannotAsk("This profile has to be reconnected first, which asks for all permissions.")
    if grant.app_id != app.id or grant.app_generation != app.generation:
        raise CannotAsk("The app of this platform was exchanged. Reconnect the profile, which asks for everything.")
    if grant.scopes_granted is None:
        raise CannotAsk("The platform does not tell what was granted, so nobody knows what is missing. Reconnect the "
                        "profile, which asks for all permissions.")
    possible, held = names_of(scope_string(app)), set(grant.scopes_granted)
    missing = [name for name in possible if name in wanted and name not in held]
    if unknown := [name for name in wanted if name not in possible and name not in held]:
        raise CannotAsk(f"This console does not ask for {', '.join(unknown)}. A platform admin can add it under "
                        "Admin → Social Platform.")
    if not missing:
        raise CannotAsk("Nothing of this is missing any more.")
    names, is_exact = _names_to_send(provider_of(app.platform), app, missing, held, possible)
    separator = provider_of(app.platform).scope_separator
    sent = scope_string(app) if names == possible else separator.join(names)
    return Asking(sent, MORE if is_exact else DECLINED_BEFORE, names, is_exact)


def _names_to_send(provider: Provider, app: PlatformApp, missing: Sequence[str], held: set[str],
                   possible: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    if provider.keeps_granted(app.mode, app.options):
        return tuple(missing), True
    if provider.one_scope_set:
        return possible, False
    return tuple(name for name in possible if name in held or name in missing), False


def what_happens(account: Account, light: Light) -> str:
    """What *Grant just this* does to the rest, in words; empty where it is not offered."""
    if not light.ask or account.grant is None:
        return ""
    provider = provider_of(account.platform)
    found = asking(account, account.grant.app, light.ask)
    if found.is_exact:
        return f"Only this is asked for. What {provider.name} granted before stays."
    rest = len(found.names) - len(light.ask)
    with_it = f"the {rest} other permissions of this profile are asked for along with it" if rest > 1 else \
        "the other permission of this profile is asked for along with it" if rest else "nothing else is asked for"
    return (f"At {provider.name} a new consent takes the place of the old one, so {with_it}. "
            f"{provider.consent_note}").strip()


def union(earlier: str, later: str, separator: str) -> str:
    """Two texts of scopes as one."""
    return separator.join(names_of(f"{earlier} {later}"))
