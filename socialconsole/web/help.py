"""Help: for each platform its permissions, the guide through its portal, what lives how long, limits and errors.

Everything is drawn from the facts that the console itself works by, so that it cannot say anything else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, Flask, abort, request
from flask.typing import ResponseReturnValue

from .. import explanations
from ..access import requires
from ..explanations import Explanation
from ..providers import PROVIDERS, connectable
from ..providers.base import Guide, Renewal, Revoke, Scope
from ..providers.content import DocumentRule, Format, GifRule, ImageRule, PollRule, TextLimit, VideoRule
from ..providers.oauth2 import OAuth2Provider
from .page import show

bp = Blueprint("help", __name__)

PERMISSIONS, LIFETIMES, LIMITS, PORTAL, ERRORS = "permissions", "lifetimes", "limits", "portal", "errors"
SECTIONS = ((PERMISSIONS, "Permissions"), (LIFETIMES, "How long a connection lives"), (LIMITS, "Limits and formats"),
            (ERRORS, "Errors and what they mean"), (PORTAL, "In the developer portal"))
MOST_FOUND = 60
LONGEST_SAID = 2000
_RENEWALS = {
    Renewal.ROTATES: "The console renews it by itself, with a right to renew that is replaced each time.",
    Renewal.REFRESH: "The console renews it by itself.",
    Renewal.EXCHANGE: "The console prolongs it by itself while it lives.",
    Renewal.NONE: "Only whoever connected it can renew it, by reconnecting.",
}
_REVOKES = {
    Revoke.NOT_OFFERED: "Disconnecting here erases our copy. {name} lets only you take the permission back.",
    Revoke.PAIR: "Disconnecting here takes this connection back at {name}, and no other.",
    Revoke.PERSON: "Disconnecting here takes back everything that you allowed this app at {name}, once no other "
                   "connection lives by it.",
}


@dataclass(frozen=True)
class Permission:
    """One line of the reference: what is asked, for what, when, and what happens if it is declined."""

    name: str
    purpose: str
    asked: str  # "always", or with which feature
    declined: str


@dataclass(frozen=True)
class Kind:
    """One way to use a platform with its own permissions, formats and guide."""

    slug: str
    label: str  # empty where there is only one
    permissions: tuple[Permission, ...]
    limits: tuple[tuple[str, tuple[str, ...]], ...]  # the format, and what it takes
    guide: Guide | None


@dataclass(frozen=True)
class Entry:
    """Something to be found: which part of which platform's page, its heading and its text."""

    platform: str
    section: str
    title: str
    text: str

    def matches(self, wanted: str) -> bool:
        """Whether every word of what is wanted stands in it."""
        all_of_it = f"{PROVIDERS[self.platform].name} {self.section} {self.title} {self.text}".casefold()
        return all(word in all_of_it for word in wanted.casefold().split())


# ---------------------------------------------------------------- pages


@bp.get("/help")
@requires("signed_in")
def index() -> ResponseReturnValue:
    """The platforms; with `q` what was found on all of their pages."""
    wanted = request.args.get("q", "").strip()[:200]
    found = [entry for provider in PROVIDERS.values() for entry in entries(provider.slug)
             if entry.matches(wanted)] if wanted else []
    return show("help.html", "found", wanted=wanted, found=found[:MOST_FOUND], total=len(found),
                sections=dict(SECTIONS))


@bp.route("/help/<slug>", methods=["GET", "POST"])
@requires("signed_in")
def platform(slug: str) -> ResponseReturnValue:
    """All about one platform. POST: what the error means whose words were pasted; nothing of them is kept or shown."""
    if slug not in PROVIDERS:
        abort(404)
    provider = connectable(slug)
    said = request.form.get("said", "").strip()[:LONGEST_SAID] if request.method == "POST" else ""
    meaning = explanations.from_page(slug, said) if said else None
    problem = "Paste what the page said first." if request.method == "POST" and not said else ""
    return show("help_platform.html", "meaning", 422 if problem else 200, provider=provider, kinds=kinds(provider),
                life=lifetimes(provider), errors=explanations.all_of(slug), silent=explanations.silent(slug),
                sections=SECTIONS, meaning=meaning, problem=problem, portal=explanations.portal(provider))


# ---------------------------------------------------------------- from the facts


def kinds(provider: OAuth2Provider) -> list[Kind]:
    """Each mode of a platform, or the only one."""
    modes = [(mode.slug, mode.label) for mode in provider.modes] or [("", "")]
    return [Kind(slug, label, tuple(_permissions(provider, slug)),
                 tuple((one.label, tuple(takes(one, provider.text_limit))) for one in provider.formats_of(slug)),
                 provider.guides.get(slug)) for slug, label in modes]


def _permissions(provider: OAuth2Provider, mode: str) -> Iterator[Permission]:
    features = {feature.slug: feature for feature in provider.features_of(mode)}
    for scope in provider.default_scopes(mode, tuple(features)):
        feature = features.get(scope.feature)
        asked = f"With the feature {feature.label}" if feature else "Always"
        yield Permission(scope.name, f"{scope.purpose}.", asked, _declined(provider, mode, scope))


def _declined(provider: OAuth2Provider, mode: str, scope: Scope) -> str:
    """What happens without a permission, as a sentence."""
    if scope.name in provider.scope_consequences:
        told = provider.scope_consequences[scope.name].replace("`", "")
        said = f"{told[:1].upper()}{told[1:]}."
    elif scope.name in provider.needs_to_publish(mode):
        said = "Nothing can be published."
    elif scope.feature in {feature.slug for feature in provider.features_of(mode)}:
        said = "That feature stays off, and everything else works."
    else:
        said = "Publishing works without it."
    return f"{said} It cannot be declined alone." if provider.all_or_nothing else said


def lifetimes(provider: OAuth2Provider) -> list[str]:
    """How long a connection lives, what renews it, and how it ends, in sentences."""
    ends = _REVOKES[provider.revoke_kind].format(name=provider.name)
    own = f"You can take it back yourself: {provider.revoke_where}." if provider.revoke_where else ""
    return [*provider.lifetimes, _RENEWALS[provider.renewal], *(one for one in (ends, own) if one)]


def takes(format: Format, usual: TextLimit) -> Iterator[str]:
    """What a format takes, in short phrases."""
    if format.takes:
        number = f"{format.least} to {format.most}" if format.most > format.least else str(format.most)
        yield f"{number} {'file' if format.most == 1 else 'files'}: {', '.join(format.takes)}"
    if format.has_text:
        limit = format.text or usual
        yield f"text up to {limit.most:,} {limit.counted_as}"
    else:
        yield "no text"
    yield from _rules(format)
    if format.alt_text:
        yield f"alt text up to {format.alt_text:,} characters"
    if format.by_url:
        yield "the platform fetches the files from this console"
    if format.note:
        yield format.note.rstrip(".")


def _rules(format: Format) -> Iterator[str]:
    if format.image:
        yield _image(format.image)
    if format.gif:
        yield _gif(format.gif)
    if format.video:
        yield _video(format.video)
    if format.document:
        yield _document(format.document)
    if format.poll:
        yield _poll(format.poll)


def _size(number: int) -> str:
    for unit, power in (("GB", 3), ("MB", 2), ("KB", 1)):
        if number >= 1024**power:
            return f"{number / 1024**power:g} {unit}" if number % 1024**power == 0 else \
                f"{number / 1024**power:.1f} {unit}"
    return f"{number} bytes"


def _types(types: tuple[str, ...]) -> str:
    return ", ".join(one.rpartition("/")[2].removeprefix("vnd.").upper().replace("QUICKTIME", "MOV") for one in types)


def _ratio(ratio: tuple[float, float] | None) -> str:
    return f", {ratio[0]:.3g}:1 to {ratio[1]:.3g}:1" if ratio else ""


def _image(rule: ImageRule) -> str:
    return f"pictures as {_types(rule.types)} up to {_size(rule.most_bytes)}{_ratio(rule.ratio)}; others are converted"


def _gif(rule: GifRule) -> str:
    return f"moving GIF up to {_size(rule.most_bytes)}"


def _video(rule: VideoRule) -> str:
    length = f", {_length(*rule.seconds)}" if rule.seconds else ""
    return f"video as {_types(rule.types)} up to {_size(rule.most_bytes)}{length}{_ratio(rule.ratio)}"


def _length(least: float, most: float) -> str:
    for unit, seconds in (("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if most >= 2 * seconds or seconds == 1:
            start = f"{least:g} seconds" if least else ""
            return f"{start} to {most / seconds:g} {unit}" if start else f"up to {most / seconds:g} {unit}"
    raise AssertionError("the last unit always fits")


def _document(rule: DocumentRule) -> str:
    pages = f", {rule.most_pages} pages" if rule.most_pages else ""
    return f"document up to {_size(rule.most_bytes)}{pages}"


def _poll(rule: PollRule) -> str:
    return f"{rule.options[0]} to {rule.options[1]} answers of {rule.option_most} characters"


# ---------------------------------------------------------------- search


def entries(slug: str) -> Iterator[Entry]:
    """All that stands on the page of a platform, piece by piece."""
    provider = connectable(slug)
    for kind in kinds(provider):
        for one in kind.permissions:
            yield Entry(slug, PERMISSIONS, one.name, f"{one.purpose} {one.asked}. {one.declined}")
        for label, parts in kind.limits:
            yield Entry(slug, LIMITS, f"{label}{', ' + kind.label if kind.label else ''}", "; ".join(parts))
        for step in kind.guide.steps if kind.guide else ():
            yield Entry(slug, PORTAL, f"{step.title}{', ' + kind.label if kind.label else ''}", step.text)
    for line in lifetimes(provider):
        yield Entry(slug, LIFETIMES, "Lifetime", line)
    for codes, told in explanations.all_of(slug):
        yield Entry(slug, ERRORS, codes or told.cause, _said(told, with_cause=bool(codes)))


def _said(told: Explanation, *, with_cause: bool) -> str:
    return f"{told.cause if with_cause else ''} {told.next_step}".strip()


def init_app(app: Flask) -> None:
    """Hand the templates what explains an error of what they show."""
    app.jinja_env.globals.update(explain_delivery=explanations.of_delivery, explain_app=explanations.of_app)
