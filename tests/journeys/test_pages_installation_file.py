"""Admin → Configuration file as a browser meets it, and the Configure dialog of an app that a file manages."""

import html
import json
import re
from io import BytesIO

import pytest

from socialconsole import config_commands, credentials, installation_apply, outside, platform_apps, start
from socialconsole import installation_file as files
from socialconsole.cli import _parser
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Workspace
from socialconsole.providers.verdicts import VALID, Verdict

PAGE, DIALOG = "/admin/configuration", "/admin/platforms/linkedin"
SECRET = "WPL_AP1.AbCdEfGh12347f3a"
LINKEDIN = {"segment": "linkedin", "mode": "member", "clientId": "78k2h0qv9xw1me",
            "clientSecret": {"secretFrom": {"env": "LINKEDIN_CLIENT_SECRET"}}}


@pytest.fixture(autouse=True)
def around(monkeypatch, clock):
    monkeypatch.setenv("LINKEDIN_CLIENT_SECRET", SECRET)
    monkeypatch.setattr(credentials, "_ask", lambda app: Verdict(VALID, "Both are right."))


@pytest.fixture
def admin(client, cast, sign_in):
    """Alice's browser: she is platform admin."""
    return sign_in(client, cast.alice)


def text(**parts):
    return json.dumps({"format": files.FORMAT, **parts}, indent=2)


def token(client, path=PAGE):
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def send(client, path, **form):
    return client.post(PAGE + path, data={"csrf_token": token(client), **form}, content_type="multipart/form-data")


def hidden(page, name):
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', page)
    return html.unescape(found[1]) if found else ""


def confirm(client, planned, **more):
    return send(client, "/apply", plan=hidden(planned.text, "plan"), text=hidden(planned.text, "text"), **more)


def test_a_pasted_file_is_planned_and_nothing_is_changed_before_it_is_confirmed(admin, app):
    planned = send(admin, "/plan", text=text(platforms=[LINKEDIN | {"on": True}]))
    assert planned.status_code == 200 and "What the file would change" in planned.text
    assert "78k2h0qv9xw1me" in planned.text and SECRET not in planned.text
    with app.app_context():
        assert platform_apps.at("linkedin") is None
    answer = confirm(admin, planned)
    assert answer.status_code == 303 and "1 thing changed" in admin.get(PAGE).text
    with app.app_context():
        assert platform_apps.at("linkedin").is_on
    assert "Nothing to do" in send(admin, "/plan", text=text(platforms=[LINKEDIN | {"on": True}])).text


def test_a_chosen_file_counts_before_the_pasted_text(admin):
    chosen = BytesIO(text(workspaces=[{"name": "Linden Cycles", "windowMinutes": 45}]).encode())
    planned = send(admin, "/plan", text="nonsense", file=(chosen, "console.json"))
    assert planned.status_code == 200 and "windowMinutes" in planned.text


def test_a_download_holds_everything_but_secrets_and_plans_to_nothing(admin, app):
    confirm(admin, send(admin, "/plan", text=text(platforms=[LINKEDIN])))
    for which in ("", "?secrets=env"):
        answer = admin.get(f"{PAGE}/console.json{which}")
        assert answer.mimetype == "application/json" and "attachment" in answer.headers["Content-Disposition"]
        assert SECRET not in answer.text and "Harbour Bakery" in answer.text and "linkedin" in answer.text
        assert send(admin, "/plan", text=answer.text).text.count("Nothing to do") == 1


@pytest.mark.parametrize("sent", [
    "", "   ", "[]", "null", "junk" * 250_000, "[" * 100_000, '{"a":' * 50_000,
    text(nonsense=1), text(platforms=5), text(platforms=[7]), text(platforms=[{}]), text(workspaces=[{"name": 3}]),
    text(platforms=[{"segment": "linkedin", "on": "yes"}]), '{"format": "socialconsole/1", "x": NaN}',
    text(platforms=[LINKEDIN | {"clientSecret": {"secretFrom": {"env": "NOT_A_CLIENT_SECRET"}}}]),
    text(platforms=[LINKEDIN | {"clientSecret": {"secretFrom": {"file": "/etc/hostname"}}}]),
    text(platforms=[LINKEDIN | {"clientSecret": {"secretFrom": {"env": "TOKEN_ENCRYPTION_KEY"}}}]),
    text(settings={"SECRET_KEY": "x"}),
], ids=lambda sent: sent[:24].replace("\n", ""))
def test_what_is_no_configuration_is_refused_beside_what_was_sent(admin, sent):
    for path in ("/plan", "/apply"):
        answer = send(admin, path, text=sent)
        assert answer.status_code in (409, 422), answer.status_code
    answer = send(admin, "/plan", text=sent)
    assert answer.status_code == 422 and "Nothing was changed" in answer.text and "Traceback" not in answer.text


def test_bytes_that_are_no_text_are_refused(admin):
    assert send(admin, "/plan", file=(BytesIO(bytes(range(256)) * 100), "x.json")).status_code == 422


def test_a_secret_written_into_the_file_is_refused_and_not_sent_back(admin):
    answer = send(admin, "/plan", text=text(platforms=[LINKEDIN | {"clientSecret": SECRET}]))
    assert answer.status_code == 422 and "A secret never stands in this file" in answer.text
    misnamed = send(admin, "/plan", text=text(platforms=[LINKEDIN | {"client_secret": SECRET}]))
    for one in (answer, misnamed):
        assert "was not kept" in one.text and SECRET not in one.text
    assert "78k2h0qv9xw1me" in send(admin, "/plan", text=text(platforms=[LINKEDIN], colour=1)).text


def test_a_plan_that_is_no_longer_true_is_shown_anew_with_409(admin, app):
    planned = send(admin, "/plan", text=text(workspaces=[{"name": "Linden Cycles", "windowMinutes": 45}]))
    with app.app_context(), writing() as session:
        session.get_one(Workspace, "wsp_cycles").window_minutes = 15
    answer = confirm(admin, planned)
    assert answer.status_code == 409 and "nothing was done" in answer.text and hidden(answer.text, "plan")
    with app.app_context():
        assert db.session.get_one(Workspace, "wsp_cycles").window_minutes == 15
    assert confirm(admin, answer).status_code == 303


def test_what_people_lose_has_to_be_ticked(admin, app):
    slots = {"monday": ["08:30"]}
    confirm(admin, send(admin, "/plan", text=text(workspaces=[{"name": "Linden Cycles", "slots": slots}])))
    planned = send(admin, "/plan", text=text(workspaces=[{"name": "Linden Cycles", "slots": {}}]))
    assert "What people would lose" in planned.text and "1 slot of its queue is removed" in planned.text
    assert confirm(admin, planned).status_code == 422
    assert confirm(admin, planned, accept="yes").status_code == 303


def test_what_was_not_done_is_said(admin, monkeypatch):
    monkeypatch.setattr(credentials, "_ask", lambda app: Verdict("wrong_secret", "The secret is wrong."))
    answer = confirm(admin, send(admin, "/plan", text=text(platforms=[LINKEDIN | {"on": True}])))
    assert answer.status_code == 409 and "Not all of it was done" in answer.text and "is wrong" in answer.text


def test_only_admins_see_it(client, cast, sign_in):
    sign_in(client, cast.bob)
    assert client.get(PAGE).status_code in (403, 404) and client.get(f"{PAGE}/console.json").status_code in (403, 404)


def test_the_page_says_where_each_setting_comes_from_and_no_secret(admin, app):
    page, config = admin.get(PAGE).text, app.extensions["config"]
    assert "API_PUBLIC_URL" in page and "the environment" in page and "set, not shown" in page
    assert config.secret_key not in page and config.token_keys[0] not in page


# ---------------------------------------------------------------- managed by a file


@pytest.fixture
def managed(app, cast, tmp_path):
    """The console as after a start with CONSOLE_FILE."""
    path = tmp_path / "of-the-console.json"
    path.write_text(text(platforms=[LINKEDIN | {"on": True}]))
    object.__setattr__(app.extensions["config"], "console_file", path)
    with app.app_context():
        assert installation_apply.at_start(outside.now()) == ([], ["LinkedIn: Created."])
    return path


def test_an_app_of_the_file_is_shown_and_cannot_be_saved(managed, admin, app):
    page = admin.get(DIALOG).text
    assert "Managed by a file" in page and str(managed) in page and page.count('<fieldset class="field" disabled>') == 2
    assert "Save and turn on" not in page and "Managed by a file." in admin.get("/admin/platforms").text
    for headers in ({}, {"HX-Request": "true"}):
        answer = admin.post(DIALOG, headers=headers, data={
            "csrf_token": token(admin, DIALOG), "do": "save", "version": "1", "mode": "member",
            "client_id": "86zz1mmqpl04ab"})
        assert answer.status_code == 409 and "managed by the file" in answer.text
    with app.app_context():
        assert platform_apps.at("linkedin").client_id == LINKEDIN["clientId"]
    other = admin.get("/admin/platforms/twitter").text
    assert "managed by the file" not in other and "Save and turn on" in other


def test_drift_is_shown_and_mended_from_the_page(managed, admin, app):
    assert "Console and file say the same" in admin.get(PAGE).text
    managed.write_text(text(platforms=[LINKEDIN | {"on": True, "name": "Our pages"}]))
    page = admin.get(PAGE).text
    assert "Where console and file differ" in page and "Our pages" in page
    planned = send(admin, "/plan", own="yes")
    assert send(admin, "/apply", own="yes", plan=hidden(planned.text, "plan")).status_code == 303
    assert "Console and file say the same" in admin.get(PAGE).text
    with app.app_context():
        assert platform_apps.at("linkedin").name == "Our pages"
    managed.unlink()
    assert "cannot be read" in admin.get(PAGE).text and admin.get(PAGE).status_code == 200


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(app, cast, capsys, monkeypatch, tmp_path):
    """Runs `socialconsole config …` on this console; gives exit code, output and errors."""
    monkeypatch.setattr(config_commands, "create_app", lambda config: app)
    monkeypatch.setattr(start, "part_problems", lambda config, wants_store: [])

    def run(action, content=None, *more):
        path = tmp_path / "given.json"
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        given = _parser().parse_args(["config", action, *([str(path)] if content is not None else []), *more])
        code = config_commands.run(app.extensions["config"], given)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_plans_applies_and_finds_nothing_more(command):
    content = text(platforms=[LINKEDIN | {"on": True}])
    code, out, err = command("plan", content)
    assert code == 3 and "create   LinkedIn" in out and "clientSecret: none → set" in out and SECRET not in out + err
    assert command("apply", content)[0] == 1
    code, out, err = command("apply", content, "--yes")
    assert (code, out) == (0, "LinkedIn: Created.\n")
    assert command("plan", content)[0] == 0 and command("drift", content)[0] == 0
    assert command("apply", content, "--yes")[1].startswith("Nothing to do")
    code, out, _ = command("export")
    assert code == 0 and SECRET not in out and command("plan", out)[0] == 0


def test_the_command_tells_drift_as_json(command):
    code, out, _ = command("drift", text(settings={"WORKERS": "9"}), "--json")
    assert code == 3 and json.loads(out)["settings"] == [{"field": "WORKERS", "before": "2", "after": "9"}]
    assert command("plan", text(settings={"WORKERS": "9"}))[0] == 0


@pytest.mark.parametrize("content", [b"\xff\xfe" * 9, b"x" * 1_000_000, b"[" * 300_000, b"{}",
                                     text(platforms=[LINKEDIN | {"nonsense": 1}]).encode(),
                                     text(platforms=[LINKEDIN | {"clientSecret": SECRET}]).encode()])
def test_the_command_refuses_with_words(command, content):
    for action in ("plan", "drift", "apply"):
        code, out, err = command(action, content)
        assert code == 1 and err.strip() and "Traceback" not in err and SECRET not in out + err


def test_a_file_that_is_not_there_is_refused(command, tmp_path):
    given = _parser().parse_args(["config", "plan", str(tmp_path / "none.json")])
    assert given.action == "plan"
    code, _, err = command("plan", "{}")
    assert code == 1 and "format" in err
