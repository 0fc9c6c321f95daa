"""What the Configure dialog shows: the stored or typed values, the scopes and their difference, the portal guide.

Decides nothing and stores nothing. The secret is not among the values: only whether there is one, its last four
characters, and who changed it when.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from flask import current_app
from sqlalchemy import select

from . import configure, configure_checks, paste, platform_apps, redirect_compare
from .config import Config
from .configure_checks import OPTION, Settings, names
from .configure_losses import WhatIf, what_if
from .extensions import db
from .models import PlatformApp, Workspace
from .paste import Diagnosis
from .platform_apps import Row
from .providers import PROVIDERS
from .providers.base import Guide, Provider, Scope, Step
from .providers.paste_facts import CLIENT_ID, CLIENT_SECRET, Clash
from .redirect_compare import Comparison

PASTED = "portal_holds"  # the field for what the portal holds as callbacks
SAME, ADDED, REMOVED = "same", "add", "del"
# What an address is for: its label, and what the platform does with it.
ADDRESS_WORDS = {
    "deauthorize": ("Deauthorize callback", "Told when a person removes the app in their settings."),
    "deletion": ("Data deletion callback", "Told when a person asks to have their data here deleted."),
    "webhook": ("Webhook", "Told what became of posts, and of permissions that end."),
    "media": ("Media address", "Files of posts are fetched from below it. It must be reachable from outside."),
}


@dataclass(frozen=True)
class Address:
    """One address for the portal, beside the callback."""

    label: str
    help: str
    value: str


@dataclass(frozen=True)
class ScopeChange:
    """One scope beside the default list: kept, added or removed, and what that means."""

    name: str
    kind: str  # same, add, del
    note: str = ""


@dataclass
class Form:
    """The dialog of one platform: its values as typed or stored, and everything that explains them."""

    provider: Provider
    row: Row
    values: Settings
    errors: dict[str, str] = field(default_factory=dict)
    replacing: bool = False  # the secret's field is open for a new one
    secret_was_typed: bool = False  # it was not kept: it has to be typed again
    confirm: str = ""  # the sentence to be confirmed before saving
    confirm_sandbox: str = ""  # the same, before the sandbox takes over
    problem: str = ""  # why the last press of a button could not be done
    is_unsure: bool = False  # it was not turned on, since the platform could not say whether the pair is right
    stale: dict[str, str] = field(default_factory=dict)  # what somebody else stored meanwhile
    only_some: bool = False  # only ticked workspaces may connect, not all
    diagnosis: Diagnosis = field(default_factory=Diagnosis)  # what the paste doctor says of the fields
    has_unsaved: bool = False  # id or secret was typed and not saved, so a check does not mean them
    offers_swap: bool = False  # both values stand in the browser's fields still, the wrong way round
    accepted: str = ""  # the scopes whose loss was ticked
    pasted: str = ""  # what the portal holds, as it was pasted
    comparison: Comparison | None = None  # the same beside the callback

    @property
    def app(self) -> PlatformApp | None:
        """The app as stored, None before the first save."""
        return self.row.app

    @property
    def version(self) -> int:
        """The version of the stored app that these values were read from."""
        return self.app.version if self.app else 0

    @property
    def callback(self) -> str:
        """The callback in use."""
        return platform_apps.callback_url(self.app or self.row.segment)

    @property
    def computed_callback(self) -> str:
        """The callback that a blank override means."""
        return platform_apps.callback_url(self.row.segment)

    @property
    def addresses(self) -> list[Address]:
        """What else the platform wants to know of us, in the order of its portal."""
        found = platform_apps.called_addresses(self.provider, self.row.segment)
        return [Address(ADDRESS_WORDS[purpose][0], ADDRESS_WORDS[purpose][1], value)
                for purpose, value in found.items()]

    @property
    def has_name(self) -> bool:
        """Whether the app needs a name: one alone is called as its platform."""
        return self.row.is_further or len(platform_apps.apps_of(self.provider.slug)) > 1 or bool(self.values.name)

    @property
    def workspaces(self) -> list[Workspace]:
        """The workspaces to choose from; none where there is nothing to choose."""
        found = list(db.session.scalars(select(Workspace).order_by(Workspace.name, Workspace.id)))
        return found if len(found) > 1 or self.values.workspace_ids or self.only_some else []

    @property
    def callback_leads_elsewhere(self) -> bool:
        """Whether the override's path is none of the console's, so that a proxy has to lead it here."""
        return bool(self.values.callback_override) and not platform_apps.alias_of(self.values.callback_override)

    @property
    def has_secret(self) -> bool:
        """Whether a secret is stored."""
        return bool(self.app and self.app.secret_sealed)

    @property
    def asks_secret(self) -> bool:
        """Whether the field for a secret is shown, instead of the last four characters of the stored one."""
        return not self.has_secret or self.replacing or self.secret_was_typed or "client_secret" in self.errors

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The default scopes of the chosen mode and features, with their purpose."""
        return platform_apps.default_scopes(self.provider, self.values.mode, self.values.features)

    @property
    def scope_string(self) -> str:
        """What is sent: the override exactly as typed, else the default."""
        return self.values.scope_override if self.values.scope_override.strip() else self.default_scope_string

    @property
    def default_scope_string(self) -> str:
        """What a blank override means."""
        return platform_apps.default_scope_string(self.provider, self.values.mode, self.values.features)

    @property
    def opens_advanced(self) -> bool:
        """Whether something under *Advanced* deserves to be seen at once."""
        used = self.values.api_version or self.values.callback_override or self.values.scope_override
        return bool(used) or not {"api_version", "callback_override", "scope_override"}.isdisjoint(
            [*self.errors, *self.stale])

    @property
    def diff(self) -> list[ScopeChange]:
        """The override beside the default list; empty without an override."""
        return scope_diff(self.provider, self.values.mode, self.values.features, self.values.scope_override)

    @cached_property
    def what_if(self) -> WhatIf:
        """What saving these values would change for those who are connected."""
        return what_if(self.provider, self.app, replace(self.values, client_id=_taken_id(self.values.client_id)))

    @property
    def affected(self) -> str:
        """How many accounts in how many workspaces lose something."""
        return configure.count_of(self.what_if.accounts, self.what_if.workspaces)

    @property
    def conflicts(self) -> list[Clash]:
        """Settings that do not go together, the gravest first."""
        values, app = self.values, self.app
        is_ours = bool(app and app.is_sandbox and values.client_id == app.client_id)  # the sandbox's ids say nothing
        options = {name: value.strip().lower() for name, value in values.options.items()}
        found = [clash for clash in self.provider.paste.clashes if clash.holds(
            values.mode, values.features, names(self.scope_string), options,
            "" if is_ours else _taken_id(values.client_id)) and not self._is_told(clash)]
        found = list({clash.what: clash for clash in reversed(found)}.values())[::-1]
        return sorted(found, key=lambda clash: clash.is_hint)

    def _is_told(self, clash: Clash) -> bool:
        """Whether the sentence below the scopes says the same already: that this one is missing."""
        told = re.findall(r"`([^`]+)`", self.consequence)[:1]
        return bool(clash.without and told and re.fullmatch(clash.without, told[0]))

    @property
    def broken_rules(self) -> tuple[str, ...]:
        """Why the platform would refuse the callback, whatever its portal holds. The sandbox takes any."""
        if self.app and self.app.is_sandbox:
            return ()
        return redirect_compare.broken_rules(self.provider.paste.callback_of(self.values.mode), self.typed_callback)

    @property
    def typed_callback(self) -> str:
        """The callback that these values would make."""
        return self.values.callback_override.strip() or self.computed_callback

    @property
    def consequence(self) -> str:
        """What matters most about the override; empty where nothing does."""
        return consequence(self.provider, self.values.mode, self.values.features, self.values.scope_override)

    @property
    def version_help(self) -> str:
        """What a blank API version means and when the chosen one ends."""
        versions = self.provider.api_version
        if versions is None:
            return ""
        chosen = self.values.api_version or versions.default
        ends = versions.living.get(chosen)
        end = f" {self.provider.name} ends {chosen} on {ends.day} {ends:%b %Y}." if ends else ""
        return f"Blank means {versions.default}.{end}"

    @property
    def guide(self) -> Guide | None:
        """The portal guide of the chosen mode, its values filled in; None where this version cannot connect."""
        found = self.provider.guides.get(self.values.mode) or self.provider.guides.get("")
        return self._filled(found) if found and self.provider.connectable else None

    def _filled(self, guide: Guide) -> Guide:
        """The guide with its values written out; one that this installation cannot know is left out."""
        called = platform_apps.called_addresses(self.provider, self.row.segment)
        known = {"{CALLBACK}": self.callback, "{SCOPES}": self.scope_string,
                 **{f"{{{purpose.upper()}}}": value for purpose, value in called.items()}}
        steps = []
        for step in guide.steps:
            values = tuple(known.get(value, value) for value in step.values)
            steps.append(Step(step.title, step.text, tuple(value for value in values if not value.startswith("{"))))
        return Guide(guide.portal_url, guide.summary, tuple(steps), guide.notes, guide.seen)

    @property
    def mode_problem(self) -> str:
        """Why the chosen mode cannot be used yet."""
        return platform_apps.mode_problem(self.provider, self.values.mode) if self.provider.connectable else ""

    @property
    def offers_sandbox(self) -> bool:
        """Whether *Use the sandbox* can work."""
        config: Config = current_app.extensions["config"]
        return config.sandbox and self.provider.connectable


def form(segment: str, now: datetime) -> Form:
    """The dialog with what is stored, or with the defaults before the first save."""
    row = platform_apps.row(segment, now)
    stored = configure.stored_settings(row.app) if row.app else configure_checks.first_settings(row.provider)
    as_typed = {CLIENT_ID: stored.client_id, "callback_override": stored.callback_override,
                "scope_override": stored.scope_override,
                **{OPTION + name: value for name, value in stored.options.items()}}
    return Form(row.provider, row, stored, only_some=bool(stored.workspace_ids),
                diagnosis=_diagnosis(row, stored.mode, as_typed))


def typed_form(segment: str, values: Mapping[str, Any], now: datetime) -> Form:
    """The dialog with what was typed, nothing of it trimmed; all but the secret, wherever it stands."""
    row = platform_apps.row(segment, now)
    provider = row.provider
    mode = configure_checks.known_mode(provider, str(values.get("mode") or ""))
    return Form(provider, row, Settings(
        mode=mode,
        client_id=_shown_id(provider, values),
        api_version=str(values.get("api_version") or ""),
        callback_override=str(values.get("callback_override") or ""),
        scope_override=str(values.get("scope_override") or ""),
        features=configure_checks.known_features(provider, mode, values.get("features") or ()),
        options={name: str(values.get(OPTION + name) or "") for name in configure_checks.option_names(provider)},
        name=str(values.get("name") or ""),
        workspace_ids=configure_checks.chosen_workspaces(values),
    ), secret_was_typed=bool(values.get("client_secret")), only_some=values.get("workspaces") == configure_checks.SOME,
        diagnosis=_diagnosis(row, mode, values), accepted=str(values.get(configure.ACCEPT) or ""),
        pasted=str(values.get(PASTED) or "")[:20_000])


def compared_form(segment: str, values: Mapping[str, Any], now: datetime) -> Form:
    """The dialog as typed, and what was pasted from the portal beside the callback."""
    found = typed_form(segment, values, now)
    rule = found.provider.paste.callback_of(found.values.mode)
    segments = {slug: one.name for slug, one in PROVIDERS.items() if slug != found.provider.slug}
    found.comparison = redirect_compare.compare(found.typed_callback, found.pasted, rule, segments)
    return found


def _diagnosis(row: Row, mode: str, values: Mapping[str, Any]) -> Diagnosis:
    app, typed_id = row.app, _taken_id(str(values.get(CLIENT_ID) or ""))
    others = db.session.scalars(select(PlatformApp).where(
        PlatformApp.client_id == typed_id, PlatformApp.id != (app.id if app else ""))) if typed_id else ()
    return paste.examine(row.provider, mode, values, paste.Known(
        callback=platform_apps.callback_url(app or row.segment), client_id=app.client_id if app else "",
        last4=app.secret_last4 if app else "",
        others=tuple(paste.Other(other.platform, platform_apps.title(other), other.client_id) for other in others)))


def _taken_id(typed: str) -> str:
    """The client ID as it would be stored."""
    return paste.tidy(typed, CLIENT_ID).value


def _shown_id(provider: Provider, values: Mapping[str, Any]) -> str:
    """What the field of the id shows again: what was typed, but no secret that was pasted there by mistake.

    Where the two were swapped, the id comes out of the other field, and only the secret has to be pasted again.
    """
    typed = str(values.get(CLIENT_ID) or "")
    taken = paste.tidy(typed, CLIENT_ID, provider)
    other = paste.tidy(str(values.get(CLIENT_SECRET) or ""), CLIENT_SECRET, provider)
    if paste.is_swapped(provider, taken.value, other.value):
        return other.value
    if paste.holds_secret(provider, taken.value):
        return ""
    return taken.value if taken.is_unwrapped else typed


def scope_diff(provider: Provider, mode: str, features: tuple[str, ...], override: str) -> list[ScopeChange]:
    """The override beside the default list, in the default's order, then what was added; empty without an override."""
    if not override.strip():
        return []
    typed = names(override)
    default = platform_apps.default_scopes(provider, mode, features)
    kept = [ScopeChange(scope.name, SAME) if scope.name in typed
            else ScopeChange(scope.name, REMOVED, _without(scope)) for scope in default]
    usual = {scope.name for scope in default}
    return kept + [ScopeChange(name, ADDED, _extra(provider, mode, name)) for name in typed if name not in usual]


def _without(scope: Scope) -> str:
    return f"removed: {scope.purpose[:1].lower()}{scope.purpose[1:]}"


def _extra(provider: Provider, mode: str, name: str) -> str:
    for feature in provider.features_of(mode):
        if name in {scope.name for scope in feature.scopes}:
            return f"added: belongs to “{feature.label}”, which is not ticked"
    return f"added: {provider.name} must have granted it to your app"


def consequence(provider: Provider, mode: str, features: tuple[str, ...], override: str) -> str:
    """The one sentence that matters most about an override; empty where nothing does."""
    removed = [change.name for change in scope_diff(provider, mode, features, override) if change.kind == REMOVED]
    known = [name for name in provider.scope_consequences if name in removed]
    if known:
        return provider.scope_consequences[known[0]]
    needed = provider.publish_needs.get(mode, provider.publish_needs.get("", ()))
    stops = [name for name in needed if name in removed]
    return f"without `{'`, `'.join(stops)}` nothing can be published" if stops else ""
