"""TikTok as the sandbox's generic files see it: its people, what can be set about apps, and pages that people open."""

from typing import Any

from flask import Response, make_response, redirect

from . import tiktok, tiktok_api
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, Number, Person, Play, Switch
from .shapes import letters
from .state import App
from .tiktok import PLATFORM, bp, open_id
from .world import World

PEOPLE = (
    Person(PLATFORM, "anna-bakes", "Anna Bakes", "annabakes", "anna@example.com", facts={
        "private": False, "closed": ("stitch",), "seconds": 300, "verified": True}),
    # A private account: the only kind that an app without an audit may post to.
    Person(PLATFORM, "ben-quiet", "Ben Quiet", "benquiet", "ben@example.com", protected=True, facts={
        "private": True, "closed": ("comment", "duet"), "seconds": 600}),
    # Signed in by mistake: no Target user of a sandbox, and banned from posting.
    Person(PLATFORM, "cleo-barred", "Cleo Barred", "cleobarred", "cleo@example.com", facts={
        "private": False, "seconds": 60, "target": False, "banned": True}),
)


SANDBOX = "sandbox"  # TikTok's own, with keys that begin with sb


def _credentials(mode: str) -> tuple[str, str]:
    return f"{'sb' if mode == SANDBOX else ''}aw{letters(14).lower()}", letters(32)


def _more_settings(mode: str) -> dict[str, Any]:
    return {"target_users_only": True, "audited": False} if mode == SANDBOX else {}


def _apps(here: World) -> list[str]:
    return [app.client_id for app in here.state.all(App) if app.platform == PLATFORM]


def _ids(here: World, who: Person) -> dict[str, Any]:
    return {"ids": {client_id: open_id(who.id, client_id) for client_id in _apps(here)}}


def _known_as(here: World, known_as: str) -> Person | None:
    return next((who for who in PEOPLE for client_id in _apps(here) if open_id(who.id, client_id) == known_as), None)


@bp.get("/p16-sign.tiktokcdn.com/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A portrait."""
    return picture_answer(owner, name)


@bp.get("/www.tiktok.com/@<username>")
def home(username: str) -> Response:
    """A profile's page: its posts."""
    who = next((one for one in PEOPLE if one.username == username), None)
    return make_response(redirect(f"/timeline?author={who.id}" if who else "/timeline"))


@bp.get("/www.tiktok.com/@<username>/<any(video, photo):kind>/<number>")
def permalink(username: str, kind: str, number: str) -> Response:
    """A post's page."""
    return make_response(redirect(f"/timeline/{PLATFORM}/{tiktok_api.post_of(number)}"))


PLAY = Play(
    platform=PLATFORM,
    known_as=open_id,
    label="TikTok",
    people=PEOPLE,
    blueprints=(tiktok.bp, tiktok_api.bp),
    credentials=_credentials,
    id_labels=("Client key", "Client secret"),
    modes=("", SANDBOX),
    mode_labels={SANDBOX: "TikTok's own sandbox"},
    more_settings=_more_settings,
    switches=(
        Switch("audited", "The Content Posting audit is passed", default=True,
               hint="without it only private accounts can be posted to, five a day"),
        Switch("desktop", "The platform is Desktop", hint="then PKCE is mandatory"),
        Switch("target_users_only", "This is a TikTok sandbox", hint="only Target users can sign in"),
        Switch("media_verified", "The media address is verified under URL properties", default=True),
        Switch("errors_with_200", "Refusals of tokens come with status 200"),
        Switch("login_kit", "Has Login Kit", default=True, hint="without it nobody gets to the consent"),
        Switch("content_posting", "Has the Content Posting API", default=True, hint="without it no video.* to post"),
        Switch("approved", "The review of the app is passed", default=True),
    ),
    numbers=(
        Number("active_users", "Posting accounts in 24 hours, once audited", 1000),
        Number("url_seconds", "Life of an upload address in seconds", 3600),
        Number("moderation_polls", "Questions until a public post has its id", 1),
    ),
    redirect_problem=tiktok.redirect_problem,
    operations=(*OPERATIONS, *MEDIA_OPERATIONS, "creator"),
    facts_of_person=_ids,
    find_person=_known_as,
)
