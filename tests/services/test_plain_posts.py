"""Posts with nothing to prepare, taken and settled many at a time: each by one worker, and none that has to wait."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select, text

from socialconsole import jobs, plain_posts, publishing
from socialconsole.database import took_all, writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    PAUSED,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Post,
)
from socialconsole.plain_posts import Ask, Done
from socialconsole.providers.content import Published, Superseded

LEASE = timedelta(seconds=90)


@pytest.fixture
def posts(account, clock):
    """Makes so many due posts, each of a profile of its own."""

    def make(count: int) -> list[str]:
        with writing() as session:
            for number in range(count):
                grant = Grant(id=f"grt_p{number}", **{name: getattr(account.grant, name) for name in (
                    "workspace_id", "platform", "app_id", "app_generation", "scopes_granted", "state", "granted_at")},
                    person_id=f"p{number}", version=0)
                session.add(grant)
                session.flush()
                publishing.tokens.store(grant, publishing.tokens.TokenSet(f"token-{number}", "r", 7200), clock())
                session.add(Account(
                    id=f"acc_p{number}", workspace_id="wsp_1", platform="twitter", platform_user_id=f"p{number}",
                    grant_id=grant.id, username=f"u{number}", state=ACTIVE, state_since=clock(), connected_at=clock()))
                session.add(Post(id=f"pst_p{number}", workspace_id="wsp_1", text=f"Post {number}", due_at=clock(),
                                 form_nonce=f"p{number}", created_at=clock()))
                session.flush()
                session.add(Delivery(id=f"dlv_p{number}", workspace_id="wsp_1", post_id=f"pst_p{number}",
                                     account_id=f"acc_p{number}", state=SCHEDULED, scheduled_for=clock(),
                                     due_at=clock()))
        return [f"dlv_p{number}" for number in range(count)]

    return make


def take(clock, *ids):
    with writing():
        return plain_posts.claim([Ask(one, clock() + LEASE) for one in ids])


def now_is(delivery_id):
    db.session.expire_all()
    return db.session.get_one(Delivery, delivery_id)


def told(delivery_id):
    return list(db.session.scalars(select(DeliveryEvent.state).where(DeliveryEvent.delivery_id == delivery_id)
                                   .order_by(DeliveryEvent.id)))


def change(model, row_id, **values):
    with writing() as session:
        for name, value in values.items():
            setattr(session.get_one(model, row_id), name, value)


def test_each_is_taken_with_its_own_text_token_and_lease(posts, clock):
    ids = posts(3)
    works = take(clock, *reversed(ids))
    assert [(one.delivery_id, one.draft.text, one.used.token, one.fence) for one in works] == [
        ("dlv_p2", "Post 2", "token-2", 1), ("dlv_p1", "Post 1", "token-1", 1), ("dlv_p0", "Post 0", "token-0", 1)]
    for one in ids:
        found = now_is(one)
        assert (found.state, found.fence, found.lease_until, found.sent_at, found.claimed_at, found.due_at) == (
            PUBLISHING, 1, clock() + LEASE, clock(), clock(), None)
        assert told(one) == [PUBLISHING]


def test_the_number_of_statements_does_not_grow(posts, clock):
    ids, said = posts(9), []

    def note(_c, _cursor, statement, *_):
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        take(clock, *ids[:2])
        first = len(said)
        take(clock, *ids[2:])
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(said) == 2 * first


def test_one_asked_for_twice_in_a_moment_is_given_once(posts, clock):
    [one] = posts(1)
    first, second = take(clock, one, one)
    assert first is not None and second is None
    assert now_is(one).fence == 1 and told(one) == [PUBLISHING]


def test_of_two_posts_of_one_profile_only_the_older_is_taken(post, clock):
    younger, older = post("b").id, post("a", seconds=-5).id
    assert [one and one.delivery_id for one in take(clock, younger, older)] == [None, older]
    assert take(clock, younger) == [None] and now_is(younger).state == SCHEDULED


@pytest.mark.parametrize(("model", "of", "values"), [
    (Account, "acc_p0", {"state": PAUSED}), (Account, "acc_p0", {"quiet_until": 60}),
    (Account, "acc_p0", {"grant": None}),
    (PlatformApp, "app_x", {"is_on": False}), (PlatformApp, "app_x", {"quiet_until": 60}),
    (PlatformApp, "app_x", {"breaker_opened_at": 0, "breaker_until": 60, "breaker_scope": "all"}),
    (Grant, "grt_p0", {"access_expires_at": 0}), (Grant, "grt_p0", {"access_sealed": b"\1nobody"}),
    (Grant, "grt_p0", {"scopes_granted": ["tweet.read"]}), (Grant, "grt_p0", {"state": "renewing"}),
    (Delivery, "dlv_p0", {"due_at": 5}), (Delivery, "dlv_p0", {"scheduled_for": -86_400}),
    (Delivery, "dlv_p0", {"lease_until": 5}), (Delivery, "dlv_p0", {"is_heavy": True}),
    (Delivery, "dlv_p0", {"state": "held"}), (Delivery, "dlv_p0", {"state": "published"}),
    (Post, "pst_p0", {"content": {"media": ["med_1"]}}), (Post, "pst_p0", {"text": "See https://example.org/"}),
    (Post, "pst_p0", {"text": "$AAPL $MSFT"}),
])
def test_what_needs_a_closer_look_is_left_as_it_is(posts, clock, model, of, values):
    ids = posts(2)
    change(model, of, **{name: clock() + timedelta(seconds=value) if type(value) is int else value
                         for name, value in values.items()})
    before = now_is(ids[0]).state
    works = take(clock, *ids)
    assert works[0] is None and (works[1] is None) == (model is PlatformApp)
    assert (now_is(ids[0]).state, now_is(ids[0]).fence, told(ids[0])) == (before, 0, [])


@pytest.mark.parametrize("held", ["SELECT id FROM account WHERE id = 'acc_p0' FOR UPDATE",
                                  "SELECT id FROM delivery WHERE id = 'dlv_p0' FOR UPDATE"])
def test_nobody_is_waited_for(posts, clock, held):
    if db.session.get_bind().dialect.name == "sqlite":
        pytest.skip("it has one writer at a time")
    ids = posts(2)
    db.session.commit()
    with db.engine.connect() as other:
        other.execute(text(held))
        with writing() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            works = plain_posts.claim([Ask(one, clock() + LEASE) for one in ids])
    assert works[0] is None and works[1] is not None
    assert take(clock, ids[0])[0] is not None


def test_several_are_settled_at_once(posts, clock):
    ids = posts(3)
    done = [Done(work, Published(f"9{number}", f"https://x.com/{number}"))
            for number, work in enumerate(take(clock, *ids))]
    with writing():
        assert plain_posts.settle(done) == [True] * 3
    for number, one in enumerate(ids):
        found = now_is(one)
        assert (found.state, found.platform_post_id, found.permalink, found.lease_until, found.published_at) == (
            PUBLISHED, f"9{number}", f"https://x.com/{number}", None, clock())
        assert found.parts == [{"id": f"9{number}", "permalink": f"https://x.com/{number}"}]
        assert told(one) == [PUBLISHING, PUBLISHED]


def test_one_that_somebody_took_since_undoes_all_and_is_left_alone(posts, clock):
    ids = posts(2)
    done = [Done(work, Published("9", "")) for work in take(clock, *ids)]
    change(Delivery, ids[1], fence=7)
    with pytest.raises(Superseded), writing():
        plain_posts.settle(done)
    assert [now_is(one).state for one in ids] == [PUBLISHING, PUBLISHING]
    with writing():
        assert (plain_posts.settle(done[:1]), plain_posts.settle(done[1:])) == ([True], [False])
    assert [now_is(one).state for one in ids] == [PUBLISHED, PUBLISHING] and told(ids[1]) == [PUBLISHING]


def test_a_row_that_does_not_fit_is_noticed_among_many(posts, clock):
    ids = posts(3)
    rows = [{"the_id": one, "of": 1, "lease": clock(), "now": clock()} for one in ids]
    with writing():
        assert took_all(plain_posts._TAKE, rows)
        assert not took_all(plain_posts._TAKE, [*rows[:1], {**rows[1], "of": 2}])


def test_a_pump_sends_each_once_though_its_ids_are_named_again_and_again(ground, posts, platform):
    ids = posts(20)
    jobs.use_app(ground)
    jobs.deliver(ids * 3)
    assert {now_is(one).state for one in ids} == {PUBLISHED}
    assert sorted(what[1] for step, what in platform.asked if step == "publish") == sorted(
        f"Post {number}" for number in range(20))
    assert all(told(one) == [PUBLISHING, PUBLISHED] for one in ids)
