"""Posts that repeat: one ahead, the hour kept over every change of the clocks, and never a burst."""

import random
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from werkzeug.exceptions import NotFound

from socialconsole import checks, decisions, disconnections, outside, posts, publishing, series
from socialconsole.database import writing
from socialconsole.drafts import Content
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    CANCELLED,
    DISCONNECTED,
    FINAL,
    HELD,
    MISSED,
    PUBLISHED,
    SCHEDULED,
    UNCONFIRMED,
    Account,
    AuditEvent,
    Delivery,
    Grant,
    Media,
    MediaUse,
    Post,
    Series,
    Workspace,
)
from socialconsole.posts import Invalid, NotPossible

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def begin(world, account):
    """Makes series to @acme, whose token lasts; the first time is tomorrow at 09:00 in Stockholm."""
    with writing() as session:
        session.get_one(Grant, "grt_1").access_expires_at = None

    def make(text="Good morning", *, every="day", wall_time="2026-11-22T09:00", **more):
        said = {"nonce": text, "account_ids": [account.id], "last_day": "", "workspace": world.workspace,
                "content": Content(text), **more}
        return series.begin(said.pop("workspace"), world.alice, said.pop("content"), said.pop("account_ids"),
                            every=every, wall_time=wall_time, **said)

    return make


def fresh(row):
    db.session.expire_all()
    return db.session.get_one(type(row), row.id)


def written(found: Series) -> list[Post]:
    """The posts of a series, in the order of their times."""
    return list(db.session.scalars(select(Post).where(Post.series_id == found.id).order_by(Post.due_at)))


def states(found: Series) -> list[str]:
    db.session.expire_all()
    return [one.state for post in written(found) for one in post.deliveries]


def work() -> None:
    """What the workers do with all that is due."""
    rows = db.session.scalars(select(Delivery.id).where(
        Delivery.state.not_in(FINAL), Delivery.due_at <= outside.now()).order_by(Delivery.id)).all()
    db.session.commit()
    for delivery_id in rows:
        publishing.deliver(delivery_id)


def local(post: Post) -> str:
    assert post.due_at is not None
    return f"{post.due_at.astimezone(ZoneInfo(post.time_zone)):%m-%d %H:%M}"


# ---------------------------------------------------------------- begin


def test_beginning_writes_the_series_and_its_first_post(begin, account):
    made = begin()
    (post,) = written(made)
    assert (made.state, made.number, made.next_at) == ("running", 0, post.due_at)
    assert post.due_at == datetime(2026, 11, 22, 8, 0, tzinfo=UTC) and post.wall_time == "2026-11-22T09:00"
    assert [(one.account_id, one.state, one.due_at) for one in post.deliveries] == [
        (account.id, SCHEDULED, post.due_at)]
    assert [(one.action, one.summary) for one in db.session.scalars(
        select(AuditEvent).where(AuditEvent.subject_type == "series"))] == [
        ("series.begun", "Every day at 09:00, Europe/Stockholm")]


def test_the_same_form_twice_makes_one_series(begin):
    assert begin().id == begin().id
    assert len(written(begin())) == 1


def test_a_form_that_made_a_single_post_makes_no_series(world, account, begin):
    posts.schedule(world.workspace, world.alice, Content("Once"), [account.id], when="now", wall_time="", nonce="n")
    with pytest.raises(Invalid) as refused:
        begin(nonce="n")
    assert set(refused.value.errors) == {"repeat"}


@pytest.mark.parametrize(("changes", "field"), [
    ({"every": "hour"}, "repeat"), ({"last_day": "soon"}, "last_day"), ({"last_day": "2026-11-21"}, "last_day"),
    ({"wall_time": "2026-11-20T09:00"}, "wall_time"), ({"wall_time": ""}, "wall_time"),
    ({"wall_time": "2027-03-28T02:30"}, "wall_time"), ({"account_ids": []}, "accounts"), ({"text": "a" * 281}, "text"),
    ({"wall_time": "soon", "last_day": "2026-12-01"}, "wall_time"),
])
def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_written(begin, changes, field):
    with pytest.raises(Invalid) as refused:
        begin(**changes)
    assert set(refused.value.errors) == {field}
    assert db.session.scalar(select(Series)) is None and db.session.scalar(select(Post)) is None


def test_a_fixed_time_among_the_choices_of_a_platform_is_refused(begin, account, monkeypatch):
    monkeypatch.setattr(series, "TIME_FIELDS", frozenset({"reply_settings"}))
    with pytest.raises(Invalid) as refused:
        begin(choices={account.id: checks.Choice(options={"reply_settings": "following"})})
    assert set(refused.value.errors) == {f"option:{account.id}:reply_settings"}


# ---------------------------------------------------------------- when it comes up


@pytest.mark.parametrize(("every", "wall", "zone", "last", "words"), [
    ("day", "2026-11-23T06:00", "Asia/Kolkata", "", "Every day at 06:00, Asia/Kolkata"),
    ("week", "2026-11-23T09:00", "Europe/Berlin", "2026-12-31",
     "Every week on Monday at 09:00, Europe/Berlin, until 31 Dec 2026"),
    ("month", "2026-11-02T09:00", "UTC", "", "Every month on the 2nd at 09:00, UTC"),
    ("month", "2027-01-31T09:00", "UTC", "",
     "Every month on the 31st (in shorter months on their last day) at 09:00, UTC"),
    ("month", "2026-11-13T09:00", "UTC", "", "Every month on the 13th at 09:00, UTC"),
])
def test_the_rule_in_words(every, wall, zone, last, words):
    assert series.rule(every, wall, zone, last) == words


def of(every: str, first: str, zone: str, last_day: str = "") -> Series:
    return Series(every=every, first_wall=first, time_zone=zone, last_day=last_day, number=0, state="running")


def test_a_month_that_is_too_short_gives_its_last_day_and_the_next_one_the_31st_again():
    days = [series.occurrence(of("month", "2027-10-31T09:00", "Europe/Berlin"), number).wall[:10]
            for number in range(7)]
    assert days == ["2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize(("every", "times"), [("day", 700), ("week", 120), ("month", 27)])
@pytest.mark.parametrize("hour", ["02:15", "09:00", "23:45"])
def test_the_hour_on_the_clock_never_drifts(zone, every, times, hour):
    found, skipped = of(every, f"2026-01-31T{hour}", zone), 0
    for number in range(times):
        wall, instant, note = series.occurrence(found, number)
        shown = f"{instant.astimezone(ZoneInfo(zone)):%H:%M}"
        assert wall[11:] == hour
        if shown != hour:
            assert "does not exist" in note and shown in note
            skipped += 1
    assert skipped == (0 if zone == "Asia/Kolkata" or hour != "02:15" or every != "day" else 2)


def test_both_changes_of_the_clocks_are_said(begin, world, clock):
    with writing() as session:
        session.get_one(Workspace, "wsp_1").time_zone = "Europe/Berlin"
    made = begin(wall_time="2027-03-27T02:30")
    clock.at = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
    assert series.advance(clock()) == 1
    post = written(made)[-1]
    assert (post.wall_time, post.due_at) == ("2027-03-28T02:30", datetime(2027, 3, 28, 1, 0, tzinfo=UTC))
    assert "02:30 does not exist on 28 Mar 2027" in posts.time_note(post) and "03:00 CEST" in posts.time_note(post)
    twice = series.occurrence(made, (datetime(2027, 10, 31) - datetime(2027, 3, 27)).days)
    assert "02:30 happens twice" in twice.note and twice.instant == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_the_next_times_are_those_that_come(begin, clock):
    made = begin(every="week")
    assert [one.wall for one in series.upcoming(made)] == ["2026-11-22T09:00", "2026-11-29T09:00", "2026-12-06T09:00"]
    assert [one.wall for one in series.upcoming(begin("Short", last_day="2026-11-23"))] == [
        "2026-11-22T09:00", "2026-11-23T09:00"]


# ---------------------------------------------------------------- advance


def test_day_after_day_one_post_goes_out_and_one_lies_ahead(begin, platform, clock):
    made = begin()
    for day in range(1, 4):
        clock.at = datetime(2026, 11, 21 + day, 7, 59, tzinfo=UTC)
        assert series.advance(clock()) == 0, "not before its time"
        clock.ahead(minutes=1)
        assert series.advance(clock()) == 1
        work()
        assert states(made) == [PUBLISHED] * day + [SCHEDULED]
    assert [local(one) for one in written(made)] == ["11-22 09:00", "11-23 09:00", "11-24 09:00", "11-25 09:00"]
    assert platform.times("publish") == 3 and (fresh(made).skipped, made.note) == (0, "")


def test_two_tickers_at_once_write_one_post(begin, clock, ground):
    made = begin()
    clock.ahead(days=1)
    gate, counted = threading.Barrier(4), []

    def ticker():
        with ground.app_context():
            gate.wait(10)
            counted.append(series.advance(clock()))

    threads = [threading.Thread(target=ticker) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert sorted(counted) == [0, 0, 0, 1] and len(written(made)) == 2


def test_a_ticker_that_read_the_row_too_early_changes_nothing(begin, clock):
    made = begin()
    clock.ahead(days=1)
    series.advance(clock())
    with writing():
        assert not series._advance(made.id, clock())
    assert len(written(made)) == 2


def test_a_series_that_breaks_off_does_not_stop_the_others(begin, clock, caplog):
    bad, good = begin("Bad"), begin("Good")
    with writing() as session:
        session.get_one(Series, bad.id).time_zone = "Nowhere/Atall"
    clock.ahead(days=1)
    assert series.advance(clock()) == 1
    assert len(written(good)) == 2 and len(written(bad)) == 1
    assert "a series broke off" in caplog.text


def test_the_last_day_ends_it(begin, platform, clock):
    made = begin(last_day="2026-11-23")
    for day in (22, 23):
        clock.at = datetime(2026, 11, day, 8, 0, tzinfo=UTC)
        series.advance(clock())
        work()
    assert states(made) == [PUBLISHED, PUBLISHED]
    assert (fresh(made).state, made.next_at) == ("ended", None) and series.upcoming(made) == []
    clock.ahead(days=3)
    assert series.advance(clock()) == 0


# ---------------------------------------------------------------- downtime


@pytest.mark.parametrize(("back", "published", "skipped"), [
    ("2026-12-02T12:00", 0, 10),  # outside of every window: the existing one is missed, ten are left out
    ("2026-12-02T09:30", 1, 9),  # inside the window of the last one
    ("2026-11-22T09:30", 1, 0),  # inside the window of the one that was there
])
@pytest.mark.parametrize("first", ["ticker", "workers"])
def test_after_a_downtime_at_most_one_goes_out(begin, platform, clock, back, published, skipped, first):
    made = begin()
    clock.at = datetime.fromisoformat(back).replace(tzinfo=ZoneInfo("Europe/Stockholm")).astimezone(UTC)
    if first == "workers":
        work()
    assert series.advance(clock()) == 1
    work()
    assert platform.times("publish") == published
    assert fresh(made).skipped == skipped
    if skipped:
        assert made.note == f"{skipped} times were left out while the console was off."
    ahead = written(made)[-1]
    assert ahead.due_at > clock() and ahead.due_at - clock() < DAY and ahead.deliveries[0].state == SCHEDULED
    assert MISSED not in states(made) or back != "2026-11-22T09:30"


def test_a_window_wider_than_the_interval_brings_no_burst(begin, platform, clock):
    with writing() as session:
        session.get_one(Workspace, "wsp_1").window_minutes = 14 * 24 * 60
    made = begin()
    clock.ahead(days=10)
    series.advance(clock())
    work()
    assert platform.times("publish") == 1 and states(made) == [PUBLISHED, SCHEDULED]


def test_what_was_held_over_several_days_does_not_burst_when_its_cause_is_cured(begin, world, account, platform, clock):
    with writing() as session:
        session.get_one(Workspace, "wsp_1").window_minutes = 14 * 24 * 60
    made = begin()
    disconnections.pause(account, world.alice)
    for _ in range(5):
        clock.ahead(days=1)
        series.advance(clock())
        work()
    assert states(made) == [MISSED] * 4 + [HELD, HELD] or states(made) == [MISSED] * 4 + [HELD, SCHEDULED]
    disconnections.resume(fresh(account), world.alice)
    work()
    assert platform.times("publish") == 1


def test_an_unconfirmed_one_is_not_followed_by_a_late_one(begin, platform, clock):
    made = begin()
    clock.at = datetime(2026, 12, 2, 9, 0, tzinfo=UTC)
    with writing() as session:  # sent by a worker a moment ago; nobody knows whether it arrived
        (post,) = written(made)
        delivery = session.get_one(Delivery, post.deliveries[0].id)
        delivery.state, delivery.due_at, delivery.sent_at = UNCONFIRMED, None, clock() - timedelta(minutes=1)
    series.advance(clock())
    assert len(written(made)) == 2 and fresh(made).skipped == 10


@pytest.mark.parametrize("seed", range(2))
def test_however_the_console_goes_down_no_series_bursts(begin, world, account, platform, clock, seed):
    dice = random.Random(seed)
    made = [begin(f"{every} {number}", every=every, wall_time=f"2026-11-22T{dice.randrange(24):02}:15")
            for number, every in enumerate(["day"] * 3 + ["week", "month"])]
    went = 0
    for _ in range(10):
        with writing() as session:
            session.get_one(Workspace, "wsp_1").window_minutes = dice.choice([5, 120, 2000, 20000])
        if dice.random() < 0.3:
            _disturb(dice, world, dice.choice(made))
        clock.ahead(minutes=dice.randrange(1, 60 * 24 * dice.choice([1, 3, 12])))
        back = clock()
        platform.asked.clear()
        for step in dice.sample([lambda now=back: series.advance(now), work], 2):
            step()
        if dice.random() < 0.3:
            disconnections.pause(fresh(account), world.alice)
        elif fresh(account).state != ACTIVE:
            disconnections.resume(fresh(account), world.alice)
        series.advance(back)
        work()
        texts = [draft[1] for step, draft in platform.asked if step == "publish"]
        assert len(texts) == len(set(texts)), f"seed {seed}: {texts}"
        went += len(texts)
        _is_in_order(made, back)
    assert went > 3, "too little went out to prove anything"


def _disturb(dice, world, found):
    """Somebody cancels just this one, or stops it all and starts it again."""
    found = fresh(found)
    if found.state == "running" and dice.random() < 0.5:
        series.stop(found, world.alice)
    elif found.state == "running":
        waiting = [one for one in written(found)[-1].deliveries if one.state == SCHEDULED]
        for one in waiting:
            decisions.cancel_delivery(one, world.alice)
    elif found.state == "stopped":
        series.resume(found, world.alice)


def _is_in_order(made, now):
    """A running series has exactly one post ahead, at its own time; no occurrence was written twice."""
    for found in made:
        found = fresh(found)
        times = [one.due_at for one in written(found)
                 if not all(delivery.state == CANCELLED for delivery in one.deliveries)]
        assert len(times) == len(set(times))
        if found.state == "running":
            assert found.next_at > now and written(found)[-1].due_at == found.next_at
            assert found.next_at == series.occurrence(found, found.number).instant


# ---------------------------------------------------------------- what a person does to one, or to all


def test_cancelling_one_leaves_the_others(begin, world, platform, clock):
    made = begin()
    decisions.cancel(written(made)[0], world.alice)
    clock.ahead(days=1)
    series.advance(clock())
    work()
    assert states(made) == [CANCELLED, SCHEDULED] and not platform.asked


def test_moving_one_moves_only_that_one(begin, world, platform, clock):
    made = begin()
    decisions.reschedule(written(made)[0].deliveries[0], world.alice, "2026-11-23T12:00")
    for day in (22, 23):
        clock.at = datetime(2026, 11, day, 8, 0, tzinfo=UTC)
        series.advance(clock())
        work()
    assert states(made) == [SCHEDULED, PUBLISHED, SCHEDULED]
    clock.at = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
    work()
    assert states(made) == [PUBLISHED, PUBLISHED, SCHEDULED]


def test_what_somebody_sends_again_by_hand_is_not_taken_for_late(begin, world, platform, clock):
    made = begin()
    clock.at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    work()
    assert states(made) == [MISSED]
    series.advance(clock())
    clock.at = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    decisions.retry(written(made)[0].deliveries[0], world.alice)
    series.advance(clock())
    assert states(made) == [SCHEDULED] * 3


def test_stopping_cancels_what_waits_and_says_how_many(begin, world, clock):
    made = begin()
    assert series.stop(made, world.alice) == 1
    made = fresh(made)
    assert (made.state, made.next_at, states(made), written(made)[0].state) == (
        "stopped", None, [CANCELLED], CANCELLED)
    clock.ahead(days=3)
    assert series.advance(clock()) == 0
    with pytest.raises(NotPossible, match="stopped already"):
        series.stop(made, world.alice)
    assert [one.action for one in db.session.scalars(select(AuditEvent).where(
        AuditEvent.subject_id == made.id).order_by(AuditEvent.id))] == ["series.begun", "series.stopped"]


def test_starting_again_goes_on_with_the_next_time(begin, world, platform, clock):
    made = begin()
    series.stop(made, world.alice)
    post = series.resume(fresh(made), world.alice)
    assert local(post) == "11-22 09:00" and states(made) == [CANCELLED, SCHEDULED]
    series.stop(fresh(made), world.alice)
    clock.ahead(days=5)
    post = series.resume(fresh(made), world.alice)
    assert local(post) == "11-27 09:00" and fresh(made).skipped == 0, "what a person left out was not left out by us"
    with pytest.raises(NotPossible, match="running already"):
        series.resume(fresh(made), world.alice)


def test_starting_again_after_the_last_day_is_refused(begin, world, clock):
    made = begin(last_day="2026-11-24")
    series.stop(made, world.alice)
    clock.ahead(days=9)
    with pytest.raises(NotPossible, match="last day has passed"):
        series.resume(fresh(made), world.alice)
    assert fresh(made).state == "stopped" and len(written(made)) == 1


# ---------------------------------------------------------------- profiles and files that go away


def second(world) -> Account:
    """Another connected profile of the workspace."""
    with writing() as session:
        first = session.get_one(Account, "acc_1")
        made = Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43", grant=first.grant,
                       username="b", display_name="Bakery Two", state=ACTIVE, state_since=first.state_since,
                       connected_at=first.connected_at)
        session.add(made)
    return made


def gone(account_id: str) -> None:
    with writing() as session:
        session.get_one(Account, account_id).state = DISCONNECTED


def test_a_disconnected_profile_is_left_out_and_comes_back(begin, world, account, clock):
    made = begin(account_ids=[account.id, second(world).id])
    gone("acc_2")
    clock.ahead(days=1)
    series.advance(clock())
    assert [one.account_id for one in written(made)[-1].deliveries] == ["acc_1"]
    assert fresh(made).note == "Bakery Two is disconnected, so nothing goes there. Connect again to go on."
    with writing() as session:
        session.get_one(Account, "acc_2").state = ACTIVE
    clock.ahead(days=1)
    series.advance(clock())
    assert len(written(made)[-1].deliveries) == 2 and fresh(made).note == ""


def test_without_any_profile_it_stops_itself_and_says_why(begin, world, account, clock):
    made = begin()
    gone(account.id)
    clock.ahead(days=1)
    assert series.advance(clock()) == 1
    assert (fresh(made).state, made.next_at, made.note) == ("stopped", None, series.NO_PROFILE)
    assert len(written(made)) == 1
    assert db.session.scalar(select(AuditEvent.summary).where(AuditEvent.action == "series.stopped"))
    with pytest.raises(NotPossible, match="None of its profiles"):
        series.resume(made, world.alice)


def test_a_paused_profile_holds_the_occurrence(begin, world, account, clock):
    made = begin()
    disconnections.pause(account, world.alice)
    clock.ahead(days=1)
    series.advance(clock())
    work()
    assert states(made)[0] == HELD and fresh(made).state == "running"


@pytest.fixture
def picture(world, account, clock):
    with writing() as session:
        grant = session.get_one(Account, account.id).grant
        assert grant is not None
        session.add(Media(id="med_1", workspace_id="wsp_1", kind="image", type="image/jpeg", name="bun.jpg", size=1000,
                          sha256="-", width=900, height=900, created_at=clock()))
    return "med_1"


def test_the_files_of_a_series_stay_in_use_and_a_deleted_one_stops_it(begin, world, clock, picture):
    made = begin(content=Content("Buns", (picture,)))
    clock.ahead(days=1)
    series.advance(clock())
    uses = {one.post_id for one in db.session.scalars(select(MediaUse).where(MediaUse.media_id == picture))}
    assert uses == {one.id for one in written(made)}
    with writing() as session:
        for one in session.scalars(select(MediaUse)):
            session.delete(one)
        session.flush()
        session.delete(session.get_one(Media, picture))
    clock.ahead(days=1)
    assert series.advance(clock()) == 1
    assert (fresh(made).state, made.note) == ("stopped", series.NO_FILE)


# ---------------------------------------------------------------- whose it is


def test_a_strangers_series_is_not_there(begin, world):
    made = begin()
    assert series.one(world.workspace, made.id).id == made.id
    with pytest.raises(NotFound):
        series.one(world.other, made.id)
    assert series.all_of(world.other) == [] and [one.id for one in series.all_of(world.workspace)] == [made.id]
    assert series.of_post(world.other, written(made)[0]) is None
    assert series.posts_ahead(world.workspace, [made])[made.id].id == written(made)[0].id
