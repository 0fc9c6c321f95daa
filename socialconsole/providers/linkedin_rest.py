"""LinkedIn's versioned interface: the headers it wants, versions that end, and pauses that grow.

learn.microsoft.com/linkedin/marketing/versioning and …/shared/api-guide/concepts: protocol-version, rate-limits.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any

from .. import outside
from ..errors import ConfigurationWrong, PlatformError, RateLimited, TryLater
from .base import App
from .call import Call, Reply
from .content import Progress
from .linkedin_portal import API_VERSION
from .linkedin_refusals import ABOUT, AUTHOR, PATIENCE, THROTTLED, VERSION
from .oauth2 import OAuth2Provider

PROTOCOL = {"X-Restli-Protocol-Version": "2.0.0"}  # without it lists and URNs are read by older rules
_PAUSES = (timedelta(minutes=2), timedelta(minutes=30))


def pause_until(times: int) -> datetime:
    """When to call again after that many refusals of this day: LinkedIn counts up to midnight UTC, stating nothing."""
    now = outside.now().astimezone(UTC)
    midnight = now.replace(hour=0, minute=5, second=0, microsecond=0)
    fresh = midnight if midnight > now else midnight + timedelta(days=1)
    return min(now + _PAUSES[times], fresh) if times < len(_PAUSES) else fresh


def other_version(version: str, today: date) -> str:
    """The version to use in place of one that LinkedIn refuses: the next newer one, else the newest there is."""
    living = sorted(one for one, ends in API_VERSION.living.items() if ends is None or ends >= today)
    newer = [one for one in living if one > version]
    return newer[0] if newer else living[-1] if living and living[-1] != version else ""


class Rest:
    """Calls to `/rest` in one step for one author. Use as a context. `progress` remembers what outlives a try."""

    def __init__(self, provider: OAuth2Provider, app: App, token: str, step: str, *, author: str = "",
                 about: str = "", progress: Progress | None = None) -> None:
        self.progress = progress or Progress()
        facts = {AUTHOR: author, ABOUT: about, THROTTLED: str(self._throttled)}
        self.provider, self.author = provider, author
        self.app = replace(app, options={**app.options, **facts})
        self.call: Call = provider.call(self.app, token, step)

    def __enter__(self) -> "Rest":
        self.call.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.call.__exit__(kind, error, trace)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One object."""
        return self._tried(lambda headers: self.call.get(path, params=params, headers=headers)).json()

    def post(self, path: str, json: Any, params: Mapping[str, Any] | None = None) -> Reply:
        """POST of JSON."""
        return self._tried(lambda headers: self.call.post(path, params=params, json=json, headers=headers))

    def delete(self, path: str) -> Reply:
        """DELETE."""
        return self._tried(lambda headers: self.call.delete(path, headers=headers))

    def upload(self, address: str, data: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Bytes to an address that LinkedIn named; that is no part of the versioned interface."""
        return self._patient(lambda: self.call.upload("PUT", address, data, headers=headers))

    @property
    def version(self) -> str:
        """The version to ask by: the app's, or the one that works in its place."""
        asked, instead = self.progress.get("version") or ("", "")
        return str(instead if instead and asked == self.app.api_version else self.app.api_version)

    def _tried(self, send: Callable[[Mapping[str, str]], Reply]) -> Reply:
        return self._patient(lambda: self._by_version(send))

    def _by_version(self, send: Callable[[Mapping[str, str]], Reply]) -> Reply:
        """One call; where LinkedIn refuses the version, which is a clear no, once more by another one."""
        version = self.version
        try:
            return send({"LinkedIn-Version": version, **PROTOCOL})
        except ConfigurationWrong as refused:
            instead = other_version(version, outside.now().astimezone(UTC).date())
            if refused.field != VERSION or not instead:
                raise
        self.progress.keep(version=[self.app.api_version, instead])
        reply = send({"LinkedIn-Version": instead, **PROTOCOL})
        self.provider.version_ended(self.app, instead, f"LinkedIn has ended API version {version}; {instead} works in "
                                                       "its place.")
        return reply

    def _patient(self, send: Callable[[], Reply]) -> Reply:
        """One call; what LinkedIn says again and again is counted."""
        try:
            return send()
        except RateLimited:
            self.progress.keep(throttled=[_today(), self._throttled + 1])
            raise
        except TryLater as refused:
            raise self._once_too_often(refused) from None

    @property
    def _throttled(self) -> int:
        day, times = self.progress.get("throttled") or ("", 0)
        return int(times) if day == _today() else 0

    def _once_too_often(self, refused: TryLater) -> PlatformError:
        for sentence, most, means in PATIENCE:
            if refused.message == sentence:
                times = int(self.progress.get("refused") or 0) + 1
                self.progress.keep(refused=times)
                return means(refused.code) if times > most else refused
        return refused


def _today() -> str:
    return f"{outside.now().astimezone(UTC):%Y-%m-%d}"
