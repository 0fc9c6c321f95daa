"""X's API v2 as far as the sandbox plays it: the own profile, posts of text, and the pages people open.

docs.x.com/x-api. Posts hold 280 weighted characters, links become t.co, a text twice within a day is refused.
"""

import base64
import hashlib
import html
import re
from typing import Any

from flask import Blueprint, Response, make_response, redirect, request

from . import people
from .calls import operation
from .counting import LIMIT, links, weighted_length
from .state import Grant, Post, Token
from .twitter import PLATFORM, answer, refuse, with_rate
from .world import iso, world

WINDOW = 900
DUPLICATE_WITHIN = 86_400
FIRST_ID = 1_900_000_000_000_000_000

USER_FIELDS = {
    *(
        "affiliation",
        "connection_status",
        "created_at",
        "description",
        "entities",
        "id",
        "is_identity_verified",
    ),
    *("location", "most_recent_post_id", "most_recent_tweet_id", "name", "parody", "pinned_post_id"),
    *("pinned_tweet_id", "profile_banner_url", "profile_image_url", "protected", "public_metrics"),
    *("receives_your_dm", "subscription", "subscription_type", "url", "username", "verified"),
    *("verified_followers_count", "verified_type", "withheld"),
}
# The whole of CreatePostsRequest in the vendor's description; it allows nothing else.
POST_PROPERTIES = {
    *(
        "card_uri",
        "community_id",
        "direct_message_deep_link",
        "edit_options",
        "for_super_followers_only",
        "geo",
    ),
    *("made_with_ai", "media", "nullcast", "paid_partnership", "poll", "quote_tweet_id", "reply"),
    *("reply_settings", "share_with_followers", "text"),
}
REPLY_SETTINGS = ("following", "mentionedUsers", "subscribers", "verified")
CASHTAG = re.compile(r"(?<!\w)\$[A-Za-z]{1,6}\b")

bp = Blueprint("twitter_api", __name__)


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


@bp.errorhandler(Problem)
def say_problem(problem: Problem) -> Response:
    """The refusal as problem JSON."""
    return answer(problem.body, problem.status)


def _bearer(*scopes: str) -> Grant:
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
    if not set(scopes) <= set(grant.scopes):
        raise forbidden()
    return grant


@bp.get("/api.x.com/2/users/me")
@operation(PLATFORM, "profile", refuse)
def me() -> Response:
    """The account that the token belongs to."""
    grant = _bearer("tweet.read", "users.read")
    wanted = {name for name in request.args.get("user.fields", "").split(",") if name}
    if wanted - USER_FIELDS:
        raise invalid(f"The `user.fields` query parameter value is not valid: {sorted(wanted - USER_FIELDS)}")
    who = world().person_of(grant)
    picture = world().address("pbs.twimg.com", f"profile_images/{who.id}/{who.username}_normal.png")
    more = {
        "profile_image_url": picture,
        "verified": False,
        "verified_type": "none",
        "subscription_type": who.subscription,
        "protected": who.protected,
        "public_metrics": {"followers_count": 12, "following_count": 3, "tweet_count": 0, "listed_count": 0},
    }
    plain = {"id": who.id, "name": who.name, "username": who.username}
    return answer({"data": plain | {name: value for name, value in more.items() if name in wanted}})


@bp.get("/api.x.com/2/users/<user_id>/tweets")
@operation(PLATFORM, "list", refuse)
def posts(user_id: str) -> Response:
    """The latest posts of an account, newest first."""
    _bearer("tweet.read", "users.read")
    asked = request.args.get("max_results", "10")
    if not asked.isdigit() or not 5 <= int(asked) <= 100:
        raise invalid("The `max_results` query parameter value is not between 5 and 100", max_results=[asked])
    fields = (request.args.get("tweet.fields") or request.args.get("post.fields") or "").split(",")
    found = [post for post in world().posts(PLATFORM) if post.author_id == user_id][: int(asked)]
    data = [_listed(post, fields) for post in found]
    return answer({"data": data, "meta": {"result_count": len(data)}} if data else {"meta": {"result_count": 0}})


def _listed(post: Post, fields: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": post.id, "text": post.api_text, "edit_history_tweet_ids": [post.id]}
    if "created_at" in fields:
        body["created_at"] = iso(post.created_at)
    urls = [_link_facts(post, number, link) for number, link in enumerate(links(post.text))]
    if "entities" in fields and urls:
        body["entities"] = {"urls": urls}
    return body


def _link_facts(post: Post, number: int, link: str) -> dict[str, Any]:
    short = _short_link(post.id, number)
    start = html.unescape(post.api_text).find(short)
    full = link if "://" in link else f"http://{link}"
    facts = {"start": start, "end": start + len(short), "url": short, "expanded_url": full}
    return facts | {"display_url": full.partition("://")[2]}


@bp.post("/api.x.com/2/tweets")
@operation(PLATFORM, "publish", refuse)
def publish() -> Response:
    """A new post of text."""
    grant = _bearer("tweet.read", "tweet.write", "users.read")
    text = _checked_body(request.get_json(silent=True), grant)
    used, until = _window(grant)
    app = world().app(PLATFORM, grant.client_id)
    limit = app.posts_per_window if app else 100
    if used >= limit:
        return with_rate(refuse("publish", max(1.0, until - world().now())), limit, 0, until)
    _check_text(text, grant)
    post = _store(text, grant)
    body = {"data": {"id": post.id, "text": post.api_text, "edit_history_tweet_ids": [post.id]}}
    return with_rate(answer(body, 201), limit, limit - used - 1, until)


def _checked_body(body: Any, grant: Grant) -> str:
    if not isinstance(body, dict):
        raise invalid("Request body is not valid JSON")
    for name in body.keys() - POST_PROPERTIES:
        raise invalid(f"[$.{name}: is not defined in the schema and the schema does not allow additional properties]")
    if body.get("quote_tweet_id"):
        raise forbidden("Quoting this post is not allowed because it needs an Enterprise plan.")
    parent = (body.get("reply") or {}).get("in_reply_to_tweet_id")
    own = {post.id for post in world().posts(PLATFORM) if post.author_id == grant.person_id}
    if parent and parent not in own:
        raise forbidden(
            "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged"
            " by the author of the post you are replying to."
        )
    if body.get("media"):
        raise invalid("Your media IDs are invalid.", **{"media.media_ids": []})
    if body.get("poll"):
        raise invalid("The sandbox plays posts of text; a poll cannot be made here.", poll=[])
    if body.get("reply_settings", REPLY_SETTINGS[0]) not in REPLY_SETTINGS:
        raise invalid("[$.reply_settings: does not have a value in the enumeration]")
    text = body.get("text", "")
    if not isinstance(text, str) or not text.strip():
        raise invalid("Your Tweet text is missing. You must supply either a text or media.", text=[])
    return text


def _check_text(text: str, grant: Grant) -> None:
    if weighted_length(text) > LIMIT:
        raise forbidden()
    if len(CASHTAG.findall(text)) > 1:
        raise forbidden("Posts are limited to a maximum of one cashtag.")
    since = world().now() - DUPLICATE_WITHIN
    for post in world().posts(PLATFORM):
        if post.author_id == grant.person_id and post.text == text.strip() and post.created_at > since:
            raise forbidden("You are not allowed to create a Tweet with duplicate content.")


def _window(grant: Grant) -> tuple[int, float]:
    """Posts of this person in the running 15 minutes, and when the window ends (epoch seconds)."""
    now = world().now()
    start = now - now % WINDOW
    mine = [p for p in world().state.all(Post) if p.platform == PLATFORM and p.author_id == grant.person_id]
    return sum(post.created_at >= start for post in mine), start + WINDOW


def _store(text: str, grant: Grant) -> Post:
    here = world()
    who = here.person_of(grant)
    post_id = str(here.next_number(PLATFORM, FIRST_ID))
    given_back = html.escape(text.strip(), quote=False)
    for number, link in enumerate(links(text)):
        given_back = given_back.replace(html.escape(link, quote=False), _short_link(post_id, number), 1)
    post = Post(
        id=post_id,
        platform=PLATFORM,
        client_id=grant.client_id,
        author_id=who.id,
        author_name=who.name,
        handle=f"@{who.username}",
        text=text.strip(),
        sent=text,
        created_at=here.now(),
        permalink=here.address("x.com", f"{who.username}/status/{post_id}"),
        api_text=given_back,
    )
    here.state.keep(post)
    return post


def _short_link(post_id: str, number: int) -> str:
    digest = hashlib.sha256(f"{post_id}/{number}".encode()).digest()
    return "https://t.co/" + base64.urlsafe_b64encode(digest).decode()[:10].replace("-", "a").replace("_", "b")


@bp.delete("/api.x.com/2/tweets/<post_id>")
@operation(PLATFORM, "delete", refuse)
def delete(post_id: str) -> Response:
    """Takes an own post away."""
    grant = _bearer("tweet.read", "tweet.write", "users.read")
    here = world()
    post = here.state.find(Post, f"{PLATFORM}:{post_id}")
    if post is None or post.deleted:
        raise Problem(
            404,
            "Not Found Error",
            "Could not find the post.",
            "https://api.twitter.com/2/problems/resource-not-found",
        )
    if post.author_id != grant.person_id:
        raise forbidden()
    post.deleted = True
    here.state.keep(post)
    return answer({"data": {"deleted": True}})


# Addresses that people open


@bp.get("/x.com/<username>/status/<post_id>")
def permalink(username: str, post_id: str) -> Response:
    """The post's own page; X finds it whatever the name before it."""
    return make_response(redirect(f"/timeline/{PLATFORM}/{post_id}"))


@bp.get("/x.com/<username>")
def profile_page(username: str) -> Response:
    """The profile's page: its posts."""
    who = next((person for person in people.at(PLATFORM) if person.username == username.lower()), None)
    return make_response(redirect(f"/timeline?author={who.id}" if who else "/timeline"))
