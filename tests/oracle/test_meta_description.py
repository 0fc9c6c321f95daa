"""Whatever Facebook and Instagram are asked has a name that Meta's own description knows."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from socialconsole.providers.base import COMMENT, Published
from socialconsole.providers.content import Format
from socialconsole.providers.oauth2 import CONNECTABLE
from socialconsole.sandbox.plays import PLAYS
from tests.formats.playground import Asked, Place, Playground, open_playground
from tests.oracle.graph_description import folder, node, problems

pytestmark = pytest.mark.skipif(folder() is None, reason="description not at hand: facebook-business is not installed")

PLATFORMS = ("facebook", "instagram")
# What the description lacks or says otherwise, each with the page that knows better.
EXCEPTIONS = {
    "Page/photos source": "the file of a multipart form, which the package sends apart (Page Photos, Uploading)",
    "Page/video_stories upload_phase": "lower case on the vendor's page (Page Stories API), capitals in the package",
    "IGUser/media children": "ids with commas between on the vendor's page (Content Publishing, Carousel), a list here",
    "Page picture": "an edge that is read as a field (Field Expansion)",
}

# Something sound for each choice of a post, so that its parameter is sent too.
CHOICES = {"place": "900100000000001", "title": "Words", "collaborators": "bob", "location_id": "900100000000001",
           "share_to_feed": "yes", "cover": "2.5", "is_ai_generated": "yes"}

Recording = dict[str, list[Asked]]


# ---------------------------------------------------------------- what the providers send


def modes(platform: str) -> list[str]:
    """The modes of a platform that can be connected here; none while the platform is not there yet."""
    if platform not in CONNECTABLE or platform not in PLAYS:
        return []
    provider = CONNECTABLE[platform]
    return [one.slug for one in provider.modes if provider.can_connect(one.slug)] or [""]


PLACES = [(platform, mode) for platform in PLATFORMS for mode in modes(platform)]


def record(here: Place) -> Recording:
    """Every format of a platform, delivered; what was asked, by format."""
    here.connect()
    found = {"connecting": taken(here)}
    here.provider.profile(here.app, here.account.token, here.account.profile.platform_user_id)
    found["reading"] = taken(here)
    for format in here.provider.formats_of(here.mode):
        for kind in format.takes or ("",):
            found[f"{format.slug} {kind}"] = sent(here, format, kind)
    return found


def taken(here: Place) -> list[Asked]:
    """What was asked since the last time."""
    asked = list(here.asked)
    here.asked.clear()
    return asked


def sent(here: Place, format: Format, kind: str) -> list[Asked]:
    """One format from upload to deletion, with a look for it and a first comment where there are any."""
    alt_text = "In words" if format.alt_text else ""
    files = [here.file(kind, alt_text=alt_text) for _ in range(format.least if kind else 0)]
    options = {one.name: CHOICES[one.name] for one in here.provider.fields_of(here.mode, format.slug)}
    draft = here.draft(f"Words about {format.slug}", format.slug, files, options=options,
                       link="https://example.com/a" if format.needs_link else "")
    published = here.deliver(draft)
    here.locate(draft)
    if here.mode in here.provider.comment_needs and format.slug != "story":
        comment(here, published)
    if here.mode in here.provider.delete_needs:
        here.delete(published.id, draft)
    return taken(here)


def comment(here: Place, published: Published) -> None:
    draft = here.draft("First", COMMENT, root_id=published.id, reply_to=published.id, part=1)
    here.deliver(draft)
    here.locate(draft)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    folder: Path = tmp_path_factory.mktemp("oracle")
    with open_playground(folder) as made:
        yield made


@pytest.fixture(scope="module", params=PLACES, ids=lambda place: " ".join(place).strip())
def recording(request: pytest.FixtureRequest, grounds: Playground) -> Recording:
    return record(grounds(*request.param))


# ---------------------------------------------------------------- the proofs


def test_every_name_value_and_type_is_one_that_meta_knows(recording: Recording) -> None:
    found = {f"{format}: {problem}" for format, asked in recording.items() for one in asked
             for problem in problems(one, frozenset(EXCEPTIONS))}
    assert not found


def test_every_format_really_asked_something(recording: Recording) -> None:
    assert all(recording.values())


def test_no_exception_is_there_for_nothing(tmp_path: Path) -> None:
    with open_playground(tmp_path) as grounds:
        asked = chain.from_iterable(
            one for place in PLACES for one in record(grounds(*place)).values())
        needed = {problem.partition(":")[0] for one in asked for problem in problems(one)}
    assert needed == set(EXCEPTIONS)


POST = Asked("POST", "graph.facebook.com", "/v25.0/900100/feed", {}, {"message": "Hi", "access_token": "x"}, None, {},
             {}, 0)


@pytest.mark.parametrize(("asked", "problem"), [
    (POST, ""),
    (replace(POST, form={"mesage": "Hi"}), "Page/feed mesage: there is no such parameter"),
    (replace(POST, path="/v25.0/900100/feeds"), "Page/feeds POST: there is no such call"),
    (replace(POST, method="PUT"), "Page/feed PUT: there is no such call"),
    (replace(POST, form={"attached_media": "media_fbid"}), "Page/feed attached_media: 'media_fbid' is no list<Object>"),
    (replace(POST, form={"attached_media": '[{"media_fbid":"1"}]'}), ""),
    (replace(POST, form={"published": "no"}), "Page/feed published: 'no' is no bool"),
    (replace(POST, path="/v25.0/900100/videos", form={"file_size": "big"}),
     "Page/videos file_size: 'big' is no unsigned int"),
    (replace(POST, path="/v25.0/900100/video_reels", form={"video_state": "PUBLIC"}),
     "Page/video_reels video_state: 'PUBLIC' is none of ['DRAFT', 'PUBLISHED', 'SCHEDULED']"),
    (replace(POST, path="/v25.0/17/media", form={"media_tipe": "REELS"}),
     "IGUser/media media_tipe: there is no such parameter"),
    (replace(POST, method="GET", path="/v25.0/4711", form={}, query={"fields": "status,permalink_url,post_id"}), ""),
    (replace(POST, method="GET", path="/v25.0/4711", form={}, query={"fields": "status,permalinc"}),
     "AdVideo permalinc: there is no such field"),
])
def test_the_oracle_catches_what_is_wrong(asked: Asked, problem: str) -> None:
    assert problems(asked) == ([problem] if problem else [])


def test_the_description_was_really_read() -> None:
    assert len(node("Page").edges) > 50 and "message" in node("Page").edges["POST", "/feed"].types
    assert "status" in node("AdVideo").fields and len(node("IGUser").edges) > 5
