"""Facebook's facts for Configure: the portal guide, scopes and optional features."""

from .base import Feature, Guide, Scope, Step

GUIDE = Guide(
    "https://developers.facebook.com/apps",
    "An app with the use case for Pages. Before strangers can connect, Meta reviews each permission.",
    (
        Step("Create the app", "My Apps, Create app, use case Manage everything on your Page. Give a name, a contact "
                               "mail and a business portfolio."),
        Step("Add the permissions", "Use case, Customize: add each of these. pages_manage_engagement needs "
                                    "pages_read_user_content beside it.", ("{SCOPES}",)),
        Step("Register the callback", "Facebook Login for Business, Settings: Client OAuth and Web OAuth on. Paste "
                                      "the first into Valid OAuth Redirect URIs, the second into Deauthorize.",
             ("{CALLBACK}", "{DEAUTHORIZE}")),
        Step("Optional: a configuration", "Configurations, new: token type User access token, assets Pages, the same "
                                          "permissions. Copy the Configuration ID into the form."),
        Step("Copy id and secret", "App settings, Basic: copy the App ID, press Show for the App secret. Fill the "
                                   "addresses of your privacy page and of the data deletion callback.",
             ("{PRIVACY}", "{DELETION}")),
        Step("Add people who try it", "App roles: add them. Whoever connects needs content rights on the Page."),
        Step("Open it for others", "Business verification, then App Review for Advanced Access of each permission, "
                                   "public_profile included. One successful call for each must exist first."),
        Step("Go live", "Switch the app to Live."),
    ),
    "For the review say per permission which screen uses it, and film login, Page choice, one post and its deletion. "
    "Keep optional features off until they are needed: each permission is reviewed. With Login for Business people "
    "accept all permissions or none and pick their Pages. Tell them to keep earlier Pages ticked.",
)

SCOPES = (
    Scope("public_profile", "Know the name of the person who connects"),
    Scope("email", "Comes with every login; not used"),
    Scope("pages_show_list", "List the Pages to choose from"),
    Scope("pages_read_engagement", "See a Page's name, picture and own posts"),
    Scope("pages_manage_posts", "Publish to a Page"),
)

FEATURES = (
    Feature("portfolio", "Pages of a business portfolio",
            "Pages that belong to a business portfolio are invisible without it.",
            (Scope("business_management", "See the Pages of your business portfolios", "portfolio"),),
            default_on=True),
    Feature("analytics", "Analytics", "Show how posts did.",
            (Scope("read_insights", "Read the numbers of Pages and posts", "analytics"),)),
    Feature("comments", "Comments", "Write a first comment below a post, read and answer comments.",
            (Scope("pages_manage_engagement", "Answer, hide and delete comments", "comments"),
             Scope("pages_read_user_content", "Read what visitors write", "comments"))),
    Feature("inbox", "Inbox", "Read and answer messages.",
            (Scope("pages_messaging", "Read and answer messages to a Page", "inbox"),)),
)

CONSEQUENCES = {
    "pages_manage_posts": "without `pages_manage_posts` nothing can be published",
    "pages_show_list": "without `pages_show_list` Facebook lists no Page, and connecting fails",
    "pages_read_engagement": "without `pages_read_engagement` a Page cannot be published to",
    "business_management": "without `business_management` Pages of a business portfolio are not listed",
}

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "What you allow holds for 60 days, and the console prolongs it when 30 of them are left, without you.",
    "A Page then has a key of its own, which has no end date.",
    "Facebook lets apps read data for 90 days after the last consent; the console tells you before that is "
    "over.",
    "A new password, a lost role on the Page, or removing the app at Facebook ends it at once.",
)
