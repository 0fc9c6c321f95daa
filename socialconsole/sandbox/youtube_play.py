"""YouTube as the sandbox's generic files see it: its channels and what can be set about apps.

A "person" is what Google's chooser offers: an account with one of its channels, or a brand account.
"""

from flask import Response

from . import youtube, youtube_api
from .pictures import picture_answer
from .plays import MEDIA_OPERATIONS, OPERATIONS, Number, Person, Play, Switch
from .shapes import address_problem, digits, https_only, letters, on_loopback
from .youtube import PLATFORM, bp

_ROSA = "110169484474386276334"
PEOPLE = (
    Person(PLATFORM, "rosa-kim", "Rosa Kim", "rosabakes", "rosa@example.com", facts={
        "sub": _ROSA, "channel": "UCrosaBakes0000000000001", "title": "Rosa bakes"}),
    # The same Google account with its second channel, which nobody verified yet.
    Person(PLATFORM, "rosa-kim-travel", "Rosa Kim, channel Rosa travels", "rosatravels", "rosa@example.com", facts={
        "sub": _ROSA, "channel": "UCrosaTravels00000000002", "title": "Rosa travels", "verified": False}),
    Person(PLATFORM, "acme-cycles", "Acme Cycles (brand account)", "acmecycles", "rosa@example.com", facts={
        "sub": "104928371650192837465", "channel": "UCacmeCycles000000000003", "title": "Acme Cycles"}),
    Person(PLATFORM, "leo-silent", "Leo Silent, without a channel", "leo", "leo@example.com", facts={
        "sub": "117283940516273849501", "test_user": False}),
    Person(PLATFORM, "dana-helper", "Dana Helper, a delegate", "danahelps", "dana@example.com", facts={
        "sub": "102938475610293847561", "channel": "UCdanaHelper000000000004", "title": "Dana helps",
        "delegate": True}),
)


def _credentials(mode: str) -> tuple[str, str]:
    return f"{digits(12)}-{letters(32).lower()}.apps.googleusercontent.com", f"GOCSPX-{letters(28)}"


def _redirect_problem(uri: str, accept_http_loopback: bool) -> str:
    """http on this machine only, and no name that ends in no public suffix (Google: redirect URI validation rules)."""
    problem = address_problem(uri) or https_only(uri, True)
    host = uri.split("/")[2].rpartition("@")[2].rsplit(":", 1)[0] if not problem else ""
    if problem or on_loopback(uri):
        return problem
    if host.endswith((".local", ".lan", ".internal")) or "." not in host:
        return "Google takes only names that end in a public top-level domain, such as .com."
    if host.replace(".", "").isdigit():
        return "Google takes no bare IP address here."
    return "" if "@" not in uri and "*" not in uri and "/.." not in uri else "Google takes no such address."


@bp.get("/yt3.ggpht.com/<owner>/<name>.png")
def picture(owner: str, name: str) -> Response:
    """A channel's picture."""
    return picture_answer(owner, name)


PLAY = Play(
    platform=PLATFORM,
    label="YouTube",
    people=PEOPLE,
    blueprints=(youtube.bp, youtube_api.bp),
    credentials=_credentials,
    id_labels=("Client ID", "Client secret"),
    switches=(
        Switch("testing", "Consent status is Testing", hint="refresh tokens end after 7 days"),
        Switch("internal", "Audience is Internal", hint="then nobody outside the organization can sign in"),
        Switch("api_enabled", "YouTube Data API v3 is enabled", default=True),
    ),
    numbers=(
        Number("channel_uploads", "Uploads per channel in 24 hours", 50),
        Number("session_seconds", "Life of an upload session in seconds", 7 * 86_400),
    ),
    redirect_problem=_redirect_problem,
    operations=(*OPERATIONS, *MEDIA_OPERATIONS, "thumbnail"),
)
