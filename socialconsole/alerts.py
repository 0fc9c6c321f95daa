"""Who is told of what by mail: what the console proposes for each role, and what a person chose instead.

A choice is kept with the person, as far as it differs from what is proposed. Nothing here sends anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from . import audit
from .database import took, writing
from .extensions import db
from .models import EDITOR, OWNER, VIEWER, Incident, Membership, User

# Kinds of incidents.
ACCOUNT_BROKEN, ACCOUNT_ENDING, DATA_ENDING, POSTS_AT_RISK, POST_FAILED = (
    "account_broken", "account_ending", "data_ending", "posts_at_risk", "post_failed")
PLATFORM_REFUSED, CREDENTIALS_WRONG, PLATFORM_OUT, CALLBACK_CHANGED, CANARY_FAILED, INSTALLATION = (
    "platform_refused", "credentials_wrong", "platform_out", "callback_changed", "canary_failed", "installation")
ALL, OWN, OFF = "all", "own", "off"  # which incidents of a kind are mailed
DAILY, WEEKLY = "daily", "weekly"
PROPOSED = ""  # as the console proposes
MONDAY, MORNING = 0, 8
MOST_MUTED = 200


@dataclass(frozen=True)
class Kind:
    """A sort of incident as people choose it: what it is, in words, and the kinds of incidents that it covers."""

    slug: str
    label: str
    help: str
    covers: tuple[str, ...]
    choices: tuple[str, ...] = (ALL, OFF)
    is_admins: bool = False


KINDS = (
    Kind(ACCOUNT_BROKEN, "A profile stopped working", "It has to be reconnected, or a permission is missing.",
         (ACCOUNT_BROKEN,)),
    Kind(ACCOUNT_ENDING, "A connection ends soon", "14, 7 and 1 days before the end of one that cannot renew itself.",
         (ACCOUNT_ENDING, DATA_ENDING)),
    Kind(POSTS_AT_RISK, "Scheduled posts are at risk", "They are planned for a profile that is paused, or for a "
         "platform that is switched off.", (POSTS_AT_RISK,)),
    Kind(POST_FAILED, "A post did not go out", "It was refused, missed its time, or nobody knows whether it is out.",
         (POST_FAILED,), (ALL, OWN, OFF)),
    Kind(PLATFORM_REFUSED, "A platform refuses this console", "Its app, its ID or secret, or its callback is wrong.",
         (PLATFORM_REFUSED, CREDENTIALS_WRONG, CALLBACK_CHANGED), is_admins=True),
    Kind(CANARY_FAILED, "A canary fails", "The profile that is read every quarter of an hour, so that trouble shows "
         "there first.", (CANARY_FAILED,), is_admins=True),
    Kind(PLATFORM_OUT, "A platform is out of order", "For all profiles alike. Nobody has to do anything.",
         (PLATFORM_OUT,), is_admins=True),
    Kind(INSTALLATION, "The console itself needs somebody", "Its disk, its workers, its public address or its mails.",
         (INSTALLATION,), is_admins=True),
)
KIND_OF = {covered: kind for kind in KINDS for covered in kind.covers}
CHOICE_WORDS = {ALL: "Yes", OWN: "Only of my own posts", OFF: "No"}
# role -> what is mailed unless the person chose; what is not named is not mailed
PROPOSALS: Mapping[str, Mapping[str, str]] = {
    OWNER: {ACCOUNT_BROKEN: ALL, ACCOUNT_ENDING: ALL, POST_FAILED: ALL},
    EDITOR: {POST_FAILED: OWN},
    VIEWER: {},
}
MAILED_ROLES = (OWNER, EDITOR)


@dataclass(frozen=True)
class Wishes:
    """What one person wants to be mailed. `mails`: a kind's slug -> all, own, off; what is missing is as proposed."""

    mails: dict[str, str] = field(default_factory=dict)
    digest: str = PROPOSED  # off, daily, weekly
    weekday: int = MONDAY
    hour: int = MORNING
    quiet: tuple[str, ...] = ()  # workspaces of which nothing is mailed
    muted: tuple[str, ...] = ()  # incidents of which nothing more is mailed or shown in a banner
    since: str = ""  # when the digest was last chosen, ISO 8601: no earlier hour counts

    def choice(self, kind: str, role: str) -> str:
        """Which incidents of a kind are mailed to this person in this role."""
        chosen = self.mails.get(kind, PROPOSED)
        return chosen or PROPOSALS[role].get(kind, OFF)

    def digest_for(self, roles: Iterable[str]) -> str:
        """How often the digest comes to somebody with these roles in their workspaces."""
        return self.digest or (WEEKLY if OWNER in roles else OFF)


class Invalid(ValueError):
    """What was chosen cannot be; `errors` has a sentence per field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


# ---------------------------------------------------------------- a person's wishes


def wishes(user: User) -> Wishes:
    """What a person wants to be mailed. What cannot be read counts as not chosen."""
    return read(user.alerts)


def read(kept: Mapping[str, Any] | None) -> Wishes:
    """Wishes as they are kept."""
    kept = kept or {}
    mails = kept.get("mails") or {}
    hour, weekday = kept.get("hour", MORNING), kept.get("weekday", MONDAY)
    return Wishes(
        {kind.slug: mails[kind.slug] for kind in KINDS if mails.get(kind.slug) in kind.choices},
        kept.get("digest", PROPOSED) if kept.get("digest") in (OFF, DAILY, WEEKLY) else PROPOSED,
        weekday if weekday in range(7) else MONDAY, hour if hour in range(24) else MORNING,
        tuple(kept.get("quiet") or ()), tuple(kept.get("muted") or ()), str(kept.get("since") or ""))


def save(user: User, wanted: Wishes, now: datetime) -> bool:
    """Keep what a person chose; False if it is what it was. What they muted stays. Raises Invalid."""
    if problem := _problems(wanted):
        raise Invalid(problem)
    with writing() as session:
        session.refresh(user, with_for_update=True)
        before = wishes(user)
        timing = (before.digest, before.weekday, before.hour)
        since = before.since if timing == (wanted.digest, wanted.weekday, wanted.hour) else now.isoformat()
        wanted = replace(wanted, muted=before.muted, since=since)
        if wanted == before:
            return False
        user.alerts = {name: value for name, value in asdict(wanted).items() if value not in ("", (), {}, [])}
        audit.record("person.alerts", "user", user.id, "Changed what is mailed", name=user.shown)
    return True


def _problems(wanted: Wishes) -> dict[str, str]:
    errors = {}
    if wanted.digest not in (PROPOSED, OFF, DAILY, WEEKLY):
        errors["digest"] = "Choose off, every day or every week."
    if wanted.hour not in range(24):
        errors["hour"] = "Choose an hour of the day."
    if wanted.weekday not in range(7):
        errors["weekday"] = "Choose a day of the week."
    known = {kind.slug: kind.choices for kind in KINDS}
    for slug, choice in wanted.mails.items():
        if choice not in known.get(slug, ()):
            errors[slug] = "Choose one of those that are offered."
    return errors


def mute(user: User, incident_id: str, *, is_muted: bool) -> None:
    """Stop, or go on, telling one person of one incident."""
    with writing() as session:
        session.refresh(user, with_for_update=True)
        others = [one for one in wishes(user).muted if one != incident_id]
        muted = [*others, incident_id][-MOST_MUTED:] if is_muted else others
        kept = {**(user.alerts or {}), "muted": muted}
        took(update(User).where(User.id == user.id).values(alerts=kept))
        session.expire(user, ["alerts"])


# ---------------------------------------------------------------- who is told


@dataclass(frozen=True)
class Person:
    """Somebody who may be told, as a member of a workspace or, without one, as an administrator."""

    user: User
    wishes: Wishes
    role: str
    workspace_id: str | None


def people(workspace_ids: Iterable[str]) -> list[Person]:
    """The owners and editors of these workspaces, and all administrators. Two queries."""
    rows = db.session.execute(
        select(User, Membership.role, Membership.workspace_id).join(Membership, Membership.user_id == User.id)
        .where(Membership.workspace_id.in_(set(workspace_ids)), Membership.role.in_(MAILED_ROLES))
        .order_by(User.id)).all()
    admins = db.session.scalars(select(User).where(User.is_platform_admin.is_(True)).order_by(User.id))
    return ([Person(user, wishes(user), role, workspace_id) for user, role, workspace_id in rows]
            + [Person(user, wishes(user), "", None) for user in admins])


def told(found: Sequence[Person], incident: Incident, author_id: str = "") -> list[User]:
    """Which of these people get a mail about an incident. `author_id`: whose post it is about."""
    return [one.user for one in found if _wants(one, incident, author_id)]


def _wants(one: Person, incident: Incident, author_id: str) -> bool:
    kind = KIND_OF[incident.kind]
    if one.workspace_id != incident.workspace_id or incident.id in one.wishes.muted:
        return False
    if one.workspace_id is None:
        return one.wishes.mails.get(kind.slug, ALL) != OFF
    if one.workspace_id in one.wishes.quiet:
        return False
    choice = one.wishes.choice(kind.slug, one.role)
    return choice == ALL or (choice == OWN and author_id == one.user.id)
