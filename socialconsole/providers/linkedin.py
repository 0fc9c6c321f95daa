"""LinkedIn, as a member or as a Page: two sorts of app, 60 days, and a text format that cuts what it dislikes.

Vendor pages: learn.microsoft.com/linkedin/shared/authentication, …/marketing/community-management/shares. What is
refused stands in `linkedin_refusals`, what can be posted in `linkedin_formats`, uploads in `linkedin_media`.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ..errors import (
    AlreadyPublished,
    AttemptFailed,
    ContentRejected,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from . import linkedin_media as media
from . import linkedin_pages as pages
from .base import (
    COMMENT,
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
    Sent,
    TextLimit,
    TokenSet,
    Wait,
)
from .call import Reply, stated_wait
from .content import Progress
from .linkedin_errors import CAUSES
from .linkedin_formats import DURATIONS, FIELDS, FORMATS, LOOK, THUMBNAIL, keys, post
from .linkedin_paste import PASTE
from .linkedin_portal import (
    API_VERSION,
    CONSEQUENCES,
    FEATURES,
    GUIDES,
    LIFETIMES,
    MEMBER,
    MODES,
    ORGANIZATION,
    SCOPES,
    scope_refused,
)
from .linkedin_probe import PROBE
from .linkedin_refusals import PAGE_URN, REFUSALS, SETTING_UP, THROTTLED, Gone, parse
from .linkedin_rest import PROTOCOL, Rest, pause_until
from .linkedin_text import plain, visible
from .matching import CLOCK_TOLERANCE, is_same
from .oauth2 import OAuth2Provider, split_scopes
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, REVOKE, Answer, Parsed
from .shapes import Shape, like

PERSON_URN, PERSON_KIND = "urn:li:person:", "LinkedIn member"
_ME = ("/v2/me?projection=(id,localizedFirstName,localizedLastName,vanityName,localizedHeadline,"
       "profilePicture(displayImage~:playableStreams))")
_LOOKED_AT = 10  # posts of a Page, newest first


class LinkedIn(OAuth2Provider):
    """Members and Pages. A Page's app can also post as its member, where it holds the scope."""

    slug, name, tile = "linkedin", "LinkedIn", "in"
    hosts = {"web": "https://www.linkedin.com", "api": "https://api.linkedin.com"}
    answer_hosts = (".linkedin.com", ".licdn.com")
    client_id_label, client_secret_label = "Client ID", "Primary Client Secret"
    client_id_help = "From the app's Auth tab."
    client_id_shape = Shape(belongs=like(r"[0-9a-z]{12,14}"))
    client_secret_shape = Shape(belongs=like(r"WPL_AP\d+\..+"))
    callback_label = "Authorized redirect URL"
    modes = MODES
    api_version = API_VERSION
    scopes, features, guides, scope_consequences = SCOPES, FEATURES, GUIDES, CONSEQUENCES

    authorize = ("web", "/oauth/v2/authorization")
    token = ("web", "/oauth/v2/accessToken")
    declined_codes = ("user_cancelled_login", "user_cancelled_authorize", "access_denied")
    requirement = "A LinkedIn profile; for a Page also a role there as admin or content admin."
    before_consent = "The member signed in at linkedin.com in this browser is connected."
    all_or_nothing = True
    refusals = REFUSALS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PROBE
    paste = PASTE

    renewal, replay = Renewal.NONE, Replay.REUSABLE  # approved apps get a refresh token, which stays the same
    renew_before_end = timedelta(days=7)
    revoke_kind = Revoke.PAIR
    revoke_where = "Settings → Data privacy → Permitted services"

    text_limit = TextLimit(3000, "characters")
    looks = (timedelta(seconds=10), timedelta(minutes=2), timedelta(minutes=10))  # nobody says how soon a list is whole
    formats, fields, look = FORMATS, FIELDS, LOOK
    publish_needs = {MEMBER: ("w_member_social",), ORGANIZATION: ("w_organization_social",)}
    comment_needs = {MEMBER: ("w_member_social_feed",), ORGANIZATION: ("w_organization_social_feed",)}
    comment_limit = TextLimit(1250, "characters")  # what LinkedIn's own page takes
    delete_needs = publish_needs
    profile_needs = {MEMBER: ("profile",), ORGANIZATION: ("rw_organization_admin",)}
    # learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow: another set of scopes ends the
    # member's earlier tokens, so every consent asks for the same one.
    one_scope_set = True
    consent_note = ("Where that is another set than before, LinkedIn ends the earlier connections of the same person "
                    "through this app, in other workspaces too.")

    waits = (2.0, 3.0, 5.0)  # between tries for a grant that is not known yet: 2, 5 and 10 seconds after the exchange

    def __init__(self, wait: Callable[[float], None] = time.sleep) -> None:
        self.wait = wait

    def needs_to_publish(self, mode: str, kind: str = "") -> tuple[str, ...]:
        """A member's profile needs the member's scope, also where a Page's app feeds it."""
        return super().needs_to_publish(MEMBER if kind == PERSON_KIND else mode, kind)

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """Polls are open for one of four lengths."""
        if draft.poll is not None and draft.poll.minutes not in DURATIONS:
            return [Problem("poll", "LinkedIn keeps a poll open for 1, 3, 7 or 14 days. Choose one of these.")]
        return []

    # ------------------------------------------------------------ connect

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """A scope the app does not own is named in the description, with HTML entities inside."""
        if query.get("error") == "unauthorized_scope_error":
            raise scope_refused(query.get("error_description", ""))
        super().read_refusal(query)

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """The member; or, with a Page's app, the Pages, and the member where the app may post for both."""
        tokens = self.exchange(app, code, verifier)
        tokens = replace(tokens, scopes=self._granted(app, tokens))
        member = self._member_soon(app, tokens.access_token)
        found = (member,) if app.mode != ORGANIZATION else self._choice(app, tokens, member)
        return Consent(tokens, member.platform_user_id, member.display_name, tokens.scopes, found)

    def _granted(self, app: App, tokens: TokenSet) -> frozenset[str] | None:
        """What was granted: the answer's own word, else what LinkedIn says of the token; None where neither tells."""
        if tokens.scopes is not None:
            return tokens.scopes
        told = self._told(app, tokens)
        return split_scopes(told.get("scope")) if told.get("active") is True else None

    def _told(self, app: App, tokens: TokenSet) -> dict[str, Any]:
        """What LinkedIn says of a token; empty where it does not answer."""
        try:
            with self.call(app, "", READ, host="web") as call:
                return dict(call.post("/oauth/v2/introspectToken", form={
                    "client_id": app.client_id, "client_secret": app.client_secret,
                    "token": tokens.access_token}).json())
        except PlatformError:
            return {}

    def still_valid(self, app: App, tokens: TokenSet) -> bool | None:
        """What LinkedIn says of the token."""
        told = self._told(app, tokens).get("active")
        return told if isinstance(told, bool) else None

    def _choice(self, app: App, tokens: TokenSet, member: Profile) -> tuple[Profile, ...]:
        with self._rest(app, tokens.access_token, PROFILES) as rest:
            found = pages.profiles(rest, app)
        held = tokens.scopes if tokens.scopes is not None else split_scopes(app.scopes) or frozenset()
        if "w_member_social" in held:
            return (*found, member)
        if all(one.problem for one in found):
            raise pages.no_page(found)
        return tuple(found)

    def _member_soon(self, app: App, access_token: str) -> Profile:
        """LinkedIn may call a grant revoked for some seconds right after it was given; then it works."""
        for pause in (*self.waits, None):
            try:
                return self._member(app, access_token, PROFILES)
            except TryLater as refused:
                if refused.message != SETTING_UP:
                    raise
                if pause is None:
                    raise AttemptFailed(f"{SETTING_UP} Connect again in a minute.", refused.code) from None
                self.wait(pause)
        raise AssertionError("the loop above returns or raises")

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The member that the token belongs to, or a Page with the role there."""
        if not _is_page(app, platform_user_id):
            return self._member(app, access_token, READ)
        with self._rest(app, access_token, READ) as rest:
            return pages.profile(rest, app, platform_user_id)

    def _member(self, app: App, access_token: str, step: str) -> Profile:
        """Who the member is: by OpenID Connect, or by `/v2/me` for apps that hold `r_basicprofile` instead."""
        opened = app.mode != ORGANIZATION and ("openid" in app.scopes.split() or not app.scopes)
        with self.call(app, access_token, step) as call:
            told = call.get("/v2/userinfo" if opened else _ME, headers=PROTOCOL).json()
            member = str(told.get("sub" if opened else "id") or "")
            if not member:
                raise call.unclear()
        vanity = str(told.get("vanityName") or "")
        name = str(told.get("name") or " ".join(
            str(told[key]) for key in ("given_name", "family_name", "localizedFirstName", "localizedLastName")
            if told.get(key)))
        meta = {key: told[key] for key in ("locale",) if told.get(key)}
        return Profile(member, vanity, name, PERSON_KIND, f"{app.hosts['web']}/in/{vanity}" if vanity else "",
                       str(told.get("picture") or "") or _portrait(told.get("profilePicture")),
                       {**meta, "urn": f"{PERSON_URN}{member}"})

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Best effort: several programs use this address, LinkedIn's pages do not name it."""
        with self.call(app, "", REVOKE, host="web") as call:
            call.post("/oauth/v2/revoke", form={
                "client_id": app.client_id, "client_secret": app.client_secret, "token": tokens.access_token})

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """Visible characters, without the backslashes that we add."""
        return len(visible(text))

    def prepares(self, draft: Draft) -> bool:
        """Only files go before the post, the picture of a link's card among them."""
        return draft.format != COMMENT and bool(keys(draft))

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Upload what is not there yet."""
        wanted = [] if draft.format == COMMENT else keys(draft)
        if not wanted:
            return
        with self._rest(app, access_token, PREPARE, draft, progress) as rest:
            for key, file in wanted:
                with _card_only(progress, key):
                    media.upload(rest, key, file)

    def check(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Wait | None:
        """LinkedIn may refuse a post whose files are still being processed."""
        wanted = [] if draft.format == COMMENT else keys(draft)
        with self._rest(app, access_token, READ, draft, progress) as rest:
            for key, file in wanted:
                with _card_only(progress, key):
                    wait = media.ready(rest, key, file)
                    if wait is not None:
                        return wait
        return None

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published:
        """One post, or one comment under a post of ours."""
        with self._rest(app, access_token, PUBLISH, draft, progress) as rest:
            if draft.format == COMMENT:
                return self._commented(rest, app, draft)
            if any(not media.urn_of(progress, key) for key, _ in keys(draft) if not key.startswith(THUMBNAIL)):
                raise TryLater("The files are not at LinkedIn yet. We send them again.", "no_media")
            try:
                reply = rest.post("/rest/posts", post(rest.author, draft, lambda key: media.urn_of(progress, key)))
            except AlreadyPublished as known:
                known.permalink = _permalink(app, known.post_id)
                raise
            # LinkedIn answers 201 with an empty body; the new post's id is only in this header.
            urn = reply.headers.get("x-restli-id") or ""
            if not urn:
                raise rest.call.unclear()
            return Published(urn, _permalink(app, urn), _note(app, rest))

    def _commented(self, rest: Rest, app: App, draft: Draft) -> Published:
        """learn.microsoft.com, Comments API: plain text, no little text format."""
        on = draft.root_id or draft.reply_to
        reply = rest.post(f"/rest/socialActions/{quote(on, safe='')}/comments", {
            "actor": rest.author, "object": on, "message": {"text": draft.text}})
        known = _comment_id(reply)
        if not known:
            raise rest.call.unclear()
        return Published(known, _permalink(app, on), _note(app, rest))

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Sent | Located:
        """A Page's latest posts can be read; a member's cannot."""
        author = author_of(app, draft)
        asked = split_scopes(app.scopes)
        if not author.startswith(PAGE_URN) or draft.format == COMMENT or (
                asked is not None and "r_organization_social" not in asked):
            return Located.CANNOT_LOOK
        try:
            with self._rest(app, access_token, READ, draft, progress) as rest:
                found = rest.get("/rest/posts", {"q": "author", "author": author, "count": _LOOKED_AT}).get("elements")
        except PermissionMissing:
            return Located.CANNOT_LOOK
        for one in found if isinstance(found, list) else []:
            if isinstance(one, dict) and one.get("id") and _is_ours(one, draft, media.urns(progress), sent_at):
                return Published(str(one["id"]), _permalink(app, str(one["id"])))
        return Located.NOT_FOUND

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete a post; its comments go with it."""
        if not post_id.startswith(("urn:li:share:", "urn:li:ugcPost:")):
            return
        with self._rest(app, access_token, DELETE, draft) as rest:
            try:
                rest.delete(f"/rest/posts/{quote(post_id, safe='')}")
            except Gone:
                return

    # ------------------------------------------------------------ answers

    def _rest(self, app: App, access_token: str, step: str, draft: Draft | None = None,
              progress: Progress | None = None) -> Rest:
        return Rest(self, app, access_token, step, progress=progress,
                    author=author_of(app, draft) if draft is not None else "",
                    about=COMMENT if draft is not None and draft.format == COMMENT else "")

    def parse(self, body: Any) -> Parsed:
        """LinkedIn's own form, its newer validation form, and OAuth's."""
        return parse(body)

    def rate_limited(self, answer: Answer) -> RateLimited:
        """LinkedIn counts by the day and states nothing: first two minutes, then half an hour, then midnight UTC."""
        if answer.headers.get("Retry-After"):
            until = stated_wait(answer.headers)
        else:
            until = pause_until(int(answer.app.options.get(THROTTLED) or 0))
        return RateLimited(f"LinkedIn's daily limit is reached. We continue at {until.astimezone(UTC):%H:%M} UTC.",
                           answer.code, until=until)


class _card_only:  # noqa: N801  (reads as a word after `with`)
    """A card's picture that LinkedIn refuses does not keep the post back: the card goes out without it."""

    def __init__(self, progress: Progress, key: str) -> None:
        self.progress, self.key = progress, key

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, ContentRejected) or not self.key.startswith(THUMBNAIL):
            return False
        media.forget(self.progress, self.key)
        return True


def author_of(app: App, draft: Draft) -> str:
    """In whose name a draft goes out: what the profile's reading kept, else by the shape of its id."""
    kept = str(draft.meta.get("urn") or "")
    if kept.startswith((PERSON_URN, PAGE_URN)):
        return kept
    return f"{PAGE_URN if _is_page(app, draft.platform_user_id) else PERSON_URN}{draft.platform_user_id}"


def _is_page(app: App, platform_user_id: str) -> bool:
    return app.mode == ORGANIZATION and platform_user_id.isdigit()  # a member's id has letters in it


def _permalink(app: App, urn: str) -> str:
    return f"{app.hosts['web']}/feed/update/{quote(urn, safe=':')}/" if urn else ""


def _note(app: App, rest: Rest) -> str:
    if rest.version == app.api_version:
        return ""
    return f"LinkedIn has ended API version {app.api_version}, which this console asks by; it went out by " \
           f"{rest.version}. An admin should choose a newer one."


def _comment_id(reply: Reply) -> str:
    told = reply.json()
    return str(reply.headers.get("x-restli-id") or told.get("commentUrn") or told.get("$URN") or told.get("id") or "")


def _portrait(picture: Any) -> str:
    """The last, largest element of a decorated picture; empty for any other shape."""
    try:
        return str(picture["displayImage~"]["elements"][-1]["identifiers"][0]["identifier"])
    except (KeyError, IndexError, TypeError):
        return ""


def _made_at(element: Mapping[str, Any]) -> datetime | None:
    """When a listed post was made; None where it does not tell."""
    try:
        return datetime.fromtimestamp(float(element.get("createdAt") or element.get("publishedAt") or "") / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _other_sort(content: Collection[str], draft: Draft) -> bool:
    """Whether a listed post surely is of another sort than the draft: the same words under a picture, say."""
    return (draft.format == "text" and not {"media", "multiImage", "poll"}.isdisjoint(content)) or (
        draft.format == "poll" and "poll" not in content)


def _is_ours(element: Mapping[str, Any], draft: Draft, urns: list[str], sent_at: datetime) -> bool:
    """Whether a listed post is the draft: by what was uploaded for it, else by its text; never an older one."""
    made, found = _made_at(element), element.get("content")
    content = found if isinstance(found, dict) else {}
    if made is None or made < sent_at - CLOCK_TOLERANCE or _other_sort(content, draft):
        return False
    told = json.dumps(content) if content else ""
    if any(f'"{urn}"' in told for urn in urns):
        return True
    if urns and "urn:li:" in told:
        return False  # other files than ours
    poll, article = content.get("poll"), content.get("article")
    if draft.poll is not None and draft.format == "poll":
        question = poll.get("question") if isinstance(poll, dict) else ""
        if question != draft.poll.question or not draft.text.strip():
            return bool(question == draft.poll.question)
    source = str(article.get("source") or "") if isinstance(article, dict) else ""
    return is_same(plain(str(element.get("commentary") or "")), visible(draft.text), (source,) if source else ())
