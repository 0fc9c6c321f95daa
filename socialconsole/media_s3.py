"""Files in an S3-compatible store, with a bounded copy of what is used on this machine.

Loaded only where such a store is set. An upload is whole in the store before anybody hears of it; a download is
compared with its size and checksum before anybody uses it.
"""

import fcntl
import hashlib
import io
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import certifi
import requests
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error, ServerError

from .config import Config
from .media_store import Missing, Unavailable, beside, free, settle
from .outside import LOOPBACK, secret

log = logging.getLogger("socialconsole.media")

CACHE = "media-cache"  # in the instance folder
OWNER = "console"  # the object that says whose files these are
MEGABYTE = 1024 * 1024
PIECE = MEGABYTE
PART = 8 * MEGABYTE  # of an upload; one is in memory at a time
MOST_PARTS = 9_000  # a store takes 10,000
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0
SLOWEST = 100_000  # bytes a second; what is slower is given up, to be tried again
TICK_SECONDS = 20.0
LEAST_FREE = 200 * MEGABYTE
RESTING_SECONDS = 3600.0  # a copy used within this time stays
TRIM_SECONDS = 60.0  # between two looks at the size of the copies
PAGE = 500  # keys looked at together
GONE = ("NoSuchKey", "NoSuchVersion")
SUMMED = "x-amz-meta-sha256"
BROKEN = (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError, ParseError)

# What a store answers, and what that means for the person who set it up.
WORDS = {
    "NoSuchBucket": "has no bucket “{bucket}”. Make it, or correct MEDIA_S3_URL.",
    "InvalidAccessKeyId": "does not know the key in MEDIA_S3_ACCESS_KEY. Correct it.",
    "SignatureDoesNotMatch": "says that MEDIA_S3_SECRET_KEY does not fit MEDIA_S3_ACCESS_KEY. Correct one of them.",
    "AccessDenied": "does not let this key {what} in the bucket “{bucket}”. Give it that right there.",
    "RequestTimeTooSkewed": "says that this machine's clock is wrong. Set it right, best by NTP.",
    "AuthorizationHeaderMalformed": "expects another region than “{region}”. Correct MEDIA_S3_REGION.",
    "PermanentRedirect": "keeps the bucket in another region than “{region}”. Correct MEDIA_S3_REGION or MEDIA_S3_URL.",
    "SlowDown": "asks for fewer calls at the moment. Try again later.",
    "ServiceUnavailable": "is not at work at the moment. Try again later.",
}


@dataclass(frozen=True)
class Place:
    """What an address such as `https://host:port/bucket/prefix` names."""

    host: str
    bucket: str
    prefix: str  # empty, or ending with a slash
    secure: bool


def place(url: str) -> Place:
    """The parts of a checked MEDIA_S3_URL."""
    parts = urlsplit(url)
    bucket, _, prefix = parts.path.strip("/").partition("/")
    return Place(parts.netloc, bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "", parts.scheme == "https")


class S3Store:
    """One bucket, or a part of one, that belongs to this console alone."""

    shared = True

    def __init__(self, config: Config) -> None:
        self.place = place(config.media_s3_url)
        self.folder = config.instance_path / CACHE
        self._config, self._most = config, config.media_cache_bytes
        self._lock, self._made_by = threading.Lock(), 0
        self._made: Minio | None = None
        self._trimmed, self._owner = 0.0, ""

    # ------------------------------------------------------------ keeping and handing out

    def put(self, key: str, part: Path, sha256: str) -> None:
        """Upload a finished file, a bounded piece at a time, and keep it as a copy. Raises Unavailable."""
        self._upload(key, part, sha256)
        self._settle(part, self.folder / key)

    def share(self, key: str) -> None:
        """Upload a copy that was made here, unless it is there already. Raises Unavailable."""
        path = self.folder / key
        with suppress(Missing), self._asking("read"):
            if self._client().stat_object(self.place.bucket, self._name(key)).size == path.stat().st_size:
                return
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._upload(key, path, digest)

    def local(self, key: str, size: int | None = None, sha256: str = "",
              tick: Callable[[], None] = lambda: None) -> Path:
        """The copy on this machine, fetched if need be, once for all who ask. Raises Missing and Unavailable."""
        path = self.folder / key
        if _used(path, size):
            return path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path, tick):
            if not _used(path, size):
                try:
                    self._fetch(key, path, size, sha256, tick)
                except Missing:
                    return self._from_before(key, size)
        return path

    def delete(self, key: str) -> None:
        """Remove a file here and there. Raises Unavailable."""
        (self.folder / key).unlink(missing_ok=True)
        with suppress(Missing), self._asking("delete"):
            self._client().remove_object(self.place.bucket, self._name(key))

    def copies(self, start: str) -> list[str]:
        """The keys that begin like this, in the store and here. Raises Unavailable."""
        near = self.folder / start
        here = {str(path.relative_to(self.folder)) for path in near.parent.glob(f"{near.name}*")}
        with self._asking("list"):
            there = {self._key(one) for one in self._client().list_objects(
                self.place.bucket, prefix=self._name(start), recursive=True)}
        return sorted(here | there)

    def old(self, before: datetime) -> Iterator[list[str]]:
        """What lies in the store since before an instant; uploads that nobody finished end. Raises Unavailable."""
        with self._asking("list"):
            self._end_uploads(before)
            found = (self._key(one) for one in self._client().list_objects(
                self.place.bucket, prefix=self.place.prefix, recursive=True)
                if one.last_modified is not None and one.last_modified < before)
            while page := list(islice(found, PAGE)):
                yield page

    def owner(self, console: str) -> str:
        """Which console wrote its name here first. Raises Unavailable."""
        if not self._owner:
            self._owner = self._named_owner(console)
        return self._owner

    def _named_owner(self, console: str) -> str:
        with suppress(Missing), self._asking("read"):
            answer = self._client().get_object(self.place.bucket, self._name(OWNER))
            try:
                return str(answer.read(200).decode("ascii", "replace"))
            finally:
                answer.close()
                answer.release_conn()
        with self._asking("write"):
            plain = console.encode()
            self._client().put_object(self.place.bucket, self._name(OWNER), io.BytesIO(plain), len(plain))
        return console

    def trim(self, needed: Callable[[set[str]], set[str]]) -> int:
        """Remove the copies used longest ago while there are too many bytes of them; none that is in use."""
        if time.monotonic() - self._trimmed < TRIM_SECONDS:
            return 0
        self._trimmed = time.monotonic()
        found = sorted(_copies(self.folder))
        over = sum(size for _, size, _ in found) - self._most
        if over <= 0:
            return 0
        resting = [(size, path) for used, size, path in found if used < time.time() - RESTING_SECONDS]
        kept, gone = needed({media_id(path) for _, path in resting}), 0
        for size, path in resting:
            if over > 0 and media_id(path) not in kept:
                path.unlink(missing_ok=True)
                over, gone = over - size, gone + 1
        return gone

    def trouble(self) -> str:
        """What is wrong, tried with a small file that is written, read and removed: a sentence, or nothing."""
        name, plain = f"{self.place.prefix}check-{secret(9)}", secret(24).encode()
        try:
            with beside(self._made_folder()) as part:
                part.write_bytes(plain)
                self._upload(name.removeprefix(self.place.prefix), part, hashlib.sha256(plain).hexdigest())
            with self._asking("read"):
                answer = self._client().get_object(self.place.bucket, name)
                read = answer.read()
                answer.release_conn()
            with self._asking("delete"):
                self._client().remove_object(self.place.bucket, name)
            list(islice(self.old(datetime(1970, 1, 1, tzinfo=UTC)), 1))
        except Missing:
            return self._sentence("did not keep the small file that was written to try it. Look at its own log.")
        except Unavailable as away:
            return away.why
        return "" if read == plain else self._sentence("gave back other bytes than were written. Do not use it.")

    # ------------------------------------------------------------ the store itself

    def _client(self) -> Minio:
        """The client of this process: its connections must not be shared with the one that forked us."""
        with self._lock:
            if self._made is None or self._made_by != os.getpid():
                self._made, self._made_by = self._new_client(), os.getpid()
            return self._made

    def _new_client(self) -> Minio:
        config = self._config
        return Minio(endpoint=self.place.host, access_key=config.media_s3_access_key,
                     secret_key=config.media_s3_secret_key, region=config.media_s3_region, secure=self.place.secure,
                     http_client=_connections(config.media_s3_url))

    def _upload(self, key: str, path: Path, sha256: str) -> None:
        size, name = path.stat().st_size, self._name(key)
        part = max(PART, math.ceil(size / MOST_PARTS / MEGABYTE) * MEGABYTE)
        with self._asking("write"), path.open("rb") as stream:
            self._client().put_object(self.place.bucket, name, stream, size, metadata={"sha256": sha256},
                                      part_size=part, num_parallel_uploads=1)
        try:
            with self._asking("read"):
                kept = self._client().stat_object(self.place.bucket, name).size
        except Missing:
            kept = -1
        if kept != size:
            raise self._away("does not have what it has just taken")

    def _fetch(self, key: str, path: Path, size: int | None, sha256: str, tick: Callable[[], None]) -> None:
        with beside(path.parent) as part, self._asking("read"):
            answer = self._client().get_object(self.place.bucket, self._name(key))
            try:
                told = int(answer.headers.get("content-length", 0))
                if free(path.parent) < told + LEAST_FREE:
                    raise self._away("was asked for a file for which the disk of this machine has no room")
                digest = _copied(answer, part, told, tick)
                wanted = sha256 or answer.headers.get(SUMMED, "")
            finally:
                answer.close()
                answer.release_conn()
            if part.stat().st_size != (told if size is None else size) or (wanted and digest != wanted):
                raise self._away("gave other bytes than were kept there")
            self._settle(part, path)

    def _from_before(self, key: str, size: int | None) -> Path:
        """A file from before this store was set still lies in the media folder. Raises Missing."""
        path = self._config.media_folder / key
        if not path.is_file() or (size is not None and path.stat().st_size != size):
            raise Missing
        return path

    def _end_uploads(self, before: datetime) -> None:
        """What a killed process left of an upload costs room without being listed as a file."""
        with suppress(S3Error, ServerError):  # not every store knows this call
            found = self._client()._list_multipart_uploads(self.place.bucket, prefix=self.place.prefix)
            for one in found.uploads:
                if one.initiated_time is not None and one.initiated_time < before and one.upload_id:
                    self._client()._abort_multipart_upload(self.place.bucket, one.object_name, one.upload_id)

    def _name(self, key: str) -> str:
        return self.place.prefix + key

    def _key(self, found: Any) -> str:
        return str(found.object_name).removeprefix(self.place.prefix)

    def _settle(self, part: Path, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        settle(part, path)

    def _made_folder(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder

    # ------------------------------------------------------------ what went wrong

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn every way in which a store can fail into Missing or Unavailable. Its answers are never quoted."""
        try:
            yield
        except S3Error as error:
            if error.code in GONE:
                raise Missing from None
            raise self._away(self._said(error.code or "", what)) from None
        except BROKEN as error:
            raise self._away(self._failed(error)) from None

    def _said(self, code: str, what: str) -> str:
        known = WORDS.get(code)
        if known is None:
            return f"answered {code if code.isalnum() else 'something unknown'}. Look up its documentation or log."
        return known.format(bucket=self.place.bucket, what=what, region=self._config.media_s3_region)

    def _failed(self, error: BaseException) -> str:
        cause = getattr(error, "reason", None) or error
        if isinstance(cause, urllib3.exceptions.SSLError):
            return ("has a certificate that is not trusted here. Name its authority's file in SSL_CERT_FILE, or "
                    "correct MEDIA_S3_URL.")
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return "has a name that cannot be found. Correct the host in MEDIA_S3_URL."
        if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
            return "cannot be reached. Check that it is up, and the host and port in MEDIA_S3_URL."
        if isinstance(cause, urllib3.exceptions.TimeoutError):
            return "does not answer in time. Look at its load."
        if isinstance(cause, MinioException | urllib3.exceptions.ResponseError):
            return "does not answer as an S3 store does, or is not at work. Check MEDIA_S3_URL and its log."
        return f"broke off ({type(cause).__name__}). Try again."

    def _away(self, what: str) -> Unavailable:
        why = self._sentence(what)
        log.warning("media storage", extra={"why": why})
        return Unavailable(why)

    def _sentence(self, what: str) -> str:
        return f"The storage for files at {self.place.host} {what}"


def _connections(url: str) -> urllib3.PoolManager:
    """Connections with time limits, verified, that follow no redirect; through the proxy of the environment if any."""
    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS), "cert_reqs": "CERT_REQUIRED",
        "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or certifi.where(),
        "maxsize": 16,
        "retries": urllib3.Retry(total=2, read=1, redirect=False, backoff_factor=0.2,
                                 status_forcelist=(500, 502, 503, 504))}
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if proxy and urlsplit(url).hostname not in LOOPBACK:
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


# ---------------------------------------------------------------- copies on this machine


def media_id(path: Path) -> str:
    """The id of the file that a copy belongs to: `med_…` of `med_…` or `med_…-<rule>.jpg`."""
    return path.name.partition("-")[0]


def _used(path: Path, size: int | None) -> bool:
    """Whether the copy is here; if so, it is noted that it was used now."""
    try:
        if size is not None and path.stat().st_size != size:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _copies(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each copy was used, its bytes, and where it lies; only what can be had again."""
    for path in folder.glob("*/**/med_*"):
        with suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path


@contextmanager
def _alone(path: Path, tick: Callable[[], None]) -> Iterator[None]:
    """Only one thread of one process at a time fetches this file; the others wait, and find it then."""
    with (path.parent / f".{path.name}.lock").open("w") as file:
        ticked = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
                if time.monotonic() - ticked > TICK_SECONDS:
                    ticked = time.monotonic()
                    tick()
        try:
            yield
        finally:
            Path(file.name).unlink(missing_ok=True)


def _copied(answer: Any, part: Path, told: int, tick: Callable[[], None]) -> str:
    """Write an answer to a file, in pieces; returns its checksum. TimeoutError where it only drips."""
    digest, began, ticked = hashlib.sha256(), time.monotonic(), time.monotonic()
    with part.open("wb") as out:
        for piece in answer.stream(PIECE, decode_content=False):
            out.write(piece)
            digest.update(piece)
            now = time.monotonic()
            if now - began > ANSWER_SECONDS + told / SLOWEST:
                raise urllib3.exceptions.TimeoutError("too slow")
            if now - ticked > TICK_SECONDS:
                ticked = now
                tick()
    return digest.hexdigest()
