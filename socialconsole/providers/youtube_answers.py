"""What YouTube's and Google's answers mean: refusals, daily quotas, and what became of a video.

developers.google.com/youtube/v3/docs/errors, …/determine_quota_cost, …/docs/videos.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .. import outside
from ..errors import (
    APP_CHANGED,
    PERMISSION_MISSING,
    SUSPENDED,
    ContentRejected,
    PlatformError,
    RateLimited,
)
from .call import Call, Reply, stated_wait
from .content import YES, Draft
from .refusals import (
    DELETE,
    PREPARE,
    PROFILES,
    PUBLISH,
    READ,
    RENEW,
    REVOKE,
    TOKEN,
    Answer,
    Parsed,
    Refusal,
    attempt_failed,
    limited,
    missing,
    reconnect,
    redact,
    rejected,
    wrong,
)
from .youtube_portal import MANAGE, PRIVACY, READONLY, UPLOAD

_PACIFIC = ZoneInfo("America/Los_Angeles")
_API = (PROFILES, READ, PREPARE, PUBLISH, DELETE)
_SENDING = (PREPARE, PUBLISH)
NO_CHANNEL = ("This Google account has no YouTube channel. Create one, or choose the brand account. "
               "A channel is made at youtube.com/create_channel.")
BOX = "A box was not ticked at Google: `{}`. Reconnect and tick it."
_USED_UP = "The app's uploads or calls for today are used up. We continue at {t}."
_CLIENT = "Google does not know this client or its secret, or the client was deleted."
_NO_OWNER = "This sign-in may not upload to the channel. Its owner or brand manager must connect."
_CLOSED = "YouTube has closed or suspended this channel or account."


def parsed(body: Any) -> Parsed | None:
    """Google's error envelope: the first reason counts, then the reasons of `details`, then its status. None: no such
    envelope."""
    plain = body if isinstance(body, dict) else {}
    error = plain.get("error")
    if isinstance(error, str) and isinstance(plain.get("error_subtype"), str):
        return Parsed((error,), plain["error_subtype"], str(plain.get("error_description") or ""))
    if not isinstance(error, dict):
        return None
    reasons = [str(one["reason"]) for one in _objects(error.get("errors"))[:1] if one.get("reason")]
    reasons += [str(one["reason"]) for one in _objects(error.get("details")) if one.get("reason")]
    codes = [*reasons, *(str(error[key]) for key in ("status", "code") if error.get(key))]
    codes += ["invalid*"] if reasons and reasons[0].startswith("invalid") else []
    return Parsed(tuple(codes), text=str(error.get("message") or ""))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _pacific_midnight() -> datetime:
    """When Google's daily quotas begin anew; by the time zone, since the offset changes twice a year."""
    tomorrow = outside.now().astimezone(_PACIFIC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=_PACIFIC).astimezone(UTC)


def _used_up(answer: Answer) -> PlatformError:
    until = _pacific_midnight()
    return RateLimited(_USED_UP.replace("{t}", f"{until:%H:%M} UTC"), answer.code, until=until, whole_app=True)


def _slow_down(answer: Answer) -> PlatformError:
    until = stated_wait(answer.headers, timedelta(minutes=1))
    return RateLimited("Google asked us to slow down.", answer.code, until=until)


# reason -> the field of ours, and how people call it
_REFUSED_FIELDS = {
    "invalidTitle": ("title", "the title"), "invalidDescription": ("text", "the description"),
    "invalidTags": ("tags", "the tags"), "invalidCategoryId": ("category", "the category"),
    "invalidPublishAt": ("publish_at", "the time of publishing"), "invalidFilename": ("video", "the name of the file"),
    "defaultLanguageNotSet": ("text", "the language"), "forbiddenPrivacySetting": ("privacy", "the visibility"),
    "forbiddenLicenseSetting": ("license", "the license")}


def _refused_field(answer: Answer) -> PlatformError:
    field, words = _REFUSED_FIELDS[next(one for one in answer.parsed.codes if one in _REFUSED_FIELDS)]
    return ContentRejected(f"YouTube refused {words}.", answer.code, field=field)


GONE_ALREADY = ("videoNotFound", "notFound", "NOT_FOUND", "404")  # with and without `errors` in the envelope

REFUSALS = (
    Refusal(wrong("The callback is not among the Authorized redirect URIs. Changes there may take hours."),
            code=("redirect_uri_mismatch",), steps=(TOKEN,)),
    Refusal(wrong("The Client secret is wrong, or was made anew at Google.", field_name="client_secret"),
            code=("invalid_client",), text=("client secret is invalid",), steps=(TOKEN, RENEW)),
    Refusal(wrong(_CLIENT, field_name="client_id"), code=("invalid_client", "deleted_client", "disabled_client"),
            steps=(TOKEN, RENEW)),
    Refusal(attempt_failed("The code from Google was too old or used twice. Connect again."), code=("invalid_grant",),
            steps=(TOKEN,)),
    Refusal(reconnect("Google, or your organization's administrator, ended this connection. Connect again."),
            code=("invalid_grant", "admin_policy_enforced"), steps=(RENEW,)),
    Refusal(reconnect("The app's credentials were exchanged. Connect again.", APP_CHANGED),
            code=("unauthorized_client",), steps=(RENEW,)),
    Refusal(reconnect("The permission was gone already."), code=("invalid_token",), steps=(REVOKE,)),
    Refusal(reconnect(NO_CHANNEL, PERMISSION_MISSING), code=("youtubeSignupRequired", "NoLinkedYouTubeAccount")),
    *(Refusal(missing(BOX.format(scope.rpartition("/")[2]), scope), steps=steps,
              code=("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"))
      for scope, steps in ((READONLY, (PROFILES, READ)), (UPLOAD, _SENDING), (MANAGE, (DELETE,)))),
    Refusal(reconnect("Google no longer accepts this connection. Connect again."), status=(401,), steps=_API),
    Refusal(wrong("The YouTube Data API is not enabled in the Google Cloud project."),
            code=("accessNotConfigured", "SERVICE_DISABLED")),
    # The daily bucket of uploads has the same reason as a short burst: only the sentence tells them apart.
    Refusal(_used_up, code=("rateLimitExceeded",), text=("video uploads per day",)),
    Refusal(_used_up, code=("quotaExceeded", "dailyLimitExceeded")),
    Refusal(_slow_down, code=("rateLimitExceeded", "userRateLimitExceeded")),
    Refusal(limited("This channel's own daily upload limit is reached.", timedelta(hours=24)),
            code=("uploadLimitExceeded",)),
    Refusal(reconnect(_CLOSED, SUSPENDED), code=(
        "authenticatedUserAccountClosed", "authenticatedUserAccountSuspended", "channelClosed", "channelSuspended")),
    Refusal(reconnect(_NO_OWNER, PERMISSION_MISSING), steps=_SENDING,
            code=("forbidden", "authenticatedUserNotChannel", "accountDelegationForbidden")),
    Refusal(_refused_field, code=tuple(_REFUSED_FIELDS), steps=_SENDING),
    Refusal(rejected("YouTube cannot read this video: {detail}", "video"), code=("mediaBodyRequired",),
            steps=_SENDING),
    Refusal(rejected("YouTube refused one value: {detail}"), status=(400,), code=("invalid*",), steps=_SENDING),
    Refusal(rejected("It was already deleted there."), status=(404,), code=GONE_ALREADY, steps=(DELETE,)),
)

# Google's words for why a video came to nothing, for people (videos resource, `status`, `processingDetails`).
_REASONS = {
    "codec": "its encoding is not supported.", "conversion": "it could not be converted.", "emptyFile": "it is empty.",
    "invalidFile": "this kind of file is not supported.", "tooSmall": "it is too small.",
    "uploadAborted": "the upload was not finished.", "uploadFailed": "the upload failed.",
    "transcodeFailed": "it could not be converted.", "streamingFailed": "it could not be made ready for playing.",
    "claim": "somebody else claims its content.", "copyright": "it infringes a copyright.",
    "duplicate": "the channel has this video already.", "inappropriate": "its content is inappropriate.",
    "legal": "for a legal reason.", "length": "it is too long for this channel. Verify it at youtube.com/verify.",
    "termsOfUse": "it breaks the terms of use.", "trademark": "it infringes a trademark.",
    "uploaderAccountClosed": "the account was closed.", "uploaderAccountSuspended": "the account was suspended."}


# ---------------------------------------------------------------- after it was sent


def listed(call: Call, reply: Reply) -> list[dict[str, Any]]:
    """What a list holds: nothing where `items` is absent, as it is for a list of none.

    Raises PlatformError if the answer is no list at all, so that it is never taken for an empty one.
    """
    body = reply.json()
    if body.get("error"):
        raise call.refused(reply)
    if not {"items", "pageInfo", "kind"} & body.keys():
        raise call.unclear()
    return _objects(body.get("items"))


def is_processed(video: Mapping[str, Any], *, is_gone: bool) -> bool:
    """Whether YouTube is done with a video. Raises ContentRejected if it came to nothing."""
    status, details = video.get("status") or {}, video.get("processingDetails") or {}
    state, processing = str(status.get("uploadStatus") or ""), str(details.get("processingStatus") or "")
    if state == "rejected":
        raise _came_to_nothing("YouTube took the video down: {}", str(status.get("rejectionReason") or ""))
    if state == "failed" or (state != "processed" and processing in ("failed", "terminated")):
        raise _came_to_nothing("YouTube cannot read this video: {}", str(
            status.get("failureReason") or details.get("processingFailureReason") or processing))
    if state == "deleted" or is_gone:
        raise ContentRejected("The video was deleted at YouTube.", "deleted", field="video")
    return state == "processed" or (state in ("", "uploaded") and processing == "succeeded")


def _came_to_nothing(sentence: str, reason: str) -> ContentRejected:
    shown = redact(reason)
    return ContentRejected(sentence.format(_REASONS.get(reason, f"{shown or 'it gives no reason'}.")), shown,
                           field="video")


def differences(draft: Draft, video: Mapping[str, Any]) -> list[str]:
    """What YouTube made of the author's choices, where it is something else."""
    status = video.get("status") or {}
    asked, now = draft.options.get("privacy", ""), str(status.get("privacyStatus") or "")
    kids = draft.options.get("made_for_kids") == YES
    notes = []
    if now and now != asked and not (draft.options.get("publish_at") and now == "public"):
        notes.append(f"The video is online, but as {PRIVACY.get(now, redact(now)).lower()} and not as "
                     f"{PRIVACY.get(asked, asked).lower()}. Open it in YouTube Studio.")
    if isinstance(status.get("madeForKids"), bool) and status["madeForKids"] is not kids:
        notes.append(f"YouTube counts the video as {'' if status['madeForKids'] else 'not '}made for kids.")
    return notes
