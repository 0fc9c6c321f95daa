"""X: PKCE, Basic client authentication, a refresh token that is spent by each use, prepaid calls.

Facts and their sources: docs.x.com (fundamentals/authentication/oauth-2-0, x-api/posts/manage-tweets).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any

from .. import outside
from ..errors import (
    DEVELOPER,
    SUSPENDED,
    AlreadyPublished,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    PlatformError,
    RateLimited,
    TryLater,
)
from .base import (
    App,
    Consent,
    Draft,
    Feature,
    Guide,
    Located,
    Profile,
    Published,
    Renewal,
    Replay,
    Revoke,
    Scope,
    Step,
    TextLimit,
    TokenSet,
)
from .call import Call, Reply, stated_wait
from .matching import happened_at, is_same
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
    missing,
    reconnect,
    rejected,
    wrong,
)
from .shapes import Shape

_MEDIA = Scope("media.write", "Upload pictures and videos", "media")

_GUIDE = Guide(
    "https://console.x.com",
    "An app in the Pay-per-use package with prepaid credits. There is no review.",
    (
        Step("Make an app", "Sign in, accept the agreement and describe the use. Choose New App; it must sit in the "
                            "Pay-per-use package and the Production environment."),
        Step("Set up user authentication", "User authentication settings, Set up: permissions Read and write, type "
                                           "Web App, Automated App or Bot."),
        Step("Register the callback", "Paste this as Callback URI and fill Website URL, which X insists on. Save.",
             ("{CALLBACK}",)),
        Step("Copy id and secret", "Keys and tokens: copy the OAuth 2.0 Client ID and Client Secret; they are shown "
                                   "once. API Key and API Key Secret are something else and stay out."),
        Step("Buy credits", "Billing: buy credits and set a spending limit. A card on file alone still answers that "
                            "there are no credits."),
        Step("Mind the permissions", "The console asks for these. After a later change every account has to "
                                     "reconnect.", ("{SCOPES}",)),
    ),
    "You pay for all tenants: about $0.015 for a post, $0.20 with a link.",
)

_CREDITS = ("The X app has no credits left, or its spending limit is reached. Posts wait until that is settled.")
_API = (PROFILES, READ, PREPARE, PUBLISH)

_REFUSALS = (
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
    Refusal(reconnect("X has locked this account. Sign in at x.com and follow its steps.", SUSPENDED), status=(403,),
            code=("user-suspended",)),
    Refusal(reconnect("X has locked this account. Sign in at x.com and follow its steps.", SUSPENDED), status=(403,),
            text=("temporarily locked", "temporarily restricted", "user is suspended", "account is suspended")),
    Refusal(lambda answer: _duplicate(answer), status=(403,), text=("duplicate content",), steps=(PUBLISH,)),
    Refusal(rejected("X lets us reply only to people who mentioned or quoted this account, and does not allow "
                     "quoting.", "reply"), status=(403,), text=("reply to this conversation is not allowed",)),
    Refusal(rejected("X lets us reply only to people who mentioned or quoted this account, and does not allow "
                     "quoting.", "quote"), status=(403,), text=("quoting this post is not allowed",)),
    Refusal(lambda answer: _too_long_video(answer), status=(403,), text=("video longer than",)),
    Refusal(rejected("X refuses this text: more than one cashtag, or a blocked link."), status=(400, 403),
            text=("maximum of one cashtag", "invalid url")),
    Refusal(missing("Pictures and videos need `media.write`. Reconnect grants it.", "media.write"), status=(403,),
            steps=(PREPARE,)),
    Refusal(missing("X does not let us read the profile: {detail}", step=True), status=(403,), steps=(PROFILES, READ)),
    Refusal(rejected("X refused the post: {detail}"), status=(403,), steps=(PUBLISH,)),
    Refusal(rejected("X refused {field}: {detail}"), status=(400,), steps=(PREPARE, PUBLISH)),
)


def _duplicate(answer: Answer) -> PlatformError:
    return AlreadyPublished("X already has this text from this account. Change it.", answer.code)


def _too_long_video(answer: Answer) -> PlatformError:
    minutes = re.search(r"longer than (\d+) minute", answer.parsed.text)
    return ContentRejected("The video is too long for this account"
                           f"{f': {minutes.group(1)} minutes at most' if minutes else ''}.", answer.code, field="video")


@cache
def _counting() -> Any:
    """X's own counting rules. Loading them takes most of a second and eleven megabytes, which only the process that
    checks texts should spend, and only once somebody writes one."""
    return import_module("twitter_text")


class Twitter(OAuth2Provider):
    """One X account per consent: whoever is signed in at x.com in that browser."""

    slug, name, tile = "twitter", "X", "X"

    hosts = {"web": "https://x.com", "api": "https://api.x.com"}
    client_id_label, client_secret_label = "OAuth 2.0 Client ID", "OAuth 2.0 Client Secret"
    client_id_help = "From Keys and tokens. The API Key does not work here."
    client_id_shape = Shape(belongs=lambda value: _ends_in_ci(value), fits_not=(
        # An API Key is 25 letters and digits; a Client ID is longer (base64url of a text that ends in `:ci`).
        (r"[A-Za-z0-9]{25}", "This is an API Key. Paste the OAuth 2.0 Client ID from Keys and tokens here."),))
    client_secret_shape = Shape()
    callback_label = "Callback URI"
    scopes = {"": (
        Scope("tweet.read", "Read the account's own posts"),
        Scope("tweet.write", "Publish and delete posts"),
        Scope("users.read", "See the account's name and picture"),
        Scope("offline.access", "Stay connected without asking again every two hours"),
    )}
    features = (
        Feature("media", "Pictures and videos", "Upload pictures and videos to posts.", (_MEDIA,), default_on=True),
        Feature("comments", "Hide replies", "Hide replies under the account's posts.",
                (Scope("tweet.moderate.write", "Hide and show replies", "comments"),)),
    )
    guides = {"": _GUIDE}
    scope_consequences = {
        "offline.access": "without `offline.access` X gives no refresh token: tenants must reconnect every two hours",
        "tweet.write": "without `tweet.write` nothing can be published",
        "users.read": "without `users.read` X does not tell who connected, and connecting fails",
        "tweet.read": "without `tweet.read` X does not tell who connected, and connecting fails",
        "media.write": "without `media.write` pictures and videos cannot be uploaded",
    }

    pkce = True
    authorize = ("web", "/i/oauth2/authorize")
    token = ("api", "/2/oauth2/token")
    client_auth, client_id_in_body = "basic", True
    requirement = "An X account that is not locked."
    before_consent = "The account signed in at x.com in this browser is connected. Switch there first for another one."
    all_or_nothing = True
    refusals = _REFUSALS

    renewal, replay = Renewal.ROTATES, Replay.STRICT
    renew_between = (0.667, 0.79)  # 80 to 95 minutes of its two hours
    revoke_kind = Revoke.PAIR
    revoke_where = "Settings → Security and account access → Apps and sessions → Connected apps"

    text_limit = TextLimit(280, "characters as X counts them")
    publish_needs = {"": ("tweet.write", "tweet.read", "users.read")}

    # ------------------------------------------------------------ connect

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """One account: the person is the profile."""
        tokens = self.exchange(app, code, verifier)
        if not tokens.refresh_token and "offline.access" in app.scopes.split():
            raise ConfigurationWrong(
                "`offline.access` is missing: this account would drop out every two hours.", "no_refresh_token",
                field="scope_override")
        profile = self._me(app, tokens.access_token, PROFILES)
        return Consent(tokens, profile.platform_user_id, profile.display_name, tokens.scopes, (profile,))

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The account that the token belongs to."""
        return self._me(app, access_token, READ)

    def _me(self, app: App, access_token: str, step: str) -> Profile:
        with self.call(app, access_token, step) as call:
            data = call.get("/2/users/me", params={"user.fields": (
                "profile_image_url,name,username,verified,verified_type,subscription_type,protected")}
            ).json().get("data")
            if not isinstance(data, dict) or not str(data.get("id") or ""):
                raise call.unclear()
        username = str(data.get("username") or "")
        return Profile(
            str(data["id"]), username, str(data.get("name") or username), "X account",
            f"{app.hosts['web']}/{username}",
            # The picture comes at 48 pixels; the same address with another ending gives 400.
            str(data.get("profile_image_url") or "").replace("_normal.", "_400x400."),
            {key: data[key] for key in ("verified", "verified_type", "subscription_type", "protected") if key in data})

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Revoke the refresh token, then the access token; one that is gone already is fine."""
        basic = base64.b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode()
        with self.call(app, "", REVOKE) as call:
            for token in (tokens.refresh_token, tokens.access_token):
                if not token:
                    continue
                try:
                    call.post("/2/oauth2/revoke", form={"token": token, "client_id": app.client_id},
                              headers={"Authorization": f"Basic {basic}"})
                except NeedsReconnect:
                    continue

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """X's weighted length: a link counts 23, an emoji 2, CJK 2 each (docs.x.com, counting characters)."""
        return int(_counting().parse_tweet(text).weightedLength)  # normalises to NFC first

    def publish(self, app: App, access_token: str, draft: Draft) -> Published:
        """One post; X makes the card of a link by itself."""
        with self.call(app, access_token, PUBLISH) as call:
            reply = call.post("/2/tweets", json={"text": draft.text})
            data = reply.json().get("data")
            if not isinstance(data, dict) or not str(data.get("id") or ""):
                raise call.unclear()
        return Published(str(data["id"]), self._permalink(app, draft, str(data["id"])))

    def _permalink(self, app: App, draft: Draft, post_id: str) -> str:
        return f"{app.hosts['web']}/{draft.username or 'i'}/status/{post_id}"

    def locate(self, app: App, access_token: str, draft: Draft, sent_at: datetime) -> Published | Located:
        """Look among the account's five newest posts for this text."""
        with self.call(app, access_token, READ) as call:
            listed = _newest(call, draft.platform_user_id).json().get("data")
        posts = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        for post in posts:
            if post.get("id") and happened_at(post.get("created_at"), sent_at) \
                    and is_same(post.get("text"), draft.text, _links(post), _counting().extract_urls):
                return Published(str(post["id"]), self._permalink(app, draft, str(post["id"])))
        return Located.NOT_FOUND

    # ------------------------------------------------------------ answers

    def parse(self, body: Any) -> Parsed:
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
        field = plain.get("parameter") or inner.get("parameter") or (next(iter(named), "") if named else "")
        return Parsed(tuple(codes), text=" ".join(texts), shown=inner.get("message") or "", field=str(field))

    def rate_limited(self, answer: Answer) -> RateLimited:
        """X's headers count several buckets: only when the latest of the empty ones is full again may we go on."""
        empty = {bucket: until for bucket in _BUCKETS if (until := _reset(answer.headers, bucket)) is not None}
        if empty:
            bucket = max(empty, key=lambda one: empty[one])
            until = empty[bucket]
        else:
            bucket, until = "", stated_wait(answer.headers, timedelta(minutes=5))
        return RateLimited(f"X asked us to wait, next try {until:%H:%M} UTC.", answer.code, until=until,
                           whole_app=bucket == _WHOLE_APP)


_WHOLE_APP = "x-app-limit-24hour"
_BUCKETS = ("x-rate-limit", _WHOLE_APP, "x-user-limit-24hour")


def _reset(headers: Mapping[str, str], bucket: str) -> datetime | None:
    """When an empty bucket is full again; None for one that is not empty or not stated."""
    now = outside.now()
    try:
        if int(headers[f"{bucket}-remaining"]) > 0:
            return None
        reset = datetime.fromtimestamp(int(headers[f"{bucket}-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return min(max(reset, now + timedelta(seconds=1)), now + timedelta(hours=25))


def _newest(call: Call, user_id: str) -> Reply:
    """The account's newest posts. X renamed the fields parameter; the older name first, which the guides still show."""
    path, wanted = f"/2/users/{user_id}/tweets", "created_at,entities"
    try:
        return call.get(path, params={"max_results": 5, "tweet.fields": wanted})
    except TryLater as refused:
        if refused.code != "invalid-request":
            raise
    return call.get(path, params={"max_results": 5, "post.fields": wanted})


def _links(post: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the shortened links of a post lead."""
    entities = post.get("entities")
    urls = entities.get("urls") if isinstance(entities, dict) else None
    return tuple(str(one.get("expanded_url") or "") for one in urls if isinstance(one, dict)) \
        if isinstance(urls, list) else ()


def _ends_in_ci(value: str) -> bool:
    """Whether a value decodes to a text that ends in `:ci`, as every Client ID of a confidential app does."""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).endswith(b":ci")
    except (ValueError, binascii.Error):
        return False
