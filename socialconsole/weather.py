"""How each platform does over all accounts at the moment: clear, some errors, its own outage, or trouble with our app.

One account that is refused looks the same as an outage from where its owner stands; over all accounts they differ. It
is read from the tallies of the last minutes and the breakers, and where that is too little to tell, it says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from . import breaker, explanations, lately, tallies
from .extensions import db
from .models import ACTIVE, DISCONNECTED, PAUSED, TOKEN_EXPIRED, Account, PlatformApp
from .providers import PROVIDERS
from .providers import provider as provider_of
from .tallies import APP, FINE, LIMIT, OUTAGE, PERSON, Key, Sum

# The words for how a platform does.
CLEAR, SOME, AWAY, OUR_APP, UNKNOWN = "clear", "some", "outage", "app", "unknown"
LABELS = {CLEAR: "Clear", SOME: "Some errors", AWAY: "Their outage", OUR_APP: "Your app", UNKNOWN: "Cannot tell"}
TONES = {CLEAR: "ok", SOME: "warn", AWAY: "bad", OUR_APP: "bad", UNKNOWN: "info"}
BUCKETS = 3  # of five minutes, the one under way included: ten to fifteen minutes
MINUTES = 15
NAME = "weather"


@dataclass(frozen=True)
class Rule:
    """From when on errors of a family mean something: so many, of so many connections, this share of all calls."""

    word: str
    family: str
    errors: int
    connections: int
    share: float
    says: str
    why: str  # these numbers and no others


# The first that fits counts, the worst first.
RULES = (
    Rule(OUR_APP, APP, 2, 2, 0.5, "{name} refuses the app of this console, for {whom}.",
         "one refusal may be about a single call; two connections share nothing but the app"),
    Rule(AWAY, OUTAGE, 5, 3, 0.5, "{name} answers hardly anybody: {failed} of {calls} calls came to nothing, made "
         "for {whom}. It is neither your app nor the connections.",
         "five failures are what the breaker waits for, too; with three connections it is none of theirs; and while "
         "most calls work, a platform is not down"),
    Rule(SOME, OUTAGE, 3, 2, 0.05, "{name} answers most calls; {failed} of {calls} came to nothing, made for "
         "{whom}. The console tries them again.",
         "single calls get lost at any time; one in twenty is more than the net alone loses"),
    Rule(SOME, PERSON, 3, 3, 0.2, "{name} refused {whom} within minutes. That many do not end by chance: look "
         "whether {name} took a permission from your app.",
         "connections end one by one; three within minutes have something in common, and what that is cannot be told"),
    Rule(SOME, LIMIT, 3, 2, 0.2, "{name} asks {whom} to wait. The console waits and goes on by itself.",
         "a single connection may use up its own limit"),
)
FEW = Rule(UNKNOWN, OUTAGE, 1, 0, 0.5, "{failed} of {calls} calls came to nothing, made for {whom}. Too few to tell "
           "whose trouble it is.", "nobody else called, so nothing compares")
SAYS_CLEAR = "{name} answers: {calls} calls in the last {minutes} minutes, {failed} of them came to nothing."
SAYS_NOTHING = "Nobody called {name} in the last {minutes} minutes."
SAYS_PAUSED = ("{name} fails for all profiles alike. The console tries a single call now and then, and goes on by "
               "itself.")
SAYS_TROUBLE = "{trouble}"


@dataclass(frozen=True)
class Weather:
    """How one platform does, in words for the admin, and what that rests on."""

    platform: str
    word: str
    text: str
    calls: int = 0
    failed: int = 0  # without those that concern a post or a single profile
    fine: frozenset[int] = frozenset()  # drawers of those who were answered
    refused: frozenset[int] = frozenset()  # drawers of those whom the platform refused
    apps: frozenset[str] = frozenset()  # the apps that are meant; none: all

    @property
    def label(self) -> str:
        """The word for people."""
        return LABELS[self.word]

    @property
    def tone(self) -> str:
        """The status word whose colour and icon it has."""
        return TONES[self.word]


@dataclass(frozen=True)
class _App:
    """What an app that is on tells about its platform."""

    id: str
    platform: str
    trouble: str
    code: str
    is_open: bool  # its breaker


def of(platform: str, now: datetime) -> Weather:
    """How a platform does, found out at most a few seconds ago."""
    return everywhere(now)[platform]


def everywhere(now: datetime) -> Mapping[str, Weather]:
    """How all platforms do. Two statements, every few seconds."""
    return lately.of(NAME, lambda: read(now))


def read(now: datetime) -> dict[str, Weather]:
    """How all platforms do, found out afresh."""
    since = tallies.bucket(now) - (BUCKETS - 1) * tallies.BUCKET
    counted = tallies.everything(since)
    apps = [_App(*row) for row in db.session.execute(select(
        PlatformApp.id, PlatformApp.platform, PlatformApp.trouble, PlatformApp.trouble_code,
        PlatformApp.breaker_opened_at.is_not(None)).where(PlatformApp.is_on.is_(True)))]
    return {slug: judge(slug, counted, [app for app in apps if app.platform == slug]) for slug in PROVIDERS}


def judge(platform: str, counted: Mapping[Key, Sum], apps: list[_App]) -> Weather:
    """How a platform does by what was counted, and by what its apps say about it."""
    kinds = tallies.by_label(counted, tallies.CALL, platform)
    families = {family: sum(number for kind, number in kinds.items() if tallies.FAMILIES.get(kind, FINE) == family)
                for family in (APP, OUTAGE, PERSON, LIMIT)}
    who = {family: tallies.drawers(counted, platform, family) for family in (FINE, APP, OUTAGE, PERSON, LIMIT)}
    calls = sum(kinds.values())

    def made(word: str, says: str, failed: int = 0, connections: int = 0, **more: object) -> Weather:
        text = says.format(name=provider_of(platform).name, calls=f"{calls:,}", failed=f"{failed:,}", minutes=MINUTES,
                           whom=_whom(connections), **{key: more.pop(key) for key in ("trouble",) if key in more})
        return Weather(platform, word, text, calls, failed, who[FINE], who[PERSON], **more)  # type: ignore[arg-type]

    said = _by_apps(apps, made)
    if said is not None:
        return said
    for rule in (*RULES, FEW):
        errors = families[rule.family]
        if errors >= rule.errors and len(who[rule.family]) >= rule.connections and errors >= rule.share * calls:
            return made(rule.word, rule.says, errors, len(who[rule.family]))
    return made(CLEAR, SAYS_CLEAR, families[OUTAGE]) if calls else made(UNKNOWN, SAYS_NOTHING)


def _by_apps(apps: list[_App], made: Callable[..., Weather]) -> Weather | None:
    """What the apps tell: one that the platform refuses, or a breaker that is open since it fails for everybody."""
    troubled = [app for app in apps if app.trouble and app.code != breaker.TROUBLE]
    theirs = [app for app in troubled if explanations.explain(app.platform, "", app.code, app.trouble).who
              in explanations.GOES_ON]
    refused = [app for app in troubled if app not in theirs]
    for word, found in ((OUR_APP, refused), (AWAY, theirs)):
        if found:
            return made(word, SAYS_TROUBLE, trouble=found[0].trouble, apps=frozenset(app.id for app in found))
    paused = [app for app in apps if app.is_open]
    return made(AWAY, SAYS_PAUSED, apps=frozenset(app.id for app in paused)) if paused else None


def _whom(number: int) -> str:
    """At least so many: two may share a drawer."""
    if not number:
        return "nobody knows how many connections"
    return "1 connection" if number == 1 else f"at least {number} connections"


# ---------------------------------------------------------------- for one profile


def about(account: Account, now: datetime) -> str:
    """What the weather means to one profile, for its tenant: whose trouble it is. Empty where it means nothing."""
    if account.state == DISCONNECTED:
        return ""
    found = of(account.platform, now)
    if account.state == TOKEN_EXPIRED:
        return _broken(account, found)
    if account.state not in (ACTIVE, PAUSED) or not _is_meant(account, found):
        return ""
    name = provider_of(account.platform).name
    if found.word == AWAY:
        return f"{name} answers nobody at present. Your connection is fine: do nothing, it goes on by itself."
    if found.word == OUR_APP:
        return (f"{name} refuses the app of this console at present. Your connection is fine: do nothing here, an "
                "administrator has to repair the app.")
    return ""


def _broken(account: Account, found: Weather) -> str:
    name = provider_of(account.platform).name
    if _is_meant(account, found) and found.word == AWAY:
        return f"{name} answers nobody at present. Reconnect when it works again."
    if _is_meant(account, found) and found.word == OUR_APP:
        return (f"{name} refuses the app of this console at present, so reconnecting cannot work yet. An administrator "
                "has to repair the app first.")
    mine = {tallies.drawer(account.grant_id or "")}
    if found.word == CLEAR and found.fine - mine and not found.refused - mine:
        return f"{name} answers other profiles at present. Only this profile is refused."
    return ""


def _is_meant(account: Account, found: Weather) -> bool:
    """Whether what is told of a platform holds for the app that a profile hangs on."""
    return not found.apps or (account.grant is not None and account.grant.app_id in found.apps)
