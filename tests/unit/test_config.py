"""Settings: where a value comes from, and every way in which one can be wrong."""

import stat
from pathlib import Path

import pytest

from socialconsole import config as settings
from socialconsole.config import Config

SECRET = "b7e1f09c4d2a8563" + "f90b3ce7a1526d84" + "c3a95f17e80d62b4" + "5e7c1d9038fa64b2"
TOKEN = "1f8e3a6bd94c70a5" + "2c6d0f5b8e917a34" + "a0b4e72d6c15f893" + "97d3c8415e0fb62a"
OTHER = "e4c19a7f35d80b62" + "81f6a3d9c27e540b" + "6d9e02b8f1a47c35" + "4a7d8e1b90c36f52"
GOOD = {"SECRET_KEY": SECRET, "TOKEN_ENCRYPTION_KEY": TOKEN}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def read(root: Path, **values: str) -> Config:
    return settings.read(GOOD | values, root)


def test_the_defaults_with_two_keys_are_without_fault(root: Path) -> None:
    config = read(root)
    assert (config.problems, config.warnings) == ([], [])
    assert (config.bind_host, config.bind_port, config.sandbox_port, config.workers) == ("127.0.0.1", 8000, 8100, 2)
    assert config.public_url == "http://127.0.0.1:8000" and config.is_loopback and not config.https
    assert config.instance_path == root / "instance" and config.embedded_store
    assert config.database_url == f"sqlite:///{root / 'instance' / 'console.db'}"
    assert set(config.source) == set(settings.NAMES)


# ---------------------------------------------------------------- where a value comes from


def lay_out(root: Path, *places: str) -> dict[str, str]:
    """Set WORKERS in each of these places, to a number that tells which one was taken; returns the environment."""
    (root / "instance").mkdir()
    if "console.env" in places:
        (root / "instance" / "console.env").write_text("WORKERS=14\n")
        (root / "instance" / "console.env").chmod(0o600)
    if ".env" in places:
        (root / ".env").write_text("WORKERS=13\n")
    (root / "number").write_text("12\n")
    environ = dict(GOOD)
    if "file" in places:
        environ["WORKERS_FILE"] = str(root / "number")
    if "environment" in places:
        environ["WORKERS"] = "11"
    return environ


@pytest.mark.parametrize(("places", "wins", "number"), [
    ((), "default", 2),
    (("console.env",), "console.env", 14),
    ((".env", "console.env"), ".env", 13),
    (("file", ".env", "console.env"), "file", 12),
    (("environment", ".env", "console.env"), "environment", 11),
])
def test_the_order_of_places(root: Path, places: tuple[str, ...], wins: str, number: int) -> None:
    config = settings.read(lay_out(root, *places), root)
    assert (config.workers, config.source["WORKERS"], config.problems) == (number, wins, [])


def test_an_empty_value_counts_as_not_set(root: Path) -> None:
    assert read(root, WORKERS="", REDIS_URL=" ").source["WORKERS"] == "default"


def test_a_secret_may_come_from_a_file_whose_path_counts_from_the_project(root: Path) -> None:
    (root / "secret").write_text(OTHER + "\n")
    config = settings.read({"SECRET_KEY_FILE": "secret", "TOKEN_ENCRYPTION_KEY": TOKEN}, root)
    assert (config.secret_key, config.source["SECRET_KEY"], config.problems) == (OTHER, "file", [])


def test_a_value_and_its_file_together_are_a_problem(root: Path) -> None:
    (root / "secret").write_text(OTHER)
    assert "both set" in only(read(root, SECRET_KEY_FILE=str(root / "secret")))


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_a_file_that_gives_nothing_is_one_problem_and_makes_no_new_keys(root: Path, content: bytes | None) -> None:
    if content is not None:
        (root / "secret").write_bytes(content)
    config = settings.read({"SECRET_KEY_FILE": str(root / "secret"), "TOKEN_ENCRYPTION_KEY": TOKEN}, root)
    assert "SECRET_KEY_FILE names" in only(config)
    assert not settings.first_keys(config)


def test_an_env_file_that_is_no_text_is_a_problem(root: Path) -> None:
    (root / ".env").write_bytes(b"\xff\xfe")
    assert ".env cannot be read" in only(read(root))


def test_a_dollar_sign_in_an_env_file_is_a_dollar_sign(root: Path) -> None:
    (root / ".env").write_text("REDIS_URL=redis://:pa$HOME@localhost/0\n")
    assert read(root).redis_url == "redis://:pa$HOME@localhost/0"


# ---------------------------------------------------------------- what a value must look like


def only(config: Config) -> str:
    """The one problem of a configuration."""
    assert len(config.problems) == 1, config.problems
    return config.problems[0]


@pytest.mark.parametrize(("value", "words"), [
    ("https://example.org/", "ends with a slash"),
    ("https://example.org/console/", "ends with a slash"),
    ("https://example.org/api", "contains /api"),
    ("https://example.org/console/api", "contains /api"),
    ("https://example.org/api/connect/twitter/callback", "contains /api"),
    ("https://example.org?a=b", "query"),
    ("https://example.org?", "query"),
    ("https://example.org#top", "fragment"),
    ("https://me:pass@example.org", "user name"),
    ("https://exa mple.org", "a space"),
    ("https://example.org//console", "two slashes"),
    ("example.org", "does not begin with"),
    ("//example.org", "does not begin with"),
    ("ftp://example.org", "does not begin with"),
    ("https://example.org:99999", "cannot be read"),
    ("https://[::1", "cannot be read"),
    ("https://:8000", "no host"),
])
def test_a_public_address_that_is_wrong(root: Path, value: str, words: str) -> None:
    problem = only(read(root, API_PUBLIC_URL=value))
    assert words in problem and "API_PUBLIC_URL" in problem
    assert "me:pass" not in problem


def test_an_address_with_several_faults_names_each(root: Path) -> None:
    problems = " ".join(read(root, API_PUBLIC_URL="https://example.org/api/?a#b").problems)
    assert all(word in problems for word in ("/api", "slash", "query", "fragment"))


@pytest.mark.parametrize("value", ["https://console.example.org", "http://localhost:8000", "http://[::1]:8000",
                                   "https://example.org:8443/tools/console", "https://Console.Example.org/apiary"])
def test_an_address_that_is_right(root: Path, value: str) -> None:
    assert read(root, API_PUBLIC_URL=value).problems == []


def test_plain_http_beyond_this_machine_is_a_warning(root: Path) -> None:
    config = read(root, API_PUBLIC_URL="http://console.example.org")
    assert config.problems == [] and "https" in config.warnings[0]


def test_a_port_that_the_public_address_does_not_name_is_a_warning(root: Path) -> None:
    assert "port 9000" in read(root, BIND="127.0.0.1:9000").warnings[0]
    assert read(root, BIND="127.0.0.1:9000", API_PUBLIC_URL="https://example.org").warnings == []


@pytest.mark.parametrize(("name", "value", "words"), [
    ("BIND", "8000", "not an address and a port"),
    ("BIND", "::1:8000", "not an address and a port"),
    ("BIND", "127.0.0.1:0", "from 1 to 65535"),
    ("BIND", "127.0.0.1:70000", "from 1 to 65535"),
    ("BIND", "127.0.0.1:http", "from 1 to 65535"),
    ("SANDBOX_BIND", "localhost:", "from 1 to 65535"),
    ("SANDBOX_BIND", "127.0.0.1:8000", "a port of its own"),
    ("SANDBOX", "yes", "auto, on or off"),
    ("LOG_FORMAT", "xml", "text or json"),
    ("WORKERS", "0", "from 1 to 64"),
    ("WORKERS", "two", "from 1 to 64"),
    ("TRUSTED_PROXIES", "-1", "from 0 to 10"),
    ("DATABASE_URL", "mysql://localhost/x", "cannot be used"),
    ("DATABASE_URL", "console.db", "cannot be used"),
    ("DATABASE_URL", "sqlite://", "in memory"),
    ("DATABASE_URL", "sqlite:///:memory:", "in memory"),
    ("REDIS_URL", "localhost:6379", "does not begin with"),
])
def test_a_value_that_is_wrong(root: Path, name: str, value: str, words: str) -> None:
    problem = only(read(root, **{name: value}))
    assert words in problem and name in problem


def test_a_folder_below_a_file_is_a_problem(root: Path) -> None:
    (root / "file").touch()
    assert "not a folder" in only(read(root, INSTANCE_PATH="file/instance"))


def test_a_folder_that_we_may_not_write_to_is_a_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # the superuser may write everywhere
    assert "not writable" in only(read(root))


@pytest.mark.parametrize(("value", "words"), [
    ("b7e1f09c4d2a8563", "too short"),
    ("change-me-change-me-before-you-start-it", "placeholder"),
    ("a" * 64, "placeholder"),
    ("0123456789abcdef" * 4, "placeholder"),
    ("abcdefghijklmnopqrstuvwxyz{|}~\x7f\x80\x81", "placeholder"),
])
def test_a_secret_key_that_is_wrong(root: Path, value: str, words: str) -> None:
    problem = only(read(root, SECRET_KEY=value))
    assert words in problem and value not in problem


@pytest.mark.parametrize(("value", "words"), [
    (TOKEN[:40], "too short"),
    (TOKEN + "00", "too long"),
    (TOKEN[:-1] + "g", "not hexadecimal"),
    ("0" * 64, "placeholder"),
    ("0123456789abcdef" * 4, "placeholder"),
    ("".join(f"{number:02x}" for number in range(32)), "placeholder"),
    ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "placeholder"),
    (SECRET, "same as SECRET_KEY"),
    (SECRET.upper(), "same as SECRET_KEY"),
    (f"{TOKEN},", "key 2 of 2, is empty"),
    (f"{OTHER},{TOKEN[:40]}", "key 2 of 2, is too short"),
    (f"{TOKEN},{TOKEN.upper()}", "the same key twice"),
])
def test_a_token_key_that_is_wrong(root: Path, value: str, words: str) -> None:
    problem = only(read(root, TOKEN_ENCRYPTION_KEY=value))
    assert words in problem and "TOKEN_ENCRYPTION_KEY" in problem
    assert not any(key in problem for key in value.split(",") if key)


def test_too_many_token_keys_are_a_problem(root: Path) -> None:
    keys = [TOKEN[place:] + TOKEN[:place] for place in range(9)]
    assert "holds 9 keys" in only(read(root, TOKEN_ENCRYPTION_KEY=",".join(keys)))


def test_several_token_keys_keep_their_order_newest_first(root: Path) -> None:
    config = read(root, TOKEN_ENCRYPTION_KEY=f" {OTHER.upper()} , {TOKEN}")
    assert (config.token_keys, config.problems) == ((OTHER, TOKEN), [])


def test_all_problems_are_said_at_once(root: Path) -> None:
    config = settings.read({"SECRET_KEY": "x", "API_PUBLIC_URL": "example.org/", "BIND": "x", "WORKERS": "x",
                            "LOG_FORMAT": "x", "SANDBOX": "x", "REDIS_URL": "x", "DATABASE_URL": "x"}, root)
    for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEY", "API_PUBLIC_URL", "BIND", "WORKERS", "LOG_FORMAT", "SANDBOX",
                 "REDIS_URL", "DATABASE_URL"):
        assert any(problem.startswith(name) for problem in config.problems), name
    repr(config), config.public_origin, config.path_prefix, config.callback_url("twitter")


# ---------------------------------------------------------------- the keys of the first run


def test_the_first_run_makes_both_keys_in_a_private_file(root: Path) -> None:
    config = settings.read({}, root)
    assert settings.first_keys(config)
    again = settings.read({}, root)
    assert again.problems == [] and again.warnings == []
    assert again.source["SECRET_KEY"] == again.source["TOKEN_ENCRYPTION_KEY"] == "console.env"
    assert len(again.secret_key) == len(again.token_keys[0]) == 64 and again.secret_key != again.token_keys[0]
    assert stat.S_IMODE(again.keys_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(again.instance_path.stat().st_mode) == 0o700
    assert not settings.first_keys(again)


def test_keys_are_not_made_beside_one_that_is_set(root: Path) -> None:
    assert not settings.first_keys(settings.read({"SECRET_KEY": SECRET}, root))
    assert not (root / "instance").exists()


def test_a_database_without_its_keys_is_a_problem_and_gets_no_new_ones(root: Path) -> None:
    (root / "instance").mkdir()
    (root / "instance" / "console.db").write_bytes(b"SQLite format 3\0")
    config = settings.read({}, root)
    assert not settings.first_keys(config)
    assert len(config.problems) == 2 and all("backup" in problem for problem in config.problems)


def test_a_database_server_counts_as_old_unless_told_otherwise(root: Path) -> None:
    config = settings.read({"DATABASE_URL": "postgresql://localhost/x"}, root)
    assert not settings.first_keys(config)
    assert settings.first_keys(config, database_is_new=True)


def test_a_keys_file_that_others_can_read_is_a_warning(root: Path) -> None:
    settings.first_keys(settings.read({}, root))
    (root / "instance" / "console.env").chmod(0o644)
    assert "chmod 600" in settings.read({}, root).warnings[0]


# ---------------------------------------------------------------- what others ask it


@pytest.mark.parametrize(("public", "callback"), [
    ("https://console.example.org", "https://console.example.org/api/connect/twitter/callback"),
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api/connect/twitter/callback"),
    ("https://Example.ORG:8443/Tools", "https://Example.ORG:8443/Tools/api/connect/twitter/callback"),
])
def test_the_callback_is_the_public_address_byte_for_byte(root: Path, public: str, callback: str) -> None:
    assert read(root, API_PUBLIC_URL=public).callback_url("twitter") == callback


@pytest.mark.parametrize(("public", "origin", "prefix"), [
    ("https://Example.ORG:443/Tools", "https://example.org", "/Tools"),
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000", ""),
    ("http://[::1]:8000/a/b", "http://[::1]:8000", "/a/b"),
])
def test_origin_and_prefix(root: Path, public: str, origin: str, prefix: str) -> None:
    config = read(root, API_PUBLIC_URL=public)
    assert (config.public_origin, config.path_prefix) == (origin, prefix)


@pytest.mark.parametrize(("public", "given", "on"), [
    ("http://127.0.0.1:8000", "auto", True), ("http://localhost:8000", "auto", True),
    ("http://127.8.9.1:8000", "auto", True), ("https://example.org", "auto", False),
    ("https://example.org", "on", True), ("http://127.0.0.1:8000", "OFF", False),
])
def test_the_sandbox_is_on_by_itself_only_on_this_machine(root: Path, public: str, given: str, on: bool) -> None:
    assert read(root, API_PUBLIC_URL=public, SANDBOX=given).sandbox is on


def test_the_sandbox_answers_on_another_host_name(root: Path) -> None:
    assert read(root, SANDBOX_BIND="127.0.0.1:18100").sandbox_url == "http://localhost:18100"


def test_a_relative_database_lies_in_the_instance_folder(root: Path) -> None:
    config = read(root, DATABASE_URL="sqlite:///mine.db?x=1")
    assert config.database_url == f"sqlite:///{root / 'instance' / 'mine.db'}?x=1"


def test_repr_shows_no_secret(root: Path) -> None:
    text = repr(read(root, REDIS_URL="redis://:hush@localhost", DATABASE_URL="postgresql://u:hush@localhost/x"))
    assert SECRET not in text and TOKEN not in text and "hush" not in text
