"""What may stand in a post at X: text, media, a poll, a reply to an own post, and three choices.

docs.x.com/x-api/posts/creation-of-a-post; the vendor's description allows no other property.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from .counting import LIMIT, weighted_length
from .state import Grant, Post, Upload
from .twitter import PLATFORM
from .twitter_answers import forbidden, invalid, only
from .twitter_media import ID, TYPES, attached, media_key
from .uploads import medium
from .world import world

DUPLICATE_WITHIN = 86_400
LONG_LIMIT = 25_000  # with a subscription
REPLY_SETTINGS = ("following", "mentionedUsers", "subscribers", "verified")
CASHTAG = re.compile(r"(?<!\w)\$[A-Za-z]{1,6}\b")

# The whole of CreatePostsRequest in the vendor's description; what is not played is refused with a word on it.
PROPERTIES = {
    *("card_uri", "community_id", "direct_message_deep_link", "edit_options", "for_super_followers_only", "geo"),
    *("made_with_ai", "media", "nullcast", "paid_partnership", "poll", "quote_tweet_id", "reply"),
    *("reply_settings", "share_with_followers", "text"),
}
PLAYED = ("made_with_ai", "media", "paid_partnership", "poll", "reply", "reply_settings", "text")


@dataclass
class Wanted:
    """A post as it was asked for, and found sound."""

    text: str
    length: int
    uploads: list[Upload] = field(default_factory=list)
    reply_to: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def media(self) -> list[dict[str, Any]]:
        """The entries of `Post.media`."""
        return [medium(one, one.facts.get("alt", "")) for one in self.uploads]

    @property
    def format(self) -> str:
        """What people would call it."""
        if self.uploads:
            return TYPES[self.uploads[0].mime] if len(self.uploads) == 1 else "images"
        return "poll" if "poll" in self.facts else "text"


def read(body: Any, grant: Grant) -> Wanted:
    """The post in a request. Raises Problem."""
    if not isinstance(body, dict):
        raise invalid("Request body is not valid JSON")
    only(body, PROPERTIES)
    if body.get("quote_tweet_id"):
        raise forbidden("Quoting this post is not allowed because it needs an Enterprise plan.")
    for name in body.keys() - set(PLAYED):
        raise forbidden(f"The sandbox does not play {name}.")
    text = body.get("text", "")
    if not isinstance(text, str) or not (text.strip() or "media" in body):
        raise invalid("Your Tweet text is missing. You must supply either a text or media.", text=[])
    wanted = Wanted(text, weighted_length(text), reply_to=_parent(body, grant), facts=_choices(body))
    if "media" in body and "poll" in body:
        raise invalid("A post holds media or a poll, not both.", poll=[])
    if "media" in body:
        wanted.uploads = attached(body["media"], grant)
        wanted.facts["media_keys"] = [media_key(one) for one in wanted.uploads]
    if "poll" in body:
        wanted.facts["poll"] = _poll(body["poll"])
    return wanted


def _choices(body: dict[str, Any]) -> dict[str, Any]:
    for name in ("made_with_ai", "paid_partnership"):
        if not isinstance(body.get(name, False), bool):
            raise invalid(f"[$.{name}: is not a boolean]")
    if body.get("reply_settings", REPLY_SETTINGS[0]) not in REPLY_SETTINGS:
        raise invalid("[$.reply_settings: does not have a value in the enumeration]")
    return {name: body[name] for name in ("made_with_ai", "paid_partnership", "reply_settings") if name in body}


def _parent(body: dict[str, Any], grant: Grant) -> str:
    if "reply" not in body:
        return ""
    reply = body["reply"]
    if not isinstance(reply, dict):
        raise invalid("[$.reply: is not an object]")
    only(reply, ("in_reply_to_tweet_id",))
    parent = reply.get("in_reply_to_tweet_id")
    if not isinstance(parent, str) or not ID.fullmatch(parent):
        raise invalid("[$.reply.in_reply_to_tweet_id: does not match the regex pattern]")
    if parent not in {post.id for post in world().posts_of(PLATFORM, grant.person_id)}:
        raise forbidden(
            "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged"
            " by the author of the post you are replying to."
        )
    return parent


def _poll(wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, dict):
        raise invalid("[$.poll: is not an object]", poll=[])
    only(wanted, ("options", "duration_minutes"))
    options, minutes = wanted.get("options"), wanted.get("duration_minutes")
    if not isinstance(options, list) or not 2 <= len(options) <= 4:
        raise invalid("[$.poll.options: must have 2 to 4 items]", poll=[])
    if not all(isinstance(one, str) and 1 <= len(one) <= 25 and one.strip() for one in options):
        raise invalid("[$.poll.options: must be 1 to 25 characters long]", poll=[])
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 5 <= minutes <= 10_080:
        raise invalid("[$.poll.duration_minutes: must be between 5 and 10080]", poll=[])
    return {"options": options, "duration_minutes": minutes}


def check_against_the_past(wanted: Wanted, grant: Grant) -> None:
    """Refuse what this account may not post, or has posted already. Raises Problem."""
    premium = world().person_of(grant).subscription != "None"
    if wanted.length > (LONG_LIMIT if premium else LIMIT):
        raise forbidden()
    if len(CASHTAG.findall(wanted.text)) > 1:
        raise forbidden("Posts are limited to a maximum of one cashtag.")
    since = world().now() - DUPLICATE_WITHIN
    for post in world().posts_of(PLATFORM, grant.person_id):
        if post.created_at > since and _is_same(post, wanted):
            raise forbidden("You are not allowed to create a Tweet with duplicate content.")


def _is_same(post: Post, wanted: Wanted) -> bool:
    if wanted.text.strip():
        return post.text == wanted.text.strip()
    return post.facts.get("media_keys") == wanted.facts["media_keys"]
