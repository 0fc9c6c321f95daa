"""What Threads' refusals mean, row by row; those that all of Meta has in common come after its own.

Vendor page: developers.facebook.com/documentation/threads/troubleshooting. Three envelopes carry them: Graph's, one of
the code exchange and one of the consent page (see `Threads.parse`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from ..errors import SUSPENDED, PlatformError
from .meta import META_REFUSALS
from .refusals import (
    DELETE,
    PREPARE,
    PUBLISH,
    READ,
    RENEW,
    TOKEN,
    Answer,
    Factory,
    Refusal,
    later,
    limited,
    missing,
    reconnect,
    rejected,
    wrong,
)
from .threads_portal import DELETE_POSTS

_MEDIA = (PREPARE, PUBLISH)
_PERMISSION = ("10", *(str(code) for code in range(200, 300)))

NOT_READY = "24/4279009"  # published too early, or the container is gone
GONE = ("100/33", NOT_READY)

CANNOT_OPEN = "Threads cannot open our media address. Allow its fetcher in the proxy."
GREW_OLD = "The prepared post grew too old. We prepare it again."
PREPARING = "Threads is still preparing the post."
_SPAM = "Threads took this for spam. Change the post and wait a day."
NO_SENSE = "Threads could not process the media. Check the format and try again."
NOT_A_TESTER = "Either the id is wrong or the profile is not an accepted Threads Tester."

# `error_message` of a container that failed: what is wrong with the video, in words. The page spells one of them with a
# letter missing (developers.facebook.com/documentation/threads/troubleshooting), so both spellings are known.
FAULTS: Mapping[str, str] = {
    "FAILED_PROCESSING_AUDIO": "its sound could not be processed",
    "FAILED_PROCESSING_VIDEO": "its picture could not be processed",
    "INVALID_ASPEC_RATIO": "the aspect ratio",
    "INVALID_ASPECT_RATIO": "the aspect ratio",
    "INVALID_BIT_RATE": "the bit rate",
    "INVALID_DURATION": "the duration",
    "INVALID_FRAME_RATE": "the frame rate",
    "INVALID_AUDIO_CHANNELS": "the number of audio channels",
    "INVALID_AUDIO_CHANNEL_LAYOUT": "the layout of the audio channels",
}
CANNOT_FETCH = "FAILED_DOWNLOADING"  # the beginning of it


def _lacks(scope: str) -> Factory:
    """A permission is missing: the one that Threads names, else this one."""
    def error(answer: Answer) -> PlatformError:
        return missing("This needs {scope}, which was not granted. Reconnect grants it.")(
            replace(answer, needs=(scope,)))
    return error


_OWN = (
    Refusal(wrong("The callback is missing in Use cases → Threads → Settings; all three addresses there must be "
                  "filled.", field_name="redirect_uri"), code=("1349168",)),
    Refusal(wrong("This is not a Threads app ID. The app has two pairs; take the Threads one.", field_name="client_id"),
            code=("4476002",)),
    # The code exchange has an envelope whose code is the HTTP status, so the words decide.
    Refusal(wrong("The app secret is wrong. Paste it again from the portal.", field_name="client_secret"),
            text=("client secret",), steps=(TOKEN, RENEW)),
    # No page gives the words for a token that is too young, so several are known.
    Refusal(later("Too early to renew. We do it tomorrow."), steps=(RENEW,),
            text=("24 hours", "24h", "too early", "too young", "too new", "not old enough")),
    Refusal(reconnect("Threads has restricted this profile. Open the app and follow its steps.", SUSPENDED),
            either=("4279013",)),
    Refusal(wrong("Meta has blocked this app or profile for the Threads API."), code=("200",),
            text=("api access blocked",)),
    Refusal(rejected(_SPAM, quiet=timedelta(days=1)), subcode=("2207051",), steps=_MEDIA),
    Refusal(rejected(_SPAM, quiet=timedelta(days=1)), text=("restrict certain activity",), steps=_MEDIA),
    Refusal(later(PREPARING), subcode=("4279009",), steps=(*_MEDIA, READ)),
    Refusal(later(CANNOT_OPEN), subcode=("2207052",), steps=(PREPARE,)),
    Refusal(later(CANNOT_OPEN), text=("could not be fetched from this uri",), steps=(PREPARE,)),
    Refusal(rejected("Too long for Threads: 500, and an emoji counts several."), code=("100",),
            text=("at most 500 characters",), steps=_MEDIA),
    Refusal(rejected("At most five different links per post.", "link"), text=("link_limit_exceeded",), steps=_MEDIA),
    # No page gives the words of the refusal after the day's last post.
    Refusal(limited("250 posts in 24 hours are used up. We continue at {t}.", timedelta(hours=1)),
            text=("publishing limit", "posting limit", "post limit", "publishing quota"), steps=(PUBLISH,)),
)

REFUSALS = (
    *_OWN,
    Refusal(wrong("{scope} is not approved for people outside the app's team."), code=_PERMISSION,
            text=("advanced access",)),
    Refusal(_lacks(DELETE_POSTS), code=_PERMISSION, steps=(DELETE,)),
    *META_REFUSALS,
    Refusal(reconnect("The platform no longer accepts this connection. Connect again."),
            text=("error validating access token",)),
)
