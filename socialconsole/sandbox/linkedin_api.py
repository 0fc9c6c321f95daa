"""LinkedIn's API as far as the sandbox plays it: the member's profile and posts of text or an article.

learn.microsoft.com/linkedin: Posts API; Versioning; Protocol versions; Error handling. The stored text is cut at the
first reserved character left bare, as the real one does it.
"""

from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, make_response, request

from . import people
from .calls import operation
from .linkedin import PLATFORM, answer, refuse, traced
from .little_text import shown, visible_length
from .state import Grant, Post, Token
from .world import world

LONGEST_COMMENTARY = 3000
DUPLICATE_WITHIN = 86_400
FIRST_ID = 7_000_000_000_000_000_000
VISIBILITIES = ("PUBLIC", "CONNECTIONS", "LOGGED_IN")
REQUIRED = ("author", "commentary", "visibility", "distribution", "lifecycleState")
KNOWN = {*REQUIRED, "isReshareDisabledByAuthor", "content", "reshareContext", "contentLandingPage"}

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


def _bad_input(status: int, code: str, message: str, description: str, path: str) -> Problem:
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


def _bearer() -> tuple[Token, Grant]:
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


def _denied(resource: str) -> Problem:
    return Problem(403, f"Not enough permissions to access: {resource}", "ACCESS_DENIED", 100)


@bp.get("/api.linkedin.com/v2/userinfo")
@operation(PLATFORM, "profile", refuse)
def userinfo() -> Response:
    """The member, as the app knows them."""
    token, grant = _bearer()
    here = world()
    app = here.app(PLATFORM, grant.client_id)
    token.uses += 1
    here.state.keep(token)
    if app and app.first_profile_401 and token.uses == 1:
        # Reported by several programs: the fresh token is not known everywhere yet.
        raise _revoked()
    if not {"openid", "profile"} <= set(grant.scopes):
        raise _denied("userinfo.GET.NO_VERSION")
    return answer(_member(grant))


def _member(grant: Grant) -> dict[str, Any]:
    here = world()
    who = here.person_of(grant)
    first, _, last = who.name.partition(" ")
    body: dict[str, Any] = {
        "sub": people.member_id(who.id, grant.client_id),
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
    """The basic profile, for apps that hold `r_basicprofile`."""
    _, grant = _bearer()
    if "r_basicprofile" not in grant.scopes:
        raise _denied("me.GET.NO_VERSION")
    who = world().person_of(grant)
    first, _, last = who.name.partition(" ")
    return answer(
        {
            "id": people.member_id(who.id, grant.client_id),
            "localizedFirstName": first,
            "localizedLastName": last,
            "vanityName": who.username,
            "localizedHeadline": "Member of the sandbox",
        }
    )


def _check_protocol() -> str:
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


@bp.post("/api.linkedin.com/rest/posts")
@operation(PLATFORM, "publish", refuse)
def publish() -> Response:
    """A new post; the answer is empty and names the post in a header."""
    _, grant = _bearer()
    version = _check_protocol()
    if "w_member_social" not in grant.scopes:
        raise _denied(f"partnerApiPostsExternal.CREATE.{version}01")
    body = _checked_body(request.get_json(silent=True), grant)
    post = _store(body, grant)
    response = make_response("", 201)
    response.headers["x-restli-id"] = post.id
    del response.headers["Content-Type"]
    return traced(response)


def _checked_body(body: Any, grant: Grant) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Problem(400, "Unable to parse the request body as JSON", "INVALID_REQUEST")
    for name in REQUIRED:
        if name not in body:
            raise _bad_input(422, "MISSING_FIELD", f"/{name} :: field is required", "Required field is missing", name)
    for name in body.keys() - KNOWN:
        raise _bad_input(422, "UNRECOGNIZED_FIELD", f"/{name} :: unrecognized field", "Unknown field", name)
    _check_author(body["author"], grant)
    if body["visibility"] not in VISIBILITIES or body["lifecycleState"] != "PUBLISHED":
        raise _bad_input(422, "INVALID_VALUE", "/visibility or /lifecycleState :: not a member", "Invalid value", "")
    if not isinstance(body["distribution"], dict) or body["distribution"].get("feedDistribution") not in (
        "MAIN_FEED",
        "NONE",
    ):
        raise _bad_input(422, "INVALID_VALUE", "/distribution :: invalid", "Invalid value", "distribution")
    _check_content(body.get("content"))
    _check_commentary(body["commentary"], bool(body.get("content")))
    return body


def _check_author(author: Any, grant: Grant) -> None:
    if author != f"urn:li:person:{people.member_id(grant.person_id, grant.client_id)}":
        words = "Field Value validation failed in REQUEST_BODY: Data Processing Exception while processing fields"
        raise Problem(403, f"{words} [/author]", "ACCESS_DENIED", 100)


def _check_content(content: Any) -> None:
    if content is None:
        return
    article = content.get("article") if isinstance(content, dict) else None
    if not isinstance(article, dict) or set(content) != {"article"}:
        words = "The sandbox plays posts of text and articles; there is no such media here"
        raise _bad_input(422, "INVALID_CONTENT", "/content :: not available", words, "content")
    source = article.get("source")
    if not isinstance(source, str) or not source.startswith(("http://", "https://")):
        raise _bad_input(422, "INVALID_URL", "/content/article/source :: invalid", "Invalid URL", "source")
    if not article.get("title"):
        raise _bad_input(422, "MISSING_FIELD", "/content/article/title :: required", "Title is missing", "title")


def _check_commentary(commentary: Any, has_content: bool) -> None:
    if not isinstance(commentary, str) or not (commentary.strip() or has_content):
        raise _bad_input(422, "MISSING_FIELD", "/commentary :: is empty", "Commentary is missing", "commentary")
    length = visible_length(commentary)
    if length > LONGEST_COMMENTARY:
        words = f"ShareCommentary text length ({length} characters) exceeded the maximum allowed (3000 characters)"
        raise _bad_input(400, "FIELD_ARRAY_SIZE_TOO_HIGH", words, words, "commentary")


def _store(body: dict[str, Any], grant: Grant) -> Post:
    here = world()
    _check_duplicate(body, grant)
    urn = f"urn:li:share:{here.next_number(PLATFORM, FIRST_ID)}"
    who = here.person_of(grant)
    article = (body.get("content") or {}).get("article") or {}
    post = Post(
        id=urn,
        platform=PLATFORM,
        client_id=grant.client_id,
        author_id=people.member_id(who.id, grant.client_id),
        author_name=who.name,
        handle=who.name,
        text=shown(body["commentary"]),
        sent=body["commentary"],
        created_at=here.now(),
        permalink=here.address("www.linkedin.com", f"feed/update/{urn}/"),
        link=str(article.get("source", "")),
    )
    here.state.keep(post)
    return post


def _check_duplicate(body: dict[str, Any], grant: Grant) -> None:
    """The same words by the same member within a day, also after a deletion."""
    since = world().now() - DUPLICATE_WITHIN
    author = people.member_id(grant.person_id, grant.client_id)
    for post in world().state.all(Post):
        same = (post.platform, post.author_id, post.sent) == (PLATFORM, author, body["commentary"])
        if same and post.sent.strip() and post.created_at > since:
            words = f"Content is a duplicate of {post.id}"
            message = f"com.linkedin.content.common.exception.BadRequestResponseException: {words}"
            raise _bad_input(422, "DUPLICATE_POST", message, "Duplicate post is detected", "")


@bp.delete("/api.linkedin.com/rest/posts/<urn>")
@operation(PLATFORM, "delete", refuse)
def delete(urn: str) -> Response:
    """Takes an own post away; one that is gone already is no error."""
    _, grant = _bearer()
    version = _check_protocol()
    if "w_member_social" not in grant.scopes:
        raise _denied(f"partnerApiPostsExternal.DELETE.{version}01")
    post = world().state.find(Post, f"{PLATFORM}:{urn}")
    if post:
        _check_author(f"urn:li:person:{post.author_id}", grant)
        post.deleted = True
        world().state.keep(post)
    return traced(make_response("", 204))
