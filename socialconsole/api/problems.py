"""What goes wrong, as programs read it: problem details (RFC 9457) with a stable code, one table for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, json, request

PREFIX = "/v1"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One sort of problem: its status, its title, and what a program does about it."""

    status: int
    title: str
    step: str


KINDS: Mapping[str, Kind] = {
    "unauthenticated": Kind(401, "No valid API key", "Send one: Authorization: Bearer sck_…"),
    "not_allowed": Kind(403, "The key may not do this", "Make a key that may, or let its person do it in the console."),
    "person_needed": Kind(403, "Only a person can do this", "Make a link and give it to the person."),
    "not_found": Kind(404, "There is nothing here", "Check the address and the ids in it."),
    "method_not_allowed": Kind(405, "Not in this way", "See the Allow header."),
    "conflict": Kind(409, "It does not stand so any more", "Read it again, then decide."),
    "in_progress": Kind(409, "The same request is still at work", "Send it again in a second."),
    "version_conflict": Kind(412, "It was changed meanwhile", "Read it again, then send If-Match with its ETag."),
    "too_large": Kind(413, "Too large", "Send less at once."),
    "unsupported_media_type": Kind(415, "Not a kind of body that is read here", "See the description of the call."),
    "malformed": Kind(400, "The request cannot be read", "Correct it; nothing was done."),
    "invalid": Kind(422, "Something in it cannot be taken", "Correct the fields that `errors` names."),
    "idempotency_key_reused": Kind(422, "This Idempotency-Key belongs to another request", "Choose a new one."),
    "rate_limited": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "platform_failed": Kind(502, "The platform did not do it", "`detail` says what it answered."),
    "internal": Kind(500, "The console made a mistake", "It was written to the console's log. Try again."),
    "unavailable": Kind(503, "Not ready at the moment", "Try again after the seconds that Retry-After says."),
}
OF_STATUS = {401: "unauthenticated", 403: "not_allowed", 404: "not_found", 405: "method_not_allowed",
             409: "conflict", 412: "version_conflict", 413: "too_large", 415: "unsupported_media_type",
             422: "invalid", 429: "rate_limited", 503: "unavailable"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one field. `field`: its path in the body, such as `media.0`, or the name in the query."""

    field: str
    message: str


class Problem(Exception):
    """A request that is answered with problem details."""

    def __init__(self, code: str, detail: str = "", errors: Sequence[Fault] = (), *,
                 headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.errors = code, detail, tuple(errors)
        self.headers, self.more = dict(headers or {}), more

    @property
    def status(self) -> int:
        """The status of the answer."""
        return KINDS[self.code].status

    def plain(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = KINDS[self.code]
        said: dict[str, Any] = {"type": f"{PREFIX}/docs#{self.code}", "title": kind.title, "status": kind.status,
                                "code": self.code, "detail": self.detail or f"{kind.title}.", "step": kind.step}
        if self.errors:
            said["errors"] = [{"field": one.field, "message": one.message} for one in self.errors]
        return {**said, **self.more}

    def answer(self) -> Response:
        """The answer."""
        made = current_app.response_class(json.dumps(self.plain()), self.status, mimetype=MEDIA_TYPE)
        made.headers.update(self.headers)
        if self.status == 401:
            made.headers["WWW-Authenticate"] = 'Bearer realm="Social Console"'
        return made


def invalid(errors: Mapping[str, str], names: Mapping[str, str] | None = None, detail: str = "") -> Problem:
    """What a service refused, field by field; `names`: what the API calls a field of the service."""
    names = names or {}
    faults = [Fault(names.get(field, field), message) for field, message in errors.items()]
    return Problem("invalid", detail or " ".join(one.message for one in faults), faults)


def is_for_programs() -> bool:
    """Whether the request is for the API, so that an error is told as one."""
    return request.path == PREFIX or request.path.startswith(PREFIX + "/")


def of_status(status: int, detail: str) -> Response:
    """An error from outside the operations: no such path, a body that is too large, a database that is away."""
    code = OF_STATUS.get(status, "internal" if status >= 500 else "malformed")
    return Problem(code, detail).answer()
