"""LinkedIn's facts for the paste doctor: two kinds of app that exclude each other, and their scopes.

Vendor pages: learn.microsoft.com/linkedin/marketing/community-management/community-management-app-review (the only
product of its app), …/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2 (OpenID Connect).
"""

from .linkedin_portal import MEMBER, ORGANIZATION
from .paste_facts import BOTH, CLIENT_ID, CLIENT_SECRET, Approval, CallbackRule, Clash, Kind, PasteFacts, Usual

CALLBACK = CallbackRule(
    "LinkedIn compares character by character, and ignores only what stands behind a question mark.",
    http_note="LinkedIn takes only https.", ignores_query=True,
    note="Each LinkedIn app has a list of its own: register the callback on the very app whose Client ID stands here.")

_ORGANIZATION = "(r|w|rw)_organization_.*|r_basicprofile"
_SIGN_IN = "openid|profile|email"

PASTE = PasteFacts(
    CALLBACK, Usual(r"[0-9a-z]{12,14}", "14 small letters and digits"),
    Usual(r"WPL_AP\d+\.[\w.+/=-]+|[A-Za-z0-9]{16}", "WPL_AP1. and more behind it, or 16 letters and digits"),
    (
        Kind("the number from the address of the app's page", r"\d{6,11}", "Paste the Client ID from the Auth tab.",
             (CLIENT_ID,)),
        Kind("a client secret of LinkedIn's", r"WPL_AP\d+\..+", "Paste the Client ID from the Auth tab.",
             (CLIENT_ID,), distinct=True),
        Kind("an access token of LinkedIn's", r"AQ[A-Z][\w-]{60,}",
             "Tokens come about by connecting an account. Paste the {field} from the Auth tab.", BOTH, True, True),
        Kind("a URN", r"urn:li:.+", "Paste the {field} from the Auth tab.", BOTH, True, True),
        Kind("a Client ID", r"(77|78|86)[0-9a-z]{12}", "Paste the Primary Client Secret from the Auth tab.",
             (CLIENT_SECRET,)),
    ),
    clashes=(
        Clash("Scopes of two kinds of LinkedIn app are asked for together.",
              "openid, profile and email come from Sign In with LinkedIn; the organization scopes come from Community "
              "Management, which must be the only product of its app, even of those that are only asked for.",
              "Keep the scopes of the chosen kind of use. For the other kind add a second app here, with a LinkedIn "
              "app of its own. Only an app with the Advertising API may hold both.",
              scopes=_SIGN_IN, beside="(r|w|rw)_organization_.*"),
        Clash("Scopes for Pages are asked for by an app that posts as a person.",
              "They come from Community Management, which cannot share an app with Sign In with LinkedIn or Share on "
              "LinkedIn.", "Choose “Posting as a Page” with the Client ID of the Page app, or take them out.",
              modes=(MEMBER,), scopes="(r|w|rw)_organization_.*", without=_SIGN_IN),
        Clash("Sign In with LinkedIn is asked for by an app that posts as a Page.",
              "The Page app holds nothing but Community Management, so LinkedIn refuses openid, profile and email, and "
              "nobody can connect.", "Take them out; the name of who connects comes by r_basicprofile.",
              modes=(ORGANIZATION,), scopes=_SIGN_IN, without="(r|w|rw)_organization_.*"),
        Clash("r_liteprofile and r_emailaddress are the old sign-in.",
              "LinkedIn gives them to no new app since August 2023, and an app has either them or OpenID Connect.",
              "Ask for openid, profile and email instead, and add Sign In with LinkedIn using OpenID Connect.",
              modes=(MEMBER,), scopes="r_liteprofile|r_emailaddress"),
        Clash("r_liteprofile and r_emailaddress are the old sign-in.",
              "The Page app holds Community Management only and does not have them.",
              "Ask for r_basicprofile instead.", modes=(ORGANIZATION,), scopes="r_liteprofile|r_emailaddress"),
        Clash("w_share is an old name.", "LinkedIn ended it in 2019.", "Ask for w_member_social.", scopes="w_share"),
        Clash("r_basicprofile is not in every app.",
              "It belongs to Community Management and to a few old apps. LinkedIn refuses the whole consent when the "
              "Auth tab does not list it.", "Compare with the Auth tab before you save.", modes=(MEMBER,),
              scopes="r_basicprofile", without="(r|w|rw)_organization_.*", is_hint=True),
    ),
    approvals=(
        Approval("openid|profile|email",
                 "the product Sign In with LinkedIn using OpenID Connect, which is given at once", (MEMBER,)),
        Approval("w_member_social", "the product Share on LinkedIn, which is given at once", (MEMBER,)),
        Approval(f"{_ORGANIZATION}|w_member_social",
                 "the product Community Management API on an app of its own, which LinkedIn has to approve",
                 (ORGANIZATION,)),
        Approval(".*", "that the Auth tab of the app lists it; otherwise LinkedIn refuses the whole consent"),
    ),
)
