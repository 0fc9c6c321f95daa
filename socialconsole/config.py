"""Every setting once: its name, its default, what it is for, and where its value came from.

A value is looked for in the environment, then in the file that `NAME_FILE` names, then in `.env` of the
project, then in `instance/console.env`. Reading never fails: what is wrong is collected, to be said all at once.
What a good value looks like is decided in `config_checks.py`.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values

from . import config_checks as checks

PROJECT = Path(__file__).resolve().parent.parent
KEYS_FILE = "console.env"
DATABASE_FILE = "console.db"
MEDIA_FOLDER = "media"
DEFAULT_PORTS = {"http": 80, "https": 443}
# How many days finished things are kept, by their name in RETENTION; 0 is for ever.
RETENTION_DAYS = {"logins": 30, "attempts": 90, "recordings": 90, "incidents": 90, "delivery_log": 400, "grants": 30,
                  "deletions": 400, "tallies": 3, "audit": 0}


@dataclass(frozen=True)
class Setting:
    """One setting: `secret` values are never printed."""

    name: str
    default: str
    help: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("API_PUBLIC_URL", "http://127.0.0.1:8000",
            "The address people and platforms reach the console at: no `/api`, no slash at the end; "
            "it may carry a port and a path."),
    Setting("BIND", "127.0.0.1:8000", "The address and port the web server listens on."),
    Setting("INSTANCE_PATH", "instance", "The folder for the database, the keys and the embedded store."),
    Setting("DATABASE_URL", "", "The database. Empty: SQLite in the instance folder. For several hosts PostgreSQL 15 "
            "or newer: `postgresql://user:password@host/name`.", secret=True),
    Setting("REDIS_URL", "", "A Redis or Valkey server. Empty: the embedded one, without a TCP port.",
            secret=True),
    Setting("SECRET_KEY", "", "Signs short-lived values such as form tokens; at least 32 characters. "
            "Made on the first run if no key is set.", secret=True),
    Setting("TOKEN_ENCRYPTION_KEY", "", "Seals the tokens of the platforms: 64 hexadecimal characters, or "
            "several such keys separated by commas, newest first. Made on the first run if no key is set.",
            secret=True),
    Setting("TRUSTED_PROXIES", "0", "How many reverse proxies stand before the console; only they are "
            "believed about who is asking."),
    Setting("SANDBOX", "auto", "`on` or `off`: the built-in platforms to try the console with. `auto`: on "
            "while the public address is a loopback one."),
    Setting("SANDBOX_BIND", "127.0.0.1:8100", "The address and port the sandbox listens on."),
    Setting("WORKERS", "2", "How many processes publish posts and renew tokens."),
    Setting("MEDIA_FOLDER", "", "The folder for uploaded pictures and videos. Empty: `media` in the instance folder."),
    Setting("MEDIA_MAX_BYTES", "2147483648", "How many bytes one upload may have."),
    Setting("MEDIA_WORKSPACE_BYTES", "21474836480", "How many bytes of files one workspace may keep, unless it was "
            "given a limit of its own."),
    Setting("MEDIA_S3_URL", "", "A bucket of an S3-compatible store for uploaded files, as "
            "`https://host/bucket/prefix`; web and workers on several machines need it. The bucket, or the prefix, has "
            "to be this console's alone. Empty: the media folder."),
    Setting("MEDIA_S3_ACCESS_KEY", "", "The name of the key for that bucket.", secret=True),
    Setting("MEDIA_S3_SECRET_KEY", "", "The secret part of that key.", secret=True),
    Setting("MEDIA_S3_REGION", "us-east-1", "The region of that bucket."),
    Setting("MEDIA_CACHE_BYTES", "10737418240", "How many bytes of files from that bucket are kept as copies in "
            "`media-cache` of the instance folder."),
    Setting("ALLOWED_PRIVATE_NETWORKS", "", "Networks of your own that addresses typed by people may lead to, such as "
            "`10.0.0.0/8`, separated by commas. Empty: only the public internet."),
    Setting("RETENTION", " ".join(f"{name}={days}" for name, days in RETENTION_DAYS.items()),
            "How many days finished things are kept; 0: for ever. What is not named keeps its default. The page "
            "*Health* says what each name covers."),
    Setting("MAIL_URL", "", "The mail server for invitations, new passwords, alerts and digests: "
            "`smtp://user:password@host:587` (turns to TLS by STARTTLS), `smtps://user:password@host:465`, or "
            "`smtp://host:25?tls=off` without encryption, which this machine's own needs no word for. Empty: links "
            "are copied by hand, and nobody is alerted by mail.", secret=True),
    Setting("MAIL_FROM", "", "The sender of those mails, such as `Social Console <console@example.org>`."),
    Setting("METRICS_TOKEN", "", "Opens `/metrics` to whoever sends `Authorization: Bearer` with it; at least 20 "
            "characters. Empty: only this machine may ask, and only if `TRUSTED_PROXIES` is 0.", secret=True),
    Setting("CONSOLE_FILE", "", "A file with the configuration of platforms and workspaces, as `socialconsole config "
            "export` writes it. It is taken over at each start, and what it says of an app cannot be changed in the "
            "console. Empty: none."),
    Setting("MCP_PORT", "", "A port on 127.0.0.1 where the tools for language models (MCP) are served by HTTP, beside "
            "the web server, such as `8765`. Empty: not served."),
    Setting("LOG_FORMAT", "text", "`text` or `json`, one line per event."),
)
NAMES = tuple(setting.name for setting in SETTINGS)


@dataclass(frozen=True)
class Config:
    """All settings, read and checked. `problems` stop the start, `warnings` do not; both are sentences."""

    public_url: str
    bind_host: str
    bind_port: int
    instance_path: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    embedded_store: bool
    secret_key: str = field(repr=False)
    token_keys: tuple[str, ...] = field(repr=False)
    trusted_proxies: int
    sandbox: bool
    sandbox_host: str
    sandbox_port: int
    workers: int
    media_folder: Path
    media_max_bytes: int
    media_workspace_bytes: int
    media_s3_url: str
    media_s3_access_key: str = field(repr=False)
    media_s3_secret_key: str = field(repr=False)
    media_s3_region: str
    media_cache_bytes: int
    private_networks: tuple[str, ...]
    retention_days: dict[str, int]
    mail_url: str = field(repr=False)
    mail_from: str
    metrics_token: str = field(repr=False)
    console_file: Path | None
    mcp_port: int
    log_format: str
    source: dict[str, str]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)  # what was given, of the settings that are no secrets

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox answers: not `127.0.0.1` as the console does, since cookies ignore ports."""
        return f"http://localhost:{self.sandbox_port}"

    @property
    def public_origin(self) -> str:
        """The public address as a browser writes it in `Origin`: no path, lower case, no usual port."""
        parts = _split(self.public_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = checks.port_of(parts)
        usual = port is None or port == DEFAULT_PORTS.get(parts.scheme)
        return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")

    @property
    def path_prefix(self) -> str:
        """The path of the public address, such as `/console`, or nothing."""
        return _split(self.public_url).path.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the public address."""
        return checks.is_loopback(_split(self.public_url).hostname or "")

    @property
    def https(self) -> bool:
        """Whether people reach the console by https."""
        return _split(self.public_url).scheme == "https"

    @property
    def keys_file(self) -> Path:
        """Where the keys of the first run are kept."""
        return self.instance_path / KEYS_FILE

    def callback_url(self, segment: str) -> str:
        """The redirect address of a platform, byte for byte as its portal must have it; made only here."""
        return f"{self.public_url}/api/connect/{segment}/callback"


def read(environ: Mapping[str, str] | None = None, root: Path | None = None) -> Config:
    """All settings from `environ` (default: the process's) and files in `root` (default: the project)."""
    root = PROJECT if root is None else root
    problems: list[str] = []
    warnings: list[str] = []
    values: dict[str, str] = {}
    source: dict[str, str] = {}
    _take(values, source, os.environ if environ is None else environ, "environment", root, problems)
    _take(values, source, _env_file(root / ".env", problems), ".env", root, problems)
    instance = root / Path(values.get("INSTANCE_PATH") or _default("INSTANCE_PATH")).expanduser()
    _take(values, source, _env_file(instance / KEYS_FILE, problems), KEYS_FILE, instance, problems)
    for setting in SETTINGS:
        values.setdefault(setting.name, setting.default)
        source.setdefault(setting.name, "default")
    return _build(values, source, instance, problems, warnings)


def _build(values: dict[str, str], source: dict[str, str], instance: Path, problems: list[str],
           warnings: list[str]) -> Config:
    bind_host, bind_port = checks.address("BIND", values["BIND"], problems)
    sandbox_host, sandbox_port = checks.address("SANDBOX_BIND", values["SANDBOX_BIND"], problems)
    public = values["API_PUBLIC_URL"]
    checks.public_url(public, problems, warnings)
    loopback = checks.is_loopback(_split(public).hostname or "")
    sandbox = checks.one_of("SANDBOX", values["SANDBOX"], ("auto", "on", "off"), problems)
    database = _database_url(values["DATABASE_URL"], instance)
    given_keys = values["TOKEN_ENCRYPTION_KEY"].split(",")
    config = Config(
        public_url=public, bind_host=bind_host, bind_port=bind_port, instance_path=instance,
        database_url=database, redis_url=values["REDIS_URL"], embedded_store=not values["REDIS_URL"],
        secret_key=values["SECRET_KEY"],
        token_keys=tuple(key.strip().lower() for key in given_keys if key.strip()),
        trusted_proxies=checks.number("TRUSTED_PROXIES", values["TRUSTED_PROXIES"], 0, 10, problems),
        sandbox=loopback if sandbox == "auto" else sandbox == "on",
        sandbox_host=sandbox_host, sandbox_port=sandbox_port,
        workers=checks.number("WORKERS", values["WORKERS"], 1, 64, problems),
        media_folder=instance / Path(values["MEDIA_FOLDER"] or MEDIA_FOLDER).expanduser(),
        media_max_bytes=checks.number("MEDIA_MAX_BYTES", values["MEDIA_MAX_BYTES"], 1024**2, 1024**4, problems),
        media_workspace_bytes=checks.number("MEDIA_WORKSPACE_BYTES", values["MEDIA_WORKSPACE_BYTES"], 1024**2, 1024**5,
                                            problems),
        media_s3_url=values["MEDIA_S3_URL"].rstrip("/"), media_s3_access_key=values["MEDIA_S3_ACCESS_KEY"],
        media_s3_secret_key=values["MEDIA_S3_SECRET_KEY"], media_s3_region=values["MEDIA_S3_REGION"],
        media_cache_bytes=checks.number("MEDIA_CACHE_BYTES", values["MEDIA_CACHE_BYTES"], 64 * 1024**2, 1024**5,
                                        problems),
        private_networks=checks.networks(
            "ALLOWED_PRIVATE_NETWORKS", values["ALLOWED_PRIVATE_NETWORKS"], problems),
        retention_days=checks.days("RETENTION", values["RETENTION"], RETENTION_DAYS, problems),
        mail_url=values["MAIL_URL"], mail_from=values["MAIL_FROM"],
        metrics_token=values["METRICS_TOKEN"],
        console_file=instance / Path(values["CONSOLE_FILE"]).expanduser() if values["CONSOLE_FILE"] else None,
        mcp_port=checks.number("MCP_PORT", values["MCP_PORT"], 1, 65535, problems) if values["MCP_PORT"] else 0,
        log_format=checks.one_of("LOG_FORMAT", values["LOG_FORMAT"], ("text", "json"), problems),
        source=source, problems=problems, warnings=warnings,
        shown={setting.name: values[setting.name] for setting in SETTINGS if not setting.secret})
    checks.folder("INSTANCE_PATH", instance, problems)
    if values["MEDIA_FOLDER"]:
        checks.folder("MEDIA_FOLDER", config.media_folder, problems)
    checks.s3({name: values[name] for name in checks.S3_SET}, source, problems, warnings)
    checks.database_url(database, problems)
    checks.redis_url(values["REDIS_URL"], problems)
    checks.mail(values["MAIL_URL"], values["MAIL_FROM"], problems, warnings)
    checks.metrics_token(values["METRICS_TOKEN"], problems)
    checks.ports(config.sandbox, (bind_host, bind_port), (sandbox_host, sandbox_port), problems)
    checks.reachable(_split(public), bind_port, source["BIND"] != "default", problems, warnings)
    _check_keys(config, values["TOKEN_ENCRYPTION_KEY"])
    return config


def _check_keys(config: Config, given_token_keys: str) -> None:
    lost = _database_exists(config)
    # A value that a file was to give and did not is a problem already.
    if config.secret_key or config.source["SECRET_KEY"] != "file":
        checks.secret_key(config.secret_key, lost, config.keys_file, config.problems)
    if given_token_keys or config.source["TOKEN_ENCRYPTION_KEY"] != "file":
        checks.token_keys(given_token_keys, config.secret_key, lost, config.keys_file, config.problems)
    checks.private(config.keys_file, config.warnings)


def first_keys(config: Config, *, database_is_new: bool | None = None) -> bool:
    """Make both keys in `instance/console.env` if none is set and the database does not exist yet.

    Returns True if it did: read the settings again then, and tell the person once to back the file up.
    `database_is_new` decides where the database is no SQLite file; unless told, a server's is an old one.
    """
    if database_is_new is None:
        database_is_new = _sqlite_file(config.database_url) is not None and not _database_exists(config)
    if not has_no_keys(config) or not database_is_new:
        return False
    make_instance(config)
    handle = os.open(config.keys_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        os.fchmod(handle, 0o600)
        file.write("# The keys of this console. Back this file up: stored tokens open with them alone.\n"
                   f"SECRET_KEY={secrets.token_hex(32)}\nTOKEN_ENCRYPTION_KEY={secrets.token_hex(32)}\n")
        file.flush()
        os.fsync(handle)
    return True


def has_no_keys(config: Config) -> bool:
    """Whether nobody named any key, so that a first run may make them."""
    return config.source["SECRET_KEY"] == config.source["TOKEN_ENCRYPTION_KEY"] == "default"


def make_instance(config: Config) -> None:
    """Create the instance folder, for its owner alone; leave the rights of an existing one as they are."""
    config.instance_path.mkdir(mode=0o700, parents=True, exist_ok=True)


# ---------------------------------------------------------------- where values come from


def _take(values: dict[str, str], source: dict[str, str], given: Mapping[str, str], name: str, root: Path,
          problems: list[str]) -> None:
    """Take from one place what no earlier place had; an empty value counts as not set."""
    for setting in NAMES:
        plain, path = given.get(setting, "").strip(), given.get(f"{setting}_FILE", "").strip()
        if plain and path:
            problems.append(f"{setting} and {setting}_FILE are both set in {_place(name)}, so it is not "
                            "clear which one counts. Remove one of them.")
        if setting in values or not (plain or path):
            continue
        values[setting] = plain or _value_file(f"{setting}_FILE", root / Path(path).expanduser(), problems)
        source[setting] = name if plain else "file"


def _place(name: str) -> str:
    return "the environment" if name == "environment" else name


def _value_file(name: str, path: Path, problems: list[str]) -> str:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{name} names {path}, which cannot be read ({checks.reason(error)}). "
                        "Correct the path or the rights of the file.")
        return ""
    if not value:
        problems.append(f"{name} names {path}, which is empty. Write the value into it.")
    return value


def _env_file(path: Path, problems: list[str]) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read ({checks.reason(error)}). Correct it or its rights.")
        return {}
    # No interpolation: a `$` in a password is a dollar sign.
    found = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value for name, value in found.items() if value is not None}


def _default(name: str) -> str:
    return next(setting.default for setting in SETTINGS if setting.name == name)


def _split(url: str) -> SplitResult:
    """The parts of an address; of one that cannot be parsed, none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _database_url(given: str, instance: Path) -> str:
    """The database's address; a relative SQLite path counts from the instance folder, in every process."""
    if not given:
        return f"sqlite:///{instance / DATABASE_FILE}"
    scheme, separator, rest = given.partition("://")
    if separator and scheme.lower() in ("postgres", "postgresql"):
        return f"postgresql+psycopg://{rest}"
    file = _sqlite_file(given)
    if file is None or file.is_absolute():
        return given
    return given.replace(f":///{file}", f":///{instance / file}", 1)


def _sqlite_file(url: str) -> Path | None:
    scheme, separator, rest = url.partition(":///")
    path = rest.partition("?")[0]
    return Path(path) if separator and scheme.startswith("sqlite") and path and path != ":memory:" else None


def _database_exists(config: Config) -> bool:
    file = _sqlite_file(config.database_url)
    return file is not None and file.is_file() and file.stat().st_size > 0
