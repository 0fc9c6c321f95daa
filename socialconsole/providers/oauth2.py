"""The authorization code flow that the platforms share, on Authlib: authorise, exchange, renew.

Facts on the provider say where a platform differs. Authlib never gets a token endpoint for API calls, since it would
then renew behind our back in the middle of publishing.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import unquote

import requests
from authlib.common.urls import add_params_to_uri
from authlib.integrations.requests_client import OAuth2Session

from .. import outside
from ..errors import AttemptFailed, ConfigurationWrong, Declined, PlatformError, RateLimited
from . import app_check
from .app_check import Probe
from .base import App, Consent, Profile, Provider, Renewal, Replay, TokenSet
from .call import TROUBLE, Call, judge, refusal, stated_wait, unanswered, unclear
from .causes import Cause
from .content import Creator, Draft, Located, Progress, Published, Sent, Wait
from .refusals import RENEW, TOKEN, Answer, Parsed, Refusal, redact
from .verdicts import Verdict

CONNECTABLE: dict[str, "OAuth2Provider"] = {}  # filled by the registry in __init__.py
# Told (app, the version that works instead, a sentence) when a platform ended the API version of an app.
VERSION_ENDED: list[Callable[[App, str, str], None]] = []

# RFC 6749, 4.1.2.1: what an authorization server may say about us rather than about the person.
_OUR_FAULT = ("invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope",
              "unauthorized_scope_error")


def connectable(slug: str) -> "OAuth2Provider":
    """The provider of a platform that this version can connect; raises KeyError for any other."""
    return CONNECTABLE[slug]


class OAuth2Provider(Provider, ABC):
    """A platform that can be connected. Subclasses add facts, their refusals and what they do differently."""

    client_auth: ClassVar[str] = "body"  # how the client proves itself: basic, body or parameters
    client_id_in_body: ClassVar[bool] = False  # beside Basic, for platforms that ask for both
    token_method: ClassVar[str] = "POST"
    declined_codes: ClassVar[tuple[str, ...]] = ("access_denied",)
    refusals: ClassVar[tuple[Refusal, ...]] = ()
    causes: ClassVar[tuple[Cause, ...]] = ()  # what its errors mean for people
    probe: ClassVar[Probe | None] = None  # how id and secret are checked without any person

    # ------------------------------------------------------------ what the platform's file must tell

    @abstractmethod
    def consent(self, app: App, code: str, verifier: str | None) -> Consent:
        """Exchange the code, learn what was granted, list the profiles. Raises PlatformError."""

    @abstractmethod
    def revoke(self, app: App, tokens: TokenSet, person_id: str) -> None:
        """Take the permission back at the platform. Raises PlatformError; only called if `revoke_kind` offers it."""

    @abstractmethod
    def profile(self, app: App, access_token: str, platform_user_id: str) -> Profile:
        """The profile as it is now, for the daily reading. Raises PlatformError."""

    @abstractmethod
    def count(self, text: str) -> int:
        """The length of a text as this platform counts it."""

    @abstractmethod
    def publish(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Published | Sent:
        """The call that cannot be taken back, for one part. Raises OutcomeUnknown where the answer leaves it open."""

    @abstractmethod
    def locate(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent_at: datetime) -> Published | Sent | Located:
        """Look for a part whose outcome is unknown; reads only. Raises PlatformError."""

    # ------------------------------------------------------------ what it may tell besides

    def prepares(self, draft: Draft) -> bool:
        """Whether `prepare` or `check` have anything to ask for this draft; if not, both are skipped."""
        return True

    def prepare(self, app: App, access_token: str, draft: Draft, progress: Progress) -> None:
        """All that may be repeated and publishes nothing: uploads, containers. Goes on where `progress` stands."""

    def check(self, app: App, access_token: str, draft: Draft, progress: Progress) -> Wait | None:
        """Whether what was prepared is ready to be published (None); reads only. Raises PlatformError."""
        return None

    def follow(self, app: App, access_token: str, draft: Draft, progress: Progress,
               sent: Sent) -> Published | Sent | Located:
        """What became of a part that the platform still worked on; repeatable. Raises ContentRejected if it refused.

        Located.NOT_PUBLISHED: the platform says for good that it came to nothing, and that a new try may succeed.
        """
        raise NotImplementedError

    def delete(self, app: App, access_token: str, post_id: str, draft: Draft) -> None:
        """Delete what was published; one that is gone already is fine. Only called where `delete_needs` offers it."""
        raise NotImplementedError

    def creator(self, app: App, access_token: str, platform_user_id: str) -> Creator:
        """What the platform says now about posting to a profile; only called where `asks_creator`."""
        raise NotImplementedError

    # ------------------------------------------------------------ authorise

    def authorization_url(self, app: App, state: str, verifier: str | None, *,
                          again: bool | str = False) -> str:
        """Where the person gives consent. `again`: why once more, one of the words in `base`."""
        session = OAuth2Session(app.client_id, redirect_uri=app.redirect_uri, scope=app.scopes or None,
                                code_challenge_method="S256" if self.pkce else None)
        address, _ = session.create_authorization_url(
            self.address(app, self.authorize), state=state, code_verifier=verifier if self.pkce else None,
            **self.authorize_parameters(app, again))
        # Scopes are separated by %20, since not every platform takes a plus sign; a real plus sign is %2B by now.
        return str(address).replace("+", "%20")

    def wants_pkce(self, app: App) -> bool:
        """Whether a verifier is made for this app; platforms where an option of the app decides override it."""
        return self.pkce

    def authorize_parameters(self, app: App, again: bool | str) -> dict[str, Any]:
        """Further parameters of the consent page; a value of None leaves a parameter out."""
        return {}

    def address(self, app: App, where: tuple[str, str]) -> str:
        """The address of a (host name, path) pair for this app."""
        host, path = where
        return app.hosts[host] + path.replace("{version}", app.api_version)

    def read_refusal(self, query: Mapping[str, str]) -> None:
        """Raise Declined, ConfigurationWrong or AttemptFailed if the callback's query carries a refusal."""
        error = query.get("error", "")
        if not error:
            return
        code = redact(error)[:60]
        if error in self.declined_codes:
            raise Declined(f"You did not allow access at {self.name}. Nothing was connected.", code)
        if error in _OUR_FAULT:
            detail = redact(query.get("error_description", ""))
            raise ConfigurationWrong(
                f"{self.name} refuses the settings of the app: {detail or code} Check callback, client id and scopes.",
                code)
        raise AttemptFailed(f"{self.name} could not finish the connection ({code}). Connect again.", code)

    # ------------------------------------------------------------ are id and secret right?

    def check_app(self, app: App, token: str = "") -> Verdict:
        """See `Provider`."""
        return app_check.check(self, self.probe, app, token) if self.probe else super().check_app(app, token)

    # ------------------------------------------------------------ exchange and renew

    def exchange(self, app: App, code: str, verifier: str | None) -> TokenSet:
        """The tokens for a code. Raises PlatformError."""
        sent = {"code_verifier": verifier} if self.pkce and verifier else {}
        return self._ask(app, TOKEN, (code, verifier or ""), lambda session: session.fetch_token(
            self.address(app, self.token), method=self.token_method, grant_type="authorization_code", code=code,
            redirect_uri=app.redirect_uri, **self._client_id(app), **sent))

    def renew(self, app: App, tokens: TokenSet) -> TokenSet:
        """A newer token set; an answer without refresh token keeps the old one. Raises PlatformError."""
        held = tokens.refresh_token or ""
        newer = self._ask(app, RENEW, (held, tokens.access_token), lambda session: session.refresh_token(
            self.address(app, self.token), refresh_token=held, **self._client_id(app)))
        return newer if newer.refresh_token else replace(newer, refresh_token=tokens.refresh_token)

    def renewal_of(self, tokens: TokenSet) -> Renewal:
        """How this very token set can be renewed: without a refresh token, mostly only by the person."""
        if self.renewal is Renewal.EXCHANGE:
            return self.renewal
        if not tokens.refresh_token:
            return Renewal.NONE
        return Renewal.REFRESH if self.renewal is Renewal.NONE else self.renewal

    @property
    def lost_renewal_is_unknown(self) -> bool:
        """Whether a renewal without an answer may have spent the refresh token."""
        return self.renewal is Renewal.ROTATES and self.replay is Replay.STRICT

    def _client_id(self, app: App) -> dict[str, str]:
        return {"client_id": app.client_id} if self.client_id_in_body else {}

    def _ask(self, app: App, step: str, secrets: tuple[str, ...], ask: Callable[["TokenSession"], Any]) -> TokenSet:
        """Run one call to the token endpoint and read its answer."""
        def read(response: requests.Response) -> TokenSet:
            return self.read_tokens(judge(response, self, app, step, secrets).body, app, step, secrets)

        with outside.platform_session(
            TokenSession, client_id=app.client_id, client_secret=app.client_secret, reader=read,
            token_endpoint_auth_method=_AUTH[self.client_auth],
            default_timeout=(outside.CONNECT_SECONDS, outside.ANSWER_SECONDS),
        ) as session:
            try:
                ask(session)
            except TROUBLE as trouble:
                raise unanswered(trouble, self, step) from None
            assert session.answer is not None
            return session.answer

    def read_tokens(self, body: Any, app: App, step: str, secrets: tuple[str, ...] = ()) -> TokenSet:
        """The token set in an answer: tolerant in all but the access token itself. Raises PlatformError."""
        answer = body if isinstance(body, dict) else {}
        access = answer.get("access_token")
        if not isinstance(access, str) or not re.fullmatch(r"[\x21-\x7e]+", access):
            if "error" in answer:  # some platforms refuse with status 200
                raise refusal(400, {}, answer, self, app, step, secrets)
            raise unclear(self, step, "no_token")
        fresh = answer.get("refresh_token")
        return TokenSet(
            access, fresh if isinstance(fresh, str) and fresh.strip() else None,
            _seconds(answer.get("expires_in")), _seconds(answer.get("refresh_token_expires_in")),
            split_scopes(answer.get("scope")))

    # ------------------------------------------------------------ calls

    def call(self, app: App, access_token: str, step: str, host: str = "api") -> Call:
        """Calls in the name of a token, as a context."""
        return Call(app, host, app.hosts[host], access_token, self, step)

    def credentials(self, app: App, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and parameters that carry a token."""
        return {"Authorization": f"Bearer {token}"}, {}

    def parse(self, body: Any) -> Parsed:
        """The fields of a refusal's body: here RFC 6749's `error` and `error_description`."""
        plain = body if isinstance(body, dict) else {}
        error, text = plain.get("error"), plain.get("error_description")
        return Parsed(codes=(error,) if isinstance(error, str) else (), text=text if isinstance(text, str) else "")

    def rate_limited(self, answer: Answer) -> RateLimited:
        """The pause that a 429 asks for."""
        until = stated_wait(answer.headers)
        return RateLimited(f"{self.name} asked us to wait until {until:%H:%M} UTC.", answer.code, until=until)

    def version_ended(self, app: App, instead: str, sentence: str) -> None:
        """The platform ended the app's API version, and another one works in its place: let the admin know."""
        for tell in VERSION_ENDED:
            tell(app, instead, sentence)

    def unclear(self, step: str) -> PlatformError:
        """The error for an answer that lacks what it must contain."""
        return unclear(self, step)


# ---------------------------------------------------------------- Authlib, with our own reading of answers


def _in_query(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """Client authentication by query parameters, which Authlib has no name for."""
    pairs = [("client_id", client.client_id), ("client_secret", client.client_secret)]
    return add_params_to_uri(uri, pairs), headers, body


_AUTH: Mapping[str, Any] = {"basic": "client_secret_basic", "body": "client_secret_post", "parameters": _in_query}


class TokenSession(OAuth2Session):
    """Authlib's session, but answers are read by us: its own reader trips over odd lifetimes and hides the status."""

    answer: TokenSet | None = None

    def __init__(self, *, reader: Callable[[requests.Response], TokenSet], **facts: Any) -> None:
        super().__init__(**facts)
        self.reader = reader

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """One request that follows no redirect."""
        options["allow_redirects"] = False
        return super().request(method, url, **options)

    def parse_response_token(self, resp: requests.Response) -> Any:
        """Keep the answer as a TokenSet; Authlib itself only needs some object."""
        self.answer = self.reader(resp)
        self.token = {"access_token": self.answer.access_token}
        return self.token


def _seconds(value: Any) -> int | None:
    """A lifetime, whether it came as a number or as text; None for zero, nothing and nonsense."""
    try:
        seconds = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < 10 * 366 * 86400 else None


def split_scopes(value: Any) -> frozenset[str] | None:
    """Scopes as a set, however they came: a list, or a text with blanks or commas, perhaps URL-encoded."""
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, str) for part in parts):
        return None
    names = [name for part in parts for name in re.split(r"[\s,]+", unquote(part.replace("+", " "))) if name]
    return frozenset(names) if names else None
