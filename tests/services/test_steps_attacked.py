"""The steps of a delivery under attack: late answers, lost permissions, odd words of platforms, odd input of people.

Whatever happens, a post goes out once, to the profile it was meant for, and no delivery turns in a circle for ever.
"""

import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import requests
import responses
from sqlalchemy import event
from sqlalchemy.orm import Session

from socialconsole import (
    checks,
    decisions,
    deliveries,
    following,
    guarded,
    heartbeat,
    media,
    posts,
    publishing,
    tokens,
)
from socialconsole.database import writing
from socialconsole.drafts import Content, PartText
from socialconsole.errors import ContentRejected, NeedsReconnect, OutcomeUnknown, TryLater
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DISCONNECTED,
    FAILED,
    HELD,
    PAUSED,
    PROCESSING,
    PUBLISHED,
    SENT,
    UNCONFIRMED,
    Account,
    Delivery,
    Grant,
)
from socialconsole.providers import PROVIDERS, call
from socialconsole.providers.base import App, Published, TokenSet
from socialconsole.providers.content import Field, Located, Problem, Sent
from socialconsole.providers.refusals import Answer, Parsed


def now_is(delivery: Delivery) -> Delivery:
    db.session.expire_all()
    return db.session.get_one(Delivery, delivery.id)


def change(kind, row_id: str, **facts) -> None:
    with writing() as session:
        row = session.get_one(kind, row_id)
        for name, value in facts.items():
            setattr(row, name, value)


def ring(clock) -> list[str]:
    """What the heartbeat would ring for after some time."""
    found: list[str] = []
    clock.ahead(minutes=5)
    heartbeat.beat(clock(), lambda kind, ids: found.extend(ids))
    return found


@pytest.fixture
def chain(post, monkeypatch):
    """Makes posts of several parts, and with a first comment if one is given; both need a permission."""
    x = type(PROVIDERS["twitter"])
    monkeypatch.setattr(x, "most_parts", 25)
    monkeypatch.setattr(x, "chain_needs", ("media.write",))
    monkeypatch.setattr(x, "comment_needs", {"": ("media.write",)})

    def make(*parts: str, comment: str = "") -> Delivery:
        delivery = post(parts[0])
        with writing():
            found = db.session.get_one(Delivery, delivery.id)
            found.post.content = {"parts": [{"text": one, "media": []} for one in parts[1:]], "first_comment": comment}
        return delivery

    return make


LESS = ["tweet.read", "tweet.write", "users.read", "offline.access"]


class TestPermissionLostOnTheWay:
    def test_the_rest_of_a_chain_fails_in_words_and_can_be_tried_again(self, chain, platform, world, clock):
        delivery = chain("one", "two", "three")
        platform.says("publish", Published("1"), TryLater("Down."), Published("2"), Published("3"))
        publishing.deliver(delivery.id)
        change(Grant, "grt_1", scopes_granted=LESS)
        clock.ahead(minutes=5)
        publishing.deliver(delivery.id)
        broken = now_is(delivery)
        assert broken.state == FAILED and broken.note.startswith("Part 2 was not published: The profile has no")
        assert delivery.id not in ring(clock)
        change(Grant, "grt_1", scopes_granted=[*LESS, "media.write"])
        decisions.retry(broken, world.alice)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED
        assert [what[1] for step, what in platform.asked if step == "publish"] == ["one", "two", "two", "three"]

    def test_a_first_comment_never_makes_the_post_look_failed(self, chain, platform, clock):
        delivery = chain("one", comment="First")
        platform.says("publish", Published("1"), TryLater("Down."))
        publishing.deliver(delivery.id)
        change(Grant, "grt_1", scopes_granted=LESS)
        clock.ahead(minutes=5)
        publishing.deliver(delivery.id)
        done = now_is(delivery)
        assert done.state == PUBLISHED and done.warning.startswith("The post is out, its first comment is not: The pro")
        assert delivery.id not in ring(clock)

    def test_it_may_be_lost_while_a_part_is_out(self, chain, platform, clock):
        delivery = chain("one", "two", "three")

        def lose():
            change(Grant, "grt_1", scopes_granted=LESS)
            return Published("2")

        platform.says("publish", Published("1"), lose)
        publishing.deliver(delivery.id)
        assert [one["id"] for one in now_is(delivery).parts] == ["1", "2"]
        assert "of 0" not in now_is(delivery).note and delivery.id not in ring(clock)

    @pytest.mark.parametrize(("outcome", "state"), [(OutcomeUnknown("?"), UNCONFIRMED), (Sent("s"), SENT)])
    def test_an_open_part_waits_for_a_person(self, chain, platform, clock, outcome, state):
        delivery = chain("one", "two")
        platform.says("publish", Published("1"), outcome)
        publishing.deliver(delivery.id)
        change(Grant, "grt_1", scopes_granted=LESS)
        clock.ahead(minutes=5)
        publishing.deliver(delivery.id)
        assert (now_is(delivery).state, now_is(delivery).due_at) == (state, None)
        assert "has no permission any more" in now_is(delivery).note


@pytest.mark.parametrize(("outcome", "state"), [(OutcomeUnknown("?"), UNCONFIRMED), (Sent("s"), SENT)])
def test_a_file_that_is_gone_leaves_an_open_question_and_no_circle(post, platform, clock, outcome, state):
    delivery = post()
    platform.says("publish", outcome)
    publishing.deliver(delivery.id)
    with writing():
        now_is(delivery).post.content = {"media": ["med_gone"]}
    clock.ahead(minutes=5)
    publishing.deliver(delivery.id)
    assert (now_is(delivery).state, now_is(delivery).due_at) == (state, None)
    assert "A file of this post is no longer here" in now_is(delivery).note


class TestLateProof:
    """A worker stood still while it sent; its answer comes when the delivery is elsewhere."""

    def late(self, platform, clock, delivery, meanwhile, answer=None):
        def stall():
            clock.ahead(minutes=4)
            heartbeat.settle(clock(), lambda kind, ids: None)
            assert now_is(delivery).state == UNCONFIRMED
            meanwhile()
            return answer or Published("900")

        platform.says("publish", stall, Published("901"))
        publishing.deliver(delivery.id)

    def test_ends_a_second_sending_before_it_begins(self, post, platform, clock, world):
        delivery = post()
        self.late(platform, clock, delivery, lambda: decisions.publish_again(now_is(delivery), world.alice))
        publishing.deliver(delivery.id)
        assert (now_is(delivery).state, now_is(delivery).platform_post_id) == (PUBLISHED, "900")
        assert platform.times("publish") == 1

    def test_ends_a_second_worker_that_prepares(self, post, platform, world, monkeypatch):
        delivery, works, claim = post(), [], publishing._claim
        monkeypatch.setattr(publishing, "_claim", lambda *args: works.append(claim(*args)) or works[-1])
        platform.says("publish", OutcomeUnknown("?"), Published("901"))
        publishing.deliver(delivery.id)
        sent_at = now_is(delivery).sent_at
        decisions.publish_again(now_is(delivery), world.alice)
        platform.says("prepare", lambda draft, progress: publishing._finish(
            works[0], Published("900"), (), sent_at=sent_at) or progress.keep(x=1))
        publishing.deliver(delivery.id)
        assert (now_is(delivery).state, now_is(delivery).platform_post_id) == (PUBLISHED, "900")
        assert platform.times("publish") == 1

    @pytest.mark.parametrize("state", [HELD, FAILED, CANCELLED])
    def test_is_the_truth_whatever_a_person_or_the_account_did(self, post, platform, clock, state):
        delivery = post()
        self.late(platform, clock, delivery, lambda: change(Delivery, delivery.id, state=state, due_at=None))
        assert now_is(delivery).state == PUBLISHED

    def test_does_not_count_a_part_twice_that_was_found_meanwhile(self, chain, platform, clock):
        delivery = chain("one", "two")

        def found():
            platform.says("locate", Published("900"))
            clock.ahead(minutes=1)
            following.look(delivery.id)
            assert now_is(delivery).state == PROCESSING

        self.late(platform, clock, delivery, found)
        publishing.deliver(delivery.id)
        assert [one["id"] for one in now_is(delivery).parts] == ["900", "901"]
        assert [what[1] for step, what in platform.asked if step == "publish"] == ["one", "two"]


class TestStoppedInTheMiddleOfPreparing:
    @pytest.mark.parametrize("state", [PAUSED, DISCONNECTED])
    def test_a_profile_that_was_paused_or_disconnected_gets_nothing_any_more(self, post, platform, state):
        delivery = post()
        platform.says("prepare", lambda draft, progress: change(Account, "acc_1", state=state))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == HELD and not platform.times("publish")

    def test_a_platform_that_was_switched_off_gets_nothing_any_more(self, post, platform, account):
        delivery = post()
        platform.says("prepare", lambda draft, progress: change(type(account.grant.app), "app_x", is_on=False))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == HELD and not platform.times("publish")

    def test_what_was_uploaded_serves_when_it_goes_on(self, post, platform, clock):
        delivery, seen = post(), []

        def upload(draft, progress):
            progress.keep(session="s")
            change(Account, "acc_1", state=PAUSED)

        platform.says("prepare", upload, lambda draft, progress: seen.append(progress.get("session")))
        publishing.deliver(delivery.id)
        change(Account, "acc_1", state=ACTIVE)
        with writing():
            deliveries.release_account(db.session.get_one(Account, "acc_1"), clock())
        publishing.deliver(delivery.id)
        assert seen == ["s"] and now_is(delivery).state == PUBLISHED

    def test_a_long_upload_that_began_in_time_goes_out(self, post, platform, clock):
        delivery = post()

        def upload(draft, progress):
            for _ in range(100):
                clock.ahead(seconds=100)
                progress.alive()

        platform.says("prepare", upload)
        change(Grant, "grt_1", access_expires_at=None)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED


class TestParts:
    def test_each_part_has_its_own_tries(self, chain, platform, clock):
        delivery = chain("one", "two", "three")
        down = [TryLater("Down.")] * 4
        platform.says("publish", *down, Published("1"), *down, Published("2"), *down, Published("3"))
        for _ in range(20):
            clock.ahead(minutes=4)
            change(Delivery, delivery.id, scheduled_for=clock())
            tokens.refresh("grt_1")
            publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED and len(now_is(delivery).parts) == 3

    def test_a_long_chain_leaves_its_job_before_the_alarm(self, chain, platform, clock, monkeypatch):
        delivery = chain("one", "two", "three")
        monkeypatch.setattr(publishing, "LONGEST_RUN", -1.0)
        for parts in (1, 2, 3):
            publishing.deliver(delivery.id)
            assert len(now_is(delivery).parts) == parts
            assert parts == 3 or delivery.id in ring(clock)
        assert now_is(delivery).state == PUBLISHED

    def test_a_first_comment_waits_for_a_fresh_token(self, chain, platform, clock):
        delivery = chain("one", comment="First")
        platform.says("publish", Published("1"), NeedsReconnect("No longer accepted.", "401"), Published("2"))
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PROCESSING
        tokens.refresh("grt_1")
        clock.ahead(seconds=10)
        publishing.deliver(delivery.id)
        done = now_is(delivery)
        assert (done.state, done.warning, [one["id"] for one in done.parts]) == (PUBLISHED, "", ["1", "2"])

    def test_but_not_for_ever(self, chain, platform, clock):
        delivery = chain("one", comment="First")
        platform.says("publish", Published("1"), NeedsReconnect("No longer accepted.", "401"))
        publishing.deliver(delivery.id)
        tokens.refresh("grt_1")
        clock.ahead(seconds=10)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == PUBLISHED and "No longer accepted." in now_is(delivery).warning


class TestWordsLongerThanARow:
    """SQLite keeps them; PostgreSQL refuses the whole row, and with it the outcome."""

    def test_of_a_published_post(self, post, platform):
        delivery = post()
        platform.says("publish", Published("9" * 300, "https://x.com/" + "a" * 600))
        publishing.deliver(delivery.id)
        done = now_is(delivery)
        assert (done.state, done.platform_post_id, done.permalink) == (PUBLISHED, "9" * 200, "")
        assert done.parts[0]["id"] == "9" * 300

    def test_of_a_post_that_is_worked_on(self, post, platform):
        delivery = post()
        platform.says("publish", Sent("9" * 300, "https://x.com/" + "a" * 600))
        publishing.deliver(delivery.id)
        assert (len(now_is(delivery).platform_post_id), now_is(delivery).permalink) == (200, "")

    @pytest.mark.parametrize("step", ["prepare", "publish", "follow", "locate"])
    def test_of_a_refusal(self, post, platform, clock, step):
        delivery = post()
        platform.says("publish", {"follow": Sent("s"), "locate": OutcomeUnknown("?")}.get(step, Published("1")))
        platform.says(step, ContentRejected("No.", "c" * 300))
        publishing.deliver(delivery.id)
        clock.ahead(minutes=1)
        publishing.deliver(delivery.id)
        assert now_is(delivery).state == FAILED and len(now_is(delivery).error_code) == 80


@pytest.mark.parametrize("word", [Located.NOT_FOUND, Located.CANNOT_LOOK])
def test_what_proves_nothing_never_sends_an_accepted_post_again(post, platform, clock, word):
    delivery = post()
    platform.says("publish", Sent("s"))
    platform.says("follow", word)
    for _ in range(5):
        publishing.deliver(delivery.id)
        clock.ahead(minutes=40)
        tokens.refresh("grt_1")
    assert now_is(delivery).state == SENT and platform.times("publish") == 1


def test_rows_are_kept_from_others_while_they_are_decided_about(post, platform, world):
    """On a database with several writers, who reads a state and acts on it holds the row meanwhile."""
    if db.session.get_bind().dialect.name == "sqlite":
        pytest.skip("it has one writer at a time")
    delivery, locked = post(), []

    def note(state):
        if getattr(state.statement, "_for_update_arg", None) is not None:
            name = state.bind_mapper.class_.__name__ if state.bind_mapper else ""
            locked.append((name, state.statement._for_update_arg.skip_locked))

    event.listen(Session, "do_orm_execute", note)
    try:
        publishing.deliver(delivery.id)
        at_once = locked.copy()
        platform.says("prepare", None)
        publishing.deliver(post("step by step").id)
        by_steps = [name for name, is_skipping in locked[len(at_once):] if not is_skipping]
        sending = len(locked)
        decisions.cancel(post("other").post, world.alice)
    finally:
        event.remove(Session, "do_orm_execute", note)
    assert at_once == [("Delivery", True)], "who takes only what is free never waits for who waits for it"
    assert by_steps[0] == "Account", "who takes the account first never waits for who waits for it"
    assert len(by_steps) >= 2 and len(locked) > sending and {name for name, _ in locked} == {"Account", "Delivery"}


# ---------------------------------------------------------------- what people type


class TestOddInput:
    def write(self, world, account, text="Hello", nonce="n", content=None, **more):
        return posts.schedule(world.workspace, world.alice, content or Content(text), [account.id], when="now",
                              wall_time="", nonce=nonce, **more)

    def test_a_long_nonce_that_begins_like_another_is_another(self, world, account):
        start = "campaign-2026-11-weekly-newsletter-" * 3
        first, second = self.write(world, account, "One", start + "1"), self.write(world, account, "Two", start + "2")
        assert first.id != second.id and self.write(world, account, "One", start + "1").id == first.id

    def test_without_a_nonce_each_is_a_post(self, world, account):
        assert self.write(world, account, "One", "").id != self.write(world, account, "Two", "").id

    @pytest.mark.parametrize("typed", ["9999-12-31T23:59", "0001-01-01T00:00"])
    @pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo"])
    def test_the_ends_of_time_are_no_time_to_publish(self, world, account, clock, typed, zone):
        change(type(world.workspace), world.workspace.id, time_zone=zone)
        with pytest.raises(posts.Invalid) as caught:
            posts.wall_and_instant(typed, world.workspace, clock())
        assert set(caught.value.errors) == {"wall_time"}

    @pytest.mark.parametrize("typed", ["a+b", "+", "2026-12-24T18:00+", "9999-12-31T23:59", "9999-12-31T23:59-12:00",
                                       "0001-01-01T00:00+12:00", "soon", " "])
    def test_a_choice_of_time_that_is_none_is_refused_in_words(self, world, account, monkeypatch, typed):
        x = type(PROVIDERS["twitter"])
        monkeypatch.setattr(x, "fields", (*x.fields, Field("at", "At", "time")))
        choices = {account.id: checks.Choice(options={"at": typed})}
        (one,) = checks.check(world.workspace, Content("Hi"), [account], choices)
        assert one.typed["at"] is not None

    @pytest.mark.parametrize(("typed", "instant"), [
        ("2026-12-24T18:00", "2026-12-24T18:00:00+00:00"), ("2026-12-24T18:00-05:00", "2026-12-24T18:00-05:00"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00Z")])
    def test_a_time_that_names_its_offset_is_that_instant(self, world, account, monkeypatch, typed, instant):
        change(type(world.workspace), world.workspace.id, time_zone="UTC")
        x = type(PROVIDERS["twitter"])
        monkeypatch.setattr(x, "fields", (*x.fields, Field("at", "At", "time")))
        (one,) = checks.check(world.workspace, Content("Hi"), [account], {
            account.id: checks.Choice(options={"at": typed})})
        assert one.options["at"] == instant

    def test_a_word_that_looks_like_a_file_is_a_word(self, world, account, monkeypatch):
        x = type(PROVIDERS["twitter"])
        monkeypatch.setattr(x, "fields", (*x.fields, Field("title", "Title", "text")))
        (one,) = checks.check(world.workspace, Content("Hi"), [account], {
            account.id: checks.Choice(options={"title": "med_ieval bread"})})
        assert one.options["title"] == "med_ieval bread"

    def test_a_part_that_is_too_long_is_said_even_where_the_first_has_no_text(self, world, account, monkeypatch):
        checks = [SimpleNamespace(account=account, fields=(), problems=[Problem("text", "Part 2: too long.")])]
        content = Content("", media=("med_1",), parts=(PartText("x" * 999),))
        assert posts._errors(content, checks) == {"text": "Part 2: too long."}

    @pytest.mark.parametrize("address", ["http://[::1", "https://[", "http://a]b/", "", "https://x.example:99999/"])
    def test_an_address_that_is_none_is_refused_in_words(self, world, address):
        with pytest.raises(media.Refused):
            media.from_address(world.workspace, world.alice, address)


# ---------------------------------------------------------------- what platforms answer


LINKEDIN = PROVIDERS["linkedin"]


class TestAddressesInAnswers:
    """The library that dials and the one that checks must not see two hosts: a token would go to the wrong one."""

    app = App("id", "secret", hosts=LINKEDIN.base_addresses())

    @pytest.mark.parametrize("address", [
        r"https://evil.example\.linkedin.com/upload", "https://evil.example\\@www.linkedin.com/upload",
        "https://evil.example%2f.linkedin.com/", "https://evil.example\t.linkedin.com/", " https://www.linkedin.com/",
        "https://evil.example\u2100.linkedin.com/", "https://evil.example\uff0f.linkedin.com/", "https://[::1",
        "https://www.linkedin.com:99999/", "https://user@www.linkedin.com/", "https://www.linkedin.com/#x",
        "//www.linkedin.com/x", "file://www.linkedin.com/x", "https://www.linkedin.com/a\r\nb", ""])
    def test_an_odd_one_gets_neither_bytes_nor_token(self, address):
        with responses.RequestsMock() as mock, call.Call(
                self.app, "api", self.app.hosts["api"], "token", LINKEDIN, "prepare") as calls:
            with pytest.raises(TryLater):
                calls.upload("PUT", address, b"x")
            assert not mock.calls

    @pytest.mark.parametrize("address", [
        "https://www.linkedin.com/dms-uploads/sp/D4/0?ca=vector_ads&m=AQ~J%3D&app=1", "https://api.linkedin.com",
        "https://dms.licdn.com:443/up?x=a/b@c"])
    def test_a_plain_one_does(self, address):
        assert call.is_own_address(self.app, LINKEDIN, address)


@pytest.mark.parametrize("stated", ["Sat, 21 Nov 99999999999999999999 09:10:00 GMT", "1e400", "nan", "-inf",
                                    "Sat, 21 Nov 2026 09:10:00 +99999999999999"])
def test_a_wait_that_nobody_can_mean_is_an_unstated_one(clock, stated):
    until = call.stated_wait({"Retry-After": stated})
    assert clock() < until <= clock() + call.LONGEST_WAIT


def test_an_answer_nested_without_end_is_no_answer():
    answer = requests.Response()
    answer.status_code, answer._content = 200, b"[" * 200_000
    assert call._parsed(answer) == (False, None)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wall_on_the_way_of_an_upload_costs_a_try_and_not_the_post(status):
    error = call.refusal(status, {}, None, LINKEDIN, TestAddressesInAnswers.app, "prepare")
    assert type(error) is TryLater


def test_a_second_code_gives_nothing_away_either_and_is_short():
    token = "EAAB0123456789abcdefABCDEF"
    answer = Answer("X", "publish", 400, Parsed(("190",), f"{token} 12", ""), secrets=("Pa55w0rd",))
    assert token not in answer.code and len(answer.code) <= 80
    assert replace(answer, parsed=Parsed(("190",), "Pa55w0rd")).code == "190/…"
    assert len(replace(answer, parsed=Parsed(("c" * 99,), "s" * 99)).code) <= 80
    assert replace(answer, parsed=Parsed(("190",), "460")).code == "190/460"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{\"id\":",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n"], ids=["cut", "cut piece", "bad piece", "bad packing", "bad redirect", "no status"])
class TestAnswersThatBreakOff:
    """Not played by a mock: what breaks is read from a real connection."""

    @pytest.fixture
    def app(self, answer, monkeypatch):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield App("id", "secret", hosts=dict.fromkeys(LINKEDIN.hosts, f"http://127.0.0.1:{server.getsockname()[1]}"))
        thread.join(5)
        server.close()

    def test_of_a_post_are_an_open_question(self, app):
        with pytest.raises(OutcomeUnknown), LINKEDIN.call(app, "token", "publish") as calls:
            calls.post("/x", json={})

    def test_of_bytes_are_tried_again(self, app):
        sandbox = replace(app, hosts={**LINKEDIN.hosts, "web": f"{app.hosts['web']}/www.linkedin.com"})
        with pytest.raises(TryLater), LINKEDIN.call(sandbox, "token", "prepare") as calls:
            calls.upload("PUT", f"{app.hosts['web']}/www.linkedin.com/up", b"bytes", takes=(201,))

    def test_of_a_renewal_end_no_connection(self, app):
        with pytest.raises(TryLater):
            LINKEDIN.renew(app, TokenSet("access", "refresh"))


def test_a_server_that_drips_between_the_pieces_of_an_answer_is_left_in_time(monkeypatch):
    """The connection is to be closed after the answer, so that it lets go of its socket before the answer is read."""
    server, ends = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip():
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        try:
            while not ends.wait(0.02):
                connection.sendall(b"x")  # an extension of the piece's length, which may be 64 KB long
        except OSError:
            pass
        connection.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    monkeypatch.setitem(guarded.PORTS, "http", server.getsockname()[1])
    monkeypatch.setattr(guarded, "_resolve", lambda host, port: ["127.0.0.1"])
    threading.Timer(5, ends.set).start()
    began = datetime.now(UTC)
    try:
        with pytest.raises(guarded.Refused, match="took too long"):
            guarded.get("http://slow.example/", most_bytes=1000, seconds=0.3, networks=("127.0.0.0/8",))
        assert datetime.now(UTC) - began < timedelta(seconds=3)
    finally:
        ends.set()
        thread.join(5)
        server.close()
