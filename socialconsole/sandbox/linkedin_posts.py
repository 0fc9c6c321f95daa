"""LinkedIn's posts and comments. The stored text is cut at the first reserved character left bare, as the real one is.

learn.microsoft.com/linkedin: Posts API; MultiImage Post API; Poll Post API; Comments API.
"""

import json
from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Response, jsonify, make_response, request

from . import uploads
from .calls import operation
from .linkedin import PLATFORM, answer, refuse, traced
from .linkedin_api import (
    PAGE,
    Problem,
    bad_input,
    bearer,
    check_owner,
    check_protocol,
    denied,
    known_parameters,
    say_problem,
)
from .linkedin_media import attachable
from .linkedin_pages import organization
from .little_text import shown, visible_length
from .state import Grant, Post
from .world import world

LONGEST_COMMENTARY = 3000
LONGEST_ALT_TEXT = 4086
DUPLICATE_WITHIN = 86_400
DAY = 86_400
FIRST_ID = 7_000_000_000_000_000_000
VISIBILITIES = ("PUBLIC", "CONNECTIONS", "LOGGED_IN")
REQUIRED = ("author", "commentary", "visibility", "distribution", "lifecycleState")
KNOWN = {*REQUIRED, "isReshareDisabledByAuthor", "content"}
DISTRIBUTION = {"feedDistribution", "targetEntities", "thirdPartyDistributionChannels"}
DURATIONS = ("ONE_DAY", "THREE_DAYS", "SEVEN_DAYS", "FOURTEEN_DAYS")

bp = Blueprint("linkedin_posts", __name__)
bp.register_error_handler(Problem, say_problem)


def _bad(path: str, description: str, code: str = "INVALID_VALUE") -> Problem:
    return bad_input(422, code, f"/{path} :: {description}", description, path)


def _exactly(value: Any, path: str, needed: set[str], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    if not isinstance(value, dict) or not needed <= set(value):
        raise _bad(path, "Required field is missing", "MISSING_FIELD")
    if set(value) - needed - optional:
        raise _bad(path, "Unknown field", "UNRECOGNIZED_FIELD")
    return value


@bp.post("/api.linkedin.com/rest/posts")
@operation(PLATFORM, "publish", refuse)
def publish() -> Response:
    """A new post; the answer is empty and names the post in a header."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters()
    body = request.get_json(silent=True)
    if not {"w_member_social", "w_organization_social"} & set(grant.scopes):
        raise denied(f"partnerApiPostsExternal.CREATE.{version}01")
    post = _checked(body, grant, f"partnerApiPostsExternal.CREATE.{version}01")
    _check_quota(post.author_id)
    _check_duplicate(post)
    world().state.keep(post)
    return _created(post.id)


def _created(urn: str) -> Response:
    response = make_response("", 201)
    response.headers["x-restli-id"] = urn
    del response.headers["Content-Type"]
    return traced(response)


def _checked(body: Any, grant: Grant, resource: str) -> Post:
    """The post that a body describes. Raises Problem."""
    if not isinstance(body, dict):
        raise Problem(400, "Unable to parse the request body as JSON", "INVALID_REQUEST")
    for name in REQUIRED:
        if name not in body:
            raise bad_input(422, "MISSING_FIELD", f"/{name} :: field is required", "Required field is missing", name)
    for name in body.keys() - KNOWN:
        raise bad_input(422, "UNRECOGNIZED_FIELD", f"/{name} :: unrecognized field", "Unknown field", name)
    check_owner(body["author"], grant, "author", resource)
    is_page = body["author"].startswith(PAGE)
    if body["visibility"] not in VISIBILITIES or (is_page and body["visibility"] == "CONNECTIONS"):
        raise _bad("visibility", "Invalid value")
    if body["lifecycleState"] != "PUBLISHED":
        raise _bad("lifecycleState", "Invalid value")
    if body.get("isReshareDisabledByAuthor", False) not in (True, False):
        raise _bad("isReshareDisabledByAuthor", "Invalid value")
    spread = body["distribution"]
    if not isinstance(spread, dict) or set(spread) - DISTRIBUTION or spread.get("feedDistribution") not in (
            "MAIN_FEED", "NONE"):
        raise _bad("distribution", "Invalid value")
    post = _new(body, grant)
    if body.get("content") is not None:
        _read_content(post, body["content"], body["author"])
    _check_commentary(body["commentary"], bool(body.get("content")))
    return post


def _new(body: dict[str, Any], grant: Grant) -> Post:
    here = world()
    number = here.next_number(PLATFORM, FIRST_ID)
    kind = "ugcPost" if "urn:li:video:" in json.dumps(body.get("content") or {}) else "share"
    urn, author = f"urn:li:{kind}:{number}", str(body["author"])
    page = organization(author.removeprefix(PAGE)) if author.startswith(PAGE) else None
    name = page["name"] if page else here.person_of(grant).name
    return Post(
        id=urn, platform=PLATFORM, client_id=grant.client_id, author_id=author.rpartition(":")[2], author_name=name,
        handle=page["vanity"] if page else name, text=shown(str(body["commentary"])), sent=str(body["commentary"]),
        created_at=here.now(), permalink=here.address("www.linkedin.com", f"feed/update/{urn}/"), format="text",
        facts={"author": author, "visibility": body["visibility"], "content": body.get("content")},
    )


def _check_commentary(commentary: Any, has_content: bool) -> None:
    if not isinstance(commentary, str) or not (commentary.strip() or has_content):
        raise bad_input(422, "MISSING_FIELD", "/commentary :: is empty", "Commentary is missing", "commentary")
    length = visible_length(commentary)
    if length > LONGEST_COMMENTARY:
        words = f"ShareCommentary text length ({length} characters) exceeded the maximum allowed (3000 characters)"
        raise bad_input(400, "FIELD_ARRAY_SIZE_TOO_HIGH", words, words, "commentary")


# What goes with the text


def _read_content(post: Post, content: Any, author: str) -> None:
    readers = {"article": _article, "media": _media, "multiImage": _several, "poll": _poll}
    if not isinstance(content, dict) or len(content) != 1 or next(iter(content)) not in readers:
        raise _bad("content", "Exactly one sort of content", "INVALID_CONTENT")
    [(sort, value)] = content.items()
    readers[sort](post, value, author)


def _article(post: Post, value: Any, author: str) -> None:
    told = _exactly(value, "content/article", {"source", "title"}, frozenset({"description", "thumbnail"}))
    if not str(told["source"]).startswith(("http://", "https://")):
        raise _bad("content/article/source", "Invalid URL", "INVALID_URL")
    if not isinstance(told["title"], str) or not told["title"].strip():
        raise _bad("content/article/title", "Title is missing", "MISSING_FIELD")
    if "thumbnail" in told:
        upload = attachable(told["thumbnail"], author, "content/article/thumbnail", "images")
        post.media.append(uploads.medium(upload))
    post.format, post.link = "article", str(told["source"])
    post.facts |= {"title": told["title"], "description": told.get("description", "")}


def _media(post: Post, value: Any, author: str) -> None:
    told = _exactly(value, "content/media", {"id"}, frozenset({"title", "altText"}))
    upload = attachable(told["id"], author, "content/media/id", "images", "documents", "videos")
    if upload.purpose == "documents" and not told.get("title"):
        raise _bad("content/media/title", "Title is missing", "MISSING_FIELD")
    if upload.purpose != "images" and "altText" in told:
        raise _bad("content/media/altText", "Only for images", "UNRECOGNIZED_FIELD")
    post.media.append(uploads.medium(upload, _alt(told)))
    post.format = upload.purpose.removesuffix("s")
    post.facts |= {"title": told.get("title", "")}


def _several(post: Post, value: Any, author: str) -> None:
    images = _exactly(value, "content/multiImage", {"images"})["images"]
    if not isinstance(images, list) or not 2 <= len(images) <= 20:
        raise _bad("content/multiImage/images", "Between 2 and 20 images")
    for one in images:
        told = _exactly(one, "content/multiImage/images", {"id"}, frozenset({"altText"}))
        upload = attachable(told["id"], author, "content/multiImage/images", "images")
        post.media.append(uploads.medium(upload, _alt(told)))
    post.format = "multiImage"


def _alt(told: dict[str, Any]) -> str:
    text = told.get("altText", "")
    if not isinstance(text, str) or len(text) > LONGEST_ALT_TEXT:
        raise _bad("content/media/altText", "Invalid value")
    return text


def _poll(post: Post, value: Any, author: str) -> None:
    told = _exactly(value, "content/poll", {"question", "options", "settings"})
    options = told["options"]
    if not isinstance(options, list) or not 2 <= len(options) <= 4:
        raise _bad("content/poll/options", "Between 2 and 4 options")
    texts = [str(_exactly(one, "content/poll/options", {"text"})["text"]) for one in options]
    if not 0 < len(str(told["question"])) <= 140 or not all(0 < len(text) <= 30 for text in texts):
        raise _bad("content/poll", "Too long or empty")
    duration = _exactly(told["settings"], "content/poll/settings", {"duration"})["duration"]
    if duration not in DURATIONS:
        raise _bad("content/poll/settings/duration", "Invalid value")
    post.format = "poll"
    post.facts |= {"poll": {"question": told["question"], "options": texts, "duration": duration}}


# Limits


def _check_quota(author_id: str) -> None:
    """The posts of an author on one UTC day, where a limit was set; none is set from the start."""
    here = world()
    limit = here.quotas.get(PLATFORM)
    today = here.now() // DAY
    mine = [post for post in here.state.all(Post) if (post.platform, post.author_id) == (PLATFORM, author_id)]
    if limit is not None and sum(post.created_at // DAY == today for post in mine) >= limit:
        raise Problem(429, "Resource level throttle limit for calls to this resource is reached.")


def _check_duplicate(new: Post) -> None:
    """The same words by the same author within a day, also after a deletion."""
    since = world().now() - DUPLICATE_WITHIN
    for post in world().state.of(Post, new.author_id):
        same = (post.platform, post.author_id, post.sent, post.reply_to) == (PLATFORM, new.author_id, new.sent, "")
        if same and post.sent.strip() and post.created_at > since:
            words = f"Content is a duplicate of {post.id}"
            message = f"com.linkedin.content.common.exception.BadRequestResponseException: {words}"
            raise bad_input(422, "DUPLICATE_POST", message, "Duplicate post is detected", "")


# Reading, deleting, comments


@bp.get("/api.linkedin.com/rest/posts")
@operation(PLATFORM, "list", refuse)
def posts() -> Response:
    """The posts of a Page, newest first; a member's cannot be read."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters("q", "author", "count", "start", "sortBy")
    author = request.args.get("author", "")
    if request.args.get("q") != "author" or not author.startswith("urn:li:"):
        raise Problem(400, "Finder is missing or unknown", "ILLEGAL_ARGUMENT")
    if not author.startswith(PAGE) or "r_organization_social" not in grant.scopes:
        raise denied(f"partnerApiPostsExternal.FINDER-author.{version}01")
    count = int(request.args.get("count", "10"))
    found = [post for post in world().posts(PLATFORM) if post.facts.get("author") == author and not post.reply_to]
    paging = {"start": 0, "count": count, "links": []}
    return answer({"elements": [_told(post) for post in found[:count]], "paging": paging})


def _told(post: Post) -> dict[str, Any]:
    moment = int(post.created_at * 1000)
    told = {"id": post.id, "author": post.facts["author"], "commentary": post.sent, "createdAt": moment,
            "publishedAt": moment, "lastModifiedAt": moment, "visibility": post.facts["visibility"],
            "lifecycleState": "PUBLISHED"}
    return told | ({"content": post.facts["content"]} if post.facts.get("content") else {})


@bp.delete("/api.linkedin.com/rest/posts/<urn>")
@operation(PLATFORM, "delete", refuse)
def delete(urn: str) -> Response:
    """Takes an own post away; one that is gone already is no error."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters()
    if not {"w_member_social", "w_organization_social"} & set(grant.scopes):
        raise denied(f"partnerApiPostsExternal.DELETE.{version}01")
    post = world().state.find(Post, f"{PLATFORM}:{urn}")
    if post:
        check_owner(post.facts["author"], grant, "author", f"partnerApiPostsExternal.DELETE.{version}01")
        for one in world().state.all(Post):
            if one is post or (one.platform == PLATFORM and one.reply_to == urn):
                one.deleted = True
                world().state.keep(one)
    return traced(make_response("", 204))


@bp.post("/api.linkedin.com/rest/socialActions/<path:urn>/comments")
@operation(PLATFORM, "comment", refuse)
def comment(urn: str) -> Response:
    """A comment of plain text; it needs a scope that few apps have."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters()
    told = _exactly(request.get_json(silent=True), "comment", {"actor", "object", "message"})
    text = _exactly(told["message"], "message", {"text"})["text"]
    is_page = str(told["actor"]).startswith(PAGE)
    resource = f"socialActions.CREATE-comments.{version}01"
    if ("w_organization_social_feed" if is_page else "w_member_social_feed") not in grant.scopes:
        raise denied(resource)
    check_owner(told["actor"], grant, "actor", resource)
    on = world().state.find(Post, f"{PLATFORM}:{unquote(urn)}")
    if on is None or on.deleted or told["object"] != on.id:
        raise Problem(404, "Could not find entity", "NOT_FOUND")
    if not isinstance(text, str) or not text.strip():
        raise _bad("message/text", "Required field is missing", "MISSING_FIELD")
    post = _new({"author": told["actor"], "commentary": "", "visibility": "PUBLIC"}, grant)
    number = post.id.rpartition(":")[2]
    post.id, post.text, post.sent = f"urn:li:comment:({on.id},{number})", text, text
    post.reply_to, post.format, post.permalink = on.id, "comment", on.permalink
    world().state.keep(post)
    response = jsonify({"id": number, "commentUrn": post.id, "actor": told["actor"], "object": on.id,
                        "message": {"text": text}})
    response.status_code = 201
    response.headers["x-restli-id"] = number
    return traced(response)
