"""YouTube, so far for Configure only: one channel per consent, through Google's OAuth."""

from .base import Feature, Option, Provider, Scope
from .shapes import Shape, like

_PREFIX = "https://www.googleapis.com/auth/"
_ID = r"[0-9a-zA-Z_-]+\.apps\.googleusercontent\.com"


class YouTube(Provider):
    """The channel is chosen inside Google's consent."""

    slug, name, tile = "youtube", "YouTube", "Yt"
    connectable = False
    hosts = {"web": "https://accounts.google.com", "token": "https://oauth2.googleapis.com",
             "api": "https://www.googleapis.com", "analytics": "https://youtubeanalytics.googleapis.com"}
    client_id_label, client_secret_label = "Client ID", "Client secret"
    client_id_help = "Ends in .apps.googleusercontent.com."
    client_id_shape = Shape(_ID, "A Google Client ID ends in .apps.googleusercontent.com. Copy it from Clients.",
                            belongs=like(_ID))
    # Secrets made before 2021 have no prefix, so its absence proves nothing.
    client_secret_shape = Shape(belongs=like(r"GOCSPX-.+"))
    callback_label = "Authorized redirect URI"
    options = (Option("consent_status", "Consent status",
                      "testing or production. In Testing every connection ends after 7 days."),)
    scopes = {"": (
        Scope(_PREFIX + "youtube.upload", "Upload videos"),
        Scope(_PREFIX + "youtube.readonly", "See the channel's name and picture"),
        Scope("openid", "Know which connections belong to the same Google account"),
    )}
    features = (
        Feature("analytics", "Analytics", "Show how videos did.",
                (Scope(_PREFIX + "yt-analytics.readonly", "Read the channel's reports", "analytics"),)),
        Feature("comments", "Comments and deleting", "Answer comments, change and delete videos.",
                (Scope(_PREFIX + "youtube.force-ssl", "Manage comments and videos", "comments"),)),
    )
    pkce = True
    authorize = ("web", "/o/oauth2/v2/auth")
    token = ("token", "/token")
    requirement = "A Google account with a YouTube channel."
    publish_needs = {"": (_PREFIX + "youtube.upload",)}
