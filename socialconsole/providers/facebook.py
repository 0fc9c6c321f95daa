"""Facebook Pages: a code becomes a short token, that a long one, and only then a Page's own token lasts for good.

Vendor pages: developers.facebook.com/documentation/facebook-login, …/documentation/pages-api.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..errors import (
    PERMISSION_MISSING,
    SUSPENDED,
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    PermissionMissing,
    PlatformError,
)
from .base import (
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
)
from .call import Call
from .facebook_portal import CONSEQUENCES, FEATURES, GUIDE, SCOPES
from .matching import happened_at, is_same
from .meta import APP_VERSION, META_ID, META_REFUSALS, META_SECRET, MetaProvider, after, rows
from .refusals import (
    PREPARE,
    PROFILES,
    PUBLISH,
    READ,
    RENEW,
    REVOKE,
    TOKEN,
    Refusal,
    later,
    limited,
    missing,
    reconnect,
    redact,
    rejected,
)

_PICTURE = "picture.type(large){url}"
_PAGE_FIELDS = f"id,name,username,link,category,tasks,access_token,{_PICTURE}"
_MOST_PARTS = 20  # of 100 Pages each
_MOST_INSPECTED = 10  # Page tokens looked at while a person waits

_NOT_TICKED = "This Page was not ticked at Facebook. Connect again and keep the earlier Pages ticked too."
_NO_ROLE = "Your role on this Page does not allow publishing. Ask its owner for content access."
_NOT_ITS_OWN = "Facebook gave no key of this Page's own. Connect again and tick the Page."
_NO_PAGE = "Facebook gave us no Page. Tick at least one Page, and check that you have a role on it."

_REFUSALS = (
    Refusal(reconnect("The stored key is not the Page's own. Connect the Page again.", PERMISSION_MISSING),
            code=("200",), text=("posted to a page as the page itself",), steps=(PUBLISH,)),
    Refusal(reconnect("Your role on this Page was removed. Someone with access has to connect it.",
                      PERMISSION_MISSING), code=("190",), subcode=("492",)),
    Refusal(limited("Facebook finds this Page is posting too fast. We wait until {t}.", timedelta(hours=6)),
            code=("368",), subcode=("1390008",)),
    Refusal(reconnect("Facebook asks you to confirm your identity in its app first.", SUSPENDED), code=("368",),
            subcode=("4854002",)),
    Refusal(rejected("Facebook already has this post. Change the text or the photos."),
            either=("1404082", "506", "1366051")),
    Refusal(rejected("Facebook refused the content under its Community Standards."), either=("1346003", "1404102")),
    Refusal(missing("Facebook wants Page Publishing Authorization from you before this Page may publish.", step=True),
            either=("1404078",)),
    Refusal(reconnect("Facebook has limited this account for now. Sign in there and follow its steps.", SUSPENDED),
            either=("1404006", "1404112")),
    Refusal(rejected("The photo is too large or not a JPEG or PNG.", "image"), either=("1366046",)),
    Refusal(rejected("Facebook cannot use this link. Check that it opens without login and is not a facebook.com "
                     "address.", "link"), either=("1609005", "1609008", "2061006")),
    Refusal(later("Facebook is not available for a moment, or the upload broke off. We try again."),
            either=("1363047", "1609010", "6001"), steps=(PREPARE, PUBLISH)),
    Refusal(later("Facebook could not fetch the video from our address."), code=("389",), steps=(PREPARE,)),
    Refusal(rejected("Facebook cannot use this video file: {detail}", "video"), either=("2069019", "6000", "382"),
            steps=(PREPARE, PUBLISH)),
    *META_REFUSALS,
)


@dataclass(frozen=True)
class _Graph:
    """Reads for one person while the consent is worked off."""

    call: Call
    version: str

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """One object."""
        return self.call.get(f"/{self.version}/{path}", params=params).json()

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """A whole list, part by part."""
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(_MOST_PARTS):
            body = self.get(path, **params, limit=100, **({"after": cursor} if cursor else {}))
            found += rows(body)
            following = after(body)
            if not following or following == cursor:
                break
            cursor = following
        return found


class Facebook(MetaProvider):
    """Pages a person has a role on; each has a token of its own that does not run out."""

    slug, name, tile = "facebook", "Facebook", "Fb"
    hosts = {"web": "https://www.facebook.com", "api": "https://graph.facebook.com"}
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
    refusals = _REFUSALS

    renewal, replay = Renewal.EXCHANGE, Replay.REUSABLE
    renew_before_end = timedelta(days=30)
    account_outlives_grant = True
    revoke_kind = Revoke.PERSON
    revoke_where = "Settings → Business integrations (with a plain login: Apps and websites)"

    text_limit = TextLimit(63206, "characters")
    publish_needs = {"": ("pages_manage_posts", "pages_read_engagement")}

    # ------------------------------------------------------------ authorise

    def authorize_parameters(self, app: App, again: bool) -> dict[str, Any]:
        """A configuration replaces the scopes; declined permissions are asked for again only on request."""
        configured = app.options.get("config_id")
        return {**({"config_id": configured, "scope": None} if configured else {}),
                **({"auth_type": "rerequest"} if again else {})}

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
            graph = _Graph(call, app.api_version)
            person = graph.get("me", fields="id,name")
            if not person.get("id"):
                raise call.unclear()
            granted = frozenset(str(one.get("permission")) for one in rows(graph.get("me/permissions"))
                                if one.get("status") == "granted")
            pages = self._pages(app, graph, tokens.access_token, granted)
        if not pages:
            raise PermissionMissing(_NO_PAGE, "no_page")
        return Consent(replace(tokens, scopes=granted), str(person["id"]), str(person.get("name") or ""), granted,
                       tuple(pages))

    def _lengthen(self, app: App, token: str, step: str) -> TokenSet:
        with self.call(app, "", step) as call:
            reply = call.get(f"/{app.api_version}/oauth/access_token", params={
                "grant_type": "fb_exchange_token", "client_id": app.client_id, "client_secret": app.client_secret,
                "fb_exchange_token": token})
        return self.read_tokens(reply.body, app, step, (token,))

    def _pages(self, app: App, graph: _Graph, user_token: str, granted: frozenset[str]) -> list[Profile]:
        found = {str(page["id"]): page for page in graph.all("me/accounts", fields=_PAGE_FIELDS) if page.get("id")}
        if "business_management" in granted:
            for page in _portfolio_pages(graph):
                found.setdefault(str(page["id"]), page)
        if not found:
            found = {str(page["id"]): page for page in _ticked_pages(app, graph, user_token)}
        profiles = [self._page(page, user_token) for page in found.values()]
        profiles = [_inspected(app, graph, one) if number < _MOST_INSPECTED else one
                    for number, one in enumerate(sorted(profiles, key=lambda one: bool(one.problem)))]
        return sorted(profiles, key=lambda one: bool(one.problem))

    def _page(self, page: Mapping[str, Any], user_token: str) -> Profile:
        token, tasks = page.get("access_token"), page.get("tasks")
        problem = ""
        if not isinstance(token, str) or not token:
            token, problem = None, _NOT_TICKED
        elif token == user_token:
            token, problem = None, _NOT_ITS_OWN
        elif isinstance(tasks, list) and not {"CREATE_CONTENT", "MANAGE"} & set(map(str, tasks)):
            problem = _NO_ROLE
        return replace(_described(page), own_token=token, problem=problem)

    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The Page as it is now, read with its own token."""
        with self.call(app, access_token, READ) as call:
            page = _Graph(call, app.api_version).get(
                platform_user_id, fields=f"id,name,username,link,category,{_PICTURE}")
            if not page.get("id"):
                raise call.unclear()
        return _described(page)

    # ------------------------------------------------------------ keep alive

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """Exchange the person's token while it lives; an expired one cannot be exchanged."""
        return self._lengthen(app, tokens.access_token, RENEW)

    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Remove the app for this person, with every Page behind it; one that is removed already is fine."""
        with self.call(app, tokens.access_token, REVOKE) as call:
            try:
                call.delete(f"/{app.api_version}/{person_id}/permissions")
            except NeedsReconnect as refused:
                if refused.code != "190/458":
                    raise

    # ------------------------------------------------------------ publish

    def count(self, text: str) -> int:
        """Plain characters."""
        return len(text)

    def publish(self, app: App, access_token: str, draft: Draft) -> Published:
        """One post in the name of the Page; the first link becomes its card."""
        form = {"message": draft.text, **({"link": draft.link} if draft.link else {})}
        with self.call(app, access_token, PUBLISH) as call:
            try:
                post_id = str(call.post(f"/{app.api_version}/{draft.platform_user_id}/feed", form=form)
                              .json().get("id") or "")
            except ContentRejected as refused:
                if refused.code == "100/33":
                    self._is_visible(app, access_token, draft)
                raise
            if not post_id:
                raise call.unclear()
        return Published(post_id, self._permalink(app, access_token, post_id))

    def _is_visible(self, app: App, access_token: str, draft: Draft) -> None:
        """"Does not exist" can also mean that the token no longer sees the Page: then only a person helps."""
        try:
            self.profile(app, access_token, draft.platform_user_id)
        except NeedsReconnect:
            raise
        except PlatformError as refused:
            if refused.code == "100/33":
                raise NeedsReconnect("Facebook no longer shows us this Page. Someone with access has to connect it.",
                                     refused.code, reason=PERMISSION_MISSING) from None

    def _permalink(self, app: App, access_token: str, post_id: str) -> str:
        """Facebook's own address of the post. The post is out already: no trouble here may look like a failure."""
        composed = f"{app.hosts['web']}/{post_id}"
        try:
            with self.call(app, access_token, READ) as call:
                link = call.get(f"/{app.api_version}/{post_id}", params={"fields": "permalink_url"}).json()
        except PlatformError:
            return composed
        return _on_web(app, link.get("permalink_url")) or composed

    def locate(self, app: App, access_token: str, draft: Draft, sent_at: datetime) -> Published | Located:
        """Look among the Page's ten newest posts; those of visitors do not count."""
        page = draft.platform_user_id
        with self.call(app, access_token, READ) as call:
            body = _Graph(call, app.api_version).get(
                f"{page}/feed", fields="id,message,created_time,permalink_url,from{id}", limit=10)
        for post in rows(body):
            author = post.get("from")
            ours = not isinstance(author, dict) or str(author.get("id") or page) == page
            if ours and post.get("id") and is_same(post.get("message"), draft.text, (draft.link,)) \
                    and happened_at(post.get("created_time"), sent_at):
                post_id = str(post["id"])
                return Published(post_id, _on_web(app, post.get("permalink_url")) or f"{app.hosts['web']}/{post_id}")
        return Located.NOT_FOUND


def _on_web(app: App, link: Any) -> str:
    """A link of Facebook's own, as it stands; empty for any other."""
    return link if isinstance(link, str) and link.startswith(f"{app.hosts['web']}/") else ""


def _described(page: Mapping[str, Any]) -> Profile:
    picture = page.get("picture")
    data = picture.get("data") if isinstance(picture, dict) else None
    page_id = str(page.get("id") or "")
    return Profile(
        page_id, str(page.get("username") or ""), str(page.get("name") or page_id), "Facebook Page",
        str(page.get("link") or ""), str(data.get("url") or "") if isinstance(data, dict) else "",
        {key: page[key] for key in ("category", "link", "tasks") if page.get(key)})


def _tolerant(read: Callable[[], Any], otherwise: Any) -> Any:
    """What a read gives that is a help but no must."""
    try:
        return read()
    except PlatformError:
        return otherwise


def _portfolio_pages(graph: _Graph) -> list[dict[str, Any]]:
    """Pages of the person's business portfolios, which `me/accounts` leaves out."""
    found: list[dict[str, Any]] = []
    for business in _tolerant(lambda: graph.all("me/businesses", fields="id,name"), []):
        for edge in ("owned_pages", "client_pages"):
            path = f"{business.get('id')}/{edge}"
            found += _tolerant(lambda path=path: graph.all(path, fields=_PAGE_FIELDS), [])  # type: ignore[misc]
    return [page for page in found if page.get("id")]


def _debug(app: App, graph: _Graph, token: str) -> dict[str, Any]:
    """What Facebook knows of a token; empty if it does not tell."""
    asking = replace(graph, call=replace(graph.call, token=f"{app.client_id}|{app.client_secret}"))
    data = _tolerant(lambda: asking.get("debug_token", input_token=token), {}).get("data")
    return data if isinstance(data, dict) else {}


def _ticked_pages(app: App, graph: _Graph, user_token: str) -> list[dict[str, Any]]:
    """The Pages named by the token itself, for logins where Facebook lists none although some were ticked."""
    wanted: dict[str, None] = {}
    for scope in _debug(app, graph, user_token).get("granular_scopes") or []:
        if isinstance(scope, dict) and str(scope.get("scope", "")).startswith("pages_"):
            wanted.update(dict.fromkeys(str(target) for target in scope.get("target_ids") or []))
    pages = [_tolerant(lambda one=one: graph.get(one, fields=_PAGE_FIELDS), {})  # type: ignore[misc]
             for one in list(wanted)[:100] if one.isdigit()]
    return [page for page in pages if page.get("id")]


def _inspected(app: App, graph: _Graph, page: Profile) -> Profile:
    """A Page with what Facebook says of its token. A token of another kind would fail at every post."""
    if page.problem or not page.own_token:
        return page
    facts = _debug(app, graph, page.own_token)
    if facts and (facts.get("type") not in (None, "PAGE")
                  or str(facts.get("profile_id") or page.platform_user_id) != page.platform_user_id):
        return replace(page, own_token=None, problem=_NOT_ITS_OWN)
    kept = {f"token_{key}": facts[key] for key in ("type", "expires_at", "data_access_expires_at") if key in facts}
    return replace(page, meta={**page.meta, **kept})
