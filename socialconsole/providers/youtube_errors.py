"""What YouTube's and Google's errors mean for people. developers.google.com/youtube/v3/docs/errors."""

from ..errors import ADMIN, AUTHOR, CONSOLE, TENANT
from .causes import CONSENT, NEW_FILE, REDIRECT, Cause
from .refusals import RENEW, TOKEN

_CLIENTS = "https://console.cloud.google.com/auth/clients"
_AUDIENCE = "https://console.cloud.google.com/auth/audience"
_LIBRARY = "https://console.cloud.google.com/apis/library/youtube.googleapis.com"
_CHANNEL = "https://www.youtube.com/create_channel"
_FIELDS = ("invalidTitle", "invalidDescription", "invalidTags", "invalidCategoryId", "invalidPublishAt",
           "invalidFilename", "defaultLanguageNotSet", "forbiddenPrivacySetting", "forbiddenLicenseSetting")

CAUSES = (
    Cause(("redirect_uri_mismatch",), ADMIN, "The callback is not among the Authorized redirect URIs of the client.",
          "Copy the callback from Configure into Clients, character by character. A change may take hours to work.",
          page=_CLIENTS, shows="Error 400: redirect_uri_mismatch"),
    Cause((), ADMIN, "The callback is not among the Authorized redirect URIs of the client.",
          "Copy the callback from Configure into Clients, character by character. A change may take hours to work.",
          text=("redirect_uri_mismatch", "among the authorized redirect uris"), page=_CLIENTS),
    Cause(("org_internal",), ADMIN, "The app is internal to an organization, and the Google account is not of it.",
          "Set the Audience to External and publish the app.", page=_AUDIENCE, shows="Error 403: org_internal"),
    Cause((), ADMIN, "The app is in Testing, and the Google account is not one of its test users.",
          "Publish the app under Audience, or add the account to the test users.",
          text=("access blocked", "has not completed the google verification", "access_denied"), steps=(CONSENT,),
          page=_AUDIENCE, shows="Error 403: access_denied"),
    Cause((), ADMIN, "Google knows the client, but the Client secret here is not its secret any more.",
          "Make a new client secret under Clients, since Google shows it once, and replace it under Configure.",
          text=("client secret is wrong", "client secret is invalid"), page=_CLIENTS),
    Cause(("invalid_scope",), ADMIN, "The console asks for a scope that Google does not know.",
          "Compare the scopes under Configure with those under Data Access, or empty the field.",
          text=("invalid_scope", "requested scopes were invalid"), steps=(CONSENT,), page=_CLIENTS,
          shows="Error 400: invalid_scope"),
    Cause(("invalid_client", "deleted_client", "disabled_client"), ADMIN, "Google does not know this client or its "
          "secret, or the client was deleted.",
          "Compare the Client ID with the portal. Make a new client secret there if you do not have it any more.",
          page=_CLIENTS, shows="Error 401: invalid_client or deleted_client"),
    Cause(("admin_policy_enforced",), TENANT, "The administrator of your Google organization does not allow this app.",
          "Ask that administrator, or connect with another Google account.", page=""),
    Cause(("access_denied",), TENANT, "The question of Google was answered with No.",
          "Connect again and allow it, if that was not meant.", steps=(REDIRECT, TOKEN)),
    Cause(("invalid_grant",), TENANT, "The code that Google gave was too old or used twice.",
          "Connect again and finish it in one go.", steps=(TOKEN,)),
    Cause((), ADMIN, "The Google app is in Testing, which ends every permission after seven days.",
          "Publish the app under Audience, then have the profiles reconnected.", text=("in testing",), page=_AUDIENCE),
    Cause((), TENANT, "Google gave no permission that lasts.",
          "Connect again, and confirm Google's page instead of closing it.", text=("no lasting permission",)),
    Cause(("invalid_grant", "invalid_rapt", "invalid_token"), TENANT, "Google, or the administrator of your "
          "organization, ended this connection.", "Reconnect the profile."),
    Cause(("unauthorized_client",), TENANT, "The client at Google was exchanged for another one, so what was allowed "
          "does not count any more.", "Reconnect the profile.", steps=(RENEW,)),
    Cause(("youtubeSignupRequired", "NoLinkedYouTubeAccount", "no_channel"), TENANT, "This Google account has no "
          "YouTube channel.", "Create a channel, or choose the brand account when you connect again.", page=_CHANNEL),
    Cause((), TENANT, "This Google account has no YouTube channel.",
          "Create a channel, or choose the brand account when you connect again.", text=("has no youtube channel",),
          page=_CHANNEL),
    Cause(("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), TENANT, "A box was not ticked at Google.",
          "Reconnect the profile and tick every box."),
    Cause((), TENANT, "A box was not ticked at Google.", "Reconnect the profile and tick every box.",
          text=("a box was not ticked",)),
    Cause(("authError", "required", "UNAUTHENTICATED", "HTTP 401"), TENANT,
          "Google no longer accepts this connection.", "Reconnect the profile."),
    Cause((), TENANT, "Google no longer accepts this connection.", "Reconnect the profile.",
          text=("google no longer accepts this connection",)),
    Cause(("accessNotConfigured", "SERVICE_DISABLED"), ADMIN, "The YouTube Data API is not enabled in the project.",
          "Enable YouTube Data API v3 in the library of the Google Cloud project.", page=_LIBRARY),
    Cause(("quotaExceeded", "dailyLimitExceeded"), CONSOLE, "The uploads or calls that Google allows the app in a day "
          "are used up.", "Nothing has to be done. The console goes on after midnight in Los Angeles."),
    Cause((), CONSOLE, "The uploads or calls that Google allows the app in a day are used up.",
          "Nothing has to be done. The console goes on after midnight in Los Angeles.",
          text=("video uploads per day", "calls for today are used up")),
    Cause(("rateLimitExceeded", "userRateLimitExceeded"), CONSOLE, "So many calls were made at once that Google asked "
          "for a pause.", "Nothing has to be done. The console goes on by itself."),
    Cause(("uploadLimitExceeded",), CONSOLE, "The channel's own limit of uploads in a day is reached.",
          "Nothing has to be done. The console tries again after a day. A verified channel may upload more."),
    Cause(("authenticatedUserAccountClosed", "authenticatedUserAccountSuspended", "channelClosed", "channelSuspended"),
          TENANT, "YouTube has closed or suspended this channel or account.",
          "Sign in at YouTube and follow its steps.", page="https://www.youtube.com/account"),
    Cause((), TENANT, "YouTube has closed or suspended this channel or account.",
          "Sign in at YouTube and follow its steps.", text=("closed or suspended this channel",),
          page="https://www.youtube.com/account"),
    Cause(("forbidden", "authenticatedUserNotChannel", "accountDelegationForbidden"), TENANT, "This sign-in may not "
          "upload to the channel.", "Have the owner or the brand manager of the channel connect it."),
    Cause(_FIELDS, AUTHOR, "YouTube refused one of the choices of the video.", "Change that choice and send it again."),
    Cause(("invalid*",), AUTHOR, "YouTube refused one value of the video.", "Change it and send the video again."),
    Cause(("mediaBodyRequired",), AUTHOR, "YouTube cannot read this video.", NEW_FILE),
    Cause((), AUTHOR, "YouTube cannot read this video.", NEW_FILE, text=("youtube cannot read this video",)),
    Cause((), AUTHOR, "YouTube took the video down.", "Open it in YouTube Studio, where the reason stands.",
          text=("took the video down",), page="https://studio.youtube.com"),
    Cause(("deleted", "videoNotFound", "notFound", "NOT_FOUND", "404"), AUTHOR,
          "The video is not at YouTube any more.", "Send it again, if it was not meant to go."),
)
