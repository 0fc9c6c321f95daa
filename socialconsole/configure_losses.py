"""What if: who loses what when an app asks for fewer scopes, and what the platform wants for those asked for newly.

Two queries at most, however many accounts there are. An account loses what it can do now by what its person granted,
and could not do any more with the scopes that would be asked for.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Text, cast, func, select

from . import configure_checks, platform_apps
from .configure_checks import Settings, names
from .extensions import db
from .models import DISCONNECTED, Account, Grant, PlatformApp
from .providers.base import Provider


@dataclass(frozen=True)
class Loss:
    """One thing that goes: what, for want of which scopes, and for how many accounts in how many workspaces.

    `unsure`: accounts that may have it, since the platform did not tell what their people granted.
    """

    what: str
    scopes: tuple[str, ...]
    accounts: int
    workspaces: int
    unsure: int = 0


@dataclass(frozen=True)
class Wanted:
    """A scope that is asked for newly, and what the platform wants for it; empty where it wants nothing."""

    scope: str
    approval: str


@dataclass(frozen=True)
class WhatIf:
    """What saving would change for those who are connected through the app."""

    losses: tuple[Loss, ...] = ()
    accounts: int = 0  # that lose anything
    workspaces: int = 0  # that have such accounts
    newly: tuple[Wanted, ...] = ()
    ended: int = 0  # accounts whose connections may end, since the platform wants one set of scopes only

    @property
    def is_loss(self) -> bool:
        """Whether somebody who is connected loses something, so that saving has to be confirmed."""
        return bool(self.accounts)

    @property
    def fingerprint(self) -> str:
        """The scopes that somebody loses: what a tick accepts."""
        return " ".join(sorted({scope for loss in self.losses if loss.accounts or loss.unsure
                                for scope in loss.scopes}))

    def is_accepted(self, ticked: str) -> bool:
        """Whether everything that goes was accepted."""
        return set(self.fingerprint.split()) <= set(ticked.split())


@dataclass(frozen=True)
class _Crowd:
    """Accounts of one workspace that are alike: kind, what was granted (None: not told), what was asked for."""

    kind: str
    granted: frozenset[str] | None
    asked: frozenset[str]
    workspace: str
    count: int

    def has(self, needs: Collection[str]) -> bool:
        """Whether their people granted all of this for certain."""
        return self.granted is not None and self.granted >= set(needs)

    def may_have(self, needs: Collection[str]) -> bool:
        """Whether they were asked for all of this, and the platform did not tell the answer."""
        return self.granted is None and self.asked >= set(needs)


@dataclass(frozen=True)
class _Gone:
    """Something that could not be done any more, the scopes that are missing for it, and whom it concerns."""

    what: str
    needs: tuple[str, ...]
    missing: tuple[str, ...]
    kinds: frozenset[str]

    def hits(self, crowd: _Crowd) -> bool:
        """Whether these accounts can do it now."""
        return crowd.kind in self.kinds and crowd.has(self.needs)

    def may_hit(self, crowd: _Crowd) -> bool:
        """Whether these accounts can perhaps do it now."""
        return crowd.kind in self.kinds and crowd.may_have(self.needs)


def what_if(provider: Provider, app: PlatformApp | None, typed: Settings) -> WhatIf:
    """What saving these settings would change. Nothing where the app is new, or replaced: then all connections end."""
    if app is None or not app.is_saved or typed.client_id != app.client_id:
        return WhatIf()
    before, after = _asked(provider, configure_checks.stored_settings(app)), _asked(provider, typed)
    if set(before) == set(after) or _is_replaced(provider, typed):
        return WhatIf()
    newly = tuple(Wanted(name, provider.paste.approval(typed.mode, name)) for name in after if name not in before)
    crowds = _crowds(app)
    gone = _gone(provider, app.mode, before, after, {crowd.kind for crowd in crowds})
    hit = [crowd for crowd in crowds if any(one.hits(crowd) for one in gone)]
    ended = sum(crowd.count for crowd in crowds) if provider.one_scope_set else 0
    return WhatIf(tuple(_loss(one, crowds) for one in gone), sum(crowd.count for crowd in hit),
                  len({crowd.workspace for crowd in hit}), newly, ended)


def _is_replaced(provider: Provider, settings: Settings) -> bool:
    """Whether something else than the list of scopes decides what is asked for."""
    return bool(settings.options.get(provider.paste.scopes_replaced_by.get(settings.mode, "")))


def _asked(provider: Provider, settings: Settings) -> list[str]:
    """The names that would be asked for; none where something else decides about them."""
    if _is_replaced(provider, settings):
        return []
    return names(settings.scope_override if settings.scope_override.strip()
                 else platform_apps.default_scope_string(provider, settings.mode, settings.features))


def _crowds(app: PlatformApp) -> list[_Crowd]:
    """All accounts that hang on the app, those alike together. One query."""
    granted = func.coalesce(cast(Grant.scopes_granted, Text), "null")
    alike = (Account.kind, granted, Grant.scopes_asked, Account.workspace_id)
    rows = db.session.execute(
        select(*alike, func.count(Account.id)).join(Grant, Account.grant_id == Grant.id)
        .where(Grant.app_id == app.id, Account.state != DISCONNECTED).group_by(*alike))
    return [_Crowd(kind, None if (told := json.loads(text)) is None else frozenset(told), frozenset(names(asked)),
                   workspace, count) for kind, text, asked, workspace, count in rows]


def _gone(provider: Provider, mode: str, before: Sequence[str], after: Sequence[str],
          kinds: Collection[str]) -> list[_Gone]:
    """What the app asks for now and would not any more: each set of scopes once, by what people know it as."""
    found: dict[tuple[str, ...], _Gone] = {}
    for what, needs, concerned in _abilities(provider, mode, kinds):
        missing = tuple(name for name in needs if name not in after)
        if not missing or not set(needs) <= set(before) or (needs in found and found[needs].kinds >= concerned):
            continue
        found[needs] = _Gone(found[needs].what if needs in found else what, needs, missing,
                             concerned | (found[needs].kinds if needs in found else frozenset()))
    said = {name for one in found.values() for name in one.missing}
    return [*found.values(), *(
        _Gone(_sentence(provider, name), (name,), (name,), frozenset(kinds)) for name in before
        if name not in after and name not in said and name in provider.scope_consequences)]


def _sentence(provider: Provider, scope: str) -> str:
    words = provider.scope_consequences[scope].replace("`", "")
    return words[:1].upper() + words[1:]


def _abilities(provider: Provider, mode: str,
               kinds: Collection[str]) -> Iterator[tuple[str, tuple[str, ...], frozenset[str]]]:
    """What accounts may be able to do: in words, the scopes it takes, the kinds of profiles; the best words first."""
    everybody = frozenset(kinds)
    for kind in sorted(kinds):
        yield "Publishing", tuple(provider.needs_to_publish(mode, kind)), frozenset((kind,))
    for feature in provider.features_of(mode):
        yield feature.label, tuple(scope.name for scope in feature.scopes), everybody
    for kind in sorted(kinds):
        for one in provider.formats_of(mode, kind):
            yield f"Publishing as “{one.label}”", tuple(one.needs), frozenset((kind,))
    yield "First comments", provider.comment_needs.get(mode, ()), everybody
    yield "Reply chains", provider.chain_needs if provider.most_parts > 1 else (), everybody
    yield "Deleting posts from here", provider.delete_needs.get(mode, ()), everybody
    for choice in provider.fields:
        yield f"“{choice.label}” of a post", tuple(choice.needs), everybody


def _loss(gone: _Gone, crowds: Sequence[_Crowd]) -> Loss:
    hit = [crowd for crowd in crowds if gone.hits(crowd)]
    return Loss(gone.what, gone.missing, sum(crowd.count for crowd in hit), len({crowd.workspace for crowd in hit}),
                sum(crowd.count for crowd in crowds if gone.may_hit(crowd)))
