"""What an admin typed into Configure, trimmed and checked, with one sentence for each field that cannot be saved.

Pure: no database, no platform is asked. Only sure slips are refused; whether the platform takes the values, the first
connection tells.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import SplitResult, urlsplit

from . import paste
from .models import PlatformApp
from .platform_apps import alias_of, mode_problem
from .providers import PROVIDERS
from .providers.base import ApiVersion, Provider
from .providers.paste_facts import CLIENT_ID, CLIENT_SECRET
from .providers.shapes import clean

LONGEST_ID, LONGEST_SECRET, LONGEST_CALLBACK, LONGEST_SCOPES, LONGEST_OPTION = 300, 500, 500, 2000, 200
LONGEST_NAME, LONGEST_PROOF = 60, 4096
PROOF_FILE, PROOF_TEXT = "verification_file", "verification_text"
SOME = "some"  # only ticked workspaces, not all
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPTION = "option_"  # starts the field names of a platform's further values


@dataclass(frozen=True)
class Settings:
    """The values of one form, ready to be stored. An empty secret keeps the stored one."""

    mode: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    api_version: str = ""
    callback_override: str = ""
    scope_override: str = ""
    features: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    workspace_ids: tuple[str, ...] = ()  # none: all


def read(provider: Provider, values: Mapping[str, Any], computed: str, today: date) -> tuple[Settings, dict[str, str]]:
    """The typed values as they would be stored, and field -> sentence for those that cannot be.

    `computed` is the callback that a blank override means.
    """
    mode = known_mode(provider, _text(values, "mode"))
    typed = Settings(
        mode=mode,
        client_id=paste.tidy(_text(values, CLIENT_ID), CLIENT_ID).value,
        client_secret=paste.tidy(_text(values, CLIENT_SECRET), CLIENT_SECRET).value,
        api_version=_version(provider, clean(_text(values, "api_version"))),
        callback_override=_callback(_text(values, "callback_override").strip(), computed),
        scope_override=_scopes(_text(values, "scope_override")),
        features=known_features(provider, mode, values.get("features") or ()),
        options={name: clean(_text(values, OPTION + name)) for name in option_names(provider)},
        name=" ".join(_text(values, "name").split()),
        workspace_ids=chosen_workspaces(values),
    )
    errors = _shape_errors(provider, typed, computed)
    checks = {
        "api_version": version_problem(provider, typed.api_version, today),
        "callback_override": callback_problem(provider, typed.callback_override),
        "scope_override": scopes_problem(provider, typed),
        "name": "" if len(typed.name) <= LONGEST_NAME else f"A name has at most {LONGEST_NAME} characters.",
        "workspace_ids": _untouched_workspaces(values),
        **{OPTION + name: sentence for name, sentence in proof_problems(provider, typed.options).items()},
    }
    errors.update({name: sentence for name, sentence in checks.items() if sentence})
    errors.update({OPTION + name: "This is longer than such a value can be. Copy it again from the portal."
                   for name, value in typed.options.items()
                   if len(value) > (LONGEST_PROOF if name == PROOF_TEXT else LONGEST_OPTION)})
    return typed, errors


def stored_settings(app: PlatformApp) -> Settings:
    """The stored values in the shape of a form; never the secret."""
    return Settings(app.mode, app.client_id, "", app.api_version, app.callback_override, app.scope_override,
                    tuple(app.features), dict(app.options), app.name, tuple(app.workspace_ids))


def option_names(provider: Provider) -> tuple[str, ...]:
    """The further values of a platform's app."""
    proof = (PROOF_FILE, PROOF_TEXT) if provider.proof_file else ()
    return (*(option.name for option in provider.options), *proof)


def proof_problems(provider: Provider, options: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the file that proves to the platform that the address is ours."""
    if not provider.proof_file:
        return {}
    name, text = options[PROOF_FILE], options[PROOF_TEXT]
    if name and not re.fullmatch(provider.proof_name, name):
        return {PROOF_FILE: f"Copy the name of the file from {provider.name}, its ending included. Only letters, "
                            "digits, “_” and “-” may stand in it."}
    if name and not text:
        return {PROOF_TEXT: "Open the downloaded file and paste what stands in it here."}
    return {PROOF_FILE: "Type the name of the file that this text belongs to."} if text and not name else {}


def chosen_workspaces(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The ticked workspaces, none where all are meant."""
    if _text(values, "workspaces") != SOME:
        return ()
    return tuple(dict.fromkeys(str(one) for one in values.get("workspace_ids") or ()))


def _untouched_workspaces(values: Mapping[str, Any]) -> str:
    """Nothing ticked must not come to mean everybody."""
    if _text(values, "workspaces") == SOME and not chosen_workspaces(values):
        return "Tick at least one workspace, or let all of them connect. To let nobody connect, turn the app off."
    return ""


def first_settings(provider: Provider, used: Collection[str] = ()) -> Settings:
    """What the form shows before anything is saved. `used`: the modes that other apps serve already."""
    usable = [mode.slug for mode in provider.modes if not mode_problem(provider, mode.slug)]
    usable = [mode for mode in usable if mode not in used] or usable
    mode = usable[0] if usable else known_mode(provider, "")
    ticked = tuple(feature.slug for feature in provider.features_of(mode) if feature.default_on)
    return Settings(mode=mode, features=ticked)


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "")


def known_mode(provider: Provider, typed: str) -> str:
    """The typed mode, the first one where it is none of the platform's, empty where the platform has none."""
    known = [mode.slug for mode in provider.modes]
    return typed if typed in known else known[0] if known else ""


def _version(provider: Provider, typed: str) -> str:
    """The default is stored as blank, so that a later release of the console may raise it."""
    default = provider.api_version.default if provider.api_version else ""
    return "" if typed == default or provider.api_version is None else typed


def _callback(typed: str, computed: str) -> str:
    """The computed callback typed out is no override: it has to follow the public address."""
    return "" if typed == computed else typed


def _scopes(typed: str) -> str:
    return typed if typed.strip() else ""


def known_features(provider: Provider, mode: str, chosen: Sequence[str]) -> tuple[str, ...]:
    """The chosen features that exist in this mode, in the platform's order."""
    return tuple(feature.slug for feature in provider.features_of(mode) if feature.slug in chosen)


def _shape_errors(provider: Provider, typed: Settings, computed: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    if len(typed.client_id) > LONGEST_ID:
        errors["client_id"] = f"This is longer than any {provider.client_id_label}. Copy it again from the portal."
    if len(typed.client_secret) > LONGEST_SECRET:
        errors["client_secret"] = \
            f"This is longer than any {provider.client_secret_label}. Copy it again from the portal."
    if not errors:
        errors.update(paste.errors(provider, typed.client_id, typed.client_secret, computed))
    return errors


def version_problem(provider: Provider, typed: str, today: date) -> str:
    """Why an API version cannot be saved; empty if it can."""
    versions = provider.api_version
    if versions is None or not typed:
        return ""
    if not re.fullmatch(versions.pattern, typed):
        return f"An {versions.label} looks like {versions.default}. Leave it blank to use that one."
    ends = versions.living.get(typed)
    if ends is not None and ends <= today:
        return f"{provider.name} ended {typed} on {ends.day} {ends:%b %Y}. Leave it blank to use {versions.default}."
    if typed not in versions.living and _order(typed) < _oldest(versions, today):
        return f"{provider.name} no longer serves {typed}. Leave it blank to use {versions.default}."
    return ""


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _oldest(versions: ApiVersion, today: date) -> tuple[int, ...]:
    living = [known for known, ends in versions.living.items() if ends is None or ends > today]
    return min((_order(known) for known in living), default=_order(versions.default))


def callback_problem(provider: Provider, typed: str) -> str:
    """Why a callback override cannot be saved; empty if it can. The rules are those that hold at every platform."""
    if not typed:
        return ""
    if len(typed) > LONGEST_CALLBACK:
        return f"A callback has at most {LONGEST_CALLBACK} characters."
    parts = _split(typed)
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        return "Type the whole address, beginning with https:// and with a host."
    if not typed.isascii() or re.search(r"[\s\\\x00-\x1f\x7f]", typed):
        return "An address may not contain blanks, backslashes or letters outside of ASCII. Copy it again."
    if "#" in typed or "?" in typed:
        return "A callback may not carry a “?” or “#” part; platforms refuse it."
    if parts.username or parts.password:
        return "A callback may not carry a user name or password."
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return "Use https: platforms accept http only for this very machine, if at all."
    alias = alias_of(typed)
    if alias != provider.slug and alias in PROVIDERS:
        return f"This is the callback of {PROVIDERS[alias].name}. Each platform needs one of its own."
    return ""


def _split(typed: str) -> SplitResult | None:
    try:
        parts = urlsplit(typed)
        _ = parts.port  # a bad port is found only when it is read
    except ValueError:
        return None
    return parts


def names(scopes: str) -> list[str]:
    """The scopes of a typed list, each once, whatever separates them."""
    return list(dict.fromkeys(scopes.replace(",", " ").split()))


def scopes_problem(provider: Provider, settings: Settings) -> str:
    """Why a scope override cannot be saved; empty if it can."""
    typed = settings.scope_override
    if len(typed) > LONGEST_SCOPES:
        return f"A list of scopes has at most {LONGEST_SCOPES} characters."
    if re.search(r"[\x00-\x1f\x7f]", typed):
        return "The scopes are sent exactly as typed: write them on one line, without tabs."
    return provider.scope_problem(settings.mode, names(typed)) if typed else ""


def mode_error(provider: Provider, mode: str, is_on: bool) -> str:
    """Why this mode cannot be saved now; empty if it can. One that cannot connect yet may be prepared while off."""
    problem = mode_problem(provider, mode)
    return f"{problem} Turn {provider.name} off first if you want to prepare it." if problem and is_on else ""
