"""What Facebook's errors mean for people. developers.facebook.com/docs/graph-api/guides/error-handling."""

from ..errors import ADMIN, AUTHOR, CONSOLE, TENANT
from .causes import CONSENT, FETCH, NEW_FILE, PLATFORM, WRITE_AGAIN, Cause
from .meta_errors import APPS, META_CAUSES

_ROLES = "https://www.facebook.com/pages/?category=your_pages"
_ACCOUNT = "https://www.facebook.com/accountquality/"

# What the login dialog shows on a page of its own; Instagram through a Page uses the same dialog.
DIALOG = (
    Cause(("1349168",), ADMIN, "The callback of this console is not among the addresses that the app knows.",
          "Copy the callback from Configure into Valid OAuth Redirect URIs, character by character.",
          text=("url blocked", "redirect uri is not whitelisted", "can't load url"), steps=(CONSENT,), page=APPS,
          shows="URL Blocked"),
    Cause((), ADMIN, "The callback of this console is not among the addresses that the app knows.",
          "Copy the callback from Configure into Valid OAuth Redirect URIs, character by character.",
          text=("url blocked", "redirect uri is not whitelisted", "can't load url"), steps=(CONSENT,), page=APPS),
    Cause((), ADMIN, "The app is open only to people of its team.",
          "Switch the app to Live and ask for Advanced Access, or add the person under App roles.",
          text=("feature unavailable", "feature isn't available"), steps=(CONSENT,), page=APPS,
          shows="Feature unavailable: Facebook Login is currently unavailable for this app"),
    Cause((), ADMIN, "The app id is not one that Facebook knows, or the app was deleted.",
          "Compare the app id under Configure with the one in the portal.",
          text=("invalid app id", "the provided app id does not look like"), steps=(CONSENT,), page=APPS,
          shows="Invalid App ID"),
    Cause((), ADMIN, "The app is in development, and whoever signs in is not in its team.",
          "Add the person under App roles, and have the invitation accepted.",
          text=("app not active", "app not accessible"), steps=(CONSENT,), page=APPS, shows="App not active"),
)
CAUSES = (
    *DIALOG,
    Cause((), ADMIN, "The callback of this console is not among the addresses that the app knows.",
          "Copy the callback from Configure into Valid OAuth Redirect URIs, character by character.",
          text=("url blocked", "redirect uri is not whitelisted", "does not know our callback", "redirect_uri")),
    Cause((), ADMIN, "The console asks for a permission that the app does not have.",
          "Add the permission in the use case, or take it out of the scopes under Configure.",
          text=("invalid scopes", "does not have a permission we ask for")),
    Cause(("no_page",), TENANT, "Facebook gave no Page: none was ticked, or the person has no role on one.",
          "Connect again, tick at least one Page, and check that you have a role on it.", page=_ROLES),
    Cause((), TENANT, "The key that is stored belongs to a person and not to the Page.", "Reconnect the Page.",
          text=("posted to a page as the page itself", "not the page's own")),
    Cause(("190/492",), TENANT, "The person who connected the Page lost the role on it.",
          "Have somebody with content access connect the Page.", page=_ROLES),
    Cause(("368/1390008",), CONSOLE, "The Page posts faster than Facebook finds natural.",
          "Nothing has to be done. The console waits six hours and goes on. Spread the posts of this Page more."),
    Cause(("368/4854002",), TENANT, "Facebook wants to know who stands behind the account.",
          "Confirm your identity in the Facebook app, then reconnect.", page=_ACCOUNT),
    Cause(("1404082", "506", "1366051"), AUTHOR, "The Page has published the same post already.",
          "Change the text or the photos, or leave it as it is."),
    Cause(("1346003", "1404102"), AUTHOR, "Facebook finds that the content breaks its Community Standards.",
          WRITE_AGAIN, page="https://transparency.meta.com/policies/community-standards/"),
    Cause(("1404078",), TENANT, "Pages with many readers need Page Publishing Authorization, and yours lacks it.",
          "Open the Page at Facebook and finish the authorization.", page=_ROLES),
    Cause(("1404006", "1404112"), TENANT, "Facebook has limited the account for some time.",
          "Sign in at Facebook and follow its steps, then reconnect.", page=_ACCOUNT),
    Cause(("1366046",), AUTHOR, "The photo is too large, or neither JPEG nor PNG.", NEW_FILE),
    Cause(("1609005", "1609008", "2061006"), AUTHOR, "Facebook cannot open the link, or does not allow it in posts.",
          "Check that the link opens without signing in and does not lead to facebook.com."),
    Cause(("1363047", "1609010", "6001"), PLATFORM, "Facebook was away for a moment, or the upload broke off.",
          "Nothing has to be done. The console tries again by itself."),
    Cause(("389",), ADMIN, "Facebook could not fetch the video from the address of this console.", FETCH),
    Cause(("2069019", "6000", "382", "upload_failed"), AUTHOR, "Facebook cannot use the video file.", NEW_FILE),
    Cause((), AUTHOR, "Facebook cannot use the video file.", NEW_FILE, text=("cannot use this video",)),
    *META_CAUSES,
)
