"""Instagram, so far for Configure only: two logins that need developer apps of different kinds."""

from .base import Feature, Mode, Option, Provider, Scope
from .meta import APP_VERSION, META_ID, META_SECRET

_PAGE, _DIRECT = ("facebook_login",), ("instagram_login",)

_FEATURES = (
    Feature("portfolio", "Pages of a business portfolio",
            "Needed to see accounts whose Page belongs to a business portfolio.",
            (Scope("business_management", "See the Pages of your business portfolios", "portfolio"),), True, _PAGE),
    Feature("analytics", "Analytics", "Show how posts did.",
            (Scope("instagram_business_manage_insights", "Read the numbers of posts", "analytics"),), modes=_DIRECT),
    Feature("comments", "Comments", "Read and answer comments.",
            (Scope("instagram_manage_comments", "Read and answer comments", "comments"),), modes=_PAGE),
    Feature("direct_comments", "Comments", "Read and answer comments.",
            (Scope("instagram_business_manage_comments", "Read and answer comments", "direct_comments"),),
            modes=_DIRECT),
    Feature("inbox", "Inbox", "Read and answer messages.",
            (Scope("instagram_manage_messages", "Read and answer messages", "inbox"),
             Scope("pages_manage_metadata", "Be told when a message arrives", "inbox")), modes=_PAGE),
    Feature("direct_inbox", "Inbox", "Read and answer messages.",
            (Scope("instagram_business_manage_messages", "Read and answer messages", "direct_inbox"),), modes=_DIRECT),
    Feature("delete", "Deleting", "Delete posts from here.",
            (Scope("instagram_manage_contents", "Delete posts", "delete"),), modes=_PAGE),
)


class Instagram(Provider):
    """Through a Facebook Page (`facebook_login`) or directly (`instagram_login`); one Meta app holds only one."""

    slug, name, tile = "instagram", "Instagram", "Ig"
    connectable = False
    hosts = {"web": "https://www.instagram.com", "login": "https://api.instagram.com",
             "api": "https://graph.instagram.com", "facebook": "https://www.facebook.com",
             "graph": "https://graph.facebook.com"}
    client_id_label, client_secret_label = "App ID", "App secret"
    client_id_help = ("Through a Facebook Page: the Meta App ID and its secret. Directly: the Instagram app ID and the "
                      "Instagram app secret from Business login settings.")
    client_id_shape, client_secret_shape = META_ID, META_SECRET
    callback_label = "Valid OAuth Redirect URI"
    modes = (
        Mode("facebook_login", "Through a Facebook Page",
             "Professional accounts that are linked to a Facebook Page. Uses the Meta App ID."),
        Mode("instagram_login", "Directly with Instagram",
             "Professional accounts without a Page. Uses the Instagram app ID of a Meta app of its own."),
    )
    api_version = APP_VERSION
    options = (Option("config_id", "Configuration ID",
                      "Only for Facebook Login for Business, through a Facebook Page."),)
    scope_separator = ","
    scopes = {
        "facebook_login": (
            Scope("instagram_basic", "See the account's name and picture"),
            Scope("instagram_manage_insights", "Show how posts did"),
            Scope("instagram_content_publish", "Publish posts, reels and stories"),
            Scope("pages_show_list", "List the Pages your accounts are linked to"),
            Scope("pages_read_engagement", "Read the Page an account is linked to"),
        ),
        "instagram_login": (
            Scope("instagram_business_basic", "See the account's name and picture"),
            Scope("instagram_business_content_publish", "Publish posts, reels and stories"),
        ),
    }
    features = _FEATURES
    authorize = ("facebook", "/{version}/dialog/oauth")
    token = ("graph", "/{version}/oauth/access_token")
    requirement = "A Business or Creator account."
    several_profiles = True
    publish_needs = {"facebook_login": ("instagram_content_publish",),
                     "instagram_login": ("instagram_business_content_publish",)}
