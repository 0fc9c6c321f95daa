"""Behind the numbers of Health: lists with whom to ask, the checklist, the tick for the keys, the report."""

import io
import json
import re
import zipfile
from dataclasses import replace

import pytest
from ulid import ULID

from socialconsole import checklist, tallies
from socialconsole import config as settings
from socialconsole.database import writing
from socialconsole.errors import TryLater
from socialconsole.models import (
    FAILED,
    HELD,
    PAUSED,
    TOKEN_EXPIRED,
    AuditEvent,
    Delivery,
    Membership,
    PlatformApp,
    Post,
    User,
    Workspace,
)
from tests.journeys.tenant_house import as_person, words

PROFILES, POSTS = "/admin/health/profiles?platform=twitter&state=", "/admin/health/posts?platform=twitter&state="
LISTS = (PROFILES + TOKEN_EXPIRED, POSTS + HELD)


@pytest.fixture(autouse=True)
def nothing_counted():
    tallies._forget()
    yield
    tallies._forget()


@pytest.fixture
def admin(house, sign_in):
    """The console with an admin in front of it who belongs to no workspace; figures are counted afresh."""
    made = as_person(house, sign_in, house.cast.root)

    def get(path="/admin/health"):
        for name in ("figures", "lately"):
            house.app.extensions.pop(name, None)
        return made.client.get(path)

    return get


def post(admin_client, path, page, **data):
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    return admin_client.post(path, data={**data, "csrf_token": token})


# ---------------------------------------------------------------- the lists


@pytest.mark.parametrize("path", [*LISTS, "/admin/health/report"])
def test_only_admins_see_them(house, sign_in, path):
    house.account()
    for person, status in ((house.cast.root, 200), (house.cast.bob, 403), (house.cast.charlie, 403)):
        assert as_person(house, sign_in, person).client.get(path).status_code == status
    assert house.app.test_client().get(path).status_code == 303


@pytest.mark.parametrize("path", ["/admin/health/profiles?platform=myspace&state=paused", "/admin/health/profiles",
                                  "/admin/health/profiles?platform=twitter&state=held",
                                  "/admin/health/posts?platform=twitter&state=scheduled"])
def test_what_does_not_exist_is_a_404(admin, path):
    assert admin(path).status_code == 404


def test_each_number_leads_to_a_list_that_names_whom_to_ask(house, admin):
    broken = house.account(name="Linden Rides", state=TOKEN_EXPIRED, workspace=house.cast.cycles.id,
                           reason_text="The permission was taken back.", reason="revoked")
    house.delivery(HELD, broken, workspace=house.cast.cycles.id, hold="account", text="Secret recipe")
    page = admin()
    links = [found.replace("&amp;", "&") for found in re.findall(r'class="tally"[^>]* href="([^"]+)"', page.text)]
    assert links == ["/admin/health/profiles?platform=twitter&state=token_expired",
                     "/admin/health/posts?platform=twitter&state=held"]
    first, second = (admin(link) for link in links)
    text = words(first)
    assert "Linden Rides" in text and "in Linden Cycles" in text and "Ask Charlie." in text
    assert "Hello Charlie. X profile “Linden Rides” in “Linden Cycles”: reconnect needed." in text
    assert f"http://127.0.0.1:8000/w/{house.cast.cycles.id}/profiles/{broken}" in first.text
    assert "1 post, waiting for the profile" in words(second) and "Ask Charlie." in words(second)
    assert "Secret" not in first.text + second.text


def test_where_the_app_is_the_trouble_the_next_step_is_the_admins_own(house, admin):
    house.account(state=TOKEN_EXPIRED)
    with house.app.app_context(), writing() as session:
        session.get_one(PlatformApp, "app_twitter").trouble = "X refuses this app."
    page = admin()
    assert "1 to reconnect Repair the app: X, to reconnect" in words(page)
    assert re.search(r'class="tally"[^>]* href="/admin/platforms/twitter"', page.text)


def test_a_workspace_without_owner_is_told(house, admin):
    with house.app.app_context(), writing() as session:
        session.delete(session.get_one(Membership, (house.cast.cycles.id, house.cast.charlie.id)))
    house.account(state=PAUSED, workspace=house.cast.cycles.id)
    assert "Ask nobody: the workspace has no owner." in words(admin(PROFILES + PAUSED))


def test_an_empty_list_says_so(house, admin):
    house.platform("twitter")
    assert "Nothing is left here" in words(admin(LISTS[0]))


# ---------------------------------------------------------------- the weather


def test_the_weather_stands_beside_each_platform(house, admin):
    house.platform("twitter")
    assert "X X Cannot tell Nobody called X in the last 15 minutes." in words(admin())
    with house.app.app_context():
        for number in range(12):
            tallies.answered("twitter", None, f"grt_{number}")
        tallies.flush(house.clock())
    assert "X X Clear X answers: 12 calls in the last 15 minutes, 0 of them came to nothing." in words(admin())


@pytest.mark.parametrize(("state", "said"), [
    ("active", "X answers nobody at present. Your connection is fine: do nothing, it goes on by itself."),
    (TOKEN_EXPIRED, "X answers nobody at present. Reconnect when it works again.")])
def test_tenants_read_on_their_profile_whose_trouble_it_is(house, state, said):
    account = house.account(state=state)
    paths = ("/profiles", f"/profiles/{account}") if state == TOKEN_EXPIRED else ("/profiles",)
    for path in paths:
        assert "X answers nobody" not in words(house.get(path))
    with house.app.app_context():
        for number in range(12):
            tallies.answered("twitter", TryLater("Down.", "503"), f"grt_{number}")
        tallies.flush(house.clock())
    house.app.extensions.pop("lately")
    for path in paths:
        assert said in words(house.get(path))


# ---------------------------------------------------------------- the checklist


def test_whatever_is_to_be_done_leads_to_a_page_that_is_there(house):
    """Each path that an item or a first step may name is looked up, whether it is named today or not."""
    paths = [checklist.HEALTH, checklist.PLATFORMS, checklist.ADDRESS_PAGE, checklist.MAIL_PAGE, checklist.DEPLOYMENT]
    with house.app.app_context():
        paths += [one.path.partition("#")[0] for one in checklist.first_steps(house.clock())]
    places = house.app.url_map.bind("127.0.0.1")
    assert [path for path in paths if not places.test(path, "GET")] == []


def test_the_checklist_unfolds_what_is_to_be_done(house, admin):
    page = admin()
    to_do, rest = page.text.split('id="checklist"')[1].split('<details class="fold">', 1)
    assert "things are to be done." in words(to_do)
    assert re.findall(r'id="item-([^"]+)"', to_do)[:1] and 'id="item-keys"' in to_do and 'id="item-mail"' in to_do
    assert 'id="item-backup"' in rest and 'id="item-https"' in rest


def test_with_everything_done_it_is_one_line(house, admin, monkeypatch):
    real = checklist.items
    monkeypatch.setattr(checklist, "items", lambda now: [replace(item, state=checklist.OK) for item in real(now)])
    text = words(admin())
    assert "All that can be told is in order" in text and "to be done." not in text


def test_an_admin_says_that_the_keys_are_copied_and_is_asked_again_when_they_change(house, admin, sign_in):
    root = as_person(house, sign_in, house.cast.root).client
    page = root.get("/admin/health")
    mark = re.search(r'name="keys" value="([^"]+)"', page.text)[1]
    answer = post(root, "/admin/health/keys", page, keys=mark)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/health#checklist")
    text = words(admin())
    assert "An admin said just now that there is a copy of the keys" in text and "I have a copy" not in text
    with house.app.app_context():
        event = house.app.extensions["sqlalchemy"].session.query(AuditEvent).filter_by(action="keys.copied").one()
        assert event.user_name == "Root" and mark in event.summary
    config = house.app.extensions["config"]
    house.app.extensions["config"] = replace(config, token_keys=("0" * 64, *config.token_keys))
    assert "I have a copy" in words(admin())
    post(root, "/admin/health/keys", page, keys=mark)  # of the keys that were
    assert "I have a copy" in words(admin())


def test_no_key_can_be_read_from_its_fingerprint(house):
    config = house.app.extensions["config"]
    mark = checklist.fingerprint(config)
    assert re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}", mark)
    assert mark.replace("-", "") not in "".join(config.token_keys)


def test_the_first_steps_go_away_once_they_are_done(house, admin):
    text = words(admin())
    assert "Getting started" in text and "Connect a profile" in text
    house.delivery("published", house.account())
    with house.app.app_context():
        checklist.confirm_keys(checklist.fingerprint(house.app.extensions["config"]), User(name="Root", email=""),
                               house.clock())
    assert "Getting started" not in words(admin())


def test_a_poll_leaves_the_checklist_alone(house, sign_in):
    root = as_person(house, sign_in, house.cast.root).client
    assert "checklist" not in root.get("/admin/health", headers={"HX-Request": "true"}).text


def test_http_and_the_sandbox_at_a_public_address_are_to_be_ended(house):
    config = house.app.extensions["config"]
    with house.app.app_context():
        assert {"https": "ok", "sandbox": "none"}.items() <= states(house).items()
        house.app.extensions["config"] = replace(config, public_url="http://console.example.org", sandbox=True)
        assert {"https": "todo", "sandbox": "todo"}.items() <= states(house).items()


def states(house):
    """The checks by name, with their state."""
    return {"sandbox": "none", **{item.name: item.state for item in checklist.items(house.clock())}}


# ---------------------------------------------------------------- the report


CANARIES = ("canary", "Harbour", "Linden", "example.com", "Secret", "Fresh Bread", "alice", "Alice", "charlie")


def test_the_report_has_nothing_of_a_tenant_and_no_secret_in_it(house, admin):
    with house.app.app_context(), writing() as session:
        session.add(Workspace(id="wsp_canary", name="canary-workspace", created_at=house.clock()))
        session.add(User(id="usr_canary", email="canary@canary.example", name="canary-person", password_hash="canary",
                         created_at=house.clock()))
    broken = house.account(name="canary-profile", user="canary-name", state=TOKEN_EXPIRED, workspace="wsp_canary",
                           reason_text="canary-reason")
    post_id, _ = house.delivery(FAILED, broken, workspace="wsp_canary", text="canary-text", note="canary-note")
    with house.app.app_context(), writing() as session:
        app = session.get_one(PlatformApp, "app_twitter")
        app.trouble, app.trouble_code, app.name, app.client_id = "canary-trouble", "canary code", "canary", "canary-id"
        app.check_message, app.off_note, app.callback_override = "canary", "canary", "https://canary.example/callback"
        session.add_all(AuditEvent(id=f"evt_{ULID.from_datetime(house.clock())}", at=house.clock(), action=action,
                                   subject_type="x", subject_id="x", summary="canary", user_name="canary")
                        for action in ("account.paused", "canary@canary.example", "canary two"))
        session.get_one(Post, post_id).author_name = "canary"
        session.get_one(Delivery, _).error_code = "canary"
    config = house.app.extensions["config"]
    house.app.extensions["config"] = replace(
        config, warnings=["MAIL_FROM canary@canary.example"], mail_url="smtp://canary:canary@canary.example",
        mail_from="canary@canary.example", database_url=config.database_url)
    answer = admin("/admin/health/report")
    assert answer.mimetype == "application/zip" and 'filename="socialconsole-report-2026' in answer.headers[
        "Content-Disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert sorted(archive.namelist()) == ["README.txt", "counts.json", "report.json", "settings.txt", "versions.txt"]
    for name in archive.namelist():
        text = archive.read(name).decode()
        for canary in (*CANARIES, config.secret_key, *config.token_keys, str(config.instance_path)):
            assert canary not in text, (name, canary)
    told = json.loads(archive.read("report.json"))
    assert {check["name"] for check in told["checks"]} >= {"keys", "https", "database", "trouble_twitter", "setting_1"}
    assert told["platforms"][0]["platform"] == "twitter" and told["platforms"][0]["numbers"]["token_expired"] == 1
    assert [line.split()[0] for line in archive.read("settings.txt").decode().splitlines()] == list(settings.NAMES)
    assert json.loads(archive.read("counts.json"))["activity_7_days"] == {"account.paused": 1, "other": 2}


# ---------------------------------------------------------------- canaries


def canaries_of(page):
    """The part of the page that is about canaries, in words."""
    return words(page.text.split('id="canaries"')[1].split("</section>")[0])


def test_an_admin_chooses_a_canary_of_their_own_and_none_again(house, sign_in):
    house.account()
    with house.app.app_context(), writing() as session:
        session.get_one(User, house.cast.alice.id).is_admin = True
    client = as_person(house, sign_in, house.cast.alice).client
    page = client.get("/admin/health")
    assert "None is chosen." in canaries_of(page)
    select = page.text.split('id="canary-of-twitter"')[1].split("</select>")[0]
    offered = re.findall(r'<option value="(acc_[^"]+)"', select)
    answer = post(client, "/admin/health/canary", page, platform="twitter", account=offered[0])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/health#canaries")
    page = client.get("/admin/health")
    assert "The canary of X is read within a minute" in words(page) and "X: Acme Bakery" in canaries_of(page)
    post(client, "/admin/health/canary", page, platform="twitter", account="")
    assert "None is chosen." in canaries_of(client.get("/admin/health"))


def test_a_canary_of_others_is_refused_and_so_is_an_unknown_platform(house, admin, sign_in):
    house.platform("twitter")
    root = as_person(house, sign_in, house.cast.root).client
    page = root.get("/admin/health")
    assert "Connect a profile of your own to X first." in canaries_of(page) and 'name="account"' not in page.text
    answer = post(root, "/admin/health/canary", page, platform="twitter", account="acc_bread")
    assert answer.status_code == 303
    page = root.get("/admin/health")
    assert "Choose one of your own profiles." in words(page) and "None is chosen." in canaries_of(page)
    assert post(root, "/admin/health/canary", page, platform="myspace", account="").status_code == 404
