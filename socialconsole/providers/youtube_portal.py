"""YouTube's facts for Configure and for the composer: Google's portal, scopes, and the choices a video carries."""

from .base import Feature, Guide, Option, Scope, Step
from .content import IMAGE, VIDEO, YES, Field, Format, Look, TextLimit, VideoRule

PREFIX = "https://www.googleapis.com/auth/"
UPLOAD, READONLY, MANAGE = f"{PREFIX}youtube.upload", f"{PREFIX}youtube.readonly", f"{PREFIX}youtube.force-ssl"
REPORTS = f"{PREFIX}yt-analytics.readonly"
# Each of these lets `channels.list` read the channel (discovery document, youtube v3).
READS_CHANNEL = frozenset({READONLY, MANAGE, f"{PREFIX}youtube"})

SCOPES = {"": (
    Scope(UPLOAD, "Upload videos"),
    Scope(READONLY, "See the channel's name and picture"),
    Scope("openid", "Know which connections belong to the same Google account"),
)}
FEATURES = (
    Feature("analytics", "Analytics", "Show how videos did.", (Scope(REPORTS, "Read the channel's reports",
                                                                     "analytics"),)),
    Feature("comments", "Comments and deleting", "Answer comments, change and delete videos.",
            (Scope(MANAGE, "Manage comments and videos", "comments"),)),
)
CONSEQUENCES = {
    UPLOAD: "without `youtube.upload` nothing can be published",
    READONLY: "without `youtube.readonly` Google does not tell which channel was chosen, and connecting fails",
    "openid": "without `openid` nobody can tell which channels share a permission, so disconnecting revokes nothing",
    MANAGE: "without `youtube.force-ssl` videos cannot be deleted from here",
}
OPTIONS = (Option("consent_status", "Consent status",
                  "testing or production. In Testing every connection ends after 7 days."),)

GUIDES = {"": Guide(
    "https://console.cloud.google.com",
    "A Google Cloud project with the YouTube Data API. No review for up to 100 people, who click through a warning.",
    (
        Step("Make a project", "Sign in at console.cloud.google.com and make a project: one for tests, another one for "
                               "production."),
        Step("Enable the API", "APIs & Services, Library: enable YouTube Data API v3, and YouTube Analytics API for "
                               "statistics. Forgetting this shows only at the first call, after a perfect sign-in."),
        Step("Describe the app", "Google Auth Platform, Branding: name, mail, home page, the address of your privacy "
                                 "page, and the authorized domain.", ("{PRIVACY}",)),
        Step("Publish it", "Audience: choose External, then Publish app. While it stays in Testing, only listed test "
                           "users can connect and every connection ends after 7 days."),
        Step("Name the scopes", "Data Access: add these scopes.", ("{SCOPES}",)),
        Step("Register the callback", "Clients, Create client, Web application: paste this under Authorized redirect "
                                      "URIs. It may take hours to work.", ("{CALLBACK}",)),
        Step("Copy id and secret", "Copy Client ID and Client secret at once: the secret is not shown again."),
        Step("Later, if you grow", "Verification Center removes the warning page, which is needed above 100 people. A "
                                   "quota form raises the 100 uploads a day."),
    ),
    "Verification takes about 3 to 5 working days: a verified domain, a reason for each scope, a video in English. "
    "Since November 2026 no audit is needed for public videos. Ask people to tick all boxes and to sign in as owner or "
    "brand manager of the channel.",
)}

# ---------------------------------------------------------------- what a video carries

TEXT_LIMIT = TextLimit(5000, "bytes")
SHORT_SECONDS = 180.0  # since 15 Oct 2024 (support.google.com/youtube/answer/15424877)
_RULE = VideoRule(types=("video/mp4", "video/quicktime", "video/webm", "video/mp2t"),
                  most_bytes=256 * 1024**3, seconds=(0, 12 * 3600))
FORMATS = (
    Format("video", "Video", (VIDEO,), 1, 1, video=_RULE,
           note="YouTube shows a square or upright video of up to 3 minutes as a Short by itself."),
    Format("short", "Short", (VIDEO,), 1, 1, video=_RULE,
           note="The same upload: YouTube makes a Short of it by its shape and length."),
)

# The assignable ones of videoCategories.list, which are the same in nearly every region.
_CATEGORIES = (
    ("1", "Film & Animation"), ("2", "Autos & Vehicles"), ("10", "Music"), ("15", "Pets & Animals"), ("17", "Sports"),
    ("19", "Travel & Events"), ("20", "Gaming"), ("22", "People & Blogs"), ("23", "Comedy"), ("24", "Entertainment"),
    ("25", "News & Politics"), ("26", "Howto & Style"), ("27", "Education"), ("28", "Science & Technology"),
    ("29", "Nonprofits & Activism"))
PRIVACY = {"public": "Public", "unlisted": "Unlisted", "private": "Private"}
# Selects and not boxes where the usual answer is yes: a box that is not ticked cannot be told from one never shown.
FIELDS = (
    Field("title", "Title", "text", required=True, most=100),
    Field("privacy", "Visibility", "select", tuple(PRIVACY.items()), required=True),
    Field("made_for_kids", "Made for kids", "select", ((YES, "Yes, it is made for kids"), ("no", "No, it is not")),
          required=True, help="The law asks for this choice (COPPA)."),
    Field("synthetic", "Altered or synthetic content", "select",
          ((YES, "Yes, it looks real and is altered or made by AI"), ("no", "No")), required=True,
          help="YouTube wants to know whether something that looks real is not."),
    Field("tags", "Tags", "text", help="Separated by commas, 500 characters together."),
    Field("category", "Category", "select", _CATEGORIES, default="22"),
    Field("thumbnail", "Thumbnail", "file", takes=(IMAGE,),
          help="JPEG or PNG up to 50 MB. The channel must be verified at youtube.com/verify."),
    Field("notify_subscribers", "Notify subscribers", "select", ((YES, "Yes"), ("no", "No")), default=YES),
    Field("publish_at", "YouTube publishes it at", "time", only_with=("privacy", "private"),
          help="Only for private videos: YouTube itself makes it public then. Usually the console schedules."),
    Field("license", "License", "select", (("youtube", "Standard YouTube license"),
                                           ("creativeCommon", "Creative Commons")), default="youtube"),
    Field("embeddable", "May be embedded elsewhere", "select", ((YES, "Yes"), ("no", "No")), default=YES),
)
LOOK = Look("common observation: about 70 characters of a title and 157 of a description in lists and search", fold=157,
            is_below=True, video=(16 / 9, 16 / 9), upright=("short",), title="title", title_fold=70)

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "An access token holds for an hour, and the console renews it five to ten minutes before the end, without"
    " you.",
    "The right to renew has no end date, unless it is unused for six months or taken back.",
    "While the Google app is in Testing, every connection ends after seven days. Publishing the app under "
    "Audience ends that.",
    "An organization's administrator can end it at any time.",
)
