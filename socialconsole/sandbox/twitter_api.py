"""X's API v2 as far as the sandbox plays it: the own profile, posts, and the pages people open.

docs.x.com/x-api. Posts hold 280 weighted characters, links become t.co, a text twice within a day is refused. What may
stand in a post is checked in `twitter_posts.py`.
"""

import base64
import hashlib
import html
import math
from typing import Any

from flask import Blueprint, Response, make_response, redirect, request

from . import people
from .calls import operation
from .counting import LIMIT, links
from .state import App, Grant, Post
from .twitter import PLATFORM, answer, refuse, with_rate
from .twitter_answers import Problem, bearer, check_may_write, forbidden, invalid, only
from .twitter_posts import Wanted, check_against_the_past, read
from .world import iso, world

WINDOW = 900
DAY = 86_400
POSTS_A_DAY = 10_000  # of one app; the sandbox's quota for X stands in for it
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
POST_FIELDS = {
    *("article", "attachments", "author_id", "card_uri", "community_id", "context_annotations", "conversation_id"),
    *("created_at", "display_text_range", "edit_controls", "entities", "geo", "id", "in_reply_to_user_id", "lang"),
    *("media_metadata", "non_public_metrics", "organic_metrics", "possibly_sensitive", "promoted_metrics"),
    *("public_metrics", "reply_settings", "scopes", "source", "text", "withheld"),
}
OLDER_FIELDS = {"edit_history_tweet_ids", "note_tweet", "referenced_tweets"}
NEWER_FIELDS = {"edit_history_post_ids", "note_post", "referenced_posts", "paid_partnership"}
LIST_PARAMETERS = {"max_results", "pagination_token", "start_time", "end_time", "since_id", "until_id", "exclude"}

bp = Blueprint("twitter_api", __name__)


@bp.errorhandler(Problem)
def say_problem(problem: Problem) -> Response:
    """The refusal as problem JSON."""
    return answer(problem.body, problem.status)


@bp.get("/api.x.com/2/users/me")
@operation(PLATFORM, "profile", refuse)
def me() -> Response:
    """The account that the token belongs to."""
    grant = bearer("tweet.read", "users.read")
    only(request.args, ("user.fields",))
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
    app = world().app(PLATFORM, bearer("tweet.read", "users.read").client_id)
    fields = _fields_asked_for(app)
    asked = request.args.get("max_results", "10")
    if not asked.isdigit() or not 5 <= int(asked) <= 100:
        raise invalid("The `max_results` query parameter value is not between 5 and 100", max_results=[asked])
    found = world().posts_of(PLATFORM, user_id)[: int(asked)]
    data = [_listed(post, fields) for post in found]
    return answer({"data": data, "meta": {"result_count": len(data)}} if data else {"meta": {"result_count": 0}})


def _fields_asked_for(app: App | None) -> set[str]:
    """The fields of posts, by the older or the newer name of the parameter; an app's switch leaves only the newer."""
    newer = bool(app and app.settings["newer_names"])
    name = "post.fields" if newer else "tweet.fields"
    only(request.args, {name, *LIST_PARAMETERS})
    fields = {one for one in request.args.get(name, "").split(",") if one}
    unknown = fields - POST_FIELDS - (NEWER_FIELDS if newer else OLDER_FIELDS)
    if unknown:
        raise invalid(f"The `{name}` query parameter value {sorted(unknown)} is not valid")
    return fields


def _listed(post: Post, fields: set[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": post.id, "text": post.api_text, "edit_history_tweet_ids": [post.id]}
    if "created_at" in fields:
        body["created_at"] = iso(post.created_at)
    urls = [_link_facts(post, number, link) for number, link in enumerate(links(post.text))]
    if "entities" in fields and urls:
        body["entities"] = {"urls": urls}
    if "attachments" in fields and post.facts.get("media_keys"):
        body["attachments"] = {"media_keys": post.facts["media_keys"]}
    for name in {"note_tweet", "note_post"} & fields:
        if post.facts.get("long_text"):
            body[name] = {"text": post.facts["long_text"]}
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
    """A new post, or a reply to an own one."""
    grant = bearer("tweet.read", "tweet.write", "users.read")
    check_may_write(grant)
    only(request.args, ())
    wanted = read(request.get_json(silent=True) if request.is_json else None, grant)
    limits = Limits(grant)
    if limits.is_reached:
        return limits.told(refuse("publish", max(1.0, limits.until - world().now())))
    check_against_the_past(wanted, grant)
    post = _store(wanted, grant)
    body = {"data": {"id": post.id, "text": post.api_text, "edit_history_tweet_ids": [post.id]}}
    return limits.told(answer(body, 201), 1)


class Limits:
    """The two buckets of posting: a person's in 15 minutes, an app's in 24 hours."""

    def __init__(self, grant: Grant) -> None:
        here = world()
        now, every = here.now(), [p for p in here.state.all(Post) if p.platform == PLATFORM]
        app = here.app(PLATFORM, grant.client_id)
        self.limit = app.settings["posts_per_window"] if app else 100
        start = now - now % WINDOW
        self.until = start + WINDOW
        self.used = sum(p.author_id == grant.person_id and p.created_at >= start for p in every)
        self.day_limit = here.quotas.get(PLATFORM, POSTS_A_DAY)
        today = [p.created_at for p in every if p.client_id == grant.client_id and p.created_at > now - DAY]
        self.day_used, self.day_until = len(today), min(today, default=now) + DAY

    @property
    def is_reached(self) -> bool:
        """Whether nothing more may be posted for now."""
        return self.used >= self.limit or self.day_used >= self.day_limit

    def told(self, response: Response, more: int = 0) -> Response:
        """The response with both buckets in its headers, `more` taken out of them."""
        response = with_rate(response, self.limit, max(0, self.limit - self.used - more), self.until)
        response.headers["x-app-limit-24hour-limit"] = str(self.day_limit)
        response.headers["x-app-limit-24hour-remaining"] = str(max(0, self.day_limit - self.day_used - more))
        response.headers["x-app-limit-24hour-reset"] = str(math.ceil(self.day_until))
        return response


def _store(wanted: Wanted, grant: Grant) -> Post:
    here = world()
    who = here.person_of(grant)
    post_id = str(here.next_number(PLATFORM, FIRST_ID))
    given_back = html.escape(wanted.text.strip(), quote=False)
    for number, link in enumerate(links(wanted.text)):
        given_back = given_back.replace(html.escape(link, quote=False), _short_link(post_id, number), 1)
    facts = dict(wanted.facts)
    if wanted.length > LIMIT:
        facts["long_text"], given_back = given_back, f"{given_back[:270]}… {_short_link(post_id, 98)}"
    if wanted.uploads:  # X puts a link to the post's own media behind the text
        given_back = f"{given_back} {_short_link(post_id, 99)}".strip()
    post = Post(
        id=post_id,
        platform=PLATFORM,
        client_id=grant.client_id,
        author_id=who.id,
        author_name=who.name,
        handle=f"@{who.username}",
        text=wanted.text.strip(),
        sent=wanted.text,
        created_at=here.now(),
        permalink=here.address("x.com", f"{who.username}/status/{post_id}"),
        api_text=given_back,
        media=wanted.media,
        format=wanted.format,
        reply_to=wanted.reply_to,
        facts=facts,
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
    grant = bearer("tweet.read", "tweet.write", "users.read")
    check_may_write(grant)
    only(request.args, ())
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
