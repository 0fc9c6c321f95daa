"""A Page's photos, videos, reels and stories: bytes that really arrive, processing that takes its time, statuses.

developers.facebook.com: Page Photos; Page Videos; Reels Publishing API; Page Stories API.
"""

import re
from typing import Any

from flask import Blueprint, Response, request

from . import uploads
from .calls import operation
from .facebook_store import (
    as_page,
    checked_place,
    checked_text,
    new_id,
    remember,
    store_post,
    upload_of,
)
from .graph import (
    HOST,
    NODES,
    PLATFORM,
    REMOVERS,
    VIDEO_HOST,
    GraphError,
    answer,
    caller,
    gone,
    graph,
    only,
    parameter,
    picked_fields,
    refuse,
    say_error,
)
from .state import Post, Token, Upload
from .world import world

CHUNK = 1024 * 1024
PHOTO_TYPES = ("image/jpeg", "image/png", "image/gif")
LARGEST_PHOTO = 10 * 1024 * 1024
REELS_A_DAY, DAY = 30, 86_400.0
FEED, REEL, STORY = "video", "reel", "story video"
VIDEOS = (FEED, REEL, STORY)
PUBLISHING = ("pages_read_engagement", "pages_manage_posts")

bp = Blueprint("facebook_media", __name__)
bp.register_error_handler(GraphError, say_error)


# Photos


def _photo_label() -> str:
    return "upload" if parameter("published") == "false" else "publish"


@graph("/<node:page_id>/photos", _photo_label, ("POST",), on=bp, media=True)
def photos(page_id: str) -> Response:
    """A photo as a post of its own, or an unpublished one for a post or story to come."""
    page = as_page(page_id, *PUBLISHING)
    only("source", "url", "caption", "message", "alt_text_custom", "published", "place")
    published, text = parameter("published") or "true", parameter("caption") or parameter("message")
    if published not in ("true", "false"):
        raise GraphError("(#100) Param published must be a boolean", 100)
    checked_text(text, "caption")
    place = checked_place(parameter("place"))
    upload = _received_photo(page_id)
    alt = parameter("alt_text_custom")
    remember(upload, photo=new_id(), page=page_id, alt=alt, used=published == "true")
    if published == "false":
        return answer({"id": upload.facts["photo"]})
    post = store_post(page, text, format="image", media=[uploads.medium(upload, alt)], place=place)
    return answer({"id": upload.facts["photo"], "post_id": post.id})


def _received_photo(page_id: str) -> Upload:
    file, url = request.files.get("source"), parameter("url")
    if (file is None) == (not url):
        raise GraphError("(#324) Requires upload file", 324)
    upload = uploads.begin(PLATFORM, caller().app.client_id, page_id, "photo")
    if file is None:
        problem = uploads.pull(upload, url)
        if problem:
            raise GraphError(f"(#324) Missing or invalid image file: {problem}", 324, 2069019)
    else:
        uploads.append(upload, 0, file.stream)
        uploads.finish(upload)
    if upload.mime not in PHOTO_TYPES or upload.received >= LARGEST_PHOTO:
        uploads.forget(upload)
        raise GraphError("(#324) Missing or invalid image file", 324, 1366046)
    return upload


def unused_photo(photo_id: str, page_id: str) -> Upload:
    """An unpublished photo of the Page. Raises GraphError for one that is not there or was posted already."""
    upload = upload_of(("photo",), photo=photo_id, page=page_id)
    if upload is None:
        raise gone(photo_id)
    if upload.facts["used"]:
        raise GraphError("(#1366051) These photos were already posted.", 506, 1366051)
    return upload


@graph("/<node:page_id>/photo_stories", "publish", ("POST",), on=bp)
def photo_story(page_id: str) -> Response:
    """A story of an unpublished photo."""
    page = as_page(page_id, *PUBLISHING)
    only("photo_id")
    upload = unused_photo(parameter("photo_id"), page_id)
    remember(upload, used=True)
    media = [uploads.medium(upload, upload.facts["alt"])]
    post = store_post(page, "", format="story", media=media, post_id=new_id())
    return answer({"success": True, "post_id": post.id})


# Videos in chunks


def _phase_label() -> str:
    return "publish" if parameter("upload_phase") == "finish" else "upload"


@graph("/<node:page_id>/videos", _phase_label, ("POST",), on=bp, media=True, hosts=(HOST, VIDEO_HOST))
def videos(page_id: str) -> Response:
    """A video by bytes: start, one transfer for each chunk, finish."""
    as_page(page_id, *PUBLISHING)
    phase = parameter("upload_phase")
    if phase == "start":
        return _start_chunks(page_id)
    if phase not in ("transfer", "finish"):
        raise GraphError("(#100) Param upload_phase must be one of {start, transfer, finish}", 100)
    upload = upload_of((FEED,), session=parameter("upload_session_id"), page=page_id)
    if upload is None:
        raise GraphError("(#100) Invalid upload_session_id", 100, 1363030)
    return _chunk(upload) if phase == "transfer" else _finish_chunks(upload)


def _start_chunks(page_id: str) -> Response:
    only("upload_phase", "file_size")
    size = parameter("file_size")
    if not size.isdigit() or not int(size):
        raise GraphError("(#100) Param file_size must be a positive number", 100)
    upload = uploads.begin(PLATFORM, caller().app.client_id, page_id, FEED, total=int(size))
    remember(upload, video=new_id(), session=new_id(), page=page_id)
    ids = {"video_id": upload.facts["video"], "upload_session_id": upload.facts["session"]}
    return answer(ids | _offsets(upload))


def _offsets(upload: Upload) -> dict[str, str]:
    return {
        "start_offset": str(upload.received),
        "end_offset": str(min(upload.received + CHUNK, upload.total or 0)),
    }


def _chunk(upload: Upload) -> Response:
    only("upload_phase", "upload_session_id", "start_offset", "video_file_chunk")
    file = request.files.get("video_file_chunk")
    if file is None:
        raise GraphError("(#100) Missing video_file_chunk", 100, 1363021)
    if parameter("start_offset") != str(upload.received):
        raise GraphError("(#100) The start offset does not match what was received", 100, 1363037)
    try:
        uploads.append(upload, upload.received, file.stream)
    except ValueError:
        raise GraphError("(#6000) There was a problem uploading your video file.", 6000) from None
    if upload.received == upload.total:
        uploads.finish(upload)
        remember(upload, complete=True)
    return answer(_offsets(upload))


def _finish_chunks(upload: Upload) -> Response:
    only("upload_phase", "upload_session_id", "title", "description")
    if not upload.facts.get("complete"):
        raise GraphError("(#6000) There was a problem uploading your video file.", 6000)
    _finish(upload, title=parameter("title"), description=checked_text(parameter("description"), "description"))
    return answer({"success": True})


# Reels and video stories


@graph("/<node:page_id>/video_reels", _phase_label, ("POST",), on=bp)
def reels(page_id: str) -> Response:
    """A reel: start, the bytes go to the upload host, finish."""
    as_page(page_id, *PUBLISHING)
    if parameter("upload_phase") == "start":
        return _start_stream(page_id, REEL)
    upload = _to_be_finished(page_id, REEL)
    only("upload_phase", "video_id", "video_state", "description", "title", "place")
    if parameter("video_state") != "PUBLISHED":
        raise GraphError("(#100) Param video_state must be one of {DRAFT, PUBLISHED, SCHEDULED}", 100)
    _check_quota(page_id)
    _finish(
        upload,
        title=parameter("title"),
        description=checked_text(parameter("description"), "description"),
        place=checked_place(parameter("place")),
    )
    return answer({"success": True})


@graph("/<node:page_id>/video_stories", _phase_label, ("POST",), on=bp)
def video_stories(page_id: str) -> Response:
    """A story of a video: as a reel, without a state."""
    as_page(page_id, *PUBLISHING)
    if parameter("upload_phase") == "start":
        return _start_stream(page_id, STORY)
    upload = _to_be_finished(page_id, STORY)
    only("upload_phase", "video_id")
    _finish(upload, story=new_id())
    return answer({"success": True, "post_id": upload.facts["story"]})


def _start_stream(page_id: str, purpose: str) -> Response:
    only("upload_phase")
    upload = uploads.begin(PLATFORM, caller().app.client_id, page_id, purpose)
    remember(upload, video=new_id(), page=page_id)
    video_id = upload.facts["video"]
    address = world().address("rupload.facebook.com", f"video-upload/v25.0/{video_id}")
    return answer({"video_id": video_id, "upload_url": address})


def _to_be_finished(page_id: str, purpose: str) -> Upload:
    if parameter("upload_phase") != "finish":
        raise GraphError("(#100) Param upload_phase must be one of {START, FINISH}", 100)
    upload = upload_of((purpose,), video=parameter("video_id"), page=page_id)
    if upload is None:
        raise gone(parameter("video_id"))
    if not upload.facts.get("complete") or upload.status != uploads.DONE and not upload.facts.get("finished"):
        raise GraphError("(#100) The video has not been uploaded completely", 100, 1363128)
    return upload


def _check_quota(page_id: str) -> None:
    here = world()
    since = here.now() - DAY
    done = [
        one
        for one in here.state.all(Upload)
        if (one.platform, one.purpose, one.owner_id) == (PLATFORM, REEL, page_id)
        and one.facts.get("finished", 0.0) > since
    ]
    if len(done) >= here.quotas.get(PLATFORM, REELS_A_DAY):
        raise GraphError("(#613) Calls to this api have exceeded the rate limit.", 613)


@bp.post("/rupload.facebook.com/video-upload/<graph_version:version>/<node:video_id>")
@operation(PLATFORM, "upload", refuse, media=True)
def receive(version: str, video_id: str) -> Response:
    """The bytes of a reel or story, from an offset on, or the address where they can be fetched."""
    upload = upload_of((REEL, STORY), video=video_id)
    if upload is None:
        return _upload_error("NotAuthorizedError", "The upload session is not known.", 404)
    if not _speaks_for(upload):
        return _upload_error("NotAuthorizedError", "The token does not belong to this upload.", 401)
    address = request.headers.get("file_url", "")
    problem = _pulled(upload, address) if address else _streamed(upload)
    if problem:
        return _upload_error("PartialRequestError", problem, 400)
    return answer({"success": True})


def _speaks_for(upload: Upload) -> bool:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    token = world().state.find(Token, value)
    return kind == "OAuth" and token is not None and not world().ended(token) and token.page_id == upload.owner_id


def _pulled(upload: Upload, address: str) -> str:
    problem = uploads.pull(upload, address)
    if not problem:
        remember(upload, complete=True)
    return problem


def _streamed(upload: Upload) -> str:
    offset, size = request.headers.get("offset", ""), request.headers.get("file_size", "")
    if not re.fullmatch(r"\d+", offset) or not re.fullmatch(r"[1-9]\d*", size):
        return "The headers offset and file_size are needed."
    if int(offset) != upload.received or upload.total not in (None, int(size)):
        return "The offset or the size does not fit what was received."
    upload.total = int(size)
    try:
        uploads.append(upload, int(offset), request.stream)
    except ValueError:
        return "More bytes came than were announced."
    if upload.received < upload.total:
        return "The upload is not complete."
    uploads.finish(upload)
    remember(upload, complete=True)
    return ""


def _upload_error(sort: str, message: str, status: int) -> Response:
    return answer({"debug_info": {"retriable": False, "type": sort, "message": message}}, status)


# Processing


def _finish(upload: Upload, **facts: str) -> None:
    """The call that cannot be taken back: from now on only the processing stands before the post."""
    if upload.facts.get("finished"):
        raise GraphError("(#100) This video was already published", 100, 1363045)
    upload.polls_left = world().processing_polls
    remember(upload, finished=world().now(), as_client=caller().app.client_id, **facts)
    if not upload.polls_left:
        _publish(upload)


def _publish(upload: Upload) -> None:
    """What a reader sees once the processing is done; a file that is no video never gets there."""
    if not upload.mime.startswith("video/"):
        remember(upload, spoiled="The video file you tried to publish is not supported.")
        return
    page = as_page(upload.owner_id)
    facts = upload.facts
    form = {FEED: "video", REEL: "reel", STORY: "story"}[upload.purpose]
    post = store_post(
        page,
        facts.get("description", ""),
        format=form,
        media=[uploads.medium(upload)],
        post_id=facts.get("story", ""),
        video=facts["video"],
        title=facts.get("title", ""),
        place=facts.get("place", ""),
    )
    remember(upload, post=post.id)


def _video(video_id: str) -> dict[str, Any] | None:
    upload = upload_of(VIDEOS, video=video_id)
    if upload is None:
        return None
    as_page(upload.owner_id, "pages_read_engagement")
    only("fields")
    if upload.facts.get("deleted"):
        raise gone(video_id)
    fields = picked_fields(["id"])
    status = _status(upload) if "status" in fields else None
    everything = {"status": status, "permalink_url": _path(upload), "post_id": upload.facts.get("post")}
    unknown = [name for name in fields if name not in (*everything, "id")]
    if unknown:
        raise GraphError(f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type (Video)", 100)
    return {name: everything[name] for name in fields if everything.get(name)} | {"id": video_id}


def _path(upload: Upload) -> str:
    video_id = upload.facts["video"]
    return f"/reel/{video_id}/" if upload.purpose == REEL else f"/{upload.owner_id}/videos/{video_id}/"


def _status(upload: Upload) -> dict[str, Any]:
    """One question after a video: it moves the processing on."""
    facts = upload.facts
    complete, finished = bool(facts.get("complete")), bool(facts.get("finished"))
    through = complete and not facts.get("post") and not facts.get("spoiled") and uploads.polled(upload)
    if through and finished:
        _publish(upload)
    arrived = complete and (finished or through)
    uploading = {"status": "complete" if arrived else "in_progress", "bytes_transfered": upload.received}
    if facts.get("spoiled"):
        error = {"status": "error", "error": {"message": facts["spoiled"]}}
        return {"video_status": "error", "uploading_phase": uploading, "processing_phase": error}
    done = bool(facts.get("post"))
    working = "complete" if done else "in_progress" if finished else "not_started"
    publishing: dict[str, Any] = {"status": "complete" if done else "not_started"}
    if done:
        publishing |= {"publish_status": "published", "publish_time": int(facts["finished"])}
    elif not finished and upload.purpose != FEED:
        publishing["publish_status"] = "draft"
    state = "ready" if done else "processing" if finished else "upload_complete" if arrived else "uploading"
    return {
        "video_status": state,
        "uploading_phase": uploading,
        "processing_phase": {"status": working},
        "publishing_phase": publishing,
    }


def _remove(object_id: str) -> bool:
    """Takes a video with its post away, or a story by its own number."""
    upload = upload_of(VIDEOS, video=object_id)
    post = world().state.find(Post, f"{PLATFORM}:{upload.facts.get('post') if upload else object_id}")
    if upload is None and post is None or post is not None and post.deleted or upload and upload.facts.get("deleted"):
        return False
    as_page(upload.owner_id if upload else post.author_id if post else "", *PUBLISHING)
    if upload is not None:
        remember(upload, deleted=True)
    if post is not None:
        post.deleted = True
        world().state.keep(post)
    return True


NODES.append(_video)
REMOVERS.append(_remove)

