"""LinkedIn as the sandbox's generic files see it: its people, its apps, the ids under which apps know members."""

from typing import Any

from flask import Response

from . import linkedin, linkedin_api, linkedin_media, linkedin_pages, linkedin_posts
from .linkedin import PLATFORM, bp, member_id
from .linkedin_people import PEOPLE
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, Person, Play, Switch
from .shapes import letters
from .state import App
from .world import World

SWITCHES = (
    Switch("refresh_tokens", "Give refresh tokens", hint="only approved apps get them"),
    Switch("first_profile_401", "Refuse the first profile call with a fresh token"),
    Switch("feed_scopes", "Own the scopes for comments", hint="a member's app seldom does"),
    Switch("sign_in_product", "Has Sign In with LinkedIn", default=True, hint="without it no openid, profile, email"),
    Switch("share_product", "Has Share on LinkedIn", default=True, hint="without it no w_member_social"),
)


def _credentials(mode: str) -> tuple[str, str]:
    return letters(14).lower(), f"WPL_AP1.{letters(16)}"


def _apps(here: World) -> list[str]:
    return [app.client_id for app in here.state.all(App) if app.platform == PLATFORM]


def _ids(here: World, who: Person) -> dict[str, Any]:
    ids = {client_id: member_id(who.id, client_id) for client_id in _apps(here)}
    return {"ids": ids, "organizations": list(who.facts.get("organizations", ()))}


def _member(here: World, known_as: str) -> Person | None:
    members = ((who, client_id) for who in PEOPLE for client_id in _apps(here))
    return next((who for who, client_id in members if member_id(who.id, client_id) == known_as), None)


@bp.get("/media.licdn.com/dms/image/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A portrait."""
    return picture_answer(owner, name)


PLAY = Play(
    platform=PLATFORM,
    known_as=member_id,
    label="LinkedIn",
    people=PEOPLE,
    blueprints=(linkedin.bp, linkedin_api.bp, linkedin_pages.bp, linkedin_media.bp, linkedin_posts.bp),
    credentials=_credentials,
    id_labels=("Client ID", "Primary Client Secret"),
    modes=("member", "organization"),
    mode_labels={"organization": "Community Management"},
    switches=SWITCHES,
    operations=(*OPERATIONS, *MEDIA_OPERATIONS, "comment"),
    facts_of_person=_ids,
    find_person=_member,
)
