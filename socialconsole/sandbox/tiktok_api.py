"""TikTok's Content Posting and Display APIs: the creator, videos in chunks, photos that are fetched, the inbox.

developers.tiktok.com/doc/content-posting-api-reference-direct-post and its neighbours. Words in a title or description
order odd ends: `sandbox-fail-duration_check_failed` (any fail reason).
"""

import hashlib
import re
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, make_response, request

from . import uploads
from .calls import operation
from .people import Person, person
from .shapes import on_loopback
from .state import App, Grant, Post, Upload, fresh_id
from .tiktok import PLATFORM, Problem, answer, bearer, envelope, open_id, refuse, union_id
from .world import World, world

API = "/open.tiktokapis.com/v2"
PUBLISH = f"{API}/post/publish"
UPLOAD_HOST = "open-upload.tiktokapis.com"
DIRECT_A_DAY, PENDING_DRAFTS, UNAUDITED_USERS = 15, 5, 5
DAY, MINUTE = 86_400.0, 60.0
LEAST_CHUNK, LARGEST_CHUNK = 5 * 1024 * 1024, 64_000_000  # the stricter reading of the vendor's megabytes
LARGEST_VIDEO, MOST_CHUNKS = 4 * 1024**3, 1000
VIDEO, PHOTOS, PHOTO = "video", "photos", "photo"  # purposes of uploads

LEVELS = ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY")
USER_FIELDS = {
    **dict.fromkeys(("open_id", "union_id", "avatar_url", "avatar_url_100", "avatar_large_url", "display_name"),
                    "user.info.basic"),
    **dict.fromkeys(("username", "bio_description", "profile_deep_link", "is_verified"), "user.info.profile"),
    **dict.fromkeys(("follower_count", "following_count", "likes_count", "video_count"), "user.info.stats"),
}
LISTED = {
    *("id", "create_time", "cover_image_url", "share_url", "video_description", "duration", "height", "width", "title"),
    *("embed_html", "embed_link", "like_count", "comment_count", "share_count", "view_count"),
}

bp = Blueprint("tiktok_api", __name__)


@bp.errorhandler(Problem)
def say_problem(problem: Problem) -> Response:
    """The refusal in TikTok's envelope."""
    return answer(problem.body, problem.status)


def _ok(data: Any) -> Response:
    return answer(envelope("ok", "", data))


def _bad(words: str) -> Problem:
    return Problem(400, "invalid_params", words)


def _fields(known: Any) -> list[str]:
    """The fields that the query asks for. Raises Problem."""
    if set(request.args) != {"fields"}:
        raise _bad("The query needs `fields`, and nothing else.")
    fields = request.args["fields"].split(",")
    if not set(fields) <= set(known):
        raise _bad("Fields is invalid, please check your fields.")
    return fields


def _limit(grant: Grant, what: str, most: int) -> None:
    """So many calls in a minute for the token of one user."""
    recent: dict[tuple[str, str], deque[float]] = current_app.extensions.setdefault("tiktok_recent", {})
    times, now = recent.setdefault((grant.id, what), deque()), world().now()
    while times and times[0] <= now - MINUTE:
        times.popleft()
    if len(times) >= most:
        raise Problem(429, "rate_limit_exceeded", "The API rate limit was exceeded.")
    times.append(now)


def _body(shape: Mapping[str, type], *, needed: tuple[str, ...]) -> dict[str, Any]:
    """The JSON that came: all that is needed, nothing unknown, everything of its type. Raises Problem."""
    if request.args:
        raise _bad("This call takes no query.")
    if not (request.content_type or "").lower().startswith("application/json"):
        raise _bad("Content-Type must be application/json; charset=UTF-8.")
    return _object(request.get_json(silent=True), shape, needed)


def _object(value: Any, shape: Mapping[str, type], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad("An object is missing.")
    for name, one in value.items():
        if name not in shape:
            raise _bad(f"Unknown parameter {name}.")
        if type(one) is not shape[name]:
            raise _bad(f"{name} has the wrong type.")
    for name in needed:
        if name not in value:
            raise _bad(f"{name} is missing.")
    return value


# The account


@bp.get(f"{API}/user/info/")
@operation(PLATFORM, "profile", refuse)
def user_info() -> Response:
    """The account, in the fields that were asked for; one without its scope fails the whole call."""
    grant, app, who = bearer("user.info.basic", "user.info.profile", "user.info.stats")
    fields = _fields(USER_FIELDS)
    if not {USER_FIELDS[one] for one in fields} <= set(grant.scopes):
        raise Problem(401, "scope_not_authorized", "The user did not authorize the scope required for completing this "
                      "request.")
    picture = _picture(who)
    everything = {
        "open_id": open_id(who.id, app.client_id), "union_id": union_id(who.id), "avatar_url": picture,
        "avatar_url_100": picture, "avatar_large_url": picture, "display_name": who.name, "username": who.username,
        "bio_description": "", "profile_deep_link": world().address("www.tiktok.com", f"@{who.username}"),
        "is_verified": bool(who.facts.get("verified")), "follower_count": 120, "following_count": 8,
        "likes_count": 900, "video_count": len(_of(who)),
    }
    return _ok({"user": {name: everything[name] for name in fields}})


def _picture(who: Person) -> str:
    return world().address("p16-sign.tiktokcdn.com", f"{who.id}/{who.id}_100x100.png")


def _of(who: Person) -> list[Post]:
    return [post for post in world().posts(PLATFORM) if post.author_id == who.id]


@bp.post(f"{API}/video/list/")
@operation(PLATFORM, "list", refuse)
def video_list() -> Response:
    """The account's public posts, newest first."""
    _, _, who = bearer("video.list")
    fields = _fields(LISTED)
    body = _object(request.get_json(silent=True), {"max_count": int, "cursor": int})
    most = body.get("max_count", 10)
    if not 1 <= most <= 20:
        raise _bad("max_count is 1 to 20.")
    public = [post for post in _of(who) if post.facts["level"] == "PUBLIC_TO_EVERYONE" and post.facts["done"]]
    videos = [{name: value for name, value in _listed(post, who).items() if name in fields} for post in public[:most]]
    return _ok({"videos": videos, "cursor": int(world().now() * 1000), "has_more": len(public) > most})


def _listed(post: Post, who: Person) -> dict[str, Any]:
    number = post.facts["number"]
    return {"id": number, "create_time": int(post.created_at), "title": post.facts["title"] or post.text,
            "video_description": post.text, "share_url": world().address(
                "www.tiktok.com", f"@{who.username}/{post.facts['kind']}/{number}"), "view_count": 0}


# The creator


def _levels(who: Person) -> list[str]:
    without = "PUBLIC_TO_EVERYONE" if who.facts["private"] else "FOLLOWER_OF_CREATOR"
    return [level for level in LEVELS if level != without]


@bp.post(f"{PUBLISH}/creator_info/query/")
@operation(PLATFORM, "creator", refuse)
def creator_info() -> Response:
    """What may be chosen now. Blocks come with status 200."""
    grant, app, who = bearer("video.publish")
    if request.args or request.get_data():
        raise _bad("This call takes no parameters.")
    _limit(grant, "creator", 20)
    blocked = _blocked(app, who)
    if blocked:
        return answer(envelope(blocked, blocked))
    closed = who.facts.get("closed", ())
    return _ok({
        "creator_avatar_url": _picture(who), "creator_username": who.username, "creator_nickname": who.name,
        "privacy_level_options": _levels(who), "comment_disabled": "comment" in closed,
        "duet_disabled": "duet" in closed, "stitch_disabled": "stitch" in closed,
        "max_video_post_duration_sec": who.facts["seconds"],
    })


def _publishings(client_id: str | None = None) -> list[Upload]:
    """What was announced within a day, by one app or by all."""
    here = world()
    return [one for one in here.state.all(Upload) if one.platform == PLATFORM and one.purpose in (VIDEO, PHOTOS)
            and one.created_at > here.now() - DAY and client_id in (None, one.client_id)]


def _blocked(app: App, who: Person) -> str:
    """Why this account cannot be posted to directly now; empty if it can."""
    if who.facts.get("banned"):
        return "spam_risk_user_banned_from_posting"
    direct = [one for one in _publishings() if one.facts["direct"] and one.owner_id == who.id]
    if len(direct) >= world().quotas.get(PLATFORM, DIRECT_A_DAY):
        return "spam_risk_too_many_posts"
    users = {one.owner_id for one in _publishings(app.client_id) if one.facts["direct"]}
    most = app.settings["active_users"] if app.settings["audited"] else UNAUDITED_USERS
    return "reached_active_user_cap" if len(users | {who.id}) > most else ""


# Announcing


_POST_INFO = {
    "privacy_level": str, "title": str, "disable_duet": bool, "disable_stitch": bool, "disable_comment": bool,
    "video_cover_timestamp_ms": int, "brand_content_toggle": bool, "brand_organic_toggle": bool, "is_aigc": bool,
}
_PHOTO_INFO = {
    "title": str, "description": str, "privacy_level": str, "disable_comment": bool, "auto_add_music": bool,
    "brand_content_toggle": bool, "brand_organic_toggle": bool,
}
_FILE_SOURCE = {"source": str, "video_size": int, "chunk_size": int, "total_chunk_count": int}


@bp.post(f"{PUBLISH}/video/init/")
@operation(PLATFORM, "upload", refuse)
def video_init() -> Response:
    """A video that is to be published directly: nothing is, before all of its bytes are there."""
    grant, app, who = bearer("video.publish")
    _limit(grant, "init", 6)
    body = _body({"post_info": dict, "source_info": dict}, needed=("post_info", "source_info"))
    info = _object(body["post_info"], _POST_INFO, ("privacy_level",))
    _check_direct(app, who, info)
    _check_length(info, title=2200)
    return _begin_video(app, who, body["source_info"], direct=True, info=info)


@bp.post(f"{PUBLISH}/inbox/video/init/")
@operation(PLATFORM, "upload", refuse)
def inbox_init() -> Response:
    """A video for the person's inbox."""
    grant, app, who = bearer("video.upload")
    _limit(grant, "init", 6)
    body = _body({"source_info": dict}, needed=("source_info",))
    _check_inbox(who)
    return _begin_video(app, who, body["source_info"], direct=False, info={})


def _check_direct(app: App, who: Person, info: dict[str, Any]) -> None:
    blocked = _blocked(app, who)
    if blocked:
        raise Problem(403, blocked)
    if not app.settings["audited"] and (not who.facts["private"] or info["privacy_level"] != "SELF_ONLY"):
        raise Problem(403, "unaudited_client_can_only_post_to_private_accounts",
                      "Please review our integration guidelines.")
    if info["privacy_level"] not in _levels(who):
        raise Problem(403, "privacy_level_option_mismatch", "The privacy level is not among the creator's options.")
    if info.get("brand_content_toggle") and info["privacy_level"] == "SELF_ONLY":
        raise _bad("Branded content cannot be private.")


def _check_inbox(who: Person) -> None:
    waiting = [post for post in _of(who) if post.facts["inbox"] and not post.facts["done"]
               and post.created_at > world().now() - DAY]
    if len(waiting) >= PENDING_DRAFTS:
        raise Problem(403, "spam_risk_too_many_pending_share")


def _check_length(info: dict[str, Any], **most: int) -> None:
    for name, units in most.items():
        if len(info.get(name, "").encode("utf-16-le")) // 2 > units:
            raise _bad(f"{name} is too long.")


def _begin_video(app: App, who: Person, given: Any, *, direct: bool, info: dict[str, Any]) -> Response:
    source = _object(given, _FILE_SOURCE, tuple(_FILE_SOURCE))
    size, chunk, count = source["video_size"], source["chunk_size"], source["total_chunk_count"]
    if source["source"] != "FILE_UPLOAD":
        raise _bad("The sandbox plays FILE_UPLOAD for videos.")
    is_whole = chunk == size and count == 1 and 0 < size <= LARGEST_CHUNK
    sound = LEAST_CHUNK <= chunk <= LARGEST_CHUNK and chunk <= size and count == size // chunk <= MOST_CHUNKS
    if not (is_whole or sound) or size > LARGEST_VIDEO:
        raise _bad("The total chunk count is invalid.")
    upload = uploads.begin(PLATFORM, app.client_id, who.id, VIDEO, total=size, chunk=chunk, count=count, direct=direct,
                           info=info, token=fresh_id(16), post="", reason="")
    query = f"upload_id={upload.id}&upload_token={upload.facts['token']}"
    return _ok({"publish_id": _publish_id(upload), "upload_url": world().address(UPLOAD_HOST, f"video/?{query}")})


def _publish_id(upload: Upload) -> str:
    start = {(VIDEO, True): "v_pub_file~v2-1.", (VIDEO, False): "v_inbox_file~v2.", (PHOTOS, True): "p_pub_url~v2.",
             (PHOTOS, False): "p_inbox_url~v2."}
    return start[upload.purpose, upload.facts["direct"]] + str(int(upload.id, 16))


def _announced(publish_id: str) -> Upload | None:
    return next((one for one in world().state.all(Upload) if one.platform == PLATFORM
                 and one.purpose in (VIDEO, PHOTOS) and _publish_id(one) == publish_id), None)


# Bytes


_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def _put_label() -> str:
    """`publish` for the chunk with the last byte, else `upload`."""
    found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
    return "publish" if found and int(found.group(2)) + 1 == int(found.group(3)) else "upload"


@bp.put(f"/{UPLOAD_HOST}/video/")
@operation(PLATFORM, _put_label, refuse, media=True)
def put() -> Response:
    """A chunk, strictly in order. The address is the proof: a token has no place here."""
    here = world()
    upload = uploads.find(request.args.get("upload_id"), PLATFORM)
    if upload is None or upload.purpose != VIDEO or request.args.get("upload_token") != upload.facts["token"]:
        return make_response("", 404)
    if set(request.args) != {"upload_id", "upload_token"} or "Authorization" in request.headers:
        return make_response("", 400)
    app = here.app(PLATFORM, upload.client_id)
    if app is None or here.now() >= upload.created_at + app.settings["url_seconds"]:
        return make_response("", 403)
    found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
    kinds = ("video/mp4", "video/quicktime", "video/webm")
    if found is None or int(found.group(3)) != upload.total or request.content_type not in kinds:
        return make_response("", 400)
    return _chunk(upload, int(found.group(1)), int(found.group(2)))


def _chunk(upload: Upload, first: int, last: int) -> Response:
    total = upload.total or 0
    if first != upload.received or last >= total:
        return _stands(upload, 416)
    chunk, count = upload.facts["chunk"], upload.facts["count"]
    number = min(first // chunk, count - 1)
    end = total if number == count - 1 else (number + 1) * chunk
    if last + 1 != end or request.content_length != last + 1 - first:
        return make_response("", 400)
    uploads.append(upload, first, request.stream, last + 1 - first)
    if end < total:
        return _stands(upload, 206)
    upload.mime = request.content_type or ""
    uploads.finish(upload)
    _post(upload, [uploads.medium(upload)])
    return _stands(upload, 201)


def _stands(upload: Upload, status: int) -> Response:
    response = make_response("", status)
    if upload.received:
        response.headers["Content-Range"] = f"bytes 0-{upload.received - 1}/{upload.total}"
    return response


# Photos


@bp.post(f"{PUBLISH}/content/init/")
@operation(PLATFORM, "publish", refuse)
def content_init() -> Response:
    """Photos: TikTok begins to fetch them at once."""
    grant, app, who = bearer("video.publish", "video.upload")
    _limit(grant, "init", 6)
    body = _body({"media_type": str, "post_mode": str, "post_info": dict, "source_info": dict, "is_aigc": bool},
                 needed=("media_type", "post_mode", "post_info", "source_info"))
    direct = body["post_mode"] == "DIRECT_POST"
    if body["media_type"] != "PHOTO" or body["post_mode"] not in ("DIRECT_POST", "MEDIA_UPLOAD"):
        raise _bad("media_type or post_mode is invalid.")
    bearer("video.publish" if direct else "video.upload")
    known = _PHOTO_INFO if direct else {"title": str, "description": str}
    info = _object(body["post_info"], known, ("privacy_level",) if direct else ())
    _check_length(info, title=90, description=4000)
    if direct:
        _check_direct(app, who, info)
    else:
        _check_inbox(who)
    urls = _photo_urls(app, body["source_info"])
    info |= {"is_aigc": body.get("is_aigc", False), "cover": body["source_info"].get("photo_cover_index", 0)}
    upload = uploads.begin(PLATFORM, app.client_id, who.id, PHOTOS, direct=direct, info=info, post="", reason="")
    _fetch(app, who, upload, urls)
    return _ok({"publish_id": _publish_id(upload)})


def _photo_urls(app: App, given: Any) -> list[str]:
    source = _object(given, {"source": str, "photo_images": list, "photo_cover_index": int}, ("source", "photo_images"))
    urls = source["photo_images"]
    if source["source"] != "PULL_FROM_URL" or not 1 <= len(urls) <= 35 or not all(isinstance(one, str) for one in urls):
        raise _bad("photo_images takes 1 to 35 addresses.")
    if not 0 <= source.get("photo_cover_index", 0) < len(urls):
        raise _bad("photo_cover_index is out of range.")
    for url in urls:
        local = app.accept_http_loopback and on_loopback(url)
        host = urlsplit(url).hostname or ""
        public = url.startswith("https://") and re.search(r"[a-z]$", host) is not None and "." in host
        if not app.settings["media_verified"] or not (local or public):
            raise Problem(403, "url_ownership_unverified", "Please review our URL ownership verification rules.")
    return urls


def _fetch(app: App, who: Person, upload: Upload, urls: list[str]) -> None:
    media = []
    for url in urls:
        one = uploads.begin(PLATFORM, app.client_id, who.id, PHOTO)
        if uploads.pull(one, url):
            upload.facts["reason"] = "photo_pull_failed"
        elif one.mime not in ("image/jpeg", "image/webp"):
            upload.facts["reason"] = "file_format_check_failed"
        elif one.received > 20 * 1024 * 1024:
            upload.facts["reason"] = "picture_size_check_failed"
        media.append(uploads.medium(one))
    upload.polls_left, upload.status = world().processing_polls, uploads.PROCESSING
    if not upload.facts["reason"]:
        _post(upload, media)
    uploads.keep(upload)


# What became of it


def _post(upload: Upload, media: list[dict[str, Any]]) -> None:
    """The post, or the draft in the inbox; `done` once it can be seen."""
    here, info = world(), upload.facts["info"]
    who = person(PLATFORM, upload.owner_id)
    assert who is not None
    direct, kind = upload.facts["direct"], "video" if upload.purpose == VIDEO else "photo"
    text = info.get("title" if kind == "video" else "description", "")
    ordered = re.search(r"sandbox-fail-(\w+)", f"{text} {info.get('title', '')}")
    if kind == "video" and uploads.sniff(upload) not in ("video/mp4", "video/quicktime", "video/webm"):
        upload.facts["reason"] = "file_format_check_failed"
    elif ordered:
        upload.facts["reason"] = ordered.group(1)
    if upload.facts["reason"]:
        uploads.keep(upload)
        return
    post = Post(
        id=hashlib.sha256(upload.id.encode()).hexdigest()[:12],
        platform=PLATFORM,
        client_id=upload.client_id,
        author_id=who.id,
        author_name=who.name,
        handle=f"@{who.username}",
        text=text,
        sent=text,
        created_at=here.now(),
        permalink=here.address("www.tiktok.com", f"@{who.username}"),
        media=media,
        format=("" if direct else "inbox_") + ("video" if kind == "video" else "photos"),
        facts={**{name: value for name, value in info.items() if name != "title"},
               "title": info.get("title", "") if kind == "photo" else "", "kind": kind, "inbox": not direct,
               "level": info.get("privacy_level", ""), "number": _number(here), "done": False, "hidden": 0},
    )
    here.state.keep(post)
    upload.facts["post"] = post.id
    uploads.keep(upload)


def _number(here: World) -> str:
    return str(here.next_number(PLATFORM, 7_300_000_000_000_000_000))


def post_of(number: str) -> str:
    """The sandbox's id of the post with TikTok's number."""
    return next((post.id for post in world().posts(PLATFORM) if post.facts["number"] == number), "")


@bp.post(f"{PUBLISH}/status/fetch/")
@operation(PLATFORM, "status", refuse)
def status() -> Response:
    """What became of an announced post."""
    grant, app, who = bearer("video.publish", "video.upload")
    _limit(grant, "status", 30)
    publish_id = _body({"publish_id": str}, needed=("publish_id",))["publish_id"]
    upload = _announced(publish_id)
    if upload is None:
        raise Problem(400, "invalid_publish_id", "The publish_id does not exist.")
    if (upload.owner_id, upload.client_id) != (who.id, app.client_id):
        raise Problem(400, "token_not_authorized_for_specified_publish_id")
    return _ok(_state(app, upload))


def _state(app: App, upload: Upload) -> dict[str, Any]:
    is_video = upload.purpose == VIDEO
    if is_video and upload.received < (upload.total or 0):
        return {"status": "PROCESSING_UPLOAD", "uploaded_bytes": upload.received}
    if not uploads.polled(upload):
        return {"status": "PROCESSING_UPLOAD", "uploaded_bytes": upload.received} if is_video else \
            {"status": "PROCESSING_DOWNLOAD", "downloaded_bytes": upload.received}
    if upload.facts["reason"]:
        return {"status": "FAILED", "fail_reason": upload.facts["reason"], "publicaly_available_post_id": []}
    post = world().state.find(Post, f"{PLATFORM}:{upload.facts['post']}")
    assert post is not None
    if post.facts["inbox"] and not post.facts["done"]:
        return {"status": "SEND_TO_USER_INBOX"}
    return {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": _public_ids(app, post)}


def _public_ids(app: App, post: Post) -> list[int]:
    """Only public posts have an id, and only after the moderation."""
    post.facts["done"] = True
    post.facts["hidden"] += 1
    world().state.keep(post)
    is_public = post.facts["level"] == "PUBLIC_TO_EVERYONE"
    return [int(post.facts["number"])] if is_public and post.facts["hidden"] > app.settings["moderation_polls"] else []


@bp.post("/www.tiktok.com/sandbox/inbox/<post_id>/<any(post, discard):what>")
def finish_draft(post_id: str, what: str) -> Response:
    """What the person does with a draft on the phone: publish it for everybody, or throw it away."""
    here = world()
    with here.state.writing():
        post = here.state.find(Post, f"{PLATFORM}:{post_id}")
        if post is None or not post.facts["inbox"]:
            return make_response("", 404)
        post.facts["done"] = True
        post.facts["level"] = "PUBLIC_TO_EVERYONE" if what == "post" else ""
        post.deleted = what == "discard"
        here.state.keep(post)
    return make_response("", 204)
