"""LinkedIn's API: who a token speaks for, the protocol that `/rest` demands, its refusals, and the member's profile.

learn.microsoft.com/linkedin: Versioning; Protocol versions; Error handling. Pages, media and posts have files of their
own.
"""

from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, request

from .calls import operation
from .linkedin import PLATFORM, answer, member_id, refuse
from .state import Grant, Token
from .world import world

PERSON, PAGE = "urn:li:person:", "urn:li:organization:"
POSTING_ROLES = ("ADMINISTRATOR", "CONTENT_ADMINISTRATOR", "DIRECT_SPONSORED_CONTENT_POSTER")
ME_FIELDS = {"id", "localizedFirstName", "localizedLastName", "vanityName", "localizedHeadline"}

# The versions whose last day is published (Marketing API, Versioning), each with that day.
VERSIONS = {
    "202601": date(2027, 1, 15),
    "202602": date(2027, 2, 15),
    "202603": date(2027, 3, 16),
    "202604": date(2027, 4, 15),
    "202605": date(2027, 5, 15),
    "202606": date(2027, 6, 15),
    "202607": date(2027, 7, 15),
}

bp = Blueprint("linkedin_api", __name__)


class Problem(Exception):
    """An answer of the API that says no."""

    def __init__(self, status: int, message: str, code: str = "", number: int | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"status": status, "message": message, **more}
        if code:
            self.body["code"] = code
        if number is not None:
            self.body["serviceErrorCode"] = number


@bp.errorhandler(Problem)
def say_problem(problem: Problem) -> Response:
    """The refusal in LinkedIn's form."""
    return answer(problem.body, problem.status)


def bad_input(status: int, code: str, message: str, description: str, path: str) -> Problem:
    error = {
        "description": description,
        "input": {"inputPath": {"fieldPath": path}} if path else {},
        "code": code,
    }
    return Problem(
        status,
        message,
        errorDetailType="com.linkedin.common.error.BadRequest",
        errorDetails={"inputErrors": [error]},
    )


def bearer() -> tuple[Token, Grant]:
    """The token and its grant. Raises Problem."""
    here = world()
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bearer" or not value:
        raise Problem(401, "Empty oauth2 access token", "EMPTY_ACCESS_TOKEN", 65604)
    found = here.state.find(Token, value)
    if found is None or found.role != "access" or here.grant_of(found).platform != PLATFORM:
        raise Problem(401, "Invalid access token", "INVALID_ACCESS_TOKEN", 65600)
    why = here.ended(found)
    if why == "expired":
        raise Problem(401, "The token used in the request has expired", "EXPIRED_ACCESS_TOKEN", 65602)
    if why:
        raise _revoked()
    return found, here.grant_of(found)


def _revoked() -> Problem:
    return Problem(401, "The token used in the request has been revoked by the user", "REVOKED_ACCESS_TOKEN", 65601)


def denied(resource: str) -> Problem:
    return Problem(403, f"Not enough permissions to access: {resource}", "ACCESS_DENIED", 100)


@bp.get("/api.linkedin.com/v2/userinfo")
@operation(PLATFORM, "profile", refuse)
def userinfo() -> Response:
    """The member, as the app knows them."""
    token, grant = bearer()
    here = world()
    app = here.app(PLATFORM, grant.client_id)
    token.uses += 1
    here.state.keep(token)
    if app and app.settings["first_profile_401"] and token.uses == 1:
        # Reported by several programs: the fresh token is not known everywhere yet.
        raise _revoked()
    if not {"openid", "profile"} <= set(grant.scopes):
        raise denied("userinfo.GET.NO_VERSION")
    return answer(_member(grant))


def _member(grant: Grant) -> dict[str, Any]:
    here = world()
    who = here.person_of(grant)
    first, _, last = who.name.partition(" ")
    body: dict[str, Any] = {
        "sub": member_id(who.id, grant.client_id),
        "name": who.name,
        "given_name": first,
        "family_name": last,
        "picture": here.address("media.licdn.com", f"dms/image/{who.id}/portrait_100x100.png"),
        "locale": {"country": "US", "language": "en"},
    }
    if "email" in grant.scopes:
        body |= {"email": who.email, "email_verified": True}
    return body


@bp.get("/api.linkedin.com/v2/me")
@operation(PLATFORM, "profile", refuse)
def me() -> Response:
    """The basic profile, for apps that hold `r_basicprofile`; with a projection, the fields that it names."""
    token, grant = bearer()
    known_parameters("projection")
    here = world()
    app = here.app(PLATFORM, grant.client_id)
    token.uses += 1
    here.state.keep(token)
    if app and app.settings["first_profile_401"] and token.uses == 1:
        raise _revoked()
    if "r_basicprofile" not in grant.scopes:
        raise denied("me.GET.NO_VERSION")
    who = here.person_of(grant)
    first, _, last = who.name.partition(" ")
    told = {
        "id": member_id(who.id, grant.client_id),
        "localizedFirstName": first,
        "localizedLastName": last,
        "vanityName": who.username,
        "localizedHeadline": "Member of the sandbox",
    }
    return answer(_projected(told, who.id, request.args.get("projection")))


def _projected(told: dict[str, Any], person_id: str, projection: str | None) -> dict[str, Any]:
    """The fields that a projection names, the picture decorated where it asks for that."""
    if projection is None:
        return told
    picture = "profilePicture(displayImage~:playableStreams)"
    if not (projection.startswith("(") and projection.endswith(")")):
        raise Problem(400, "Invalid projection", "ILLEGAL_ARGUMENT")
    names = projection[1:-1].replace(picture, "profilePicture").split(",")
    if not set(names) <= ME_FIELDS | {"profilePicture"}:
        raise Problem(400, "Invalid projection", "ILLEGAL_ARGUMENT")
    found = {name: told[name] for name in names if name in told}
    if "profilePicture" in names:
        sizes = [
            {"identifiers": [{"identifier": _portrait(person_id, size)}], "artifact": f"artifact_{size}"}
            for size in ("100x100", "400x400")
        ]
        found["profilePicture"] = {"displayImage~": {"elements": sizes}}
    return found


def _portrait(person_id: str, size: str) -> str:
    return world().address("media.licdn.com", f"dms/image/{person_id}/portrait_{size}.png")


def known_parameters(*names: str) -> None:
    """Raises Problem for a query parameter that this resource does not have."""
    for name in request.args:
        if name not in names:
            raise Problem(400, f"Unpermitted query parameter: {name}", "PARAM_INVALID")


def role_of(grant: Grant, page_id: str) -> str:
    """The role that the member has on a Page, approved; empty for none."""
    for one in world().person_of(grant).facts.get("organizations", ()):
        if one["id"] == page_id and one.get("state", "APPROVED") == "APPROVED":
            return str(one["role"])
    return ""


def check_owner(urn: Any, grant: Grant, what: str, resource: str) -> None:
    """Whether the token may act in that name. Raises Problem; `what` is the field that names it."""
    if urn == f"{PERSON}{member_id(grant.person_id, grant.client_id)}":
        if "w_member_social" not in grant.scopes:
            raise denied(resource)
        return
    if isinstance(urn, str) and urn.startswith(PAGE):
        if "w_organization_social" not in grant.scopes or role_of(grant, urn.removeprefix(PAGE)) not in POSTING_ROLES:
            raise denied(resource)
        return
    words = "Field Value validation failed in REQUEST_BODY: Data Processing Exception while processing fields"
    raise Problem(403, f"{words} [/{what}]", "ACCESS_DENIED", 100)


def check_protocol() -> str:
    """The version asked for. Raises Problem."""
    version = request.headers.get("LinkedIn-Version", "")
    if not version:
        words = "A version must be present. Please specify a version by adding the LinkedIn-Version header."
        raise Problem(400, words, "VERSION_MISSING")
    today = datetime.fromtimestamp(world().now(), UTC).date()
    if today > VERSIONS.get(version, date.min):
        raise Problem(426, f"Requested version {version}01 is not active", "NONEXISTENT_VERSION")
    if request.headers.get("X-Restli-Protocol-Version") != "2.0.0":
        raise Problem(400, "Invalid protocol version: send X-RestLi-Protocol-Version 2.0.0", "ILLEGAL_ARGUMENT")
    return version
