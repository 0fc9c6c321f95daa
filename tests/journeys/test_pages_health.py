"""The admin's page Health: the figures in words, what to do next, and nothing of any workspace."""

import os
import re
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import pytest
import redis
from sqlalchemy.exc import OperationalError

from socialconsole import metrics, retention, spool, tallies
from socialconsole.database import writing
from socialconsole.errors import OutcomeUnknown, TryLater
from socialconsole.models import HELD, TOKEN_EXPIRED, UNCONFIRMED, Account, Delivery, PlatformApp
from tests.cast import make_things
from tests.journeys.tenant_house import words

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def nothing_counted():
    tallies._forget()
    yield
    tallies._forget()


@pytest.fixture
def things(app, cast, clock):
    with app.app_context():
        return make_things(cast)


@pytest.fixture
def health(app, client, cast, sign_in, clock):
    """Opens the page as Alice, an admin, with figures counted afresh."""
    sign_in(client, cast.alice)

    def get(**headers):
        app.extensions.pop("figures", None)
        app.extensions.pop("lately", None)
        return client.get("/admin/health", headers=headers)

    return get


def change(app, model, row_id, **columns):
    with app.app_context(), writing() as session:
        row = session.get_one(model, row_id)
        for name, value in columns.items():
            setattr(row, name, value)


def counted(app, now, count):
    with app.app_context():
        count()
        tallies.flush(now)


# ---------------------------------------------------------------- who sees it


def test_it_is_for_admins_and_stands_in_their_menu(app, cast, sign_in):
    for person, status in ((cast.root, 200), (cast.bob, 403), (cast.charlie, 403)):
        assert sign_in(app.test_client(), person).get("/admin/health").status_code == status
    assert app.test_client().get("/admin/health").status_code == 303
    page = sign_in(app.test_client(), cast.root).get("/admin/platforms").text
    assert re.search(r'<a href="/admin/health">.*?<span>Health</span>', page)


def test_nothing_of_a_workspace_stands_on_it(app, cast, sign_in, things, clock):
    change(app, Delivery, things.delivery_id, state=HELD)
    text = sign_in(app.test_client(), cast.root).get("/admin/health").text
    assert "Held" in text
    for word in ("Fresh Bread", "bread", "Secret", "Harbour Bakery", "Linden"):
        assert word not in text, word


# ---------------------------------------------------------------- before anything happened


def test_a_new_console_says_that_nothing_was_published_yet(health):
    text = words(health())
    assert "Nothing has been published yet" in text
    assert "No platform is in use yet." in text and "Set one up under Social Platform" in text
    assert "It has not run yet; the first run comes within an hour." in text


# ---------------------------------------------------------------- figures


def test_what_is_due_held_and_unconfirmed_is_told_with_its_meaning(app, health, things, clock):
    change(app, Delivery, things.delivery_id, state="scheduled", due_at=clock() - timedelta(minutes=3))
    text = words(health())
    assert "Posts due now 1 Attention The oldest for 3 min." not in text  # three minutes are a problem, not a hint
    assert "Posts due now 1 Problem The oldest for 3 min. Are enough workers at work? See below." in text
    change(app, Delivery, things.delivery_id, state=HELD, due_at=None)
    assert "Held 1 Attention They go out when their profile or platform is repaired." in words(health())
    change(app, Delivery, things.delivery_id, state=UNCONFIRMED)
    assert "Unconfirmed 1 Attention Nobody knows yet whether they went out." in words(health())


def test_punctuality_of_the_last_hour(app, health, clock):
    assert "Late, 99 of 100 posts – No post went out in the last hour." in words(health())
    counted(app, clock() - timedelta(hours=3), lambda: tallies.late("twitter", 400))
    assert "No post went out in the last hour." in words(health())
    counted(app, clock(), lambda: tallies.late("twitter", 1.4))
    assert "Late, 99 of 100 posts ≤ 2 s" in words(health())
    counted(app, clock(), lambda: tallies.late("twitter", 4000))
    assert "Late, 99 of 100 posts more than 300 s Problem" in words(health())


def test_a_platform_that_works_and_one_that_does_not(app, health, things, clock):
    counted(app, clock(), lambda: [tallies.answered("twitter", answer) for answer in (
        None, TryLater("Down.", "503"), TryLater("Down.", "502"), OutcomeUnknown("?"))])
    counted(app, clock(), lambda: [tallies.refreshed("twitter", label) for label in ("ok", "ok", "refused")])
    text = words(health())
    assert "3 errors out of order (2), no clear answer (1) Renewals: 2 done, 1 not" in text
    heads = "Platform Works Ends soon To reconnect Limited Paused Held Unconfirmed Failed"
    assert re.search(rf"{heads} X X 0 1 ends soon Whom to ask: X, ends soon 0 0 0 0 0 1 failed Whose: X, failed", text)
    change(app, Account, things.account_id, state=TOKEN_EXPIRED)
    assert "1 to reconnect Whom to ask" in words(health())


def test_an_open_breaker_says_why_when_it_tries_again_and_leads_to_the_app(app, health, things, clock):
    change(app, PlatformApp, "app_bread", breaker_opened_at=clock(), breaker_until=clock() + timedelta(minutes=4),
           trouble="X refuses this app. Look at its secret.")
    page = health()
    assert "Paused X refuses this app. Look at its secret. It tries again in 4 min. Configure X" in words(page)
    assert 'href="/admin/platforms/twitter"' in page.text


def test_workers_and_tickers_are_listed_with_host_and_since_when(app, health, clock, monkeypatch):
    seen = (metrics.Seen("harbour", "12", clock(), clock() - timedelta(hours=2), "publish,refresh"),
            metrics.Seen("linden", "99", clock()))
    monkeypatch.setattr(metrics, "_processes", lambda: metrics.Processes(seen[:1], seen[1:], clock()))
    text = words(health())
    assert "Workers 1 On harbour." in text and "Tickers 1 On linden." in text
    assert "Worker publish, refresh harbour process 12 since 2 hours ago last sign just now" in text
    assert "Ticker linden process 99 – last sign just now" in text


def test_nobody_at_work_is_said_with_the_command_that_helps(health, monkeypatch):
    monkeypatch.setattr(metrics, "_processes", lambda: metrics.Processes((), (), None))
    text = words(health())
    assert "Workers 0 Problem Nobody publishes or renews. Start `socialconsole run`" in text
    assert "Tickers 0 Problem Nobody finds what is due." in text


def test_without_a_store_the_page_is_there_and_says_what_follows(app, health, monkeypatch):
    def away():
        raise redis.ConnectionError("no")

    monkeypatch.setattr(app.extensions["store"], "get", lambda key: away())
    text = words(health())
    assert "Store Embedded Problem It does not answer, so nobody is woken." in text
    assert "Workers ? Attention Unknown while the store does not answer." in text


def test_without_figures_from_the_database_the_page_is_there(health, monkeypatch):
    def away(*_):
        raise OperationalError("SELECT secret", {}, Exception("away"))

    monkeypatch.setattr(metrics, "_rows", away)
    page = health()
    assert page.status_code == 200 and 'role="alert"' in page.text
    assert "The database does not answer" in words(page) and "Posts due now" not in words(page)


@pytest.mark.parametrize(("free", "said"), [(None, "? Problem The instance folder cannot be read."),
                                            (512 * 1024**2, "0.5 GB Problem"), (3 * 1024**3, "3.0 GB Attention"),
                                            (900 * 1024**3, "900.0 GB Where")])
def test_a_disk_that_fills_up_is_seen(health, monkeypatch, free, said):
    real = metrics.read
    monkeypatch.setattr(metrics, "read", lambda now: replace(real(now), disk_free=free))
    assert f"Free disk {said}" in words(health())


def test_what_waits_in_the_spool_is_told_and_why_it_cannot_be_written(app, health, monkeypatch):
    assert "Spool 0 Every renewed token of this machine is in the database." in words(health())
    monkeypatch.setattr(spool, "waiting", lambda: 3)
    assert "Spool 3 Renewed tokens on this machine that wait for the database." in words(health())
    monkeypatch.setattr(spool, "waiting", lambda: 101)
    assert "Spool 101 Attention Renewed tokens" in words(health())
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with app.app_context():
        app.extensions.pop("journal", None)
    assert re.search(r"Spool 101 Problem The spool folder \S+ cannot be written \(No space left on device\)\. Tokens "
                     r"that change with each renewal are not renewed until it can\.", words(health()))


# ---------------------------------------------------------------- charts


def test_charts_are_drawn_without_script_and_say_the_same_in_words_and_as_a_table(app, health, clock):
    counted(app, clock(), lambda: [tallies.moved("twitter", "published") for _ in range(1200)])
    counted(app, clock() - timedelta(hours=2), lambda: tallies.moved("twitter", "failed"))
    counted(app, clock() - timedelta(hours=30), lambda: tallies.moved("twitter", "failed"))
    counted(app, clock(), lambda: (tallies.late("twitter", 0.1), tallies.refreshed("twitter", "try_later")))
    page = health()
    drawings = [ElementTree.fromstring(svg) for svg in re.findall(r'<svg viewBox.*?</svg>', page.text, re.S)]
    assert len(drawings) == 3
    for svg in drawings:
        named = svg.attrib["aria-labelledby"].split()
        assert [svg[0].attrib["id"], svg[1].attrib["id"]] == named and svg[0].tag == "title" and svg[1].tag == "desc"
        assert not re.search(r'style=|fill=|<script', ElementTree.tostring(svg, "unicode"))
    tones = [path.attrib["data-s"] for path in drawings[0].findall("path")]
    assert tones == ["ok", "bad"]  # what did not happen draws nothing
    said = "published: 1,200, sent: 0, held or unconfirmed: 0, failed or missed: 1. At most 1,200 in five minutes."
    assert drawings[0][1].text == said
    assert "Published as a table, by hour" in words(page)
    assert re.search(r"21 Nov 2026, 09:00 UTC 1,200 0 0 0 21 Nov 2026, 07:00 UTC 0 0 0 1", words(page))


def test_a_poll_gets_what_changes_and_leaves_open_tables_alone(app, health, clock):
    counted(app, clock(), lambda: tallies.moved("twitter", "published"))
    page = health().text
    assert 'hx-get="/admin/health" hx-trigger="every 10s"' in page and "as a table" in page
    block = health(**HTMX).text
    assert block.lstrip().startswith('<section class="stack wide-gap" id="glance"')
    assert "as a table" not in block and "What is cleaned" not in block and "<html" not in block


# ---------------------------------------------------------------- what is cleaned


def test_the_rules_of_retention_are_shown_with_the_last_run(app, health, clock):
    text = words(health())
    assert "The steps of posts that are over; the post and its outcome stay delivery_log kept for 400 days –" in text
    assert "Activity: who did what, when and from where audit kept for ever –" in text
    with app.app_context():
        retention.clean(clock())
    clock.advance(minutes=20)
    text = words(health())
    assert "Last run 20 min ago" in text
    assert "the post and its outcome stay delivery_log kept for 400 days 0 removed in the last run" in text
    assert "audit kept for ever –" in text


def test_a_post_whose_steps_were_cleared_says_so(app, client, cast, sign_in, things, clock):
    page = sign_in(client, cast.alice).get(f"/w/{cast.bakery.id}/posts/{things.post_id}")
    assert "Older steps were cleared." in words(page)
    change(app, Delivery, things.delivery_id, state="scheduled")
    assert "Older steps were cleared." not in words(client.get(f"/w/{cast.bakery.id}/posts/{things.post_id}"))
