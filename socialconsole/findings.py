"""What needs a person at this moment, over all workspaces: read in a fixed number of statements, and nothing changed.

Each finding is a fact with its cause and the next step in words. `incidents` remembers since when it is so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select, union
from ulid import ULID

from . import accounts, alerts, breaker, canaries, outbox, platform_apps
from .accounts import Outline
from .extensions import db
from .models import (
    ACTIVE,
    BY_CHECK,
    FAILED,
    HELD,
    MISSED,
    PAUSED,
    SCHEDULED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    Incident,
    PlatformApp,
    Post,
    Workspace,
)
from .providers import PROVIDERS
from .providers import provider as provider_of
from .providers.verdicts import WRONG
from .times import exact

STAGES = (1, 7, 14)  # days before an end at which it is told
AHEAD, LOOKS_AHEAD = timedelta(days=STAGES[-1]), timedelta(days=92)
OUT_FOR = timedelta(minutes=5)  # how long a platform is out of order before anybody is told
GIVEN_UP_FOR = timedelta(days=3)  # from when it was written; it is tried for a day
WAITED_FOR = timedelta(minutes=20)
CHUNK = 500
EXCERPT = 60
ACCOUNT, POST, APP, CONSOLE = "account", "post", "platform_app", "console"  # what an incident is about
PROBLEMS = (FAILED, MISSED, UNCONFIRMED)
MAIL = "mail"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Found:
    """Something that needs a person now. Without a workspace it is the administrators'. `author_id`: of a post."""

    kind: str
    subject_type: str
    subject_id: str
    name: str
    summary: str
    step: str
    workspace_id: str | None = None
    platform: str = ""
    stage: int = 0
    author_id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others that are found at one time."""
        return self.kind, self.subject_id


def who(account: Outline) -> str:
    """A profile in words: `Acme Bakery (X)`."""
    return f"{account.display_name or account.username} ({provider_of(account.platform).name})"


def _of_account(kind: str, account: Outline, workspace: Workspace, summary: str, step: str, stage: int = 0) -> Found:
    return Found(kind, ACCOUNT, account.id, account.display_name or account.username, summary, step, workspace.id,
                 account.platform, stage)


# ---------------------------------------------------------------- profiles


def broken() -> list[Found]:
    """The profiles that have to be reconnected, or lack what publishing needs."""
    reasons = {row.id: row.reason_text for row in db.session.execute(
        select(Account.id, Account.reason_text).where(_in_state(TOKEN_EXPIRED)))}
    found = [_of_account(alerts.ACCOUNT_BROKEN, one, workspace,
                         f"{who(one)} has to be reconnected. {reasons.get(one.id, '')}".strip(),
                         "Reconnect it. Posts that wait for it go out then, as far as their time allows.")
             for one, workspace in accounts.outlined(_in_state(TOKEN_EXPIRED))]
    return found + [_of_account(
        alerts.ACCOUNT_BROKEN, one, workspace,
        f"{who(one)} cannot publish: {accounts.not_granted(one.missing_to_publish)}.",
        "Reconnect it, and leave every permission ticked.") for one, workspace in _limited() if one.missing_to_publish]


def _in_state(state: str) -> ColumnElement[bool]:
    """Along the index by platform and state, which is read without the pictures."""
    return and_(Account.platform.in_(list(PROVIDERS)), Account.state == state)


def _limited() -> list[tuple[Outline, Workspace]]:
    """The working profiles whose permissions do not let them publish. There are few sets of permissions to judge."""
    mode, scopes = func.coalesce(PlatformApp.mode, ""), func.coalesce(cast(Grant.scopes_granted, Text), "null")
    sets = db.session.execute(
        select(Account.platform, mode, Account.kind, scopes).join(Grant, Account.grant_id == Grant.id)
        .join(PlatformApp, Grant.app_id == PlatformApp.id).where(_in_state(ACTIVE)).distinct())
    lacking = [and_(Account.platform == one.platform, mode == one[1], Account.kind == one.kind, scopes == one[3])
               for one in sets
               if Outline("", one.platform, one.kind, "", "", ACTIVE, None, False, True, one[1],
                          one[3]).missing_to_publish]
    return [row for some in _chunks(lacking, 50) for row in accounts.outlined(_in_state(ACTIVE), or_(*some))]


def nearing_end(now: datetime) -> list[tuple[Outline, Workspace]]:
    """The profiles whose connection ends within three months unless its person acts, the soonest first."""
    rows = accounts.outlined(Account.state.in_((ACTIVE, PAUSED)), accounts.may_end_before(now + LOOKS_AHEAD))
    found = [(one, workspace) for one, workspace in rows if one.ends is not None and one.ends <= now + LOOKS_AHEAD]
    return sorted(found, key=lambda row: (row[0].ends or now, row[0].id))


def ending(rows: Sequence[tuple[Outline, Workspace]], now: datetime) -> list[Found]:
    """Those of `rows` whose connection ends within 14 days; the stage says within how many: 14, 7 or 1."""
    found = []
    for one, workspace in rows:
        if one.ends is None or one.ends > now + AHEAD:
            continue
        stage = next(days for days in STAGES if one.ends <= now + timedelta(days=days))
        found.append(_of_account(
            alerts.ACCOUNT_ENDING, one, workspace,
            f"The connection of {who(one)} ends {exact(one.ends, workspace.time_zone)}. "
            f"{provider_of(one.platform).name} lets the console renew it only with its person.",
            "Reconnect it before then, and nothing stops.", stage))
    return found


def data_ending(now: datetime) -> list[Found]:
    """The profiles whose access to data ends within 14 days while publishing may go on."""
    said = func.coalesce(*(Account.meta[key].as_string() for key in accounts.DATA_ACCESS))
    ends = {row[0]: _instant(row[1]) for row in db.session.execute(
        select(Account.id, said).where(_in_state(ACTIVE), said.is_not(None)))}
    near = {one: at for one, at in ends.items() if at is not None and at <= now + AHEAD}
    return [_of_account(
        alerts.DATA_ENDING, one, workspace,
        f"{provider_of(one.platform).name} stops giving data about {who(one)} "
        f"{exact(near[one.id], workspace.time_zone)}, since a permission counts as unused after 90 days.",
        "Reconnect it; publishing may go on meanwhile.",
        next(days for days in STAGES if near[one.id] <= now + timedelta(days=days)))
        for some in _chunks(list(near)) for one, workspace in accounts.outlined(Account.id.in_(some))]


def _instant(seconds: str) -> datetime | None:
    number = int(seconds) if seconds.isdecimal() and len(seconds) < 12 else 0
    return datetime.fromtimestamp(number, UTC) if number else None


# ---------------------------------------------------------------- posts


def at_risk(rows: Sequence[tuple[Outline, Workspace]], told: Iterable[str], now: datetime) -> list[Found]:
    """The profiles that are paused, switched off or at their end before posts that are planned for them.

    `rows`: from `nearing_end`. `told`: the accounts that somebody is told of anyway.
    """
    paused = select(Account.id).where(_in_state(PAUSED))
    off = (select(Account.id).join(Grant, Account.grant_id == Grant.id)
           .join(PlatformApp, Grant.app_id == PlatformApp.id)
           .where(Account.state == ACTIVE, PlatformApp.is_on.is_(False)))
    waits = {**_waiting(paused, now), **_waiting(off, now)}
    known = set(told)
    found = [_risk(one, workspace, *waits[one.id]) for some in _chunks(sorted(set(waits) - known))
             for one, workspace in accounts.outlined(Account.id.in_(some))]
    done = {one.subject_id for one in found} | known
    return found + _after_the_end([row for row in rows if row[0].id not in done], now)


def _waiting(which: Any, now: datetime) -> dict[str, tuple[int, datetime]]:
    """How many deliveries wait within three months and when the first is due, by account, where any does."""
    ahead = (Delivery.account_id.in_(which), Delivery.scheduled_for <= now + LOOKS_AHEAD)
    what = select(Delivery.account_id, func.count(), func.min(Delivery.scheduled_for)).group_by(Delivery.account_id)
    found: dict[str, tuple[int, datetime]] = {}
    for query in (what.where(*ahead, Delivery.is_heavy.in_((False, True)), Delivery.due_at.is_not(None),
                             Delivery.state == SCHEDULED), what.where(*ahead, Delivery.state == HELD)):
        for account_id, number, first in db.session.execute(query):
            before = found.get(account_id, (0, first))
            found[account_id] = (before[0] + number, min(before[1], first))
    return found


def _risk(one: Outline, workspace: Workspace, number: int, first: datetime) -> Found:
    posts = _posts(number)
    when = exact(first, workspace.time_zone)
    if one.state == PAUSED:
        summary = f"{who(one)} is paused, and {posts} planned for it, the first for {when}."
        step = "Resume it before then. Until somebody does, they are held."
    else:
        summary = (f"{provider_of(one.platform).name} is switched off in this console, and {posts} planned for "
                   f"{who(one)}, the first for {when}.")
        step = "They go out once an administrator turns it on again. Ask one if they cannot wait."
    return _of_account(alerts.POSTS_AT_RISK, one, workspace, summary, step)


def _posts(number: int) -> str:
    return "1 post is" if number == 1 else f"{number} posts are"


def _after_the_end(rows: Sequence[tuple[Outline, Workspace]], now: datetime) -> list[Found]:
    """Of connections that end: the posts planned for later than that."""
    found = []
    for some in _chunks(rows):
        # Most posts are planned for before any end, and are not read at all.
        first = max(now, min((one.ends for one, _ in some if one.ends is not None), default=now))
        due: dict[str, list[datetime]] = {}
        for account_id, at in db.session.execute(
                select(Delivery.account_id, Delivery.scheduled_for).where(
                    Delivery.account_id.in_([one.id for one, _ in some]), Delivery.is_heavy.in_((False, True)),
                    Delivery.due_at.is_not(None), Delivery.state == SCHEDULED,
                    Delivery.scheduled_for >= first,
                    Delivery.scheduled_for <= now + LOOKS_AHEAD)):
            due.setdefault(account_id, []).append(at)
        for one, workspace in some:
            late = [at for at in due.get(one.id, ()) if one.ends is not None and at >= one.ends]
            if late and one.ends is not None:
                ends = exact(one.ends, workspace.time_zone)
                found.append(_of_account(
                    alerts.POSTS_AT_RISK, one, workspace,
                    f"The connection of {who(one)} ends {ends}, and {_posts(len(late))} planned for later than that.",
                    "Reconnect it before then, and they go out as planned."))
    return found


def newest_event() -> str:
    """The id of the last step of any delivery; empty if there is none."""
    return db.session.scalar(select(func.max(DeliveryEvent.id))) or ""


def before(event_id: str, length: timedelta) -> str:
    """An id that is this much older than that of a step: ids begin with their instant."""
    try:
        at = ULID.from_str(event_id.partition("_")[2]).datetime
    except ValueError:
        return ""
    return f"dle_{ULID.from_datetime(at - length)}"


def posts(after: str) -> list[Found]:
    """The posts that a person has to decide about: those that came to it since a step, and those known to be so."""
    lately = (select(Delivery.post_id).join(DeliveryEvent, DeliveryEvent.delivery_id == Delivery.id)
              .where(DeliveryEvent.id > after, DeliveryEvent.state.in_(PROBLEMS)))
    known = select(Incident.subject_id).where(Incident.kind == alerts.POST_FAILED, Incident.closed_at.is_(None))
    rows = db.session.execute(
        select(Delivery.post_id, Delivery.state, Delivery.note, Delivery.workspace_id, Account.platform,
               Account.display_name, Account.username, Post.text, Post.author_id)
        .join(Post, Delivery.post_id == Post.id).join(Account, Delivery.account_id == Account.id)
        .where(Delivery.post_id.in_(union(lately, known).subquery().select()), Delivery.state.in_(PROBLEMS),
               or_(Delivery.state != UNCONFIRMED, and_(Delivery.due_at.is_(None), Delivery.lease_until.is_(None))))
        .order_by(Delivery.id))
    by_post: dict[str, list[Any]] = {}
    for row in rows:
        by_post.setdefault(row.post_id, []).append(row)
    return [_post(post_id, lines) for post_id, lines in by_post.items()]


# state -> what happened to a post at one profile, and what helps; {who} is the profile, {note} what was said
_SENTENCES = {
    FAILED: ("It was not published to {who}. {note}", "Change it and try again, or cancel it."),
    MISSED: ("Its time for {who} passed before it could go out. {note}", "Give it a new time, or cancel it."),
    UNCONFIRMED: ("Nobody knows whether it is out at {who}. {note}",
                  "Look there first. Then mark it as published, or publish it again."),
}


def _post(post_id: str, lines: Sequence[Any]) -> Found:
    first = lines[0]
    name = " ".join(first.text.split())
    name = f"{name[:EXCERPT].rstrip()}…" if len(name) > EXCERPT else name or "Post without text"
    said, step = _SENTENCES[first.state]
    profile = f"{first.display_name or first.username} ({provider_of(first.platform).name})"
    more = len(lines) - 1
    summary = said.format(who=profile, note=first.note).strip()
    if more:
        summary += f" The same post needs somebody for {more} more {'profile' if more == 1 else 'profiles'}."
    return Found(alerts.POST_FAILED, POST, post_id, name, summary, step, first.workspace_id, first.platform,
                 author_id=first.author_id or "")


# ---------------------------------------------------------------- what administrators are told


def apps(now: datetime) -> list[Found]:
    """The apps that a platform refuses, whose credentials are wrong, whose callback changed, or that are out."""
    found = []
    for app in db.session.scalars(select(PlatformApp).order_by(PlatformApp.id)):
        told = _app(app, now) if app.is_saved else None
        if told is not None:
            kind, summary, step = told
            found.append(Found(kind, APP, app.segment, platform_apps.title(app), summary, step, None, app.platform))
    return found


def _app(app: PlatformApp, now: datetime) -> tuple[str, str, str] | None:
    name = provider_of(app.platform).name
    if app.trouble and app.trouble_code == breaker.TROUBLE:
        if app.trouble_at is not None and now - app.trouble_at < OUT_FOR:
            return None
        return alerts.PLATFORM_OUT, app.trouble, "Do nothing: the console goes on by itself when the platform does."
    if app.trouble and app.trouble_code.startswith(BY_CHECK):
        return alerts.CREDENTIALS_WRONG, app.trouble, f"Replace what is wrong under Configure {name}, then check it."
    if app.trouble:
        return (alerts.PLATFORM_REFUSED, app.trouble, f"Open Configure {name}, compare it with the platform's portal, "
                "and check the credentials.")
    if app.is_on and app.is_check_current and app.check_verdict in WRONG:
        return (alerts.CREDENTIALS_WRONG, app.check_message, f"Replace what is wrong under Configure {name}, then "
                "check it.")
    change = platform_apps.callback_change(app) if app.is_on else None
    if change is not None:
        return alerts.CALLBACK_CHANGED, str(change), f"Register the new callback, then save Configure {name} again."
    return None


def canaries_failing(now: datetime) -> list[Found]:
    """The canaries that somebody has to look after."""
    return [Found(alerts.CANARY_FAILED, CONSOLE, f"canary.{slug}", f"{provider_of(slug).name} canary",
                  f"The canary of {provider_of(slug).name} fails. {trouble.text}", trouble.step, None, slug)
            for slug, trouble in canaries.troubled(now)]


def mails(now: datetime) -> list[Found]:
    """Whether mails wait for long, or were given up."""
    status = outbox.status(now)
    if not status.is_set:
        return []
    said = ""
    if status.given_up_at is not None and status.given_up_at > now - GIVEN_UP_FOR:
        said = f"{'1 mail was' if status.given_up == 1 else f'{status.given_up} mails were'} given up lately."
    elif status.oldest is not None and status.oldest < now - WAITED_FOR and status.trouble:
        said = f"{'1 mail waits' if status.waiting == 1 else f'{status.waiting} mails wait'} to be taken."
    if not said:
        return []
    return [Found(alerts.INSTALLATION, CONSOLE, MAIL, "E-mail", f"{said} {status.trouble}".strip(),
                  "Look at the mail server of the settings, then send yourself a test mail under Alerts.")]


def _chunks(values: Sequence[Value], size: int = CHUNK) -> Iterable[Sequence[Value]]:
    return (values[start : start + size] for start in range(0, len(values), size))
