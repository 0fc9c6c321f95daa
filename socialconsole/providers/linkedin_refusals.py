"""Every way LinkedIn says no, and how its answers are read.

learn.microsoft.com/linkedin/shared/api-guide/concepts/error-handling: go by status and code, sentences may change.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import (
    APP_CHANGED,
    DEVELOPER,
    EXPIRED,
    PERMISSION_MISSING,
    AlreadyPublished,
    ContentRejected,
    NeedsReconnect,
    PermissionMissing,
    PlatformError,
    TryLater,
)
from .linkedin_portal import ORGANIZATION
from .oauth2 import split_scopes
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
    later,
    reconnect,
    rejected,
    wrong,
)

SETTING_UP = "LinkedIn is still setting up the connection."
NO_REASON = "LinkedIn refused for no stated reason. We try again."
CONFLICT = "LinkedIn was busy with this very post. We try again."
NO_ROLE = "Your role on this Page no longer allows posting."
NO_COMMENTS = "LinkedIn does not let this app write comments."
VERSION = "api_version"
# What a call is about, handed to the rows below among the app's options.
AUTHOR, ABOUT, THROTTLED = "_author", "_about", "_throttled"
PAGE_URN = "urn:li:organization:"

_API = (PROFILES, READ, PREPARE, PUBLISH, DELETE)
_SENDING = (PREPARE, PUBLISH)
_CODE_GONE = "The code from LinkedIn was too old, used twice, or the callback differs. Connect again."
_OLD_VERSION = "The API version of this app has ended. Choose a newer one."
_BROKEN = "The console sent a broken request."
_TOO_LONG = "Too long for LinkedIn: 3,000 characters."


class Gone(TryLater):
    """What was to be deleted is not there any more."""


def _duplicate(answer: Answer) -> PlatformError:
    named = re.search(r"urn:li:(?:share|ugcPost):\d+", html.unescape(answer.parsed.text))
    return AlreadyPublished("LinkedIn has a very similar post. Reword it; after a deletion this lasts up to 48 hours.",
                            answer.code, post_id=named.group() if named else "")


def _input_refused(answer: Answer) -> PlatformError:
    place = answer.parsed.field.lower()
    field = "poll" if "poll" in place else "files" if "content" in place or "media" in place else "text"
    return ContentRejected(answer.fill("LinkedIn refused {field}: {detail}"), answer.code, field=field)


def _denied(answer: Answer) -> PlatformError:
    """403 ACCESS_DENIED: a scope is not there; or it is, and then the role on the Page is gone."""
    author, asked = answer.app.options.get(AUTHOR, ""), split_scopes(answer.app.scopes) or frozenset()
    if answer.app.options.get(ABOUT) == "comment":
        return PermissionMissing(NO_COMMENTS, answer.code)
    if answer.step in (*_SENDING, DELETE) and author.startswith(PAGE_URN) and "w_organization_social" in asked:
        return NeedsReconnect(NO_ROLE, answer.code, reason=PERMISSION_MISSING)
    scopes = _scopes_of(answer, author)
    named = " and ".join(f"`{one}`" for one in scopes) if len(scopes) > 1 else scopes[0]
    them = "them" if len(scopes) > 1 else "it"
    return PermissionMissing(f"This needs {named}. Reconnect grants {them} if the app has {them}.", answer.code,
                             scopes=scopes)


def _scopes_of(answer: Answer, author: str) -> tuple[str, ...]:
    """The scopes of the resource that the answer names; else those of what we were doing."""
    text = html.unescape(answer.parsed.text)
    named = re.search(r"access: (\w+)\.(\w+)", text)
    resource, method = (named.group(1), named.group(2)) if named else ("", "")
    if resource == "me" and (answer.app.mode == ORGANIZATION or "r_basicprofile" in answer.app.scopes):
        return ("r_basicprofile",)
    if resource == "me":  # a member's app learns who connects by signing in
        return ("openid", "profile")
    if resource.startswith("organization") or (answer.step == PROFILES and answer.app.mode == ORGANIZATION):
        return ("rw_organization_admin",)
    if author.startswith("urn:li:person:"):
        return ("w_member_social",)
    if answer.step in (PROFILES, READ) and answer.app.mode != ORGANIZATION:
        return ("openid", "profile")
    if answer.step == READ:
        return ("r_organization_social",) if "osts" in resource or method == "FINDER" else ("rw_organization_admin",)
    return (answer.scope,)


@dataclass(frozen=True)
class _NamesAuthor(Refusal):
    """Matches where the sentence is about the author, or the owner of a file: the word, not `authorized`."""

    def matches(self, answer: Answer) -> bool:
        """Whether this row speaks about the answer."""
        said = html.unescape(answer.parsed.text)
        return super().matches(answer) and bool(
            re.search(r"\b(?:author|owner)\b|urn:li:(?:organization|person):", said, re.IGNORECASE))


REFUSALS = (
    Refusal(wrong("Client ID or Client Secret is wrong."), code=("invalid_client", "invalid_client_id"),
            steps=(TOKEN, RENEW, REVOKE)),
    Refusal(attempt_failed(_CODE_GONE), steps=(TOKEN,), text=(
        "authorization code not found", "does not match authorization code", "authorization code expired")),
    Refusal(attempt_failed(_CODE_GONE), steps=(TOKEN,), code=("invalid_redirect_uri",)),
    Refusal(reconnect("LinkedIn ended this connection. Connect again."), steps=(RENEW,),
            text=("invalid, expired or revoked",)),
    # 65601 is reported for expired tokens too: the word decides before the number.
    Refusal(reconnect("The 60 days are over. Connect again.", EXPIRED), status=(401,),
            code=("65600", "65602", "EXPIRED_ACCESS_TOKEN", "INVALID_ACCESS_TOKEN")),
    Refusal(wrong(_BROKEN, who=DEVELOPER), status=(401,), code=("EMPTY_ACCESS_TOKEN",)),
    Refusal(wrong(_BROKEN, who=DEVELOPER), status=(401,), text=("empty oauth2 access token",)),
    Refusal(wrong(_BROKEN, who=DEVELOPER), status=(411,)),
    Refusal(later(SETTING_UP), status=(401,), code=("65601", "REVOKED_ACCESS_TOKEN"), steps=(PROFILES,)),
    Refusal(reconnect("Access was withdrawn, or the app asked for other permissions meanwhile. Connect again."),
            status=(401,), code=("65601", "REVOKED_ACCESS_TOKEN")),
    Refusal(reconnect("LinkedIn no longer accepts this connection. Connect again."), status=(401,), steps=_API),
    _NamesAuthor(reconnect("This connection may not post in that name. Connect again through the right app.",
                           APP_CHANGED), status=(403,), steps=_SENDING),
    Refusal(_denied, status=(403,), code=("100", "ACCESS_DENIED")),
    Refusal(later(NO_REASON), status=(403,), text=("resource is forbidden",)),
    Refusal(_duplicate, status=(400, 409, 422), code=("DUPLICATE_POST",), steps=(PUBLISH,)),
    Refusal(_duplicate, status=(422,), text=("is a duplicate of urn:li:",), steps=(PUBLISH,)),
    Refusal(later(CONFLICT), status=(409, 412), steps=(PUBLISH,)),
    Refusal(rejected(_TOO_LONG), status=(400, 422), code=("FIELD_ARRAY_SIZE_TOO_HIGH", "FIELD_LENGTH_TOO_LONG"),
            steps=(PUBLISH,)),
    Refusal(rejected(_TOO_LONG), status=(400, 422), steps=(PUBLISH,),
            text=("sharecommentary text length", "maxlength 3000", "max length 3000")),
    Refusal(wrong(_OLD_VERSION, field_name=VERSION), status=(426,)),
    Refusal(wrong(_OLD_VERSION, field_name=VERSION), code=("NONEXISTENT_VERSION",)),
    Refusal(wrong(_OLD_VERSION, field_name=VERSION), text=("version header is deprecated",)),
    Refusal(_input_refused, status=(400, 422), steps=_SENDING),
    Refusal(lambda answer: Gone("It was already deleted there.", answer.code), status=(404,), steps=(DELETE,)),
)


def parse(body: Any) -> Parsed:
    """LinkedIn's own form, its newer validation form, and OAuth's."""
    plain = body if isinstance(body, dict) else {}
    details = plain.get("errorDetails")
    inputs = details.get("inputErrors") if isinstance(details, dict) else None
    slips = [one for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
    codes = [*(str(one["code"]) for one in slips if one.get("code")),
             *(str(plain[key]) for key in ("error", "code", "serviceErrorCode") if plain.get(key) is not None)]
    texts = [str(plain[key]) for key in ("error_description", "message") if plain.get(key)]
    described = [str(one["description"]) for one in slips if one.get("description")]
    return Parsed(tuple(codes), text=" ".join((*texts, *described)), shown=described[0] if described else "",
                  field=_input_path(slips[0].get("input")) if slips else "")


def _input_path(place: Any) -> str:
    """The name of the refused input, as `{"inputPath": {"fieldPath": "commentary"}}` or the like tells it."""
    while isinstance(place, dict) and place:
        place = place.get("inputPath") or place.get("fieldPath") or next(iter(place.values()))
    return place if isinstance(place, str) else ""


# (sentence of a passing refusal, how often it is believed, what it means after that)
PATIENCE: tuple[tuple[str, int, Callable[[str], PlatformError]], ...] = (
    (NO_REASON, 3, lambda code: PermissionMissing(
        "LinkedIn refuses this again and again and gives no reason. Look at LinkedIn whether the profile may post.",
        code)),
    (CONFLICT, 1, lambda code: ContentRejected("LinkedIn finds that this post is in conflict with another one.", code)),
)
