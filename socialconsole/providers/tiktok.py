"""TikTok, so far for Configure only: videos and photos, posted directly or sent to the person's inbox."""

from .base import Feature, Option, Provider, Scope
from .shapes import Shape, like

_BASICS = (
    Scope("user.info.basic", "See the account's name and picture"),
    Scope("user.info.profile", "See the account's handle"),
)


class TikTok(Provider):
    """One TikTok account per consent."""

    slug, name, tile = "tiktok", "TikTok", "Tt"
    connectable = False
    hosts = {"web": "https://www.tiktok.com", "api": "https://open.tiktokapis.com"}
    client_id_label, client_secret_label = "Client key", "Client secret"
    client_id_help = "From Credentials. A key that begins with sb belongs to TikTok's own sandbox."
    # Client keys are short and mixed; the long number in the portal is the App ID.
    client_id_shape = Shape(fits_not=((r"\d{15,}", "This is the App ID. Paste the Client key from Credentials here."),),
                            belongs=like(r"(sb)?a?w?[a-z0-9]{14,18}"))
    client_secret_shape = Shape(belongs=like(r"[A-Za-z0-9]{32}"))
    callback_label = "Redirect URI"
    options = (
        Option("pkce", "PKCE", "off for a Web app, s256_hex for a Desktop app."),
        Option("app_state", "State of the app", "sandbox, unaudited or audited."),
    )
    scope_separator = ","
    scopes = {"": (*_BASICS, Scope("video.publish", "Publish videos and photos directly"))}
    features = (
        Feature("inbox", "Send to the TikTok inbox", "Sends drafts that the person finishes in the TikTok app.",
                (Scope("video.upload", "Send drafts to the person's TikTok inbox", "inbox"),)),
        Feature("analytics", "Analytics", "Show how posts did.",
                (Scope("video.list", "Read the account's public videos and their numbers", "analytics"),
                 Scope("user.info.stats", "Read how many follow the account", "analytics"))),
    )
    authorize = ("web", "/v2/auth/authorize/")
    token = ("api", "/v2/oauth/token/")
    requirement = "A TikTok account."
    publish_needs = {"": ("video.publish",)}
