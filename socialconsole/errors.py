"""Every way a platform can say no: seven words, one meaning each.

`call` raises them from status and the provider's own table; services decide what follows; pages only show
`message`, a sentence written for people. A message never contains a token, a code or a secret.
"""

from datetime import datetime, timedelta

TENANT, AUTHOR, ADMIN, CONSOLE, DEVELOPER = "tenant", "author", "admin", "console", "developer"

# Reasons why an Account stopped working, as stored and shown.
EXPIRED, REVOKED, PASSWORD_CHANGED = "expired", "revoked", "password_changed"
SUSPENDED, PERMISSION_MISSING, APP_CHANGED = "suspended", "permission_missing", "app_changed"


class PlatformError(Exception):
    """A platform's refusal. `code` is the platform's own short code, `who` has to act."""

    def __init__(self, message: str, code: str = "", who: str = CONSOLE) -> None:
        super().__init__(message)
        self.message, self.code, self.who = message, code, who


class TryLater(PlatformError):
    """A passing fault, and surely nothing happened at the platform."""


class Fault(TryLater):
    """A fault of the console itself: trying again will hardly help for long. Nothing happened at the platform."""


class RateLimited(PlatformError):
    """The platform asks us to wait until an instant; None means it did not say. `whole_app`: all its accounts."""

    def __init__(self, message: str, code: str = "", who: str = CONSOLE, *, until: datetime | None = None,
                 whole_app: bool = False) -> None:
        super().__init__(message, code, who)
        self.until, self.whole_app = until, whole_app


class NeedsReconnect(PlatformError):
    """The permission is gone for good; only the person can give it again."""

    def __init__(self, message: str, code: str = "", who: str = TENANT, *, reason: str = REVOKED) -> None:
        super().__init__(message, code, who)
        self.reason = reason


class PermissionMissing(PlatformError):
    """A scope was not granted, or a step at the platform is missing."""

    def __init__(self, message: str, code: str = "", who: str = TENANT, *, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(message, code, who)
        self.scopes = scopes


class ContentRejected(PlatformError):
    """The platform refuses this text or media; sending it again unchanged is pointless."""

    def __init__(self, message: str, code: str = "", who: str = AUTHOR, *, field: str = "text",
                 quiet: timedelta | None = None) -> None:
        super().__init__(message, code, who)
        self.field, self.quiet = field, quiet  # `quiet`: how long the account had better publish nothing


class ConfigurationWrong(PlatformError):
    """The app of the platform admin is refused; tenants can do nothing."""

    def __init__(self, message: str, code: str = "", who: str = ADMIN, *, field: str = "") -> None:
        super().__init__(message, code, who)
        self.field = field


class OutcomeUnknown(PlatformError):
    """The call may or may not have taken effect: look before anything else."""


class Declined(PlatformError):
    """The person pressed No at the platform. A normal outcome of connecting, not a fault."""


class AttemptFailed(PlatformError):
    """This walk through consent failed; a new one may succeed."""


class AlreadyPublished(PlatformError):
    """The platform says it already has this very post. `post_id` where it names it."""

    def __init__(self, message: str, code: str = "", who: str = AUTHOR, *, post_id: str = "",
                 permalink: str = "") -> None:
        super().__init__(message, code, who)
        self.post_id, self.permalink = post_id, permalink
