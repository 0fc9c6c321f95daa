"""Threads' facts for Configure: the portal guide, scopes, optional features.

Vendor page: developers.facebook.com/documentation/threads/get-started.
"""

from .base import Feature, Guide, Scope, Step

BASIC, PUBLISH_POSTS, DELETE_POSTS = "threads_basic", "threads_content_publish", "threads_delete"
REPLIES, READ_REPLIES, PLACES = "threads_manage_replies", "threads_read_replies", "threads_location_tagging"

SCOPES = (
    Scope(BASIC, "See the profile's name and picture"),
    Scope(PUBLISH_POSTS, "Publish posts"),
    Scope(DELETE_POSTS, "Delete posts from here", "delete"),
)

FEATURES = (
    Feature("analytics", "Analytics", "Show how posts did.",
            (Scope("threads_manage_insights", "Read the numbers of posts", "analytics"),)),
    Feature("comments", "Replies", "Read and write replies. Reply chains and first comments need this too.",
            (Scope(READ_REPLIES, "Read replies to posts", "comments"),
             Scope(REPLIES, "Write and hide replies", "comments"))),
    Feature("location", "Places", "Add a place to a post.", (Scope(PLACES, "Tag a place", "location"),)),
    Feature("mentions", "Mentions", "Read where the profile is mentioned.",
            (Scope("threads_manage_mentions", "Read mentions", "mentions"),)),
)

CONSEQUENCES = {
    BASIC: "without `threads_basic` no profile can be read, and connecting and renewing fail",
    PUBLISH_POSTS: "without `threads_content_publish` nothing can be published",
    DELETE_POSTS: "without `threads_delete` posts cannot be deleted from here",
    REPLIES: "without `threads_manage_replies` there are no reply chains and no first comments",
}

GUIDE = Guide(
    "https://developers.facebook.com/apps",
    "The Threads app ID and the Threads app secret. The Meta app's own pair does not work here.",
    (
        Step("Create the app", "Create app, use case Access the Threads API. The app then owns two pairs of id and "
                               "secret."),
        Step("Register the addresses", "Use cases, Access the Threads API, Settings: paste these into Redirect "
                                       "Callback URLs, Uninstall Callback URL and Delete Callback URL, in this order. "
                                       "The form does not save without all three.",
             ("{CALLBACK}", "{DEAUTHORIZE}", "{DELETION}")),
        Step("Compare", "Open the form again and compare: https, no localhost, no slash added at the end."),
        Step("Add the permissions", "In the same use case add each of these. The first one is always in.",
             ("{SCOPES}",)),
        Step("Copy id and secret", "App settings, Basic: copy the Threads App ID and the Threads App secret, which "
                                   "stand below the Meta pair."),
        Step("Add people who try it", "App roles, Roles: add Threads Testers. Each accepts in Threads under Settings, "
                                      "Account, Website permissions, Invites."),
        Step("Open it for others", "App Review for each permission, and business or tech provider verification."),
        Step("Publish the app", "Without this, only the people with a role can connect."),
    ),
    "Leave replies and analytics off at first: each is a review of its own. Threads fetches pictures and videos from "
    "this console, so its address must be public; try a post with a picture, not only text.",
)

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "What you allow holds for 60 days, and the console prolongs it when 30 of them are left, without you.",
    "What a private profile allows is over after 90 days; the console tells you before.",
    "A new password, or removing the app at Threads, ends it at once.",
)
