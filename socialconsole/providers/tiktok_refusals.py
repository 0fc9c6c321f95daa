"""How TikTok says no, row by row: its envelope `{data, error: {code, message, log_id}}`, OAuth's flat form, the reasons
of a post that failed later.

A refusal may come with any status, 200 included, so only the code counts (developers.tiktok.com/doc/
tiktok-api-v2-error-handling, …/doc/oauth-error-handling, …/doc/content-posting-api-reference-get-video-status).
"""

import logging
import re
from datetime import timedelta
from typing import Any

from .. import outside
from ..errors import (
    ADMIN,
    AUTHOR,
    CONSOLE,
    SUSPENDED,
    TENANT,
    ContentRejected,
    NeedsReconnect,
    PlatformError,
    RateLimited,
)
from .call import stated_wait
from .refusals import (
    PREPARE,
    PUBLISH,
    RENEW,
    REVOKE,
    TOKEN,
    Answer,
    Parsed,
    Refusal,
    attempt_failed,
    later,
    limited,
    missing,
    reconnect,
    redact,
    rejected,
    unconfirmed,
    wrong,
)

log = logging.getLogger("socialconsole.providers")

NOT_TOLD = "TikTok did not tell whether the post was taken."
NOT_OFFERED = "The chosen audience is no longer offered. Choose again."
NOT_TICKED = "This needs {scope}, which was not ticked. Reconnect grants it."
NO_SCOPE = "A ticked scope is not enabled in the TikTok app."
MINUTE = timedelta(minutes=1)
BLOCKED = ("reached_active_user_cap", "spam_risk_too_many_posts")  # nothing can be posted directly for some hours

_SENDING = (PREPARE, PUBLISH)
_OAUTH = (TOKEN, RENEW, REVOKE)
_SPAM = "TikTok took this for spam. Change it."
_PRIVATE = ("Until TikTok has audited the app, your account must be private, or send to the inbox instead. In TikTok: "
            "Settings, Privacy, Private account.")
_LOG_ID = re.compile(r"\d{14}[0-9A-F]{6,40}")


def _slow_down(answer: Answer) -> PlatformError:
    return RateLimited("TikTok asked us to wait a minute.", answer.code, until=stated_wait(answer.headers, MINUTE))


def _used_up(answer: Answer) -> PlatformError:
    return RateLimited("The app's daily number of posting accounts is used up. Reconnecting does not help.",
                       answer.code, ADMIN, until=outside.now() + timedelta(hours=1))


def _of_tenant(sentence: str) -> Any:
    """Something about the inbox or the phone, which the account's owner has to settle."""
    return lambda answer: ContentRejected(sentence, answer.code, TENANT, field="inbox")


ROWS = (
    Refusal(attempt_failed("The code from TikTok was too old or used twice. Connect again."), code=("invalid_grant",),
            steps=(TOKEN,)),
    Refusal(attempt_failed("You did not allow access at TikTok. Nothing was connected."), code=("access_denied",),
            steps=(TOKEN,)),
    Refusal(wrong("The callback changed between the two steps."), code=("invalid_request",), text=("redirect_uri",),
            steps=(TOKEN,)),
    Refusal(wrong(NO_SCOPE), code=("invalid_scope",), steps=(TOKEN, RENEW)),
    Refusal(reconnect("TikTok ended this connection. Connect again."), code=("invalid_grant",), steps=(RENEW,)),
    Refusal(wrong("Client key or secret is wrong, or sandbox and production are mixed.", field_name="client_secret"),
            code=("invalid_client", "unauthorized_client"), steps=_OAUTH),
    # What TikTok says to a revoke with a token that ran out is not documented: any of these leads to a fresh one.
    Refusal(reconnect("TikTok no longer accepts this connection. Connect again."), steps=(REVOKE,),
            code=("access_token_invalid", "invalid_grant", "invalid_token", "invalid_request")),
    Refusal(reconnect("TikTok no longer accepts this connection. Connect again."), code=("access_token_invalid",)),
    Refusal(missing(NOT_TICKED), code=("scope_not_authorized",)),
    Refusal(wrong("The TikTok app itself lacks {scope}."), code=("scope_permission_missed",)),
    Refusal(missing(_PRIVATE, step=True), code=("unaudited_client_can_only_post_to_private_accounts",)),
    Refusal(_used_up, code=("reached_active_user_cap",)),
    Refusal(limited("TikTok's daily number of posts for this account is used up.", timedelta(hours=6)),
            code=("spam_risk_too_many_posts",)),
    Refusal(_of_tenant("Five drafts wait in the TikTok inbox. Finish or delete some, then send again."),
            code=("spam_risk_too_many_pending_share",), steps=_SENDING),
    Refusal(reconnect("TikTok does not let this account post.", SUSPENDED),
            code=("spam_risk_user_banned_from_posting",)),
    Refusal(wrong("Our media address is not verified at TikTok under URL properties."),
            code=("url_ownership_unverified",)),
    Refusal(rejected(NOT_OFFERED, "privacy_level"), code=("privacy_level_option_mismatch",), steps=_SENDING),
    Refusal(_of_tenant("Update the TikTok app on the phone, then send again."), code=("app_version_check_failed",),
            steps=_SENDING),
    Refusal(rejected(_SPAM), code=("spam_risk", "spam_risk_text"), steps=_SENDING),
    Refusal(rejected("TikTok refused the file: {detail}", "files"), code=("invalid_file_upload",), steps=_SENDING),
    Refusal(rejected("TikTok refused the post: {detail}"), code=("invalid_param", "invalid_params"), steps=_SENDING),
    # Asked about an id that it does not know: a fault of ours or another account's id, but no word about the post.
    Refusal(unconfirmed(NOT_TOLD), code=("invalid_publish_id", "token_not_authorized_for_specified_publish_id")),
    Refusal(_slow_down, code=("rate_limit_exceeded",)),
    Refusal(unconfirmed("TikTok did not confirm the post. We look whether it is there."), code=("internal_error",),
            steps=(PUBLISH,)),
    Refusal(later("TikTok had a fault of its own. We try again; the account stays connected."),
            code=("internal_error",)),
)


def parse(body: Any) -> Parsed:
    """The code and sentence of a refusal, in whichever of TikTok's forms."""
    plain = body if isinstance(body, dict) else {}
    error, data = plain.get("error"), plain.get("data")
    inner = error if isinstance(error, dict) else {}
    data = data if isinstance(data, dict) else {}
    code = error if isinstance(error, str) else inner.get("code")
    # The oldest form has a number and no `error`: {"data": {"error_code": 10002, "description": "…"}}.
    code = code or next((one["error_code"] for one in (plain, data) if one.get("error_code")), "")
    texts = (plain.get("error_description"), inner.get("message"), plain.get("description"), data.get("description"))
    log_id = str(plain.get("log_id") or inner.get("log_id") or "")
    if _LOG_ID.fullmatch(log_id):  # TikTok's support asks for it
        log.info("refused by the platform", extra={"platform": "tiktok", "refusal": redact(str(code))[:60],
                                                   "log_id": log_id})
    return Parsed((str(code),) if code else (), text=next((one for one in texts if isinstance(one, str) and one), ""))


# ---------------------------------------------------------------- a post that failed after it was sent

_MEDIA = "TikTok cannot use this file: {}"
# What one new try may mend: TikTok's own fault, or that it could not fetch from us. The state is final by then.
PASSING = ("internal", "video_pull_failed", "photo_pull_failed")
AUTH_REMOVED = "auth_removed"
# reason -> sentence, the field it belongs to, who has to act
_REASONS = {
    "file_format_check_failed": (_MEDIA.format("its format is not supported."), "media", ""),
    "duration_check_failed": (_MEDIA.format("it is too short or too long."), "media", ""),
    "frame_rate_check_failed": (_MEDIA.format("its frame rate is not supported."), "media", ""),
    "picture_size_check_failed": (_MEDIA.format("its width or height is not supported."), "media", ""),
    "video_pull_failed": ("TikTok could not fetch from our media address.", "media", ADMIN),
    "photo_pull_failed": ("TikTok could not fetch from our media address.", "media", ADMIN),
    "spam_risk": (_SPAM, "text", ""),
    "spam_risk_text": (_SPAM, "text", ""),
    "spam_risk_too_many_posts": ("TikTok's daily number of posts for this account is used up. Send it again tomorrow.",
                                 "", CONSOLE),
    "spam_risk_user_banned_from_posting": ("TikTok does not let this account post.", "", TENANT),
    "publish_cancelled": ("The post was cancelled at TikTok.", "", TENANT),
    "internal": ("TikTok stopped the post because of a fault of its own. Send it again.", "", CONSOLE),
}


def removed() -> NeedsReconnect:
    """The person took the app's access back before the post was out."""
    return NeedsReconnect("TikTok stopped the post: access was taken back. Reconnect if that is not done yet, then "
                          "send it anew.", AUTH_REMOVED)


def failure(reason: str) -> ContentRejected:
    """Why a post came to nothing. Final: TikTok itself says so, and sending it again makes no second one."""
    shown = redact(reason)[:60]
    unknown = (f"TikTok stopped the post: {shown or 'it gives no reason'}.", "media", "")
    sentence, field, who = _REASONS.get(reason, unknown)
    return ContentRejected(sentence, shown, who or AUTHOR, field=field)
