"""YouTube end to end: the real provider in front of the real sandbox, every byte and every choice looked at."""

import resource
import threading
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from socialconsole.errors import ContentRejected, NeedsReconnect, OutcomeUnknown, RateLimited, TryLater
from socialconsole.providers import connectable
from socialconsole.providers.base import App, Draft
from socialconsole.providers.content import File, Located, Progress, Sent
from socialconsole.providers.rules import problems
from socialconsole.providers.youtube_media import CHUNK

CHOICES = {"title": "Fresh bread", "privacy": "unlisted", "made_for_kids": "no", "synthetic": "no"}
BIG = 2 * CHUNK + 12_345


def draft(here, size=BIG, text="Straight from the oven", format="video", options=None, **facts):
    video = here.file(kind="video", size=size)
    return here.draft(text, format, [video], options={**CHOICES, **(options or {})}, **facts)


def lines(here):
    return [(one.line, one.headers.get("Content-Range", ""), one.status) for one in here.asked]


@pytest.fixture
def here(playground):
    place = playground("youtube")
    place.connect()
    place.asked.clear()
    return place


def test_a_video_arrives_with_every_byte_and_choice(here):
    wanted = draft(here, options={"tags": "bread, rye flour", "category": "26", "license": "creativeCommon",
                                  "notify_subscribers": "no", "embeddable": "no"})
    assert not problems(here.provider, wanted, "", count=here.provider.count)
    done = here.deliver(wanted)
    (post,) = here.posts()
    assert done.id == post["id"] and done.permalink == f"http://localhost:9999/www.youtube.com/watch?v={post['id']}"
    assert not done.note
    assert post["text"] == "Straight from the oven"
    assert post["media"][0]["sha256"] == wanted.file.sha256 and post["media"][0]["size"] == BIG
    facts = post["facts"]
    assert (facts["title"], facts["tags"], facts["category"]) == ("Fresh bread", ["bread", "rye flour"], "26")
    assert (facts["privacy"], facts["license"], facts["embeddable"], facts["notify"]) == (
        "unlisted", "creativeCommon", False, False)
    assert (facts["made_for_kids"], facts["synthetic"]) == (False, False)


def test_only_the_last_chunk_publishes(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    session, upload = (f"{method} www.googleapis.com/upload/youtube/v3/videos" for method in ("POST", "PUT"))
    assert lines(here) == [(session, "", 200), (upload, f"bytes 0-{CHUNK - 1}/{BIG}", 308),
                           (upload, f"bytes {CHUNK}-{2 * CHUNK - 1}/{BIG}", 308)]
    assert not here.posts()
    here.asked.clear()
    sent = here.provider.publish(here.app, here.account.token, wanted, progress)
    assert lines(here) == [(upload, f"bytes {2 * CHUNK}-{BIG - 1}/{BIG}", 201)]
    assert isinstance(sent, Sent) and here.posts()[0]["id"] == sent.id


def test_a_short_is_the_same_upload(here):
    wanted = draft(here, size=40_000, format="short", options={"privacy": "private", "made_for_kids": "yes"})
    upright = replace(wanted, files=(replace(wanted.file, width=1080, height=1920, seconds=30.0),))
    assert not problems(here.provider, upright, "", count=here.provider.count)
    assert here.deliver(upright).id == here.posts()[0]["id"]
    assert here.posts()[0]["facts"]["made_for_kids"] is True


def test_youtube_may_publish_a_private_video_by_itself(here):
    here.deliver(draft(here, 9_000, options={"privacy": "private", "publish_at": "2026-12-24T18:00+01:00"}))
    assert here.posts()[0]["facts"]["publish_at"] == "2026-12-24T17:00:00Z"


def test_an_upload_goes_on_where_it_broke(here):
    wanted, progress = draft(here, 4 * CHUNK), Progress()
    here.fault("upload", "drop_after", times=1)  # the session is open, its answer lost: nothing to go on with
    with pytest.raises(TryLater):
        here.prepare(wanted, progress)
    saved = []
    progress = Progress(save=saved.append)
    cut = here.door.send

    def send(adapter, request, **options):
        if request.headers.get("Content-Range", "").startswith(f"bytes {CHUNK}-") and not cut_once:
            cut_once.append(True)
            here.fault("upload", "drop_after", times=1)
        return cut(adapter, request, **options)

    cut_once = []
    here.door.send = send
    with pytest.raises(TryLater):
        here.prepare(wanted, progress)
    here.asked.clear()
    done = here.deliver(wanted, Progress(saved[-1]))  # another worker, from what was kept
    sent = [spans for _, spans, _ in lines(here) if spans]
    assert sent == [f"bytes */{4 * CHUNK}", f"bytes {2 * CHUNK}-{3 * CHUNK - 1}/{4 * CHUNK}",
                    f"bytes {3 * CHUNK}-{4 * CHUNK - 1}/{4 * CHUNK}"]
    assert here.posts()[0]["media"][0]["sha256"] == wanted.file.sha256 and done.id == here.posts()[0]["id"]


def test_a_lost_answer_is_found_by_asking_the_session(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.fault("publish", "drop_after")
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, wanted, progress)
    found = here.locate(wanted, progress)
    assert isinstance(found, Sent) and found.id == here.posts()[0]["id"]
    # Even a second try of the whole makes no second video.
    assert here.deliver(wanted, progress).id == found.id and len(here.posts()) == 1


def test_a_last_chunk_that_never_arrived_may_be_sent_again(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.fault("publish", "drop")
    with pytest.raises(OutcomeUnknown):
        here.provider.publish(here.app, here.account.token, wanted, progress)
    assert here.locate(wanted, progress) is Located.NOT_PUBLISHED
    here.deliver(wanted, progress)
    assert len(here.posts()) == 1


def test_a_session_that_is_gone_proves_nothing_and_is_made_anew(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.clock.forward(8 * 86_400)
    here.connect()
    assert here.locate(wanted, progress) is here.locate(wanted, progress) is Located.NOT_FOUND
    with pytest.raises(TryLater):
        here.provider.publish(here.app, here.account.token, wanted, progress)
    here.deliver(wanted, progress)
    assert len(here.posts()) == 1


def test_another_title_needs_another_session(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.deliver(replace(wanted, options={**CHOICES, "title": "Rye bread"}), progress)
    assert [post["facts"]["title"] for post in here.posts()] == ["Rye bread"]


def test_the_pauses_between_questions_grow(here):
    here.settings(processing_polls=8)
    wanted, progress = draft(here, 9_000), Progress()
    here.prepare(wanted, progress)
    sent, pauses = here.provider.publish(here.app, here.account.token, wanted, progress), []
    while isinstance(sent, Sent):
        pauses.append(sent.again_in.total_seconds())
        # The engine keeps id and permalink only.
        sent = here.provider.follow(here.app, here.account.token, wanted, progress, Sent(sent.id, sent.permalink))
    assert pauses == [15, 30, 60, 120, 240, 300, 300, 300, 300]


def test_a_thumbnail_follows_the_processing(here):
    cover = here.file(size=30_000)
    here.deliver(draft(here, 9_000, extra_files={"thumbnail": cover}))
    assert here.posts()[0]["facts"]["thumbnail"] == {"sha256": cover.sha256, "size": cover.size, "mime": "image/jpeg"}
    assert [line for line, _, _ in lines(here)][-2:] == ["GET www.googleapis.com/youtube/v3/videos",
                                                         "POST www.googleapis.com/upload/youtube/v3/thumbnails/set"]


def test_a_thumbnail_that_is_refused_fails_nothing(here):
    here.connect("rosa-kim-travel")
    done = here.deliver(draft(here, 9_000, extra_files={"thumbnail": here.file()}))
    assert done.note.startswith("The video is online, but its thumbnail differs") and "youtube.com/verify" in done.note


def test_a_thumbnail_is_tried_again_a_few_times(here):
    here.fault("thumbnail", "500", times=2)
    assert not here.deliver(draft(here, 9_000, extra_files={"thumbnail": here.file()})).note
    here.fault("thumbnail", "500", times=3)
    assert "thumbnail differs" in here.deliver(draft(here, 9_100, extra_files={"thumbnail": here.file()})).note


def test_another_visibility_than_asked_for_is_told(here):
    done = here.deliver(draft(here, 9_000, options={"title": "sandbox-private", "privacy": "public"}))
    assert done.note == "The video is online, but as private and not as public. Open it in YouTube Studio."


@pytest.mark.parametrize(("title", "sentence"), [
    ("sandbox-fail-codec", "YouTube cannot read this video: its encoding is not supported."),
    ("sandbox-reject-copyright", "YouTube took the video down: it infringes a copyright.")])
def test_a_video_that_comes_to_nothing(here, title, sentence):
    wanted, progress = draft(here, 9_000, options={"title": title}), Progress()
    with pytest.raises(ContentRejected) as caught:
        here.deliver(wanted, progress)
    assert caught.value.message == sentence and caught.value.field == "video"
    assert not progress.get("session") and not progress.get("video"), "a new try needs a new upload"


def test_the_bucket_of_uploads_is_full_until_midnight_in_los_angeles(here):
    here.settings(quotas={"youtube": 0})
    with pytest.raises(RateLimited) as caught:
        here.deliver(draft(here, 9_000))
    assert caught.value.whole_app and caught.value.until.isoformat() == "2026-11-22T08:00:00+00:00"
    here.clock.forward((caught.value.until - here.clock.now).total_seconds())
    here.settings(quotas={"youtube": 1})
    here.connect()
    here.deliver(draft(here, 9_000))


def test_a_channel_has_a_limit_of_its_own(playground):
    here = playground("youtube", channel_uploads=1)
    here.deliver(draft(here, 9_000))
    with pytest.raises(RateLimited) as caught:
        here.deliver(draft(here, 9_100))
    assert not caught.value.whole_app and caught.value.until - here.clock.now == timedelta(hours=24)


def test_a_delegate_may_not_upload(here):
    here.connect("dana-helper")
    with pytest.raises(NeedsReconnect) as caught:
        here.deliver(draft(here, 9_000))
    assert caught.value.message.startswith("This sign-in may not upload to the channel.")


def test_a_token_that_ran_out_midway_keeps_the_session(here):
    wanted, progress = draft(here), Progress()
    here.prepare(wanted, progress)
    here.clock.forward(3_700)
    with pytest.raises(NeedsReconnect):
        here.provider.publish(here.app, here.account.token, wanted, progress)
    fresh = here.provider.renew(here.app, here.account.consent.tokens)
    here.account.token = fresh.access_token
    here.asked.clear()
    here.deliver(wanted, progress)
    assert here.asked[0].headers["Content-Range"] == f"bytes */{BIG}" and len(here.posts()) == 1


def test_deleting_removes_it_and_twice_is_fine(here):
    wanted = draft(here, 9_000)
    done = here.deliver(wanted)
    here.delete(done.id, wanted)
    here.delete(done.id, wanted)
    assert not here.posts()


# ---------------------------------------------------------------- connect


def test_two_channels_of_one_person_are_two_permissions(playground):
    here = playground("youtube")
    bakes, travels, brand = (here.consent(one) for one in ("rosa-kim", "rosa-kim-travel", "acme-cycles"))
    assert bakes.person_id == travels.person_id != brand.person_id
    assert len({(one.person_id, one.profile_id) for one in (bakes, travels, brand)}) == 3
    assert [one.profiles[0].platform_user_id for one in (bakes, travels)] == [
        "UCrosaBakes0000000000001", "UCrosaTravels00000000002"]


def test_revoking_takes_every_channel_of_the_person(playground):
    here = playground("youtube")
    bakes, travels, brand = (here.consent(one) for one in ("rosa-kim", "rosa-kim-travel", "acme-cycles"))
    here.provider.revoke(here.app, bakes.tokens, bakes.person_id)
    here.provider.revoke(here.app, bakes.tokens, bakes.person_id)
    with pytest.raises(NeedsReconnect):
        here.provider.renew(here.app, travels.tokens)
    assert here.provider.renew(here.app, brand.tokens).refresh_token == brand.tokens.refresh_token


def test_an_app_in_testing_says_until_when(playground):
    here = playground("youtube", testing=True)
    account = here.connect()
    assert account.profile.meta["ends_on"] == "2026-11-28" and not account.profile.problem
    assert "ends on 28 November 2026" in account.profile.meta["notice"]
    here.clock.forward(8 * 86_400)
    here.app = replace(here.app, options={"consent_status": "Testing"})
    with pytest.raises(NeedsReconnect) as caught:
        here.provider.renew(here.app, account.consent.tokens)
    assert caught.value.reason == "expired" and caught.value.who == "admin"


# ---------------------------------------------------------------- memory

SIZE = 1024**3
MOST_GROWTH = 64 * 1024


def resident() -> int:
    """Kilobytes of this process in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Sink(BaseHTTPRequestHandler):
    """A server that takes bytes, counts them and forgets them."""

    protocol_version = "HTTP/1.1"
    taken = 0
    highest = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        host = self.headers["Host"]
        self._say(200, {"Location": f"http://{host}/www.googleapis.com/upload/youtube/v3/videos?upload_id=1"})

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 1024 * 1024)))
        type(self).highest = max(type(self).highest, resident())
        last, total = (int(one) for one in self.headers["Content-Range"].rpartition("-")[2].split("/"))
        type(self).taken = last + 1
        if last + 1 == total:
            self._say(201, {}, b'{"kind": "youtube#video", "id": "vid12345678"}')
        else:
            self._say(308, {"Range": f"bytes=0-{last}"})

    def _say(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Say nothing."""


def test_a_large_video_goes_through_without_being_held(tmp_path):
    path = tmp_path / "large.mp4"
    with path.open("wb") as stream:
        stream.truncate(SIZE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        provider = connectable("youtube")
        hosts = provider.base_addresses(f"http://127.0.0.1:{server.server_address[1]}")
        app = App("1.apps.googleusercontent.com", "secret", hosts=hosts)
        video = File("med_1", "video", "video/mp4", SIZE, path, "large.mp4")
        wanted, progress = Draft("", "UC1", format="video", files=(video,), options=CHOICES), Progress()
        before = resident()
        provider.prepare(app, "token", wanted, progress)
        sent = provider.publish(app, "token", wanted, progress)
    finally:
        server.shutdown()
        server.server_close()
    assert sent.id == "vid12345678" and Sink.taken == SIZE
    assert Sink.highest - before < MOST_GROWTH
