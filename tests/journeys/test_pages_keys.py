"""API keys as owners and platform admins see them: made and shown once, found again by first letters, revoked."""

import html
import logging
import re
from typing import Any

import pytest

from socialconsole import api_keys, members
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import EDITOR, OWNER, Membership, User, Workspace
from socialconsole.models_api import ApiKey
from tests.journeys.tenant_house import House, Signer, as_person, words

FORM = {"name": "Nightly job", "permissions": ["read", "write_posts"], "life": "90"}
KEY = re.compile(r"sck_[0-9A-Za-z]{40}")


def make(house: House, path: str = "/keys", **typed: Any) -> str:
    """Make a key and read it off the page that shows it."""
    answer = house.post(path, {**FORM, **typed})
    assert answer.status_code == 200, words(answer)
    found = KEY.search(answer.text)
    assert found is not None, words(answer)
    return found[0]


def admin_post(house: House, path: str, data: dict[str, Any]) -> Any:
    """Send a form of the administration."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', house.client.get("/admin/keys").text)
    assert found is not None
    return house.client.post(path, data={**data, "csrf_token": found[1]})


class TestMaking:
    def test_an_empty_page_says_what_keys_are_for(self, house: House) -> None:
        page = words(house.get("/keys"))
        assert "No key yet" in page and "New key" in page and "Without asking a person" in page

    def test_a_key_is_shown_in_the_answer_and_never_again(self, house: House) -> None:
        answer = house.post("/keys", FORM)
        token = KEY.findall(answer.text)
        assert len(set(token)) == 1 and answer.headers["Cache-Control"] == "no-store"
        assert "/v1/workspaces" in html.unescape(answer.text) and "$SOCIALCONSOLE_API_KEY" in html.unescape(answer.text)
        assert '<code id="copy-' in answer.text and "data-copy" in answer.text
        for page in (house.get("/keys"), house.get("/activity"), house.get("/settings"), house.client.get("/me")):
            assert token[0] not in page.text and token[0][12:] not in page.text
        page = words(house.get("/keys"))
        assert f"{token[0][:12]}…" in page and "Read, Write posts" in page and "not used yet" in page

    def test_neither_address_nor_cookie_nor_log_has_it(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            answer = house.post("/keys", FORM)
        found = KEY.search(answer.text)
        assert found is not None
        assert not any(found[0] in f"{name}{value}" for name, value in answer.headers)
        assert "Location" not in answer.headers
        cookies = "".join(cookie.value for cookie in house.client._cookies.values())  # type: ignore[union-attr]
        assert found[0] not in cookies
        assert not any(found[0] in record.getMessage() for record in caplog.records)

    def test_sending_the_form_again_makes_no_second_key(self, house: House) -> None:
        make(house, once="abc")
        answer = house.post("/keys", {**FORM, "once": "abc"})
        assert answer.status_code == 409 and not KEY.search(answer.text) and "shown only once" in answer.text
        assert house.count(ApiKey) == 1
        make(house, once="another")

    @pytest.mark.parametrize(("typed", "says"), [
        ({"name": ""}, "Give the key a name"), ({"name": "x" * 101}, "Give the key a name"),
        ({"permissions": []}, "Choose at least one"), ({"permissions": ["all"]}, "no permission called all"),
        ({"permissions": ["instance"]}, "no permission called instance"), ({"life": "forever"}, "Choose when"),
        ({"life": "-1"}, "Choose when"), ({"name": "\x00\x1b"}, "Give the key a name")])
    def test_what_is_wrong_stands_beside_the_field_and_the_rest_stays(self, house: House, typed: dict[str, Any],
                                                                      says: str) -> None:
        answer = house.post("/keys", {**FORM, "name": "Kept name", "permissions": ["approve"], **typed})
        assert answer.status_code == 422 and says in words(answer) and house.count(ApiKey) == 0
        if "name" not in typed:
            assert 'value="Kept name"' in answer.text
        if "permissions" not in typed:
            assert re.search(r'value="approve" checked', answer.text)

    def test_a_form_without_anything(self, house: House) -> None:
        assert house.post("/keys", {}).status_code == 422

    @pytest.mark.parametrize(("life", "says"), [("30", "ends in 30 days"), ("365", "ends in"),
                                                ("never", "does not end")])
    def test_when_it_ends(self, house: House, life: str, says: str) -> None:
        make(house, life=life)
        assert says in words(house.get("/keys"))

    def test_markup_in_a_name_stays_text(self, house: House) -> None:
        make(house, name='<img src=x onerror="alert(1)">')
        page = house.get("/keys").text
        assert "<img src=x" not in page and "&lt;img src=x" in page


class TestListing:
    def test_found_by_name_or_first_letters(self, house: House) -> None:
        token = make(house)
        make(house, name="Backup")
        for text in ("nightly", token[:10], token[:12]):
            page = words(house.get(f"/keys?q={text}"))
            assert "Nightly job" in page and "Backup" not in page, text
        assert "No key has a name with" in words(house.get("/keys?q=nothing"))

    def test_a_whole_key_in_the_search_is_not_repeated(self, house: House) -> None:
        token = make(house)
        answer = house.get(f"/keys?q={token}")
        assert answer.status_code == 303 and answer.location == f"/w/wsp_bakery/keys?q={token[:12]}"
        page = house.client.get(answer.location).text
        assert token not in page and "Nightly job" in page and f'maxlength="{api_keys.SHOWN}"' in page

    def test_owners_see_all_keys_of_the_workspace_and_others_none(self, house: House, sign_in: Signer) -> None:
        with house.app.app_context(), writing():
            db.session.get_one(Membership, (house.cast.bakery.id, house.cast.bob.id)).role = OWNER
        bob, vera = (as_person(house, sign_in, who) for who in (house.cast.bob, house.cast.vera))
        make(bob, name="Of Bob")
        assert "Of Bob" in words(house.get("/keys"))
        with house.app.app_context(), writing():
            db.session.get_one(Membership, (house.cast.bakery.id, house.cast.bob.id)).role = EDITOR
        page = words(house.get("/keys"))
        assert "Limited" not in page and "Works" in page  # an editor may write posts too
        for other in (bob, vera):
            assert other.get("/keys").status_code == 403
            assert 'href="/w/wsp_bakery/keys"' not in other.get("/posts").text
        with house.app.app_context():
            workspace = db.session.get_one(Workspace, house.cast.bakery.id)
            members.remove(workspace, house.cast.bob.id)
        page = words(house.get("/keys"))
        assert "Stopped" in page and "Bob left the workspace" in page

    def test_when_and_from_where_it_was_used(self, house: House) -> None:
        token = make(house)
        with house.app.app_context():
            assert api_keys.find(token, house.clock(), "192.0.2.7")
        house.clock.advance(minutes=5)
        page = words(house.get("/keys"))
        assert "used" in page and "from 192.0.2.7" in page and "not used yet" not in page

    def test_the_settings_lead_here(self, house: House) -> None:
        assert 'href="/w/wsp_bakery/keys"' in house.get("/settings").text
        assert 'href="/admin/keys"' in house.client.get("/admin/health").text


class TestRevoking:
    def test_it_is_asked_once_and_then_over(self, house: House) -> None:
        token = make(house)
        link = re.search(r'href="(/w/wsp_bakery/keys/key_\w+/revoke)"', house.get("/keys").text)
        assert link is not None
        page = house.client.get(link[1])
        assert "What goes" in words(page) and "What stays" in words(page) and token not in page.text
        path = link[1].removeprefix("/w/wsp_bakery")
        for _ in range(2):
            assert house.post(path).status_code == 303
        page = house.get("/keys").text
        assert "Revoked" in page and link[1] not in page
        assert "<dialog" not in house.client.get(link[1]).text
        with house.app.app_context():
            assert api_keys.find(token, house.clock()) is None

    def test_nobody_else_revokes_it(self, house: House, sign_in: Signer) -> None:
        make(house)
        with house.app.app_context():
            key_id = db.session.query(ApiKey).one().id
        for who, status in ((house.cast.bob, 403), (house.cast.vera, 403), (house.cast.charlie, 404)):
            other = as_person(house, sign_in, who)
            assert other.client.post(f"/w/wsp_bakery/keys/{key_id}/revoke").status_code in (status, 400)
        charlie = as_person(house, sign_in, house.cast.charlie)
        for path in (f"/w/wsp_cycles/keys/{key_id}/revoke", "/w/wsp_cycles/keys/nothing/revoke"):
            assert charlie.client.get(path).status_code == 404
        assert admin_post(house, f"/admin/keys/{key_id}/revoke", {}).status_code == 404
        assert house.row(ApiKey, key_id).revoked_at is None


class TestAdministration:
    def test_keys_of_the_installation_are_apart(self, house: House) -> None:
        make(house)
        answer = admin_post(house, "/admin/keys", {"name": "Watch", "life": "30"})
        found = KEY.search(answer.text)
        assert answer.status_code == 200 and found is not None and answer.headers["Cache-Control"] == "no-store"
        page = words(house.client.get("/admin/keys"))
        assert "Watch" in page and "The whole installation" in page and "Nightly job" not in page
        assert "Watch" not in words(house.get("/keys"))
        assert found[0] not in house.client.get("/admin/keys").text + house.client.get("/admin/activity").text

    def test_it_stops_with_the_admin(self, house: House) -> None:
        answer = admin_post(house, "/admin/keys", {"name": "Watch", "life": "never"})
        found = KEY.search(answer.text)
        assert found is not None
        with house.app.app_context(), writing():
            db.session.get_one(User, house.cast.root.id)
            db.session.query(ApiKey).one().user_id = house.cast.root.id
            db.session.get_one(User, house.cast.root.id).is_platform_admin = False
        assert "Root is no platform admin any more" in words(house.client.get("/admin/keys"))

    def test_it_is_revoked_there(self, house: House) -> None:
        admin_post(house, "/admin/keys", {"name": "Watch"})
        with house.app.app_context():
            key_id = db.session.query(ApiKey).one().id
        assert "What goes" in words(house.client.get(f"/admin/keys/{key_id}/revoke"))
        assert house.get(f"/keys/{key_id}/revoke").status_code == 404
        assert admin_post(house, f"/admin/keys/{key_id}/revoke", {}).status_code == 303
        assert house.row(ApiKey, key_id).revoked_at is not None
