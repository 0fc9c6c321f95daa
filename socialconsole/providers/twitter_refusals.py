"""How X says no, row by row: problem JSON, the same inside `errors`, and OAuth's own words.

Matched by the last segment of `type`, then by the sentence, since most refusals are a bare 403 with a text.
"""

import re
from typing import Any

from ..errors import DEVELOPER, SUSPENDED, AlreadyPublished, ContentRejected, PermissionMissing, PlatformError
from .call import Call, Reply
from .refusals import (
    DELETE,
    PREPARE,
    PROFILES,
    PUBLISH,
    READ,
    RENEW,
    REVOKE,
    TOKEN,
    Answer,
    Parsed,
    Refusal,
    attempt_failed,
    missing,
    reconnect,
    rejected,
    unconfirmed,
    wrong,
)
from .twitter_portal import MEDIA_SCOPE

_CREDITS = ("The X app has no credits left, or its spending limit is reached. Posts wait until that is settled.")
_LOCKED = "X has locked this account. Sign in at x.com and follow its steps."
_NOT_MENTIONED = ("X lets us reply only to people who mentioned or quoted this account, and does not allow "
                  "quoting.")
_API = (PROFILES, READ, PREPARE, PUBLISH, DELETE)


class Gone(PlatformError):
    """What was to be deleted is not there any more: never leaves the provider."""


def _duplicate(answer: Answer) -> PlatformError:
    return AlreadyPublished("X already has this text from this account. Change it.", answer.code)


def _too_long_video(answer: Answer) -> PlatformError:
    minutes = re.search(r"longer than (\d+) minute", answer.parsed.text)
    return ContentRejected("The video is too long for this account"
                           f"{f': {minutes.group(1)} minutes' if minutes else ''}.", answer.code, field="video")


def _bare(answer: Answer) -> PlatformError:
    """A 403 without a reason: a scope that was never asked for, else something the account may not do (too long)."""
    absent = tuple(one for one in answer.needs if one not in answer.app.scopes.split())
    sentence = answer.fill("X refused the post: {detail}")
    return PermissionMissing(sentence, answer.code, scopes=absent) if absent and answer.app.scopes else \
        ContentRejected(sentence, answer.code)


def _unread(answer: Answer) -> PlatformError:
    """A 403 for the own profile: scopes that were never asked for, else something about the account."""
    absent = tuple(one for one in ("tweet.read", "users.read") if one not in answer.app.scopes.split())
    return PermissionMissing(answer.fill("X does not let us read the profile: {detail}"), answer.code,
                             scopes=absent if answer.app.scopes else ())


def _invalid(answer: Answer) -> PlatformError:
    """A request that does not fit the description; what it complains about may be deep inside: `media.media_ids`."""
    first = re.split(r"[.\[]", answer.parsed.field.removeprefix("$."), maxsplit=1)[0]
    known = first if first in ("media", "poll", "reply", "reply_settings", "made_with_ai", "paid_partnership") else ""
    return ContentRejected(answer.fill("X refused {field}: {detail}"), answer.code,
                           field=known or ("media" if answer.step == PREPARE else "text"))


ROWS = (
    Refusal(attempt_failed("X gives 30 seconds, and this took longer or ran twice. Connect again."),
            text=("authorization code was invalid",), steps=(TOKEN,)),
    Refusal(reconnect("X ended this connection. Connect again."),
            text=("passed for the token was invalid",), steps=(RENEW, REVOKE)),
    Refusal(wrong("The OAuth 2.0 Client Secret is wrong or was renewed.", field_name="client_secret"),
            code=("unauthorized_client",), steps=(TOKEN, RENEW, REVOKE)),
    Refusal(wrong("The OAuth 2.0 Client ID is unknown. An API Key does not work here.", field_name="client_id"),
            code=("invalid_client",), steps=(TOKEN, RENEW, REVOKE)),
    Refusal(wrong(_CREDITS), status=(402,)),
    Refusal(wrong(_CREDITS), status=(403, 429), code=("usage-capped", "credits-depleted", "credits",
                                                      "creditsdepleted")),
    Refusal(wrong("The X app is not in the Pay-per-use package and Production environment."),
            code=("client-not-enrolled",)),
    Refusal(wrong("The X app is read-only. Set Read and write; accounts must then reconnect."), status=(403,),
            text=("oauth1 app permissions",)),
    Refusal(wrong("The console used the wrong kind of key.", who=DEVELOPER), status=(403,),
            code=("unsupported-authentication",)),
    Refusal(reconnect("X no longer accepts this connection. Connect again."), status=(401,), steps=_API),
    Refusal(reconnect(_LOCKED, SUSPENDED), status=(403,), code=("user-suspended",)),
    Refusal(reconnect(_LOCKED, SUSPENDED), status=(403,),
            text=("temporarily locked", "temporarily restricted", "user is suspended", "account is suspended",
                  "has been suspended")),
    Refusal(_duplicate, status=(403,), text=("duplicate content", "status is a duplicate"), steps=(PUBLISH,)),
    Refusal(rejected(_NOT_MENTIONED, "reply"), status=(403,), text=("reply to this conversation is not allowed",)),
    Refusal(rejected(_NOT_MENTIONED, "quote"), status=(403,), text=("quoting this post is not allowed",)),
    Refusal(_too_long_video, status=(403,), text=("video longer than",)),
    Refusal(rejected("X refuses this text: more than one cashtag, or a blocked link."), status=(400, 403),
            text=("maximum of one cashtag", "invalid url")),
    Refusal(missing("Pictures and videos need `media.write`. Reconnect grants it.", MEDIA_SCOPE), status=(403,),
            steps=(PREPARE,)),
    Refusal(_unread, status=(403,), steps=(PROFILES, READ)),
    Refusal(_bare, status=(403,), steps=(PUBLISH,)),
    Refusal(rejected("X did not delete the post: {detail}"), status=(403,), steps=(DELETE,)),
    Refusal(lambda answer: Gone("It was already deleted there.", answer.code), status=(404,), steps=(DELETE,)),
    Refusal(_invalid, status=(400,), steps=(PREPARE, PUBLISH)),
    # A conflict tells nothing about the post itself.
    Refusal(unconfirmed("X did not confirm the post. We look whether it is there."), status=(409,), steps=(PUBLISH,)),
)


# X can answer 200 with nothing but `errors`, where the status often stands nowhere.
_STATUS_OF = {"resource-not-found": 404, "user-suspended": 403, "client-forbidden": 403, "usage-capped": 429}


def without_data(call: Call, reply: Reply) -> PlatformError:
    """The error for a success without the `data` it must have: what its `errors` say, if they say anything."""
    listed = reply.json().get("errors")
    inner = next((one for one in listed if isinstance(one, dict)), None) if isinstance(listed, list) else None
    if inner is None:
        return call.unclear()
    stated = inner.get("status")
    if isinstance(stated, int) and 400 <= stated < 600:
        return call.refused(reply, stated)
    kind = str(inner.get("type") or "").rstrip("/").rsplit("/", 1)[-1]
    return call.refused(reply, _STATUS_OF.get(kind, 400))


def parse(body: Any) -> Parsed:
    """X's three ways to say no: problem JSON, the same inside `errors`, and OAuth's own."""
    plain = body if isinstance(body, dict) else {}
    listed = plain.get("errors")
    inner = next((one for one in listed if isinstance(one, dict)), {}) if isinstance(listed, list) else {}
    parts = (plain, inner)
    kinds = [str(part.get("type") or "").rstrip("/").rsplit("/", 1)[-1] for part in parts]
    codes = [*(str(part[key]) for part in parts for key in ("error", "reason") if part.get(key)),
             *(kind for kind in kinds if kind and kind != "about:blank"),
             *(str(part["code"]) for part in parts if part.get("code")),
             *(str(part["title"]).replace(" ", "").lower() for part in parts if part.get("title"))]
    words = ("error_description", "detail", "message")
    texts = [str(part[key]) for part in parts for key in words if part.get(key)]
    named = inner.get("parameters") or plain.get("parameters")
    first = next(iter(named), "") if isinstance(named, dict | list) else ""
    field = plain.get("parameter") or inner.get("parameter") or first
    return Parsed(tuple(codes), text=" ".join(texts), shown=str(inner.get("message") or ""), field=str(field))
