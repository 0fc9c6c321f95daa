"""X as the sandbox's generic files see it: its people, its apps and what can be set about them."""

import secrets
from urllib.parse import urlsplit

from flask import Response

from . import twitter, twitter_api, twitter_media
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, Number, Person, Play, Switch
from .shapes import address_problem, https_only, letters, packed
from .twitter import PLATFORM, bp

PEOPLE = (
    Person(PLATFORM, "2244994945", "Acme Bakery", "acme", "hello@acme.example"),
    Person(PLATFORM, "3071882561", "Bob Baker", "bob", "bob@baker.example"),
    Person(PLATFORM, "1580661436132757506", "Nora Quiet", "noraquiet", "nora@quiet.example", protected=True),
    Person(PLATFORM, "1712345678901234567", "Petra Long", "petra", "petra@long.example", subscription="Premium"),
)


def _credentials(mode: str) -> tuple[str, str]:
    return packed(f"{secrets.token_urlsafe(15)}:1:ci"), letters(50)


def _redirect_problem(uri: str, accept_http_loopback: bool) -> str:
    """http is taken at 127.0.0.1, and localhost never (docs.x.com: Callback URLs)."""
    problem = address_problem(uri)
    host = urlsplit(uri).hostname if not problem else ""
    if not problem and host == "localhost" and not accept_http_loopback:
        return "X does not take localhost. Use http://127.0.0.1, or turn on “Accept http on loopback”."
    return https_only(uri, accept_http_loopback or host == "127.0.0.1")


@bp.get("/pbs.twimg.com/profile_images/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A portrait."""
    return picture_answer(owner, name)


PLAY = Play(
    platform=PLATFORM,
    label="X",
    people=PEOPLE,
    blueprints=(twitter.bp, twitter_api.bp, twitter_media.bp),
    credentials=_credentials,
    id_labels=("OAuth 2.0 Client ID", "OAuth 2.0 Client Secret"),
    switches=(
        Switch("replay_kills", "A replayed refresh token ends the whole grant", default=True),
        Switch("newer_names", "Lists of posts take post.fields and refuse tweet.fields"),
        Switch("website_url", "Website URL is filled in", default=True, hint="without it nobody gets to the consent"),
        Switch("enrolled", "Is in the Pay-per-use package and Production", default=True),
        Switch("may_write", "App permissions are Read and write", default=True),
    ),
    operations=(*OPERATIONS, *MEDIA_OPERATIONS, "metadata"),
    numbers=(Number("posts_per_window", "Posts per person in 15 minutes", 100),),
    redirect_problem=_redirect_problem,
    code_bytes=48,
)
