"""The palette and the shortcut keys: what a person may open is found by name, and nothing else."""

import re

import pytest
from flask import url_for

from socialconsole.database import writing
from socialconsole.models import VIEWER, Membership
from socialconsole.web import frame, palette
from tests.journeys.tenant_house import HTMX


def words(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_every_page_and_action_leads_somewhere(app):
    with app.test_request_context():
        for one in (*palette.DEEDS, *((place.endpoint,) for place in frame.WORKSPACE_PLACES)):
            assert url_for(one[0], workspace_id="wsp_1")
        for endpoint in (*(place.endpoint for place in frame.ADMIN_PLACES), *(one[0] for one in palette.ADMIN_DEEDS)):
            assert url_for(endpoint)


def test_each_line_opens(house):
    found = house.client.get(f"/go?w={house.cast.bakery.id}")
    addresses = re.findall(r'<li data-words="[^"]*"><a href="([^"]+)"', found.text)
    assert len(addresses) > 15
    for address in addresses:
        assert house.client.get(address, follow_redirects=True).status_code == 200, address


def test_it_is_narrowed_without_script(house):
    page = words(house.client.get(f"/go?w={house.cast.bakery.id}&q=write%20POST"))
    assert "Write a post" in page and "Invite somebody" not in page
    assert "Nothing here is called that" in words(house.client.get("/go?q=zebra"))


def test_htmx_gets_the_list_alone(house):
    answer = house.client.get("/go", headers=HTMX)
    assert 'id="jumps"' in answer.text and "<html" not in answer.text


def test_a_stranger_s_workspace_is_not_there(house):
    assert house.client.get("/go?w=wsp_none").status_code == 404


def test_a_viewer_is_offered_nothing_that_would_be_refused(house):
    with house.app.app_context(), writing() as session:
        session.get_one(Membership, (house.cast.bakery.id, house.cast.alice.id)).role = VIEWER
    page = words(house.client.get(f"/go?w={house.cast.bakery.id}"))
    assert "Write a post" not in page and "Invite somebody" not in page and "Posts" in page


@pytest.mark.parametrize("wanted", ["off", "on"])
def test_single_letters_can_be_turned_off(house, wanted):
    token = re.search(r'name="csrf_token" value="([^"]+)"', house.client.get("/shortcuts").text)[1]
    assert house.client.post("/shortcuts", data={"csrf_token": token, "keys": wanted}).status_code == 303
    assert ("data-letters" in house.client.get("/shortcuts").text) == (wanted == "on")
