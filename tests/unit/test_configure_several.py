"""Several apps of one platform in Configure: each with an address, values and a switch of its own."""

import pytest
import responses
from sqlalchemy import select

from socialconsole import configure, configure_checks, configure_form, configure_sandbox, platform_apps
from socialconsole.configure import Invalid, NotPossible
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, DISCONNECTED, HELD, SCHEDULED, ConnectionAttempt, Grant, PlatformApp, Workspace
from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Guide, Step
from tests.unit import configuring
from tests.unit.configuring import (
    LINKEDIN_ID,
    LINKEDIN_SECRET,
    NOW,
    OTHER_ID,
    OTHER_SECRET,
    connected,
    deliveries_of,
    events,
    refusal,
    save,
    saved,
)

admin, in_the_app = configuring.admin, configuring.in_the_app  # fixtures; the second runs around every test


def save_at(admin, segment, **values):
    typed = {"mode": "organization", "version": platform_apps.at(segment).version, **values}
    return configure.save(segment, typed, admin, NOW).app


def two(admin, **values):
    """LinkedIn with an app for members and one for pages, both saved."""
    first = saved(admin)
    segment = configure.add_app("linkedin", NOW).segment
    return first, save_at(admin, segment, client_id=OTHER_ID, client_secret=OTHER_SECRET, **values)


def refused_at(admin, segment, **values):
    with pytest.raises(Invalid) as caught:
        save_at(admin, segment, **values)
    return caught.value.errors


# ---------------------------------------------------------------- an app more


def test_a_further_app_has_an_address_and_a_callback_of_its_own(admin, config):
    first, second = two(admin)
    assert (first.segment, second.segment) == ("linkedin", "linkedin-2")
    assert platform_apps.callback_url(second) == f"{config.public_url}/api/connect/linkedin-2/callback"
    assert platform_apps.by_segment("linkedin-2") is second and platform_apps.app_of("linkedin") is first
    assert platform_apps.facts(second).client_secret == OTHER_SECRET
    assert platform_apps.facts(first).client_secret == LINKEDIN_SECRET


def test_a_further_app_starts_with_the_kind_of_use_that_is_still_missing(admin):
    saved(admin, mode="member")
    assert configure.add_app("linkedin", NOW).mode == "organization"


def test_another_app_is_only_added_to_a_saved_platform(admin):
    with pytest.raises(NotPossible, match="Save the first app"):
        configure.add_app("linkedin", NOW)
    save(admin, client_id=LINKEDIN_ID)
    with pytest.raises(NotPossible, match="Save the first app"):
        configure.add_app("linkedin", NOW)


def test_pressing_twice_adds_one_app(admin):
    saved(admin)
    assert configure.add_app("linkedin", NOW) is configure.add_app("linkedin", NOW)
    assert [event.action for event in events()].count("platform.app_added") == 1


def test_a_number_is_never_given_to_two_apps_nor_taken_from_an_alias(admin, config):
    saved(admin, callback_override=f"{config.public_url}/api/connect/linkedin-2/callback")
    assert configure.add_app("linkedin", NOW).segment == "linkedin-3"


# ---------------------------------------------------------------- by segment


def test_each_app_is_turned_on_and_off_by_itself(admin):
    first, second = two(admin)
    mine, theirs = connected(first), connected(second, number=2)
    for segment in ("linkedin", "linkedin-2"):
        configure.turn_on(segment, NOW)
    configure.turn_off("linkedin-2", NOW)
    assert (first.is_on, second.is_on) == (True, False)
    assert (deliveries_of(mine), deliveries_of(theirs)) == ([SCHEDULED], [HELD])


def test_another_client_id_ends_the_connections_of_that_app_only(admin):
    first, second = two(admin)
    mine, theirs = connected(first), connected(second, number=2)
    with pytest.raises(configure.NeedsConfirmation):
        save_at(admin, "linkedin-2", client_id="99zz1mmqpl04ab", client_secret="WPL_AP1.another1234567890")
    configure.save("linkedin-2", {"mode": "organization", "version": second.version, "client_id": "99zz1mmqpl04ab",
                                  "client_secret": "WPL_AP1.another1234567890"}, admin, NOW, confirm=True)
    assert (mine.state, theirs.reason) == (ACTIVE, "app_changed")


def test_the_list_shows_a_platform_once_with_its_apps(admin):
    _, second = two(admin, name="Company pages of ours")
    row = next(row for row in platform_apps.overview(NOW) if row.provider.slug == "linkedin")
    assert [one.segment for one in row.apps] == ["linkedin", "linkedin-2"]
    member = PROVIDERS["linkedin"].modes[0].label
    assert [one.title for one in row.apps] == [f"LinkedIn · {member}", "LinkedIn · Company pages of ours"]
    assert len(platform_apps.overview(NOW)) == len(PROVIDERS)
    assert platform_apps.platform_row("linkedin", NOW).apps[1].app is second


def test_apps_without_a_name_for_the_same_kind_of_use_are_told_apart_by_their_number(admin):
    first, second = two(admin, mode="member")
    member = PROVIDERS["linkedin"].modes[0].label
    assert [platform_apps.title(app) for app in (first, second)] == [
        f"LinkedIn · {member}, app 1", f"LinkedIn · {member}, app 2"]
    save_at(admin, "linkedin-2", mode="member", client_id=OTHER_ID, name="Ours")
    assert [platform_apps.title(app) for app in (first, second)] == [f"LinkedIn · {member}", "LinkedIn · Ours"]


def test_one_app_alone_is_called_as_its_platform(admin):
    assert platform_apps.title(saved(admin)) == "LinkedIn"
    assert not configure_form.form("linkedin", NOW).has_name


def test_a_segment_of_nothing_is_no_platform(admin):
    with pytest.raises(KeyError):
        platform_apps.row("linkedin-7", NOW)


@responses.activate
def test_the_sandbox_makes_an_app_for_a_further_one_too(admin, config):
    saved(admin)
    configure.add_app("linkedin", NOW)
    responses.post(f"{config.sandbox_url}/portal/api/apps", status=201,
                   json={"client_id": "78sandboxsandb", "client_secret": "WPL_AP1.sandbox123456789"})
    app = configure_sandbox.use_sandbox("linkedin-2", admin, NOW).app
    assert (app.segment, app.is_sandbox, app.client_id) == ("linkedin-2", True, "78sandboxsandb")
    assert b"/api/connect/linkedin-2/callback" in responses.calls[0].request.body
    assert not platform_apps.app_of("linkedin").is_sandbox


# ---------------------------------------------------------------- product conflicts, names, workspaces


def test_one_app_at_the_platform_cannot_serve_two_kinds_of_use(admin):
    two(admin)
    said = refused_at(admin, "linkedin-2", client_id=LINKEDIN_ID, client_secret=LINKEDIN_SECRET)["client_id"]
    assert "wants an app of its own for each kind of use" in said
    same = refused_at(admin, "linkedin-2", mode="member", client_id=LINKEDIN_ID, client_secret=LINKEDIN_SECRET)
    assert "is saved for" in same["client_id"] and "kind of use" not in same["client_id"]


def test_two_apps_cannot_go_by_one_name(admin):
    two(admin, name="Pages")
    assert "goes by this name" in refusal(admin, name="pages")["name"]
    assert "at most 60" in refusal(admin, name="x" * 61)["name"]


def test_a_name_is_kept_without_needless_blanks(admin):
    _, second = two(admin, name="  Our \n pages ")
    assert second.name == "Our pages"
    assert any("name" in event.summary for event in events())


def workspace(number):
    with writing() as session:
        made = Workspace(id=f"wsp_{number}", name=f"Place {number}", created_at=NOW)
        session.add(made)
    return made


def test_an_app_may_be_kept_for_ticked_workspaces(admin):
    one, two_ = workspace(1), workspace(2)
    app = saved(admin, workspaces="some", workspace_ids=[one.id])
    configure.turn_on("linkedin", NOW)
    assert platform_apps.is_open_to(app, one.id) and not platform_apps.is_open_to(app, two_.id)
    form = configure_form.form("linkedin", NOW)
    assert form.only_some and [place.id for place in form.workspaces] == [one.id, two_.id]
    save(admin, workspaces="all", workspace_ids=[one.id])
    assert app.workspace_ids == [] and platform_apps.is_open_to(app, two_.id)


def test_nothing_ticked_does_not_come_to_mean_everybody(admin):
    assert "Tick at least one" in refusal(admin, workspaces="some", workspace_ids=[])["workspace_ids"]
    assert "not there any more" in refusal(admin, workspaces="some", workspace_ids=["wsp_gone"])["workspace_ids"]


def test_workspaces_are_not_asked_for_where_there_is_only_one(admin):
    workspace(1)
    assert configure_form.form("linkedin", NOW).workspaces == []


def test_scopes_that_exclude_each_other_are_refused_at_their_field(admin, monkeypatch):
    asked = []
    monkeypatch.setattr(PROVIDERS["linkedin"], "scope_problem",
                        lambda mode, names: asked.append((mode, list(names))) or "These belong to two products.")
    assert refusal(admin, scope_override="openid,w_member_social openid")["scope_override"] == \
        "These belong to two products."
    assert asked == [("member", ["openid", "w_member_social"])]
    saved(admin, scope_override="")
    assert len(asked) == 1, "the default scopes are ours"


def test_the_two_families_of_instagram_are_not_mixed(admin):
    said = refusal(admin, "instagram", mode="facebook_login",
                   scope_override="instagram_basic,instagram_business_content_publish")
    assert said["scope_override"]


# ---------------------------------------------------------------- removing


def test_a_further_app_that_nothing_hangs_on_can_be_removed(admin):
    _, second = two(admin)
    gone = connected(second, state=DISCONNECTED)
    with writing() as session:
        session.add(ConnectionAttempt(
            state_hash="-", browser_hash="-", platform="linkedin", app_id=second.id, app_generation=1,
            workspace_id=gone.workspace_id, user_id=admin.id, login_id="l", redirect_uri="", scopes_asked="",
            state="finished", created_at=NOW, expires_at=NOW))
    assert configure.remove_app("linkedin-2", NOW).startswith("LinkedIn · ")
    db.session.expire_all()
    assert platform_apps.at("linkedin-2") is None and gone.grant_id is None and gone.state == DISCONNECTED
    assert db.session.scalars(select(Grant)).all() == []
    with pytest.raises(NotPossible, match="removed already"):
        configure.remove_app("linkedin-2", NOW)


def test_what_is_used_is_not_removed(admin):
    first, second = two(admin)
    with pytest.raises(NotPossible, match="keeps its first app"):
        configure.remove_app("linkedin", NOW)
    configure.turn_on("linkedin-2", NOW)
    with pytest.raises(NotPossible, match="Turn it off first"):
        configure.remove_app("linkedin-2", NOW)
    configure.turn_off("linkedin-2", NOW)
    account = connected(second)
    with pytest.raises(NotPossible, match="1 profile hangs on it"):
        configure.remove_app("linkedin-2", NOW)
    with writing() as session:
        account.state = DISCONNECTED
        session.add(ConnectionAttempt(
            state_hash="-", browser_hash="-", platform="linkedin", app_id=second.id, app_generation=1,
            workspace_id=account.workspace_id, user_id=admin.id, login_id="l", redirect_uri="", scopes_asked="",
            state="granted", created_at=NOW, expires_at=NOW))
    with pytest.raises(NotPossible, match="right now"):
        configure.remove_app("linkedin-2", NOW)
    assert db.session.scalars(select(PlatformApp)).all() == [first, second]


# ---------------------------------------------------------------- addresses and proof


@pytest.fixture
def called(monkeypatch):
    """LinkedIn, as if it called us, fetched files and wanted a proof."""
    linkedin = PROVIDERS["linkedin"]
    monkeypatch.setattr(linkedin, "calls_back", ("deauthorize", "deletion", "webhook"))
    monkeypatch.setattr(linkedin, "serves_files", True)
    monkeypatch.setattr(linkedin, "proof_file", True)
    monkeypatch.setattr(linkedin, "proof_name", r"proof[a-z0-9]+\.txt")
    return linkedin


def test_the_addresses_are_those_that_the_platform_calls(admin, config, called):
    home = f"{config.public_url}/api/connect/linkedin"
    assert [address.value for address in configure_form.form("linkedin", NOW).addresses] == [
        f"{home}/deauthorize", f"{home}/deletion", f"{home}/webhook", f"{config.public_url}/media/"]
    saved(admin)
    configure.add_app("linkedin", NOW)
    assert configure_form.form("linkedin-2", NOW).addresses[0].value.endswith("/linkedin-2/deauthorize")


def test_a_platform_that_calls_nobody_has_no_further_address(admin):
    assert configure_form.form("youtube", NOW).addresses == []


def test_the_guide_carries_the_addresses_and_leaves_out_what_we_cannot_know(admin, config, called, monkeypatch):
    every = ("{CALLBACK}", "{DEAUTHORIZE}", "{DELETION}", "{WEBHOOK}", "{MEDIA}", "{PRIVACY}", "{TERMS}")
    monkeypatch.setattr(called, "guides", {"": Guide("https://portal", "", (Step("Paste", "these", every),))})
    step, = configure_form.form("linkedin", NOW).guide.steps
    home = f"{config.public_url}/api/connect/linkedin"
    assert step.values == (f"{home}/callback", f"{home}/deauthorize", f"{home}/deletion", f"{home}/webhook",
                           f"{config.public_url}/media/")
    monkeypatch.setattr(called, "calls_back", ())
    assert configure_form.form("linkedin", NOW).guide.steps[0].values == (
        f"{home}/callback", f"{config.public_url}/media/")


def test_a_proof_file_is_kept_by_name_and_text(admin, called):
    text = "site-verification=" + "a" * 300
    app = saved(admin, option_verification_file=" proofabc.txt ", option_verification_text=f"{text}\n")
    assert (app.options["verification_file"], app.options["verification_text"]) == ("proofabc.txt", text)
    assert configure_form.form("linkedin", NOW).values.options["verification_file"] == "proofabc.txt"


@pytest.mark.parametrize(("typed", "field"), [
    ({"file": "../../etc/passwd", "text": "x"}, "file"), ({"file": "other.txt", "text": "x"}, "file"),
    ({"file": "proofabc.html", "text": "x"}, "file"), ({"file": "proofabc.txt"}, "text"), ({"text": "x"}, "file"),
    ({"file": "proofabc.txt", "text": "x" * 4097}, "text")])
def test_a_proof_file_that_cannot_be_served_is_refused(admin, called, typed, field):
    said = refusal(admin, **{f"option_verification_{name}": value for name, value in typed.items()})
    assert list(said) == [f"option_verification_{field}"]


def test_a_platform_without_proof_keeps_none(admin):
    assert configure_checks.option_names(PROVIDERS["youtube"]) == tuple(
        option.name for option in PROVIDERS["youtube"].options)
