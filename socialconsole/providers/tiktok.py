"""TikTok: one account per consent. Videos by bytes, photos by address, directly or into the person's inbox.

Vendor pages: developers.tiktok.com/doc/login-kit-web, …/doc/oauth-user-access-token-management,
…/doc/content-posting-api-reference-direct-post and its neighbours.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from authlib.common.urls import add_params_to_qs

from .. import outside
from ..errors import ConfigurationWrong, ContentRejected, NeedsReconnect, PermissionMissing, RateLimited
from .base import App, Consent, Profile, Renewal, Replay, Revoke, TokenSet, WebhookEvent
from .call import Call, stated_wait
from .content import VIDEO, Creator, Draft, Located, Problem, Progress, Published, Sent
from .matching import CLOCK_TOLERANCE, is_same
from .oauth2 import OAuth2Provider, TokenSession
from .refusals import PREPARE, PROFILES, PUBLISH, READ, RENEW, REVOKE, TOKEN, Answer, Parsed
from .shapes import Shape, like
from .tiktok_checks import problems
from .tiktok_errors import CAUSES
from .tiktok_media import (
    COMPLETE,
    FAILED,
    INBOX,
    RECEIVING,
    State,
    Upload,
    answered,
    ask,
    forget,
    is_ticked,
    mark_of,
    photo_init,
    state_of,
    units,
    video_init,
)
from .tiktok_paste import PASTE
from .tiktok_portal import (
    BASIC,
    CONSEQUENCES,
    DIRECT,
    DRAFTS,
    FEATURES,
    FIELDS,
    FORMATS,
    GUIDES,
    LABELS,
    LEVELS,
    LIFETIMES,
    LIST,
    LOOK,
    OPTIONS,
    PHOTOS_DIRECT,
    PROFILE,
    PUBLIC,
    SCOPES,
    STATS,
    TEXT_LIMIT,
    VIDEO_DIRECT,
    VIDEO_INBOX,
)
from .tiktok_probe import PROBE
from .tiktok_refusals import (
    AUTH_REMOVED,
    BLOCKED,
    MINUTE,
    NO_SCOPE,
    NOT_OFFERED,
    NOT_TICKED,
    PASSING,
    ROWS,
    failure,
    parse,
    removed,
)
from .tiktok_webhook import POST, webhook

# One field beyond the granted scopes fails the whole call (developers.tiktok.com/doc/tiktok-api-v2-get-user-info).
_USER_FIELDS = {
    BASIC: ("open_id", "union_id", "avatar_url", "display_name"),
    PROFILE: ("username", "profile_deep_link", "is_verified"),
    STATS: ("follower_count", "following_count", "likes_count", "video_count"),
}
_KEPT = ("union_id", "is_verified", *_USER_FIELDS[STATS])
_FORM = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
_CLOSED = {"comment_disabled": ("allow_comment", "Comments"), "duet_disabled": ("allow_duet", "Duets"),
           "stitch_disabled": ("allow_stitch", "Stitches")}

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=1)
_FOR_PERSON = timedelta(minutes=15)  # between two questions whether a draft was finished on the phone
_SLOW_PAUSE, _QUICK_QUESTIONS = timedelta(minutes=5), 8
_ID_WITHIN, _ID_OF_DRAFT_WITHIN = timedelta(hours=2), timedelta(minutes=10)
_IN_INBOX = "It is in the TikTok inbox: open TikTok on the phone, then Inbox, then the system notification."
_ID_FOLLOWS = "It is published on TikTok. Its link follows when TikTok has checked it."
_NO_ID = "It is published on TikTok, which gives a link only to public posts that it has checked."


class TikTok(OAuth2Provider):
    """Whoever is signed in at tiktok.com in that browser; the consent page shows who that is."""

    slug, name, tile = "tiktok", "TikTok", "Tt"
    hosts = {"web": "https://www.tiktok.com", "api": "https://open.tiktokapis.com"}
    answer_hosts = (".tiktokapis.com",)  # the upload address: open-upload.tiktokapis.com and its regional kin
    client_id_label, client_secret_label = "Client key", "Client secret"
    client_id_help = "From Credentials. A key that begins with sb belongs to TikTok's own sandbox."
    # Client keys are short and mixed; the long number in the portal is the App ID.
    client_id_shape = Shape(fits_not=((r"\d{15,}", "This is the App ID. Paste the Client key from Credentials here."),),
                            belongs=like(r"(sb)?a?w?[a-z0-9]{14,18}"))
    client_secret_shape = Shape(belongs=like(r"[A-Za-z0-9]{32}"))
    callback_label = "Redirect URI"
    options, scopes, features, guides, scope_consequences = OPTIONS, SCOPES, FEATURES, GUIDES, CONSEQUENCES
    scope_separator = ","

    authorize = ("web", "/v2/auth/authorize/")  # the slash belongs to it
    token = ("api", "/v2/oauth/token/")
    requirement = "A TikTok account, set to private for as long as TikTok has not audited the app."
    before_consent = ("The account signed in at tiktok.com in this browser is connected: look at the name on TikTok's "
                      "page before you allow it.")
    refusals = ROWS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PROBE
    paste = PASTE

    renewal, replay = Renewal.ROTATES, Replay.STRICT
    renew_between = (0.8, 0.85)  # below a fifth of the lifetime, which is more than ten minutes of any known one
    revoke_kind = Revoke.PERSON  # it takes the app off the TikTok account
    revoke_where = "TikTok app → Settings and privacy → Security & permissions → Apps and services permissions"

    calls_back, serves_files = ("webhook",), True
    proof_file, proof_name = True, r"tiktok[A-Za-z0-9_-]+\.txt"

    text_limit = TEXT_LIMIT
    # A publish id answers at once; photos can only be looked for in a list, where they stand after their moderation.
    looks = (timedelta(seconds=10), timedelta(minutes=2), timedelta(minutes=15))
    publish_needs = {"": (DIRECT,)}
    profile_needs = {"": (BASIC,)}
    formats, fields, look = FORMATS, FIELDS, LOOK
    asks_creator = True

    def needs_to_publish(self, mode: str, kind: str = "") -> tuple[str, ...]:
        """None for all: each format names its own, since an account may allow the inbox alone."""
        return ()

    # ------------------------------------------------------------ connect

    def wants_pkce(self, app: App) -> bool:
        """Only Desktop apps need it; for Web apps the vendor's table does not know it."""
        return app.options.get("pkce", "").strip().lower() == "s256_hex"

    def authorization_url(self, app: App, state: str, verifier: str | None, *,
                          again: bool | str = False) -> str:
        """The consent page, with `client_key` for `client_id`. It is shown even to somebody who allowed us before:
        otherwise TikTok silently takes the last account."""
        query = {"client_key": app.client_id, "response_type": "code", "scope": app.scopes,
                 "redirect_uri": app.redirect_uri, "state": state, "disable_auto_auth": "1"}
        if verifier and self.wants_pkce(app):
            # In hexadecimal, other than RFC 7636 says (developers.tiktok.com/doc/login-kit-desktop).
            query |= {"code_challenge": hashlib.sha256(verifier.encode()).hexdigest(), "code_challenge_method": "S256"}
        return f"{self.address(app, self.authorize)}?{urlencode(query, safe='', quote_via=quote)}"

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """Some faults of the app's set-up look like a person who said no."""
        if query.get("error_type") == "non_sandbox_target":
            raise ConfigurationWrong(
                "This TikTok account is not a Target user of the sandbox, or another account is signed in. Add it "
                "under Sandbox settings, which may take an hour, or try a private window.", "non_sandbox_target")
        if query.get("error") == "invalid_scope":
            raise ConfigurationWrong(NO_SCOPE, "invalid_scope", field="scope_override")
        super().read_refusal(query)

    def exchange(self, app: App, code: str, verifier: str | None) -> TokenSet:
        """The tokens for a code."""
        sent = {"code_verifier": verifier} if verifier and self.wants_pkce(app) else {}

        def fetch(session: TokenSession) -> Any:
            session.token_endpoint_auth_method = _with_key
            return session.fetch_token(self.address(app, self.token), grant_type="authorization_code", code=code,
                                       redirect_uri=app.redirect_uri, headers=_FORM, **sent)
        return self._ask(app, TOKEN, (code, verifier or ""), fetch)

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """A new pair: the old refresh token is dead from then on."""
        held = tokens.refresh_token or ""

        def fetch(session: TokenSession) -> Any:
            session.token_endpoint_auth_method = _with_key
            return session.refresh_token(self.address(app, self.token), refresh_token=held, headers=_FORM)
        newer = self._ask(app, RENEW, (held, tokens.access_token), fetch)
        return newer if newer.refresh_token else TokenSet(
            newer.access_token, tokens.refresh_token, newer.expires_in, newer.refresh_expires_in, newer.scopes)

    def read_tokens(self, body: Any, app: App, step: str, secrets: tuple[str, ...] = ()) -> TokenSet:
        """The flat answer. Refusals come with 200, 400 or 401: only a token is a success."""
        plain = dict(body) if isinstance(body, dict) else {}
        if not plain.get("access_token") and not isinstance(plain.get("error"), str) and parse(plain).codes:
            plain = {"error": parse(plain).codes[0], "error_description": parse(plain).text}
        if "refresh_expires_in" in plain:
            plain["refresh_token_expires_in"] = plain["refresh_expires_in"]
        return super().read_tokens(plain, app, step, secrets)

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """One account: the person is the profile."""
        tokens = self.exchange(app, code, verifier)
        if tokens.scopes is not None and BASIC not in tokens.scopes:
            raise PermissionMissing(NOT_TICKED.format(scope=BASIC), "scope_not_authorized", scopes=(BASIC,))
        profile = self._user(app, tokens.access_token, PROFILES, tokens.scopes)
        return Consent(tokens, profile.platform_user_id, profile.display_name, tokens.scopes, (profile,))

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The account that the token belongs to."""
        return self._user(app, access_token, READ, None)

    def _user(self, app: App, access_token: str, step: str, granted: Collection[str] | None) -> Profile:
        """The account, with as many fields as its scopes allow. Where those are not known, those of the app are tried
        first and fewer then."""
        asked = {BASIC, *(app.scopes.split(",") if granted is None else granted)} & _USER_FIELDS.keys()
        fewer = [one for one in ({BASIC, PROFILE}, {BASIC}) if one < asked] if granted is None else []
        tries = [asked, *fewer]
        for scopes in tries[:-1]:
            try:
                return self._read_user(app, access_token, step, scopes)
            except PermissionMissing:
                continue
        return self._read_user(app, access_token, step, tries[-1])

    def _read_user(self, app: App, access_token: str, step: str, scopes: Collection[str]) -> Profile:
        fields = [field for scope, names in _USER_FIELDS.items() if scope in scopes for field in names]
        with self._calling(app, access_token, step, BASIC) as call:
            user = answered(call, call.get("/v2/user/info/", params={"fields": ",".join(fields)})).get("user")
            if not isinstance(user, dict) or not str(user.get("open_id") or ""):
                raise call.unclear()
        open_id, username = str(user["open_id"]), str(user.get("username") or "")
        return Profile(
            open_id, username, str(user.get("display_name") or username or open_id), "TikTok account",
            self._home(app, username) or str(user.get("profile_deep_link") or ""), str(user.get("avatar_url") or ""),
            {key: user[key] for key in _KEPT if key in user})

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Take the app off the TikTok account. Only a living access token can: one that ran out is renewed first."""
        try:
            self._revoke(app, tokens.access_token)
        except NeedsReconnect:
            if not tokens.refresh_token:
                return
            try:
                newer = self.renew(app, tokens)
            except NeedsReconnect:
                return  # it is gone already
            self._revoke(app, newer.access_token)

    def _revoke(self, app: App, access_token: str) -> None:
        with self.call(app, "", REVOKE) as call:
            reply = call.post("/v2/oauth/revoke/", form={
                "client_key": app.client_id, "client_secret": app.client_secret, "token": access_token})
            if parse(reply.body).codes not in ((), ("ok",)):
                raise call.refused(reply)

    # ------------------------------------------------------------ check

    def count(self, text: str) -> int:
        """UTF-16 units: an emoji counts two or more."""
        return units(text)

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """The rules of TikTok's audit, and numbers that fit the files."""
        return problems(draft)

    def notes(self, draft: Draft) -> tuple[str, ...]:
        """How TikTok will label the post; to be shown only once something is ticked (guidelines, point 3)."""
        if draft.format not in (VIDEO_DIRECT, PHOTOS_DIRECT) or not is_ticked(draft, "disclosure"):
            return ()
        ticked = [name for name in ("branded_content", "your_brand") if is_ticked(draft, name)]
        thing = "video" if draft.format == VIDEO_DIRECT else "photo"
        return (f"Your {thing} will be labeled as “{LABELS[ticked[0]]}”.",) if ticked else ()

    def creator(self, app: App, access_token: str, platform_user_id: str) -> Creator:
        """What may be chosen now. What stands in the way of direct posts stands at their consent, so that the inbox
        stays open; an account that allowed only the inbox has nothing to choose."""
        try:
            with self._calling(app, access_token, READ, DIRECT) as call:
                data = ask(call, "creator_info/query/")
        except PermissionMissing:
            return Creator("")
        except RateLimited as full:
            if full.code not in BLOCKED:
                raise
            return Creator("", off={"consent": full.message})
        return Creator(
            str(data.get("creator_nickname") or data.get("creator_username") or ""),
            str(data.get("creator_avatar_url") or ""),
            {"privacy_level": tuple((one, LEVELS.get(one, one)) for one in _levels(data))},
            {field: f"{words} are turned off in the settings of this TikTok account."
             for name, (field, words) in _CLOSED.items() if data.get(name) is True},
            _seconds(data))

    # ------------------------------------------------------------ publish

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Ask the creator once more, announce a video and send all of it but the last chunk."""
        is_video, needs = draft.format in (VIDEO_DIRECT, VIDEO_INBOX), _needs(draft)
        with self._calling(app, access_token, PREPARE, needs) as call:
            if not is_video:
                self._ask_creator(call, draft, progress)
                return
            upload = Upload(call, draft.file, progress)
            # What the creator closed is not part of the mark: it may change, the author's wish did not.
            mark = mark_of(*video_init(draft, ()), draft.file)
            if not upload.stands(mark):
                closed = self._ask_creator(call, draft, progress)
                upload.begin(*video_init(draft, closed), mark)
            upload.send_most()

    def _ask_creator(self, call: Call, draft: Draft, progress: Progress) -> tuple[str, ...]:
        """Right before sending: may this be posted as it was chosen? What the creator closed. Direct posts only."""
        if draft.format not in (VIDEO_DIRECT, PHOTOS_DIRECT):
            return ()
        if not draft.options.get("privacy_level") or not is_ticked(draft, "consent"):
            raise ContentRejected("TikTok needs to know who can see this, and that you agree to its terms. Choose "
                                  "again.", "no_consent", field="consent")
        data = ask(call, "creator_info/query/")
        if draft.options["privacy_level"] not in _levels(data):
            raise ContentRejected(NOT_OFFERED, "privacy_level_option_mismatch", field="privacy_level")
        most = _seconds(data)
        for file in draft.files:
            if file.kind == VIDEO and most and file.seconds and file.seconds > most * 1.001:
                raise ContentRejected(f"TikTok takes videos up to {most:g} seconds from this account; this one lasts "
                                      f"{file.seconds:.4g}.", "too_long", field="files")
        closed = tuple(field for name, (field, _) in _CLOSED.items() if data.get(name) is True)
        progress.keep(creator=str(data.get("creator_username") or "") or None, closed=list(closed))
        return closed

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Sent:
        """The last chunk of a video; for photos the announcement, after which TikTok fetches them."""
        with self._calling(app, access_token, PUBLISH, _needs(draft)) as call:
            if draft.format in (VIDEO_DIRECT, VIDEO_INBOX):
                Upload(call, draft.file, progress).send_last()
                return Sent(str(progress.get("publish")), again_in=_FIRST_PAUSE)
            data = ask(call, "content/init/", photo_init(draft, progress.get("closed") or ()))
            if not str(data.get("publish_id") or ""):
                raise call.unclear()
        return Sent(str(data["publish_id"]), again_in=_FIRST_PAUSE)

    def follow(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent: Sent) -> Published | Sent | Located:
        """Ask what became of it: every 5 seconds at first, every minute later."""
        with self._calling(app, access_token, READ, _needs(draft)) as call:
            state = state_of(call, sent.id)
        return self._became(app, draft, progress, sent.id, state)

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Sent | Located:
        """A video by the id that its announcement gave. Photos have none; public ones may stand in the list."""
        publish = str(progress.get("publish") or "")
        if draft.format not in (VIDEO_DIRECT, VIDEO_INBOX):
            return self._find(app, access_token, draft, sent_at)
        if not publish:
            return Located.CANNOT_LOOK
        with self._calling(app, access_token, READ, _needs(draft)) as call:
            state = state_of(call, publish)
        if state.status == RECEIVING and state.uploaded is not None and state.uploaded < draft.file.size:
            if progress.get("gone"):
                forget(progress)  # nothing can complete that upload any more
            return Located.NOT_PUBLISHED
        return self._became(app, draft, progress, publish, state)

    def _became(self, app: App, draft: Draft, progress: Progress, publish: str,
                state: State) -> Published | Sent | Located:
        """The meaning of a state. Raises ContentRejected for a post that came to nothing, NeedsReconnect where that is
        because the access was taken back."""
        if state.status == FAILED:
            if state.reason == AUTH_REMOVED:  # asked again once it is connected again: nothing is forgotten
                raise removed()
            forget(progress)  # a new try begins anew
            if state.reason in PASSING and not progress.get("again"):
                progress.keep(again=True)
                return Located.NOT_PUBLISHED
            raise failure(state.reason)
        if state.status == INBOX:
            return Sent(publish, note=_IN_INBOX, again_in=_FOR_PERSON, waits_for_person=True)
        username = str(progress.get("creator") or "") or draft.username
        if state.status == COMPLETE and state.ids:
            kind = "video" if draft.format in (VIDEO_DIRECT, VIDEO_INBOX) else "photo"
            link = f"{self._home(app, username)}/{kind}/{quote(state.ids[0], safe='')}" if username else ""
            return Published(state.ids[0], link)
        asked = int(progress.get("asked", 0)) + 1
        pause = min(_FIRST_PAUSE * 2 ** min(asked, 10), _LONGEST_PAUSE)
        if state.status != COMPLETE:
            progress.keep(asked=asked)
            return Sent(publish, again_in=pause)
        done_at = progress.get("done_at") or outside.now().isoformat()
        if outside.now() - datetime.fromisoformat(done_at) >= _patience(draft):
            return Published(publish, self._home(app, username), _NO_ID)
        asked = asked if progress.get("done_at") else 1
        progress.keep(asked=asked, done_at=done_at)
        return Sent(publish, self._home(app, username), _ID_FOLLOWS, pause if asked < _QUICK_QUESTIONS else _SLOW_PAUSE)

    def _find(self, app: App, access_token: str, draft: Draft, sent_at: datetime) -> Published | Located:
        """Look among the account's newest public posts, where it lets us read them."""
        wanted = [text for text in (draft.text, draft.options.get("title", "")) if text.strip()]
        if (draft.format != PHOTOS_DIRECT or draft.options.get("privacy_level") != PUBLIC or not wanted
                or LIST not in app.scopes.split(",")):
            return Located.CANNOT_LOOK
        try:
            with self._calling(app, access_token, READ, LIST) as call:
                data = answered(call, call.post(
                    "/v2/video/list/", params={"fields": "id,create_time,share_url,title,video_description"},
                    json={"max_count": 20}, headers={"Content-Type": "application/json; charset=UTF-8"}))
        except PermissionMissing:
            return Located.CANNOT_LOOK
        listed = data.get("videos")
        earliest = (sent_at - CLOCK_TOLERANCE).timestamp()
        for post in listed if isinstance(listed, list) else []:
            if isinstance(post, dict) and post.get("id") and _moment(post.get("create_time")) >= earliest and any(
                    is_same(post.get(name), text) for name in ("video_description", "title") for text in wanted):
                return Published(str(post["id"]), str(post.get("share_url") or ""))
        return Located.NOT_FOUND

    def _home(self, app: App, username: str) -> str:
        """The profile's page; empty where the handle is not known."""
        return f"{app.hosts['web']}/@{quote(username, safe='')}" if username else ""

    # ------------------------------------------------------------ answers

    def webhook(self, app: App, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent | None:
        """A notice that is signed with this app's secret, and about this app."""
        event = webhook(app.client_secret, headers, body, now)
        if event is None or event.client_key != app.client_id:
            return None
        kind = "post.changed" if event.name.startswith(POST) else event.name
        return WebhookEvent(kind, event.open_id, event.publish_id, event.at)

    @contextmanager
    def _calling(self, app: App, access_token: str, step: str, scope: str) -> Iterator[Call]:
        """Calls that need a scope: TikTok says that one is missing, and not which."""
        try:
            with self.call(app, access_token, step) as call:
                yield call
        except PermissionMissing as error:
            if error.code != "scope_not_authorized":
                raise
            raise PermissionMissing(NOT_TICKED.format(scope=scope), error.code, scopes=(scope,)) from None
        except ConfigurationWrong as error:
            if error.code != "scope_permission_missed":
                raise
            raise ConfigurationWrong(f"The TikTok app itself lacks {scope}.", error.code) from None

    def parse(self, body: Any) -> Parsed:
        """See `tiktok_refusals`."""
        return parse(body)

    def rate_limited(self, answer: Answer) -> RateLimited:
        """TikTok counts by the minute."""
        return RateLimited("TikTok asked us to wait a minute.", answer.code, until=stated_wait(answer.headers, MINUTE))


def _with_key(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """The client's proof under TikTok's names, for Authlib."""
    return uri, headers, add_params_to_qs(body or "", [("client_key", client.client_id),
                                                       ("client_secret", client.client_secret)])


def _needs(draft: Draft) -> str:
    """The scope that a format lives by."""
    return DIRECT if draft.format in (VIDEO_DIRECT, PHOTOS_DIRECT) else DRAFTS


def _patience(draft: Draft) -> timedelta:
    """How long the id of a published post may take: only public posts get one. Of a draft nobody knows how its person
    published it."""
    if _needs(draft) == DRAFTS:
        return _ID_OF_DRAFT_WITHIN
    return _ID_WITHIN if draft.options.get("privacy_level") == PUBLIC else timedelta(0)


def _levels(data: Mapping[str, Any]) -> list[str]:
    listed = data.get("privacy_level_options")
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []


def _seconds(data: Mapping[str, Any]) -> float | None:
    """The longest video that the creator may post."""
    value = data.get("max_video_post_duration_sec")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _moment(value: Any) -> float:
    """A time in seconds; the beginning of time for anything else."""
    return float(value) if isinstance(value, int | float) else 0.0
