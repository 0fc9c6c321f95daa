"""What the errors mean that Facebook, Instagram and Threads share, after each one's own."""

from ..errors import ADMIN, AUTHOR, CONSOLE, TENANT
from .causes import CONNECTING, PLATFORM, Cause
from .refusals import PREPARE, PUBLISH, TOKEN

_PERMISSION = ("10", *(str(code) for code in range(200, 300)))
APPS = "https://developers.facebook.com/apps"
_PASSES = "Nothing has to be done. The console tries again by itself."

META_CAUSES = (
    Cause((), ADMIN, "The app secret in this console is not the one of the app.",
          "Press Show beside the app secret in the portal, copy it, and replace it under Configure.",
          text=("client secret", "app secret is wrong")),
    Cause((), TENANT, "The code that {name} gave was too old or used twice, as after Back or a reload.",
          "Press Connect again and finish it in one go.",
          text=("matching code was not found", "authorization code has", "invalid authorization code",
                "code from the platform was too old"), steps=CONNECTING),
    Cause(("101",), ADMIN, "{name} does not know this app id, or it belongs to another product of Meta.",
          "Compare the app id under Configure with the one in the portal."),
    Cause((), ADMIN, "The proof that the console sends with each call does not fit: the stored app secret is not the "
          "app's any more.", "Copy the app secret again from the portal.",
          text=("appsecret_proof", "stored app secret no longer fits")),
    Cause(("190/458",), TENANT, "The app was removed in the settings of the account.", "Reconnect the profile."),
    Cause(("190/459", "190/464"), TENANT, "{name} wants to check the account before any app may use it.",
          "Sign in at {name}, follow what it asks for, then reconnect."),
    Cause(("190/460",), TENANT, "The password was changed, which ends every connection of the account.",
          "Reconnect the profile."),
    Cause(("190/463",), TENANT, "What was allowed held for a limited time, and that time is over.",
          "Reconnect the profile."),
    Cause(("102", "190"), TENANT, "{name} no longer accepts this connection.", "Reconnect the profile."),
    Cause((), TENANT, "{name} no longer accepts this connection.", "Reconnect the profile.",
          text=("error validating access token", "no longer accepts this connection")),
    Cause(("3",), ADMIN, "The Meta app may not use this function.",
          "Add the use case that has it to the app, and the permission that goes with it."),
    Cause(_PERMISSION, ADMIN, "The permission works only for people of the app's team: the app lacks Advanced Access "
          "for it.", "Ask for Advanced Access under App Review, or add the person under App roles.",
          text=("advanced access", "not approved for people outside")),
    Cause(_PERMISSION, TENANT, "A permission that this needs was not given, or was taken back.",
          "Reconnect the profile and allow everything that is asked."),
    Cause(("4",), CONSOLE, "All profiles of this app together made more calls than Meta allows in an hour.",
          "Nothing has to be done. All posts of the app wait, and go out when Meta lets them through."),
    Cause(("17", "32", "613", "341", "80001", "80002", "usage"), CONSOLE, "This account made more calls than Meta "
          "allows.", "Nothing has to be done. Its posts go out when Meta lets them through."),
    Cause(("100/33",), AUTHOR, "What the post refers to does not exist at {name} any more, or this profile may not "
          "see it.", "Choose the media or the place anew and send the post again."),
    Cause(("1", "2", "transient"), CONSOLE, "Meta had a passing fault after the post was sent.",
          "The console looks whether the post is there. If it finds nothing, look at {name} and decide.",
          text=("did not confirm",)),
    Cause(("1", "2", "transient"), PLATFORM, "Meta has a passing fault.", _PASSES),
    Cause(("100",), AUTHOR, "{name} refused one value of the post.", "Change what {name} names, and send it again.",
          steps=(PREPARE, PUBLISH)),
    Cause(("100",), ADMIN, "{name} refused a setting of the app.",
          "Compare client ID, secret and callback under Configure with the portal.", steps=(TOKEN,)),
    Cause(("PLATFORM__INVALID_APP_ID",), ADMIN, "{name} does not know this app id.",
          "Compare the app id under Configure with the one in the portal."),
)
