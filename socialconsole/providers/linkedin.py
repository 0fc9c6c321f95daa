"""LinkedIn, posting as a member: 60 days without renewal for most apps, and a text format that cuts what it dislikes.

Vendor pages: learn.microsoft.com/linkedin/shared/authentication, …/marketing/community-management/shares.
"""

import html
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from .. import outside
from ..errors import (
    APP_CHANGED,
    DEVELOPER,
    EXPIRED,
    AlreadyPublished,
    AttemptFailed,
    ConfigurationWrong,
    PlatformError,
    RateLimited,
    TryLater,
)
from .base import (
    App,
    Consent,
    Draft,
    Located,
    Profile,
    Published,
    Renewal,
    Replay,
    Revoke,
    TextLimit,
    TokenSet,
)
from .call import LONGEST_WAIT, stated_wait
from .linkedin_portal import API_VERSION, CONSEQUENCES, FEATURES, GUIDES, MEMBER, MODES, ORGANIZATION, SCOPES
from .oauth2 import OAuth2Provider
from .refusals import (
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
    missing,
    reconnect,
    redact,
    rejected,
    wrong,
)
from .shapes import Shape, like

_SETTING_UP = "LinkedIn is still setting up the connection."
_API = (PROFILES, READ, PREPARE, PUBLISH)

_REFUSALS = (
    Refusal(wrong("Client ID or Client Secret is wrong."), code=("invalid_client", "invalid_client_id"),
            steps=(TOKEN, RENEW, REVOKE)),
    Refusal(attempt_failed("The code from LinkedIn was too old, used twice, or the callback differs. Connect again."),
            steps=(TOKEN,), text=("authorization code not found", "does not match authorization code",
                                  "authorization code expired")),
    Refusal(attempt_failed("The code from LinkedIn was too old, used twice, or the callback differs. Connect again."),
            steps=(TOKEN,), code=("invalid_redirect_uri",)),
    Refusal(reconnect("LinkedIn ended this connection. Connect again."), steps=(RENEW,),
            text=("invalid, expired or revoked",)),
    Refusal(reconnect("The 60 days are over. Connect again.", EXPIRED), status=(401,),
            code=("65600", "65602", "EXPIRED_ACCESS_TOKEN", "INVALID_ACCESS_TOKEN")),
    Refusal(wrong("The console sent a broken request.", who=DEVELOPER), status=(401,), code=("EMPTY_ACCESS_TOKEN",)),
    Refusal(wrong("The console sent a broken request.", who=DEVELOPER), status=(401,),
            text=("empty oauth2 access token",)),
    Refusal(wrong("The console sent a broken request.", who=DEVELOPER), status=(411,)),
    Refusal(later(_SETTING_UP), status=(401,), code=("65601", "REVOKED_ACCESS_TOKEN"), steps=(PROFILES,)),
    Refusal(reconnect("Access was withdrawn, or the app asked for other permissions meanwhile. Connect again."),
            status=(401,), code=("65601", "REVOKED_ACCESS_TOKEN")),
    Refusal(reconnect("LinkedIn no longer accepts this connection. Connect again."), status=(401,), steps=_API),
    Refusal(reconnect("This connection may not post in that name. Connect again through the right app.", APP_CHANGED),
            status=(403,), text=("/author", "field author", "author]", "urn:li:organization", "urn:li:person"),
            steps=(PUBLISH,)),
    Refusal(missing("This needs `openid` and `profile`. Reconnect grants them if the app has them.", "openid",
                    "profile"), status=(403,), code=("100", "ACCESS_DENIED"), steps=(PROFILES, READ)),
    Refusal(missing("This needs {scope}. Reconnect grants it if the app has it."), status=(403,),
            code=("100", "ACCESS_DENIED")),
    Refusal(later("LinkedIn refused for no stated reason. We try again."), status=(403,),
            text=("resource is forbidden",)),
    Refusal(lambda answer: _duplicate(answer), status=(400, 409, 422), code=("DUPLICATE_POST",), steps=(PUBLISH,)),
    Refusal(lambda answer: _duplicate(answer), status=(422,), text=("is a duplicate of urn:li:",), steps=(PUBLISH,)),
    Refusal(rejected("Too long for LinkedIn: 3,000 characters."), status=(400, 422),
            code=("FIELD_ARRAY_SIZE_TOO_HIGH", "FIELD_LENGTH_TOO_LONG")),
    Refusal(rejected("Too long for LinkedIn: 3,000 characters."), status=(400, 422),
            text=("sharecommentary text length", "maxlength 3000", "max length 3000")),
    Refusal(rejected("LinkedIn refused {field}: {detail}"), status=(400, 422), steps=(PREPARE, PUBLISH)),
    Refusal(wrong("The API version of this app has ended. Choose a newer one.", field_name="api_version"),
            status=(426,)),
    Refusal(wrong("The API version of this app has ended. Choose a newer one.", field_name="api_version"),
            code=("NONEXISTENT_VERSION",)),
    Refusal(wrong("The API version of this app has ended. Choose a newer one.", field_name="api_version"),
            text=("version header is deprecated",)),
)


def _duplicate(answer: Answer) -> PlatformError:
    named = re.search(r"urn:li:(?:share|ugcPost):\d+", html.unescape(answer.parsed.text))
    return AlreadyPublished("LinkedIn has a very similar post. Reword it; after a deletion this lasts up to 48 hours.",
                            answer.code, post_id=named.group() if named else "")


class LinkedIn(OAuth2Provider):
    """A member's own feed. Pages need an app of another kind, which this version only configures."""

    slug, name, tile = "linkedin", "LinkedIn", "in"
    hosts = {"web": "https://www.linkedin.com", "api": "https://api.linkedin.com"}
    client_id_label, client_secret_label = "Client ID", "Primary Client Secret"
    client_id_help = "From the app's Auth tab."
    client_id_shape = Shape(belongs=like(r"[0-9a-z]{12,14}"))
    client_secret_shape = Shape(belongs=like(r"WPL_AP\d+\..+"))
    callback_label = "Authorized redirect URL"
    modes, connectable_modes = MODES, (MEMBER,)
    api_version = API_VERSION
    scopes, features, guides, scope_consequences = SCOPES, FEATURES, GUIDES, CONSEQUENCES

    authorize = ("web", "/oauth/v2/authorization")
    token = ("web", "/oauth/v2/accessToken")
    declined_codes = ("user_cancelled_login", "user_cancelled_authorize", "access_denied")
    requirement = "A LinkedIn profile."
    before_consent = "The member signed in at linkedin.com in this browser is connected."
    all_or_nothing = True
    refusals = _REFUSALS

    renewal, replay = Renewal.NONE, Replay.REUSABLE  # approved apps get a refresh token, which stays the same
    renew_before_end = timedelta(days=7)
    revoke_kind = Revoke.PAIR
    revoke_where = "Settings → Data privacy → Permitted services"

    text_limit = TextLimit(3000, "characters")
    publish_needs = {MEMBER: ("w_member_social",), ORGANIZATION: ("w_organization_social",)}

    waits = (2.0, 3.0)  # seconds between tries for a grant LinkedIn does not know yet; a person waits meanwhile

    def __init__(self, wait: Callable[[float], None] = time.sleep) -> None:
        self.wait = wait

    # ------------------------------------------------------------ connect

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """A scope the app does not own is named in the description, with HTML entities inside."""
        if query.get("error") == "unauthorized_scope_error":
            described = redact(query.get("error_description", ""))
            named = re.search(r"[\"']?([a-z][a-zA-Z_]{2,60})[\"']? is not authorized", described)
            raise ConfigurationWrong(
                f"The LinkedIn app does not own {named.group(1) if named else 'a scope we ask for'}. Add the product, "
                "or choose the preset that fits its Auth tab.", "unauthorized_scope_error", field="scope_override")
        super().read_refusal(query)

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """One member: the person is the profile."""
        tokens = self.exchange(app, code, verifier)
        profile = self._member_soon(app, tokens.access_token)
        return Consent(tokens, profile.platform_user_id, profile.display_name, tokens.scopes, (profile,))

    def _member_soon(self, app: App, access_token: str) -> Profile:
        """LinkedIn may call a grant revoked for some seconds right after it was given; then it works."""
        for pause in (*self.waits, None):
            try:
                return self._member(app, access_token, PROFILES)
            except TryLater as refused:
                if refused.message != _SETTING_UP:
                    raise
                if pause is None:
                    raise AttemptFailed(f"{_SETTING_UP} Connect again in a minute.", refused.code) from None
                self.wait(pause)
        raise AssertionError("the loop above returns or raises")

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The member that the token belongs to."""
        return self._member(app, access_token, READ)

    def _member(self, app: App, access_token: str, step: str) -> Profile:
        """Who the member is: by OpenID Connect, or by `/v2/me` for apps that hold `r_basicprofile` instead."""
        opened = "openid" in app.scopes.split() or not app.scopes
        with self.call(app, access_token, step) as call:
            if opened:
                plain = call.get("/v2/userinfo").json()
            else:
                plain = call.get("/v2/me", params={
                    "projection": "(id,localizedFirstName,localizedLastName,vanityName)"}).json()
            member = str(plain.get("sub" if opened else "id") or "")
            if not member:
                raise call.unclear()
        vanity = str(plain.get("vanityName") or "")
        name = str(plain.get("name") or " ".join(
            str(plain[key]) for key in ("localizedFirstName", "localizedLastName") if plain.get(key)))
        return Profile(member, vanity, name, "LinkedIn member", f"{app.hosts['web']}/in/{vanity}" if vanity else "",
                       str(plain.get("picture") or ""), {key: plain[key] for key in ("locale",) if plain.get(key)})

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Best effort: several programs use this address, LinkedIn's pages do not name it."""
        with self.call(app, "", REVOKE, host="web") as call:
            call.post("/oauth/v2/revoke", form={
                "client_id": app.client_id, "client_secret": app.client_secret, "token": tokens.access_token})

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """Visible characters, without the backslashes that we add."""
        return len(text)

    def publish(self, app: App, access_token: str, draft: Draft) -> Published:
        """One post in the member's name."""
        body = {
            "author": f"urn:li:person:{draft.platform_user_id}", "commentary": escaped(draft.text),
            "visibility": "PUBLIC", "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": False,
            "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [],
                             "thirdPartyDistributionChannels": []},
        }
        with self.call(app, access_token, PUBLISH) as call:
            try:
                reply = call.post("/rest/posts", json=body, headers={
                    "LinkedIn-Version": app.api_version, "X-Restli-Protocol-Version": "2.0.0"})
            except AlreadyPublished as known:
                known.permalink = _permalink(app, known.post_id)
                raise
            # LinkedIn answers 201 with an empty body; the new post's id is only in this header.
            urn = reply.headers.get("x-restli-id") or ""
            if not urn:
                raise call.unclear()
        return Published(urn, _permalink(app, urn))

    def locate(self, app: App, access_token: str, draft: Draft, sent_at: datetime) -> Published | Located:
        """A member's posts cannot be read back."""
        return Located.CANNOT_LOOK

    # ------------------------------------------------------------ answers

    def parse(self, body: Any) -> Parsed:
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

    def rate_limited(self, answer: Answer) -> RateLimited:
        """LinkedIn counts by the day, up to midnight UTC, and states nothing: half an hour, or shortly after that."""
        now = outside.now()
        midnight = now.astimezone(UTC).replace(hour=0, minute=5, second=0, microsecond=0)
        fresh = midnight if midnight > now else midnight + timedelta(days=1)
        if answer.headers.get("Retry-After"):
            until = stated_wait(answer.headers)
        else:
            until = min(now + timedelta(minutes=30), fresh, now + LONGEST_WAIT)
        return RateLimited(f"LinkedIn's daily limit is reached. We continue at {until:%H:%M} UTC.", answer.code,
                           until=until)


def _input_path(place: Any) -> str:
    """The name of the refused input, as `{"inputPath": {"fieldPath": "commentary"}}` or the like tells it."""
    while isinstance(place, dict) and place:
        place = place.get("inputPath") or place.get("fieldPath") or next(iter(place.values()))
    return place if isinstance(place, str) else ""


def _permalink(app: App, urn: str) -> str:
    return f"{app.hosts['web']}/feed/update/{quote(urn, safe=':')}/" if urn else ""


# learn.microsoft.com, "little Text Format": these have a meaning; the text is cut silently at one that stands bare.
_RESERVED = r"\\|{}@\[\]()<>#*_~"
_KEPT = re.compile(r"(?P<link>https?://[^\s\\|{}\[\]()<>]+)|(?P<hashtag>(?<![\w#])#(?=\w))|(?P<reserved>["
                   + _RESERVED + "])")


def escaped(text: str) -> str:
    """A text in LinkedIn's little text format: reserved characters escaped, links as they are, hashtags working."""
    return _KEPT.sub(lambda found: "\\" + found.group() if found.group("reserved") else found.group(), text)
