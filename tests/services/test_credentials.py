"""What a check of credentials keeps, when it happens by itself, and who wins when something changes meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from socialconsole import configure, credentials, jobs, outside, platform_apps, workers
from socialconsole.database import OpenTransaction, writing
from socialconsole.extensions import db
from socialconsole.models import AuditEvent, PlatformApp
from socialconsole.providers import PROVIDERS
from socialconsole.providers.verdicts import UNKNOWN, VALID, WRONG_ID, WRONG_SECRET, Verdict

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Platform:
    """Stands in for what a platform says, and counts how often it was asked."""

    def __init__(self) -> None:
        self.kind, self.meanwhile = VALID, lambda: None
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, facts, token=""):
        self.asked.append((facts.client_id, facts.client_secret, token))
        self.meanwhile()
        return Verdict(self.kind, f"The platform says {self.kind}.", "some_code")


@pytest.fixture
def now():
    """The present, which a test moves."""
    moment = [NOW]
    outside.use_clock(lambda: moment[0])
    yield moment
    outside.use_clock(None)


@pytest.fixture
def platform(app, now, monkeypatch):
    found = Platform()
    monkeypatch.setattr(PROVIDERS["linkedin"], "check_app", found, raising=False)
    with app.app_context():
        yield found


@pytest.fixture
def saved(platform) -> PlatformApp:
    """An app that is saved and off."""
    with writing() as session:
        row = PlatformApp(platform="linkedin", segment="linkedin", mode="member", client_id="78k2h0qv9xw1me",
                          secret_version=1, created_at=NOW, updated_at=NOW)
        session.add(row)
        session.flush()
        row.secret_sealed = platform_apps.vault().seal("WPL_AP1.AbCdEfGh12347f3a", *platform_apps.secret_record(row))
    return row


def turned_on() -> None:
    configure.turn_on("linkedin", NOW)


def due() -> list[str]:
    rung: list[str] = []
    credentials.ring_due(outside.now(), lambda kind, ids: rung.extend([kind, *ids]))
    return rung


def events(action: str) -> list[str]:
    return list(db.session.scalars(select(AuditEvent.summary).where(AuditEvent.action == action)))


def test_a_check_keeps_what_it_was_about(saved, platform):
    found = credentials.check(saved.id, "Mara")
    assert (found.verdict, found.checked_at, found.is_stored) == (VALID, NOW, True)
    assert platform.asked == [("78k2h0qv9xw1me", "WPL_AP1.AbCdEfGh12347f3a", "")]
    assert saved.is_check_current and (saved.check_verdict, saved.checked_secret_version) == (VALID, 1)
    assert events("platform.checked") == ["Checked the credentials: both are right"]


@pytest.mark.parametrize("change", [{"secret_version": 2}, {"client_id": "other"}, {"mode": "organization"}])
def test_a_check_about_other_values_is_not_kept_and_an_old_one_is_not_current(saved, platform, change):
    def meanwhile():
        with writing():
            for name, value in change.items():
                setattr(saved, name, value)

    platform.meanwhile, platform.kind = meanwhile, WRONG_SECRET
    found = credentials.check(saved.id, "Mara")
    assert not found.is_stored and saved.checked_at is None and saved.trouble == ""
    with writing():
        saved.secret_version, saved.client_id, saved.mode = 1, "78k2h0qv9xw1me", "member"
    platform.meanwhile = lambda: None
    credentials.check(saved.id, "Mara")
    meanwhile()
    assert not saved.is_check_current


def test_on_refuses_when_the_credentials_changed_while_it_asked(saved, platform):
    def meanwhile():
        with writing():
            saved.secret_version = 2

    platform.meanwhile = meanwhile
    with pytest.raises(configure.NotPossible, match="meanwhile"):
        credentials.turn_on("linkedin", "Mara", NOW)
    assert not saved.is_on


def test_nobody_asks_inside_a_transaction(saved, platform):
    with pytest.raises(OpenTransaction), writing():
        credentials.check(saved.id, "Mara")
    assert not platform.asked


def test_a_secret_that_our_keys_do_not_open_is_no_verdict(saved, platform):
    with writing():
        saved.secret_sealed = b"nonsense"
    assert credentials.check(saved.id, "Mara").code == "unreadable_secret" and not platform.asked


def test_each_day_those_that_are_on_are_checked_each_once(saved, platform, now):
    credentials.check(saved.id, "Mara")
    now[0] += timedelta(days=2)
    assert due() == [], "it is off"
    turned_on()
    assert due() == ["check", saved.id]
    assert credentials.recheck(saved.id).verdict == VALID and credentials.recheck(saved.id) is None
    assert due() == []
    now[0] += timedelta(hours=23)
    assert due() == []
    now[0] += timedelta(hours=3, seconds=1)
    assert due() == ["check", saved.id]
    assert len(events("platform.checked")) == 1, "what did not change fills no history"


def test_an_app_that_was_on_before_there_were_checks_is_checked_after_a_day(saved, platform, now):
    turned_on()
    assert due() == []
    now[0] += timedelta(days=1)
    assert due() == ["check", saved.id]


def test_an_outage_on_the_daily_check_takes_no_certainty_away(saved, platform, now):
    credentials.check(saved.id, "Mara")
    turned_on()
    platform.kind = UNKNOWN
    now[0] += timedelta(days=2)
    credentials.recheck(saved.id)
    assert saved.check_verdict == VALID and saved.checked_at == NOW
    assert due() == []
    now[0] += timedelta(hours=1)
    assert due() == ["check", saved.id], "it is asked again soon"
    assert credentials.check(saved.id, "Mara").verdict == saved.check_verdict == UNKNOWN, "who asks, gets the answer"


def test_the_daily_check_flags_a_pair_that_went_wrong_once_and_takes_the_flag_off(saved, platform, now):
    credentials.check(saved.id, "Mara")
    turned_on()
    for kind, trouble in ((WRONG_ID, "The platform says wrong_id."), (WRONG_ID, "The platform says wrong_id."),
                          (VALID, "")):
        platform.kind = kind
        now[0] += timedelta(days=2)
        credentials.recheck(saved.id)
        assert saved.trouble == trouble and saved.is_on
    assert events("platform.trouble") == ["The platform says wrong_id."]
    assert sorted(events("platform.checked")) == ["Checked the credentials: both are right"] * 2 + [
        "Checked the credentials: the client ID is wrong"]


def test_a_refusal_that_a_worker_met_is_looked_into_at_once_and_only_once(saved, platform, now):
    credentials.check(saved.id, "Mara")
    turned_on()
    platform_apps.flag(saved.id, "LinkedIn refuses the secret.", "invalid_client", NOW)
    assert due() == ["check", saved.id]
    platform.kind = WRONG_SECRET
    credentials.recheck(saved.id)
    assert saved.trouble == "LinkedIn refuses the secret." and due() == []
    platform.kind = VALID
    credentials.check(saved.id, "Mara")
    assert saved.trouble == "LinkedIn refuses the secret.", "only success takes off what a worker met"


def test_the_verdict_decides_whether_it_is_turned_on(saved, platform):
    platform.kind = WRONG_SECRET
    with pytest.raises(credentials.WrongCredentials, match="says wrong_secret"):
        credentials.turn_on("linkedin", "Mara", NOW, insist=True)
    platform.kind = UNKNOWN
    with pytest.raises(credentials.CannotTell):
        credentials.turn_on("linkedin", "Mara", NOW)
    assert credentials.turn_on("linkedin", "Mara", NOW, insist=True).is_on
    asked = len(platform.asked)
    credentials.turn_on("linkedin", "Mara", NOW)
    assert len(platform.asked) == asked


def test_the_ticker_rings_for_a_job_that_a_worker_may_do(app, saved, platform, now, monkeypatch):
    turned_on()
    now[0] += timedelta(days=2)
    kind, *ids = due()
    assert workers.JOBS[kind] == f"socialconsole.jobs.{kind}"
    monkeypatch.setattr(jobs, "_app", [app])
    getattr(jobs, kind)(ids)
    assert len(platform.asked) == 1 and due() == []
