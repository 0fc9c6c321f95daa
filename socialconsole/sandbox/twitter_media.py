"""X's media upload v2: announced, appended, finished, processed, described.

docs.x.com/x-api/media/quickstart/media-upload-chunked. A wrong category is found out only when a post is made of it.
"""

import re
from typing import Any

from flask import Blueprint, Response, request

from . import uploads
from .calls import operation
from .state import Grant, Upload
from .twitter import PLATFORM, answer, refuse
from .twitter_answers import Problem, bearer, forbidden, invalid, only
from .world import world

MEGABYTE = 1024 * 1024
LIFE = 86_400
FIRST_MEDIA = 1_880_000_000_000_000_000
MOST_SEGMENTS = 1000
LARGEST_SEGMENT = 5 * MEGABYTE
CHECK_AFTER = 1
LONGEST_ALT = 1000
ID = re.compile(r"[0-9]{1,19}")

# The enumeration of the vendor's description, as far as it is for posts: type -> kind.
TYPES = {
    "video/mp4": "video",
    "video/webm": "video",
    "video/mp2t": "video",
    "video/quicktime": "video",
    "image/jpeg": "image",
    "image/pjpeg": "image",
    "image/png": "image",
    "image/webp": "image",
    "image/bmp": "image",
    "image/tiff": "image",
    "image/gif": "gif",
}
PREFIX = {"tweet_image": "3", "tweet_gif": "16", "tweet_video": "13"}
FITS = {"tweet_image": ("image", "gif"), "tweet_gif": ("gif",), "tweet_video": ("video",)}
LARGEST = {"tweet_image": 5 * MEGABYTE, "tweet_gif": 15 * MEGABYTE, "tweet_video": 8 * 1024 * MEGABYTE}
LARGEST_PREMIUM = LARGEST | {"tweet_video": 16 * 1024 * MEGABYTE}

bp = Blueprint("twitter_media", __name__)


@bp.errorhandler(Problem)
def say_problem(problem: Problem) -> Response:
    """The refusal as problem JSON."""
    return answer(problem.body, problem.status)


@bp.post("/api.x.com/2/media/upload/initialize")
@operation(PLATFORM, "upload", refuse)
def initialize() -> Response:
    """The announcement of a file."""
    grant = bearer("media.write")
    only(request.args, ())
    body = request.get_json(silent=True) if request.is_json else None
    if not isinstance(body, dict):
        raise invalid("Request body is not valid JSON")
    only(body, ("media_type", "total_bytes", "media_category"))
    kind, size, category = body.get("media_type"), body.get("total_bytes"), body.get("media_category")
    if kind not in TYPES:
        raise invalid("[$.media_type: does not have a value in the enumeration]", media_type=[str(kind)])
    if category not in PREFIX:
        raise invalid("[$.media_category: does not have a value in the enumeration]", media_category=[str(category)])
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise invalid("[$.total_bytes: must be a whole number above 0]", total_bytes=[str(size)])
    if size > most_bytes(category, grant):
        raise invalid(f"The media is too large: {size} bytes.", total_bytes=[str(size)])
    number = _newest_number() + 1
    upload = uploads.begin(
        PLATFORM, grant.client_id, grant.person_id, category, total=size, mime=kind, media_id=str(number), ends=[]
    )
    return answer({"data": _facts(upload) | {"expires_after_secs": LIFE}})


def _newest_number() -> int:
    numbers = [int(one.facts["media_id"]) for one in world().state.all(Upload) if one.platform == PLATFORM]
    return max(numbers, default=FIRST_MEDIA)


def most_bytes(category: str, grant: Grant) -> int:
    """The largest file of a category that this person may upload."""
    premium = world().person_of(grant).subscription != "None"
    return (LARGEST_PREMIUM if premium else LARGEST)[category]


def _facts(upload: Upload) -> dict[str, Any]:
    media_id = upload.facts["media_id"]
    return {"id": media_id, "media_key": media_key(upload)}


def media_key(upload: Upload) -> str:
    """X's second name of a file, as posts show it."""
    return f"{PREFIX[upload.purpose]}_{upload.facts['media_id']}"


def own(media_id: object, grant: Grant) -> Upload | None:
    """The grant's own upload of that id, unless it is too old."""
    for one in world().state.all(Upload):
        if one.platform == PLATFORM and one.facts.get("media_id") == media_id:
            mine = (one.owner_id, one.client_id) == (grant.person_id, grant.client_id)
            return one if mine and world().now() < one.created_at + LIFE else None
    return None


def _found(media_id: object, grant: Grant) -> Upload:
    if not isinstance(media_id, str) or not ID.fullmatch(media_id):
        raise invalid("The media id is not valid.", media_id=[str(media_id)])
    upload = own(media_id, grant)
    if upload is None:
        raise invalid("The media could not be found. It may have expired.", media_id=[media_id])
    return upload


@bp.post("/api.x.com/2/media/upload/<media_id>/append")
@operation(PLATFORM, "upload", refuse, media=True)
def append(media_id: str) -> Response:
    """A piece, in order; the one that came last may come again."""
    grant = bearer("media.write")
    only(request.args, ())
    upload = _found(media_id, grant)
    if request.mimetype != "multipart/form-data":
        raise invalid("A multipart body is needed.")
    only(request.form, ("segment_index",))
    only(request.files, ("media",))
    index, piece = request.form.get("segment_index", ""), request.files.get("media")
    if piece is None or not re.fullmatch("[0-9]{1,3}", index):
        raise invalid("media and segment_index (0 to 999) are needed.", segment_index=[index])
    _write(upload, int(index), piece.stream.read(LARGEST_SEGMENT + 1))
    return answer({"data": {"expires_at": int(upload.created_at + LIFE)}})


def _write(upload: Upload, index: int, piece: bytes) -> None:
    ends: list[int] = upload.facts["ends"]
    if upload.status != uploads.RECEIVING or index not in (len(ends), len(ends) - 1):
        raise invalid(f"Segment {index} does not follow what was received.", segment_index=[str(index)])
    if not 0 < len(piece) <= LARGEST_SEGMENT:
        raise invalid("A segment has 1 byte to 5 MB.", media=[])
    start = ends[index - 1] if index else 0
    if index < len(ends) and start + len(piece) != ends[index]:
        raise invalid(f"Segment {index} came with another size before.", segment_index=[str(index)])
    try:
        uploads.append(upload, start, piece)
    except ValueError as problem:
        raise invalid(str(problem), media=[]) from problem
    upload.facts["ends"] = [*ends[:index], start + len(piece)]
    uploads.keep(upload)


@bp.post("/api.x.com/2/media/upload/<media_id>/finalize")
@operation(PLATFORM, "upload", refuse)
def finalize(media_id: str) -> Response:
    """All pieces are there."""
    upload = _found(media_id, bearer("media.write"))
    only(request.args, ())
    if request.get_data() not in (b"", b"{}"):
        raise invalid("[$: no body is defined here]")
    if upload.status != uploads.RECEIVING:
        raise invalid("The upload was finalized before.", media_id=[media_id])
    if upload.received != upload.total:
        raise invalid(f"{upload.received} of {upload.total} bytes were received.", media_id=[media_id])
    sound = _is_what_it_says(upload)
    if upload.purpose == "tweet_image" and not sound:
        raise invalid("The media is no picture that can be read.", media=[])
    uploads.finish(upload)
    if upload.purpose == "tweet_image":
        upload.polls_left, upload.status = 0, uploads.DONE
    upload.error = "" if sound else "InvalidMedia"
    if upload.error:
        upload.status = uploads.PROCESSING
    upload.facts["ask_at"] = world().now() + CHECK_AFTER
    uploads.keep(upload)
    body = _facts(upload) | {"size": upload.received, "expires_after_secs": _left(upload)}
    if upload.status == uploads.PROCESSING:
        body["processing_info"] = {"state": "pending", "check_after_secs": CHECK_AFTER}
    return answer({"data": body})


def _left(upload: Upload) -> int:
    return int(upload.created_at + LIFE - world().now())


def _is_what_it_says(upload: Upload) -> bool:
    head = uploads.head_of(upload)
    if upload.mime == "video/mp2t":
        return head[:1] == b"G"
    found = uploads.type_of(head)
    same = {"image/pjpeg": "image/jpeg"}.get(upload.mime, upload.mime)
    unseen = ("image/bmp", "image/tiff")  # X takes them; their beginnings are not looked at here
    return found == same or same in unseen or {found, same} == {"video/mp4", "video/quicktime"}


@bp.get("/api.x.com/2/media/upload")
@operation(PLATFORM, "status", refuse)
def status() -> Response:
    """How the processing goes. Whoever asks before the time that was named learns nothing new."""
    grant = bearer("media.write")
    only(request.args, ("command", "media_id"))
    if request.args.get("command") != "STATUS":
        raise invalid("The `command` query parameter must be STATUS.", command=[request.args.get("command", "")])
    upload = _found(request.args.get("media_id"), grant)
    if upload.status == uploads.RECEIVING:
        raise invalid("The upload was not finalized yet.", media_id=[upload.facts["media_id"]])
    if upload.status == uploads.PROCESSING and world().now() >= upload.facts["ask_at"]:
        uploads.polled(upload)
        upload.facts["ask_at"] = world().now() + CHECK_AFTER
        uploads.keep(upload)
    return answer({"data": _facts(upload) | {"expires_after_secs": _left(upload), "processing_info": _info(upload)}})


def _info(upload: Upload) -> dict[str, Any]:
    if upload.status == uploads.PROCESSING:
        return {"state": "in_progress", "check_after_secs": CHECK_AFTER, "progress_percent": 40}
    if upload.error:
        message = "The media does not have the type that was announced."
        return {"state": "failed", "error": {"code": 1, "name": upload.error, "message": message}}
    return {"state": "succeeded", "progress_percent": 100}


@bp.post("/api.x.com/2/media/metadata")
@operation(PLATFORM, "metadata", refuse)
def metadata() -> Response:
    """What a picture shows, in words."""
    grant = bearer("media.write")
    only(request.args, ())
    body = request.get_json(silent=True) if request.is_json else None
    if not isinstance(body, dict):
        raise invalid("Request body is not valid JSON")
    only(body, ("id", "metadata"))
    upload = _found(body.get("id"), grant)
    text = _alt_text(body.get("metadata"))
    if upload.status != uploads.DONE or upload.error:
        raise invalid("The media is not ready to be described.", id=[upload.facts["media_id"]])
    upload.facts["alt"] = text
    uploads.keep(upload)
    told = {"alt_text": {"text": text}}
    return answer({"data": {"id": upload.facts["media_id"], "associated_metadata": told}})


def _alt_text(wanted: Any) -> str:
    inner = wanted.get("alt_text") if isinstance(wanted, dict) and set(wanted) == {"alt_text"} else None
    text = inner.get("text") if isinstance(inner, dict) and set(inner) == {"text"} else None
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_ALT:
        raise invalid("[$.metadata.alt_text.text: must be 1 to 1000 characters]")
    return text


def attached(wanted: Any, grant: Grant) -> list[Upload]:
    """The uploads that a post names. Raises Problem for what X would not put into one post."""
    if not isinstance(wanted, dict):
        raise invalid("[$.media: is not an object]")
    only(wanted, ("media_ids",))
    names = wanted.get("media_ids")
    if not isinstance(names, list) or not 1 <= len(names) <= 4 or len(set(map(str, names))) != len(names):
        raise invalid("[$.media.media_ids: must be 1 to 4 different ids]", **{"media.media_ids": []})
    found = [own(name, grant) for name in names]
    ready = [one for one in found if one is not None and one.status == uploads.DONE and not one.error]
    if len(ready) != len(names) or any(TYPES[one.mime] not in FITS[one.purpose] for one in ready):
        raise invalid("Your media IDs are invalid.", **{"media.media_ids": [str(name) for name in names]})
    moving = [one for one in ready if one.purpose != "tweet_image"]
    if moving and len(ready) > 1:
        raise invalid("A post holds up to 4 photos, or 1 GIF, or 1 video.", **{"media.media_ids": []})
    if any(one.received > most_bytes(one.purpose, grant) for one in ready):
        raise forbidden("This user is not allowed to post media of this size.")
    return ready
