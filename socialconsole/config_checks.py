"""What a good value of each setting looks like, and the sentence that says why one is not.

Each check appends to `problems` (the start stops) or `warnings`; none raises, none repeats a secret value.
"""

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

SHORTEST_SECRET = 32
DATABASE_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
HOW_TO_NAME_IT = ("Write it like sqlite:///console.db or postgresql://user:password@host/name, or leave it empty.")
SHORTEST_METRICS_TOKEN = 20
MOST_DAYS = 10_000
TOKEN_KEY_LENGTH = 64
S3_SET = ("MEDIA_S3_URL", "MEDIA_S3_ACCESS_KEY", "MEDIA_S3_SECRET_KEY")
MOST_TOKEN_KEYS = 8
MAIL_SENDER = re.compile(r"[^@\s<>]{1,64}@[A-Za-z0-9.-]{1,189}|[^<>@]+<[^@\s<>]{1,64}@[A-Za-z0-9.-]{1,189}>")
MAKE_KEY = "Make one with: python3 -c \"import secrets; print(secrets.token_hex(32))\""
PLACEHOLDER_WORDS = re.compile(
    r"(change|replace|insert)[-_ ]?me|placeholder|example|your[-_ ]|secret[-_ ]?key|password|default", re.I)
# Keys that stand in public documents, so everybody has them.
PUBLISHED_KEYS = {
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",  # NIST SP 800-38A, AES-256
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",  # SHA-256 of nothing
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",  # SHA-256 of "test"
    "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",  # SHA-256 of "secret"
}


def reason(error: Exception) -> str:
    """Why a file could not be read, in a few words."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


# ---------------------------------------------------------------- addresses


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def port_of(parts: SplitResult) -> int | None:
    """The port of an address; None if it has none or a wrong one."""
    try:
        return parts.port
    except ValueError:
        return None


def address(name: str, value: str, problems: list[str]) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8000` or `[::1]:8000`; on a problem, the loopback address and port 0."""
    host, separator, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not separator or not host or (":" in host and not value.startswith("[")) or "/" in host:
        problems.append(f"{name} is “{value}”, which is not an address and a port. "
                        "Write it like 127.0.0.1:8000.")
        return "127.0.0.1", 0
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        problems.append(f"{name} has the port “{port}”. A port is a whole number from 1 to 65535.")
        return host, 0
    return host, int(port)


def public_url(value: str, problems: list[str], warnings: list[str]) -> None:
    """The address that people and platforms use: each part that it must not have is a problem of its own."""
    name = "API_PUBLIC_URL"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (reading it is what checks it)
    except ValueError:
        problems.append(f"{name} is “{value}”, which cannot be read as an address. "
                        "Write it like https://console.example.org.")
        return
    if parts.scheme not in ("http", "https") or not value.lower().startswith(("http://", "https://")):
        problems.append(f"{name} is “{value}” and does not begin with http:// or https://. "
                        "Write the whole address, like https://console.example.org.")
        return
    found = [sentence for wrong, sentence in _faults(value, parts) if wrong]
    problems.extend(f"{name} is “{_without_user(parts)}”, {sentence}" for sentence in found)
    if parts.scheme == "http" and parts.hostname and not is_loopback(parts.hostname):
        warnings.append(f"{name} uses http, so passwords and tokens travel unencrypted, and most platforms "
                        "refuse the callback. Put the console behind https.")


def _faults(value: str, parts: SplitResult) -> Sequence[tuple[bool, str]]:
    path = parts.path.rstrip("/")
    return (
        (not parts.hostname, "which has no host. Write it like https://console.example.org."),
        (parts.username is not None or parts.password is not None,
         "which carries a user name or password. Leave that part out."),
        (bool(re.search(r"[\s\\\x00-\x1f\x7f\"'<>]", value)),
         "which has a space or a character that no address has. Remove it."),
        (path.endswith("/api") or "/api/connect/" in f"{path}/",
         "which contains /api. The console adds that itself: leave it out."),
        (parts.path.endswith("/"), "which ends with a slash. Leave the slash out."),
        ("//" in parts.path, "which has two slashes in its path. Leave one out."),
        ("?" in value, "which has a question mark and a query. Leave that part out."),
        ("#" in value, "which has a # and a fragment. Leave that part out."),
    )


def _without_user(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def ports(sandbox: bool, bind: tuple[str, int], sandbox_bind: tuple[str, int], problems: list[str]) -> None:
    """The console and its sandbox cannot share a port."""
    if sandbox and bind[1] and bind[1] == sandbox_bind[1]:
        problems.append(f"BIND and SANDBOX_BIND both use port {bind[1]}. Give each a port of its own.")


def reachable(public: SplitResult, bind_port: int, bind_is_set: bool, problems: list[str],
              warnings: list[str]) -> None:
    """Without a proxy, a loopback address must name the port that is listened on."""
    port = port_of(public) or {"http": 80, "https": 443}.get(public.scheme)
    if not problems and is_loopback(public.hostname or "") and bind_is_set and port != bind_port:
        warnings.append(f"The web server listens on port {bind_port}, but API_PUBLIC_URL names port {port}. "
                        "Links and callbacks go to the latter; set both alike unless a proxy stands between.")


# ---------------------------------------------------------------- single values


def one_of(name: str, value: str, allowed: Sequence[str], problems: list[str]) -> str:
    """The value in lower case; on a problem the first of the allowed ones."""
    if value.lower() in allowed:
        return value.lower()
    problems.append(f"{name} is “{value}”. It can be {', '.join(allowed[:-1])} or {allowed[-1]}.")
    return allowed[0]


def number(name: str, value: str, lowest: int, highest: int, problems: list[str]) -> int:
    """A whole number within bounds; on a problem the lowest."""
    if value.isascii() and value.isdigit() and lowest <= int(value) <= highest:
        return int(value)
    problems.append(f"{name} is “{value}”. It is a whole number from {lowest} to {highest}.")
    return lowest


def networks(name: str, value: str, problems: list[str]) -> tuple[str, ...]:
    """Networks separated by commas, as they are written properly; on a problem those that can be read."""
    found = []
    for one in value.replace(",", " ").split():
        try:
            found.append(str(ipaddress.ip_network(one)))
        except ValueError:
            problems.append(f"{name} holds “{one}”, which is no network. Write it like 10.0.0.0/8, with nothing set "
                            "behind its length.")
    return tuple(found)


def days(name: str, value: str, defaults: Mapping[str, int], problems: list[str]) -> dict[str, int]:
    """Days by name, such as `logins=30 audit=0`, over the defaults; one problem names all that is wrong."""
    found, wrong = {}, []
    for part in value.replace(",", " ").split():
        what, _, number_ = part.partition("=")
        fits = re.fullmatch(r"[0-9]{1,5}", number_) and int(number_) <= MOST_DAYS
        if fits and what in defaults and what not in found:
            found[what] = int(number_)
        else:
            wrong.append(f"“{part}”")
    if wrong:
        problems.append(f"{name} holds {', '.join(wrong)}. Write each name once with a number of days from 0 to "
                        f"{MOST_DAYS}, such as logins=30. The names are {', '.join(defaults)}.")
    return {**defaults, **found}


def folder(name: str, path: Path, problems: list[str]) -> None:
    """A folder we may write to, or may create."""
    there = path
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        problems.append(f"{name}: {there} is not a folder, so nothing can be kept in {path}. "
                        "Name another folder.")
    elif not os.access(there, os.W_OK | os.X_OK):
        problems.append(f"{name}: the folder {there} is not writable. Change its rights or name another "
                        "folder.")


def private(path: Path, warnings: list[str]) -> None:
    """A file with keys should be readable by its owner alone."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & 0o077:
        warnings.append(f"Other users of this machine can read {path}, which holds the keys. "
                        f"Run: chmod 600 {path}")


def database_url(value: str, problems: list[str]) -> None:
    """SQLite in a file, or PostgreSQL by our own driver."""
    try:
        url = make_url(value)
        if url.drivername not in DATABASE_DRIVERS:
            problems.append(_wrong_driver(url.drivername))
            return
        url.get_dialect().import_dbapi()
    except ImportError as error:
        problems.append(f"DATABASE_URL needs the Python package “{error.name}”, which is not installed or not whole. "
                        "Install the console's requirements again.")
        return
    except (ArgumentError, NoSuchModuleError, ValueError):
        problems.append(f"DATABASE_URL cannot be used. {HOW_TO_NAME_IT} Signs such as @ : / in a password are "
                        "written as %40 %3A %2F.")
        return
    if url.get_backend_name() == "sqlite" and (url.database or ":memory:") == ":memory:":
        problems.append("DATABASE_URL names a SQLite database in memory, which several processes cannot "
                        "share. Name a file.")
    elif url.get_backend_name() == "postgresql" and not url.database and not {"dbname", "service"} & set(url.query):
        problems.append("DATABASE_URL names a PostgreSQL server and no database. Put its name behind the host, like "
                        "postgresql://user:password@host/name.")


def _wrong_driver(name: str) -> str:
    if name.startswith("postgresql+"):
        return (f"DATABASE_URL cannot be used with the driver “{name.partition('+')[2]}”. Leave the driver out: "
                "postgresql://user:password@host/name.")
    return f"DATABASE_URL cannot be used: the console keeps nothing in “{name}”. {HOW_TO_NAME_IT}"


def redis_url(value: str, problems: list[str]) -> None:
    """A redis:, rediss: or unix: address, or nothing."""
    if value and not value.startswith(("redis://", "rediss://", "unix://")):
        problems.append("REDIS_URL does not begin with redis://, rediss:// or unix://. Correct it, or leave "
                        "it empty for the embedded store.")


def metrics_token(value: str, problems: list[str]) -> None:
    """Long enough that nobody guesses it, and fit for a header; or nothing."""
    if value and len(value) < SHORTEST_METRICS_TOKEN:
        problems.append(f"METRICS_TOKEN is too short: {len(value)} characters, at least {SHORTEST_METRICS_TOKEN} are "
                        f"needed. {MAKE_KEY}")
    elif re.search(r"[^!-~]", value):
        problems.append("METRICS_TOKEN has a space or a character that no header may carry. Use letters, digits and "
                        "signs of ASCII.")


# ---------------------------------------------------------------- mail


def mail(url: str, sender: str, problems: list[str], warnings: list[str]) -> None:
    """Both or none: a server to hand mails to, and an address that they come from. Never repeats a password."""
    if url:
        _mail_server(url, problems, warnings)
    if sender and not MAIL_SENDER.fullmatch(sender):
        problems.append(f"MAIL_FROM is “{sender}”, which is no sender of mails. Write it like "
                        "Social Console <console@example.org>.")
    if url and not sender:
        problems.append("MAIL_URL is set and MAIL_FROM is not, so mails would come from nobody. Set MAIL_FROM to an "
                        "address of yours, such as console@example.org.")
    if sender and not url:
        warnings.append("MAIL_FROM is set and MAIL_URL is not, so no mail is sent.")


def _mail_server(url: str, problems: list[str], warnings: list[str]) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.scheme not in ("smtp", "smtps") or parts.path.strip("/") or parts.fragment:
        problems.append("MAIL_URL cannot be used. Write it like smtp://user:password@host:587 or "
                        "smtps://user:password@host:465. Signs such as @ : / in a password are written as %40 %3A %2F.")
        return
    if parts.query not in ("", "tls=off") or (parts.query and parts.scheme == "smtps"):
        problems.append("MAIL_URL ends with a query that means nothing. The only one is ?tls=off, with smtp://.")
    if bool(parts.username) != bool(parts.password):
        problems.append("MAIL_URL has a user name without a password, or a password without a user name. Give both, or "
                        "neither.")
    if parts.query and not is_loopback(parts.hostname or ""):
        warnings.append("MAIL_URL says tls=off, so mails with links to join and to reset passwords travel unencrypted"
                        f"{', and so does the password of the mail server' if parts.password else ''}. Leave it out "
                        "unless the network is yours.")


# ---------------------------------------------------------------- a store for files


def s3(given: Mapping[str, str], source: Mapping[str, str], problems: list[str], warnings: list[str]) -> None:
    """All three of S3_SET or none, and an address of a bucket."""
    lacking = [name for name in S3_SET if not given[name]]
    if len(lacking) == len(S3_SET):
        return
    # A value that a file was to give and did not is a problem already.
    if lacking and not any(source[name] == "file" for name in lacking):
        problems.append(f"{' and '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} not set, so the storage for "
                        f"files cannot be used. Set all of {', '.join(S3_SET)}, or none.")
    if given["MEDIA_S3_URL"]:
        _s3_url(given["MEDIA_S3_URL"], problems, warnings)


def _s3_url(value: str, problems: list[str], warnings: list[str]) -> None:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (reading it is what checks it)
    except ValueError:
        parts = urlsplit("")
    bucket = parts.path.strip("/").partition("/")[0]
    if parts.username is not None or parts.password is not None:
        problems.append("MEDIA_S3_URL carries a user name or password. Leave that part out; the key has settings of "
                        "its own.")
    elif parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        problems.append(f"MEDIA_S3_URL is “{value}”, which cannot be used. Write it like "
                        "https://s3.example.org/bucket.")
    elif not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        problems.append(f"MEDIA_S3_URL names the bucket “{bucket}”. A bucket has 3 to 63 small letters, digits, dots "
                        "and hyphens. Write it like https://s3.example.org/bucket.")
    elif not re.fullmatch(r"[\w./-]*", parts.path, re.ASCII) or "//" in parts.path or "/../" in f"{parts.path}/":
        problems.append(f"MEDIA_S3_URL is “{value}”, whose prefix has signs that make trouble. Use letters, digits, "
                        "hyphens and single slashes.")
    elif parts.scheme == "http" and not is_loopback(parts.hostname):
        warnings.append("MEDIA_S3_URL uses http, so files travel unencrypted. Use https unless the network is yours.")


# ---------------------------------------------------------------- keys


def secret_key(value: str, database_exists: bool, keys_file: Path, problems: list[str]) -> None:
    """Present, long enough, and no placeholder."""
    if not value:
        problems.append(_missing("SECRET_KEY", database_exists, keys_file))
    elif len(value) < SHORTEST_SECRET:
        problems.append(f"SECRET_KEY is too short: {len(value)} characters, at least {SHORTEST_SECRET} are "
                        f"needed. {MAKE_KEY}")
    elif is_placeholder(value):
        problems.append(f"SECRET_KEY is a placeholder that anybody could guess. {MAKE_KEY}")


def token_keys(value: str, secret: str, database_exists: bool, keys_file: Path, problems: list[str]) -> None:
    """One key or several: each 64 hexadecimal characters, none a placeholder, none twice."""
    name = "TOKEN_ENCRYPTION_KEY"
    if not value:
        problems.append(_missing(name, database_exists, keys_file))
        return
    keys = [key.strip() for key in value.split(",")]
    for number_, key in enumerate(keys, 1):
        which = name if len(keys) == 1 else f"{name}, key {number_} of {len(keys)},"
        wrong = _token_key_fault(key, secret)
        if wrong:
            problems.append(f"{which} {wrong} {MAKE_KEY}")
    if len({key.lower() for key in keys}) < len(keys):
        problems.append(f"{name} names the same key twice. Remove one of them.")
    if len(keys) > MOST_TOKEN_KEYS:
        problems.append(f"{name} holds {len(keys)} keys, at most {MOST_TOKEN_KEYS} are used. "
                        "Remove the oldest ones that no stored token needs any more.")


def _token_key_fault(key: str, secret: str) -> str:
    """The end of a sentence saying what is wrong with one key, or nothing."""
    if not key:
        return "is empty: there is a comma too many."
    if not re.fullmatch(r"[0-9a-fA-F]*", key):
        return "has characters that are not hexadecimal (0-9, a-f)."
    if len(key) != TOKEN_KEY_LENGTH:
        fault = "short" if len(key) < TOKEN_KEY_LENGTH else "long"
        return f"is too {fault}: {len(key)} characters instead of {TOKEN_KEY_LENGTH}."
    if secret and key.lower() == secret.lower():
        return "is the same as SECRET_KEY. Each needs a value of its own."
    return "is a placeholder that anybody could guess." if is_placeholder(key) else ""


def is_placeholder(value: str) -> bool:
    """Whether a key is no random value: few different characters, a repeated piece, a sequence, published."""
    low = value.lower()
    if len(set(low)) < 8 or low in PUBLISHED_KEYS or PLACEHOLDER_WORDS.search(low):
        return True
    if any(low == (low[:size] * len(low))[: len(low)] for size in range(1, len(low) // 2 + 1)):
        return True
    return _is_sequence([ord(sign) for sign in low]) or _is_sequence(_bytes(low))


def _bytes(value: str) -> list[int]:
    try:
        return list(bytes.fromhex(value))
    except ValueError:
        return []


def _is_sequence(numbers: list[int]) -> bool:
    steps = {(after - before) % 256 for before, after in zip(numbers, numbers[1:], strict=False)}
    return len(numbers) > 1 and len(steps) == 1


def is_missing_key(problem: str) -> bool:
    """Whether this sentence only says that a key is not set, which a first run mends by itself."""
    return problem.startswith(("SECRET_KEY is not set", "TOKEN_ENCRYPTION_KEY is not set"))


def _missing(name: str, database_exists: bool, keys_file: Path) -> str:
    if database_exists:
        return (f"{name} is not set, but the database already exists and was made with one. "
                f"Bring back {keys_file} from your backup, or set {name} to the value used before.")
    return (f"{name} is not set. Start the console once with `socialconsole run`, which makes both keys, "
            f"or set it. {MAKE_KEY}")
