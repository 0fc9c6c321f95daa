"""A small, strict S3 server for tests, written from Amazon's documents and independent of the client it is tried with.

It checks Signature Version 4 itself, payload checksums, multipart uploads and their order, and fails on order. Bodies
lie in files, so that large ones cost no memory.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import base64
import hashlib
import hmac
import re
import socket
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

ACCESS, SECRET, REGION, BUCKET = "console-key", "not-a-secret-of-anybody", "eu-test-1", "files"
SMALLEST_PART = 5 * 1024 * 1024
PIECE = 256 * 1024
XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
SKEW = timedelta(minutes=15)


class Refused(Exception):
    """An error answer: its status and S3's code for it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Object:
    """One stored object."""

    path: Path
    size: int
    etag: str
    meta: dict[str, str]
    at: datetime


@dataclass
class Upload:
    """A multipart upload that is not complete."""

    key: str
    meta: dict[str, str]
    at: datetime
    parts: dict[int, Object] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong: `how` is "503", "cut", "slow" or "hang"; for calls whose method and path fit, so many times."""

    how: str
    method: str
    where: str
    left: int


class S3Double:
    """The server. `url` is its address with the bucket; `calls` what it was asked: method and path with query."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.lock = folder, threading.Lock()
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, Upload] = {}
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self.ahead = timedelta()  # how far its clock is ahead of ours
        self.denied: set[str] = set()  # methods that the key may not use
        self.largest_body = 0
        self._number = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"double": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of its bucket."""
        return f"http://127.0.0.1:{self.port}/{BUCKET}"

    def settings(self, **more: str) -> dict[str, str]:
        """The settings of a console that keeps its files here."""
        return {"MEDIA_S3_URL": f"{self.url}/media", "MEDIA_S3_ACCESS_KEY": ACCESS, "MEDIA_S3_SECRET_KEY": SECRET,
                "MEDIA_S3_REGION": REGION, **more}

    def fail(self, how: str, method: str = "", where: str = "", times: int = 1_000_000) -> None:
        """Let the next calls that fit go wrong."""
        self.faults.append(Fault(how, method, where, times))

    def well(self) -> None:
        """No faults any more."""
        self.faults.clear()

    def lose(self, key: str) -> None:
        """Forget an object."""
        del self.objects[key]

    def spoil(self, key: str) -> None:
        """Turn round one bit of an object."""
        path = self.objects[key].path
        plain = bytearray(path.read_bytes())
        plain[len(plain) // 2] ^= 1
        path.write_bytes(plain)

    def close(self) -> None:
        """Stop; nobody listens at its port then."""
        self._server.shutdown()
        self._server.server_close()

    def fault(self, method: str, path: str) -> str:
        """How this call goes wrong, or nothing."""
        with self.lock:
            for one in self.faults:
                if one.left > 0 and one.method in ("", method) and one.where in path:
                    one.left -= 1
                    return one.how
        return ""

    def new_path(self) -> Path:
        """Where another body may lie."""
        with self.lock:
            self._number += 1
            return self.folder / f"body-{self._number}"


@contextmanager
def running(folder: Path) -> Iterator[S3Double]:
    """A server for as long as it is needed."""
    double = S3Double(folder)
    try:
        yield double
    finally:
        double.close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    double: S3Double

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to the terminal."""

    def do_GET(self) -> None:
        """One call."""
        self._serve()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        self.double.calls.append(f"{self.command} {self.path}")
        how = self.double.fault(self.command, self.path)
        if how == "hang":
            time.sleep(30)
        try:
            body = self._body(cut=how == "cut" and self.command in ("PUT", "POST"))
            self._signed(path, query, body)
            if how == "503":
                raise Refused(503, "SlowDown")
            if self.command in self.double.denied:
                raise Refused(403, "AccessDenied")
            self._answer(path, dict(parse_qsl(query, keep_blank_values=True)), body, how)
        except Refused as refused:
            self._error(refused)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    # ------------------------------------------------------------ what comes in

    def _body(self, *, cut: bool) -> Path | None:
        if self.headers.get("Transfer-Encoding"):
            raise Refused(411, "MissingContentLength")
        left = int(self.headers.get("Content-Length") or 0)
        self.double.largest_body = max(self.double.largest_body, left)
        if cut:
            self.rfile.read(left // 2)
            self._cut()
        if not left:
            return None
        path, digest, md5 = self.double.new_path(), hashlib.sha256(), hashlib.md5()
        with path.open("wb") as out:
            while left > 0:
                piece = self.rfile.read(min(PIECE, left))
                if not piece:
                    raise ConnectionResetError
                out.write(piece)
                digest.update(piece)
                md5.update(piece)
                left -= len(piece)
        told = self.headers.get("Content-MD5")
        if told and base64.b64decode(told) != md5.digest():
            raise Refused(400, "BadDigest")
        if self.headers.get("x-amz-content-sha256") not in (digest.hexdigest(), "UNSIGNED-PAYLOAD"):
            raise Refused(400, "XAmzContentSHA256Mismatch")
        return path

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError

    def _signed(self, path: str, query: str, body: Path | None) -> None:
        told = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
                            r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
                            self.headers.get("Authorization", ""))
        if told is None:
            raise Refused(403, "AccessDenied")
        access, day, region, names, signature = told.groups()
        if access != ACCESS:
            raise Refused(403, "InvalidAccessKeyId")
        if region != REGION:
            raise Refused(400, "AuthorizationHeaderMalformed")
        at = self.headers.get("x-amz-date", "")
        when = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) + self.double.ahead - when) > SKEW or not at.startswith(day):
            raise Refused(403, "RequestTimeTooSkewed")
        needed = {"host"} | {name.lower() for name in self.headers if name.lower().startswith("x-amz-")}
        if not needed <= set(names.split(";")):
            raise Refused(403, "AccessDenied")
        if not hmac.compare_digest(signature, self._signature(path, query, names, at, day)):
            raise Refused(403, "SignatureDoesNotMatch")
        empty = hashlib.sha256().hexdigest()
        if body is None and self.headers.get("x-amz-content-sha256") not in (empty, "UNSIGNED-PAYLOAD"):
            raise Refused(400, "XAmzContentSHA256Mismatch")

    def _signature(self, path: str, query: str, names: str, at: str, day: str) -> str:
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~"))
                       for name, value in parse_qsl(query, keep_blank_values=True))
        headers = "".join(f"{name}:{' '.join(','.join(self.headers.get_all(name, [])).split())}\n"
                          for name in names.split(";"))
        canonical = "\n".join((self.command, quote(unquote(path), safe="/-_.~"),
                               "&".join(f"{name}={value}" for name, value in pairs), headers, names,
                               self.headers.get("x-amz-content-sha256", "")))
        text = "\n".join(("AWS4-HMAC-SHA256", at, f"{day}/{REGION}/s3/aws4_request",
                          hashlib.sha256(canonical.encode()).hexdigest()))
        key = f"AWS4{SECRET}".encode()
        for step in (day, REGION, "s3", "aws4_request"):
            key = hmac.new(key, step.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    # ------------------------------------------------------------ what is asked

    def _answer(self, path: str, query: dict[str, str], body: Path | None, how: str) -> None:
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        if bucket != BUCKET:
            raise Refused(404, "NoSuchBucket")
        if not key:
            return self._listed(query)
        if self.command == "PUT":
            return self._put(key, query, body)
        if self.command == "POST":
            return self._begun(key) if "uploads" in query else self._completed(key, query, body)
        if self.command == "DELETE":
            if "uploadId" in query:
                self._upload(query)
                del self.double.uploads[query["uploadId"]]
            else:
                self.double.objects.pop(key, None)
            return self._send(204)
        return self._given(key, how)

    def _put(self, key: str, query: dict[str, str], body: Path | None) -> None:
        made = self._object(body)
        if "uploadId" in query:
            number = int(query["partNumber"])
            if not 1 <= number <= 10_000:
                raise Refused(400, "InvalidArgument")
            self._upload(query).parts[number] = made
        else:
            self.double.objects[key] = made
        self._send(200, {"ETag": f'"{made.etag}"'})

    def _object(self, body: Path | None) -> Object:
        path = body or self.double.new_path()
        path.touch()
        with path.open("rb") as stream:
            etag = hashlib.file_digest(stream, "md5").hexdigest()
        return Object(path, path.stat().st_size, etag, self._meta(), datetime.now(UTC))

    def _meta(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}

    def _upload(self, query: dict[str, str]) -> Upload:
        found = self.double.uploads.get(query["uploadId"])
        if found is None:
            raise Refused(404, "NoSuchUpload")
        return found

    def _begun(self, key: str) -> None:
        name = f"upload-{self.double.new_path().name}"
        self.double.uploads[name] = Upload(key, self._meta(), datetime.now(UTC))
        self._xml("InitiateMultipartUploadResult", f"<Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key>"
                                                   f"<UploadId>{name}</UploadId>")

    def _completed(self, key: str, query: dict[str, str], body: Path | None) -> None:
        upload = self._upload(query)
        told = [(int(one.findtext("{*}PartNumber") or 0), (one.findtext("{*}ETag") or "").strip('"'))
                for one in ET.fromstring(body.read_bytes() if body else b"<x/>").findall("{*}Part")]
        if [number for number, _ in told] != sorted({number for number, _ in told}) or not told:
            raise Refused(400, "InvalidPartOrder")
        parts = []
        for number, etag in told:
            if number not in upload.parts or upload.parts[number].etag != etag:
                raise Refused(400, "InvalidPart")
            parts.append(upload.parts[number])
        if upload.key != key or any(one.size < SMALLEST_PART for one in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        target = self.double.new_path()
        with target.open("wb") as out:
            for one in parts:
                with one.path.open("rb") as stream:
                    while piece := stream.read(PIECE):
                        out.write(piece)
                one.path.unlink()
        etag = hashlib.md5(b"".join(bytes.fromhex(one.etag) for one in parts)).hexdigest() + f"-{len(parts)}"
        self.double.objects[key] = Object(target, target.stat().st_size, etag, upload.meta, datetime.now(UTC))
        del self.double.uploads[query["uploadId"]]
        self._xml("CompleteMultipartUploadResult", f"<Location>/</Location><Bucket>{BUCKET}</Bucket>"
                                                   f"<Key>{escape(key)}</Key><ETag>&quot;{etag}&quot;</ETag>")

    def _given(self, key: str, how: str) -> None:
        found = self.double.objects.get(key)
        if found is None:
            raise Refused(404, "NoSuchKey")
        first, last = 0, found.size - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            if first > last:
                raise Refused(416, "InvalidRange")
        size = last - first + 1
        headers = {"ETag": f'"{found.etag}"', "Last-Modified": format_datetime(found.at, usegmt=True),
                   "Accept-Ranges": "bytes", **found.meta}
        if asked:
            headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
        self._send(206 if asked else 200, headers, size)
        if self.command == "HEAD":
            return
        with found.path.open("rb") as stream:
            stream.seek(first)
            sent = 0
            while piece := stream.read(min(PIECE, size - sent)):
                if how == "cut" and sent + len(piece) > size // 2:
                    self.wfile.write(piece[: max(0, size // 2 - sent)])
                    self._cut()
                if how == "slow":
                    time.sleep(0.2)
                self.wfile.write(piece)
                sent += len(piece)

    def _listed(self, query: dict[str, str]) -> None:
        prefix, most = query.get("prefix", ""), int(query.get("max-keys") or 1000)
        if "uploads" in query:
            inner = "".join(f"<Upload><Key>{escape(one.key)}</Key><UploadId>{name}</UploadId><Initiated>{_iso(one.at)}"
                            "</Initiated></Upload>" for name, one in self.double.uploads.items()
                            if one.key.startswith(prefix))
            return self._xml("ListMultipartUploadsResult", f"<Bucket>{BUCKET}</Bucket><MaxUploads>1000</MaxUploads>"
                                                           f"<IsTruncated>false</IsTruncated>{inner}")
        if query.get("list-type") != "2":
            raise Refused(400, "InvalidArgument")
        after = query.get("continuation-token") or query.get("start-after", "")
        keys = sorted(key for key in self.double.objects if key.startswith(prefix) and key > after)
        page = keys[:most]
        url = query.get("encoding-type") == "url"
        inner = "".join(f"<Contents><Key>{quote(key) if url else escape(key)}</Key><LastModified>"
                        f"{_iso(self.double.objects[key].at)}</LastModified><ETag>&quot;{self.double.objects[key].etag}"
                        f"&quot;</ETag><Size>{self.double.objects[key].size}</Size></Contents>" for key in page)
        more = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if len(keys) > most else ""
        self._xml("ListBucketResult", f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}"
                  f"</KeyCount><MaxKeys>{most}</MaxKeys>{'<EncodingType>url</EncodingType>' if url else ''}"
                  f"<IsTruncated>{str(len(keys) > most).lower()}</IsTruncated>{more}{inner}")

    # ------------------------------------------------------------ what goes out

    def _send(self, status: int, headers: dict[str, str] | None = None, size: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.send_header("x-amz-request-id", "double")
        self.end_headers()

    def _xml(self, name: str, inner: str, status: int = 200) -> None:
        xmlns = "" if name == "Error" else f' xmlns="{XMLNS}"'
        plain = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}{xmlns}>{inner}</{name}>'.encode()
        self._send(status, {"Content-Type": "application/xml"}, 0 if self.command == "HEAD" else len(plain))
        if self.command != "HEAD":
            self.wfile.write(plain)

    def _error(self, refused: Refused) -> None:
        self._xml("Error", f"<Code>{refused.code}</Code><Message>refused</Message><Resource>/</Resource>"
                           "<RequestId>double</RequestId>", refused.status)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
