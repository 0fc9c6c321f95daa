"""Asks a platform whether the id and the secret of an app are right, without any person and with nothing left behind.

A platform's file says what is asked (`Probe`) and what the answers mean (`Sign`). Where a good answer could be given
without looking at the secret, the same is asked once more with a made-up one: only a different answer makes it valid.
"""

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import requests

from .. import outside
from .base import App
from .call import TROUBLE
from .refusals import TOKEN, Answer, Parsed
from .verdicts import UNKNOWN, VALID, WRONG_SECRET, Verdict

log = logging.getLogger("socialconsole.providers.app_check")

SECONDS = 4.7  # for all questions together
CONNECT_SECONDS = 3.0
LEAST_SECONDS = 0.3  # with less than this left nothing is asked any more

ID_KNOWN = "{name} knows the {id}, and accepts the {secret}."
SECRET_WRONG = "{name} knows the {id}, but refuses the {secret}. Copy it again from the portal, and press Replace."
ID_WRONG = "{name} does not know this {id}. Copy it again from the portal."
NOT_WHICH = "does not say which"  # stands in every sentence about a pair of which either may be wrong
PAIR_WRONG = (f"{{name}} refuses this pair of {{id}} and {{secret}} and {NOT_WHICH} of the two is wrong. Copy both "
              "again from the same page of the portal.")
NO_ANSWER = "{name} did not answer in time, so this says nothing about the {id} and the {secret}. Check again later."
NOT_NOW = "{name} has trouble of its own or asks us to wait ({code}). Check again in some minutes."
ODD = "{name} answered with something that says nothing certain about the {id} and the {secret}: {detail}"
ALIKE = ("{name} gives the same answer to a made-up {secret}, so it did not look at this one. Connect an account: that "
         "shows whether it is right.")
NOT_COMPARED = ("{name} did not refuse the {id} and the {secret}, but could not be asked a second time to be certain. "
                "Check again in some minutes.")


@dataclass(frozen=True)
class Sign:
    """One meaning of an answer. An empty condition matches everything; `text` is any of these, in lower case.

    `token`: the answer holds an access token that begins like this. `compared`: this alone proves nothing, a made-up
    secret must get another answer. `note`: one more sentence, whatever the comparison shows.
    """

    kind: str
    sentence: str
    code: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    status: tuple[int, ...] = ()
    token: str | None = None
    compared: bool = False
    note: str = ""

    def matches(self, answer: Answer, access_token: str) -> bool:
        """Whether the answer is what this sign is about."""
        if self.token is not None:
            return bool(access_token) and access_token.startswith(self.token)
        parsed = answer.parsed
        return (not access_token and (not self.status or answer.status in self.status)
                and (not self.code or any(code in self.code for code in parsed.codes))
                and (not self.text or any(part in parsed.text.lower() for part in self.text)))


@dataclass(frozen=True)
class Probe:
    """One question: where it goes, what stands in it beside id and secret, and what the answers mean.

    `then` is asked where no sign matches, or where the one that does says `UNKNOWN`. A question with `needs_token` is
    left out where there is none.
    """

    where: tuple[str, str]  # host name, path
    signs: tuple[Sign, ...]
    fields: Callable[[App, str], Mapping[str, str]]
    method: str = "POST"
    proof: str = "body"  # where id and secret stand: body, query or basic
    id_field: str = "client_id"  # empty: the id is not sent
    secret_field: str = "client_secret"
    needs_token: bool = False
    then: "Probe | None" = field(default=None, repr=False)


class Speaker(Protocol):
    """What has to be known about the platform."""

    name: ClassVar[Any]
    client_id_label: ClassVar[Any]
    client_secret_label: ClassVar[Any]

    def parse(self, body: Any) -> Parsed: ...


def check(provider: Speaker, probe: Probe, app: App, token: str = "") -> Verdict:
    """What the platform says about the app's id and secret. Never raises, and takes five seconds at most."""
    inquiry = _Inquiry(provider, app, token, time.monotonic() + SECONDS)
    found: list[Verdict] = []
    # A thread of its own, since a name that is looked up or an answer that drips keeps no time limit.
    asking = threading.Thread(target=lambda: _keep(found, lambda: inquiry.verdict(probe)), daemon=True)
    asking.start()
    asking.join(SECONDS)
    return found[0] if found else inquiry.say(UNKNOWN, NO_ANSWER, "no_answer")


def _keep(found: list[Verdict], ask: Callable[[], Verdict]) -> None:
    try:
        found.append(ask())
    except Exception as error:  # its words may hold an address with a secret in it: only its kind is told
        log.error("a check broke off", extra={"error": type(error).__name__})


@dataclass
class _Inquiry:
    """The questions about one app, and the time by which they end."""

    provider: Speaker
    app: App
    token: str = field(repr=False)
    deadline: float

    def verdict(self, probe: Probe) -> Verdict:
        """What this question and those after it show."""
        answer, access_token = self._ask(probe, self.app)
        if answer is None:
            return self.say(UNKNOWN, NO_ANSWER, "no_answer")
        if _is_passing(answer):
            return self.say(UNKNOWN, NOT_NOW, _code(answer), answer)
        sign = _sign(probe, answer, access_token)
        if sign is not None and sign.kind != UNKNOWN:
            return self._certain(probe, sign, answer)
        later = self._later(probe)
        if later is not None and later.kind != UNKNOWN:
            return later
        if sign is not None:
            return self.say(UNKNOWN, sign.sentence, _code(answer), answer)
        return self.say(UNKNOWN, ODD, _code(answer), answer)

    def _later(self, probe: Probe) -> Verdict | None:
        following = probe.then
        if following is None or (following.needs_token and not self.token):
            return None
        return self.verdict(following)

    def _certain(self, probe: Probe, sign: Sign, answer: Answer) -> Verdict:
        if not sign.compared:
            code = _code(answer) if sign.token is None else ""
            return self.say(sign.kind, _with(sign.sentence, sign.note), code, answer)
        other, access_token = self._ask(probe, replace(self.app, client_secret=secrets.token_hex(16)))
        if other is None or _is_passing(other):
            return self.say(UNKNOWN, _with(NOT_COMPARED, sign.note), _code(answer), answer)
        meaning = _sign(probe, other, access_token)
        if meaning is not None and meaning.kind == WRONG_SECRET:
            return self.say(VALID, _with(sign.sentence, sign.note), _code(answer), answer)
        later = self._later(probe)
        if later is not None and later.kind != UNKNOWN:
            return later
        return self.say(UNKNOWN, _with(ALIKE, sign.note), _code(answer), answer)

    def _ask(self, probe: Probe, app: App) -> tuple[Answer | None, str]:
        """One answer, None where there was none in time, and the access token in it."""
        left = self.deadline - time.monotonic()
        if left < LEAST_SECONDS:
            return None, ""
        values = dict(probe.fields(app, self.token))
        if probe.proof != "basic":
            values |= {probe.secret_field: app.client_secret} | (
                {probe.id_field: app.client_id} if probe.id_field else {})
        try:
            with outside.platform_session() as session:
                response = session.request(
                    probe.method, app.hosts[probe.where[0]] + probe.where[1],
                    params=values if probe.proof == "query" else None,
                    data=None if probe.proof == "query" else values,
                    auth=(app.client_id, app.client_secret) if probe.proof == "basic" else _Unsigned(),
                    headers={"Accept": "application/json"}, timeout=(min(CONNECT_SECONDS, left), left))
            return self._read(response, app)
        except TROUBLE:
            return None, ""

    def _read(self, response: requests.Response, app: App) -> tuple[Answer, str]:
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = None
        plain = body if isinstance(body, dict) else {}
        token = plain.get("access_token")
        access_token = token if isinstance(token, str) and response.status_code == 200 and "error" not in plain else ""
        known = self.provider.parse(body) if body is not None and not access_token else Parsed()
        kept_back = (app.client_secret, self.app.client_secret, self.token, access_token)
        return Answer(self.provider.name, TOKEN, response.status_code, known, response.headers, app, (),
                      tuple(one for one in kept_back if one)), access_token

    def say(self, kind: str, sentence: str, code: str, answer: Answer | None = None) -> Verdict:
        """A verdict in the words of the platform's portal."""
        words = sentence.replace("{id}", self.provider.client_id_label) \
            .replace("{secret}", self.provider.client_secret_label)
        words = words.replace("{name}", self.provider.name).replace("{code}", code)
        words = words.replace("{detail}", answer.detail if answer is not None else code)
        return Verdict(kind, words if words.endswith((".", "…")) else f"{words}.", code)


class _Unsigned(requests.auth.AuthBase):
    """Keeps requests from taking a password out of a .netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _code(answer: Answer) -> str:
    """The platform's own code where it is one, else the status."""
    return answer.code if re.fullmatch(r"[\w .:/*-]{1,80}", answer.code) else f"HTTP {answer.status}"


def _is_passing(answer: Answer) -> bool:
    """Whether the platform was not able to judge: an outage, a limit, a page of somebody on the way."""
    return answer.status >= 500 or answer.status in (407, 408, 429) or 300 <= answer.status < 400


def _sign(probe: Probe, answer: Answer, access_token: str) -> Sign | None:
    return next((sign for sign in probe.signs if sign.matches(answer, access_token)), None)


def _with(sentence: str, note: str) -> str:
    return f"{sentence} {note}" if note else sentence
