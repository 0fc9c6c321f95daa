"""What a Page's posts, photos and videos have in common: speaking as the Page, and keeping what was published."""

import re
import secrets
from typing import Any

from . import people, uploads
from .graph import PLATFORM, Caller, GraphError, caller, gone
from .plays import Page
from .state import Post, Upload
from .world import world

LONGEST_MESSAGE = 63_206
FIRST_POST = 122_000


def as_page(page_id: str, *scopes: str, task: str = "CREATE_CONTENT") -> Page:
    """The Page that the caller speaks for. Raises GraphError, with Meta's words for each mistake."""
    who = caller()
    found = people.page(page_id)
    if found is None:
        raise gone(page_id)
    if not who.is_page:
        raise GraphError("(#200) Unpublished posts must be posted to a page as the page itself.", 200, status=403)
    if who.token.page_id != page_id or not who.page_is_granted(page_id):
        raise GraphError("(#200) The user hasn't authorized the application to perform this action", 200, status=403)
    _check_rights(who, found[0], scopes, task)
    return found[0]


def _check_rights(who: Caller, page: Page, scopes: tuple[str, ...], task: str) -> None:
    missing = [scope for scope in scopes if scope not in who.grant.scopes]
    writes = any("manage" in scope for scope in scopes)
    if missing or (writes and task not in page.tasks):
        words = "If posting to a page, requires both pages_read_engagement and pages_manage_posts as an admin with"
        if "pages_manage_engagement" in scopes:
            words = "If commenting as a page, requires pages_manage_engagement as an admin with"
        raise GraphError(f"(#200) {words} sufficient administrative permission", 200, status=403)


def checked_text(text: str, name: str = "message") -> str:
    """A text that is not too long. Raises GraphError."""
    if len(text) > LONGEST_MESSAGE:
        raise GraphError(f"(#100) param {name} must be at most {LONGEST_MESSAGE} characters long.", 100)
    return text


def checked_place(place: str) -> str:
    """A place: the id of a Page, or nothing. Raises GraphError."""
    if place and people.page(place) is None:
        raise GraphError("(#100) Param place must be the ID of a Page with a location", 100)
    return place


def new_id() -> str:
    """A number for a photo or video that was not given out before."""
    return f"5{secrets.randbelow(10**14):014d}"


def store_post(page: Page, text: str, *, link: str = "", format: str = "", media: list[dict[str, Any]] | None = None,
               reply_to: str = "", post_id: str = "", **facts: Any) -> Post:
    """A post of the Page, kept."""
    here = world()
    _refuse_duplicate(page, text, link, bool(media or reply_to))
    post_id = post_id or f"{page.id}_{here.next_number(PLATFORM, FIRST_POST)}"
    post = Post(
        id=post_id,
        platform=PLATFORM,
        client_id=caller().app.client_id,
        author_id=page.id,
        author_name=page.name,
        handle=page.username,
        text=text,
        sent=text,
        created_at=here.now(),
        permalink=here.address("www.facebook.com", post_id),
        api_text=text,
        link=link,
        media=media or [],
        format=format,
        reply_to=reply_to,
        facts={name: value for name, value in facts.items() if value},
    )
    here.state.keep(post)
    return post


def _refuse_duplicate(page: Page, text: str, link: str, has_more: bool) -> None:
    if has_more or not caller().app.settings.get("refuse_duplicates"):
        return
    last = next((post for post in world().posts(PLATFORM) if post.author_id == page.id), None)
    if last is not None and (last.text, last.link, last.media) == (text, link, []):
        raise GraphError("(#506) Duplicate status message", 506, 1455006)


def upload_of(purposes: tuple[str, ...], **facts: str) -> Upload | None:
    """The photo or video with these facts, or None."""
    for upload in reversed(world().state.all(Upload)):
        if upload.platform == PLATFORM and upload.purpose in purposes and upload.facts.items() >= facts.items():
            return upload
    return None


def remember(upload: Upload, **facts: Any) -> None:
    """Note something on a photo or video."""
    upload.facts.update(facts)
    uploads.keep(upload)


def is_link(link: str) -> bool:
    """Whether Facebook could fetch a link."""
    return bool(re.match(r"https?://[^\s/]+\.[^\s/]+", link))
