"""TikTok's facts for Configure and for the composer: the portal, scopes, formats and the choices that a post carries.

Vendor pages: developers.tiktok.com/doc/content-sharing-guidelines (what the composer must ask, word by word),
…/doc/content-posting-api-media-transfer-guide (what files may be).
"""

from .base import Feature, Guide, Option, Scope, Step
from .content import IMAGE, VIDEO, YES, Field, Format, ImageRule, Look, TextLimit, VideoRule

BASIC, PROFILE, STATS = "user.info.basic", "user.info.profile", "user.info.stats"
DIRECT, DRAFTS, LIST = "video.publish", "video.upload", "video.list"

SCOPES = {"": (
    Scope(BASIC, "See the account's name and picture"),
    Scope(PROFILE, "See the account's handle"),
    Scope(DIRECT, "Publish videos and photos directly"),
)}
FEATURES = (
    Feature("inbox", "Send to the TikTok inbox", "Sends drafts that the person finishes in the TikTok app.",
            (Scope(DRAFTS, "Send drafts to the person's TikTok inbox", "inbox"),)),
    Feature("analytics", "Analytics", "Show how posts did.",
            (Scope(LIST, "Read the account's public videos and their numbers", "analytics"),
             Scope(STATS, "Read how many follow the account", "analytics"))),
)
CONSEQUENCES = {
    BASIC: "without `user.info.basic` TikTok does not tell whose account it is, and connecting fails",
    DIRECT: "without `video.publish` nothing can be published directly, only sent to the TikTok inbox",
    PROFILE: "without `user.info.profile` published posts have no link, since TikTok does not tell the handle",
    DRAFTS: "without `video.upload` nothing can be sent to the TikTok inbox",
}
OPTIONS = (
    Option("pkce", "PKCE", "off for a Web app, s256_hex for a Desktop app."),
    Option("app_state", "State of the app", "sandbox, unaudited or audited."),
)
GUIDES = {"": Guide(
    "https://developers.tiktok.com",
    "An app with Login Kit and the Content Posting API. TikTok reviews it first, and audits it before posts may be "
    "public. Apps made only for one's own accounts are refused.",
    (
        Step("Make the app", "Sign up at developers.tiktok.com and create an organization. Then choose Manage apps, "
                             "Connect an app."),
        Step("Describe it", "App details: icon, a name without other networks' names, category, the addresses of your "
                            "terms and privacy pages, and the platform Web with the address of your site.",
             ("{TERMS}", "{PRIVACY}")),
        Step("Verify the addresses", "URL properties: verify the domain of the site by DNS, or this prefix by the file "
                                     "that TikTok gives you. TikTok fetches photos only from verified addresses.",
             ("{MEDIA}",)),
        Step("Add the products", "Products, Add: Login Kit and the Content Posting API with Direct Post switched on. "
                                 "Paste this as Web redirect URI inside Login Kit, exactly as it is: the field is only "
                                 "there.", ("{CALLBACK}",)),
        Step("Add the scopes", "Scopes, Add: exactly these. A scope shows up only after its product was added.",
             ("{SCOPES}",)),
        Step("Copy key and secret", "Credentials: copy Client key and Client secret. A key that begins with sb belongs "
                                    "to TikTok's sandbox: add Target users there and press Apply changes."),
        Step("Ask for the review", "App review: tell how each scope is used, add a demo video, then Submit. It takes "
                                   "days to two weeks, and nobody can connect before."),
        Step("Ask for the audit", "The Content Posting audit is a form of its own, with a video that shows every rule "
                                  "of the composer in order. It takes 2 to 6 weeks and several rounds."),
    ),
    "If the reviewer objects to the platform's name in the callback, use another segment under Advanced and register "
    "that address. Until the audit, five accounts a day can post, each of them has to be private, or posts go to the "
    "TikTok inbox. Know before you spend weeks that apps only for one's own accounts are refused.",
)}

# ---------------------------------------------------------------- what can be published

MOST_TEXT, MOST_TITLE = 2200, 90
MOST_SECONDS = 600.0
TEXT_LIMIT = TextLimit(MOST_TEXT, "characters")
_PHOTO_TEXT = TextLimit(4000, "characters")
_VIDEO = VideoRule(types=("video/mp4", "video/quicktime", "video/webm"), most_bytes=4 * 1024**3,
                   seconds=(3, MOST_SECONDS), least=(360, 360), most_side=4096, frame_rate=(23, 60))
_PHOTO = ImageRule(types=("image/jpeg", "image/webp"), most_bytes=20 * 1024 * 1024, fit=(1080, 1920))
_TAKES_TIME = "After publishing, it may take a few minutes until TikTok has processed it and shows it on the profile."
_TO_INBOX = "Goes to the TikTok inbox on the phone, where its person finishes it. Needs the TikTok app 31.8 or newer."

VIDEO_DIRECT, PHOTOS_DIRECT, VIDEO_INBOX, PHOTOS_INBOX = "video", "photos", "inbox_video", "inbox_photos"
FORMATS = (
    Format(VIDEO_DIRECT, "Video", (VIDEO,), 1, 1, video=_VIDEO, needs=(DIRECT,), note=_TAKES_TIME),
    Format(PHOTOS_DIRECT, "Photos", (IMAGE,), 1, 35, image=_PHOTO, text=_PHOTO_TEXT, needs=(DIRECT,), by_url=True,
           note=_TAKES_TIME),
    # The call for drafts takes no caption: it is written in the app.
    Format(VIDEO_INBOX, "Video to the TikTok inbox", (VIDEO,), 1, 1, video=_VIDEO, has_text=False, needs=(DRAFTS,),
           note=_TO_INBOX),
    Format(PHOTOS_INBOX, "Photos to the TikTok inbox", (IMAGE,), 1, 35, image=_PHOTO, text=_PHOTO_TEXT,
           needs=(DRAFTS,), by_url=True, note=_TO_INBOX),
)

# ---------------------------------------------------------------- what its author chooses

LEVELS = {"PUBLIC_TO_EVERYONE": "Everyone", "MUTUAL_FOLLOW_FRIENDS": "Friends", "FOLLOWER_OF_CREATOR": "Followers",
          "SELF_ONLY": "Only me"}
PUBLIC, ONLY_ME = "PUBLIC_TO_EVERYONE", "SELF_ONLY"
_POSTED, _ALL_PHOTOS = (VIDEO_DIRECT, PHOTOS_DIRECT), (PHOTOS_DIRECT, PHOTOS_INBOX)
MUSIC = "https://www.tiktok.com/legal/page/global/music-usage-confirmation/en"
BRANDED_POLICY = "https://www.tiktok.com/legal/page/global/bc-policy/en"

# The audit wants no choice made beforehand: no privacy level, and every box empty (guidelines, points 2 and 3).
FIELDS = (
    # No list of its own: only what TikTok offers to this account at this moment may be shown.
    Field("privacy_level", "Who can see this", "select", required=True, asked=True, formats=_POSTED),
    Field("allow_comment", "Allow comments", asked=True, formats=_POSTED),
    Field("allow_duet", "Allow duets", asked=True, formats=(VIDEO_DIRECT,)),
    Field("allow_stitch", "Allow stitches", asked=True, formats=(VIDEO_DIRECT,)),
    Field("title", "Title", "text", formats=_ALL_PHOTOS, help="90 characters at most. The text above is the "
                                                              "description."),
    Field("cover", "Cover photo", "text", formats=_ALL_PHOTOS, help="Its number; the first one if it stays empty."),
    Field("auto_add_music", "Let TikTok add music", formats=(PHOTOS_DIRECT,)),
    Field("video_cover_timestamp_ms", "Cover frame", "text", formats=(VIDEO_DIRECT,),
          help="Milliseconds from the start of the video."),
    Field("is_aigc", "Made with AI", formats=_POSTED, help="TikTok labels it as AI-generated."),
    Field("disclosure", "Disclose commercial content", formats=_POSTED,
          help="It promotes yourself, a brand, a product or a service."),
    Field("your_brand", "Your brand", formats=_POSTED, only_with=("disclosure", YES),
          help="It promotes yourself or your own business."),
    Field("branded_content", "Branded content", formats=_POSTED, only_with=("disclosure", YES),
          help="It promotes another brand or a third party, and cannot be for you alone. By posting, you also agree to "
               f"TikTok's Branded Content Policy: {BRANDED_POLICY}"),
    # `asked`, so that why nothing can be posted directly now stands at the very box that has to be ticked.
    Field("consent", "By posting, you agree to TikTok's Music Usage Confirmation", required=True, asked=True,
          formats=_POSTED, help=f"Music Usage Confirmation: {MUSIC} With branded content also the Branded Content "
                                f"Policy: {BRANDED_POLICY}"),
)
# Photos keep their shape, with empty bars around them.
LOOK = Look("common observation: one line of a photo post's title, about 90 characters of a caption", fold=90, lines=2,
            is_below=True, upright=(VIDEO_DIRECT, PHOTOS_DIRECT, VIDEO_INBOX, PHOTOS_INBOX), title="title")
LABELS = {"your_brand": "Promotional content", "branded_content": "Paid partnership"}

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "An access token holds for two hours, with older apps for a day, and the console renews it without you.",
    "The right to renew holds for 180 days, with older apps for 365; what TikTok says counts.",
    "Each renewal gives a new refresh token, and the old one is worth nothing from then on.",
)
