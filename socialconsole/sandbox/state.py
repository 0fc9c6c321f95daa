"""What the sandbox remembers: apps, grants, codes, tokens, people, posts, uploads, settings and ordered faults.

Everything is held in memory under one lock and written through to a SQLite file, so a restart forgets nothing and
an answer costs no more than one small write. The sandbox keeps its own tokens readable: they open nothing real.
"""

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

DAY = 86_400.0


@dataclass
class App:
    """An app that a developer registered at a platform; `settings` holds what its platform's `Play` names."""

    kind: ClassVar[str] = "app"
    platform: str
    client_id: str
    client_secret: str
    name: str
    redirect_uris: list[str] = field(default_factory=list)
    accept_http_loopback: bool = False
    mode: str = ""
    access_seconds: int | None = None  # None: as long as the platform's own tokens live
    code_seconds: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    created_at: float = 0.0

    @property
    def key(self) -> str:
        return self.client_id


@dataclass
class Grant:
    """One person's consent to one app; `dead` says why it ended, empty while it stands."""

    kind: ClassVar[str] = "grant"
    id: str
    platform: str
    client_id: str
    person_id: str
    scopes: list[str]
    created_at: float
    declined: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    dead: str = ""

    @property
    def key(self) -> str:
        return self.id


@dataclass
class Code:
    """An authorization code and what it was given out for."""

    kind: ClassVar[str] = "code"
    value: str
    client_id: str
    person_id: str
    redirect_uri: str
    scopes: list[str]
    issued_at: float
    challenge: str = ""
    grant_id: str = ""
    used: bool = False

    @property
    def key(self) -> str:
        return self.value


@dataclass
class Token:
    """A token of a grant: `access`, `refresh` or `page`; `dead` says why it ended by itself."""

    kind: ClassVar[str] = "token"
    value: str
    role: str
    grant_id: str
    issued_at: float
    expires_at: float | None
    long: bool = False
    page_id: str = ""
    parent: str = ""
    uses: int = 0
    dead: str = ""

    @property
    def key(self) -> str:
        return self.value


@dataclass
class Standing:
    """What may change about a built-in person."""

    kind: ClassVar[str] = "standing"
    platform: str
    person_id: str
    suspended: bool = False

    @property
    def key(self) -> str:
        return f"{self.platform}:{self.person_id}"


@dataclass
class Post:
    """A post as its platform stores it: `text` for readers, `api_text` as the API gives it back."""

    kind: ClassVar[str] = "post"
    id: str
    platform: str
    client_id: str
    author_id: str
    author_name: str
    handle: str
    text: str
    sent: str
    created_at: float
    permalink: str
    api_text: str = ""
    link: str = ""
    deleted: bool = False
    media: list[dict[str, Any]] = field(default_factory=list)  # kind, mime, size, sha256, alt
    format: str = ""
    reply_to: str = ""  # the id of the post that this one answers
    facts: dict[str, Any] = field(default_factory=dict)  # a poll, a title, who may see it…

    @property
    def key(self) -> str:
        return f"{self.platform}:{self.id}"


@dataclass
class Upload:
    """Media on its way in; the bytes lie in a file (`uploads.py`). Empty `error`: nothing went wrong so far."""

    kind: ClassVar[str] = "upload"
    id: str
    platform: str
    client_id: str
    owner_id: str
    purpose: str
    mime: str = ""
    total: int | None = None
    received: int = 0
    sha256: str = ""  # in hexadecimal, once everything is there
    url: str = ""
    status: str = ""
    polls_left: int = 0
    error: str = ""
    created_at: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.id


@dataclass
class Settings:
    """What can be set for the whole sandbox; there is one of it."""

    kind: ClassVar[str] = "settings"
    processing_polls: int = 1
    quotas: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return "settings"


@dataclass
class Fault:
    """A failure on order; `left` is how many calls it will still meet."""

    kind: ClassVar[str] = "fault"
    id: str
    platform: str
    operation: str
    sort: str
    seconds: float
    left: int
    after: bool
    created_at: float
    mixed: bool = False  # not ordered for this call: it came out of a mix

    @property
    def key(self) -> str:
        return self.id


Record = App | Grant | Code | Token | Standing | Post | Fault | Upload | Settings
RecordType = TypeVar("RecordType", App, Grant, Code, Token, Standing, Post, Fault, Upload, Settings)
KINDS: dict[str, type[Record]] = {
    record.kind: record for record in (App, Grant, Code, Token, Standing, Post, Fault, Upload, Settings)
}


# What a record belongs to, by kind: of these there may be tens of thousands, so they are kept sorted by it.
OWNERS = {Token.kind: "grant_id", Grant.kind: "person_id", Post.kind: "author_id"}


def _owner(record: Record) -> str:
    return str(getattr(record, OWNERS[record.kind])) if record.kind in OWNERS else ""


class State:
    """All records by kind and key. Change them inside `writing()` and `keep` what changed."""

    def __init__(self, file: Path | None, now: float) -> None:
        self.lock = threading.RLock()
        self.records: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._owned: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed: dict[tuple[str, str], Record | None] = {}
        self._depth = 0
        self._writer = 0
        self._database = _open(file) if file else None
        self._read(now)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Alone with the state; what was kept or dropped is on disk when this ends."""
        with self.lock:
            self._depth += 1
            self._writer = threading.get_ident()
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._writer = 0
                    self._write()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others at the state while something slow is done; what was kept so far is on disk before."""
        depth = self._depth if self._writer == threading.get_ident() else 0
        if depth:
            self._depth = self._writer = 0
            self._write()
        for _ in range(depth):
            self.lock.release()
        try:
            yield
        finally:
            for _ in range(depth):
                self.lock.acquire()
            if depth:
                self._depth, self._writer = depth, threading.get_ident()

    def keep(self, record: Record) -> None:
        """Remember a new or changed record."""
        with self.lock:
            self.records[record.kind][record.key] = record
            self._belongs(record)
            if self._database is not None:
                self._changed[record.kind, record.key] = record

    def drop(self, record: Record) -> None:
        """Forget a record; forgetting it twice is harmless."""
        with self.lock:
            self.records[record.kind].pop(record.key, None)
            self._owned.get((record.kind, _owner(record)), {}).pop(record.key, None)
            if self._database is not None:
                self._changed[record.kind, record.key] = None

    def find(self, sort: type[RecordType], key: str | None) -> RecordType | None:
        """The record of that kind and key, or None."""
        found: RecordType | None = self.records[sort.kind].get(key or "")
        return found

    def all(self, sort: type[RecordType]) -> list[RecordType]:
        """Every record of a kind, oldest first."""
        with self.lock:
            return list(self.records[sort.kind].values())

    def of(self, sort: type[RecordType], owner: str) -> list[RecordType]:
        """The records of a kind that belong to one owner (see `OWNERS`), oldest first."""
        with self.lock:
            return list(self._owned.get((sort.kind, owner), {}).values())

    def _belongs(self, record: Record) -> None:
        if record.kind in OWNERS:
            self._owned.setdefault((record.kind, _owner(record)), {})[record.key] = record

    def standing(self, platform: str, person_id: str) -> Standing:
        """How a person stands with the platform; a fresh one stands well."""
        return self.find(Standing, f"{platform}:{person_id}") or Standing(platform, person_id)

    def close(self) -> None:
        """Let go of the file."""
        with self.lock:
            if self._database:
                self._database.close()
                self._database = None

    def _write(self) -> None:
        changed, self._changed = self._changed, {}
        if not changed or self._database is None:
            return
        with self._database:
            for (kind, key), record in changed.items():
                if record is None:
                    self._database.execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key))
                else:
                    self._database.execute(
                        "INSERT INTO record (kind, key, body) VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                        (kind, key, json.dumps(asdict(record))),
                    )

    def _read(self, now: float) -> None:
        if self._database is None:
            return
        rows = self._database.execute("SELECT kind, key, body FROM record ORDER BY rowid").fetchall()
        for kind, key, body in rows:
            if kind in KINDS:
                self.records[kind][key] = _loaded(KINDS[kind], json.loads(body))
                self._belongs(self.records[kind][key])
        with self.writing():
            for code in self.all(Code):
                if code.issued_at < now - DAY:
                    self.drop(code)


def _loaded(sort: type[Record], body: dict[str, Any]) -> Record:
    """The record as it was written, also by another version: what an app has no field for is one of its settings."""
    known = {name: body[name] for name in (one.name for one in fields(sort)) if name in body}
    if sort is App:
        known["settings"] = {name: body[name] for name in body.keys() - known.keys()} | body.get("settings", {})
    return sort(**known)


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Made by hand first: SQLite would create it readable by others.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    os.chmod(file, 0o600)
    database = sqlite3.connect(file, check_same_thread=False)
    # Answers must take milliseconds and a killed process loses nothing by this; only a power cut could.
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = TRUNCATE")
    database.execute(
        "CREATE TABLE IF NOT EXISTS record (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key))"
    )
    database.commit()
    return database


def fresh_id(size: int = 8) -> str:
    """A random id, `size` bytes in hexadecimal."""
    return secrets.token_hex(size)
