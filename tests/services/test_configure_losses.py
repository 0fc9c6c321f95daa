"""What if: the numbers of accounts and workspaces that lose something are true, however many there are."""

import pytest
from sqlalchemy import event

from socialconsole import configure
from socialconsole.configure import Invalid
from socialconsole.configure_checks import stored_settings
from socialconsole.configure_losses import what_if
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, DISCONNECTED, LIVE, TOKEN_EXPIRED, Account, Grant, PlatformApp, Workspace
from socialconsole.providers import PROVIDERS

X = PROVIDERS["twitter"]
ALL = ("tweet.read", "tweet.write", "users.read", "offline.access", "media.write")
WITHOUT_MEDIA = " ".join(ALL[:-1])


def crowd(app, clock, workspace: str, count: int, *, granted=ALL, asked=ALL, state=ACTIVE, kind="X account",
          tag="") -> None:
    """Accounts that hang on an app, each by a grant of its own."""
    with writing() as session:
        if session.get(Workspace, workspace) is None:
            session.add(Workspace(id=workspace, name=workspace, created_at=clock()))
            session.flush()
        for number in range(count):
            key = f"{workspace}-{tag}{number}"
            session.add(Grant(id=f"g{key}", workspace_id=workspace, platform=app.platform, app_id=app.id,
                              app_generation=app.generation, person_id=key, granted_at=clock(), state=LIVE,
                              scopes_asked=" ".join(asked), scopes_granted=list(granted) if granted else None))
            session.flush()
            session.add(Account(id=f"a{key}", workspace_id=workspace, platform=app.platform, platform_user_id=key,
                                grant_id=f"g{key}", kind=kind, state=state, state_since=clock(),
                                connected_at=clock()))


def asked(app: PlatformApp, **values):
    """What saving would change, if these values were typed over the stored ones."""
    stored = stored_settings(app)
    found = {name: getattr(stored, name) for name in ("mode", "client_id", "scope_override", "features", "options")}
    return what_if(PROVIDERS[app.platform], app, type(stored)(**{**found, **values}))


@pytest.fixture
def x(world, clock) -> PlatformApp:
    """X with pictures and videos, and accounts of every kind in five workspaces."""
    with writing():
        world.app.features = ["media"]
    crowd(world.app, clock, "wsp_1", 40)
    crowd(world.app, clock, "wsp_2", 25, state=TOKEN_EXPIRED)
    crowd(world.app, clock, "wsp_3", 7, granted=ALL[:-1])  # declined pictures and videos
    crowd(world.app, clock, "wsp_4", 3, granted=None)  # the platform did not tell
    crowd(world.app, clock, "wsp_5", 9, state=DISCONNECTED)
    return world.app


def test_what_an_override_takes_away_is_counted(x):
    found = asked(x, scope_override=WITHOUT_MEDIA)
    media = next(one for one in found.losses if one.what == "Pictures and videos")
    assert (media.accounts, media.workspaces, media.unsure) == (65, 2, 3)
    assert media.scopes == ("media.write",)
    assert (found.accounts, found.workspaces) == (65, 2)
    assert found.fingerprint == "media.write" and found.is_loss


def test_unticking_a_feature_is_the_same_loss(x):
    assert asked(x, features=()) == asked(x, scope_override=WITHOUT_MEDIA)


def test_without_the_basic_scopes_publishing_goes_for_all_that_can_publish(x):
    found = asked(x, scope_override="tweet.read users.read offline.access media.write")
    publishing = next(one for one in found.losses if one.what == "Publishing")
    assert (publishing.accounts, publishing.workspaces, publishing.unsure) == (72, 3, 3)
    assert publishing.scopes == ("tweet.write",)
    assert [one.what for one in found.losses].count("Publishing") == 1


def test_what_is_no_feature_is_told_by_its_consequence(x):
    found = asked(x, scope_override="tweet.read tweet.write users.read media.write")
    assert any("no refresh token" in one.what for one in found.losses) and found.accounts == 72


def test_nothing_changes_where_nothing_is_asked_for_differently(x):
    assert asked(x) == asked(x, scope_override="  media.write,tweet.read tweet.write users.read offline.access ")
    assert not asked(x).losses and not asked(x).newly and not asked(x).is_loss


def test_another_app_is_no_loss_of_scopes(x):
    """All its connections end then, and that is asked by itself."""
    assert not asked(x, scope_override=WITHOUT_MEDIA, client_id="another").is_loss
    assert not what_if(X, None, stored_settings(x)).is_loss


def test_what_is_asked_for_newly_names_what_the_platform_wants(world, clock):
    with writing() as session:
        app = PlatformApp(id="app_l", platform="linkedin", segment="linkedin", mode="member", client_id="id",
                          secret_sealed=b"-", secret_version=1, created_at=clock(), updated_at=clock())
        session.add(app)
    base = ("openid", "profile", "email", "w_member_social")
    crowd(app, clock, "wsp_1", 4, granted=base, asked=base, kind="LinkedIn member", tag="l")
    found = asked(app, features=("comments",))
    assert [(one.scope, "Auth tab" in one.approval) for one in found.newly] == [("w_member_social_feed", True)]
    assert not found.is_loss and found.ended == 4, "another set of scopes ends what these people have"


def test_a_configuration_decides_and_the_list_does_not(world, clock):
    with writing() as session:
        app = PlatformApp(id="app_f", platform="facebook", segment="facebook", client_id="1", secret_sealed=b"-",
                          options={"config_id": "123"}, created_at=clock(), updated_at=clock())
        session.add(app)
    crowd(app, clock, "wsp_1", 2, granted=("pages_manage_posts",), kind="Facebook Page", tag="f")
    assert not asked(app, scope_override="email").is_loss
    assert asked(app, scope_override="email", options={}).losses == ()


def test_the_number_of_queries_does_not_grow_with_the_accounts(x, clock):
    def count() -> int:
        seen: list[str] = []
        db.session.commit()
        _ = x.client_id  # loaded again
        event.listen(db.engine, "before_cursor_execute", note := lambda *values: seen.append(values[2]))
        try:
            assert asked(x, scope_override=WITHOUT_MEDIA).is_loss
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    before = count()
    for number in range(10, 40):
        crowd(x, clock, f"wsp_{number}", 5)
    assert count() == before <= 2
    found = asked(x, scope_override=WITHOUT_MEDIA)
    assert (found.accounts, found.workspaces) == (65 + 150, 32)


# ---------------------------------------------------------------- saving


def save(x, user, clock, **values):
    base = {"client_id": x.client_id, "version": x.version, "features": list(x.features),
            "scope_override": x.scope_override}
    return configure.save("twitter", {**base, **values}, user, clock())


def test_a_loss_has_to_be_ticked(x, world, clock):
    with pytest.raises(Invalid) as caught:
        save(x, world.alice, clock, scope_override=WITHOUT_MEDIA)
    assert caught.value.errors == {"accept_loss": "Saving takes something away from 65 accounts in 2 workspaces. "
                                                  "Confirm that to save all the same."}
    assert x.scope_override == ""
    assert save(x, world.alice, clock, scope_override=WITHOUT_MEDIA, accept_loss="media.write").changed
    assert x.scope_override == WITHOUT_MEDIA


def test_a_tick_for_one_loss_accepts_no_other(x, world, clock):
    with pytest.raises(Invalid):
        save(x, world.alice, clock, scope_override="users.read", accept_loss="media.write")


def test_what_nobody_loses_needs_no_tick(x, world, clock):
    assert save(x, world.alice, clock, features=["media", "comments"]).changed
    assert save(x, world.alice, clock, features=["media"]).changed, "nobody has granted the comments yet"
