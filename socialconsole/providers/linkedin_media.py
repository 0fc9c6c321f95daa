"""Files on their way to LinkedIn: announced, uploaded, finalized, and asked after until they may be attached.

learn.microsoft.com/linkedin/marketing/community-management/shares: Images, Documents and Videos API. What was reached
is kept under each file's key, so that a broken upload goes on where it broke.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from .. import outside
from ..errors import ContentRejected, PermissionMissing
from .content import DOCUMENT, VIDEO, File, Progress, Wait
from .linkedin_refusals import PAGE_URN
from .linkedin_rest import Rest
from .refusals import redact

# With `w_member_social` the status of images and documents cannot be read: that long they take at most.
UNREADABLE = timedelta(seconds=20)
_LONGEST_POLL = 60
_PATHS = {VIDEO: ("videos", "video"), DOCUMENT: ("documents", "document")}


def upload(rest: Rest, key: str, file: File) -> None:
    """Bring one file to LinkedIn, as far as that is not done. Raises PlatformError."""
    known = _known(rest.progress, key)
    if known.get("at"):
        return
    goes_on = bool(known) and known["until"] > outside.now().timestamp() * 1000
    try:
        _send(rest, key, file, known if goes_on else _begin(rest, key, file))
    except ContentRejected:
        _keep(rest.progress, key, None)
        if not goes_on:
            raise
        _send(rest, key, file, _begin(rest, key, file))  # the address of an earlier try may not be good any more


def ready(rest: Rest, key: str, file: File) -> Wait | None:
    """Whether a file may be attached now; reads only. Raises ContentRejected where LinkedIn could not process it."""
    known = _known(rest.progress, key)
    if known.get("ready") or not known:
        return None
    if file.kind != VIDEO and not (rest.author.startswith(PAGE_URN) and not known.get("unreadable")):
        return _waited(known)
    collection, _ = _PATHS.get(file.kind, ("images", "image"))
    try:
        told = rest.get(f"/rest/{collection}/{quote(known['urn'], safe='')}")
    except PermissionMissing:
        if file.kind == VIDEO:
            raise
        _keep(rest.progress, key, {**known, "unreadable": True})
        return _waited(known)
    return _judged(rest.progress, key, known, told)


def urn_of(progress: Progress, key: str) -> str:
    """LinkedIn's name for what was uploaded under a key; empty for nothing."""
    return str(_known(progress, key).get("urn") or "")


def urns(progress: Progress) -> list[str]:
    """LinkedIn's names for all that was uploaded."""
    return [str(one["urn"]) for one in (progress.get("media") or {}).values() if one.get("urn")]


def forget(progress: Progress, key: str) -> None:
    """Go on without this file."""
    _keep(progress, key, {"at": outside.now().isoformat(), "ready": True})


def _known(progress: Progress, key: str) -> dict[str, Any]:
    return dict((progress.get("media") or {}).get(key) or {})


def _keep(progress: Progress, key: str, known: dict[str, Any] | None) -> dict[str, Any]:
    others = {name: one for name, one in (progress.get("media") or {}).items() if name != key}
    progress.keep(media={**others, key: known} if known is not None else others)
    return known or {}


def _begin(rest: Rest, key: str, file: File) -> dict[str, Any]:
    collection, name = _PATHS.get(file.kind, ("images", "image"))
    wanted: dict[str, Any] = {"owner": rest.author}
    if file.kind == VIDEO:
        wanted |= {"fileSizeBytes": file.size, "uploadCaptions": False, "uploadThumbnail": False}
    value = rest.post(f"/rest/{collection}", {"initializeUploadRequest": wanted},
                      {"action": "initializeUpload"}).json().get("value")
    told = value if isinstance(value, dict) else {}
    urn = told.get(name)
    parts = _instructions(told) if file.kind == VIDEO else [[str(told.get("uploadUrl") or ""), 0, file.size - 1]]
    if not isinstance(urn, str) or not parts or not all(address for address, _, _ in parts):
        raise rest.call.unclear()
    until = _number(told.get("uploadUrlsExpireAt") or told.get("uploadUrlExpiresAt"))
    return _keep(rest.progress, key, {
        "urn": urn, "until": until or 0, "parts": parts, "tags": [], "token": str(told.get("uploadToken") or "")})


def _instructions(told: dict[str, Any]) -> list[list[Any]]:
    """Address, first and last byte of each part, in the order of the bytes."""
    found = told.get("uploadInstructions")
    plain = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    parts = [[str(one.get("uploadUrl") or ""), _number(one.get("firstByte")), _number(one.get("lastByte"))]
             for one in plain]
    if any(first is None or last is None for _, first, last in parts):
        return []
    return sorted(parts, key=lambda part: int(part[1]))


def _number(value: Any) -> int | None:
    """A whole number, whether it came as one or as text."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _send(rest: Rest, key: str, file: File, known: dict[str, Any]) -> None:
    """Send what is left of a file, each part to its own address."""
    headers = {"Content-Type": "application/octet-stream"} if file.kind == VIDEO else {}
    for address, first, last in known["parts"][len(known["tags"]):]:
        reply = rest.upload(address, file.slice(first, last - first + 1, tick=rest.progress.alive), headers)
        tag = reply.headers.get("ETag") or ""
        if file.kind == VIDEO and not tag:
            raise rest.call.unclear()
        known = _keep(rest.progress, key, {**known, "tags": [*known["tags"], tag]})
    if file.kind == VIDEO:
        _finalize(rest, known)
    _keep(rest.progress, key, {"urn": known["urn"], "at": outside.now().isoformat()})


def _finalize(rest: Rest, known: dict[str, Any]) -> None:
    try:
        rest.post("/rest/videos", {"finalizeUploadRequest": {
            "video": known["urn"], "uploadToken": known["token"], "uploadedPartIds": known["tags"]}},
            {"action": "finalizeUpload"})
    except ContentRejected:
        # The answer of an earlier try may have got lost: then the video is being processed already.
        told = rest.get(f"/rest/videos/{quote(known['urn'], safe='')}")
        if told.get("status") not in ("PROCESSING", "AVAILABLE"):
            raise


def _waited(known: dict[str, Any]) -> Wait | None:
    left = datetime.fromisoformat(known["at"]) + UNREADABLE - outside.now()
    return Wait(left, "LinkedIn needs a moment for the file.") if left > timedelta() else None


def _judged(progress: Progress, key: str, known: dict[str, Any], told: dict[str, Any]) -> Wait | None:
    status = str(told.get("status") or "")
    if status == "PROCESSING_FAILED":
        reason = redact(str(told.get("processingFailureReason") or "")) or "it gives no reason"
        _keep(progress, key, None)
        raise ContentRejected(f"LinkedIn could not process the file: {reason}", status, field="files")
    if status == "AVAILABLE" or (not status and told.get("downloadUrl")):
        _keep(progress, key, {**known, "ready": True})
        return None
    polls = int(known.get("polls") or 0)
    _keep(progress, key, {**known, "polls": polls + 1})
    return Wait(timedelta(seconds=min(5 * 2**polls, _LONGEST_POLL)), "LinkedIn is processing the file.")
