"""Our requests to Threads against Meta's own example requests: names of parameters, fields and values.

The names below are facts taken from the request collection `postman/threads-api.postman_collection.json` of the public
repository fbsamples/threads_api, as of commit 44df04d of January 2026. That collection writes `me` for the person's id,
leaves the version out and puts everything into the query; names and methods are what counts here.
"""

import re
from typing import Any

import pytest

from socialconsole.errors import PlatformError
from socialconsole.providers import connectable
from socialconsole.providers.base import COMMENT, TokenSet
from socialconsole.providers.content import IMAGE, VIDEO, Poll, Progress
from tests.formats.playground import Asked, Place, open_playground

_SHARED = {"text", "media_type", "reply_control", "reply_to_id", "topic_tag", "location_id", "text_entities"}
_MEDIA = _SHARED | {"alt_text", "is_spoiler_media"}

# What stands in `media_type` (or else the call) -> the parameters of the example requests.
CONTAINERS = {
    "TEXT": _SHARED | {"link_attachment", "poll_attachment", "auto_publish_text", "text_attachment", "gif_attachment",
                       "is_ghost_post", "quote_post_id"},
    "IMAGE": _MEDIA | {"image_url"},
    "VIDEO": _MEDIA | {"video_url"},
    "CAROUSEL": _SHARED | {"children", "is_spoiler_media"},
}
ITEMS = {"IMAGE": {"media_type", "image_url", "is_carousel_item", "alt_text"},
         "VIDEO": {"media_type", "video_url", "is_carousel_item", "alt_text"}}
CALLS = {
    "POST oauth/access_token": {"client_id", "client_secret", "code", "grant_type", "redirect_uri"},
    "GET access_token": {"grant_type", "client_secret"},
    "GET refresh_access_token": {"grant_type"},
    "GET me": {"fields"},
    "GET debug_token": {"input_token"},
    "GET me/threads": {"fields", "since", "until", "limit", "before", "after"},
    "GET me/replies": {"fields", "since", "until", "limit", "before", "after"},
    "GET me/threads_publishing_limit": {"fields"},
    "POST me/threads_publish": {"creation_id"},
    "GET {id}": {"fields"},
    "DELETE {id}": set(),
}
GRANTS = {"POST oauth/access_token": "authorization_code", "GET access_token": "th_exchange_token",
          "GET refresh_access_token": "th_refresh_token"}
PROFILE = {"id", "username", "name", "is_verified", "threads_profile_picture_url", "threads_biography",
           "recently_searched_keywords", "is_eligible_for_geo_gating"}
QUOTA = {f"{kind}{name}" for kind in ("", "reply_", "delete_", "location_search_")
         for name in ("quota_usage", "config")}
CONTAINER = {"id", "status", "error_message"}
POST = {"id", "media_product_type", "media_type", "media_url", "gif_url", "permalink", "owner", "username", "text",
        "timestamp", "shortcode", "thumbnail_url", "children", "is_quote_post", "quoted_post", "reposted_post",
        "has_replies", "alt_text", "link_attachment_url", "location_id", "topic_tag", "is_verified",
        "profile_picture_url"}
FIELDS = {"GET me": PROFILE, "GET me/threads_publishing_limit": QUOTA, "GET {id}": CONTAINER | POST,
          "GET me/threads": POST, "GET me/replies": POST}
REPLY_CONTROL = {"everyone", "accounts_you_follow", "mentioned_only", "parent_post_author_only", "followers_only"}
SCOPES = {"threads_basic", "threads_content_publish", "threads_manage_insights", "threads_manage_replies",
          "threads_read_replies", "threads_keyword_search", "threads_manage_mentions", "threads_delete",
          "threads_location_tagging", "threads_profile_discovery"}


def name_of(asked: Asked, user: str) -> str:
    """A call as the collection writes it."""
    path = asked.path.removeprefix("/v1.0").strip("/")
    path = re.sub(rf"^{user}(?=/)", "me", path)
    return f"{asked.method} {re.sub(r'^[0-9]+$', '{id}', path)}"


def walk(here: Place) -> None:
    """Everything that the provider can ask Threads for."""
    here.connect()
    everything = {"topic_tag": "bread", "reply_control": "everyone", "location_id": "123", "spoiler_text": "Hi"}
    media = {**everything, "is_spoiler_media": "yes"}
    photo, film = here.file(IMAGE, alt_text="A"), here.file(VIDEO, alt_text="B")
    root = here.deliver(here.draft("Hi", options=everything))
    here.deliver(here.draft("Hi https://a.example", "link", link="https://a.example", options=everything))
    here.deliver(here.draft("Hi", "poll", poll=Poll("", ("a", "b", "c", "d"), 1440), options=everything))
    here.deliver(here.draft("Hi", "image", [photo], options=media, part=1, root_id=root.id, reply_to=root.id))
    here.deliver(here.draft("Hi", "video", [film], options=media))
    here.deliver(here.draft("Hi", "carousel", [photo, film], options=media))
    here.deliver(here.draft("Hi", COMMENT, part=1, root_id=root.id, reply_to=root.id))
    for draft in (here.draft("Lost"), here.draft("Lost too", part=1, root_id=root.id, reply_to=root.id)):
        progress = Progress()
        here.prepare(draft, progress)
        here.fault("publish", "drop_after")
        with pytest.raises(PlatformError):
            here.provider.publish(here.app, here.account.token, draft, progress)
        here.locate(draft, progress)
    here.settings(quotas={"threads": 1})
    with pytest.raises(PlatformError):
        here.prepare(here.draft("One too many"), Progress())
    here.delete(root.id, here.draft("Hi"))
    here.clock.forward(90_000)
    here.provider.renew(here.app, TokenSet(here.account.token))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Asked]]:
    with open_playground(tmp_path_factory.mktemp("threads")) as grounds:
        here = grounds("threads")
        walk(here)
        return [(name_of(one, here.account.profile.platform_user_id), one) for one in here.asked]


def test_every_request_is_one_of_the_examples_and_sends_no_other_parameter(calls: list[tuple[str, Asked]]) -> None:
    kinds: set[tuple[str, bool]] = set()
    for name, asked in calls:
        names = set(asked.parameters) - {"access_token"}
        if name == "POST me/threads":
            kind, is_item = asked.form["media_type"], "is_carousel_item" in asked.form
            kinds.add((kind, is_item))
            assert names <= (ITEMS if is_item else CONTAINERS)[kind], (kind, names)
        else:
            assert names <= CALLS[name], (name, names)
        assert ("access_token" in asked.parameters) == (name != "POST oauth/access_token")
        assert asked.parameters.get("grant_type") == GRANTS.get(name)
    assert {name for name, _ in calls} == {*CALLS, "POST me/threads"}
    assert kinds == {*((kind, False) for kind in CONTAINERS), ("IMAGE", True), ("VIDEO", True)}


def test_every_field_that_is_read_is_one_of_the_examples(calls: list[tuple[str, Asked]]) -> None:
    for name, asked in calls:
        if "fields" in asked.parameters:
            assert set(asked.parameters["fields"].split(",")) <= FIELDS[name], (name, asked.parameters["fields"])


def test_what_is_posted_goes_in_a_form_and_what_is_read_in_the_query(calls: list[tuple[str, Asked]]) -> None:
    for name, asked in calls:
        if asked.method == "POST":
            assert asked.form and not asked.query, name
        else:
            assert asked.query and not asked.size, name


def test_values_and_scopes_are_those_of_the_examples() -> None:
    provider: Any = connectable("threads")
    control = next(one for one in provider.fields if one.name == "reply_control")
    assert {value for value, _ in control.choices} <= REPLY_CONTROL
    everything = provider.default_scopes("", tuple(one.slug for one in provider.features))
    assert {one.name for one in everything} <= SCOPES
