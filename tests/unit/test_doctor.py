"""`socialconsole doctor`: what is printed, the exit code, the file, and that it works where hardly anything does."""

import json
import os
import stat
import zipfile
from dataclasses import replace
from datetime import date, timedelta

import pytest

from socialconsole import (
    address_check,
    checklist,
    cli,
    create_app,
    credentials,
    database,
    doctor,
    doctor_command,
    metrics,
    platform_apps,
    store,
    tallies,
)
from socialconsole import config as settings
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import PlatformApp
from socialconsole.providers import PROVIDERS, versions
from tests.cast import START
from tests.conftest import environ


@pytest.fixture
def run(config, monkeypatch, capsys):
    """Runs the command with these settings; returns its exit code, what it printed and what it complained about."""
    def command(*arguments, settings_of=config):
        monkeypatch.setattr(settings, "read", lambda: settings_of)
        code = cli.main(["doctor", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err
    return command


@pytest.fixture
def works(monkeypatch, clock):
    """A store that answers, with a worker and a ticker at work."""
    seen = (metrics.Seen("harbour", "12", START),)
    monkeypatch.setattr(store, "answers", lambda config: True)
    monkeypatch.setattr(metrics, "_processes", lambda: metrics.Processes(seen, seen, START))


def checks(out):
    told = json.loads(out)
    return told, {check["name"]: check for check in told["checks"]}


def save(config, **columns):
    with create_app(config).app_context(), writing() as session:
        made = PlatformApp(**{"id": "app_l", "platform": "linkedin", "segment": "linkedin", "client_id": "id",
                              "secret_version": 1, "created_at": START, "updated_at": START, **columns})
        made.secret_sealed = platform_apps.vault().seal("s3cret", *platform_apps.secret_record(made))
        session.add(made)


# ---------------------------------------------------------------- how far it gets


def test_it_says_everything_with_keys_that_stay(run, works, config):
    save(config, is_on=True)
    code, out, _ = run("--json")
    told, by_name = checks(out)
    assert code == 1 and told["state"] == "todo" and told["format"] == 1
    assert set(told) == {"format", "state", "version", "at", "checks", "platforms"}
    assert set(by_name["mail"]) == {"name", "state", "title", "text", "step", "link"}
    expected = {"settings": "ok", "tables": "ok", "store": "ok", "workers": "ok", "ticker": "ok", "keys": "todo",
                "mail": "todo", "backup": "unknown", "https": "ok"}
    assert {name: by_name[name]["state"] for name in expected} == expected
    assert told["platforms"][0] | {"checked_at": None} == {
        "platform": "linkedin", "state": "on", "on": True, "sandbox": False, "verdict": None, "checked_at": None,
        "weather": "unknown", "accounts": 0, "numbers": {}, "api_version": "202607", "api_version_ends": "2027-07-15"}


def test_for_people_each_check_is_a_line_with_its_step_below(run, works):
    code, out, _ = run()
    lines = out.splitlines()
    assert code == 1 and lines[0].startswith("do this ")
    place = next(number for number, line in enumerate(lines) if "Copy of the keys" in line)
    assert lines[place + 1].startswith("             Copy ")
    assert any(line.startswith("cannot tell  Backup of the database") for line in lines)


def test_with_all_in_order_the_exit_code_is_0(run, works, monkeypatch):
    real = checklist.items
    monkeypatch.setattr(checklist, "items", lambda now: [
        item if item.state == "unknown" else replace(item, state="ok") for item in real(now)])
    assert run()[0] == 0


def test_without_a_store_it_is_broken_and_the_rest_is_told(run, config):
    code, out, _ = run("--json")
    told, by_name = checks(out)
    assert code == 2 and told["state"] == "broken" and by_name["store"]["state"] == "broken"
    assert "socialconsole run" in by_name["store"]["step"] and by_name["database"]["state"] == "ok"


def test_with_unusable_settings_it_names_them_all(run, tmp_path):
    broken = settings.read(environ(tmp_path, API_PUBLIC_URL="nonsense", WORKERS="many"), tmp_path)
    code, out, _ = run("--json", settings_of=broken)
    told, by_name = checks(out)
    assert code == 2 and told["platforms"] == []
    assert {"API_PUBLIC_URL", "WORKERS"} <= {check["text"].split()[0] for check in by_name.values()}


def test_with_a_database_that_is_away_it_says_so(run, configured, tmp_path):
    config = configured()
    path = database.sqlite_path(config)
    path.write_bytes(b"this is no database at all" * 200)
    code, out, _ = run("--json", settings_of=config)
    _, by_name = checks(out)
    assert code == 2 and by_name["tables"]["state"] == "broken" and "store" in by_name


def test_with_old_tables_it_names_the_command(run, config, tmp_path):
    database.sqlite_path(config).unlink()
    code, out, _ = run()
    assert code == 2 and "socialconsole upgrade" in out


def test_with_other_keys_it_says_that_they_do_not_fit(run, works, config):
    from_before = config
    with create_app(from_before).app_context():
        doctor_command.start.keys.plant(from_before)
    code, out, _ = run(settings_of=replace(config, token_keys=("1" * 64,)))
    assert code == 2 and "TOKEN_ENCRYPTION_KEY does not open" in out


# ---------------------------------------------------------------- asking anew


def test_nobody_outside_is_asked_unless_one_says_so(run, works, config, monkeypatch):
    save(config)
    asked = []
    monkeypatch.setattr(credentials, "check", lambda app_id, who: asked.append((app_id, who)))
    monkeypatch.setattr(address_check, "run", lambda: asked.append("address"))
    run()
    assert asked == []
    run("--probe", "--address")
    assert asked == ["address", ("app_l", "Command line")]


# ---------------------------------------------------------------- the file


def test_the_file_is_its_owners_alone_and_never_written_over_another(run, works, tmp_path):
    path = tmp_path / "report.zip"
    code, _, err = run("--bundle", str(path))
    assert code == 1 and f"Written: {path}" in err
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "report.json" in zipfile.ZipFile(path).namelist()
    code, _, err = run("--bundle", str(path))
    assert code == 2 and "was not written" in err


def test_the_file_of_unusable_settings_repeats_none(run, tmp_path):
    broken = settings.read(environ(tmp_path, MAIL_URL="smtp://canary:canary@/", API_PUBLIC_URL="canary"), tmp_path)
    path = tmp_path / "report.zip"
    assert run("--bundle", str(path), settings_of=broken)[0] == 2
    archive = zipfile.ZipFile(path)
    assert not [name for name in archive.namelist() if "canary" in archive.read(name).decode()]
    assert "settings" in archive.read("report.json").decode()
    assert "API_PUBLIC_URL           set, from environment" in archive.read("settings.txt").decode()


# ---------------------------------------------------------------- single checks


@pytest.fixture
def check(app, clock):
    """The checks of this console as name -> item, after `change` was done to its settings."""
    def look(**change):
        app.extensions["config"] = replace(app.extensions["config"], **change)
        app.extensions.pop("figures", None)
        with app.app_context():
            return {item.name: item for item in checklist.items(clock())}
    return look


@pytest.mark.parametrize(("today", "state", "said"), [
    (date(2027, 4, 1), "ok", "202607 lives until 15 July 2027."),
    (date(2027, 4, 17), "todo", "202607 ends on 15 July 2027. 89 days are left."),
    (date(2027, 6, 15), "todo", "202607 ends on 15 July 2027. Only 30 days are left."),
    (date(2027, 7, 14), "todo", "202607 ends on 15 July 2027. Only 1 day is left."),
    (date(2027, 7, 16), "todo", "202607 ended on 15 July 2027. Posts may be refused.")])
def test_an_api_version_is_told_ahead_of_its_end(app, check, clock, today, state, said):
    with app.app_context():
        save(app.extensions["config"])
    clock.at += today - clock.at.date()
    item = check()["version_linkedin"]
    assert (item.state, item.text) == (state, said)
    assert ("https://learn.microsoft.com" in item.step) == (state == "todo")


def test_a_version_that_ends_names_the_one_that_lives_longest(app, check, clock):
    with app.app_context():
        save(app.extensions["config"], platform="facebook", segment="facebook", api_version="v23.0")
    clock.at += date(2027, 9, 1) - clock.at.date()
    assert check()["version_facebook"].step == "Choose v26.0 under Advanced and try a post."


def test_an_unknown_version_is_not_judged(app, check):
    with app.app_context():
        save(app.extensions["config"], api_version="202612")
    item = check()["version_linkedin"]
    assert (item.state, item.text) == ("unknown", "The console does not know 202612, nor when it ends.")


def test_every_platform_with_versions_says_where_their_ends_are_announced():
    with_versions = [one for one in PROVIDERS.values() if one.api_version is not None]
    assert with_versions
    for one in with_versions:
        life = versions.life(one, "")
        assert life.is_known and life.source.startswith("https://"), one.slug


@pytest.mark.parametrize(("drift", "state"), [(0, "ok"), (20, "ok"), (300, "todo"), (-300, "todo")])
def test_the_clock_is_compared_with_those_of_the_platforms(app, check, clock, monkeypatch, drift, state):
    monkeypatch.setattr("socialconsole.outside._drift", [timedelta(seconds=drift)])
    with app.app_context():
        tallies.flush(clock())
    item = check()["clock"]
    assert item.state == state
    assert ("behind" in item.text) == (drift == 300) and ("ahead of" in item.text) == (drift == -300)


@pytest.mark.parametrize(("says", "state"), [(True, "ok"), (False, "unknown")])
def test_without_an_answer_the_kernel_is_asked(check, monkeypatch, says, state):
    monkeypatch.setattr(checklist, "kernel_keeps_time", lambda: says)
    assert check()["clock"].state == state


MOUNTS = """22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:40 / /srv rw - nfs4 server:/srv rw
24 23 8:2 / /srv/local\\040disk rw shared:1 - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize(("path", "kind"), [("/var/lib/console.db", "ext4"), ("/srv/console.db", "nfs4"),
                                            ("/srvx/console.db", "ext4"), ("/srv/local disk/console.db", "xfs")])
def test_the_kind_of_disk_is_read_from_the_mounts(tmp_path, path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert checklist.disk_kind(type(tmp_path)(path), mounts) == kind
    assert checklist.disk_kind(type(tmp_path)(path), tmp_path / "nothing") == ""


def test_a_sqlite_file_on_a_network_disk_is_warned_of(check, monkeypatch):
    if db.__class__ and os.environ.get("TEST_DATABASE") == "postgresql":
        pytest.skip("only a SQLite file can lie there")
    monkeypatch.setattr(checklist, "disk_kind", lambda path: "nfs4")
    assert check()["database"].state == "todo"


def test_the_sentence_for_a_word_that_is_none_of_ours_is_other():
    assert [doctor._word(one) for one in ("account.paused", "a b", "x@y", "0.5", "inf", "")] == [
        "account.paused", "other", "other", "0.5", "inf", "other"]
