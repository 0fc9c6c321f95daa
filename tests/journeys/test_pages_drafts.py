"""Drafts on their pages: saved, listed, discarded, conflicting; approval; changing what is scheduled."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    FAILED,
    HELD,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SUBMITTED,
    AuditEvent,
    Delivery,
    Post,
    Series,
    Slot,
    Workspace,
)
from tests.journeys.tenant_house import HTMX, House, Signer, as_person, words

JSON = {"Accept": "application/json"}


@pytest.fixture
def bob(house: House, sign_in: Signer) -> House:
    """Bob, an editor."""
    return as_person(house, sign_in, house.cast.bob)


@pytest.fixture
def vera(house: House, sign_in: Signer) -> House:
    """Vera, who may look."""
    return as_person(house, sign_in, house.cast.vera)


def approval(house: House, on: bool = True) -> None:
    """Turn approval on."""
    with house.app.app_context(), writing() as session:
        session.get_one(Workspace, house.cast.bakery.id).needs_approval = on


def saved(house: House, **form: Any) -> str:
    """Save a draft as the script does; its id."""
    answer = house.post("/drafts/save", {"text": "Saffron buns", "when": "now", "nonce": "n1", **form}, headers=JSON)
    assert answer.status_code == 200, answer.text
    return str(answer.json["post_id"])


def row(house: House, post_id: str) -> Post:
    """A post as it is now."""
    found: Post = house.row(Post, post_id)
    return found


def form_of(page: Any) -> dict[str, str]:
    """The hidden fields by which a compose page names its draft."""
    return {name: re.search(rf'name="{name}"[^>]*value="([^"]*)"', page.text)[1]  # type: ignore[index]
            for name in ("post_id", "version", "nonce")}


def deliveries(house: House, post_id: str) -> list[Delivery]:
    """The deliveries of a post, by account."""
    with house.app.app_context():
        return list(db.session.query(Delivery).filter_by(post_id=post_id).order_by(Delivery.account_id))


class TestSaving:
    def test_a_draft_is_kept_with_everything_typed_and_opens_again(self, house: House) -> None:
        one, _two = house.account(), house.account(name="Second")
        draft = saved(house, accounts=one, when="later", wall_time="2026-12-01T08:30", part=["Second part"],
                      first_comment="First", repeat="week", last_day="2027-01-31")
        found = row(house, draft)
        assert (found.state, found.timing, found.wall_time) == (DRAFT, "later", "2026-12-01T08:30")
        assert [one["account_id"] for one in found.targets] == [one] and found.version == 1
        page = house.get(f"/compose?post={draft}").text
        assert "Saffron buns" in page and "Second part" in page and 'value="2026-12-01T08:30"' in page
        assert re.search(rf'value="{one}"[^>]* checked', page) and 'value="2027-01-31"' in page
        assert re.search(r'name="repeat" value="week"[^>]* checked', page)

    def test_the_same_form_saved_again_raises_the_version_only_if_something_changed(self, house: House) -> None:
        draft = saved(house)
        assert saved(house) == draft and row(house, draft).version == 1
        assert saved(house, post_id=draft, version="1", text="Saffron buns are back") == draft
        assert row(house, draft).version == 2 and house.count(Post) == 1

    def test_line_ends_of_a_form_are_no_change(self, house: House) -> None:
        draft = saved(house, text="One\nTwo")
        assert saved(house, post_id=draft, version="1", text="One\r\nTwo") == draft
        assert row(house, draft).version == 1

    def test_without_script_a_button_saves_and_leads_back_to_the_form(self, house: House) -> None:
        house.account()
        answer = house.post("/drafts/save", {"text": "Saffron buns", "nonce": "n1"})
        assert answer.status_code == 303 and "/compose?post=pst_" in answer.location
        page = house.client.get(answer.location)
        assert "Draft saved." in page.text and "Saffron buns" in page.text
        assert form_of(page)["version"] == "1"

    def test_nothing_is_not_kept(self, house: House) -> None:
        answer = house.post("/drafts/save", {"text": "  ", "nonce": "n1"}, headers=JSON)
        assert answer.status_code == 422 and "nothing to keep" in answer.json["said"] and house.count(Post) == 0

    def test_a_viewer_cannot_and_a_stranger_finds_nothing(self, house: House, vera: House, sign_in: Signer) -> None:
        draft = saved(house)
        assert vera.post("/drafts/save", {"text": "Mine"}).status_code == 403
        charlie = as_person(house, sign_in, house.cast.charlie)
        assert charlie.get("/drafts").status_code == 404
        theirs = f"/w/{house.cast.cycles.id}"
        token = re.search(r'name="csrf_token" value="([^"]+)"', charlie.client.get(theirs + "/drafts").text)
        assert token is not None
        form = {"csrf_token": token[1], "text": "Mine", "post_id": draft, "version": "1"}
        for path in ("/drafts/save", f"/drafts/{draft}/discard", f"/drafts/{draft}/restore", "/compose",
                     f"/approval/{draft}/approve"):
            assert charlie.client.post(theirs + path, data=form).status_code == 404, path
        assert charlie.client.get(f"{theirs}/compose?post={draft}").status_code == 404
        assert charlie.client.get(f"{theirs}/approval/{draft}").status_code == 404
        assert row(house, draft).text == "Saffron buns"

    def test_a_strange_version_and_an_endless_text_are_no_crash(self, house: House) -> None:
        draft = saved(house)
        answer = house.post("/drafts/save", {"text": "x", "post_id": draft, "version": "9" * 40}, headers=HTMX)
        assert answer.status_code == 409
        answer = house.post("/drafts/save", {"text": "x" * 300_001, "nonce": "n2"}, headers=JSON)
        assert answer.status_code == 422 and "too long" in answer.json["said"]

    def test_signed_out_the_script_is_told_so_and_does_not_go_elsewhere(self, house: House) -> None:
        client: FlaskClient = house.app.test_client()
        answer = client.post(house.base + "/drafts/save", data={"text": "x"}, headers={**JSON, **HTMX})
        assert answer.status_code == 401

    def test_the_script_learns_who_is_signed_in_and_how_the_draft_stands(self, house: House, bob: House) -> None:
        draft = saved(house)
        told = house.get(f"/drafts/status?post={draft}").json
        assert (told["user"], told["version"], told["state"]) == (house.cast.alice.id, 1, DRAFT) and told["token"]
        assert house.get("/drafts/status?nonce=n1").json["post_id"] == draft
        assert house.get("/drafts/status?nonce=other").json["post_id"] == ""
        assert bob.get(f"/drafts/status?post={draft}").json["said"] == "Alice changed this draft just now."

    def test_a_draft_that_saves_itself_does_not_fill_the_activity(self, house: House) -> None:
        draft = saved(house)
        for number in range(1, 6):
            saved(house, post_id=draft, version=str(number), text=f"Buns {number}")
        with house.app.app_context():
            assert db.session.query(AuditEvent).filter_by(subject_id=draft).count() == 1


class TestTheList:
    def test_it_shows_text_profiles_and_who_saved(self, house: House) -> None:
        saved(house, accounts=house.account())
        page = words(house.get("/drafts"))
        assert "Saffron buns" in page and "Acme Bakery" in page and "by Alice" in page

    def test_it_is_empty_with_the_next_step(self, house: House) -> None:
        assert "No drafts" in house.get("/drafts").text

    def test_a_discarded_draft_can_be_brought_back(self, house: House) -> None:
        draft = saved(house, when="later", wall_time="2026-12-01T08:30")
        answer = house.post(f"/drafts/{draft}/discard", {"version": "1"})
        page = house.client.get(answer.location)
        assert "Draft discarded." in page.text and "Undo" in page.text and "Saffron buns" not in page.text
        assert (row(house, draft).state, row(house, draft).due_at) == (CANCELLED, None)
        answer = house.post(f"/drafts/{draft}/restore", follow_redirects=True)
        assert "The draft is back." in answer.text and "Saffron buns" in answer.text
        assert row(house, draft).due_at is not None

    def test_what_somebody_else_changed_is_not_discarded_unseen(self, house: House, bob: House) -> None:
        draft = saved(house)
        saved(bob, post_id=draft, version="1", text="Bob was here")
        answer = house.post(f"/drafts/{draft}/discard", {"version": "1"}, follow_redirects=True)
        assert "Bob" in answer.text and row(house, draft).state == DRAFT

    def test_a_viewer_sees_and_cannot_act(self, house: House, vera: House) -> None:
        draft = saved(house)
        page = vera.get("/drafts").text
        assert "Saffron buns" in page and "Discard" not in page
        assert vera.get(f"/approval/{draft}").status_code == 200
        assert vera.post(f"/drafts/{draft}/discard", {"version": "1"}).status_code == 403

    def test_it_is_read_in_pages(self, house: House) -> None:
        for number in range(52):
            saved(house, nonce=f"n{number}", text=f"Draft number {number}")
        page = house.get("/drafts").text
        assert page.count('class="row post"') == 50
        older = re.search(r'href="([^"]+before=[^"]+)"', page)
        assert older is not None
        assert house.client.get(older[1]).text.count('class="row post"') == 2


class TestScheduling:
    def test_a_draft_becomes_that_very_post(self, house: House) -> None:
        account = house.account()
        draft = saved(house, accounts=account)
        form = {"text": "Saffron buns are back", "accounts": account, "when": "later", "wall_time": "2026-12-01T08:30",
                "post_id": draft, "version": "1", "nonce": "n2"}
        answer = house.post("/compose", form)
        assert answer.status_code == 303 and answer.location.endswith(f"/posts/{draft}")
        found = row(house, draft)
        assert (found.state, found.text, found.targets) == (SCHEDULED, "Saffron buns are back", [])
        assert [one.state for one in deliveries(house, draft)] == [SCHEDULED]
        again = house.post("/compose", form)
        assert again.location.endswith(f"/posts/{draft}") and house.count(Post) == 1 and house.count(Delivery) == 1

    def test_a_form_that_saved_itself_and_is_sent_without_its_name_makes_one_post(self, house: House) -> None:
        account = house.account()
        draft = saved(house, accounts=account)
        answer = house.post("/compose", {"text": "Saffron buns", "accounts": account, "when": "now", "nonce": "n1"})
        assert answer.location.endswith(f"/posts/{draft}") and house.count(Post) == 1

    def test_what_is_wrong_keeps_draft_and_version(self, house: House) -> None:
        draft = saved(house)
        page = house.post("/compose", {"text": "x" * 300, "accounts": house.account(), "when": "now", "nonce": "n2",
                                       "post_id": draft, "version": "1"})
        assert page.status_code == 422 and form_of(page) == {"post_id": draft, "version": "1", "nonce": "n2"}
        assert row(house, draft).state == DRAFT

    def test_a_draft_that_repeats_begins_the_series_as_its_first_post(self, house: House) -> None:
        account = house.account()
        draft = saved(house, accounts=account, repeat="week", when="later", wall_time="2026-12-01T08:30")
        form = {"text": "Saffron buns", "accounts": account, "when": "later", "wall_time": "2026-12-01T08:30",
                "repeat": "week", "post_id": draft, "version": "1", "nonce": "n2"}
        for _ in range(2):
            assert house.post("/compose", form).location.endswith(f"/posts/{draft}")
        assert house.count(Series) == 1 and house.count(Post) == 1
        assert row(house, draft).series_id is not None and "repeat" not in row(house, draft).content

    def test_a_post_takes_the_next_slot_of_the_queue(self, house: House) -> None:
        account = house.account()
        form = {"text": "Buns", "accounts": account, "when": "queue", "nonce": "n1"}
        page = house.post("/compose", form)
        assert page.status_code == 422 and "queue has no slots" in words(page)
        with house.app.app_context(), writing() as session:
            session.add(Slot(workspace_id=house.cast.bakery.id, weekday=0, wall="08:30"))
        found = row(house, house.post("/compose", form).location.rsplit("/", 1)[1])
        assert found.is_queued and found.wall_time == "2026-11-23T08:30"


class TestTwoPeople:
    def test_the_second_to_save_is_shown_both_and_nothing_is_overwritten(self, house: House, bob: House) -> None:
        draft = saved(house)
        saved(bob, post_id=draft, version="1", text="Bob writes of rye")
        answer = house.post("/drafts/save", {"text": "Alice writes of saffron", "post_id": draft, "version": "1",
                                             "nonce": "n1"})
        said = words(answer)
        assert answer.status_code == 409 and "Bob changed this while you were writing" in said
        assert "Bob writes of rye" in said and "Alice writes of saffron" in said
        assert row(house, draft).text == "Bob writes of rye"
        assert 'name="keep" value="2"' in answer.text and f"post={draft}" in answer.text

    def test_keep_mine_saves_mine_over_theirs_on_purpose(self, house: House, bob: House) -> None:
        draft = saved(house)
        saved(bob, post_id=draft, version="1", text="Bob writes of rye")
        form = {"text": "Alice writes of saffron", "post_id": draft, "version": "1", "nonce": "n1", "keep": "2"}
        assert house.post("/drafts/save", form).status_code == 303
        assert (row(house, draft).text, row(house, draft).version) == ("Alice writes of saffron", 3)

    def test_keep_mine_fails_once_more_if_they_changed_it_again(self, house: House, bob: House) -> None:
        draft = saved(house)
        saved(bob, post_id=draft, version="1", text="Two")
        saved(bob, post_id=draft, version="2", text="Three")
        form = {"text": "Mine", "post_id": draft, "version": "1", "nonce": "n1", "keep": "2"}
        assert house.post("/drafts/save", form).status_code == 409

    def test_the_script_gets_the_versions_alone(self, house: House, bob: House) -> None:
        draft = saved(house)
        saved(bob, post_id=draft, version="1", text="Bob writes of rye")
        answer = house.post("/drafts/save", {"text": "Mine", "post_id": draft, "version": "1"}, headers=HTMX)
        assert answer.status_code == 409 and "<html" not in answer.text and "Keep mine" in answer.text

    def test_the_same_words_are_no_conflict(self, house: House, bob: House) -> None:
        draft = saved(house)
        saved(bob, post_id=draft, version="1", text="The same")
        answer = house.post("/drafts/save", {"text": "The same", "when": "now", "post_id": draft, "version": "1"},
                            headers=JSON)
        assert answer.status_code == 200 and answer.json["version"] == 2

    def test_sending_an_old_version_is_a_conflict_too(self, house: House, bob: House) -> None:
        account = house.account()
        draft = saved(house, accounts=account)
        saved(bob, post_id=draft, version="1", text="Bob writes of rye")
        form = {"text": "Mine", "accounts": account, "when": "now", "post_id": draft, "version": "1", "nonce": "n2"}
        answer = house.post("/compose", form)
        assert answer.status_code == 409 and house.count(Delivery) == 0
        assert house.post("/compose", {**form, "keep": "2"}).status_code == 303
        assert row(house, draft).text == "Mine"

    def test_what_was_scheduled_meanwhile_with_other_words_is_told_and_mine_can_be_copied(
            self, house: House, bob: House) -> None:
        account = house.account()
        draft = saved(house, accounts=account)
        bob.post("/compose", {"text": "Bob writes of rye", "accounts": account, "when": "later", "nonce": "n3",
                              "wall_time": "2026-12-01T08:30", "post_id": draft, "version": "1"})
        answer = house.post("/compose", {"text": "Mine", "accounts": account, "when": "now", "post_id": draft,
                                         "version": "1", "nonce": "n2"})
        said = words(answer)
        assert answer.status_code == 409 and "Bob scheduled this while you were writing" in said and "Mine" in said
        assert "Keep mine</button>" not in answer.text

    def test_who_changed_it_lately_is_said_beside_the_form(self, house: House, bob: House) -> None:
        house.account()
        draft = saved(house)
        house.clock.advance(minutes=2)
        assert "Alice changed this draft 2 min ago." in bob.get(f"/compose?post={draft}").text
        house.clock.advance(hours=1)
        assert "Alice changed this draft" not in bob.get(f"/compose?post={draft}").text


class TestApproval:
    def submit(self, bob: House, account: str, **form: Any) -> str:
        usual = {"text": "Saffron buns", "accounts": account, "when": "now", "nonce": "n1"}
        answer = bob.post("/compose", usual | form)
        assert answer.status_code == 303, words(answer)
        return str(answer.location.rsplit("/", 1)[1])

    def test_an_editor_submits_and_an_owner_approves(self, house: House, bob: House) -> None:
        approval(house)
        account = house.account()
        assert "Submit for approval" in bob.get("/compose").text
        post = self.submit(bob, account)
        assert row(house, post).state == SUBMITTED and house.count(Delivery) == 0
        assert "Saffron buns" in words(house.get("/approval"))
        page = house.get(f"/approval/{post}")
        assert "Submitted" in words(page) and "by Bob" in words(page) and "Fits." in page.text
        answer = house.post(f"/approval/{post}/approve", {"version": "1"})
        assert answer.status_code == 303 and answer.location.endswith(f"/posts/{post}")
        found = row(house, post)
        assert (found.state, found.reviewed_by, found.author_name) == (SCHEDULED, "Alice", "Bob")
        assert len(deliveries(house, post)) == 1

    def test_a_double_click_submits_once(self, house: House, bob: House) -> None:
        approval(house)
        account = house.account()
        assert self.submit(bob, account) == self.submit(bob, account) and house.count(Post) == 1

    def test_what_does_not_fit_is_not_submitted(self, house: House, bob: House) -> None:
        approval(house)
        answer = bob.post("/compose", {"text": "x" * 300, "accounts": house.account(), "when": "now", "nonce": "n1"})
        assert answer.status_code == 422 and house.count(Post) == 0

    def test_it_is_sent_back_with_a_note_that_the_author_reads(self, house: House, bob: House) -> None:
        approval(house)
        account = house.account()
        post = self.submit(bob, account)
        answer = house.post(f"/approval/{post}/send-back", {"version": "1", "note": " "})
        assert answer.status_code == 422 and "Say what should change" in words(answer)
        assert house.post(f"/approval/{post}/send-back", {"version": "1", "note": "Name the price"}).status_code == 303
        page = bob.get(f"/compose?post={post}")
        assert "Alice sent this back" in words(page) and "Name the price" in page.text
        assert self.submit(bob, account, text="Buns, 3 crowns", **form_of(page)) == post
        found = row(house, post)
        assert (found.state, found.review_note, found.text) == (SUBMITTED, "", "Buns, 3 crowns")

    def test_only_what_was_looked_at_is_approved(self, house: House, bob: House) -> None:
        approval(house)
        account = house.account()
        post = self.submit(bob, account)
        self.submit(bob, account, text="Something else", **form_of(bob.get(f"/compose?post={post}")))
        answer = house.post(f"/approval/{post}/approve", {"version": "1"})
        assert answer.status_code == 409 and "Something else" in answer.text
        assert "changed it since you opened it" in words(answer) and house.count(Delivery) == 0

    def test_a_time_that_passed_asks_for_a_new_one(self, house: House, bob: House) -> None:
        approval(house)
        post = self.submit(bob, house.account(), when="later", wall_time="2026-11-21T11:00")
        house.clock.advance(hours=3)
        assert "its own has passed" in house.get(f"/approval/{post}").text
        assert house.post(f"/approval/{post}/approve", {"version": "1"}).status_code == 422
        answer = house.post(f"/approval/{post}/approve", {"version": "1", "wall_time": "2026-11-22T11:00"})
        assert answer.status_code == 303 and row(house, post).wall_time == "2026-11-22T11:00"

    def test_an_editor_cannot_approve_and_a_viewer_only_looks(self, house: House, bob: House, vera: House) -> None:
        approval(house)
        post = self.submit(bob, house.account())
        assert bob.post(f"/approval/{post}/approve", {"version": "1"}).status_code == 403
        assert "Approve</button>" not in bob.get(f"/approval/{post}").text
        page = vera.get(f"/approval/{post}").text
        assert "Saffron buns" in page and "<button" not in page.split('id="review"')[1].split("</main>")[0]
        for deed in ("approve", "send-back", "take-back"):
            assert vera.post(f"/approval/{post}/{deed}", {"version": "1"}).status_code == 403

    def test_the_author_takes_it_back(self, house: House, bob: House) -> None:
        approval(house)
        post = self.submit(bob, house.account())
        assert bob.post(f"/approval/{post}/take-back", {"version": "1"}).status_code == 303
        assert row(house, post).state == DRAFT
        assert house.post(f"/approval/{post}/approve", {"version": "1"}).status_code == 409

    def test_an_owners_own_post_needs_no_approval(self, house: House) -> None:
        approval(house)
        post = self.submit(house, house.account())
        assert row(house, post).state == SCHEDULED

    def test_an_editor_does_not_begin_a_series(self, house: House, bob: House) -> None:
        approval(house)
        answer = bob.post("/compose", {"text": "Buns", "accounts": house.account(), "when": "later", "nonce": "n1",
                                       "wall_time": "2026-12-01T08:30", "repeat": "day"})
        assert answer.status_code == 422 and "Ask an owner to begin it" in words(answer) and house.count(Series) == 0

    def test_what_an_owner_cancelled_an_editor_does_not_bring_back(self, house: House, bob: House) -> None:
        approval(house)
        post, delivery = house.delivery(CANCELLED)
        answer = bob.post(f"/posts/{post}/{delivery}/reschedule", {"wall_time": "2026-12-01T08:30"})
        assert answer.status_code == 409 and house.row(Delivery, delivery).state == CANCELLED

    def test_a_change_of_what_was_approved_waits_again(self, house: House, bob: House) -> None:
        account = house.account()
        post = self.submit(house, account, when="later", wall_time="2026-12-01T08:30")
        approval(house)
        page = bob.get(f"/compose?post={post}")
        assert "Submit the change" in page.text
        self.submit(bob, account, text="Changed", when="later", wall_time="2026-12-01T08:30", **form_of(page))
        found = row(house, post)
        assert (found.state, found.text) == (SUBMITTED, "Changed") and house.count(Delivery) == 0
        assert house.post(f"/approval/{post}/approve", {"version": str(found.version)}).status_code == 303
        assert [one.state for one in deliveries(house, post)] == [SCHEDULED]

    def test_the_count_stands_in_the_navigation(self, house: House, bob: House) -> None:
        approval(house)
        self.submit(bob, house.account())
        assert re.search(r'href="[^"]*/approval"[^>]*>.*?class="count"', house.get("/posts").text, re.S)


class TestEditing:
    def scheduled(self, house: House, account: str) -> str:
        answer = house.post("/compose", {"text": "Saffron buns", "accounts": account, "when": "later", "nonce": "n1",
                                         "wall_time": "2026-12-01T08:30"})
        assert answer.status_code == 303
        return str(answer.location.rsplit("/", 1)[1])

    def test_text_profiles_and_time_change_together(self, house: House) -> None:
        one, two = house.account(), house.account(name="Second")
        post = self.scheduled(house, one)
        page = house.get(f"/compose?post={post}")
        assert "Save changes" in page.text and 'value="2026-12-01T08:30"' in page.text
        form = {"text": "Rye bread", "accounts": two, "when": "later", "wall_time": "2026-12-02T09:00", **form_of(page)}
        assert house.post("/compose", form).location.endswith(f"/posts/{post}")
        states = {one.account_id: (one.state, one.scheduled_for) for one in deliveries(house, post)}
        assert states[one][0] == CANCELLED and states[two][0] == SCHEDULED
        found = row(house, post)
        assert found.text == "Rye bread" and states[two][1] == found.due_at and found.version == 2
        assert house.post("/compose", form).location.endswith(f"/posts/{post}"), "a double click"
        assert row(house, post).version == 2

    def test_what_a_worker_took_meanwhile_is_not_changed(self, house: House) -> None:
        account = house.account()
        post = self.scheduled(house, account)
        page = house.get(f"/compose?post={post}")
        with house.app.app_context(), writing() as session:
            session.query(Delivery).filter_by(post_id=post).one().state = PUBLISHING
        form = {"text": "Rye bread", "accounts": account, "when": "now", **form_of(page)}
        answer = house.post("/compose", form, follow_redirects=True)
        assert "on its way" in words(answer) and row(house, post).text == "Saffron buns"
        assert house.get(f"/compose?post={post}").status_code == 303

    def test_two_who_change_it_are_told(self, house: House, bob: House) -> None:
        account = house.account()
        post = self.scheduled(house, account)
        mine, theirs = form_of(house.get(f"/compose?post={post}")), form_of(bob.get(f"/compose?post={post}"))
        form = {"accounts": account, "when": "later", "wall_time": "2026-12-01T08:30"}
        assert bob.post("/compose", {**form, "text": "Bob's", **theirs}).status_code == 303
        assert house.post("/compose", {**form, "text": "Alice's", **mine}).status_code == 409
        assert row(house, post).text == "Bob's"

    def test_a_profile_that_must_be_reconnected_keeps_its_place(self, house: House) -> None:
        account = house.account(state="token_expired")
        post, delivery = house.delivery(HELD, account, ahead=timedelta(days=1), hold="account")
        page = house.get(f"/compose?post={post}")
        form = {"text": "Rye bread", "when": "later", "wall_time": "2026-12-02T09:00", **form_of(page)}
        assert house.post("/compose", form).status_code == 303
        found = house.row(Delivery, delivery)
        assert found.state == HELD and found.scheduled_for == row(house, post).due_at
        assert row(house, post).text == "Rye bread"

    def test_it_cannot_be_made_to_repeat(self, house: House) -> None:
        account = house.account()
        post = self.scheduled(house, account)
        page = house.get(f"/compose?post={post}")
        answer = house.post("/compose", {"text": "x", "accounts": account, "when": "later", "repeat": "day",
                                         "wall_time": "2026-12-02T09:00", **form_of(page)})
        assert answer.status_code == 422 and "Duplicate it instead" in words(answer)


class TestMending:
    @pytest.fixture
    def partly(self, house: House) -> tuple[str, str, str]:
        """A post that is out on one profile and failed on another: its id, the failed delivery's, and its account's."""
        post, _ = house.delivery(PUBLISHED, parts=[{"id": "1", "permalink": ""}])
        account = house.account(name="Second")
        _, failed = house.delivery(FAILED, account, post_id=post, note="X refused it: the text was posted already.")
        return post, failed, account

    def test_compose_leads_there_and_only_that_profile_is_sent_again(
            self, house: House, partly: tuple[str, str, str]) -> None:
        post, failed, account = partly
        answer = house.get(f"/compose?post={post}&account={account}")
        assert answer.status_code == 303 and answer.location.endswith(f"/{failed}/mend")
        page = house.client.get(answer.location)
        assert "Saffron buns are back" in page.text and "the text was posted already" in page.text
        answer = house.post(f"/posts/{post}/{failed}/mend", {"text": "Other words", "when": "now", "version": "1"})
        assert answer.status_code == 303
        states = {one.account_id: one.state for one in deliveries(house, post)}
        assert states.pop(account) == SCHEDULED and list(states.values()) == [PUBLISHED]
        found = row(house, post)
        assert found.text == "Saffron buns are back" and found.content["own"][account]["text"] == "Other words"

    def test_what_does_not_fit_is_said_and_kept(self, house: House, partly: tuple[str, str, str]) -> None:
        post, failed, _ = partly
        answer = house.post(f"/posts/{post}/{failed}/mend", {"text": "x" * 281, "when": "now", "version": "1"})
        assert answer.status_code == 422 and "x" * 281 in answer.text and house.row(Delivery, failed).state == FAILED

    def test_an_old_version_is_a_conflict(self, house: House, partly: tuple[str, str, str]) -> None:
        post, failed, _ = partly
        answer = house.post(f"/posts/{post}/{failed}/mend", {"text": "Other words", "when": "now", "version": "0"})
        assert answer.status_code == 409 and "Other words" in answer.text

    def test_an_editor_who_must_ask_is_told_to_duplicate(
            self, house: House, bob: House, partly: tuple[str, str, str]) -> None:
        post, failed, _ = partly
        approval(house)
        answer = bob.post(f"/posts/{post}/{failed}/mend", {"text": "Other words", "when": "now", "version": "1"},
                          follow_redirects=True)
        assert "Duplicate the post" in words(answer) and house.row(Delivery, failed).state == FAILED

    def test_a_post_that_cannot_be_changed_leads_to_its_page(self, house: House) -> None:
        post, _ = house.delivery(PUBLISHED)
        answer = house.get(f"/compose?post={post}", follow_redirects=True)
        assert "cannot be changed any more" in words(answer)
