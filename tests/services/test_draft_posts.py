"""Drafts under many hands at once, on each database: of two who saw one version only the first gets through."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from socialconsole import decisions, draft_posts, media, posts, publishing, series
from socialconsole.checks import Choice
from socialconsole.database import writing
from socialconsole.draft_posts import Mended, Typed
from socialconsole.drafts import Content, OwnText
from socialconsole.extensions import db
from socialconsole.models import (
    CANCELLED,
    DRAFT,
    FAILED,
    HELD,
    PUBLISHED,
    SCHEDULED,
    SUBMITTED,
    Delivery,
    Media,
    MediaUse,
    Post,
    Slot,
    Workspace,
)
from socialconsole.posts import Conflict, Invalid, NotPossible, Opened

LATER = {"when": "later", "wall_time": "2026-12-01T08:30"}


def typed(account: Any, text: str = "Saffron buns", **more: Any) -> Typed:
    """What stands in a form."""
    return Typed(Content(text), [account.id], **more)


def seen(post: Post) -> Opened:
    """A form filled from the post as it is now."""
    return Opened(post.id, post.version)


def fresh(post: Post) -> Post:
    """The post as the database has it."""
    db.session.commit()
    return db.session.get_one(Post, post.id, populate_existing=True)


def at_once(ground: Any, deed: Callable[[int], Any], number: int = 6) -> list[Any]:
    """What a deed gave, or raised, done by several threads at the same moment."""
    gate, given = threading.Barrier(number), list[Any]()

    def run(mine: int) -> None:
        with ground.app_context():
            gate.wait()
            try:
                given.append(deed(mine))
            except Exception as error:
                given.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(one,)) for one in range(number)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    db.session.commit()  # what the test reads next is what they left
    return given


def approval(world: Any) -> None:
    """Turn approval on."""
    with writing() as session:
        session.get_one(Workspace, world.workspace.id).needs_approval = True


class TestAtOnce:
    def test_of_those_who_save_one_version_only_the_first_gets_through(self, ground, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account))
        mine, place, person = seen(draft), world.workspace.id, world.alice.id

        def save(number):
            workspace, user = db.session.get_one(Workspace, place), db.session.get_one(type(world.alice), person)
            return draft_posts.save(workspace, user, Typed(Content(f"Number {number}")), opened=mine).text

        given = at_once(ground, save)
        saved = [one for one in given if isinstance(one, str)]
        assert len(saved) == 1 and sum(isinstance(one, Conflict) for one in given) == len(given) - 1
        assert (fresh(draft).text, fresh(draft).version) == (saved[0], 2)

    def test_a_new_form_saved_by_several_requests_makes_one_draft(self, ground, world, account):
        place, person = world.workspace.id, world.alice.id

        def save(number):
            workspace, user = db.session.get_one(Workspace, place), db.session.get_one(type(world.alice), person)
            return draft_posts.save(workspace, user, Typed(Content("The same")), nonce="n").id

        given = at_once(ground, save)
        assert len(set(given)) == 1 and isinstance(given[0], str), given
        assert len(db.session.scalars(select(Post)).all()) == 1

    @pytest.mark.parametrize("repeat", ["never", "day"])
    def test_a_form_that_saves_itself_while_it_is_sent_is_sent(self, world, account, monkeypatch, repeat):
        plan = posts.plan

        def slow(*given, **more):
            planned = plan(*given, **more)
            draft_posts.save(world.workspace, world.alice, typed(account), nonce="n")  # after the look at the form
            return planned

        monkeypatch.setattr(posts, "plan", slow)
        form = typed(account, repeat=repeat, **LATER)
        sent = draft_posts.send(world.workspace, world.alice, form, nonce="n")
        assert sent.deliveries and len(db.session.scalars(select(Post)).all()) == 1

    def test_a_draft_sent_by_several_requests_is_one_post(self, ground, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account))
        mine, place, person, target = seen(draft), world.workspace.id, world.alice.id, account.id

        def send(number):
            workspace, user = db.session.get_one(Workspace, place), db.session.get_one(type(world.alice), person)
            return draft_posts.send(workspace, user, Typed(Content("Saffron buns"), [target], again=True),
                                    opened=mine, nonce=f"n{number}").id

        assert set(at_once(ground, send)) == {draft.id}
        assert len(db.session.scalars(select(Delivery)).all()) == 1

    def test_two_owners_approve_it_once(self, ground, world, account):
        approval(world)
        post = draft_posts.send(world.workspace, world.bob, typed(account))
        version, place, person, post_id = post.version, world.workspace.id, world.alice.id, post.id

        def approve(_):
            workspace, user = db.session.get_one(Workspace, place), db.session.get_one(type(world.alice), person)
            return draft_posts.approve(workspace, user, post_id, version).id

        given = at_once(ground, approve, 4)
        assert sum(one == post_id for one in given) == 1
        assert all(one == post_id or isinstance(one, NotPossible) for one in given), given
        assert len(db.session.scalars(select(Delivery)).all()) == 1

    def test_an_edit_and_a_worker_meet_and_only_one_text_goes_out(self, ground, world, account, platform):
        post = draft_posts.send(world.workspace, world.alice, typed(account))
        mine, place, person, target = seen(post), world.workspace.id, world.alice.id, account.id
        delivery = post.deliveries[0].id

        def deed(number):
            if number:
                return publishing.deliver(delivery)
            workspace, user = db.session.get_one(Workspace, place), db.session.get_one(type(world.alice), person)
            return draft_posts.edit(workspace, user, Typed(Content("Rye bread"), [target]), mine)

        at_once(ground, deed, 2)
        publishing.deliver(delivery)
        texts = [what[1] for step, what in platform.asked if step == "publish"]
        assert texts == [fresh(post).text] and fresh(post).deliveries[0].state == PUBLISHED


class TestSending:
    def test_a_form_that_saved_itself_while_it_was_sent_is_no_conflict_with_itself(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account, "First"))
        before = seen(draft)
        draft_posts.save(world.workspace, world.alice, typed(account, "Second"), opened=before)
        post = draft_posts.send(world.workspace, world.alice, typed(account, "Second"), opened=before)
        assert post.id == draft.id and post.state == SCHEDULED

    def test_what_somebody_else_saved_is_one(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account, "First"))
        before = seen(draft)
        draft_posts.save(world.workspace, world.bob, typed(account, "Second"), opened=before)
        with pytest.raises(Conflict):
            draft_posts.send(world.workspace, world.alice, typed(account, "Third"), opened=before)
        assert fresh(draft).state == DRAFT

    def test_a_discarded_draft_comes_back_only_on_purpose(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account))
        before = seen(draft)
        draft_posts.discard(world.workspace, world.bob, draft.id, draft.version)
        with pytest.raises(Conflict):
            draft_posts.save(world.workspace, world.alice, typed(account, "More"), opened=before)
        kept = draft_posts.save(world.workspace, world.alice, typed(account, "More"), opened=seen(fresh(draft)))
        assert (kept.state, kept.text) == (DRAFT, "More")

    def test_a_draft_of_another_workspace_is_not_there(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account))
        for deed in (draft_posts.save, draft_posts.send):
            with pytest.raises(Exception) as refused:
                deed(world.other, world.alice, typed(account), opened=seen(draft))
            assert getattr(refused.value, "code", 0) == 404

    def test_accounts_of_others_are_not_kept(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, Typed(Content("x"), [account.id, "acc_of_somebody"]))
        assert [one["account_id"] for one in draft.targets] == [account.id]


class TestFiles:
    def file(self, world, clock, name):
        with writing() as session:
            session.add(Media(id=f"med_{name}", workspace_id=world.workspace.id, kind="image", type="image/png",
                              size=1, sha256="-", name=name, width=600, height=600, created_at=clock()))
        return f"med_{name}"

    def used(self, post):
        return set(db.session.scalars(select(MediaUse.media_id).where(MediaUse.post_id == post.id)))

    def test_those_of_a_draft_are_kept_and_those_taken_out_are_let_go(self, world, account, clock):
        one, two = self.file(world, clock, "one"), self.file(world, clock, "two")
        draft = draft_posts.save(world.workspace, world.alice, Typed(Content("x", (one, two))))
        assert self.used(draft) == {one, two}
        draft = draft_posts.save(world.workspace, world.alice, Typed(Content("x", (two,))), opened=seen(draft))
        assert self.used(draft) == {two}
        clock.ahead(days=3)
        media.tidy(clock())
        assert [found.id for found in db.session.scalars(select(Media))] == [two]

    def test_one_that_is_gone_does_not_keep_a_draft_from_being_saved(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, Typed(Content("x", ("med_gone",))))
        assert self.used(draft) == set() and draft.text == "x"


class TestApproval:
    def test_no_way_leads_past_it(self, world, account, clock):
        approval(world)
        plain = typed(account)
        with pytest.raises(Invalid) as refused:
            posts.schedule(world.workspace, world.bob, plain.content, plain.account_ids, when="now", wall_time="",
                           nonce="n")
        assert set(refused.value.errors) == {"approval"}
        with pytest.raises(Invalid) as refused:
            series.begin(world.workspace, world.bob, plain.content, plain.account_ids, every="day", nonce="n",
                         wall_time="2026-12-01T08:30")
        assert set(refused.value.errors) == {"repeat"}
        post = draft_posts.send(world.workspace, world.bob, plain)
        with pytest.raises(NotPossible):
            draft_posts.approve(world.workspace, world.bob, post.id, post.version)
        with pytest.raises(NotPossible):
            draft_posts.send_back(world.workspace, world.bob, post.id, post.version, "No")
        assert fresh(post).state == SUBMITTED and not db.session.scalars(select(Delivery)).all()

    def test_a_stopped_series_is_started_again_by_an_owner_only(self, world, account):
        begun = series.begin(world.workspace, world.alice, Content("x"), [account.id], every="day", nonce="n",
                             wall_time="2026-12-01T08:30")
        series.stop(begun, world.alice)
        approval(world)
        with pytest.raises(NotPossible):
            series.resume(begun, world.bob)
        series.resume(begun, world.alice)

    def test_an_edit_of_what_was_approved_takes_it_off_the_schedule(self, world, account, platform, clock):
        post = draft_posts.send(world.workspace, world.alice, typed(account, **LATER))
        delivery = post.deliveries[0].id
        approval(world)
        draft_posts.send(world.workspace, world.bob, typed(account, "Changed", **LATER), opened=seen(post))
        clock.ahead(days=30)
        publishing.deliver(delivery)
        assert fresh(post).state == SUBMITTED and not post.deliveries and platform.times("publish") == 0

    def test_retry_and_reschedule_keep_what_was_approved(self, world, account, platform):
        post = draft_posts.send(world.workspace, world.alice, typed(account, **LATER))
        approval(world)
        decisions.reschedule(post.deliveries[0], world.bob, "2026-12-02T08:30")
        decisions.cancel(post, world.alice)
        with pytest.raises(NotPossible):
            decisions.reschedule(post.deliveries[0], world.bob, "2026-12-03T08:30")
        assert fresh(post).deliveries[0].state == CANCELLED

    def test_a_queued_post_takes_its_slot_when_it_is_approved(self, world, account):
        with writing() as session:
            session.add_all([Slot(workspace_id=world.workspace.id, weekday=0, wall="08:30")])
        approval(world)
        post = draft_posts.send(world.workspace, world.bob, typed(account, when="queue"))
        assert not post.is_queued and post.due_at is None
        other = draft_posts.send(world.workspace, world.alice, typed(account, "Other", when="queue"))
        approved = draft_posts.approve(world.workspace, world.alice, post.id, post.version)
        assert approved.is_queued and approved.due_at == other.due_at + timedelta(days=7)


class TestEditing:
    def test_a_queued_post_keeps_its_slot(self, world, account):
        with writing() as session:
            session.add(Slot(workspace_id=world.workspace.id, weekday=0, wall="08:30"))
        post = draft_posts.send(world.workspace, world.alice, typed(account, when="queue"))
        before = post.due_at
        draft_posts.send(world.workspace, world.alice, typed(account, "Rye", when="queue"), opened=seen(post))
        assert (fresh(post).text, post.due_at, post.is_queued) == ("Rye", before, True)
        draft_posts.send(world.workspace, world.alice, typed(account, "Rye", **LATER), opened=seen(post))
        assert not fresh(post).is_queued and post.deliveries[0].due_at == post.due_at

    def test_a_failed_post_is_written_anew_and_goes_out(self, world, account, platform):
        post = draft_posts.send(world.workspace, world.alice, typed(account))
        with writing():
            post.deliveries[0].state, post.deliveries[0].handle = FAILED, "spent"
        assert draft_posts.typed_of(world.workspace, fresh(post)).when == "now"  # its time has passed
        draft_posts.send(world.workspace, world.alice, typed(account, "Rye"), opened=seen(fresh(post)))
        publishing.deliver(post.deliveries[0].id)
        assert fresh(post).deliveries[0].state == PUBLISHED
        assert [what[1] for step, what in platform.asked if step == "publish"] == ["Rye"]

    def test_what_a_worker_has_just_taken_is_not_rewritten(self, world, account, clock):
        post = draft_posts.send(world.workspace, world.alice, typed(account))
        with writing():
            post.deliveries[0].lease_until = clock() + timedelta(seconds=60)
        with pytest.raises(NotPossible):
            draft_posts.edit(world.workspace, world.alice, typed(account, "Rye"), seen(fresh(post)))
        assert fresh(post).text == "Saffron buns"

    def test_what_is_partly_out_is_not_rewritten(self, world, account):
        post = draft_posts.send(world.workspace, world.alice, typed(account))
        with writing():
            post.deliveries[0].state, post.deliveries[0].parts = FAILED, [{"id": "1"}]
        with pytest.raises(NotPossible):
            draft_posts.edit(world.workspace, world.alice, typed(account, "Rye"), seen(fresh(post)))
        assert fresh(post).text == "Saffron buns"

    def test_its_own_text_goes_to_the_mended_profile_alone(self, world, account, platform):
        post = draft_posts.send(world.workspace, world.alice, typed(account))
        delivery = post.deliveries[0]
        with writing():
            delivery.state = HELD
        draft_posts.mend(world.workspace, world.alice, delivery, Mended(OwnText("Rye"), Choice()), post.version)
        publishing.deliver(delivery.id)
        assert fresh(post).text == "Saffron buns" and post.version == 2
        assert [what[1] for step, what in platform.asked if step == "publish"] == ["Rye"]


class TestAnOlderVersion:
    """What a person saw is what they decide about: a newer one is never thrown away, sent back or written over."""

    def test_is_not_discarded(self, world, account):
        draft = draft_posts.save(world.workspace, world.alice, typed(account))
        before = draft.version
        draft_posts.save(world.workspace, world.bob, typed(account, "More"), opened=seen(draft))
        with pytest.raises(NotPossible):
            draft_posts.discard(world.workspace, world.alice, draft.id, before)
        assert (fresh(draft).state, fresh(draft).text) == (DRAFT, "More")

    def test_of_a_scheduled_post_is_not_written_over(self, world, account):
        post = posts.schedule(world.workspace, world.alice, Content("Saffron"), [account.id], nonce="n", **LATER)
        opened = seen(post)
        draft_posts.edit(world.workspace, world.bob, typed(account, "Rye", **LATER), opened)
        with pytest.raises(Conflict):
            draft_posts.edit(world.workspace, world.alice, typed(account, "Wheat", **LATER), opened)
        assert fresh(post).text == "Rye"
