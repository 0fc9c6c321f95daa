"""Threads, Meta's text network: a post is a container first and public only after a second call.

The app owns an id and a secret of its own beside those of the Meta app. Vendor pages:
developers.facebook.com/documentation/threads/get-started/get-access-tokens-and-permissions, …/threads/posts.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from .. import outside
from ..errors import ConfigurationWrong, Declined, PlatformError
from .base import App, Consent, Draft, Located, Profile, Published, Renewal, Replay, TextLimit, TokenSet, Wait
from .call import Call, refusal
from .content import IMAGE, VIDEO, Field, Format, ImageRule, Look, PollRule, Problem, Progress, Tally, VideoRule
from .meta import META_ID, META_SECRET, MetaProvider
from .oauth2 import split_scopes
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, RENEW, TOKEN, Parsed, Refusal, redact
from .threads_errors import CAUSES
from .threads_media import CAROUSEL, LINK, LIVE_SOMEWHERE, POLL, Workshop
from .threads_paste import PASTE
from .threads_portal import (
    BASIC,
    CONSEQUENCES,
    DELETE_POSTS,
    FEATURES,
    GUIDE,
    LIFETIMES,
    PLACES,
    PUBLISH_POSTS,
    REPLIES,
    SCOPES,
)
from .threads_probe import PROBE
from .threads_refusals import GONE, NOT_A_TESTER, REFUSALS
from .threads_text import LONGEST_TOPIC, MOST_LINKS, length, links, problems

VERSION = "/v1.0"  # the only one there is; token calls have none
_WEB = ("https://www.threads.com/", "https://threads.com/", "https://www.threads.net/", "https://threads.net/")
_FIELDS = "id,username,name,threads_profile_picture_url,threads_biography,is_verified"
_OUR_FAULT = ("invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope")  # RFC 6749

_PICTURE = ImageRule(ratio=(0.1, 10), fit=(1440, 14400))
_FILM = VideoRule(seconds=(0, 300), ratio=(0.01, 10), most_width=1920, frame_rate=(23, 60))
_ALT_TEXT = 1000  # Threads states no limit; this is Instagram's
_WITH_MEDIA = ("image", "video", CAROUSEL)


class Threads(MetaProvider):
    """One Threads profile per consent; no Facebook Page is needed."""

    slug, name, tile = "threads", "Threads", "Th"
    # Consent is asked at the bare name, while profiles and posts live under www.
    hosts: ClassVar[Mapping[str, str]] = {
        "web": "https://www.threads.com", "login": "https://threads.com", "api": "https://graph.threads.net"}
    client_id_label, client_secret_label = "Threads app ID", "Threads app secret"
    client_id_help = "The app owns two pairs. The Meta App ID does not work here."
    client_id_shape, client_secret_shape = META_ID, META_SECRET
    callback_label = "Redirect Callback URL"
    scopes = {"": SCOPES}
    features = FEATURES
    guides = {"": GUIDE}
    scope_separator = ","
    scope_consequences = CONSEQUENCES

    authorize = ("login", "/oauth/authorize")
    token = ("api", "/oauth/access_token")
    client_auth, token_method = "body", "POST"
    requirement = "A Threads profile. While the app is not reviewed: an accepted invitation as Threads Tester."
    before_consent = ("The profile signed in at threads.com in this browser is connected. To add another one, switch "
                      "the profile there first.")
    refusals: ClassVar[tuple[Refusal, ...]] = REFUSALS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PROBE
    paste = PASTE

    renewal, replay = Renewal.EXCHANGE, Replay.REUSABLE
    renew_before_end = timedelta(days=30)
    revoke_where = "Threads → Settings → Account → Website permissions"
    calls_back = ("deauthorize", "deletion")
    serves_files = True

    text_limit = TextLimit(500, "characters, and an emoji as several")
    publish_needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (PUBLISH_POSTS, BASIC)}
    formats = (
        Format("text", "Text", needs_text=True),
        Format(LINK, "Link", needs_link=True, note="Threads builds a card from the page behind the link."),
        Format("image", "Picture", (IMAGE,), 1, 1, image=_PICTURE, alt_text=_ALT_TEXT, by_url=True),
        Format("video", "Video", (VIDEO,), 1, 1, video=_FILM, alt_text=_ALT_TEXT, by_url=True),
        Format(CAROUSEL, "Carousel", (IMAGE, VIDEO), 2, 20, mixes=True, image=_PICTURE, video=_FILM,
               alt_text=_ALT_TEXT, by_url=True),
        # …/documentation/threads/create-posts/polls; a poll is open for 24 hours, which cannot be chosen.
        Format(POLL, "Poll", poll=PollRule((2, 4), 25, (24 * 60,)), needs_text=True,
               note="Open for 24 hours. No card is shown for a link."),
    )
    # Threads also knows a choice for replies to others (only whom one answers may answer), which fits no post of ours.
    fields = (
        Field("topic_tag", "Topic", "text", most=LONGEST_TOPIC + 1, help="One topic, without points and ampersands."),
        Field("reply_control", "Who can reply", "select", (
            ("everyone", "Everyone"), ("followers_only", "Followers"),
            ("accounts_you_follow", "Profiles you follow"), ("mentioned_only", "Only who is mentioned")),
            help="Not set: as the profile has it."),
        Field("location_id", "Place", "text", needs=(PLACES,), most=30, help="The number of a place at Threads."),
        Field("is_spoiler_media", "Hide the media until somebody taps", formats=_WITH_MEDIA),
        Field("spoiler_text", "Hide these words until somebody taps", "text", most=500,
              help="Copy them from the text."),
    )
    look = Look("common observation: a post's 500 characters in a browser, about 250 on a phone", picture=(0.5, 2),
                video=(0.5, 2), cards=("text", LINK))
    most_parts = 20  # Threads names no limit
    # The page on replies names no further permission, the overview asks for this one. A chain that breaks after its
    # first part is worse than none, so it is asked for before.
    chain_needs = (REPLIES,)
    comment_needs = {"": (REPLIES,)}
    delete_needs = {"": (DELETE_POSTS,)}
    profile_needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (BASIC,)}

    def scope_problem(self, mode: str, scopes: Collection[str]) -> str:
        """The basic scope has to be among them."""
        return "" if BASIC in scopes else f"Threads gives nothing without {BASIC}. Add it."

    # ------------------------------------------------------------ how Threads speaks

    def credentials(self, app: App, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """The token as a parameter. No page of Threads' knows the proof that Facebook's Graph takes beside it."""
        return {}, {"access_token": token}

    def parse(self, body: Any) -> Parsed:
        """Graph's envelope, that of the code exchange (`error_type`) and that of the consent page (`error_code`)."""
        if isinstance(body, dict) and "error" not in body and "error_message" in body:
            code = body.get("error_code", body.get("code"))
            return Parsed((str(code),) if code is not None else (), text=str(body["error_message"] or ""))
        parsed, error = super().parse(body), body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return parsed
        # The number of links is named by a word, and no page says in which of the fields.
        words = (parsed.text, *(str(error.get(name) or "") for name in ("type", "error_user_title", "error_user_msg")))
        return replace(parsed, text=" ".join(words))

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """Any `error` is a no of the person: the vendor's own page misspells the code."""
        if "error" not in query and query.get("error_code"):
            if query["error_code"] == "1":
                raise ConfigurationWrong(NOT_A_TESTER, "1", field="client_id")
            raise refusal(400, {}, {name: query.get(name, "") for name in ("error_code", "error_message")}, self,
                          App("", ""), TOKEN)
        if query.get("error") and query["error"] not in _OUR_FAULT:
            raise Declined("You did not allow access at Threads. Nothing was connected.", redact(query["error"])[:60])
        super().read_refusal(query)

    # ------------------------------------------------------------ connect

    def exchange(self, app: App, code: str, verifier: str | None) -> TokenSet:
        """The short token for a code. A fragment that was pasted along is no part of the code."""
        return super().exchange(app, code.removesuffix("#_"), verifier)

    def read_tokens(self, body: Any, app: App, step: str, secrets: tuple[str, ...] = ()) -> TokenSet:
        """Threads' own envelope of a refusal may come with status 200 as well."""
        if isinstance(body, dict) and "access_token" not in body and "error_message" in body:
            raise refusal(400, {}, body, self, app, step, secrets)
        return super().read_tokens(body, app, step, secrets)

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """The one profile that signed in, with a long token; what was granted, where Threads tells."""
        short = self.exchange(app, code, verifier)
        tokens = self._longer(app, TOKEN, short.access_token, grant_type="th_exchange_token",
                              client_secret=app.client_secret)
        with self.call(app, tokens.access_token, PROFILES) as call:
            profile = _profile(call, app)
        facts = self._inspected(app, tokens.access_token)
        granted = split_scopes(facts.get("scopes") or "")
        if ends := facts.get("data_access_expires_at"):
            profile = replace(profile, meta={**profile.meta, "token_data_access_expires_at": ends})
        return Consent(replace(tokens, scopes=granted), profile.platform_user_id,
                       profile.display_name or profile.username, granted, (profile,))

    def _longer(self, app: App, step: str, token: str, **sent: str) -> TokenSet:
        path = "/access_token" if step == TOKEN else "/refresh_access_token"
        with self.call(app, "", step) as call:
            reply = call.get(path, params={**sent, "access_token": token})
        return self.read_tokens(reply.body, app, step, (token,))

    def _inspected(self, app: App, token: str) -> Mapping[str, Any]:
        """What Threads tells about a token; nothing where it refuses, as it may for people who are no testers."""
        try:
            with self.call(app, token, READ) as call:
                data = call.get(f"{VERSION}/debug_token", params={"input_token": token}).json().get("data")
        except PlatformError:
            return {}
        return data if isinstance(data, dict) and data.get("is_valid") is not False else {}

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The profile as it is now."""
        with self.call(app, access_token, READ) as call:
            profile = _profile(call, app)
            if profile.platform_user_id != platform_user_id:
                raise call.unclear()
        return profile

    # ------------------------------------------------------------ keep alive

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """Longer life for a token of 24 hours or more; the new one replaces it. An expired one is gone for good."""
        return self._longer(app, RENEW, tokens.access_token, grant_type="th_refresh_token")

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Threads has no call for it."""
        raise PlatformError("Threads offers no way to take the permission back from here.", "not_offered")

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """Characters, and an emoji as its bytes."""
        return length(text)

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """Links and choices that Threads would refuse."""
        return list(problems(draft))

    def tallies(self, draft: Draft) -> tuple[Tally, ...]:
        """Different links."""
        return (Tally("links", len(links(draft)), MOST_LINKS),) if links(draft) else ()

    @contextmanager
    def _workshop(self, app: App, token: str, draft: Draft, progress: Progress, step: str) -> Iterator[Workshop]:
        look = partial(self.profile, app, token, draft.platform_user_id)
        with self.call(app, token, step) as making, self.call(app, token, READ) as reading:
            yield Workshop(making, reading, VERSION, draft, progress, partial(_on_web, app), look)

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Containers, those of a carousel's parts first."""
        with self._workshop(app, access_token, draft, progress, PREPARE) as workshop:
            workshop.prepare()

    def check(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Wait | None:
        """Whether Threads is done with the containers, texts too, and the day's number is not used up."""
        with self._workshop(app, access_token, draft, progress, PREPARE) as workshop:
            return workshop.check()

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published:
        """Publish the container. One that is live already is never published again."""
        with self._workshop(app, access_token, draft, progress, PUBLISH) as workshop:
            if progress.get("live"):
                return _live(workshop)
            post_id = workshop.publish()
        return Published(post_id, self._permalink(app, access_token, post_id))

    def _permalink(self, app: App, access_token: str, post_id: str) -> str:
        """The post's address. The post is out already: no trouble here may look like a failure."""
        try:
            with self.call(app, access_token, READ) as call:
                found = call.get(f"{VERSION}/{post_id}", params={"fields": "id,permalink"}).json()
        except PlatformError:
            return ""
        return _on_web(app, found.get("permalink"))

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Located:
        """Look at the container, then at the profile's own list."""
        with self._workshop(app, access_token, draft, progress, PREPARE) as workshop:
            return workshop.locate(sent_at)

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete a post; one that is gone already is fine."""
        with self.call(app, access_token, DELETE) as call:
            try:
                done = call.delete(f"{VERSION}/{post_id}")
            except PlatformError as refused:
                if refused.code == "HTTP 404":
                    return
                if refused.code not in (*GONE, "24"):
                    raise
                # "Does not exist" can also mean that we may not see it: a profile that we do see settles it.
                self.profile(app, access_token, draft.platform_user_id)
                return
            if done.json().get("success") is not True:
                raise call.refused(done) if "error" in done.json() else call.unclear()


def _profile(call: Call, app: App) -> Profile:
    """The profile that a token belongs to; its name may be missing."""
    found = call.get(f"{VERSION}/me", params={"fields": _FIELDS}).json()
    if not found.get("id"):
        raise call.unclear()
    username = str(found.get("username") or "")
    kept = {"biography": found.get("threads_biography"), "is_verified": found.get("is_verified")}
    return Profile(
        str(found["id"]), username, str(found.get("name") or username), "Profile",
        f"{app.hosts['web']}/@{username}" if username else "", str(found.get("threads_profile_picture_url") or ""),
        {name: value for name, value in kept.items() if value not in (None, "")})


def _live(workshop: Workshop) -> Published:
    """The post behind a container that says PUBLISHED."""
    try:
        found = workshop.listed(outside.now() - timedelta(days=1), sure=True)
    except PlatformError:
        found = None
    return found or Published("", "", LIVE_SOMEWHERE)


def _on_web(app: App, link: Any) -> str:
    """A link of Threads' own, as it stands; empty for any other. Posts may still be named by the older host."""
    known = (f"{app.hosts['web']}/", *_WEB)
    return link if isinstance(link, str) and link.startswith(known) else ""
