"""Posts at risk: who must do what until when, counted from what the console knows already."""

from datetime import UTC, datetime, timedelta

import pytest

from socialconsole import accounts, risks
from socialconsole.database import writing
from socialconsole.models import HELD, PAUSED, PUBLISHED, TOKEN_EXPIRED, Account, Delivery, Grant, PlatformApp, Post

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)  # a Saturday


def change(kind, row_id, **values):
    with writing() as session:
        row = session.get_one(kind, row_id)
        for name, value in values.items():
            setattr(row, name, value)


def found(world):
    return risks.at_risk(world.workspace, accounts.outlines(world.workspace), NOW)


def title(world):
    only, = found(world)
    return risks.title(only, "Europe/Stockholm", NOW)


def test_a_profile_that_works_and_renews_itself_puts_nothing_at_risk(world, account, post):
    post(days=3)
    assert found(world) == []


@pytest.mark.parametrize(("kind", "row", "values", "helps", "words"), [
    (Account, "acc_1", {"state": TOKEN_EXPIRED}, risks.RECONNECT, "must be reconnected before Tuesday 10:00: 2 posts"),
    (Account, "acc_1", {"state": PAUSED}, risks.RESUME, "is paused and must be resumed before Tuesday 10:00: 2 posts"),
    (PlatformApp, "app_x", {"is_on": False}, risks.ADMIN, "must be turned on by an administrator before Tuesday 10:00"),
    (Grant, "grt_1", {"scopes_granted": ["users.read"]}, risks.RECONNECT, "with the missing permission before Tuesday"),
])
def test_what_keeps_an_account_from_publishing_counts_all_its_posts(world, account, post, kind, row, values, helps,
                                                                    words):
    post("One", days=3)
    post("Two", days=4)
    change(kind, row, **values)
    assert [(one.trouble.helps, len(one.posts)) for one in found(world)] == [(helps, 2)]
    assert title(world).startswith("X (Acme Bakery) ") and words in title(world)


def test_a_token_that_ends_counts_what_is_due_after_its_end(world, account, post):
    post("Before", days=3)
    late = post("After", days=10).post_id
    change(Grant, "grt_1", access_expires_at=NOW + timedelta(days=5), refresh_sealed=None)
    assert [one.posts for one in found(world)] == [(late,)]
    assert title(world) == "X (Acme Bakery) must be reconnected before 1 Dec 2026, 10:00: 1 post"
    assert risks.posts_of(found(world), "UTC") == {
        late: "At risk: X (Acme Bakery) must be reconnected before it can go out."}


def test_a_platform_that_asked_us_to_wait_counts_what_is_due_until_then(world, account, post):
    post("Soon", minutes=30)
    post("Later", hours=5)
    change(Account, "acc_1", quiet_until=NOW + timedelta(hours=1))
    assert title(world) == "X (Acme Bakery) asked us to wait until 21 Nov 2026, 11:00: 1 post goes out late"


def test_held_posts_count_and_published_or_past_or_strange_ones_do_not(world, account, post):
    held, out, strange = post("Held", days=2), post("Out", days=2), post("Strange", days=2)
    post("Past", days=-1)
    change(Delivery, held.id, state=HELD)
    change(Delivery, out.id, state=PUBLISHED)
    change(Post, strange.post_id, workspace_id="wsp_2")
    change(Account, "acc_1", state=TOKEN_EXPIRED)
    assert [one.posts for one in found(world)] == [(held.post_id,)]


def test_the_most_urgent_comes_first(world, account, post):
    with writing() as session:
        session.add(Account(id="acc_2", workspace_id="wsp_1", platform="twitter", platform_user_id="43",
                            display_name="Second", state=TOKEN_EXPIRED, state_since=NOW, connected_at=NOW))
    post("Later", days=5)
    sooner = post("Sooner", days=2)
    change(Delivery, sooner.id, account_id="acc_2")
    change(Account, "acc_1", state=PAUSED)
    assert [one.account.id for one in found(world)] == ["acc_2", "acc_1"]
