"""Threads, so far for Configure only: Meta's text network, with an id and a secret of its own."""

from .base import Feature, Provider, Scope
from .meta import META_ID, META_SECRET


class Threads(Provider):
    """One Threads profile per consent; no Facebook Page is needed."""

    slug, name, tile = "threads", "Threads", "Th"
    connectable = False
    hosts = {"web": "https://threads.com", "api": "https://graph.threads.net"}
    client_id_label, client_secret_label = "Threads app ID", "Threads app secret"
    client_id_help = "The app owns two pairs. The Meta App ID does not work here."
    client_id_shape, client_secret_shape = META_ID, META_SECRET
    callback_label = "Redirect Callback URL"
    scope_separator = ","
    scopes = {"": (
        Scope("threads_basic", "See the profile's name and picture"),
        Scope("threads_content_publish", "Publish posts"),
        Scope("threads_delete", "Delete posts from here", "delete"),
    )}
    features = (
        Feature("analytics", "Analytics", "Show how posts did.",
                (Scope("threads_manage_insights", "Read the numbers of posts", "analytics"),)),
        Feature("comments", "Replies", "Read and write replies.",
                (Scope("threads_read_replies", "Read replies to posts", "comments"),
                 Scope("threads_manage_replies", "Write and hide replies", "comments"))),
        Feature("location", "Places", "Add a place to a post.",
                (Scope("threads_location_tagging", "Tag a place", "location"),)),
        Feature("mentions", "Mentions", "Read where the profile is mentioned.",
                (Scope("threads_manage_mentions", "Read mentions", "mentions"),)),
    )
    authorize = ("web", "/oauth/authorize")
    token = ("api", "/oauth/access_token")
    requirement = "A Threads profile."
    publish_needs = {"": ("threads_basic", "threads_content_publish")}
