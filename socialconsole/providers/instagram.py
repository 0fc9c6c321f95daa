"""Instagram: two logins that need developer apps of different kinds, and one way to publish that both share.

Vendor pages: developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login,
…/docs/facebook-login, …/documentation/instagram-platform/content-publishing.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from .. import outside
from ..errors import (
    PERMISSION_MISSING,
    TENANT,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    PlatformError,
    TryLater,
)
from .base import (
    COMMENT,
    App,
    Consent,
    Draft,
    Located,
    Option,
    Profile,
    Published,
    Renewal,
    Replay,
    Revoke,
    TextLimit,
    TokenSet,
    Wait,
)
from .call import Call
from .content import IMAGE, VIDEO, Field, Format, ImageRule, Look, Problem, Progress, Tally, VideoRule
from .instagram_accounts import DIRECT_FIELDS, described, linked_accounts, the_account
from .instagram_errors import CAUSES
from .instagram_media import CAROUSEL, PHOTO, REEL, STORY, Workshop, collaborators, is_found
from .instagram_paste import PASTE
from .instagram_portal import CONSEQUENCES, DIRECT, FEATURES, GUIDES, LIFETIMES, MODES, PAGE, SCOPES
from .instagram_probe import DIRECT_PROBE, PAGE_PROBE
from .instagram_refusals import DIRECT_REFUSALS, NOT_FROM_HERE, PAGE_REFUSALS
from .matching import is_same
from .meta import (
    APP_VERSION,
    META_ID,
    META_SECRET,
    GraphCall,
    MetaProvider,
    auth_type,
    remove_app,
    rows,
    the_person,
    token_is_valid,
)
from .oauth2 import split_scopes
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, RENEW, REVOKE, TOKEN, Parsed, Refusal, redact
from .verdicts import Verdict

MEGABYTE = 1024 * 1024
MOST_HASHTAGS, MOST_MENTIONS, MOST_COLLABORATORS = 30, 20, 3
SURE_AFTER = timedelta(minutes=5)  # so long a new post may be missing in the account's own list

_PHOTO = ImageRule(types=("image/jpeg",), most_bytes=8 * MEGABYTE, ratio=(0.8, 1.91), fit=(1440, 1800))
_VIDEO = VideoRule(most_bytes=300 * MEGABYTE, seconds=(3, 900), ratio=(0.01, 10), most_width=1920, frame_rate=(23, 60))
_FORMATS = (
    Format(PHOTO, "Photo", (IMAGE,), 1, 1, image=_PHOTO, alt_text=1000, by_url=True),
    Format(REEL, "Reel", (VIDEO,), 1, 1, video=_VIDEO, by_url=True,
           note="Instagram shows every single video as a reel."),
    Format(CAROUSEL, "Carousel", (IMAGE, VIDEO), 2, 10, mixes=True, image=_PHOTO, video=_VIDEO, alt_text=1000,
           by_url=True),
    Format(STORY, "Story", (IMAGE, VIDEO), 1, 1, has_text=False, comment=False, by_url=True,
           image=ImageRule(types=("image/jpeg",), most_bytes=8 * MEGABYTE, fit=(1440, 2560)),
           video=replace(_VIDEO, most_bytes=100 * MEGABYTE, seconds=(3, 60)),
           note="Shown for 24 hours, without text. Instagram may refuse stories of Creator accounts."),
)
_POSTS = (PHOTO, REEL, CAROUSEL)
_FIELDS = (
    Field("collaborators", "Collaborators", "text", formats=_POSTS,
          help=f"Up to {MOST_COLLABORATORS} user names, with commas between. Each has to accept."),
    Field("location_id", "Place", "text", formats=_POSTS, most=30,
          help="The number of a Facebook Page that has a place on the map."),
    Field("share_to_feed", "Where it is shown", "select",
          (("yes", "In Reels and in the feed"), ("no", "Only in Reels")), formats=(REEL, CAROUSEL),
          help="Empty: as Instagram does it by itself."),
    Field("cover", "Cover at second", "text", formats=(REEL,), most=10,
          help="The moment of the video that becomes its cover, such as 2.5."),
    Field("is_ai_generated", "Made with AI", "check", formats=_POSTS, help="Instagram labels the post."),
)
# A carousel is cut to its first picture, says …/docs/instagram-platform/content-publishing.
_LOOK = Look("common observation: 125 characters or 2 lines", fold=125, lines=2, is_below=True, picture=(0.8, 1.91),
             video=(0.5625, 1.91), is_alike=True, upright=(REEL, STORY))


class Instagram(MetaProvider):
    """Through a Facebook Page (`facebook_login`) or directly (`instagram_login`); one Meta app holds only one.

    The facts here are those of the first; `_Direct` has what differs in the second.
    """

    slug, name, tile = "instagram", "Instagram", "Ig"
    hosts = {"web": "https://www.instagram.com", "login": "https://api.instagram.com",
             "api": "https://graph.instagram.com", "facebook": "https://www.facebook.com",
             "graph": "https://graph.facebook.com", "rupload": "https://rupload.facebook.com"}
    client_id_label, client_secret_label = "App ID", "App secret"
    client_id_help = ("Through a Facebook Page: the Meta App ID and its secret. Directly: the Instagram app ID and the "
                      "Instagram app secret from Business login settings.")
    client_id_shape, client_secret_shape = META_ID, META_SECRET
    callback_label = "Valid OAuth Redirect URI"
    modes = MODES
    api_version = APP_VERSION
    options = (Option("config_id", "Configuration ID",
                      "Only for Facebook Login for Business, through a Facebook Page."),)
    scopes = SCOPES
    features = FEATURES
    guides = GUIDES
    scope_separator = ","
    scope_consequences = CONSEQUENCES

    authorize = ("facebook", "/{version}/dialog/oauth")
    token = ("graph", "/{version}/oauth/access_token")
    requirement = ("A Business or Creator account. Personal accounts cannot be connected: switch in the Instagram app "
                   "under Settings, Account type.")
    before_consent = ("Through a Facebook Page: tick the account and the Page it is linked to, those connected earlier "
                      "too. Directly: the account signed in at instagram.com in this browser is connected.")
    several_profiles = True
    refusals: ClassVar[tuple[Refusal, ...]] = PAGE_REFUSALS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PAGE_PROBE
    paste = PASTE

    renewal, replay = Renewal.EXCHANGE, Replay.REUSABLE
    renew_before_end = timedelta(days=30)
    revoke_kind = Revoke.PERSON
    revoke_where = ("Instagram → Settings → Website permissions → Apps and websites; if it was connected through a "
                    "Page: Facebook → Settings → Business integrations")
    calls_back = ("deauthorize", "deletion")
    serves_files = True
    calls_back, serves_files = ("deauthorize", "deletion"), True

    text_limit = TextLimit(2200, "characters")
    publish_needs = {PAGE: ("instagram_content_publish",), DIRECT: ("instagram_business_content_publish",)}
    formats = _FORMATS
    fields = _FIELDS
    look = _LOOK
    comment_needs = {PAGE: ("instagram_manage_comments",), DIRECT: ("instagram_business_manage_comments",)}
    delete_needs = {PAGE: ("instagram_manage_contents",)}
    profile_needs = {PAGE: ("instagram_basic",), DIRECT: ("instagram_business_basic",)}

    # ------------------------------------------------------------ the two logins

    def seen(self, mode: str) -> "Instagram":
        """This provider with the facts of a mode."""
        return _DIRECT if mode == DIRECT else self

    def revoke_kind_of(self, mode: str) -> Revoke:
        """What revoking takes along; accounts that were connected directly cannot be revoked from here."""
        return Revoke.NOT_OFFERED if mode == DIRECT else Revoke.PERSON

    def keeps_granted(self, mode: str, options: Mapping[str, str]) -> bool:
        """As at Facebook through a Page; of its own login no page says so."""
        return mode != DIRECT and not options.get("config_id")

    def still_valid(self, app: App, tokens: TokenSet) -> bool | None:
        """What Meta says of the person's token; Instagram's own login has no such question."""
        if app.mode == DIRECT:
            return None
        with self.call(app, "", READ) as call:
            return token_is_valid(call, app.api_version, tokens.access_token)

    def account_outlives_grant_of(self, mode: str) -> bool:
        """Whether accounts hold a token of their own: that of the Page they are linked to."""
        return mode != DIRECT

    def authorize_of(self, mode: str) -> tuple[str, str]:
        """Where the consent page of a mode is: host name and path."""
        return self.seen(mode).authorize

    def scope_problem(self, mode: str, scopes: Collection[str]) -> str:
        """The two families of scopes belong to two kinds of apps; a mix fails at the consent page."""
        direct = sorted(one for one in scopes if one.startswith("instagram_business_"))
        others = sorted(set(scopes) - set(direct))
        strange, label = (others, "directly with Instagram") if mode == DIRECT else (direct, "through a Facebook Page")
        if not strange:
            return ""
        right = "only names that begin with instagram_business_" if mode == DIRECT else \
            "no names that begin with instagram_business_"
        return (f"{', '.join(strange)} cannot be asked for {label}. Instagram's two logins have scopes of their own "
                f"that are never mixed, and this one takes {right}. Take {'it' if len(strange) == 1 else 'them'} out, "
                "or choose the other mode with an app of its own.")

    def call(self, app: App, access_token: str, step: str, host: str = "api") -> GraphCall:
        """"api" is the Graph of the mode: graph.instagram.com or graph.facebook.com."""
        name = "graph" if host == "api" and app.mode != DIRECT else host
        return self.seen(app.mode).graph_call(app, access_token, step, name)

    def authorization_url(self, app: App, state: str, verifier: str | None, *,
                          again: bool | str = False) -> str:
        """The consent page of the mode."""
        return super(Instagram, self.seen(app.mode)).authorization_url(app, state, verifier, again=again)

    def authorize_parameters(self, app: App, again: bool | str) -> dict[str, Any]:
        """As at Facebook: a configuration replaces the scopes, what was declined is asked for only on request."""
        configured = app.options.get("config_id")
        return {**({"config_id": configured, "scope": None} if configured else {}), **auth_type(again)}

    def exchange(self, app: App, code: str, verifier: str | None) -> TokenSet:
        """The short token for a code. A fragment that was pasted along is no part of the code."""
        return super(Instagram, self.seen(app.mode)).exchange(app, code.removesuffix("#_"), verifier)

    def parse(self, body: Any) -> Parsed:
        """Graph's envelope, or that of api.instagram.com."""
        if isinstance(body, dict) and "error_message" in body and "error" not in body:
            text = str(body["error_message"])
            return Parsed((str(body["code"]),) if body.get("code") is not None else (), "", text, text)
        return super().parse(body)

    def read_tokens(self, body: Any, app: App, step: str, secrets: tuple[str, ...] = ()) -> TokenSet:
        """Tokens come flat or in a list of one, permissions as a text or a list; a refusal may have status 200."""
        answer = body if isinstance(body, dict) else {}
        inner = answer.get("data")
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            answer = inner[0]
        if "error_message" in answer and "access_token" not in answer:
            answer = {"error": {"message": str(answer["error_message"]), "code": answer.get("code")}}
        tokens = super().read_tokens(answer, app, step, secrets)
        return replace(tokens, scopes=split_scopes(answer.get("permissions")) or tokens.scopes)

    def checks_with_token(self, mode: str) -> bool:
        """Instagram's own login looks at the secret only beside a token."""
        return mode == DIRECT

    def check_app(self, app: App, token: str = "") -> Verdict:
        """In the way of the mode."""
        return super(Instagram, self.seen(app.mode)).check_app(app, token)

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """Facebook's dialog tells of a wrong scope in words of its own, without `error`."""
        if "error" not in query and query.get("error_code"):
            detail = redact(query.get("error_message", ""))
            scopes = detail.partition("Invalid Scopes:")[2].strip().split(". ")[0].rstrip(".")
            raise ConfigurationWrong(
                f"The Meta app does not have a permission we ask for: {scopes or detail or 'it is not named'}. Add it "
                "in the use case, or take it out of the scopes.", redact(query["error_code"])[:60])
        super().read_refusal(query)

    # ------------------------------------------------------------ connect

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """A long token before anything else: a Page's token made from a short one would die with it."""
        short = self.exchange(app, code, verifier)
        return self.seen(app.mode)._consent(app, short)

    def _consent(self, app: App, short: TokenSet) -> Consent:
        tokens = self._lengthen(app, short.access_token, TOKEN)
        with self.call(app, tokens.access_token, PROFILES) as call:
            permissions = call.get(f"/{app.api_version}/me/permissions").json()
            granted = frozenset(str(one.get("permission")) for one in rows(permissions)
                                if one.get("status") == "granted")
            person_id, person_name, facts = the_person(call, app.api_version)
            profiles = linked_accounts(call, app, tokens.access_token, granted)
        if ends := facts.get("data_access_expires_at"):  # the person's, and so the same for all
            profiles = [replace(one, meta={**one.meta, "token_data_access_expires_at": ends}) for one in profiles]
        return Consent(replace(tokens, scopes=granted), person_id, person_name, granted, tuple(profiles))

    def _lengthen(self, app: App, token: str, step: str) -> TokenSet:
        with self.call(app, "", step) as call:
            reply = call.get(f"/{app.api_version}/oauth/access_token", params={
                "grant_type": "fb_exchange_token", "client_id": app.client_id, "client_secret": app.client_secret,
                "fb_exchange_token": token})
        return self.read_tokens(reply.body, app, step, (token,))

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The account as it is now."""
        with self.call(app, access_token, READ) as call:
            return self.seen(app.mode)._profile(call, app, platform_user_id)

    def _profile(self, call: Call, app: App, account_id: str) -> Profile:
        found = call.get(f"/{app.api_version}/{account_id}",
                         params={"fields": "username,name,profile_picture_url"}).json()
        if not found.get("username"):
            raise call.unclear()
        return described({**found, "id": account_id}, app)

    # ------------------------------------------------------------ keep alive

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """Exchange the person's token while it lives; an expired one is gone for good."""
        return self.seen(app.mode)._renewed(app, tokens)

    def _renewed(self, app: App, tokens: TokenSet) -> TokenSet:
        return self._lengthen(app, tokens.access_token, RENEW)

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Remove the app for this person, with every Page and account behind it; one removed already is fine."""
        if app.mode == DIRECT:
            raise PlatformError("Instagram offers no way to take the permission back from here.", "not_offered")
        with self.call(app, tokens.access_token, REVOKE) as call:
            remove_app(call, app.api_version, person_id)

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """Plain characters; no page says how Instagram counts them."""
        return len(text)

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """Hashtags, mentions, and choices that Instagram would refuse."""
        return list(_problems(draft))

    def tallies(self, draft: Draft) -> tuple[Tally, ...]:
        """Hashtags and mentions."""
        return _tallies(draft)

    def _workshop(self, app: App, token: str, draft: Draft, progress: Progress, making: Call,
                  reading: Call) -> Workshop:
        by_bytes = app.mode != DIRECT and bool(app.options.get("config_id"))
        look = partial(self._is_visible, app, token, draft)
        return Workshop(app, making, reading, token, draft, progress, by_bytes, look)

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Containers, and the bytes of videos where the app may send them. A comment needs none."""
        if draft.format == COMMENT:
            return
        with self.call(app, access_token, PREPARE) as making, self.call(app, access_token, READ) as reading:
            self._workshop(app, access_token, draft, progress, making, reading).prepare()

    def check(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Wait | None:
        """Whether Instagram has taken the media in, pictures too, and the day's number of posts is not used up."""
        if draft.format == COMMENT:
            return None
        with self.call(app, access_token, PREPARE) as making, self.call(app, access_token, READ) as reading:
            return self._workshop(app, access_token, draft, progress, making, reading).check()

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published:
        """Publish the container. One that is live already is never published again."""
        if draft.format == COMMENT:
            return self._comment(app, access_token, draft)
        if progress.get("live"):
            return self._live(app, access_token, draft, progress)
        container = progress.get("container")
        if not container:
            raise TryLater("The media is not prepared yet. We prepare it.", "no_container")
        with self.call(app, access_token, PUBLISH) as call, self.call(app, access_token, READ) as reading:
            try:
                done = call.post(f"/{app.api_version}/{draft.platform_user_id}/media_publish",
                                 form={"creation_id": container["id"]}).json()
            except PlatformError as refused:
                workshop = self._workshop(app, access_token, draft, progress, call, reading)
                raise workshop.publish_refused(refused) from None
            if not done.get("id"):
                raise call.unclear()
        return Published(str(done["id"]), self._permalink(app, access_token, str(done["id"])))

    def _comment(self, app: App, access_token: str, draft: Draft) -> Published:
        if not draft.reply_to:
            raise ContentRejected("Instagram did not tell the number of the post, so nothing can be written under it.",
                                  "no_post", field="first_comment")
        with self.call(app, access_token, PUBLISH) as call:
            try:
                done = call.post(f"/{app.api_version}/{draft.reply_to}/comments", form={"message": draft.text}).json()
            except ContentRejected as refused:
                if refused.code == "100/33":
                    self._is_visible(app, access_token, draft)
                raise
            if not done.get("id"):
                raise call.unclear()
        return Published(str(done["id"]))

    def _is_visible(self, app: App, access_token: str, draft: Draft, *, sure: bool = False) -> None:
        """"Does not exist" can also mean that the token no longer opens the account: then only its person helps."""
        try:
            self.profile(app, access_token, draft.platform_user_id)
        except NeedsReconnect:
            raise
        except PlatformError as refused:
            if refused.code == "100/33":
                raise NeedsReconnect("Instagram no longer shows us this account. Connect it again.", refused.code,
                                     reason=PERMISSION_MISSING) from None
            if sure:
                raise

    def _permalink(self, app: App, access_token: str, media_id: str) -> str:
        """The post's address. The post is out already: no trouble here may look like a failure."""
        try:
            with self.call(app, access_token, READ) as call:
                found = call.get(f"/{app.api_version}/{media_id}", params={"fields": "permalink"}).json()
        except PlatformError:
            return ""
        return _on_web(app, found.get("permalink"))

    def _live(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published:
        """The post behind a container that says PUBLISHED."""
        container = progress.get("container") or {}
        made = datetime.fromisoformat(container["at"]) if "at" in container else outside.now() - timedelta(days=1)
        try:
            found = self._listed(app, access_token, draft, made) if draft.format != STORY else None
        except PlatformError:
            found = None
        return found or Published("", "", "The post is live. Instagram did not tell its address.")

    # ------------------------------------------------------------ look, delete

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Located:
        """Ask the container: only it knows for sure. Without one, look among the account's newest posts."""
        if draft.format == COMMENT:
            return self._find_comment(app, access_token, draft, sent_at)
        container, word = progress.get("container"), ""
        if container:
            with self.call(app, access_token, PREPARE) as making, self.call(app, access_token, READ) as reading:
                workshop = self._workshop(app, access_token, draft, progress, making, reading)
                try:
                    word = workshop.status(container)[0]
                except PlatformError as refused:
                    if refused.code != "100/33":
                        raise
        if word in ("FINISHED", "IN_PROGRESS", "ERROR", "EXPIRED"):
            return Located.NOT_PUBLISHED
        # Without its container's word nothing tells a post that has no text from any other.
        can_tell = draft.format != STORY and (word == "PUBLISHED" or bool(draft.text.strip()))
        found = self._listed(app, access_token, draft, sent_at) if can_tell else None
        if found is None and word == "PUBLISHED" and (
                draft.format == STORY or outside.now() - sent_at > SURE_AFTER):
            return Published("", "", "The post is live. Instagram did not tell its address.")
        return found or Located.NOT_FOUND

    def _listed(self, app: App, access_token: str, draft: Draft, sent_at: datetime) -> Published | None:
        """The post in the account's own list, where stories do not stand."""
        with self.call(app, access_token, READ) as call:
            body = call.get(f"/{app.api_version}/{draft.platform_user_id}/media",
                            params={"fields": "id,permalink,timestamp,caption", "limit": 5}).json()
        for post in rows(body):
            caption = str(post.get("caption") or "")
            # Instagram changes no links, so they count as text.
            same = is_same(caption, draft.text, find_links=lambda text: []) if draft.text.strip() else not caption
            if same and is_found(post, sent_at):
                return Published(str(post["id"]), _on_web(app, post.get("permalink")))
        return None

    def _find_comment(self, app: App, access_token: str, draft: Draft, sent_at: datetime) -> Published | Located:
        with self.call(app, access_token, READ) as call:
            body = call.get(f"/{app.api_version}/{draft.reply_to}/comments",
                            params={"fields": "id,text,username,timestamp"}).json()
        for comment in rows(body):
            ours = str(comment.get("username") or "") == draft.username
            same = is_same(comment.get("text"), draft.text, find_links=lambda text: [])
            if ours and same and is_found(comment, sent_at):
                return Published(str(comment["id"]))
        return Located.NOT_FOUND

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete a post, reel, story or carousel; only through a Page, since December 2025."""
        if app.mode == DIRECT:
            raise ContentRejected(NOT_FROM_HERE, "not_offered", TENANT, field="delete")
        with self.call(app, access_token, DELETE) as call:
            try:
                done = call.delete(f"/{app.api_version}/{post_id}")
            except PlatformError as refused:
                if refused.code == "HTTP 404":
                    return
                if refused.code != "100/33":
                    raise
                self._is_visible(app, access_token, draft, sure=True)
                return
            if done.json().get("success") is not True:
                raise call.unclear()


class _Direct(Instagram):
    """What is different with Instagram's own login: hosts, the proof of the client, no appsecret_proof."""

    authorize = ("web", "/oauth/authorize")
    token = ("login", "/oauth/access_token")
    client_auth, token_method = "body", "POST"
    refusals = DIRECT_REFUSALS
    probe = DIRECT_PROBE
    revoke_kind = Revoke.NOT_OFFERED

    def authorize_parameters(self, app: App, again: bool | str) -> dict[str, Any]:
        """Asked again, the person signs in anew; else the account of this browser is taken silently."""
        return {"force_reauth": "true"} if again else {}

    def credentials(self, app: App, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """The token as a parameter."""
        return {}, {"access_token": token}

    def _consent(self, app: App, short: TokenSet) -> Consent:
        """The one account that signed in. What was granted stands only in the answer to the code, so it is kept."""
        with self.call(app, "", TOKEN) as call:
            reply = call.get("/access_token", params={
                "grant_type": "ig_exchange_token", "client_secret": app.client_secret,
                "access_token": short.access_token})
        tokens = self.read_tokens(reply.body, app, TOKEN, (short.access_token,))
        with self.call(app, tokens.access_token, PROFILES) as call:
            profile = self._profile(call, app, "")
        granted = short.scopes or tokens.scopes
        return Consent(replace(tokens, scopes=granted), profile.platform_user_id,
                       profile.display_name or profile.username, granted, (profile,))

    def _profile(self, call: Call, app: App, account_id: str) -> Profile:
        found = the_account(call.get(f"/{app.api_version}/me", params={"fields": DIRECT_FIELDS}).json())
        if not found.get("user_id") or account_id not in ("", str(found["user_id"])):
            raise call.unclear()
        return described({**found, "id": found["user_id"]}, app)

    def _renewed(self, app: App, tokens: TokenSet) -> TokenSet:
        """Longer life for a token of 24 hours or more; the new one replaces it."""
        with self.call(app, "", RENEW) as call:
            reply = call.get("/refresh_access_token", params={
                "grant_type": "ig_refresh_token", "access_token": tokens.access_token})
        return self.read_tokens(reply.body, app, RENEW, (tokens.access_token,))


_DIRECT = _Direct()


def _on_web(app: App, link: Any) -> str:
    """A link of Instagram's own, as it stands; empty for any other."""
    return link if isinstance(link, str) and link.startswith(f"{app.hosts['web']}/") else ""


def _tallies(draft: Draft) -> tuple[Tally, ...]:
    tags, mentions = re.findall(r"#\w+", draft.text), re.findall(r"(?<![\w@.])@\w[\w.]*", draft.text)
    return tuple(one for one in (Tally("hashtags", len(tags), MOST_HASHTAGS),
                                 Tally("mentions", len(mentions), MOST_MENTIONS)) if one.used)


def _problems(draft: Draft) -> Iterator[Problem]:
    for one in _tallies(draft):
        if one.used > one.most:
            yield Problem("text", f"Instagram takes {one.most} {one.label}; this text has {one.used}.")
    names = collaborators(draft.options.get("collaborators", ""))
    if len(names) > MOST_COLLABORATORS:
        yield Problem("collaborators", f"Instagram takes {MOST_COLLABORATORS} collaborators; these are {len(names)}.")
    if any(not re.fullmatch(r"[A-Za-z0-9._]{1,30}", name) for name in names):
        yield Problem("collaborators", "A user name has letters, digits, points and underscores only.")
    place = draft.options.get("location_id", "").strip()
    if place and not re.fullmatch(r"[0-9]{5,30}", place):
        yield Problem("location_id", "The number of a Page has digits only.")
    yield from _cover(draft)


def _cover(draft: Draft) -> Iterator[Problem]:
    cover = draft.options.get("cover", "")
    if cover and not re.fullmatch(r"\d{1,4}([.,]\d{1,3})?", cover):
        yield Problem("cover", "Give the moment in seconds, such as 2.5.")
    elif cover and draft.files and draft.file.seconds and float(cover.replace(",", ".")) > draft.file.seconds:
        yield Problem("cover", "The cover position lies outside the video.")


