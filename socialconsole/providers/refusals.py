"""How a platform's "no" is read: parsed fields in, one of our error words out.

Each provider lists its refusals as rows of data. A row matches on status, codes and a fragment of the platform's own
sentence, all of them parsed out of the answer first; digits somewhere in a body mean nothing. The first row wins.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from .. import outside
from ..errors import (
    ADMIN,
    REVOKED,
    AttemptFailed,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from .base import App

# What we were doing when the platform said no.
TOKEN, RENEW, REVOKE, PROFILES, READ, PREPARE, PUBLISH, DELETE = (
    "token", "renew", "revoke", "profiles", "read", "prepare", "publish", "delete")
CONNECTING = (TOKEN, PROFILES)

LONGEST_TEXT = 200
_OPAQUE = re.compile(r"[A-Za-z0-9_\-.~+/=%|]{16,}")
_SCOPE = re.compile(r"[a-z]+(?:[._][a-z]+)+")


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """A platform's sentence, safe to show and to store: no token, no code, no secret, no control characters.

    What we sent ourselves is removed wherever it stands; beyond that, everything long that mixes letters and digits.
    """
    plain = html.unescape(html.unescape(text))
    for secret in sorted((one for one in secrets if len(one) >= 4), key=len, reverse=True):
        plain = plain.replace(secret, "…")
    plain = re.sub(r"(https?://[^\s?#]+)[?#]\S*", r"\1", plain)
    plain = _OPAQUE.sub(lambda found: "…" if _is_opaque(found.group()) else found.group(), plain)
    plain = " ".join("".join(one if one.isprintable() else " " for one in plain).split())
    return plain if len(plain) <= LONGEST_TEXT else plain[: LONGEST_TEXT - 1] + "…"


def _is_opaque(run: str) -> bool:
    """Whether a run of characters could be a token. Numbers alone are ids, letters alone are names."""
    if re.search(r"\d", run) and re.search(r"[A-Za-z]", run):
        return True
    return bool(re.search(r"[a-z][A-Z]|[A-Z]{2}[a-z]", run)) and len(run) >= 32


@dataclass(frozen=True)
class Parsed:
    """The fields of a refusal's body, in words common to all platforms."""

    codes: tuple[str, ...] = ()
    subcode: str = ""
    text: str = ""  # the platform's sentence, for matching
    shown: str = ""  # the sentence it means for people, where it has one
    field: str = ""  # the parameter it complains about


@dataclass(frozen=True)
class Answer:
    """A refusal with all that a row may look at and a sentence may name. `text` is for matching only."""

    name: str
    step: str
    status: int
    parsed: Parsed = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    app: App = field(default_factory=lambda: App("", ""), repr=False)
    needs: tuple[str, ...] = ()  # scopes that publishing needs here
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def code(self) -> str:
        """The platform's own short code, safe to show: `190/460`, `invalid_client`, `HTTP 418`."""
        code = redact(self.parsed.codes[0], self.secrets)[:60] if self.parsed.codes else f"HTTP {self.status}"
        subcode = redact(self.parsed.subcode, self.secrets)[:19]  # a row keeps 80 characters of both
        return f"{code}/{subcode}" if subcode else code

    @property
    def detail(self) -> str:
        """The platform's sentence, safe to show."""
        return redact(self.parsed.shown or self.parsed.text, self.secrets) or self.code

    @property
    def scope(self) -> str:
        """The permission the platform names, else the first one that publishing needs."""
        asked = set(re.split(r"[\s,]+", self.app.scopes)) | set(self.needs)
        named = [one for one in _SCOPE.findall(html.unescape(self.parsed.text).lower()) if one in asked]
        return named[0] if named else self.needs[0] if self.needs else "a permission"

    def fill(self, sentence: str) -> str:
        """A sentence with {name}, {detail}, {code}, {field} and {scope} filled in."""
        for word in ("name", "detail", "code", "scope"):
            sentence = sentence.replace(f"{{{word}}}", getattr(self, word))
        return sentence.replace("{field}", redact(self.parsed.field, self.secrets) or "one value")


Factory = Callable[[Answer], PlatformError]


@dataclass(frozen=True)
class Refusal:
    """One row: when it matches, and the error it means. An empty condition matches everything.

    `either` matches the code or the subcode; `text` is any of these fragments, in lower case.
    """

    error: Factory
    status: tuple[int, ...] = ()
    code: tuple[str, ...] = ()
    subcode: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    def matches(self, answer: Answer) -> bool:
        """Whether this row speaks about the answer."""
        parsed = answer.parsed
        return ((not self.status or answer.status in self.status)
                and (not self.steps or answer.step in self.steps)
                and (not self.code or any(code in self.code for code in parsed.codes))
                and (not self.subcode or parsed.subcode in self.subcode)
                and (not self.either or any(code in self.either for code in (*parsed.codes, parsed.subcode)))
                and (not self.text or any(part in html.unescape(parsed.text).lower() for part in self.text)))


# ---------------------------------------------------------------- what a row may say


def reconnect(sentence: str, reason: str = REVOKED) -> Factory:
    """The connection is gone; only its person can mend it."""
    return lambda answer: NeedsReconnect(answer.fill(sentence), answer.code, reason=reason)


def wrong(sentence: str, who: str = ADMIN, field_name: str = "") -> Factory:
    """The admin's app is refused."""
    return lambda answer: ConfigurationWrong(answer.fill(sentence), answer.code, who, field=field_name)


def rejected(sentence: str, field_name: str = "text", *, quiet: timedelta | None = None) -> Factory:
    """This text or media is refused. `quiet`: how long the account had better publish nothing after it."""
    return lambda answer: ContentRejected(answer.fill(sentence), answer.code, field=field_name, quiet=quiet)


def missing(sentence: str, *scopes: str, step: bool = False) -> Factory:
    """A permission is missing: the scopes named here, else the one the platform names; `step`: no scope would help."""
    return lambda answer: PermissionMissing(
        answer.fill(sentence), answer.code, scopes=() if step else scopes or _real(answer))


def _real(answer: Answer) -> tuple[str, ...]:
    return (answer.scope,) if answer.scope != "a permission" else ()


def later(sentence: str) -> Factory:
    """A passing fault; nothing happened."""
    return lambda answer: TryLater(answer.fill(sentence), answer.code)


def unconfirmed(sentence: str) -> Factory:
    """It may have happened."""
    return lambda answer: OutcomeUnknown(answer.fill(sentence), answer.code)


def attempt_failed(sentence: str) -> Factory:
    """This walk through consent failed."""
    return lambda answer: AttemptFailed(answer.fill(sentence), answer.code)


def limited(sentence: str, wait: timedelta, *, whole_app: bool = False) -> Factory:
    """Wait for a fixed time. `{t}` in the sentence is when it ends."""
    def error(answer: Answer) -> PlatformError:
        until = outside.now() + wait
        return RateLimited(answer.fill(sentence).replace("{t}", f"{until:%H:%M} UTC"), answer.code, until=until,
                           whole_app=whole_app)
    return error


# ---------------------------------------------------------------- rows for every platform

_OAUTH = (
    Refusal(wrong("{name} refuses the client id or its secret. Paste both again from the portal."),
            code=("invalid_client", "unauthorized_client"), steps=(TOKEN, RENEW, REVOKE)),
    Refusal(attempt_failed("The code from {name} was too old or used twice. Connect again."),
            code=("invalid_grant",), steps=(TOKEN,)),
    Refusal(reconnect("{name} ended this connection. Connect again."), code=("invalid_grant",), steps=(RENEW,)),
)
_UNKNOWN = "{name} answered with something we do not know: {code}."
_REFUSED = {PUBLISH: rejected(_UNKNOWN), PREPARE: rejected(_UNKNOWN), TOKEN: wrong(_UNKNOWN), RENEW: wrong(_UNKNOWN),
            PROFILES: attempt_failed(_UNKNOWN)}


def read(rows: tuple[Refusal, ...], answer: Answer) -> PlatformError:
    """The error that a clear refusal means: by the platform's own rows, then by those of every platform."""
    for row in (*rows, *_OAUTH):
        if row.matches(answer):
            return row.error(answer)
    return _REFUSED.get(answer.step, later(_UNKNOWN))(answer)
