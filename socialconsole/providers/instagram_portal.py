"""Instagram's facts for Configure: two portal guides, two families of scopes, optional features."""

from .base import Feature, Guide, Mode, Scope, Step

PAGE, DIRECT = "facebook_login", "instagram_login"

MODES = (
    Mode(PAGE, "Through a Facebook Page",
         "Professional accounts that are linked to a Facebook Page. Uses the Meta App ID."),
    Mode(DIRECT, "Directly with Instagram",
         "Professional accounts without a Page. Uses the Instagram app ID of a Meta app of its own."),
)

SCOPES = {
    PAGE: (
        Scope("instagram_basic", "See the account's name and picture"),
        Scope("instagram_manage_insights", "Show how posts did"),
        Scope("instagram_content_publish", "Publish posts, reels and stories"),
        Scope("pages_show_list", "List the Pages your accounts are linked to"),
        Scope("pages_read_engagement", "Read the Page an account is linked to"),
    ),
    DIRECT: (
        Scope("instagram_business_basic", "See the account's name and picture"),
        Scope("instagram_business_content_publish", "Publish posts, reels and stories"),
    ),
}

FEATURES = (
    Feature("portfolio", "Pages of a business portfolio",
            "Needed to see accounts whose Page belongs to a business portfolio.",
            (Scope("business_management", "See the Pages of your business portfolios", "portfolio"),), True, (PAGE,)),
    Feature("analytics", "Analytics", "Show how posts did.",
            (Scope("instagram_business_manage_insights", "Read the numbers of posts", "analytics"),), modes=(DIRECT,)),
    Feature("comments", "Comments", "Read and answer comments.",
            (Scope("instagram_manage_comments", "Read and answer comments", "comments"),), modes=(PAGE,)),
    Feature("direct_comments", "Comments", "Read and answer comments.",
            (Scope("instagram_business_manage_comments", "Read and answer comments", "direct_comments"),),
            modes=(DIRECT,)),
    Feature("inbox", "Inbox", "Read and answer messages.",
            (Scope("instagram_manage_messages", "Read and answer messages", "inbox"),
             Scope("pages_manage_metadata", "Be told when a message arrives", "inbox")), modes=(PAGE,)),
    Feature("direct_inbox", "Inbox", "Read and answer messages.",
            (Scope("instagram_business_manage_messages", "Read and answer messages", "direct_inbox"),),
            modes=(DIRECT,)),
    Feature("delete", "Deleting", "Delete posts from here.",
            (Scope("instagram_manage_contents", "Delete posts", "delete"),), modes=(PAGE,)),
)

CONSEQUENCES = {
    "instagram_content_publish": "without `instagram_content_publish` nothing can be published",
    "instagram_basic": "without `instagram_basic` no account can be read, and connecting fails",
    "pages_show_list": "without `pages_show_list` no Page is listed, and connecting fails",
    "pages_read_engagement": "without `pages_read_engagement` an account cannot be published to",
    "business_management": "without `business_management` accounts whose Page belongs to a portfolio are not listed",
    "instagram_business_content_publish": "without `instagram_business_content_publish` nothing can be published",
    "instagram_business_basic": "without `instagram_business_basic` connecting and renewing fail",
}

_OPEN = Step("Open it for others", "Business verification, then App Review for Advanced Access of each permission, "
                                   "with one successful call for each before it. At last switch the app to Live.")

GUIDES = {
    PAGE: Guide(
        "https://developers.facebook.com/apps",
        "The Meta App ID of an app that is set up for Instagram with Facebook login. It may be the app you use for "
        "Facebook.",
        (
            Step("Take or create the app", "Take the app you use for Facebook, or create one with the use case Manage "
                                           "messaging & content on Instagram."),
            Step("Choose the setup", "Use case, Customize: API setup with Facebook login. One app holds only one of "
                                     "the two setups."),
            Step("Register the callback", "Add Facebook Login for Business if it is missing. Settings: paste this into "
                                          "Valid OAuth Redirect URIs, beside the one of Facebook.", ("{CALLBACK}",)),
            Step("Add the permissions", "Use case, Customize: add each of these. Pages of a portfolio need "
                                        "business_management too.", ("{SCOPES}",)),
            Step("Copy id and secret", "App settings, Basic: copy the App ID, press Show for the App secret. Paste the "
                                       "address of your privacy page, and this one for data deletion.",
                 ("{PRIVACY}", "{DELETION}")),
            Step("Try it", "With an account that is Business or Creator and linked to a Page you manage. Tick the "
                           "account and the Page at Facebook."),
            _OPEN,
        ),
        "“No account found” means: not professional, not linked, Page not ticked, or the permission for portfolios is "
        "missing. Pictures are fetched from this console, so its address must be public.",
    ),
    DIRECT: Guide(
        "https://developers.facebook.com/apps",
        "The Instagram app ID and the Instagram app secret. The Meta app's own pair does not work here.",
        (
            Step("Create a separate app", "My Apps, Create app, use case Manage messaging & content on Instagram. One "
                                          "app holds only one of the two setups."),
            Step("Choose the setup", "Use case, Customize: API setup with Instagram login. Add each of these; they all "
                                     "begin with instagram_business_.", ("{SCOPES}",)),
            Step("Register the callback", "Set up Instagram business login, Business login settings: paste these into "
                                          "OAuth redirect URIs, Deauthorize and Data deletion.",
                 ("{CALLBACK}", "{DEAUTHORIZE}", "{DELETION}")),
            Step("Compare", "Save, open the dialog again and compare: the portal may have added a slash."),
            Step("Copy id and secret", "In the same dialog: Instagram app ID and Instagram app secret."),
            Step("Add people who try it", "App roles: add Instagram Testers. Each accepts in Instagram under Settings, "
                                          "Website permissions, Tester invites."),
            _OPEN,
        ),
        "No Facebook Page is needed. Posts cannot be deleted from here. The secret is proven only by the first real "
        "connection.",
    ),
}

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "Directly: what you allow holds for 60 days, and the console prolongs it when 30 of them are left, "
    "without you.",
    "Through a Facebook Page: the key of the Page has no end date.",
    "A new password, or removing the app at Instagram or Facebook, ends it at once.",
)
