"""YouTube's Data API v3 as far as the sandbox plays it: the own channel, resumable uploads, processing, thumbnails.

developers.google.com/youtube/v3/docs. Words in a title order odd ends: `sandbox-fail-codec` (any failure reason),
`sandbox-reject-copyright` (any rejection reason), `sandbox-private` (locked, whatever was asked for).
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, make_response, redirect, request

from . import uploads
from .calls import operation
from .people import Person, at, person
from .state import App, Grant, Post, Token, Upload
from .uploads import type_of
from .world import iso, world
from .youtube import PLATFORM, PREFIX, answer, envelope, refuse

UPLOADS_PER_DAY = 100
LARGEST_VIDEO, LARGEST_THUMBNAIL = 256 * 1024**3, 50 * 1024 * 1024
GRAIN = 262_144
API, UPLOAD = "/www.googleapis.com/youtube/v3", "/www.googleapis.com/upload/youtube/v3"
VIDEO, THUMBNAIL = "video", "thumbnail"  # purposes of uploads

CHANNEL_PARTS = {
    *("auditDetails", "brandingSettings", "contentDetails", "contentOwnerDetails", "id", "localizations", "snippet"),
    *("statistics", "status", "topicDetails"),
}
VIDEO_PARTS = {
    *("contentDetails", "fileDetails", "id", "liveStreamingDetails", "localizations", "paidProductPlacementDetails"),
    *("player", "processingDetails", "recordingDetails", "snippet", "statistics", "status", "suggestions"),
    "topicDetails",
}
CATEGORIES = {"1", "2", "10", "15", "17", "19", "20", "22", "23", "24", "25", "26", "27", "28", "29"}
SNIPPET = {"title": str, "description": str, "tags": list, "categoryId": str, "defaultLanguage": str}
STATUS = {
    "privacyStatus": str,
    "publishAt": str,
    "selfDeclaredMadeForKids": bool,
    "containsSyntheticMedia": bool,
    "license": str,
    "embeddable": bool,
    "publicStatsViewable": bool,
}
READERS = {f"{PREFIX}youtube.readonly", f"{PREFIX}youtube", f"{PREFIX}youtube.force-ssl"}
WRITERS = {f"{PREFIX}youtube.upload", f"{PREFIX}youtube", f"{PREFIX}youtube.force-ssl"}
MANAGERS = {f"{PREFIX}youtube", f"{PREFIX}youtube.force-ssl"}

bp = Blueprint("youtube_api", __name__)


class Problem(Exception):
    """An answer of the API that says no."""

    def __init__(self, code: int, reason: str, words: str, domain: str = "youtube.common", status: str = "",
                 **more: Any) -> None:
        super().__init__(words)
        self.body, self.code = envelope(code, reason, words, domain, status, **more), code


@bp.errorhandler(Problem)
def say_problem(problem: Problem) -> Response:
    """The refusal in Google's envelope."""
    return answer(problem.body, problem.code)


def _bearer(scopes: set[str]) -> Grant:
    here = world()
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    found = here.state.find(Token, value) if kind == "Bearer" else None
    if found is None or found.role != "access" or here.grant_of(found).platform != PLATFORM:
        raise Problem(401, "authError", "Invalid Credentials", "global", "UNAUTHENTICATED")
    why = here.ended(found)
    if why == "suspended":
        raise Problem(403, "authenticatedUserAccountSuspended", "The account is suspended.", "youtube.common")
    if why:
        raise Problem(401, "authError", "Invalid Credentials", "global", "UNAUTHENTICATED")
    grant = here.grant_of(found)
    if not scopes & set(grant.scopes):
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]
        raise Problem(403, "insufficientPermissions", "Request had insufficient authentication scopes.", "global",
                      "PERMISSION_DENIED", details=details)
    if not _app(grant).settings["api_enabled"]:
        words = "YouTube Data API v3 has not been used in project 1 before or it is disabled."
        raise Problem(403, "accessNotConfigured", words, "usageLimits", "PERMISSION_DENIED")
    return grant


def _app(grant: Grant) -> App:
    found = world().app(PLATFORM, grant.client_id)
    assert found is not None
    return found


def _query(taken: set[str], needed: set[str]) -> dict[str, str]:
    """The query, if it has what it must and nothing else. Raises Problem."""
    unknown = set(request.args) - taken
    if unknown:
        raise Problem(400, "invalidParameter", f"Unknown name {sorted(unknown)[0]!r}: Cannot bind query parameter.",
                      "global", "INVALID_ARGUMENT")
    for name in sorted(needed):
        if not request.args.get(name):
            raise Problem(400, "missingRequiredParameter", f"Required parameter: {name}", "global", "INVALID_ARGUMENT")
    return request.args.to_dict()


def _parts(text: str, known: set[str]) -> list[str]:
    parts = text.split(",")
    if not set(parts) <= known:
        raise Problem(400, "unknownPart", f"{text!r} names an unknown part.", "youtube.part")
    return parts


# The channel


@bp.get(f"{API}/channels")
@operation(PLATFORM, "profile", refuse)
def channels() -> Response:
    """The one channel that was chosen in the consent; without one there is no `items` at all."""
    grant = _bearer(READERS)
    query = _query({"part", "mine"}, {"part", "mine"})
    parts = _parts(query["part"], CHANNEL_PARTS)
    if query["mine"] != "true":
        raise Problem(400, "invalidValue", "The sandbox knows only mine=true.", "global")
    who = world().person_of(grant)
    body: dict[str, Any] = {"kind": "youtube#channelListResponse", "etag": "e",
                            "pageInfo": {"totalResults": 0, "resultsPerPage": 5}}
    if who.facts.get("channel"):
        body["pageInfo"]["totalResults"] = 1
        body["items"] = [_channel(who, parts)]
    return answer(body)


def _channel(who: Person, parts: list[str]) -> dict[str, Any]:
    channel = str(who.facts["channel"])
    picture = world().address("yt3.ggpht.com", f"{channel}/{channel}_100x100.png")
    verified = bool(who.facts.get("verified", True))
    everything = {
        "snippet": {
            "title": who.facts["title"],
            "customUrl": f"@{who.username}",
            "thumbnails": {size: {"url": picture} for size in ("default", "medium", "high")},
        },
        "statistics": {
            "viewCount": "1200",
            "subscriberCount": "48",
            "hiddenSubscriberCount": False,
            "videoCount": str(sum(post.author_id == who.id for post in world().posts(PLATFORM))),
        },
        "status": {
            "privacyStatus": "public",
            "isLinked": True,
            "longUploadsStatus": "allowed" if verified else "eligible",
            "madeForKids": False,
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": "UU" + channel[2:]}},
    }
    shown = {name: everything[name] for name in parts if name in everything}
    return {"kind": "youtube#channel", "id": channel, **shown}


# A resumable upload


@bp.post(f"{UPLOAD}/videos")
@operation(PLATFORM, "upload", refuse)
def begin() -> Response:
    """A session for a video: nothing is published by it."""
    grant = _bearer(WRITERS)
    who = _uploader(grant)
    query = _query({"uploadType", "part", "notifySubscribers"}, {"uploadType", "part"})
    if query["uploadType"] != "resumable" or query.get("notifySubscribers", "true") not in ("true", "false"):
        raise Problem(400, "invalidParameter", "The sandbox plays resumable uploads.", "global")
    kind, size = request.headers.get("X-Upload-Content-Type", ""), request.headers.get("X-Upload-Content-Length", "")
    if not re.fullmatch(r"video/[\w.+-]+|application/octet-stream", kind):
        raise Problem(400, "mediaBodyRequired", f"Media type {kind!r} is not supported. Valid: [video/*, "
                      "application/octet-stream]", "youtube.video")
    if not re.fullmatch(r"[1-9]\d*", size) or int(size) > LARGEST_VIDEO:
        raise Problem(400, "mediaBodyRequired", "X-Upload-Content-Length is missing or too large.", "youtube.video")
    _check_quota(grant)
    body = _checked_video(_parts(query["part"], VIDEO_PARTS))
    upload = uploads.begin(PLATFORM, grant.client_id, who.id, VIDEO, total=int(size), mime="", body=body,
                           notify=query.get("notifySubscribers", "true") == "true", chunk=0, video="")
    response = make_response("", 200)
    session = f"uploadType=resumable&part={query['part']}&upload_id={upload.id}"
    response.headers["Location"] = world().address("www.googleapis.com", f"upload/youtube/v3/videos?{session}")
    response.headers["X-GUploader-UploadID"] = upload.id
    return response


def _uploader(grant: Grant) -> Person:
    who = world().person_of(grant)
    if not who.facts.get("channel"):
        raise Problem(401, "youtubeSignupRequired", "Unauthorized", "youtube.header")
    if who.facts.get("delegate"):
        raise Problem(403, "forbidden", "Access forbidden. The request may not be properly authorized.")
    return who


def _check_quota(grant: Grant) -> None:
    """The bucket of the project, up to midnight in Los Angeles, and the channel's own within a day."""
    here = world()
    midnight = _midnight()
    mine = [one for one in here.state.all(Upload) if one.platform == PLATFORM and one.purpose == VIDEO]
    today = sum(one.client_id == grant.client_id and one.created_at >= midnight for one in mine)
    if today >= here.quotas.get(PLATFORM, UPLOADS_PER_DAY):
        raise Problem(429, "rateLimitExceeded", "Quota exceeded for quota metric 'Video Uploads' and limit 'Video "
                      "Uploads per day' of service 'youtube.googleapis.com' for consumer 'project_number:1'.", "global",
                      "RESOURCE_EXHAUSTED")
    latest = sum(one.owner_id == grant.person_id and one.created_at > here.now() - 86_400 for one in mine)
    if latest >= _app(grant).settings["channel_uploads"]:
        raise Problem(400, "uploadLimitExceeded", "The user has exceeded the number of videos they may upload.",
                      "youtube.video")


def _midnight() -> float:
    now = datetime.fromtimestamp(world().now(), ZoneInfo("America/Los_Angeles"))
    return (now - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)).timestamp()


def _checked_video(parts: list[str]) -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or not (request.content_type or "").startswith("application/json"):
        raise _unnamed("the body is not JSON")
    if set(body) - {"snippet", "status"}:
        raise _unnamed(f"Unknown name {sorted(set(body) - {'snippet', 'status'})[0]!r}")
    if not set(body) <= set(parts):
        raise Problem(400, "unexpectedPart", "The body has a part that `part` does not name.", "youtube.part")
    snippet, status = body.get("snippet", {}), body.get("status", {})
    for given, known in ((snippet, SNIPPET), (status, STATUS)):
        for name, value in given.items():
            if name not in known:
                raise _unnamed(f"Unknown name {name!r}: Cannot find field.")
            if not isinstance(value, known[name]):
                raise _unnamed(f"Invalid value at {name!r}")
    _check_snippet(snippet)
    _check_status(status)
    return {"snippet": snippet, "status": status}


def _unnamed(words: str) -> Problem:
    return Problem(400, "invalidValue", f"Invalid JSON payload received. {words}", "global", "INVALID_ARGUMENT")


def _check_snippet(snippet: dict[str, Any]) -> None:
    def no(reason: str, name: str) -> Problem:
        return Problem(400, reason, f"The request metadata specifies an invalid video {name}.", "youtube.video")

    title, description, tags = snippet.get("title", ""), snippet.get("description", ""), snippet.get("tags", [])
    if not 1 <= len(title) <= 100 or re.search("[<>]", title):
        raise no("invalidTitle", "title")
    if len(description.encode()) > 5000 or re.search("[<>]", description):
        raise no("invalidDescription", "description")
    counted = sum(len(tag) + (2 if " " in tag else 0) for tag in tags) + max(0, len(tags) - 1)
    if counted > 500 or not all(isinstance(tag, str) and tag for tag in tags):
        raise no("invalidTags", "keywords")
    if snippet.get("categoryId", "22") not in CATEGORIES:
        raise no("invalidCategoryId", "category")


def _check_status(status: dict[str, Any]) -> None:
    if status.get("privacyStatus", "public") not in ("public", "unlisted", "private"):
        raise _unnamed("Invalid value at 'privacyStatus'")
    if status.get("license", "youtube") not in ("youtube", "creativeCommon"):
        raise _unnamed("Invalid value at 'license'")
    if "publishAt" in status and (status.get("privacyStatus") != "private" or not re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", status["publishAt"])):
        raise Problem(400, "invalidPublishAt", "The request metadata specifies an invalid scheduled publishing time.",
                      "youtube.video")


_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")


def _put_label() -> str:
    """`list` for a question to the session, `publish` for the chunk with the last byte, else `upload`."""
    found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
    if found is None or found.group(1) is None:
        return "list"
    return "publish" if int(found.group(2)) + 1 == int(found.group(3)) else "upload"


@bp.put(f"{UPLOAD}/videos")
@operation(PLATFORM, _put_label, refuse, media=True)
def put() -> Response:
    """A chunk, or a question how far the session is."""
    _bearer(WRITERS)
    _query({"uploadType", "part", "upload_id"}, {"uploadType", "upload_id"})
    upload = uploads.find(request.args["upload_id"], PLATFORM)
    if upload is None or upload.purpose != VIDEO or _is_old(upload):
        return make_response("", 404)
    found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
    if found is None or int(found.group(3)) != upload.total:
        raise Problem(400, "badRequest", "Content-Range is missing or does not fit the announced length.", "global")
    if found.group(1) is None:
        if request.content_length:
            raise Problem(400, "badRequest", "A question to the session carries no bytes.", "global")
        return _state(upload)
    return _chunk(upload, int(found.group(1)), int(found.group(2)))


def _is_old(upload: Upload) -> bool:
    app = world().app(PLATFORM, upload.client_id)
    return app is None or world().now() >= upload.created_at + app.settings["session_seconds"]


def _chunk(upload: Upload, first: int, last: int) -> Response:
    size, is_last = last - first + 1, last + 1 == upload.total
    if first != upload.received or size <= 0 or request.content_length != size or last >= (upload.total or 0):
        raise Problem(400, "badRequest", "The range does not begin where the session stands, or is not that long.",
                      "global")
    if not is_last and (size % GRAIN or upload.facts["chunk"] not in (0, size)):
        raise Problem(400, "badRequest", "Chunks are multiples of 262144 bytes, all alike but the last.", "global")
    uploads.append(upload, first, request.stream, size)
    if not is_last:
        upload.facts["chunk"] = size
        uploads.keep(upload)
    else:
        uploads.finish(upload)
        upload.facts["video"] = _publish(upload).id
        uploads.keep(upload)
    return _state(upload)


def _state(upload: Upload) -> Response:
    if upload.facts["video"]:
        post = world().state.find(Post, f"{PLATFORM}:{upload.facts['video']}")
        assert post is not None
        return answer({"kind": "youtube#video", "id": post.id, **_video(post, ["snippet", "status"], "uploaded")}, 201)
    response = make_response("", 308)
    if upload.received:
        response.headers["Range"] = f"bytes=0-{upload.received - 1}"
    return response


def _publish(upload: Upload) -> Post:
    here = world()
    who = person(PLATFORM, upload.owner_id)
    assert who is not None
    snippet, status = upload.facts["body"]["snippet"], upload.facts["body"]["status"]
    video = hashlib.sha256(upload.id.encode()).hexdigest()[:11]
    post = Post(
        id=video,
        platform=PLATFORM,
        client_id=upload.client_id,
        author_id=who.id,
        author_name=str(who.facts["title"]),
        handle=f"@{who.username}",
        text=snippet.get("description", ""),
        sent=snippet.get("description", ""),
        created_at=here.now(),
        permalink=here.address("www.youtube.com", f"watch?v={video}"),
        media=[uploads.medium(upload)],
        format="video",
        facts={
            "title": snippet.get("title", ""),
            "tags": snippet.get("tags", []),
            "category": snippet.get("categoryId", ""),
            "channel": who.facts["channel"],
            "privacy": "private" if "sandbox-private" in snippet["title"] else status.get("privacyStatus", "public"),
            "publish_at": status.get("publishAt", ""),
            "made_for_kids": status.get("selfDeclaredMadeForKids"),
            "synthetic": status.get("containsSyntheticMedia"),
            "license": status.get("license", "youtube"),
            "embeddable": status.get("embeddable", True),
            "notify": upload.facts["notify"],
            "upload": upload.id,
        },
    )
    here.state.keep(post)
    return post


# Videos


@bp.get(f"{API}/videos")
@operation(PLATFORM, "status", refuse)
def videos() -> Response:
    """Videos by id; those that are gone are left out."""
    _bearer(READERS)
    query = _query({"part", "id", "maxResults"}, {"part", "id"})
    parts = _parts(query["part"], VIDEO_PARTS)
    found = [post for one in query["id"].split(",")[:50] if (post := _own(one))]
    items = [{"kind": "youtube#video", "id": post.id, **_video(post, parts, _processed(post))} for post in found]
    return answer({"kind": "youtube#videoListResponse", "items": items,
                   "pageInfo": {"totalResults": len(items), "resultsPerPage": len(items)}})


def _own(video: str) -> Post | None:
    post = world().state.find(Post, f"{PLATFORM}:{video}")
    return post if post is not None and not post.deleted else None


def _processed(post: Post) -> str:
    """How far the processing is: one question each time."""
    upload = uploads.find(post.facts["upload"], PLATFORM)
    if upload is not None and not uploads.polled(upload):
        return "uploaded"
    ordered = re.search(r"sandbox-(fail|reject)-(\w+)", post.facts["title"])
    if ordered:
        return {"fail": "failed", "reject": "rejected"}[ordered.group(1)]
    return "processed" if post.media[0]["kind"] == "video" else "failed"


def _video(post: Post, parts: list[str], state: str) -> dict[str, Any]:
    facts = post.facts
    status: dict[str, Any] = {
        "uploadStatus": state,
        "privacyStatus": facts["privacy"],
        "license": facts["license"],
        "embeddable": facts["embeddable"],
        "publicStatsViewable": True,
        "madeForKids": bool(facts["made_for_kids"]),
    }
    if facts["publish_at"]:
        status["publishAt"] = facts["publish_at"]
    ordered = re.search(r"sandbox-(?:fail|reject)-(\w+)", facts["title"])
    if state == "failed":
        status["failureReason"] = ordered.group(1) if ordered else "invalidFile"
    if state == "rejected" and ordered:
        status["rejectionReason"] = ordered.group(1)
    progress = {"uploaded": "processing", "failed": "failed"}.get(state, "succeeded")
    everything = {
        "snippet": {
            "title": facts["title"],
            "description": post.text,
            "channelId": facts["channel"],
            "categoryId": facts["category"],
            "publishedAt": iso(post.created_at),
        },
        "status": status,
        "processingDetails": {"processingStatus": progress},
        "contentDetails": {"duration": "PT10S", "dimension": "2d"},
        "statistics": {"viewCount": "0"},
    }
    return {name: everything[name] for name in parts if name in everything}


@bp.delete(f"{API}/videos")
@operation(PLATFORM, "delete", refuse)
def delete() -> Response:
    """Takes an own video away for good."""
    grant = _bearer(MANAGERS)
    post = _own(_query({"id"}, {"id"})["id"])
    if post is None:
        raise _no_video("The video that you are trying to delete cannot be found.")
    if post.author_id != grant.person_id:
        raise Problem(403, "forbidden", "The video that you are trying to delete cannot be deleted.", "youtube.video")
    post.deleted = True
    world().state.keep(post)
    return make_response("", 204)


def _no_video(words: str) -> Problem:
    return Problem(404, "videoNotFound", words, "youtube.video", "NOT_FOUND")


@bp.post(f"{UPLOAD}/thumbnails/set")
@operation(PLATFORM, "thumbnail", refuse, media=True)
def thumbnail() -> Response:
    """A picture for an own video, once that is processed; only for channels that were verified."""
    grant = _bearer(WRITERS)
    post = _own(_query({"videoId"}, {"videoId"})["videoId"])
    who = world().person_of(grant)
    if post is None or post.author_id != who.id:
        raise _no_video("The video that you are trying to set a thumbnail image for cannot be found.")
    upload = uploads.find(post.facts["upload"], PLATFORM)
    if not who.facts.get("verified", True) or upload is None or upload.status != uploads.DONE:
        raise Problem(403, "forbidden", "The authenticated user doesn’t have permissions to upload and set custom "
                      "video thumbnails.", "youtube.thumbnail")
    if not request.content_length:
        raise Problem(400, "mediaBodyRequired", "The request does not include the image content.", "youtube.thumbnail")
    head = request.stream.read(64)
    if request.content_type not in ("image/jpeg", "image/png") or type_of(head) != request.content_type \
            or request.content_length > LARGEST_THUMBNAIL:
        raise Problem(400, "invalidImage", "The provided image content is invalid.", "youtube.thumbnail")
    digest = hashlib.sha256(head)
    while piece := request.stream.read(1024 * 1024):
        digest.update(piece)
    kept = {"sha256": digest.hexdigest(), "size": request.content_length, "mime": request.content_type}
    post.facts["thumbnail"] = kept
    world().state.keep(post)
    url = world().address("i.ytimg.com", f"vi/{post.id}/default.jpg")
    return answer({"kind": "youtube#thumbnailSetResponse", "items": [{"default": {"url": url}}]})


# Addresses that people open


@bp.get("/www.youtube.com/watch")
def permalink() -> Response:
    """The video's own page."""
    return make_response(redirect(f"/timeline/{PLATFORM}/{request.args.get('v', '')}"))


@bp.get("/www.youtube.com/channel/<channel>")
def channel_page(channel: str) -> Response:
    """The channel's page: its videos."""
    who = next((one for one in at(PLATFORM) if one.facts.get("channel") == channel), None)
    return make_response(redirect(f"/timeline?author={who.id}" if who else "/timeline"))
