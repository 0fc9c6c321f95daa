"""The figures for Prometheus: right, cheap, for the right people only, and there when database or store are not."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from socialconsole import config as settings
from socialconsole import metrics, tallies
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Account, Delivery, Grant, PlatformApp, Post
from tests.cast import make_things
from tests.conftest import environ

TOKEN = "t0ken-of-the-metrics-0123456789"


class FakeStore:
    """What the store would say, without a server."""

    def __init__(self, workers=(), tickers=(), seen=None):
        self.workers, self.tickers, self.seen = list(workers), dict(tickers), seen

    def get(self, key):
        return self.seen

    def smembers(self, key):
        return {f"rq:worker:{number}".encode() for number in range(len(self.workers))}

    def pipeline(self, transaction=True):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def hmget(self, key, *names):
        self.asked = [*getattr(self, "asked", []), int(key.decode().rpartition(":")[2])]

    def execute(self):
        return [self.workers[number] for number in self.asked]

    def scan_iter(self, match, count):
        return iter(self.tickers)

    def mget(self, keys):
        return [self.tickers[key] for key in keys]


class Away:
    """A store that is not there."""

    def __getattr__(self, name):
        def refuse(*_, **__):
            raise redis.ConnectionError("no")
        return refuse


@pytest.fixture(autouse=True)
def nothing_counted():
    tallies._forget()
    yield
    tallies._forget()


@pytest.fixture
def inside(app, clock):
    with app.app_context():
        yield app
        db.session.remove()


@pytest.fixture
def things(inside, cast, clock):
    return make_things(cast)


def samples(answer):
    """Every sample as `name{label=value}` with its value."""
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
            found[f"{one.name.removeprefix('socialconsole_')}{{{labels}}}"] = one.value
    return found


def ask(app, **headers):
    """The metrics as a scraper of this machine gets them, counted afresh."""
    app.extensions.pop("figures", None)
    return app.test_client().get("/metrics", headers=headers)


def told(instant):
    """An instant as a worker writes it."""
    return f"{instant:%Y-%m-%dT%H:%M:%S.%fZ}".encode()


def deliveries(cast, clock, *rows):
    """Deliveries to the bread profile: state and due time of each."""
    with writing() as session:
        for number, (state, due_at) in enumerate(rows):
            post = Post(workspace_id=cast.bakery.id, text="Secret recipe", due_at=clock(), form_nonce=f"n{number}",
                        created_at=clock())
            session.add_all((post, Delivery(workspace_id=cast.bakery.id, post=post, account_id="acc_bread", state=state,
                                            due_at=due_at, scheduled_for=clock())))


# ---------------------------------------------------------------- what they say


def test_what_is_due_is_counted_with_the_age_of_the_oldest(inside, things, cast, clock):
    past, ahead = clock() - timedelta(seconds=90), clock() + timedelta(minutes=1)
    deliveries(cast, clock, ("scheduled", past), ("sent", clock()), ("scheduled", ahead), ("held", None),
               ("published", past))
    with writing() as session:
        session.get_one(Grant, "grt_bread").due_at = clock() - timedelta(seconds=7)
    found = samples(ask(inside))
    assert (found["deliveries_due{}"], found["deliveries_oldest_due_seconds{}"]) == (2, 90)
    assert (found["refreshes_due{}"], found["refreshes_oldest_due_seconds{}"]) == (1, 7)


def test_states_are_counted_and_those_that_wait_by_platform(inside, things, cast, clock):
    deliveries(cast, clock, ("held", None), ("held", None), ("unconfirmed", clock()), ("published", None))
    found = samples(ask(inside))
    assert (found["deliveries{state=held}"], found["deliveries{state=published}"]) == (2, 1)
    assert found["deliveries_waiting{platform=twitter,state=held}"] == 2
    assert found["deliveries_waiting{platform=twitter,state=unconfirmed}"] == 1
    assert "deliveries_waiting{platform=twitter,state=published}" not in found
    assert found["accounts{platform=twitter,state=active}"] == 1


def test_an_open_breaker_is_seen(inside, things, clock):
    assert not [name for name in samples(ask(inside)) if name.startswith("breaker_open")]
    with writing() as session:
        session.get_one(PlatformApp, "app_bread").breaker_opened_at = clock()
    assert samples(ask(inside))["breaker_open{app=twitter,platform=twitter}"] == 1


def test_counters_never_fall_when_tallies_are_folded(inside, clock):
    for seconds in (0.4, 1.5, 400.0):
        tallies.late("twitter", seconds)
    tallies.refreshed("twitter", "ok")
    tallies.moved("twitter", "published")
    tallies.called("twitter", "5xx")
    tallies.flush(clock())
    before = samples(ask(inside))
    assert tallies.fold(clock() + timedelta(days=1)) == 6
    after = samples(ask(inside))
    assert {name: before[name] for name in before if "twitter" in name} == {
        name: after[name] for name in after if "twitter" in name}
    assert after["refreshes_total{outcome=ok,platform=twitter}"] == 1
    assert after["publish_moves_total{platform=twitter,state=published}"] == 1
    assert after["platform_calls_total{outcome=5xx,platform=twitter}"] == 1
    buckets = [after[f"lateness_seconds_bucket{{le={bound},platform=twitter}}"] for bound in ("0.5", "2.0", "+Inf")]
    assert buckets == [1, 2, 3]
    assert after["lateness_seconds_sum{platform=twitter}"] == pytest.approx(401.9)


def test_workers_and_tickers_are_counted_by_host_while_they_give_signs(inside):
    beat = datetime.now(UTC)
    worker = [b"one", b"12", told(beat), told(beat), b"publish"]
    lost = [b"two", b"13", told(beat - timedelta(minutes=2)), None, b""]
    gone = [None] * 5
    inside.extensions["store"] = FakeStore(
        [worker, worker, lost, gone], {b"socialconsole:ticker:a-b-77": str(time.time()).encode()},
        str(time.time() - 5).encode())
    found = samples(ask(inside))
    assert {name: value for name, value in found.items() if name.startswith("workers")} == {"workers{host=one}": 2}
    assert found["tickers{host=a-b}"] == 1 and found["store_up{}"] == 1
    assert 4 < found["ticker_seen_seconds{}"] < 60


def test_without_a_store_the_rest_is_told(inside, things):
    inside.extensions["store"] = Away()
    found = samples(ask(inside))
    assert (found["store_up{}"], found["database_up{}"], found["deliveries_due{}"]) == (0, 1, 0)
    assert not [name for name in found if name.startswith(("workers", "tickers"))]


def test_without_a_database_it_says_so_and_shows_no_trace(inside, monkeypatch):
    def away(*_):
        raise OperationalError("SELECT secret", {}, Exception("away"))

    monkeypatch.setattr(metrics, "_rows", away)
    answer = ask(inside)
    found = samples(answer)
    assert answer.status_code == 200 and found["database_up{}"] == 0
    assert "deliveries_due{}" not in found and "Traceback" not in answer.text and "secret" not in answer.text


def test_nothing_of_a_workspace_stands_in_them(inside, things, cast, clock):
    deliveries(cast, clock, ("held", None), ("scheduled", clock()))
    tallies.moved("twitter", "published")
    tallies.flush(clock())
    text = ask(inside).text
    for word in ("bread", "Bread", "Bakery", "recipe", "wsp_", "acc_", "alice", "client"):
        assert word not in text, word


def test_the_version_and_the_database_are_told(inside):
    found = [name for name in samples(ask(inside)) if name.startswith("build_info")]
    assert len(found) == 1 and f"database={db.engine.dialect.name}" in found[0] and "version=" in found[0]


# ---------------------------------------------------------------- what they cost


def test_figures_are_counted_once_for_all_who_ask_within_seconds(inside, monkeypatch, clock):
    inside.extensions.pop("figures", None)
    counted, real = [], metrics.read
    monkeypatch.setattr(metrics, "read", lambda now: counted.append(now) or real(now))
    for _ in range(5):
        metrics.figures(clock())
    assert len(counted) == 1
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600))
    metrics.figures(clock())
    assert len(counted) == 2


def test_what_takes_long_to_count_is_kept_longer(inside, monkeypatch, clock):
    inside.extensions.pop("figures", None)
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=iter([100.0, 102.0]).__next__))
    metrics.figures(clock())
    assert inside.extensions["figures"].until == 102.0 + 2.0 * metrics.KEPT_TIMES_COST


def test_accounts_are_counted_from_the_index_alone(inside, things):
    if db.engine.dialect.name != "sqlite":
        pytest.skip("SQLite tells its plan in words")
    plan = db.session.connection().exec_driver_sql(
        "EXPLAIN QUERY PLAN SELECT platform, state, count(*) FROM account GROUP BY platform, state").all()
    assert "COVERING INDEX ix_account_platform_state" in str(plan)
    plan = db.session.connection().exec_driver_sql(
        "EXPLAIN QUERY PLAN SELECT state, count(*) FROM delivery GROUP BY state").all()
    assert "COVERING INDEX ix_delivery_state_due_at" in str(plan)
    db.session.commit()


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize(("header", "status"), [
    (None, 401), ("Bearer ", 401), ("Bearer wrong", 401), (TOKEN, 401), (f"Basic {TOKEN}", 401),
    (f"Bearer {TOKEN[:-1]}", 401), (f"Bearer {TOKEN}é", 401), (f"Bearer {TOKEN}", 200), (f"bearer  {TOKEN} ", 200)])
def test_with_a_token_only_the_token_counts(console, header, status):
    app = console(METRICS_TOKEN=TOKEN)
    for address in ("127.0.0.1", "192.0.2.7"):
        answer = app.test_client().get("/metrics", headers={"Authorization": header} if header else {},
                                       environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == status
        assert ("socialconsole_" in answer.text) == (status == 200) and TOKEN not in answer.text
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 404),
                                                 ("10.0.0.1", 404), ("", 404)])
def test_without_a_token_only_this_machine_is_answered(app, address, status):
    answer = app.test_client().get("/metrics", environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == status
    assert ("METRICS_TOKEN" in answer.text) == (status == 404)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_a_proxy_on_this_machine_is_not_this_machine(app, header):
    assert app.test_client().get("/metrics", headers={header: "127.0.0.1"}).status_code == 404


def test_behind_a_trusted_proxy_nobody_is_this_machine(console):
    app = console(TRUSTED_PROXIES="1")
    assert app.test_client().get("/metrics").status_code == 404
    assert app.test_client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1:8000", 200), ("localhost:9999", 200), ("[::1]:8000", 200),
                                              ("[::1]", 200), ("localhost", 200), ("evil.example:8000", 404),
                                              ("127.0.0.1.evil.example", 404), ("[", 404), ("", 404)])
def test_a_page_that_leads_its_own_name_here_reads_nothing(app, host, status):
    assert app.test_client().get("/metrics", headers={"Host": host}).status_code == status


def test_a_scraper_may_use_any_name_with_the_token(console):
    answer = console(METRICS_TOKEN=TOKEN).test_client().get(
        "/metrics", headers={"Host": "10.0.0.7:8000", "Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_token_is_compared_in_constant_time_and_shown_nowhere(console, monkeypatch):
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda one, other: compared.append((one, other)) or False)
    app = console(METRICS_TOKEN=TOKEN)
    app.test_client().get("/metrics", headers={"Authorization": "Bearer x"})
    assert compared == [(b"x", TOKEN.encode())]
    config = app.extensions["config"]
    assert TOKEN not in repr(config) and TOKEN not in str(config.shown)


# ---------------------------------------------------------------- the settings


@pytest.mark.parametrize(("text", "days"), [
    ("logins=7", {"logins": 7}), ("logins=7, audit=400", {"logins": 7, "audit": 400}), ("audit=0", {"audit": 0}),
    ("", {}), ("tallies=10000", {"tallies": 10_000})])
def test_retention_takes_days_by_name_over_the_defaults(configured, text, days):
    config = configured(RETENTION=text)
    assert config.retention_days == {**settings.RETENTION_DAYS, **days}


@pytest.mark.parametrize("text", ["logins", "logins=", "logins=x", "logins=-1", "nix=3", "logins=1 logins=2", "=3",
                                  "logins=10001", "logins=99999999999999999", "logins=1.5", "logins=٣"])
def test_a_wrong_retention_is_one_problem_that_names_it_and_the_names(tmp_path, text):
    found = settings.read(environ(tmp_path, RETENTION=text), tmp_path)
    assert len(found.problems) == 1
    assert found.problems[0].startswith("RETENTION holds “") and "delivery_log" in found.problems[0]


@pytest.mark.parametrize(("token", "words"), [("aB3", "too short"), ("a" * 20 + " b", "space"), ("ü" * 25, "space")])
def test_a_weak_or_unfit_metrics_token_is_a_problem_that_does_not_repeat_it(tmp_path, token, words):
    found = settings.read(environ(tmp_path, METRICS_TOKEN=token), tmp_path)
    assert len(found.problems) == 1 and words in found.problems[0] and token not in found.problems[0]


def test_profiles_are_shown_with_their_platform_only(inside, things):
    with writing() as session:
        session.get_one(Account, "acc_bread").state = "token_expired"
    assert samples(ask(inside))["accounts{platform=twitter,state=token_expired}"] == 1
