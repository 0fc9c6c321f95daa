"""What each platform takes: whether it is on, what can be published, and its limits."""

from pydantic import Field as Described

from .. import connections, platform_apps
from ..providers.base import Provider
from ..providers.content import Field, Format
from .operations import Asked, operation
from .shapes import Instant, Shape


class FormatShape(Shape):
    """One kind of post and what it takes."""

    name: str
    label: str
    takes: list[str] = Described(description="Kinds of files; none: no file.")
    least_files: int
    most_files: int
    needs_text: bool
    text_limit: int | None = Described(description="Characters, as the platform counts them; null: shows no text.")
    alt_text_limit: int
    note: str


class OptionShape(Shape):
    """A choice of the platform's own, sent in `options` of a delivery."""

    name: str
    label: str
    kind: str
    choices: list[str]
    required: bool
    formats: list[str] = Described(description="Only for these; none: for all.")
    help: str


class PlatformShape(Shape):
    """One platform as this console has it."""

    platform: str
    name: str
    on: bool = Described(description="Whether profiles can be connected and posts go out.")
    why_off: str
    text_limit: int
    text_counted_as: str
    formats: list[FormatShape]
    options: list[OptionShape]


class PlatformList(Shape):
    """All platforms."""

    data: list[PlatformShape]
    next_cursor: str | None = None


class AppShape(Shape):
    """An app of a platform, as its admin sees it. Never its secret."""

    platform: str
    segment: str
    state: str
    label: str
    why: str
    accounts: int
    can_turn_on: bool
    why_not: str


class AppList(Shape):
    """The apps of all platforms."""

    data: list[AppShape]
    next_cursor: str | None = None
    read_at: Instant


def _format(provider: Provider, one: Format) -> FormatShape:
    limit = (one.text or provider.text_limit).most if one.has_text else None
    return FormatShape(name=one.slug, label=one.label, takes=list(one.takes), least_files=one.least,
                       most_files=one.most, needs_text=one.needs_text, text_limit=limit, alt_text_limit=one.alt_text,
                       note=one.note)


def _option(one: Field) -> OptionShape:
    return OptionShape(name=one.name, label=one.label, kind=one.kind, choices=[value for value, _ in one.choices],
                       required=one.required, formats=list(one.formats), help=one.help)


def _platform(row: platform_apps.Row, open_here: set[str]) -> PlatformShape:
    provider, mode = row.provider, row.app.mode if row.app is not None else ""
    is_on = provider.slug in open_here
    return PlatformShape(
        platform=provider.slug, name=provider.name, on=is_on,
        why_off="" if is_on else "A platform admin has not turned it on for this workspace.",
        text_limit=provider.text_limit.most, text_counted_as=provider.text_limit.counted_as,
        formats=[_format(provider, one) for one in provider.formats_of(mode)],
        options=[_option(one) for one in provider.fields if not one.modes or mode in one.modes])


@operation("GET", "/platforms", "see", "platforms", "What each platform takes", answer=PlatformList, is_tagged=True)
def list_platforms(asked: Asked) -> PlatformList:
    """All platforms in the order people know them, with formats, limits and their own choices."""
    open_here = {offer.app.platform for offer in connections.offers(asked.place)}
    return PlatformList(data=[_platform(row, open_here) for row in platform_apps.overview(asked.now)])


@operation("GET", "/installation/platforms", "admin", "installation", "How the apps of the platforms stand",
           answer=AppList)
def list_apps(asked: Asked) -> AppList:
    """Each app: whether it is on, and what keeps it from it. For an admin's key."""
    rows = [one for row in platform_apps.overview(asked.now) for one in row.apps]
    return AppList(read_at=asked.now, data=[AppShape(
        platform=one.provider.slug, segment=one.segment, state=one.state, label=one.label, why=one.why,
        accounts=one.accounts, can_turn_on=one.can_turn_on, why_not=one.why_not) for one in rows])
