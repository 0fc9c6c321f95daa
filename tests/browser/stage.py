"""A console furnished with everything that a page can show: profiles, posts and connections in each of their states.

Rows that no day of work would bring about are written straight into its database. Nothing of them is ever due, so the
workers leave them as they are.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask

from socialconsole import connections, outside, platform_apps
from socialconsole.database import writing
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DECLINED,
    DISCONNECTED,
    EXPIRED,
    FAILED,
    FINISHED,
    GRANTED,
    HELD,
    MISSED,
    OWNER,
    PAUSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    STARTED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Account,
    ConnectionAttempt,
    Delivery,
    DeliveryEvent,
    Grant,
    Membership,
    PlatformApp,
    Post,
    User,
    Workspace,
    new_id,
)
from socialconsole.providers.base import Consent, Profile, TokenSet
from tests import story
from tests.running import Console
from tests.visitor import Visitor

SCOPES = {
    "twitter": ("tweet.read", "tweet.write", "users.read", "offline.access"),
    "facebook": ("public_profile", "pages_show_list", "pages_read_engagement", "pages_manage_posts"),
    "linkedin": ("openid", "profile", "w_member_social"),
}
ACCOUNTS = ("active", "expiring", "limited", "token_expired", "paused", "disconnected")
DELIVERIES = {
    SCHEDULED: "X asked us to wait, next try 10:05.",
    PREPARING: "", PROCESSING: "", PUBLISHING: "", SENT: "", PUBLISHED: "", CANCELLED: "",
    HELD: "Waits for Acme Bakery to be reconnected.",
    UNCONFIRMED: "X did not answer and may have it. Look there before you publish again.",
    MISSED: "",
    FAILED: "X refused it: the same text was posted already. Change the text.",
}
ATTEMPTS = (STARTED, GRANTED, FINISHED, DECLINED, FAILED, EXPIRED)
PAGES = tuple(Profile(f"page-{number}", f"page{number}", f"Page number {number}", kind="Facebook Page")
              for number in range(12))
A_WORD_WITHOUT_END = "Donaudampfschifffahrtsgesellschaft" * 3


@dataclass
class Stage:
    """The furnished console. `names` fills the addresses of its pages."""

    console: Console
    inside: Flask
    names: dict[str, str] = field(default_factory=dict)

    def address(self, path: str) -> str:
        """The address of a page: `/w/{ws}/posts`, `sandbox:/people`."""
        if path.startswith("sandbox:"):
            return self.console.sandbox + path.removeprefix("sandbox:").format(**self.names)
        return self.console.url + path.format(**self.names)


def furnish(console: Console, inside: Flask) -> Stage:
    """Turn on the three platforms with the sandbox, publish one real post, and write everything else."""
    stage, visitor = Stage(console, inside), story.sign_in(console)
    for platform in SCOPES:
        story.set_up_platform(visitor, console, platform)
    _really_publish(stage, visitor)
    with inside.app_context():
        _write_rows(stage)
    return stage


def _really_publish(stage: Stage, visitor: Visitor) -> None:
    story.connect(visitor, stage.console, "X", "acme")
    url = story.compose(visitor, stage.console, "Really published, https://example.com/a", "acme")
    story.wait_for(visitor, url, "open on X")
    posted = stage.console.control("GET", "/portal/api/posts")[0]
    app = next(one for one in stage.console.control("GET", "/portal/api/apps") if one["platform"] == "twitter")
    stage.names |= {"ws": story.workspace_path(visitor, stage.console).rsplit("/", 1)[1], "real_post": url,
                    "permalink": posted["permalink"].removeprefix(stage.console.sandbox), "app": app["client_id"]}


def _write_rows(stage: Stage) -> None:
    with writing() as session:
        owner = session.query(User).one()
        empty = Workspace(id=new_id("wsp"), name="Linden Cycles", time_zone="UTC", created_at=outside.now())
        session.add(empty)
        session.flush()
        session.add(Membership(workspace_id=empty.id, user_id=owner.id, role=OWNER))
        stage.names |= {"empty": empty.id, "owner": owner.id}
    for status in ACCOUNTS:
        stage.names[f"acc_{status}"] = _account(stage, status)
    for state, note in DELIVERIES.items():
        stage.names[f"pst_{state}"], stage.names[f"dlv_{state}"] = _post(stage, state, note)
    for state in ATTEMPTS:
        stage.names[f"att_{state}"] = _attempt(stage, state)


def _account(stage: Stage, status: str) -> str:
    now = outside.now()
    platform = "linkedin" if status == "expiring" else "twitter"
    state = {"expiring": ACTIVE, "limited": ACTIVE}.get(status, status)
    assert state in (ACTIVE, TOKEN_EXPIRED, PAUSED, DISCONNECTED)
    given = SCOPES[platform][:1] if status == "limited" else SCOPES[platform]
    with writing() as session:
        app = session.query(PlatformApp).filter_by(platform=platform).one()
        sealed = platform_apps.vault().seal("-", "a record of nobody")
        grant = Grant(workspace_id=stage.names["ws"], platform=platform, app=app, app_generation=app.generation,
                      is_sandbox=True, person_id=new_id("p"), person_name="Mara Lindqvist",
                      scopes_asked=" ".join(SCOPES[platform]), scopes_granted=list(given), granted_at=now,
                      access_expires_at=now + timedelta(days=3), access_sealed=sealed,
                      refresh_sealed=None if status == "expiring" else sealed)
        account = Account(
            workspace_id=stage.names["ws"], platform=platform, platform_user_id=new_id("u"), grant=grant,
            is_sandbox=True, kind="LinkedIn member" if status == "expiring" else "X account",
            username=f"a_{status}", display_name=f"Is {status}", profile_url=f"{stage.console.sandbox}/people",
            meta={"followers": 12, "about": A_WORD_WITHOUT_END}, state=state, state_since=now,
            reason_text="X no longer accepts this connection. Connect again." if state == TOKEN_EXPIRED else "",
            revoked_note="X confirmed that the permission is gone." if state == DISCONNECTED else "",
            state_by=story.EMAIL if state in (PAUSED, DISCONNECTED) else "", connected_by=story.EMAIL,
            connected_at=now, last_synced_at=now)
        session.add(account)
        session.flush()
        return account.id


def _post(stage: Stage, state: str, note: str) -> tuple[str, str]:
    now = outside.now()
    due = now + timedelta(days=1)
    more: dict[str, Any] = {"due_at": due} if state == SCHEDULED else {}
    if state == PUBLISHED:
        more = {"published_at": now, "permalink": stage.console.sandbox + stage.names["permalink"]}
    with writing() as session:
        post = Post(workspace_id=stage.names["ws"], author_id=stage.names["owner"], author_name=story.EMAIL,
                    text=f"A post that is {state}. {A_WORD_WITHOUT_END}", due_at=due, form_nonce=new_id("n"),
                    created_at=now)
        delivery = Delivery(workspace_id=stage.names["ws"], post=post, account_id=stage.names["acc_token_expired"],
                            state=state, scheduled_for=due, note=note, hold="account" if state == HELD else "",
                            error_code="duplicate" if state == FAILED else "", **more)
        session.add_all((post, delivery))
        session.flush()
        session.add(DeliveryEvent(workspace_id=stage.names["ws"], delivery_id=delivery.id, at=now, state=state,
                                  text=note, by=story.EMAIL))
        return post.id, delivery.id


def _attempt(stage: Stage, state: str) -> str:
    now = outside.now()
    begun = now - timedelta(minutes=3)  # long enough for the hints of a walk that nothing came back from
    with writing() as session:
        app = session.query(PlatformApp).filter_by(platform="facebook").one()
        attempt = ConnectionAttempt(
            id=new_id("att"), state_hash=new_id("s"), browser_hash="-", platform="facebook", app=app,
            app_generation=app.generation, workspace_id=stage.names["ws"], user_id=stage.names["owner"], login_id="-",
            redirect_uri="-", scopes_asked=",".join(SCOPES["facebook"]), state=state, created_at=begun,
            expires_at=now + timedelta(minutes=30),
            result_ids=[stage.names["acc_active"]] if state == FINISHED else [],
            error="Facebook says that the app is not active." if state == FAILED else "",
            error_code="1349048" if state == FAILED else "")
        if state == GRANTED:
            consent = Consent(TokenSet("access", None, 7200), "9", "Mara Lindqvist", frozenset(SCOPES["facebook"][:3]),
                              PAGES)
            attempt.consent_sealed = connections._vault().seal(
                connections._dump(consent), *connections._where(attempt, "consent"))
        session.add(attempt)
        return attempt.id
