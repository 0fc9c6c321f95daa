"""X's facts for Configure and for the composer: the portal, scopes, what can be published and what it costs."""

from dataclasses import replace

from .base import Feature, Guide, Scope, Step
from .content import GIF, IMAGE, VIDEO, Field, Format, GifRule, ImageRule, Look, PollRule, TextLimit, VideoRule

MEDIA_SCOPE = "media.write"

SCOPES = {"": (
    Scope("tweet.read", "Read the account's own posts"),
    Scope("tweet.write", "Publish and delete posts"),
    Scope("users.read", "See the account's name and picture"),
    Scope("offline.access", "Stay connected without asking again every two hours"),
)}
FEATURES = (
    Feature("media", "Pictures and videos", "Upload pictures and videos to posts.",
            (Scope(MEDIA_SCOPE, "Upload pictures and videos", "media"),), default_on=True),
    Feature("comments", "Hide replies", "Hide replies under the account's posts.",
            (Scope("tweet.moderate.write", "Hide and show replies", "comments"),)),
)
CONSEQUENCES = {
    "offline.access": "without `offline.access` X gives no refresh token: tenants must reconnect every two hours",
    "tweet.write": "without `tweet.write` nothing can be published",
    "users.read": "without `users.read` X does not tell who connected, and connecting fails",
    "tweet.read": "without `tweet.read` X does not tell who connected, and connecting fails",
    MEDIA_SCOPE: "without `media.write` pictures and videos cannot be uploaded",
}

GUIDES = {"": Guide(
    "https://console.x.com",
    "An app in the Pay-per-use package with prepaid credits. There is no review.",
    (
        Step("Make an app", "Sign in, accept the agreement and describe the use. Choose New App; it must sit in the "
                            "Pay-per-use package and the Production environment."),
        Step("Set up user authentication", "User authentication settings, Set up: permissions Read and write, type "
                                           "Web App, Automated App or Bot."),
        Step("Register the callback", "Paste this as Callback URI, where the path says twitter and not x, and fill "
                                      "Website URL, which X insists on. Save.", ("{CALLBACK}",)),
        Step("Copy id and secret", "Keys and tokens: copy the OAuth 2.0 Client ID and Client Secret; they are shown "
                                   "once. API Key and API Key Secret are something else and stay out."),
        Step("Buy credits", "Billing: buy credits and set a spending limit. A card on file alone still answers that "
                            "there are no credits."),
        Step("Mind the permissions", "The console asks for these; pictures and videos need media.write among them. "
                                     "After a later change every account has to reconnect.", ("{SCOPES}",)),
    ),
    "You pay for all tenants: about $0.015 for a post, $0.20 with a link. X asks that automated accounts are labelled "
    "as such.",
)}

# ---------------------------------------------------------------- what can be published

NORMAL, PREMIUM = "X account", "X account with Premium"  # kinds of profiles
TEXT_LIMIT = TextLimit(280, "characters as X counts them")
LONG_TEXT = TextLimit(25_000, "characters as X counts them")
MEGABYTE = 1024 * 1024
# X takes up to 8 GB, but at most 1,000 pieces of (as far as anybody tried) 5 MB each.
MOST_VIDEO_BYTES = 5_000_000_000
_NEEDS = (MEDIA_SCOPE,)
_ALT = 1000  # characters (docs.x.com/x-api/media/metadata)

# docs.x.com/x-api/media/quickstart/best-practices. A still GIF goes as a picture, so it is converted.
_PICTURE = ImageRule(types=("image/jpeg", "image/png", "image/webp"), most_bytes=5 * MEGABYTE)
_MOVING = GifRule(15 * MEGABYTE, fit=(1280, 1080), most_frames=350, most_volume=300_000_000)
_VIDEO = VideoRule(types=("video/mp4", "video/quicktime", "video/webm", "video/mp2t"), most_bytes=MOST_VIDEO_BYTES,
                   seconds=(0.5, 20 * 60), ratio=(1 / 3, 3), least=(32, 32))

FORMATS = (
    Format("text", "Text", needs_text=True),
    Format("image", "Picture", (IMAGE,), 1, 1, image=_PICTURE, alt_text=_ALT, needs=_NEEDS),
    Format("images", "Pictures", (IMAGE,), 2, 4, image=_PICTURE, alt_text=_ALT, needs=_NEEDS),
    Format("gif", "Moving GIF", (GIF,), 1, 1, gif=_MOVING, alt_text=_ALT, needs=_NEEDS),
    Format("video", "Video", (VIDEO,), 1, 1, video=_VIDEO, needs=_NEEDS),
    Format("poll", "Poll", poll=PollRule((2, 4), 25, (5, 7 * 24 * 60), any_length=True), needs_text=True),
)
# What a subscription adds. X itself has the last word: it refuses what the account may not do.
PREMIUM_FORMATS = tuple(
    replace(one, text=LONG_TEXT, video=replace(_VIDEO, seconds=(0.5, 125 * 60)) if one.video else None)
    for one in FORMATS)

FIELDS = (
    Field("reply_settings", "Who can reply", "select", (
        ("", "Everyone"), ("following", "People the account follows"), ("mentionedUsers", "People it mentions"),
        ("subscribers", "Its subscribers"), ("verified", "Verified accounts"))),
    Field("made_with_ai", "Made with AI", help="X labels the pictures or the video as made with AI.", part=None),
    Field("paid_partnership", "Paid partnership", help="X labels the post as advertising.", part=None),
)

LOOK = Look("common observation: the first 280 characters of a longer post, up to four pictures side by side",
            fold=TEXT_LIMIT.most, picture=(0.75, 2), video=(0.75, 2), collage=4, collage_ratio=16 / 9, cards=("text",))

# Prices in thousandths of a dollar (docs.x.com/x-api/getting-started/pricing): a link makes the whole post dearer.
POST_PRICE, LINK_PRICE, ALT_TEXT_PRICE = 15, 200, 5


def dollars(thousandths: int) -> str:
    """An amount for people: $0.015, $0.20."""
    return f"${thousandths / 1000:.{2 if thousandths % 10 == 0 else 3}f}"

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "An access token holds for two hours, and the console renews it after 80 to 95 minutes, without you.",
    "Each renewal gives a new refresh token, and the old one is worth nothing from then on.",
    "Without offline.access there is no renewal: the profile has to be reconnected every two hours.",
)
