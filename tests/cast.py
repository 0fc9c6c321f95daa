"""The people of the tests: Alice owns, Bob edits, Vera looks, Charlie is a stranger in every test of access."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from flask import current_app
from PIL import Image

from socialconsole import outside, passwords
from socialconsole.database import writing
from socialconsole.media import PREVIEWS
from socialconsole.models import (
    EDITOR,
    OWNER,
    VIEWER,
    Account,
    ConnectionAttempt,
    ConnectLink,
    Delivery,
    Grant,
    Incident,
    Invitation,
    Media,
    Membership,
    PlatformApp,
    Post,
    Recording,
    Series,
    Slot,
    Upload,
    User,
    Workspace,
)
from socialconsole.models_api import ApiKey, Plan

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **length: float) -> datetime:
        """Move it on, and return the new time."""
        self.at += timedelta(**length)
        return self.at


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    id: str
    email: str
    name: str
    password: str = PASSWORD


@dataclass(frozen=True)
class Place:
    """A workspace."""

    id: str
    name: str


@dataclass(frozen=True)
class Cast:
    """Everybody, and the two workspaces: `bakery` of Alice, Bob and Vera, `cycles` of Charlie."""

    alice: Person  # owner of the bakery and platform admin
    bob: Person  # editor of the bakery
    vera: Person  # viewer of the bakery
    charlie: Person  # owner of the other workspace
    root: Person  # platform admin without any workspace
    bakery: Place
    cycles: Place


@cache
def password_hash() -> str:
    """The stored form of everybody's password; made once, since it takes its time."""
    return passwords.hashed(PASSWORD)


def make_cast() -> Cast:
    """Write everybody into the database; inside an app context."""
    now = outside.now()
    people = {name: Person(f"usr_{name}", f"{name}@example.com", name.capitalize())
              for name in ("alice", "bob", "vera", "charlie", "root")}
    bakery, cycles = Place("wsp_bakery", "Harbour Bakery"), Place("wsp_cycles", "Linden Cycles")
    with writing() as session:
        for name, person in people.items():
            session.add(User(id=person.id, email=person.email, name=person.name, password_hash=password_hash(),
                             is_platform_admin=name in ("alice", "root"), created_at=now))
        session.add_all((Workspace(id=bakery.id, name=bakery.name, time_zone="Europe/Stockholm", created_at=now),
                         Workspace(id=cycles.id, name=cycles.name, time_zone="UTC", created_at=now)))
        session.flush()
        members = ((bakery, "alice", OWNER), (bakery, "bob", EDITOR), (bakery, "vera", VIEWER),
                   (cycles, "charlie", OWNER))
        session.add_all(Membership(workspace_id=place.id, user_id=people[name].id, role=role)
                        for place, name, role in members)
    return Cast(**people, bakery=bakery, cycles=cycles)


@dataclass(frozen=True)
class Things:
    """Rows of the bakery, one of each kind that an address can name."""

    account_id: str = "acc_bread"
    attempt_id: str = "att_bread"
    post_id: str = "pst_bread"
    delivery_id: str = "dlv_bread"
    platform: str = "twitter"
    media_id: str = "med_bread"
    upload_id: str = "upl_bread"
    series_id: str = "ser_bread"
    member_id: str = "usr_vera"
    invitation_id: str = "inv_bread"
    slot_id: str = "slt_bread"
    recording_id: str = "rec_bread"
    link_id: str = "cnl_bread"
    incident_id: str = "inc_bread"
    key_id: str = "key_bread"
    instance_key_id: str = "key_root"
    plan_id: str = "pln_bread"
    card_name: str = "preview_" + 32 * "0"


def make_things(cast: Cast) -> Things:
    """Write a platform that is on, and an account, a post and a connection of the bakery; inside an app context."""
    now, things, bakery = outside.now(), Things(), cast.bakery.id
    with writing() as session:
        app = PlatformApp(id="app_bread", platform=things.platform, segment=things.platform, client_id="client",
                          secret_sealed=b"-", is_on=True, created_at=now, updated_at=now)
        grant = Grant(id="grt_bread", workspace_id=bakery, platform=things.platform, app=app, app_generation=1,
                      person_id="42", granted_at=now, access_expires_at=now + timedelta(hours=2))
        account = Account(id=things.account_id, workspace_id=bakery, platform=things.platform, grant=grant,
                          platform_user_id="42", username="bread", display_name="Fresh Bread", state_since=now,
                          connected_at=now, avatar=b"\x89PNG", avatar_type="image/png")
        session.add(Series(id=things.series_id, workspace_id=bakery, author_id=cast.alice.id, text="Secret recipe",
                           every="day", first_wall="2026-11-22T09:00", time_zone="UTC", created_at=now,
                           next_at=now + timedelta(days=1)))
        session.add(Invitation(id=things.invitation_id, workspace_id=bakery, role=EDITOR, token_hash="-",
                               invited_by=cast.alice.email, created_at=now, expires_at=now + timedelta(days=7)))
        session.add(ConnectLink(id=things.link_id, workspace_id=bakery, token_hash="-", asked_by_id=cast.alice.id,
                                asked_by="Alice", note="Secret recipe", created_at=now,
                                expires_at=now + timedelta(days=3)))
        session.add(Incident(id=things.incident_id, workspace_id=bakery, kind="account_broken", subject_type="account",
                             subject_id=things.account_id, subject_name="Fresh Bread", platform=things.platform,
                             summary="Secret recipe", opened_at=now, seen_at=now))
        session.add(Recording(id=things.recording_id, workspace_id=bakery, kind="publish", platform=things.platform,
                              subject_id=things.delivery_id, at=now, outcome="ok",
                              steps=[{"at": 0, "note": "Secret recipe"}]))
        session.add(Slot(id=things.slot_id, workspace_id=bakery, weekday=0, wall="08:30"))
        session.add(ApiKey(id=things.key_id, workspace_id=bakery, user_id=cast.alice.id, name="Secret recipe",
                           prefix="sck_bread", token_hash="-", permissions=["read"], created_at=now))
        session.add(ApiKey(id=things.instance_key_id, user_id=cast.root.id, name="Console", prefix="sck_root",
                           token_hash="--", permissions=["instance"], created_at=now))
        session.add(Plan(id=things.plan_id, workspace_id=bakery, asked_by="Secret recipe", action="publish",
                         request={"method": "POST", "path": "/v1/posts", "body": {"text": "Secret recipe"}},
                         created_at=now, expires_at=now + timedelta(days=1)))
        post = Post(id=things.post_id, workspace_id=bakery, author_id=cast.alice.id, text="Secret recipe", due_at=now,
                    form_nonce="nonce", created_at=now)
        session.add_all((app, grant, account, post))
        session.add(Delivery(id=things.delivery_id, workspace_id=bakery, post=post, account=account, state="missed",
                             scheduled_for=now))
        session.add(Media(id=things.media_id, workspace_id=bakery, kind="image", type="image/png", size=1, sha256="-",
                          name="Secret recipe.png", width=8, height=8, created_at=now))
        session.add(Upload(id=things.upload_id, workspace_id=bakery, user_id=cast.alice.id, name="Secret recipe.mp4",
                           size=9, created_at=now, touched_at=now))
        session.add(ConnectionAttempt(
            id=things.attempt_id, state_hash="-", browser_hash="-", platform=things.platform, app=app, app_generation=1,
            workspace_id=bakery, user_id=cast.alice.id, login_id="log", redirect_uri="", scopes_asked="",
            state="finished", created_at=now, expires_at=now + timedelta(minutes=10), receipt={
                "at": now.isoformat(), "by": "Alice", "person": "", "asked": [], "granted": None, "ends": None,
                "renews": True, "profiles": []}))
    folder = current_app.extensions["config"].media_folder
    for path in (folder / bakery / things.media_id, folder / PREVIEWS / things.card_name):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, "PNG")
    return things
