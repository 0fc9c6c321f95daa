"""`socialconsole platforms`: what is typed and handed in, what is printed, and the exit code."""

import io
import json
import threading

import pytest
from werkzeug.serving import make_server

from socialconsole import cli, create_app, platform_apps
from socialconsole import config as settings
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import AuditEvent
from socialconsole.providers import PROVIDERS
from socialconsole.providers.verdicts import UNKNOWN, VALID, WRONG_ID, WRONG_SECRET, Verdict
from socialconsole.sandbox import create_sandbox

ID, SECRET = "78k2h0qv9xw1me", "WPL_AP1.AbCdEfGh12347f3a"


@pytest.fixture
def run(config, monkeypatch, capsys):
    """Runs a command; returns its exit code, what it printed and what it complained about."""
    monkeypatch.setattr(settings, "read", lambda: config)

    def command(*arguments, typed=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = cli.main(["platforms", *arguments])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        return code, said.out, said.err

    return command


@pytest.fixture
def says(monkeypatch):
    """What the platform says when it is asked."""
    def say(kind):
        monkeypatch.setattr(PROVIDERS["linkedin"], "check_app", lambda *_: Verdict(kind, f"It says {kind}.", "a_code"),
                            raising=False)
    return say


def save_it(run):
    assert run("configure", "linkedin", "--client-id", ID, "--client-secret-stdin", typed=f"{SECRET}\n")[0] == 0


def test_configure_saves_and_names_the_callback(run, config):
    code, out, _ = run("configure", "linkedin", "--client-id", ID, "--client-secret-stdin", typed=f"{SECRET}\r\n")
    assert code == 0 and out.startswith("Saved: ") and "/api/connect/linkedin/callback" in out
    assert run("configure", "linkedin", "--client-id", ID)[1].startswith("Nothing was new")
    with create_app(config).app_context():
        row = platform_apps.app_of("linkedin")
        assert (row.client_id, platform_apps.open_secret(row), row.mode) == (ID, SECRET, "member")
        assert row.secret_changed_by == "Command line"
        assert {one.user_name for one in db.session.query(AuditEvent)} == {"Command line"}


def test_configure_changes_only_what_is_named(run, config):
    save_it(run)
    assert run("configure", "linkedin", "--mode", "organization")[0] == 0
    with create_app(config).app_context():
        row = platform_apps.app_of("linkedin")
        assert (row.client_id, row.mode, platform_apps.open_secret(row)) == (ID, "organization", SECRET)


def test_configure_takes_all_that_the_dialog_takes(run, config, cast, tmp_path):
    file = tmp_path / "secret.txt"
    file.write_text(f"{SECRET}\nmore\n")
    code, out, _ = run("configure", "linkedin", "--client-id", ID, "--client-secret-file", str(file), "--name", "Ours",
                       "--workspace", "Harbour Bakery", "--workspace", "ws_cycles", "--json")
    told = json.loads(out)
    assert code == 0 and "client ID" in told["changed"] and told["callback"].endswith("/api/connect/linkedin/callback")
    with create_app(config).app_context():
        row = platform_apps.app_of("linkedin")
        assert (platform_apps.open_secret(row), row.name) == (SECRET, "Ours")
        assert sorted(row.workspace_ids) == ["wsp_bakery", "wsp_cycles"]
    features = [one.slug for one in PROVIDERS["linkedin"].features_of("member")]
    assert run("configure", "linkedin", "--workspace", "all", "--feature", features[0])[0] == 0
    assert "Known are: " in run("configure", "linkedin", "--feature", "fly")[2]
    assert "Known are: " in run("configure", "linkedin", "--mode", "guest")[2]
    with create_app(config).app_context():
        assert platform_apps.app_of("linkedin").workspace_ids == []
    assert run("configure", "linkedin", "--client-secret-file", str(tmp_path / "none"))[2] == (
        "The file for the client secret cannot be read: No such file or directory. Check its name.\n")
    assert "no value of this platform's apps" in run("configure", "linkedin", "--option", "colour=blue")[2]
    assert "There is no workspace" in run("configure", "linkedin", "--workspace", "nowhere")[2]


@pytest.mark.parametrize(("arguments", "typed", "words"), [
    (("--client-id", ID, "--client-secret-stdin"), "", "Standard input was empty"),
    (("--client-id", ID, "--client-secret-stdin"), f"{ID}\n", "client_secret: "),
    (("--client-secret-stdin",), "x" * 40, "client_id: ")])
def test_configure_refuses_what_the_dialog_refuses(run, arguments, typed, words):
    code, out, err = run("configure", "linkedin", *arguments, typed=typed)
    assert (code, out) == (1, "") and words in err


@pytest.mark.parametrize(("kind", "code"), [(VALID, 0), (WRONG_ID, 1), (WRONG_SECRET, 1), (UNKNOWN, 2)])
def test_check_prints_one_object_and_tells_by_its_exit_code(run, says, kind, code):
    save_it(run)
    says(kind)
    found, out, _ = run("check", "linkedin", "--json")
    told = json.loads(out)
    assert found == code and told["checked_at"].endswith("+00:00")
    assert (told["platform"], told["verdict"], told["message"]) == ("linkedin", kind, f"It says {kind}.")
    assert run("check", "linkedin")[:2] == (code, f"LinkedIn: {LABELS[kind]}. It says {kind}.\n")


LABELS = {VALID: "both are right", WRONG_ID: "the client ID is wrong", WRONG_SECRET: "the secret is wrong",
          UNKNOWN: "the platform cannot tell"}


def test_check_of_nothing_is_no_verdict(run):
    code, out, _ = run("check", "linkedin", "--json")
    assert code == 2 and json.loads(out)["verdict"] == UNKNOWN


def test_on_asks_first(run, says):
    save_it(run)
    says(WRONG_SECRET)
    assert run("on", "linkedin") == (1, "", "It says wrong_secret.\n")
    says(UNKNOWN)
    code, _, err = run("on", "linkedin")
    assert code == 2 and "--anyway" in err
    assert run("on", "linkedin", "--anyway")[:2] == (0, "LinkedIn is on. Tenants can connect it now.\n")
    told = json.loads(run("off", "linkedin", "--note", "Back on Monday.", "--json")[1])
    assert (told["platform"], told["on"]) == ("linkedin", False) and told["said"].startswith("LinkedIn is off.")


def test_list_says_how_each_stands(run, says):
    save_it(run)
    says(VALID)
    run("on", "linkedin")
    found = {one["platform"]: one for one in json.loads(run("list", "--json")[1])}
    assert list(found) == list(PROVIDERS)
    assert (found["linkedin"]["on"], found["linkedin"]["verdict"], found["twitter"]["verdict"]) == (True, VALID, None)
    assert len(run("list")[1].splitlines()) == 1 + len(PROVIDERS)


def test_an_unknown_platform_and_a_silent_sandbox_are_told(run):
    code, _, err = run("check", "myspace")
    assert code == 1 and "linkedin" in err
    code, _, err = run("sandbox", "linkedin")
    assert code == 1 and "sandbox does not answer" in err


@pytest.mark.parametrize("action", ["list", "sandbox", "configure", "check", "on", "off"])
def test_help_has_examples_and_no_option_takes_a_secret(action, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["platforms", action, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "--client-secret-stdin < secret.txt" in said and "--client-secret " not in said


# ---------------------------------------------------------------- with the sandbox, as a script would


@pytest.fixture
def with_sandbox(configured, monkeypatch, capsys):
    """Commands of a console whose sandbox answers, over HTTP and nothing else; and that console's settings."""
    server = make_server("localhost", 0, lambda *call: sandbox(*call), threaded=True)
    sandbox = create_sandbox(f"http://localhost:{server.port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = configured(SANDBOX="on", SANDBOX_BIND=f"127.0.0.1:{server.port}")
    monkeypatch.setattr(settings, "read", lambda: config)

    def command(*arguments):
        code = cli.main(["platforms", *arguments])
        return code, capsys.readouterr().out

    yield command, config
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("platform", list(PROVIDERS))
def test_a_script_sets_a_platform_up_in_the_sandbox(with_sandbox, platform):
    run, config = with_sandbox
    assert run("sandbox", platform)[0] == 0
    code, out = run("check", platform, "--json")
    assert (code, json.loads(out)["verdict"]) == (0, VALID)
    with create_app(config).app_context(), writing():
        row = platform_apps.app_of(platform)
        row.secret_sealed = platform_apps.vault().seal("0123456789abcdef" * 2, *platform_apps.secret_record(row))
    code, out = run("check", platform, "--json")
    assert (code, json.loads(out)["verdict"]) == (1, WRONG_SECRET)
    assert run("on", platform)[0] == 1
    assert run("sandbox", platform)[0] == 0, "pressed again, it takes the present secret"
    assert run("on", platform)[0] == 0
