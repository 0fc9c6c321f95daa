"""The real provider in front of the real sandbox, in one process: nothing is scripted between them.

Calls of the provider to `BASE` reach the sandbox's WSGI app through the door that all calls use, bodies streamed as
they are. Everything else on this machine (the little server that hands out files) is reached as ever. Clocks move by
hand.
"""

import hashlib
import io
import json as jsonlib
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
import urllib3
from flask import Flask
from PIL import Image
from requests.adapters import HTTPAdapter
from werkzeug.datastructures import Headers
from werkzeug.formparser import parse_form_data
from werkzeug.test import TestResponse, create_environ, run_wsgi_app

from socialconsole import outside
from socialconsole.providers import connectable
from socialconsole.providers.base import App, Consent, Draft, Located, Profile, Published, Sent, Wait
from socialconsole.providers.content import DOCUMENT, GIF, IMAGE, VIDEO, File, Progress
from socialconsole.sandbox import create_sandbox
from socialconsole.sandbox.world import World

BASE = "http://localhost:9999"
CALLBACK = "http://127.0.0.1:8000/api/connect/{platform}/callback"
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STATE, VERIFIER = "state-of-a-walk", "v" * 64
MOST_TURNS = 60  # no platform here takes more questions than this
KEPT_OF_A_BODY = 256 * 1024
TYPES = {IMAGE: "image/jpeg", GIF: "image/gif", VIDEO: "video/mp4", DOCUMENT: "application/pdf"}
ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "video/mp4": "mp4",
           "video/quicktime": "mov", "application/pdf": "pdf"}


class Clock:
    """One clock for the console and the sandbox; it moves only when told."""

    def __init__(self) -> None:
        self.instant = START.timestamp()

    def __call__(self) -> float:
        return self.instant

    def forward(self, seconds: float) -> None:
        self.instant += seconds

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.instant, UTC)


# ---------------------------------------------------------------- the way from requests to the WSGI app


@dataclass(frozen=True)
class Asked:
    """One request as the provider sent it. `parts` maps the names of a multipart form to text, None for a file."""

    method: str
    host: str  # the real one, without the sandbox's address before it
    path: str
    query: dict[str, str]
    form: dict[str, str]
    json: Any
    parts: dict[str, str | None]
    headers: Mapping[str, str]
    size: int  # bytes of the body
    status: int = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """Every named parameter, wherever it stood."""
        plain = self.json if isinstance(self.json, dict) else {}
        return {**self.query, **self.form, **self.parts, **plain}

    @property
    def line(self) -> str:
        """`POST graph.example.com/v1/thing`"""
        return f"{self.method} {self.host}{self.path}"


class _Body(io.RawIOBase):
    """Whatever requests would send, as one stream; the first bytes of it are kept."""

    def __init__(self, body: Any) -> None:
        if isinstance(body, str):
            body = body.encode()
        if body is None or isinstance(body, bytes):
            body = io.BytesIO(body or b"")
        self.pieces: Iterator[bytes] | None = None if hasattr(body, "read") else iter(body)
        self._source, self._rest = body, b""
        self.head, self.size = b"", 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.pieces is None:
            piece = self._source.read(len(buffer))
            piece = piece.encode() if isinstance(piece, str) else piece
        else:
            piece = self._rest or next(self.pieces, b"")
            piece, self._rest = piece[: len(buffer)], piece[len(buffer):]
        buffer[: len(piece)] = piece
        self.head += piece[: KEPT_OF_A_BODY - len(self.head)]
        self.size += len(piece)
        return len(piece)


class Door:
    """Sends requests for `BASE` to the sandbox and keeps what they were; `cut` breaks connections on order."""

    def __init__(self, wsgi: Flask) -> None:
        self.wsgi = wsgi
        self.asked: list[Asked] = []
        self.real_send = HTTPAdapter.send

    def send(self, adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """In place of `HTTPAdapter.send`."""
        if not (request.url or "").startswith(BASE + "/"):
            return self.real_send(adapter, request, **options)
        parts = urlsplit(request.url or "")
        length = request.headers.get("Content-Length")
        body = _Body(request.body)
        environ = create_environ(unquote(parts.path), BASE, query_string=parts.query, method=request.method or "GET",
                                 headers=Headers(list(request.headers.items())))
        environ["CONTENT_TYPE"] = request.headers.get("Content-Type", "")  # the builder puts its own boundary there
        environ["wsgi.input"] = io.BufferedReader(body)
        environ["wsgi.input_terminated"] = length is None
        environ["CONTENT_LENGTH"] = length or ("" if body.pieces else "0")
        try:
            answer, status, headers = run_wsgi_app(self.wsgi, environ, buffered=True)
        except ConnectionResetError as cut:
            self.asked.append(_asked(request, body, 0))
            raise requests.exceptions.ConnectionError(cut, request=request) from None
        code = int(status.split()[0])
        self.asked.append(_asked(request, body, code))
        raw = urllib3.HTTPResponse(io.BytesIO(b"".join(answer)), urllib3.HTTPHeaderDict(list(headers)), code,
                                   preload_content=False)
        return adapter.build_response(request, raw)


def _asked(request: requests.PreparedRequest, body: _Body, status: int) -> Asked:
    parts = urlsplit(request.url or "")
    _, host, path = unquote(parts.path).split("/", 2)
    kind = request.headers.get("Content-Type", "")
    form: dict[str, str] = {}
    multipart: dict[str, str | None] = {}
    json = None
    if kind.startswith("application/x-www-form-urlencoded"):
        form = dict(parse_qsl(body.head.decode(), keep_blank_values=True))
    elif kind.startswith("application/json"):
        json = jsonlib.loads(body.head or b"null")
    elif kind.startswith("multipart/form-data"):
        multipart = _multipart(kind, body)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Asked(request.method or "", host, f"/{path}", query, form, json, multipart, dict(request.headers), body.size,
                 status)


def _multipart(kind: str, body: _Body) -> dict[str, str | None]:
    if body.size > len(body.head):  # too large to keep: what stands before the file
        found = re.findall(r'[; ]name="([^"]+)"(; filename)?[^\r]*\r\n(?:[^\r]+\r\n)*\r\n([^\r]*)',
                           body.head.decode("latin-1"))
        return {name: None if is_file else value for name, is_file, value in found}
    environ = create_environ(method="POST", input_stream=io.BytesIO(body.head), content_type=kind,
                             content_length=len(body.head))
    _, fields, files = parse_form_data(environ)
    return {**fields.to_dict(), **dict.fromkeys(files)}


# ---------------------------------------------------------------- files


class Files:
    """Small real files, each different, and a little server where platforms may fetch them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.types: dict[str, str] = {}
        self._server: ThreadingHTTPServer | None = None

    def make(self, kind: str = IMAGE, size: int = 0, *, type: str = "", width: int = 0, height: int = 0,
             seconds: float | None = None, frames: int = 3, pages: int = 1, alt_text: str = "", name: str = "") -> File:
        """A file of at least `size` bytes (padded where its sort allows it)."""
        number = len(self.types) + 1
        type = type or TYPES[kind]
        width, height = width or (320 if kind != VIDEO else 1080), height or (400 if kind != VIDEO else 1920)
        content = _padded(type, _CONTENT[kind](type, number, width, height, frames), size)
        name = name or f"file-{number}.{ENDINGS[type]}"
        path = self.folder / f"{number}-{Path(name).name}"
        path.write_bytes(content)
        self.types[path.name] = type
        moving = kind == VIDEO
        return File(
            f"file-{number}", kind, type, len(content), path, name, hashlib.sha256(content).hexdigest(),
            width if kind != DOCUMENT else 0, height if kind != DOCUMENT else 0,
            (10.0 if seconds is None else seconds) if moving else None, 30.0 if moving else None,
            frames if kind == GIF else 0, pages if kind == DOCUMENT else 0, alt_text, f"{self.address}/{path.name}")

    @property
    def address(self) -> str:
        """Where the server is; it starts when it is first asked for."""
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _handler(files: Files) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            if name not in files.types:
                self.send_error(404)
                return
            content = (files.folder / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", files.types[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    return Handler


def _picture(type: str, number: int, width: int, height: int, frames: int) -> bytes:
    stream = io.BytesIO()
    format = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}[type]
    pictures = [Image.new("RGB", (width, height), (number * 37 % 256, turn * 80 % 256, number % 256))
                for turn in range(frames if format == "GIF" else 1)]
    more: dict[str, Any] = {"save_all": True, "append_images": pictures[1:]} if format == "GIF" else {}
    pictures[0].save(stream, format, **more)
    return stream.getvalue()


def _video(type: str, number: int, width: int, height: int, frames: int) -> bytes:
    brand = b"qt  " if type == "video/quicktime" else b"isom"
    head = b"ftyp" + brand + (512).to_bytes(4, "big") + brand + b"mp41"
    data = b"mdat" + number.to_bytes(8, "big") + bytes(512)
    return b"".join((len(box) + 4).to_bytes(4, "big") + box for box in (head, data))


def _document(type: str, number: int, width: int, height: int, frames: int) -> bytes:
    return b"%%PDF-1.4\n%% %d\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%%%EOF\n" % number


_CONTENT = {IMAGE: _picture, GIF: _picture, VIDEO: _video, DOCUMENT: _document}


def _padded(type: str, content: bytes, size: int) -> bytes:
    """At least `size` bytes; in a video as a box of their own, in the others behind their end. No two MB are alike."""
    missing = size - len(content)
    if missing <= 0:
        return content
    if not type.startswith("video/"):
        return content + _noise(missing)
    return content + (max(missing, 8)).to_bytes(4, "big") + b"free" + _noise(missing - 8)


def _noise(size: int) -> bytes:
    block = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(1, 8193))
    return (block * (max(size, 0) // len(block) + 1))[: max(size, 0)]


# ---------------------------------------------------------------- one platform, one app, one account


@dataclass
class Account:
    """A profile that was chosen after a consent, with the token that speaks for it."""

    profile: Profile
    token: str = field(repr=False)
    consent: Consent = field(repr=False)


class Place:
    """An app at one platform of the sandbox, and the provider that uses it."""

    def __init__(self, platform: str, mode: str, sandbox: Flask, door: Door, files: Files, clock: Clock,
                 settings: Mapping[str, Any]) -> None:
        self.provider = connectable(platform)
        self.platform, self.mode, self.sandbox, self.door, self.clock = platform, mode, sandbox, door, clock
        self.client = sandbox.test_client()
        self.file = files.make  # file(kind=…, size=…, type=…, width=…, height=…, seconds=…, alt_text=…)
        callback = CALLBACK.format(platform=platform)
        wish = {"platform": platform, "name": "Console", "redirect_uris": [callback], "accept_http_loopback": True,
                **({"mode": mode} if mode else {}), **settings}
        self.registered: dict[str, Any] = self.control("POST", "/portal/api/apps", wish)
        version = self.provider.api_version
        everything = tuple(one.slug for one in self.provider.features_of(mode))
        names = [scope.name for scope in self.provider.default_scopes(mode, everything)]
        self.app = App(
            self.registered["client_id"], self.registered["client_secret"], callback,
            self.provider.scope_separator.join(names), mode, version.default if version else "",
            hosts=self.provider.base_addresses(BASE))
        self._account: Account | None = None

    # ------------------------------------------------------------ connect

    def consent(self, person: str = "", scopes: Iterable[str] | None = None, *, pages: Iterable[str] | None = None,
                declined: Iterable[str] = ()) -> Consent:
        """Walk through the consent page as a built-in person (the first one), who ticks every page or those named."""
        known = {str(one["id"]): one for one in self.control("GET", f"/portal/api/people?platform={self.platform}")}
        person = person or next(iter(known))
        if scopes is not None:
            self.app = replace(self.app, scopes=self.provider.scope_separator.join(scopes))
        address = self.provider.authorization_url(self.app, STATE, VERIFIER).removeprefix(BASE)
        page = self.client.get(address, base_url=BASE)
        assert page.status_code == 200, page.text
        own = [str(one["id"]) for one in known[person].get("pages", ())]
        asked = re.split(r"[\s,]+", self.app.scopes)
        answer = self.client.post(address, base_url=BASE, data={
            "person": person, "decision": "allow", "page": list(own if pages is None else pages),
            "scope": [one for one in asked if one not in set(declined)]})
        assert answer.status_code == 302, answer.text
        query = dict(parse_qsl(urlsplit(answer.location).query))
        self.provider.read_refusal(query)
        assert query["state"] == STATE
        return self.provider.consent(self.app, query["code"], VERIFIER)

    def connect(self, person: str = "", profile: str = "", **how: Any) -> Account:
        """Consent, then choose a profile by its id: the first one that can be chosen if none is named."""
        consent = self.consent(person, **how)
        chosen = [one for one in consent.profiles if one.platform_user_id == profile or not (profile or one.problem)]
        assert chosen, consent.profiles
        self._account = Account(chosen[0], chosen[0].own_token or consent.tokens.access_token, consent)
        return self._account

    @property
    def account(self) -> Account:
        """The account that is used; the usual person connects if nobody did."""
        return self._account or self.connect()

    # ------------------------------------------------------------ publish

    def draft(self, text: str = "", format: str = "text", files: Iterable[File] = (), **facts: Any) -> Draft:
        """A draft for the account."""
        profile = self.account.profile
        return Draft(text, profile.platform_user_id, profile.username, profile.meta, format=format, files=tuple(files),
                     **{"person_id": self.account.consent.person_id, **facts})

    def prepare(self, draft: Draft, progress: Progress) -> None:
        """Prepare until it is ready, as the engine does: again and again, the clock moved on between."""
        for _ in range(MOST_TURNS):
            self.provider.prepare(self.app, self.account.token, draft, progress)
            wait = self.provider.check(self.app, self.account.token, draft, progress)
            if wait is None:
                return
            assert isinstance(wait, Wait)
            self.clock.forward(wait.again_in.total_seconds())
        raise AssertionError("It never became ready.")

    def deliver(self, draft: Draft, progress: Progress | None = None) -> Published:
        """Prepare, check, publish once, follow to the end. Raises PlatformError as it comes."""
        progress = Progress() if progress is None else progress
        self.prepare(draft, progress)
        outcome = self.provider.publish(self.app, self.account.token, draft, progress)
        return self.followed(draft, progress, outcome)

    def followed(self, draft: Draft, progress: Progress, outcome: Published | Sent | Located) -> Published:
        """Ask after what was sent until it is published."""
        for _ in range(MOST_TURNS):
            if isinstance(outcome, Published):
                return outcome
            if outcome is Located.NOT_PUBLISHED:  # for good, and the provider says that a new try may succeed
                return self.deliver(draft, progress)
            assert isinstance(outcome, Sent) and not outcome.waits_for_person, outcome
            self.clock.forward(outcome.again_in.total_seconds())
            outcome = self.provider.follow(self.app, self.account.token, draft, progress, outcome)
        raise AssertionError("It was never published.")

    def locate(self, draft: Draft, progress: Progress | None = None,
               sent_at: datetime | None = None) -> Published | Sent | Located:
        """Look for a draft whose outcome is unknown."""
        return self.provider.locate(self.app, self.account.token, draft, progress or Progress(),
                                    sent_at or self.clock.now)

    def delete(self, post_id: str, draft: Draft) -> None:
        """Delete what was published."""
        self.provider.delete(self.app, self.account.token, post_id, draft)

    # ------------------------------------------------------------ what the sandbox knows

    @property
    def asked(self) -> list[Asked]:
        """Every request that a provider made, oldest first. Clear it to look at one step alone."""
        return self.door.asked

    @property
    def world(self) -> World:
        """The sandbox itself."""
        world: World = self.sandbox.extensions["sandbox"]
        return world

    def control(self, method: str, path: str, json: Any = None) -> Any:
        """The sandbox's JSON control; `path` as in `/portal/api/settings`."""
        answer: TestResponse = self.client.open(path, base_url=BASE, method=method, json=json)
        assert answer.status_code < 400, answer.text
        return answer.get_json()

    def settings(self, **settings: Any) -> None:
        """Settings of the sandbox, such as processing_polls=2 or quotas={…}."""
        self.control("POST", "/portal/api/settings", settings)

    def fault(self, operation: str, kind: str, **more: Any) -> None:
        """Order a fault for the next call."""
        self.control("POST", "/portal/api/faults",
                     {"platform": self.platform, "operation": operation, "kind": kind, **more})

    def posts(self) -> list[dict[str, Any]]:
        """The posts that can be seen, newest first."""
        found: list[dict[str, Any]] = self.control("GET", f"/portal/api/posts?platform={self.platform}")
        return found

    def uploads(self) -> list[dict[str, Any]]:
        """The media that were received."""
        found: list[dict[str, Any]] = self.control("GET", f"/portal/api/uploads?platform={self.platform}")
        return found


class Playground:
    """Call it with a platform (and a mode, and settings of the sandbox's app) to get a `Place` there."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.sandbox = create_sandbox(BASE, folder / "sandbox.db", self.clock)
        self.door = Door(self.sandbox)
        (folder / "files").mkdir()
        self.files = Files(folder / "files")

    def __call__(self, platform: str, mode: str = "", **settings: Any) -> Place:
        return Place(platform, mode, self.sandbox, self.door, self.files, self.clock, settings)

    def close(self) -> None:
        """Nothing stays open."""
        self.files.close()
        world: World = self.sandbox.extensions["sandbox"]
        world.state.close()


@contextmanager
def open_playground(folder: Path) -> Iterator[Playground]:
    """The sandbox in this process, reached by every provider under `BASE`; both share a clock that is moved by hand."""
    made = Playground(folder)
    outside.use_clock(lambda: made.clock.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", lambda self, request, *more, **options: made.door.send(
            self, request, *more, **options))
        yield made
    outside.use_clock(None)
    made.close()
