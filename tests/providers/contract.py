"""What every connectable provider promises, whatever the platform: subclasses bring the platform's own answers."""

import base64
import hashlib
import json as jsonlib
import logging
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest
import requests
import responses
import urllib3
from urllib3.connectionpool import HTTPSConnectionPool

from socialconsole import outside
from socialconsole.errors import (
    AttemptFailed,
    ConfigurationWrong,
    Declined,
    NeedsReconnect,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import App, Draft, Published, TokenSet
from socialconsole.providers.content import Progress
from socialconsole.providers.oauth2 import OAuth2Provider

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

# What must never be seen in a message or in a log line.
CODE, VERIFIER, STATE = "cOdE-7Qm2Xv9Lk3Np8Rt1Wb", "vErIf1eR-" + "a1B2c3D4e5" * 5, "sTaTe-4Hj6Kl8Zx0Cv2Bn"
ACCESS, REFRESH = "aCcEsS-9Yt7Re5Wq3Uo1Pi", "rEfReSh-2Gf4Hd6Js8Kl0Mn"
NEW_ACCESS, NEW_REFRESH = "nEwAcC-3Vb5Nm7Qa9Zs1Xd", "nEwReF-8Ik6Uj4Yh2Tg0Rf"
CALLBACK_BASES = ("http://127.0.0.1:8000", "https://console.example.com:8443", "https://console.example.com/pre/fix",
                  "https://Console.Example.COM")
ANYWHERE = re.compile(r".*")


@dataclass(frozen=True)
class Row:
    """One refusal: where it comes, what the platform sends, and the error that must be raised."""

    step: str
    status: int
    body: Any
    error: type[PlatformError]
    sentence: str  # from its beginning
    facts: dict[str, Any] = field(default_factory=dict)  # attributes of the error
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.step}-{self.status}-{self.sentence[:40]}"


class ProviderContract:
    """Inherit, fill in the class attributes and the answers, add what is special."""

    provider: ClassVar[OAuth2Provider]
    facts: ClassVar[App]  # without callback
    draft: ClassVar[Draft]
    authorize_base: ClassVar[str]
    authorize_extra: ClassVar[dict[str, str]] = {}
    refused: ClassVar[tuple[Row, ...]] = ()
    declined: ClassVar[tuple[dict[str, str], ...]] = ()
    unclear_publish: ClassVar[tuple[dict[str, Any], ...]] = ()  # answers without what they must contain
    lost_renewal: ClassVar[type[PlatformError]] = TryLater

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Spread a platform's rows over tests."""
        if "row" in metafunc.fixturenames:
            metafunc.parametrize("row", self.refused, ids=lambda row: row.name)
        if "no" in metafunc.fixturenames:
            metafunc.parametrize("no", self.declined, ids=lambda query: query["error"])

    # ------------------------------------------------------------ to be filled by the platform

    def answers_exchange(self, mock: responses.RequestsMock) -> None:
        """Good answers to the exchange of a code."""
        raise NotImplementedError

    def answers_consent(self, mock: responses.RequestsMock) -> None:
        """Good answers to a whole consent."""
        raise NotImplementedError

    def answers_publish(self, mock: responses.RequestsMock) -> None:
        """Good answers to a post of text."""
        raise NotImplementedError

    def answers_renewal(self, mock: responses.RequestsMock, **token: Any) -> None:
        """A good answer to a renewal, with these fields."""
        raise NotImplementedError

    def prepared(self, app: App) -> Progress:
        """What `prepare` left behind, for platforms that publish nothing without it."""
        return Progress()

    # ------------------------------------------------------------ ground

    @pytest.fixture(autouse=True)
    def still(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        """A clock that stands, and the certainty that no log line tells a secret."""
        outside.use_clock(lambda: NOW)
        caplog.set_level(logging.DEBUG)
        yield
        outside.use_clock(None)
        told = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
        assert not leaks(told, self.facts), "a secret in the log"

    @pytest.fixture
    def mock(self) -> Iterator[responses.RequestsMock]:
        """The world outside, scripted."""
        with responses.RequestsMock(assert_all_requests_are_fired=False) as made:
            yield made

    @property
    def app(self) -> App:
        """The app with a callback."""
        return replace(self.facts, redirect_uri=self.callback(CALLBACK_BASES[0]))

    def callback(self, base: str) -> str:
        return f"{base}/api/connect/{self.provider.slug}/callback"

    def run(self, step: str, app: App | None = None) -> Any:
        """Do what a step does, with whatever answers are in store."""
        app = app or self.app
        tokens = TokenSet(ACCESS, REFRESH)
        if step == "token":
            return self.provider.exchange(app, CODE, VERIFIER)
        if step == "profiles":
            return self.provider.consent(app, CODE, VERIFIER)
        if step == "renew":
            return self.provider.renew(app, tokens)
        if step == "revoke":
            return self.provider.revoke(app, tokens, "700")
        if step == "read":
            return self.provider.profile(app, ACCESS, self.draft.platform_user_id)
        if step == "publish":
            return self.provider.publish(app, ACCESS, self.draft, self.prepared(app))
        with self.provider.call(app, ACCESS, step) as call:
            return call.post("/media", form={})

    def error(self, step: str, app: App | None = None) -> PlatformError:
        """The error that a step raises; its message tells no secret."""
        with pytest.raises(PlatformError) as caught:
            self.run(step, app)
        error = caught.value
        assert not leaks(f"{error.message} {error.code} {error!r}", app or self.app)
        assert "!" not in error.message and "Oops" not in error.message
        return error

    # ------------------------------------------------------------ authorise

    @pytest.mark.parametrize("base", CALLBACK_BASES)
    def test_the_callback_is_the_same_to_the_byte_everywhere(self, mock: responses.RequestsMock, base: str) -> None:
        app = replace(self.facts, redirect_uri=self.callback(base))
        address = self.provider.authorization_url(app, STATE, VERIFIER)
        assert f"redirect_uri={quote(app.redirect_uri, safe='')}" in address.split("?", 1)[1].split("&")
        self.answers_exchange(mock)
        self.provider.exchange(app, CODE, VERIFIER)
        assert sent(mock.calls[0].request)["redirect_uri"] == app.redirect_uri

    def test_the_consent_address_is_exact(self) -> None:
        address = self.provider.authorization_url(self.app, STATE, VERIFIER)
        base, _, query = address.partition("?")
        assert base == self.authorize_base
        assert "+" not in query
        expected = {"response_type": "code", "client_id": self.app.client_id, "redirect_uri": self.app.redirect_uri,
                    "scope": self.app.scopes, "state": STATE, **self.authorize_extra}
        if self.provider.pkce:
            digest = hashlib.sha256(VERIFIER.encode()).digest()
            expected["code_challenge"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            expected["code_challenge_method"] = "S256"
        assert dict(parse_qsl(query, strict_parsing=True)) == expected

    def test_scopes_go_out_as_typed(self) -> None:
        address = self.provider.authorization_url(replace(self.app, scopes="b  a,c"), STATE, VERIFIER)
        assert "scope=b%20%20a%2Cc" in address

    def test_no_is_a_normal_outcome(self, no: dict[str, str]) -> None:
        with pytest.raises(Declined) as caught:
            self.provider.read_refusal(no)
        assert caught.value.message == f"You did not allow access at {self.provider.name}. Nothing was connected."

    def test_a_callback_with_a_code_is_no_refusal(self) -> None:
        self.provider.read_refusal({"code": CODE, "state": STATE})

    @pytest.mark.parametrize("error", ["invalid_scope", "unauthorized_client", "invalid_request"])
    def test_a_refusal_of_our_settings_is_for_the_admin(self, error: str) -> None:
        with pytest.raises(ConfigurationWrong) as caught:
            self.provider.read_refusal({"error": error, "error_description": f"Scope &quot;x&quot; {ACCESS}"})
        assert caught.value.code == error
        assert ACCESS not in caught.value.message and "&quot;" not in caught.value.message

    def test_an_unknown_refusal_is_told_safely(self) -> None:
        with pytest.raises(AttemptFailed) as caught:
            self.provider.read_refusal({"error": f"<b>{ACCESS}</b>"})
        assert ACCESS not in caught.value.message + caught.value.code

    # ------------------------------------------------------------ tokens

    def test_a_lifetime_may_be_text_or_missing(self) -> None:
        read = self.provider.read_tokens
        assert read({"access_token": ACCESS, "expires_in": "7200"}, self.app, "token").expires_in == 7200
        assert read({"access_token": ACCESS}, self.app, "token").expires_in is None
        assert read({"access_token": ACCESS, "expires_in": "soon"}, self.app, "token").expires_in is None

    @pytest.mark.parametrize("token", ["", "  ", None, 7, ["a"], "two words", "line\nbreak"])
    def test_an_answer_without_a_real_token_is_none(self, token: Any) -> None:
        with pytest.raises(TryLater):
            self.provider.read_tokens({"access_token": token}, self.app, "token")

    @pytest.mark.parametrize("scope", ["a b", "a,b", "a%20b", "a%2Cb", "b, a", "a+b", ["a", "b"]])
    def test_scopes_are_read_however_they_come(self, scope: Any) -> None:
        tokens = self.provider.read_tokens({"access_token": ACCESS, "scope": scope}, self.app, "token")
        assert tokens.scopes == {"a", "b"}

    def test_consent_gives_tokens_person_and_profiles(self, mock: responses.RequestsMock) -> None:
        self.answers_consent(mock)
        consent = self.provider.consent(self.app, CODE, VERIFIER)
        assert consent.tokens.access_token and consent.person_id and consent.person_name and consent.profiles
        assert consent.scopes
        assert not leaks(repr(consent), self.app), "tokens must not show in a repr"

    def test_a_renewal_without_new_refresh_token_keeps_the_old_one(self, mock: responses.RequestsMock) -> None:
        self.answers_renewal(mock, access_token=NEW_ACCESS, expires_in=7200)
        newer = self.run("renew")
        assert newer.access_token == NEW_ACCESS
        if self.provider.renewal_of(TokenSet(ACCESS, REFRESH)) != "exchange":
            assert newer.refresh_token == REFRESH
        assert "scope" not in sent(mock.calls[0].request)

    def test_a_lost_renewal(self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, ANYWHERE, body=requests.ReadTimeout())
        mock.add(responses.GET, ANYWHERE, body=requests.ReadTimeout())
        assert type(self.error("renew")) is self.lost_renewal

    # ------------------------------------------------------------ refusals

    def test_each_refusal_has_its_meaning(self, mock: responses.RequestsMock, row: Row) -> None:
        if row.step == "profiles":
            self.answers_exchange(mock)
        refuse(mock, row.status, row.body, row.headers)
        error = self.error(row.step)
        assert type(error) is row.error, error.message
        assert error.message.startswith(row.sentence), error.message
        assert {name: getattr(error, name) for name in row.facts} == row.facts

    @pytest.mark.parametrize("step", ["token", "renew", "profiles", "read", "publish"])
    @pytest.mark.parametrize("status", [302, 400, 404, 418])
    def test_an_echoing_platform_gives_nothing_away(self, mock: responses.RequestsMock, step: str,
                                                    status: int) -> None:
        if step == "profiles":
            self.answers_exchange(mock)
        echo = f"Malformed {ACCESS} {REFRESH} {CODE} {VERIFIER} {self.app.client_secret} &quot;{NEW_ACCESS}&quot;"
        refuse(mock, status, {"error": {"message": echo, "code": 987, "type": echo}, "message": echo, "detail": echo,
                              "code": echo, "errors": [{"message": echo}], "title": echo})
        self.error(step)
        mock.reset()
        if step == "profiles":
            self.answers_exchange(mock)
        refuse(mock, status, {"error": echo, "error_description": echo})
        self.error(step)

    def test_even_short_secrets_are_known(self, mock: responses.RequestsMock) -> None:
        app = replace(self.app, client_secret="Pa55-word")
        refuse(mock, 418, dict.fromkeys(("error", "message", "detail", "code"), "odd Pa55-word"))
        for step in ("token", "publish"):
            self.error(step, app)

    @pytest.mark.parametrize("step", ["token", "renew", "read", "publish"])
    @pytest.mark.parametrize("status", [301, 302, 307])
    def test_a_redirect_is_a_refusal_and_never_followed(self, mock: responses.RequestsMock, step: str,
                                                        status: int) -> None:
        refuse(mock, status, "", {"Location": "https://elsewhere.example/"})
        self.error(step)
        assert len(mock.calls) == 1

    @pytest.mark.parametrize(("status", "body"), [
        (302, ""), (307, {"error": {"code": 100, "message": "x"}}), (401, "<html>Sign in</html>"), (403, ""),
        (404, "<html>Not found</html>"), (500, {"error": {"code": 100, "message": "x"}}), (502, "<html>"), (408, "")])
    def test_on_the_call_that_cannot_be_taken_back_only_a_clear_word_is_a_no(
            self, mock: responses.RequestsMock, status: int, body: Any) -> None:
        refuse(mock, status, body, {"Location": "https://elsewhere.example/"})
        assert type(self.error("publish")) is OutcomeUnknown

    def test_an_answer_that_breaks_the_protocol_is_no_proof_that_nothing_was_sent(
            self, mock: responses.RequestsMock) -> None:
        mock.add(responses.POST, ANYWHERE, body=requests.exceptions.InvalidHeader("two lengths"))
        assert type(self.error("publish")) is OutcomeUnknown

    def test_a_refusal_may_come_with_status_200(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 200, {"error": "invalid_grant"})
        assert type(self.error("token")) is AttemptFailed
        assert type(self.error("renew")) is NeedsReconnect

    def test_a_page_in_place_of_an_answer_confirms_no_revoke(self, mock: responses.RequestsMock) -> None:
        refuse(mock, 200, "<html>Sign in to the network</html>")
        assert type(self.error("revoke")) is TryLater

    @pytest.mark.parametrize("step", ["token", "renew", "profiles", "read", "publish"])
    def test_wait_as_the_platform_says(self, mock: responses.RequestsMock, step: str) -> None:
        for stated, seconds in (("90", 90), ("Sat, 21 Nov 2026 09:10:00 GMT", 600), ("0", 1), ("999999", 6 * 3600)):
            mock.reset()
            if step == "profiles":
                self.answers_exchange(mock)
            refuse(mock, 429, {}, {"Retry-After": stated})
            error = self.error(step)
            assert isinstance(error, RateLimited) and error.until == NOW + timedelta(seconds=seconds), stated

    # ------------------------------------------------------------ publish: no, later, or unknown

    def test_a_post_goes_out_once(self, mock: responses.RequestsMock) -> None:
        self.answers_publish(mock)
        done = self.run("publish")
        assert isinstance(done, Published) and done.id and done.permalink.startswith(self.app.hosts["web"])
        assert len([call for call in mock.calls if call.request.method == "POST"]) == 1

    def test_permalinks_follow_the_hosts(self, mock: responses.RequestsMock) -> None:
        hosts = self.provider.base_addresses("http://localhost:18999")
        mock.assert_all_requests_are_fired = False
        self.answers_publish(moved(mock, self.app.hosts, hosts))
        done = self.provider.publish(replace(self.app, hosts=hosts), ACCESS, self.draft,
                                     self.prepared(self.app))
        assert done.permalink.startswith(hosts["web"] + "/")

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    @pytest.mark.parametrize("body", ["", "{}", "<html>Bad gateway</html>"])
    def test_trouble_at_the_platform_leaves_it_open(self, mock: responses.RequestsMock, status: int,
                                                    body: str) -> None:
        mock.add(responses.POST, ANYWHERE, body=body, status=status)
        assert type(self.error("publish")) is OutcomeUnknown

    @pytest.mark.parametrize("trouble", [
        requests.ReadTimeout(), requests.ConnectionError("aborted"), requests.exceptions.ChunkedEncodingError(),
        requests.exceptions.SSLError("EOF"), requests.exceptions.ContentDecodingError(),
        requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(104, "reset"))),
    ], ids=lambda trouble: repr(trouble)[:40])
    def test_an_answer_that_got_lost_leaves_it_open(self, mock: responses.RequestsMock,
                                                    trouble: requests.RequestException) -> None:
        mock.add(responses.POST, ANYWHERE, body=trouble)
        assert type(self.error("publish")) is OutcomeUnknown

    def test_a_page_or_half_an_answer_leaves_it_open(self, mock: responses.RequestsMock) -> None:
        for answer in ({"body": "<html>ok</html>", "status": 200}, {"body": '{"id":', "status": 201},
                       *self.unclear_publish):
            mock.reset()
            mock.add(responses.POST, ANYWHERE, **answer)
            assert type(self.error("publish")) is OutcomeUnknown, answer

    @pytest.mark.parametrize("step", ["token", "renew", "read", "publish"])
    @pytest.mark.parametrize("trouble", [
        requests.ConnectTimeout(), requests.exceptions.ProxyError("407"),
        requests.ConnectionError(urllib3.exceptions.MaxRetryError(
            HTTPSConnectionPool("nowhere.example"), "/", urllib3.exceptions.NameResolutionError(
                "nowhere.example", None, socket.gaierror(-2, "unknown")))),  # type: ignore[arg-type]
    ], ids=["connect", "proxy", "name"])
    def test_no_connection_means_that_nothing_happened(self, mock: responses.RequestsMock, step: str,
                                                       trouble: requests.RequestException) -> None:
        mock.add(responses.POST, ANYWHERE, body=trouble)
        mock.add(responses.GET, ANYWHERE, body=trouble)
        assert type(self.error(step)) is TryLater

    @pytest.mark.parametrize("step", ["token", "renew", "read", "publish"])
    def test_a_closed_port(self, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert type(self.error(step, self._at(address, monkeypatch))) is TryLater

    def test_a_connection_cut_after_the_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with cutting_server() as address:
            assert type(self.error("publish", self._at(address, monkeypatch))) is OutcomeUnknown
        with cutting_server() as address:
            assert type(self.error("read", self._at(address, monkeypatch))) is TryLater

    def _at(self, address: str, monkeypatch: pytest.MonkeyPatch) -> App:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return replace(self.app, hosts=dict.fromkeys(self.app.hosts, address))

    @pytest.mark.parametrize("status", [500, 503])
    def test_trouble_elsewhere_is_tried_again(self, mock: responses.RequestsMock, status: int) -> None:
        refuse(mock, status, "<html>")
        assert type(self.error("token")) is TryLater
        assert type(self.error("read")) is TryLater

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_wall_on_the_way_ends_no_connection(self, mock: responses.RequestsMock, status: int) -> None:
        refuse(mock, status, "<html>Sign in to the network</html>")
        assert type(self.error("read")) is TryLater
        assert isinstance(self.error("renew"), TryLater | OutcomeUnknown)


def leaks(text: str, app: App) -> list[str]:
    """The secrets that stand in a text."""
    return [one for one in (CODE, VERIFIER, ACCESS, REFRESH, NEW_ACCESS, NEW_REFRESH, app.client_secret) if one in text]


def refuse(mock: responses.RequestsMock, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    """Answer everything alike."""
    given = {"body": body} if isinstance(body, str) else {"json": body}
    for method in (responses.GET, responses.POST, responses.DELETE):
        mock.add(method, ANYWHERE, status=status, headers=headers or {}, **given)


def sent(request: Any) -> dict[str, str]:
    """The parameters of a request, from its form or else its query."""
    body = request.body.decode() if isinstance(request.body, bytes) else request.body
    return {name: values[-1] for name, values in parse_qs(body or urlsplit(request.url).query).items()}


def address(call: Any) -> str:
    """Where a call went."""
    return str(call.request.url)


def posted(call: Any) -> Any:
    """The JSON that a call carried."""
    return jsonlib.loads(call.request.body)


class _Moved:
    """A mock whose addresses are another set of hosts."""

    def __init__(self, mock: responses.RequestsMock, hosts: Any, others: Any) -> None:
        self.mock, self.pairs = mock, [(hosts[name], others[name]) for name in hosts]

    def add(self, method: str, url: str, **answer: Any) -> None:
        for before, now in self.pairs:
            url = url.replace(before, now)
        self.mock.add(method, url, **answer)


def moved(mock: responses.RequestsMock, hosts: Any, others: Any) -> Any:
    """The mock, for addresses that were given other hosts."""
    return _Moved(mock, hosts, others)


class cutting_server:  # noqa: N801  (reads as a word after `with`)
    """A server that takes one request and hangs up without an answer."""

    def __enter__(self) -> str:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def _serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            connection.recv(65536)

    def __exit__(self, *error: object) -> None:
        self.thread.join(5)
        self.socket.close()
