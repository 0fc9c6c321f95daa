"""Facebook Pages: a code becomes a short token, that a long one, and only then a Page's own token lasts for good.

Vendor pages: developers.facebook.com/documentation/facebook-login, …/documentation/pages-api.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ..errors import (
    ADMIN,
    PERMISSION_MISSING,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    PermissionMissing,
    PlatformError,
    TryLater,
)
from .base import COMMENT, App, Consent, Draft, Option, Profile, Renewal, Replay, Revoke, TextLimit, TokenSet
from .content import Located, Problem, Progress, Published, Sent, Wait
from .facebook_errors import CAUSES
from .facebook_formats import FIELDS, FILM, FORMATS, LOOK, PHOTO, PHOTOS, REEL, STORY, edge, form, is_photo_story
from .facebook_media import Uploads, photo_part, read_status
from .facebook_pages import PICTURE, Graph, described_page, list_pages
from .facebook_paste import PASTE
from .facebook_portal import CONSEQUENCES, FEATURES, GUIDE, LIFETIMES, SCOPES
from .facebook_probe import PROBE
from .facebook_refusals import NOT_FETCHED, REFUSALS
from .matching import happened_at, is_same
from .meta import (
    APP_VERSION,
    META_ID,
    META_SECRET,
    GraphCall,
    MetaProvider,
    auth_type,
    is_busy,
    remove_app,
    rows,
    the_person,
    token_is_valid,
)
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, RENEW, REVOKE, TOKEN, redact

_VIDEO_FIELDS = "status,permalink_url,post_id"
_FOLLOW_FIRST, _FOLLOW_LONGEST = timedelta(seconds=10), timedelta(minutes=5)

_NO_PAGE = "Facebook gave us no Page. Tick at least one Page, and check that you have a role on it."
_NO_LIST = "Facebook lists no Page, because the permission to show your Pages was declined. Connect again and allow it."
_GONE = "The post or media no longer exists there, or we may not see it."
_NO_COMMENT = "Facebook takes no comment under a story."


class Facebook(MetaProvider):
    """Pages a person has a role on; each has a token of its own that does not run out."""

    slug, name, tile = "facebook", "Facebook", "Fb"
    hosts = {"web": "https://www.facebook.com", "api": "https://graph.facebook.com",
             "video": "https://graph-video.facebook.com", "rupload": "https://rupload.facebook.com"}
    client_id_label, client_secret_label = "App ID", "App secret"
    client_id_help = "From App settings, Basic."
    client_id_shape, client_secret_shape = META_ID, META_SECRET
    callback_label = "Valid OAuth Redirect URI"
    api_version = APP_VERSION
    options = (Option("config_id", "Configuration ID",
                      "Only with Facebook Login for Business: its permissions replace the scopes."),)
    scopes = {"": SCOPES}
    features = FEATURES
    guides = {"": GUIDE}
    scope_separator = ","
    scope_consequences = CONSEQUENCES

    authorize = ("web", "/{version}/dialog/oauth")
    token = ("api", "/{version}/oauth/access_token")
    requirement = "A Facebook Page where you may publish."
    before_consent = "Tick every Page you want to publish to, those connected earlier too."
    several_profiles = True
    refusals = REFUSALS
    causes, lifetimes = CAUSES, LIFETIMES
    probe = PROBE
    paste = PASTE

    renewal, replay = Renewal.EXCHANGE, Replay.REUSABLE
    renew_before_end = timedelta(days=30)
    account_outlives_grant = True
    revoke_kind = Revoke.PERSON
    revoke_url = "https://www.facebook.com/help/405094243235242"  # says where; the settings themselves move
    revoke_where = "Settings → Business integrations (with a plain login: Apps and websites)"
    calls_back = ("deauthorize", "deletion")

    text_limit = TextLimit(63206, "characters")
    publish_needs = {"": ("pages_manage_posts", "pages_read_engagement")}
    formats, fields, look = FORMATS, FIELDS, LOOK
    comment_needs = {"": ("pages_manage_engagement",)}
    delete_needs = {"": ("pages_manage_posts",)}
    profile_needs = {"": ("pages_read_engagement",)}

    def call(self, app: App, access_token: str, step: str, host: str = "api") -> GraphCall:
        """Calls in the name of a token, as a context."""
        return self.graph_call(app, access_token, step, host)

    # ------------------------------------------------------------ authorise

    def authorize_parameters(self, app: App, again: bool | str) -> dict[str, Any]:
        """A configuration replaces the scopes; what was declined, or ran out, is asked for again only on request."""
        configured = app.options.get("config_id")
        return {**({"config_id": configured, "scope": None} if configured else {}), **auth_type(again)}

    def keeps_granted(self, mode: str, options: Mapping[str, str]) -> bool:
        """A plain login adds to what was given; a configuration is accepted as a whole."""
        return not options.get("config_id")

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """Facebook tells of a wrong scope in words of its own, without `error`."""
        if "error" not in query and query.get("error_code"):
            detail = redact(query.get("error_message", ""))
            scopes = detail.partition("Invalid Scopes:")[2].strip().split(". ")[0].rstrip(".")
            raise ConfigurationWrong(
                f"The Meta app does not have a permission we ask for: {scopes or detail or 'it is not named'}. Add it "
                "in the use case, or take it out of the scopes.", redact(query["error_code"])[:60])
        super().read_refusal(query)

    # ------------------------------------------------------------ connect

    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """A long token first: a Page's token made from a short one would die with it."""
        short = self.exchange(app, code, verifier)
        tokens = self._lengthen(app, short.access_token, TOKEN)
        with self.call(app, tokens.access_token, PROFILES) as call:
            graph = Graph(call, app.api_version)
            granted = frozenset(str(one.get("permission")) for one in rows(graph.get("me/permissions"))
                                if one.get("status") == "granted")
            person_id, person_name, _ = the_person(call, app.api_version)
            pages = list_pages(graph, tokens.access_token, granted)
        if not pages and "pages_show_list" not in granted:
            raise PermissionMissing(_NO_LIST, "no_page", scopes=("pages_show_list",))
        if not pages:
            raise PermissionMissing(_NO_PAGE, "no_page")
        return Consent(replace(tokens, scopes=granted), person_id, person_name, granted, tuple(pages))

    def _lengthen(self, app: App, token: str, step: str) -> TokenSet:
        with self.call(app, "", step) as call:
            reply = call.get(f"/{app.api_version}/oauth/access_token", params={
                "grant_type": "fb_exchange_token", "client_id": app.client_id, "client_secret": app.client_secret,
                "fb_exchange_token": token})
        return self.read_tokens(reply.body, app, step, (token,))

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The Page as it is now, read with its own token."""
        with self.call(app, access_token, READ) as call:
            reply = Graph(call, app.api_version).ask(
                platform_user_id, fields=f"id,name,username,link,{PICTURE}")
            if not reply.json().get("id"):
                raise call.unclear()
        page = described_page(reply.json())
        # A version that died is served silently by the oldest living one; only this header tells.
        served = reply.headers.get("facebook-api-version")
        return replace(page, meta={**page.meta, "served_version": served}) if served else page

    # ------------------------------------------------------------ keep alive

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """Exchange the person's token while it lives; an expired one cannot be exchanged."""
        return self._lengthen(app, tokens.access_token, RENEW)

    def still_valid(self, app: App, tokens: TokenSet) -> bool | None:
        """What Meta says of the person's token."""
        with self.call(app, "", READ) as call:
            return token_is_valid(call, app.api_version, tokens.access_token)

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Remove the app for this person, with every Page behind it; one that is removed already is fine."""
        with self.call(app, tokens.access_token, REVOKE) as call:
            remove_app(call, app.api_version, person_id)

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """Plain characters."""
        return len(text)

    def more_problems(self, draft: Draft, mode: str) -> list[Problem]:
        """A place is named by its id."""
        place = draft.options.get("place", "")
        return [Problem("place", "Facebook knows places by the id of their Page: digits only.")] \
            if place and not (place.isascii() and place.isdigit()) else []

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """Bring the files there; for a comment learn which post belongs to a video."""
        if draft.format == COMMENT:
            self._find_post(app, access_token, draft, progress)
            return
        try:
            self._upload(app, access_token, draft, progress)
        except TryLater as refused:
            if refused.message != NOT_FETCHED:
                raise
            if progress.get("unfetched"):
                raise ContentRejected(NOT_FETCHED, refused.code, ADMIN, field="video") from None
            progress.keep(unfetched=True)
            raise
        except ContentRejected as refused:
            if refused.code == "100/33":
                self._is_visible(app, access_token, draft)
            raise

    def _upload(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        uploads = Uploads(self, app, access_token, draft, progress)
        if draft.format == PHOTOS or is_photo_story(draft):
            uploads.begin()
            uploads.photos()
        elif draft.format == FILM:
            uploads.begin()
            uploads.chunks()
        elif draft.format in (REEL, STORY):
            uploads.begin()
            uploads.stream(edge(draft))

    def _find_post(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        if progress.get("post"):
            return
        try:
            post = self._post_of(app, access_token, draft, PREPARE)
        except ContentRejected as refused:
            if refused.code == "100/33":
                self._is_visible(app, access_token, draft)
                raise
            if refused.code != "100":
                raise
            # Only a story has a bare number and no field with its post.
            raise ContentRejected(_NO_COMMENT, refused.code, field="first_comment") from None
        progress.keep(post=post or draft.reply_to)

    def _post_of(self, app: App, access_token: str, draft: Draft, step: str) -> str:
        """The post that a comment belongs to: a video has an id of its own, and a post that shows it."""
        if "_" in draft.reply_to:
            return draft.reply_to
        with self.call(app, access_token, step) as call:
            found = str(Graph(call, app.api_version).get(draft.reply_to, fields="post_id").get("post_id") or "")
        return found if "_" in found or not found else f"{draft.platform_user_id}_{found}"

    def check(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Wait | None:
        """Reels and stories can be finished once Facebook has all their bytes."""
        if draft.format not in (REEL, STORY) or is_photo_story(draft):
            return None
        status = Uploads(self, app, access_token, draft, progress).status()
        if status.failed:
            raise status.rejection()
        return None if status.may_be_finished else Wait()

    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published | Sent:
        """One post in the name of the Page; a link becomes its card."""
        target = f"{progress.get('post') or draft.reply_to}/comments" if draft.format == COMMENT else \
            f"{draft.platform_user_id}/{edge(draft)}"
        with self.call(app, access_token, PUBLISH, "video" if draft.format == FILM else "api") as call:
            try:
                answer = call.post(f"/{app.api_version}/{target}", form=form(draft, progress),
                                   files=photo_part(draft.file) if draft.format == PHOTO else None).json()
            except ContentRejected as refused:
                if refused.code == "100/33":
                    self._is_visible(app, access_token, draft)
                raise
            if draft.format in (FILM, REEL) or draft.format == STORY and not is_photo_story(draft):
                if answer.get("success") is not True:
                    raise call.unclear()
                return _sent(app, draft, progress, str(answer.get("post_id") or ""))
            post_id = str(answer.get("post_id") or answer.get("id") or "")
            if not post_id and not (draft.format == STORY and answer.get("success") is True):
                raise call.unclear()
        if draft.format in (COMMENT, STORY):
            return Published(post_id)
        return Published(post_id, self._permalink(app, access_token, post_id))

    def follow(self, app: App, access_token: str, draft: Draft, progress: Progress, sent: Sent) -> Published | Sent:
        """How the processing of a video goes on; the questions become rarer."""
        video = str(progress.get("video") or sent.id)
        with self.call(app, access_token, READ) as call:
            try:
                reply = Graph(call, app.api_version).ask(video, fields=_VIDEO_FIELDS)
            except TryLater as refused:
                if refused.code != "100/33":
                    raise
                self._is_visible(app, access_token, draft)
                raise ContentRejected(_GONE, refused.code, field="video") from None
        status, turn = read_status(reply.json()), int(progress.get("turn", 0)) + 1
        if status.failed:
            raise status.rejection()
        if status.is_public:
            return _film(app, draft, reply.json(), sent.id or video)
        progress.keep(turn=turn)
        pause = min(_FOLLOW_FIRST * 1.5**turn, _FOLLOW_LONGEST)
        return replace(sent, again_in=min(pause * 4, _FOLLOW_LONGEST) if is_busy(reply.headers) else pause)

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete a post, a video or a comment; one that is gone already is fine."""
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
            if done.json().get("success") is False:
                raise call.unclear()

    def _is_visible(self, app: App, access_token: str, draft: Draft, *, sure: bool = False) -> None:
        """"Does not exist" can also mean that the token no longer sees the Page: then only a person helps."""
        try:
            self.profile(app, access_token, draft.platform_user_id)
        except NeedsReconnect:
            raise
        except PlatformError as refused:
            if refused.code == "100/33":
                raise NeedsReconnect("Facebook no longer shows us this Page. Someone with access has to connect it.",
                                     refused.code, reason=PERMISSION_MISSING) from None
            if sure:
                raise

    def _permalink(self, app: App, access_token: str, post_id: str) -> str:
        """Facebook's own address of the post. The post is out already: no trouble here may look like a failure."""
        composed = f"{app.hosts['web']}/{post_id}"
        try:
            with self.call(app, access_token, READ) as call:
                link = call.get(f"/{app.api_version}/{post_id}", params={"fields": "permalink_url"}).json()
        except PlatformError:
            return composed
        return _on_web(app, link.get("permalink_url")) or composed

    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Sent | Located:
        """Videos are asked themselves; other posts are looked for among the Page's ten newest."""
        if draft.format == COMMENT:
            return self._locate_comment(app, access_token, draft, progress, sent_at)
        if progress.get("video"):
            return self._locate_video(app, access_token, draft, progress)
        if draft.format == STORY or not draft.text.strip():
            return Located.CANNOT_LOOK  # nothing tells this post from another
        with self.call(app, access_token, READ) as call:
            posts = _newest(Graph(call, app.api_version), draft.platform_user_id)
        for post in posts:
            if _is_same(post, draft, sent_at):
                post_id = str(post["id"])
                return Published(post_id, _on_web(app, post.get("permalink_url")) or f"{app.hosts['web']}/{post_id}")
        return Located.NOT_FOUND

    def _locate_comment(self, app: App, access_token: str, draft: Draft, progress: Progress,
                        sent_at: datetime) -> Published | Located:
        post = progress.get("post") or self._post_of(app, access_token, draft, READ) or draft.reply_to
        with self.call(app, access_token, READ) as call:
            body = Graph(call, app.api_version).get(
                f"{post}/comments", fields="id,message,from,created_time,parent{id}", filter="stream")
        return next((Published(str(one["id"])) for one in rows(body)
                     if _is_by(one, draft.platform_user_id) and _is_same(one, draft, sent_at)), Located.NOT_FOUND)

    def _locate_video(self, app: App, access_token: str, draft: Draft,
                      progress: Progress) -> Published | Sent | Located:
        """The finishing call names one video, so sent again it can never make a second post."""
        video = str(progress.get("video"))
        with self.call(app, access_token, READ) as call:
            try:
                body = Graph(call, app.api_version).get(video, fields=_VIDEO_FIELDS)
            except TryLater as refused:
                if refused.code != "100/33":
                    raise
                return Located.NOT_FOUND
        status = read_status(body)
        if status.failed:
            raise status.rejection()
        if status.is_public:
            return _film(app, draft, body, video)
        return Located.NOT_PUBLISHED if status.is_unfinished else _sent(app, draft, progress, "")


# ---------------------------------------------------------------- what came of it


def _newest(graph: Graph, page: str) -> list[dict[str, Any]]:
    """The Page's own newest posts. The feed holds those of visitors too, and may name no author for them."""
    fields = "id,message,created_time,permalink_url"
    try:
        return list(rows(graph.get(f"{page}/published_posts", fields=fields, limit=10)))
    except (PermissionMissing, TryLater):  # no page says which permissions either list needs
        found = graph.get(f"{page}/feed", fields=f"{fields},from{{id}}", limit=10)
        return [one for one in rows(found) if _is_by(one, page)]


def _is_by(post: Mapping[str, Any], page: str) -> bool:
    author = post.get("from")
    return isinstance(author, dict) and str(author.get("id")) == page


def _is_same(post: Mapping[str, Any], draft: Draft, sent_at: datetime) -> bool:
    """Whether a post or comment is the one that was sent. Facebook changes no links, so they count as text."""
    return bool(post.get("id") and is_same(post.get("message"), draft.text, find_links=lambda text: [])
                and happened_at(post.get("created_time"), sent_at))


def _sent(app: App, draft: Draft, progress: Progress, post_id: str) -> Sent:
    """A video that Facebook has and still works on. A story is known by its post, other videos by themselves."""
    video = str(progress.get("video"))
    if draft.format == STORY:
        return Sent(post_id or video, again_in=_FOLLOW_FIRST)
    return Sent(video, _composed(app, draft, video), again_in=_FOLLOW_FIRST)


def _film(app: App, draft: Draft, body: Mapping[str, Any], known_id: str) -> Published:
    """A video that is out. Its own id is kept, since deleting asks for that one."""
    if draft.format == STORY:
        return Published(str(body.get("post_id") or known_id))
    return Published(known_id, _on_web(app, body.get("permalink_url")) or _composed(app, draft, known_id))


def _composed(app: App, draft: Draft, video: str) -> str:
    return f"{app.hosts['web']}/{'reel/' if draft.format == REEL else ''}{video}"


def _on_web(app: App, link: Any) -> str:
    """A link of Facebook's own, as it stands, or the path that it gives for videos; empty for any other."""
    if not isinstance(link, str):
        return ""
    if link.startswith("/") and not link.startswith("//"):
        return app.hosts["web"] + link
    return link if link.startswith(f"{app.hosts['web']}/") else ""
