"""The paste doctor: what was pasted into Configure, what it really is, and what to do about it.

Pure: no database, no platform is asked. Certain slips are errors, for saving too; a shape that only looks odd is a
warning, since portals change their formats. No sentence repeats a pasted value.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from . import redirect_compare
from .providers import PROVIDERS
from .providers.base import Provider
from .providers.paste_facts import CLIENT_ID, CLIENT_SECRET, Kind
from .providers.shapes import clean

BAD, WARN, INFO, FINE = "bad", "warn", "info", "ok"
CALLBACK, SCOPES, OPTION = "callback_override", "scope_override", "option_"

# How a value is called in files, addresses and programs, letters only.
_NAMES = {CLIENT_ID: ("clientid", "appid", "clientkey", "consumerkey", "applicationid"),
          CLIENT_SECRET: ("clientsecret", "appsecret", "consumersecret", "secretkey", "secret")}
_PAIR = re.compile(r"""(?:^|[\s,;&?{])(?:export\s+|set\s+)?["']?([A-Za-z][\w. -]{1,60}?)["']?\s*(?:=|:(?!/))\s*"""
                   r"""("[^"]*"|'[^']*'|["']?[^\s,;&"'}]+)""")
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad\u202a-\u202e\u2066-\u2069]")
_MASKED = re.compile(r".*([•●∙⋅·▪*]{3}|…|\.{3}).*|[xX]{8,}|[*•]+", re.DOTALL)
_PLACEHOLDER = re.compile(r"(?i)[<\[{$ ]*(your|my|the|paste|insert|enter|add)[\s_-].{0,40}(id|key|secret|here)[>\]} ]*|"
                          r"change[_-]?me|to-?do|[<\[{]\s*(client|app)[\s_-]?(id|key|secret)\s*[>\]}]")
_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]{1,20}:/.*|www\..+")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_LONG_TOKEN = re.compile(r"(?i)bearer .+|eyJ[\w-]+\.[\w-]+\.[\w-]*")


@dataclass(frozen=True)
class Finding:
    """One remark about a field: bad (refused), warn, info or ok, and a whole sentence."""

    tone: str
    sentence: str


@dataclass(frozen=True)
class Tidied:
    """A value as it is taken, what was left out around it, and what is wrong with what it was wrapped in."""

    value: str
    notes: tuple[str, ...] = ()
    problem: str = ""
    is_unwrapped: bool = False  # it stood inside something longer


@dataclass(frozen=True)
class Other:
    """An app that is saved here beside the one that is looked at."""

    platform: str
    title: str
    client_id: str


@dataclass(frozen=True)
class Known:
    """What is stored here: of this app, and of the others."""

    callback: str = ""
    client_id: str = ""
    last4: str = ""  # of the stored secret
    others: tuple[Other, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The remarks by field, and whether id and secret stand in each other's place."""

    by_field: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    is_swapped: bool = False

    def of(self, name: str) -> tuple[Finding, ...]:
        """The remarks about one field."""
        return self.by_field.get(name, ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should look at, though it can be saved."""
        return tuple(one.sentence for found in self.by_field.values() for one in found if one.tone == WARN)


# ---------------------------------------------------------------- taking a value


def tidy(value: str, name: str, provider: Provider | None = None) -> Tidied:
    """The value of `client_id` or `client_secret` alone, out of whatever it was copied with."""
    notes = []
    plain = clean(value)
    if plain != value and plain:
        notes.append("Blanks, quotes or line ends around it are left out.")
    if _UNSEEN.search(plain):
        plain = _UNSEEN.sub("", plain)
        notes.append("Invisible characters inside are left out.")
    problem = _wrong_file(plain, provider) if provider else ""
    named = _named(plain)
    wanted = next((named[key] for key in _NAMES[name] if key in named), "") or _ending(named, name)
    if wanted and wanted != plain:
        notes.append("It stood inside something longer: only the value itself is taken.")
        return Tidied(_UNSEEN.sub("", clean(wanted)), tuple(notes), problem, True)
    return Tidied(plain, tuple(notes), problem)


def _named(text: str) -> dict[str, str]:
    """Name (letters only) -> value, out of JSON, lines of `name=value`, or the query of an address."""
    if text.startswith(("{", "[")):
        found = _from_json(text)
        if found:
            return found
    if _ADDRESS.fullmatch(text):
        try:
            query = parse_qs(urlsplit(text).query)
        except ValueError:
            return {}
        return {_letters(key): values[0] for key, values in query.items()}
    return {_letters(key): clean(value) for key, value in _PAIR.findall(text)}


def _from_json(text: str) -> dict[str, str]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    waiting = [read]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found |= {_letters(str(key)): str(value) for key, value in part.items() if isinstance(value, str | int)}
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found


def _ending(named: Mapping[str, str], name: str) -> str:
    """The value whose name ends as this field is called, as FACEBOOK_APP_ID does."""
    return next((value for key, value in named.items() if key.endswith(_NAMES[name])), "")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def _wrong_file(text: str, provider: Provider) -> str:
    """What a downloaded file shows about the kind of app."""
    if not text.startswith("{"):
        return ""
    return next((sentence for key, sentence in provider.paste.files.items() if f'"{key}"' in text), "")


# ---------------------------------------------------------------- certain slips


def errors(provider: Provider, client_id: str, client_secret: str, callback: str = "") -> dict[str, str]:
    """Field -> sentence for certain slips in a tidied id and secret; an empty secret keeps the stored one."""
    if is_swapped(provider, client_id, client_secret):
        return {CLIENT_ID: f"The two are swapped: this is the {provider.client_secret_label}.",
                CLIENT_SECRET: f"The two are swapped: this is the {provider.client_id_label}."}
    found = provider.check_shape(client_id, client_secret or None) if client_id else {}
    if client_id and client_id == client_secret and CLIENT_ID not in found:
        found[CLIENT_SECRET] = (f"This is the same value as the {provider.client_id_label}. Paste the "
                                f"{provider.client_secret_label} here.")
    for name, value in ((CLIENT_ID, client_id), (CLIENT_SECRET, client_secret)):
        sentence = _certain(provider, name, value, callback) if value else ""
        if sentence:
            found[name] = sentence
    return found


def is_swapped(provider: Provider, client_id: str, client_secret: str) -> bool:
    """Whether id and secret surely stand in each other's place."""
    ids, secrets = provider.client_id_shape, provider.client_secret_shape
    if not client_id or not client_secret or client_id == client_secret:
        return False
    secret_first = secrets.belongs(client_id) and not ids.belongs(client_id)
    id_last = ids.belongs(client_secret) and not secrets.belongs(client_secret)
    if not (secret_first or id_last) or ids.belongs(client_id) or secrets.belongs(client_secret):
        return False
    return not provider.check_shape(client_secret, client_id)


def holds_secret(provider: Provider, client_id: str) -> bool:
    """Whether what was typed as the id is surely a secret or a token, so that no page shows it again."""
    ids, secrets = provider.client_id_shape, provider.client_secret_shape
    if secrets.belongs(client_id) and not ids.belongs(client_id):
        return True
    kind = _kind(provider, CLIENT_ID, client_id) or _foreign(provider, client_id)
    return kind is not None and re.search(r"token|secret|key", kind.name, re.IGNORECASE) is not None and kind.certain


def _certain(provider: Provider, name: str, value: str, callback: str) -> str:
    label = _label(provider, name)
    if _MASKED.fullmatch(value):
        return (f"This is only what the portal shows in place of the {label}. Press Show or Copy there, then paste "
                "again.")
    if _PLACEHOLDER.fullmatch(value):
        return f"This is a placeholder. Paste the {label} from the portal."
    if callback and value.rstrip("/") == callback.rstrip("/"):
        return f"This is the callback, which goes into the portal. Paste the {label} here."
    if _ADDRESS.fullmatch(value):
        return f"This is an address. Paste the {label} alone."
    kind = _kind(provider, name, value)
    if kind is not None and kind.certain:
        return _said(provider, name, kind)
    if _MAIL.fullmatch(value):
        return f"This is a mail address. Paste the {label} from the portal."
    if _LONG_TOKEN.fullmatch(value):
        return f"This is an access token. Paste the {label} from the portal."
    foreign = _foreign(provider, value)
    return _said(provider, name, foreign, foreign=True) if foreign is not None and foreign.certain else ""


def _kind(provider: Provider, name: str, value: str) -> Kind | None:
    return next((one for one in provider.paste.kinds if name in one.fields and one.matches(value)), None)


def _foreign(provider: Provider, value: str) -> Kind | None:
    """What another platform hands out; None where it could be this one's as well."""
    if provider.client_id_shape.belongs(value) or provider.client_secret_shape.belongs(value):
        return None
    return next((kind for other in PROVIDERS.values() if other.slug != provider.slug for kind in other.paste.kinds
                 if kind.distinct and kind.matches(value)), None)


def _said(provider: Provider, name: str, kind: Kind, foreign: bool = False) -> str:
    label = _label(provider, name)
    advice = f"Paste the {label} of {provider.name} here." if foreign else kind.advice
    verb = "This is" if kind.certain else "This looks like"
    return (f"{verb} {kind.name}. {advice}".replace("{field}", label).replace("{id}", provider.client_id_label)
            .replace("{secret}", provider.client_secret_label))


def _label(provider: Provider, name: str) -> str:
    return provider.client_id_label if name == CLIENT_ID else provider.client_secret_label


# ---------------------------------------------------------------- everything there is to say


def examine(provider: Provider, mode: str, values: Mapping[str, Any], known: Known) -> Diagnosis:
    """The remarks about what was typed, field by field, in the order of the form. Nothing of it is kept."""
    typed_id = tidy(_text(values, CLIENT_ID), CLIENT_ID, provider)
    typed_secret = tidy(_text(values, CLIENT_SECRET), CLIENT_SECRET, provider)
    slips = errors(provider, typed_id.value, typed_secret.value, known.callback)
    found = {
        CLIENT_ID: _about(provider, CLIENT_ID, typed_id, slips, _id_beside(provider, mode, typed_id.value, known)),
        CLIENT_SECRET: _about(provider, CLIENT_SECRET, typed_secret, slips, _secret_beside(typed_secret.value, known)),
        CALLBACK: _callback_remarks(provider, mode, _text(values, CALLBACK)),
        SCOPES: _scope_remarks(provider, mode, _text(values, SCOPES)),
        **{OPTION + name: _option_remarks(provider, name, clean(_text(values, OPTION + name)), typed_id.value)
           for name in provider.paste.options},
    }
    return Diagnosis({name: tuple(some) for name, some in found.items() if some},
                     is_swapped(provider, typed_id.value, typed_secret.value))


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "")


def _about(provider: Provider, name: str, typed: Tidied, slips: Mapping[str, str],
           beside: Sequence[Finding]) -> list[Finding]:
    if not typed.value:
        return []
    wrapped = [Finding(INFO, note) for note in typed.notes] + ([Finding(WARN, typed.problem)] if typed.problem else [])
    if name in slips:
        return [Finding(BAD, slips[name]), *wrapped]
    if any(one.tone == WARN for one in beside):
        return [*wrapped, *beside]
    kind = _kind(provider, name, typed.value) or _foreign(provider, typed.value)
    if kind is not None:
        return [*wrapped, Finding(WARN, _said(provider, name, kind, foreign=kind not in provider.paste.kinds)), *beside]
    return [*wrapped, _shape(provider, name, typed.value), *beside]


def _shape(provider: Provider, name: str, value: str) -> Finding:
    usual = provider.paste.usual_id if name == CLIENT_ID else provider.paste.usual_secret
    label = _label(provider, name)
    if usual.fits(value):
        shape = f": {usual.words}" if usual.words else ""
        return Finding(FINE, f"It has the usual shape{shape}. Whether it is right, “Check credentials” tells.")
    return Finding(WARN, f"It looks unusual: {_an(label)} mostly has {usual.words}. It can be saved all the same; "
                         "compare it with the portal.")


def _an(label: str) -> str:
    return f"an {label}" if label[:1].upper() in "AEIO" else f"a {label}"


def _id_beside(provider: Provider, mode: str, client_id: str, known: Known) -> list[Finding]:
    """What shows only beside what is stored here."""
    if not client_id:
        return []
    if known.last4 and client_id != known.client_id and client_id.endswith(known.last4):
        return [Finding(WARN, f"It ends like the stored {provider.client_secret_label}. Paste the "
                              f"{provider.client_id_label} here.")]
    same = next((other for other in known.others if other.client_id == client_id), None)
    if same is None:
        return []
    if same.platform == provider.slug:
        return [Finding(WARN, f"It is saved for “{same.title}” already. One app is saved once.")]
    if same.platform in provider.paste.may_share.get(mode, ()):
        return [Finding(INFO, f"It is also saved for {same.title}. One app may serve both; register both callbacks.")]
    own = provider.paste.own_pair.replace("{other}", same.title) or \
        f"Paste the {provider.client_id_label} of {provider.name} here."
    return [Finding(WARN, f"It is saved for {same.title} already. {own}")]


def _secret_beside(secret: str, known: Known) -> list[Finding]:
    if known.last4 and secret.endswith(known.last4):
        return [Finding(INFO, "It ends like the stored one, so it is probably the same.")]
    return []


def _option_remarks(provider: Provider, name: str, value: str, client_id: str) -> list[Finding]:
    usual = provider.paste.options[name]
    if not value or usual.fits(value):
        same = bool(value) and value == client_id
        return [Finding(WARN, f"This is the {provider.client_id_label}. Copy the value that is asked for here.")] \
            if same else []
    return [Finding(WARN, f"Expected is {usual.words}.")]


def _callback_remarks(provider: Provider, mode: str, typed: str) -> list[Finding]:
    callback = clean(typed)
    if not callback:
        return []
    rule = provider.paste.callback_of(mode)
    remarks = [Finding(WARN, one) for one in redirect_compare.broken_rules(rule, callback)]
    if callback.endswith("/"):
        remarks.append(Finding(INFO, "It ends in a slash: the portal has to hold that slash too."))
    return remarks


# ---------------------------------------------------------------- scopes


def known_scopes(provider: Provider) -> tuple[str, ...]:
    """The scopes that the console knows, of all modes and features."""
    own = [scope.name for some in provider.scopes.values() for scope in some]
    return tuple(dict.fromkeys(own + [scope.name for feature in provider.features for scope in feature.scopes]))


def _scope_remarks(provider: Provider, mode: str, typed: str) -> list[Finding]:
    if not typed.strip():
        return []
    remarks = []
    separator, other = provider.scope_separator, " " if provider.scope_separator == "," else ","
    if other in typed.strip() and separator not in typed.strip():
        named = {" ": "blanks", ",": "commas"}
        remarks.append(Finding(WARN, f"{provider.name} separates scopes by {named[separator]}. They are sent exactly "
                                     f"as typed, so {named[other]} may make one long name of them."))
    names = typed.replace(",", " ").split()
    if any(re.search(r"[\"'`\[\]{}]", name) for name in names):
        remarks.append(Finding(WARN, "There are quotes or brackets inside; they would be sent too."))
    if len(set(names)) < len(names):
        remarks.append(Finding(WARN, "A scope stands there twice."))
    known = known_scopes(provider)
    for name in dict.fromkeys(names):
        near = difflib.get_close_matches(name, known, 1, 0.88) if name not in known else []
        if near and near[0] not in names:
            remarks.append(Finding(WARN, f"“{name[:80]}” is no scope that the console knows. Meant is perhaps "
                                         f"{near[0]}."))
    return remarks
