"""Several apps of a platform as a browser meets them: in the list, in Configure, and where a workspace connects."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from socialconsole import platform_apps
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import ACTIVE, TOKEN_EXPIRED, Account, PlatformApp, new_id
from socialconsole.providers import PROVIDERS
from tests.journeys.tenant_house import House, Signer, as_person, words
from tests.journeys.test_configure import (
    DIALOG,
    HTMX,
    ID,
    LIST,
    OTHER_ID,
    OTHER_SECRET,
    SECRET,
    post,
    press,
    save,
    text,
    token,
    value,
)

SECOND = f"{LIST}/linkedin-2"


@pytest.fixture
def admin(client, cast, sign_in):
    """Alice's browser: she is platform admin."""
    return sign_in(client, cast.alice)


def add(admin):
    """One more app of LinkedIn, filled in."""
    save(admin)
    answer = press(admin, f"{DIALOG}/apps")
    assert (answer.status_code, answer.headers["Location"]) == (303, SECOND)
    answer = post(admin, SECOND, mode="organization", client_id=OTHER_ID, client_secret=OTHER_SECRET, name="Pages")
    assert (answer.status_code, answer.headers["Location"]) == (303, SECOND), text(answer.text)


# ---------------------------------------------------------------- the admin's list


def test_only_a_saved_platform_takes_another_app(admin):
    assert "Add another app" not in text(admin.get(LIST).text)
    answer = press(admin, f"{DIALOG}/apps")
    assert answer.status_code == 409 and "Save the first app" in text(answer.text)
    save(admin)
    assert text(admin.get(LIST).text).count("Add another app") == 1
    assert press(admin, f"{LIST}/orkut/apps").status_code == 404


def test_the_list_shows_the_platform_once_with_both_apps(admin):
    add(admin)
    page = admin.get(LIST).text
    member = PROVIDERS["linkedin"].modes[0].label
    assert page.count('id="platform-linkedin"') == 1
    for title, address in ((f"LinkedIn · {member}", DIALOG), ("LinkedIn · Pages", SECOND)):
        assert f'aria-label="Configure {title}"' in page and f'href="{address}"' in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_each_switch_turns_its_own_app(admin):
    add(admin)
    answer = press(admin, f"{SECOND}/on", HTMX)
    assert answer.status_code == 200 and 'id="platform-linkedin"' in answer.text
    switches = dict(re.findall(r'id="switch-(linkedin[^"]*)"[^>]*aria-checked="(\w+)"', admin.get(LIST).text))
    assert switches == {"linkedin": "false", "linkedin-2": "true"}
    assert "LinkedIn · Pages is on" in text(answer.text)


def test_a_further_app_is_removed_when_nothing_hangs_on_it(admin, app):
    add(admin)
    page = admin.get(LIST).text
    assert f'action="{SECOND}/remove"' in page and f'action="{DIALOG}/remove"' not in page
    press(admin, f"{SECOND}/on")
    assert f'action="{SECOND}/remove"' not in admin.get(LIST).text
    refused = press(admin, f"{SECOND}/remove")
    assert refused.status_code == 409 and "Turn it off first" in text(refused.text)
    press(admin, f"{SECOND}/off")
    assert press(admin, f"{SECOND}/remove").status_code == 303
    page = text(admin.get(LIST).text)
    assert "LinkedIn · Pages is removed." in page and "LinkedIn · Pages is off" not in page
    assert admin.get(SECOND).status_code == 404
    assert press(admin, f"{DIALOG}/remove").status_code == 409


def test_only_admins_add_and_remove(client, cast, sign_in):
    sign_in(client, cast.bob)
    for path in (f"{DIALOG}/apps", f"{DIALOG}/remove"):
        assert client.post(path).status_code in (400, 403)


# ---------------------------------------------------------------- Configure


def test_each_app_has_its_own_callback_and_values(admin, config):
    add(admin)
    page = admin.get(SECOND).text
    assert f">{config.callback_url('linkedin-2')}</code>" in re.sub("<wbr>", "", page)
    assert value(page, "client_id") == OTHER_ID and value(page, "name") == "Pages"
    assert value(admin.get(DIALOG).text, "client_id") == ID
    assert SECRET not in page and OTHER_SECRET not in page


def test_a_name_is_asked_for_only_where_there_are_several(admin):
    save(admin)
    assert 'name="name"' not in admin.get(DIALOG).text
    press(admin, f"{DIALOG}/apps")
    assert 'name="name"' in admin.get(DIALOG).text and 'name="name"' in admin.get(SECOND).text


def test_workspaces_are_ticked_without_javascript(admin, app, cast):
    answer = post(admin, client_id=ID, client_secret=SECRET, workspaces="some", workspace_ids=[cast.cycles.id])
    assert answer.status_code == 303
    page = admin.get(DIALOG).text
    assert re.search(rf'value="{cast.cycles.id}" checked', page) and re.search(r'value="some" checked', page)
    assert not re.search(rf'value="{cast.bakery.id}" checked', page)
    refused = post(admin, workspaces="some", workspace_ids=None)
    assert refused.status_code == 422 and "Tick at least one workspace" in text(refused.text)
    assert re.search(r'value="some" checked', refused.text), "what was chosen stays chosen"


def test_the_addresses_for_the_portal_can_be_copied(admin, config):
    page = re.sub("<wbr>", "", admin.get(f"{LIST}/threads").text)
    assert "Addresses for the portal" in page
    for what in ("deauthorize", "deletion"):
        shown = re.findall(rf'<code id="([^"]+)">{config.public_url}/api/connect/threads/{what}</code>', page)
        assert len(shown) == 2, "in the form and in the guide"
        assert all(f'data-copy="{one}"' in page for one in shown) and len(set(shown)) == 2
    assert f"{config.public_url}/media/</code>" in page
    assert "Addresses for the portal" not in admin.get(f"{LIST}/youtube").text


def test_the_proof_file_of_a_platform_is_typed_in_and_served(admin):
    typed = {"mode": None, "client_id": "awabcdef0123456789", "client_secret": "a" * 32,
             "option_verification_file": "tiktokAbC123.txt", "option_verification_text": "proof=abc"}
    refused = post(admin, f"{LIST}/tiktok", **{**typed, "option_verification_file": "passwd.txt"})
    assert refused.status_code == 422 and "Copy the name of the file" in text(refused.text)
    assert post(admin, f"{LIST}/tiktok", **typed).status_code == 303
    assert value(admin.get(f"{LIST}/tiktok").text, "option_verification_file") == "tiktokAbC123.txt"
    assert admin.get("/media/tiktokAbC123.txt").text.strip() == "proof=abc"


def test_scopes_of_two_families_are_refused_at_their_field(admin):
    answer = post(admin, f"{LIST}/instagram", mode="facebook_login",
                  scope_override="instagram_basic,instagram_business_content_publish")
    assert answer.status_code == 422 and 'id="scope_override-error"' in answer.text


# ---------------------------------------------------------------- the workspace


@pytest.fixture
def both(house: House) -> House:
    """LinkedIn with an app for members and one for pages."""
    house.platform("linkedin", mode="member")
    with house.app.app_context(), writing() as session:
        second = PlatformApp(id="app_pages", platform="linkedin", segment="linkedin-2", name="Company pages",
                             client_id="pages-client", mode="organization", is_on=True, created_at=house.clock(),
                             updated_at=house.clock(), secret_version=1)
        second.secret_sealed = platform_apps.vault().seal("s3cret", *platform_apps.secret_record(second))
        session.add(second)
    return house


def test_connect_names_each_app_and_leads_out_through_it(both: House) -> None:
    page = words(both.get("/profiles"))
    member = PROVIDERS["linkedin"].modes[0].label
    assert f"LinkedIn · {member}" in page and "LinkedIn · Company pages" in page
    sent = parse_qs(urlsplit(both.post("/connect/linkedin-2").location).query)
    assert sent["client_id"] == ["pages-client"]
    assert sent["redirect_uri"][0].endswith("/api/connect/linkedin-2/callback")
    assert parse_qs(urlsplit(both.post("/connect/linkedin").location).query)["client_id"] == ["client-of-linkedin"]


def test_one_app_is_offered_under_the_name_of_its_platform(house: House) -> None:
    house.platform("linkedin", mode="member")
    assert "LinkedIn ·" not in words(house.get("/profiles"))


def test_an_app_of_another_workspace_is_refused_in_words(both: House) -> None:
    with both.app.app_context(), writing() as session:
        session.get_one(PlatformApp, "app_pages").workspace_ids = [both.cast.cycles.id]
    assert "Company pages" not in words(both.get("/profiles"))
    answer = both.post("/connect/linkedin-2")
    assert answer.status_code == 409 and "LinkedIn is not turned on for this workspace" in words(answer)
    assert both.post("/connect/linkedin-9").status_code == 404


def test_reconnect_goes_through_the_app_that_gave_the_permission(both: House, sign_in: Signer) -> None:
    account = both.account("linkedin", state=TOKEN_EXPIRED)
    with both.app.app_context(), writing() as session:
        grant = session.get_one(Account, account).grant
        assert grant is not None
        grant.app_id = "app_pages"
    bob = as_person(both, sign_in, both.cast.bob)
    sent = parse_qs(urlsplit(bob.post(f"/profiles/{account}/reconnect").location).query)
    assert sent["client_id"] == ["pages-client"]
    with both.app.app_context(), writing() as session:
        session.get_one(PlatformApp, "app_pages").is_on = False
    answer = bob.post(f"/profiles/{account}/reconnect")
    assert answer.status_code == 409 and "another kind of use" in words(answer)
    assert f"{account}/reconnect" not in both.get(f"/profiles/{account}").text


def test_the_question_says_whom_a_revoke_would_end(house: House) -> None:
    account = house.account("facebook")
    with house.app.app_context(), writing() as session:
        found = session.get_one(Account, account)
        session.add(Account(workspace_id=found.workspace_id, platform="facebook", platform_user_id=new_id("u"),
                            grant=found.grant, display_name="Other page", state=ACTIVE, state_since=house.clock(),
                            connected_at=house.clock()))
    page = words(house.get(f"/profiles/{account}/disconnect"))
    assert "1 other connection lives by it; taking it back there would end that one too" in page
    with house.app.app_context():
        assert db.session.get_one(Account, account).state == ACTIVE


def test_a_form_token_is_needed_as_everywhere(admin):
    save(admin)
    assert admin.post(f"{DIALOG}/apps").status_code == 400
    assert admin.post(f"{DIALOG}/apps", data={"csrf_token": token(admin)}).status_code == 303
