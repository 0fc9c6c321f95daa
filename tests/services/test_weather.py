"""How each platform does over all accounts: their outage, our app, one profile, or too little to tell."""

from dataclasses import replace
from datetime import timedelta

import pytest

from socialconsole import breaker, diagnosis, lately, tallies, weather
from socialconsole.database import writing
from socialconsole.errors import (
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    TryLater,
)
from socialconsole.models import DISCONNECTED, TOKEN_EXPIRED
from socialconsole.weather import AWAY, CLEAR, OUR_APP, SOME, UNKNOWN

DOWN, SILENT, REFUSED = TryLater("Down.", "503"), OutcomeUnknown("?"), NeedsReconnect("Revoked.", reason="revoked")


@pytest.fixture(autouse=True)
def nothing_counted():
    tallies._forget()
    yield
    tallies._forget()


@pytest.fixture
def sky(world, clock):
    """Counts answers, each for a grant, and says how X does then."""
    def count(*answers):
        for answer, whom in answers:
            tallies.answered("twitter", answer, whom)
        tallies.flush(clock())
        return weather.read(clock())["twitter"]
    return count


def many(answer, *, whom, times=1):
    return [(answer, f"grt_{number % whom}") for number in range(times)]


def test_nobody_called_so_nobody_knows(sky):
    found = sky()
    assert (found.word, found.text) == (UNKNOWN, "Nobody called X in the last 15 minutes.")


def test_a_platform_that_answers_is_clear(sky):
    found = sky(*many(None, whom=4, times=20), (ContentRejected("Too long.", field="text"), "grt_9"))
    assert (found.word, found.calls, found.failed) == (CLEAR, 21, 0)


@pytest.mark.parametrize("answer", [DOWN, SILENT])
def test_many_connections_without_an_answer_are_the_platforms_outage(sky, answer):
    found = sky(*many(answer, whom=4, times=8), *many(None, whom=2, times=2))
    assert found.word == AWAY
    assert "X answers hardly anybody: 8 of 10 calls came to nothing" in found.text and "neither your app" in found.text


def test_one_connection_without_an_answer_blames_nobody(sky):
    found = sky(*many(DOWN, whom=1, times=9))
    assert found.word == UNKNOWN and "made for 1 connection. Too few to tell whose trouble it is." in found.text


def test_a_few_lost_calls_among_many_are_some_errors(sky):
    found = sky(*many(DOWN, whom=3, times=4), *many(None, whom=8, times=30))
    assert found.word == SOME and "X answers most calls; 4 of 34 came to nothing" in found.text


def test_one_lost_call_in_a_hundred_changes_nothing(sky):
    assert sky(*many(DOWN, whom=3, times=3), *many(None, whom=8, times=100)).word == CLEAR


def test_one_revoked_account_is_no_weather(sky):
    assert sky(*many(REFUSED, whom=1, times=6), *many(None, whom=3, times=10)).word == CLEAR


def test_many_revoked_at_once_are_told_without_naming_a_culprit(sky):
    found = sky(*many(PermissionMissing("No.", scopes=("a",)), whom=5, times=5), *many(None, whom=3, times=6))
    assert found.word == SOME and "refused at least 5 connections within minutes" in found.text


def test_limits_of_several_are_told(sky):
    found = sky(*many(RateLimited("Wait.", "429"), whom=3, times=5), *many(None, whom=3, times=5))
    assert found.word == SOME and "to wait. The console waits" in found.text


def test_refusals_of_the_app_are_ours(sky):
    assert sky(*many(ConfigurationWrong("Bad secret."), whom=3, times=4)).word == OUR_APP
    assert sky(*many(None, whom=3, times=40)).word == CLEAR  # it works for most since


def test_an_app_with_trouble_is_ours_whatever_was_counted(sky, world):
    with writing():
        world.app.trouble, world.app.trouble_code = "X refuses this app. Look at its secret.", "unauthorized_client"
    found = sky(*many(None, whom=3, times=10))
    assert (found.word, found.text, found.apps) == (
        OUR_APP, "X refuses this app. Look at its secret.", frozenset({"app_x"}))


def test_a_trouble_that_the_platform_itself_has_to_end_is_not_ours(sky, world, monkeypatch):
    real = weather.explanations.explain
    monkeypatch.setattr(weather.explanations, "explain", lambda *told: replace(real(*told), who="platform"))
    with writing():
        world.app.trouble, world.app.trouble_code = "X has a passing fault.", "503"
    assert (sky().word, sky().text) == (AWAY, "X has a passing fault.")


def test_an_open_breaker_is_their_outage(sky, world, clock):
    with writing():
        world.app.trouble, world.app.trouble_code, world.app.breaker_opened_at = "All fail.", breaker.TROUBLE, clock()
        world.app.breaker_scope, world.app.breaker_until = breaker.ALL, clock() + timedelta(minutes=2)
    assert sky().word == AWAY


def test_what_is_a_quarter_of_an_hour_old_is_over(sky, clock):
    assert sky(*many(DOWN, whom=4, times=8)).word == AWAY
    clock.ahead(minutes=16)
    assert sky().word == UNKNOWN


def test_other_platforms_are_not_touched(sky, clock):
    sky(*many(DOWN, whom=4, times=8))
    assert weather.read(clock())["linkedin"].word == UNKNOWN


# ---------------------------------------------------------------- for a tenant


def about(account, clock):
    lately.forget(weather.NAME)
    return weather.about(account, clock())


def test_in_an_outage_a_tenant_reads_that_the_connection_is_fine(sky, account, clock):
    assert about(account, clock) == ""
    sky(*many(DOWN, whom=4, times=8))
    assert about(account, clock) == ("X answers nobody at present. Your connection is fine: do nothing, it goes on by "
                                     "itself.")
    with writing():
        account.state = TOKEN_EXPIRED
    assert about(account, clock) == "X answers nobody at present. Reconnect when it works again."
    with writing():
        account.state = DISCONNECTED
    assert about(account, clock) == ""


def test_where_others_work_only_this_profile_is_refused(sky, account, clock):
    with writing():
        account.state = TOKEN_EXPIRED
    sky((REFUSED, account.grant_id), (None, account.grant_id))
    assert about(account, clock) == ""  # what was answered was this very profile's, so it proves nothing
    other = next(f"grt_{number}" for number in range(99)
                 if tallies.drawer(f"grt_{number}") != tallies.drawer(account.grant_id))
    sky((None, other), (None, other))
    assert about(account, clock) == "X answers other profiles at present. Only this profile is refused."


def test_where_others_are_refused_too_nobody_says_only_this_one(sky, account, clock):
    with writing():
        account.state = TOKEN_EXPIRED
    others = [one for one in (f"grt_{number}" for number in range(99))
              if tallies.drawer(one) != tallies.drawer(account.grant_id)]
    sky((None, others[0]), (None, others[0]), (None, others[0]), (REFUSED, others[1]))
    assert about(account, clock) == ""


def test_a_refused_app_is_for_an_administrator(sky, account, world, clock):
    with writing():
        world.app.trouble, world.app.trouble_code = "X refuses this app.", "unauthorized_client"
    assert "an administrator has to repair the app" in about(account, clock)
    with writing():
        account.state = TOKEN_EXPIRED
    assert "reconnecting cannot work yet" in about(account, clock)


def test_the_diagnosis_says_it_too(sky, account, world, clock):
    def steps():
        lately.forget(weather.NAME)
        return {step.name: step for step in diagnosis.why(world.workspace, account)}

    sky(*many(DOWN, whom=4, times=8))
    assert steps()["app"].passed and steps()["app"].is_remark and "Your connection is fine" in steps()["app"].text
    with writing():
        account.state = TOKEN_EXPIRED
        account.reason_text = "The permission was taken back."
    assert steps()["account"].text.startswith("The permission was taken back. X answers nobody at present. Reconnect")


def test_it_is_read_once_for_all_who_ask_within_seconds(sky, clock, monkeypatch):
    asked, real = [], weather.read
    monkeypatch.setattr(weather, "read", lambda now: asked.append(now) or real(now))
    lately.forget(weather.NAME)
    for _ in range(5):
        weather.of("twitter", clock())
    assert len(asked) == 1
