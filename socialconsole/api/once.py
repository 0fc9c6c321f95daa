"""Once for each Idempotency-Key: the same request gets the same answer for a day, and is done once.

The row is written before anything is done and filled afterwards. A request that meets one at work waits for its
answer; one that was cut off is done again, which the nonce of a post, and the nature of the other calls, make harmless.
"""

import hashlib
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from .. import outside
from ..database import took, writing
from ..extensions import db
from ..models_api import ApiAnswer, ApiKey
from ..vault import Unreadable, Vault
from .problems import MEDIA_TYPE, Problem

LIFE = timedelta(hours=24)
CUT_OFF = timedelta(seconds=60)  # from when on nobody is at work with it any more
PATIENCE, PAUSE = 20.0, 0.05  # seconds
LONGEST = 255


@dataclass(frozen=True)
class Kept:
    """An answer as it is kept."""

    status: int
    body: str
    headers: dict[str, str]


def nonce(key: ApiKey, name: str) -> str:
    """What a post is written with, so that it is written once."""
    return _hash(f"{key.id}:{name}")[:40]


def begin(key: ApiKey, name: str, method: str, path: str, raw: bytes) -> tuple[Kept, bool]:
    """Whether the request is ours to do; else the answer that it got before. Raises Problem."""
    wanted, until = _hash(f"{method} {path}\n".encode() + raw), time.monotonic() + PATIENCE
    while True:
        now = outside.now()
        known = db.session.get(ApiAnswer, (key.id, _hash(name)), populate_existing=True)
        if known is not None and not timedelta(0) <= now - known.created_at < LIFE:
            _forget(key, name)
            continue
        if known is None:
            if _is_first(key, name, wanted):
                return Kept(0, "", {}), True
            continue
        if known.request_hash != wanted:
            raise Problem("idempotency_key_reused")
        if known.status:
            return Kept(known.status, _opened(known), {**known.headers, "Idempotency-Replayed": "true"}), False
        if now - known.created_at >= CUT_OFF and _takes_over(known):
            return Kept(0, "", {}), True
        if time.monotonic() > until:
            raise Problem("in_progress", headers={"Retry-After": "1"})
        db.session.commit()
        time.sleep(PAUSE)


def _is_first(key: ApiKey, name: str, wanted: str) -> bool:
    try:
        with writing() as session:
            session.add(ApiAnswer(key_id=key.id, name_hash=_hash(name), request_hash=wanted,
                                  created_at=outside.now()))
    except IntegrityError:
        return False
    return True


def _takes_over(known: ApiAnswer) -> bool:
    with writing():
        return took(update(ApiAnswer).where(
            ApiAnswer.key_id == known.key_id, ApiAnswer.name_hash == known.name_hash, ApiAnswer.status == 0,
            ApiAnswer.created_at == known.created_at).values(created_at=outside.now()))


def keep(key: ApiKey, name: str, work: Callable[[], Kept]) -> Kept:
    """Do the work and keep its answer; what is no answer of ours for good may be tried again."""
    try:
        made = work()
    except Problem as problem:
        db.session.rollback()
        if problem.status in (409, 412, 422, 403, 404):
            _fill(key, name, Kept(problem.status, problem.answer().get_data(as_text=True),
                                  {"Content-Type": MEDIA_TYPE}))
        else:
            _forget(key, name)
        raise
    except BaseException:
        db.session.rollback()
        _forget(key, name)
        raise
    _fill(key, name, made)
    return made


def _fill(key: ApiKey, name: str, made: Kept) -> None:
    with writing():
        took(update(ApiAnswer).where(ApiAnswer.key_id == key.id, ApiAnswer.name_hash == _hash(name)).values(
            status=made.status, headers=made.headers,
            body=b64encode(_vault().seal(made.body, *_record(key.id, _hash(name)))).decode()))


def _opened(known: ApiAnswer) -> str:
    """The body of a kept answer: sealed, since it may hold a link that is told once."""
    try:
        return _vault().open(b64decode(known.body), *_record(known.key_id, known.name_hash))
    except Unreadable:  # sealed with a key of the server that was taken out since
        raise Problem("conflict", "It was done, and its answer cannot be read any more. Look how it stands.") from None


def _record(key_id: str, name_hash: str) -> tuple[str, ...]:
    return ("answer", "api_answer", key_id, name_hash)


def _vault() -> Vault:
    found: Vault = current_app.extensions["vault"]
    return found


def _forget(key: ApiKey, name: str) -> None:
    with writing() as session:
        session.execute(delete(ApiAnswer).where(ApiAnswer.key_id == key.id, ApiAnswer.name_hash == _hash(name)))


def _hash(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
