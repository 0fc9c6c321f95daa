"""What goes wrong in a console, laid into the furnished one: alerts, timelines, links to connect, a lost address."""

from datetime import timedelta
from typing import Any

from socialconsole import address_check, alerts, connect_links, incidents, outside, recordings
from socialconsole.address_check import Result, Row
from socialconsole.address_seen import DIFFERS, Finding, Seen
from socialconsole.database import writing
from socialconsole.models import (
    FINISHED,
    Account,
    ConnectionAttempt,
    Delivery,
    Grant,
    Incident,
    Recording,
    User,
    Workspace,
    new_id,
)
from socialconsole.recorder import CONNECT, PUBLISH, RENEW
from tests.browser.stage import A_WORD_WITHOUT_END, Stage
from tests.running import until

NOTE = "Hello Mara, since you changed your password our Friday posts wait. Could you connect the profile again?"
LONG_ADDRESS = "someone.with.a.rather.long.address@a-long-company-name.example.com"
REFUSED: list[dict[str, Any]] = [
    {"at": 0, "page": "x.com/i/oauth2/authorize", "query": ["client_id", "code_challenge", "redirect_uri", "scope",
                                                            "state"]},
    {"at": 2, "note": "Scopes asked for", "values": ["tweet.read", "tweet.write", "users.read", "offline.access"]},
    {"at": 64_000, "note": "The platform sent the person back with", "values": ["code", "state"]},
    {"at": 64_100, "call": "POST api.x.com/2/oauth2/token", "status": 401, "ms": 240, "size": 108, "form": "JSON",
     "sent": ["client_id", "code", "code_verifier", "grant_type", "redirect_uri"], "got": ["error"],
     "heads": {"x-transaction-id": "1f8a2b7c9d3e4f50"},
     "error": {"error": "unauthorized_client", "error_description": "Missing valid authorization header"}},
    {"at": 64_400, "read": "app", "who": "admin", "said": "X refuses the client secret of this console."},
    {"at": 64_400, "decided": "Nothing was connected."}]
RENEWED: list[dict[str, Any]] = [
    {"at": 0, "call": "POST api.x.com/2/oauth2/token", "status": 200, "ms": 180}]


def bring(stage: Stage) -> Stage:
    """Bring about everything; adds the names that its pages are called by."""
    with stage.inside.app_context():
        _alerts(stage)
        _timelines(stage)
        _links(stage)
        _receipt(stage)
    return stage


def _alerts(stage: Stage) -> None:
    now = outside.now()
    until(lambda: incidents.sweep(outside.now()) is not None, 30, "the sweep")
    with writing() as session:
        session.add(Incident(
            workspace_id=stage.names["ws"], kind=alerts.ACCOUNT_BROKEN, subject_type="account", platform="twitter",
            subject_id=stage.names["acc_active"], subject_name=f"Is active {A_WORD_WITHOUT_END}",
            summary="It had to be reconnected.", opened_at=now - timedelta(days=3), seen_at=now - timedelta(days=2),
            closed_at=now - timedelta(days=2)))


def _timelines(stage: Stage) -> None:
    now = outside.now()
    with writing() as session:
        grant = session.get_one(Account, stage.names["acc_active"]).grant_id
        failed = session.query(Delivery).filter_by(id=stage.names["dlv_failed"]).one()
        for kind, subject, outcome, code, steps in (
                (CONNECT, stage.names["att_failed"], "app", "unauthorized_client", REFUSED),
                (RENEW, grant, recordings.OK, "", RENEWED),
                (PUBLISH, failed.id, "content", "duplicate", REFUSED[3:])):
            row = Recording(id=new_id("rec"), workspace_id=stage.names["ws"], kind=kind, platform="twitter",
                            subject_id=subject, at=now, spent=64_400, outcome=outcome, code=code, steps=steps)
            session.add(row)
            stage.names[f"rec_{kind}"] = row.id


def _links(stage: Stage) -> None:
    now = outside.now()
    with writing() as session:
        workspace, owner = session.get_one(Workspace, stage.names["ws"]), session.get_one(User, stage.names["owner"])
        account = session.get_one(Account, stage.names["acc_token_expired"])
        made = [connect_links.to_reconnect(account, owner, note=NOTE) for _ in range(4)]
        made += [connect_links.to_connect(workspace, owner, "facebook", note=NOTE) for _ in range(2)]
        made[0].link.used_at = made[0].link.opened_at = made[4].link.opened_at = now
        made[1].link.ended_at, made[2].link.expires_at = now, now - timedelta(minutes=1)
        made[5].link.email, made[5].link.mailed_at = LONG_ADDRESS, now
        for name, one in zip(("used", "taken", "late", "open", "invite", "mailed"), made, strict=True):
            stage.names[f"link_{name}"] = one.token


def _receipt(stage: Stage) -> None:
    with writing() as session:
        real = session.query(Account).filter_by(username="acme").one()
        found = [one for one in session.query(ConnectionAttempt).filter_by(platform="twitter", state=FINISHED)
                 if real.id in one.result_ids]
        stage.names |= {"acc_real": real.id, "receipt": found[0].id}
        assert session.get_one(Grant, real.grant_id).person_name


def lose_the_address(stage: Stage) -> None:
    """Put a result where the last check of the public address left one: a proxy does not tell of TLS."""
    seen = Seen("GET", "http", "social.example.com", "/api/connect/address-check/callback", True, "203.0.113.9",
                "127.0.0.1", "http", "social.example.com", ("203.0.113.9",), "", "social.example.com", 1)
    finding = Finding(DIFFERS, "proto", "People come by https, and the proxy does not say so (X-Forwarded-Proto is "
                      "missing), so the console takes it for http. Let the proxy pass it on.", seen=seen)
    with stage.inside.app_context():
        url = stage.inside.extensions["config"].callback_url(address_check.SEGMENT)
        address_check._keep(Result(outside.now(), (Row(url, "Public address", finding, ""),)))
