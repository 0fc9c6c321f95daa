"""What an error of a platform means: its cause, who can end it, the next step and where. Facts of the providers.

An error is known by the platform's short code and by a sentence, the platform's own or the one that the console wrote
in its place. Only the code is ever shown, and redacted: what a platform says can repeat a token.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .errors import ADMIN, AUTHOR, CONSOLE, DEVELOPER, TENANT
from .models import BY_CHECK, FAILED, Account, ConnectionAttempt, Delivery, PlatformApp
from .providers.causes import CONSENT, EVERYWHERE, NOBODY_KNOWS, PLATFORM, REDIRECT, Cause
from .providers.oauth2 import OAuth2Provider, connectable
from .providers.refusals import PUBLISH, RENEW, TOKEN, redact

# who -> the people meant, for the line beside "Who can end it"
WHO = {
    TENANT: "Whoever can sign in to the profile at {name}",
    AUTHOR: "Whoever wrote the post",
    ADMIN: "An administrator of this console",
    PLATFORM: "{name} itself",
    CONSOLE: "Nobody: the console goes on by itself",
    DEVELOPER: "The makers of this console",
    NOBODY_KNOWS: "It cannot be told",
}
_UNKNOWN = Cause(
    (), NOBODY_KNOWS, "The console cannot tell what this error of {name} means.",
    "Try it once more. If it comes again, give the code to an administrator of this console, who can look it up at "
    "{name}.")
LONGEST_CODE = 80
_SAFE = re.compile(r"[^\w ./:*…-]")


@dataclass(frozen=True)
class Explanation:
    """One error in words. `who` is one of the keys of WHO; `page` leads to where to act, and may be empty."""

    cause: str
    who: str
    next_step: str
    page: str
    code: str
    platform: str  # what people call it

    @property
    def is_known(self) -> bool:
        """Whether the console knows what the error means."""
        return self.who != NOBODY_KNOWS

    @property
    def who_words(self) -> str:
        """Who can end it, for people."""
        return WHO[self.who].format(name=self.platform)


def explain(platform: str, step: str, code: str, raw: str = "") -> Explanation:
    """The explanation of an error at a step ("" for any). `raw`, the sentence, is looked at and never shown.

    Where nothing fits, the explanation says so and blames nobody. Raises KeyError for a platform that does not exist.
    """
    provider = connectable(platform)
    found = next((one for one in _rows(provider) if one.fits(step, code, raw)), _UNKNOWN)
    return _filled(provider, found, code)


def _rows(provider: OAuth2Provider) -> Iterator[Cause]:
    yield from provider.causes
    yield from EVERYWHERE


def _filled(provider: OAuth2Provider, found: Cause, code: str) -> Explanation:
    page = found.page or (portal(provider) if found.who == ADMIN else "")
    return Explanation(found.cause.replace("{name}", provider.name), found.who,
                       found.next_step.replace("{name}", provider.name), page, safe(code), provider.name)


def portal(provider: OAuth2Provider) -> str:
    """The address of the platform's developer portal."""
    return next(iter(provider.guides.values())).portal_url if provider.guides else ""


def safe(code: str) -> str:
    """A platform's code as it may be shown: without what could be a token, and plain characters only."""
    # Main and further part are redacted one by one, as they were when the error was read: together they look longer.
    parts = code.split("/") if code.count("/") == 1 else [code]
    return _SAFE.sub("", "/".join(redact(part) for part in parts))[:LONGEST_CODE]


def silent(platform: str) -> list[tuple[str, Explanation]]:
    """The errors that a platform shows on a page of its own and never sends back: what stands there, what it means."""
    provider = connectable(platform)
    return [(one.shows, _filled(provider, one, "")) for one in provider.causes if one.shows]


def all_of(platform: str) -> list[tuple[str, Explanation]]:
    """Every error that the console can explain: its codes for people, or what its page shows, and the explanation.

    Rows that say the same are told once.
    """
    provider = connectable(platform)
    found: dict[tuple[str, str, str], tuple[list[str], Explanation]] = {}
    for one in provider.causes:
        told = _filled(provider, one, "")
        codes, _ = found.setdefault((told.cause, told.who, told.next_step), ([], told))
        codes += [f"“{one.shows}”"] if one.shows else []
        codes += [code.rstrip("*") for code in _few(one.code)]
    return [(", ".join(dict.fromkeys(codes)), told) for codes, told in found.values()]


def _few(codes: tuple[str, ...]) -> tuple[str, ...]:
    """Codes for people: of a long run of numbers only its ends."""
    return codes if len(codes) <= 12 else (codes[0], f"{codes[1]} to {codes[-1]}")


# ---------------------------------------------------------------- of what the console keeps
# An error from which the console goes on by itself means something else once it has given up, or never tries again.
GOES_ON = (CONSOLE, PLATFORM)


def of_attempt(found: ConnectionAttempt) -> Explanation | None:
    """Why a walk through consent failed; None where it carries no error of the platform."""
    if not found.error_code:
        return None
    told = explain(found.platform, TOKEN, found.error_code, found.error)
    if not told.is_known:
        told = explain(found.platform, REDIRECT, found.error_code, found.error)
    if told.who not in GOES_ON:
        return told
    return replace(told, who=TENANT, next_step="Nothing was connected. Connect again in a few minutes.")


def of_delivery(found: Delivery) -> Explanation | None:
    """Why a delivery did not go out; None where the platform said nothing."""
    if not found.error_code:
        return None
    told = explain(found.account.platform, PUBLISH, found.error_code, found.note)
    if found.state != FAILED or told.who not in GOES_ON:
        return told
    return replace(told, who=AUTHOR, next_step="The console does not try any more. Press Try again.")


def of_account(found: Account) -> Explanation | None:
    """Why a profile stopped working; None where it works."""
    if not found.reason:
        return None
    grant = found.grant
    # The code of a renewal says nothing about a profile that ended otherwise.
    code = grant.error_code if grant is not None and grant.last_error == found.reason_text else ""
    told = explain(found.platform, RENEW, code, found.reason_text)
    if told.who in (TENANT, ADMIN):
        return told
    return replace(explain(found.platform, "", found.reason), code=told.code)


def of_app(found: PlatformApp) -> Explanation | None:
    """Why the platform refuses an app; None where it does not, or where the check of id and secret says it already."""
    if not found.trouble or found.trouble_code.startswith(BY_CHECK):
        return None
    return explain(found.platform, "", found.trouble_code, found.trouble)


def from_page(platform: str, said: str) -> Explanation:
    """What a sentence means that the platform showed on a page of its own."""
    return explain(platform, CONSENT, "", said)
