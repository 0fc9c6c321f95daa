"""What TikTok tells by itself: posts that are published or failed, people who took their permission back.

developers.tiktok.com/doc/webhooks-verification, …/doc/webhooks-events. Whoever receives an event answers 200 at once;
TikTok repeats it for up to 72 hours otherwise, and may send one twice.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SIGNATURE = "TikTok-Signature"
TOO_OLD, TOO_EARLY = timedelta(hours=73), timedelta(minutes=5)  # a repeated event may carry its first time
POST = "post.publish."  # what the events about posts begin with


@dataclass(frozen=True)
class Event:
    """A notice whose signature is right. It may come late, twice, or in any order."""

    name: str
    client_key: str
    open_id: str
    publish_id: str = ""
    post_id: str = ""  # of a post that is public now
    reason: str = ""  # why a post failed, or by which number a permission ended
    content: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None  # when it happened


def webhook(app_secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Event | None:
    """The event in a request, or None if TikTok did not sign it with this app's secret, or too long ago."""
    named = {name.lower(): value for name, value in headers.items()}
    signed = re.fullmatch(r"t=(\d{1,12}),\s*s=([0-9a-fA-F]{64})", named.get(SIGNATURE.lower(), "").strip())
    if signed is None or not app_secret:
        return None
    at, signature = signed.groups()
    expected = hmac.new(app_secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature.lower()):
        return None
    if not now.timestamp() - TOO_OLD.total_seconds() <= int(at) <= now.timestamp() + TOO_EARLY.total_seconds():
        return None
    plain = _object(body)
    content = _object(plain.get("content"))  # JSON inside a text
    name = plain.get("event")
    if not isinstance(name, str) or not name:
        return None
    return Event(name, str(plain.get("client_key") or ""), str(plain.get("user_openid") or ""),
                 str(content.get("publish_id") or ""), str(content.get("post_id") or ""),
                 str(content.get("reason") or content.get("fail_reason") or ""), content,
                 _moment(plain.get("create_time")))


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _moment(value: Any) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and 0 < value < 2**33 else None
