"""The Graph dialect that Facebook, Instagram and Threads share: the proof beside each token, errors, usage headers.

Vendor pages: developers.facebook.com/docs/graph-api/guides/error-handling, …/overview/rate-limiting,
…/docs/graph-api/guides/secure-requests (appsecret_proof).
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from .. import outside
from ..errors import EXPIRED, PASSWORD_CHANGED, SUSPENDED, NeedsReconnect, PlatformError, RateLimited
from .base import ANOTHER, DATA_ACCESS, ApiVersion, App
from .call import Call, Reply, stated_wait
from .oauth2 import OAuth2Provider
from .refusals import (
    PREPARE,
    PUBLISH,
    TOKEN,
    Answer,
    Parsed,
    Refusal,
    attempt_failed,
    later,
    missing,
    reconnect,
    rejected,
    unconfirmed,
    wrong,
)
from .shapes import Shape, like

APP_VERSION = ApiVersion(
    "App Version", "v25.0", r"v\d{2}\.0",
    {"v23.0": date(2027, 10, 8), "v24.0": date(2028, 2, 18), "v25.0": date(2028, 7, 29), "v26.0": None},
    "Meta serves a dead version silently as the oldest living one, so it is refused here.",
    "https://developers.facebook.com/docs/graph-api/changelog")

META_ID = Shape(r"\d{5,25}", "An app ID has digits only. Copy it from the portal.", belongs=like(r"\d{5,25}"))
META_SECRET = Shape(r"[0-9a-fA-F]{32}", "An app secret has 32 characters from 0 to 9 and a to f. Press Show in the "
                                        "portal and copy it again.",
                    belongs=like(r"(?=.*[a-fA-F])[0-9a-fA-F]{32}"))

_PERMISSION = ("10", *(str(code) for code in range(200, 300)))


def limited_by_meta(sentence: str, *, whole_app: bool = False) -> Any:
    """A row's error: wait as long as Meta's usage headers say, else an hour."""
    def error(answer: Answer) -> PlatformError:
        until = outside.now() + regain(answer.headers)
        return RateLimited(sentence.replace("{t}", f"{until:%H:%M} UTC"), answer.code, until=until,
                           whole_app=whole_app)
    return error


def regain(headers: Mapping[str, str]) -> timedelta:
    """How long until Meta lets calls through again: the longest estimate in its headers, else an hour."""
    try:
        usage = json.loads(headers.get("X-Business-Use-Case-Usage") or "{}")
        minutes = [int(one.get("estimated_time_to_regain_access") or 0) for many in usage.values() for one in many]
    except (ValueError, TypeError, AttributeError):
        minutes = []
    longest = max(minutes, default=0)
    return timedelta(minutes=min(longest, 24 * 60)) if longest > 0 else timedelta(hours=1)


# Percent of a quota from which calls become fewer, and from which they stop (…/overview/rate-limiting).
SLOW_AT, PAUSE_ABOVE = 80, 95
_SHARES = ("call_count", "total_time", "total_cputime")


def app_usage(headers: Mapping[str, str]) -> int:
    """The most used share of the app's own quota, in percent; 0 where Meta does not tell."""
    usage = _header(headers, "X-App-Usage")
    return _most(usage) if isinstance(usage, dict) else 0


def business_usage(headers: Mapping[str, str]) -> int:
    """The most used share of any Page's or account's quota, in percent."""
    usage = _header(headers, "X-Business-Use-Case-Usage")
    many = [one for some in usage.values() if isinstance(some, list) for one in some] if isinstance(usage, dict) else []
    return max((_most(one) for one in many if isinstance(one, dict)), default=0)


def is_busy(headers: Mapping[str, str]) -> bool:
    """Whether so much of a quota is used that we should ask less often."""
    return max(app_usage(headers), business_usage(headers)) >= SLOW_AT


def heed_usage(name: str, reply: Reply) -> None:
    """Raise RateLimited after a good answer that nearly used up a quota; only for steps that may be repeated."""
    of_app, of_account = app_usage(reply.headers) > PAUSE_ABOVE, business_usage(reply.headers) > PAUSE_ABOVE
    if not (of_app or of_account):
        return
    until = outside.now() + regain(reply.headers)
    sentence = "Meta limits this app for now. All its posts wait until {t}." if of_app else \
        "Meta limits this account for now. We continue at {t}."
    raise RateLimited(sentence.replace("{t}", f"{until:%H:%M} UTC"), "usage", until=until, whole_app=of_app)


def _header(headers: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(headers.get(name) or "{}")
    except ValueError:
        return {}


def _most(usage: Mapping[str, Any]) -> int:
    return max((int(usage[share]) for share in _SHARES if isinstance(usage.get(share), int | float)), default=0)


META_REFUSALS = (
    Refusal(attempt_failed("The code from the platform was too old or used twice. Press Connect again."),
            steps=(TOKEN,), text=("matching code was not found", "authorization code has", "verification code")),
    Refusal(wrong("The app secret is wrong. Paste it again from the portal.", field_name="client_secret"),
            code=("1", "100"), text=("client secret",)),
    Refusal(wrong("Meta does not know this app id, or it belongs to another Meta product.", field_name="client_id"),
            code=("101",)),
    Refusal(wrong("The stored app secret no longer fits the app.", field_name="client_secret"), code=("100",),
            text=("appsecret_proof",)),
    Refusal(reconnect("The app was removed in your settings. Connect again."), code=("190",), subcode=("458",)),
    Refusal(reconnect("Sign in at the platform first, it wants to check the account; then connect again.", SUSPENDED),
            code=("190",), subcode=("459", "464")),
    Refusal(reconnect("The password was changed, which ends all connections. Connect again.", PASSWORD_CHANGED),
            code=("190",), subcode=("460",)),
    Refusal(reconnect("The permission ran out. Connect again.", EXPIRED), code=("190",), subcode=("463",)),
    Refusal(reconnect("The platform no longer accepts this connection. Connect again."), code=("102", "190")),
    Refusal(wrong("The Meta app may not use this function."), code=("3",)),
    Refusal(wrong("{scope} is not approved for people outside the app's team."), code=_PERMISSION,
            text=("advanced access",)),
    Refusal(missing("This needs {scope}, which was not granted. Reconnect grants it."), code=_PERMISSION),
    Refusal(limited_by_meta("Meta limits this app for now. All its posts wait until {t}.", whole_app=True),
            code=("4",)),
    Refusal(limited_by_meta("Meta limits this account for now. We continue at {t}."),
            code=("17", "32", "613", "341", "80001", "80002")),
    Refusal(rejected("The post or media no longer exists there, or we may not see it."), code=("100",),
            subcode=("33",), steps=(PREPARE, PUBLISH)),
    Refusal(rejected("The platform refused one value: {detail}"), code=("100",), steps=(PREPARE, PUBLISH)),
    Refusal(unconfirmed("Meta did not confirm the post. We look whether it is there."), code=("1", "2", "transient"),
            steps=(PUBLISH,)),
    Refusal(later("Meta has a passing problem. We try again."), code=("1", "2", "transient")),
)


class MetaProvider(OAuth2Provider):
    """What the platforms on Meta's Graph have in common."""

    client_auth, token_method = "parameters", "GET"

    def credentials(self, app: App, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """The token as a parameter, with the proof that we know the app's secret."""
        proof = hmac.new(app.client_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        return {}, {"access_token": token, "appsecret_proof": proof}

    def graph_call(self, app: App, access_token: str, step: str, host: str) -> "GraphCall":
        """Calls in the name of a token, as a context, that find errors in successes too."""
        return GraphCall(app, host, app.hosts[host], access_token, self, step)

    def parse(self, body: Any) -> Parsed:
        """Graph's error envelope."""
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return _of_upload(body) or super().parse(body)
        codes = [str(error["code"])] if error.get("code") is not None else []
        if error.get("is_transient"):
            codes.append("transient")
        text = str(error.get("message") or "")
        return Parsed(tuple(codes), str(error.get("error_subcode") or ""), text,
                      str(error.get("error_user_msg") or text))

    def rate_limited(self, answer: Answer) -> RateLimited:
        """A 429 without a Graph code."""
        until = stated_wait(answer.headers)
        return RateLimited(f"{self.name} asked us to wait until {until:%H:%M} UTC.", answer.code, until=until)




def auth_type(again: bool | str) -> dict[str, str]:
    """The parameter of Facebook's dialog for one more consent: permissions declined before, or data access over."""
    if again == ANOTHER or not again:
        return {}
    return {"auth_type": "reauthorize" if again == DATA_ACCESS else "rerequest"}


class GraphCall(Call):
    """Calls that find an error in an answer whatever its status: the Graph can put one into a success."""

    def upload(self, method: str, address: str, data: Any, **more: Any) -> Reply:
        """As in `Call`, and an error in the answer is raised."""
        return self._without_error(super().upload(method, address, data, **more))

    def _send(self, method: str, path: str, **sent: Any) -> Reply:
        return self._without_error(super()._send(method, path, **sent))

    def _without_error(self, reply: Reply) -> Reply:
        if isinstance(reply.json().get("error"), dict):
            raise self.refused(reply)
        return reply


def token_facts(call: Call, version: str, token: str) -> dict[str, Any]:
    """What Meta knows of a token; empty if it does not tell. Only the app itself may ask that."""
    asking = replace(call, token=f"{call.app.client_id}|{call.app.client_secret}")
    try:
        data = asking.get(f"/{version}/debug_token", params={"input_token": token}).json().get("data")
    except PlatformError:
        return {}
    return data if isinstance(data, dict) else {}


def token_is_valid(call: Call, version: str, token: str) -> bool | None:
    """Whether Meta says that a token works; None where it does not tell."""
    told = token_facts(call, version, token).get("is_valid")
    return told if isinstance(told, bool) else None


def the_person(call: Call, version: str) -> tuple[str, str, dict[str, Any]]:
    """Id and name of the person behind a user's token, and what Meta knows of it. The id also stands there; the name
    is a help only."""
    facts = token_facts(call, version, call.token)
    known = str(facts.get("user_id") or "")
    try:
        person = call.get(f"/{version}/me", params={"fields": "id,name"}).json()
    except PlatformError:
        if not known:
            raise
        person = {}
    found = known or str(person.get("id") or "")
    if not found:
        raise call.unclear()
    return found, str(person.get("name") or ""), facts


def _of_upload(body: Any) -> Parsed | None:
    """What the upload host says: it has an envelope of its own."""
    debug = body.get("debug_info") if isinstance(body, dict) else None
    if not isinstance(debug, dict):
        return None
    return Parsed(("transient",) if debug.get("retriable") is True else (str(debug.get("type") or "upload"),),
                  text=str(debug.get("message") or ""))


def rows(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects in a Graph list."""
    data = body.get("data")
    return (one for one in data if isinstance(one, dict)) if isinstance(data, list) else iter(())


def after(body: Mapping[str, Any]) -> str:
    """The cursor of the next part of a list, empty at its end. `paging.next` carries the token and is never used."""
    paging = body.get("paging")
    cursors = paging.get("cursors") if isinstance(paging, dict) else None
    if not isinstance(cursors, dict) or not (isinstance(paging, dict) and paging.get("next")):
        return ""
    return str(cursors.get("after") or "")


def remove_app(call: Call, version: str, person_id: str) -> None:
    """Take the whole app from a person, with everything behind it; one that is removed already is fine."""
    try:
        done = call.delete(f"/{version}/{person_id}/permissions")
    except NeedsReconnect as refused:
        if refused.code != "190/458":
            raise
        return
    if done.json().get("success") is False:
        raise call.unclear()
