"""Facebook's own ways to say no, before those that all of Meta's platforms share.

Vendor page: developers.facebook.com/docs/graph-api/guides/error-handling.
"""

from datetime import timedelta

from ..errors import PERMISSION_MISSING, SUSPENDED
from .meta import META_REFUSALS
from .refusals import PREPARE, PUBLISH, TOKEN, Refusal, later, limited, missing, reconnect, rejected, wrong

NOT_FETCHED = "Facebook could not fetch the video from our address."

REFUSALS = (
    # The code is bound to the callback it was asked for with.
    Refusal(wrong("Facebook does not know our callback. Copy it into Valid OAuth Redirect URIs, character by "
                  "character.", field_name="redirect_uri"), text=("redirect_uri",), steps=(TOKEN,)),
    Refusal(reconnect("The stored key is not the Page's own. Connect the Page again.", PERMISSION_MISSING),
            code=("200",), text=("posted to a page as the page itself",), steps=(PREPARE, PUBLISH)),
    Refusal(reconnect("Your role on this Page was removed. Someone with access has to connect it.",
                      PERMISSION_MISSING), code=("190",), subcode=("492",)),
    Refusal(limited("Facebook finds this Page is posting too fast. We wait until {t}.", timedelta(hours=6)),
            code=("368",), subcode=("1390008",)),
    Refusal(reconnect("Facebook asks you to confirm your identity in its app first.", SUSPENDED), code=("368",),
            subcode=("4854002",)),
    Refusal(rejected("Facebook already has this post. Change the text or the photos."),
            either=("1404082", "506", "1366051")),
    Refusal(rejected("Facebook refused the content under its Community Standards."), either=("1346003", "1404102")),
    Refusal(missing("Facebook wants Page Publishing Authorization from you before this Page may publish.", step=True),
            either=("1404078",)),
    Refusal(reconnect("Facebook has limited this account for now. Sign in there and follow its steps.", SUSPENDED),
            either=("1404006", "1404112")),
    Refusal(rejected("The photo is too large or not a JPEG or PNG.", "image"), either=("1366046",)),
    Refusal(rejected("Facebook cannot use this link. Check that it opens without login and is not a facebook.com "
                     "address.", "link"), either=("1609005", "1609008", "2061006")),
    Refusal(later("Facebook is not available for a moment, or the upload broke off. We try again."),
            either=("1363047", "1609010", "6001"), steps=(PREPARE, PUBLISH)),
    Refusal(later(NOT_FETCHED), code=("389",), steps=(PREPARE,)),
    Refusal(rejected("Facebook cannot use this video file: {detail}", "video"), either=("2069019", "6000", "382"),
            steps=(PREPARE, PUBLISH)),
    *META_REFUSALS,
)
