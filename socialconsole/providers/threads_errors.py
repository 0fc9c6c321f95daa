"""What Threads' errors mean for people. developers.facebook.com/documentation/threads/troubleshooting."""

from ..errors import ADMIN, AUTHOR, CONSOLE, TENANT
from .causes import CONNECTING, CONSENT, FETCH, NEW_FILE, REDIRECT, WRITE_AGAIN, Cause
from .meta_errors import APPS, META_CAUSES
from .refusals import RENEW

_PREPARES = "Nothing has to be done. The console prepares the post again by itself."
_VIDEO = ("FAILED_PROCESSING_AUDIO", "FAILED_PROCESSING_VIDEO", "INVALID_ASPEC_RATIO", "INVALID_ASPECT_RATIO",
          "INVALID_BIT_RATE", "INVALID_DURATION", "INVALID_FRAME_RATE", "INVALID_AUDIO_CHANNELS",
          "INVALID_AUDIO_CHANNEL_LAYOUT")

CAUSES = (
    Cause(("1349168",), ADMIN, "The callback is missing among the addresses that the Threads use case knows.",
          "Copy it into Use cases, Threads, Settings. All three addresses there have to be filled.", page=APPS,
          shows="error_code 1349168, or URL Blocked"),
    Cause((), ADMIN, "The callback is missing among the addresses that the Threads use case knows.",
          "Copy it into Use cases, Threads, Settings. All three addresses there have to be filled.",
          text=("url blocked",), steps=(CONSENT,), page=APPS),
    Cause(("4476002",), ADMIN, "This is not the id of a Threads app: the app has two pairs of id and secret.",
          "Copy the Threads app ID and the Threads app secret.", page=APPS,
          shows="error_code 4476002, No app ID was provided"),
    Cause((), ADMIN, "This is not the id of a Threads app: the app has two pairs of id and secret.",
          "Copy the Threads app ID and the Threads app secret.", text=("no app id was provided",), steps=CONNECTING),
    Cause(("1",), ADMIN, "Either the id is wrong, or the profile is not an accepted Threads Tester.",
          "Compare the Threads app ID. Then look whether the profile accepted its invitation as Threads Tester.",
          text=("unknown error", "not an accepted threads tester"), steps=(*CONNECTING, REDIRECT), page=APPS,
          shows="error_code 1, An unknown error has occurred"),
    Cause((), ADMIN, "The console asks for a scope that the app does not have, or leaves threads_basic out.",
          "Compare the scopes under Configure with the permissions of the use case.",
          text=("invalid scope", "scope must contain"), steps=(CONSENT,), page=APPS,
          shows="Invalid scopes, or scope must contain threads_basic"),
    Cause((), CONSOLE, "A token can be renewed a day after it was given, and this one is younger.",
          "Nothing has to be done. The console renews it tomorrow.",
          text=("too early to renew", "24 hours", "too young", "too early", "not old enough", "too new", "24h"),
          steps=(RENEW,)),
    Cause(("4279013",), TENANT, "Threads has restricted this profile.",
          "Open the Threads app, follow its steps, then reconnect."),
    Cause((), ADMIN, "Meta has blocked this app or this profile for the Threads API.",
          "Look for a notice of Meta in the portal, and at the profile in the Threads app.",
          text=("api access blocked", "has blocked this app or profile")),
    Cause(("2207051",), AUTHOR, "Threads takes the post for spam.", "Change the post and wait a day."),
    Cause((), AUTHOR, "Threads takes the post for spam.", "Change the post and wait a day.",
          text=("restrict certain activity", "took this for spam")),
    Cause(("4279009",), CONSOLE, "Threads is still preparing the post.",
          "Nothing has to be done. The console publishes it as soon as it is ready."),
    Cause(("no_container", "EXPIRED"), CONSOLE, "What was prepared at Threads is not there any more.", _PREPARES),
    Cause(("2207052", "no_public_address", "FAILED_DOWNLOADING*"), ADMIN,
          "Threads cannot open the media address of this console.", FETCH),
    Cause((), ADMIN, "Threads cannot open the media address of this console.", FETCH,
          text=("cannot open our media address", "could not be fetched from this uri")),
    Cause((), AUTHOR, "The text is longer than Threads takes: 500 characters, where an emoji counts several.",
          "Shorten the text.", text=("at most 500 characters", "too long for threads")),
    Cause((), AUTHOR, "The post has more than five different links.", "Take some of the links out.",
          text=("link_limit_exceeded", "five different links")),
    Cause(_VIDEO, AUTHOR, "Threads cannot use this video.", NEW_FILE),
    Cause(("never_ready", "ERROR", "UNKNOWN"), AUTHOR, "Threads could not process the media.", NEW_FILE),
    Cause(("no_post",), AUTHOR, "Threads did not tell the number of the post before, so nothing can stand under it.",
          WRITE_AGAIN),
    Cause((), CONSOLE, "The posts that Threads allows a profile in 24 hours are used up.",
          "Nothing has to be done. The console goes on when the oldest of them is 24 hours old.",
          text=("publishing limit", "posting limit", "post limit", "publishing quota", "24 hours are used up")),
    *META_CAUSES,
)
