"""The spool: an answer that the database could not take, or whose worker died, is never lost and never used wrongly."""

import hashlib
import os
import signal
import stat
import threading
import time
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from socialconsole import disconnections, heartbeat, spool, tokens
from socialconsole.database import writing
from socialconsole.errors import NeedsReconnect, OutcomeUnknown, PlatformError
from socialconsole.extensions import db
from socialconsole.journal import ENDING, SLOT, SLOTS, Frame, Journal, journal
from socialconsole.models import ACTIVE, DEAD, LIVE, PAUSED, RENEWING, TOKEN_EXPIRED, UNSURE, Account, AuditEvent, Grant
from socialconsole.providers.base import TokenSet
from socialconsole.providers.oauth2 import connectable
from socialconsole.vault import Vault

from .conftest import START, pair

KEYS = [hashlib.sha256(b"key").hexdigest()]


def grant() -> Grant:
    db.session.expire_all()
    return db.session.get_one(Grant, "grt_1")


def fresh() -> Account:
    db.session.expire_all()
    return db.session.get_one(Account, "acc_1")


def frame(number: int = 1, version: int = 1, fence: int = 1) -> Frame:
    return Frame(f"grt_{number}", version, fence, START, pair(number + 1))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def paper(folder):
    return Journal(folder, Vault(KEYS))


def files(folder):
    return sorted(path for path in folder.iterdir() if path.name.endswith(ENDING))


def dead(folder, *frames: Frame, vault: Vault | None = None) -> None:
    """A process writes these frames and is killed."""
    child = os.fork()
    if not child:
        try:
            writer = Journal(folder, vault or Vault(KEYS))
            for one in frames:
                writer.keep(one)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def left_behind(journal_: Journal) -> list[Frame]:
    found: list[Frame] = []
    for path in journal_.files():
        with journal_.abandoned(path) as frames:
            found += frames or []
    return found


# ---------------------------------------------------------------- the journal alone


class TestJournal:
    def test_what_a_killed_process_wrote_is_read_whole(self, paper, folder):
        dead(folder, frame(1), frame(2, version=7, fence=9))
        found = {one.grant_id: one for one in left_behind(paper)}
        assert found == {"grt_1": frame(1), "grt_2": frame(2, version=7, fence=9)}
        assert found["grt_2"].tokens == pair(3)

    def test_the_file_of_a_living_process_is_left_alone(self, paper, folder):
        paper.keep(frame())
        other = Journal(folder, Vault(KEYS))
        assert left_behind(other) == []
        assert other.newest("grt_1", 1) == frame(), "but what lies in it can be seen"

    def test_what_is_done_is_gone_from_the_disk(self, paper, folder):
        kept = [paper.keep(frame(number)) for number in range(3)]
        paper.done(kept[0])
        paper.done(kept[2])
        assert paper.waiting() == 1
        assert paper.count(files(folder)[0]) == 1
        paper.done(kept[1])
        paper.done(kept[1])
        assert paper.waiting() == 0 and not files(folder)[0].read_bytes().strip(b"\0")

    def test_a_torn_frame_is_left_out_and_the_others_are_read(self, paper, folder):
        dead(folder, frame(1), frame(2))
        path = files(folder)[0]
        data = bytearray(path.read_bytes())
        starts = [start for start in range(0, len(data), SLOT) if data[start : start + 8] != bytes(8)]
        size = int.from_bytes(data[starts[0] : starts[0] + 4], "big")
        for cut in (size + 7, size // 2, 9, 5):  # as far as the write came
            torn = data[:starts[0] + cut] + bytes(SLOT - cut) + data[starts[0] + SLOT:]
            path.write_bytes(torn)
            assert len(left_behind(paper)) == 1
        path.write_bytes(data[: starts[1] + 100])
        assert len(left_behind(paper)) <= 1

    def test_a_frame_moved_to_another_grant_version_or_claim_does_not_open(self, paper, folder):
        dead(folder, frame(1))
        path = files(folder)[0]
        for old, new in ((b'"grt_1"', b'"grt_2"'), (b", 1, 1,", b", 2, 1,"), (b", 1, 1,", b", 1, 2,")):
            data = path.read_bytes()
            start = next(at for at in range(0, len(data), SLOT) if data[at : at + 8] != bytes(8))
            size = int.from_bytes(data[start : start + 4], "big")
            body = data[start + 8 : start + 8 + size].replace(old, new, 1)
            assert body != data[start + 8 : start + 8 + size]
            forged = Journal(folder / "forged", Vault(KEYS))
            piece = size.to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body
            assert forged._unpacked(piece) is None

    def test_no_token_lies_in_plain_sight_and_nobody_else_may_read(self, paper, folder):
        paper.keep(frame())
        data = files(folder)[0].read_bytes()
        assert b"access-2" not in data and b"refresh-2" not in data
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(files(folder)[0].stat().st_mode) == 0o600

    def test_another_key_opens_nothing_and_breaks_nothing(self, paper, folder):
        dead(folder, frame(), vault=Vault([hashlib.sha256(b"other").hexdigest()]))
        assert left_behind(paper) == []

    def test_a_forked_child_writes_into_a_file_of_its_own(self, paper, folder):
        paper.keep(frame(1))
        child = os.fork()
        if not child:
            try:
                assert paper.waiting() == 0
                paper.keep(frame(2))
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        assert len(files(folder)) == 2
        assert [one.grant_id for one in left_behind(paper)] == ["grt_2"]
        assert paper.waiting() == 1

    def test_threads_share_their_syncs_and_no_frame_returns_unsynced(self, paper, monkeypatch):
        paper.is_ready()
        syncs, real = [], os.fdatasync

        def slow(file: int) -> None:
            syncs.append(paper._written)
            time.sleep(0.005)
            real(file)

        monkeypatch.setattr(os, "fdatasync", slow)
        seen: list[bool] = []

        def run(number: int) -> None:
            for turn in range(10):
                kept = paper.keep(frame(number, fence=turn))
                seen.append(paper._synced > 0)
                paper.done(kept)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 320 and all(seen) and paper.waiting() == 0
        assert len(syncs) < 100, "320 frames with a sync for each would be 320"

    def test_more_frames_at_once_than_slots_grow_the_file_and_are_read(self, paper, folder):
        dead(folder, *(frame(number) for number in range(2 * SLOTS)))
        assert len(left_behind(paper)) == 2 * SLOTS

    def test_a_full_disk_is_said_and_over_when_it_is_over(self, paper, monkeypatch):
        paper.is_ready()
        real = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            paper.keep(frame())
        assert not paper.is_ready() and "No space left" in paper.trouble and paper.waiting() == 0
        monkeypatch.setattr(os, "pwrite", real)
        assert paper.is_ready() and paper.trouble == ""
        paper.done(paper.keep(frame()))

    def test_a_failed_sync_hands_out_nothing(self, paper, monkeypatch):
        paper.is_ready()
        monkeypatch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input"):
            paper.keep(frame())
        assert paper.waiting() == 0 and not paper.is_ready() or paper.trouble == ""


# ---------------------------------------------------------------- with the console


def killed_after(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As good as kill -9 right after the frame was written: nothing later of this process happens."""
    real = Journal.keep

    def keep(self: Journal, one: Frame):
        real(self, one)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, step, keep)


def die(monkeypatch: pytest.MonkeyPatch, ground) -> None:
    """Renew, and die between the spool and the database."""
    with monkeypatch.context() as patch:
        killed_after("keep", patch)
        with pytest.raises(KeyboardInterrupt):
            tokens.refresh("grt_1")
    os.close(ground.extensions["journal"]._file)  # the kernel does this for a dead process, and its lock goes
    ground.extensions["journal"]._file = None
    del ground.extensions["journal"]
    db.session.rollback()


def settle(clock) -> None:
    spool.bring_in(clock())
    heartbeat.settle(clock(), lambda kind, ids: None)


def test_a_normal_renewal_leaves_nothing_behind(account, platform, clock):
    clock.ahead(minutes=96)
    tokens.refresh("grt_1")
    assert spool.waiting() == 0 and spool.trouble() == ""


def test_an_answer_whose_worker_died_before_the_commit_is_brought_in(account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    assert grant().state == RENEWING and spool.waiting() == 1
    assert spool.bring_in(clock()) == 1
    assert (grant().state, tokens.read(grant()).refresh_token) == (LIVE, "refresh-2")
    assert grant().access_expires_at == clock() + timedelta(hours=2)
    assert spool.bring_in(clock()) == 0 and spool.waiting() == 0


def test_the_lease_may_run_out_first_and_nothing_is_asked_twice(account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    clock.ahead(minutes=3)
    settle(clock)
    assert grant().state == LIVE
    tokens.refresh("grt_1")
    assert platform.times("renew") == 1


def test_settling_alone_does_not_declare_lost_what_lies_in_the_spool(account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    clock.ahead(minutes=3)
    with writing():
        tokens.settle(clock())
    assert grant().state == RENEWING
    clock.ahead(minutes=6)
    with writing():
        tokens.settle(clock())
    assert grant().state == UNSURE, "but not for ever"


def test_another_host_settled_it_and_the_next_try_uses_the_spool_instead_of_asking(
        account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    with writing():
        row = grant()
        row.state = row.reason = UNSURE
        row.lease_until, row.due_at = None, clock()
    tokens.refresh("grt_1")
    assert platform.times("renew") == 1
    assert tokens.read(grant()).refresh_token == "refresh-2"


def test_a_refusal_that_an_answer_in_the_spool_explains_is_no_death(account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    with writing():
        row = grant()
        row.state, row.lease_until, row.due_at = LIVE, None, clock()
    platform.says("renew", NeedsReconnect("X ended this connection.", "invalid_grant"))
    tokens.refresh("grt_1")
    assert platform.times("renew") == 2
    assert (grant().state, tokens.read(grant()).refresh_token, fresh().state) == (LIVE, "refresh-2", ACTIVE)


@pytest.mark.parametrize("was_paused", [False, True])
def test_a_grant_given_up_meanwhile_comes_back_to_life(
        account, platform, clock, ground, monkeypatch, world, was_paused, post):
    if was_paused:
        disconnections.pause(fresh(), world.alice)
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    with writing():
        row = grant()
        row.state = LIVE
        tokens._end_grant(row, "revoked", "An earlier renewal got no answer, and now …", clock())
    assert (grant().state, fresh().state) == (DEAD, TOKEN_EXPIRED)
    assert spool.bring_in(clock()) == 1
    assert (grant().state, fresh().state) == (LIVE, PAUSED if was_paused else ACTIVE)
    assert fresh().reason_text == ""
    assert "account.recovered" in set(db.session.scalars(select(AuditEvent.action)))


@pytest.mark.parametrize("reason", ["app_changed", "suspended", "password_changed"])
def test_a_grant_that_ended_for_another_reason_stays_dead(account, platform, clock, ground, monkeypatch, reason):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    with writing():
        row = grant()
        row.state = LIVE
        tokens._end_grant(row, reason, "…", clock())
    assert spool.bring_in(clock()) == 0
    assert (grant().state, spool.waiting()) == (DEAD, 0)


def test_an_older_pair_never_overwrites_a_newer_one(account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    with writing():
        tokens.store(grant(), pair(77), clock())  # as a reconnect does
    assert spool.bring_in(clock()) == 0
    assert tokens.read(grant()).refresh_token == "refresh-77" and spool.waiting() == 0


def test_after_a_disconnect_the_pair_in_the_spool_is_revoked_and_gone(
        account, platform, clock, ground, monkeypatch, world):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    disconnections.disconnect(fresh(), world.alice, cancel_posts=False)
    assert spool.bring_in(clock()) == 0
    assert ("revoke", "access-2") in platform.asked
    assert grant().access_sealed is None and spool.waiting() == 0


def test_a_later_try_under_way_is_not_disturbed(account, platform, clock, ground, monkeypatch):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    with writing():
        row = grant()
        row.fence, row.lease_until = row.fence + 1, clock() + tokens.LEASE
    assert spool.bring_in(clock()) == 0 and spool.waiting() == 1
    clock.ahead(minutes=3)
    assert spool.bring_in(clock()) == 1 and spool.waiting() == 0


def away(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.2) -> list[bool]:
    """The database does not take renewals while the list holds True."""
    state, real = [True], tokens._put

    def put(*args):
        if state[0]:
            raise OperationalError("COMMIT", None, Exception("the database is away"))
        real(*args)

    monkeypatch.setattr(tokens, "_put", put)
    monkeypatch.setattr(tokens, "INSIST_SECONDS", seconds)
    return state


def test_a_database_that_is_away_for_a_moment_costs_nothing(account, platform, clock, monkeypatch):
    clock.ahead(minutes=96)
    state, real = away(monkeypatch, 30), time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (state.__setitem__(0, False), real(0)))
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-2"
    assert platform.times("renew") == 1 and spool.waiting() == 0


def test_a_database_that_stays_away_gets_the_pair_from_the_spool_later(account, platform, clock, monkeypatch):
    clock.ahead(minutes=96)
    state = away(monkeypatch)
    with pytest.raises(OperationalError):
        tokens.refresh("grt_1")
    db.session.rollback()
    assert grant().state == RENEWING and spool.waiting() == 1
    with pytest.raises(OperationalError):
        spool.bring_in(clock())
    db.session.rollback()
    assert spool.waiting() == 1
    state[0] = False
    assert spool.bring_in(clock()) == 1
    assert tokens.read(grant()).refresh_token == "refresh-2"
    assert spool.waiting() == 0 and platform.times("renew") == 1


def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))


def test_without_a_spool_no_single_use_token_is_spent(account, platform, clock, monkeypatch, caplog):
    clock.ahead(minutes=96)
    with monkeypatch.context() as patch:
        unwritable(patch)
        tokens.refresh("grt_1")
        assert platform.times("renew") == 0 and "cannot be written" in spool.trouble()
        assert "cannot be written" in caplog.text
        assert (grant().state, grant().attempts) == (LIVE, 0)
    clock.ahead(minutes=2)
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-2" and spool.trouble() == ""


def test_without_a_spool_a_reusable_token_is_renewed_all_the_same(account, platform, clock, monkeypatch):
    monkeypatch.setattr(type(connectable("twitter")), "replay", "reusable")
    clock.ahead(minutes=96)
    unwritable(monkeypatch)
    tokens.refresh("grt_1")
    assert tokens.read(grant()).refresh_token == "refresh-2"


def test_an_answer_that_comes_late_while_a_later_try_runs_is_kept_until_that_fails(account, platform, clock):
    """A worker stood still longer than its lease: its answer is the only living pair if the next try is refused."""
    def slow():
        clock.ahead(minutes=3)
        heartbeat.settle(clock(), lambda kind, ids: None)
        with writing():
            row = grant()
            row.due_at = clock()
        platform.says("renew", OutcomeUnknown("X gave no answer.", "no_answer"))
        with writing():
            row = grant()
            row.state, row.fence, row.lease_until = RENEWING, row.fence + 1, clock() + tokens.LEASE
        return pair(2)

    clock.ahead(minutes=96)
    platform.says("renew", slow)
    tokens.refresh("grt_1")
    assert grant().state == RENEWING and spool.waiting() == 1
    clock.ahead(minutes=3)
    assert spool.bring_in(clock()) == 1
    assert tokens.read(grant()).refresh_token == "refresh-2"


def test_no_token_reaches_the_log(account, platform, clock, ground, monkeypatch, caplog):
    clock.ahead(minutes=96)
    die(monkeypatch, ground)
    spool.bring_in(clock())
    assert "refresh-2" not in caplog.text and "access-2" not in caplog.text
    assert "refresh-2" not in repr(frame())


def test_a_revoke_that_would_end_anothers_connection_is_not_made(account, platform, clock, ground, monkeypatch, world):
    from socialconsole.providers.base import Revoke
    monkeypatch.setattr(type(connectable("twitter")), "revoke_kind_of", lambda self, mode: Revoke.PERSON)
    with writing() as session:
        other = Grant(id="grt_2", workspace_id="wsp_2", platform="twitter", app_id="app_x", app_generation=1, fence=0,
                      version=0, person_id="42", granted_at=clock())
        tokens.store(other, pair(9), clock())
        session.add(other)
    tokens.give_back(Frame("grt_1", 1, 1, clock(), TokenSet("access-2")))
    assert platform.times("revoke") == 0
    with writing():
        tokens.erase(db.session.get_one(Grant, "grt_2"))
    tokens.give_back(Frame("grt_1", 1, 1, clock(), TokenSet("access-2")))
    assert platform.times("revoke") == 1


def test_a_platform_that_does_not_take_the_revoke_breaks_nothing(account, platform, clock):
    platform.says("revoke", PlatformError("No."))
    tokens.give_back(Frame("grt_1", 1, 1, clock(), TokenSet("access-2")))
    tokens.give_back(Frame("grt_0", 1, 1, clock(), TokenSet("access-2")))
    assert journal().waiting() == 0


def test_a_file_that_cannot_be_read_keeps_nobody_else_out(account, clock, monkeypatch):
    """A console that was once started as root leaves files that its own user cannot open."""

    def of(path, now):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return 1

    monkeypatch.setattr(spool, "_of", of)
    monkeypatch.setattr(type(spool.journal()), "files", lambda self: [Path("locked"), Path("mine")])
    assert spool.bring_in(clock()) == 1
