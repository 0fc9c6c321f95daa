"""Containers, publishing, the posts of an account, comments and deletion, the same on both of Instagram's Graphs.

developers.facebook.com: Content Publishing; IG User Media; IG Container; Media Publish; Content Publishing Limit; Error
Codes. Pictures and videos are really fetched, or received as bytes, and looked at.
"""

import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from . import uploads
from .calls import operation
from .graph import GraphError, answer, check_alive, gone, parameter, picked_fields, refuse, say_error, unreadable_token
from .instagram_graph import (
    DIRECT,
    PLATFORM,
    Account,
    Caller,
    account,
    caller,
    media_route,
    only,
)
from .instagram_pages import account_facts
from .shapes import digits
from .state import Post, Token, Upload
from .world import world

MEGABYTE = 1024 * 1024
DAY = 86_400
QUOTA = 50
LONGEST_CAPTION, MOST_HASHTAGS, MOST_MENTIONS, LONGEST_ALT = 2200, 30, 20, 1000
PHOTO, VIDEO, REELS, STORIES, CAROUSEL = "IMAGE", "VIDEO", "REELS", "STORIES", "CAROUSEL"
PUBLISHED, EXPIRED, ERROR, FINISHED, IN_PROGRESS = "PUBLISHED", "EXPIRED", "ERROR", "FINISHED", "IN_PROGRESS"

# What each sort of container takes (IG User Media); a part of a carousel takes less.
TAKES = {
    PHOTO: {"image_url", "caption", "alt_text", "location_id", "user_tags", "collaborators", "is_ai_generated"},
    REELS: {"media_type", "video_url", "upload_type", "caption", "share_to_feed", "cover_url", "thumb_offset",
            "audio_name", "collaborators", "user_tags", "location_id", "trial_params", "is_ai_generated"},
    CAROUSEL: {"media_type", "children", "caption", "collaborators", "location_id", "share_to_feed", "is_ai_generated"},
    STORIES: {"media_type", "image_url", "video_url", "upload_type", "user_tags"},
}
ITEM_TAKES = {PHOTO: {"image_url", "is_carousel_item", "alt_text"},
              VIDEO: {"media_type", "video_url", "upload_type", "is_carousel_item"}}
FORMATS = {PHOTO: "photo", REELS: "reel", CAROUSEL: "carousel", STORIES: "story"}
BOOLEANS = ("share_to_feed", "is_ai_generated", "is_carousel_item")

bp = Blueprint("instagram_media", __name__)
bp.register_error_handler(GraphError, say_error)


def _number(first: str) -> str:
    return first + digits(17 - len(first))


def _as_account(account_id: str, *, publishes: bool = False) -> tuple[Caller, Account]:
    """The caller, who may use that account. Raises GraphError."""
    who, found = caller(), account(account_id)
    if found is None or not who.may_use(account_id):
        raise gone(account_id)
    who.needs(("instagram_business_basic",), ("instagram_basic", "pages_read_engagement"))
    if publishes:
        who.needs(("instagram_business_content_publish",), ("instagram_content_publish",))
    return who, found


# ---------------------------------------------------------------- containers


@media_route("/<instagram_node:account_id>/media", "container", ("POST",))
def create(account_id: str) -> Response:
    """A new container; its media is fetched now, or sent as bytes afterwards."""
    who, owner = _as_account(account_id, publishes=True)
    if request.args:
        raise GraphError("(#100) Parameters of a POST belong into its body", 100)
    sort = _sort()
    _check_choices(sort)
    container = uploads.begin(PLATFORM, who.app.client_id, owner.id, sort, **_kept_choices())
    world().state.drop(container)
    container.id = _number("17889")
    container.facts["item"] = parameter("is_carousel_item") == "true"
    if sort == CAROUSEL:
        return _carousel(container)
    if parameter("upload_type"):
        return _resumable(who, container)
    return _fetched(container)


def _sort() -> str:
    """The sort of container that is asked for, with no parameter that it does not take. Raises GraphError."""
    sort = parameter("media_type") or PHOTO
    item = parameter("is_carousel_item") == "true"
    takes = (ITEM_TAKES if item else TAKES).get(sort)
    if takes is None or ("image_url" in request.form and sort in (REELS, VIDEO)):
        raise GraphError("Only photo or video can be accepted as media type.", 100, 2207023)
    only(*takes)
    sources = [one for one in ("image_url", "video_url", "upload_type", "children") if parameter(one)]
    if len(sources) != 1:
        raise GraphError("(#100) Exactly one of image_url, video_url, upload_type and children is needed", 100)
    return sort


def _check_choices(sort: str) -> None:
    """Refuse what a parameter may not say. Raises GraphError."""
    for name in request.form:
        if request.form[name] == "":
            raise GraphError(f"(#100) Param {name} must not be empty", 100)
    for name in BOOLEANS:
        if parameter(name) not in ("", "true", "false"):
            raise GraphError(f"(#100) Param {name} must be a boolean", 100)
    caption = parameter("caption")
    tags, mentions = re.findall(r"#\w+", caption), re.findall(r"(?<!\w)@\w+", caption)
    if len(caption) > LONGEST_CAPTION or len(tags) > MOST_HASHTAGS or len(mentions) > MOST_MENTIONS:
        raise GraphError("The caption is too long", 36004, 2207010)
    if len(parameter("alt_text")) > LONGEST_ALT:
        raise GraphError("(#100) Param alt_text is too long", 100)
    place = parameter("location_id")
    if place and not re.fullmatch(r"\d{5,}", place):
        raise GraphError("INSTAGRAM_PLATFORM_API__INVALID_LOCATION_ID", 100)
    if parameter("collaborators") and not 1 <= len(_collaborators()) <= 3:
        raise GraphError("(#100) Param collaborators must have 1 to 3 usernames", 100)
    if parameter("thumb_offset") and not re.fullmatch(r"\d+", parameter("thumb_offset")):
        raise GraphError("(#100) Param thumb_offset must be a whole number", 100)


def _collaborators() -> list[str]:
    try:
        names = json.loads(parameter("collaborators"))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
        raise GraphError("(#100) Param collaborators must be an array.", 100)
    return names


def _kept_choices() -> dict[str, Any]:
    facts: dict[str, Any] = {one: parameter(one) for one in ("caption", "alt_text", "location_id", "thumb_offset",
                                                             "share_to_feed", "is_ai_generated") if parameter(one)}
    return {**facts, **({"collaborators": _collaborators()} if parameter("collaborators") else {})}


def _carousel(container: Upload) -> Response:
    children = parameter("children").split(",")
    if not 2 <= len(children) <= 10 or len(set(children)) != len(children):
        raise GraphError("A carousel needs 2 to 10 children.", 100, 2207028)
    for child in children:
        found = uploads.find(child, PLATFORM)
        if found is None or found.owner_id != container.owner_id or not found.facts["item"]:
            raise GraphError("The media cannot be found.", 24, 2207006)
        if _word(found) != FINISHED:
            raise _not_ready()
    container.facts["children"] = children
    container.polls_left, container.status = world().processing_polls, uploads.PROCESSING
    uploads.keep(container)
    return answer({"id": container.id})


def _resumable(who: Caller, container: Upload) -> Response:
    """Bytes are taken for videos, and from apps with Login for Business alone."""
    if parameter("upload_type") != "resumable":
        raise GraphError("(#100) Param upload_type must be one of {resumable}", 100)
    if who.app.mode == DIRECT or not who.app.settings["login_for_business"]:
        raise GraphError("(#10) Application does not have permission for this action", 10, status=403)
    uploads.keep(container)
    path = f"ig-api-upload/v25.0/{container.id}"
    return answer({"id": container.id, "uri": world().address("rupload.facebook.com", path)})


def _fetched(container: Upload) -> Response:
    image = parameter("image_url")
    url = image or parameter("video_url")
    if not re.match(r"https?://[^\s/]+/", url) or not url.isascii():
        raise _unreachable()
    why = uploads.pull(container, url)
    if image:
        if why.startswith("not media"):
            raise GraphError("The image format is not supported.", 36001, 2207005)
        if why:
            raise _unreachable()
        _check_image(container)
    elif why:
        _fail(container, 2207052)
    else:
        _check_video(container)
    uploads.keep(container)
    return answer({"id": container.id})


def _unreachable() -> GraphError:
    return GraphError("The media could not be fetched from this URI.", 9004, 2207052)


def _not_ready() -> GraphError:
    return GraphError("Media ID is not available", 9007, 2207027)


def _fail(container: Upload, number: int) -> None:
    container.error = str(number)
    uploads.keep(container)


def _check_image(container: Upload) -> None:
    """JPEG, at most 8 MB, and for the feed from 4:5 to 1.91:1. Raises GraphError."""
    if container.received > 8 * MEGABYTE:
        raise GraphError("The image is too large to download.", 36000, 2207004)
    if container.mime != "image/jpeg":
        raise GraphError("The image format is not supported.", 36001, 2207005)
    width, height = jpeg_size(container)
    if container.purpose != STORIES and not (height and 0.799 <= width / height <= 1.911):
        raise GraphError("The submitted image has an aspect ratio that is not supported.", 36003, 2207009)


def _check_video(container: Upload) -> None:
    most = 100 if container.purpose == STORIES else 300
    if container.mime not in ("video/mp4", "video/quicktime") or container.received > most * MEGABYTE:
        _fail(container, 2207026)


def jpeg_size(container: Upload) -> tuple[int, int]:
    """Width and height as the file's own frame header tells them; (0, 0) if there is none."""
    with uploads.file_of(container).open("rb") as stream:
        stream.read(2)
        while (marker := stream.read(2)) and len(marker) == 2 and marker[0] == 0xFF:
            length = int.from_bytes(stream.read(2), "big")
            if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
                frame = stream.read(5)
                return int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
            stream.seek(length - 2, 1)
    return 0, 0


@bp.post("/rupload.facebook.com/ig-api-upload/<graph_version:version>/<instagram_node:container_id>")
@operation(PLATFORM, "upload", refuse, media=True)
def receive(version: str, container_id: str) -> Response:
    """The bytes of a video, from an offset on."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    token, container = world().state.find(Token, value), uploads.find(container_id, PLATFORM)
    if kind != "OAuth" or token is None or world().grant_of(token).platform != PLATFORM:
        raise unreadable_token()
    check_alive(token)
    if container is None or container.client_id != world().grant_of(token).client_id or container.url:
        raise gone(container_id)
    offset, size = request.headers.get("offset", ""), request.headers.get("file_size", "")
    if request.args or not offset.isdigit() or not size.isdigit() or not int(size):
        raise GraphError("(#100) The headers offset and file_size are needed, and no parameters", 100)
    if container.status == uploads.DONE or container.sha256:
        raise GraphError("The upload is complete already", 100)
    container.total = int(size)
    try:
        uploads.append(container, int(offset), request.stream)
    except ValueError as problem:
        raise GraphError(f"OffsetInvalidError: {problem}", 100) from problem
    if container.received < container.total:
        raise GraphError("PartialRequestError: fewer bytes came than were announced", 100)
    uploads.finish(container)
    _check_video(container)
    uploads.keep(container)
    return answer({"success": True, "message": "Upload successful."})


def _word(container: Upload) -> str:
    """The status of a container, without asking for it."""
    if container.facts.get("media_id"):
        return PUBLISHED
    if world().now() - container.created_at >= DAY:
        return EXPIRED
    if container.error:
        return ERROR
    return FINISHED if container.status == uploads.DONE else IN_PROGRESS


WORDS = {
    FINISHED: "Finished: Media has been uploaded and it is ready to be published.",
    IN_PROGRESS: "In Progress: Media is still being processed.",
    PUBLISHED: "Published: Media has been published.",
    EXPIRED: "Expired: Media was not published within 24 hours.",
}


def _status(container: Upload) -> Response:
    """A container's own fields; each question brings its processing on."""
    only("fields")
    asked = picked_fields(["id"])
    if not set(asked) <= {"id", "status", "status_code"}:
        raise GraphError(f"(#100) Tried accessing nonexisting field ({asked[0]}) on node type (IGContainer)", 100)
    waits = container.status == uploads.PROCESSING and not container.error
    if waits:
        uploads.polled(container)
    word = _word(container)
    failed = f"Error: Media upload has failed with error code {container.error}"
    everything = {"status_code": word, "status": failed if word == ERROR else WORDS.get(word, "")}
    return answer({one: everything[one] for one in asked if one in everything} | {"id": container.id})


# ---------------------------------------------------------------- publish


@media_route("/<instagram_node:account_id>/media_publish", "publish", ("POST",))
def publish(account_id: str) -> Response:
    """Publishes a container, once."""
    who, owner = _as_account(account_id, publishes=True)
    if request.args:
        raise GraphError("(#100) Parameters of a POST belong into its body", 100)
    only("creation_id")
    container = uploads.find(parameter("creation_id"), PLATFORM)
    if container is None or container.owner_id != owner.id or container.facts["item"]:
        raise GraphError("The requested resource does not exist", 24, 2207008)
    word = _word(container)
    if word == PUBLISHED:
        raise GraphError("(#100) The container was published already", 100)
    if word == EXPIRED:
        raise GraphError("The media has expired", -2, 2207020)
    if word != FINISHED:
        raise _not_ready()
    if _used(owner) >= _quota():
        raise GraphError("Application request limit reached: too many actions", 9, 2207042)
    return answer({"id": _published(who, owner, container).id})


def _quota() -> int:
    return world().quotas.get(PLATFORM, QUOTA)


def _used(owner: Account) -> int:
    """How many posts of the last day count; deleted ones do."""
    since = world().now() - DAY
    return sum(post.platform == PLATFORM and post.author_id == owner.id and post.format != "comment"
               and post.created_at > since for post in world().state.all(Post))


def _published(who: Caller, owner: Account, container: Upload) -> Post:
    here, facts = world(), container.facts
    caption, shortcode = str(facts.get("caption", "")), secrets.token_urlsafe(8)
    kind = {REELS: "reel", STORIES: "stories"}.get(container.purpose, "p")
    children = [uploads.find(one, PLATFORM) for one in facts.get("children", ())]
    media = [uploads.medium(one, str(one.facts.get("alt_text", "")))
             for one in (children if children else [container]) if one is not None]
    chosen = ("location_id", "share_to_feed", "thumb_offset", "is_ai_generated", "collaborators")
    post = Post(
        id=_number("17920"), platform=PLATFORM, client_id=who.app.client_id, author_id=owner.id,
        author_name=owner.name or owner.username, handle=f"@{owner.username}", text=caption, sent=caption,
        created_at=here.now(), permalink=here.address("www.instagram.com", f"{kind}/{shortcode}/"), api_text=caption,
        media=media, format=FORMATS[container.purpose], facts={one: facts[one] for one in chosen if one in facts})
    here.state.keep(post)
    container.facts["media_id"] = post.id
    uploads.keep(container)
    return post


@media_route("/<instagram_node:account_id>/content_publishing_limit", "quota")
def limit(account_id: str) -> Response:
    """How many posts of the day are used, and how many there are."""
    only("fields")
    _, owner = _as_account(account_id, publishes=True)
    everything = {"quota_usage": _used(owner), "config": {"quota_total": _quota(), "quota_duration": DAY}}
    return answer({"data": [{one: everything[one] for one in picked_fields(["quota_usage"]) if one in everything}]})


# ---------------------------------------------------------------- read


@media_route("/<instagram_node:account_id>/media", "list")
def media(account_id: str) -> Response:
    """The account's posts, newest first; stories are not among them."""
    only("fields", "limit", "after")
    _, owner = _as_account(account_id)
    found = [post for post in world().posts(PLATFORM)
             if post.author_id == owner.id and post.format not in ("story", "comment")]
    most = int(parameter("limit") or 25)
    return answer({"data": [_post_facts(post, ["id"]) for post in found[:most]]})


@media_route("/<instagram_node:object_id>", "status")
def node(object_id: str) -> Response:
    """An account, a container or a post, by its number."""
    container = uploads.find(object_id, PLATFORM)
    if container is not None:
        _as_account(container.owner_id)
        return _status(container)
    post = _post(object_id)
    if post is not None:
        only("fields")
        _as_account(post.author_id)
        return answer(_post_facts(post, ["id"]))
    who, owner = _as_account(object_id)
    only("fields")
    if who.is_direct:
        raise gone(object_id)
    everything = account_facts(owner)
    return answer({one: everything[one] for one in picked_fields(["id"]) if everything.get(one)} | {"id": owner.id})


def _post(media_id: str) -> Post | None:
    post = world().state.find(Post, f"{PLATFORM}:{media_id}")
    return post if post is not None and not post.deleted else None


def _written(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _post_facts(post: Post, usual: list[str]) -> dict[str, Any]:
    everything: dict[str, Any] = {
        "caption": post.api_text or None, "permalink": post.permalink, "timestamp": _written(post.created_at),
        "shortcode": post.permalink.rstrip("/").rpartition("/")[2], "like_count": 0, "comments_count": 0,
        "media_type": {"photo": "IMAGE", "carousel": "CAROUSEL_ALBUM"}.get(post.format, "VIDEO"),
        "media_product_type": {"reel": "REELS", "story": "STORY"}.get(post.format, "FEED")}
    asked = picked_fields(usual)
    strange = [one for one in asked if one not in everything and one != "id"]
    if strange:
        raise GraphError(f"(#100) Tried accessing nonexisting field ({strange[0]}) on node type (IGMedia)", 100)
    return {one: everything[one] for one in asked if everything.get(one) is not None} | {"id": post.id}


# ---------------------------------------------------------------- comments, deletion


@media_route("/<instagram_node:media_id>/comments", "comment", ("POST",))
def comment(media_id: str) -> Response:
    """A comment under a post."""
    if request.args:
        raise GraphError("(#100) Parameters of a POST belong into its body", 100)
    only("message")
    who, owner, post = _commented(media_id)
    message = parameter("message")
    if not message.strip():
        raise GraphError("(#100) The parameter message is required", 100)
    here = world()
    made = Post(
        id=_number("18001"), platform=PLATFORM, client_id=who.app.client_id, author_id=owner.id,
        author_name=owner.name or owner.username, handle=f"@{owner.username}", text=message, sent=message,
        created_at=here.now(), permalink=post.permalink, api_text=message, format="comment", reply_to=post.id)
    here.state.keep(made)
    return answer({"id": made.id})


@media_route("/<instagram_node:media_id>/comments", "list")
def comments(media_id: str) -> Response:
    """The comments under a post."""
    only("fields", "limit", "after")
    _, owner, post = _commented(media_id)
    found = [one for one in world().posts(PLATFORM) if one.reply_to == post.id]
    asked = picked_fields(["id", "text", "timestamp"])
    rows = [{"text": one.text, "username": owner.username, "timestamp": _written(one.created_at), "id": one.id}
            for one in found]
    return answer({"data": [{name: row[name] for name in asked if name in row} for row in rows]})


def _commented(media_id: str) -> tuple[Caller, Account, Post]:
    post = _post(media_id)
    if post is None or post.format in ("story", "comment"):
        caller()
        raise gone(media_id)
    who, owner = _as_account(post.author_id)
    who.needs(("instagram_business_manage_comments",), ("instagram_manage_comments",))
    return who, owner, post


@media_route("/<instagram_node:media_id>", "delete", ("DELETE",))
def delete(media_id: str) -> Response:
    """Takes a post away; only through a Page."""
    only()
    who, post = caller(), _post(media_id)
    if who.is_direct:
        raise GraphError("Unsupported delete request", 100)
    if post is None:
        raise gone(media_id)
    _as_account(post.author_id)
    who.needs((), ("instagram_manage_contents",))
    post.deleted = True
    world().state.keep(post)
    return answer({"success": True})
