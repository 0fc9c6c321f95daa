"""X: PKCE, Basic client authentication, a refresh token that is spent by each use, prepaid calls.

Facts and their sources: docs.x.com (fundamentals/authentication/oauth-2-0, x-api/posts/manage-tweets).
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any

from .. import outside
from ..errors import ConfigurationWrong, NeedsReconnect, RateLimited, TryLater
from . import twitter_media
from .base import (
    App,
    Consent,
    Draft,
    Located,
    Problem,
    Profile,
    Published,
    Renewal,
    Replay,
    Revoke,
    TokenSet,
    Wait,
)
from .call import Call, Reply, stated_wait
from .content import YES, Format, Progress, Tally
from .matching import happened_at, is_same
from .oauth2 import OAuth2Provider
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, REVOKE, Answer, Parsed
from .shapes import Shape
from .twitter_errors import CAUSES
from .twitter_paste import PASTE
from .twitter_portal import (
    ALT_TEXT_PRICE,
    CONSEQUENCES,
    FEATURES,
    FIELDS,
    FORMATS,
    GUIDES,
    LIFETIMES,
    LINK_PRICE,
    LOOK,
    NORMAL,
    POST_PRICE,
    PREMIUM,
    PREMIUM_FORMATS,
    SCOPES,
    TEXT_LIMIT,
    dollars,
)
from .twitter_probe import PROBE
from .twitter_refusals import ROWS, Gone, parse, without_data

# More than one of these is refused to apps without a contract (docs.x.com/changelog).
MOST_CASHTAGS = 1
_CASHTAG = re.compile(r"(?<![\w$])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?!\w)")


# X's own rules look for a host at each point of a word, and take time by the square of their number: a word of two
# thousand signs keeps them busy for half a minute. No link has that many, so such words are counted sign by sign.
MOST_POINTS = 30
MOST_WORK = 20_000  # the squares of all words together, which is less than half a second
LONGEST_READ = 10_000  # many times what X takes; the signs beyond are only counted, or a book would take minutes
_WORD = re.compile(r"\S+")
_POINT = re.compile(r"[^.\s]\.")


def _tame(text: str) -> str:
    """A text as long as this one for X, in which words that would keep its rules busy for long hold no points."""
    work = 0

    def word(found: re.Match[str]) -> str:
        nonlocal work
        points = len(_POINT.findall(found.group()))
        if points <= MOST_POINTS and work + points**2 <= MOST_WORK:
            work += points**2
            return found.group()
        return found.group().replace(".", ",")

    return _WORD.sub(word, text)


def _links_in(text: str) -> list[str]:
    """The links that X would find in a text."""
    found: list[str] = _counting().extract_urls(_tame(text))
    return found


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
    scopes, features, guides, scope_consequences = SCOPES, FEATURES, GUIDES, CONSEQUENCES

    pkce = True
    authorize = ("web", "/i/oauth2/authorize")
    token = ("api", "/2/oauth2/token")
    client_auth, client_id_in_body = "basic", True
    requirement = "An X account that is not locked."
    before_consent = "The account signed in at x.com in this browser is connected. Switch there first for another one."
    all_or_nothing = True
    refusals = ROWS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PROBE
    paste = PASTE

    renewal, replay = Renewal.ROTATES, Replay.STRICT
    renew_between = (0.667, 0.79)  # 80 to 95 minutes of its two hours
    revoke_kind = Revoke.PAIR
    revoke_url = "https://x.com/settings/connected_apps"
    revoke_where = "Settings → Security and account access → Apps and sessions → Connected apps"

    text_limit = TEXT_LIMIT
    publish_needs = {"": ("tweet.write", "tweet.read", "users.read")}
    delete_needs = publish_needs
    reading_costs = "X charges $0.010 for it, once a day however often it is read."
    profile_needs = {"": ("users.read", "tweet.read")}
    formats, fields, look = FORMATS, FIELDS, LOOK
    looks = (timedelta(seconds=10), timedelta(minutes=3))  # X charges for each post that is read
    most_parts = 25  # X names no limit; its own composer stops there

    def formats_of(self, mode: str, kind: str = "") -> tuple[Format, ...]:
        """A subscription allows longer texts and videos."""
        return PREMIUM_FORMATS if kind == PREMIUM else self.formats

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """What X refuses to apps like ours. Without X's own counting rules, which workers do not load."""
        if len(_CASHTAG.findall(draft.text)) > MOST_CASHTAGS:
            return [Problem("text", "X takes one cashtag in a post at most. Leave the others out.")]
        return []

    def tallies(self, draft: Draft) -> tuple[Tally, ...]:
        """Cashtags."""
        used = len(_CASHTAG.findall(draft.text))
        return (Tally("cashtags", used, MOST_CASHTAGS),) if used else ()

    def cost(self, draft: Draft) -> str:
        """X takes prepaid credits from the admin for each call."""
        has_link = bool(draft.link) or bool(draft.text and _links_in(draft.text))
        described = sum(bool(file.alt_text.strip()) for file in draft.files if file.kind in twitter_media.DESCRIBED)
        price = (LINK_PRICE if has_link else POST_PRICE) + described * ALT_TEXT_PRICE
        return f"X charges {dollars(price)} for this post{', since it has a link' if has_link else ''}."

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
            reply = call.get("/2/users/me", params={"user.fields": (
                "profile_image_url,name,username,verified,verified_type,subscription_type,protected")})
            data = reply.json().get("data")
            if not isinstance(data, dict) or not str(data.get("id") or ""):
                raise without_data(call, reply)
        username = str(data.get("username") or "")
        return Profile(
            str(data["id"]), username, str(data.get("name") or username), _kind(data.get("subscription_type")),
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
                    call.post("/2/oauth2/revoke", form={"token": token}, headers={"Authorization": f"Basic {basic}"})
                except NeedsReconnect:
                    continue

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """X's weighted length: a link counts 23, an emoji 2, CJK 2 each (docs.x.com, counting characters)."""
        read, rest = text[:LONGEST_READ], text[LONGEST_READ:]
        return int(_counting().parse_tweet(_tame(read)).weightedLength) + len(rest)  # normalises to NFC first

    def prepares(self, draft: Draft) -> bool:
        """Only files go before the post."""
        return bool(draft.files)

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Upload the files and describe them."""
        if draft.files:
            with self.call(app, access_token, PREPARE) as call:
                twitter_media.prepare(call, draft.files, progress)

    def check(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Wait | None:
        """Moving pictures are processed for a while."""
        if not draft.files:
            return None
        with self.call(app, access_token, PREPARE) as call:
            return twitter_media.check(call, draft.files, progress)

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published:
        """One post, or one part of a chain; X makes the card of a link by itself."""
        body = _body(draft, twitter_media.ids(draft.files, progress))
        with self.call(app, access_token, PUBLISH) as call:
            data = call.post("/2/tweets", json=body).json().get("data")
            if not isinstance(data, dict) or not str(data.get("id") or ""):
                raise call.unclear()
        return Published(str(data["id"]), self._permalink(app, draft, str(data["id"])))

    def _permalink(self, app: App, draft: Draft, post_id: str) -> str:
        return f"{app.hosts['web']}/{draft.username or 'i'}/status/{post_id}"

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Located:
        """Look among the account's five newest posts for these files, or else for this text."""
        media = twitter_media.keys(draft.files, progress)
        is_long = len(draft.text) > TEXT_LIMIT.most // 2 and self.count(draft.text) > TEXT_LIMIT.most
        wanted = ("created_at", "entities", "attachments", *(("note_tweet",) if is_long else ()))
        with self.call(app, access_token, READ) as call:
            listed = _newest(call, draft.platform_user_id, wanted).json().get("data")
        for post in listed if isinstance(listed, list) else []:
            if isinstance(post, dict) and post.get("id") and happened_at(post.get("created_at"), sent_at) \
                    and _comes_after(str(post["id"]), draft.reply_to) and _is_ours(post, draft, media):
                return Published(str(post["id"]), self._permalink(app, draft, str(post["id"])))
        return Located.NOT_FOUND

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete one post; one that is gone already is fine."""
        with self.call(app, access_token, DELETE) as call:
            try:
                reply = call.delete(f"/2/tweets/{post_id}")
                data = reply.json().get("data")
                if isinstance(data, dict) and data.get("deleted") is True:
                    return
                raise without_data(call, reply)
            except Gone:
                return

    # ------------------------------------------------------------ answers

    def parse(self, body: Any) -> Parsed:
        """See `twitter_refusals`."""
        return parse(body)

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


def _kind(subscription: Any) -> str:
    """X writes the word None for an account without a subscription."""
    return PREMIUM if isinstance(subscription, str) and subscription not in ("", "None") else NORMAL


# ---------------------------------------------------------------- a post as X takes it and shows it


def _body(draft: Draft, media_ids: Sequence[str]) -> dict[str, Any]:
    """The post; X refuses properties it does not know, so nothing is sent that was not asked for."""
    body: dict[str, Any] = {}
    if draft.text or not media_ids:
        body["text"] = draft.text
    if media_ids:
        body["media"] = {"media_ids": list(media_ids)}
    if draft.poll is not None:
        options = [one.strip() for one in draft.poll.options if one.strip()]
        body["poll"] = {"options": options, "duration_minutes": draft.poll.minutes}
    if draft.reply_to:
        body["reply"] = {"in_reply_to_tweet_id": draft.reply_to}
    if draft.options.get("reply_settings"):
        body["reply_settings"] = draft.options["reply_settings"]
    if draft.options.get("made_with_ai") == YES and (draft.part == 0 or draft.files):
        body["made_with_ai"] = True  # what follows in a chain carries the label only with pictures of its own
    if draft.options.get("paid_partnership") == YES:
        body["paid_partnership"] = True
    return body


# X renamed these on the way to version 2.167 of its description; its guides still show the older names.
_NEWER = {"note_tweet": "note_post"}
# How X calls a parameter that it does not know: by the problem's type, by its title, or by neither.
_UNKNOWN_FIELD = ("invalid-request", "invalidrequest", "HTTP 400")


def _newest(call: Call, user_id: str, wanted: Sequence[str]) -> Reply:
    """The account's newest posts, asked for by the older name of the fields parameter first."""
    path = f"/2/users/{user_id}/tweets"
    try:
        return call.get(path, params={"max_results": 5, "tweet.fields": ",".join(wanted)})
    except TryLater as refused:
        if refused.code not in _UNKNOWN_FIELD:
            raise
    renamed = ",".join(_NEWER.get(one, one) for one in wanted)
    return call.get(path, params={"max_results": 5, "post.fields": renamed})


def _comes_after(post_id: str, earlier: str) -> bool:
    """Whether a post is newer than the one it should answer: X's ids grow, and a chain may repeat its words."""
    return not earlier or ((len(post_id), post_id) > (len(earlier), earlier))


def _is_ours(post: Mapping[str, Any], draft: Draft, media: set[str]) -> bool:
    """Whether a listed post is this draft: by its files where X names them, else by its text."""
    theirs = _inner(post, "attachments").get("media_keys")
    if media and isinstance(theirs, list):
        return bool(media & {str(one) for one in theirs})
    if theirs and not draft.files:
        return False  # the same words under somebody's picture
    note = _inner(post, "note_tweet") or _inner(post, "note_post")  # a long text stands there in full
    texts = [str(text) for text in (note.get("text"), post.get("text")) if text]
    # In a chain X may put the name of the account answered to before the text.
    texts += [text.removeprefix(f"@{draft.username} ") for text in texts if draft.reply_to and draft.username]
    return any(is_same(text, draft.text, _links(post), _links_in) for text in texts)


def _inner(post: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = post.get(name)
    return found if isinstance(found, dict) else {}


def _links(post: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the shortened links of a post lead."""
    urls = _inner(post, "entities").get("urls")
    return tuple(str(one.get("expanded_url") or "") for one in urls if isinstance(one, dict)) \
        if isinstance(urls, list) else ()


def _ends_in_ci(value: str) -> bool:
    """Whether a value decodes to a text that ends in `:ci`, as every Client ID of a confidential app does."""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).endswith(b":ci")
    except (ValueError, binascii.Error):
        return False
