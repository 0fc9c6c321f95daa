"""What Instagram's refusals mean, row by row.

Vendor page: developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/error-codes. Containers that
fail name the same subcodes in their status text, without a code: so most rows look at the subcode alone.
"""

from datetime import timedelta

from ..errors import PERMISSION_MISSING, SUSPENDED, TENANT, ContentRejected, NeedsReconnect, PlatformError
from .meta import META_REFUSALS
from .refusals import (
    DELETE,
    PREPARE,
    PUBLISH,
    READ,
    RENEW,
    TOKEN,
    Answer,
    Refusal,
    attempt_failed,
    later,
    limited,
    reconnect,
    rejected,
    unconfirmed,
    wrong,
)

_MEDIA = (PREPARE, PUBLISH)

TOO_SLOW = ("2207003", "2207077")
TOO_OLD = ("2207020",)
NOT_TAKEN = ("2207001", "2207032", "2207053", "2207082")
NOT_FOUND, NOT_THERE_YET, NOT_READY = "2207006", "2207008", "2207027"
CANNOT_FETCH = "2207052"
USED_UP = "2207042"

ENDED = "Instagram ended this connection. Connect again, and wait a day before posting often."
GREW_OLD = "The prepared post grew too old. We prepare it again."
COULD_NOT_TAKE = "Instagram could not take the media. We try again."
CANNOT_OPEN = "Instagram cannot open our media address. It must be public, without login or bot protection."
NOT_FROM_HERE = "Instagram does not let us delete it. Delete it in the app."


def _renewal_refused(answer: Answer) -> PlatformError:
    return NeedsReconnect(ENDED, answer.code)


def _not_from_here(answer: Answer) -> PlatformError:
    return ContentRejected(NOT_FROM_HERE, answer.code, TENANT, field="delete")


_TOKENS = (
    Refusal(wrong("This is a Meta App ID, or the app lacks the Instagram-login setup. Use the Instagram app ID.",
                  field_name="client_id"), text=("invalid platform app",)),
    Refusal(wrong("Instagram does not know this app id. Paste the Instagram app ID, digits only.",
                  field_name="client_id"), text=("this page isn't available", "this page isn’t available")),
    Refusal(wrong("The callback is missing in Business login settings, or a slash was added there.",
                  field_name="redirect_uri"), text=("invalid redirect_uri", "invalid scrubbed redirect_uri")),
    Refusal(wrong("The app is in testing: add this account as Instagram Tester and accept the invitation."),
            text=("insufficient developer role",)),
    # Where the secret is named after all, api.instagram.com gives the number 400, as for everything.
    Refusal(wrong("The app secret is wrong. Paste it again from the portal.", field_name="client_secret"),
            text=("client secret",), steps=(TOKEN, RENEW)),
    Refusal(attempt_failed("The code from the platform was too old or used twice. Press Connect again."),
            text=("invalid authorization code",), steps=(TOKEN,)),
    # A wrong secret is told as a wrong callback here, so both are named, the secret first.
    Refusal(wrong("Instagram refused the exchange. Check the app secret first, then the callback.",
                  field_name="client_secret"), text=("error validating verification code",), steps=(TOKEN,)),
    Refusal(wrong("These are credentials or a token of a product that no longer exists."),
            text=("unsupported request - method type: get",), steps=(TOKEN, RENEW)),
    # No page gives the words for a token that is too young, so several are known.
    Refusal(later("Too early to renew. We do it tomorrow."), steps=(RENEW,),
            text=("24 hours", "24h", "24 h", "too early", "too young", "too new", "not old enough")),
)

_ACCOUNT = (
    Refusal(reconnect("The account was changed to personal. Switch it back, then connect again.", PERMISSION_MISSING),
            text=("the user is not an instagram business",)),
    Refusal(reconnect("Instagram has restricted this account. Open the Instagram app and follow its steps.", SUSPENDED),
            subcode=("2207050",)),
)

_CONTENT = (
    # On the call that cannot be taken back, trouble at their end is no word on the post: the container tells.
    Refusal(unconfirmed("Instagram did not confirm the post. We look whether it is there."), steps=(PUBLISH,),
            subcode=(*TOO_SLOW, *TOO_OLD, *NOT_TAKEN)),
    Refusal(unconfirmed("Instagram did not confirm the post. We look whether it is there."), steps=(PUBLISH,),
            code=("-1", "-2")),
    Refusal(later("Instagram took too long to fetch the media."), subcode=TOO_SLOW, steps=(PREPARE,)),
    Refusal(later(GREW_OLD), subcode=TOO_OLD, steps=(PREPARE,)),
    Refusal(later(COULD_NOT_TAKE), subcode=NOT_TAKEN, steps=(PREPARE,)),
    Refusal(later(COULD_NOT_TAKE), code=("-1", "-2"), subcode=("",), steps=(PREPARE,)),
    Refusal(rejected("The cover position lies outside the video.", "cover"), subcode=("2207057",), steps=_MEDIA),
    Refusal(rejected("Instagram took this for spam. Change the post and wait a day.", quiet=timedelta(days=1)),
            subcode=("2207051",), steps=_MEDIA),
    Refusal(limited("The daily number of posts is used up. We continue at {t}.", timedelta(hours=24)),
            subcode=(USED_UP,), steps=_MEDIA),
    Refusal(later("Instagram cannot find the prepared media."), subcode=(NOT_FOUND,), steps=(*_MEDIA, READ)),
    Refusal(later("The media is not ready yet."), subcode=(NOT_THERE_YET,), steps=(*_MEDIA, READ)),
    Refusal(later("Instagram is still preparing the media."), subcode=(NOT_READY,), steps=_MEDIA),
    Refusal(later("Instagram is still preparing the media."), code=("9007",), steps=_MEDIA),
    Refusal(rejected("Instagram does not accept this kind or number of media or tags.", "media"), steps=_MEDIA,
            subcode=("2207023", "2207028", "2207035", "2207036", "2207037", "2207040")),
    Refusal(rejected("The video format is not accepted. Use MP4 with H.264 and AAC.", "video"), steps=_MEDIA,
            either=("352", "2207026")),
    Refusal(later(CANNOT_OPEN), either=("9004", CANNOT_FETCH), steps=_MEDIA),
    Refusal(rejected("The picture is over 8 MB, not JPEG, or outside 4:5 to 1.91:1.", "image"), steps=_MEDIA,
            either=("36000", "36001", "36003", "2207004", "2207005", "2207009")),
    Refusal(rejected("The caption is too long: at most 2,200 characters, 30 hashtags, 20 mentions."),
            either=("36004", "2207010"), steps=_MEDIA),
    Refusal(rejected("This place, or a trial reel, is not available for the account.", "option"), steps=_MEDIA,
            text=("invalid_location_id",)),
    Refusal(rejected("This place, or a trial reel, is not available for the account.", "option"), steps=_MEDIA,
            subcode=("2207081",)),
    Refusal(_not_from_here, subcode=("2207085",), steps=(DELETE,)),
    Refusal(_not_from_here, text=("unsupported delete request",), steps=(DELETE,)),
)

_ENDS_RENEWAL = (
    Refusal(_renewal_refused, code=("190",), subcode=("",), steps=(RENEW,)),
    Refusal(_renewal_refused, text=("session has been invalidated",), subcode=("",), steps=(RENEW,)),
)

# Through a Page the person's token is Facebook's, whose subcodes say more: they go first.
PAGE_REFUSALS = (*_TOKENS, *_ACCOUNT, *_CONTENT, *_ENDS_RENEWAL, *META_REFUSALS)
DIRECT_REFUSALS = (
    *_TOKENS, *_ACCOUNT, *_CONTENT,
    Refusal(_renewal_refused, code=("190",), steps=(RENEW,)),
    Refusal(_renewal_refused, text=("session has been invalidated",), steps=(RENEW,)),
    Refusal(reconnect(ENDED), text=("session has been invalidated",), code=("190",), subcode=("",)),
    *META_REFUSALS,
)

