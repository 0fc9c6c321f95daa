"""X from the provider to the sandbox: every format as it arrives there, each published once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from socialconsole.errors import (
    AlreadyPublished,
    ContentRejected,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.providers.base import Located, Published
from socialconsole.providers.content import GIF, IMAGE, VIDEO, YES, Draft, Poll, Progress
from tests.formats.playground import Place, Playground

MEGABYTE = 1024 * 1024
PETRA = "1712345678901234567"


@pytest.fixture
def here(playground: Playground) -> Place:
    """An app at X and the usual person."""
    place = playground("twitter")
    place.connect()
    place.asked.clear()
    return place


def lines(here: Place) -> list[str]:
    """What was asked, without ids."""
    return ["/".join("ID" if part.isdigit() and len(part) > 9 else part for part in one.line.split("/"))
            for one in here.asked]


def hashes(post: dict[str, Any]) -> list[str]:
    return [one["sha256"] for one in post["media"]]


UPLOAD = ["POST api.x.com/2/media/upload/initialize", "POST api.x.com/2/media/upload/ID/append",
          "POST api.x.com/2/media/upload/ID/finalize"]
POST, STATUS, METADATA = "POST api.x.com/2/tweets", "GET api.x.com/2/media/upload", "POST api.x.com/2/media/metadata"


def test_text(here: Place) -> None:
    done = here.deliver(here.draft("Fresh bread https://example.com/bread", link="https://example.com/bread"))
    [post] = here.posts()
    assert post["text"] == "Fresh bread https://example.com/bread" and post["permalink"] == done.permalink
    assert lines(here) == [POST]


def test_a_picture_with_its_description(here: Place) -> None:
    photo = here.file(IMAGE, 50_000, alt_text="Bread")
    here.deliver(here.draft("Hi", "image", [photo]))
    [post] = here.posts()
    assert hashes(post) == [photo.sha256] and post["media"][0]["alt"] == "Bread" and post["format"] == "image"
    assert lines(here) == [*UPLOAD, METADATA, POST]


def test_four_pictures_in_their_order_without_text(here: Place) -> None:
    photos = [here.file(IMAGE, type=type, alt_text=alt) for type, alt in (
        ("image/jpeg", "One"), ("image/png", ""), ("image/webp", "Three"), ("image/jpeg", ""))]
    here.deliver(here.draft("", "images", photos))
    [post] = here.posts()
    assert hashes(post) == [one.sha256 for one in photos] and post["text"] == ""
    assert [one["alt"] for one in post["media"]] == ["One", "", "Three", ""]


def test_a_moving_gif_is_waited_for_and_described(here: Place) -> None:
    gif = here.file(GIF, alt_text="A cat")
    here.deliver(here.draft("Hi", "gif", [gif]))
    [post] = here.posts()
    assert hashes(post) == [gif.sha256] and post["media"][0] | {"sha256": "", "size": 0} == {
        "kind": "gif", "mime": "image/gif", "size": 0, "sha256": "", "alt": "A cat"}
    assert lines(here) == [*UPLOAD, STATUS, STATUS, METADATA, POST]


@pytest.mark.parametrize("polls", [0, 1, 4])
def test_a_video_of_several_pieces(here: Place, polls: int) -> None:
    here.settings(processing_polls=polls)
    video = here.file(VIDEO, 2 * MEGABYTE + 77)
    here.deliver(here.draft("Hi", "video", [video]))
    [post] = here.posts()
    assert hashes(post) == [video.sha256] and post["format"] == "video"
    asking = [STATUS] * (polls + 1) if polls else []
    assert lines(here) == [UPLOAD[0], *[UPLOAD[1]] * 3, UPLOAD[2], *asking, POST]


@pytest.mark.parametrize("type", ["video/quicktime", "video/mp4"])
def test_types_of_videos(here: Place, type: str) -> None:
    here.deliver(here.draft("Hi", "video", [here.file(VIDEO, type=type)]))
    assert here.posts()[0]["media"][0]["mime"] == type


def test_a_poll(here: Place) -> None:
    here.deliver(here.draft("Which?", "poll", poll=Poll("", ("Rye", "Wheat", "Oat"), 60)))
    assert here.posts()[0]["facts"]["poll"] == {"options": ["Rye", "Wheat", "Oat"], "duration_minutes": 60}


def test_the_choices_of_a_post(here: Place) -> None:
    here.deliver(here.draft("Hi", options={"reply_settings": "following", "made_with_ai": YES,
                                           "paid_partnership": YES}))
    here.deliver(here.draft("Ho"))
    plain, chosen = here.posts()
    assert chosen["facts"] == {"reply_settings": "following", "made_with_ai": True, "paid_partnership": True}
    assert plain["facts"] == {}


def chain(here: Place, *drafts: Draft) -> list[str]:
    """Publish parts one after the other, as the engine does; their ids."""
    ids: list[str] = []
    for number, draft in enumerate(drafts):
        part = replace(draft, part=number, root_id=ids[0] if ids else "", reply_to=ids[-1] if ids else "")
        ids.append(here.deliver(part).id)
    return ids


def test_a_chain_whose_parts_have_files_of_their_own(here: Place) -> None:
    photo, video = here.file(), here.file(VIDEO)
    ids = chain(here, here.draft("One", "image", [photo]), here.draft("Two"), here.draft("Three", "video", [video]))
    third, second, first = here.posts()
    assert [first["reply_to"], second["reply_to"], third["reply_to"]] == ["", ids[0], ids[1]]
    assert [hashes(first), hashes(second), hashes(third)] == [[photo.sha256], [], [video.sha256]]


def test_a_part_that_failed_is_sent_again_and_the_others_are_not(here: Place) -> None:
    (first,) = chain(here, here.draft("One"))
    part = here.draft("Two", "image", [here.file()], part=1, root_id=first, reply_to=first)
    progress = Progress()
    here.fault("publish", "429", seconds=60)
    with pytest.raises(RateLimited):
        here.deliver(part, progress)
    here.clock.forward(60)
    here.asked.clear()
    here.deliver(part, progress)
    assert lines(here) == [POST] and [post["text"] for post in here.posts()] == ["Two", "One"]


# ---------------------------------------------------------------- breaks


def test_an_upload_that_breaks_goes_on_and_ends_whole(here: Place) -> None:
    video, progress = here.file(VIDEO, 3 * MEGABYTE), Progress()
    draft = here.draft("Hi", "video", [video])
    here.fault("upload", "drop_after")  # the announcement arrives, its answer does not
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    kept: list[dict[str, Any]] = []
    progress = Progress(progress.state, lambda state: kept.append(dict(state)))
    real = progress.keep

    def keep_and_break(**facts: Any) -> None:
        real(**facts)
        if len(kept) == 3:  # forgotten, announced, one piece
            here.fault("upload", "drop_after")

    progress.keep = keep_and_break  # type: ignore[method-assign]
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    here.asked.clear()
    here.deliver(draft, Progress(kept[-1]))
    assert lines(here)[:3] == [UPLOAD[1], UPLOAD[1], UPLOAD[2]], "the lost piece again, then the last one"
    assert hashes(here.posts()[0]) == [video.sha256]


def test_a_lost_end_of_an_upload_costs_another_upload_but_never_the_post(here: Place) -> None:
    photo = here.file()
    draft = here.draft("Hi", "image", [photo])
    kept: list[dict[str, Any]] = []
    progress = Progress(save=lambda state: kept.append(dict(state)))
    real = progress.keep

    def keep_and_break(**facts: Any) -> None:
        real(**facts)
        if facts["media"] and facts["media"]["0"].get("pieces") == 1:
            here.fault("upload", "drop_after")

    progress.keep = keep_and_break  # type: ignore[method-assign]
    with pytest.raises(TryLater):
        here.prepare(draft, progress)
    here.deliver(draft, Progress(kept[-1]))
    assert hashes(here.posts()[0]) == [photo.sha256] and len(here.uploads()) == 2


def test_media_a_day_old_are_uploaded_again(here: Place) -> None:
    photo, progress = here.file(alt_text="Bread"), Progress()
    draft = here.draft("Hi", "image", [photo])
    here.prepare(draft, progress)
    here.clock.forward(86_401)
    here.connect()
    here.deliver(draft, progress)
    [post] = here.posts()
    assert hashes(post) == [photo.sha256] and post["media"][0]["alt"] == "Bread" and len(here.uploads()) == 2


def test_a_video_that_x_cannot_read(here: Place, tmp_path: Any) -> None:
    video = here.file(VIDEO)
    video.path.write_bytes(b"\0" * video.size)
    with pytest.raises(ContentRejected, match="X could not process the file"):
        here.deliver(here.draft("Hi", "video", [video]))
    assert here.posts() == []


# ---------------------------------------------------------------- unknown outcomes


LOST: dict[str, Any] = {
    "text": lambda here: here.draft("Fresh bread https://example.com/a"),
    "picture without text": lambda here: here.draft("", "image", [here.file()]),
    "video": lambda here: here.draft("Look", "video", [here.file(VIDEO)]),
    "poll": lambda here: here.draft("Which?", "poll", poll=Poll("", ("Rye", "Wheat"), 60)),
    "entities": lambda here: here.draft("Salt & pepper <b>"),
}


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_is_found_and_not_sent_twice(here: Place, name: str, newer: bool) -> None:
    here.control("PATCH", f"/portal/api/apps/{here.app.client_id}", {"newer_names": newer})
    draft, progress = LOST[name](here), Progress()
    here.deliver(here.draft("Something older"))
    here.prepare(draft, progress)
    assert here.locate(draft, progress) is Located.NOT_FOUND
    sent_at = here.clock.now
    here.fault("publish", "drop_after")
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, draft, progress)
    here.clock.forward(10)
    found = here.locate(draft, progress, sent_at)
    assert isinstance(found, Published) and found.id == here.posts()[0]["id"] and len(here.posts()) == 2
    with pytest.raises(AlreadyPublished):
        here.deliver(draft, progress)


def test_every_part_of_a_chain_is_found(here: Place) -> None:
    ids = chain(here, *(here.draft(f"Part {number}") for number in range(4)))
    for number, post_id in enumerate(ids):
        draft = here.draft(f"Part {number}", part=number, reply_to=ids[number - 1] if number else "")
        found = here.locate(draft, sent_at=here.clock.now - timedelta(minutes=1))
        assert isinstance(found, Published) and found.id == post_id


def test_the_same_picture_in_another_post_is_not_ours(here: Place) -> None:
    photo, progress = here.file(), Progress()
    here.deliver(here.draft("", "image", [photo]))
    draft = here.draft("", "image", [photo])
    here.prepare(draft, progress)
    assert here.locate(draft, progress) is Located.NOT_FOUND


def test_a_post_that_never_arrived_is_not_found(here: Place) -> None:
    draft = here.draft("Hi")
    here.fault("publish", "drop")
    with pytest.raises(OutcomeUnknown):
        here.deliver(draft)
    assert here.locate(draft) is Located.NOT_FOUND and here.posts() == []


# ---------------------------------------------------------------- deleting, permissions, limits


def test_every_part_can_be_deleted_and_deleted_twice(here: Place) -> None:
    draft = here.draft("One")
    ids = chain(here, draft, here.draft("Two", "image", [here.file()]))
    for post_id in (*reversed(ids), ids[0]):
        here.delete(post_id, draft)
    assert here.posts() == []


def test_without_the_upload_scope_only_files_are_refused(playground: Playground) -> None:
    here = playground("twitter")
    here.connect(scopes=("tweet.read", "tweet.write", "users.read", "offline.access"))
    here.deliver(here.draft("Hi"))
    with pytest.raises(PermissionMissing) as caught:
        here.deliver(here.draft("Ho", "image", [here.file()]))
    assert caught.value.scopes == ("media.write",) and len(here.posts()) == 1


def test_a_subscription_publishes_and_finds_long_texts(playground: Playground) -> None:
    here = playground("twitter")
    profile = here.connect(PETRA).profile
    assert profile.kind == "X account with Premium"
    draft = here.draft("bread and butter " * 30)
    sent_at = here.clock.now
    here.deliver(draft)
    assert isinstance(here.locate(draft, sent_at=sent_at), Published)


def test_the_limit_of_a_day_stops_the_whole_app(here: Place) -> None:
    here.settings(quotas={"twitter": 1})
    here.deliver(here.draft("One"))
    with pytest.raises(RateLimited) as caught:
        here.deliver(here.draft("Two"))
    assert caught.value.whole_app and caught.value.until == here.clock.now + timedelta(days=1)
