"""The daily reading of a profile, and the jobs that carry ids to the services."""

import pytest
import responses

from socialconsole import heartbeat, jobs, profile_sync, publishing, tokens
from socialconsole.database import writing
from socialconsole.errors import ConfigurationWrong, NeedsReconnect, TryLater
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, HELD, PUBLISHED, SCHEDULED, TOKEN_EXPIRED, Account, Delivery, PlatformApp
from socialconsole.providers.base import Profile

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64
PICTURE = "https://pbs.example.com/p.png"


@pytest.fixture
def due(account, clock):
    """@acme, its reading due."""
    with writing():
        account.sync_due_at = clock()
    return account


def fresh():
    db.session.expire_all()
    return db.session.get_one(Account, "acc_1")


@responses.activate
def test_name_handle_and_picture_are_taken_over_and_the_next_reading_is_tomorrow(due, platform, clock):
    responses.get(PICTURE, body=PNG, content_type="image/png")
    platform.says("profile", Profile("42", "acme2", "Acme & Sons", kind="X account", avatar_url=PICTURE))
    profile_sync.sync("acc_1")
    account = fresh()
    assert (account.username, account.display_name, account.avatar) == ("acme2", "Acme & Sons", PNG)
    assert account.last_synced_at == clock() and account.sync_due_at == clock() + profile_sync.EVERY


def test_a_reading_that_is_not_due_asks_nothing(account, platform):
    profile_sync.sync("acc_1")
    assert not platform.asked


def test_two_jobs_read_once(due, platform):
    profile_sync.sync("acc_1")
    profile_sync.sync("acc_1")
    assert platform.times("profile") == 1


def test_what_an_earlier_reading_knew_stays(due, platform):
    with writing():
        fresh().meta = {"tasks": ["MANAGE"], "category": "Bakery"}
    platform.says("profile", Profile("42", "acme", "Acme", meta={"category": "Café"}))
    profile_sync.sync("acc_1")
    assert fresh().meta == {"tasks": ["MANAGE"], "category": "Café"}


@pytest.mark.parametrize(("trouble", "pause"), [
    (TryLater("X cannot be reached."), profile_sync.AFTER_TROUBLE),
    (ConfigurationWrong("The secret is wrong."), profile_sync.PROBE_AFTER),
])
def test_trouble_leaves_the_account_active_and_is_tried_again(due, platform, clock, trouble, pause):
    platform.says("profile", trouble)
    profile_sync.sync("acc_1")
    assert fresh().state == ACTIVE and fresh().sync_due_at == clock() + pause


def test_a_reading_that_works_again_ends_the_trouble_and_releases_what_waited(due, platform, clock, post):
    delivery = post()
    platform.says("publish", ConfigurationWrong("The X app has no credits left.", "credits"))
    publishing.deliver(delivery.id)
    db.session.expire_all()
    assert db.session.get_one(Delivery, delivery.id).state == HELD
    clock.ahead(minutes=15)
    profile_sync.sync("acc_1")
    db.session.expire_all()
    assert db.session.get_one(PlatformApp, "app_x").trouble == ""
    assert db.session.get_one(Delivery, delivery.id).state == SCHEDULED


def test_a_platform_that_refuses_the_app_is_flagged(due, platform, world):
    platform.says("profile", ConfigurationWrong("The secret is wrong."))
    profile_sync.sync("acc_1")
    assert db.session.get_one(PlatformApp, "app_x").trouble == "The secret is wrong."


def test_a_refused_token_is_renewed_first_and_only_then_the_account_ends(due, platform, clock):
    platform.says("profile", NeedsReconnect("X no longer accepts this connection.", "401"))
    profile_sync.sync("acc_1")
    assert fresh().state == ACTIVE
    tokens.refresh("grt_1")
    clock.ahead(seconds=20)
    profile_sync.sync("acc_1")
    assert fresh().state == TOKEN_EXPIRED and "no longer accepts" in fresh().reason_text


class TestPictures:
    """Addresses that a platform's answer hands us."""

    @pytest.mark.parametrize("address", [
        "http://pbs.example.com/p.png", "https://127.0.0.1/p.png", "https://[::1]/p.png", "https://10.0.0.1/p.png",
        "https://localhost/p.png", "https://metadata.internal/p", "https://user@pbs.example.com/p.png", "file:///etc/passwd",
        "", "https://printer.local/p.png", "https://127.1/p.png", "https://0x7f.1/p.png", "https://127.0.0.1./p.png",
        "https://metadata.google.internal./p", "https://2130706433/p.png",
    ])
    def test_only_https_on_a_public_name_is_fetched(self, address):
        with responses.RequestsMock():
            assert profile_sync.fetch_picture(address, None) is None

    def test_a_sandbox_account_takes_pictures_from_the_sandbox_only(self):
        with responses.RequestsMock() as mock:
            assert profile_sync.fetch_picture(PICTURE, "http://localhost:8100") is None
            mock.get("http://localhost:8100/p.png", body=PNG, content_type="image/png")
            fetched = profile_sync.fetch_picture("http://localhost:8100/p.png", "http://localhost:8100")
            assert fetched == (PNG, "image/png")

    @pytest.mark.parametrize(("kind", "body", "status"), [
        ("text/html", b"<script>", 200), ("image/svg+xml", b"<svg/>", 200), ("image/png", b"", 200),
        ("image/png", b"0" * (profile_sync.LARGEST_PICTURE + 1), 200), ("image/png", PNG, 404), ("image/png", PNG, 302),
    ])
    @responses.activate
    def test_what_is_no_small_picture_is_left(self, kind, body, status):
        responses.get(PICTURE, body=body, content_type=kind, status=status)
        assert profile_sync.fetch_picture(PICTURE, None) is None


class TestJobs:
    """Ids in, one service call each."""

    @pytest.fixture(autouse=True)
    def at_work(self, ground):
        jobs.use_app(ground)

    def test_one_row_that_breaks_does_not_stop_the_batch(self, post, platform, monkeypatch):
        rows = [post(f"Post {number}").id for number in range(6)]
        real = publishing._claim

        def claim(delivery_id, *times):
            if delivery_id == rows[2]:
                raise ZeroDivisionError
            return real(delivery_id, *times)

        monkeypatch.setattr(publishing, "_claim", claim)
        jobs.deliver(rows)
        db.session.expire_all()
        states = [db.session.get_one(Delivery, row).state for row in rows]
        assert states.count(PUBLISHED) == 5 and states[2] != PUBLISHED

    def test_an_id_that_is_gone_is_no_trouble(self, account):
        for job in (jobs.deliver, jobs.refresh, jobs.sync, jobs.tidy):
            job(["nothing_1"])

    def test_nothing_is_rung_early(self, post, clock):
        post(seconds=1)
        rung = []
        heartbeat.beat(clock(), lambda kind, ids: rung.append(kind))
        assert "deliver" not in rung
        clock.ahead(seconds=1)
        heartbeat.beat(clock(), lambda kind, ids: rung.append(kind))
        assert "deliver" in rung
