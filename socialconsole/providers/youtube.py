"""YouTube: one channel per consent, through Google's OAuth; a video is published by its last chunk.

Vendor pages: developers.google.com/identity/protocols/oauth2/web-server, developers.google.com/youtube/v3/docs.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from .. import outside
from ..errors import (
    ADMIN,
    EXPIRED,
    PERMISSION_MISSING,
    AttemptFailed,
    ContentRejected,
    Declined,
    NeedsReconnect,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from .base import App, Consent, Profile, Renewal, Replay, Revoke, TokenSet
from .call import Call
from .content import Draft, File, Located, Problem, Progress, Published, Sent
from .oauth2 import OAuth2Provider
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, REVOKE, TOKEN, Parsed
from .shapes import Shape, like
from .youtube_answers import BOX, GONE_ALREADY, NO_CHANNEL, REFUSALS, differences, is_processed, listed, parsed
from .youtube_checks import faults
from .youtube_errors import CAUSES
from .youtube_media import DONE, GONE, Body, Upload, forget
from .youtube_paste import PASTE
from .youtube_portal import (
    CONSEQUENCES,
    FEATURES,
    FIELDS,
    FORMATS,
    GUIDES,
    LIFETIMES,
    LOOK,
    MANAGE,
    OPTIONS,
    READONLY,
    READS_CHANNEL,
    SCOPES,
    TEXT_LIMIT,
    UPLOAD,
)
from .youtube_probe import PROBE

_ID = r"[0-9a-zA-Z_-]+\.apps\.googleusercontent\.com"
_UNKNOWN_PERSON = "channel:"  # before a channel's id, where Google did not tell who consented
_TESTING = "The Google app is in Testing, which ends permissions after 7 days. Publish the app, then connect."

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=5)
_THUMBNAIL_TRIES = 3
_MOST_MISSED = 5


@dataclass(frozen=True)
class _Tokens(TokenSet):
    """The answer to an exchange, with Google's id of whoever consented."""

    person: str = ""


class YouTube(OAuth2Provider):
    """The channel is chosen inside Google's consent, and the token speaks for that channel alone."""

    slug, name, tile = "youtube", "YouTube", "Yt"
    hosts = {"web": "https://www.youtube.com", "consent": "https://accounts.google.com",
             "token": "https://oauth2.googleapis.com", "api": "https://www.googleapis.com",
             "analytics": "https://youtubeanalytics.googleapis.com"}
    answer_hosts = (".googleapis.com",)  # a session may live on another one of Google's API hosts
    client_id_label, client_secret_label = "Client ID", "Client secret"
    client_id_help = "Ends in .apps.googleusercontent.com."
    client_id_shape = Shape(_ID, "A Google Client ID ends in .apps.googleusercontent.com. Copy it from Clients.",
                            belongs=like(_ID))
    # Secrets made before 2021 have no prefix, so its absence proves nothing.
    client_secret_shape = Shape(belongs=like(r"GOCSPX-.+"))
    callback_label = "Authorized redirect URI"
    options, scopes, features, guides, scope_consequences = OPTIONS, SCOPES, FEATURES, GUIDES, CONSEQUENCES

    pkce = True
    authorize = ("consent", "/o/oauth2/v2/auth")
    token = ("token", "/token")
    declined_codes = ("access_denied",)
    requirement = "A Google account with a YouTube channel."
    before_consent = ("Sign in as owner or brand manager of the channel, choose it, and tick every box. Connect once "
                      "for each channel.")
    refusals = REFUSALS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PROBE
    paste = PASTE

    renewal, replay = Renewal.REFRESH, Replay.REUSABLE
    renew_between = (0.834, 0.917)  # 10 to 5 minutes before the end of the hour
    revoke_kind = Revoke.PERSON  # all channels of that Google identity, and all clients of the Cloud project
    revoke_url = "https://myaccount.google.com/connections"
    revoke_where = "myaccount.google.com/connections"

    text_limit = TEXT_LIMIT
    judged_by = ("long_uploads",)
    looks = (timedelta(seconds=5), timedelta(minutes=1))  # the session itself is asked, and knows
    publish_needs = {"": (UPLOAD,)}
    formats, fields, look = FORMATS, FIELDS, LOOK
    delete_needs = {"": (MANAGE,)}

    def needs_to_read(self, mode: str, granted: Collection[str] | None) -> tuple[str, ...]:
        """Any of several scopes reads the channel."""
        return () if granted is not None and READS_CHANNEL & set(granted) else (READONLY,)

    # ------------------------------------------------------------ connect

    def authorize_parameters(self, app: App, again: bool | str) -> dict[str, Any]:
        """Offline with a fresh consent, or Google gives no refresh token; and always the chooser of channels."""
        # No `include_granted_scopes`: the token would also speak for what was given in other workspaces.
        return {"access_type": "offline", "prompt": "consent select_account"}

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """An organization may forbid the app for all its people."""
        if query.get("error") == "admin_policy_enforced":
            raise Declined("Access was not allowed, by you or by your organization's Google administrator.",
                           "admin_policy_enforced")
        super().read_refusal(query)

    def read_tokens(self, body: Any, app: App, step: str, secrets: tuple[str, ...] = ()) -> TokenSet:
        """The token set; of an exchange also whose it is."""
        tokens = super().read_tokens(body, app, step, secrets)
        return _Tokens(**vars(tokens), person=_subject(body.get("id_token"))) if step == TOKEN else tokens

    def exchange(self, app: App, code: str, verifier: str | None) -> TokenSet:
        """The tokens for a code. Without a refresh token the connection would end within the hour."""
        tokens = super().exchange(app, code, verifier)
        if not tokens.refresh_token:
            raise AttemptFailed("Google gave no lasting permission. Connect again and confirm the consent page.",
                                "no_refresh_token")
        return tokens

    def revoke_reach(self, client_id: str) -> str:
        """A permission belongs to the Cloud project: its number begins the id of each of its clients."""
        return re.split(r"[-.]", client_id, maxsplit=1)[0]

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """One channel: the one that was chosen at Google."""
        answer = self.exchange(app, code, verifier)
        if answer.scopes is not None and not answer.scopes & READS_CHANNEL:
            raise PermissionMissing(BOX.format("youtube.readonly"), "youtube.readonly", scopes=(READONLY,))
        profile = self._channel(app, answer.access_token, PROFILES)
        profile = replace(profile, meta={**profile.meta, **_ending(answer, app)})
        person = answer.person if isinstance(answer, _Tokens) else ""
        tokens = TokenSet(answer.access_token, answer.refresh_token, answer.expires_in, answer.refresh_expires_in,
                          answer.scopes)
        return Consent(tokens, person or _UNKNOWN_PERSON + profile.platform_user_id, profile.display_name,
                       answer.scopes, (profile,), profile_id=profile.platform_user_id)

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The channel that the token speaks for."""
        found = self._channel(app, access_token, READ)
        if found.platform_user_id != platform_user_id:
            raise NeedsReconnect(f"This sign-in speaks for another channel now, {found.display_name}. Connect again "
                                 "and choose the right one.", "other_channel", reason=PERMISSION_MISSING)
        return found

    def _channel(self, app: App, access_token: str, step: str) -> Profile:
        with self.call(app, access_token, step) as call:
            items = listed(call, call.get("/youtube/v3/channels", params={
                "part": "id,snippet,statistics,status,contentDetails", "mine": "true"}))
        items = [one for one in items if one.get("id")]
        if not items:
            raise NeedsReconnect(NO_CHANNEL, "no_channel", reason=PERMISSION_MISSING)
        return _described(app, items[0])

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """A fresh access token; the refresh token stays. An app in Testing loses it after seven days."""
        try:
            return super().renew(app, tokens)
        except NeedsReconnect as refused:
            if refused.code == "invalid_grant" and _is_testing(app, tokens.refresh_expires_in):
                raise NeedsReconnect(_TESTING, refused.code, ADMIN, reason=EXPIRED) from None
            raise

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Take back all that this Google identity allowed; a permission that is gone already is fine."""
        if person_id.startswith(_UNKNOWN_PERSON):
            raise PermissionMissing("Google did not tell whose permission it is, so other channels may live by it.",
                                    "unknown_person")
        with self.call(app, "", REVOKE, host="token") as call:
            try:
                call.post("/revoke", form={"token": tokens.refresh_token or tokens.access_token})
            except NeedsReconnect:
                return

    # ------------------------------------------------------------ check

    def count(self, text: str) -> int:
        """Bytes: a letter with an accent counts two, an emoji four."""
        return len(text.encode())

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """What would be refused only after a long upload."""
        return [Problem(field, sentence) for field, sentence in faults(draft)]

    # ------------------------------------------------------------ publish

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Open the session and send all but the last chunk, from where an earlier try left it."""
        if progress.get("video"):
            return
        with self.call(app, access_token, PREPARE) as call:
            upload = Upload(call, draft.file, progress)
            upload.begin(draft)
            upload.send_most()

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Sent:
        """The last chunk: with it the video exists."""
        with self.call(app, access_token, PUBLISH) as call:
            video = str(progress.get("video") or "") or Upload(call, draft.file, progress).send_rest()
        return self._sent(app, video)

    def _sent(self, app: App, video: str, again_in: timedelta = _FIRST_PAUSE) -> Sent:
        permalink = f"{app.hosts['web']}/watch?v={quote(video, safe='')}"
        return Sent(video, permalink, "YouTube has the video and is processing it.", again_in)

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Sent | Located:
        """Ask the session: it repeats its final answer, or says that bytes are missing."""
        if not progress.get("session"):
            return Located.CANNOT_LOOK
        with self.call(app, access_token, READ) as call:
            state = Upload(call, draft.file, progress).ask()
        if state is GONE:
            return Located.NOT_FOUND
        return self._sent(app, str(progress.get("video"))) if state is DONE else Located.NOT_PUBLISHED

    def follow(self, app: App, access_token: str, draft: Draft, progress: Progress, sent: Sent) -> Published | Sent:
        """Ask after the processing, in pauses of 15 seconds growing to 5 minutes; then set the thumbnail."""
        with self.call(app, access_token, READ) as call:
            found = listed(call, call.get("/youtube/v3/videos", params={
                "part": "status,processingDetails,contentDetails", "id": sent.id}))
        video = found[0] if found else {}
        asked, missed = int(progress.get("asked", 0)) + 1, 0 if video else int(progress.get("missed", 0)) + 1
        try:
            # A new video may be missing in a list for a moment.
            done = is_processed(video, is_gone=missed > _MOST_MISSED)
        except ContentRejected:
            forget(progress)  # a new try needs a new upload
            raise
        if not done:
            progress.keep(asked=asked, missed=missed)
            return self._sent(app, sent.id, min(_FIRST_PAUSE * 2 ** min(asked, 10), _LONGEST_PAUSE))
        notes = differences(draft, video)
        cover = draft.extra_files.get("thumbnail")
        if cover is not None:
            try:
                notes += self._set_thumbnail(app, access_token, sent.id, cover, progress)
            except TryLater:
                return self._sent(app, sent.id, timedelta(minutes=1))
        return Published(sent.id, self._sent(app, sent.id).permalink, " ".join(notes))

    def _set_thumbnail(self, app: App, access_token: str, video: str, cover: File, progress: Progress) -> list[str]:
        """Set the thumbnail; what went wrong in words. The video is out: no trouble here may look like a failure.

        Raises TryLater for a passing fault, a few times.
        """
        tries = int(progress.get("tries", 0)) + 1
        progress.keep(tries=tries)
        try:
            with self.call(app, access_token, PREPARE) as call:
                _upload_thumbnail(call, app, video, Body(cover, 0, cover.size, progress.alive), cover.type)
        except TryLater as trouble:
            if tries < _THUMBNAIL_TRIES:
                raise
            return [_without_thumbnail(trouble)]
        except PlatformError as refused:
            return [_without_thumbnail(refused)]
        return []

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete a video; one that is gone already is fine."""
        with self.call(app, access_token, DELETE) as call:
            try:
                call.delete("/youtube/v3/videos", params={"id": post_id})
            except ContentRejected as refused:
                if refused.code not in GONE_ALREADY:
                    raise

    # ------------------------------------------------------------ answers

    def parse(self, body: Any) -> Parsed:
        """Google's error envelope, and OAuth's own form."""
        return parsed(body) or super().parse(body)


def _subject(id_token: Any) -> str:
    """Google's id of the person. Not verified: it came straight from Google's token endpoint over TLS, which OpenID
    Connect takes as proof enough (Core 1.0, 3.1.3.7, point 6)."""
    parts = id_token.split(".") if isinstance(id_token, str) else []
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return ""
    return str(claims.get("sub") or "") if isinstance(claims, dict) else ""


def _is_testing(app: App, seconds: int | None) -> bool:
    """Whether the app's consent screen is in Testing: Google then ends a refresh token after 604,800 seconds."""
    by_answer = seconds is not None and seconds <= 7 * 86400
    return by_answer or app.options.get("consent_status", "").strip().lower() == "testing"


def _ending(tokens: TokenSet, app: App) -> dict[str, str]:
    """When the permission ends, for the profile: empty texts where Google names no end."""
    if tokens.refresh_expires_in is None:
        return {"ends_on": "", "notice": ""}
    end = outside.now() + timedelta(seconds=tokens.refresh_expires_in)
    day = f"{end.day} {end:%B %Y}"
    why = "The Google app is in Testing, so this connection" if _is_testing(app, tokens.refresh_expires_in) else \
        "Google gave this permission for a limited time: it"
    cure = " An admin publishes the app in Google Auth Platform, Audience; then connect again." \
        if _is_testing(app, tokens.refresh_expires_in) else " Connect again before."
    return {"ends_on": f"{end:%Y-%m-%d}", "notice": f"{why} ends on {day}.{cure}"}


def _described(app: App, channel: Mapping[str, Any]) -> Profile:
    def part(name: str, of: Mapping[str, Any] = channel) -> Mapping[str, Any]:
        value = of.get(name)
        return value if isinstance(value, dict) else {}

    snippet, statistics, status, channel_id = part("snippet"), part("statistics"), part("status"), str(channel["id"])
    pictures = part("thumbnails", snippet)  # empty for up to a day on a new channel
    picture = next((str(part(size, pictures).get("url")) for size in ("high", "medium", "default")
                    if part(size, pictures).get("url")), "")
    handle = str(snippet.get("customUrl") or "")
    kept = {"uploads": part("relatedPlaylists", part("contentDetails")).get("uploads"),
            "subscribers": None if statistics.get("hiddenSubscriberCount") else statistics.get("subscriberCount"),
            "videos": statistics.get("videoCount"), "views": statistics.get("viewCount"),
            "long_uploads": status.get("longUploadsStatus"), "made_for_kids": status.get("madeForKids")}
    return Profile(channel_id, handle.removeprefix("@"), str(snippet.get("title") or handle or channel_id),
                   "YouTube channel", f"{app.hosts['web']}/channel/{channel_id}", picture,
                   {name: value for name, value in kept.items() if value is not None})


def _upload_thumbnail(call: Call, app: App, video: str, picture: Body, type: str) -> None:
    """The bytes of the picture as they are (thumbnails.set); Shorts take one only after their processing."""
    address = f"{app.hosts['api']}/upload/youtube/v3/thumbnails/set?videoId={quote(video, safe='')}"
    call.upload("POST", address, picture, headers={"Content-Type": type})


def _without_thumbnail(error: PlatformError) -> str:
    """Why a video has another thumbnail than the one that was chosen, and what helps."""
    cure = "Open it in YouTube Studio and set it there."
    if error.code == "forbidden":
        cure = "Custom thumbnails need a channel verified at youtube.com/verify; then set it in YouTube Studio."
    elif isinstance(error, RateLimited):
        cure = "A limit is reached for today: set it in YouTube Studio tomorrow."
    return f"The video is online, but its thumbnail differs from the one you chose. {cure}"
