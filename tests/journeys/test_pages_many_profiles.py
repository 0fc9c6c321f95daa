"""Social Profile with more profiles than fit on a page: paged, searched, and never slower by the number of them."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from socialconsole import accounts
from socialconsole.extensions import db
from socialconsole.models import DISCONNECTED, PAUSED, TOKEN_EXPIRED, Account, Workspace


def names(answer):
    return re.findall(r'<h2><a class="name"[^>]*>([^<]+)</a>', answer.text)


@pytest.fixture
def many(house):
    """Sixty profiles, of which one needs a person, one is paused and one is history."""
    for number in range(57):
        house.account(name=f"Profile {number:02}", user=f"p{number:02}")
    house.account("facebook", name="Gone", state=TOKEN_EXPIRED, reason="revoked", reason_text="It was revoked.")
    house.account("facebook", name="Resting", state=PAUSED, state_by="Alice")
    house.account("linkedin", name="Former", state=DISCONNECTED)
    return house


def test_eighteen_on_a_page_and_those_that_need_a_person_first(many):
    pages = [many.get(f"/profiles?page={number}") for number in (1, 2, 3, 4)]
    assert len(names(pages[0])) == 18 and names(pages[0])[0] == "Gone" and "1 to 18 of 60" in pages[0].text
    assert names(pages[-1])[-2:] == ["Resting", "Former"] and "55 to 60 of 60" in pages[-1].text
    assert len({name for page in pages for name in names(page)}) == 60


@pytest.mark.parametrize("page", ["0", "-3", "999", "x", "9" * 40])
def test_a_page_that_is_not_there_is_the_nearest(many, page):
    answer = many.get(f"/profiles?page={page}")
    assert answer.status_code == 200 and names(answer)


def test_search_finds_by_name_handle_and_platform(many):
    assert names(many.get("/profiles?q=profile+07")) == ["Profile 07"]
    assert names(many.get("/profiles?q=P33")) == ["Profile 33"]
    assert names(many.get("/profiles?q=facebook")) == ["Gone", "Resting"]
    nothing = many.get("/profiles?q=%3Cb%3E")
    assert names(nothing) == [] and "No profile is called “&lt;b&gt;” here" in nothing.text


def test_the_banner_names_a_few_and_counts_the_rest(house):
    for number in range(6):
        house.account(name=f"Lost {number}", user=f"l{number}", state=TOKEN_EXPIRED, reason="revoked", reason_text="x")
    text = house.get("/profiles").text
    assert "6 profiles need you" in text and "and 3 more." in text


def test_the_number_of_queries_does_not_grow(house):
    def queries():
        seen = []
        with house.app.app_context():
            engine = db.engine

        def note(*_):
            seen.append(1)

        event.listen(engine, "before_cursor_execute", note)
        try:
            assert house.get("/profiles").status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    house.account(name="First", user="first")
    house.get("/profiles")
    few = queries()
    for number in range(16):
        house.account(name=f"More {number}", user=f"m{number}")
    assert queries() == few


def test_an_outline_tells_the_same_status_as_the_account(many, house):
    house.account(name="Ends soon", user="soon", ends=timedelta(days=3), refresh=False)
    house.account("facebook", name="Not asked", user="narrow", scopes=("public_profile",))
    now = house.clock()
    with house.app.app_context():
        workspace = db.session.get_one(Workspace, house.cast.bakery.id)
        read = {one.id: one for one in accounts.outlines(workspace)}
        found = db.session.query(Account).filter_by(workspace_id=workspace.id).all()
        assert len(found) == len(read) == 62
        for one in found:
            assert read[one.id].word(now) == accounts.status(one, now).word
            assert read[one.id].missing_to_publish == accounts.missing_to_publish(one)
        words = [one.word(now) for one in read.values()]
        assert {"limited", "token_expired", "paused", "disconnected", "active"} <= set(words)
        assert accounts.needs_count(list(read.values()), now) == sum(word in accounts.NEEDS_PERSON for word in words)
