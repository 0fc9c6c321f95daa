"""What the mails about incidents say: plain text, one line each, with a link to that very profile or post."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import alerts, outbox
from .findings import ACCOUNT, APP, POST
from .models import Incident, User, Workspace
from .providers import PROVIDERS
from .times import exact

MOST_LISTED = 30
UTC_ZONE = "UTC"

# kind -> subject of a mail about one, about several; {name}, {platform}, {number}, {days}
SUBJECTS: Mapping[str, tuple[str, str]] = {
    alerts.ACCOUNT_BROKEN: ("{name} ({platform}) stopped working",
                            "{number} profiles of {platform} stopped working"),
    alerts.ACCOUNT_ENDING: ("{name} ({platform}) has to be reconnected within {days}",
                            "{number} profiles of {platform} have to be reconnected soon"),
    alerts.DATA_ENDING: ("Access to data of {name} ({platform}) ends within {days}",
                         "Access to data of {number} profiles of {platform} ends soon"),
    alerts.POSTS_AT_RISK: ("Posts to {name} ({platform}) are at risk", "Posts to {number} profiles of {platform} are "
                           "at risk"),
    alerts.POST_FAILED: ("A post needs you: {name}", "{number} posts to {platform} need you"),
    alerts.PLATFORM_REFUSED: ("{name} refuses this console", "{platform} refuses {number} apps of this console"),
    alerts.CREDENTIALS_WRONG: ("The credentials of {name} are wrong", "The credentials of {number} apps of {platform} "
                               "are wrong"),
    alerts.PLATFORM_OUT: ("{name} is out of order", "{number} apps of {platform} are out of order"),
    alerts.CALLBACK_CHANGED: ("The callback of {name} changed", "The callbacks of {number} apps of {platform} changed"),
    alerts.CANARY_FAILED: ("The canary of {platform} fails", "{number} canaries fail"),
    alerts.INSTALLATION: ("The console needs somebody: {name}", "The console needs somebody for {number} things"),
}
CURED: Mapping[str, tuple[str, str]] = {
    alerts.ACCOUNT_BROKEN: ("{name} ({platform}) works again", "{number} profiles of {platform} work again"),
    alerts.ACCOUNT_ENDING: ("{name} ({platform}) is connected for longer",
                            "{number} profiles of {platform} are connected for longer"),
    alerts.DATA_ENDING: ("Access to data of {name} ({platform}) is renewed",
                         "Access to data of {number} profiles of {platform} is renewed"),
    alerts.POSTS_AT_RISK: ("Posts to {name} ({platform}) are no longer at risk",
                           "Posts to {number} profiles of {platform} are no longer at risk"),
    alerts.POST_FAILED: ("A post is out: {name}", "{number} posts to {platform} are out"),
    alerts.PLATFORM_REFUSED: ("{name} accepts this console again", "{platform} accepts {number} apps again"),
    alerts.CREDENTIALS_WRONG: ("The credentials of {name} are right again",
                               "The credentials of {number} apps of {platform} are right again"),
    alerts.PLATFORM_OUT: ("{name} works again", "{number} apps of {platform} work again"),
    alerts.CALLBACK_CHANGED: ("The callback of {name} is as it was saved",
                              "The callbacks of {number} apps of {platform} are as they were saved"),
    alerts.CANARY_FAILED: ("The canary of {platform} is well again", "{number} canaries are well again"),
    alerts.INSTALLATION: ("The console is well again: {name}", "The console is well again in {number} things"),
}


@dataclass(frozen=True)
class Letter:
    """Subject and text of one mail."""

    subject: str
    body: str


def address(incident: Incident, public_url: str) -> str:
    """The page of the very thing that an incident is about."""
    if incident.kind == alerts.CANARY_FAILED:
        return f"{public_url}/admin/health#canaries"
    if incident.workspace_id is None:
        return f"{public_url}/admin/platforms/{incident.subject_id}" if incident.subject_type == APP else \
            f"{public_url}/admin/alerts"
    place = {ACCOUNT: "profiles", POST: "posts"}[incident.subject_type]
    return f"{public_url}/w/{incident.workspace_id}/{place}/{incident.subject_id}"


def write(kind: str, incidents: Sequence[Incident], user: User, workspaces: Mapping[str, Workspace],
          notes: Mapping[str, str]) -> Letter:
    """The mail to a person about one or several incidents of one kind. `notes`: one more sentence, by incident id.

    `workspaces`: those of the incidents, by id.
    """
    public_url = outbox.config().public_url
    lines = [_item(kind, one, user, workspaces, notes.get(one.id, ""), public_url, alone=len(incidents) == 1)
             for one in incidents[:MOST_LISTED]]
    if len(incidents) > MOST_LISTED:
        lines.append(f"And {len(incidents) - MOST_LISTED} more.")
    return Letter(_subject(kind, incidents), "\n\n".join([*lines, _foot(incidents, workspaces, public_url)]) + "\n")


def _subject(kind: str, incidents: Sequence[Incident]) -> str:
    first, number = incidents[0], len(incidents)
    one, several = (CURED if kind == outbox.CURED else SUBJECTS)[first.kind]
    days = "1 day" if first.stage == 1 else f"{first.stage} days"
    platform = PROVIDERS[first.platform].name if first.platform in PROVIDERS else ""
    return (one if number == 1 else several).format(name=first.subject_name, number=number, days=days,
                                                    platform=platform)


def _item(kind: str, one: Incident, user: User, workspaces: Mapping[str, Workspace], note: str, public_url: str, *,
          alone: bool) -> str:
    workspace = workspaces.get(one.workspace_id or "")
    zone = user.time_zone or (workspace.time_zone if workspace is not None else UTC_ZONE)
    if kind == outbox.CURED:
        said = f"{_subject(kind, [one])}. Nothing more has to be done. It was noticed {exact(one.opened_at, zone)}."
    else:
        said = " ".join(part for part in (one.summary, note, one.step) if part)
    where = f"Workspace: {workspace.name}. " if workspace is not None else ""
    since = f"{where}Noticed {exact(one.opened_at, zone)}." if kind != outbox.CURED else where.strip()
    link = address(one, public_url)
    if alone:
        return "\n\n".join(part for part in (said, link, since) if part)
    return "\n".join(part for part in (f"- {said}", f"  {link}", f"  {since}" if since else "") if part)


def _foot(incidents: Sequence[Incident], workspaces: Mapping[str, Workspace], public_url: str) -> str:
    names = sorted({workspaces[one.workspace_id].name for one in incidents
                    if one.workspace_id is not None and one.workspace_id in workspaces})
    why = f"you belong to {', '.join(names)}" if names else "you are an administrator of this console"
    return f"-- \nYou get this because {why}. Choose what is mailed to you: {public_url}/me/alerts"
