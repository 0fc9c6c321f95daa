"""What TikTok's errors mean for people. developers.tiktok.com/doc/tiktok-api-v2-error-handling."""

from ..errors import ADMIN, AUTHOR, CONSOLE, TENANT
from .causes import CONSENT, FETCH, NEW_FILE, PLATFORM, REDIRECT, Cause
from .refusals import RENEW, TOKEN

PORTAL = "https://developers.tiktok.com/apps/"
_ENABLE = "Enable the scope in the portal, or untick the feature that needs it under Configure."

CAUSES = (
    Cause((), ADMIN, "TikTok does not accept the Client key: Login Kit is missing, or the app is not approved yet.",
          "Copy the Client key again, add Login Kit, and wait for the review of the app.",
          text=("client_key",), steps=(CONSENT,), page=PORTAL, shows="Something went wrong: client_key"),
    Cause((), ADMIN, "The callback inside Login Kit differs from the one of this console.",
          "Compare both, character by character. The field is in Login Kit and nowhere else.",
          text=("redirect_uri",), steps=(CONSENT,), page=PORTAL, shows="Something went wrong: redirect_uri"),
    Cause((), ADMIN, "The console asks for a scope that is not enabled in the app.", _ENABLE,
          text=("scope",), steps=(CONSENT,), page=PORTAL, shows="Something went wrong: scope"),
    Cause(("non_sandbox_target",), ADMIN, "The app is in TikTok's sandbox, and the account is not one of its Target "
          "users, or another account was signed in.",
          "Add the account under Sandbox settings and press Apply changes. It may take an hour."),
    Cause(("invalid_scope",), ADMIN, "The console asks for a scope that is not enabled in the app.", _ENABLE),
    Cause(("access_denied",), TENANT, "The question of TikTok was answered with No.",
          "Connect again and allow it, if that was not meant.", steps=(REDIRECT, TOKEN)),
    Cause((), ADMIN, "The callback changed between the question and the exchange.",
          "Compare the callback in Login Kit with the one under Configure, then connect again.",
          text=("redirect_uri", "callback changed between")),
    Cause(("invalid_grant",), TENANT, "The code that TikTok gave was too old or used twice.",
          "Connect again and finish it in one go.", steps=(TOKEN,)),
    Cause(("invalid_grant",), TENANT, "TikTok ended this connection.", "Reconnect the profile.", steps=(RENEW,)),
    Cause(("invalid_client", "unauthorized_client"), ADMIN, "The Client key or its secret is wrong, or those of the "
          "sandbox and of production are mixed.", "Copy both again from the same tab of the portal."),
    Cause(("access_token_invalid", "invalid_token"), TENANT, "TikTok no longer accepts this connection.",
          "Reconnect the profile."),
    Cause((), TENANT, "TikTok no longer accepts this connection.", "Reconnect the profile.",
          text=("no longer accepts this connection",)),
    Cause(("scope_not_authorized",), TENANT, "A permission that this needs was not ticked at TikTok.",
          "Reconnect the profile and leave every box ticked."),
    Cause(("scope_permission_missed",), ADMIN, "The TikTok app itself lacks a scope that this needs.", _ENABLE),
    Cause(("unaudited_client_can_only_post_to_private_accounts",), TENANT, "TikTok has not audited the app yet, and "
          "until then it posts only to accounts that are private.",
          "Set the account to private in the TikTok app, or send the post to the inbox instead."),
    Cause(("reached_active_user_cap",), ADMIN, "So many accounts posted through the app today as TikTok allows an app "
          "that is not audited. Reconnecting does not help.",
          "Wait until tomorrow, and ask TikTok for the Content Posting audit."),
    Cause(("spam_risk_too_many_posts",), CONSOLE, "The posts that TikTok allows an account in a day are used up.",
          "Nothing has to be done. The console tries again within the day."),
    Cause(("spam_risk_too_many_pending_share",), TENANT, "Five drafts wait in the TikTok inbox, and there is no room "
          "for more.", "Finish or delete some of them in the TikTok app, then send the post again."),
    Cause(("spam_risk_user_banned_from_posting",), TENANT, "TikTok does not let this account post.",
          "Open the TikTok app and follow its steps."),
    Cause(("url_ownership_unverified",), ADMIN, "TikTok fetches files only from addresses that are verified, and ours "
          "is not.", "Verify the media address under URL properties."),
    Cause(("privacy_level_option_mismatch",), AUTHOR, "The audience that was chosen is not offered to this account any "
          "more.", "Choose again who can see the post."),
    Cause(("app_version_check_failed",), TENANT, "The TikTok app on the phone is too old for drafts.",
          "Update the TikTok app, then send the post again."),
    Cause(("spam_risk", "spam_risk_text"), AUTHOR, "TikTok takes the post for spam.", "Change the text."),
    Cause(("invalid_file_upload", "file_format_check_failed", "duration_check_failed", "frame_rate_check_failed",
           "picture_size_check_failed"), AUTHOR, "TikTok cannot use this file.", NEW_FILE),
    Cause(("video_pull_failed", "photo_pull_failed"), ADMIN, "TikTok could not fetch the file from our media address.",
          FETCH),
    Cause(("invalid_param", "invalid_params"), AUTHOR, "TikTok refused one value of the post.",
          "Change what TikTok names, and send it again."),
    Cause(("invalid_publish_id", "token_not_authorized_for_specified_publish_id"), CONSOLE,
          "TikTok did not tell whether it took the post.",
          "The console looks for it. If it finds nothing, look at TikTok and decide."),
    Cause(("auth_removed",), TENANT, "Access was taken back at TikTok before the post was out.",
          "Reconnect the profile, then send the post anew."),
    Cause(("publish_cancelled",), TENANT, "The post was cancelled in the TikTok app.",
          "Send it again, if that was not meant."),
    Cause(("rate_limit_exceeded",), CONSOLE, "So many calls were made that TikTok asked for a minute's pause.",
          "Nothing has to be done. The console goes on by itself."),
    Cause(("internal_error",), CONSOLE, "TikTok had a fault after the post was sent.",
          "The console looks for the post. If it finds nothing, look at TikTok and decide.",
          text=("did not confirm",)),
    Cause(("internal_error", "internal"), PLATFORM, "TikTok had a fault of its own.",
          "Wait: the console tries again by itself. Send the post again if it stopped there."),
)
