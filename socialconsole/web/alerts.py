"""Alerts: what needs somebody, in a workspace and for administrators; what is mailed to a person; a test mail."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, g, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from .. import access, alerts, incidents, outbox, outside
from ..access import may, requires
from ..alerts import (
    ACCOUNT_BROKEN,
    ACCOUNT_ENDING,
    CANARY_FAILED,
    CREDENTIALS_WRONG,
    DAILY,
    DATA_ENDING,
    OFF,
    PLATFORM_OUT,
    PLATFORM_REFUSED,
    POST_FAILED,
    POSTS_AT_RISK,
    WEEKLY,
    Wishes,
)
from ..findings import APP, POST
from ..models import VIEWER, Incident
from ..providers import provider as provider_of
from .page import done, invalid, moved, show

bp = Blueprint("alerts", __name__)

# kind -> the status word whose tone and icon it has, and its chip
SIGNS = {
    ACCOUNT_BROKEN: ("token_expired", "Needs you"), ACCOUNT_ENDING: ("expiring", "Ends soon"),
    DATA_ENDING: ("warn", "Data ends"), POSTS_AT_RISK: ("warn", "At risk"), POST_FAILED: ("failed", "Not published"),
    PLATFORM_OUT: ("info", "Their outage"), PLATFORM_REFUSED: ("attention", "Refused"),
    CREDENTIALS_WRONG: ("attention", "Credentials"), CANARY_FAILED: ("attention", "Canary"),
}
OTHER = ("warn", "Attention")
RECONNECTABLE = (ACCOUNT_BROKEN, ACCOUNT_ENDING, DATA_ENDING)
BANNER_KINDS = (ACCOUNT_BROKEN, ACCOUNT_ENDING, POSTS_AT_RISK)
# Pages at whose top a banner says what is open, unless they have one of their own.
WORKSPACE_PAGES = ("accounts.index", "posts.index", "compose.compose", "calendar.index")
ADMIN_PAGES = ("health.page", "platform_apps.index")
IN_BANNER = 2
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PROPOSED = "proposed"  # in the form: as the console proposes
OUTAGE = "Their outage: your connections are fine. Do nothing, it goes on by itself."


@dataclass(frozen=True)
class Line:
    """One incident as a page shows it: its sign, a sentence, the next step and where that is."""

    incident: Incident
    sign: str
    label: str
    title: str
    text: str
    step: str
    address: str
    reconnects: bool = False
    is_muted: bool = False
    seems_over: bool = False  # it was not found any more, and is over once that has lasted


def _line(one: Incident, muted: Sequence[str] = ()) -> Line:
    sign, label = SIGNS.get(one.kind, OTHER)
    reconnects = one.kind in RECONNECTABLE and one.closed_at is None and may("reconnect")
    return Line(one, sign, label, one.subject_name, one.summary, one.step, _address(one), reconnects, one.id in muted)


def _lines(rows: Sequence[Incident], muted: Sequence[str] = ()) -> list[Line]:
    """What is open; what was not found any more says so."""
    still = {one.id for one in incidents.still_so(rows)}
    return [replace(_line(one, muted), seems_over=one.id not in still) for one in rows]


def _address(one: Incident) -> str:
    """The page of the very thing that an incident is about."""
    if one.subject_type == APP:
        return url_for("platform_apps.edit", segment=one.subject_id)
    if one.kind == CANARY_FAILED:
        return url_for("health.page", _anchor="canaries")
    if one.workspace_id is None:
        return url_for("alerts.admin")
    if one.subject_type == POST:
        return url_for("posts.post", workspace_id=one.workspace_id, post_id=one.subject_id)
    return url_for("accounts.account", workspace_id=one.workspace_id, account_id=one.subject_id)


def _outage(one: Incident) -> Line:
    """An outage as tenants read it: without what only administrators have to know."""
    name = provider_of(one.platform).name
    sign, label = SIGNS[PLATFORM_OUT]
    return Line(one, sign, label, name, f"{name} answers nobody properly at the moment.", OUTAGE, "")


# ---------------------------------------------------------------- a workspace


@bp.get("/w/<workspace_id>/alerts")
@requires("see")
def page(workspace_id: str) -> ResponseReturnValue:
    """What needs somebody in this workspace, and what did within 90 days."""
    return show("alerts.html", "open", **_page())


def _page() -> dict[str, Any]:
    muted = alerts.wishes(g.user).muted
    return {"outages": [_outage(one) for one in incidents.outages_for(g.workspace)],
            "lines": _lines(incidents.open_for(g.workspace), muted),
            "past": [_line(one) for one in incidents.past(g.workspace, outside.now())]}


@bp.post("/w/<workspace_id>/alerts/<incident_id>/mute")
@requires("see")
def mute(workspace_id: str, incident_id: str) -> ResponseReturnValue:
    """Say nothing more to this person about one incident, or say it again."""
    found = incidents.one_of(g.workspace, incident_id)
    is_muted = request.form.get("muted", "yes") == "yes"
    alerts.mute(g.user, found.id, is_muted=is_muted)
    said = "You get no more mails about it, and no banner shows it." if is_muted else "You are told about it again."
    return done("alerts.html", "open", url_for(".page", workspace_id=workspace_id), said, **_page())


# ---------------------------------------------------------------- administrators


@bp.get("/admin/alerts")
@requires("admin")
def admin() -> ResponseReturnValue:
    """What administrators have to look after, and how the outbox stands."""
    return show("alerts_admin.html", None, **_admin())


def _admin(**more: Any) -> dict[str, Any]:
    now = outside.now()
    return {"lines": _lines(incidents.open_for_admin()),
            "past": [_line(one) for one in incidents.past(None, now)], "mails": outbox.status(now),
            "asked": False, "refused": "", **more}


@bp.post("/admin/alerts/test-mail")
@requires("admin")
def test_mail() -> ResponseReturnValue:
    """Send a mail to whoever asks, and say what the mail server answered."""
    refused = outbox.send_test(g.user)
    if not refused:
        return moved(url_for(".admin"), f"The mail server took a mail to {g.user.email}.")
    return show("alerts_admin.html", "mail", 422, **_admin(asked=True, refused=refused))


# ---------------------------------------------------------------- a person's wishes


@bp.get("/me/alerts")
@requires("signed_in")
def mine() -> ResponseReturnValue:
    """What is mailed to this person, and a form to choose."""
    return show("alerts_me.html", None, **_mine(alerts.wishes(g.user)))


def _mine(wanted: Wishes, **more: Any) -> dict[str, Any]:
    members = access.memberships(g.user)
    return {"wanted": wanted, "members": members, "kinds": _kinds(members), "days": tuple(enumerate(DAYS)),
            "hours": [(hour, f"{hour:02}:00") for hour in range(24)], "words": alerts.CHOICE_WORDS,
            "digests": _digests(members), "errors": {}, "is_set": outbox.status(outside.now()).is_set, **more}


def _kinds(members: Sequence[Any]) -> list[tuple[alerts.Kind, str]]:
    """The kinds that this person can be mailed about, each with what the console proposes in words."""
    roles = {member.role for member in members}
    found = []
    for kind in alerts.KINDS:
        if kind.is_admins and g.user.is_platform_admin:
            found.append((kind, "yes"))
        elif not kind.is_admins and roles - {VIEWER}:
            found.append((kind, _proposed(kind, roles)))
    return found


def _proposed(kind: alerts.Kind, roles: set[str]) -> str:
    """What is mailed without a choice, for each role that this person has."""
    said = {role: alerts.CHOICE_WORDS[alerts.PROPOSALS[role].get(kind.slug, OFF)].lower()
            for role in alerts.MAILED_ROLES if role in roles}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{words} as {role}" for role, words in said.items())


def _digests(members: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    proposed = Wishes().digest_for([member.role for member in members])
    return ((PROPOSED, f"As proposed: {'every week' if proposed == WEEKLY else 'none'}"), (OFF, "None"),
            (DAILY, "Every day"), (WEEKLY, "Every week"))


@bp.post("/me/alerts")
@requires("signed_in")
def save_mine() -> ResponseReturnValue:
    """Keep what this person wants to be mailed."""
    wanted = _read()
    try:
        is_changed = alerts.save(g.user, wanted, outside.now())
    except alerts.Invalid as refusal:
        return invalid("alerts_me.html", "wishes", **_mine(wanted, errors=refusal.errors))
    return moved(url_for(".mine"), "Saved." if is_changed else "Nothing was changed.")


def _read() -> Wishes:
    """What the form sent; a place that is no workspace of this person is left out."""
    form, own = request.form, {member.workspace_id for member in access.memberships(g.user)}
    before = alerts.wishes(g.user)
    chosen = {kind.slug: form[f"mail_{kind.slug}"] for kind in alerts.KINDS if f"mail_{kind.slug}" in form}
    mails = {**before.mails, **chosen}
    digest = form.get("digest", before.digest or PROPOSED)
    return replace(before, mails={slug: one for slug, one in mails.items() if one != PROPOSED},
                   digest="" if digest == PROPOSED else digest, weekday=_number("weekday"), hour=_number("hour"),
                   quiet=tuple(one for one in form.getlist("quiet") if one in own))


def _number(name: str) -> int:
    typed = request.form.get(name, "")
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 4 else -1


# ---------------------------------------------------------------- on other pages


def banner() -> list[Line]:
    """What the banner of this page says; nothing on pages that have none."""
    if request.endpoint in ADMIN_PAGES and may("admin"):
        return [_line(one) for one in _open_admin()]
    if request.endpoint in WORKSPACE_PAGES and g.get("workspace"):
        mine = sorted((_line(one) for one in _open() if one.kind in BANNER_KINDS),
                      key=lambda line: BANNER_KINDS.index(line.incident.kind))
        return mine + [_outage(one) for one in incidents.still_so(incidents.outages_for(g.workspace))]
    return []


def _open() -> list[Incident]:
    if "open_incidents" not in g:
        g.open_incidents = incidents.still_so(incidents.open_for(g.workspace, g.user))
    found: list[Incident] = g.open_incidents
    return found


def _open_admin() -> list[Incident]:
    if "open_admin" not in g:
        g.open_admin = incidents.still_so(incidents.open_for_admin())
    found: list[Incident] = g.open_admin
    return found


def bell(around: Any) -> tuple[str, int]:
    """Where the bell leads, and how much is open there; an empty address where there is nothing to lead to."""
    if around.is_admin_area:
        return url_for("alerts.admin"), len(_open_admin())
    if around.workspace is None:
        return "", 0
    if g.get("workspace") is not None and g.workspace.id == around.workspace.id:
        return url_for("alerts.page", workspace_id=around.workspace.id), len(_open())
    return (url_for("alerts.page", workspace_id=around.workspace.id),
            len(incidents.still_so(incidents.open_for(around.workspace, g.user))))


@bp.record_once
def _init(state: BlueprintSetupState) -> None:
    state.app.jinja_env.globals.update(alert_banner=banner, alert_bell=bell, alerts_in_banner=IN_BANNER)
