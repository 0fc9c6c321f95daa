"""A Page's posts on the Graph: new ones, comments, the list, one of them, deletion, and their addresses.

developers.facebook.com: Pages API, Posts; Page feed.
"""

import json
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect

from . import people, uploads
from .facebook_media import unused_photo
from .facebook_store import FIRST_POST, as_page, checked_place, checked_text, is_link, remember, store_post
from .graph import (
    PLATFORM,
    GraphError,
    answer,
    gone,
    graph,
    known_only,
    only,
    paged,
    parameter,
    picked_fields,
    say_error,
)
from .state import Post, Upload
from .world import world

bp = Blueprint("facebook_posts", __name__)
bp.register_error_handler(GraphError, say_error)
PUBLISHING = ("pages_read_engagement", "pages_manage_posts")
MOST_PHOTOS = 10
BESIDE_THE_FEED = ("comment", "story")


@graph("/<node:page_id>/feed", "publish", ("POST",), on=bp)
def publish(page_id: str) -> Response:
    """A new post of text, with a link or with photos that were sent before."""
    page = as_page(page_id, *PUBLISHING)
    only("message", "link", "attached_media", "place")
    message, link = checked_text(parameter("message")), parameter("link")
    photos = _attached(page_id)
    if not message.strip() and not link and not photos:
        raise GraphError("(#100) Missing message or attachment", 100)
    if link and photos:
        raise GraphError("(#100) A post has a link or attached media, not both", 100)
    if link and not is_link(link):
        raise GraphError("(#1609005) The url you supplied is invalid", 1609005)
    place = checked_place(parameter("place"))
    media = [uploads.medium(photo, photo.facts["alt"]) for photo in photos]
    format = ("image" if len(photos) == 1 else "images") if photos else "link" if link else "text"
    post = store_post(page, message, link=link, format=format, media=media, place=place)
    for photo in photos:
        remember(photo, used=True)
    return answer({"id": post.id})


def _attached(page_id: str) -> list[Upload]:
    """The photos of `attached_media`: JSON, a list of objects with nothing but `media_fbid`. Raises GraphError."""
    sent = parameter("attached_media")
    if not sent:
        return []
    try:
        listed = json.loads(sent)
        ids = [entry.pop("media_fbid") for entry in listed]
        right = isinstance(listed, list) and not any(listed) and all(isinstance(one, str) for one in ids)
    except (ValueError, TypeError, AttributeError, KeyError):
        right = False
    if not right or not ids or len(ids) > MOST_PHOTOS or len(set(ids)) < len(ids):
        raise GraphError("(#100) param attached_media must be an array of objects with media_fbid.", 100)
    return [unused_photo(one, page_id) for one in ids]


# Comments


@graph("/<post_node:post_id>/comments", "publish", ("POST",), on=bp)
def comment(post_id: str) -> Response:
    """A comment of the Page below a post of its own."""
    post = _own_post(post_id, "pages_manage_engagement", task="MODERATE")
    only("message", "attachment_url")
    message = checked_text(parameter("message"))
    if not message.strip():
        raise GraphError("(#100) Missing message or attachment", 100)
    number = world().next_number(PLATFORM, FIRST_POST)
    page = as_page(post.author_id)
    made = store_post(page, message, format="comment", reply_to=post.id, post_id=f"{post.id.split('_')[1]}_{number}")
    return answer({"id": made.id})


@graph("/<post_node:post_id>/comments", "list", on=bp)
def comments(post_id: str) -> Response:
    """The comments below a post, oldest first."""
    post = _own_post(post_id, "pages_read_engagement")
    only("fields", "filter", "limit", "after")
    if parameter("filter") not in ("", "stream", "toplevel"):
        raise GraphError("(#100) Param filter must be one of {stream, toplevel}", 100)
    found = [one for one in reversed(world().posts(PLATFORM)) if one.reply_to == post.id]
    fields = picked_fields(["created_time", "from", "message", "id"])
    return answer(paged([_post_facts(one, fields) for one in found], f"{post_id}/comments"))


@graph("/<node:page_id>/feed", "list", on=bp)
@graph("/<node:page_id>/published_posts", "list", on=bp)
def posts(page_id: str) -> Response:
    """The Page's posts, newest first."""
    page = as_page(page_id, "pages_read_engagement")
    only("fields", "limit", "after")
    found = [
        post
        for post in world().posts(PLATFORM)
        if post.author_id == page.id and post.format not in BESIDE_THE_FEED
    ]
    fields = picked_fields(["created_time", "message", "id"])
    return answer(paged([_post_facts(post, fields) for post in found], f"{page_id}/feed"))


@graph("/<post_node:post_id>", "list", on=bp)
def read_post(post_id: str) -> Response:
    """One post."""
    post = _own_post(post_id, "pages_read_engagement")
    only("fields")
    return answer(_post_facts(post, picked_fields(["created_time", "message", "id"])))


@graph("/<post_node:post_id>", "delete", ("DELETE",), on=bp)
def delete_post(post_id: str) -> Response:
    """Takes a post of the Page away."""
    is_comment = not people.page(post_id.split("_")[0])
    scopes = ("pages_manage_engagement",) if is_comment else PUBLISHING
    post = _own_post(post_id, *scopes, task="MODERATE" if is_comment else "CREATE_CONTENT")
    post.deleted = True
    world().state.keep(post)
    return answer({"success": True})


def _own_post(post_id: str, *scopes: str, task: str = "CREATE_CONTENT") -> Post:
    post = world().state.find(Post, f"{PLATFORM}:{post_id}")
    as_page(post.author_id if post else post_id.split("_")[0], *scopes, task=task)
    if post is None or post.deleted:
        raise gone(post_id)
    return post


def _post_facts(post: Post, fields: list[str]) -> dict[str, Any]:
    everything = {
        "message": post.api_text,
        "created_time": datetime.fromtimestamp(post.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "permalink_url": post.permalink,
        "from": {"name": post.author_name, "id": post.author_id},
    }
    known_only(fields, (*everything, *(("parent",) if post.format == "comment" else ())), "Post")
    return {field: everything[field] for field in fields if everything.get(field)} | {"id": post.id}


# Addresses that people open


@bp.get("/www.facebook.com/reel/<video_id>/")
@bp.get("/www.facebook.com/reel/<video_id>")
@bp.get("/www.facebook.com/<page_id>/videos/<video_id>/")
def video_page(video_id: str, page_id: str = "") -> Response:
    """A video's own page."""
    post = next((one for one in world().posts(PLATFORM) if one.facts.get("video") == video_id), None)
    return make_response(redirect(f"/timeline/{PLATFORM}/{post.id}" if post else "/timeline"))


@bp.get("/www.facebook.com/<name>")
def web_page(name: str) -> Response:
    """A post's own page, or the posts of a Page."""
    if "_" in name:
        return make_response(redirect(f"/timeline/{PLATFORM}/{name}"))
    page = people.page_by_name(name)
    return make_response(redirect(f"/timeline?author={page.id}" if page else "/timeline"))
