"""LinkedIn's facts for Configure: two kinds of app with their guides, scopes and features."""

import re
from datetime import date

from ..errors import ConfigurationWrong
from .base import ApiVersion, Feature, Guide, Mode, Scope, Step
from .refusals import redact

MEMBER, ORGANIZATION = "member", "organization"

MODES = (
    Mode(MEMBER, "Posting as a person", "An app with Sign In with LinkedIn and Share on LinkedIn, open to everyone."),
    Mode(ORGANIZATION, "Posting as a Page",
         "A second app that holds nothing but Community Management; LinkedIn has to approve it."),
)

# learn.microsoft.com/linkedin/marketing/versioning: each version lives at least a year and ends on a published day.
API_VERSION = ApiVersion(
    "API version", "202607", r"20\d{2}(0[1-9]|1[0-2])",
    {"202601": date(2027, 1, 15), "202602": date(2027, 2, 15), "202603": date(2027, 3, 16),
     "202604": date(2027, 4, 15), "202605": date(2027, 5, 15), "202606": date(2027, 6, 15),
     "202607": date(2027, 7, 15)},
    "Year and month. LinkedIn switches a version off about a year later; then no post goes out.",
    "https://learn.microsoft.com/linkedin/marketing/versioning")

SCOPES = {
    MEMBER: (
        Scope("openid", "Know who connects"),
        Scope("profile", "See the member's name and picture"),
        Scope("email", "Comes with the sign-in; not used"),
        Scope("w_member_social", "Publish and delete posts in the member's name"),
    ),
    ORGANIZATION: (
        Scope("r_basicprofile", "See the name of the person who connects"),
        Scope("rw_organization_admin", "List the Pages a person may post for"),
        Scope("w_organization_social", "Publish and delete posts in a Page's name"),
        Scope("r_organization_social", "Read a Page's own posts"),
    ),
}

FEATURES = (
    Feature("comments", "Comments", "Comment in the member's name. Only if the Auth tab lists the scope.",
            (Scope("w_member_social_feed", "Write comments", "comments"),), modes=(MEMBER,)),
    Feature("page_comments", "Comments", "Read and write comments. Only if the Auth tab lists the scopes.",
            (Scope("w_organization_social_feed", "Write comments", "page_comments"),
             Scope("r_organization_social_feed", "Read comments", "page_comments")), modes=(ORGANIZATION,)),
    Feature("also_member", "Post as the person too", "The same connection may post in the person's own name.",
            (Scope("w_member_social", "Publish in the person's name", "also_member"),), modes=(ORGANIZATION,)),
)

CONSEQUENCES = {
    "w_member_social": "without `w_member_social` nothing can be published",
    "openid": "without `openid` LinkedIn tells who connected only to apps that hold `r_basicprofile`",
    "profile": "without `profile` the member's name and picture are missing",
    "w_organization_social": "without `w_organization_social` nothing can be published",
    "rw_organization_admin": "without `rw_organization_admin` LinkedIn lists no Page, and connecting fails",
    "r_basicprofile": "without `r_basicprofile` LinkedIn does not tell who connects, and connecting fails",
}


def scope_refused(description: str) -> ConfigurationWrong:
    """The error for a scope that the app does not own, as LinkedIn's callback describes it."""
    named = re.search(r"[\"']?([a-z][a-zA-Z_]{2,60})[\"']? is not authorized", redact(description))
    scope = named.group(1) if named else "a scope we ask for"
    return ConfigurationWrong(
        f"The LinkedIn app does not own {scope}. Add the product, or choose the preset that fits its Auth tab.",
        "unauthorized_scope_error", field="scope_override")


_APPS = "https://www.linkedin.com/developers/apps"

GUIDES = {
    MEMBER: Guide(
        _APPS, "Self-service: both products are given at once.",
        (
            Step("Create the app", "Create app: a name without LinkedIn in it, a company Page, a logo, the address of "
                                   "your privacy page, the legal agreement."),
            Step("Verify it", "Settings, Verify: generate the link. A super admin of that Page opens it within 30 "
                              "days."),
            Step("Add the products", "Products: Sign In with LinkedIn using OpenID Connect, and Share on LinkedIn. Do "
                                     "not ask for Community Management here."),
            Step("Register the callback", "Auth, OAuth 2.0 settings: paste this into Authorized redirect URLs.",
                 ("{CALLBACK}",)),
            Step("Copy id and secret", "Auth: copy the Client ID and the Primary Client Secret. The tab must list "
                                       "these scopes.", ("{SCOPES}",)),
        ),
        "Members reconnect every 60 days by one click; reminders go out before."),
    ORGANIZATION: Guide(
        _APPS, "A second app, approved by LinkedIn. A registered company is required.",
        (
            Step("Create a fresh app", "As for posting as a person, with a name of its own, and verify it."),
            Step("Ask for one product", "Products: Community Management API and nothing else. Any other product, even "
                                        "a pending one, closes this way for good."),
            Step("Fill the access form", "Legal entity, a verified mail on the company's domain, address, website, "
                                         "privacy page, use case Page management."),
            Step("Wait for the Development tier", "It allows 500 calls a day for the app and 100 for a member."),
            Step("Register the callback", "Auth: paste this into Authorized redirect URLs of this app too.",
                 ("{CALLBACK}",)),
            Step("Copy id and secret", "Auth: copy both. Ask for exactly the scopes that the tab lists; consent fails "
                                       "on any other.", ("{SCOPES}",)),
            Step("Check the role", "Whoever connects a Page needs an approved role there: admin or content admin."),
            Step("Apply for the Standard tier", "Within 12 months: film the login, a post and comments, and give test "
                                                "access."),
        ),
        "Keep the scopes stable: another set ends the members' tokens. A refusal cannot be repeated on the same app."),
}

# How long what a person allowed holds, and what renews it.
LIFETIMES = (
    "What you allow holds for 60 days. LinkedIn lets only you renew it, with one click while you are signed "
    "in there; the console reminds you before.",
    "Apps that LinkedIn approved for it renew by themselves, for 365 days from the first consent at most.",
    "An app that asks the same member for other permissions ends the earlier connection.",
)
