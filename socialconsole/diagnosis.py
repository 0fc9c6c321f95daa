"""Why can't this be published? All that a post has to pass, looked at in order, up to the one that blocks.

Reads the database alone, and changes nothing: what only the platform itself can tell is `rehearsal`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from . import accounts, breaker, checks, deliveries, drafts, platform_apps, tokens, weather
from .checks import Choice
from .drafts import Content
from .errors import ConfigurationWrong
from .extensions import db
from .models import (
    ACTIVE,
    CANCELLED,
    DEAD,
    DISCONNECTED,
    DRAFT,
    FAILED,
    HELD,
    MISSED,
    OWNER,
    PAUSED,
    PUBLISHED,
    SCHEDULED,
    SUBMITTED,
    UNCONFIRMED,
    UNSENT,
    Account,
    Delivery,
    Membership,
    PlatformApp,
    Post,
    User,
    Workspace,
)
from .outside import now as present
from .providers import provider as provider_of
from .times import exact

# What is looked at, in this order.
PLATFORM, APP, ACCOUNT, PERMISSION, LIMIT, CONTENT, APPROVAL, SCHEDULE = (
    "platform", "app", "account", "permission", "limit", "content", "approval", "schedule")
# What helps: each is a link or a button of the page; WAIT needs nobody.
ASK_ADMIN, RECONNECT, RESUME, EDIT, APPROVE, RESCHEDULE, DECIDE, WAIT = (
    "ask_admin", "reconnect", "resume", "edit", "approve", "reschedule", "decide", "wait")
MOST_NAMES = 3


@dataclass(frozen=True)
class Step:
    """One thing that was looked at: passed, or what blocks and what helps. `who`: the names of those who can.

    `is_remark`: it passed, and there is something to know about it.
    """

    name: str
    title: str
    passed: bool
    text: str
    fix: str = ""
    who: str = ""
    is_remark: bool = False

    @property
    def tone(self) -> str:
        """The status word whose colour and icon it has."""
        return "bad" if not self.passed and self.fix != WAIT else "ok" if self.passed and not self.is_remark else "warn"


@dataclass(frozen=True)
class About:
    """What is looked at: one account, perhaps what it shall publish, perhaps a post that was written already."""

    workspace: Workspace
    account: Account
    now: datetime
    delivery: Delivery | None = None
    post: Post | None = None
    content: Content | None = None
    choice: Choice = Choice()

    @property
    def platform(self) -> str:
        """What people call the platform."""
        return provider_of(self.account.platform).name

    @property
    def name(self) -> str:
        """What people call the profile."""
        return self.account.display_name or self.account.username

    @property
    def app(self) -> PlatformApp | None:
        """The app that the profile hangs on."""
        return self.account.grant.app if self.account.grant is not None else None

    def at(self, instant: datetime) -> str:
        """An instant in words, by the clock of the workspace."""
        return exact(instant, self.workspace.time_zone)


def why(workspace: Workspace, account: Account, delivery: Delivery | None = None, content: Content | None = None, *,
        post: Post | None = None, choice: Choice | None = None) -> list[Step]:
    """What a post has to pass on its way to an account, up to the first that blocks; only the last may not have passed.

    Without `content` it is that of the post or delivery; without any, only what concerns the profile is looked at.
    """
    post = delivery.post if delivery is not None else post
    if content is None and post is not None:
        content = drafts.load(post.text, post.content)
    if choice is None:
        choice = Choice(delivery.format, delivery.options) if delivery is not None else Choice()
    about = About(workspace, account, present(), delivery, post, content, choice)
    steps: list[Step] = []
    for look in LOOKS:
        step = look(about)
        if step is not None:
            steps.append(step)
            if not step.passed:
                break
    return steps


def blocker(steps: Sequence[Step]) -> Step | None:
    """The step that blocks; None if all passed."""
    return steps[-1] if steps and not steps[-1].passed else None


def admins() -> str:
    """The names of those who may change platforms, as a person would ask for them."""
    return _names(db.session.scalars(select(User).where(User.is_platform_admin.is_(True)).order_by(User.created_at)))


def owners(workspace: Workspace) -> str:
    """The names of the owners of a workspace."""
    return _names(db.session.scalars(
        select(User).join(Membership, Membership.user_id == User.id)
        .where(Membership.workspace_id == workspace.id, Membership.role == OWNER).order_by(User.created_at)))


def _names(people: object) -> str:
    names = [one.shown for one in people]  # type: ignore[attr-defined]
    shown = names[:MOST_NAMES]
    return " or ".join(", ".join(shown).rsplit(", ", 1)) if shown else ""


# ---------------------------------------------------------------- what is looked at


def _platform(about: About) -> Step | None:
    app, title = about.app, f"{about.platform} is switched on"
    if app is None:
        return None  # the next step that fits says that the profile is not connected
    if not app.is_on:
        return Step(PLATFORM, f"{about.platform} is switched off", False,
                    f"{platform_apps.why_off(app, about.workspace.time_zone)} Nothing is published to it until an "
                    "administrator of this console turns it on.", ASK_ADMIN,
                    admins())
    if not platform_apps.is_reachable(app):
        return Step(PLATFORM, f"{about.platform} cannot be reached", False,
                    "This profile belongs to the sandbox, which is switched off.", ASK_ADMIN, admins())
    return Step(PLATFORM, title, True, "Tenants of this console may publish to it.")


def _app(about: About) -> Step | None:
    app = about.app
    if app is None:
        return None
    refused = f"{about.platform} refuses this console"
    try:
        tokens.app_facts(app)
    except ConfigurationWrong as error:
        return Step(APP, refused, False, error.message, ASK_ADMIN, admins())
    until = breaker.blocked(app, about.now)
    if until is not None:
        title = f"{about.platform} fails for all profiles at the moment"
        if app.trouble and app.trouble_code != breaker.TROUBLE:
            return Step(APP, refused, False, app.trouble, ASK_ADMIN, admins())
        return Step(APP, title, False, f"The console tries again {about.at(until)} and goes on by itself.", WAIT)
    if app.trouble and app.trouble_code != breaker.TROUBLE:
        return Step(APP, refused, False, app.trouble, ASK_ADMIN, admins())
    said = weather.about(about.account, about.now)
    if said and about.account.state == ACTIVE:
        return Step(APP, f"{about.platform} is in trouble", True, said, is_remark=True)
    return Step(APP, f"The app at {about.platform} works", True, app.trouble or "Nothing is wrong with its settings.")


def _account(about: About) -> Step:
    account, grant = about.account, about.account.grant
    if account.state == PAUSED:
        return Step(ACCOUNT, f"{about.name} is paused", False,
                    f"Paused by {account.state_by or 'an owner'}, {about.at(account.state_since)}. Nothing is "
                    "published until it is resumed.", RESUME, owners(about.workspace))
    if account.state == DISCONNECTED:
        return Step(ACCOUNT, f"{about.name} is disconnected", False, "Connect the profile again.", RECONNECT)
    if account.state != ACTIVE or grant is None or grant.state == DEAD:
        reason = account.reason_text or (grant.last_error if grant is not None else "")
        said = weather.about(account, about.now)
        return Step(ACCOUNT, f"{about.name} has to be reconnected", False,
                    f"{reason or f'{about.platform} no longer accepts the connection.'} {said}".strip(), RECONNECT)
    if about.app is not None and grant.app_generation != about.app.generation:
        return Step(ACCOUNT, f"{about.name} has to be reconnected", False,
                    f"The app at {about.platform} was exchanged for another one.", RECONNECT)
    ends = accounts.token_ends(account)
    if ends is not None and ends <= about.now:
        return Step(ACCOUNT, f"{about.name} has to be reconnected", False,
                    f"The permission ran out {about.at(ends)}.", RECONNECT)
    return _token(about) or Step(ACCOUNT, f"{about.name} is connected", True, "Its access is kept fresh.")


def _token(about: About) -> Step | None:
    """Whether the profile waits for a token that could not be renewed yet."""
    grant, account = about.account.grant, about.account
    if grant is None or account.own_token_sealed is not None or not grant.attempts or grant.due_at is None:
        return None
    if grant.access_expires_at is None or grant.access_expires_at > about.now:
        return None
    return Step(ACCOUNT, f"{about.name} waits for a fresh token", False,
                f"{grant.last_error} The next try is {about.at(max(grant.due_at, about.now))}.".strip(), WAIT)


def _permission(about: About) -> Step:
    lacking = accounts.missing_to_publish(about.account) or _lacking(about, about.choice.format)
    if lacking:
        return _not_granted(about, lacking)
    return Step(PERMISSION, "The permission to publish is there", True, "All that publishing needs was granted.")


def _lacking(about: About, slug: str) -> tuple[str, ...]:
    """The permissions that a format needs and the profile lacks."""
    format = next((one for one in provider_of(about.account.platform).formats if one.slug == slug), None)
    if format is None or about.content is None:
        return ()
    return accounts.missing_of(format.needs, drafts.granted(about.account.grant))


def _not_granted(about: About, lacking: Sequence[str]) -> Step:
    return Step(PERMISSION, "A permission is missing", False,
                f"{accounts.not_granted(lacking)} to {about.name}. Reconnect asks for it again.", RECONNECT)


def _limit(about: About) -> Step:
    quiet = max((at for at in (about.account.quiet_until, about.app.quiet_until if about.app else None) if at),
                default=about.now)
    if quiet > about.now:
        return Step(LIMIT, f"{about.platform} asked us to wait", False,
                    f"A limit is used up. It goes on by itself {about.at(quiet)}.", WAIT)
    return Step(LIMIT, "No limit is used up", True, f"{about.platform} did not ask us to wait.")


def _content(about: About) -> Step | None:
    if about.content is None or _is_out(about):
        return None
    checked = checks.check(about.workspace, about.content, [about.account], {about.account.id: about.choice})[0]
    lacking = _lacking(about, checked.format)
    if lacking:
        return _not_granted(about, lacking)
    if checked.problems:
        more = len(checked.problems) - 1
        also = f" {more} more {'thing is' if more == 1 else 'things are'} wrong." if more else ""
        return Step(CONTENT, "The post does not fit", False, checked.problem + also, EDIT)
    return Step(CONTENT, "The post fits", True, f"{checked.count:,} of {checked.most:,} {checked.counted_as}, and "
                                                "nothing else in the way.")


def _approval(about: About) -> Step | None:
    post = about.post
    if post is None:
        return None
    if post.state == SUBMITTED:
        by = f"{post.submitted_by} submitted it. " if post.submitted_by else ""
        return Step(APPROVAL, "It waits for approval", False, f"{by}An owner of this workspace has to approve it.",
                    APPROVE, owners(about.workspace))
    if post.state == DRAFT:
        note = f" It was sent back: {post.review_note}" if post.review_note else ""
        return Step(APPROVAL, "It is a draft", False, f"Nobody has scheduled it yet.{note}", EDIT)
    if post.reviewed_by:
        return Step(APPROVAL, "It is approved", True, f"Approved by {post.reviewed_by}.")
    return Step(APPROVAL, "It needs no approval", True, "It may go out as it is.")


def _schedule(about: About) -> Step | None:
    delivery = about.delivery
    if delivery is None:
        return None
    if delivery.state == SCHEDULED:
        due = delivery.due_at or delivery.scheduled_for
        if deliveries.is_too_late(delivery, about.now):
            return Step(SCHEDULE, "Its time has passed", False, "Give it a new time.", RESCHEDULE)
        when = f"It goes out {about.at(due)}." if due > about.now else "It is due and goes out in a moment."
        return Step(SCHEDULE, "It is scheduled", True, f"{delivery.note} {when}".strip())
    found = _AT_REST.get(delivery.state)
    if found is None:
        return Step(SCHEDULE, "It is on its way", True, delivery.note or f"{about.platform} is being asked.")
    title, passed, otherwise, fix = found
    return Step(SCHEDULE, title, passed, delivery.note or otherwise, fix)


# state of a delivery -> title, whether nothing is left to do, the sentence where it has no note, what helps
_AT_REST = {
    HELD: ("It is held", False, "What it waited for may be over. Reschedule it, and it goes out.", RESCHEDULE),
    MISSED: ("Its time has passed", False, "Its window passed while it could not go out. Give it a new time.",
             RESCHEDULE),
    FAILED: ("It failed when it was sent", False, "The platform refused it. Change it and try again.", EDIT),
    UNCONFIRMED: ("Nobody knows whether it is out", False, "The platform did not answer and may have it.", DECIDE),
    CANCELLED: ("It was cancelled", False, "Nothing is sent unless it gets a new time.", RESCHEDULE),
    PUBLISHED: ("It is published", True, "There is nothing left to do.", ""),
}


def _is_out(about: About) -> bool:
    """Whether the post was taken by the platform already, so that its rules are no longer the question."""
    delivery = about.delivery
    return delivery is not None and delivery.state not in (SCHEDULED, HELD, MISSED, FAILED, CANCELLED, *UNSENT)


Look = Callable[[About], Step | None]
LOOKS: tuple[Look, ...] = (_platform, _app, _account, _permission, _limit, _content, _approval, _schedule)
