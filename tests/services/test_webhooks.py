"""Webhooks: endpoints and their secrets, signatures, and that an event is written once and only where it is wanted."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from werkzeug.exceptions import NotFound

from socialconsole import outside, webhooks
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import AuditEvent, Workspace
from socialconsole.models_api import WebhookDelivery, WebhookEndpoint, WebhookEvent
from socialconsole.webhooks import Fact

from .conftest import Clock, World

URL = "https://hooks.example.com/in?token=canary-of-receiver"


def make(world: World, clock: Clock, *events: str) -> tuple[WebhookEndpoint, str]:
    return webhooks.create(world.workspace, world.alice, URL, events or ("post.published",), "Ours", clock())


def rows() -> tuple[list[WebhookEvent], list[WebhookDelivery]]:
    found = list(db.session.scalars(select(WebhookEvent))), list(db.session.scalars(select(WebhookDelivery)))
    db.session.commit()
    return found


class TestEndpoints:
    def test_the_secret_is_told_once_and_kept_sealed(self, world: World, clock: Clock) -> None:
        endpoint, secret = make(world, clock)
        assert secret.startswith("whsec_") and secret.encode() not in (endpoint.secret_sealed or b"")
        told = [f"{one.summary} {one.detail}" for one in db.session.scalars(select(AuditEvent))]
        assert told and not any(secret in one or "canary-of-receiver" in one for one in told)

    @pytest.mark.parametrize("url", ["", "hooks.example.com", "ftp://example.com/", "https://", "https://a b/",
                                     "https://me:pass@example.com/", "https://[::1", "https://x:99999/", "https://x:0/"])
    def test_what_is_no_address_is_refused_beside_its_field(self, world: World, clock: Clock, url: str) -> None:
        with pytest.raises(webhooks.Invalid) as refusal:
            webhooks.create(world.workspace, world.alice, url, ["post.published"], "", clock())
        assert set(refusal.value.errors) == {"url"}

    @pytest.mark.parametrize("events", [[], ["post.unknown"], ["ping"]])
    def test_only_known_events_can_be_chosen(self, world: World, clock: Clock, events: list[str]) -> None:
        with pytest.raises(webhooks.Invalid) as refusal:
            webhooks.create(world.workspace, world.alice, URL, events, "", clock())
        assert set(refusal.value.errors) == {"events"}

    def test_an_endpoint_of_another_workspace_is_not_there(self, world: World, clock: Clock) -> None:
        endpoint, _ = make(world, clock)
        with pytest.raises(NotFound):
            webhooks.one(Workspace(id="wsp_other"), endpoint.id)
        assert webhooks.one(world.workspace, endpoint.id) is endpoint

    def test_disabling_and_enabling_count_once(self, world: World, clock: Clock) -> None:
        endpoint, _ = make(world, clock)
        assert webhooks.disable(endpoint, "Nobody listens.", clock())
        assert not webhooks.disable(endpoint, "Again.", clock())
        assert endpoint.disabled_why == "Nobody listens."
        assert webhooks.enable(endpoint) and not webhooks.enable(endpoint) and endpoint.disabled_at is None

    def test_deleting_takes_the_log_along(self, world: World, clock: Clock) -> None:
        endpoint, _ = make(world, clock)
        with writing():
            webhooks.tell(world.workspace.id, "post.published", {"postId": "post_1"})
        webhooks.delete(endpoint)
        assert webhooks.listed(world.workspace) == [] and rows()[1] == []


class TestSigning:
    def test_after_a_rotation_both_secrets_sign_for_a_day(self, world: World, clock: Clock) -> None:
        endpoint, old = make(world, clock)
        new = webhooks.rotate(endpoint, clock())
        now = outside.now().replace(microsecond=0)
        signed = webhooks.headers(endpoint, "whe_1", '{"a":1}', now)
        assert len(signed["webhook-signature"].split()) == 2
        for secret in (old, new):
            expected = Webhook(secret).sign("whe_1", now, '{"a":1}')
            assert expected in signed["webhook-signature"].split()
        later = webhooks.headers(endpoint, "whe_1", '{"a":1}', now + timedelta(hours=25))
        assert len(later["webhook-signature"].split()) == 1
        assert Webhook(new).sign("whe_1", now + timedelta(hours=25), '{"a":1}') == later["webhook-signature"]

    def test_the_packages_own_verifier_takes_it_and_refuses_a_forgery(
            self, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        endpoint, secret = make(world, clock)
        real = datetime.now(UTC)
        signed = webhooks.headers(endpoint, "whe_1", '{"a":1}', real)
        assert Webhook(secret).verify('{"a":1}', signed) == {"a": 1}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify('{"a":2}', signed)
        with pytest.raises(WebhookVerificationError):  # replayed later
            Webhook(secret).verify('{"a":1}', webhooks.headers(endpoint, "whe_1", '{"a":1}',
                                                               real - timedelta(minutes=6)))


class TestTelling:
    def test_one_event_for_all_endpoints_that_chose_it(self, world: World, clock: Clock) -> None:
        first, _ = make(world, clock, "post.published", "post.failed")
        second, _ = make(world, clock, "post.published")
        make(world, clock, "account.connected")
        with writing():
            webhooks.tell(world.workspace.id, "post.published", {"postId": "post_1"})
        events, deliveries = rows()
        assert [one.kind for one in events] == ["post.published"]
        assert {one.endpoint_id for one in deliveries} == {first.id, second.id}
        assert events[0].payload["data"] == {"workspaceId": "ws_1", "postId": "post_1"}
        assert events[0].payload["timestamp"].endswith("Z")

    def test_nothing_is_written_where_nobody_asked(self, world: World, clock: Clock) -> None:
        endpoint, _ = make(world, clock, "account.connected")
        with writing():
            webhooks.tell(world.workspace.id, "post.published", {})
        webhooks.disable(endpoint, "Enough.", clock())
        with writing():
            webhooks.tell(world.workspace.id, "account.connected", {})
        assert rows() == ([], [])

    def test_a_fact_is_told_once(self, world: World, clock: Clock) -> None:
        make(world, clock, "account.expiring")
        fact = Fact(world.workspace.id, "account.expiring", {}, "account.expiring:acc_1:7")
        for _ in range(2):
            with writing():
                webhooks.tell_many([fact, fact])
        assert [len(some) for some in rows()] == [1, 1]

    def test_what_is_undone_is_not_told(self, world: World, clock: Clock) -> None:
        make(world, clock)
        with pytest.raises(RuntimeError), writing():
            webhooks.tell(world.workspace.id, "post.published", {})
            raise RuntimeError
        assert rows() == ([], [])

    def test_without_endpoints_a_second_costs_one_look(self, world: World, clock: Clock,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhooks, "LOOK_EVERY", 3600.0)
        asked: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *what: asked.append(what[2]))
        for _ in range(5):
            with writing():
                webhooks.tell_many([Fact(world.workspace.id, "post.published", {})] * 20)
        assert len([one for one in asked if "webhook" in one]) == 1
