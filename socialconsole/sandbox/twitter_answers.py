"""How X's API says no, and who may call it."""

from collections.abc import Iterable
from typing import Any

from flask import request

from .state import Grant, Token
from .twitter import PLATFORM
from .world import world


class Problem(Exception):
    """An answer of the API that says no."""

    def __init__(self, status: int, title: str, detail: str, kind: str = "about:blank", **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"title": title, "detail": detail, "type": kind, "status": status, **more}


def unauthorized() -> Problem:
    """What every call with a token that opens nothing gets."""
    return Problem(401, "Unauthorized", "Unauthorized")


def forbidden(detail: str = "You are not permitted to perform this action.") -> Problem:
    """A plain refusal; X says no more for a missing scope or a text that is too long."""
    return Problem(403, "Forbidden", detail)


def invalid(message: str, **parameters: list[str]) -> Problem:
    """A request that does not fit the description."""
    return Problem(
        400,
        "Invalid Request",
        "One or more parameters to your request was invalid.",
        "https://api.twitter.com/2/problems/invalid-request",
        errors=[{"parameters": parameters, "message": message}],
    )


def only(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise Problem for a parameter or property that the description does not have."""
    for name in sorted(set(given) - set(known)):
        raise invalid(f"[$.{name}: is not defined in the schema and the schema does not allow additional properties]")


def _check_app(grant: Grant) -> None:
    """Refuse an app that is in no package (docs.x.com/tools/mcp, troubleshooting). Raises Problem."""
    app = world().app(PLATFORM, grant.client_id)
    if app is not None and not app.settings.get("enrolled", True):
        raise Problem(
            403, "Client Forbidden",
            "When authenticating requests to the X API v2 endpoints, you must use keys and tokens from an X developer "
            "App that is attached to a Project. You can create a project via the developer portal.",
            "https://api.twitter.com/2/problems/client-forbidden", reason="client-not-enrolled",
            required_enrollment="Appropriate Level of API Access")


def check_may_write(grant: Grant) -> None:
    """Refuse to write for an app whose permissions are Read. Raises Problem."""
    app = world().app(PLATFORM, grant.client_id)
    if app is not None and not app.settings.get("may_write", True):
        raise forbidden("Your client app is not configured with the appropriate oauth1 app permissions for this "
                        "endpoint.")


def bearer(*scopes: str) -> Grant:
    """The grant behind the access token. Raises Problem."""
    here = world()
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    found = here.state.find(Token, value) if kind == "Bearer" else None
    if found is None or found.role != "access" or here.grant_of(found).platform != PLATFORM:
        raise unauthorized()
    why = here.ended(found)
    if why == "suspended":
        raise Problem(
            403,
            "Forbidden",
            "The account is suspended or temporarily locked. Sign in at x.com to unlock it.",
            "https://api.twitter.com/2/problems/user-suspended",
        )
    if why:
        raise unauthorized()
    grant = here.grant_of(found)
    _check_app(grant)
    if not set(scopes) <= set(grant.scopes):
        raise forbidden()
    return grant
