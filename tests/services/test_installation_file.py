"""The configuration as one file: written without secrets, planned field by field, applied once, managed by a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import g
from sqlalchemy import func, select

from socialconsole import configure, configure_sandbox, credentials, installation_apply, managed_apps, platform_apps
from socialconsole import installation_file as files
from socialconsole import installation_plan as plans
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import AuditEvent, PlatformApp, Slot, User, Workspace
from socialconsole.providers.verdicts import VALID, Verdict

SECRET, OTHER = "s3cret-of-the-app", "WPL_AP1.AbCdEfGh12347f3a"
LINKEDIN = {"segment": "linkedin", "mode": "member", "clientId": "78k2h0qv9xw1me",
            "clientSecret": {"secretFrom": {"env": "LINKEDIN_CLIENT_SECRET"}}}


@pytest.fixture(autouse=True)
def around(ground, monkeypatch):
    """Whoever applies is called so; every platform finds every pair of credentials right."""
    g.user = User(name="Command line", email="")
    monkeypatch.setenv("LINKEDIN_CLIENT_SECRET", OTHER)
    monkeypatch.setenv("LINKEDIN_3_CLIENT_SECRET", OTHER)
    monkeypatch.setenv("TWITTER_CLIENT_SECRET", SECRET)
    monkeypatch.setattr(credentials, "_ask", lambda app: Verdict(VALID, "Both are right."))


def document(**parts):
    return files.read(json.dumps({"format": files.FORMAT, **parts}))


def apply(parts, clock, **more):
    done = installation_apply.apply(document(**parts), g.user, clock(), **more)
    assert all(one.is_whole for one in done), done
    return done


def planned(parts, clock, **more):
    return plans.make(document(**parts), clock(), **more)


def only(parts, clock):
    [step] = planned(parts, clock).steps
    return step


def fields(step):
    return {one.field: (one.before, one.after) for one in step.changes}


def forget_everything():
    """As an empty console with its two people."""
    with writing() as session:
        for table in (PlatformApp, Slot, AuditEvent, Workspace):
            for row in session.scalars(select(table)):
                session.delete(row)
            session.flush()


# ---------------------------------------------------------------- round trip


def test_an_empty_console_becomes_what_was_exported(world, clock):
    apply({"platforms": [LINKEDIN | {"on": True, "workspaces": ["Linden Cycles"]},
                         {"segment": "linkedin-3", "mode": "member", "clientId": "86zz1mmqpl04ab", "name": "Pages",
                          "clientSecret": {"secretFrom": {"env": "LINKEDIN_CLIENT_SECRET"}}, "offNote": "Soon"}],
           "workspaces": [{"name": "Harbour Bakery", "windowMinutes": 60, "needsApproval": True, "accountLimit": 7,
                           "storageLimitMegabytes": 12, "slots": {"monday": ["08:30", "17:00"], "sunday": ["10:00"]}}]},
          clock, accept=True)
    text = plans.export(named_secrets=True)
    assert planned(json.loads(text), clock).has_changes is False
    forget_everything()
    parts = json.loads(text)
    # Nobody owns the second workspace: a file that makes it has to name somebody.
    assert [one["name"] for one in parts["workspaces"] if "owner" not in one] == ["Linden Cycles"]
    parts["workspaces"][1]["owner"] = "bob@example.com"
    apply({key: parts[key] for key in ("platforms", "workspaces")}, clock)
    again = json.loads(plans.export(named_secrets=True))
    assert again == parts and planned(again, clock).has_changes is False
    app = platform_apps.at("linkedin")
    assert app.is_on and platform_apps.open_secret(app) == OTHER
    assert db.session.get_one(Workspace, app.workspace_ids[0]).name == "Linden Cycles"
    assert platform_apps.at("linkedin-3").off_note == "Soon"


def test_no_export_and_no_plan_holds_a_secret(world, clock):
    apply({"platforms": [LINKEDIN]}, clock)
    told = plans.export() + plans.export(named_secrets=True)
    other = {"secretFrom": {"env": "TWITTER_CLIENT_SECRET"}}
    plan = planned({"platforms": [LINKEDIN | {"clientSecret": other}]}, clock)
    told += repr(plan) + repr(db.session.scalars(select(AuditEvent.detail)).all())
    assert SECRET not in told and OTHER not in told and SECRET[-4:] not in plans.export()


def test_twice_is_once(world, clock):
    parts = {"platforms": [LINKEDIN | {"on": True}],
             "workspaces": [{"name": "Linden Cycles", "timeZone": "Asia/Kolkata", "slots": {"friday": ["09:00"]}}]}
    assert [one.title for one in apply(parts, clock)] == ["Workspace Linden Cycles", "LinkedIn"]
    number = db.session.scalar(select(func.count()).select_from(AuditEvent))
    assert planned(parts, clock).has_changes is False and apply(parts, clock) == []
    assert db.session.scalar(select(func.count()).select_from(AuditEvent)) == number


def test_a_field_that_is_not_named_is_left(world, clock):
    apply({"platforms": [{"segment": "twitter", "scopeOverride": "tweet.read users.read tweet.write offline.access"}],
           "workspaces": [{"name": "Harbour Bakery", "windowMinutes": 30}]}, clock)
    app = platform_apps.at("twitter")
    assert (app.client_id, app.is_on, platform_apps.open_secret(app)) == ("client", True, SECRET)
    assert db.session.get_one(Workspace, "wsp_1").time_zone == "Europe/Stockholm"


# ---------------------------------------------------------------- the plan


def test_a_plan_says_each_field_and_of_a_secret_only_that_it_is_replaced(world, clock):
    step = only({"platforms": [{"segment": "twitter", "clientSecret": {"secretFrom": {
        "env": "LINKEDIN_CLIENT_SECRET"}}, "on": False, "offNote": "Back on Monday"}]}, clock)
    assert step.action == plans.CHANGE and fields(step) == {
        "clientSecret": ("stored", "replaced"), "on": ("yes", "no"), "offNote": ("", "Back on Monday")}
    assert only({"platforms": [{"segment": "twitter", "clientSecret": {"secretFrom": {
        "env": "TWITTER_CLIENT_SECRET"}}}]}, clock).action == plans.LEAVE
    made = only({"platforms": [LINKEDIN]}, clock)
    assert made.action == plans.CREATE and fields(made)["clientSecret"] == ("none", "set")


def test_what_a_change_takes_away_is_said_and_has_to_be_accepted(account, clock):
    parts = {"platforms": [{"segment": "twitter", "scopeOverride": "tweet.read users.read offline.access"}]}
    step = only(parts, clock)
    assert "Publishing: 1 account cannot do it any more without tweet.write." in step.losses
    with pytest.raises(installation_apply.LossesNotAccepted, match=r"tweet\.write"):
        apply(parts, clock)
    assert platform_apps.at("twitter").scope_override == ""
    apply(parts, clock, accept=True)
    assert platform_apps.at("twitter").scope_override == "tweet.read users.read offline.access"


def test_another_client_id_ends_connections_and_says_so(account, clock):
    parts = {"platforms": [{"segment": "twitter", "clientId": "another-client-1",
                            "clientSecret": {"secretFrom": {"env": "LINKEDIN_CLIENT_SECRET"}}}]}
    assert "1 connected profile will have to be reconnected" in " ".join(only(parts, clock).losses)
    with pytest.raises(installation_apply.LossesNotAccepted):
        apply(parts, clock)
    apply(parts, clock, accept=True)
    assert platform_apps.at("twitter").generation == 2


def test_posts_that_turning_off_would_hold_are_said(post, clock):
    post(minutes=30)
    step = only({"platforms": [{"segment": "twitter", "on": False}]}, clock)
    assert step.losses == ["Held: 1 scheduled post of 1 workspace."]


def test_what_the_file_does_not_name_is_said_and_kept(world, clock):
    plan = planned({"platforms": [LINKEDIN]}, clock)
    assert plan.unnamed == ("X (twitter)", "workspace Harbour Bakery", "workspace Linden Cycles")
    apply({"platforms": [LINKEDIN]}, clock)
    assert platform_apps.at("twitter").is_on


def test_settings_of_the_environment_are_compared_and_not_changed(world, clock):
    plan = planned({"settings": {"WORKERS": "5", "LOG_FORMAT": "text"}}, clock)
    assert [(one.field, one.before, one.after) for one in plan.settings] == [("WORKERS", "2", "5")]
    assert plan.differs and not plan.has_changes


def test_a_confirmed_plan_that_is_no_longer_the_plan_changes_nothing(world, clock):
    parts = {"platforms": [LINKEDIN | {"on": False}]}
    seen = planned(parts, clock).fingerprint
    with writing():
        configure.save("linkedin", {"mode": "member", "client_id": "86zz1mmqpl04ab"}, g.user, clock())
    with pytest.raises(installation_apply.Moved) as refusal:
        installation_apply.apply(document(**parts), g.user, clock(), seen=seen)
    assert platform_apps.at("linkedin").client_id == "86zz1mmqpl04ab" and refusal.value.plan.fingerprint != seen


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(("parts", "said"), [
    ({"platforms": [LINKEDIN | {"mode": "nonsense"}]}, "platforms[0] (linkedin).mode: There is no such kind of use"),
    ({"platforms": [LINKEDIN | {"features": ["nonsense"]}]}, "(linkedin).features: “nonsense” is not known here"),
    ({"platforms": [LINKEDIN | {"options": {"nonsense": "1"}}]}, "(linkedin).options: “nonsense” is not known here"),
    ({"platforms": [LINKEDIN | {"workspaces": ["Nobody"]}]}, "(linkedin).workspaces: There is no single workspace"),
    ({"platforms": [LINKEDIN | {"callbackOverride": "ftp://x"}]}, "(linkedin).callbackOverride: Type the whole"),
    ({"platforms": [LINKEDIN | {"clientSecret": "kept", "on": True}]}, "(linkedin).clientSecret: Type the"),
    ({"platforms": [LINKEDIN | {"clientSecret": {"secretFrom": {"env": "NOT_THERE"}}}]},
     "(linkedin).clientSecret: The environment of the console has no variable NOT_THERE."),
    ({"platforms": [LINKEDIN | {"clientSecret": {"secretFrom": {"file": "/not/there"}}}]},
     "(linkedin).clientSecret: /not/there cannot be read"),
    ({"platforms": [LINKEDIN | {"clientSecret": {"secretFrom": {"file": "/dev/zero"}}}]}, "/dev/zero is no plain file"),
    ({"platforms": [LINKEDIN | {"segment": "linkedin-2"}]}, "The first app of LinkedIn is not there"),
    ({"platforms": [LINKEDIN | {"clientId": OTHER}]}, "(linkedin).client"),
    ({"workspaces": [{"name": "New"}]}, "workspaces[0] (New).owner: A workspace that is to be made needs its owner"),
    ({"workspaces": [{"name": "Linden Cycles", "timeZone": "Mars/Base"}]}, "(Linden Cycles).timeZone: Choose a time"),
    ({"workspaces": [{"name": "Linden Cycles", "windowMinutes": 1}]}, "(Linden Cycles).windowMinutes: Choose how"),
    ({"workspaces": [{"name": "X", "id": "wsp_none"}]}, "There is no workspace with this id here"),
])
def test_what_cannot_be_taken_is_refused_with_its_place_and_nothing_is_changed(world, clock, parts, said):
    before = plans.export()
    with pytest.raises(files.Refused) as refusal:
        apply(parts | {"workspaces": [{"name": "Harbour Bakery", "windowMinutes": 15}, *parts.get("workspaces", [])]}
              if "platforms" in parts else parts, clock)
    assert said in str(refusal.value).replace("workspaces[1]", "workspaces[0]")
    assert plans.export() == before and OTHER not in str(refusal.value)


def test_a_secret_in_the_place_of_the_id_is_shown_nowhere(world, clock):
    step = only({"platforms": [LINKEDIN | {"clientId": OTHER}]}, clock)
    assert step.problems and OTHER not in repr(step.changes) + repr(step.problems)


def test_a_page_reads_no_file_and_no_other_variable_of_the_machine(world, clock, monkeypatch, tmp_path):
    monkeypatch.setenv("CLOUD_KEY", OTHER)
    held = tmp_path / "secret"
    held.write_text(OTHER)
    for source in ({"env": "CLOUD_KEY"}, {"file": str(held)}):
        parts = {"platforms": [LINKEDIN | {"clientSecret": {"secretFrom": source}}]}
        assert "From this page" in planned(parts, clock, from_page=True).problems[0]
        assert planned(parts, clock).problems == []
    assert planned({"platforms": [LINKEDIN]}, clock, from_page=True).problems == []


def test_two_workspaces_of_one_name_are_told_apart_by_their_ids(world, clock):
    with writing() as session:
        session.get_one(Workspace, "wsp_2").name = "Harbour Bakery"
    parts = json.loads(plans.export())
    assert [one["id"] for one in parts["workspaces"]] == ["wsp_1", "wsp_2"]
    assert not planned(parts, clock).has_changes and not planned(parts, clock).problems
    assert "2 workspaces have this name" in planned({"workspaces": [{"name": "Harbour Bakery"}]}, clock).problems[0]


def test_a_switch_that_is_refused_leaves_the_settings_saved_and_says_so(world, clock, monkeypatch):
    monkeypatch.setattr(credentials, "_ask", lambda app: Verdict("wrong_secret", "The secret is wrong."))
    [done] = installation_apply.apply(document(platforms=[LINKEDIN | {"on": True}]), g.user, clock())
    assert not done.is_whole and "it is not on. The secret is wrong." in done.said
    assert platform_apps.at("linkedin").client_id == LINKEDIN["clientId"] and not platform_apps.at("linkedin").is_on


def test_a_sandbox_app_is_made_there(world, clock, monkeypatch):
    answers = {"client_id": "sandbox-id", "client_secret": "sandbox-secret-1"}
    monkeypatch.setattr(configure_sandbox, "_ask", lambda *_: answers)
    parts = {"platforms": [{"segment": "linkedin", "sandbox": True, "on": True}]}
    apply(parts, clock)
    app = platform_apps.at("linkedin")
    assert app.is_sandbox and app.is_on and app.client_id == "sandbox-id"
    assert not planned(parts, clock).has_changes
    [exported] = [one for one in json.loads(plans.export())["platforms"] if one["segment"] == "linkedin"]
    assert exported["sandbox"] is True and "clientId" not in exported and "clientSecret" not in exported


# ---------------------------------------------------------------- the file that manages the console


@pytest.fixture
def managed(ground, world, clock, tmp_path):
    """Writes the file of CONSOLE_FILE, and starts the console with it."""
    path = tmp_path / "console.json"
    object.__setattr__(ground.extensions["config"], "console_file", path)

    def write(**parts) -> tuple[list[str], list[str]]:
        path.write_text(json.dumps({"format": files.FORMAT, **parts}))
        return installation_apply.at_start(clock())

    return write


def test_a_start_takes_the_file_over_and_its_apps_are_changed_there_only(managed, clock):
    stops, told = managed(platforms=[LINKEDIN | {"on": True}])
    assert stops == [] and told == ["LinkedIn: Created."]
    assert platform_apps.at("linkedin").is_on
    why = managed_apps.why_managed("linkedin")
    assert "managed by the file" in why and "console.json" in why and not managed_apps.why_managed("twitter")
    with pytest.raises(configure.Managed, match="managed by the file"):
        configure.save("linkedin", {"mode": "member", "client_id": "86zz1mmqpl04ab"}, g.user, clock())
    with pytest.raises(configure.Managed):
        configure_sandbox.use_sandbox("linkedin", g.user, clock())
    assert "managed by the file" in planned(
        {"platforms": [LINKEDIN | {"clientId": "86zz1mmqpl04ab"}]}, clock).problems[0]
    assert managed(platforms=[LINKEDIN | {"on": True}]) == ([], [])


def test_the_file_beats_what_was_changed_in_the_console(managed, clock):
    managed(platforms=[LINKEDIN | {"on": True}])
    configure.turn_off("linkedin", clock(), by="Ada", note="An outage")
    assert planned({"platforms": [LINKEDIN | {"on": True}]}, clock, by_file=True).has_changes
    managed(platforms=[LINKEDIN | {"on": True}])
    assert platform_apps.at("linkedin").is_on


def test_a_start_takes_nothing_away_and_leaves_workspaces_to_their_owners(managed, account, clock):
    stops, told = managed(
        platforms=[{"segment": "twitter", "scopeOverride": "tweet.read users.read offline.access"}],
        workspaces=[{"name": "Linden Cycles", "windowMinutes": 15}, {"name": "New", "owner": "alice@example.com"}])
    assert stops == [] and platform_apps.at("twitter").scope_override == ""
    assert db.session.get_one(Workspace, "wsp_2").window_minutes == 120
    assert db.session.scalar(select(Workspace.id).where(Workspace.name == "New"))
    assert any("This is not done by itself" in line for line in told) and len(managed_apps.current().problems) == 2


def test_a_file_that_is_wrong_stops_the_start_with_every_problem(managed):
    stops, _ = managed(platforms=[{"segment": "linkedin", "nonsense": 1}], more=1)
    assert len(stops) == 2 and all(one.startswith("CONSOLE_FILE: ") for one in stops)
    assert "nonsense" in stops[1] and managed_apps.current() is None


def test_without_the_setting_nothing_is_managed_any_more(managed, ground, clock):
    managed(platforms=[LINKEDIN])
    object.__setattr__(ground.extensions["config"], "console_file", None)
    assert installation_apply.at_start(clock()) == ([], []) and managed_apps.current() is None
    configure.save("linkedin", {"mode": "member", "client_id": "86zz1mmqpl04ab", "version": "1"}, g.user, clock())


def test_a_file_that_is_not_there_stops_the_start(ground, clock):
    object.__setattr__(ground.extensions["config"], "console_file", Path("/not/there.json"))
    assert "cannot be read" in installation_apply.at_start(clock())[0][0]


# ---------------------------------------------------------------- any value in any field


ODD: tuple[Any, ...] = ("", "x" * 6000, "\n\u202e", "https://[::1", 10**30, 1.5, True, None, [], [""], {"a": "b"},
                        {"monday": ["08:30"]}, {"secretFrom": {"file": "/"}})


@pytest.mark.parametrize("name", [one for one in (*files.APP_FIELDS, *files.WORKSPACE_FIELDS)
                                  if one not in ("segment", "platform", "id")])
def test_whatever_stands_in_a_field_is_planned_or_refused_with_words(world, clock, name):
    for value in ODD:
        parts = {}
        if name in files.APP_FIELDS:
            parts["platforms"] = [LINKEDIN | {name: value}, {"segment": "twitter", name: value}]
        if name in files.WORKSPACE_FIELDS:
            parts["workspaces"] = [{"name": "New", "owner": "bob@example.com"} | {name: value}]
        try:
            plan = planned(parts, clock)
        except files.Refused as refusal:
            assert all(name in problem or "field" in problem for problem in refusal.problems)
        else:
            assert plan.steps and all(problem.endswith((".", ")")) for problem in plan.problems)


def test_a_further_app_that_has_no_id_yet_is_made_once(world, clock):
    parts = {"platforms": [{"segment": "twitter-2"}]}
    apply(parts, clock)
    assert platform_apps.at("twitter-2") and not planned(parts, clock).has_changes
    assert not planned(json.loads(plans.export()), clock).has_changes
