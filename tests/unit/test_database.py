"""Transactions that lose nothing, tables that follow the models, and keys that must fit before anything starts."""

import hashlib
import shutil
import stat
import threading
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text, update

from socialconsole import access, create_app, database, keys, logins, migrating
from socialconsole import config as settings
from socialconsole.database import OpenTransaction, alone, lock, writing
from socialconsole.extensions import db
from socialconsole.models import Base, Installation, PlatformApp, SignInFailure, User, Workspace
from socialconsole.vault import Vault

AT = "2026-11-20 09:00:00.000000"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def environ(folder, **more):
    made = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY")}
    return {"INSTANCE_PATH": str(folder), **made, **more}


@pytest.fixture
def fresh(tmp_path):
    """Settings of a console whose database does not exist yet."""
    return settings.read(environ(tmp_path), tmp_path)


@pytest.fixture
def context(fresh):
    """An app on a migrated database, its context pushed."""
    migrating.upgrade(fresh, NOW)
    app = create_app(fresh)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def workspace(number):
    return Workspace(id=f"wsp_{number}", name="-", created_at=NOW)


class TestWriting:
    def test_what_is_written_is_there_for_another_connection(self, context):
        with writing() as session:
            session.add(workspace(1))
        with context.app_context():
            assert db.session.get(Workspace, "wsp_1") is not None

    def test_an_error_takes_everything_back(self, context):
        with pytest.raises(ZeroDivisionError), writing() as session:
            session.add(workspace(1))
            session.flush()
            raise ZeroDivisionError
        assert db.session.get(Workspace, "wsp_1") is None

    def test_a_change_outside_is_refused(self, context):
        db.session.add(workspace(1))
        with pytest.raises(OpenTransaction):
            db.session.commit()
        db.session.rollback()
        with pytest.raises(OpenTransaction):
            db.session.execute(update(Workspace).values(name="x"))

    def test_it_may_be_nested_and_is_one_transaction(self, context):
        with pytest.raises(ZeroDivisionError), writing() as outer:
            with writing() as inner:
                assert inner is outer
                inner.add(workspace(1))
            raise ZeroDivisionError
        assert db.session.get(Workspace, "wsp_1") is None

    def test_inside_everything_is_read_afresh(self, context):
        with writing() as session:
            session.add(workspace(1))
        mine = db.session.get_one(Workspace, "wsp_1")
        with context.app_context(), writing() as other:
            other.get_one(Workspace, "wsp_1").name = "changed elsewhere"
        with writing():
            assert mine.name == "changed elsewhere"

    def test_increments_from_many_threads_are_all_kept(self, context):
        with writing() as session:
            session.add(Workspace(id="wsp_n", name="-", created_at=NOW, window_minutes=0))

        def count_up():
            with context.app_context():
                for _ in range(25):
                    with writing() as session:
                        row = session.get_one(Workspace, "wsp_n")
                        row.window_minutes = row.window_minutes + 1
                db.session.remove()

        threads = [threading.Thread(target=count_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        db.session.expire_all()
        assert db.session.get_one(Workspace, "wsp_n").window_minutes == 100

    def test_a_platform_is_not_called_with_a_write_open_and_a_read_is_ended_before_it_is(self, context):
        db.session.get(Workspace, "wsp_1")
        assert db.session().in_transaction()
        database.refuse_open_transaction()
        assert not db.session().in_transaction()
        with writing(), pytest.raises(OpenTransaction):
            database.refuse_open_transaction()

    def test_sqlite_keeps_foreign_keys_and_syncs_each_commit(self, context):
        pragma = {name: db.session.execute(text(f"PRAGMA {name}")).scalar() for name in ("foreign_keys", "synchronous",
                                                                                         "journal_mode")}
        assert pragma["foreign_keys"] == 1 and pragma["synchronous"] == 2
        module = db.engine.dialect.dbapi
        assert pragma["journal_mode"] == ("wal" if module.sqlite_version_info >= database.WAL_IS_SAFE else "truncate")

    def test_an_instant_without_zone_is_refused(self, context):
        with pytest.raises(Exception, match="without a time zone"), writing() as session:
            session.add(Workspace(id="wsp_z", name="-", created_at=datetime(2026, 1, 1)))
            session.flush()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request, tmp_path):
    """An app on a migrated database of each kind; its context is not pushed."""
    more = {}
    if request.param == "postgresql":
        more["DATABASE_URL"] = request.getfixturevalue("postgresql").emptied("unit")
    config = settings.read(environ(tmp_path, **more), tmp_path)
    migrating.upgrade(config, NOW)
    app = create_app(config)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def at_once(app, work, number=6):
    """Run `work(number)` in so many threads that begin together; what each returned, or its exception."""
    start, said = threading.Barrier(number), {}

    def one(mine):
        with app.app_context():
            db.session.execute(text("SELECT 1"))
            db.session.commit()
            start.wait(20)
            try:
                said[mine] = work(mine)
            except Exception as error:
                said[mine] = error
            db.session.remove()

    threads = [threading.Thread(target=one, args=(mine,)) for mine in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [said[mine] for mine in range(number)]


class TestSideBySide:
    """What is read first and written then, by several at once."""

    def count(self, app, query):
        with app.app_context():
            return len(db.session.scalars(query).all())

    @staticmethod
    def keep_alone(row):
        alone("counting")
        db.session.refresh(row)

    @pytest.mark.parametrize("keep", [lock, keep_alone], ids=["lock", "alone"])
    def test_increments_are_all_kept(self, either, keep):
        with either.app_context(), writing() as session:
            session.add(Workspace(id="wsp_n", name="-", created_at=NOW, window_minutes=0))

        def count_up(_):
            for _ in range(10):
                with writing() as session:
                    row = session.get_one(Workspace, "wsp_n")
                    keep(row)
                    row.window_minutes = row.window_minutes + 1

        assert at_once(either, count_up, 4) == [None] * 4
        with either.app_context():
            assert db.session.get_one(Workspace, "wsp_n").window_minutes == 40

    def test_the_console_is_set_up_once(self, either, monkeypatch):
        monkeypatch.setattr(access.passwords, "hashed", lambda password: "-")
        at_once(either, lambda mine: access.set_up(
            f"a{mine}@example.com", "correct horse battery", "W", "UTC", NOW).email)
        assert self.count(either, select(User)) == 1

    def test_no_try_to_sign_in_slips_past_the_limit(self, either, monkeypatch):
        monkeypatch.setattr(logins, "FAILURES_PER_EMAIL", 2)
        said = at_once(either, lambda mine: logins._reserve_try("a@example.com", f"10.0.0.{mine}", NOW))
        assert sum(isinstance(one, logins.TooMany) for one in said) == 4, said
        assert self.count(either, select(SignInFailure)) == 4

    def test_a_link_is_spent_once(self, either):
        with either.app_context():
            token = logins.new_link("setup", None, access.SETUP_LIFE, NOW)

        def spend(_):
            with writing():
                return logins.spend("setup", token, NOW) is not None

        assert sorted(at_once(either, spend)) == [False] * 5 + [True]


class TestPostgresql:
    def test_the_migrations_make_just_the_tables_of_the_models(self, postgresql, tmp_path):
        config = settings.read(environ(tmp_path, DATABASE_URL=postgresql.url("schema")), tmp_path)
        migrating.upgrade(config, NOW)
        engine = database.engine_of(config)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        engine.dispose()
        assert migrating.problems(config) == []

    def test_what_hangs_is_given_up(self, postgresql, tmp_path):
        url = postgresql.emptied("unit")
        config = settings.read(environ(tmp_path, DATABASE_URL=url), tmp_path)
        engine = database.engine_of(config)
        with engine.connect() as connection:
            told = {name: connection.scalar(text(f"SHOW {name}")) for name in
                    ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name")}
        engine.dispose()
        assert told == {"statement_timeout": "30s", "lock_timeout": "20s", "application_name": "socialconsole",
                        "idle_in_transaction_session_timeout": "1min"}
        own = database.driver_options(
            "postgresql+psycopg://h/x?connect_timeout=2&options=-c%20statement_timeout%3D9s")[1]["connect_args"]
        assert "connect_timeout" not in own and own["options"].endswith("-c statement_timeout=9s")

    @pytest.mark.parametrize(("version", "encoding", "word"), [
        ((14, 11), "UTF8", "needs 15 or newer"), ((9, 6, 24), "UTF8", "needs 15 or newer"),
        ((15, 0), "SQL_ASCII", "ENCODING 'UTF8'"), ((15, 0), "UTF8", ""), ((18, 1), "UTF8", "")])
    def test_an_unfit_server_is_refused_in_words(self, version, encoding, word):
        said = database.postgresql_problem(version, encoding)
        assert word in said and bool(said) == bool(word)

    @pytest.mark.parametrize("given", ["postgres://u:p@h/x", "postgresql://u:p@h/x", "postgresql+psycopg://u:p@h/x"])
    def test_every_usual_way_to_name_it_is_taken(self, tmp_path, given):
        config = settings.read(environ(tmp_path, DATABASE_URL=given), tmp_path)
        assert config.problems == [] and config.database_url == "postgresql+psycopg://u:p@h/x"

    @pytest.mark.parametrize(("given", "word"), [
        ("postgresql+psycopg2://u:hush@h/x", "the driver “psycopg2”"), ("postgresql://u:hush@h", "no database"),
        ("postgresql://u:hush@h:port/x", "%40"), ("mysql://u:hush@h/x", "keeps nothing in “mysql”")])
    def test_a_wrong_address_is_a_problem_that_tells_no_password(self, tmp_path, given, word):
        said = settings.read(environ(tmp_path, DATABASE_URL=given), tmp_path).problems
        assert len(said) == 1 and word in said[0] and "hush" not in said[0]


# One row of each table that the second version changes, as the first version wrote it.
FIRST_VERSION = (
    "INSERT INTO workspace (id, name, time_zone, window_minutes, created_at) VALUES"
    f" ('wsp_1', 'W', 'UTC', 120, '{AT}')",
    "INSERT INTO platform_app (id, platform, segment, mode, client_id, secret_version, secret_last4, secret_changed_by,"
    " callback_override, scope_override, api_version, features, options, is_on, is_sandbox, generation, callback_saved,"
    " trouble, trouble_code, version, created_at, updated_at) VALUES ('app_1', 'facebook', 'facebook', '', '1', 1, '',"
    f" '', '', '', '', '[]', '{{}}', 1, 0, 1, '', '', '', 1, '{AT}', '{AT}')",
    "INSERT INTO \"grant\" (id, workspace_id, platform, app_id, app_generation, is_sandbox, person_id, person_name,"
    " scopes_asked, version, fence, state, reason, attempts, last_error, granted_at) VALUES ('grt_1', 'wsp_1',"
    f" 'facebook', 'app_1', 1, 0, '700', '', '', 1, 0, 'live', '', 0, '', '{AT}')",
    "INSERT INTO account (id, workspace_id, platform, platform_user_id, grant_id, is_sandbox, kind, username,"
    " display_name, profile_url, avatar_type, meta, own_token_version, state, reason, reason_text, state_since,"
    " state_by, connected_by, connected_at, revoked_note) VALUES ('acc_1', 'wsp_1', 'facebook', '9', 'grt_1', 0, '',"
    f" '', '', '', '', '{{}}', 0, 'active', '', '', '{AT}', '', '', '{AT}', '')",
    "INSERT INTO post (id, workspace_id, author_name, text, state, due_at, wall_time, time_zone, form_nonce, version,"
    f" created_at) VALUES ('pst_1', 'wsp_1', '', 'Hi', 'scheduled', '{AT}', '', 'UTC', 'n', 1, '{AT}')",
    "INSERT INTO delivery (id, workspace_id, post_id, account_id, state, scheduled_for, fence, attempts, looks, handle,"
    " platform_post_id, permalink, confirmed_by, hold, error_code, note) VALUES ('dlv_1', 'wsp_1', 'pst_1', 'acc_1',"
    f" 'published', '{AT}', 0, 0, 0, '', '9_1', 'https://p.example/1', '', '', '', '')",
)


class TestMigrating:
    def test_the_migrations_make_just_the_tables_of_the_models(self, context):
        with db.engine.connect() as connection:
            seen = MigrationContext.configure(connection, opts={"render_as_batch": True})
            assert compare_metadata(seen, Base.metadata) == []

    def test_the_file_is_for_its_owner_only(self, context, fresh):
        assert stat.S_IMODE(database.sqlite_path(fresh).stat().st_mode) == 0o600

    def test_an_empty_folder_wants_an_upgrade_and_says_so(self, fresh):
        assert "socialconsole upgrade" in migrating.problems(fresh)[0]
        assert migrating.problems(fresh, wants_current=False) == []

    def test_a_second_upgrade_changes_and_copies_nothing(self, context, fresh, tmp_path):
        assert migrating.problems(fresh) == []
        assert migrating.upgrade(fresh, NOW) is None
        assert not list(tmp_path.glob("*before*"))

    def test_a_database_of_a_newer_version_is_refused(self, context, fresh):
        with writing() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        assert "newer version" in migrating.problems(fresh, wants_current=False)[0]

    def test_an_older_database_is_copied_before_it_is_changed(self, context, fresh, tmp_path, monkeypatch):
        with writing() as session:
            session.add(workspace(1))
        # A later migration, beside the real ones.
        scripts = tmp_path / "migrations"
        shutil.copytree(migrating.MIGRATIONS, scripts)
        (scripts / "versions" / "9000_later.py").write_text(
            "from alembic import op\nimport sqlalchemy as sa\n"
            f"revision = '9000'\ndown_revision = '{migrating.newest_revision()}'\n"
            "def upgrade():\n    op.add_column('workspace', sa.Column('colour', sa.String(9)))\n")
        monkeypatch.setattr(migrating, "MIGRATIONS", scripts)
        before = database.revision(fresh)
        copy = migrating.upgrade(fresh, NOW)
        assert copy is not None and copy.name == "console-before-20261121-093000.db"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        kept = settings.read(environ(tmp_path, DATABASE_URL=f"sqlite:///{copy}"), tmp_path)
        assert (database.revision(kept), database.revision(fresh)) == (before, "9000")
        assert db.session.scalars(select(Workspace.id)).all() == ["wsp_1"]

    def test_a_migration_that_breaks_off_leaves_the_database_as_it_was(self, context, fresh, tmp_path, monkeypatch):
        scripts = tmp_path / "migrations"
        shutil.copytree(migrating.MIGRATIONS, scripts)
        (scripts / "versions" / "9000_broken.py").write_text(
            "from alembic import op\nimport sqlalchemy as sa\n"
            f"revision = '9000'\ndown_revision = '{migrating.newest_revision()}'\n"
            "def upgrade():\n    op.add_column('workspace', sa.Column('colour', sa.String(9)))\n"
            "    raise OSError('x')\n")
        monkeypatch.setattr(migrating, "MIGRATIONS", scripts)
        before = database.revision(fresh)
        with pytest.raises(OSError, match="x"):
            migrating.upgrade(fresh, NOW)
        assert database.revision(fresh) == before
        columns = db.session.execute(text("PRAGMA table_info(workspace)")).all()
        assert "colour" not in [column[1] for column in columns]

    def test_a_database_of_the_first_version_keeps_its_rows(self, tmp_path):
        config = settings.read(environ(tmp_path), tmp_path)
        engine = database.engine_of(config)
        with engine.connect().execution_options(writing=True) as connection, connection.begin():
            command.upgrade(migrating._alembic(connection), "0001")
            for line in FIRST_VERSION:
                connection.execute(text(line))
        engine.dispose()
        assert migrating.upgrade(config, NOW) is not None
        engine = database.engine_of(config)
        with engine.connect() as connection:
            rows = connection.execute(text(
                "SELECT a.id, g.person_id, g.profile_id, d.parts, d.format FROM account a "
                'JOIN "grant" g ON g.id = a.grant_id JOIN delivery d ON d.account_id = a.id'))
            assert [tuple(row) for row in rows] == [
                ("acc_1", "700", "", '[{"id": "9_1", "permalink": "https://p.example/1"}]', "text")]
        engine.dispose()


class TestKeys:
    def test_the_keys_of_the_first_start_fit_later(self, context, fresh):
        keys.plant(fresh)
        keys.plant(fresh)
        assert keys.problems(fresh) == []

    def test_other_keys_are_refused_in_words_and_change_nothing(self, context, fresh, tmp_path):
        keys.plant(fresh)
        before = db.session.scalar(select(Installation.sealed))
        other = settings.read(environ(tmp_path, TOKEN_ENCRYPTION_KEY=hashlib.sha256(b"other").hexdigest()), tmp_path)
        keys.plant(other)
        assert "TOKEN_ENCRYPTION_KEY does not open" in keys.problems(other)[0]
        db.session.commit()
        assert db.session.scalar(select(Installation.sealed)) == before

    def test_one_row_of_a_key_that_is_gone_stops_the_start_though_the_rest_fits(self, context, fresh, tmp_path):
        keys.plant(fresh)
        older = Vault([hashlib.sha256(b"older").hexdigest()])
        with writing() as session:
            session.add(PlatformApp(platform="twitter", segment="twitter", client_id="c", created_at=NOW,
                                    updated_at=NOW, secret_sealed=older.seal("s", "the record")))
        db.session.commit()
        assert "1 sealed rows" in keys.problems(fresh)[0]

    def test_the_known_value_follows_the_newest_key_so_that_the_old_one_can_go(self, context, fresh, tmp_path):
        keys.plant(fresh)
        newer = hashlib.sha256(b"new").hexdigest()
        both = settings.read(environ(tmp_path, TOKEN_ENCRYPTION_KEY=f"{newer},{fresh.token_keys[0]}"), tmp_path)
        keys.plant(both)
        assert keys.problems(settings.read(environ(tmp_path, TOKEN_ENCRYPTION_KEY=newer), tmp_path)) == []

    def test_a_new_key_before_the_old_one_fits(self, context, fresh, tmp_path):
        keys.plant(fresh)
        ring = f"{hashlib.sha256(b'new').hexdigest()},{fresh.token_keys[0]}"
        assert keys.problems(settings.read(environ(tmp_path, TOKEN_ENCRYPTION_KEY=ring), tmp_path)) == []
