"""LinkedIn's images, documents and videos: announced, received byte by byte, processed.

learn.microsoft.com/linkedin: Images API; Documents API; Videos API. With a member's scope alone the status of images
and documents cannot be read.
"""

import hashlib
import secrets
from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Response, make_response, request

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
from .state import Grant, Upload
from .world import world

PART = 4 * 1024 * 1024
ADDRESS_SECONDS = 3600
UNREAD_SECONDS = 20  # as long as processing takes for those who cannot ask
NAMES = {"images": "image", "documents": "document", "videos": "video"}
TYPES = {
    "images": ("image/jpeg", "image/png", "image/gif"),
    "documents": ("application/pdf",),
    "videos": ("video/mp4",),
}
OFFICE = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # DOCX and PPTX, DOC and PPT
LIMITS = {"images": (1, 36 * 1024 * 1024), "documents": (1, 100 * 1024 * 1024), "videos": (75_000, 500 * 1024 * 1024)}

bp = Blueprint("linkedin_media", __name__)
bp.register_error_handler(Problem, say_problem)


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Problem(400, "Unable to parse the request body as JSON", "INVALID_REQUEST")
    return body


def _exactly(body: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(body, dict) or set(body) != names:
        raise bad_input(400, "MISSING_FIELD", "Wrong fields in the request", f"Expected {sorted(names)}", "")
    return body


@bp.post("/api.linkedin.com/rest/<any(images, documents, videos):collection>")
@operation(PLATFORM, "upload", refuse)
def begin(collection: str) -> Response:
    """Announce a file, or say that all parts of a video are there."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters("action")
    action = request.args.get("action")
    if collection == "videos" and action == "finalizeUpload":
        return _finalize(grant)
    if action != "initializeUpload":
        raise Problem(400, "Unknown action", "ILLEGAL_ARGUMENT")
    wanted = {"owner"} | ({"fileSizeBytes", "uploadCaptions", "uploadThumbnail"} if collection == "videos" else set())
    told = _exactly(_exactly(_body(), {"initializeUploadRequest"})["initializeUploadRequest"], wanted)
    check_owner(told["owner"], grant, "owner", f"{collection}.ACTION-initializeUpload.{version}01")
    total = told.get("fileSizeBytes")
    least, most = LIMITS[collection]
    if collection == "videos" and (not isinstance(total, int) or not least <= total <= most):
        raise bad_input(400, "INVALID_VALUE", "fileSizeBytes is out of range", "Invalid size", "fileSizeBytes")
    upload = uploads.begin(
        PLATFORM, grant.client_id, told["owner"], collection, total=total, until=world().now() + ADDRESS_SECONDS,
        token=secrets.token_urlsafe(12), tags=[],
    )
    return answer({"value": _announced(upload)})


def urn_of(upload: Upload) -> str:
    """LinkedIn's name for an upload."""
    return f"urn:li:{NAMES[upload.purpose]}:D4E{upload.id}"


def find(urn: Any, *collections: str) -> Upload | None:
    """The upload of that name, or None."""
    kind, _, key = str(urn).removeprefix("urn:li:").partition(":D4E")
    found = uploads.find(key, PLATFORM)
    return found if found and found.purpose in collections and NAMES[found.purpose] == kind else None


def _announced(upload: Upload) -> dict[str, Any]:
    until = int(upload.facts["until"] * 1000)
    if upload.purpose != "videos":
        return {"uploadUrl": _address(upload, 0), "uploadUrlExpiresAt": until, NAMES[upload.purpose]: urn_of(upload)}
    total = upload.total or 0
    parts = [
        {"uploadUrl": _address(upload, number), "firstByte": first, "lastByte": min(first + PART, total) - 1}
        for number, first in enumerate(range(0, total, PART))
    ]
    return {"video": urn_of(upload), "uploadToken": upload.facts["token"], "uploadUrlsExpireAt": until,
            "uploadInstructions": parts}


def _address(upload: Upload, number: int) -> str:
    return world().address("www.linkedin.com", f"dms-uploads/{upload.id}/{number}")


@bp.put("/www.linkedin.com/dms-uploads/<upload_id>/<int:number>")
@operation(PLATFORM, "upload", refuse, media=True)
def receive(upload_id: str, number: int) -> Response:
    """The bytes of a file, or of one part of a video."""
    upload = uploads.find(upload_id, PLATFORM)
    if upload is None or upload.facts["until"] < world().now():
        raise Problem(404, "This upload address is not known any more", "NOT_FOUND")
    _, grant = bearer()
    if grant.client_id != upload.client_id:
        raise denied("upload")
    if upload.status != uploads.RECEIVING:
        raise Problem(400, "This was uploaded already", "INVALID_REQUEST")
    return _part(upload, number) if upload.purpose == "videos" else _whole(upload)


def _whole(upload: Upload) -> Response:
    uploads.append(upload, 0, request.stream)
    least, most = LIMITS[upload.purpose]
    if not least <= upload.received <= most:
        raise Problem(400, "The size of this file is out of range", "INVALID_REQUEST")
    _done(upload)
    return traced(make_response("", 201))


def _part(upload: Upload, number: int) -> Response:
    first = number * PART
    size = min(PART, (upload.total or 0) - first)
    if request.headers.get("Content-Type") != "application/octet-stream":
        raise Problem(400, "Parts are application/octet-stream", "INVALID_REQUEST")
    if request.content_length != size or first > upload.received:
        raise Problem(400, "These are not the bytes that were announced for this part", "INVALID_REQUEST")
    uploads.append(upload, first, request.stream, size)
    tag = "/ambry-video/signedId/" + hashlib.sha256(f"{upload.id}/{number}".encode()).hexdigest()[:24]
    upload.facts["tags"] = [*upload.facts["tags"][:number], tag]
    uploads.keep(upload)
    response = make_response("", 200)
    response.headers["ETag"] = tag
    return traced(response)


def _finalize(grant: Grant) -> Response:
    told = _exactly(_exactly(_body(), {"finalizeUploadRequest"})["finalizeUploadRequest"],
                    {"video", "uploadToken", "uploadedPartIds"})
    upload = find(told["video"], "videos")
    if upload is None or upload.client_id != grant.client_id:
        raise Problem(404, "Could not find entity", "NOT_FOUND")
    whole = upload.received == upload.total
    if upload.status != uploads.RECEIVING or told["uploadToken"] != upload.facts["token"] or not whole \
            or told["uploadedPartIds"] != upload.facts["tags"]:
        raise bad_input(400, "INVALID_VALUE", "uploadedPartIds do not fit", "Invalid value", "uploadedPartIds")
    _done(upload)
    return traced(make_response("", 200))


def _done(upload: Upload) -> None:
    upload.facts["at"] = world().now()
    uploads.finish(upload)
    office = upload.purpose == "documents" and uploads.head_of(upload).startswith(OFFICE)
    if uploads.sniff(upload) not in TYPES[upload.purpose] and not office:
        upload.error = "Unsupported media type"
    uploads.keep(upload)


@bp.get("/api.linkedin.com/rest/<any(images, documents, videos):collection>/<path:urn>")
@operation(PLATFORM, "status", refuse)
def status(collection: str, urn: str) -> Response:
    """How far a file is."""
    _, grant = bearer()
    version = check_protocol()
    known_parameters()
    upload = find(unquote(urn), collection)
    if upload is None or upload.client_id != grant.client_id:
        raise Problem(404, "Could not find entity", "NOT_FOUND")
    of_page = upload.owner_id.startswith(PAGE)
    if not (of_page and "w_organization_social" in grant.scopes) and collection != "videos":
        raise denied(f"{collection}.GET.{version}01")
    check_owner(upload.owner_id, grant, "owner", f"{collection}.GET.{version}01")
    told = {"owner": upload.owner_id, "id": urn_of(upload), "status": _status(upload)}
    if told["status"] == "PROCESSING_FAILED":
        told["processingFailureReason"] = upload.error
    return answer(told)


def _status(upload: Upload) -> str:
    if upload.status == uploads.RECEIVING:
        return "WAITING_UPLOAD"
    if not uploads.polled(upload):
        return "PROCESSING"
    return "PROCESSING_FAILED" if upload.error else "AVAILABLE"


def attachable(urn: Any, author: str, field: str, *collections: str) -> Upload:
    """A file that may be attached now by this author. Raises Problem."""
    upload = find(urn, *collections)
    if upload is None:
        raise bad_input(422, "INVALID_VALUE", f"/{field} :: no such media", "Media does not exist", field)
    if upload.owner_id != author:
        raise bad_input(422, "INVALID_VALUE", f"/{field} :: owner is not the author", "Owner is not the author", field)
    old = world().now() - upload.facts.get("at", world().now()) >= UNREAD_SECONDS
    if upload.error or (upload.status != uploads.DONE and not (old and upload.purpose != "videos")):
        raise bad_input(422, "INVALID_VALUE", f"/{field} :: media is not available", "Media is not AVAILABLE", field)
    return upload
