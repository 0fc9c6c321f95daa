"""Containers and posts of Threads: made, asked after, published, listed, deleted, and the day's numbers.

developers.facebook.com/documentation/threads/posts; …/reference/publishing; …/retrieve-and-manage-replies;
…/create-posts/polls; …/create-posts/spoilers; …/posts/delete-posts.
"""

import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect

from . import uploads
from .graph import GraphError, answer, say_error
from .state import Post, Upload
from .threads_api import BASIC, PLATFORM, PUBLISH, Caller, caller, gone, only, parameter, picked_fields, threads
from .threads_text import LONGEST, MOST_LINKS, links, text_length
from .world import world

LIFE = DAY = 86_400
FIRST_POST = 18_098_765_432_109_000
MEGABYTE = 1024 * 1024
LARGEST_IMAGE = 8 * MEGABYTE
LONGEST_ALT, LONGEST_TOPIC, LONGEST_OPTION, MOST_SPOILERS = 1000, 50, 25, 10
FEWEST_ITEMS, MOST_ITEMS = 2, 20
QUOTAS = {"": 250, "reply_": 1000, "delete_": 100, "location_search_": 500}
OF_REPLIES = ("everyone", "accounts_you_follow", "mentioned_only", "parent_post_author_only", "followers_only")

SHARED = ("media_type", "text", "reply_to_id", "reply_control", "topic_tag", "location_id", "text_entities")
ITEM = ("media_type", "is_carousel_item", "alt_text")
PARAMETERS = {
    "TEXT": (*SHARED, "link_attachment", "poll_attachment"),
    "IMAGE": (*SHARED, "image_url", "alt_text", "is_spoiler_media"),
    "VIDEO": (*SHARED, "video_url", "alt_text", "is_spoiler_media"),
    "CAROUSEL": (*SHARED, "children", "is_spoiler_media"),
}
SOURCE = {"IMAGE": "image_url", "VIDEO": "video_url"}
FORMATS = {"TEXT": "text", "IMAGE": "image", "VIDEO": "video", "CAROUSEL": "carousel"}
KEPT = ("text", "reply_to_id", "reply_control", "topic_tag", "location_id", "link_attachment", "alt_text")
POST_FIELDS = ("id", "text", "permalink", "timestamp", "shortcode", "username", "media_product_type", "is_reply")
CONTAINER_FIELDS = ("id", "status", "error_message")

bp = Blueprint("threads_posts", __name__)
bp.register_error_handler(GraphError, say_error)


def _wrong(words: str) -> GraphError:
    return GraphError(f"(#100) {words}", 100)


# Containers


@threads("/<threads_user:user>/threads", "upload", ("POST",), on=bp)
def create(user: str) -> Response:
    """A container: everything of a post, checked and fetched, and nothing of it to be seen yet."""
    kind = parameter("media_type")
    if kind not in PARAMETERS:
        raise _wrong("Param media_type must be one of {TEXT, IMAGE, VIDEO, CAROUSEL}")
    is_item = parameter("is_carousel_item") == "true" and kind in SOURCE
    only(*((*ITEM, SOURCE[kind]) if is_item else PARAMETERS[kind]))
    who = _author(user)
    facts: dict[str, Any] = {name: parameter(name) for name in KEPT if parameter(name)}
    _check_text(kind)
    _check_choices(who)
    if len(parameter("alt_text")) > LONGEST_ALT:
        raise _wrong(f"Param alt_text must be at most {LONGEST_ALT} characters long.")
    facts |= {"poll": _poll(), "spoilers": _spoilers(), "spoiler_media": _flag("is_spoiler_media"), "item": is_item}
    children = _children(who) if kind == "CAROUSEL" else []
    container = uploads.begin(
        PLATFORM, who.app.client_id, who.person.id, kind, container_id=_new_id(), children=children, failed="", **facts
    )
    if kind in SOURCE:
        _fetch(container, kind)
    else:
        container.polls_left = world().processing_polls
        uploads.keep(container)
    return answer({"id": container.facts["container_id"]})


def _author(user: str) -> Caller:
    who = caller(BASIC, PUBLISH)
    who.check_is(user)
    if who.person.facts.get("restricted"):
        raise GraphError("(#10) The user is restricted", 10, 4279013, 403)
    return who


def _new_id() -> str:
    return f"18{secrets.randbelow(10**15):015d}"


def _flag(name: str) -> bool:
    value = parameter(name)
    if value not in ("", "true", "false"):
        raise _wrong(f"Param {name} must be a boolean")
    return value == "true"


def _check_text(kind: str) -> None:
    text, link = parameter("text"), parameter("link_attachment")
    if text_length(text) > LONGEST:
        raise _wrong(f"Param text must be at most {LONGEST} characters long.")
    if kind == "TEXT" and not text.strip():
        raise _wrong("The parameter text is required.")
    if link and not re.fullmatch(r"https?://[^\s/]+\S*", link):
        raise _wrong("Param link_attachment must be a valid URI")
    if len(links(text) | ({link} if link else set())) > MOST_LINKS:
        raise _wrong("THREADS_API__LINK_LIMIT_EXCEEDED")
    if link and parameter("poll_attachment"):
        raise _wrong("A post has a link attachment or a poll, not both")


def _check_choices(who: Caller) -> None:
    tag, place, reply_to = (parameter(name) for name in ("topic_tag", "location_id", "reply_to_id"))
    if tag and (len(tag) > LONGEST_TOPIC or "." in tag or "&" in tag):
        raise _wrong("Param topic_tag has 1 to 50 characters, without periods and ampersands")
    if parameter("reply_control") not in ("", *OF_REPLIES):
        raise _wrong(f"Param reply_control must be one of {{{', '.join(OF_REPLIES)}}}")
    if place:
        who.need("threads_location_tagging")
        if not place.isdigit():
            raise _wrong("Param location_id must be a valid ID")
    if reply_to:
        if who.app.settings.get("replies_need_scope"):
            who.need("threads_manage_replies")
        found = world().state.find(Post, f"{PLATFORM}:{reply_to}")
        if found is None or found.deleted:
            raise gone(reply_to)


def _poll() -> dict[str, str]:
    sent = parameter("poll_attachment")
    if not sent:
        return {}
    try:
        poll = json.loads(sent)
        names = list(poll) if isinstance(poll, dict) else []
        right = names == [f"option_{letter}" for letter in "abcd"[: len(names)]] and 2 <= len(names) <= 4
        right = right and all(isinstance(one, str) and 1 <= len(one) <= LONGEST_OPTION for one in poll.values())
    except ValueError:
        right = False
    if not right:
        raise _wrong("Param poll_attachment must be an object with option_a to option_d, 2 to 4 of them")
    return dict(poll)


def _spoilers() -> list[dict[str, Any]]:
    sent = parameter("text_entities")
    if not sent:
        return []
    try:
        found = json.loads(sent)
        right = isinstance(found, list) and 1 <= len(found) <= MOST_SPOILERS and all(_is_spoiler(one) for one in found)
    except ValueError:
        right = False
    if not right:
        raise _wrong("Param text_entities must be a list of objects with entity_type, offset and length")
    return list(found)


def _is_spoiler(one: Any) -> bool:
    if not isinstance(one, dict) or set(one) != {"entity_type", "offset", "length"} or one["entity_type"] != "SPOILER":
        return False
    offset, size = one["offset"], one["length"]
    units = len(parameter("text").encode("utf-16-le")) // 2
    return type(offset) is int and type(size) is int and offset >= 0 and 0 < size <= units - offset


def _children(who: Caller) -> list[str]:
    """The ids of the finished parts, in their order. Raises GraphError."""
    ids = [one for one in parameter("children").split(",") if one]
    if not FEWEST_ITEMS <= len(ids) <= MOST_ITEMS or len(set(ids)) < len(ids):
        raise _wrong(f"Param children must have {FEWEST_ITEMS} to {MOST_ITEMS} different IDs")
    for one in ids:
        item = _container(one, who)
        if item is None or not item.facts["item"]:
            raise _wrong(f"Param children: {one[:30]} is no carousel item")
        if _status(item) != "FINISHED":
            raise _wrong(f"Param children: {one[:30]} is not finished")
    return ids


def _fetch(container: Upload, kind: str) -> None:
    """Fetch the media. A picture that cannot be had is told at once, a video while it is processed."""
    address = parameter(SOURCE[kind])
    if not re.fullmatch(r"https?://[^\s/]+/\S*", address) or not address.isascii():
        uploads.forget(container)
        raise _wrong(f"Param {SOURCE[kind]} must be a valid URI")
    trouble = uploads.pull(container, address)
    fits = {"IMAGE": ("image/jpeg", "image/png"), "VIDEO": ("video/mp4", "video/quicktime")}[kind]
    if trouble and not trouble.startswith("not media") and kind == "IMAGE":
        uploads.forget(container)
        raise GraphError("The media could not be fetched from this URI.", 1, 2207052)
    if trouble and not trouble.startswith("not media"):
        container.facts["failed"] = "FAILED_DOWNLOADING_VIDEO"
    elif container.mime not in fits:
        container.facts["failed"] = "UNKNOWN" if kind == "IMAGE" else "FAILED_PROCESSING_VIDEO"
    elif kind == "IMAGE" and container.received > LARGEST_IMAGE:
        container.facts["failed"] = "UNKNOWN"
    uploads.keep(container)


def _container(container_id: str, who: Caller) -> Upload | None:
    for one in world().state.all(Upload):
        if one.platform == PLATFORM and one.facts.get("container_id") == container_id:
            return one if (one.owner_id, one.client_id) == (who.person.id, who.app.client_id) else None
    return None


def _status(container: Upload) -> str:
    if container.facts.get("post_id"):
        return "PUBLISHED"
    if world().now() >= container.created_at + LIFE:
        return "EXPIRED"
    if container.facts["failed"]:
        return "ERROR"
    return "IN_PROGRESS" if container.polls_left > 0 else "FINISHED"


# Publish


@threads("/<threads_user:user>/threads_publish", "publish", ("POST",), on=bp)
def publish(user: str) -> Response:
    """The container becomes a post, once."""
    only("creation_id", needed=("creation_id",))
    who = _author(user)
    container = _container(parameter("creation_id"), who)
    if container is None or _status(container) != "FINISHED" or container.facts["item"]:
        raise _not_there()
    if who.app.settings.get("takes_for_spam"):
        raise GraphError("(#4) We restrict certain activity to protect our community.", 4, 2207051, 403)
    kind = "reply_" if container.facts.get("reply_to_id") else ""
    if _used(kind, who) >= _total(kind):
        raise GraphError("(#4) The publishing limit of this profile is reached.", 4, status=403)
    post = _store(container, who)
    container.facts["post_id"] = post.id
    uploads.keep(container)
    return answer({"id": post.id})


class _NotThere(GraphError):
    """A container that is not ready, or gone, or used: with the words that Threads shows beside the code."""

    def body(self) -> dict[str, Any]:
        body = super().body()
        body["error"] |= {"is_transient": False, "error_user_title": "Media Not Found"}
        return body


def _not_there() -> GraphError:
    return _NotThere("The requested resource does not exist", 24, 4279009)


def _store(container: Upload, who: Caller) -> Post:
    here, facts = world(), container.facts
    number = here.next_number(PLATFORM, FIRST_POST)
    shortcode = f"D{number:X}"
    text = facts.get("text", "")
    files = [container] if container.purpose in SOURCE else [_sure(_container(one, who)) for one in facts["children"]]
    poll, link = facts["poll"], facts.get("link_attachment", "")
    post = Post(
        id=str(number),
        platform=PLATFORM,
        client_id=who.app.client_id,
        author_id=who.person.id,
        author_name=who.person.name,
        handle=who.person.username,
        text=text,
        sent=text,
        created_at=here.now(),
        permalink=here.address("www.threads.com", f"@{who.person.username}/post/{shortcode}"),
        api_text=text,
        link=link,
        media=[uploads.medium(one, one.facts.get("alt_text", "")) for one in files],
        format="poll" if poll else "link" if link else FORMATS[container.purpose],
        reply_to=facts.get("reply_to_id", ""),
        facts={"shortcode": shortcode, **_told(facts)},
    )
    here.state.keep(post)
    return post


def _sure(found: Upload | None) -> Upload:
    if found is None:
        raise _not_there()
    return found


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    names = ("reply_control", "topic_tag", "location_id", "poll", "spoilers", "spoiler_media")
    return {name: facts[name] for name in names if facts.get(name)}


# The day's numbers


def _total(kind: str) -> int:
    return QUOTAS[kind] if kind else world().quotas.get(PLATFORM, QUOTAS[""])


def _used(kind: str, who: Caller) -> int:
    """How much of a number is used, over the last 24 hours; what was deleted counts on."""
    here = world()
    since = here.now() - DAY
    mine = [one for one in here.state.of(Post, who.person.id) if one.platform == PLATFORM]
    if kind == "delete_":
        return sum(one.facts.get("deleted_at", 0) > since for one in mine)
    if kind == "location_search_":
        return 0
    return sum(one.created_at > since and bool(one.reply_to) == (kind == "reply_") for one in mine)


@threads("/<threads_user:user>/threads_publishing_limit", "quota", on=bp)
def limits(user: str) -> Response:
    """How much of the day's numbers is used."""
    only("fields")
    who = caller(BASIC, PUBLISH)
    who.check_is(user)
    known = [name for kind in QUOTAS for name in (f"{kind}quota_usage", f"{kind}config")]
    facts: dict[str, Any] = {}
    for name in picked_fields(tuple(known), ("quota_usage",)):
        kind = name.removesuffix("quota_usage").removesuffix("config")
        if kind == "reply_":
            who.need("threads_manage_replies")
        total = {"quota_total": _total(kind), "quota_duration": DAY}
        facts[name] = total if name.endswith("config") else _used(kind, who)
    return answer({"data": [facts]})


# Reading and deleting


@threads("/<threads_user:user>/threads", "list", on=bp)
def posts(user: str) -> Response:
    """The profile's own posts, newest first; replies stand in a list of their own."""
    return _listed(user, replies=False)


@threads("/<threads_user:user>/replies", "list", on=bp)
def replies(user: str) -> Response:
    """The profile's own replies, newest first."""
    return _listed(user, replies=True)


def _listed(user: str, *, replies: bool) -> Response:
    only("fields", "limit", "after")
    who = caller(BASIC, *(("threads_read_replies",) if replies else ()))
    who.check_is(user)
    fields = picked_fields(POST_FIELDS)
    limit = parameter("limit") or "25"
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise _wrong("Param limit must be between 1 and 100")
    found = [one for one in world().posts_of(PLATFORM, who.person.id) if bool(one.reply_to) == replies]
    first = next((place + 1 for place, one in enumerate(found) if one.id == parameter("after")), 0)
    part = found[first : first + int(limit)]
    body: dict[str, Any] = {"data": [_facts(one, fields) for one in part]}
    if part:
        body["paging"] = {"cursors": {"before": part[0].id, "after": part[-1].id}}
        if first + len(part) < len(found):
            token, edge = parameter("access_token"), "replies" if replies else "threads"
            query = f"access_token={token}&limit={limit}&after={part[-1].id}"
            body["paging"]["next"] = world().address("graph.threads.net", f"v1.0/{who.person.id}/{edge}?{query}")
    return answer(body)


def _facts(post: Post, fields: tuple[str, ...]) -> dict[str, Any]:
    everything = {
        "text": post.api_text or None,
        "permalink": post.permalink,
        "timestamp": datetime.fromtimestamp(post.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "shortcode": post.facts["shortcode"],
        "username": post.handle,
        "media_product_type": "THREADS",
        "is_reply": bool(post.reply_to),
    }
    return {name: everything[name] for name in fields if everything.get(name) is not None} | {"id": post.id}


def _label() -> str:
    return "status" if "status" in parameter("fields").split(",") else "profile"


@threads("/<threads_object:object_id>", _label, on=bp)
def read(object_id: str) -> Response:
    """How a container is doing, or one of the profile's posts."""
    only("fields")
    who = caller(BASIC)
    container = _container(object_id, who)
    if container is not None:
        return answer(_container_facts(container, picked_fields(CONTAINER_FIELDS)))
    return answer(_facts(_own_post(object_id, who), picked_fields(POST_FIELDS)))


def _container_facts(container: Upload, fields: tuple[str, ...]) -> dict[str, Any]:
    """One question after the processing: as often as is set the answer is that it is not done yet."""
    facts: dict[str, Any] = {"id": container.facts["container_id"]}
    if "status" in fields:
        word = facts["status"] = _status(container)
        if word == "IN_PROGRESS":
            container.polls_left -= 1
            uploads.keep(container)
        if word == "ERROR" and "error_message" in fields:
            facts["error_message"] = container.facts["failed"]
    return facts


def _own_post(post_id: str, who: Caller) -> Post:
    post = world().state.find(Post, f"{PLATFORM}:{post_id}")
    if post is None or post.deleted or post.author_id != who.person.id:
        raise gone(post_id)
    return post


@threads("/<threads_object:post_id>", "delete", ("DELETE",), on=bp)
def delete(post_id: str) -> Response:
    """Takes a post away, a hundred a day at most."""
    only()
    who = caller(BASIC, "threads_delete")
    post = _own_post(post_id, who)
    if _used("delete_", who) >= _total("delete_"):
        raise GraphError("(#4) The limit of deletions of this profile is reached.", 4, status=403)
    post.deleted = True
    post.facts["deleted_at"] = world().now()
    world().state.keep(post)
    return answer({"success": True, "deleted_id": post.id})


# Addresses that people open


@bp.get("/www.threads.com/@<username>")
@bp.get("/www.threads.com/@<username>/post/<shortcode>")
def web_page(username: str, shortcode: str = "") -> Response:
    """A post's own page, or the posts of a profile."""
    mine = [one for one in world().posts(PLATFORM) if one.handle == username]
    post = next((one for one in mine if one.facts["shortcode"] == shortcode), None)
    if post is not None:
        return make_response(redirect(f"/timeline/{PLATFORM}/{post.id}"))
    return make_response(redirect(f"/timeline?author={mine[0].author_id}" if mine else "/timeline"))
