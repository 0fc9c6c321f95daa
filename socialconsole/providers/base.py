"""What a provider is: facts first, then only what differs from the shared flow.

A provider is stateless: it gets an `App` (plain values) or a `Call` (HTTP bound to a host, a token and the platform's
own table of refusals) and returns plain values. It knows no Flask, no database, no settings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from .content import COMMENT as COMMENT
from .content import Draft as Draft
from .content import Field, Format, Look, Problem, Tally, TextLimit
from .content import Located as Located
from .content import Published as Published
from .content import Sent as Sent
from .content import Wait as Wait
from .paste_facts import NO_FACTS, PasteFacts
from .shapes import Shape, slips
from .shapes import clean as clean  # part of the contract
from .verdicts import UNKNOWN, Verdict

# ---------------------------------------------------------------- facts for Configure


@dataclass(frozen=True)
class Mode:
    """One way to use the platform that needs a developer app of its own kind."""

    slug: str
    label: str
    help: str


@dataclass(frozen=True)
class Scope:
    """A permission we ask for and, in words, what for."""

    name: str
    purpose: str
    feature: str = "publish"  # which feature is off without it


@dataclass(frozen=True)
class Feature:
    """Something optional that adds scopes. `default_on`: ticked when the form is first opened."""

    slug: str
    label: str
    help: str
    scopes: tuple[Scope, ...]
    default_on: bool = False
    modes: tuple[str, ...] = ()  # only in these modes; () means in all


@dataclass(frozen=True)
class ApiVersion:
    """The versions an admin may choose. `living` maps each to the day it ends, None where none is announced."""

    label: str
    default: str
    pattern: str
    living: Mapping[str, date | None]
    help: str
    source: str = ""  # the page where the platform announces their ends


@dataclass(frozen=True)
class Option:
    """A further field of the app, such as the id of a login configuration."""

    name: str
    label: str
    help: str


@dataclass(frozen=True)
class Step:
    """One step of the portal guide. Each of `values` has a Copy.

    `{CALLBACK}`, `{SCOPES}`, `{DEAUTHORIZE}`, `{DELETION}`, `{WEBHOOK}` and `{MEDIA}` are filled in; any other in
    braces, and one that this platform does not call, is left out.
    """

    title: str
    text: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guide:
    """The portal guide of one mode."""

    portal_url: str
    summary: str
    steps: tuple[Step, ...]
    notes: str = ""
    seen: str = "Nov 2026"


# ---------------------------------------------------------------- values that go in and out


@dataclass(frozen=True)
class App:
    """What a provider may know of a PlatformApp. `hosts` maps the provider's host names to base addresses."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str = ""
    scopes: str = ""  # exactly as sent, already joined
    mode: str = ""
    api_version: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    id: str = ""  # the console's own, to tell which app a notice is about


@dataclass(frozen=True)
class TokenSet:
    """What a token endpoint gave. Lifetimes in seconds, None where the answer names none."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    refresh_expires_in: int | None = None
    scopes: frozenset[str] | None = None  # None: the answer did not tell


@dataclass(frozen=True)
class Profile:
    """A profile that could become an Account. `problem` says why it cannot be chosen."""

    platform_user_id: str
    username: str = ""
    display_name: str = ""
    kind: str = ""
    profile_url: str = ""
    avatar_url: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    own_token: str | None = field(default=None, repr=False)
    problem: str = ""


@dataclass(frozen=True)
class Consent:
    """All that one consent gave: tokens, who consented, what was granted, and the profiles to choose from."""

    tokens: TokenSet
    person_id: str
    person_name: str
    scopes: frozenset[str] | None
    profiles: tuple[Profile, ...]
    # The profile's id where a permission covers one profile only (a channel), so that several of one person stay apart.
    profile_id: str = ""


@dataclass(frozen=True)
class WebhookEvent:
    """A notice of the platform whose signature is right. It may come late, twice, or in any order."""

    kind: str  # authorization.removed, post.changed; any other is nothing to act on
    person_id: str = ""
    handle: str = ""  # what the platform calls the post meanwhile
    at: datetime | None = None  # when it happened there; None: not told


class Renewal(StrEnum):
    """How the person's token is kept alive."""

    ROTATES = "rotates"  # refresh token, a new one each time, single use
    REFRESH = "refresh"  # refresh token that stays
    EXCHANGE = "exchange"  # the access token itself is exchanged while it lives
    NONE = "none"  # only the person can


class Replay(StrEnum):
    """What a second use of a refresh token does."""

    REUSABLE = "reusable"
    STRICT = "strict"


class Revoke(StrEnum):
    """What revoking one grant takes along at the platform."""

    NOT_OFFERED = "not_offered"
    PAIR = "pair"  # only this pair of tokens
    PERSON = "person"  # everything the person allowed this app


# Why a consent is asked for once more: a permission was declined, the time to read data is over, somebody who has a
# profile here wants to add another one, or only what is missing is asked for and the rest stays as it was given.
DECLINED_BEFORE, DATA_ACCESS, ANOTHER, MORE = "declined", "data_access", "another", "more"


# ---------------------------------------------------------------- the provider


class Provider:
    """Facts about a platform with the defaults of the shared flow. Subclasses live in files of their own."""

    slug: ClassVar[str]  # the platform's key in tables and addresses
    name: ClassVar[str]  # what people call it
    tile: ClassVar[str]  # two letters for its tile
    connectable: ClassVar[bool] = True  # False: only Configure exists yet

    # Configure
    hosts: ClassVar[Mapping[str, str]] = {}  # "api" -> "https://api.example.com"
    client_id_label: ClassVar[str] = "Client ID"
    client_secret_label: ClassVar[str] = "Client Secret"
    client_id_help: ClassVar[str] = ""
    callback_label: ClassVar[str] = "Redirect URL"  # what the portal calls it
    client_id_shape: ClassVar[Shape] = Shape()
    client_secret_shape: ClassVar[Shape] = Shape()
    paste: ClassVar[PasteFacts] = NO_FACTS  # what else is known of the fields, and which settings are in conflict
    modes: ClassVar[tuple[Mode, ...]] = ()
    connectable_modes: ClassVar[tuple[str, ...]] = ()  # those that can be connected yet; () means all
    api_version: ClassVar[ApiVersion | None] = None
    options: ClassVar[tuple[Option, ...]] = ()
    scopes: ClassVar[Mapping[str, tuple[Scope, ...]]] = {"": ()}  # by mode; "" where there are no modes
    features: ClassVar[tuple[Feature, ...]] = ()
    guides: ClassVar[Mapping[str, Guide]] = {}  # by mode
    scope_separator: ClassVar[str] = " "
    # scope -> what happens without it, for the one line that matters most under the scope override
    scope_consequences: ClassVar[Mapping[str, str]] = {}

    # Connect
    pkce: ClassVar[bool] = False
    authorize: ClassVar[tuple[str, str]] = ("web", "/oauth/authorize")  # host name, path ({version} is filled in)
    token: ClassVar[tuple[str, str]] = ("api", "/oauth/token")
    requirement: ClassVar[str] = ""  # for tenants, beside Connect
    before_consent: ClassVar[str] = ""  # e.g. "The account signed in at x.com in this browser is connected."
    several_profiles: ClassVar[bool] = False  # one consent may cover several
    all_or_nothing: ClassVar[bool] = False  # permissions cannot be declined one by one
    # What else a further consent does to earlier ones, for people; "" where it does nothing else.
    consent_note: ClassVar[str] = ""
    one_scope_set: ClassVar[bool] = False  # asking for another set of scopes ends the person's earlier tokens
    reading_costs: ClassVar[str] = ""  # what reading a profile costs, for people; "" where it is free
    profile_needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # scopes for reading name and picture, by mode

    # Keep alive
    renewal: ClassVar[Renewal] = Renewal.NONE
    replay: ClassVar[Replay] = Replay.STRICT
    # share of the lifetime after which a token is renewed: earliest and latest, spread by account
    renew_between: ClassVar[tuple[float, float]] = (0.667, 0.75)
    renew_before_end: ClassVar[timedelta | None] = None  # instead: this long before the end, then daily
    # How long what a person allowed holds, and what keeps it alive: whole sentences, for people.
    lifetimes: ClassVar[tuple[str, ...]] = ()
    account_outlives_grant: ClassVar[bool] = False  # accounts hold a token of their own without expiry
    revoke_kind: ClassVar[Revoke] = Revoke.NOT_OFFERED
    revoke_where: ClassVar[str] = ""  # the person's own way
    revoke_url: ClassVar[str] = ""  # the page where that way begins; "" where only an app leads there

    # Addresses that the platform calls
    calls_back: ClassVar[tuple[str, ...]] = ()  # deauthorize, deletion, webhook
    serves_files: ClassVar[bool] = False  # the platform fetches files from our address
    proof_file: ClassVar[bool] = False  # it looks for a text of its own there, as proof that the address is ours
    proof_name: ClassVar[str] = r"[A-Za-z0-9_-]+\.txt"  # what such a file may be called

    # Publish
    text_limit: ClassVar[TextLimit] = TextLimit(500, "characters")
    publish_needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ()}  # scopes without which publishing is off, by mode
    # What can be published, the usual first; where several fit the same files, the author chooses.
    formats: ClassVar[tuple[Format, ...]] = (Format("text", "Text", needs_text=True),)
    fields: ClassVar[tuple[Field, ...]] = ()  # the platform's own choices
    look: ClassVar[Look] = Look("nobody looked yet")  # in the feed, for the author to know before
    most_parts: ClassVar[int] = 1  # of a reply chain, the post itself included
    chain_needs: ClassVar[tuple[str, ...]] = ()  # scopes for the parts after the first
    # scopes for a first comment, by mode; a mode that is not named offers none
    comment_needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    comment_limit: ClassVar[TextLimit | None] = None  # None: as the text
    # scopes for deleting what was published, by mode; a mode that is not named cannot delete
    delete_needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # What of a profile's reading (`draft.meta`) decides on what it takes: profiles alike in these are checked once.
    judged_by: ClassVar[tuple[str, ...]] = ()
    asks_creator: ClassVar[bool] = False  # some fields are known only by asking the platform at that moment
    # After an outcome that nobody knows: the pause before each look for the post. How soon it shows, the sheets of
    # the platforms hardly tell; so it is looked for at least twice, and absence proves nothing.
    looks: ClassVar[tuple[timedelta, ...]] = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5))
    # suffixes of hosts (".example.com") to which addresses in answers may lead, for uploads
    answer_hosts: ClassVar[tuple[str, ...]] = ()

    def features_of(self, mode: str) -> tuple[Feature, ...]:
        """The optional features that exist in a mode."""
        return tuple(feature for feature in self.features if not feature.modes or mode in feature.modes)

    def default_scopes(self, mode: str, features: tuple[str, ...] = ()) -> tuple[Scope, ...]:
        """The scopes we ask for: the mode's own and those of the features that are on."""
        wanted = list(self.scopes.get(mode, ()))
        for feature in self.features_of(mode):
            if feature.slug in features:
                wanted += [scope for scope in feature.scopes if scope.name not in {w.name for w in wanted}]
        return tuple(wanted)

    def base_addresses(self, sandbox_url: str | None = None) -> dict[str, str]:
        """The named hosts; with a sandbox address, each becomes `{sandbox}/{real host}` there."""
        if sandbox_url is None:
            return dict(self.hosts)
        return {name: f"{sandbox_url}/{address.removeprefix('https://')}" for name, address in self.hosts.items()}

    def webhook(self, app: App, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent | None:
        """The notice in a request; None if the platform did not sign it with this app's secret."""
        return None

    def formats_of(self, mode: str, kind: str = "") -> tuple[Format, ...]:
        """What can be published in a mode; `kind` is the profile's, for platforms whose profiles differ."""
        return tuple(one for one in self.formats if not one.modes or mode in one.modes)

    def fields_of(self, mode: str, format: str) -> tuple[Field, ...]:
        """The platform's own choices for a format."""
        return tuple(one for one in self.fields if (not one.formats or format in one.formats)
                     and (not one.modes or mode in one.modes))

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """What the facts alone cannot say about a draft."""
        return []

    def tallies(self, draft: Draft) -> tuple[Tally, ...]:
        """What the platform counts in a text besides its length, such as hashtags; only what stands in it."""
        return ()

    def scope_problem(self, mode: str, scopes: Collection[str]) -> str:
        """Why these scopes cannot be asked for together in a mode, for the admin; empty where they can."""
        return ""

    def notes(self, draft: Draft) -> tuple[str, ...]:
        """What an author should know about a draft besides, for people."""
        return ()

    def cost(self, draft: Draft) -> str:
        """What publishing this costs the admin, for people; empty where the platform takes nothing."""
        return ""

    def needs_to_publish(self, mode: str, kind: str = "") -> tuple[str, ...]:
        """Scopes without which nothing can be published; `kind` is the profile's."""
        return self.publish_needs.get(mode, self.publish_needs.get("", ()))

    def needs_to_read(self, mode: str, granted: Collection[str] | None) -> tuple[str, ...]:
        """Scopes for reading a profile's name and picture; of several that do, the one that was granted."""
        return self.profile_needs.get(mode, self.profile_needs.get("", ()))

    def keeps_granted(self, mode: str, options: Mapping[str, str]) -> bool:
        """Whether a further consent adds to what the person gave before, so that only the missing need be asked for.

        False: the new consent takes the place of the old one.
        """
        return False

    def still_valid(self, app: App, tokens: TokenSet) -> bool | None:
        """Whether the platform says that a token works; reads only. None: it cannot tell. Never raises."""
        return None

    def authorize_of(self, mode: str) -> tuple[str, str]:
        """Host name and path of the consent page; some platforms have another one in each mode."""
        return self.authorize

    def revoke_kind_of(self, mode: str) -> Revoke:
        """What revoking one grant of a mode takes along at the platform."""
        return self.revoke_kind

    def revoke_reach(self, client_id: str) -> str:
        """What a revoked permission belongs to at the platform: apps with the same value lose it together."""
        return client_id

    def account_outlives_grant_of(self, mode: str) -> bool:
        """Whether accounts of a mode hold a token of their own without expiry."""
        return self.account_outlives_grant

    def can_connect(self, mode: str) -> bool:
        """Whether this version can connect profiles in a mode (Configure may already know more modes)."""
        return self.connectable and (not self.connectable_modes or mode in self.connectable_modes)

    def check_app(self, app: App, token: str = "") -> Verdict:
        """Ask the platform whether id and secret are right; five seconds at most, and nothing is stored there.

        `token`: one of a connected account, for platforms that look at the secret only beside one. Never raises.
        """
        return Verdict(UNKNOWN, f"This version cannot check {self.name} without connecting an account.", "no_check")

    def checks_with_token(self, mode: str) -> bool:
        """Whether a token of a connected account makes the check certain."""
        return False

    def check_shape(self, client_id: str, client_secret: str | None) -> dict[str, str]:
        """Slips that can be seen without asking the platform: field (`client_id`, `client_secret`) -> sentence.

        Only sure slips are named. A secret of None means that the stored one stays.
        """
        return slips(client_id, client_secret, (self.client_id_label, self.client_id_shape),
                     (self.client_secret_label, self.client_secret_shape))
