"""A Page's posts on the Graph: new ones of text and link, the list, one of them, deletion, and their addresses.

developers.facebook.com: Pages API, Posts; Page feed.
"""

import re
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect

from . import people
from .graph import (
    PLATFORM,
    GraphError,
    answer,
    caller,
    gone,
    graph,
    paged,
    parameter,
    picked_fields,
    say_error,
)
from .people import Page
from .state import Post
from .world import world

LONGEST_MESSAGE = 63_206
FIRST_POST = 122_000

bp = Blueprint("facebook_posts", __name__)
bp.register_error_handler(GraphError, say_error)


def _as_page(page_id: str, *scopes: str) -> Page:
    """The Page that the caller speaks for. Raises GraphError, with Meta's words for each mistake."""
    who = caller()
    found = people.page(page_id)
    if found is None:
        raise gone(page_id)
    if not who.is_page:
        raise GraphError("(#200) Unpublished posts must be posted to a page as the page itself.", 200, status=403)
    if who.token.page_id != page_id or not who.page_is_granted(page_id):
        raise GraphError("(#200) The user hasn't authorized the application to perform this action", 200, status=403)
    missing = [scope for scope in scopes if scope not in who.grant.scopes]
    if missing or (scopes and "pages_manage_posts" in scopes and "CREATE_CONTENT" not in found[0].tasks):
        words = "If posting to a page, requires both pages_read_engagement and pages_manage_posts as an admin with"
        raise GraphError(f"(#200) {words} sufficient administrative permission", 200, status=403)
    return found[0]


@graph("/<node:page_id>/feed", "publish", ("POST",), on=bp)
def publish(page_id: str) -> Response:
    """A new post of text, with or without a link."""
    page = _as_page(page_id, "pages_read_engagement", "pages_manage_posts")
    message, link = parameter("message"), parameter("link")
    if parameter("attached_media"):
        raise GraphError("(#100) The sandbox plays posts of text and links; there is no such media here", 100)
    if not message.strip() and not link:
        raise GraphError("(#100) Missing message or attachment", 100)
    if len(message) > LONGEST_MESSAGE:
        raise GraphError(f"(#100) param message must be at most {LONGEST_MESSAGE} characters long.", 100)
    if link and not re.match(r"https?://[^\s/]+\.[^\s/]+", link):
        raise GraphError("(#1609005) The url you supplied is invalid", 1609005)
    return answer({"id": _store(page, message, link).id})


def _store(page: Page, message: str, link: str) -> Post:
    here = world()
    post_id = f"{page.id}_{here.next_number(PLATFORM, FIRST_POST)}"
    post = Post(
        id=post_id,
        platform=PLATFORM,
        client_id=caller().app.client_id,
        author_id=page.id,
        author_name=page.name,
        handle=page.username,
        text=message,
        sent=message,
        created_at=here.now(),
        permalink=here.address("www.facebook.com", post_id),
        api_text=message,
        link=link,
    )
    here.state.keep(post)
    return post


@graph("/<node:page_id>/feed", "list", on=bp)
@graph("/<node:page_id>/published_posts", "list", on=bp)
def posts(page_id: str) -> Response:
    """The Page's posts, newest first."""
    page = _as_page(page_id, "pages_read_engagement")
    found = [post for post in world().posts(PLATFORM) if post.author_id == page.id]
    fields = picked_fields(["created_time", "message", "id"])
    return answer(paged([_post_facts(post, fields) for post in found], f"{page_id}/feed"))


@graph("/<post_node:post_id>", "list", on=bp)
def read_post(post_id: str) -> Response:
    """One post."""
    post = _own_post(post_id, "pages_read_engagement")
    return answer(_post_facts(post, picked_fields(["created_time", "message", "id"])))


@graph("/<post_node:post_id>", "delete", ("DELETE",), on=bp)
def delete_post(post_id: str) -> Response:
    """Takes a post of the Page away."""
    post = _own_post(post_id, "pages_read_engagement", "pages_manage_posts")
    post.deleted = True
    world().state.keep(post)
    return answer({"success": True})


def _own_post(post_id: str, *scopes: str) -> Post:
    _as_page(post_id.split("_")[0], *scopes)
    post = world().state.find(Post, f"{PLATFORM}:{post_id}")
    if post is None or post.deleted:
        raise gone(post_id)
    return post


def _post_facts(post: Post, fields: list[str]) -> dict[str, Any]:
    everything = {
        "message": post.api_text,
        "created_time": datetime.fromtimestamp(post.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "permalink_url": post.permalink,
    }
    return {field: everything[field] for field in fields if everything.get(field)} | {"id": post.id}


# Addresses that people open


@bp.get("/www.facebook.com/<name>")
def web_page(name: str) -> Response:
    """A post's own page, or the posts of a Page."""
    if "_" in name:
        return make_response(redirect(f"/timeline/{PLATFORM}/{name}"))
    page = people.page_by_name(name)
    return make_response(redirect(f"/timeline?author={page.id}" if page else "/timeline"))
